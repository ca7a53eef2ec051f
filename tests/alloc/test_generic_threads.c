/* The generic allocator on many threads: blocks that others free, threads that end, slots, tables
 * that grow, heaps that go while other threads hold blocks of them in bins. */
#include "alloc/generic_fixture.h"

#include <unistd.h>

/* ThreadSanitizer is ten times slower. */
#ifdef __SANITIZE_THREAD__
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

static void holds_at_last(const rp_allocator *heap, uint64_t count)
{
    rp_alloc_thread_flush();
    ck_assert_uint_eq(model_stats(heap).live_count, count);
}

/* ---- freed by others ---- */

static void *free_and_flush(void *context)
{
    blocks_free(context);
    rp_alloc_thread_flush();
    return NULL;
}

TEST(threads_that_only_free_give_back_all_with_a_flush_or_at_their_end)
{
    rp_allocator *heap = heap_open();
    const size_t sizes[] = {1, 64, 700, 5000, 32768, RP_KIB(100)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        for (size_t count = 1; count < 2000; count = count * 3 + 1) {
            blocks b = blocks_of(heap, sizes[i], count);
            helper h;
            helper_start(&h);
            blocks_make(&b);
            helper_do(&h, free_and_flush, &b);
            heap_is_empty(heap);
            blocks_make(&b);
            helper_do(&h, blocks_free, &b);
            heap_holds(heap, 0, 0); /* all are counted wherever they lie */
            helper_end(&h);
            heap_is_empty(heap);
            free(b.at);
        }
    }
    heap_close();
}

enum { RING = 256 };

typedef struct ring {
    rp_allocator *heap;
    uint8_t *at[RING];
    int count; /* to be sent */
} ring;

static void *produce(void *context)
{
    ring *r = context;
    for (int i = 0; i < r->count;) {
        uint8_t **slot = &r->at[i % RING];
        if (__atomic_load_n(slot, __ATOMIC_ACQUIRE)) {
            sched_yield();
            continue;
        }
        uint8_t *block = rp_alloc(r->heap, 200);
        memset(block, i & 0xff, 200);
        __atomic_store_n(slot, block, __ATOMIC_RELEASE);
        i++;
    }
    return NULL;
}

static void consume(ring *r)
{
    for (int i = 0; i < r->count;) {
        uint8_t **slot = &r->at[i % RING];
        uint8_t *block = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (!block) {
            sched_yield();
            continue;
        }
        ck_assert_uint_eq(block[0], (uint8_t)i);
        ck_assert_uint_eq(block[199], (uint8_t)i);
        rp_free(block);
        __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
        i++;
    }
}

TEST(a_producer_and_a_consumer_need_no_more_memory_as_time_goes)
{
    ring r = {.heap = heap_open(), .count = 400000 / SLOWER};
    pthread_t thread;
    pthread_create(&thread, NULL, produce, &r);
    consume(&r);
    pthread_join(thread, NULL);
    /* the ring, and on both sides a bin and what was sent */
    ck_assert_uint_lt(model_stats(r.heap).peak_bytes, RP_MIB(2));
    heap_is_empty(r.heap);
    heap_close();
}

/* ---- threads that end ---- */

TEST(the_slabs_of_ended_threads_serve_the_next)
{
    rp_allocator *heap = heap_open();
    blocks kept = blocks_of(heap, 64, 512), more = blocks_of(heap, 64, 512);
    on_thread(blocks_make, &kept);
    uint64_t taken = model_stats(heap).taken_bytes;
    ck_assert_uint_eq(taken, RP_UNIT_BYTES);
    on_thread(blocks_make, &more);
    ck_assert_uint_eq(model_stats(heap).taken_bytes, taken);
    for (int i = 0; i < 512; i += 2) {
        rp_free(kept.at[i]);
        kept.at[i] = NULL;
    }
    rp_alloc_thread_flush();
    blocks third = blocks_of(heap, 64, 256);
    on_thread(blocks_make, &third);
    ck_assert_uint_eq(model_stats(heap).taken_bytes, taken);
    heap_holds(heap, 1024, 1024 * 64);
    for (int i = 1; i < 512; i += 2) {
        rp_free(kept.at[i]);
    }
    on_thread(blocks_free, &more);
    blocks_free(&third);
    heap_is_empty(heap);
    free(kept.at), free(more.at), free(third.at);
    heap_close();
}

static void *place_of_thread(void *heap)
{
    rp_free(rp_alloc(heap, 100));
    return (void *)(uintptr_t)rp_alloc_thread_get()->place;
}

static int cache_count(const rp_allocator *heap)
{
    int count = 0;
    for (const rp_cache *cache = heap_of((rp_allocator *)heap)->caches; cache;
         cache = cache->next) {
        count++;
    }
    return count;
}

TEST(the_slot_of_an_ended_thread_is_the_next_ones)
{
    rp_allocator *heap = heap_open();
    rp_free(rp_alloc(heap, 1));
    void *place = on_thread(place_of_thread, heap);
    ck_assert_uint_eq((uintptr_t)place, 2);
    for (int i = 0; i < 200; i++) {
        ck_assert_ptr_eq(on_thread(place_of_thread, heap), place);
    }
    ck_assert_int_le(cache_count(heap), 3);
    heap_is_empty(heap);
    heap_close();
}

static pthread_key_t late_key;

typedef struct late_work {
    blocks mine, others;
    int rounds;
} late_work;

static void work_late(void *context)
{
    late_work *work = context;
    if (--work->rounds > 0) {
        pthread_setspecific(late_key, work); /* once more, when our own key's turn is over */
        return;
    }
    ck_assert_uint_eq(rp_alloc_thread_attach(), 0);
    blocks_free(&work->mine);
    blocks_free(&work->others);
    blocks again = blocks_of(work->mine.heap, 64, 3000);
    blocks_make(&again);
    blocks_free(&again);
    free(again.at);
    rp_free(rp_alloc(work->mine.heap, RP_KIB(200)));
}

static void *end_with_work(void *context)
{
    late_work *work = context;
    blocks_make(&work->mine);
    pthread_setspecific(late_key, work);
    return NULL;
}

TEST(destructors_of_a_thread_that_has_ended_may_free_and_allocate)
{
    rp_allocator *heap = heap_open();
    ck_assert_int_eq(pthread_key_create(&late_key, work_late), 0);
    for (int round = 0; round < 50; round++) {
        late_work work = {blocks_of(heap, 100, 1000), blocks_of(heap, 900, 300), 2};
        blocks_make(&work.others);
        on_thread(end_with_work, &work);
        ck_assert_int_eq(work.rounds, 0);
        heap_holds(heap, 0, 0);
        free(work.mine.at), free(work.others.at);
    }
    pthread_key_delete(late_key);
    rp_alloc_thread_flush();
    /* what the cache of no thread has in bins, is its to keep */
    ck_assert_uint_le(model_stats(heap).taken_bytes, 4 * RP_UNIT_BYTES);
    heap_close();
}

/* ---- many threads ---- */

enum { CROWD = 40 };

typedef struct crowd {
    rp_allocator *heap;
    pthread_barrier_t barrier;
    blocks each[CROWD];
    int next;
} crowd;

static void *join_crowd(void *context)
{
    crowd *c = context;
    int mine = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED);
    pthread_barrier_wait(&c->barrier);
    blocks_make(&c->each[mine]);
    pthread_barrier_wait(&c->barrier); /* all have a slot at once */
    blocks_free(&c->each[(mine + 1) % CROWD]);
    return NULL;
}

TEST(tables_grow_while_other_threads_use_them)
{
    model_open_region();
    for (int round = 0; round < 20 / SLOWER + 1; round++) {
        crowd c = {.heap = heap_make("crowd", round % 2 ? RP_ZONE_KEEP : RP_ZONE_WORLD, 0)};
        pthread_barrier_init(&c.barrier, NULL, CROWD);
        pthread_t threads[CROWD];
        for (int i = 0; i < CROWD; i++) {
            c.each[i] = blocks_of(c.heap, (size_t)i * 40, 200);
        }
        for (int i = 0; i < CROWD; i++) {
            ck_assert_int_eq(pthread_create(&threads[i], NULL, join_crowd, &c), 0);
        }
        for (int i = 0; i < CROWD; i++) {
            pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < CROWD; i++) {
            free(c.each[i].at);
        }
        ck_assert_uint_ge(heap_of(c.heap)->table_count, CROWD);
        heap_is_empty(c.heap);
        rp_allocator_destroy(c.heap);
        pthread_barrier_destroy(&c.barrier);
    }
    heap_close();
}

/* Takes slots that nobody will use, until there are no more. */
static uint32_t slots_exhaust(void)
{
    rp_alloc_thread *self = rp_alloc_thread_get();
    uint32_t taken = 0;
    do {
        self->place = self->slot = 0;
        taken++;
    } while (rp_alloc_thread_attach());
    return taken - 1;
}

TEST(threads_beyond_the_last_slot_work_without_a_cache)
{
    rp_allocator *heap = heap_open();
    blocks cached = blocks_of(heap, 80, 500);
    helper owner, other;
    helper_start(&owner);
    helper_do(&owner, blocks_make, &cached); /* has the last slot that is of use */
    ck_assert_uint_eq(slots_exhaust(), RP_ALLOC_THREADS_MOST - 1);
    helper_start(&other);
    model m = {.allocator = heap_make("model", RP_ZONE_WORLD, 0), .random = test_seed()};
    m.most_bytes = RP_KIB(40);
    model_run(&m, 8000);
    model_empty(&m);
    blocks mine = blocks_of(heap, 80, 500), theirs = blocks_of(heap, 80, 500);
    blocks_make(&mine);
    helper_do(&other, blocks_make, &theirs);
    ck_assert_uint_eq(model_stats(heap).live_count, 1500);
    helper_do(&other, blocks_free, &mine);
    helper_do(&owner, blocks_free, &theirs);
    blocks_free(&cached);
    model_dies(model_free_it, cached.at[3], "double free");
    helper_do(&owner, flush, NULL);
    heap_holds(heap, 0, 0);
    helper_end(&owner);
    blocks after = blocks_of(heap, 80, 500); /* the one slot that was given back */
    on_thread(blocks_make, &after);
    blocks_free(&after);
    heap_holds(heap, 0, 0);
    helper_end(&other);
    free(cached.at), free(mine.at), free(theirs.at), free(after.at);
    heap_close();
}

/* ---- heaps that go ---- */

TEST(a_heap_goes_while_other_threads_have_blocks_of_it_in_bins)
{
    model_open_region();
    helper h;
    helper_start(&h);
    for (int round = 0; round < 100; round++) {
        rp_allocator *heap = heap_make("short", RP_ZONE_WORLD, 0);
        blocks mine = blocks_of(heap, 48, 300), theirs = blocks_of(heap, 48, 300);
        blocks_make(&mine);
        helper_do(&h, blocks_make, &theirs);
        helper_do(&h, blocks_free, &mine); /* some in its bin, some sent */
        blocks_free(&theirs);
        rp_allocator_destroy(heap);
        rp_allocator *next = heap_make("next", RP_ZONE_WORLD, 0);
        ck_assert_ptr_eq(next, heap);
        mine.heap = theirs.heap = next;
        helper_do(&h, blocks_make, &theirs);
        blocks_make(&mine);
        helper_do(&h, flush, NULL);
        heap_holds(next, 600, 600 * 48);
        helper_do(&h, blocks_free, &theirs);
        blocks_free(&mine);
        rp_allocator_destroy(next);
        free(mine.at), free(theirs.at);
    }
    helper_end(&h);
    heap_close();
}

typedef struct come_and_go {
    rp_allocator *common;
    uint64_t random;
} come_and_go;

static void *heaps_come_and_go(void *context)
{
    come_and_go *state = context;
    for (int i = 0; i < 400 / SLOWER; i++) {
        rp_zone zone = test_random(&state->random) % 2 ? RP_ZONE_WORLD : RP_ZONE_KEEP;
        rp_allocator *heap = heap_make("own", zone, 0);
        blocks own = blocks_of(heap, test_random(&state->random) % 2000, 50);
        blocks common = blocks_of(state->common, 64, 50);
        blocks_make(&own);
        blocks_make(&common);
        rp_alloc_thread_flush(); /* walks the heaps of all threads */
        blocks_free(&common);
        if (i % 2) {
            blocks_free(&own);
        }
        rp_allocator_destroy(heap);
        free(own.at), free(common.at);
    }
    return NULL;
}

TEST(heaps_come_and_go_while_threads_flush_and_end)
{
    rp_allocator *heap = heap_open();
    uint64_t seed = test_seed();
    for (int round = 0; round < 6; round++) {
        come_and_go states[3];
        pthread_t threads[3];
        for (uint64_t i = 0; i < 3; i++) {
            states[i] = (come_and_go){heap, seed + i * 77 + (uint64_t)round * 1001 + 1};
            pthread_create(&threads[i], NULL, heaps_come_and_go, &states[i]);
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    heap_is_empty(heap);
    heap_close();
}

/* ---- while others look and switch ---- */

typedef struct busy {
    rp_allocator *heap;
    int stop;
} busy;

static void *work_until_told(void *context)
{
    busy *b = context;
    blocks own = blocks_of(b->heap, 300, 100);
    while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
        blocks_make(&own);
        blocks_free(&own);
    }
    free(own.at);
    return NULL;
}

TEST(a_heap_is_switched_and_looked_at_while_threads_use_it)
{
    busy b = {.heap = heap_open()};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, work_until_told, &b);
    }
    for (uint32_t i = 0; i < 3000 / SLOWER; i++) {
        rp_allocator_debug_set(b.heap, i % 2);
        ck_assert_uint_eq(model_stats(b.heap).cap_bytes, 0);
        ck_assert_int_eq(rp_allocator_walk(RP_ZONE_KEEP, NULL, NULL), 0);
    }
    rp_allocator_debug_set(b.heap, 0);
    __atomic_store_n(&b.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    heap_is_empty(b.heap);
    heap_close();
}

static void *take_all(void *context)
{
    blocks *b = context;
    b->count = 0;
    while ((b->at[b->count] = rp_alloc(b->heap, b->size_bytes)) != NULL) {
        b->count++;
    }
    return NULL;
}

TEST(a_cap_holds_however_many_threads_ask)
{
    enum { CAP_UNITS = 16 };
    model_open_region();
    rp_allocator *heap = heap_make("capped", RP_ZONE_WORLD, CAP_UNITS * RP_UNIT_BYTES);
    for (int round = 0; round < 500 / SLOWER; round++) {
        void *large = rp_alloc(heap, RP_UNIT_BYTES);
        ck_assert_ptr_nonnull(large);
        blocks small = blocks_of(heap, 32768, 2 * CAP_UNITS);
        helper h = {.body = take_all, .context = &small};
        helper_start(&h);
        pthread_barrier_wait(&h.begin);
        void *grown = rp_resize(heap, large, (size_t)(round % 8 + 1) * RP_UNIT_BYTES);
        pthread_barrier_wait(&h.done);
        ck_assert_uint_le(model_stats(heap).taken_bytes, CAP_UNITS * RP_UNIT_BYTES);
        for (size_t i = 0; i < small.count; i++) {
            rp_free(small.at[i]);
        }
        helper_end(&h);
        rp_free(grown ? grown : large);
        rp_alloc_thread_flush();
        ck_assert_uint_eq(model_stats(heap).taken_bytes, 0);
        free(small.at);
    }
    heap_close();
}

/* ---- at random ---- */

enum { SHARED_SLOTS = 400, LIVES = 24, AT_ONCE = 4 };

typedef struct random_world {
    rp_allocator *heaps[3];
    uint64_t *at[SHARED_SLOTS]; /* size, then words that follow from it and the address */
} random_world;

typedef struct random_life {
    random_world *world;
    uint64_t random;
    int steps;
} random_life;

static uint64_t word_of(const uint64_t *block, size_t i)
{
    return (uint64_t)(uintptr_t)block * 31 + block[0] * 7 + i;
}

static uint64_t *sealed_make(rp_allocator *heap, uint64_t *random)
{
    uint64_t kind = test_random(random) % 32;
    size_t most = kind == 0 ? RP_KIB(150) : kind < 6 ? RP_KIB(20) : 300;
    size_t count = test_random(random) % (most / 8) + 1;
    uint64_t *block = rp_alloc(heap, count * 8);
    block[0] = count;
    for (size_t i = 1; i < count; i++) {
        block[i] = word_of(block, i);
    }
    return block;
}

static void sealed_free(uint64_t *block)
{
    for (size_t i = 1; block && i < block[0]; i++) {
        if (block[i] != word_of(block, i)) {
            ck_abort_msg("word %zu of %p changed", i, (void *)block);
        }
    }
    rp_free(block);
}

static void *live_at_random(void *context)
{
    random_life *life = context;
    for (int i = 0; i < life->steps; i++) {
        uint64_t choice = test_random(&life->random);
        uint64_t **slot = &life->world->at[choice % SHARED_SLOTS];
        rp_allocator *heap = life->world->heaps[(choice >> 20) % 3];
        uint64_t *fresh = (choice >> 32) % 2 ? sealed_make(heap, &life->random) : NULL;
        sealed_free(__atomic_exchange_n(slot, fresh, __ATOMIC_ACQ_REL));
        if ((choice >> 40) % 512 == 0) {
            rp_alloc_thread_flush();
        }
    }
    return NULL;
}

static void random_check(random_world *world)
{
    uint64_t live = 0, held = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t walked[2] = {0, 0};
        rp_walk(world->heaps[i], heap_count_block, walked);
        ck_assert_uint_eq(model_stats(world->heaps[i]).live_count, walked[0]);
        ck_assert_uint_eq(model_stats(world->heaps[i]).live_bytes, walked[1]);
        live += walked[0];
    }
    for (int i = 0; i < SHARED_SLOTS; i++) {
        held += world->at[i] != NULL;
    }
    ck_assert_uint_eq(live, held);
}

static void live_many_lives(random_world *world, uint64_t seed, int lives)
{
    pthread_t threads[AT_ONCE];
    random_life life[AT_ONCE];
    for (int i = 0; i < lives + AT_ONCE; i++) {
        int at = i % AT_ONCE;
        if (i >= AT_ONCE) {
            pthread_join(threads[at], NULL);
        }
        if (i < lives) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            life[at] = (random_life){world, seed | 1, (int)(seed >> 40) % (20000 / SLOWER) + 1};
            ck_assert_int_eq(pthread_create(&threads[at], NULL, live_at_random, &life[at]), 0);
        }
    }
}

TEST(threads_begin_and_end_at_random_while_others_free_their_blocks)
{
    random_world world = {
        {heap_open(), heap_make("b", RP_ZONE_WORLD, 0), heap_make("keep", RP_ZONE_KEEP, 0)},
        {NULL}};
    uint64_t seed = test_seed();
    for (int round = 0; round < (getenv("RP_LONG") ? 40 : 3); round++) {
        live_many_lives(&world, seed + (uint64_t)round, LIVES);
        random_check(&world);
    }
    for (int i = 0; i < SHARED_SLOTS; i++) {
        sealed_free(world.at[i]);
        world.at[i] = NULL;
    }
    for (int i = 0; i < 3; i++) {
        holds_at_last(world.heaps[i], 0);
        heap_is_empty(world.heaps[i]);
    }
    heap_close();
}
