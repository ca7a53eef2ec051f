/* Files that grow at their end, and files that are read here and there. */
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
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof((rp_os_stream *)0)->beside >= PATH_MAX, "a path fits");

rp_status rp_os_stream_create(rp_os_stream *stream, const char *path)
{
    *stream = (rp_os_stream){.fd = -1, .path = path};
    if (!rp_os_name_beside(path, stream->beside)) {
        return rp_os_fail_on_file(ENAMETOOLONG, "cannot be written", path);
    }
    int fd = RP_OS_CALL(mkostemp(stream->beside, O_CLOEXEC));
    if (fd < 0) {
        stream->beside[0] = 0;
        return rp_os_fail_on_file(errno, "no file can be made beside it", path);
    }
    stream->fd = fd;
    return RP_OK;
}

rp_status rp_os_stream_append(rp_os_stream *stream, const void *data, size_t size_bytes)
{
    const uint8_t *bytes = data;
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t wrote =
            RP_OS_CALL(pwrite(stream->fd, bytes + done, rp_os_fault_shorten(size_bytes - done),
                              (off_t)(stream->size_bytes + done)));
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            int code = wrote < 0 ? errno : ENOSPC;
            /* Not needed for the file to be read; it keeps a torn end from looking like damage. */
            int result = ftruncate(stream->fd, (off_t)stream->size_bytes);
            (void)result;
            return rp_os_fail_on_file(code, "cannot be written", stream->path);
        }
        done += (size_t)wrote;
    }
    stream->size_bytes += size_bytes;
    return RP_OK;
}

rp_status rp_os_stream_sync(rp_os_stream *stream)
{
    if (RP_OS_CALL(fdatasync(stream->fd)) < 0) {
        return rp_os_fail_on_file(errno, "cannot be brought to the disk", stream->path);
    }
    return RP_OK;
}

/* File systems without the flag get a link, which refuses an existing name as well. */
static int rename_new(const char *from, const char *to)
{
    int result = RP_OS_CALL(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
    if (result < 0 && errno == EINVAL) {
        result = RP_OS_CALL(link(from, to));
        if (result == 0) {
            unlink(from);
        }
    }
    return result;
}

rp_status rp_os_stream_publish(rp_os_stream *stream, bool replace)
{
    if (RP_OS_CALL(fsync(stream->fd)) < 0) {
        return rp_os_fail_on_file(errno, "cannot be brought to the disk", stream->path);
    }
    int result = replace ? RP_OS_CALL(rename(stream->beside, stream->path))
                         : rename_new(stream->beside, stream->path);
    if (result < 0 && errno == EEXIST) {
        return rp_fail(RP_E_TAKEN, "%s: is there already: choose another name", stream->path);
    }
    if (result < 0) {
        return rp_os_fail_on_file(errno, "cannot be put in place", stream->path);
    }
    stream->beside[0] = 0;
    return rp_os_sync_directory_of(stream->path);
}

void rp_os_stream_close(rp_os_stream *stream)
{
    if (stream->fd >= 0) {
        close(stream->fd);
        if (stream->beside[0]) {
            unlink(stream->beside);
        }
    }
    stream->fd = -1;
}

static rp_status check_regular(int fd, const char *path, uint64_t *size_bytes)
{
    struct stat info;
    if (RP_OS_CALL(fstat(fd, &info)) < 0) {
        return rp_os_fail_on_file(errno, "its size cannot be told", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return rp_fail(RP_E_ARGUMENT, "%s: not a regular file: name one", path);
    }
    *size_bytes = (uint64_t)info.st_size;
    return RP_OK;
}

rp_status rp_os_file_open(const char *path, int *fd, uint64_t *size_bytes)
{
    *fd = -1;
    *size_bytes = 0;
    /* Without O_NONBLOCK a FIFO would block before it could be refused. */
    int opened = RP_OS_CALL(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (opened < 0) {
        return rp_os_fail_on_file(errno, "cannot be opened for reading", path);
    }
    rp_status status = check_regular(opened, path, size_bytes);
    if (status) {
        close(opened);
        return status;
    }
    *fd = opened;
    return RP_OK;
}

rp_status rp_os_file_read_at(int fd, uint64_t offset_bytes, void *data, size_t size_bytes)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t got = RP_OS_CALL(
            pread(fd, (uint8_t *)data + done, size_bytes - done, (off_t)(offset_bytes + done)));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rp_fail_system(RP_E_SYSTEM, errno, "file: %zu bytes at %llu cannot be read",
                                  size_bytes, (unsigned long long)offset_bytes);
        }
        if (got == 0) {
            return rp_fail(RP_E_FORMAT,
                           "file: ends at %llu, though %zu bytes from %llu on are "
                           "wanted: it was cut short",
                           (unsigned long long)(offset_bytes + done), size_bytes,
                           (unsigned long long)offset_bytes);
        }
        done += (size_t)got;
    }
    return RP_OK;
}

void rp_os_file_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}
