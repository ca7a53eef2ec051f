/* The difference of two contents of a page, short where few words differ.
 *
 *   64 bytes, bit w of them: word w (8 bytes) differs · for each such word, old ^ new, 8 bytes
 *
 * The words are little-endian as all of a take, so the bytes are XORed as they lie.
 *
 * Layer: take.  Threads: none.  Tests: tests/take/test_take.c
 */
#ifndef RP_TAKE_DELTA_H
#define RP_TAKE_DELTA_H

#include "base/bits.h"

enum {
    RP_TAKE_DELTA_MAP_BYTES = 64,
    /* Above that a whole content is stored: it compresses by itself and others can name it. */
    RP_TAKE_DELTA_MOST_BYTES = RP_TAKE_DELTA_MAP_BYTES + 2048
};

/* Writes at most RP_TAKE_DELTA_MOST_BYTES; returns their number, or 0 where it would be more. */
size_t rp_take_delta_make(const void *old_content, const void *new_content, uint8_t *delta);
/* Turns the old content into the new one. Returns the bytes that it read, or 0 where the difference
 * is longer than `size_bytes`; the content is untouched then. */
size_t rp_take_delta_apply(void *content, const uint8_t *delta, size_t size_bytes);

#endif
