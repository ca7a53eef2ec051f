/* The inside of the log, shared by its files.
 *
 * Every version of a page that a kept state needs has a slot, and every slot holds one version. The
 * versions of one page form a chain through the records: the base (its slot in the state of the
 * oldest record), then the slot of each later entry. So a slot that is in use is named by exactly
 * one place of one chain, which is what rp_log_check counts.
 *
 * Layer: history (internal).  Files: log.c (records), log_slots.c, log_seek.c, log_hash.c,
 * log_check.c
 */
#ifndef RP_HISTORY_LOG_PRIVATE_H
#define RP_HISTORY_LOG_PRIVATE_H

#include "history/log.h"
#include "history/storage.h"

/* The page had no version before: unlike RP_SLOT_ZERO it was not part of the state. */
#define LOG_SLOT_NONE UINT32_MAX

typedef enum log_slot_state {
    LOG_SLOT_FREE = 0,
    LOG_SLOT_OFFERED, /* given out, may be written by the world's side; free again unless committed
                       */
    LOG_SLOT_USED,    /* holds a version of a page */
} log_slot_state;

typedef struct log_entry {
    uint32_t page, slot, was;
} log_entry;

typedef struct log_record {
    uint64_t frame, step_ns;
    uint64_t first_entry; /* number in `entries` */
    uint64_t input;       /* number in `inputs` */
    uint64_t hash;        /* of the state after it; valid where hash_known */
    uint32_t page_count, input_bytes;
    uint32_t build;
    uint8_t kind, hash_known;
} log_record;

struct rp_log {
    int fd;
    const uint8_t *view; /* the file, read-only */
    uint64_t budget_bytes;

    rp_ring records, entries, inputs; /* record numbers are those of the contract */
    uint64_t position;

    rp_sparse current; /* page -> slot + 1 at the position; 0: LOG_SLOT_NONE */
    rp_sparse marks;   /* page -> `mark` where it was met in the present walk */
    uint32_t mark;
    uint32_t known_pages; /* distinct pages ever named: bounds what a walk can change */

    rp_grow states;    /* slot -> log_slot_state, one byte */
    rp_grow hashes;    /* slot -> hash of its content; 0: not computed yet */
    uint32_t slot_end; /* slots from here on were never given out */
    uint32_t warm_end; /* slots below have memory in the file */
    uint32_t cursor;   /* where the search for free slots goes on */
    uint32_t free_count, used_count, offered_count; /* below slot_end, slot 0 aside */
    rp_grow offers;                                 /* rp_slot_run */
    size_t offer_count;

    uint32_t current_pages,
        newest_pages; /* with a slot of their own, at the position / at the end */
    uint64_t evicted_count, committed_count;

    rp_grow moved; /* rp_page_slot: what the last walk changed */
    size_t moved_count;
};

static inline log_record *log_record_at(const rp_log *log, uint64_t index)
{
    return rp_ring_at(&log->records, index);
}

static inline log_entry *log_entry_at(const rp_log *log, const log_record *record, uint32_t i)
{
    return rp_ring_at(&log->entries, record->first_entry + i);
}

static inline uint32_t log_current(const rp_log *log, uint32_t page)
{
    return rp_sparse_get(&log->current, page) - 1;
}

static inline bool log_slot_holds(uint32_t slot)
{
    return slot != RP_SLOT_ZERO && slot != LOG_SLOT_NONE;
}

static inline uint8_t *log_slot_states(const rp_log *log)
{
    return log->states.data;
}

/* log.c */
bool log_is_empty(const rp_log *log);
bool log_holds(const rp_log *log, uint64_t index);
uint64_t log_history_bytes(const rp_log *log);
/* Drops the oldest record; its successor's state becomes the base. The position is not the oldest.
 */
void log_evict(rp_log *log);
/* Begins a walk in which each page counts once. */
void log_mark_begin(rp_log *log);
/* Whether the page is met for the first time in this walk. Its word of `marks` is committed. */
bool log_mark_first(rp_log *log, uint32_t page);

/* log_slots.c */
rp_status log_slots_init(rp_log *log);
void log_slots_finish(rp_log *log);
/* The slot of a version that no kept state needs any more; RP_SLOT_ZERO and LOG_SLOT_NONE are none.
 */
void log_slot_free(rp_log *log, uint32_t slot);
/* After a commit: what was offered and not taken is free again. */
void log_offers_end(rp_log *log);

/* log_seek.c */
/* Sets `current` to the state of `index`; `moved` then holds each page that differs with the slot
 * that it had before. On failure nothing changed. */
rp_status log_move(rp_log *log, uint64_t index);
void log_set_current(rp_log *log, uint32_t page, uint32_t slot);

/* log_hash.c */
uint64_t log_slot_hash(rp_log *log, uint32_t page, uint32_t slot);

#endif
