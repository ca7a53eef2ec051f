/* The generic allocator where the system says no and where the region ends: each place in turn.
 * What fails says so, nothing is lost, no lock stays taken, and it goes on when there is memory
 * again. */
#include "alloc/generic_fixture.h"
#include "support/fault.h"

#include <errno.h>

enum { THINGS = 64 };

typedef struct scene {
    rp_allocator *heaps[2];
    void *at[THINGS];
    int count, failures;
} scene;

static void note(scene *s, void *block, size_t size_bytes)
{
    if (block) {
        memset(block, 0x5a, size_bytes);
        s->at[s->count++] = block;
        return;
    }
    s->failures++;
    ck_assert_int_lt(rp_error_last()->status, 0);
    ck_assert_uint_gt(strlen(rp_error_last()->text), 10);
}

static void make_heap(scene *s, int which)
{
    rp_zone zone = which ? RP_ZONE_KEEP : RP_ZONE_WORLD;
    s->heaps[which] = rp_heap_create(&(rp_heap_desc){.name = "scene", .zone = zone});
    if (!s->heaps[which]) {
        s->failures++;
        ck_assert_int_lt(rp_error_last()->status, 0);
    }
}

static void use_heap(scene *s, rp_allocator *heap)
{
    const size_t sizes[] = {1, 100, 3000, 30000, RP_KIB(70), RP_KIB(700), RP_MIB(3)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        note(s, rp_alloc(heap, sizes[i]), sizes[i]);
    }
    note(s, rp_alloc_zeroed(heap, 10, 2000), 20000);
    note(s, rp_alloc_aligned(heap, RP_MIB(1), 100), 100);
    void *block = rp_alloc(heap, RP_KIB(100));
    void *grown = block ? rp_resize(heap, block, RP_MIB(1)) : NULL;
    note(s, grown ? grown : block, RP_KIB(100));
    s->failures += !grown;
}

/* With a slot behind the inline table. */
static void *use_from_afar(void *context)
{
    scene *s = context;
    rp_alloc_thread *self = rp_alloc_thread_get();
    while (rp_alloc_thread_attach() <= 3 * TABLE_INLINE) {
        self->place = self->slot = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (s->heaps[i]) {
            note(s, rp_alloc(s->heaps[i], 50), 50);
            note(s, rp_alloc(s->heaps[i], 20000), 20000);
        }
    }
    return NULL; /* and its slabs want a cache of no thread */
}

static void play(scene *s)
{
    for (int i = 0; i < 2; i++) {
        make_heap(s, i);
        if (s->heaps[i]) {
            use_heap(s, s->heaps[i]);
        }
    }
}

static void clean_up(scene *s)
{
    while (s->count) {
        ck_assert_uint_eq(*(uint8_t *)s->at[--s->count], 0x5a);
        rp_free(s->at[s->count]);
    }
    for (int i = 0; i < 2; i++) {
        if (s->heaps[i]) {
            heap_is_empty(s->heaps[i]);
        }
        rp_allocator_destroy(s->heaps[i]);
    }
    *s = (scene){0};
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
}

static void everything_works(void)
{
    scene s = {0};
    play(&s);
    on_thread(use_from_afar, &s);
    ck_assert_int_eq(s.failures, 0);
    clean_up(&s);
}

/* ---- the system ---- */

#ifdef RP_FAULTS

static size_t play_with_fault(size_t k, int system_code, scene *s)
{
    rp_os_fault_set(k, system_code);
    play(s);
    size_t calls = rp_os_fault_count();
    rp_os_fault_set(0, 0);
    return calls;
}

static void each_call_fails(int system_code)
{
    size_t k = 0, calls;
    do {
        scene s = {0};
        model_open_region();
        calls = play_with_fault(++k, system_code, &s);
        ck_assert(calls >= k || s.failures == 0);
        clean_up(&s);
        everything_works();
        heap_close();
    } while (calls >= k);
    ck_assert_uint_gt(k, 1);
}

TEST(each_call_to_the_system_may_fail)
{
    each_call_fails(ENOMEM);
    each_call_fails(EPERM);
}

#endif

/* ---- the region's end ---- */

/* Takes all of the zone but `units` of it, in one piece. */
static void *fill_zone(rp_zone zone, size_t units)
{
    rp_region_stats stats;
    rp_region_stats_get(zone, &stats);
    size_t most = RP_REGION_LEAST_BYTES / RP_UNIT_BYTES;
    void *ballast = NULL;
    while (most && !ballast) {
        ballast = rp_region_block_alloc(zone, most-- * RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0);
    }
    ck_assert_ptr_nonnull(ballast);
    ck_assert_uint_gt(most, units);
    ck_assert(rp_region_block_resize(ballast, (most + 1 - units) * RP_UNIT_BYTES));
    return ballast;
}

static int play_with_units(size_t units)
{
    scene s = {0};
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_REGION_LEAST_BYTES}));
    void *ballast[2] = {fill_zone(RP_ZONE_WORLD, units), fill_zone(RP_ZONE_KEEP, units)};
    play(&s);
    on_thread(use_from_afar, &s);
    int failures = s.failures;
    rp_region_block_free(ballast[0]);
    rp_region_block_free(ballast[1]);
    clean_up(&s);
    everything_works();
    heap_close();
    return failures;
}

TEST(the_region_may_end_at_each_unit)
{
    size_t units = 0;
    while (play_with_units(units) > 0) {
        ck_assert_uint_lt(++units, 1000);
    }
    ck_assert_uint_gt(units, 70); /* what the largest block takes, and more */
}

static void *end_without_room(void *context)
{
    blocks *b = context;
    blocks_make(b);
    void *ballast = fill_zone(RP_ZONE_WORLD, 0);
    while (rp_meta_take(RP_ZONE_WORLD, META_CACHE)) { /* nor room for a cache */
    }
    return ballast;
}

TEST(a_thread_that_ends_without_room_for_a_shared_cache_loses_nothing)
{
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_REGION_LEAST_BYTES}));
    rp_allocator *heap = heap_make("full", RP_ZONE_WORLD, 0);
    rp_free(rp_alloc(heap, 1));
    blocks b = blocks_of(heap, 400, 1000);
    rp_region_block_free(on_thread(end_without_room, &b));
    ck_assert_ptr_null(heap_of(heap)->shared);
    heap_holds(heap, 1000, 1000 * rp_usable_bytes(b.at[0]));
    blocks_free(&b);
    heap_holds(heap, 0, 0);
    rp_alloc_thread_flush();
    on_thread(flush, NULL);
    blocks more = blocks_of(heap, 400, 1000);
    on_thread(blocks_make, &more); /* has the slot, and the slabs with it */
    ck_assert_ptr_nonnull(heap_of(heap)->shared);
    blocks_free(&more);
    heap_is_empty(heap);
    free(b.at), free(more.at);
    heap_close();
}

/* ---- without room, what is freed is had again ---- */

TEST(a_full_region_gives_out_what_is_freed)
{
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_REGION_LEAST_BYTES}));
    rp_allocator *heap = heap_make("full", RP_ZONE_WORLD, 0);
    uint64_t random = test_seed();
    enum { MOST = 8000 };
    void **at = calloc(MOST, sizeof *at);
    size_t count = 0;
    while ((at[count] = rp_alloc(heap, 30000)) != NULL) {
        ck_assert_uint_lt(++count, MOST);
    }
    for (int round = 0; round < 2000; round++) {
        size_t which = test_random(&random) % count;
        rp_free(at[which]);
        at[which] = rp_alloc(heap, 30000);
        ck_assert_ptr_nonnull(at[which]);
    }
    ck_assert_ptr_null(rp_alloc(heap, 40000));
    for (size_t i = 0; i < count; i++) {
        rp_free(at[i]);
    }
    void *whole = rp_alloc(heap, RP_MIB(80));
    ck_assert_msg(whole, "%s", rp_error_last()->text); /* the bins were emptied for it */
    rp_free(whole);
    heap_is_empty(heap);
    free(at);
    heap_close();
}
