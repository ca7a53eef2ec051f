/* The inside of write tracking, shared by its files.
 *
 *   track.c         which rung a tracker is on; passes each call on
 *   track_async.c   rung 1: the kernel resolves write faults and keeps the account
 *   track_fault.c   rungs 2 and 3: this process takes each fault and keeps the account itself
 *   track_signal.c  the handlers of those faults
 *   track_freeze.c  memory that is held while it is copied
 *   track_pages.c   the account: one byte a page, found by address without a lock
 *   track_maps.c    what the system's list of mappings says of tracked ranges
 *
 * Layer: os (internal).
 */
#ifndef RP_OS_LINUX_TRACK_PRIVATE_H
#define RP_OS_LINUX_TRACK_PRIVATE_H

#include "os/linux/fault.h"
#include "os/os.h"

/* ---- rung 1 (track_async.c) ------------------------------------------------------------------ */

rp_status rp_os_async_open(rp_os_tracker *tracker);
rp_status rp_os_async_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_async_remove(rp_os_tracker *tracker, void *start, size_t size_bytes);
/* Undoes an add that failed by half; leaves the record of why alone. */
void rp_os_async_forget(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_async_scan(rp_os_tracker *tracker, bool arm, void *start, size_t size_bytes,
                           rp_os_extent *extents, size_t capacity, size_t *count, void **next);
/* Arms or disarms: UFFDIO_WRITEPROTECT; also rung 2's. */
rp_status rp_os_async_protect(rp_os_tracker *tracker, void *start, size_t size_bytes, bool arm);

/* Disarms what of the range is tracked; tells nobody. */
void rp_os_async_touch(rp_os_tracker *tracker, void *start, size_t size_bytes);

/* "Not there", as opposed to "failed this time". */
bool rp_os_track_unsupported(int system_code);

/* ---- rungs 2 and 3 (track_fault.c) ----------------------------------------------------------- */

rp_status rp_os_fault_open(rp_os_tracker *tracker);
void rp_os_fault_close(rp_os_tracker *tracker);
rp_status rp_os_fault_add_written(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_fault_remove(rp_os_tracker *tracker, void *start, size_t size_bytes);
void rp_os_fault_forget(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_fault_collect(rp_os_tracker *tracker, void *start, size_t size_bytes,
                              rp_os_extent *extents, size_t capacity, size_t *count, void **next);
rp_status rp_os_fault_arm(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_fault_disarm(rp_os_tracker *tracker, void *start, size_t size_bytes);
rp_status rp_os_fault_check(rp_os_tracker *tracker);

/* Lets stores through to armed pages, then marks them written, in that order: a page that can be
 * written without being marked is found by nobody. Wider than asked where the system has no mapping
 * left to split. Safe in a signal handler. The pages are of that owner, neither closed nor gone. */
bool rp_os_fault_let_through(uint8_t owner, uint8_t *start, uint8_t *end);

/* A place where a test can make a call fail that may be made in a handler too. */
static inline bool rp_os_fault_injected(void)
{
    return RP_OS_CALL(0) < 0;
}

typedef struct rp_os_fault_tracker {
    bool used;
    rp_os_rung rung;
    int uffd;
    bool populates;      /* the kernel protects only what is there (before 6.4) */
    uint8_t *low, *high; /* all its ranges lie between */
} rp_os_fault_tracker;

/* By owner; the owner 0 is nobody. */
enum { RP_OS_FAULT_OWNERS = 16 };
extern rp_os_fault_tracker rp_os_fault_trackers[RP_OS_FAULT_OWNERS];

/* ---- the handlers (track_signal.c) ----------------------------------------------------------- */

/* Stands before whatever handles the signal. Counted; each pairs with a drop. */
rp_status rp_os_handler_take(int number);
void rp_os_handler_drop(int number);
/* Stands before it again where the program has put one of its own in place. */
void rp_os_handler_renew(int number);
/* False in a forked child, whose pages its parent's descriptors do not name. */
bool rp_os_handler_is_ours(void);

/* Where a fault comes back to a page that can be written it was another thread's, or one that came
 * late; a few times in a row. False: more often, so it is no store, but the program's own fault. */
bool rp_os_handler_came_again(uintptr_t address);

/* ---- memory that was made unreadable (denied.c) ---------------------------------------------- */

/* A fault by protection that nobody expected; the processor's error code. */
void rp_os_denied_tell(uintptr_t address, uint64_t pc, uint64_t error_code);

/* ---- holding memory (track_freeze.c) --------------------------------------------------------- */

/* Whether the page is protected for the time of a hold, and could be written before. */
bool rp_os_frozen_holds(const void *page);
/* A fault by protection: whether the store is to be tried again. */
bool rp_os_frozen_take(uintptr_t address, uint64_t pc);
/* Before a system call writes there: reports and waits as a store would. */
void rp_os_frozen_touch(uintptr_t start, uintptr_t end);

/* ---- the account (track_pages.c) ------------------------------------------------------------- */

/* A byte of the account. 0: not tracked. A page that is not armed is written. */
enum {
    PAGE_ARMED = 1,   /* a store faults */
    PAGE_WRITTEN = 2, /* to be told by the next collect */
    PAGE_CLOSED = 4,  /* the program may not write it: a fault there is its own */
    PAGE_GONE = 8,    /* is not mapped */
    PAGE_OWNER_SHIFT = 4,
    PAGE_OWNER = 0xf0,
};

/* Makes room for the states of a range. RP_E_MEMORY. */
rp_status rp_os_pages_need(void *start, size_t size_bytes);
uint8_t rp_os_pages_get(const void *page);
/* Clears and sets bits of every tracked page of the range. */
void rp_os_pages_update(void *start, const void *end, uint8_t clear, uint8_t set);
/* Stores a state, tracked before or not; there is room. */
void rp_os_pages_set(void *start, const void *end, uint8_t state);
/* The first page in [from, end) whose (state & mask) is not / is `value`; `end`: none. */
uint8_t *rp_os_pages_other(void *from, void *end, uint8_t mask, uint8_t value);
uint8_t *rp_os_pages_same(void *from, void *end, uint8_t mask, uint8_t value);
/* Whether any page was ever tracked: the one question of those who have nothing to do with it. */
bool rp_os_pages_any(void);

/* ---- mappings (track_maps.c) ----------------------------------------------------------------- */

typedef struct rp_os_mapping {
    uint8_t *start, *end;
    bool readable, writable, executable, shared;
} rp_os_mapping;

/* Calls for each mapping that meets [start, end), in order; stops where it returns false. False
 * where the list cannot be read. */
typedef bool rp_os_mapping_fn(void *context, const rp_os_mapping *mapping);
bool rp_os_mappings_walk(void *start, void *end, rp_os_mapping_fn *each, void *context);

#endif
