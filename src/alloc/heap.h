/* Inside a heap: slabs for small blocks, block runs of the region for large ones.
 *
 *   rp_heap ── partial[class] ──► slab ⇄ slab      units with room, one list a size class
 *           ── full ────────────► slab ⇄ slab      units without
 *           ── spare ───────────► slab ⇄ slab      empty, of no class, at most SPARE_SLABS
 *           ── large ───────────► block ⇄ block    one allocation each
 *
 * A slab is one unit of 64 KiB cut into blocks of one class. Which of them live is a bitmap: a free
 * writes one bit and never the block, so that a frame which frees touches few pages, and double
 * frees and frees inside a block are found on the spot. The bitmap stands at the slab's start, or
 * in the map entry where 32 bits suffice, so that blocks of 2 KiB and more fill their slab.
 *
 * All links are indices of units in the zone's map; 0 is none.
 *
 * Layer: alloc, internal.  Threads: a heap's lock guards all of it; lock order: table, heap, zone.
 */
#ifndef RP_ALLOC_HEAP_H
#define RP_ALLOC_HEAP_H

#include "alloc/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"

enum { CLASS_COUNT = 40, CLASS_LARGEST_BYTES = 32768, CLASS_NONE = CLASS_COUNT, SPARE_SLABS = 4 };

typedef struct size_class {
    uint32_t block_bytes, block_count;
    uint32_t first_offset; /* of the first block in the slab, behind the bitmap */
    uint32_t reciprocal;   /* of block_bytes, times 2^32, rounded up */
} size_class;

extern const size_class rp_heap_classes[CLASS_COUNT];

/* The class for `size_bytes`, at most CLASS_LARGEST_BYTES. */
static inline uint32_t class_of(size_t size_bytes)
{
    if (size_bytes <= 128) {
        return size_bytes ? (uint32_t)(size_bytes - 1) / 16 : 0;
    }
    unsigned log2 = rp_log2(size_bytes - 1); /* at least 7 */
    return 8 + (log2 - 7) * 4 + (uint32_t)((size_bytes - 1) >> (log2 - 2) & 3);
}

/* The class for a block aligned to `align_bytes`, a power of two; CLASS_NONE: none is. */
uint32_t rp_heap_class_aligned(size_t size_bytes, size_t align_bytes);

/* Both kinds of units begin with the links of the list that they are in. */
typedef struct unit_link {
    uint32_t next, previous;
} unit_link;

/* A slab's bookkeeping, in rp_unit.words. */
typedef struct slab_book {
    unit_link link;
    uint16_t used;       /* live blocks */
    uint16_t hint;       /* the word of the bitmap to look at first */
    uint32_t small_live; /* the bitmap where 32 bits suffice */
} slab_book;

/* A large block's. */
typedef struct large_book {
    unit_link link;
    uint32_t
        offset_units; /* from the block's start to the allocation, for alignments past 64 KiB */
    uint32_t unused;
} large_book;

_Static_assert(sizeof(slab_book) == sizeof((rp_unit *)0)->words, "fits the words of a unit");
_Static_assert(sizeof(large_book) == sizeof((rp_unit *)0)->words, "fits the words of a unit");

typedef struct rp_heap {
    rp_allocator base;
    uint32_t spare_count;
    uint64_t cap_bytes; /* UINT64_MAX: none */
    rp_alloc_stats stats;
    uint32_t spare, full, large;
    uint32_t partial[CLASS_COUNT];
} rp_heap;

static inline rp_heap *heap_of(rp_allocator *allocator)
{
    return (rp_heap *)allocator;
}

int rp_heap_walk(const rp_allocator *allocator,
                 int (*visit)(void *block, size_t size_bytes, void *context), void *context);

static inline slab_book *slab_of(rp_unit *unit)
{
    return (slab_book *)(void *)unit->words;
}

static inline large_book *large_of(rp_unit *unit)
{
    return (large_book *)(void *)unit->words;
}

static inline const size_class *slab_class(const rp_unit *unit)
{
    return &rp_heap_classes[unit->size_class];
}

/* ---- heap.c, with the heap's lock held ---- */

void rp_heap_list_push(rp_zone zone, uint32_t *list, rp_unit *unit);
void rp_heap_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit);
/* Takes a block from the region within the heap's cap; null with the record set. */
void *rp_heap_take(rp_heap *heap, size_t size_bytes, rp_block_kind kind);
/* Whether `size_bytes` more are within the cap, once spare slabs are given back; sets the record.
 */
bool rp_heap_may_take(rp_heap *heap, size_t size_bytes);
void rp_heap_give(rp_heap *heap, void *start, size_t size_bytes);
void rp_heap_count_live(rp_heap *heap, size_t size_bytes);
void rp_heap_count_dead(rp_heap *heap, size_t size_bytes);

/* ---- slab.c, with the heap's lock held ---- */

void *rp_heap_small_alloc(rp_heap *heap, uint32_t class_index);
/* `block` must have been found live. */
void rp_heap_small_free(rp_heap *heap, rp_unit *unit, const void *block);
void rp_heap_spare_release(rp_heap *heap);

typedef enum block_state { BLOCK_LIVE, BLOCK_DEAD, BLOCK_INSIDE } block_state;

/* What `address` is in its slab: the start of a live block, or of a dead one, or neither. */
block_state rp_heap_slab_look(rp_unit *unit, const void *address);
/* The bitmap of a slab: bit i is block i; the bits past the last block are set. */
const uint32_t *rp_heap_slab_live(rp_unit *unit);

/* ---- large.c, with the heap's lock held ---- */

void *rp_heap_large_alloc(rp_heap *heap, size_t size_bytes, size_t align_bytes);
void rp_heap_large_free(rp_heap *heap, rp_unit *head);
bool rp_heap_large_resize(rp_heap *heap, rp_unit *head, size_t size_bytes);
void *rp_heap_large_start(rp_unit *head);
size_t rp_heap_large_bytes(rp_unit *head);

#endif
