/* The C functions of the malloc family. Each names its caller for reports, so none may be called by
 * another one here; the compiler is told that these are no builtins. */
#include "preload/preload.h"

#include <malloc.h>
#include <stdlib.h>

/* In the headers of a later C library, or in none. */
void cfree(void *block);
void free_sized(void *block, size_t size_bytes);
void free_aligned_sized(void *block, size_t align_bytes, size_t size_bytes);

/* ---- the fast ones ---- */

void *malloc(size_t size_bytes)
{
    rp_allocator *world = preload_allocator();
    return FAMILY_LIKELY(world) ? family_malloc(world, size_bytes) : next_malloc(size_bytes);
}

void *calloc(size_t count, size_t size_bytes)
{
    rp_allocator *world = preload_allocator();
    return FAMILY_LIKELY(world) ? family_calloc(world, count, size_bytes)
                                : next_calloc(count, size_bytes);
}

void free(void *block)
{
    if (FAMILY_LIKELY(rp_region_contains(block))) {
        family_free(block);
    } else if (block) {
        next_free(block, FAMILY_CALLER);
    }
}

/* A block stays with the allocator that made it. */
static inline void *resized(void *block, size_t size_bytes, const void *caller)
{
    if (block && !rp_region_contains(block)) {
        return next_realloc(block, size_bytes, caller);
    }
    rp_allocator *world = preload_allocator();
    return world ? family_realloc(world, block, size_bytes) : next_malloc(size_bytes);
}

void *realloc(void *block, size_t size_bytes)
{
    return resized(block, size_bytes, FAMILY_CALLER);
}

void *reallocarray(void *block, size_t count, size_t size_bytes)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        return family_made(NULL);
    }
    return resized(block, total, FAMILY_CALLER);
}

/* ---- aligned ---- */

static inline void *aligned(size_t align_bytes, size_t size_bytes)
{
    rp_allocator *world = preload_allocator();
    if (world && align_bytes <= FAMILY_ALIGN_MOST) {
        return family_memalign(world, align_bytes, size_bytes);
    }
    return next_memalign(align_bytes, size_bytes);
}

void *memalign(size_t align_bytes, size_t size_bytes)
{
    return aligned(align_bytes, size_bytes);
}

void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
    return aligned(align_bytes, size_bytes);
}

int posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    int kept = errno;
    if (!family_posix_align_ok(align_bytes)) {
        return EINVAL;
    }
    return family_posix_result(block, aligned(align_bytes, size_bytes), kept);
}

void *valloc(size_t size_bytes)
{
    return aligned(RP_PAGE_BYTES, size_bytes);
}

void *pvalloc(size_t size_bytes)
{
    size_t rounded;
    return family_whole_pages(size_bytes, &rounded) ? aligned(RP_PAGE_BYTES, rounded)
                                                    : family_made(NULL);
}

/* ---- the others ---- */

void cfree(void *block)
{
    free(block);
}

void free_sized(void *block, size_t size_bytes)
{
    if (FAMILY_LIKELY(rp_region_contains(block))) {
        family_free_sized(block, size_bytes);
    } else if (block) {
        next_free(block, FAMILY_CALLER);
    }
}

void free_aligned_sized(void *block, size_t align_bytes, size_t size_bytes)
{
    (void)align_bytes;
    free_sized(block, size_bytes);
}

size_t malloc_usable_size(void *block)
{
    if (!block) {
        return 0;
    }
    return rp_region_contains(block) ? rp_usable_bytes(block) : next_usable_size(block);
}

/* ---- the C library's second names, which wrappers of malloc call ---- */

void *__libc_malloc(size_t size_bytes);
void *__libc_calloc(size_t count, size_t size_bytes);
void *__libc_realloc(void *block, size_t size_bytes);
void *__libc_reallocarray(void *block, size_t count, size_t size_bytes);
void *__libc_memalign(size_t align_bytes, size_t size_bytes);
void *__libc_valloc(size_t size_bytes);
void *__libc_pvalloc(size_t size_bytes);
void __libc_free(void *block);
void __libc_cfree(void *block);
int __posix_memalign(void **block, size_t align_bytes, size_t size_bytes);

void *__libc_malloc(size_t size_bytes)
{
    return malloc(size_bytes);
}

void *__libc_calloc(size_t count, size_t size_bytes)
{
    return calloc(count, size_bytes);
}

void *__libc_realloc(void *block, size_t size_bytes)
{
    return realloc(block, size_bytes);
}

void *__libc_reallocarray(void *block, size_t count, size_t size_bytes)
{
    return reallocarray(block, count, size_bytes);
}

void *__libc_memalign(size_t align_bytes, size_t size_bytes)
{
    return aligned(align_bytes, size_bytes);
}

void *__libc_valloc(size_t size_bytes)
{
    return valloc(size_bytes);
}

void *__libc_pvalloc(size_t size_bytes)
{
    return pvalloc(size_bytes);
}

void __libc_free(void *block)
{
    free(block);
}

void __libc_cfree(void *block)
{
    free(block);
}

int __posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    return posix_memalign(block, align_bytes, size_bytes);
}
