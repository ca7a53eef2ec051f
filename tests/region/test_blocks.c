/* Blocks without guards: placing, freeing, growing, walking, committing, purging. */
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"
#include "support/child.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { MODEL_BLOCKS = 64, MODEL_STEPS = 6000 };

static void open_region(uint64_t reserve_bytes)
{
    rp_region_desc desc = {.reserve_bytes = reserve_bytes};
    ck_ok(rp_region_create(&desc));
}

static void *pages(rp_zone zone, size_t size_bytes)
{
    return rp_region_block_alloc(zone, size_bytes, RP_BLOCK_PAGES, 7, 0);
}

/* ---- against a model ---- */

typedef struct model_block {
    uint8_t *start;
    size_t size_bytes; /* usable */
    uint8_t mark;
} model_block;

typedef struct block_model {
    rp_zone zone;
    uint64_t random;
    model_block blocks[MODEL_BLOCKS];
} block_model;

/* Marks one byte of each page, so that an overlap anywhere shows and large blocks stay cheap. */
static void mark(const model_block *block)
{
    for (size_t at = 0; at < block->size_bytes; at += RP_PAGE_BYTES) {
        block->start[at + at / RP_PAGE_BYTES % 97] = block->mark;
    }
    block->start[block->size_bytes - 1] = block->mark;
}

static void check_marks(const model_block *block, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes; at += RP_PAGE_BYTES) {
        ck_assert_uint_eq(block->start[at + at / RP_PAGE_BYTES % 97], block->mark);
    }
}

static bool all_zero(const uint8_t *bytes, size_t size_bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size_bytes - 1) == 0;
}

static size_t usable_of(const void *start, uint32_t *flags)
{
    rp_region_block found;
    ck_assert(rp_region_block_find(start, &found));
    ck_assert_ptr_eq(found.start, start);
    ck_assert_uint_eq(found.owner, 7);
    ck_assert_int_eq(found.kind, RP_BLOCK_PAGES);
    *flags = found.flags;
    return found.size_bytes;
}

static size_t random_size(uint64_t *random)
{
    uint64_t kind = test_random(random) % 8;
    size_t limit = kind == 0 ? RP_MIB(6) : kind < 3 ? RP_KIB(600) : RP_KIB(200);
    return test_random(random) % limit + 1;
}

static void model_make(block_model *model, model_block *block)
{
    size_t size_bytes = random_size(&model->random);
    uint32_t flags;
    block->start = pages(model->zone, size_bytes);
    ck_assert_ptr_nonnull(block->start);
    block->size_bytes = usable_of(block->start, &flags);
    ck_assert_uint_ge(block->size_bytes, size_bytes);
    if (flags & RP_BLOCK_ZEROED) {
        ck_assert(all_zero(block->start, block->size_bytes));
    }
    block->mark = (uint8_t)(test_random(&model->random) | 1);
    mark(block);
}

static void model_resize(block_model *model, model_block *block)
{
    size_t size_bytes = random_size(&model->random), before = block->size_bytes;
    bool fitted = rp_region_block_resize(block->start, size_bytes);
    uint32_t flags;
    block->size_bytes = usable_of(block->start, &flags);
    ck_assert(fitted || block->size_bytes == before);
    ck_assert(fitted || size_bytes > before);
    ck_assert(!fitted || block->size_bytes >= size_bytes);
    check_marks(block, rp_min_size(before, block->size_bytes));
    mark(block);
}

static void model_step(block_model *model)
{
    model_block *block = &model->blocks[test_random(&model->random) % MODEL_BLOCKS];
    if (!block->start) {
        model_make(model, block);
    } else if (test_random(&model->random) % 3 == 0) {
        model_resize(model, block);
    } else {
        check_marks(block, block->size_bytes);
        rp_region_block_free(block->start);
        block->start = NULL;
    }
    if (test_random(&model->random) % 200 == 0) {
        rp_region_purge(model->zone);
    }
}

static int count_live(const rp_region_block *block, void *context)
{
    *(uint64_t *)context += block->kind == RP_BLOCK_FREE ? 0 : block->size_bytes;
    return 0;
}

static void model_check(block_model *model)
{
    uint64_t walked = 0, expected = 0;
    rp_region_stats stats;
    ck_assert_msg(rp_region_check(model->zone), "%s", rp_error_last()->text);
    rp_region_walk(model->zone, count_live, &walked);
    rp_region_stats_get(model->zone, &stats);
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (model->blocks[i].start) {
            check_marks(&model->blocks[i], model->blocks[i].size_bytes);
            expected += model->blocks[i].size_bytes;
        }
    }
    ck_assert_uint_eq(walked, expected);
    ck_assert_uint_eq(stats.used_bytes, expected);
    ck_assert_uint_le(stats.used_bytes + stats.free_bytes, stats.committed_bytes);
}

TEST(random_operations_agree_with_a_model_in_both_zones)
{
    open_region(RP_GIB(4));
    block_model models[2] = {{.zone = RP_ZONE_WORLD, .random = test_seed()},
                             {.zone = RP_ZONE_KEEP}};
    models[1].random = models[0].random ^ 0x5555;
    for (int step = 0; step < MODEL_STEPS; step++) {
        model_step(&models[step % 2]);
        if (step % 50 == 0) {
            model_check(&models[0]);
            model_check(&models[1]);
        }
    }
    rp_region_destroy();
}

static void record_addresses(uint64_t seed, uint64_t reserve_bytes, void **addresses, size_t count)
{
    open_region(reserve_bytes);
    void *live[32] = {0};
    for (size_t i = 0; i < count; i++) {
        void **block = &live[test_random(&seed) % 32];
        if (*block) {
            rp_region_block_free(*block);
        }
        *block = pages(RP_ZONE_WORLD, random_size(&seed));
        addresses[i] = *block;
    }
    rp_region_destroy();
}

TEST(the_same_calls_give_the_same_addresses_in_every_region)
{
    enum { CALLS = 1000 };
    static void *first[CALLS], *second[CALLS];
    uint64_t seed = test_seed();
    record_addresses(seed, RP_GIB(4), first, CALLS);
    record_addresses(seed, RP_GIB(64), second, CALLS);
    ck_assert_mem_eq(first, second, sizeof first);
}

/* ---- placing ---- */

typedef struct run_list {
    size_t count;
    rp_region_block last;
} run_list;

static int collect_free(const rp_region_block *block, void *context)
{
    run_list *runs = context;
    if (block->kind == RP_BLOCK_FREE) {
        runs->count++;
        runs->last = *block;
    }
    return 0;
}

TEST(blocks_freed_in_any_order_become_one_run)
{
    enum { BLOCKS = 40 };
    open_region(RP_GIB(1));
    void *blocks[BLOCKS];
    uint64_t random = test_seed();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = pages(RP_ZONE_WORLD, RP_UNIT_BYTES * (1 + (size_t)i % 3));
    }
    void *lowest = blocks[0];
    for (int left = BLOCKS; left > 0; left--) {
        int chosen = (int)(test_random(&random) % (uint64_t)left);
        rp_region_block_free(blocks[chosen]);
        blocks[chosen] = blocks[left - 1];
        ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    }
    run_list runs = {0};
    rp_region_walk(RP_ZONE_WORLD, collect_free, &runs);
    ck_assert_uint_eq(runs.count, 1);
    ck_assert_ptr_eq(runs.last.start, lowest);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, runs.last.size_bytes + 1), lowest);
    rp_region_destroy();
}

TEST(a_block_goes_into_the_tightest_hole)
{
    open_region(RP_GIB(1));
    const size_t holes[] = {60, 50, 45, 70, 57, 63}; /* 57, 60 and 63 share a bin */
    void *hole[6];
    for (int i = 0; i < 6; i++) {
        hole[i] = pages(RP_ZONE_WORLD, holes[i] * RP_UNIT_BYTES);
        pages(RP_ZONE_WORLD, 1);
    }
    for (int i = 0; i < 6; i++) {
        rp_region_block_free(hole[i]);
    }
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 57 * RP_UNIT_BYTES), hole[4]);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 62 * RP_UNIT_BYTES), hole[5]);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 46 * RP_UNIT_BYTES), hole[1]);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 61 * RP_UNIT_BYTES), hole[3]);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 46 * RP_UNIT_BYTES), hole[0]);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, 45 * RP_UNIT_BYTES), hole[2]);
    rp_region_destroy();
}

TEST(a_block_grows_into_the_hole_behind_it_and_no_further)
{
    open_region(RP_GIB(1));
    uint8_t *a = pages(RP_ZONE_WORLD, 2 * RP_UNIT_BYTES);
    void *b = pages(RP_ZONE_WORLD, 2 * RP_UNIT_BYTES);
    void *c = pages(RP_ZONE_WORLD, 1);
    ck_assert(!rp_region_block_resize(a, 3 * RP_UNIT_BYTES));
    rp_region_block_free(b);
    ck_assert(!rp_region_block_resize(a, 5 * RP_UNIT_BYTES));
    ck_assert(rp_region_block_resize(a, 4 * RP_UNIT_BYTES));
    a[4 * RP_UNIT_BYTES - 1] = 1;
    ck_assert(rp_region_block_resize(c, RP_MIB(100)));
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    rp_region_destroy();
}

TEST(a_full_zone_says_so_and_serves_again_after_a_free)
{
    open_region(RP_REGION_LEAST_BYTES);
    void *first = pages(RP_ZONE_WORLD, RP_MIB(8)), *last = first;
    size_t count = 1;
    while ((last = pages(RP_ZONE_WORLD, RP_MIB(8))) != NULL) {
        memset(last, 1, RP_MIB(8));
        count++;
    }
    ck_assert_uint_eq(count, (192 - 98) / 8);
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "world zone is full"));
    ck_assert_ptr_null(pages(RP_ZONE_WORLD, SIZE_MAX));
    ck_assert_ptr_null(pages(RP_ZONE_WORLD, RP_GIB(255)));
    ck_assert_ptr_nonnull(pages(RP_ZONE_KEEP, RP_MIB(8)));
    rp_region_block_free(first);
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, RP_MIB(8)), first);
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    rp_region_destroy();
}

TEST(without_a_region_there_are_no_blocks)
{
    ck_assert_ptr_null(pages(RP_ZONE_WORLD, 1));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert_ptr_null(rp_region_unit((void *)(uintptr_t)RP_REGION_BASE));
    ck_assert(!rp_region_is_guard((void *)(uintptr_t)RP_REGION_BASE));
    ck_assert(!rp_region_has_guards());
}

TEST(a_find_answers_for_every_address_of_the_region)
{
    open_region(RP_GIB(1));
    uint8_t *a = pages(RP_ZONE_WORLD, 3 * RP_UNIT_BYTES), *b = pages(RP_ZONE_WORLD, RP_UNIT_BYTES);
    rp_region_block found;
    ck_assert(rp_region_block_find(a + 2 * RP_UNIT_BYTES + 5, &found));
    ck_assert_ptr_eq(found.start, a);
    rp_region_block_free(a);
    ck_assert(!rp_region_block_find(a, &found));
    ck_assert(!rp_region_block_find(a + 2 * RP_UNIT_BYTES, &found));
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, RP_UNIT_BYTES), a);
    ck_assert(!rp_region_block_find(a + 2 * RP_UNIT_BYTES, &found));
    ck_assert(rp_region_block_find(b, &found));
    for (uint64_t at = RP_REGION_BASE; at < rp_region_extent.end; at += RP_MIB(1) + 4097) {
        rp_region_block_find((void *)(uintptr_t)at, &found); /* must not fault */
    }
    ck_assert(!rp_region_block_find(&found, &found));
    rp_region_destroy();
}

/* ---- memory ---- */

TEST(recycled_memory_keeps_its_bytes_and_purged_memory_loses_them)
{
    open_region(RP_GIB(1));
    uint8_t *large = pages(RP_ZONE_WORLD, RP_MIB(1)), *wall = pages(RP_ZONE_WORLD, 1);
    uint8_t *small = pages(RP_ZONE_WORLD, RP_MIB(1) - RP_UNIT_BYTES);
    uint8_t *end = pages(RP_ZONE_WORLD, 1);
    memset(large, 0x5a, RP_MIB(1));
    memset(small, 0x5a, RP_KIB(4));
    *wall = *end = 0x77;
    rp_region_block_free(large);
    ck_assert_uint_eq(large[RP_MIB(1) - 1], 0x5a);
    rp_region_block_free(small);
    rp_region_purge(RP_ZONE_WORLD);
    ck_assert(all_zero(large, RP_MIB(1)));
    ck_assert_uint_eq(small[5], 0x5a);
    ck_assert(*wall == 0x77 && *end == 0x77);
    rp_region_block found;
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, RP_KIB(64)), small);
    ck_assert(rp_region_block_find(small, &found) && !(found.flags & RP_BLOCK_ZEROED));
    ck_assert_ptr_eq(pages(RP_ZONE_WORLD, RP_MIB(1)), large);
    ck_assert(rp_region_block_find(large, &found) && (found.flags & RP_BLOCK_ZEROED));
    rp_region_destroy();
}

typedef struct seen_extents {
    uint8_t *end[2]; /* of tables and units */
    uint8_t *units;
    int calls;
} seen_extents;

static void see_commit(void *context, void *start, size_t size_bytes)
{
    seen_extents *seen = context;
    int which = (uint8_t *)start >= seen->units;
    ck_assert_ptr_eq(start, seen->end[which]);
    ck_assert_uint_eq(((uintptr_t)start | size_bytes) % RP_MIB(2), 0);
    for (size_t at = 0; at < size_bytes; at += RP_MIB(2)) {
        ck_assert(all_zero((uint8_t *)start + at, RP_PAGE_BYTES));
    }
    seen->end[which] = (uint8_t *)start + size_bytes;
    seen->calls++;
}

TEST(the_observer_hears_of_every_committed_byte_before_it_is_written)
{
    open_region(RP_GIB(64));
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    ck_assert_uint_eq(spans[0].size_bytes, RP_MIB(2));
    ck_assert_uint_eq(spans[1].size_bytes, 0);
    seen_extents seen = {.units = spans[1].start,
                         .end = {spans[0].start + spans[0].size_bytes, spans[1].start}};
    rp_region_on_commit(see_commit, &seen);
    memset(pages(RP_ZONE_WORLD, RP_MIB(5)), 1, RP_MIB(5));
    pages(RP_ZONE_KEEP, RP_MIB(5));
    for (int i = 0; i < 20; i++) {
        *(char *)pages(RP_ZONE_WORLD, RP_MIB(300)) = 1; /* the map's next 2 MiB begin at 4 GiB */
    }
    rp_region_committed(RP_ZONE_WORLD, spans);
    ck_assert_ptr_eq(seen.end[0], spans[0].start + spans[0].size_bytes);
    ck_assert_ptr_eq(seen.end[1], spans[1].start + spans[1].size_bytes);
    ck_assert_uint_gt(spans[0].size_bytes, RP_MIB(2));
    rp_region_on_commit(NULL, NULL);
    int calls = seen.calls;
    pages(RP_ZONE_WORLD, RP_MIB(300));
    ck_assert_int_eq(seen.calls, calls);
    rp_region_destroy();
}

TEST(committing_for_a_restore_reaches_tables_and_units_and_not_beyond)
{
    open_region(RP_GIB(1));
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    ck_ok(rp_region_commit_to(RP_ZONE_WORLD, spans[0].start + RP_MIB(3)));
    spans[0].start[RP_MIB(3) - 1] = 1;
    ck_ok(rp_region_commit_to(RP_ZONE_WORLD, spans[1].start + RP_MIB(9) + 1));
    spans[1].start[RP_MIB(9)] = 1;
    void *end = (void *)(uintptr_t)rp_region_extent.keep_start;
    ck_assert_int_eq(rp_region_commit_to(RP_ZONE_WORLD, (char *)end + 1), RP_E_RANGE);
    ck_assert_int_eq(rp_region_commit_to(RP_ZONE_WORLD, spans[0].start), RP_E_RANGE);
    ck_ok(rp_region_commit_to(RP_ZONE_WORLD, end));
    rp_region_committed(RP_ZONE_WORLD, spans);
    ck_assert_ptr_eq(spans[1].start + spans[1].size_bytes, end);
    rp_region_destroy();
}

/* ---- misuse ---- */

static int free_it(void *block)
{
    rp_region_block_free(block);
    return 0;
}

TEST(freeing_what_is_no_blocks_start_is_named_and_aborts)
{
    open_region(RP_GIB(1));
    uint8_t *block = pages(RP_ZONE_WORLD, RP_MIB(1)), *freed = pages(RP_ZONE_WORLD, 1);
    rp_region_block_free(freed);
    void *const wrong[] = {block + 8, block + RP_UNIT_BYTES, freed, &block,
                           (void *)(uintptr_t)RP_REGION_BASE};
    for (size_t i = 0; i < RP_COUNT_OF(wrong); i++) {
        child_end end = child_run(free_it, wrong[i]);
        ck_assert_int_eq(end.signal, SIGABRT);
        ck_assert_ptr_nonnull(strstr(end.error_text, "reprise: region: free of 0x"));
    }
    ck_assert_int_eq(child_run(free_it, block).signal, 0);
    rp_region_destroy();
}

/* ---- threads ---- */

static void *churn(void *context)
{
    block_model model = {.zone = RP_ZONE_WORLD, .random = (uint64_t)(uintptr_t)context};
    for (int step = 0; step < 1500; step++) {
        model_block *block = &model.blocks[test_random(&model.random) % MODEL_BLOCKS];
        if (block->start) {
            check_marks(block, block->size_bytes);
            rp_region_block_free(block->start);
            block->start = NULL;
        } else {
            block->size_bytes = test_random(&model.random) % RP_KIB(300) + 1;
            block->start = pages(model.zone, block->size_bytes);
            block->mark = (uint8_t)test_random(&model.random);
            mark(block);
        }
    }
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (model.blocks[i].start) {
            rp_region_block_free(model.blocks[i].start);
        }
    }
    return NULL;
}

TEST(threads_share_a_zone)
{
    enum { THREADS = 4 };
    open_region(RP_GIB(4));
    pthread_t threads[THREADS];
    uint64_t seed = test_seed();
    for (uint64_t i = 0; i < THREADS; i++) {
        void *random = (void *)(uintptr_t)(seed + i * 7919 + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, random), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_eq(stats.used_bytes, 0);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    run_list runs = {0};
    rp_region_walk(RP_ZONE_WORLD, collect_free, &runs);
    ck_assert_uint_eq(runs.count, 1);
    rp_region_destroy();
}

/* ---- decay ---- */

static size_t resident_pages(const uint8_t *start, size_t size_bytes)
{
    static unsigned char present[RP_MIB(8) / RP_PAGE_BYTES];
    ck_assert_int_eq(mincore((void *)(uintptr_t)start, size_bytes, present), 0);
    size_t count = 0;
    for (size_t i = 0; i < size_bytes / RP_PAGE_BYTES; i++) {
        count += present[i] & 1;
    }
    return count;
}

static uint8_t *dirty_and_free(size_t size_bytes)
{
    uint8_t *block = rp_region_block_alloc(RP_ZONE_WORLD, size_bytes, RP_BLOCK_PAGES, 0, 0);
    memset(block, 1, size_bytes);
    rp_region_block_free(block);
    return block;
}

TEST(memory_that_nobody_wanted_for_some_ticks_goes_back_and_reads_zero)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    ck_ok(rp_region_create(&desc));
    rp_region_tick(1);
    uint8_t *block = dirty_and_free(RP_MIB(8));
    rp_region_tick(RP_REGION_PURGE_TICKS);
    ck_assert_uint_eq(resident_pages(block, RP_MIB(8)), RP_MIB(8) / RP_PAGE_BYTES);
    rp_region_tick(2 * RP_REGION_PURGE_TICKS - 1);
    ck_assert_uint_eq(resident_pages(block, RP_MIB(8)), RP_MIB(8) / RP_PAGE_BYTES);
    rp_region_tick(2 * RP_REGION_PURGE_TICKS);
    ck_assert_uint_eq(resident_pages(block, RP_MIB(8)), 0);
    ck_assert_ptr_eq(rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(8), RP_BLOCK_PAGES, 0, 0), block);
    ck_assert(block[0] == 0 && memcmp(block, block + 1, RP_MIB(8) - 1) == 0);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
    rp_region_tick(0);
}

TEST(where_ticks_are_counted_by_use_memory_goes_back_after_as_much_was_freed_twice)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1), .tick_bytes = RP_MIB(8)};
    ck_ok(rp_region_create(&desc));
    uint8_t *block = rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(8), RP_BLOCK_PAGES, 0, 0);
    ck_assert_ptr_nonnull(rp_region_block_alloc(RP_ZONE_WORLD, 1, RP_BLOCK_PAGES, 0, 0));
    memset(block, 1, RP_MIB(8));
    rp_region_block_free(block); /* the one behind it keeps it a run of its own */
    ck_assert_uint_gt(resident_pages(block, RP_MIB(8)), 0);
    for (int i = 0; i < 3; i++) {
        rp_region_block_free(rp_region_block_alloc(RP_ZONE_KEEP, RP_MIB(9), RP_BLOCK_PAGES, 0, 0));
    }
    void *last = rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(30), RP_BLOCK_PAGES, 0, 0);
    rp_region_block_free(last);
    ck_assert_uint_eq(resident_pages(block, RP_MIB(8)), 0);
    rp_region_destroy();
}
