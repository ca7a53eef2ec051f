/* See recorder.h. */
#include "take/recorder.h"

#include "base/bits.h"
#include "base/error.h"
#include "take/memory.h"

#include <string.h>

enum { ALIGN_BYTES = 16, FILE_PATH_BYTES = 1024, FRONT_PART = 2, SPARE_PART = 8 };
#define FRONT_MOST_BYTES RP_MIB(64)
#define SPARE_MOST_BYTES RP_MIB(8)
#define WARM_BYTES RP_MIB(1)
#define QUEUE_BYTES RP_MIB(64)
#define SYNC_NS UINT64_C(1000000000)

typedef enum job_kind { JOB_SKIP, JOB_FRAME, JOB_RECORD, JOB_FILE } job_kind;

/* Followed by what it needs; of size_bytes in all. */
typedef struct job {
    uint64_t size_bytes;
    uint32_t kind, type;
    rp_take_frame_desc frame; /* its input pointer is set by the thread */
    uint64_t count;           /* of pages */
    uint64_t fixed_bytes, plain_bytes, tail_bytes;
} job;

/* A page of a frame in the queue; its content follows the list, where it has one. */
typedef struct job_page {
    uint32_t page, has_content;
} job_page;

struct rp_take_recorder {
    rp_take_recorder_desc desc;
    rp_os_thread thread;
    uint8_t *queue;
    size_t queue_bytes;      /* a power of two */
    size_t front_bytes;      /* of it: where it is used as long as the thread follows */
    size_t spare_bytes;      /* of it: free for thin frames */
    uint64_t tail;           /* written up to here by the caller */
    uint64_t head;           /* read up to here by the thread */
    uint32_t news;           /* counts what the caller did; the thread waits for it to change */
    uint32_t ending, finish; /* finish: set before ending */
    int32_t status;          /* rp_status; the text is written before it */
    char text[480];
    uint64_t synced_ns;
    uint64_t written_bytes;
    bool unsynced;
    rp_take_array list; /* of the thread: rp_take_page of the frame at hand */
    /* the caller's own */
    rp_take_map owed; /* page: 1 owed, 0 no more */
    rp_take_array owed_list;
    rp_take_recorder_stats stats;
};

#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define STORE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELEASE)

/* ---- the thread -------------------------------------------------------------------------------
 */

static void note_failure(rp_take_recorder *r)
{
    if (!r->status) {
        memcpy(r->text, rp_error_last()->text, sizeof r->text);
        STORE(r->status, rp_error_last()->status);
    }
}

static rp_status write_frame(rp_take_recorder *r, const job *j)
{
    const uint8_t *at = (const uint8_t *)(j + 1);
    rp_take_frame_desc desc = j->frame;
    desc.input = at;
    at += rp_align_up(desc.input_bytes, ALIGN_BYTES);
    const job_page *pages = (const job_page *)(const void *)at;
    at += rp_align_up(j->count * sizeof *pages, ALIGN_BYTES);
    r->list.used_bytes = 0;
    rp_status status = rp_take_array_need(&r->list, (size_t)j->count * sizeof(rp_take_page));
    if (status) {
        return status;
    }
    rp_take_page *list = (rp_take_page *)(void *)r->list.data;
    for (uint64_t i = 0; i < j->count; i++) {
        list[i] =
            (rp_take_page){.page = pages[i].page, .content = pages[i].has_content ? at : NULL};
        at += pages[i].has_content ? RP_PAGE_BYTES : 0;
    }
    return rp_take_writer_frame(r->desc.writer, &desc, list, (size_t)j->count);
}

static rp_status write_record(rp_take_recorder *r, const job *j)
{
    const uint8_t *fixed = (const uint8_t *)(j + 1);
    const uint8_t *plain = fixed + rp_align_up(j->fixed_bytes, ALIGN_BYTES);
    const uint8_t *tail = plain + rp_align_up(j->plain_bytes, ALIGN_BYTES);
    return rp_take_writer_record(r->desc.writer, (rp_take_type)j->type, fixed, plain,
                                 (size_t)j->plain_bytes, tail, (size_t)j->tail_bytes);
}

static rp_status write_file(rp_take_recorder *r, const job *j)
{
    rp_take_part part;
    const char *path = (const char *)(j + 1) + rp_align_up(sizeof part, ALIGN_BYTES);
    memcpy(&part, j + 1, sizeof part);
    return rp_take_writer_file_at(r->desc.writer, &part, path);
}

static rp_status do_job(rp_take_recorder *r, const job *j)
{
    switch (j->kind) {
    case JOB_FRAME:
        return write_frame(r, j);
    case JOB_RECORD:
        return write_record(r, j);
    case JOB_FILE:
        return write_file(r, j);
    default:
        return RP_OK;
    }
}

/* Whether there was a job. After a failure jobs are dropped, so that the caller never waits. */
static bool take_job(rp_take_recorder *r)
{
    uint64_t head = r->head;
    if (head == LOAD(r->tail)) {
        return false;
    }
    const job *j = (const job *)(const void *)(r->queue + (head & (r->queue_bytes - 1)));
    if (!r->status && do_job(r, j)) {
        note_failure(r);
    }
    r->unsynced = true;
    rp_take_writer_stats written;
    rp_take_writer_stats_get(r->desc.writer, &written);
    STORE(r->written_bytes, written.written_bytes);
    STORE(r->head, head + j->size_bytes);
    return true;
}

static void sync_when_due(rp_take_recorder *r)
{
    uint64_t now = rp_os_monotonic_ns();
    if (r->unsynced && !r->status && now - r->synced_ns >= r->desc.sync_ns) {
        if (rp_take_writer_sync(r->desc.writer)) {
            note_failure(r);
        }
        r->synced_ns = now;
        r->unsynced = false;
    }
}

/* Where the queue is used as long as the disk follows: a frame that touched it first would pay more
 * for that than for its copy. */
static void warm(rp_take_recorder *r)
{
    for (size_t at = 0; at < r->front_bytes && !LOAD(r->ending); at += WARM_BYTES) {
        rp_os_vm_populate(r->queue + at, rp_min_size(WARM_BYTES, r->front_bytes - at));
    }
}

static void run(void *context)
{
    rp_take_recorder *r = context;
    warm(r);
    for (;;) {
        uint32_t news = LOAD(r->news);
        uint32_t ending = LOAD(r->ending);
        bool worked = take_job(r);
        if (!worked && ending) {
            break;
        }
        sync_when_due(r);
        if (!worked) {
            rp_os_word_wait(&r->news, news, rp_os_monotonic_ns() + r->desc.sync_ns);
        }
    }
    if (r->finish && !r->status && rp_take_writer_finish(r->desc.writer)) {
        note_failure(r);
    }
}

/* ---- the queue --------------------------------------------------------------------------------
 */

static void tell(rp_take_recorder *r)
{
    __atomic_fetch_add(&r->news, 1, __ATOMIC_RELEASE);
    rp_os_word_wake(&r->news);
}

/* Room for a job in one piece, at the queue's end; null: none that leaves `spare_bytes`. */
static job *begin_job(rp_take_recorder *r, uint64_t size_bytes, uint64_t spare_bytes)
{
    uint64_t used = r->tail - LOAD(r->head), at = r->tail & (r->queue_bytes - 1);
    /* An empty queue begins anew at its front, where its memory is warm. What lies behind can be
     * used only once the thread has passed it, which may be late, so the front has to do until
     * then. */
    bool anew = used == 0 && at >= size_bytes + r->front_bytes;
    uint64_t skip = anew || at + size_bytes > r->queue_bytes ? r->queue_bytes - at : 0;
    if (size_bytes > r->queue_bytes || used + skip + size_bytes + spare_bytes > r->queue_bytes) {
        return NULL;
    }
    if (skip) {
        /* What is left of the queue is at least ALIGN_BYTES, where these two fit. */
        job *skipped = (job *)(void *)(r->queue + at);
        skipped->size_bytes = skip;
        skipped->kind = JOB_SKIP;
        STORE(r->tail, r->tail + skip);
    }
    return (job *)(void *)(r->queue + (r->tail & (r->queue_bytes - 1)));
}

static void end_job(rp_take_recorder *r, uint64_t size_bytes)
{
    STORE(r->tail, r->tail + size_bytes);
    uint64_t queued = r->tail - LOAD(r->head);
    r->stats.most_queued_bytes =
        queued > r->stats.most_queued_bytes ? queued : r->stats.most_queued_bytes;
    tell(r);
}

static rp_status failure(const rp_take_recorder *r)
{
    rp_status status = LOAD(r->status);
    return status ? rp_fail(status, "%s", r->text) : RP_OK;
}

/* ---- frames -----------------------------------------------------------------------------------
 */

static rp_status owe(rp_take_recorder *r, uint32_t page)
{
    uint32_t known;
    bool listed = rp_take_map_get(&r->owed, page, &known);
    rp_status status = rp_take_map_set(&r->owed, page, 1);
    return status || listed ? status : rp_take_array_add(&r->owed_list, &page, sizeof page);
}

/* Owed pages that the frame brings itself are owed no more. Returns how many are left. */
static uint64_t settle(rp_take_recorder *r, const rp_take_page *pages, size_t count)
{
    uint32_t known;
    uint64_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (rp_take_map_get(&r->owed, pages[i].page, &known)) {
            (void)rp_take_map_set(&r->owed, pages[i].page, 0); /* it is there: nothing can fail */
        }
    }
    const uint32_t *list = (const uint32_t *)(const void *)r->owed_list.data;
    for (size_t i = 0; i < r->owed_list.used_bytes / sizeof *list; i++) {
        left += rp_take_map_get(&r->owed, list[i], &known) && known;
    }
    return left;
}

static uint8_t *put_page(job_page *entry, uint32_t page, const void *content, uint8_t *to)
{
    *entry = (job_page){page, content != NULL};
    if (!content) {
        return to;
    }
    memcpy(to, content, RP_PAGE_BYTES);
    return to + RP_PAGE_BYTES;
}

static void fill_frame(rp_take_recorder *r, job *j, const rp_take_frame_desc *desc,
                       const rp_take_page *pages, size_t count, uint64_t total)
{
    uint8_t *at = (uint8_t *)(j + 1);
    uint32_t known;
    j->kind = JOB_FRAME;
    j->frame = *desc;
    j->count = total;
    if (desc->input_bytes) {
        memcpy(at, desc->input, desc->input_bytes);
    }
    at += rp_align_up(desc->input_bytes, ALIGN_BYTES);
    job_page *list = (job_page *)(void *)at;
    at += rp_align_up(total * sizeof *list, ALIGN_BYTES);
    for (size_t i = 0; i < count; i++) {
        at = put_page(list++, pages[i].page, pages[i].content, at);
    }
    const uint32_t *owed = (const uint32_t *)(const void *)r->owed_list.data;
    for (size_t i = 0; total > count && i < r->owed_list.used_bytes / sizeof *owed; i++) {
        if (rp_take_map_get(&r->owed, owed[i], &known) && known) {
            at = put_page(list++, owed[i], r->desc.content(r->desc.context, owed[i]), at);
        }
    }
}

static uint64_t frame_bytes(uint32_t input_bytes, uint64_t pages)
{
    return sizeof(job) + rp_align_up(input_bytes, ALIGN_BYTES) +
           rp_align_up(pages * sizeof(job_page), ALIGN_BYTES) + pages * RP_PAGE_BYTES;
}

/* The frame without its memory, in the part of the queue that is kept for that. */
static rp_status put_thin(rp_take_recorder *r, const rp_take_frame_desc *desc,
                          const rp_take_page *pages, size_t count)
{
    rp_take_frame_desc thin = *desc;
    rp_status status = RP_OK;
    for (size_t i = 0; i < count && !status; i++) {
        status = owe(r, pages[i].page);
    }
    if (status) {
        return status;
    }
    thin.thin = true;
    uint64_t size = frame_bytes(desc->input_bytes, 0);
    job *j = begin_job(r, size, 0);
    if (!j) {
        r->stats.lost++;
        return RP_OK;
    }
    fill_frame(r, j, &thin, NULL, 0, 0);
    j->size_bytes = size;
    end_job(r, size);
    return RP_OK;
}

static void note_thin(rp_take_recorder *r, uint64_t frame)
{
    if (!r->stats.thin || frame > r->stats.last_thin + 1) {
        r->stats.first_thin = frame;
    }
    r->stats.last_thin = frame;
    r->stats.thin++;
}

rp_status rp_take_recorder_frame(rp_take_recorder *r, const rp_take_frame_desc *desc,
                                 const rp_take_page *pages, size_t count, bool *thin)
{
    rp_status status = failure(r);
    if (!status && desc->input_bytes > RP_TAKE_INPUT_MOST_BYTES) {
        status =
            rp_fail(RP_E_ARGUMENT, "take: an input of %u bytes is too long", desc->input_bytes);
    }
    if (thin) {
        *thin = false;
    }
    if (status) {
        return status;
    }
    r->stats.frames++;
    uint64_t total = count + settle(r, pages, count);
    uint64_t size = frame_bytes(desc->input_bytes, total);
    job *j = desc->thin ? NULL : begin_job(r, size, r->spare_bytes);
    if (j) {
        fill_frame(r, j, desc, pages, count, total);
        j->size_bytes = size;
        end_job(r, size);
        rp_take_map_clear(&r->owed);
        r->owed_list.used_bytes = 0;
        return RP_OK;
    }
    note_thin(r, desc->frame);
    if (thin) {
        *thin = true;
    }
    return put_thin(r, desc, pages, count);
}

/* ---- other records ----------------------------------------------------------------------------
 */

static rp_status put_parts(rp_take_recorder *r, job_kind kind, uint32_t type,
                           const void *const parts[3], const size_t sizes[3])
{
    rp_status status = failure(r);
    uint64_t size = sizeof(job);
    for (int i = 0; i < 3; i++) {
        size += rp_align_up(sizes[i], ALIGN_BYTES);
    }
    job *j = status ? NULL : begin_job(r, size, 0);
    if (!j) {
        return status ? status
                      : rp_fail(RP_E_BUSY, "take: the disk does not follow: try again later");
    }
    uint8_t *at = (uint8_t *)(j + 1);
    for (int i = 0; i < 3; i++) {
        if (sizes[i]) {
            memcpy(at, parts[i], sizes[i]);
        }
        at += rp_align_up(sizes[i], ALIGN_BYTES);
    }
    j->kind = kind;
    j->type = type;
    j->fixed_bytes = sizes[0], j->plain_bytes = sizes[1], j->tail_bytes = sizes[2];
    j->size_bytes = size;
    end_job(r, size);
    return RP_OK;
}

rp_status rp_take_recorder_record(rp_take_recorder *r, rp_take_type type, const void *fixed,
                                  const void *plain, size_t plain_bytes, const void *tail,
                                  size_t tail_bytes)
{
    const rp_take_kind *kind = rp_take_kind_of(type);
    const void *const parts[3] = {fixed, plain, tail};
    const size_t sizes[3] = {rp_take_layout_of(kind->layout)->size_bytes, plain_bytes, tail_bytes};
    return put_parts(r, JOB_RECORD, type, parts, sizes);
}

rp_status rp_take_recorder_file(rp_take_recorder *r, const rp_take_part *part, const char *path)
{
    size_t length = strlen(path) + 1;
    const void *const parts[3] = {part, path, NULL};
    const size_t sizes[3] = {sizeof *part, length, 0};
    if (length > FILE_PATH_BYTES) {
        return rp_fail(RP_E_ARGUMENT, "take: the path of a build's file is too long");
    }
    return put_parts(r, JOB_FILE, 0, parts, sizes);
}

/* ---- beginning and end ------------------------------------------------------------------------
 */

static size_t power_of_two(size_t size_bytes)
{
    return (size_t)1 << (rp_log2(size_bytes - 1) + 1);
}

static rp_status init(rp_take_recorder *r)
{
    r->queue_bytes = power_of_two(
        rp_max_size(r->desc.queue_bytes ? r->desc.queue_bytes : QUEUE_BYTES, RP_KIB(64)));
    r->front_bytes = rp_min_size(r->queue_bytes / FRONT_PART, FRONT_MOST_BYTES);
    r->spare_bytes = rp_min_size(r->queue_bytes / SPARE_PART, SPARE_MOST_BYTES);
    r->desc.sync_ns = r->desc.sync_ns ? r->desc.sync_ns : SYNC_NS;
    r->synced_ns = rp_os_monotonic_ns();
    r->queue = rp_os_vm_reserve(r->queue_bytes);
    if (!r->queue) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(r->queue, r->queue_bytes);
    if (!status) { /* so that no frame is the first to touch it */
        memset(r->queue, 0, r->spare_bytes);
    }
    status = status ? status : rp_take_array_init(&r->list, RP_GIB(5));
    status = status ? status : rp_take_array_init(&r->owed_list, RP_GIB(1));
    return status ? status : rp_os_thread_start(&r->thread, run, r);
}

static void release(rp_take_recorder *r)
{
    if (r->queue) {
        rp_os_vm_release(r->queue, r->queue_bytes);
    }
    rp_take_array_finish(&r->list);
    rp_take_array_finish(&r->owed_list);
    rp_take_map_finish(&r->owed);
    rp_os_vm_release(r, rp_align_up(sizeof *r, RP_PAGE_BYTES));
}

rp_status rp_take_recorder_create(const rp_take_recorder_desc *desc, rp_take_recorder **out)
{
    size_t size_bytes = rp_align_up(sizeof **out, RP_PAGE_BYTES);
    rp_take_recorder *r = rp_os_vm_reserve(size_bytes);
    *out = NULL;
    if (!r) {
        return rp_error_last()->status;
    }
    rp_status status = rp_os_vm_commit(r, size_bytes);
    if (status) {
        rp_os_vm_release(r, size_bytes);
        return status;
    }
    r->desc = *desc;
    status = init(r);
    if (status) {
        release(r);
        return status;
    }
    *out = r;
    return RP_OK;
}

void rp_take_recorder_stats_get(const rp_take_recorder *r, rp_take_recorder_stats *stats)
{
    *stats = r->stats;
    stats->queued_bytes = r->tail - LOAD(r->head);
    stats->written_bytes = LOAD(r->written_bytes);
    stats->status = LOAD(r->status);
}

rp_status rp_take_recorder_destroy(rp_take_recorder *r, bool finish)
{
    if (!r) {
        return RP_OK;
    }
    r->finish = finish;
    STORE(r->ending, 1);
    tell(r);
    rp_os_thread_join(&r->thread);
    rp_status status = failure(r);
    release(r);
    return status;
}
