/* The log's records: made by a commit, dropped at either end; see log.h and log_private.h. */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

#define RECORD_LIMIT (UINT64_C(1) << 24)
#define ENTRY_LIMIT (UINT64_C(1) << 28)
#define INPUT_LIMIT_BYTES (UINT64_C(1) << 32)
/* Pages that a packed state may differ in; what is put together outside of slots. */
#define WANTS_MOST ((size_t)RP_LOG_FILE_BYTES >> RP_PAGE_SHIFT)
#define SCRATCH_MOST_BYTES RP_GIB(8)
#define PAGE_LIST_BYTES ((size_t)RP_PAGE_LIMIT * sizeof(rp_page_slot))
/* Free memory of what is packed that is kept, as it is soon used again. */
enum { STORE_KEEP_SHARE = 64, STORE_KEEP_BYTES = 8 * RP_PAGE_BYTES };
enum { RECORD_INPUT_LIMIT = 65536 };

/* What fits the budget, as a power of two, with room for what is made before the rest goes. */
static uint64_t versions_most(const rp_log *log)
{
    uint64_t fit = rp_min_size(log->budget_bytes, RP_LOG_FILE_BYTES) / sizeof(log_version);
    return UINT64_C(2) << rp_log2(fit + RP_PACK_PAGES_MOST);
}

/* Twice the budget: what replaces something is put before that goes, and free room is in pieces. */
static size_t store_most_bytes(const rp_log *log)
{
    return 2 * rp_min_size(log->budget_bytes, RP_LOG_FILE_BYTES / 2) + RP_MIB(512);
}

static rp_status open_packed_parts(rp_log *log)
{
    rp_status status = rp_store_init(&log->store, store_most_bytes(log),
                                     log->budget_bytes / STORE_KEEP_SHARE + STORE_KEEP_BYTES);
    if (status == RP_OK) {
        status = log_groups_init(log, versions_most(log));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->sought, WANTS_MOST * sizeof(rp_page_slot));
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->sought_at);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->wants, WANTS_MOST * sizeof(log_want));
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->want_at);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->contents,
                              log->room ? WANTS_MOST * 2 * sizeof(uint32_t) : SCRATCH_MOST_BYTES);
    }
    if (status == RP_OK) {
        status = rp_packer_init(&log->packer);
    }
    return status == RP_OK ? log_job_create(&log->job) : status;
}

static rp_status open_parts(rp_log *log, const rp_log_desc *desc)
{
    rp_status status = log_slots_init(log, desc->writable);
    if (status == RP_OK) {
        status = rp_ring_init(&log->records, sizeof(log_record), RECORD_LIMIT);
    }
    if (status == RP_OK) {
        status = rp_ring_init(&log->entries, sizeof(log_entry), ENTRY_LIMIT);
    }
    if (status == RP_OK) {
        status = rp_ring_init(&log->inputs, 1, INPUT_LIMIT_BYTES);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->current);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->marks);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->moved, PAGE_LIST_BYTES);
    }
    return status == RP_OK ? open_packed_parts(log) : status;
}

rp_status rp_log_create(size_t budget_bytes, rp_log **log)
{
    return rp_log_create_with(&(rp_log_desc){.budget_bytes = budget_bytes}, log);
}

rp_status rp_log_create_with(const rp_log_desc *desc, rp_log **log)
{
    size_t own_bytes = rp_align_up(sizeof(rp_log), RP_PAGE_BYTES);
    *log = NULL;
    rp_log *made = rp_os_vm_reserve(own_bytes);
    if (!made) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(made, own_bytes);
    if (status != RP_OK) {
        rp_os_vm_release(made, own_bytes);
        return status;
    }
    made->fd = -1;
    made->budget_bytes = desc->budget_bytes;
    made->job_inline = desc->pack_inline;
    status = open_parts(made, desc);
    if (status != RP_OK) {
        rp_log_destroy(made);
        return status;
    }
    made->records.head = made->records.tail = 1; /* so that last < first while it is empty */
    made->base = 1;
    *log = made;
    return RP_OK;
}

void rp_log_destroy(rp_log *log)
{
    if (!log) {
        return;
    }
    log_job_destroy(log->job);
    rp_packer_finish(&log->packer);
    rp_grow_finish(&log->contents);
    rp_sparse_finish(&log->want_at);
    rp_grow_finish(&log->wants);
    rp_sparse_finish(&log->sought_at);
    rp_grow_finish(&log->sought);
    log_groups_finish(log);
    rp_store_finish(&log->store);
    rp_grow_finish(&log->moved);
    rp_sparse_finish(&log->marks);
    rp_sparse_finish(&log->current);
    rp_ring_finish(&log->inputs);
    rp_ring_finish(&log->entries);
    rp_ring_finish(&log->records);
    log_slots_finish(log);
    rp_os_vm_release(log, rp_align_up(sizeof(rp_log), RP_PAGE_BYTES));
}

/* ---- what is kept ---------------------------------------------------------------------------- */

bool log_is_empty(const rp_log *log)
{
    return log->records.head == log->records.tail;
}

bool log_holds(const rp_log *log, uint64_t index)
{
    return index >= log->records.head && index < log->records.tail;
}

uint64_t rp_log_first(const rp_log *log)
{
    return log->records.head;
}

uint64_t rp_log_last(const rp_log *log)
{
    return log->records.tail - 1;
}

uint64_t rp_log_position(const rp_log *log)
{
    return log->position;
}

bool rp_log_record(const rp_log *log, uint64_t index, rp_record *record)
{
    if (!log_holds(log, index)) {
        return false;
    }
    const log_record *from = log_record_at(log, index);
    *record = (rp_record){
        .frame = from->frame,
        .build = from->build,
        .kind = from->kind,
        .page_count = from->page_count,
        .step_ns = from->step_ns,
        .kept = from->kept,
    };
    return true;
}

/* The first record past the frame. */
static uint64_t first_behind(const rp_log *log, uint64_t frame)
{
    uint64_t low = log->records.head, high = log->records.tail;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (log_record_at(log, middle)->frame <= frame) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool rp_log_find_frame(const rp_log *log, uint64_t frame, uint64_t *index)
{
    uint64_t behind = first_behind(log, frame);
    if (behind == log->records.head || log_record_at(log, behind - 1)->frame != frame) {
        return false;
    }
    *index = behind - 1;
    return true;
}

bool rp_log_find_kept(const rp_log *log, uint64_t frame, uint64_t *index)
{
    uint64_t at = first_behind(log, frame);
    if (at == log->records.head) {
        return false;
    }
    do {
        at--;
    } while (!log_record_at(log, at)->kept); /* the oldest one is */
    *index = at;
    return true;
}

void rp_log_pin(rp_log *log, uint64_t index)
{
    log->pinned = log_holds(log, index) ? index : 0;
}

const void *rp_log_input(const rp_log *log, uint64_t index, uint32_t *bytes)
{
    *bytes = log_holds(log, index) ? log_record_at(log, index)->input_bytes : 0;
    return *bytes ? rp_ring_at(&log->inputs, log_record_at(log, index)->input) : NULL;
}

static uint64_t raw_page_count(const rp_log *log)
{
    return log->used_count - log->newest_pages - log->sought_pages;
}

/* Entries of all records but the newest. */
static uint64_t raw_entry_count(const rp_log *log)
{
    uint64_t newest = log_record_at(log, rp_log_last(log))->first_entry;
    return newest > log->entries.head ? newest - log->entries.head : 0;
}

uint64_t log_raw_bytes(const rp_log *log)
{
    return raw_page_count(log) * RP_PAGE_BYTES + raw_entry_count(log) * sizeof(log_entry);
}

static uint64_t packed_bytes(const rp_log *log)
{
    return rp_store_used_bytes(&log->store);
}

/* The list of the open group's pages is counted at its longest. */
static uint64_t tables_bytes(const rp_log *log)
{
    uint64_t open_pages =
        log_has_groups(log) ? log_group_at(log, log->groups.tail - 1)->page_count : 0;
    return (log->versions.tail - log->versions.head) * sizeof(log_version) +
           (log->groups.tail - log->groups.head) * sizeof(log_group) +
           rp_min_size(open_pages, log->known_pages) * sizeof(uint32_t);
}

/* The newest record's own bookkeeping belongs to the newest state, as its pages do. */
static uint64_t records_bytes(const rp_log *log)
{
    const log_record *newest = log_record_at(log, rp_log_last(log));
    return (rp_log_last(log) - log->records.head) * sizeof(log_record) +
           (newest->input - log->inputs.head);
}

uint64_t log_history_bytes(const rp_log *log)
{
    return log_is_empty(log)
               ? 0
               : log_raw_bytes(log) + packed_bytes(log) + tables_bytes(log) + records_bytes(log);
}

/* What jobs work in beyond what every log has. */
static uint64_t working_bytes(const rp_log *log)
{
    uint64_t held = log_job_held_bytes(log->job);
    return held > LOG_WORK_LEAST_BYTES ? held - LOG_WORK_LEAST_BYTES : 0;
}

uint64_t log_counted_bytes(const rp_log *log, uint64_t coming_bytes)
{
    return log_history_bytes(log) + log_room_share(log, coming_bytes) +
           rp_store_keep_bytes(&log->store) + (log->job_posted ? working_bytes(log) : 0);
}

/* A record from which on every frame is kept: the end of the last group that was thinned. */
static uint64_t first_of_every(const rp_log *log)
{
    for (uint64_t at = log->groups.tail; at > log->groups.head; at--) {
        const log_group *group = log_group_at(log, at - 1);
        if (group->bare || group->stride > 1) {
            return log_group_end(log, at - 1);
        }
    }
    return log->records.head;
}

void rp_log_stats_get(const rp_log *log, rp_log_stats *stats)
{
    *stats = (rp_log_stats){
        .budget_bytes = log->budget_bytes,
        .record_count = log->records.tail - log->records.head,
        .evicted_count = log->evicted_count,
        .committed_count = log->committed_count,
        .written_bytes = log->written_pages * RP_PAGE_BYTES,
        .packed_count = log->packed_count,
        .packing_ns = log->packing_ns,
    };
    if (log_is_empty(log)) {
        return;
    }
    stats->world_bytes = (uint64_t)log->newest_pages * RP_PAGE_BYTES;
    stats->raw_bytes = log_raw_bytes(log);
    stats->warm_bytes = rp_store_warm_bytes(&log->store);
    stats->packed_bytes = packed_bytes(log) + stats->warm_bytes;
    stats->room_bytes = log_room_bytes(log);
    stats->working_bytes = working_bytes(log);
    stats->table_bytes = tables_bytes(log);
    stats->record_bytes = records_bytes(log);
    stats->history_bytes = stats->raw_bytes + stats->packed_bytes + stats->table_bytes +
                           stats->record_bytes + stats->room_bytes + stats->working_bytes;
    stats->sought_bytes = (uint64_t)log->sought_pages * RP_PAGE_BYTES;
    stats->held_bytes = (uint64_t)log->held_count * RP_PAGE_BYTES;
    stats->kept_bytes = log->kept_pages * RP_PAGE_BYTES;
    stats->raw_count = rp_log_last(log) - log->base;
    stats->thinned_count = log->thinned_count;
    stats->oldest_frame = log_record_at(log, rp_log_first(log))->frame;
    stats->newest_frame = log_record_at(log, rp_log_last(log))->frame;
    stats->every_frame_from = log_record_at(log, first_of_every(log))->frame;
}

/* ---- walks in which a page counts once ---------------------------------------------------------
 */

void log_mark_begin(rp_log *log)
{
    if (++log->mark == 0) { /* once in 2^32 walks the old marks must go */
        for (uint32_t page = rp_sparse_next(&log->marks, 0); page != UINT32_MAX;
             page = rp_sparse_next(&log->marks, page + 1)) {
            log->marks.words[page] = 0;
        }
        log->mark = 1;
    }
}

bool log_mark_first(rp_log *log, uint32_t page)
{
    uint32_t *word = &log->marks.words[page];
    bool first = *word != log->mark;
    *word = log->mark;
    return first;
}

/* ---- dropping records --------------------------------------------------------------------------
 */

void log_evict(rp_log *log)
{
    uint64_t oldest = log->records.head;
    RP_ASSERT(oldest < log->position && oldest == log->base);
    log_record *base = log_record_at(log, oldest + 1);
    for (uint32_t i = 0; i < base->entry_count; i++) {
        log_entry *entry = log_entry_at(log, base, i);
        log_slot_free(log, entry->was);
        entry->was = LOG_SLOT_NONE;
    }
    log->entries.head = base->first_entry;
    log->inputs.head = base->input;
    log->records.head = log->base = oldest + 1;
    log->kept_pages -= log_record_at(log, oldest)->page_count;
    log->evicted_count++;
}

static void drop_newest(rp_log *log)
{
    const log_record *record = log_record_at(log, log->records.tail - 1);
    for (uint32_t i = 0; i < record->entry_count; i++) {
        log_slot_free(log, log_entry_at(log, record, i)->slot);
    }
    if (record->entry_count) {
        log->entries.tail = record->first_entry;
    }
    log->inputs.tail = record->input;
    log->kept_pages -= record->page_count;
    log->thinned_count -= !record->kept;
    log->records.tail--;
    log->pinned = log->pinned == log->records.tail ? 0 : log->pinned;
}

/* The pages beside the base are now the only ones. */
static void forget_base(rp_log *log)
{
    for (uint32_t i = 0; i < log->sought_count; i++) {
        log_slot_free(log, log_sought(log)[i].slot);
    }
    log->sought_count = log->sought_pages = 0;
}

static void truncate_to_position(rp_log *log)
{
    bool packed = log->position < log->base;
    if (log->records.tail - 1 > log->position) {
        log_work_stop(log);
    }
    while (log->records.tail - 1 > log->position) {
        if (packed && log->records.tail - 1 == log->base) {
            log_groups_truncate(log, log->position);
        }
        drop_newest(log);
    }
    if (packed) {
        forget_base(log);
        log->entries.head = log->entries.tail;
        log_record_at(log, log->position)->first_entry = log->entries.tail;
    }
    log->newest_pages = log->current_pages;
}

/* ---- commit ------------------------------------------------------------------------------------
 */

/* The entries may come from another process, so nothing about them is taken on trust. */
static rp_status check_entries(rp_log *log, const rp_page_slot *entries, size_t count)
{
    log_mark_begin(log);
    for (size_t i = 0; i < count; i++) {
        uint32_t page = entries[i].page, slot = entries[i].slot;
        if (page >= RP_PAGE_LIMIT) {
            return rp_fail(RP_E_FORMAT, "log: page %u of a commit is beyond the last page", page);
        }
        if (slot != RP_SLOT_ZERO &&
            (slot >= log->slot_end || log_slot_states(log)[slot] != LOG_SLOT_OFFERED)) {
            return rp_fail(RP_E_FORMAT, "log: slot %u of page %u was not offered for this commit",
                           slot, page);
        }
        rp_status status = rp_sparse_need(&log->marks, page, 1);
        if (status == RP_OK) {
            status = rp_sparse_need(&log->current, page, 1);
        }
        if (status != RP_OK) {
            return status;
        }
        log->known_pages += log->marks.words[page] == 0;
        if (!log_mark_first(log, page)) {
            return rp_fail(RP_E_FORMAT, "log: page %u is named twice in a commit", page);
        }
    }
    return RP_OK;
}

/* Takes the slots; false, with all of them given back, when one is named twice. */
static bool take_slots(rp_log *log, const rp_page_slot *entries, size_t count)
{
    uint8_t *states = log_slot_states(log);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = entries[i].slot;
        if (slot != RP_SLOT_ZERO && states[slot] != LOG_SLOT_OFFERED) {
            while (i-- > 0) {
                states[entries[i].slot] = LOG_SLOT_OFFERED;
            }
            states[RP_SLOT_ZERO] = LOG_SLOT_USED;
            return false;
        }
        states[slot] = LOG_SLOT_USED;
    }
    return true;
}

static rp_status check_desc(const rp_log *log, const rp_record_desc *desc, size_t count)
{
    if (desc->input_bytes > RECORD_INPUT_LIMIT || (desc->input_bytes && !desc->input)) {
        return rp_fail(RP_E_ARGUMENT, "log: an input of %u bytes: at most %d, and not null",
                       desc->input_bytes, RECORD_INPUT_LIMIT);
    }
    if (count > RP_PAGE_LIMIT || desc->kind > RP_RECORD_CARRIED) {
        return rp_fail(RP_E_ARGUMENT, "log: a record of kind %u with %zu pages", desc->kind, count);
    }
    if (!log_is_empty(log) && desc->frame < log_record_at(log, log->position)->frame) {
        return rp_fail(RP_E_ARGUMENT, "log: frame %llu cannot follow frame %llu",
                       (unsigned long long)desc->frame,
                       (unsigned long long)log_record_at(log, log->position)->frame);
    }
    return RP_OK;
}

/* An input lies in one piece, so it may have to begin at the ring's start again: hence twice. */
static rp_status make_room(rp_log *log, const rp_record_desc *desc, size_t count)
{
    rp_status status = rp_ring_need(&log->records, 1);
    if (status == RP_OK) {
        status = rp_ring_need(&log->entries, count);
    }
    if (status == RP_OK) {
        status = rp_ring_need(&log->inputs, 2 * (uint64_t)desc->input_bytes);
    }
    return status;
}

static uint64_t put_input(rp_log *log, const void *input, uint32_t bytes)
{
    rp_ring *ring = &log->inputs;
    if (bytes == 0) {
        return ring->tail;
    }
    if ((ring->tail & (ring->capacity - 1)) + bytes > ring->capacity) {
        ring->tail = rp_align_up(ring->tail, ring->capacity);
    }
    uint64_t at = ring->tail;
    memcpy(rp_ring_at(ring, at), input, bytes);
    ring->tail += bytes;
    return at;
}

static void put_entries(rp_log *log, const rp_page_slot *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t page = entries[i].page, was = log_current(log, page);
        log_entry *entry = rp_ring_at(&log->entries, log->entries.tail++);
        *entry = (log_entry){page, entries[i].slot, was};
        if (entries[i].slot != RP_SLOT_ZERO) {
            log->used_count++;
            log->offered_count--;
        }
        log_set_current(log, page, entries[i].slot);
    }
}

static void put_record(rp_log *log, const rp_record_desc *desc, const rp_page_slot *entries,
                       size_t count)
{
    log_record *record = log_record_at(log, log->records.tail);
    *record = (log_record){
        .frame = desc->frame,
        .step_ns = desc->step_ns,
        .first_entry = log->entries.tail,
        .input = put_input(log, desc->input, desc->input_bytes),
        .entry_count = (uint32_t)count,
        .page_count = (uint32_t)count,
        .input_bytes = desc->input_bytes,
        .build = desc->build,
        .kind = (uint8_t)desc->kind,
        .kept = 1,
    };
    put_entries(log, entries, count);
    log->kept_pages += count;
    log->written_pages += count;
    log->position = log->records.tail++;
    log->newest_pages = log->current_pages;
    log->committed_count++;
}

rp_status rp_log_commit(rp_log *log, const rp_record_desc *desc, const rp_page_slot *entries,
                        size_t count)
{
    rp_status status = check_desc(log, desc, count);
    if (status == RP_OK) {
        status = check_entries(log, entries, count);
    }
    if (status == RP_OK) {
        status = make_room(log, desc, count);
    }
    if (status != RP_OK) {
        return status;
    }
    if (!take_slots(log, entries, count)) {
        return rp_fail(RP_E_FORMAT, "log: a slot is named twice in a commit");
    }
    if (!log_is_empty(log)) {
        truncate_to_position(log);
    }
    put_record(log, desc, entries, count);
    log_offers_end(log);
    if (!log->tended) { /* an owner that has idle time does it there */
        log_work(log);
    }
    log->tended = false;
    log_fit_budget(log, 0);
    return RP_OK;
}
