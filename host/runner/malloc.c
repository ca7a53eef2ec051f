/* The program's malloc. Every library of the process calls these; the class of the calling code
 * decides whether the block is state (the world's heap) or stays over a restore (the keep heap).
 *
 * The first call may come before main and before any constructor, so the region is opened by
 * whoever comes first. Blocks are freed by address alone: any free takes any block.
 */
#include "interpose.h"
#include "runner.h"

#include <base/bits.h>
#include <base/error.h>
#include <errno.h>
#include <malloc.h>
#include <os/os.h>
#include <region/region.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void *checked(void *block)
{
    if (!block) {
        errno = ENOMEM;
    }
    return block;
}

EXPORT void *malloc(size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(CALLER);
    return heap ? checked(rp_alloc(heap, size_bytes)) : NULL;
}

EXPORT void *calloc(size_t count, size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(CALLER);
    return heap ? checked(rp_alloc_zeroed(heap, count, size_bytes)) : NULL;
}

EXPORT void *realloc(void *block, size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(CALLER);
    if (!heap) {
        return NULL;
    }
    if (block && !size_bytes) { /* glibc's way: it frees */
        rp_free(block);
        return NULL;
    }
    return checked(rp_resize(heap, block, size_bytes));
}

EXPORT void *reallocarray(void *block, size_t count, size_t size_bytes)
{
    size_t bytes;
    rp_allocator *heap = runner_heap_for(CALLER);
    if (!heap || !rp_mul_size(count, size_bytes, &bytes)) {
        return checked(NULL);
    }
    return checked(rp_resize(heap, block, bytes));
}

EXPORT void free(void *block)
{
    if (block) {
        int kept = errno; /* POSIX: free leaves errno alone */
        rp_free(block);
        errno = kept;
    }
}

static void *aligned(const void *caller, size_t align_bytes, size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(caller);
    if (!heap || !rp_is_power_of_two(align_bytes)) {
        errno = heap ? EINVAL : ENOMEM;
        return NULL;
    }
    return checked(rp_alloc_aligned(heap, align_bytes, size_bytes));
}

EXPORT int posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    if (align_bytes < sizeof(void *) || !rp_is_power_of_two(align_bytes)) {
        return EINVAL;
    }
    int kept = errno;
    void *made = aligned(CALLER, align_bytes, size_bytes);
    errno = kept;
    if (!made) {
        return ENOMEM;
    }
    *block = made;
    return 0;
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
    return aligned(CALLER, align_bytes, size_bytes);
}

EXPORT void *memalign(size_t align_bytes, size_t size_bytes)
{
    return aligned(CALLER, align_bytes, size_bytes);
}

EXPORT void *valloc(size_t size_bytes)
{
    return aligned(CALLER, RP_PAGE_BYTES, size_bytes);
}

EXPORT void *pvalloc(size_t size_bytes)
{
    return aligned(CALLER, RP_PAGE_BYTES, rp_align_up(size_bytes, RP_PAGE_BYTES));
}

EXPORT size_t malloc_usable_size(void *block)
{
    return rp_usable_bytes(block);
}

/* ---- C++: operator new and delete, by their mangled names, so that the class is that of the code
 * which says `new` and not libstdc++'s. A failure is the C++ library's to throw: it is asked by the
 * weak name. */

extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

static void *made_or_thrown(void *block)
{
    if (!block) {
        if (_ZSt17__throw_bad_allocv) {
            _ZSt17__throw_bad_allocv();
        }
        runner_fail(LINK_CRASH_HEAP, 0, "operator new: out of memory");
    }
    return block;
}

static void *plain(const void *caller, size_t size_bytes)
{
    rp_allocator *heap = runner_heap_for(caller);
    return heap ? rp_alloc(heap, size_bytes) : NULL;
}

#define OPERATOR(name, parameters) \
    EXPORT void *name parameters;  \
    EXPORT void *name parameters
#define OPERATOR_DELETE(name, parameters) \
    EXPORT void name parameters;          \
    EXPORT void name parameters           \
    {                                     \
        rp_free(block);                   \
    }

OPERATOR(_Znwm, (size_t size_bytes))
{
    return made_or_thrown(plain(CALLER, size_bytes));
}
OPERATOR(_Znam, (size_t size_bytes))
{
    return made_or_thrown(plain(CALLER, size_bytes));
}
OPERATOR(_ZnwmRKSt9nothrow_t, (size_t size_bytes, const void *nothrow))
{
    (void)nothrow;
    return plain(CALLER, size_bytes);
}
OPERATOR(_ZnamRKSt9nothrow_t, (size_t size_bytes, const void *nothrow))
{
    (void)nothrow;
    return plain(CALLER, size_bytes);
}
OPERATOR(_ZnwmSt11align_val_t, (size_t size_bytes, size_t align_bytes))
{
    return made_or_thrown(aligned(CALLER, align_bytes, size_bytes));
}
OPERATOR(_ZnamSt11align_val_t, (size_t size_bytes, size_t align_bytes))
{
    return made_or_thrown(aligned(CALLER, align_bytes, size_bytes));
}
OPERATOR_DELETE(_ZdlPv, (void *block))
OPERATOR_DELETE(_ZdaPv, (void *block))
OPERATOR_DELETE(_ZdlPvm, (void *block, size_t size_bytes __attribute__((unused))))
OPERATOR_DELETE(_ZdaPvm, (void *block, size_t size_bytes __attribute__((unused))))
OPERATOR_DELETE(_ZdlPvSt11align_val_t, (void *block, size_t align_bytes __attribute__((unused))))
OPERATOR_DELETE(_ZdaPvSt11align_val_t, (void *block, size_t align_bytes __attribute__((unused))))
OPERATOR_DELETE(_ZdlPvmSt11align_val_t, (void *block, size_t size_bytes __attribute__((unused)),
                                         size_t align_bytes __attribute__((unused))))
OPERATOR_DELETE(_ZdaPvmSt11align_val_t, (void *block, size_t size_bytes __attribute__((unused)),
                                         size_t align_bytes __attribute__((unused))))
