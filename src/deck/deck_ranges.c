/* What is declared: state outside the region, what is kept, what is derived from the state. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "region/region.h"

#include <string.h>

static rp_status check_call(const rp_deck *deck, const char *name, const void *start,
                            size_t size_bytes)
{
    if (deck->started) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': the first frame has begun: declare it before",
                       name);
    }
    if (!start || !size_bytes) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': it has no bytes: give its start and size", name);
    }
    if (size_bytes > UINTPTR_MAX - (uintptr_t)start) {
        return rp_fail(RP_E_ARGUMENT, "range '%s': %zu bytes at %p go beyond the address space",
                       name, size_bytes, start);
    }
    return RP_OK;
}

static bool bytes_meet(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    uintptr_t a_start = (uintptr_t)a, b_start = (uintptr_t)b;
    return a_start < b_start + b_bytes && b_start < a_start + a_bytes;
}

/* With what is kept or derived, and with state. */
static rp_status check_overlap(const rp_deck *deck, const char *name, const void *start,
                               size_t size_bytes)
{
    const rp_world_range *state;
    size_t count = rp_world_ranges(deck->world, &state);
    const char *other = NULL;
    for (size_t i = 0; i < count && !other; i++) {
        bool meet = bytes_meet(start, size_bytes, state[i].start, state[i].size_bytes);
        other = meet ? state[i].name : NULL;
    }
    for (size_t i = 0; i < deck->range_count && !other; i++) {
        const deck_range *range = &deck->ranges[i];
        bool meet = bytes_meet(start, size_bytes, range->info.start, range->info.size_bytes);
        other = meet ? range->name : NULL;
    }
    return other
               ? rp_fail(RP_E_ARGUMENT,
                         "range '%s': it overlaps range '%s': declare each byte once", name, other)
               : RP_OK;
}

static bool meets_world(const void *start, size_t size_bytes)
{
    uint64_t zone_bytes = rp_region_extent.keep_start - rp_region_extent.world_start;
    return bytes_meet(start, size_bytes, (void *)(uintptr_t)rp_region_extent.world_start,
                      zone_bytes);
}

/* ---- declaring ---- */

static rp_status add(rp_deck *deck, const deck_range *range, const char *name)
{
    if (deck->range_count == DECK_RANGES_MAX) {
        return rp_fail(RP_E_LIMIT, "range '%s': there are %d already: declare larger ranges", name,
                       DECK_RANGES_MAX);
    }
    deck_range *made = &deck->ranges[deck->range_count++];
    *made = *range;
    rp_text_copy(made->name, sizeof made->name, name);
    made->info.name = made->name;
    return RP_OK;
}

static rp_status add_state(rp_deck *deck, void *start, size_t size_bytes, const char *name)
{
    deck_module_ranges_out(deck); /* the module's are the last ones */
    rp_status status =
        rp_world_range_add(deck->world, start, size_bytes, deck->next_range_page, name);
    if (status == RP_OK) {
        deck->next_range_page += rp_world_range_pages(start, size_bytes);
        deck->module.own_ranges++;
    }
    rp_status again = deck_module_ranges_in(deck);
    return status == RP_OK && again != RP_OK ? deck_break(deck, again) : status;
}

static rp_status add_kept(rp_deck *deck, void *start, size_t size_bytes, const char *name)
{
    if (meets_world(start, size_bytes)) {
        return rp_fail(RP_E_ARGUMENT,
                       "range '%s': it lies in the world zone, which is state: take its memory "
                       "from elsewhere",
                       name);
    }
    deck_range range = {.info = {start, size_bytes, NULL, RP_RANGE_KEEP}};
    return add(deck, &range, name);
}

rp_status rp_range(rp_deck *deck, void *start, size_t size_bytes, rp_zone zone, const char *name)
{
    name = name ? name : "unnamed";
    rp_status status = check_call(deck, name, start, size_bytes);
    if (status == RP_OK && zone != RP_ZONE_WORLD && zone != RP_ZONE_KEEP) {
        status = rp_fail(RP_E_ARGUMENT, "range '%s': zone %d: there is no such: see rp_zone", name,
                         (int)zone);
    }
    if (status == RP_OK) {
        status = check_overlap(deck, name, start, size_bytes);
    }
    if (status != RP_OK) {
        return status;
    }
    return zone == RP_ZONE_WORLD ? add_state(deck, start, size_bytes, name)
                                 : add_kept(deck, start, size_bytes, name);
}

/* ---- what is derived ---- */

/* A slab's blocks share pages with what their heap notes in free ones, so only blocks of their own
 * units will do. */
static bool find_block(const void *start, size_t size_bytes, rp_region_block *block)
{
    return rp_region_block_find(start, block) &&
           (block->kind == RP_BLOCK_LARGE || block->kind == RP_BLOCK_PAGES) &&
           (uintptr_t)start >= (uintptr_t)block->start &&
           (uintptr_t)start + size_bytes <= (uintptr_t)block->start + block->size_bytes;
}

static rp_status exclude(rp_deck *deck, const rp_derived_desc *desc, const char *name,
                         deck_range *range)
{
    rp_region_block block;
    bool whole = ((uintptr_t)desc->start | desc->size_bytes) % RP_PAGE_BYTES == 0;
    if (!whole || !find_block(desc->start, desc->size_bytes, &block)) {
        return rp_fail(RP_E_ARGUMENT,
                       "range '%s': in the world zone only whole pages of one large block can be "
                       "left out: take it with rp_alloc_aligned(heap, 4096, n * 4096), more "
                       "than 32 KiB",
                       name);
    }
    range->block = block.start;
    return rp_world_exclude(deck->world, desc->start, desc->size_bytes);
}

rp_status rp_range_derived(rp_deck *deck, const rp_derived_desc *desc)
{
    const char *name = desc->name ? desc->name : "unnamed";
    RP_ASSERT(desc->rebuild);
    deck_range range = {.info = {desc->start, desc->size_bytes, NULL, RP_RANGE_DERIVED},
                        .rebuild = desc->rebuild,
                        .context = desc->context,
                        .poison = desc->poison};
    rp_status status = check_call(deck, name, desc->start, desc->size_bytes);
    if (status == RP_OK) {
        status = check_overlap(deck, name, desc->start, desc->size_bytes);
    }
    if (status == RP_OK && deck->range_count < DECK_RANGES_MAX &&
        meets_world(desc->start, desc->size_bytes)) {
        status = exclude(deck, desc, name, &range);
    }
    return status == RP_OK ? add(deck, &range, name) : status;
}

void deck_ranges_rebuild(rp_deck *deck)
{
    enum { POISON = 0xdd };
    for (size_t i = 0; i < deck->range_count; i++) {
        const deck_range *range = &deck->ranges[i];
        if (range->poison) {
            memset(range->info.start, POISON, range->info.size_bytes);
        }
        if (range->rebuild) {
            range->rebuild(range->context, range->info.start, range->info.size_bytes);
        }
    }
}

rp_status deck_ranges_check(const rp_deck *deck)
{
    for (size_t i = 0; i < deck->range_count; i++) {
        const deck_range *range = &deck->ranges[i];
        rp_region_block block;
        if (range->block && (!find_block(range->info.start, range->info.size_bytes, &block) ||
                             block.start != range->block)) {
            return rp_fail(RP_E_ARGUMENT,
                           "derived range '%s': its block was freed or made smaller: keep it for "
                           "as long as the deck is open",
                           range->name);
        }
    }
    return RP_OK;
}

/* ---- what is known ---- */

static bool holds(const void *start, size_t size_bytes, const void *address)
{
    return (uintptr_t)address - (uintptr_t)start < size_bytes;
}

bool rp_range_find(const rp_deck *deck, const void *address, rp_range_info *info)
{
    const rp_world_range *state;
    size_t count = rp_world_ranges(deck->world, &state);
    for (size_t i = 0; i < count; i++) {
        if (holds(state[i].start, state[i].size_bytes, address)) {
            *info =
                (rp_range_info){state[i].start, state[i].size_bytes, state[i].name, RP_RANGE_WORLD};
            return true;
        }
    }
    for (size_t i = 0; i < deck->range_count; i++) {
        if (holds(deck->ranges[i].info.start, deck->ranges[i].info.size_bytes, address)) {
            *info = deck->ranges[i].info;
            return true;
        }
    }
    return false;
}
