/* The signals of write tracking: a handler in front of the program's own. It takes the faults of
 * pages that are tracked or frozen, and hands every other one on as if it were not there.
 *
 * Everything here runs in handlers, on any thread, several at a time: no locks, no heap, no error
 * record.
 */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/kernel.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { CLUSTER_PAGES = 16 };

enum { AGAIN_MOST = 64 };

/* One for SIGSEGV, one for SIGBUS. */
typedef struct front {
    int number;
    atomic_uint users;
    struct sigaction next;   /* whom other faults go to */
    struct sigaction bottom; /* who was there at first */
} front;

static front fronts[2] = {{.number = SIGSEGV}, {.number = SIGBUS}};

static front *front_of(int number)
{
    return number == SIGSEGV ? &fronts[0] : number == SIGBUS ? &fronts[1] : NULL;
}

/* Initial-exec: a handler must not be the first to ask the loader for a thread's variables. */
#define THREAD_LOCAL static __attribute__((tls_model("initial-exec"))) _Thread_local

THREAD_LOCAL struct {
    uintptr_t address;
    uint64_t since_ns;
    unsigned count;
} again;
THREAD_LOCAL const siginfo_t *handing_on;

bool rp_os_handler_came_again(uintptr_t address)
{
    const uint64_t in_a_row_ns = 100000000;
    uint64_t now_ns = rp_os_monotonic_ns();
    if (again.address != address || now_ns - again.since_ns > in_a_row_ns) {
        again.address = address;
        again.since_ns = now_ns;
        again.count = 0;
    }
    return ++again.count <= AGAIN_MOST;
}

/* ---- whose memory it is ---------------------------------------------------------------------- */

/* A page that a fork empties: in the program's own memory, so that no other lies elsewhere for it.
 */
static _Alignas(4096) uint32_t alive_page[1024];
static _Atomic(uint32_t *) alive;

static void alive_make(void)
{
    /* A mapping of its own in place of the page: only anonymous memory can be emptied. */
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (!atomic_load(&alive)) {
        void *page = mmap(alive_page, sizeof alive_page, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (page == MAP_FAILED || madvise(page, sizeof alive_page, MADV_WIPEONFORK) < 0) {
            return;
        }
        atomic_store(&alive, alive_page);
    }
    alive_page[0] = 1;
}

bool rp_os_handler_is_ours(void)
{
    const uint32_t *page = atomic_load(&alive);
    return !page || *page;
}

/* ---- tracked pages --------------------------------------------------------------------------- */

/* The neighbours of `page` that could be let through with it. */
static bool let_cluster_through(uint8_t *page, uint8_t owner)
{
    const uint8_t mask = PAGE_OWNER | PAGE_CLOSED | PAGE_GONE;
    const uint8_t same = (uint8_t)(owner << PAGE_OWNER_SHIFT);
    const size_t cluster_bytes = CLUSTER_PAGES * RP_PAGE_BYTES;
    uint8_t *first = (uint8_t *)rp_align_down((uintptr_t)page, cluster_bytes), *start = page;
    uint8_t *end = rp_os_pages_other(page, first + cluster_bytes, mask, same);
    while (start > first && (rp_os_pages_get(start - RP_PAGE_BYTES) & mask) == same) {
        start -= RP_PAGE_BYTES;
    }
    return rp_os_fault_let_through(owner, start, end);
}

/* Of the rung that tracks the page, and not the program's own. */
static bool is_fault_of(const rp_os_fault_tracker *tracker, int number, int code)
{
    if (tracker->rung == RP_OS_RUNG_SIGBUS) {
        return number == SIGBUS && code == BUS_ADRERR && rp_os_handler_is_ours();
    }
    return number == SIGSEGV && code == SEGV_ACCERR;
}

static bool tracked_take(int number, int code, uintptr_t address)
{
    uint8_t *page = (uint8_t *)rp_align_down(address, RP_PAGE_BYTES);
    uint8_t state = rp_os_pages_get(page), owner = state >> PAGE_OWNER_SHIFT;
    if (!owner || state & (PAGE_CLOSED | PAGE_GONE) ||
        !is_fault_of(&rp_os_fault_trackers[owner], number, code)) {
        return false;
    }
    if (!(state & PAGE_ARMED) && !rp_os_handler_came_again(address)) {
        return false;
    }
    return let_cluster_through(page, owner);
}

static bool take(int number, const siginfo_t *info, const void *context)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    const ucontext_t *at = context;
    if (info->si_code <= 0) { /* sent by somebody */
        return false;
    }
    bool protection = number == SIGSEGV && info->si_code == SEGV_ACCERR;
    if (protection && rp_os_frozen_take(address, (uint64_t)at->uc_mcontext.gregs[REG_RIP])) {
        return true;
    }
    bool taken = tracked_take(number, info->si_code, address);
    if (!taken && protection) {
        rp_os_denied_tell(address, (uint64_t)at->uc_mcontext.gregs[REG_RIP],
                          (uint64_t)at->uc_mcontext.gregs[REG_ERR]);
    }
    return taken;
}

void rp_os_track_touch(rp_os_tracker *tracker, const void *address, size_t size_bytes)
{
    uintptr_t start = rp_align_down((uintptr_t)address, RP_PAGE_BYTES), end;
    if (!size_bytes || __builtin_add_overflow((uintptr_t)address, size_bytes, &end) ||
        __builtin_add_overflow(end, RP_PAGE_BYTES - 1, &end)) {
        return;
    }
    end = rp_align_down(end, RP_PAGE_BYTES);
    int saved = errno;
    rp_os_frozen_touch(start, end);
    if (!rp_os_track_takes_signals(tracker)) {
        rp_os_async_touch(tracker, (void *)start, end - start);
    } else if (tracker->owner &&
               (tracker->rung == RP_OS_RUNG_MPROTECT || rp_os_handler_is_ours())) {
        const uint8_t mask = PAGE_OWNER | PAGE_ARMED | PAGE_CLOSED | PAGE_GONE;
        const uint8_t armed = (uint8_t)(tracker->owner << PAGE_OWNER_SHIFT | PAGE_ARMED);
        uint8_t *at = (uint8_t *)start, *limit = (uint8_t *)end;
        while ((at = rp_os_pages_same(at, limit, mask, armed)) < limit) {
            uint8_t *stop = rp_os_pages_other(at, limit, mask, armed);
            (void)rp_os_fault_let_through(tracker->owner, at, stop);
            at = stop;
        }
    }
    errno = saved;
}

/* ---- handing on ------------------------------------------------------------------------------ */

static void end_by_default(int number, const siginfo_t *info)
{
    struct sigaction deadly = {.sa_handler = SIG_DFL};
    sigaction(number, &deadly, NULL);
    if (info->si_code <= 0) { /* a fault comes again by itself, one that was sent does not */
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
    }
}

/* As the kernel would have called it. */
static void hand_on(const struct sigaction *to, int number, siginfo_t *info, void *context)
{
    if (!(to->sa_flags & SA_SIGINFO) && to->sa_handler == SIG_DFL) {
        end_by_default(number, info);
        return;
    }
    if (!(to->sa_flags & SA_SIGINFO) && to->sa_handler == SIG_IGN) {
        if (info->si_code > 0) { /* the kernel lets no fault be ignored */
            end_by_default(number, info);
        }
        return;
    }
    sigset_t mask = to->sa_mask;
    if (!(to->sa_flags & SA_NODEFER)) {
        sigdelset(&mask, SIGSEGV); /* or the handler's own stores could not be let through */
        sigdelset(&mask, SIGBUS);
    }
    sigprocmask(SIG_BLOCK, &mask, NULL);
    if (to->sa_flags & SA_SIGINFO) {
        to->sa_sigaction(number, info, context);
    } else {
        to->sa_handler(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    front *f = front_of(number);
    if (take(number, info, context)) {
        errno = saved;
        return;
    }
    errno = saved;
    if (handing_on == info) { /* a handler of the program's that hands on to us in turn */
        hand_on(&f->bottom, number, info, context);
        return;
    }
    const siginfo_t *outer = handing_on;
    handing_on = info;
    hand_on(&f->next, number, info, context);
    handing_on = outer;
}

/* ---- standing in front ----------------------------------------------------------------------- */

static struct sigaction our_action(void)
{
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    sigemptyset(&action.sa_mask);
    return action;
}

static bool is_our_action(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_fault;
}

rp_status rp_os_handler_take(int number)
{
    front *f = front_of(number);
    struct sigaction action = our_action(), before;
    alive_make();
    if (atomic_fetch_add(&f->users, 1)) {
        return RP_OK;
    }
    if (RP_OS_CALL(sigaction(number, NULL, &before)) < 0) {
        atomic_fetch_sub(&f->users, 1);
        return rp_fail_system(RP_E_UNSUPPORTED, errno,
                              "write tracking: no handler for signal %d can be put in place: use "
                              "another way of tracking",
                              number);
    }
    if (!is_our_action(&before)) {
        f->next = f->bottom = before;
    }
    if (RP_OS_CALL(sigaction(number, &action, NULL)) < 0) {
        atomic_fetch_sub(&f->users, 1);
        return rp_fail_system(RP_E_UNSUPPORTED, errno,
                              "write tracking: no handler for signal %d can be put in place: use "
                              "another way of tracking",
                              number);
    }
    return RP_OK;
}

void rp_os_handler_drop(int number)
{
    front *f = front_of(number);
    struct sigaction now;
    if (atomic_fetch_sub(&f->users, 1) == 1 && sigaction(number, NULL, &now) == 0 &&
        is_our_action(&now)) {
        sigaction(number, &f->next, NULL);
    }
}

void rp_os_handler_renew(int number)
{
    front *f = front_of(number);
    struct sigaction now, action = our_action();
    if (atomic_load(&f->users) && sigaction(number, NULL, &now) == 0 && !is_our_action(&now)) {
        f->next = now;
        sigaction(number, &action, NULL);
    }
}

bool rp_os_track_handles(int signal_number)
{
    const front *f = front_of(signal_number);
    return f && atomic_load(&f->users);
}

void rp_os_track_handler_next(int signal_number, const void *action, void *before)
{
    front *f = front_of(signal_number);
    struct sigaction given = action ? *(const struct sigaction *)action : f->next;
    if (before) {
        *(struct sigaction *)before = f->next;
    }
    f->next = given;
}
