/* What a caller does wrong with a block is named on standard error and ends by abort(). */
#include "base/bits.h"
#include "region/region.h"
#include "support/child.h"

#include <reprise/memory.h>
#include <stdlib.h>

static rp_allocator *open_heap(void)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    ck_ok(rp_region_create(&desc));
    return rp_heap_create(&(rp_heap_desc){.name = "physics"});
}

static int free_it(void *block)
{
    rp_free(block);
    return 0;
}

static int resize_it(void *block)
{
    return rp_resize(NULL, block, 10) ? 0 : 1;
}

static void dies(int (*body)(void *), void *block, const char *text)
{
    child_end end = child_run(body, block);
    ck_assert_msg(end.signal == SIGABRT, "signal %d, exit %d", end.signal, end.exit_code);
    ck_assert_msg(strstr(end.error_text, text), "'%s' is not in: %s", text, end.error_text);
    ck_assert_ptr_nonnull(strstr(end.error_text, "reprise: heap"));
    ck_assert_uint_eq(rp_usable_bytes(block), 0);
}

TEST(a_double_free_is_named_for_every_size)
{
    rp_allocator *heap = open_heap();
    const size_t sizes[] = {0, 16, 1000, 3000, 32768, RP_KIB(40), RP_MIB(5)};
    void *first[RP_COUNT_OF(sizes)];
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        first[i] = rp_alloc(heap, sizes[i]);
        void *second = rp_alloc(heap, sizes[i]); /* keeps a slab from becoming empty */
        rp_free(first[i]);
        dies(free_it, first[i], "double free of 0x");
        dies(resize_it, first[i], "double resize of 0x");
        rp_free(second);
        dies(free_it, second, "double free of 0x"); /* in a spare slab, or nowhere */
    }
    rp_region_destroy();
}

TEST(a_double_free_names_the_heap)
{
    rp_allocator *heap = open_heap();
    void *block = rp_alloc(heap, 100);
    rp_free(block);
    dies(free_it, block, "heap physics: double free");
    rp_region_destroy();
}

TEST(a_free_inside_a_block_is_named_for_every_size)
{
    rp_allocator *heap = open_heap();
    const size_t sizes[] = {16, 1000, 3000, 32768, RP_KIB(40), RP_MIB(5)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        uint8_t *block = rp_alloc(heap, sizes[i]);
        size_t usable = rp_usable_bytes(block);
        dies(free_it, block + 1, "free inside a block");
        dies(free_it, block + 8, "free inside a block");
        dies(free_it, block + usable - 1, "free inside a block");
        dies(resize_it, block + 8, "resize inside a block");
    }
    uint8_t *aligned = rp_alloc_aligned(heap, RP_MIB(1), RP_MIB(1));
    dies(free_it, aligned + RP_UNIT_BYTES, "free inside a block");
    rp_region_destroy();
}

TEST(a_free_of_foreign_memory_is_named)
{
    rp_allocator *heap = open_heap();
    void *foreign = malloc(10);
    int on_stack;
    dies(free_it, foreign, "free of foreign memory 0x");
    dies(free_it, &on_stack, "free of foreign memory 0x");
    dies(free_it, (void *)(uintptr_t)(RP_REGION_BASE + 64), "free of foreign memory 0x");
    dies(free_it, (void *)(uintptr_t)(rp_region_extent.end - 64), "free of foreign memory 0x");
    dies(free_it, heap, "no heap's block");
    dies(free_it, rp_region_block_alloc(RP_ZONE_WORLD, 1, RP_BLOCK_PAGES, 0, 0), "no heap's block");
    free(foreign);
    rp_region_destroy();
}

TEST(the_blocks_of_a_destroyed_heap_are_dead)
{
    rp_allocator *heap = open_heap();
    void *small = rp_alloc(heap, 100), *large = rp_alloc(heap, RP_MIB(1));
    rp_allocator_destroy(heap);
    dies(free_it, small, "double free of 0x");
    dies(free_it, large, "double free of 0x");
    rp_region_destroy();
}

TEST(null_may_be_freed)
{
    rp_free(NULL);
    ck_assert_uint_eq(rp_usable_bytes(NULL), 0);
}

static int use_dead_heap(void *heap)
{
    rp_alloc(heap, 1);
    return 0;
}

TEST(a_destroyed_heap_and_null_are_no_heaps)
{
    rp_allocator *heap = open_heap();
    rp_allocator_destroy(heap);
    ck_assert_int_eq(child_run(use_dead_heap, heap).signal, SIGABRT);
    ck_assert_int_eq(child_run(use_dead_heap, NULL).signal, SIGABRT);
    rp_region_destroy();
}
