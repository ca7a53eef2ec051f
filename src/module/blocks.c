/* Collecting and finding live blocks. Layer: module. */
#include "module/blocks.h"

#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"
#include "region/region.h"

#include <stdlib.h>
#include <string.h>

enum { UNIT_BYTES = 1 << RP_UNIT_SHIFT };

static uint32_t unit_of(uint64_t address)
{
    return (uint32_t)((address - RP_REGION_BASE) >> RP_UNIT_SHIFT);
}

/* ---- collecting ---- */

typedef struct collecting {
    block_index *index;
    uint64_t limit;
    bool sorted; /* by address so far */
} collecting;

static int count_blocks(rp_allocator *allocator, void *context)
{
    rp_alloc_stats stats;
    rp_stats_get(allocator, &stats);
    *(uint64_t *)context += stats.live_count;
    return 0;
}

static bool grow(block_index *index)
{
    block_place *more = rp_arena_take(&index->arena, (size_t)index->capacity * 2, sizeof *more);
    if (more) {
        memcpy(more, index->places, index->count * sizeof *more);
        index->places = more;
        index->capacity *= 2;
    }
    return more;
}

static int take_block(void *block, size_t size_bytes, void *context)
{
    collecting *c = context;
    block_index *index = c->index;
    uint64_t start = (uint64_t)(uintptr_t)block;
    if (index->count == index->capacity && !grow(index)) {
        return 1;
    }
    c->sorted &= !index->count || index->places[index->count - 1].start < start;
    index->places[index->count++] = (block_place){start, size_bytes};
    return 0;
}

static int take_allocator(rp_allocator *allocator, void *context)
{
    return rp_walk(allocator, take_block, context);
}

static int compare_starts(const void *a_pointer, const void *b_pointer)
{
    const block_place *a = a_pointer, *b = b_pointer;
    return (a->start > b->start) - (a->start < b->start);
}

/* Runs of rising addresses come unit by unit, so their order is settled by sorting the runs: blocks
 * of one unit are visited one after the other. Falls back to sorting single blocks. */
typedef struct block_run {
    uint64_t start;
    uint32_t first, count;
} block_run;

static int compare_runs(const void *a_pointer, const void *b_pointer)
{
    const block_run *a = a_pointer, *b = b_pointer;
    return (a->start > b->start) - (a->start < b->start);
}

static uint32_t cut_runs(const block_index *index, block_run *runs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        bool joins = i && index->places[i].start > index->places[i - 1].start &&
                     unit_of(index->places[i].start) == unit_of(index->places[i - 1].start);
        if (!joins) {
            if (runs) {
                runs[count] = (block_run){index->places[i].start, i, 0};
            }
            count++;
        }
        if (runs) {
            runs[count - 1].count++;
        }
    }
    return count;
}

static bool runs_overlap(const block_index *index, const block_run *runs, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const block_run *before = &runs[i - 1];
        if (index->places[before->first + before->count - 1].start >= runs[i].start) {
            return true;
        }
    }
    return false;
}

static rp_status sort_blocks(block_index *index)
{
    uint32_t count = cut_runs(index, NULL);
    block_run *runs = rp_arena_take(&index->arena, count, sizeof *runs);
    block_place *sorted = rp_arena_take(&index->arena, index->count, sizeof *sorted);
    if (!runs || !sorted) {
        return index->arena.failure;
    }
    cut_runs(index, runs);
    qsort(runs, count, sizeof *runs, compare_runs);
    if (runs_overlap(index, runs, count)) {
        qsort(index->places, index->count, sizeof *index->places, compare_starts);
        return RP_OK;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&sorted[at], &index->places[runs[i].first], runs[i].count * sizeof *sorted);
        at += runs[i].count;
    }
    index->places = sorted;
    return RP_OK;
}

/* ---- units ---- */

static bool has_stride(const block_index *index, const block_unit *unit, uint64_t stride)
{
    if (stride == 0 || stride > UNIT_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < unit->count; i++) {
        const block_place *block = &index->places[unit->first + i];
        if (block->size_bytes != stride || (block->start - unit->low) % stride) {
            return false;
        }
    }
    return true;
}

static void set_stride(block_index *index, block_unit *unit)
{
    uint64_t stride = index->places[unit->first].size_bytes;
    if (!has_stride(index, unit, stride)) {
        return;
    }
    const block_place *last = &index->places[unit->first + unit->count - 1];
    uint64_t places = (last->start - unit->low) / stride + 1;
    if (places != unit->count) {
        unit->places = rp_arena_take(&index->arena, places, sizeof *unit->places);
        if (!unit->places) {
            return; /* found by a search then */
        }
        for (uint32_t i = 0; i < unit->count; i++) {
            uint64_t place = (index->places[unit->first + i].start - unit->low) / stride;
            unit->places[place] = (uint16_t)(i + 1);
        }
    }
    unit->stride = (uint32_t)stride;
    unit->inverse = (UINT64_C(1) << 32) / stride + 1;
    unit->high = last->start + stride;
}

static void note_reach(block_index *index, uint32_t number)
{
    const block_place *block = &index->places[number];
    uint32_t first = unit_of(block->start);
    uint32_t last = unit_of(block->start + (block->size_bytes ? block->size_bytes - 1 : 0));
    for (uint32_t u = first + 1; u <= last && u < index->unit_count; u++) {
        index->units[u].before = number + 1;
    }
}

static rp_status fill_units(block_index *index)
{
    if (!index->count) {
        return RP_OK;
    }
    const block_place *last = &index->places[index->count - 1];
    index->low = index->places[0].start;
    index->high = last->start + last->size_bytes;
    for (uint32_t i = 0; i < index->count; i++) { /* of blocks in a block the outer ends later */
        uint64_t end = index->places[i].start + index->places[i].size_bytes;
        index->high = end > index->high ? end : index->high;
    }
    index->unit_count = unit_of(index->high) + 1;
    index->units = rp_arena_take(&index->arena, index->unit_count, sizeof *index->units);
    if (!index->units) {
        return index->arena.failure;
    }
    for (uint32_t i = 0; i < index->count; i++) {
        block_unit *unit = &index->units[unit_of(index->places[i].start)];
        if (!unit->count++) {
            unit->first = i;
            unit->low = index->places[i].start;
        }
        note_reach(index, i);
    }
    for (uint32_t u = 0; u < index->unit_count; u++) {
        if (index->units[u].count) {
            set_stride(index, &index->units[u]);
        }
    }
    return index->arena.failure;
}

rp_status rp_blocks_collect(block_index *index)
{
    *index = (block_index){0};
    if (!rp_region_is_open()) {
        return RP_OK;
    }
    uint64_t live = 0;
    rp_allocator_walk(RP_ZONE_WORLD, count_blocks, &live);
    live += live / 8 + 4096; /* not every kind counts what it walks over */
    rp_status status =
        live >= UINT32_MAX / 2
            ? rp_fail(RP_E_LIMIT, "reload: the world has too many blocks")
            : rp_arena_init(&index->arena, live * 8 * sizeof(block_place) + RP_GIB(1));
    if (status != RP_OK) {
        return status;
    }
    rp_os_vm_want_huge(index->arena.base, index->arena.reserved); /* it is read in no order */
    index->capacity = (uint32_t)live;
    index->places = rp_arena_take(&index->arena, index->capacity, sizeof *index->places);
    if (!index->places) {
        return index->arena.failure;
    }
    collecting c = {.index = index, .sorted = true};
    if (rp_allocator_walk(RP_ZONE_WORLD, take_allocator, &c) != 0) {
        return index->arena.failure;
    }
    if (!c.sorted) {
        status = sort_blocks(index);
    }
    if (status == RP_OK) {
        index->marks = rp_arena_take(&index->arena, (size_t)index->count + 1, sizeof *index->marks);
        index->moved = rp_arena_take(&index->arena, (size_t)index->count + 1, sizeof *index->moved);
        status = index->arena.failure;
    }
    return status == RP_OK ? fill_units(index) : status;
}

void rp_blocks_drop(block_index *index)
{
    rp_arena_finish(&index->arena);
}

/* ---- finding ---- */

static uint32_t by_search(const block_index *index, const block_unit *unit, uint64_t address)
{
    uint32_t low = 0, high = unit->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->places[unit->first + middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return unit->first + low - 1;
}

/* The block at a multiple of the stride. Its place is not looked at: it would not be in the cache.
 */
static uint32_t by_stride(const block_unit *unit, uint64_t address, uint64_t *start)
{
    if (address >= unit->high) {
        return BLOCK_NONE;
    }
    uint32_t place = (uint32_t)(address - unit->low) / unit->stride;
    uint32_t number = unit->places ? unit->places[place] : place + 1;
    *start = unit->low + (uint64_t)place * unit->stride;
    return number ? unit->first + number - 1 : BLOCK_NONE;
}

static uint32_t holder(const block_index *index, uint64_t address, uint64_t *start)
{
    uint32_t number = unit_of(address);
    if (number >= index->unit_count) {
        return BLOCK_NONE;
    }
    const block_unit *unit = &index->units[number];
    uint32_t found = BLOCK_NONE;
    if (unit->count && address >= unit->low) {
        if (unit->stride) {
            return by_stride(unit, address, start);
        }
        found = by_search(index, unit, address);
    } else if (unit->before) {
        found = unit->before - 1;
    }
    if (found == BLOCK_NONE ||
        address - index->places[found].start >= index->places[found].size_bytes) {
        return BLOCK_NONE;
    }
    *start = index->places[found].start;
    return found;
}

uint32_t rp_blocks_search(const block_index *index, uint64_t address, uint64_t *start)
{
    uint32_t found = holder(index, address, start);
    return found != BLOCK_NONE ? found : holder(index, address - 1, start);
}
