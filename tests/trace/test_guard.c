/* Guard pages: the first byte beyond faults at once; what it was is explained in the handler. */
#include "support/fault.h"
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

#include <errno.h>

static rp_allocator *guarded_heap(uint32_t modes)
{
    rp_allocator *made = rp_debug_create(&(rp_heap_desc){.name = "guarded"}, modes, NULL);
    ck_assert_msg(made, "%s", rp_error_last()->text);
    return made;
}

static void explain_and_end(int signal_number, siginfo_t *info, void *context)
{
    char text[4096];
    (void)context;
    bool ours =
        rp_debug_explain_fault(info->si_addr, -1, __builtin_return_address(0), text, sizeof text);
    if (write(STDERR_FILENO, ours ? text : "not ours\n", ours ? strlen(text) : 9) < 0) {
        _exit(1);
    }
    _exit(signal_number);
}

typedef struct touch {
    uint8_t *address;
    bool write;
} touch;

static int touch_it(void *context)
{
    const touch *what = context;
    struct sigaction action = {.sa_sigaction = explain_and_end, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    if (what->write) {
        poke(what->address, 1);
    }
    return peek(what->address) & 0;
}

static void faults_with(uint8_t *address, const char *expected)
{
    for (int write = 0; write < 2; write++) {
        touch what = {address, write};
        child_end end = child_run(touch_it, &what);
        ck_assert_msg(end.exit_code == (expected ? SIGSEGV : 0), "exit %d, signal %d: %s",
                      end.exit_code, end.signal, end.error_text);
        ck_assert_msg(!expected || strstr(end.error_text, expected), "no \"%s\" in: %s", expected,
                      end.error_text);
    }
}

static const size_t sizes[] = {1, 15, 16, 100, 4095, 4096, 4097, 61440, 65536, 200000};

TEST(an_overrun_faults_at_the_page_behind_and_the_slack_is_marked)
{
    debug_open(NULL);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE);
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        uint8_t *block = rp_alloc(a, sizes[i]);
        size_t slack = rp_align_up(sizes[i], 16) - sizes[i];
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        memset(block, 0x5a, sizes[i]);
        faults_with(block + sizes[i] - 1, NULL);
        faults_with(block + sizes[i] + slack, "the guard page behind a block");
        no_errors();
        if (slack) {
            poke(block + sizes[i], 0);
            rp_free(block);
            ck_assert_uint_eq(told.count, 1);
            ck_assert_int_eq(told.errors[0].kind, RP_DEBUG_OVERRUN);
            told.count = 0;
        } else {
            rp_free(block);
        }
    }
    check_zones();
    rp_region_destroy();
}

TEST(an_underrun_faults_at_the_page_before)
{
    debug_open(NULL);
    rp_allocator *a = guarded_heap(RP_DEBUG_START_OF_PAGE);
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        uint8_t *block = rp_alloc(a, sizes[i]);
        memset(block, 0x5a, sizes[i]);
        faults_with(block, NULL);
        faults_with(block - 1, "the guard page before a block");
        rp_free(block);
    }
    no_errors();
    check_zones();
    rp_region_destroy();
}

TEST(both_sides_can_be_guarded)
{
    debug_open(NULL);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE | RP_DEBUG_START_OF_PAGE);
    uint8_t *block = rp_alloc(a, 4096);
    faults_with(block - 1, "the guard page before a block");
    faults_with(block + 4096, "the guard page behind a block");
    poke(rp_alloc(a, 16), 1);
    rp_free(block);
    no_errors();
    rp_region_destroy();
}

TEST(a_block_of_no_bytes_cannot_be_touched_at_all)
{
    debug_open(NULL);
    uint8_t *block = rp_alloc(guarded_heap(RP_DEBUG_END_OF_PAGE), 0);
    faults_with(block, "0 bytes behind the block's end");
    rp_free(block);
    rp_region_destroy();
}

TEST(alignments_hold_between_guards)
{
    debug_open(NULL);
    rp_allocator *after = guarded_heap(RP_DEBUG_END_OF_PAGE);
    rp_allocator *before = guarded_heap(RP_DEBUG_START_OF_PAGE);
    for (size_t align = 16; align <= RP_MIB(1); align *= 2) {
        uint8_t *one = rp_alloc_aligned(after, align, 100);
        uint8_t *two = rp_alloc_aligned(before, align, 100);
        ck_assert_uint_eq((uintptr_t)one % align, 0);
        ck_assert_uint_eq((uintptr_t)two % align, 0);
        memset(one, 1, 100);
        memset(two, 1, 100);
        rp_free(one);
        rp_free(two);
    }
    no_errors();
    check_zones();
    rp_region_destroy();
}

TEST(a_freed_block_in_quarantine_is_inaccessible)
{
    debug_open(NULL);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE);
    uint8_t *block = rp_alloc_at(a, 5000, "old.c:7 Old");
    rp_free(block);
    faults_with(block, "use after free");
    faults_with(block + 4999, "old.c:7 Old");
    faults_with(block + 2500, "freed at");
    check_zones();
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

TEST(a_fault_elsewhere_is_none_of_ours)
{
    char text[256] = "untouched";
    debug_open(NULL);
    uint8_t *plain =
        rp_region_block_alloc(RP_ZONE_WORLD, 100, RP_BLOCK_PAGES, 0, RP_BLOCK_GUARD_AFTER);
    ck_assert(!rp_debug_explain_fault(NULL, 1, NULL, text, sizeof text));
    ck_assert(!rp_debug_explain_fault(plain + 4096, 1, NULL, text, sizeof text));
    ck_assert(!rp_debug_explain_fault(rp_alloc(guarded_heap(RP_DEBUG_END_OF_PAGE), 8), 0, NULL,
                                      text, sizeof text));
    ck_assert_str_eq(text, "untouched");
    rp_region_destroy();
}

static void restore_with_guards(void)
{
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE);
    uint8_t *kept = rp_alloc(a, 4096);
    memset(kept, 3, 4096);
    uint8_t *resting = rp_alloc(a, 4096);
    rp_free(resting);
    snapshot then = snapshot_take();
    rp_free(kept);
    uint8_t *later = rp_alloc(a, 4096);
    snapshot_restore(&then);
    rp_trace_reconcile();
    check_zones();
    faults_with(kept + 4096, "the guard page behind a block");
    faults_with(resting, "use after free");
    faults_with(later, NULL);
    ck_assert_uint_eq(kept[4095], 3);
    rp_free(kept);
    no_errors();
    check_zones();
    snapshot_drop(&then);
}

TEST(guards_follow_a_restore)
{
    debug_open(NULL);
    restore_with_guards();
    rp_region_destroy();
}

#ifdef RP_FAULTS

TEST(guards_by_page_protection_have_a_budget_of_mappings)
{
    rp_os_fault_hide_light_guards();
    debug_open(NULL);
    ck_assert_uint_eq(debug_stats().guarded_budget, rp_os_vm_mapping_limit() / 8);
    restore_with_guards();
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE | RP_DEBUG_START_OF_PAGE);
    size_t count = (size_t)debug_stats().guarded_budget + 100;
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(rp_alloc(a, 10), "%zu: %s", i, rp_error_last()->text);
    }
    ck_assert_uint_eq(debug_stats().guarded_count, debug_stats().guarded_budget);
    ck_assert_uint_ge(debug_stats().guarded_refused, 100);
    ck_assert_uint_eq(rp_debug_check(), 0);
    rp_allocator_destroy(a);
    check_zones();
    rp_region_destroy();
}

#endif

/* ---- budgets and a system that says no ---- */

TEST(a_spent_budget_falls_back_to_canaries_and_is_counted)
{
    enum { BUDGET = 10, COUNT = 15 };
    uint8_t *blocks[COUNT];
    debug_open(NULL);
    rp_debug_budget_set(BUDGET, 0);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = rp_alloc(a, 100);
        ck_assert_ptr_nonnull(blocks[i]);
    }
    ck_assert_uint_eq(debug_stats().guarded_count, BUDGET);
    ck_assert_uint_eq(debug_stats().guarded_refused, COUNT - BUDGET);
    poke(blocks[COUNT - 1] + 100, 0);
    for (int i = 0; i < COUNT; i++) {
        rp_free(blocks[i]);
    }
    ck_assert_uint_eq(told.count, 1);
    ck_assert_uint_eq(debug_stats().guarded_count, 0);
    rp_region_destroy();
}

static int spend_the_budget(void *context)
{
    (void)context;
    debug_open_loud(NULL);
    rp_debug_budget_set(2, 0);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE);
    for (int i = 0; i < 20; i++) {
        poke(rp_alloc(a, 10), 1);
    }
    return 0;
}

TEST(a_spent_budget_is_said_once)
{
    child_end end = child_run(spend_the_budget, NULL);
    ck_assert_int_eq(end.exit_code, 0);
    const char *said = strstr(end.error_text, "no guard page for a block");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_null(strstr(said + 1, "no guard page for a block"));
}

static rp_status make_and_free(void *context)
{
    uint8_t *block = rp_alloc(context, 5000);
    if (!block) {
        return rp_error_last()->status;
    }
    memset(block, 1, 5000);
    rp_free(block);
    return RP_OK;
}

TEST(a_system_that_refuses_guards_costs_the_guards_alone)
{
    debug_open(NULL);
    rp_allocator *a = guarded_heap(RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE);
    size_t failed = fault_each_call_or_recover(make_and_free, a, ENOMEM);
#ifdef RP_FAULTS
    ck_assert_uint_gt(failed, 0);
#endif
    (void)failed;
    no_errors();
    rp_allocator_destroy(a);
    rp_region_destroy();
}
