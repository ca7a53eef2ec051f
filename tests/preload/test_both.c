/* A program that uses malloc and asks for allocators of its own as well: linked with the library.
 */
#include "preload/under.h"
#include "support/test.h"

#include <reprise/debug.h>
#include <reprise/memory.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <string.h>

TEST(malloc_and_the_generic_allocator_are_the_same)
{
    char *block = calloc(1, 100);
    ck_assert_ptr_eq(rp_allocator_of(block), rp_generic(RP_ZONE_WORLD));
    ck_assert_str_eq(rp_allocator_name(rp_allocator_of(block)), "program");
    rp_free(block);
    free(rp_alloc(rp_generic(RP_ZONE_WORLD), 100));
}

TEST(a_heap_of_its_own_is_freed_by_free_and_resized_by_realloc)
{
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "own"});
    char *text = strcpy(rp_alloc(heap, 100), "stays");
    text = realloc(text, 5000);
    ck_assert_ptr_eq(rp_allocator_of(text), heap);
    ck_assert_str_eq(text, "stays");
    free(text);
    rp_alloc_stats stats;
    rp_stats_get(heap, &stats);
    ck_assert_uint_eq(stats.live_count, 0);
    rp_allocator_destroy(heap);
}

TEST(malloc_in_a_scope_is_counted_there)
{
    rp_scope_stats stats;
    void *block = NULL;
    RP_SCOPE("load")
    {
        block = opaque(malloc(777));
    }
    ck_assert(rp_scope_stats_get(RP_ZONE_WORLD, "/load", &stats) == RP_OK);
    ck_assert_uint_eq(stats.live_count, 1);
    ck_assert_uint_eq(stats.live_bytes, 777);
    free(block);
    ck_assert(rp_scope_stats_get(RP_ZONE_WORLD, "/load", &stats) == RP_OK);
    ck_assert_uint_eq(stats.live_count, 0);
}

TEST(debug_modes_are_switched_while_it_runs)
{
    char *before = opaque(malloc(100));
    ck_assert(rp_debug_set("program", RP_DEBUG_FILL | RP_DEBUG_CANARY) == RP_OK);
    char *block = malloc(100);
    uintptr_t place = (uintptr_t)block;
    free(opaque(block));
    ck_assert_int_eq(((volatile char *)opaque((void *)place))[50], RP_DEBUG_FREED_BYTE);
    ck_assert(rp_debug_set("program", 0) == RP_OK);
    free(before);
    free(opaque(malloc(100)));
}
