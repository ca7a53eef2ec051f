/* The tree, and what is written whatever the names are. */
#include "trace/report.h"
#include "trace/reports.h"

#include <pthread.h>
#include <stdlib.h>

static rp_allocator *heap;

static void open_heap(void)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
}

static json_t *tree(void)
{
    report_clear();
    rp_report_tree(RP_REPORT_JSON, report_keep, &kept_report);
    return report_json();
}

TEST(the_tree_shows_scopes_their_sites_and_the_allocators_made_in_them)
{
    open_heap();
    RP_SCOPE("level")
    {
        rp_allocator *inner = rp_heap_create(&(rp_heap_desc){.name = "bodies"});
        (void)rp_new(inner, double, 10);
        (void)rp_alloc(heap, 20);
    }
    json_t *read = tree(), *scopes = json_object_get(read, "world");
    json_t *level = element_with(scopes, "scope", "/level"), *root = json_array_get(scopes, 0);
    ck_assert_uint_eq(number_in(level, "live_bytes"), 100);
    ck_assert_uint_eq(number_in(root, "live_bytes"), 100);
    ck_assert_uint_eq(number_in(root, "own_live_bytes"), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(level, "sites")), 2);
    json_t *first = json_array_get(json_object_get(level, "sites"), 0);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(first, "site")), " double"));
    json_t *bodies = element_with(json_object_get(level, "allocators"), "name", "bodies");
    ck_assert_uint_eq(number_in(bodies, "live_bytes"), 80);
    ck_assert_ptr_nonnull(element_with(json_object_get(root, "allocators"), "name", "test"));
    json_decref(read);
}

TEST(the_text_of_the_tree_has_a_line_for_each)
{
    open_heap();
    RP_SCOPE("level")
    {
        for (int i = 0; i < 3; i++) {
            (void)rp_alloc(heap, 512);
        }
    }
    rp_report_tree(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("  /level"));
    ck_assert(report_has("test_report.c:"));
    ck_assert(report_has("1.5 KiB"));
    ck_assert(report_has("[generic \"test\"]"));
}

/* Quotes, controls, and every kind of bytes that are no UTF-8. */
TEST(any_name_gives_valid_json)
{
    open_heap();
    uint64_t random = test_seed();
    static const char *const names[] = {
        "\"quoted\"", "back\\slash",  "new\nline",        "\x01\x1f\x7f", "\xff\xfe",
        "\xc0\xaf",   "\xed\xa0\x80", "\xf4\x90\x80\x80", "caf\xc3\xa9",  "\xe2\x82"};
    for (size_t i = 0; i < RP_COUNT_OF(names); i++) {
        rp_scope scope = rp_scope_begin(names[i]);
        (void)rp_alloc_at(heap, 8, names[i]);
        rp_scope_end(scope);
    }
    for (int i = 0; i < 500; i++) {
        char name[40];
        for (size_t k = 0; k + 1 < sizeof name; k++) {
            name[k] = (char)(test_random(&random) % 255 + 1);
        }
        name[sizeof name - 1] = 0;
        rp_scope scope = rp_scope_begin(name);
        (void)rp_alloc_at(heap, 8, name);
        rp_scope_end(scope);
    }
    json_t *read = tree();
    ck_assert_uint_ge(json_array_size(json_object_get(read, "world")), 500);
    ck_assert_ptr_nonnull(element_with(json_object_get(read, "world"), "scope", "/\"quoted\""));
    ck_assert_ptr_nonnull(element_with(json_object_get(read, "world"), "scope", "/caf\xc3\xa9"));
    json_decref(read);
    report_clear();
    rp_report_leaks(RP_REPORT_JSON, report_keep, &kept_report);
    json_decref(report_json());
    report_clear();
    rp_report_fragmentation(RP_REPORT_JSON, report_keep, &kept_report);
    json_decref(report_json());
}

TEST(without_a_region_the_tree_is_empty_and_valid)
{
    json_t *read = tree();
    ck_assert_uint_eq(json_array_size(json_object_get(read, "world")), 0);
    json_decref(read);
    rp_report_tree(RP_REPORT_TEXT, report_keep, &kept_report);
}

TEST(what_found_no_room_is_counted)
{
    open_heap();
    json_t *read = tree();
    ck_assert_uint_eq(number_in(json_object_get(read, "found_no_room"), "sites"), 0);
    json_decref(read);
    char text[500];
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = 0;
    uint64_t refused = 0;
    for (uint32_t i = 0; i < 12000; i++) {
        for (size_t k = 0; k < 8; k++) {
            text[k] = (char)('a' + (i >> (2 * k) & 3));
        }
        refused += rp_trace_site(RP_ZONE_WORLD, text) == 0;
    }
    ck_assert_uint_gt(refused, 0);
    read = tree();
    ck_assert_uint_eq(number_in(json_object_get(read, "found_no_room"), "sites"), refused);
    json_decref(read);
    report_clear();
    rp_report_tree(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("no room for more sites"));
}

/* ---- scratch ---- */

static int by_number(const void *a, const void *b)
{
    return report_order(*(const uint64_t *)a, *(const uint64_t *)b);
}

TEST(sorting_orders_any_numbers)
{
    open_heap();
    uint64_t random = test_seed();
    for (int round = 0; round < 50; round++) {
        report_array array = {0};
        uint64_t sum = 0, sorted_sum = 0;
        size_t count = test_random(&random) % 3000;
        for (size_t i = 0; i < count; i++) {
            uint64_t *added = report_array_add(&array, sizeof *added);
            sum += *added = test_random(&random) % 500;
        }
        report_array_sort(&array, by_number);
        ck_assert_uint_eq(array.count, count);
        for (size_t i = 0; i < count; i++) {
            const uint64_t *at = report_array_at(&array, i);
            sorted_sum += *at;
            ck_assert(i == 0 || at[-1] <= at[0]);
        }
        ck_assert_uint_eq(sorted_sum, sum);
        report_array_drop(&array);
    }
}

TEST(a_full_keep_zone_cuts_the_report_and_harms_nothing)
{
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_REGION_LEAST_BYTES}));
    ck_ok(rp_trace_open(NULL));
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    RP_SCOPE("level")
    {
        (void)rp_alloc(heap, 100);
    }
    while (rp_region_block_alloc(RP_ZONE_KEEP, RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0)) {
    }
    json_decref(tree());
    report_clear();
    rp_report_leaks(RP_REPORT_JSON, report_keep, &kept_report);
    json_decref(report_json());
    report_clear();
    rp_report_fragmentation(RP_REPORT_JSON, report_keep, &kept_report);
    json_decref(report_json());
    report_clear();
    rp_report_ledger(RP_REPORT_JSON, report_keep, &kept_report);
    json_decref(report_json());
    ck_assert_uint_eq(rp_growth_mark(), 0);
}

/* ---- while others are at work ---- */

static bool stop;

static void *churn(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        RP_SCOPE("churn")
        {
            rp_free(rp_alloc(heap, 64));
        }
    }
    return unused;
}

TEST(the_tree_can_be_shown_while_threads_allocate)
{
    open_heap();
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
    }
    for (int i = 0; i < 30; i++) {
        json_decref(tree());
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    json_t *read = tree();
    json_t *scope = element_with(json_object_get(read, "world"), "scope", "/churn");
    ck_assert_uint_eq(number_in(scope, "live_count"), 0);
    json_decref(read);
}
