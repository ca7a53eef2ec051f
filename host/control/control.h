/* The control socket: one line of JSON in, one line out. `reprise ctl` is its client.
 *
 *   {"cmd":"seek","a":120}  →  {"ok":true,"frame":120,…}   or   {"ok":false,"error":"what: why: what to do"}
 *
 * A Unix socket of mode 0600 in a directory of mode 0700 that belongs to this user. Requests longer
 * than 64 KiB, or that are no JSON object, are answered with an error and the connection is closed;
 * the program goes on. A second host on the same name is refused (RP_E_BUSY) while the first lives; a
 * socket that a dead host left is taken over.
 *
 * Layer: host.  Threads: the host's main thread.  Tests: tests/host/test_control.c
 */
#ifndef HOST_CONTROL_CONTROL_H
#define HOST_CONTROL_CONTROL_H

#include <jansson.h>
#include <reprise/status.h>
#include <stddef.h>

typedef struct control control;

/* Answers one request with a new object (the control writes and frees it). `request` is borrowed. */
typedef json_t *control_answer_fn(void *context, const json_t *request);

/* The socket's path for a project name ("game" for ./game.so): $XDG_RUNTIME_DIR/reprise/NAME.sock, else
 * /tmp/reprise-UID/NAME.sock. Makes the directory; refuses one that is not ours alone. */
rp_status control_path(const char *name, char *path, size_t capacity);
rp_status control_open(const char *path, control_answer_fn *answer, void *context, control **out);
void control_close(control *c); /* removes the socket */
/* Descriptors to wait for; returns how many. */
int control_fds(const control *c, int *fds, int capacity);
/* Takes connections and answers requests that are there. Never blocks. */
void control_poll(control *c);
/* Client: sends one request, waits up to timeout_ms for the answer. RP_E_NOT_FOUND: nobody there. */
rp_status control_ask(const char *path, const json_t *request, int timeout_ms, json_t **answer);

#endif
