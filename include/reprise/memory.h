/* Explicit heaps inside the region.
 *
 * Every block and all bookkeeping of a heap lie in the region, so a copy of the region's pages is a
 * copy of the heap. A heap belongs to the world zone (restored by a seek) or to the keep zone.
 *
 * Layer: alloc.  Threads: any thread may call any of these.  Design: docs/internals/region.md
 * Tests: tests/alloc/
 */
#ifndef REPRISE_MEMORY_H
#define REPRISE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_zone { RP_ZONE_WORLD = 0, RP_ZONE_KEEP = 1 } rp_zone;

typedef struct rp_heap rp_heap;

typedef struct rp_heap_desc {
    const char *name; /* copied; shown in reports */
    size_t cap_bytes; /* hard cap on what the heap takes from the region for its blocks, in steps of
                         64 KiB; the unit that holds the heap itself is not counted; 0: none */
    rp_zone zone;
} rp_heap_desc;

typedef struct rp_heap_stats {
    uint64_t live_count, live_bytes, peak_bytes; /* usable sizes of live blocks */
    uint64_t taken_bytes;                        /* taken from the region for blocks */
} rp_heap_stats;

/* Makes a heap in the region of this process. Null when the region is full or not open, or when the
 * zone has 8190 heaps; the error record says why. Cost: one page run. */
rp_heap *rp_heap_create(const rp_heap_desc *desc);
/* Gives back every block of the heap and the heap itself. */
void rp_heap_destroy(rp_heap *heap);

/* `size_bytes` may be 0 (a distinct pointer is returned). Aligned to 16. Null when over the cap or
 * out of region. The content is undefined. */
void *rp_heap_alloc(rp_heap *heap, size_t size_bytes);
void *rp_heap_alloc_zeroed(rp_heap *heap, size_t count, size_t size_bytes);
/* `align_bytes`: a power of two up to 1 MiB. */
void *rp_heap_alloc_aligned(rp_heap *heap, size_t align_bytes, size_t size_bytes);
/* Moves a block if it must; on failure returns null and the old block stays. Making it smaller
 * never fails. The block stays in the heap that it came from; `heap` is used where `block` is null.
 * A block that moved is aligned to 16. */
void *rp_heap_resize(rp_heap *heap, void *block, size_t size_bytes);
/* One free for the blocks of every heap. Null is ignored. Aborts with a report on a pointer that is
 * no live block: the caller's error. */
void rp_heap_free(void *block);
/* Bytes that may be used of a live block; 0 for a pointer that is none of ours. */
size_t rp_heap_usable_bytes(const void *block);
void rp_heap_stats_get(const rp_heap *heap, rp_heap_stats *stats);

/* Calls `visit` for every live block; stops when it returns non-zero and returns that. The heap is
 * locked meanwhile: `visit` must not call it. The order is that of the heap's lists, equal for
 * equal histories. */
int rp_heap_walk(const rp_heap *heap, int (*visit)(void *block, size_t size_bytes, void *context),
                 void *context);

#ifdef __cplusplus
}
#endif
#endif
