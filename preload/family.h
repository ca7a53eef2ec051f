/* The malloc family over an allocator: what the C standard, POSIX and glibc's manual say of errno,
 * zero sizes, products that do not fit and alignments. Used by the preload library (preload/) and
 * by the runner (host/runner/malloc.c), which differ in how they choose the allocator.
 *
 * `allocator` may be null: there is no memory at all, and each call fails with ENOMEM. `caller`:
 * the code address that reports name.
 *
 * Threads: any.  Docs: docs/memory/malloc.md  Tests: tests/preload/
 */
#ifndef PRELOAD_FAMILY_H
#define PRELOAD_FAMILY_H

#include <alloc/allocator.h>
#include <base/bits.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who called the function that says it. */
#define FAMILY_CALLER __builtin_return_address(0)
#define FAMILY_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* The largest alignment of rp_alloc_aligned, and the one of every block. */
enum { FAMILY_ALIGN_MOST = 1 << 20, FAMILY_ALIGN = 16 };

static inline void *family_made(void *block)
{
    if (!FAMILY_LIKELY(block)) {
        errno = ENOMEM;
    }
    return block;
}

static inline void *family_malloc(rp_allocator *allocator, size_t size_bytes, const void *caller)
{
    return family_made(allocator ? rp_alloc_from(allocator, size_bytes, caller) : NULL);
}

static inline void *family_calloc(rp_allocator *allocator, size_t count, size_t size_bytes,
                                  const void *caller)
{
    return family_made(allocator ? rp_alloc_zeroed_from(allocator, count, size_bytes, caller)
                                 : NULL);
}

/* POSIX: errno stays as it was. */
static inline void family_free(void *block, const void *caller)
{
    int kept = errno;
    rp_free_from(block, SIZE_MAX, caller);
    errno = kept;
}

/* With size 0 it frees, as glibc's does; C23 leaves it open. */
static inline void *family_realloc(rp_allocator *allocator, void *block, size_t size_bytes,
                                   const void *caller)
{
    if (block && size_bytes == 0) {
        family_free(block, caller);
        return NULL;
    }
    return family_made(allocator ? rp_resize_from(allocator, block, size_bytes, caller) : NULL);
}

static inline void *family_reallocarray(rp_allocator *allocator, void *block, size_t count,
                                        size_t size_bytes, const void *caller)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        return family_made(NULL);
    }
    return family_realloc(allocator, block, total, caller);
}

/* EINVAL for an alignment that is no power of two. */
static inline void *family_memalign(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                                    const void *caller)
{
    if (!rp_is_power_of_two(align_bytes)) {
        errno = EINVAL;
        return NULL;
    }
    return family_made(allocator ? rp_alloc_aligned_from(allocator, align_bytes, size_bytes, caller)
                                 : NULL);
}

static inline bool family_posix_align_ok(size_t align_bytes)
{
    return align_bytes >= sizeof(void *) && rp_is_power_of_two(align_bytes);
}

/* Stores what `made` is, as posix_memalign does: the error is returned, and errno stays `kept`. */
static inline int family_posix_result(void **block, void *made, int kept)
{
    errno = kept;
    if (!made) {
        return ENOMEM;
    }
    *block = made;
    return 0;
}

static inline int family_posix_memalign(rp_allocator *allocator, void **block, size_t align_bytes,
                                        size_t size_bytes, const void *caller)
{
    int kept = errno;
    if (!family_posix_align_ok(align_bytes)) {
        return EINVAL;
    }
    return family_posix_result(block, family_memalign(allocator, align_bytes, size_bytes, caller),
                               kept);
}

/* The size of pvalloc: whole pages; false where that does not fit. */
static inline bool family_whole_pages(size_t size_bytes, size_t *rounded)
{
    *rounded = rp_align_up(size_bytes, RP_PAGE_BYTES);
    return *rounded >= size_bytes;
}

static inline void *family_pvalloc(rp_allocator *allocator, size_t size_bytes, const void *caller)
{
    size_t rounded;
    return family_whole_pages(size_bytes, &rounded)
               ? family_memalign(allocator, RP_PAGE_BYTES, rounded, caller)
               : family_made(NULL);
}

#endif
