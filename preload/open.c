/* When the region is opened, and what the process is told where it cannot be.
 *
 * The first call of malloc comes from the loader, before any constructor; then comes our own
 * constructor, before all others, which has the environment in its arguments.
 */
#include "alloc/allocator.h"
#include "base/error.h"
#include "base/text.h"
#include "os/os.h"
#include "preload/preload.h"
#include "preload/symbolise.h"
#include "trace/trace.h"

#include <pthread.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

rp_allocator *preload_world;

static struct {
    rp_os_lock lock;
    bool tried;
    bool limited;       /* the region is smaller than usual, by a limit of the address space */
    char **environment; /* as the constructor got it; null before */
} opening;

/* Set while this thread opens the region: what it allocates meanwhile comes from elsewhere. */
static _Thread_local bool inside;

/* ---- settings and messages ---- */

const char *preload_setting(const char *name)
{
    char **environment = opening.environment ? opening.environment : environ;
    size_t length = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            return *environment + length + 1;
        }
    }
    return NULL;
}

void preload_say(const char *format, ...)
{
    const char *quiet = preload_setting("REPRISE_QUIET");
    if (quiet && *quiet && strcmp(quiet, "0") != 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    rp_os_error_line(format, arguments);
    va_end(arguments);
}

/* ---- opening ---- */

/* All of a limited address space is not ours to reserve: a half of it, so that stacks, files and
 * the next allocator have the rest. 0: no limit. */
static uint64_t reserve_under_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur / 2 >= RP_REGION_RESERVE_BYTES) {
        return 0;
    }
    return limit.rlim_cur / 2;
}

static rp_allocator *open_region(void)
{
    uint64_t reserve_bytes = reserve_under_limit();
    opening.limited = reserve_bytes != 0;
    rp_status status =
        reserve_bytes && reserve_bytes < RP_REGION_LEAST_BYTES
            ? rp_fail(RP_E_LIMIT, "region: RLIMIT_AS leaves no room for it: raise `ulimit -v`")
            : rp_region_create(&(rp_region_desc){.reserve_bytes = reserve_bytes,
                                                 .minimum_bytes = RP_REGION_LEAST_BYTES,
                                                 .small_bytes = RP_REGION_RESERVE_BYTES,
                                                 .tick_bytes = RP_MIB(512)});
    return status == RP_OK ? rp_generic(RP_ZONE_WORLD) : NULL;
}

static void try_to_open(void)
{
    int kept = errno;
    inside = true;
    opening.tried = true;
    rp_allocator *world = open_region();
    __atomic_store_n(&preload_world, world, __ATOMIC_RELEASE);
    inside = false;
    errno = kept;
}

rp_allocator *preload_open(void)
{
    if (inside || (opening.tried && !preload_world && !opening.lock)) {
        return NULL;
    }
    rp_os_lock_take(&opening.lock);
    if (!opening.tried) {
        try_to_open();
    }
    rp_os_lock_drop(&opening.lock);
    return preload_world;
}

void *preload_spill(size_t align_bytes, size_t size_bytes)
{
    if (!opening.limited || preload_world->debug) {
        errno = ENOMEM;
        return NULL;
    }
    return next_memalign(align_bytes, size_bytes);
}

/* The first of the process to register handlers: their locks are taken last and dropped first, so
 * that the handlers of others may allocate. */
static void watch_forks(void)
{
    pthread_atfork(rp_alloc_fork_prepare, rp_alloc_fork_parent, rp_alloc_fork_child);
}

static void read_settings(void)
{
    const char *debug = preload_setting("REPRISE_DEBUG"),
               *report = preload_setting("REPRISE_REPORT");
    if (rp_trace_open(debug) != RP_OK) {
        preload_say("REPRISE_DEBUG: %s", rp_error_last()->text);
    }
    rp_symboliser_set(malloc_symbolise);
    preload_watch_misuse();
    if (debug && *debug) {
        preload_watch_faults();
    }
    if ((debug && *debug) || (report && *report)) {
        preload_watch_exit();
    }
}

__attribute__((constructor)) static void first_constructor(int argc, char **argv,
                                                           char **environment)
{
    (void)argc, (void)argv;
    opening.environment = environment;
    if (!preload_open()) {
        preload_say("malloc stays as it was: %s", rp_error_last()->text);
        return;
    }
    watch_forks();
    read_settings();
}
