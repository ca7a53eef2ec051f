/* Hostile bytes as requests on the control socket: whole answers or none, and the next client is
 * served. Entry point for libFuzzer and for plain drivers that call it with mutated files. The
 * first byte says in pieces of which size the rest is sent.
 */
#include "control/control.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWERS_BYTES = 1 << 20, POLLS_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[96];
static control *server;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Gives back what it was asked, so that all of it is written. */
static json_t *echo(void *context, const json_t *request)
{
    (void)context;
    require(json_is_object(request));
    return json_pack("{s:b,s:O}", "ok", 1, "request", (json_t *)(uintptr_t)request);
}

static void clean_up(void)
{
    control_close(server);
    rmdir(folder);
}

static void serve(void)
{
    strcpy(folder, "/tmp/rp-fuzz-XXXXXX");
    require(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/x.sock", folder);
    require(control_open(path, echo, NULL, &server) == RP_OK);
    atexit(clean_up);
}

static int connect_here(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strcpy(address.sun_path, path);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    control_poll(server);
    return fd;
}

/* Reads what is there; false: the server hung up. */
static bool read_answers(int fd, char *answers, size_t *length)
{
    for (;;) {
        ssize_t got = recv(fd, answers + *length, ANSWERS_BYTES - *length, 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        *length += (size_t)got;
        require(*length < ANSWERS_BYTES);
    }
}

static void check_answers(const char *answers, size_t length)
{
    while (length) {
        const char *end = memchr(answers, '\n', length);
        require(end != NULL);
        json_t *answer = json_loadb(answers, (size_t)(end - answers), 0, NULL);
        require(json_is_boolean(json_object_get(answer, "ok")));
        json_decref(answer);
        length -= (size_t)(end + 1 - answers);
        answers = end + 1;
    }
}

static void talk(int fd, const uint8_t *data, size_t size, size_t piece)
{
    static char answers[ANSWERS_BYTES];
    size_t length = 0;
    bool open = true;
    for (int i = 0; i < POLLS_MAX && open && size; i++) {
        ssize_t sent = send(fd, data, size < piece ? size : piece, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            break;
        }
        data += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
        control_poll(server);
        open = read_answers(fd, answers, &length);
    }
    /* A poll may leave requests for the next one. */
    for (size_t before = length + 1; open && before != length;) {
        before = length;
        control_poll(server);
        open = read_answers(fd, answers, &length);
    }
    check_answers(answers, length);
}

static void next_client_is_served(void)
{
    static const char request[] = "{\"cmd\":\"status\"}\n";
    char answer[256];
    int fd = connect_here();
    require(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1);
    control_poll(server);
    require(recv(fd, answer, sizeof answer, 0) > 0);
    close(fd);
    control_poll(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > ANSWERS_BYTES / 8) {
        return 0;
    }
    if (!server) {
        serve();
    }
    int fd = connect_here();
    talk(fd, data + 1, size - 1, (size_t)data[0] * data[0] + 1);
    close(fd);
    control_poll(server);
    next_client_is_served();
    return 0;
}
