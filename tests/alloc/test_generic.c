/* The generic allocator on one thread: bins, slabs, caps, statistics, and what the caller does
 * wrong with a block in each of the places where a free one may lie. */
#include "alloc/generic_fixture.h"

#include <stdio.h>

/* ---- bins and slabs ---- */

static void shuffle(void **at, size_t count, uint64_t *random)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = test_random(random) % i;
        void *held = at[i - 1];
        at[i - 1] = at[other];
        at[other] = held;
    }
}

static void class_goes_round(rp_allocator *heap, uint32_t class_index, uint64_t *random)
{
    const size_class *class = &rp_size_classes[class_index];
    blocks b = blocks_of(heap, class->block_bytes,
                         3 * (size_t) class->block_count + (size_t) class->bin_limit);
    for (int round = 0; round < 2; round++) {
        blocks_make(&b);
        heap_holds(heap, b.count, (uint64_t)b.count * class->block_bytes);
        blocks_free(&b);
        heap_holds(heap, 0, 0);
    }
    blocks_make(&b);
    shuffle(b.at, b.count, random);
    for (size_t i = 0; i < b.count; i++) {
        rp_free(b.at[i]);
    }
    heap_is_empty(heap);
    free(b.at);
}

TEST(every_class_fills_its_bin_flushes_it_and_comes_back)
{
    rp_allocator *heap = heap_open();
    uint64_t random = test_seed();
    for (uint32_t class_index = 1; class_index < CLASS_COUNT; class_index++) {
        class_goes_round(heap, class_index, &random);
    }
    heap_close();
}

TEST(a_class_is_the_least_that_fits_and_starts_are_told_from_insides)
{
    for (size_t bytes = 0; bytes <= CLASS_LARGEST_BYTES; bytes++) {
        uint32_t class_index = class_of(bytes);
        ck_assert_uint_ge(rp_size_classes[class_index].block_bytes, bytes);
        ck_assert(class_index == 1 || rp_size_classes[class_index - 1].block_bytes < bytes);
    }
    for (uint32_t class_index = 1; class_index < CLASS_COUNT; class_index++) {
        uint32_t bytes = rp_size_classes[class_index].block_bytes;
        for (uint32_t offset = 0; offset < RP_UNIT_BYTES; offset++) {
            ck_assert_int_eq(is_start(class_index, offset), offset % bytes == 0);
        }
    }
}

TEST(no_two_blocks_overlap_and_all_are_aligned)
{
    rp_allocator *heap = heap_open();
    uint64_t random = test_seed();
    model m = {.allocator = heap, .random = random, .most_bytes = RP_KIB(70), .align_most = 16};
    model_run(&m, 20000); /* checks every byte */
    model_empty(&m);
    heap_is_empty(heap);
    heap_close();
}

TEST(what_was_freed_last_is_handed_out_first)
{
    rp_allocator *heap = heap_open();
    void *at[10];
    for (int i = 0; i < 10; i++) {
        at[i] = rp_alloc(heap, 100);
    }
    for (int i = 0; i < 10; i++) {
        rp_free(at[i]);
    }
    for (int i = 9; i >= 0; i--) {
        ck_assert_ptr_eq(rp_alloc(heap, 100), at[i]);
    }
    heap_close();
}

TEST(statistics_are_exact_after_every_single_operation)
{
    enum { HELD = 64, STEPS = 6000 };
    rp_allocator *heap = heap_open();
    uint64_t random = test_seed(), count = 0, bytes = 0;
    void *at[HELD] = {0};
    for (int step = 0; step < STEPS; step++) {
        void **slot = &at[test_random(&random) % HELD];
        size_t most = test_random(&random) % 8 ? 600 : RP_KIB(200);
        if (*slot) {
            count--;
            bytes -= rp_usable_bytes(*slot);
            rp_free(*slot);
            *slot = NULL;
        } else {
            *slot = rp_alloc(heap, test_random(&random) % most);
            count++;
            bytes += rp_usable_bytes(*slot);
        }
        if (test_random(&random) % 64 == 0) {
            rp_alloc_thread_flush();
        }
        heap_holds(heap, count, bytes);
    }
    heap_close();
}

TEST(empty_slabs_are_kept_few_and_serve_every_class)
{
    rp_allocator *heap = heap_open();
    blocks b = blocks_of(heap, 4096, 16 * 20);
    blocks_make(&b);
    ck_assert_uint_eq(model_stats(heap).taken_bytes, 20 * RP_UNIT_BYTES);
    blocks_free(&b);
    uint64_t bin_slabs = 2 * (uint64_t)rp_size_classes[class_of(4096)].bin_limit;
    ck_assert_uint_le(model_stats(heap).taken_bytes, (SPARE_SLABS + bin_slabs) * RP_UNIT_BYTES);
    rp_free(rp_alloc(heap, 16));
    uint64_t before = model_stats(heap).taken_bytes;
    ck_assert_uint_ge(before, RP_UNIT_BYTES);
    rp_free(rp_alloc(heap, 48));
    ck_assert_uint_eq(model_stats(heap).taken_bytes, before);
    heap_is_empty(heap);
    free(b.at);
    heap_close();
}

TEST(what_a_bin_keeps_is_given_up_before_a_cap_refuses)
{
    model_open_region();
    rp_allocator *heap = heap_make("capped", RP_ZONE_WORLD, 4 * RP_UNIT_BYTES);
    const size_t sizes[] = {16, 1000, 32768, 4 * RP_UNIT_BYTES, 64, 20000};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        void *at[20000];
        size_t count = 0;
        while ((at[count] = rp_alloc(heap, sizes[i])) != NULL) {
            count++;
        }
        ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
        ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "capped"));
        size_t usable = rp_usable_bytes(at[0]);
        ck_assert_uint_eq(count, 4 * (RP_UNIT_BYTES / rp_min_size(usable, RP_UNIT_BYTES)) /
                                     (usable > RP_UNIT_BYTES ? 4 : 1));
        heap_holds(heap, count, count * usable);
        while (count) {
            rp_free(at[--count]);
        }
        ck_assert_uint_le(model_stats(heap).taken_bytes, 4 * RP_UNIT_BYTES);
    }
    heap_is_empty(heap);
    heap_close();
}

TEST(heaps_of_both_zones_keep_to_theirs)
{
    model_open_region();
    model world = {.allocator = heap_make("world", RP_ZONE_WORLD, 0), .random = test_seed()};
    model keep = {.allocator = heap_make("keep", RP_ZONE_KEEP, 0), .random = world.random + 1};
    world.most_bytes = keep.most_bytes = RP_KIB(40);
    for (int step = 0; step < 20000; step++) {
        model_step(&world);
        model_step(&keep);
    }
    model_check(&world);
    model_check(&keep);
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        ck_assert(!world.blocks[i].start || rp_region_contains(world.blocks[i].start) == 1);
        ck_assert(!keep.blocks[i].start || rp_region_contains(keep.blocks[i].start) == 2);
    }
    rp_allocator_destroy(world.allocator);
    model_check(&keep);
    model_empty(&keep);
    heap_is_empty(keep.allocator);
    heap_close();
}

TEST(a_block_stays_with_its_heap_whoever_is_named)
{
    rp_allocator *heap = heap_open(), *other = heap_make("other", RP_ZONE_WORLD, 0);
    void *block = rp_alloc(heap, 100);
    block = rp_resize(other, block, RP_KIB(10));
    ck_assert_ptr_eq(rp_allocator_of(block), heap);
    block = rp_resize(other, block, RP_KIB(300));
    ck_assert_ptr_eq(rp_allocator_of(block), heap);
    heap_holds(other, 0, 0);
    rp_free(block);
    heap_is_empty(heap);
    ck_assert_uint_eq(model_stats(other).taken_bytes, 0);
    heap_close();
}

TEST(a_destroyed_heap_leaves_no_unit_behind_and_its_place_serves_the_next)
{
    rp_allocator *first = heap_open();
    rp_free(rp_alloc(first, 1));
    rp_allocator_destroy(first);
    rp_region_stats before, after;
    rp_region_stats_get(RP_ZONE_WORLD, &before);
    for (int round = 0; round < 300; round++) {
        rp_allocator *heap = heap_make("next", RP_ZONE_WORLD, 0);
        ck_assert_ptr_eq(heap, first);
        blocks b = blocks_of(heap, (size_t)round * 16, 200);
        blocks_make(&b);
        ck_assert_ptr_nonnull(rp_alloc(heap, RP_KIB(100)));
        rp_free(b.at[round % 200]);
        rp_allocator_destroy(heap);
        free(b.at);
    }
    rp_region_stats_get(RP_ZONE_WORLD, &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    heap_close();
}

/* ---- a double free, wherever the block lies ---- */

TEST(a_second_free_is_named_in_the_bin_in_the_slab_and_in_an_empty_slab)
{
    rp_allocator *heap = heap_open();
    const size_t sizes[] = {0, 48, 500, 3000, 32768};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        void *block = rp_alloc(heap, sizes[i]), *other = rp_alloc(heap, sizes[i]);
        rp_free(block);
        model_dies(model_free_it, block, "heap test: double free of 0x"); /* in the bin */
        rp_alloc_thread_flush();
        model_dies(model_free_it, block, "heap test: double free of 0x"); /* in its slab */
        rp_free(other);
        model_dies(model_free_it, block, "heap test: double free of 0x");
        rp_alloc_thread_flush();
        model_dies(model_free_it, block, "double free of 0x"); /* the slab is gone */
    }
    heap_close();
}

TEST(a_second_free_is_named_when_another_thread_did_the_first)
{
    rp_allocator *heap = heap_open();
    helper h;
    helper_start(&h);
    const size_t sizes[] = {0, 48, 500, 3000, 32768};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        void *block = rp_alloc(heap, sizes[i]);
        ck_assert_ptr_nonnull(rp_alloc(heap, sizes[i]));
        helper_do(&h, free_one, block);
        model_dies(model_free_it, block, "heap test: double free of 0x"); /* in its bin */
        helper_do(&h, flush, NULL);
        model_dies(model_free_it, block, "heap test: double free of 0x"); /* sent to us */
        rp_alloc_thread_flush();
        model_dies(model_free_it, block, "heap test: double free of 0x"); /* in its slab */
    }
    helper_end(&h);
    heap_close();
}

TEST(a_second_free_is_named_when_the_owner_ended)
{
    rp_allocator *heap = heap_open();
    blocks b = blocks_of(heap, 200, 10);
    on_thread(blocks_make, &b);
    rp_free(b.at[3]);
    model_dies(model_free_it, b.at[3], "heap test: double free of 0x");
    rp_alloc_thread_flush();
    model_dies(model_free_it, b.at[3], "heap test: double free of 0x");
    on_thread(free_one, b.at[4]);
    model_dies(model_free_it, b.at[4], "heap test: double free of 0x");
    free(b.at);
    heap_close();
}

TEST(a_free_of_what_was_never_handed_out_is_named)
{
    rp_allocator *heap = heap_open();
    uint8_t *first = rp_alloc(heap, 64);
    uint8_t *slab = rp_region_unit_start(rp_region_unit(first));
    model_dies(model_free_it, slab + RP_UNIT_BYTES - 64, "no heap's block, and never was");
    model_dies(model_free_it, first + 64, "double free"); /* waits in the bin */
    ck_assert_uint_eq(rp_usable_bytes(slab + RP_UNIT_BYTES - 64), 0);
    ck_assert_uint_eq(rp_usable_bytes(first + 64), 0);
    uint8_t *end = rp_alloc(heap, 48); /* 65536 is no multiple of 48 */
    uint8_t *rest = (uint8_t *)rp_region_unit_start(rp_region_unit(end)) + 1365 * 48;
    model_dies(model_free_it, rest, "free");
    heap_close();
}

TEST(a_program_may_store_what_looks_like_a_mark)
{
    rp_allocator *heap = heap_open();
    free_block *block = rp_alloc(heap, 64), *other = rp_alloc(heap, 64);
    rp_free(other);
    *block = *other; /* another block's mark is none here */
    ck_assert_uint_eq(rp_usable_bytes(block), 64);
    heap_holds(heap, 1, 64);
    rp_free(block);
    heap_is_empty(heap);
    heap_close();
}

/* ---- writes after the free ---- */

typedef struct late_write {
    rp_allocator *heap;
    uint8_t *block;
    size_t offset, size_bytes;
    void (*meet)(const struct late_write *w);
} late_write;

static int write_late(void *context)
{
    const late_write *w = context;
    w->block[w->offset] ^= 0x40;
    w->meet(w);
    return 0;
}

static void meet_at_alloc(const late_write *w)
{
    for (int i = 0; i < 5000; i++) {
        rp_alloc(w->heap, w->size_bytes);
    }
}

static void meet_at_flush(const late_write *w)
{
    (void)w;
    rp_alloc_thread_flush();
}

/* The first word is a link and the second a mark: neither may be written unseen. */
static void late_writes_die(rp_allocator *heap, void *block, size_t size_bytes,
                            void (*meet)(const late_write *))
{
    for (size_t offset = 0; offset < 16; offset++) {
        late_write w = {heap, block, offset, size_bytes, meet};
        model_dies(write_late, &w, "was written to after it was freed");
    }
}

TEST(a_write_after_the_free_is_named_at_the_next_allocation)
{
    rp_allocator *heap = heap_open();
    void *block = rp_alloc(heap, 100);
    ck_assert_ptr_nonnull(rp_alloc(heap, 100));
    rp_free(block);
    late_writes_die(heap, block, 100, meet_at_alloc);
    late_writes_die(heap, block, 100, meet_at_flush);
    rp_alloc_thread_flush();
    late_writes_die(heap, block, 100, meet_at_alloc); /* in the slab's own list */
    heap_close();
}

TEST(a_write_after_the_free_is_named_on_the_way_to_the_owner)
{
    rp_allocator *heap = heap_open();
    blocks b = blocks_of(heap, 100, 20);
    helper h;
    helper_start(&h);
    helper_do(&h, blocks_make, &b);
    rp_free(b.at[5]);
    rp_free(b.at[6]);
    late_writes_die(heap, b.at[5], 100, meet_at_flush);
    late_writes_die(heap, b.at[6], 100, meet_at_flush);
    blocks mine = blocks_of(heap, 200, 20);
    blocks_make(&mine);
    for (int i = 1; i < 4; i++) {
        helper_do(&h, free_one, mine.at[i]);
    }
    helper_do(&h, flush, NULL);
    for (int i = 1; i < 4; i++) {
        late_writes_die(heap, mine.at[i], 200, meet_at_flush);
        late_writes_die(heap, mine.at[i], 200, meet_at_alloc);
    }
    helper_end(&h);
    late_writes_die(heap, b.at[5], 100, meet_at_flush); /* the owner ended */
    free(b.at);
    free(mine.at);
    heap_close();
}

/* Where chains are set aside, their first blocks hold two words more: the next chain, and a count.
 */
TEST(a_write_after_the_free_is_named_in_a_chain_that_was_set_aside)
{
    rp_allocator *heap = heap_open();
    blocks b = blocks_of(heap, 64, 4000);
    blocks_make(&b);
    blocks_free(&b);
    heap_holds(heap, 0, 0);
    const rp_cache *cache = heap_of(heap)->caches;
    int chains = 0;
    for (parked_block *top = cache->parked[class_of(64)]; top; top = top->below) {
        for (size_t offset = 0; offset < sizeof *top && chains < 3; offset++) {
            late_write w = {heap, (uint8_t *)top, offset, 64, meet_at_flush};
            model_dies(write_late, &w, "was written to after it was freed");
            w.meet = meet_at_alloc;
            model_dies(write_late, &w, "was written to after it was freed");
        }
        model_dies(model_free_it, top, "double free");
        chains++;
    }
    ck_assert_int_gt(chains, 1);
    heap_is_empty(heap);
    free(b.at);
    heap_close();
}

/* ---- diverted to the debug side ---- */

static struct fake_side {
    uint64_t allocs, frees;
} fake;

static void *fake_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed,
                        const char *site, const void *caller)
{
    (void)align_bytes, (void)zeroed, (void)site, (void)caller;
    fake.allocs++;
    return rp_region_block_alloc((rp_zone)allocator->zone, rp_max_size(size_bytes, 1),
                                 RP_BLOCK_TRACKED, allocator->id, 0);
}

static void fake_free(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                      const void *caller)
{
    (void)allocator, (void)head, (void)size_bytes, (void)caller;
    fake.frees++;
    rp_region_block_free(block);
}

static size_t fake_usable(rp_unit *head, const void *block)
{
    return rp_region_unit_start(head) == block ? (size_t)head->unit_count << RP_UNIT_SHIFT : 0;
}

static bool fake_resize(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                        const void *caller)
{
    (void)allocator, (void)head, (void)block, (void)size_bytes, (void)caller;
    return false;
}

static int fake_walk(const rp_allocator *allocator, int (*visit)(void *, size_t, void *),
                     void *context)
{
    (void)allocator, (void)visit, (void)context;
    return 0;
}

static void fake_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    (void)allocator, (void)stats;
}

static void fake_destroyed(rp_allocator *allocator)
{
    (void)allocator;
}

static const rp_debug_ops fake_ops = {
    .alloc = fake_alloc,
    .free = fake_free,
    .usable = fake_usable,
    .resize = fake_resize,
    .walk = fake_walk,
    .stats_add = fake_stats,
    .destroyed = fake_destroyed,
};

static rp_block_kind kind_of(const void *block)
{
    return (rp_block_kind)rp_region_unit_head(block)->kind;
}

TEST(a_traced_thread_is_diverted_and_frees_blocks_of_before)
{
    rp_debug_ops_set(&fake_ops);
    rp_allocator *heap = heap_open();
    void *before = rp_alloc(heap, 100), *kept = rp_alloc(heap, 100);
    rp_alloc_thread_trace(1);
    void *traced = rp_alloc(heap, 100);
    ck_assert_uint_eq(fake.allocs, 1);
    ck_assert_int_eq(kind_of(traced), RP_BLOCK_TRACKED);
    rp_free(before);
    heap_holds(heap, 1, 112);
    model_dies(model_free_it, before, "double free");
    rp_alloc_thread_trace(1);
    rp_alloc_thread_trace(-1);
    ck_assert_int_eq(kind_of(rp_alloc(heap, 100)), RP_BLOCK_TRACKED);
    rp_alloc_thread_trace(-1);
    rp_free(traced);
    ck_assert_uint_eq(fake.frees, 1);
    void *after = rp_alloc(heap, 100);
    ck_assert_int_eq(kind_of(after), RP_BLOCK_SLAB);
    ck_assert_uint_eq(fake.allocs, 2);
    rp_free(kept);
    rp_free(after);
    heap_is_empty(heap);
    heap_close();
}

TEST(a_thread_that_begins_in_a_traced_scope_is_diverted_too)
{
    rp_debug_ops_set(&fake_ops);
    rp_allocator *heap = heap_open();
    rp_alloc_thread_trace(1);
    ck_assert_int_eq(kind_of(rp_alloc(heap, 8)), RP_BLOCK_TRACKED);
    blocks b = blocks_of(heap, 64, 100);
    on_thread(blocks_make, &b); /* that thread is not */
    ck_assert_int_eq(kind_of(b.at[0]), RP_BLOCK_SLAB);
    blocks_free(&b); /* the first work with memory of a slot of its own */
    rp_alloc_thread_trace(-1);
    heap_is_empty(heap);
    free(b.at);
    heap_close();
}

TEST(a_heap_with_debug_modes_is_diverted_on_every_thread_and_back)
{
    rp_debug_ops_set(&fake_ops);
    rp_allocator *heap = heap_open(), *other = heap_make("other", RP_ZONE_WORLD, 0);
    helper h;
    helper_start(&h);
    blocks mine = blocks_of(heap, 64, 10), theirs = blocks_of(heap, 64, 10);
    blocks_make(&mine);
    helper_do(&h, blocks_make, &theirs);
    rp_allocator_debug_set(heap, 4);
    blocks mine2 = blocks_of(heap, 64, 10), theirs2 = blocks_of(heap, 64, 10);
    blocks_make(&mine2);
    helper_do(&h, blocks_make, &theirs2);
    ck_assert_uint_eq(fake.allocs, 20);
    ck_assert_int_eq(kind_of(rp_alloc(other, 64)), RP_BLOCK_SLAB);
    blocks_free(&mine);
    helper_do(&h, blocks_free, &theirs);
    rp_allocator_debug_set(heap, 0);
    blocks_make(&mine);
    ck_assert_int_eq(kind_of(mine.at[0]), RP_BLOCK_SLAB);
    helper_do(&h, blocks_free, &mine2);
    blocks_free(&theirs2);
    ck_assert_uint_eq(fake.frees, 20);
    blocks_free(&mine);
    helper_end(&h);
    heap_is_empty(heap);
    free(mine.at), free(theirs.at), free(mine2.at), free(theirs2.at);
    heap_close();
}
