/* Growing memory for the bookkeeping of history; see storage.h. */
#include "history/storage.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

/* Small enough to waste little, large enough that growing is rare. */
#define GROW_STEP_BYTES RP_KIB(256)

rp_status rp_grow_init(rp_grow *grow, size_t reserved_bytes)
{
    size_t rounded = rp_align_up(reserved_bytes, GROW_STEP_BYTES);
    *grow = (rp_grow){0};
    void *data = rp_os_vm_reserve(rounded);
    if (!data) {
        return rp_error_last()->status;
    }
    *grow = (rp_grow){.data = data, .reserved_bytes = rounded};
    return RP_OK;
}

void rp_grow_finish(rp_grow *grow)
{
    if (grow->data) {
        rp_os_vm_release(grow->data, grow->reserved_bytes);
    }
    *grow = (rp_grow){0};
}

rp_status rp_grow_need(rp_grow *grow, size_t size_bytes)
{
    if (size_bytes <= grow->committed_bytes) {
        grow->held_bytes = rp_max_size(grow->held_bytes, size_bytes);
        return RP_OK;
    }
    if (size_bytes > grow->reserved_bytes) {
        return rp_fail(RP_E_MEMORY,
                       "history: its bookkeeping is full: %zu bytes are reserved: "
                       "use a smaller history budget",
                       grow->reserved_bytes);
    }
    /* By at least half of what there is, so that a growing array is committed in few calls. */
    size_t wanted = rp_max_size(size_bytes, grow->committed_bytes + grow->committed_bytes / 2);
    size_t end = rp_min_size(rp_align_up(wanted, GROW_STEP_BYTES), grow->reserved_bytes);
    rp_status status =
        rp_os_vm_commit(grow->data + grow->committed_bytes, end - grow->committed_bytes);
    if (status == RP_OK) {
        grow->committed_bytes = end;
        grow->held_bytes = rp_max_size(grow->held_bytes, size_bytes);
    }
    return status;
}

void rp_grow_trim(rp_grow *grow, size_t keep_bytes)
{
    size_t keep = rp_align_up(keep_bytes, RP_PAGE_BYTES);
    if (keep < grow->held_bytes) { /* cannot fail for pages of our own; if so they just stay */
        size_t end = rp_align_up(grow->held_bytes, RP_PAGE_BYTES);
        (void)rp_os_vm_discard(grow->data + keep, end - keep);
        grow->held_bytes = keep;
    }
}

/* ---- sparse ---------------------------------------------------------------------------------- */

#define SPARSE_PAGES ((size_t)RP_SPARSE_CHUNK_MAX << RP_SPARSE_CHUNK_SHIFT)
#define SPARSE_CHUNK_WORDS ((size_t)1 << RP_SPARSE_CHUNK_SHIFT)

rp_status rp_sparse_init(rp_sparse *sparse)
{
    memset(sparse->committed, 0, sizeof sparse->committed);
    sparse->words = rp_os_vm_reserve(SPARSE_PAGES * sizeof(uint32_t));
    return sparse->words ? RP_OK : rp_error_last()->status;
}

void rp_sparse_finish(rp_sparse *sparse)
{
    if (sparse->words) {
        rp_os_vm_release(sparse->words, SPARSE_PAGES * sizeof(uint32_t));
    }
    sparse->words = NULL;
}

rp_status rp_sparse_need(rp_sparse *sparse, uint32_t page, uint32_t count)
{
    if (count == 0) {
        return RP_OK;
    }
    size_t last = (page + (size_t)count - 1) >> RP_SPARSE_CHUNK_SHIFT;
    RP_ASSERT(last < RP_SPARSE_CHUNK_MAX);
    for (size_t chunk = page >> RP_SPARSE_CHUNK_SHIFT; chunk <= last; chunk++) {
        if (sparse->committed[chunk]) {
            continue;
        }
        rp_status status = rp_os_vm_commit(sparse->words + chunk * SPARSE_CHUNK_WORDS,
                                           SPARSE_CHUNK_WORDS * sizeof(uint32_t));
        if (status != RP_OK) {
            return status;
        }
        sparse->committed[chunk] = 1;
    }
    return RP_OK;
}

uint32_t rp_sparse_next(const rp_sparse *sparse, uint32_t page)
{
    for (size_t at = page; at < SPARSE_PAGES;) {
        size_t chunk_end = (at | (SPARSE_CHUNK_WORDS - 1)) + 1;
        if (sparse->committed[at >> RP_SPARSE_CHUNK_SHIFT]) {
            for (; at < chunk_end; at++) {
                if (sparse->words[at]) {
                    return (uint32_t)at;
                }
            }
        }
        at = chunk_end;
    }
    return UINT32_MAX;
}

/* ---- ring ------------------------------------------------------------------------------------ */

enum { RING_FIRST_CAPACITY = 1024 };

rp_status rp_ring_init(rp_ring *ring, size_t element_bytes, uint64_t limit)
{
    RP_ASSERT(rp_is_power_of_two(limit));
    *ring = (rp_ring){.element_bytes = element_bytes};
    return rp_grow_init(&ring->memory, element_bytes * limit);
}

void rp_ring_finish(rp_ring *ring)
{
    rp_grow_finish(&ring->memory);
    ring->head = ring->tail = ring->capacity = 0;
}

/* Doubling sends number n from n mod c to n mod 2c: those of odd multiples of c move up by c. What
 * is kept spans at most two multiples. */
static void ring_spread(rp_ring *ring, uint64_t old_capacity)
{
    for (uint64_t from = ring->head; from < ring->tail;) {
        uint64_t end = rp_align_down(from, old_capacity) + old_capacity;
        end = end < ring->tail ? end : ring->tail;
        if (from & old_capacity) {
            uint8_t *old = ring->memory.data + (from & (old_capacity - 1)) * ring->element_bytes;
            memcpy(old + old_capacity * ring->element_bytes, old,
                   (end - from) * ring->element_bytes);
        }
        from = end;
    }
}

rp_status rp_ring_need(rp_ring *ring, uint64_t count)
{
    uint64_t wanted = ring->tail - ring->head + count;
    while (ring->capacity < wanted) {
        uint64_t doubled = ring->capacity ? ring->capacity * 2 : RING_FIRST_CAPACITY;
        rp_status status = rp_grow_need(&ring->memory, doubled * ring->element_bytes);
        if (status != RP_OK) {
            return status;
        }
        if (ring->capacity) {
            ring_spread(ring, ring->capacity);
        }
        ring->capacity = doubled;
    }
    return RP_OK;
}
