/* The client's side of the control socket: one request, one answer. */
#include "base/error.h"
#include "base/text.h"
#include "control/control.h"
#include "os/os.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct conversation {
    const char *path;
    int fd;
    uint64_t deadline_ns;
    char *line;
    size_t length, capacity;
} conversation;

static int left_ms(const conversation *with)
{
    uint64_t now = rp_os_monotonic_ns();
    return now >= with->deadline_ns ? 0 : (int)((with->deadline_ns - now + 999999) / 1000000);
}

static rp_status too_late(const conversation *with)
{
    return rp_fail(RP_E_TIMEOUT,
                   "control: %s: the host does not answer: it may be stopped in a debugger",
                   with->path);
}

static rp_status gone(const conversation *with, int code)
{
    return rp_fail_system(RP_E_CLOSED, code, "control: %s: the host went away before it answered",
                          with->path);
}

static rp_status call_host(conversation *with, int timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!rp_text_copy(address.sun_path, sizeof address.sun_path, with->path)) {
        return rp_fail(RP_E_RANGE, "control: %s: too long for a socket: choose another",
                       with->path);
    }
    with->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (with->fd < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "control: cannot make a socket");
    }
    /* Bounds connect(2) as well, which waits while the listener's queue is full. */
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000 + 1};
    setsockopt(with->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(with->fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        return RP_OK;
    }
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR || errno == ENOTSOCK) {
        return rp_fail_system(RP_E_NOT_FOUND, errno,
                              "control: %s: nobody there: start `reprise run` first", with->path);
    }
    return errno == EAGAIN
               ? too_late(with)
               : rp_fail_system(RP_E_SYSTEM, errno, "control: cannot connect to %s", with->path);
}

/* A host that refuses a request may close before all of it is sent; its answer can still be read.
 */
static rp_status say(const conversation *with, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    if (!text) {
        return rp_fail(RP_E_MEMORY, "control: the request cannot be written: out of memory");
    }
    size_t length = strlen(text);
    text[length] = '\n';
    for (size_t sent = 0; sent < length + 1;) {
        ssize_t now = send(with->fd, text + sent, length + 1 - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR) {
            break;
        }
        sent += now > 0 ? (size_t)now : 0;
    }
    int code = errno;
    free(text);
    return code == EAGAIN && left_ms(with) == 0 ? too_late(with) : RP_OK;
}

static bool make_room(conversation *with)
{
    if (with->length < with->capacity) {
        return true;
    }
    size_t capacity = with->capacity ? with->capacity * 2 : 4096;
    char *line = capacity <= CONTROL_ANSWER_MAX_BYTES ? realloc(with->line, capacity) : NULL;
    if (!line) {
        return false;
    }
    with->line = line;
    with->capacity = capacity;
    return true;
}

/* Reads up to the first line's end. */
static rp_status listen_to(conversation *with)
{
    for (;;) {
        struct pollfd ready = {.fd = with->fd, .events = POLLIN};
        int count = poll(&ready, 1, left_ms(with));
        if (count == 0) {
            return too_late(with);
        }
        if (!make_room(with)) {
            return rp_fail(RP_E_FORMAT, "control: %s: the answer is too long: ask for less",
                           with->path);
        }
        ssize_t got =
            recv(with->fd, with->line + with->length, with->capacity - with->length, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return gone(with, got < 0 ? errno : 0);
        }
        char *end = got > 0 ? memchr(with->line + with->length, '\n', (size_t)got) : NULL;
        with->length += got > 0 ? (size_t)got : 0;
        if (end) {
            with->length = (size_t)(end - with->line);
            return RP_OK;
        }
    }
}

rp_status control_ask(const char *path, const json_t *request, int timeout_ms, json_t **answer)
{
    conversation with = {.path = path, .fd = -1};
    with.deadline_ns = rp_os_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    rp_status status = call_host(&with, timeout_ms);
    if (status == RP_OK) {
        status = say(&with, request);
    }
    if (status == RP_OK) {
        status = listen_to(&with);
    }
    json_t *got = status == RP_OK ? json_loadb(with.line, with.length, 0, NULL) : NULL;
    if (status == RP_OK && !json_is_object(got)) {
        json_decref(got);
        status = rp_fail(RP_E_FORMAT,
                         "control: %s: the answer is no JSON object: is it a reprise host?", path);
    }
    if (status == RP_OK) {
        *answer = got;
    }
    if (with.fd >= 0) {
        close(with.fd);
    }
    free(with.line);
    return status;
}
