/* Scopes: opening and closing on every way out, counting, budgets, threads, restores. */
#include "support/child.h"
#include "support/snapshot.h"
#include "trace/reports.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 300 };

static rp_allocator *heap;

static void open_heap(void)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    ck_assert_ptr_nonnull(heap);
}

static rp_scope_stats stats_of(const char *path)
{
    rp_scope_stats stats;
    ck_ok(rp_scope_stats_get(RP_ZONE_WORLD, path, &stats));
    return stats;
}

static const char *path_now(void)
{
    static char path[256];
    rp_trace_scope_path(RP_ZONE_WORLD, rp_trace_scope_here(RP_ZONE_WORLD), path, sizeof path);
    return path;
}

TEST(a_block_belongs_to_the_innermost_scope_and_counts_in_those_around_it)
{
    open_heap();
    void *a = NULL, *b = NULL;
    RP_SCOPE("level")
    {
        a = rp_alloc(heap, 100);
        RP_SCOPE("physics")
        {
            ck_assert_str_eq(path_now(), "/level/physics");
            b = rp_alloc(heap, 50);
        }
        ck_assert_str_eq(path_now(), "/level");
    }
    ck_assert_str_eq(path_now(), "/");
    ck_assert_uint_eq(stats_of("/level").live_bytes, 150);
    ck_assert_uint_eq(stats_of("/level").live_count, 2);
    ck_assert_uint_eq(stats_of("/level/physics").live_bytes, 50);
    ck_assert_uint_eq(stats_of("/").live_bytes, 150);
    rp_free(a);
    ck_assert_uint_eq(stats_of("/level").live_bytes, 50);
    ck_assert_uint_eq(stats_of("/level").peak_bytes, 150);
    rp_free(b);
    ck_assert_uint_eq(stats_of("/level").live_count, 0);
    ck_assert_uint_eq(stats_of("/level").total_count, 2);
    ck_assert_uint_eq(stats_of("/level").total_bytes, 150);
}

TEST(outside_of_scopes_nothing_is_counted)
{
    open_heap();
    void *block = rp_alloc(heap, 100);
    RP_SCOPE("level")
    {
    }
    void *other = rp_alloc(heap, 100);
    ck_assert_uint_eq(stats_of("/").total_count, 0);
    rp_free(block);
    rp_free(other);
}

static int leave_by_return(void)
{
    RP_SCOPE("returns")
    {
        return 1;
    }
    return 0;
}

TEST(every_way_out_closes_the_scope)
{
    open_heap();
    ck_assert_int_eq(leave_by_return(), 1);
    ck_assert_str_eq(path_now(), "/");
    RP_SCOPE("breaks")
    {
        ck_assert_str_eq(path_now(), "/breaks");
        break;
    }
    ck_assert_str_eq(path_now(), "/");
    for (int i = 0; i < 3; i++) {
        RP_SCOPE("continues")
        {
            continue;
        }
        ck_assert_str_eq(path_now(), "/");
    }
    RP_SCOPE("goes")
    {
        RP_SCOPE("deeper")
        {
            goto out;
        }
    }
out:
    ck_assert_str_eq(path_now(), "/");
}

TEST(the_same_name_under_the_same_parent_is_the_same_scope)
{
    open_heap();
    void *blocks[4];
    for (int i = 0; i < 4; i++) {
        RP_SCOPE(i % 2 ? "odd" : "even")
        {
            RP_SCOPE("leaf")
            {
                blocks[i] = rp_alloc(heap, 10);
            }
        }
    }
    ck_assert_uint_eq(stats_of("/odd/leaf").live_count, 2);
    ck_assert_uint_eq(stats_of("even/leaf").live_count, 2);
    rp_scope_stats none;
    ck_assert_int_eq(rp_scope_stats_get(RP_ZONE_WORLD, "/leaf", &none), RP_E_NOT_FOUND);
    for (int i = 0; i < 4; i++) {
        rp_free(blocks[i]);
    }
}

TEST(scopes_deeper_than_the_limit_stay_in_the_last)
{
    open_heap();
    rp_scope open[100];
    for (int i = 0; i < 100; i++) {
        open[i] = rp_scope_begin("deeper");
    }
    void *block = rp_alloc(heap, 10);
    for (int i = 100; i-- > 0;) {
        rp_scope_end(open[i]);
    }
    ck_assert_str_eq(path_now(), "/");
    ck_assert_uint_eq(stats_of("/").live_count, 1);
    rp_free(block);
    ck_assert_uint_eq(stats_of("/").live_count, 0);
}

TEST(names_are_cut_and_kept)
{
    open_heap();
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    rp_scope scope = rp_scope_begin(name);
    memset(name, 'm', 10);
    ck_assert_uint_eq(strlen(path_now()), 48);
    ck_assert_int_eq(path_now()[1], 'n');
    rp_scope_end(scope);
}

TEST(a_block_of_the_keep_zone_counts_in_the_keep_zones_tree)
{
    open_heap();
    rp_allocator *keep = rp_heap_create(&(rp_heap_desc){.name = "k", .zone = RP_ZONE_KEEP});
    void *block = NULL;
    RP_SCOPE("only_in_the_world")
    {
    }
    RP_SCOPE("outer")
    {
        RP_SCOPE("inner")
        {
            block = rp_alloc(keep, 64);
        }
    }
    rp_scope_stats stats;
    ck_ok(rp_scope_stats_get(RP_ZONE_KEEP, "/outer/inner", &stats));
    ck_assert_uint_eq(stats.live_bytes, 64);
    ck_assert_uint_eq(stats_of("/outer/inner").live_bytes, 0);
    ck_assert_int_eq(rp_scope_stats_get(RP_ZONE_KEEP, "/only_in_the_world", &stats),
                     RP_E_NOT_FOUND);
    rp_free(block);
    ck_ok(rp_scope_stats_get(RP_ZONE_KEEP, "/outer/inner", &stats));
    ck_assert_uint_eq(stats.live_bytes, 0);
}

/* ---- left open ---- */

static jmp_buf back;

TEST(a_scope_left_by_longjmp_is_closed_by_the_outer_one_and_counted)
{
    open_heap();
    rp_scope outer = rp_scope_begin("outer");
    if (setjmp(back) == 0) {
        rp_scope_begin("inner");
        longjmp(back, 1);
    }
    ck_assert_str_eq(path_now(), "/outer/inner");
    rp_scope_end(outer);
    ck_assert_str_eq(path_now(), "/");
    rp_report_tree(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("left open 1 times"));
}

TEST(the_frames_start_closes_what_was_left_open)
{
    open_heap();
    rp_scope_begin("outer");
    rp_scope_begin("inner");
    char path[64];
    rp_trace_scope_path(RP_ZONE_WORLD, rp_trace_scope_reset(), path, sizeof path);
    ck_assert_str_eq(path, "/outer/inner");
    ck_assert_str_eq(path_now(), "/");
    ck_assert_uint_eq(rp_alloc_thread_get()->traced, 0);
    ck_assert_uint_eq(rp_trace_scope_reset(), 0);
    rp_report_tree(RP_REPORT_JSON, report_keep, &kept_report);
    json_t *tree = report_json();
    json_t *left = element_with(json_object_get(tree, "world"), "scope", "/outer/inner");
    ck_assert_uint_eq(number_in(left, "left_open"), 1);
    json_decref(tree);
}

/* ---- all released ---- */

static int release_all(void *unused)
{
    (void)unused;
    RP_SCOPE_ALL_RELEASED("load")
    {
        rp_free(rp_alloc(heap, 100));
    }
    return 7;
}

static int release_not_all(void *unused)
{
    (void)unused;
    RP_SCOPE_ALL_RELEASED("load")
    {
        (void)rp_new(heap, double, 3);
        rp_free(rp_alloc(heap, 100));
        RP_SCOPE("inner")
        {
            (void)rp_alloc(heap, 30);
        }
    }
    return 7;
}

TEST(a_scope_that_must_release_all_says_nothing_when_it_did)
{
    open_heap();
    child_end end = child_run(release_all, NULL);
    ck_assert_int_eq(end.exit_code, 7);
    ck_assert_str_eq(end.error_text, "");
}

TEST(a_scope_that_must_release_all_names_what_is_left_and_aborts)
{
    open_heap();
    child_end end = child_run(release_not_all, NULL);
    ck_assert_int_eq(end.signal, SIGABRT);
    ck_assert_ptr_nonnull(strstr(end.error_text, "scope /load ended and 2 blocks (54 B)"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "double"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "/load/inner"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "test_scopes.c:"));
}

TEST(blocks_from_before_the_scope_are_not_its_leaks)
{
    open_heap();
    void *before = NULL, *within;
    RP_SCOPE("load")
    {
        before = rp_alloc(heap, 10);
    }
    rp_scope scope = rp_scope_begin("load");
    within = rp_alloc(heap, 10);
    rp_free(within);
    ck_assert_uint_eq(rp_scope_end_released(scope), 0);
    ck_assert_str_eq(path_now(), "/");
    rp_free(before);
}

/* ---- budgets ---- */

static int spend(void *unused)
{
    (void)unused;
    ck_ok(rp_scope_budget("/level", 1000));
    RP_SCOPE("level")
    {
        void *block = rp_alloc(heap, 900);
        fputs("below\n", stderr);
        RP_SCOPE("inner")
        {
            rp_free(rp_alloc(heap, 200));
            rp_free(rp_alloc(heap, 200));
        }
        rp_free(block);
    }
    return 0;
}

TEST(a_spent_budget_is_reported_once)
{
    open_heap();
    child_end end = child_run(spend, NULL);
    ck_assert_int_eq(end.exit_code, 0);
    const char *first = strstr(end.error_text, "scope /level: over its budget: 1.1 KiB");
    ck_assert_ptr_nonnull(first);
    ck_assert(strstr(end.error_text, "below") < first);
    ck_assert_ptr_null(strstr(strchr(first, '\n'), "over its budget"));
}

static int spend_in_a_loop(void *unused)
{
    (void)unused;
    snapshot start = snapshot_take();
    ck_ok(rp_scope_budget("/level", 1000));
    for (int pass = 0; pass < 3; pass++) {
        RP_SCOPE("level")
        {
            (void)rp_alloc(heap, 2000);
        }
        ck_assert_uint_eq(stats_of("/level").budget_bytes, 1000);
        snapshot_restore(&start);
        rp_trace_reconcile();
    }
    snapshot_drop(&start);
    return 0;
}

TEST(a_budget_outlives_a_seek_and_is_reported_once_in_a_loop)
{
    open_heap();
    child_end end = child_run(spend_in_a_loop, NULL);
    ck_assert_int_eq(end.exit_code, 0);
    const char *first = strstr(end.error_text, "scope /level: over its budget: 2.0 KiB");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(strchr(first, '\n'), "over its budget"));
}

/* ---- frames, threads, restores ---- */

TEST(the_rate_is_what_the_last_frame_made)
{
    open_heap();
    for (uint64_t frame = 1; frame <= 3; frame++) {
        rp_trace_frame_set(frame);
        RP_SCOPE("frame")
        {
            for (uint64_t i = 0; i < frame * 10; i++) {
                rp_free(rp_alloc(heap, 8));
            }
        }
    }
    ck_assert_uint_eq(stats_of("/frame").last_frame_count, 20);
    rp_trace_frame_set(4);
    ck_assert_uint_eq(stats_of("/frame").last_frame_count, 30);
    rp_trace_frame_set(5);
    ck_assert_uint_eq(stats_of("/frame").last_frame_count, 0);
}

static void *churn(void *context)
{
    void **blocks = context;
    RP_SCOPE("shared")
    {
        for (int i = 0; i < ROUNDS; i++) {
            RP_SCOPE(i % 3 ? "a" : "b")
            {
                blocks[i] = rp_alloc(heap, 16);
            }
        }
    }
    return NULL;
}

TEST(threads_count_in_the_same_scopes_and_each_has_its_own_innermost)
{
    open_heap();
    static void *blocks[THREADS][ROUNDS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, blocks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_str_eq(path_now(), "/");
    ck_assert_uint_eq(stats_of("/shared/a").live_count, THREADS * ROUNDS / 3 * 2);
    ck_assert_uint_eq(stats_of("/shared").live_bytes, THREADS * ROUNDS * 16);
    for (int i = 0; i < THREADS * ROUNDS; i++) {
        rp_free(blocks[i / ROUNDS][i % ROUNDS]);
    }
    ck_assert_uint_eq(stats_of("/shared").live_count, 0);
}

TEST(a_restore_brings_the_scopes_and_counts_of_its_moment)
{
    open_heap();
    void *kept = NULL;
    RP_SCOPE("level")
    {
        kept = rp_alloc(heap, 100);
    }
    snapshot then = snapshot_take();
    RP_SCOPE("level")
    {
        RP_SCOPE("later")
        {
            (void)rp_alloc(heap, 300);
        }
        rp_free(kept);
    }
    snapshot_restore(&then);
    rp_trace_reconcile();
    rp_scope_stats none;
    ck_assert_uint_eq(stats_of("/level").live_bytes, 100);
    ck_assert_uint_eq(stats_of("/level").total_count, 1);
    ck_assert_int_eq(rp_scope_stats_get(RP_ZONE_WORLD, "/level/later", &none), RP_E_NOT_FOUND);
    rp_free(kept);
    ck_assert_uint_eq(stats_of("/level").live_bytes, 0);
    snapshot_drop(&then);
}

TEST(modes_chosen_for_a_path_hold_for_the_scope_and_those_within)
{
    open_heap();
    ck_ok(rp_debug_set("/level/physics", RP_DEBUG_FILL));
    RP_SCOPE("level")
    {
        uint32_t outer = rp_trace_scope_here(RP_ZONE_WORLD);
        ck_assert_uint_eq(rp_trace_scope_modes(RP_ZONE_WORLD, outer), 0);
        RP_SCOPE("physics")
        {
            RP_SCOPE("inner")
            {
                uint32_t inner = rp_trace_scope_here(RP_ZONE_WORLD);
                ck_assert_uint_ne(rp_trace_scope_modes(RP_ZONE_WORLD, inner) & RP_DEBUG_FILL, 0);
                ck_ok(rp_debug_set("/level/physics", 0));
                ck_assert_uint_eq(rp_trace_scope_modes(RP_ZONE_WORLD, inner) & RP_DEBUG_FILL, 0);
            }
        }
    }
}

TEST(without_a_debug_side_scopes_nest_and_nothing_is_counted)
{
    ck_ok(rp_region_create(&(rp_region_desc){0}));
    rp_allocator *plain = rp_heap_create(&(rp_heap_desc){.name = "plain"});
    RP_SCOPE("level")
    {
        ck_assert_str_eq(path_now(), "/level");
        rp_free(rp_alloc(plain, 10));
    }
    ck_assert_uint_eq(stats_of("/level").total_count, 0);
}

TEST(without_a_region_scopes_do_no_harm)
{
    RP_SCOPE("level")
    {
        RP_SCOPE_ALL_RELEASED("inner")
        {
        }
    }
    ck_assert_int_eq(rp_scope_budget("/level", 10), RP_E_MEMORY);
}
