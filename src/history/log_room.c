/* Room in the log's file: free slots that hold memory, touched ahead so that frames find them warm,
 * and given back where there are more than frames take.
 *
 *   free   holds memory, may be offered
 *   bare   free, and its memory was given back: a fresh page, the last to be taken
 *
 * Room counts in the budget. Most of it is given back in whole chunks, as the huge pages of the
 * file are; what lies between slots in use ("crumbs") is given back from chunks that are mostly
 * free, and from others only where it comes to a quarter of the budget: it would take their huge
 * pages apart. All of it is off the frame's path.
 */
#include "history/log_private.h"

#include "base/bits.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>

#define SLOT_LIMIT ((uint32_t)(RP_LOG_FILE_BYTES >> RP_PAGE_SHIFT))
enum {
    WARM_BATCH = 256,
    ROOM_SHARE = 32,         /* of the budget is room for frames */
    SLACK_SHARE = 8,         /* of the budget may be free beside that before any of it goes; */
    SLACK_MOST_SLOTS = 2048, /* the parts that the other side makes huge ahead (window.c) */
    SLACK_LEAST_SLOTS = 8,
    GIVE_SLOTS_A_CALL = 2048, /* about 1 ms */
    GIVE_RUNS_A_CALL = 64,
};

/* Slots that may be free: what the last frame took, at least. */
static uint64_t room_kept(const rp_log *log)
{
    uint64_t share = log->budget_bytes / ROOM_SHARE;
    return (share > log->coming_bytes ? share : log->coming_bytes) / RP_PAGE_BYTES;
}

static uint64_t room_now(const rp_log *log)
{
    return (uint64_t)log->free_count + log->offered_count + (log->warm_end - log->slot_end);
}

static uint64_t slack(const rp_log *log)
{
    uint64_t share = log->budget_bytes / SLACK_SHARE / RP_PAGE_BYTES;
    return rp_min_size(rp_max_size(share, SLACK_LEAST_SLOTS), SLACK_MOST_SLOTS);
}

/* The side that fills slots makes parts of the file huge, which may touch more than was offered. */
static uint64_t untold_bytes(const rp_log *log)
{
    uint64_t held = rp_os_memfile_held_bytes(log->fd);
    uint64_t told = (room_now(log) + log->used_count + log->held_count) * RP_PAGE_BYTES;
    return held > told ? held - told : 0;
}

/* Slots that were offered and never written count as room, and hold nothing yet: so the system is
 * asked. */
uint64_t log_room_bytes(const rp_log *log)
{
    uint64_t held = rp_os_memfile_held_bytes(log->fd);
    uint64_t pages = ((uint64_t)log->used_count + log->held_count) * RP_PAGE_BYTES;
    return held > pages ? held - pages : 0;
}

/* Once a quarter of the budget is crumbs they go, too. */
static uint64_t crumbs_most(const rp_log *log)
{
    return room_kept(log) + log->budget_bytes / 4 / RP_PAGE_BYTES;
}

uint64_t log_room_share(const rp_log *log, uint64_t coming_bytes)
{
    uint64_t share = log->budget_bytes / ROOM_SHARE;
    uint64_t crumbs = rp_min_size(log->crumb_slots, crumbs_most(log)) * RP_PAGE_BYTES;
    uint64_t most = share + slack(log) * RP_PAGE_BYTES;
    most = most > crumbs ? most : crumbs;
    return log->untold_bytes + (most > coming_bytes ? most : coming_bytes);
}

/* ---- given back ---- */

static void give_run(rp_log *log, rp_slot_run run)
{
    if (rp_os_memfile_punch(log->fd, (size_t)run.first * RP_PAGE_BYTES,
                            (size_t)run.count * RP_PAGE_BYTES) != RP_OK) {
        return; /* it stays room, and counts as such */
    }
    memset(log_slot_states(log) + run.first, LOG_SLOT_BARE, run.count);
    log_slots_count_free(log, run, -1);
    log->bare_count += run.count;
}

/* The free runs of a chunk; returns how many slots were given back. */
static uint32_t give_chunk(rp_log *log, uint32_t chunk, uint64_t most, uint32_t *runs)
{
    const uint8_t *states = log_slot_states(log);
    uint32_t slot = chunk * LOG_CHUNK_SLOTS, end = slot + LOG_CHUNK_SLOTS, given = 0;
    end = end < log->slot_end ? end : log->slot_end;
    while (slot < end && given < most && *runs < GIVE_RUNS_A_CALL) {
        uint32_t first = slot;
        while (slot < end && slot - first < most - given && states[slot] == LOG_SLOT_FREE) {
            slot++;
        }
        if (slot > first) {
            uint32_t before = log->bare_count;
            give_run(log, (rp_slot_run){first, slot - first});
            given += log->bare_count - before;
            ++*runs;
        } else {
            slot++;
        }
    }
    return given;
}

/* From the end of the file on, so that it is its beginning that stays in use. */
static uint64_t give_from(rp_log *log, uint32_t least_free, uint64_t most, uint32_t *runs)
{
    uint32_t chunk = (log->slot_end + LOG_CHUNK_SLOTS - 1) / LOG_CHUNK_SLOTS;
    uint64_t given = 0;
    while (chunk-- > 0 && given < most && *runs < GIVE_RUNS_A_CALL) {
        if (log->chunk_free[chunk] >= least_free) {
            given += give_chunk(log, chunk, most - given, runs);
        }
    }
    return given;
}

/* What was touched ahead of all slots. */
static uint64_t give_ahead(rp_log *log, uint64_t most)
{
    uint32_t count = (uint32_t)rp_min_size(log->warm_end - log->slot_end, most);
    if (!count || rp_os_memfile_punch(log->fd, (size_t)(log->warm_end - count) * RP_PAGE_BYTES,
                                      (size_t)count * RP_PAGE_BYTES) != RP_OK) {
        return 0;
    }
    log->warm_end -= count;
    return count;
}

void log_room_tend(rp_log *log)
{
    uint64_t kept = room_kept(log), now = room_now(log);
    log->untold_bytes = untold_bytes(log);
    if (now <= kept + slack(log)) {
        return;
    }
    uint32_t runs = 0;
    uint64_t most = rp_min_size(now - kept, GIVE_SLOTS_A_CALL);
    uint64_t given = give_ahead(log, most);
    given += give_from(log, LOG_CHUNK_SLOTS, most - given, &runs);
    if (given < most) {
        given += give_from(log, LOG_CHUNK_MOSTLY, most - given, &runs);
    }
    if (given < most && log->crumb_slots > crumbs_most(log)) {
        give_from(log, 1, most - given, &runs);
    }
}

/* ---- touched ahead ---- */

static uint32_t free_for_many(const rp_log *log)
{
    uint32_t sum = 0;
    for (uint32_t chunk = 0; chunk * LOG_CHUNK_SLOTS < log->slot_end; chunk++) {
        sum += log->chunk_free[chunk] >= LOG_CHUNK_POOR ? log->chunk_free[chunk] : 0;
    }
    return sum;
}

/* Writing zeros makes the system find the file's memory now. Nobody else writes there: these slots
 * were never offered, or are bare. */
static bool touch(const rp_log *log, uint32_t first, uint32_t count)
{
    static const uint8_t zeros[RP_PAGE_BYTES];
    const void *pages[WARM_BATCH];
    for (size_t i = 0; i < count; i++) {
        pages[i] = zeros;
    }
    return rp_os_memfile_write_pages(log->fd, (size_t)first * RP_PAGE_BYTES, pages, count) == RP_OK;
}

/* Bare slots first; returns how many; 0: none, or no memory. */
static uint32_t warm_some(rp_log *log, uint32_t want)
{
    rp_slot_run run = log_bare_run(log, want < WARM_BATCH ? want : WARM_BATCH);
    if (run.count) {
        if (!touch(log, run.first, run.count)) {
            return 0;
        }
        log_bare_to_free(log, run);
        return run.count;
    }
    uint32_t count =
        (uint32_t)rp_min_size(rp_min_size(want, WARM_BATCH), SLOT_LIMIT - log->warm_end);
    if (!count || !touch(log, log->warm_end, count)) {
        return 0;
    }
    log->warm_end += count;
    return count;
}

/* Not more than would be given back again. */
void rp_log_prepare(rp_log *log, uint32_t slots_ahead)
{
    uint64_t kept = room_kept(log), ready = free_for_many(log) + (log->warm_end - log->slot_end);
    uint64_t ahead = slots_ahead < kept ? slots_ahead : kept;
    while (ready < ahead && room_now(log) < kept) {
        uint64_t want = rp_min_size(ahead - ready, kept - room_now(log));
        uint32_t count = warm_some(log, (uint32_t)want);
        if (!count) {
            return;
        }
        ready += count;
    }
}
