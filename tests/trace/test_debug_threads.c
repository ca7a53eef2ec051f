/* Threads under the debug modes: blocks made by one and freed by another, switching meanwhile, and
 * forks.
 */
#include "trace/debug_fixture.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 3000, SHELF = 64 };

typedef struct shared {
    rp_allocator *allocator;
    void *shelf[SHELF]; /* blocks change hands here */
    uint64_t seed;
    uint32_t number;
} shared;

static void *work(void *argument)
{
    shared *with = argument;
    uint64_t random = with->seed + __atomic_add_fetch(&with->number, 1, __ATOMIC_RELAXED) * 77;
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = 16 + test_random(&random) % (i % 50 ? 200 : 40000);
        size_t *block = rp_alloc(with->allocator, size);
        memset(block, 0x5b, size);
        *block = size;
        size_t *other = __atomic_exchange_n(&with->shelf[test_random(&random) % SHELF], block,
                                            __ATOMIC_ACQ_REL);
        if (other) {
            rp_free_sized(other, *other);
        }
    }
    return NULL;
}

static void run_threads(shared *with, void (*meanwhile)(void))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, with), 0);
    }
    meanwhile();
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < SHELF; i++) {
        rp_free(with->shelf[i]);
    }
}

static void nothing(void)
{
}

TEST(blocks_pass_between_threads_under_each_mode)
{
    static const uint32_t modes[] = {RP_DEBUG_TRACE | RP_DEBUG_STACKS,
                                     RP_DEBUG_CANARY | RP_DEBUG_FILL | RP_DEBUG_QUARANTINE,
                                     RP_DEBUG_SAMPLED | RP_DEBUG_CANARY};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < RP_COUNT_OF(modes); i++) {
        debug_open(NULL);
        rp_debug_budget_set(0, RP_KIB(500));
        shared with = {.seed = seed};
        with.allocator = rp_debug_create(&(rp_heap_desc){.name = "shared"}, modes[i],
                                         &(rp_debug_options){.sample_one_in = 50});
        run_threads(&with, nothing);
        rp_alloc_stats stats;
        rp_stats_get(with.allocator, &stats);
        ck_assert_uint_eq(stats.live_count, 0);
        ck_assert_uint_eq(rp_debug_check(), 0);
        no_errors();
        rp_allocator_destroy(with.allocator);
        check_zones();
        rp_region_destroy();
    }
}

static void check_often(void)
{
    for (int i = 0; i < 20; i++) {
        rp_debug_check();
    }
}

TEST(a_check_may_run_beside_threads)
{
    debug_open(NULL);
    shared with = {.seed = test_seed()};
    with.allocator = rp_debug_create(&(rp_heap_desc){.name = "shared"},
                                     RP_DEBUG_CANARY | RP_DEBUG_QUARANTINE, NULL);
    run_threads(&with, check_often);
    no_errors();
    rp_region_destroy();
}

static void switch_often(void)
{
    static const uint32_t modes[] = {0, RP_DEBUG_CANARY, RP_DEBUG_FILL, RP_DEBUG_TRACE,
                                     RP_DEBUG_QUARANTINE | RP_DEBUG_CANARY};
    for (size_t i = 0; i < 200; i++) {
        ck_ok(rp_debug_set("shared", modes[i % RP_COUNT_OF(modes)]));
    }
}

TEST(modes_may_be_switched_beside_threads)
{
    debug_open(NULL);
    shared with = {.seed = test_seed(), .allocator = heap("shared")};
    run_threads(&with, switch_often);
    rp_alloc_stats stats;
    rp_stats_get(with.allocator, &stats);
    ck_assert_uint_eq(stats.live_count, 0);
    no_errors();
    rp_region_destroy();
}

static shared *forking;

static int use_in_child(void *context)
{
    (void)context;
    for (int i = 0; i < 100; i++) {
        void *block = rp_alloc(forking->allocator, 100);
        memset(block, 1, 100);
        rp_free(block);
    }
    return rp_debug_check() == 0 ? 7 : 8;
}

static void fork_often(void)
{
    for (int i = 0; i < 30; i++) {
        rp_alloc_fork_prepare();
        pid_t child = fork();
        if (child == 0) {
            rp_alloc_fork_child();
            alarm(20); /* a lock that stays taken would hang the child */
            raise(use_in_child(NULL) == 7 ? SIGKILL : SIGTERM); /* no exit: TSan looks then */
        }
        rp_alloc_fork_parent();
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
    }
}

TEST(a_child_forked_beside_threads_can_allocate)
{
    debug_open(NULL);
    shared with = {.seed = test_seed()};
    with.allocator = rp_debug_create(&(rp_heap_desc){.name = "shared"},
                                     RP_DEBUG_CANARY | RP_DEBUG_QUARANTINE, NULL);
    forking = &with;
    run_threads(&with, fork_often);
    no_errors();
    rp_region_destroy();
}
