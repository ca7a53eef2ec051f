/* The blocks of the region, each with what lives in it. */
#include "trace/report_units.h"

#include "alloc/generic.h"
#include "base/bits.h"
#include "trace/tracked.h"

typedef struct unit_gathering {
    report_array *units;
    rp_zone zone;
} unit_gathering;

static int count_unit(const rp_region_block *block, void *context)
{
    (void)block;
    ++*(size_t *)context;
    return 0;
}

static int add_unit(const rp_region_block *block, void *context)
{
    const unit_gathering *gather = context;
    report_unit *added = report_array_add(gather->units, sizeof *added);
    if (!added) {
        return 1;
    }
    uintptr_t start = rp_align_down((uintptr_t)block->start, RP_UNIT_BYTES);
    uint64_t size_bytes = rp_align_up(block->size_bytes, RP_UNIT_BYTES);
    const rp_unit *head = block->kind == RP_BLOCK_FREE ? NULL : rp_region_unit_head(block->start);
    *added = (report_unit){
        .start = start,
        .size_bytes = head ? (uint64_t)head->unit_count * RP_UNIT_BYTES : size_bytes,
        .owner = block->owner,
        .kind = (uint8_t)block->kind,
        .size_class = head ? head->size_class : 0,
    };
    return 0;
}

report_unit *report_unit_at(const report_units *all, uintptr_t address)
{
    size_t low = 0, high = all->units.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const report_unit *at = report_array_at(&all->units, middle);
        low = at->start <= address ? middle + 1 : low;
        high = at->start <= address ? high : middle;
    }
    report_unit *found = low ? report_array_at(&all->units, low - 1) : NULL;
    return found && address - found->start < found->size_bytes ? found : NULL;
}

static uint64_t slack_of(const report_block *block)
{
    tracked_slot slot;
    rp_unit *head = rp_region_unit_head((const void *)block->start);
    bool known = block->record && head && rp_tracked_look(head, (const void *)block->start, &slot);
    return known && slot.size_bytes > block->size_bytes ? slot.size_bytes - block->size_bytes : 0;
}

/* A slab counts the blocks that left it: those that do not live are in caches. */
static void count_cached(report_unit *unit)
{
    rp_unit *head = rp_region_unit_head((const void *)unit->start);
    if (unit->kind == RP_BLOCK_SLAB && head) {
        uint64_t out =
            (uint64_t)slab_of(head)->used * rp_size_classes[head->size_class].block_bytes;
        unit->cached_bytes = out - rp_min_size(out, unit->live_bytes);
    }
}

static void count_block(const report_units *all, const report_block *block)
{
    report_unit *unit = report_unit_at(all, block->start);
    if (!unit) {
        return;
    }
    if (!block->live) {
        unit->resting_count++;
        unit->resting_bytes += block->size_bytes;
        return;
    }
    unit->live_count++;
    unit->live_bytes += block->size_bytes;
    unit->slack_bytes += slack_of(block);
    unit->largest_bytes = rp_max_size(unit->largest_bytes, block->size_bytes);
}

void report_units_gather(report_units *all, rp_zone zone)
{
    *all = (report_units){0};
    report_blocks_gather(&all->blocks, zone);
    unit_gathering gather = {&all->units, zone};
    size_t count = 0;
    const size_t for_the_array_itself = 4;
    rp_region_walk(zone, count_unit, &count);
    /* In the keep zone nothing may be made or freed while its map is walked. */
    report_array_reserve(&all->units, sizeof(report_unit), count + for_the_array_itself);
    rp_region_walk(zone, add_unit, &gather);
    for (size_t i = 0; i < all->blocks.count; i++) {
        count_block(all, report_array_at(&all->blocks, i));
    }
    for (size_t i = 0; i < all->units.count; i++) {
        count_cached(report_array_at(&all->units, i));
    }
}

void report_units_drop(report_units *all)
{
    report_array_drop(&all->units);
    report_array_drop(&all->blocks);
}
