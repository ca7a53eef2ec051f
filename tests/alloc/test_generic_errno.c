/* free on its fast path leaves errno alone, also where it must wait for a lock. */
#include "alloc/generic_fixture.h"

#include "alloc/cache.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { BLOCKS = 20000, BLOCK_BYTES = 2000, ERRNO_BEFORE = 4711 };

static void *held[BLOCKS];
static atomic_int freed, interrupted;
static atomic_bool made, go, changed;

static void on_signal(int number)
{
    (void)number;
    interrupted++;
}

/* Whole slabs become free, and those go to the region, under its lock. */
static void *make_and_free(void *context)
{
    (void)context;
    for (int i = 0; i < BLOCKS; i++) {
        held[i] = rp_generic_malloc(BLOCK_BYTES);
    }
    made = true;
    while (!go) {
    }
    for (int i = 0; i < BLOCKS; i++) {
        errno = ERRNO_BEFORE;
        if (!rp_generic_free_here(held[i])) {
            rp_free(held[i]);
        }
        changed = changed || errno != ERRNO_BEFORE;
        freed++;
    }
    return NULL;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* All locks are held, so the thread comes to wait for one. A signal ends its wait with EINTR. */
TEST(free_keeps_errno_while_it_waits_for_a_lock)
{
    pthread_t thread;
    heap_open();
    struct sigaction action = {.sa_handler = on_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_ptr_nonnull(rp_alloc(rp_generic(RP_ZONE_WORLD), 1));
    ck_assert_int_eq(pthread_create(&thread, NULL, make_and_free, NULL), 0);
    while (!made) {
        pause_ms(1);
    }
    rp_alloc_fork_prepare();
    go = true;
    for (int seen = -1; seen != freed;) { /* it stands */
        seen = freed;
        pause_ms(50);
    }
    for (int i = 0; i < 20; i++) {
        pthread_kill(thread, SIGUSR1);
        pause_ms(2);
    }
    ck_assert_int_lt(freed, BLOCKS); /* else it never waited, and nothing was shown */
    rp_alloc_fork_parent();
    pthread_join(thread, NULL);
    ck_assert_int_gt(interrupted, 0);
    ck_assert(!changed);
    heap_close();
}
