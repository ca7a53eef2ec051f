/* Writing the pending pages into slots of the log's file: by stores where a window can be opened
 * (window.c), else in batches of neighbouring slots, one pwritev each.
 */
#include "base/error.h"
#include "history/page.h"
#include "history/world_private.h"

enum { ENTRY_BATCH = 8192, SLOT_REQUEST = 4096 };

typedef struct writer {
    rp_world *world;
    rp_world_slots_fn *slots;
    void *context;
    rp_slot_run free;    /* slots that were given and are not used yet */
    uint32_t open_count; /* of them, that are written by stores */
    uint32_t call_count; /* else: that are written by calls */
    uint32_t first_slot; /* of the batch */
    size_t batch_count;
    size_t pages_left;
    const void *pages[WORLD_BATCH_PAGES];
} writer;

static rp_page_slot *list_of(const rp_world *world)
{
    return (rp_page_slot *)(void *)world->list.data;
}

static rp_status flush(writer *w)
{
    size_t count = w->batch_count;
    w->batch_count = 0;
    return count ? rp_os_memfile_write_pages(w->world->log_fd,
                                             (size_t)w->first_slot * RP_PAGE_BYTES, w->pages, count)
                 : RP_OK;
}

static rp_status more_slots(writer *w)
{
    rp_status status = flush(w);
    if (status != RP_OK) {
        return status;
    }
    uint32_t want = (uint32_t)rp_min_size(w->pages_left, SLOT_REQUEST);
    uint32_t limit = (uint32_t)(RP_LOG_FILE_BYTES / RP_PAGE_BYTES);
    if (!w->slots(w->context, want, &w->free) || w->free.count == 0 || w->free.first == 0 ||
        w->free.first >= limit || w->free.count > limit - w->free.first) {
        w->free = (rp_slot_run){0, 0};
        return rp_fail(RP_E_BUDGET,
                       "history: no slots for %zu more pages of the frame: raise the budget",
                       w->pages_left);
    }
    return RP_OK;
}

/* A page that is only partly of the world is copied beside and the rest of it filled with zeros. */
static const void *source_of(writer *w, const world_bytes *bytes)
{
    if (bytes->size_bytes == RP_PAGE_BYTES) {
        return bytes->address;
    }
    uint8_t *staged = w->world->stage.data + w->batch_count * RP_PAGE_BYTES;
    memset(staged, 0, RP_PAGE_BYTES);
    memcpy(staged + bytes->offset, bytes->address, bytes->size_bytes);
    return staged;
}

static bool bytes_are_zero(const world_bytes *bytes)
{
    const uint8_t *first = bytes->address;
    return first[0] == 0 && memcmp(first, first + 1, bytes->size_bytes - 1) == 0;
}

static void list_page(rp_world *world, uint32_t page, uint32_t slot)
{
    list_of(world)[world->list_count++] = (rp_page_slot){page, slot};
}

static void store_page(const writer *w, const world_bytes *bytes)
{
    uint8_t *slot = world_window_slot(w->world, w->free.first);
    if (bytes->size_bytes != RP_PAGE_BYTES) {
        memset(slot, 0, RP_PAGE_BYTES);
        memcpy(slot + bytes->offset, bytes->address, bytes->size_bytes);
    } else {
        rp_page_stream(slot, bytes->address);
    }
}

static rp_status batch_page(writer *w, const world_bytes *bytes)
{
    if (w->batch_count == 0) {
        w->first_slot = w->free.first;
    }
    w->pages[w->batch_count] = source_of(w, bytes);
    w->batch_count++;
    w->call_count--;
    return w->batch_count == WORLD_BATCH_PAGES || w->call_count == 0 ? flush(w) : RP_OK;
}

/* Makes sure of a slot, and of the way to write it. */
static rp_status next_slot(writer *w)
{
    rp_status status = w->free.count ? RP_OK : more_slots(w);
    if (status == RP_OK && w->open_count + w->call_count == 0) {
        w->open_count = world_window_open(w->world, w->free, w->pages_left, &w->call_count);
    }
    return status;
}

static rp_status put_page(writer *w, uint32_t page, const world_bytes *bytes)
{
    rp_status status = next_slot(w);
    if (status != RP_OK) {
        return status;
    }
    list_page(w->world, page, w->free.first);
    if (w->open_count) {
        store_page(w, bytes);
        w->open_count--;
        w->world->stats.stored_count++;
    } else {
        status = batch_page(w, bytes);
    }
    w->free.first++;
    w->free.count--;
    return status;
}

static rp_status collect_page(writer *w, uint32_t page)
{
    rp_world *world = w->world;
    world_bytes bytes;
    if (!world_page_bytes(world, page, &bytes)) {
        return RP_OK;
    }
    bool guarded = page < RP_PAGE_EXTRA && rp_region_is_guard(bytes.address);
    if (!guarded && !bytes_are_zero(&bytes)) {
        return put_page(w, page, &bytes);
    }
    if (!world_is_new(world, page) && !rp_world_page_image(world, page)) {
        world->stats.clean_count++;
    } else {
        list_page(world, page, RP_SLOT_ZERO);
    }
    return RP_OK;
}

static size_t pending_pages(const rp_world *world)
{
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    size_t sum = 0;
    for (size_t i = 0; i < world->run_count; i++) {
        sum += runs[i].count;
    }
    return sum;
}

static rp_status write_pending(rp_world *world, rp_world_slots_fn *slots, void *context)
{
    writer w = {.world = world, .slots = slots, .context = context};
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    w.pages_left = pending_pages(world);
    world->list_count = 0;
    rp_status status = rp_grow_need(&world->list, w.pages_left * sizeof(rp_page_slot));
    if (status == RP_OK) {
        status = rp_grow_need(&world->stage, WORLD_BATCH_PAGES * RP_PAGE_BYTES);
    }
    for (size_t r = 0; r < world->run_count; r++) {
        for (uint32_t i = 0; i < runs[r].count && status == RP_OK; i++, w.pages_left--) {
            uint32_t page = runs[r].page + i;
            if (world->pending.words[page]) {
                status = collect_page(&w, page);
            }
        }
    }
    status = status == RP_OK ? flush(&w) : status;
    rp_page_streamed();
    rp_status closed = world_window_close(world);
    return status == RP_OK ? closed : status;
}

/* Only now, with every page in its slot, are they told to the owner of the log. */
static rp_status hand_out(rp_world *world, rp_world_entries_fn *entries, void *context)
{
    for (size_t done = 0; done < world->list_count; done += ENTRY_BATCH) {
        size_t count = rp_min_size(ENTRY_BATCH, world->list_count - done);
        if (!entries(context, list_of(world) + done, count)) {
            return rp_fail(RP_E_CLOSED, "history: the log took only %zu of %zu pages of the frame",
                           done, world->list_count);
        }
    }
    return RP_OK;
}

/* The list keeps the images before, for rp_world_uncollect. */
static void accept_all(rp_world *world)
{
    const world_run *runs = (const world_run *)(const void *)world->runs.data;
    for (size_t i = 0; i < world->list_count; i++) {
        rp_page_slot *entry = &list_of(world)[i];
        uint32_t *image = &world->images.words[entry->page], before = *image;
        *image = entry->slot + 1;
        entry->slot = before;
    }
    for (size_t r = 0; r < world->run_count; r++) {
        memset(&world->pending.words[runs[r].page], 0, runs[r].count * sizeof(uint32_t));
    }
    world->run_count = 0;
}

static uint64_t lap(uint64_t *since_ns)
{
    uint64_t now_ns = rp_os_monotonic_ns(), took_ns = now_ns - *since_ns;
    *since_ns = now_ns;
    return took_ns;
}

static rp_status find_and_copy(rp_world *world, rp_world_slots_fn *slots, void *context)
{
    uint64_t since_ns = rp_os_monotonic_ns();
    world_hot_cool(world);
    world->stats.compare_ns = lap(&since_ns);
    rp_status status = world_gather(world);
    world->stats.gather_ns = lap(&since_ns);
    if (status == RP_OK) {
        status = write_pending(world, slots, context);
    }
    world->stats.copy_ns = lap(&since_ns);
    return status;
}

rp_status rp_world_collect(rp_world *world, rp_world_slots_fn *slots, rp_world_entries_fn *entries,
                           void *context)
{
    uint64_t start_ns = rp_os_monotonic_ns();
    world->stats.page_count = world->stats.clean_count = world->stats.stored_count = 0;
    world->stats.fault_count = 0;
    rp_status status = world_freeze(world);
    if (status == RP_OK) {
        status = find_and_copy(world, slots, context);
    }
    world_thaw(world);
    if (status == RP_OK) {
        status = hand_out(world, entries, context);
    }
    if (status == RP_OK) {
        accept_all(world);
        size_t hot = rp_min_size(world_hot_count(world), world->list_count);
        world->stats.cold_count = world->list_count - hot;
        world_hot_learn(world, list_of(world), world->list_count);
        world_ways_choose(world);
        world->stats.page_count = world->list_count;
    } else {
        world->list_count = 0;
    }
    world->stats.collect_ns = rp_os_monotonic_ns() - start_ns;
    return status;
}

void rp_world_uncollect(rp_world *world)
{
    for (size_t i = 0; i < world->list_count; i++) {
        rp_page_slot before = list_of(world)[i];
        world->images.words[before.page] = before.slot;
        /* Their words are committed; where the runs cannot grow a comparison finds the page. */
        world->unknown |= world_add_pending(world, before.page, 1) != RP_OK;
    }
    world->list_count = 0;
}
