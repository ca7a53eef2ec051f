/* A session that goes on with a take: each program, from every kind of frame, with the hashes that
 * it had; builds that are not known; libraries that are others; what is missing in it. */
#include "recording.h"
#include "robust_play.h"
#include "robust_take_write.h"

#include "support/fault.h"
#include "support/test.h"
#include "take_session.h"
#include "take_trust.h"

#include <base/bits.h>
#include <region/region.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FRAMES = 180 };

static play first, second;
static char folder[64], path[128];

static void enter(void)
{
    strcpy(folder, "/tmp/rp-robust-take-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("XDG_STATE_HOME", folder, 1);
    snprintf(path, sizeof path, "%s/a.take", folder);
}

static void leave(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* A take of a program's first frames; the hashes are in `first`. */
static void take_make(const char *program, const take_change *change)
{
    play_open(&first, program);
    play_on(&first, FRAMES);
    take_write(&first.session, path, change);
    play_close(&first);
}

typedef struct opened {
    take_file file;
    take_session take;
} opened;

/* In `second`, whose frames must have the hashes of `first`. */
static rp_status take_open(opened *o, const char *frame, bool trust)
{
    uint64_t index;
    memset(o, 0, sizeof *o);
    ck_ok(play_open_empty(&second));
    session_desc desc = second.session.desc;
    session_close(&second.session);
    memcpy(second.hashes, first.hashes, sizeof first.hashes);
    memcpy(second.noted, first.noted, sizeof first.noted);
    ck_ok(take_file_open(&o->file, path));
    ck_ok(take_file_frame(&o->file, frame, &index));
    const take_session_desc open = {
        .file = &o->file, .copies = second.directory, .trust = trust, .session = desc};
    rp_status status = take_session_open(&open, index, &o->take, &second.session);
    uint64_t last = take_session_course_end(&o->file, index);
    status = status ? status : take_session_load(&o->take, 0, last, NULL, NULL);
    return status ? status
                  : take_session_stand(&o->take, rp_take_frame_at(o->file.take, index)->frame);
}

static void take_done(opened *o)
{
    take_session_close(&o->take);
    take_file_close(&o->file);
    play_close(&second);
}

static void plays_on_as_it_did(const char *program)
{
    opened o;
    enter();
    take_make(program, &(take_change){0});
    ck_ok(take_open(&o, "60", true));
    ck_assert_uint_eq(session_frame(&second.session), 60);
    ck_assert(take_session_hashes_hold(&o.take));
    play_check(&second);
    play_check_memory(&second);
    play_seek(&second, FRAMES); /* its history is there, forwards and backwards */
    play_check_memory(&second);
    play_seek(&second, 1);
    play_seek(&second, 120);
    play_check_memory(&second);
    play_on(&second, FRAMES); /* live, with the input that it had */
    play_check_memory(&second);
    take_done(&o);
    leave();
}

TEST(a_c_program_plays_on_as_it_did)
{
    plays_on_as_it_did("counter_module");
}

TEST(the_demo_plays_on_as_it_did)
{
    plays_on_as_it_did("demo");
}

TEST(lua_plays_on_as_it_did)
{
    plays_on_as_it_did("lua_module");
}

TEST(sqlite_plays_on_as_it_did)
{
    plays_on_as_it_did("sqlite_module");
}

TEST(a_cxx_program_plays_on_as_it_did)
{
    plays_on_as_it_did(ROBUST_OUT "/robust_take_cxx.so");
}

TEST(a_world_in_a_runner_that_dies_goes_on)
{
    opened o;
    enter();
    take_make("counter_module", &(take_change){0});
    ck_ok(take_open(&o, "60", true));
    kill(second.session.live.pid, 9);
    while (session_tend(&second.session) != RP_E_DIED) {
        usleep(1000);
    }
    play_on(&second, FRAMES);
    take_done(&o);
    leave();
}

TEST(another_build_takes_over_in_a_take)
{
    opened o;
    enter();
    take_make("counter_module", &(take_change){0});
    ck_ok(take_open(&o, "60", true));
    second.copies = 100;
    ck_ok(play_build(&second, "counter_module_edit_1"));
    ck_assert_uint_eq(session_frame(&second.session), 60);
    rp_input input;
    play_input(61, &input);
    ck_ok(session_step(&second.session, &input, false, false));
    ck_assert_uint_eq(second.session.loaded, 2);
    take_done(&o);
    leave();
}

TEST(frames_of_two_builds_are_there_under_the_build_that_made_them)
{
    opened o;
    enter();
    play_open(&first, "counter_module");
    play_on(&first, 50);
    ck_ok(play_build(&first, "counter_module_edit_1"));
    memset(first.noted + 50, 0, 200);
    play_on(&first, 100);
    take_write(&first.session, path, &(take_change){0});
    play_close(&first);
    ck_ok(take_open(&o, "100", true));
    ck_assert_uint_eq(second.session.loaded, 2);
    play_seek(&second, 30);
    ck_assert_uint_eq(second.session.loaded, 1);
    play_check_memory(&second);
    play_seek(&second, 70);
    ck_assert_uint_eq(second.session.loaded, 2);
    play_on(&second, 100);
    take_done(&o);
    leave();
}

/* ---- what is not run ---- */

TEST(a_build_that_is_not_known_is_run_only_on_the_users_word)
{
    opened o;
    enter();
    take_make("counter_module", &(take_change){0});
    ck_assert_int_eq(take_open(&o, "last", false), RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "--trust"));
    take_done(&o);
    ck_ok(take_open(&o, "last", true));
    take_done(&o);
    ck_ok(take_open(&o, "last", false)); /* the word was remembered */
    take_done(&o);
    leave();
}

TEST(a_take_of_another_base_or_without_a_build_is_named)
{
    opened o;
    enter();
    take_make("counter_module", &(take_change){.region_base = RP_REGION_BASE + RP_GIB(4)});
    ck_assert_int_eq(take_open(&o, "last", true), RP_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "0x550100000000"));
    take_done(&o);
    take_make("counter_module", &(take_change){.without_builds = true});
    ck_assert_int_eq(take_open(&o, "last", true), RP_E_NOT_FOUND);
    take_done(&o);
    leave();
}

/* ---- other libraries ---- */

static rp_take_object *named(rp_take_object *objects, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(objects[i].path, name)) {
            return &objects[i];
        }
    }
    ck_abort_msg("no %s is loaded", name);
}

static void xxhash_is_another(rp_take_object *objects, size_t count)
{
    named(objects, count, "libxxhash.so")->id[0] ^= 1;
}

static void runner_is_another(rp_take_object *objects, size_t count)
{
    named(objects, count, "reprise-runner")->id[0] ^= 1;
}

static void lua_is_another(rp_take_object *objects, size_t count)
{
    named(objects, count, "liblua")->id[0] ^= 1;
}

static void lua_is_missing(rp_take_object *objects, size_t count)
{
    strcpy(named(objects, count, "liblua")->path, "/usr/lib/liblua-of-old.so.7");
}

static void expect_open(const char *program, void (*change)(rp_take_object *, size_t),
                        rp_status wanted, const char *part)
{
    opened o;
    enter();
    take_make(program, &(take_change){.objects = change});
    rp_status status = take_open(&o, "60", true);
    const char *said = status ? rp_error_last()->text : o.take.notes;
    ck_assert_msg(status == wanted && strstr(said, part), "%d: %s", status, said);
    if (!status) {
        ck_assert(!take_session_hashes_hold(&o.take) || !strstr(said, "xxhash"));
        memset(second.noted, 0, sizeof second.noted);
        play_on(&second, FRAMES);
    }
    take_done(&o);
    leave();
}

TEST(a_library_that_changed_and_that_the_state_knows_nothing_of_is_told_and_no_more)
{
    expect_open("counter_module", xxhash_is_another, RP_OK, "libxxhash.so.0: another version here");
}

TEST(a_library_that_changed_and_that_the_state_leads_into_is_refused_by_name)
{
    expect_open("lua_module", lua_is_another, RP_E_CHANGED, "liblua");
    expect_open("lua_module", lua_is_missing, RP_E_CHANGED, "liblua-of-old.so.7");
}

TEST(another_runner_is_refused_only_where_the_state_leads_into_it)
{
    expect_open("counter_module", runner_is_another, RP_OK, "reprise-runner: another version");
}

/* ---- recorded while it is played ---- */

static void recorded_begin(const char *program)
{
    play_open(&first, program);
    play_on(&first, 20);
    ck_ok(recording_open(&first.session, SESSION_RECORDING_TAKE, &(recording_desc){.path = path}));
}

/* Every record is whole, and the states after frames of the last course are those of `first`. */
static void recorded_is(uint64_t last, const char *const *frames)
{
    opened o;
    ck_ok(recording_close(&first.session, SESSION_RECORDING_TAKE, true));
    play_close(&first);
    ck_ok(take_file_open(&o.file, path));
    ck_ok(rp_take_check(o.file.take, NULL, NULL));
    take_file_close(&o.file);
    for (; *frames; frames++) {
        ck_ok(take_open(&o, *frames, true));
        play_check(&second);
        play_check_memory(&second);
        play_seek(&second, last);
        take_done(&o);
    }
}

TEST(what_is_recorded_through_seeks_and_deaths_is_what_was_played)
{
    static const char *const programs[] = {"counter_module", "lua_module"};
    static const char *const frames[] = {"20", "35", "69", "70", "100", "131", NULL};
    for (size_t i = 0; i < RP_COUNT_OF(programs); i++) {
        enter();
        recorded_begin(programs[i]);
        play_on(&first, 100);
        play_seek(&first, 30);
        play_seek(&first, 70); /* two seeks before the next frame is made */
        play_on(&first, 110);
        play_seek(&first, 5); /* before the recording began */
        play_on(&first, 90);
        kill(first.session.live.pid, 9);
        while (session_tend(&first.session) != RP_E_DIED) {
            usleep(1000);
        }
        play_on(&first, 140);
        recorded_is(140, frames);
        leave();
    }
}

TEST(what_is_recorded_through_new_builds_and_worlds_is_what_was_played)
{
    static const char *const frames[] = {"0", "25", "60", NULL};
    enter();
    recorded_begin("counter_module");
    play_on(&first, 50);
    ck_ok(play_build(&first, "counter_module_edit_1"));
    memset(first.noted, 0, sizeof first.noted);
    play_on(&first, 90);
    ck_ok(session_world_restart(&first.session));
    memset(first.noted, 0, sizeof first.noted);
    play_check(&first);
    play_on(&first, 60);
    recorded_is(60, frames);
    leave();
}

TEST(a_recording_that_fails_says_so_and_the_program_goes_on)
{
    recording_status stats;
    enter();
    recorded_begin("counter_module");
    struct rlimit limit, before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    limit.rlim_cur = 60000; /* the build is in it, and not much more */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (uint64_t frame = 21; frame < 2000; frame++) {
        play_on(&first, frame);
        recording_status_get(first.session.recordings[SESSION_RECORDING_TAKE], &stats);
        if (stats.status) {
            break;
        }
    }
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(stats.status, RP_E_SYSTEM);
    play_on(&first, session_frame(&first.session) + 20);
    ck_assert_int_eq(recording_close(&first.session, SESSION_RECORDING_TAKE, true), RP_E_SYSTEM);
    play_close(&first);
    take_file file;
    ck_ok(take_file_open(&file, path));
    ck_assert_uint_gt(file.overview.frame_count, 1);
    ck_ok(rp_take_check(file.take, NULL, NULL));
    take_file_close(&file);
    leave();
}

/* ---- thin frames ---- */

TEST(frames_without_memory_are_passed_over_and_a_take_of_them_alone_has_its_first_state)
{
    opened o;
    enter();
    take_make("counter_module", &(take_change){.thin = true});
    ck_ok(take_open(&o, "first", true));
    ck_assert_uint_eq(session_frame(&second.session), 0);
    ck_assert_uint_eq(session_newest(&second.session), 0);
    play_on(&second, FRAMES);
    take_done(&o);
    leave();
}
