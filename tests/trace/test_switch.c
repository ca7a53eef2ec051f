/* Choosing debug modes by name: what matches, what holds, what stays valid, what is no setting. */
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

#include <reprise/arena.h>
#include <reprise/page.h>
#include <reprise/trace.h>
#include <stdio.h>

static bool is_tracked(const void *block)
{
    rp_trace_block found;
    return rp_trace_find(block, &found) && found.start == block;
}

/* ---- matching ---- */

TEST(a_choice_holds_for_allocators_of_now_and_of_later)
{
    debug_open(NULL);
    rp_allocator *before = heap("physics"), *other = heap("sound");
    void *warm = rp_alloc(before, 32);
    ck_ok(rp_debug_set("physics", RP_DEBUG_CANARY));
    rp_allocator *after = heap("physics");
    ck_assert_uint_eq(rp_debug_modes_of(before), RP_DEBUG_CANARY);
    ck_assert_uint_eq(rp_debug_modes_of(after), RP_DEBUG_CANARY);
    ck_assert_uint_eq(rp_debug_modes_of(other), 0);
    ck_assert(is_tracked(rp_alloc(before, 32)));
    ck_assert(is_tracked(rp_alloc(after, 32)));
    ck_assert(!is_tracked(rp_alloc(other, 32)));
    ck_assert(!is_tracked(warm));
    rp_region_destroy();
}

TEST(an_allocator_of_the_keep_zone_is_switched_too)
{
    debug_open(NULL);
    rp_allocator *keep = rp_heap_create(&(rp_heap_desc){.name = "k", .zone = RP_ZONE_KEEP});
    ck_ok(rp_debug_set("k", RP_DEBUG_CANARY));
    uint8_t *block = rp_alloc(keep, 10);
    poke(block + 10, 0);
    rp_free(block);
    ck_assert_uint_eq(told.count, 1);
    rp_region_destroy();
}

TEST(the_pattern_with_more_letters_holds_in_either_order)
{
    const char *const texts[] = {"physics=fill;*=canary", "*=canary;physics=fill"};
    for (size_t i = 0; i < RP_COUNT_OF(texts); i++) {
        debug_open(texts[i]);
        ck_assert_uint_eq(rp_debug_modes_of(heap("physics")), RP_DEBUG_FILL);
        ck_assert_uint_eq(rp_debug_modes_of(heap("physic")), RP_DEBUG_CANARY);
        ck_ok(rp_debug_parse("physics=off"));
        ck_assert_uint_eq(rp_debug_modes_of(heap("physics")), 0);
        ck_assert_uint_eq(rp_debug_modes_of(heap("sound")), RP_DEBUG_CANARY);
        rp_debug_reset();
        ck_assert_uint_eq(rp_debug_modes_of(heap("sound")), 0);
        rp_region_destroy();
    }
}

TEST(an_allocator_is_found_by_the_scope_that_it_was_made_in)
{
    debug_open("/level/physics=canary");
    rp_allocator *inside = NULL, *outside = heap("bodies");
    RP_SCOPE("level")
    {
        RP_SCOPE("physics")
        {
            inside = heap("bodies");
        }
    }
    ck_assert_uint_eq(rp_debug_modes_of(inside), RP_DEBUG_CANARY);
    ck_assert_uint_eq(rp_debug_modes_of(outside), 0);
    ck_ok(rp_debug_parse("/level/physics/bodies=fill"));
    ck_assert_uint_eq(rp_debug_modes_of(inside), RP_DEBUG_FILL);
    rp_region_destroy();
}

TEST(what_is_allocated_in_a_chosen_scope_is_tracked_with_its_modes)
{
    debug_open("physics=canary");
    rp_allocator *a = heap("any");
    void *outside = rp_alloc(a, 20);
    uint8_t *inside = NULL;
    RP_SCOPE("physics")
    {
        inside = rp_alloc(a, 20);
    }
    void *after = rp_alloc(a, 20);
    ck_assert(is_tracked(inside) && !is_tracked(outside) && !is_tracked(after));
    poke(inside + 20, 0);
    rp_free(inside);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_msg(strstr(told.text, "scope /physics"), "%s", told.text);
    rp_region_destroy();
}

/* ---- blocks of before ---- */

TEST(blocks_of_before_stay_valid_both_ways)
{
    static const char *const choices[] = {
        "a=off",          "a=canary",          "a=end-of-page,quarantine",
        "a=trace,stacks", "a=fill,quarantine", "a=start-of-page",
        "a=sampled=3"};
    enum { LIVE = 200 };
    struct {
        uint8_t *start;
        size_t size;
        uint8_t value;
    } blocks[LIVE] = {0};
    debug_open(NULL);
    uint64_t random = test_seed();
    rp_allocator *a = heap("a");
    for (int i = 0; i < 6000; i++) {
        if (i % 100 == 0) {
            ck_ok(rp_debug_parse(choices[test_random(&random) % RP_COUNT_OF(choices)]));
        }
        size_t at = test_random(&random) % LIVE, size = test_random(&random) % 3000;
        uint8_t *start = rp_resize(a, blocks[at].start, size);
        ck_assert_ptr_nonnull(start);
        size_t wrong = 0;
        for (size_t k = 0; k < rp_min_size(size, blocks[at].size); k++) {
            wrong += start[k] != blocks[at].value;
        }
        ck_assert_uint_eq(wrong, 0);
        blocks[at].start = start;
        blocks[at].size = size;
        blocks[at].value = (uint8_t)i;
        memset(start, blocks[at].value, size);
        if (test_random(&random) % 3 == 0) {
            rp_free(start);
            blocks[at].start = NULL;
            blocks[at].size = 0;
        }
    }
    ck_assert_uint_eq(rp_debug_check(), 0);
    for (size_t i = 0; i < LIVE; i++) {
        rp_free(blocks[i].start);
    }
    rp_alloc_stats stats;
    rp_stats_get(a, &stats);
    ck_assert_uint_eq(stats.live_count, 0);
    no_errors();
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

/* ---- restores ---- */

TEST(a_restore_does_not_undo_a_choice_nor_bring_one_back)
{
    debug_open(NULL);
    rp_allocator *a = heap("a");
    uint8_t *plain = rp_alloc(a, 10);
    snapshot without = snapshot_take();
    ck_ok(rp_debug_parse("a=canary"));
    uint8_t *marked = rp_alloc(a, 10);
    snapshot with = snapshot_take();
    snapshot_restore(&without);
    rp_trace_reconcile();
    ck_assert_uint_eq(rp_debug_modes_of(a), RP_DEBUG_CANARY);
    ck_assert(is_tracked(rp_alloc(a, 10)) && !is_tracked(plain));
    ck_ok(rp_debug_parse("a=off"));
    snapshot_restore(&with);
    rp_trace_reconcile();
    ck_assert_uint_eq(rp_debug_modes_of(a), 0);
    ck_assert(!is_tracked(rp_alloc(a, 10)) && is_tracked(marked));
    poke(marked + 10, 0);
    rp_free(marked);
    ck_assert_uint_eq(told.count, 1);
    rp_free(plain);
    snapshot_drop(&with);
    snapshot_drop(&without);
    rp_region_destroy();
}

TEST(modes_that_an_allocator_was_made_with_stay_with_it)
{
    debug_open(NULL);
    rp_allocator *a = rp_canary_create(&(rp_heap_desc){.name = "own"});
    snapshot then = snapshot_take();
    ck_ok(rp_debug_parse("own=fill"));
    ck_assert_uint_eq(rp_debug_modes_of(a), RP_DEBUG_CANARY | RP_DEBUG_FILL);
    rp_debug_reset();
    ck_assert_uint_eq(rp_debug_modes_of(a), RP_DEBUG_CANARY);
    ck_ok(rp_debug_parse("own=off"));
    ck_assert_uint_eq(rp_debug_modes_of(a), 0);
    snapshot_restore(&then);
    rp_trace_reconcile();
    ck_assert_uint_eq(rp_debug_modes_of(a), 0);
    rp_debug_reset();
    ck_assert_uint_eq(rp_debug_modes_of(a), RP_DEBUG_CANARY);
    snapshot_drop(&then);
    rp_region_destroy();
}

TEST(an_id_that_is_used_again_inherits_nothing)
{
    debug_open(NULL);
    rp_allocator *a = rp_canary_create(&(rp_heap_desc){.name = "first"});
    poke(rp_alloc(a, 10), 1);
    rp_allocator_destroy(a);
    rp_allocator *b = heap("second");
    ck_assert_uint_eq(rp_debug_modes_of(b), 0);
    ck_ok(rp_debug_set("second", RP_DEBUG_TRACE));
    ck_assert_uint_eq(rp_debug_modes_of(b), RP_DEBUG_TRACE);
    rp_region_destroy();
}

/* ---- the text ---- */

TEST(every_mode_has_a_name_that_is_read_back)
{
    debug_open(NULL);
    for (uint32_t mode = 1; mode <= RP_DEBUG_LEAKS; mode <<= 1) {
        char name[64], text[80];
        rp_debug_modes_text(mode, name, sizeof name);
        snprintf(text, sizeof text, "x=%s", name);
        ck_ok(rp_debug_parse(text));
        ck_assert_uint_eq(rp_debug_modes_of(heap("x")), mode);
    }
    char text[64];
    ck_assert_str_eq(rp_debug_modes_text(0, text, sizeof text), "off");
    ck_assert_str_eq(rp_debug_modes_text(RP_DEBUG_FILL | RP_DEBUG_CANARY, text, sizeof text),
                     "fill,canary");
    rp_region_destroy();
}

static void is_refused(const char *text, const char *reason)
{
    ck_assert_msg(rp_debug_parse(text) == RP_E_ARGUMENT, "%s was taken", text);
    ck_assert_msg(strstr(rp_error_last()->text, reason), "%s", rp_error_last()->text);
}

TEST(what_is_no_setting_is_refused_and_the_known_modes_are_listed)
{
    char longest[200] = "";
    memset(longest, 'a', 120);
    strcat(longest, "=fill");
    debug_open(NULL);
    is_refused("x=canarry", "end-of-page");
    is_refused("x=canarry", "canarry");
    is_refused("x=", "unknown mode");
    is_refused("=fill", "NAME=MODE");
    is_refused("fill", "NAME=MODE");
    is_refused("x=fill,,canary", "unknown mode");
    is_refused("x=sampled=0", "number");
    is_refused("x=sampled=99999999999", "number");
    is_refused("x=sampled=1x", "number");
    is_refused("x=failing=-1", "number");
    is_refused("x=failing=site:", "site");
    is_refused("x=pattern=100", "number");
    is_refused("x=pattern=zz", "number");
    is_refused("x=seed=", "number");
    is_refused("x=seed=18446744073709551616", "number");
    is_refused("x=fill=3", "unknown mode");
    is_refused(longest, "NAME=MODE");
    ck_assert_uint_eq(rp_debug_modes_of(heap("x")), 0);
    ck_ok(rp_debug_parse(""));
    ck_ok(rp_debug_parse(";;x=seed=18446744073709551615,fill;"));
    ck_assert_uint_eq(rp_debug_modes_of(heap("x")), RP_DEBUG_FILL);
    ck_assert_int_eq(rp_debug_set("", RP_DEBUG_FILL), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_debug_set(NULL, RP_DEBUG_FILL), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_debug_set("x", 1u << 30), RP_E_ARGUMENT);
    rp_region_destroy();
}

TEST(what_stands_before_an_error_holds)
{
    debug_open(NULL);
    ck_assert_int_eq(rp_debug_parse("x=fill;y=nonsense;z=fill"), RP_E_ARGUMENT);
    ck_assert_uint_eq(rp_debug_modes_of(heap("x")), RP_DEBUG_FILL);
    ck_assert_uint_eq(rp_debug_modes_of(heap("z")), 0);
    rp_region_destroy();
}

TEST(patterns_beyond_the_limit_are_refused_and_the_others_hold)
{
    debug_open(NULL);
    char name[16];
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "p%d", i);
        ck_ok(rp_debug_set(name, RP_DEBUG_FILL));
    }
    ck_assert_int_eq(rp_debug_set("one more", RP_DEBUG_FILL), RP_E_MEMORY);
    ck_ok(rp_debug_set("p63", RP_DEBUG_CANARY));
    ck_assert_uint_eq(rp_debug_modes_of(heap("p0")), RP_DEBUG_FILL);
    ck_assert_uint_eq(rp_debug_modes_of(heap("p63")), RP_DEBUG_CANARY);
    rp_region_destroy();
}

/* ---- other kinds of allocators ---- */

TEST(blocks_of_an_arena_are_given_back_by_the_arena_whatever_is_chosen)
{
    debug_open("*=canary,quarantine;/traced=trace");
    rp_arena *arena = rp_arena_create(&(rp_arena_desc){.name = "frame"});
    rp_allocator *a = rp_arena_allocator(arena);
    ck_assert_uint_eq(rp_debug_modes_of(a), 0);
    rp_arena_mark mark = rp_arena_mark_get(arena);
    void *block = rp_alloc(a, 100), *traced = NULL;
    RP_SCOPE("traced")
    {
        traced = rp_alloc(a, 100);
    }
    ck_assert(!is_tracked(block) && !is_tracked(traced));
    rp_arena_release(arena, mark);
    ck_assert_uint_eq(debug_stats().block_count, 0);
    ck_ok(rp_debug_parse("frame=failing=1"));
    ck_assert_ptr_null(rp_alloc(a, 100));
    ck_assert_ptr_nonnull(rp_alloc(a, 100));
    rp_region_destroy();
}

TEST(pages_stay_whole_pages_under_a_debug_mode)
{
    debug_open(NULL);
    rp_allocator *a = rp_page_allocator(RP_ZONE_WORLD);
    ck_ok(rp_debug_set(rp_allocator_name(a), RP_DEBUG_CANARY));
    uint8_t *block = rp_alloc(a, 5000);
    ck_assert(is_tracked(block));
    ck_assert_uint_eq((uintptr_t)block % RP_PAGE_BYTES, 0);
    ck_assert_uint_eq(rp_usable_bytes(block), 2 * RP_PAGE_BYTES);
    poke(block + 2 * RP_PAGE_BYTES, 0);
    rp_free(block);
    ck_assert_uint_eq(told.count, 1);
    rp_region_destroy();
}
