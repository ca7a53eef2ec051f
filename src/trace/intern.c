/* Interning: keys of bytes become small ids. */
#include "trace/intern.h"

#include "base/assert.h"
#include "base/bits.h"
#include "region/region.h"

#include <string.h>

/* The library's object would be a dependency of every program that we are preloaded into. */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    COLOUR_BYTES = 128, /* of two lines, as they are fetched in pairs */
};

typedef rp_intern_item item;

static size_t head_bytes(const rp_intern_shape *shape)
{
    return shape->colour * COLOUR_BYTES + sizeof(rp_intern) +
           shape->bucket_count * sizeof(uint32_t) + shape->chunk_limit * sizeof(uint8_t *);
}

/* Memory of the region that reads as zero. */
static void *zeroed_block(rp_zone zone, size_t size_bytes)
{
    void *start = rp_region_block_alloc(zone, size_bytes, RP_BLOCK_PAGES, 0, 0);
    if (start && !(rp_region_unit_head(start)->flags & RP_BLOCK_ZEROED)) {
        memset(start, 0, rp_align_up(size_bytes, RP_UNIT_BYTES));
    }
    return start;
}

rp_intern *rp_intern_create(rp_zone zone, const rp_intern_shape *shape)
{
    RP_ASSERT(rp_is_power_of_two(shape->bucket_count) && shape->bucket_count >= 2);
    uint8_t *start = zeroed_block(zone, head_bytes(shape));
    if (!start) {
        return NULL;
    }
    rp_intern *table = (rp_intern *)(void *)(start + shape->colour * COLOUR_BYTES);
    table->zone = (uint32_t)zone;
    table->first =
        (shape->colour + 1) * (COLOUR_BYTES / RP_INTERN_GRANULE_BYTES); /* not 0: no id */
    table->used = table->first;
    table->bucket_count = shape->bucket_count;
    table->chunk_limit = shape->chunk_limit;
    table->payload_bytes = shape->payload_bytes;
    table->chunks = (uint8_t **)(void *)&table->buckets[shape->bucket_count];
    return table;
}

/* Of its block. */
static void *start_of(const rp_intern *table)
{
    return (void *)rp_align_down((uintptr_t)table, RP_UNIT_BYTES);
}

void rp_intern_destroy(rp_intern *table)
{
    for (uint32_t i = 0; i < table->chunk_limit && table->chunks[i]; i++) {
        rp_region_block_free(table->chunks[i]);
    }
    rp_region_block_free(start_of(table));
}

static item *item_at(const rp_intern *table, uint32_t id)
{
    uint8_t *chunk =
        __atomic_load_n(&table->chunks[id / RP_INTERN_CHUNK_GRANULES], __ATOMIC_ACQUIRE);
    return (item *)(void *)(chunk +
                            (size_t)(id % RP_INTERN_CHUNK_GRANULES) * RP_INTERN_GRANULE_BYTES);
}

static uint8_t *key_of(item *entry)
{
    return (uint8_t *)(entry + 1);
}

/* Most keys are the counters', of eight bytes. */
static bool same(const void *key, const void *other, size_t key_bytes)
{
    return key_bytes == sizeof(uint64_t) ? memcmp(key, other, sizeof(uint64_t)) == 0
                                         : memcmp(key, other, key_bytes) == 0;
}

static uint32_t find(const rp_intern *table, uint32_t first, uint32_t hash, const void *key,
                     size_t key_bytes)
{
    for (uint32_t id = first; id;) {
        item *entry = item_at(table, id);
        if (entry->hash == hash && entry->key_bytes == key_bytes &&
            same(key_of(entry), key, key_bytes)) {
            return id;
        }
        id = entry->next;
    }
    return 0;
}

/* ---- adding, with the lock held ---- */

/* Where an item of so many granules goes; 0: nowhere. */
static uint32_t place_for(const rp_intern *table, uint32_t granules)
{
    uint32_t id = table->used, within = id % RP_INTERN_CHUNK_GRANULES;
    if (within == 0 || within + granules > RP_INTERN_CHUNK_GRANULES) {
        id = (uint32_t)rp_align_up(id, RP_INTERN_CHUNK_GRANULES) + table->first;
    }
    return id / RP_INTERN_CHUNK_GRANULES < table->chunk_limit ? id : 0;
}

static bool chunk_ready(rp_intern *table, uint32_t index)
{
    if (!table->chunks[index]) {
        uint8_t *made = zeroed_block((rp_zone)table->zone, RP_UNIT_BYTES);
        __atomic_store_n(&table->chunks[index], made, __ATOMIC_RELEASE);
    }
    return table->chunks[index] != NULL;
}

static uint32_t add(rp_intern *table, uint32_t *bucket, uint32_t hash, const void *key,
                    size_t key_bytes)
{
    size_t key_room = rp_align_up(key_bytes, RP_INTERN_GRANULE_BYTES);
    size_t bytes =
        sizeof(item) + key_room + rp_align_up(table->payload_bytes, RP_INTERN_GRANULE_BYTES);
    uint32_t granules = (uint32_t)(bytes / RP_INTERN_GRANULE_BYTES),
             id = place_for(table, granules);
    if (!id || !chunk_ready(table, id / RP_INTERN_CHUNK_GRANULES)) {
        __atomic_add_fetch(&table->misses, 1, __ATOMIC_RELAXED);
        return 0;
    }
    item *entry = item_at(table, id);
    *entry = (item){*bucket, hash, (uint32_t)key_bytes, granules};
    memcpy(key_of(entry), key, key_bytes);
    table->item_count++;
    __atomic_store_n(&table->used, id + granules, __ATOMIC_RELEASE);
    __atomic_store_n(bucket, id, __ATOMIC_RELEASE);
    return id;
}

uint32_t rp_intern_id(rp_intern *table, const void *key, size_t key_bytes)
{
    if (key_bytes > RP_INTERN_KEY_MOST_BYTES) {
        return 0;
    }
    uint32_t hash = (uint32_t)XXH3_64bits(key, key_bytes);
    uint32_t *bucket = &table->buckets[hash & (table->bucket_count - 1)];
    uint32_t first = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
    uint32_t id = find(table, first, hash, key, key_bytes);
    if (id) {
        return id;
    }
    rp_os_lock_take(&table->lock);
    id = *bucket == first ? 0 : find(table, *bucket, hash, key, key_bytes);
    id = id ? id : add(table, bucket, hash, key, key_bytes);
    rp_os_lock_drop(&table->lock);
    return id;
}

/* ---- reading ---- */

static item *item_or_null(const rp_intern *table, uint32_t id)
{
    return id && id < __atomic_load_n(&table->used, __ATOMIC_ACQUIRE) ? item_at(table, id) : NULL;
}

const void *rp_intern_key(const rp_intern *table, uint32_t id, size_t *key_bytes)
{
    item *entry = item_or_null(table, id);
    *key_bytes = entry ? entry->key_bytes : 0;
    return entry ? key_of(entry) : NULL;
}

void *rp_intern_payload(const rp_intern *table, uint32_t id)
{
    item *entry = item_or_null(table, id);
    return entry ? key_of(entry) + rp_align_up(entry->key_bytes, RP_INTERN_GRANULE_BYTES) : NULL;
}

uint32_t rp_intern_next(const rp_intern *table, uint32_t id)
{
    uint32_t used = __atomic_load_n(&table->used, __ATOMIC_ACQUIRE);
    id += id ? item_at(table, id)->granules : table->first;
    bool chunk_ends =
        id % RP_INTERN_CHUNK_GRANULES == 0 || (id < used && item_at(table, id)->granules == 0);
    if (chunk_ends) {
        id = (uint32_t)rp_align_up(id, RP_INTERN_CHUNK_GRANULES) + table->first;
    }
    return id < used ? id : 0;
}

size_t rp_intern_bytes(const rp_intern *table)
{
    uintptr_t end = (uintptr_t)&table->chunks[table->chunk_limit];
    size_t bytes = rp_align_up(end, RP_UNIT_BYTES) - (uintptr_t)start_of(table);
    for (uint32_t i = 0; i < table->chunk_limit && table->chunks[i]; i++) {
        bytes += RP_UNIT_BYTES;
    }
    return bytes;
}
