/* Frames of a session: making, seeking, showing. Builds and restarts: session_build.c. */
#include "session.h"
#include "recording.h"
#include "session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <deck/environment.h>
#include <deck/input.h>
#include <history/world.h>
#include <os/os.h>
#include <poll.h>
#include <region/region.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_AHEAD = 2048, SLOTS_LEAST = 64 };
/* Fresh pages of the log's file, touched between frames in small steps, as each costs some 5 us. */
enum { ROOM_STEP = 64, ROOM_NS = 500000 };

/* ---- open and close ---- */

/* The frames of a sleeping coroutine and jump buffers hold the secrets, and are state, so
 * they follow from the seed, or each session would have hashes of its own. Kept from an attacker
 * they are not: randomisation of addresses is off, too. The generator is not the one that the
 * program reads, which would hand them out. */
static rp_os_secrets secrets_of(uint64_t seed)
{
    rp_os_secrets secrets;
    rp_environment generator;
    rp_environment_init(&generator, ~seed, 0);
    rp_environment_random(&generator, &secrets, sizeof secrets);
    secrets.canary &= ~UINT64_C(0xff); /* its first byte is zero: strings stop at it */
    return secrets;
}

rp_status session_open(const session_desc *desc, session *s)
{
    *s = (session){.desc = *desc,
                   .next_page = RP_PAGE_EXTRA,
                   .width_px = desc->width_px,
                   .height_px = desc->height_px,
                   .rate_hz = desc->rate_hz,
                   .live = {.socket = -1, .output = -1},
                   .spare = {.socket = -1, .output = -1}};
    s->desc.origin = NULL; /* it may end before the session */
    const rp_log_desc history = {.budget_bytes = desc->budget_bytes, .writable = true};
    rp_status status = rp_log_create_with(&history, &s->log);
    if (status) {
        return status;
    }
    const rp_os_secrets secrets = desc->origin ? *desc->origin : secrets_of(desc->seed);
    s->start = (process_desc){.log_fd = rp_log_fd(s->log),
                              .seed = desc->seed,
                              .start_wall_ns = desc->start_wall_ns,
                              .canary = secrets.canary,
                              .pointer_guard = secrets.pointer_guard,
                              .tracking = desc->tracking,
                              .check_threads = desc->check_threads,
                              .audio_rate_hz = 48000,
                              .audio_channels = 2,
                              .keep = desc->keep,
                              .keep_count = desc->keep_count,
                              .debug = s->debug.text};
    if (desc->debug && debug_choices_add(&s->debug, desc->debug)) {
        return rp_error_last()->status;
    }
    s->live.print = s->spare.print = desc->print;
    s->live.print_context = s->spare.print_context = desc->context;
    return RP_OK;
}

void session_stop(session *s)
{
    link_message answer;
    process_wait wait = {.watchdog_ms = 1000, .even_traced = true};
    if (s->live.pid && s->loaded && !process_ended(&s->live)) {
        process_ask(&s->live, &(link_message){.op = LINK_STOP}, &answer, &wait);
    }
}

void session_close(session *s)
{
    process_end(&s->live);
    process_end(&s->spare);
    process_reap(true);
    session_refused_drop(s);
    for (uint32_t i = 0; i < s->build_count; i++) {
        rp_elf_close(s->builds[i].elf);
        remove(s->builds[i].path);
    }
    for (int i = 0; i < s->start.preload_count; i++) {
        free((void *)(uintptr_t)s->start.preload[i]);
    }
    free((void *)(uintptr_t)s->start.preload);
    free(s->builds);
    free(s->known);
    free(s->entries);
    free(s->picture);
    rp_loop_clear(&s->loop);
    divergence_destroy(s->divergence);
    watched_clear(&s->watched);
    inputs_clear(&s->inputs);
    session_refused_drop(s);
    if (s->log) {
        rp_log_destroy(s->log);
    }
    *s = (session){.live = {.socket = -1, .output = -1}, .spare = {.socket = -1, .output = -1}};
}

/* ---- where it is ---- */

bool session_has_world(const session *s)
{
    return rp_log_last(s->log) >= rp_log_first(s->log) && s->loaded;
}

bool session_record(const session *s, rp_record *record)
{
    return rp_log_last(s->log) >= rp_log_first(s->log) &&
           rp_log_record(s->log, rp_log_position(s->log), record);
}

static uint64_t frame_of(const session *s, uint64_t index)
{
    rp_record record;
    return rp_log_record(s->log, index, &record) ? record.frame : 0;
}

uint64_t session_frame(const session *s)
{
    return frame_of(s, rp_log_position(s->log));
}

uint64_t session_oldest(const session *s)
{
    return frame_of(s, rp_log_first(s->log));
}

uint64_t session_newest(const session *s)
{
    return frame_of(s, rp_log_last(s->log));
}

const float *session_sound(const session *s, uint32_t *frames, uint32_t *channels,
                           uint32_t *rate_hz)
{
    const link_memory *link = s->live.link;
    *frames = link ? link->audio_frames : 0;
    *channels = link && link->audio_channels == 1 ? 1 : 2;
    *rate_hz = link ? link->audio_rate_hz : 48000;
    if (*frames > LINK_AUDIO_MAX_FRAMES) { /* the runner can write there: not to be believed */
        *frames = 0;
    }
    return link ? link->audio : NULL;
}

/* ---- commits ---- */

/* Room for a frame like the last one, so that the runner need not ask in the middle of it. What is
 * offered counts as used, and older frames make way: so it is a small part of the budget. */
static uint32_t slots_ahead(const session *s)
{
    rp_log_stats stats;
    rp_log_stats_get(s->log, &stats);
    uint64_t most = rp_max_size(stats.budget_bytes / 16 / RP_PAGE_BYTES, SLOTS_LEAST);
    uint64_t want = rp_max_size(s->page_count * 2, SLOTS_AHEAD);
    return (uint32_t)(want < most ? want : most);
}

static rp_status offer_slots(session *s, process *p, uint32_t want)
{
    size_t count = 0;
    rp_status status = rp_log_slots_offer(s->log, want, (rp_slot_run *)p->link->slot_runs,
                                          LINK_SLOT_RUN_MAX, &count);
    p->link->slot_run_count = status ? 0 : (uint32_t)count;
    return status;
}

rp_status session_offer_slots(session *s, process *p)
{
    return offer_slots(s, p, slots_ahead(s));
}

static rp_status entries_add(session *s, const rp_page_slot *entries, uint64_t count)
{
    if (count > LINK_BULK_BYTES / sizeof *entries) {
        return rp_fail(RP_E_FORMAT, "runner: it named more pages than the link holds");
    }
    if (count > RP_PAGE_LIMIT - s->entry_count) {
        return rp_fail(RP_E_FORMAT, "runner: it named more pages than there can be");
    }
    if (s->entry_count + count > s->entry_capacity) {
        size_t capacity = (s->entry_count + count) * 2;
        rp_page_slot *grown = realloc(s->entries, capacity * sizeof *grown);
        if (!grown) {
            return rp_fail(RP_E_MEMORY, "history: no memory for a list of %zu pages", capacity);
        }
        s->entries = grown;
        s->entry_capacity = capacity;
    }
    memcpy(s->entries + s->entry_count, entries, count * sizeof *entries);
    s->entry_count += count;
    return RP_OK;
}

static rp_status on_part(void *context, process *p, const link_message *message)
{
    session *s = context;
    if (message->op == LINK_NEED_SLOTS) {
        uint32_t want = message->a > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)message->a;
        return offer_slots(s, p, want > slots_ahead(s) ? want : slots_ahead(s));
    }
    return entries_add(s, (const rp_page_slot *)p->link->bulk, message->a);
}

static void on_idle(void *context)
{
    session *s = context;
    if (s->desc.idle) {
        s->desc.idle(s->desc.context);
    }
}

process_wait session_wait(session *s)
{
    return (process_wait){
        .watchdog_ms = s->desc.watchdog_ms, .idle = on_idle, .part = on_part, .context = s};
}

/* The runner holds the user's program, which may have written anywhere: nothing of it is believed.
 */
static rp_status entries_check(const session *s)
{
    for (size_t i = 0; i < s->entry_count; i++) {
        if (s->entries[i].page >= RP_PAGE_LIMIT) {
            return rp_fail(RP_E_FORMAT, "runner: it named page %u, which cannot be",
                           s->entries[i].page);
        }
    }
    return RP_OK;
}

rp_status session_commit(session *s, process *p, const link_message *answer,
                         const rp_record_desc *desc)
{
    rp_status status = entries_add(s, (const rp_page_slot *)p->link->bulk, answer->a);
    if (!status) {
        status = entries_check(s);
    }
    if (!status) {
        status = rp_log_commit(s->log, desc, s->entries, s->entry_count);
    }
    if (!status) {
        recordings_moved(s, s->entries, s->entry_count);
        recordings_frame(s, p, desc);
    }
    s->page_count = s->entry_count;
    s->entry_count = 0;
    return status;
}

rp_status session_apply(session *s, process *p, const rp_page_slot *entries, size_t count)
{
    const size_t most = LINK_BULK_BYTES / sizeof *entries;
    process_wait wait = session_wait(s);
    uint64_t bits = LINK_APPLY_BEGIN | (process_traced(p) ? 0 : LINK_APPLY_QUIET);
    do {
        size_t part = rp_min_size(count, most);
        memcpy(p->link->bulk, entries, part * sizeof *entries);
        bits |= part == count ? LINK_APPLY_END : 0;
        link_message answer, request = {.op = LINK_APPLY, .a = part, .b = bits};
        rp_status status = process_ask(p, &request, &answer, &wait);
        if (status) {
            return status;
        }
        entries += part;
        count -= part;
        bits = 0;
    } while (count);
    return RP_OK;
}

/* ---- pictures ---- */

void session_take_stage(session *s)
{
    const link_memory *link = s->live.link;
    if (link->width_px >= 1 && link->width_px <= LINK_CANVAS_MAX_PX && link->height_px >= 1 &&
        link->height_px <= LINK_CANVAS_MAX_PX) {
        s->width_px = link->width_px;
        s->height_px = link->height_px;
    }
    if (link->rate_hz >= 1 && link->rate_hz <= 1000) {
        s->rate_hz = link->rate_hz;
    }
    memcpy(s->title, link->title, sizeof s->title);
    s->title[sizeof s->title - 1] = 0;
}

void session_take_picture(session *s)
{
    size_t pixels = (size_t)s->width_px * s->height_px;
    if (s->picture_width_px != s->width_px || s->picture_height_px != s->height_px) {
        free(s->picture);
        s->picture = malloc(pixels * sizeof *s->picture);
        s->picture_width_px = s->width_px;
        s->picture_height_px = s->height_px;
    }
    if (s->picture) {
        memcpy(s->picture, s->live.link->canvas, pixels * sizeof *s->picture);
    }
}

/* ---- the next frame ---- */

/* A fresh runner takes over. Where there is none either, nothing runs: what the live one holds is
 * not what the log says. */
static rp_status go_on_fresh(session *s)
{
    s->entry_count = 0;
    rp_log_slots_reset(s->log);
    s->restarting = true;
    rp_status status = session_restart(s);
    s->restarting = false;
    if (status) {
        s->loaded = 0;
        process_end(&s->live);
    }
    return status;
}

/* Returns the step's status. */
static rp_status failed(session *s, rp_status status, uint64_t frame, const rp_input *input)
{
    if (s->live.abandon) {
        rp_status fresh = go_on_fresh(s);
        return fresh ? fresh
                     : rp_fail(RP_E_CLOSED, "frame %llu was given up", (unsigned long long)frame);
    }
    session_failure_fill(s, &s->live, frame);
    uint8_t packed[RP_INPUT_PACKED_MAX];
    recordings_crash(s, packed, (uint32_t)rp_input_pack(input, packed));
    if (go_on_fresh(s)) {
        session_failure_add(s, "and no other runner could take over: ", rp_error_last()->text);
    }
    return rp_fail(status, "frame %llu could not be made: %s", (unsigned long long)frame,
                   s->failure.lines[0]);
}

static void stage_set(session *s, process *p, uint64_t frame)
{
    p->link->width_px = s->width_px;
    p->link->height_px = s->height_px;
    p->link->rate_hz = s->rate_hz;
    p->link->frame = frame;
}

/* Compares a frame of a loop with the first pass under this build. */
static void loop_check(session *s, uint64_t frame)
{
    uint64_t index = rp_log_position(s->log), hash;
    if (!rp_loop_is_set(&s->loop) || frame <= s->loop.from || frame > s->loop.to ||
        rp_log_hash(s->log, index, &hash)) {
        return;
    }
    rp_loop_check check = rp_loop_hash_note(&s->loop, frame, s->loaded, hash);
    divergence_note(s->divergence, s->log, index);
    divergence_place place;
    if (!check.diverged || s->diverged_frame ||
        !divergence_find(s->divergence, s->log, index, &place)) {
        return;
    }
    char what[128];
    s->diverged_frame = frame;
    uint64_t address = session_place_describe(s, &place, what, sizeof what);
    snprintf(s->diverged_text, sizeof s->diverged_text,
             "frame %llu differs from the first pass at 0x%llx: %.80s", (unsigned long long)frame,
             (unsigned long long)address, what);
}

static void first_step_done(session *s)
{
    if (s->waiting_since_ns && s->loaded == s->newest) {
        s->build_ms = (double)(rp_os_monotonic_ns() - s->waiting_since_ns) / 1e6;
        s->waiting_since_ns = 0;
    }
}

static rp_status step_ask(session *s, uint64_t frame, const rp_input *input, uint32_t flags,
                          link_message *answer)
{
    stage_set(s, &s->live, frame);
    s->live.link->input = *input;
    s->live.link->replaying = flags & LINK_STEP_AGAIN ? 1 : 0;
    s->live.drop_output = flags & LINK_STEP_AGAIN;
    link_message request = {.op = LINK_STEP, .a = flags};
    process_wait wait = session_wait(s);
    return process_ask(&s->live, &request, answer, &wait);
}

rp_status session_step(session *s, const rp_input *input, bool again, bool shown)
{
    rp_status status = s->loaded == s->newest ? RP_OK : session_carry_forward(s);
    if (!status && !s->loaded) {
        status = rp_fail(RP_E_DIED, "session: nothing runs");
    }
    if (!status) {
        status = session_offer_slots(s, &s->live);
    }
    if (status) {
        return status;
    }
    uint64_t frame = session_frame(s) + 1;
    link_message answer;
    uint32_t flags = (again ? LINK_STEP_AGAIN : 0) | (shown ? LINK_STEP_RENDER : 0);
    status = step_ask(s, frame, input, flags, &answer);
    if (status == RP_E_DIED || status == RP_E_TIMEOUT) {
        return failed(s, status, frame, input);
    }
    uint8_t packed[RP_INPUT_PACKED_MAX];
    rp_record_desc desc = {.frame = frame,
                           .build = s->loaded,
                           .kind = RP_RECORD_FRAME,
                           .step_ns = s->live.link->step_ns,
                           .input = packed,
                           .input_bytes = (uint32_t)rp_input_pack(input, packed)};
    if (!status) {
        status = session_commit(s, &s->live, &answer, &desc);
    }
    if (status) { /* the program has made a step that the log does not have */
        rp_error why = *rp_error_last();
        go_on_fresh(s);
        return rp_fail(why.status, "%s", why.text);
    }
    inputs_note(&s->inputs, frame, packed, desc.input_bytes);
    s->step_ns = s->live.link->step_ns;
    s->commit_ns = s->live.link->collect_ns;
    s->steps++;
    first_step_done(s);
    session_take_stage(s);
    if (shown) {
        session_take_picture(s);
    }
    loop_check(s, frame);
    bool logged = rp_loop_is_set(&s->loop) && frame > s->loop.from && frame <= s->loop.to;
    s->check_difference =
        watched_note(&s->watched, &s->live.link->watched, frame, s->loaded, logged || again);
    recordings_checks(s, frame, s->loaded);
    return RP_OK;
}

/* ---- other frames ---- */

rp_status session_log_seek(session *s, uint64_t index, const rp_page_slot **entries, size_t *count)
{
    rp_status status = rp_log_seek(s->log, index, entries, count);
    if (!status) {
        recordings_moved(s, *entries, *count);
    }
    return status;
}

rp_status session_position(session *s, uint64_t index)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = session_log_seek(s, index, &entries, &count);
    if (status) {
        return status;
    }
    status = session_apply(s, &s->live, entries, count);
    return status ? go_on_fresh(s) : RP_OK; /* half of it may be there */
}

void session_seek_back(session *s, uint64_t index)
{
    rp_error why = *rp_error_last();
    const rp_page_slot *entries;
    size_t count;
    /* The live runner is still there, but its pages may lie in other slots now. */
    if (session_log_seek(s, index, &entries, &count) == RP_OK && s->live.pid && s->loaded &&
        session_apply(s, &s->live, entries, count)) {
        go_on_fresh(s);
    }
    rp_fail(why.status, "%s", why.text);
}

/* The kept record nearest to a frame: the one before it where it was thinned out, so that going
 * back gets anywhere; the one after it where that would not move on. */
static bool nearest_kept(const session *s, uint64_t frame, uint64_t *index)
{
    uint64_t position = rp_log_position(s->log), newest = rp_log_last(s->log);
    rp_record record;
    if (frame < session_oldest(s) || frame > session_newest(s) ||
        !rp_log_find_kept(s->log, frame, index)) {
        return false;
    }
    if (frame > session_frame(s) && *index == position) {
        do {
            ++*index;
        } while (*index < newest && rp_log_record(s->log, *index, &record) && !record.kept);
    }
    return true;
}

rp_status session_seek(session *s, uint64_t frame)
{
    uint64_t index, before = rp_log_position(s->log);
    rp_record record;
    if (!nearest_kept(s, frame, &index) || !rp_log_record(s->log, index, &record)) {
        return rp_fail(RP_E_RANGE, "seek: frame %llu is not kept: frames %llu to %llu are",
                       (unsigned long long)frame, (unsigned long long)session_oldest(s),
                       (unsigned long long)session_newest(s));
    }
    if (record.build == s->loaded && s->live.pid) {
        return session_position(s, index);
    }
    const rp_page_slot *entries;
    size_t count;
    rp_status status = session_log_seek(s, index, &entries, &count);
    if (!status) {
        status = session_restart(s);
    }
    if (status) {
        session_seek_back(s, before);
    }
    return status;
}

/* Where the frame before was thinned out, the step behind the position is run: a picture of one
 * frame later is better than that of another time. */
static rp_status show_next_step(session *s, uint64_t index, const rp_record *record)
{
    rp_record next;
    rp_input input;
    uint32_t bytes;
    const void *packed = rp_log_input(s->log, index + 1, &bytes);
    if (!rp_log_record(s->log, index + 1, &next) || next.kind != RP_RECORD_FRAME ||
        next.build != record->build || rp_input_unpack(packed, bytes, &input)) {
        return RP_OK;
    }
    link_message answer;
    rp_status status = step_ask(s, next.frame, &input, LINK_STEP_AGAIN | LINK_STEP_SHOW, &answer);
    if (!status) {
        session_take_picture(s);
    }
    return status == RP_E_DIED || status == RP_E_TIMEOUT ? go_on_fresh(s) : status;
}

/* A module that draws in its step: the frame before is restored, and the step is run for its
 * picture. */
static rp_status show_by_step(session *s, uint64_t index, const rp_record *record)
{
    rp_record before;
    rp_input input;
    uint32_t bytes;
    const void *packed = rp_log_input(s->log, index, &bytes);
    if (record->kind != RP_RECORD_FRAME || index == rp_log_first(s->log) ||
        !rp_log_record(s->log, index - 1, &before) || before.build != record->build ||
        rp_input_unpack(packed, bytes, &input)) {
        return RP_OK; /* nothing can be drawn: the last picture stays */
    }
    if (!before.kept) {
        return show_next_step(s, index, record);
    }
    link_message answer;
    rp_status status = session_position(s, index - 1);
    if (!status) {
        status = step_ask(s, record->frame, &input, LINK_STEP_AGAIN | LINK_STEP_SHOW, &answer);
    }
    if (!status) {
        session_take_picture(s);
    }
    rp_status back = status == RP_E_DIED || status == RP_E_TIMEOUT ? go_on_fresh(s) : RP_OK;
    return back ? back : session_position(s, index);
}

rp_status session_show(session *s)
{
    rp_record record;
    if (!session_record(s, &record) || !s->loaded) {
        return RP_OK;
    }
    if (!session_build_at(s, s->loaded)->elf->has_render) {
        return show_by_step(s, rp_log_position(s->log), &record);
    }
    stage_set(s, &s->live, record.frame);
    uint32_t bytes;
    const void *packed = rp_log_input(s->log, rp_log_position(s->log), &bytes);
    if (!packed || rp_input_unpack(packed, bytes, &s->live.link->input)) {
        memset(&s->live.link->input, 0, sizeof s->live.link->input);
    }
    s->live.drop_output = true;
    link_message answer;
    process_wait wait = session_wait(s);
    rp_status status = process_ask(&s->live, &(link_message){.op = LINK_RENDER}, &answer, &wait);
    if (status == RP_E_DIED || status == RP_E_TIMEOUT) {
        return failed(s, status, record.frame, &(rp_input){0});
    }
    if (!status) {
        session_take_picture(s);
    }
    return status;
}

/* ---- bookmarks ---- */

rp_status session_bookmark(session *s, const char *name, uint64_t frame, const bookmark **put)
{
    rp_status status = bookmarks_put(&s->bookmarks, name, frame, put);
    if (!status) {
        recordings_bookmark(s, *put);
    }
    return status;
}

rp_status session_unbookmark(session *s, const char *name)
{
    bookmark gone = {.frame = BOOKMARK_NOWHERE};
    rp_text_copy(gone.name, sizeof gone.name, name); /* the name may lie in the list */
    rp_status status = bookmarks_remove(&s->bookmarks, gone.name);
    if (!status) {
        recordings_bookmark(s, &gone);
    }
    return status;
}

/* ---- loops ---- */

rp_status session_loop(session *s, uint64_t from, uint64_t to)
{
    rp_status status = rp_loop_set(&s->loop, s->log, from, to);
    if (status) {
        return status;
    }
    recordings_loop(s, from, to);
    divergence_destroy(s->divergence);
    s->divergence = divergence_create(from, to);
    s->diverged_frame = 0;
    uint64_t start = 0;
    bool alike =
        rp_log_find_frame(s->log, from, &start) && (!s->debug_index || start > s->debug_index);
    rp_log_pin(s->log, start);
    for (uint64_t frame = from + 1; alike && frame <= to; frame++) {
        uint64_t index, hash;
        rp_record record;
        if (rp_log_find_frame(s->log, frame, &index) && rp_log_record(s->log, index, &record) &&
            record.build == s->newest && rp_log_hash(s->log, index, &hash) == RP_OK) {
            rp_loop_hash_note(&s->loop, frame, record.build, hash);
            if (record.kept) {
                divergence_note(s->divergence, s->log, index);
            }
        }
    }
    return RP_OK;
}

void session_unloop(session *s)
{
    rp_loop_clear(&s->loop);
    rp_log_pin(s->log, 0);
    divergence_destroy(s->divergence);
    s->divergence = NULL;
    s->diverged_frame = 0;
}

/* ---- a debugger ---- */

void session_tracer_set(session *s, pid_t tracer)
{
    s->start.tracer = tracer;
    process *both[] = {&s->live, &s->spare};
    for (size_t i = 0; i < RP_COUNT_OF(both); i++) {
        link_message answer;
        process_wait wait = session_wait(s);
        if (both[i]->link) {
            both[i]->link->tracer = tracer;
        }
        if (both[i]->pid && both[i]->ready && both[i]->asked == LINK_NONE) {
            process_ask(both[i], &(link_message){.op = LINK_TRACER}, &answer, &wait);
        }
    }
}

rp_status session_hold(session *s)
{
    link_message answer, request = {.op = LINK_HOLD, .a = session_frame(s)};
    process_wait wait = session_wait(s);
    return process_ask(&s->live, &request, &answer, &wait);
}

bool session_abandon(session *s)
{
    if (s->live.asked == LINK_STEP || s->live.asked == LINK_RENDER) {
        process_abandon(&s->live);
    }
    return s->live.abandon;
}

/* ---- between frames ---- */

void session_world_tend(session *s, uint64_t budget_ns)
{
    bool nothing_new = s->tended_steps == s->steps;
    if (!s->loaded || !s->live.pid || s->live.asked != LINK_NONE || nothing_new ||
        process_traced(&s->live)) {
        return;
    }
    s->tended_steps = s->steps;
    link_message answer, request = {.op = LINK_TEND, .a = budget_ns};
    process_wait wait = session_wait(s);
    /* A runner that died of it is noticed by session_tend. */
    (void)process_ask(&s->live, &request, &answer, &wait);
}

static void make_room(const session *s)
{
    uint64_t end_ns = rp_os_monotonic_ns() + ROOM_NS;
    uint32_t most = slots_ahead(s);
    for (uint32_t ahead = ROOM_STEP; ahead <= most && rp_os_monotonic_ns() < end_ns;
         ahead += ROOM_STEP) {
        rp_log_prepare(s->log, ahead);
    }
}

rp_status session_tend(session *s)
{
    process_reap(false);
    process_drain(&s->live);
    rp_log_tend(s->log);
    if (session_has_world(s)) {
        make_room(s);
    }
    rp_status status = RP_OK;
    if (s->live.pid && process_ended(&s->live)) {
        session_failure_fill(s, &s->live, session_frame(s) + 1);
        status = go_on_fresh(s);
        if (!status) {
            status = rp_fail(RP_E_DIED, "runner: %s", s->failure.lines[0]);
        }
    }
    if (s->start.preload && process_ended(&s->spare)) {
        session_spare_start(s);
    } else if (s->spare.pid) {
        struct pollfd fd = {.fd = s->spare.socket, .events = POLLIN};
        if (!s->spare.ready && poll(&fd, 1, 0) > 0) {
            session_spare_prepare(s);
        }
    }
    return status;
}
