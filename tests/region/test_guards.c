/* Guards, with real faults, and what a restore of the world's bytes makes of them. */
#include "base/bits.h"
#include "os/os.h"
#include "region/region.h"
#include "support/child.h"
#include "support/fault.h"
#include "support/snapshot.h"

#include <errno.h>
#include <string.h>

enum { BOTH = RP_BLOCK_GUARD_BEFORE | RP_BLOCK_GUARD_AFTER };

static void open_region(void)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    ck_ok(rp_region_create(&desc));
}

static uint8_t *guarded(size_t size_bytes, uint32_t flags)
{
    uint8_t *start = rp_region_block_alloc(RP_ZONE_WORLD, size_bytes, RP_BLOCK_PAGES, 3, flags);
    ck_assert_msg(start, "%s", rp_error_last()->text);
    return start;
}

static size_t usable(const void *start)
{
    rp_region_block block;
    ck_assert(rp_region_block_find(start, &block));
    return block.size_bytes;
}

static int read_byte(void *context)
{
    return *(volatile uint8_t *)context ? 0 : 0;
}

static int write_byte(void *context)
{
    *(volatile uint8_t *)context = 1;
    return 0;
}

static bool faults(uint8_t *address)
{
    int read_signal = child_run(read_byte, address).signal;
    int write_signal = child_run(write_byte, address).signal;
    ck_assert_int_eq(read_signal, write_signal);
    ck_assert(read_signal == 0 || read_signal == SIGSEGV);
    return read_signal == SIGSEGV;
}

static void check_zone(void)
{
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
}

static uint64_t guard_count(void)
{
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    return stats.guard_count;
}

/* ---- where they stand ---- */

static void guards_stand_where_asked(uint32_t flags, size_t size_bytes)
{
    uint8_t *start = guarded(size_bytes, flags);
    size_t bytes = usable(start);
    memset(start, 0xee, bytes);
    ck_assert_int_eq(faults(start - 1), (flags & RP_BLOCK_GUARD_BEFORE) != 0);
    ck_assert_int_eq(faults(start + bytes), (flags & RP_BLOCK_GUARD_AFTER) != 0);
    ck_assert(!faults(start) && !faults(start + bytes - 1));
    ck_assert_int_eq(rp_region_is_guard(start - 1), (flags & RP_BLOCK_GUARD_BEFORE) != 0);
    ck_assert_int_eq(rp_region_is_guard(start + bytes), (flags & RP_BLOCK_GUARD_AFTER) != 0);
    if (flags & RP_BLOCK_GUARD_AFTER) {
        ck_assert_uint_eq(bytes, rp_align_up(size_bytes, RP_PAGE_BYTES));
    }
    check_zone();
    rp_region_block_free(start);
    ck_assert(!faults(start - 1) && !faults(start + bytes));
    ck_assert(!rp_region_is_guard(start - 1) && !rp_region_is_guard(start + bytes));
    check_zone();
}

static void walls(void)
{
    for (int i = 0; i < 2; i++) {
        guarded(RP_MIB(1), 0); /* committed and unguarded on both sides */
    }
    rp_region_block_free(guarded(RP_MIB(1), 0));
}

TEST(guards_stand_before_and_after_the_payloads_pages_and_go_with_it)
{
    open_region();
    walls();
    const size_t sizes[] = {1,
                            RP_PAGE_BYTES,
                            RP_PAGE_BYTES + 1,
                            14 * RP_PAGE_BYTES,
                            15 * RP_PAGE_BYTES,
                            RP_UNIT_BYTES,
                            3 * RP_UNIT_BYTES + 5};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        guards_stand_where_asked(RP_BLOCK_GUARD_BEFORE, sizes[i]);
        guards_stand_where_asked(RP_BLOCK_GUARD_AFTER, sizes[i]);
        guards_stand_where_asked(BOTH, sizes[i]);
        guards_stand_where_asked(0, sizes[i]);
    }
    ck_assert_uint_eq(guard_count(), 0);
    rp_region_destroy();
}

TEST(a_resize_takes_the_guard_behind_the_payload_along)
{
    open_region();
    uint8_t *start = guarded(RP_PAGE_BYTES, BOTH);
    const size_t pages[] = {3, 14, 15, 40, 39, 2, 1};
    memset(start, 0x11, RP_PAGE_BYTES);
    for (size_t i = 0; i < RP_COUNT_OF(pages); i++) {
        size_t bytes = pages[i] * RP_PAGE_BYTES;
        ck_assert(rp_region_block_resize(start, bytes));
        ck_assert_uint_eq(usable(start), bytes);
        start[bytes - 1] = 0x22;
        ck_assert(faults(start + bytes) && faults(start - 1));
        ck_assert_uint_eq(guard_count(), 2);
        check_zone();
    }
    ck_assert_uint_eq(start[0], 0x11);
    rp_region_destroy();
}

TEST(the_keep_zone_has_guards_of_its_own)
{
    open_region();
    uint8_t *keep = rp_region_block_alloc(RP_ZONE_KEEP, 1, RP_BLOCK_PAGES, 0, BOTH);
    ck_assert(faults(keep - 1) && faults(keep + RP_PAGE_BYTES));
    ck_assert(!rp_region_has_guards());
    ck_ok(rp_region_guards_lift());
    ck_ok(rp_region_reconcile());
    ck_assert(rp_region_is_guard(keep - 1));
    guarded(1, BOTH);
    ck_assert(rp_region_has_guards());
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
    rp_region_block_free(keep);
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
    rp_region_destroy();
}

/* ---- around a restore ---- */

TEST(a_restore_brings_back_freed_blocks_and_takes_away_new_ones_with_their_guards)
{
    open_region();
    uint8_t *kept = guarded(RP_KIB(100), BOTH), *freed = guarded(RP_KIB(100), BOTH);
    guarded(1, 0); /* keeps what comes later out of the hole that `freed` leaves */
    memset(kept, 0xaa, RP_KIB(100));
    memset(freed, 0xbb, RP_KIB(100));
    snapshot before = snapshot_take();

    rp_region_block_free(freed);
    uint8_t *other = guarded(RP_KIB(20), RP_BLOCK_GUARD_AFTER); /* where `freed` was */
    uint8_t *fresh = guarded(RP_MIB(9), BOTH);
    memset(other, 0xcc, RP_KIB(20));
    memset(fresh, 0xdd, RP_MIB(9));
    ck_assert(rp_region_block_resize(kept, RP_KIB(40)));
    snapshot_restore(&before);

    check_zone();
    ck_assert(snapshot_equals(&before));
    ck_assert_uint_eq(guard_count(), 4);
    ck_assert_uint_eq(usable(kept), RP_KIB(100));
    ck_assert(kept[RP_KIB(100) - 1] == 0xaa && freed[0] == 0xbb && freed[RP_KIB(100) - 1] == 0xbb);
    ck_assert(faults(kept - 1) && faults(kept + RP_KIB(100)));
    ck_assert(faults(freed - 1) && faults(freed + RP_KIB(100)));
    rp_region_block found;
    ck_assert(!rp_region_block_find(fresh, &found));
    ck_assert(!rp_region_is_guard(fresh - 1) && !faults(fresh - 1));
    snapshot_drop(&before);
    rp_region_destroy();
}

TEST(guards_that_a_restored_map_does_not_want_go_without_a_lift_too)
{
    open_region();
    uint8_t *kept = guarded(1, BOTH);
    snapshot before = snapshot_take();
    uint8_t *fresh = guarded(RP_KIB(100), BOTH);
    rp_region_block_free(guarded(RP_KIB(200), BOTH));
    memcpy(before.spans[0].start, before.bytes[0], before.spans[0].size_bytes);
    ck_ok(rp_region_reconcile());
    check_zone();
    ck_assert_uint_eq(guard_count(), 2);
    ck_assert(!faults(fresh - 1) && !faults(fresh + RP_KIB(100)));
    ck_assert(faults(kept - 1) && faults(kept + RP_PAGE_BYTES));
    snapshot_drop(&before);
    rp_region_destroy();
}

TEST(a_world_restored_into_a_fresh_region_commits_what_it_uses_and_has_its_guards)
{
    open_region();
    uint8_t *block = guarded(RP_MIB(70), BOTH);
    memset(block, 0xaa, RP_KIB(8));
    snapshot before = snapshot_take();
    rp_region_destroy();
    open_region();
    before.spans[1].size_bytes = RP_MIB(2); /* what is zero may not have been kept at all */
    snapshot_restore(&before);
    check_zone();
    ck_assert(block[RP_KIB(8) - 1] == 0xaa && block[RP_MIB(70) - 1] == 0);
    ck_assert(faults(block - 1) && faults(block + RP_MIB(70)));
    ck_assert(guarded(1, 0) > block);
    snapshot_drop(&before);
    rp_region_destroy();
}

TEST(a_world_that_does_not_fit_or_is_none_is_refused)
{
    rp_region_desc large = {.reserve_bytes = RP_GIB(4)};
    ck_ok(rp_region_create(&large));
    guarded(RP_GIB(2), 0);
    snapshot before = snapshot_take();
    before.spans[1].size_bytes = 0;
    rp_region_destroy();
    open_region();
    memcpy(before.spans[0].start, before.bytes[0], RP_MIB(2));
    ck_assert_int_eq(rp_region_reconcile(), RP_E_RANGE);
    memset(before.spans[0].start, 0, RP_PAGE_BYTES);
    ck_assert_int_eq(rp_region_reconcile(), RP_E_FORMAT);
    snapshot_drop(&before);
    rp_region_destroy();
}

static void random_guards_step(uint8_t **blocks, uint64_t *random)
{
    uint8_t **block = &blocks[test_random(random) % 32];
    uint64_t what = test_random(random);
    size_t size_bytes = what / 8 % RP_KIB(300) + 1;
    if (*block && what % 3 == 0) {
        rp_region_block_resize(*block, size_bytes);
    } else if (*block) {
        rp_region_block_free(*block);
        *block = NULL;
    } else {
        *block = guarded(size_bytes, what % 4); /* the guard flags are bits 0 and 1 */
        memset(*block, (int)what, usable(*block));
    }
}

TEST(restores_between_random_moments_are_exact)
{
    enum { MOMENTS = 6, STEPS = 60 };
    uint64_t random = test_seed();
    open_region();
    uint8_t *blocks[MOMENTS][32] = {{0}};
    snapshot moments[MOMENTS];
    for (int round = 0; round < 40; round++) {
        int at = round < MOMENTS ? round : (int)(test_random(&random) % MOMENTS);
        uint8_t *now[32] = {0};
        if (round >= MOMENTS) {
            snapshot_restore(&moments[at]);
            check_zone();
            ck_assert(snapshot_equals(&moments[at]));
            snapshot_drop(&moments[at]);
        }
        memcpy(now, blocks[round < MOMENTS && at > 0 ? at - 1 : at], sizeof now);
        for (int step = 0; step < STEPS; step++) {
            random_guards_step(now, &random);
        }
        check_zone();
        memcpy(blocks[at], now, sizeof now);
        moments[at] = snapshot_take();
    }
    for (int i = 0; i < MOMENTS; i++) {
        snapshot_drop(&moments[i]);
    }
    rp_region_destroy();
}

/* ---- the system refuses ---- */

#ifdef RP_FAULTS

static rp_status status_of(bool worked)
{
    return worked ? RP_OK : rp_error_last()->status;
}

static rp_status make_and_free(void *context)
{
    (void)context;
    void *block = rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(3), RP_BLOCK_PAGES, 0, BOTH);
    rp_status status = status_of(block != NULL);
    check_zone();
    if (!block) { /* what was to become guards can be used */
        block = guarded(RP_MIB(3) + RP_PAGE_BYTES, 0);
        memset(block, 1, usable(block));
    }
    rp_region_block_free(block);
    check_zone();
    return status;
}

static rp_status grow_and_shrink(void *context)
{
    uint8_t *block = context;
    rp_status status = status_of(rp_region_block_resize(block, RP_KIB(200)));
    memset(block, 1, usable(block));
    check_zone();
    if (status == RP_OK) {
        status = status_of(rp_region_block_resize(block, RP_KIB(60)));
        memset(block, 1, usable(block));
        check_zone();
    }
    return status;
}

static rp_status lift_and_reconcile(void *context)
{
    (void)context;
    rp_status status = rp_region_guards_lift();
    return status == RP_OK ? rp_region_reconcile() : status;
}

static void refuse_each_call(void)
{
    uint8_t *block = guarded(RP_KIB(60), BOTH);
    ck_assert_uint_gt(fault_each_call(grow_and_shrink, block, ENOMEM), 2);
    ck_assert_uint_gt(fault_each_call_or_recover(make_and_free, NULL, ENOMEM), 4);
    ck_assert_uint_gt(fault_each_call(lift_and_reconcile, NULL, ENOMEM), 3);
    ck_ok(rp_region_reconcile());
    check_zone();
    ck_assert(faults(block - 1) && faults(block + usable(block)));
}

TEST(each_refusal_of_the_system_leaves_a_sound_zone)
{
    open_region();
    refuse_each_call();
    rp_region_destroy();
}

TEST(guards_by_page_protection_do_the_same_as_light_ones)
{
    rp_os_fault_hide_light_guards();
    open_region();
    ck_assert(!rp_os_vm_has_light_guards());
    walls();
    guards_stand_where_asked(BOTH, RP_UNIT_BYTES);
    guards_stand_where_asked(RP_BLOCK_GUARD_AFTER, 1);
    refuse_each_call();
    rp_region_destroy();
}

#endif

/* ---- sealed blocks ---- */

static void seals(size_t size_bytes, uint32_t flags)
{
    uint8_t *start = guarded(size_bytes, flags);
    size_t bytes = usable(start);
    memset(start, 0xee, bytes);
    ck_ok(rp_region_block_seal(start));
    ck_assert(faults(start) && faults(start + bytes / 2) && faults(start + bytes - 1));
    ck_assert_uint_eq(usable(start), bytes);
    ck_assert(!rp_region_block_resize(start, 2 * size_bytes));
    check_zone();
    rp_region_block_free(start);
    ck_assert(!faults(start) && !faults(start + bytes - 1));
    ck_assert_uint_eq(guard_count(), 0);
    check_zone();
}

TEST(a_sealed_block_cannot_be_touched_until_it_is_freed)
{
    open_region();
    walls();
    const size_t sizes[] = {1, RP_PAGE_BYTES, RP_UNIT_BYTES, 3 * RP_UNIT_BYTES + 5};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        seals(sizes[i], 0);
        seals(sizes[i], RP_BLOCK_GUARD_BEFORE);
        seals(sizes[i], BOTH);
    }
    rp_region_destroy();
}

TEST(seals_come_and_go_with_a_restore)
{
    open_region();
    uint8_t *open = guarded(RP_UNIT_BYTES, 0), *sealed = guarded(100, RP_BLOCK_GUARD_AFTER);
    memset(open, 7, RP_UNIT_BYTES);
    ck_ok(rp_region_block_seal(sealed));
    snapshot then = snapshot_take();
    ck_ok(rp_region_block_seal(open));
    rp_region_block_free(sealed);
    snapshot_restore(&then);
    check_zone();
    ck_assert(!faults(open) && faults(sealed) && faults(sealed + 50));
    ck_assert_uint_eq(open[RP_UNIT_BYTES - 1], 7);
    rp_region_block_free(sealed);
    ck_assert_uint_eq(guard_count(), 0);
    snapshot_drop(&then);
    rp_region_destroy();
}

static rp_status seal_and_free(void *context)
{
    (void)context;
    uint8_t *start = rp_region_block_alloc(RP_ZONE_WORLD, 5000, RP_BLOCK_PAGES, 3, BOTH);
    if (!start) {
        return rp_error_last()->status;
    }
    rp_status status = rp_region_block_seal(start);
    check_zone();
    if (status != RP_OK) {
        ck_assert(faults(start - 1) && !faults(start)); /* as it was */
    }
    rp_region_block_free(start);
    check_zone();
    return status;
}

TEST(a_seal_that_the_system_refuses_leaves_the_block_as_it_was)
{
    open_region();
    fault_each_call_or_recover(seal_and_free, NULL, ENOMEM);
    rp_region_destroy();
}
