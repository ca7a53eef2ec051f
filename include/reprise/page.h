/* Whole pages of the region, and the static heap from which the first allocators come.
 *
 *     void *pages = rp_pages_alloc(RP_ZONE_WORLD, 1 << 20, RP_PAGES_GUARD_AFTER | RP_PAGES_ZEROED);
 *     rp_free(pages);
 *
 * Take pages for what is large and lives long, for memory between guards, and as the memory of
 * other allocators. They come in units of 64 KiB: for anything smaller another allocator is better.
 * The page allocator of a zone is an allocator like the others: rp_alloc, rp_free, rp_resize,
 * rp_walk and rp_stats_get take it.
 *
 * Layer: alloc.  Threads: any; calls on one zone take turns.  Tests: tests/alloc/test_page.c,
 * tests/alloc/test_static.c
 */
#ifndef REPRISE_PAGE_H
#define REPRISE_PAGE_H

#include <reprise/memory.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The page allocator of a zone, made at the first call; null with the record set where the region
 * is not open. It cannot be destroyed. */
rp_allocator *rp_page_allocator(rp_zone zone);

typedef enum rp_pages_flags {
    RP_PAGES_GUARD_BEFORE = 1 << 0, /* any access to the page before faults */
    RP_PAGES_GUARD_AFTER = 1 << 1,  /* any access to the page after faults */
    RP_PAGES_ZEROED = 1 << 2,       /* all bytes are 0; cheap where the region has fresh memory */
} rp_pages_flags;

/* `size_bytes` rounded up to whole pages of 4 KiB; they fill whole units of 64 KiB together with
 * their guards. Without RP_PAGES_GUARD_AFTER all bytes up to the last unit's end may be used
 * (rp_usable_bytes). Null when the zone is full, or the system refuses a guard. Cost: a search of
 * the zone's free runs, and a system call for each guard. Free with rp_free. */
void *rp_pages_alloc(rp_zone zone, size_t size_bytes, unsigned flags);
/* Grows or shrinks in place; false where the next units are not free, and nothing changed. New
 * bytes are undefined. */
bool rp_pages_resize(void *pages, size_t size_bytes);
/* Gives the memory of the zone's free runs of 1 MiB or more back to the system; the addresses stay.
 * Cost: a system call for each run that was used since the last purge. */
void rp_pages_purge(rp_zone zone);

typedef struct rp_pages_stats {
    uint64_t run_count, run_bytes;    /* live runs of this allocator, by their usable sizes */
    uint64_t other_bytes;             /* units of the zone that other allocators have */
    uint64_t free_count, free_bytes;  /* free runs of the zone */
    uint64_t free_largest_bytes;      /* the longest of them */
    uint64_t committed_bytes, guards; /* of the zone */
} rp_pages_stats;

/* Looks at every run of the zone; while nobody allocates in it. */
void rp_pages_stats_get(rp_zone zone, rp_pages_stats *stats);

/* The static heap of a zone: 60 KiB in the region's own header. For the few small things that must
 * be there before any other allocator; 16 bytes a block are bookkeeping. Null with the record set
 * where the region is not open. It cannot be destroyed. */
rp_allocator *rp_static_heap(rp_zone zone);

#ifdef __cplusplus
}
#endif
#endif
