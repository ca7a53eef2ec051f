/* Arithmetic on sizes, addresses and bits. All of it inline, none of it allocates.
 *
 * Layer: base.
 */
#ifndef RP_BASE_BITS_H
#define RP_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_KIB(n) ((size_t)(n) << 10)
#define RP_MIB(n) ((size_t)(n) << 20)
#define RP_GIB(n) ((size_t)(n) << 30)
#define RP_COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The page of history and of every guard: 4 KiB on all targets, whatever the system's page is. */
#define RP_PAGE_SHIFT 12
#define RP_PAGE_BYTES ((size_t)1 << RP_PAGE_SHIFT)

static inline bool rp_is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* `align` is a power of two. */
static inline uint64_t rp_align_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static inline uint64_t rp_align_down(uint64_t n, uint64_t align)
{
    return n & ~(align - 1);
}

/* Index of the highest set bit; n must not be 0. */
static inline unsigned rp_log2(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

static inline size_t rp_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t rp_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a * b in *product; false when it does not fit. */
static inline bool rp_mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

#endif
