/* Frames of a take into a session's history. See take_session.h. */
#include "session_internal.h"
#include "take_session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <os/os.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MOST = 1024, WRITE_MOST = 64, PROGRESS_FRAMES = 64 };

/* One record on its way into the log. */
typedef struct loading {
    take_session *t;
    rp_take_array numbers; /* of the pages to write: uint32_t */
    rp_take_array entries; /* rp_page_slot */
    uint8_t moved[WRITE_MOST][RP_PAGE_BYTES];
    rp_take_array course; /* records to load: uint64_t */
    rp_take_map met;      /* pages, where several records are one difference */
    bool whole;           /* a state is in the log, that after record `before` */
    uint64_t before;
    uint32_t build; /* that made it */
} loading;

/* ---- pages ---- */

static rp_status numbers_all(loading *l)
{
    size_t cursor = 0;
    uint32_t page;
    const uint8_t *content;
    rp_status status = RP_OK;
    while (!status && rp_take_state_next(l->t->state, &cursor, &page, &content)) {
        status = rp_take_array_add(&l->numbers, &page, sizeof page);
    }
    return status;
}

/* Each page of the list once. */
static rp_status numbers_unique(loading *l)
{
    uint32_t *pages = (uint32_t *)(void *)l->numbers.data;
    size_t kept = 0, count = l->numbers.used_bytes / sizeof *pages;
    rp_status status = RP_OK;
    rp_take_map_clear(&l->met);
    for (size_t i = 0; !status && i < count; i++) {
        uint32_t met;
        if (!rp_take_map_get(&l->met, pages[i], &met)) {
            status = rp_take_map_set(&l->met, pages[i], 1);
            pages[kept++] = pages[i];
        }
    }
    l->numbers.used_bytes = kept * sizeof *pages;
    return status;
}

/* Variables of a build, or with 0 of libraries: what a fresh process has there is not zero, so the
 * log has to name those pages too that are zeros in the state. */
static rp_status numbers_of_ranges(loading *l, uint32_t build)
{
    const session *s = l->t->session;
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < s->known_count; i++) {
        const link_range *range = &s->known[i];
        uint32_t pages =
            rp_world_range_pages((const void *)(uintptr_t)range->start, range->size_bytes);
        for (uint32_t page = 0; !status && range->build == build && page < pages; page++) {
            uint32_t number = range->first_page + page;
            status = rp_take_array_add(&l->numbers, &number, sizeof number);
        }
    }
    return status;
}

/* Pages in which the state after record `index` differs from that after `before`. */
static rp_status numbers_between(loading *l, uint64_t before, uint64_t index)
{
    rp_status status = RP_OK;
    for (uint64_t i = before + 1; !status && i <= index; i++) {
        status = rp_take_frame_pages(l->t->file->take, i, &l->numbers);
    }
    return status;
}

/* The pages that record `index` brings to the log. */
static rp_status numbers_list(loading *l, uint64_t index, uint32_t build)
{
    bool first = !l->whole, other_build = first || build != l->build;
    rp_status status = first ? numbers_all(l) : numbers_between(l, l->before, index);
    if (!status && first) {
        status = numbers_of_ranges(l, 0);
    }
    if (!status && other_build) {
        status = numbers_of_ranges(l, build);
    }
    bool repeats = other_build || index != l->before + 1;
    return status || !repeats ? status : numbers_unique(l);
}

static rp_status entry_add(loading *l, uint32_t page, uint32_t slot)
{
    rp_page_slot entry = {.page = page, .slot = slot};
    return rp_take_array_add(&l->entries, &entry, sizeof entry);
}

/* Writes pages `first` … of the list into neighbouring slots. */
static rp_status pages_write(loading *l, const uint32_t *pages, uint32_t slot, size_t count)
{
    const void *contents[WRITE_MOST];
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) {
        const uint8_t *content = rp_take_state_page(l->t->state, pages[i]);
        size_t words = l->t->move_count ? take_words_move(l->t, content, l->moved[i]) : 0;
        l->t->moved_words += words;
        contents[i] = words ? l->moved[i] : content;
        status = entry_add(l, pages[i], slot + (uint32_t)i);
    }
    return status ? status
                  : rp_os_memfile_write_pages(rp_log_fd(l->t->session->log),
                                              (size_t)slot * RP_PAGE_BYTES, contents, count);
}

static rp_status run_fill(loading *l, const uint32_t *pages, rp_slot_run run)
{
    rp_status status = RP_OK;
    for (uint32_t at = 0; !status && at < run.count; at += WRITE_MOST) {
        size_t part = rp_min_size(run.count - at, WRITE_MOST);
        status = pages_write(l, pages + at, run.first + at, part);
    }
    return status;
}

/* Pages that are not zeros go to the front of the list; returns how many. The others are entered
 * with the slot that zeros have. */
static rp_status zeros_enter(loading *l, size_t *left)
{
    uint32_t *pages = (uint32_t *)(void *)l->numbers.data;
    size_t count = l->numbers.used_bytes / sizeof *pages;
    rp_status status = RP_OK;
    *left = 0;
    for (size_t i = 0; !status && i < count; i++) {
        if (rp_take_state_page(l->t->state, pages[i])) {
            pages[(*left)++] = pages[i];
        } else {
            status = entry_add(l, pages[i], RP_SLOT_ZERO);
        }
    }
    return status;
}

static rp_status slots_fill(loading *l)
{
    size_t left;
    rp_status status = zeros_enter(l, &left);
    const uint32_t *pages = (const uint32_t *)(const void *)l->numbers.data;
    while (!status && left) {
        rp_slot_run runs[RUNS_MOST];
        size_t run_count = 0;
        uint32_t want = (uint32_t)rp_min_size(left, UINT32_C(1) << 20);
        status = rp_log_slots_offer(l->t->session->log, want, runs, RUNS_MOST, &run_count);
        if (!status && !run_count) {
            status = rp_fail(RP_E_BUDGET, "history: no room for a frame of the take: give it more "
                                          "with --budget");
        }
        for (size_t i = 0; !status && left && i < run_count; i++) {
            runs[i].count = (uint32_t)rp_min_size(runs[i].count, left);
            status = run_fill(l, pages, runs[i]);
            pages += runs[i].count;
            left -= runs[i].count;
        }
    }
    return status;
}

/* ---- frames ---- */

static rp_status record_commit(loading *l, const rp_take_index_frame *frame, uint64_t index)
{
    take_session *t = l->t;
    uint8_t input[RP_TAKE_INPUT_MOST_BYTES];
    rp_record_desc desc = {.frame = frame->frame,
                           .build = take_session_build(t, frame->build),
                           .kind = frame->kind ? RP_RECORD_CARRIED : RP_RECORD_FRAME,
                           .step_ns = frame->step_ns,
                           .input = input};
    if (!desc.build) {
        return rp_fail(RP_E_NOT_FOUND, "%s: frame %llu was made by a build that is not in it",
                       t->file->path, (unsigned long long)frame->frame);
    }
    rp_status status = rp_take_frame_input(t->file->take, index, input, &desc.input_bytes);
    status = status ? status : slots_fill(l);
    status = status ? status
                    : rp_log_commit(t->session->log, &desc,
                                    (const rp_page_slot *)(const void *)l->entries.data,
                                    l->entries.used_bytes / sizeof(rp_page_slot));
    rp_log_slots_reset(t->session->log);
    if (!status && desc.kind == RP_RECORD_FRAME && desc.frame) {
        inputs_note(&t->session->inputs, desc.frame, input, desc.input_bytes);
    }
    return status;
}

static rp_status record_load(loading *l, uint64_t index)
{
    const rp_take_index_frame *frame = rp_take_frame_at(l->t->file->take, index);
    l->numbers.used_bytes = l->entries.used_bytes = 0;
    rp_status status = rp_take_state_seek(l->t->state, index);
    uint32_t build = take_session_build(l->t, frame->build);
    status = status ? status : numbers_list(l, index, build);
    status = status ? status : record_commit(l, frame, index);
    l->whole = l->whole || !status;
    l->before = index;
    l->build = build;
    return status;
}

/* ---- the course of things ---- */

/* Whether a record stands ahead of a later one on its course: a frame number that is not above that
 * of the record before says that its future was dropped. */
static bool is_ahead(const rp_take_index_frame *frame, const rp_take_index_frame *later)
{
    return frame->frame < later->frame ||
           (frame->frame == later->frame && later->kind == RP_RECORD_CARRIED &&
            frame->build != later->build);
}

/* The records that lead to `last`, back to `first`, as uint64_t, the last one first. */
static rp_status course_list(const take_session *t, uint64_t first, uint64_t last,
                             rp_take_array *course)
{
    const rp_take_index_frame *later = NULL;
    rp_status status = RP_OK;
    for (uint64_t index = last + 1; !status && index-- > first;) {
        const rp_take_index_frame *frame = rp_take_frame_at(t->file->take, index);
        if (frame && (!later || is_ahead(frame, later))) {
            later = frame;
            status = frame->flags & RP_TAKE_THIN ? RP_OK
                                                 : rp_take_array_add(course, &index, sizeof index);
        }
    }
    return status;
}

uint64_t take_session_course_end(const take_file *file, uint64_t index)
{
    uint64_t last = file->overview.frame_count - 1, end = index;
    const rp_take_index_frame *later = rp_take_frame_at(file->take, last);
    for (uint64_t i = last; i > index; i--) {
        const rp_take_index_frame *frame = rp_take_frame_at(file->take, i - 1);
        if (is_ahead(frame, later)) {
            later = frame;
            if (i - 1 == index) {
                return last;
            }
        }
    }
    while (end < last &&
           is_ahead(rp_take_frame_at(file->take, end), rp_take_frame_at(file->take, end + 1))) {
        end++;
    }
    return end;
}

static rp_status course_load(loading *l, uint64_t first, uint64_t last,
                             take_session_progress *progress, void *context)
{
    rp_status status = course_list(l->t, first, last, &l->course);
    const uint64_t *course = (const uint64_t *)(const void *)l->course.data;
    uint64_t count = l->course.used_bytes / sizeof *course;
    for (uint64_t done = 0; !status && done < count; done++) {
        status = record_load(l, course[count - 1 - done]);
        if (!status && progress && done % PROGRESS_FRAMES == 0 && !progress(context, done, count)) {
            status =
                rp_fail(RP_E_CLOSED, "%s: it was given up while it was read", l->t->file->path);
        }
    }
    if (!status && !l->whole) {
        status = rp_fail(RP_E_NOT_FOUND, "%s: holds no memory of these frames, only their inputs",
                         l->t->file->path);
    }
    return status;
}

rp_status take_session_load(take_session *t, uint64_t first, uint64_t last,
                            take_session_progress *progress, void *context)
{
    loading *l = calloc(1, sizeof *l);
    if (!l) {
        return rp_fail(RP_E_MEMORY, "session: no memory to read a take");
    }
    l->t = t;
    rp_status status = rp_take_array_init(&l->numbers, RP_PAGE_LIMIT * sizeof(uint32_t));
    status =
        status ? status : rp_take_array_init(&l->entries, RP_PAGE_LIMIT * sizeof(rp_page_slot));
    status = status ? status : rp_take_array_init(&l->course, RP_GIB(4));
    status = status ? status : course_load(l, first, last, progress, context);
    rp_take_array_finish(&l->numbers);
    rp_take_array_finish(&l->entries);
    rp_take_array_finish(&l->course);
    rp_take_map_finish(&l->met);
    free(l);
    return status;
}

rp_status take_session_stand(take_session *t, uint64_t frame)
{
    rp_status status = session_seek(t->session, frame);
    status = status ? status : take_file_bookmarks(t->file, &t->session->bookmarks);
    return status ? status : take_objects_check(t);
}
