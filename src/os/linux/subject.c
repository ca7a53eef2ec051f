/* Starting a program in a mode, looking at its mappings, ending it. See subject.h. */
#include "os/subject.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/maps.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    POLL_MS = 10,
    SETTLED_MS = 100,
    SETTLED_BUSY_MS = 1000,
    DEFAULT_LIMIT_MS = 2000,
    KILL_TIMEOUT_MS = 5000,
    ENVIRONMENT_MOST = 8
};

/* What the child could not do, before it is the program. */
typedef struct obstacle {
    enum { NONE, THE_MODE, TO_EXECUTE } what;
    int system_code;
} obstacle;

typedef struct subject {
    const rp_os_subject_desc *desc;
    rp_os_subject_end *end;
    pid_t pid;
    int go, report, answer; /* descriptors: it may start; what failed (until it is executed); -1 */
    bool executed, gone;
    uint64_t started_ns, changed_ns, settled_ns, kill_at_ns;
    uint64_t busy_ns; /* when it last was seen at work */
    uint64_t map_hash;
    obstacle obstacle;
} subject;

static uint64_t after_ms(uint64_t ns, uint64_t ms)
{
    return ns + ms * UINT64_C(1000000);
}

/* ---- in the child ---- */

static bool set_mode(rp_os_subject_mode mode)
{
    const unsigned long query = 0xffffffff;
    unsigned long persona = (unsigned long)personality(query);
    struct rlimit stack;
    switch (mode) {
    case RP_OS_SUBJECT_NO_RANDOMISATION:
        return personality(persona | ADDR_NO_RANDOMIZE) != -1;
    case RP_OS_SUBJECT_LEGACY_LAYOUT:
        return personality(persona | ADDR_COMPAT_LAYOUT) != -1;
    case RP_OS_SUBJECT_UNLIMITED_STACK:
        if (getrlimit(RLIMIT_STACK, &stack) != 0) {
            return false;
        }
        stack.rlim_cur = RLIM_INFINITY;
        return setrlimit(RLIMIT_STACK, &stack) == 0;
    default:
        return true;
    }
}

static _Noreturn void child_fail(int report, int what)
{
    obstacle o = {what, errno};
    ssize_t wrote = write(report, &o, sizeof o);
    _exit(wrote < 0 ? 126 : 127);
}

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
}

static void child_descriptors(const subject *s, int nothing)
{
    dup2(nothing, STDIN_FILENO);
    int out = s->desc->show_output ? STDERR_FILENO : nothing;
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (s->answer >= 0) {
        dup2(s->answer, RP_OS_SUBJECT_ANSWER_FD);
    }
}

/* Between fork and exec, of a process that may have threads: only what is safe in a signal handler,
 * but for execvpe, which looks through PATH with memory of its own stack. */
static _Noreturn void child_run(const subject *s, int go, int report, int nothing,
                                char **environment)
{
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    child_signals();
    child_descriptors(s, nothing);
    if (read(go, &byte, 1) != 1) {
        _exit(126); /* the parent is gone or gave up */
    }
    if (!set_mode(s->desc->mode)) {
        child_fail(report, THE_MODE);
    }
    execvpe(s->desc->argv[0], s->desc->argv, environment);
    child_fail(report, TO_EXECUTE);
}

/* ---- start ---- */

/* The own environment with what was asked for in place of what has the same name, in fresh pages.
 */
static char **environment_with(const char *const *added, size_t *mapped_bytes)
{
    size_t count = 0, kept = 0;
    while (environ[count]) {
        count++;
    }
    *mapped_bytes = rp_align_up((count + ENVIRONMENT_MOST + 1) * sizeof(char *), RP_PAGE_BYTES);
    char **all = RP_OS_MAP(
        mmap(NULL, *mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (all == MAP_FAILED) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;
        for (size_t j = 0; added && added[j] && j < ENVIRONMENT_MOST; j++) {
            size_t name = strcspn(added[j], "=") + 1;
            replaced = replaced || strncmp(environ[i], added[j], name) == 0;
        }
        if (!replaced) {
            all[kept++] = environ[i];
        }
    }
    for (size_t j = 0; added && added[j] && j < ENVIRONMENT_MOST; j++) {
        all[kept++] = (char *)(uintptr_t)added[j];
    }
    return all;
}

static rp_status fail_to_start(const subject *s, int system_code)
{
    return rp_fail_system(RP_E_SYSTEM, system_code,
                          "%s: no process can be started for it: free descriptors, memory or "
                          "processes",
                          s->desc->argv[0]);
}

/* Ends of the pipes that the child has; closed in the parent. */
typedef struct child_ends {
    int go, report, nothing;
} child_ends;

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Above the numbers that the child gives a meaning to. */
static bool open_pipe(int *from, int *to)
{
    int ends[2];
    if (RP_OS_CALL(pipe2(ends, O_CLOEXEC)) < 0) {
        return false;
    }
    *from = fcntl(ends[0], F_DUPFD_CLOEXEC, RP_OS_SUBJECT_ANSWER_FD + 1);
    *to = fcntl(ends[1], F_DUPFD_CLOEXEC, RP_OS_SUBJECT_ANSWER_FD + 1);
    close(ends[0]);
    close(ends[1]);
    return *from >= 0 && *to >= 0;
}

static bool open_ends(subject *s, child_ends *theirs)
{
    theirs->nothing = RP_OS_CALL(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (theirs->nothing < 0 || !open_pipe(&theirs->go, &s->go) ||
        !open_pipe(&s->report, &theirs->report)) {
        return false;
    }
    fcntl(s->report, F_SETFL, O_NONBLOCK);
    if (s->desc->want_answer) {
        s->answer = RP_OS_CALL(memfd_create("reprise-answer", MFD_CLOEXEC));
        return s->answer >= 0;
    }
    return true;
}

static void close_ends(subject *s, child_ends *theirs)
{
    close_end(&theirs->go);
    close_end(&theirs->report);
    close_end(&theirs->nothing);
    if (s) {
        close_end(&s->go);
        close_end(&s->report);
        close_end(&s->answer);
    }
}

static rp_status start(subject *s)
{
    child_ends theirs = {-1, -1, -1};
    size_t mapped_bytes = 0;
    char **environment = environment_with(s->desc->environment, &mapped_bytes);
    bool ready = environment && open_ends(s, &theirs);
    s->pid = ready ? RP_OS_CALL(fork()) : -1;
    if (s->pid == 0) {
        child_run(s, theirs.go, theirs.report, theirs.nothing, environment);
    }
    int system_code = errno;
    if (environment) {
        munmap(environment, mapped_bytes);
    }
    close_ends(s->pid < 0 ? s : NULL, &theirs);
    return s->pid < 0 ? fail_to_start(s, system_code) : RP_OK;
}

/* ---- looking ---- */

static uint64_t hash_line(uint64_t hash, const char *line)
{
    for (; *line; line++) {
        hash = (hash ^ (uint8_t)*line) * UINT64_C(1099511628211); /* FNV-1a */
    }
    return hash;
}

/* Reads the map; visits it where `moment` is one. Returns a hash of it, 0 where it cannot be read.
 */
static uint64_t look(const subject *s, rp_os_moment moment)
{
    rp_os_lines lines;
    char path[64];
    uint64_t hash = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)s->pid);
    if (!rp_os_lines_open(&lines, path)) {
        return 0;
    }
    for (const char *line; (line = rp_os_lines_next(&lines));) {
        unsigned long long from, to;
        rp_os_mapping mapping;
        int name_at = 0;
        hash = hash_line(hash ? hash : UINT64_C(14695981039346656037), line);
        if (moment != RP_OS_MOMENTS && s->desc->visit &&
            sscanf(line, "%llx-%llx %4s %*s %*s %*s %n", &from, &to, mapping.permissions,
                   &name_at) >= 3) {
            mapping.from = from;
            mapping.to = to;
            mapping.name = name_at ? line + name_at : "";
            s->desc->visit(s->desc->context, moment, &mapping);
        }
    }
    rp_os_lines_close(&lines);
    if (hash && moment != RP_OS_MOMENTS) {
        s->end->seen[moment] = true;
    }
    return hash;
}

static void note_program(const subject *s)
{
    char path[64], *program = s->end->program;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)s->pid);
    ssize_t length = readlink(path, program, sizeof s->end->program - 1);
    if (length >= 0) {
        program[length] = 0;
    }
}

/* A program that waits for something has come to an end of its start sooner than one that works. */
static bool is_waiting(const subject *s)
{
    rp_os_lines lines;
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    if (!rp_os_lines_open(&lines, path)) {
        return false;
    }
    const char *line = rp_os_lines_next(&lines), *name_end = line ? strrchr(line, ')') : NULL;
    if (name_end && name_end[1] == ' ') {
        state = name_end[2];
    }
    rp_os_lines_close(&lines);
    return state == 'S' || state == 'T' || state == 't';
}

static bool has_settled(const subject *s, uint64_t now_ns)
{
    return now_ns >= after_ms(s->changed_ns, SETTLED_BUSY_MS) ||
           now_ns >= after_ms(s->busy_ns > s->changed_ns ? s->busy_ns : s->changed_ns, SETTLED_MS);
}

/* Whether its map changed since the last time; for how long it has not, decides. */
static void watch(subject *s, uint64_t now_ns)
{
    uint64_t hash = look(s, RP_OS_MOMENTS);
    if (!hash || s->settled_ns) {
        return;
    }
    if (!is_waiting(s)) {
        s->busy_ns = now_ns;
    }
    if (hash != s->map_hash) {
        s->map_hash = hash;
        s->changed_ns = now_ns;
        look(s, RP_OS_RUNNING);
    } else if (has_settled(s, now_ns)) {
        look(s, RP_OS_SETTLED);
        note_program(s);
        s->settled_ns = now_ns;
        /* As long again, for what it does at its end. */
        uint64_t again = now_ns + (now_ns - s->started_ns);
        s->kill_at_ns = again < s->kill_at_ns ? again : s->kill_at_ns;
    }
}

static void read_report(subject *s)
{
    obstacle o;
    ssize_t got = s->executed || s->obstacle.what ? -1 : read(s->report, &o, sizeof o);
    if (got == (ssize_t)sizeof o) {
        s->obstacle = o;
    } else if (got == 0) {
        s->executed = true;
    }
}

/* ---- the events of a traced one ---- */

static void go_on(const subject *s, int request, int signal_number)
{
    ptrace(request, s->pid, NULL, (void *)(intptr_t)signal_number);
}

static bool is_stop_signal(int number)
{
    return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void take_stop(subject *s, int status)
{
    int event = status >> 16, number = WSTOPSIG(status);
    read_report(s);
    if (event == PTRACE_EVENT_EXEC) {
        look(s, RP_OS_AT_START);
        s->map_hash = 0;
        s->settled_ns = 0;
        go_on(s, PTRACE_CONT, 0);
    } else if (event == PTRACE_EVENT_EXIT) {
        if (s->executed) {
            look(s, RP_OS_AT_END);
            note_program(s);
        }
        go_on(s, PTRACE_CONT, 0);
    } else if (event == PTRACE_EVENT_STOP) {
        go_on(s, is_stop_signal(number) ? PTRACE_LISTEN : PTRACE_CONT, 0);
    } else {
        go_on(s, PTRACE_CONT, number);
    }
}

static void take_end(subject *s, int status)
{
    s->gone = true;
    read_report(s);
    s->end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    s->end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Takes what there is to be told; false: nothing. */
static bool take_event(subject *s)
{
    int status;
    pid_t pid = waitpid(s->pid, &status, WNOHANG | __WALL);
    if (pid != s->pid) {
        s->gone = s->gone || (pid < 0 && errno == ECHILD);
        return false;
    }
    if (WIFSTOPPED(status)) {
        take_stop(s, status);
    } else if (WIFEXITED(status) || WIFSIGNALED(status)) {
        take_end(s, status);
    }
    return true;
}

/* Waits for a signal about the child, SIGCHLD being blocked, or for the next poll. */
static void wait_a_little(const sigset_t *child_signal)
{
    const struct timespec poll = {.tv_nsec = POLL_MS * 1000000L};
    sigtimedwait(child_signal, NULL, &poll);
}

static void end_it(subject *s, const sigset_t *child_signal)
{
    uint64_t give_up_ns = after_ms(rp_os_monotonic_ns(), KILL_TIMEOUT_MS);
    look(s, RP_OS_AT_END);
    note_program(s);
    kill(-s->pid, SIGKILL);
    kill(s->pid, SIGKILL);
    while (!s->gone && rp_os_monotonic_ns() < give_up_ns) {
        if (!take_event(s)) {
            wait_a_little(child_signal);
        }
    }
}

static void follow(subject *s, const sigset_t *child_signal)
{
    uint64_t now_ns = rp_os_monotonic_ns();
    while (!s->gone && now_ns < s->kill_at_ns) {
        if (take_event(s)) {
            continue;
        }
        read_report(s);
        if (s->executed && !s->gone) {
            watch(s, now_ns);
        }
        wait_a_little(child_signal);
        now_ns = rp_os_monotonic_ns();
    }
    s->end->ended_itself = s->gone;
    if (!s->gone) {
        end_it(s, child_signal);
    } else {
        kill(-s->pid, SIGKILL); /* what it left in its group */
    }
    s->end->run_ms = (uint32_t)((rp_os_monotonic_ns() - s->started_ns) / 1000000u);
}

/* ---- all of it ---- */

static rp_status fail_by_obstacle(const subject *s)
{
    int code = s->obstacle.system_code;
    const char *name = s->desc->argv[0];
    if (s->obstacle.what == THE_MODE) {
        return rp_fail_system(RP_E_UNSUPPORTED, code,
                              "%s: this system does not allow the mode: it is left out", name);
    }
    if (code == ENOENT) {
        return rp_fail_system(
            RP_E_NOT_FOUND, code,
            "%s: there is no such program, or not its interpreter: check the path", name);
    }
    return rp_fail_system(RP_E_SYSTEM, code, "%s: it cannot be executed: check what it is", name);
}

static void trace(subject *s)
{
    const long options = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    s->end->traced = ptrace(PTRACE_SEIZE, s->pid, NULL, (void *)options) == 0;
}

static void read_answer(subject *s)
{
    if (s->answer >= 0) {
        ssize_t got = pread(s->answer, s->end->answer, sizeof s->end->answer, 0);
        s->end->answer_bytes = got > 0 ? (size_t)got : 0;
    }
}

static rp_status run(subject *s, const sigset_t *child_signal)
{
    rp_status status = start(s);
    if (status) {
        return status;
    }
    uint32_t limit_ms = s->desc->limit_ms ? s->desc->limit_ms : DEFAULT_LIMIT_MS;
    trace(s);
    s->started_ns = rp_os_monotonic_ns();
    s->kill_at_ns = after_ms(s->started_ns, limit_ms);
    ssize_t wrote = write(s->go, "", 1);
    if (wrote == 1) {
        follow(s, child_signal);
    } else {
        end_it(s, child_signal);
    }
    read_answer(s);
    close_ends(s, &(child_ends){-1, -1, -1});
    if (s->obstacle.what) {
        return fail_by_obstacle(s);
    }
    return s->gone ? RP_OK
                   : rp_fail(RP_E_TIMEOUT, "%s: it cannot be ended: end process %d by hand",
                             s->desc->argv[0], (int)s->pid);
}

rp_status rp_os_subject_run(const rp_os_subject_desc *desc, rp_os_subject_end *end)
{
    subject s = {.desc = desc, .end = end, .go = -1, .report = -1, .answer = -1};
    sigset_t child_signal, before;
    struct sigaction plain = {.sa_handler = SIG_DFL}, handler;
    *end = (rp_os_subject_end){0};
    if (!desc->argv || !desc->argv[0] || !desc->argv[0][0]) {
        return rp_fail(RP_E_ARGUMENT, "subject: no program: name one");
    }
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    /* Ignored, it would take children away unseen. */
    sigaction(SIGCHLD, &plain, &handler);
    pthread_sigmask(SIG_BLOCK, &child_signal, &before);
    rp_status status = run(&s, &child_signal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGCHLD, &handler, NULL);
    return status;
}
