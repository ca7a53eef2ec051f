/* Records, and the index of them. */
#include "take/writer_private.h"

#include "base/assert.h"
#include "base/error.h"
#include "history/log.h"

#include <string.h>

rp_status writer_check(const rp_take_writer *w)
{
    if (w->failed) {
        return rp_fail(RP_E_CLOSED,
                       "take: writing it failed before: it is whole up to frame record "
                       "%llu: go on in another file",
                       (unsigned long long)w->stats.frame_count);
    }
    if (w->finished) {
        return rp_fail(RP_E_CLOSED, "take: it is finished: go on in another file");
    }
    return RP_OK;
}

rp_status writer_fail(rp_take_writer *w, rp_status status)
{
    w->failed = status;
    return status;
}

static rp_status add_tail(rp_take_writer *w, const void *tail, size_t tail_bytes,
                          uint64_t *packed_bytes)
{
    *packed_bytes = 0;
    if (!tail_bytes) {
        return RP_OK;
    }
    size_t bound = rp_take_pack_bound(tail_bytes), packed = 0;
    rp_status status = rp_take_array_need(&w->out, bound);
    if (!status) {
        status = rp_take_pack(&w->codec, tail, tail_bytes, w->out.data + w->out.used_bytes, bound,
                              &packed);
    }
    w->out.used_bytes += packed;
    *packed_bytes = packed;
    return status;
}

static rp_status add_front(rp_take_writer *w, const rp_take_kind *kind, const void *fixed,
                           const void *plain, size_t plain_bytes)
{
    uint32_t fixed_bytes = rp_take_layout_of(kind->layout)->size_bytes;
    rp_status status = rp_take_array_need(&w->out, RP_TAKE_BYTES_record + fixed_bytes);
    if (status) {
        return status;
    }
    rp_take_encode(kind->layout, fixed, w->out.data + w->out.used_bytes + RP_TAKE_BYTES_record);
    w->out.used_bytes += RP_TAKE_BYTES_record + fixed_bytes;
    return rp_take_array_add(&w->out, plain, plain_bytes);
}

/* The head goes in last, since it has the checksum of the body. */
static void put_head(rp_take_writer *w, size_t start, rp_take_record *head)
{
    uint8_t *at = w->out.data + start;
    size_t body_bytes = head->plain_bytes + head->packed_bytes;
    rp_take_encode(RP_TAKE_STRUCT_record, head, at);
    head->checksum = rp_take_record_checksum(w->take_id, w->size_bytes + start, at,
                                             at + RP_TAKE_BYTES_record, body_bytes);
    rp_take_encode(RP_TAKE_STRUCT_record, head, at);
}

rp_status writer_add_record(rp_take_writer *w, rp_take_type type, const void *fixed,
                            const void *plain, size_t plain_bytes, const void *tail,
                            size_t tail_bytes, uint64_t *offset, uint64_t *record_bytes)
{
    const rp_take_kind *kind = rp_take_kind_of(type);
    size_t start = w->out.used_bytes;
    RP_ASSERT(tail_bytes <= kind->unpacked_most_bytes);
    rp_take_record head = {.type = type,
                           .plain_bytes =
                               rp_take_layout_of(kind->layout)->size_bytes + (uint32_t)plain_bytes,
                           .unpacked_bytes = tail_bytes};
    rp_status status = add_front(w, kind, fixed, plain, plain_bytes);
    if (!status) {
        status = add_tail(w, tail, tail_bytes, &head.packed_bytes);
    }
    if (status) {
        w->out.used_bytes = start;
        return status;
    }
    put_head(w, start, &head);
    *offset = w->size_bytes + start;
    *record_bytes = w->out.used_bytes - start;
    return RP_OK;
}

rp_status writer_add_other(rp_take_writer *w, rp_take_type type, const void *fixed,
                           const void *plain, size_t plain_bytes, const void *tail,
                           size_t tail_bytes)
{
    rp_take_index_other entry = {.type = type, .frame_index = w->stats.frame_count};
    rp_status status = writer_add_record(w, type, fixed, plain, plain_bytes, tail, tail_bytes,
                                         &entry.offset, &entry.record_bytes);
    uint8_t bytes[RP_TAKE_BYTES_index_other];
    rp_take_encode(RP_TAKE_STRUCT_index_other, &entry, bytes);
    return status ? status : rp_take_array_add(&w->index_others, bytes, sizeof bytes);
}

enum { KEEP_BYTES = 1 << 20 };

rp_status writer_append(rp_take_writer *w)
{
    rp_status status = w->desc.sink.append(w->desc.sink.context, w->out.data, w->out.used_bytes);
    if (status) {
        return writer_fail(w, status);
    }
    w->size_bytes += w->out.used_bytes;
    w->stats.written_bytes = w->size_bytes;
    rp_take_array_clear(&w->out, KEEP_BYTES);
    return RP_OK;
}

/* ---- index ------------------------------------------------------------------------------------
 */

static rp_status gather_index(rp_take_writer *w, rp_take_index *index)
{
    rp_take_array *parts[] = {&w->index_frames, &w->index_blocks, &w->index_bases,
                              &w->index_others};
    *index = (rp_take_index){.frame_count = w->index_frames.used_bytes / RP_TAKE_BYTES_index_frame,
                             .block_count = w->index_blocks.used_bytes / RP_TAKE_BYTES_index_block,
                             .base_count = w->index_bases.used_bytes / RP_TAKE_BYTES_index_base,
                             .other_count = w->index_others.used_bytes / RP_TAKE_BYTES_index_other};
    rp_take_array_clear(&w->tail, KEEP_BYTES);
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT_OF(parts) && !status; i++) {
        status = rp_take_array_add(&w->tail, parts[i]->data, parts[i]->used_bytes);
    }
    return status;
}

rp_status writer_index(rp_take_writer *w)
{
    rp_take_index index;
    rp_take_trailer trailer = {0};
    rp_status status = gather_index(w, &index);
    if (status) {
        return status;
    }
    if (w->tail.used_bytes > rp_take_kind_of(RP_TAKE_INDEX)->unpacked_most_bytes) {
        return RP_OK; /* so many frames that one has to read them all */
    }
    status = writer_add_record(w, RP_TAKE_INDEX, &index, NULL, 0, w->tail.data, w->tail.used_bytes,
                               &trailer.index_offset, &trailer.index_bytes);
    if (status) {
        return status;
    }
    uint8_t bytes[RP_TAKE_BYTES_trailer];
    memcpy(trailer.magic, rp_take_end_magic, sizeof trailer.magic);
    rp_take_encode(RP_TAKE_STRUCT_trailer, &trailer, bytes);
    trailer.checksum = rp_take_trailer_checksum(bytes, w->take_id);
    rp_take_encode(RP_TAKE_STRUCT_trailer, &trailer, bytes);
    return rp_take_array_add(&w->out, bytes, sizeof bytes);
}
