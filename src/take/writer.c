/* Opening, lists and builds, finishing. */
#include "take/writer.h"
#include "take/writer_private.h"

#include "base/error.h"
#include "base/text.h"
#include "history/log.h"
#include "os/machine.h"

#include <reprise/version.h>
#include <string.h>
#include <xxhash.h>

static rp_status init_arrays(rp_take_writer *w)
{
    const struct {
        rp_take_array *array;
        size_t limit_bytes;
    } arrays[] = {
        {&w->out, RP_GIB(2)},
        {&w->tail, RP_GIB(4)},
        {&w->frame_pages, RP_GIB(1)},
        {&w->ways, RP_MIB(256)},
        {&w->contents, RP_GIB(2)},
        {&w->deltas, WRITER_DELTA_BYTES},
        {&w->sorted, RP_GIB(5)},
        {&w->pages, RP_GIB(8)},
        {&w->order, RP_GIB(5)},
        {&w->copies, w->desc.copy_bytes},
        {&w->free_copies, w->desc.copy_bytes / RP_PAGE_BYTES * sizeof(uint32_t)},
        {&w->met, WRITER_MET_COUNT * sizeof(writer_met)},
        {&w->index_frames, RP_GIB(2)},
        {&w->index_blocks, RP_GIB(4)},
        {&w->index_bases, RP_GIB(1)},
        {&w->index_others, RP_GIB(1)},
    };
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT_OF(arrays) && !status; i++) {
        status = rp_take_array_init(arrays[i].array, arrays[i].limit_bytes);
    }
    status = status ? status : rp_take_array_need(&w->met, WRITER_MET_COUNT * sizeof(writer_met));
    return status ? status : rp_take_array_need(&w->free_copies, w->free_copies.reserved_bytes);
}

static void finish_arrays(rp_take_writer *w)
{
    rp_take_array *arrays[] = {
        &w->out,          &w->tail,         &w->frame_pages, &w->ways,
        &w->contents,     &w->deltas,       &w->sorted,      &w->pages,
        &w->order,        &w->copies,       &w->free_copies, &w->met,
        &w->index_frames, &w->index_blocks, &w->index_bases, &w->index_others};
    for (size_t i = 0; i < RP_COUNT_OF(arrays); i++) {
        rp_take_array_finish(arrays[i]);
    }
}

static rp_status add_header(rp_take_writer *w)
{
    rp_take_header header = {.take_id = w->take_id,
                             .region_base = w->desc.region_base,
                             .created_wall_ns = w->desc.created_wall_ns,
                             .version = RP_TAKE_VERSION,
                             .architecture = RP_TAKE_ARCHITECTURE,
                             .page_bytes = RP_PAGE_BYTES};
    uint8_t bytes[RP_TAKE_BYTES_header];
    memcpy(header.magic, rp_take_magic, sizeof header.magic);
    rp_take_encode(RP_TAKE_STRUCT_header, &header, bytes);
    header.checksum = rp_take_header_checksum(bytes);
    rp_take_encode(RP_TAKE_STRUCT_header, &header, bytes);
    return rp_take_array_add(&w->out, bytes, sizeof bytes);
}

static rp_status begin(rp_take_writer *w)
{
    rp_status status = init_arrays(w);
    if (!status && !w->take_id) {
        status = rp_os_random(&w->take_id, sizeof w->take_id);
    }
    status = status ? status : add_header(w);
    if (!status) {
        status = writer_add_other(w, RP_TAKE_ENVIRONMENT, w->desc.environment, NULL, 0, NULL, 0);
    }
    return status ? status : writer_append(w);
}

static uint32_t or_else(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

rp_status rp_take_writer_open(const rp_take_writer_desc *desc, rp_take_writer **out)
{
    size_t size_bytes = rp_align_up(sizeof **out, RP_PAGE_BYTES);
    rp_take_writer *w = rp_os_vm_reserve(size_bytes);
    *out = NULL;
    if (!w) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(w, size_bytes);
    if (status) {
        rp_os_vm_release(w, size_bytes);
        return status;
    }
    w->desc = *desc;
    w->take_id = desc->take_id;
    w->desc.base_frames = or_else(desc->base_frames, WRITER_BASE_FRAMES);
    w->desc.base_pages = or_else(desc->base_pages, WRITER_BASE_PAGES);
    w->desc.copy_bytes = desc->copy_bytes ? desc->copy_bytes : WRITER_COPY_BYTES;
    w->copy_limit = (uint32_t)(w->desc.copy_bytes / RP_PAGE_BYTES);
    status = begin(w);
    w->desc.environment = NULL; /* the caller's */
    if (status) {
        rp_take_writer_close(w);
        return status;
    }
    *out = w;
    return RP_OK;
}

void rp_take_writer_close(rp_take_writer *w)
{
    if (w) {
        finish_arrays(w);
        rp_take_map_finish(&w->index_of);
        rp_take_codec_finish(&w->codec);
        rp_os_vm_release(w, rp_align_up(sizeof *w, RP_PAGE_BYTES));
    }
}

/* ---- what is not frames -----------------------------------------------------------------------
 */

rp_status rp_take_writer_record(rp_take_writer *w, rp_take_type type, const void *fixed,
                                const void *plain, size_t plain_bytes, const void *tail,
                                size_t tail_bytes)
{
    rp_status status = writer_check(w);
    if (status) {
        return status;
    }
    status = writer_add_other(w, type, fixed, plain, plain_bytes, tail, tail_bytes);
    return status ? writer_fail(w, status) : writer_append(w);
}

void rp_take_environment_here(const char *program, rp_take_environment *environment)
{
    rp_os_machine machine;
    rp_os_machine_get(&machine);
    rp_text_buffer by = rp_text_buffer_over(environment->program, sizeof environment->program);
    rp_text_buffer on = rp_text_buffer_over(environment->system, sizeof environment->system);
    rp_text_add(&by, "%s %s", program, RP_VERSION_TEXT);
    rp_text_add(&on, "%s, %s", machine.kernel, machine.architecture);
    rp_text_copy(environment->cpu, sizeof environment->cpu, machine.processor);
}

rp_status rp_take_writer_build(rp_take_writer *w, const rp_take_build *build)
{
    return rp_take_writer_record(w, RP_TAKE_BUILD, build, NULL, 0, NULL, 0);
}

rp_status rp_take_writer_file(rp_take_writer *w, const rp_take_part *part, const void *data,
                              size_t size_bytes)
{
    rp_take_part head = *part;
    head.size_bytes = size_bytes;
    head.hash = XXH3_64bits(data, size_bytes);
    rp_status status;
    size_t done = 0;
    do {
        size_t length = rp_min_size(size_bytes - done, RP_TAKE_FILE_PART_BYTES);
        head.offset_bytes = done;
        status = rp_take_writer_record(w, RP_TAKE_FILE, &head, NULL, 0,
                                       (const uint8_t *)data + done, length);
        done += length;
    } while (!status && done < size_bytes);
    return status;
}

rp_status rp_take_writer_file_at(rp_take_writer *w, const rp_take_part *part, const char *path)
{
    rp_os_bytes bytes;
    rp_status status = rp_os_file_read(path, RP_GIB(4), &bytes);
    if (!status) {
        status = rp_take_writer_file(w, part, bytes.data, bytes.size_bytes);
        rp_os_file_free(&bytes);
    }
    return status;
}

/* A list of `count` structs, in `tail`. */
static rp_status write_list(rp_take_writer *w, rp_take_type type, rp_take_struct which,
                            const void *elements, size_t count, size_t most)
{
    uint32_t fixed[2] = {(uint32_t)count, 0}; /* of rp_take_objects and rp_take_ranges */
    size_t element_bytes = rp_take_layout_of(which)->size_bytes;
    if (count > most) {
        return rp_fail(RP_E_LIMIT, "take: a list of %zu: at most %zu can be recorded", count, most);
    }
    rp_take_array_clear(&w->tail, RP_MIB(1));
    rp_status status = rp_take_array_need(&w->tail, count * element_bytes);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        rp_take_encode(which, (const uint8_t *)elements + i * element_bytes,
                       w->tail.data + i * element_bytes);
    }
    return rp_take_writer_record(w, type, fixed, NULL, 0, w->tail.data, count * element_bytes);
}

rp_status rp_take_writer_objects(rp_take_writer *w, const rp_take_object *objects, size_t count)
{
    return write_list(w, RP_TAKE_OBJECTS, RP_TAKE_STRUCT_object, objects, count,
                      RP_TAKE_OBJECT_MOST);
}

rp_status rp_take_writer_ranges(rp_take_writer *w, const rp_take_range *ranges, size_t count)
{
    return write_list(w, RP_TAKE_RANGES, RP_TAKE_STRUCT_range, ranges, count, RP_TAKE_RANGE_MOST);
}

rp_status rp_take_writer_bookmark(rp_take_writer *w, const rp_take_bookmark *bookmark)
{
    return rp_take_writer_record(w, RP_TAKE_BOOKMARK, bookmark, NULL, 0, NULL, 0);
}

rp_status rp_take_writer_loop(rp_take_writer *w, const rp_take_loop *loop)
{
    return rp_take_writer_record(w, RP_TAKE_LOOP, loop, NULL, 0, NULL, 0);
}

rp_status rp_take_writer_crash(rp_take_writer *w, const rp_take_crash *crash, const void *input,
                               uint32_t input_bytes, const char *report, size_t report_bytes)
{
    rp_take_crash head = *crash;
    if (input_bytes > RP_TAKE_INPUT_MOST_BYTES) {
        return rp_fail(RP_E_ARGUMENT, "take: an input of %u bytes is too long", input_bytes);
    }
    head.input_bytes = input_bytes;
    head.report_bytes =
        (uint32_t)rp_min_size(report_bytes, rp_take_kind_of(RP_TAKE_CRASH)->unpacked_most_bytes);
    return rp_take_writer_record(w, RP_TAKE_CRASH, &head, input, input_bytes, report,
                                 head.report_bytes);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

rp_status rp_take_writer_sync(rp_take_writer *w)
{
    rp_status status = writer_check(w);
    if (status) {
        return status;
    }
    status = w->desc.sink.sync(w->desc.sink.context);
    return status ? writer_fail(w, status) : RP_OK;
}

rp_status rp_take_writer_finish(rp_take_writer *w)
{
    rp_status status = writer_check(w);
    if (status) {
        return status;
    }
    status = writer_index(w);
    status = status ? status : writer_append(w);
    if (!status) {
        status = w->published ? w->desc.sink.sync(w->desc.sink.context)
                              : w->desc.sink.publish(w->desc.sink.context);
    }
    if (status) {
        return writer_fail(w, status);
    }
    w->finished = true;
    return RP_OK;
}

void rp_take_writer_stats_get(const rp_take_writer *w, rp_take_writer_stats *stats)
{
    *stats = w->stats;
    stats->state_pages = w->state_pages;
}
