/* Visiting every live block of a heap. */
#include "alloc/heap.h"

typedef struct walk_visitor {
    int (*visit)(void *block, size_t size_bytes, void *context);
    void *context;
} walk_visitor;

static int slab_walk(rp_unit *unit, const walk_visitor *visitor)
{
    const size_class *class = slab_class(unit);
    const uint32_t *live = rp_heap_slab_live(unit);
    uint8_t *first = (uint8_t *)rp_region_unit_start(unit) + class->first_offset;
    int result = 0;
    for (uint32_t i = 0; i < class->block_count && !result; i++) {
        if (live[i / 32] >> (i % 32) & 1) {
            result = visitor->visit(first + (size_t)i * class->block_bytes, class->block_bytes,
                                    visitor->context);
        }
    }
    return result;
}

static int list_walk(const rp_heap *heap, uint32_t list, const walk_visitor *visitor)
{
    int result = 0;
    while (list && !result) {
        rp_unit *unit = rp_region_unit_at(heap->base.zone, list);
        list = slab_of(unit)->link.next;
        result = unit->kind == RP_BLOCK_SLAB
                     ? slab_walk(unit, visitor)
                     : visitor->visit(rp_heap_large_start(unit), rp_heap_large_bytes(unit),
                                      visitor->context);
    }
    return result;
}

int rp_heap_walk(const rp_allocator *allocator,
                 int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    rp_heap *heap = heap_of((rp_allocator *)allocator);
    const walk_visitor visitor = {visit, context};
    rp_os_lock *lock = &heap->base.lock;
    rp_os_lock_take(lock);
    int result = list_walk(heap, heap->full, &visitor);
    for (uint32_t i = 0; i < CLASS_COUNT && !result; i++) {
        result = list_walk(heap, heap->partial[i], &visitor);
    }
    result = result ? result : list_walk(heap, heap->large, &visitor);
    rp_os_lock_drop(lock);
    return result;
}
