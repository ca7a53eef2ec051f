/* One record: read whole, checked, unpacked. */
#include "take/reader_private.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

rp_status reader_damaged(const rp_take *take, uint64_t offset, const char *format, ...)
{
    char why[256];
    rp_text_buffer text = rp_text_buffer_over(why, sizeof why);
    va_list arguments;
    va_start(arguments, format);
    rp_text_add_v(&text, format, arguments);
    va_end(arguments);
    return rp_fail(RP_E_FORMAT, "%s: at %llu: %s", take->desc.source.name,
                   (unsigned long long)offset, why);
}

/* What follows a struct plainly is an input. */
static uint32_t most_plain_bytes(const rp_take_kind *kind)
{
    return rp_take_layout_of(kind->layout)->size_bytes +
           (kind->plain[0] ? RP_TAKE_INPUT_MOST_BYTES : 0);
}

static rp_status check_sizes(const rp_take *take, const reader_record *record)
{
    const rp_take_record *head = &record->head;
    const rp_take_kind *kind = record->kind;
    if (!kind) {
        return RP_OK; /* passed over */
    }
    if (head->plain_bytes < rp_take_layout_of(kind->layout)->size_bytes ||
        head->plain_bytes > most_plain_bytes(kind)) {
        return reader_damaged(take, record->offset, "%s has %u bytes, which cannot be", kind->name,
                              head->plain_bytes);
    }
    if (head->unpacked_bytes > kind->unpacked_most_bytes ||
        head->packed_bytes > rp_take_pack_bound(head->unpacked_bytes) ||
        !head->packed_bytes != !head->unpacked_bytes) {
        return reader_damaged(
            take, record->offset, "%s unpacks %llu bytes to %llu, which cannot be", kind->name,
            (unsigned long long)head->packed_bytes, (unsigned long long)head->unpacked_bytes);
    }
    return RP_OK;
}

static rp_status read_head(rp_take *take, uint64_t end, uint8_t *bytes, reader_record *record)
{
    const rp_take_source *source = &take->desc.source;
    if (end < RP_TAKE_BYTES_record || record->offset > end - RP_TAKE_BYTES_record) {
        return reader_damaged(take, record->offset, "a record's head is cut off at %llu",
                              (unsigned long long)end);
    }
    rp_status status = source->read(source->context, record->offset, bytes, RP_TAKE_BYTES_record);
    if (status) {
        return status;
    }
    rp_take_decode(RP_TAKE_STRUCT_record, bytes, &record->head);
    record->kind = rp_take_kind_of(record->head.type);
    uint64_t left = end - record->offset - RP_TAKE_BYTES_record;
    if (record->head.packed_bytes > left ||
        record->head.plain_bytes > left - record->head.packed_bytes) {
        return reader_damaged(take, record->offset,
                              "a record is longer than what is left of the file");
    }
    record->record_bytes =
        RP_TAKE_BYTES_record + record->head.plain_bytes + record->head.packed_bytes;
    if (!record->kind && record->head.type < RP_TAKE_OPTIONAL) {
        return reader_damaged(take, record->offset,
                              "a record of type %u, which this version does not know",
                              record->head.type);
    }
    return check_sizes(take, record);
}

/* Of an unknown record the body is compared in pieces, since nothing bounds its size. */
enum { KEEP_BYTES = 1 << 20, UNKNOWN_MOST_BYTES = 64 << 20 };

static rp_status read_body(rp_take *take, const uint8_t *head, reader_record *record)
{
    const rp_take_source *source = &take->desc.source;
    size_t body_bytes = (size_t)(record->record_bytes - RP_TAKE_BYTES_record);
    if (!record->kind && body_bytes > UNKNOWN_MOST_BYTES) {
        return reader_damaged(take, record->offset, "an unknown record of %zu bytes", body_bytes);
    }
    rp_take_array_clear(&take->body, KEEP_BYTES);
    rp_status status = rp_take_array_need(&take->body, body_bytes);
    if (!status) {
        status = source->read(source->context, record->offset + RP_TAKE_BYTES_record,
                              take->body.data, body_bytes);
    }
    if (status) {
        return status;
    }
    take->body.used_bytes = body_bytes;
    if (rp_take_record_checksum(take->header.take_id, record->offset, head, take->body.data,
                                body_bytes) != record->head.checksum) {
        return reader_damaged(take, record->offset,
                              "the checksum of a %s record of %llu bytes is wrong",
                              record->kind ? record->kind->name : "unknown",
                              (unsigned long long)record->record_bytes);
    }
    return RP_OK;
}

rp_status reader_read(rp_take *take, uint64_t offset, uint64_t end, reader_record *record)
{
    uint8_t head[RP_TAKE_BYTES_record];
    *record = (reader_record){.offset = offset};
    rp_status status = read_head(take, end, head, record);
    status = status ? status : read_body(take, head, record);
    if (!status && record->kind) {
        uint32_t fixed_bytes = rp_take_layout_of(record->kind->layout)->size_bytes;
        record->plain = take->body.data + fixed_bytes;
        record->plain_bytes = record->head.plain_bytes - fixed_bytes;
        record->packed = take->body.data + record->head.plain_bytes;
    }
    return status;
}

rp_status reader_read_as(rp_take *take, uint64_t offset, uint64_t record_bytes, rp_take_type type,
                         reader_record *record)
{
    rp_status status = reader_read(take, offset, offset + record_bytes, record);
    if (!status && (record->head.type != type || record->record_bytes != record_bytes)) {
        return reader_damaged(take, offset, "the index promises another record than there is");
    }
    return status;
}

void reader_fixed(const rp_take *take, const reader_record *record, void *fixed)
{
    rp_take_decode(record->kind->layout, take->body.data, fixed);
}

rp_status reader_tail(rp_take *take, const reader_record *record, rp_take_array *array)
{
    size_t size_bytes = (size_t)record->head.unpacked_bytes;
    if (!size_bytes) {
        return RP_OK;
    }
    rp_status status = rp_take_array_need(array, size_bytes);
    if (status) {
        return status;
    }
    status = rp_take_unpack(&take->codec, record->packed, (size_t)record->head.packed_bytes,
                            array->data + array->used_bytes, size_bytes);
    if (status == RP_E_FORMAT) {
        return reader_damaged(take, record->offset,
                              "the second part of a %s record does not unpack to %zu bytes",
                              record->kind->name, size_bytes);
    }
    array->used_bytes += status ? 0 : size_bytes;
    return status;
}

/* ---- contents ---------------------------------------------------------------------------------
 */

static uint64_t find_block(const rp_take *take, uint64_t content)
{
    const rp_take_index_block *blocks = reader_blocks(take);
    uint64_t low = 0, high = READER_COUNT(take, blocks, rp_take_index_block);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (blocks[middle].first_content <= content) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static rp_status load_block(rp_take *take, uint64_t number, reader_block *cached)
{
    const rp_take_index_block *block = &reader_blocks(take)[number];
    reader_record record;
    rp_take_pages pages;
    rp_status status =
        reader_read_as(take, block->offset, block->record_bytes, RP_TAKE_PAGES, &record);
    if (status) {
        return status;
    }
    reader_fixed(take, &record, &pages);
    if (pages.first_content != block->first_content || pages.count != block->count ||
        record.head.unpacked_bytes != pages.count * RP_PAGE_BYTES) {
        return reader_damaged(take, block->offset,
                              "the index promises other contents than there are");
    }
    cached->block_plus_1 = 0;
    take->tail.used_bytes = 0;
    status = reader_tail(take, &record, &take->tail);
    if (!status) {
        memcpy(cached->contents, take->tail.data, take->tail.used_bytes);
        cached->block_plus_1 = number + 1;
    }
    return status;
}

rp_status reader_content(rp_take *take, uint64_t content, uint8_t *to)
{
    uint64_t number = find_block(take, content);
    reader_block *cached = &take->cache[number % READER_CACHE_BLOCKS];
    rp_status status = RP_OK;
    if (cached->block_plus_1 != number + 1) {
        status = load_block(take, number, cached);
    }
    if (!status) {
        size_t at = (size_t)(content - reader_blocks(take)[number].first_content);
        memcpy(to, cached->contents + at * RP_PAGE_BYTES, RP_PAGE_BYTES);
    }
    return status;
}

/* ---- frames -----------------------------------------------------------------------------------
 */

rp_status reader_check_frame(const rp_take *take, const reader_record *record,
                             const rp_take_frame *frame)
{
    uint64_t columns =
        5 * (uint64_t)frame->page_count + 8 * (uint64_t)frame->content_count + frame->delta_bytes;
    bool sound =
        frame->page_count <= RP_PAGE_LIMIT && frame->flags <= (RP_TAKE_THIN | RP_TAKE_HASHED) &&
        frame->kind <= RP_RECORD_CARRIED &&
        (uint64_t)frame->content_count + frame->delta_count <= frame->page_count &&
        frame->input_bytes == record->plain_bytes && columns == record->head.unpacked_bytes &&
        !(frame->flags & RP_TAKE_THIN && frame->page_count) &&
        (frame->flags & (RP_TAKE_THIN | RP_TAKE_HASHED));
    return sound ? RP_OK
                 : reader_damaged(take, record->offset, "a frame's counts contradict each other");
}

rp_status reader_frame(rp_take *take, uint64_t index, rp_take_frame *frame, reader_record *record)
{
    const rp_take_index_frame *entry = rp_take_frame_at(take, index);
    if (!entry) {
        return rp_fail(RP_E_RANGE, "%s: frame record %llu: there are %llu", take->desc.source.name,
                       (unsigned long long)index, (unsigned long long)reader_frame_count(take));
    }
    rp_status status =
        reader_read_as(take, entry->offset, entry->record_bytes, RP_TAKE_FRAME, record);
    if (status) {
        return status;
    }
    reader_fixed(take, record, frame);
    status = reader_check_frame(take, record, frame);
    if (!status && (frame->frame != entry->frame || frame->hash != entry->hash ||
                    frame->build != entry->build || frame->flags != entry->flags ||
                    frame->page_count != entry->page_count || frame->kind != entry->kind ||
                    frame->step_ns != entry->step_ns)) {
        status =
            reader_damaged(take, entry->offset, "the index promises another frame than there is");
    }
    return status;
}
