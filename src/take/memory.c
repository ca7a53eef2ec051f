/* See memory.h. */
#include "take/memory.h"

#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

#define STEP_BYTES RP_KIB(64)

rp_status rp_take_array_init(rp_take_array *array, size_t limit_bytes)
{
    size_t rounded = rp_align_up(rp_max_size(limit_bytes, 1), STEP_BYTES);
    *array = (rp_take_array){0};
    void *data = rp_os_vm_reserve(rounded);
    if (!data) {
        return rp_error_last()->status;
    }
    *array = (rp_take_array){.data = data, .reserved_bytes = rounded};
    return RP_OK;
}

void rp_take_array_finish(rp_take_array *array)
{
    if (array->data) {
        rp_os_vm_release(array->data, array->reserved_bytes);
    }
    *array = (rp_take_array){0};
}

rp_status rp_take_array_need(rp_take_array *array, size_t size_bytes)
{
    if (size_bytes <= array->committed_bytes - array->used_bytes) {
        return RP_OK;
    }
    if (size_bytes > array->reserved_bytes - array->used_bytes) {
        return rp_fail(RP_E_LIMIT, "take: %zu bytes more than the %zu that it may use here",
                       size_bytes - (array->reserved_bytes - array->used_bytes),
                       array->reserved_bytes);
    }
    /* By at least half of what there is, so that a growing array is committed in few calls. */
    size_t wanted = rp_max_size(array->used_bytes + size_bytes,
                                array->committed_bytes + array->committed_bytes / 2);
    size_t end = rp_min_size(rp_align_up(wanted, STEP_BYTES), array->reserved_bytes);
    rp_status status =
        rp_os_vm_commit(array->data + array->committed_bytes, end - array->committed_bytes);
    if (!status) {
        array->committed_bytes = end;
    }
    return status;
}

rp_status rp_take_array_add(rp_take_array *array, const void *data, size_t size_bytes)
{
    rp_status status = rp_take_array_need(array, size_bytes);
    if (!status && size_bytes) {
        memcpy(array->data + array->used_bytes, data, size_bytes);
        array->used_bytes += size_bytes;
    }
    return status;
}

void rp_take_array_clear(rp_take_array *array, size_t keep_bytes)
{
    size_t keep = rp_align_up(keep_bytes, STEP_BYTES);
    if (array->committed_bytes > keep) {
        /* Discarded pages stay committed; where that fails they merely stay in memory. */
        (void)rp_os_vm_discard(array->data + keep, array->committed_bytes - keep);
    }
    array->used_bytes = 0;
}

/* ---- map --------------------------------------------------------------------------------------
 */

enum { FIRST_CAPACITY = 512 };

static size_t place_of(uint32_t key, size_t capacity)
{
    return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (capacity - 1);
}

static uint64_t *slot_of(uint64_t *slots, size_t capacity, uint32_t key)
{
    size_t at = place_of(key, capacity);
    while (slots[at] && slots[at] >> 32 != (uint64_t)key + 1) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

void rp_take_map_finish(rp_take_map *map)
{
    if (map->slots) {
        rp_os_vm_release(map->slots, map->capacity * sizeof *map->slots);
    }
    *map = (rp_take_map){0};
}

bool rp_take_map_get(const rp_take_map *map, uint32_t key, uint32_t *value)
{
    if (!map->count) {
        return false;
    }
    uint64_t slot = *slot_of(map->slots, map->capacity, key);
    *value = (uint32_t)slot;
    return slot != 0;
}

static rp_status grow(rp_take_map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY;
    size_t size_bytes = capacity * sizeof *map->slots;
    uint64_t *slots = rp_os_vm_reserve(size_bytes);
    if (!slots) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(slots, size_bytes);
    if (status) {
        rp_os_vm_release(slots, size_bytes);
        return status;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i]) {
            *slot_of(slots, capacity, (uint32_t)(map->slots[i] >> 32) - 1) = map->slots[i];
        }
    }
    size_t count = map->count;
    rp_take_map_finish(map);
    *map = (rp_take_map){.slots = slots, .capacity = capacity, .count = count};
    return RP_OK;
}

rp_status rp_take_map_set(rp_take_map *map, uint32_t key, uint32_t value)
{
    rp_status status = map->count >= map->capacity / 2 ? grow(map) : RP_OK;
    if (status) {
        return status;
    }
    uint64_t *slot = slot_of(map->slots, map->capacity, key);
    map->count += *slot == 0;
    *slot = ((uint64_t)key + 1) << 32 | value;
    return RP_OK;
}

void rp_take_map_clear(rp_take_map *map)
{
    if (map->count) {
        memset(map->slots, 0, map->capacity * sizeof *map->slots);
    }
    map->count = 0;
}
