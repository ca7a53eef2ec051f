/* The generic allocator under restores of the world's bytes: what comes after a restore is what
 * came after the save, in the same process or another, with the same threads or others. */
#include "alloc/generic_fixture.h"

#include <sys/mman.h>

/* ---- operations that can be done again ---- */

enum { HELD = 150, STEPS = 3000 };

typedef struct actor {
    rp_allocator *heaps[2];
    uint64_t random;
    int steps;
    uint64_t trail; /* of all addresses that came */
    uint8_t *at[HELD];
} actor;

static uint8_t tag_of(const actor *a, uint8_t *const *slot)
{
    return (uint8_t)(slot - a->at + 1);
}

static void actor_take(actor *a, uint8_t **slot, uint64_t choice)
{
    size_t most = choice % 50 == 0 ? RP_KIB(150) : choice % 7 == 0 ? RP_KIB(9) : 400;
    size_t size_bytes = (choice >> 16) % most + 1;
    uint8_t *block = rp_alloc(a->heaps[(choice >> 50) % 2], size_bytes);
    memset(block, tag_of(a, slot), size_bytes);
    *slot = block;
    a->trail = a->trail * 31 + (uintptr_t)block;
}

static void *actor_act(void *context)
{
    actor *a = context;
    for (int i = 0; i < a->steps; i++) {
        uint64_t choice = test_random(&a->random);
        uint8_t **slot = &a->at[(choice >> 8) % HELD];
        if (!*slot) {
            actor_take(a, slot, choice);
        } else if (choice % 4 == 0) {
            *slot = rp_resize(a->heaps[0], *slot, (choice >> 20) % 3000 + 1);
            **slot = tag_of(a, slot);
            a->trail = a->trail * 31 + (uintptr_t)*slot;
        } else {
            ck_assert_uint_eq(**slot, tag_of(a, slot));
            rp_free(*slot);
            *slot = NULL;
        }
        if (choice % 1000 == 1) {
            rp_alloc_thread_flush();
        }
    }
    return NULL;
}

static uint64_t actor_live(const actor *a)
{
    uint64_t live = 0;
    for (int i = 0; i < HELD; i++) {
        live += a->at[i] != NULL;
    }
    return live;
}

static void *actor_free(void *context)
{
    actor *a = context;
    for (int i = 0; i < HELD; i++) {
        rp_free(a->at[i]);
        a->at[i] = NULL;
    }
    return NULL;
}

static actor actor_of(uint64_t seed)
{
    actor a = {.random = seed | 1, .steps = STEPS};
    a.heaps[0] = heap_make("a", RP_ZONE_WORLD, 0);
    a.heaps[1] = heap_make("b", RP_ZONE_WORLD, 0);
    return a;
}

static uint64_t live_of(const actor *a)
{
    return model_stats(a->heaps[0]).live_count + model_stats(a->heaps[1]).live_count;
}

TEST(the_same_operations_after_a_restore_give_the_same_addresses)
{
    model_open_region();
    actor first = actor_of(test_seed());
    for (int round = 0; round < 10; round++) {
        actor_act(&first);
        snapshot saved = snapshot_take();
        actor again = first;
        actor_act(&first);
        snapshot then = snapshot_take();
        snapshot_restore(&saved);
        ck_assert_uint_eq(live_of(&again), actor_live(&again));
        actor_act(&again);
        ck_assert_uint_eq(again.trail, first.trail);
        ck_assert_uint_eq(live_of(&again), actor_live(&again));
        ck_assert(snapshot_equals(&then)); /* not a byte differs */
        snapshot_drop(&saved);
        snapshot_drop(&then);
    }
    actor_free(&first);
    heap_is_empty(first.heaps[0]);
    heap_close();
}

enum { HELPERS = 3 };

static void all_act(helper *helpers, actor *actors)
{
    for (int i = 0; i < HELPERS; i++) { /* one after the other: the order is part of the history */
        helper_do(&helpers[i], actor_act, &actors[i]);
    }
    /* and each frees what the next one had */
    for (int i = 0; i < HELPERS; i++) {
        helper_do(&helpers[i], actor_free, &actors[(i + 1) % HELPERS]);
        helper_do(&helpers[i], actor_act, &actors[i]);
    }
}

TEST(threads_find_their_caches_as_they_were)
{
    model_open_region();
    helper helpers[HELPERS];
    actor actors[HELPERS], again[HELPERS];
    actors[0] = actor_of(test_seed());
    for (int i = 0; i < HELPERS; i++) {
        helper_start(&helpers[i]);
        actors[i] = actors[0];
        actors[i].random += (uint64_t)i * 2;
    }
    all_act(helpers, actors);
    snapshot saved = snapshot_take();
    memcpy(again, actors, sizeof again);
    all_act(helpers, actors);
    snapshot_restore(&saved);
    all_act(helpers, again);
    for (int i = 0; i < HELPERS; i++) {
        ck_assert_uint_eq(again[i].trail, actors[i].trail);
        helper_do(&helpers[(i + 2) % HELPERS], actor_free, &again[i]);
    }
    ck_assert_uint_eq(live_of(&again[0]), 0);
    for (int i = 0; i < HELPERS; i++) {
        helper_end(&helpers[i]);
    }
    heap_is_empty(actors[0].heaps[0]);
    heap_is_empty(actors[0].heaps[1]);
    snapshot_drop(&saved);
    heap_close();
}

/* ---- threads that are not the ones of the save ---- */

TEST(caches_of_threads_that_are_not_there_wait_for_the_next_with_their_slot)
{
    rp_allocator *heap = heap_open();
    blocks theirs[HELPERS];
    helper helpers[HELPERS];
    for (int i = 0; i < HELPERS; i++) {
        helper_start(&helpers[i]);
        theirs[i] = blocks_of(heap, 200, 500);
        helper_do(&helpers[i], blocks_make, &theirs[i]);
    }
    helper_do(&helpers[0], blocks_free, &theirs[1]); /* on the way to the second */
    helper_do(&helpers[1], blocks_make, &theirs[1]);
    snapshot saved = snapshot_take();
    for (int i = 0; i < HELPERS; i++) {
        helper_end(&helpers[i]);
    }
    rp_free(rp_alloc(heap, 1)); /* the slot of a thread that begins after the save's */
    snapshot_restore(&saved);
    heap_holds(heap, 1500, 1500 * rp_usable_bytes(theirs[0].at[0]));
    blocks_free(&theirs[0]); /* sent to a thread that is not there */
    heap_holds(heap, 1000, 1000 * rp_usable_bytes(theirs[1].at[0]));
    uint64_t taken = model_stats(heap).taken_bytes;
    rp_alloc_thread_flush();
    for (int i = 0; i < HELPERS; i++) {
        helper_start(&helpers[i]);
    }
    for (int i = 0; i < HELPERS; i++) { /* the first of them has the slot */
        helper_do(&helpers[i], blocks_make, &theirs[0]);
        helper_do(&helpers[i], blocks_free, &theirs[0]);
    }
    ck_assert_uint_le(model_stats(heap).taken_bytes, taken + 2 * RP_UNIT_BYTES);
    blocks_free(&theirs[1]);
    blocks_free(&theirs[2]);
    for (int i = 0; i < HELPERS; i++) {
        helper_end(&helpers[i]);
        free(theirs[i].at);
    }
    heap_is_empty(heap);
    snapshot_drop(&saved);
    heap_close();
}

TEST(threads_that_came_after_the_save_make_their_caches_anew)
{
    rp_allocator *heap = heap_open();
    blocks mine = blocks_of(heap, 64, 300);
    blocks_make(&mine);
    snapshot saved = snapshot_take();
    helper helpers[12]; /* the table grows as well, and is small again after the restore */
    for (int i = 0; i < 12; i++) {
        blocks b = blocks_of(heap, 100, 50);
        helper_start(&helpers[i]);
        helper_do(&helpers[i], blocks_make, &b);
        free(b.at);
    }
    for (int round = 0; round < 3; round++) {
        snapshot_restore(&saved);
        heap_holds(heap, 300, 300 * 64);
        for (int i = 0; i < 12; i++) {
            blocks b = blocks_of(heap, 100, 50);
            helper_do(&helpers[i], blocks_make, &b);
            helper_do(&helpers[(i + 5) % 12], blocks_free, &b);
            free(b.at);
        }
        heap_holds(heap, 300, 300 * 64);
    }
    for (int i = 0; i < 12; i++) {
        helper_end(&helpers[i]);
    }
    blocks_free(&mine);
    heap_is_empty(heap);
    snapshot_drop(&saved);
    free(mine.at);
    heap_close();
}

TEST(a_thread_ends_in_a_world_from_before_it_began)
{
    rp_allocator *heap = heap_open();
    snapshot empty = snapshot_take(); /* not even the first cache */
    for (int round = 0; round < 5; round++) {
        helper h;
        helper_start(&h);
        blocks b = blocks_of(heap, 500, 400);
        helper_do(&h, blocks_make, &b);
        blocks_free(&b);
        snapshot_restore(&empty);
        if (round % 2) {
            helper_do(&h, blocks_make, &b);
            helper_end(&h);
            blocks_free(&b);
        } else {
            helper_end(&h);
        }
        heap_is_empty(heap);
        free(b.at);
    }
    snapshot_drop(&empty);
    heap_close();
}

/* ---- what comes and goes ---- */

TEST(what_was_freed_or_destroyed_after_the_save_comes_back)
{
    rp_allocator *heap = heap_open(), *doomed = heap_make("doomed", RP_ZONE_WORLD, 0);
    blocks b = blocks_of(heap, 300, 1000), large = blocks_of(doomed, RP_KIB(100), 5),
           small = blocks_of(doomed, 20, 1000);
    blocks_make(&b);
    blocks_make(&large);
    blocks_make(&small);
    snapshot saved = snapshot_take();
    for (int round = 0; round < 3; round++) {
        on_thread(blocks_free, &b);
        rp_allocator_destroy(doomed);
        rp_allocator *other = heap_make("other", RP_ZONE_WORLD, 0);
        blocks in_its_place = blocks_of(other, 5000, 200);
        blocks_make(&in_its_place);
        free(in_its_place.at);
        snapshot_restore(&saved);
        heap_holds(heap, 1000, 1000 * rp_usable_bytes(b.at[0]));
        ck_assert_str_eq(rp_allocator_name(doomed), "doomed");
        ck_assert_uint_eq(model_stats(doomed).live_count, 1005);
    }
    blocks_free(&b);
    blocks_free(&small);
    blocks_free(&large);
    heap_is_empty(heap);
    heap_is_empty(doomed);
    free(b.at), free(small.at), free(large.at);
    snapshot_drop(&saved);
    heap_close();
}

TEST(a_restore_leaves_the_keep_zone_alone)
{
    model_open_region();
    model keep = {.allocator = heap_make("keep", RP_ZONE_KEEP, 0), .random = test_seed()};
    model world = {.allocator = heap_make("world", RP_ZONE_WORLD, 0), .random = keep.random + 1};
    keep.most_bytes = world.most_bytes = RP_KIB(40);
    model_run(&world, 1000);
    snapshot saved = snapshot_take();
    model world_then = world;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 500; i++) {
            model_step(&keep);
            model_step(&world);
        }
        snapshot_restore(&saved);
        memcpy(world.blocks, world_then.blocks, sizeof world.blocks);
        model_check(&keep);
        model_check(&world);
    }
    model_empty(&keep);
    model_empty(&world);
    heap_is_empty(keep.allocator);
    heap_is_empty(world.allocator);
    snapshot_drop(&saved);
    heap_close();
}

/* ---- another process ---- */

typedef struct carried {
    actor actors[HELPERS];    /* at the save */
    uint64_t trails[HELPERS]; /* of what the first process did next */
    rp_region_span spans[RP_REGION_SPANS];
    uint8_t bytes[RP_REGION_SPANS][RP_MIB(32)];
} carried;

static void helpers_start(helper *helpers)
{
    for (int i = 0; i < HELPERS; i++) {
        helper_start(&helpers[i]);
        helper_do(&helpers[i], flush, NULL);
    }
}

/* A slot is taken at the first block; so they are taken in this order. */
static void *take_slot(void *context)
{
    rp_alloc_thread_attach();
    return context;
}

static int first_process(void *context)
{
    carried *c = context;
    model_open_region();
    actor actors[HELPERS];
    helper helpers[HELPERS];
    take_slot(NULL);
    helpers_start(helpers);
    actors[0] = actor_of(test_seed());
    for (int i = 0; i < HELPERS; i++) {
        helper_do(&helpers[i], take_slot, NULL);
        actors[i] = actors[0];
        actors[i].random += (uint64_t)i * 2;
    }
    all_act(helpers, actors);
    snapshot saved = snapshot_take();
    memcpy(c->actors, actors, sizeof actors);
    memcpy(c->spans, saved.spans, sizeof saved.spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        ck_assert_uint_le(saved.spans[i].size_bytes, RP_MIB(32));
        memcpy(c->bytes[i], saved.bytes[i], saved.spans[i].size_bytes);
    }
    all_act(helpers, actors);
    for (int i = 0; i < HELPERS; i++) {
        c->trails[i] = actors[i].trail;
        helper_end(&helpers[i]);
    }
    return 0;
}

static int second_process(void *context)
{
    carried *c = context;
    model_open_region();
    helper helpers[HELPERS];
    blocks own = blocks_of(heap_make("own", RP_ZONE_WORLD, 0), 700, 9000);
    blocks_make(&own); /* what it holds before, goes */
    helpers_start(helpers);
    snapshot saved = {{{0}}, {0}};
    memcpy(saved.spans, c->spans, sizeof saved.spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        saved.bytes[i] = c->bytes[i];
    }
    for (int i = 0; i < HELPERS; i++) {
        helper_do(&helpers[i], take_slot, NULL);
    }
    for (int round = 0; round < 2; round++) {
        actor actors[HELPERS];
        snapshot_restore(&saved);
        memcpy(actors, c->actors, sizeof actors);
        uint64_t live = 0;
        for (int i = 0; i < HELPERS; i++) {
            live += actor_live(&actors[i]);
        }
        ck_assert_uint_eq(live_of(&actors[0]), live);
        all_act(helpers, actors);
        for (int i = 0; i < HELPERS; i++) {
            ck_assert_uint_eq(actors[i].trail, c->trails[i]);
        }
    }
    for (int i = 0; i < HELPERS; i++) {
        helper_end(&helpers[i]);
    }
    return rp_region_check(RP_ZONE_WORLD) ? 0 : 1;
}

static int process_without_threads(void *context)
{
    carried *c = context;
    model_open_region();
    snapshot saved = {{{0}}, {0}};
    memcpy(saved.spans, c->spans, sizeof saved.spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        saved.bytes[i] = c->bytes[i];
    }
    snapshot_restore(&saved);
    for (int i = 0; i < HELPERS; i++) {
        actor_free(&c->actors[i]);
    }
    ck_assert_uint_eq(live_of(&c->actors[0]), 0);
    for (int i = 0; i < 2; i++) { /* and their memory is had back */
        rp_allocator_destroy(c->actors[0].heaps[i]);
    }
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_le(stats.used_bytes, 4 * RP_UNIT_BYTES);
    return rp_region_check(RP_ZONE_WORLD) ? 0 : 1;
}

TEST(another_process_goes_on_where_the_first_one_was)
{
    carried *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(c, MAP_FAILED);
    child_end end = child_run(first_process, c);
    ck_assert_msg(end.exit_code == 0, "signal %d: %s", end.signal, end.error_text);
    ck_assert_uint_ne(c->trails[0], 0);
    end = child_run(second_process, c);
    ck_assert_msg(end.exit_code == 0, "signal %d: %s", end.signal, end.error_text);
    end = child_run(process_without_threads, c);
    ck_assert_msg(end.exit_code == 0, "signal %d: %s", end.signal, end.error_text);
    munmap(c, sizeof *c);
}
