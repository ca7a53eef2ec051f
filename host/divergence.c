#include "divergence.h"

#include <base/bits.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CONTENT_BUDGET_BYTES = 128 << 20 };

typedef struct noted_page {
    uint32_t page;
    uint64_t hash;
    uint8_t *content; /* null: over the budget, or a page of zeros */
} noted_page;

typedef struct noted_frame {
    noted_page *pages; /* by rising page number; null: not noted yet */
    size_t count;
} noted_frame;

struct divergence {
    uint64_t from, to;
    size_t content_bytes;
    noted_frame *frames;
};

static const uint8_t zeros[RP_PAGE_BYTES];

static const uint8_t *content_of(const rp_log *log, uint32_t slot)
{
    return slot == RP_SLOT_ZERO ? zeros : rp_log_slot(log, slot);
}

divergence *divergence_create(uint64_t from, uint64_t to)
{
    divergence *d = calloc(1, sizeof *d);
    if (d) {
        d->from = from;
        d->to = to;
        d->frames = calloc(to - from, sizeof *d->frames);
    }
    if (d && !d->frames) {
        free(d);
        d = NULL;
    }
    return d;
}

static void frame_forget(noted_frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        free(frame->pages[i].content);
    }
    free(frame->pages);
    *frame = (noted_frame){0};
}

void divergence_reset(divergence *d)
{
    for (uint64_t i = 0; d && i < d->to - d->from; i++) {
        frame_forget(&d->frames[i]);
    }
    if (d) {
        d->content_bytes = 0;
    }
}

void divergence_destroy(divergence *d)
{
    if (d) {
        divergence_reset(d);
        free(d->frames);
        free(d);
    }
}

static int by_page(const void *a, const void *b)
{
    uint32_t x = ((const rp_page_slot *)a)->page, y = ((const rp_page_slot *)b)->page;
    return x < y ? -1 : x > y;
}

/* The pages of a record, by rising number; the caller frees. */
static rp_page_slot *pages_of(const rp_log *log, uint64_t index, size_t *count)
{
    *count = rp_log_record_pages(log, index, NULL, 0);
    rp_page_slot *pages = malloc((*count + 1) * sizeof *pages);
    if (pages) {
        rp_log_record_pages(log, index, pages, *count);
        qsort(pages, *count, sizeof *pages, by_page);
    }
    return pages;
}

static noted_frame *frame_of(const divergence *d, const rp_log *log, uint64_t index)
{
    rp_record record;
    if (!d || !rp_log_record(log, index, &record) || record.frame <= d->from ||
        record.frame > d->to) {
        return NULL;
    }
    return &d->frames[record.frame - d->from - 1];
}

static noted_page note_page(divergence *d, const rp_log *log, rp_page_slot entry)
{
    const uint8_t *content = content_of(log, entry.slot);
    noted_page page = {.page = entry.page, .hash = XXH3_64bits(content, RP_PAGE_BYTES)};
    if (d->content_bytes + RP_PAGE_BYTES <= CONTENT_BUDGET_BYTES) {
        page.content = malloc(RP_PAGE_BYTES);
        if (page.content) {
            memcpy(page.content, content, RP_PAGE_BYTES);
            d->content_bytes += RP_PAGE_BYTES;
        }
    }
    return page;
}

void divergence_note(divergence *d, const rp_log *log, uint64_t index)
{
    noted_frame *frame = frame_of(d, log, index);
    if (!frame || frame->pages) {
        return;
    }
    size_t count;
    rp_page_slot *entries = pages_of(log, index, &count);
    frame->pages = entries ? calloc(count + 1, sizeof *frame->pages) : NULL;
    for (size_t i = 0; frame->pages && i < count; i++) {
        frame->pages[frame->count++] = note_page(d, log, entries[i]);
    }
    free(entries);
}

static bool page_differs(const noted_page *noted, const uint8_t *now, divergence_place *place)
{
    if (XXH3_64bits(now, RP_PAGE_BYTES) == noted->hash) {
        return false;
    }
    *place = (divergence_place){.page = noted->page};
    if (noted->content) {
        uint32_t at = 0;
        while (at < RP_PAGE_BYTES && noted->content[at] == now[at]) {
            at++;
        }
        place->offset = at;
        place->exact = true;
        place->byte_count = (uint32_t)rp_min_size(RP_PAGE_BYTES - at, sizeof place->now);
        memcpy(place->first, noted->content + at, place->byte_count);
        memcpy(place->now, now + at, place->byte_count);
    }
    return true;
}

/* Both lists are sorted: a page that only one of the passes wrote differs as well, unless it was
 * written with what it held. */
static bool lists_differ(const noted_frame *frame, const rp_log *log, uint64_t index,
                         const rp_page_slot *now, size_t now_count, divergence_place *place)
{
    size_t i = 0, k = 0;
    while (i < frame->count || k < now_count) {
        bool first_only =
            k == now_count || (i < frame->count && frame->pages[i].page < now[k].page);
        bool now_only = i == frame->count || (k < now_count && now[k].page < frame->pages[i].page);
        if (first_only) {
            uint32_t slot = rp_log_slot_at(log, index, frame->pages[i].page);
            if (page_differs(&frame->pages[i++], content_of(log, slot), place)) {
                return true;
            }
        } else if (now_only) {
            uint32_t page = now[k++].page;
            uint32_t before = index > rp_log_first(log) ? rp_log_slot_at(log, index - 1, page) : 0;
            const uint8_t *a = content_of(log, before), *b = content_of(log, now[k - 1].slot);
            noted_page noted = {.page = page,
                                .hash = XXH3_64bits(a, RP_PAGE_BYTES),
                                .content = (uint8_t *)(uintptr_t)a};
            if (page_differs(&noted, b, place)) {
                return true;
            }
        } else if (page_differs(&frame->pages[i++], content_of(log, now[k++].slot), place)) {
            return true;
        }
    }
    return false;
}

bool divergence_find(const divergence *d, const rp_log *log, uint64_t index,
                     divergence_place *place)
{
    const noted_frame *frame = frame_of(d, log, index);
    if (!frame || !frame->pages) {
        return false;
    }
    size_t count;
    rp_page_slot *now = pages_of(log, index, &count);
    bool differs = now && lists_differ(frame, log, index, now, count, place);
    free(now);
    return differs;
}
