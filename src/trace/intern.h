/* Interning: keys of bytes become small ids, each with a payload of the table's size.
 *
 *     head | buckets[] ──► item ──► item          chains by hash
 *          | chunks[]  ──► |item|item|item|…      64 KiB each, items never move and never leave
 *
 * An id says where the item lies (chunk and granule of 16 bytes), so that nothing is looked up to
 * find it. A key that is known is found without a lock; a new one is added under it. A full table
 * is no error to its users, who go on with id 0; how often that was is counted.
 *
 * Layer: trace, internal.  Threads: any.  Tests: tests/trace/test_sites.c, test_stacks.c
 */
#ifndef RP_TRACE_INTERN_H
#define RP_TRACE_INTERN_H

#include "os/os.h"

#include <reprise/memory.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RP_INTERN_KEY_MOST_BYTES = 512 };

typedef struct rp_intern_shape {
    uint32_t bucket_count; /* a power of two */
    uint32_t chunk_limit;  /* at most so many chunks of 64 KiB */
    uint32_t payload_bytes;
    uint32_t colour; /* of the cache lines that the table's beginning lies in: 0 … 31 */
} rp_intern_shape;

typedef struct rp_intern {
    rp_os_lock lock;
    uint32_t zone;
    uint32_t used;   /* granules up to here are items, or the unused end of a chunk */
    uint32_t misses; /* keys that found no room */
    uint32_t item_count;
    uint32_t bucket_count, chunk_limit, payload_bytes;
    uint32_t first;   /* granule of a chunk's first item */
    uint8_t **chunks; /* of chunk_limit, behind the buckets */
    uint32_t buckets[];
} rp_intern;

/* What an id leads to: chunk id / RP_INTERN_CHUNK_GRANULES, and there granule by granule. The key
 * follows, rounded up to granules, then the payload. */
typedef struct rp_intern_item {
    uint32_t next; /* in the chain */
    uint32_t hash;
    uint32_t key_bytes;
    uint32_t granules; /* of the whole item; 0: the rest of the chunk is unused */
} rp_intern_item;

enum {
    RP_INTERN_GRANULE_BYTES = 16,
    RP_INTERN_CHUNK_GRANULES = 65536 / RP_INTERN_GRANULE_BYTES, /* of a unit */
};

_Static_assert(sizeof(rp_intern_item) == RP_INTERN_GRANULE_BYTES, "items are whole granules");

/* Null with the record set where the zone is full. What begins a block of the region begins a page,
 * and a cache has room for some eight such lines; tables that are used together have different
 * colours, so that they do not push each other out. */
rp_intern *rp_intern_create(rp_zone zone, const rp_intern_shape *shape);
void rp_intern_destroy(rp_intern *table);
/* The id of the key, which is added where it is new, its payload zero; 0: no room, or longer than
 * RP_INTERN_KEY_MOST_BYTES. Some 10 ns for a known key, and the time to compare it. */
uint32_t rp_intern_id(rp_intern *table, const void *key, size_t key_bytes);
/* Null for an id that is none. */
const void *rp_intern_key(const rp_intern *table, uint32_t id, size_t *key_bytes);
void *rp_intern_payload(const rp_intern *table, uint32_t id);
/* The id after `id` in the order of adding; 0: no more. Begins at 0. */
uint32_t rp_intern_next(const rp_intern *table, uint32_t id);
/* Bytes that the table takes from the region. */
size_t rp_intern_bytes(const rp_intern *table);

#endif
