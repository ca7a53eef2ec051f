/* Heaps: placing, sizes, alignment, resizing, caps, exhaustion, walks and restores. */
#include "alloc/generic.h"
#include "base/bits.h"
#include "region/region.h"
#include "support/child.h"
#include "support/fault.h"
#include "support/snapshot.h"

#include <errno.h>
#include <reprise/memory.h>
#include <string.h>

enum { MODEL_BLOCKS = 400, MODEL_STEPS = 60000 };

static void open_region(uint64_t reserve_bytes)
{
    rp_region_desc desc = {.reserve_bytes = reserve_bytes};
    ck_ok(rp_region_create(&desc));
}

static rp_allocator *make_heap(rp_zone zone, size_t cap_bytes)
{
    rp_allocator *heap =
        rp_heap_create(&(rp_heap_desc){.name = "test", .zone = zone, .cap_bytes = cap_bytes});
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    return heap;
}

static rp_allocator *open_heap(void)
{
    open_region(RP_GIB(1));
    return make_heap(RP_ZONE_WORLD, 0);
}

static rp_alloc_stats stats_of(const rp_allocator *heap)
{
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    return stats;
}

/* ---- against a model ---- */

typedef struct model_block {
    uint8_t *start;
    size_t size_bytes;
    uint8_t fill;
} model_block;

typedef struct heap_model {
    rp_allocator *heap;
    uint64_t random;
    model_block blocks[MODEL_BLOCKS];
} heap_model;

static size_t random_size(uint64_t *random)
{
    uint64_t kind = test_random(random) % 64;
    size_t limit = kind == 0 ? RP_KIB(600) : kind < 8 ? RP_KIB(40) : kind < 24 ? 2000 : 200;
    return test_random(random) % limit;
}

static void fill(model_block *block, uint64_t *random)
{
    block->fill = (uint8_t)test_random(random);
    memset(block->start, block->fill, block->size_bytes);
}

static void check_fill(const model_block *block, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (block->start[i] != block->fill) {
            ck_abort_msg("byte %zu of %p is %02x, not %02x", i, (void *)block->start,
                         block->start[i], block->fill);
        }
    }
}

static void make_block(heap_model *model, model_block *block)
{
    size_t align = (size_t)16 << test_random(&model->random) % 10;
    block->size_bytes = random_size(&model->random);
    switch (test_random(&model->random) % 4) {
    case 0:
        block->start = rp_alloc_aligned(model->heap, align, block->size_bytes);
        ck_assert_uint_eq((uintptr_t)block->start % align, 0);
        break;
    case 1:
        block->start = rp_alloc_zeroed(model->heap, 1, block->size_bytes);
        block->fill = 0;
        check_fill(block, block->size_bytes);
        break;
    default:
        block->start = rp_alloc(model->heap, block->size_bytes);
    }
    ck_assert_ptr_nonnull(block->start);
    ck_assert_uint_eq((uintptr_t)block->start % 16, 0);
    ck_assert_uint_ge(rp_usable_bytes(block->start), block->size_bytes);
    fill(block, &model->random);
}

static void resize_block(heap_model *model, model_block *block)
{
    size_t size_bytes = random_size(&model->random), before = block->size_bytes;
    block->start = rp_resize(model->heap, block->start, size_bytes);
    ck_assert_ptr_nonnull(block->start);
    block->size_bytes = size_bytes;
    check_fill(block, rp_min_size(before, size_bytes));
    fill(block, &model->random);
}

static void model_step(heap_model *model)
{
    model_block *block = &model->blocks[test_random(&model->random) % MODEL_BLOCKS];
    if (!block->start) {
        make_block(model, block);
    } else if (test_random(&model->random) % 4 == 0) {
        resize_block(model, block);
    } else {
        check_fill(block, block->size_bytes);
        rp_free(block->start);
        block->start = NULL;
    }
}

typedef struct walk_sum {
    const heap_model *model;
    uint64_t count, bytes;
} walk_sum;

static int sum_block(void *block, size_t size_bytes, void *context)
{
    walk_sum *sum = context;
    sum->count++;
    sum->bytes += size_bytes;
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (sum->model->blocks[i].start == block) {
            return 0;
        }
    }
    ck_abort_msg("the walk shows %p, which nobody has", block);
    return 1;
}

static void model_check(const heap_model *model)
{
    walk_sum walked = {.model = model};
    ck_assert_int_eq(rp_walk(model->heap, sum_block, &walked), 0);
    uint64_t count = 0, bytes = 0;
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (model->blocks[i].start) {
            check_fill(&model->blocks[i], model->blocks[i].size_bytes);
            count++;
            bytes += rp_usable_bytes(model->blocks[i].start);
        }
    }
    rp_alloc_stats stats = stats_of(model->heap);
    ck_assert_uint_eq(walked.count, count);
    ck_assert_uint_eq(stats.live_count, count);
    ck_assert_uint_eq(walked.bytes, bytes);
    ck_assert_uint_eq(stats.live_bytes, bytes);
    ck_assert_uint_ge(stats.peak_bytes, stats.live_bytes);
    ck_assert_uint_ge(stats.taken_bytes, stats.live_bytes);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
}

static int count_owned(const rp_region_block *block, void *context)
{
    uint64_t *owned = context;
    owned[0] += block->owner == owned[1] && block->kind != RP_BLOCK_FREE ? block->size_bytes : 0;
    return 0;
}

static uint64_t owned_bytes(const rp_allocator *heap)
{
    uint64_t owned[2] = {0, heap->id};
    rp_region_walk(heap->zone, count_owned, owned);
    return owned[0];
}

static uint64_t used_bytes(rp_zone zone)
{
    rp_region_stats stats;
    rp_region_stats_get(zone, &stats);
    return stats.used_bytes;
}

static void run_model(rp_zone zone)
{
    open_region(RP_GIB(1));
    rp_allocator *first = make_heap(zone, 0); /* what the zone keeps of its first heap, it keeps */
    rp_free(rp_alloc(first, 1));
    rp_allocator_destroy(first);
    uint64_t used_before = used_bytes(zone);
    heap_model model = {.heap = make_heap(zone, 0), .random = test_seed()};
    for (int step = 0; step < MODEL_STEPS; step++) {
        model_step(&model);
        if (step % 2000 == 0) {
            model_check(&model);
            ck_assert_uint_eq(stats_of(model.heap).taken_bytes, owned_bytes(model.heap));
        }
    }
    rp_allocator_destroy(model.heap);
    ck_assert_uint_eq(used_bytes(zone), used_before);
    rp_region_destroy();
}

TEST(random_operations_agree_with_a_model)
{
    run_model(RP_ZONE_WORLD);
}

TEST(random_operations_agree_with_a_model_in_the_keep_zone)
{
    run_model(RP_ZONE_KEEP);
}

/* ---- sizes ---- */

TEST(each_size_has_the_smallest_class_that_holds_it)
{
    for (size_t size = 0; size <= CLASS_LARGEST_BYTES; size++) {
        uint32_t index = class_of(size);
        ck_assert(index != CLASS_NONE && index < CLASS_COUNT);
        ck_assert_uint_ge(rp_size_classes[index].block_bytes, size);
        ck_assert(index == 1 || rp_size_classes[index - 1].block_bytes < size);
    }
}

TEST(the_starts_of_blocks_are_known_for_every_offset_of_every_class)
{
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        const size_class *class = &rp_size_classes[i];
        ck_assert_uint_le((size_t) class->block_count * class->block_bytes, RP_UNIT_BYTES);
        for (uint32_t at = 0; at < RP_UNIT_BYTES; at++) {
            ck_assert_int_eq(is_start(i, at), at % class->block_bytes == 0);
            ck_assert(!is_start(CLASS_NONE, at));
        }
    }
}

TEST(blocks_of_every_size_are_apart_and_usable_to_the_end)
{
    rp_allocator *heap = open_heap();
    static uint8_t *blocks[3][600];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 600; i++) {
            size_t size_bytes = i < 300 ? i : i * 120;
            uint8_t *block = blocks[round][i] = rp_alloc(heap, size_bytes);
            ck_assert_ptr_nonnull(block);
            memset(block, (int)(i * 3 + round), rp_usable_bytes(block));
        }
    }
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 600; i++) {
            uint8_t *block = blocks[round][i];
            size_t bytes = rp_usable_bytes(block);
            ck_assert_uint_eq(block[0], (uint8_t)(i * 3 + round));
            ck_assert_int_eq(memcmp(block, block + 1, bytes - 1), 0);
        }
    }
    rp_region_destroy();
}

static void a_full_slab_takes_back_exactly_what_it_gave(rp_allocator *heap, const size_class *class)
{
    static uint8_t *blocks[RP_UNIT_BYTES / 16];
    uint32_t count = class->block_count;
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = rp_alloc(heap, class->block_bytes);
    }
    uint8_t *slab = rp_region_unit_start(rp_region_unit(blocks[0]));
    ck_assert_ptr_eq(rp_region_unit_start(rp_region_unit(blocks[count - 1])), slab);
    ck_assert_uint_eq(stats_of(heap).taken_bytes, RP_UNIT_BYTES);
    rp_free(blocks[0]);
    rp_free(blocks[count - 1]);
    uint8_t *a = rp_alloc(heap, class->block_bytes);
    uint8_t *b = rp_alloc(heap, class->block_bytes);
    ck_assert((a == blocks[0] && b == blocks[count - 1]) ||
              (b == blocks[0] && a == blocks[count - 1]));
    for (uint32_t i = 0; i < count; i++) {
        rp_free(blocks[i]);
    }
}

TEST(a_full_slab_of_each_class_takes_back_exactly_what_it_gave)
{
    open_region(RP_GIB(1));
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        rp_allocator *heap = make_heap(RP_ZONE_WORLD, 0);
        a_full_slab_takes_back_exactly_what_it_gave(heap, &rp_size_classes[i]);
        rp_allocator_destroy(heap);
    }
    rp_region_destroy();
}

TEST(sizes_that_overflow_are_refused)
{
    rp_allocator *heap = open_heap();
    void *block = rp_alloc(heap, RP_KIB(100));
    const size_t sizes[] = {SIZE_MAX,     SIZE_MAX - 15, SIZE_MAX - RP_UNIT_BYTES,
                            SIZE_MAX / 2, RP_GIB(300),   RP_GIB(200)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        ck_assert_ptr_null(rp_alloc(heap, sizes[i]));
        ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
        ck_assert_ptr_null(rp_alloc_aligned(heap, RP_MIB(1), sizes[i]));
        ck_assert_ptr_null(rp_alloc_zeroed(heap, 1, sizes[i]));
        ck_assert_ptr_null(rp_resize(heap, block, sizes[i]));
    }
    ck_assert_ptr_null(rp_alloc_zeroed(heap, SIZE_MAX / 16 + 2, 16));
    ck_assert_uint_eq(stats_of(heap).live_count, 1);
    rp_region_destroy();
}

TEST(every_alignment_up_to_a_mebibyte_is_kept_and_can_be_freed)
{
    rp_allocator *heap = open_heap();
    for (size_t align = 1; align <= RP_MIB(1); align *= 2) {
        uint8_t *blocks[20];
        for (size_t i = 0; i < 20; i++) {
            size_t size_bytes = i * i * 300;
            blocks[i] = rp_alloc_aligned(heap, align, size_bytes);
            ck_assert_ptr_nonnull(blocks[i]);
            ck_assert_uint_eq((uintptr_t)blocks[i] % align, 0);
            ck_assert_uint_ge(rp_usable_bytes(blocks[i]), size_bytes);
            memset(blocks[i], (int)i, size_bytes);
        }
        for (size_t i = 0; i < 20; i++) {
            ck_assert(i == 0 || blocks[i][i * i * 300 - 1] == i);
            rp_free(blocks[i]);
        }
    }
    ck_assert_uint_eq(stats_of(heap).live_bytes, 0);
    rp_cache_scavenge(rp_cache_mine(heap_of(heap)));
    ck_assert_uint_eq(stats_of(heap).taken_bytes, 0);
    rp_region_destroy();
}

TEST(zeroed_blocks_are_zero_in_recycled_memory_too)
{
    rp_allocator *heap = open_heap();
    const size_t sizes[] = {1, 100, 5000, RP_KIB(50), RP_MIB(3)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        uint8_t *dirty = rp_alloc(heap, sizes[i]);
        memset(dirty, 0xff, sizes[i]);
        rp_free(dirty);
        uint8_t *block = rp_alloc_zeroed(heap, sizes[i], 1);
        ck_assert_ptr_eq(block, dirty);
        ck_assert(block[0] == 0 && memcmp(block, block + 1, sizes[i] - 1) == 0);
        rp_free(block);
    }
    rp_region_destroy();
}

TEST(a_large_block_grows_in_place_into_what_is_free_behind_it)
{
    rp_allocator *heap = open_heap();
    uint8_t *block = rp_alloc(heap, RP_KIB(100));
    memset(block, 7, RP_KIB(100));
    ck_assert_ptr_eq(rp_resize(heap, block, RP_MIB(10)), block);
    ck_assert_ptr_eq(rp_resize(heap, block, RP_KIB(40)), block);
    ck_assert_uint_eq(rp_usable_bytes(block), RP_KIB(64));
    void *behind = rp_alloc(heap, RP_KIB(100));
    ck_assert_ptr_eq(behind, block + RP_KIB(64));
    uint8_t *moved = rp_resize(heap, block, RP_KIB(200));
    ck_assert(moved != block && moved[0] == 7 && moved[RP_KIB(40) - 1] == 7);
    ck_assert_uint_eq(rp_usable_bytes(block), 0);
    uint8_t *small = rp_resize(heap, moved, 10);
    ck_assert(small != moved && small[9] == 7);
    ck_assert_uint_eq(stats_of(heap).live_count, 2);
    rp_region_destroy();
}

TEST(a_block_stays_in_its_heap_when_it_is_resized_through_another)
{
    rp_allocator *a = open_heap(), *b = make_heap(RP_ZONE_KEEP, 0);
    void *block = rp_alloc(a, 10);
    block = rp_resize(b, block, RP_MIB(1));
    ck_assert_uint_eq(stats_of(a).live_count, 1);
    ck_assert_uint_eq(stats_of(b).live_count, 0);
    ck_assert_int_eq(rp_region_contains(block), 1);
    ck_assert_ptr_nonnull(rp_resize(b, NULL, 5));
    ck_assert_uint_eq(stats_of(b).live_count, 1);
    rp_region_destroy();
}

/* ---- limits ---- */

TEST(a_cap_holds_exactly_and_spare_slabs_do_not_count_against_it)
{
    open_region(RP_GIB(1));
    rp_allocator *heap = make_heap(RP_ZONE_WORLD, 4 * RP_UNIT_BYTES);
    void *large = rp_alloc(heap, 4 * RP_UNIT_BYTES);
    ck_assert_ptr_nonnull(large);
    ck_assert_ptr_null(rp_alloc(heap, 1));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "heap test: full"));
    ck_assert_ptr_null(rp_resize(heap, large, 4 * RP_UNIT_BYTES + 1));
    rp_free(large);
    void *blocks[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = rp_alloc(heap, (size_t)16 << i);
    }
    ck_assert_ptr_null(rp_alloc(heap, 1000));
    for (int i = 0; i < 4; i++) {
        rp_free(blocks[i]);
    }
    ck_assert_uint_eq(stats_of(heap).taken_bytes, 4 * RP_UNIT_BYTES);
    ck_assert_ptr_nonnull(rp_alloc(heap, 4 * RP_UNIT_BYTES));
    ck_assert_uint_eq(stats_of(heap).taken_bytes, 4 * RP_UNIT_BYTES);
    rp_region_destroy();
}

TEST(a_block_that_shrinks_needs_no_room)
{
    open_region(RP_GIB(1));
    rp_allocator *heap = make_heap(RP_ZONE_WORLD, 2 * RP_UNIT_BYTES);
    uint8_t *large = rp_alloc(heap, 2 * RP_UNIT_BYTES);
    large[9] = 9;
    uint8_t *small = rp_resize(heap, large, 10);
    ck_assert(small && small[9] == 9);
    rp_region_destroy();
}

TEST(an_exhausted_region_refuses_and_serves_again)
{
    open_region(RP_REGION_LEAST_BYTES);
    rp_allocator *heap = make_heap(RP_ZONE_WORLD, 0);
    void **chain = NULL;
    size_t count = 0;
    for (void **block; (block = rp_alloc(heap, 3000)) != NULL; count++) {
        *block = chain;
        chain = block;
    }
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_uint_gt(count * 3000, RP_MIB(80));
    ck_assert_ptr_null(rp_alloc(rp_heap_create(&(rp_heap_desc){.name = "late"}), 1));
    ck_assert_ptr_null(rp_alloc(heap, RP_MIB(1)));
    while (chain) {
        void **next = *chain;
        rp_free(chain);
        chain = next;
        count--;
    }
    ck_assert_uint_eq(count, 0);
    ck_assert_ptr_nonnull(rp_alloc(heap, RP_MIB(80)));
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

TEST(heaps_come_and_go_and_their_number_is_limited_with_a_reason)
{
    open_region(RP_GIB(4));
    static rp_allocator *heaps[RP_ALLOCATOR_LIMIT + 1];
    size_t count = 0;
    while (count <= RP_ALLOCATOR_LIMIT &&
           (heaps[count] = rp_heap_create(&(rp_heap_desc){0})) != NULL) {
        count++;
    }
    ck_assert_uint_gt(count, RP_ALLOCATOR_LIMIT - 10);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "no more are possible"));
    rp_allocator_destroy(heaps[5]);
    ck_assert_ptr_eq(rp_heap_create(&(rp_heap_desc){0}), heaps[5]);
    ck_assert_uint_eq(heaps[5]->id, heaps[4]->id + 1);
    rp_allocator_destroy(NULL);
    rp_region_destroy();
    ck_assert_ptr_null(rp_heap_create(&(rp_heap_desc){0}));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
}

static int stop_at_third(void *block, size_t size_bytes, void *context)
{
    (void)block, (void)size_bytes;
    return ++*(int *)context == 3 ? 42 : 0;
}

TEST(a_walk_stops_where_the_visitor_says_so)
{
    rp_allocator *heap = open_heap();
    int visited = 0;
    for (int i = 0; i < 4; i++) {
        rp_alloc(heap, RP_KIB(100));
        rp_alloc(heap, (size_t)100 << i);
    }
    ck_assert_int_eq(rp_walk(heap, stop_at_third, &visited), 42);
    ck_assert_int_eq(visited, 3);
    rp_region_destroy();
}

/* ---- restores ---- */

static void continue_model(heap_model *model, uint64_t random, void **addresses, size_t count)
{
    heap_model copy = *model;
    copy.random = random;
    for (size_t i = 0; i < count; i++) {
        model_step(&copy);
        addresses[i] = copy.blocks[test_random(&copy.random) % MODEL_BLOCKS].start;
    }
}

TEST(a_heap_restored_by_its_bytes_goes_on_with_the_same_addresses)
{
    enum { STEPS = 4000 };
    static void *first[STEPS], *again[STEPS], *elsewhere[STEPS];
    heap_model model = {.heap = open_heap(), .random = test_seed()};
    for (int step = 0; step < STEPS; step++) {
        model_step(&model);
    }
    uint64_t random = model.random;
    snapshot before = snapshot_take();
    continue_model(&model, random, first, STEPS);
    snapshot_restore(&before);
    model_check(&model);
    continue_model(&model, random, again, STEPS);
    ck_assert_mem_eq(first, again, sizeof first);
    rp_region_destroy();
    open_region(RP_GIB(2));
    snapshot_restore(&before);
    model_check(&model);
    continue_model(&model, random, elsewhere, STEPS);
    ck_assert_mem_eq(first, elsewhere, sizeof first);
    snapshot_drop(&before);
    rp_region_destroy();
}

TEST(all_locks_read_zero_at_rest)
{
    rp_allocator *heap = open_heap();
    rp_free(rp_alloc(heap, 10));
    ck_assert_ptr_null(rp_alloc(heap, SIZE_MAX));
    ck_assert_uint_eq(heap->lock, 0);
    ck_assert_uint_eq(*(rp_os_lock *)rp_region_root(RP_ZONE_WORLD, RP_ROOT_HEAPS), 0);
    rp_region_destroy();
}

TEST(freeing_writes_the_first_two_words_of_the_block_alone)
{
    rp_allocator *heap = open_heap();
    uint8_t *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = rp_alloc(heap, RP_KIB(8));
        memset(blocks[i], 0x5a, RP_KIB(8));
    }
    for (int i = 0; i < 8; i++) {
        rp_free(blocks[i]);
        ck_assert(blocks[i][16] == 0x5a &&
                  memcmp(blocks[i] + 16, blocks[i] + 17, RP_KIB(8) - 17) == 0);
    }
    rp_region_destroy();
}

/* ---- the system refuses ---- */

static rp_status use_a_heap(void)
{
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "fault"});
    if (!heap) {
        return rp_error_last()->status;
    }
    void *small = rp_alloc(heap, 100);
    void *large = small ? rp_alloc(heap, RP_MIB(5)) : NULL;
    void *larger = large ? rp_resize(heap, large, RP_MIB(50)) : NULL;
    rp_status status = larger ? RP_OK : rp_error_last()->status;
    ck_assert_uint_eq(stats_of(heap).live_count, (small != NULL) + (large != NULL));
    rp_allocator_destroy(heap);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    return status;
}

static rp_status open_and_use(void *context)
{
    rp_status status = rp_region_create(context);
    if (status == RP_OK) {
        status = use_a_heap();
        rp_region_destroy();
    }
    return status;
}

/* A block that cannot grow in place is moved, so that one refusal need not be told. */
TEST(each_refusal_of_the_system_is_told_or_mended_and_leaves_the_heap_sound)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    size_t opening = 4; /* reserves once, commits three extents */
    ck_assert_uint_ge(fault_each_call_or_recover(open_and_use, &desc, EPERM), opening + 3);
}
