/* The tracked store: blocks of every size and alignment with a record each, out of reach. */
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

static rp_allocator *tracked_heap(void)
{
    rp_allocator *made = rp_trace_create(&(rp_heap_desc){.name = "tracked"});
    ck_assert_msg(made, "%s", rp_error_last()->text);
    return made;
}

static rp_trace_block found(const void *address)
{
    rp_trace_block block;
    ck_assert(rp_trace_find(address, &block));
    return block;
}

/* ---- one block ---- */

TEST(a_record_says_what_was_asked_for_and_where)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    rp_trace_frame_set(17);
    void *first = rp_alloc_at(a, 100, "solver.c:12 Body");
    void *second = rp_alloc_at(a, 100, "solver.c:12 Body");
    rp_trace_block block = found(second);
    ck_assert_ptr_eq(block.start, second);
    ck_assert_ptr_eq(block.allocator, a);
    ck_assert(block.live);
    ck_assert_uint_eq(block.record->size_bytes, 100);
    ck_assert_uint_eq(block.record->frame, 17);
    ck_assert_uint_eq(block.record->serial, found(first).record->serial + 1);
    ck_assert_uint_eq(block.record->serial, rp_trace_serial(RP_ZONE_WORLD));
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, block.record->site), "solver.c:12 Body");
    ck_assert_uint_ne(block.record->made_stack, 0);
    ck_assert_uint_eq(rp_usable_bytes(second), 100);
    ck_assert_ptr_eq(rp_allocator_of(second), a);
    rp_allocator_destroy(a);
    rp_region_destroy();
}

TEST(a_freed_block_keeps_its_record_until_its_slot_is_used_again)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    void *block = rp_alloc_at(a, 40, "a.c:1");
    rp_trace_frame_set(3);
    rp_free(block);
    rp_trace_block gone = found(block);
    ck_assert(!gone.live);
    ck_assert_uint_eq(gone.record->freed_frame, 3);
    ck_assert_uint_ne(gone.record->freed_stack, 0);
    ck_assert_uint_eq(rp_usable_bytes(block), 0);
    ck_assert_ptr_eq(rp_alloc_at(a, 40, "b.c:2"), block);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, found(block).record->site), "b.c:2");
    rp_region_destroy();
}

TEST(all_sizes_and_alignments_have_their_bytes_to_themselves)
{
    enum { COUNT = 400 };
    const size_t aligns[] = {16, 16, 16, 32, 64, 256, 4096, RP_KIB(64), RP_MIB(1)};
    struct {
        uint8_t *start;
        size_t size;
    } blocks[COUNT];
    debug_open(NULL);
    uint64_t random = test_seed();
    rp_allocator *a = tracked_heap();
    for (int i = 0; i < COUNT; i++) {
        size_t align = aligns[test_random(&random) % RP_COUNT_OF(aligns)];
        blocks[i].size = test_random(&random) % (i % 10 ? 600 : RP_KIB(200));
        blocks[i].start = rp_alloc_aligned(a, align, blocks[i].size);
        ck_assert_msg(blocks[i].start, "%s", rp_error_last()->text);
        ck_assert_uint_eq((uintptr_t)blocks[i].start % align, 0);
        memset(blocks[i].start, i, blocks[i].size);
    }
    for (int i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < blocks[i].size; k++) {
            ck_assert_uint_eq(blocks[i].start[k], (uint8_t)i);
        }
        ck_assert_uint_eq(rp_usable_bytes(blocks[i].start), blocks[i].size);
        rp_free_sized(blocks[i].start, blocks[i].size);
    }
    no_errors();
    ck_assert_uint_eq(debug_stats().block_count, 0);
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

TEST(zeroed_blocks_are_zero_also_in_memory_that_was_used)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    for (size_t size = 1; size < RP_KIB(100); size = size * 3 + 1) {
        uint8_t *dirty = rp_alloc(a, size);
        memset(dirty, 0xee, size);
        rp_free(dirty);
        uint8_t *clean = rp_alloc_zeroed(a, 1, size);
        for (size_t i = 0; i < size; i++) {
            ck_assert_uint_eq(clean[i], 0);
        }
        rp_free(clean);
    }
    rp_region_destroy();
}

/* ---- resize ---- */

TEST(a_resize_keeps_the_content_and_the_figures)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    uint8_t *block = rp_alloc(a, 10);
    size_t size = 10;
    memset(block, 7, size);
    uint64_t random = test_seed();
    for (int i = 0; i < 200; i++) {
        size_t next = test_random(&random) % (i % 20 ? 2000 : RP_KIB(70)) + 1;
        block = rp_resize(a, block, next);
        for (size_t k = 0; k < rp_min_size(size, next); k++) {
            ck_assert_uint_eq(block[k], 7);
        }
        memset(block, 7, next);
        size = next;
        ck_assert_uint_eq(rp_usable_bytes(block), size);
        ck_assert_uint_eq(debug_stats().block_bytes, size);
    }
    rp_free(block);
    ck_assert_uint_eq(debug_stats().block_bytes, 0);
    rp_region_destroy();
}

/* ---- figures and limits ---- */

TEST(a_walk_sees_the_live_blocks_and_statistics_count_them)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    void *blocks[50];
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i++) {
        blocks[i] = rp_alloc(a, i * 700);
    }
    for (size_t i = 0; i < RP_COUNT_OF(blocks); i += 2) {
        rp_free(blocks[i]);
    }
    rp_alloc_stats stats;
    rp_stats_get(a, &stats);
    ck_assert_uint_eq(stats.live_count, 25);
    ck_assert_uint_eq(stats.live_bytes, 25 * 25 * 700);
    ck_assert_uint_eq(stats.peak_bytes, 49 * 50 / 2 * 700);
    ck_assert_uint_ge(stats.taken_bytes, stats.live_bytes);
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

TEST(a_cap_holds_for_tracked_blocks)
{
    debug_open(NULL);
    rp_allocator *a = rp_trace_create(&(rp_heap_desc){.name = "capped", .cap_bytes = RP_KIB(256)});
    void *most = rp_alloc(a, RP_KIB(200));
    ck_assert_ptr_nonnull(most);
    ck_assert_ptr_null(rp_alloc(a, RP_KIB(57)));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "capped"));
    ck_assert_ptr_null(rp_resize(a, most, RP_KIB(257)));
    rp_free(most);
    ck_assert_ptr_nonnull(rp_alloc(a, RP_KIB(250)));
    rp_region_destroy();
}

TEST(sizes_that_nothing_can_hold_are_refused_with_a_reason)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2, RP_GIB(300), RP_GIB(20)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        ck_assert_ptr_null(rp_alloc(a, sizes[i]));
        ck_assert_int_lt(rp_error_last()->status, 0);
        ck_assert_ptr_null(rp_alloc_aligned(a, RP_MIB(1), sizes[i]));
    }
    ck_assert_uint_eq(debug_stats().block_count, 0);
    rp_region_destroy();
}

TEST(exhaustion_is_null_and_the_store_goes_on)
{
    rp_region_desc desc = {.reserve_bytes = RP_REGION_LEAST_BYTES};
    ck_ok(rp_region_create(&desc));
    ck_ok(rp_trace_open(NULL));
    rp_allocator *a = rp_canary_create(&(rp_heap_desc){.name = "full"});
    void *first = NULL, *block;
    size_t count = 0;
    while ((block = rp_alloc(a, 5000)) != NULL) {
        *(void **)block = first;
        first = block;
        count++;
    }
    ck_assert_uint_gt(count, 1000);
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    for (; first; first = block) {
        block = *(void **)first;
        rp_free(first);
    }
    ck_assert_ptr_nonnull(rp_alloc(a, 5000));
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

/* ---- a restore ---- */

TEST(a_restore_brings_blocks_records_and_figures_back)
{
    debug_open(NULL);
    rp_allocator *a = tracked_heap();
    uint8_t *kept = rp_alloc_at(a, 64, "kept.c:1");
    uint8_t *large = rp_alloc_at(a, RP_KIB(100), "large.c:1");
    memset(kept, 1, 64);
    uint64_t serial = rp_trace_serial(RP_ZONE_WORLD);
    snapshot then = snapshot_take();
    rp_free(kept);
    rp_free(large);
    for (int i = 0; i < 1000; i++) {
        memset(rp_alloc(a, (size_t)i * 3), 9, (size_t)i * 3);
    }
    snapshot_restore(&then);
    rp_trace_reconcile();
    ck_assert_uint_eq(rp_trace_serial(RP_ZONE_WORLD), serial);
    ck_assert_uint_eq(debug_stats().block_count, 2);
    ck_assert_str_eq(rp_trace_site_text(RP_ZONE_WORLD, found(kept).record->site), "kept.c:1");
    ck_assert_uint_eq(kept[63], 1);
    rp_free(kept);
    rp_free(large);
    no_errors();
    snapshot_drop(&then);
    check_zones();
    rp_region_destroy();
}

/* ---- the caller's errors ---- */

static int free_twice(void *context)
{
    (void)context;
    debug_open_loud(NULL);
    void *block = rp_alloc_at(tracked_heap(), 24, "twice.c:5 Twin");
    rp_free(block);
    rp_free(block);
    return 0;
}

static int free_large_twice(void *context)
{
    (void)context;
    debug_open_loud(NULL);
    void *block = rp_alloc_at(tracked_heap(), RP_KIB(90), "twice.c:5 Twin");
    rp_free(block);
    rp_free(block);
    return 0;
}

static int free_inside(void *context)
{
    debug_open_loud(NULL);
    uint8_t *block = rp_alloc_at(tracked_heap(), *(size_t *)context, "inside.c:5");
    rp_free(block + 16);
    return 0;
}

static int free_unborn(void *context)
{
    (void)context;
    debug_open_loud(NULL);
    uint8_t *block = rp_alloc_at(tracked_heap(), 100, "unborn.c:5");
    rp_free(block + 512);
    return 0;
}

static void dies_with(int (*body)(void *), void *context, const char *const *texts)
{
    child_end end = child_run(body, context);
    ck_assert_msg(end.signal == SIGABRT, "signal %d: %s", end.signal, end.error_text);
    for (; *texts; texts++) {
        ck_assert_msg(strstr(end.error_text, *texts), "no \"%s\" in: %s", *texts, end.error_text);
    }
}

TEST(a_double_free_is_named_with_both_places)
{
    const char *const texts[] = {"double free", "twice.c:5 Twin", "24 bytes", "heap tracked",
                                 "made at",     "freed at",       "found at", NULL};
    dies_with(free_twice, NULL, texts);
    const char *const large[] = {"double free", "twice.c:5 Twin", "92160 bytes", "freed at", NULL};
    dies_with(free_large_twice, NULL, large);
}

TEST(a_free_inside_a_block_names_the_block)
{
    size_t small = 100, large = RP_KIB(100);
    const char *const texts[] = {"bad free", "inside a block", "16 bytes into", "inside.c:5", NULL};
    dies_with(free_inside, &small, texts);
    dies_with(free_inside, &large, texts);
    const char *const unborn[] = {"bad free", NULL};
    dies_with(free_unborn, NULL, unborn);
}

TEST(a_wrong_size_is_told)
{
    debug_open(NULL);
    void *block = rp_alloc(tracked_heap(), 100);
    rp_free_sized(block, 96);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_int_eq(told.errors[0].kind, RP_DEBUG_WRONG_SIZE);
    ck_assert_ptr_nonnull(strstr(told.text, "96"));
    ck_assert_uint_eq(debug_stats().block_count, 0);
    rp_region_destroy();
}
