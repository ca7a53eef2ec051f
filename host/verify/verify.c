/* One take, replayed. See verify.h. */
#include "verify/verify.h"

#include "copies.h"
#include "take_session.h"

#include <base/bits.h>
#include <base/error.h>
#include <deck/input.h>
#include <os/os.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BUDGET_BYTES = 512 << 20, PROGRESS_FRAMES = 64, CARRIED_MOST = 4096 };

typedef struct verifying {
    const verify_options *options;
    verify_result *result;
    take_file file;
    take_builds builds;
    rp_take_array marks; /* frame records that count */
    copies copies;
    take_session take;
    session session;
    bool take_open;
    uint64_t *carried; /* hashes of the names of fields that the carry itself changed */
    size_t carried_count;
    uint64_t fresh; /* fields that differ at the frame at hand and did not then */
    bool tells;
    uint64_t first, last; /* records of the stretch */
    uint64_t done;        /* records, for progress */
    recorded recorded;    /* of the stretch */
    link_watched values;  /* of the frame at hand, from there */
    verify_result found;  /* of another build, while the take's own is replayed */
} verifying;

__attribute__((format(printf, 2, 3))) static void line_add(verify_result *r, const char *format,
                                                           ...)
{
    if (r->line_count < VERIFY_LINES_MOST) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(r->lines[r->line_count], VERIFY_LINE_BYTES, format, arguments);
        va_end(arguments);
        take_file_plain(r->lines[r->line_count++]);
    }
}

static const rp_take_index_frame *record_at(const verifying *v, uint64_t index)
{
    return rp_take_frame_at(v->file.take, index);
}

/* ---- stretches ---- */

static bool continues(const verifying *v, uint64_t before, uint64_t index)
{
    const rp_take_index_frame *a = record_at(v, before), *b = record_at(v, index);
    return b->build == a->build && b->frame == a->frame + 1 && b->kind == 0;
}

/* From record `from` on; false: there is no more. What stands before it without a state is left
 * out. */
static bool stretch_find(verifying *v, uint64_t from)
{
    uint64_t count = v->file.overview.frame_count;
    while (from < count && (!v->marks.data[from] || record_at(v, from)->flags & RP_TAKE_THIN)) {
        v->result->left_out += v->marks.data[from];
        from++;
    }
    v->first = v->last = from;
    for (uint64_t i = from + 1; i < count; i++) {
        if (v->marks.data[i]) {
            if (!continues(v, v->last, i)) {
                break;
            }
            v->last = i;
        }
    }
    return from < count;
}

/* The next record of the stretch; false: there is none. */
static bool stretch_next(const verifying *v, uint64_t *index)
{
    do {
        ++*index;
    } while (*index <= v->last && !v->marks.data[*index]);
    return *index <= v->last;
}

/* ---- a session at the stretch's first frame ---- */

static void drop_output(void *context, const char *text, size_t length)
{
    (void)context, (void)text, (void)length;
}

static rp_status session_stand_at(verifying *v)
{
    const verify_options *o = v->options;
    take_session_desc desc = {.file = &v->file,
                              .trust = o->trust,
                              .known = o->module,
                              .session = {.budget_bytes = BUDGET_BYTES,
                                          .watchdog_ms = o->watchdog_ms,
                                          .keep = o->keep,
                                          .keep_count = o->keep_count,
                                          .width_px = 320,
                                          .height_px = 180,
                                          .rate_hz = 60,
                                          .print = drop_output}};
    rp_status status = copies_open(&v->copies);
    if (status) {
        return status;
    }
    desc.copies = v->copies.path;
    status = take_session_open(&desc, v->first, &v->take, &v->session);
    v->take_open = !status;
    status = status ? status : take_session_load(&v->take, v->first, v->first, NULL, NULL);
    status = status ? status : take_session_stand(&v->take, record_at(v, v->first)->frame);
    if (!status && !take_session_hashes_hold(&v->take)) {
        status = rp_fail(RP_E_TAKEN,
                         "%s lies elsewhere in this process than when the take was made, so its "
                         "frames have other hashes here",
                         v->take.move_count ? v->take.moves[0].name : "a library");
    }
    return status;
}

static void session_leave(verifying *v)
{
    if (v->take_open) {
        take_session_close(&v->take);
        session_close(&v->session);
        v->take_open = false;
    }
    copies_close(&v->copies);
}

static rp_status step(verifying *v, uint64_t index, bool again)
{
    uint8_t packed[RP_TAKE_INPUT_MOST_BYTES];
    uint32_t packed_bytes;
    rp_input input;
    if (v->options->ends && *v->options->ends) {
        return rp_fail(RP_E_CLOSED, "it was given up");
    }
    rp_status status = rp_take_frame_input(v->file.take, index, packed, &packed_bytes);
    status = status ? status : rp_input_unpack(packed, packed_bytes, &input);
    status = status ? status : session_step(&v->session, &input, again, false);
    if (status && v->session.failure.active) {
        status = rp_fail(status, "frame %llu: %s", (unsigned long long)record_at(v, index)->frame,
                         v->session.failure.line_count ? v->session.failure.lines[0]
                                                       : "the program failed");
    }
    if (v->options->shows_progress && v->done++ % PROGRESS_FRAMES == 0) {
        take_file_progress((void *)(uintptr_t) "verify", v->done / 512 * 512,
                           v->file.overview.frame_count * (v->options->module ? 2 : 1));
    }
    return status;
}

/* ---- fields ---- */

static void add_field(void *context, const diff_field *field)
{
    verify_result *r = ((verifying *)context)->result;
    if (field->path[0]) {
        line_add(r, "%.120s (%.40s): %.50s → %.50s", field->path, field->type, field->old_text,
                 field->new_text);
    } else {
        line_add(r, "%#llx %.120s: %.50s → %.50s", (unsigned long long)field->address, field->place,
                 field->old_text, field->new_text);
    }
}

/* rp_module_reloaded, and fields that begin anew, make a difference that is none of the step's. */
static void note_carried(void *context, const diff_field *field)
{
    verifying *v = context;
    if (v->carried_count < CARRIED_MOST) {
        v->carried[v->carried_count++] = XXH3_64bits(field->path, strlen(field->path));
    }
}

static void add_fresh(void *context, const diff_field *field)
{
    verifying *v = context;
    uint64_t hash = XXH3_64bits(field->path, strlen(field->path));
    for (size_t i = 0; i < v->carried_count; i++) {
        if (v->carried[i] == hash) {
            return;
        }
    }
    v->fresh++;
    if (v->tells) {
        add_field(v, field);
    }
}

/* What a frame of the take and one of the replay differ in. */
static rp_status compare_frames(verifying *v, uint64_t index, take_view *view, take_builds *builds,
                                take_view *other, uint64_t other_index,
                                void (*told)(void *, const diff_field *), diff_sum *sum)
{
    diff_sides sides = {
        .views = {view, other}, .builds = {&v->builds, builds}, .told = told, .context = v};
    rp_status status = take_view_seek(view, index);
    status = status ? status : take_view_seek(other, other_index);
    return status ? status : diff_fields(&sides, sum);
}

/* A frame that came out different, where the take has its memory. */
static rp_status tell_fields(verifying *v, uint64_t index)
{
    replay r = {0};
    take_view view = {0}, other = {0};
    take_builds builds = {0};
    diff_sum sum = {0};
    if (record_at(v, index)->flags & RP_TAKE_THIN) {
        line_add(v->result, "the take has not the memory of this frame, only its hash");
        return RP_OK;
    }
    rp_status status = replay_begin(&r, &v->session);
    status = status ? status : replay_frame(&r, &v->session);
    status = status ? status : replay_finish(&r);
    status = status ? status : take_view_open(&view, &v->file);
    status = status ? status : take_view_open(&other, &r.file);
    status = status ? status : compare_frames(v, index, &view, &builds, &other, 0, add_field, &sum);
    v->result->differ_count = sum.fields + sum.others;
    if (!status && sum.no_types[0]) {
        line_add(v->result, "no fields, since %.200s", sum.no_types);
    }
    take_view_close(&view);
    take_view_close(&other);
    take_builds_close(&builds);
    replay_drop(&r);
    return status;
}

/* ---- the same build ---- */

static rp_status hash_compare(verifying *v, uint64_t index, bool *same)
{
    const rp_take_index_frame *frame = record_at(v, index);
    uint64_t hash;
    *same = true;
    if (!(frame->flags & RP_TAKE_HASHED)) {
        return RP_OK;
    }
    rp_status status = rp_log_hash(v->session.log, rp_log_position(v->session.log), &hash);
    v->result->hashes += !status;
    *same = status || hash == frame->hash;
    return status;
}

static rp_status replay_stretch(verifying *v)
{
    verify_result *r = v->result;
    bool same = true;
    rp_status status = hash_compare(v, v->first, &same); /* what was loaded */
    for (uint64_t index = v->first; !status && same && stretch_next(v, &index);) {
        status = step(v, index, false);
        r->frames += !status;
        status = status ? status : hash_compare(v, index, &same);
        if (!status && !same) {
            r->outcome = VERIFY_DIFFERS;
            r->differs_at = record_at(v, index)->frame;
            status = tell_fields(v, index);
        }
    }
    return status;
}

/* ---- another build ---- */

static rp_status other_build(verifying *v)
{
    char path[COPIES_PATH_BYTES + 32];
    rp_elf *elf;
    snprintf(path, sizeof path, "%s/build-000900.so", v->copies.path);
    rp_status status = rp_elf_open(v->options->module, path, &elf);
    status = status ? status : session_seek(&v->session, record_at(v, v->first)->frame);
    return status ? status : session_build_new(&v->session, elf, path, rp_os_monotonic_ns());
}

/* What the take's build checked in the frame that comes, where the take has it and nobody ran it.
 */
static rp_status recall(verifying *v, uint64_t index)
{
    const rp_take_index_frame *frame = record_at(v, index);
    if (!v->recorded.take) {
        return RP_OK;
    }
    rp_status status = recorded_read(&v->recorded, index, &v->values);
    if (!status) {
        watched_recall(&v->session.watched, &v->values, frame->frame,
                       take_session_build(&v->take, frame->build));
        v->result->recorded++;
    }
    return status;
}

static rp_status step_all(verifying *v, replay *r)
{
    rp_status status = replay_begin(r, &v->session);
    status = status ? status : replay_frame(r, &v->session);
    for (uint64_t index = v->first; !status && stretch_next(v, &index);) {
        status = recall(v, index);
        status = status ? status : step(v, index, true);
        v->result->other_frames += !status;
        status = status ? status : replay_frame(r, &v->session);
    }
    return status ? status : replay_finish(r);
}

static void tell_checks(verifying *v)
{
    const watched *w = &v->session.watched;
    v->result->checks += w->compared;
    for (int i = 0; i < w->difference_count; i++) {
        const watched_difference *d = &w->differences[i];
        line_add(v->result, "rp_check %.31s: %s → %s, from frame %llu on", d->name, d->old_text,
                 d->new_text, (unsigned long long)d->frame);
        if (!v->result->differs_at || d->frame < v->result->differs_at) {
            v->result->differs_at = d->frame;
        }
        v->result->outcome = VERIFY_DIFFERS;
    }
}

static void tell_first(verifying *v, uint64_t frame)
{
    verify_result *r = v->result;
    line_add(r, "state: from frame %llu on %llu fields differ:", (unsigned long long)frame,
             (unsigned long long)v->fresh);
    r->differ_count = v->fresh;
    r->outcome = VERIFY_DIFFERS;
    if (!r->differs_at || frame < r->differs_at) {
        r->differs_at = frame;
    }
}

/* The first frame at which a field differs that was the same after the carry, and what does there.
 */
static rp_status look_through(verifying *v, take_view *view, take_view *other, take_builds *builds,
                              diff_sum *sum)
{
    uint64_t at = 0, index = v->first;
    rp_status status = compare_frames(v, index, view, builds, other, at, note_carried, sum);
    v->fresh = 0;
    while (!status && !sum->no_types[0] && !v->fresh && stretch_next(v, &index)) {
        at++;
        if (!(record_at(v, index)->flags & RP_TAKE_THIN)) {
            status = compare_frames(v, index, view, builds, other, at, add_fresh, sum);
        }
    }
    if (!status && v->fresh) {
        tell_first(v, record_at(v, index)->frame);
        v->tells = true;
        status = compare_frames(v, index, view, builds, other, at, add_fresh, sum);
        v->tells = false;
    }
    return status;
}

static rp_status tell_states(verifying *v, replay *r)
{
    take_view view = {0}, other = {0};
    take_builds builds = {0};
    diff_sum sum = {0};
    v->carried = calloc(CARRIED_MOST, sizeof *v->carried);
    v->carried_count = 0;
    rp_status status = v->carried ? RP_OK : rp_fail(RP_E_MEMORY, "no memory is left");
    status = status ? status : take_view_open(&view, &v->file);
    status = status ? status : take_view_open(&other, &r->file);
    status = status ? status : look_through(v, &view, &other, &builds, &sum);
    if (!status && v->carried_count) {
        line_add(v->result, "%zu fields differed at once, by the carry itself", v->carried_count);
    }
    if (!status && sum.no_types[0]) {
        line_add(v->result, "no fields, since %.200s", sum.no_types);
    }
    free(v->carried);
    v->carried = NULL;
    take_view_close(&view);
    take_view_close(&other);
    take_builds_close(&builds);
    return status;
}

static rp_status try_other_build(verifying *v)
{
    replay r = {0};
    rp_status status = other_build(v);
    status = status ? status : step_all(v, &r);
    if (!status) {
        tell_checks(v);
        status = tell_states(v, &r);
    }
    replay_drop(&r);
    return status;
}

/* ---- all ---- */

/* At the stretch's start, which stays in history for the other build. */
static rp_status stretch_begin(verifying *v)
{
    uint64_t start;
    rp_status status = session_stand_at(v);
    if (!status && rp_log_find_frame(v->session.log, record_at(v, v->first)->frame, &start)) {
        rp_log_pin(v->session.log, start);
    }
    return status;
}

static rp_status verify_by_replay(verifying *v)
{
    rp_status status = stretch_begin(v);
    status = status ? status : replay_stretch(v);
    if (!status && v->options->module && v->result->outcome == VERIFY_SAME) {
        status = try_other_build(v);
    }
    session_leave(v);
    return status;
}

/* The other build differs: is it the build, or does the take's own come out different as well? */
static void blame(verifying *v)
{
    verify_result *r = v->result;
    v->found = *r;
    *r = (verify_result){.frames = r->frames, .hashes = r->hashes, .left_out = r->left_out};
    rp_status status = stretch_begin(v);
    status = status ? status : replay_stretch(v);
    session_leave(v);
    if (!status && r->outcome == VERIFY_DIFFERS) {
        return;
    }
    v->found.frames = r->frames;
    v->found.hashes = r->hashes;
    *r = v->found;
    if (status && !(v->options->ends && *v->options->ends)) {
        line_add(r, "the take's own build could not be run again to compare: %s",
                 rp_error_last()->text);
    }
}

static rp_status verify_by_record(verifying *v)
{
    rp_status status = stretch_begin(v);
    status = status ? status : try_other_build(v);
    session_leave(v);
    if (!status && v->result->outcome == VERIFY_DIFFERS) {
        blame(v);
    }
    return status;
}

/* Whether the take has what its build checked in every frame of the stretch. */
static rp_status recorded_find(verifying *v, bool *all)
{
    rp_status status = recorded_open(&v->recorded, v->file.take, v->first, v->last);
    *all = !status && v->last > v->first;
    for (uint64_t index = v->first; *all && stretch_next(v, &index);) {
        *all = recorded_has(&v->recorded, index);
    }
    if (!*all) {
        recorded_close(&v->recorded);
    }
    return status;
}

static rp_status verify_stretch(verifying *v)
{
    bool by_record = false;
    rp_status status = RP_OK;
    if (v->options->module && !v->options->replays) {
        status = recorded_find(v, &by_record);
    }
    if (!status) {
        status = by_record ? verify_by_record(v) : verify_by_replay(v);
    }
    recorded_close(&v->recorded);
    return status;
}

static rp_status verify_all(verifying *v, const char *path)
{
    rp_status status = take_file_open(&v->file, path);
    status = status ? status : take_file_timeline(&v->file, &v->marks);
    if (!status && v->file.overview.environment.flags & RP_TAKE_STRIPPED) {
        status = rp_fail(RP_E_UNSUPPORTED, "memory was taken out of it (reprise strip)");
    }
    bool any = false;
    for (uint64_t from = 0; !status && v->result->outcome == VERIFY_SAME && stretch_find(v, from);
         from = v->last + 1) {
        any = true;
        status = verify_stretch(v);
    }
    if (!status && v->result->outcome == VERIFY_SAME && v->file.overview.damage[0]) {
        status = rp_fail(RP_E_FORMAT, "%s: %llu frames before that are as recorded",
                         v->file.overview.damage, (unsigned long long)v->result->frames);
    }
    if (!status && !any) {
        status = rp_fail(RP_E_NOT_FOUND, "it has no state to begin with, only inputs");
    }
    return status;
}

static void sum_up(verifying *v, rp_status status)
{
    verify_result *r = v->result;
    if (status) {
        r->outcome = status == RP_E_ARGUMENT ? VERIFY_UNKNOWN : VERIFY_FAILED;
        snprintf(r->text, sizeof r->text, "%s", rp_error_last()->text);
    } else if (r->outcome == VERIFY_DIFFERS) {
        snprintf(r->text, sizeof r->text, "%s from frame %llu on%s",
                 r->other_frames ? "the other build differs" : "it differs",
                 (unsigned long long)r->differs_at,
                 r->other_frames ? "" : ": the same build and input make another state");
    } else if (v->options->module && r->recorded && !r->frames) {
        snprintf(r->text, sizeof r->text,
                 "%llu frames under the other build the same, %llu recorded checks compared",
                 (unsigned long long)r->other_frames, (unsigned long long)r->checks);
    } else if (v->options->module) {
        snprintf(r->text, sizeof r->text,
                 "%llu frames as recorded; under the other build the same, %llu checks compared",
                 (unsigned long long)r->frames, (unsigned long long)r->checks);
    } else {
        snprintf(r->text, sizeof r->text, "%llu frames, %llu hashes as recorded",
                 (unsigned long long)r->frames, (unsigned long long)r->hashes);
    }
    if (r->left_out) {
        line_add(r, "%llu frames were left out: no state stands before them",
                 (unsigned long long)r->left_out);
    }
    take_file_plain(r->text);
}

void verify_file(const char *path, const verify_options *options, verify_result *result)
{
    static verifying v; /* a session is large */
    uint64_t begun_ns = rp_os_monotonic_ns();
    v = (verifying){.options = options, .result = result};
    *result = (verify_result){0};
    sum_up(&v, verify_all(&v, path));
    session_leave(&v);
    take_builds_close(&v.builds);
    rp_take_array_finish(&v.marks);
    take_file_close(&v.file);
    result->seconds = (double)(rp_os_monotonic_ns() - begun_ns) / 1e9;
}
