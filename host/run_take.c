/* Takes of what runs: recorded from the start, saved by key or by `reprise ctl save`, left behind
 * by a crash. See run.h. */
#include "foreign_text.h"
#include "recording.h"
#include "run.h"

#include <base/error.h>
#include <base/text.h>
#include <deck/input.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CRASH_SECONDS = 10, NAMES_MOST = 100 };

/* ---- from the start ---- */

rp_status run_recording_begin(run *r)
{
    const recording_desc desc = {.path = r->options.take};
    return desc.path ? recording_open(&r->session, SESSION_RECORDING_TAKE, &desc) : RP_OK;
}

static void size_text(uint64_t size_bytes, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_text_add_bytes(&buffer, size_bytes);
}

/* What was written before stands; the program goes on. */
static void recording_ended(run *r)
{
    recording_status status;
    char text[800];
    recording_status_get(r->session.recordings[SESSION_RECORDING_TAKE], &status);
    rp_text_copy(r->take_error, sizeof r->take_error, rp_error_last()->text);
    snprintf(
        text, sizeof text,
        "recording ended: %s\nthe take is whole up to frame %llu; `reprise ctl save FILE` writes "
        "what history holds to another place",
        r->take_error, (unsigned long long)status.last_frame);
    run_notice(r, true, text);
    recording_close(&r->session, SESSION_RECORDING_TAKE, false);
}

static void recording_look_after(run *r)
{
    recording_status status;
    if (!r->session.recordings[SESSION_RECORDING_TAKE]) {
        return;
    }
    recording_status_get(r->session.recordings[SESSION_RECORDING_TAKE], &status);
    if (status.status) {
        recording_ended(r);
    } else if (status.thin > r->thin_told) {
        if (!r->thin_told) {
            run_say(r,
                    "the disk does not follow: frame %llu is in the take without its memory, "
                    "which comes with a later one",
                    (unsigned long long)status.last_thin);
        }
        r->thin_told = status.thin;
    }
}

static void recording_end(run *r)
{
    recording_status status;
    char size[24];
    if (!r->session.recordings[SESSION_RECORDING_TAKE]) {
        return;
    }
    recording_status_get(r->session.recordings[SESSION_RECORDING_TAKE], &status);
    bool begun = status.frames != 0;
    char path[RP_OBJECT_PATH_BYTES];
    rp_text_copy(path, sizeof path, recording_path(r->session.recordings[SESSION_RECORDING_TAKE]));
    rp_status ended = recording_close(&r->session, SESSION_RECORDING_TAKE, true);
    if (ended) {
        fprintf(stderr, "reprise: recording: %s\n", rp_error_last()->text);
        r->exit_code = r->exit_code ? r->exit_code : RUN_EXIT_FAILED;
    } else if (begun) {
        struct stat file = {0};
        stat(path, &file);
        size_text((uint64_t)file.st_size, size, sizeof size);
        fprintf(stderr, "reprise: %s: frames %llu to %llu, %s\n", path,
                (unsigned long long)status.first_frame, (unsigned long long)status.last_frame,
                size);
    }
}

/* ---- what history holds ---- */

static rp_status save(run *r, const char *path, uint64_t seconds, bool failed)
{
    session *s = &r->session;
    uint8_t packed[RP_INPUT_PACKED_MAX];
    uint64_t frames = seconds * (s->rate_hz ? s->rate_hz : 60), newest = session_newest(s);
    saving_desc desc = {.path = path,
                        .from_frame = seconds && newest > frames ? newest - frames : 0,
                        .failed = failed,
                        .input = packed,
                        .looping = r->transport.looping};
    desc.input_bytes = failed ? (uint32_t)rp_input_pack(&r->pending, packed) : 0;
    return saving_start(&r->saving, s, &desc);
}

/* A name that nothing has yet: "game-20261127-140211.take". */
static rp_status save_named(run *r, const char *folder, const char *kind, uint64_t seconds,
                            bool failed)
{
    char path[RP_OBJECT_PATH_BYTES], when[32];
    time_t now = time(NULL);
    struct tm local;
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    rp_status status = RP_E_TAKEN;
    for (int i = 0; status == RP_E_TAKEN && i < NAMES_MOST; i++) {
        rp_text_buffer text = rp_text_buffer_over(path, sizeof path);
        rp_text_add(&text, "%s%s%s%s-%s", folder, folder[0] ? "/" : "", r->name, kind, when);
        if (i) {
            rp_text_add(&text, "-%d", i + 1);
        }
        rp_text_add(&text, ".take");
        status = save(r, path, seconds, failed);
    }
    return status;
}

void run_save_key(run *r)
{
    if (save_named(r, "", "", 0, false)) {
        run_notice(r, true, rp_error_last()->text);
    } else {
        run_toast(r, "saving %s …", r->saving.path);
    }
}

/* Of the seconds before a failure, where the user asked for it. */
void run_crash_take(run *r)
{
    if (!r->options.crash_takes) {
        return;
    }
    if (save_named(r, r->options.crash_takes, "-crash", CRASH_SECONDS, true)) {
        run_say(r, "no take of the failure: %s", rp_error_last()->text);
    } else {
        session_failure_add(&r->session, "the seconds before: ", r->saving.path);
    }
}

static void saving_tell(run *r)
{
    const saving_status *status = &r->saving.status;
    char size[24];
    if (status->status) {
        char text[800];
        snprintf(text, sizeof text, "%s was not saved: %s", r->saving.path, status->text);
        run_notice(r, true, text);
        return;
    }
    size_text(status->written_bytes, size, sizeof size);
    run_say(r, "saved %s: frames %llu to %llu, %s", r->saving.path,
            (unsigned long long)status->first_frame, (unsigned long long)status->last_frame, size);
}

/* What the program writes meanwhile needs new room, since the room of what is saved is kept. */
static bool holds_too_much(const run *r)
{
    rp_log_stats stats;
    rp_log_stats_get(r->session.log, &stats);
    return r->saving.pid && stats.held_bytes > stats.budget_bytes;
}

void run_takes_look_after(run *r)
{
    recording_look_after(r);
    if (saving_poll(&r->saving, &r->session)) {
        saving_tell(r);
    } else if (holds_too_much(r)) {
        saving_cancel(&r->saving, &r->session);
        run_notice(r, true,
                   "the save was given up: the program writes more than the history's budget while "
                   "it lasts: save fewer seconds, or to a quicker disk");
    }
}

void run_takes_end(run *r)
{
    recording_end(r);
    if (r->saving.pid) {
        fprintf(stderr, "reprise: waiting for %s\n", r->saving.path);
        saving_wait(&r->saving, &r->session);
        saving_tell(r);
    }
}

/* ---- reprise ctl ---- */

json_t *run_save_answer(run *r, const json_t *request)
{
    const char *path = json_string_value(json_object_get(request, "file"));
    const json_t *seconds = json_object_get(request, "seconds");
    uint64_t last = json_is_integer(seconds) && json_integer_value(seconds) > 0
                        ? (uint64_t)json_integer_value(seconds)
                        : 0;
    bool failed = r->session.failure.active && !r->session.failure.stands;
    rp_status status = path ? save(r, path, last, failed) : save_named(r, "", "", last, failed);
    if (status) {
        return run_refused();
    }
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "file", foreign_json(r->saving.path), "saving",
                     run_saving_json(r));
}

json_t *run_recording_json(const run *r)
{
    recording_status status;
    if (!r->session.recordings[SESSION_RECORDING_TAKE]) {
        return r->take_error[0] ? json_pack("{s:s, s:o}", "file", r->options.take, "error",
                                            foreign_json(r->take_error))
                                : json_null();
    }
    recording_status_get(r->session.recordings[SESSION_RECORDING_TAKE], &status);
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file",
                     foreign_json(recording_path(r->session.recordings[SESSION_RECORDING_TAKE])),
                     "frames", (json_int_t)status.frames, "first", (json_int_t)status.first_frame,
                     "last", (json_int_t)status.last_frame, "thin", (json_int_t)status.thin, "lost",
                     (json_int_t)status.lost, "bytes", (json_int_t)status.written_bytes,
                     "queued_bytes", (json_int_t)status.queued_bytes);
}

json_t *run_saving_json(const run *r)
{
    const saving_status *status = &r->saving.status;
    if (!r->saving.path[0]) {
        return json_null();
    }
    return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "file",
                     foreign_json(r->saving.path), "done", !r->saving.pid, "records",
                     (json_int_t)status->done_records, "of", (json_int_t)status->all_records,
                     "first", (json_int_t)status->first_frame, "last",
                     (json_int_t)status->last_frame, "bytes", (json_int_t)status->written_bytes,
                     "error", status->status ? foreign_json(status->text) : json_null());
}
