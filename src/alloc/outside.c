/* Ranges of callers' memory, sorted by address, one table in each zone.
 *
 * Who looks takes no lock: it reads the version before and after, which is odd while somebody
 * writes. An outgrown table keeps its units until the next one is outgrown, as a reader may still
 * be in it.
 */
#include "alloc/simple.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

typedef struct outside_range {
    uint64_t start, end;
    uint64_t id; /* of the allocator */
} outside_range;

typedef struct outside_table {
    struct outside_table *outgrown;
    uint32_t version, count, capacity, unused;
    outside_range ranges[];
} outside_table;

/* The loads acquire and the stores release, so that neither moves across the version's, without a
 * fence, which TSan does not know (Boehm: Can seqlocks get along with programming language memory
 * models?, 2012). */
static uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static outside_table *table_in(rp_zone zone)
{
    void **word = rp_static_word_of(zone, STATIC_WORD_OUTSIDE);
    return word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : NULL;
}

/* ---- looking ---- */

/* The number of ranges that begin at or before the address. */
static uint32_t count_before(const outside_table *table, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = __atomic_load_n(&table->count, __ATOMIC_ACQUIRE);
    high = high < table->capacity ? high : table->capacity;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (read_word(&table->ranges[middle].start) <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t id_at(const outside_table *table, uint64_t address)
{
    uint32_t before = count_before(table, address);
    if (!before || address >= read_word(&table->ranges[before - 1].end)) {
        return 0;
    }
    return (uint32_t)read_word(&table->ranges[before - 1].id);
}

static uint32_t find_in(rp_zone zone, const void *address)
{
    for (;;) {
        const outside_table *table = table_in(zone);
        if (!table) {
            return 0;
        }
        uint32_t version = __atomic_load_n(&table->version, __ATOMIC_ACQUIRE);
        uint32_t id = id_at(table, (uintptr_t)address);
        bool steady = !(version & 1) &&
                      __atomic_load_n(&table->version, __ATOMIC_RELAXED) == version &&
                      table == table_in(zone);
        if (steady) {
            return id;
        }
    }
}

static rp_allocator *static_of(const void *address)
{
    for (int zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        rp_region_span rest = rp_region_header_rest((rp_zone)zone);
        if ((uintptr_t)address - (uintptr_t)rest.start < rest.size_bytes) {
            const rp_allocator *heap = (const rp_allocator *)(void *)rest.start;
            return __atomic_load_n(&heap->magic, __ATOMIC_ACQUIRE) ? (rp_allocator *)heap : NULL;
        }
    }
    return NULL;
}

rp_allocator *rp_backed_find(const void *address)
{
    if (!rp_region_is_open()) {
        return NULL;
    }
    rp_allocator *found = static_of(address);
    for (int zone = RP_ZONE_WORLD; !found && zone <= RP_ZONE_KEEP; zone++) {
        uint32_t id = find_in((rp_zone)zone, address);
        found = id ? rp_allocator_by_id((rp_zone)zone, id) : NULL;
    }
    return found;
}

/* ---- changing: with the lock of the word held ---- */

static void write_begin(outside_table *table)
{
    __atomic_store_n(&table->version, table->version + 1, __ATOMIC_RELAXED);
}

static void write_end(outside_table *table)
{
    __atomic_store_n(&table->version, table->version + 1, __ATOMIC_RELEASE);
}

static void range_write(outside_range *to, const outside_range *from)
{
    __atomic_store_n(&to->start, from->start, __ATOMIC_RELEASE);
    __atomic_store_n(&to->end, from->end, __ATOMIC_RELEASE);
    __atomic_store_n(&to->id, from->id, __ATOMIC_RELEASE);
}

static outside_table *table_make(rp_zone zone, size_t size_bytes)
{
    outside_table *made = rp_region_block_alloc(zone, size_bytes, RP_BLOCK_PAGES, 0, 0);
    if (made) {
        *made = (outside_table){
            .capacity = (uint32_t)((size_bytes - sizeof *made) / sizeof(outside_range))};
    }
    return made;
}

static void table_unlock(rp_zone zone)
{
    rp_os_lock_drop(rp_static_lock_of(zone, STATIC_WORD_OUTSIDE));
}

/* The zone's table, locked; null, and not locked, where it has none. */
static outside_table *table_lock(rp_zone zone)
{
    rp_os_lock_take(rp_static_lock_of(zone, STATIC_WORD_OUTSIDE));
    outside_table *table = table_in(zone);
    if (!table) {
        table_unlock(zone);
    }
    return table;
}

/* The first table, or a larger one in place of a full one. With the lock held. */
static outside_table *table_next(rp_zone zone, outside_table *table)
{
    size_t bytes = table ? 2 * (sizeof *table + table->count * sizeof(outside_range)) : 1;
    outside_table *next = table_make(zone, rp_align_up(bytes, RP_UNIT_BYTES));
    if (!next) {
        return NULL;
    }
    if (table) {
        next->count = table->count;
        next->outgrown = table;
        memcpy(next->ranges, table->ranges, table->count * sizeof(outside_range));
    }
    if (table && table->outgrown) {
        rp_region_block_free(table->outgrown);
        table->outgrown = NULL;
    }
    __atomic_store_n(rp_static_word_of(zone, STATIC_WORD_OUTSIDE), next, __ATOMIC_RELEASE);
    return next;
}

/* The zone's table, locked and with room for one range more; null, and not locked, with the record
 * set. */
static outside_table *table_lock_with_room(rp_zone zone)
{
    rp_os_lock_take(rp_static_lock_of(zone, STATIC_WORD_OUTSIDE));
    outside_table *table = table_in(zone);
    if (!table || table->count == table->capacity) {
        table = table_next(zone, table);
    }
    if (!table) {
        table_unlock(zone);
    }
    return table;
}

/* Memory of the region is found through its unit, which is told to look here. */
static rp_status mark_units(const void *start, size_t size_bytes)
{
    rp_region_block block;
    if (!rp_region_contains(start)) {
        return RP_OK;
    }
    bool found = rp_region_block_find(start, &block);
    size_t offset = found ? (size_t)((const uint8_t *)start - (uint8_t *)block.start) : 0;
    if (!found || block.kind == RP_BLOCK_SLAB || block.kind == RP_BLOCK_RESERVED ||
        offset >= block.size_bytes || size_bytes > block.size_bytes - offset) {
        return rp_fail(RP_E_ARGUMENT,
                       "allocator: cannot be made in %zu bytes at %p: they are no part of a large "
                       "block of the region: take pages, or a block over 32 KiB",
                       size_bytes, start);
    }
    __atomic_or_fetch(&rp_region_unit_head(start)->flags, RP_BLOCK_NESTED, __ATOMIC_RELAXED);
    return RP_OK;
}

/* Whether a range of the table touches it; *at: where it would stand. */
static bool touches(const outside_table *table, const outside_range *range, uint32_t *at)
{
    *at = count_before(table, range->start);
    return (*at > 0 && table->ranges[*at - 1].end > range->start) ||
           (*at < table->count && table->ranges[*at].start < range->end);
}

static void insert(outside_table *table, const outside_range *range, uint32_t at)
{
    write_begin(table);
    for (uint32_t i = table->count; i > at; i--) {
        range_write(&table->ranges[i], &table->ranges[i - 1]);
    }
    range_write(&table->ranges[at], range);
    __atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELEASE);
    write_end(table);
}

rp_status rp_outside_claim(rp_zone zone, void *start, size_t size_bytes)
{
    const outside_range range = {(uintptr_t)start, (uintptr_t)start + size_bytes, 0};
    rp_status status = mark_units(start, size_bytes);
    if (status != RP_OK) {
        return status;
    }
    rp_zone other_zone = zone == RP_ZONE_WORLD ? RP_ZONE_KEEP : RP_ZONE_WORLD;
    uint32_t at;
    outside_table *other = table_lock(other_zone);
    bool taken = other && touches(other, &range, &at);
    if (other) {
        table_unlock(other_zone);
    }
    outside_table *table = table_lock_with_room(zone);
    if (!table) {
        return rp_error_last()->status;
    }
    taken = touches(table, &range, &at) || taken;
    if (!taken) {
        insert(table, &range, at);
    }
    table_unlock(zone);
    return taken ? rp_fail(RP_E_TAKEN,
                           "allocator: cannot be made in the memory at %p: another allocator has "
                           "a part of it: destroy that first, or give other memory",
                           start)
                 : RP_OK;
}

void rp_outside_name(const rp_allocator *allocator, const void *start)
{
    rp_zone zone = (rp_zone)allocator->zone;
    outside_table *table = table_lock(zone);
    uint32_t before = table ? count_before(table, (uintptr_t)start) : 0;
    RP_ASSERT(before && table->ranges[before - 1].start == (uintptr_t)start);
    __atomic_store_n(&table->ranges[before - 1].id, allocator->id, __ATOMIC_RELEASE);
    table_unlock(zone);
}

void rp_outside_release(rp_zone zone, const void *start)
{
    outside_table *table = table_lock(zone);
    if (!table) {
        return;
    }
    uint32_t before = count_before(table, (uintptr_t)start);
    if (before && table->ranges[before - 1].start == (uintptr_t)start) {
        write_begin(table);
        for (uint32_t i = before; i < table->count; i++) {
            range_write(&table->ranges[i - 1], &table->ranges[i]);
        }
        __atomic_store_n(&table->count, table->count - 1, __ATOMIC_RELEASE);
        write_end(table);
    }
    table_unlock(zone);
}
