/* make, destroy, arrays, unique: what is constructed is destroyed, and no memory stays behind. */
#include "cxx/test.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

int alive;
std::vector<int> order; /* of destruction */

struct counted {
    int number;
    explicit counted(int given = alive) : number(given)
    {
        alive++;
    }
    counted(const counted &) = delete;
    ~counted()
    {
        alive--;
        order.push_back(number);
    }
};

struct thrower {
    static int until; /* the constructor that throws */
    counted part;
    thrower()
    {
        if (until-- == 0) {
            throw std::runtime_error("constructor");
        }
    }
};
int thrower::until;

struct alignas(64) wide {
    char bytes[192];
};

struct alignas(128) wide_counted {
    counted part;
};

struct first_base {
    virtual ~first_base() = default;
    int x = 1;
};
struct second_base {
    virtual ~second_base() = default;
    int y = 2;
};
struct derived : first_base, second_base {
    counted part{7};
    char more[500] = {};
};

struct over_cap {
    char bytes[1 << 20];
};

} // namespace

TEST(an_object_is_constructed_with_its_arguments_and_destroyed)
{
    rp_allocator *heap = open_heap();
    auto *text = rp::make<std::string>(heap, size_t(100), 'x');
    ck_assert_int_eq(*text == std::string(100, 'x'), 1);
    ck_assert_ptr_eq(rp_allocator_of(text), heap);
    rp::destroy(text);
    counted *one = rp::make<counted>(RP_FROM(heap), 5);
    ck_assert_int_eq(alive, 1);
    ck_assert_int_eq(one->number, 5);
    ck_assert_uint_eq(live_count(heap), 1);
    rp::destroy(one);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(arguments_are_forwarded)
{
    rp_allocator *heap = open_heap();
    auto owned = std::make_unique<int>(3);
    int changed = 0;
    struct taker {
        std::unique_ptr<int> taken;
        taker(std::unique_ptr<int> &&given, int &out) : taken(std::move(given))
        {
            out = 9;
        }
    };
    auto taken = rp::make_unique<taker>(heap, std::move(owned), changed);
    ck_assert_ptr_null(owned.get());
    ck_assert_int_eq(*taken->taken, 3);
    ck_assert_int_eq(changed, 9);
}

TEST(a_constructor_that_throws_gives_the_memory_back)
{
    rp_allocator *heap = open_heap();
    thrower::until = 0;
    int caught = 0;
    try {
        rp::destroy(rp::make<thrower>(heap));
    } catch (const std::runtime_error &error) {
        caught = strcmp(error.what(), "constructor") == 0;
    }
    ck_assert_int_eq(caught, 1);
    thrower::until = 0;
    ck_assert_int_eq(
        [&] {
            try {
                rp::destroy(rp::try_make<thrower>(heap));
                return 0;
            } catch (const std::runtime_error &) {
                return 1;
            }
        }(),
        1);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(an_array_is_destroyed_backwards)
{
    rp_allocator *heap = open_heap();
    counted *all = rp::make_array<counted>(heap, 5);
    ck_assert_int_eq(alive, 5);
    ck_assert_int_eq(all[4].number, 4);
    order.clear();
    rp::destroy_array(all);
    ck_assert_int_eq(alive, 0);
    ck_assert_int_eq(order == std::vector<int>({4, 3, 2, 1, 0}), 1);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(an_array_whose_kth_constructor_throws_leaves_nothing)
{
    rp_allocator *heap = open_heap();
    for (int k = 0; k < 6; k++) {
        thrower::until = k;
        order.clear();
        int caught = 0;
        try {
            rp::destroy_array(rp::make_array<thrower>(heap, 6));
        } catch (const std::runtime_error &) {
            caught = 1;
        }
        ck_assert_int_eq(caught, 1);
        ck_assert_int_eq(alive, 0);
        ck_assert_uint_eq(order.size(), static_cast<size_t>(k + 1));
        ck_assert_int_eq(order.back(), 0);
        ck_assert_uint_eq(live_count(heap), 0);
    }
}

TEST(an_array_of_numbers_is_zero_and_has_no_head)
{
    rp_allocator *heap = open_heap();
    auto *dirty = static_cast<unsigned char *>(rp_alloc(heap, 4096));
    memset(dirty, 0xff, 4096);
    rp_free(dirty);
    int *numbers = rp::make_array<int>(heap, 1024);
    for (int i = 0; i < 1024; i++) {
        ck_assert_int_eq(numbers[i], 0);
    }
    ck_assert_ptr_eq(rp_allocator_of(numbers), heap); /* the block starts at the first element */
    rp::destroy_array(numbers);
    rp::destroy_array(rp::make_array<counted>(heap, 0));
    rp::destroy_array(rp::make_array<int>(heap, 0));
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(over_aligned_objects_and_arrays_are_aligned)
{
    rp_allocator *heap = open_heap();
    for (size_t count = 0; count < 20; count++) {
        wide *one = rp::make<wide>(heap);
        wide_counted *many = rp::make_array<wide_counted>(heap, count);
        ck_assert_uint_eq(reinterpret_cast<uintptr_t>(one) % alignof(wide), 0);
        ck_assert_uint_eq(reinterpret_cast<uintptr_t>(many) % alignof(wide_counted), 0);
        ck_assert_int_eq(alive, static_cast<int>(count));
        rp::destroy_array(many);
        rp::destroy(one);
    }
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(an_object_is_destroyed_through_either_base)
{
    rp_allocator *heap = open_heap();
    derived *whole = rp::make<derived>(heap);
    second_base *second = whole;
    ck_assert_ptr_ne(static_cast<void *>(second), static_cast<void *>(whole));
    rp::destroy(second);
    first_base *first = rp::make<derived>(heap);
    rp::destroy(first);
    rp::destroy(static_cast<const second_base *>(rp::make<derived>(heap)));
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(unique_pointers_own_and_convert)
{
    rp_allocator *heap = open_heap();
    {
        rp::unique<second_base> base = rp::make_unique<derived>(RP_FROM(heap));
        rp::unique<counted[]> all = rp::make_unique<counted[]>(heap, 3);
        rp::unique<const counted> fixed = rp::make_unique<counted>(heap, 1);
        ck_assert_int_eq(base->y, 2);
        ck_assert_int_eq(all[2].number, 3);
        ck_assert_int_eq(alive, 5);
        static_assert(sizeof base == sizeof(void *), "the deleter takes no room");
    }
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(null_is_ignored)
{
    rp::destroy(static_cast<counted *>(nullptr));
    rp::destroy(static_cast<derived *>(nullptr));
    rp::destroy_array(static_cast<counted *>(nullptr));
    rp::unique<derived> none;
    ck_assert_int_eq(alive, 0);
}

TEST(a_full_heap_throws_with_the_reason)
{
    rp_allocator *heap = open_heap(256 << 10);
    int caught = 0;
    try {
        rp::destroy(rp::make<over_cap>(heap));
    } catch (const std::bad_alloc &error) {
        const auto *ours = dynamic_cast<const rp::out_of_memory *>(&error);
        ck_assert_ptr_nonnull(ours);
        ck_assert_int_eq(ours->status(), RP_E_MEMORY);
        ck_assert_str_eq(error.what(), rp_error_last()->text);
        ck_assert_ptr_nonnull(strstr(error.what(), "cxx")); /* the heap's name */
        caught = 1;
    }
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_null(rp::try_make<over_cap>(heap));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST(an_exception_keeps_its_reason)
{
    rp_allocator *heap = open_heap(256 << 10);
    std::exception_ptr kept;
    try {
        rp::destroy(rp::make<over_cap>(heap));
    } catch (...) {
        kept = std::current_exception();
    }
    std::string before = rp_error_last()->text;
    ck_assert_ptr_null(rp_alloc_aligned(heap, 3, 8)); /* another record on this thread */
    try {
        std::rethrow_exception(kept);
    } catch (const rp::out_of_memory &error) {
        ck_assert_str_eq(error.what(), before.c_str());
    }
    ck_assert_str_ne(rp_error_last()->text, before.c_str());
}

TEST(a_count_that_overflows_is_refused)
{
    rp_allocator *heap = open_heap();
    for (size_t count : {SIZE_MAX / sizeof(derived) + 1, SIZE_MAX / 8, SIZE_MAX}) {
        int caught = 0;
        try {
            rp::destroy_array(rp::make_array<derived>(heap, count));
        } catch (const std::bad_array_new_length &) {
            caught = 1;
        }
        ck_assert_int_eq(caught, 1);
    }
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(live_count(heap), 0);
}

TEST_ABORTS(an_object_that_is_destroyed_twice_is_named)
{
    rp_allocator *heap = open_heap();
    int *number = rp::make<int>(heap, 3);
    rp::destroy(number);
    rp::destroy(number);
}

TEST(sites_name_the_type)
{
    const char *site = rp::detail::make_site<derived>.data();
    ck_assert_ptr_nonnull(strstr(site, "rp::make "));
    ck_assert_ptr_nonnull(strstr(site, "derived"));
    using deep = std::vector<std::vector<std::vector<std::vector<std::vector<derived>>>>>;
    ck_assert_uint_lt(strlen(rp::detail::make_site<deep>.data()), rp::detail::site_most_bytes);
}
