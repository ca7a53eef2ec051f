/* The control socket against clients that mean harm, and a host that must never wait for them. */
#include "control/control.h"

#include "base/bits.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], path[96];

static bool held;       /* {"cmd":"wait"} is not answered yet */
static control *nested; /* {"cmd":"nest"} polls it from within its answer */

static void in_fresh_directory(void)
{
    strcpy(directory, "/tmp/rp-control-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/game.sock", directory);
}

static void clean_up(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* {"cmd":"big"} is answered with 1 MiB, "wait" and "nest" as above, all else with what was asked
 * and how many came before. */
static json_t *echo(void *context, const json_t *request)
{
    const char *cmd = json_string_value(json_object_get(request, "cmd"));
    int *count = context;
    if (cmd && !strcmp(cmd, "big")) {
        char *text = malloc(RP_MIB(1) + 1);
        memset(text, 'x', RP_MIB(1));
        text[RP_MIB(1)] = 0;
        json_t *answer = json_pack("{s:b,s:s}", "ok", 1, "text", text);
        free(text);
        return answer;
    }
    if (cmd && !strcmp(cmd, "wait") && held) {
        return control_later();
    }
    if (cmd && !strcmp(cmd, "nest") && nested) {
        for (int i = 0; i < 5; i++) {
            control_poll(nested);
        }
    }
    if (cmd && !strcmp(cmd, "latin")) {
        return json_pack("{s:o}", "text", json_stringn_nocheck("\xe4", 1));
    }
    return json_pack("{s:b,s:i,s:O?}", "ok", 1, "count", ++*count, "cmd",
                     json_object_get(request, "cmd"));
}

static int served;

static control *serve_here(void)
{
    control *c;
    in_fresh_directory();
    served = 0;
    ck_ok(control_open(path, echo, &served, &c));
    return c;
}

static void finish(control *c)
{
    control_close(c);
    clean_up();
}

static int connect_to(const char *to)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strcpy(address.sun_path, to);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Polls the host only when its descriptor says so, as the host's loop does. */
static void run_host(control *c)
{
    struct pollfd ready = {.events = POLLIN};
    ck_assert_int_eq(control_fds(c, &ready.fd, 1), 1);
    for (int i = 0; i < 200 && poll(&ready, 1, 0) == 1; i++) {
        control_poll(c);
    }
}

static void write_all(control *c, int fd, const char *bytes, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t now = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EAGAIN) {
            return;
        }
        sent += now > 0 ? (size_t)now : 0;
        run_host(c);
    }
}

static void write_text(control *c, int fd, const char *text)
{
    write_all(c, fd, text, strlen(text));
}

/* One line, without its end; "" when the host has closed. */
static char *read_line(control *c, int fd, char *line, size_t capacity)
{
    size_t length = 0;
    for (int idle = 0; idle < 100 && length + 1 < capacity;) {
        ssize_t there = recv(fd, line + length, capacity - 1 - length, MSG_PEEK);
        if (there == 0 || (there < 0 && errno != EAGAIN)) {
            length = 0;
            break;
        }
        if (there < 0) {
            idle++;
            run_host(c);
            continue;
        }
        char *end = memchr(line + length, '\n', (size_t)there);
        size_t take = end ? (size_t)(end - line) + 1 - length : (size_t)there;
        ck_assert_int_eq(recv(fd, line + length, take, 0), (ssize_t)take);
        length += take;
        if (end) {
            length--;
            break;
        }
    }
    line[length] = 0;
    return line;
}

static bool is_closed(control *c, int fd)
{
    char byte;
    run_host(c);
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

static void assert_answers(control *c)
{
    char line[256];
    int fd = connect_to(path);
    write_text(c, fd, "{\"cmd\":\"hello\"}\n");
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "\"cmd\":\"hello\""));
    close(fd);
    run_host(c);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* A host in a process of its own, for clients that wait. */
static pid_t serve_elsewhere(void)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        control *c;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (control_open(path, echo, &served, &c) != RP_OK || write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        struct pollfd wait = {.events = POLLIN};
        control_fds(c, &wait.fd, 1);
        for (;;) {
            poll(&wait, 1, -1);
            control_poll(c);
        }
    }
    char byte;
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

/* ---- who may come --------------------------------------------------------------------------- */

TEST(the_socket_is_for_this_user_alone_whatever_the_umask)
{
    struct stat info;
    umask(0);
    control *c = serve_here();
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    finish(c);
}

TEST(the_directory_is_for_this_user_alone_whatever_the_umask)
{
    char got[128], made[80];
    struct stat info;
    in_fresh_directory();
    setenv("XDG_RUNTIME_DIR", directory, 1);
    umask(0);
    ck_ok(control_path("game", got, sizeof got));
    snprintf(made, sizeof made, "%s/reprise", directory);
    ck_assert_int_eq(stat(made, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0700);
    strcat(made, "/game.sock");
    ck_assert_str_eq(got, made);
    clean_up();
}

TEST(a_directory_that_others_may_enter_is_refused)
{
    char got[128], made[80];
    in_fresh_directory();
    setenv("XDG_RUNTIME_DIR", directory, 1);
    snprintf(made, sizeof made, "%s/reprise", directory);
    ck_assert_int_eq(mkdir(made, 0700), 0);
    ck_assert_int_eq(chmod(made, 0710), 0);
    ck_assert_int_eq(control_path("game", got, sizeof got), RP_E_BUSY);
    ck_assert_int_eq(chmod(made, 0700), 0);
    ck_ok(control_path("game", got, sizeof got));
    clean_up();
}

TEST(a_link_in_the_directorys_place_is_refused)
{
    char got[128], made[80];
    in_fresh_directory();
    setenv("XDG_RUNTIME_DIR", directory, 1);
    snprintf(made, sizeof made, "%s/reprise", directory);
    ck_assert_int_eq(symlink(directory, made), 0);
    ck_assert_int_eq(control_path("game", got, sizeof got), RP_E_BUSY);
    clean_up();
}

TEST(a_name_that_could_leave_the_directory_is_refused)
{
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "/", "../x", "a\nb", "a\x7f"};
    char got[128], longer[CONTROL_NAME_BYTES + 1];
    in_fresh_directory();
    setenv("XDG_RUNTIME_DIR", directory, 1);
    for (size_t i = 0; i < RP_COUNT_OF(bad); i++) {
        ck_assert_int_eq(control_path(bad[i], got, sizeof got), RP_E_ARGUMENT);
    }
    memset(longer, 'a', sizeof longer);
    longer[CONTROL_NAME_BYTES] = 0;
    ck_assert_int_eq(control_path(longer, got, sizeof got), RP_E_ARGUMENT);
    ck_assert_int_eq(control_path("game", got, 12), RP_E_RANGE);
    clean_up();
}

/* ---- one host a name ------------------------------------------------------------------------ */

TEST(a_second_host_is_refused_while_the_first_lives)
{
    control *first = serve_here(), *second = NULL;
    ck_assert_int_eq(control_open(path, echo, &served, &second), RP_E_BUSY);
    ck_assert_ptr_null(second);
    run_host(first);
    assert_answers(first);
    finish(first);
}

TEST(a_socket_that_a_dead_host_left_is_taken_over)
{
    control *c;
    in_fresh_directory();
    end(serve_elsewhere());
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_ok(control_open(path, echo, &served, &c));
    assert_answers(c);
    finish(c);
}

TEST(a_file_in_the_sockets_place_is_not_removed)
{
    control *c;
    in_fresh_directory();
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(control_open(path, echo, &served, &c), RP_E_BUSY);
    ck_assert_int_eq(access(path, F_OK), 0);
    clean_up();
}

TEST(closing_removes_the_socket_but_never_that_of_another)
{
    control *first = serve_here(), *second;
    int before = open_descriptors();
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(control_open(path, echo, &served, &second));
    control_close(first);
    ck_assert_int_eq(access(path, F_OK), 0);
    assert_answers(second);
    control_close(second);
    ck_assert_int_lt(access(path, F_OK), 0);
    ck_assert_int_lt(open_descriptors(), before);
    clean_up();
}

TEST(a_path_too_long_for_a_socket_is_said_so)
{
    char longer[300];
    control *c;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    ck_assert_int_eq(control_open(longer, echo, &served, &c), RP_E_RANGE);
    ck_assert_int_eq(control_open("", echo, &served, &c), RP_E_RANGE);
}

TEST(the_living_are_listed_and_the_dead_are_not)
{
    char names[4][CONTROL_NAME_BYTES], got[128];
    control *b, *a;
    in_fresh_directory();
    setenv("XDG_RUNTIME_DIR", directory, 1);
    ck_assert_int_eq(control_list(names, 4), 0);
    ck_ok(control_path("dead", path, sizeof path));
    end(serve_elsewhere());
    ck_ok(control_path("b", got, sizeof got));
    ck_ok(control_open(got, echo, &served, &b));
    ck_ok(control_path("a", got, sizeof got));
    ck_ok(control_open(got, echo, &served, &a));
    ck_assert_int_eq(control_list(names, 4), 2);
    ck_assert_str_eq(names[0], "a");
    ck_assert_str_eq(names[1], "b");
    ck_assert_int_eq(control_list(names, 1), 1);
    control_close(a);
    control_close(b);
    clean_up();
}

/* ---- requests ------------------------------------------------------------------------------- */

TEST(requests_that_come_at_once_are_answered_in_turn)
{
    char line[256], wanted[32];
    control *c = serve_here();
    int fd = connect_to(path);
    write_text(c, fd, "{\"cmd\":\"a\"}\n{\"cmd\":\"b\"}\r\n{}\n{\"cmd\":");
    for (int i = 1; i <= 3; i++) {
        snprintf(wanted, sizeof wanted, "\"count\":%d", i);
        ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), wanted));
    }
    write_text(c, fd, "\"d\"}\n");
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "\"cmd\":\"d\""));
    close(fd);
    finish(c);
}

TEST(an_answer_that_is_no_utf8_is_said_so)
{
    char line[256];
    control *c = serve_here();
    int fd = connect_to(path);
    write_text(c, fd, "{\"cmd\":\"latin\"}\n{}\n");
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "cannot be written as JSON"));
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "\"ok\":true"));
    close(fd);
    finish(c);
}

TEST(a_request_may_come_byte_by_byte)
{
    static const char request[] = "{\"cmd\":\"slow\"}\n";
    char line[256];
    control *c = serve_here();
    int fd = connect_to(path);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        ck_assert_int_eq(served, 0);
        write_all(c, fd, request + i, 1);
    }
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "slow"));
    close(fd);
    finish(c);
}

TEST(what_is_no_object_is_answered_with_an_error_and_the_connection_ends)
{
    static const char *const bad[] = {"\n",
                                      "[]\n",
                                      "7\n",
                                      "nonsense\n",
                                      "{\"cmd\":\n",
                                      "null\n",
                                      "{\"a\":1}{}\n",
                                      "{\"a\":1,\"a\":2}\n",
                                      "\"\xff\xfe\"\n"};
    char line[512];
    control *c = serve_here();
    for (size_t i = 0; i < RP_COUNT_OF(bad); i++) {
        int fd = connect_to(path);
        run_host(c);
        write_text(c, fd, bad[i]);
        ck_assert_msg(strstr(read_line(c, fd, line, sizeof line), "\"ok\":false") != NULL, "%s",
                      bad[i]);
        ck_assert(is_closed(c, fd));
        close(fd);
        assert_answers(c);
    }
    finish(c);
}

TEST(a_tower_of_brackets_is_refused)
{
    char line[512], *tower = malloc(60000);
    control *c = serve_here();
    int fd = connect_to(path);
    memset(tower, '[', 60000);
    write_all(c, fd, tower, 60000);
    write_text(c, fd, "\n");
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "\"ok\":false"));
    free(tower);
    close(fd);
    assert_answers(c);
    finish(c);
}

/* {"cmd":"xxx…"} of exactly `length` bytes, then a line's end. */
static char *request_of(size_t length)
{
    char *text = malloc(length + 1);
    memset(text, 'x', length);
    memcpy(text, "{\"cmd\":\"", 8);
    memcpy(text + length - 2, "\"}\n", 3);
    return text;
}

TEST(the_longest_request_is_answered_and_one_byte_more_is_not)
{
    char *line = malloc(RP_KIB(80));
    control *c = serve_here();
    for (size_t more = 0; more < 2; more++) {
        size_t length = CONTROL_REQUEST_MAX_BYTES + more;
        char *request = request_of(length);
        int fd = connect_to(path);
        write_all(c, fd, request, length + 1);
        read_line(c, fd, line, RP_KIB(80));
        ck_assert_ptr_nonnull(strstr(line, more ? "64 KiB" : "\"ok\":true"));
        ck_assert_int_eq(is_closed(c, fd), more);
        close(fd);
        free(request);
    }
    free(line);
    assert_answers(c);
    finish(c);
}

TEST(a_flood_without_a_lines_end_is_cut_off)
{
    char line[256], *flood = malloc(RP_MIB(1));
    control *c = serve_here();
    int fd = connect_to(path);
    memset(flood, 'y', RP_MIB(1));
    write_all(c, fd, flood, RP_MIB(1));
    ck_assert_ptr_nonnull(strstr(read_line(c, fd, line, sizeof line), "64 KiB"));
    ck_assert(is_closed(c, fd));
    ck_assert_int_eq(served, 0);
    free(flood);
    close(fd);
    assert_answers(c);
    finish(c);
}

TEST(half_a_request_and_a_closed_connection_leave_nothing)
{
    control *c = serve_here();
    int before = open_descriptors();
    for (int i = 0; i < 200; i++) {
        int fd = connect_to(path);
        write_text(c, fd, "{\"cmd\":\"ha");
        close(fd);
        run_host(c);
    }
    ck_assert_int_eq(open_descriptors(), before);
    ck_assert_int_eq(served, 0);
    assert_answers(c);
    finish(c);
}

TEST(noise_never_disturbs_the_host)
{
    uint64_t seed = test_seed();
    control *c = serve_here();
    for (int i = 0; i < 300; i++) {
        char noise[200];
        static const char alphabet[] = "{}[]\":,\n\\0 1etrufalscmd\xc3\xa4\0";
        size_t length = test_random(&seed) % sizeof noise;
        for (size_t k = 0; k < length; k++) {
            noise[k] = alphabet[test_random(&seed) % sizeof alphabet];
        }
        int fd = connect_to(path);
        write_all(c, fd, noise, length);
        if (test_random(&seed) % 2) {
            run_host(c);
        }
        close(fd);
    }
    run_host(c);
    assert_answers(c);
    finish(c);
}

/* ---- many, and slow ones -------------------------------------------------------------------- */

TEST(many_clients_are_served_at_the_same_time)
{
    char line[256];
    int fds[CONTROL_CLIENT_MAX];
    control *c = serve_here();
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        fds[i] = connect_to(path);
        run_host(c);
    }
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        write_text(c, fds[i], "{\"cmd\":\"one of many\"}\n");
    }
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        ck_assert_ptr_nonnull(strstr(read_line(c, fds[i], line, sizeof line), "one of many"));
        close(fds[i]);
    }
    finish(c);
}

TEST(a_newcomer_takes_the_place_of_the_one_that_was_silent_for_longest)
{
    char line[256];
    int fds[CONTROL_CLIENT_MAX];
    control *c = serve_here();
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        fds[i] = connect_to(path);
        run_host(c);
    }
    write_text(c, fds[0], "{\"cmd\":\"still here\"}\n");
    read_line(c, fds[0], line, sizeof line);
    assert_answers(c);
    ck_assert(!is_closed(c, fds[0]));
    ck_assert(is_closed(c, fds[1]));
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        close(fds[i]);
    }
    finish(c);
}

TEST(a_reader_that_does_not_read_never_holds_up_the_host)
{
    enum { ASKED = 20 };
    char *line = malloc(RP_MIB(2));
    control *c = serve_here();
    int slow = connect_to(path);
    for (int i = 0; i < ASKED; i++) {
        write_text(c, slow, "{\"cmd\":\"big\"}\n");
    }
    for (int i = 0; i < 50; i++) {
        assert_answers(c); /* a send that waits would hang the test here */
    }
    for (int i = 0; i < ASKED; i++) {
        read_line(c, slow, line, RP_MIB(2));
        ck_assert_uint_gt(strlen(line), RP_MIB(1));
        ck_assert_int_eq(line[strlen(line) - 1], '}');
    }
    free(line);
    close(slow);
    finish(c);
}

TEST(a_reader_that_leaves_in_the_middle_of_its_answer_leaves_nothing)
{
    control *c = serve_here();
    int before = open_descriptors();
    for (int i = 0; i < 50; i++) {
        int fd = connect_to(path);
        write_text(c, fd, "{\"cmd\":\"big\"}\n");
        close(fd);
        run_host(c);
    }
    ck_assert_int_eq(open_descriptors(), before);
    assert_answers(c);
    finish(c);
}

/* ---- asking --------------------------------------------------------------------------------- */

TEST(asking_gets_the_answer)
{
    json_t *request = json_pack("{s:s}", "cmd", "big"), *answer = NULL;
    in_fresh_directory();
    pid_t host = serve_elsewhere();
    for (int i = 0; i < 5; i++) {
        ck_ok(control_ask(path, request, 5000, &answer));
        ck_assert_uint_eq(json_string_length(json_object_get(answer, "text")), RP_MIB(1));
        json_decref(answer);
    }
    end(host);
    ck_assert_int_eq(control_ask(path, request, 1000, &answer), RP_E_NOT_FOUND);
    json_decref(request);
    clean_up();
}

TEST(asking_tells_nobody_there_from_no_answer)
{
    json_t *request = json_pack("{s:s}", "cmd", "status"), *answer = NULL;
    control *c = serve_here();
    ck_assert_int_eq(control_ask(path, request, 30, &answer), RP_E_TIMEOUT);
    control_close(c);
    ck_assert_int_eq(control_ask(path, request, 30, &answer), RP_E_NOT_FOUND);
    ck_assert_ptr_null(answer);
    json_decref(request);
    clean_up();
}

/* Takes one connection, writes `answer`, closes. */
static pid_t answer_once(const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        char request[64];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = accept(listener, NULL, NULL);
        ssize_t got = read(fd, request, sizeof request);
        _exit(got > 0 && write(fd, answer, strlen(answer)) >= 0 ? 0 : 1);
    }
    close(listener);
    return child;
}

TEST(asking_a_stranger_is_an_error_of_its_own)
{
    static const struct {
        const char *answer;
        rp_status status;
    } cases[] = {{"", RP_E_CLOSED},
                 {"{\"ok\":", RP_E_CLOSED},
                 {"[1]\n", RP_E_FORMAT},
                 {"hello\n", RP_E_FORMAT}};
    json_t *request = json_pack("{s:s}", "cmd", "status"), *answer = NULL;
    in_fresh_directory();
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        pid_t child = answer_once(cases[i].answer);
        ck_assert_int_eq(control_ask(path, request, 5000, &answer), cases[i].status);
        waitpid(child, NULL, 0);
        unlink(path);
    }
    json_decref(request);
    clean_up();
}

/* What came is there; nothing more is. */
static bool is_silent(control *c, int fd)
{
    char byte;
    for (int i = 0; i < 5; i++) {
        control_poll(c);
    }
    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

TEST(a_request_that_has_to_wait_is_answered_later_and_holds_up_nobody_else)
{
    char line[256];
    control *c = serve_here();
    int waiting = connect_to(path), other = connect_to(path);
    held = true;
    write_text(c, waiting, "{\"cmd\":\"wait\"}\n{\"cmd\":\"behind\"}\n");
    ck_assert(is_silent(c, waiting));
    write_text(c, other, "{\"cmd\":\"other\"}\n");
    ck_assert_ptr_nonnull(strstr(read_line(c, other, line, sizeof line), "\"count\":1"));
    write_text(c, waiting, "{\"cmd\":\"third\"}\n");
    ck_assert(is_silent(c, waiting));
    held = false;
    control_poll(c);
    ck_assert_ptr_nonnull(strstr(read_line(c, waiting, line, sizeof line), "\"wait\""));
    ck_assert_ptr_nonnull(strstr(read_line(c, waiting, line, sizeof line), "\"behind\""));
    ck_assert_ptr_nonnull(strstr(read_line(c, waiting, line, sizeof line), "\"third\""));
    close(waiting);
    close(other);
    finish(c);
}

TEST(a_client_that_goes_while_its_request_waits_is_not_obeyed)
{
    control *c = serve_here();
    int waiting = connect_to(path);
    held = true;
    write_text(c, waiting, "{\"cmd\":\"wait\"}\n");
    ck_assert(is_silent(c, waiting));
    close(waiting);
    for (int i = 0; i < 3; i++) {
        control_poll(c);
    }
    held = false;
    control_poll(c);
    ck_assert_int_eq(served, 0);
    finish(c);
}

TEST(polls_from_within_an_answer_serve_the_others_and_leave_its_client_alone)
{
    char line[256];
    control *c = nested = serve_here();
    int asking = connect_to(path), others[CONTROL_CLIENT_MAX + 3];
    run_host(c);
    for (int i = 0; i < CONTROL_CLIENT_MAX + 3; i++) { /* the last four come while it is answered */
        others[i] = connect_to(path);
        if (i < CONTROL_CLIENT_MAX - 1) {
            run_host(c);
        }
    }
    ck_assert_int_gt(send(asking, "{\"cmd\":\"nest\"}\n{\"cmd\":\"b\"}\n", 27, 0), 0);
    ck_assert_ptr_nonnull(strstr(read_line(c, asking, line, sizeof line), "\"nest\""));
    ck_assert_ptr_nonnull(strstr(read_line(c, asking, line, sizeof line), "\"b\""));
    for (size_t i = 0; i < RP_COUNT_OF(others); i++) {
        close(others[i]);
    }
    close(asking);
    nested = NULL;
    finish(c);
}
