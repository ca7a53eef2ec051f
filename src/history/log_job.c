/* What the worker computes; see log_job.h. Only the job's own memory is written here. */
#include "history/log_job.h"
#include "history/log_private.h"
#include "history/page.h"

#include "base/error.h"

#include <string.h>
#include <xxhash.h>

static bool is_cancelled(const log_job *job)
{
    return __atomic_load_n(&job->cancel, __ATOMIC_RELAXED);
}

static rp_status stopped(void)
{
    return rp_fail(RP_E_BUSY, "history: packing was interrupted");
}

static uint64_t page_hash(uint32_t page, const uint8_t *content)
{
    return !content || rp_page_is_zero(content)
               ? 0
               : XXH3_64bits_withSeed(content, RP_PAGE_BYTES, page);
}

/* ---- pack ---- */

static log_job_page *composed_at(const log_job *job, size_t i)
{
    return (log_job_page *)(void *)job->composed.data + i;
}

/* The place of a page among those composed; SIZE_MAX: it is not there. */
static size_t find_composed(const log_job *job, uint32_t page)
{
    size_t place = page < RP_PAGE_LIMIT ? rp_sparse_get(&job->lookup, page) : 0;
    bool there = place && place <= job->composed_count && composed_at(job, place - 1)->page == page;
    return there ? place - 1 : SIZE_MAX;
}

/* A page among those composed, where it is added if it is not there; null: no memory. */
static log_job_page *compose_entry(log_job *job, const log_job_page *page)
{
    size_t place = find_composed(job, page->page);
    if (place != SIZE_MAX) {
        return composed_at(job, place);
    }
    if (page->page >= RP_PAGE_LIMIT || rp_sparse_need(&job->lookup, page->page, 1) != RP_OK) {
        return NULL;
    }
    place = job->composed_count;
    if (rp_grow_need(&job->composed, (place + 1) * sizeof(log_job_page)) != RP_OK) {
        return NULL;
    }
    *composed_at(job, place) = *page;
    job->lookup.words[page->page] = (uint32_t)place + 1;
    job->composed_count = place + 1;
    return composed_at(job, place);
}

/* A record's page joins those of the merged records before it: from what the first of them found to
 * what the last one left. */
static rp_status add_change(log_job *job, log_job_page *page, uint64_t *difference)
{
    size_t before = job->composed_count;
    log_job_page *whole = compose_entry(job, page);
    if (!whole) {
        return rp_error_last()->status;
    }
    if (job->composed_count == before) { /* it was there: found is what it left then */
        page->before_hash = whole->after_hash;
    }
    /* A hash that is known was taken when the page was whole: it is believed, so that damage shows
     * when the state is sought. */
    page->before_hash = page->before_hash ? page->before_hash : page_hash(page->page, page->before);
    page->after_hash = page->after_hash ? page->after_hash : page_hash(page->page, page->after);
    *difference += page->after_hash - page->before_hash;
    whole->after = page->after;
    whole->after_hash = page->after_hash;
    return RP_OK;
}

static rp_status pack_composed(log_job *job, log_job_result *result)
{
    size_t count = job->composed_count;
    rp_status status = rp_grow_need(&job->contents, count * sizeof(rp_pack_page));
    if (status != RP_OK) {
        return status;
    }
    rp_pack_page *list = (rp_pack_page *)(void *)job->contents.data;
    for (size_t i = 0; i < count; i++) {
        const log_job_page *page = composed_at(job, i);
        list[i] = (rp_pack_page){page->page, page->born, page->before, page->after};
    }
    result->page_count = (uint32_t)count;
    job->composed_count = 0;
    return rp_pack_record(&job->packer, list, count, job->codec, &job->output, result->offset,
                          &result->size_bytes);
}

static rp_status pack_record(log_job *job, const log_job_record *record, log_job_result *result)
{
    log_job_page *pages = log_job_pages(job) + record->first_page;
    *result = (log_job_result){.index = record->index, .offset = job->output_bytes};
    for (size_t i = 0; i < record->page_count; i++) {
        rp_status status =
            is_cancelled(job) ? stopped() : add_change(job, &pages[i], &result->difference);
        if (status != RP_OK) {
            return status;
        }
    }
    return record->merged ? RP_OK : pack_composed(job, result);
}

/* ---- several blobs made one ---- */

static uint8_t *content_at(const log_job *job, size_t i)
{
    return job->contents.data + i * RP_PAGE_BYTES;
}

/* In `born` of a page that no blob named yet. */
enum { LOG_NOT_MET = 2 };

/* The place of a page among those composed; SIZE_MAX: no memory. */
static size_t compose_page(log_job *job, uint32_t page, uint8_t born)
{
    size_t before = job->composed_count;
    const log_job_page *entry = compose_entry(job, &(log_job_page){.page = page, .born = born});
    if (!entry) {
        return SIZE_MAX;
    }
    size_t place = (size_t)(entry - composed_at(job, 0));
    if (job->composed_count != before) {
        if (rp_grow_need(&job->contents, (place + 1) * RP_PAGE_BYTES) != RP_OK) {
            return SIZE_MAX;
        }
        memset(content_at(job, place), 0, RP_PAGE_BYTES);
    }
    return place;
}

static rp_status damaged(const log_job_record *record)
{
    return rp_fail(RP_E_FORMAT, "history: the packed record %llu is damaged",
                   (unsigned long long)record->index);
}

/* Of all its pages, or of those alone that are among the composed ones. */
static rp_status compose(log_job *job, const log_job_record *record, bool all)
{
    rp_unpack reader;
    if (!rp_store_is_whole(record->blob)) {
        return damaged(record);
    }
    rp_status status = rp_unpack_open(&job->packer, record->blob, record->blob_bytes, &reader);
    while (status == RP_OK && rp_unpack_next(&reader)) {
        if (is_cancelled(job)) {
            return stopped();
        }
        size_t place =
            all ? compose_page(job, reader.page, reader.born) : find_composed(job, reader.page);
        if (place == SIZE_MAX && all) {
            return rp_error_last()->status;
        }
        bool known = place != SIZE_MAX;
        if (known && composed_at(job, place)->born == LOG_NOT_MET) {
            composed_at(job, place)->born = reader.born;
        }
        if (!rp_unpack_xor(&reader, known ? content_at(job, place) : NULL)) {
            break;
        }
    }
    return status == RP_OK && reader.left ? damaged(record) : status;
}

/* ---- rework ---- */

static rp_status pack_tighter(log_job *job, const log_job_record *record, log_job_result *result)
{
    if (!rp_store_is_whole(record->blob)) {
        return damaged(record);
    }
    *result = (log_job_result){
        .index = record->index, .offset = job->output_bytes, .page_count = record->blob_pages};
    return rp_pack_again(&job->packer, record->blob, record->blob_bytes, job->codec, &job->output,
                         result->offset, &result->size_bytes);
}

static rp_status rework(log_job *job, size_t first, log_job_result *result)
{
    const log_job_record *records = log_job_records(job);
    size_t end = rp_min_size(first + job->merge, job->record_count);
    rp_status status = RP_OK;
    if (is_cancelled(job)) {
        return stopped();
    }
    if (end == first + 1) {
        return pack_tighter(job, &records[first], result);
    }
    job->composed_count = 0;
    for (size_t i = first; i < end && status == RP_OK; i++) {
        status = compose(job, &records[i], true);
    }
    if (status == RP_OK) {
        status = rp_grow_need(&job->pages, job->composed_count * sizeof(rp_pack_page));
    }
    if (status != RP_OK) {
        return status;
    }
    rp_pack_page *list = (rp_pack_page *)(void *)job->pages.data;
    for (size_t i = 0; i < job->composed_count; i++) {
        const log_job_page *page = composed_at(job, i);
        list[i] = (rp_pack_page){page->page, page->born, NULL, content_at(job, i)};
    }
    *result = (log_job_result){.index = records[end - 1].index,
                               .offset = job->output_bytes,
                               .page_count = (uint32_t)job->composed_count};
    return rp_pack_record(&job->packer, list, job->composed_count, job->codec, &job->output,
                          result->offset, &result->size_bytes);
}

/* ---- close ---- */

/* So many pages of a group at a time: their contents are what closing works in. The blobs are read
 * once for each time. */
enum { CLOSE_BATCH = 2048 };

/* content ^ after is what the page held at the start; `content` alone leads there from the end. */
static rp_status close_page(log_job *job, log_job_page *page, const uint8_t *delta)
{
    uint8_t start[RP_PAGE_BYTES];
    rp_status status = rp_grow_need(&job->output, job->output_bytes + RP_PACK_PAGE_BOUND);
    if (status != RP_OK) {
        return status;
    }
    uint8_t *out = job->output.data + job->output_bytes;
    memcpy(start, delta, sizeof start);
    if (page->after) {
        rp_page_xor(start, page->after);
    }
    bool same = !page->born && rp_page_is_zero(delta), zero = rp_page_is_zero(start);
    page->kind = page->born ? LOG_VERSION_NONE
                 : same     ? LOG_VERSION_SAME
                 : zero     ? LOG_VERSION_ZERO
                            : LOG_VERSION_WHOLE;
    page->offset = job->output_bytes;
    page->size_bytes = 0;
    if (page->kind != LOG_VERSION_WHOLE) {
        return RP_OK;
    }
    uint8_t other[RP_PACK_PAGE_BOUND];
    size_t whole = rp_pack_version(&job->packer, NULL, start, out);
    size_t over = page->whole ? SIZE_MAX : rp_pack_version(&job->packer, NULL, delta, other);
    if (over < whole - whole / 4) {
        page->kind = LOG_VERSION_DELTA;
        memcpy(out, other, over);
        whole = over;
    }
    page->size_bytes = (uint32_t)whole;
    job->output_bytes += whole;
    return RP_OK;
}

static rp_status close_some(log_job *job, log_job_page *pages, size_t count)
{
    rp_status status = RP_OK;
    job->composed_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (compose_page(job, pages[i].page, LOG_NOT_MET) == SIZE_MAX) {
            return rp_error_last()->status;
        }
    }
    for (size_t i = 0; i < job->record_count && status == RP_OK; i++) {
        status = compose(job, &log_job_records(job)[i], false);
    }
    for (size_t i = 0; i < count && status == RP_OK; i++) {
        pages[i].born = composed_at(job, i)->born == 1;
        status = is_cancelled(job) ? stopped() : close_page(job, &pages[i], content_at(job, i));
    }
    log_job_note_held(job);
    return status;
}

static rp_status close_group(log_job *job)
{
    rp_status status = RP_OK;
    for (size_t i = 0; i < job->page_count && status == RP_OK; i += CLOSE_BATCH) {
        status =
            close_some(job, log_job_pages(job) + i, rp_min_size(job->page_count - i, CLOSE_BATCH));
    }
    return status;
}

/* ---- any ---- */

static rp_status run_records(log_job *job)
{
    size_t step = job->kind == LOG_JOB_REWORK ? job->merge : 1;
    rp_status status = RP_OK;
    job->composed_count = 0;
    for (size_t i = 0; i < job->record_count && status == RP_OK; i += step) {
        log_job_result result;
        status = rp_grow_need(&job->results, (job->result_count + 1) * sizeof result);
        if (status == RP_OK) {
            status = job->kind == LOG_JOB_REWORK
                         ? rework(job, i, &result)
                         : pack_record(job, &log_job_records(job)[i], &result);
        }
        if (status == RP_OK) {
            job->output_bytes = rp_align_up(result.offset + result.size_bytes, 16);
            log_job_results(job)[job->result_count++] = result;
            log_job_note_held(job);
        }
    }
    return status;
}

void log_job_run(log_job *job)
{
    uint64_t start_ns = rp_os_thread_cpu_ns();
    job->status = job->kind == LOG_JOB_CLOSE ? close_group(job) : run_records(job);
    job->busy_ns = rp_os_thread_cpu_ns() - start_ns;
}
