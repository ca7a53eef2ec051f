/* What `reprise run --resume` goes on from: the last run's frames, in memory that outlives it.
 *
 *   $XDG_RUNTIME_DIR/reprise/resume/game-1b4f0e9851971998/     (else /dev/shm/reprise-UID/resume/…)
 *       state-00000003.take      recorded as the program runs; two of them while one is replaced
 *
 * It is a take, written in the background: each record has its checksum, so what a killed host
 * leaves is whole up to its last frames, and a half-written state cannot be gone on from. The
 * folder is of one module file, of this user alone, and locked while a host records in it. A take
 * that has grown is replaced by one that begins with the state of then; the older one goes once the
 * newer one has a name.
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/host.md
 * Tests: tests/e2e/robust_resume.sh
 */
#ifndef HOST_RESUME_H
#define HOST_RESUME_H

#include "session.h"

enum { RESUME_PATH_BYTES = 200 };

typedef struct resume {
    char folder[RESUME_PATH_BYTES]; /* "": not open */
    int lock;
    uint32_t number;              /* of the newest take in the folder; 0: none */
    char path[RESUME_PATH_BYTES]; /* of the one that is recorded */
    bool older;                   /* takes before it are there still */
    bool failed;                  /* that was told */
    uint64_t most_bytes;          /* that a take may have before another one begins */
    uint64_t looked_ns;
} resume;

/* RP_E_BUSY: a host records there. RP_E_SYSTEM, RP_E_RANGE. */
rp_status resume_open(resume *r, const char *module);
/* Files from the newest to the oldest: *number is 0 at first. False: no more. */
bool resume_next(const resume *r, uint32_t *number, char *path, size_t capacity);
/* Records from the session's position on. */
rp_status resume_record(resume *r, session *s);
/* Between frames. What it returns was told before where `failed` is set. */
rp_status resume_tend(resume *r, session *s);
/* What was recorded stays. */
void resume_close(resume *r, session *s);

#endif
