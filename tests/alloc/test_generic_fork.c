/* fork() while other threads work: the child has their blocks, but not them.
 *
 * Check's assertions take a lock of Check's, which such a child may find taken: threads that work
 * during a fork do without them.
 */
#include "alloc/generic_fixture.h"

#include <stdio.h>

/* TSan forbids threads in such a child; ASan's own allocator may be locked there for ever. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
enum { FORKS = 20, CAN_START_THREADS = 0 };
#else
enum { FORKS = 150, CAN_START_THREADS = 1 };
#endif
enum { CHURNERS = 3, SHARED = 300, DEADLOCK_SECONDS = 60 };

static rp_allocator *heaps[3];
static uint64_t *shared[SHARED]; /* a block: its words, which follow from its address */
static int stop;

static size_t words_of(uint64_t random)
{
    size_t most = random % 40 == 0 ? 10000 : random % 5 == 0 ? 600 : 40;
    return (random >> 8) % most + 1;
}

static uint64_t *sealed_make(uint64_t *random)
{
    uint64_t choice = test_random(random);
    size_t count = words_of(choice);
    uint64_t *block = rp_alloc(heaps[(choice >> 40) % 3], count * 8);
    if (!block) {
        return NULL;
    }
    for (size_t i = 1; i < count; i++) {
        block[i] = (uintptr_t)block + i;
    }
    block[0] = count;
    return block;
}

static int sealed_free(uint64_t *block)
{
    int intact = 1;
    for (size_t i = 1; block && i < block[0]; i++) {
        intact &= block[i] == (uintptr_t)block + i;
    }
    rp_free(block);
    return intact;
}

static void churn(uint64_t *random, int steps)
{
    for (int i = 0; i < steps; i++) {
        uint64_t choice = test_random(random);
        uint64_t *fresh = choice & 1 ? sealed_make(random) : NULL;
        uint64_t **slot = &shared[(choice >> 8) % SHARED];
        if (!sealed_free(__atomic_exchange_n(slot, fresh, __ATOMIC_ACQ_REL))) {
            fprintf(stderr, "a block changed\n");
            _exit(9);
        }
    }
}

static void *churn_for_ever(void *context)
{
    uint64_t random = *(uint64_t *)context;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        churn(&random, 100);
        if (random % 16 == 0) {
            rp_alloc_thread_flush();
        }
        if (random % 32 == 1) {
            rp_allocator *own = rp_heap_create(&(rp_heap_desc){.name = "own"});
            memset(rp_alloc(own, 100), 1, 100);
            rp_allocator_destroy(own);
        }
    }
    return NULL;
}

static void *make_many(void *context)
{
    void **at = context;
    for (int i = 0; i < SHARED; i++) {
        at[i] = rp_alloc(heaps[0], 100);
    }
    return NULL;
}

/* Threads that end at once, so that slots and shared slabs are busy as well. */
static void *live_shortly_for_ever(void *context)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void *at[SHARED] = {0};
        pthread_t thread;
        if (pthread_create(&thread, NULL, make_many, at) == 0) {
            pthread_join(thread, NULL);
        }
        for (int i = 0; i < SHARED; i++) {
            rp_free(at[i]);
        }
    }
    return context;
}

static void *child_thread(void *context)
{
    uint64_t random = (uint64_t)(uintptr_t)context | 1;
    churn(&random, 1000);
    return NULL;
}

static int all_heaps_walk(void)
{
    uint64_t walked[2] = {0, 0};
    for (int i = 0; i < 3; i++) {
        rp_walk(heaps[i], heap_count_block, walked);
    }
    return walked[0] > 0;
}

static int child_life(uint64_t random, int depth);

/* A child of its own while its threads work; 0: all went well. */
static int child_with_threads(uint64_t random, int depth)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        if (pthread_create(&threads[i], NULL, child_thread, (void *)(random + i * 100))) {
            return 2;
        }
    }
    churn(&random, 1000);
    int status = 0;
    if (depth > 0) {
        pid_t child = fork();
        if (child == 0) {
            _exit(child_life(random, depth - 1));
        }
        waitpid(child, &status, 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    return status ? 3 : 0;
}

static int both_zones_stand(void)
{
    return rp_region_check(RP_ZONE_WORLD) && rp_region_check(RP_ZONE_KEEP);
}

static int child_life(uint64_t random, int depth)
{
    alarm(DEADLOCK_SECONDS); /* a lock that stayed taken */
    churn(&random, 500);
    int failed = CAN_START_THREADS ? child_with_threads(random, depth) : 0;
    for (int i = 0; i < SHARED && !failed; i++) { /* the blocks of threads that are not here */
        failed = sealed_free(shared[i]) ? 0 : 4;
        shared[i] = NULL;
    }
    rp_alloc_thread_flush();
    churn(&random, 3000);
    if (failed || !all_heaps_walk() || !both_zones_stand()) {
        return failed ? failed : 5;
    }
    for (int i = 0; i < 3; i++) {
        rp_allocator_destroy(heaps[i]);
    }
    return both_zones_stand() ? 0 : 6;
}

static void open_three(void)
{
    model_open_region();
    heaps[0] = heap_make("a", RP_ZONE_WORLD, 0);
    heaps[1] = heap_make("b", RP_ZONE_WORLD, 0);
    heaps[2] = heap_make("keep", RP_ZONE_KEEP, 0);
    rp_free(rp_alloc(heaps[1], 1)); /* both zones have all of their tables */
    rp_free(rp_alloc(heaps[2], 1));
    ck_assert_int_eq(
        pthread_atfork(rp_alloc_fork_prepare, rp_alloc_fork_parent, rp_alloc_fork_child), 0);
}

static void fork_one(uint64_t random)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        child_default_signals();
        _exit(child_life(random, 1));
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "the child ended by %d, signal %d", WEXITSTATUS(status),
                  WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

TEST(a_child_works_with_what_the_threads_left)
{
    open_three();
    uint64_t seed = test_seed(), randoms[CHURNERS];
    pthread_t threads[CHURNERS + 1];
    for (uint64_t i = 0; i < CHURNERS; i++) {
        randoms[i] = seed + i * 1000 + 1;
        pthread_create(&threads[i], NULL, churn_for_ever, &randoms[i]);
    }
    pthread_create(&threads[CHURNERS], NULL, live_shortly_for_ever, NULL);
    int forks = getenv("RP_LONG") ? FORKS * 20 : FORKS;
    for (int i = 0; i < forks; i++) {
        uint64_t random = seed + (uint64_t)i;
        churn(&random, (int)(random % 300));
        fork_one(random);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i <= CHURNERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < SHARED; i++) {
        ck_assert_int_eq(sealed_free(shared[i]), 1);
    }
    for (int i = 0; i < 3; i++) {
        heap_is_empty(heaps[i]); /* the parent is none the worse */
    }
    heap_close();
}

/* ---- what exactly a child finds ---- */

static int child_uses_slots_again(void *context)
{
    const blocks *theirs = context;
    uint32_t mine = rp_alloc_thread_get()->place;
    uint64_t live = model_stats(theirs->heap).live_count;
    blocks b = blocks_of(theirs->heap, 64, 3000);
    for (int round = 0; round < 3; round++) {
        if (CAN_START_THREADS) {
            on_thread(blocks_make, &b);
        } else {
            blocks_make(&b);
        }
        for (size_t i = 0; i < b.count; i++) {
            for (size_t k = 0; k < theirs->count; k++) {
                ck_assert_ptr_ne(b.at[i], theirs->at[k]);
            }
        }
        blocks_free(&b);
    }
    free(b.at);
    ck_assert_uint_eq(rp_alloc_thread_get()->place, mine);
    ck_assert_uint_eq(model_stats(theirs->heap).live_count, live);
    blocks_free(context);
    rp_alloc_thread_flush();
    ck_assert_uint_eq(model_stats(theirs->heap).live_count, live - theirs->count);
    return 0;
}

static int child_frees_twice(void *context)
{
    blocks *b = context;
    rp_free(b->at[0]);
    rp_alloc_thread_flush();
    rp_free(b->at[0]);
    return 0;
}

TEST(a_thread_of_the_child_never_gets_what_a_thread_of_the_parent_had)
{
    open_three();
    helper h;
    helper_start(&h);
    blocks theirs = blocks_of(heaps[0], 64, 500), freed = blocks_of(heaps[0], 64, 500);
    helper_do(&h, blocks_make, &theirs);
    helper_do(&h, blocks_make, &freed);
    blocks mine = blocks_of(heaps[0], 64, 100);
    blocks_make(&mine);
    helper_do(&h, blocks_free, &mine);
    helper_do(&h, blocks_free, &freed);
    child_end end = child_run(child_uses_slots_again, &theirs);
    ck_assert_msg(end.exit_code == 0, "signal %d: %s", end.signal, end.error_text);
    model_dies(child_frees_twice, &theirs, "double free");
    helper_do(&h, blocks_free, &theirs);
    helper_end(&h);
    heap_is_empty(heaps[0]);
    free(theirs.at), free(freed.at), free(mine.at);
    heap_close();
}

static int child_forks(void *context)
{
    int depth = *(int *)context;
    uint64_t inherited = model_stats(heaps[0]).live_count;
    blocks b = blocks_of(heaps[0], 200, 100);
    blocks_make(&b);
    if (depth > 0) {
        int next = depth - 1;
        child_end end = child_run(child_forks, &next);
        ck_assert_int_eq(end.exit_code, 0);
    }
    blocks_free(&b);
    free(b.at);
    rp_alloc_thread_flush();
    ck_assert_uint_eq(model_stats(heaps[0]).live_count, inherited);
    return 0;
}

TEST(children_of_children_work_and_leave_nothing)
{
    open_three();
    int depth = 6;
    ck_assert_int_eq(child_forks(&depth), 0);
    heap_close();
}
