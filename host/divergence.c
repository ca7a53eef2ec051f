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
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Pages by rising number, and what they held after a record. */
typedef struct page_list {
    uint32_t *pages;
    uint8_t *contents;
    size_t count;
} page_list;

static void list_free(page_list *list)
{
    free(list->pages);
    free(list->contents);
}

/* Reads what the listed pages held. False: no memory, or damaged. */
static bool list_read(page_list *list, rp_log *log, uint64_t index)
{
    list->contents = malloc((list->count + 1) * RP_PAGE_BYTES);
    return list->contents &&
           rp_log_read(log, index, list->pages, list->count, list->contents) == RP_OK;
}

/* The pages of a record; the caller frees them even where it fails. */
static bool list_record(page_list *list, rp_log *log, uint64_t index)
{
    *list = (page_list){.count = rp_log_record_pages(log, index, NULL, 0)};
    list->pages = malloc((list->count + 1) * sizeof *list->pages);
    if (!list->pages) {
        return false;
    }
    list->count =
        rp_min_size(list->count, rp_log_record_pages(log, index, list->pages, list->count));
    qsort(list->pages, list->count, sizeof *list->pages, by_page);
    return list_read(list, log, index);
}

static const uint8_t *list_content(const page_list *list, size_t i)
{
    return list->contents + i * RP_PAGE_BYTES;
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

static noted_page note_page(divergence *d, uint32_t number, const uint8_t *content)
{
    noted_page page = {.page = number, .hash = XXH3_64bits(content, RP_PAGE_BYTES)};
    if (d->content_bytes + RP_PAGE_BYTES <= CONTENT_BUDGET_BYTES) {
        page.content = malloc(RP_PAGE_BYTES);
        if (page.content) {
            memcpy(page.content, content, RP_PAGE_BYTES);
            d->content_bytes += RP_PAGE_BYTES;
        }
    }
    return page;
}

void divergence_note(divergence *d, rp_log *log, uint64_t index)
{
    noted_frame *frame = frame_of(d, log, index);
    if (!frame || frame->pages) {
        return;
    }
    page_list list;
    bool read = list_record(&list, log, index);
    frame->pages = read ? calloc(list.count + 1, sizeof *frame->pages) : NULL;
    for (size_t i = 0; frame->pages && i < list.count; i++) {
        frame->pages[frame->count++] = note_page(d, list.pages[i], list_content(&list, i));
    }
    list_free(&list);
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

static bool single_page(rp_log *log, uint64_t index, uint32_t page, uint8_t *content)
{
    return rp_log_read(log, index, &page, 1, content) == RP_OK;
}

/* A page that the first pass wrote and this one did not. */
static bool first_only_differs(const noted_page *noted, rp_log *log, uint64_t index,
                               divergence_place *place)
{
    uint8_t now[RP_PAGE_BYTES];
    return single_page(log, index, noted->page, now) && page_differs(noted, now, place);
}

/* The other way round: the first pass left it as it was before. */
static bool now_only_differs(uint32_t page, const uint8_t *now, rp_log *log, uint64_t index,
                             divergence_place *place)
{
    uint8_t before[RP_PAGE_BYTES] = {0};
    if (index > rp_log_first(log) && !single_page(log, index - 1, page, before)) {
        return false;
    }
    noted_page noted = {
        .page = page, .hash = XXH3_64bits(before, RP_PAGE_BYTES), .content = before};
    return page_differs(&noted, now, place);
}

/* Both lists are sorted: a page that only one of the passes wrote differs as well, unless it was
 * written with what it held. */
static bool lists_differ(const noted_frame *frame, rp_log *log, uint64_t index,
                         const page_list *now, divergence_place *place)
{
    size_t i = 0, k = 0;
    while (i < frame->count || k < now->count) {
        const noted_page *first = i < frame->count ? &frame->pages[i] : NULL;
        bool differs;
        if (k == now->count || (first && first->page < now->pages[k])) {
            differs = first_only_differs(first, log, index, place);
            i++;
        } else if (!first || now->pages[k] < first->page) {
            differs = now_only_differs(now->pages[k], list_content(now, k), log, index, place);
            k++;
        } else {
            differs = page_differs(first, list_content(now, k), place);
            i++;
            k++;
        }
        if (differs) {
            return true;
        }
    }
    return false;
}

bool divergence_find(const divergence *d, rp_log *log, uint64_t index, divergence_place *place)
{
    const noted_frame *frame = frame_of(d, log, index);
    if (!frame || !frame->pages) {
        return false;
    }
    page_list now;
    bool differs = list_record(&now, log, index) && lists_differ(frame, log, index, &now, place);
    list_free(&now);
    return differs;
}
