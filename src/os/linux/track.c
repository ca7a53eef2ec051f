/* Write tracking: which rung a tracker is on, and what is the same on all. */
#include "base/error.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <unistd.h>

static const rp_os_tracker none = {.uffd = -1, .pagemap = -1};

bool rp_os_track_takes_signals(const rp_os_tracker *tracker)
{
    return tracker->rung != RP_OS_RUNG_ASYNC;
}

rp_status rp_os_track_open(rp_os_tracker *tracker, rp_os_rung rung)
{
    *tracker = none;
    tracker->rung = rung;
    rp_status status =
        rung == RP_OS_RUNG_ASYNC ? rp_os_async_open(tracker) : rp_os_fault_open(tracker);
    if (status) {
        rp_os_track_close(tracker);
    }
    return status;
}

void rp_os_track_close(rp_os_tracker *tracker)
{
    if (tracker->owner) {
        rp_os_fault_close(tracker);
    }
    if (tracker->uffd >= 0) {
        close(tracker->uffd);
    }
    if (tracker->pagemap >= 0) {
        close(tracker->pagemap);
    }
    *tracker = none;
}

rp_status rp_os_track_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return rp_os_track_takes_signals(tracker) ? rp_os_fault_add_written(tracker, start, size_bytes)
                                              : rp_os_async_add_written(tracker, start, size_bytes);
}

rp_status rp_os_track_remove(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return rp_os_track_takes_signals(tracker) ? rp_os_fault_remove(tracker, start, size_bytes)
                                              : rp_os_async_remove(tracker, start, size_bytes);
}

rp_status rp_os_track_add(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    rp_status status = rp_os_track_add_written(tracker, start, size_bytes);
    if (status) {
        return status;
    }
    status = rp_os_track_arm(tracker, start, size_bytes);
    if (status && rp_os_track_takes_signals(tracker)) {
        rp_os_fault_forget(tracker, start, size_bytes);
    } else if (status) {
        rp_os_async_forget(tracker, start, size_bytes);
    }
    return status;
}

rp_status rp_os_track_collect(rp_os_tracker *tracker, void *start, size_t size_bytes,
                              rp_os_extent *extents, size_t capacity, size_t *count, void **next)
{
    return rp_os_track_takes_signals(tracker)
               ? rp_os_fault_collect(tracker, start, size_bytes, extents, capacity, count, next)
               : rp_os_async_scan(tracker, true, start, size_bytes, extents, capacity, count, next);
}

rp_status rp_os_track_look(rp_os_tracker *tracker, void *start, size_t size_bytes,
                           rp_os_extent *extents, size_t capacity, size_t *count, void **next)
{
    *count = 0;
    *next = (uint8_t *)start + size_bytes;
    return rp_os_track_takes_signals(tracker)
               ? rp_fail(RP_E_UNSUPPORTED, "write tracking: only rung 1 tells without arming")
               : rp_os_async_scan(tracker, false, start, size_bytes, extents, capacity, count,
                                  next);
}

rp_status rp_os_track_disarm(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return rp_os_track_takes_signals(tracker)
               ? rp_os_fault_disarm(tracker, start, size_bytes)
               : rp_os_async_protect(tracker, start, size_bytes, false);
}

rp_status rp_os_track_arm(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return rp_os_track_takes_signals(tracker)
               ? rp_os_fault_arm(tracker, start, size_bytes)
               : rp_os_async_protect(tracker, start, size_bytes, true);
}

rp_status rp_os_track_check(rp_os_tracker *tracker)
{
    return rp_os_track_takes_signals(tracker) ? rp_os_fault_check(tracker) : RP_OK;
}
