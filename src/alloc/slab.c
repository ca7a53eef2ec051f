/* Slabs: one unit each, cut into blocks of one class. */
#include "alloc/cache.h"

static rp_zone zone_of(const rp_cache *cache)
{
    return (rp_zone)cache->heap->base.zone;
}

/* ---- lists ---- */

void rp_list_push(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    slab_book *book = slab_of(unit);
    book->next = *list;
    book->previous = 0;
    if (*list) {
        slab_of(rp_region_unit_at(zone, *list))->previous = unit->head;
    }
    __atomic_store_n(list, unit->head, __ATOMIC_RELAXED);
}

void rp_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    const slab_book *book = slab_of(unit);
    if (book->next) {
        slab_of(rp_region_unit_at(zone, book->next))->previous = book->previous;
    }
    if (book->previous) {
        slab_of(rp_region_unit_at(zone, book->previous))->next = book->next;
    } else {
        RP_ASSERT(*list == unit->head);
        __atomic_store_n(list, book->next, __ATOMIC_RELAXED);
    }
}

/* ---- blocks of a slab ---- */

static const size_class *class_at(const rp_unit *unit)
{
    return &rp_size_classes[unit->size_class];
}

static bool all_out(rp_unit *unit)
{
    return slab_of(unit)->free == NO_BLOCK && slab_bump(unit) == class_at(unit)->end_grains;
}

static free_block *block_at(const void *slab, uint32_t grain)
{
    return (free_block *)((uintptr_t)slab + ((uintptr_t)grain << GRAIN_SHIFT));
}

static uint32_t grain_of(const free_block *block)
{
    return (uint32_t)((uintptr_t)block % RP_UNIT_BYTES) >> GRAIN_SHIFT;
}

static const void *slab_start(const free_block *block)
{
    return (const void *)((uintptr_t)block & ~(uintptr_t)(RP_UNIT_BYTES - 1));
}

/* The next fresh blocks as a chain by rising address. Returns how many. */
static uint32_t take_fresh(rp_unit *unit, uint32_t batch, free_block **head)
{
    const size_class *class = class_at(unit);
    uint32_t grains = class->block_bytes >> GRAIN_SHIFT, first = slab_bump(unit);
    uint32_t left = (class->end_grains - first) / grains, count = batch < left ? batch : left;
    free_block *block = block_at(rp_region_unit_start(unit), first);
    *head = block;
    for (uint32_t i = 1; i < count; i++) {
        free_block *next = (free_block *)((uint8_t *)block + class->block_bytes);
        block_link(block, next);
        block = next;
    }
    block_link(block, NULL);
    __atomic_store_n(&unit->extra, (uint16_t)(first + count * grains), __ATOMIC_RELAXED);
    return count;
}

/* The blocks that were put back last. Returns how many. */
static uint32_t take_freed(const rp_cache *cache, rp_unit *unit, uint32_t batch, free_block **head)
{
    slab_book *book = slab_of(unit);
    free_block *last = block_at(rp_region_unit_start(unit), book->free);
    *head = last;
    uint32_t count = 1;
    free_block *next = rp_block_next(cache, last);
    for (; next && count < batch; count++) {
        last = next;
        next = rp_block_next(cache, last);
    }
    block_link(last, NULL);
    book->free = next ? (uint16_t)grain_of(next) : NO_BLOCK;
    return count;
}

static uint32_t batch_next(cache_bin *bin, const size_class *class)
{
    uint32_t batch = bin->batch, most = (uint32_t) class->bin_limit / 2;
    bin->batch = batch * 2 < most ? batch * 2 : most;
    return batch;
}

void rp_slab_take(rp_cache *cache, rp_unit *unit)
{
    slab_book *book = slab_of(unit);
    uint32_t class_index = unit->size_class;
    const size_class *class = class_at(unit);
    cache_bin *bin = &cache->bins[class_index];
    uint32_t batch = batch_next(bin, class);
    uint32_t count = book->free != NO_BLOCK ? take_freed(cache, unit, batch, &bin->head)
                                            : take_fresh(unit, batch, &bin->head);
    uint64_t bytes = (uint64_t)count * class->block_bytes;
    book->used = (uint16_t)(book->used + count);
    bin->room -= (int32_t)count;
    cache->out_blocks += count;
    cache->out_bytes += bytes;
    if (all_out(unit)) {
        rp_list_remove(zone_of(cache), &cache->partial[class_index], unit);
        rp_list_push(zone_of(cache), &cache->full, unit);
    }
    rp_heap_count(cache->heap, (int64_t)bytes);
}

/* ---- empty slabs ---- */

static void give(rp_cache *cache, rp_unit *unit)
{
    rp_heap_give(cache->heap, rp_region_unit_start(unit), RP_UNIT_BYTES);
}

/* No thread would take a spare slab of the shared cache. */
static void retire(rp_cache *cache, rp_unit *unit)
{
    rp_list_remove(zone_of(cache), &cache->partial[unit->size_class], unit);
    __atomic_store_n(&unit->size_class, CLASS_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&unit->extra, 0, __ATOMIC_RELAXED);
    if (cache->spare_count < SPARE_SLABS && cache->thread != THREAD_NONE) {
        rp_list_push(zone_of(cache), &cache->spare, unit);
        cache->spare_count++;
    } else {
        give(cache, unit);
    }
}

void rp_cache_release(rp_cache *cache)
{
    while (cache->spare) {
        rp_unit *unit = rp_region_unit_at(zone_of(cache), cache->spare);
        rp_list_remove(zone_of(cache), &cache->spare, unit);
        give(cache, unit);
    }
    cache->spare_count = 0;
}

static void reopen(rp_cache *cache, rp_unit *unit)
{
    rp_list_remove(zone_of(cache), &cache->full, unit);
    rp_list_push(zone_of(cache), &cache->partial[unit->size_class], unit);
}

static void put(rp_cache *cache, rp_unit *unit, free_block *block)
{
    slab_book *book = slab_of(unit);
    if (__builtin_expect(all_out(unit), 0)) {
        reopen(cache, unit);
    }
    uint32_t first = book->free;
    block_link(block, first == NO_BLOCK ? NULL : block_at(slab_start(block), first));
    book->free = (uint16_t)grain_of(block);
    if (__builtin_expect(--book->used == 0, 0)) {
        retire(cache, unit);
    }
}

free_block *rp_slab_put(rp_cache *cache, free_block *block)
{
    uint64_t count = 0, bytes = 0;
    free_block *others = NULL;
    while (block) {
        free_block *next = rp_block_next(cache, block);
        rp_unit *unit = unit_of(block);
        if (slab_cache(unit) == cache) {
            count++;
            bytes += class_at(unit)->block_bytes;
            put(cache, unit, block);
        } else {
            block_link(block, others);
            others = block;
        }
        block = next;
    }
    cache->out_blocks -= count;
    cache->out_bytes -= bytes;
    if (bytes) {
        rp_heap_count(cache->heap, -(int64_t)bytes);
    }
    return others;
}

/* ---- finding one ---- */

static void book_open(rp_cache *cache, rp_unit *unit, uint32_t class_index)
{
    slab_book *book = slab_of(unit);
    __atomic_store_n(&book->cache, cache_code(cache), __ATOMIC_RELAXED);
    book->used = 0;
    book->free = NO_BLOCK;
    __atomic_store_n(&unit->extra, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&unit->size_class, (uint8_t)class_index, __ATOMIC_RELAXED);
    rp_list_push(zone_of(cache), &cache->partial[class_index], unit);
}

static rp_unit *slab_make(rp_cache *cache, uint32_t class_index)
{
    rp_unit *unit;
    if (!cache->spare && cache->parked_bytes >= RP_UNIT_BYTES) {
        rp_cache_sort_parked(cache);
    }
    if (cache->spare) {
        unit = rp_region_unit_at(zone_of(cache), cache->spare);
        rp_list_remove(zone_of(cache), &cache->spare, unit);
        cache->spare_count--;
    } else {
        void *start = rp_heap_take(cache->heap, RP_UNIT_BYTES, RP_BLOCK_SLAB);
        if (!start) {
            return NULL;
        }
        unit = rp_region_unit(start);
    }
    book_open(cache, unit, class_index);
    return unit;
}

/* With the heap's lock held. */
static void slab_move(rp_cache *from, rp_cache *to, uint32_t *list, uint32_t *to_list)
{
    rp_unit *unit = rp_region_unit_at(zone_of(from), *list);
    slab_book *book = slab_of(unit);
    uint64_t bytes = (uint64_t)book->used * class_at(unit)->block_bytes;
    rp_list_remove(zone_of(from), list, unit);
    from->out_blocks -= book->used;
    from->out_bytes -= bytes;
    to->out_blocks += book->used;
    to->out_bytes += bytes;
    rp_list_push(zone_of(to), to_list, unit);
    __atomic_store_n(&book->cache, cache_code(to), __ATOMIC_RELEASE);
}

void rp_slabs_move(rp_cache *from, rp_cache *to)
{
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        while (from->partial[i]) {
            slab_move(from, to, &from->partial[i], &to->partial[i]);
        }
    }
    while (from->full) {
        slab_move(from, to, &from->full, &to->full);
    }
}

/* A slab of a thread that ended. */
static void adopt(rp_cache *cache, uint32_t class_index)
{
    rp_heap *heap = cache->heap;
    rp_cache *shared = __atomic_load_n(&heap->shared, __ATOMIC_ACQUIRE);
    if (!shared || cache == shared ||
        !__atomic_load_n(&shared->partial[class_index], __ATOMIC_RELAXED)) {
        return;
    }
    rp_os_lock_take(&heap->base.lock);
    if (shared->partial[class_index]) {
        slab_move(shared, cache, &shared->partial[class_index], &cache->partial[class_index]);
    }
    rp_os_lock_drop(&heap->base.lock);
}

rp_unit *rp_slab_find(rp_cache *cache, uint32_t class_index)
{
    if (!cache->partial[class_index]) {
        adopt(cache, class_index);
    }
    uint32_t first = cache->partial[class_index];
    return first ? rp_region_unit_at(zone_of(cache), first) : slab_make(cache, class_index);
}
