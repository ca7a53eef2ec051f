/* The public calls: from an allocator to its functions, from a block to its allocator. */
#include "alloc/cache.h"
#include "alloc/simple.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

enum { LEAST_ALIGN = 16 };

static const rp_debug_ops *debug_side; /* one in a process: functions, not state */

void rp_debug_ops_set(const rp_debug_ops *ops)
{
    debug_side = ops;
}

const rp_debug_ops *rp_debug_ops_get(void)
{
    return debug_side;
}

const rp_allocator_ops *rp_allocator_ops_of(const rp_allocator *allocator)
{
    static const rp_allocator_ops *const kinds[KIND_COUNT] = {
        [KIND_STATIC] = &rp_static_ops, [KIND_GENERIC] = &rp_generic_ops,
        [KIND_HEAP] = &rp_backed_ops,   [KIND_PAGE] = &rp_page_ops,
        [KIND_SLOT] = &rp_slot_ops,     [KIND_ARENA] = &rp_arena_ops,
        [KIND_TEMP] = &rp_temp_ops,
    };
    rp_allocator_check(allocator);
    return kinds[allocator->kind];
}

void rp_allocator_check(const rp_allocator *allocator)
{
    RP_ASSERT(allocator && allocator->magic == ALLOCATOR_MAGIC && allocator->kind < KIND_COUNT);
}

/* ---- allocating ---- */

static void *alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed,
                   const char *site, const void *caller)
{
    const rp_allocator_ops *ops = rp_allocator_ops_of(allocator);
    const rp_alloc_thread *self = &rp_alloc_self;
    uint32_t modes = __atomic_load_n(&allocator->debug, __ATOMIC_RELAXED);
    if (debug_side && !self->inside && (modes || self->traced)) {
        return debug_side->alloc(allocator, size_bytes, align_bytes, zeroed, site, caller);
    }
    return ops->alloc(allocator, size_bytes, align_bytes, zeroed);
}

static inline void *alloc_small(rp_allocator *allocator, size_t size_bytes, const char *site,
                                const void *caller)
{
    if (__builtin_expect(allocator && allocator->kind == KIND_GENERIC, 1)) {
        rp_cache *cache = rp_cache_quick(heap_of(allocator));
        void *block = cache ? rp_generic_alloc_quick(cache, size_bytes) : NULL;
        if (__builtin_expect(block != NULL, 1)) {
            return block;
        }
    }
    return alloc(allocator, size_bytes, LEAST_ALIGN, false, site, caller);
}

void *rp_alloc_at(rp_allocator *allocator, size_t size_bytes, const char *site)
{
    return alloc_small(allocator, size_bytes, site, __builtin_return_address(0));
}

void *rp_alloc_from(rp_allocator *allocator, size_t size_bytes, const void *caller)
{
    return alloc_small(allocator, size_bytes, NULL, caller);
}

/* Also remembers the cache, where the thread is not diverted. */
void *rp_generic_malloc_slow(size_t size_bytes, const void *caller)
{
    rp_allocator *generic = rp_generic(RP_ZONE_WORLD);
    if (!generic) {
        return NULL;
    }
    void *block = alloc(generic, size_bytes, LEAST_ALIGN, false, NULL, caller);
    rp_cache *cache = rp_cache_quick(heap_of(generic));
    rp_alloc_self.generic = cache ? (void *)cache : (void *)&rp_cache_none;
    rp_alloc_self.heap = cache ? generic->id : 0;
    return block;
}

static void *array(rp_allocator *allocator, size_t count, size_t size_bytes, size_t align_bytes,
                   const char *site, const void *caller)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        rp_fail(RP_E_MEMORY,
                "allocator: no block for %zu times %zu bytes: the product does not fit: ask for "
                "less",
                count, size_bytes);
        return NULL;
    }
    if (align_bytes <= LEAST_ALIGN && allocator && allocator->kind == KIND_GENERIC) {
        rp_cache *cache = rp_cache_quick(heap_of(allocator));
        void *block = cache ? rp_generic_alloc_quick(cache, total) : NULL;
        if (block) {
            return memset(block, 0, total);
        }
    }
    return alloc(allocator, total, rp_max_size(align_bytes, LEAST_ALIGN), true, site, caller);
}

void *rp_alloc_zeroed_at(rp_allocator *allocator, size_t count, size_t size_bytes, const char *site)
{
    return array(allocator, count, size_bytes, LEAST_ALIGN, site, __builtin_return_address(0));
}

void *rp_alloc_zeroed_from(rp_allocator *allocator, size_t count, size_t size_bytes,
                           const void *caller)
{
    return array(allocator, count, size_bytes, LEAST_ALIGN, NULL, caller);
}

void *rp_new_at(rp_allocator *allocator, size_t count, size_t size_bytes, size_t align_bytes,
                const char *site)
{
    return array(allocator, count, size_bytes, align_bytes, site, __builtin_return_address(0));
}

static void *aligned(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                     const char *site, const void *caller)
{
    if (!rp_is_power_of_two(align_bytes) || align_bytes > RP_MIB(1)) {
        rp_fail(RP_E_ARGUMENT,
                "allocator: no block aligned to %zu: an alignment is a power of two up to 1 MiB: "
                "ask for one",
                align_bytes);
        return NULL;
    }
    return alloc(allocator, size_bytes, rp_max_size(align_bytes, LEAST_ALIGN), false, site, caller);
}

void *rp_alloc_aligned_at(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                          const char *site)
{
    return aligned(allocator, align_bytes, size_bytes, site, __builtin_return_address(0));
}

void *rp_alloc_aligned_from(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                            const void *caller)
{
    return aligned(allocator, align_bytes, size_bytes, NULL, caller);
}

/* ---- from a block to its allocator ---- */

typedef struct block_place {
    rp_allocator *allocator;
    rp_unit *head; /* null: in memory that no unit describes alone */
} block_place;

/* False where no allocator has the memory that `address` lies in. Without a lock: the entries of a
 * live block do not change. */
static bool place_of(const void *address, block_place *place)
{
    *place = (block_place){0};
    rp_unit *head = rp_region_unit_head(address);
    if (!head || (head->flags & RP_BLOCK_NESTED)) {
        *place = (block_place){rp_backed_find(address), NULL};
    }
    if (!head || place->allocator || head->kind == RP_BLOCK_RESERVED) {
        return place->allocator != NULL;
    }
    rp_zone zone = rp_region_contains(address) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP;
    place->head = head;
    place->allocator = rp_allocator_by_id(zone, head->owner);
    return place->allocator != NULL;
}

static bool is_tracked(const block_place *place)
{
    return place->head && place->head->kind == RP_BLOCK_TRACKED;
}

static _Noreturn void die_homeless(const void *block, const char *what, const void *caller)
{
    rp_misuse_kind kind = !rp_region_unit(block)       ? RP_MISUSE_FOREIGN
                          : rp_region_unit_head(block) ? RP_MISUSE_NO_BLOCK
                                                       : RP_MISUSE_DOUBLE_FREE;
    rp_misuse(kind, NULL, block, what, caller);
}

static block_place place_or_die(const void *block, const char *what, const void *caller)
{
    block_place place;
    if (!place_of(block, &place)) {
        die_homeless(block, what, caller);
    }
    return place;
}

static void block_free(void *block, size_t size_bytes, const void *caller)
{
    block_place place = place_or_die(block, "free", caller);
    if (is_tracked(&place)) {
        debug_side->free(place.allocator, place.head, block, size_bytes, caller);
    } else {
        rp_allocator_ops_of(place.allocator)->free(place.allocator, block);
    }
}

void rp_free(void *block)
{
    if (!rp_generic_free_quick(block) && block) {
        block_free(block, SIZE_MAX, __builtin_return_address(0));
    }
}

void rp_free_from(void *block, size_t size_bytes, const void *caller)
{
    bool said = size_bytes != SIZE_MAX; /* then it is compared with the block's */
    if (block && (said || !rp_generic_free_quick(block))) {
        block_free(block, size_bytes, caller);
    }
}

void rp_free_sized(void *block, size_t size_bytes)
{
    if (block) {
        block_free(block, size_bytes, __builtin_return_address(0));
    }
}

static size_t usable(const block_place *place, const void *block)
{
    return is_tracked(place)
               ? debug_side->usable(place->head, block)
               : rp_allocator_ops_of(place->allocator)->usable(place->allocator, block);
}

size_t rp_usable_bytes(const void *block)
{
    size_t quick = rp_generic_usable_quick(block);
    block_place place;
    return quick ? quick : place_of(block, &place) ? usable(&place, block) : 0;
}

rp_allocator *rp_allocator_of(const void *block)
{
    block_place place;
    return place_of(block, &place) ? place.allocator : NULL;
}

/* ---- resizing ---- */

static bool resize_in_place(const block_place *place, void *block, size_t size_bytes,
                            const void *caller)
{
    if (is_tracked(place)) {
        return debug_side->resize(place->allocator, place->head, block, size_bytes, caller);
    }
    const rp_allocator_ops *ops = rp_allocator_ops_of(place->allocator);
    return ops->resize && ops->resize(place->allocator, block, size_bytes);
}

static void *resized(rp_allocator *allocator, void *block, size_t size_bytes, const char *site,
                     const void *caller)
{
    if (!block) {
        return alloc(allocator, size_bytes, LEAST_ALIGN, false, site, caller);
    }
    void *quick = rp_generic_resize_quick(block, size_bytes);
    if (quick) {
        return quick;
    }
    block_place place = place_or_die(block, "resize", caller);
    size_t old_bytes = usable(&place, block);
    if (resize_in_place(&place, block, size_bytes, caller)) {
        return block;
    }
    void *moved = alloc(place.allocator, size_bytes, LEAST_ALIGN, false, site, caller);
    if (!moved) {
        return size_bytes <= old_bytes ? block : NULL; /* there is no room to become smaller */
    }
    memcpy(moved, block, rp_min_size(old_bytes, size_bytes));
    block_free(block, SIZE_MAX, caller);
    return moved;
}

void *rp_resize_at(rp_allocator *allocator, void *block, size_t size_bytes, const char *site)
{
    return resized(allocator, block, size_bytes, site, __builtin_return_address(0));
}

void *rp_resize_from(rp_allocator *allocator, void *block, size_t size_bytes, const void *caller)
{
    return resized(allocator, block, size_bytes, NULL, caller);
}

/* ---- any allocator ---- */

void rp_allocator_debug_set(rp_allocator *allocator, uint32_t modes)
{
    rp_allocator_check(allocator);
    __atomic_store_n(&allocator->debug, modes, __ATOMIC_RELAXED);
    if (allocator->kind == KIND_GENERIC) {
        rp_heap_divert(heap_of(allocator), modes != 0);
    }
}

void rp_stats_get(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    *stats = (rp_alloc_stats){0};
    rp_allocator_ops_of(allocator)->stats(allocator, stats);
    if (debug_side) {
        debug_side->stats_add(allocator, stats);
    }
}

const char *rp_allocator_name(const rp_allocator *allocator)
{
    rp_allocator_check(allocator);
    return allocator->name;
}

const char *rp_allocator_kind_name(const rp_allocator *allocator)
{
    return rp_allocator_ops_of(allocator)->name;
}

rp_zone rp_allocator_zone(const rp_allocator *allocator)
{
    rp_allocator_check(allocator);
    return (rp_zone)allocator->zone;
}

int rp_walk(const rp_allocator *allocator,
            int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    int result = rp_allocator_ops_of(allocator)->walk(allocator, visit, context);
    return result || !debug_side ? result : debug_side->walk(allocator, visit, context);
}

void rp_allocator_destroy(rp_allocator *allocator)
{
    if (!allocator) {
        return;
    }
    const rp_allocator_ops *ops = rp_allocator_ops_of(allocator);
    if (debug_side) {
        debug_side->destroyed(allocator);
    }
    ops->destroy(allocator);
}

/* ---- the generic allocator of a zone ---- */

rp_allocator *rp_generic(rp_zone zone)
{
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "generic: there is none: the region is not open: open a deck first");
        return NULL;
    }
    rp_allocator *stands = rp_region_root(zone, RP_ROOT_GENERIC);
    if (stands) {
        return stands;
    }
    rp_allocator *made = rp_heap_create(
        &(rp_heap_desc){.name = zone == RP_ZONE_WORLD ? "program" : "keep", .zone = zone});
    stands = made ? rp_region_root_claim(zone, RP_ROOT_GENERIC, made) : NULL;
    if (stands != made) {
        rp_allocator_destroy(made); /* another thread was first */
    }
    return stands;
}
