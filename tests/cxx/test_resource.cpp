/* rp::resource: std::pmr over an allocator. */
#include "cxx/test.hpp"

#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

enum { RANDOM_STEPS = 20000 };

/* A resource of somebody else's. */
class foreign final : public std::pmr::memory_resource
{
    void *do_allocate(size_t, size_t) override
    {
        return nullptr;
    }
    void do_deallocate(void *, size_t, size_t) override
    {
    }
    bool do_is_equal(const std::pmr::memory_resource &) const noexcept override
    {
        return true;
    }
};

} // namespace

TEST(every_alignment_and_size_is_honoured)
{
    rp_allocator *heap = open_heap();
    rp::resource resource(heap);
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t size : {size_t(0), size_t(1), size_t(48), size_t(5000)}) {
            void *block = resource.allocate(size, align);
            ck_assert_uint_eq(reinterpret_cast<uintptr_t>(block) % align, 0);
            memset(block, 1, size);
            ck_assert_ptr_eq(rp_allocator_of(block), heap);
            resource.deallocate(block, size, align);
        }
    }
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(resources_are_equal_when_they_use_one_allocator)
{
    rp_allocator *heap = open_heap();
    rp::resource one(heap), same(RP_FROM(heap)), other(world_heap("other", 0));
    ck_assert_int_eq(one == same, 1);
    ck_assert_int_eq(one == other, 0);
    ck_assert_int_eq(one == *std::pmr::new_delete_resource(), 0);
    ck_assert_int_eq(one.is_equal(foreign()), 0);
    ck_assert_ptr_eq(one.get(), heap);
}

TEST(pmr_containers_do_as_the_standard_ones)
{
    rp_allocator *heap = open_heap();
    uint64_t random = test_seed();
    {
        rp::resource resource(heap);
        std::pmr::map<int, std::pmr::string> ours(&resource);
        std::map<int, std::string> theirs;
        for (int i = 0; i < RANDOM_STEPS; i++) {
            int key = static_cast<int>(test_random(&random) % 300);
            size_t length = test_random(&random) % 200;
            switch (test_random(&random) % 3) {
            case 0:
                ours[key].assign(length, 'a');
                theirs[key].assign(length, 'a');
                break;
            case 1:
                ours[key] += "more";
                theirs[key] += "more";
                break;
            default:
                ours.erase(key);
                theirs.erase(key);
            }
        }
        ck_assert_uint_eq(ours.size(), theirs.size());
        for (const auto &[key, value] : theirs) {
            ck_assert_int_eq(std::string_view(ours.at(key)) == value, 1);
        }
        ck_assert_uint_ge(live_count(heap), theirs.size());
    }
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(what_is_nested_comes_from_the_same_heap)
{
    rp_allocator *heap = open_heap();
    {
        rp::resource resource(heap);
        std::pmr::vector<std::pmr::vector<std::pmr::string>> nested(&resource);
        nested.resize(3);
        nested[2].emplace_back(500, 'x');
        ck_assert_ptr_eq(rp_allocator_of(nested[2][0].data()), heap);
        std::pmr::vector<std::pmr::string> elsewhere(std::move(nested[2]),
                                                     std::pmr::new_delete_resource());
        ck_assert_ptr_null(rp_allocator_of(elsewhere[0].data()));
        ck_assert_uint_eq(elsewhere[0].size(), 500);
    }
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(pools_and_buffers_of_the_standard_stand_on_it)
{
    rp_allocator *heap = open_heap();
    {
        rp::resource resource(heap);
        std::pmr::unsynchronized_pool_resource pool(&resource);
        std::pmr::monotonic_buffer_resource buffer(&pool);
        std::pmr::unordered_map<int, int> table(&buffer);
        for (int i = 0; i < 3000; i++) {
            table[i] = i;
        }
        ck_assert_int_eq(table.at(2999), 2999);
        ck_assert_uint_gt(live_count(heap), 0);
    }
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(a_full_heap_throws_bad_alloc)
{
    rp_allocator *heap = open_heap(256 << 10);
    rp::resource resource(heap);
    int caught = 0;
    try {
        std::pmr::vector<char> all(1 << 20, &resource);
    } catch (const std::bad_alloc &error) {
        caught = strlen(error.what()) > 20;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_uint_eq(live_count(heap), 0);
}
