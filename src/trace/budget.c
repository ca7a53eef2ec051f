/* Budgets of guarded blocks and of memory in quarantine: never overrun silently. */
#include "base/text.h"
#include "trace/tracked.h"

#define GUARDED_DEFAULT (UINT64_C(256) << 10)
/* Page protection divides mappings: guard, payload, guard, slack. The program needs some too. */
enum { MAPPINGS_A_BLOCK = 4 };
#define RESTING_DEFAULT (UINT64_C(16) << 20)

uint64_t rp_debug_guarded_budget(void)
{
    const debug_choices *choices = rp_debug_choices_if_any();
    uint64_t chosen = choices ? __atomic_load_n(&choices->guarded_budget, __ATOMIC_RELAXED) : 0;
    if (chosen) {
        return chosen;
    }
    return rp_os_vm_has_light_guards() ? GUARDED_DEFAULT
                                       : rp_os_vm_mapping_limit() / MAPPINGS_A_BLOCK / 2;
}

uint64_t rp_debug_resting_budget(void)
{
    const debug_choices *choices = rp_debug_choices_if_any();
    uint64_t chosen = choices ? __atomic_load_n(&choices->resting_budget, __ATOMIC_RELAXED) : 0;
    return chosen ? chosen : RESTING_DEFAULT;
}

void rp_debug_budget_set(uint64_t guarded_blocks, uint64_t resting_bytes)
{
    debug_choices *choices = rp_debug_choices_get();
    if (choices) {
        __atomic_store_n(&choices->guarded_budget, guarded_blocks, __ATOMIC_RELAXED);
        __atomic_store_n(&choices->resting_budget, resting_bytes, __ATOMIC_RELAXED);
        __atomic_store_n(&choices->told, 0, __ATOMIC_RELAXED);
    }
}

static uint64_t guarded_blocks(void)
{
    const tracked_store *world = rp_tracked_store(RP_ZONE_WORLD);
    const tracked_store *keep = rp_tracked_store(RP_ZONE_KEEP);
    return (world ? world->guarded_count : 0) + (keep ? keep->guarded_count : 0);
}

void rp_debug_budget_spent(uint32_t which)
{
    debug_choices *choices = rp_debug_choices_get();
    if (!choices || __atomic_fetch_or(&choices->told, which, __ATOMIC_RELAXED) & which) {
        return;
    }
    char text[256];
    rp_text_buffer line = rp_text_buffer_over(text, sizeof text);
    if (which == BUDGET_GUARDED) {
        rp_text_add(&line,
                    "reprise: debug: no guard page for a block (%llu of %llu blocks are guarded, "
                    "or the system refused): it has canaries instead, as further ones may: raise "
                    "the budget with rp_debug_budget_set\n",
                    (unsigned long long)guarded_blocks(),
                    (unsigned long long)rp_debug_guarded_budget());
    } else {
        rp_text_add(&line,
                    "reprise: debug: a freed block is larger than the whole quarantine (budget: "
                    "%llu bytes) and does not rest: raise it with rp_debug_budget_set\n",
                    (unsigned long long)rp_debug_resting_budget());
    }
    rp_debug_say(text, line.length);
}

/* ---- figures ---- */

static int visit_stats(tracked_pool *pool, void *context)
{
    rp_debug_stats *stats = context;
    stats->block_count += pool->stats.live_count;
    stats->block_bytes += pool->stats.live_bytes;
    stats->resting_count += pool->resting_count;
    stats->resting_bytes += pool->resting_bytes;
    return 0;
}

void rp_debug_stats_get(rp_debug_stats *stats)
{
    *stats = (rp_debug_stats){
        .guarded_budget = rp_debug_guarded_budget(),
        .resting_budget = rp_debug_resting_budget(),
    };
    for (int zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP && rp_region_is_open(); zone++) {
        const tracked_store *store = rp_tracked_store((rp_zone)zone);
        if (store) {
            stats->guarded_count += store->guarded_count;
            stats->guarded_refused += store->guarded_refused;
            stats->resting_refused += store->resting_refused;
            stats->failed_count += store->failed_count;
            stats->error_count += store->error_count;
            rp_tracked_pools((rp_zone)zone, visit_stats, stats);
        }
    }
}

uint64_t rp_trace_serial(rp_zone zone)
{
    const tracked_store *store = rp_tracked_store(zone);
    return store ? __atomic_load_n(&store->serial, __ATOMIC_RELAXED) : 0;
}
