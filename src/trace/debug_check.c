/* Looking at every mark: on demand, or at a frame's end. */
#include "trace/tracked.h"

enum { BATCH = 16 };

typedef struct check_round {
    size_t count;
    tracked_slot slots[BATCH];
    debug_damage damages[BATCH];
} check_round;

static bool intact(const tracked_slot *slot, debug_damage *damage)
{
    uint32_t modes = slot->record->said.modes;
    if (state_of(slot->record) == TRACKED_LIVE) {
        return !(modes & MODES_MARK) || rp_marks_intact(slot, damage);
    }
    return rp_tracked_sealed(slot) || rp_fill_intact(slot, damage);
}

static int visit_check(const tracked_slot *slot, void *context)
{
    check_round *round = context;
    bool known = __atomic_load_n(&slot->record->reported, __ATOMIC_RELAXED);
    if (!known && !intact(slot, &round->damages[round->count])) {
        round->slots[round->count++] = *slot;
    }
    return round->count == BATCH;
}

/* What is found is said without the lock, as those who hear of it may allocate. */
static int check_pool(tracked_pool *pool, void *context)
{
    size_t *found = context;
    check_round round;
    do {
        round.count = 0;
        rp_os_lock_take(&pool->lock);
        rp_tracked_each(pool, visit_check, &round);
        rp_os_lock_drop(&pool->lock);
        for (size_t i = 0; i < round.count; i++) {
            rp_debug_damaged(&round.slots[i], &round.damages[i], __builtin_return_address(0));
        }
        *found += round.count;
    } while (round.count == BATCH);
    return 0;
}

static int visit_marking(tracked_pool *pool, void *context)
{
    (void)context;
    return (pool->active.modes & (MODES_MARK | MODES_FILL | RP_DEBUG_SAMPLED)) != 0;
}

bool rp_trace_is_marking(void)
{
    debug_book scopes;
    rp_debug_scope_book(&scopes);
    return scopes.modes & (MODES_MARK | MODES_FILL) ||
           rp_tracked_pools(RP_ZONE_WORLD, visit_marking, NULL) ||
           rp_tracked_pools(RP_ZONE_KEEP, visit_marking, NULL);
}

size_t rp_debug_check(void)
{
    size_t found = 0;
    if (rp_region_is_open()) {
        rp_tracked_pools(RP_ZONE_WORLD, check_pool, &found);
        rp_tracked_pools(RP_ZONE_KEEP, check_pool, &found);
    }
    return found;
}
