/* Opening, lists, files, the check of everything. */
#include "take/reader.h"
#include "take/reader_private.h"
#include "take/state.h"

#include "base/error.h"

#include <string.h>
#include <xxhash.h>

#define MEMORY_LIMIT_BYTES RP_GIB(8)

/* ---- open -------------------------------------------------------------------------------------
 */

static rp_status unsupported(const rp_take *take, const char *what, uint64_t has, uint64_t wanted)
{
    return rp_fail(RP_E_UNSUPPORTED, "%s: its %s is %#llx, and this program reads %#llx",
                   take->desc.source.name, what, (unsigned long long)has,
                   (unsigned long long)wanted);
}

static rp_status check_header(const rp_take *take)
{
    const rp_take_header *header = &take->header;
    uint64_t base = take->desc.region_base;
    if (header->version != RP_TAKE_VERSION) {
        return rp_fail(RP_E_UNSUPPORTED,
                       "%s: format version %u: this program reads version %u: use a newer one",
                       take->desc.source.name, header->version, RP_TAKE_VERSION);
    }
    if (header->architecture != RP_TAKE_ARCHITECTURE) {
        return unsupported(take, "architecture", header->architecture, RP_TAKE_ARCHITECTURE);
    }
    if (header->page_bytes != RP_PAGE_BYTES) {
        return unsupported(take, "page size", header->page_bytes, RP_PAGE_BYTES);
    }
    if (header->flags || header->reserved) {
        return unsupported(take, "flags", header->flags, 0);
    }
    if (base && header->region_base != base) {
        return unsupported(take, "region's address", header->region_base, base);
    }
    return RP_OK;
}

static rp_status read_header(rp_take *take)
{
    const rp_take_source *source = &take->desc.source;
    uint8_t bytes[RP_TAKE_BYTES_header] = {0};
    size_t there = (size_t)(source->size_bytes < sizeof bytes ? source->size_bytes : sizeof bytes);
    rp_status status = source->read(source->context, 0, bytes, there);
    if (status) {
        return status;
    }
    rp_take_decode(RP_TAKE_STRUCT_header, bytes, &take->header);
    if (memcmp(bytes, rp_take_magic, sizeof rp_take_magic) != 0) {
        return reader_damaged(take, 0, "this is no take");
    }
    if (there < sizeof bytes) {
        return reader_damaged(take, there, "the file ends within its header");
    }
    if (take->header.checksum != rp_take_header_checksum(bytes)) {
        return reader_damaged(take, 0, "the header's checksum is wrong");
    }
    return check_header(take);
}

static rp_status read_environment(rp_take *take)
{
    const rp_take_index_other *first = rp_take_other_at(take, 0);
    if (!first || first->type != RP_TAKE_ENVIRONMENT) {
        return take->damage[0]
                   ? rp_fail(RP_E_FORMAT, "%s", take->damage)
                   : reader_damaged(take, RP_TAKE_BYTES_header, "no environment comes first");
    }
    return rp_take_other_read(take, 0, &take->environment, NULL, NULL);
}

static rp_status load(rp_take *take)
{
    rp_status status = read_header(take);
    if (status) {
        return status;
    }
    status = take->desc.ignore_index ? RP_E_FORMAT : reader_load_index(take);
    if (status == RP_E_FORMAT) {
        if (take->closed) { /* else it is whole without an index, such as after a crash */
            memcpy(take->damage, rp_error_last()->text, sizeof take->damage);
        }
        status = reader_scan(take);
    }
    return status ? status : read_environment(take);
}

static rp_status init_arrays(rp_take *take)
{
    /* Nothing in a take can ask for more entries than its size has room for. */
    size_t entries = (size_t)(take->desc.source.size_bytes / RP_TAKE_BYTES_record) + 1;
    entries = rp_min_size(entries, RP_GIB(1));
    rp_status status = rp_take_array_init(&take->frames, entries * sizeof(rp_take_index_frame));
    status =
        status ? status : rp_take_array_init(&take->blocks, entries * sizeof(rp_take_index_block));
    status =
        status ? status : rp_take_array_init(&take->bases, entries * sizeof(rp_take_index_base));
    status =
        status ? status : rp_take_array_init(&take->others, entries * sizeof(rp_take_index_other));
    status = status ? status : rp_take_array_init(&take->body, RP_GIB(2));
    return status ? status : rp_take_array_init(&take->tail, RP_GIB(1) + RP_MIB(1));
}

rp_status rp_take_open(const rp_take_open_desc *desc, rp_take **out)
{
    size_t size_bytes = rp_align_up(sizeof **out, RP_PAGE_BYTES);
    rp_take *take = rp_os_vm_reserve(size_bytes);
    *out = NULL;
    if (!take) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(take, size_bytes);
    if (status) {
        rp_os_vm_release(take, size_bytes);
        return status;
    }
    take->desc = *desc;
    if (!desc->memory_limit_bytes) {
        take->desc.memory_limit_bytes = MEMORY_LIMIT_BYTES;
    }
    status = init_arrays(take);
    status = status ? status : load(take);
    if (status) {
        rp_take_close(take);
        return status;
    }
    *out = take;
    return RP_OK;
}

void rp_take_close(rp_take *take)
{
    if (!take) {
        return;
    }
    rp_take_array *arrays[] = {&take->frames, &take->blocks, &take->bases,
                               &take->others, &take->body,   &take->tail};
    for (size_t i = 0; i < RP_COUNT_OF(arrays); i++) {
        rp_take_array_finish(arrays[i]);
    }
    rp_take_codec_finish(&take->codec);
    rp_os_vm_release(take, rp_align_up(sizeof *take, RP_PAGE_BYTES));
}

void rp_take_overview_get(const rp_take *take, rp_take_overview *overview)
{
    *overview = (rp_take_overview){
        .header = take->header,
        .environment = take->environment,
        .size_bytes = take->desc.source.size_bytes,
        .whole_bytes = take->whole_bytes,
        .frame_count = reader_frame_count(take),
        .thin_count = take->thin_count,
        .base_count = READER_COUNT(take, bases, rp_take_index_base),
        .block_count = READER_COUNT(take, blocks, rp_take_index_block),
        .other_count = READER_COUNT(take, others, rp_take_index_other),
        .content_count = take->content_count,
        .from_index = take->from_index,
        .closed = take->closed,
        .damage = take->damage,
    };
}

/* ---- frames -----------------------------------------------------------------------------------
 */

const rp_take_index_frame *rp_take_frame_at(const rp_take *take, uint64_t index)
{
    return index < reader_frame_count(take) ? &reader_frames(take)[index] : NULL;
}

bool rp_take_find_frame(const rp_take *take, uint64_t frame, uint64_t *index)
{
    const rp_take_index_frame *frames = reader_frames(take);
    bool found = false;
    for (uint64_t i = reader_frame_count(take); i-- > 0;) {
        if (frames[i].frame != frame) {
            continue;
        }
        bool thin = frames[i].flags & RP_TAKE_THIN;
        if (!found || !thin) {
            *index = i;
            found = true;
        }
        if (!thin) {
            break;
        }
    }
    return found;
}

rp_status rp_take_frame_input(rp_take *take, uint64_t index, uint8_t *input, uint32_t *input_bytes)
{
    reader_record record;
    rp_take_frame frame;
    rp_status status = reader_frame(take, index, &frame, &record);
    *input_bytes = 0;
    if (!status && frame.input_bytes) {
        memcpy(input, record.plain, frame.input_bytes);
        *input_bytes = frame.input_bytes;
    }
    return status;
}

rp_status rp_take_frame_pages(rp_take *take, uint64_t index, rp_take_array *pages)
{
    reader_record record;
    rp_take_frame frame;
    rp_status status = reader_frame(take, index, &frame, &record);
    take->tail.used_bytes = 0;
    status = status ? status : reader_tail(take, &record, &take->tail);
    status = status ? status : rp_take_array_need(pages, frame.page_count * sizeof(uint32_t));
    for (uint32_t i = 0; !status && i < frame.page_count; i++) {
        uint32_t page = rp_take_get_u32(take->tail.data + i * sizeof page);
        status = rp_take_array_add(pages, &page, sizeof page);
    }
    return status;
}

/* ---- other records ----------------------------------------------------------------------------
 */

const rp_take_index_other *rp_take_other_at(const rp_take *take, uint64_t index)
{
    return index < READER_COUNT(take, others, rp_take_index_other) ? &reader_others(take)[index]
                                                                   : NULL;
}

/* Whether a record's counts are those of its parts. */
static rp_status check_other(const rp_take *take, const reader_record *record, const void *fixed)
{
    bool sound = true;
    if (record->head.type == RP_TAKE_CRASH) {
        const rp_take_crash *crash = fixed;
        sound = crash->input_bytes == record->plain_bytes &&
                crash->report_bytes == record->head.unpacked_bytes;
    } else if (record->head.type == RP_TAKE_FILE) {
        const rp_take_part *part = fixed;
        sound = part->offset_bytes <= part->size_bytes &&
                record->head.unpacked_bytes <= part->size_bytes - part->offset_bytes;
    } else if (record->head.type == RP_TAKE_OBJECTS || record->head.type == RP_TAKE_RANGES) {
        const rp_take_objects *list = fixed; /* rp_take_ranges is the same */
        size_t element =
            record->head.type == RP_TAKE_OBJECTS ? RP_TAKE_BYTES_object : RP_TAKE_BYTES_range;
        sound = record->head.unpacked_bytes == (uint64_t)list->count * element;
    } else if (record->head.type == RP_TAKE_BUILD) {
        const rp_take_build *build = fixed;
        sound = build->id_bytes <= sizeof build->id;
    }
    return sound ? RP_OK
                 : reader_damaged(take, record->offset,
                                  "the counts of a %s record contradict its size",
                                  record->kind->name);
}

rp_status rp_take_other_read(rp_take *take, uint64_t index, void *fixed, rp_take_array *plain,
                             rp_take_array *tail)
{
    const rp_take_index_other *other = rp_take_other_at(take, index);
    reader_record record;
    if (!other || !rp_take_kind_of(other->type)) {
        return rp_fail(RP_E_RANGE, "%s: there is no such record that can be read",
                       take->desc.source.name);
    }
    rp_status status = reader_read_as(take, other->offset, other->record_bytes,
                                      (rp_take_type)other->type, &record);
    if (status) {
        return status;
    }
    reader_fixed(take, &record, fixed);
    status = check_other(take, &record, fixed);
    if (!status && plain && record.plain_bytes) {
        status = rp_take_array_add(plain, record.plain, record.plain_bytes);
    }
    return status || !tail ? status : reader_tail(take, &record, tail);
}

/* The last record of a type that stands before a frame; false: none. */
static bool last_before(const rp_take *take, rp_take_type type, uint64_t frame_index,
                        uint64_t *found)
{
    bool any = false;
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(take, i)) && other->frame_index <= frame_index;
         i++) {
        if (other->type == type) {
            *found = i;
            any = true;
        }
    }
    return any;
}

rp_status rp_take_list_read(rp_take *take, rp_take_type type, uint64_t frame_index,
                            rp_take_array *list, size_t *count)
{
    rp_take_struct which = type == RP_TAKE_OBJECTS ? RP_TAKE_STRUCT_object : RP_TAKE_STRUCT_range;
    rp_take_objects head; /* rp_take_ranges is the same */
    uint64_t found;
    *count = 0;
    if (!last_before(take, type, frame_index, &found)) {
        return RP_OK;
    }
    take->tail.used_bytes = 0;
    rp_status status = rp_take_other_read(take, found, &head, NULL, &take->tail);
    size_t element_bytes = rp_take_layout_of(which)->size_bytes;
    status = status ? status : rp_take_array_need(list, head.count * element_bytes);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < head.count; i++) {
        rp_take_decode(which, take->tail.data + i * element_bytes, list->data + list->used_bytes);
        list->used_bytes += element_bytes;
    }
    *count = head.count;
    return RP_OK;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static rp_status add_part(rp_take *take, uint64_t index, const rp_take_part *first,
                          rp_take_array *bytes, size_t start)
{
    rp_take_part part;
    const rp_take_index_other *other = rp_take_other_at(take, index);
    if (!other || other->type != RP_TAKE_FILE) {
        return reader_damaged(take, take->whole_bytes, "a part of the file %s is missing",
                              first->name);
    }
    size_t before = bytes->used_bytes;
    rp_status status = rp_take_other_read(take, index, &part, NULL, bytes);
    if (!status &&
        (part.size_bytes != first->size_bytes || part.hash != first->hash ||
         part.offset_bytes != before - start || (bytes->used_bytes == before && part.size_bytes))) {
        status =
            reader_damaged(take, other->offset, "the parts of the file %s do not fit", first->name);
    }
    return status;
}

rp_status rp_take_file_read(rp_take *take, uint64_t index, rp_take_array *bytes)
{
    rp_take_part first;
    size_t start = bytes->used_bytes;
    const rp_take_index_other *other = rp_take_other_at(take, index);
    if (!other || other->type != RP_TAKE_FILE) {
        return rp_fail(RP_E_RANGE, "%s: there is no such file in it", take->desc.source.name);
    }
    rp_status status = rp_take_other_read(take, index, &first, NULL, NULL);
    if (!status && first.size_bytes > take->desc.memory_limit_bytes) {
        status = rp_fail(RP_E_LIMIT, "%s: the file %s in it has %llu bytes, more than may be read",
                         take->desc.source.name, first.name, (unsigned long long)first.size_bytes);
    }
    for (uint64_t i = index;
         !status && (i == index || bytes->used_bytes - start < first.size_bytes); i++) {
        status = add_part(take, i, &first, bytes, start);
    }
    if (!status && XXH3_64bits(bytes->data + start, bytes->used_bytes - start) != first.hash) {
        status =
            reader_damaged(take, other->offset,
                           "the hash of the file %s is not the one it should have", first.name);
    }
    if (status) {
        bytes->used_bytes = start;
    }
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

/* Whether the records fill the file, each whole, whatever the index says. */
static rp_status check_records(rp_take *take)
{
    uint64_t offset = RP_TAKE_BYTES_header;
    uint64_t end = take->desc.source.size_bytes - (take->closed ? RP_TAKE_BYTES_trailer : 0);
    rp_status status = RP_OK;
    while (!status && offset < end) {
        reader_record record;
        status = reader_read(take, offset, end, &record);
        offset += record.record_bytes;
    }
    return status;
}

static rp_status check_contents(rp_take *take)
{
    uint8_t content[RP_PAGE_BYTES];
    rp_status status = RP_OK;
    for (uint64_t i = 0; !status && i < READER_COUNT(take, blocks, rp_take_index_block); i++) {
        status = reader_content(take, reader_blocks(take)[i].first_content, content);
    }
    return status;
}

static rp_status check_others(rp_take *take)
{
    union {
        rp_take_environment environment;
        rp_take_build build;
        rp_take_part part;
        rp_take_crash crash;
    } fixed; /* the largest */
    rp_status status = RP_OK;
    const rp_take_index_other *other;
    for (uint64_t i = 0; !status && (other = rp_take_other_at(take, i)); i++) {
        take->tail.used_bytes = 0;
        if (rp_take_kind_of(other->type)) {
            status = rp_take_other_read(take, i, &fixed, NULL, &take->tail);
        }
    }
    return status;
}

static rp_status check_files(rp_take *take)
{
    rp_take_array bytes;
    rp_take_part part;
    rp_status status = rp_take_array_init(&bytes, (size_t)take->desc.memory_limit_bytes);
    const rp_take_index_other *other;
    for (uint64_t i = 0; !status && (other = rp_take_other_at(take, i)); i++) {
        if (other->type == RP_TAKE_FILE) {
            status = rp_take_other_read(take, i, &part, NULL, NULL);
            if (!status && part.offset_bytes == 0) {
                rp_take_array_clear(&bytes, RP_MIB(1));
                status = rp_take_file_read(take, i, &bytes);
            }
        }
    }
    rp_take_array_finish(&bytes);
    return status;
}

static rp_status check_frames(rp_take *take, void (*progress)(void *, uint64_t, uint64_t),
                              void *context)
{
    rp_take_state *state;
    uint64_t count = reader_frame_count(take);
    rp_status status = rp_take_state_create(take, &state);
    for (uint64_t i = 0; !status && i < count; i++) {
        if (reader_frames(take)[i].flags & RP_TAKE_THIN) {
            rp_take_frame frame;
            reader_record record;
            status = reader_frame(take, i, &frame, &record);
        } else {
            status = rp_take_state_seek(state, i);
        }
        if (progress && i % 64 == 0) {
            progress(context, i, count);
        }
    }
    rp_take_state_destroy(state);
    return status;
}

static rp_status check_bases(rp_take *take)
{
    rp_take_state *state;
    rp_status status = rp_take_state_create(take, &state);
    for (uint64_t i = READER_COUNT(take, bases, rp_take_index_base); !status && i-- > 0;) {
        status = state_check_base(state, i);
    }
    rp_take_state_destroy(state);
    return status;
}

rp_status rp_take_check(rp_take *take, void (*progress)(void *, uint64_t, uint64_t), void *context)
{
    if (take->damage[0]) {
        return rp_fail(RP_E_FORMAT, "%s", take->damage);
    }
    rp_status status = check_records(take);
    status = status ? status : check_contents(take);
    status = status ? status : check_others(take);
    status = status ? status : check_files(take);
    status = status ? status : check_frames(take, progress, context);
    return status ? status : check_bases(take);
}
