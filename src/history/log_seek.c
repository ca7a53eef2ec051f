/* Moving the position: what a world must copy is found from the records between here and there, or
 * computed from what is packed and put into slots.
 */
#include "history/log_private.h"
#include "history/page.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>
#include <xxhash.h>

enum { WRITE_BATCH = 256, SCRATCH_KEEP_BYTES = 8 << 20 };

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

/* ---- raw records ---- */

static void undo_record(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->entry_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        change(log, entry->page, entry->was);
    }
}

static void redo_record(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    for (uint32_t i = 0; i < record->entry_count; i++) {
        const log_entry *entry = log_entry_at(log, record, i);
        change(log, entry->page, entry->slot);
    }
}

/* From here on each page is noted once; there is room for all of them. */
static rp_status walk_begin(rp_log *log)
{
    rp_status status = rp_grow_need(&log->moved, log->known_pages * sizeof(rp_page_slot));
    if (status == RP_OK) {
        log_mark_begin(log);
        log->moved_count = 0;
    }
    return status;
}

static void walk(rp_log *log, uint64_t index)
{
    while (log->position > index) {
        undo_record(log, log->position--);
    }
    while (log->position < index) {
        redo_record(log, ++log->position);
    }
}

rp_status log_move(rp_log *log, uint64_t index)
{
    rp_status status = walk_begin(log);
    if (status == RP_OK) {
        walk(log, index);
    }
    return status;
}

/* ---- pages beside the base ---- */

static rp_page_slot *find_sought(const rp_log *log, uint32_t page)
{
    uint32_t place = rp_sparse_get(&log->sought_at, page);
    rp_page_slot *entry = log_sought(log) + (place - 1);
    return place && place <= log->sought_count && entry->page == page ? entry : NULL;
}

uint32_t log_base_slot(const rp_log *log, uint32_t page)
{
    const rp_page_slot *entry = find_sought(log, page);
    return entry ? entry->slot : log_current(log, page);
}

static rp_status sought_room(rp_log *log)
{
    rp_status status =
        rp_grow_need(&log->sought, (log->sought_count + log->want_count) * sizeof(rp_page_slot));
    for (size_t i = 0; i < log->want_count && status == RP_OK; i++) {
        status = rp_sparse_need(&log->sought_at, log_wants(log)[i].page, 1);
    }
    return status;
}

/* The page's slot becomes the target; what it had is the base's, or goes. */
static void put_sought(rp_log *log, const log_want *want)
{
    uint32_t slot = want->none ? LOG_SLOT_NONE : want->target;
    uint32_t had = log_current(log, want->page);
    if (find_sought(log, want->page)) {
        log->sought_pages -= log_slot_holds(had);
        change(log, want->page, slot);
        log_slot_free(log, had);
    } else {
        log_sought(log)[log->sought_count++] = (rp_page_slot){want->page, had};
        log->sought_at.words[want->page] = log->sought_count;
        change(log, want->page, slot);
    }
    log->sought_pages += log_slot_holds(slot);
}

/* Back to the state of the base; what was beside it stays in use until the walk is known to stand.
 */
static void leave_sought(rp_log *log)
{
    for (uint32_t i = 0; i < log->sought_count; i++) {
        change(log, log_sought(log)[i].page, log_sought(log)[i].slot);
    }
    log->position = log->base;
}

/* The slots beside the base are those that the pages had before the walk began. */
static void free_sought(rp_log *log)
{
    for (size_t i = 0; i < log->moved_count; i++) {
        if (find_sought(log, moved_list(log)[i].page)) {
            log_slot_free(log, moved_list(log)[i].slot);
        }
    }
    log->sought_count = log->sought_pages = 0;
}

static void walk_back(rp_log *log, uint64_t position)
{
    for (size_t i = 0; i < log->moved_count; i++) {
        log_set_current(log, moved_list(log)[i].page, moved_list(log)[i].slot);
    }
    log->position = position;
}

/* ---- what came out is what was put away ---- */

static bool slot_is_whole(const rp_log *log, uint32_t page, uint32_t slot)
{
    uint64_t known = log_slot_holds(slot) ? log_slot_hashes(log)[slot] : 0;
    return known == 0 ||
           XXH3_64bits_withSeed(log_slot_content(log, slot), RP_PAGE_BYTES, page) == known;
}

static rp_status check_slots(const rp_log *log, uint64_t index)
{
    for (size_t i = 0; i < log->moved_count; i++) {
        uint32_t page = moved_list(log)[i].page;
        if (!slot_is_whole(log, page, log_current(log, page))) {
            return rp_fail(RP_E_FORMAT, "log: frame %llu is damaged at page %u: it is not restored",
                           (unsigned long long)log_record_at(log, index)->frame, page);
        }
    }
    return RP_OK;
}

static uint64_t difference_between(const rp_log *log, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;
    for (uint64_t at = from + 1; at <= to; at++) {
        sum += log_record_at(log, at)->difference;
    }
    for (uint64_t at = to + 1; at <= from; at++) {
        sum -= log_record_at(log, at)->difference;
    }
    return sum;
}

static uint64_t content_hash(const log_want *want)
{
    return rp_page_is_zero(want->content)
               ? 0
               : XXH3_64bits_withSeed(want->content, RP_PAGE_BYTES, want->page);
}

/* The hashes of the pages must add up to what was noted when the records were packed: this sees
 * every damage, wherever it is, in slots too. */
static rp_status check_contents(rp_log *log, uint64_t index)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        want->hash = content_hash(want);
        sum += want->hash - log_slot_hash(log, want->page, log_current(log, want->page));
    }
    return sum == difference_between(log, log->position, index)
               ? RP_OK
               : rp_fail(RP_E_FORMAT,
                         "log: frame %llu does not have the hash that it had: it is not restored",
                         (unsigned long long)log_record_at(log, index)->frame);
}

/* ---- contents into slots ---- */

static void free_targets(rp_log *log)
{
    for (size_t i = 0; i < log->want_count; i++) {
        log_slot_free(log, log_wants(log)[i].target);
        log_wants(log)[i].target = RP_SLOT_ZERO;
    }
}

static rp_status take_targets(rp_log *log)
{
    for (size_t i = 0; i < log->want_count;) {
        rp_slot_run run;
        rp_status status = log_slots_take(log, (uint32_t)(log->want_count - i), &run);
        if (status != RP_OK) {
            free_targets(log);
            return status;
        }
        while (run.count--) {
            log_wants(log)[i++].target = run.first++;
        }
    }
    return RP_OK;
}

/* Contents in scratch lie in the order of the wants, as their slots do. */
static rp_status write_targets(rp_log *log)
{
    const void *pages[WRITE_BATCH];
    const log_want *wants = log_wants(log);
    rp_status status = RP_OK;
    for (size_t i = 0; i < log->want_count && status == RP_OK;) {
        size_t count = 0;
        do {
            pages[count] = wants[i + count].content;
            count++;
        } while (count < WRITE_BATCH && i + count < log->want_count &&
                 wants[i + count].target == wants[i].target + count);
        status = rp_os_memfile_write_pages(log->fd, (size_t)wants[i].target * RP_PAGE_BYTES, pages,
                                           count);
        i += count;
    }
    return status;
}

static rp_status place_contents(rp_log *log)
{
    if (!log->room) {
        return log_wants_place(log);
    }
    rp_status status = take_targets(log);
    for (size_t i = 0; status == RP_OK && i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        want->content = log->room + (size_t)want->target * RP_PAGE_BYTES;
    }
    return status;
}

/* Pages of zeros need no slot. */
static void settle_targets(rp_log *log)
{
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        if (want->none || want->hash == 0) {
            log_slot_free(log, want->target);
            want->target = RP_SLOT_ZERO;
        } else {
            log_slot_hashes(log)[want->target] = want->hash;
        }
    }
}

/* ---- packed records ---- */

static rp_status compute_from_here(rp_log *log, uint64_t index)
{
    for (size_t i = 0; i < log->want_count; i++) {
        log_want *want = &log_wants(log)[i];
        uint32_t slot = log_current(log, want->page);
        const uint8_t *content = log_slot_content(log, slot);
        want->none = slot == LOG_SLOT_NONE;
        if (content) {
            memcpy(want->content, content, RP_PAGE_BYTES);
        } else {
            memset(want->content, 0, RP_PAGE_BYTES);
        }
    }
    rp_status status = log_apply_between(log, log->position, index);
    return status == RP_OK ? check_contents(log, index) : status;
}

static rp_status compute_from_image(rp_log *log, uint64_t index)
{
    rp_status status = log_expand(log, index);
    return status == RP_OK ? check_contents(log, index) : status;
}

/* The nearer way first; the other one where something on it is damaged. */
static rp_status compute(rp_log *log, uint64_t index)
{
    uint64_t here = log_apply_cost(log, log->position, index);
    bool near = here <= log_expand_cost(log, index) + log->want_count;
    rp_status status = near ? compute_from_here(log, index) : compute_from_image(log, index);
    if (status == RP_E_FORMAT && (near || here != UINT64_MAX)) {
        status = near ? compute_from_image(log, index) : compute_from_here(log, index);
    }
    return status;
}

static rp_status compute_and_write(rp_log *log, uint64_t index)
{
    rp_status status = place_contents(log);
    if (status == RP_OK) {
        status = compute(log, index);
    }
    if (!log->room && status == RP_OK) {
        status = take_targets(log);
        if (status == RP_OK) {
            status = write_targets(log);
        }
    }
    if (status != RP_OK) {
        free_targets(log);
    }
    return status;
}

/* From a position that is not behind the base to a record before it. */
static rp_status seek_packed(rp_log *log, uint64_t index)
{
    log_wants_begin(log);
    rp_status status = log_wants_between(log, log->position, index);
    if (status == RP_OK) {
        status = sought_room(log);
    }
    if (status == RP_OK) {
        status = compute_and_write(log, index);
    }
    if (status == RP_OK) {
        settle_targets(log);
        for (size_t i = 0; i < log->want_count; i++) {
            put_sought(log, &log_wants(log)[i]);
        }
        log->position = index;
    }
    rp_grow_trim(&log->contents, SCRATCH_KEEP_BYTES);
    return status;
}

/* ---- seek ---- */

static rp_status go(rp_log *log, uint64_t index)
{
    if (index < log->base) {
        walk(log, rp_min_size(log->position, log->base));
        return seek_packed(log, index);
    }
    bool beside = log->position < log->base;
    if (beside) {
        leave_sought(log);
    }
    walk(log, index);
    rp_status status = check_slots(log, index);
    if (status == RP_OK && beside) {
        free_sought(log);
    }
    return status;
}

static uint32_t slot_to_copy(uint32_t slot)
{
    return slot == LOG_SLOT_NONE ? RP_SLOT_ZERO : slot;
}

static rp_status not_kept(const rp_log *log, uint64_t index)
{
    uint64_t before = index;
    if (!log_holds(log, index)) {
        return rp_fail(RP_E_RANGE, "log: record %llu is not kept: the kept ones are %llu to %llu",
                       (unsigned long long)index, (unsigned long long)rp_log_first(log),
                       (unsigned long long)rp_log_last(log));
    }
    while (!log_record_at(log, before)->kept) {
        before--;
    }
    return rp_fail(RP_E_RANGE,
                   "log: frame %llu was thinned out: the nearest one before it that is kept is "
                   "%llu",
                   (unsigned long long)log_record_at(log, index)->frame,
                   (unsigned long long)log_record_at(log, before)->frame);
}

rp_status rp_log_seek(rp_log *log, uint64_t index, const rp_page_slot **entries, size_t *count)
{
    uint64_t position = log->position;
    *entries = NULL;
    *count = 0;
    if (!log_holds(log, index) || !log_record_at(log, index)->kept) {
        return not_kept(log, index);
    }
    rp_status status = walk_begin(log);
    if (status != RP_OK) {
        return status;
    }
    status = go(log, index);
    if (status != RP_OK) {
        walk_back(log, position);
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
