/* What the commands that read takes share. */
#include "take_file.h"

#include "net/net.h"

#include <base/error.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

rp_status take_file_open_quietly(take_file *file, const char *path)
{
    rp_take_open_desc desc = {0};
    *file = (take_file){.path = path, .source.fd = -1};
    rp_status status = net_is_address(path) ? net_source_open(path, NULL, &desc.source, &file->net)
                                            : rp_take_file_open(&file->source, path, &desc.source);
    status = status ? status : rp_take_open(&desc, &file->take);
    status = status ? status
                    : rp_take_array_init(&file->ranges,
                                         (size_t)RP_TAKE_RANGE_MOST * sizeof(rp_take_range));
    if (status) {
        take_file_close(file);
        return status;
    }
    rp_take_overview_get(file->take, &file->overview);
    return RP_OK;
}

rp_status take_file_open(take_file *file, const char *path)
{
    rp_status status = take_file_open_quietly(file, path);
    if (!status && file->overview.damage[0]) {
        fprintf(stderr, "reprise: %s\n", file->overview.damage);
        fprintf(stderr, "reprise: %s: %llu frames before it can be read\n", path,
                (unsigned long long)file->overview.frame_count);
    }
    return status;
}

void take_file_close(take_file *file)
{
    rp_take_array_finish(&file->ranges);
    rp_take_close(file->take);
    net_source_close(file->net);
    if (file->path && !file->net) {
        rp_take_file_source_close(&file->source);
    }
    *file = (take_file){0};
}

static uint64_t number_of(const take_file *file, uint64_t index)
{
    const rp_take_index_frame *frame = rp_take_frame_at(file->take, index);
    return frame ? frame->frame : 0;
}

rp_status take_file_bookmarks(const take_file *file, bookmarks *b)
{
    const rp_take_index_other *other;
    rp_status status = RP_OK;
    *b = (bookmarks){0};
    for (uint64_t i = 0; !status && (other = rp_take_other_at(file->take, i)); i++) {
        rp_take_bookmark record;
        const bookmark *put;
        if (other->type != RP_TAKE_BOOKMARK) {
            continue;
        }
        status = rp_take_other_read(file->take, i, &record, NULL, NULL);
        if (!status && record.frame == RP_TAKE_FRAME_NONE) {
            bookmarks_remove(b, record.name);
        } else if (!status) {
            bookmarks_put(b, record.name, record.frame, &put);
        }
    }
    return status;
}

static rp_status named_frame(const take_file *file, const char *name, uint64_t *frame)
{
    bookmarks list;
    rp_status status = take_file_bookmarks(file, &list);
    if (!status && bookmarks_find(&list, name, frame)) {
        status = rp_fail(RP_E_ARGUMENT,
                         "%s: no frame: give a number, first, last, or a bookmark's name%s%s", name,
                         list.count ? ", such as " : ": this take has none",
                         list.count ? list.items[0].name : "");
    }
    return status;
}

rp_status take_file_frame(const take_file *file, const char *text, uint64_t *index)
{
    uint64_t count = file->overview.frame_count;
    char *end;
    if (!count) {
        return rp_fail(RP_E_RANGE, "%s: has no frames", file->path);
    }
    if (strcmp(text, "last") == 0 || strcmp(text, "first") == 0) {
        *index = text[0] == 'l' ? count - 1 : 0;
        return RP_OK;
    }
    errno = 0;
    uint64_t frame = strtoull(text, &end, 10);
    bool number = !errno && end != text && !*end && text[0] != '-';
    if (!number && named_frame(file, text, &frame)) {
        return rp_error_last()->status;
    }
    if (!rp_take_find_frame(file->take, frame, index)) {
        return rp_fail(RP_E_RANGE, "%s: has no frame %llu: it has %llu to %llu", file->path,
                       (unsigned long long)frame, (unsigned long long)number_of(file, 0),
                       (unsigned long long)number_of(file, count - 1));
    }
    return RP_OK;
}

rp_status take_file_span(const take_file *file, const char *text, uint64_t *first, uint64_t *last)
{
    char from[32];
    const char *dash = strchr(text, '-');
    if (!dash || (size_t)(dash - text) >= sizeof from) {
        return rp_fail(RP_E_ARGUMENT, "--frames %s: it takes two frames, as 120-240", text);
    }
    snprintf(from, sizeof from, "%.*s", (int)(dash - text), text);
    rp_status status = take_file_frame(file, from, first);
    status = status ? status : take_file_frame(file, dash + 1, last);
    return status || *first <= *last
               ? status
               : rp_fail(RP_E_ARGUMENT, "--frames %s: the first frame is behind the last", text);
}

rp_status take_file_timeline(const take_file *file, rp_take_array *marks)
{
    uint64_t count = file->overview.frame_count, lowest = UINT64_MAX;
    rp_status status = rp_take_array_init(marks, (size_t)count + 1);
    status = status ? status : rp_take_array_need(marks, (size_t)count + 1);
    for (uint64_t i = count; !status && i-- > 0;) {
        uint64_t frame = rp_take_frame_at(file->take, i)->frame;
        marks->data[i] = frame < lowest;
        lowest = frame < lowest ? frame : lowest;
    }
    return status;
}

rp_status take_file_ranges(take_file *file, uint64_t index)
{
    file->ranges.used_bytes = 0;
    return rp_take_list_read(file->take, RP_TAKE_RANGES, index, &file->ranges, &file->range_count);
}

rp_status take_file_write(const char *path, const void *data, size_t size_bytes)
{
    if (strcmp(path, "-") == 0) {
        bool wrote = fwrite(data, 1, size_bytes, stdout) == size_bytes && fflush(stdout) == 0;
        return wrote ? RP_OK : rp_fail_system(RP_E_SYSTEM, errno, "standard output: not written");
    }
    rp_os_stream stream;
    rp_status status = rp_os_stream_create(&stream, path);
    if (status) {
        return status;
    }
    status = rp_os_stream_append(&stream, data, size_bytes);
    status = status ? status : rp_os_stream_publish(&stream, false);
    rp_os_stream_close(&stream);
    return status;
}

int take_file_failed(const char *command)
{
    fprintf(stderr, "reprise: %s: %s\n", command, rp_error_last()->text);
    return rp_error_last()->status == RP_E_ARGUMENT ? TAKE_EXIT_USAGE : TAKE_EXIT_FAILED;
}

int take_file_usage(const char *command, const char *help, FILE *to)
{
    if (to == stdout) {
        fputs(help, to);
        return TAKE_EXIT_DONE;
    }
    fprintf(to, "reprise: %s: wrong usage: see `reprise %s --help`\n", command, command);
    return TAKE_EXIT_USAGE;
}

void take_file_plain(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 127) {
            *text = '?';
        }
    }
}

/* Only for a person: it is written over and over. */
void take_file_progress(void *context, uint64_t done, uint64_t all)
{
    if (isatty(STDERR_FILENO) && done % 512 == 0) {
        fprintf(stderr, "\r%s: %llu of %llu frames\033[K%s", (const char *)context,
                (unsigned long long)done, (unsigned long long)all,
                done + 512 >= all ? "\r\033[K" : "");
    }
}
