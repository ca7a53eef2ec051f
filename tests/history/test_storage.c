/* The containers under history's bookkeeping. */
#include "history/storage.h"

#include "base/bits.h"
#include "support/fault.h"

#include <errno.h>

TEST(a_growing_array_keeps_its_place_and_its_content)
{
    rp_grow grow;
    ck_ok(rp_grow_init(&grow, RP_MIB(8)));
    ck_ok(rp_grow_need(&grow, 1));
    uint8_t *place = grow.data;
    place[0] = 7;
    for (size_t size = 1; size <= RP_MIB(8); size += 99999) {
        ck_ok(rp_grow_need(&grow, size));
        ck_assert_uint_eq(grow.data[size - 1], size == 1 ? 7 : 0);
    }
    ck_assert_ptr_eq(grow.data, place);
    ck_assert_uint_eq(place[0], 7);
    ck_assert_int_eq(rp_grow_need(&grow, RP_MIB(8) + 1), RP_E_MEMORY);
    rp_grow_finish(&grow);
}

TEST(a_sparse_array_is_zero_where_it_was_never_written)
{
    rp_sparse sparse;
    ck_ok(rp_sparse_init(&sparse));
    const uint32_t pages[] = {3, 65535, 65536, 0x08000000, 0x0bffffff};
    ck_assert_uint_eq(rp_sparse_next(&sparse, 0), UINT32_MAX);
    for (size_t i = 0; i < RP_COUNT_OF(pages); i++) {
        ck_ok(rp_sparse_need(&sparse, pages[i], 1));
        sparse.words[pages[i]] = pages[i];
    }
    uint32_t at = 0;
    for (size_t i = 0; i < RP_COUNT_OF(pages); i++, at++) {
        at = rp_sparse_next(&sparse, at);
        ck_assert_uint_eq(at, pages[i]);
        ck_assert_uint_eq(rp_sparse_get(&sparse, at), at);
    }
    ck_assert_uint_eq(rp_sparse_next(&sparse, at), UINT32_MAX);
    ck_assert_uint_eq(rp_sparse_get(&sparse, 0x01000000), 0);
    rp_sparse_finish(&sparse);
}

TEST(a_ring_keeps_its_elements_while_it_grows_and_turns)
{
    rp_ring ring;
    uint64_t seed = test_seed();
    ck_ok(rp_ring_init(&ring, sizeof(uint64_t), UINT64_C(1) << 20));
    ring.head = ring.tail = 12345; /* numbers need not begin at 0 */
    for (int round = 0; round < 3000; round++) {
        uint64_t add = test_random(&seed) % 200, drop = test_random(&seed) % 190;
        ck_ok(rp_ring_need(&ring, add));
        for (uint64_t i = 0; i < add; i++) {
            *(uint64_t *)rp_ring_at(&ring, ring.tail) = ring.tail * 3;
            ring.tail++;
        }
        uint64_t kept = ring.tail - ring.head;
        ring.head += drop < kept ? drop : kept;
        for (uint64_t n = ring.head; n < ring.tail; n += 1 + kept / 50) {
            ck_assert_uint_eq(*(uint64_t *)rp_ring_at(&ring, n), n * 3);
        }
    }
    ck_assert_int_eq(rp_ring_need(&ring, UINT64_C(1) << 21), RP_E_MEMORY);
    ck_assert_uint_eq(*(uint64_t *)rp_ring_at(&ring, ring.tail - 1), (ring.tail - 1) * 3);
    rp_ring_finish(&ring);
}

static rp_status attempt_storage(void *context)
{
    (void)context;
    rp_ring ring;
    rp_status status = rp_ring_init(&ring, 8, 1 << 20);
    if (status == RP_OK) {
        status = rp_ring_need(&ring, 100000);
        rp_ring_finish(&ring);
    }
    return status;
}

TEST(a_call_that_fails_under_a_ring_is_told)
{
    ck_assert(fault_each_call(attempt_storage, NULL, ENOMEM) < 100);
}
