/* Canaries: what is written beside a block is found, at its free, on demand, once. */
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

static rp_allocator *canary_heap(void)
{
    rp_allocator *made = rp_canary_create(&(rp_heap_desc){.name = "marked"});
    ck_assert_msg(made, "%s", rp_error_last()->text);
    return made;
}

static void told_once(rp_debug_error_kind kind, int64_t offset_bytes)
{
    ck_assert_uint_eq(told.count, 1);
    ck_assert_msg(told.errors[0].kind == kind && told.errors[0].offset_bytes == offset_bytes,
                  "kind %d, offset %lld: %s", (int)told.errors[0].kind,
                  (long long)told.errors[0].offset_bytes, told.text);
    told.count = 0;
}

static const size_t sizes[] = {0, 1, 7, 16, 17, 100, 1000, 5000, 20000, 70000};

TEST(each_byte_next_to_a_block_is_watched_on_both_sides)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        for (int64_t by = 0; by < 16; by++) {
            uint8_t *block = rp_alloc(a, sizes[i]);
            uint8_t *behind = block + sizes[i] + by, *before = block - 1 - by;
            memset(block, 0xff, sizes[i]);
            poke(behind, peek(behind) ^ 1);
            rp_free(block);
            told_once(RP_DEBUG_OVERRUN, (int64_t)sizes[i] + by);
            block = rp_alloc(a, sizes[i]);
            before = block - 1 - by;
            poke(before, peek(before) ^ 0x80);
            rp_free(block);
            told_once(RP_DEBUG_UNDERRUN, -1 - by);
        }
    }
    check_zones();
    rp_region_destroy();
}

TEST(the_zero_behind_a_string_that_is_one_too_long_is_seen)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    for (size_t size = 1; size < 300; size++) {
        uint8_t *block = rp_alloc(a, size);
        poke(block + size, 0);
        rp_free(block);
        told_once(RP_DEBUG_OVERRUN, (int64_t)size);
    }
    rp_region_destroy();
}

TEST(bytes_copied_from_another_canary_do_not_pass)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *block = rp_alloc(a, 100), *other = rp_alloc(a, 100);
    memcpy(block + 100, other + 100, 12);
    rp_free(block);
    told_once(RP_DEBUG_OVERRUN, told.errors[0].offset_bytes);
    rp_free(other);
    no_errors();
    rp_region_destroy();
}

TEST(a_check_finds_damage_before_the_free_and_tells_it_once)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *blocks[40];
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
        blocks[i] = rp_alloc(a, 50 + i * 300);
    }
    ck_assert_uint_eq(rp_debug_check(), 0);
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
        poke(blocks[i] - 1, 0);
    }
    ck_assert_uint_eq(rp_debug_check(), RP_COUNT_OF(blocks));
    ck_assert_uint_eq(told.count, RP_COUNT_OF(blocks));
    ck_assert_uint_eq(rp_debug_check(), 0);
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
        rp_free(blocks[i]);
    }
    ck_assert_uint_eq(told.count, RP_COUNT_OF(blocks));
    ck_assert_uint_eq(debug_stats().error_count, RP_COUNT_OF(blocks));
    rp_region_destroy();
}

TEST(a_block_that_is_resized_is_watched_at_its_new_end)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *block = rp_alloc(a, 100);
    for (size_t size = 100; size > 60; size--) {
        block = rp_resize(a, block, size);
        ck_assert_uint_eq(rp_debug_check(), 0);
    }
    poke(block + 61, 0);
    block = rp_resize(a, block, 200);
    told_once(RP_DEBUG_OVERRUN, 61);
    rp_free(block);
    no_errors();
    rp_region_destroy();
}

TEST(the_end_of_a_heap_looks_at_its_blocks)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *block = rp_alloc(a, 100);
    poke(block + 100, 0);
    rp_allocator_destroy(a);
    told_once(RP_DEBUG_OVERRUN, 100);
    check_zones();
    rp_region_destroy();
}

TEST(records_survive_an_overrun_of_kilobytes)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *block = rp_alloc_at(a, 100, "far.c:1 Far");
    for (int i = 0; i < 2000; i++) {
        poke(block + 100 + i, 0x41);
    }
    rp_free(block);
    told_once(RP_DEBUG_OVERRUN, 100);
    ck_assert_ptr_nonnull(strstr(told.text, "far.c:1 Far"));
    rp_region_destroy();
}

TEST(damage_travels_with_a_restore_and_so_does_its_absence)
{
    debug_open(NULL);
    rp_allocator *a = canary_heap();
    uint8_t *block = rp_alloc(a, 100);
    snapshot whole = snapshot_take();
    poke(block + 100, 0);
    snapshot broken = snapshot_take();
    snapshot_restore(&whole);
    ck_assert_uint_eq(rp_debug_check(), 0);
    snapshot_restore(&broken);
    ck_assert_uint_eq(rp_debug_check(), 1);
    snapshot_restore(&whole);
    rp_free(block);
    ck_assert_uint_eq(told.count, 1);
    snapshot_drop(&whole);
    snapshot_drop(&broken);
    rp_region_destroy();
}

static int go_on_or_abort(void *context)
{
    debug_open_loud(NULL);
    rp_debug_policy_set(*(rp_debug_policy *)context);
    uint8_t *block = rp_alloc(canary_heap(), 100);
    poke(block + 100, 0);
    rp_free(block);
    return 7;
}

TEST(the_policy_says_whether_the_program_goes_on)
{
    rp_debug_policy policy = RP_DEBUG_REPORT;
    child_end end = child_run(go_on_or_abort, &policy);
    ck_assert_int_eq(end.exit_code, 7);
    ck_assert_ptr_nonnull(strstr(end.error_text, "overrun"));
    policy = RP_DEBUG_ABORT;
    end = child_run(go_on_or_abort, &policy);
    ck_assert_int_eq(end.signal, SIGABRT);
    ck_assert_ptr_nonnull(strstr(end.error_text, "overrun"));
}
