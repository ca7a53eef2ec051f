/* Takes in files. */
#include "take/io.h"

#include "base/error.h"
#include "take/format.h"

#include <string.h>

rp_status rp_take_file_is_take(const char *path, bool *is_take)
{
    uint8_t magic[sizeof rp_take_magic];
    int fd;
    uint64_t size_bytes;
    rp_status status = rp_os_file_open(path, &fd, &size_bytes);
    *is_take = false;
    if (status == RP_E_ARGUMENT) {
        return RP_OK; /* a directory, a device: there, and no take */
    }
    if (!status && size_bytes >= sizeof magic) {
        status = rp_os_file_read_at(fd, 0, magic, sizeof magic);
        *is_take = !status && memcmp(magic, rp_take_magic, sizeof magic) == 0;
    }
    rp_os_file_close(fd);
    return status;
}

/* What may be replaced; sets file->replace to whether there is something to replace. */
static rp_status check_path(rp_take_file *file, const char *path, bool replace)
{
    bool is_take;
    rp_status status = rp_take_file_is_take(path, &is_take);
    file->replace = false;
    if (status == RP_E_NOT_FOUND) {
        return RP_OK;
    }
    if (status) {
        return status;
    }
    if (!is_take) {
        return rp_fail(RP_E_TAKEN, "%s: is there and is no take: choose another name", path);
    }
    if (!replace) {
        return rp_fail(RP_E_TAKEN,
                       "%s: is there already: choose another name, or say that it may be replaced",
                       path);
    }
    file->replace = true;
    return RP_OK;
}

rp_status rp_take_file_create(rp_take_file *file, const char *path, bool replace)
{
    file->stream.fd = -1;
    rp_status status = check_path(file, path, replace);
    return status ? status : rp_os_stream_create(&file->stream, path);
}

void rp_take_file_close(rp_take_file *file)
{
    rp_os_stream_close(&file->stream);
}

static rp_status append(void *context, const void *data, size_t size_bytes)
{
    rp_take_file *file = context;
    return rp_os_stream_append(&file->stream, data, size_bytes);
}

static rp_status sync_file(void *context)
{
    rp_take_file *file = context;
    return rp_os_stream_sync(&file->stream);
}

static rp_status publish(void *context)
{
    rp_take_file *file = context;
    return rp_os_stream_publish(&file->stream, file->replace);
}

rp_take_sink rp_take_file_sink(rp_take_file *file)
{
    return (rp_take_sink){.context = file, .append = append, .sync = sync_file, .publish = publish};
}

static rp_status read_file(void *context, uint64_t offset, void *data, size_t size_bytes)
{
    const rp_take_file_source *file = context;
    return rp_os_file_read_at(file->fd, offset, data, size_bytes);
}

rp_status rp_take_file_open(rp_take_file_source *file, const char *path, rp_take_source *source)
{
    *source = (rp_take_source){.context = file, .name = path, .read = read_file};
    return rp_os_file_open(path, &file->fd, &source->size_bytes);
}

void rp_take_file_source_close(rp_take_file_source *file)
{
    rp_os_file_close(file->fd);
    file->fd = -1;
}
