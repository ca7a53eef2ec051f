/* Doing what the transport says. See run.h. */
#include "run.h"

#include <base/error.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { KILLED_MOST = 3, DEBUGGER_WAIT_S = 5 };

void run_at(run *r)
{
    session *s = &r->session;
    rp_transport_at(&r->transport, session_frame(s), session_oldest(s), session_newest(s));
}

static bool unattended(const run *r)
{
    return r->stage_class == &stage_none_class;
}

/* Somebody ended the runner from outside, or the system did for want of memory: nothing is wrong
 * with the program, so it goes on at once, unless that happens again and again at the same frame.
 */
static bool killed_from_outside(run *r, uint64_t frame)
{
    if (r->session.failure.kind != LINK_CRASH_NONE || !session_has_world(&r->session)) {
        return false;
    }
    r->killed_count = r->killed_frame == frame ? r->killed_count + 1 : 1;
    r->killed_frame = frame;
    return r->killed_count <= KILLED_MOST;
}

static void failure_print(const run *r)
{
    const session_failure *f = &r->session.failure;
    const char *head =
        f->stands ? "reprise: memory was found broken: " : "reprise: the program failed: ";
    for (int i = 0; i < (f->found ? f->report_line : f->line_count); i++) {
        fprintf(stderr, "%s%s\n", i ? "  " : head, f->lines[i]);
    }
    if (f->found) { /* the whole of it, its lines uncut; the headline was said */
        const char *rest = strchr(f->finding.text, '\n');
        fprintf(stderr, "%s\n", rest ? rest + 1 : "");
    }
}

/* The frame stands and the deck is paused behind it; playing on is the choice to go on. Without a
 * person all that is found is told, and the exit code says that there was something. */
void run_finding_take(run *r)
{
    if (!session_finding_take(&r->session)) {
        return;
    }
    run_mark(r, 'c', session_frame(&r->session));
    r->shown = false;
    if (r->stage_class != &stage_term_class) {
        failure_print(r);
    }
    if (unattended(r) && r->options.frames) {
        r->exit_code = RUN_EXIT_PROGRAM;
        r->session.failure.active = false;
    } else {
        rp_transport_command(&r->transport, (rp_command){.kind = RP_COMMAND_PAUSE});
    }
}

void run_step_failed(run *r, rp_status status)
{
    uint64_t frame = r->session.failure.frame;
    bool failure = status == RP_E_DIED || status == RP_E_TIMEOUT;
    run_mark(r, 'c', frame);
    r->shown = false;
    if (failure && killed_from_outside(r, frame)) {
        run_toast(r, "the runner was ended: frame %llu is restored",
                  (unsigned long long)session_frame(&r->session));
        r->session.failure.active = false; /* first: the status may be asked for meanwhile */
        session_tend(&r->session);
        run_at(r);
        return;
    }
    rp_transport_failed(&r->transport);
    if (failure) {
        run_crash_take(r);
    }
    if (!failure) { /* not the program's fault: the budget, the disk, a type that changed */
        run_notice(r, true, rp_error_last()->text);
    }
    if (r->stage_class != &stage_term_class) {
        if (failure) {
            failure_print(r);
        } else {
            fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
        }
    }
    if (unattended(r) && r->options.frames) {
        r->exit_code = RUN_EXIT_PROGRAM;
        r->quit = true;
    }
}

static void hash_print(run *r)
{
    uint64_t hash;
    if (r->options.hashes &&
        rp_log_hash(r->session.log, rp_log_position(r->session.log), &hash) == RP_OK) {
        printf("%llu %016llx\n", (unsigned long long)session_frame(&r->session),
               (unsigned long long)hash);
    }
}

rp_status run_script_begin(run *r)
{
    r->script_frame = 0;
    return rp_input_script_init(&r->script, r->options.input, (char *)r->script_text.data,
                                r->script_text.size_bytes);
}

/* After a seek back, or in a new world, the script begins again. */
static void script_take(run *r, uint64_t frame, rp_input *input)
{
    if (frame < r->script_frame) {
        run_script_begin(r);
    }
    r->script_frame = frame;
    rp_input_script_get(&r->script, frame, input);
}

static void input_take(run *r, uint64_t frame, rp_input *input)
{
    if (r->transport.skip_input) {
        memset(input, 0, sizeof *input);
    } else if (r->has_pending) {
        *input = r->pending;
    } else if (r->scripted) {
        script_take(r, frame, input);
    } else {
        *input = r->keys.input;
    }
}

static void sound_play(run *r)
{
    uint32_t frames, channels, rate_hz;
    const float *samples = session_sound(&r->session, &frames, &channels, &rate_hz);
    bool normal = r->transport.ticks_a_frame <= 1 && r->transport.frames_a_tick <= 1;
    if (samples && frames && normal) {
        r->stage_class->sound(r->stage, samples, frames, channels, rate_hz);
    }
}

static void sound_stop(run *r)
{
    if (r->stage) {
        r->stage_class->sound(r->stage, NULL, 0, 2, 48000);
    }
}

static void diverged_say(run *r)
{
    if (r->session.diverged_frame && r->transport.loop_pass > 1) {
        run_toast(r, "%s", r->session.diverged_text);
        run_mark(r, 'd', r->session.diverged_frame);
    }
}

enum { DIFFERENCES_TOLD = 10 };

/* A synctest: frames of a loop are compared by the loop. */
static rp_status twice(run *r, const rp_input *input, bool shown)
{
    bool differs = false;
    if (!r->options.synctest || r->transport.looping) {
        return RP_OK;
    }
    rp_status status = session_again(&r->session, input, shown, &differs);
    if (differs) {
        run_mark(r, 'd', session_frame(&r->session));
        if (r->session.twice_differed <= DIFFERENCES_TOLD) {
            run_notice(r, true, r->session.twice_text);
        }
        if (r->options.frames && !r->exit_code) {
            r->exit_code = RUN_EXIT_DIFFERS;
        }
    }
    return status;
}

bool run_debugger_awaited(run *r)
{
    pid_t *tracer = &r->session.start.tracer, runner = r->session.live.pid;
    if (!*tracer || r->seen_by_debugger == runner) {
        return false;
    }
    uint64_t now_ns = rp_os_monotonic_ns();
    if (!r->await_until_ns) {
        r->await_until_ns = now_ns + DEBUGGER_WAIT_S * UINT64_C(1000000000);
    }
    bool gone = kill(*tracer, 0) != 0 && errno == ESRCH;
    if (!gone && !process_traced(&r->session.live) && now_ns < r->await_until_ns) {
        return true;
    }
    *tracer = gone ? 0 : *tracer;
    r->seen_by_debugger = runner;
    r->await_until_ns = 0;
    return false;
}

void run_hold(run *r)
{
    const rp_transport *t = &r->transport;
    bool done = t->failed || (t->mode == RP_MODE_PAUSE && !t->steps_wanted && !t->has_seek);
    if (!r->hold_wanted || !done || !r->session.loaded) {
        return;
    }
    r->hold_wanted = false;
    rp_status status = session_hold(&r->session);
    if (status == RP_E_DIED) {
        session_tend(&r->session);
    }
}

static void step(run *r, const rp_input *input, bool again)
{
    uint64_t diverged = r->session.diverged_frame;
    bool shown = !unattended(r);
    r->pending = *input;
    rp_status status = session_step(&r->session, input, again, shown);
    if (!status) {
        status = twice(r, input, shown);
    }
    if (status == RP_E_CLOSED) { /* a debugger held it and wants to be elsewhere */
        r->shown = false;
        run_at(r);
        return;
    }
    if (status) {
        r->has_pending = !again;
        run_step_failed(r, status);
        return;
    }
    r->has_pending = false;
    r->shown = false;
    stage_keys_frame_done(&r->keys);
    run_at(r);
    run_reload_say(r);
    hash_print(r);
    sound_play(r);
    run_finding_take(r);
    if (r->session.diverged_frame != diverged) {
        diverged_say(r);
    }
    if (r->session.check_difference) {
        run_check_differs(r, r->session.check_difference);
    }
}

static void step_live(run *r)
{
    rp_input input;
    input_take(r, session_frame(&r->session) + 1, &input);
    step(r, &input, false);
}

static void step_logged(run *r, uint64_t frame)
{
    rp_input input;
    if (r->transport.skip_input || rp_loop_input(&r->session.loop, frame, &input)) {
        memset(&input, 0, sizeof input);
    }
    step(r, &input, r->transport.loop_pass > 1);
}

static void seek(run *r, uint64_t frame)
{
    rp_status status = session_seek(&r->session, frame);
    r->has_pending = false;
    r->shown = false;
    if (status) {
        run_notice(r, true, rp_error_last()->text);
    }
    bool other = !status && session_frame(&r->session) != frame;
    if (other && !r->thinned_said) { /* once for a stretch of them, not at every step through it */
        char text[96];
        snprintf(text, sizeof text, "frame %llu was thinned out: this is %llu, the nearest kept",
                 (unsigned long long)frame, (unsigned long long)session_frame(&r->session));
        run_notice(r, false, text);
    }
    r->thinned_said = other;
    run_at(r);
}

static void show_after_seek(run *r)
{
    sound_stop(r);
    rp_status status = session_show(&r->session);
    if (status == RP_E_DIED || status == RP_E_TIMEOUT) {
        run_step_failed(r, status);
    }
}

/* The loop's inputs are kept for as long as the transport loops. */
static void loop_follow(run *r)
{
    session *s = &r->session;
    const rp_transport *t = &r->transport;
    if (t->looping &&
        (!rp_loop_is_set(&s->loop) || s->loop.from != t->loop_from || s->loop.to != t->loop_to)) {
        if (session_loop(s, t->loop_from, t->loop_to)) {
            run_notice(r, true, rp_error_last()->text);
            rp_transport_command(&r->transport, (rp_command){.kind = RP_COMMAND_UNLOOP});
        }
    } else if (!t->looping && rp_loop_is_set(&s->loop)) {
        session_unloop(s);
    }
}

void run_tick(run *r)
{
    bool sought = false;
    do {
        rp_action action = rp_transport_tick(&r->transport);
        switch (action.kind) {
        case RP_ACTION_NONE:
            if (r->transport.mode == RP_MODE_PAUSE) {
                stage_keys_frame_done(&r->keys);
            }
            break;
        case RP_ACTION_STEP_LIVE:
            step_live(r);
            sought = false;
            break;
        case RP_ACTION_STEP_LOGGED:
            step_logged(r, action.frame);
            sought = false;
            break;
        case RP_ACTION_SEEK:
            seek(r, action.frame);
            sought = true;
            break;
        }
        if (action.kind == RP_ACTION_NONE) {
            break;
        }
    } while (!r->quit && rp_transport_more(&r->transport));
    if (sought && !unattended(r)) {
        show_after_seek(r);
    }
}

void run_command(run *r, rp_command command)
{
    bool failed = r->transport.failed;
    rp_status status = rp_transport_command(&r->transport, command);
    if (status) {
        run_toast(r, "%s", rp_error_last()->text);
        return;
    }
    loop_follow(r);
    if (r->session.failure.stands && command.kind != RP_COMMAND_PAUSE) {
        r->session.failure.active = false;
    }
    if (failed && !r->transport.failed) {
        r->session.failure.active = false;
        session_tend(&r->session);
        r->notice_count = 0;
    }
    r->shown = false;
}

bool run_finished(const run *r)
{
    return r->options.frames && session_frame(&r->session) >= r->options.frames;
}
