#include "stage/stage.h"
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* The stage runs in a child on a terminal of its own; it prints events into a pipe. */
typedef struct session {
    int terminal, events;
    pid_t child;
    char shown[1 << 20], told[1 << 14];
    size_t shown_length, told_length;
} session;

static const char leave[] = "\033[?1049l";
enum { PATIENCE_MS = 20000, SLICE_MS = 10 };

static void print_event(int events, const stage_event *event)
{
    static const char *const kinds[] = {"key",   "text",   "mouse", "pad",
                                        "scrub", "resize", "quit",  "lost"};
    dprintf(events, "%s %d %s %s\n", kinds[event->kind], event->key, event->down ? "down" : "up",
            event->text);
}

static void child_main(int events, bool leave_by_exit)
{
    static stage_view view = {.mode = "play", .build = 1, .newest = 10, .position = 5};
    static uint32_t pixels[16];
    stage_desc desc = {.title = "t", .width_px = 4, .height_px = 4};
    const stage_class *class;
    static stage *s; /* what exit() leaves behind is no leak */
    if (stage_open("term", &desc, &class, &s) != RP_OK) {
        dprintf(events, "failed %s\n", rp_error_last()->text);
        _exit(9);
    }
    dprintf(events, "open\n");
    view.pixels = pixels;
    view.width_px = view.height_px = view.stride_px = 4;
    for (;;) {
        stage_event event;
        while (class->poll(s, &event)) {
            print_event(events, &event);
            if (event.kind == STAGE_QUIT || event.kind == STAGE_LOST) {
                if (leave_by_exit) {
                    exit(5);
                }
                class->close(s);
                _exit(event.kind == STAGE_LOST ? 3 : 0);
            }
        }
        view.position = 1 + view.position % 9;
        class->show(s, &view);
        usleep(5000);
    }
}

static session *start(bool leave_by_exit)
{
    static session only; /* the child that exits has it as well: on the heap it would be a leak */
    session *t = &only;
    *t = (session){0};
    int events[2];
    struct winsize size = {.ws_col = 60, .ws_row = 20};
    setenv("TERM", "xterm-256color", 1);
    unsetenv("NO_COLOR");
    ck_assert_int_eq(pipe(events), 0);
    t->child = forkpty(&t->terminal, NULL, NULL, &size);
    ck_assert_int_ge(t->child, 0);
    if (t->child == 0) {
        close(events[0]);
        /* Check has handlers for these, which would be taken for the host's. */
        signal(SIGTERM, SIG_DFL), signal(SIGINT, SIG_DFL), signal(SIGALRM, SIG_DFL);
        alarm(60);
        child_main(events[1], leave_by_exit);
    }
    close(events[1]);
    t->events = events[0];
    return t;
}

static bool read_some(int fd, char *to, size_t capacity, size_t *length)
{
    ssize_t count = *length + 1 < capacity ? read(fd, to + *length, capacity - 1 - *length) : 0;
    if (count > 0) {
        *length += (size_t)count;
        to[*length] = 0;
    }
    return count > 0;
}

/* Reads both until `wanted` stands in `where`, which may be null: then for a slice. */
static bool pump(session *t, const char *where, const char *wanted)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += SLICE_MS) {
        struct pollfd fds[2] = {{.fd = t->terminal, .events = POLLIN},
                                {.fd = t->events, .events = POLLIN}};
        poll(fds, t->terminal >= 0 ? 2 : 1, SLICE_MS);
        if (t->terminal < 0) {
            fds[1] = (struct pollfd){.fd = t->events, .events = POLLIN};
            poll(&fds[1], 1, SLICE_MS);
        } else if (fds[0].revents) {
            read_some(t->terminal, t->shown, sizeof t->shown, &t->shown_length);
        }
        if (fds[1].revents) {
            read_some(t->events, t->told, sizeof t->told, &t->told_length);
        }
        if (!where || strstr(where, wanted)) {
            return true;
        }
    }
    return false;
}

static void expect_told(session *t, const char *wanted)
{
    ck_assert_msg(pump(t, t->told, wanted), "no \"%s\" in:\n%s", wanted, t->told);
}

static void expect_shown(session *t, const char *wanted)
{
    ck_assert_msg(pump(t, t->shown, wanted), "the terminal never got \"%s\"",
                  wanted[0] == 27 ? wanted + 1 : wanted);
}

static void type(session *t, const char *text)
{
    ck_assert_int_eq(write(t->terminal, text, strlen(text)), (ssize_t)strlen(text));
}

static int finish(session *t)
{
    int status = 0;
    while (waitpid(t->child, &status, WNOHANG) == 0) {
        pump(t, NULL, NULL);
    }
    while (t->terminal >= 0 &&
           read_some(t->terminal, t->shown, sizeof t->shown, &t->shown_length)) {
    }
    close(t->events);
    if (t->terminal >= 0) {
        close(t->terminal);
    }
    return status;
}

static void expect_restored(const session *t)
{
    const char *last = strstr(t->shown, leave);
    ck_assert_msg(last, "the alternate screen was not left");
    ck_assert(strstr(t->shown, "\033[?25h") && strstr(t->shown, "\033[?1003l") &&
              strstr(t->shown, "\033[?7h"));
    ck_assert_msg(!strstr(last, "\033[48;"), "a picture after the end");
}

static bool is_raw(const session *t)
{
    struct termios state;
    ck_assert_int_eq(tcgetattr(t->terminal, &state), 0);
    return !(state.c_lflag & ICANON) && !(state.c_lflag & ECHO);
}

TEST(keys_come_in_and_are_released_and_ctrl_c_quits)
{
    session *t = start(false);
    expect_told(t, "open\n");
    expect_shown(t, "build 1");
    ck_assert(is_raw(t));
    type(t, "a\033[A");
    expect_told(t, "key 65 down \n");
    expect_told(t, "text 0 up a\n");
    expect_told(t, "key 130 down \n");
    expect_told(t, "key 65 up \n");
    expect_told(t, "key 130 up \n");
    type(t, "\033");
    expect_told(t, "key 27 down \n");
    type(t, "\003");
    expect_told(t, "quit");
    int status = finish(t);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_restored(t);
}

/* F12, then Shift F12 within the time in which a repeat would come: down twice, with an up between.
 */
TEST(a_function_key_with_shift_is_no_repeat_of_the_one_without)
{
    char down[32], up[32], expected[128];
    session *t = start(false);
    expect_told(t, "open\n");
    type(t, "\033[24~\033[24;2~");
    snprintf(down, sizeof down, "key %d down \n", RP_KEY_F12);
    snprintf(up, sizeof up, "key %d up \n", RP_KEY_F12);
    snprintf(expected, sizeof expected, "%s%s%s", down, up, down);
    expect_told(t, expected);
    type(t, "\003");
    expect_told(t, "quit");
    finish(t);
}

TEST(a_new_size_is_an_event_and_is_drawn)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    struct winsize size = {.ws_col = 90, .ws_row = 30};
    ck_assert_int_eq(ioctl(t->terminal, TIOCSWINSZ, &size), 0);
    expect_told(t, "resize");
    expect_shown(t, "\033[30;1H");
    type(t, "\003");
    finish(t);
}

/* Smaller and back between two looks: the terminal has cut the picture, and the size is as before.
 */
TEST(a_size_that_came_back_is_drawn_anew)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    t->shown_length = 0;
    memset(t->shown, 0, sizeof t->shown);
    kill(t->child, SIGWINCH);
    expect_told(t, "resize");
    expect_shown(t, "\033[2J");
    expect_shown(t, "build 1");
    type(t, "\003");
    ck_assert_int_eq(finish(t), 0);
}

TEST(the_kitty_protocol_is_used_where_it_is_and_put_back)
{
    session *t = start(false);
    expect_shown(t, "\033[?u");
    type(t, "\033[?0u\033[?62c");
    expect_shown(t, "\033[>27u");
    type(t, "\033[97;1:1;97u");
    expect_told(t, "key 65 down");
    type(t, "\033[97;1:3u\033[99;5u");
    expect_told(t, "key 65 up");
    expect_told(t, "quit");
    finish(t);
    ck_assert(strstr(t->shown, "\033[<u"));
    expect_restored(t);
}

TEST(dragging_on_the_timeline_scrubs)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    type(t, "\033[<0;2;19M\033[<32;59;19M\033[<0;59;19m\033[<0;5;5M");
    expect_told(t, "scrub 0 down");
    expect_told(t, "scrub 0 up");
    expect_told(t, "mouse 0");
    type(t, "\003");
    finish(t);
}

static void check_signal(int number)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    kill(t->child, number);
    int status = finish(t);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == number, "status %x for signal %d",
                  status, number);
    expect_restored(t);
}

TEST(a_signal_that_ends_the_process_leaves_the_terminal_as_it_was)
{
    check_signal(SIGTERM);
    check_signal(SIGINT);
    check_signal(SIGHUP);
#if !defined(__SANITIZE_ADDRESS__) && !defined(RP_SANITIZED)
    check_signal(SIGSEGV);
    check_signal(SIGABRT);
#endif
}

TEST(exit_leaves_the_terminal_as_it_was)
{
    session *t = start(true);
    expect_shown(t, "build 1");
    type(t, "\003");
    int status = finish(t);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    expect_restored(t);
}

TEST(a_stopped_process_gives_the_terminal_back_and_takes_it_again)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    kill(t->child, SIGSTOP);
    int status;
    ck_assert_int_eq(waitpid(t->child, &status, WUNTRACED), t->child);
    ck_assert(WIFSTOPPED(status));
    while (pump(t, NULL, NULL), t->shown_length) {
        t->shown_length = 0;
    }
    memset(t->shown, 0, sizeof t->shown);
    kill(t->child, SIGCONT);
    expect_shown(t, "\033[?1049h");
    expect_shown(t, "build 1");
    ck_assert(is_raw(t));
    type(t, "\003");
    finish(t);
}

TEST(a_terminal_stop_restores_first_and_nobody_left_to_continue_resumes_at_once)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    memset(t->shown, 0, sizeof t->shown);
    t->shown_length = 0;
    /* The child leads a session of its own: its group is orphaned, and the system ignores the stop.
     */
    kill(t->child, SIGTSTP);
    expect_shown(t, leave);
    expect_shown(t, "\033[?1049h");
    type(t, "\003");
    int status = finish(t);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(a_terminal_that_is_closed_is_told_once_and_ends_in_order)
{
    session *t = start(false);
    expect_shown(t, "build 1");
    close(t->terminal);
    t->terminal = -1;
    expect_told(t, "lost");
    int status = finish(t);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %x", status);
}

TEST(without_a_terminal_it_says_so)
{
    stage_desc desc = {.width_px = 4, .height_px = 4};
    const stage_class *class;
    stage *s;
    setenv("TERM", "dumb", 1);
    ck_assert_int_eq(stage_open("term", &desc, &class, &s), RP_E_CLOSED);
    ck_assert(strstr(rp_error_last()->text, "--stage none"));
    setenv("TERM", "xterm", 1);
    if (fork() == 0) {
        setsid();
        _exit(stage_open("term", &desc, &class, &s) == RP_E_CLOSED ? 0 : 1);
    }
    int status = 1;
    wait(&status);
    ck_assert_int_eq(status, 0);
}
