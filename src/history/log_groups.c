/* Groups of packed records, and the versions that pages had at their starts.
 *
 * `newest` maps a page to the lower half of its newest version's number. What it says is checked
 * against the version itself, so it need not be cleared when versions go at the old end.
 */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/error.h"
#include "os/os.h"

#define GROUP_LIMIT (UINT64_C(1) << 22)
enum { GROUP_SHARE = 8, GROUP_PAGES_LEAST = 1024 }; /* of the budget; of any group */
/* A group has at most as many pages as one record may add to a group that is nearly full. */
#define OPEN_PAGES_BYTES (((size_t)RP_PACK_PAGES_MOST + LOG_GROUP_PAGES) * sizeof(uint32_t))

rp_status log_groups_init(rp_log *log, uint64_t versions_most)
{
    rp_status status = rp_ring_init(&log->groups, sizeof(log_group), GROUP_LIMIT);
    if (status == RP_OK) {
        status = rp_ring_init(&log->versions, sizeof(log_version), versions_most);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->newest);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->open_pages, OPEN_PAGES_BYTES);
    }
    if (status == RP_OK) {
        status = rp_sparse_init(&log->open_marks);
    }
    if (status == RP_OK) {
        log->versions.head = log->versions.tail = 1; /* 0 is none */
        rp_os_vm_want_huge(log->versions.memory.data, log->versions.memory.reserved_bytes);
    }
    return status;
}

void log_groups_finish(rp_log *log)
{
    rp_sparse_finish(&log->open_marks);
    rp_grow_finish(&log->open_pages);
    rp_sparse_finish(&log->newest);
    rp_ring_finish(&log->versions);
    rp_ring_finish(&log->groups);
}

/* ---- where records are ---- */

/* To close a group takes time, in which what comes stays raw, and memory: a small budget has small
 * ones. */
uint64_t log_group_pages(const rp_log *log)
{
    uint64_t fit = log->budget_bytes / GROUP_SHARE / RP_PAGE_BYTES;
    return rp_min_size(rp_max_size(fit, GROUP_PAGES_LEAST), LOG_GROUP_PAGES);
}

uint64_t log_group_of(const rp_log *log, uint64_t index)
{
    uint64_t low = log->groups.head, high = log->groups.tail;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (log_group_at(log, middle)->from <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t log_group_end(const rp_log *log, uint64_t number)
{
    return number + 1 < log->groups.tail ? log_group_at(log, number + 1)->from : log->base;
}

/* ---- the open group ---- */

rp_status log_group_open(rp_log *log)
{
    rp_status status = rp_ring_need(&log->groups, 1);
    if (status == RP_OK) {
        *log_group_at(log, log->groups.tail++) =
            (log_group){.from = log->base, .first_version = log->versions.tail, .stride = 1};
        log->open_count = 0;
        log->open_known = true;
    }
    return status;
}

static uint32_t *open_list(const rp_log *log)
{
    return (uint32_t *)(void *)log->open_pages.data;
}

rp_status log_open_page_add(rp_log *log, uint32_t page)
{
    rp_status status = rp_sparse_need(&log->open_marks, page, 1);
    if (status != RP_OK) {
        return status;
    }
    uint32_t place = log->open_marks.words[page];
    if (place && place <= log->open_count && open_list(log)[place - 1] == page) {
        return RP_OK;
    }
    status = rp_grow_need(&log->open_pages, (log->open_count + 1) * sizeof(uint32_t));
    if (status == RP_OK) {
        open_list(log)[log->open_count++] = page;
        log->open_marks.words[page] = log->open_count;
    }
    return status;
}

static rp_status add_pages_of(rp_log *log, const log_record *record)
{
    rp_unpack reader;
    uint32_t size_bytes;
    const uint8_t *blob = rp_store_get(&log->store, record->blob, &size_bytes);
    if (!blob) {
        return rp_fail(RP_E_FORMAT, "log: the packed change of frame %llu is damaged",
                       (unsigned long long)record->frame);
    }
    rp_status status = rp_unpack_open(&log->packer, blob, size_bytes, &reader);
    while (status == RP_OK && rp_unpack_next(&reader)) {
        status = log_open_page_add(log, reader.page);
        if (status == RP_OK && !rp_unpack_xor(&reader, NULL)) {
            break;
        }
    }
    return status == RP_OK && reader.left ? RP_E_FORMAT : status;
}

rp_status log_open_pages(rp_log *log)
{
    if (log->open_known) {
        return RP_OK;
    }
    log->open_count = 0;
    rp_status status = RP_OK;
    uint64_t from = log_group_at(log, log->groups.tail - 1)->from;
    for (uint64_t index = from + 1; index <= log->base && status == RP_OK; index++) {
        const log_record *record = log_record_at(log, index);
        status = record->blob ? add_pages_of(log, record) : RP_OK;
    }
    log->open_known = status == RP_OK;
    return status;
}

/* ---- versions ---- */

uint64_t log_newest_version(const rp_log *log, uint32_t page)
{
    uint64_t head = log->versions.head;
    uint64_t number = head + (uint32_t)(rp_sparse_get(&log->newest, page) - (uint32_t)head);
    bool valid = number < log->versions.tail && log_version_at(log, number)->page == page;
    return valid ? number : 0;
}

void log_version_add(rp_log *log, uint32_t page, log_version_kind kind, rp_blob blob)
{
    uint64_t before = log_newest_version(log, page), number = log->versions.tail++;
    *log_version_at(log, number) =
        (log_version){.page = page & 0x0fffffff, .kind = kind & 15, .blob = blob, .before = before};
    if (before) {
        log_version_at(log, before)->next = number;
    }
    log->newest.words[page] = (uint32_t)number;
    log_group_at(log, log->groups.tail - 1)->version_count++;
}

bool log_version_must_be_whole(const rp_log *log, uint32_t page)
{
    uint64_t at = log_newest_version(log, page);
    for (int run = 0; at && log_version_at(log, at)->kind >= LOG_VERSION_DELTA; run++) {
        if (run + 1 == LOG_DELTA_RUN) {
            return true;
        }
        at = log_version_at(log, at)->before;
    }
    return false;
}

static void drop_newest_version(rp_log *log)
{
    log_version *version = log_version_at(log, --log->versions.tail);
    rp_store_drop(&log->store, version->blob);
    if (version->before) {
        log_version_at(log, version->before)->next = 0;
    }
    log->newest.words[version->page] = (uint32_t)version->before;
}

static void drop_oldest_version(rp_log *log)
{
    log_version *version = log_version_at(log, log->versions.head++);
    rp_store_drop(&log->store, version->blob);
    if (version->next) {
        log_version_at(log, version->next)->before = 0;
    }
}

/* ---- dropping ---- */

static void drop_blob(rp_log *log, uint64_t index)
{
    log_record *record = log_record_at(log, index);
    rp_store_drop(&log->store, record->blob);
    record->blob = 0;
    record->blob_pages = 0;
}

void log_group_drop(rp_log *log)
{
    uint64_t number = log->groups.head;
    const log_group *group = log_group_at(log, number);
    uint64_t end = log_group_end(log, number);
    RP_ASSERT(log->position >= end);
    for (uint64_t index = group->from + 1; index <= end; index++) {
        drop_blob(log, index);
        const log_record *gone = log_record_at(log, index - 1);
        log->kept_pages -= gone->page_count;
        log->thinned_count -= !gone->kept;
    }
    for (uint32_t i = 0; i < group->version_count; i++) {
        drop_oldest_version(log);
    }
    log->groups.head++;
    log->evicted_count += end - log->records.head;
    log->records.head = end;
    log->inputs.head = log_record_at(log, end)->input;
    if (end == log->base) { /* an empty group behind it says nothing */
        log->groups.head = log->groups.tail;
        log->open_count = 0;
    }
}

void log_group_bare(rp_log *log, uint64_t number)
{
    log_group *group = log_group_at(log, number);
    uint64_t end = log_group_end(log, number);
    RP_ASSERT(number + 1 < log->groups.tail);
    for (uint64_t index = group->from + 1; index <= end; index++) {
        drop_blob(log, index);
        log_record *record = log_record_at(log, index);
        log->thinned_count += record->kept && index < end;
        record->kept = record->kept && index == end;
    }
    group->bare = 1;
    group->page_count = 0;
}

void log_groups_truncate(rp_log *log, uint64_t index)
{
    for (uint64_t at = log->base; at > index; at--) {
        drop_blob(log, at);
    }
    log->base = index;
    while (log_has_groups(log)) {
        uint64_t number = log->groups.tail - 1;
        log_group *group = log_group_at(log, number);
        for (; group->version_count; group->version_count--) {
            drop_newest_version(log);
        }
        bool oldest = number == log->groups.head;
        if (group->from < index || (group->from == index && !oldest)) {
            break; /* open from here on, and perhaps empty */
        }
        log->groups.tail--;
    }
    log->open_count = 0;
    log->open_known = false;
    if (!log_has_groups(log)) {
        return;
    }
    log_group *open = log_group_at(log, log->groups.tail - 1);
    open->bare = open->aged = open->fixed = 0;
    open->page_count = 0;
    for (uint64_t at = open->from + 1; at <= index; at++) {
        open->page_count += log_record_at(log, at)->blob_pages;
    }
}
