/* The region for a program without a deck: opened, refused, closed and opened again. */
#include "base/bits.h"
#include "region/region.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <reprise/debug.h>
#include <reprise/memory.h>
#include <string.h>

TEST(the_allocators_can_be_used_once_it_is_open)
{
    ck_assert_ptr_null(rp_generic(RP_ZONE_WORLD));
    ck_ok(rp_memory_open(NULL));
    int *numbers = rp_new(rp_generic(RP_ZONE_WORLD), int, 100);
    ck_assert_ptr_nonnull(numbers);
    ck_assert_int_eq(rp_region_contains(numbers), 1);
    rp_free(numbers);
    rp_memory_close();
    ck_assert_ptr_null(rp_generic(RP_ZONE_WORLD));
}

TEST(it_can_be_opened_again_and_remembers_nothing)
{
    for (int round = 0; round < 3; round++) {
        ck_ok(rp_memory_open(&(rp_memory_desc){.reserve_bytes = RP_GIB(1)}));
        rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "watched"});
        ck_assert_uint_eq(rp_debug_modes_of(heap), 0);
        ck_ok(rp_debug_set("watched", RP_DEBUG_CANARY));
        ck_assert_uint_eq(rp_debug_modes_of(heap), RP_DEBUG_CANARY);
        ck_assert_ptr_nonnull(rp_alloc(heap, 100));
        rp_memory_close();
    }
}

TEST(it_is_opened_once_at_a_time_and_closed_in_vain_without_harm)
{
    rp_memory_close();
    ck_ok(rp_memory_open(NULL));
    ck_assert_int_eq(rp_memory_open(NULL), RP_E_BUSY);
    ck_assert_ptr_nonnull(rp_alloc(rp_generic(RP_ZONE_WORLD), 10));
    rp_memory_close();
    rp_memory_close();
}

TEST(the_modes_given_hold_for_the_allocators_made)
{
    ck_ok(rp_memory_open(&(rp_memory_desc){.debug = "physics=canary;*=trace"}));
    rp_allocator *physics = rp_heap_create(&(rp_heap_desc){.name = "physics"});
    rp_allocator *other = rp_heap_create(&(rp_heap_desc){.name = "other", .zone = RP_ZONE_KEEP});
    ck_assert_uint_eq(rp_debug_modes_of(physics), RP_DEBUG_CANARY);
    ck_assert_uint_eq(rp_debug_modes_of(other), RP_DEBUG_TRACE);
    rp_memory_close();
}

TEST(modes_with_an_error_leave_it_closed)
{
    ck_assert_int_eq(rp_memory_open(&(rp_memory_desc){.debug = "*=canaries"}), RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "canaries"));
    ck_assert(!rp_region_is_open());
    ck_ok(rp_memory_open(&(rp_memory_desc){.debug = ""}));
    rp_memory_close();
}

TEST(too_small_a_reserve_is_refused)
{
    ck_assert_int_eq(rp_memory_open(&(rp_memory_desc){.reserve_bytes = 1}), RP_E_ARGUMENT);
    ck_assert(!rp_region_is_open());
}

static rp_status open_and_close(void *context)
{
    rp_status status = rp_memory_open(context);
    if (status == RP_OK) {
        rp_allocator *generic = rp_generic(RP_ZONE_WORLD);
        void *block = generic ? rp_alloc(generic, 10) : NULL;
        status = block ? RP_OK : rp_error_last()->status;
        rp_memory_close();
    }
    return status;
}

TEST(a_failing_system_call_is_told_and_can_be_tried_again)
{
    rp_memory_desc desc = {.reserve_bytes = RP_GIB(1), .debug = "*=canary"};
    fault_each_call_or_recover(open_and_close, &desc, ENOMEM);
    ck_ok(open_and_close(&desc));
}
