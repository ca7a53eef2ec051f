/* A take of what history holds, written by a process of its own: the program goes on meanwhile.
 *
 *   host ── fork ──► a copy of the log's bookkeeping, and the slots, which the host does not use
 *                    again until the end (rp_log_hold)
 *        ◄── pipe ── how far it is; what came of it
 *
 * The fork costs some milliseconds for half a gigabyte of packed history. A host that is killed
 * does not end it: the take is completed.
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/host.md  Tests:
 * tests/e2e/robust_record.sh
 */
#ifndef HOST_SAVING_H
#define HOST_SAVING_H

#include "session.h"

typedef struct saving_desc {
    const char *path;
    uint64_t from_frame; /* the first; what is not kept any more is left out */
    bool failed;         /* with the session's failure, */
    const void *input;   /* and the input that led there */
    uint32_t input_bytes;
    bool looping; /* with the loop that is set */
} saving_desc;

/* What the process tells, whole each time. */
typedef struct saving_status {
    bool done;
    rp_status status; /* and its text */
    uint64_t done_records, all_records, thin;
    uint64_t first_frame, last_frame, written_bytes;
    char text[480];
} saving_status;

typedef struct saving {
    pid_t pid; /* 0: none */
    int told;
    rp_log *log; /* that is held */
    char path[RP_OBJECT_PATH_BYTES];
    saving_status status;
} saving;

/* RP_E_BUSY: one is being written; RP_E_TAKEN: something stands at the path; RP_E_RANGE: nothing is
 * kept from that frame on. */
rp_status saving_start(saving *v, session *s, const saving_desc *desc);
/* True once, when it is through: `status` says how. */
bool saving_poll(saving *v, const session *s);
/* Waits for it. */
void saving_wait(saving *v, const session *s);
/* Gives it up: the take is not made. */
void saving_cancel(saving *v, const session *s);

#endif
