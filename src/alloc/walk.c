/* Visiting every live block of a heap: in slabs, those that were handed out and bear no mark. */
#include "alloc/generic.h"

typedef struct walk_visitor {
    int (*visit)(void *block, size_t size_bytes, void *context);
    void *context;
} walk_visitor;

static int slab_walk(rp_unit *unit, const walk_visitor *visitor)
{
    size_t bytes = rp_size_classes[unit->size_class].block_bytes;
    uint8_t *start = rp_region_unit_start(unit);
    size_t end = (size_t)slab_bump(unit) << GRAIN_SHIFT;
    int result = 0;
    for (size_t offset = 0; offset < end && !result; offset += bytes) {
        if (!is_marked((free_block *)(start + offset))) {
            result = visitor->visit(start + offset, bytes, visitor->context);
        }
    }
    return result;
}

static int list_walk(rp_zone zone, uint32_t list, const walk_visitor *visitor)
{
    int result = 0;
    while (list && !result) {
        rp_unit *unit = rp_region_unit_at(zone, list);
        list = slab_of(unit)->next;
        result = unit->kind == RP_BLOCK_SLAB
                     ? slab_walk(unit, visitor)
                     : visitor->visit(rp_large_start(unit), rp_large_bytes(unit), visitor->context);
    }
    return result;
}

static int cache_walk(rp_zone zone, const rp_cache *cache, const walk_visitor *visitor)
{
    int result = list_walk(zone, cache->full, visitor);
    for (uint32_t i = 1; i < CLASS_COUNT && !result; i++) {
        result = list_walk(zone, cache->partial[i], visitor);
    }
    return result;
}

int rp_generic_walk(const rp_allocator *allocator,
                    int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    rp_heap *heap = heap_of(allocator);
    rp_zone zone = (rp_zone)allocator->zone;
    const walk_visitor visitor = {visit, context};
    rp_os_lock_take(&heap->base.lock);
    int result = 0;
    for (const rp_cache *cache = heap->caches; cache && !result; cache = cache->next) {
        result = cache_walk(zone, cache, &visitor);
    }
    result = result ? result : list_walk(zone, heap->large, &visitor);
    rp_os_lock_drop(&heap->base.lock);
    return result;
}
