#include "session_tape.h"
#include "session.h"
#include "session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <os/os.h>
#include <region/region.h>
#include <reprise/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <take/memory.h>

/* A frame that changes everything has to fit into the queue, or it could never be recorded. */
#define QUEUE_LEAST_BYTES RP_MIB(64)
#define QUEUE_MOST_BYTES RP_GIB(4)

struct session_tape {
    rp_take_file file;
    rp_take_writer *writer;
    rp_take_recorder *recorder;
    rp_take_map dirty;     /* pages that differ from the frame recorded last: 1, recorded: 0 */
    rp_take_array numbers; /* of the dirty ones: uint32_t */
    rp_take_array pages;   /* rp_take_page of the frame at hand */
    rp_take_array list;    /* rp_take_object or rp_take_range */
    uint32_t builds_told;  /* of the session's */
    uint32_t listed_build, listed_ranges; /* that the last lists were for */
    bool all;                             /* every page may differ */
    rp_status status;                     /* of what failed first; nothing is recorded after it */
    char path[256];
};

/* ---- what a take begins with ---- */

static void environment_fill(const session *s, const char *module, rp_take_environment *e)
{
    struct utsname system;
    *e = (rp_take_environment){.seed = s->start.seed,
                               .start_wall_ns = s->start.start_wall_ns,
                               .canary = s->start.canary,
                               .pointer_guard = s->start.pointer_guard,
                               .rate_hz = s->rate_hz,
                               .width_px = s->width_px,
                               .height_px = s->height_px,
                               .program = "reprise " RP_VERSION_TEXT};
    if (uname(&system) == 0) {
        rp_text_buffer text = rp_text_buffer_over(e->system, sizeof e->system);
        rp_text_add(&text, "%.40s %.80s", system.sysname, system.release);
    }
    rp_text_copy(e->module, sizeof e->module, module ? module : "");
    rp_text_copy(e->title, sizeof e->title, s->title);
}

/* ---- builds and lists ---- */

static rp_status record(session_tape *t, rp_take_type type, const void *fixed, const void *tail,
                        size_t tail_bytes)
{
    return t->recorder
               ? rp_take_recorder_record(t->recorder, type, fixed, NULL, 0, tail, tail_bytes)
               : rp_take_writer_record(t->writer, type, fixed, NULL, 0, tail, tail_bytes);
}

static rp_status file_record(session_tape *t, const rp_take_part *part, const char *path)
{
    if (t->recorder) {
        return rp_take_recorder_file(t->recorder, part, path);
    }
    rp_os_bytes bytes;
    rp_status status = rp_os_file_read(path, RP_GIB(1), &bytes);
    if (!status) {
        status = rp_take_writer_file(t->writer, part, bytes.data, bytes.size_bytes);
        rp_os_file_free(&bytes);
    }
    return status;
}

static rp_status builds_tell(session *s, session_tape *t)
{
    rp_status status = RP_OK;
    while (!status && t->builds_told < s->build_count) {
        const session_build *from = &s->builds[t->builds_told];
        if (!from->high) {
            break; /* it never ran: its place is not known yet */
        }
        rp_take_build build = {.base = from->base,
                               .low = from->low,
                               .high = from->high,
                               .tls_address = from->tls_address,
                               .wall_ns = rp_os_wall_ns(),
                               .number = t->builds_told + 1,
                               .id_bytes = from->elf->build_id_bytes};
        rp_take_part part = {.build = build.number, .role = RP_TAKE_ROLE_MODULE};
        memcpy(build.id, from->elf->build_id, sizeof build.id);
        rp_text_copy(build.path, sizeof build.path, from->path);
        rp_text_copy(part.name, sizeof part.name, "module.so");
        status = record(t, RP_TAKE_BUILD, &build, NULL, 0);
        status = status ? status : file_record(t, &part, from->path);
        t->builds_told += status ? 0 : 1;
    }
    return status;
}

static rp_status list_record(session_tape *t, rp_take_type type, rp_take_struct element,
                             size_t element_bytes)
{
    rp_take_objects head = {.count = (uint32_t)(t->list.used_bytes / element_bytes)};
    uint8_t *bytes = malloc(t->list.used_bytes + 1);
    if (!bytes) {
        return rp_fail(RP_E_MEMORY, "take: no memory for a list");
    }
    for (size_t at = 0; at < t->list.used_bytes; at += element_bytes) {
        rp_take_encode(element, t->list.data + at, bytes + at);
    }
    rp_status status = record(t, type, &head, bytes, t->list.used_bytes);
    free(bytes);
    return status;
}

static rp_status objects_tell(session_tape *t, const process *p)
{
    uint32_t count = p->link->object_count;
    rp_status status = RP_OK;
    t->list.used_bytes = 0;
    for (uint32_t i = 0; !status && i < count && i < LINK_OBJECT_MAX; i++) {
        const link_object *from = &p->link->objects[i];
        rp_take_object object = {.base = from->base,
                                 .low = from->low,
                                 .high = from->high,
                                 .tls_address = from->tls_address,
                                 .build = from->build,
                                 .zone = from->zone};
        object.id_bytes = from->build_id_bytes <= sizeof object.id ? from->build_id_bytes : 0;
        memcpy(object.id, from->build_id, sizeof object.id);
        rp_text_buffer path = rp_text_buffer_over(object.path, sizeof object.path);
        rp_text_add(&path, "%.255s", from->path);
        status = rp_take_array_add(&t->list, &object, sizeof object);
    }
    return status ? status
                  : list_record(t, RP_TAKE_OBJECTS, RP_TAKE_STRUCT_object, sizeof(rp_take_object));
}

static rp_status ranges_tell(const session *s, session_tape *t)
{
    rp_status status = RP_OK;
    t->list.used_bytes = 0;
    for (uint32_t i = 0; !status && i < s->known_count; i++) {
        const link_range *from = &s->known[i];
        rp_take_range range = {.start = from->start,
                               .size_bytes = from->size_bytes,
                               .first_page = from->first_page,
                               .build = from->build};
        rp_text_copy(range.name, sizeof range.name, from->name);
        status = rp_take_array_add(&t->list, &range, sizeof range);
    }
    return status ? status
                  : list_record(t, RP_TAKE_RANGES, RP_TAKE_STRUCT_range, sizeof(rp_take_range));
}

static rp_status lists_tell(session *s, session_tape *t, const process *p, uint32_t build)
{
    rp_status status = builds_tell(s, t);
    if (status || (t->listed_build == build && t->listed_ranges == s->known_count)) {
        return status;
    }
    status = objects_tell(t, p);
    status = status ? status : ranges_tell(s, t);
    t->listed_build = build;
    t->listed_ranges = s->known_count;
    return status;
}

/* ---- pages ---- */

static rp_status dirty_add(session_tape *t, uint32_t page)
{
    uint32_t is = 0;
    if (rp_take_map_get(&t->dirty, page, &is) && is) {
        return RP_OK;
    }
    rp_status status = rp_take_map_set(&t->dirty, page, 1);
    return status ? status : rp_take_array_add(&t->numbers, &page, sizeof page);
}

/* Pages that were recorded once: those of them that are zeros now are in no list of the log's. */
static rp_status dirty_add_known(session_tape *t)
{
    rp_status status = RP_OK;
    size_t capacity = t->dirty.capacity;
    for (size_t i = 0; !status && i < t->dirty.capacity; i++) {
        uint64_t slot = t->dirty.slots[i];
        status = slot ? dirty_add(t, (uint32_t)(slot >> 32) - 1) : RP_OK;
        if (t->dirty.capacity != capacity) { /* it grew: what was behind may be before now */
            capacity = t->dirty.capacity;
            i = SIZE_MAX;
        }
    }
    return status;
}

static rp_status dirty_add_all(session *s, session_tape *t)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_full(s->log, &entries, &count);
    for (size_t i = 0; !status && i < count; i++) {
        status = dirty_add(t, entries[i].page);
    }
    status = status ? status : dirty_add_known(t);
    t->all = status != RP_OK;
    return status;
}

/* A page's content at the position. */
static const void *content_of(void *context, uint32_t page)
{
    const session *s = context;
    uint32_t slot = rp_log_slot_of(s->log, page);
    return slot == RP_SLOT_ZERO ? NULL : rp_log_slot(s->log, slot);
}

static rp_status pages_list(session *s, session_tape *t)
{
    rp_status status = RP_OK;
    const uint32_t *numbers = (const uint32_t *)(const void *)t->numbers.data;
    t->pages.used_bytes = 0;
    for (size_t i = 0; !status && i < t->numbers.used_bytes / sizeof *numbers; i++) {
        rp_take_page page = {.page = numbers[i], .content = content_of(s, numbers[i])};
        status = rp_take_array_add(&t->pages, &page, sizeof page);
    }
    return status;
}

static rp_status frame_hand_over(session *s, session_tape *t, const rp_record_desc *desc)
{
    const rp_take_frame_desc frame = {.frame = desc->frame,
                                      .build = desc->build,
                                      .kind = desc->kind,
                                      .step_ns = desc->step_ns,
                                      .input = desc->input,
                                      .input_bytes = desc->input_bytes};
    rp_status status = t->all ? dirty_add_all(s, t) : RP_OK;
    status = status ? status : pages_list(s, t);
    const rp_take_page *pages = (const rp_take_page *)(const void *)t->pages.data;
    size_t count = t->pages.used_bytes / sizeof *pages;
    if (!status) {
        status = t->recorder ? rp_take_recorder_frame(t->recorder, &frame, pages, count, NULL)
                             : rp_take_writer_frame(t->writer, &frame, pages, count);
    }
    const uint32_t *numbers = (const uint32_t *)(const void *)t->numbers.data;
    for (size_t i = 0; !status && i < t->numbers.used_bytes / sizeof *numbers; i++) {
        status = rp_take_map_set(&t->dirty, numbers[i], 0);
    }
    t->numbers.used_bytes = 0;
    return status;
}

static void note_failure(session_tape *t, rp_status status)
{
    t->status = t->status ? t->status : status;
}

void session_tape_pages(session *s, const rp_page_slot *entries, size_t count)
{
    session_tape *t = s->tape;
    for (size_t i = 0; t && !t->status && !t->all && i < count; i++) {
        note_failure(t, dirty_add(t, entries[i].page));
    }
}

void session_tape_all(session *s)
{
    if (s->tape) {
        s->tape->all = true;
    }
}

void session_tape_frame(session *s, const process *p, const rp_record_desc *desc,
                        const rp_page_slot *entries, size_t count)
{
    session_tape *t = s->tape;
    if (!t || t->status) {
        return;
    }
    session_tape_pages(s, entries, count);
    note_failure(t, lists_tell(s, t, p, desc->build));
    if (!t->status) {
        note_failure(t, frame_hand_over(s, t, desc));
    }
}

/* ---- begin and end ---- */

static void tape_free(session_tape *t)
{
    rp_take_writer_close(t->writer);
    rp_take_file_close(&t->file);
    rp_take_map_finish(&t->dirty);
    rp_take_array_finish(&t->numbers);
    rp_take_array_finish(&t->pages);
    rp_take_array_finish(&t->list);
    free(t);
}

static rp_status memory_take(session_tape *t)
{
    rp_status status = rp_take_array_init(&t->numbers, RP_PAGE_LIMIT * sizeof(uint32_t));
    status = status ? status : rp_take_array_init(&t->pages, RP_PAGE_LIMIT * sizeof(rp_take_page));
    return status ? status : rp_take_array_init(&t->list, RP_MIB(16));
}

static rp_status writer_open(session *s, session_tape *t, const char *module)
{
    rp_take_environment environment;
    environment_fill(s, module, &environment);
    const rp_take_writer_desc desc = {.sink = rp_take_file_sink(&t->file),
                                      .region_base = RP_REGION_BASE,
                                      .created_wall_ns = rp_os_wall_ns(),
                                      .environment = &environment,
                                      .publish_early = true};
    return rp_take_writer_open(&desc, &t->writer);
}

/* The state at the position, without the queue. */
static rp_status first_frame(session *s, session_tape *t)
{
    rp_record at;
    if (!session_has_world(s) || !session_record(s, &at)) {
        return rp_fail(RP_E_RANGE, "take: no program runs yet: there is nothing to record");
    }
    rp_record_desc desc = {
        .frame = at.frame, .build = at.build, .kind = at.kind, .step_ns = at.step_ns};
    desc.input = rp_log_input(s->log, rp_log_position(s->log), &desc.input_bytes);
    rp_status status = lists_tell(s, t, &s->live, at.build);
    return status ? status : frame_hand_over(s, t, &desc);
}

static rp_status recorder_begin(session *s, session_tape *t)
{
    rp_log_stats stats;
    rp_log_stats_get(s->log, &stats);
    size_t queue = QUEUE_LEAST_BYTES;
    while (queue < 2 * stats.world_bytes && queue < QUEUE_MOST_BYTES) {
        queue *= 2;
    }
    const rp_take_recorder_desc desc = {
        .writer = t->writer, .queue_bytes = queue, .content = content_of, .context = s};
    return rp_take_recorder_create(&desc, &t->recorder);
}

rp_status session_tape_begin(session *s, const session_tape_desc *desc)
{
    session_tape *t = calloc(1, sizeof *t);
    if (!t) {
        return rp_fail(RP_E_MEMORY, "take: no memory to record one");
    }
    t->all = true;
    rp_text_copy(t->path, sizeof t->path, desc->path);
    rp_status status = rp_take_file_create(&t->file, t->path, desc->replace);
    if (status) {
        free(t);
        return status;
    }
    status = memory_take(t);
    status = status ? status : writer_open(s, t, desc->module);
    status = status ? status : first_frame(s, t);
    status = status ? status : recorder_begin(s, t);
    if (status) {
        tape_free(t);
        return status;
    }
    s->tape = t;
    return RP_OK;
}

rp_status session_tape_end(session *s, bool finish)
{
    session_tape *t = s->tape;
    if (!t) {
        return RP_OK;
    }
    s->tape = NULL;
    rp_status status = rp_take_recorder_destroy(t->recorder, finish && !t->status);
    status = t->status ? t->status : status;
    tape_free(t);
    return status;
}

void session_tape_stats_get(const session *s, rp_take_recorder_stats *stats)
{
    *stats = (rp_take_recorder_stats){0};
    if (s->tape) {
        rp_take_recorder_stats_get(s->tape->recorder, stats);
        stats->status = s->tape->status ? s->tape->status : stats->status;
    }
}
