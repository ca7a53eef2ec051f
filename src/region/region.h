/* The region: one reserved address range at a static base, which holds all state.
 *
 *   RP_REGION_BASE                                   + 3/4 of the reserve             + reserve
 *   | header | map | units of the world zone ...     | header | map | guards | units, keep ... |
 *   '-- tables --'                                   '----- tables -----'
 *
 * Each zone describes itself: a header, a map with one entry for each unit of 64 KiB, then the
 * units. The tables have the same place whatever the reserve, so a world fits into any reserve that
 * is large enough. A zone commits two extents, each from its start on: the tables and the units. A
 * *block* is a run of units with an owner, flags and, on request, a guard page before and after.
 * The world zone's header and map are world state, so a restore of its pages makes blocks that were
 * freed since come back and blocks that were made since vanish. What the system was told (how far
 * the zone is committed, where guards stand) is *actual* state: it lies in the keep zone's header
 * and is brought in line with the wanted state by rp_region_reconcile after each restore.
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
#define RP_REGION_RESERVE_BYTES (UINT64_C(256) << 30) /* also the most */
#define RP_REGION_LEAST_BYTES (UINT64_C(256) << 20)
/* Fixed places behind the region, free by the same survey (docs/internals/region.md). */
#define RP_LINK_BASE UINT64_C(0x554000000000)     /* what host and runner share */
#define RP_LOG_VIEW_BASE UINT64_C(0x554100000000) /* the runner's view of the log, read-only */
#define RP_MODULE_BASE UINT64_C(0x554800000000)   /* builds linked to a place of their own */
#define RP_MODULE_LIMIT UINT64_C(0x555540000000)

#define RP_UNIT_SHIFT 16
#define RP_UNIT_BYTES ((size_t)1 << RP_UNIT_SHIFT)

typedef enum rp_block_flags {
    RP_BLOCK_GUARD_BEFORE = 1 << 0,
    RP_BLOCK_GUARD_AFTER = 1 << 1,
    RP_BLOCK_SCRATCH = 1 << 2, /* not state: neither logged nor hashed, wiped at a frame's end */
    RP_BLOCK_ZEROED = 1 << 3, /* set by the region: the whole block read as zero when it was made */
    RP_BLOCK_GUARD_ALL = 1 << 5, /* by rp_region_block_seal: all of its pages are guards */
    RP_BLOCK_NESTED = 1 << 4,    /* an allocator made in this memory may own an address of it */
} rp_block_flags;

typedef enum rp_block_kind {
    RP_BLOCK_FREE = 0,
    RP_BLOCK_RESERVED, /* set aside: the system would not take a guard away */
    RP_BLOCK_PAGES,    /* handed out as it is */
    RP_BLOCK_SLAB,     /* a heap's pages of one size class */
    RP_BLOCK_LARGE,    /* one allocation of a heap */
    RP_BLOCK_TRACKED,  /* of the debug side: blocks with records, or one between guards */
    RP_BLOCK_POOL,     /* of an allocator that looks into it itself: slots, an arena, … */
} rp_block_kind;

/* The map's entry of a unit. The first unit of a block says all; the others point back to it. */
typedef struct rp_unit {
    uint8_t kind;        /* rp_block_kind, in the first unit; RP_BLOCK_FREE in the others */
    uint8_t flags;       /* rp_block_flags */
    uint8_t size_class;  /* of a slab */
    uint8_t slack_pages; /* unused pages behind the guard after the payload */
    uint16_t owner;      /* an allocator's id; 0: none */
    uint16_t extra;      /* the owner's, as the words are */
    uint32_t head;       /* index of the block's first unit */
    uint32_t unit_count; /* in the first unit: of the block */
    uint64_t words[2];   /* the owner's while the block lives: slab bookkeeping, … */
} rp_unit;

typedef struct rp_region_desc {
    uint64_t reserve_bytes; /* 0: RP_REGION_RESERVE_BYTES; a quarter, a sixteenth, … of it where the
                               limits say no */
    uint64_t minimum_bytes; /* what an image needs; 0: 1 GiB, or reserve_bytes where that is less */
    uint64_t small_bytes;   /* so much of each zone stays in small pages; huge ones are asked for
                               beyond it, where an unused part of one costs little of the whole */
    uint64_t tick_bytes;    /* for a process without frames: a tick is so much memory given back;
                               0: rp_region_tick is called */
    char **argv; /* to execute again without randomisation where that helps; null: do not */
} rp_region_desc;

typedef struct rp_region_block {
    void *start;       /* first usable byte, behind the guard */
    size_t size_bytes; /* usable */
    uint32_t owner;
    rp_block_kind kind;
    uint32_t flags;
} rp_region_block;

typedef struct rp_region_span {
    uint8_t *start;
    size_t size_bytes;
} rp_region_span;

typedef struct rp_region_stats {
    uint64_t reserve_bytes, committed_bytes, used_bytes, free_bytes, guard_count;
} rp_region_stats;

/* Called when the world zone commits memory, before anybody writes to it, with the zone's lock
 * held: it must not make or free blocks of the world zone. */
typedef void rp_region_committed_fn(void *context, void *start, size_t size_bytes);

/* Reserves the region and makes both zones. Once in a process; before other threads and dlopen
 * where one can. RP_E_TAKEN names who is in the way; RP_E_LIMIT names the limit; RP_E_BUSY: it is
 * open already; RP_E_ARGUMENT: less than RP_REGION_LEAST_BYTES. */
rp_status rp_region_create(const rp_region_desc *desc);
void rp_region_destroy(void);
static inline bool rp_region_is_open(void);

/* Makes a block of at least `size_bytes` (rounded up to whole pages, in whole units). Null with the
 * record set when the zone is full or the system refuses. Fresh memory from the frontier reads as
 * zero; recycled memory is not cleared. Cost: a search of the zone's free runs. */
void *rp_region_block_alloc(rp_zone zone, size_t size_bytes, rp_block_kind kind, uint32_t owner,
                            uint32_t flags);
/* `start` as it was returned. Aborts on what is no live block's start. */
void rp_region_block_free(void *start);
/* Grows or shrinks in place; false when the next units are not free. */
bool rp_region_block_resize(void *start, size_t size_bytes);
/* Makes all pages of a block inaccessible, so that its content is lost; the block stays, and is
 * freed as others are. It cannot be resized any more. RP_E_SYSTEM, RP_E_MEMORY (too many mappings,
 * where the kernel has no light guards): it is as it was, but its content may be lost. */
rp_status rp_region_block_seal(void *start);
/* The block that `address` lies in, guards included; false where there is none. Safe in a signal
 * handler while nobody allocates. */
bool rp_region_block_find(const void *address, rp_region_block *block);
/* Visits the blocks and, as RP_BLOCK_FREE, the free runs between them, by rising address; stops
 * when `visit` returns non-zero and returns that. While nobody allocates. */
int rp_region_walk(rp_zone zone, int (*visit)(const rp_region_block *block, void *context),
                   void *context);

/* The map entry of the unit that holds `address`; null where no unit was ever handed out.
 * Arithmetic and one compare. */
rp_unit *rp_region_unit(const void *address);
/* The entry of the first unit of the block that holds `address`; null where no block lives. */
rp_unit *rp_region_unit_head(const void *address);
/* The address of the unit that `unit` describes. */
void *rp_region_unit_start(const rp_unit *unit);
/* The entry with this index of a zone's map, an index that rp_unit.head had. */
rp_unit *rp_region_unit_at(rp_zone zone, uint32_t index);
/* 1: world zone, 2: keep zone, 0: elsewhere. */
static inline int rp_region_contains(const void *address);

/* The rest of the header's unit behind the header page: committed, zero in a new zone, state as the
 * header is. It belongs to the static heap. */
rp_region_span rp_region_header_rest(rp_zone zone);

/* A word in the zone's header for each user: the roots from which everything is found again. */
enum {
    RP_ROOT_HEAPS,
    RP_ROOT_GENERIC,
    RP_ROOT_ENVIRONMENT,
    RP_ROOT_DECK,
    RP_ROOT_HISTORY,
    RP_ROOT_MODULE,
    RP_ROOT_RUNNER,
    RP_ROOT_META,
    RP_ROOT_TRACE,
    RP_ROOT_DEBUG,
    RP_ROOT_COUNT = 16
};
static inline void *rp_region_root(rp_zone zone, int root);
void rp_region_root_set(rp_zone zone, int root, void *value);
/* Sets the root where it is null, in one step; returns what stands there then. */
void *rp_region_root_claim(rp_zone zone, int root, void *value);

enum { RP_REGION_SPANS = 2 };

/* What of the zone is committed now (actual state): the tables' extent, then that of the units.
 * Both begin where they always begin, only grow, and are whole multiples of 2 MiB. Nothing of the
 * zone outside them can hold state. */
void rp_region_committed(rp_zone zone, rp_region_span spans[RP_REGION_SPANS]);
/* Commits the extent that holds the byte before `end` at least up to `end`, so that a restore may
 * write there. RP_E_RANGE: outside the zone, as with a world from a larger reserve. */
rp_status rp_region_commit_to(rp_zone zone, void *end);
/* One observer, for the world zone; null removes it. */
void rp_region_on_commit(rp_region_committed_fn *function, void *context);
/* Whether `page` carries a guard now (actual state); constant time; any address may be asked about.
 * A guard drops the page's content and a lifted one reads as zero, so the log must count a guarded
 * page as a page of zeros, not as unchanged. */
bool rp_region_is_guard(const void *page);
/* Whether any page of the world zone carries a guard now. */
bool rp_region_has_guards(void);
/* Before a restore that may write over guards: takes all of the world zone's away. The pages read
 * as zero from then on. */
rp_status rp_region_guards_lift(void);
/* After a restore: commits what the restored header counts as used, takes away guards that the
 * restored map does not want and sets those that it wants. RP_E_FORMAT: what was restored is no
 * world of this version; RP_E_RANGE: it is larger than the reserve; RP_E_SYSTEM, RP_E_MEMORY. */
rp_status rp_region_reconcile(void);
/* Gives the memory of free runs of 1 MiB or more back to the system; they read as zero afterwards.
 */
void rp_region_purge(rp_zone zone);
/* Takes or drops the zone's lock, around a fork. */
void rp_region_lock(rp_zone zone, bool take);
void rp_region_stats_get(rp_zone zone, rp_region_stats *stats);
/* The time by which free memory decays, for the deck: the frame's number. In each tick that is a
 * multiple of RP_REGION_PURGE_TICKS, free runs of 1 MiB or more of both zones that nobody wanted
 * for that long go back to the system. By number and not by the clock, so that the same frames do
 * the same. Discarded pages count as written. */
enum { RP_REGION_PURGE_TICKS = 512 };
void rp_region_tick(uint32_t tick);
/* Checks every invariant of a zone's map; false with the record set. For tests and debug builds. */
bool rp_region_check(rp_zone zone);

/* A programmer's error in the use of memory: one line "reprise: …" on standard error, then abort().
 */
__attribute__((format(printf, 1, 2))) _Noreturn void rp_region_die(const char *format, ...);

/* Where the zones lie; all zero while the region is closed. The world zone is three quarters of the
 * reserve. One a process, as the addresses are. */
extern struct rp_region_extent {
    uint64_t world_start, keep_start, end;
    uint64_t
        world_frontier; /* units of the world zone before it have a map entry; 0 while closed */
    uint32_t tick;      /* rp_region_tick */
} rp_region_extent __attribute__((visibility("hidden")));

/* Where a zone's map stands, from the zone's start: behind the header's unit. */
#define RP_REGION_MAP_OFFSET 65536u
/* And its roots. */
#define RP_REGION_ROOTS_OFFSET 56u

/* rp_region_unit for the world zone alone; null for every other address. For free's fast path. */
static inline rp_unit *rp_region_world_unit(const void *address)
{
    uint64_t index = ((uint64_t)(uintptr_t)address - RP_REGION_BASE) >> RP_UNIT_SHIFT;
    if (index >= __atomic_load_n(&rp_region_extent.world_frontier, __ATOMIC_RELAXED)) {
        return 0;
    }
    return (rp_unit *)(uintptr_t)(RP_REGION_BASE + RP_REGION_MAP_OFFSET) + index;
}

static inline int rp_region_contains(const void *address)
{
    uint64_t offset = (uint64_t)(uintptr_t)address - RP_REGION_BASE;
    uint64_t size = rp_region_extent.end - RP_REGION_BASE;
    if (rp_region_extent.end == 0 || offset >= size) {
        return 0;
    }
    return offset < rp_region_extent.keep_start - RP_REGION_BASE ? 1 : 2;
}

static inline bool rp_region_is_open(void)
{
    return rp_region_extent.end != 0;
}

static inline void *rp_region_root(rp_zone zone, int root)
{
    uint64_t start =
        zone == RP_ZONE_WORLD ? rp_region_extent.world_start : rp_region_extent.keep_start;
    void *const *roots = (void *const *)(uintptr_t)(start + RP_REGION_ROOTS_OFFSET);
    return __atomic_load_n(&roots[root], __ATOMIC_ACQUIRE);
}

#endif
