/* The process's terminal: raw mode and the alternate screen, and everything put back however the
 * process ends: close, exit(), a signal that ends it, or one that stops it for a while.
 *
 * A signal handler gets no pointer of ours, and a process has one controlling terminal: so this
 * state is one per process. Handlers call only what POSIX allows there (write, poll, tcsetattr,
 * tcflush, sigaction, raise, getpid). */
#include "stage/term.h"

#include "base/bits.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Alternate screen, no cursor, no wrapping, all mouse motion in SGR form, focus reports; then the
 * questions whether the kitty protocol is there, and one that every terminal answers. */
static const char enter_text[] =
    "\033[?1049h\033[?25l\033[?7l\033[?1003h\033[?1006h\033[?1004h\033[?u\033[c";
/* Cleared before it is left: tmux brings rows of the alternate screen into the other one where the
 * terminal has become wider meanwhile. */
static const char leave_text[] =
    "\033[?2026l\033[?1004l\033[?1006l\033[?1003l\033[?7h\033[0m\033[2J\033[?25h\033[?1049l";
/* 1 no ambiguous keys, 2 releases, 8 all keys in this form, 16 with their text. */
static const char kitty_on_text[] = "\033[>27u";
static const char kitty_off_text[] = "\033[<u";

enum { WRITE_PATIENCE_MS = 100 };

/* Faults are caught whoever else handles them: the report should stand on a working terminal. */
static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
static const int ending_signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE};
enum { SIGNAL_LIMIT = 65 };

static struct {
    int fd;
    pid_t owner; /* a forked child leaves the terminal alone */
    struct termios before, raw;
    volatile sig_atomic_t active, kitty, resumed, resized, gone;
    bool at_exit;
    bool handled[SIGNAL_LIMIT];
    struct sigaction old[SIGNAL_LIMIT];
} tty = {.fd = -1};

/* The descriptor does not block; a terminal that is slow is waited for, one that is stuck is not.
 */
static void write_all(const char *text, size_t length)
{
    while (length) {
        ssize_t wrote = write(tty.fd, text, length);
        if (wrote > 0) {
            text += wrote;
            length -= (size_t)wrote;
        } else if (wrote < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = tty.fd, .events = POLLOUT};
            if (poll(&ready, 1, WRITE_PATIENCE_MS) <= 0) {
                return;
            }
        } else if (wrote == 0 || errno != EINTR) {
            return;
        }
    }
}

static void enter(void)
{
    tcsetattr(tty.fd, TCSANOW, &tty.raw);
    write_all(enter_text, sizeof enter_text - 1);
    tty.active = 1;
}

/* What was typed or reported but not read is dropped: a shell would take it for input. */
static void leave(void)
{
    if (!tty.active || getpid() != tty.owner) {
        return;
    }
    tty.active = 0;
    if (tty.kitty) {
        write_all(kitty_off_text, sizeof kitty_off_text - 1);
        tty.kitty = 0;
    }
    write_all(leave_text, sizeof leave_text - 1);
    tcflush(tty.fd, TCIFLUSH);
    tcsetattr(tty.fd, TCSANOW, &tty.before);
}

/* ---- signals ---- */

static bool hung_up(void)
{
    struct pollfd state = {.fd = tty.fd};
    return poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* A fault is left to happen again under the old handler, with its own address; others are sent
 * again. */
static void on_end(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    (void)context;
    if (number == SIGHUP && hung_up()) {
        tty.gone = 1;
        errno = kept;
        return;
    }
    leave();
    sigaction(number, &tty.old[number], NULL);
    if (info->si_code <= 0 || number == SIGABRT) {
        raise(number);
    }
    errno = kept;
}

static void on_stop(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    sigset_t only, before;
    struct sigaction ours;
    (void)info;
    (void)context;
    leave();
    sigaction(number, &tty.old[number], &ours);
    raise(number);
    sigemptyset(&only);
    sigaddset(&only, number);
    sigprocmask(SIG_UNBLOCK, &only, &before); /* stops here, until SIGCONT */
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(number, &ours, NULL);
    /* A process group that nobody could continue is not stopped at all. */
    if (!tty.active && getpid() == tty.owner) {
        enter();
        tty.resumed = 1;
    }
    errno = kept;
}

static void on_continue(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    (void)number;
    (void)info;
    (void)context;
    if (getpid() == tty.owner) {
        enter();
        tty.resumed = 1;
    }
    errno = kept;
}

static void on_resize(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    tty.resized = 1;
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), bool whoever)
{
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, NULL, &tty.old[number]);
    bool free_to_take = tty.old[number].sa_handler == SIG_DFL;
    if (free_to_take || whoever) {
        tty.handled[number] = sigaction(number, &action, NULL) == 0;
    }
}

/* A host that handles an ending signal itself closes its stages then. */
static void take_signals(void)
{
    for (size_t i = 0; i < RP_COUNT_OF(fault_signals); i++) {
        handle(fault_signals[i], on_end, true);
    }
    for (size_t i = 0; i < RP_COUNT_OF(ending_signals); i++) {
        handle(ending_signals[i], on_end, false);
    }
    handle(SIGTSTP, on_stop, false);
    handle(SIGCONT, on_continue, false);
    handle(SIGWINCH, on_resize, false);
}

static void give_signals_back(void)
{
    for (int number = 1; number < SIGNAL_LIMIT; number++) {
        if (tty.handled[number]) {
            sigaction(number, &tty.old[number], NULL);
            tty.handled[number] = false;
        }
    }
}

/* ---- opening and closing ---- */

static rp_status open_terminal(void)
{
    const char *kind = getenv("TERM");
    if (!kind || !kind[0] || !strcmp(kind, "dumb")) {
        return rp_fail(
            RP_E_CLOSED,
            "terminal: TERM is \"%s\": it cannot show a picture: set TERM, or use --stage none",
            kind ? kind : "");
    }
    tty.fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (tty.fd >= 0 && tcgetattr(tty.fd, &tty.before) == 0) {
        return RP_OK;
    }
    int code = errno;
    if (tty.fd >= 0) {
        close(tty.fd);
    }
    tty.fd = -1;
    return rp_fail(
        RP_E_CLOSED,
        "terminal: this process has none: %s: start it in a terminal, or use --stage none",
        strerror(code));
}

rp_status term_tty_open(int *fd_out)
{
    if (tty.fd >= 0) {
        return rp_fail(RP_E_BUSY, "terminal: a stage has it already: close that one first");
    }
    rp_status status = open_terminal();
    if (status != RP_OK) {
        return status;
    }
    tty.owner = getpid();
    tty.raw = tty.before;
    cfmakeraw(&tty.raw);
    tty.raw.c_cc[VMIN] = 1; /* or no input would look like the end of the terminal */
    tty.raw.c_cc[VTIME] = 0;
    tty.kitty = tty.resumed = tty.resized = tty.gone = 0;
    if (!tty.at_exit) {
        tty.at_exit = atexit(leave) == 0;
    }
    take_signals();
    enter();
    *fd_out = tty.fd;
    return RP_OK;
}

void term_tty_close(void)
{
    if (tty.fd < 0) {
        return;
    }
    leave();
    give_signals_back();
    close(tty.fd);
    tty.fd = -1;
}

void term_tty_use_kitty(void)
{
    if (!tty.kitty) {
        tty.kitty = 1;
        write_all(kitty_on_text, sizeof kitty_on_text - 1);
    }
}

bool term_tty_resumed(void)
{
    bool resumed = tty.resumed;
    tty.resumed = 0;
    return resumed;
}

bool term_tty_resized(void)
{
    bool resized = tty.resized;
    tty.resized = 0;
    return resized;
}

bool term_tty_gone(void)
{
    return tty.gone;
}
