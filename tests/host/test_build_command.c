/* The build command's process group, its output, and its end. */
#include "build_command.h"

#include "base/bits.h"
#include "os/os.h"
#include "support/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static build_command command;
static char text[BUILD_COMMAND_TEXT_BYTES];

static void wait_for_the_end(void)
{
    while (!build_command_poll(&command)) {
        struct pollfd fds[] = {{.fd = command.ended, .events = POLLIN},
                               {.fd = command.output, .events = POLLIN}};
        ck_assert_int_gt(poll(fds, 2, 20000), 0);
    }
}

static int run(const char *shell)
{
    build_command_init(&command);
    ck_ok(build_command_start(&command, shell));
    wait_for_the_end();
    build_command_text(&command, text, sizeof text);
    return command.exit_code;
}

TEST(both_outputs_are_kept_in_order)
{
    ck_assert_int_eq(run("echo one; echo two >&2; echo three"), 0);
    ck_assert_str_eq(text, "one\ntwo\nthree\n");
    ck_assert_int_eq(command.pid, 0);
    ck_assert(!build_command_poll(&command));
}

TEST(the_exit_code_is_the_commands_own_or_128_and_the_signal)
{
    ck_assert_int_eq(run("exit 7"), 7);
    ck_assert_int_eq(run("kill -9 $$"), 128 + SIGKILL);
    ck_assert_int_eq(run("/nonexistent/compiler"), 127);
    ck_assert_ptr_nonnull(strstr(text, "not found"));
}

TEST(the_text_begins_with_the_first_error)
{
    run("echo cc -Werror a.c; echo 'a.c:1:2: error: bad'; echo 'a.c:9:9: error: worse'");
    ck_assert_str_eq(text, "a.c:1:2: error: bad\na.c:9:9: error: worse\n");
}

TEST(an_error_older_than_what_is_kept_still_comes_first)
{
    run("echo 'a.c:1:2: error: bad'; i=0; while [ $i -lt 3000 ]; do echo \"note number $i of "
        "many\"; "
        "i=$((i+1)); done");
    ck_assert_int_eq(strncmp(text, "a.c:1:2: error: bad\n", 20), 0);
    ck_assert_uint_ge(strlen(text), BUILD_COMMAND_TAIL_BYTES);
    ck_assert_uint_lt(strlen(text), sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "note number 2999 of many\n"));
    ck_assert_ptr_null(strstr(text, "note number 0 "));
}

TEST(an_error_without_a_lines_end_and_zero_bytes_are_taken)
{
    run("printf 'a\\0b\\nc.c: error: \\0x'");
    ck_assert_int_eq(strncmp(command.error, "c.c: error: x", 14), 0);
    ck_assert_int_eq(strncmp(text, "c.c: error: x\n", 14), 0);
}

TEST(text_into_a_small_buffer_is_cut_and_terminated)
{
    char small[8];
    run("echo 'a long error: line'");
    memset(small, 'x', sizeof small);
    ck_assert_uint_lt(build_command_text(&command, small, sizeof small), sizeof small);
    ck_assert_uint_lt(strnlen(small, sizeof small), sizeof small);
}

TEST(it_reads_nothing_from_the_hosts_input_and_gets_none_of_its_descriptors)
{
    int held = dup2(open("/dev/null", O_RDONLY), 77);
    ck_assert_int_eq(held, 77);
    run("cat; ls /proc/self/fd | grep -c 77");
    ck_assert_str_eq(text, "0\n");
    close(held);
}

TEST(signals_that_the_host_ignores_are_not_ignored_by_it)
{
    signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    run("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '0\\n\\t'");
    ck_assert_str_eq(text, "SigBlk:SigIgn:");
}

TEST(a_flood_of_output_does_not_hold_up_the_host)
{
    build_command_init(&command);
    ck_ok(build_command_start(&command, "yes"));
    for (int i = 0; i < 200; i++) {
        ck_assert(
            !build_command_poll(&command)); /* a poll that reads to the end would never return */
    }
    build_command_stop(&command);
    ck_assert_int_eq(command.pid, 0);
    build_command_stop(&command);
}

TEST(what_the_command_leaves_running_ends_with_it)
{
    char file[] = "/tmp/rp-command-XXXXXX", shell[128];
    int lock = mkstemp(file);
    snprintf(shell, sizeof shell, "flock -x %s sleep 1000 & sleep 0.2", file);
    ck_assert_int_eq(run(shell), 0);
    snprintf(shell, sizeof shell, "flock -w 10 %s true", file);
    ck_assert_int_eq(system(shell), 0);
    close(lock);
    unlink(file);
}

/* The host is a child here, killed as nothing can prepare for. */
TEST(a_host_that_is_killed_takes_the_command_with_it)
{
    char file[] = "/tmp/rp-command-XXXXXX", shell[128];
    int lock = mkstemp(file), ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    snprintf(shell, sizeof shell, "flock -x %s sh -c 'echo go; sleep 1000'; true", file);
    pid_t host = fork();
    if (host == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        build_command_init(&command);
        if (build_command_start(&command, shell) != RP_OK) {
            _exit(1);
        }
        while (!command.tail_length) {
            build_command_poll(&command);
        }
        _exit(write(ready[1], "r", 1) == 1 ? pause() : 1);
    }
    close(ready[1]);
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    snprintf(shell, sizeof shell, "flock -w 10 %s true", file);
    ck_assert_int_eq(system(shell), 0);
    close(ready[0]);
    close(lock);
    unlink(file);
}
