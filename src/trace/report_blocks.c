/* All blocks of a zone: the tracked ones with their records, the others as their allocators know
 * them. */
#include "trace/report.h"

typedef struct gathering {
    report_array *blocks;
    const rp_allocator *allocator;
    rp_zone zone;
} gathering;

report_block report_block_of(rp_zone zone, const rp_trace_block *block)
{
    const rp_trace_record *record = block->record;
    return (report_block){
        .start = (uintptr_t)block->start,
        .size_bytes = record->size_bytes,
        .allocator = block->allocator,
        .record = record,
        .scope = record->scope,
        .site = record->site,
        .stack = record->made_stack,
        .zone = (uint8_t)zone,
        .live = block->live,
    };
}

static int add_tracked(const rp_trace_block *block, void *context)
{
    const gathering *gather = context;
    report_block *added = report_array_add(gather->blocks, sizeof *added);
    if (!added) {
        return 1;
    }
    *added = report_block_of(gather->zone, block);
    return 0;
}

static int add_untracked(void *block, size_t size_bytes, void *context)
{
    const gathering *gather = context;
    report_block *added = report_array_add(gather->blocks, sizeof *added);
    if (!added) {
        return 1;
    }
    *added = (report_block){
        .start = (uintptr_t)block,
        .size_bytes = size_bytes,
        .allocator = gather->allocator,
        .zone = (uint8_t)gather->zone,
        .live = 1,
    };
    return 0;
}

static int add_allocator(rp_allocator *allocator, void *context)
{
    gathering *gather = context;
    gather->allocator = allocator;
    return rp_allocator_ops_of(allocator)->walk(allocator, add_untracked, gather);
}

void report_blocks_gather(report_array *blocks, rp_zone zone)
{
    gathering gather = {.blocks = blocks, .zone = zone};
    if (rp_debug_ops_get()) {
        rp_trace_walk(zone, NULL, add_tracked, &gather);
    }
    rp_allocator_walk(zone, add_allocator, &gather);
}

int report_block_by_address(const void *a, const void *b)
{
    const report_block *one = a, *other = b;
    return report_order(one->start, other->start);
}
