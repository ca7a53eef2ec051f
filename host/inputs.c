/* The inputs of a world, from its first frame on. See inputs.h. */
#include "inputs.h"

#include <base/error.h>
#include <deck/input.h>
#include <stdlib.h>
#include <string.h>

void inputs_clear(inputs *i)
{
    free(i->ends);
    free(i->bytes);
    *i = (inputs){0};
}

static size_t start_of(const inputs *i, uint64_t frame)
{
    return frame > 1 ? i->ends[frame - 2] : 0;
}

static bool is_same(const inputs *i, uint64_t frame, const void *packed, size_t size_bytes)
{
    size_t start = start_of(i, frame);
    return i->ends[frame - 1] - start == size_bytes &&
           memcmp(i->bytes + start, packed, size_bytes) == 0;
}

/* Room for one more. */
static bool grow(inputs *i, size_t end)
{
    if (i->count == i->frame_capacity) {
        size_t capacity = i->frame_capacity ? i->frame_capacity * 2 : 1024;
        uint64_t *grown = realloc(i->ends, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        i->ends = grown;
        i->frame_capacity = capacity;
    }
    if (end > i->byte_capacity || !i->bytes) {
        size_t capacity = end * 2 + 4096;
        uint8_t *grown = realloc(i->bytes, capacity);
        if (!grown) {
            return false;
        }
        i->bytes = grown;
        i->byte_capacity = capacity;
    }
    return true;
}

void inputs_note(inputs *i, uint64_t frame, const void *packed, size_t size_bytes)
{
    if (frame >= 1 && frame <= i->count) {
        if (is_same(i, frame, packed, size_bytes)) {
            return;
        }
        i->count = frame - 1;
        i->full = false;
    }
    size_t start = start_of(i, i->count + 1), end = start + size_bytes;
    if (frame != i->count + 1 || end > INPUTS_MOST_BYTES || !grow(i, end)) {
        i->full = true;
        return;
    }
    memcpy(i->bytes + start, packed, size_bytes);
    i->ends[i->count++] = end;
}

rp_status inputs_get(const inputs *i, uint64_t frame, rp_input *input)
{
    if (frame < 1 || frame > i->count) {
        return rp_fail(RP_E_RANGE, "input: that of frame %llu is not kept: frames 1 to %llu are",
                       (unsigned long long)frame, (unsigned long long)i->count);
    }
    size_t start = start_of(i, frame);
    size_t size_bytes = i->ends[frame - 1] - start;
    if (!size_bytes) {
        memset(input, 0, sizeof *input);
        return RP_OK;
    }
    return rp_input_unpack(i->bytes + start, size_bytes, input);
}
