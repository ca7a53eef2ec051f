/* Heaps in memory of the caller's own: rp_heap_create with `memory`.
 *
 *     static char room[1 << 20];
 *     rp_allocator *heap = rp_heap_create(&(rp_heap_desc){
 *         .name = "script", .zone = RP_ZONE_KEEP, .memory = room, .memory_bytes = sizeof room});
 *
 * The heap, its bookkeeping and its blocks lie inside the memory and nowhere else, so a copy of its
 * bytes is a copy of the heap: put back at the same address, in this process or in another one, it
 * is the heap of that moment. The memory is the hard cap. Each block costs 16 bytes more than its
 * size rounded up to 16. Allocating and freeing take constant time, but near exhaustion one list of
 * blocks of like size is searched.
 *
 * Bookkeeping that was written over is found when a neighbour is freed or allocated, named, and the
 * program ends: nothing is handed out from a damaged heap.
 *
 * Zone: with RP_ZONE_WORLD the memory must be part of the state (memory of the region, or a range
 * that was declared), since a restore brings back the table that points to it. Else RP_ZONE_KEEP.
 * The memory may be a block of the region, but no block of 32 KiB or less of a generic heap.
 *
 * Layer: alloc.  Threads: any; calls of one heap take turns.  Tests: tests/alloc/test_backed.c
 */
#ifndef REPRISE_BACKED_H
#define REPRISE_BACKED_H

#include <reprise/memory.h>
#include <reprise/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frees every block at once. Pointers from before are dead, and named when they are freed. The cost
 * does not depend on the number of blocks. RP_E_ARGUMENT: no heap in the caller's memory. */
rp_status rp_backed_reset(rp_allocator *heap);
/* Takes up a heap whose bytes were put back at `memory` by the caller, where no heap is known now:
 * the first one was destroyed, or this is another process. Each tag is checked first.
 * RP_E_FORMAT: there is no intact heap of that size and address. Null with the record set. */
rp_allocator *rp_backed_attach(void *memory, size_t memory_bytes, rp_zone zone);
/* Looks at every tag. RP_E_FORMAT names the first that was written over. */
rp_status rp_backed_check(const rp_allocator *heap);
/* Bytes of the largest request that would succeed; looks at every block. */
size_t rp_backed_largest_bytes(const rp_allocator *heap);

#ifdef __cplusplus
}
#endif
#endif
