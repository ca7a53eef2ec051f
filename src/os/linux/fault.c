/* The counter behind fault.h. */
#include "os/linux/fault.h"

#ifdef RP_FAULTS

#include <errno.h>

static _Thread_local struct {
    size_t count, failing, failing_end, shortened;
    int system_code, paused;
} faults;

void rp_os_fault_set(size_t k, int system_code)
{
    rp_os_fault_set_run(k, 1, system_code);
}

void rp_os_fault_set_run(size_t k, size_t count, int system_code)
{
    faults.count = 0;
    faults.failing = k;
    faults.failing_end = k + count;
    faults.system_code = system_code;
    faults.paused = 0;
}

void rp_os_fault_pause(void)
{
    faults.paused = 1;
}

size_t rp_os_fault_count(void)
{
    return faults.count;
}

int rp_os_fault_next(void)
{
    if (faults.paused || ++faults.count < faults.failing || faults.count >= faults.failing_end) {
        return 0;
    }
    errno = faults.system_code;
    return 1;
}

void rp_os_fault_shorten_to(size_t size_bytes)
{
    faults.shortened = size_bytes;
}

size_t rp_os_fault_shorten(size_t size_bytes)
{
    return faults.shortened && faults.shortened < size_bytes ? faults.shortened : size_bytes;
}

static int light_guards_hidden;

void rp_os_fault_hide_light_guards(void)
{
    light_guards_hidden = 1;
}

int rp_os_fault_light_guards_hidden(void)
{
    return light_guards_hidden;
}

static unsigned rungs_hidden;

void rp_os_fault_hide_rungs(unsigned rungs)
{
    rungs_hidden = rungs;
}

int rp_os_fault_rung_hidden(int rung)
{
    return rungs_hidden >> rung & 1;
}

#else

/* ISO C wants a declaration in each file. */
typedef int rp_os_fault_is_off;

#endif
