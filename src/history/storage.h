/* Growing memory for the bookkeeping of history: address space is reserved once, so nothing ever
 * moves, and is committed as far as it is used. No heap is involved: what history keeps must lie
 * neither in the world that it restores nor in a heap that it serves.
 *
 *   rp_grow    a plain array that only grows
 *   rp_sparse  an array of 32-bit words by page number, zero where never written
 *   rp_ring    elements numbered without end, dropped at either side, stored at number mod capacity
 *
 * Layer: history (internal).  Tests: tests/history/test_storage.c
 */
#ifndef RP_HISTORY_STORAGE_H
#define RP_HISTORY_STORAGE_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rp_grow {
    uint8_t *data;
    size_t committed_bytes, reserved_bytes;
    size_t held_bytes; /* asked for since the last trim: no more than that is in memory */
} rp_grow;

/* RP_E_MEMORY or RP_E_LIMIT where the address space is refused. */
rp_status rp_grow_init(rp_grow *grow, size_t reserved_bytes);
void rp_grow_finish(rp_grow *grow);
/* Makes the first `size_bytes` usable; fresh bytes are zero. RP_E_MEMORY beyond the reservation. */
rp_status rp_grow_need(rp_grow *grow, size_t size_bytes);
/* Gives the memory beyond the first `keep_bytes` back; it stays usable and reads as zero. */
void rp_grow_trim(rp_grow *grow, size_t keep_bytes);

enum { RP_SPARSE_CHUNK_SHIFT = 16, RP_SPARSE_CHUNK_MAX = 0x0c000000 >> RP_SPARSE_CHUNK_SHIFT };

typedef struct rp_sparse {
    uint32_t *words;
    uint8_t committed[RP_SPARSE_CHUNK_MAX]; /* 1 where the chunk's words may be read and written */
} rp_sparse;

rp_status rp_sparse_init(rp_sparse *sparse);
void rp_sparse_finish(rp_sparse *sparse);
/* Makes the words of pages [page, page + count) writable. */
rp_status rp_sparse_need(rp_sparse *sparse, uint32_t page, uint32_t count);

static inline uint32_t rp_sparse_get(const rp_sparse *sparse, uint32_t page)
{
    return sparse->committed[page >> RP_SPARSE_CHUNK_SHIFT] ? sparse->words[page] : 0;
}

/* The first page at or after `page` whose word is not zero; UINT32_MAX where there is none. */
uint32_t rp_sparse_next(const rp_sparse *sparse, uint32_t page);

typedef struct rp_ring {
    rp_grow memory;
    size_t element_bytes;
    uint64_t head, tail; /* kept: [head, tail) */
    uint64_t capacity;   /* a power of two */
} rp_ring;

/* At most `limit` elements, a power of two. */
rp_status rp_ring_init(rp_ring *ring, size_t element_bytes, uint64_t limit);
void rp_ring_finish(rp_ring *ring);
/* Makes room for `count` more, without changing what is kept. */
rp_status rp_ring_need(rp_ring *ring, uint64_t count);

static inline void *rp_ring_at(const rp_ring *ring, uint64_t number)
{
    return ring->memory.data + (number & (ring->capacity - 1)) * ring->element_bytes;
}

#endif
