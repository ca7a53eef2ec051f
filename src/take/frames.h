/* Frames that a log keeps, into a take.
 *
 *   log ── records first … last ──► pages that each changed ──► writer
 *
 * The log's position stays where it is. What lists hold for the frames (objects, ranges) and what
 * follows a frame is the caller's to write, when it is asked.
 *
 * Layer: take.  Threads: the log's.  Users: save.c, host/saving.c  Tests: tests/take/test_save.c,
 * tests/e2e/robust_record.sh
 */
#ifndef RP_TAKE_FRAMES_H
#define RP_TAKE_FRAMES_H

#include "history/log.h"
#include "take/writer.h"

/* The records of the frames from … to that there are; false: none. */
bool rp_take_frames_find(const rp_log *log, uint64_t from, uint64_t to, uint64_t *first,
                         uint64_t *last);

typedef rp_status rp_take_frames_build_fn(void *context, uint32_t build);

/* Calls `each` once for every build that made one of the records. RP_E_LIMIT: more than 65536. */
rp_status rp_take_frames_builds(const rp_log *log, uint64_t first, uint64_t last,
                                rp_take_frames_build_fn *each, void *context);

typedef struct rp_take_frames_desc {
    rp_log *log;
    rp_take_writer *writer;
    uint64_t first, last; /* records */
    /* Ahead of the first frame of a build, and each time that another build made the one before;
     * null: lists do not change. */
    rp_take_frames_build_fn *build;
    /* Behind each frame; null: nothing follows. */
    rp_status (*after)(void *context, const rp_record *record);
    void *context;
} rp_take_frames_desc;

typedef struct rp_take_frames_result {
    uint64_t done_records;            /* of the log: written or left out */
    uint64_t first_frame, last_frame; /* that are in the take */
    uint64_t frames, thin;            /* in the take; of them without their memory */
} rp_take_frames_result;

/* `result` is kept up to date all the while. Records ahead of the first whose state is kept are
 * left out, as there is nothing to run on from; *result may say that there was none. What the
 * writer, the log or a function of the caller failed with. */
rp_status rp_take_frames_write(const rp_take_frames_desc *desc, rp_take_frames_result *result);

#endif
