/* Threads that make, free, only free, end, and fork, under the library. */
#include "preload/under.h"
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHURN_PLACES = 300 };

/* Makes and frees blocks of its own for `steps`, each with its pattern. Returns whether all stood.
 */
static bool churn(uint64_t state, int steps)
{
    uint8_t *places[CHURN_PLACES] = {0};
    size_t sizes[CHURN_PLACES];
    bool good = true;
    for (int i = 0; i < steps; i++) {
        size_t at = test_random(&state) % CHURN_PLACES;
        if (places[at]) {
            good &= pattern_stands(places[at], sizes[at], at);
            free(places[at]);
            places[at] = NULL;
        } else {
            sizes[at] = test_random(&state) % (i % 50 ? 500 : 70000);
            places[at] = malloc(sizes[at]);
            good &= places[at] != NULL;
            pattern_write(places[at], sizes[at], at);
        }
    }
    for (size_t at = 0; at < CHURN_PLACES; at++) {
        free(places[at]);
    }
    return good;
}

/* ---- blocks that another thread frees ---- */

enum { RING = 4096, PASSED = 200000 };

typedef struct ring {
    void *_Atomic slots[RING];
    atomic_bool broken;
} ring;

static size_t passed_size(size_t i)
{
    return i % 997 == 0 ? 50000 : 16 + i % 700;
}

static void *consume(void *context)
{
    ring *r = context;
    for (size_t i = 0; i < PASSED; i++) {
        void *block;
        while (!(block = atomic_exchange(&r->slots[i % RING], NULL))) {
            sched_yield();
        }
        if (!pattern_stands(block, passed_size(i), i)) {
            r->broken = true;
        }
        errno = 4711;
        free(block);
        if (errno != 4711) {
            r->broken = true; /* free keeps it, also where it waits for a lock */
        }
    }
    return NULL;
}

TEST(what_one_thread_makes_another_one_may_free)
{
    static ring r;
    pthread_t consumer;
    ck_assert_int_eq(pthread_create(&consumer, NULL, consume, &r), 0);
    size_t most = 0;
    for (size_t i = 0; i < PASSED; i++) {
        void *block = malloc(passed_size(i));
        pattern_write(block, passed_size(i), i);
        while (atomic_load(&r.slots[i % RING])) {
            sched_yield();
        }
        atomic_store(&r.slots[i % RING], block);
        size_t arena = i % 1000 ? 0 : mallinfo2().arena;
        most = arena > most ? arena : most;
    }
    pthread_join(consumer, NULL);
    ck_assert(!r.broken);
    /* At most RING blocks are on their way; all that passed would be 80 MB. A guarded block has a
     * unit or two of its own, and all of them would be 13 GB. */
    size_t limit = ((size_t)32 << 20) + (under_mode("of-page") ? RING * ((size_t)128 << 10) : 0);
    ck_assert_msg(most < limit, "%zu bytes were taken", most);
}

/* ---- threads that end ---- */

static void *make_some_and_free_the_last(void *context)
{
    void **kept = context;
    free(*kept);
    for (int i = 0; i < 20; i++) {
        free(opaque(malloc((size_t)(i * 100))));
    }
    *kept = malloc(3000);
    return churn((uintptr_t)pthread_self(), 200) ? *kept : NULL;
}

static size_t taken_after_threads(void **kept, int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        void *result;
        ck_assert_int_eq(pthread_create(&thread, NULL, make_some_and_free_the_last, kept), 0);
        pthread_join(thread, &result);
        ck_assert_ptr_eq(result, *kept);
    }
    return mallinfo2().arena;
}

TEST(memory_does_not_grow_with_the_number_of_threads_that_came_and_went)
{
    void *kept = malloc(3000);
    size_t early = taken_after_threads(&kept, 100);
    size_t late = taken_after_threads(&kept, 1500);
    ck_assert_msg(late < early * 2 + (4 << 20), "%zu, then %zu", early, late);
    free(kept);
}

static void *free_all(void *context)
{
    void **blocks = context;
    for (size_t i = 0; i < RING; i++) {
        free(blocks[i]);
    }
    return NULL;
}

TEST(a_thread_that_only_frees_gives_memory_back)
{
    static void *blocks[RING];
    size_t first = 0, arena = 0;
    for (int round = 0; round < 100; round++) {
        pthread_t thread;
        for (size_t i = 0; i < RING; i++) {
            blocks[i] = malloc(16 + i % 500);
        }
        ck_assert_int_eq(pthread_create(&thread, NULL, free_all, blocks), 0);
        pthread_join(thread, NULL);
        arena = mallinfo2().arena;
        first = first ? first : arena;
    }
    size_t resting = under_mode("quarantine") ? (size_t)24 << 20 : 0; /* its budget is 16 MiB */
    ck_assert_msg(arena < first * 2 + (4 << 20) + resting, "%zu, then %zu", first, arena);
}

/* ---- destructors of a thread's own data ---- */

static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value)
{
    free(opaque(malloc(100)));
    if (is_ours(value) && ++destroyed % 3) {
        void *again = malloc(333); /* the key has a value again: the C library comes once more */
        pthread_setspecific(key, again);
    }
    free(value);
}

static void *with_a_value(void *unused)
{
    (void)unused;
    pthread_setspecific(key, malloc(5000));
    return NULL;
}

TEST(destructors_of_a_threads_data_may_make_and_free)
{
    pthread_key_create(&key, destroy);
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, with_a_value, NULL), 0);
        pthread_join(thread, NULL);
    }
    ck_assert_int_ge(destroyed, 600);
}

/* ---- fork ---- */

static atomic_bool stop, broken;

static void *churn_until_stopped(void *context)
{
    while (!stop) {
        if (!churn((uintptr_t)context, 2000)) {
            broken = true;
        }
    }
    return NULL;
}

static void *churn_once(void *unused)
{
    (void)unused;
    return churn(99, 500) ? &stop : NULL;
}

static int in_the_child(uint64_t seed)
{
    pthread_t thread;
    void *result = NULL;
    alarm(30);
    if (!churn(seed, 1000) || pthread_create(&thread, NULL, churn_once, NULL) ||
        pthread_join(thread, &result) || !result) {
        return 1;
    }
    pid_t grandchild = fork();
    if (grandchild == 0) {
        _exit(!churn(seed + 1, 500));
    }
    int status = 1;
    waitpid(grandchild, &status, 0);
    return status != 0;
}

/* Registered after the library's own, so these run inside its locks or before them, as they must.
 */
static void allocate_around_fork(void)
{
    free(opaque(malloc(123)));
}

TEST(a_fork_between_threads_that_allocate_leaves_both_whole)
{
    enum { THREADS = 3, FORKS = 100 };
    pthread_t threads[THREADS];
    uint64_t state = test_seed();
    pthread_atfork(allocate_around_fork, allocate_around_fork, allocate_around_fork);
    for (uintptr_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, churn_until_stopped, (void *)(state + i)), 0);
    }
    for (int i = 0; i < FORKS; i++) {
        uint64_t seed = test_random(&state);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            _exit(in_the_child(seed));
        }
        int status;
        ck_assert(churn(seed, 300));
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0, "child %d: status %x", i, status);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert(!broken);
}

TEST(programs_are_started_while_threads_allocate)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, churn_until_stopped, (void *)5), 0);
    for (int i = 0; i < 20; i++) {
        char *const arguments[] = {"true", NULL};
        pid_t child;
        int status = 1;
        ck_assert_int_eq(posix_spawnp(&child, "true", NULL, NULL, arguments, environ), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        if ((child = vfork()) == 0) {
            execlp("true", "true", (char *)NULL);
            _exit(1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    stop = true;
    pthread_join(thread, NULL);
    ck_assert(!broken);
}
