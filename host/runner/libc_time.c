/* Time and the C library's hidden statics, for the program's code.
 *
 * A restored or repeated frame must see what it saw before, so code of the world gets virtual time,
 * and the results of strtok or localtime in the world. Code of keep libraries, and the runner
 * itself, gets the real ones. Random numbers: libc_random.c.
 */
#include "interpose.h"
#include "runner.h"

#include <errno.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

bool runner_is_world(const void *caller)
{
    return rp_class_of_code(caller) == RP_ZONE_WORLD;
}

rp_environment *runner_environment(void)
{
    return rp_region_is_open() ? rp_region_root(RP_ZONE_WORLD, RP_ROOT_ENVIRONMENT) : NULL;
}

rp_environment *runner_environment_of(const void *caller)
{
    return runner_is_world(caller) ? runner_environment() : NULL;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

/* ---- clocks ---- */

EXPORT time_t time(time_t *result)
{
    rp_environment *environment = runner_environment_of(CALLER);
    struct timespec now;
    if (environment) {
        now = timespec_of(rp_environment_wall_ns(environment));
    } else {
        REAL(clock_gettime);
        real(CLOCK_REALTIME, &now);
    }
    if (result) {
        *result = now.tv_sec;
    }
    return now.tv_sec;
}

static bool is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *result)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        *result = timespec_of(is_wall(clock) ? rp_environment_wall_ns(environment)
                                             : rp_environment_monotonic_ns(environment));
        return 0;
    }
    REAL(clock_gettime);
    return real(clock, result);
}

EXPORT int gettimeofday(struct timeval *restrict result, void *restrict zone)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        struct timespec now = timespec_of(rp_environment_wall_ns(environment));
        *result = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
        return 0;
    }
    REAL(gettimeofday);
    return real(result, zone);
}

EXPORT int timespec_get(struct timespec *result, int base)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment && base == TIME_UTC) {
        *result = timespec_of(rp_environment_wall_ns(environment));
        return base;
    }
    REAL(timespec_get);
    return real(result, base);
}

EXPORT clock_t clock(void)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        return (clock_t)(rp_environment_monotonic_ns(environment) / (1000000000u / CLOCKS_PER_SEC));
    }
    REAL(clock);
    return real();
}

/* Sleeping moves the virtual clock and takes no time: a step that slept would slow every replay
 * down. */
EXPORT int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        rp_environment_sleep(environment,
                             (uint64_t)wanted->tv_sec * 1000000000u + (uint64_t)wanted->tv_nsec);
        return 0;
    }
    REAL(nanosleep);
    return real(wanted, left);
}

EXPORT int usleep(useconds_t wanted_us)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        rp_environment_sleep(environment, (uint64_t)wanted_us * 1000u);
        return 0;
    }
    REAL(usleep);
    return real(wanted_us);
}

EXPORT unsigned sleep(unsigned wanted_s)
{
    rp_environment *environment = runner_environment_of(CALLER);
    if (environment) {
        rp_environment_sleep(environment, (uint64_t)wanted_s * 1000000000u);
        return 0;
    }
    REAL(sleep);
    return real(wanted_s);
}

/* ---- hidden statics ---- */

/* What these functions keep between calls, or hand out a pointer to. */
typedef struct hidden {
    char *strtok_next;
    struct tm broken_down;
    char text[64];
} hidden;

static hidden *hidden_of(const void *caller)
{
    if (!runner_environment_of(caller)) {
        return NULL;
    }
    hidden *state = rp_region_root(RP_ZONE_WORLD, RP_ROOT_RUNNER);
    if (!state) {
        rp_allocator *world = rp_region_root(RP_ZONE_WORLD, RP_ROOT_GENERIC);
        state = rp_alloc_zeroed(world, 1, sizeof *state);
        rp_region_root_set(RP_ZONE_WORLD, RP_ROOT_RUNNER, state);
    }
    return state;
}

EXPORT char *strtok(char *restrict text, const char *restrict delimiters)
{
    hidden *state = hidden_of(CALLER);
    if (state) {
        return strtok_r(text, delimiters, &state->strtok_next);
    }
    REAL(strtok);
    return real(text, delimiters);
}

EXPORT struct tm *gmtime(const time_t *when)
{
    hidden *state = hidden_of(CALLER);
    if (state) {
        return gmtime_r(when, &state->broken_down);
    }
    REAL(gmtime);
    return real(when);
}

EXPORT struct tm *localtime(const time_t *when)
{
    hidden *state = hidden_of(CALLER);
    if (state) {
        tzset();
        return localtime_r(when, &state->broken_down);
    }
    REAL(localtime);
    return real(when);
}

EXPORT char *asctime(const struct tm *when)
{
    hidden *state = hidden_of(CALLER);
    if (state) {
        return asctime_r(when, state->text);
    }
    REAL(asctime);
    return real(when);
}

EXPORT char *ctime(const time_t *when)
{
    hidden *state = hidden_of(CALLER);
    if (state) {
        return ctime_r(when, state->text);
    }
    REAL(ctime);
    return real(when);
}
