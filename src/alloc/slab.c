/* Small blocks: one unit cut into blocks of one class, with a bitmap of the live ones. */
#include "alloc/heap.h"

#include <string.h>

#define BLOCK_NOT_AT_START UINT32_MAX

static uint32_t *live_words(rp_unit *unit)
{
    bool in_map = slab_class(unit)->first_offset == 0;
    return in_map ? &slab_of(unit)->small_live : (uint32_t *)rp_region_unit_start(unit);
}

const uint32_t *rp_heap_slab_live(rp_unit *unit)
{
    return live_words(unit);
}

/* The index of the block that starts at `address`. The reciprocal is exact for offsets below 2^16.
 */
static uint32_t block_index(const rp_unit *unit, const void *address)
{
    const size_class *class = slab_class(unit);
    uint32_t offset = (uint32_t)((uintptr_t)address % RP_UNIT_BYTES);
    if (offset < class->first_offset) {
        return BLOCK_NOT_AT_START;
    }
    offset -= class->first_offset;
    uint32_t index = (uint32_t)((uint64_t)offset * class->reciprocal >> 32);
    bool starts = index * class->block_bytes == offset && index < class->block_count;
    return starts ? index : BLOCK_NOT_AT_START;
}

block_state rp_heap_slab_look(rp_unit *unit, const void *address)
{
    uint32_t index = block_index(unit, address);
    if (index == BLOCK_NOT_AT_START) {
        return BLOCK_INSIDE;
    }
    return live_words(unit)[index / 32] >> (index % 32) & 1 ? BLOCK_LIVE : BLOCK_DEAD;
}

/* ---- making ---- */

static void format(rp_unit *unit, uint32_t class_index)
{
    unit->size_class = (uint8_t)class_index;
    uint32_t count = slab_class(unit)->block_count;
    *slab_of(unit) = (slab_book){0};
    uint32_t *live = live_words(unit);
    memset(live, 0, (count + 31) / 32 * sizeof *live);
    if (count % 32) {
        live[count / 32] = ~UINT32_C(0) << (count % 32);
    }
}

static rp_unit *slab_make(rp_heap *heap, uint32_t class_index)
{
    rp_unit *unit;
    if (heap->spare) {
        unit = rp_region_unit_at(heap->base.zone, heap->spare);
        rp_heap_list_remove(heap->base.zone, &heap->spare, unit);
        heap->spare_count--;
    } else {
        void *start = rp_heap_take(heap, RP_UNIT_BYTES, RP_BLOCK_SLAB);
        if (!start) {
            return NULL;
        }
        unit = rp_region_unit(start);
    }
    format(unit, class_index);
    rp_heap_list_push(heap->base.zone, &heap->partial[class_index], unit);
    return unit;
}

/* The lowest free block from the hint on. There is one. */
static void *take_block(rp_unit *unit)
{
    const size_class *class = slab_class(unit);
    slab_book *book = slab_of(unit);
    uint32_t *live = live_words(unit), word = book->hint;
    uint32_t word_count = (class->block_count + 31) / 32;
    for (uint32_t tried = 0; live[word] == UINT32_MAX; tried++) {
        RP_ASSERT(tried < word_count); /* else something wrote over the bitmap */
        word = word + 1 < word_count ? word + 1 : 0;
    }
    uint32_t bit = (uint32_t)__builtin_ctz(~live[word]);
    live[word] |= UINT32_C(1) << bit;
    book->hint = (uint16_t)word;
    book->used++;
    size_t offset = class->first_offset + (size_t)(word * 32 + bit) * class->block_bytes;
    return (uint8_t *)rp_region_unit_start(unit) + offset;
}

void *rp_heap_small_alloc(rp_heap *heap, uint32_t class_index)
{
    uint32_t *partial = &heap->partial[class_index];
    rp_unit *unit =
        *partial ? rp_region_unit_at(heap->base.zone, *partial) : slab_make(heap, class_index);
    if (!unit) {
        return NULL;
    }
    void *block = take_block(unit);
    if (slab_of(unit)->used == slab_class(unit)->block_count) {
        rp_heap_list_remove(heap->base.zone, partial, unit);
        rp_heap_list_push(heap->base.zone, &heap->full, unit);
    }
    rp_heap_count_live(heap, slab_class(unit)->block_bytes);
    return block;
}

/* ---- freeing ---- */

static void slab_retire(rp_heap *heap, rp_unit *unit)
{
    if (heap->spare_count < SPARE_SLABS) {
        rp_heap_list_push(heap->base.zone, &heap->spare, unit);
        heap->spare_count++;
    } else {
        rp_heap_give(heap, rp_region_unit_start(unit), RP_UNIT_BYTES);
    }
}

void rp_heap_small_free(rp_heap *heap, rp_unit *unit, const void *block)
{
    const size_class *class = slab_class(unit);
    slab_book *book = slab_of(unit);
    uint32_t index = block_index(unit, block), *partial = &heap->partial[unit->size_class];
    live_words(unit)[index / 32] &= ~(UINT32_C(1) << (index % 32));
    book->hint = (uint16_t)(index / 32); /* what was used last is taken first */
    if (book->used == class->block_count) {
        rp_heap_list_remove(heap->base.zone, &heap->full, unit);
        rp_heap_list_push(heap->base.zone, partial, unit);
    }
    rp_heap_count_dead(heap, class->block_bytes);
    if (--book->used == 0) {
        rp_heap_list_remove(heap->base.zone, partial, unit);
        slab_retire(heap, unit);
    }
}

void rp_heap_spare_release(rp_heap *heap)
{
    while (heap->spare) {
        rp_unit *unit = rp_region_unit_at(heap->base.zone, heap->spare);
        rp_heap_list_remove(heap->base.zone, &heap->spare, unit);
        rp_heap_give(heap, rp_region_unit_start(unit), RP_UNIT_BYTES);
    }
    heap->spare_count = 0;
}
