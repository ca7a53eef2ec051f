/* The transport against a small world that obeys it: single rules, then random commands and ticks.
 */
#include "deck/transport.h"
#include "support/test.h"

#include <string.h>

/* ---- a world that does what the transport says ---- */

typedef struct world {
    rp_transport transport;
    uint64_t position, oldest, newest;
} world;

static world world_at(uint64_t position, uint64_t oldest, uint64_t newest)
{
    world w = {.position = position, .oldest = oldest, .newest = newest};
    rp_transport_init(&w.transport);
    rp_transport_at(&w.transport, position, oldest, newest);
    return w;
}

static void report(world *w)
{
    rp_transport_at(&w->transport, w->position, w->oldest, w->newest);
}

static void obey(world *w, rp_action action)
{
    if (action.kind == RP_ACTION_NONE) {
        return;
    }
    if (action.kind == RP_ACTION_SEEK) {
        ck_assert_uint_ge(action.frame, w->oldest);
        ck_assert_uint_le(action.frame, w->newest);
        w->position = action.frame;
    } else {
        ck_assert_uint_eq(action.frame, w->position + 1);
        w->position = w->newest = action.frame;
    }
    report(w);
}

/* One tick as a host runs it; the last action. */
static rp_action tick(world *w)
{
    rp_action last = {.kind = RP_ACTION_NONE};
    for (int i = 0;; i++) {
        ck_assert_int_lt(i, 200);
        rp_action action = rp_transport_tick(&w->transport);
        if (action.kind == RP_ACTION_NONE) {
            return last;
        }
        last = action;
        obey(w, action);
        if (!rp_transport_more(&w->transport)) {
            return last;
        }
    }
}

static rp_status command(world *w, rp_command_kind kind, uint64_t a, uint64_t b)
{
    return rp_transport_command(&w->transport, (rp_command){kind, a, b});
}

#define ck_action(action, expected_kind, expected_frame)        \
    do {                                                        \
        rp_action ck_action_got = (action);                     \
        ck_assert_int_eq(ck_action_got.kind, expected_kind);    \
        ck_assert_uint_eq(ck_action_got.frame, expected_frame); \
    } while (0)

/* ---- playing, pausing, stepping ---- */

TEST(a_new_transport_plays_live)
{
    world w = world_at(0, 0, 0);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 1);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 2);
    ck_assert_str_eq(rp_transport_text(&w.transport), "play");
}

TEST(pause_stops_and_a_step_makes_one_frame)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_PAUSE, 0, 0));
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_ok(command(&w, RP_COMMAND_STEP, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 6);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_assert_str_eq(rp_transport_text(&w.transport), "pause");
}

TEST(steps_add_up_in_pause_and_pause_drops_them)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_STEP, 2, 0));
    ck_ok(command(&w, RP_COMMAND_STEP, 1, 0));
    for (int i = 0; i < 5; i++) {
        tick(&w);
    }
    ck_assert_uint_eq(w.position, 8);
    ck_ok(command(&w, RP_COMMAND_STEP, UINT64_MAX, 0));
    ck_ok(command(&w, RP_COMMAND_STEP, UINT64_MAX, 0));
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_PAUSE, 0, 0));
    tick(&w);
    ck_assert_uint_eq(w.position, 9);
}

TEST(a_step_behind_the_newest_frame_shows_the_kept_one)
{
    world w = world_at(9, 0, 9);
    ck_ok(command(&w, RP_COMMAND_BACK, 2, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 7);
    ck_ok(command(&w, RP_COMMAND_STEP, 3, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 8);
    ck_action(tick(&w), RP_ACTION_SEEK, 9);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 10);
}

TEST(play_behind_the_newest_frame_goes_on_live_and_drops_the_rest)
{
    world w = world_at(9, 0, 9);
    ck_ok(command(&w, RP_COMMAND_SEEK, 4, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 4);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_ok(command(&w, RP_COMMAND_TOGGLE, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 5);
    ck_assert_uint_eq(w.newest, 5);
}

TEST(back_stops_at_the_oldest_frame_and_two_add_up_before_a_tick)
{
    world w = world_at(9, 3, 9);
    ck_ok(command(&w, RP_COMMAND_BACK, 0, 0));
    ck_ok(command(&w, RP_COMMAND_BACK, 2, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 6);
    ck_ok(command(&w, RP_COMMAND_BACK, UINT64_MAX, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 3);
    ck_assert_int_eq(command(&w, RP_COMMAND_BACK, 1, 0), RP_E_RANGE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "frame 3"));
}

/* ---- speed ---- */

TEST(half_speed_makes_a_frame_each_second_tick)
{
    world w = world_at(0, 0, 0);
    ck_ok(command(&w, RP_COMMAND_SPEED, 2, 0));
    for (int i = 0; i < 10; i++) {
        tick(&w);
    }
    ck_assert_uint_eq(w.position, 5);
}

TEST(four_frames_a_tick_are_made_by_one_tick)
{
    world w = world_at(0, 0, 0);
    ck_ok(command(&w, RP_COMMAND_SPEED, 1, 4));
    tick(&w);
    tick(&w);
    ck_assert_uint_eq(w.position, 8);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 4);
}

TEST(slow_motion_does_not_delay_a_single_step)
{
    world w = world_at(0, 0, 0);
    ck_ok(command(&w, RP_COMMAND_SPEED, 64, 0));
    ck_ok(command(&w, RP_COMMAND_STEP, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 1);
}

TEST(a_speed_out_of_range_is_refused_and_changes_nothing)
{
    world w = world_at(0, 0, 0);
    ck_assert_int_eq(command(&w, RP_COMMAND_SPEED, 65, 0), RP_E_ARGUMENT);
    ck_assert_int_eq(command(&w, RP_COMMAND_SPEED, 2, 2), RP_E_ARGUMENT);
    ck_assert_int_eq(command(&w, RP_COMMAND_SPEED, UINT64_MAX, 0), RP_E_ARGUMENT);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 1);
}

/* ---- rewinding ---- */

TEST(rewinding_waits_at_the_oldest_frame_and_goes_on_live_when_let_go)
{
    world w = world_at(5, 3, 5);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    ck_assert_str_eq(rp_transport_text(&w.transport), "rewind");
    ck_action(tick(&w), RP_ACTION_SEEK, 4);
    ck_action(tick(&w), RP_ACTION_SEEK, 3);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    ck_ok(command(&w, RP_COMMAND_REWIND_END, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 4);
}

TEST(a_rewind_out_of_pause_ends_in_pause)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_PAUSE, 0, 0));
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_REWIND_END, 0, 0));
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_assert_uint_eq(w.position, 4);
}

TEST(the_end_of_a_rewind_that_a_seek_replaced_changes_nothing)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    ck_ok(command(&w, RP_COMMAND_SEEK, 2, 0));
    ck_ok(command(&w, RP_COMMAND_REWIND_END, 0, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 2);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
}

/* ---- loops ---- */

TEST(a_loop_steps_logged_frames_and_wraps_within_one_tick)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 12));
    ck_action(tick(&w), RP_ACTION_SEEK, 10);
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 11);
    ck_assert_uint_eq(w.newest, 11);
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 12);
    ck_assert_uint_eq(w.transport.loop_pass, 1);
    ck_action(rp_transport_tick(&w.transport), RP_ACTION_SEEK, 10);
    obey(&w, (rp_action){RP_ACTION_SEEK, 10});
    ck_assert(rp_transport_more(&w.transport));
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 11);
    ck_assert_uint_eq(w.transport.loop_pass, 2);
    ck_assert_str_eq(rp_transport_text(&w.transport), "loop");
}

TEST(marks_loop_between_them_whichever_came_first)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_MARK, 0, 0));
    ck_assert_int_eq(command(&w, RP_COMMAND_MARK, 0, 0), RP_E_ARGUMENT);
    ck_assert(w.transport.has_mark);
    ck_ok(command(&w, RP_COMMAND_SEEK, 15, 0));
    ck_ok(command(&w, RP_COMMAND_MARK, 0, 0));
    ck_assert(w.transport.looping && !w.transport.has_mark);
    ck_assert_uint_eq(w.transport.loop_from, 15);
    ck_assert_uint_eq(w.transport.loop_to, 20);
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_MARK, 0, 0));
    ck_assert(!w.transport.looping);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 16);
}

TEST(a_mark_is_forgotten_with_its_frame)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_MARK, 0, 0));
    ck_ok(command(&w, RP_COMMAND_SEEK, 10, 0));
    ck_ok(command(&w, RP_COMMAND_PLAY, 0, 0));
    tick(&w);
    tick(&w);
    ck_assert(!w.transport.has_mark);
    ck_ok(command(&w, RP_COMMAND_MARK, 0, 0));
    w.oldest = w.position;
    tick(&w);
    ck_assert(w.transport.has_mark);
    w.oldest = w.position;
    report(&w);
    ck_assert(!w.transport.has_mark);
}

TEST(a_seek_inside_keeps_the_loop_and_one_outside_ends_it)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 15));
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_SEEK, 12, 0));
    tick(&w);
    ck_assert(w.transport.looping);
    ck_ok(command(&w, RP_COMMAND_PLAY, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 13);
    ck_assert_int_eq(command(&w, RP_COMMAND_SEEK, 14, 0), RP_E_RANGE);
    ck_assert(w.transport.looping);
    ck_ok(command(&w, RP_COMMAND_SEEK, 9, 0));
    ck_assert(!w.transport.looping);
    ck_assert_uint_eq(w.transport.loop_to, 0);
}

TEST(rewind_and_back_stop_at_a_loops_start)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 15));
    tick(&w);
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    tick(&w);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
    ck_assert_uint_eq(w.position, 10);
    ck_assert_int_eq(command(&w, RP_COMMAND_BACK, 1, 0), RP_E_RANGE);
    ck_ok(command(&w, RP_COMMAND_REWIND_END, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 11);
}

TEST(a_step_at_a_loops_end_makes_its_first_frame_again)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 12));
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_STEP, 2, 0));
    tick(&w);
    tick(&w);
    ck_assert_uint_eq(w.position, 12);
    ck_ok(command(&w, RP_COMMAND_STEP, 1, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 11);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
}

TEST(taking_over_ends_the_loop_with_live_input)
{
    world w = world_at(20, 0, 20);
    ck_assert_int_eq(command(&w, RP_COMMAND_TAKE_OVER, 0, 0), RP_E_ARGUMENT);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 15));
    tick(&w);
    tick(&w);
    ck_ok(command(&w, RP_COMMAND_TAKE_OVER, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 12);
}

TEST(a_loop_outside_the_kept_frames_is_refused)
{
    world w = world_at(20, 5, 20);
    ck_assert_int_eq(command(&w, RP_COMMAND_LOOP, 4, 10), RP_E_RANGE);
    ck_assert_int_eq(command(&w, RP_COMMAND_LOOP, 10, 21), RP_E_RANGE);
    ck_assert_int_eq(command(&w, RP_COMMAND_LOOP, 10, 10), RP_E_ARGUMENT);
    ck_assert(!w.transport.looping);
}

TEST(a_loop_ends_when_its_start_is_evicted)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 15));
    tick(&w);
    tick(&w);
    w.oldest = 11;
    report(&w);
    ck_assert(!w.transport.looping);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 12);
}

/* ---- failures and builds ---- */

static void fail_next_step(world *w)
{
    ck_assert_int_ne(rp_transport_tick(&w->transport).kind, RP_ACTION_NONE);
    rp_transport_failed(&w->transport);
    report(w);
    ck_assert_str_eq(rp_transport_text(&w->transport), "failed");
    ck_action(tick(w), RP_ACTION_NONE, 0);
}

TEST(a_failure_stops_until_retry_which_goes_on_as_before)
{
    world w = world_at(5, 0, 5);
    fail_next_step(&w);
    ck_assert_int_eq(command(&w, RP_COMMAND_PLAY, 0, 0), RP_E_ARGUMENT);
    ck_assert_int_eq(command(&w, RP_COMMAND_STEP, 0, 0), RP_E_ARGUMENT);
    ck_assert_int_eq(command(&w, RP_COMMAND_TOGGLE, 0, 0), RP_E_ARGUMENT);
    ck_ok(command(&w, RP_COMMAND_RETRY, 0, 0));
    ck_assert(!w.transport.skip_input);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 6);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 7);
    ck_assert_int_eq(command(&w, RP_COMMAND_RETRY, 0, 0), RP_E_ARGUMENT);
}

TEST(a_single_step_that_failed_is_the_one_that_is_tried_again)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_STEP, 1, 0));
    fail_next_step(&w);
    rp_transport_rebuilt(&w.transport);
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 6);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
}

TEST(skip_empties_the_input_of_one_step)
{
    world w = world_at(5, 0, 5);
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_SKIP, 0, 0));
    rp_action action = rp_transport_tick(&w.transport);
    ck_action(action, RP_ACTION_STEP_LIVE, 6);
    ck_assert(w.transport.skip_input);
    obey(&w, action);
    ck_assert(!w.transport.skip_input);
}

TEST(a_retry_after_a_skip_that_failed_takes_the_input_again)
{
    world w = world_at(5, 0, 5);
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_SKIP, 0, 0));
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_RETRY, 0, 0));
    ck_assert(!w.transport.skip_input);
}

TEST(a_seek_or_a_rewind_ends_a_failure)
{
    world w = world_at(5, 0, 5);
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_SEEK, 3, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 3);
    ck_ok(command(&w, RP_COMMAND_PLAY, 0, 0));
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_REWIND, 0, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 2);
    ck_ok(command(&w, RP_COMMAND_REWIND_END, 0, 0));
    ck_action(tick(&w), RP_ACTION_STEP_LIVE, 3);
}

TEST(a_seek_that_failed_is_done_again_by_retry)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_SEEK, 3, 0));
    fail_next_step(&w);
    ck_ok(command(&w, RP_COMMAND_RETRY, 0, 0));
    ck_action(tick(&w), RP_ACTION_SEEK, 3);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
}

TEST(a_new_build_starts_a_loops_pass_again)
{
    world w = world_at(20, 0, 20);
    ck_ok(command(&w, RP_COMMAND_LOOP, 10, 15));
    tick(&w);
    tick(&w);
    fail_next_step(&w);
    rp_transport_rebuilt(&w.transport);
    ck_action(tick(&w), RP_ACTION_SEEK, 10);
    ck_action(tick(&w), RP_ACTION_STEP_LOGGED, 11);
    ck_assert_uint_eq(w.transport.loop_pass, 1);
}

TEST(a_new_build_changes_nothing_where_nothing_failed_or_loops)
{
    world w = world_at(5, 0, 5);
    ck_ok(command(&w, RP_COMMAND_PAUSE, 0, 0));
    rp_transport_rebuilt(&w.transport);
    ck_action(tick(&w), RP_ACTION_NONE, 0);
}

TEST(an_unknown_command_is_refused)
{
    world w = world_at(5, 0, 5);
    ck_assert_int_eq(command(&w, (rp_command_kind)99, 0, 0), RP_E_ARGUMENT);
}

/* ---- random commands against a model ---- */

/* What a person would say the state is, kept apart from the transport's own. */
typedef struct model {
    bool failed, looping;
    uint64_t from, to;
} model;

static uint64_t any_frame(uint64_t *random, const world *w)
{
    return test_random(random) % (w->newest + 4);
}

static void model_command(model *m, const world *w, rp_command c)
{
    bool seeks = c.kind == RP_COMMAND_SEEK || c.kind == RP_COMMAND_BACK ||
                 c.kind == RP_COMMAND_REWIND || c.kind == RP_COMMAND_LOOP;
    if (seeks || c.kind == RP_COMMAND_RETRY || c.kind == RP_COMMAND_SKIP) {
        m->failed = false;
    }
    if (c.kind == RP_COMMAND_LOOP) {
        *m = (model){false, true, c.a, c.b};
    } else if (c.kind == RP_COMMAND_MARK) {
        m->failed = m->failed && !(w->transport.looping && !m->looping);
        m->looping = !m->looping && w->transport.looping;
        m->from = w->transport.loop_from;
        m->to = w->transport.loop_to;
    } else if (c.kind == RP_COMMAND_UNLOOP || c.kind == RP_COMMAND_TAKE_OVER ||
               (c.kind == RP_COMMAND_SEEK && (c.a < m->from || c.a > m->to))) {
        m->looping = false;
    }
}

static void check_action(const model *m, const world *w, rp_action action)
{
    if (m->failed) {
        ck_assert_int_eq(action.kind, RP_ACTION_NONE);
    }
    if (action.kind == RP_ACTION_STEP_LOGGED) {
        ck_assert(m->looping);
        ck_assert_uint_gt(action.frame, m->from);
        ck_assert_uint_le(action.frame, m->to);
    } else if (action.kind == RP_ACTION_STEP_LIVE) {
        ck_assert(!m->looping);
    } else if (action.kind == RP_ACTION_SEEK && m->looping) {
        ck_assert_uint_ge(action.frame, m->from);
        ck_assert_uint_le(action.frame, m->to);
    }
    ck_assert_uint_le(w->position, w->newest);
}

static void check_state(const model *m, const world *w)
{
    const rp_transport *t = &w->transport;
    ck_assert_int_eq(t->failed, m->failed);
    ck_assert_int_eq(t->looping, m->looping);
    if (t->looping) {
        ck_assert_uint_lt(t->loop_from, t->loop_to);
        ck_assert_uint_ge(t->loop_from, w->oldest);
        ck_assert_uint_ge(t->loop_pass, 1);
    }
    if (t->has_mark) {
        ck_assert_uint_ge(t->mark, w->oldest);
        ck_assert_uint_le(t->mark, w->newest);
    }
}

static void random_command(model *m, world *w, uint64_t *random)
{
    rp_command c = {(rp_command_kind)(test_random(random) % (RP_COMMAND_SKIP + 1)), 0, 0};
    c.a = c.kind == RP_COMMAND_SEEK || c.kind == RP_COMMAND_LOOP ? any_frame(random, w)
                                                                 : test_random(random) % 5;
    c.b = c.kind == RP_COMMAND_LOOP ? any_frame(random, w) : test_random(random) % 5;
    rp_transport before = w->transport;
    if (rp_transport_command(&w->transport, c) == RP_OK) {
        model_command(m, w, c);
    } else {
        ck_assert_mem_eq(&before, &w->transport, sizeof before);
    }
}

static void random_ticks(model *m, world *w, uint64_t *random)
{
    rp_mode mode = w->transport.mode;
    bool idle = mode == RP_MODE_PAUSE && !w->transport.has_seek && !w->transport.steps_wanted;
    int steps = 0, goes_on = 1;
    while (goes_on) {
        rp_action action = rp_transport_tick(&w->transport);
        check_action(m, w, action);
        ck_assert(!idle || action.kind == RP_ACTION_NONE);
        steps += action.kind == RP_ACTION_STEP_LIVE || action.kind == RP_ACTION_STEP_LOGGED;
        if (action.kind != RP_ACTION_NONE && test_random(random) % 16 == 0) {
            rp_transport_failed(&w->transport);
            m->failed = true;
            report(w);
            return;
        }
        obey(w, action);
        goes_on = action.kind != RP_ACTION_NONE && rp_transport_more(&w->transport);
    }
    ck_assert_int_le(steps, (int)w->transport.frames_a_tick);
}

static void random_event(model *m, world *w, uint64_t *random)
{
    if (test_random(random) % 8 == 0) {
        rp_transport_rebuilt(&w->transport);
        m->failed = false;
    }
    if (test_random(random) % 8 == 0 && w->oldest < w->position) {
        w->oldest++;
        m->looping = m->looping && m->from >= w->oldest;
        report(w);
    }
}

TEST(random_commands_never_ask_for_what_cannot_be_done)
{
    uint64_t random = test_seed();
    for (int run = 0; run < 200; run++) {
        world w = world_at(10, 0, 10);
        model m = {0};
        for (int i = 0; i < 500; i++) {
            if (test_random(&random) % 3 == 0) {
                random_command(&m, &w, &random);
            }
            random_ticks(&m, &w, &random);
            random_event(&m, &w, &random);
            check_state(&m, &w);
        }
    }
}
