/* rp::allocator: containers of all kinds against the standard ones, between equal and unequal
 * heaps. */
#include "cxx/test.hpp"

#include <algorithm>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

enum { RANDOM_STEPS = 20000 };

template <class T> using on = rp::allocator<T>;
using text = std::basic_string<char, std::char_traits<char>, on<char>>;
using numbers = std::vector<int, on<int>>;
using number_list = std::list<int, on<int>>;
using number_map = std::map<int, int, std::less<int>, on<std::pair<const int, int>>>;
using number_table =
    std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, on<std::pair<const int, int>>>;

struct alignas(64) wide {
    int number;
};

struct two_heaps {
    rp_allocator *one = open_heap();
    rp_allocator *other = world_heap("other", 0);

    void check_empty() const
    {
        ck_assert_uint_eq(live_count(one), 0);
        ck_assert_uint_eq(live_count(other), 0);
    }
};

template <class Left, class Right> bool same(const Left &left, const Right &right)
{
    return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin());
}

/* The bytes of every element lie in the container's own heap. */
template <class Container> void check_heap(const Container &container, rp_allocator *heap)
{
    ck_assert_ptr_eq(container.get_allocator().get(), heap);
}

} // namespace

static_assert(!std::is_default_constructible_v<on<int>>, "an allocator is always named");
static_assert(std::is_same_v<std::allocator_traits<on<int>>::rebind_alloc<char>, on<char>>);
static_assert(sizeof(on<int>) == sizeof(void *));

TEST(a_vector_and_a_deque_do_as_the_standard_ones)
{
    two_heaps heaps;
    uint64_t random = test_seed();
    {
        numbers ours(heaps.one);
        std::vector<int> theirs;
        std::deque<int, on<int>> our_deque(heaps.other);
        std::deque<int> their_deque;
        for (int i = 0; i < RANDOM_STEPS; i++) {
            int value = static_cast<int>(test_random(&random) % 1000);
            if (test_random(&random) % 5 < 3 || theirs.empty()) {
                ours.push_back(value), theirs.push_back(value);
                our_deque.push_front(value), their_deque.push_front(value);
            } else {
                auto at = static_cast<std::ptrdiff_t>(test_random(&random) % theirs.size());
                ours.erase(ours.begin() + at), theirs.erase(theirs.begin() + at);
                our_deque.pop_back(), their_deque.pop_back();
            }
            if (test_random(&random) % 2000 == 0) {
                ours.shrink_to_fit(), theirs.shrink_to_fit();
            }
        }
        ck_assert_int_eq(same(ours, theirs) && same(our_deque, their_deque), 1);
        ck_assert_uint_gt(live_count(heaps.one), 0);
    }
    heaps.check_empty();
}

TEST(maps_and_tables_do_as_the_standard_ones)
{
    two_heaps heaps;
    uint64_t random = test_seed();
    {
        number_map ours(heaps.one);
        number_table table(heaps.one);
        std::map<int, int> theirs;
        for (int i = 0; i < RANDOM_STEPS; i++) {
            int key = static_cast<int>(test_random(&random) % 700);
            if (test_random(&random) % 2) {
                ours[key] = table[key] = theirs[key] = i;
            } else {
                size_t gone = theirs.erase(key);
                ck_assert_uint_eq(ours.erase(key), gone);
                ck_assert_uint_eq(table.erase(key), gone);
            }
        }
        ck_assert_int_eq(same(ours, theirs), 1);
        ck_assert_uint_eq(table.size(), theirs.size());
        for (auto [key, value] : theirs) {
            ck_assert_int_eq(table.at(key), value);
        }
        ck_assert_uint_ge(live_count(heaps.one), 2 * theirs.size());
    }
    heaps.check_empty();
}

TEST(assignment_by_copy_stays_with_the_heap_of_the_left_side)
{
    two_heaps heaps;
    {
        numbers left({1, 2}, heaps.one), right({3, 4, 5}, heaps.other);
        left = right;
        check_heap(left, heaps.one);
        ck_assert_ptr_eq(rp_allocator_of(left.data()), heaps.one);
        ck_assert_int_eq(same(left, right), 1);
        numbers copy = right;
        check_heap(copy, heaps.other);
    }
    heaps.check_empty();
}

TEST(assignment_by_move_takes_the_memory_only_from_the_same_heap)
{
    two_heaps heaps;
    {
        numbers left(heaps.one), equal({1, 2, 3}, heaps.one), unequal({4, 5, 6}, heaps.other);
        const int *memory = equal.data();
        left = std::move(equal);
        ck_assert_ptr_eq(left.data(), memory);
        left = std::move(unequal);
        ck_assert_ptr_eq(rp_allocator_of(left.data()), heaps.one);
        ck_assert_int_eq(left == numbers({4, 5, 6}, heaps.one), 1);

        number_map map(heaps.one), other_map({{1, 2}, {3, 4}}, heaps.other);
        map = std::move(other_map);
        check_heap(map, heaps.one);
        ck_assert_uint_eq(live_count(heaps.one), 3); /* the vector's block and two nodes */
        ck_assert_int_eq(map.at(3), 4);
        numbers moved = std::move(left);
        check_heap(moved, heaps.one);
    }
    heaps.check_empty();
}

TEST(a_heap_can_go_when_what_was_moved_from_it_lives)
{
    two_heaps heaps;
    number_list kept(heaps.one);
    {
        number_list level({1, 2, 3}, heaps.other);
        kept = std::move(level);
    }
    rp_allocator_destroy(heaps.other);
    ck_assert_int_eq(kept.back(), 3);
    ck_assert_uint_eq(live_count(heaps.one), 3);
}

TEST(a_swap_exchanges_the_heaps_too)
{
    two_heaps heaps;
    {
        numbers left({1, 2}, heaps.one), right({3, 4, 5}, heaps.other);
        const int *memory = left.data();
        left.swap(right);
        ck_assert_ptr_eq(right.data(), memory);
        check_heap(left, heaps.other);
        check_heap(right, heaps.one);
        number_table table({{1, 1}}, 8, std::hash<int>(), std::equal_to<int>(), heaps.one);
        number_table other({{2, 2}, {3, 3}}, 8, std::hash<int>(), std::equal_to<int>(),
                           heaps.other);
        std::swap(table, other);
        ck_assert_uint_eq(table.size(), 2);
        check_heap(table, heaps.other);
        check_heap(other, heaps.one);
    }
    heaps.check_empty();
}

TEST(lists_splice_and_nodes_move_within_a_heap)
{
    two_heaps heaps;
    {
        number_list left({1, 4}, heaps.one), right({2, 3}, heaps.one);
        left.splice(std::next(left.begin()), right);
        ck_assert_int_eq(same(left, std::vector<int>{1, 2, 3, 4}), 1);
        ck_assert_int_eq(right.empty(), 1);
        number_list more({0, 5}, heaps.one);
        left.merge(more);
        ck_assert_uint_eq(left.size(), 6);
        ck_assert_uint_eq(live_count(heaps.one), 6);

        number_map map({{1, 2}}, heaps.one), sink(heaps.one);
        sink.insert(map.extract(1));
        ck_assert_int_eq(sink.at(1), 2);
        std::forward_list<int, on<int>> single({1, 2}, heaps.other);
        single.reverse();
        ck_assert_int_eq(single.front(), 2);
    }
    heaps.check_empty();
}

TEST(over_aligned_elements_are_aligned)
{
    two_heaps heaps;
    {
        std::vector<wide, on<wide>> flat(heaps.one);
        std::list<wide, on<wide>> nodes(heaps.one);
        for (int i = 0; i < 300; i++) {
            flat.push_back({i});
            nodes.push_back({i});
            ck_assert_uint_eq(reinterpret_cast<uintptr_t>(flat.data()) % alignof(wide), 0);
            ck_assert_uint_eq(reinterpret_cast<uintptr_t>(&nodes.back()) % alignof(wide), 0);
        }
        ck_assert_int_eq(flat[299].number, 299);
    }
    heaps.check_empty();
}

TEST(strings_and_sets_use_the_heap_for_what_is_long)
{
    two_heaps heaps;
    {
        text shorter("a", heaps.one), longer(1000, 'x', heaps.one);
        ck_assert_uint_eq(live_count(heaps.one), 1);
        longer += shorter;
        ck_assert_uint_eq(longer.size(), 1001);
        std::multiset<int, std::less<int>, on<int>> set({1, 1, 2}, heaps.other);
        ck_assert_uint_eq(set.count(1), 2);
        ck_assert_uint_eq(live_count(heaps.other), 3);
    }
    heaps.check_empty();
}

TEST(equality_is_of_the_heap_and_survives_rebinding)
{
    two_heaps heaps;
    on<int> one(heaps.one), same_one(on<char>(heaps.one)), other(heaps.other);
    ck_assert_int_eq(one == same_one && !(one != same_one), 1);
    ck_assert_int_eq(one != other && !(one == other), 1);
    ck_assert_int_eq(on<double>(one) == one, 1);
}

TEST(a_full_heap_leaves_the_container_as_it_was)
{
    rp_allocator *heap = open_heap(256 << 10);
    numbers all({1, 2, 3}, heap);
    int caught = 0;
    try {
        all.resize(1 << 20);
    } catch (const rp::out_of_memory &) {
        caught = 1;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_int_eq(same(all, std::vector<int>{1, 2, 3}), 1);
    ck_assert_uint_eq(live_count(heap), 1);
}

TEST(a_size_that_overflows_is_refused)
{
    on<wide> of_heap(open_heap());
    int caught = 0;
    try {
        of_heap.deallocate(of_heap.allocate(SIZE_MAX / sizeof(wide) + 2), 0);
    } catch (const std::bad_array_new_length &) {
        caught = 1;
    }
    ck_assert_int_eq(caught, 1);
}
