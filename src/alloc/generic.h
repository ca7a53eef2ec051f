/* Inside the generic allocator.
 *
 *   thread ──slot──► heap->table[slot - 1] ──► rp_cache, one for each heap and thread
 *                                               bins[class]     free blocks, last in, first out
 *                                               partial[class]  ⇄ slabs with blocks to give
 *                                               full            ⇄ slabs without
 *                                               remote          ← blocks that others sent back
 *   heap->shared ──► rp_cache of no thread: the slabs of threads that ended; under the heap's lock
 *
 * A slab is one unit of 64 KiB cut into blocks of one class. It belongs to one cache, whose thread
 * takes blocks from it and puts them back without a lock or an atomic operation. A bin holds blocks
 * of anybody's slabs: what a thread frees it will use itself. Only when a bin is over its limit are
 * the blocks sorted: its own go to their slabs, the others in batches to their owners' remote
 * lists. A free block always bears a mark made of its own address and the next block's, in whatever
 * list it is; a live one does not. So double frees and writes after a free are found when they are
 * met, and a walk knows the live blocks without any list.
 *
 * All of it lies in the heap's zone and refers to threads by slot only, so a restore of the zone's
 * bytes restores it: the thread that has a slot finds its caches as they were.
 *
 * Layer: alloc, internal.  Threads: a cache is its thread's; what is shared says so. Lock order:
 * registry, heap, meta pool, zone.  Design: docs/internals/alloc.md
 */
#ifndef RP_ALLOC_GENERIC_H
#define RP_ALLOC_GENERIC_H

#include "alloc/allocator.h"
#include "base/assert.h"
#include "base/bits.h"

enum {
    CLASS_NONE = 0, /* so that the zero in every other unit's entry is no class */
    CLASS_COUNT = 41,
    CLASS_LARGEST_BYTES = 32768,
    TABLE_INLINE = 8,
    SPARE_SLABS = 2, /* empty slabs that a cache keeps */
    GRAIN_SHIFT = 4, /* offsets in a slab are kept in steps of 16 bytes */
    NO_BLOCK = 0xffff
};

/* ---- size classes (size_class.c) ---- */

typedef struct size_class {
    uint32_t block_bytes, block_count; /* of a slab */
    int32_t bin_limit;                 /* blocks in a bin before they are set aside */
    uint32_t end_grains;               /* rp_unit.extra once every block was handed out */
} size_class;

extern const size_class rp_size_classes[CLASS_COUNT] __attribute__((visibility("hidden")));
/* 2^32 / block_bytes, rounded up; 0 for class 0. */
extern const uint32_t rp_class_reciprocals[CLASS_COUNT] __attribute__((visibility("hidden")));
/* The class by (size_bytes + 15) / 16. */
extern const uint8_t rp_class_table[CLASS_LARGEST_BYTES / 16 + 1]
    __attribute__((visibility("hidden")));

/* The class for `size_bytes`, at most CLASS_LARGEST_BYTES: steps of 16 up to 128, then four a
 * doubling. */
static inline uint32_t class_of(size_t size_bytes)
{
    return rp_class_table[(size_bytes + 15) / 16];
}

/* The class for a block aligned to `align_bytes`, a power of two; CLASS_NONE: none is. */
uint32_t rp_class_aligned(size_t size_bytes, size_t align_bytes);

/* Whether a block of the class starts `offset` bytes into a slab; never for class 0. For offset and
 * size below 2^16, offset * reciprocal mod 2^32 is below the reciprocal just when the size divides
 * the offset (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019). */
static inline bool is_start(uint32_t class_index, uint32_t offset)
{
    uint32_t reciprocal = rp_class_reciprocals[class_index];
    return offset * reciprocal < reciprocal;
}

/* ---- free blocks ---- */

typedef struct free_block {
    struct free_block *next;
    uint64_t mark;
} free_block;

/* On its way from one thread to another a block lies in the sender's processor cache, and a chain
 * would be fetched one miss after the other. So blocks with room for a third word name one that
 * comes AHEAD blocks later. A hint: nothing but a prefetch looks at it. */
enum { AHEAD = 8 };
typedef struct sent_block {
    free_block block;
    const void *ahead;
} sent_block;

/* The first block of a chain that is set aside whole, in classes with room for four words. */
typedef struct parked_block {
    free_block block;
    struct parked_block *below; /* of the chains of its class */
    uint64_t count;             /* of the chain, twice, under the mark of the two pointers */
} parked_block;

/* A constant that no program has a reason to store. */
#define FREE_MARK UINT64_C(0x9d3c5f1e7ab86425)

static inline uint64_t mark_of(const free_block *block, const free_block *next)
{
    uint64_t own = (uint64_t)(uintptr_t)block ^ FREE_MARK; /* first: it is used more than once */
    return own ^ (uint64_t)(uintptr_t)next;
}

static inline bool is_marked(const free_block *block)
{
    return block->mark == mark_of(block, block->next);
}

/* Addresses reach to bit 47, so the mark's upper 16 bits are a constant: a live block passes but
 * for one in 65536, and only these bytes of it are looked at. */
static inline bool may_be_marked(const free_block *block)
{
    uint16_t upper;
    __builtin_memcpy(&upper, (const uint8_t *)block + 14, sizeof upper); /* little-endian */
    return upper == (uint16_t)(FREE_MARK >> 48);
}

static inline void block_link(free_block *block, free_block *next)
{
    block->next = next;
    block->mark = mark_of(block, next);
}

/* ---- slabs and large blocks: what the words of a unit hold ---- */

/* In every list the units are linked by index; 0 is none. */
typedef struct slab_book {
    uint32_t cache; /* cache_code of the owner; read by other threads */
    uint32_t next, previous;
    uint16_t used; /* blocks that are in bins or with the program */
    uint16_t free; /* first block of the slab's own free list, in grains; NO_BLOCK: none */
} slab_book;

typedef struct large_book {
    uint32_t offset_units;   /* from the unit to the block, for alignments past 64 KiB */
    uint32_t next, previous; /* where a slab has them: the lists are the same */
    uint32_t unused;
} large_book;

_Static_assert(sizeof(slab_book) == sizeof((rp_unit *)0)->words, "fits the words of a unit");
_Static_assert(offsetof(slab_book, next) == offsetof(large_book, next) &&
                   offsetof(slab_book, previous) == offsetof(large_book, previous),
               "one kind of list");
_Static_assert(sizeof(large_book) == sizeof((rp_unit *)0)->words, "fits the words of a unit");

static inline slab_book *slab_of(rp_unit *unit)
{
    return (slab_book *)(void *)unit->words;
}

static inline large_book *large_of(rp_unit *unit)
{
    return (large_book *)(void *)unit->words;
}

/* The unit of a block that is ours. */
static inline rp_unit *unit_of(const void *block)
{
    rp_unit *unit = rp_region_world_unit(block);
    return unit ? unit : rp_region_unit(block);
}

/* rp_unit.extra of a slab: grains that were handed out at some time; above them nothing ever was.
 */
static inline uint32_t slab_bump(const rp_unit *unit)
{
    return __atomic_load_n(&unit->extra, __ATOMIC_RELAXED);
}

/* ---- caches ---- */

typedef struct cache_bin {
    free_block *head;
    int32_t room;   /* bin_limit minus the blocks in it; may fall below 0 for a moment */
    uint32_t batch; /* blocks of the next refill: doubled by each, up to the limit */
} cache_bin;

/* Empty ones, by class. */
extern const cache_bin rp_fresh_bins[CLASS_COUNT] __attribute__((visibility("hidden")));

typedef struct rp_heap rp_heap;

typedef struct rp_cache {
    uint32_t thread;     /* its slot; THREAD_NONE: of no thread */
    uint32_t generation; /* odd while it lives, one more each time it is made and unmade */
    uint32_t quick_end;  /* sizes from it on go the slow way; 0 where the heap has debug modes */
    uint32_t refills;
    rp_heap *heap;
    uint64_t out_blocks, out_bytes; /* of its slabs: in bins, with the program, on the way */
    uint32_t full, spare, spare_count, unused;
    struct rp_cache *next; /* of the heap */
    /* The others' writes stay off the owner's lines. */
    free_block *remote; /* sent by other threads; REMOTE_CLOSED: the thread ended */
    uint64_t remote_blocks, remote_bytes;
    uint64_t apart[5];
    cache_bin bins[CLASS_COUNT];
    uint32_t partial[CLASS_COUNT];
    uint32_t previous_count[CLASS_COUNT];
    free_block *previous[CLASS_COUNT]; /* a bin that was full; the next one full takes its place */
    parked_block *parked[CLASS_COUNT]; /* and it comes here, while that is little of the whole */
    uint64_t parked_blocks, parked_bytes;
} rp_cache;

/* No thread has it, not even one that has no slot yet. */
#define THREAD_NONE UINT32_MAX
/* A thread of the process that this one was forked from. */
#define THREAD_LOST (UINT32_MAX - 1)
#define REMOTE_CLOSED ((free_block *)(uintptr_t)1)

/* An address in the region in 32 bits: meta blocks are aligned to 64, the region is 2^38 bytes. */
static inline uint32_t cache_code(const rp_cache *cache)
{
    return (uint32_t)(((uintptr_t)cache - RP_REGION_BASE) >> 6);
}

static inline rp_cache *cache_at(uint32_t code)
{
    return (rp_cache *)(uintptr_t)(RP_REGION_BASE + ((uint64_t)code << 6));
}

static inline rp_cache *slab_cache(const rp_unit *unit)
{
    return cache_at(__atomic_load_n(&slab_of((rp_unit *)unit)->cache, __ATOMIC_ACQUIRE));
}

struct rp_heap {
    rp_allocator base;
    /* table[slot - 1]; null: no cache yet. Tables only grow; older ones stay until the heap goes.
     */
    uint32_t table_count, diverted;
    rp_cache **table;
    rp_cache *caches; /* all of them, `shared` too */
    rp_cache *shared; /* null until it is needed */
    uint64_t cap_bytes;
    uint64_t taken_bytes; /* atomic */
    uint64_t out_bytes;   /* atomic: of slabs and large blocks, at refill and flush */
    uint64_t peak_bytes;  /* atomic */
    uint64_t large_count, large_bytes;
    uint32_t large; /* list */
    uint32_t unused;
    rp_cache *table_inline[TABLE_INLINE];
    void *table_old; /* tables that were outgrown */
};

static inline rp_heap *heap_of(const rp_allocator *allocator)
{
    return (rp_heap *)(uintptr_t)allocator;
}

/* ---- meta.c: heaps and caches themselves ---- */

typedef enum rp_meta { META_HEAP, META_CACHE, META_COUNT } rp_meta;

/* Aligned to 64; zero but for its first eight bytes, which are as they were given. Null with the
 * record set. */
void *rp_meta_take(rp_zone zone, rp_meta what);
void rp_meta_give(rp_zone zone, rp_meta what, void *item);
/* Takes or drops the lock, around a fork; false: there is none yet. */
bool rp_meta_lock(rp_zone zone, bool take);

/* ---- heap.c ---- */

/* Takes a run from the region within the cap; null with the record set. Any thread. */
void *rp_heap_take(rp_heap *heap, size_t size_bytes, rp_block_kind kind);
/* Counts bytes that are about to be taken; false with the record set, and nothing counted, where
 * they are over the cap. */
bool rp_heap_charge(rp_heap *heap, size_t size_bytes);
void rp_heap_uncharge(rp_heap *heap, size_t size_bytes);
void rp_heap_give(rp_heap *heap, void *start, size_t size_bytes);
/* Sends every allocation the slow way, or no longer. */
void rp_heap_divert(rp_heap *heap, bool divert);
/* Counts what left slabs or came back to them. Any thread. */
void rp_heap_count(rp_heap *heap, int64_t bytes);

/* ---- cache.c ---- */

/* The cache of the calling thread in the heap; made where there is none. Null: out of memory, or
 * the thread has no slot. */
rp_cache *rp_cache_mine(rp_heap *heap);
/* The heap's cache of no thread; with the heap's lock held. Null: out of memory. */
rp_cache *rp_cache_shared(rp_heap *heap);
/* A thread ends: its slabs go to the shared cache. */
void rp_cache_close(rp_cache *cache);
/* In the child of a fork: the thread is not there, and may have been at work in the cache. Nobody
 * uses the cache any more; its live blocks stay valid. With the heap's lock held. */
void rp_cache_abandon(rp_heap *heap, uint32_t slot);
/* The heap goes: all slabs of the cache go back to the region. */
void rp_cache_destroy(rp_cache *cache);

/* The slow path of an allocation: fills the bin and takes a block from it. Null with the record
 * set. */
void *rp_cache_refill(rp_cache *cache, uint32_t class_index);
/* A bin is over its limit: its older half goes back to the slabs, whoever owns them. */
void rp_cache_flush(rp_cache *cache, uint32_t class_index);
/* Takes in what other threads sent. */
void rp_cache_drain(rp_cache *cache);
/* Puts the chains that are parked back into their slabs; some of these may become empty. */
void rp_cache_sort_parked(rp_cache *cache);
/* Gives empty slabs back to the region. */
void rp_cache_release(rp_cache *cache);
/* Puts all that is in bins back first. */
void rp_cache_scavenge(rp_cache *cache);

/* ---- slab.c: by the owner of the cache, or with the heap's lock for the shared one ---- */

void rp_list_push(rp_zone zone, uint32_t *list, rp_unit *unit);
void rp_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit);
/* A slab of the class with a block to give: a partial one, one of a thread that ended, or a new
 * one. Null with the record set. */
rp_unit *rp_slab_find(rp_cache *cache, uint32_t class_index);
/* Takes a batch from the slab into the empty bin of its class. */
void rp_slab_take(rp_cache *cache, rp_unit *unit);
/* Puts the cache's own blocks of a chain back into their slabs; returns the chain of the others. */
free_block *rp_slab_put(rp_cache *cache, free_block *chain);
/* Moves all slabs of a cache to another of the same heap. */
void rp_slabs_move(rp_cache *from, rp_cache *to);

/* ---- remote.c ---- */

/* Gives a chain of blocks back to the owners of their slabs. Not with a heap's lock held. */
void rp_remote_return(free_block *chain);
/* One chain of both; in the order that costs nothing but the first one's length. */
free_block *rp_chain_join(free_block *chain, free_block *rest);

/* ---- large.c: with the heap's lock held ---- */

void *rp_large_alloc(rp_heap *heap, size_t size_bytes, size_t align_bytes);
void rp_large_free(rp_heap *heap, rp_unit *head);
bool rp_large_resize(rp_heap *heap, rp_unit *head, size_t size_bytes);
void *rp_large_start(const rp_unit *head);
size_t rp_large_bytes(const rp_unit *head);

/* ---- walk.c ---- */

int rp_generic_walk(const rp_allocator *allocator,
                    int (*visit)(void *block, size_t size_bytes, void *context), void *context);

#endif
