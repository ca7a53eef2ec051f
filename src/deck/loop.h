/* The frames of a loop: their inputs, and the hash that each had the first time.
 *
 * A commit behind the log's position drops the records that follow it, so the first frame of a
 * loop's second pass would lose the inputs of all the others. They are copied here when the loop is
 * set.
 *
 *   frames (from, to]:   | input, build, hash | input, build, hash | …      (to - from of them)
 *
 * Hashes are compared within one build: under another build a difference is what one wants to see,
 * so the first pass under each build sets the measure.
 *
 * Layer: deck.  Threads: none.  Design: docs/internals/deck.md  Tests: tests/deck/test_loop.c
 */
#ifndef RP_DECK_LOOP_H
#define RP_DECK_LOOP_H

#include "history/log.h"

#include <reprise/stage.h>

typedef struct rp_loop_frame {
    uint64_t input_offset; /* from the end of the frames */
    uint32_t input_bytes;
    uint32_t build; /* under which `hash` was taken; 0: none yet */
    uint64_t hash;
} rp_loop_frame;

/* All zero is "no loop". */
typedef struct rp_loop_store {
    uint64_t from, to;
    rp_loop_frame *frames; /* of pages of the system's; null: no loop */
    size_t mapped_bytes;
} rp_loop_store;

typedef struct rp_loop_check {
    bool diverged;
    uint64_t first_hash, hash; /* of the first pass under this build, and of this one */
} rp_loop_check;

/* Takes the inputs of the frames (from, to] out of the log, in place of what the loop held. On
 * failure the loop stays as it was: RP_E_ARGUMENT (from >= to), RP_E_RANGE (`from`, or a frame of
 * it, is not kept), RP_E_MEMORY. */
rp_status rp_loop_set(rp_loop_store *loop, const rp_log *log, uint64_t from, uint64_t to);
/* No loop any more; gives the memory back. */
void rp_loop_clear(rp_loop_store *loop);
static inline bool rp_loop_is_set(const rp_loop_store *loop)
{
    return loop->frames != NULL;
}

/* The bytes of a frame's input as they were logged; null with *bytes 0 where it had none. `frame`
 * is in (from, to]. */
const void *rp_loop_input_bytes(const rp_loop_store *loop, uint64_t frame, uint32_t *bytes);
/* The same, unpacked by rp_input_unpack. RP_E_RANGE: not a frame of the loop; RP_E_FORMAT. */
rp_status rp_loop_input(const rp_loop_store *loop, uint64_t frame, rp_input *input);

/* Says the hash of the state after `frame` under `build` (at least 1). The first time it is kept,
 * later ones are compared with it. A frame outside the loop never diverges. */
rp_loop_check rp_loop_hash_note(rp_loop_store *loop, uint64_t frame, uint32_t build, uint64_t hash);

#endif
