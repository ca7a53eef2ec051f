/* Frames again with other inputs, and the inputs that were logged. */
#include "deck/deck_private.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

/* A synctest makes each of them twice. */
static rp_status make_frame(rp_deck *deck, const rp_rollback_desc *desc, uint32_t number)
{
    const uint8_t *input = desc->inputs;
    rp_status status;
    do {
        rp_frame_info *info = desc->infos ? &desc->infos[number] : NULL;
        rp_moment moment = deck_frame_begin(deck, input ? input + number * desc->input_bytes : NULL,
                                            desc->input_bytes);
        desc->step(desc->context, moment, deck->input, deck->input_bytes);
        status = rp_frame_end(deck, info);
    } while (status == RP_OK && deck->twice.pending);
    return status;
}

/* `step` calls functions of the build that runs now. */
static rp_status check_build(const rp_deck *deck, uint64_t frame)
{
    rp_record record;
    uint64_t index;
    bool other = deck->module.current && rp_log_find_frame(deck->log, frame, &index) &&
                 rp_log_record(deck->log, index, &record) && record.build != deck->module.current;
    return other ? rp_fail(RP_E_RANGE,
                           "rollback: frame %llu is of build %u, and build %u runs: rp_seek to it, "
                           "then rp_deck_reload",
                           (unsigned long long)frame, record.build, deck->module.current)
                 : RP_OK;
}

rp_status rp_rollback(rp_deck *deck, const rp_rollback_desc *desc)
{
    RP_ASSERT(!deck->in_frame && (desc->step || !desc->frame_count));
    RP_ASSERT(desc->input_bytes <= deck->input_capacity && (desc->inputs || !desc->input_bytes));
    rp_status status = check_build(deck, desc->frame);
    if (status == RP_OK) {
        status = deck_restore(deck, "rollback", desc->frame);
    }
    if (status != RP_OK) {
        return status;
    }
    rp_loop_clear(&deck->loop);
    deck->rolling = true;
    for (uint32_t i = 0; i < desc->frame_count && status == RP_OK; i++) {
        status = make_frame(deck, desc, i);
    }
    deck->rolling = false;
    return status;
}

rp_status rp_frame_input(rp_deck *deck, uint64_t frame, void *input, size_t capacity_bytes,
                         size_t *input_bytes)
{
    uint64_t index;
    uint32_t bytes;
    rp_status status = deck_find_frame(deck, "input", frame, &index);
    if (status != RP_OK) {
        return status;
    }
    const void *logged = rp_log_input(deck->log, index, &bytes);
    size_t kept = rp_min_size(bytes, capacity_bytes);
    if (kept) {
        memcpy(input, logged, kept);
    }
    if (input_bytes) {
        *input_bytes = bytes;
    }
    return RP_OK;
}
