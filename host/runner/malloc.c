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

EXPORT void *malloc(size_t size_bytes)
{
    return family_malloc(runner_heap_for(CALLER), size_bytes, CALLER);
}

EXPORT void *calloc(size_t count, size_t size_bytes)
{
    return family_calloc(runner_heap_for(CALLER), count, size_bytes, CALLER);
}

EXPORT void *realloc(void *block, size_t size_bytes)
{
    return family_realloc(runner_heap_for(CALLER), block, size_bytes, CALLER);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size_bytes)
{
    return family_reallocarray(runner_heap_for(CALLER), block, count, size_bytes, CALLER);
}

EXPORT void free(void *block)
{
    family_free(block, CALLER);
}

EXPORT int posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    return family_posix_memalign(runner_heap_for(CALLER), block, align_bytes, size_bytes, CALLER);
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
    return family_memalign(runner_heap_for(CALLER), align_bytes, size_bytes, CALLER);
}

EXPORT void *memalign(size_t align_bytes, size_t size_bytes)
{
    return family_memalign(runner_heap_for(CALLER), align_bytes, size_bytes, CALLER);
}

EXPORT void *valloc(size_t size_bytes)
{
    return family_memalign(runner_heap_for(CALLER), RP_PAGE_BYTES, size_bytes, CALLER);
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
    rp_allocator *heap = runner_heap_for(caller);
    return align_bytes == OPERATORS_ALIGN ? family_malloc(heap, size_bytes, caller)
                                          : family_memalign(heap, align_bytes, size_bytes, caller);
}

static void operator_free(void *block, size_t size_bytes, const void *caller)
{
    (void)size_bytes;
    family_free(block, caller);
}
