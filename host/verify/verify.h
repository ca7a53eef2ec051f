/* Replaying a take: are its frames made again as they were?
 *
 *   take ── first state of a stretch ──► session ── the recorded inputs ──► hash of each frame =
 * recorded? └─ another build: carried to it, the same inputs again; rp_check values of both, fields
 * of both (replay.c)
 *
 * A stretch is a run of frames of one build. Frames whose future was dropped are left out, and
 * those that no state stands before.
 *
 * Layer: host.  Threads: one; a process for each file (cmd_verify.c).  Design:
 * docs/internals/host.md Tests: tests/e2e/robust_verify.sh
 */
#ifndef HOST_VERIFY_H
#define HOST_VERIFY_H

#include "diff_fields.h"
#include "session.h"

#include <jansson.h>
#include <signal.h>

typedef enum verify_outcome {
    VERIFY_SAME,
    VERIFY_DIFFERS,
    VERIFY_FAILED,  /* it could not be replayed */
    VERIFY_UNKNOWN, /* a build of it is not known on this machine */
} verify_outcome;

enum { VERIFY_LINES_MOST = 12, VERIFY_LINE_BYTES = 280 };

/* Of plain bytes: it comes through a pipe. */
typedef struct verify_result {
    verify_outcome outcome;
    uint64_t frames;       /* that were made again */
    uint64_t hashes;       /* of them, compared */
    uint64_t left_out;     /* frames without a state before them */
    uint64_t other_frames; /* under the other build */
    uint64_t checks;       /* rp_check values compared between the builds */
    uint64_t recorded;     /* frames whose values were the take's, not those of a replay */
    uint64_t differs_at;   /* the first frame that does; 0: none */
    uint64_t differ_count; /* fields that differ there; more than lines hold */
    double seconds;
    char text[VERIFY_LINE_BYTES * 2]; /* what came out, in one line */
    int line_count;
    char lines[VERIFY_LINES_MOST][VERIFY_LINE_BYTES]; /* fields, checks */
} verify_result;

typedef struct verify_options {
    const char *module; /* another build; null: none */
    bool trust;
    bool replays; /* the take's build too, also where the take has what it checked */
    bool shows_progress;
    const char *const *keep;
    int keep_count;
    uint32_t watchdog_ms;
    const volatile sig_atomic_t *ends; /* not 0: it is to be given up */
} verify_options;

/* Never fails: what goes wrong is in the result. */
void verify_file(const char *path, const verify_options *options, verify_result *result);

/* ---- replay.c: what a session has at its position, as a take in memory ---- */

typedef struct replay {
    rp_take_array bytes;
    rp_take_array pages, contents, numbers; /* of the frame at hand */
    rp_take_writer *writer;
    bool whole;     /* it has a frame */
    take_file file; /* once it was finished */
} replay;

/* Of the build that is loaded. */
rp_status replay_begin(replay *r, const session *s);
/* The frame at the session's position. */
rp_status replay_frame(replay *r, session *s);
/* No more frames; `file` can be read. */
rp_status replay_finish(replay *r);
void replay_drop(replay *r); /* all zero is nothing */

/* ---- recorded.c: values of rp_check in the take ---- */

typedef struct recorded {
    rp_take *take;
    uint64_t first, last; /* frame records */
    rp_take_array places; /* uint64_t: of each one's CHECKS record, plus 1; 0: it has none */
    rp_take_array tail;
} recorded;

rp_status recorded_open(recorded *r, rp_take *take, uint64_t first, uint64_t last);
void recorded_close(recorded *r); /* all zero is nothing */
bool recorded_has(const recorded *r, uint64_t record);
/* Of a record that has them, as its step had left them in the link. */
rp_status recorded_read(recorded *r, uint64_t record, link_watched *to);

/* ---- report.c ---- */

typedef struct verify_report {
    const char *const *paths;
    const verify_result *results;
    size_t count;
    double seconds; /* of all, as the clock on the wall has it */
} verify_report;

void verify_print(const char *path, const verify_result *result, FILE *to);
json_t *verify_json(const verify_report *report);
void verify_junit(const verify_report *report, FILE *to);

#endif
