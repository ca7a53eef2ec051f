/* System calls that write into the program's memory, where written pages are found by faults: the
 * kernel takes no signal, it returns EFAULT. So what a call is to fill counts as written before it,
 * and can be written until the frame's end. Where the kernel tracks by itself these pass through.
 *
 * What the C library fills on its own account lies on the stack, which is not protected, or in the
 * keep zone, which is not tracked. docs/limits.md names what is left.
 */
#include "interpose.h"
#include "runner.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not inline: the compiler would take the buffers, which a caller need not have filled, for read.
 */
__attribute__((noinline)) void runner_will_write(void *start, size_t size_bytes)
{
    if (the_runner.refuses && start) {
        rp_world_will_write(the_runner.world, start, size_bytes);
    }
}

#define WILL_WRITE(start, size_bytes) runner_will_write(start, size_bytes)

static void will_write_vector(const struct iovec *vector, size_t count)
{
    for (size_t i = 0; the_runner.refuses && i < count; i++) {
        WILL_WRITE(vector[i].iov_base, vector[i].iov_len);
    }
}

/* A call with one result of a known size: `fill` is what it fills. */
#define FILLS(type, name, parameters, arguments, fill, size_bytes) \
    EXPORT type name parameters                                    \
    {                                                              \
        WILL_WRITE(fill, size_bytes);                              \
        REAL(name);                                                \
        return real arguments;                                     \
    }

/* ---- reading --------------------------------------------------------------------------------- */

FILLS(ssize_t, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at), to, size)
FILLS(ssize_t, pread64, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at), to, size)
FILLS(ssize_t, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags), to, size)
FILLS(ssize_t, readlink, (const char *path, char *to, size_t size), (path, to, size), to, size)
FILLS(ssize_t, readlinkat, (int fd, const char *path, char *to, size_t size), (fd, path, to, size),
      to, size)
FILLS(ssize_t, getdents64, (int fd, void *to, size_t size), (fd, to, size), to, size)
FILLS(size_t, fread, (void *to, size_t size, size_t count, FILE *file), (to, size, count, file), to,
      size *count)
#undef fread_unlocked
FILLS(size_t, fread_unlocked, (void *to, size_t size, size_t count, FILE *file),
      (to, size, count, file), to, size *count)

/* What _FORTIFY_SOURCE turns them into. */
#define CHECKED(type, name, parameters, arguments, fill, size_bytes) \
    EXPORT type name parameters;                                     \
    FILLS(type, name, parameters, arguments, fill, size_bytes)

CHECKED(ssize_t, __read_chk, (int fd, void *to, size_t size, size_t room), (fd, to, size, room), to,
        size)
CHECKED(ssize_t, __pread_chk, (int fd, void *to, size_t size, off_t at, size_t room),
        (fd, to, size, at, room), to, size)
CHECKED(ssize_t, __pread64_chk, (int fd, void *to, size_t size, off64_t at, size_t room),
        (fd, to, size, at, room), to, size)
CHECKED(ssize_t, __recv_chk, (int fd, void *to, size_t size, size_t room, int flags),
        (fd, to, size, room, flags), to, size)
CHECKED(ssize_t, __readlink_chk, (const char *path, char *to, size_t size, size_t room),
        (path, to, size, room), to, size)
CHECKED(char *, __getcwd_chk, (char *to, size_t size, size_t room), (to, size, room), to, size)
CHECKED(size_t, __fread_chk, (void *to, size_t room, size_t size, size_t count, FILE *file),
        (to, room, size, count, file), to, size *count)
CHECKED(int, __poll_chk, (struct pollfd * fds, nfds_t count, int timeout, size_t room),
        (fds, count, timeout, room), fds, count * sizeof *fds)

#define READS_VECTOR(name, parameters, arguments)                 \
    EXPORT ssize_t name parameters                                \
    {                                                             \
        will_write_vector(vector, count > 0 ? (size_t)count : 0); \
        REAL(name);                                               \
        return real arguments;                                    \
    }

READS_VECTOR(readv, (int fd, const struct iovec *vector, int count), (fd, vector, count))
READS_VECTOR(preadv, (int fd, const struct iovec *vector, int count, off_t at),
             (fd, vector, count, at))
READS_VECTOR(preadv64, (int fd, const struct iovec *vector, int count, off64_t at),
             (fd, vector, count, at))
READS_VECTOR(preadv2, (int fd, const struct iovec *vector, int count, off_t at, int flags),
             (fd, vector, count, at, flags))

/* The file's own buffer would be filled by the C library, whenever it likes. */
EXPORT int setvbuf(FILE *restrict file, char *restrict buffer, int mode, size_t size)
{
    REAL(setvbuf);
    bool drop = the_runner.refuses && runner_is_world(CALLER);
    return real(file, drop ? NULL : buffer, mode, size);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void will_write_address(void *address, socklen_t *size)
{
    if (the_runner.refuses && size) {
        WILL_WRITE(address, *size);
        WILL_WRITE(size, sizeof *size);
    }
}

EXPORT ssize_t runner_recvfrom(int fd, void *to, size_t size, int flags, struct sockaddr *address,
                               socklen_t *address_size) __asm__("recvfrom");
EXPORT ssize_t runner_recvfrom(int fd, void *to, size_t size, int flags, struct sockaddr *address,
                               socklen_t *address_size)
{
    static __typeof__(&runner_recvfrom) real;
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "recvfrom");
    }
    WILL_WRITE(to, size);
    will_write_address(address, address_size);
    return real(fd, to, size, flags, address, address_size);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    REAL(recvmsg);
    if (the_runner.refuses && message) {
        WILL_WRITE(message, sizeof *message);
        WILL_WRITE(message->msg_name, message->msg_namelen);
        WILL_WRITE(message->msg_control, message->msg_controllen);
        will_write_vector(message->msg_iov, message->msg_iovlen);
    }
    return real(fd, message, flags);
}

#define GIVES_ADDRESS(name)                                                                     \
    EXPORT int runner_##name(int fd, struct sockaddr *address, socklen_t *size) __asm__(#name); \
    EXPORT int runner_##name(int fd, struct sockaddr *address, socklen_t *size)                 \
    {                                                                                           \
        static __typeof__(&runner_##name) real;                                                 \
        if (!real) {                                                                            \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                          \
        }                                                                                       \
        will_write_address(address, size);                                                      \
        return real(fd, address, size);                                                         \
    }

GIVES_ADDRESS(accept)
GIVES_ADDRESS(getsockname)
GIVES_ADDRESS(getpeername)

EXPORT int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size)
{
    REAL(getsockopt);
    if (size) {
        WILL_WRITE(value, *size);
        WILL_WRITE(size, sizeof *size);
    }
    return real(fd, level, option, value, size);
}

FILLS(int, socketpair, (int domain, int type, int protocol, int ends[2]),
      (domain, type, protocol, ends), ends, 2 * sizeof(int))
FILLS(int, pipe, (int ends[2]), (ends), ends, 2 * sizeof(int))
FILLS(int, pipe2, (int ends[2], int flags), (ends, flags), ends, 2 * sizeof(int))

/* ---- waiting --------------------------------------------------------------------------------- */

FILLS(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), fds,
      count * sizeof *fds)
FILLS(int, ppoll,
      (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
      (fds, count, timeout, mask), fds, count * sizeof *fds)
FILLS(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout),
      (fd, events, count, timeout), events, (size_t)(count > 0 ? count : 0) * sizeof *events)
FILLS(int, epoll_pwait,
      (int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask),
      (fd, events, count, timeout, mask), events, (size_t)(count > 0 ? count : 0) * sizeof *events)

static void will_write_sets(fd_set *a, fd_set *b, fd_set *c)
{
    WILL_WRITE(a, sizeof *a);
    WILL_WRITE(b, sizeof *b);
    WILL_WRITE(c, sizeof *c);
}

EXPORT int select(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict other,
                  struct timeval *restrict timeout)
{
    REAL(select);
    will_write_sets(in, out, other);
    WILL_WRITE(timeout, sizeof *timeout);
    return real(count, in, out, other, timeout);
}

EXPORT int pselect(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict other,
                   const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
    REAL(pselect);
    will_write_sets(in, out, other);
    return real(count, in, out, other, timeout, mask);
}

FILLS(pid_t, waitpid, (pid_t pid, int *how, int options), (pid, how, options), how, sizeof *how)

/* ---- what the system tells --------------------------------------------------------------------*/

FILLS(int, stat, (const char *restrict path, struct stat *restrict to), (path, to), to, sizeof *to)
FILLS(int, lstat, (const char *restrict path, struct stat *restrict to), (path, to), to, sizeof *to)
FILLS(int, fstat, (int fd, struct stat *to), (fd, to), to, sizeof *to)
FILLS(int, fstatat, (int fd, const char *restrict path, struct stat *restrict to, int flags),
      (fd, path, to, flags), to, sizeof *to)
FILLS(int, stat64, (const char *restrict path, struct stat64 *restrict to), (path, to), to,
      sizeof *to)
FILLS(int, lstat64, (const char *restrict path, struct stat64 *restrict to), (path, to), to,
      sizeof *to)
FILLS(int, fstat64, (int fd, struct stat64 *to), (fd, to), to, sizeof *to)
FILLS(int, fstatat64, (int fd, const char *restrict path, struct stat64 *restrict to, int flags),
      (fd, path, to, flags), to, sizeof *to)
FILLS(int, statx,
      (int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict to),
      (fd, path, flags, mask, to), to, sizeof *to)
FILLS(int, statfs, (const char *path, struct statfs *to), (path, to), to, sizeof *to)
FILLS(int, fstatfs, (int fd, struct statfs *to), (fd, to), to, sizeof *to)
FILLS(int, uname, (struct utsname * to), (to), to, sizeof *to)
FILLS(clock_t, times, (struct tms * to), (to), to, sizeof *to)

EXPORT int runner_getrusage(int who, struct rusage *to) __asm__("getrusage");
EXPORT int runner_getrusage(int who, struct rusage *to)
{
    static __typeof__(&runner_getrusage) real;
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "getrusage");
    }
    WILL_WRITE(to, sizeof *to);
    return real(who, to);
}

/* How much it fills the request's number says for newer ones; the older ones fill little. */
EXPORT int ioctl(int fd, unsigned long request, ...)
{
    enum { LEAST = 256 };
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    REAL(ioctl);
    size_t size = _IOC_SIZE(request);
    WILL_WRITE(argument, size > LEAST ? size : LEAST);
    return real(fd, request, argument);
}

#undef fcntl
#undef fcntl64
#define CONTROLS(name)                              \
    EXPORT int name(int fd, int command, ...)       \
    {                                               \
        va_list arguments;                          \
        va_start(arguments, command);               \
        void *argument = va_arg(arguments, void *); \
        va_end(arguments);                          \
        REAL(name);                                 \
        WILL_WRITE(argument, sizeof(struct flock)); \
        return real(fd, command, argument);         \
    }

CONTROLS(fcntl)
CONTROLS(fcntl64)
