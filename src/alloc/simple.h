/* What the small allocators share: the static heap's inner calls, and the allocators of memory that
 * the region's map does not know.
 *
 *   rp_free(p) ── no unit, or a unit marked RP_BLOCK_NESTED ──► rp_backed_find(p)
 *                                                                 ├─ the header's unit: static heap
 *                                                                 └─ ranges of callers' memory
 *
 * Layer: alloc, internal.  Tests: tests/alloc/
 */
#ifndef RP_ALLOC_SIMPLE_H
#define RP_ALLOC_SIMPLE_H

#include "alloc/allocator.h"

/* ---- static.c ---- */

/* A block of the zone's static heap, zeroed, aligned to 16; null with the record set where it is
 * full or the region is not open. Needs no registry, no other allocator and no system call. */
void *rp_static_alloc(rp_zone zone, size_t size_bytes);
void rp_static_free(rp_zone zone, void *block);

/* Words of a zone for the small allocators, beside the region's roots; null at first. */
typedef enum rp_static_word {
    STATIC_WORD_OUTSIDE, /* table of ranges */
    STATIC_WORD_PAGES,   /* the page allocator */
    STATIC_WORD_TEMP,    /* threads' temp memory, or what was chosen about it */
    STATIC_WORD_COUNT
} rp_static_word;
/* The place of a word; null where the region is not open. For atomic access. */
void **rp_static_word_of(rp_zone zone, rp_static_word which);

/* A lock beside each word, for what it leads to. The region is open. */
rp_os_lock *rp_static_lock_of(rp_zone zone, rp_static_word which);
/* Takes or drops the zone's locks of this header's files that are no allocator's, around a fork:
 * before all other locks of the zone, as nobody asks for one of them while holding those. */
void rp_simple_lock(rp_zone zone, bool take);

/* ---- backed.c ---- */

/* A heap in desc->memory, which may lie anywhere. In the region it may be anything but a small
 * block of a generic heap. For rp_heap_create. */
rp_allocator *rp_backed_create(const rp_heap_desc *desc);

/* ---- temp.c ---- */

/* Gives the temp memory of a thread that ends back; `place` was its slot. */
void rp_temp_thread_end(uint32_t place);

/* ---- outside.c: ranges of callers' memory ---- */

/* Claims a range, in which rp_backed_find finds nobody yet. RP_E_TAKEN: an allocator has a part of
 * it. RP_E_ARGUMENT: it lies in the region but in no large block. RP_E_MEMORY. */
rp_status rp_outside_claim(rp_zone zone, void *start, size_t size_bytes);
/* From here on the claimed range is the allocator's, which is registered in the same zone. */
void rp_outside_name(const rp_allocator *allocator, const void *start);
/* Ends a claim. Nothing where there is none at `start`. */
void rp_outside_release(rp_zone zone, const void *start);
/* The allocator of an address that is in no unit, or in one that bears RP_BLOCK_NESTED; null: none.
 * Without a lock; a search among the ranges of both zones. */
rp_allocator *rp_backed_find(const void *address);

#endif
