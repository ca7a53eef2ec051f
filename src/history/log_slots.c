/* The slots of the log's memory file: offered, taken by a commit, freed, used again.
 *
 * The search for free slots goes round like the hand of a clock, so what one frame freed tends to
 * come back as one run. Only when nothing is free does the file grow: a fresh page of it costs 5
 * us, a used one 0.3.
 */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

#define SLOT_LIMIT ((uint32_t)(RP_LOG_FILE_BYTES >> RP_PAGE_SHIFT))
enum { WARM_BATCH = 256 };

rp_status log_slots_init(rp_log *log, bool writable)
{
    void *view = NULL;
    rp_status status = rp_os_memfile_create("reprise-log", RP_LOG_FILE_BYTES, &log->fd);
    if (status == RP_OK) {
        status = rp_os_memfile_map(log->fd, 0, NULL, RP_LOG_FILE_BYTES,
                                   writable ? RP_OS_READ_WRITE : RP_OS_READ, &view);
    }
    log->view = view;
    log->room = writable ? view : NULL;
    if (status == RP_OK) {
        status = rp_grow_init(&log->states, SLOT_LIMIT);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->hashes, SLOT_LIMIT * sizeof(uint64_t));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&log->offers, SLOT_LIMIT * sizeof(rp_slot_run));
    }
    if (status == RP_OK) {
        status = rp_grow_need(&log->states, 1);
    }
    if (status == RP_OK) {
        log_slot_states(log)[RP_SLOT_ZERO] = LOG_SLOT_USED;
        log->slot_end = log->cursor = log->warm_end = 1;
    }
    return status;
}

void log_slots_finish(rp_log *log)
{
    rp_grow_finish(&log->offers);
    rp_grow_finish(&log->hashes);
    rp_grow_finish(&log->states);
    if (log->view) {
        rp_os_unmap((void *)(uintptr_t)log->view, RP_LOG_FILE_BYTES);
    }
    rp_os_memfile_close(log->fd);
}

int rp_log_fd(const rp_log *log)
{
    return log->fd;
}

const void *rp_log_slot(const rp_log *log, uint32_t slot)
{
    RP_ASSERT(slot < log->slot_end);
    return log->view + (size_t)slot * RP_PAGE_BYTES;
}

void log_slot_free(rp_log *log, uint32_t slot)
{
    if (!log_slot_holds(slot)) {
        return;
    }
    RP_ASSERT(log_slot_states(log)[slot] == LOG_SLOT_USED);
    log_slot_states(log)[slot] = log->held ? LOG_SLOT_HELD : LOG_SLOT_FREE;
    log_slot_hashes(log)[slot] = 0;
    log->used_count--;
    if (log->held) {
        log->held_count++;
    } else {
        log->free_count++;
    }
}

void rp_log_hold(rp_log *log)
{
    log->held = true;
}

void rp_log_let_go(rp_log *log)
{
    uint8_t *states = log_slot_states(log);
    log->held = false;
    for (uint32_t slot = 1; slot < log->slot_end && log->held_count; slot++) {
        if (states[slot] == LOG_SLOT_HELD) {
            states[slot] = LOG_SLOT_FREE;
            log->held_count--;
            log->free_count++;
        }
    }
}

/* ---- offers ------------------------------------------------------------------------------------
 */

/* A run of at most `want` free slots at or after the cursor, going round once; count 0: none free.
 */
static rp_slot_run find_free(rp_log *log, uint32_t want)
{
    const uint8_t *states = log_slot_states(log);
    if (log->free_count == 0) {
        return (rp_slot_run){0, 0};
    }
    if (log->cursor >= log->slot_end) {
        log->cursor = 1;
    }
    const uint8_t *found = memchr(states + log->cursor, LOG_SLOT_FREE, log->slot_end - log->cursor);
    if (!found) {
        found = memchr(states + 1, LOG_SLOT_FREE, log->slot_end - 1);
    }
    RP_ASSERT(found);
    rp_slot_run run = {(uint32_t)(found - states), 0};
    while (run.count < want && run.first + run.count < log->slot_end &&
           found[run.count] == LOG_SLOT_FREE) {
        run.count++;
    }
    return run;
}

/* A run of fresh slots at the end of those in use. */
static rp_status grow_slots(rp_log *log, uint32_t want, rp_slot_run *run)
{
    uint32_t count = (uint32_t)rp_min_size(want, SLOT_LIMIT - log->slot_end);
    if (count == 0) {
        return rp_fail(RP_E_LIMIT,
                       "log: world and history fill its %zu GiB: use a smaller history budget",
                       (size_t)(RP_LOG_FILE_BYTES >> 30));
    }
    uint32_t end = log->slot_end + count;
    rp_status status = rp_grow_need(&log->states, end);
    if (status == RP_OK) {
        status = rp_grow_need(&log->hashes, end * sizeof(uint64_t));
    }
    if (status == RP_OK) {
        *run = (rp_slot_run){log->slot_end, count};
        log->slot_end = end;
        log->warm_end = log->warm_end > end ? log->warm_end : end;
        log->free_count += count;
    }
    return status;
}

rp_status log_slots_take(rp_log *log, uint32_t want, rp_slot_run *run)
{
    *run = find_free(log, want);
    rp_status status = run->count ? RP_OK : grow_slots(log, want, run);
    if (status == RP_OK) {
        memset(log_slot_states(log) + run->first, LOG_SLOT_USED, run->count);
        memset(log_slot_hashes(log) + run->first, 0, run->count * sizeof(uint64_t));
        log->free_count -= run->count;
        log->used_count += run->count;
        log->cursor = run->first + run->count;
    }
    return status;
}

static rp_status offer_run(rp_log *log, uint32_t want, rp_slot_run *run)
{
    *run = find_free(log, want);
    rp_status status = run->count ? RP_OK : grow_slots(log, want, run);
    if (status == RP_OK) {
        status = rp_grow_need(&log->offers, (log->offer_count + 1) * sizeof *run);
    }
    if (status != RP_OK) {
        return status;
    }
    memset(log_slot_states(log) + run->first, LOG_SLOT_OFFERED, run->count);
    log->free_count -= run->count;
    log->offered_count += run->count;
    log->cursor = run->first + run->count;
    ((rp_slot_run *)(void *)log->offers.data)[log->offer_count++] = *run;
    return RP_OK;
}

rp_status rp_log_slots_offer(rp_log *log, uint32_t want, rp_slot_run *runs, size_t capacity,
                             size_t *count)
{
    *count = 0;
    log->coming_bytes = ((uint64_t)log->offered_count + want) * RP_PAGE_BYTES;
    log_fit_budget(log, log->coming_bytes);
    while (want && *count < capacity) {
        rp_status status = offer_run(log, want, &runs[*count]);
        if (status != RP_OK) {
            return *count ? RP_OK : status;
        }
        want -= runs[*count].count;
        (*count)++;
    }
    return RP_OK;
}

static void release_offered(rp_log *log, rp_slot_run run, uint32_t *last_used)
{
    uint8_t *states = log_slot_states(log);
    for (uint32_t slot = run.first; slot < run.first + run.count; slot++) {
        if (states[slot] == LOG_SLOT_OFFERED) {
            states[slot] = LOG_SLOT_FREE;
            log->offered_count--;
            log->free_count++;
        } else {
            *last_used = slot;
        }
    }
}

/* The next search goes on behind the last slot that was taken, so that what was offered in vain
 * does not stay behind as a gap. */
void log_offers_end(rp_log *log)
{
    uint32_t last_used = 0;
    const rp_slot_run *runs = (const rp_slot_run *)(const void *)log->offers.data;
    uint32_t first_offered = log->offer_count ? runs[0].first : log->cursor;
    for (size_t i = 0; i < log->offer_count; i++) {
        release_offered(log, runs[i], &last_used);
    }
    log->offer_count = 0;
    log->cursor = last_used ? last_used + 1 : first_offered;
    RP_ASSERT(log->offered_count == 0);
}

void rp_log_slots_reset(rp_log *log)
{
    log_offers_end(log);
}

/* ---- warm slots --------------------------------------------------------------------------------
 */

/* Writing zeros makes the system find the file's memory now. Only slots that were never offered are
 * touched, so nobody else can be writing to them. */
void rp_log_prepare(rp_log *log, uint32_t slots_ahead)
{
    static const uint8_t zeros[RP_PAGE_BYTES];
    const void *pages[WARM_BATCH];
    for (size_t i = 0; i < WARM_BATCH; i++) {
        pages[i] = zeros;
    }
    uint64_t ready = (uint64_t)log->free_count + (log->warm_end - log->slot_end);
    while (ready < slots_ahead && log->warm_end < SLOT_LIMIT) {
        size_t count = rp_min_size(WARM_BATCH, slots_ahead - ready);
        count = rp_min_size(count, SLOT_LIMIT - log->warm_end);
        if (rp_os_memfile_write_pages(log->fd, (size_t)log->warm_end * RP_PAGE_BYTES, pages,
                                      count) != RP_OK) {
            return;
        }
        log->warm_end += (uint32_t)count;
        ready += count;
    }
}
