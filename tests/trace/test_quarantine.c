/* Quarantine: freed blocks are not used again at once, and who writes to one is found. */
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

static rp_allocator *resting_heap(void)
{
    rp_allocator *made =
        rp_debug_create(&(rp_heap_desc){.name = "resting"}, RP_DEBUG_QUARANTINE, NULL);
    ck_assert_msg(made, "%s", rp_error_last()->text);
    return made;
}

TEST(a_freed_block_is_not_handed_out_again_while_the_budget_lasts)
{
    enum { COUNT = 100 };
    debug_open(NULL);
    rp_debug_budget_set(0, COUNT * 64);
    rp_allocator *a = resting_heap();
    uint8_t *block = rp_alloc(a, 64);
    rp_free(block);
    int rounds = 0;
    for (uint8_t *other = NULL; other != block; rounds++) {
        other = rp_alloc(a, 64);
        rp_free(other);
        ck_assert_int_lt(rounds, 10 * COUNT);
    }
    ck_assert_int_ge(rounds, COUNT);
    ck_assert_uint_le(debug_stats().resting_bytes, COUNT * 64);
    ck_assert_uint_eq(debug_stats().resting_count, COUNT);
    no_errors();
    rp_region_destroy();
}

TEST(a_write_to_a_block_at_rest_is_found_when_it_leaves)
{
    debug_open(NULL);
    rp_debug_budget_set(0, 1000);
    rp_allocator *a = resting_heap();
    uint8_t *block = rp_alloc_at(a, 100, "late.c:9 Late");
    rp_free(block);
    poke(block + 7, 1);
    no_errors();
    for (int i = 0; i < 20; i++) {
        rp_free(rp_alloc(a, 100));
    }
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(told.errors[0].kind, RP_DEBUG_WRITE_AFTER_FREE);
    ck_assert_int_eq((int)told.errors[0].offset_bytes, 7);
    ck_assert_ptr_nonnull(strstr(told.text, "late.c:9 Late"));
    ck_assert_ptr_nonnull(strstr(told.text, "freed at"));
    rp_region_destroy();
}

TEST(a_check_finds_it_earlier)
{
    debug_open(NULL);
    rp_allocator *a = resting_heap();
    uint8_t *block = rp_alloc(a, 100);
    rp_free(block);
    ck_assert_uint_eq(rp_debug_check(), 0);
    poke(block, 1);
    ck_assert_uint_eq(rp_debug_check(), 1);
    rp_region_destroy();
}

TEST(a_block_larger_than_the_quarantine_does_not_rest_and_is_counted)
{
    debug_open(NULL);
    rp_debug_budget_set(0, 1000);
    rp_allocator *a = resting_heap();
    rp_free(rp_alloc(a, RP_KIB(100)));
    ck_assert_uint_eq(debug_stats().resting_refused, 1);
    ck_assert_uint_eq(debug_stats().resting_count, 0);
    check_zones();
    rp_region_destroy();
}

TEST(large_blocks_rest_too_and_leave_in_order)
{
    debug_open(NULL);
    rp_debug_budget_set(0, RP_MIB(1));
    rp_allocator *a = resting_heap();
    for (int i = 0; i < 100; i++) {
        rp_free(rp_alloc(a, RP_KIB(10) * (size_t)(i % 20 + 1)));
        ck_assert_uint_le(debug_stats().resting_bytes, RP_MIB(1));
    }
    ck_assert_uint_gt(debug_stats().resting_count, 3);
    rp_allocator_destroy(a);
    check_zones();
    no_errors();
    rp_region_destroy();
}

static int free_twice(void *context)
{
    (void)context;
    debug_open_loud(NULL);
    void *block = rp_alloc_at(resting_heap(), 24, "twice.c:5");
    rp_free(block);
    rp_free(block);
    return 0;
}

TEST(a_double_free_of_a_block_at_rest_is_named)
{
    child_end end = child_run(free_twice, NULL);
    ck_assert_int_eq(end.signal, SIGABRT);
    ck_assert_ptr_nonnull(strstr(end.error_text, "double free"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "in quarantine"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "twice.c:5"));
}

TEST(the_quarantine_is_restored_with_the_world)
{
    debug_open(NULL);
    rp_debug_budget_set(0, 2000);
    rp_allocator *a = resting_heap();
    for (int i = 0; i < 10; i++) {
        rp_free(rp_alloc(a, 100));
    }
    uint64_t count = debug_stats().resting_count;
    snapshot then = snapshot_take();
    for (int i = 0; i < 100; i++) {
        rp_free(rp_alloc(a, (size_t)i * 5));
    }
    snapshot_restore(&then);
    rp_trace_reconcile();
    ck_assert_uint_eq(debug_stats().resting_count, count);
    for (int i = 0; i < 100; i++) {
        rp_free(rp_alloc(a, (size_t)i * 5));
    }
    no_errors();
    snapshot_drop(&then);
    check_zones();
    rp_region_destroy();
}
