/* `reprise ctl`: what it sends, what it prints, and its exit codes. */
#include "cmd_ctl.h"

#include "base/bits.h"
#include "control/control.h"
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

static char directory[64];
static char output[8192], errors[8192];

static void in_fresh_directory(void)
{
    strcpy(directory, "/tmp/rp-ctl-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void clean_up(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* Sends the request back under "got"; refuses "skip". */
static json_t *mirror(void *context, const json_t *request)
{
    (void)context;
    if (!strcmp(json_string_value(json_object_get(request, "cmd")), "skip")) {
        return json_pack("{s:b,s:s}", "ok", 0, "error", "skip: nothing failed: play on");
    }
    return json_pack("{s:b,s:s,s:i,s:O}", "ok", 1, "mode", "pause", "frame", 12, "got", request);
}

static pid_t serve(const char *name)
{
    char path[128], byte;
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    ck_ok(control_path(name, path, sizeof path));
    pid_t child = fork();
    if (child == 0) {
        control *c;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (control_open(path, mirror, NULL, &c) != RP_OK || write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        struct pollfd wait = {.events = POLLIN};
        control_fds(c, &wait.fd, 1);
        for (;;) {
            poll(&wait, 1, -1);
            control_poll(c);
        }
    }
    close(ready[1]);
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void read_back(const char *file, char *text, size_t capacity)
{
    int fd = open(file, O_RDONLY);
    ssize_t got = read(fd, text, capacity - 1);
    text[got > 0 ? got : 0] = 0;
    close(fd);
}

/* Runs `reprise ctl …` in a process of its own; words are divided by spaces. Returns the exit code.
 */
static int ctl(const char *words)
{
    char line[256], out[96], err[96], *argv[16] = {"ctl"};
    int argc = 1, status = 0;
    snprintf(line, sizeof line, "%s", words);
    snprintf(out, sizeof out, "%s/out", directory);
    snprintf(err, sizeof err, "%s/err", directory);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr)) {
            _exit(99);
        }
        int code = cmd_ctl(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    waitpid(child, &status, 0);
    read_back(out, output, sizeof output);
    read_back(err, errors, sizeof errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(each_command_is_sent_with_its_numbers)
{
    static const struct {
        const char *words, *request;
    } cases[] = {
        {"status", "{\"cmd\":\"status\"}"},
        {"take-over", "{\"cmd\":\"take-over\"}"},
        {"step", "{\"cmd\":\"step\"}"},
        {"step 3", "{\"cmd\":\"step\",\"a\":3}"},
        {"seek 0", "{\"cmd\":\"seek\",\"a\":0}"},
        {"loop 120 240", "{\"cmd\":\"loop\",\"a\":120,\"b\":240}"},
        {"speed 4", "{\"cmd\":\"speed\",\"a\":1,\"b\":4}"},
        {"speed 1/8", "{\"cmd\":\"speed\",\"a\":8,\"b\":1}"},
    };
    char words[128];
    in_fresh_directory();
    pid_t host = serve("game");
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        snprintf(words, sizeof words, "--json --name game %s", cases[i].words);
        ck_assert_int_eq(ctl(words), 0);
        ck_assert_msg(strstr(output, cases[i].request) != NULL, "%s: %s", words, output);
        ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
    }
    end(host);
    clean_up();
}

TEST(options_may_stand_behind_the_command)
{
    in_fresh_directory();
    pid_t host = serve("game"), other = serve("other");
    ck_assert_int_eq(ctl("loop 120 --json 240 --name game"), 0);
    ck_assert_ptr_nonnull(strstr(output, "{\"cmd\":\"loop\",\"a\":120,\"b\":240}"));
    ck_assert_int_eq(ctl("status --nonsense"), 2);
    ck_assert_int_eq(ctl("seek -1 --name game"), 2);
    ck_assert_ptr_nonnull(strstr(errors, "whole numbers"));
    end(host);
    end(other);
    clean_up();
}

TEST(an_answer_is_shown_as_lines)
{
    in_fresh_directory();
    pid_t host = serve("game");
    ck_assert_int_eq(ctl("status"), 0);
    ck_assert_str_eq(output, "mode       pause\nframe      12\ngot        {\"cmd\":\"status\"}\n");
    ck_assert_str_eq(errors, "");
    end(host);
    clean_up();
}

TEST(a_refusal_is_an_error_and_exit_code_1)
{
    in_fresh_directory();
    pid_t host = serve("game");
    ck_assert_int_eq(ctl("skip"), 1);
    ck_assert_str_eq(errors, "reprise: skip: nothing failed: play on\n");
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(ctl("--json skip"), 1);
    ck_assert_ptr_nonnull(strstr(output, "\"ok\":false"));
    end(host);
    clean_up();
}

TEST(wrong_usage_is_exit_code_2_and_asks_nobody)
{
    static const char *const wrong[] = {"",
                                        "fly",
                                        "seek",
                                        "seek -x",
                                        "seek -1",
                                        "seek 1 2",
                                        "loop 1",
                                        "loop 1 2 3",
                                        "play 1",
                                        "speed 0",
                                        "speed -1",
                                        "speed 1/0",
                                        "--name",
                                        "--nonsense",
                                        "step 1x",
                                        "--name .. status",
                                        "--name a --socket b status",
                                        "seek 99999999999999999999"};
    in_fresh_directory();
    for (size_t i = 0; i < RP_COUNT_OF(wrong); i++) {
        ck_assert_msg(ctl(wrong[i]) == 2, "%s", wrong[i]);
        ck_assert_msg(!strncmp(errors, "reprise: ", 9), "%s: %s", wrong[i], errors);
    }
    clean_up();
}

TEST(nobody_there_is_exit_code_3)
{
    char words[160];
    in_fresh_directory();
    ck_assert_int_eq(ctl("status"), 3);
    ck_assert_int_eq(ctl("--name game status"), 3);
    end(serve("game"));
    ck_assert_int_eq(ctl("--name game status"), 3);
    snprintf(words, sizeof words, "--socket %s/none.sock status", directory);
    ck_assert_int_eq(ctl(words), 3);
    clean_up();
}

TEST(of_two_programs_one_must_be_named)
{
    char words[160];
    in_fresh_directory();
    pid_t game = serve("game"), synth = serve("synth");
    ck_assert_int_eq(ctl("status"), 2);
    ck_assert_ptr_nonnull(strstr(errors, "game, synth"));
    ck_assert_int_eq(ctl("--name synth status"), 0);
    snprintf(words, sizeof words, "--socket=%s/reprise/game.sock status", directory);
    ck_assert_int_eq(ctl(words), 0);
    end(synth);
    ck_assert_int_eq(ctl("status"), 0);
    end(game);
    clean_up();
}

TEST(help_names_every_exit_code_and_gives_an_example)
{
    in_fresh_directory();
    ck_assert_int_eq(ctl("--help"), 0);
    ck_assert_ptr_nonnull(strstr(output, "3 nobody there"));
    ck_assert_ptr_nonnull(strstr(output, "examples\n  reprise ctl"));
    ck_assert_ptr_nonnull(strstr(output, "take-over"));
    clean_up();
}
