/* The k-th system call of the host's side fails, k = 1, 2, … until the attempt succeeds: an error
 * that says so, or none where it does without; and the next attempt works, every frame as before.
 */
#include "robust_play.h"

#include "support/fault.h"
#include "support/test.h"

#include <base/bits.h>
#include <errno.h>
#include <os/os.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LAST_FRAME = 400, BUILDS_MOST = 200 };

static play p;

#ifdef RP_FAULTS

static const int codes[] = {ENOMEM, EMFILE, ENOSPC};

typedef rp_status attempt(void);

/* The attempt's own checks hold in each of its runs that succeeds. Returns how many were made to
 * fail. */
static size_t each_call_fails(attempt *try)
{
    size_t total = 0;
    for (size_t c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        size_t k = 0, calls;
        do {
            k++;
            rp_os_fault_set(k, codes[c]);
            rp_status status = try();
            calls = rp_os_fault_count();
            rp_os_fault_set(0, 0);
            if (status) {
                fault_check_failure(status, k);
            }
            ck_ok(try());
            total += calls >= k;
        } while (calls >= k);
    }
    printf("%zu calls failed\n", total);
    return total;
}

#else

typedef rp_status attempt(void);

static size_t each_call_fails(attempt *try)
{
    printf("skipped: built without RP_FAULTS\n");
    ck_ok(try());
    return 1;
}

#endif

static void begin(const char *program)
{
    play_open(&p, program);
    play_on(&p, LAST_FRAME);
    play_seek(&p, 0);
}

static void finish(void)
{
    play_seek(&p, 0);
    play_on(&p, LAST_FRAME);
    play_check_memory(&p);
    ck_assert(rp_log_check(p.session.log));
    play_close(&p);
}

/* The runner's own side: it may write no more to the log's file. */
static void forbid_writing(void)
{
    const struct rlimit none = {RP_PAGE_BYTES, RP_PAGE_BYTES};
    ck_assert_int_eq(prlimit(p.session.live.pid, RLIMIT_FSIZE, &none, NULL), 0);
}

TEST(a_step_whose_pages_cannot_be_written_is_taken_back)
{
    begin("sqlite_module");
    for (int i = 1; i <= 20; i++) {
        uint64_t frame = session_frame(&p.session);
        forbid_writing();
        rp_status status = play_step(&p);
        ck_assert_int_eq(status, RP_E_SYSTEM);
        ck_assert_msg(strstr(rp_error_last()->text, "not written"), "%s", rp_error_last()->text);
        ck_assert(!p.session.failure.active);
        ck_assert_uint_eq(session_frame(&p.session), frame);
        ck_assert_uint_eq(p.session.restarts, i);
        play_check_memory(&p);
        play_on(&p, frame + 10);
    }
    finish();
}

static rp_status restart(void)
{
    uint64_t frame = session_frame(&p.session);
    if (p.session.live.pid) {
        kill(p.session.live.pid, SIGKILL);
        while (!process_ended(&p.session.live)) {
            rp_os_sleep_until_ns(rp_os_monotonic_ns() + 1000000);
        }
    }
    rp_status status = play_step(&p);
    if (status == RP_E_DIED && p.session.failure.active && p.session.loaded) {
        p.session.failure.active = false; /* the kill was told, and a fresh runner stands there */
        status = play_step(&p);
    }
    ck_assert(status || session_frame(&p.session) == frame + 1);
    return status;
}

TEST(a_restart_whose_calls_fail_is_made_the_next_time)
{
    begin("lua_module");
    ck_assert_uint_ge(each_call_fails(restart), 6);
    finish();
}

static rp_status build(void)
{
    uint32_t builds = p.session.build_count;
    uint64_t frame = session_frame(&p.session);
    rp_status status = play_build(&p, builds % 2 ? "counter_module_edit_4" : "counter_module");
    ck_assert_uint_lt(builds, BUILDS_MOST);
    ck_assert_uint_eq(p.session.build_count, status ? builds : builds + 1);
    ck_assert_uint_eq(p.session.newest, p.session.build_count);
    ck_assert_uint_eq(session_frame(&p.session), frame);
    p.noted[frame] = p.noted[frame + 1] = false; /* carried: other pages */
    ck_ok(play_step(&p));
    return status;
}

TEST(a_build_whose_calls_fail_changes_nothing_and_is_taken_the_next_time)
{
    play_open(&p, "counter_module");
    ck_assert_uint_ge(each_call_fails(build), 6);
    play_check_memory(&p);
    play_close(&p);
}

static rp_status whole_session(void)
{
    rp_status status = play_open_empty(&p);
    if (!status) {
        status = play_build(&p, "counter_module");
    }
    if (!status) {
        status = play_step(&p);
    }
    play_close(&p);
    return status;
}

TEST(a_session_whose_first_calls_fail_leaves_nothing)
{
    ck_assert_uint_ge(each_call_fails(whole_session), 6);
}
