/* The heaps' public calls: finding the owner of a block, caps, lists, figures. */
#include "alloc/heap.h"
#include "alloc/simple.h"
#include "base/error.h"

#include <string.h>

static void check(const rp_heap *heap)
{
    rp_allocator_check(&heap->base);
}

rp_allocator *rp_heap_create(const rp_heap_desc *desc)
{
    if (desc->memory) {
        return rp_backed_create(desc);
    }
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "heap: cannot be made: the region is not open: open a deck first");
        return NULL;
    }
    rp_heap *heap = rp_region_block_alloc(desc->zone, sizeof *heap, RP_BLOCK_PAGES, 0, 0);
    if (!heap) {
        return NULL;
    }
    *heap = (rp_heap){.cap_bytes = desc->cap_bytes ? desc->cap_bytes : UINT64_MAX};
    if (rp_allocator_register(&heap->base, KIND_GENERIC, desc->zone, desc->name) != RP_OK) {
        rp_region_block_free(heap);
        return NULL;
    }
    return &heap->base;
}

static void list_free(rp_zone zone, uint32_t list)
{
    while (list) {
        rp_unit *unit = rp_region_unit_at(zone, list);
        list = slab_of(unit)->link.next;
        rp_region_block_free(rp_region_unit_start(unit));
    }
}

static void generic_destroy(rp_allocator *allocator)
{
    rp_heap *heap = heap_of(allocator);
    rp_zone zone = heap->base.zone;
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        list_free(zone, heap->partial[i]);
    }
    list_free(zone, heap->full);
    list_free(zone, heap->spare);
    list_free(zone, heap->large);
    rp_allocator_unregister(allocator);
    rp_region_block_free(heap);
}

/* ---- lists and the region ---- */

void rp_heap_list_push(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    unit_link *link = &slab_of(unit)->link;
    *link = (unit_link){.next = *list};
    if (*list) {
        slab_of(rp_region_unit_at(zone, *list))->link.previous = unit->head;
    }
    *list = unit->head;
}

void rp_heap_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    const unit_link *link = &slab_of(unit)->link;
    if (link->next) {
        slab_of(rp_region_unit_at(zone, link->next))->link.previous = link->previous;
    }
    if (link->previous) {
        slab_of(rp_region_unit_at(zone, link->previous))->link.next = link->next;
    } else {
        RP_ASSERT(*list == unit->head);
        *list = link->next;
    }
}

static bool within_cap(const rp_heap *heap, size_t size_bytes)
{
    return size_bytes <= heap->cap_bytes - heap->stats.taken_bytes;
}

bool rp_heap_may_take(rp_heap *heap, size_t size_bytes)
{
    if (!within_cap(heap, size_bytes)) {
        rp_heap_spare_release(heap);
    }
    if (within_cap(heap, size_bytes)) {
        return true;
    }
    rp_fail(RP_E_MEMORY,
            "heap %s: full: %llu bytes taken, %zu more are over its cap of %llu: raise "
            "the cap or free something",
            heap->base.name, (unsigned long long)heap->stats.taken_bytes, size_bytes,
            (unsigned long long)heap->cap_bytes);
    return false;
}

void *rp_heap_take(rp_heap *heap, size_t size_bytes, rp_block_kind kind)
{
    if (!rp_heap_may_take(heap, size_bytes)) {
        return NULL;
    }
    void *start = rp_region_block_alloc(heap->base.zone, size_bytes, kind, heap->base.id, 0);
    heap->stats.taken_bytes += start ? size_bytes : 0;
    return start;
}

void rp_heap_give(rp_heap *heap, void *start, size_t size_bytes)
{
    heap->stats.taken_bytes -= size_bytes;
    rp_region_block_free(start);
}

/* ---- figures ---- */

void rp_heap_count_live(rp_heap *heap, size_t size_bytes)
{
    rp_alloc_stats *stats = &heap->stats;
    stats->live_count++;
    stats->live_bytes += size_bytes;
    if (stats->live_bytes > stats->peak_bytes) {
        stats->peak_bytes = stats->live_bytes;
    }
}

void rp_heap_count_dead(rp_heap *heap, size_t size_bytes)
{
    heap->stats.live_count--;
    heap->stats.live_bytes -= size_bytes;
}

static void generic_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    rp_heap *heap = heap_of((rp_allocator *)allocator);
    rp_os_lock_take(&heap->base.lock);
    *stats = heap->stats;
    stats->cap_bytes = heap->cap_bytes == UINT64_MAX ? 0 : heap->cap_bytes;
    rp_os_lock_drop(&heap->base.lock);
}

/* ---- making blocks ---- */

static void *alloc(rp_heap *heap, uint32_t class_index, size_t size_bytes, size_t align_bytes)
{
    check(heap);
    rp_os_lock_take(&heap->base.lock);
    void *block = class_index != CLASS_NONE ? rp_heap_small_alloc(heap, class_index)
                                            : rp_heap_large_alloc(heap, size_bytes, align_bytes);
    rp_os_lock_drop(&heap->base.lock);
    return block;
}

static uint32_t class_or_none(size_t size_bytes)
{
    return size_bytes <= CLASS_LARGEST_BYTES ? class_of(size_bytes) : CLASS_NONE;
}

static void *generic_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes,
                           bool zeroed)
{
    uint32_t class_index = align_bytes > 16 ? rp_heap_class_aligned(size_bytes, align_bytes)
                                            : class_or_none(size_bytes);
    void *block = alloc(heap_of(allocator), class_index, size_bytes, align_bytes);
    return block && zeroed ? memset(block, 0, size_bytes) : block;
}

/* ---- a block ---- */

static block_state look(rp_unit *head, const void *address)
{
    if (head->kind == RP_BLOCK_SLAB) {
        return rp_heap_slab_look(head, address);
    }
    return rp_heap_large_start(head) == address ? BLOCK_LIVE : BLOCK_INSIDE;
}

static size_t usable_bytes(rp_unit *head)
{
    return head->kind == RP_BLOCK_SLAB ? slab_class(head)->block_bytes : rp_heap_large_bytes(head);
}

static rp_unit *lock_live(rp_heap *heap, const void *block, const char *what)
{
    rp_unit *head = rp_region_unit_head(block);
    rp_os_lock_take(&heap->base.lock);
    block_state state = look(head, block);
    if (state != BLOCK_LIVE) {
        rp_misuse(state == BLOCK_DEAD ? RP_MISUSE_DOUBLE_FREE : RP_MISUSE_INSIDE, &heap->base,
                  block, what, NULL);
    }
    return head;
}

static void generic_free(rp_allocator *allocator, void *block)
{
    rp_heap *heap = heap_of(allocator);
    rp_unit *head = lock_live(heap, block, "free");
    if (head->kind == RP_BLOCK_SLAB) {
        rp_heap_small_free(heap, head, block);
    } else {
        rp_heap_large_free(heap, head);
    }
    rp_os_lock_drop(&heap->base.lock);
}

static size_t generic_usable(const rp_allocator *allocator, const void *block)
{
    (void)allocator;
    rp_unit *head = rp_region_unit_head(block);
    return look(head, block) == BLOCK_LIVE ? usable_bytes(head) : 0;
}

static bool generic_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    rp_heap *heap = heap_of(allocator);
    rp_unit *head = lock_live(heap, block, "resize");
    bool stays;
    if (head->kind == RP_BLOCK_SLAB) {
        uint32_t now = head->size_class, wanted = class_or_none(size_bytes);
        stays =
            wanted == now || (wanted < now && size_bytes >= rp_heap_classes[now].block_bytes / 2);
    } else {
        stays = size_bytes > CLASS_LARGEST_BYTES && rp_heap_large_resize(heap, head, size_bytes);
    }
    rp_os_lock_drop(&heap->base.lock);
    return stays;
}

const rp_allocator_ops rp_generic_ops = {
    .name = "generic",
    .alloc = generic_alloc,
    .free = generic_free,
    .resize = generic_resize,
    .usable = generic_usable,
    .walk = rp_heap_walk,
    .stats = generic_stats,
    .destroy = generic_destroy,
};
