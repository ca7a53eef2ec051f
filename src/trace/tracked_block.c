/* What is done with a tracked block: freed, resized, asked for its size; and with all of them. */
#include "trace/tracked.h"

#include <string.h>

/* ---- finding it ---- */

static rp_misuse_kind misuse_of(const tracked_slot *slot, const void *block)
{
    if (state_of(slot->record) == TRACKED_FRESH) {
        return RP_MISUSE_NO_BLOCK;
    }
    return slot->record->start == block ? RP_MISUSE_DOUBLE_FREE : RP_MISUSE_INSIDE;
}

/* Takes the block out of the hands of all others; ends the program where no live block starts. A
 * live block's unit and record stay where they are, so no lock is needed to find them. */
static tracked_slot transit(rp_allocator *allocator, rp_unit *head, const void *block,
                            const char *what, const void *caller)
{
    tracked_slot slot;
    bool found = rp_tracked_look(head, block, &slot);
    uint8_t live = TRACKED_LIVE;
    if (!found || slot.record->start != block ||
        !__atomic_compare_exchange_n(&slot.record->state, &live, TRACKED_TRANSIT, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        rp_misuse(found ? misuse_of(&slot, block) : RP_MISUSE_NO_BLOCK, allocator, block, what,
                  caller);
    }
    return slot;
}

/* ---- free ---- */

static void size_check(const tracked_slot *slot, size_t size_bytes, const void *caller)
{
    if (size_bytes != SIZE_MAX && size_bytes != slot->record->said.size_bytes) {
        debug_damage damage = {slot->record->start, size_bytes, RP_DEBUG_WRONG_SIZE};
        rp_debug_damaged(slot, &damage, caller);
    }
}

static void marks_check(const tracked_slot *slot, const void *caller)
{
    debug_damage damage;
    if (slot->record->said.modes & MODES_MARK && !rp_marks_intact(slot, &damage)) {
        rp_debug_damaged(slot, &damage, caller);
    }
}

void rp_tracked_release(tracked_pool *pool, const tracked_slot *slot)
{
    if (slot->head->size_class != SINGLE_CLASS) {
        rp_os_lock_take(&pool->lock);
        rp_tracked_slot_give(pool, slot);
        rp_os_lock_drop(&pool->lock);
        return;
    }
    if (slot->record->said.modes & MODES_GUARD) {
        tracked_store *store = rp_tracked_store(zone_of(pool));
        __atomic_sub_fetch(&store->guarded_count, 1, __ATOMIC_RELAXED);
    }
    rp_tracked_single_drop(pool, slot);
}

static void depart(tracked_pool *pool, const tracked_slot *slot, const void *caller)
{
    rp_trace_record *said = &slot->record->said;
    bool rests = said->modes & RP_DEBUG_QUARANTINE;
    bool in_slab = slot->head->size_class != SINGLE_CLASS;
    marks_check(slot, caller);
    said->freed_stack = said->made_stack ? rp_trace_stack(zone_of(pool), caller) : 0;
    said->freed_frame = (uint32_t)rp_trace_frame();
    rp_trace_count_free(zone_of(pool), said->scope, said->counter, said->size_bytes);
    if (said->modes & MODES_FILL) {
        rp_fill_freed(slot);
    }
    rp_os_lock_take(&pool->lock);
    rp_tracked_dismiss(pool, said->size_bytes);
    if (in_slab && !rests) {
        rp_tracked_slot_give(pool, slot); /* under the same lock, as nearly all are */
    }
    rp_os_lock_drop(&pool->lock);
    if (rests) {
        rp_rest(pool, slot);
    } else if (!in_slab) {
        rp_tracked_release(pool, slot);
    }
}

void rp_tracked_free(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                     const void *caller)
{
    tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    RP_ASSERT(pool); /* else something wrote over the map or the store */
    tracked_slot slot = transit(allocator, head, block, "free", caller);
    size_check(&slot, size_bytes, caller);
    depart(pool, &slot, caller);
}

/* ---- size ---- */

size_t rp_tracked_usable(rp_unit *head, const void *block)
{
    tracked_slot slot;
    bool live = rp_tracked_look(head, block, &slot) && slot.record->start == block &&
                state_of(slot.record) == TRACKED_LIVE;
    return live ? slot.record->said.size_bytes : 0;
}

/* Guarded blocks move, or their end would not be at the guard any more; so do those whose size is
 * not within the slot, or would leave most of it unused. */
static bool fits(const tracked_slot *slot, size_t size_bytes)
{
    enum { REAR_BYTES = 16 };
    const tracked_record *record = slot->record;
    size_t room = (size_t)(slot->start + slot->size_bytes - record->start);
    size_t rear = record->said.modes & MODES_MARK ? REAR_BYTES : 0;
    return !(record->said.modes & MODES_GUARD) && room >= rear && size_bytes <= room - rear &&
           size_bytes >= room / 2;
}

static void resized(tracked_pool *pool, const tracked_slot *slot, size_t size_bytes)
{
    rp_trace_record *said = &slot->record->said;
    rp_trace_count_free(zone_of(pool), said->scope, said->counter, said->size_bytes);
    said->counter = rp_trace_count_alloc(zone_of(pool), said->scope, said->site, size_bytes);
    said->size_bytes = size_bytes;
    if (said->modes & MODES_MARK) {
        rp_marks_paint(slot);
    }
}

/* Counts the block by its new size; false, and by its old one, where that is over the cap. */
static bool recount(tracked_pool *pool, size_t old_bytes, size_t new_bytes)
{
    rp_os_lock_take(&pool->lock);
    rp_tracked_dismiss(pool, old_bytes);
    bool admitted = rp_tracked_admit(pool, new_bytes);
    if (!admitted) {
        rp_tracked_admit(pool, old_bytes);
    }
    rp_os_lock_drop(&pool->lock);
    return admitted;
}

bool rp_tracked_resize(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                       const void *caller)
{
    tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    RP_ASSERT(pool);
    tracked_slot slot = transit(allocator, head, block, "resize", caller);
    bool stays = fits(&slot, size_bytes) && recount(pool, slot.record->said.size_bytes, size_bytes);
    if (stays) {
        marks_check(&slot, caller);
        resized(pool, &slot, size_bytes);
    }
    state_set(slot.record, TRACKED_LIVE);
    return stays;
}

/* ---- all blocks of an allocator ---- */

typedef struct live_visitor {
    int (*visit)(void *block, size_t size_bytes, void *context);
    void *context;
} live_visitor;

static int visit_live(const tracked_slot *slot, void *context)
{
    const live_visitor *visitor = context;
    const tracked_record *record = slot->record;
    return state_of(record) == TRACKED_LIVE
               ? visitor->visit(record->start, record->said.size_bytes, visitor->context)
               : 0;
}

int rp_tracked_walk(const rp_allocator *allocator,
                    int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    if (!pool) {
        return 0;
    }
    live_visitor visitor = {visit, context};
    rp_os_lock_take(&pool->lock);
    int result = rp_tracked_each(pool, visit_live, &visitor);
    rp_os_lock_drop(&pool->lock);
    return result;
}

void rp_tracked_stats_add(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    const tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    if (pool) {
        stats->live_count += __atomic_load_n(&pool->stats.live_count, __ATOMIC_RELAXED);
        stats->live_bytes += __atomic_load_n(&pool->stats.live_bytes, __ATOMIC_RELAXED);
        stats->peak_bytes += __atomic_load_n(&pool->stats.peak_bytes, __ATOMIC_RELAXED);
        stats->taken_bytes += __atomic_load_n(&pool->stats.taken_bytes, __ATOMIC_RELAXED);
    }
}

/* ---- the end of an allocator ---- */

static int visit_departing(const tracked_slot *slot, void *context)
{
    tracked_pool *pool = context;
    if (state_of(slot->record) == TRACKED_LIVE) {
        const rp_trace_record *said = &slot->record->said;
        marks_check(slot, NULL);
        rp_trace_count_free(zone_of(pool), said->scope, said->counter, said->size_bytes);
    }
    if (slot->record->said.modes & MODES_GUARD) {
        tracked_store *store = rp_tracked_store(zone_of(pool));
        __atomic_sub_fetch(&store->guarded_count, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

static void list_free(rp_zone zone, uint32_t *list)
{
    while (*list) {
        rp_unit *unit = rp_region_unit_at(zone, *list);
        rp_region_block block;
        *list = words_of(unit)->next;
        if (rp_region_block_find(rp_region_unit_start(unit), &block)) {
            rp_region_block_free(block.start);
        }
    }
}

void rp_tracked_destroyed(rp_allocator *allocator)
{
    rp_zone zone = (rp_zone)allocator->zone;
    tracked_pool *pool = rp_tracked_pool_find(zone, allocator->id);
    if (!pool) {
        return;
    }
    rp_tracked_each(pool, visit_departing, pool);
    for (uint32_t i = 0; i < SLOT_CLASS_COUNT; i++) {
        list_free(zone, &pool->partial[i]);
    }
    list_free(zone, &pool->full);
    list_free(zone, &pool->singles);
    rp_tracked_pool_drop(zone, pool);
}
