/* The property that all else rests on: whatever a program does to its world, every kept state comes
 * back byte for byte. Random programs, full copies beside, every way of tracking.
 */
#include "history/play.h"

#include "history/world_private.h"

#include <fcntl.h>
#include <reprise/memory.h>
#include <unistd.h>

enum {
    HABIT_PAGES = 64,
    HABITS = 3,
    QUIET_PAGES = 1600,
    BLOCKS = 48,
    BIG_BLOCKS = 2,
    POINTERS = 64,
    STATE_UNITS = 1
};

/* The program's state lies in its world, as a real one's does: a seek takes it back too. */
typedef struct program {
    void *blocks[BLOCKS];
    size_t block_bytes[BLOCKS];
    void *big[BIG_BLOCKS];
    void *pointers[POINTERS];
    rp_allocator *heap;
    uint8_t
        *quiet_block; /* written now and then, so that its huge pages split and are made again */
    uint8_t *habit_block; /* written over and over, so that its pages become hot */
    uint32_t habit_page[HABITS], habit_count[HABITS];
} program;

static uint8_t range_bytes[5 * 4096 + 700];
/* Two ranges inside one page, as thread-local blocks and custom sections are. */
static _Alignas(4096) uint8_t shared_page[4096];

typedef struct fuzz {
    play *p;
    program *program;
    uint64_t seed;
    int urandom;
    uint64_t most_hot;
} fuzz;

static uint64_t below(fuzz *f, uint64_t limit)
{
    return test_random(&f->seed) % limit;
}

static void scribble(fuzz *f, uint8_t *start, size_t size_bytes)
{
    size_t offset = below(f, size_bytes), most = size_bytes - offset;
    size_t count = 1 + below(f, most < 9000 ? most : 9000);
    switch (below(f, 5)) {
    case 0:
        memset(start + offset, 0, count);
        break;
    case 1: /* by the kernel, not by stores */
        rp_world_will_write(f->p->world, start + offset, count);
        ck_assert_int_gt(read(f->urandom, start + offset, count), 0);
        break;
    case 2:
        start[offset] ^= 1;
        break;
    default:
        memset(start + offset, (int)below(f, 256), count);
    }
}

static void act_on_block(fuzz *f)
{
    program *g = f->program;
    size_t i = below(f, BLOCKS);
    if (!g->blocks[i]) {
        g->block_bytes[i] = 1 + below(f, 30 * 4096);
        g->blocks[i] = rp_region_block_alloc(RP_ZONE_WORLD, g->block_bytes[i], RP_BLOCK_PAGES, 1,
                                             (uint32_t)below(f, 4));
        ck_assert_ptr_nonnull(g->blocks[i]);
    } else if (below(f, 4) == 0) {
        rp_region_block_free(g->blocks[i]);
        g->blocks[i] = NULL;
    } else {
        scribble(f, g->blocks[i], g->block_bytes[i]);
    }
}

static void act_on_big_block(fuzz *f)
{
    program *g = f->program;
    size_t i = below(f, BIG_BLOCKS), size_bytes = RP_MIB(1) + below(f, RP_MIB(3));
    if (g->big[i]) {
        rp_region_block_free(g->big[i]);
        g->big[i] = NULL;
        if (below(f, 2)) {
            rp_region_purge(RP_ZONE_WORLD);
        }
        return;
    }
    g->big[i] = rp_region_block_alloc(RP_ZONE_WORLD, size_bytes, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(g->big[i]);
    scribble(f, g->big[i], size_bytes);
}

static void act_on_heap(fuzz *f)
{
    program *g = f->program;
    size_t i = below(f, POINTERS);
    if (g->pointers[i]) {
        rp_free(g->pointers[i]);
        g->pointers[i] = NULL;
        return;
    }
    size_t size_bytes = 1 + below(f, below(f, 8) ? 300 : 40000);
    g->pointers[i] = rp_alloc(g->heap, size_bytes);
    ck_assert_ptr_nonnull(g->pointers[i]);
    memset(g->pointers[i], (int)below(f, 256), size_bytes);
}

static void take_up_habit(fuzz *f, size_t i)
{
    f->program->habit_count[i] = (uint32_t)(1 + below(f, 20));
    f->program->habit_page[i] = (uint32_t)below(f, HABIT_PAGES - f->program->habit_count[i]);
}

static void give_habits_up(fuzz *f)
{
    rp_region_block_free(f->program->habit_block);
    f->program->habit_block = NULL;
    if (below(f, 2)) {
        rp_region_purge(RP_ZONE_WORLD);
    }
}

/* Most pages of a habit are written each time, and now and then one is zero. */
static void follow_habits(fuzz *f)
{
    program *g = f->program;
    if (!g->habit_block) {
        g->habit_block =
            rp_region_block_alloc(RP_ZONE_WORLD, HABIT_PAGES * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
        ck_assert_ptr_nonnull(g->habit_block);
    }
    for (size_t i = 0; i < HABITS; i++) {
        if (!g->habit_count[i] || below(f, 15) == 0) {
            take_up_habit(f, i);
        }
        for (uint32_t n = 0; n < g->habit_count[i]; n++) {
            uint8_t *page = g->habit_block + (g->habit_page[i] + n) * RP_PAGE_BYTES;
            if (below(f, 30)) {
                page[below(f, RP_PAGE_BYTES)] = (uint8_t)below(f, 256);
            } else {
                memset(page, 0, below(f, 4) ? 1 : RP_PAGE_BYTES);
            }
        }
    }
    if (below(f, 40) == 0) {
        give_habits_up(f);
    }
}

static void act_on_quiet_block(fuzz *f)
{
    if (below(f, 12) == 0) {
        uint8_t *page = f->program->quiet_block + below(f, QUIET_PAGES) * RP_PAGE_BYTES;
        page[below(f, RP_PAGE_BYTES)] ^= (uint8_t)below(f, 256);
    }
}

static void act(fuzz *f)
{
    switch (below(f, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        act_on_block(f);
        break;
    case 4:
    case 5:
    case 6:
        act_on_heap(f);
        break;
    case 7:
        scribble(f, range_bytes + 100, sizeof range_bytes - 150);
        break;
    case 8:
        scribble(f, shared_page + 30, 100);
        break;
    case 9:
        scribble(f, shared_page + 2000, 1000);
        break;
    case 10:
        if (below(f, 6) == 0) {
            act_on_big_block(f);
        }
        break;
    default:
        act_on_quiet_block(f);
        break;
    }
}

static void run_a_while(fuzz *f)
{
    for (uint64_t acts = below(f, 10); acts > 0; acts--) {
        act(f);
    }
    if (below(f, 20)) {
        follow_habits(f);
    }
}

static uint64_t some_record(fuzz *f)
{
    uint64_t first = rp_log_first(f->p->log);
    return first + below(f, rp_log_last(f->p->log) - first + 1);
}

/* What history must leave alone: bytes beside the ranges. */
static void poke_outside(fuzz *f)
{
    shared_page[below(f, 30)] = 77;
    shared_page[3500 + below(f, 500)] = 78;
    range_bytes[below(f, 100)] = 79;
}

/* What an owner does in idle time, before, between and after what the program does. */
static void tend(fuzz *f)
{
    if (below(f, 3) == 0) {
        rp_world_tend(f->p->world, below(f, 2) ? UINT64_C(1000000000) : 0);
    }
}

/* Other thresholds, so that one way of finding what was written gives way to another. */
static void tune(fuzz *f)
{
    if (below(f, 25) == 0) {
        world_ways_tune(f->p->world, &(world_tuning){.hot_runs = 1 + (uint32_t)below(f, 64),
                                                     .scattered_pages = 1 + (uint32_t)below(f, 64),
                                                     .dense_percent = 1 + (uint32_t)below(f, 40),
                                                     .thin_percent = (uint32_t)below(f, 20),
                                                     .dense_frames = 1 + (uint32_t)below(f, 3),
                                                     .thin_frames = 1 + (uint32_t)below(f, 8)});
    }
}

static void turn(fuzz *f)
{
    size_t page_count;
    uint32_t first_page;
    uint64_t position = rp_log_position(f->p->log);
    tune(f);
    tend(f);
    run_a_while(f);
    tend(f);
    poke_outside(f);
    switch (below(f, 6)) {
    case 0:
        for (uint64_t seeks = 1 + below(f, 3); seeks > 0; seeks--) {
            position = some_record(f);
            play_seek(f->p, position);
            play_expect_at(f->p, position);
            if (seeks > 1 && below(f, 2)) { /* nothing runs in between */
                rp_world_rested(f->p->world);
            }
        }
        break;
    case 1:
        ck_ok(rp_world_revert(f->p->world, &page_count, &first_page));
        play_expect_at(f->p, position);
        break;
    default:
        play_commit_snapped(f->p);
        tend(f);
        if (below(f, 8) == 0) {
            rp_world_rested(f->p->world);
            play_seek(f->p, position = some_record(f));
            play_expect_at(f->p, position);
        }
    }
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_log_stats stats;
    rp_log_stats_get(f->p->log, &stats);
    /* free room goes back between frames (test_log_room.c) */
    ck_assert_uint_le(stats.history_bytes - stats.room_bytes, stats.budget_bytes);
    rp_world_stats world_stats;
    rp_world_stats_get(f->p->world, &world_stats);
    f->most_hot = f->most_hot > world_stats.hot_count ? f->most_hot : world_stats.hot_count;
}

static void start_program(fuzz *f)
{
    ck_ok(rp_world_range_add(f->p->world, range_bytes + 100, sizeof range_bytes - 150,
                             RP_PAGE_EXTRA + 10, "bytes"));
    ck_ok(rp_world_range_add(f->p->world, shared_page + 2000, 1000, RP_PAGE_EXTRA + 1000, "b"));
    ck_ok(rp_world_range_add(f->p->world, shared_page + 30, 100, RP_PAGE_EXTRA, "a"));
    f->program = rp_region_block_alloc(RP_ZONE_WORLD, sizeof *f->program, RP_BLOCK_PAGES, 1, 0);
    memset(f->program, 0, sizeof *f->program);
    f->program->quiet_block =
        rp_region_block_alloc(RP_ZONE_WORLD, QUIET_PAGES * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    memset(f->program->quiet_block, 0, QUIET_PAGES * RP_PAGE_BYTES); /* in memory, and no work */
    f->program->heap = rp_heap_create(&(rp_heap_desc){.name = "fuzz"});
    ck_assert_ptr_nonnull(f->program->heap);
}

static void run_random(uint64_t seed, size_t budget_bytes, rp_tracking tracking, int turns)
{
    fuzz f = {.seed = seed, .urandom = open("/dev/urandom", O_RDONLY)};
    f.p = play_open(budget_bytes, tracking);
    ck_assert_int_eq(rp_world_tracking(f.p->world), tracking);
    start_program(&f);
    play_commit_snapped(f.p);
    for (int i = 0; i < turns; i++) {
        turn(&f);
    }
    ck_assert_msg(rp_log_check(f.p->log), "%s", rp_error_last()->text);
    for (uint64_t index = rp_log_first(f.p->log); index <= rp_log_last(f.p->log); index++) {
        play_seek(f.p, index);
        play_expect_at(f.p, index);
    }
    rp_world_stats stats;
    rp_world_stats_get(f.p->world, &stats);
    ck_assert_uint_eq(stats.lost_count, 0);
    ck_assert_int_eq(f.most_hot > 0, tracking != RP_TRACKING_COMPARE);
    play_close(f.p);
    close(f.urandom);
}

TEST(every_state_comes_back_byte_for_byte_where_writes_are_tracked)
{
    run_random(test_seed(), RP_MIB(256), play_tracked(), 250);
}

TEST(every_state_comes_back_byte_for_byte_where_pages_are_compared)
{
    run_random(test_seed(), RP_MIB(256), RP_TRACKING_COMPARE, 120);
}

TEST(a_small_budget_keeps_fewer_states_and_those_exactly)
{
    run_random(test_seed(), RP_KIB(700), play_tracked(), 300);
}

TEST(a_small_budget_does_so_where_pages_are_compared)
{
    run_random(test_seed(), RP_KIB(700), RP_TRACKING_COMPARE, 120);
}
