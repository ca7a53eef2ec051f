/* One mapping holds it all: a loop is set anew, never grown. */
#include "deck/loop.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"
#include "deck/input.h"
#include "os/os.h"

#include <string.h>

enum { FRAME_LIMIT = 1 << 24 }; /* as many records as a log can hold */

/* The record in which a frame was made; what carried it to another build has no input. */
static bool find_step(const rp_log *log, uint64_t frame, uint64_t *index)
{
    rp_record record;
    bool found = rp_log_find_frame(log, frame, index) && rp_log_record(log, *index, &record);
    while (found && record.kind != RP_RECORD_FRAME) {
        found = *index > rp_log_first(log) && rp_log_record(log, --*index, &record) &&
                record.frame == frame;
    }
    return found;
}

static rp_status measure(const rp_log *log, uint64_t from, uint64_t to, size_t *inputs_bytes)
{
    uint64_t index;
    *inputs_bytes = 0;
    if (from >= to || to - from > FRAME_LIMIT) {
        return rp_fail(RP_E_ARGUMENT,
                       "loop: frames %llu to %llu: it needs 1 to %d frames: mark it anew",
                       (unsigned long long)from, (unsigned long long)to, FRAME_LIMIT);
    }
    rp_record record;
    if (!rp_log_find_kept(log, from, &index)) {
        return rp_fail(RP_E_RANGE, "loop: frame %llu, where it begins, is not kept: begin it later",
                       (unsigned long long)from);
    }
    if (!rp_log_find_frame(log, from, &index) || !rp_log_record(log, index, &record) ||
        !record.kept) {
        rp_log_find_kept(log, from, &index);
        rp_log_record(log, index, &record);
        return rp_fail(RP_E_RANGE,
                       "loop: frame %llu, where it begins, was thinned out: begin it at %llu, the "
                       "nearest one before it that is kept",
                       (unsigned long long)from, (unsigned long long)record.frame);
    }
    for (uint64_t frame = from + 1; frame <= to; frame++) {
        uint32_t bytes;
        if (!find_step(log, frame, &index)) {
            return rp_fail(RP_E_RANGE, "loop: frame %llu is not kept: choose others",
                           (unsigned long long)frame);
        }
        rp_log_input(log, index, &bytes);
        *inputs_bytes += bytes;
    }
    return RP_OK;
}

static size_t frames_bytes(const rp_loop_store *loop)
{
    return (size_t)(loop->to - loop->from) * sizeof(rp_loop_frame);
}

static uint8_t *inputs_of(const rp_loop_store *loop)
{
    return (uint8_t *)loop->frames + frames_bytes(loop);
}

static void copy_inputs(rp_loop_store *loop, const rp_log *log)
{
    uint64_t used = 0, index;
    for (uint64_t frame = loop->from + 1; frame <= loop->to; frame++) {
        rp_loop_frame *entry = &loop->frames[frame - loop->from - 1];
        bool found = find_step(log, frame, &index);
        RP_ASSERT(found); /* measured a moment ago */
        const void *input = rp_log_input(log, index, &entry->input_bytes);
        entry->input_offset = used;
        if (input) {
            memcpy(inputs_of(loop) + used, input, entry->input_bytes);
        }
        used += entry->input_bytes;
    }
}

rp_status rp_loop_set(rp_loop_store *loop, const rp_log *log, uint64_t from, uint64_t to)
{
    rp_loop_store made = {.from = from, .to = to};
    size_t inputs_bytes;
    rp_status status = measure(log, from, to, &inputs_bytes);
    if (status != RP_OK) {
        return status;
    }
    made.mapped_bytes = rp_align_up(frames_bytes(&made) + inputs_bytes, RP_PAGE_BYTES);
    made.frames = rp_os_vm_reserve(made.mapped_bytes);
    if (!made.frames) {
        return rp_error_last()->status;
    }
    status = rp_os_vm_commit(made.frames, made.mapped_bytes);
    if (status != RP_OK) {
        rp_loop_clear(&made);
        return status;
    }
    copy_inputs(&made, log);
    rp_loop_clear(loop);
    *loop = made;
    return RP_OK;
}

void rp_loop_clear(rp_loop_store *loop)
{
    if (loop->frames) {
        rp_os_vm_release(loop->frames, loop->mapped_bytes);
    }
    *loop = (rp_loop_store){0};
}

static rp_loop_frame *frame_of(const rp_loop_store *loop, uint64_t frame)
{
    bool inside = rp_loop_is_set(loop) && frame > loop->from && frame <= loop->to;
    return inside ? &loop->frames[frame - loop->from - 1] : NULL;
}

const void *rp_loop_input_bytes(const rp_loop_store *loop, uint64_t frame, uint32_t *bytes)
{
    const rp_loop_frame *entry = frame_of(loop, frame);
    RP_ASSERT(entry);
    *bytes = entry->input_bytes;
    return entry->input_bytes ? inputs_of(loop) + entry->input_offset : NULL;
}

rp_status rp_loop_input(const rp_loop_store *loop, uint64_t frame, rp_input *input)
{
    if (!frame_of(loop, frame)) {
        return rp_fail(RP_E_RANGE, "loop: frame %llu is none of its frames: they are %llu to %llu",
                       (unsigned long long)frame, (unsigned long long)loop->from + 1,
                       (unsigned long long)loop->to);
    }
    uint32_t bytes;
    const void *packed = rp_loop_input_bytes(loop, frame, &bytes);
    return rp_input_unpack(packed, bytes, input);
}

rp_loop_check rp_loop_hash_note(rp_loop_store *loop, uint64_t frame, uint32_t build, uint64_t hash)
{
    RP_ASSERT(build != 0);
    rp_loop_frame *entry = frame_of(loop, frame);
    if (!entry) {
        return (rp_loop_check){.first_hash = hash, .hash = hash};
    }
    if (entry->build != build) {
        entry->build = build;
        entry->hash = hash;
    }
    return (rp_loop_check){entry->hash != hash, entry->hash, hash};
}
