/* What of the system would make two runs differ, for the program's code: the random devices and the
 * process's number. Everything else of files passes through.
 */
#include "interpose.h"
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number that the program sees as its own: the runner's changes with every restart. */
enum { WORLD_PID = 0x5250 };

/* Descriptors that the program opened on a random device. They are the process's, not the world's:
 * one that is held over a restart is as dead as any other descriptor. */
enum { FD_MAX = 1024 };
static atomic_uchar random_fds[FD_MAX];

static bool is_random_device(const char *path)
{
    return strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0;
}

static int noted(const void *caller, const char *path, int fd)
{
    if (fd >= 0 && fd < FD_MAX) {
        atomic_store(&random_fds[fd], runner_environment_of(caller) && is_random_device(path));
    }
    return fd;
}

/* The mode of open's variable arguments; there only where a file may be made. */
static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPENS(name)                                          \
    EXPORT int name(const char *path, int flags, ...)        \
    {                                                        \
        va_list arguments;                                   \
        va_start(arguments, flags);                          \
        mode_t mode = mode_of(flags, arguments);             \
        va_end(arguments);                                   \
        REAL(name);                                          \
        return noted(CALLER, path, real(path, flags, mode)); \
    }

#undef open
#undef open64
OPENS(open)
OPENS(open64)

EXPORT int close(int fd)
{
    if (fd >= 0 && fd < FD_MAX) {
        atomic_store(&random_fds[fd], 0);
    }
    REAL(close);
    return real(fd);
}

EXPORT ssize_t read(int fd, void *bytes, size_t size_bytes)
{
    if (fd >= 0 && fd < FD_MAX && atomic_load(&random_fds[fd])) {
        rp_environment *environment = runner_environment_of(CALLER);
        if (environment) {
            rp_environment_random(environment, bytes, size_bytes);
            return (ssize_t)size_bytes;
        }
    }
    REAL(read);
    runner_will_write(bytes, size_bytes);
    return real(fd, bytes, size_bytes);
}

static ssize_t random_read(void *cookie, char *bytes, size_t size_bytes)
{
    (void)cookie;
    rp_environment *environment = runner_environment();
    if (!environment) {
        return -1;
    }
    rp_environment_random(environment, bytes, size_bytes);
    return (ssize_t)size_bytes;
}

static FILE *random_file(const void *caller, const char *path)
{
    if (!runner_environment_of(caller) || !is_random_device(path)) {
        return NULL;
    }
    FILE *file = fopencookie(NULL, "r", (cookie_io_functions_t){.read = random_read});
    if (file) {
        setvbuf(file, NULL, _IONBF, 0); /* a buffer would be state that a restore does not know */
    }
    return file;
}

#undef fopen
#undef fopen64
EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    FILE *file = random_file(CALLER, path);
    REAL(fopen);
    return file ? file : real(path, mode);
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    FILE *file = random_file(CALLER, path);
    REAL(fopen64);
    return file ? file : real(path, mode);
}

EXPORT pid_t getpid(void)
{
    if (runner_environment_of(CALLER)) {
        return WORLD_PID;
    }
    REAL(getpid);
    return real();
}

EXPORT int kill(pid_t pid, int number)
{
    REAL(kill);
    if (pid == WORLD_PID && runner_environment_of(CALLER)) {
        return raise(number);
    }
    return real(pid, number);
}
