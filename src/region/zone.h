/* What a zone looks like in memory, and the calls between the files of this layer.
 *
 *   zone start                                     tables end (constant)            zone end
 *   | zone_header | static heap | rp_unit [0] [1] ... | (guards) | unit first_unit ... frontier ...
 * | one page      60 KiB        sparse                keep only             never used yet
 *
 * The map counts units from the zone's start, so the address of a unit is a shift and an addition.
 * The entries of the tables' own units stay zero and are never looked at. Between first_unit and
 * the frontier live blocks and free runs follow each other without gaps, no two free runs in a row.
 * The first and the last unit of a free run know each other; runs of like size are chained in bins.
 *
 * Layer: region, internal.
 */
#ifndef RP_REGION_ZONE_H
#define RP_REGION_ZONE_H

#include "base/assert.h"
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"

#define ZONE_MAGIC UINT64_C(0x656e6f7a65727072) /* "rprezone" */
#define ZONE_VERSION 2u
#define ZONE_CHUNK_BYTES RP_MIB(2) /* a huge page, the step in which memory is committed */

/* Address space for the tables of the largest reserve: the header's unit, 32 bytes for each unit of
 * 192 GiB and of 64 GiB, a bit for each page of 256 GiB. */
#define WORLD_TABLES_BYTES RP_MIB(98)
#define KEEP_MAP_END_BYTES RP_MIB(34)
#define GUARD_BITS_BYTES RP_MIB(8)
#define KEEP_TABLES_BYTES (KEEP_MAP_END_BYTES + GUARD_BITS_BYTES)

enum {
    UNIT_PAGES = RP_UNIT_BYTES / RP_PAGE_BYTES,
    EXACT_BINS = 32, /* runs of 1 … 32 units have a bin for each length */
    BIN_COUNT = 128  /* longer ones share four bins a doubling */
};

typedef struct zone_header {
    uint64_t magic;
    uint32_t version, page_bytes;
    uint64_t base;
    rp_os_lock lock;
    uint32_t first_unit;
    uint32_t frontier; /* units from here on were never handed out and read as zero */
    uint32_t guarded_block_count;
    uint64_t used_units, free_units;
    void *roots[RP_ROOT_COUNT];
    uint64_t bin_mask[BIN_COUNT / 64]; /* bit b: bins[b] is not empty */
    uint32_t bins[BIN_COUNT];          /* first run's first unit; 0: none */
} zone_header;

/* What the system was told of a zone. */
typedef struct zone_actual {
    uint64_t tables_end, units_end; /* committed up to here */
    uint64_t guard_count;
} zone_actual;

/* The keep zone's header page: its own header and the actual state of both zones. */
typedef struct keep_header {
    zone_header zone;
    zone_actual actual[2];
    rp_region_committed_fn *observer;
    void *observer_context;
    uint64_t small_bytes; /* rp_region_desc */
    uint64_t tick_units, given_units;
} keep_header;

_Static_assert(sizeof(keep_header) <= RP_PAGE_BYTES, "the header is one page");
_Static_assert(sizeof(rp_unit) == 32, "the tables' sizes count on it");
_Static_assert(RP_REGION_MAP_OFFSET == RP_UNIT_BYTES, "the header is one unit");
_Static_assert(RP_REGION_ROOTS_OFFSET == offsetof(zone_header, roots),
               "rp_region_root reads there");
_Static_assert(RP_REGION_MAP_OFFSET + RP_REGION_RESERVE_BYTES / 4 * 3 / RP_UNIT_BYTES * 32 <=
                   WORLD_TABLES_BYTES,
               "the world's map fits into its tables");
_Static_assert(RP_REGION_MAP_OFFSET + RP_REGION_RESERVE_BYTES / 4 / RP_UNIT_BYTES * 32 <=
                   KEEP_MAP_END_BYTES,
               "the keep zone's map fits before the guards' bits");

static inline zone_header *zone_header_of(rp_zone zone)
{
    return (zone_header *)(uintptr_t)(zone == RP_ZONE_WORLD ? rp_region_extent.world_start
                                                            : rp_region_extent.keep_start);
}

static inline keep_header *keep_header_get(void)
{
    return (keep_header *)(uintptr_t)rp_region_extent.keep_start;
}

static inline rp_zone zone_id(const zone_header *header)
{
    return (uintptr_t)header == rp_region_extent.world_start ? RP_ZONE_WORLD : RP_ZONE_KEEP;
}

static inline zone_actual *zone_actual_of(rp_zone zone)
{
    return &keep_header_get()->actual[zone];
}

static inline rp_unit *zone_map(const zone_header *header)
{
    return (rp_unit *)((uintptr_t)header + RP_REGION_MAP_OFFSET);
}

static inline uint64_t zone_end(const zone_header *header)
{
    return zone_id(header) == RP_ZONE_WORLD ? rp_region_extent.keep_start : rp_region_extent.end;
}

static inline uint32_t zone_unit_limit(const zone_header *header)
{
    return (uint32_t)((zone_end(header) - (uintptr_t)header) >> RP_UNIT_SHIFT);
}

static inline uint8_t *unit_address(const zone_header *header, uint32_t index)
{
    return (uint8_t *)((uintptr_t)header + ((uintptr_t)index << RP_UNIT_SHIFT));
}

static inline uint32_t unit_index(const zone_header *header, const rp_unit *unit)
{
    return (uint32_t)(unit - zone_map(header));
}

/* The guard page behind the payload of a block with this first unit and extent. */
static inline uint8_t *unit_guard_after(const zone_header *header, uint32_t first,
                                        uint32_t unit_count, uint32_t slack_pages)
{
    return unit_address(header, first + unit_count) - (slack_pages + 1) * RP_PAGE_BYTES;
}

/* The page of a block's guard; `which` is one of the two guard flags. */
static inline uint8_t *unit_guard_page(const zone_header *header, const rp_unit *head,
                                       uint32_t which)
{
    uint32_t first = unit_index(header, head);
    return which == RP_BLOCK_GUARD_BEFORE
               ? unit_address(header, first)
               : unit_guard_after(header, first, head->unit_count, head->slack_pages);
}

/* 1 for the head of a block that wants a guard, else 0. */
static inline uint32_t unit_guarded(const rp_unit *head)
{
    return (head->flags & (RP_BLOCK_GUARD_BEFORE | RP_BLOCK_GUARD_AFTER | RP_BLOCK_GUARD_ALL)) ? 1
                                                                                               : 0;
}

/* Read by threads that do not hold the lock. */
static inline uint32_t zone_frontier(const zone_header *header)
{
    return __atomic_load_n(&header->frontier, __ATOMIC_ACQUIRE);
}

/* What the world zone's header says of its frontier becomes what the process knows. */
static inline void zone_frontier_publish(const zone_header *header)
{
    if (zone_id(header) == RP_ZONE_WORLD) {
        __atomic_store_n(&rp_region_extent.world_frontier, header->frontier, __ATOMIC_RELEASE);
    }
}

/* ---- region.c: all of these with the zone's lock held, or by the owning thread alone ---- */

/* Commits the units before `end_unit` and their map entries. RP_E_MEMORY: outside the zone. */
rp_status rp_region_commit_units(zone_header *header, uint32_t end_unit);

/* ---- runs.c ---- */

/* Takes `count` units: the best fit among the free runs, else from the frontier. *zeroed: they all
 * read as zero. */
rp_status rp_region_run_take(zone_header *header, uint32_t count, uint32_t *first, bool *zeroed);
/* Takes exactly the `count` units from `first` on, which is the start of a free run or the
 * frontier. False, with nothing changed, where they are not all free. */
bool rp_region_run_take_at(zone_header *header, uint32_t first, uint32_t count, bool *zeroed);
/* Gives units back and joins them with free neighbours. The run does not count as zeroed. */
void rp_region_run_give(zone_header *header, uint32_t first, uint32_t count);
/* The bin of runs of that length. */
uint32_t rp_region_run_bin(uint32_t count);

/* ---- guards.c ---- */

/* The pages that should carry the guards of a block that is not sealed: 0 … 2 of them. */
size_t rp_region_guards_wanted(const zone_header *header, const rp_unit *head, uint8_t *pages[2]);
rp_status rp_region_guard_set(uint8_t *page);
rp_status rp_region_guard_clear(uint8_t *page);
/* All pages of the block's units. When the first fails, only those that were guards before still
 * are; when the second fails, all are. */
rp_status rp_region_guard_set_all(const zone_header *header, const rp_unit *head);
rp_status rp_region_guard_clear_all(const zone_header *header, const rp_unit *head);

/* ---- diagnose.c ---- */

/* RP_E_TAKEN with a text that says who uses the range. */
rp_status rp_region_fail_taken(void *start, size_t size_bytes);

#endif
