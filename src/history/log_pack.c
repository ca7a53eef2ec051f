/* What the worker is given, and what becomes of it: packed in records of some number at a time,
 * behind the frames that stay raw.
 */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

enum {
    JOB_PAGES = 1024,        /* of one job, unless one record has more */
    JOB_PAGES_BEHIND = 4096, /* the same where packing is behind: there is a job or two a frame, so
                                one of a single large record would never catch up */
    JOB_RECORDS = 16,
    STRIDE_MOST = 16,
    AGE_GROUPS = 4,     /* the newest closed groups are not yet packed tighter */
    INLINE_JOBS = 4,    /* of one call, where there is no thread */
    TIGHT_PAGES = 8192, /* a merged record of more is not packed tighter: it takes too long */
};
enum { WORK_SHARE = 16, WORK_PARTS = 8, WORK_KEEP_BYTES = 32 << 20 };
#define RAW_MOST_BYTES ((uint64_t)64 << 20)

/* ---- pack ---- */

/* Frames near the end stay raw: going to and fro among them costs no packing. */
static uint64_t raw_target(const rp_log *log)
{
    return rp_min_size(log->budget_bytes / 8, RAW_MOST_BYTES);
}

static bool group_is_full(const rp_log *log)
{
    if (!log_has_groups(log)) {
        return false;
    }
    const log_group *open = log_group_at(log, log->groups.tail - 1);
    return log->base - open->from >= LOG_GROUP_RECORDS || open->page_count >= log_group_pages(log);
}

static rp_status add_raw_page(rp_log *log, const log_entry *entry)
{
    const uint64_t *hashes = log_slot_hashes(log);
    log_job_page page = {.page = entry->page,
                         .born = entry->was == LOG_SLOT_NONE,
                         .before = log_slot_content(log, entry->was),
                         .after = log_slot_content(log, entry->slot),
                         .slot = entry->slot};
    page.before_hash = page.before ? hashes[entry->was] : 0;
    page.after_hash = page.after ? hashes[entry->slot] : 0;
    return log_job_add_page(log->job, &page);
}

static rp_status add_raw_record(rp_log *log, uint64_t index)
{
    const log_record *record = log_record_at(log, index);
    rp_status status =
        log_job_add_record(log->job, &(log_job_record){.index = index,
                                                       .first_page = log->job->page_count,
                                                       .page_count = record->entry_count});
    for (uint32_t i = 0; i < record->entry_count && status == RP_OK; i++) {
        status = add_raw_page(log, log_entry_at(log, record, i));
    }
    return status;
}

/* The newest record stays raw: what the program does next begins there. */
static uint64_t last_packable(const rp_log *log)
{
    uint64_t newest = rp_log_last(log);
    return log->position < newest ? log->position : newest - 1;
}

/* Frames of so many pages are not packed; history before one goes when it stops being new. */
static bool drop_behind_giant(rp_log *log)
{
    bool giant = log_record_at(log, log->base + 1)->entry_count > RP_PACK_PAGES_MOST;
    while (giant && log_has_groups(log)) {
        log_group_drop(log);
    }
    if (giant) {
        log_evict(log);
    }
    return giant;
}

/* How many of the records that follow are packed as one: where frames come quicker than they can
 * be packed, every 2nd, 4th ... is left. A page that many of them wrote is then packed once, and
 * only its hashes cost more. The alternative would be a budget full of raw frames, a short time. */
static uint32_t pack_stride(const rp_log *log, uint64_t excess)
{
    uint64_t room = log->budget_bytes / 4 * 3 - raw_target(log);
    uint32_t stride = 1;
    for (uint64_t filled = room / 2; filled < excess && stride < STRIDE_MOST; filled += room / 8) {
        stride *= 2;
    }
    return stride;
}

/* Some records in a row, up to `last`, of about `most` pages. */
static size_t add_raw_records(rp_log *log, uint64_t last, uint64_t excess, uint64_t most)
{
    uint64_t records = 0, pages = 0, bytes = 0, records_most = JOB_RECORDS * log->job->merge;
    uint64_t in_group =
        log_has_groups(log) ? log->base - log_group_at(log, log->groups.tail - 1)->from : 0;
    most = rp_min_size(most * log->job->merge, RP_PACK_PAGES_MOST);
    while (log->base + records < last && records < records_most && bytes < excess &&
           in_group + records < LOG_GROUP_RECORDS) {
        uint64_t index = log->base + records + 1;
        uint32_t count = log_record_at(log, index)->entry_count;
        if (records && pages + count > most) {
            break;
        }
        if (add_raw_record(log, index) != RP_OK) {
            return 0;
        }
        records++;
        pages += count;
        bytes += count * (RP_PAGE_BYTES + sizeof(log_entry));
    }
    return records;
}

/* The last one stays: what follows begins with it, in another job or group. */
static void merge_records(const rp_log *log)
{
    const log_job *job = log->job;
    for (size_t i = 0; i + 1 < job->record_count; i++) {
        log_job_record *record = &log_job_records(job)[i];
        record->merged = (i + 1) % job->merge != 0 && record->index != log->pinned;
    }
}

static bool prepare_pack(rp_log *log)
{
    uint64_t last = last_packable(log), target = raw_target(log);
    if (log->base >= last || log_raw_bytes(log) <= target || drop_behind_giant(log)) {
        return false;
    }
    uint64_t excess = log_raw_bytes(log) - target;
    log_job_begin(log->job, LOG_JOB_PACK);
    log->job->codec = RP_CODEC_LZ4;
    log->job->merge = pack_stride(log, excess);
    size_t records =
        add_raw_records(log, last, excess, excess > target / 4 ? JOB_PAGES_BEHIND : JOB_PAGES);
    merge_records(log);
    return records != 0;
}

static void retire_versions(rp_log *log, log_record *record)
{
    for (uint32_t i = 0; i < record->entry_count; i++) {
        log_slot_free(log, log_entry_at(log, record, i)->was);
    }
    record->entry_count = 0;
}

/* What was merged has none. */
static rp_status put_results(rp_log *log, rp_blob *blobs)
{
    const log_job *job = log->job;
    rp_status status = RP_OK;
    size_t done = 0;
    for (; done < job->result_count && status == RP_OK; done++) {
        const log_job_result *result = &log_job_results(job)[done];
        blobs[done] = 0;
        if (result->size_bytes) {
            status = rp_store_put(&log->store, job->output.data + result->offset,
                                  (uint32_t)result->size_bytes, &blobs[done]);
        }
    }
    while (status != RP_OK && done-- > 0) {
        rp_store_drop(&log->store, blobs[done]);
    }
    return status;
}

static rp_status note_open_pages(rp_log *log)
{
    rp_status status = log_open_pages(log);
    for (size_t i = 0; i < log->job->page_count && status == RP_OK; i++) {
        status = log_open_page_add(log, log_job_pages(log->job)[i].page);
    }
    return status;
}

/* A loop may have begun at one of them since. */
static bool pinned_is_merged(const rp_log *log)
{
    const log_job *job = log->job;
    uint64_t first = job->result_count ? log_job_results(job)[0].index : 0;
    return log->pinned >= first && log->pinned - first < job->result_count &&
           log_job_results(job)[log->pinned - first].size_bytes == 0;
}

/* The raw record becomes a packed one; one without a blob is thinned out. */
static void retire_raw(rp_log *log, const log_job_result *result, rp_blob blob)
{
    log_group *group = log_group_at(log, log->groups.tail - 1);
    log_record *record = log_record_at(log, result->index);
    retire_versions(log, record);
    record->blob = blob;
    record->blob_pages = result->page_count;
    record->difference = result->difference;
    record->kept = blob != 0;
    log->thinned_count += blob == 0;
    log->base = result->index;
    group->page_count += result->page_count;
    group->stride = group->stride > log->job->merge ? group->stride : log->job->merge;
}

static void adopt_pack(rp_log *log)
{
    const log_job *job = log->job;
    rp_blob blobs[LOG_GROUP_RECORDS];
    bool first = !log_has_groups(log);
    RP_ASSERT(job->result_count <= LOG_GROUP_RECORDS);
    if (pinned_is_merged(log) || (first && log_group_open(log) != RP_OK)) {
        return;
    }
    if (note_open_pages(log) != RP_OK || put_results(log, blobs) != RP_OK) {
        log->groups.tail -= first;
        return;
    }
    for (size_t i = 0; i < job->page_count; i++) {
        const log_job_page *page = &log_job_pages(job)[i];
        if (log_slot_holds(page->slot)) {
            log_slot_hashes(log)[page->slot] = page->after_hash;
        }
    }
    log_record_at(log, log->base)->entry_count = 0;
    for (size_t i = 0; i < job->result_count; i++) {
        retire_raw(log, &log_job_results(job)[i], blobs[i]);
    }
    log->entries.head = log_record_at(log, log->base + 1)->first_entry;
    log->packed_count += job->result_count;
}

/* ---- close ---- */

static rp_status add_blob(rp_log *log, uint64_t index)
{
    log_job_record record = {.index = index, .blob_pages = log_record_at(log, index)->blob_pages};
    rp_blob blob = log_record_at(log, index)->blob;
    if (blob == 0) {
        return RP_OK;
    }
    record.blob = rp_store_look(&log->store, blob, &record.blob_bytes);
    return log_job_add_record(log->job, &record);
}

/* The state of the base is found as if for reading. */
static rp_status add_open_pages(rp_log *log)
{
    rp_status status = log_open_pages(log);
    log_wants_begin(log);
    for (uint32_t i = 0; i < log->open_count && status == RP_OK; i++) {
        status = log_want_add(log, ((uint32_t *)(void *)log->open_pages.data)[i]);
    }
    if (status == RP_OK) {
        log_wants_slots(log, log->base);
    }
    for (size_t i = 0; i < log->want_count && status == RP_OK; i++) {
        const log_want *want = &log_wants(log)[i];
        status = log_job_add_page(
            log->job, &(log_job_page){.page = want->page,
                                      .whole = log_version_must_be_whole(log, want->page),
                                      .after = log_slot_content(log, want->slot)});
    }
    return status;
}

static bool prepare_close(rp_log *log)
{
    uint64_t number = log->groups.tail - 1;
    if (log->position < log->base) {
        return false;
    }
    log_job_begin(log->job, LOG_JOB_CLOSE);
    log->job->group = number;
    rp_status status = add_open_pages(log);
    for (uint64_t i = log_group_at(log, number)->from + 1; i <= log->base && status == RP_OK; i++) {
        status = add_blob(log, i);
    }
    if (status == RP_E_FORMAT) { /* nothing before the damage can be reached by what comes */
        while (log_has_groups(log)) {
            log_group_drop(log);
        }
    }
    return status == RP_OK;
}

static rp_status put_version(rp_log *log, const log_job_page *page)
{
    rp_blob blob = 0;
    rp_status status = rp_sparse_need(&log->newest, page->page, 1);
    const uint8_t *packed = log->job->output.data + page->offset;
    if (status == RP_OK && page->kind == LOG_VERSION_WHOLE) {
        status = rp_store_put_shared(&log->store, packed, page->size_bytes, &blob);
    } else if (status == RP_OK && page->kind == LOG_VERSION_DELTA) {
        status = rp_store_put(&log->store, packed, page->size_bytes, &blob);
    }
    if (status == RP_OK) {
        log_version_add(log, page->page, (log_version_kind)page->kind, blob);
    }
    return status;
}

static void adopt_close(rp_log *log)
{
    const log_job *job = log->job;
    rp_status status = rp_ring_need(&log->versions, job->page_count);
    if (status == RP_OK) {
        status = rp_ring_need(&log->groups, 1);
    }
    for (size_t i = 0; i < job->page_count && status == RP_OK; i++) {
        status = put_version(log, &log_job_pages(job)[i]);
    }
    if (status == RP_OK) {
        status = log_group_open(log);
    }
    if (status != RP_OK) { /* tried again later */
        log_groups_truncate(log, log->base);
    }
}

/* ---- rework ---- */

static bool prepare_rework(rp_log *log, uint64_t number, uint32_t merge)
{
    const log_group *group = log_group_at(log, number);
    log_job_begin(log->job, LOG_JOB_REWORK);
    log->job->group = number;
    log->job->merge = merge;
    log->job->codec = group->page_count <= TIGHT_PAGES * 2 ? RP_CODEC_ZSTD : RP_CODEC_LZ4;
    rp_status status = RP_OK;
    uint64_t end = log_group_end(log, number);
    for (uint64_t i = group->from + 1; i <= end && status == RP_OK; i++) {
        status = add_blob(log, i);
    }
    return status == RP_OK && log->job->record_count != 0;
}

/* The last record of a group leads to an image: without others, it says nothing new. */
static bool prepare_thin(rp_log *log)
{
    uint64_t number;
    if (log_counted_bytes(log, 0) <= log_soft_budget(log) || !log_thin_next(log, &number)) {
        return false;
    }
    if (!prepare_rework(log, number, 2)) {
        return false;
    }
    if (log->job->record_count <= 2 || log_group_at(log, number)->fixed) {
        log_group_bare(log, number);
        return false;
    }
    return true;
}

static bool prepare_tighter(rp_log *log)
{
    for (uint64_t at = log->groups.head; at + AGE_GROUPS + 1 < log->groups.tail; at++) {
        const log_group *group = log_group_at(log, at);
        if (!group->aged && !group->bare && !group->fixed) {
            return prepare_rework(log, at, 1);
        }
    }
    return false;
}

static void adopt_rework(rp_log *log)
{
    const log_job *job = log->job;
    rp_blob blobs[LOG_GROUP_RECORDS];
    log_group *group = log_group_at(log, job->group);
    uint64_t end = log_group_end(log, job->group);
    RP_ASSERT(job->result_count <= LOG_GROUP_RECORDS);
    if ((job->merge > 1 && !log_may_thin(log, job->group)) || put_results(log, blobs) != RP_OK) {
        return;
    }
    size_t next = 0;
    group->page_count = 0;
    for (uint64_t index = group->from + 1; index <= end; index++) {
        log_record *record = log_record_at(log, index);
        bool stays = next < job->result_count && log_job_results(job)[next].index == index;
        rp_store_drop(&log->store, record->blob);
        record->blob = stays ? blobs[next] : 0;
        record->blob_pages = stays ? log_job_results(job)[next].page_count : 0;
        log->thinned_count += record->kept && !stays && index < end;
        record->kept = stays || index == end;
        group->page_count += record->blob_pages;
        next += stays;
    }
    group->aged = 1;
    group->stride *= job->merge;
}

/* ---- any ---- */

static bool prepare(rp_log *log)
{
    if (log_is_empty(log) || log->position < log->base) {
        return false;
    }
    if (group_is_full(log)) {
        return prepare_close(log);
    }
    return prepare_pack(log) || prepare_thin(log) || prepare_tighter(log);
}

/* A result waits while the position is among the records that it packed, or in what is packed:
 * there, nothing could be dropped that the result might take the place of. */
static bool may_adopt(const rp_log *log)
{
    const log_job *job = log->job;
    size_t last = job->result_count - 1;
    return log->position >= log->base && (job->kind != LOG_JOB_PACK || job->result_count == 0 ||
                                          log->position >= log_job_results(job)[last].index);
}

static void adopt(rp_log *log)
{
    log_job *job = log->job;
    log->packing_ns += job->busy_ns;
    if (job->status == RP_OK) {
        switch (job->kind) {
        case LOG_JOB_PACK:
            adopt_pack(log);
            break;
        case LOG_JOB_CLOSE:
            adopt_close(log);
            break;
        case LOG_JOB_REWORK:
            adopt_rework(log);
        }
    } else if (job->status == RP_E_FORMAT && job->kind == LOG_JOB_REWORK) {
        log_group_at(log, job->group)->fixed = 1;
    } else if (job->status == RP_E_FORMAT) {
        while (log_has_groups(log)) {
            log_group_drop(log);
        }
    }
}

/* Of what a job worked in as much stays for the next one as a budget has for it. */
static void trim_job(const rp_log *log)
{
    size_t share = rp_min_size(log->budget_bytes / WORK_SHARE, WORK_KEEP_BYTES);
    log_job_trim(log->job, rp_max_size(share, LOG_WORK_LEAST_BYTES) / WORK_PARTS);
}

void log_work(rp_log *log)
{
    if (log->job_posted) {
        if (!log_job_is_done(log->job) || !may_adopt(log)) {
            return;
        }
        log->job_posted = false;
        adopt(log);
    }
    trim_job(log);
    for (int i = 0; i < INLINE_JOBS && prepare(log); i++) {
        if (!log->job_inline && log_job_post(log->job)) {
            log->job_posted = true;
            return;
        }
        log_job_run(log->job);
        adopt(log);
        trim_job(log);
    }
    rp_store_tidy(&log->store);
    log_room_tend(log);
}

void log_work_stop(rp_log *log)
{
    if (log->job_posted) {
        log_job_cancel(log->job);
        log->job_posted = false;
        log->job_stop_count++;
    }
}

void rp_log_tend(rp_log *log)
{
    log_work(log);
    log_fit_budget(log, log->coming_bytes);
    log->tended = true;
}
