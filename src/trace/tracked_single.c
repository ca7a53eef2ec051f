/* Tracked blocks that have units of their own: large ones, and those between guards. */
#include "trace/tracked.h"

static tracked_record *record_take(tracked_pool *pool)
{
    if (!pool->single_records) {
        return rp_tracked_records_take(pool, 1);
    }
    tracked_record *record = record_at(pool->single_records);
    pool->single_records = record->next;
    return record;
}

static void record_give(tracked_pool *pool, tracked_record *record)
{
    state_set(record, TRACKED_DEAD);
    record->next = pool->single_records;
    pool->single_records = record_id(record);
}

/* With the pool's lock: lists the unit under its record. */
static bool enlist(tracked_pool *pool, rp_unit *head, tracked_slot *slot)
{
    tracked_record *record = record_take(pool);
    if (!record) {
        return false;
    }
    *record = (tracked_record){.state = TRACKED_FRESH};
    head->size_class = SINGLE_CLASS;
    __atomic_store_n(&words_of(head)->book, (void *)record, __ATOMIC_RELEASE);
    rp_tracked_list_push(zone_of(pool), &pool->singles, head);
    __atomic_add_fetch(&pool->stats.taken_bytes, (size_t)head->unit_count << RP_UNIT_SHIFT,
                       __ATOMIC_RELAXED);
    slot->record = record;
    return true;
}

bool rp_tracked_single_make(tracked_pool *pool, size_t size_bytes, uint32_t flags,
                            tracked_slot *slot)
{
    uint8_t *start =
        rp_region_block_alloc(zone_of(pool), size_bytes, RP_BLOCK_TRACKED, pool->id, flags);
    rp_region_block block;
    if (!start || !rp_region_block_find(start, &block)) {
        return false;
    }
    *slot = (tracked_slot){
        .start = start, .size_bytes = block.size_bytes, .head = rp_region_unit_head(start)};
    rp_os_lock_take(&pool->lock);
    bool listed = enlist(pool, slot->head, slot);
    rp_os_lock_drop(&pool->lock);
    if (!listed) {
        rp_region_block_free(start);
    }
    return listed;
}

void rp_tracked_single_drop(tracked_pool *pool, const tracked_slot *slot)
{
    rp_os_lock_take(&pool->lock);
    rp_tracked_list_remove(zone_of(pool), &pool->singles, slot->head);
    __atomic_sub_fetch(&pool->stats.taken_bytes, (size_t)slot->head->unit_count << RP_UNIT_SHIFT,
                       __ATOMIC_RELAXED);
    record_give(pool, slot->record);
    rp_os_lock_drop(&pool->lock);
    rp_region_block_free(slot->start);
}
