/* The program's malloc. Every library of the process calls these; the class of the calling code
 * decides whether the block is state (the world's heap) or stays over a restore (the keep heap).
 *
 * The first call may come before main and before any constructor, so the region is opened by
 * whoever comes first. Blocks are freed by address alone: any free takes any block.
 */
#include "../../preload/family.h"
#include "../../preload/operators.h"
#include "interpose.h"
#include "runner.h"

#include <base/error.h>
#include <malloc.h>
#include <os/os.h>
#include <region/region.h>
#include <string.h>
#include <trace/trace.h>

static struct {
    rp_allocator *keep, *world;
    volatile rp_os_lock lock;
    rp_status status; /* of opening; after a failure nothing can be allocated */
    bool tried;
} memory;

static _Thread_local int heap_override __attribute__((tls_model("initial-exec"))) =
    RUNNER_HEAP_BY_CALLER;

static void memory_open(void)
{
    memory.status = rp_region_create(&(rp_region_desc){0});
    if (!memory.status) {
        memory.status = rp_trace_open(NULL); /* what was chosen stands in the link */
    }
    if (memory.status) {
        return;
    }
    memory.keep = rp_generic(RP_ZONE_KEEP);
    memory.world = rp_generic(RP_ZONE_WORLD);
    if (!memory.keep || !memory.world) {
        memory.status = rp_error_last()->status;
        return;
    }
}

rp_status runner_memory_open(void)
{
    rp_os_lock_take(&memory.lock);
    if (!memory.tried) {
        memory.tried = true;
        memory_open();
    }
    rp_os_lock_drop(&memory.lock);
    return memory.status;
}

rp_allocator *runner_heap_for(const void *caller)
{
    if (__builtin_expect(!memory.world, 0) && runner_memory_open()) {
        return NULL;
    }
    int zone =
        heap_override != RUNNER_HEAP_BY_CALLER ? heap_override : (int)rp_class_of_code(caller);
    return zone == RP_ZONE_WORLD ? memory.world : memory.keep;
}

int runner_heap_override(int zone_or_none)
{
    int before = heap_override;
    heap_override = zone_or_none;
    return before;
}

/* ---- blocks that a reload can tell apart ----
 *
 * A world block is a byte larger than what was asked for, and zero behind that. So a pointer past
 * the end of an array lies in its own block and not at the start of the next one, and where the
 * size that was asked for is not known to the byte, no former content looks like one more element.
 * Tracked blocks have neither: they are known to the byte. */

static bool is_plain(const rp_allocator *heap)
{
    return heap == memory.world && !heap->debug && !rp_alloc_thread_get()->traced;
}

static size_t with_end(const rp_allocator *heap, size_t size_bytes)
{
    return is_plain(heap) && size_bytes < SIZE_MAX ? size_bytes + 1 : size_bytes;
}

static void *end_cleared(const rp_allocator *heap, void *block, size_t size_bytes)
{
    if (block && is_plain(heap)) {
        size_t usable = rp_usable_bytes(block);
        if (usable > size_bytes) {
            memset((char *)block + size_bytes, 0, usable - size_bytes);
        }
    }
    return block;
}

static void *block_make(rp_allocator *heap, size_t align_bytes, size_t size_bytes,
                        const void *caller)
{
    size_t whole = with_end(heap, size_bytes);
    void *block = align_bytes == FAMILY_ALIGN ? family_malloc(heap, whole, caller)
                                              : family_memalign(heap, align_bytes, whole, caller);
    return end_cleared(heap, block, size_bytes);
}

/* A block of the world stays there whoever makes it larger. */
static void *block_resize(rp_allocator *heap, void *block, size_t size_bytes, const void *caller)
{
    if (block && rp_region_contains(block)) {
        heap = rp_region_contains(block) == 1 ? memory.world : memory.keep;
    }
    size_t whole = size_bytes ? with_end(heap, size_bytes) : 0;
    return end_cleared(heap, family_realloc(heap, block, whole, caller), size_bytes);
}

EXPORT void *malloc(size_t size_bytes)
{
    return block_make(runner_heap_for(CALLER), FAMILY_ALIGN, size_bytes, CALLER);
}

EXPORT void *calloc(size_t count, size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(CALLER);
    size_t total;
    if (!is_plain(heap) || !rp_mul_size(count, size_bytes, &total)) {
        return family_calloc(heap, count, size_bytes, CALLER);
    }
    return end_cleared(heap, family_calloc(heap, 1, with_end(heap, total), CALLER), total);
}

EXPORT void *realloc(void *block, size_t size_bytes)
{
    return block_resize(runner_heap_for(CALLER), block, size_bytes, CALLER);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size_bytes)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        return family_made(NULL);
    }
    return block_resize(runner_heap_for(CALLER), block, total, CALLER);
}

EXPORT void free(void *block)
{
    family_free(block, CALLER);
}

EXPORT int posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    int kept = errno;
    if (!family_posix_align_ok(align_bytes)) {
        return EINVAL;
    }
    void *made = block_make(runner_heap_for(CALLER), align_bytes, size_bytes, CALLER);
    return family_posix_result(block, made, kept);
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
    return block_make(runner_heap_for(CALLER), align_bytes, size_bytes, CALLER);
}

EXPORT void *memalign(size_t align_bytes, size_t size_bytes)
{
    return block_make(runner_heap_for(CALLER), align_bytes, size_bytes, CALLER);
}

EXPORT void *valloc(size_t size_bytes)
{
    return block_make(runner_heap_for(CALLER), RP_PAGE_BYTES, size_bytes, CALLER);
}

EXPORT void *pvalloc(size_t size_bytes)
{
    return family_pvalloc(runner_heap_for(CALLER), size_bytes, CALLER);
}

EXPORT size_t malloc_usable_size(void *block)
{
    return rp_usable_bytes(block);
}

/* ---- C++: the class is that of the code which says `new`, not libstdc++'s ---- */

static void *operator_alloc(size_t align_bytes, size_t size_bytes, const void *caller)
{
    return block_make(runner_heap_for(caller), align_bytes, size_bytes, caller);
}

static void operator_free(void *block, size_t size_bytes, const void *caller)
{
    (void)size_bytes;
    family_free(block, caller);
}
