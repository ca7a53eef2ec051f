/* The log: which pages each frame changed, and where their content is kept.
 *
 * The log is one memory file of page slots plus bookkeeping in the owner's memory. The owner is the
 * host (or, embedded, the program itself); the side that holds the world only fills slots that it
 * was given and says which page went where. So a world that dies at any moment leaves a log of
 * whole frames, and the log is never mapped writable where a program's stray store could reach it.
 *
 *   record:  | frame 7 | frame 8 | frame 9 |            position: the state that is live
 *   entries: page 4: slot 12 (was 3) · page 9: slot 13 (was none) · ...
 *   slots:   [ 0 ][ 1 ][ 2 ] ...          in the memory file, RP_PAGE_BYTES each, recycled
 *
 * Going back over a record puts `was` in place of `slot`; going on does the reverse; both are found
 * from the records between here and there, so the cost of a seek is what changed. A commit behind
 * the position drops the records that follow it.
 *
 * Only the newest records are raw like this. Older ones are packed by a thread in the background:
 * what a record changed as a difference of two states, and every so often what the pages held, so
 * that any kept record is reached in bounded work, its pages put into slots again. What is kept
 * beyond the newest state never exceeds the budget: older frames are thinned, every 2nd, 4th, 8th
 * ... being left, before the oldest go. Free room of the file and in the memory of what is packed
 * counts, too; it is given back where there is more than frames need. The inputs of thinned frames
 * stay. Everything that is packed carries checksums, and a state that does not come out as it was
 * is not restored.
 *
 * Pages are named by a number: page p of the world zone is (address - base) / RP_PAGE_BYTES; pages
 * of other ranges have numbers from RP_PAGE_EXTRA on, given by rp_world.
 *
 * Layer: history.  Threads: one.  Design: docs/internals/history.md  Tests: tests/history/
 */
#ifndef RP_HISTORY_LOG_H
#define RP_HISTORY_LOG_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_PAGE_EXTRA UINT32_C(0x08000000) /* world zone pages lie below */
#define RP_PAGE_LIMIT UINT32_C(0x0c000000)
#define RP_SLOT_ZERO UINT32_C(0) /* the page is all zero; takes no room */

/* Size of the memory file, which takes memory only where slots were written. World and history
 * together cannot be larger; it fits between RP_LOG_VIEW_BASE and RP_MODULE_BASE. */
#define RP_LOG_FILE_BYTES ((size_t)28 << 30)

typedef struct rp_page_slot {
    uint32_t page, slot;
} rp_page_slot;

typedef struct rp_slot_run {
    uint32_t first, count;
} rp_slot_run;

typedef enum rp_record_kind {
    RP_RECORD_FRAME = 0,   /* a step */
    RP_RECORD_CARRIED = 1, /* the same frame, carried to another build */
} rp_record_kind;

typedef struct rp_record_desc {
    uint64_t frame;
    uint32_t build;
    uint32_t kind;     /* rp_record_kind */
    uint64_t step_ns;  /* how long the program's step took */
    const void *input; /* the input of the frame, copied; may be null */
    uint32_t input_bytes;
} rp_record_desc;

typedef struct rp_record {
    uint64_t frame;
    uint32_t build, kind;
    uint32_t page_count; /* that it wrote */
    uint64_t step_ns;
    bool kept; /* its state can be restored; else it was thinned out, and its input is left */
} rp_record;

typedef struct rp_log_stats {
    uint64_t world_bytes;   /* newest state: one slot for each page that is not zero */
    uint64_t history_bytes; /* all else: the sum of the next six */
    uint64_t raw_bytes;     /* slots beyond the newest state, and the lists of what is in them */
    uint64_t packed_bytes;  /* blobs, and what is free between them */
    uint64_t table_bytes;   /* of images */
    uint64_t record_bytes;  /* bookkeeping and inputs of all records but the newest */
    uint64_t room_bytes; /* memory of the file in which no page is: for frames to come, and between
                            slots in use */
    uint64_t working_bytes; /* what packing works in now, beyond 4 MiB */
    uint64_t warm_bytes;    /* of packed_bytes: what is free and was touched */
    uint64_t budget_bytes;
    uint64_t sought_bytes;  /* pages of a packed state that is the position, beside all of those; at
                               most a world */
    uint64_t held_bytes;    /* slots that wait for rp_log_let_go; beside all of those */
    uint64_t written_bytes; /* pages of all commits */
    uint64_t kept_bytes;    /* pages of the records that there are */
    uint64_t record_count, evicted_count, committed_count;
    uint64_t thinned_count; /* records whose state is no longer kept */
    uint64_t raw_count;     /* records not yet packed */
    uint64_t packed_count;  /* records ever packed */
    uint64_t packing_ns;    /* time of a processor spent packing */
    uint64_t oldest_frame, newest_frame;
    uint64_t every_frame_from; /* from here on no frame was thinned out */
} rp_log_stats;

typedef struct rp_log_desc {
    size_t budget_bytes;
    bool writable;    /* slots may be written through memory: quicker seeks into what is packed. For
                         a process in which no program runs that could store there by mistake. */
    bool pack_inline; /* no thread: commits and rp_log_tend pack, up to some ms each */
} rp_log_desc;

typedef struct rp_log rp_log;

/* RP_E_MEMORY, RP_E_SYSTEM. The first commit makes the oldest record. A budget below the size of
 * the world is allowed: then a frame that writes more than the budget leaves no other behind it. */
rp_status rp_log_create(size_t budget_bytes, rp_log **log);
rp_status rp_log_create_with(const rp_log_desc *desc, rp_log **log);
/* Waits for what is being packed: well under a millisecond. */
void rp_log_destroy(rp_log *log);
int rp_log_fd(const rp_log *log);
/* The content of a slot, valid until the next call that changes the log. */
const void *rp_log_slot(const rp_log *log, uint32_t slot);

/* Offers free slots, in `runs`, for `want` pages, or for fewer where `capacity` runs do not hold as
 * many: ask again then. The oldest records may be evicted to keep the budget. The slots stay free
 * until a commit names them. May be called again during one commit: the slots offered since the
 * last commit or rp_log_slots_reset are not offered twice. RP_E_LIMIT: world and history fill
 * RP_LOG_FILE_BYTES. */
rp_status rp_log_slots_offer(rp_log *log, uint32_t want, rp_slot_run *runs, size_t capacity,
                             size_t *count);
void rp_log_slots_reset(rp_log *log);
/* While it is held no slot that is freed is used again: a process that was forked meanwhile reads
 * every state that there was then (rp_log_record, rp_log_record_pages, rp_log_read, rp_log_hash,
 * rp_log_input), for as long as it likes. What that costs is in the statistics. */
void rp_log_hold(rp_log *log);
void rp_log_let_go(rp_log *log);

/* Publishes a record behind the position, which moves there; records after the old position go.
 * Each page at most once. Entries whose content equals what the page had are welcome but waste a
 * slot. The entries may come from a process that is not trusted: RP_E_FORMAT, with nothing changed,
 * for a page beyond the limit or named twice, and for a slot that was not offered or is named
 * twice. RP_E_ARGUMENT: a frame below that of the position, or an input over 65536 bytes.
 * RP_E_MEMORY. */
rp_status rp_log_commit(rp_log *log, const rp_record_desc *desc, const rp_page_slot *entries,
                        size_t count);

/* Records are numbered without gaps; numbers only grow. [first, last]; empty when last < first. */
uint64_t rp_log_first(const rp_log *log);
uint64_t rp_log_last(const rp_log *log);
uint64_t rp_log_position(const rp_log *log);
bool rp_log_record(const rp_log *log, uint64_t index, rp_record *record);
/* The newest record of a frame, kept or thinned out; false where there is none any more. */
bool rp_log_find_frame(const rp_log *log, uint64_t frame, uint64_t *index);
/* The newest record at or before a frame whose state can be restored; false where all are later. */
bool rp_log_find_kept(const rp_log *log, uint64_t frame, uint64_t *index);
/* The frame is not thinned out while it is pinned, which ends with a truncation before it; 0: none.
 * For where a loop begins. Its turn to be the oldest and to go still comes. */
void rp_log_pin(rp_log *log, uint64_t index);
/* The input of a record; null with *bytes 0 where it had none. Valid until the next commit. */
const void *rp_log_input(const rp_log *log, uint64_t index, uint32_t *bytes);
/* The pages that a record wrote, or where records before it were thinned out, that they and it
 * wrote. 0 where it is not known: at the oldest record, and where images alone are left. Used for
 * reports. */
size_t rp_log_record_pages(rp_log *log, uint64_t index, uint32_t *pages, size_t capacity);
/* The pages that are part of the state at the position, those of zeros among them; as above. */
size_t rp_log_pages(const rp_log *log, uint32_t *pages, size_t capacity);
/* What pages held after a kept record: RP_PAGE_BYTES each into `contents`, in the order of `pages`,
 * no page twice; zeros where a page was not part of the state. Costs what a seek there costs.
 * RP_E_RANGE, RP_E_ARGUMENT, RP_E_FORMAT: damaged; RP_E_MEMORY. */
rp_status rp_log_read(rp_log *log, uint64_t index, const uint32_t *pages, size_t count,
                      void *contents);

/* Moves the position to a record and says what the world must copy to be there: each page that
 * differs, once, with its slot; pages that the state did not have yet become zero. A page of a
 * packed state may be named though it does not differ. `*entries` stays valid until the next call
 * that takes a log that is not const. On failure the position is where it was:
 *   RP_E_RANGE   the record is not kept; the text names the nearest one before it that is
 *   RP_E_FORMAT  its state does not come out with the checksum that it had; others may still do
 *   RP_E_MEMORY, RP_E_LIMIT, RP_E_SYSTEM */
rp_status rp_log_seek(rp_log *log, uint64_t index, const rp_page_slot **entries, size_t *count);
/* Everything that a fresh world must copy to be at the position: all pages of the world zone that
 * are not zero, and all other pages, since a fresh module's globals are not zero. Valid as above.
 */
rp_status rp_log_full(rp_log *log, const rp_page_slot **entries, size_t *count);
/* The slot that a page has at the position. */
uint32_t rp_log_slot_of(const rp_log *log, uint32_t page);
/* The hash of the whole state after a record: a sum over its pages of XXH3-64 of the content,
 * seeded with the page's number; a page of zeros counts nothing. Computed on demand for the pages
 * between the last hashed record and this one, and remembered; what is packed was hashed then, so
 * that thinned records have their hash too. */
rp_status rp_log_hash(rp_log *log, uint64_t index, uint64_t *hash);
/* The first page (lowest number) in which the states after two kept records differ; false: equal.
 */
bool rp_log_first_difference(rp_log *log, uint64_t a, uint64_t b, uint32_t *page);

/* Adopts what was packed in the background and hands out what comes next; makes room for a frame
 * like the last one; gives memory back. Call it between frames: a commit does that work, up to some
 * ms, where it was not called since the commit before. */
void rp_log_tend(rp_log *log);
/* Touches memory ahead so that the next frames find warm slots. Off the frame's path. */
void rp_log_prepare(rp_log *log, uint32_t slots_ahead);
void rp_log_stats_get(const rp_log *log, rp_log_stats *stats);
/* Checks every invariant; false with the record set. */
bool rp_log_check(rp_log *log);

#endif
