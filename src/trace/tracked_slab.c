/* Slots for small tracked blocks: a unit cut into slots of one class, their records elsewhere.
 *
 * Classes: steps of 16 bytes to 128, then four a doubling to 16 KiB. A slot is aligned to the
 * largest power of two that divides its size.
 */
#include "trace/tracked.h"

enum { STEP_CLASSES = 8, STEP_BYTES = 16, STEPS_TO_BYTES = STEP_CLASSES * STEP_BYTES };

static uint32_t class_bytes(uint32_t class_index)
{
    if (class_index < STEP_CLASSES) {
        return (class_index + 1) * STEP_BYTES;
    }
    uint32_t doubling = (class_index - STEP_CLASSES) / 4,
             quarter = (class_index - STEP_CLASSES) % 4;
    return ((uint32_t)STEPS_TO_BYTES << doubling) / 4 * (5 + quarter);
}

static uint32_t class_for(size_t size_bytes)
{
    if (size_bytes <= STEPS_TO_BYTES) {
        return size_bytes ? (uint32_t)(size_bytes - 1) / STEP_BYTES : 0;
    }
    unsigned log2 = rp_log2(size_bytes - 1);
    return STEP_CLASSES + (log2 - 7) * 4 + (uint32_t)((size_bytes - 1) >> (log2 - 2) & 3);
}

uint32_t rp_tracked_class(size_t size_bytes, size_t align_bytes)
{
    size_t least = rp_max_size(size_bytes, align_bytes);
    if (least > SLOT_LARGEST_BYTES) {
        return SLOT_CLASS_COUNT;
    }
    uint32_t index = class_for(least);
    while (class_bytes(index) % align_bytes) {
        index++; /* ends at a power of two, four classes on at the latest */
    }
    return index;
}

static tracked_record *records_of(const tracked_slab *slab)
{
    return (tracked_record *)(void *)(uintptr_t)slab + 1;
}

static tracked_slot slot_of(rp_unit *unit, tracked_slab *slab, uint32_t index)
{
    return (tracked_slot){
        .record = &records_of(slab)[index],
        .start = (uint8_t *)rp_region_unit_start(unit) + (size_t)index * slab->slot_bytes,
        .size_bytes = slab->slot_bytes,
        .head = unit,
    };
}

/* ---- making and giving back ---- */

static tracked_slab *run_take(tracked_pool *pool, uint32_t class_index, uint32_t count)
{
    uint32_t *runs = &pool->runs[class_index];
    if (!*runs) {
        return rp_tracked_records_take(pool, count + 1);
    }
    tracked_slab *slab = (tracked_slab *)(void *)record_at(*runs);
    *runs = slab->dead_first;
    return slab;
}

static void run_give(tracked_pool *pool, tracked_slab *slab)
{
    uint32_t *runs = &pool->runs[slab->class_index];
    slab->dead_first = *runs;
    *runs = record_id((tracked_record *)(void *)slab);
}

static rp_unit *slab_make(tracked_pool *pool, uint32_t class_index)
{
    uint32_t slot_bytes = class_bytes(class_index);
    uint32_t most = (uint32_t)RP_UNIT_BYTES / slot_bytes;
    uint32_t count = most < SLOTS_MOST ? most : SLOTS_MOST;
    tracked_slab *slab = run_take(pool, class_index, count);
    if (!slab) {
        return NULL;
    }
    *slab = (tracked_slab){
        .count = (uint16_t)count,
        .class_index = (uint16_t)class_index,
        .slot_bytes = slot_bytes,
        .slots_inverse = UINT32_MAX / slot_bytes + 1,
    };
    rp_zone zone = zone_of(pool);
    void *start = rp_region_block_alloc(zone, RP_UNIT_BYTES, RP_BLOCK_TRACKED, pool->id, 0);
    if (!start) {
        run_give(pool, slab);
        return NULL;
    }
    rp_unit *unit = rp_region_unit(start);
    unit->size_class = (uint8_t)class_index;
    words_of(unit)->book = slab;
    rp_tracked_list_push(zone, &pool->partial[class_index], unit);
    __atomic_add_fetch(&pool->stats.taken_bytes, RP_UNIT_BYTES, __ATOMIC_RELAXED);
    return unit;
}

static void slab_unmake(tracked_pool *pool, rp_unit *unit, tracked_slab *slab)
{
    rp_tracked_list_remove(zone_of(pool), &pool->partial[slab->class_index], unit);
    run_give(pool, slab);
    __atomic_sub_fetch(&pool->stats.taken_bytes, RP_UNIT_BYTES, __ATOMIC_RELAXED);
    rp_region_block_free(rp_region_unit_start(unit));
}

/* ---- slots ---- */

static uint32_t index_take(tracked_slab *slab)
{
    slab->used++;
    if (!slab->dead_first) {
        uint32_t index = slab->fresh;
        records_of(slab)[index] = (tracked_record){.state = TRACKED_FRESH};
        __atomic_store_n(&slab->fresh, (uint16_t)(index + 1), __ATOMIC_RELEASE);
        return index;
    }
    const tracked_record *record = record_at(slab->dead_first);
    slab->dead_first = record->next;
    return (uint32_t)(record - records_of(slab));
}

bool rp_tracked_slot_take(tracked_pool *pool, uint32_t class_index, tracked_slot *slot)
{
    uint32_t *partial = &pool->partial[class_index];
    rp_zone zone = zone_of(pool);
    rp_unit *unit = *partial ? rp_region_unit_at(zone, *partial) : slab_make(pool, class_index);
    if (!unit) {
        return false;
    }
    tracked_slab *slab = words_of(unit)->book;
    *slot = slot_of(unit, slab, index_take(slab));
    if (slab->used == slab->count) {
        rp_tracked_list_remove(zone, partial, unit);
        rp_tracked_list_push(zone, &pool->full, unit);
    }
    return true;
}

void rp_tracked_slot_give(tracked_pool *pool, const tracked_slot *slot)
{
    rp_unit *unit = slot->head;
    tracked_slab *slab = words_of(unit)->book;
    uint32_t *partial = &pool->partial[slab->class_index];
    if (slab->used == slab->count) {
        rp_tracked_list_remove(zone_of(pool), &pool->full, unit);
        rp_tracked_list_push(zone_of(pool), partial, unit);
    }
    slot->record->next = slab->dead_first;
    slab->dead_first = record_id(slot->record);
    state_set(slot->record, TRACKED_DEAD);
    bool is_last = *partial == unit->head && !words_of(unit)->next;
    if (--slab->used == 0 && !is_last) {
        slab_unmake(pool, unit, slab);
    }
}

/* ---- looking ---- */

bool rp_tracked_slab_look(rp_unit *unit, const void *address, tracked_slot *slot)
{
    tracked_slab *slab = words_of(unit)->book;
    uint32_t offset = (uint32_t)((uintptr_t)address % RP_UNIT_BYTES);
    uint32_t fresh = slab ? __atomic_load_n(&slab->fresh, __ATOMIC_ACQUIRE) : 0;
    if (!fresh) {
        return false;
    }
    uint32_t index = (uint32_t)((uint64_t)offset * slab->slots_inverse >> 32), last = fresh - 1;
    *slot = slot_of(unit, slab, index < last ? index : last);
    return true;
}

int rp_tracked_slab_each(rp_unit *unit, int (*visit)(const tracked_slot *slot, void *context),
                         void *context)
{
    tracked_slab *slab = words_of(unit)->book;
    int result = 0;
    for (uint32_t i = 0; i < slab->fresh && !result; i++) {
        tracked_slot slot = slot_of(unit, slab, i);
        tracked_state state = state_of(slot.record);
        bool counts = state == TRACKED_LIVE || state == TRACKED_RESTING;
        result = counts ? visit(&slot, context) : 0;
    }
    return result;
}
