/* Inside the tracked store: blocks whose bookkeeping lies elsewhere.
 *
 *   root RP_ROOT_DEBUG ──► store ── pages[id / POOLS_A_PAGE] ──► pool of the allocator with this id
 *
 *   pool ── partial[class], full ──► unit ⇄ unit      64 KiB cut into slots of one class
 *                                      └─ words[1] ──► slab | record | record | …      one a slot
 *        ── singles ───────────────► unit ⇄ unit      one block each: large, or between guards
 *                                      └─ words[1] ──► record
 *        ── resting_first ──► record ──► record …     quarantine, oldest first
 *
 * The user's bytes and the records share no unit, so an overrun reaches other blocks before it
 * reaches a record, and a free writes nothing into the block unless a mode asks for it. A record
 * outlives its block until the slot is used again, so that a second free can be explained.
 *
 * Records are known by their distance from the region's base in steps of their size; 0 is none.
 *
 * Layer: trace, internal.  Threads: a pool's lock guards its lists and the states of its blocks;
 * marks and fills are written outside of it, while the block's state says that it is in transit.
 * Lock order: choices, store, pool, then those of the layers below.
 */
#ifndef RP_TRACE_TRACKED_H
#define RP_TRACE_TRACKED_H

#include "base/assert.h"
#include "base/bits.h"
#include "trace/trace.h"

#include <reprise/debug.h>

typedef enum tracked_state {
    TRACKED_FRESH,   /* the slot was never used */
    TRACKED_TRANSIT, /* a call is making or freeing it */
    TRACKED_LIVE,
    TRACKED_RESTING, /* in quarantine */
    TRACKED_DEAD,
} tracked_state;

typedef struct tracked_record {
    rp_trace_record said;
    uint8_t *start;   /* the user's first byte */
    uint32_t next;    /* dead: the next dead one of the slab; resting: the next younger one */
    uint8_t state;    /* tracked_state */
    uint8_t reported; /* damage was reported */
    uint16_t unused;
} tracked_record;

_Static_assert(sizeof(tracked_record) == 64, "ids of records count in it, in 32 bits");

typedef struct tracked_slab {
    uint32_t dead_first; /* record */
    uint16_t used;       /* slots that are neither fresh nor dead */
    uint16_t fresh;      /* slots from here on were never used */
    uint16_t count;
    uint16_t class_index;
    uint32_t slot_bytes;
    uint32_t slots_inverse; /* 2^32 / slot_bytes, rounded up: exact for offsets in a unit */
    uint32_t unused[11];
} tracked_slab;

_Static_assert(sizeof(tracked_slab) == sizeof(tracked_record), "heads the run of its records");

enum {
    SLOT_CLASS_COUNT = 36,
    SLOT_LARGEST_BYTES = 16384,
    SLOTS_MOST = 1023, /* with the slab, their records fill a unit */
    /* rp_unit.size_class of a block of its own; rp_free's fast path looks it up in its table */
    SINGLE_CLASS = SLOT_CLASS_COUNT,
    POOL_BYTES = 1024,
    POOLS_A_PAGE = (int)(RP_UNIT_BYTES / POOL_BYTES),
    POOL_PAGES = (RP_ALLOCATOR_LIMIT + 1) / POOLS_A_PAGE,
    CHOICE_PATTERN_BYTES = 96,
    CHOICES_MOST = 64,
};

/* Options in the region: no pointer. */
typedef struct debug_book {
    uint32_t modes;
    uint32_t sample_one_in;
    uint64_t seed;
    uint64_t fail_nth;
    uint8_t fill_chosen, fill_byte;
    uint8_t unused[6];
    char fail_site[RP_DEBUG_SITE_BYTES];
} debug_book;

typedef struct tracked_pool {
    rp_os_lock lock;
    uint32_t id; /* of its allocator; 0: not in use */
    uint64_t cap_bytes;
    rp_alloc_stats stats;
    uint32_t full, singles; /* units */
    uint32_t partial[SLOT_CLASS_COUNT];
    uint32_t runs[SLOT_CLASS_COUNT]; /* records of slabs that went; linked by their first word */
    uint32_t single_records;         /* records of single blocks that went */
    uint32_t record_unit;            /* the newest unit of records; linked by words[0] */
    uint32_t record_used;            /* records taken of it */
    uint32_t resting_first, resting_last;
    uint32_t resting_count;
    uint64_t resting_bytes;
    debug_book own;    /* what it was made with */
    debug_book active; /* with what was chosen by name */
    uint64_t asked;    /* allocations that `failing` counted since it was set */
    uint64_t sampled;  /* that `sampled` counted */
    uint64_t failed;
} tracked_pool;

_Static_assert(sizeof(tracked_pool) <= POOL_BYTES, "a page of pools is cut by it");

typedef struct tracked_store {
    rp_os_lock lock;
    uint32_t guarded_count; /* blocks with guards */
    uint64_t serial;
    uint64_t guarded_refused, resting_refused, failed_count, error_count;
    struct debug_choices *choices; /* in the keep zone's store */
    uint8_t *pages[POOL_PAGES];
} tracked_store;

/* ---- tracked_store.c ---- */

/* Null where nothing was ever tracked in the zone. */
static inline tracked_store *rp_tracked_store(rp_zone zone)
{
    return (tracked_store *)rp_region_root(zone, RP_ROOT_DEBUG);
}

/* Made at first use; null with the record set. */
tracked_store *rp_tracked_store_make(rp_zone zone);
/* The allocator's pool, made when there is none; null with the record set. */
tracked_pool *rp_tracked_pool(rp_allocator *allocator);
static inline uint8_t *rp_tracked_page(const tracked_store *store, uint32_t id)
{
    return __atomic_load_n(&store->pages[id / POOLS_A_PAGE], __ATOMIC_ACQUIRE);
}

static inline tracked_pool *rp_tracked_pool_in(uint8_t *page, uint32_t id)
{
    return (tracked_pool *)(void *)(page + (size_t)(id % POOLS_A_PAGE) * POOL_BYTES);
}

/* Null where it has none. */
static inline tracked_pool *rp_tracked_pool_find(rp_zone zone, uint32_t id)
{
    const tracked_store *store = rp_tracked_store(zone);
    uint8_t *page = store ? rp_tracked_page(store, id) : NULL;
    tracked_pool *pool = page ? rp_tracked_pool_in(page, id) : NULL;
    return pool && __atomic_load_n(&pool->id, __ATOMIC_ACQUIRE) ? pool : NULL;
}

/* Calls `visit` for each pool of the zone; stops when it returns non-zero, and returns that. */
int rp_tracked_pools(rp_zone zone, int (*visit)(tracked_pool *pool, void *context), void *context);
/* Counts a block that becomes live; false, with nothing counted: it is over the cap. With the
 * pool's lock; the figures may be read without. */
bool rp_tracked_admit(tracked_pool *pool, size_t size_bytes);
/* Counts one that lives no more. With the pool's lock. */
void rp_tracked_dismiss(tracked_pool *pool, size_t size_bytes);
/* Gives the pool's records and the pool back; its blocks are gone already. */
void rp_tracked_pool_drop(rp_zone zone, tracked_pool *pool);
/* The pool's allocator; null while it is being destroyed. */
rp_allocator *rp_tracked_owner(const tracked_pool *pool);

static inline rp_zone zone_of(const void *address)
{
    return rp_region_contains(address) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP;
}

static inline uint32_t record_id(const tracked_record *record)
{
    return (uint32_t)(((uintptr_t)record - RP_REGION_BASE) / sizeof *record);
}

static inline tracked_record *record_at(uint32_t id)
{
    return (tracked_record *)(uintptr_t)(RP_REGION_BASE + (uint64_t)id * sizeof(tracked_record));
}

/* Records one after another; null with the record set. With the pool's lock. */
void *rp_tracked_records_take(tracked_pool *pool, uint32_t count);

/* Both kinds of units begin their words with the links of their list. */
typedef struct unit_words {
    uint32_t next, previous;
    void *book; /* tracked_slab, or tracked_record of a single block */
} unit_words;

_Static_assert(sizeof(unit_words) == sizeof((rp_unit *)0)->words, "fits the words of a unit");

static inline unit_words *words_of(const rp_unit *unit)
{
    return (unit_words *)(uintptr_t)unit->words;
}

void rp_tracked_list_push(rp_zone zone, uint32_t *list, rp_unit *unit);
void rp_tracked_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit);

/* ---- tracked_slab.c: with the pool's lock ---- */

typedef struct tracked_slot {
    tracked_record *record;
    uint8_t *start; /* of the slot, or of a single block's payload */
    size_t size_bytes;
    rp_unit *head;
} tracked_slot;

/* The class of slots of at least this size whose starts are so aligned; SLOT_CLASS_COUNT: none. */
uint32_t rp_tracked_class(size_t size_bytes, size_t align_bytes);
bool rp_tracked_slot_take(tracked_pool *pool, uint32_t class_index, tracked_slot *slot);
void rp_tracked_slot_give(tracked_pool *pool, const tracked_slot *slot);

/* ---- tracked_single.c: without the pool's lock ---- */

/* A block of the region with room for `size_bytes` at that alignment; `flags`: its guards. */
bool rp_tracked_single_make(tracked_pool *pool, size_t size_bytes, uint32_t flags,
                            tracked_slot *slot);
void rp_tracked_single_drop(tracked_pool *pool, const tracked_slot *slot);

bool rp_tracked_slab_look(rp_unit *unit, const void *address, tracked_slot *slot);
int rp_tracked_slab_each(rp_unit *unit, int (*visit)(const tracked_slot *slot, void *context),
                         void *context);

/* ---- tracked_find.c ---- */

/* The slot or single block that `address` lies in; of a unit that is tracked. False: none was ever
 * used there. Takes no lock. */
bool rp_tracked_look(rp_unit *head, const void *address, tracked_slot *slot);
/* The record of a block that began at `address`, whose unit is gone; null: none is left. */
const tracked_record *rp_tracked_gone(const void *address);
/* Calls `visit` for each block of the pool that lives or rests. With the pool's lock. */
int rp_tracked_each(tracked_pool *pool, int (*visit)(const tracked_slot *slot, void *context),
                    void *context);

static inline tracked_state state_of(const tracked_record *record)
{
    return (tracked_state)__atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
}

static inline void state_set(tracked_record *record, tracked_state state)
{
    __atomic_store_n(&record->state, (uint8_t)state, __ATOMIC_RELEASE);
}

/* ---- tracked.c, tracked_block.c: rp_debug_ops ---- */

void *rp_tracked_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed,
                       const char *site, const void *caller);
void rp_tracked_free(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                     const void *caller);
size_t rp_tracked_usable(rp_unit *head, const void *block);
bool rp_tracked_resize(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                       const void *caller);
int rp_tracked_walk(const rp_allocator *allocator,
                    int (*visit)(void *block, size_t size_bytes, void *context), void *context);
void rp_tracked_stats_add(const rp_allocator *allocator, rp_alloc_stats *stats);
void rp_tracked_destroyed(rp_allocator *allocator);
/* Takes or drops all locks of the debug side, around a fork. */
void rp_tracked_fork(bool take);

/* ---- marks.c: what is written into and around blocks ---- */

typedef struct debug_damage {
    const uint8_t *first; /* the lowest damaged byte */
    size_t span_bytes;    /* to the highest one */
    rp_debug_error_kind kind;
} debug_damage;

/* Paints the canaries of a block whose record is complete. */
void rp_marks_paint(const tracked_slot *slot);
/* False: they were written over; `damage` says where. */
bool rp_marks_intact(const tracked_slot *slot, debug_damage *damage);
/* What a new block holds: zero, or the pattern of the modes. */
void rp_fill_new(const tracked_slot *slot, const debug_book *book);
void rp_fill_freed(const tracked_slot *slot);
/* Whether a filled block was not written since it was freed. */
bool rp_fill_intact(const tracked_slot *slot, debug_damage *damage);
/* Whether this byte of a damaged span is one that was written. */
bool rp_marks_byte_damaged(const uint8_t *at, rp_debug_error_kind kind);

/* ---- quarantine.c ---- */

/* Makes a guarded block inaccessible altogether, where the system does it. */
void rp_tracked_seal(const tracked_slot *slot);
bool rp_tracked_sealed(const tracked_slot *slot);
/* Lets a freed block in transit rest, and lets go what is over the budget. */
void rp_rest(tracked_pool *pool, const tracked_slot *slot);
/* Ends the block: its slot or its unit can be used again. In transit, without the pool's lock. */
void rp_tracked_release(tracked_pool *pool, const tracked_slot *slot);

/* ---- debug_text.c ---- */

typedef struct debug_finding {
    rp_debug_error_kind kind;
    const uint8_t *address;   /* the lowest damaged byte; what was freed or touched */
    size_t span_bytes;        /* damaged, from there on; 0: nothing is */
    const tracked_slot *slot; /* null: no block is known there */
    const rp_allocator *allocator;
    const char *what;   /* what was wrong, where the kind does not say it */
    const void *caller; /* who found it */
    bool in_signal;
} debug_finding;

void rp_debug_describe(const debug_finding *finding, char *text, size_t capacity);

/* ---- debug_error.c ---- */

/* Says it once for each block: to the callback, or to standard error; aborts where the policy says
 * so. No lock is held. */
void rp_debug_damaged(const tracked_slot *slot, const debug_damage *damage, const void *caller);
/* Writes to standard error. */
void rp_debug_say(const char *text, size_t length);
rp_debug_policy rp_debug_policy_get(void);
/* rp_debug_ops.explain. */
void rp_debug_explain(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
                      const void *caller);

/* ---- choices.c: what was chosen, in the keep zone ---- */

typedef struct debug_choices {
    rp_os_lock lock;
    uint32_t count;
    uint32_t policy; /* rp_debug_policy */
    uint32_t told;   /* bits: which budgets were said to be spent */
    uint64_t guarded_budget, resting_budget;
    debug_book scope_book; /* options of the last choice that a scope matched */
    struct debug_choice {
        char pattern[CHOICE_PATTERN_BYTES];
        debug_book book;
    } items[CHOICES_MOST];
} debug_choices;

/* Null where nothing was ever chosen. */
debug_choices *rp_debug_choices_if_any(void);
/* Made at first use; null with the record set. */
debug_choices *rp_debug_choices_get(void);
/* rp_debug_ops.created: modes by name. */
void rp_debug_created(rp_allocator *allocator);
/* Gives the allocator the modes that hold for it now. RP_E_MEMORY: no room for its book. */
rp_status rp_debug_apply(rp_allocator *allocator);
/* The same for all allocators and scopes of both zones. */
rp_status rp_debug_apply_all(void);
/* Allocators that give blocks back in bulk, or never, cannot have each of them tracked. */
uint32_t rp_debug_modes_possible(const rp_allocator *allocator);
/* The options for blocks that are tracked because of their scope. */
void rp_debug_scope_book(debug_book *book);
debug_book rp_debug_book(uint32_t modes, const rp_debug_options *options);

/* ---- budget.c ---- */

enum { BUDGET_GUARDED = 1, BUDGET_RESTING = 2 };

uint64_t rp_debug_guarded_budget(void);
uint64_t rp_debug_resting_budget(void);
/* One line on standard error, the first time that it is spent. */
void rp_debug_budget_spent(uint32_t which);

/* The modes that write into blocks or look at what was written. */
enum {
    MODES_GUARD = RP_DEBUG_END_OF_PAGE | RP_DEBUG_START_OF_PAGE,
    MODES_MARK = RP_DEBUG_CANARY | MODES_GUARD,
    MODES_FILL = RP_DEBUG_FILL | RP_DEBUG_QUARANTINE,
    MODES_TRACKED = RP_DEBUG_TRACE | RP_DEBUG_STACKS | RP_DEBUG_LEAKS | MODES_MARK | MODES_FILL,
    MODES_ALL = (RP_DEBUG_LEAKS << 1) - 1,
};

#endif
