/* Signals and mappings, where written pages are found by faults: the program must neither take the
 * signal away nor block it, and what it does to its pages' protection must be known.
 *
 * Also what bypasses every kind of tracking: registered buffers of io_uring are refused.
 */
#include "interpose.h"
#include "runner.h"

#include <base/bits.h>
#include <errno.h>
#include <os/os.h>
#include <region/region.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- signals --------------------------------------------------------------------------------- */

static bool is_taken(int number)
{
    return rp_os_track_handles(number);
}

/* A thread that blocks the signal of a fault is ended by it. */
static const sigset_t *without_taken(const sigset_t *given, sigset_t *changed)
{
    if (!given || !the_runner.refuses) {
        return given;
    }
    *changed = *given;
    for (int i = 0; i < 2; i++) {
        int number = i ? SIGBUS : SIGSEGV;
        if (is_taken(number)) {
            sigdelset(changed, number);
        }
    }
    return changed;
}

#define MASKS(name)                                                                            \
    EXPORT int name(int how, const sigset_t *given, sigset_t *before)                          \
    {                                                                                          \
        sigset_t changed;                                                                      \
        REAL(name);                                                                            \
        runner_will_write(before, sizeof *before);                                             \
        return real(how, how == SIG_UNBLOCK ? given : without_taken(given, &changed), before); \
    }

MASKS(sigprocmask)
MASKS(pthread_sigmask)

EXPORT int sigaction(int number, const struct sigaction *restrict action,
                     struct sigaction *restrict before)
{
    struct sigaction changed;
    REAL(sigaction);
    if (!the_runner.refuses || !runner_is_world(CALLER)) {
        return real(number, action, before);
    }
    if (is_taken(number)) { /* its turn comes for faults that are not ours */
        rp_os_track_handler_next(number, action, before);
        return 0;
    }
    if (action) {
        changed = *action;
        without_taken(&action->sa_mask, &changed.sa_mask);
        action = &changed;
    }
    return real(number, action, before);
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    REAL(signal);
    if (!the_runner.refuses || !runner_is_world(CALLER) || !is_taken(number)) {
        return real(number, handler);
    }
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    rp_os_track_handler_next(number, &action, &before);
    return before.sa_handler;
}

/* ---- the kernel, asked directly -------------------------------------------------------------- */

/* Not by the C library's function: these stand before what the loader itself calls, and what our
 * own handlers call. */
static long kernel(long number, const long a[6])
{
    register long r10 __asm__("r10") = a[3];
    register long r8 __asm__("r8") = a[4];
    register long r9 __asm__("r9") = a[5];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static long told(long result)
{
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

#define KERNEL(number, ...) told(kernel(number, (const long[6]){__VA_ARGS__}))

/* ---- mappings -------------------------------------------------------------------------------- */

static void changed(void *start, size_t size_bytes, rp_os_page_change change)
{
    if (the_runner.refuses && !((uintptr_t)start % RP_PAGE_BYTES)) {
        rp_os_track_changed(start, (size_bytes + RP_PAGE_BYTES - 1) & ~(RP_PAGE_BYTES - 1), change);
    }
}

#undef mmap
#undef mmap64
EXPORT void *mmap(void *address, size_t size_bytes, int rights, int flags, int fd, off_t offset)
{
    if (flags & MAP_FIXED && runner_is_world(CALLER)) {
        changed(address, size_bytes, RP_OS_PAGES_GONE);
    }
    return (void *)KERNEL(SYS_mmap, (long)address, (long)size_bytes, rights, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t size_bytes, int rights, int flags, int fd, off64_t offset)
{
    if (flags & MAP_FIXED && runner_is_world(CALLER)) {
        changed(address, size_bytes, RP_OS_PAGES_GONE);
    }
    return (void *)KERNEL(SYS_mmap, (long)address, (long)size_bytes, rights, flags, fd, offset);
}

EXPORT int munmap(void *address, size_t size_bytes)
{
    if (runner_is_world(CALLER)) {
        changed(address, size_bytes, RP_OS_PAGES_GONE);
    }
    return (int)KERNEL(SYS_munmap, (long)address, (long)size_bytes);
}

/* Protection moves with the pages, so they are let through first. */
EXPORT void *mremap(void *address, size_t size_bytes, size_t new_bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (the_runner.refuses && runner_is_world(CALLER)) {
        runner_will_write(address, size_bytes);
        changed(address, size_bytes, RP_OS_PAGES_GONE);
    }
    return (void *)KERNEL(SYS_mremap, (long)address, (long)size_bytes, (long)new_bytes, flags,
                          (long)target);
}

EXPORT int mprotect(void *address, size_t size_bytes, int rights)
{
    bool told_of = the_runner.refuses && runner_is_world(CALLER), opens = rights & PROT_WRITE;
    if (told_of && !opens) {
        changed(address, size_bytes, RP_OS_PAGES_CLOSING);
    }
    int result = (int)KERNEL(SYS_mprotect, (long)address, (long)size_bytes, rights);
    if (told_of && (result < 0) != opens) {
        changed(address, size_bytes, RP_OS_PAGES_OPENED);
    }
    return result;
}

EXPORT int madvise(void *address, size_t size_bytes, int advice)
{
    int result = (int)KERNEL(SYS_madvise, (long)address, (long)size_bytes, advice);
    if (the_runner.refuses && runner_is_world(CALLER)) {
        changed(address, size_bytes, RP_OS_PAGES_DROPPED);
    }
    return result;
}

/* ---- syscall(2) ------------------------------------------------------------------------------ */

enum { URING_BUFFERS = 0, URING_BUFFERS2 = 15, URING_BUFFERS_UPDATE = 16 };

static bool any_in_world(const struct iovec *vector, size_t count)
{
    for (size_t i = 0; vector && i < count; i++) {
        const char *start = vector[i].iov_base;
        if (start && vector[i].iov_len &&
            (rp_region_contains(start) == 1 ||
             rp_region_contains(start + vector[i].iov_len - 1) == 1)) {
            return true;
        }
    }
    return false;
}

static int refuse_buffers(void)
{
    static atomic_bool said;
    if (!atomic_exchange(&said, true)) {
        fputs("reprise: io_uring: registered buffers in the program's state are refused: the "
              "kernel would write there unseen, and a seek could not bring the bytes back: "
              "register memory outside the state (mmap), or use buffers that are not registered\n",
              stderr);
    }
    errno = EOPNOTSUPP;
    return -1;
}

/* The vector lies in a structure: {count, flags, resv2, data, tags} or {offset, resv, data, tags,
 * count, resv2}. */
static bool registers_world(const long a[6])
{
    const uint64_t *words = (const uint64_t *)(uintptr_t)a[2];
    const uint32_t *halves = (const uint32_t *)(const void *)words;
    switch (a[1]) {
    case URING_BUFFERS:
        return any_in_world((const struct iovec *)(const void *)words, (size_t)a[3]);
    case URING_BUFFERS2:
        return words && any_in_world((const struct iovec *)(uintptr_t)words[2], halves[0]);
    case URING_BUFFERS_UPDATE:
        return words && any_in_world((const struct iovec *)(uintptr_t)words[1], halves[6]);
    default:
        return false;
    }
}

/* What it is to fill is not known for every number: once it failed the pages behind its arguments
 * are let through, and it is asked again. */
static long again_with_pages(long number, const long a[6])
{
    enum { BEHIND = 64 << 10 };
    for (int i = 0; i < 6; i++) {
        runner_will_write((void *)a[i], BEHIND);
    }
    return kernel(number, a);
}

static void read_ahead(long number, const long a[6])
{
    switch (number) {
    case SYS_read:
    case SYS_pread64:
    case SYS_recvfrom:
    case SYS_getdents64:
        runner_will_write((void *)a[1], (size_t)a[2]);
        break;
    case SYS_getrandom:
        runner_will_write((void *)a[0], (size_t)a[1]);
        break;
    default:
        break;
    }
}

EXPORT long syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number == SYS_io_uring_register && runner_is_world(CALLER) && registers_world(a)) {
        return refuse_buffers();
    }
    if (!the_runner.refuses) {
        return told(kernel(number, a));
    }
    read_ahead(number, a);
    long result = kernel(number, a);
    return told(result == -EFAULT ? again_with_pages(number, a) : result);
}

/* liburing asks the kernel by itself; these are what a program calls of it. */
EXPORT int io_uring_register_buffers(void *ring, const struct iovec *vector, unsigned count);
EXPORT int io_uring_register_buffers(void *ring, const struct iovec *vector, unsigned count)
{
    REAL(io_uring_register_buffers);
    if (any_in_world(vector, count)) {
        return refuse_buffers() * EOPNOTSUPP;
    }
    return real ? real(ring, vector, count) : -ENOSYS;
}
