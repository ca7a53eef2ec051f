/* Memory files: anonymous shared memory behind a descriptor. */
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "os/linux/access.h"
#include "os/linux/fault.h"
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pages in one pwritev: at most IOV_MAX (1024), and few enough for a small stack. */
enum { BATCH_PAGES = 256 };

static int create(const char *name)
{
    int fd = RP_OS_CALL(memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL));
    if (fd < 0 && errno == EINVAL) { /* before 6.3 */
        fd = RP_OS_CALL(memfd_create(name, MFD_CLOEXEC));
    }
    return fd;
}

rp_status rp_os_memfile_create(const char *name, size_t size_bytes, int *fd)
{
    *fd = -1;
    int made = create(name);
    if (made < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "memory file %s: not created: close descriptors or free memory",
                              name);
    }
    rp_status status = rp_os_memfile_resize(made, size_bytes);
    if (status) {
        close(made);
        return status;
    }
    *fd = made;
    return RP_OK;
}

void rp_os_memfile_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void rp_os_memfile_path(int fd, char path[RP_OS_MEMFILE_PATH_BYTES])
{
    rp_text_buffer text = rp_text_buffer_over(path, RP_OS_MEMFILE_PATH_BYTES);
    rp_text_add(&text, "/proc/%d/fd/%d", (int)getpid(), fd);
}

rp_status rp_os_memfile_resize(int fd, size_t size_bytes)
{
    int result;
    do {
        result = RP_OS_CALL(ftruncate(fd, (off_t)size_bytes));
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "memory file: not resized to %zu KiB: see the limit of file size "
                              "(RLIMIT_FSIZE) and free memory",
                              size_bytes >> 10);
    }
    return RP_OK;
}

rp_status rp_os_memfile_map(int fd, size_t offset_bytes, void *at, size_t size_bytes,
                            rp_os_protection protection, void **address)
{
    int flags = MAP_SHARED | (at ? MAP_FIXED : 0);
    void *got = RP_OS_MAP(
        mmap(at, size_bytes, rp_os_access_bits(protection), flags, fd, (off_t)offset_bytes));
    if (got == MAP_FAILED) {
        *address = NULL;
        return rp_fail_system(errno == ENOMEM ? RP_E_MEMORY : RP_E_SYSTEM, errno,
                              "memory file: %zu KiB from %zu not mapped: check the address space "
                              "limit and that the file was opened for this access",
                              size_bytes >> 10, offset_bytes);
    }
    *address = got;
    return RP_OK;
}

rp_status rp_os_memfile_punch(int fd, size_t offset_bytes, size_t size_bytes)
{
    int result;
    do {
        result = RP_OS_CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      (off_t)offset_bytes, (off_t)size_bytes));
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno,
                              "memory file: %zu KiB from %zu not given back: they stay in memory",
                              size_bytes >> 10, offset_bytes);
    }
    return RP_OK;
}

uint64_t rp_os_memfile_held_bytes(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}

/* Fills the vector with what follows after `done` bytes of the pages; returns how many entries. */
static int gather(struct iovec *vector, const void *const *pages, size_t count, size_t done)
{
    size_t page = done / RP_PAGE_BYTES, skip = done % RP_PAGE_BYTES;
    size_t entries = rp_min_size(count - page, BATCH_PAGES);
    for (size_t i = 0; i < entries; i++) {
        vector[i].iov_base = (void *)pages[page + i];
        vector[i].iov_len = RP_PAGE_BYTES;
    }
    vector[0].iov_base = (uint8_t *)vector[0].iov_base + skip;
    vector[0].iov_len -= skip;
    return (int)entries;
}

rp_status rp_os_memfile_write_pages(int fd, size_t offset_bytes, const void *const *pages,
                                    size_t count)
{
    struct iovec vector[BATCH_PAGES];
    size_t done = 0, total = count * RP_PAGE_BYTES;
    while (done < total) {
        int entries = gather(vector, pages, count, done);
        ssize_t wrote = RP_OS_CALL(pwritev(fd, vector, entries, (off_t)(offset_bytes + done)));
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            /* A short write stops at the first byte it could not read or store; going on names it.
             */
            return rp_fail_system(RP_E_SYSTEM, wrote < 0 ? errno : ENOSPC,
                                  "memory file: page %zu of %zu (from %p) not written: it must be "
                                  "readable, and memory must be left",
                                  done / RP_PAGE_BYTES, count, pages[done / RP_PAGE_BYTES]);
        }
        done += (size_t)wrote;
    }
    return RP_OK;
}
