/* What history takes and how far it is away: S5 and S6.
 *
 *   S5  seek to frames of ten minutes (36,000) of a program with a world of 64 MiB, and copy what
 *       differs into that world: the 99th percentile, in ms, of leaps anywhere, and of a drag along
 *       the time line that reverses now and then
 *   S6  bytes of history over bytes of pages written, with room for all; the most that history ever
 *       was over its budget, with room for little; what packing a page costs beside copying it
 *
 * The program is log_game.h. Frames are made as fast as packing follows, and not timed; a run of
 * the host makes 60 a second. Every state that is sought is checked against its hash by the log.
 */
#include "bench.h"
#include "log_game.h"

#include "base/bits.h"
#include "history/log.h"
#include "history/world.h"
#include "region/region.h"

#include <time.h>

enum {
    FRAMES = 36000,
    RATIO_FRAMES = 10800,
    SHORT_FRAMES = 3600,
    SEEKS = 1500,
    SEEKS_FAR = 150, /* where every page differs */
    ENTRIES_MOST = 1 << 17,
    RUNS_MOST = 4096,
    FLOAT_PAGES = 256,
};
#define WORLD_BYTES RP_MIB(64)

typedef struct setup {
    rp_log *log;
    rp_world *world;
    game_state *game;
    uint8_t *rest;
    size_t rest_pages;
    rp_page_slot *entries;
    size_t entry_count;
    rp_slot_run runs[RUNS_MOST];
    size_t run_count, run_next;
    uint64_t frame, seed;
    double most_of_budget;
} setup;

static bench_samples samples; /* too large for the stack */

static void must(rp_status status, const char *what)
{
    if (status != RP_OK) {
        fprintf(stderr, "bench_log: %s: %s\n", what, rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
}

static bool give_slots(void *context, uint32_t want, rp_slot_run *run)
{
    setup *s = context;
    if (s->run_next == s->run_count) {
        s->run_next = s->run_count = 0;
        if (rp_log_slots_offer(s->log, want, s->runs, RUNS_MOST, &s->run_count) != RP_OK) {
            return false;
        }
    }
    *run = s->runs[s->run_next++];
    return true;
}

static bool take_entries(void *context, const rp_page_slot *entries, size_t count)
{
    setup *s = context;
    memcpy(s->entries + s->entry_count, entries, count * sizeof *entries);
    s->entry_count += count;
    return true;
}

static rp_log_stats stats_of(const setup *s)
{
    rp_log_stats stats;
    rp_log_stats_get(s->log, &stats);
    return stats;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* Frames come faster here than in a run: those that are not packed yet must not pile up. */
static void follow(setup *s)
{
    rp_log_stats stats = stats_of(s);
    uint64_t target = rp_min_size(stats.budget_bytes / 8, RP_MIB(64)); /* what stays raw */
    while (stats.raw_bytes > target + target / 4 && stats.raw_count > 1) {
        pause_a_little();
        rp_log_tend(s->log);
        stats = stats_of(s);
    }
    double part = (double)stats.history_bytes / (double)stats.budget_bytes;
    s->most_of_budget = part > s->most_of_budget ? part : s->most_of_budget;
}

/* Until all that will be packed is packed, and packed again. */
static void settle(setup *s)
{
    uint64_t spent = UINT64_MAX;
    for (int calm = 0; calm < 200;) {
        pause_a_little();
        rp_log_tend(s->log);
        uint64_t now = stats_of(s).packing_ns;
        calm = now == spent ? calm + 1 : 0;
        spent = now;
    }
}

static void commit(setup *s)
{
    s->entry_count = s->run_next = s->run_count = 0;
    must(rp_world_collect(s->world, give_slots, take_entries, s), "collect");
    must(rp_log_commit(s->log, &(rp_record_desc){.frame = ++s->frame}, s->entries, s->entry_count),
         "commit");
    follow(s);
}

static setup *open_setup_with(size_t budget_bytes, uint32_t tile_count)
{
    setup *s = calloc(1, sizeof *s);
    must(s ? RP_OK : RP_E_MEMORY, "memory");
    s->seed = 99;
    s->entries = malloc(ENTRIES_MOST * sizeof *s->entries);
    must(s->entries ? RP_OK : RP_E_MEMORY, "memory");
    must(rp_region_create(NULL), "region");
    const rp_log_desc desc = {.budget_bytes = budget_bytes, .writable = true};
    must(rp_log_create_with(&desc, &s->log), "log");
    must(rp_world_open(rp_log_fd(s->log), RP_TRACKING_AUTO, &s->world), "world");
    uint8_t *start = rp_region_block_alloc(RP_ZONE_WORLD, WORLD_BYTES, RP_BLOCK_PAGES, 1, 0);
    must(start ? RP_OK : RP_E_MEMORY, "block");
    size_t own = rp_align_up(game_bytes(tile_count), RP_PAGE_BYTES);
    s->game = (game_state *)(void *)start;
    s->rest = start + own;
    s->rest_pages = (WORLD_BYTES - own) / RP_PAGE_BYTES;
    game_start(s->game, tile_count, s->rest, WORLD_BYTES - own);
    commit(s);
    return s;
}

static setup *open_setup(size_t budget_bytes)
{
    return open_setup_with(budget_bytes, GAME_TILES);
}

static void close_setup(setup *s)
{
    rp_world_close(s->world);
    rp_log_destroy(s->log);
    rp_region_destroy();
    free(s->entries);
    free(s);
}

static void play(setup *s, int frames, unsigned sweep)
{
    for (int i = 0; i < frames; i++) {
        game_step(s->game, s->rest, s->rest_pages, sweep);
        commit(s);
    }
}

/* ---- S5 ---- */

static uint64_t next_random(setup *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed;
}

static void seek(setup *s, uint64_t frame)
{
    const rp_page_slot *entries;
    size_t count, skipped;
    uint64_t index;
    must(rp_log_find_kept(s->log, frame, &index) ? RP_OK : RP_E_RANGE, "find");
    uint64_t start = bench_ns();
    must(rp_log_seek(s->log, index, &entries, &count), "seek");
    must(rp_world_apply_begin(s->world), "apply");
    must(rp_world_apply(s->world, entries, count), "apply");
    must(rp_world_apply_end(s->world, &skipped), "apply");
    bench_add(&samples, bench_ns() - start);
}

static void print_seeks(const setup *s, const char *what)
{
    rp_log_stats stats = stats_of(s);
    char note[200];
    double median_us = bench_median(&samples), p99_us = bench_quantile(&samples, 0.99);
    snprintf(note, sizeof note,
             "worst %.1f ms; frames %llu to %llu, %llu of %llu thinned, history %llu MiB for %llu "
             "MiB written",
             bench_quantile(&samples, 1) / 1000, (unsigned long long)stats.oldest_frame,
             (unsigned long long)stats.newest_frame, (unsigned long long)stats.thinned_count,
             (unsigned long long)stats.record_count,
             (unsigned long long)(stats.history_bytes >> 20),
             (unsigned long long)(stats.written_bytes >> 20));
    bench_print(&(bench_result){.id = "S5",
                                .what = what,
                                .unit = "ms",
                                .value = p99_us / 1000,
                                .target = 16,
                                .median_us = median_us,
                                .spread = bench_spread(&samples),
                                .note = note});
}

static void measure_leaps(setup *s, int count, const char *what)
{
    rp_log_stats stats = stats_of(s);
    uint64_t span = stats.newest_frame - stats.oldest_frame + 1;
    samples.count = 0;
    for (int i = 0; i < count; i++) {
        seek(s, stats.oldest_frame + next_random(s) % span);
    }
    print_seeks(s, what);
}

/* 1 to 120 frames at a time, as a mouse goes, now this way and now that. */
static void measure_drag(setup *s, int count, const char *what)
{
    rp_log_stats stats = stats_of(s);
    int64_t frame = (int64_t)stats.newest_frame, way = -1;
    samples.count = 0;
    for (int i = 0; i < count; i++) {
        frame += way * (int64_t)(1 + next_random(s) % 120);
        if (frame < (int64_t)stats.oldest_frame || frame > (int64_t)stats.newest_frame) {
            way = -way;
            frame = frame < (int64_t)stats.oldest_frame ? (int64_t)stats.oldest_frame
                                                        : (int64_t)stats.newest_frame;
        }
        way = next_random(s) % 20 == 0 ? -way : way;
        seek(s, (uint64_t)frame);
    }
    print_seeks(s, what);
}

static void measure_steps_back(setup *s, const char *what)
{
    uint64_t frame = stats_of(s).newest_frame / 2;
    samples.count = 0;
    for (int i = 0; i < SEEKS; i++) {
        seek(s, frame--);
    }
    print_seeks(s, what);
}

static void measure_kept(void)
{
    setup *s = open_setup(RP_GIB(4));
    play(s, FRAMES, 0);
    measure_leaps(s, SEEKS, "leaps, all kept");
    measure_drag(s, SEEKS, "drag, all kept");
    measure_steps_back(s, "steps back");
    close_setup(s);
}

/* Four tiles of 2048 pages are four more pages in each frame, anywhere. */
static void measure_map(void)
{
    setup *s = open_setup_with(RP_GIB(4), GAME_TILES_MOST);
    play(s, FRAMES, 0);
    measure_leaps(s, SEEKS, "leaps, map of 8 MiB");
    measure_drag(s, SEEKS, "drag, map of 8 MiB");
    close_setup(s);
}

static void measure_thinned(void)
{
    setup *s = open_setup(RP_MIB(512));
    play(s, FRAMES, 0);
    measure_leaps(s, SEEKS, "leaps, 512 MiB");
    close_setup(s);
}

static void measure_changing(void)
{
    setup *s = open_setup(RP_GIB(2));
    play(s, FRAMES, 8);
    measure_leaps(s, SEEKS_FAR, "leaps, all changes");
    measure_drag(s, SEEKS_FAR, "drag, all changes");
    close_setup(s);
}

/* ---- S6 ---- */

/* What memcpy takes for a page, one after the other through the whole world: the limit of any way
 * to keep it. */
static double copy_page_us(const setup *s)
{
    static bench_samples copies;
    static uint8_t to[1024][RP_PAGE_BYTES];
    copies.count = 0;
    for (size_t from = 0; from + RP_COUNT_OF(to) <= s->rest_pages; from += RP_COUNT_OF(to)) {
        uint64_t start = bench_ns();
        for (size_t i = 0; i < RP_COUNT_OF(to); i++) {
            memcpy(to[i], s->rest + (from + i) * RP_PAGE_BYTES, RP_PAGE_BYTES);
            __asm__ volatile("" : : "r"(to[i]) : "memory");
        }
        bench_add(&copies, bench_ns() - start);
    }
    return bench_median(&copies) / RP_COUNT_OF(to);
}

static void print_ratio(const setup *s, const char *what, double target)
{
    rp_log_stats stats = stats_of(s);
    uint64_t pages = stats.written_bytes / RP_PAGE_BYTES;
    double packing_us = (double)stats.packing_ns / 1000 / (double)pages;
    double copy_us = copy_page_us(s);
    char note[240];
    snprintf(note, sizeof note,
             "raw %llu, packed %llu, tables %llu MiB; %llu pages a frame; %.2f us "
             "of packing a page, %.2f us of copying one (%.1f GB/s)",
             (unsigned long long)(stats.raw_bytes >> 20),
             (unsigned long long)(stats.packed_bytes >> 20),
             (unsigned long long)(stats.table_bytes >> 20),
             (unsigned long long)(pages / stats.committed_count), packing_us, copy_us,
             RP_PAGE_BYTES / copy_us / 1000);
    /* the first frame's pages are the world, which is no history */
    uint64_t first = WORLD_BYTES;
    bench_print(&(bench_result){.id = "S6",
                                .what = what,
                                .unit = "ratio",
                                .value = (double)stats.history_bytes /
                                         (double)(stats.written_bytes - first),
                                .target = target,
                                .median_us = packing_us,
                                .peer_us = copy_us,
                                .note = note});
}

static void move_floats(setup *s)
{
    float *position = (float *)(void *)s->rest;
    float *velocity = position + FLOAT_PAGES * RP_PAGE_BYTES / sizeof(float);
    for (size_t i = 0; i < FLOAT_PAGES * RP_PAGE_BYTES / sizeof(float); i++) {
        position[i] += velocity[i] * (1.0f / 60);
    }
}

static void start_floats(setup *s)
{
    float *word = (float *)(void *)s->rest;
    for (size_t i = 0; i < 2 * FLOAT_PAGES * RP_PAGE_BYTES / sizeof(float); i++) {
        word[i] = game_float(s->game, 20) - 10;
    }
}

static void measure_budget(size_t budget_bytes, const char *what)
{
    setup *s = open_setup(budget_bytes);
    play(s, SHORT_FRAMES, 16);
    settle(s);
    rp_log_stats stats = stats_of(s);
    char note[120];
    snprintf(note, sizeof note, "frames %llu to %llu, %llu thinned, every one from %llu",
             (unsigned long long)stats.oldest_frame, (unsigned long long)stats.newest_frame,
             (unsigned long long)stats.thinned_count, (unsigned long long)stats.every_frame_from);
    bench_print(&(bench_result){.id = "S6",
                                .what = what,
                                .unit = "ratio",
                                .value = s->most_of_budget,
                                .target = 1,
                                .note = note});
    close_setup(s);
}

static void measure_s6(void)
{
    setup *s = open_setup(RP_GIB(1));
    play(s, RATIO_FRAMES, 0);
    settle(s);
    print_ratio(s, "a game", 0.125);
    close_setup(s);
    s = open_setup_with(RP_GIB(1), GAME_TILES_MOST);
    play(s, RATIO_FRAMES, 0);
    settle(s);
    print_ratio(s, "a game, map of 8 MiB", 0.125);
    close_setup(s);
    s = open_setup(RP_GIB(2));
    start_floats(s);
    for (int i = 0; i < SHORT_FRAMES / 2; i++) {
        move_floats(s);
        commit(s);
    }
    settle(s);
    print_ratio(s, "every float moves", 0);
    close_setup(s);
    measure_budget(RP_MIB(64), "64 MiB over budget");
    measure_budget(RP_MIB(8), "8 MiB over budget");
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (bench_wants("S6")) {
        measure_s6();
    }
    /* one case alone by its own name, since each takes its time */
    if (bench_wants("S5") || bench_wants("S5-kept")) {
        measure_kept();
    }
    if (bench_wants("S5") || bench_wants("S5-map")) {
        measure_map();
    }
    if (bench_wants("S5") || bench_wants("S5-thinned")) {
        measure_thinned();
    }
    if (bench_wants("S5") || bench_wants("S5-changing")) {
        measure_changing();
    }
    return bench_done();
}
