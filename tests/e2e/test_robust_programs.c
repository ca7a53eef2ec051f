/* Real programs, unmodified libraries in them: any frame of thousands comes back bit for bit. */
#include "robust_play.h"

#include "support/test.h"

enum {
    SEEKS = 200,
    FRAMES_QUICK = 2000,
    FRAMES_LONG = 10000,
    AGAIN_EVERY = 20,
    AGAIN_FRAMES = 100
};

static play p;

/* Runs logged frames again from the position, which drops what came behind them. */
static void run_again(uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++) {
        rp_input input;
        play_input(session_frame(&p.session) + 1, &input);
        ck_ok(session_step(&p.session, &input, true, false));
        play_check(&p);
    }
}

static void seek_at_random(const char *program)
{
    uint64_t last = play_is_long() ? FRAMES_LONG : FRAMES_QUICK, random = test_seed();
    play_open(&p, program);
    play_on(&p, last);
    ck_assert_uint_eq(session_oldest(&p.session), 0);
    for (int i = 0; i < SEEKS; i++) {
        play_seek(&p, test_random(&random) % (last + 1));
        play_check_memory(&p);
        if (i % AGAIN_EVERY == AGAIN_EVERY - 1) {
            run_again(AGAIN_FRAMES);
            play_check_memory(&p);
            play_on(&p, last);
        }
    }
    ck_assert(rp_log_check(p.session.log));
    ck_assert_uint_eq(p.session.restarts, 0);
    play_close(&p);
}

TEST(any_frame_of_a_lua_program_comes_back)
{
    seek_at_random("lua_module");
}

TEST(any_frame_of_a_database_in_memory_comes_back)
{
    seek_at_random("sqlite_module");
}

TEST(any_frame_of_a_physics_world_comes_back)
{
    seek_at_random("chipmunk_module");
}

TEST(any_frame_of_the_demo_comes_back)
{
    seek_at_random("demo");
}
