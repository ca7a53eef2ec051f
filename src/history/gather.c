/* Finding the pages that were written: marks them pending. What was found stays pending until it
 * was collected, reverted or applied over, so a failure in between loses nothing.
 */
#include "base/assert.h"
#include "base/error.h"
#include "history/page.h"
#include "history/world_private.h"

#include <string.h>

static world_run *runs_of(const rp_world *world)
{
    return (world_run *)(void *)world->runs.data;
}

static rp_status append_page(rp_world *world, uint32_t page)
{
    world_run *last = world->run_count ? &runs_of(world)[world->run_count - 1] : NULL;
    if (last && last->page + last->count == page) {
        last->count++;
        return RP_OK;
    }
    rp_status status = rp_grow_need(&world->runs, (world->run_count + 1) * sizeof(world_run));
    if (status == RP_OK) {
        runs_of(world)[world->run_count++] = (world_run){page, 1};
    }
    return status;
}

static bool is_excluded(const rp_world *world, uint32_t page)
{
    for (size_t i = 0; i < world->excluded_count; i++) {
        if (page - world->excluded[i].page < world->excluded[i].count) {
            return true;
        }
    }
    return false;
}

rp_status world_add_pending(rp_world *world, uint32_t page, uint32_t count)
{
    rp_status status = rp_sparse_need(&world->pending, page, count);
    if (status == RP_OK) {
        status = rp_sparse_need(&world->images, page, count);
    }
    for (uint32_t i = 0; i < count && status == RP_OK; i++) {
        if (!world->pending.words[page + i] && !is_excluded(world, page + i)) {
            status = append_page(world, page + i);
            world->pending.words[page + i] = status == RP_OK;
        }
    }
    return status;
}

/* The first stretch of pending pages in [page, end); a count of 0: none. */
static world_run next_pending(const rp_world *world, uint32_t page, uint32_t end)
{
    while (page < end && !world->pending.words[page]) {
        page++;
    }
    world_run found = {page, 0};
    while (page < end && world->pending.words[page]) {
        page++;
    }
    found.count = page - found.page;
    return found;
}

/* A run that has gaps: its later stretches go to the end of the list. */
static void split_off(rp_world *world, world_run run)
{
    if (rp_grow_need(&world->runs, (world->run_count + 1) * sizeof run) == RP_OK) {
        runs_of(world)[world->run_count++] = run;
    } else {
        memset(&world->pending.words[run.page], 0, run.count * sizeof(uint32_t));
        world->unknown = true;
    }
}

void world_pending_compact(rp_world *world)
{
    size_t kept = 0, before = world->run_count;
    for (size_t r = 0; r < before; r++) {
        world_run run = runs_of(world)[r];
        uint32_t end = run.page + run.count;
        world_run part = next_pending(world, run.page, end);
        if (part.count) {
            runs_of(world)[kept++] = part;
        }
        for (part = next_pending(world, part.page + part.count, end); part.count;
             part = next_pending(world, part.page + part.count, end)) {
            split_off(world, part);
        }
    }
    size_t split = world->run_count - before;
    if (split) {
        memmove(runs_of(world) + kept, runs_of(world) + before, split * sizeof(world_run));
    }
    world->run_count = kept + split;
}

/* ---- scratch -----------------------------------------------------------------------------------
 */

/* Disarmed for the wiping, or it would be reported as written the next time. */
static rp_status wipe_written(rp_world *world, uint8_t *start, uint8_t *end)
{
    size_t size_bytes = (size_t)(end - start);
    rp_status status = rp_os_track_disarm(&world->tracker, start, size_bytes);
    memset(start, 0, size_bytes);
    return status == RP_OK ? rp_os_track_arm(&world->tracker, start, size_bytes) : status;
}

static void wipe_always(const rp_world *world)
{
    size_t size_bytes = (size_t)(world->scratch_end - world->scratch_always);
    if (size_bytes && !rp_world_refuses_system_calls(world)) {
        memset(world->scratch_always, 0, size_bytes);
        return;
    }
    for (uint8_t *page = world->scratch_always; page < world->scratch_end; page += RP_PAGE_BYTES) {
        if (!rp_page_is_zero(page)) { /* all of the stack: see rp_world_scratch_set */
            memset(page, 0, RP_PAGE_BYTES);
        }
    }
}

/* ---- what the tracker reports
 * --------------------------------------------------------------------- */

static rp_status add_part(rp_world *world, world_area area, uint8_t *start, uint8_t *end)
{
    if (start >= end) {
        return RP_OK;
    }
    size_t skip = (size_t)(start - area.start), size_bytes = (size_t)(end - start);
    if (rp_os_track_takes_signals(
            &world->tracker)) { /* told by 16 pages, of which most are clean */
        uint32_t page = area.page + (uint32_t)(skip >> RP_PAGE_SHIFT);
        return world_compare_area(world, (world_area){start, size_bytes, page});
    }
    return world_add_pending(world, area.page + (uint32_t)(skip >> RP_PAGE_SHIFT),
                             (uint32_t)(size_bytes >> RP_PAGE_SHIFT));
}

static uint8_t *lower(uint8_t *a, uint8_t *b)
{
    return a < b ? a : b;
}

static uint8_t *higher(uint8_t *a, uint8_t *b)
{
    return a > b ? a : b;
}

/* Scratch that was written is wiped and not passed on. */
static rp_status add_written(rp_world *world, world_area area, rp_os_extent written)
{
    uint8_t *start = written.start, *end = start + written.size_bytes;
    world->stats.fault_count += written.size_bytes >> RP_PAGE_SHIFT;
    world_chunks_touched(world, area.page + (uint32_t)((start - area.start) >> RP_PAGE_SHIFT),
                         (uint32_t)(written.size_bytes >> RP_PAGE_SHIFT));
    uint8_t *wipe_start = higher(start, world->scratch_start);
    uint8_t *wipe_end = lower(end, world->scratch_end);
    if (wipe_start >= wipe_end) {
        return add_part(world, area, start, end);
    }
    rp_status status = wipe_written(world, wipe_start, wipe_end);
    if (status == RP_OK) {
        status = add_part(world, area, start, wipe_start);
    }
    return status == RP_OK ? add_part(world, area, wipe_end, end) : status;
}

static rp_status scan_part(rp_world *world, world_area area, uint8_t *start, uint8_t *end)
{
    rp_status status = RP_OK;
    while (status == RP_OK && start < end) {
        size_t count;
        void *next;
        status = rp_os_track_collect(&world->tracker, start, (size_t)(end - start), world->scan,
                                     WORLD_SCAN_EXTENTS, &count, &next);
        for (size_t i = 0; i < count && status == RP_OK; i++) {
            status = add_written(world, area, world->scan[i]);
        }
        start = next;
    }
    return status;
}

/* ---- by page: hot pages are told, too, since they are not armed; the others are armed here ----
 */

static rp_status take_part(rp_world *world, world_area area, world_run part, bool hot)
{
    uint8_t *start = area.start + ((size_t)(part.page - area.page) << RP_PAGE_SHIFT);
    size_t size_bytes = (size_t)part.count << RP_PAGE_SHIFT;
    if (hot) {
        return add_part(world, area, start, start + size_bytes);
    }
    rp_status status = rp_os_track_arm(&world->tracker, start, size_bytes);
    return status == RP_OK ? add_written(world, area, (rp_os_extent){start, size_bytes}) : status;
}

static rp_status take_written(rp_world *world, world_area area, rp_os_extent written)
{
    rp_status status = RP_OK;
    world_run left = {area.page + (uint32_t)((written.start - area.start) >> RP_PAGE_SHIFT),
                      (uint32_t)(written.size_bytes >> RP_PAGE_SHIFT)};
    while (left.count && status == RP_OK) {
        bool hot;
        world_run part = {left.page, world_hot_alike(world, left, &hot)};
        status = take_part(world, area, part, hot);
        left = (world_run){left.page + part.count, left.count - part.count};
    }
    return status;
}

static rp_status look_at_part(rp_world *world, world_area area, uint8_t *start, uint8_t *end)
{
    rp_status status = RP_OK;
    while (status == RP_OK && start < end) {
        size_t count;
        void *next;
        status = rp_os_track_look(&world->tracker, start, (size_t)(end - start), world->scan,
                                  WORLD_SCAN_EXTENTS, &count, &next);
        for (size_t i = 0; i < count && status == RP_OK; i++) {
            status = take_written(world, area, world->scan[i]);
        }
        start = next;
    }
    return status;
}

/* ---- around: hot pages are not looked at, they count as written ---- */

static rp_status scan_around_hot(rp_world *world, world_area area, uint8_t *start, uint8_t *end)
{
    rp_status status = RP_OK;
    if (world->ways.way == RP_WAY_BY_PAGE) {
        return look_at_part(world, area, start, end);
    }
    for (size_t i = 0; i < world->hot.run_count && status == RP_OK; i++) {
        world_run run = world->hot.runs[i];
        uint8_t *hot_start = higher(start, world_page_start(run.page));
        uint8_t *hot_end = lower(end, world_page_start(run.page + run.count));
        if (hot_start < hot_end) {
            status = scan_part(world, area, start, hot_start);
            if (status == RP_OK) {
                status = add_part(world, area, hot_start, hot_end);
            }
            start = hot_end;
        }
    }
    return status == RP_OK ? scan_part(world, area, start, end) : status;
}

/* The part of scratch that is always wiped stays disarmed, so it is not looked at. */
static rp_status scan_area(rp_world *world, world_area area)
{
    uint8_t *end = area.start + area.size_bytes;
    uint8_t *gap_start = higher(area.start, world->scratch_always);
    uint8_t *gap_end = lower(end, world->scratch_end);
    if (gap_start >= gap_end) {
        return scan_around_hot(world, area, area.start, end);
    }
    rp_status status = scan_around_hot(world, area, area.start, gap_start);
    return status == RP_OK ? scan_around_hot(world, area, gap_end, end) : status;
}

/* Tracking was lost or never begun: armed (again) and compared with the images. */
static rp_status mend_area(rp_world *world, world_area area)
{
    world_hot_drop(world, area);
    rp_status status = rp_os_track_add(&world->tracker, area.start, area.size_bytes);
    return status == RP_OK ? world_compare_area(world, area) : status;
}

static rp_status gather_area(rp_world *world, world_area area, bool tracked)
{
    if (area.size_bytes == 0) {
        return RP_OK;
    }
    if (!tracked) {
        return world_compare_area(world, area);
    }
    if (world->unknown) {
        return mend_area(world, area);
    }
    rp_status status = scan_area(world, area);
    if (status == RP_E_CHANGED) {
        world->stats.lost_count++;
        return mend_area(world, area);
    }
    return status;
}

/* ---- all of it
 * ----------------------------------------------------------------------------------- */

static rp_status gather_region(rp_world *world)
{
    rp_region_span spans[RP_REGION_SPANS];
    rp_status status = RP_OK;
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS && status == RP_OK; i++) {
        world_area area = {spans[i].start, spans[i].size_bytes, world_page_of(spans[i].start)};
        bool tracked = world_tracks(world) && world->ways.way != RP_WAY_COMPARE;
        status = gather_area(world, area, tracked);
    }
    return status;
}

static rp_status gather_range(rp_world *world, size_t index)
{
    const rp_world_range *range = &world->ranges[index];
    rp_status status = world_compare_edges(world, range);
    if (status == RP_OK) {
        status =
            gather_area(world, world_range_middle(range), !world->range_states[index].compared);
    }
    return status;
}

static rp_status gather_all(rp_world *world)
{
    rp_status status = gather_region(world);
    for (size_t i = 0; i < world->range_count && status == RP_OK; i++) {
        status = gather_range(world, i);
    }
    return status;
}

/* Where this process keeps the account itself, nobody tells of a page that was mapped anew. */
static rp_status gather_checked(rp_world *world)
{
    rp_status status = gather_all(world);
    if (status == RP_OK && rp_world_refuses_system_calls(world)) {
        status = rp_os_track_check(&world->tracker);
        if (status == RP_E_CHANGED) {
            world->stats.lost_count++;
            world->unknown = true;
            status = gather_all(world);
        }
    }
    return status;
}

rp_status world_gather(rp_world *world)
{
    world->list_count = 0; /* an earlier collect can no longer be taken back */
    /* It is open only where a collect could not close it: then a stray store may have changed what
     * is kept, so no frame is taken and none is restored before it is closed. */
    if (world_window_close(world) != RP_OK) {
        return rp_fail(RP_E_SYSTEM,
                       "history: the log cannot be closed against stray stores: no frame is kept "
                       "or restored until it is: %.200s",
                       rp_error_last()->text);
    }
    bool rested = world->rested && !world->unknown;
    world->rested = false;
    if (rested) {
        return RP_OK;
    }
    wipe_always(world);
    rp_status status = gather_checked(world);
    /* A scan forgets what it reports, so after a failure only a comparison can tell. */
    world->unknown = status != RP_OK;
    return status;
}
