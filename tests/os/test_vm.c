/* Reserving at an exact address, committing, protecting, guarding, and telling who uses what. */
#include "base/bits.h"
#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static uint8_t *const base = (uint8_t *)0x550000000000;
#define PAGE RP_PAGE_BYTES

static void check_zero(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        ck_assert_msg(bytes[i] == 0, "byte %zu is %d", i, bytes[i]);
    }
}

static bool writable(void *page)
{
    int zero = open("/dev/zero", O_RDONLY);
    bool is = read(zero, page, 1) == 1;
    close(zero);
    return is;
}

TEST(a_reservation_lies_exactly_where_it_was_asked_for)
{
    ck_ok(rp_os_vm_reserve_at(base, RP_GIB(256)));
    ck_assert(!rp_os_vm_readable(base, 1));
    ck_ok(rp_os_vm_commit(base + RP_GIB(255), PAGE));
    base[RP_GIB(255)] = 7;
    ck_assert(!rp_os_vm_readable(base + RP_GIB(255) + PAGE, 1));
    rp_os_vm_release(base, RP_GIB(256));
    char text[200];
    ck_assert_uint_eq(rp_os_vm_describe(base, RP_GIB(256), text, sizeof text), 0);
    ck_ok(rp_os_vm_reserve_at(base, RP_GIB(256)));
}

static void check_taken(uint8_t *address, size_t size_bytes)
{
    ck_assert_int_eq(rp_os_vm_reserve_at(address, size_bytes), RP_E_TAKEN);
    ck_assert_msg(strstr(rp_error_last()->text, "anonymous memory"), "%s", rp_error_last()->text);
}

TEST(a_taken_range_is_refused_and_left_as_it_was)
{
    ck_ok(rp_os_vm_reserve_at(base + 8 * PAGE, PAGE));
    ck_ok(rp_os_vm_commit(base + 8 * PAGE, PAGE));
    base[8 * PAGE] = 42;
    check_taken(base + 8 * PAGE, PAGE);
    check_taken(base, 9 * PAGE);
    check_taken(base, 64 * PAGE);
    ck_assert_int_eq(base[8 * PAGE], 42);
    ck_ok(rp_os_vm_reserve_at(base, 8 * PAGE));
    ck_ok(rp_os_vm_reserve_at(base + 9 * PAGE, PAGE));
}

TEST(a_limit_of_address_space_is_named)
{
    struct rlimit before, low;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    low = before;
    low.rlim_cur = RP_MIB(64);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &low), 0);
    rp_status at = rp_os_vm_reserve_at(base, RP_GIB(256));
    bool named = strstr(rp_error_last()->text, "RLIMIT_AS") != NULL;
    void *anywhere = rp_os_vm_reserve(RP_GIB(256));
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert_int_eq(at, RP_E_LIMIT);
    ck_assert(named);
    ck_assert_ptr_null(anywhere);
    ck_assert_int_eq(rp_error_last()->status, RP_E_LIMIT);
}

TEST(more_than_the_address_space_is_refused_by_limit)
{
    ck_assert_ptr_null(rp_os_vm_reserve((size_t)1 << 60));
    ck_assert_int_eq(rp_error_last()->status, RP_E_LIMIT);
}

TEST(nothing_and_crooked_addresses_are_refused)
{
    ck_assert_int_eq(rp_os_vm_reserve_at(base, 0), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_os_vm_reserve_at(base + 1, PAGE), RP_E_ARGUMENT);
}

TEST(fresh_pages_and_discarded_ones_read_as_zero)
{
    uint8_t *pages = rp_os_vm_reserve(16 * PAGE);
    ck_assert_ptr_nonnull(pages);
    ck_ok(rp_os_vm_commit(pages, 16 * PAGE));
    check_zero(pages, 16 * PAGE);
    memset(pages, 0xab, 16 * PAGE);
    ck_ok(rp_os_vm_discard(pages + PAGE, 14 * PAGE));
    check_zero(pages + PAGE, 14 * PAGE);
    ck_assert_int_eq(pages[PAGE - 1], 0xab);
    ck_assert_int_eq(pages[15 * PAGE], 0xab);
}

TEST(committing_again_keeps_the_content)
{
    uint8_t *pages = rp_os_vm_reserve(4 * PAGE);
    ck_ok(rp_os_vm_commit(pages, 2 * PAGE));
    memset(pages, 1, 2 * PAGE);
    ck_ok(rp_os_vm_commit(pages, 4 * PAGE));
    ck_assert_int_eq(pages[2 * PAGE - 1], 1);
}

TEST(committing_what_was_never_reserved_fails)
{
    ck_assert_int_eq(rp_os_vm_commit(base, PAGE), RP_E_MEMORY);
    ck_assert_int_eq(rp_error_last()->system_code, ENOMEM);
}

TEST(protections_are_what_they_say)
{
    uint8_t *page = rp_os_vm_reserve(PAGE);
    ck_ok(rp_os_vm_commit(page, PAGE));
    *page = 5;
    ck_ok(rp_os_vm_protect(page, PAGE, RP_OS_READ));
    ck_assert(rp_os_vm_readable(page, PAGE) && !writable(page));
    ck_ok(rp_os_vm_protect(page, PAGE, RP_OS_NONE));
    ck_assert(!rp_os_vm_readable(page, PAGE) && !writable(page));
    ck_ok(rp_os_vm_protect(page, PAGE, RP_OS_READ_WRITE));
    ck_assert_int_eq(*page, 5);
    ck_assert(writable(page));
}

static void check_guard(void)
{
    uint8_t *pages = rp_os_vm_reserve(3 * PAGE);
    ck_ok(rp_os_vm_commit(pages, 3 * PAGE));
    memset(pages, 9, 3 * PAGE);
    ck_ok(rp_os_vm_guard(pages + PAGE, PAGE));
    ck_assert(!rp_os_vm_readable(pages + PAGE, 1) && !writable(pages + PAGE));
    ck_assert(rp_os_vm_readable(pages, PAGE) && writable(pages + 2 * PAGE));
    ck_ok(rp_os_vm_guard(pages + PAGE, PAGE));
    ck_assert(!rp_os_vm_readable(pages, 3 * PAGE));
    ck_ok(rp_os_vm_unguard(pages + PAGE, PAGE));
    check_zero(pages + PAGE, PAGE);
    ck_assert(writable(pages + PAGE));
    ck_assert_int_eq(pages[0], 9);
}

TEST(a_guard_stops_reads_and_writes_and_leaves_its_neighbours)
{
    check_guard();
}

TEST(guards_work_by_page_protection_where_the_kernel_has_no_light_ones)
{
#ifdef RP_FAULTS
    rp_os_fault_hide_light_guards();
    ck_assert(!rp_os_vm_has_light_guards());
#endif
    check_guard();
}

TEST(thousands_of_light_guards_need_no_mapping_of_their_own)
{
    if (!rp_os_vm_has_light_guards()) {
        printf("skipped: this kernel has no MADV_GUARD_INSTALL (Linux 6.13)\n");
        return;
    }
    const size_t count = 4000;
    uint8_t *pages = rp_os_vm_reserve(count * 2 * PAGE);
    ck_ok(rp_os_vm_commit(pages, count * 2 * PAGE));
    for (size_t i = 0; i < count; i++) {
        ck_ok(rp_os_vm_guard(pages + i * 2 * PAGE, PAGE));
    }
    char text[400];
    ck_assert_uint_eq(rp_os_vm_describe(pages, count * 2 * PAGE, text, sizeof text), 1);
    ck_assert(!rp_os_vm_readable(pages + 2 * (count - 1) * PAGE, 1));
}

TEST(a_discard_leaves_a_light_guard_in_place)
{
    uint8_t *pages = rp_os_vm_reserve(3 * PAGE);
    ck_ok(rp_os_vm_commit(pages, 3 * PAGE));
    ck_ok(rp_os_vm_guard(pages + PAGE, PAGE));
    ck_ok(rp_os_vm_discard(pages, 3 * PAGE));
    ck_assert(!rp_os_vm_readable(pages + PAGE, 1));
}

TEST_WITH(a_store_into_a_guard_ends_the_process, SIGSEGV)
{
    uint8_t *pages = rp_os_vm_reserve(PAGE);
    ck_ok(rp_os_vm_commit(pages, PAGE));
    ck_ok(rp_os_vm_guard(pages, PAGE));
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would make a report and exit of it */
    *(volatile uint8_t *)pages = 1;
}

TEST(readable_looks_at_every_page_and_at_the_ends_of_the_address_space)
{
    uint8_t *pages = rp_os_vm_reserve(4 * PAGE);
    ck_ok(rp_os_vm_commit(pages, 4 * PAGE));
    ck_assert(rp_os_vm_readable(pages + 1, 4 * PAGE - 1));
    ck_ok(rp_os_vm_protect(pages + 2 * PAGE, PAGE, RP_OS_NONE));
    ck_assert(rp_os_vm_readable(pages, 2 * PAGE));
    ck_assert(!rp_os_vm_readable(pages, 2 * PAGE + 1));
    ck_assert(!rp_os_vm_readable(pages + 2 * PAGE - 1, 2));
    ck_assert(rp_os_vm_readable(pages + 3 * PAGE, PAGE));
    ck_assert(!rp_os_vm_readable(NULL, 1));
    ck_assert(rp_os_vm_readable(NULL, 0));
    ck_assert(!rp_os_vm_readable((void *)(UINTPTR_MAX - 10), 5));
    ck_assert(!rp_os_vm_readable((void *)(UINTPTR_MAX - 10), 50));
    ck_assert(!rp_os_vm_readable((void *)0x8000000000000000, 8));
}

TEST(readable_changes_neither_errno_nor_the_signal_mask)
{
    uint8_t *page = rp_os_vm_reserve(PAGE);
    ck_ok(rp_os_vm_commit(page, PAGE));
    memset(page, 0xff, PAGE);
    sigset_t before, after;
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &before), 0);
    errno = 123;
    ck_assert(rp_os_vm_readable(page, PAGE) && !rp_os_vm_readable(NULL, 1));
    ck_assert_int_eq(errno, 123);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &after), 0);
    ck_assert_int_eq(memcmp(&before, &after, 8), 0);
}

TEST(a_description_names_ranges_rights_files_and_owners)
{
    char text[4096];
    uint8_t *apart = base + RP_GIB(1); /* what touches a neighbour is one mapping with it */
    ck_ok(rp_os_vm_reserve_at(apart, 4 * PAGE));
    ck_ok(rp_os_vm_commit(apart + PAGE, PAGE));
    ck_assert_uint_eq(rp_os_vm_describe(apart, 4 * PAGE, text, sizeof text), 3);
    ck_assert_str_eq(text, "550040000000-550040001000 ---p (anonymous memory)\n"
                           "550040001000-550040002000 rw-p (anonymous memory)\n"
                           "550040002000-550040004000 ---p (anonymous memory)\n");
    ck_assert_uint_eq(rp_os_vm_describe(apart + PAGE, 1, text, sizeof text), 1);
    int here;
    ck_assert_uint_eq(rp_os_vm_describe(&here, 1, text, sizeof text), 1);
    ck_assert_msg(strstr(text, "[stack] (the main thread's stack)"), "%s", text);
    ck_assert_uint_eq(rp_os_vm_describe("literal", 1, text, sizeof text), 1);
    ck_assert_msg(strstr(text, "os_vm (a mapped program, library or file)"), "%s", text);
}

TEST(a_description_is_cut_at_its_capacity_and_still_counts_all)
{
    char whole[4000], cut[40];
    void *everything = (void *)PAGE;
    size_t all = rp_os_vm_describe(everything, SIZE_MAX, whole, sizeof whole);
    memset(cut, 'x', sizeof cut);
    ck_assert_uint_eq(rp_os_vm_describe(everything, SIZE_MAX, cut, 20), all);
    ck_assert_uint_gt(all, 10);
    ck_assert_uint_eq(strlen(cut), 19);
    ck_assert_int_eq(cut[20], 'x');
    ck_assert_int_eq(strncmp(whole, cut, 19), 0);
    ck_assert_uint_eq(rp_os_vm_describe(everything, SIZE_MAX, NULL, 0), all);
}

/* Whether the mapping that begins at `start` has a flag, such as "hg", in /proc/self/smaps. */
static bool mapping_has_flag(const uint8_t *start, const char *flag)
{
    char line[512], begin[32];
    bool ours = false, has = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    snprintf(begin, sizeof begin, "%llx-", (unsigned long long)(uintptr_t)start);
    while (fgets(line, sizeof line, maps)) {
        if (strncmp(line, begin, strlen(begin)) == 0) {
            ours = true;
        } else if (ours && strncmp(line, "VmFlags:", 8) == 0) {
            has = strstr(line + 8, flag) != NULL;
            break;
        }
    }
    fclose(maps);
    return has;
}

TEST(hints_reach_the_kernel_and_on_nonsense_do_no_harm)
{
    ck_ok(rp_os_vm_reserve_at(base, RP_MIB(4)));
    ck_assert(!mapping_has_flag(base, " dd") && !mapping_has_flag(base, " hg"));
    rp_os_vm_no_dump(base, RP_MIB(4));
    rp_os_vm_want_huge(base, RP_MIB(4));
    ck_assert(mapping_has_flag(base, " dd"));
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
        ck_assert(mapping_has_flag(base, " hg"));
    }
    rp_os_vm_release(base, RP_MIB(4));
    rp_os_vm_want_huge(base, PAGE);
    rp_os_vm_no_dump(base, PAGE);
}

#ifdef __SANITIZE_ADDRESS__
TEST(the_shadow_of_a_sanitizer_is_named)
{
    char text[400];
    ck_assert_int_eq(rp_os_vm_reserve_at((void *)0x0f0000000000, PAGE), RP_E_TAKEN);
    ck_assert_msg(strstr(rp_error_last()->text, "AddressSanitizer"), "%s", rp_error_last()->text);
    ck_assert_uint_eq(rp_os_vm_describe((void *)0x0f0000000000, 1, text, sizeof text), 1);
}
#endif

static rp_status whole_life(void *context)
{
    (void)context;
    rp_status status = rp_os_vm_reserve_at(base, 16 * PAGE);
    if (status) {
        return status;
    }
    status = rp_os_vm_commit(base, 8 * PAGE);
    status = status ? status : rp_os_vm_guard(base + PAGE, PAGE);
    status = status ? status : rp_os_vm_unguard(base + PAGE, PAGE);
    status = status ? status : rp_os_vm_protect(base, PAGE, RP_OS_READ);
    status = status ? status : rp_os_vm_discard(base + PAGE, PAGE);
    rp_os_vm_release(base, 16 * PAGE);
    return status;
}

TEST(every_failing_call_is_told)
{
    size_t failed = fault_each_call(whole_life, NULL, ENOMEM);
#ifdef RP_FAULTS
    ck_assert_uint_ge(failed, 6);
#endif
    (void)failed;
}

TEST(the_limit_of_mappings_is_the_systems)
{
    char text[32] = "";
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    ck_assert(!file || fgets(text, sizeof text, file));
    ck_assert_uint_eq(rp_os_vm_mapping_limit(), file ? strtoull(text, NULL, 10) : 65530);
    if (file) {
        fclose(file);
    }
}
