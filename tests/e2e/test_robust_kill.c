/* Runners that are killed at any moment: while they step, while one is restored, while a new build
 * is loaded. No frame is lost, and every later frame is as without.
 *
 * The killer is a thread that holds descriptors of its victims, so that it can hit no other process
 * whose number is the same.
 */
#include "robust_play.h"

#include "support/test.h"

#include <os/os.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    KILLS_QUICK = 60,
    KILLS_LONG = 200,
    LAST_FRAME = 2000,
    SPAN_US = 20000,
    VICTIMS = 2,
    BUILDS = 30
};

static play p;
static uint64_t random_state;

typedef struct shot {
    int victims[VICTIMS]; /* descriptors of processes; -1: none */
    uint64_t at_ns[VICTIMS];
    atomic_int fired;
    pthread_t thread;
} shot;

static shot next;

static void *killer(void *context)
{
    shot *s = context;
    for (int i = 0; i < VICTIMS; i++) {
        if (s->victims[i] >= 0) {
            rp_os_sleep_until_ns(s->at_ns[i]);
            syscall(SYS_pidfd_send_signal, s->victims[i], SIGKILL, NULL, 0);
        }
    }
    s->fired = 1;
    return NULL;
}

static uint64_t random_below(uint64_t bound)
{
    return test_random(&random_state) % bound;
}

static void aim_at(int slot, const process *victim, uint64_t after_us)
{
    next.victims[slot] = victim->pid ? (int)syscall(SYS_pidfd_open, victim->pid, 0) : -1;
    next.at_ns[slot] = rp_os_monotonic_ns() + after_us * 1000;
}

static void shot_begin(uint64_t live_after_us, uint64_t spare_after_us)
{
    next = (shot){.victims = {-1, -1}};
    if (live_after_us) {
        aim_at(0, &p.session.live, live_after_us);
    }
    if (spare_after_us) {
        aim_at(1, &p.session.spare, spare_after_us);
    }
    ck_assert_int_eq(pthread_create(&next.thread, NULL, killer, &next), 0);
}

static void shot_end(void)
{
    pthread_join(next.thread, NULL);
    for (int i = 0; i < VICTIMS; i++) {
        if (next.victims[i] >= 0) {
            close(next.victims[i]);
        }
    }
}

/* A step that fails was killed; the next one must do. From time to time what was made is run
 * again, so that few frames serve many kills. */
static void step_whatever_happens(void)
{
    uint64_t frame = session_frame(&p.session);
    if (frame == LAST_FRAME) {
        play_seek(&p, random_below(LAST_FRAME));
        return;
    }
    rp_status status = play_step(&p);
    if (status) {
        ck_assert_msg(status == RP_E_DIED, "%d: %s", status, rp_error_last()->text);
        ck_assert(p.session.failure.active);
        ck_assert_msg(p.session.failure.kind == LINK_CRASH_NONE, "%s", p.session.failure.lines[0]);
        ck_assert_uint_eq(session_frame(&p.session), frame);
        play_check(&p);
    }
}

static void between_frames(void)
{
    uint64_t frame = session_frame(&p.session);
    rp_status status = session_tend(&p.session);
    ck_assert_msg(status == RP_OK || status == RP_E_DIED, "%d: %s", status, rp_error_last()->text);
    ck_assert_uint_eq(session_frame(&p.session), frame);
}

/* Steps until the shot was fired, and a few frames more. */
static void step_through_a_shot(void)
{
    int after = 0;
    while (after < 3) {
        after += next.fired;
        step_whatever_happens();
        if (random_below(4) == 0) {
            between_frames();
        }
    }
    shot_end();
}

static void begin(const char *program)
{
    random_state = test_seed();
    play_open(&p, program);
    play_on(&p, LAST_FRAME);
}

/* Undisturbed to the end once more: every frame is as it was at first. */
static void finish(void)
{
    play_seek(&p, 0);
    play_check_memory(&p);
    play_on(&p, LAST_FRAME);
    play_check_memory(&p);
    ck_assert(rp_log_check(p.session.log));
    play_close(&p);
}

static void kill_at_random(const char *program, int share)
{
    int kills = (play_is_long() ? KILLS_LONG : KILLS_QUICK) / share;
    begin(program);
    for (int i = 0; i < kills; i++) {
        shot_begin(1 + random_below(SPAN_US), i % 3 ? 0 : 1 + random_below(SPAN_US));
        step_through_a_shot();
    }
    ck_assert_uint_ge(p.session.restarts, kills);
    finish();
}

TEST(no_frame_is_lost_when_the_runner_of_lua_is_killed)
{
    kill_at_random("lua_module", 2);
}

TEST(no_frame_is_lost_when_the_runner_of_a_database_is_killed)
{
    kill_at_random("sqlite_module", 2);
}

TEST(a_spare_that_is_killed_is_made_anew)
{
    begin("counter_module");
    for (int i = 0; i < 20; i++) {
        shot_begin(0, 1 + random_below(SPAN_US));
        step_through_a_shot();
    }
    ck_assert_uint_eq(p.session.restarts, 0);
    finish();
}

/* The spare is restored in the live runner's place, and dies in turn. */
TEST(a_runner_that_is_killed_while_it_is_restored_loses_nothing)
{
    begin("lua_module");
    for (int i = 0; i < (play_is_long() ? KILLS_LONG : KILLS_QUICK) / 2; i++) {
        shot_begin(1000, 1000 + 1 + random_below(4000));
        step_through_a_shot();
    }
    ck_assert_uint_ge(p.session.restarts, 30);
    finish();
}

/* Builds come at frames that the seed gives; runners are killed while they are taken. */
static void play_builds(uint64_t seed, bool live, bool spare)
{
    static const char *const programs[] = {"counter_module", "counter_module_edit_4"};
    uint64_t frame = 0;
    play_open(&p, "counter_module");
    for (int i = 1; i <= BUILDS; i++) {
        frame += 10 + test_random(&seed) % 50;
        play_on(&p, frame);
        shot_begin(live ? 1 + random_below(6000) : 0, spare ? 1 + random_below(6000) : 0);
        ck_ok(play_build(&p, programs[i % 2]));
        ck_assert_uint_eq(p.session.newest, i + 1);
        p.noted[session_frame(&p.session)] = false; /* it was carried: other pages */
        play_check(&p);
        shot_end();
        while (session_frame(&p.session) < frame + 3) {
            step_whatever_happens();
        }
    }
    play_check_memory(&p);
    ck_assert(rp_log_check(p.session.log));
}

static void kill_while_builds_come(bool live, bool spare)
{
    static uint64_t undisturbed[PLAY_FRAMES_MAX];
    random_state = test_seed();
    uint64_t seed = random_state;
    play_builds(seed, false, false);
    memcpy(undisturbed, p.hashes, sizeof undisturbed);
    play_close(&p);
    play_builds(seed, live, spare);
    for (uint64_t i = 0; i <= session_frame(&p.session); i++) {
        ck_assert_msg(!undisturbed[i] || undisturbed[i] == p.hashes[i], "frame %d", (int)i);
    }
    play_close(&p);
}

TEST(a_build_is_taken_while_the_live_runner_is_killed)
{
    kill_while_builds_come(true, false);
}

TEST(a_build_is_taken_while_its_own_runner_is_killed)
{
    kill_while_builds_come(false, true);
}

TEST(a_build_is_taken_while_both_runners_are_killed)
{
    kill_while_builds_come(true, true);
}
