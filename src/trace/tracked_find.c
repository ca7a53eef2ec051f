/* From an address to its tracked block, and over all of them. */
#include "trace/tracked.h"

/* ---- one ---- */

static bool single_look(rp_unit *head, tracked_slot *slot)
{
    rp_region_block block;
    tracked_record *record = __atomic_load_n(&words_of(head)->book, __ATOMIC_ACQUIRE);
    if (!record || !rp_region_block_find(rp_region_unit_start(head), &block)) {
        return false;
    }
    *slot = (tracked_slot){record, block.start, block.size_bytes, head};
    return true;
}

bool rp_tracked_look(rp_unit *head, const void *address, tracked_slot *slot)
{
    return head->size_class == SINGLE_CLASS ? single_look(head, slot)
                                            : rp_tracked_slab_look(head, address, slot);
}

static rp_trace_block block_of(const tracked_slot *slot)
{
    return (rp_trace_block){
        .start = slot->record->start,
        .record = &slot->record->said,
        .allocator = rp_allocator_by_id(zone_of(slot->start), slot->head->owner),
        .live = state_of(slot->record) == TRACKED_LIVE,
    };
}

bool rp_trace_find(const void *address, rp_trace_block *block)
{
    rp_unit *head = rp_region_unit_head(address);
    tracked_slot slot;
    if (!head || head->kind != RP_BLOCK_TRACKED || !rp_tracked_look(head, address, &slot) ||
        state_of(slot.record) == TRACKED_FRESH) {
        return false;
    }
    *block = block_of(&slot);
    return true;
}

/* ---- gone ---- */

typedef struct gone_search {
    const void *address;
    const tracked_record *found;
} gone_search;

static void gone_look(gone_search *search, const tracked_record *record)
{
    bool younger = !search->found || record->said.serial > search->found->said.serial;
    if (record->start == search->address && younger) {
        search->found = record;
    }
}

static int gone_in_pool(tracked_pool *pool, void *context)
{
    for (uint32_t id = pool->single_records; id; id = record_at(id)->next) {
        gone_look(context, record_at(id));
    }
    for (uint32_t i = 0; i < SLOT_CLASS_COUNT; i++) {
        const tracked_slab *slab;
        for (uint32_t id = pool->runs[i]; id; id = slab->dead_first) {
            const tracked_record *records = record_at(id);
            slab = (const tracked_slab *)(const void *)records;
            for (uint32_t k = 1; k <= slab->fresh; k++) {
                gone_look(context, records + k);
            }
        }
    }
    return 0;
}

const tracked_record *rp_tracked_gone(const void *address)
{
    gone_search search = {.address = address};
    rp_tracked_pools(zone_of(address), gone_in_pool, &search);
    return search.found;
}

/* ---- all ---- */

typedef struct slot_visitor {
    int (*visit)(const tracked_slot *slot, void *context);
    void *context;
} slot_visitor;

static int single_each(rp_unit *unit, const slot_visitor *visitor)
{
    tracked_slot slot;
    if (!single_look(unit, &slot)) {
        return 0;
    }
    tracked_state state = state_of(slot.record);
    bool counts = state == TRACKED_LIVE || state == TRACKED_RESTING;
    return counts ? visitor->visit(&slot, visitor->context) : 0;
}

static int list_each(rp_zone zone, uint32_t list, const slot_visitor *visitor)
{
    int result = 0;
    while (list && !result) {
        rp_unit *unit = rp_region_unit_at(zone, list);
        list = words_of(unit)->next;
        result = unit->size_class == SINGLE_CLASS
                     ? single_each(unit, visitor)
                     : rp_tracked_slab_each(unit, visitor->visit, visitor->context);
    }
    return result;
}

int rp_tracked_each(tracked_pool *pool, int (*visit)(const tracked_slot *slot, void *context),
                    void *context)
{
    rp_zone zone = zone_of(pool);
    const slot_visitor visitor = {visit, context};
    int result = list_each(zone, pool->full, &visitor);
    for (uint32_t i = 0; i < SLOT_CLASS_COUNT && !result; i++) {
        result = list_each(zone, pool->partial[i], &visitor);
    }
    return result ? result : list_each(zone, pool->singles, &visitor);
}

typedef struct block_visitor {
    int (*visit)(const rp_trace_block *block, void *context);
    void *context;
} block_visitor;

static int visit_block(const tracked_slot *slot, void *context)
{
    const block_visitor *visitor = context;
    const rp_trace_block block = block_of(slot);
    return visitor->visit(&block, visitor->context);
}

static int visit_pool(tracked_pool *pool, void *context)
{
    return rp_tracked_each(pool, visit_block, context);
}

int rp_trace_walk(rp_zone zone, const rp_allocator *allocator,
                  int (*visit)(const rp_trace_block *block, void *context), void *context)
{
    block_visitor visitor = {visit, context};
    if (!allocator) {
        return rp_tracked_pools(zone, visit_pool, &visitor);
    }
    tracked_pool *pool = rp_tracked_pool_find(zone, allocator->id);
    return pool ? visit_pool(pool, &visitor) : 0;
}
