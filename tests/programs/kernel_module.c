/* A program that lets the system write into its state in every frame, by every way that a program
 * usually has, into memory that it did not write before in that frame. One that comes back with an
 * error, or with other bytes, ends it. tests/e2e/robust_tracking.sh */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <reprise/stage.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ROOM = 4096 * 40, FAR = 4096 * 3 };

static struct {
    char bytes[ROOM];
} in_globals;
static char *in_heap;
static uint64_t calls;

/* Each call gets pages of its own. */
static char *next_room(size_t *at)
{
    char *room = (*at / FAR) % 2 ? in_heap : in_globals.bytes;
    char *place = room + *at % (ROOM - FAR);
    *at += FAR + 64;
    calls++;
    return place;
}

static void from_pipe(size_t *at)
{
    int *ends = (int *)(void *)next_room(at);
    assert(pipe(ends) == 0);
    assert(write(ends[1], "0123456789abcdef0123456789abcdef", 32) == 32);
    struct pollfd *fd = (struct pollfd *)(void *)next_room(at);
    *fd = (struct pollfd){.fd = ends[0], .events = POLLIN};
    assert(poll(fd, 1, 0) == 1 && fd->revents & POLLIN);
    fd_set *set = (fd_set *)(void *)next_room(at);
    FD_ZERO(set);
    FD_SET(ends[0], set);
    assert(select(ends[0] + 1, set, NULL, NULL, &(struct timeval){0}) == 1);
    char *bytes = next_room(at);
    assert(read(ends[0], bytes, 8) == 8 && memcmp(bytes, "01234567", 8) == 0);
    bytes = next_room(at);
    assert(syscall(SYS_read, ends[0], bytes, 8) == 8 && memcmp(bytes, "89abcdef", 8) == 0);
    struct iovec *vector = (struct iovec *)(void *)next_room(at);
    vector[0] = (struct iovec){next_room(at), 4};
    vector[1] = (struct iovec){next_room(at), 4};
    assert(readv(ends[0], vector, 2) == 8 && memcmp(vector[1].iov_base, "4567", 4) == 0);
    int *waiting = (int *)(void *)next_room(at);
    assert(ioctl(ends[0], FIONREAD, waiting) == 0 && *waiting == 8);
    close(ends[0]);
    close(ends[1]);
}

static void from_socket(size_t *at)
{
    int *ends = (int *)(void *)next_room(at);
    assert(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    for (int i = 0; i < 3; i++) {
        assert(send(ends[1], "datagram", 8, 0) == 8);
    }
    char *bytes = next_room(at);
    assert(recv(ends[0], bytes, 100, 0) == 8 && memcmp(bytes, "datagram", 8) == 0);
    bytes = next_room(at);
    assert(recvfrom(ends[0], bytes, 100, 0, NULL, NULL) == 8);
    struct iovec *vector = (struct iovec *)(void *)next_room(at);
    *vector = (struct iovec){next_room(at), 100};
    struct msghdr *message = (struct msghdr *)(void *)next_room(at);
    *message = (struct msghdr){.msg_iov = vector, .msg_iovlen = 1};
    assert(recvmsg(ends[0], message, 0) == 8);
    int *type = (int *)(void *)next_room(at);
    socklen_t *size = (socklen_t *)(void *)next_room(at);
    *size = sizeof *type;
    assert(getsockopt(ends[0], SOL_SOCKET, SO_TYPE, type, size) == 0 && *type == SOCK_DGRAM);
    close(ends[0]);
    close(ends[1]);
}

static void from_files(size_t *at)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert(fd >= 0);
    char *bytes = next_room(at);
    assert(pread(fd, bytes, FAR, 0) == FAR && memcmp(bytes, "\177ELF", 4) == 0);
    struct stat *about = (struct stat *)(void *)next_room(at);
    assert(fstat(fd, about) == 0 && about->st_size > FAR);
    about = (struct stat *)(void *)next_room(at);
    assert(stat("/", about) == 0 && S_ISDIR(about->st_mode));
    close(fd);
    FILE *file = fopen("/proc/self/exe", "r");
    assert(file);
    bytes = next_room(at);
    assert(fread(bytes, 1, FAR, file) == FAR && memcmp(bytes, "\177ELF", 4) == 0);
    fclose(file);
    file = fopen("/proc/version", "r");
    bytes = next_room(at);
    setvbuf(file, bytes, _IOFBF, 1024);
    bytes = next_room(at);
    assert(fgets(bytes, 512, file) && strncmp(bytes, "Linux", 5) == 0);
    fclose(file);
    bytes = next_room(at);
    assert(getcwd(bytes, FAR) && bytes[0] == '/');
    assert(readlink("/proc/self/exe", next_room(at), 512) > 0);
    assert(uname((struct utsname *)(void *)next_room(at)) == 0);
    assert(getrusage(RUSAGE_SELF, (struct rusage *)(void *)next_room(at)) == 0);
    DIR *folder = opendir("/");
    assert(folder && readdir(folder));
    closedir(folder);
}

static void from_signals(size_t *at)
{
    sigset_t *all = (sigset_t *)(void *)next_room(at), *before = (sigset_t *)(void *)next_room(at);
    sigfillset(all);
    assert(sigprocmask(SIG_BLOCK, all, before) == 0);
    next_room(at)[0]++; /* a fault while all signals are blocked */
    assert(sigprocmask(SIG_SETMASK, before, NULL) == 0);
    struct sigaction *action = (struct sigaction *)(void *)next_room(at);
    assert(sigaction(SIGUSR2, NULL, action) == 0);
}

/* A ring may fill memory that is named with each request, not memory that is registered: what it
 * wrote there nobody would see. */
static void from_ring(void)
{
    enum { SETUP = 425, REGISTER = 427, REGISTER_BUFFERS = 0 };
    char params[256] = {0};
    static int ring = -2;
    ring = ring == -2 ? (int)syscall(SETUP, 4, params) : ring;
    if (ring < 0) {
        return;
    }
    struct iovec *buffer = (struct iovec *)(void *)in_globals.bytes;
    *buffer = (struct iovec){in_heap, 4096};
    errno = 0;
    assert(syscall(REGISTER, ring, REGISTER_BUFFERS, buffer, 1) == -1 && errno == EOPNOTSUPP);
    close(ring);
    ring = -1;
}

/* Its own changes of protection, and what it drops. */
static void change_mappings(size_t *at, uint64_t frame)
{
    char *room = in_heap + ROOM, *page = (char *)(((uintptr_t)room + 4095) & ~(uintptr_t)4095);
    assert(mprotect(page, 4096, PROT_NONE) == 0);
    assert(mprotect(page, 4096, PROT_READ) == 0);
    assert(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
    page[frame % 4096]++;
    assert(madvise(page + 4096, 4096, MADV_DONTNEED) == 0);
    page[4096 + frame % 4096] = 1;
    (void)at;
}

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    in_heap = calloc(1, ROOM + 4 * 4096);
}

void rp_module_step(rp_stage *stage)
{
    size_t at = stage->frame * 64;
    from_pipe(&at);
    from_socket(&at);
    from_files(&at);
    from_signals(&at);
    from_ring();
    change_mappings(&at, stage->frame);
}

void rp_module_render(rp_stage *stage)
{
    (void)stage;
}
