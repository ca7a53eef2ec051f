/* Memory of the take's own, from the system and from no heap: what is read or written here must be
 * neither in the world nor in an allocator that the world uses.
 *
 *   rp_take_array   bytes that grow in place: address space is reserved once, committed as it is
 * used rp_take_map     from 32-bit page numbers to 32-bit indices; only grows, but for
 * rp_take_map_clear
 *
 * Layer: take (internal).  Threads: one.  Tests: tests/take/test_take.c
 */
#ifndef RP_TAKE_MEMORY_H
#define RP_TAKE_MEMORY_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rp_take_array {
    uint8_t *data;
    size_t used_bytes, committed_bytes, reserved_bytes;
} rp_take_array;

/* At most `limit_bytes`. RP_E_MEMORY or RP_E_LIMIT where the address space is refused. */
rp_status rp_take_array_init(rp_take_array *array, size_t limit_bytes);
void rp_take_array_finish(rp_take_array *array); /* all zero is nothing */
/* Makes room for `size_bytes` more; they are at data + used_bytes, not yet used. RP_E_LIMIT beyond
 * the limit, RP_E_MEMORY. */
rp_status rp_take_array_need(rp_take_array *array, size_t size_bytes);
/* Appends a copy. */
rp_status rp_take_array_add(rp_take_array *array, const void *data, size_t size_bytes);
/* Gives memory beyond `keep_bytes` back and is empty. */
void rp_take_array_clear(rp_take_array *array, size_t keep_bytes);

typedef struct rp_take_map {
    uint64_t *slots; /* key + 1 in the upper half, value in the lower; 0: free */
    size_t capacity, count;
} rp_take_map;

void rp_take_map_finish(rp_take_map *map); /* all zero is an empty map */
bool rp_take_map_get(const rp_take_map *map, uint32_t key, uint32_t *value);
/* `key` below UINT32_MAX. RP_E_MEMORY: the map is as it was. */
rp_status rp_take_map_set(rp_take_map *map, uint32_t key, uint32_t value);
void rp_take_map_clear(rp_take_map *map);

#endif
