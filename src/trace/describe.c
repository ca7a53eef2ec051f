/* Whose memory an address is, in a line. Layer: trace. */
#include "alloc/allocator.h"
#include "region/region.h"
#include "trace/trace.h"

static void add_distance(rp_text_buffer *text, const void *address, const void *start,
                         uint64_t size_bytes)
{
    uint64_t offset = (uint64_t)((const uint8_t *)address - (const uint8_t *)start);
    rp_text_add(text, "%llu bytes into a block of %llu", (unsigned long long)offset,
                (unsigned long long)size_bytes);
}

/* Of a tracked block more is known: its scope, and the site with its type. */
static bool add_tracked(rp_text_buffer *text, const void *address)
{
    rp_trace_block block;
    char path[256], name[RP_TRACE_SITE_BYTES];
    uint64_t offset;
    if (!rp_trace_find(address, &block)) {
        return false;
    }
    offset = (uint64_t)((const uint8_t *)address - (const uint8_t *)block.start);
    if (offset >= block.record->size_bytes) {
        return false;
    }
    rp_zone zone = rp_region_contains(address) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP;
    rp_trace_scope_path(zone, block.record->scope, path, sizeof path);
    const char *site = rp_trace_site_name(zone, block.record->site, name, sizeof name);
    add_distance(text, address, block.start, block.record->size_bytes);
    rp_text_add(text, "%s of heap '%s', scope %s%s%s", block.live ? "" : " (freed)",
                block.allocator ? rp_allocator_name(block.allocator) : "-", path,
                site[0] ? ", made at " : "", site);
    return true;
}

void rp_trace_describe(rp_text_buffer *text, const void *address)
{
    rp_alloc_found found;
    rp_region_block block;
    if (!rp_region_contains(address)) {
        rp_text_add(text, "memory outside the region");
    } else if (!rp_region_block_find(address, &block)) {
        rp_text_add(text, "the region's own tables, or memory that is free");
    } else if (add_tracked(text, address)) {
        return;
    } else if (!rp_alloc_find(address, &found)) {
        rp_text_add(text, "memory of the allocators themselves");
    } else if (!found.size_bytes) {
        rp_text_add(text, "memory of %s '%s'", rp_allocator_kind_name(found.allocator),
                    rp_allocator_name(found.allocator));
    } else {
        add_distance(text, address, found.start, found.size_bytes);
        rp_text_add(text, "%s of heap '%s'", found.live ? "" : " (free)",
                    rp_allocator_name(found.allocator));
    }
}
