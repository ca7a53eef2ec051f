/* Clocks and randomness. */
#include "base/bits.h"
#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define MS_NS 1000000u

TEST(the_monotonic_clock_never_goes_back)
{
    uint64_t last = rp_os_monotonic_ns();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = rp_os_monotonic_ns();
        ck_assert_uint_ge(now, last);
        last = now;
    }
}

TEST(the_wall_clock_is_the_systems)
{
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    uint64_t now = rp_os_wall_ns();
    clock_gettime(CLOCK_REALTIME, &after);
    ck_assert_uint_ge(now, (uint64_t)before.tv_sec * 1000000000u + (uint64_t)before.tv_nsec);
    ck_assert_uint_le(now, (uint64_t)after.tv_sec * 1000000000u + (uint64_t)after.tv_nsec);
}

static void *cpu_of_a_fresh_thread(void *ns)
{
    *(uint64_t *)ns = rp_os_thread_cpu_ns();
    return NULL;
}

TEST(a_threads_clock_counts_that_thread_alone)
{
    uint64_t own = rp_os_thread_cpu_ns(), until = own + 5 * MS_NS, fresh = 0;
    while (rp_os_thread_cpu_ns() < until) {
    }
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, cpu_of_a_fresh_thread, &fresh), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(fresh, until);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal)
{
    (void)signal;
    alarms++;
}

static void send_alarms_every(suseconds_t period_us)
{
    struct itimerval timer = {{0, period_us}, {0, period_us}};
    struct sigaction action = {.sa_handler = count_alarm};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

TEST(a_sleep_never_ends_early_even_when_signals_come)
{
    send_alarms_every(1000);
    uint64_t until = rp_os_monotonic_ns() + 20 * MS_NS;
    rp_os_sleep_until_ns(until);
    uint64_t woke = rp_os_monotonic_ns();
    send_alarms_every(0);
    ck_assert_uint_ge(woke, until);
    ck_assert_int_gt(alarms, 0);
}

TEST(a_time_that_has_passed_is_not_waited_for)
{
    rp_os_sleep_until_ns(0);
    rp_os_sleep_until_ns(rp_os_monotonic_ns() - 1);
}

static bool all_zero(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

/* A signal cuts a large getrandom short, and so do older kernels at 32 MiB - 1: the end of the
 * buffer shows that it goes on. */
TEST(a_buffer_of_any_size_is_filled_to_its_end)
{
    const size_t size_bytes = RP_MIB(33);
    uint8_t *bytes = calloc(1, size_bytes + 1);
    send_alarms_every(1000);
    rp_status status = rp_os_random(bytes, size_bytes);
    send_alarms_every(0);
    ck_ok(status);
    ck_assert_int_gt(alarms, 0);
    for (size_t at = 0; at + 64 <= size_bytes; at += RP_KIB(64)) {
        ck_assert_msg(!all_zero(bytes + at, 64), "nothing random at %zu", at);
    }
    ck_assert(!all_zero(bytes + size_bytes - 64, 64));
    ck_assert_int_eq(bytes[size_bytes], 0);
    free(bytes);
}

TEST(two_draws_differ_and_none_is_needed_for_nothing)
{
    uint8_t one[16], other[16];
    ck_ok(rp_os_random(one, sizeof one));
    ck_ok(rp_os_random(other, sizeof other));
    ck_assert_int_ne(memcmp(one, other, sizeof one), 0);
    ck_ok(rp_os_random(NULL, 0));
}

static rp_status draw(void *bytes)
{
    return rp_os_random(bytes, 16);
}

TEST(a_refused_draw_is_told)
{
    uint8_t bytes[16];
    fault_each_call(draw, bytes, ENOSYS);
    fault_each_call_or_recover(draw, bytes, EINTR);
}
