/* Records in the background: the caller's frames are copied into a queue, a thread of its own
 * writes them. No call but the last waits for the disk.
 *
 *   caller ── copy ──► queue (memory of a fixed size) ──► thread: pack, append, sync ──► file
 *                        │ full
 *                        └► the frame becomes thin: its input goes, its memory does not. The pages
 *                           that it changed are owed, and go with the next frame that there is room
 *                           for: their content is asked for then.
 *
 * When even the inputs find no room the frame is lost, and its number is missing in the take. When
 * writing fails the take is whole up to there, every call says so, and another recorder can go on
 * elsewhere.
 *
 * Cost for the caller: a copy of each page (0.2 us) and a wake-up.
 *
 * Layer: take.  Threads: one caller; the writer is the thread's until rp_take_recorder_destroy.
 * Design: docs/internals/take.md  Tests: tests/take/test_recorder.c
 */
#ifndef RP_TAKE_RECORDER_H
#define RP_TAKE_RECORDER_H

#include "take/writer.h"

typedef struct rp_take_recorder rp_take_recorder;

typedef struct rp_take_recorder_desc {
    rp_take_writer *writer; /* stays the caller's, who must not use it meanwhile */
    size_t queue_bytes; /* 0: 64 MiB. A frame that it cannot hold, but for an eighth or 8 MiB, is
                           always thin: it has room for the whole state. Takes those 8 MiB of
                           memory at once, more as it fills. */
    uint64_t sync_ns;   /* how often the file is brought to the disk; 0: each second */
    /* A page's content in the frame that is being handed over; null: zeros. Called by
     * rp_take_recorder_frame, for pages that are owed. */
    const void *(*content)(void *context, uint32_t page);
    void *context;
} rp_take_recorder_desc;

typedef struct rp_take_recorder_stats {
    uint64_t frames, thin, lost;    /* handed over; of these without their memory; not at all */
    uint64_t first_thin, last_thin; /* the last stretch of frames that the disk could not follow */
    uint64_t queued_bytes, most_queued_bytes;
    uint64_t written_bytes; /* of the take so far */
    rp_status status;       /* of the writing */
} rp_take_recorder_stats;

rp_status rp_take_recorder_create(const rp_take_recorder_desc *desc, rp_take_recorder **out);
/* Hands a frame over; `pages` as for rp_take_writer_frame, but `previous` is not used. *thin, which
 * may be null: whether its memory found no room. RP_OK also then. Otherwise what the writing failed
 * with, or RP_E_MEMORY, after which all pages of the next frame must be handed over. */
rp_status rp_take_recorder_frame(rp_take_recorder *recorder, const rp_take_frame_desc *desc,
                                 const rp_take_page *pages, size_t count, bool *thin);
/* Any other record; RP_E_BUSY: no room now. */
rp_status rp_take_recorder_record(rp_take_recorder *recorder, rp_take_type type, const void *fixed,
                                  const void *plain, size_t plain_bytes, const void *tail,
                                  size_t tail_bytes);
/* A file of a build: the thread reads it from `path`, where it must stay as it is. */
rp_status rp_take_recorder_file(rp_take_recorder *recorder, const rp_take_part *part,
                                const char *path);
void rp_take_recorder_stats_get(const rp_take_recorder *recorder, rp_take_recorder_stats *stats);
/* Waits until all that was handed over is written; with `finish` the take is closed in order. Ends
 * the recorder; null is nothing. Returns what the writing failed with. */
rp_status rp_take_recorder_destroy(rp_take_recorder *recorder, bool finish);

#endif
