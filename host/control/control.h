/* The control socket: one line of JSON in, one line out. `reprise ctl` is its client.
 *
 *   {"cmd":"seek","a":120}
 *   {"ok":true,"frame":120}   or   {"ok":false,"error":"what: why: what to do"}
 *
 * A Unix socket of mode 0600 in a directory of mode 0700 that belongs to this user. Requests longer
 * than 64 KiB, or that are no JSON object, are answered with an error and the connection is closed;
 * the program goes on. A second host on the same name is refused (RP_E_BUSY) while the first lives;
 * a socket that a dead host left is taken over.
 *
 * A client that does not read its answers is not read from either, so what the server keeps for it
 * is one request and one answer. The table of clients is bounded; a newcomer takes the place of the
 * one that was silent for longest.
 *
 * Layer: host.  Threads: the host's main thread.  Tests: tests/host/test_control.c
 */
#ifndef HOST_CONTROL_CONTROL_H
#define HOST_CONTROL_CONTROL_H

#include <jansson.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct control control;

enum {
    CONTROL_REQUEST_MAX_BYTES = 64 << 10, /* without the line's end */
    CONTROL_ANSWER_MAX_BYTES = 16 << 20,  /* that a client takes */
    CONTROL_CLIENT_MAX = 32,
    CONTROL_NAME_BYTES = 65
};

/* ---- where (control_path.c) ---- */

/* The socket's path for a project name ("game" for ./game.so): $XDG_RUNTIME_DIR/reprise/NAME.sock,
 * else /tmp/reprise-UID/NAME.sock. Makes the directory; refuses one that is not ours alone
 * (RP_E_BUSY). RP_E_ARGUMENT: the name is empty, longer than 64 bytes, begins with '.', or holds
 * '/' or a control character. RP_E_RANGE: longer than `capacity` or than a socket's path can be. */
rp_status control_path(const char *name, char *path, size_t capacity);
/* Whether somebody listens at the path, as far as one can know: RP_E_BUSY of control_open rests on
 * it. */
bool control_lives(const char *path);
/* The names of this user's hosts that live now, sorted. Returns how many there are in `names`. */
int control_list(char names[][CONTROL_NAME_BYTES], int capacity);

/* The socket that a command of the line means: `socket` itself, that of the program `name`, or,
 * where both are null, that of the only one that runs. `who` is the command, for the text.
 * RP_E_ARGUMENT: several run, or both are given; RP_E_NOT_FOUND: none runs; RP_E_RANGE. */
rp_status control_choose(const char *who, const char *name, const char *socket, char *path,
                         size_t capacity);

/* ---- the host's side (control.c) ---- */

/* Answers one request with a new object (the control writes and frees it). `request` is borrowed.
 * control_later(): it is asked again at the next control_poll; its client's other requests wait
 * behind it. */
typedef json_t *control_answer_fn(void *context, const json_t *request);
json_t *control_later(void);

rp_status control_open(const char *path, control_answer_fn *answer, void *context, control **out);
void control_close(control *c); /* removes the socket; null is nothing */
/* Descriptors to wait for with POLLIN; returns how many. (One: it covers all clients, and those
 * that wait for room to write.) */
int control_fds(const control *c, int *fds, int capacity);
/* Takes connections and answers requests that are there. Never blocks. May be called from within an
 * answer that takes long: that answer's client is then left alone. */
void control_poll(control *c);

/* ---- the client's side (control_client.c) ---- */

/* Sends one request, waits up to timeout_ms for the answer, a new object of the caller's.
 * RP_E_NOT_FOUND: nobody there. RP_E_TIMEOUT: no answer in time. RP_E_CLOSED: the host went away.
 * RP_E_FORMAT: the answer is no JSON object, or too long. */
rp_status control_ask(const char *path, const json_t *request, int timeout_ms, json_t **answer);

#endif
