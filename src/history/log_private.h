/* The inside of the log, shared by its files.
 *
 *   records:   head ............................ base ............... position ... tail
 *              |<-- packed: blobs in a store -->|<-- raw: entries and slots -->|
 *   groups:    [image][image][image][image, open]
 *
 * Raw: every version of a page that a state from `base` on needs has a slot, and every such slot
 * holds one version. The versions of one page form a chain: its slot in the state of `base`, then
 * the slot of each later entry. So a slot that is in use is named by exactly one place of one
 * chain, which is what rp_log_check counts.
 *
 * Packed: a kept record from head + 1 to base has a blob, which leads from the kept state before it
 * to its own and back. Groups of records begin with an image: what each page that changed within
 * the group held at its start ("versions"). A page that did not change until later has its version
 * in a later group; one that never changed again is in the state of `base`. So what is never
 * overwritten costs the history nothing.
 *
 * The position's state has slots for all its pages. Where it lies before `base`, the pages in which
 * it differs from the state of `base` are in slots beside those of the chains ("sought").
 *
 * Layer: history (internal).  Files: log.c (records), log_slots.c, log_room.c (free slots and
 * memory), log_seek.c (the position),
 * log_expand.c (pages of packed states), log_groups.c, log_job.c (what the worker computes),
 * log_pack.c (what it is given, and what becomes of it), log_work.c (the worker), log_thin.c (the
 * budget), log_read.c, log_hash.c, log_check.c, log_store.c (blobs)
 */
#ifndef RP_HISTORY_LOG_PRIVATE_H
#define RP_HISTORY_LOG_PRIVATE_H

#include "history/log.h"
#include "history/log_job.h"
#include "history/log_store.h"
#include "history/storage.h"
#include "os/os.h"

/* The page had no version before: unlike RP_SLOT_ZERO it was not part of the state. */
#define LOG_SLOT_NONE UINT32_MAX

typedef enum log_slot_state {
    LOG_SLOT_FREE = 0,
    LOG_SLOT_OFFERED, /* given out, may be written by the world's side; free again unless committed
                       */
    LOG_SLOT_USED,    /* holds a version of a page */
    LOG_SLOT_HELD, /* held one that is not needed any more, and is kept for whoever reads beside us
                    */
    LOG_SLOT_BARE, /* free, and its memory was given back */
} log_slot_state;

typedef struct log_entry {
    uint32_t page, slot, was;
} log_entry;

typedef struct log_record {
    uint64_t frame, step_ns;
    uint64_t first_entry; /* number in `entries` */
    uint64_t input;       /* number in `inputs` */
    uint64_t hash;        /* of the state after it; valid where hash_known */
    uint64_t difference;  /* what it added to the hash; valid from head + 1 to base */
    uint32_t entry_count; /* 0 where it is packed */
    uint32_t page_count;  /* that it wrote */
    uint32_t blob_pages;  /* in the blob */
    rp_blob blob;
    uint32_t input_bytes, build;
    uint8_t kind, hash_known;
    uint8_t kept; /* its state can be restored */
} log_record;

typedef enum log_version_kind {
    LOG_VERSION_NONE,  /* the page was not part of the state */
    LOG_VERSION_ZERO,  /* all zero */
    LOG_VERSION_WHOLE, /* packed by itself */
    LOG_VERSION_DELTA, /* over what the page holds at the group's end: its next version, or the base
                        */
    LOG_VERSION_SAME,  /* as there; it changed in between */
} log_version_kind;

/* What a page held at the start of a group in which it changed. */
typedef struct log_version {
    uint32_t page : 28, kind : 4;
    rp_blob blob;
    uint64_t next, before; /* of the same page; 0: none */
} log_version;

/* The records (from, from of the next group], or to `base` for the last one, which is open. */
typedef struct log_group {
    uint64_t from;
    uint64_t first_version;
    uint32_t version_count; /* 0 while it is open */
    uint32_t page_count;    /* in its blobs */
    uint32_t stride;        /* about every how manieth frame is kept */
    uint8_t bare;           /* no blobs: its image alone is kept */
    uint8_t aged;           /* packed once more, tighter */
    uint8_t fixed;          /* a blob was found damaged: it is not packed again */
} log_group;

/* A page whose content at some record is wanted. */
typedef struct log_want {
    uint32_t page;
    uint32_t slot;     /* at a raw record */
    uint32_t target;   /* where the content goes */
    uint8_t *content;  /* RP_PAGE_BYTES */
    uint64_t version;  /* the next one that its content is made of; 0: none, or that of `base` */
    uint64_t hash;     /* of the content, when it was computed */
    uint8_t fresh;     /* nothing is in `content` yet */
    uint8_t none;      /* it is not part of that state */
    uint8_t from_base; /* its content begins with that of `base` */
    uint8_t resolved;
} log_want;

/* So much memory for packing every log may have; more counts in the budget. */
#define LOG_WORK_LEAST_BYTES RP_MIB(4)

enum {
    LOG_GROUP_RECORDS = 64,
    LOG_GROUP_PAGES = 16384, /* at most, in the blobs of a group; half of them are applied in a
                                seek */
    LOG_DELTA_RUN = 4,       /* versions of a page in a row that are deltas */
};

/* The huge pages of the file. */
enum {
    LOG_CHUNK_SLOTS = RP_OS_HUGE_BYTES / RP_PAGE_BYTES,
    LOG_CHUNK_POOR = LOG_CHUNK_SLOTS / 32,      /* free slots that are not worth a search */
    LOG_CHUNK_MOSTLY = LOG_CHUNK_SLOTS * 3 / 4, /* fewer free slots are crumbs */
    LOG_FILE_CHUNKS = RP_LOG_FILE_BYTES / RP_OS_HUGE_BYTES,
};

struct rp_log {
    int fd;
    const uint8_t *view; /* the file */
    uint8_t *room;       /* the same where it may be written; else null */
    uint64_t budget_bytes;
    uint64_t coming_bytes; /* offered last */

    rp_ring records, entries, inputs; /* record numbers are those of the contract */
    uint64_t position, base;
    uint64_t pinned; /* a record that is not thinned out; 0: none */

    rp_sparse current; /* page -> slot + 1 at the position; 0: LOG_SLOT_NONE */
    rp_sparse marks;   /* page -> `mark` where it was met in the present walk */
    uint32_t mark;
    uint32_t known_pages; /* distinct pages ever named: bounds what a walk can change */

    rp_grow states;                       /* slot -> log_slot_state, one byte */
    rp_grow hashes;                       /* slot -> hash of its content; 0: not computed yet */
    uint32_t slot_end;                    /* slots from here on were never given out */
    uint32_t warm_end;                    /* slots below have memory in the file */
    uint32_t cursor;                      /* where the search for free slots goes on */
    uint32_t crumb_cursor;                /* the same where few are wanted */
    uint32_t good_chunks;                 /* with so many that frames are written there */
    uint16_t chunk_free[LOG_FILE_CHUNKS]; /* free slots by LOG_CHUNK_SLOTS of them */
    uint32_t free_count, used_count, offered_count, held_count; /* below slot_end, slot 0 aside */
    uint64_t untold_bytes;            /* memory of the file beyond all of those, when last asked */
    uint32_t bare_count, crumb_slots; /* crumbs: free ones of chunks that are not mostly free */
    bool held;                        /* what is freed is not used again for now */
    rp_grow offers;                   /* log_offer, see log_slots.c */
    size_t offer_count;

    uint32_t current_pages,
        newest_pages; /* with a slot of their own, at the position / at the end */
    uint64_t evicted_count, committed_count;

    rp_grow moved; /* rp_page_slot: what the last walk changed */
    size_t moved_count;

    rp_store store;
    rp_ring groups, versions;
    rp_sparse newest;     /* page -> number of its newest version, cut; see log_groups.c */
    rp_grow open_pages;   /* uint32_t: pages in the blobs of the open group */
    rp_sparse open_marks; /* page -> its place in open_pages + 1 */
    uint32_t open_count;
    bool open_known;

    rp_grow sought; /* rp_page_slot: pages beside the base, with their slot in its state */
    rp_sparse sought_at;
    uint32_t sought_count, sought_pages; /* of them, those with a slot beside */

    rp_grow wants; /* log_want */
    rp_sparse want_at;
    size_t want_count;
    rp_grow contents; /* scratch for wants */
    rp_packer packer; /* for reading; the job has its own */

    log_job *job;
    bool job_posted, job_inline;
    uint64_t job_stop_count; /* before they came to an end */
    bool tended;             /* the owner called rp_log_tend since the last commit */
    uint64_t packed_count, thinned_count, packing_ns;
    uint64_t written_pages, kept_pages; /* by all commits; by the records that are kept */
};

static inline log_record *log_record_at(const rp_log *log, uint64_t index)
{
    return rp_ring_at(&log->records, index);
}

static inline log_entry *log_entry_at(const rp_log *log, const log_record *record, uint32_t i)
{
    return rp_ring_at(&log->entries, record->first_entry + i);
}

static inline log_group *log_group_at(const rp_log *log, uint64_t number)
{
    return rp_ring_at(&log->groups, number);
}

static inline log_version *log_version_at(const rp_log *log, uint64_t number)
{
    return rp_ring_at(&log->versions, number);
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

static inline uint64_t *log_slot_hashes(const rp_log *log)
{
    return (uint64_t *)(void *)log->hashes.data;
}

/* Null for a page of zeros. */
static inline const uint8_t *log_slot_content(const rp_log *log, uint32_t slot)
{
    return log_slot_holds(slot) ? log->view + (size_t)slot * RP_PAGE_BYTES : NULL;
}

static inline log_want *log_wants(const rp_log *log)
{
    return (log_want *)(void *)log->wants.data;
}

static inline rp_page_slot *log_sought(const rp_log *log)
{
    return (rp_page_slot *)(void *)log->sought.data;
}

/* log.c */
bool log_is_empty(const rp_log *log);
bool log_holds(const rp_log *log, uint64_t index);
/* Of what is kept: bytes that stay until something is dropped. */
uint64_t log_history_bytes(const rp_log *log);
/* The same, with room for what comes and what is set aside for work: what must fit the budget. */
uint64_t log_counted_bytes(const rp_log *log, uint64_t coming_bytes);
/* The part of it that could be packed. */
uint64_t log_raw_bytes(const rp_log *log);
/* Drops the oldest record; its successor's state becomes the base. Nothing is packed, and the
 * position is not the oldest. */
void log_evict(rp_log *log);
/* Begins a walk in which each page counts once. */
void log_mark_begin(rp_log *log);
/* Whether the page is met for the first time in this walk. Its word of `marks` is committed. */
bool log_mark_first(rp_log *log, uint32_t page);

/* log_slots.c */
rp_status log_slots_init(rp_log *log, bool writable);
void log_slots_finish(rp_log *log);
/* The slot of a version that no kept state needs any more; RP_SLOT_ZERO and LOG_SLOT_NONE are none.
 */
void log_slot_free(rp_log *log, uint32_t slot);
/* After a commit: what was offered and not taken is free again. */
void log_offers_end(rp_log *log);
/* Takes at most `want` free slots in a row, in use from here on. RP_E_LIMIT, RP_E_MEMORY. */
rp_status log_slots_take(rp_log *log, uint32_t want, rp_slot_run *run);

/* Counts slots as free, or (sign -1) as no longer free. */
void log_slots_count_free(rp_log *log, rp_slot_run run, int sign);
/* At most `want` bare slots in a row; count 0: none. */
rp_slot_run log_bare_run(const rp_log *log, uint32_t want);
void log_bare_to_free(rp_log *log, rp_slot_run run);

/* log_room.c */
/* Memory of the file that no slot in use is in. */
uint64_t log_room_bytes(const rp_log *log);
/* What of the budget is set aside for it while so much is to come. */
uint64_t log_room_share(const rp_log *log, uint64_t coming_bytes);
/* Gives back some of what is more than that. */
void log_room_tend(rp_log *log);

/* log_seek.c */
/* Moves the position between raw records. `moved` then holds each page that differs with the slot
 * that it had before. On failure nothing changed. */
rp_status log_move(rp_log *log, uint64_t index);
void log_set_current(rp_log *log, uint32_t page, uint32_t slot);
/* The slot of a page in the state of `base`, where the position is not behind it. */
uint32_t log_base_slot(const rp_log *log, uint32_t page);

/* log_expand.c */
void log_wants_begin(rp_log *log);
rp_status log_want_add(rp_log *log, uint32_t page);
log_want *log_want_find(const rp_log *log, uint32_t page);
/* Gives each want memory of the log's own for its content. */
rp_status log_wants_place(rp_log *log);
/* Sets the slot of each want to that which it has after a raw record. */
void log_wants_slots(rp_log *log, uint64_t index);
/* Wants all pages that may differ between two states, neither behind `base`. */
rp_status log_wants_between(rp_log *log, uint64_t a, uint64_t b);
/* Fills the contents with those after a kept record, not behind `base`. RP_E_FORMAT: what is packed
 * is damaged, in every way that leads there. */
rp_status log_expand(rp_log *log, uint64_t index);
/* Takes the wants' contents from one kept record to another by all that lies between. RP_E_FORMAT.
 */
rp_status log_apply_between(rp_log *log, uint64_t from, uint64_t to);
/* How many pages log_apply_between would visit; UINT64_MAX where a blob between is missing. */
uint64_t log_apply_cost(const rp_log *log, uint64_t from, uint64_t to);
uint64_t log_expand_cost(const rp_log *log, uint64_t index);

/* log_groups.c */
rp_status log_groups_init(rp_log *log, uint64_t versions_most);
void log_groups_finish(rp_log *log);
static inline bool log_has_groups(const rp_log *log)
{
    return log->groups.head != log->groups.tail;
}
/* The group that holds a record, whose state is its image or lies within; there are groups and the
 * record is not behind `base`. */
uint64_t log_group_of(const rp_log *log, uint64_t index);
/* So many pages in its blobs make a group full. */
uint64_t log_group_pages(const rp_log *log);
/* The last record of a group. */
uint64_t log_group_end(const rp_log *log, uint64_t number);
rp_status log_group_open(rp_log *log);
/* A page's newest version; 0: none. */
uint64_t log_newest_version(const rp_log *log, uint32_t page);
/* Appends a version to the open group; there is room. */
void log_version_add(rp_log *log, uint32_t page, log_version_kind kind, rp_blob blob);
/* Whether LOG_DELTA_RUN versions before this one were deltas. */
bool log_version_must_be_whole(const rp_log *log, uint32_t page);
/* Drops the oldest group; the record at its end becomes the oldest. */
void log_group_drop(rp_log *log);
/* Drops a closed group's blobs; only its image stays. */
void log_group_bare(rp_log *log, uint64_t number);
/* Drops what is packed behind a record, which becomes `base`. */
void log_groups_truncate(rp_log *log, uint64_t index);
/* The pages of the open group's blobs. */
rp_status log_open_pages(rp_log *log);
rp_status log_open_page_add(rp_log *log, uint32_t page);

/* log_pack.c */
/* Adopts what the worker finished, and gives it what comes next. */
void log_work(rp_log *log);
/* Nothing is under way after it; what was is forgotten. */
void log_work_stop(rp_log *log);

/* log_thin.c */
/* Drops what does not fit while `coming_bytes` more are to be kept. */
void log_fit_budget(rp_log *log, uint64_t coming_bytes);
/* From here on packed history is thinned in the background. */
uint64_t log_soft_budget(const rp_log *log);
/* Whether neither the position nor the pinned record would be lost. */
bool log_may_thin(const rp_log *log, uint64_t number);
/* The group to be thinned next; false: none may be. */
bool log_thin_next(const rp_log *log, uint64_t *number);

/* log_hash.c */
uint64_t log_slot_hash(rp_log *log, uint32_t page, uint32_t slot);

#endif
