/* Running the build command, and keeping what it says. */
#include "build_command.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK_BYTES = 4096, CHUNKS_A_POLL = 32 };

/* ---- the processes -------------------------------------------------------------------------- */

static void end_group(int signal)
{
    (void)signal;
    kill(0, SIGKILL);
}

static void default_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i < SIGRTMIN; i++) {
        signal(i, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Between fork and exec of a process with threads: async-signal-safe calls only. The group must be
 * its own before anything may end the group. */
_Noreturn static void lead_group(const char *text, int output, pid_t host)
{
    int null = open("/dev/null", O_RDONLY);
    if (setpgid(0, 0) < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
        _exit(127);
    }
    /* Whoever waits for the host's sockets to close must not wait for us. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    default_signals();
    signal(SIGTERM, end_group);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != host) {
        _exit(127);
    }
    pid_t shell = fork();
    if (shell == 0) {
        signal(SIGTERM, SIG_DFL);
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (shell > 0 && waitpid(shell, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(shell < 0 ? 127 : exit_code_of(status));
}

static void close_descriptor(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void forget_process(build_command *command)
{
    close_descriptor(&command->ended);
    close_descriptor(&command->output);
    command->pid = 0;
}

void build_command_init(build_command *command)
{
    *command = (build_command){.ended = -1, .output = -1};
}

rp_status build_command_start(build_command *command, const char *text)
{
    RP_ASSERT(!command->pid);
    int ends[2];
    build_command_init(command);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return rp_fail_system(RP_E_LIMIT, errno, "build: no pipe for its output");
    }
    fcntl(ends[1], F_SETFL, 0); /* compilers do not expect a pipe that refuses */
    command->output = ends[0];
    pid_t host = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        lead_group(text, ends[1], host);
    }
    int code = errno;
    close(ends[1]);
    if (pid < 0) {
        forget_process(command);
        return rp_fail_system(RP_E_LIMIT, code, "build: no process for it");
    }
    setpgid(pid, pid); /* here as well, so that stopping it at once finds the group */
    command->pid = pid;
    command->ended = (int)syscall(SYS_pidfd_open, pid, 0);
    if (command->ended < 0) {
        code = errno;
        build_command_stop(command);
        return rp_fail_system(RP_E_UNSUPPORTED, code,
                              "build: its end cannot be watched: Linux 5.3 can");
    }
    return RP_OK;
}

void build_command_stop(build_command *command)
{
    if (command->pid) {
        kill(-command->pid, SIGKILL);
        while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    forget_process(command);
}

/* ---- the output ----------------------------------------------------------------------------- */

static bool names_an_error(const char *line)
{
    static const char *const signs[] = {"error:",       "undefined reference", "undefined symbol",
                                        "cannot find ", "not found",           "No rule to make"};
    for (size_t i = 0; i < RP_COUNT_OF(signs); i++) {
        if (strcasestr(line, signs[i])) {
            return true;
        }
    }
    return false;
}

static void end_line(build_command *command)
{
    command->line[command->line_length] = 0;
    if (!command->error[0] && names_an_error(command->line)) {
        memcpy(command->error, command->line, sizeof command->error);
    }
    command->line_length = 0;
}

static void take_output(build_command *command, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            end_line(command);
        } else if (command->line_length + 1 < sizeof command->line && bytes[i]) {
            command->line[command->line_length++] = bytes[i];
        }
    }
    if (command->tail_length + length > sizeof command->tail) {
        size_t dropped = command->tail_length - BUILD_COMMAND_TAIL_BYTES;
        memmove(command->tail, command->tail + dropped, BUILD_COMMAND_TAIL_BYTES);
        command->tail_length = BUILD_COMMAND_TAIL_BYTES;
    }
    memcpy(command->tail + command->tail_length, bytes, length);
    command->tail_length += length;
}

static void read_output(build_command *command)
{
    char bytes[CHUNK_BYTES];
    for (int i = 0; i < CHUNKS_A_POLL && command->output >= 0; i++) {
        ssize_t got = read(command->output, bytes, sizeof bytes);
        if (got > 0) {
            take_output(command, bytes, (size_t)got);
        } else if (got == 0) {
            close_descriptor(&command->output); /* else it would be readable for ever */
        } else if (errno != EINTR) {
            return;
        }
    }
}

bool build_command_poll(build_command *command)
{
    siginfo_t info = {0};
    if (!command->pid) {
        return false;
    }
    read_output(command);
    /* While it is not reaped its number cannot be another's, so the group that is ended is its own.
     */
    if (waitid(P_PID, (id_t)command->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid) {
        return false;
    }
    int status = 0;
    kill(-command->pid, SIGKILL);
    waitpid(command->pid, &status, 0);
    read_output(command);
    end_line(command);
    command->exit_code = exit_code_of(status);
    forget_process(command);
    return true;
}

static const char *kept_output(const build_command *command, size_t *length)
{
    *length = rp_min_size(command->tail_length, BUILD_COMMAND_TAIL_BYTES);
    return command->tail + command->tail_length - *length;
}

size_t build_command_text(const build_command *command, char *text, size_t capacity)
{
    size_t length, error_length = strlen(command->error);
    const char *kept = kept_output(command, &length);
    const char *from = error_length ? memmem(kept, length, command->error, error_length) : NULL;
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    if (from) {
        length -= (size_t)(from - kept);
        kept = from;
    } else if (error_length) {
        rp_text_add(&buffer, "%s\n", command->error);
    }
    size_t room = capacity - buffer.length - 1, taken = rp_min_size(length, room);
    memcpy(text + buffer.length, kept, taken);
    text[buffer.length + taken] = 0;
    return buffer.length + taken;
}
