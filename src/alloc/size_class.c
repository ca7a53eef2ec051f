/* The size classes: steps of 16 bytes to 128, then four a doubling to 32 KiB, so that at most a
 * fifth of a block beyond 128 bytes is unused.
 *
 * Every block is aligned to the largest power of two that divides its size.
 */
#include "alloc/heap.h"

#define LOW_BIT(bytes) ((bytes) & (~(bytes) + 1u))
#define BITMAP_BYTES(bytes) ((65536u / (bytes) + 31u) / 32u * 4u)
#define ROUND_UP(n, step) (((n) + (step)-1u) / (step) * (step))
#define FIRST(bytes) ((bytes) >= 2048u ? 0u : ROUND_UP(BITMAP_BYTES(bytes), LOW_BIT(bytes)))
#define CLASS(bytes)                                                                      \
    {                                                                                     \
        bytes, (65536u - FIRST(bytes)) / (bytes), FIRST(bytes), UINT32_MAX / (bytes) + 1u \
    }
#define DOUBLING(low) \
    CLASS((low) / 4 * 5), CLASS((low) / 4 * 6), CLASS((low) / 4 * 7), CLASS((low)*2)

const size_class rp_heap_classes[CLASS_COUNT] = {
    CLASS(16u),      CLASS(32u),      CLASS(48u),      CLASS(64u),
    CLASS(80u),      CLASS(96u),      CLASS(112u),     CLASS(128u),
    DOUBLING(128u),  DOUBLING(256u),  DOUBLING(512u),  DOUBLING(1024u),
    DOUBLING(2048u), DOUBLING(4096u), DOUBLING(8192u), DOUBLING(16384u),
};

uint32_t rp_heap_class_aligned(size_t size_bytes, size_t align_bytes)
{
    size_t least = rp_max_size(size_bytes, align_bytes);
    if (least > CLASS_LARGEST_BYTES) {
        return CLASS_NONE;
    }
    uint32_t index = class_of(least);
    while (rp_heap_classes[index].block_bytes % align_bytes) {
        index++; /* ends at a power of two, four classes on at the latest */
    }
    return index;
}
