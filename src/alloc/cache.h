/* The fast paths: one branch each for all that is not usual. Layer: alloc, internal.
 *
 * They are inline so that malloc, free, rp_alloc_at and rp_free hold them without a further call.
 */
#ifndef RP_ALLOC_CACHE_H
#define RP_ALLOC_CACHE_H

#include "alloc/generic.h"

/* The calling thread. In the thread's first block, as the loader would call malloc to make it
 * otherwise. */
extern _Thread_local rp_alloc_thread rp_alloc_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Serves nothing: where a thread has no cache to use without looking further. */
extern const rp_cache rp_cache_none __attribute__((visibility("hidden")));

/* A free block whose mark is wrong was written to. Does not return. */
_Noreturn void rp_cache_damaged(const rp_cache *cache, const free_block *block);

static inline free_block *rp_block_next(const rp_cache *cache, const free_block *block)
{
    if (__builtin_expect(!is_marked(block), 0)) {
        rp_cache_damaged(cache, block);
    }
    return block->next;
}

/* Null where the bin is empty. */
static inline void *rp_bin_pop(rp_cache *cache, uint32_t class_index)
{
    cache_bin *bin = &cache->bins[class_index];
    free_block *block = bin->head;
    if (__builtin_expect(!block, 0)) {
        return NULL;
    }
    free_block *next = block->next;
    if (__builtin_expect(block->mark != mark_of(block, next), 0)) {
        rp_cache_damaged(cache, block);
    }
    bin->head = next;
    bin->room++;
    block->mark = 0;
    return block;
}

static inline void rp_bin_push(rp_cache *cache, uint32_t class_index, free_block *block)
{
    cache_bin *bin = &cache->bins[class_index];
    block_link(block, bin->head);
    bin->head = block;
    if (__builtin_expect(--bin->room < 0, 0)) {
        rp_cache_flush(cache, class_index);
    }
}

/* The calling thread's cache in the heap; null: there is none, or the thread is in a traced scope.
 */
static inline rp_cache *rp_cache_quick(const rp_heap *heap)
{
    uint32_t index = rp_alloc_self.slot - 1;
    if (__builtin_expect(index >= __atomic_load_n(&heap->table_count, __ATOMIC_ACQUIRE), 0)) {
        return NULL;
    }
    return __atomic_load_n(&heap->table, __ATOMIC_ACQUIRE)[index];
}

/* A block from the bins; null: take the slow path. */
static inline void *rp_generic_alloc_quick(rp_cache *cache, size_t size_bytes)
{
    if (__builtin_expect(size_bytes >= __atomic_load_n(&cache->quick_end, __ATOMIC_RELAXED), 0)) {
        return NULL;
    }
    return rp_bin_pop(cache, class_of(size_bytes));
}

/* Whether a block that seems to live starts at `address` in a slab of the class. */
static inline bool rp_block_lives(const rp_unit *unit, uint32_t class_index, const void *address)
{
    uint32_t offset = (uint32_t)((uintptr_t)address % RP_UNIT_BYTES);
    return __builtin_expect(is_start(class_index, offset), 1) &&
           __builtin_expect(offset >> GRAIN_SHIFT < slab_bump(unit), 1) &&
           __builtin_expect(!may_be_marked((const free_block *)address), 1);
}

static inline uint32_t rp_unit_class(const rp_unit *unit)
{
    return __atomic_load_n(&unit->size_class, __ATOMIC_RELAXED);
}

/* The bytes of a live block of a slab in the world zone; 0: look closer. */
static inline size_t rp_generic_usable_quick(const void *address)
{
    const rp_unit *unit = rp_region_world_unit(address);
    uint32_t class_index = unit ? rp_unit_class(unit) : CLASS_NONE;
    return unit && rp_block_lives(unit, class_index, address)
               ? rp_size_classes[class_index].block_bytes
               : 0;
}

/* Whether a small block stays where it is: while at least half of it is used. */
static inline bool rp_small_stays(size_t have_bytes, size_t size_bytes)
{
    return size_bytes <= have_bytes && (size_bytes >= have_bytes / 2 || have_bytes <= 32);
}

/* Frees a block of a slab in the world zone; false: nothing was done, take the slow path. */
static inline bool rp_generic_free_quick(void *address)
{
    const rp_unit *unit = rp_region_world_unit(address);
    if (__builtin_expect(unit == NULL, 0)) {
        return false;
    }
    uint32_t class_index = rp_unit_class(unit);
    if (!rp_block_lives(unit, class_index, address)) {
        return false;
    }
    rp_cache *cache = slab_cache(unit);
    if (__builtin_expect(cache->thread != rp_alloc_self.slot, 0)) {
        cache = rp_cache_quick(cache->heap);
        if (!cache) {
            return false;
        }
    }
    rp_bin_push(cache, class_index, (free_block *)address);
    return true;
}

/* Resizes a small block of the world zone to a small size; null: nothing was done, take the slow
 * path. */
static inline void *rp_generic_resize_quick(void *block, size_t size_bytes)
{
    size_t have_bytes = rp_generic_usable_quick(block);
    if (__builtin_expect(have_bytes == 0, 0) || rp_small_stays(have_bytes, size_bytes)) {
        return have_bytes ? block : NULL;
    }
    rp_cache *cache = rp_cache_quick(slab_cache(rp_region_world_unit(block))->heap);
    void *moved = cache ? rp_generic_alloc_quick(cache, size_bytes) : NULL;
    if (moved) {
        __builtin_memcpy(moved, block, have_bytes < size_bytes ? have_bytes : size_bytes);
        rp_generic_free_quick(block);
    }
    return moved;
}

/* ---- malloc and free of a process in which nothing is ever restored: the preload library ---- */

/* The rest of it; with `errno` left to the caller. */
void *rp_generic_malloc_slow(size_t size_bytes, const void *caller);

static inline void *rp_generic_malloc(size_t size_bytes)
{
    void *block = rp_generic_alloc_quick((rp_cache *)rp_alloc_self.generic, size_bytes);
    if (__builtin_expect(block != NULL, 1)) {
        return block;
    }
    return rp_generic_malloc_slow(size_bytes, __builtin_return_address(0));
}

/* Frees a block of the generic allocator into the calling thread's bins, whoever made it; false:
 * nothing was done, take the slow path. */
static inline bool rp_generic_free_here(void *address)
{
    const rp_unit *unit = rp_region_world_unit(address);
    if (__builtin_expect(unit == NULL, 0) ||
        __builtin_expect(unit->owner != rp_alloc_self.heap, 0)) {
        return false;
    }
    uint32_t class_index = rp_unit_class(unit);
    if (!rp_block_lives(unit, class_index, address)) {
        return false;
    }
    rp_bin_push((rp_cache *)rp_alloc_self.generic, class_index, (free_block *)address);
    return true;
}

/* Of a block that is ours, or null. */
static inline void rp_generic_free(void *address)
{
    if (__builtin_expect(!rp_generic_free_here(address), 0)) {
        rp_free_from(address, SIZE_MAX, __builtin_return_address(0));
    }
}

#endif
