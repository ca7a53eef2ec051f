/* How written pages are found: three ways, and when one gives way to another.
 *
 *   around    the tracking tells and arms in one step, by a scan between any two runs of hot pages.
 *             Each run costs a scan, so there are few of them.
 *   by page   one scan of all tells and arms nothing, so hot pages may lie anywhere; the pages that
 *             are not hot are armed again run by run. Dearer for them by 0.3 to 0.8 us a run, and
 *             cheaper by a fault and its protection, 1 us, for each page that can be hot now.
 *   compare   nothing is armed: all of the region is compared with its images. That costs 0.25 us
 *             for each page that there is, and spares 1 us for each that is written.
 *
 * What is written wanders, so each change waits for some frames in a row, and the way back lies
 * below the way there. The thresholds follow from these costs; no benchmark measures where the ways
 * cross.
 */
#include "history/world_private.h"

static const world_tuning defaults = {
    .hot_runs = 64,
    .scattered_pages = 64,
    .dense_percent = 22,
    .thin_percent = 11,
    .dense_frames = 3,
    .thin_frames = 8,
};

void world_ways_init(rp_world *world)
{
    world->ways.tuning = defaults;
}

void world_ways_tune(rp_world *world, const world_tuning *tuning)
{
    world->ways.tuning = *tuning;
}

bool world_compares(const rp_world *world)
{
    return !world_tracks(world) || world->ways.way == RP_WAY_COMPARE;
}

size_t world_hot_room(const rp_world *world)
{
    size_t around = rp_min_size(world->ways.tuning.hot_runs, WORLD_HOT_RUNS);
    return world->ways.way == RP_WAY_BY_PAGE ? WORLD_HOT_RUNS : around;
}

static uint64_t region_pages(void)
{
    rp_region_span spans[RP_REGION_SPANS];
    uint64_t bytes = 0;
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS; i++) {
        bytes += spans[i].size_bytes;
    }
    return bytes >> RP_PAGE_SHIFT;
}

static uint32_t streak(uint32_t before, bool goes_on)
{
    return goes_on ? before + 1 : 0;
}

static void go(rp_world *world, rp_world_way way)
{
    world_ways *ways = &world->ways;
    if (way == RP_WAY_COMPARE) { /* what is still armed faults once more and never again */
        world_hot_forget(world);
    } else if (ways->way == RP_WAY_COMPARE) {
        world->unknown = true; /* the next gather arms all of it, and compares once more */
    }
    ways->way = way;
    ways->dense_streak = ways->thin_streak = ways->scattered_streak = 0;
    ways->change_count++;
}

static void choose_tracked(rp_world *world)
{
    world_ways *ways = &world->ways;
    const world_tuning *tuning = &ways->tuning;
    uint64_t cold = world->stats.cold_count, pages = region_pages();
    bool one_step = !rp_os_track_takes_signals(&world->tracker);
    ways->dense_streak = streak(ways->dense_streak, cold * 100 >= pages * tuning->dense_percent);
    ways->scattered_streak =
        streak(ways->scattered_streak, world->hot.refused_count >= tuning->scattered_pages);
    if (ways->dense_streak >= tuning->dense_frames) {
        go(world, RP_WAY_COMPARE);
    } else if (ways->way == RP_WAY_AROUND && one_step &&
               ways->scattered_streak >= tuning->dense_frames) {
        go(world, RP_WAY_BY_PAGE);
    } else if (ways->way == RP_WAY_BY_PAGE && world->hot.run_count <= tuning->hot_runs / 2) {
        go(world, RP_WAY_AROUND);
    }
}

void world_ways_choose(rp_world *world)
{
    world_ways *ways = &world->ways;
    const world_tuning *tuning = &ways->tuning;
    if (!world_tracks(world)) {
        return;
    }
    if (ways->way != RP_WAY_COMPARE) {
        choose_tracked(world);
        return;
    }
    uint64_t written = world->list_count;
    ways->thin_streak =
        streak(ways->thin_streak, written * 100 < region_pages() * tuning->thin_percent);
    if (ways->thin_streak >= tuning->thin_frames) {
        go(world, RP_WAY_AROUND);
    }
}
