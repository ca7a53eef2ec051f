/* Blobs come back as they were put, share equal bytes, and give back what they took. */
#include "base/bits.h"
#include "history/log_store.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

enum { BLOBS = 600, SIZE_MOST = 40000 };

typedef struct held {
    rp_blob blob;
    uint32_t size_bytes, word;
} held;

static uint8_t content[SIZE_MOST];

static void fill(uint32_t word, uint32_t size_bytes)
{
    for (uint32_t i = 0; i < size_bytes; i++) {
        content[i] = (uint8_t)(word * 31 + i * 7 + (i >> 8));
    }
}

static void expect_blob(const rp_store *store, const held *h)
{
    uint32_t size_bytes;
    const uint8_t *got = rp_store_get(store, h->blob, &size_bytes);
    ck_assert_ptr_nonnull(got);
    ck_assert_uint_eq(size_bytes, h->size_bytes);
    fill(h->word, h->size_bytes);
    ck_assert_mem_eq(got, content, size_bytes);
}

static uint32_t random_size(uint64_t *seed)
{
    switch (test_random(seed) % 4) {
    case 0:
        return (uint32_t)(test_random(seed) % SIZE_MOST);
    case 1:
        return (uint32_t)(test_random(seed) % 9000);
    default:
        return (uint32_t)(test_random(seed) % 600);
    }
}

TEST(random_blobs_come_back_whole_and_leave_nothing_behind)
{
    static held blobs[BLOBS];
    rp_store store;
    uint64_t seed = test_seed();
    ck_ok(rp_store_init(&store, RP_MIB(256), RP_MIB(4)));
    for (int act = 0; act < 20000; act++) {
        held *h = &blobs[test_random(&seed) % BLOBS];
        if (h->size_bytes || h->blob) {
            expect_blob(&store, h);
            rp_store_drop(&store, h->blob);
            *h = (held){0};
        } else {
            bool shared = test_random(&seed) % 2;
            h->size_bytes = random_size(&seed);
            h->word = (uint32_t)(test_random(&seed) % 3); /* so that equal ones meet */
            h->size_bytes = shared ? h->size_bytes % 50 : h->size_bytes;
            fill(h->word, h->size_bytes);
            ck_ok(shared ? rp_store_put_shared(&store, content, h->size_bytes, &h->blob)
                         : rp_store_put(&store, content, h->size_bytes, &h->blob));
        }
        if (act % 500 == 0) {
            rp_store_tidy(&store);
            ck_assert(rp_store_check(&store));
        }
    }
    for (size_t i = 0; i < BLOBS; i++) {
        if (blobs[i].blob) {
            expect_blob(&store, &blobs[i]);
            rp_store_drop(&store, blobs[i].blob);
        }
    }
    ck_assert_uint_eq(rp_store_used_bytes(&store), 0);
    ck_assert_uint_eq(store.page_end, store.free_pages);
    rp_store_tidy(&store);
    ck_assert(rp_store_check(&store));
    rp_store_finish(&store);
}

TEST(equal_shared_blobs_take_room_once)
{
    rp_store store;
    rp_blob first, again, other;
    ck_ok(rp_store_init(&store, RP_MIB(256), RP_MIB(4)));
    fill(1, 3000);
    ck_ok(rp_store_put_shared(&store, content, 3000, &first));
    uint64_t used = rp_store_used_bytes(&store);
    for (int i = 0; i < 5; i++) {
        ck_ok(rp_store_put_shared(&store, content, 3000, &again));
        ck_assert_uint_eq(again, first);
    }
    ck_assert_uint_eq(rp_store_used_bytes(&store), used);
    ck_ok(rp_store_put_shared(&store, content, 2999, &other));
    ck_assert_uint_ne(other, first);
    for (int i = 0; i < 6; i++) {
        held h = {first, 3000, 1};
        expect_blob(&store, &h);
        rp_store_drop(&store, first);
    }
    rp_store_drop(&store, other);
    ck_assert_uint_eq(rp_store_used_bytes(&store), 0);
    rp_store_finish(&store);
}

TEST(a_blob_with_a_flipped_bit_is_not_given_out)
{
    rp_store store;
    rp_blob blob;
    uint32_t size_bytes;
    ck_ok(rp_store_init(&store, RP_MIB(256), RP_MIB(4)));
    fill(3, 700);
    ck_ok(rp_store_put(&store, content, 700, &blob));
    uint8_t *bytes = (uint8_t *)(uintptr_t)rp_store_look(&store, blob, &size_bytes);
    for (uint32_t at = 0; at < size_bytes; at += 41) {
        bytes[at] ^= 4;
        ck_assert_ptr_null(rp_store_get(&store, blob, &size_bytes));
        bytes[at] ^= 4;
        ck_assert_ptr_nonnull(rp_store_get(&store, blob, &size_bytes));
    }
    rp_store_finish(&store);
}

static rp_status put_some(void *context)
{
    rp_store store;
    rp_blob blob;
    (void)context;
    rp_status status = rp_store_init(&store, RP_MIB(256), RP_MIB(4));
    for (uint32_t i = 0; i < 40 && status == RP_OK; i++) {
        fill(i, SIZE_MOST);
        status = rp_store_put_shared(&store, content, SIZE_MOST - i, &blob);
    }
    ck_assert(!store.memory.data || rp_store_check(&store));
    rp_store_finish(&store);
    return status;
}

TEST(memory_that_runs_out_is_told_and_leaves_the_store_whole)
{
    fault_each_call(put_some, NULL, ENOMEM);
}
