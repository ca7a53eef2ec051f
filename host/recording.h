/* A session's frames on their way into a take, in the background, as they are made.
 *
 *   session_commit ──► recordings_frame: the pages that may differ from the frame before in the
 * take seeks ──► recordings_moved: pages by which two states differ, for the frame that comes next
 *                    │ copied into a queue, some 0.3 us a page
 *                    └─► rp_take_recorder's thread packs, appends, syncs
 *
 * After a seek back the frames that are made then take the place of those that had followed, as
 * they do in the history.
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/host.md  Tests:
 * tests/e2e/robust_record.sh, robust_resume.sh,
 * test_robust_take.c
 */
#ifndef HOST_RECORDING_H
#define HOST_RECORDING_H

#include "session.h"

typedef struct recording recording;

typedef struct recording_desc {
    const char *path;
    bool replace; /* a take that is there */
} recording_desc;

typedef struct recording_status {
    uint64_t frames, thin, lost; /* handed over; of these without their memory; not at all */
    uint64_t first_frame, last_frame;
    uint64_t written_bytes, queued_bytes;
    uint64_t last_thin; /* of the last frame that the disk could not follow */
    rp_status status;   /* once writing failed: the take ends with the frame before */
} recording_status;

/* Begins with the state at the session's position, all of which is written before it returns (some
 * 4 us a page), or with the first frame of a world that is still to come. RP_E_TAKEN: something
 * stands at the path. */
rp_status recording_open(session *s, session_recording which, const recording_desc *desc);
/* Waits for what was handed over, and with `finish` closes the take in order. Returns what the
 * writing failed with. Without one nothing. */
rp_status recording_close(session *s, session_recording which, bool finish);

/* ---- for the session: of all of its recordings. Never fail: what could not be written is in the
 * status ---- */

/* A record was committed, of a runner whose lists of objects count; the position is at it. */
void recordings_frame(session *s, const process *p, const rp_record_desc *desc);
/* These pages differ from what they were. */
void recordings_moved(session *s, const rp_page_slot *entries, size_t count);
/* Another log took the place of the one before. */
void recordings_world_new(session *s);
/* Behind a frame: what it checked; the failure, with the input that led there; a loop. */
void recordings_checks(session *s, uint64_t frame, uint32_t build);
void recordings_crash(session *s, const void *input, uint32_t input_bytes);
void recordings_loop(session *s, uint64_t from, uint64_t to);
/* A bookmark was made or moved; frame BOOKMARK_NOWHERE: it was taken away. */
void recordings_bookmark(session *s, const bookmark *mark);

const char *recording_path(const recording *r);
/* The error's text goes into the error record where there is one. */
void recording_status_get(const recording *r, recording_status *status);

#endif
