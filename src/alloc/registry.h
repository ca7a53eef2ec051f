/* The table of a zone's allocators by id, as it lies in memory.
 *
 *   root RP_ROOT_HEAPS ──► registry ──► pages[id / PAGE_IDS] ──► rp_allocator * or the next free id
 *
 * Layer: alloc, internal; trace/image.c reads it in images of a world.
 */
#ifndef RP_ALLOC_REGISTRY_H
#define RP_ALLOC_REGISTRY_H

#include "alloc/allocator.h"

enum { PAGE_IDS = RP_UNIT_BYTES / sizeof(uintptr_t), PAGE_COUNT = 8 };

typedef struct registry {
    rp_os_lock lock;
    uint32_t used;       /* ids below were handed out at some time */
    uint32_t free_first; /* the first free id below `used`; 0: none */
    uint32_t unused;
    uintptr_t *pages[PAGE_COUNT]; /* an entry: the allocator, or the next free id times 2 plus 1 */
} registry;

_Static_assert(PAGE_IDS *PAGE_COUNT >= RP_ALLOCATOR_LIMIT, "every id has an entry");

#endif
