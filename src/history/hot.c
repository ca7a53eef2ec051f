/* The hot set: runs of pages that are written in every frame. They stay unprotected and are
 * collected unasked, so the program's stores into them cost no fault and the scan passes them by.
 *
 * A page that was collected in three frames in a row, and a neighbour too, becomes hot: a run costs
 * the scan one more call (1 us), a page that is not in one costs a fault and its protection (1.5
 * us) in each frame. In each frame one page in sixteen is compared with its image; one that is
 * equal, and its neighbours that are, are armed and no longer hot. A hot page counts as written
 * whatever it holds, so a mistake here costs a copy and never a page.
 *
 * Where more runs would be needed than there is room for, the pages beyond are tracked as others
 * are. A seek or a revert empties the set but keeps what is known of the pages: those that the next
 * frame writes are hot again after it.
 */
#include "base/bits.h"
#include "history/world_private.h"

#include <string.h>

enum {
    HEAT_STREAK = 3,    /* frames in a row */
    HEAT_RUN_LEAST = 2, /* neighbours: one page is not worth a run of its own */
    FEW_PAGES = 8,      /* runs of fewer leave half of the room for longer ones */
    SAMPLE_STEP = 16,
};

/* ---- the set of runs
 * ------------------------------------------------------------------------------- */

static world_run run_between(uint32_t start, uint32_t end)
{
    return (world_run){start, end - start};
}

static uint32_t run_end(world_run run)
{
    return run.page + run.count;
}

/* The first run that ends behind a page. */
static size_t first_behind(const world_hot *hot, uint32_t page)
{
    size_t low = 0, high = hot->run_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run_end(hot->runs[middle]) <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Puts `count` runs in the place of those from `first` to before `last`. */
static void replace_runs(world_hot *hot, size_t first, size_t last, const world_run *runs,
                         size_t count)
{
    memmove(&hot->runs[first + count], &hot->runs[last],
            (hot->run_count - last) * sizeof hot->runs[0]);
    memcpy(&hot->runs[first], runs, count * sizeof runs[0]);
    hot->run_count = hot->run_count - (last - first) + count;
}

/* Takes the pages of `cut` out of the set; false, with nothing changed, where that would need more
 * runs than there is room for. */
static bool remove_run(world_hot *hot, world_run cut, size_t room)
{
    world_run kept[2];
    size_t count = 0, first = first_behind(hot, cut.page), last = first;
    while (last < hot->run_count && hot->runs[last].page < run_end(cut)) {
        last++;
    }
    if (first == last) {
        return true;
    }
    if (hot->runs[first].page < cut.page) {
        kept[count++] = run_between(hot->runs[first].page, cut.page);
    }
    if (run_end(hot->runs[last - 1]) > run_end(cut)) {
        kept[count++] = run_between(run_end(cut), run_end(hot->runs[last - 1]));
    }
    if (count > last - first && hot->run_count >= room) {
        return false;
    }
    replace_runs(hot, first, last, kept, count);
    return true;
}

/* Joins `added` with what it touches; false, with nothing changed, where there is no room. */
static bool add_run(world_hot *hot, world_run added, size_t room)
{
    size_t first = added.page ? first_behind(hot, added.page - 1) : 0, last;
    uint32_t start = added.page, end = run_end(added);
    for (last = first; last < hot->run_count && hot->runs[last].page <= end; last++) {
        start = (uint32_t)rp_min_size(start, hot->runs[last].page);
        end = end > run_end(hot->runs[last]) ? end : run_end(hot->runs[last]);
    }
    if (last == first && hot->run_count >= room) {
        return false;
    }
    replace_runs(hot, first, last, &(world_run){start, end - start}, 1);
    return true;
}

size_t world_hot_count(const rp_world *world)
{
    size_t sum = 0;
    for (size_t i = 0; i < world->hot.run_count; i++) {
        sum += world->hot.runs[i].count;
    }
    return sum;
}

uint32_t world_hot_alike(const rp_world *world, world_run run, bool *hot)
{
    size_t at = first_behind(&world->hot, run.page);
    bool any = at < world->hot.run_count;
    world_run found = any ? world->hot.runs[at] : run;
    *hot = any && found.page <= run.page;
    uint32_t end = !any || *hot ? run_end(found) : found.page;
    return end < run_end(run) ? end - run.page : run.count;
}

void world_hot_forget(rp_world *world)
{
    world->hot.run_count = 0;
}

/* ---- becoming hot
 * ---------------------------------------------------------------------------------- */

/* A word of `heat`: the collect in which the page was last seen, and how many in a row there were.
 */
static uint32_t warmed(const world_hot *hot, uint32_t heat)
{
    bool in_a_row = heat >> 2 == ((hot->collect_number - 1) & (UINT32_MAX >> 2));
    uint32_t streak = in_a_row ? heat & 3 : 0;
    return hot->collect_number << 2 | (streak < HEAT_STREAK ? streak + 1 : HEAT_STREAK);
}

/* Tells whether the page is warm now. Guarded pages and pages of zeros keep their protection, and
 * so do those outside the region. */
static bool heat_page(rp_world *world, uint32_t page)
{
    if (page >= RP_PAGE_EXTRA || rp_sparse_need(&world->hot.heat, page, 1) != RP_OK) {
        return false;
    }
    uint32_t *heat = &world->hot.heat.words[page];
    *heat = warmed(&world->hot, *heat);
    return (*heat & 3) == HEAT_STREAK && rp_world_page_image(world, page);
}

/* False where there is no room. Where each page is asked for anyway, one alone is worth it. */
static bool make_hot(rp_world *world, world_run run)
{
    bool by_page = world->ways.way == RP_WAY_BY_PAGE;
    size_t size_bytes = (size_t)run.count * RP_PAGE_BYTES, room = world_hot_room(world);
    bool few = !by_page && run.count < FEW_PAGES && world->hot.run_count >= room / 2;
    bool least = run.count >= HEAT_RUN_LEAST || by_page;
    if (!least || few || !add_run(&world->hot, run, room)) {
        return false;
    }
    world_chunks_touched(world, run.page, run.count);
    /* Where that fails the stores fault one by one, which is slower and as good. */
    (void)rp_os_track_disarm(&world->tracker, world_page_start(run.page), size_bytes);
    return true;
}

static bool is_hot(const rp_world *world, world_run run)
{
    bool hot;
    return world_hot_alike(world, run, &hot) == run.count && hot;
}

void world_hot_learn(rp_world *world, const rp_page_slot *entries, size_t count)
{
    world->hot.collect_number++;
    world->hot.refused_count = 0;
    if (world_compares(world)) {
        return;
    }
    world_run run = {0, 0};
    for (size_t i = 0; i <= count; i++) {
        bool warm = i < count && heat_page(world, entries[i].page);
        if (warm && run.count && entries[i].page == run_end(run)) {
            run.count++;
            continue;
        }
        if (run.count && !is_hot(world, run) && !make_hot(world, run)) {
            world->hot.refused_count += run.count;
        }
        run = warm ? (world_run){entries[i].page, 1} : (world_run){0, 0};
    }
}

/* ---- becoming cold
 * --------------------------------------------------------------------------------- */

/* The pages equal their images, and nothing writes before they are armed: the program is at rest.
 */
static void make_cold(rp_world *world, world_run run)
{
    if (!remove_run(&world->hot, run, world_hot_room(world))) {
        return;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        world->hot.heat.words[run.page + i] = 0;
    }
    world->unknown |= rp_os_track_arm(&world->tracker, world_page_start(run.page),
                                      (size_t)run.count * RP_PAGE_BYTES) != RP_OK;
}

/* The pages around `page`, which is clean, that are clean too. */
static world_run clean_run(const rp_world *world, world_run hot, uint32_t page)
{
    uint32_t start = page, end = page + 1;
    while (start > hot.page && world_page_is_clean(world, start - 1)) {
        start--;
    }
    while (end < run_end(hot) && world_page_is_clean(world, end)) {
        end++;
    }
    return run_between(start, end);
}

void world_hot_cool(rp_world *world)
{
    world_run before[WORLD_HOT_RUNS];
    size_t count = world->hot.run_count;
    memcpy(before, world->hot.runs, count * sizeof before[0]);
    for (size_t i = 0; i < count; i++) {
        uint32_t page = before[i].page;
        page += (world->hot.collect_number - page) % SAMPLE_STEP;
        for (; page < run_end(before[i]); page += SAMPLE_STEP) {
            if (world_page_is_clean(world, page)) {
                world_run clean = clean_run(world, before[i], page);
                make_cold(world, clean);
                page += (run_end(clean) - 1 - page) / SAMPLE_STEP * SAMPLE_STEP;
            }
        }
    }
}

void world_hot_drop(rp_world *world, world_area area)
{
    uint32_t end = area.page + (uint32_t)(area.size_bytes >> RP_PAGE_SHIFT);
    (void)remove_run(&world->hot, run_between(area.page, end), WORLD_HOT_RUNS);
}

void world_hot_empty(rp_world *world)
{
    for (size_t i = 0; i < world->hot.run_count; i++) {
        world_run run = world->hot.runs[i];
        world->unknown |= rp_os_track_arm(&world->tracker, world_page_start(run.page),
                                          (size_t)run.count * RP_PAGE_BYTES) != RP_OK;
    }
    world->hot.run_count = 0;
}
