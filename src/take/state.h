/* The memory after a frame of a take, in memory of the reader's own: nothing is put where it lay.
 *
 * A seek begins at the last base that is not behind the frame, or where the state is when that is
 * nearer, applies the differences from there on, and compares the hash of the result with the
 * frame's. When anything is wrong the state is empty afterwards: there is no half of it.
 *
 * Cost of a seek: some 1 us for each page of the base and of the frames behind it.
 *
 * Layer: take.  Threads: that of its take.  Tests: tests/take/test_take.c
 */
#ifndef RP_TAKE_STATE_H
#define RP_TAKE_STATE_H

#include "take/reader.h"

typedef struct rp_take_state rp_take_state;

/* Empty. Ends before its take. */
rp_status rp_take_state_create(rp_take *take, rp_take_state **out);
void rp_take_state_destroy(rp_take_state *state); /* null is nothing */

/* To the state after a frame record. RP_E_RANGE: no such record. RP_E_NOT_FOUND: it is thin.
 * RP_E_FORMAT, RP_E_LIMIT: the state is empty then. */
rp_status rp_take_state_seek(rp_take_state *state, uint64_t index);

/* A page's content; null where it is zeros. Valid until the next seek. */
const uint8_t *rp_take_state_page(const rp_take_state *state, uint32_t page);
/* All pages that are not zeros, in no order: *cursor is 0 at first. */
bool rp_take_state_next(const rp_take_state *state, size_t *cursor, uint32_t *page,
                        const uint8_t **content);
uint64_t rp_take_state_hash(const rp_take_state *state);

/* Where a page lay. `ranges`: those that hold for the frame. False: in no range. */
bool rp_take_page_address(const rp_take *take, const rp_take_range *ranges, size_t count,
                          uint32_t page, uint64_t *address, const rp_take_range **range);
/* Copies what lay at an address. RP_E_RANGE: not all of it was state. */
rp_status rp_take_state_read(const rp_take_state *state, const rp_take_range *ranges, size_t count,
                             uint64_t address, void *bytes, size_t size_bytes);

#endif
