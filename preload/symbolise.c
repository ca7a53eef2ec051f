/* Asking reprise-symbols, from a process whose heap must not be touched. */
#include "preload/symbolise.h"

#include "base/bits.h"
#include "base/text.h"
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, QUESTION_BYTES = PATH_BYTES + 32, ENVIRONMENT_MOST = 1024 };
#define TIME_LIMIT_NS UINT64_C(20000000000)

typedef struct resolver {
    int fd; /* -1: there is none */
    pid_t process;
    uint64_t deadline_ns;
} resolver;

/* ---- objects ---- */

static void program_path(char *path)
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    path[length > 0 ? length : 0] = 0;
}

/* The file that holds the address, and how far into it; false: it is no code. */
static bool place_of(uintptr_t address, char *path, uintptr_t *offset)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)address, &object) != 0) {
        return false;
    }
    const struct link_map *map = object.dlfo_link_map;
    *offset = address - map->l_addr;
    if (map->l_name && map->l_name[0]) {
        rp_text_copy(path, PATH_BYTES, map->l_name);
    } else {
        program_path(path);
    }
    return true;
}

/* ---- the other process ---- */

static bool find_beside(const char *own_path, const char *relative, char *path)
{
    const char *slash = strrchr(own_path, '/');
    rp_text_buffer text = rp_text_buffer_over(path, PATH_BYTES);
    rp_text_add(&text, "%.*s%s", slash ? (int)(slash + 1 - own_path) : 0, own_path, relative);
    return access(path, X_OK) == 0;
}

static bool find_resolver(char *path)
{
    static const char *const places[] = {
        "reprise-symbols", "../host/reprise-symbols", /* in the build folder */
        "../libexec/reprise/reprise-symbols",
        "../../libexec/reprise/reprise-symbols", /* from lib/x86_64-linux-gnu */
    };
    char own_path[PATH_BYTES];
    uintptr_t offset;
    const char *told = secure_getenv("REPRISE_SYMBOLS");
    if (told) {
        return rp_text_copy(path, PATH_BYTES, told) && access(path, X_OK) == 0;
    }
    bool found = false;
    bool known = place_of((uintptr_t)&malloc_symbolise, own_path, &offset);
    for (size_t i = 0; known && !found && i < RP_COUNT_OF(places); i++) {
        found = find_beside(own_path, places[i], path);
    }
    return found;
}

/* Without what would load us into the other process. */
static void clean_environment(char **clean)
{
    size_t count = 0;
    for (char **entry = environ; entry && *entry && count + 1 < ENVIRONMENT_MOST; entry++) {
        if (strncmp(*entry, "LD_PRELOAD=", 11) != 0 && strncmp(*entry, "REPRISE_", 8) != 0) {
            clean[count++] = *entry;
        }
    }
    clean[count] = NULL;
}

/* In the child of vfork: only calls to the system, on the parent's stack. */
static _Noreturn void become_resolver(const char *path, char **environment, int fd,
                                      const sigset_t *mask)
{
    char name[] = "reprise-symbols";
    char *arguments[] = {name, NULL};
    if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0) {
        sigprocmask(SIG_SETMASK, mask, NULL);
        execve(path, arguments, environment);
    }
    _exit(127);
}

/* vfork, as fork would run the handlers of a process that may be half broken. */
static pid_t start_process(const char *path, int fd)
{
    char *environment[ENVIRONMENT_MOST];
    sigset_t all, mask;
    clean_environment(environment);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    pid_t process = vfork();
    if (process == 0) {
        become_resolver(path, environment, fd, &mask);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return process;
}

static resolver resolver_start(void)
{
    char path[PATH_BYTES];
    int ends[2];
    resolver made = {.fd = -1, .process = -1, .deadline_ns = rp_os_monotonic_ns() + TIME_LIMIT_NS};
    if (!find_resolver(path) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return made;
    }
    made.process = start_process(path, ends[1]);
    close(ends[1]);
    if (made.process < 0) {
        close(ends[0]);
        return made;
    }
    made.fd = ends[0];
    return made;
}

static void resolver_stop(resolver *asked)
{
    if (asked->fd >= 0) {
        close(asked->fd);
        asked->fd = -1;
    }
    if (asked->process > 0) {
        kill(asked->process, SIGKILL);
        while (waitpid(asked->process, NULL, 0) < 0 && errno == EINTR) {
        }
        asked->process = -1;
    }
}

/* ---- questions and answers ---- */

static bool wait_for_answer(const resolver *asked)
{
    struct pollfd one = {.fd = asked->fd, .events = POLLIN};
    uint64_t now = rp_os_monotonic_ns();
    int left_ms = now < asked->deadline_ns ? (int)((asked->deadline_ns - now) / 1000000) : 0;
    int ready = poll(&one, 1, left_ms);
    return ready > 0 || (ready < 0 && errno == EINTR);
}

/* One line; the other side sends no more than was asked for. */
static bool read_answer(const resolver *asked, char *text, size_t capacity)
{
    size_t length = 0;
    for (;;) {
        char got[256];
        if (!wait_for_answer(asked)) {
            return false;
        }
        ssize_t bytes = recv(asked->fd, got, sizeof got, MSG_DONTWAIT);
        if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        for (ssize_t i = 0; i < bytes; i++) {
            if (got[i] == '\n') {
                text[length] = 0;
                return length > 0;
            }
            if (length + 1 < capacity) {
                text[length++] = got[i];
            }
        }
    }
}

static bool ask(const resolver *asked, const char *path, uintptr_t offset, char *text)
{
    char question[QUESTION_BYTES];
    rp_text_buffer line = rp_text_buffer_over(question, sizeof question);
    rp_text_add(&line, "%s+0x%zx\n", path, (size_t)offset);
    return asked->fd >= 0 && !strchr(path, '\n') &&
           send(asked->fd, question, line.length, MSG_NOSIGNAL) == (ssize_t)line.length &&
           read_answer(asked, text, SYMBOLISE_LINE_BYTES);
}

static void describe(resolver *asked, uintptr_t address, char *text)
{
    char path[PATH_BYTES];
    uintptr_t offset;
    rp_text_buffer plain = rp_text_buffer_over(text, SYMBOLISE_LINE_BYTES);
    if (!place_of(address, path, &offset)) {
        rp_text_add(&plain, "0x%zx", (size_t)address);
    } else if (!ask(asked, path, offset, text)) {
        resolver_stop(asked);
        const char *slash = strrchr(path, '/');
        plain = rp_text_buffer_over(text, SYMBOLISE_LINE_BYTES);
        rp_text_add(&plain, "%s+0x%zx", slash ? slash + 1 : path, (size_t)offset);
    }
}

void malloc_symbolise(const uintptr_t *addresses, size_t count, symbolise_line *line, void *context)
{
    int saved = errno;
    resolver asked = resolver_start();
    for (size_t i = 0; i < count && i < SYMBOLISE_MOST; i++) {
        char text[SYMBOLISE_LINE_BYTES];
        describe(&asked, addresses[i], text);
        line(context, i, text);
    }
    resolver_stop(&asked);
    errno = saved;
}
