/* Reading kept states without going there. */
#include "history/log_private.h"

#include "base/bits.h"
#include "base/error.h"

#include <string.h>

enum { COMPARE_BATCH = 256 };

static rp_status read_raw(rp_log *log, uint64_t index)
{
    log_wants_slots(log, index);
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        const uint8_t *content = log_slot_content(log, want->slot);
        if (content) {
            memcpy(want->content, content, RP_PAGE_BYTES);
        } else {
            memset(want->content, 0, RP_PAGE_BYTES);
        }
    }
    return RP_OK;
}

rp_status rp_log_read(rp_log *log, uint64_t index, const uint32_t *pages, size_t count,
                      void *contents)
{
    if (!log_holds(log, index) || !log_record_at(log, index)->kept) {
        return rp_fail(RP_E_RANGE, "log: record %llu is not kept: it cannot be read",
                       (unsigned long long)index);
    }
    rp_status status = RP_OK;
    log_wants_begin(log);
    for (size_t i = 0; i < count && status == RP_OK; i++) {
        status = pages[i] < RP_PAGE_LIMIT
                     ? log_want_add(log, pages[i])
                     : rp_fail(RP_E_ARGUMENT, "log: there is no page %u", pages[i]);
    }
    if (status == RP_OK && log->want_count != count) {
        status = rp_fail(RP_E_ARGUMENT, "log: a page is named twice to be read");
    }
    if (status != RP_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        log_wants(log)[i].content = (uint8_t *)contents + i * RP_PAGE_BYTES;
    }
    return index >= log->base ? read_raw(log, index) : log_expand(log, index);
}

/* ---- the pages of a record ---- */

static size_t packed_pages(rp_log *log, const log_record *record, uint32_t *pages, size_t capacity)
{
    uint32_t size_bytes;
    rp_unpack reader;
    size_t count = 0;
    const uint8_t *blob =
        record->blob ? rp_store_get(&log->store, record->blob, &size_bytes) : NULL;
    if (!blob || rp_unpack_open(&log->packer, blob, size_bytes, &reader) != RP_OK) {
        return 0;
    }
    while (rp_unpack_next(&reader) && rp_unpack_xor(&reader, NULL)) {
        if (count < capacity) {
            pages[count] = reader.page;
        }
        count++;
    }
    return count;
}

size_t rp_log_record_pages(rp_log *log, uint64_t index, uint32_t *pages, size_t capacity)
{
    if (!log_holds(log, index)) {
        return 0;
    }
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->entry_count && i < capacity; i++) {
        pages[i] = log_entry_at(log, record, i)->page;
    }
    return record->entry_count ? record->entry_count : packed_pages(log, record, pages, capacity);
}

size_t rp_log_pages(const rp_log *log, uint32_t *pages, size_t capacity)
{
    size_t count = 0;
    for (uint32_t page = rp_sparse_next(&log->current, 0); page != UINT32_MAX;
         page = rp_sparse_next(&log->current, page + 1)) {
        if (count < capacity) {
            pages[count] = page;
        }
        count++;
    }
    return count;
}

/* ---- differences ---- */

/* The pages that may differ, in the log's scratch list; null: no memory. */
static const uint32_t *candidates(rp_log *log, uint64_t a, uint64_t b, size_t *count)
{
    log_wants_begin(log);
    if (log_wants_between(log, a, b) != RP_OK ||
        rp_grow_need(&log->moved, (log->want_count + 1) * sizeof(uint32_t)) != RP_OK) {
        return NULL;
    }
    uint32_t *list = (uint32_t *)(void *)log->moved.data;
    *count = log->want_count;
    for (size_t i = 0; i < *count; i++) {
        list[i] = log_wants(log)[i].page;
    }
    return list;
}

/* The lowest page of a batch that differs, or `lowest`. */
static rp_status compare_batch(rp_log *log, uint64_t a, uint64_t b, const uint32_t *pages,
                               size_t count, uint32_t *lowest)
{
    rp_status status = rp_grow_need(&log->contents, 2 * (size_t)COMPARE_BATCH * RP_PAGE_BYTES);
    uint8_t *first = log->contents.data, *second = first + count * RP_PAGE_BYTES;
    if (status == RP_OK) {
        status = rp_log_read(log, a, pages, count, first);
    }
    if (status == RP_OK) {
        status = rp_log_read(log, b, pages, count, second);
    }
    for (size_t i = 0; i < count && status == RP_OK; i++) {
        size_t at = i * RP_PAGE_BYTES;
        if (pages[i] < *lowest && memcmp(first + at, second + at, RP_PAGE_BYTES) != 0) {
            *lowest = pages[i];
        }
    }
    return status;
}

bool rp_log_first_difference(rp_log *log, uint64_t a, uint64_t b, uint32_t *page)
{
    size_t count = 0, at = 0;
    uint32_t lowest = UINT32_MAX, batch[COMPARE_BATCH];
    if (!log_holds(log, a) || !log_holds(log, b)) {
        return false;
    }
    const uint32_t *pages = candidates(log, a, b, &count);
    while (pages && at < count) {
        size_t taken = 0;
        for (; at < count && taken < COMPARE_BATCH; at++) {
            batch[taken] = pages[at];
            taken += pages[at] < lowest;
        }
        if (compare_batch(log, a, b, batch, taken, &lowest) != RP_OK) {
            return false;
        }
    }
    if (lowest != UINT32_MAX) {
        *page = lowest;
    }
    return lowest != UINT32_MAX;
}
