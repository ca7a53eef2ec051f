/* Opening the region: its place, its sizes, what is in the way, which limits forbid it. */
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"
#include "support/child.h"
#include "support/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define BASE ((uint8_t *)(uintptr_t)RP_REGION_BASE)

TEST(the_region_lies_at_its_address)
{
    ck_assert(!rp_region_is_open());
    ck_assert_int_eq(rp_region_contains(BASE), 0);
    ck_ok(rp_region_create(NULL));
    ck_assert_uint_eq(rp_region_extent.world_start, RP_REGION_BASE);
    ck_assert_uint_eq(rp_region_extent.end, RP_REGION_BASE + RP_REGION_RESERVE_BYTES);
    ck_assert_int_eq(rp_region_contains(BASE - 1), 0);
    ck_assert_int_eq(rp_region_contains(BASE), 1);
    ck_assert_int_eq(rp_region_contains(BASE + RP_GIB(192) - 1), 1);
    ck_assert_int_eq(rp_region_contains(BASE + RP_GIB(192)), 2);
    ck_assert_int_eq(rp_region_contains(BASE + RP_GIB(256) - 1), 2);
    ck_assert_int_eq(rp_region_contains(BASE + RP_GIB(256)), 0);
    ck_assert(rp_region_check(RP_ZONE_WORLD) && rp_region_check(RP_ZONE_KEEP));
    rp_region_destroy();
}

TEST(a_process_has_one_region_at_a_time)
{
    ck_ok(rp_region_create(NULL));
    ck_assert_int_eq(rp_region_create(NULL), RP_E_BUSY);
    rp_region_destroy();
    ck_assert(!rp_region_is_open());
    ck_ok(rp_region_create(NULL));
    rp_region_destroy();
}

TEST(sizes_that_cannot_work_are_refused)
{
    rp_region_desc small = {.reserve_bytes = RP_REGION_LEAST_BYTES - 1};
    rp_region_desc large = {.reserve_bytes = RP_REGION_RESERVE_BYTES + 1};
    rp_region_desc crossed = {.reserve_bytes = RP_GIB(1), .minimum_bytes = RP_GIB(2)};
    ck_assert_int_eq(rp_region_create(&small), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_region_create(&large), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_region_create(&crossed), RP_E_ARGUMENT);
    ck_assert(!rp_region_is_open());
}

TEST(every_smaller_reserve_has_its_tables_and_first_block_at_the_same_place)
{
    void *first[2] = {NULL, NULL};
    for (uint64_t size = RP_REGION_LEAST_BYTES; size <= RP_REGION_RESERVE_BYTES; size *= 4) {
        rp_region_desc desc = {.reserve_bytes = size};
        ck_ok(rp_region_create(&desc));
        void *block = rp_region_block_alloc(RP_ZONE_WORLD, 1, RP_BLOCK_PAGES, 0, 0);
        void *keep = rp_region_block_alloc(RP_ZONE_KEEP, 1, RP_BLOCK_PAGES, 0, 0);
        keep = (void *)((uintptr_t)keep - rp_region_extent.keep_start);
        ck_assert(!first[0] || (first[0] == block && first[1] == keep));
        first[0] = block;
        first[1] = keep;
        rp_region_destroy();
    }
}

TEST(roots_keep_what_was_put_there_and_a_claim_wins_once)
{
    int a, b;
    ck_ok(rp_region_create(NULL));
    ck_assert_ptr_null(rp_region_root(RP_ZONE_WORLD, RP_ROOT_DECK));
    ck_assert_ptr_eq(rp_region_root_claim(RP_ZONE_WORLD, RP_ROOT_DECK, &a), &a);
    ck_assert_ptr_eq(rp_region_root_claim(RP_ZONE_WORLD, RP_ROOT_DECK, &b), &a);
    ck_assert_ptr_null(rp_region_root(RP_ZONE_KEEP, RP_ROOT_DECK));
    rp_region_root_set(RP_ZONE_WORLD, RP_ROOT_DECK, &b);
    ck_assert_ptr_eq(rp_region_root(RP_ZONE_WORLD, RP_ROOT_DECK), &b);
    rp_region_destroy();
}

static rp_status open_and_close(void *context)
{
    rp_status status = rp_region_create(context);
    ck_assert_int_eq(rp_region_is_open(), status == RP_OK);
    rp_region_destroy();
    return status;
}

TEST(each_refusal_of_the_system_leaves_nothing_behind)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    fault_each_call(open_and_close, &desc, EPERM);
    ck_ok(open_and_close(&desc));
}

/* ---- limits and blockers; sanitizers own too much of the address space for these ---- */

#ifndef RP_SANITIZED

static uint64_t address_space_used(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return pages * RP_PAGE_BYTES;
}

static void limit_address_space(uint64_t free_bytes)
{
    rlim_t limit = address_space_used() + free_bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}), 0);
}

TEST(a_limit_makes_the_reserve_smaller)
{
    limit_address_space(RP_GIB(20));
    ck_ok(rp_region_create(NULL));
    ck_assert_uint_eq(rp_region_extent.end - RP_REGION_BASE, RP_GIB(16));
    ck_assert_uint_eq(rp_region_extent.keep_start - RP_REGION_BASE, RP_GIB(12));
    rp_region_destroy();
}

TEST(the_last_try_is_the_minimum)
{
    limit_address_space(RP_GIB(7));
    rp_region_desc desc = {.minimum_bytes = RP_GIB(6)};
    ck_ok(rp_region_create(&desc));
    ck_assert_uint_eq(rp_region_extent.end - RP_REGION_BASE, RP_GIB(6));
    rp_region_destroy();
}

TEST(below_the_minimum_the_limit_is_named)
{
    limit_address_space(RP_GIB(3));
    rp_region_desc desc = {.minimum_bytes = RP_GIB(6)};
    ck_assert_int_eq(rp_region_create(&desc), RP_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "RLIMIT_AS"));
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "6.0 GiB"));
    ck_assert(!rp_region_is_open());
}

static void *block_the_way(void)
{
    void *there = mmap(BASE + RP_GIB(100), RP_MIB(1), PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_eq(there, BASE + RP_GIB(100));
    return there;
}

TEST(a_mapping_in_the_way_is_named_and_left_alone)
{
    void *there = block_the_way();
    ck_assert_int_eq(rp_region_create(NULL), RP_E_TAKEN);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "551900000000"));
    ck_assert(rp_os_vm_readable(there, RP_PAGE_BYTES));
    munmap(there, RP_MIB(1));
    ck_ok(rp_region_create(NULL));
    rp_region_destroy();
}

static void fill_address_space(void)
{
    for (size_t chunk = RP_GIB(16384); chunk >= RP_GIB(256); chunk /= 2) {
        while (mmap(NULL, chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
               MAP_FAILED) {
        }
    }
}

TEST(a_full_address_space_is_told_from_a_limit)
{
    fill_address_space();
    ck_assert_int_eq(rp_region_create(NULL), RP_E_TAKEN);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "in the way"));
}

static int open_with_argv(void *context)
{
    (void)context;
    char *argv[] = {"region_open", "the_second_start_opens_the_region", NULL};
    setenv("RP_TEST_SECOND_START", "1", 1);
    unsetenv("REPRISE_REEXEC");
    block_the_way();
    rp_region_desc desc = {.argv = argv};
    rp_region_create(&desc);
    return 99; /* it came back */
}

/* Alone it checks nothing: it is the program that the next test becomes. */
TEST(the_second_start_opens_the_region)
{
    if (getenv("RP_TEST_SECOND_START")) {
        ck_assert(rp_os_randomisation_off());
        ck_ok(rp_region_create(NULL));
        rp_region_destroy();
    }
}

TEST(a_taken_address_is_tried_once_more_without_randomisation)
{
    if (rp_os_randomisation_off()) {
        return;
    }
    child_end end = child_run(open_with_argv, NULL);
    ck_assert_msg(end.exit_code == 0, "exit %d signal %d: %s", end.exit_code, end.signal,
                  end.error_text);
}

#endif
