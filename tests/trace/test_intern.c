/* Tables of keys: ids that last, and the order over the ends of chunks. */
#include "region/region.h"
#include "support/test.h"
#include "trace/intern.h"

enum { KEYS = 9000, COLOURS = 32 };

static rp_intern *table_of(uint32_t colour, uint32_t payload_bytes)
{
    const rp_intern_shape shape = {
        .bucket_count = 1024, .chunk_limit = 64, .payload_bytes = payload_bytes, .colour = colour};
    rp_intern *table = rp_intern_create(RP_ZONE_WORLD, &shape);
    ck_assert_ptr_nonnull(table);
    return table;
}

static size_t key_make(uint32_t number, size_t key_bytes, uint8_t *key)
{
    memset(key, (int)(number * 7), key_bytes);
    memcpy(key, &number, sizeof number);
    return key_bytes;
}

/* Every key keeps its id and its payload, and a walk meets all ids once, in their order. */
static void check(rp_intern *table, const uint32_t *ids, const size_t *sizes, uint32_t count)
{
    uint8_t key[RP_INTERN_KEY_MOST_BYTES];
    uint32_t walked = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t kept_bytes;
        key_make(i, sizes[i], key);
        ck_assert_uint_eq(rp_intern_id(table, key, sizes[i]), ids[i]);
        ck_assert_mem_eq(rp_intern_key(table, ids[i], &kept_bytes), key, sizes[i]);
        ck_assert_uint_eq(kept_bytes, sizes[i]);
        ck_assert_uint_eq(*(uint32_t *)rp_intern_payload(table, ids[i]), i);
        walked = rp_intern_next(table, walked);
        ck_assert_uint_eq(walked, ids[i]);
    }
    ck_assert_uint_eq(rp_intern_next(table, walked), 0);
}

static void fill(rp_intern *table, uint32_t *ids, const size_t *sizes, uint32_t count)
{
    uint8_t key[RP_INTERN_KEY_MOST_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = rp_intern_id(table, key, key_make(i, sizes[i], key));
        ck_assert_uint_ne(ids[i], 0);
        uint32_t *payload = rp_intern_payload(table, ids[i]);
        ck_assert_uint_eq(*payload, 0);
        *payload = i;
    }
}

static void run(rp_intern *table, const size_t *sizes)
{
    static uint32_t ids[KEYS];
    fill(table, ids, sizes, KEYS);
    check(table, ids, sizes, KEYS);
    rp_intern_destroy(table);
}

TEST(items_that_end_with_their_chunk_are_followed_by_the_next_chunk)
{
    static size_t sizes[KEYS];
    ck_ok(rp_region_create(NULL));
    for (uint32_t i = 0; i < KEYS; i++) {
        sizes[i] = 16; /* with head and payload three units of 16 bytes */
    }
    for (uint32_t colour = 0; colour < COLOURS; colour++) {
        run(table_of(colour, 4), sizes);
        run(table_of(colour, 32), sizes); /* four: every chunk is full to its end */
    }
}

TEST(keys_of_all_sizes_keep_their_ids_over_many_chunks)
{
    static size_t sizes[KEYS];
    uint64_t random = test_seed();
    ck_ok(rp_region_create(NULL));
    for (uint32_t i = 0; i < KEYS; i++) {
        sizes[i] = 4 + test_random(&random) % (i % 8 ? 60 : RP_INTERN_KEY_MOST_BYTES - 3);
    }
    for (uint32_t colour = 0; colour < COLOURS; colour += 5) {
        run(table_of(colour, 4), sizes);
    }
}

TEST(tables_give_back_all_that_they_took)
{
    static size_t sizes[KEYS];
    rp_region_stats before, after;
    ck_ok(rp_region_create(NULL));
    for (uint32_t i = 0; i < KEYS; i++) {
        sizes[i] = 100;
    }
    rp_region_stats_get(RP_ZONE_WORLD, &before);
    for (uint32_t colour = 0; colour < COLOURS; colour++) {
        run(table_of(colour, 4), sizes);
    }
    rp_region_stats_get(RP_ZONE_WORLD, &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    ck_assert(rp_region_check(RP_ZONE_WORLD));
}
