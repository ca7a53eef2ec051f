/* Leaks: what points to a block, and what the report says of it. */
#include "support/child.h"
#include "support/snapshot.h"
#include "trace/reports.h"

#include <stdlib.h>
#include <sys/mman.h>

typedef struct node {
    struct node *next;
    char text[40];
} node;

static rp_allocator *heap;
static node *root_one;       /* a root when it is named */
static void *roots_many[10]; /* another */

static void open_heap(void)
{
    open_traced();
    heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    ck_ok(rp_debug_set("test", RP_DEBUG_TRACE | RP_DEBUG_STACKS));
    ck_ok(rp_leak_root(&root_one, sizeof root_one));
    ck_ok(rp_leak_root(roots_many, sizeof roots_many));
}

/* So that no pointer of the test's own stays on its stack. */
static __attribute__((noinline)) void with_clean_stack(void (*body)(void))
{
    body();
    volatile char room[4096];
    for (size_t i = 0; i < sizeof room; i++) {
        room[i] = 0;
    }
}

typedef struct sums {
    uint64_t unreachable, indirect, reachable;
} sums;

static sums leaks_now(size_t *returned)
{
    report_clear();
    *returned = rp_report_leaks(RP_REPORT_JSON, report_keep, &kept_report);
    json_t *read = report_json();
    sums found = {number_in(json_object_get(read, "unreachable"), "count"),
                  number_in(json_object_get(read, "indirect"), "count"),
                  number_in(json_object_get(read, "reachable"), "count")};
    json_decref(read);
    return found;
}

static void check_leaks(uint64_t unreachable, uint64_t indirect, uint64_t reachable)
{
    size_t returned;
    sums found = leaks_now(&returned);
    ck_assert_uint_eq(found.unreachable, unreachable);
    ck_assert_uint_eq(found.indirect, indirect);
    ck_assert_uint_eq(found.reachable, reachable);
    ck_assert_uint_eq(returned, unreachable + indirect);
}

static void make_list(void)
{
    for (int i = 0; i < 5; i++) {
        node *made = rp_new(heap, node, 1);
        made->next = root_one;
        root_one = made;
    }
}

TEST(a_list_is_reachable_from_its_head_and_unreachable_without)
{
    open_heap();
    with_clean_stack(make_list);
    check_leaks(0, 0, 5);
    root_one = NULL;
    check_leaks(1, 4, 0);
}

static void make_inside(void)
{
    char *made = rp_alloc(heap, 100);
    roots_many[3] = made + 99;
    roots_many[4] = (char *)rp_alloc(heap, 100) + 100;
}

TEST(a_pointer_inside_a_block_holds_it_and_one_behind_it_does_not)
{
    open_heap();
    with_clean_stack(make_inside);
    check_leaks(1, 0, 1);
}

static void make_cycle(void)
{
    node *one = rp_new(heap, node, 1), *other = rp_new(heap, node, 1);
    one->next = other;
    other->next = one;
    node *self = rp_new(heap, node, 1);
    self->next = self;
}

TEST(a_cycle_that_nobody_holds_is_found)
{
    open_heap();
    with_clean_stack(make_cycle);
    check_leaks(2, 1, 0); /* one of the cycle counts as its head */
}

static void make_in_other_heaps(void)
{
    rp_allocator *untracked = rp_heap_create(&(rp_heap_desc){.name = "plain"});
    rp_allocator *keep = rp_heap_create(&(rp_heap_desc){.name = "k", .zone = RP_ZONE_KEEP});
    node *between = rp_new(untracked, node, 1), *far = rp_new(keep, node, 1);
    root_one = between;
    between->next = far;
    far->next = rp_new(heap, node, 1);
}

TEST(pointers_are_followed_through_blocks_that_are_not_tracked)
{
    open_heap();
    with_clean_stack(make_in_other_heaps);
    check_leaks(0, 0, 1);
    root_one->next = NULL;
    check_leaks(0, 1, 0); /* an unreachable block that nobody tracks holds it */
}

TEST(a_local_variable_of_the_caller_is_a_root)
{
    open_heap();
    node *volatile local = rp_new(heap, node, 1);
    check_leaks(0, 0, 1);
    ck_assert_ptr_nonnull(local);
}

TEST(roots_that_were_unmapped_or_end_beyond_memory_are_left_out)
{
    open_heap();
    void **page =
        mmap(NULL, RP_PAGE_BYTES * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[1] = rp_alloc(heap, 10);
    ck_ok(rp_leak_root(page, RP_PAGE_BYTES * 2));
    ck_ok(rp_leak_root((void *)(UINTPTR_MAX - 100), 1000));
    ck_ok(rp_leak_root(NULL, 100));
    size_t returned;
    ck_assert_uint_eq(leaks_now(&returned).reachable, 1);
    munmap(page, RP_PAGE_BYTES);
    ck_assert_uint_le(leaks_now(&returned).reachable, 1);
}

TEST(there_is_a_most_of_roots_and_they_can_be_cleared)
{
    open_heap();
    rp_status status = RP_OK;
    int added = 0;
    while (status == RP_OK) {
        status = rp_leak_root(&root_one, sizeof root_one);
        added += status == RP_OK;
    }
    ck_assert_int_eq(status, RP_E_MEMORY);
    ck_assert_int_eq(added, 4094);
    rp_leak_roots_clear();
    ck_ok(rp_leak_root(&root_one, sizeof root_one));
}

static void make_of_two_sites(void)
{
    RP_SCOPE("load")
    {
        for (int i = 0; i < 3; i++) {
            (void)rp_new(heap, node, 1);
        }
        (void)rp_alloc(heap, 1000);
    }
}

TEST(leaks_are_grouped_by_site_the_largest_first_with_their_stacks)
{
    open_heap();
    with_clean_stack(make_of_two_sites);
    size_t returned = rp_report_leaks(RP_REPORT_JSON, report_keep, &kept_report);
    ck_assert_uint_eq(returned, 4);
    json_t *read = report_json(), *groups = json_object_get(read, "groups");
    ck_assert_uint_eq(json_array_size(groups), 2);
    json_t *first = json_array_get(groups, 0), *second = json_array_get(groups, 1);
    ck_assert_uint_eq(number_in(first, "bytes"), 1000);
    ck_assert_uint_eq(number_in(second, "count"), 3);
    ck_assert_uint_eq(number_in(second, "bytes"), 3 * sizeof(node));
    ck_assert_str_eq(json_string_value(json_object_get(second, "scope")), "/load");
    const char *site = json_string_value(json_object_get(second, "site"));
    ck_assert_ptr_nonnull(strstr(site, "test_leaks.c:"));
    ck_assert_ptr_nonnull(strstr(site, " node"));
    ck_assert_uint_ge(json_array_size(json_object_get(second, "stack")), 1);
    json_decref(read);
}

TEST(what_was_freed_is_no_leak)
{
    open_heap();
    ck_ok(rp_debug_set("test", RP_DEBUG_TRACE | RP_DEBUG_QUARANTINE));
    for (int i = 0; i < 20; i++) {
        rp_free(rp_alloc(heap, 64));
    }
    check_leaks(0, 0, 0);
}

static void symbols_of_test(const uintptr_t *addresses, size_t count, rp_symbol_line *line,
                            void *context)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_ne(addresses[i], 0);
        ck_assert(i == 0 || addresses[i] > addresses[i - 1]);
        line(context, i, "made_up (nowhere.c:77)");
    }
    line(context, count + 5, "out of range");
}

TEST(stacks_are_printed_through_the_symboliser_each_address_once)
{
    open_heap();
    rp_symboliser_set(symbols_of_test);
    with_clean_stack(make_of_two_sites);
    rp_report_leaks(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("made_up (nowhere.c:77)"));
    ck_assert(report_has("nothing points to them"));
    ck_assert(!report_has("out of range"));
    rp_symboliser_set(NULL);
}

TEST(a_report_leaves_the_keep_zone_as_it_was)
{
    open_heap();
    with_clean_stack(make_of_two_sites);
    rp_region_stats before, after;
    rp_report_leaks(RP_REPORT_TEXT, report_keep, &kept_report);
    rp_region_stats_get(RP_ZONE_KEEP, &before);
    snapshot world = snapshot_take();
    report_clear();
    rp_report_leaks(RP_REPORT_TEXT, report_keep, &kept_report);
    rp_region_stats_get(RP_ZONE_KEEP, &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    ck_assert(snapshot_equals(&world));
    snapshot_drop(&world);
}

TEST(without_a_region_there_are_no_leaks)
{
    size_t returned;
    sums found = leaks_now(&returned);
    ck_assert_uint_eq(found.unreachable + found.indirect + found.reachable + returned, 0);
}
