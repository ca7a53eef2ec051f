/* Threads that share heaps, free each other's blocks, and make and destroy heaps of their own. */
#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"

#include <pthread.h>
#include <reprise/memory.h>
#include <string.h>

enum { THREADS = 4, SLOTS = 256, STEPS = 20000 };

typedef struct shared_state {
    rp_allocator *heaps[2];
    uint8_t *slots[SLOTS]; /* a block's first byte counts its filled bytes */
} shared_state;

typedef struct worker_state {
    shared_state *shared;
    uint64_t random;
    int failures;
} worker_state;

static uint8_t *make_block(worker_state *worker)
{
    size_t size_bytes = test_random(&worker->random) % 255 + 1;
    if (test_random(&worker->random) % 100 == 0) {
        size_bytes = RP_KIB(50);
    }
    rp_allocator *heap = worker->shared->heaps[test_random(&worker->random) % 2];
    uint8_t *block = rp_alloc(heap, size_bytes);
    if (block) {
        memset(block, (int)(size_bytes & 0xff), rp_min_size(size_bytes, 255));
    }
    return block;
}

static int intact(const uint8_t *block)
{
    for (size_t i = 0; i < block[0]; i++) {
        if (block[i] != block[0]) {
            return 0;
        }
    }
    return 1;
}

static void private_heap(worker_state *worker)
{
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "private"});
    worker->failures += !heap || !rp_alloc(heap, 100) || !rp_alloc(heap, RP_KIB(100));
    rp_allocator_destroy(heap);
}

static void *work(void *context)
{
    worker_state *worker = context;
    for (int step = 0; step < STEPS; step++) {
        uint8_t *fresh = make_block(worker);
        worker->failures += !fresh;
        uint8_t **slot = &worker->shared->slots[test_random(&worker->random) % SLOTS];
        uint8_t *old = __atomic_exchange_n(slot, fresh, __ATOMIC_ACQ_REL);
        if (old) {
            worker->failures += !intact(old);
            rp_free(old);
        }
        if (step % 1000 == 0) {
            private_heap(worker);
        }
    }
    return NULL;
}

TEST(threads_make_and_free_each_others_blocks)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    ck_ok(rp_region_create(&desc));
    shared_state shared = {.heaps = {rp_heap_create(&(rp_heap_desc){.name = "a"}),
                                     rp_heap_create(&(rp_heap_desc){.name = "b"})}};
    worker_state workers[THREADS];
    pthread_t threads[THREADS];
    uint64_t seed = test_seed();
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (worker_state){.shared = &shared, .random = seed + i * 7919 + 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(workers[i].failures, 0);
    }
    for (int i = 0; i < SLOTS; i++) {
        rp_free(shared.slots[i]);
    }
    for (int i = 0; i < 2; i++) {
        rp_alloc_stats stats;
        rp_stats_get(shared.heaps[i], &stats);
        ck_assert_uint_eq(stats.live_count, 0);
        ck_assert_uint_eq(stats.live_bytes, 0);
        rp_allocator_destroy(shared.heaps[i]);
    }
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

static void *make_first_heap(void *context)
{
    pthread_barrier_wait(context);
    return rp_heap_create(&(rp_heap_desc){.name = "first"});
}

TEST(threads_that_make_the_first_heap_at_once_agree_on_the_table)
{
    for (int round = 0; round < 50; round++) {
        rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
        ck_ok(rp_region_create(&desc));
        pthread_barrier_t barrier;
        pthread_barrier_init(&barrier, NULL, 2);
        pthread_t threads[2];
        void *heaps[2];
        for (int i = 0; i < 2; i++) {
            pthread_create(&threads[i], NULL, make_first_heap, &barrier);
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], &heaps[i]);
            ck_assert_ptr_nonnull(heaps[i]);
        }
        ck_assert_ptr_ne(heaps[0], heaps[1]);
        rp_region_stats stats;
        rp_region_stats_get(RP_ZONE_WORLD, &stats);
        ck_assert_uint_eq(stats.used_bytes, 3 * RP_UNIT_BYTES);
        pthread_barrier_destroy(&barrier);
        rp_region_destroy();
    }
}
