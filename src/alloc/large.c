/* Large blocks: each is a run of the region's units. */
#include "alloc/generic.h"
#include "base/error.h"

static size_t total_bytes(const rp_unit *head)
{
    return (size_t)head->unit_count << RP_UNIT_SHIFT;
}

static size_t offset_bytes(const rp_unit *head)
{
    return (size_t)large_of((rp_unit *)head)->offset_units << RP_UNIT_SHIFT;
}

size_t rp_large_bytes(const rp_unit *head)
{
    return total_bytes(head) - offset_bytes(head);
}

void *rp_large_start(const rp_unit *head)
{
    return (uint8_t *)rp_region_unit_start(head) + offset_bytes(head);
}

static void count(rp_heap *heap, int64_t blocks, int64_t bytes)
{
    heap->large_count += (uint64_t)blocks;
    heap->large_bytes += (uint64_t)bytes;
    rp_heap_count(heap, bytes);
}

void *rp_large_alloc(rp_heap *heap, size_t size_bytes, size_t align_bytes)
{
    if (size_bytes > RP_REGION_RESERVE_BYTES) {
        rp_fail(RP_E_MEMORY,
                "heap %s: no block of %zu bytes: the largest region is 256 GiB: ask for "
                "less",
                heap->base.name, size_bytes);
        return NULL;
    }
    size_t extra = align_bytes > RP_UNIT_BYTES ? align_bytes - RP_UNIT_BYTES : 0;
    size_t whole = rp_align_up(rp_max_size(size_bytes, 1), RP_UNIT_BYTES);
    uint8_t *start = rp_heap_take(heap, whole + extra, RP_BLOCK_LARGE);
    if (!start) {
        return NULL;
    }
    rp_unit *head = rp_region_unit(start);
    size_t offset = rp_align_up((uintptr_t)start, align_bytes) - (uintptr_t)start;
    *large_of(head) = (large_book){.offset_units = (uint32_t)(offset >> RP_UNIT_SHIFT)};
    if (offset < extra && rp_region_block_resize(start, offset + whole)) {
        rp_heap_uncharge(heap, extra - offset);
    }
    rp_list_push((rp_zone)heap->base.zone, &heap->large, head);
    count(heap, 1, (int64_t)rp_large_bytes(head));
    return start + offset;
}

void rp_large_free(rp_heap *heap, rp_unit *head)
{
    count(heap, -1, -(int64_t)rp_large_bytes(head));
    rp_list_remove((rp_zone)heap->base.zone, &heap->large, head);
    rp_heap_give(heap, rp_region_unit_start(head), total_bytes(head));
}

bool rp_large_resize(rp_heap *heap, rp_unit *head, size_t size_bytes)
{
    if (size_bytes > RP_REGION_RESERVE_BYTES) {
        return false;
    }
    size_t old_total = total_bytes(head), old_bytes = rp_large_bytes(head);
    size_t new_total = rp_align_up(size_bytes, RP_UNIT_BYTES) + offset_bytes(head);
    size_t more = new_total > old_total ? new_total - old_total : 0;
    if (more && !rp_heap_charge(heap, more)) {
        return false;
    }
    if (!rp_region_block_resize(rp_region_unit_start(head), new_total)) {
        rp_heap_uncharge(heap, more);
        return false;
    }
    rp_heap_uncharge(heap, old_total + more - new_total);
    count(heap, 0, (int64_t)rp_large_bytes(head) - (int64_t)old_bytes);
    return true;
}
