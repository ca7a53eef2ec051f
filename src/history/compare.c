/* Finding changed pages by comparing them with their images: the way that works everywhere, and the
 * only one for pages that lie in a range only partly.
 */
#include "history/page.h"
#include "history/world_private.h"

static const uint8_t zeros[RP_PAGE_BYTES];

static const uint8_t *image_or_zeros(const rp_world *world, uint32_t page)
{
    const uint8_t *image = rp_world_page_image(world, page);
    return image ? image : zeros;
}

static bool is_scratch(const rp_world *world, const uint8_t *address)
{
    return address >= world->scratch_start && address < world->scratch_end;
}

bool world_page_is_clean(const rp_world *world, uint32_t page)
{
    world_bytes bytes;
    if (!world_page_bytes(world, page, &bytes)) {
        return true;
    }
    if (page < RP_PAGE_EXTRA && rp_region_is_guard(bytes.address)) {
        const void *image = rp_world_page_image(world, page);
        return !image || rp_page_is_zero(image);
    }
    const uint8_t *image = image_or_zeros(world, page) + bytes.offset;
    return memcmp(bytes.address, image, bytes.size_bytes) == 0;
}

rp_status world_compare_area(rp_world *world, world_area area)
{
    rp_status status = RP_OK;
    uint32_t count = (uint32_t)(area.size_bytes >> RP_PAGE_SHIFT);
    for (uint32_t i = 0; i < count && status == RP_OK; i++) {
        uint8_t *address = area.start + (size_t)i * RP_PAGE_BYTES;
        if (is_scratch(world, address)) {
            if (!rp_page_is_zero(address)) {
                memset(address, 0, RP_PAGE_BYTES);
            }
        } else if (!world_page_is_clean(world, area.page + i)) {
            status = world_add_pending(world, area.page + i, 1);
        }
    }
    return status;
}

static rp_status compare_page(rp_world *world, uint32_t page)
{
    return world_page_is_clean(world, page) ? RP_OK : world_add_pending(world, page, 1);
}

rp_status world_compare_edges(rp_world *world, const rp_world_range *range)
{
    uintptr_t end = (uintptr_t)range->start + range->size_bytes;
    uint32_t pages = rp_world_range_pages(range->start, range->size_bytes);
    bool starts_inside = (uintptr_t)range->start % RP_PAGE_BYTES != 0;
    bool ends_inside = end % RP_PAGE_BYTES != 0;
    rp_status status = RP_OK;
    if (starts_inside) {
        status = compare_page(world, range->first_page);
    }
    if (status == RP_OK && ends_inside && (pages > 1 || !starts_inside)) {
        status = compare_page(world, range->first_page + pages - 1);
    }
    return status;
}
