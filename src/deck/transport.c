/* The rules stand as two tables in the header; each row is a few lines here. */
#include "deck/transport.h"

#include "base/error.h"

#include <string.h>

enum { SPEED_MAX = 64 };

void rp_transport_init(rp_transport *transport)
{
    memset(transport, 0, sizeof *transport);
    transport->mode = transport->mode_before_rewind = RP_MODE_PLAY;
    transport->ticks_a_frame = transport->frames_a_tick = 1;
}

static bool is_kept(const rp_transport *t, uint64_t frame)
{
    return frame >= t->oldest && frame <= t->newest;
}

static void end_loop(rp_transport *t)
{
    t->looping = false;
    t->loop_from = t->loop_to = t->loop_pass = 0;
}

void rp_transport_at(rp_transport *transport, uint64_t position, uint64_t oldest, uint64_t newest)
{
    transport->position = position;
    transport->oldest = oldest;
    transport->newest = newest;
    if (transport->looping && transport->loop_from < oldest) {
        end_loop(transport);
    }
    transport->has_mark = transport->has_mark && is_kept(transport, transport->mark);
    transport->has_seek = transport->has_seek && is_kept(transport, transport->seek_wanted);
    if (!transport->failed) {
        if (transport->last.kind == RP_ACTION_STEP_LIVE ||
            transport->last.kind == RP_ACTION_STEP_LOGGED) {
            transport->skip_input = false;
        }
        transport->last = (rp_action){.kind = RP_ACTION_NONE};
    }
}

/* ---- commands ---- */

/* Where the world will be once what is wanted already is done. */
static uint64_t target(const rp_transport *t)
{
    return t->has_seek ? t->seek_wanted : t->position;
}

static uint64_t lower_bound(const rp_transport *t)
{
    return t->looping ? t->loop_from : t->oldest;
}

static void end_failure(rp_transport *t)
{
    t->failed = t->skip_input = false;
    t->last = (rp_action){.kind = RP_ACTION_NONE};
}

static void set_mode(rp_transport *t, rp_mode mode)
{
    t->mode = mode;
    t->steps_wanted = 0;
    t->frames_left = t->tick = 0;
}

static void want_seek(rp_transport *t, uint64_t frame)
{
    t->has_seek = true;
    t->seek_wanted = frame;
    t->frames_left = t->tick = 0;
}

static rp_status refuse_after_failure(const rp_transport *t, const char *what)
{
    if (t->failed) {
        return rp_fail(RP_E_ARGUMENT, "%s: the last step failed: retry it, skip its input, or seek",
                       what);
    }
    return RP_OK;
}

static rp_status command_play(rp_transport *t)
{
    rp_status status = refuse_after_failure(t, "play");
    if (status == RP_OK) {
        set_mode(t, RP_MODE_PLAY);
    }
    return status;
}

static rp_status command_toggle(rp_transport *t)
{
    if (t->mode == RP_MODE_PAUSE || t->failed) {
        return command_play(t);
    }
    set_mode(t, RP_MODE_PAUSE);
    return RP_OK;
}

static rp_status command_step(rp_transport *t, uint64_t count)
{
    rp_status status = refuse_after_failure(t, "step");
    if (status != RP_OK) {
        return status;
    }
    uint64_t waiting = t->mode == RP_MODE_PAUSE ? t->steps_wanted : 0;
    set_mode(t, RP_MODE_PAUSE);
    if (__builtin_add_overflow(waiting, count ? count : 1, &t->steps_wanted)) {
        t->steps_wanted = UINT64_MAX;
    }
    return RP_OK;
}

static rp_status command_back(rp_transport *t, uint64_t count)
{
    uint64_t from = target(t), low = lower_bound(t);
    count = count ? count : 1;
    if (from <= low) {
        return rp_fail(RP_E_RANGE,
                       "back: frame %llu is the first that is %s: go on from here instead",
                       (unsigned long long)low, t->looping ? "in the loop" : "kept");
    }
    uint64_t to = from - low > count ? from - count : low;
    end_failure(t);
    set_mode(t, RP_MODE_PAUSE);
    want_seek(t, t->looping && to > t->loop_to ? t->loop_to : to);
    return RP_OK;
}

static void command_rewind(rp_transport *t)
{
    if (t->mode != RP_MODE_REWIND) {
        t->mode_before_rewind = t->mode;
    }
    end_failure(t);
    set_mode(t, RP_MODE_REWIND);
}

static void command_rewind_end(rp_transport *t)
{
    if (t->mode == RP_MODE_REWIND) {
        set_mode(t, t->mode_before_rewind);
    }
}

static rp_status command_speed(rp_transport *t, uint64_t ticks, uint64_t frames)
{
    ticks = ticks ? ticks : 1;
    frames = frames ? frames : 1;
    if (ticks > SPEED_MAX || frames > SPEED_MAX || (ticks > 1 && frames > 1)) {
        return rp_fail(RP_E_ARGUMENT,
                       "speed: %llu ticks a frame and %llu frames a tick: one of them is 1 and the "
                       "other at most %d",
                       (unsigned long long)ticks, (unsigned long long)frames, SPEED_MAX);
    }
    t->ticks_a_frame = (uint32_t)ticks;
    t->frames_a_tick = (uint32_t)frames;
    t->tick = t->frames_left = 0;
    return RP_OK;
}

static rp_status check_kept(const rp_transport *t, const char *what, uint64_t frame)
{
    if (!is_kept(t, frame)) {
        return rp_fail(RP_E_RANGE, "%s: frame %llu is not kept: choose one of %llu to %llu", what,
                       (unsigned long long)frame, (unsigned long long)t->oldest,
                       (unsigned long long)t->newest);
    }
    return RP_OK;
}

static rp_status command_seek(rp_transport *t, uint64_t frame)
{
    rp_status status = check_kept(t, "seek", frame);
    if (status != RP_OK) {
        return status;
    }
    if (t->looping && (frame < t->loop_from || frame > t->loop_to)) {
        end_loop(t);
    }
    end_failure(t);
    set_mode(t, RP_MODE_PAUSE);
    want_seek(t, frame);
    return RP_OK;
}

static rp_status command_loop(rp_transport *t, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return rp_fail(RP_E_ARGUMENT, "loop: from %llu to %llu holds no frame: let it end later",
                       (unsigned long long)from, (unsigned long long)to);
    }
    rp_status status = check_kept(t, "loop", from);
    status = status == RP_OK ? check_kept(t, "loop", to) : status;
    if (status != RP_OK) {
        return status;
    }
    t->looping = true;
    t->loop_from = from;
    t->loop_to = to;
    t->loop_pass = 1;
    t->has_mark = false;
    end_failure(t);
    set_mode(t, RP_MODE_PLAY);
    want_seek(t, from);
    return RP_OK;
}

static rp_status command_mark(rp_transport *t)
{
    uint64_t here = target(t);
    if (t->looping) {
        end_loop(t);
        return RP_OK;
    }
    if (!t->has_mark) {
        t->has_mark = true;
        t->mark = here;
        return RP_OK;
    }
    if (here == t->mark) {
        return rp_fail(RP_E_ARGUMENT, "mark: in and out are both frame %llu: run on and mark again",
                       (unsigned long long)here);
    }
    return here < t->mark ? command_loop(t, here, t->mark) : command_loop(t, t->mark, here);
}

static rp_status command_take_over(rp_transport *t)
{
    if (!t->looping) {
        return rp_fail(RP_E_ARGUMENT, "take over: no loop runs: the input is live already");
    }
    end_loop(t);
    return RP_OK;
}

/* Does the failed action again, whichever it was. */
static void try_again(rp_transport *t)
{
    t->failed = false;
    if (t->last.kind == RP_ACTION_SEEK) {
        if (is_kept(t, t->last.frame)) {
            want_seek(t, t->last.frame);
        }
    } else if (t->last.kind != RP_ACTION_NONE && t->mode == RP_MODE_PAUSE) {
        t->steps_wanted += t->steps_wanted != UINT64_MAX;
    }
    t->last = (rp_action){.kind = RP_ACTION_NONE};
    t->frames_left = t->tick = 0;
}

static rp_status command_retry(rp_transport *t, bool skip)
{
    if (!t->failed) {
        return rp_fail(RP_E_ARGUMENT, "%s: nothing failed: play or step instead",
                       skip ? "skip" : "retry");
    }
    t->skip_input = skip;
    try_again(t);
    return RP_OK;
}

rp_status rp_transport_command(rp_transport *transport, rp_command command)
{
    switch (command.kind) {
    case RP_COMMAND_NONE:
        return RP_OK;
    case RP_COMMAND_PLAY:
        return command_play(transport);
    case RP_COMMAND_PAUSE:
        set_mode(transport, RP_MODE_PAUSE);
        return RP_OK;
    case RP_COMMAND_TOGGLE:
        return command_toggle(transport);
    case RP_COMMAND_STEP:
        return command_step(transport, command.a);
    case RP_COMMAND_BACK:
        return command_back(transport, command.a);
    case RP_COMMAND_REWIND:
        command_rewind(transport);
        return RP_OK;
    case RP_COMMAND_REWIND_END:
        command_rewind_end(transport);
        return RP_OK;
    case RP_COMMAND_SPEED:
        return command_speed(transport, command.a, command.b);
    case RP_COMMAND_SEEK:
        return command_seek(transport, command.a);
    case RP_COMMAND_MARK:
        return command_mark(transport);
    case RP_COMMAND_LOOP:
        return command_loop(transport, command.a, command.b);
    case RP_COMMAND_UNLOOP:
        end_loop(transport);
        return RP_OK;
    case RP_COMMAND_TAKE_OVER:
        return command_take_over(transport);
    case RP_COMMAND_RETRY:
        return command_retry(transport, false);
    case RP_COMMAND_SKIP:
        return command_retry(transport, true);
    }
    return rp_fail(RP_E_ARGUMENT, "command %d: unknown: see rp_command_kind", (int)command.kind);
}

/* ---- ticks ---- */

/* Whether a frame is due; counts the tick unless it is one that goes on. */
static bool frame_is_due(rp_transport *t)
{
    if (t->mode == RP_MODE_PAUSE) {
        if (t->steps_wanted == 0) {
            t->frames_left = 0;
            return false;
        }
    } else if (t->frames_left == 0 && ++t->tick < t->ticks_a_frame) {
        return false;
    }
    if (t->frames_left == 0) {
        t->tick = 0;
        t->frames_left = t->frames_a_tick;
    }
    return true;
}

static rp_action seek_to(uint64_t frame)
{
    return (rp_action){.kind = RP_ACTION_SEEK, .frame = frame};
}

/* A seek into the loop that failed leaves the world where it was. */
static bool is_outside_loop(const rp_transport *t)
{
    return t->looping && (t->position < t->loop_from || t->position > t->loop_to);
}

static rp_action rewind_frames(rp_transport *t)
{
    uint64_t low = lower_bound(t), count = t->frames_left;
    t->frames_left = 0;
    if (is_outside_loop(t)) {
        return seek_to(t->loop_from);
    }
    if (t->position <= low) {
        return (rp_action){.kind = RP_ACTION_NONE};
    }
    return seek_to(t->position - low > count ? t->position - count : low);
}

static void count_frame(rp_transport *t)
{
    t->frames_left--;
    if (t->mode == RP_MODE_PAUSE && --t->steps_wanted == 0) {
        t->frames_left = 0;
    }
}

static rp_action forward(rp_transport *t)
{
    uint64_t next = t->position + 1;
    if (is_outside_loop(t) || (t->looping && t->position == t->loop_to)) {
        t->loop_pass += t->position == t->loop_to;
        return seek_to(t->loop_from);
    }
    count_frame(t);
    if (t->looping) {
        return (rp_action){.kind = RP_ACTION_STEP_LOGGED, .frame = next};
    }
    if (t->mode == RP_MODE_PAUSE && t->position < t->newest) {
        return seek_to(next);
    }
    return (rp_action){.kind = RP_ACTION_STEP_LIVE, .frame = next};
}

rp_action rp_transport_tick(rp_transport *transport)
{
    rp_action action = {.kind = RP_ACTION_NONE};
    if (transport->has_seek) {
        action = seek_to(transport->seek_wanted);
        transport->has_seek = false;
        transport->frames_left = 0;
    } else if (!transport->failed && frame_is_due(transport)) {
        action = transport->mode == RP_MODE_REWIND ? rewind_frames(transport) : forward(transport);
    }
    if (action.kind != RP_ACTION_NONE) {
        transport->last = action;
    }
    return action;
}

bool rp_transport_more(const rp_transport *transport)
{
    return transport->frames_left != 0 && !transport->failed;
}

/* ---- failures and builds ---- */

void rp_transport_failed(rp_transport *transport)
{
    transport->failed = true;
    transport->has_seek = false;
    transport->frames_left = transport->tick = 0;
}

void rp_transport_rebuilt(rp_transport *transport)
{
    if (transport->failed) {
        transport->skip_input = false;
        try_again(transport);
    }
    if (transport->looping) {
        transport->steps_wanted = 0;
        want_seek(transport, transport->loop_from);
    }
}

const char *rp_transport_text(const rp_transport *transport)
{
    if (transport->failed) {
        return "failed";
    }
    if (transport->mode == RP_MODE_REWIND) {
        return "rewind";
    }
    if (transport->mode == RP_MODE_PAUSE) {
        return "pause";
    }
    return transport->looping ? "loop" : "play";
}
