/* Fill: freed bytes are 0x66, new ones a pattern that follows from a seed; a write into freed
 * memory is found when it is used again.
 */
#include "trace/debug_fixture.h"

static bool all_are(const uint8_t *bytes, size_t size, int value)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += peek(bytes + i) == value;
    }
    return count == size;
}

TEST(freed_bytes_read_as_0x66)
{
    debug_open(NULL);
    rp_allocator *a = rp_fill_create(&(rp_heap_desc){.name = "filled"}, 1);
    for (size_t size = 1; size < 16000; size = size * 2 + 3) {
        uint8_t *block = rp_alloc(a, size), *other = rp_alloc(a, size);
        memset(block, 1, size);
        rp_free(block);
        ck_assert(all_are(block, size, RP_DEBUG_FREED_BYTE));
        rp_free(other);
    }
    no_errors();
    rp_region_destroy();
}

static void pattern_of(uint64_t seed, uint8_t *bytes, size_t size)
{
    debug_open(NULL);
    rp_allocator *a = rp_fill_create(&(rp_heap_desc){.name = "filled"}, seed);
    memcpy(bytes, rp_alloc(a, size), size);
    rp_region_destroy();
}

TEST(new_bytes_are_random_by_seed_alone)
{
    enum { SIZE = 1001 };
    uint8_t one[SIZE], again[SIZE], other[SIZE];
    pattern_of(1, one, SIZE);
    pattern_of(1, again, SIZE);
    pattern_of(2, other, SIZE);
    ck_assert_int_eq(memcmp(one, again, SIZE), 0);
    size_t equal = 0, zeros = 0;
    for (size_t i = 0; i < SIZE; i++) {
        equal += one[i] == other[i];
        zeros += one[i] == 0;
    }
    ck_assert_uint_lt(equal, SIZE / 10);
    ck_assert_uint_lt(zeros, SIZE / 10);
}

TEST(no_two_blocks_get_the_same_pattern)
{
    debug_open(NULL);
    rp_allocator *a = rp_fill_create(&(rp_heap_desc){.name = "filled"}, 1);
    uint8_t *one = rp_alloc(a, 100), *other = rp_alloc(a, 100);
    ck_assert_int_ne(memcmp(one, other, 100), 0);
    rp_region_destroy();
}

TEST(a_chosen_byte_fills_new_blocks_and_zeroed_ones_stay_zero)
{
    debug_open("noisy=pattern=aB");
    rp_allocator *a = heap("noisy");
    ck_assert(all_are(rp_alloc(a, 777), 777, 0xab));
    ck_assert(all_are(rp_alloc_zeroed(a, 1, 777), 777, 0));
    rp_region_destroy();
}

TEST(a_write_into_freed_memory_is_found_when_it_is_used_again)
{
    debug_open(NULL);
    rp_allocator *a = rp_fill_create(&(rp_heap_desc){.name = "filled"}, 1);
    uint8_t *block = rp_alloc_at(a, 200, "stale.c:3 Stale");
    rp_free(block);
    poke(block + 150, 0);
    ck_assert_ptr_eq(rp_alloc(a, 200), block);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(told.errors[0].kind, RP_DEBUG_WRITE_AFTER_FREE);
    ck_assert_int_eq((int)told.errors[0].offset_bytes, 150);
    ck_assert_ptr_nonnull(strstr(told.text, "stale.c:3 Stale"));
    rp_region_destroy();
}
