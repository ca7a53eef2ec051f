/* The hot set: pages that are written in every frame lose their protection and nothing else. */
#include "history/play.h"

#include "history/world_private.h"

#include "support/fault.h"

#include <errno.h>
#include <sys/mman.h>

enum { FRAMES_TO_HOT = 3, FRAMES_TO_COLD = 16, HOT_RUNS_MOST = 64 };

/* Pages are found by a scan around the hot ones, whatever happens: see test_world_ways.c. */
static play *hot_open(size_t budget_bytes, rp_tracking tracking)
{
    play *p = play_open(budget_bytes, tracking);
    world_ways_tune(p->world, &(world_tuning){.hot_runs = HOT_RUNS_MOST,
                                              .scattered_pages = UINT32_MAX,
                                              .dense_percent = 101,
                                              .dense_frames = 1});
    return p;
}

static uint8_t *block(size_t pages)
{
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, pages * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(start);
    memset(start, 1, pages * RP_PAGE_BYTES);
    return start;
}

static uint64_t hot_count(const play *p)
{
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    return stats.hot_count;
}

static void write_pages(uint8_t *start, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        start[i * RP_PAGE_BYTES + i]++;
    }
}

static void frames_that_write(play *p, uint8_t *start, size_t first, size_t count, int frames)
{
    for (int i = 0; i < frames; i++) {
        write_pages(start, first, count);
        play_commit_snapped(p);
    }
}

static void expect_every_state(play *p)
{
    for (uint64_t index = rp_log_first(p->log); index <= rp_log_last(p->log); index++) {
        play_seek(p, index);
        play_expect_at(p, index);
    }
    ck_assert_msg(rp_log_check(p->log), "%s", rp_error_last()->text);
}

TEST(pages_written_in_three_frames_become_hot_and_each_state_comes_back)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(100);
    play_commit_snapped(p);
    frames_that_write(p, start, 20, 40, FRAMES_TO_HOT - 1);
    ck_assert_uint_eq(hot_count(p), 40); /* the first commit counts: it wrote all of the block */
    frames_that_write(p, start, 15, 60, 6);
    ck_assert_uint_eq(hot_count(p), 60);
    expect_every_state(p);
    play_close(p);
}

TEST(a_page_without_neighbours_never_becomes_hot_two_do)
{
    play *p = hot_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start = block(100);
    play_commit(p);
    for (int i = 0; i < 10; i++) {
        write_pages(start, 3, 1);
        write_pages(start, 5, 1);
        write_pages(start, 11, 2);
        play_commit(p);
        ck_assert_uint_eq(p->entry_count, 4);
    }
    ck_assert_uint_eq(hot_count(p), 2);
    play_close(p);
}

TEST(many_short_runs_leave_room_for_long_ones)
{
    enum { SHORT_RUNS = 50, STRIDE = 5, LONG_AT = 300, LONG_PAGES = 40 };
    play *p = hot_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start = block(400);
    play_commit_snapped(p);
    for (int i = 0; i < 10; i++) {
        for (size_t run = 0; run < SHORT_RUNS; run++) {
            write_pages(start, run * STRIDE, 3);
        }
        play_commit_snapped(p);
    }
    ck_assert_uint_eq(hot_count(p), HOT_RUNS_MOST / 2 * 3);
    frames_that_write(p, start, LONG_AT, LONG_PAGES, FRAMES_TO_HOT);
    ck_assert_uint_ge(hot_count(p), LONG_PAGES);
    expect_every_state(p);
    play_close(p);
}

TEST(pages_at_rest_are_cold_again_after_sixteen_frames_and_their_writes_found)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(100);
    play_commit_snapped(p);
    frames_that_write(p, start, 0, 100, 5);
    frames_that_write(p, start, 40, 10, FRAMES_TO_COLD);
    ck_assert_uint_eq(hot_count(p), 10);
    frames_that_write(p, start, 0, 0, FRAMES_TO_COLD);
    ck_assert_uint_eq(hot_count(p), 0);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 0);
    start[45 * RP_PAGE_BYTES] = 99;
    start[3 * RP_PAGE_BYTES] = 99;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 2);
    start[45 * RP_PAGE_BYTES] = 98;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 1);
    play_close(p);
}

TEST(a_seek_arms_hot_pages_and_the_next_frame_makes_them_hot_again)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(50);
    play_commit_snapped(p);
    frames_that_write(p, start, 0, 30, 5);
    write_pages(start, 0, 30); /* is reverted by the seek */
    play_seek(p, 2);
    play_expect_at(p, 2);
    ck_assert_uint_eq(hot_count(p), 0);
    write_pages(start, 10, 2);
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 2);
    frames_that_write(p, start, 0, 30, FRAMES_TO_HOT);
    ck_assert_uint_eq(hot_count(p), 30);
    play_seek(p, 3);
    frames_that_write(p, start, 0, 30, 1);
    ck_assert_uint_eq(hot_count(p), 30);
    expect_every_state(p);
    play_close(p);
}

TEST(a_revert_takes_back_what_was_written_to_hot_pages)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(50);
    size_t page_count;
    uint32_t first_page;
    play_commit_snapped(p);
    frames_that_write(p, start, 0, 30, 5);
    write_pages(start, 4, 3);
    ck_ok(rp_world_revert(p->world, &page_count, &first_page));
    ck_assert_uint_eq(page_count, 3);
    play_expect_at(p, rp_log_last(p->log));
    write_pages(start, 6, 1);
    play_commit(p);
    ck_assert_uint_eq(p->entry_count, 1);
    play_close(p);
}

/* More runs than there is room for: some stay tracked, and none is lost. Every second run rests
 * later, which leaves gaps, and then all of them do. */
TEST(more_runs_than_there_is_room_for_are_tracked_as_others_are)
{
    enum { RUNS = HOT_RUNS_MOST + 20, RUN_PAGES = 9, STRIDE = 11 };
    play *p = hot_open(RP_MIB(256), play_tracked());
    uint8_t *start = block(RUNS * STRIDE);
    play_commit_snapped(p);
    for (int frame = 0; frame < 40; frame++) {
        for (size_t run = 0; run < RUNS; run++) {
            if (frame < 5 || (frame < 22 && run % 2)) {
                write_pages(start, run * STRIDE, RUN_PAGES);
            }
        }
        play_commit_snapped(p);
        ck_assert_uint_le(hot_count(p), HOT_RUNS_MOST * RUN_PAGES);
        if (frame == 4) {
            ck_assert_uint_eq(hot_count(p), HOT_RUNS_MOST * RUN_PAGES);
        }
    }
    ck_assert_uint_eq(hot_count(p), 0);
    expect_every_state(p);
    play_close(p);
}

/* With 64 runs in the set, a page that rests inside a run cannot cut it in two. */
TEST(a_run_that_cannot_be_cut_stays_hot_and_comes_back)
{
    enum { STRIDE = 40, RUN_PAGES = 38 };
    play *p = hot_open(RP_MIB(256), play_tracked());
    uint8_t *start = block(HOT_RUNS_MOST * STRIDE);
    play_commit(p);
    for (int frame = 0; frame < 24; frame++) {
        for (size_t run = 0; run < HOT_RUNS_MOST; run++) {
            write_pages(start, run * STRIDE, frame < 4 ? RUN_PAGES : 10);
            write_pages(start, run * STRIDE + 28, frame < 4 ? 0 : 10);
        }
        play_commit(p);
    }
    ck_assert_uint_eq(hot_count(p), HOT_RUNS_MOST * RUN_PAGES);
    start[15 * RP_PAGE_BYTES] = 77; /* rests, and is written all the same */
    play_commit_snapped(p);
    uint64_t kept = rp_log_last(p->log);
    memset(start, 5, HOT_RUNS_MOST * STRIDE * RP_PAGE_BYTES);
    play_commit(p);
    play_seek(p, kept);
    play_expect_at(p, kept);
    play_close(p);
}

TEST(hot_pages_that_are_mapped_anew_are_not_lost)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(600);
    play_commit_snapped(p);
    frames_that_write(p, start, 0, 50, 4);
    void *again = mmap(start, 50 * RP_PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    ck_assert_ptr_eq(again, start);
    write_pages(start, 2, 5);
    play_commit_snapped(p);
    frames_that_write(p, start, 30, 1, FRAMES_TO_COLD * 2);
    /* With page protection the pages are as open as before, and the set was not lost. */
    ck_assert_uint_le(hot_count(p), test_rung() == 2 ? 1 : 0);
    frames_that_write(p, start, 8, 100, 1);
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 0);
    expect_every_state(p);
    play_close(p);
}

TEST(a_hot_block_that_is_freed_and_purged_comes_back)
{
    play *p = hot_open(RP_MIB(64), play_tracked());
    uint8_t *start = block(600);
    play_commit_snapped(p);
    frames_that_write(p, start, 0, 50, 5);
    rp_region_block_free(start);
    rp_region_purge(RP_ZONE_WORLD);
    play_commit_snapped(p);
    uint8_t *other = block(300);
    frames_that_write(p, other, 10, 80, 5);
    expect_every_state(p);
    play_close(p);
}

typedef struct fault_case {
    play *p;
    uint8_t *start;
    int round;
} fault_case;

static rp_status attempt_frame(void *context)
{
    fault_case *c = context;
    size_t first = c->round++ % 3 ? 0 : 25;
    write_pages(c->start, first, 50);
    rp_status status = play_collect(c->p);
    if (status == RP_OK) {
        status = rp_log_commit(c->p->log, &(rp_record_desc){.frame = ++c->p->frame}, c->p->entries,
                               c->p->entry_count);
        if (status != RP_OK) {
            rp_world_uncollect(c->p->world);
        }
    }
    if (status != RP_OK) {
        rp_log_slots_reset(c->p->log);
    }
    return status;
}

/* Four frames are one attempt, so that each call of becoming hot and cold fails once. */
static rp_status attempt_frames(void *context)
{
    rp_status status = RP_OK;
    for (int i = 0; i < 4 && status == RP_OK; i++) {
        status = attempt_frame(context);
    }
    return status;
}

TEST(a_call_that_fails_while_pages_become_hot_or_cold_loses_nothing)
{
    fault_case c = {.p = hot_open(RP_MIB(64), play_tracked()), .start = block(100)};
    play_commit_snapped(c.p);
    frames_that_write(c.p, c.start, 0, 50, 4);
    fault_each_call_or_recover(attempt_frames, &c, ENOMEM);
    play_commit_snapped(c.p);
    uint64_t last = rp_log_last(c.p->log);
    play_seek(c.p, 1);
    play_expect_at(c.p, 1);
    play_seek(c.p, last);
    play_expect_at(c.p, last);
    play_close(c.p);
}
