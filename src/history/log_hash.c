/* Hashes of states: sums over pages, so that a record's hash follows from its neighbour's and from
 * the pages that it wrote.
 */
#include "history/log_private.h"
#include "history/page.h"

#include "base/bits.h"
#include "base/error.h"

#include <xxhash.h>

uint64_t log_slot_hash(rp_log *log, uint32_t page, uint32_t slot)
{
    if (!log_slot_holds(slot)) {
        return 0;
    }
    uint64_t *hash = log_slot_hashes(log) + slot;
    if (*hash == 0) {
        const void *content = rp_log_slot(log, slot);
        *hash = rp_page_is_zero(content) ? 0 : XXH3_64bits_withSeed(content, RP_PAGE_BYTES, page);
    }
    return *hash;
}

static void set_hash(rp_log *log, uint64_t index, uint64_t hash)
{
    log_record *record = log_record_at(log, index);
    record->hash = hash;
    record->hash_known = 1;
}

/* What a record added to the sum of the state before it. */
static uint64_t record_difference(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    if (index <= log->base) {
        return record->difference;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < record->entry_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        sum += log_slot_hash(log, entry->page, entry->slot);
        sum -= log_slot_hash(log, entry->page, entry->was);
    }
    return sum;
}

static uint64_t hash_of_position(rp_log *log)
{
    uint64_t sum = 0;
    for (uint32_t page = rp_sparse_next(&log->current, 0); page != UINT32_MAX;
         page = rp_sparse_next(&log->current, page + 1)) {
        sum += log_slot_hash(log, page, log_current(log, page));
    }
    return sum;
}

/* The record nearest to `index` whose hash is known; the position is hashed whole if none is. */
static uint64_t nearest_known(rp_log *log, uint64_t index)
{
    uint64_t first = rp_log_first(log), last = rp_log_last(log);
    for (uint64_t distance = 0; distance <= last - first; distance++) {
        if (index >= first + distance && log_record_at(log, index - distance)->hash_known) {
            return index - distance;
        }
        if (index + distance <= last && log_record_at(log, index + distance)->hash_known) {
            return index + distance;
        }
    }
    set_hash(log, log->position, hash_of_position(log));
    return log->position;
}

rp_status rp_log_hash(rp_log *log, uint64_t index, uint64_t *hash)
{
    if (!log_holds(log, index)) {
        return rp_fail(RP_E_RANGE, "log: record %llu is not kept: it has no hash",
                       (unsigned long long)index);
    }
    uint64_t at = nearest_known(log, index);
    for (; at < index; at++) {
        set_hash(log, at + 1, log_record_at(log, at)->hash + record_difference(log, at + 1));
    }
    for (; at > index; at--) {
        set_hash(log, at - 1, log_record_at(log, at)->hash - record_difference(log, at));
    }
    *hash = log_record_at(log, index)->hash;
    return RP_OK;
}
