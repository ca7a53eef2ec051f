/* Rungs 2 and 3 of write tracking: armed pages are protected, the handler of the fault notes the
 * write in the account (track_pages.c), collecting reads the account.
 *
 * Handlers take no lock, so the order of two steps counts everywhere. To arm: first the account,
 * then the protection; to let through: first the protection, then the account. Whatever comes in
 * between, a page that can be written is marked written at the end, and at worst told once too
 * often.
 */
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
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

rp_os_fault_tracker rp_os_fault_trackers[RP_OS_FAULT_OWNERS];

static uint8_t owner_bits(const rp_os_tracker *tracker)
{
    return (uint8_t)(tracker->owner << PAGE_OWNER_SHIFT);
}

static rp_os_fault_tracker *own(const rp_os_tracker *tracker)
{
    return &rp_os_fault_trackers[tracker->owner];
}

static int signal_of(rp_os_rung rung)
{
    return rung == RP_OS_RUNG_SIGBUS ? SIGBUS : SIGSEGV;
}

/* ---- opening --------------------------------------------------------------------------------- */

static rp_status fail_to_open(int system_code, const char *what)
{
    return rp_fail_system(rp_os_track_unsupported(system_code) ? RP_E_UNSUPPORTED : RP_E_SYSTEM,
                          system_code,
                          "write tracking by SIGBUS: %s: Linux 5.7 is needed, and a sandbox must "
                          "allow userfaultfd",
                          what);
}

static int ask_for(int fd, uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    return RP_OS_CALL(ioctl(fd, UFFDIO_API, &api));
}

static rp_status open_uffd(rp_os_tracker *tracker)
{
    const uint64_t needed = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP;
    const int flags = O_CLOEXEC | O_NONBLOCK;
    if (rp_os_fault_rung_hidden(RP_OS_RUNG_SIGBUS)) {
        return fail_to_open(ENOSYS, "hidden by a test");
    }
    tracker->uffd = (int)RP_OS_CALL(syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY));
    if (tracker->uffd < 0 && errno == EINVAL) { /* before 5.11, where it needs no privilege */
        tracker->uffd = (int)RP_OS_CALL(syscall(SYS_userfaultfd, flags));
    }
    if (tracker->uffd < 0) {
        return fail_to_open(errno, "userfaultfd refused");
    }
    const uint64_t more =
        rp_os_fault_rung_hidden(8) ? UINT64_C(1) << 63 : UFFD_FEATURE_WP_UNPOPULATED;
    int result = ask_for(tracker->uffd, needed | more);
    if (result < 0 && errno == EINVAL) {
        own(tracker)->populates = true;
        result = ask_for(tracker->uffd, needed);
    }
    return result == 0 ? RP_OK : fail_to_open(errno, "no write protection with signals");
}

static rp_status fail_hidden(void)
{
    return rp_fail_system(RP_E_UNSUPPORTED, ENOSYS,
                          "write tracking by page protection: hidden by a test: use another way");
}

static rp_status take_owner(rp_os_tracker *tracker)
{
    for (uint8_t owner = 1; owner < RP_OS_FAULT_OWNERS; owner++) {
        bool expected = false;
        if (__atomic_compare_exchange_n(&rp_os_fault_trackers[owner].used, &expected, true, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            tracker->owner = owner;
            return RP_OK;
        }
    }
    return rp_fail(RP_E_LIMIT, "write tracking: there are 15 trackers already: close one");
}

rp_status rp_os_fault_open(rp_os_tracker *tracker)
{
    rp_os_rung rung = tracker->rung;
    rp_status status = take_owner(tracker);
    if (status) {
        return status;
    }
    rp_os_fault_tracker *made = own(tracker);
    made->rung = rung;
    made->uffd = -1;
    made->populates = false;
    made->low = (uint8_t *)UINTPTR_MAX;
    made->high = NULL;
    if (rung == RP_OS_RUNG_SIGBUS) {
        status = open_uffd(tracker);
    } else if (rp_os_fault_rung_hidden(RP_OS_RUNG_MPROTECT)) {
        status = fail_hidden();
    }
    status = status ? status : rp_os_handler_take(signal_of(rung));
    if (status) {
        made->used = false;
        tracker->owner = 0;
        return status;
    }
    made->uffd = tracker->uffd;
    return RP_OK;
}

/* ---- protecting ------------------------------------------------------------------------------ */

static int protect_by_uffd(int uffd, uint8_t *start, uint8_t *end, bool arm)
{
    struct uffdio_writeprotect request = {
        .range = {.start = (uintptr_t)start, .len = (uint64_t)(end - start)},
        .mode = arm ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
    };
    int result;
    do {
        result = ioctl(uffd, UFFDIO_WRITEPROTECT, &request);
    } while (result < 0 && (errno == EAGAIN || errno == EINTR));
    /* Before 6.4 one call covers one mapping alone: halves, until each lies in one. */
    if (result < 0 && errno == ENOENT && end - start > (ptrdiff_t)RP_PAGE_BYTES) {
        size_t half = rp_align_down((size_t)(end - start) / 2, RP_PAGE_BYTES);
        result = protect_by_uffd(uffd, start, start + half, arm);
        return result < 0 ? result : protect_by_uffd(uffd, start + half, end, arm);
    }
    return result;
}

/* What is not there cannot be protected before 6.4, so the page of zeros is put there. Reading does
 * it too, where the system cannot be asked for it (before 5.14), and there are no light guards yet.
 */
static void populate(uint8_t *start, const uint8_t *end)
{
    size_t size_bytes = (size_t)(end - start);
    if (madvise(start, size_bytes, MADV_POPULATE_READ) == 0) {
        return;
    }
    bool must_read = errno == EINVAL;
    for (uint8_t *page = start; page < end; page += RP_PAGE_BYTES) {
        if (rp_os_pages_get(page) & (PAGE_CLOSED | PAGE_GONE)) {
            continue;
        }
        if (must_read) {
            (void)*(volatile uint8_t *)page;
        } else {
            (void)madvise(page, RP_PAGE_BYTES, MADV_POPULATE_READ);
        }
    }
}

static int protect(const rp_os_fault_tracker *own, uint8_t *start, uint8_t *end, bool arm)
{
    if (own->rung == RP_OS_RUNG_MPROTECT) {
        return mprotect(start, (size_t)(end - start), arm ? PROT_READ : PROT_READ | PROT_WRITE);
    }
    if (arm && own->populates) {
        populate(start, end);
    }
    return protect_by_uffd(own->uffd, start, end, arm);
}

/* Where each boundary of protection is a mapping of its own there may be none left to split. A
 * wider stretch ends at fewer boundaries than there are in it. */
bool rp_os_fault_let_through(uint8_t owner, uint8_t *start, uint8_t *end)
{
    const uint8_t mask = PAGE_OWNER | PAGE_CLOSED | PAGE_GONE;
    const uint8_t same = (uint8_t)(owner << PAGE_OWNER_SHIFT);
    const rp_os_fault_tracker *own = &rp_os_fault_trackers[owner];
    for (size_t around = RP_KIB(256); protect(own, start, end, false) < 0; around *= 8) {
        if (errno != ENOMEM || around > RP_GIB(1)) {
            return false;
        }
        uint8_t *wide = (uint8_t *)rp_align_down((uintptr_t)start, around);
        uint8_t *wide_end = rp_os_pages_other(end, wide + around, mask, same);
        while (start > wide && (rp_os_pages_get(start - RP_PAGE_BYTES) & mask) == same) {
            start -= RP_PAGE_BYTES;
        }
        end = wide_end > end ? wide_end : end;
    }
    rp_os_pages_update(start, end, PAGE_ARMED, PAGE_WRITTEN);
    /* A page that another thread closed meanwhile was opened by this; its account says so. */
    if (own->rung == RP_OS_RUNG_MPROTECT) {
        for (uint8_t *page = start;
             (page = rp_os_pages_same(page, end, PAGE_CLOSED, PAGE_CLOSED)) < end;
             page += RP_PAGE_BYTES) {
            mprotect(page, RP_PAGE_BYTES, PROT_NONE);
        }
    }
    return true;
}

static rp_status fail_to_protect(int system_code, const uint8_t *start, const uint8_t *end,
                                 bool arm)
{
    return rp_fail_system(system_code == ENOENT ? RP_E_CHANGED : RP_E_SYSTEM, system_code,
                          "write tracking: %zu KiB at %p cannot be %s: track the range (again)",
                          (size_t)(end - start) >> 10, (const void *)start,
                          arm ? "armed" : "disarmed");
}

/* Protects the pages of a run that are marked as armed already, around those that the program
 * itself has closed. */
static int protect_run(const rp_os_fault_tracker *own, uint8_t *start, uint8_t *end, bool arm)
{
    const uint8_t not_ours = PAGE_CLOSED | PAGE_GONE;
    if (own->rung == RP_OS_RUNG_SIGBUS && !own->populates) {
        return protect(own, start, end, arm); /* it has nothing to do with access */
    }
    while (start < end) {
        uint8_t *stop = rp_os_pages_other(start, end, not_ours, 0);
        if (stop > start && protect(own, start, stop, arm) < 0) {
            return -1;
        }
        start = stop == start ? start + RP_PAGE_BYTES : stop;
    }
    return 0;
}

/* False: some page of the range is not this tracker's. */
static bool all_own(const rp_os_tracker *tracker, void *start, uint8_t *end)
{
    return rp_os_pages_other(start, end, PAGE_OWNER, owner_bits(tracker)) == end;
}

static rp_status arm_or_disarm(rp_os_tracker *tracker, void *start, size_t size_bytes, bool arm)
{
    uint8_t *from = start, *end = from + size_bytes;
    RP_ASSERT_DEBUG(((uintptr_t)start | size_bytes) % RP_PAGE_BYTES == 0);
    if (!all_own(tracker, from, end)) {
        return fail_to_protect(ENOENT, from, end, arm);
    }
    if (arm) {
        rp_os_pages_update(from, end, PAGE_WRITTEN, PAGE_ARMED);
    }
    int system_code = rp_os_fault_injected() ? errno : 0;
    if (!system_code && protect_run(own(tracker), from, end, arm) < 0) {
        system_code = errno;
    }
    if (!arm || system_code) { /* what may have been protected by half faults, and is let through */
        rp_os_pages_update(from, end, PAGE_ARMED, PAGE_WRITTEN);
    }
    return system_code ? fail_to_protect(system_code, from, end, arm) : RP_OK;
}

rp_status rp_os_fault_arm(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return arm_or_disarm(tracker, start, size_bytes, true);
}

rp_status rp_os_fault_disarm(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    return arm_or_disarm(tracker, start, size_bytes, false);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

typedef struct adding {
    const rp_os_tracker *tracker;
    uint8_t *at, *end; /* what is still to be found mapped */
    int refusal;
} adding;

/* Pages that this tracker has armed look as if they may only be read. */
static void add_pages(const adding *a, uint8_t *start, uint8_t *end, bool writable)
{
    uint8_t bits = owner_bits(a->tracker);
    for (uint8_t *page = start; page < end; page += RP_PAGE_BYTES) {
        uint8_t before = rp_os_pages_get(page);
        bool armed = (before & (PAGE_OWNER | PAGE_ARMED | PAGE_CLOSED)) == (bits | PAGE_ARMED);
        bool ours = armed || rp_os_frozen_holds(page);
        uint8_t closed = writable || ours ? 0 : PAGE_CLOSED;
        rp_os_pages_set(page, page + RP_PAGE_BYTES, (uint8_t)(bits | PAGE_WRITTEN | closed));
    }
}

static bool add_mapping(void *context, const rp_os_mapping *mapping)
{
    adding *a = context;
    if (mapping->start > a->at) {
        a->refusal = ENOMEM;
        return false;
    }
    if (mapping->shared || (mapping->executable && mapping->writable)) {
        a->refusal = EINVAL;
        return false;
    }
    uint8_t *stop = mapping->end < a->end ? mapping->end : a->end;
    add_pages(a, a->at, stop, mapping->writable);
    a->at = stop;
    return true;
}

static rp_status fail_to_add(int system_code, const void *start, size_t size_bytes)
{
    return rp_fail_system(RP_E_SYSTEM, system_code,
                          "write tracking: %zu KiB at %p cannot be registered: the range must be "
                          "mapped, writable in principle, private, and tracked by nobody else",
                          size_bytes >> 10, start);
}

/* 0, or why it is refused. */
static int check_owner(const rp_os_tracker *tracker, uint8_t *start, uint8_t *end)
{
    for (uint8_t *page = start; page < end; page += RP_PAGE_BYTES) {
        page = rp_os_pages_other(page, end, PAGE_OWNER, 0);
        uint8_t state = page < end ? rp_os_pages_get(page) : 0, owner = state >> PAGE_OWNER_SHIFT;
        bool there = owner && !(state & PAGE_GONE) && rp_os_fault_trackers[owner].used;
        if (there && owner != tracker->owner) {
            return EBUSY;
        }
    }
    return 0;
}

static int register_range(const rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    struct uffdio_register request = {
        .range = {.start = (uintptr_t)start, .len = size_bytes},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    return RP_OS_CALL(ioctl(tracker->uffd, UFFDIO_REGISTER, &request)) < 0 ? errno : 0;
}

void rp_os_fault_forget(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    uint8_t *from = start, *end = from + size_bytes;
    (void)protect_run(own(tracker), from, end, false);
    rp_os_pages_set(from, end, 0);
    if (tracker->uffd >= 0) {
        rp_os_async_forget(tracker, start, size_bytes);
    }
}

rp_status rp_os_fault_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    adding a = {.tracker = tracker, .at = start, .end = (uint8_t *)start + size_bytes};
    rp_status status = rp_os_pages_need(start, size_bytes);
    if (status) {
        return status;
    }
    int refusal = check_owner(tracker, start, a.end);
    if (!refusal && tracker->uffd >= 0) {
        refusal = register_range(tracker, start, size_bytes);
    }
    if (!refusal) {
        refusal = rp_os_fault_injected() ? errno : 0;
    }
    if (refusal) {
        return fail_to_add(refusal, start, size_bytes);
    }
    bool walked = rp_os_mappings_walk(start, a.end, add_mapping, &a);
    refusal = a.refusal ? a.refusal : !walked ? EACCES : a.at < a.end ? ENOMEM : 0;
    if (refusal) {
        rp_os_fault_forget(tracker, start, (size_t)(a.end - (uint8_t *)start));
        return fail_to_add(refusal, start, size_bytes);
    }
    rp_os_fault_tracker *mine = own(tracker);
    mine->low = (uint8_t *)start < mine->low ? start : mine->low;
    mine->high = a.end > mine->high ? a.end : mine->high;
    /* What is left protected of an earlier time faults once and is let through. */
    return RP_OK;
}

rp_status rp_os_fault_remove(rp_os_tracker *tracker, void *start, size_t size_bytes)
{
    if (rp_os_fault_injected()) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "write tracking: %zu KiB at %p cannot be given up: it must be mapped",
                              size_bytes >> 10, start);
    }
    rp_os_fault_forget(tracker, start, size_bytes);
    return RP_OK;
}

/* Page by page where a hole lies in between. */
static void unprotect_all(rp_os_fault_tracker *mine, uint8_t bits)
{
    const uint8_t mask = PAGE_OWNER | PAGE_ARMED | PAGE_CLOSED | PAGE_GONE;
    uint8_t *at = mine->low;
    while ((at = rp_os_pages_same(at, mine->high, mask, bits | PAGE_ARMED)) < mine->high) {
        uint8_t *end = rp_os_pages_other(at, mine->high, mask, bits | PAGE_ARMED);
        if (mprotect(at, (size_t)(end - at), PROT_READ | PROT_WRITE) == 0) {
            at = end;
            continue;
        }
        for (; at < end; at += RP_PAGE_BYTES) {
            (void)mprotect(at, RP_PAGE_BYTES, PROT_READ | PROT_WRITE);
        }
    }
}

void rp_os_fault_close(rp_os_tracker *tracker)
{
    rp_os_fault_tracker *mine = own(tracker);
    uint8_t bits = owner_bits(tracker);
    if (mine->rung == RP_OS_RUNG_MPROTECT && mine->high) {
        unprotect_all(mine, bits);
    } else if (tracker->uffd >= 0) {
        close(tracker->uffd); /* the kernel lets all writes through from here on */
        tracker->uffd = -1;
    }
    for (uint8_t *at = mine->low;
         (at = rp_os_pages_same(at, mine->high, PAGE_OWNER, bits)) < mine->high;) {
        uint8_t *end = rp_os_pages_other(at, mine->high, PAGE_OWNER, bits);
        rp_os_pages_set(at, end, 0);
        at = end;
    }
    rp_os_handler_drop(signal_of(mine->rung));
    tracker->owner = 0;
    __atomic_store_n(&mine->used, false, __ATOMIC_SEQ_CST);
}

/* ---- collecting ------------------------------------------------------------------------------ */

/* Pages that could be protected with their neighbours in one call, though they are so already. */
enum { JOIN_PAGES = 64 };

/* Joins what is to be protected where little lies between, since each call costs a microsecond. */
typedef struct arming {
    const rp_os_fault_tracker *own;
    uint8_t *start, *end;
    int system_code;
} arming;

/* What cannot be protected now is told again the next time. */
static void arming_flush(arming *a)
{
    if (a->start < a->end && protect_run(a->own, a->start, a->end, true) < 0) {
        a->system_code = errno == ENOMEM ? a->system_code : errno;
        rp_os_pages_update(a->start, a->end, PAGE_ARMED, PAGE_WRITTEN);
    }
    a->start = a->end = NULL;
}

static void arming_add(arming *a, uint8_t *start, uint8_t *end, uint8_t armed)
{
    bool near = a->end && start - a->end <= (ptrdiff_t)(JOIN_PAGES * RP_PAGE_BYTES);
    /* Those between must be armed in the account, or protecting them would hide their writes. */
    if (!near || rp_os_pages_other(a->end, start, 0xff, armed) != start) {
        arming_flush(a);
        a->start = start;
    }
    rp_os_pages_update(start, end, PAGE_WRITTEN, PAGE_ARMED);
    a->end = end;
}

rp_status rp_os_fault_collect(rp_os_tracker *tracker, void *start, size_t size_bytes,
                              rp_os_extent *extents, size_t capacity, size_t *count, void **next)
{
    const uint8_t mask = PAGE_OWNER | PAGE_WRITTEN, bits = owner_bits(tracker);
    uint8_t *at = start, *end = at + size_bytes;
    arming a = {.own = own(tracker)};
    *count = 0;
    *next = start;
    if (!all_own(tracker, at, end)) {
        return rp_fail_system(
            RP_E_CHANGED, ENOENT,
            "write tracking: lost somewhere in %p-%p (the range was mapped anew or "
            "moved): take all of it as written and track it again",
            start, (void *)end);
    }
    while (*count < capacity) {
        at = rp_os_pages_other(at, end, mask, bits);
        if (at == end) {
            break;
        }
        uint8_t *stop = rp_os_pages_other(at, end, mask, bits | PAGE_WRITTEN);
        extents[(*count)++] = (rp_os_extent){at, (size_t)(stop - at)};
        arming_add(&a, at, stop, bits | PAGE_ARMED);
        at = stop;
    }
    arming_flush(&a);
    if (!a.system_code && *count && rp_os_fault_injected()) {
        a.system_code = errno;
    }
    *next = at;
    return a.system_code ? fail_to_protect(a.system_code, start, end, true) : RP_OK;
}

/* ---- looking at the mappings ------------------------------------------------------------------
 */

typedef struct checking {
    const rp_os_tracker *tracker;
    uint8_t *lost;
} checking;

/* A mapping is of one kind throughout, so one page of it tells. */
static bool check_mapping(void *context, const rp_os_mapping *mapping)
{
    checking *c = context;
    const rp_os_fault_tracker *mine = own(c->tracker);
    uint8_t bits = owner_bits(c->tracker);
    uint8_t *gone =
        rp_os_pages_same(mapping->start, mapping->end, PAGE_OWNER | PAGE_GONE, bits | PAGE_GONE);
    if (gone < mapping->end) {
        c->lost = gone;
        return false;
    }
    uint8_t *closed = rp_os_pages_same(mapping->start, mapping->end, PAGE_OWNER | PAGE_CLOSED,
                                       bits | PAGE_CLOSED);
    if (mapping->writable && closed < mapping->end) { /* opened behind our back */
        c->lost = closed;
        return false;
    }
    const uint8_t mask = PAGE_OWNER | PAGE_ARMED | PAGE_CLOSED;
    uint8_t *armed = rp_os_pages_same(mapping->start, mapping->end, mask, bits | PAGE_ARMED);
    if (armed == mapping->end) {
        return true;
    }
    bool lost = mine->rung == RP_OS_RUNG_MPROTECT
                    ? mapping->writable
                    : protect_by_uffd(mine->uffd, armed, armed + RP_PAGE_BYTES, true) < 0 &&
                          errno == ENOENT;
    c->lost = lost ? armed : NULL;
    return !lost;
}

rp_status rp_os_fault_check(rp_os_tracker *tracker)
{
    checking c = {.tracker = tracker};
    const rp_os_fault_tracker *mine = own(tracker);
    rp_os_handler_renew(signal_of(tracker->rung));
    if (!rp_os_mappings_walk(mine->low, mine->high, check_mapping, &c)) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "write tracking: /proc/self/maps cannot be read, so a mapping that "
                              "changed would not be seen: allow /proc");
    }
    return c.lost ? rp_fail(RP_E_CHANGED,
                            "write tracking: lost at %p (mapped anew): take all as written and "
                            "track it again",
                            (void *)c.lost)
                  : RP_OK;
}

/* ---- what vm.c does to pages ------------------------------------------------------------------
 */

/* Stays armed where it was; what was written before is still to be told. */
static void opened(uint8_t *start, uint8_t *end)
{
    const uint8_t mask = PAGE_ARMED | PAGE_CLOSED;
    rp_os_pages_update(start, end, PAGE_CLOSED, 0);
    while ((start = rp_os_pages_same(start, end, mask, PAGE_ARMED)) < end) {
        uint8_t owner = rp_os_pages_get(start) >> PAGE_OWNER_SHIFT;
        uint8_t bits = (uint8_t)(owner << PAGE_OWNER_SHIFT);
        uint8_t *stop = rp_os_pages_other(start, end, mask | PAGE_OWNER, bits | PAGE_ARMED);
        const rp_os_fault_tracker *mine = &rp_os_fault_trackers[owner];
        if (mine->rung == RP_OS_RUNG_MPROTECT && protect(mine, start, stop, true) < 0) {
            rp_os_pages_update(start, stop, PAGE_ARMED, PAGE_WRITTEN);
        }
        start = stop;
    }
}

/* userfaultfd's protection goes with the page, the mapping's does not. */
static void dropped(uint8_t *start, uint8_t *end)
{
    while ((start = rp_os_pages_other(start, end, PAGE_OWNER, 0)) < end) {
        uint8_t bits = rp_os_pages_get(start) & PAGE_OWNER;
        uint8_t *stop = rp_os_pages_other(start, end, PAGE_OWNER, bits);
        bool bare = rp_os_fault_trackers[bits >> PAGE_OWNER_SHIFT].rung == RP_OS_RUNG_SIGBUS;
        rp_os_pages_update(start, stop, bare ? PAGE_ARMED : 0, PAGE_WRITTEN);
        start = stop;
    }
}

void rp_os_track_changed(void *start, size_t size_bytes, rp_os_page_change change)
{
    uint8_t *from = start, *end = from + size_bytes;
    if (!rp_os_pages_any()) {
        return;
    }
    int saved = errno;
    switch (change) {
    case RP_OS_PAGES_CLOSING:
        rp_os_pages_update(from, end, 0, PAGE_CLOSED);
        break;
    case RP_OS_PAGES_OPENED:
        opened(from, end);
        break;
    case RP_OS_PAGES_DROPPED:
        dropped(from, end);
        break;
    case RP_OS_PAGES_GONE:
        rp_os_pages_update(from, end, PAGE_ARMED | PAGE_WRITTEN | PAGE_CLOSED, PAGE_GONE);
        break;
    }
    errno = saved;
}
