/* Containers in the region go back with its bytes, and can be used from there again. */
#include "cxx/test.hpp"

#include <string>
#include <unordered_map>
#include <vector>

namespace
{

template <class T> using on = rp::allocator<T>;
using text = std::basic_string<char, std::char_traits<char>, on<char>>;

/* The state of a program: the containers' own words lie in the region, too. */
struct state {
    std::vector<int, on<int>> numbers;
    std::unordered_map<int, text, std::hash<int>, std::equal_to<int>,
                       on<std::pair<const int, text>>>
        names;

    explicit state(rp_allocator *heap) : numbers(heap), names(heap)
    {
    }
    uint64_t sum() const
    {
        uint64_t total = numbers.size();
        for (int number : numbers) {
            total = total * 31 + static_cast<uint64_t>(number);
        }
        for (const auto &[key, value] : names) {
            total += static_cast<uint64_t>(key) * value.size();
        }
        return total;
    }
    void change(uint64_t *random)
    {
        int key = static_cast<int>(test_random(random) % 500);
        size_t length = test_random(random) % 300;
        numbers.push_back(key);
        if (key % 3 == 0) {
            names.erase(key);
        } else {
            names.insert_or_assign(key, text(length, 'n', numbers.get_allocator()));
        }
        if (numbers.size() > 1500) {
            numbers.clear();
            numbers.shrink_to_fit();
        }
    }
    void change(uint64_t *random, int times)
    {
        while (times-- > 0) {
            change(random);
        }
    }
};

} // namespace

TEST(containers_return_to_what_they_were)
{
    uint64_t random = test_seed();
    rp_allocator *heap = open_heap();
    state *now = rp::make<state>(heap, heap);
    now->change(&random, 2000);
    for (int round = 0; round < 5; round++) {
        uint64_t then = now->sum(), live = live_count(heap);
        world_copy *copy = world_save();
        now->change(&random, 2000);
        world_restore(copy);
        ck_assert_uint_eq(now->sum(), then);
        ck_assert_uint_eq(live_count(heap), live);
        world_drop(copy);
        now->change(&random, 1000);
    }
    rp::destroy(now);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(the_same_changes_after_a_restore_give_the_same_bytes)
{
    uint64_t random = test_seed();
    rp_allocator *heap = open_heap();
    state *now = rp::make<state>(heap, heap);
    now->change(&random, 500);
    world_copy *start = world_save();
    uint64_t again = random;
    now->change(&random, 2000);
    world_copy *end = world_save();
    world_restore(start);
    now->change(&again, 2000);
    ck_assert_int_eq(world_equals(end), 1);
    world_drop(start);
    world_drop(end);
}

TEST(containers_that_were_destroyed_come_back)
{
    uint64_t random = test_seed();
    rp_allocator *heap = open_heap();
    state *now = rp::make<state>(heap, heap);
    now->change(&random, 1000);
    uint64_t then = now->sum();
    world_copy *copy = world_save();
    rp::destroy(now);
    rp_allocator_destroy(heap);
    world_restore(copy);
    ck_assert_uint_eq(now->sum(), then);
    rp::destroy(now);
    ck_assert_uint_eq(live_count(heap), 0);
    world_drop(copy);
}
