/* A heap inside one span of memory: boundary tags and good fit.
 *
 *   | bins | tag, payload | tag, payload | tag, links ... | ... | end tag |
 *            live           live           free
 *
 * Everything lies in the span. Free blocks are chained in bins: one for each length below 8
 * granules, then four a doubling, so a block is found and taken in constant time; only when no bin
 * above is filled is the request's own bin looked through. Each tag carries a check of its fields
 * and its address, and so do the links of a free block, so a tag that was written over, a double
 * free and a free inside a block are found before they do harm. Equal calls give equal addresses.
 *
 * Layer: alloc, internal.  Threads: the caller holds a lock.  Tests: tests/alloc/test_backed.c,
 * tests/alloc/test_static.c
 */
#ifndef RP_ALLOC_TAGGED_H
#define RP_ALLOC_TAGGED_H

#include "alloc/allocator.h"

enum {
    TAGGED_GRANULE = 16,
    TAGGED_BINS_MOST = 124,
    TAGGED_LEAST_BYTES = 512 /* of a span */
};
/* Lengths and places are counted in granules in 32 bits. */
#define TAGGED_MOST_BYTES (UINT64_C(64) << 30)

/* In front of each block. */
typedef struct tagged_block {
    uint32_t granules; /* of the block and its tag; 0 in the end tag */
    uint32_t before;   /* of the block before; 0: it is the first */
    uint32_t state;    /* one of three odd words */
    uint32_t check;    /* of the fields above and the address */
} tagged_block;

typedef struct tagged_heap {
    const rp_allocator *owner; /* named when something is wrong */
    tagged_block *first, *end;
    uint32_t *bins; /* place of a free block, in granules from `first`, plus 1; 0: none */
    uint64_t mask[2];
    uint64_t live_count, live_bytes, peak_bytes;
    uint32_t round; /* enters every check, so that tags from before an init are none */
    uint32_t unused;
} tagged_heap;

/* Makes an empty heap in `size_bytes` (TAGGED_LEAST_BYTES … TAGGED_MOST_BYTES) from `memory` on,
 * which is aligned to 16. What was there is lost. Of *heap only `round` is looked at, whatever it
 * is. */
void rp_tagged_init(tagged_heap *heap, const rp_allocator *owner, void *memory, size_t size_bytes);
/* `align_bytes`: a power of two. Null, without a record, where no free block is large enough. */
void *rp_tagged_alloc(tagged_heap *heap, size_t size_bytes, size_t align_bytes);
/* Ends in rp_misuse where `block` is no live block's start. */
void rp_tagged_free(tagged_heap *heap, void *block);
/* In place; false where that cannot be. `block` as for rp_tagged_free. */
bool rp_tagged_resize(tagged_heap *heap, void *block, size_t size_bytes);
/* 0 where no live block starts. */
size_t rp_tagged_usable(const tagged_heap *heap, const void *block);
int rp_tagged_walk(const tagged_heap *heap,
                   int (*visit)(void *block, size_t size_bytes, void *context), void *context);
/* The first tag or links that were written over; null: all is well. Looks at every block. */
const void *rp_tagged_damage(const tagged_heap *heap);
/* Bytes that the largest request may have. Looks at every block. */
size_t rp_tagged_largest(const tagged_heap *heap);

#endif
