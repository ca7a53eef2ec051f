/* Whole files: read into fresh pages, written complete or not at all. */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/file_names.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

rp_status rp_os_fail_on_file(int system_code, const char *what, const char *path)
{
    rp_status status =
        system_code == ENOENT || system_code == ENOTDIR ? RP_E_NOT_FOUND : RP_E_SYSTEM;
    return rp_fail_system(status, system_code, "%s: %s", path, what);
}

/* Regular and not too large, by the descriptor, so that no name can change in between. */
static rp_status check_file(int fd, const char *path, size_t limit_bytes, size_t *size_bytes)
{
    struct stat info;
    if (RP_OS_CALL(fstat(fd, &info)) < 0) {
        return rp_os_fail_on_file(errno, "its size cannot be told", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return rp_fail(RP_E_ARGUMENT, "%s: not a regular file: name one", path);
    }
    if ((uint64_t)info.st_size > limit_bytes) {
        return rp_fail(RP_E_LIMIT,
                       "%s: %lld bytes are more than the limit of %zu: use a smaller file", path,
                       (long long)info.st_size, limit_bytes);
    }
    *size_bytes = (size_t)info.st_size;
    return RP_OK;
}

static rp_status map_pages(size_t size_bytes, const char *path, rp_os_bytes *bytes)
{
    size_t mapped_bytes = rp_align_up(size_bytes + 1, RP_PAGE_BYTES);
    void *data = RP_OS_MAP(
        mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (data == MAP_FAILED) {
        return rp_fail_system(RP_E_MEMORY, errno, "%s: no memory for %zu bytes: free some", path,
                              size_bytes);
    }
    *bytes = (rp_os_bytes){data, size_bytes, mapped_bytes};
    return RP_OK;
}

/* Reads until `bytes` is full or the file ends; a file cut short meanwhile gives what is left. */
static rp_status read_all(int fd, const char *path, rp_os_bytes *bytes)
{
    size_t done = 0;
    while (done < bytes->size_bytes) {
        ssize_t got = RP_OS_CALL(read(fd, bytes->data + done, bytes->size_bytes - done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rp_os_fail_on_file(errno, "cannot be read", path);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    bytes->size_bytes = done;
    return RP_OK;
}

static rp_status read_open_file(int fd, const char *path, size_t limit_bytes, rp_os_bytes *bytes)
{
    size_t size_bytes = 0;
    rp_status status = check_file(fd, path, limit_bytes, &size_bytes);
    if (!status) {
        status = map_pages(size_bytes, path, bytes);
    }
    if (!status) {
        status = read_all(fd, path, bytes);
    }
    if (status) {
        rp_os_file_free(bytes);
    }
    return status;
}

rp_status rp_os_file_read(const char *path, size_t limit_bytes, rp_os_bytes *bytes)
{
    *bytes = (rp_os_bytes){0};
    /* Without O_NONBLOCK a FIFO would block before it could be refused. */
    int fd = RP_OS_CALL(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd < 0) {
        return rp_os_fail_on_file(errno, "cannot be opened for reading", path);
    }
    rp_status status = read_open_file(fd, path, limit_bytes, bytes);
    close(fd);
    return status;
}

void rp_os_file_free(rp_os_bytes *bytes)
{
    if (bytes->data) {
        munmap(bytes->data, bytes->mapped_bytes);
    }
    *bytes = (rp_os_bytes){0};
}

static rp_status write_all(int fd, const char *path, const uint8_t *data, size_t size_bytes)
{
    while (size_bytes) {
        ssize_t wrote = RP_OS_CALL(write(fd, data, size_bytes));
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return rp_os_fail_on_file(errno, "cannot be written", path);
        }
        data += wrote;
        size_bytes -= (size_t)wrote;
    }
    return RP_OK;
}

static rp_status fill_temporary(int fd, const char *path, const void *data, size_t size_bytes)
{
    rp_status status = write_all(fd, path, data, size_bytes);
    if (status) {
        return status;
    }
    if (RP_OS_CALL(fchmod(fd, 0644)) < 0) {
        return rp_os_fail_on_file(errno, "its mode cannot be set", path);
    }
    if (RP_OS_CALL(fsync(fd)) < 0) {
        return rp_os_fail_on_file(errno, "cannot be brought to the disk", path);
    }
    return RP_OK;
}

/* Bytes of the path up to and with its last slash; 0 where it names no directory. */
static int directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* Not the file's own name with something added: that may be too long where the name is not. */
bool rp_os_name_beside(const char *path, char *beside)
{
    return snprintf(beside, PATH_MAX, "%.*s.reprise-XXXXXX", directory_length(path), path) <
           PATH_MAX;
}

rp_status rp_os_sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    int length = directory_length(path);
    snprintf(directory, sizeof directory, "%.*s", length ? length : 1, length ? path : ".");
    int fd = RP_OS_CALL(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) {
        return rp_os_fail_on_file(errno, "its directory cannot be opened", path);
    }
    int result = RP_OS_CALL(fsync(fd));
    int system_code = errno;
    close(fd);
    if (result < 0 && system_code != EINVAL) { /* EINVAL: a file system that cannot */
        return rp_os_fail_on_file(system_code, "its directory cannot be brought to the disk", path);
    }
    return RP_OK;
}

static rp_status write_and_rename(int fd, const char *beside, const char *path, const void *data,
                                  size_t size_bytes)
{
    rp_status status = fill_temporary(fd, path, data, size_bytes);
    if (status) {
        return status;
    }
    if (RP_OS_CALL(rename(beside, path)) < 0) {
        return rp_os_fail_on_file(errno, "cannot be put in place", path);
    }
    return RP_OK;
}

rp_status rp_os_file_write(const char *path, const void *data, size_t size_bytes)
{
    char beside[PATH_MAX];
    if (!rp_os_name_beside(path, beside)) {
        return rp_os_fail_on_file(ENAMETOOLONG, "cannot be written", path);
    }
    int fd = RP_OS_CALL(mkostemp(beside, O_CLOEXEC));
    if (fd < 0) {
        return rp_os_fail_on_file(errno, "no file can be made beside it", path);
    }
    rp_status status = write_and_rename(fd, beside, path, data, size_bytes);
    close(fd);
    if (status) {
        unlink(beside);
        return status;
    }
    return rp_os_sync_directory_of(path);
}
