/* rp::scope, and the debug modes under C++. */
#include "cxx/test.hpp"

#include <cstring>
#include <reprise/debug.h>
#include <stdexcept>
#include <vector>

namespace
{

rp_scope_stats stats_of_scope(const char *path)
{
    rp_scope_stats stats = {};
    ck_ok(rp_scope_stats_get(RP_ZONE_WORLD, path, &stats));
    return stats;
}

void fail_within(rp_allocator *heap)
{
    rp::scope inner("inner");
    std::vector<int, rp::allocator<int>> gone(100, heap);
    throw std::runtime_error("out of here");
}

struct seen {
    int count = 0;
    rp_debug_error_kind kind = RP_DEBUG_OVERRUN;
};

bool see(const rp_debug_error *error, void *context)
{
    auto *what = static_cast<seen *>(context);
    what->count++;
    what->kind = error->kind;
    return true;
}

struct alignas(64) wide {
    char bytes[64];
};

} // namespace

TEST(what_is_made_while_a_scope_stands_belongs_to_it)
{
    rp_allocator *heap = open_heap();
    int *outside = rp::make<int>(heap), *inside, *deeper;
    {
        rp::scope level("level");
        inside = rp::make<int>(heap);
        {
            rp::scope textures("textures");
            deeper = rp::make<int>(heap);
        }
        rp::destroy(rp::make<int>(heap));
    }
    int *after = rp::make<int>(heap);
    ck_assert_uint_eq(stats_of_scope("/level").live_count, 2);
    ck_assert_uint_eq(stats_of_scope("/level").total_count, 3);
    ck_assert_uint_eq(stats_of_scope("/level/textures").live_count, 1);
    for (int *number : {outside, inside, deeper, after}) {
        rp::destroy(number);
    }
    ck_assert_uint_eq(stats_of_scope("/level").live_count, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(an_exception_ends_the_scopes_that_it_leaves)
{
    rp_allocator *heap = open_heap();
    {
        rp::scope outer("outer");
        try {
            fail_within(heap);
        } catch (const std::runtime_error &) {
        }
        int *kept = rp::make<int>(heap);
        ck_assert_uint_eq(stats_of_scope("/outer/inner").live_count, 0);
        ck_assert_uint_eq(stats_of_scope("/outer/inner").total_count, 1);
        ck_assert_uint_eq(stats_of_scope("/outer").live_count, 1);
        rp::destroy(kept);
    }
}

TEST(the_end_of_a_scope_counts_what_was_not_released)
{
    rp_allocator *heap = open_heap();
    rp::scope load("load");
    int *first = rp::make<int>(heap), *second = rp::make<int>(heap);
    rp::destroy(rp::make<int>(heap));
    ck_assert_uint_eq(load.end_released(), 2);
    ck_assert_uint_eq(load.end_released(), 0); /* it has ended */
    int *outside = rp::make<int>(heap);
    ck_assert_uint_eq(stats_of_scope("/load").live_count, 2);
    rp::destroy(first);
    rp::destroy(second);
    rp::destroy(outside);
}

TEST(a_write_behind_an_object_is_seen_by_a_canary)
{
    seen what;
    open_heap();
    ck_ok(rp_debug_set("watched", RP_DEBUG_CANARY));
    rp_allocator *heap = world_heap("watched", 0);
    rp_debug_on_error(see, &what);
    rp::unique<char[]> text = rp::make_unique<char[]>(heap, 20);
    volatile size_t end = 20;
    text.get()[end] = 1;
    text.reset();
    ck_assert_int_eq(what.count, 1);
    ck_assert_int_eq(what.kind, RP_DEBUG_OVERRUN);
    rp_debug_on_error(nullptr, nullptr);
}

TEST(containers_and_objects_give_the_right_sizes_back)
{
    seen what;
    open_heap();
    ck_ok(rp_debug_set("*", RP_DEBUG_CANARY | RP_DEBUG_FILL | RP_DEBUG_QUARANTINE));
    rp_allocator *heap = world_heap("watched", 0);
    rp_debug_on_error(see, &what);
    {
        std::vector<wide, rp::allocator<wide>> flat(17, heap);
        flat.push_back({});
        rp::resource resource(heap);
        std::pmr::vector<std::pmr::vector<int>> nested(5, &resource);
        nested[3].assign(1000, 1);
        auto objects = rp::make_unique<std::vector<int>[]>(heap, 9);
        auto one = rp::make_unique<wide>(heap);
        auto numbers = rp::make_unique<double[]>(heap, 11);
    }
    ck_assert_uint_eq(rp_debug_check(), 0);
    ck_assert_int_eq(what.count, 0);
    ck_assert_uint_eq(live_count(heap), 0);

    int *number = rp::make<int>(heap);
    rp::destroy(reinterpret_cast<double *>(number)); /* of another size */
    ck_assert_int_eq(what.count, 1);
    ck_assert_int_eq(what.kind, RP_DEBUG_WRONG_SIZE);
    rp_debug_on_error(nullptr, nullptr);
}
