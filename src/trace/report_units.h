/* The blocks of the region, each with what lives in it: for the reports on fragmentation and on
 * resident memory.
 *
 * Layer: trace, internal.
 */
#ifndef RP_TRACE_REPORT_UNITS_H
#define RP_TRACE_REPORT_UNITS_H

#include "region/region.h"
#include "trace/report.h"

/* A block of the region, or a free run. */
typedef struct report_unit {
    uintptr_t start;
    uint64_t size_bytes; /* in whole units, with guards */
    uint64_t live_bytes, live_count;
    uint64_t slack_bytes;  /* of tracked blocks: what their slots have beyond what was asked for */
    uint64_t cached_bytes; /* of slabs: free blocks in threads' caches */
    uint64_t resting_bytes, resting_count;
    uint64_t largest_bytes; /* of the blocks in it */
    uint32_t owner;         /* an allocator; 0: the layers' own tables */
    uint8_t kind;           /* rp_block_kind */
    uint8_t size_class;
} report_unit;

typedef struct report_units {
    report_array units;  /* report_unit by address */
    report_array blocks; /* report_block */
} report_units;

void report_units_gather(report_units *all, rp_zone zone);
void report_units_drop(report_units *all);
/* The unit that holds the address; null: none. */
report_unit *report_unit_at(const report_units *all, uintptr_t address);

static inline bool report_unit_is_free(const report_unit *unit)
{
    return unit->kind == RP_BLOCK_FREE;
}

/* Whether an allocator has it for its blocks. */
static inline bool report_unit_is_held(const report_unit *unit)
{
    return unit->owner != 0 && unit->kind != RP_BLOCK_FREE && unit->kind != RP_BLOCK_RESERVED;
}

#endif
