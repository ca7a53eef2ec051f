/* The world's side of history: what each call promises, one by one. */
#include "history/play.h"

#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t range_bytes[6 * 4096];
static uint8_t other_bytes[4096];

static uint8_t *block(size_t pages)
{
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, pages * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(start);
    return start;
}

static uint32_t page_of(const void *address)
{
    return (uint32_t)(((uintptr_t)address - RP_REGION_BASE) >> RP_PAGE_SHIFT);
}

static bool found(const play *p, uint32_t page)
{
    for (size_t i = 0; i < p->entry_count; i++) {
        if (p->entries[i].page == page) {
            return true;
        }
    }
    return false;
}

static void finds_exactly_what_was_written(rp_tracking tracking)
{
    play *p = play_open(RP_MIB(64), tracking);
    uint8_t *start = block(600);
    memset(start, 1, 600 * RP_PAGE_BYTES);
    play_commit(p);
    for (size_t i = 3; i < 600; i += 97) {
        start[i * RP_PAGE_BYTES + i] = 200;
    }
    play_commit(p);
    for (uint32_t i = 0; i < 600; i++) {
        ck_assert_int_eq(found(p, page_of(start) + i), i % 97 == 3);
    }
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 0);
    play_close(p);
}

TEST(tracking_finds_exactly_the_pages_that_were_written)
{
    finds_exactly_what_was_written(play_tracked());
}

TEST(comparing_finds_exactly_the_pages_that_were_written)
{
    finds_exactly_what_was_written(RP_TRACKING_COMPARE);
}

TEST(after_a_seek_only_new_writes_are_found)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(600);
    memset(start, 1, 600 * RP_PAGE_BYTES);
    play_commit(p);
    memset(start + 50 * RP_PAGE_BYTES, 2, 100 * RP_PAGE_BYTES);
    play_commit(p);
    play_seek(p, 1);
    start[7 * RP_PAGE_BYTES] = 9;
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    ck_assert_uint_eq(p->entries[0].page, page_of(start) + 7);
    play_close(p);
}

TEST(a_page_that_became_zero_takes_no_slot)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(2);
    memset(start, 1, 2 * RP_PAGE_BYTES);
    play_commit(p);
    memset(start, 0, RP_PAGE_BYTES);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    ck_assert_uint_eq(p->entries[0].slot, RP_SLOT_ZERO);
    ck_assert_ptr_null(rp_world_page_image(p->world, page_of(start)));
    ck_assert_uint_eq(*(const uint8_t *)rp_world_page_image(p->world, page_of(start) + 1), 1);
    play_close(p);
}

/* Collects in vain in a way that `spoil` arranges, then expects the same pages again. */
static void loses_nothing(rp_tracking tracking, void (*spoil)(play *), void (*mend)(play *))
{
    play *p = play_open(RP_MIB(64), tracking);
    uint8_t *start = block(300);
    memset(start, 1, 300 * RP_PAGE_BYTES);
    play_commit(p);
    for (size_t i = 0; i < 300; i += 3) {
        start[i * RP_PAGE_BYTES] = 2;
    }
    spoil(p);
    ck_assert_int_lt(play_collect(p), 0);
    mend(p);
    rp_log_slots_reset(p->log);
    start[1 * RP_PAGE_BYTES] = 3; /* and one more since */
    play_commit_snapped(p);
    for (uint32_t i = 0; i < 300; i++) {
        ck_assert_int_eq(found(p, page_of(start) + i), i % 3 == 0 || i == 1);
    }
    memset(start, 4, 300 * RP_PAGE_BYTES);
    play_commit(p);
    play_seek(p, 2);
    play_expect_at(p, 2);
    play_close(p);
}

static void few_slots(play *p)
{
    p->slots_left = 40;
}

static void enough_slots(play *p)
{
    p->slots_left = UINT32_MAX;
}

static void refuse_entries(play *p)
{
    p->entry_limit = 10;
}

static void accept_entries(play *p)
{
    p->entry_limit = PLAY_ENTRIES_MOST;
}

TEST(running_out_of_slots_loses_no_page)
{
    loses_nothing(play_tracked(), few_slots, enough_slots);
}

TEST(running_out_of_slots_loses_no_page_where_pages_are_compared)
{
    loses_nothing(RP_TRACKING_COMPARE, few_slots, enough_slots);
}

TEST(an_owner_that_refuses_the_entries_gets_them_again)
{
    loses_nothing(play_tracked(), refuse_entries, accept_entries);
}

TEST(a_collect_that_the_log_did_not_commit_can_be_taken_back)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(20);
    ck_ok(rp_world_range_add(p->world, range_bytes, sizeof range_bytes, RP_PAGE_EXTRA, "r"));
    memset(start, 1, 20 * RP_PAGE_BYTES);
    play_commit_snapped(p);
    memset(start, 2, 10 * RP_PAGE_BYTES);
    range_bytes[5000] = 2;
    ck_ok(play_collect(p));
    ck_assert_uint_eq(p->entry_count, 11);
    rp_world_uncollect(p->world);
    rp_log_slots_reset(p->log);
    start[15 * RP_PAGE_BYTES] = 3;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 12);
    memset(start, 5, 20 * RP_PAGE_BYTES);
    ck_ok(play_collect(p));
    rp_world_uncollect(p->world);
    rp_log_slots_reset(p->log);
    play_seek(p, 2); /* reverts what was taken back */
    play_expect_at(p, 2);
    play_seek(p, 1);
    play_expect_at(p, 1);
    play_close(p);
}

TEST(a_page_mapped_anew_that_nobody_wrote_in_the_frame_is_found)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(400);
    memset(start, 1, 400 * RP_PAGE_BYTES);
    play_commit(p);
    uint8_t *page = start + 300 * RP_PAGE_BYTES;
    start[0] = 2;
    void *again = mmap(page, RP_PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    ck_assert_ptr_eq(again, page);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 2);
    ck_assert_uint_eq(p->entries[1].page, page_of(page));
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    ck_assert_uint_ge(stats.lost_count, 1);
    page[9] = 5;
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    rp_world_stats_get(p->world, &stats);
    ck_assert_uint_le(stats.lost_count, 2); /* once for each half of it, and then no more */
    play_seek(p, 1);
    ck_assert_int_eq(page[9], 1);
    play_close(p);
}

TEST(tracking_that_was_lost_is_mended_by_comparing)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(4);
    memset(start, 1, 4 * RP_PAGE_BYTES);
    play_commit(p);
    start[RP_PAGE_BYTES] = 2;
    /* mapped anew behind history's back, with the same content but for one page */
    uint8_t kept[4 * 4096];
    memcpy(kept, start, sizeof kept);
    void *again = mmap(start, sizeof kept, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    ck_assert_ptr_eq(again, start);
    memcpy(start, kept, sizeof kept);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    ck_assert_uint_eq(p->entries[0].page, page_of(start) + 1);
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    /* With page protection pages that were open already lose nothing by it. */
    ck_assert_uint_ge(stats.lost_count, test_rung() == 2 ? 0 : 1);
    start[3 * RP_PAGE_BYTES] = 5;
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    ck_assert_uint_eq(p->entries[0].page, page_of(start) + 3);
    play_close(p);
}

/* Its pages are written in each frame and neither come to the log nor back from it. */
static void leaves_out(rp_tracking tracking)
{
    play *p = play_open(RP_MIB(64), tracking);
    uint8_t *start = block(40), *out = start + 8 * RP_PAGE_BYTES;
    ck_ok(rp_world_exclude(p->world, out, 20 * RP_PAGE_BYTES));
    for (int round = 1; round <= 6; round++) {
        memset(start, round, 40 * RP_PAGE_BYTES);
        play_commit(p);
        for (uint32_t i = 0; i < 40; i++) {
            ck_assert_int_eq(found(p, page_of(start) + i), i < 8 || i >= 28);
        }
    }
    play_seek(p, 2);
    ck_assert_uint_eq(start[0], 2);
    ck_assert_uint_eq(out[-1], 2);
    ck_assert_uint_eq(out[0], 6);
    ck_assert_uint_eq(out[20 * RP_PAGE_BYTES - 1], 6);
    ck_assert_uint_eq(out[20 * RP_PAGE_BYTES], 2);
    out[0] = 7;
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 0);
    ck_assert_int_eq(rp_world_exclude(p->world, out + 1, RP_PAGE_BYTES), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_world_exclude(p->world, range_bytes, RP_PAGE_BYTES), RP_E_ARGUMENT);
    play_close(p);
}

TEST(what_is_left_out_stays_as_it_is_with_tracked_pages)
{
    leaves_out(RP_TRACKING_AUTO);
}

TEST(what_is_left_out_stays_as_it_is_with_compared_pages)
{
    leaves_out(RP_TRACKING_COMPARE);
}

static void wipes_scratch(rp_tracking tracking)
{
    play *p = play_open(RP_MIB(64), tracking);
    uint8_t *start = block(40), *after = block(1);
    size_t size_bytes = 40 * RP_PAGE_BYTES;
    ck_ok(rp_world_scratch_set(p->world, start, size_bytes, 3 * RP_PAGE_BYTES));
    for (int round = 0; round < 4; round++) {
        start[size_bytes - 1] = 1;                 /* always wiped */
        start[size_bytes - 5 * RP_PAGE_BYTES] = 1; /* wiped since it was written */
        start[0] = 1;
        after[0]++;
        play_commit(p);
        ck_assert(found(p, page_of(after)));
        for (size_t i = 0; i < size_bytes; i++) {
            ck_assert_uint_eq(start[i], 0);
        }
        for (uint32_t i = 0; i < 40; i++) {
            ck_assert(!found(p, page_of(start) + i));
        }
    }
    play_seek(p, 2);
    ck_assert_uint_eq(after[0], 2);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 0);
    ck_assert_int_eq(rp_world_scratch_set(p->world, range_bytes, 4096, 4096), RP_E_ARGUMENT);
    play_close(p);
}

TEST(scratch_is_wiped_and_never_logged)
{
    wipes_scratch(play_tracked());
}

TEST(scratch_is_wiped_and_never_logged_where_pages_are_compared)
{
    wipes_scratch(RP_TRACKING_COMPARE);
}

TEST(ranges_that_overlap_or_cannot_be_are_refused)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    const uint32_t first = RP_PAGE_EXTRA;
    uint8_t *at = range_bytes;
    ck_ok(rp_world_range_add(p->world, at + 5000, 5000, first + 10, "base"));
    const struct {
        void *start;
        size_t size_bytes;
        uint32_t page;
    } bad[] = {
        {at + 9999, 10, first + 50},
        {at + 4000, 1001, first + 50},
        {at, 20000, first + 50},
        {at + 6000, 1, first + 50},
        {other_bytes, 4096, first + 11},
        {at, 4990, first + 9},
        {other_bytes, 0, first + 50},
        {other_bytes, 10, first - 1},
        {other_bytes, 10, RP_PAGE_LIMIT},
        {other_bytes, 4096 * 2, RP_PAGE_LIMIT - 1},
        {other_bytes, SIZE_MAX, first + 50},
        {block(1), 100, first + 50},
    };
    for (size_t i = 0; i < RP_COUNT_OF(bad); i++) {
        ck_assert_msg(rp_world_range_add(p->world, bad[i].start, bad[i].size_bytes, bad[i].page,
                                         "bad") == RP_E_ARGUMENT,
                      "case %zu", i);
    }
    ck_ok(rp_world_range_add(p->world, at + 10000, 100, first + 50, "next"));
    const rp_world_range *ranges;
    ck_assert_uint_eq(rp_world_ranges(p->world, &ranges), 2);
    ck_assert_str_eq(ranges[1].name, "next");
    ck_assert_ptr_eq(rp_world_page_address(p->world, first + 50),
                     at + 10000 - (uintptr_t)(at + 10000) % 4096);
    ck_assert_ptr_null(rp_world_page_address(p->world, first + 49));
    ck_assert_ptr_null(rp_world_page_address(p->world, first));
    play_close(p);
}

TEST(a_range_that_is_cut_and_added_again_is_collected_once)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    const uint32_t first = RP_PAGE_EXTRA;
    size_t page_count;
    uint32_t first_page;
    uint8_t *kept = range_bytes + 4096 * 6 - (uintptr_t)range_bytes % 4096;
    memset(range_bytes, 3, sizeof range_bytes);
    ck_ok(rp_world_range_add(p->world, kept, 64, first + 3, "kept"));
    for (int i = 0; i < 3; i++) { /* its pages stand in one run with those of "kept" */
        ck_ok(rp_world_range_add(p->world, range_bytes + 1, 4096 * 2, first, "module"));
        ck_ok(rp_world_range_add(p->world, other_bytes, 64, first + 4, "thread"));
        rp_world_range_cut(p->world, 1);
    }
    ck_ok(rp_world_range_add(p->world, range_bytes + 1, 4096 * 2, first, "module"));
    ck_ok(rp_world_range_add(p->world, other_bytes, 64, first + 4, "thread"));
    play_commit(p); /* the log refuses a page that is named twice */
    memset(range_bytes + 1, 9, 4096);
    ck_ok(rp_world_revert(p->world, &page_count, &first_page));
    ck_assert_uint_eq(range_bytes[1], 3);
    play_close(p);
}

TEST(a_range_that_was_cut_is_left_alone_and_its_image_stays)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    ck_ok(rp_world_range_add(p->world, other_bytes, 100, RP_PAGE_EXTRA + 90, "kept"));
    ck_ok(rp_world_range_add(p->world, range_bytes + 1, 4096 * 5, RP_PAGE_EXTRA, "cut"));
    memset(range_bytes, 3, sizeof range_bytes);
    play_commit(p);
    memset(range_bytes, 4, sizeof range_bytes);
    play_commit(p);
    memset(range_bytes, 5, sizeof range_bytes);
    rp_world_range_cut(p->world, 1);
    const rp_page_slot *entries;
    size_t count, skipped;
    ck_ok(rp_log_seek(p->log, 1, &entries, &count));
    ck_assert_uint_eq(count, 6);
    ck_ok(rp_world_apply_begin(p->world));
    ck_ok(rp_world_apply(p->world, entries, count));
    ck_ok(rp_world_apply_end(p->world, &skipped));
    ck_assert_uint_eq(skipped, 6);
    ck_assert_uint_eq(range_bytes[4096], 5);
    ck_assert_ptr_null(rp_world_page_address(p->world, RP_PAGE_EXTRA));
    ck_assert_uint_eq(((const uint8_t *)rp_world_page_image(p->world, RP_PAGE_EXTRA + 1))[7], 3);
    /* the same build again: its pages come back from their images */
    size_t page_count;
    uint32_t first_page;
    ck_ok(rp_world_range_add(p->world, range_bytes + 1, 4096 * 5, RP_PAGE_EXTRA, "again"));
    ck_ok(rp_world_revert(p->world, &page_count, &first_page));
    ck_assert_uint_eq(page_count, 6);
    ck_assert_uint_eq(first_page, RP_PAGE_EXTRA);
    ck_assert_uint_eq(range_bytes[4096], 3);
    ck_assert_uint_eq(range_bytes[0], 5);
    ck_assert_uint_eq(range_bytes[1 + 4096 * 5], 5);
    play_close(p);
}

/* Pages with neighbouring numbers, of which a state has one: the other one stays pending, and the
 * log would refuse a page that is named twice. */
TEST(a_state_with_one_of_two_new_ranges_leaves_no_page_in_two_runs)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    play_commit(p);
    ck_ok(rp_world_range_add(p->world, other_bytes, 100, RP_PAGE_EXTRA, "unknown"));
    ck_ok(rp_world_range_add(p->world, range_bytes, 100, RP_PAGE_EXTRA + 1, "known"));
    memset(other_bytes, 3, 100);
    const rp_page_slot known = {.page = RP_PAGE_EXTRA + 1, .slot = RP_SLOT_ZERO};
    ck_ok(rp_world_apply_begin(p->world));
    ck_ok(rp_world_apply(p->world, &known, 1));
    ck_ok(rp_world_apply_end(p->world, NULL));
    ck_assert_uint_eq(other_bytes[7], 3);
    memset(range_bytes, 4, 100);
    play_commit(p);
    const uint8_t *image = rp_world_page_image(p->world, known.page);
    ck_assert_uint_eq(image[(uintptr_t)range_bytes % RP_PAGE_BYTES], 4);
    play_close(p);
}

TEST(a_new_range_keeps_its_content_through_a_revert_and_a_seek)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(1);
    start[0] = 1;
    play_commit(p);
    start[0] = 2;
    play_commit(p);
    memset(range_bytes, 9, sizeof range_bytes);
    ck_ok(rp_world_range_add(p->world, range_bytes, sizeof range_bytes, RP_PAGE_EXTRA, "new"));
    size_t page_count;
    uint32_t first_page;
    ck_ok(rp_world_revert(p->world, &page_count, &first_page));
    ck_assert_uint_eq(page_count, 0);
    play_seek(p, 1);
    ck_assert_uint_eq(start[0], 1);
    ck_assert_uint_eq(range_bytes[5000], 9);
    play_commit(p);
    ck_assert(found(p, RP_PAGE_EXTRA + 1));
    range_bytes[5000] = 10;
    play_commit(p);
    play_seek(p, 2);
    ck_assert_uint_eq(range_bytes[5000], 9);
    play_close(p);
}

/* Of a range that waits to be taken whole, one page is put back and written anew. */
TEST(a_page_is_in_a_commit_once_though_it_was_to_be_in_it_before)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    const rp_page_slot back = {RP_PAGE_EXTRA + 1, RP_SLOT_ZERO};
    block(1)[0] = 1;
    play_commit(p);
    ck_ok(rp_world_range_add(p->world, range_bytes, sizeof range_bytes, RP_PAGE_EXTRA, "new"));
    ck_ok(rp_world_apply_begin(p->world));
    ck_ok(rp_world_apply(p->world, &back, 1));
    size_t skipped;
    ck_ok(rp_world_apply_end(p->world, &skipped));
    range_bytes[RP_PAGE_BYTES + 100] = 7;
    play_commit(p);
    ck_assert(found(p, RP_PAGE_EXTRA + 1));
    range_bytes[RP_PAGE_BYTES + 100] = 8;
    play_commit(p);
    play_seek(p, 2);
    ck_assert_uint_eq(range_bytes[RP_PAGE_BYTES + 100], 7);
    play_close(p);
}

/* As the thread-local data of the stepping thread: a part of one page, keep bytes on both sides. */
TEST(ranges_in_the_keep_zone_come_back_and_the_bytes_beside_them_stay)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    uint8_t *keep = rp_region_block_alloc(RP_ZONE_KEEP, 6 * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(keep);
    ck_ok(rp_world_range_add(p->world, keep + 700, 200, RP_PAGE_EXTRA, "thread-local"));
    ck_ok(rp_world_range_add(p->world, keep + RP_PAGE_BYTES + 4000, 3 * RP_PAGE_BYTES,
                             RP_PAGE_EXTRA + 10, "globals"));
    play_commit_snapped(p);
    memset(keep + 699, 1, 202);
    memset(keep + RP_PAGE_BYTES + 3999, 1, 3 * RP_PAGE_BYTES + 2);
    play_commit_snapped(p);
    memset(keep, 2, 6 * RP_PAGE_BYTES);
    play_seek(p, 1);
    play_expect_at(p, 1);
    play_seek(p, 2);
    play_expect_at(p, 2);
    ck_assert_uint_eq(keep[699], 2);
    ck_assert_uint_eq(keep[900], 2);
    ck_assert_uint_eq(keep[RP_PAGE_BYTES + 3999], 2);
    ck_assert_uint_eq(keep[4 * RP_PAGE_BYTES + 4000], 2);
    ck_assert_uint_eq(keep[899], 1);
    play_close(p);
}

static size_t resident_pages(void);

/* Most systems show a page of zeros to who reads memory that was never written, which does not
 * count as resident; a few give it memory of its own. A commit reads what is new. */
static bool reads_take_memory(void)
{
    enum { BYTES = 1 << 20 };
    size_t before = resident_pages();
    volatile uint8_t *memory =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned sum = 0;
    ck_assert(memory != MAP_FAILED);
    for (size_t i = 0; i < BYTES; i += RP_PAGE_BYTES) {
        sum += memory[i];
    }
    ck_assert_uint_eq(sum, 0);
    size_t taken = resident_pages() - before;
    munmap((void *)(uintptr_t)memory, BYTES);
    return taken > BYTES / RP_PAGE_BYTES / 2;
}

static size_t resident_pages(void)
{
    size_t total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%zu %zu", &total, &resident), 2);
    fclose(file);
    return resident;
}

TEST(a_large_block_takes_no_memory_where_the_program_never_touched_it)
{
    enum { PAGES = RP_MIB(64) / RP_PAGE_BYTES };
    play *p = play_open(RP_MIB(64), play_tracked());
    play_commit(p);
    size_t before = resident_pages();
    uint8_t *start = block(PAGES);
    start[PAGES / 2 * RP_PAGE_BYTES] = 1;
    play_commit(p);
    ck_assert(found(p, page_of(start) + PAGES / 2));
    ck_assert(!found(p, page_of(start) + 1));
    ck_assert(reads_take_memory() || resident_pages() - before < PAGES / 4);
    play_snap_last(p);
    start[PAGES / 2 * RP_PAGE_BYTES + 1] = 1;
    start[PAGES / 4 * RP_PAGE_BYTES] = 1;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 2);
    play_seek(p, 2);
    play_expect_at(p, 2);
    play_seek(p, 3);
    play_expect_at(p, 3);
    play_close(p);
}

TEST(a_range_of_shared_memory_is_compared_and_comes_back)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    int fd;
    void *map;
    ck_ok(rp_os_memfile_create("shared", 4 * 4096, &fd));
    ck_ok(rp_os_memfile_map(fd, 0, NULL, 4 * 4096, RP_OS_READ_WRITE, &map));
    uint8_t *shared = map;
    ck_ok(rp_world_range_add(p->world, shared, 4 * 4096, RP_PAGE_EXTRA, "shared"));
    memset(shared, 1, 4 * 4096);
    play_commit_snapped(p);
    shared[2 * 4096] = 2;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 1);
    play_seek(p, 1);
    play_expect_at(p, 1);
    play_seek(p, 2);
    play_expect_at(p, 2);
    play_close(p);
    rp_os_unmap(map, 4 * 4096);
    close(fd);
}

TEST(entries_that_cannot_be_are_refused)
{
    play *p = play_open(RP_MIB(64), play_tracked());
    play_commit(p);
    const rp_page_slot bad[] = {{RP_PAGE_LIMIT, 0}, {0, UINT32_MAX}, {RP_PAGE_EXTRA - 1, 0}};
    for (size_t i = 0; i < RP_COUNT_OF(bad); i++) {
        size_t skipped;
        ck_ok(rp_world_apply_begin(p->world));
        ck_assert_int_lt(rp_world_apply(p->world, &bad[i], 1), 0);
        ck_ok(rp_world_apply_end(p->world, &skipped));
    }
    play_close(p);
}

/* ---- the k-th call to the system fails
 * ------------------------------------------------------------- */

typedef struct fault_case {
    play *p;
    uint8_t *start;
    uint64_t round;
} fault_case;

static rp_status attempt_open(void *context)
{
    (void)context;
    rp_log *log;
    rp_world *world;
    rp_status status = rp_log_create(RP_MIB(1), &log);
    if (status != RP_OK) {
        return status;
    }
    status = rp_world_open(rp_log_fd(log), play_tracked(), &world);
    if (status == RP_OK) {
        rp_world_close(world);
    }
    rp_log_destroy(log);
    return status;
}

TEST(opening_fails_cleanly_whatever_call_fails)
{
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(2)}));
    fault_each_call_or_recover(attempt_open, NULL, ENOMEM);
}

static rp_status attempt_collect(void *context)
{
    fault_case *c = context;
    memset(c->start, (int)++c->round, 50 * RP_PAGE_BYTES);
    range_bytes[5000] = (uint8_t)c->round;
    rp_status status = play_collect(c->p);
    if (status != RP_OK) {
        rp_log_slots_reset(c->p->log);
        return status;
    }
    status = rp_log_commit(c->p->log, &(rp_record_desc){.frame = c->round}, c->p->entries,
                           c->p->entry_count);
    if (status != RP_OK) {
        rp_world_uncollect(c->p->world);
        rp_log_slots_reset(c->p->log);
    }
    return status;
}

static rp_status attempt_seek(void *context)
{
    fault_case *c = context;
    const rp_page_slot *entries;
    size_t count, skipped;
    uint64_t to = rp_log_position(c->p->log) == 1 ? 2 : 1;
    rp_status status = rp_log_seek(c->p->log, to, &entries, &count);
    if (status == RP_OK) {
        status = rp_world_apply_begin(c->p->world);
    }
    if (status != RP_OK) {
        return status;
    }
    status = rp_world_apply(c->p->world, entries, count);
    rp_status ended = rp_world_apply_end(c->p->world, &skipped);
    return status == RP_OK ? ended : status;
}

static fault_case fault_setup(void)
{
    fault_case c = {.p = play_open(RP_MIB(64), play_tracked()), .start = block(60)};
    ck_ok(rp_world_range_add(c.p->world, range_bytes, sizeof range_bytes, RP_PAGE_EXTRA, "r"));
    c.start[RP_PAGE_BYTES * 55] = 1;
    play_commit_snapped(c.p);
    memset(c.start, 7, 60 * RP_PAGE_BYTES);
    range_bytes[9000] = 1;
    play_commit_snapped(c.p);
    c.round = 2;
    return c;
}

TEST(a_collect_in_which_a_call_fails_loses_nothing)
{
    fault_case c = fault_setup();
    fault_each_call_or_recover(attempt_collect, &c, ENOMEM);
    c.p->frame = c.round;
    play_commit_snapped(c.p);
    uint64_t last = rp_log_last(c.p->log);
    play_seek(c.p, 1);
    play_expect_at(c.p, 1);
    play_seek(c.p, last);
    play_expect_at(c.p, last);
    ck_assert(rp_log_check(c.p->log));
    play_close(c.p);
}

TEST(a_seek_in_which_a_call_fails_can_be_made_again)
{
    fault_case c = fault_setup();
    fault_each_call_or_recover(attempt_seek, &c, ENOMEM);
    const rp_page_slot *entries;
    size_t count;
    ck_ok(rp_log_seek(c.p->log, 1, &entries, &count));
    ck_ok(rp_log_full(c.p->log, &entries, &count));
    play_apply(c.p, entries, count);
    for (uint64_t index = 2; index >= 1; index--) {
        play_seek(c.p, index);
        play_expect_at(c.p, index);
    }
    play_close(c.p);
}
