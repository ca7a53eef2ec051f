/* From any address to the block that it lies in, for reports. */
#include "alloc/generic.h"

static void find_in_slab(rp_unit *unit, const void *address, rp_alloc_found *found)
{
    size_t block_bytes = rp_size_classes[unit->size_class].block_bytes;
    size_t number = (uintptr_t)address % RP_UNIT_BYTES / block_bytes;
    found->start = (const uint8_t *)rp_region_unit_start(unit) + number * block_bytes;
    found->size_bytes = block_bytes;
    found->live = number * block_bytes >> GRAIN_SHIFT < slab_bump(unit) &&
                  !is_marked((const free_block *)(const void *)found->start);
}

bool rp_alloc_find(const void *address, rp_alloc_found *found)
{
    int zone = rp_region_contains(address);
    rp_unit *head = zone ? rp_region_unit_head(address) : NULL;
    *found = (rp_alloc_found){0};
    if (!head || !head->owner) {
        return false;
    }
    found->allocator = rp_allocator_by_id(zone == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP, head->owner);
    if (found->allocator && head->kind == RP_BLOCK_SLAB && head->size_class < CLASS_COUNT) {
        find_in_slab(head, address, found);
    } else if (found->allocator && head->kind == RP_BLOCK_LARGE) {
        found->start = rp_large_start(head);
        found->size_bytes = rp_large_bytes(head);
        found->live = true;
    }
    return found->allocator != NULL;
}
