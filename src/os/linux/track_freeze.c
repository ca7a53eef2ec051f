/* Holding memory while it is copied: the pages may only be read, and a thread that stores there is
 * named in its handler, and waits.
 */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    atomic_uint on;
    pid_t thread; /* that holds, and may write */
    rp_os_hold hold;
    size_t piece_count;
    _Atomic uintptr_t low, high; /* of every hold so far: late faults come from there */
} frozen;

static bool handler_stays;

static pid_t thread_number(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static bool any_holds(const rp_os_extent *extents, size_t count, uintptr_t address)
{
    for (size_t i = 0; i < count; i++) {
        if (address - (uintptr_t)extents[i].start < extents[i].size_bytes) {
            return true;
        }
    }
    return false;
}

bool rp_os_frozen_holds(const void *page)
{
    return atomic_load(&frozen.on) &&
           any_holds(frozen.hold.pieces, frozen.piece_count, (uintptr_t)page);
}

/* ---- those who come ------------------------------------------------------------------------- */

static void report_and_wait(uintptr_t address, uint64_t pc)
{
    rp_os_intruder who = {(uint64_t)thread_number(), "", (const void *)address, pc};
    prctl(PR_GET_NAME, who.name);
    who.name[sizeof who.name - 1] = 0;
    frozen.hold.tell(frozen.hold.context, &who);
    while (atomic_load(&frozen.on)) {
        syscall(SYS_futex, &frozen.on, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
}

bool rp_os_frozen_take(uintptr_t address, uint64_t pc)
{
    uint8_t *page = (uint8_t *)rp_align_down(address, RP_PAGE_BYTES);
    if (!atomic_load(&frozen.on)) { /* the hold ended before the handler came */
        return address >= atomic_load(&frozen.low) && address < atomic_load(&frozen.high) &&
               !rp_os_pages_get(page) && rp_os_handler_came_again(address);
    }
    if (thread_number() == frozen.thread) {
        uint8_t owner = rp_os_pages_get(page) >> PAGE_OWNER_SHIFT;
        bool by_protection = owner && rp_os_fault_trackers[owner].rung == RP_OS_RUNG_MPROTECT;
        return !by_protection && rp_os_frozen_holds(page) && rp_os_handler_came_again(address) &&
               mprotect(page, RP_PAGE_BYTES, PROT_READ | PROT_WRITE) == 0;
    }
    if (any_holds(frozen.hold.areas, frozen.hold.area_count, address)) {
        report_and_wait(address, pc);
        return true;
    }
    return false;
}

void rp_os_frozen_touch(uintptr_t start, uintptr_t end)
{
    if (!atomic_load(&frozen.on) || thread_number() == frozen.thread) {
        return;
    }
    for (uintptr_t page = start; page < end; page += RP_PAGE_BYTES) {
        if (any_holds(frozen.hold.areas, frozen.hold.area_count, page)) {
            report_and_wait(page, 0);
            return;
        }
    }
}

/* ---- holding --------------------------------------------------------------------------------- */

static bool add_piece(void *context, const rp_os_mapping *mapping)
{
    const rp_os_extent *area = context;
    uint8_t *area_end = area->start + area->size_bytes;
    uint8_t *start = mapping->start > area->start ? mapping->start : area->start;
    uint8_t *end = mapping->end < area_end ? mapping->end : area_end;
    if (frozen.piece_count == frozen.hold.piece_capacity) {
        return false;
    }
    if (mapping->writable && start < end) {
        frozen.hold.pieces[frozen.piece_count++] = (rp_os_extent){start, (size_t)(end - start)};
    }
    return true;
}

static void bounds_widen(const rp_os_extent *area)
{
    uintptr_t start = (uintptr_t)area->start, end = start + area->size_bytes;
    if (!atomic_load(&frozen.high) || start < atomic_load(&frozen.low)) {
        atomic_store(&frozen.low, start);
    }
    if (end > atomic_load(&frozen.high)) {
        atomic_store(&frozen.high, end);
    }
}

static rp_status fail_to_freeze(int system_code)
{
    return rp_fail_system(RP_E_SYSTEM, system_code,
                          "check of threads: memory cannot be protected for the time of a commit: "
                          "run without the check");
}

/* A fault may be on its way to the handler when a hold ends, so it is taken once for all. */
static rp_status handler_need(void)
{
    rp_status status = handler_stays ? RP_OK : rp_os_handler_take(SIGSEGV);
    handler_stays = handler_stays || status == RP_OK;
    rp_os_handler_renew(SIGSEGV);
    return status;
}

rp_status rp_os_freeze(const rp_os_hold *hold)
{
    rp_status status = handler_need();
    if (status) {
        return status;
    }
    frozen.hold = *hold;
    frozen.thread = thread_number();
    frozen.piece_count = 0;
    for (size_t i = 0; i < hold->area_count; i++) {
        rp_os_extent area = hold->areas[i];
        bounds_widen(&area);
        if (!rp_os_mappings_walk(area.start, area.start + area.size_bytes, add_piece, &area)) {
            return fail_to_freeze(errno);
        }
    }
    atomic_store(&frozen.on, 1);
    for (size_t i = 0; i < frozen.piece_count; i++) {
        rp_os_extent piece = hold->pieces[i];
        if (RP_OS_CALL(mprotect(piece.start, piece.size_bytes, PROT_READ)) < 0) {
            status = fail_to_freeze(errno);
            rp_os_thaw();
            return status;
        }
    }
    return RP_OK;
}

/* Pages that are armed by protection stay so. */
static void thaw_piece(rp_os_extent piece)
{
    uint8_t *at = piece.start, *end = at + piece.size_bytes;
    while (at < end) {
        uint8_t *stop = rp_os_pages_same(at, end, PAGE_ARMED, PAGE_ARMED);
        uint8_t owner = stop < end ? rp_os_pages_get(stop) >> PAGE_OWNER_SHIFT : 0;
        bool stays = stop < end && rp_os_fault_trackers[owner].rung == RP_OS_RUNG_MPROTECT;
        stop = stays ? stop : end;
        if (stop > at) {
            (void)mprotect(at, (size_t)(stop - at), PROT_READ | PROT_WRITE);
        }
        at = stays ? rp_os_pages_other(stop, end, PAGE_ARMED, PAGE_ARMED) : end;
    }
}

void rp_os_thaw(void)
{
    if (!atomic_load(&frozen.on)) {
        return;
    }
    for (size_t i = 0; i < frozen.piece_count; i++) {
        thaw_piece(frozen.hold.pieces[i]);
    }
    atomic_store(&frozen.on, 0);
    syscall(SYS_futex, &frozen.on, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
