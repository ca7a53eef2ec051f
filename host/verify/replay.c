/* A session's frames as a take in memory, for comparing them with others. */
#include "verify/verify.h"

#include <base/bits.h>
#include <base/error.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_MOST_BYTES RP_GIB(16)

/* ---- a sink and a source ---- */

static rp_status append(void *context, const void *data, size_t size_bytes)
{
    return rp_take_array_add(context, data, size_bytes);
}

static rp_status nothing(void *context)
{
    (void)context;
    return RP_OK;
}

static rp_status read_bytes(void *context, uint64_t offset, void *data, size_t size_bytes)
{
    const rp_take_array *bytes = context;
    if (offset > bytes->used_bytes || size_bytes > bytes->used_bytes - offset) {
        return rp_fail(RP_E_FORMAT, "replay: ends before it should");
    }
    if (size_bytes) {
        memcpy(data, bytes->data + offset, size_bytes);
    }
    return RP_OK;
}

/* ---- writing ---- */

static rp_status write_build(replay *r, const session *s)
{
    const session_build *from = &s->builds[s->loaded - 1];
    rp_take_build build = {.base = from->base,
                           .low = from->low,
                           .high = from->high,
                           .tls_address = from->tls_address,
                           .number = s->loaded,
                           .id_bytes = from->elf->build_id_bytes};
    rp_take_part part = {.build = s->loaded, .role = RP_TAKE_ROLE_MODULE, .name = "module"};
    rp_os_bytes bytes;
    memcpy(build.id, from->elf->build_id, sizeof build.id);
    rp_status status = rp_os_file_read(from->path, RP_GIB(1), &bytes);
    if (status) {
        return status;
    }
    status = rp_take_writer_build(r->writer, &build);
    status = status ? status : rp_take_writer_file(r->writer, &part, bytes.data, bytes.size_bytes);
    rp_os_file_free(&bytes);
    return status;
}

static rp_status write_ranges(replay *r, const session *s)
{
    rp_take_range *ranges = calloc(s->known_count + 1, sizeof *ranges);
    if (!ranges) {
        return rp_fail(RP_E_MEMORY, "no memory is left");
    }
    for (uint32_t i = 0; i < s->known_count; i++) {
        const link_range *from = &s->known[i];
        ranges[i] = (rp_take_range){.start = from->start,
                                    .size_bytes = from->size_bytes,
                                    .first_page = from->first_page,
                                    .build = from->build};
        snprintf(ranges[i].name, sizeof ranges[i].name, "%.63s", from->name);
    }
    rp_status status = rp_take_writer_ranges(r->writer, ranges, s->known_count);
    free(ranges);
    return status;
}

rp_status replay_begin(replay *r, const session *s)
{
    *r = (replay){0};
    rp_status status = rp_take_array_init(&r->bytes, REPLAY_MOST_BYTES);
    status = status ? status : rp_take_array_init(&r->pages, RP_PAGE_LIMIT * sizeof(rp_take_page));
    status = status ? status : rp_take_array_init(&r->contents, REPLAY_MOST_BYTES);
    status = status ? status : rp_take_array_init(&r->numbers, RP_PAGE_LIMIT * sizeof(uint32_t));
    if (status) {
        return status;
    }
    rp_take_environment environment = {.program = "verify"};
    rp_take_writer_desc desc = {.sink = {&r->bytes, append, nothing, nothing},
                                .take_id = 1,
                                .region_base = RP_REGION_BASE,
                                .environment = &environment};
    status = rp_take_writer_open(&desc, &r->writer);
    status = status ? status : write_build(r, s);
    return status ? status : write_ranges(r, s);
}

static rp_status list_all(replay *r, session *s)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_full(s->log, &entries, &count);
    for (size_t i = 0; !status && i < count; i++) {
        status = rp_take_array_add(&r->numbers, &entries[i].page, sizeof entries[i].page);
    }
    return status;
}

static rp_status list_changed(replay *r, session *s, uint64_t index)
{
    size_t count = rp_log_record_pages(s->log, index, NULL, 0);
    rp_status status = rp_take_array_need(&r->numbers, count * sizeof(uint32_t));
    if (!status) {
        uint32_t *numbers = (uint32_t *)(void *)r->numbers.data;
        count = rp_min_size(count, rp_log_record_pages(s->log, index, numbers, count));
        r->numbers.used_bytes = count * sizeof *numbers;
    }
    return status;
}

static rp_status read_pages(replay *r, session *s, uint64_t index)
{
    size_t count = r->numbers.used_bytes / sizeof(uint32_t);
    const uint32_t *numbers = (const uint32_t *)(const void *)r->numbers.data;
    rp_status status = rp_take_array_need(&r->contents, count * RP_PAGE_BYTES);
    status =
        status || !count ? status : rp_log_read(s->log, index, numbers, count, r->contents.data);
    for (size_t i = 0; !status && i < count; i++) {
        rp_take_page page = {.page = numbers[i], .content = r->contents.data + i * RP_PAGE_BYTES};
        status = rp_take_array_add(&r->pages, &page, sizeof page);
    }
    return status;
}

rp_status replay_frame(replay *r, session *s)
{
    uint64_t index = rp_log_position(s->log);
    rp_record record;
    r->pages.used_bytes = r->contents.used_bytes = r->numbers.used_bytes = 0;
    if (!rp_log_record(s->log, index, &record)) {
        return rp_fail(RP_E_RANGE, "verify: the frame is not kept");
    }
    rp_status status = r->whole ? list_changed(r, s, index) : list_all(r, s);
    status = status ? status : read_pages(r, s, index);
    if (status) {
        return status;
    }
    rp_take_frame_desc desc = {.frame = record.frame, .build = record.build};
    r->whole = true;
    return rp_take_writer_frame(r->writer, &desc, (const rp_take_page *)(const void *)r->pages.data,
                                r->pages.used_bytes / sizeof(rp_take_page));
}

rp_status replay_finish(replay *r)
{
    rp_take_open_desc desc = {
        .source = {.context = &r->bytes, .name = "the replay", .read = read_bytes}};
    rp_status status = rp_take_writer_finish(r->writer);
    desc.source.size_bytes = r->bytes.used_bytes;
    status = status ? status : rp_take_open(&desc, &r->file.take);
    if (!status) {
        r->file.path = "the replay";
        rp_take_overview_get(r->file.take, &r->file.overview);
    }
    return status;
}

void replay_drop(replay *r)
{
    rp_take_close(r->file.take);
    rp_take_writer_close(r->writer);
    rp_take_array_finish(&r->bytes);
    rp_take_array_finish(&r->pages);
    rp_take_array_finish(&r->contents);
    rp_take_array_finish(&r->numbers);
    *r = (replay){0};
}
