/* Programs looked at from outside: modes, moments, ends. */
#include "base/bits.h"
#include "os/os.h"
#include "os/subject.h"
#include "support/child.h"
#include "support/fault.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static rp_os_subject_end end;

typedef struct seen {
    size_t mappings[RP_OS_MOMENTS];
    uint64_t program, stack, library; /* where they lie, at the last moment */
} seen;

static seen the_seen;

static void visit(void *context, rp_os_moment moment, const rp_os_mapping *mapping)
{
    seen *s = context;
    s->mappings[moment]++;
    ck_assert_uint_lt(mapping->from, mapping->to);
    ck_assert_uint_eq(strlen(mapping->permissions), 4);
    if (strcmp(mapping->name, "[stack]") == 0) {
        s->stack = mapping->from;
    } else if (strstr(mapping->name, "/libc.so") && strncmp(mapping->permissions, "r--", 3) == 0) {
        s->library = mapping->from;
    } else if (strstr(mapping->name, "/bin/") && !s->program) {
        s->program = mapping->from;
    }
}

static rp_status run_mode(char *const *argv, rp_os_subject_mode mode)
{
    rp_os_subject_desc desc = {.argv = argv, .mode = mode, .visit = visit, .context = &the_seen};
    memset(&the_seen, 0, sizeof the_seen);
    return rp_os_subject_run(&desc, &end);
}

static char *const quick[] = {"true", NULL};
static char *const endless[] = {"sleep", "1000", NULL};

static bool may_trace(void)
{
    return run_mode(quick, RP_OS_SUBJECT_AS_IS) == RP_OK && end.traced;
}

static void nothing_left(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

TEST(one_that_ends_at_once_is_seen_at_its_start_and_end)
{
    ck_ok(run_mode(quick, RP_OS_SUBJECT_AS_IS));
    ck_assert(end.ended_itself);
    ck_assert_int_eq(end.exit_code, 0);
    ck_assert_int_eq(end.signal, 0);
    if (end.traced) {
        ck_assert(end.seen[RP_OS_AT_START] && end.seen[RP_OS_AT_END]);
        ck_assert_uint_gt(the_seen.mappings[RP_OS_AT_END], the_seen.mappings[RP_OS_AT_START]);
        ck_assert_ptr_nonnull(strstr(end.program, "/bin/"));
        ck_assert_uint_ne(the_seen.library, 0);
    }
    nothing_left();
}

TEST(one_that_never_ends_is_ended_once_it_has_settled)
{
    ck_ok(run_mode(endless, RP_OS_SUBJECT_AS_IS));
    ck_assert(!end.ended_itself);
    ck_assert_int_eq(end.signal, SIGKILL);
    ck_assert(end.seen[RP_OS_SETTLED] && end.seen[RP_OS_AT_END]);
    ck_assert_ptr_nonnull(strstr(end.program, "sleep"));
    nothing_left();
}

TEST(one_that_has_not_settled_is_ended_at_the_limit)
{
    rp_os_subject_desc desc = {.argv = endless, .limit_ms = 50};
    ck_ok(rp_os_subject_run(&desc, &end));
    ck_assert(!end.ended_itself);
    ck_assert(!end.seen[RP_OS_SETTLED] && end.seen[RP_OS_AT_END]);
    nothing_left();
}

TEST(codes_and_signals_of_its_end_are_told)
{
    char *const coded[] = {"sh", "-c", "exit 7", NULL};
    char *const killed[] = {"sh", "-c", "kill -USR1 $$", NULL};
    ck_ok(run_mode(coded, RP_OS_SUBJECT_AS_IS));
    ck_assert_int_eq(end.exit_code, 7);
    ck_ok(run_mode(killed, RP_OS_SUBJECT_AS_IS));
    ck_assert(end.ended_itself);
    ck_assert_int_eq(end.signal, SIGUSR1);
}

TEST(one_that_stops_itself_is_ended_too)
{
    char *const stopped[] = {"sh", "-c", "kill -STOP $$; echo never", NULL};
    ck_ok(run_mode(stopped, RP_OS_SUBJECT_AS_IS));
    ck_assert(!end.ended_itself);
    nothing_left();
}

TEST(what_it_leaves_behind_is_ended_with_it)
{
    char path[] = "/tmp/rp-subject-XXXXXX", text[128], number[16] = {0};
    int fd = mkstemp(path);
    snprintf(text, sizeof text, "sleep 1000 & echo $! > %s", path);
    char *const forking[] = {"sh", "-c", text, NULL};
    ck_ok(run_mode(forking, RP_OS_SUBJECT_AS_IS));
    ck_assert_int_gt(pread(fd, number, sizeof number - 1, 0), 0);
    close(fd);
    unlink(path);
    pid_t left = (pid_t)strtol(number, NULL, 10);
    for (int i = 0; i < 1000 && kill(left, 0) == 0; i++) {
        char stat_path[64], stat_text[128] = {0}, *behind;
        snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", (int)left);
        FILE *file = fopen(stat_path, "re");
        if (!file || !fgets(stat_text, sizeof stat_text, file) ||
            ((behind = strrchr(stat_text, ')')) && behind[2] == 'Z')) {
            left = 0; /* ended; who adopted it has not collected it */
        }
        if (file) {
            fclose(file);
        }
        if (!left) {
            return;
        }
        usleep(5000);
    }
    ck_assert_msg(kill(left, 0) != 0, "%d lives", (int)left);
}

TEST(modes_place_a_program_as_they_say)
{
    if (!may_trace()) {
        printf("skipped: no ptrace here\n");
        return;
    }
    uint64_t stacks[2];
    for (int i = 0; i < 2; i++) {
        ck_ok(run_mode(quick, RP_OS_SUBJECT_NO_RANDOMISATION));
        stacks[i] = the_seen.stack;
        ck_assert_uint_eq(the_seen.program, UINT64_C(0x555555554000));
    }
    ck_assert_uint_eq(stacks[0], stacks[1]);
    ck_ok(run_mode(quick, RP_OS_SUBJECT_LEGACY_LAYOUT));
    ck_assert_uint_ge(the_seen.library, UINT64_C(0x2aaaaaaab000));
    ck_assert_uint_lt(the_seen.library, UINT64_C(0x3aaaaaaab000) + RP_GIB(64));
    rp_status status = run_mode(quick, RP_OS_SUBJECT_UNLIMITED_STACK);
    if (status != RP_E_UNSUPPORTED) {
        ck_ok(status);
        ck_assert_uint_lt(the_seen.library, UINT64_C(0x3aaaaaaab000) + RP_GIB(64));
    }
}

static int with_a_hard_stack_limit(void *context)
{
    (void)context;
    struct rlimit stack = {RP_MIB(8), RP_MIB(8)};
    /* Root may raise it again. */
    if (setrlimit(RLIMIT_STACK, &stack) != 0 || (getuid() == 0 && setuid(65534) != 0)) {
        return 9;
    }
    return run_mode(quick, RP_OS_SUBJECT_UNLIMITED_STACK) == RP_E_UNSUPPORTED ? 0 : 1;
}

TEST(a_mode_that_is_not_allowed_is_told)
{
    child_end told = child_run(with_a_hard_stack_limit, NULL);
    ck_assert_msg(told.exit_code == 0 || told.exit_code == 9, "%d", told.exit_code);
}

TEST(a_missing_program_and_one_that_is_none_are_told)
{
    int descriptors = fault_open_descriptors();
    char *const missing[] = {"/nowhere/program", NULL}, *const unnamed[] = {"reprise-no-such",
                                                                            NULL};
    char *const folder[] = {"/tmp", NULL}, *const empty[] = {"", NULL};
    ck_assert_int_eq(run_mode(missing, RP_OS_SUBJECT_AS_IS), RP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "/nowhere/program"));
    ck_assert_int_eq(run_mode(unnamed, RP_OS_SUBJECT_AS_IS), RP_E_NOT_FOUND);
    ck_assert_int_eq(run_mode(folder, RP_OS_SUBJECT_AS_IS), RP_E_SYSTEM);
    ck_assert_int_eq(run_mode(empty, RP_OS_SUBJECT_AS_IS), RP_E_ARGUMENT);
    ck_assert_int_eq(fault_open_descriptors(), descriptors);
    nothing_left();
}

TEST(an_answer_and_the_environment_get_through)
{
    char *const answering[] = {"sh", "-c", "printf '%s %s' \"$RP_ASKED\" \"$HOME\" >&9", NULL};
    const char *const environment[] = {"RP_ASKED=yes", "HOME=/elsewhere", NULL};
    rp_os_subject_desc desc = {.argv = answering, .environment = environment, .want_answer = true};
    ck_ok(rp_os_subject_run(&desc, &end));
    ck_assert_uint_eq(end.answer_bytes, strlen("yes /elsewhere"));
    ck_assert_int_eq(memcmp(end.answer, "yes /elsewhere", end.answer_bytes), 0);
}

static int prints(void *context)
{
    const bool *show = context;
    char *const loud[] = {"sh", "-c", "echo told; echo off >&2; read x || echo no input", NULL};
    rp_os_subject_desc desc = {.argv = loud, .show_output = *show};
    return rp_os_subject_run(&desc, &end) ? 1 : 0;
}

TEST(its_output_goes_nowhere_unless_asked_for)
{
    bool show = false;
    child_end silent = child_run(prints, &show);
    ck_assert_str_eq(silent.error_text, "");
    show = true;
    child_end loud = child_run(prints, &show);
    ck_assert_str_eq(loud.error_text, "told\noff\nno input\n");
}

/* As a sandbox does it. */
static bool forbid_ptrace(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {RP_COUNT_OF(filter), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int without_tracing(void *context)
{
    (void)context;
    if (!forbid_ptrace()) {
        return 9;
    }
    char *const missing[] = {"/nowhere/program", NULL};
    bool good = run_mode(endless, RP_OS_SUBJECT_NO_RANDOMISATION) == RP_OK && !end.traced &&
                !end.ended_itself && end.seen[RP_OS_SETTLED] && end.seen[RP_OS_AT_END] &&
                the_seen.program == UINT64_C(0x555555554000);
    good = good && run_mode(quick, RP_OS_SUBJECT_AS_IS) == RP_OK && end.ended_itself;
    return good && run_mode(missing, RP_OS_SUBJECT_AS_IS) == RP_E_NOT_FOUND ? 0 : 1;
}

TEST(where_tracing_is_forbidden_maps_are_polled)
{
    int code = child_run(without_tracing, NULL).exit_code;
    ck_assert_msg(code == 0 || code == 9, "%d", code);
}

TEST(ignored_child_signals_do_not_lose_it)
{
    signal(SIGCHLD, SIG_IGN);
    ck_ok(run_mode(quick, RP_OS_SUBJECT_AS_IS));
    ck_assert(end.ended_itself);
    struct sigaction now;
    sigaction(SIGCHLD, NULL, &now);
    ck_assert(now.sa_handler == SIG_IGN);
}

static rp_status attempt(void *context)
{
    (void)context;
    rp_os_subject_desc desc = {.argv = quick, .want_answer = true};
    return rp_os_subject_run(&desc, &end);
}

TEST(every_failing_call_is_told)
{
    fault_each_call(attempt, NULL, EMFILE);
    nothing_left();
}
