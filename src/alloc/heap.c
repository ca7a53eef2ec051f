/* Heaps: made, capped, counted, destroyed; and the functions of the kind "generic". */
#include "alloc/cache.h"
#include "alloc/simple.h"
#include "base/error.h"

#include <string.h>

/* ---- the region ---- */

bool rp_heap_charge(rp_heap *heap, size_t size_bytes)
{
    uint64_t before = __atomic_fetch_add(&heap->taken_bytes, size_bytes, __ATOMIC_RELAXED);
    if (before <= heap->cap_bytes && size_bytes <= heap->cap_bytes - before) {
        return true;
    }
    rp_heap_uncharge(heap, size_bytes);
    rp_fail(RP_E_MEMORY,
            "heap %s: full: %llu bytes taken, %zu more are over its cap of %llu: raise "
            "the cap or free something",
            heap->base.name, (unsigned long long)before, size_bytes,
            (unsigned long long)heap->cap_bytes);
    return false;
}

void rp_heap_uncharge(rp_heap *heap, size_t size_bytes)
{
    __atomic_fetch_sub(&heap->taken_bytes, size_bytes, __ATOMIC_RELAXED);
}

void *rp_heap_take(rp_heap *heap, size_t size_bytes, rp_block_kind kind)
{
    if (!rp_heap_charge(heap, size_bytes)) {
        return NULL;
    }
    void *start =
        rp_region_block_alloc((rp_zone)heap->base.zone, size_bytes, kind, heap->base.id, 0);
    if (!start) {
        rp_heap_uncharge(heap, size_bytes);
    }
    return start;
}

void rp_heap_give(rp_heap *heap, void *start, size_t size_bytes)
{
    rp_heap_uncharge(heap, size_bytes);
    rp_region_block_free(start);
}

void rp_heap_count(rp_heap *heap, int64_t bytes)
{
    uint64_t now = __atomic_add_fetch(&heap->out_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
    uint64_t peak = __atomic_load_n(&heap->peak_bytes, __ATOMIC_RELAXED);
    while (bytes > 0 && now > peak &&
           !__atomic_compare_exchange_n(&heap->peak_bytes, &peak, now, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
}

/* ---- made and destroyed ---- */

static rp_heap *heap_make(const rp_heap_desc *desc)
{
    rp_heap *heap = rp_meta_take(desc->zone, META_HEAP);
    if (!heap) {
        return NULL;
    }
    heap->cap_bytes = desc->cap_bytes ? desc->cap_bytes : UINT64_MAX;
    heap->table = heap->table_inline;
    heap->table_count = TABLE_INLINE;
    if (rp_allocator_register(&heap->base, KIND_GENERIC, desc->zone, desc->name) != RP_OK) {
        rp_meta_give(desc->zone, META_HEAP, heap);
        return NULL;
    }
    return heap;
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
    rp_heap *heap = heap_make(desc);
    return heap ? &heap->base : NULL;
}

static void generic_destroy(rp_allocator *allocator)
{
    rp_heap *heap = heap_of(allocator);
    rp_zone zone = (rp_zone)allocator->zone;
    rp_allocator_unregister(allocator);
    while (heap->caches) {
        rp_cache *cache = heap->caches;
        heap->caches = cache->next;
        rp_cache_destroy(cache);
    }
    while (heap->large) {
        rp_unit *head = rp_region_unit_at(zone, heap->large);
        heap->large = large_of(head)->next;
        rp_region_block_free(rp_region_unit_start(head));
    }
    while (heap->table_old) {
        void **table = heap->table_old;
        heap->table_old = table[0];
        rp_region_block_free(table);
    }
    rp_meta_give(zone, META_HEAP, heap);
}

void rp_heap_divert(rp_heap *heap, bool divert)
{
    rp_os_lock_take(&heap->base.lock);
    heap->diverted = divert;
    for (rp_cache *cache = heap->caches; cache; cache = cache->next) {
        __atomic_store_n(&cache->quick_end, divert ? 0 : CLASS_LARGEST_BYTES + 1, __ATOMIC_RELAXED);
    }
    rp_os_lock_drop(&heap->base.lock);
}

/* ---- allocating ---- */

static void *small_alloc(rp_heap *heap, uint32_t class_index)
{
    rp_cache *cache = rp_cache_mine(heap);
    if (cache) {
        void *block = rp_bin_pop(cache, class_index);
        return block ? block : rp_cache_refill(cache, class_index);
    }
    rp_os_lock_take(&heap->base.lock);
    cache = rp_cache_shared(heap);
    void *block = cache ? rp_bin_pop(cache, class_index) : NULL;
    block = block || !cache ? block : rp_cache_refill(cache, class_index);
    rp_os_lock_drop(&heap->base.lock);
    return block;
}

static void *large_alloc(rp_heap *heap, size_t size_bytes, size_t align_bytes)
{
    rp_os_lock_take(&heap->base.lock);
    void *block = rp_large_alloc(heap, size_bytes, align_bytes);
    rp_os_lock_drop(&heap->base.lock);
    return block;
}

static void *zero(void *block, size_t size_bytes)
{
    const rp_unit *unit = block ? rp_region_unit(block) : NULL;
    bool reads_zero = unit && unit->kind == RP_BLOCK_LARGE && (unit->flags & RP_BLOCK_ZEROED);
    return !block || reads_zero ? block : memset(block, 0, size_bytes);
}

static void *class_alloc(rp_heap *heap, uint32_t class_index, size_t size_bytes, size_t align_bytes)
{
    return class_index != CLASS_NONE ? small_alloc(heap, class_index)
                                     : large_alloc(heap, size_bytes, align_bytes);
}

/* What the thread keeps for later may be what is missing now. */
static bool scavenge(rp_heap *heap)
{
    rp_cache *cache = rp_cache_mine(heap);
    uint64_t before = __atomic_load_n(&heap->taken_bytes, __ATOMIC_RELAXED);
    if (cache) {
        rp_cache_scavenge(cache);
    }
    return __atomic_load_n(&heap->taken_bytes, __ATOMIC_RELAXED) < before;
}

static void *generic_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes,
                           bool zeroed)
{
    rp_heap *heap = heap_of(allocator);
    uint32_t class_index = align_bytes > 16 || size_bytes > CLASS_LARGEST_BYTES
                               ? rp_class_aligned(size_bytes, align_bytes)
                               : class_of(size_bytes);
    void *block = class_alloc(heap, class_index, size_bytes, align_bytes);
    if (!block && scavenge(heap)) {
        block = class_alloc(heap, class_index, size_bytes, align_bytes);
    }
    return zeroed ? zero(block, size_bytes) : block;
}

/* ---- a block ---- */

/* What is wrong with `address` as a block of the unit; -1: nothing. */
static int fault_of(rp_unit *head, const void *address)
{
    if (head->kind == RP_BLOCK_LARGE) {
        return rp_large_start(head) == address ? -1 : RP_MISUSE_INSIDE;
    }
    if (head->kind != RP_BLOCK_SLAB) {
        return RP_MISUSE_NO_BLOCK;
    }
    uint32_t offset = (uint32_t)((uintptr_t)address % RP_UNIT_BYTES);
    if (head->size_class == CLASS_NONE) {
        return RP_MISUSE_DOUBLE_FREE; /* an empty slab */
    }
    if (!is_start(head->size_class, offset)) {
        return RP_MISUSE_INSIDE;
    }
    if (offset >> GRAIN_SHIFT >= slab_bump(head)) {
        return RP_MISUSE_NO_BLOCK;
    }
    return is_marked(address) ? RP_MISUSE_DOUBLE_FREE : -1;
}

static rp_unit *head_or_die(const rp_allocator *allocator, const void *block, const char *what)
{
    rp_unit *head = rp_region_unit_head(block);
    int fault = fault_of(head, block);
    if (fault >= 0) {
        rp_misuse((rp_misuse_kind)fault, allocator, block, what, NULL);
    }
    return head;
}

static void generic_free(rp_allocator *allocator, void *block)
{
    rp_heap *heap = heap_of(allocator);
    rp_unit *head = head_or_die(allocator, block, "free");
    if (head->kind == RP_BLOCK_LARGE) {
        rp_os_lock_take(&allocator->lock);
        rp_large_free(heap, head);
        rp_os_lock_drop(&allocator->lock);
        return;
    }
    rp_cache *cache = rp_cache_mine(heap);
    if (cache) {
        rp_bin_push(cache, head->size_class, block);
    } else {
        block_link(block, NULL);
        rp_remote_return(block);
    }
}

static size_t usable_bytes(const rp_unit *head)
{
    return head->kind == RP_BLOCK_SLAB ? rp_size_classes[head->size_class].block_bytes
                                       : rp_large_bytes(head);
}

static size_t generic_usable(const rp_allocator *allocator, const void *block)
{
    (void)allocator;
    rp_unit *head = rp_region_unit_head(block);
    return fault_of(head, block) < 0 ? usable_bytes(head) : 0;
}

/* Large blocks are grown and cut to fit. A small one stays while at least half of it is used. */
static bool generic_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    rp_unit *head = head_or_die(allocator, block, "resize");
    if (head->kind == RP_BLOCK_SLAB) {
        return rp_small_stays(usable_bytes(head), size_bytes);
    }
    if (size_bytes <= CLASS_LARGEST_BYTES) {
        return false;
    }
    rp_os_lock_take(&allocator->lock);
    bool fits = rp_large_resize(heap_of(allocator), head, size_bytes);
    rp_os_lock_drop(&allocator->lock);
    return fits;
}

/* ---- figures ---- */

/* Other threads may be changing the figures, which is no race that matters: then the sums are no
 * more than near, and below 0 counts as 0. */
__attribute__((no_sanitize("thread"))) static void count_live(const rp_heap *heap,
                                                              rp_alloc_stats *stats)
{
    int64_t blocks = (int64_t)heap->large_count, bytes = (int64_t)heap->large_bytes;
    for (const rp_cache *cache = heap->caches; cache; cache = cache->next) {
        blocks += (int64_t)(cache->out_blocks - cache->remote_blocks - cache->parked_blocks);
        bytes += (int64_t)(cache->out_bytes - cache->remote_bytes - cache->parked_bytes);
        for (uint32_t i = 1; i < CLASS_COUNT; i++) {
            int64_t count = rp_size_classes[i].bin_limit - cache->bins[i].room +
                            (int64_t)cache->previous_count[i];
            blocks -= count;
            bytes -= count * (int64_t)rp_size_classes[i].block_bytes;
        }
    }
    stats->live_count = blocks > 0 ? (uint64_t)blocks : 0;
    stats->live_bytes = bytes > 0 ? (uint64_t)bytes : 0;
}

static void generic_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    rp_heap *heap = heap_of(allocator);
    rp_os_lock_take(&heap->base.lock);
    count_live(heap, stats);
    stats->taken_bytes = __atomic_load_n(&heap->taken_bytes, __ATOMIC_RELAXED);
    uint64_t peak = __atomic_load_n(&heap->peak_bytes, __ATOMIC_RELAXED);
    stats->peak_bytes = rp_max_size(peak, stats->live_bytes);
    stats->cap_bytes = heap->cap_bytes == UINT64_MAX ? 0 : heap->cap_bytes;
    rp_os_lock_drop(&heap->base.lock);
}

const rp_allocator_ops rp_generic_ops = {
    .name = "generic",
    .alloc = generic_alloc,
    .free = generic_free,
    .resize = generic_resize,
    .usable = generic_usable,
    .walk = rp_generic_walk,
    .stats = generic_stats,
    .destroy = generic_destroy,
};
