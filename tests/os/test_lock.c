/* The lock in one word. */
#include "os/os.h"
#include "support/test.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, ROUNDS = 20000 };

static rp_os_lock lock;
static int inside;
static long total;

static void *add_under_the_lock(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        rp_os_lock_take(&lock);
        int others = inside++;
        long seen = total;
        if (i % 64 == 0) {
            sched_yield(); /* so that the others come upon a taken lock */
        }
        total = seen + 1;
        inside = others;
        rp_os_lock_drop(&lock);
    }
    return unused;
}

TEST(only_one_thread_at_a_time_holds_it)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_under_the_lock, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(total, (long)THREADS * ROUNDS);
    ck_assert_int_eq(inside, 0);
    ck_assert_uint_eq(lock, 0);
}

TEST(zero_is_unlocked_and_trying_never_waits)
{
    ck_assert(rp_os_lock_try(&lock));
    ck_assert(!rp_os_lock_try(&lock));
    rp_os_lock_drop(&lock);
    ck_assert_uint_eq(lock, 0);
    rp_os_lock_take(&lock);
    ck_assert(!rp_os_lock_try(&lock));
    rp_os_lock_drop(&lock);
    ck_assert(rp_os_lock_try(&lock));
}

static void *take_and_drop(void *unused)
{
    rp_os_lock_take(&lock);
    total++;
    rp_os_lock_drop(&lock);
    return unused;
}

TEST(sleeping_waiters_are_all_woken_one_by_one)
{
    pthread_t threads[THREADS];
    rp_os_lock_take(&lock);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_drop, NULL), 0);
    }
    while (__atomic_load_n(&lock, __ATOMIC_RELAXED) != 2) { /* 2: somebody sleeps, or is about to */
        sched_yield();
    }
    ck_assert_int_eq(total, 0);
    rp_os_lock_drop(&lock);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(total, THREADS);
    ck_assert_uint_eq(lock, 0);
}

TEST(a_restored_word_means_the_same)
{
    rp_os_lock_take(&lock);
    rp_os_lock saved = lock;
    rp_os_lock_drop(&lock);
    lock = saved;
    ck_assert(!rp_os_lock_try(&lock));
    rp_os_lock_drop(&lock);
    lock = 2; /* awaited in the process that it came from; nobody waits here */
    rp_os_lock_drop(&lock);
    ck_assert(rp_os_lock_try(&lock));
}

#ifndef NDEBUG
TEST_ABORTS(dropping_what_nobody_holds_aborts)
{
    rp_os_lock_drop(&lock);
}
#endif
