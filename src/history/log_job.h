/* What the log has packed in the background: a job is a pure function over bytes that do not change
 * while it runs (slots in use, blobs), into memory of its own.
 *
 *   pack    raw records           -> a blob for each that is to stay, which leads there from the
 * one before that stays; and what each adds to the hash close   blobs of a group, the state at its
 * end      -> the version of each of its pages at its start rework  blobs of a group      -> one
 * blob for each, or for each two; packed tighter
 *
 * The owner fills a job, posts it, and takes the result when it next comes by: nobody locks
 * anything. Where no thread can be made the owner runs it itself.
 *
 * Layer: history (internal).  Threads: the owner, and one worker while a job is posted.
 */
#ifndef RP_HISTORY_LOG_JOB_H
#define RP_HISTORY_LOG_JOB_H

#include "history/pack.h"
#include "history/storage.h"
#include "os/os.h"

typedef enum log_job_kind { LOG_JOB_PACK, LOG_JOB_CLOSE, LOG_JOB_REWORK } log_job_kind;

typedef struct log_job_page {
    uint32_t page;
    uint8_t born;                     /* pack: no version before; close: told by the result */
    uint8_t whole;                    /* close: no delta, please; then: what it became */
    uint8_t kind;                     /* close: log_version_kind */
    const uint8_t *before, *after;    /* null: zeros; close: only after, the state at the end */
    uint64_t before_hash, after_hash; /* pack: 0 where not known; after_hash is told */
    uint32_t slot;                    /* pack: of after */
    uint32_t size_bytes;              /* close: of the result */
    size_t offset;
} log_job_page;

typedef struct log_job_record {
    uint64_t index;
    size_t first_page, page_count; /* pack: in `pages` */
    const uint8_t *blob;           /* close, rework */
    uint32_t blob_bytes, blob_pages;
    bool merged; /* pack: its pages are in the blob of a later one */
} log_job_record;

typedef struct log_job_result {
    uint64_t index;            /* of the record that it leads to */
    size_t offset, size_bytes; /* size 0: no blob, it was merged */
    uint32_t page_count;
    uint64_t difference;
} log_job_result;

typedef struct log_job {
    log_job_kind kind;
    uint64_t group; /* close, rework: its number */
    uint32_t merge; /* rework: 1 or 2 blobs into one */
    rp_codec codec;
    rp_grow pages, records, results;
    size_t page_count, record_count, result_count;
    rp_grow output;
    size_t output_bytes;
    rp_status status;
    uint64_t busy_ns;
    size_t held_bytes; /* see log_job_held_bytes */

    rp_grow contents; /* pages being composed */
    rp_grow composed; /* log_job_page of them */
    rp_sparse lookup; /* page -> place in `composed` + 1 */
    size_t composed_count;
    rp_packer packer;

    rp_os_thread thread;
    volatile uint32_t state; /* log_job_state */
    volatile uint32_t cancel;
} log_job;

static inline log_job_page *log_job_pages(const log_job *job)
{
    return (log_job_page *)(void *)job->pages.data;
}

static inline log_job_record *log_job_records(const log_job *job)
{
    return (log_job_record *)(void *)job->records.data;
}

static inline log_job_result *log_job_results(const log_job *job)
{
    return (log_job_result *)(void *)job->results.data;
}

/* log_job.c */
/* Computes it. job->status: RP_E_FORMAT where a blob is damaged, RP_E_MEMORY, RP_E_BUSY where it
 * was cancelled. */
void log_job_run(log_job *job);

/* log_work.c: the thread that runs jobs */
rp_status log_job_create(log_job **job);
/* Ends the thread. */
void log_job_destroy(log_job *job);
/* Empties it for the next one. RP_E_MEMORY. */
void log_job_begin(log_job *job, log_job_kind kind);
rp_status log_job_add_page(log_job *job, const log_job_page *page);
rp_status log_job_add_record(log_job *job, const log_job_record *record);
/* Hands it to the thread; false where there is none: run it here. */
bool log_job_post(log_job *job);
bool log_job_is_done(const log_job *job);
/* Waits for the thread, which leaves the job as soon as it can. */
void log_job_cancel(log_job *job);
/* Gives back what an unusually large job took; `keep_bytes` of each part stay. */
void log_job_trim(log_job *job, size_t keep_bytes);
/* Memory that it works in: said by whoever runs it, and read by the owner meanwhile. */
void log_job_note_held(log_job *job);
size_t log_job_held_bytes(const log_job *job);

#endif
