/* The log's invariants, walked in full. For tests and debug builds: it costs a visit to every kept
 * record and slot.
 */
#include "history/log_private.h"

#include "base/bits.h"
#include "base/error.h"

#include <string.h>

static bool fail(const char *what, uint64_t number)
{
    rp_fail(RP_E_FORMAT, "log: damaged: %s (%llu)", what, (unsigned long long)number);
    return false;
}

/* Counts a slot as referenced by one more place; false where that is one too many. */
static bool refer(const rp_log *log, rp_grow *references, uint32_t slot)
{
    if (!log_slot_holds(slot)) {
        return true;
    }
    if (slot >= log->slot_end || log_slot_states(log)[slot] != LOG_SLOT_USED) {
        return fail("a record names a slot that is not in use", slot);
    }
    if (references->data[slot]++) {
        return fail("a slot is named by two versions", slot);
    }
    return true;
}

static bool check_base(rp_log *log, rp_grow *references)
{
    uint32_t held = 0;
    for (uint32_t page = rp_sparse_next(&log->current, 0); page != UINT32_MAX;
         page = rp_sparse_next(&log->current, page + 1)) {
        uint32_t slot = log_current(log, page);
        held += log_slot_holds(slot);
        if (page >= RP_PAGE_LIMIT || !refer(log, references, slot)) {
            return fail("the base names a page or slot that cannot be", page);
        }
    }
    return held == log->current_pages || fail("the count of pages that hold a slot", held);
}

/* The position stands before the record: each entry must continue the chain of its page. */
static bool check_record(rp_log *log, uint64_t index, rp_grow *references)
{
    const log_record *record = log_record_at(log, index);
    const log_record *before = log_record_at(log, index - 1);
    if (record->first_entry != before->first_entry + before->page_count ||
        record->frame < before->frame || record->input < before->input + before->input_bytes) {
        return fail("a record does not follow the one before it", index);
    }
    for (uint32_t i = 0; i < record->page_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        if (entry->was != log_current(log, entry->page)) {
            return fail("an entry does not follow the page's version before it", entry->page);
        }
        if (!refer(log, references, entry->slot)) {
            return false;
        }
    }
    return true;
}

static bool check_chains(rp_log *log, rp_grow *references)
{
    uint64_t first = rp_log_first(log), last = rp_log_last(log);
    if (log_move(log, first) != RP_OK || !check_base(log, references)) {
        return false;
    }
    const log_record *base = log_record_at(log, first);
    for (uint32_t i = 0; i < base->page_count; i++) {
        const log_entry *entry = log_entry_at(log, base, i);
        if (entry->slot != log_current(log, entry->page)) {
            return fail("the oldest record disagrees with the base", entry->page);
        }
    }
    for (uint64_t index = first + 1; index <= last; index++) {
        if (!check_record(log, index, references) || log_move(log, index) != RP_OK) {
            return false;
        }
    }
    return log->current_pages == log->newest_pages ||
           fail("the count of the newest state's pages", log->newest_pages);
}

static bool check_slots(const rp_log *log, const rp_grow *references)
{
    uint32_t counts[3] = {0};
    for (uint32_t slot = 1; slot < log->slot_end; slot++) {
        uint8_t state = log_slot_states(log)[slot];
        counts[state]++;
        if ((state == LOG_SLOT_USED) != (references->data[slot] == 1)) {
            return fail("a slot is in use but no version names it", slot);
        }
    }
    if (counts[LOG_SLOT_FREE] != log->free_count || counts[LOG_SLOT_USED] != log->used_count ||
        counts[LOG_SLOT_OFFERED] != log->offered_count) {
        return fail("the counts of slots", log->slot_end);
    }
    return log->warm_end >= log->slot_end || fail("the end of warm slots", log->warm_end);
}

static bool check_kept(rp_log *log, rp_grow *references)
{
    uint64_t position = log->position;
    if (!log_holds(log, position)) {
        return fail("the position is no kept record", position);
    }
    bool good = check_chains(log, references);
    if (log_move(log, position) != RP_OK) {
        return false;
    }
    uint64_t over = log_history_bytes(log);
    if (good && over > log->budget_bytes && log->records.tail - log->records.head > 1) {
        return fail("the history is over its budget", over);
    }
    return good;
}

bool rp_log_check(rp_log *log)
{
    rp_grow references;
    if (rp_grow_init(&references, log->slot_end) != RP_OK) {
        return false;
    }
    bool good = rp_grow_need(&references, log->slot_end) == RP_OK;
    if (good && !log_is_empty(log)) {
        good = check_kept(log, &references);
    }
    good = good && check_slots(log, &references);
    rp_grow_finish(&references);
    return good;
}
