/* Moving the position: what a world must copy is found from the records between here and there. */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

void log_set_current(rp_log *log, uint32_t page, uint32_t slot)
{
    log->current_pages -= log_slot_holds(log_current(log, page));
    log->current_pages += log_slot_holds(slot);
    log->current.words[page] = slot + 1;
}

static rp_page_slot *moved_list(const rp_log *log)
{
    return (rp_page_slot *)(void *)log->moved.data;
}

/* Notes the slot that the page had before the walk. */
static void change(rp_log *log, uint32_t page, uint32_t slot)
{
    if (log_mark_first(log, page)) {
        moved_list(log)[log->moved_count++] = (rp_page_slot){page, log_current(log, page)};
    }
    log_set_current(log, page, slot);
}

static void undo_record(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->page_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        change(log, entry->page, entry->was);
    }
}

static void redo_record(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->page_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        change(log, entry->page, entry->slot);
    }
}

/* The number of the entry behind the last one of a record. */
static uint64_t entries_end(const rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    return record->first_entry + record->page_count;
}

rp_status log_move(rp_log *log, uint64_t index)
{
    uint64_t low = index < log->position ? index : log->position;
    uint64_t high = index < log->position ? log->position : index;
    uint64_t changes = entries_end(log, high) - entries_end(log, low);
    size_t most = rp_min_size(changes, log->known_pages);
    rp_status status = rp_grow_need(&log->moved, most * sizeof(rp_page_slot));
    if (status != RP_OK) {
        return status;
    }
    log_mark_begin(log);
    log->moved_count = 0;
    while (log->position > index) {
        undo_record(log, log->position--);
    }
    while (log->position < index) {
        redo_record(log, ++log->position);
    }
    return RP_OK;
}

static uint32_t slot_to_copy(uint32_t slot)
{
    return slot == LOG_SLOT_NONE ? RP_SLOT_ZERO : slot;
}

rp_status rp_log_seek(rp_log *log, uint64_t index, const rp_page_slot **entries, size_t *count)
{
    *entries = NULL;
    *count = 0;
    if (!log_holds(log, index)) {
        return rp_fail(RP_E_RANGE, "log: record %llu is not kept: the kept ones are %llu to %llu",
                       (unsigned long long)index, (unsigned long long)rp_log_first(log),
                       (unsigned long long)rp_log_last(log));
    }
    rp_status status = log_move(log, index);
    if (status != RP_OK) {
        return status;
    }
    rp_page_slot *list = moved_list(log);
    size_t kept = 0;
    for (size_t i = 0; i < log->moved_count; i++) {
        uint32_t before = slot_to_copy(list[i].slot);
        uint32_t now = slot_to_copy(log_current(log, list[i].page));
        if (now != before) {
            list[kept++] = (rp_page_slot){list[i].page, now};
        }
    }
    *entries = list;
    *count = kept;
    return RP_OK;
}

/* A fresh world zone is zero; a module's globals are not, so of theirs the zero pages are named
 * too. */
rp_status rp_log_full(rp_log *log, const rp_page_slot **entries, size_t *count)
{
    *entries = NULL;
    *count = 0;
    rp_status status = rp_grow_need(&log->moved, log->known_pages * sizeof(rp_page_slot));
    if (status != RP_OK) {
        return status;
    }
    rp_page_slot *list = moved_list(log);
    size_t kept = 0;
    for (uint32_t page = rp_sparse_next(&log->current, 0); page != UINT32_MAX;
         page = rp_sparse_next(&log->current, page + 1)) {
        uint32_t slot = log_current(log, page);
        if (slot != RP_SLOT_ZERO || page >= RP_PAGE_EXTRA) {
            list[kept++] = (rp_page_slot){page, slot};
        }
    }
    *entries = list;
    *count = kept;
    return RP_OK;
}

uint32_t rp_log_slot_of(const rp_log *log, uint32_t page)
{
    return page < RP_PAGE_LIMIT ? slot_to_copy(log_current(log, page)) : RP_SLOT_ZERO;
}

static const log_entry *find_entry(const rp_log *log, uint64_t index, uint32_t page)
{
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->page_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        if (entry->page == page) {
            return entry;
        }
    }
    return NULL;
}

uint32_t rp_log_slot_at(const rp_log *log, uint64_t index, uint32_t page)
{
    RP_ASSERT(log_holds(log, index) && page < RP_PAGE_LIMIT);
    for (uint64_t at = index + 1; at <= log->position; at++) {
        const log_entry *entry = find_entry(log, at, page);
        if (entry) {
            return slot_to_copy(entry->was);
        }
    }
    for (uint64_t at = index; at > log->position; at--) {
        const log_entry *entry = find_entry(log, at, page);
        if (entry) {
            return entry->slot;
        }
    }
    return rp_log_slot_of(log, page);
}
