/* Ranges of bytes outside the region that are state. Page numbers, not addresses, name their pages,
 * so that a range keeps its name where another process has it elsewhere.
 */
#include "base/error.h"
#include "base/text.h"
#include "history/world_private.h"

uint32_t rp_world_range_pages(const void *start, size_t size_bytes)
{
    uintptr_t first = rp_align_down((uintptr_t)start, RP_PAGE_BYTES);
    uintptr_t end = rp_align_up((uintptr_t)start + size_bytes, RP_PAGE_BYTES);
    return size_bytes ? (uint32_t)((end - first) >> RP_PAGE_SHIFT) : 0;
}

static uint32_t pages_of(const rp_world_range *range)
{
    return rp_world_range_pages(range->start, range->size_bytes);
}

world_area world_range_middle(const rp_world_range *range)
{
    uintptr_t start = (uintptr_t)range->start, end = start + range->size_bytes;
    uintptr_t first = rp_align_up(start, RP_PAGE_BYTES), last = rp_align_down(end, RP_PAGE_BYTES);
    return (world_area){
        .start = (uint8_t *)first,
        .size_bytes = last > first ? last - first : 0,
        .page = range->first_page + (start % RP_PAGE_BYTES != 0),
    };
}

/* The place in range_order of the last range that begins at or before a page; SIZE_MAX: none. */
static size_t order_find(const rp_world *world, uint32_t page)
{
    size_t low = 0, high = world->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (world->ranges[world->range_order[middle]].first_page <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

uint32_t world_range_of(const rp_world *world, uint32_t page)
{
    size_t place = order_find(world, page);
    if (place == SIZE_MAX) {
        return UINT32_MAX;
    }
    uint32_t index = world->range_order[place];
    const rp_world_range *range = &world->ranges[index];
    return page - range->first_page < pages_of(range) ? index : UINT32_MAX;
}

bool world_page_bytes(const rp_world *world, uint32_t page, world_bytes *bytes)
{
    if (page < RP_PAGE_EXTRA) {
        *bytes = (world_bytes){world_page_start(page), 0, RP_PAGE_BYTES};
        return rp_region_contains(bytes->address) == 1;
    }
    uint32_t index = world_range_of(world, page);
    if (index == UINT32_MAX) {
        return false;
    }
    const rp_world_range *range = &world->ranges[index];
    uintptr_t start = (uintptr_t)range->start, end = start + range->size_bytes;
    uintptr_t base = rp_align_down(start, RP_PAGE_BYTES) +
                     ((uintptr_t)(page - range->first_page) << RP_PAGE_SHIFT);
    uintptr_t from = base > start ? base : start;
    uintptr_t to = base + RP_PAGE_BYTES < end ? base + RP_PAGE_BYTES : end;
    *bytes = (world_bytes){(uint8_t *)from, from - base, to - from};
    return true;
}

static rp_status check_range(const rp_world *world, const rp_world_range *range)
{
    uintptr_t start = (uintptr_t)range->start, end = start + range->size_bytes;
    uint32_t pages = pages_of(range);
    if (!range->size_bytes || end < start || range->first_page < RP_PAGE_EXTRA ||
        range->first_page >= RP_PAGE_LIMIT || pages > RP_PAGE_LIMIT - range->first_page ||
        rp_region_contains(range->start) == 1) {
        return rp_fail(
            RP_E_ARGUMENT,
            "history: range %s (%zu bytes at %p, page %u) cannot be: it must lie outside "
            "the world zone, not be empty, and have page numbers from %u to %u",
            range->name, range->size_bytes, (void *)range->start, range->first_page, RP_PAGE_EXTRA,
            RP_PAGE_LIMIT);
    }
    for (size_t i = 0; i < world->range_count; i++) {
        const rp_world_range *other = &world->ranges[i];
        uintptr_t other_start = (uintptr_t)other->start;
        bool bytes_meet = start < other_start + other->size_bytes && other_start < end;
        bool pages_meet = range->first_page < other->first_page + pages_of(other) &&
                          other->first_page < range->first_page + pages;
        if (bytes_meet || pages_meet) {
            return rp_fail(RP_E_ARGUMENT,
                           "history: range %s overlaps range %s in its %s: declare each byte once",
                           range->name, other->name, bytes_meet ? "bytes" : "page numbers");
        }
    }
    return RP_OK;
}

/* What the system does not let us track, such as a shared mapping, is compared. */
static void track_range(rp_world *world, size_t index)
{
    world_area middle = world_range_middle(&world->ranges[index]);
    bool tracked = world_tracks(world) &&
                   (middle.size_bytes == 0 ||
                    rp_os_track_add(&world->tracker, middle.start, middle.size_bytes) == RP_OK);
    world->range_states[index] = (world_range_state){.compared = !tracked};
}

static void order_insert(rp_world *world, size_t index)
{
    size_t place = order_find(world, world->ranges[index].first_page) + 1;
    for (size_t i = world->range_count; i > place; i--) {
        world->range_order[i] = world->range_order[i - 1];
    }
    world->range_order[place] = (uint16_t)index;
}

rp_status rp_world_range_add(rp_world *world, void *start, size_t size_bytes, uint32_t first_page,
                             const char *name)
{
    if (world->range_count == RP_RANGE_MAX) {
        return rp_fail(RP_E_LIMIT, "history: range %s: there are %d already: declare larger ranges",
                       name, RP_RANGE_MAX);
    }
    size_t index = world->range_count;
    rp_world_range *range = &world->ranges[index];
    *range = (rp_world_range){.start = start, .size_bytes = size_bytes, .first_page = first_page};
    rp_text_copy(range->name, sizeof range->name, name ? name : "");
    rp_status status = check_range(world, range);
    uint32_t pages = pages_of(range);
    if (status == RP_OK) {
        status = rp_sparse_need(&world->images, first_page, pages);
    }
    if (status != RP_OK) {
        return status;
    }
    status = world_add_pending(world, first_page, pages);
    if (status == RP_OK) {
        track_range(world, index);
        order_insert(world, index);
        world->range_count++;
    }
    return status;
}

static void forget_range(rp_world *world, size_t index)
{
    const rp_world_range *range = &world->ranges[index];
    world_area middle = world_range_middle(range);
    if (!world->range_states[index].compared && middle.size_bytes) {
        /* Its memory may be unmapped by now; then nothing is left to be given up. */
        (void)rp_os_track_remove(&world->tracker, middle.start, middle.size_bytes);
    }
    for (uint32_t i = 0; i < pages_of(range); i++) {
        world->pending.words[range->first_page + i] = 0;
    }
}

void rp_world_range_cut(rp_world *world, size_t keep_count)
{
    size_t kept = 0;
    for (size_t i = keep_count; i < world->range_count; i++) {
        forget_range(world, i);
    }
    world_pending_compact(world);
    for (size_t i = 0; i < world->range_count; i++) {
        if (world->range_order[i] < keep_count) {
            world->range_order[kept++] = world->range_order[i];
        }
    }
    world->range_count = kept;
}

size_t rp_world_ranges(const rp_world *world, const rp_world_range **ranges)
{
    *ranges = world->ranges;
    return world->range_count;
}
