/* The C functions of the malloc family. */
#include "preload/preload.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* In the headers of a later C library, or in none. */
void cfree(void *block);
void free_sized(void *block, size_t size_bytes);
void free_aligned_sized(void *block, size_t align_bytes, size_t size_bytes);

/* ---- the fast ones ---- */

void *preload_malloc_slow(size_t size_bytes, const void *caller)
{
    if (!preload_allocator()) {
        return next_malloc(size_bytes);
    }
    void *block = rp_generic_malloc_slow(size_bytes, caller);
    return FAMILY_LIKELY(block) ? block : preload_spill(FAMILY_ALIGN, size_bytes);
}

void preload_free_slow(void *block, size_t size_bytes, const void *caller)
{
    if (!block) {
        return;
    }
    int kept = errno; /* POSIX: free leaves it alone */
    if (!rp_region_contains(block)) {
        next_free(block, caller);
    } else {
        rp_free_from(block, size_bytes, caller);
    }
    errno = kept;
}

/* The fast halves need no frame; the slow ones have their own, so a stack misses nothing. */
#if defined __GNUC__ && !defined __clang__
#define FRAMELESS __attribute__((optimize("omit-frame-pointer")))
#else
#define FRAMELESS
#endif

FRAMELESS void *malloc(size_t size_bytes)
{
    return preload_malloc(size_bytes, FAMILY_CALLER);
}

FRAMELESS void free(void *block)
{
    preload_free(block, SIZE_MAX, FAMILY_CALLER);
}

void *calloc(size_t count, size_t size_bytes)
{
    rp_allocator *world = preload_allocator();
    if (!world) {
        return next_calloc(count, size_bytes);
    }
    void *block = family_calloc(world, count, size_bytes, FAMILY_CALLER);
    size_t total;
    if (FAMILY_LIKELY(block) || !rp_mul_size(count, size_bytes, &total)) {
        return block;
    }
    block = preload_spill(FAMILY_ALIGN, total);
    return block ? memset(block, 0, total) : NULL;
}

/* ---- resizing: a block stays with the allocator that made it, as long as that has room ---- */

static void *moved_out(void *block, size_t size_bytes, const void *caller)
{
    size_t old_bytes = rp_usable_bytes(block);
    void *moved = preload_spill(FAMILY_ALIGN, size_bytes);
    if (moved) {
        memcpy(moved, block, rp_min_size(old_bytes, size_bytes));
        family_free(block, caller);
    }
    return moved;
}

static void *resized(void *block, size_t size_bytes, const void *caller)
{
    if (!block) {
        return preload_malloc(size_bytes, caller);
    }
    if (!rp_region_contains(block)) {
        return next_realloc(block, size_bytes, caller);
    }
    void *moved = family_realloc(preload_world, block, size_bytes, caller);
    return FAMILY_LIKELY(moved) || size_bytes == 0 ? moved : moved_out(block, size_bytes, caller);
}

void *realloc(void *block, size_t size_bytes)
{
    return resized(block, size_bytes, FAMILY_CALLER);
}

void *reallocarray(void *block, size_t count, size_t size_bytes)
{
    size_t total;
    return rp_mul_size(count, size_bytes, &total) ? resized(block, total, FAMILY_CALLER)
                                                  : family_made(NULL);
}

/* ---- aligned ---- */

void *preload_memalign(size_t align_bytes, size_t size_bytes, const void *caller)
{
    rp_allocator *world = preload_allocator();
    if (!world || align_bytes > FAMILY_ALIGN_MOST) {
        return next_memalign(align_bytes, size_bytes);
    }
    void *block = family_memalign(world, align_bytes, size_bytes, caller);
    return FAMILY_LIKELY(block) || !rp_is_power_of_two(align_bytes)
               ? block
               : preload_spill(align_bytes, size_bytes);
}

void *memalign(size_t align_bytes, size_t size_bytes)
{
    return preload_memalign(align_bytes, size_bytes, FAMILY_CALLER);
}

void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
    return preload_memalign(align_bytes, size_bytes, FAMILY_CALLER);
}

int posix_memalign(void **block, size_t align_bytes, size_t size_bytes)
{
    int kept = errno;
    if (!family_posix_align_ok(align_bytes)) {
        return EINVAL;
    }
    return family_posix_result(block, preload_memalign(align_bytes, size_bytes, FAMILY_CALLER),
                               kept);
}

void *valloc(size_t size_bytes)
{
    return preload_memalign(RP_PAGE_BYTES, size_bytes, FAMILY_CALLER);
}

void *pvalloc(size_t size_bytes)
{
    size_t rounded;
    return family_whole_pages(size_bytes, &rounded)
               ? preload_memalign(RP_PAGE_BYTES, rounded, FAMILY_CALLER)
               : family_made(NULL);
}

/* ---- the others ---- */

void cfree(void *block)
{
    free(block);
}

void free_sized(void *block, size_t size_bytes)
{
    preload_free(block, size_bytes, FAMILY_CALLER);
}

void free_aligned_sized(void *block, size_t align_bytes, size_t size_bytes)
{
    (void)align_bytes;
    preload_free(block, size_bytes, FAMILY_CALLER);
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
    return preload_memalign(align_bytes, size_bytes, FAMILY_CALLER);
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
