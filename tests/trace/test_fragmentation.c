/* Fragmentation on heaps whose pattern is known: exact figures. */
#include "trace/reports.h"

#include <stdlib.h>

enum { BLOCKS = 4096, BLOCK_BYTES = 1024 };

static rp_allocator *heap;
static void *blocks[BLOCKS];

static void open_heap(uint32_t modes)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    ck_ok(rp_debug_set("test", modes));
}

static json_t *fragmentation(void)
{
    report_clear();
    rp_report_fragmentation(RP_REPORT_JSON, report_keep, &kept_report);
    return report_json();
}

static void fill(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = rp_alloc(heap, BLOCK_BYTES);
        ck_assert_ptr_nonnull(blocks[i]);
    }
}

static uintptr_t unit_of(const void *block)
{
    return (uintptr_t)block >> RP_UNIT_SHIFT;
}

/* Frees all but the first block of each unit; returns how many are left. */
static uint64_t keep_one_a_unit(void)
{
    uint64_t left = 0;
    for (int i = 0; i < BLOCKS; i++) {
        bool first = true;
        for (int k = 0; k < i && first; k++) {
            first = !blocks[k] || unit_of(blocks[k]) != unit_of(blocks[i]);
        }
        if (!first) {
            rp_free(blocks[i]);
            blocks[i] = NULL;
        }
        left += first;
    }
    return left;
}

TEST(a_heap_with_one_block_in_each_unit_is_pinned_by_them)
{
    open_heap(RP_DEBUG_TRACE);
    RP_SCOPE("level")
    {
        fill();
    }
    uint64_t left = keep_one_a_unit();
    ck_assert_uint_ge(left, BLOCKS * BLOCK_BYTES / RP_UNIT_BYTES);
    json_t *read = fragmentation(), *world = json_object_get(read, "world");
    ck_assert_uint_eq(number_in(world, "live_bytes"), left * BLOCK_BYTES);
    ck_assert_uint_eq(number_in(world, "pinned_units"), left);
    ck_assert_uint_eq(number_in(world, "pinned_bytes"), left * (RP_UNIT_BYTES - BLOCK_BYTES));
    json_t *pins = json_object_get(world, "pins"), *pin = json_array_get(pins, 0);
    ck_assert_uint_eq(json_array_size(pins), 1);
    ck_assert_str_eq(json_string_value(json_object_get(pin, "scope")), "/level");
    ck_assert_str_eq(json_string_value(json_object_get(pin, "allocator")), "test");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(pin, "site")), "test_fragmentation.c:"));
    ck_assert_uint_eq(number_in(pin, "units"), left);
    ck_assert_uint_eq(number_in(pin, "blocks"), left);
    ck_assert_uint_eq(number_in(pin, "held_bytes"), left * (RP_UNIT_BYTES - BLOCK_BYTES));
    json_decref(read);
}

TEST(the_figure_is_the_part_of_held_units_in_which_nothing_lives)
{
    open_heap(RP_DEBUG_TRACE);
    ck_assert_double_eq_tol(rp_fragmentation_get(RP_ZONE_WORLD), 0.0, 1e-9);
    fill();
    double full = rp_fragmentation_get(RP_ZONE_WORLD);
    ck_assert_double_lt(full, 0.10);
    uint64_t left = keep_one_a_unit();
    json_t *read = fragmentation(), *world = json_object_get(read, "world");
    double held = (double)number_in(world, "held_bytes");
    double wanted = 1.0 - (double)(left * BLOCK_BYTES) / held;
    ck_assert_double_eq_tol(rp_fragmentation_get(RP_ZONE_WORLD), wanted, 1e-9);
    ck_assert_double_eq_tol(json_real_value(json_object_get(world, "fragmentation")), wanted, 1e-5);
    json_decref(read);
}

TEST(an_untracked_heap_is_seen_through_its_walk_with_the_site_unknown)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "plain"});
    fill();
    uint64_t left = keep_one_a_unit();
    json_t *read = fragmentation(), *world = json_object_get(read, "world");
    uint64_t found_blocks = 0;
    size_t index;
    json_t *pin;
    json_array_foreach(json_object_get(world, "pins"), index, pin)
    {
        if (strcmp(json_string_value(json_object_get(pin, "allocator")), "plain") == 0) {
            found_blocks += number_in(pin, "blocks");
            ck_assert_str_eq(json_string_value(json_object_get(pin, "site")), "");
        }
    }
    ck_assert_uint_eq(found_blocks, left);
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    ck_assert_uint_eq(number_in(world, "live_bytes"), stats.live_bytes);
    json_decref(read);
}

/* All classes' units together are what the map has of them, and the histogram counts them too. */
TEST(classes_map_and_figures_agree)
{
    open_heap(RP_DEBUG_TRACE);
    uint64_t random = test_seed();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = rp_alloc(heap, test_random(&random) % (i % 50 ? 2000 : RP_KIB(200)));
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (test_random(&random) % 2) {
            rp_free(blocks[i]);
        }
    }
    json_t *read = fragmentation(), *world = json_object_get(read, "world"), *row, *line;
    uint64_t units = 0, bytes = 0, live = 0, mapped = 0;
    size_t index;
    json_array_foreach(json_object_get(world, "classes"), index, row)
    {
        units += number_in(row, "units");
        bytes += number_in(row, "bytes");
        live += number_in(row, "live_bytes");
        ck_assert_uint_eq(json_array_size(json_object_get(row, "tenths")), 11);
    }
    json_array_foreach(json_object_get(world, "map"), index, line)
    {
        for (const char *at = json_string_value(line); *at; at++) {
            ck_assert_ptr_nonnull(strchr(".0123456789=tr", *at));
            mapped += *at == '=' || (*at >= '0' && *at <= '9');
        }
    }
    ck_assert_uint_eq(bytes, units * RP_UNIT_BYTES);
    ck_assert_uint_eq(bytes, number_in(world, "held_bytes"));
    ck_assert_uint_eq(live, number_in(world, "live_bytes"));
    ck_assert_uint_eq(mapped, units);
    json_decref(read);
}

TEST(blocks_in_quarantine_are_shown_as_such)
{
    open_heap(RP_DEBUG_TRACE | RP_DEBUG_QUARANTINE);
    rp_free(rp_alloc(heap, 500));
    json_t *read = fragmentation(), *world = json_object_get(read, "world");
    ck_assert_uint_eq(number_in(world, "quarantine_bytes"), 500);
    ck_assert_uint_eq(number_in(world, "live_bytes"), 0);
    json_t *pin = json_array_get(json_object_get(world, "pins"), 0);
    ck_assert_uint_eq(number_in(pin, "in_quarantine"), 1);
    json_decref(read);
}

TEST(the_text_has_the_same_figures)
{
    open_heap(RP_DEBUG_TRACE);
    fill();
    keep_one_a_unit();
    rp_report_fragmentation(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("world: fragmentation 9"));
    ck_assert(report_has("test_fragmentation.c:"));
    ck_assert(report_has("keep: fragmentation"));
}

TEST(without_a_region_the_report_is_empty_and_valid)
{
    json_t *read = fragmentation();
    ck_assert_uint_eq(json_object_size(read), 0);
    ck_assert_double_eq_tol(rp_fragmentation_get(RP_ZONE_WORLD), 0.0, 1e-9);
    json_decref(read);
}
