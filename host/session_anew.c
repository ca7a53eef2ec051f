/* A build that the state cannot be brought to, and what can be done about it: a new world under it,
 * with or without the input that was recorded. See session.h. */
#include "recording.h"
#include "session.h"
#include "session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_NS = 50000000 };

/* ---- the refused build ---- */

void session_refused_keep(session *s)
{
    session_build *build = session_build_at(s, s->build_count);
    session_refused_drop(s);
    session_refused *refused = &s->refused;
    refused->elf = build->elf;
    refused->complete_ns = build->complete_ns;
    rp_text_copy(refused->path, sizeof refused->path, build->path);
    rp_text_copy(refused->why, sizeof refused->why, rp_error_last()->text);
    s->build_count--;
    s->spare_told = s->spare_told > s->build_count ? s->build_count : s->spare_told;
}

void session_refused_drop(session *s)
{
    if (s->refused.elf) {
        rp_elf_close(s->refused.elf);
        remove(s->refused.path);
    }
    s->refused = (session_refused){0};
}

/* It is the newest build from here on, if what is done with it works. */
static rp_status refused_add(session *s)
{
    session_refused refused = s->refused;
    if (!refused.elf) {
        return rp_fail(RP_E_RANGE, "reload: no build was refused: there is nothing to choose");
    }
    s->refused = (session_refused){0};
    return session_build_add(s, refused.elf, refused.path, refused.complete_ns);
}

rp_status session_build_again(session *s, bool regardless)
{
    session_refused refused = s->refused;
    if (!refused.elf) {
        return rp_fail(RP_E_RANGE, "reload: no build was refused: there is nothing to choose");
    }
    s->refused = (session_refused){0};
    s->regardless = regardless;
    rp_status status = session_build_new(s, refused.elf, refused.path, rp_os_monotonic_ns());
    s->regardless = false;
    return status;
}

/* ---- a new world ---- */

/* In a log of its own, so that the old one stands until the new world does. */
static rp_status anew(session *s, uint32_t build)
{
    rp_log *before = s->log;
    rp_status status = rp_log_create(s->desc.budget_bytes, &s->log);
    if (status) {
        s->log = before;
        return status;
    }
    recordings_world_new(s);
    process_end(&s->spare); /* it has the other log */
    s->start.log_fd = rp_log_fd(s->log);
    status = session_first_world(s, build);
    if (status) {
        rp_error why = *rp_error_last();
        rp_log_destroy(s->log);
        s->log = before;
        s->start.log_fd = rp_log_fd(before);
        recordings_world_new(s);
        rp_fail(why.status, "%s", why.text);
        return status;
    }
    rp_log_destroy(before);
    s->newest = build;
    s->debug_index = 0;
    s->accepted_serial = s->accepted_frame = 0;
    divergence_reset(s->divergence);
    s->diverged_frame = 0;
    session_failure_clear(s);
    return RP_OK;
}

static rp_status anew_under_newest(session *s)
{
    bool waits = s->refused.elf != NULL;
    rp_status status = waits ? refused_add(s) : RP_OK;
    uint32_t build = waits ? s->build_count : s->newest;
    if (!status) {
        uint32_t old = s->loaded;
        status = anew(s, build);
        if (status && waits) {
            session_refused_keep(s);
        } else if (!status) {
            s->reload = (rp_reload){.old_build = old, .new_build = build};
            s->reload_report[0] = 0;
        }
    }
    return status;
}

rp_status session_world_restart(session *s)
{
    rp_status status = anew_under_newest(s);
    if (!status) {
        inputs_clear(&s->inputs);
        watched_clear(&s->watched);
        session_unloop(s);
    }
    return status;
}

/* The frames behind the position, up to `to`. */
static rp_status run_again(session *s, uint64_t to, session_progress *progress, void *context)
{
    uint64_t told_ns = rp_os_monotonic_ns();
    for (uint64_t frame = session_frame(s) + 1; frame <= to; frame++) {
        rp_input input;
        rp_status status = inputs_get(&s->inputs, frame, &input);
        if (!status) {
            status = session_step(s, &input, true, frame == to);
        }
        if (status) {
            return status;
        }
        uint64_t now_ns = rp_os_monotonic_ns();
        if (now_ns - told_ns > PROGRESS_NS) {
            told_ns = now_ns;
            if (!progress(context, frame, to)) {
                return RP_OK;
            }
        }
    }
    return RP_OK;
}

/* How far input is run again: *to. RP_E_RANGE: not all of it is kept. */
static rp_status input_end(const session *s, uint64_t *to)
{
    *to = session_newest(s);
    if (rp_loop_is_set(&s->loop) && s->loop.to > *to) {
        *to = s->loop.to;
    }
    if (*to > s->inputs.count) {
        return rp_fail(
            RP_E_RANGE,
            "reload: the input of frames %llu to %llu is not kept (there was too much of "
            "it): restart, keep the old build, or load regardless",
            (unsigned long long)s->inputs.count + 1, (unsigned long long)*to);
    }
    return RP_OK;
}

rp_status session_world_again(session *s, session_progress *progress, void *context)
{
    uint64_t to;
    rp_status status = input_end(s, &to);
    status = status ? status : anew_under_newest(s);
    return status ? status : run_again(s, to, progress, context);
}

/* ---- from the last point before the type mattered ---- */

/* The record, or where it was thinned out the kept one before it. */
static uint64_t kept_at(const session *s, uint64_t index)
{
    rp_record record;
    while (index > rp_log_first(s->log) &&
           !(rp_log_record(s->log, index, &record) && record.kept)) {
        index--;
    }
    return index;
}

/* Ever farther back: 1, 2, 4, … records, then the first one. Each attempt is all or nothing. */
static rp_status carry_from_before(session *s, uint32_t build)
{
    uint64_t at = rp_log_position(s->log), first = rp_log_first(s->log);
    rp_status status = RP_E_CHANGED;
    for (uint64_t back = 1; at > first && status == RP_E_CHANGED; back *= 2) {
        const rp_page_slot *entries;
        size_t count;
        at = back < at - first ? kept_at(s, at - back) : first;
        status = rp_log_seek(s->log, at, &entries, &count);
        status = status ? status : session_carry_to(s, build);
    }
    return status;
}

static void loop_keep_behind(session *s)
{
    if (rp_loop_is_set(&s->loop) && s->loop.from < session_frame(s)) {
        session_unloop(
            s); /* its start is a frame of the old build's, which cannot be brought over */
    }
}

rp_status session_world_since(session *s, session_progress *progress, void *context)
{
    uint64_t to, before = rp_log_position(s->log);
    rp_status status = input_end(s, &to);
    status = status ? status : refused_add(s);
    if (status) {
        return status;
    }
    status = carry_from_before(s, s->build_count);
    if (status) {
        session_seek_back(s, before);
        session_refused_keep(s);
        return status;
    }
    s->newest = s->build_count;
    s->refusal = (rp_refusal){0};
    divergence_reset(s->divergence);
    s->diverged_frame = 0;
    session_failure_clear(s);
    loop_keep_behind(s);
    return run_again(s, to, progress, context);
}
