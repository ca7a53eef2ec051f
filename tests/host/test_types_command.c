/* `reprise types` against hosts that answer well, refuse, lie, and talk garbage. */
#include "cmd_types.h"

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
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], output[8192], errors[4096];

static const char good[] =
    "{\"ok\":true,\"name\":\"game\",\"build\":2,\"frame\":7,\"types\":{\"blocks\":3,\"bytes\":96,"
    "\"variables\":5,\"variables_typed\":4,\"totals\":{"
    "\"known\":{\"blocks\":0,\"bytes\":0},\"inferred\":{\"blocks\":2,\"bytes\":64},"
    "\"ambiguous\":{\"blocks\":1,\"bytes\":32},\"unknown\":{\"blocks\":0,\"bytes\":0}},"
    "\"groups\":[{\"state\":\"inferred\",\"why\":\"pointer\",\"type\":\"struct Node\",\"blocks\":2,"
    "\"bytes\":64,\"objects\":2,\"site\":\"\",\"by\":\"first\",\"also\":[],\"also_by\":\"\","
    "\"chain\":[\"first\",\"Node.next\"]},"
    "{\"state\":\"ambiguous\",\"why\":\"disagree\",\"type\":\"struct Left\",\"blocks\":1,"
    "\"bytes\":32,\"objects\":1,\"site\":\"game.c:9\",\"by\":\"left\",\"also\":[\"struct Right\"],"
    "\"also_by\":\"right\",\"chain\":[\"left\"],\"answer\":\"left=struct Left\"}],\"left_out\":2}}";

static void in_fresh_directory(void)
{
    strcpy(directory, "/tmp/rp-types-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void clean_up(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* Answers one client with the bytes and closes. */
static pid_t serve_bytes(const char *path, const char *bytes, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    pid_t child = fork();
    if (child == 0) {
        char request[256];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int client = accept(listener, NULL, NULL);
        ssize_t got = read(client, request, sizeof request);
        ssize_t sent = got > 0 ? send(client, bytes, length, MSG_NOSIGNAL) : 0;
        _exit(sent < 0);
    }
    close(listener);
    return child;
}

static void read_back(const char *file, char *text, size_t capacity)
{
    int fd = open(file, O_RDONLY);
    ssize_t got = read(fd, text, capacity - 1);
    text[got > 0 ? got : 0] = 0;
    close(fd);
}

static int run_types(char **argv, int argc)
{
    char out[96], err[96];
    int status = 0;
    snprintf(out, sizeof out, "%s/out", directory);
    snprintf(err, sizeof err, "%s/err", directory);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr)) {
            _exit(99);
        }
        int code = cmd_types(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    waitpid(child, &status, 0);
    read_back(out, output, sizeof output);
    read_back(err, errors, sizeof errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int answered(const char *bytes, size_t length, bool json)
{
    char path[96], type[] = "types", socket_option[] = "--socket", json_option[] = "--json";
    snprintf(path, sizeof path, "%s/socket", directory);
    pid_t host = serve_bytes(path, bytes, length);
    char *argv[] = {type, socket_option, path, json_option, NULL};
    int code = run_types(argv, json ? 4 : 3);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    return code;
}

static int answered_line(const char *text, bool json)
{
    char line[8192];
    snprintf(line, sizeof line, "%s\n", text);
    return answered(line, strlen(line), json);
}

TEST(a_survey_is_a_table_with_its_answer)
{
    in_fresh_directory();
    ck_assert_int_eq(answered_line(good, false), 0);
    ck_assert_str_eq(errors, "");
    ck_assert_ptr_nonnull(strstr(output, "game \u00b7 build 2 \u00b7 frame 7\n"));
    ck_assert_ptr_nonnull(strstr(output, "struct Node  by first \u2192 Node.next\n"));
    ck_assert_ptr_nonnull(
        strstr(output, "made at game.c:9  another pointer says: struct Right, by right\n"));
    ck_assert_ptr_nonnull(strstr(output, "answer: reprise ctl reload 'left=struct Left'\n"));
    ck_assert_ptr_nonnull(strstr(output, "and 2 blocks of more kinds"));
    ck_assert_int_eq(answered_line(good, true), 0);
    ck_assert_ptr_nonnull(strstr(output, "\"variables_typed\":4"));
    clean_up();
}

TEST(a_refusal_is_an_error_and_exit_code_1)
{
    in_fresh_directory();
    ck_assert_int_eq(answered_line("{\"ok\":false,\"error\":\"types: no\\u001b[2J\"}", false), 1);
    ck_assert_str_eq(errors, "reprise: types: no?[2J\n");
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(answered_line("{\"ok\":false}", false), 1);
    ck_assert_ptr_nonnull(strstr(errors, "does not say why"));
    ck_assert_int_eq(answered_line("{}", false), 1);
    clean_up();
}

TEST(what_a_terminal_would_obey_is_not_passed_on)
{
    char bad[sizeof good + 64];
    in_fresh_directory();
    const char *at = strstr(good, "struct Node");
    snprintf(bad, sizeof bad, "%.*s\\u001b]0;x\\u0007\\u009b2J%s", (int)(at - good), good, at);
    ck_assert_int_eq(answered_line(bad, false), 0);
    ck_assert_ptr_nonnull(strstr(output, "?]0;x??2Jstruct Node"));
    ck_assert_ptr_null(strchr(output, '\033'));
    ck_assert_ptr_null(strstr(output, "\xc2\x9b"));
    clean_up();
}

/* Each member of the answer in turn is replaced by something of another kind. */
TEST(an_answer_with_a_member_of_another_kind_is_no_answer)
{
    static const char *const members[] = {
        "\"build\":2",          "\"frame\":7",      "\"types\":{",   "\"blocks\":3",
        "\"bytes\":96",         "\"variables\":5",  "\"totals\":{",  "\"groups\":[",
        "\"inferred\":{",       "\"unknown\":{",    "\"why\":\"p",   "\"type\":\"struct N",
        "\"objects\":2",        "\"site\":\"\"",    "\"also\":[]",   "\"chain\":[",
        "\"left_out\":2",       "\"also_by\":\"\"", "\"by\":\"left", "\"state\":\"inf",
        "\"variables_typed\":4"};
    in_fresh_directory();
    for (size_t i = 0; i < RP_COUNT_OF(members); i++) {
        char bad[sizeof good + 64];
        const char *at = strstr(good, members[i]);
        size_t key = strcspn(members[i] + 1, "\"") + 3;
        ck_assert_ptr_nonnull(at);
        snprintf(bad, sizeof bad, "%.*s-1,\"_\":%s", (int)(at - good + (ptrdiff_t)key), good,
                 at + key);
        ck_assert_int_eq(answered_line(bad, i % 2), 1);
        ck_assert_msg(strstr(errors, "none of `reprise types`"), "%s: %s", members[i], errors);
        ck_assert_str_eq(output, "");
    }
    clean_up();
}

/* Cut off anywhere, and with bytes that are none of JSON's. */
TEST(garbage_is_an_error_and_nothing_is_printed)
{
    in_fresh_directory();
    uint64_t state = test_seed();
    for (int i = 0; i < 60; i++) {
        char bad[sizeof good + 1];
        size_t length = test_random(&state) % (sizeof good - 1);
        memcpy(bad, good, sizeof good);
        for (uint64_t k = test_random(&state) % 3; k > 0; k--) {
            bad[test_random(&state) % (length + 1)] = (char)test_random(&state);
        }
        bad[length] = '\n';
        int code = answered(bad, length + (size_t)(i % 2), false);
        ck_assert_msg(code == 1 || code == 3, "%d: %s", code, output);
        ck_assert_str_eq(output, "");
        ck_assert_str_ne(errors, "");
    }
    clean_up();
}

TEST(nobody_there_and_wrong_usage_have_codes_of_their_own)
{
    char type[] = "types", name[] = "game", option[] = "--sideways", help[] = "--help";
    char *nobody[] = {type, name, NULL}, *wrong[] = {type, option, NULL},
         *helps[] = {type, help, NULL};
    in_fresh_directory();
    ck_assert_int_eq(run_types(nobody, 2), 3);
    ck_assert_int_eq(run_types(wrong, 2), 2);
    ck_assert_int_eq(run_types(helps, 2), 0);
    ck_assert_ptr_nonnull(strstr(output, "reprise types game"));
    clean_up();
}
