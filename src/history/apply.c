/* Copying images back into the world.
 *
 * A store into an armed page costs a fault, and a later scan would report it. So runs of pages are
 * disarmed before the copying, and armed again at the end, when what was written there is
 * forgotten.
 */
#include "base/assert.h"
#include "base/error.h"
#include "history/page.h"
#include "history/world_private.h"

/* ---- switching tracking off and on
 * ---------------------------------------------------------------- */

static world_run *open_runs(const rp_world *world)
{
    return (world_run *)(void *)world->open_list.data;
}

/* Disarms pages of the region that are about to be written, or that equal their images. */
static rp_status open_run(rp_world *world, uint32_t page, uint32_t count)
{
    const world_run *last = world->open_count ? &open_runs(world)[world->open_count - 1] : NULL;
    if (world_compares(world) || (last && page - last->page < last->count)) {
        return RP_OK;
    }
    rp_status status = rp_grow_need(&world->open_list, (world->open_count + 1) * sizeof(world_run));
    if (status == RP_OK) {
        /* Where that fails the stores fault one by one, which is slower and as good. */
        (void)rp_os_track_disarm(&world->tracker, world_page_start(page), count * RP_PAGE_BYTES);
        world_chunks_touched(world, page, count);
        open_runs(world)[world->open_count++] = (world_run){page, count};
    }
    return status;
}

static rp_status open_range(rp_world *world, uint32_t page)
{
    uint32_t index = world_range_of(world, page);
    world_range_state *state = &world->range_states[index];
    world_area middle = world_range_middle(&world->ranges[index]);
    if (!state->compared && !state->open && middle.size_bytes) {
        (void)rp_os_track_disarm(&world->tracker, middle.start, middle.size_bytes);
        state->open = true;
    }
    return RP_OK;
}

/* Pages that a scan looks at in the time that arming one run takes. */
enum { SCAN_PAGES_A_RUN = 600 };

typedef struct open_extent {
    size_t run_count;
    uint32_t page, end; /* from the lowest to behind the highest of them */
} open_extent;

static bool run_is_in(world_run run, world_area area)
{
    return run.page >= area.page && run.page - area.page < area.size_bytes >> RP_PAGE_SHIFT;
}

static open_extent open_extent_in(const rp_world *world, world_area area)
{
    open_extent all = {0, UINT32_MAX, 0};
    const world_run *runs = open_runs(world);
    for (size_t i = 0; i < world->open_count; i++) {
        uint32_t end = runs[i].page + runs[i].count;
        if (run_is_in(runs[i], area)) {
            all.run_count++;
            all.page = runs[i].page < all.page ? runs[i].page : all.page;
            all.end = end > all.end ? end : all.end;
        }
    }
    return all;
}

/* What a scan finds written it arms again; the rest is armed. */
static rp_status arm_by_scan(rp_world *world, open_extent all)
{
    uint8_t *start = world_page_start(all.page), *end = world_page_start(all.end);
    rp_status status = RP_OK;
    while (status == RP_OK && start < end) {
        size_t count;
        void *next;
        status = rp_os_track_collect(&world->tracker, start, (size_t)(end - start), world->scan,
                                     WORLD_SCAN_EXTENTS, &count, &next);
        start = next;
    }
    return status;
}

/* Neighbours are armed by one call. */
static rp_status arm_by_runs(rp_world *world, world_area area)
{
    const world_run *runs = open_runs(world);
    rp_status status = RP_OK;
    for (size_t i = 0; i < world->open_count && status == RP_OK;) {
        world_run joined = runs[i++];
        if (!run_is_in(joined, area)) {
            continue;
        }
        while (i < world->open_count && runs[i].page == joined.page + joined.count) {
            joined.count += runs[i++].count;
        }
        status = rp_os_track_arm(&world->tracker, world_page_start(joined.page),
                                 joined.count * RP_PAGE_BYTES);
    }
    return status;
}

/* A failure is made good by comparing at the next gather. */
static void close_runs(rp_world *world)
{
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS && world->open_count; i++) {
        world_area area = {spans[i].start, spans[i].size_bytes, world_page_of(spans[i].start)};
        open_extent all = open_extent_in(world, area);
        bool scan = all.run_count && (all.end - all.page) / SCAN_PAGES_A_RUN < all.run_count;
        rp_status status = scan ? arm_by_scan(world, all) : arm_by_runs(world, area);
        world->unknown |= status != RP_OK;
    }
    world->open_count = 0;
}

static void close_all(rp_world *world)
{
    bool any = world->open_count != 0;
    close_runs(world);
    world_hot_empty(world);
    for (size_t i = 0; i < world->range_count; i++) {
        world_area middle = world_range_middle(&world->ranges[i]);
        if (world->range_states[i].open) {
            world->unknown |=
                rp_os_track_arm(&world->tracker, middle.start, middle.size_bytes) != RP_OK;
            world->range_states[i].open = false;
        }
    }
    size_t always = (size_t)(world->scratch_end - world->scratch_always);
    if (any && always) {
        (void)rp_os_track_disarm(&world->tracker, world->scratch_always, always);
    }
}

/* ---- copying
 * --------------------------------------------------------------------------------------- */

static rp_status ensure_committed(uint32_t page)
{
    rp_region_span spans[RP_REGION_SPANS];
    uint8_t *address = world_page_start(page);
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS; i++) {
        if (address >= spans[i].start && address < spans[i].start + spans[i].size_bytes) {
            return RP_OK;
        }
    }
    return rp_region_commit_to(RP_ZONE_WORLD, address + RP_PAGE_BYTES);
}

/* `count` pages from `page` on are to be written, this one now. */
static rp_status make_writable(rp_world *world, uint32_t page, uint32_t count)
{
    if (page >= RP_PAGE_EXTRA) {
        return open_range(world, page);
    }
    rp_status status = ensure_committed(page);
    return status == RP_OK ? open_run(world, page, count) : status;
}

static void copy_image(const world_bytes *bytes, const uint8_t *image)
{
    if (image) {
        memcpy(bytes->address, image + bytes->offset, bytes->size_bytes);
    } else {
        memset(bytes->address, 0, bytes->size_bytes);
    }
}

/* ---- revert
 * ---------------------------------------------------------------------------------------- */

typedef struct reverting {
    size_t page_count;
    uint32_t first_page;
    bool lifted; /* guards are off: every page can be written */
} reverting;

static bool under_guard(const reverting *r, uint32_t page)
{
    return !r->lifted && page < RP_PAGE_EXTRA && rp_region_is_guard(world_page_start(page));
}

/* The page of a range that was never collected has nothing to go back to: it stays pending. */
static rp_status revert_page(rp_world *world, reverting *r, uint32_t page, uint32_t left_in_run)
{
    world_bytes bytes;
    if (!world->pending.words[page] || world_is_new(world, page)) {
        return RP_OK;
    }
    if (!under_guard(r, page) && !world_page_is_clean(world, page)) {
        world_page_bytes(world, page, &bytes);
        rp_status status = make_writable(world, page, left_in_run);
        if (status != RP_OK) {
            return status;
        }
        copy_image(&bytes, rp_world_page_image(world, page));
        r->first_page = r->page_count && r->first_page < page ? r->first_page : page;
        r->page_count++;
    }
    world->pending.words[page] = 0;
    return RP_OK;
}

static rp_status revert_pending(rp_world *world, reverting *r)
{
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    rp_status status = RP_OK;
    for (size_t n = 0; n < world->run_count; n++) {
        for (uint32_t i = 0; i < runs[n].count && status == RP_OK; i++) {
            status = revert_page(world, r, runs[n].page + i, runs[n].count - i);
        }
    }
    world_pending_compact(world);
    return status;
}

rp_status world_settle(rp_world *world)
{
    rp_status status = world_gather(world);
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    for (size_t n = 0; n < world->run_count && status == RP_OK; n++) {
        for (uint32_t page = runs[n].page; page < runs[n].page + runs[n].count; page++) {
            bool guard = page < RP_PAGE_EXTRA && rp_region_is_guard(world_page_start(page));
            if (!guard && !world_is_new(world, page) && world_page_is_clean(world, page)) {
                world->pending.words[page] = 0;
            }
        }
    }
    world_pending_compact(world);
    return status;
}

/* Whether the region's map changed, and with it perhaps what guards are wanted. */
static bool map_changed(const rp_world *world)
{
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t n = 0; n < world->run_count; n++) {
        for (uint32_t i = 0; i < runs[n].count; i++) {
            uint32_t page = runs[n].page + i;
            if (page < spans[0].size_bytes >> RP_PAGE_SHIFT && !world_page_is_clean(world, page)) {
                return true;
            }
        }
    }
    return false;
}

rp_status rp_world_revert(rp_world *world, size_t *page_count, uint32_t *first_page)
{
    RP_ASSERT(!world->applying);
    reverting r = {0};
    *page_count = 0;
    *first_page = 0;
    rp_status status = world_gather(world);
    if (status != RP_OK) {
        return status;
    }
    r.lifted = map_changed(world);
    if (r.lifted) {
        rp_region_guards_lift();
    }
    status = revert_pending(world, &r);
    if (r.lifted && status == RP_OK) {
        status = rp_region_reconcile();
    }
    close_all(world);
    *page_count = r.page_count;
    *first_page = r.first_page;
    return status;
}

/* ---- apply
 * ----------------------------------------------------------------------------------------- */

rp_status rp_world_apply_begin(rp_world *world)
{
    RP_ASSERT(!world->applying);
    world->apply_start_ns = rp_os_monotonic_ns();
    world->skipped_count = 0;
    rp_region_guards_lift();
    reverting r = {.lifted = true};
    rp_status status = world_gather(world);
    if (status == RP_OK) {
        status = revert_pending(world, &r);
    }
    if (status != RP_OK) {
        close_all(world);
        return status;
    }
    world->applying = true;
    return RP_OK;
}

static rp_status check_entry(rp_page_slot entry)
{
    if (entry.page >= RP_PAGE_LIMIT || entry.slot >= RP_LOG_FILE_BYTES / RP_PAGE_BYTES) {
        return rp_fail(RP_E_FORMAT, "history: page %u with slot %u: there are no such numbers",
                       entry.page, entry.slot);
    }
    return RP_OK;
}

/* Nothing is pending but new pages, so where the slot is the image already the content is right. */
static rp_status apply_entry(rp_world *world, rp_page_slot entry, uint32_t left_in_run)
{
    world_bytes bytes;
    rp_status status = rp_sparse_need(&world->images, entry.page, 1);
    if (status != RP_OK) {
        return status;
    }
    bool is_new = world_is_new(world, entry.page);
    const uint8_t *before = rp_world_page_image(world, entry.page);
    const uint8_t *image = entry.slot == RP_SLOT_ZERO ? NULL : world_slot(world, entry.slot);
    if (!world_page_bytes(world, entry.page, &bytes)) {
        if (entry.page < RP_PAGE_EXTRA) {
            return ensure_committed(entry.page);
        }
        world->skipped_count++;
    } else if (is_new || image != before) {
        status = make_writable(world, entry.page, left_in_run);
        if (status != RP_OK) {
            return status;
        }
        copy_image(&bytes, image);
        if (is_new) {
            world->pending.words[entry.page] = 0;
        }
    }
    world->images.words[entry.page] = entry.slot + 1;
    return RP_OK;
}

/* How many entries from the first on name pages in a row. */
static uint32_t run_length(const rp_page_slot *entries, size_t count)
{
    uint32_t length = 1;
    while (length < count && entries[length].page == entries[0].page + length &&
           entries[length].page != RP_PAGE_EXTRA) {
        length++;
    }
    return length;
}

rp_status rp_world_apply(rp_world *world, const rp_page_slot *entries, size_t count)
{
    RP_ASSERT(world->applying);
    rp_status status = RP_OK;
    uint32_t left_in_run = 0;
    for (size_t i = 0; i < count && status == RP_OK; i++, left_in_run--) {
        left_in_run = left_in_run ? left_in_run : run_length(entries + i, count - i);
        status = check_entry(entries[i]);
        if (status == RP_OK) {
            status = apply_entry(world, entries[i], left_in_run);
        }
    }
    return status;
}

rp_status rp_world_apply_end(rp_world *world, size_t *skipped_count)
{
    RP_ASSERT(world->applying);
    rp_status status = rp_region_reconcile();
    world_pending_compact(world);
    close_all(world);
    world->applying = false;
    world->stats.apply_ns = rp_os_monotonic_ns() - world->apply_start_ns;
    if (skipped_count) {
        *skipped_count = world->skipped_count;
    }
    return status;
}
