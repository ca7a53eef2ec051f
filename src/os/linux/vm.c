/* Virtual memory: reserving at an exact address, committing, protecting, guarding. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/access.h"
#include "os/linux/fault.h"
#include "os/linux/kernel.h"
#include "os/linux/track_private.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool whole_pages(const void *address, size_t size_bytes)
{
    return ((uintptr_t)address | size_bytes) % RP_PAGE_BYTES == 0;
}

static rp_status fail_by_limit(size_t size_bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        return rp_fail_system(
            RP_E_LIMIT, ENOMEM,
            "reserve %zu MiB: the limit of address space (RLIMIT_AS) is %llu MiB: "
            "raise it with `ulimit -v unlimited` or ask for less",
            size_bytes >> 20, (unsigned long long)limit.rlim_cur >> 20);
    }
    return rp_fail_system(RP_E_LIMIT, ENOMEM,
                          "reserve %zu MiB: the address space of the process has no such room, or "
                          "vm.max_map_count is reached: ask for less",
                          size_bytes >> 20);
}

static rp_status fail_by_blocker(const void *address, size_t size_bytes)
{
    char blocker[160];
    if (!rp_os_vm_describe(address, size_bytes, blocker, sizeof blocker)) {
        return rp_fail(RP_E_TAKEN,
                       "reserve %zu MiB at %p: the system put it elsewhere (an old kernel, or an "
                       "emulator or sanitizer): run without it",
                       size_bytes >> 20, address);
    }
    for (char *c = blocker; *c; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
    return rp_fail(RP_E_TAKEN,
                   "reserve %zu MiB at %p: taken by %s: start without address randomisation or "
                   "without what takes it",
                   size_bytes >> 20, address, blocker);
}

static rp_status fail_to_reserve(int system_code, const void *address, size_t size_bytes)
{
    switch (system_code) {
    case EEXIST:
        return fail_by_blocker(address, size_bytes);
    case ENOMEM:
        return fail_by_limit(size_bytes);
    case EINVAL:
        return rp_fail_system(RP_E_ARGUMENT, system_code,
                              "reserve %zu bytes at %p: neither may be zero, nor part of a page",
                              size_bytes, address);
    default:
        return rp_fail_system(RP_E_SYSTEM, system_code, "reserve %zu MiB at %p", size_bytes >> 20,
                              address);
    }
}

rp_status rp_os_vm_reserve_at(void *address, size_t size_bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *got = RP_OS_MAP(mmap(address, size_bytes, PROT_NONE, flags, -1, 0));
    if (got == MAP_FAILED) {
        return fail_to_reserve(errno, address, size_bytes);
    }
    /* Kernels before 4.17, valgrind, MSan and qemu-user take the address as a hint. */
    if (got != address) {
        munmap(got, size_bytes);
        return fail_by_blocker(address, size_bytes);
    }
    return RP_OK;
}

void *rp_os_vm_reserve(size_t size_bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *got = RP_OS_MAP(mmap(NULL, size_bytes, PROT_NONE, flags, -1, 0));
    if (got == MAP_FAILED) {
        fail_to_reserve(errno, NULL, size_bytes);
        return NULL;
    }
    return got;
}

void rp_os_vm_release(void *address, size_t size_bytes)
{
    rp_os_unmap(address, size_bytes);
}

void rp_os_unmap(void *address, size_t size_bytes)
{
    rp_os_track_changed(address, size_bytes, RP_OS_PAGES_GONE);
    int result = munmap(address, size_bytes);
    RP_ASSERT_DEBUG(result == 0 || errno == ENOMEM);
    (void)result;
}

/* mprotect's ENOMEM means three things: the commit limit, too many mappings, or a hole. */
static rp_status fail_to_protect(int system_code, const char *what, const void *address,
                                 size_t size_bytes)
{
    if (system_code == ENOMEM) {
        return rp_fail_system(
            RP_E_MEMORY, system_code,
            "%s %zu KiB at %p: over the commit limit (vm.overcommit_memory), over "
            "vm.max_map_count, or not reserved: use less or raise the limit",
            what, size_bytes >> 10, address);
    }
    return rp_fail_system(RP_E_SYSTEM, system_code, "%s %zu KiB at %p", what, size_bytes >> 10,
                          address);
}

static rp_status protect(const char *what, void *address, size_t size_bytes,
                         rp_os_protection protection)
{
    RP_ASSERT_DEBUG(whole_pages(address, size_bytes));
    if (protection != RP_OS_READ_WRITE) {
        rp_os_track_changed(address, size_bytes, RP_OS_PAGES_CLOSING);
    }
    bool failed = RP_OS_CALL(mprotect(address, size_bytes, rp_os_access_bits(protection))) < 0;
    int system_code = errno;
    if (failed != (protection == RP_OS_READ_WRITE)) { /* opened, or not closed after all */
        rp_os_track_changed(address, size_bytes, RP_OS_PAGES_OPENED);
    }
    return failed ? fail_to_protect(system_code, what, address, size_bytes) : RP_OK;
}

rp_status rp_os_vm_commit(void *address, size_t size_bytes)
{
    return protect("commit", address, size_bytes, RP_OS_READ_WRITE);
}

rp_status rp_os_vm_protect(void *address, size_t size_bytes, rp_os_protection protection)
{
    return protect("protect", address, size_bytes, protection);
}

void rp_os_vm_want_huge(void *address, size_t size_bytes)
{
    madvise(address, size_bytes, MADV_HUGEPAGE);
}

void rp_os_vm_populate(void *address, size_t size_bytes)
{
    (void)madvise(address, size_bytes, MADV_POPULATE_WRITE);
}

rp_status rp_os_vm_collapse(void *address, size_t size_bytes)
{
    RP_ASSERT_DEBUG(((uintptr_t)address | size_bytes) % RP_OS_HUGE_BYTES == 0);
    if (RP_OS_CALL(madvise(address, size_bytes, MADV_COLLAPSE)) < 0) {
        bool memory = errno == ENOMEM || errno == EBUSY || errno == EAGAIN;
        return rp_fail_system(memory ? RP_E_MEMORY : RP_E_UNSUPPORTED, errno,
                              "huge pages: %zu KiB at %p stay small: no huge page is free, or "
                              "Linux before 6.1, or the range cannot be huge",
                              size_bytes >> 10, address);
    }
    return RP_OK;
}

void rp_os_vm_no_dump(void *address, size_t size_bytes)
{
    madvise(address, size_bytes, MADV_DONTDUMP);
}

static rp_status advise(const char *what, void *address, size_t size_bytes, int advice)
{
    RP_ASSERT_DEBUG(whole_pages(address, size_bytes));
    int result;
    do {
        result = RP_OS_CALL(madvise(address, size_bytes, advice));
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    rp_os_track_changed(address, size_bytes, RP_OS_PAGES_DROPPED);
    if (result < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "%s %zu KiB at %p: the pages must be mapped, private and not locked",
                              what, size_bytes >> 10, address);
    }
    return RP_OK;
}

rp_status rp_os_vm_discard(void *address, size_t size_bytes)
{
    return advise("discard", address, size_bytes, MADV_DONTNEED);
}

static bool kernel_has_light_guards(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *page = mmap(NULL, RP_PAGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (page == MAP_FAILED) {
        return false;
    }
    bool has =
        !rp_os_fault_light_guards_hidden() && madvise(page, RP_PAGE_BYTES, MADV_GUARD_INSTALL) == 0;
    munmap(page, RP_PAGE_BYTES);
    return has;
}

bool rp_os_vm_has_light_guards(void)
{
    /* A fact about the kernel, asked once: a page guarded in one way must be unguarded in the same.
     */
    static _Atomic int known; /* 0: not asked, 1: no, 2: yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (!answer) {
        answer = kernel_has_light_guards() ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

uint64_t rp_os_vm_mapping_limit(void)
{
    const uint64_t kernel_default = 65530;
    char text[32];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[length > 0 ? length : 0] = 0;
    uint64_t limit = strtoull(text, NULL, 10);
    return limit ? limit : kernel_default;
}

rp_status rp_os_vm_guard(void *address, size_t size_bytes)
{
    if (rp_os_vm_has_light_guards()) {
        return advise("guard", address, size_bytes, MADV_GUARD_INSTALL);
    }
    rp_status status = protect("guard", address, size_bytes, RP_OS_NONE);
    return status ? status : advise("guard", address, size_bytes, MADV_DONTNEED);
}

rp_status rp_os_vm_unguard(void *address, size_t size_bytes)
{
    if (rp_os_vm_has_light_guards()) {
        return advise("unguard", address, size_bytes, MADV_GUARD_REMOVE);
    }
    return protect("unguard", address, size_bytes, RP_OS_READ_WRITE);
}

/* rt_sigprocmask copies the new set from user memory before it looks at `how`: EFAULT tells of
 * memory that cannot be read, EINVAL of memory that can. It needs no descriptor and no privilege,
 * and cannot fault. */
static bool page_readable(uintptr_t page)
{
    const int no_such_how = -1;
    const size_t kernel_set_bytes = 8;
    return syscall(SYS_rt_sigprocmask, no_such_how, page, NULL, kernel_set_bytes) < 0 &&
           errno == EINVAL;
}

bool rp_os_vm_readable(const void *address, size_t size_bytes)
{
    uintptr_t start = (uintptr_t)address, end;
    if (!size_bytes) {
        return true;
    }
    if (__builtin_add_overflow(start, size_bytes - 1, &end)) {
        return false;
    }
    int saved = errno;
    bool readable = true;
    uintptr_t last = rp_align_down(end, RP_PAGE_BYTES);
    for (uintptr_t page = rp_align_down(start, RP_PAGE_BYTES); readable; page += RP_PAGE_BYTES) {
        readable = page_readable(page);
        if (page == last) {
            break;
        }
    }
    errno = saved;
    return readable;
}
