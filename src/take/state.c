/* See state.h. */
#include "take/state.h"
#include "take/delta.h"
#include "take/reader_private.h"

#include "base/error.h"
#include "region/region.h"

#include <string.h>

#define NOWHERE UINT64_MAX

typedef struct state_page {
    uint64_t hash; /* 0: zeros */
    uint32_t page, reserved;
} state_page;

struct rp_take_state {
    rp_take *take;
    uint64_t position; /* frame record; NOWHERE: empty */
    uint64_t hash;
    rp_take_map index_of;
    rp_take_array pages;    /* state_page */
    rp_take_array contents; /* 4096 bytes for each */
    rp_take_array columns;  /* of the frame or base at hand */
};

static void clear(rp_take_state *state)
{
    state->position = NOWHERE;
    state->hash = 0;
    rp_take_map_clear(&state->index_of);
    state->pages.used_bytes = 0;
    rp_take_array_clear(&state->contents, RP_MIB(64));
}

rp_status rp_take_state_create(rp_take *take, rp_take_state **out)
{
    size_t size_bytes = rp_align_up(sizeof **out, RP_PAGE_BYTES);
    size_t limit = (size_t)take->desc.memory_limit_bytes;
    rp_take_state *state = rp_os_vm_reserve(size_bytes);
    *out = NULL;
    if (!state) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(state, size_bytes);
    if (status) {
        rp_os_vm_release(state, size_bytes);
        return status;
    }
    state->take = take;
    status = rp_take_array_init(&state->contents, limit);
    status =
        status ? status
               : rp_take_array_init(&state->pages, limit / RP_PAGE_BYTES * sizeof(state_page) + 1);
    status = status ? status : rp_take_array_init(&state->columns, RP_GIB(1) + RP_MIB(1));
    if (status) {
        rp_take_state_destroy(state);
        return status;
    }
    clear(state);
    *out = state;
    return RP_OK;
}

void rp_take_state_destroy(rp_take_state *state)
{
    if (state) {
        rp_take_array_finish(&state->contents);
        rp_take_array_finish(&state->pages);
        rp_take_array_finish(&state->columns);
        rp_take_map_finish(&state->index_of);
        rp_os_vm_release(state, rp_align_up(sizeof *state, RP_PAGE_BYTES));
    }
}

/* ---- pages ------------------------------------------------------------------------------------
 */

static state_page *page_at(const rp_take_state *state, size_t index)
{
    return (state_page *)(void *)state->pages.data + index;
}

static uint8_t *content_at(const rp_take_state *state, size_t index)
{
    return state->contents.data + index * RP_PAGE_BYTES;
}

/* The page's place; a fresh one is zeros. */
static rp_status place_of(rp_take_state *state, uint32_t page, uint32_t *index)
{
    if (rp_take_map_get(&state->index_of, page, index)) {
        return RP_OK;
    }
    state_page fresh = {.page = page};
    *index = (uint32_t)(state->pages.used_bytes / sizeof fresh);
    rp_status status = rp_take_array_need(&state->contents, RP_PAGE_BYTES);
    status = status ? status : rp_take_array_need(&state->pages, sizeof fresh);
    status = status ? status : rp_take_map_set(&state->index_of, page, *index);
    if (status) {
        return status;
    }
    memset(content_at(state, *index), 0, RP_PAGE_BYTES);
    state->contents.used_bytes += RP_PAGE_BYTES;
    return rp_take_array_add(&state->pages, &fresh, sizeof fresh);
}

/* A page's content was changed. */
static void note(rp_take_state *state, uint32_t index)
{
    state_page *entry = page_at(state, index);
    uint64_t hash = rp_take_page_hash(entry->page, content_at(state, index));
    state->hash += hash - entry->hash;
    entry->hash = hash;
}

static rp_status put_content(rp_take_state *state, uint32_t page, uint64_t content)
{
    uint32_t index;
    rp_status status = place_of(state, page, &index);
    status = status ? status : reader_content(state->take, content, content_at(state, index));
    if (!status) {
        note(state, index);
    }
    return status;
}

/* ---- a frame's differences --------------------------------------------------------------------
 */

/* The columns of a frame, as they are gone through. */
typedef struct frame_columns {
    const uint8_t *pages, *ways, *contents, *contents_end, *deltas, *deltas_end;
    uint64_t previous_plus_1; /* page */
} frame_columns;

static rp_status put_delta(rp_take_state *state, uint32_t page, frame_columns *columns,
                           uint64_t offset)
{
    uint32_t index;
    rp_status status = place_of(state, page, &index);
    if (status) {
        return status;
    }
    size_t used = rp_take_delta_apply(content_at(state, index), columns->deltas,
                                      (size_t)(columns->deltas_end - columns->deltas));
    if (!used) {
        return reader_damaged(state->take, offset, "a difference is longer than its column");
    }
    columns->deltas += used;
    note(state, index);
    return RP_OK;
}

static rp_status put_zeros(rp_take_state *state, uint32_t page)
{
    uint32_t index;
    if (rp_take_map_get(&state->index_of, page, &index)) {
        memset(content_at(state, index), 0, RP_PAGE_BYTES);
        note(state, index);
    }
    return RP_OK;
}

static rp_status put_numbered(rp_take_state *state, uint32_t page, frame_columns *columns,
                              uint64_t offset)
{
    if (columns->contents == columns->contents_end) {
        return reader_damaged(state->take, offset, "a frame has more contents than it says");
    }
    uint64_t content = rp_take_get_u64(columns->contents);
    columns->contents += sizeof content;
    if (content >= state->take->content_count) {
        return reader_damaged(state->take, offset, "content %llu is not in the take",
                              (unsigned long long)content);
    }
    return put_content(state, page, content);
}

static rp_status apply_page(rp_take_state *state, uint32_t i, frame_columns *columns,
                            uint64_t offset)
{
    uint32_t page = rp_take_get_u32(columns->pages + i * sizeof page);
    if (page >= RP_PAGE_LIMIT || page < columns->previous_plus_1) {
        return reader_damaged(state->take, offset,
                              "page %#x is out of order or beyond the last one", page);
    }
    columns->previous_plus_1 = (uint64_t)page + 1;
    switch (columns->ways[i]) {
    case RP_TAKE_IS_ZERO:
        return put_zeros(state, page);
    case RP_TAKE_IS_CONTENT:
        return put_numbered(state, page, columns, offset);
    case RP_TAKE_IS_DELTA:
        return put_delta(state, page, columns, offset);
    default:
        return reader_damaged(state->take, offset, "page %#x is stored in no known way", page);
    }
}

static rp_status apply_frame(rp_take_state *state, uint64_t number)
{
    reader_record record;
    rp_take_frame frame;
    rp_status status = reader_frame(state->take, number, &frame, &record);
    rp_take_array_clear(&state->columns, RP_MIB(1));
    status = status ? status : reader_tail(state->take, &record, &state->columns);
    if (status) {
        return status;
    }
    frame_columns columns = {.pages = state->columns.data};
    columns.ways = columns.pages + 4 * (size_t)frame.page_count;
    columns.contents = columns.ways + frame.page_count;
    columns.contents_end = columns.contents + 8 * (size_t)frame.content_count;
    columns.deltas = columns.contents_end;
    columns.deltas_end = columns.deltas + frame.delta_bytes;
    for (uint32_t i = 0; i < frame.page_count && !status; i++) {
        status = apply_page(state, i, &columns, record.offset);
    }
    if (!status &&
        (columns.contents != columns.contents_end || columns.deltas != columns.deltas_end)) {
        status = reader_damaged(state->take, record.offset, "a frame has less than it says");
    }
    return status;
}

/* ---- a base -----------------------------------------------------------------------------------
 */

static void sift(rp_take_run *runs, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && runs[child].content < runs[child + 1].content;
        if (runs[at].content >= runs[child].content) {
            return;
        }
        rp_take_run swapped = runs[at];
        runs[at] = runs[child];
        runs[child] = swapped;
    }
}

/* By content, so that each block is unpacked once. */
static void sort_by_content(rp_take_run *runs, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(runs, i, count);
    }
    for (size_t end = count; end-- > 1;) {
        rp_take_run last = runs[end];
        runs[end] = runs[0];
        runs[0] = last;
        sift(runs, 0, end);
    }
}

static rp_status check_base(const rp_take_state *state, const reader_record *record,
                            const rp_take_base *base, uint64_t frame_index)
{
    const rp_take *take = state->take;
    if (base->frame_index != frame_index ||
        record->head.unpacked_bytes != (uint64_t)base->run_count * RP_TAKE_BYTES_run ||
        base->page_count > RP_PAGE_LIMIT || base->hash != reader_frames(take)[frame_index].hash) {
        return reader_damaged(take, record->offset, "a base contradicts its frame or its size");
    }
    if (base->page_count > take->desc.memory_limit_bytes / RP_PAGE_BYTES) {
        return rp_fail(RP_E_LIMIT, "%s: at %llu: a state of %llu MiB is more than may be read",
                       take->desc.source.name, (unsigned long long)record->offset,
                       (unsigned long long)(base->page_count >> (20 - RP_PAGE_SHIFT)));
    }
    return RP_OK;
}

/* Decodes the runs in place and checks all of them before any is followed. */
static rp_status decode_runs(rp_take_state *state, uint64_t offset, const rp_take_base *base)
{
    rp_take_run *runs = (rp_take_run *)(void *)state->columns.data;
    uint64_t behind = 0, pages = 0, contents = state->take->content_count;
    for (uint32_t i = 0; i < base->run_count; i++) {
        rp_take_run run;
        rp_take_decode(RP_TAKE_STRUCT_run, state->columns.data + (size_t)i * sizeof run, &run);
        if (!run.count || run.page < behind || run.page >= RP_PAGE_LIMIT ||
            run.count > RP_PAGE_LIMIT - run.page || run.content > contents ||
            run.count > contents - run.content) {
            return reader_damaged(state->take, offset, "run %u of a base names what is not there",
                                  i);
        }
        behind = run.page + run.count;
        pages += run.count;
        runs[i] = run;
    }
    return pages == base->page_count
               ? RP_OK
               : reader_damaged(state->take, offset, "a base has other pages than it says");
}

static rp_status put_runs(rp_take_state *state, const rp_take_base *base)
{
    rp_take_run *runs = (rp_take_run *)(void *)state->columns.data;
    rp_status status = RP_OK;
    sort_by_content(runs, base->run_count);
    for (uint32_t i = 0; i < base->run_count && !status; i++) {
        for (uint32_t j = 0; j < runs[i].count && !status; j++) {
            status = put_content(state, runs[i].page + j, runs[i].content + j);
        }
    }
    return status;
}

static rp_status apply_base(rp_take_state *state, const rp_take_index_base *entry)
{
    reader_record record;
    rp_take_base base;
    rp_status status =
        reader_read_as(state->take, entry->offset, entry->record_bytes, RP_TAKE_BASE, &record);
    if (status) {
        return status;
    }
    reader_fixed(state->take, &record, &base);
    status = check_base(state, &record, &base, entry->frame_index);
    rp_take_array_clear(&state->columns, RP_MIB(1));
    status = status ? status : reader_tail(state->take, &record, &state->columns);
    status = status ? status : decode_runs(state, record.offset, &base);
    status = status ? status : put_runs(state, &base);
    if (!status && state->hash != base.hash) {
        status = reader_damaged(state->take, record.offset,
                                "the hash of a base is not that of its pages");
    }
    return status;
}

/* ---- seek -------------------------------------------------------------------------------------
 */

/* The last base that is not behind a frame; null: none. */
static const rp_take_index_base *base_before(const rp_take *take, uint64_t index)
{
    const rp_take_index_base *bases = reader_bases(take);
    uint64_t low = 0, high = READER_COUNT(take, bases, rp_take_index_base);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (bases[middle].frame_index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? &bases[low - 1] : NULL;
}

/* Leaves the state where the frames from *next on are still to be applied. Where a base is damaged
 * the one before it leads there as well, on a longer way. */
static rp_status begin(rp_take_state *state, uint64_t index, uint64_t *next)
{
    const rp_take_index_base *base = base_before(state->take, index);
    if (state->position != NOWHERE && state->position <= index &&
        (!base || base->frame_index <= state->position)) {
        *next = state->position + 1;
        return RP_OK;
    }
    rp_status status = RP_E_FORMAT;
    for (; base && status == RP_E_FORMAT;
         base = base == reader_bases(state->take) ? NULL : base - 1) {
        clear(state);
        *next = base->frame_index + 1;
        status = apply_base(state, base);
    }
    if (status == RP_E_FORMAT) {
        clear(state);
        *next = 0;
        return RP_OK;
    }
    return status;
}

rp_status state_check_base(rp_take_state *state, uint64_t number)
{
    clear(state);
    rp_status status = apply_base(state, &reader_bases(state->take)[number]);
    clear(state);
    return status;
}

static rp_status go(rp_take_state *state, uint64_t index)
{
    const rp_take_index_frame *frames = reader_frames(state->take);
    uint64_t next;
    rp_status status = begin(state, index, &next);
    for (; !status && next <= index; next++) {
        if (!(frames[next].flags & RP_TAKE_THIN)) {
            status = apply_frame(state, next);
        }
    }
    if (!status && state->hash != frames[index].hash) {
        status =
            reader_damaged(state->take, frames[index].offset,
                           "the memory of frame %llu does not have the hash that it should have",
                           (unsigned long long)frames[index].frame);
    }
    return status;
}

rp_status rp_take_state_seek(rp_take_state *state, uint64_t index)
{
    const rp_take_index_frame *frame = rp_take_frame_at(state->take, index);
    if (!frame) {
        return rp_fail(RP_E_RANGE, "%s: frame record %llu: there are %llu",
                       state->take->desc.source.name, (unsigned long long)index,
                       (unsigned long long)reader_frame_count(state->take));
    }
    if (frame->flags & RP_TAKE_THIN) {
        return rp_fail(RP_E_NOT_FOUND,
                       "%s: frame %llu is thin: its input was recorded, its memory was not: choose "
                       "another frame",
                       state->take->desc.source.name, (unsigned long long)frame->frame);
    }
    rp_status status = go(state, index);
    if (status) {
        clear(state);
        return status;
    }
    state->position = index;
    return RP_OK;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

const uint8_t *rp_take_state_page(const rp_take_state *state, uint32_t page)
{
    uint32_t index;
    return rp_take_map_get(&state->index_of, page, &index) && page_at(state, index)->hash
               ? content_at(state, index)
               : NULL;
}

bool rp_take_state_next(const rp_take_state *state, size_t *cursor, uint32_t *page,
                        const uint8_t **content)
{
    size_t count = state->pages.used_bytes / sizeof(state_page);
    for (; *cursor < count; (*cursor)++) {
        const state_page *entry = page_at(state, *cursor);
        if (entry->hash) {
            *page = entry->page;
            *content = content_at(state, (*cursor)++);
            return true;
        }
    }
    return false;
}

uint64_t rp_take_state_hash(const rp_take_state *state)
{
    return state->hash;
}

/* The first byte of the page that a range begins in. */
static uint64_t range_base(const rp_take_range *range)
{
    return rp_align_down(range->start, RP_PAGE_BYTES);
}

/* Pages that a range touches; 0 where the file's numbers make no sense. */
static uint64_t range_pages(const rp_take_range *range)
{
    uint64_t end;
    if (!range->size_bytes || __builtin_add_overflow(range->start, range->size_bytes, &end)) {
        return 0;
    }
    return (end - 1 - range_base(range)) / RP_PAGE_BYTES + 1;
}

bool rp_take_page_address(const rp_take *take, const rp_take_range *ranges, size_t count,
                          uint32_t page, uint64_t *address, const rp_take_range **range)
{
    *range = NULL;
    if (page < RP_PAGE_EXTRA) {
        *address = take->header.region_base + (uint64_t)page * RP_PAGE_BYTES;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (page >= ranges[i].first_page && page - ranges[i].first_page < range_pages(&ranges[i])) {
            *range = &ranges[i];
            *address =
                range_base(&ranges[i]) + (uint64_t)(page - ranges[i].first_page) * RP_PAGE_BYTES;
            return true;
        }
    }
    return false;
}

/* The page that holds an address, and how many bytes from there on are state of one kind. Page
 * numbers reach further than the region: what lies behind it is a range's, or nobody's. */
static bool page_of(const rp_take *take, const rp_take_range *ranges, size_t count,
                    uint64_t address, uint32_t *page, uint64_t *left)
{
    uint64_t offset = address - take->header.region_base;
    if (offset < RP_REGION_RESERVE_BYTES) {
        *page = (uint32_t)(offset / RP_PAGE_BYTES);
        *left = RP_REGION_RESERVE_BYTES - offset;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t within = address - ranges[i].start;
        uint64_t number = ranges[i].first_page + (address - range_base(&ranges[i])) / RP_PAGE_BYTES;
        if (range_pages(&ranges[i]) && address >= ranges[i].start &&
            within < ranges[i].size_bytes && number < RP_PAGE_LIMIT) {
            *page = (uint32_t)number;
            *left = ranges[i].size_bytes - within;
            return true;
        }
    }
    return false;
}

rp_status rp_take_state_read(const rp_take_state *state, const rp_take_range *ranges, size_t count,
                             uint64_t address, void *bytes, size_t size_bytes)
{
    uint8_t *to = bytes;
    while (size_bytes) {
        uint32_t page;
        uint64_t left;
        if (!page_of(state->take, ranges, count, address, &page, &left)) {
            return rp_fail(RP_E_RANGE, "%s: %#llx is in no memory that was recorded",
                           state->take->desc.source.name, (unsigned long long)address);
        }
        size_t skip = (size_t)(address % RP_PAGE_BYTES);
        size_t length = rp_min_size(rp_min_size(size_bytes, RP_PAGE_BYTES - skip), (size_t)left);
        const uint8_t *content = rp_take_state_page(state, page);
        if (content) {
            memcpy(to, content + skip, length);
        } else {
            memset(to, 0, length);
        }
        to += length, address += length, size_bytes -= length;
    }
    return RP_OK;
}
