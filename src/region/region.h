/* The region: one reserved address range at a static base, which holds all state.
 *
 *   RP_REGION_BASE                                   + RP_REGION_WORLD_BYTES        + reserve
 *   | header | map | blocks of the world zone ...    | header | map | blocks of the keep zone ... |
 *
 * Each zone describes itself: a header page, a map with one entry for each unit of 64 KiB, then the
 * units. A *block* is a run of units with an owner, flags and, on request, a guard page before and
 * after. The world zone's header and map are world state, so a restore of its pages makes blocks
 * that were freed since come back and blocks that were made since vanish. What the system was told
 * (how far the zone is committed, where guards stand) is *actual* state: it lies in the keep zone's
 * header and is brought in line with the wanted state by rp_region_reconcile after each restore.
 *
 * Layer: region.  Threads: block calls take the zone's lock; the rest is for the owning thread.
 * Design: docs/internals/region.md  Tests: tests/region/
 */
#ifndef RP_REGION_H
#define RP_REGION_H

#include <reprise/memory.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_REGION_BASE UINT64_C(0x550000000000)
#define RP_REGION_RESERVE_BYTES (UINT64_C(256) << 30)
/* Fixed places behind the region, free by the same survey (docs/internals/region.md). */
#define RP_LINK_BASE UINT64_C(0x554000000000)    /* what host and runner share */
#define RP_LOG_VIEW_BASE UINT64_C(0x554100000000) /* the runner's view of the log, read-only */
#define RP_MODULE_BASE UINT64_C(0x554800000000)  /* builds linked to a place of their own */
#define RP_MODULE_LIMIT UINT64_C(0x555540000000)

#define RP_UNIT_SHIFT 16
#define RP_UNIT_BYTES ((size_t)1 << RP_UNIT_SHIFT)

typedef enum rp_block_flags {
    RP_BLOCK_GUARD_BEFORE = 1 << 0,
    RP_BLOCK_GUARD_AFTER = 1 << 1,
    RP_BLOCK_SCRATCH = 1 << 2, /* not state: neither logged nor hashed, wiped at a frame's end */
} rp_block_flags;

typedef enum rp_block_kind {
    RP_BLOCK_FREE = 0,
    RP_BLOCK_RESERVED, /* header and map */
    RP_BLOCK_PAGES,    /* handed out as it is */
    RP_BLOCK_SLAB,     /* a heap's pages of one size class */
    RP_BLOCK_LARGE,    /* one allocation of a heap */
} rp_block_kind;

/* The map's entry of a unit. The first unit of a block says all; the others point back to it. */
typedef struct rp_unit {
    uint8_t kind;        /* rp_block_kind */
    uint8_t flags;       /* rp_block_flags */
    uint16_t size_class; /* of a slab */
    uint32_t owner;      /* heap or scope id; 0: none */
    uint32_t head;       /* index of the block's first unit */
    uint32_t unit_count; /* in the first unit: of the block */
    uint64_t word_a, word_b; /* for the owner: slab bookkeeping, payload size, … */
} rp_unit;

typedef struct rp_region_desc {
    uint64_t reserve_bytes; /* 0: RP_REGION_RESERVE_BYTES, then 64 and 16 GiB where the limits say no */
    uint64_t minimum_bytes; /* what an image needs; 0: 1 GiB */
    char **argv;            /* to execute again without randomisation where that helps; null: do not */
} rp_region_desc;

typedef struct rp_region_block {
    void *start;       /* first usable byte, behind the guard */
    size_t size_bytes; /* usable */
    uint32_t owner;
    rp_block_kind kind;
    uint32_t flags;
} rp_region_block;

typedef struct rp_region_stats {
    uint64_t reserve_bytes, committed_bytes, used_bytes, free_bytes, guard_count;
} rp_region_stats;

/* Called when a zone commits memory, before anybody writes to it. */
typedef void rp_region_committed_fn(void *context, void *start, size_t size_bytes);

/* Reserves the region and makes both zones. Once in a process; before other threads and dlopen where
 * one can. RP_E_TAKEN names who is in the way; RP_E_LIMIT names the limit. */
rp_status rp_region_create(const rp_region_desc *desc);
void rp_region_destroy(void);
bool rp_region_is_open(void);

/* Makes a block of at least `size_bytes` (rounded up to whole pages, in whole units). Null with the
 * record set when the zone is full or the system refuses. Fresh memory from the frontier reads as
 * zero; recycled memory is not cleared. Cost: a search of the zone's free runs. */
void *rp_region_block_alloc(rp_zone zone, size_t size_bytes, rp_block_kind kind, uint32_t owner,
                            uint32_t flags);
/* `start` as it was returned. Aborts on what is no live block's start. */
void rp_region_block_free(void *start);
/* Grows or shrinks in place; false when the next units are not free. */
bool rp_region_block_resize(void *start, size_t size_bytes);
/* The block that `address` lies in, guards included; false where there is none. Safe in a signal
 * handler while nobody allocates. */
bool rp_region_block_find(const void *address, rp_region_block *block);
int rp_region_walk(rp_zone zone, int (*visit)(const rp_region_block *block, void *context), void *context);

/* The map entry of the unit that holds `address`, an address in a zone. Inline arithmetic elsewhere. */
rp_unit *rp_region_unit(const void *address);
/* 1: world zone, 2: keep zone, 0: elsewhere. */
static inline int rp_region_contains(const void *address);

/* A word in the zone's header for each user: the roots from which everything is found again. */
enum { RP_ROOT_HEAPS, RP_ROOT_WORLD_HEAP, RP_ROOT_ENVIRONMENT, RP_ROOT_DECK, RP_ROOT_HISTORY,
       RP_ROOT_MODULE, RP_ROOT_RUNNER, RP_ROOT_COUNT = 16 };
void *rp_region_root(rp_zone zone, int root);
void rp_region_root_set(rp_zone zone, int root, void *value);

/* World zone [start, end): what is committed now, actual state. */
void rp_region_committed(rp_zone zone, void **start, void **end);
/* Commits at least up to `end`, so that a restore may write there. */
rp_status rp_region_commit_to(rp_zone zone, void *end);
/* One observer, for the world zone; null removes it. */
void rp_region_on_commit(rp_region_committed_fn *function, void *context);
/* Whether `page` carries a guard now; constant time. */
bool rp_region_is_guard(const void *page);
bool rp_region_has_guards(void);
/* After a restore: takes away guards that the restored map does not want and sets those that it
 * wants. Before a restore that may write over guards: rp_region_guards_lift. */
void rp_region_guards_lift(void);
rp_status rp_region_reconcile(void);
/* Gives the memory of free runs of 1 MiB or more back to the system; they read as zero afterwards. */
void rp_region_purge(rp_zone zone);
void rp_region_stats_get(rp_zone zone, rp_region_stats *stats);
/* Checks every invariant of a zone's map; false with the record set. For tests and debug builds. */
bool rp_region_check(rp_zone zone);

/* The part of the reserve that is the world zone: three quarters. */
extern struct rp_region_extent {
    uint64_t world_start, keep_start, end;
} rp_region_extent;

static inline int rp_region_contains(const void *address)
{
    uint64_t offset = (uint64_t)(uintptr_t)address - RP_REGION_BASE;
    uint64_t size = rp_region_extent.end - RP_REGION_BASE;
    if (rp_region_extent.end == 0 || offset >= size) {
        return 0;
    }
    return offset < rp_region_extent.keep_start - RP_REGION_BASE ? 1 : 2;
}

#endif
