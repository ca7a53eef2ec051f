/* Making tracked memory huge again: a write into a protected huge page splits it. */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/kernel.h"
#include "os/linux/track_private.h"

#include <errno.h>
#include <sys/ioctl.h>

enum {
    CHUNK_PAGES = RP_OS_HUGE_BYTES / RP_PAGE_BYTES,
    PRESENT_LEAST = CHUNK_PAGES - CHUNK_PAGES / 8,
};

/* Without arming anything. Each range is one page at least, so the vector holds all of them. */
static rp_status look_at(rp_os_tracker *tracker, void *start, rp_os_huge *found)
{
    struct page_region ranges[CHUNK_PAGES];
    struct pm_scan_arg scan = {
        .size = sizeof scan,
        .flags = PM_SCAN_CHECK_WPASYNC,
        .start = (uintptr_t)start,
        .end = (uintptr_t)start + RP_OS_HUGE_BYTES,
        .vec = (uintptr_t)ranges,
        .vec_len = CHUNK_PAGES,
        .category_anyof_mask = PAGE_IS_WRITTEN | PAGE_IS_PRESENT | PAGE_IS_HUGE,
        .return_mask = PAGE_IS_WRITTEN | PAGE_IS_PRESENT | PAGE_IS_HUGE,
    };
    int count = RP_OS_CALL(ioctl(tracker->pagemap, PAGEMAP_SCAN, &scan));
    if (count < 0) {
        return rp_fail_system(errno == EPERM ? RP_E_CHANGED : RP_E_SYSTEM, errno,
                              "write tracking: what lies at %p cannot be asked", start);
    }
    uint64_t present = 0;
    bool written = false, huge = false;
    for (int i = 0; i < count; i++) {
        written |= (ranges[i].categories & PAGE_IS_WRITTEN) != 0;
        huge |= (ranges[i].categories & PAGE_IS_HUGE) != 0;
        if (ranges[i].categories & PAGE_IS_PRESENT) {
            present += (ranges[i].end - ranges[i].start) >> RP_PAGE_SHIFT;
        }
    }
    *found = written                   ? RP_OS_HUGE_WRITTEN
             : huge                    ? RP_OS_HUGE_ALREADY
             : present < PRESENT_LEAST ? RP_OS_HUGE_SPARSE
                                       : RP_OS_HUGE_MADE;
    return RP_OK;
}

rp_status rp_os_track_make_huge(rp_os_tracker *tracker, void *start, rp_os_huge *result)
{
    *result = RP_OS_HUGE_REFUSED;
    if (tracker->rung != RP_OS_RUNG_ASYNC) {
        return RP_OK;
    }
    rp_status status = look_at(tracker, start, result);
    if (status != RP_OK || *result != RP_OS_HUGE_MADE) {
        return status;
    }
    status = rp_os_track_disarm(tracker, start, RP_OS_HUGE_BYTES);
    if (status == RP_OK && rp_os_vm_collapse(start, RP_OS_HUGE_BYTES) != RP_OK) {
        *result = RP_OS_HUGE_REFUSED;
    }
    /* Where disarming failed some pages may be disarmed. */
    rp_status armed = rp_os_track_arm(tracker, start, RP_OS_HUGE_BYTES);
    return armed != RP_OK ? armed : status;
}
