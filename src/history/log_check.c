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
    if (record->first_entry < before->first_entry + before->entry_count ||
        record->frame < before->frame || record->input < before->input + before->input_bytes ||
        !record->kept) {
        return fail("a record does not follow the one before it", index);
    }
    for (uint32_t i = 0; i < record->entry_count; i++) {
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
    uint64_t first = log->base, last = rp_log_last(log);
    if (log_move(log, first) != RP_OK || !check_base(log, references)) {
        return false;
    }
    const log_record *base = log_record_at(log, first);
    for (uint32_t i = 0; i < base->entry_count; i++) {
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

static bool check_free(const rp_log *log)
{
    uint32_t count = 0, crumbs = 0;
    for (uint32_t slot = 0; slot < log->slot_end; slot++) {
        count += log_slot_states(log)[slot] == LOG_SLOT_FREE;
        if (slot + 1 == log->slot_end || (slot + 1) % LOG_CHUNK_SLOTS == 0) {
            if (log->chunk_free[slot / LOG_CHUNK_SLOTS] != count) {
                return fail("the count of a chunk's free slots", slot / LOG_CHUNK_SLOTS);
            }
            crumbs += count < LOG_CHUNK_MOSTLY ? count : 0;
            count = 0;
        }
    }
    return crumbs == log->crumb_slots || fail("the count of crumbs", log->crumb_slots);
}

static bool check_slots(const rp_log *log, const rp_grow *references)
{
    uint32_t counts[LOG_SLOT_BARE + 1] = {0};
    for (uint32_t slot = 1; slot < log->slot_end; slot++) {
        uint8_t state = log_slot_states(log)[slot];
        counts[state]++;
        if ((state == LOG_SLOT_USED) != (references->data[slot] == 1)) {
            return fail("a slot is in use but no version names it", slot);
        }
    }
    if (counts[LOG_SLOT_FREE] != log->free_count || counts[LOG_SLOT_USED] != log->used_count ||
        counts[LOG_SLOT_OFFERED] != log->offered_count ||
        counts[LOG_SLOT_HELD] != log->held_count || counts[LOG_SLOT_BARE] != log->bare_count) {
        return fail("the counts of slots", log->slot_end);
    }
    return check_free(log) &&
           (log->warm_end >= log->slot_end || fail("the end of warm slots", log->warm_end));
}

/* ---- what is packed ---- */

static bool check_blobs(const rp_log *log, uint64_t *blobs)
{
    for (uint64_t index = log->records.head; index <= log->base; index++) {
        const log_record *record = log_record_at(log, index);
        uint32_t size_bytes;
        *blobs += record->blob != 0;
        if (record->blob && !record->kept) {
            return fail("a record that is not kept has a blob", index);
        }
        if (record->blob && !rp_store_get(&log->store, record->blob, &size_bytes)) {
            return fail("a packed record's checksum", index);
        }
        if (index < log->base && record->entry_count && index != log->records.head) {
            return fail("a packed record has entries", index);
        }
    }
    return log_record_at(log, log->records.head)->kept ||
           fail("the oldest record is not kept", log->records.head);
}

static bool check_group(const rp_log *log, uint64_t number, uint64_t *blobs)
{
    const log_group *group = log_group_at(log, number);
    uint64_t end = log_group_end(log, number), pages = 0;
    bool open = number + 1 == log->groups.tail;
    if (end < group->from || (!open && end == group->from) || (open && group->version_count)) {
        return fail("the bounds of a group", number);
    }
    for (uint64_t index = group->from + 1; index <= end; index++) {
        const log_record *record = log_record_at(log, index);
        pages += record->blob_pages;
        bool should = record->kept && !group->bare;
        if ((record->blob != 0) != should || (index == end && !record->kept)) {
            return fail("a kept record has no blob, or the last of a group is not kept", index);
        }
    }
    for (uint32_t i = 0; i < group->version_count; i++) {
        uint64_t at = group->first_version + i;
        const log_version *version = log_version_at(log, at);
        bool has = version->kind == LOG_VERSION_WHOLE || version->kind == LOG_VERSION_DELTA;
        *blobs += has;
        if (has != (version->blob != 0) ||
            (version->next && log_version_at(log, version->next)->before != at) ||
            (!version->next && log_newest_version(log, version->page) != at)) {
            return fail("the versions of a page", version->page);
        }
    }
    return pages == group->page_count || fail("the pages of a group", number);
}

/* A shared blob counts once. */
static bool check_groups(const rp_log *log)
{
    uint64_t blobs = 0, versions = log->versions.head, of_records = 0, of_versions = 0;
    if (!log_has_groups(log)) {
        return (log->records.head == log->base && log->versions.head == log->versions.tail &&
                log->store.blob_count == 0) ||
               fail("packed records without a group", log->base);
    }
    if (log_group_at(log, log->groups.head)->from != log->records.head) {
        return fail("the oldest group does not begin at the oldest record", log->groups.head);
    }
    for (uint64_t number = log->groups.head; number < log->groups.tail; number++) {
        if (log_group_at(log, number)->first_version != versions ||
            !check_group(log, number, &of_versions)) {
            return fail("the groups", number);
        }
        versions += log_group_at(log, number)->version_count;
    }
    if (versions != log->versions.tail || !check_blobs(log, &of_records)) {
        return fail("the versions, or a blob", versions);
    }
    blobs = of_records + of_versions;
    return (rp_store_check(&log->store) && log->store.blob_count <= blobs &&
            log->store.blob_count >= of_records) ||
           fail("the store of packed records", blobs);
}

/* ---- all ---- */

static bool check_sought(const rp_log *log, rp_grow *references)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < log->sought_count; i++) {
        uint32_t slot = log_current(log, log_sought(log)[i].page);
        held += log_slot_holds(slot);
        if (!refer(log, references, slot)) {
            return false;
        }
    }
    if (log->sought_count && log->position >= log->base) {
        return fail("pages beside the base, and the position is not before it", log->sought_count);
    }
    return held == log->sought_pages || fail("the count of pages beside the base", held);
}

/* The walk over the raw records needs the position among them; it is put back as it was. */
static bool check_raw(rp_log *log, rp_grow *references)
{
    uint64_t position = log->position;
    if (position >= log->base) {
        bool good = check_chains(log, references);
        return log_move(log, position) == RP_OK && good;
    }
    for (uint32_t i = 0; i < log->sought_count; i++) { /* the base, for the while */
        rp_page_slot *entry = &log_sought(log)[i];
        uint32_t slot = log_current(log, entry->page);
        log_set_current(log, entry->page, entry->slot);
        entry->slot = slot;
    }
    log->position = log->base;
    bool good = check_chains(log, references);
    bool back = log_move(log, log->base) == RP_OK;
    for (uint32_t i = 0; i < log->sought_count; i++) {
        rp_page_slot *entry = &log_sought(log)[i];
        uint32_t slot = log_current(log, entry->page);
        log_set_current(log, entry->page, entry->slot);
        entry->slot = slot;
    }
    log->position = position;
    return good && back;
}

static bool check_kept(rp_log *log, rp_grow *references)
{
    if (!log_holds(log, log->position) || !log_holds(log, log->base)) {
        return fail("the position is no kept record", log->position);
    }
    uint64_t over = log_history_bytes(log);
    if (over > log->budget_bytes && log->records.tail - log->records.head > 1 &&
        log->position == rp_log_last(log)) {
        return fail("the history is over its budget", over);
    }
    return check_sought(log, references) && check_raw(log, references) && check_groups(log);
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
