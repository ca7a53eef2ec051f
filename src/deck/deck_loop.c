/* Repeating frames with their logged input. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

/* The recording is the first pass: what a later one is compared with. The loop runs under the build
 * of its start, so a frame that another one made is no measure. */
static rp_status note_recorded(const rp_deck *deck, rp_loop_store *loop)
{
    rp_record record, start = {0};
    uint64_t first;
    if (rp_log_find_frame(deck->log, loop->from, &first)) {
        (void)rp_log_record(deck->log, first, &start);
    }
    rp_status status = RP_OK;
    for (uint64_t frame = loop->from + 1; frame <= loop->to && status == RP_OK; frame++) {
        uint64_t index, hash;
        status = deck_find_frame(deck, "loop", frame, &index);
        if (status == RP_OK) {
            status = rp_log_hash(deck->log, index, &hash);
        }
        if (status == RP_OK && rp_log_record(deck->log, index, &record) &&
            record.build == start.build) {
            rp_loop_hash_note(loop, frame, start.build, hash);
        }
    }
    return status;
}

rp_status rp_loop(rp_deck *deck, uint64_t from, uint64_t to)
{
    RP_ASSERT(!deck->in_frame);
    if (to == 0) {
        rp_loop_clear(&deck->loop);
        return RP_OK;
    }
    rp_loop_store made = {0};
    rp_status status = deck_make_whole(deck, "loop");
    if (status == RP_OK) {
        status = rp_loop_set(&made, deck->log, from, to);
    }
    if (status == RP_OK) {
        status = note_recorded(deck, &made);
    }
    if (status == RP_OK) {
        status = deck_restore(deck, "loop", from);
    }
    if (status != RP_OK) {
        rp_loop_clear(&made);
        return status;
    }
    rp_loop_clear(&deck->loop);
    rp_log_pin(deck->log, rp_log_position(deck->log));
    deck->loop = made;
    deck->loop_pass = 1;
    return RP_OK;
}

rp_status deck_loop_begin(rp_deck *deck)
{
    if (deck->frame < deck->loop.to) {
        return RP_OK;
    }
    rp_status status = deck_restore(deck, "loop", deck->loop.from);
    deck->loop_pass += status == RP_OK;
    return status == RP_OK || deck->broken != RP_OK ? status : deck_break(deck, status);
}

void deck_loop_input(rp_deck *deck)
{
    const void *logged = rp_loop_input_bytes(&deck->loop, deck->frame + 1, &deck->input_bytes);
    if (deck->input_bytes) {
        memcpy(deck->input, logged, deck->input_bytes);
    }
}

rp_status deck_loop_check(rp_deck *deck, uint64_t *diverged)
{
    uint64_t hash, index;
    rp_status status = rp_log_hash(deck->log, rp_log_position(deck->log), &hash);
    if (status == RP_OK) {
        *diverged =
            rp_loop_hash_note(&deck->loop, deck->frame, deck_build_number(deck), hash).diverged;
    }
    rp_record record;
    if (status == RP_OK && (!rp_log_find_frame(deck->log, deck->loop.from, &index) ||
                            !rp_log_record(deck->log, index, &record) || !record.kept)) {
        status = rp_fail(RP_E_BUDGET,
                         "loop: frame %llu, where it begins, is no longer kept: it ends here: "
                         "open the deck with a larger budget",
                         (unsigned long long)deck->loop.from);
        rp_loop_clear(&deck->loop);
    }
    return status;
}
