/* The index made anew: all records are read, up to the first that is not whole. */
#include "take/reader_private.h"

#include "base/error.h"

#include <string.h>

static rp_status add_frame(rp_take *take, const reader_record *record)
{
    rp_take_frame frame;
    reader_fixed(take, record, &frame);
    rp_status status = reader_check_frame(take, record, &frame);
    rp_take_index_frame entry = {.offset = record->offset,
                                 .record_bytes = record->record_bytes,
                                 .frame = frame.frame,
                                 .hash = frame.hash,
                                 .step_ns = frame.step_ns,
                                 .build = frame.build,
                                 .kind = frame.kind,
                                 .flags = frame.flags,
                                 .page_count = frame.page_count};
    take->thin_count += !status && (frame.flags & RP_TAKE_THIN);
    return status ? status : rp_take_array_add(&take->frames, &entry, sizeof entry);
}

static rp_status add_block(rp_take *take, const reader_record *record)
{
    rp_take_pages pages;
    reader_fixed(take, record, &pages);
    if (pages.first_content != take->content_count || !pages.count ||
        pages.count > RP_TAKE_BLOCK_PAGES ||
        record->head.unpacked_bytes != pages.count * RP_PAGE_BYTES) {
        return reader_damaged(take, record->offset, "contents are not numbered on");
    }
    rp_take_index_block entry = {.offset = record->offset,
                                 .record_bytes = record->record_bytes,
                                 .first_content = pages.first_content,
                                 .count = pages.count};
    take->content_count += pages.count;
    return rp_take_array_add(&take->blocks, &entry, sizeof entry);
}

static rp_status add_base(rp_take *take, const reader_record *record)
{
    rp_take_base base;
    uint64_t frames = reader_frame_count(take);
    reader_fixed(take, record, &base);
    if (!frames || base.frame_index != frames - 1) {
        return reader_damaged(take, record->offset, "a base is not that of the frame before it");
    }
    rp_take_index_base entry = {.offset = record->offset,
                                .record_bytes = record->record_bytes,
                                .frame_index = base.frame_index,
                                .page_count = base.page_count};
    return rp_take_array_add(&take->bases, &entry, sizeof entry);
}

static rp_status add_other(rp_take *take, const reader_record *record)
{
    rp_take_index_other entry = {.offset = record->offset,
                                 .record_bytes = record->record_bytes,
                                 .frame_index = reader_frame_count(take),
                                 .type = record->head.type};
    return rp_take_array_add(&take->others, &entry, sizeof entry);
}

static rp_status add(rp_take *take, const reader_record *record)
{
    switch (record->head.type) {
    case RP_TAKE_FRAME:
        return add_frame(take, record);
    case RP_TAKE_PAGES:
        return add_block(take, record);
    case RP_TAKE_BASE:
        return add_base(take, record);
    case RP_TAKE_INDEX:
        return RP_OK;
    default:
        return add_other(take, record);
    }
}

/* Whether what is left is the trailer; it is known by its first bytes, as nothing else counts here.
 */
static bool is_trailer(const rp_take *take, uint64_t offset)
{
    const rp_take_source *source = &take->desc.source;
    uint8_t magic[sizeof rp_take_end_magic];
    return source->size_bytes - offset == RP_TAKE_BYTES_trailer &&
           !source->read(source->context, offset, magic, sizeof magic) &&
           memcmp(magic, rp_take_end_magic, sizeof magic) == 0;
}

rp_status reader_scan(rp_take *take)
{
    uint64_t offset = RP_TAKE_BYTES_header, end = take->desc.source.size_bytes;
    rp_status status = RP_OK;
    take->frames.used_bytes = take->blocks.used_bytes = 0;
    take->bases.used_bytes = take->others.used_bytes = 0;
    take->content_count = take->thin_count = 0;
    take->from_index = false;
    while (!status && offset < end && !is_trailer(take, offset)) {
        reader_record record;
        status = reader_read(take, offset, end, &record);
        status = status ? status : add(take, &record);
        offset += status ? 0 : record.record_bytes;
    }
    take->whole_bytes = status ? offset : end;
    take->closed = take->closed || (!status && offset < end);
    if (status == RP_E_FORMAT) { /* what stands before it can be used */
        memcpy(take->damage, rp_error_last()->text, sizeof take->damage);
        return RP_OK;
    }
    return status;
}
