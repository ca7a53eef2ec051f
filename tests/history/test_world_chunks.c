/* Huge pages of the region that were split are made whole again, and no write is lost by it. */
#include "history/play.h"

#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <stdio.h>

enum { REST_FRAMES = 16, CHUNK_PAGES = 512, CHUNKS = 4 };
#define LONG_NS UINT64_C(2000000000)

/* Whole chunks inside a block that fills them. */
static uint8_t *chunks_of(play *p)
{
    size_t pages = (CHUNKS + 1) * CHUNK_PAGES;
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, pages * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(start);
    memset(start, 1, pages * RP_PAGE_BYTES);
    play_commit_snapped(p);
    return (uint8_t *)(uintptr_t)rp_align_up((uintptr_t)start, RP_OS_HUGE_BYTES);
}

static rp_world_stats stats_of(const play *p)
{
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    return stats;
}

static void rest(play *p, int frames)
{
    for (int i = 0; i < frames; i++) {
        play_commit_snapped(p);
    }
}

/* One page of each of the chunks; committed, and then at rest. */
static void split_all(play *p, uint8_t *chunks)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        chunks[i * RP_OS_HUGE_BYTES + 5 * RP_PAGE_BYTES]++;
    }
    play_commit_snapped(p);
    ck_assert_uint_ge(stats_of(p).split_count, CHUNKS);
}

static bool collapses(play *p)
{
    rp_world_tend(p->world, LONG_NS);
    if (stats_of(p).collapse_count == 0) {
        printf("skipped: this system collapses no memory\n");
        return false;
    }
    return true;
}

static void expect_every_state(play *p)
{
    for (uint64_t index = rp_log_first(p->log); index <= rp_log_last(p->log); index++) {
        play_seek(p, index);
        play_expect_at(p, index);
    }
}

TEST(a_split_chunk_at_rest_is_made_whole_and_later_writes_are_found)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *chunks = chunks_of(p);
    split_all(p, chunks);
    rp_world_tend(p->world, LONG_NS);
    ck_assert_uint_eq(stats_of(p).collapse_count, 0); /* it did not rest yet */
    rest(p, REST_FRAMES);
    if (collapses(p)) {
        ck_assert_uint_ge(stats_of(p).collapse_count, CHUNKS);
        play_commit_snapped(p);
        ck_assert_uint_eq(p->entry_count, 0); /* that counted as no write */
        chunks[7 * RP_PAGE_BYTES] = 9;
        chunks[3 * RP_OS_HUGE_BYTES] = 9;
        play_commit_snapped(p);
        ck_assert_uint_eq(p->entry_count, 2);
        ck_assert_uint_ge(stats_of(p).split_count, 2);
    }
    expect_every_state(p);
    play_close(p);
}

TEST(what_was_written_since_the_last_frame_is_not_lost_by_tending)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *chunks = chunks_of(p);
    split_all(p, chunks);
    rest(p, REST_FRAMES);
    chunks[100 * RP_PAGE_BYTES] = 77;
    if (collapses(p)) {
        ck_assert_uint_lt(stats_of(p).collapse_count, CHUNKS + 1);
    }
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 1);
    expect_every_state(p);
    play_close(p);
}

TEST(a_chunk_that_is_split_again_soon_rests_for_longer)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *chunks = chunks_of(p);
    split_all(p, chunks);
    rest(p, REST_FRAMES);
    if (collapses(p)) {
        uint64_t before = stats_of(p).collapse_count;
        split_all(p, chunks);
        rest(p, REST_FRAMES);
        rp_world_tend(p->world, LONG_NS);
        ck_assert_uint_eq(stats_of(p).collapse_count, before);
        rest(p, REST_FRAMES);
        rp_world_tend(p->world, LONG_NS);
        ck_assert_uint_ge(stats_of(p).collapse_count, before + CHUNKS);
    }
    play_close(p);
}

TEST(hot_pages_keep_their_chunk_split)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *chunks = chunks_of(p);
    for (int frame = 0; frame < 3 * REST_FRAMES; frame++) {
        for (size_t i = 0; i < 20; i++) {
            chunks[RP_OS_HUGE_BYTES + i * RP_PAGE_BYTES]++;
        }
        play_commit_snapped(p);
        rp_world_tend(p->world, LONG_NS);
    }
    ck_assert_uint_eq(stats_of(p).hot_count, 20);
    ck_assert_uint_eq(stats_of(p).collapse_count, 0);
    expect_every_state(p);
    play_close(p);
}

TEST(a_chunk_with_a_guard_stays_as_it_is)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(1), RP_BLOCK_PAGES, 1, RP_BLOCK_GUARD_AFTER);
    memset(start, 3, RP_MIB(1));
    uint8_t *more = rp_region_block_alloc(RP_ZONE_WORLD, RP_MIB(3), RP_BLOCK_PAGES, 1, 0);
    memset(more, 3, RP_MIB(3));
    play_commit_snapped(p);
    start[9 * RP_PAGE_BYTES] = 4;
    play_commit_snapped(p);
    rest(p, REST_FRAMES);
    rp_world_tend(p->world, LONG_NS);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    start[10 * RP_PAGE_BYTES] = 5;
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 1);
    expect_every_state(p);
    play_close(p);
}

TEST(a_seek_that_is_vouched_for_looks_for_nothing_and_ends_in_the_same_bytes)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *chunks = chunks_of(p);
    for (int frame = 0; frame < 8; frame++) {
        memset(chunks + (size_t)frame * 10 * RP_PAGE_BYTES, frame + 2, 20 * RP_PAGE_BYTES);
        chunks[RP_OS_HUGE_BYTES]++; /* and its neighbour: hot */
        chunks[RP_OS_HUGE_BYTES + RP_PAGE_BYTES]++;
        play_commit_snapped(p);
    }
    ck_assert_uint_gt(stats_of(p).hot_count, 0);
    for (uint64_t index = rp_log_last(p->log) + 1; index-- > rp_log_first(p->log);) {
        rp_world_rested(p->world);
        play_seek(p, index);
        play_expect_at(p, index);
    }
    chunks[3] = 99; /* the promise holds for one operation alone */
    play_commit_snapped(p);
    ck_assert_uint_eq(p->entry_count, 1);
    play_close(p);
}

typedef struct tended {
    play *p;
    uint8_t *chunks;
    uint8_t value;
} tended;

static rp_status split_rest_and_tend(void *context)
{
    tended *t = context;
    t->chunks[5 * RP_PAGE_BYTES] = ++t->value;
    for (int i = 0; i <= 2 * REST_FRAMES; i++) {
        rp_status status = play_collect(t->p);
        if (status == RP_OK) {
            status = rp_log_commit(t->p->log, &(rp_record_desc){.frame = ++t->p->frame},
                                   t->p->entries, t->p->entry_count);
        }
        if (status != RP_OK) {
            rp_log_slots_reset(t->p->log);
            return status;
        }
    }
    rp_world_tend(t->p->world, LONG_NS);
    t->chunks[6 * RP_PAGE_BYTES] = ++t->value;
    rp_status status = play_collect(t->p);
    bool found = t->p->entry_count >= 1;
    rp_log_slots_reset(t->p->log);
    rp_world_uncollect(t->p->world);
    ck_assert(status != RP_OK || found);
    return status;
}

TEST(no_failing_call_of_tending_loses_a_write)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    tended t = {.p = p, .chunks = chunks_of(p), .value = 1};
    fault_each_call_or_recover(split_rest_and_tend, &t, ENOMEM);
    play_commit_snapped(p);
    uint64_t last = rp_log_last(p->log);
    play_seek(p, rp_log_first(p->log));
    play_seek(p, last);
    play_expect_at(p, last);
    play_close(p);
}
