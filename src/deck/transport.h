/* The transport: what to do next. Play, pause, step, rewind, seek, loop: a state machine without
 * effects, driven by commands and by ticks of the frame clock. The host uses it to drive a runner;
 * a program that embeds a deck may use it in the same way.
 *
 *     command ──►┌───────────┐
 *     tick ─────►│ transport │──► action: nothing | step live | step logged | seek | show
 *     report ───►└───────────┘
 *
 * What a tick does, the first line that fits:
 *
 *   a seek is wanted           SEEK there; the tick ends
 *   failed                     nothing
 *   PAUSE, no steps wanted     nothing
 *   looping, outside of it     SEEK from (after a seek into the loop that failed)
 *   REWIND                     SEEK back by frames_a_tick; at `oldest` or the loop's start nothing
 *   looping, at its end        SEEK from; the pass counts up; the tick goes on
 *   looping                    STEP_LOGGED position + 1
 *   PAUSE, position < newest   SEEK position + 1: the kept frame is shown, none is made
 *   otherwise                  STEP_LIVE: behind `newest` its commit drops the frames that follow
 *
 * What a command does, and when it is refused (a refused one changes nothing):
 *
 *   PLAY, TOGGLE  refused after a failure. TOGGLE pauses what plays or rewinds, and back.
 *   PAUSE         also ends a rewind; drops steps that are still to make.
 *   STEP          refused after a failure. Adds up in pause; not slowed down by SPEED.
 *   BACK          a seek; a loop bounds it at its start. Refused at the oldest frame.
 *   REWIND        at the oldest frame it waits. Ends a failure. REWIND_END goes on in the mode
 *                 before: play is live from there. Both are harmless twice.
 *   SEEK          refused outside the kept frames. Ends a failure, and a loop without the frame.
 *   MARK          first: in. Second: the loop between there and here, whichever is earlier;
 *                 refused on the same frame. In a loop: ends it. Forgotten with its frame.
 *   LOOP          refused outside the kept frames. Plays; ends a failure; replaces a loop.
 *   UNLOOP        goes on live from where it is.
 *   TAKE_OVER     the same; refused without a loop.
 *   RETRY, SKIP   refused where nothing failed.
 *   SPEED         a, b in 0 … 64, one of them at most 1.
 *
 * A loop also ends when its first frame is evicted. `newest` may be less than the loop's end: from
 * its second pass on the frames that follow the position are made anew.
 *
 * Layer: deck.  Threads: none.  Tests: tests/deck/test_transport.c
 */
#ifndef RP_DECK_TRANSPORT_H
#define RP_DECK_TRANSPORT_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum rp_mode { RP_MODE_PLAY, RP_MODE_PAUSE, RP_MODE_REWIND } rp_mode;

typedef enum rp_command_kind {
    RP_COMMAND_NONE,
    RP_COMMAND_PLAY,
    RP_COMMAND_PAUSE,
    RP_COMMAND_TOGGLE, /* play <-> pause */
    RP_COMMAND_STEP,   /* pause, then `a` frames on (0: 1) */
    RP_COMMAND_BACK,   /* pause, then `a` frames back (0: 1) */
    RP_COMMAND_REWIND, /* run backwards until RP_COMMAND_REWIND_END; then go on as before */
    RP_COMMAND_REWIND_END,
    RP_COMMAND_SPEED, /* a frame each `a` ticks: 1 full speed, 2 half, … 64; or b a tick */
    RP_COMMAND_SEEK,  /* to frame `a`; pauses */
    RP_COMMAND_MARK,  /* first: marks in; second: marks out and loops; third: ends the loop */
    RP_COMMAND_LOOP,  /* frames (a, b] */
    RP_COMMAND_UNLOOP,
    RP_COMMAND_TAKE_OVER, /* in a loop: live input from here on, the loop ends */
    RP_COMMAND_RETRY,     /* after a failure: the same input again */
    RP_COMMAND_SKIP,      /* after a failure: go on without that input (an empty one) */
} rp_command_kind;

typedef struct rp_command {
    rp_command_kind kind;
    uint64_t a, b;
} rp_command;

typedef enum rp_action_kind {
    RP_ACTION_NONE,
    RP_ACTION_STEP_LIVE,   /* make frame position + 1 with input from the person */
    RP_ACTION_STEP_LOGGED, /* make frame `frame` with the input that the loop holds for it */
    RP_ACTION_SEEK,        /* restore `frame` and show it */
} rp_action_kind;

typedef struct rp_action {
    rp_action_kind kind;
    uint64_t frame;
} rp_action;

typedef struct rp_transport {
    rp_mode mode, mode_before_rewind;
    uint32_t ticks_a_frame, frames_a_tick, tick;
    uint32_t frames_left;              /* that this tick may still make */
    uint64_t position, oldest, newest; /* frames; kept up by rp_transport_at */
    uint64_t steps_wanted;             /* single steps still to make in pause */
    uint64_t seek_wanted;
    bool has_seek;
    bool has_mark;
    uint64_t mark;
    bool looping;
    uint64_t loop_from, loop_to, loop_pass; /* (from, to]; pass counts from 1 */
    bool failed;     /* the last step failed: nothing moves until retry, skip,
                        seek or a new build */
    bool skip_input; /* the next step gets an empty input, live or logged */
    rp_action last;  /* not yet reported: what a retry does again */
} rp_transport;

void rp_transport_init(rp_transport *transport);
/* Where the world is, and which frames are kept. After each step, seek, restore and eviction. */
void rp_transport_at(rp_transport *transport, uint64_t position, uint64_t oldest, uint64_t newest);
/* RP_E_RANGE / RP_E_ARGUMENT with a text where the command cannot be obeyed: nothing changes then.
 */
rp_status rp_transport_command(rp_transport *transport, rp_command command);
/* Called once a tick of the frame clock, then again while it returns an action and
 * rp_transport_more says that this tick wants more frames (frames_a_tick > 1). */
rp_action rp_transport_tick(rp_transport *transport);
/* Whether this tick goes on once its last action is done and reported. */
bool rp_transport_more(const rp_transport *transport);
/* The action failed (crash, hang): nothing moves, at the last committed frame. The mode stays what
 * it was, for when the failure is over. */
void rp_transport_failed(rp_transport *transport);
/* A new build was loaded: a failure is over, the same input is tried again; a loop starts its pass
 * again (the next action is a seek to its start). */
void rp_transport_rebuilt(rp_transport *transport);
/* "play", "pause", "rewind", "loop", "failed". Static. */
const char *rp_transport_text(const rp_transport *transport);

#endif
