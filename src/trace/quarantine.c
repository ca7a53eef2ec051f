/* Quarantine: freed blocks rest, oldest first, until the budget of their allocator is spent.
 *
 * Who writes to one at rest is found when it leaves, or by rp_debug_check; a guarded one has become
 * inaccessible, so that the write itself faults.
 */
#include "trace/tracked.h"

static size_t resting_size(const tracked_slot *slot)
{
    return slot->size_bytes;
}

bool rp_tracked_sealed(const tracked_slot *slot)
{
    return slot->head->flags & RP_BLOCK_GUARD_ALL;
}

void rp_tracked_seal(const tracked_slot *slot)
{
    if (slot->record->said.modes & MODES_GUARD && rp_region_block_seal(slot->start) != RP_OK) {
        rp_fill_freed(slot); /* its content may be lost, as it would be if it were sealed */
    }
}

static void enqueue(tracked_pool *pool, const tracked_slot *slot)
{
    uint32_t id = record_id(slot->record);
    slot->record->next = 0;
    if (pool->resting_last) {
        record_at(pool->resting_last)->next = id;
    } else {
        pool->resting_first = id;
    }
    pool->resting_last = id;
    pool->resting_count++;
    pool->resting_bytes += resting_size(slot);
    state_set(slot->record, TRACKED_RESTING);
}

/* The oldest one, in transit again. */
static tracked_slot dequeue(tracked_pool *pool)
{
    tracked_record *record = record_at(pool->resting_first);
    tracked_slot slot;
    bool found = rp_tracked_look(rp_region_unit_head(record->start), record->start, &slot);
    RP_ASSERT(found && slot.record == record); /* else something wrote over the store */
    pool->resting_first = record->next;
    pool->resting_last = record->next ? pool->resting_last : 0;
    pool->resting_count--;
    pool->resting_bytes -= resting_size(&slot);
    state_set(record, TRACKED_TRANSIT);
    return slot;
}

static void leave(tracked_pool *pool, const tracked_slot *slot)
{
    debug_damage damage;
    if (!rp_tracked_sealed(slot) && !rp_fill_intact(slot, &damage)) {
        rp_debug_damaged(slot, &damage, NULL);
    }
    rp_tracked_release(pool, slot);
}

void rp_rest(tracked_pool *pool, const tracked_slot *slot)
{
    uint64_t budget = rp_debug_resting_budget();
    if (resting_size(slot) > budget) {
        tracked_store *store = rp_tracked_store(zone_of(pool));
        __atomic_add_fetch(&store->resting_refused, 1, __ATOMIC_RELAXED);
        rp_debug_budget_spent(BUDGET_RESTING);
        rp_tracked_release(pool, slot);
        return;
    }
    rp_tracked_seal(slot);
    rp_os_lock_take(&pool->lock);
    enqueue(pool, slot);
    while (pool->resting_bytes > budget) {
        tracked_slot oldest = dequeue(pool);
        rp_os_lock_drop(&pool->lock);
        leave(pool, &oldest);
        rp_os_lock_take(&pool->lock);
    }
    rp_os_lock_drop(&pool->lock);
}
