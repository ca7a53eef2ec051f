/* The slots of the log's memory file: offered, taken by a commit, freed, used again.
 *
 * The search for free slots goes round like the hand of a clock, so what one frame freed tends to
 * come back as one run. It passes by the chunks of 2 MiB in which few slots are free: many pages
 * are written quickest where they lie together (window.c). Those crumbs are for whoever wants few.
 * Only when no chunk is left does the file grow: a fresh page of it costs 5 us, a used one 0.3. It
 * grows where memory was given back first (log_room.c).
 */
#include "history/log_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

#define SLOT_LIMIT ((uint32_t)(RP_LOG_FILE_BYTES >> RP_PAGE_SHIFT))
enum {
    CHUNK_GOOD = LOG_CHUNK_SLOTS / 8, /* free slots of a chunk that many are taken from */
    FEW_SLOTS = 128,
};

typedef struct log_offer {
    rp_slot_run run;
    bool crumb; /* from a chunk that is passed by otherwise */
} log_offer;

static void count_free(rp_log *log, uint32_t slot, int change)
{
    uint16_t *free = &log->chunk_free[slot / LOG_CHUNK_SLOTS];
    log->good_chunks -= *free >= CHUNK_GOOD;
    log->crumb_slots -= *free < LOG_CHUNK_MOSTLY ? *free : 0;
    *free = (uint16_t)(*free + change);
    log->good_chunks += *free >= CHUNK_GOOD;
    log->crumb_slots += *free < LOG_CHUNK_MOSTLY ? *free : 0;
    log->free_count = (uint32_t)((int)log->free_count + change);
}

void log_slots_count_free(rp_log *log, rp_slot_run run, int sign)
{
    for (uint32_t slot = run.first, end = run.first + run.count; slot < end;) {
        uint32_t chunk_end = (slot / LOG_CHUNK_SLOTS + 1) * LOG_CHUNK_SLOTS;
        uint32_t stop = chunk_end < end ? chunk_end : end;
        count_free(log, slot, sign * (int)(stop - slot));
        slot = stop;
    }
}

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
        status = rp_grow_init(&log->offers, SLOT_LIMIT * sizeof(log_offer));
    }
    if (status == RP_OK) {
        status = rp_grow_need(&log->states, 1);
    }
    if (status == RP_OK) {
        log_slot_states(log)[RP_SLOT_ZERO] = LOG_SLOT_USED;
        log->slot_end = log->cursor = log->crumb_cursor = log->warm_end = 1;
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
        count_free(log, slot, 1);
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
            count_free(log, slot, 1);
        }
    }
}

/* ---- offers ------------------------------------------------------------------------------------
 */

/* Free slots in [first, end); count 0: none. */
static rp_slot_run free_run(const rp_log *log, uint32_t first, uint32_t end, uint32_t want)
{
    const uint8_t *states = log_slot_states(log);
    const uint8_t *found = first < end ? memchr(states + first, LOG_SLOT_FREE, end - first) : NULL;
    if (!found) {
        return (rp_slot_run){0, 0};
    }
    rp_slot_run run = {(uint32_t)(found - states), 0};
    while (run.count < want && run.first + run.count < log->slot_end &&
           found[run.count] == LOG_SLOT_FREE) {
        run.count++;
    }
    return run;
}

typedef struct search {
    uint32_t want, least, most; /* of a chunk's free slots */
} search;

static rp_slot_run find_between(const rp_log *log, uint32_t from, uint32_t end, const search *s)
{
    rp_slot_run run = {0, 0};
    while (from < end && !run.count) {
        uint32_t chunk = from / LOG_CHUNK_SLOTS, next = (chunk + 1) * LOG_CHUNK_SLOTS;
        uint32_t free = log->chunk_free[chunk];
        if (free >= s->least && free <= s->most) {
            run = free_run(log, from, next < end ? next : end, s->want);
        }
        from = next;
    }
    return run;
}

/* At or after the cursor, going round once. */
static rp_slot_run find_in_chunks(const rp_log *log, uint32_t cursor, const search *s)
{
    rp_slot_run run = find_between(log, cursor, log->slot_end, s);
    return run.count ? run : find_between(log, 1, log->slot_end, s);
}

/* At most `want` free slots in a row, for a request of `all`; count 0: the file should grow. */
static log_offer find_free(const rp_log *log, uint32_t want, uint32_t all)
{
    log_offer offer = {{0, 0}, false};
    if (log->free_count == 0) {
        return offer;
    }
    if (all <= FEW_SLOTS) {
        offer.run = find_in_chunks(log, log->crumb_cursor, &(search){want, 1, CHUNK_GOOD - 1});
        offer.crumb = offer.run.count != 0;
    }
    if (!offer.run.count && log->good_chunks) {
        offer.run = find_in_chunks(log, log->cursor, &(search){want, CHUNK_GOOD, LOG_CHUNK_SLOTS});
    }
    if (!offer.run.count) {
        uint32_t least = log->slot_end < SLOT_LIMIT ? LOG_CHUNK_POOR : 1;
        offer.run = find_in_chunks(log, log->cursor, &(search){want, least, LOG_CHUNK_SLOTS});
    }
    return offer;
}

rp_slot_run log_bare_run(const rp_log *log, uint32_t want)
{
    const uint8_t *states = log_slot_states(log);
    const uint8_t *found =
        log->bare_count ? memchr(states + 1, LOG_SLOT_BARE, log->slot_end - 1) : NULL;
    if (!found) {
        return (rp_slot_run){0, 0};
    }
    rp_slot_run run = {(uint32_t)(found - states), 0};
    while (run.count < want && run.first + run.count < log->slot_end &&
           found[run.count] == LOG_SLOT_BARE) {
        run.count++;
    }
    return run;
}

void log_bare_to_free(rp_log *log, rp_slot_run run)
{
    memset(log_slot_states(log) + run.first, LOG_SLOT_FREE, run.count);
    log->bare_count -= run.count;
    log_slots_count_free(log, run, 1);
}

/* A run of fresh slots: where memory was given back, else at the end of those in use. */
static rp_status grow_slots(rp_log *log, uint32_t want, rp_slot_run *run)
{
    *run = log_bare_run(log, want);
    if (run->count) {
        log_bare_to_free(log, *run);
        return RP_OK;
    }
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
        log_slots_count_free(log, *run, 1);
    }
    return status;
}

/* Free slots, no longer counted as free. */
static rp_status get_slots(rp_log *log, uint32_t want, uint32_t all, log_offer *offer)
{
    *offer = find_free(log, want, all);
    rp_status status = offer->run.count ? RP_OK : grow_slots(log, want, &offer->run);
    if (status == RP_OK) {
        uint32_t *cursor = offer->crumb ? &log->crumb_cursor : &log->cursor;
        *cursor = offer->run.first + offer->run.count;
        log_slots_count_free(log, offer->run, -1);
    }
    return status;
}

rp_status log_slots_take(rp_log *log, uint32_t want, rp_slot_run *run)
{
    log_offer offer;
    rp_status status = get_slots(log, want, want, &offer);
    *run = offer.run;
    if (status == RP_OK) {
        memset(log_slot_states(log) + run->first, LOG_SLOT_USED, run->count);
        memset(log_slot_hashes(log) + run->first, 0, run->count * sizeof(uint64_t));
        log->used_count += run->count;
    }
    return status;
}

static log_offer *offers_of(const rp_log *log)
{
    return (log_offer *)(void *)log->offers.data;
}

static rp_status offer_run(rp_log *log, uint32_t want, uint32_t all, rp_slot_run *run)
{
    log_offer offer;
    rp_status status = rp_grow_need(&log->offers, (log->offer_count + 1) * sizeof offer);
    if (status == RP_OK) {
        status = get_slots(log, want, all, &offer);
    }
    if (status != RP_OK) {
        return status;
    }
    *run = offer.run;
    memset(log_slot_states(log) + run->first, LOG_SLOT_OFFERED, run->count);
    log->offered_count += run->count;
    offers_of(log)[log->offer_count++] = offer;
    return RP_OK;
}

rp_status rp_log_slots_offer(rp_log *log, uint32_t want, rp_slot_run *runs, size_t capacity,
                             size_t *count)
{
    uint32_t all = want;
    *count = 0;
    log->coming_bytes = ((uint64_t)log->offered_count + want) * RP_PAGE_BYTES;
    log_fit_budget(log, log->coming_bytes);
    while (want && *count < capacity) {
        rp_status status = offer_run(log, want, all, &runs[*count]);
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
            count_free(log, slot, 1);
        } else {
            *last_used = slot;
        }
    }
}

/* The next search goes on behind the last slot that was taken, so that what was offered in vain
 * does not stay behind as a gap. */
static void end_offers_of(rp_log *log, bool crumb, uint32_t *cursor)
{
    uint32_t last_used = 0, first_offered = *cursor;
    for (size_t i = log->offer_count; i-- > 0;) {
        uint32_t used = 0;
        log_offer offer = offers_of(log)[i];
        if (offer.crumb == crumb) {
            release_offered(log, offer.run, &used);
            last_used = last_used ? last_used : used;
            first_offered = offer.run.first;
        }
    }
    *cursor = last_used ? last_used + 1 : first_offered;
}

void log_offers_end(rp_log *log)
{
    end_offers_of(log, false, &log->cursor);
    end_offers_of(log, true, &log->crumb_cursor);
    log->offer_count = 0;
    RP_ASSERT(log->offered_count == 0);
}

void rp_log_slots_reset(rp_log *log)
{
    log_offers_end(log);
}
