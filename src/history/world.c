/* Opening the world's side of history, and what is known of its pages; see world.h. */
#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"
#include "history/world_private.h"

#define WORLD_BYTES ((size_t)rp_align_up(sizeof(rp_world), RP_PAGE_BYTES))

static rp_status map_view(rp_world *world)
{
    void *view = NULL, *place = (void *)(uintptr_t)RP_LOG_VIEW_BASE;
    if (rp_os_vm_reserve_at(place, RP_LOG_FILE_BYTES) != RP_OK) {
        place = NULL; /* taken, or a limit of address space: any place serves */
    }
    rp_status status =
        rp_os_memfile_map(world->log_fd, 0, place, RP_LOG_FILE_BYTES, RP_OS_READ, &view);
    if (status != RP_OK && place) {
        rp_os_vm_release(place, RP_LOG_FILE_BYTES);
    }
    world->view = view;
    return status;
}

static rp_status open_memory(rp_world *world)
{
    const size_t pages = RP_PAGE_LIMIT;
    rp_status status = rp_sparse_init(&world->images);
    if (status == RP_OK) {
        status = rp_sparse_init(&world->pending);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&world->hot.heat);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&world->chunks.words);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&world->runs, pages * sizeof(world_run));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&world->list, pages * sizeof(rp_page_slot));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&world->open_list, 2 * pages * sizeof(world_run));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&world->stage, WORLD_BATCH_PAGES * RP_PAGE_BYTES);
    }
    return status;
}

/* Not armed yet, so what the program touches before the next gather can become huge. To touch it
 * here would make all of it huge, but cost memory that the program may never use. */
static rp_status track_region(rp_world *world, void *start, size_t size_bytes)
{
    return size_bytes ? rp_os_track_add_written(&world->tracker, start, size_bytes) : RP_OK;
}

static void on_commit(void *context, void *start, size_t size_bytes)
{
    /* What cannot be tracked is found lost by the next gather, which tries again. */
    (void)track_region(context, start, size_bytes);
}

static rp_status track_all(rp_world *world, rp_os_rung rung)
{
    rp_region_span spans[RP_REGION_SPANS];
    rp_status status = rp_os_track_open(&world->tracker, rung);
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS && status == RP_OK; i++) {
        status = track_region(world, spans[i].start, spans[i].size_bytes);
    }
    if (status != RP_OK) {
        rp_os_track_close(&world->tracker);
    }
    return status;
}

/* The best first. */
static const struct {
    rp_tracking tracking;
    rp_os_rung rung;
    const char *name;
} ladder[] = {
    {RP_TRACKING_WP_ASYNC, RP_OS_RUNG_ASYNC, "wp-async"},
    {RP_TRACKING_WP_SIGBUS, RP_OS_RUNG_SIGBUS, "wp-sigbus"},
    {RP_TRACKING_MPROTECT, RP_OS_RUNG_MPROTECT, "mprotect"},
};

static rp_status choose_tracking(rp_world *world, rp_tracking wanted)
{
    rp_text_buffer why = rp_text_buffer_over(world->tracking_why, sizeof world->tracking_why);
    rp_status status = RP_OK;
    bool any = wanted == RP_TRACKING_AUTO;
    for (size_t i = 0; i < RP_COUNT_OF(ladder); i++) {
        if (!any && ladder[i].tracking != wanted) {
            continue;
        }
        world->tracking = ladder[i].tracking;
        status = track_all(world, ladder[i].rung);
        if (status == RP_OK) {
            rp_region_on_commit(on_commit, world);
            return RP_OK;
        }
        rp_text_add(&why, "%s%s: %.150s", i ? "\n" : "", ladder[i].name, rp_error_last()->text);
    }
    world->tracking = RP_TRACKING_COMPARE;
    return any ? RP_OK : status;
}

static rp_status open_parts(rp_world *world, rp_tracking tracking)
{
    rp_status status = map_view(world);
    if (status == RP_OK) {
        status = open_memory(world);
    }
    if (status == RP_OK) {
        status = choose_tracking(world, tracking);
    }
    return status;
}

/* Fresh memory is zero and nobody's: once touched it is huge, and armed it counts as unwritten. */
rp_status rp_world_prepare(rp_world *world, size_t size_bytes)
{
    rp_region_span before[RP_REGION_SPANS], after[RP_REGION_SPANS];
    const int units = RP_REGION_SPANS - 1;
    rp_region_committed(RP_ZONE_WORLD, before);
    uint8_t *end = before[units].start + before[units].size_bytes;
    rp_status status = rp_region_commit_to(RP_ZONE_WORLD, end + size_bytes);
    if (status != RP_OK) {
        return status;
    }
    rp_region_committed(RP_ZONE_WORLD, after);
    size_t fresh_bytes = after[units].size_bytes - before[units].size_bytes;
    for (size_t at = 0; at < fresh_bytes; at += RP_MIB(2)) {
        ((volatile uint8_t *)end)[at] = 0;
    }
    if (world_tracks(world) && fresh_bytes) {
        status = rp_os_track_arm(&world->tracker, end, fresh_bytes);
    }
    return status == RP_OK ? world_settle(world) : status;
}

void rp_world_rested(rp_world *world)
{
    world->rested = true;
}

bool world_tend_may(const world_tending *tending, uint64_t need_ns)
{
    uint64_t now_ns = rp_os_monotonic_ns();
    return now_ns + need_ns <= tending->end_ns ||
           (now_ns < tending->end_ns && need_ns <= tending->longest_ns);
}

enum { TEND_LONGEST_BUDGETS = 4 };

void rp_world_tend(rp_world *world, uint64_t budget_ns)
{
    uint64_t begin_ns = rp_os_monotonic_ns(), most_ns = TEND_LONGEST_BUDGETS * budget_ns;
    uint64_t saved_ns = world->tend_saved_ns + budget_ns;
    saved_ns = saved_ns < most_ns ? saved_ns : most_ns;
    world_tending tending = {begin_ns + budget_ns, saved_ns};
    world_window_tend(world, &tending);
    world_chunks_tend(world, &tending);
    uint64_t took_ns = rp_os_monotonic_ns() - begin_ns;
    world->tend_saved_ns = saved_ns > took_ns ? saved_ns - took_ns : 0;
    world->stats.tend_ns += took_ns;
}

rp_status rp_world_open(int log_fd, rp_tracking tracking, rp_world **world)
{
    *world = NULL;
    RP_ASSERT(rp_region_is_open());
    rp_world *made = rp_os_vm_reserve(WORLD_BYTES);
    if (!made) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(made, WORLD_BYTES);
    if (status != RP_OK) {
        rp_os_vm_release(made, WORLD_BYTES);
        return status;
    }
    made->log_fd = log_fd;
    world_ways_init(made);
    made->tracker = (rp_os_tracker){.uffd = -1, .pagemap = -1};
    status = open_parts(made, tracking);
    if (status != RP_OK) {
        rp_world_close(made);
        return status;
    }
    *world = made;
    return RP_OK;
}

void rp_world_close(rp_world *world)
{
    if (!world) {
        return;
    }
    if (rp_region_is_open()) {
        rp_region_on_commit(NULL, NULL);
    }
    rp_os_track_close(&world->tracker);
    rp_grow_finish(&world->stage);
    rp_grow_finish(&world->open_list);
    rp_grow_finish(&world->list);
    rp_grow_finish(&world->runs);
    rp_sparse_finish(&world->chunks.words);
    rp_sparse_finish(&world->hot.heat);
    rp_sparse_finish(&world->pending);
    rp_sparse_finish(&world->images);
    if (world->view) {
        rp_os_unmap((void *)(uintptr_t)world->view, RP_LOG_FILE_BYTES);
    }
    rp_os_vm_release(world, WORLD_BYTES);
}

rp_tracking rp_world_tracking(const rp_world *world)
{
    return world->tracking;
}

const char *rp_world_tracking_why(const rp_world *world)
{
    return world->tracking_why;
}

bool rp_world_refuses_system_calls(const rp_world *world)
{
    return world_tracks(world) && rp_os_track_takes_signals(&world->tracker);
}

static void touch_within(rp_world *world, uint8_t *area, size_t area_bytes, uintptr_t start,
                         uintptr_t end)
{
    uintptr_t area_start = (uintptr_t)area, area_end = area_start + area_bytes;
    start = start > area_start ? start : area_start;
    end = end < area_end ? end : area_end;
    if (start < end) {
        rp_os_track_touch(&world->tracker, area + (start - area_start), end - start);
    }
}

/* Within what is tracked: the system refuses a stretch with holes, and then it is page by page. */
void rp_world_will_write(rp_world *world, const void *start, size_t size_bytes)
{
    uintptr_t from = (uintptr_t)start, to;
    if (!world_tracks(world)) {
        return;
    }
    if (__builtin_add_overflow(from, size_bytes, &to)) {
        to = UINTPTR_MAX;
    }
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS; i++) {
        touch_within(world, spans[i].start, spans[i].size_bytes, from, to);
    }
    for (size_t i = 0; i < world->range_count; i++) {
        world_area middle = world_range_middle(&world->ranges[i]);
        if (!world->range_states[i].compared) {
            touch_within(world, middle.start, middle.size_bytes, from, to);
        }
    }
}

void rp_world_stats_get(const rp_world *world, rp_world_stats *stats)
{
    *stats = world->stats;
    stats->way = world_tracks(world) ? world->ways.way : RP_WAY_COMPARE;
    stats->way_change_count = world->ways.change_count;
    stats->refused_count = world->hot.refused_count;
    stats->hot_runs = world->hot.run_count;
    stats->hot_count = world_hot_count(world);
}

const void *world_slot(const rp_world *world, uint32_t slot)
{
    return world->view + (size_t)slot * RP_PAGE_BYTES;
}

void *rp_world_page_address(const rp_world *world, uint32_t page)
{
    world_bytes bytes;
    return world_page_bytes(world, page, &bytes) ? bytes.address - bytes.offset : NULL;
}

const void *rp_world_page_image(const rp_world *world, uint32_t page)
{
    uint32_t image = page < RP_PAGE_LIMIT ? rp_sparse_get(&world->images, page) : WORLD_IMAGE_NONE;
    bool held = image != WORLD_IMAGE_NONE && image - 1 != RP_SLOT_ZERO;
    return held ? world_slot(world, image - 1) : NULL;
}

void rp_world_learn(rp_world *world, const rp_page_slot *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t page = entries[i].page;
        bool possible = page < RP_PAGE_LIMIT && entries[i].slot < RP_LOG_FILE_BYTES / RP_PAGE_BYTES;
        if (possible && rp_sparse_need(&world->images, page, 1) == RP_OK) {
            world->images.words[page] = entries[i].slot + 1;
            if (rp_world_page_address(world, page)) {
                world->unknown |= world_add_pending(world, page, 1) != RP_OK;
            }
        }
    }
}

static bool is_whole_pages(const uint8_t *start, size_t size_bytes)
{
    return size_bytes && ((uintptr_t)start | size_bytes) % RP_PAGE_BYTES == 0 &&
           rp_region_contains(start) == 1 && rp_region_contains(start + size_bytes - 1) == 1;
}

rp_status rp_world_exclude(rp_world *world, void *start, size_t size_bytes)
{
    if (!is_whole_pages(start, size_bytes)) {
        return rp_fail(RP_E_ARGUMENT,
                       "history: %zu bytes at %p cannot be left out: they must be whole pages of "
                       "the world zone",
                       size_bytes, start);
    }
    if (world->excluded_count == RP_EXCLUDED_MAX) {
        return rp_fail(RP_E_LIMIT, "history: %d stretches are left out already: make larger ones",
                       RP_EXCLUDED_MAX);
    }
    world->excluded[world->excluded_count++] =
        (world_run){world_page_of(start), (uint32_t)(size_bytes >> RP_PAGE_SHIFT)};
    return RP_OK;
}

rp_status rp_world_scratch_set(rp_world *world, void *start, size_t size_bytes, size_t always_bytes)
{
    uint8_t *first = start, *end = first + size_bytes;
    if (!is_whole_pages(start, size_bytes)) {
        return rp_fail(
            RP_E_ARGUMENT,
            "history: %zu bytes at %p cannot be scratch: they must be whole pages of the "
            "world zone",
            size_bytes, start);
    }
    /* A stack that is protected stops system calls of the C library's own, whose buffers lie on it,
     * and a signal's frame could not be put there. */
    always_bytes = rp_world_refuses_system_calls(world) ? size_bytes : always_bytes;
    world->scratch_start = first;
    world->scratch_end = end;
    world->scratch_always = end - rp_min_size(size_bytes, rp_align_up(always_bytes, RP_PAGE_BYTES));
    size_t always = (size_t)(end - world->scratch_always);
    return world_tracks(world) && always
               ? rp_os_track_disarm(&world->tracker, world->scratch_always, always)
               : RP_OK;
}
