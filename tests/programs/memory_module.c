/* A program that asks every allocator for memory, in scopes, and frees most of it again. What it
 * draws and what it keeps follow from the frame and its input alone.
 *
 * It is looped, sought and run twice by tests/e2e/robust_memory.sh. */
#include <reprise/arena.h>
#include <reprise/backed.h>
#include <reprise/debug.h>
#include <reprise/draw.h>
#include <reprise/memory.h>
#include <reprise/page.h>
#include <reprise/slot.h>
#include <reprise/temp.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <string.h>

typedef struct body {
    float x, y;
    struct body *next;
    char name[24];
} body;

enum { BODIES_MOST = 64, GROUND_BYTES = 1 << 16 };

static struct {
    rp_allocator *physics, *ground, *guarded, *marked, *failing, *traced;
    rp_arena *level;
    rp_slots *slots;
    uint8_t *pages;
    body *bodies;
    uint32_t count;
    uint64_t checks, refused;
    void *kept[8];
} world;

static unsigned char ground[GROUND_BYTES] __attribute__((aligned(16)));

static void must(int good)
{
    if (!good) {
        abort();
    }
}

static void make(void)
{
    world.physics = rp_heap_create(&(rp_heap_desc){.name = "physics"});
    world.ground = rp_heap_create(
        &(rp_heap_desc){.name = "ground", .memory = ground, .memory_bytes = sizeof ground});
    world.guarded = rp_end_of_page_create(&(rp_heap_desc){.name = "guarded"});
    world.marked = rp_debug_create(&(rp_heap_desc){.name = "marked"},
                                   RP_DEBUG_CANARY | RP_DEBUG_QUARANTINE | RP_DEBUG_FILL,
                                   &(rp_debug_options){.seed = 7});
    world.failing = rp_failing_create(&(rp_heap_desc){.name = "failing"}, 0);
    world.traced = rp_trace_create(&(rp_heap_desc){.name = "traced"});
    world.level = rp_arena_create(&(rp_arena_desc){.name = "level"});
    world.slots = rp_slots_create(&(rp_slots_desc){.name = "particles", .slot_bytes = 48});
    world.pages = rp_pages_alloc(RP_ZONE_WORLD, 3 * 4096, RP_PAGES_GUARD_AFTER | RP_PAGES_ZEROED);
    must(world.physics && world.ground && world.guarded && world.marked && world.failing);
    must(world.traced && world.level && world.slots && world.pages);
    must(rp_scope_budget("/step/solve", 1 << 20) == RP_OK);
}

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    make();
}

/* ---- one frame ---- */

static void bodies_add(uint64_t frame)
{
    body *made = rp_new(frame % 3 ? world.physics : world.traced, body, 1);
    must(made != NULL);
    made->x = (float)(frame % 320);
    made->next = world.bodies;
    memcpy(made->name, "body", 5);
    world.bodies = made;
    world.count++;
    while (world.count > BODIES_MOST) {
        body *oldest = world.bodies;
        body *before = NULL;
        while (oldest->next) {
            before = oldest;
            oldest = oldest->next;
        }
        before->next = NULL;
        rp_free_sized(oldest, sizeof *oldest);
        world.count--;
    }
}

static void churn(rp_allocator *allocator, uint64_t frame)
{
    size_t place = frame % 8;
    world.kept[place] = rp_resize(allocator, world.kept[place], 16 + frame % 200);
    if (world.kept[place]) {
        memset(world.kept[place], (int)frame, 16 + frame % 200);
        must(rp_usable_bytes(world.kept[place]) >= 16 + frame % 200);
        must(rp_allocator_of(world.kept[place]) != NULL);
    }
    if (frame % 5 == 0) {
        rp_free(world.kept[place]);
        world.kept[place] = NULL;
    }
}

static void arena_use(uint64_t frame)
{
    rp_arena_mark mark = rp_arena_mark_get(world.level);
    char *text = rp_arena_push_format(world.level, "frame %d", (int)frame);
    must(text && !strncmp(text, "frame ", 6));
    rp_arena_release(world.level, mark);
    if (frame % 50 == 0) {
        rp_arena_reset(world.level);
        rp_arena_trim(world.level);
    }
    RP_TEMP(temp)
    {
        uint32_t *numbers = rp_arena_push_array(temp, uint32_t, 100);
        numbers[99] = (uint32_t)frame;
    }
}

static void others_use(uint64_t frame)
{
    void *slot = rp_slot_alloc(world.slots);
    memset(slot, (int)frame, 48);
    world.pages[frame % (3 * 4096)]++;
    void *guarded = rp_alloc_zeroed(world.guarded, 3, 16);
    void *aligned = rp_alloc_aligned(world.marked, 256, 100);
    must(guarded && aligned && (uintptr_t)aligned % 256 == 0);
    rp_failing_set(world.failing, 1);
    world.refused += rp_alloc(world.failing, 10) == NULL;
    rp_free(rp_alloc(rp_static_heap(RP_ZONE_WORLD), 24));
    rp_free(rp_alloc(rp_page_allocator(RP_ZONE_WORLD), 5000));
    rp_free(rp_alloc(rp_generic(RP_ZONE_WORLD), 40));
    rp_free(guarded);
    rp_free(aligned);
    rp_slot_free(world.slots, slot);
    world.checks += rp_debug_check();
    must(rp_backed_check(world.ground) == RP_OK);
}

static void figures(void)
{
    rp_alloc_stats stats;
    rp_scope_stats scope;
    rp_debug_stats debug;
    rp_stats_get(world.physics, &stats);
    must(stats.live_count <= BODIES_MOST + 1);
    rp_debug_stats_get(&debug);
    must(rp_scope_stats_get(RP_ZONE_WORLD, "/step", &scope) == RP_OK);
    must(rp_fragmentation_get(RP_ZONE_WORLD) >= 0);
}

static void draw(rp_stage *stage)
{
    rp_clear(stage->canvas, 0x102030);
    for (const body *at = world.bodies; at; at = at->next) {
        rp_fill(stage->canvas, at->x, at->y, 4, 4, 0xffcc00);
    }
}

void rp_module_step(rp_stage *stage)
{
    uint64_t frame = stage->frame;
    RP_SCOPE("step")
    {
        RP_SCOPE("solve")
        {
            bodies_add(frame);
        }
        RP_SCOPE_ALL_RELEASED("scratch")
        {
            free(malloc(100 + frame % 50));
        }
        churn(frame % 2 ? world.ground : world.physics, frame);
    }
    for (body *at = world.bodies; at; at = at->next) {
        at->y += (float)rp_down(stage, RP_KEY_RIGHT) + 0.25f;
    }
    arena_use(frame);
    others_use(frame);
    figures();
    draw(stage);
}
