/* Pages: runs of the region as blocks, between guards, in place, given back. */
#include "alloc/model.h"
#include "support/fault.h"

#include <errno.h>
#include <reprise/page.h>

enum { BOTH = RP_PAGES_GUARD_BEFORE | RP_PAGES_GUARD_AFTER };

static uint8_t *pages(size_t size_bytes, unsigned flags)
{
    uint8_t *start = rp_pages_alloc(RP_ZONE_WORLD, size_bytes, flags);
    ck_assert_msg(start, "%s", rp_error_last()->text);
    return start;
}

static int read_byte(void *address)
{
    return *(volatile uint8_t *)address ? 0 : 0;
}

static bool faults(uint8_t *address)
{
    return child_run(read_byte, address).signal == SIGSEGV;
}

TEST(a_zone_has_one_page_allocator)
{
    ck_assert_ptr_null(rp_page_allocator(RP_ZONE_WORLD));
    ck_assert_ptr_null(rp_pages_alloc(RP_ZONE_WORLD, 1, 0));
    model_open_region();
    rp_allocator *world = rp_page_allocator(RP_ZONE_WORLD), *keep = rp_page_allocator(RP_ZONE_KEEP);
    ck_assert(world && keep && world != keep);
    ck_assert_ptr_eq(rp_page_allocator(RP_ZONE_WORLD), world);
    ck_assert_str_eq(rp_allocator_kind_name(world), "page");
    ck_assert_int_eq(rp_allocator_zone(keep), RP_ZONE_KEEP);
    void *block = rp_pages_alloc(RP_ZONE_KEEP, 5000, 0);
    ck_assert_ptr_eq(rp_allocator_of(block), keep);
    rp_free(block);
    rp_region_destroy();
}

TEST(random_operations_agree_with_a_model)
{
    model_open_region();
    model m = {.allocator = rp_page_allocator(RP_ZONE_WORLD),
               .random = test_seed(),
               .most_bytes = RP_KIB(300),
               .align_most = 16};
    model_run(&m, 4000);
    model_empty(&m);
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    rp_region_destroy();
}

TEST(guards_stand_where_asked_and_the_run_counts_its_usable_bytes)
{
    model_open_region();
    for (unsigned flags = 0; flags <= BOTH; flags++) {
        uint8_t *start = pages(RP_KIB(70), flags);
        size_t bytes = rp_usable_bytes(start);
        memset(start, 1, bytes);
        ck_assert_uint_ge(bytes, RP_KIB(70));
        if (flags & RP_PAGES_GUARD_AFTER) {
            ck_assert_uint_eq(bytes, RP_KIB(72));
            ck_assert(faults(start + bytes));
        }
        ck_assert_int_eq(faults(start - 1), (flags & RP_PAGES_GUARD_BEFORE) != 0);
        ck_assert_uint_eq(model_stats(rp_page_allocator(RP_ZONE_WORLD)).live_bytes, bytes);
        rp_free(start);
        ck_assert_uint_eq(rp_usable_bytes(start), 0);
    }
    rp_region_destroy();
}

TEST(zeroed_pages_are_zero_also_when_they_were_used)
{
    model_open_region();
    uint8_t *first = pages(RP_KIB(64), 0);
    memset(first, 0xff, RP_KIB(64));
    rp_free(first);
    uint8_t *second = pages(RP_KIB(64), RP_PAGES_ZEROED);
    ck_assert_ptr_eq(first, second);
    for (size_t i = 0; i < RP_KIB(64); i++) {
        ck_assert_uint_eq(second[i], 0);
    }
    rp_region_destroy();
}

TEST(a_run_grows_and_shrinks_in_place_and_says_when_it_cannot)
{
    model_open_region();
    uint8_t *run = pages(RP_KIB(64), RP_PAGES_GUARD_AFTER), *wall;
    run[0] = 7;
    ck_assert(rp_pages_resize(run, RP_MIB(1)));
    run[RP_MIB(1) - 1] = 8;
    ck_assert(faults(run + rp_usable_bytes(run)));
    wall = pages(1, 0);
    ck_assert(!rp_pages_resize(run, RP_MIB(3)));
    ck_assert(!rp_pages_resize(run, SIZE_MAX));
    ck_assert_uint_eq(rp_usable_bytes(run), RP_MIB(1));
    ck_assert(rp_pages_resize(run, 1));
    ck_assert_uint_eq(rp_usable_bytes(run), RP_PAGE_BYTES);
    ck_assert_uint_eq(run[0], 7);
    rp_free(run);
    rp_free(wall);
    ck_assert_uint_eq(model_stats(rp_page_allocator(RP_ZONE_WORLD)).live_bytes, 0);
    rp_region_destroy();
}

TEST(the_figures_add_up_and_a_purge_gives_memory_back)
{
    model_open_region();
    rp_pages_stats stats;
    uint8_t *one = pages(RP_MIB(2), 0), *two = pages(RP_KIB(64), BOTH), *three = pages(1, 0);
    memset(one, 1, RP_MIB(2));
    rp_free(one);
    rp_pages_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_eq(stats.run_count, 2);
    ck_assert_uint_eq(stats.run_bytes, rp_usable_bytes(two) + rp_usable_bytes(three));
    ck_assert_uint_eq(stats.free_count, 1);
    ck_assert_uint_eq(stats.free_bytes, RP_MIB(2));
    ck_assert_uint_eq(stats.free_largest_bytes, RP_MIB(2));
    ck_assert_uint_eq(stats.guards, 2);
    rp_pages_purge(RP_ZONE_WORLD);
    ck_assert_uint_eq(one[RP_MIB(1)], 0);
    rp_region_destroy();
}

TEST(exhaustion_is_null_and_a_reason)
{
    model_open_region();
    ck_assert_ptr_null(rp_pages_alloc(RP_ZONE_WORLD, RP_GIB(1), 0));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_null(rp_pages_alloc(RP_ZONE_WORLD, SIZE_MAX, BOTH));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_uint_eq(model_stats(rp_page_allocator(RP_ZONE_WORLD)).live_count, 0);
    rp_region_destroy();
}

static rp_status attempt(void *context)
{
    (void)context;
    void *run = rp_pages_alloc(RP_ZONE_WORLD, RP_MIB(3), BOTH);
    if (!run) {
        return rp_error_last()->status;
    }
    rp_status status = rp_pages_resize(run, RP_MIB(9)) ? RP_OK : rp_error_last()->status;
    rp_free(run);
    return status;
}

TEST(each_failing_system_call_is_told_and_undone)
{
    model_open_region();
    ck_assert_ptr_nonnull(rp_page_allocator(RP_ZONE_WORLD));
    fault_each_call_or_recover(attempt, NULL, ENOMEM);
    ck_assert_uint_eq(model_stats(rp_page_allocator(RP_ZONE_WORLD)).live_count, 0);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

TEST(a_restore_brings_runs_and_their_guards_back)
{
    model_open_region();
    uint8_t *run = pages(RP_KIB(100), BOTH);
    run[0] = 9;
    snapshot then = snapshot_take();
    rp_free(run);
    void *other = pages(RP_KIB(30), RP_PAGES_GUARD_AFTER);
    snapshot_restore(&then);
    ck_assert_uint_eq(run[0], 9);
    ck_assert(faults(run - 1) && faults(run + RP_KIB(100)));
    ck_assert_uint_eq(model_stats(rp_page_allocator(RP_ZONE_WORLD)).live_count, 1);
    rp_free(run);
    ck_assert_ptr_eq(pages(RP_KIB(30), RP_PAGES_GUARD_AFTER), other);
    snapshot_drop(&then);
    rp_region_destroy();
}

TEST(misuse_is_named)
{
    model_open_region();
    uint8_t *run = pages(RP_KIB(200), RP_PAGES_GUARD_BEFORE), *wall = pages(1, 0);
    model_dies(model_free_it, run + RP_UNIT_BYTES, "inside a block");
    model_dies(model_free_it, run + 16, "inside a block");
    model_dies(model_free_it, run - 8, "inside a block");
    rp_free(run);
    model_dies(model_free_it, run, "double free");
    uint8_t *aligned = rp_alloc_aligned(rp_page_allocator(RP_ZONE_WORLD), RP_MIB(1), 100);
    ck_assert_uint_eq((uintptr_t)aligned % RP_MIB(1), 0);
    model_dies(model_free_it, aligned - RP_PAGE_BYTES, "inside a block");
    rp_free(aligned);
    rp_free(wall);
    rp_region_destroy();
}
