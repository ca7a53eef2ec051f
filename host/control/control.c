/* The host's side of the control socket: one epoll descriptor over the listener and its clients. */
#include "control/control.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 16,
    READ_BYTES = 4096 /* a poll and client: bounds how many requests hold up a frame */
};

typedef struct client {
    int fd;          /* -1: the slot is free */
    bool closing;    /* once the answer is out */
    bool later;      /* its first line was not answered yet */
    bool asked;      /* its answer is being made: polls from within leave it alone */
    uint64_t active; /* the server's count at its last request or connection */
    char *in;        /* CONTROL_REQUEST_MAX_BYTES + 1, from the first byte on */
    size_t in_bytes;
    char *out; /* the answer that is being written; null: none */
    size_t out_bytes, out_sent;
} client;

struct control {
    int epoll, listener, spare; /* spare: given up for a moment when descriptors run out */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    dev_t device;
    ino_t inode; /* of our socket: another host's in its place is not ours to remove */
    control_answer_fn *answer;
    void *context;
    uint64_t count;
    client clients[CONTROL_CLIENT_MAX];
};

/* ---- answering ------------------------------------------------------------------------------ */

static json_t *refusal(const char *text)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

/* Takes over `answer`. One that cannot be written, as it holds text that is no UTF-8, is said so.
 */
static void send_later(client *who, json_t *answer)
{
    static const char unwritable[] =
        "{\"ok\":false,\"error\":\"answer: it cannot be written as JSON: ask for something else\"}";
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    if (!text) {
        text = strdup(unwritable);
    }
    size_t length = text ? strlen(text) : 0;
    who->out = text;
    who->out_bytes = length + 1;
    who->out_sent = 0;
    if (text) {
        text[length] = '\n'; /* in the place of its end, which is not needed */
    } else {
        who->closing = true;
    }
}

json_t *control_later(void)
{
    static json_t later = {JSON_NULL, (size_t)-1}; /* as jansson's own constants: never freed */
    return &later;
}

/* False: it is to be asked again. */
static bool answer_line(control *c, client *who, const char *line, size_t length)
{
    bool done = true;
    json_error_t problem;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(request)) {
        char text[320];
        rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
        rp_text_add(&buffer, "request: no JSON object%s%s: send one line like {\"cmd\":\"status\"}",
                    request ? "" : ": ", request ? "" : problem.text);
        send_later(who, refusal(text));
        who->closing = true;
    } else {
        who->asked = true;
        json_t *answer = c->answer(c->context, request);
        who->asked = false;
        done = answer != control_later();
        if (done) {
            send_later(who,
                       answer ? answer : refusal("request: the host had no answer: try again"));
        }
    }
    json_decref(request);
    return done;
}

/* ---- one client ----------------------------------------------------------------------------- */

static void drop(client *who)
{
    close(who->fd); /* leaves the epoll set with it */
    free(who->in);
    free(who->out);
    *who = (client){.fd = -1};
}

/* False: the client is gone. */
static bool flush(client *who)
{
    while (who->out) {
        ssize_t sent = send(who->fd, who->out + who->out_sent, who->out_bytes - who->out_sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        who->out_sent += (size_t)sent;
        if (who->out_sent == who->out_bytes) {
            free(who->out);
            who->out = NULL;
        }
    }
    return !who->closing;
}

/* Answers the whole lines that are there, while answers go out as fast as they are made. */
static bool answer_lines(control *c, client *who)
{
    size_t done = 0;
    bool alive = flush(who);
    who->later = false;
    while (alive && !who->out && !who->closing) {
        char *end = memchr(who->in + done, '\n', who->in_bytes - done);
        if (!end && who->in_bytes - done <= CONTROL_REQUEST_MAX_BYTES) {
            break;
        }
        if (end) {
            who->active = ++c->count;
            who->later = !answer_line(c, who, who->in + done, (size_t)(end - who->in) - done);
            if (who->later) {
                break;
            }
            done = (size_t)(end - who->in) + 1;
        } else {
            send_later(who, refusal("request: longer than 64 KiB: send less in one line"));
            who->closing = true;
        }
        alive = flush(who);
    }
    memmove(who->in, who->in + done, who->in_bytes - done);
    who->in_bytes -= done;
    return alive;
}

static bool receive(control *c, client *who)
{
    if (!who->in && !(who->in = malloc(CONTROL_REQUEST_MAX_BYTES + 1))) {
        return false;
    }
    size_t room = CONTROL_REQUEST_MAX_BYTES + 1 - who->in_bytes;
    ssize_t got =
        recv(who->fd, who->in + who->in_bytes, room < READ_BYTES ? room : READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    who->in_bytes += (size_t)got;
    return answer_lines(c, who);
}

/* A client with an answer on its way is waited for until it reads; one whose request waits is not
 * read from, but that it went away is noticed. */
static void attend_to(control *c, client *who, bool alive)
{
    struct epoll_event wanted = {.data.ptr = who};
    if (!alive) {
        drop(who);
        return;
    }
    wanted.events = who->out ? EPOLLOUT : who->later ? 0 : EPOLLIN;
    epoll_ctl(c->epoll, EPOLL_CTL_MOD, who->fd, &wanted);
}

static void attend(control *c, client *who, uint32_t events)
{
    if (who->fd < 0 || who->asked) {
        return; /* a poll from within an answer dropped it, or is that answer's */
    }
    bool gone = who->later && events & (EPOLLHUP | EPOLLERR);
    bool alive = gone ? false : who->out || who->later ? answer_lines(c, who) : receive(c, who);
    attend_to(c, who, alive);
}

/* ---- connections ---------------------------------------------------------------------------- */

static client *free_slot(control *c)
{
    client *silent = NULL;
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        client *who = &c->clients[i];
        if (who->fd < 0) {
            return who;
        }
        if (!who->asked && (!silent || who->active < silent->active)) {
            silent = who;
        }
    }
    drop(silent);
    return silent;
}

static bool is_this_user(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* Without a descriptor to accept it with, a connection would keep the listener readable for ever.
 */
static void turn_away(control *c)
{
    close(c->spare);
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void welcome(control *c)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            turn_away(c);
        }
        return;
    }
    if (!is_this_user(fd)) {
        close(fd);
        return;
    }
    client *who = free_slot(c);
    *who = (client){.fd = fd, .active = ++c->count};
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = who};
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &wanted) < 0) {
        drop(who);
    }
}

/* Those whose request waited. */
static void ask_again(control *c)
{
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        client *who = &c->clients[i];
        if (who->fd >= 0 && who->later && !who->asked) {
            attend_to(c, who, answer_lines(c, who));
        }
    }
}

void control_poll(control *c)
{
    ask_again(c);
    struct epoll_event events[CONTROL_CLIENT_MAX + 1];
    int count = epoll_wait(c->epoll, events, CONTROL_CLIENT_MAX + 1, 0);
    bool knocked = false;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr) {
            attend(c, events[i].data.ptr, events[i].events);
        } else {
            knocked = true;
        }
    }
    if (knocked) { /* last, since it may give a slot of `events` to somebody else */
        welcome(c);
    }
}

int control_fds(const control *c, int *fds, int capacity)
{
    if (capacity > 0) {
        fds[0] = c->epoll;
    }
    return capacity > 0 ? 1 : 0;
}

/* ---- opening and closing -------------------------------------------------------------------- */

/* Serialises who looks whether a socket is dead and replaces it. Returns a descriptor to close. */
static int lock_directory(const char *path)
{
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    rp_text_copy(directory, sizeof directory, path);
    char *slash = strrchr(directory, '/');
    if (slash) {
        slash[slash == directory] = 0;
    }
    int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR) {
    }
    return fd;
}

static rp_status make_way(const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0) {
        return RP_OK;
    }
    if (!S_ISSOCK(info.st_mode)) {
        return rp_fail(RP_E_BUSY, "control: %s: is no socket: remove it, or choose another --name",
                       path);
    }
    if (control_lives(path)) {
        return rp_fail(
            RP_E_BUSY,
            "control: %s: another host uses this name: end it with `reprise ctl quit`, or choose "
            "another --name",
            path);
    }
    unlink(path);
    return RP_OK;
}

static rp_status listen_at(control *c, const struct sockaddr_un *address)
{
    struct stat info;
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode that the descriptor has before bind is the mode that the file gets: never a moment
     * with more. */
    if (c->listener < 0 || fchmod(c->listener, 0600) < 0 ||
        bind(c->listener, (const struct sockaddr *)address, sizeof *address) < 0 ||
        listen(c->listener, BACKLOG) < 0 || stat(c->path, &info) < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "control: cannot listen at %s", c->path);
    }
    c->device = info.st_dev;
    c->inode = info.st_ino;
    return RP_OK;
}

static rp_status take_path(control *c, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!rp_text_copy(address.sun_path, sizeof address.sun_path, path) || !path[0]) {
        return rp_fail(RP_E_RANGE,
                       "control: %s: a socket's path has 1 to %zu bytes: choose another", path,
                       sizeof address.sun_path - 1);
    }
    memcpy(c->path, address.sun_path, sizeof c->path);
    int lock = lock_directory(path);
    if (lock < 0) {
        return rp_fail_system(RP_E_SYSTEM, errno, "control: cannot open the directory of %s", path);
    }
    rp_status status = make_way(path);
    if (status == RP_OK) {
        status = listen_at(c, &address);
    }
    close(lock);
    return status;
}

rp_status control_open(const char *path, control_answer_fn *answer, void *context, control **out)
{
    control *c = calloc(1, sizeof *c);
    if (!c) {
        return rp_fail(RP_E_MEMORY, "control: out of memory: close other programs");
    }
    c->listener = -1;
    c->answer = answer;
    c->context = context;
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        c->clients[i].fd = -1;
    }
    c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    rp_status status = take_path(c, path);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL};
    if (status == RP_OK &&
        (c->epoll < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listener, &wanted) < 0)) {
        status = rp_fail_system(RP_E_SYSTEM, errno, "control: cannot wait for connections");
    }
    if (status != RP_OK) {
        control_close(c);
        return status;
    }
    *out = c;
    return RP_OK;
}

static void remove_socket(const control *c)
{
    struct stat info;
    int lock = lock_directory(c->path);
    if (c->inode && lstat(c->path, &info) == 0 && info.st_dev == c->device &&
        info.st_ino == c->inode) {
        unlink(c->path);
    }
    if (lock >= 0) {
        close(lock);
    }
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void control_close(control *c)
{
    if (!c) {
        return;
    }
    for (int i = 0; i < CONTROL_CLIENT_MAX; i++) {
        if (c->clients[i].fd >= 0) {
            drop(&c->clients[i]);
        }
    }
    remove_socket(c);
    close_if_open(c->listener);
    close_if_open(c->epoll);
    close_if_open(c->spare);
    free(c);
}
