/* Temp memory: scopes of a thread, and in debug scopes what is kept or used past them. */
#include "alloc/model.h"
#include "alloc/simple.h"
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <reprise/page.h>
#include <reprise/temp.h>

static void open_region(bool debug)
{
    model_open_region();
    rp_temp_debug_set(debug);
}

static uint64_t used_bytes(void)
{
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    return stats.used_bytes;
}

static rp_arena *begin(void)
{
    rp_arena *temp = rp_temp_begin();
    ck_assert_msg(temp, "%s", rp_error_last()->text);
    return temp;
}

TEST(scopes_nest_and_outer_ones_can_be_pushed_to)
{
    open_region(false);
    rp_arena *outer = begin();
    memset(rp_arena_push(outer, 100, 1), 1, 100);
    rp_arena *inner = begin();
    ck_assert_ptr_ne(inner, outer);
    uint8_t *in_inner = rp_arena_push(inner, 100, 1), *late = rp_arena_push(outer, 100, 1);
    memset(in_inner, 2, 100);
    memset(late, 3, 100);
    rp_temp_end(inner);
    ck_assert_uint_eq(late[99], 3);
    ck_assert_ptr_eq(begin(), inner); /* its memory is used again */
    ck_assert_ptr_eq(rp_arena_push(inner, 100, 1), in_inner);
    rp_temp_end(inner);
    rp_temp_end(outer);
    rp_temp_end(NULL);
    rp_region_destroy();
}

static int leave_early(int how)
{
    RP_TEMP(outer)
    {
        RP_TEMP(inner)
        {
            if (how == 0) {
                break;
            }
            if (how == 1) {
                return rp_arena_push(inner, 10, 1) != NULL;
            }
            rp_arena_push(inner, 10, 1);
        }
        rp_arena_push(outer, 10, 1);
    }
    return 5;
}

TEST(the_block_form_ends_however_it_is_left)
{
    for (int debug = 0; debug < 2; debug++) {
        open_region(debug);
        rp_arena *first = begin();
        rp_temp_end(first);
        for (int i = 0; i < 3 * RP_TEMP_DEPTH_MOST; i++) {
            ck_assert_int_eq(leave_early(i % 3), i % 3 == 1 ? 1 : 5);
        }
        rp_arena *depth[RP_TEMP_DEPTH_MOST];
        for (int i = 0; i < RP_TEMP_DEPTH_MOST; i++) {
            depth[i] = begin(); /* all depths are free again */
        }
        ck_assert_ptr_null(rp_temp_begin());
        ck_assert_int_eq(rp_error_last()->status, RP_E_LIMIT);
        for (int i = RP_TEMP_DEPTH_MOST; i-- > 0;) {
            rp_temp_end(depth[i]);
        }
        rp_region_destroy();
    }
}

TEST(without_a_region_there_is_no_scope_and_a_reason)
{
    ck_assert_ptr_null(rp_temp_begin());
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "not open"));
    ck_assert(!rp_temp_watch(&errno, 8));
    char text[100];
    ck_assert(!rp_temp_explain(text, text, sizeof text));
    ck_assert_uint_eq(rp_temp_escape_count(), 0);
}

TEST(it_is_an_allocator_too)
{
    open_region(false);
    RP_TEMP(temp)
    {
        rp_allocator *as_any = rp_arena_allocator(temp);
        void *block = rp_alloc(as_any, 100);
        ck_assert_str_eq(rp_allocator_kind_name(as_any), "temp");
        ck_assert_ptr_eq(rp_allocator_of(block), as_any);
        ck_assert_ptr_eq(rp_resize(as_any, block, 300), block);
        rp_free(block);
        model_dies(model_free_it, block, "free of");
    }
    rp_region_destroy();
}

/* ---- past the scope ---- */

static int read_byte(void *address)
{
    return *(volatile uint8_t *)address;
}

TEST(a_pointer_used_past_its_debug_scope_faults_and_is_explained)
{
    char text[300];
    open_region(true);
    rp_arena *temp = begin();
    uint8_t *small = rp_arena_push(temp, 10, 1), *large = rp_arena_push(temp, RP_MIB(1), 1);
    ck_assert_int_eq(child_run(read_byte, small).signal, 0);
    ck_assert(rp_temp_explain(small, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, "has open"));
    rp_temp_end(temp);
    ck_assert_int_eq(child_run(read_byte, small).signal, SIGSEGV);
    ck_assert_int_eq(child_run(read_byte, large + RP_KIB(900)).signal, SIGSEGV);
    ck_assert_int_eq(child_run(read_byte, temp).signal, SIGSEGV);
    ck_assert(rp_temp_explain(large + 5, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, "test_temp.c:"));
    ck_assert_ptr_nonnull(strstr(text, "which ended at"));
    ck_assert(!rp_temp_explain(text, text, sizeof text));
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

TEST(resting_memory_is_bounded_and_comes_back)
{
    open_region(true);
    rp_temp_end(begin());
    uint64_t before = used_bytes();
    for (int i = 0; i < 1000; i++) {
        RP_TEMP(temp)
        {
            rp_arena_push(temp, i % 50 ? 100 : RP_MIB(5), 1);
        }
    }
    ck_assert_uint_lt(used_bytes() - before, RP_MIB(40));
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

/* ---- kept ---- */

static void *watched[4];

static int keep_everywhere(void *context)
{
    bool all = context != NULL;
    rp_temp_watch(watched, sizeof watched);
    rp_temp_search_all_set(all);
    void **in_page = rp_pages_alloc(RP_ZONE_WORLD, 4096, RP_PAGES_ZEROED);
    RP_TEMP(outer)
    {
        void **in_outer = rp_arena_push_zeroed(outer, 80, 8);
        RP_TEMP(inner)
        {
            uint8_t *kept = rp_arena_push(inner, 100, 8);
            in_outer[3] = kept;
            watched[1] = kept + 99;
            watched[2] = kept + 100; /* behind it */
            in_page[7] = kept;
        }
    }
    return (int)rp_temp_escape_count();
}

TEST(kept_pointers_are_told_with_where_they_are_held)
{
    open_region(true);
    child_end end = child_run(keep_everywhere, NULL);
    ck_assert_int_eq(end.exit_code, 2);
    ck_assert_ptr_nonnull(strstr(end.error_text, "in the outer scope begun at"));
    ck_assert_ptr_nonnull(strstr(end.error_text, "in a watched range"));
    end = child_run(keep_everywhere, &end);
    ck_assert_int_eq(end.exit_code, 3);
    ck_assert_ptr_nonnull(strstr(end.error_text, "in pages\n"));
    rp_region_destroy();
}

TEST(nothing_is_told_of_scopes_that_keep_nothing_or_are_no_debug_ones)
{
    open_region(true);
    rp_temp_watch(watched, sizeof watched);
    rp_temp_search_all_set(true);
    memset(watched, 0, sizeof watched);
    RP_TEMP(outer)
    {
        RP_TEMP(inner)
        {
            rp_arena_push_zeroed(inner, 100, 8);
            rp_arena_push_zeroed(outer, 100, 8);
        }
    }
    ck_assert_uint_eq(rp_temp_escape_count(), 0);
    rp_temp_unwatch(watched);
    rp_temp_debug_set(false);
    RP_TEMP(temp)
    {
        watched[0] = rp_arena_push(temp, 8, 8);
    }
    ck_assert_uint_eq(rp_temp_escape_count(), 0);
    rp_region_destroy();
}

TEST(there_is_room_for_sixteen_watches)
{
    open_region(true);
    for (int i = 0; i < 16; i++) {
        ck_assert(rp_temp_watch((uint8_t *)watched + i, 1));
    }
    ck_assert(!rp_temp_watch(watched, 8));
    rp_temp_unwatch((uint8_t *)watched + 3);
    ck_assert(rp_temp_watch(watched, 8));
    rp_region_destroy();
}

/* ---- misuse ---- */

static int end_it(void *temp)
{
    rp_temp_end(temp);
    return 0;
}

static int destroy_it(void *temp)
{
    rp_allocator_destroy(rp_arena_allocator(temp));
    return 0;
}

TEST(wrong_ends_are_named)
{
    for (int debug = 0; debug < 2; debug++) {
        open_region(debug);
        rp_arena *outer = begin(), *inner = begin();
        model_dies(end_it, outer, "not the innermost scope of this thread, which has 2 open");
        model_dies(destroy_it, inner, "is ended with rp_temp_end");
        rp_temp_end(inner);
        model_dies(end_it, inner, debug ? "which ended at" : "not the innermost");
        model_dies(end_it, &debug, "no scope that is open");
        rp_temp_end(outer);
        model_dies(end_it, outer, "which has 0 open");
        rp_region_destroy();
    }
}

static int (*elsewhere_body)(void *);

static void *run_body(void *context)
{
    rp_temp_end(rp_temp_begin()); /* the thread has a place */
    elsewhere_body(context);
    return NULL;
}

static int elsewhere(void *context)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run_body, context);
    pthread_join(thread, NULL);
    return 0;
}

static int resize_it(void *block)
{
    return rp_resize(NULL, block, 1000) != NULL;
}

static int size_it(void *block)
{
    return rp_usable_bytes(block) != 0;
}

TEST(another_threads_use_is_named)
{
    open_region(true);
    rp_arena *temp = begin();
    void *block = rp_alloc(rp_arena_allocator(temp), 100);
    elsewhere_body = model_free_it;
    model_dies(elsewhere, block, "temp: free of");
    elsewhere_body = resize_it;
    model_dies(elsewhere, block, "which alone may use it");
    elsewhere_body = size_it;
    model_dies(elsewhere, block, "temp: size of");
    elsewhere_body = end_it;
    model_dies(elsewhere, temp, "not the innermost scope of this thread");
    rp_free(block);
    rp_temp_end(temp);
    rp_region_destroy();
}

/* ---- threads ---- */

static void *use_and_leave_open(void *context)
{
    (void)context;
    for (int i = 0; i < 200; i++) {
        RP_TEMP(temp)
        {
            memset(rp_arena_push(temp, 5000, 8), 1, 5000);
        }
    }
    rp_arena *open = rp_temp_begin();
    rp_arena_push(open, RP_MIB(3), 1);
    rp_temp_begin();
    return NULL;
}

TEST(a_threads_end_gives_its_temp_memory_back)
{
    for (int debug = 0; debug < 2; debug++) {
        open_region(debug);
        rp_temp_end(begin());
        uint64_t before = 0;
        for (int round = 0; round < 4; round++) {
            pthread_t threads[3];
            for (int i = 0; i < 3; i++) {
                pthread_create(&threads[i], NULL, use_and_leave_open, NULL);
            }
            for (int i = 0; i < 3; i++) {
                pthread_join(threads[i], NULL);
            }
            ck_assert(round < 2 || used_bytes() <= before + RP_MIB(1));
            before = used_bytes();
        }
        ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
        rp_region_destroy();
    }
}

/* ---- restores and faults ---- */

TEST(a_restore_brings_open_scopes_back_and_seals_what_rested)
{
    for (int debug = 0; debug < 2; debug++) {
        open_region(debug);
        rp_arena *ended = begin();
        uint8_t *old = rp_arena_push(ended, 100, 1);
        rp_temp_end(ended);
        rp_arena *temp = begin();
        uint8_t *kept = rp_arena_push(temp, 100, 1);
        memset(kept, 7, 100);
        snapshot then = snapshot_take();
        rp_temp_end(temp);
        rp_temp_end(begin());
        snapshot_restore(&then);
        ck_assert_uint_eq(kept[99], 7);
        ck_assert_int_eq(child_run(read_byte, old).signal, debug ? SIGSEGV : 0);
        rp_temp_end(temp);
        ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
        snapshot_drop(&then);
        rp_region_destroy();
    }
}

static rp_status attempt(void *context)
{
    (void)context;
    rp_status status = rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(1)});
    if (status != RP_OK) {
        return status;
    }
    rp_temp_debug_set(true);
    for (int i = 0; i < 3 && status == RP_OK; i++) {
        rp_arena *temp = rp_temp_begin();
        status = temp && rp_arena_push(temp, RP_MIB(3), 1) ? RP_OK : rp_error_last()->status;
        rp_temp_end(temp);
    }
    rp_region_destroy();
    return status;
}

TEST(each_failing_system_call_is_told_or_does_no_harm)
{
    ck_assert_uint_gt(fault_each_call_or_recover(attempt, NULL, ENOMEM), 5);
}
