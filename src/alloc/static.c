/* The static heap: how the first allocator is allocated.
 *
 *   zone | header page | rp_static_heap | tagged heap, some 59 KiB ...      | map ...
 *
 * It needs nothing but the region: fresh header memory is zero, which is its state before the first
 * call. It is registered as an allocator only when somebody asks for it as one, since the registry
 * may take its own memory from here.
 */
#include "alloc/simple.h"
#include "alloc/tagged.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <reprise/page.h>
#include <string.h>

typedef struct static_heap {
    rp_allocator base; /* magic 0 until it is registered */
    rp_os_lock lock, registering;
    rp_os_lock locks[STATIC_WORD_COUNT];
    void *words[STATIC_WORD_COUNT];
    tagged_heap tagged;
} static_heap;

static static_heap *heap_in(rp_zone zone)
{
    return (static_heap *)(void *)rp_region_header_rest(zone).start;
}

static static_heap *heap_of(const rp_allocator *allocator)
{
    return (static_heap *)(uintptr_t)allocator;
}

/* With the lock held. */
static void make_ready(static_heap *heap, rp_zone zone)
{
    if (!heap->tagged.first) {
        rp_region_span rest = rp_region_header_rest(zone);
        size_t head_bytes = rp_align_up(sizeof *heap, TAGGED_GRANULE);
        rp_tagged_init(&heap->tagged, &heap->base, rest.start + head_bytes,
                       rest.size_bytes - head_bytes);
    }
}

static static_heap *lock_ready(rp_zone zone)
{
    static_heap *heap = heap_in(zone);
    rp_os_lock_take(&heap->lock);
    make_ready(heap, zone);
    return heap;
}

static bool is_open(void)
{
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT,
                "static heap: there is none: the region is not open: open a deck first");
        return false;
    }
    return true;
}

static void *alloc_in(rp_zone zone, size_t size_bytes, size_t align_bytes)
{
    static_heap *heap = lock_ready(zone);
    void *block = rp_tagged_alloc(&heap->tagged, size_bytes, align_bytes);
    size_t largest = block ? 0 : rp_tagged_largest(&heap->tagged);
    rp_os_lock_drop(&heap->lock);
    if (!block) {
        rp_fail(RP_E_MEMORY,
                "static heap: no block of %zu bytes aligned to %zu: it has 60 KiB in all and %zu "
                "in one piece: take the block from another allocator",
                size_bytes, align_bytes, largest);
    }
    return block;
}

void *rp_static_alloc(rp_zone zone, size_t size_bytes)
{
    void *block = is_open() ? alloc_in(zone, size_bytes, TAGGED_GRANULE) : NULL;
    return block ? memset(block, 0, size_bytes) : NULL;
}

static void free_in(rp_zone zone, void *block)
{
    static_heap *heap = lock_ready(zone);
    rp_tagged_free(&heap->tagged, block);
    rp_os_lock_drop(&heap->lock);
}

void rp_static_free(rp_zone zone, void *block)
{
    free_in(zone, block);
}

void **rp_static_word_of(rp_zone zone, rp_static_word which)
{
    RP_ASSERT(which < STATIC_WORD_COUNT);
    return is_open() ? &heap_in(zone)->words[which] : NULL;
}

rp_os_lock *rp_static_lock_of(rp_zone zone, rp_static_word which)
{
    RP_ASSERT(which < STATIC_WORD_COUNT);
    return &heap_in(zone)->locks[which];
}

static void lock_set(rp_os_lock *lock, bool take)
{
    if (take) {
        rp_os_lock_take(lock);
    } else {
        rp_os_lock_drop(lock);
    }
}

void rp_simple_lock(rp_zone zone, bool take)
{
    static_heap *heap = heap_in(zone);
    lock_set(&heap->registering, take);
    for (size_t i = 0; i < STATIC_WORD_COUNT; i++) {
        lock_set(&heap->locks[i], take);
    }
    lock_set(&heap->lock, take);
}

/* ---- as an allocator ---- */

rp_allocator *rp_static_heap(rp_zone zone)
{
    if (!is_open()) {
        return NULL;
    }
    static_heap *heap = lock_ready(zone);
    rp_os_lock_drop(&heap->lock);
    rp_os_lock_take(&heap->registering);
    rp_status status =
        heap->base.magic ? RP_OK : rp_allocator_register(&heap->base, KIND_STATIC, zone, "static");
    rp_os_lock_drop(&heap->registering);
    return status == RP_OK ? &heap->base : NULL;
}

static void *static_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes,
                          bool zeroed)
{
    void *block = alloc_in((rp_zone)allocator->zone, size_bytes, align_bytes);
    return block && zeroed ? memset(block, 0, size_bytes) : block;
}

static void static_free(rp_allocator *allocator, void *block)
{
    free_in((rp_zone)allocator->zone, block);
}

static bool static_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    static_heap *heap = lock_ready((rp_zone)allocator->zone);
    bool done = rp_tagged_resize(&heap->tagged, block, size_bytes);
    rp_os_lock_drop(&heap->lock);
    return done;
}

static size_t static_usable(const rp_allocator *allocator, const void *block)
{
    static_heap *heap = lock_ready((rp_zone)allocator->zone);
    size_t size_bytes = rp_tagged_usable(&heap->tagged, block);
    rp_os_lock_drop(&heap->lock);
    return size_bytes;
}

static int static_walk(const rp_allocator *allocator,
                       int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    return rp_tagged_walk(&heap_of(allocator)->tagged, visit, context);
}

static void static_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    static_heap *heap = lock_ready((rp_zone)allocator->zone);
    size_t room = rp_region_header_rest((rp_zone)allocator->zone).size_bytes;
    *stats = (rp_alloc_stats){.live_count = heap->tagged.live_count,
                              .live_bytes = heap->tagged.live_bytes,
                              .peak_bytes = heap->tagged.peak_bytes,
                              .taken_bytes = room,
                              .cap_bytes = room};
    rp_os_lock_drop(&heap->lock);
}

static void static_destroy(rp_allocator *allocator)
{
    rp_region_die("heap %s: destroy: it is a part of its zone and lives as long: destroy the "
                  "allocators that you made",
                  allocator->name);
}

const rp_allocator_ops rp_static_ops = {
    .name = "static",
    .alloc = static_alloc,
    .free = static_free,
    .resize = static_resize,
    .usable = static_usable,
    .walk = static_walk,
    .stats = static_stats,
    .destroy = static_destroy,
};
