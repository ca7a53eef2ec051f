/* The static heap: in the header's unit, before every other allocator, and part of the state. */
#include "alloc/model.h"
#include "alloc/simple.h"
#include "support/fault.h"

#include <errno.h>
#include <reprise/page.h>

static rp_allocator *open_static(rp_zone zone)
{
    model_open_region();
    rp_allocator *heap = rp_static_heap(zone);
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    return heap;
}

TEST(it_lies_in_the_header_and_needs_nothing_else)
{
    model_open_region();
    rp_region_stats stats;
    uint8_t *block = rp_static_alloc(RP_ZONE_WORLD, 100);
    uint8_t *base = (uint8_t *)(uintptr_t)RP_REGION_BASE;
    ck_assert(block >= base + RP_PAGE_BYTES && block + 100 <= base + RP_UNIT_BYTES);
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_eq(stats.used_bytes, 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(block[i], 0);
    }
    memset(block, 0xff, 100);
    rp_static_free(RP_ZONE_WORLD, block);
    ck_assert_ptr_eq(rp_static_alloc(RP_ZONE_WORLD, 100), block);
    ck_assert_uint_eq(block[99], 0);
    rp_region_destroy();
}

TEST(without_a_region_there_is_none_and_a_reason)
{
    ck_assert_ptr_null(rp_static_heap(RP_ZONE_WORLD));
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "not open"));
    ck_assert_ptr_null(rp_static_alloc(RP_ZONE_KEEP, 8));
}

TEST(what_was_allocated_before_it_was_registered_counts)
{
    model_open_region();
    void *block = rp_static_alloc(RP_ZONE_KEEP, 40);
    rp_allocator *heap = rp_static_heap(RP_ZONE_KEEP);
    ck_assert_ptr_eq(rp_static_heap(RP_ZONE_KEEP), heap);
    ck_assert_str_eq(rp_allocator_kind_name(heap), "static");
    uint64_t count = model_stats(heap).live_count;
    ck_assert_uint_ge(count, 1);
    ck_assert_ptr_eq(rp_allocator_of(block), heap);
    rp_free(block);
    ck_assert_uint_eq(model_stats(heap).live_count, count - 1);
    rp_region_destroy();
}

TEST(random_operations_agree_with_a_model)
{
    model m = {.allocator = open_static(RP_ZONE_WORLD),
               .random = test_seed(),
               .most_bytes = 900,
               .align_most = 6};
    ck_assert_uint_eq(model_stats(m.allocator).live_count, 0);
    model_run(&m, 40000);
    ck_assert_uint_gt(m.refused, 0);
    model_empty(&m);
    void *all = rp_alloc(m.allocator, RP_KIB(59)); /* everything was joined again */
    ck_assert_msg(all, "%s", rp_error_last()->text);
    rp_region_destroy();
}

TEST(equal_calls_give_equal_addresses_and_a_restore_brings_blocks_back)
{
    rp_allocator *heap = open_static(RP_ZONE_WORLD);
    uint8_t *kept = rp_alloc(heap, 333);
    memset(kept, 0x5a, 333);
    snapshot then = snapshot_take();
    void *next = rp_alloc(heap, 64);
    rp_free(kept);
    void *other = rp_alloc(heap, 20);
    snapshot_restore(&then);
    ck_assert_uint_eq(rp_usable_bytes(kept) >= 333, 1);
    ck_assert_uint_eq(kept[332], 0x5a);
    ck_assert_ptr_eq(rp_alloc(heap, 64), next);
    rp_free(kept);
    ck_assert_ptr_eq(rp_alloc(heap, 20), other);
    snapshot_drop(&then);
    rp_region_destroy();
}

TEST(full_is_null_and_a_reason)
{
    rp_allocator *heap = open_static(RP_ZONE_WORLD);
    ck_assert_ptr_null(rp_alloc(heap, RP_KIB(60)));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "static heap: no block of 61440"));
    ck_assert_ptr_null(rp_alloc(heap, SIZE_MAX));
    ck_assert_ptr_null(rp_alloc_aligned(heap, RP_MIB(1), SIZE_MAX - 100));
    size_t count = 0;
    while (rp_alloc(heap, 16)) {
        count++;
    }
    ck_assert_uint_gt(count, 1800);
    rp_region_destroy();
}

static rp_status attempt(void *context)
{
    (void)context;
    rp_status status = rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(1)});
    if (status == RP_OK) {
        rp_allocator *heap = rp_static_heap(RP_ZONE_WORLD);
        status = heap ? RP_OK : rp_error_last()->status;
        rp_region_destroy();
    }
    return status;
}

TEST(each_failing_system_call_is_told)
{
    fault_each_call(attempt, NULL, ENOMEM);
}

static int destroy_it(void *heap)
{
    rp_allocator_destroy(heap);
    return 0;
}

TEST(misuse_is_named)
{
    rp_allocator *heap = open_static(RP_ZONE_WORLD);
    uint8_t *block = rp_alloc(heap, 100), *next = rp_alloc(heap, 100);
    model_dies(model_free_it, block + 16, "inside a block");
    model_dies(model_free_it, block + 1, "inside a block");
    model_dies(destroy_it, heap, "a part of its zone");
    rp_free(block);
    model_dies(model_free_it, block, "heap static: double free");
    memset(next + 112, 0xee, 4); /* over the tag behind it */
    model_dies(model_free_it, next, "written over");
    rp_region_destroy();
}
