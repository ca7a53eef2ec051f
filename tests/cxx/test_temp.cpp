/* rp::temp: memory that ends with its block. */
#include "cxx/test.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

TEST(temp_memory_is_zeroed_aligned_and_of_its_arena)
{
    open_heap();
    rp::temp temp;
    struct alignas(64) wide {
        char bytes[64];
    };
    auto *first = temp.push<wide>(3);
    auto *second = temp.push<int>();
    ck_assert_uint_eq(reinterpret_cast<uintptr_t>(first) % 64, 0);
    ck_assert_int_eq(first[2].bytes[63], 0);
    ck_assert_int_eq(*second, 0);
    rp_arena_stats stats;
    rp_arena_stats_get(temp.arena(), &stats);
    ck_assert_uint_ge(stats.used_bytes, 3 * sizeof(wide) + sizeof(int));
}

TEST(containers_stand_on_it)
{
    open_heap();
    rp::temp temp(RP_HERE);
    {
        std::vector<int, rp::allocator<int>> numbers(temp.allocator());
        for (int i = 0; i < 1000; i++) {
            numbers.push_back(i);
        }
        ck_assert_int_eq(numbers[999], 999);
        rp::resource resource(temp.allocator());
        std::pmr::string text(500, 'x', &resource);
        ck_assert_ptr_eq(rp_allocator_of(text.data()), temp.allocator());
    }
}

TEST(scopes_nest_and_end_with_an_exception)
{
    open_heap();
    for (int i = 0; i < 1000; i++) { /* more than could be open at a time */
        rp::temp outer;
        char *kept = outer.push<char>(10);
        try {
            rp::temp inner;
            ck_assert_ptr_ne(inner.arena(), outer.arena());
            memset(inner.push<char>(5000), 1, 5000);
            throw std::runtime_error("out of here");
        } catch (const std::runtime_error &) {
        }
        strcpy(kept, "kept");
        ck_assert_str_eq(kept, "kept");
    }
}

TEST(what_no_arena_can_hold_throws)
{
    open_heap();
    rp::temp temp;
    int caught = 0;
    try {
        temp.push<char>(size_t(1) << 40)[0] = 1;
    } catch (const rp::out_of_memory &error) {
        caught = error.what()[0] != 0;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_nonnull(temp.push<char>(10));
}

TEST(without_a_region_there_is_none)
{
    int caught = 0;
    try {
        rp::temp temp;
    } catch (const rp::out_of_memory &) {
        caught = 1;
    }
    ck_assert_int_eq(caught, 1);
}
