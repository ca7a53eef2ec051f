/* A program whose operator new is the generic allocator's. */
#define RP_REPLACE_OPERATOR_NEW

#include "cxx/test.hpp"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct alignas(256) wide {
    char bytes[256];
};

/* Made before main, hence before the region. */
std::vector<std::string> early(20, std::string(100, 'e'));

rp_allocator *open_generic()
{
    world_open();
    return rp_generic(RP_ZONE_WORLD);
}

bool is_ours(const void *block)
{
    return rp_allocator_of(block) == rp_generic(RP_ZONE_WORLD);
}

int handler_calls;
void *reserve;

void give_reserve()
{
    handler_calls++;
    rp_free(reserve);
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

struct stop_search {
};

void give_up()
{
    throw stop_search();
}

constexpr size_t too_much = size_t(1) << 40;

} // namespace

TEST(the_region_is_where_the_header_says)
{
    ck_assert_uint_eq(rp::detail::region_start, world_region_start());
    ck_assert_uint_eq(rp::detail::region_reserve_bytes, world_region_reserve_bytes());
}

TEST(all_forms_of_new_and_delete_are_ours)
{
    rp_allocator *generic = open_generic();
    uint64_t before = live_count(generic);
    auto *one = new int(3);
    auto *many = new std::string[5];
    auto *aligned = new wide;
    auto *aligned_many = new wide[3];
    auto *no_throw = new (std::nothrow) int[10];
    auto *aligned_no_throw = new (std::nothrow) wide;
    void *raw = ::operator new(100);
    void *raw_aligned = ::operator new[](100, std::align_val_t(4096));
    const void *blocks[] = {one, aligned,    aligned_many, no_throw, aligned_no_throw,
                            raw, raw_aligned};
    for (const void *block : blocks) {
        ck_assert_int_eq(is_ours(block), 1);
    }
    ck_assert_uint_eq(reinterpret_cast<uintptr_t>(aligned) % alignof(wide), 0);
    ck_assert_uint_eq(reinterpret_cast<uintptr_t>(aligned_many) % alignof(wide), 0);
    ck_assert_uint_eq(reinterpret_cast<uintptr_t>(raw_aligned) % 4096, 0);
    ck_assert_uint_eq(live_count(generic), before + 8);
    delete one;
    delete[] many;
    delete aligned;
    delete[] aligned_many;
    delete[] no_throw;
    delete aligned_no_throw;
    ::operator delete(raw, 100);
    ::operator delete[](raw_aligned, 100, std::align_val_t(4096));
    ck_assert_uint_eq(live_count(generic), before);
}

TEST(the_standard_library_uses_it)
{
    rp_allocator *generic = open_generic();
    uint64_t before = live_count(generic);
    {
        std::map<int, std::string> names;
        for (int i = 0; i < 1000; i++) {
            names[i] = std::string(50, 'x');
        }
        ck_assert_uint_ge(live_count(generic), before + 2000);
        auto shared = std::make_shared<int>(1);
        ck_assert_int_eq(is_ours(names.at(3).data()), 1);
    }
    ck_assert_uint_eq(live_count(generic), before);
}

TEST(what_was_made_before_the_region_can_be_deleted)
{
    rp_allocator *generic = open_generic();
    ck_assert_int_eq(rp::detail::in_region(early[3].data()), 0);
    early[3] = std::string(5000, 'n');
    ck_assert_int_eq(is_ours(early[3].data()), 1);
    uint64_t before = live_count(generic);
    early.clear();
    early.shrink_to_fit();
    ck_assert_uint_eq(live_count(generic), before - 1);
}

TEST(what_outlives_the_region_is_let_go)
{
    open_generic();
    auto *number = new int(3);
    auto *raw = ::operator new(100);
    world_close();
    delete number;
    ::operator delete(raw);
}

TEST(null_is_ignored)
{
    open_generic();
    delete static_cast<int *>(nullptr);
    ::operator delete(nullptr, 8);
    ::operator delete[](nullptr, std::align_val_t(64));
}

TEST(without_memory_new_throws_and_nothrow_new_is_null)
{
    open_generic();
    int caught = 0;
    try {
        ::operator delete(::operator new(too_much));
    } catch (const rp::out_of_memory &error) {
        caught = error.what()[0] != 0;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_null(::operator new(too_much, std::nothrow));
    ck_assert_ptr_null(::operator new[](too_much, std::align_val_t(64), std::nothrow));
}

TEST(the_new_handler_makes_room_and_is_not_called_in_vain)
{
    open_generic();
    size_t half = size_t(500) << 20; /* of 768 MiB */
    reserve = rp_alloc(rp_generic(RP_ZONE_WORLD), half);
    ck_assert_ptr_nonnull(reserve);
    std::set_new_handler(give_reserve);
    void *block = ::operator new(half);
    ck_assert_int_eq(handler_calls, 1);
    ::operator delete(block);
    ::operator delete(::operator new(10));
    ck_assert_int_eq(handler_calls, 1);
}

TEST(an_exception_of_the_new_handler_goes_through)
{
    open_generic();
    std::set_new_handler(give_up);
    int caught = 0;
    try {
        ::operator delete(::operator new(too_much));
    } catch (const stop_search &) {
        caught = 1;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_null(::operator new(too_much, std::nothrow));
}

TEST(threads_make_and_delete_each_others)
{
    rp_allocator *generic = open_generic();
    { /* whatever threads cost for ever */
        std::thread([] {}).join();
    }
    uint64_t before = live_count(generic);
    std::vector<std::unique_ptr<std::string>> made;
    std::thread([&] {
        for (size_t i = 0; i < 2000; i++) {
            made.push_back(std::make_unique<std::string>(100, 't'));
        }
    }).join();
    ck_assert_uint_ge(live_count(generic), before + 4000);
    made.clear();
    made.shrink_to_fit();
    ck_assert_uint_eq(live_count(generic), before);
}

TEST_ABORTS(a_second_delete_is_named)
{
    open_generic();
    void *volatile raw = ::operator new(24); /* or the compiler sees what is coming */
    ::operator delete(raw);
    ::operator delete(raw);
}
