/* See recording.h. */
#include "recording.h"
#include "session_internal.h"
#include "take_parts.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <os/os.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>
#include <take/recorder.h>
#include <xxhash.h>

/* A frame's pages must fit: the whole state at the first one, and after it was owed. */
#define QUEUE_LEAST_BYTES RP_GIB(1)

/* Page numbers, each once. */
typedef struct page_set {
    rp_take_map places; /* page: 1 */
    rp_take_array list; /* uint32_t */
} page_set;

struct recording {
    session *s;
    char path[RP_OBJECT_PATH_BYTES];
    rp_take_file file;
    rp_take_writer *writer;
    rp_take_recorder *recorder;
    page_set fed;                       /* that the take's state may have */
    page_set moved;                     /* that may differ from it */
    bool everything;                    /* all of them may, and others */
    page_set builds;                    /* numbers of those that are in the take */
    uint64_t objects_hash, ranges_hash; /* of the lists that hold */
    rp_take_array pages;                /* rp_take_page */
    rp_take_array list;                 /* of a record */
    uint64_t first_frame, last_frame;
    bool begun;
    rp_status status;
    char text[480];
};

/* ---- sets ---- */

static rp_status set_init(page_set *set)
{
    return rp_take_array_init(&set->list, RP_GIB(1));
}

static void set_finish(page_set *set)
{
    rp_take_map_finish(&set->places);
    rp_take_array_finish(&set->list);
}

static bool set_has(const page_set *set, uint32_t page)
{
    uint32_t known;
    return rp_take_map_get(&set->places, page, &known);
}

static rp_status set_add(page_set *set, uint32_t page)
{
    if (set_has(set, page)) {
        return RP_OK;
    }
    rp_status status = rp_take_map_set(&set->places, page, 1);
    return status ? status : rp_take_array_add(&set->list, &page, sizeof page);
}

static void set_clear(page_set *set)
{
    rp_take_map_clear(&set->places);
    rp_take_array_clear(&set->list, RP_MIB(1));
}

static size_t set_count(const page_set *set)
{
    return set->list.used_bytes / sizeof(uint32_t);
}

static uint32_t set_at(const page_set *set, size_t i)
{
    return ((const uint32_t *)(const void *)set->list.data)[i];
}

/* ---- failures ---- */

/* The take is whole up to here; the program goes on. */
static void note_failure(recording *r)
{
    if (!r->status) {
        r->status = rp_error_last()->status;
        rp_text_copy(r->text, sizeof r->text, rp_error_last()->text);
    }
}

/* What a record of the queue came to; a full queue is no failure. False: it did not go. */
static bool went(recording *r, rp_status status)
{
    if (status && status != RP_E_BUSY) {
        note_failure(r);
    }
    return status == RP_OK;
}

/* ---- what stands ahead of frames ---- */

/* The state that a recording begins with is written at once, before there is a queue. */
static rp_status put_record(recording *r, rp_take_type type, const void *fixed, const void *plain,
                            size_t plain_bytes)
{
    const uint8_t *tail = r->list.data;
    size_t tail_bytes = r->list.used_bytes;
    return r->recorder ? rp_take_recorder_record(r->recorder, type, fixed, plain, plain_bytes, tail,
                                                 tail_bytes)
                       : rp_take_writer_record(r->writer, type, fixed, plain, plain_bytes, tail,
                                               tail_bytes);
}

static rp_status add_file(void *context, const rp_take_part *part, const char *path)
{
    recording *r = context;
    return r->recorder ? rp_take_recorder_file(r->recorder, part, path)
                       : rp_take_writer_file_at(r->writer, part, path);
}

static rp_status put_build(recording *r, uint32_t number)
{
    rp_take_build build;
    if (set_has(&r->builds, number)) {
        return RP_OK;
    }
    take_build_fill(r->s, number, &build);
    build.wall_ns = rp_os_wall_ns();
    r->list.used_bytes = 0;
    rp_status status = put_record(r, RP_TAKE_BUILD, &build, NULL, 0);
    status = status ? status : take_build_files(r->s, number, add_file, r);
    return status ? status : set_add(&r->builds, number);
}

/* Where the list is another one than that which holds. */
static rp_status put_list(recording *r, rp_take_type type, const void *head, uint64_t *hash)
{
    uint64_t now = XXH3_64bits(r->list.data, r->list.used_bytes) | 1;
    if (now == *hash) {
        return RP_OK;
    }
    rp_status status = put_record(r, type, head, NULL, 0);
    *hash = status ? *hash : now;
    return status;
}

static rp_status put_lists(recording *r, const process *p, uint32_t build)
{
    rp_take_objects objects;
    rp_take_ranges ranges;
    r->list.used_bytes = 0;
    rp_status status = take_objects_list(r->s, p, build, &r->list, &objects);
    status = status ? status : put_list(r, RP_TAKE_OBJECTS, &objects, &r->objects_hash);
    r->list.used_bytes = 0;
    status = status ? status : take_ranges_list(r->s, &r->list, &ranges);
    return status ? status : put_list(r, RP_TAKE_RANGES, &ranges, &r->ranges_hash);
}

/* ---- frames ---- */

static const void *content_of(void *context, uint32_t page)
{
    const rp_log *log = ((recording *)context)->s->log;
    uint32_t slot = rp_log_slot_of(log, page);
    return slot == RP_SLOT_ZERO ? NULL : rp_log_slot(log, slot);
}

/* Pages of the take's state that this one does not have become zeros. */
static rp_status add_everything(recording *r)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_full(r->s->log, &entries, &count);
    for (size_t i = 0; !status && i < count; i++) {
        status = set_add(&r->moved, entries[i].page);
    }
    for (size_t i = 0; !status && i < set_count(&r->fed); i++) {
        status = set_add(&r->moved, set_at(&r->fed, i));
    }
    return status;
}

static rp_status list_pages(recording *r, size_t *count)
{
    rp_status status = r->everything ? add_everything(r) : RP_OK;
    *count = set_count(&r->moved);
    r->pages.used_bytes = 0;
    status = status ? status : rp_take_array_need(&r->pages, *count * sizeof(rp_take_page));
    rp_take_page *pages = (rp_take_page *)(void *)r->pages.data;
    for (size_t i = 0; !status && i < *count; i++) {
        uint32_t page = set_at(&r->moved, i);
        pages[i] = (rp_take_page){.page = page, .content = content_of(r, page)};
        status = set_add(&r->fed, page);
    }
    return status;
}

static rp_status put_frame(recording *r, const rp_record_desc *desc)
{
    rp_take_frame_desc frame = {.frame = desc->frame,
                                .build = desc->build,
                                .kind = desc->kind,
                                .step_ns = desc->step_ns,
                                .input = desc->input,
                                .input_bytes = desc->input_bytes};
    size_t count = 0;
    rp_status status = list_pages(r, &count);
    if (!status) {
        const rp_take_page *pages = (const rp_take_page *)(const void *)r->pages.data;
        status = r->recorder ? rp_take_recorder_frame(r->recorder, &frame, pages, count, NULL)
                             : rp_take_writer_frame(r->writer, &frame, pages, count);
    }
    if (status == RP_E_MEMORY) {
        r->everything = true;
        return RP_E_BUSY; /* the next one brings it all */
    }
    if (!status) {
        set_clear(&r->moved);
        r->everything = false;
        r->first_frame = r->begun ? r->first_frame : desc->frame;
        r->last_frame = desc->frame;
        r->begun = true;
    }
    return status;
}

static void moved_note(recording *r, const rp_page_slot *entries, size_t count)
{
    if (!r || r->status || r->everything) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (set_add(&r->moved, entries[i].page)) {
            r->everything = true;
            return;
        }
    }
}

static void frame_note(recording *r, const process *p, const rp_record_desc *desc)
{
    if (!r || r->status) {
        return;
    }
    rp_status status = put_build(r, desc->build);
    status = status ? status : put_lists(r, p, desc->build);
    went(r, status ? status : put_frame(r, desc));
}

static void world_new_note(recording *r)
{
    if (r) {
        r->everything = true;
    }
}

/* ---- what stands behind them ---- */

static void checks_note(recording *r, uint64_t frame, uint32_t build)
{
    rp_take_checks head;
    if (!r || r->status) {
        return;
    }
    r->list.used_bytes = 0;
    rp_status status = take_checks_list(r->s, frame, build, &r->list, &head);
    if (!status && head.count) {
        status = put_record(r, RP_TAKE_CHECKS, &head, NULL, 0);
    }
    went(r, status);
}

static void crash_note(recording *r, const void *input, uint32_t input_bytes)
{
    rp_take_crash crash;
    if (!r || r->status || !r->begun) {
        return;
    }
    r->list.used_bytes = 0;
    rp_status status = take_crash_fill(r->s, &r->list, &crash);
    crash.input_bytes = input_bytes;
    crash.report_bytes = (uint32_t)r->list.used_bytes;
    went(r, status ? status : put_record(r, RP_TAKE_CRASH, &crash, input, input_bytes));
}

static void loop_note(recording *r, uint64_t from, uint64_t to)
{
    rp_take_loop loop = {.from = from, .to = to, .flags = 1};
    if (r && !r->status && r->begun) {
        r->list.used_bytes = 0;
        went(r, put_record(r, RP_TAKE_LOOP, &loop, NULL, 0));
    }
}

_Static_assert(BOOKMARK_NOWHERE == RP_TAKE_FRAME_NONE, "as the format says it");

static void bookmark_note(recording *r, const bookmark *mark)
{
    rp_take_bookmark record = {.frame = mark->frame};
    if (r && !r->status && r->begun) {
        rp_text_copy(record.name, sizeof record.name, mark->name);
        r->list.used_bytes = 0;
        went(r, put_record(r, RP_TAKE_BOOKMARK, &record, NULL, 0));
    }
}

/* ---- all recordings of a session ---- */

void recordings_moved(session *s, const rp_page_slot *entries, size_t count)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        moved_note(s->recordings[i], entries, count);
    }
}

void recordings_frame(session *s, const process *p, const rp_record_desc *desc)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        frame_note(s->recordings[i], p, desc);
    }
}

void recordings_world_new(session *s)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        world_new_note(s->recordings[i]);
    }
}

void recordings_checks(session *s, uint64_t frame, uint32_t build)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        checks_note(s->recordings[i], frame, build);
    }
}

void recordings_crash(session *s, const void *input, uint32_t input_bytes)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        crash_note(s->recordings[i], input, input_bytes);
    }
}

void recordings_loop(session *s, uint64_t from, uint64_t to)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        loop_note(s->recordings[i], from, to);
    }
}

void recordings_bookmark(session *s, const bookmark *mark)
{
    for (int i = 0; i < SESSION_RECORDINGS; i++) {
        bookmark_note(s->recordings[i], mark);
    }
}

/* ---- beginning and end ---- */

static rp_status sets_init(recording *r)
{
    rp_status status = set_init(&r->fed);
    status = status ? status : set_init(&r->moved);
    status = status ? status : set_init(&r->builds);
    status = status ? status : rp_take_array_init(&r->pages, RP_GIB(4));
    return status ? status : rp_take_array_init(&r->list, RP_MIB(64));
}

static rp_status file_begin(recording *r, bool replace)
{
    rp_take_environment environment;
    take_environment_fill(r->s, &environment);
    rp_status status = rp_take_file_create(&r->file, r->path, replace);
    if (!status) {
        rp_take_writer_desc desc = {.sink = rp_take_file_sink(&r->file),
                                    .region_base = RP_REGION_BASE,
                                    .created_wall_ns = rp_os_wall_ns(),
                                    .environment = &environment,
                                    .publish_early = true};
        status = rp_take_writer_open(&desc, &r->writer);
    }
    return status;
}

static rp_status state_write(recording *r)
{
    session *s = r->s;
    rp_record at;
    if (!session_has_world(s) || !session_record(s, &at)) {
        return RP_OK; /* it begins with the world */
    }
    rp_record_desc desc = {
        .frame = at.frame, .build = at.build, .kind = at.kind, .step_ns = at.step_ns};
    desc.input = rp_log_input(s->log, rp_log_position(s->log), &desc.input_bytes);
    rp_status status = put_build(r, at.build);
    status = status ? status : put_lists(r, &s->live, at.build);
    status = status ? status : put_frame(r, &desc);
    for (size_t i = 0; !status && i < s->bookmarks.count; i++) {
        bookmark_note(r, &s->bookmarks.items[i]);
    }
    return status;
}

static rp_status queue_begin(recording *r)
{
    rp_log_stats stats;
    rp_log_stats_get(r->s->log, &stats);
    const rp_take_recorder_desc desc = {.writer = r->writer,
                                        .queue_bytes =
                                            rp_max_size(QUEUE_LEAST_BYTES, 2 * stats.world_bytes),
                                        .content = content_of,
                                        .context = r};
    return rp_take_recorder_create(&desc, &r->recorder);
}

static void release(recording *r)
{
    rp_take_writer_close(r->writer);
    rp_take_file_close(&r->file);
    set_finish(&r->fed);
    set_finish(&r->moved);
    set_finish(&r->builds);
    rp_take_array_finish(&r->pages);
    rp_take_array_finish(&r->list);
    free(r);
}

rp_status recording_open(session *s, session_recording which, const recording_desc *desc)
{
    recording *r = calloc(1, sizeof *r);
    if (!r) {
        return rp_fail(RP_E_MEMORY, "take: no memory to record");
    }
    r->s = s;
    r->everything = true;
    r->file.stream.fd = -1;
    rp_status status =
        rp_text_copy(r->path, sizeof r->path, desc->path)
            ? RP_OK
            : rp_fail(RP_E_ARGUMENT, "take: the path is too long: %.80s…", desc->path);
    status = status ? status : sets_init(r);
    status = status ? status : file_begin(r, desc->replace);
    status = status ? status : state_write(r);
    status = status ? status : queue_begin(r);
    if (status) {
        rp_error why = *rp_error_last();
        release(r);
        return rp_fail(why.status, "%s", why.text);
    }
    s->recordings[which] = r;
    return RP_OK;
}

rp_status recording_close(session *s, session_recording which, bool finish)
{
    recording *r = s->recordings[which];
    if (!r) {
        return RP_OK;
    }
    s->recordings[which] = NULL;
    rp_status status = rp_take_recorder_destroy(r->recorder, finish && r->begun && !r->status);
    if (!status && r->status) {
        status = rp_fail(r->status, "%s", r->text);
    }
    rp_error why = *rp_error_last();
    release(r);
    return status ? rp_fail(status, "%s", why.text) : RP_OK;
}

const char *recording_path(const recording *r)
{
    return r->path;
}

void recording_status_get(const recording *r, recording_status *status)
{
    rp_take_recorder_stats stats;
    rp_take_recorder_stats_get(r->recorder, &stats);
    *status = (recording_status){.frames = stats.frames,
                                 .thin = stats.thin,
                                 .lost = stats.lost,
                                 .first_frame = r->first_frame,
                                 .last_frame = r->last_frame,
                                 .written_bytes = stats.written_bytes,
                                 .queued_bytes = stats.queued_bytes,
                                 .last_thin = stats.last_thin,
                                 .status = r->status ? r->status : stats.status};
    if (r->status) {
        rp_fail(r->status, "%s", r->text);
    }
}
