/* Heaps in the caller's memory.
 *
 *   memory | backed_heap | tagged heap ...                                                    |
 *
 * Saved bytes are told from others by the heap's head: magic, address and length must be theirs.
 */
#include <reprise/backed.h>

#include "alloc/simple.h"
#include "alloc/tagged.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

enum { LEAST_BYTES = 1024 };
#define BACKED_MAGIC UINT64_C(0x64656b6361627072)

typedef struct backed_heap {
    rp_allocator base;
    uint64_t magic;
    uint8_t *memory; /* as it was given */
    uint64_t memory_bytes;
    tagged_heap tagged;
} backed_heap;

static backed_heap *heap_of(const rp_allocator *allocator)
{
    return (backed_heap *)(uintptr_t)allocator;
}

static backed_heap *heap_at(void *memory)
{
    return (backed_heap *)(uintptr_t)rp_align_up((uintptr_t)memory, TAGGED_GRANULE);
}

static size_t head_bytes(void)
{
    return rp_align_up(sizeof(backed_heap), TAGGED_GRANULE);
}

static void make_empty(backed_heap *heap)
{
    uint8_t *start = (uint8_t *)heap + head_bytes();
    size_t size_bytes = heap->memory_bytes - (size_t)(start - heap->memory);
    rp_tagged_init(&heap->tagged, &heap->base, start, rp_align_down(size_bytes, TAGGED_GRANULE));
}

/* ---- making ---- */

static rp_status check_memory(const void *memory, size_t memory_bytes)
{
    if (memory_bytes < LEAST_BYTES || memory_bytes > TAGGED_MOST_BYTES ||
        (uintptr_t)memory > UINTPTR_MAX - memory_bytes) {
        return rp_fail(RP_E_ARGUMENT,
                       "heap: cannot be made in %zu bytes at %p: its memory must be from 1 KiB to "
                       "64 GiB: give other memory",
                       memory_bytes, memory);
    }
    if (!rp_region_is_open()) {
        return rp_fail(RP_E_ARGUMENT,
                       "heap: cannot be made: the region is not open: open a deck first");
    }
    return RP_OK;
}

/* Registers the heap, whose range was claimed; undoes the claim where it cannot. */
static rp_status enter(backed_heap *heap, rp_zone zone, const char *name, const void *memory)
{
    rp_status status = rp_allocator_register(&heap->base, KIND_HEAP, zone, name);
    if (status == RP_OK) {
        rp_outside_name(&heap->base, memory);
    } else {
        rp_outside_release(zone, memory);
    }
    return status;
}

rp_allocator *rp_backed_create(const rp_heap_desc *desc)
{
    if (check_memory(desc->memory, desc->memory_bytes) != RP_OK ||
        rp_outside_claim(desc->zone, desc->memory, desc->memory_bytes) != RP_OK) {
        return NULL;
    }
    backed_heap *heap = heap_at(desc->memory);
    heap->magic = BACKED_MAGIC;
    heap->memory = desc->memory;
    heap->memory_bytes = desc->memory_bytes;
    make_empty(heap);
    return enter(heap, desc->zone, desc->name, desc->memory) == RP_OK ? &heap->base : NULL;
}

static bool is_intact(const backed_heap *heap, const void *memory, size_t memory_bytes)
{
    const tagged_heap *tagged = &heap->tagged;
    const uint8_t *bins = (const uint8_t *)tagged->bins, *first = (const uint8_t *)tagged->first;
    const uint8_t *end = (const uint8_t *)tagged->end, *limit = heap->memory + memory_bytes;
    return heap->magic == BACKED_MAGIC && heap->memory == memory &&
           heap->memory_bytes == memory_bytes && tagged->owner == &heap->base &&
           bins == (const uint8_t *)heap + head_bytes() && first > bins && end > first &&
           end + TAGGED_GRANULE <= limit && !rp_tagged_damage(tagged);
}

rp_allocator *rp_backed_attach(void *memory, size_t memory_bytes, rp_zone zone)
{
    if (check_memory(memory, memory_bytes) != RP_OK) {
        return NULL;
    }
    backed_heap *heap = heap_at(memory);
    if (!is_intact(heap, memory, memory_bytes)) {
        rp_fail(RP_E_FORMAT,
                "heap: cannot be taken up at %p: there is no intact heap of %zu bytes that was "
                "made at this address: put all of its bytes back",
                memory, memory_bytes);
        return NULL;
    }
    char name[ALLOCATOR_NAME_BYTES];
    memcpy(name, heap->base.name, sizeof name);
    name[sizeof name - 1] = 0;
    if (rp_outside_claim(zone, memory, memory_bytes) != RP_OK) {
        return NULL;
    }
    return enter(heap, zone, name, memory) == RP_OK ? &heap->base : NULL;
}

static bool is_backed(const rp_allocator *allocator)
{
    rp_allocator_check(allocator);
    if (allocator->kind != KIND_HEAP) {
        rp_fail(RP_E_ARGUMENT, "heap %s: it lies in no memory of the caller's: use another call",
                allocator->name);
        return false;
    }
    return true;
}

rp_status rp_backed_reset(rp_allocator *allocator)
{
    if (!is_backed(allocator)) {
        return RP_E_ARGUMENT;
    }
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&allocator->lock);
    make_empty(heap);
    rp_os_lock_drop(&allocator->lock);
    return RP_OK;
}

rp_status rp_backed_check(const rp_allocator *allocator)
{
    if (!is_backed(allocator)) {
        return RP_E_ARGUMENT;
    }
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&heap->base.lock);
    const void *damage = rp_tagged_damage(&heap->tagged);
    rp_os_lock_drop(&heap->base.lock);
    return damage ? rp_fail(RP_E_FORMAT,
                            "heap %s: damaged: the tag of the block at %p, or the block while it "
                            "was free, was written over: look for the writer with debug modes",
                            allocator->name, damage)
                  : RP_OK;
}

size_t rp_backed_largest_bytes(const rp_allocator *allocator)
{
    if (!is_backed(allocator)) {
        return 0;
    }
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&heap->base.lock);
    size_t largest = rp_tagged_largest(&heap->tagged);
    rp_os_lock_drop(&heap->base.lock);
    return largest;
}

/* ---- as an allocator ---- */

static void *backed_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes,
                          bool zeroed)
{
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&allocator->lock);
    void *block = rp_tagged_alloc(&heap->tagged, size_bytes, align_bytes);
    rp_os_lock_drop(&allocator->lock);
    if (!block) {
        rp_fail(RP_E_MEMORY,
                "heap %s: no block of %zu bytes: its memory of %llu bytes has no piece of that "
                "size left: free some, or give it more memory",
                allocator->name, size_bytes, (unsigned long long)heap->memory_bytes);
        return NULL;
    }
    return zeroed ? memset(block, 0, size_bytes) : block;
}

static void backed_free(rp_allocator *allocator, void *block)
{
    rp_os_lock_take(&allocator->lock);
    rp_tagged_free(&heap_of(allocator)->tagged, block);
    rp_os_lock_drop(&allocator->lock);
}

static bool backed_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    rp_os_lock_take(&allocator->lock);
    bool done = rp_tagged_resize(&heap_of(allocator)->tagged, block, size_bytes);
    rp_os_lock_drop(&allocator->lock);
    return done;
}

static size_t backed_usable(const rp_allocator *allocator, const void *block)
{
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&heap->base.lock);
    size_t size_bytes = rp_tagged_usable(&heap->tagged, block);
    rp_os_lock_drop(&heap->base.lock);
    return size_bytes;
}

static int backed_walk(const rp_allocator *allocator,
                       int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    return rp_tagged_walk(&heap_of(allocator)->tagged, visit, context);
}

static void backed_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    backed_heap *heap = heap_of(allocator);
    rp_os_lock_take(&heap->base.lock);
    *stats = (rp_alloc_stats){.live_count = heap->tagged.live_count,
                              .live_bytes = heap->tagged.live_bytes,
                              .peak_bytes = heap->tagged.peak_bytes,
                              .taken_bytes = heap->memory_bytes,
                              .cap_bytes = heap->memory_bytes};
    rp_os_lock_drop(&heap->base.lock);
}

/* The bytes stay, so that a copy of them can be attached again. */
static void backed_destroy(rp_allocator *allocator)
{
    rp_outside_release((rp_zone)allocator->zone, heap_of(allocator)->memory);
    rp_allocator_unregister(allocator);
}

const rp_allocator_ops rp_backed_ops = {
    .name = "heap",
    .alloc = backed_alloc,
    .free = backed_free,
    .resize = backed_resize,
    .usable = backed_usable,
    .walk = backed_walk,
    .stats = backed_stats,
    .destroy = backed_destroy,
};
