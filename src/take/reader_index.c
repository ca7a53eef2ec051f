/* The index that a take which was closed in order ends with. */
#include "take/reader_private.h"

#include "base/error.h"

#include <string.h>

static rp_status bad(const rp_take *take, uint64_t offset, const char *what)
{
    return reader_damaged(take, offset, "the index is not used: %s", what);
}

static rp_status read_trailer(rp_take *take, rp_take_trailer *trailer)
{
    const rp_take_source *source = &take->desc.source;
    uint8_t bytes[RP_TAKE_BYTES_trailer];
    if (source->size_bytes < RP_TAKE_BYTES_header + RP_TAKE_BYTES_trailer) {
        return bad(take, source->size_bytes, "the file ends before it");
    }
    uint64_t at = source->size_bytes - RP_TAKE_BYTES_trailer;
    rp_status status = source->read(source->context, at, bytes, sizeof bytes);
    if (status) {
        return status;
    }
    rp_take_decode(RP_TAKE_STRUCT_trailer, bytes, trailer);
    if (memcmp(trailer->magic, rp_take_end_magic, sizeof trailer->magic) != 0) {
        return bad(take, at, "there is none: the take was not closed in order");
    }
    take->closed = true;
    if (trailer->checksum != rp_take_trailer_checksum(bytes, take->header.take_id)) {
        return bad(take, at, "the trailer's checksum is wrong");
    }
    if (trailer->index_offset < RP_TAKE_BYTES_header || trailer->index_offset > at ||
        trailer->index_bytes != at - trailer->index_offset) {
        return bad(take, at, "the trailer names no place in the file");
    }
    return RP_OK;
}

/* Each record takes room in the file, so the counts are bounded by its size. */
static bool counts_hold(const rp_take *take, const reader_record *record,
                        const rp_take_index *index)
{
    uint64_t most = take->desc.source.size_bytes / RP_TAKE_BYTES_record;
    return index->frame_count <= most && index->block_count <= most && index->base_count <= most &&
           index->other_count <= most &&
           index->frame_count * RP_TAKE_BYTES_index_frame +
                   index->block_count * RP_TAKE_BYTES_index_block +
                   index->base_count * RP_TAKE_BYTES_index_base +
                   index->other_count * RP_TAKE_BYTES_index_other ==
               record->head.unpacked_bytes;
}

/* The structs have their size in the file in memory as well. */
static rp_status decode_list(rp_take_struct which, const uint8_t **from, uint64_t count,
                             rp_take_array *array)
{
    size_t size_bytes = rp_take_layout_of(which)->size_bytes;
    array->used_bytes = 0;
    rp_status status = rp_take_array_need(array, (size_t)count * size_bytes);
    if (status) {
        return status;
    }
    for (uint64_t i = 0; i < count; i++, *from += size_bytes) {
        rp_take_decode(which, *from, array->data + i * size_bytes);
    }
    array->used_bytes = (size_t)count * size_bytes;
    return RP_OK;
}

static rp_status decode_lists(rp_take *take, const rp_take_index *index)
{
    const uint8_t *from = take->tail.data;
    rp_status status =
        decode_list(RP_TAKE_STRUCT_index_frame, &from, index->frame_count, &take->frames);
    if (!status) {
        status = decode_list(RP_TAKE_STRUCT_index_block, &from, index->block_count, &take->blocks);
    }
    if (!status) {
        status = decode_list(RP_TAKE_STRUCT_index_base, &from, index->base_count, &take->bases);
    }
    if (!status) {
        status = decode_list(RP_TAKE_STRUCT_index_other, &from, index->other_count, &take->others);
    }
    return status;
}

/* ---- does it hold? ----------------------------------------------------------------------------
 */

/* Whether a record may lie at [offset, offset + size), behind `*behind`, which moves to its end. */
static bool lies(uint64_t offset, uint64_t size_bytes, uint64_t end, uint64_t *behind)
{
    bool holds = offset >= *behind && offset <= end && size_bytes >= RP_TAKE_BYTES_record &&
                 size_bytes <= end - offset;
    *behind = offset + size_bytes;
    return holds;
}

static bool frames_hold(rp_take *take, uint64_t end)
{
    const rp_take_index_frame *frames = reader_frames(take);
    uint64_t behind = RP_TAKE_BYTES_header;
    for (uint64_t i = 0; i < reader_frame_count(take); i++) {
        if (!lies(frames[i].offset, frames[i].record_bytes, end, &behind)) {
            return false;
        }
        take->thin_count += frames[i].flags & RP_TAKE_THIN;
    }
    return true;
}

static bool blocks_hold(rp_take *take, uint64_t end)
{
    const rp_take_index_block *blocks = reader_blocks(take);
    uint64_t behind = RP_TAKE_BYTES_header;
    for (uint64_t i = 0; i < READER_COUNT(take, blocks, rp_take_index_block); i++) {
        if (!lies(blocks[i].offset, blocks[i].record_bytes, end, &behind) ||
            blocks[i].first_content != take->content_count || !blocks[i].count ||
            blocks[i].count > RP_TAKE_BLOCK_PAGES) {
            return false;
        }
        take->content_count += blocks[i].count;
    }
    return true;
}

static bool bases_hold(const rp_take *take, uint64_t end)
{
    const rp_take_index_base *bases = reader_bases(take);
    const rp_take_index_frame *frames = reader_frames(take);
    uint64_t behind = RP_TAKE_BYTES_header, count = reader_frame_count(take);
    for (uint64_t i = 0; i < READER_COUNT(take, bases, rp_take_index_base); i++) {
        uint64_t frame = bases[i].frame_index;
        if (!lies(bases[i].offset, bases[i].record_bytes, end, &behind) || frame >= count ||
            bases[i].offset < frames[frame].offset ||
            (frame + 1 < count && bases[i].offset > frames[frame + 1].offset)) {
            return false;
        }
    }
    return true;
}

static bool others_hold(const rp_take *take, uint64_t end)
{
    const rp_take_index_other *others = reader_others(take);
    uint64_t behind = RP_TAKE_BYTES_header, frame = 0;
    for (uint64_t i = 0; i < READER_COUNT(take, others, rp_take_index_other); i++) {
        uint32_t type = others[i].type;
        if (!lies(others[i].offset, others[i].record_bytes, end, &behind) ||
            others[i].frame_index < frame || others[i].frame_index > reader_frame_count(take) ||
            type == RP_TAKE_FRAME || type == RP_TAKE_PAGES || type == RP_TAKE_BASE ||
            type == RP_TAKE_INDEX || (!rp_take_kind_of(type) && type < RP_TAKE_OPTIONAL)) {
            return false;
        }
        frame = others[i].frame_index;
    }
    return true;
}

static rp_status read_index(rp_take *take, const rp_take_trailer *trailer)
{
    reader_record record;
    rp_take_index index;
    rp_status status =
        reader_read_as(take, trailer->index_offset, trailer->index_bytes, RP_TAKE_INDEX, &record);
    if (status) {
        return status;
    }
    reader_fixed(take, &record, &index);
    if (!counts_hold(take, &record, &index)) {
        return bad(take, trailer->index_offset, "its counts contradict its size");
    }
    rp_take_array_clear(&take->tail, 0);
    status = reader_tail(take, &record, &take->tail);
    return status ? status : decode_lists(take, &index);
}

rp_status reader_load_index(rp_take *take)
{
    rp_take_trailer trailer;
    rp_status status = read_trailer(take, &trailer);
    status = status ? status : read_index(take, &trailer);
    if (status) {
        return status;
    }
    uint64_t end = trailer.index_offset;
    take->content_count = take->thin_count = 0;
    if (!frames_hold(take, end) || !blocks_hold(take, end) || !bases_hold(take, end) ||
        !others_hold(take, end)) {
        return bad(take, trailer.index_offset, "it names places where nothing can be");
    }
    take->from_index = true;
    take->whole_bytes = take->desc.source.size_bytes;
    return RP_OK;
}
