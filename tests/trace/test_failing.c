/* Failing on purpose: the nth allocation, a site's, and a sweep over all. */
#include "trace/debug_fixture.h"

TEST(the_nth_allocation_fails_and_no_other)
{
    debug_open(NULL);
    rp_allocator *a = rp_failing_create(&(rp_heap_desc){.name = "shaky"}, 5);
    for (int i = 1; i <= 10; i++) {
        void *block = rp_alloc_at(a, 10, "here.c:1");
        ck_assert_int_eq(block == NULL, i == 5);
        if (!block) {
            ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
            ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "shaky"));
            ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "here.c:1"));
        }
    }
    ck_assert_uint_eq(debug_stats().failed_count, 1);
    rp_region_destroy();
}

TEST(every_kind_of_request_can_fail)
{
    debug_open(NULL);
    rp_allocator *a = rp_failing_create(&(rp_heap_desc){.name = "shaky"}, 0);
    void *block = rp_alloc(a, 10);
    ck_assert_ptr_nonnull(block);
    ck_ok(rp_failing_set(a, 1));
    ck_assert_ptr_null(rp_alloc_zeroed(a, 3, 3));
    ck_ok(rp_failing_set(a, 1));
    ck_assert_ptr_null(rp_alloc_aligned(a, 64, 3));
    ck_ok(rp_failing_set(a, 1));
    ck_assert_ptr_null(rp_new(a, int, 3));
    ck_ok(rp_failing_set(a, 1));
    ck_assert_ptr_null(rp_resize(a, block, RP_MIB(1)));
    ck_assert_ptr_nonnull(rp_resize(a, block, 1));
    rp_region_destroy();
}

TEST(the_allocations_of_a_site_fail)
{
    debug_open("*=failing=site:list.c:12");
    rp_allocator *a = heap("any");
    ck_assert_ptr_null(rp_alloc_at(a, 10, "src/list.c:12 Node"));
    ck_assert_ptr_null(rp_alloc_at(a, 10, "list.c:12"));
    ck_assert_ptr_nonnull(rp_alloc_at(a, 10, "list.c:123"));
    ck_assert_ptr_nonnull(rp_alloc_at(a, 10, "checklist.c:12"));
    ck_assert_ptr_nonnull(rp_alloc_at(a, 10, "list.c:1"));
    ck_assert_ptr_nonnull(rp_alloc_at(a, 10, NULL));
    ck_assert_ptr_null(rp_alloc_at(a, 10, "list.c:12"));
    rp_region_destroy();
}

/* Builds a list of `wanted` nodes; undoes all of it where a node cannot be had. */
static int build(rp_allocator *a, int wanted)
{
    void **first = NULL;
    int made = 0;
    for (void **node; made < wanted && (node = rp_alloc(a, 24)) != NULL; made++) {
        *node = first;
        first = node;
    }
    while (first) {
        void **next = *first;
        rp_free(first);
        first = next;
    }
    return made;
}

TEST(a_sweep_reaches_each_allocation_once_and_ends)
{
    debug_open(NULL);
    rp_allocator *a = rp_failing_create(&(rp_heap_desc){.name = "swept"}, 0);
    uint64_t n = 1;
    for (;; n++) {
        ck_ok(rp_failing_set(a, n));
        int made = build(a, 20);
        if (rp_failing_count(a) < n) {
            ck_assert_int_eq(made, 20);
            break;
        }
        ck_assert_int_eq(made, (int)n - 1);
    }
    ck_assert_uint_eq(n, 21);
    rp_region_destroy();
}

TEST(the_count_of_a_failing_allocator_begins_where_it_is_chosen)
{
    debug_open(NULL);
    rp_allocator *a = heap("physics");
    for (int i = 0; i < 10; i++) {
        ck_assert_ptr_nonnull(rp_alloc(a, 8));
    }
    ck_ok(rp_debug_parse("physics=failing=2"));
    ck_assert_ptr_nonnull(rp_alloc(a, 8));
    ck_assert_ptr_null(rp_alloc(a, 8));
    ck_assert_ptr_nonnull(rp_alloc(a, 8));
    rp_region_destroy();
}
