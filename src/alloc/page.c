/* The page allocator: blocks of the region as an allocator. Layer: alloc.
 *
 *   unit of the block | guard | payload ...                       words[0]: offset of what was
 *                             '-- offset --'- aligned payload     handed out, in pages
 *
 * The region aligns to units; a larger alignment is a longer block with an offset.
 */
#include <reprise/page.h>

#include "alloc/simple.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

typedef struct page_allocator {
    rp_allocator base;
    uint64_t live_count, live_bytes, peak_bytes; /* with the lock */
} page_allocator;

typedef struct page_run {
    rp_unit *head;
    uint8_t *start; /* as it was handed out */
    size_t size_bytes;
} page_run;

static page_allocator *pages_of(const rp_allocator *allocator)
{
    return (page_allocator *)(uintptr_t)allocator;
}

/* ---- the allocator of a zone ---- */

static page_allocator *make(rp_zone zone)
{
    page_allocator *made = rp_static_alloc(zone, sizeof *made);
    if (made && rp_allocator_register(&made->base, KIND_PAGE, zone, "pages") != RP_OK) {
        rp_static_free(zone, made);
        return NULL;
    }
    return made;
}

rp_allocator *rp_page_allocator(rp_zone zone)
{
    void **word = rp_static_word_of(zone, STATIC_WORD_PAGES), *none = NULL;
    if (!word) {
        return NULL;
    }
    rp_allocator *stands = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (stands) {
        return stands;
    }
    page_allocator *made = make(zone);
    if (made && !__atomic_compare_exchange_n(word, &none, made, false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_ACQUIRE)) {
        rp_allocator_unregister(&made->base); /* another thread was first */
        rp_static_free(zone, made);
        return none;
    }
    return made ? &made->base : NULL;
}

/* ---- runs ---- */

/* The run that `address` lies in; head null: none. */
static page_run run_at(const void *address)
{
    rp_region_block block;
    page_run run = {.head = rp_region_unit_head(address)};
    if (!run.head || run.head->kind != RP_BLOCK_PAGES || !rp_region_block_find(address, &block)) {
        return (page_run){0};
    }
    size_t offset = (size_t)run.head->words[0] << RP_PAGE_SHIFT;
    run.start = (uint8_t *)block.start + offset;
    run.size_bytes = block.size_bytes - offset;
    return run;
}

static page_run run_or_die(const rp_allocator *allocator, const void *address, const char *what)
{
    page_run run = run_at(address);
    if (!run.head || run.head->owner != allocator->id) {
        rp_misuse(RP_MISUSE_NO_BLOCK, allocator, address, what, NULL);
    }
    if (run.start != address) {
        rp_misuse(RP_MISUSE_INSIDE, allocator, address, what, NULL);
    }
    return run;
}

static void count(page_allocator *pages, int64_t runs, int64_t bytes)
{
    rp_os_lock_take(&pages->base.lock);
    pages->live_count += (uint64_t)runs;
    pages->live_bytes += (uint64_t)bytes;
    pages->peak_bytes = rp_max_size(pages->peak_bytes, pages->live_bytes);
    rp_os_lock_drop(&pages->base.lock);
}

static void *run_make(page_allocator *pages, size_t size_bytes, size_t align_bytes, uint32_t flags,
                      bool zeroed)
{
    /* The payload begins behind the guard, on a unit's second page. */
    size_t aligned_by_itself = flags & RP_BLOCK_GUARD_BEFORE ? RP_PAGE_BYTES : RP_UNIT_BYTES;
    size_t extra = align_bytes > aligned_by_itself ? align_bytes : 0;
    if (size_bytes > RP_REGION_RESERVE_BYTES) {
        rp_fail(RP_E_MEMORY,
                "pages: no run of %zu bytes: the largest region is 256 GiB: ask for "
                "less",
                size_bytes);
        return NULL;
    }
    uint8_t *block = rp_region_block_alloc((rp_zone)pages->base.zone, size_bytes + extra,
                                           RP_BLOCK_PAGES, pages->base.id, flags);
    if (!block) {
        return NULL;
    }
    uint8_t *start = (uint8_t *)(uintptr_t)rp_align_up((uintptr_t)block,
                                                       rp_max_size(align_bytes, RP_PAGE_BYTES));
    rp_unit *head = rp_region_unit_head(block);
    head->words[0] = (uint64_t)(start - block) >> RP_PAGE_SHIFT;
    if (zeroed && !(head->flags & RP_BLOCK_ZEROED)) {
        memset(start, 0, rp_align_up(size_bytes, RP_PAGE_BYTES));
    }
    count(pages, 1, (int64_t)run_at(start).size_bytes);
    return start;
}

void *rp_pages_alloc(rp_zone zone, size_t size_bytes, unsigned flags)
{
    rp_allocator *pages = rp_page_allocator(zone);
    uint32_t guards = 0;
    guards |= flags & RP_PAGES_GUARD_BEFORE ? RP_BLOCK_GUARD_BEFORE : 0;
    guards |= flags & RP_PAGES_GUARD_AFTER ? RP_BLOCK_GUARD_AFTER : 0;
    return pages ? run_make(pages_of(pages), size_bytes, RP_PAGE_BYTES, guards,
                            flags & RP_PAGES_ZEROED)
                 : NULL;
}

static bool run_resize(page_allocator *pages, void *block, size_t size_bytes)
{
    page_run run = run_or_die(&pages->base, block, "resize");
    size_t offset = (size_t)run.head->words[0] << RP_PAGE_SHIFT;
    if (size_bytes > RP_REGION_RESERVE_BYTES ||
        !rp_region_block_resize(run.start - offset, size_bytes + offset)) {
        return false;
    }
    count(pages, 0, (int64_t)(run_at(block).size_bytes - run.size_bytes));
    return true;
}

bool rp_pages_resize(void *pages, size_t size_bytes)
{
    rp_zone zone = rp_region_contains(pages) == 2 ? RP_ZONE_KEEP : RP_ZONE_WORLD;
    rp_allocator *allocator = rp_page_allocator(zone);
    return allocator && run_resize(pages_of(allocator), pages, size_bytes);
}

void rp_pages_purge(rp_zone zone)
{
    if (rp_region_is_open()) {
        rp_region_purge(zone);
    }
}

/* ---- figures ---- */

typedef struct tally {
    const rp_allocator *pages;
    rp_pages_stats stats;
} tally;

static int tally_block(const rp_region_block *block, void *context)
{
    tally *sum = context;
    rp_pages_stats *stats = &sum->stats;
    if (block->kind == RP_BLOCK_FREE) {
        stats->free_count++;
        stats->free_bytes += block->size_bytes;
        stats->free_largest_bytes = rp_max_size(stats->free_largest_bytes, block->size_bytes);
    } else if (block->kind == RP_BLOCK_PAGES && block->owner == sum->pages->id) {
        stats->run_count++;
        stats->run_bytes += run_at(block->start).size_bytes;
    } else {
        stats->other_bytes += block->size_bytes;
    }
    return 0;
}

void rp_pages_stats_get(rp_zone zone, rp_pages_stats *stats)
{
    tally sum = {.pages = rp_page_allocator(zone)};
    if (sum.pages) {
        rp_region_stats region;
        rp_region_walk(zone, tally_block, &sum);
        rp_region_stats_get(zone, &region);
        sum.stats.committed_bytes = region.committed_bytes;
        sum.stats.guards = region.guard_count;
    }
    *stats = sum.stats;
}

/* ---- as an allocator ---- */

static void *page_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed)
{
    return run_make(pages_of(allocator), size_bytes, align_bytes, 0, zeroed);
}

static void page_free(rp_allocator *allocator, void *block)
{
    page_run run = run_or_die(allocator, block, "free");
    size_t offset = (size_t)run.head->words[0] << RP_PAGE_SHIFT;
    rp_region_block_free(run.start - offset);
    count(pages_of(allocator), -1, -(int64_t)run.size_bytes);
}

static bool page_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    return run_resize(pages_of(allocator), block, size_bytes);
}

static size_t page_usable(const rp_allocator *allocator, const void *block)
{
    page_run run = run_at(block);
    bool starts = run.head && run.head->owner == allocator->id && run.start == block;
    return starts ? run.size_bytes : 0;
}

typedef struct page_visit {
    const rp_allocator *pages;
    int (*visit)(void *block, size_t size_bytes, void *context);
    void *context;
} page_visit;

static int visit_run(const rp_region_block *block, void *context)
{
    const page_visit *to = context;
    if (block->kind != RP_BLOCK_PAGES || block->owner != to->pages->id) {
        return 0;
    }
    page_run run = run_at(block->start);
    return to->visit(run.start, run.size_bytes, to->context);
}

static int page_walk(const rp_allocator *allocator,
                     int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    page_visit to = {allocator, visit, context};
    return rp_region_walk((rp_zone)allocator->zone, visit_run, &to);
}

static void page_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    page_allocator *pages = pages_of(allocator);
    rp_os_lock_take(&pages->base.lock);
    *stats = (rp_alloc_stats){.live_count = pages->live_count,
                              .live_bytes = pages->live_bytes,
                              .peak_bytes = pages->peak_bytes,
                              .taken_bytes = pages->live_bytes};
    rp_os_lock_drop(&pages->base.lock);
}

static void page_destroy(rp_allocator *allocator)
{
    rp_region_die("heap %s: destroy: it is a part of its zone and lives as long: free its runs",
                  allocator->name);
}

const rp_allocator_ops rp_page_ops = {
    .name = "page",
    .alloc = page_alloc,
    .free = page_free,
    .resize = page_resize,
    .usable = page_usable,
    .walk = page_walk,
    .stats = page_stats,
    .destroy = page_destroy,
};
