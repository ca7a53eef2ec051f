/* What a loop's first pass wrote, to say where a later pass differs: frame, page, byte.
 *
 * Kept per frame as (page, content). Where that exceeds a bound only the pages' hashes are kept,
 * and a difference is told to the page.
 *
 * Layer: host.  Tests: tests/host/test_divergence.c
 */
#ifndef HOST_DIVERGENCE_H
#define HOST_DIVERGENCE_H

#include <history/log.h>

typedef struct divergence divergence;

divergence *divergence_create(uint64_t from, uint64_t to);
void divergence_destroy(divergence *d);
/* Notes the pages that record `index` wrote, unless the frame was noted before. */
void divergence_note(divergence *d, rp_log *log, uint64_t index);
/* Forgets everything: another build sets the measure. */
void divergence_reset(divergence *d);

typedef struct divergence_place {
    uint32_t page;
    uint32_t offset;          /* of the first byte that differs */
    bool exact;               /* false: only the page is known */
    uint8_t first[8], now[8]; /* the bytes from `offset` on, as far as the page goes */
    uint32_t byte_count;
} divergence_place;

/* Compares record `index` with what was noted for its frame; false: no difference, or nothing
 * noted. */
bool divergence_find(const divergence *d, rp_log *log, uint64_t index, divergence_place *place);

#endif
