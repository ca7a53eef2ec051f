/* Growth between two moments, by scope and site. */
#include "support/snapshot.h"
#include "trace/reports.h"

#include <stdlib.h>

static rp_allocator *heap;

static void open_heap(void)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
}

static void *cached(size_t size_bytes)
{
    void *block = NULL;
    RP_SCOPE("cache")
    {
        block = rp_alloc(heap, size_bytes);
    }
    return block;
}

static void *passing(size_t size_bytes)
{
    void *block = NULL;
    RP_SCOPE("passing")
    {
        block = rp_alloc(heap, size_bytes);
    }
    return block;
}

static json_t *growth(uint32_t from, uint32_t to)
{
    report_clear();
    ck_ok(rp_growth_report(from, to, RP_REPORT_JSON, report_keep, &kept_report));
    return report_json();
}

TEST(what_grew_and_stayed_is_named_and_what_went_is_not)
{
    open_heap();
    cached(100);
    uint32_t from = rp_growth_mark();
    cached(1000);
    cached(2000);
    void *gone = passing(5000);
    uint32_t to = rp_growth_mark();
    rp_free(gone);
    cached(7000); /* after the second mark: not of that time */
    ck_assert_uint_ne(from, to);
    json_t *read = growth(from, to), *rows = json_object_get(read, "rows");
    json_t *row = element_with(rows, "scope", "/cache");
    ck_assert_ptr_nonnull(row);
    ck_assert_uint_eq(number_in(row, "from_bytes"), 100);
    ck_assert_uint_eq(number_in(row, "to_bytes"), 3100);
    ck_assert_uint_eq(number_in(row, "now_bytes"), 10100);
    ck_assert_uint_eq(number_in(row, "still_bytes"), 3000);
    ck_assert_uint_eq(number_in(row, "made_between_bytes"), 3000);
    ck_assert_uint_eq(number_in(row, "made_between_count"), 2);
    ck_assert_ptr_null(element_with(rows, "scope", "/passing"));
    ck_assert_ptr_nonnull(element_with(rows, "allocator", "test"));
    json_decref(read);
}

TEST(an_allocator_without_records_is_compared_as_a_whole)
{
    open_heap();
    uint32_t from = rp_growth_mark();
    (void)rp_alloc(heap, RP_MIB(1));
    uint32_t to = rp_growth_mark();
    json_t *read = growth(from, to);
    json_t *row = element_with(json_object_get(read, "rows"), "allocator", "test");
    ck_assert_uint_ge(number_in(row, "still_bytes"), RP_MIB(1));
    json_decref(read);
}

TEST(a_mark_outlives_a_seek_and_knows_places_by_their_names)
{
    open_heap();
    snapshot start = snapshot_take();
    cached(100);
    uint32_t from = rp_growth_mark();
    cached(1000);
    uint32_t to = rp_growth_mark();
    snapshot_restore(&start);
    rp_trace_reconcile();
    json_t *read = growth(from, to);
    ck_assert_ptr_null(element_with(json_object_get(read, "rows"), "scope", "/cache"));
    json_decref(read);
    passing(10); /* takes the ids that /cache had */
    cached(5000);
    read = growth(from, to);
    json_t *row = element_with(json_object_get(read, "rows"), "scope", "/cache");
    ck_assert_uint_eq(number_in(row, "still_bytes"), 1000);
    ck_assert_ptr_null(element_with(json_object_get(read, "rows"), "scope", "/passing"));
    json_decref(read);
    snapshot_drop(&start);
}

TEST(marks_have_a_limit_and_can_be_dropped)
{
    open_heap();
    uint32_t first = rp_growth_mark(), last = first, count = 0;
    while (last) {
        count++;
        last = rp_growth_mark();
    }
    ck_assert_uint_eq(count, 64);
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    rp_growth_drop(first);
    ck_assert_int_eq(rp_growth_report(first, 2, RP_REPORT_TEXT, report_keep, &kept_report),
                     RP_E_NOT_FOUND);
    ck_assert_uint_eq(kept_report.length, 0);
    uint32_t again = rp_growth_mark();
    ck_assert_uint_gt(again, first);
    rp_growth_drop(0);
    rp_growth_drop(12345);
}

TEST(the_text_says_between_which_frames)
{
    open_heap();
    rp_trace_frame_set(10);
    uint32_t from = rp_growth_mark();
    cached(1000);
    rp_trace_frame_set(20);
    uint32_t to = rp_growth_mark();
    ck_ok(rp_growth_report(from, to, RP_REPORT_TEXT, report_keep, &kept_report));
    ck_assert(report_has("(frame 10)"));
    ck_assert(report_has("(frame 20)"));
    ck_assert(report_has("/cache"));
    ck_assert(report_has("test_growth.c:"));
}

TEST(without_a_region_there_is_no_mark)
{
    ck_assert_uint_eq(rp_growth_mark(), 0);
    ck_assert_int_eq(rp_growth_report(1, 2, RP_REPORT_TEXT, NULL, NULL), RP_E_NOT_FOUND);
}
