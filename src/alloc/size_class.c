/* The size classes: steps of 16 bytes to 128, then four a doubling to 32 KiB, so that at most a
 * fifth of a block beyond 128 bytes is unused.
 *
 * Every block is aligned to the largest power of two that divides its size.
 */
#include "alloc/generic.h"

/* A bin holds some 16 KiB, and no fewer blocks than make a refill worth it. */
#define LIMIT(bytes) ((bytes) >= 8192u ? 2 : 16384 / (int32_t)(bytes))
#define CLASS(bytes)                                                            \
    {                                                                           \
        bytes, 65536u / (bytes), LIMIT(bytes), 65536u / (bytes) * (bytes) / 16u \
    }
#define BIN(bytes)                                  \
    {                                               \
        NULL, LIMIT(bytes), (bytes) <= 512u ? 4 : 1 \
    }
#define RECIPROCAL(bytes) UINT32_MAX / (bytes) + 1u
#define DOUBLING(what, low) \
    what((low) / 4 * 5), what((low) / 4 * 6), what((low) / 4 * 7), what((low)*2)
#define ALL(what)                                                                                \
    what(16u), what(32u), what(48u), what(64u), what(80u), what(96u), what(112u), what(128u),    \
        DOUBLING(what, 128u), DOUBLING(what, 256u), DOUBLING(what, 512u), DOUBLING(what, 1024u), \
        DOUBLING(what, 2048u), DOUBLING(what, 4096u), DOUBLING(what, 8192u),                     \
        DOUBLING(what, 16384u)

const size_class rp_size_classes[CLASS_COUNT] = {{0}, ALL(CLASS)};
const cache_bin rp_fresh_bins[CLASS_COUNT] = {{0}, ALL(BIN)};
const uint32_t rp_class_reciprocals[CLASS_COUNT] = {0, ALL(RECIPROCAL)};

/* Size 0 gets the smallest. Steps of 32 bytes from 128 on, twice as wide with each doubling. */
#define X2(c) c, c
#define X4(c) X2(c), X2(c)
#define X8(c) X4(c), X4(c)
#define X16(c) X8(c), X8(c)
#define X32(c) X16(c), X16(c)
#define X64(c) X32(c), X32(c)
#define X128(c) X64(c), X64(c)
#define X256(c) X128(c), X128(c)
#define QUARTERS(times, first) times(first), times(first + 1), times(first + 2), times(first + 3)
const uint8_t rp_class_table[CLASS_LARGEST_BYTES / 16 + 1] = {
    1,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    QUARTERS(X2, 9),
    QUARTERS(X4, 13),
    QUARTERS(X8, 17),
    QUARTERS(X16, 21),
    QUARTERS(X32, 25),
    QUARTERS(X64, 29),
    QUARTERS(X128, 33),
    QUARTERS(X256, 37),
};

uint32_t rp_class_aligned(size_t size_bytes, size_t align_bytes)
{
    size_t least = rp_max_size(size_bytes, align_bytes);
    if (least > CLASS_LARGEST_BYTES) {
        return CLASS_NONE;
    }
    uint32_t index = class_of(least);
    while (rp_size_classes[index].block_bytes % align_bytes) {
        index++; /* ends at a power of two, four classes on at the latest */
    }
    return index;
}
