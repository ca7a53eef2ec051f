/* Caches: made and unmade, and the slow halves of taking and giving. */
#include "alloc/cache.h"

#include <errno.h>
#include <string.h>

/* ---- bins ---- */

void rp_cache_damaged(const rp_cache *cache, const free_block *block)
{
    rp_misuse(RP_MISUSE_WRITTEN_AFTER_FREE, &cache->heap->base, block, "allocation", NULL);
}

static void bin_open(cache_bin *bin, uint32_t class_index)
{
    *bin = rp_fresh_bins[class_index];
}

/* ---- chains that are set aside ---- */

/* What may be parked: small blocks, of which few pin a slab, up to a part of what the thread has
 * and something for one that has nothing. It may be much, as all of it is sorted before the region
 * is asked for more. */
static bool may_park(const rp_cache *cache, uint32_t class_index, uint64_t bytes)
{
    enum { PART = 2, LEAST_BYTES = 64 << 10, BLOCK_MOST_BYTES = 512 };
    uint32_t block_bytes = rp_size_classes[class_index].block_bytes;
    return block_bytes >= sizeof(parked_block) && block_bytes <= BLOCK_MOST_BYTES &&
           cache->parked_bytes + bytes <= cache->out_bytes / PART + LEAST_BYTES;
}

/* The count stands in both halves of its word, so that a write to any of its bytes is seen. */
#define TWICE ((UINT64_C(1) << 32) + 1)

/* Sorted into slabs, a burst of frees and the allocations after it would cost twice: so it is
 * parked where there is room. */
static void set_aside(rp_cache *cache, uint32_t class_index, free_block *chain, uint32_t count)
{
    uint64_t bytes = (uint64_t)count * rp_size_classes[class_index].block_bytes;
    if (!may_park(cache, class_index, bytes)) {
        rp_remote_return(rp_slab_put(cache, chain));
        return;
    }
    parked_block *top = (parked_block *)chain;
    top->below = cache->parked[class_index];
    top->count = count * TWICE ^ mark_of(chain, (const free_block *)top->below);
    cache->parked[class_index] = top;
    cache->parked_blocks += count;
    cache->parked_bytes += bytes;
}

static free_block *unpark(rp_cache *cache, uint32_t class_index, uint32_t *count)
{
    parked_block *top = cache->parked[class_index];
    if (!top) {
        return NULL;
    }
    uint64_t twice = top->count ^ mark_of(&top->block, (const free_block *)top->below);
    uint32_t found = (uint32_t)twice;
    if (twice != found * TWICE) {
        rp_cache_damaged(cache, &top->block);
    }
    cache->parked[class_index] = top->below;
    cache->parked_blocks -= found;
    cache->parked_bytes -= found * rp_size_classes[class_index].block_bytes;
    *count = found;
    return &top->block;
}

/* The blocks that came last are the ones that are still in the processor's caches: the chain that
 * is full stays within reach, and the one before it goes. POSIX has free leave errno alone; a lock
 * that is waited for, and memory that goes back to the system, do not. */
void rp_cache_flush(rp_cache *cache, uint32_t class_index)
{
    cache_bin *bin = &cache->bins[class_index];
    int32_t limit = rp_size_classes[class_index].bin_limit;
    free_block *older = cache->previous[class_index];
    uint32_t older_count = cache->previous_count[class_index];
    cache->previous[class_index] = bin->head;
    cache->previous_count[class_index] = (uint32_t)(limit - bin->room);
    bin->head = NULL;
    bin->room = limit;
    if (older) {
        int kept = errno;
        set_aside(cache, class_index, older, older_count);
        errno = kept;
    }
}

/* Fills an empty bin with a chain that was set aside; false: there is none. */
static bool reach_back(rp_cache *cache, uint32_t class_index)
{
    uint32_t count = cache->previous_count[class_index];
    free_block *chain = cache->previous[class_index];
    cache->previous[class_index] = NULL;
    cache->previous_count[class_index] = 0;
    chain = chain ? chain : unpark(cache, class_index, &count);
    cache->bins[class_index].head = chain;
    cache->bins[class_index].room -= chain ? (int32_t)count : 0;
    return chain != NULL;
}

void rp_cache_sort_parked(rp_cache *cache)
{
    uint32_t count;
    for (uint32_t i = 1; i < CLASS_COUNT && cache->parked_bytes; i++) {
        for (free_block *chain; (chain = unpark(cache, i, &count)) != NULL;) {
            rp_remote_return(rp_slab_put(cache, chain));
        }
    }
}

static void bins_empty(rp_cache *cache)
{
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        do {
            free_block *head = cache->bins[i].head;
            bin_open(&cache->bins[i], i);
            rp_remote_return(rp_slab_put(cache, head));
        } while (reach_back(cache, i));
    }
}

/* ---- what others sent ---- */

/* Calls `take` for each block of a chain that others sent, and counts it in. */
static void receive(rp_cache *cache, free_block *block,
                    void (*take)(rp_cache *cache, rp_unit *unit, free_block *block))
{
    uint64_t count = 0, bytes = 0;
    while (block) {
        rp_unit *unit = unit_of(block);
        if (unit->size_class > 1) {
            __builtin_prefetch(((const sent_block *)block)->ahead, 1);
        }
        free_block *next = rp_block_next(cache, block);
        count++;
        bytes += rp_size_classes[unit->size_class].block_bytes;
        take(cache, unit, block);
        block = next;
    }
    __atomic_fetch_sub(&cache->remote_blocks, count, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&cache->remote_bytes, bytes, __ATOMIC_RELAXED);
}

static void take_to_bin(rp_cache *cache, rp_unit *unit, free_block *block)
{
    rp_bin_push(cache, unit->size_class, block);
}

/* Over the limit as well: a flush may need a lock that is held. */
static void take_to_bin_only(rp_cache *cache, rp_unit *unit, free_block *block)
{
    cache_bin *bin = &cache->bins[unit->size_class];
    block_link(block, bin->head);
    bin->head = block;
    bin->room--;
}

void rp_cache_drain(rp_cache *cache)
{
    if (!__atomic_load_n(&cache->remote, __ATOMIC_RELAXED)) {
        return;
    }
    free_block *chain = __atomic_exchange_n(&cache->remote, NULL, __ATOMIC_ACQ_REL);
    receive(cache, chain == REMOTE_CLOSED ? NULL : chain, take_to_bin);
}

void rp_cache_scavenge(rp_cache *cache)
{
    rp_cache_drain(cache);
    bins_empty(cache);
    rp_cache_release(cache);
}

/* ---- refill ---- */

void *rp_cache_refill(rp_cache *cache, uint32_t class_index)
{
    if (!reach_back(cache, class_index)) {
        rp_cache_drain(cache);
    }
    if (!cache->bins[class_index].head) {
        rp_unit *unit = rp_slab_find(cache, class_index);
        if (!unit) {
            return NULL;
        }
        rp_slab_take(cache, unit);
    }
    return rp_bin_pop(cache, class_index);
}

/* ---- made and unmade ---- */

/* With the heap's lock held. */
static rp_cache *cache_make(rp_heap *heap, uint32_t thread)
{
    rp_cache *cache = rp_meta_take((rp_zone)heap->base.zone, META_CACHE);
    if (!cache) {
        return NULL;
    }
    uint32_t generation = cache->generation + 1;
    cache->thread = thread;
    cache->heap = heap;
    cache->quick_end = heap->diverted ? 0 : CLASS_LARGEST_BYTES + 1;
    memcpy(cache->bins, rp_fresh_bins, sizeof cache->bins);
    cache->next = heap->caches;
    heap->caches = cache;
    __atomic_store_n(&cache->generation, generation, __ATOMIC_RELEASE);
    return cache;
}

/* With the heap's lock held. Readers without it see the older table or the newer one. */
static bool table_grow(rp_heap *heap, uint32_t slot)
{
    size_t count = rp_align_up(rp_max_size(slot, heap->table_count * 2), 8);
    size_t bytes = (count + 1) * sizeof(rp_cache *);
    void **block =
        rp_region_block_alloc((rp_zone)heap->base.zone, bytes, RP_BLOCK_PAGES, heap->base.id, 0);
    if (!block) {
        return false;
    }
    memset(block, 0, bytes);
    memcpy(block + 1, heap->table, heap->table_count * sizeof *heap->table);
    block[0] = heap->table_old; /* the chain of outgrown tables */
    heap->table_old = block;
    __atomic_store_n(&heap->table, (rp_cache **)(block + 1), __ATOMIC_RELEASE);
    __atomic_store_n(&heap->table_count, (uint32_t)count, __ATOMIC_RELEASE);
    return true;
}

/* With the heap's lock held. */
static rp_cache *mine_make(rp_heap *heap, uint32_t slot)
{
    if (slot > heap->table_count && !table_grow(heap, slot)) {
        return NULL;
    }
    rp_cache *cache = heap->table[slot - 1];
    if (!cache) {
        cache = cache_make(heap, slot);
        __atomic_store_n(&heap->table[slot - 1], cache, __ATOMIC_RELEASE);
    }
    return cache;
}

rp_cache *rp_cache_mine(rp_heap *heap)
{
    uint32_t slot = rp_alloc_thread_attach();
    if (!slot) {
        return NULL;
    }
    rp_cache *cache = NULL;
    if (slot <= __atomic_load_n(&heap->table_count, __ATOMIC_ACQUIRE)) {
        cache = __atomic_load_n(&heap->table, __ATOMIC_ACQUIRE)[slot - 1];
    }
    if (!cache) {
        rp_os_lock_take(&heap->base.lock);
        cache = mine_make(heap, slot);
        rp_os_lock_drop(&heap->base.lock);
    }
    return cache;
}

rp_cache *rp_cache_shared(rp_heap *heap)
{
    if (!heap->shared) {
        __atomic_store_n(&heap->shared, cache_make(heap, THREAD_NONE), __ATOMIC_RELEASE);
    }
    return heap->shared;
}

/* With the heap's lock held. Returns the chain of blocks that are another's: a sender may have
 * meant the thread that had the slot before. */
static free_block *close_list(rp_cache *cache)
{
    free_block *late = __atomic_exchange_n(&cache->remote, REMOTE_CLOSED, __ATOMIC_ACQ_REL);
    receive(cache, late == REMOTE_CLOSED ? NULL : late, take_to_bin_only);
    free_block *others = NULL;
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        free_block *head = cache->bins[i].head;
        bin_open(&cache->bins[i], i);
        others = rp_chain_join(rp_slab_put(cache, head), others);
    }
    return others;
}

void rp_cache_close(rp_cache *cache)
{
    rp_cache_scavenge(cache); /* while blocks may still go anywhere */
    rp_os_lock_take(&cache->heap->base.lock);
    rp_cache *shared = rp_cache_shared(cache->heap);
    free_block *others = NULL;
    if (shared) { /* else its slabs wait for the next thread with this slot */
        others = close_list(cache);
        rp_cache_release(cache);
        rp_slabs_move(cache, shared);
    }
    rp_os_lock_drop(&cache->heap->base.lock);
    rp_remote_return(others);
}

void rp_cache_abandon(rp_heap *heap, uint32_t slot)
{
    rp_cache *cache = heap->table[slot - 1];
    if (cache) {
        cache->thread = THREAD_LOST; /* what is freed of its blocks is sent, and stays there */
        heap->table[slot - 1] = NULL;
    }
}

static void list_give(rp_zone zone, uint32_t list)
{
    while (list) {
        rp_unit *unit = rp_region_unit_at(zone, list);
        list = slab_of(unit)->next;
        __atomic_store_n(&unit->size_class, CLASS_NONE, __ATOMIC_RELAXED);
        rp_region_block_free(rp_region_unit_start(unit));
    }
}

void rp_cache_destroy(rp_cache *cache)
{
    rp_zone zone = (rp_zone)cache->heap->base.zone;
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        list_give(zone, cache->partial[i]);
    }
    list_give(zone, cache->full);
    list_give(zone, cache->spare);
    __atomic_store_n(&cache->generation, cache->generation + 1, __ATOMIC_RELEASE);
    rp_meta_give(zone, META_CACHE, cache);
}
