/* The content of pages after a packed record. It begins with an image, that of the record's group
 * or the one behind it, and goes on or back by the blobs in between; at the end of history, the
 * state of `base` is the image. So no more than half a group of blobs is ever applied.
 */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/error.h"

#include <string.h>

/* ---- what is wanted ---- */

void log_wants_begin(rp_log *log)
{
    log->want_count = 0;
}

log_want *log_want_find(const rp_log *log, uint32_t page)
{
    uint32_t place = rp_sparse_get(&log->want_at, page);
    log_want *want = log_wants(log) + (place - 1);
    return place && place <= log->want_count && want->page == page ? want : NULL;
}

rp_status log_want_add(rp_log *log, uint32_t page)
{
    if (log_want_find(log, page)) {
        return RP_OK;
    }
    rp_status status = rp_sparse_need(&log->want_at, page, 1);
    if (status == RP_OK) {
        status = rp_grow_need(&log->wants, (log->want_count + 1) * sizeof(log_want));
    }
    if (status == RP_OK) {
        log_wants(log)[log->want_count++] = (log_want){.page = page};
        log->want_at.words[page] = (uint32_t)log->want_count;
    }
    return status;
}

rp_status log_wants_place(rp_log *log)
{
    rp_status status = rp_grow_need(&log->contents, log->want_count * RP_PAGE_BYTES);
    for (size_t i = 0; status == RP_OK && i < log->want_count; i++) {
        log_wants(log)[i].content = log->contents.data + i * RP_PAGE_BYTES;
    }
    return status;
}

void log_wants_slots(rp_log *log, uint64_t index)
{
    RP_ASSERT(index >= log->base);
    uint64_t at = log->position > log->base ? log->position : log->base;
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        want->slot = log_base_slot(log, want->page);
    }
    for (; at > index; at--) {
        const log_record *record = log_record_at(log, at);
        for (uint32_t i = 0; i < record->entry_count; i++) {
            const log_entry *entry = log_entry_at(log, record, i);
            log_want *want = log_want_find(log, entry->page);
            if (want) {
                want->slot = entry->was;
            }
        }
    }
    while (at < index) {
        const log_record *record = log_record_at(log, ++at);
        for (uint32_t i = 0; i < record->entry_count; i++) {
            const log_entry *entry = log_entry_at(log, record, i);
            log_want *want = log_want_find(log, entry->page);
            if (want) {
                want->slot = entry->slot;
            }
        }
    }
}

static rp_status want_versions_of(rp_log *log, const log_group *group)
{
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < group->version_count && status == RP_OK; i++) {
        status = log_want_add(log, log_version_at(log, group->first_version + i)->page);
    }
    return status;
}

static rp_status want_open_pages(rp_log *log)
{
    rp_status status = log_open_pages(log);
    for (uint32_t i = 0; i < log->open_count && status == RP_OK; i++) {
        status = log_want_add(log, ((uint32_t *)(void *)log->open_pages.data)[i]);
    }
    return status;
}

static rp_status want_raw_pages(rp_log *log, uint64_t after, uint64_t to)
{
    rp_status status = RP_OK;
    for (uint64_t index = after + 1; index <= to; index++) {
        const log_record *record = log_record_at(log, index);
        for (uint32_t i = 0; i < record->entry_count && status == RP_OK; i++) {
            status = log_want_add(log, log_entry_at(log, record, i)->page);
        }
    }
    return status;
}

/* Records of so many pages in all are read twice rather than their groups' pages brought over. */
enum { NEIGHBOUR_PAGES = 4096 };
enum { DIGIT_BITS = 10, DIGITS = 1 << DIGIT_BITS, FILL_BATCH = 32 };

/* One pass of a sort by digits; equal digits keep their order. */
static void sort_digit(const uint32_t *from, uint32_t *to, size_t count, unsigned shift)
{
    uint32_t places[DIGITS] = {0}, sum = 0;
    for (size_t i = 0; i < count; i++) {
        places[from[i] >> shift & (DIGITS - 1)]++;
    }
    for (size_t i = 0; i < DIGITS; i++) {
        uint32_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        to[places[from[i] >> shift & (DIGITS - 1)]++] = from[i];
    }
}

/* Puts the wants in order of their pages, so that neighbours get slots side by side, and whoever
 * copies them finds runs instead of single pages. */
static rp_status sort_wants(rp_log *log)
{
    size_t count = log->want_count;
    rp_status status = rp_grow_need(&log->contents, count * 2 * sizeof(uint32_t));
    if (status != RP_OK) {
        return status;
    }
    uint32_t *pages = (uint32_t *)(void *)log->contents.data, *other = pages + count;
    for (size_t i = 0; i < count; i++) {
        pages[i] = log_wants(log)[i].page;
    }
    for (unsigned shift = 0; RP_PAGE_LIMIT >> shift; shift += DIGIT_BITS) {
        sort_digit(pages, other, count, shift);
        uint32_t *sorted = other;
        other = pages;
        pages = sorted;
    }
    for (size_t i = 0; i < count; i++) {
        log_wants(log)[i] = (log_want){.page = pages[i]};
        log->want_at.words[pages[i]] = (uint32_t)i + 1;
    }
    return RP_OK;
}

/* The lists alone of a packed record. False where it is damaged: then its group is looked through.
 */
static bool want_blob_pages(rp_log *log, const log_record *record)
{
    uint32_t size_bytes;
    rp_unpack reader;
    const uint8_t *blob = rp_store_get(&log->store, record->blob, &size_bytes);
    if (!blob || rp_unpack_open(&log->packer, blob, size_bytes, &reader) != RP_OK) {
        return false;
    }
    while (rp_unpack_next(&reader)) {
        if (reader.page >= RP_PAGE_LIMIT || log_want_add(log, reader.page) != RP_OK ||
            !rp_unpack_xor(&reader, NULL)) {
            return false;
        }
    }
    return reader.left == 0;
}

/* Between neighbours the pages are those of the records; a group has those of all its frames. */
static bool want_record_pages(rp_log *log, uint64_t low, uint64_t high)
{
    if (log_apply_cost(log, low, high) > NEIGHBOUR_PAGES) {
        return false;
    }
    for (uint64_t at = low + 1; at <= high; at++) {
        const log_record *record = log_record_at(log, at);
        if (record->blob && !want_blob_pages(log, record)) {
            return false;
        }
    }
    return true;
}

static rp_status want_packed_pages(rp_log *log, uint64_t low, uint64_t high)
{
    rp_status status = RP_OK;
    if (want_record_pages(log, low, high)) {
        return RP_OK;
    }
    uint64_t last = log_group_of(log, high);
    for (uint64_t at = log_group_of(log, low); at <= last && status == RP_OK; at++) {
        bool open = at + 1 == log->groups.tail;
        status = open ? want_open_pages(log) : want_versions_of(log, log_group_at(log, at));
    }
    return status;
}

rp_status log_wants_between(rp_log *log, uint64_t a, uint64_t b)
{
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    rp_status status = RP_OK;
    if (high > log->base) {
        status = want_raw_pages(log, low > log->base ? low : log->base, high);
        high = log->base;
    }
    if (low < high && status == RP_OK) {
        status = want_packed_pages(log, low, high);
    }
    return status == RP_OK ? sort_wants(log) : status;
}

/* ---- blobs ---- */

typedef enum apply_filter { APPLY_ALL, APPLY_FROM_BASE } apply_filter;

static rp_status damaged(const log_record *record, uint32_t page)
{
    return page == UINT32_MAX
               ? rp_fail(RP_E_FORMAT,
                         "log: the packed change of frame %llu is damaged: it is not restored",
                         (unsigned long long)record->frame)
               : rp_fail(RP_E_FORMAT,
                         "log: the packed change of frame %llu is damaged at page %u: it is not "
                         "restored",
                         (unsigned long long)record->frame, page);
}

static rp_status apply_blob(rp_log *log, const log_record *record, bool back, apply_filter filter)
{
    uint32_t size_bytes;
    rp_unpack reader;
    const uint8_t *blob = rp_store_get(&log->store, record->blob, &size_bytes);
    if (!blob) {
        return damaged(record, UINT32_MAX);
    }
    rp_status status = rp_unpack_open(&log->packer, blob, size_bytes, &reader);
    while (status == RP_OK && rp_unpack_next(&reader)) {
        log_want *want = reader.page < RP_PAGE_LIMIT ? log_want_find(log, reader.page) : NULL;
        if (want && filter == APPLY_FROM_BASE && !want->from_base) {
            want = NULL;
        }
        if (!rp_unpack_xor(&reader, want ? want->content : NULL)) {
            return damaged(record, reader.page);
        }
        if (want && reader.born) {
            want->none = back;
        }
    }
    return status == RP_OK && reader.left ? damaged(record, UINT32_MAX) : status;
}

static rp_status apply_range(rp_log *log, uint64_t from, uint64_t to, apply_filter filter)
{
    rp_status status = RP_OK;
    for (uint64_t at = from; at > to && status == RP_OK; at--) {
        const log_record *record = log_record_at(log, at);
        status = record->blob ? apply_blob(log, record, true, filter) : RP_OK;
    }
    for (uint64_t at = from + 1; at <= to && status == RP_OK; at++) {
        const log_record *record = log_record_at(log, at);
        status = record->blob ? apply_blob(log, record, false, filter) : RP_OK;
    }
    return status;
}

rp_status log_apply_between(rp_log *log, uint64_t from, uint64_t to)
{
    return apply_range(log, from, to, APPLY_ALL);
}

uint64_t log_apply_cost(const rp_log *log, uint64_t from, uint64_t to)
{
    uint64_t low = from < to ? from : to, high = from < to ? to : from, pages = 0;
    if (low == high) {
        return 0;
    }
    for (uint64_t at = log_group_of(log, low); at < log->groups.tail; at++) {
        const log_group *group = log_group_at(log, at);
        uint64_t end = log_group_end(log, at);
        if (group->from >= high) {
            break;
        }
        if (group->bare) {
            return UINT64_MAX;
        }
        if (group->from >= low && end <= high) {
            pages += group->page_count;
            continue;
        }
        for (uint64_t i = group->from + 1; i <= end; i++) {
            pages += i > low && i <= high ? log_record_at(log, i)->blob_pages : 0;
        }
    }
    return pages;
}

/* ---- images ---- */

static void resolve_group(rp_log *log, const log_group *group, size_t *left)
{
    for (uint32_t i = 0; i < group->version_count; i++) {
        uint64_t number = group->first_version + i;
        log_want *want = log_want_find(log, log_version_at(log, number)->page);
        if (want && !want->resolved) {
            want->resolved = 1;
            want->from_base = 0;
            want->version = number;
            (*left)--;
        }
    }
}

/* Each page's version at the image, which may stand in a later group, or nowhere: then it is that
 * of `base`. */
static void resolve(rp_log *log, uint64_t image)
{
    size_t left = log->want_count;
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        want->resolved = want->none = 0;
        want->from_base = want->fresh = 1;
        want->version = 0;
    }
    for (uint64_t at = image; at < log->groups.tail && left; at++) {
        resolve_group(log, log_group_at(log, at), &left);
    }
}

static bool has_blob(const log_version *version)
{
    return version->kind == LOG_VERSION_WHOLE || version->kind == LOG_VERSION_DELTA;
}

/* Takes one version of the want's chain. */
static rp_status fill_step(const rp_log *log, log_want *want)
{
    const log_version *version = log_version_at(log, want->version);
    if (has_blob(version)) {
        uint32_t size_bytes;
        const uint8_t *packed = rp_store_get(&log->store, version->blob, &size_bytes);
        if (!packed || !rp_unpack_version(packed, size_bytes, want->content, want->fresh)) {
            return rp_fail(RP_E_FORMAT,
                           "log: the packed image of page %u is damaged: what needs it is not "
                           "restored",
                           want->page);
        }
        want->fresh = 0;
    }
    want->none = version->kind == LOG_VERSION_NONE;
    bool goes_on = version->kind >= LOG_VERSION_DELTA;
    want->from_base = goes_on && version->next == 0;
    want->version = goes_on ? version->next : 0;
    return RP_OK;
}

/* The chains of some wants side by side: each step of one finds its bytes already on their way from
 * memory, for which it would wait otherwise. */
static rp_status fill_batch(const rp_log *log, log_want *wants, size_t count)
{
    bool any = true;
    while (any) {
        any = false;
        for (size_t i = 0; i < count; i++) {
            if (wants[i].version) {
                rp_store_prefetch(&log->store, log_version_at(log, wants[i].version)->blob);
            }
        }
        for (size_t i = 0; i < count; i++) {
            rp_status status = wants[i].version ? fill_step(log, &wants[i]) : RP_OK;
            if (status != RP_OK) {
                return status;
            }
            if (wants[i].version) {
                __builtin_prefetch(log_version_at(log, wants[i].version));
                any = true;
            }
        }
    }
    return RP_OK;
}

static void add_base(const rp_log *log, log_want *want)
{
    const uint8_t *content = log_slot_content(log, want->slot);
    want->none = want->slot == LOG_SLOT_NONE;
    if (content && want->fresh) {
        memcpy(want->content, content, RP_PAGE_BYTES);
    } else if (content) {
        rp_page_xor(want->content, content);
    }
    want->fresh = want->fresh && !content;
}

/* What nothing was put into is zero. */
static void clear_fresh(log_want *want)
{
    if (want->fresh) {
        memset(want->content, 0, RP_PAGE_BYTES);
        want->fresh = 0;
    }
}

static rp_status fill_image(rp_log *log, uint64_t image)
{
    rp_status status = RP_OK;
    resolve(log, image);
    for (size_t i = 0; i < log->want_count && status == RP_OK; i += FILL_BATCH) {
        status = fill_batch(log, &log_wants(log)[i], rp_min_size(FILL_BATCH, log->want_count - i));
    }
    if (status != RP_OK) {
        return status;
    }
    bool any_from_base = false;
    log_wants_slots(log, log->base);
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        if (want->from_base) {
            add_base(log, want);
            any_from_base = true;
        }
        clear_fresh(want);
    }
    uint64_t open = log_group_at(log, log->groups.tail - 1)->from;
    return any_from_base ? apply_range(log, log->base, open, APPLY_FROM_BASE) : RP_OK;
}

/* ---- records ---- */

static rp_status expand_from_base(rp_log *log, uint64_t index)
{
    log_wants_slots(log, log->base);
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        want->fresh = 1;
        add_base(log, want);
        clear_fresh(want);
    }
    return log_apply_between(log, log->base, index);
}

static rp_status expand_from_image(rp_log *log, uint64_t group, uint64_t index)
{
    rp_status status = fill_image(log, group);
    return status == RP_OK ? log_apply_between(log, log_group_at(log, group)->from, index) : status;
}

typedef struct expand_ways {
    uint64_t group;
    bool open;
    uint64_t on_pages, back_pages; /* from the group's image; from what stands at its end */
} expand_ways;

static expand_ways find_ways(const rp_log *log, uint64_t index)
{
    uint64_t group = log_group_of(log, index);
    return (expand_ways){.group = group,
                         .open = group + 1 == log->groups.tail,
                         .on_pages = log_apply_cost(log, log_group_at(log, group)->from, index),
                         .back_pages = log_apply_cost(log, log_group_end(log, group), index)};
}

uint64_t log_expand_cost(const rp_log *log, uint64_t index)
{
    expand_ways ways = find_ways(log, index);
    return ways.open || ways.back_pages < ways.on_pages ? ways.back_pages : ways.on_pages;
}

rp_status log_expand(rp_log *log, uint64_t index)
{
    if (index == log->base) {
        return expand_from_base(log, index);
    }
    expand_ways ways = find_ways(log, index);
    if (ways.open) {
        return expand_from_base(log, index);
    }
    bool back_first = ways.back_pages < ways.on_pages;
    rp_status status = RP_OK;
    for (int way = 0; way < 2; way++) {
        bool back = back_first == (way == 0);
        if ((back ? ways.back_pages : ways.on_pages) == UINT64_MAX) {
            continue;
        }
        status = expand_from_image(log, ways.group + back, index);
        if (status != RP_E_FORMAT) {
            break;
        }
    }
    return status;
}
