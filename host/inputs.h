/* The inputs of all frames since the world began, for running them again under another build.
 *
 * The log forgets a frame's input with the frame, when its budget is used up or a loop makes the
 * frame anew. Inputs are a few bytes a frame, so all of them are kept here, up to
 * INPUTS_MOST_BYTES.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_inputs.c
 */
#ifndef HOST_INPUTS_H
#define HOST_INPUTS_H

#include <reprise/stage.h>
#include <reprise/status.h>

enum { INPUTS_MOST_BYTES = 256 << 20 };

/* All zero is empty. */
typedef struct inputs {
    uint64_t count; /* frames 1 … count are kept */
    uint64_t *ends; /* of each in `bytes` */
    uint8_t *bytes;
    size_t frame_capacity, byte_capacity;
    bool full; /* later frames were not taken */
} inputs;

void inputs_clear(inputs *i);
/* A frame was made from that packed input. Where it is another one than before, the frames that
 * followed are of another course of things, and are forgotten. */
void inputs_note(inputs *i, uint64_t frame, const void *packed, size_t size_bytes);
/* RP_E_RANGE: not kept. */
rp_status inputs_get(const inputs *i, uint64_t frame, rp_input *input);

#endif
