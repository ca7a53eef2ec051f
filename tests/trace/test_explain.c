/* The report of an error has all that a person needs, fits its buffer, and ends with the policy. */
#include "trace/debug_fixture.h"

#include <reprise/trace.h>
#include <stdlib.h>

static void has(const char *text)
{
    ck_assert_msg(strstr(told.text, text), "no \"%s\" in:\n%s", text, told.text);
}

__attribute__((noinline)) static uint8_t *make_particle(rp_allocator *a)
{
    uint8_t *made = rp_alloc_at(a, 24, "particles.c:12 Particle");
    __asm__ volatile("" : "+r"(made)); /* a call, not a jump, so that the frame is in the stack */
    return made;
}

TEST(a_report_names_kind_place_size_type_scope_moment_stacks_neighbours_and_bytes)
{
    debug_open(NULL);
    rp_allocator *a = rp_canary_create(&(rp_heap_desc){.name = "effects"});
    uint8_t *before, *block, *behind;
    rp_trace_frame_set(900);
    RP_SCOPE("level")
    {
        before = rp_alloc_at(a, 24, "left.c:1");
        block = make_particle(a);
        behind = rp_alloc_at(a, 24, "right.c:2");
    }
    rp_free(before);
    poke(block + 26, 0xee);
    poke(block + 27, 0xef);
    rp_free(block);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(told.errors[0].kind, RP_DEBUG_OVERRUN);
    ck_assert_int_eq((int)told.errors[0].offset_bytes, 26);
    ck_assert_ptr_eq(told.errors[0].block, block);
    ck_assert_uint_eq(told.errors[0].size_bytes, 24);
    has("overrun");
    has("2 bytes behind the block's end");
    has("2 bytes from there on are damaged");
    has("24 bytes, particles.c:12 Particle");
    has("frame 900");
    has("heap effects");
    has("scope /level");
    has("modes trace,canary");
    has("[ee][ef]");
    has("before");
    has("left.c:1");
    has("freed");
    has("right.c:2");
    has("found at");
    has("made at");
    rp_free(behind);
    rp_region_destroy();
}

static void resolve(const uintptr_t *addresses, size_t count, rp_symbol_line *line, void *context)
{
    for (size_t i = 0; i < count; i++) {
        line(context, i, addresses[i] ? "resolved by the host" : "null");
    }
}

TEST(the_hosts_symboliser_is_asked_where_there_is_one)
{
    debug_open(NULL);
    uint8_t *block = make_particle(rp_canary_create(&(rp_heap_desc){.name = "effects"}));
    poke(block - 1, 0);
    rp_symboliser_set(resolve);
    rp_debug_check();
    rp_symboliser_set(NULL);
    has("resolved by the host");
    rp_region_destroy();
}

TEST(without_one_addresses_are_named_by_object)
{
    char text[256];
    debug_open(NULL);
    rp_trace_symbolise((const void *)(uintptr_t)&abort, false, text, sizeof text);
    ck_assert_msg(strstr(text, "abort"), "%s", text);
    rp_trace_symbolise((const void *)((uintptr_t)&abort + 1), true, text, sizeof text);
    ck_assert_msg(strstr(text, "+0x"), "%s", text);
    rp_trace_symbolise((const void *)16, true, text, sizeof text);
    ck_assert_str_eq(text, "0x10");
    rp_region_destroy();
}

TEST(a_report_that_is_too_long_is_cut_and_terminated)
{
    debug_open(NULL);
    rp_allocator *a = rp_end_of_page_create(&(rp_heap_desc){.name = "effects"});
    uint8_t *block = rp_alloc(a, 64);
    for (size_t capacity = 1; capacity < 400; capacity += 7) {
        char text[512];
        memset(text, 'x', sizeof text);
        ck_assert(rp_debug_explain_fault(block + 64, 1, NULL, text, capacity));
        ck_assert_uint_lt(strlen(text), capacity);
        ck_assert_int_eq(text[capacity], 'x');
    }
    rp_region_destroy();
}

static bool allocate_in_callback(const rp_debug_error *error, void *context)
{
    void *block = rp_alloc((rp_allocator *)context, 100);
    ck_assert_ptr_nonnull(block);
    ck_assert_ptr_nonnull(error->text);
    rp_free(block);
    told.count++;
    return true;
}

TEST(who_is_told_may_use_the_heap)
{
    debug_open(NULL);
    rp_allocator *a = rp_debug_create(&(rp_heap_desc){.name = "effects"},
                                      RP_DEBUG_CANARY | RP_DEBUG_QUARANTINE, NULL);
    rp_debug_on_error(allocate_in_callback, a);
    uint8_t *one = rp_alloc(a, 100), *two = rp_alloc(a, 100);
    poke(one + 100, 0);
    poke(two + 100, 0);
    ck_assert_uint_eq(rp_debug_check(), 2);
    rp_free(one);
    ck_assert_uint_eq(told.count, 2);
    rp_region_destroy();
}

static int all_kinds_of_bad_frees(void *context)
{
    debug_open_loud("*=canary");
    static uint8_t global[64];
    uint8_t *block = rp_alloc_at(heap("h"), 100, "bad.c:1");
    uint8_t *const places[] = {
        (uint8_t *)global,         block + 4,          block - 16, block + 100,
        (uint8_t *)RP_REGION_BASE, block + RP_MIB(100)};
    rp_free(places[*(size_t *)context]);
    return 0;
}

TEST(each_bad_free_ends_the_program_with_a_report)
{
    for (size_t place = 0; place < 6; place++) {
        child_end end = child_run(all_kinds_of_bad_frees, &place);
        ck_assert_msg(end.signal == SIGABRT && strstr(end.error_text, "free"), "%zu: %d: %s", place,
                      end.signal, end.error_text);
    }
}

static int end_with_a_leak(void *context)
{
    (void)context;
    debug_open_loud("h=leaks;other=trace");
    rp_allocator *a = heap("h");
    poke(rp_alloc_at(a, 40, "lost.c:3 Lost"), 1);
    return (int)rp_debug_finish();
}

static int end_with_a_leak_in_a_scope(void *context)
{
    (void)context;
    debug_open_loud("/menu=leaks");
    rp_allocator *a = heap("h");
    RP_SCOPE("menu")
    {
        poke(rp_alloc_at(a, 40, "lost.c:4 Lost"), 1);
    }
    return (int)rp_debug_finish();
}

static int end_without(void *context)
{
    (void)context;
    debug_open_loud("h=leaks");
    rp_free(rp_alloc_at(heap("h"), 40, "lost.c:3 Lost"));
    return (int)rp_debug_finish();
}

TEST(leaks_are_reported_at_the_end_where_that_was_chosen)
{
    child_end end = child_run(end_with_a_leak, NULL);
    ck_assert_msg(strstr(end.error_text, "lost.c:3 Lost"), "%s", end.error_text);
    end = child_run(end_with_a_leak_in_a_scope, NULL);
    ck_assert_msg(strstr(end.error_text, "lost.c:4 Lost"), "%s", end.error_text);
    end = child_run(end_without, NULL);
    ck_assert_int_eq(end.exit_code, 0);
    ck_assert_str_eq(end.error_text, "");
}
