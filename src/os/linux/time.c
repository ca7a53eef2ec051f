/* Clocks. */
#include "base/assert.h"
#include "os/os.h"

#include <errno.h>
#include <time.h>

static const uint64_t ns_per_second = 1000000000u;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    RP_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * ns_per_second + (uint64_t)now.tv_nsec;
}

uint64_t rp_os_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t rp_os_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t rp_os_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void rp_os_sleep_until_ns(uint64_t monotonic_ns)
{
    struct timespec until = {
        .tv_sec = (time_t)(monotonic_ns / ns_per_second),
        .tv_nsec = (long)(monotonic_ns % ns_per_second),
    };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}
