/* Which features the kernel has and this process may use: each is asked for once, in a way that
 * leaves nothing behind. A new one is a row of the table and a function. */
#include "base/bits.h"
#include "os/linux/kernel.h"
#include "os/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/* 0 for a descriptor, which is closed; else why there is none. */
static int of_descriptor(long fd)
{
    if (fd < 0) {
        return errno;
    }
    close((int)fd);
    return 0;
}

static int uffd_with(uint64_t features)
{
    int fd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    if (fd < 0) {
        return errno;
    }
    int code = ioctl(fd, UFFDIO_API, &api) < 0 ? errno : 0;
    close(fd);
    return code;
}

static int has_userfaultfd(void)
{
    return uffd_with(0);
}

static int has_wp_async(void)
{
    return uffd_with(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
}

static int has_pagemap_scan(void)
{
    struct pm_scan_arg nothing = {.size = sizeof nothing};
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int code = ioctl(fd, PAGEMAP_SCAN, &nothing) < 0 ? errno : 0;
    close(fd);
    return code;
}

/* With a length of 0 an advice that is known succeeds and does nothing. */
static int has_advice(int advice)
{
    void *page =
        mmap(NULL, RP_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return errno;
    }
    int code = madvise(page, 0, advice) < 0 ? errno : 0;
    munmap(page, RP_PAGE_BYTES);
    return code;
}

static int has_light_guards(void)
{
    return has_advice(MADV_GUARD_INSTALL);
}

static int has_collapse(void)
{
    return has_advice(MADV_COLLAPSE);
}

static int has_populate(void)
{
    return has_advice(MADV_POPULATE_WRITE);
}

/* Kernels before 4.17, and emulators, take the address as a hint and map elsewhere. */
static int has_fixed_noreplace(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *taken = mmap(NULL, RP_PAGE_BYTES, PROT_NONE, flags, -1, 0);
    if (taken == MAP_FAILED) {
        return errno;
    }
    void *second = mmap(taken, RP_PAGE_BYTES, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    int code = second == MAP_FAILED && errno == EEXIST ? 0 : ENOSYS;
    if (second != MAP_FAILED) {
        munmap(second, RP_PAGE_BYTES);
    }
    munmap(taken, RP_PAGE_BYTES);
    return code;
}

static int has_personality(void)
{
    const unsigned long query = 0xffffffff;
    int before = personality(query);
    if (before == -1 || personality((unsigned long)before | ADDR_NO_RANDOMIZE) == -1) {
        return errno;
    }
    personality((unsigned long)before);
    return 0;
}

static int has_memory_files(void)
{
    return of_descriptor(memfd_create("reprise-probe", MFD_CLOEXEC));
}

static int has_noexec_memory_files(void)
{
    return of_descriptor(memfd_create("reprise-probe", MFD_CLOEXEC | MFD_NOEXEC_SEAL));
}

static int has_io_uring(void)
{
    char parameters[512] = {0}; /* struct io_uring_params, and room for what is added to it */
    return of_descriptor(syscall(SYS_io_uring_setup, 1, parameters));
}

static int has_inotify(void)
{
    return of_descriptor(inotify_init1(IN_CLOEXEC));
}

static int has_process_memory(void)
{
    char from = 1, to = 0;
    struct iovec local = {&to, 1}, remote = {&from, 1};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

static const struct {
    const char *id, *what;
    int (*probe)(void);
} table[] = {
    {"userfaultfd", "userfaultfd without privileges", has_userfaultfd},
    {"wp-async", "write protection that the kernel resolves (Linux 6.7)", has_wp_async},
    {"pagemap-scan", "PAGEMAP_SCAN of written pages (Linux 6.7)", has_pagemap_scan},
    {"light-guards", "guard pages without a mapping each (Linux 6.13)", has_light_guards},
    {"collapse", "MADV_COLLAPSE: huge pages on request (Linux 6.1)", has_collapse},
    {"populate", "MADV_POPULATE_WRITE (Linux 5.14)", has_populate},
    {"fixed-noreplace", "mapping at an exact address or not at all", has_fixed_noreplace},
    {"personality", "turning address randomisation off for a process", has_personality},
    {"memfd", "memory files", has_memory_files},
    {"memfd-noexec", "memory files that cannot be executed (Linux 6.3)", has_noexec_memory_files},
    {"process-memory", "reading another process's memory", has_process_memory},
    {"inotify", "being told of changed files", has_inotify},
    {"io-uring", "io_uring", has_io_uring},
};

size_t rp_os_features(rp_os_feature features[RP_OS_FEATURES_MAX])
{
    _Static_assert(RP_COUNT_OF(table) <= RP_OS_FEATURES_MAX, "room for all");
    for (size_t i = 0; i < RP_COUNT_OF(table); i++) {
        features[i] = (rp_os_feature){table[i].id, table[i].what, table[i].probe()};
    }
    return RP_COUNT_OF(table);
}
