/* Commit and restore: what the world wrote goes into the log, what the log holds into the world. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "region/region.h"

#include <string.h>

/* ---- committing ---- */

rp_status deck_break(rp_deck *deck, rp_status status)
{
    deck->broken = status;
    rp_text_copy(deck->broken_text, sizeof deck->broken_text, rp_error_last()->text);
    return status;
}

rp_status deck_check_whole(const rp_deck *deck, const char *what)
{
    if (deck->broken == RP_OK) {
        return RP_OK;
    }
    return rp_fail(deck->broken,
                   "%s: the state was lost by an earlier failure (%s) and is not back yet: "
                   "free memory and try again, or close the deck",
                   what, deck->broken_text);
}

/* Many at once, so that the log knows how many there will be. */
static bool offer_slots(void *context, uint32_t want, rp_slot_run *run)
{
    rp_deck *deck = context;
    if (deck->slot_run_next == deck->slot_run_count) {
        deck->slot_run_next = deck->slot_run_count = 0;
        if (rp_log_slots_offer(deck->log, want, deck->slot_runs, DECK_SLOT_RUNS,
                               &deck->slot_run_count) != RP_OK) {
            return false;
        }
    }
    *run = deck->slot_runs[deck->slot_run_next++];
    return true;
}

static rp_page_slot *entries_of(const rp_deck *deck)
{
    return (rp_page_slot *)(void *)deck->entries.data;
}

static bool take_entries(void *context, const rp_page_slot *entries, size_t count)
{
    rp_deck *deck = context;
    if (rp_grow_need(&deck->entries, (deck->entry_count + count) * sizeof *entries) != RP_OK) {
        return false;
    }
    memcpy(entries_of(deck) + deck->entry_count, entries, count * sizeof *entries);
    deck->entry_count += count;
    return true;
}

static rp_status apply(rp_deck *deck, const rp_page_slot *entries, size_t count)
{
    size_t skipped;
    rp_status status = rp_world_apply_begin(deck->world);
    if (status != RP_OK) {
        return status;
    }
    status = rp_world_apply(deck->world, entries, count);
    rp_error failure = *rp_error_last();
    rp_status ended = rp_world_apply_end(deck->world, &skipped);
    return status == RP_OK ? ended : rp_fail(status, "%s", failure.text);
}

/* The world believes to be where the log refused to go: the same pages get back what the log has.
 */
static rp_status take_back_collected(rp_deck *deck)
{
    rp_page_slot *entries = entries_of(deck);
    for (size_t i = 0; i < deck->entry_count; i++) {
        entries[i].slot = rp_log_slot_of(deck->log, entries[i].page);
    }
    return apply(deck, entries, deck->entry_count);
}

/* Undoes a frame that cannot be kept; the error record goes on to say why it cannot. */
static rp_status take_back(rp_deck *deck, rp_status why, bool collected)
{
    char text[sizeof rp_error_last()->text];
    size_t page_count;
    uint32_t first_page;
    memcpy(text, rp_error_last()->text, sizeof text);
    rp_status status = RP_E_MEMORY; /* frame 0 has nothing to go back to */
    if (deck->started) {
        status = collected ? take_back_collected(deck)
                           : rp_world_revert(deck->world, &page_count, &first_page);
    }
    rp_log_slots_reset(deck->log);
    rp_fail(why, "frame %llu was taken back: %s", (unsigned long long)deck->frame + deck->started,
            text);
    if (status != RP_OK) {
        return deck_break(deck, why);
    }
    rp_error kept = *rp_error_last(); /* an owner may fail at something of its own */
    deck_ranges_rebuild(deck);
    return rp_fail(why, "%s", kept.text);
}

/* ---- when that failed, too ---- */

enum { MEND_BATCH = 512 };

/* What the world believes to have and the log does not. */
static rp_status zero_others(rp_deck *deck, uint32_t first_page, size_t page_count)
{
    rp_page_slot batch[MEND_BATCH];
    rp_status status = RP_OK;
    size_t count = 0;
    for (size_t i = 0; i < page_count && status == RP_OK; i++) {
        uint32_t page = first_page + (uint32_t)i;
        if (rp_world_page_image(deck->world, page) &&
            rp_log_slot_of(deck->log, page) == RP_SLOT_ZERO) {
            batch[count++] = (rp_page_slot){page, RP_SLOT_ZERO};
        }
        if (count == MEND_BATCH || (count && i + 1 == page_count)) {
            status = rp_world_apply(deck->world, batch, count);
            count = 0;
        }
    }
    return status;
}

static rp_status zero_all_others(rp_deck *deck)
{
    rp_region_span spans[RP_REGION_SPANS];
    const rp_world_range *ranges;
    size_t range_count = rp_world_ranges(deck->world, &ranges);
    rp_status status = RP_OK;
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS && status == RP_OK; i++) {
        uint32_t first = (uint32_t)(((uintptr_t)spans[i].start - RP_REGION_BASE) / RP_PAGE_BYTES);
        status = zero_others(deck, first, spans[i].size_bytes / RP_PAGE_BYTES);
    }
    for (size_t i = 0; i < range_count && status == RP_OK; i++) {
        status = zero_others(deck, ranges[i].first_page,
                             rp_world_range_pages(ranges[i].start, ranges[i].size_bytes));
    }
    return status;
}

/* All of the state at the log's position, whatever the world holds. */
static rp_status apply_everything(rp_deck *deck)
{
    const rp_page_slot *entries;
    size_t count, skipped;
    rp_status status = rp_log_full(deck->log, &entries, &count);
    if (status == RP_OK) {
        status = rp_world_apply_begin(deck->world);
    }
    if (status != RP_OK) {
        return status;
    }
    status = rp_world_apply(deck->world, entries, count);
    if (status == RP_OK) {
        status = zero_all_others(deck);
    }
    rp_status ended = rp_world_apply_end(deck->world, &skipped);
    return status == RP_OK ? ended : status;
}

/* A frame's state is that of the build that made it. */
static rp_status to_build_of(rp_deck *deck, uint64_t index)
{
    rp_record record;
    bool known = deck->module.current && rp_log_record(deck->log, index, &record);
    return known ? deck_module_switch(deck, record.build) : RP_OK;
}

rp_status deck_make_whole(rp_deck *deck, const char *what)
{
    rp_record record;
    if (deck->broken == RP_OK || !deck->started ||
        !rp_log_record(deck->log, rp_log_position(deck->log), &record)) {
        return deck_check_whole(deck, what);
    }
    rp_os_lock_take(&deck->workers.world_lock);
    rp_status status = to_build_of(deck, rp_log_position(deck->log));
    if (status == RP_OK) {
        status = apply_everything(deck);
    }
    rp_os_lock_drop(&deck->workers.world_lock);
    if (status != RP_OK) {
        return deck_check_whole(deck, what);
    }
    deck->broken = RP_OK;
    deck->frame = record.frame;
    deck->sought = true;
    deck->twice.pending = false;
    deck_ranges_rebuild(deck);
    return RP_OK;
}

/* ---- committing a frame ---- */

static rp_status commit(rp_deck *deck, const rp_record_desc *desc)
{
    deck->entry_count = 0;
    deck->slot_run_next = deck->slot_run_count = 0;
    rp_status status = deck_ranges_check(deck);
    if (status == RP_OK) {
        status = rp_world_collect(deck->world, offer_slots, take_entries, deck);
    }
    if (status != RP_OK) {
        return take_back(deck, status, false);
    }
    status = rp_log_commit(deck->log, desc, entries_of(deck), deck->entry_count);
    return status == RP_OK ? RP_OK : take_back(deck, status, true);
}

rp_status deck_commit(rp_deck *deck, const rp_record_desc *desc)
{
    rp_os_lock_take(&deck->workers.world_lock);
    rp_status status = commit(deck, desc);
    rp_os_lock_drop(&deck->workers.world_lock);
    return status;
}

/* ---- restoring ---- */

rp_status deck_find_frame(const rp_deck *deck, const char *what, uint64_t frame, uint64_t *index)
{
    rp_log_stats stats;
    if (rp_log_find_frame(deck->log, frame,
                          index)) { /* where it was thinned out, the log says so */
        return RP_OK;
    }
    if (!deck->started) {
        return rp_fail(RP_E_RANGE, "%s: no frame was made yet: begin and end one first", what);
    }
    rp_log_stats_get(deck->log, &stats);
    return rp_fail(RP_E_RANGE, "%s: frame %llu is not kept: choose one of %llu to %llu", what,
                   (unsigned long long)frame, (unsigned long long)stats.oldest_frame,
                   (unsigned long long)stats.newest_frame);
}

rp_status deck_restore(rp_deck *deck, const char *what, uint64_t frame)
{
    const rp_page_slot *entries;
    size_t count;
    uint64_t index;
    rp_status status = deck_make_whole(deck, what);
    if (status == RP_OK) {
        status = deck_find_frame(deck, what, frame, &index);
    }
    if (status == RP_OK) {
        status = rp_log_seek(deck->log, index, &entries, &count);
    }
    if (status != RP_OK) {
        return status;
    }
    rp_os_lock_take(&deck->workers.world_lock);
    status = to_build_of(deck, index);
    if (status == RP_OK) {
        status = apply(deck, entries, count);
    }
    rp_os_lock_drop(&deck->workers.world_lock);
    if (status != RP_OK) {
        return deck_break(deck, status);
    }
    deck->frame = frame;
    deck->sought = true;
    deck->module.reloaded = false;
    deck->twice.pending = false;
    deck_ranges_rebuild(deck);
    return RP_OK;
}

rp_status rp_seek(rp_deck *deck, uint64_t frame)
{
    RP_ASSERT(!deck->in_frame);
    rp_status status = deck_restore(deck, "seek", frame);
    if (status == RP_OK && (frame < deck->loop.from || frame > deck->loop.to)) {
        rp_loop_clear(&deck->loop);
    }
    return status;
}
