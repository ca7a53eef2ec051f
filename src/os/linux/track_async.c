/* Rung 1 of write tracking: userfaultfd write protection that the kernel resolves by itself
 * (WP_ASYNC), read back and armed again by PAGEMAP_SCAN. Linux 6.7. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/kernel.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel gathers at most 512 ranges before it hands them over. Beyond that its `walk_end` may
 * lag behind a finished walk, so no more are asked for in one call: fewer than the vector holds
 * then means complete, and a full vector goes on at `walk_end`. */
enum {
    SCAN_RANGES = 512,
    FIRST_RANGES = 64, /* asked for first: the kernel takes memory for as many, 0.8 us for all */
};

bool rp_os_track_unsupported(int system_code)
{
    return system_code == ENOSYS || system_code == EPERM || system_code == EACCES ||
           system_code == EINVAL || system_code == ENOTTY || system_code == ENOENT;
}

static rp_status fail_to_open(int system_code, const char *what)
{
    return rp_fail_system(rp_os_track_unsupported(system_code) ? RP_E_UNSUPPORTED : RP_E_SYSTEM,
                          system_code,
                          "write tracking: %s: Linux 6.7 is needed, and a sandbox must allow "
                          "userfaultfd and /proc",
                          what);
}

static rp_status open_uffd(int *fd)
{
    const int flags = UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK;
    if (rp_os_fault_rung_hidden(RP_OS_RUNG_ASYNC)) {
        return fail_to_open(ENOSYS, "hidden by a test");
    }
    *fd = (int)RP_OS_CALL(syscall(SYS_userfaultfd, flags));
    if (*fd < 0) {
        return fail_to_open(errno, "userfaultfd refused");
    }
    struct uffdio_api api = {
        .api = UFFD_API,
        .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
    };
    if (RP_OS_CALL(ioctl(*fd, UFFDIO_API, &api)) < 0) {
        return fail_to_open(errno, "no asynchronous write protection");
    }
    return RP_OK;
}

static rp_status open_pagemap(int *fd)
{
    *fd = RP_OS_CALL(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (*fd < 0) {
        return fail_to_open(errno, "/proc/self/pagemap cannot be opened");
    }
    struct pm_scan_arg nothing = {.size = sizeof nothing};
    if (RP_OS_CALL(ioctl(*fd, PAGEMAP_SCAN, &nothing)) < 0) {
        return fail_to_open(errno, "no PAGEMAP_SCAN");
    }
    return RP_OK;
}

rp_status rp_os_async_open(rp_os_tracker *tracker)
{
    rp_status status = open_uffd(&tracker->uffd);
    return status ? status : open_pagemap(&tracker->pagemap);
}

static struct uffdio_range range_of(void *start, size_t size_bytes)
{
    RP_ASSERT_DEBUG(((uintptr_t)start | size_bytes) % RP_PAGE_BYTES == 0);
    return (struct uffdio_range){.start = (uintptr_t)start, .len = size_bytes};
}

rp_status rp_os_async_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    struct uffdio_register request = {
        .range = range_of(start, size_bytes),
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    if (RP_OS_CALL(ioctl(tracker->uffd, UFFDIO_REGISTER, &request)) < 0) {
        return rp_fail_system(
            RP_E_SYSTEM, errno,
            "write tracking: %zu KiB at %p cannot be registered: the range must be "
            "mapped, writable in principle and tracked by nobody else",
            size_bytes >> 10, start);
    }
    return RP_OK;
}

void rp_os_async_forget(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    struct uffdio_range range = range_of(start, size_bytes);
    ioctl(tracker->uffd, UFFDIO_UNREGISTER, &range);
}

rp_status rp_os_async_remove(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    struct uffdio_range range = range_of(start, size_bytes);
    if (RP_OS_CALL(ioctl(tracker->uffd, UFFDIO_UNREGISTER, &range)) < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "write tracking: %zu KiB at %p cannot be given up: it must be mapped",
                              size_bytes >> 10, start);
    }
    return RP_OK;
}

rp_status rp_os_async_protect(rp_os_tracker *tracker, void *start, size_t size_bytes, bool arm)
{
    struct uffdio_writeprotect request = {
        .range = range_of(start, size_bytes),
        .mode = arm ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
    };
    int result;
    do { /* EAGAIN: the mappings are being changed by another thread. */
        result = RP_OS_CALL(ioctl(tracker->uffd, UFFDIO_WRITEPROTECT, &request));
    } while (result < 0 && (errno == EAGAIN || errno == EINTR));
    if (result < 0) {
        return rp_fail_system(errno == ENOENT ? RP_E_CHANGED : RP_E_SYSTEM, errno,
                              "write tracking: %zu KiB at %p cannot be %s: track the range (again)",
                              size_bytes >> 10, start, arm ? "armed" : "disarmed");
    }
    return RP_OK;
}

void rp_os_async_touch(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    struct uffdio_writeprotect request = {.range = range_of(start, size_bytes)};
    int result;
    do {
        result = ioctl(tracker->uffd, UFFDIO_WRITEPROTECT, &request);
    } while (result < 0 && (errno == EAGAIN || errno == EINTR));
    if (result == 0 || errno != ENOENT || size_bytes == RP_PAGE_BYTES) {
        return;
    }
    for (size_t at = 0; at < size_bytes; at += RP_PAGE_BYTES) {
        rp_os_async_touch(tracker, (uint8_t *)start + at, RP_PAGE_BYTES);
    }
}

static rp_status fail_to_scan(int system_code, uint64_t from, uint64_t to)
{
    if (system_code == EPERM) {
        return rp_fail_system(RP_E_CHANGED, system_code,
                              "write tracking: lost somewhere in %#llx-%#llx (the range was mapped "
                              "anew or moved): take all of it as written and track it again",
                              (unsigned long long)from, (unsigned long long)to);
    }
    return rp_fail_system(RP_E_SYSTEM, system_code, "write tracking: scan of %#llx-%#llx",
                          (unsigned long long)from, (unsigned long long)to);
}

/* Appends the ranges, joining neighbours; returns the new count. */
static size_t append(rp_os_extent *extents, size_t count, const struct page_region *ranges,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *start = (uint8_t *)(uintptr_t)ranges[i].start;
        size_t size_bytes = ranges[i].end - ranges[i].start;
        if (count && extents[count - 1].start + extents[count - 1].size_bytes == start) {
            extents[count - 1].size_bytes += size_bytes;
        } else {
            extents[count++] = (rp_os_extent){start, size_bytes};
        }
    }
    return count;
}

rp_status rp_os_async_scan(rp_os_tracker *tracker, bool arm, void *start, size_t size_bytes,
                           rp_os_extent *extents, size_t capacity, size_t *count, void **next)
{
    struct page_region ranges[SCAN_RANGES];
    uint64_t from = (uintptr_t)start, end = from + size_bytes;
    size_t most = FIRST_RANGES;
    *count = 0;
    while (from < end && *count < capacity) {
        struct pm_scan_arg scan = {
            .size = sizeof scan,
            .flags = (arm ? PM_SCAN_WP_MATCHING : 0) | PM_SCAN_CHECK_WPASYNC,
            .start = from,
            .end = end,
            .vec = (uintptr_t)ranges,
            .vec_len = rp_min_size(most, capacity - *count),
            .category_mask = PAGE_IS_WRITTEN,
            .return_mask = PAGE_IS_WRITTEN,
        };
        int found = RP_OS_CALL(ioctl(tracker->pagemap, PAGEMAP_SCAN, &scan));
        if (found < 0) {
            return fail_to_scan(errno, from, end);
        }
        *count = append(extents, *count, ranges, (size_t)found);
        from = (uint64_t)found < scan.vec_len ? end : scan.walk_end;
        most = SCAN_RANGES;
    }
    *next = (void *)(uintptr_t)from;
    return RP_OK;
}
