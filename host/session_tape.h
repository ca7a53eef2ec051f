/* A session's frames on their way into a take, in the background, as they are made.
 *
 *   session_step ─► log ─┐
 *   session_seek ─► log ─┴─► pages that differ from the frame recorded last ─► rp_take_recorder
 *
 * What differs is gathered where the log says it: in each commit, and in each seek. Builds, lists
 * of objects and ranges go ahead of the first frame that they hold for.
 *
 * Cost on the frame's path: a copy of each written page, as of rp_take_recorder.
 *
 * Layer: host.  Threads: the main thread; the recorder has its own.
 * Design: docs/internals/host.md  Tests: tests/e2e/test_robust_take.c, robust_resume.sh
 */
#ifndef HOST_SESSION_TAPE_H
#define HOST_SESSION_TAPE_H

#include <history/log.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <take/recorder.h>

typedef struct session session;
typedef struct process process;
typedef struct session_tape session_tape;

typedef struct session_tape_desc {
    const char *path;   /* stays valid until the end */
    const char *module; /* as the user gave it; null: "" */
    bool replace;       /* a take that is there */
} session_tape_desc;

/* Begins with the state at the session's position, all of which is written before it returns (some
 * 4 us a page); s->tape is set. RP_E_RANGE: there is no world yet. */
rp_status session_tape_begin(session *s, const session_tape_desc *desc);
/* Waits for what was handed over, and with `finish` closes the take in order. Returns what the
 * writing failed with. Without a tape nothing. */
rp_status session_tape_end(session *s, bool finish);
void session_tape_stats_get(const session *s, rp_take_recorder_stats *stats);
/* ---- for the session ---- */

/* Pages differ from what they were: of a seek. */
void session_tape_pages(session *s, const rp_page_slot *entries, size_t count);
/* A record was committed with these pages, which `p` made; the position is at it. */
void session_tape_frame(session *s, const process *p, const rp_record_desc *desc,
                        const rp_page_slot *entries, size_t count);
/* Another log took the place of the one before. */
void session_tape_all(session *s);

#endif
