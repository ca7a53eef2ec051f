/* The three ways of finding what was written, each reached by forced thresholds, and every state
 * compared byte for byte.
 */
#include "history/play.h"

#include "history/world_private.h"
#include "support/fault.h"

#include <errno.h>

enum { BLOCK_PAGES = 700, STRIDE = 3, STREAK = 3 };

static const world_tuning by_page = {
    .hot_runs = 4, .scattered_pages = 8, .dense_percent = 101, .dense_frames = STREAK};
static const world_tuning compare = {.hot_runs = 64,
                                     .scattered_pages = UINT32_MAX,
                                     .dense_percent = 1,
                                     .thin_percent = 1,
                                     .dense_frames = STREAK,
                                     .thin_frames = 2};

typedef struct scene {
    play *p;
    uint8_t *start;
    uint8_t value;
} scene;

static rp_world_stats stats_of(const play *p)
{
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    return stats;
}

static scene open_scene(const world_tuning *tuning, rp_tracking tracking)
{
    scene s = {.p = play_open(RP_MIB(64), tracking)};
    s.start =
        rp_region_block_alloc(RP_ZONE_WORLD, BLOCK_PAGES * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(s.start);
    memset(s.start, 1, BLOCK_PAGES * RP_PAGE_BYTES);
    play_commit_snapped(s.p);
    play_commit_snapped(s.p);
    world_ways_tune(s.p->world, tuning);
    return s;
}

static void write_page(scene *s, size_t page)
{
    s->start[page * RP_PAGE_BYTES + page] = ++s->value;
}

/* Pages by themselves, as many as every STRIDE-th of the first `pages`. */
static void write_scattered(scene *s, size_t pages)
{
    for (size_t page = 0; page < pages; page += STRIDE) {
        write_page(s, page);
    }
}

static void go_by_page(scene *s)
{
    for (int frame = 0; frame < 2 * STREAK + 2; frame++) {
        write_scattered(s, BLOCK_PAGES);
        play_commit_snapped(s->p);
    }
    ck_assert_int_eq(stats_of(s->p).way, RP_WAY_BY_PAGE);
}

static void go_compare(scene *s)
{
    for (int frame = 0; frame < STREAK; frame++) {
        for (size_t page = 0; page < BLOCK_PAGES; page++) {
            write_page(s, (page + (size_t)frame * 5) % BLOCK_PAGES);
        }
        play_commit_snapped(s->p);
    }
    ck_assert_int_eq(stats_of(s->p).way, RP_WAY_COMPARE);
}

static void expect_every_state(play *p)
{
    for (uint64_t index = rp_log_last(p->log); index >= rp_log_first(p->log); index--) {
        play_seek(p, index);
        play_expect_at(p, index);
    }
    ck_assert_msg(rp_log_check(p->log), "%s", rp_error_last()->text);
}

TEST(pages_that_are_hot_one_by_one_are_found_by_page)
{
    scene s = open_scene(&by_page, RP_TRACKING_WP_ASYNC);
    go_by_page(&s);
    ck_assert_uint_eq(stats_of(s.p).hot_count, (BLOCK_PAGES + STRIDE - 1) / STRIDE);
    ck_assert_uint_eq(stats_of(s.p).refused_count, 0);
    ck_assert_uint_gt(stats_of(s.p).hot_runs, by_page.hot_runs);
    write_scattered(&s, BLOCK_PAGES);
    write_page(&s, 400); /* neither of them is hot */
    write_page(&s, 403);
    play_commit_snapped(s.p);
    ck_assert_uint_eq(stats_of(s.p).fault_count, 2);
    ck_assert_uint_eq(s.p->entry_count, (BLOCK_PAGES + STRIDE - 1) / STRIDE + 2);
    play_commit_snapped(s.p);
    ck_assert_uint_eq(stats_of(s.p).fault_count, 0); /* they were armed again */
    expect_every_state(s.p);
    play_close(s.p);
}

TEST(hot_pages_that_came_to_rest_are_left_to_the_tracking_again)
{
    scene s = open_scene(&by_page, RP_TRACKING_WP_ASYNC);
    go_by_page(&s);
    for (int frame = 0; frame < 20; frame++) {
        write_scattered(&s, 4);
        play_commit_snapped(s.p);
    }
    ck_assert_int_eq(stats_of(s.p).way, RP_WAY_AROUND);
    ck_assert_uint_eq(stats_of(s.p).hot_count, 2);
    ck_assert_uint_eq(stats_of(s.p).way_change_count, 2);
    write_scattered(&s, BLOCK_PAGES);
    play_commit_snapped(s.p);
    ck_assert_uint_eq(s.p->entry_count, (BLOCK_PAGES + STRIDE - 1) / STRIDE);
    expect_every_state(s.p);
    play_close(s.p);
}

TEST(a_world_of_which_much_is_written_is_compared_and_tracked_again_when_it_rests)
{
    scene s = open_scene(&compare, play_tracked());
    go_compare(&s);
    write_page(&s, 5);
    write_page(&s, 300);
    play_commit_snapped(s.p);
    ck_assert_uint_eq(s.p->entry_count, 2);
    ck_assert_uint_eq(stats_of(s.p).fault_count, 0); /* no page was told by the tracking */
    play_commit_snapped(s.p);
    ck_assert_int_eq(stats_of(s.p).way, RP_WAY_AROUND);
    write_page(&s, 7); /* nothing is armed yet: this collect compares, too */
    play_commit_snapped(s.p);
    ck_assert_uint_eq(s.p->entry_count, 1);
    write_page(&s, 8);
    play_commit_snapped(s.p);
    ck_assert_uint_eq(s.p->entry_count, 1);
    ck_assert_uint_gt(stats_of(s.p).fault_count, 0);
    expect_every_state(s.p);
    play_close(s.p);
}

TEST(a_seek_and_a_revert_are_exact_each_way)
{
    static const world_tuning *const tunings[] = {&by_page, &compare};
    for (size_t i = 0; i < RP_COUNT_OF(tunings); i++) {
        scene s = open_scene(tunings[i], RP_TRACKING_WP_ASYNC);
        size_t page_count;
        uint32_t first_page;
        (i == 0 ? go_by_page : go_compare)(&s);
        write_page(&s, 1);
        write_page(&s, 333);
        ck_ok(rp_world_revert(s.p->world, &page_count, &first_page));
        ck_assert_uint_eq(page_count, 2);
        play_expect_at(s.p, rp_log_last(s.p->log));
        write_page(&s, 2);
        play_seek(s.p, 2);
        play_expect_at(s.p, 2);
        write_scattered(&s, 100);
        play_commit_snapped(s.p);
        expect_every_state(s.p);
        play_close(s.p);
        rp_region_destroy();
    }
}

static rp_status commit_once(void *context)
{
    scene *s = context;
    write_scattered(s, BLOCK_PAGES);
    rp_status status = play_collect(s->p);
    if (status == RP_OK) {
        status = rp_log_commit(s->p->log, &(rp_record_desc){.frame = ++s->p->frame}, s->p->entries,
                               s->p->entry_count);
    }
    if (status != RP_OK) {
        rp_log_slots_reset(s->p->log);
    }
    return status;
}

TEST(a_call_that_fails_loses_nothing_each_way)
{
    static const world_tuning *const tunings[] = {&by_page, &compare};
    for (size_t i = 0; i < RP_COUNT_OF(tunings); i++) {
        scene s = open_scene(tunings[i], RP_TRACKING_WP_ASYNC);
        (i == 0 ? go_by_page : go_compare)(&s);
        fault_each_call_or_recover(commit_once, &s, ENOMEM);
        ck_ok(commit_once(&s));
        uint64_t last = rp_log_last(s.p->log);
        s.p->snapshots[last] = play_snap(s.p);
        play_seek(s.p, 2);
        play_expect_at(s.p, 2);
        play_seek(s.p, last);
        play_expect_at(s.p, last);
        play_close(s.p);
        rp_region_destroy();
    }
}

static void random_frame(scene *s, uint64_t *seed, uint64_t habit)
{
    uint64_t random = test_random(seed);
    if (habit == 0) {
        write_scattered(s, BLOCK_PAGES);
    } else if (habit == 1) {
        for (size_t page = 0; page < BLOCK_PAGES; page++) {
            write_page(s, page);
        }
    }
    for (uint64_t left = random % 8; left > 0; left--) {
        write_page(s, test_random(seed) % BLOCK_PAGES);
    }
}

enum { PHASE_TURNS = 20, SETTLED_TURNS = 10, TURNS = 15 * PHASE_TURNS };

/* Each way is reached in its turn, and left again; how soon is by chance. */
static world_tuning random_tuning(uint64_t *seed, uint64_t phase)
{
    uint32_t frames = 1 + (uint32_t)(test_random(seed) % 3);
    return (world_tuning){
        .hot_runs = 4,
        .scattered_pages = phase % 3 == 0 ? 4 : UINT32_MAX,
        .dense_percent = phase % 3 == 1 ? 5 : 101,
        .thin_percent = phase % 3 == 1 ? 0 : (uint32_t)(test_random(seed) % 200),
        .dense_frames = frames,
        .thin_frames = frames,
    };
}

TEST(random_programs_under_random_thresholds_come_back_byte_for_byte)
{
    uint64_t seed = test_seed(), ways_seen = 0;
    scene s = open_scene(&by_page, play_tracked());
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        uint64_t phase = turn / PHASE_TURNS;
        if (turn % PHASE_TURNS == 0) {
            world_tuning tuning = random_tuning(&seed, phase);
            world_ways_tune(s.p->world, &tuning);
        }
        random_frame(&s, &seed, phase % 3);
        if (turn % PHASE_TURNS >= SETTLED_TURNS && test_random(&seed) % 4 == 0) {
            uint64_t first = rp_log_first(s.p->log);
            uint64_t index = first + test_random(&seed) % (rp_log_last(s.p->log) - first + 1);
            play_seek(s.p, index);
            play_expect_at(s.p, index);
        } else {
            play_commit_snapped(s.p);
        }
        ways_seen |= UINT64_C(1) << stats_of(s.p).way;
    }
    ck_assert_uint_eq(ways_seen & 5, 5); /* on the slower rungs nothing is found by page */
    ck_assert(play_tracked() != RP_TRACKING_WP_ASYNC || ways_seen == 7);
    expect_every_state(s.p);
    play_close(s.p);
}
