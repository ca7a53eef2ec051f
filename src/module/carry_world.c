/* Re-pointing all of a world: the region's blocks and the ranges beside it. Layer: module. */
#include "module/carry.h"
#include "region/region.h"

typedef struct world_pass {
    const rp_plan *plan;
    uint64_t new_base;
    void *tls_block;
    rp_carry_report *report;
} world_pass;

/* Free runs and scratch hold nothing that anybody will read; the region's own pages hold no
 * pointers into a module. */
static int block_pass(const rp_region_block *block, void *context)
{
    const world_pass *pass = context;
    bool is_state = block->kind != RP_BLOCK_FREE && block->kind != RP_BLOCK_RESERVED &&
                    !(block->flags & RP_BLOCK_SCRATCH);
    if (is_state) {
        rp_carry_span span = {block->start, block->size_bytes};
        rp_carry_pointers(pass->plan, pass->new_base, pass->tls_block, &span, 1, pass->report);
    }
    return 0;
}

void rp_carry_world_pointers(const rp_plan *plan, uint64_t new_base, void *tls_block,
                             const rp_carry_span *ranges, size_t range_count,
                             rp_carry_report *report)
{
    world_pass pass = {plan, new_base, tls_block, report};
    rp_region_walk(RP_ZONE_WORLD, block_pass, &pass);
    rp_carry_pointers(plan, new_base, tls_block, ranges, range_count, report);
}
