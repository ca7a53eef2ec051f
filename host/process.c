#include "process.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <errno.h>
#include <fcntl.h>
#include <os/os.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { START_TIMEOUT_MS = 20000, SLICE_MS = 20, RECORD_TIMEOUT_MS = 500 };
enum { COLLECT_TIMEOUT_MS = 20000, COLLECT_TRACED_MS = 200 };

/* ---- start ---- */

/* The runner stands beside this program, or, installed, in ../libexec/reprise. */
static rp_status runner_path(char *path, size_t capacity)
{
    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "runner: cannot tell where this program lies");
    }
    self[length] = 0;
    *strrchr(self, '/') = 0;
    static const char *const places[] = {"%s/reprise-runner",
                                         "%s/../libexec/reprise/reprise-runner"};
    for (size_t i = 0; i < RP_COUNT_OF(places); i++) {
        snprintf(path, capacity, places[i], self);
        if (access(path, X_OK) == 0) {
            return RP_OK;
        }
    }
    return rp_fail(RP_E_NOT_FOUND,
                   "runner: there is no reprise-runner in %s or ../libexec/reprise: "
                   "install the whole package, or build the target reprise-runner",
                   self);
}

static size_t names_add(link_memory *link, size_t at, const char *const *names, int count,
                        uint32_t *taken)
{
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]) + 1;
        if (at + length > LINK_BULK_BYTES) {
            break;
        }
        memcpy(link->bulk + at, names[i], length);
        at += length;
        (*taken)++;
    }
    return at;
}

static rp_status link_make(const process_desc *desc, process *p, int *link_fd)
{
    size_t bytes = rp_align_up(sizeof(link_memory), RP_PAGE_BYTES);
    rp_status status = rp_os_memfile_create("reprise-link", bytes, link_fd);
    void *memory;
    if (!status) {
        status = rp_os_memfile_map(*link_fd, 0, NULL, bytes, RP_OS_READ_WRITE, &memory);
    }
    if (status) {
        return status;
    }
    link_memory *link = p->link = memory;
    link->magic = LINK_MAGIC;
    link->version = LINK_VERSION;
    link->log_bytes = desc->log_bytes;
    link->seed = desc->seed;
    link->start_wall_ns = desc->start_wall_ns;
    link->canary = desc->canary;
    link->pointer_guard = desc->pointer_guard;
    link->tracking = (uint32_t)desc->tracking;
    link->check_threads = desc->check_threads;
    link->tracer = desc->tracer;
    link->width_px = desc->width_px;
    link->height_px = desc->height_px;
    link->rate_hz = desc->rate_hz;
    link->audio_rate_hz = desc->audio_rate_hz;
    link->audio_channels = desc->audio_channels;
    rp_text_copy(link->debug, sizeof link->debug, desc->debug ? desc->debug : "");
    size_t at = names_add(link, 0, desc->preload, desc->preload_count, &link->preload_count);
    names_add(link, at, desc->keep, desc->keep_count, &link->keep_count);
    return RP_OK;
}

typedef struct ends {
    int link, log, socket[2], output[2];
} ends;

static void ends_close(ends *e)
{
    int *all[] = {&e->link, &e->log, &e->socket[1], &e->output[1]};
    for (size_t i = 0; i < RP_COUNT_OF(all); i++) {
        if (*all[i] >= 0) {
            close(*all[i]);
        }
    }
}

/* Descriptors that the child gets as 0 … 5 must not lie there in the parent, or one dup2 would
 * overwrite what the next one reads. */
static int moved_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return high;
}

static rp_status ends_make(const process_desc *desc, process *p, ends *e)
{
    *e = (ends){-1, -1, {-1, -1}, {-1, -1}};
    rp_status status = link_make(desc, p, &e->link);
    if (status) {
        return status;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->socket) ||
        pipe2(e->output, O_CLOEXEC)) {
        return rp_fail_system(RP_E_SYSTEM, errno, "runner: no descriptors left");
    }
    p->socket = e->socket[0];
    p->output = e->output[0];
    fcntl(p->output, F_SETFL, O_NONBLOCK);
    e->link = moved_up(e->link);
    e->log = fcntl(desc->log_fd, F_DUPFD_CLOEXEC, 16);
    e->socket[1] = moved_up(e->socket[1]);
    e->output[1] = moved_up(e->output[1]);
    bool whole = e->link >= 0 && e->log >= 0 && e->socket[1] >= 0 && e->output[1] >= 0;
    return whole ? RP_OK : rp_fail_system(RP_E_SYSTEM, errno, "runner: no descriptors left");
}

static rp_status launch(const char *path, const ends *e, process *p)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, e->output[1], 1);
    posix_spawn_file_actions_adddup2(&actions, e->output[1], 2);
    posix_spawn_file_actions_adddup2(&actions, e->link, 3);
    posix_spawn_file_actions_adddup2(&actions, e->log, 4);
    posix_spawn_file_actions_adddup2(&actions, e->socket[1], 5);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    /* The personality is inherited by the child and has no effect on a program that runs already.
     * Where the system forbids it, the runner says so when it is ready. */
    int before = personality(0xffffffff);
    personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    char *arguments[] = {"reprise-runner", "--serve", NULL};
    int error = posix_spawn(&p->pid, path, &actions, &attributes, arguments, environ);
    personality((unsigned long)before);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        p->pid = 0;
        return rp_fail_system(RP_E_SYSTEM, error, "runner: cannot start %s", path);
    }
    return RP_OK;
}

rp_status process_start(const process_desc *desc, process *p)
{
    void (*print)(void *, const char *, size_t) = p->print;
    void *print_context = p->print_context;
    *p = (process){.socket = -1, .output = -1, .print = print, .print_context = print_context};
    char path[600];
    ends e;
    rp_status status = runner_path(path, sizeof path);
    if (status) {
        return status;
    }
    status = ends_make(desc, p, &e);
    if (!status) {
        status = launch(path, &e, p);
    }
    ends_close(&e);
    if (status) {
        process_end(p);
    }
    return status;
}

/* ---- what it prints ---- */

static void tail_add(process *p, const char *text, size_t length)
{
    size_t most = sizeof p->tail - 1;
    if (length > most) {
        text += length - most;
        length = most;
    }
    if (p->tail_length + length > most) {
        size_t dropped = p->tail_length + length - most;
        memmove(p->tail, p->tail + dropped, p->tail_length - dropped);
        p->tail_length -= dropped;
    }
    memcpy(p->tail + p->tail_length, text, length);
    p->tail_length += length;
    p->tail[p->tail_length] = 0;
}

void process_drain(process *p)
{
    char text[4096];
    ssize_t got;
    while (p->output >= 0 && (got = read(p->output, text, sizeof text)) > 0) {
        if (!p->drop_output) {
            tail_add(p, text, (size_t)got);
            if (p->print) {
                p->print(p->print_context, text, (size_t)got);
            }
        }
    }
}

/* ---- its end ---- */

static bool is_traced(pid_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    int tracer = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "TracerPid: %d", &tracer) == 1) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return tracer != 0;
}

bool process_traced(const process *p)
{
    return p->pid && is_traced(p->pid);
}

/* Waits for the end of one that was killed. A debugger that holds it is told first, and as long as
 * it does not look we are told nothing: it is not waited for then. */
static bool collect(pid_t pid, int *status)
{
    int most_ms = is_traced(pid) ? COLLECT_TRACED_MS : COLLECT_TIMEOUT_MS;
    uint64_t give_up_ns = rp_os_monotonic_ns() + (uint64_t)most_ms * UINT64_C(1000000);
    const struct timespec pause = {.tv_nsec = 200000};
    pid_t got;
    while ((got = waitpid(pid, status, WNOHANG)) == 0 && rp_os_monotonic_ns() < give_up_ns) {
        nanosleep(&pause, NULL);
    }
    return got != 0;
}

/* Runners that were ended and not yet collected. Full: the next one is waited for. */
static pid_t ending[16];

void process_reap(bool wait)
{
    int status;
    for (size_t i = 0; i < RP_COUNT_OF(ending); i++) {
        if (ending[i] &&
            (wait ? collect(ending[i], &status) : waitpid(ending[i], &status, WNOHANG) != 0)) {
            ending[i] = 0;
        }
    }
}

static void reap_later(pid_t pid)
{
    int status;
    for (size_t i = 0; i < RP_COUNT_OF(ending); i++) {
        if (!ending[i]) {
            ending[i] = pid;
            return;
        }
    }
    collect(pid, &status);
}

static rp_status ended(process *p)
{
    process_drain(p);
    if (p->pid && !p->crashed) {
        kill(p->pid, SIGKILL); /* it closed its socket: whatever it does now is of no use */
        int status = SIGKILL;
        if (!collect(p->pid, &status)) {
            reap_later(p->pid);
        }
        p->wait_status = status;
        p->pid = 0;
    }
    return rp_fail(RP_E_DIED, "runner: it ended");
}

/* ---- asking ---- */

/* Waits up to `timeout_ms` for a message. RP_E_TIMEOUT: none came. */
static rp_status receive(process *p, int timeout_ms, link_message *message)
{
    struct pollfd fds[] = {{.fd = p->socket, .events = POLLIN},
                           {.fd = p->output, .events = POLLIN}};
    int ready = poll(fds, 2, timeout_ms);
    if (ready > 0 && fds[1].revents) {
        process_drain(p);
        if (fds[1].revents & POLLHUP && !fds[0].revents) {
            poll(fds, 1, timeout_ms); /* the pipe stays ready for ever once it is closed */
        }
    }
    if (ready <= 0 || !fds[0].revents) {
        return rp_fail(RP_E_TIMEOUT, "runner: no answer");
    }
    ssize_t got = recv(p->socket, message, sizeof *message, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return rp_fail(RP_E_TIMEOUT, "runner: no answer");
    }
    return got == sizeof *message ? RP_OK : ended(p);
}

static rp_status crashed(process *p)
{
    process_drain(p);
    p->crashed = true;
    p->link->error[sizeof p->link->error - 1] = 0;
    p->link->crash.text[sizeof p->link->crash.text - 1] = 0;
    return rp_fail(RP_E_DIED, "runner: the program failed");
}

/* A step that takes too long: asks where it is, then ends it. */
static rp_status hung(process *p)
{
    link_message message;
    kill(p->pid, LINK_WATCHDOG_SIGNAL);
    uint64_t give_up_ns = rp_os_monotonic_ns() + RECORD_TIMEOUT_MS * UINT64_C(1000000);
    while (rp_os_monotonic_ns() < give_up_ns) {
        rp_status status = receive(p, SLICE_MS, &message);
        if (status == RP_OK && message.op == LINK_CRASHED) {
            crashed(p);
            break;
        }
        if (status == RP_E_DIED) {
            break;
        }
    }
    if (!p->crashed) {
        p->link->crash.kind = LINK_CRASH_HANG;
        p->crashed = true;
    }
    return rp_fail(RP_E_TIMEOUT, "runner: the step did not end");
}

static rp_status own_status(process *p, const link_message *answer)
{
    if (answer->status == RP_OK) {
        return RP_OK;
    }
    p->link->error[sizeof p->link->error - 1] = 0;
    return rp_fail((rp_status)answer->status, "%s", p->link->error);
}

static rp_status send_message(process *p, const link_message *message)
{
    if (!p->pid || p->crashed) {
        return rp_fail(RP_E_DIED, "runner: it is not running");
    }
    ssize_t sent;
    do {
        sent = send(p->socket, message, sizeof *message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == sizeof *message ? RP_OK : ended(p);
}

static rp_status part(process *p, const process_wait *wait, const link_message *message)
{
    if (!wait || !wait->part) {
        return rp_fail(RP_E_FORMAT, "runner: it answered what was not asked");
    }
    link_message more = {.op = LINK_MORE_SLOTS};
    more.status = wait->part(wait->context, p, message);
    rp_status sent = send_message(p, &more);
    return sent;
}

void process_abandon(process *p)
{
    p->abandon = p->pid && p->asked != LINK_NONE;
}

static rp_status abandoned(process *p)
{
    ended(p);
    return rp_fail(RP_E_DIED, "runner: it was ended in the middle of a step, as was asked");
}

/* Idle while it takes long. A debugger stops the watchdog, which begins anew when it lets go. */
static bool overdue(process *p, const process_wait *wait, uint32_t watchdog_ms, uint64_t *limit_ns)
{
    if (wait && wait->idle) {
        wait->idle(wait->context);
    }
    if (p->abandon || !watchdog_ms || rp_os_monotonic_ns() <= *limit_ns) {
        return false;
    }
    if (process_traced(p) && !(wait && wait->even_traced)) {
        *limit_ns = rp_os_monotonic_ns() + watchdog_ms * UINT64_C(1000000);
        return false;
    }
    return true;
}

static rp_status answer_wait(process *p, link_message *answer, const process_wait *wait,
                             uint32_t watchdog_ms)
{
    uint64_t limit_ns = rp_os_monotonic_ns() + watchdog_ms * UINT64_C(1000000);
    for (;;) {
        rp_status status = receive(p, SLICE_MS, answer);
        if (status == RP_E_TIMEOUT) {
            if (overdue(p, wait, watchdog_ms, &limit_ns)) {
                return hung(p);
            }
            if (p->abandon) {
                return abandoned(p);
            }
        } else if (status) {
            return status;
        } else if (answer->op == LINK_CRASHED) {
            return crashed(p);
        } else if (answer->op == LINK_NEED_SLOTS || answer->op == LINK_ENTRIES ||
                   answer->op == LINK_PIECE) {
            status = part(p, wait, answer);
            if (status) {
                return status;
            }
        } else {
            process_drain(p);
            return own_status(p, answer);
        }
    }
}

rp_status process_ready(process *p)
{
    if (p->ready) {
        return RP_OK;
    }
    link_message message;
    rp_status status = answer_wait(p, &message, NULL, START_TIMEOUT_MS);
    p->ready = status == RP_OK;
    p->randomised = status == RP_OK && !message.a;
    if (!status) {
        p->hold_at = message.b;
        p->fail_at = message.c;
        p->frame_end_at = message.d;
    }
    return status;
}

rp_status process_ask(process *p, const link_message *request, link_message *answer,
                      const process_wait *wait)
{
    rp_status status = process_ready(p);
    if (!status) {
        status = send_message(p, request);
    }
    if (status) {
        return status;
    }
    p->asked = request->op;
    p->asked_ns = rp_os_monotonic_ns();
    status = answer_wait(p, answer, wait, wait ? wait->watchdog_ms : 0);
    p->asked = LINK_NONE;
    return status;
}

bool process_ended(process *p)
{
    struct pollfd fd = {.fd = p->socket, .events = POLLIN};
    if (!p->pid || p->crashed) {
        return true;
    }
    if (poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR)) {
        ended(p);
        return true;
    }
    return false;
}

void process_end(process *p)
{
    if (p->pid) {
        kill(p->pid, SIGKILL);
        reap_later(p->pid);
    }
    if (p->socket >= 0) {
        close(p->socket);
    }
    if (p->output >= 0) {
        close(p->output);
    }
    if (p->link) {
        rp_os_unmap(p->link, rp_align_up(sizeof(link_memory), RP_PAGE_BYTES));
    }
    *p =
        (process){.socket = -1, .output = -1, .print = p->print, .print_context = p->print_context};
}
