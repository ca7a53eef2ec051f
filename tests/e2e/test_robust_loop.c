/* Loops: thousands of frames run again are equal to the first pass; one that is not is named. */
#include "robust_play.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

enum { FROM = 100, TO = 200, LOOPED_QUICK = 5000, LOOPED_LONG = 100000, CHEAT_FRAME = 150 };

static play p;

/* What the command does in a loop. */
static void pass(void)
{
    ck_ok(session_seek(&p.session, FROM));
    for (uint64_t frame = FROM + 1; frame <= TO; frame++) {
        rp_input input;
        ck_ok(rp_loop_input(&p.session.loop, frame, &input));
        ck_ok(session_step(&p.session, &input, true, false));
    }
}

static void begin(const char *program)
{
    play_open(&p, program);
    play_on(&p, TO + 50);
    ck_ok(session_loop(&p.session, FROM, TO));
}

static void loop(const char *program)
{
    int passes = (play_is_long() ? LOOPED_LONG : LOOPED_QUICK) / (TO - FROM);
    begin(program);
    for (int i = 0; i < passes; i++) {
        pass();
        ck_assert_msg(!p.session.diverged_frame, "pass %d: %s", i + 1, p.session.diverged_text);
        play_check(&p);
    }
    play_check_memory(&p);
    session_unloop(&p.session);
    play_on(&p, TO + 50);
    play_close(&p);
}

TEST(every_pass_of_the_demo_is_the_first)
{
    loop("demo");
}

TEST(every_pass_of_a_lua_program_is_the_first)
{
    loop("lua_module");
}

TEST(every_pass_of_a_database_is_the_first)
{
    loop("sqlite_module");
}

TEST(every_pass_of_a_physics_world_is_the_first)
{
    loop("chipmunk_module");
}

/* The address that the report names. */
static uint64_t place_told(void)
{
    const char *at = strstr(p.session.diverged_text, "0x");
    ck_assert_ptr_nonnull(at);
    return strtoull(at, NULL, 16);
}

static void must_tell_of_the_cheat(const char *where)
{
    pass();
    ck_assert_msg(p.session.diverged_frame == CHEAT_FRAME, "frame %llu: %s",
                  (unsigned long long)p.session.diverged_frame, p.session.diverged_text);
    ck_assert_ptr_nonnull(strstr(p.session.diverged_text, "frame 150 "));
    ck_assert_msg(strstr(p.session.diverged_text, where), "%s", p.session.diverged_text);
}

TEST(a_clock_that_gets_into_a_global_is_named)
{
    begin(ROBUST_OUT "/robust_cheat.so");
    must_tell_of_the_cheat("into variable 'cheated'");
    const session_build *build = &p.session.builds[0];
    const rp_symbol *symbol = rp_elf_symbol_named(build->elf, "cheated");
    ck_assert_ptr_nonnull(symbol);
    uint64_t start = build->base + symbol->address, told = place_told();
    ck_assert(told >= start && told < start + symbol->size_bytes);
    play_close(&p);
}

TEST(a_clock_that_gets_into_a_block_is_named)
{
    begin(ROBUST_OUT "/robust_cheat_heap.so");
    must_tell_of_the_cheat("16 bytes into a block of 48");
    play_close(&p);
}

TEST(a_cheat_is_told_again_under_the_next_build)
{
    begin(ROBUST_OUT "/robust_cheat.so");
    must_tell_of_the_cheat("into variable 'cheated'");
    ck_ok(play_build(&p, ROBUST_OUT "/robust_cheat_heap.so"));
    ck_assert_uint_eq(session_frame(&p.session), FROM);
    ck_assert_uint_eq(p.session.diverged_frame, 0);
    pass(); /* sets the measure */
    ck_assert_uint_eq(p.session.diverged_frame, 0);
    must_tell_of_the_cheat("16 bytes into a block of 48");
    play_close(&p);
}
