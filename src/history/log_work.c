/* The thread that runs jobs. One word passes a job to and fro; the thread holds nothing else of the
 * log's, no lock, and takes from no heap, so that a fork at any moment is safe. A forked child has
 * no such thread: there every job is run by the owner.
 */
#include "history/log_private.h"

#include "base/error.h"

typedef enum job_state { JOB_IDLE, JOB_POSTED, JOB_DONE, JOB_END } job_state;

#define JOB_BYTES rp_align_up(sizeof(log_job), RP_PAGE_BYTES)
/* A group has at most as many pages as one record may add to a group that is nearly full. */
#define PAGES_MOST ((size_t)RP_PACK_PAGES_MOST + LOG_GROUP_PAGES)
#define OUTPUT_MOST_BYTES (PAGES_MOST * 2 * RP_PAGE_BYTES)
#define LIST_MOST_BYTES (PAGES_MOST * sizeof(log_job_page))

static rp_status open_parts(log_job *job)
{
    rp_grow *lists[] = {&job->pages, &job->records, &job->results, &job->composed};
    rp_status status = rp_packer_init(&job->packer);
    for (size_t i = 0; i < RP_COUNT_OF(lists) && status == RP_OK; i++) {
        status = rp_grow_init(lists[i], LIST_MOST_BYTES);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&job->output, OUTPUT_MOST_BYTES);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&job->contents, OUTPUT_MOST_BYTES);
    }
    return status == RP_OK ? rp_sparse_init(&job->lookup) : status;
}

rp_status log_job_create(log_job **job)
{
    *job = NULL;
    log_job *made = rp_os_vm_reserve(JOB_BYTES);
    if (!made) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(made, JOB_BYTES);
    if (status != RP_OK) {
        rp_os_vm_release(made, JOB_BYTES);
        return status;
    }
    status = open_parts(made);
    if (status != RP_OK) {
        log_job_destroy(made);
        return status;
    }
    *job = made;
    return RP_OK;
}

static void set_state(log_job *job, job_state state)
{
    __atomic_store_n(&job->state, (uint32_t)state, __ATOMIC_RELEASE);
    rp_os_word_wake(&job->state);
}

static uint32_t get_state(const log_job *job)
{
    return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE);
}

void log_job_destroy(log_job *job)
{
    if (!job) {
        return;
    }
    if (rp_os_thread_is_here(&job->thread)) {
        log_job_cancel(job);
        set_state(job, JOB_END);
        rp_os_thread_join(&job->thread);
    }
    rp_sparse_finish(&job->lookup);
    rp_grow *parts[] = {&job->contents, &job->output,  &job->composed,
                        &job->results,  &job->records, &job->pages};
    for (size_t i = 0; i < RP_COUNT_OF(parts); i++) {
        rp_grow_finish(parts[i]);
    }
    rp_packer_finish(&job->packer);
    rp_os_vm_release(job, JOB_BYTES);
}

void log_job_begin(log_job *job, log_job_kind kind)
{
    job->kind = kind;
    job->page_count = job->record_count = job->result_count = job->composed_count = 0;
    job->output_bytes = 0;
    job->merge = 1;
    job->cancel = 0;
}

rp_status log_job_add_page(log_job *job, const log_job_page *page)
{
    rp_status status = rp_grow_need(&job->pages, (job->page_count + 1) * sizeof *page);
    if (status == RP_OK) {
        log_job_pages(job)[job->page_count++] = *page;
    }
    return status;
}

rp_status log_job_add_record(log_job *job, const log_job_record *record)
{
    rp_status status = rp_grow_need(&job->records, (job->record_count + 1) * sizeof *record);
    if (status == RP_OK) {
        log_job_records(job)[job->record_count++] = *record;
    }
    return status;
}

static void work(void *argument)
{
    log_job *job = argument;
    for (;;) {
        uint32_t state = get_state(job);
        if (state == JOB_END) {
            return;
        }
        if (state == JOB_POSTED) {
            log_job_run(job);
            set_state(job, JOB_DONE);
        } else {
            rp_os_word_wait(&job->state, state, UINT64_MAX);
        }
    }
}

bool log_job_post(log_job *job)
{
    if (!rp_os_thread_is_here(&job->thread)) {
        set_state(job, JOB_IDLE);
        if (rp_os_thread_start(&job->thread, work, job) != RP_OK) {
            return false;
        }
    }
    set_state(job, JOB_POSTED);
    return true;
}

bool log_job_is_done(const log_job *job)
{
    return get_state(job) == JOB_DONE;
}

void log_job_cancel(log_job *job)
{
    __atomic_store_n(&job->cancel, 1, __ATOMIC_RELAXED);
    while (rp_os_thread_is_here(&job->thread) && get_state(job) == JOB_POSTED) {
        rp_os_word_wait(&job->state, JOB_POSTED, UINT64_MAX);
    }
}

void log_job_note_held(log_job *job)
{
    const rp_grow *parts[] = {&job->contents, &job->output,  &job->composed,
                              &job->results,  &job->records, &job->pages};
    size_t sum = rp_packer_held_bytes(&job->packer);
    for (size_t i = 0; i < RP_COUNT_OF(parts); i++) {
        sum += parts[i]->held_bytes;
    }
    __atomic_store_n(&job->held_bytes, sum, __ATOMIC_RELAXED);
}

size_t log_job_held_bytes(const log_job *job)
{
    return __atomic_load_n(&job->held_bytes, __ATOMIC_RELAXED);
}

void log_job_trim(log_job *job, size_t keep_bytes)
{
    rp_grow *parts[] = {&job->contents, &job->output,  &job->composed,
                        &job->results,  &job->records, &job->pages};
    for (size_t i = 0; i < RP_COUNT_OF(parts); i++) {
        rp_grow_trim(parts[i], keep_bytes);
    }
    rp_packer_trim(&job->packer, keep_bytes);
    log_job_note_held(job);
}
