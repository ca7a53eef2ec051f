/* What of a deck stands in a take beside its frames: the module's builds, where state lies outside
 * the region, the loop. To be read between frames; everything stays the deck's.
 *
 * Layer: deck.  Threads: the deck's.  Users: src/take/save.c  Tests: tests/take/test_save.c
 */
#ifndef RP_DECK_DECK_PARTS_H
#define RP_DECK_DECK_PARTS_H

#include "history/world.h"
#include "module/object.h"

/* RP_OK, or what the deck failed with: its log is not what the program has. Aborts within a frame,
 * whose state nobody knows yet. */
rp_status rp_deck_parts_check(const rp_deck *deck);
rp_log *rp_deck_parts_log(const rp_deck *deck);
/* False: no loop is set. */
bool rp_deck_parts_loop(const rp_deck *deck, uint64_t *from, uint64_t *to);

/* ---- builds of the module, numbered from 1 ---- */

uint32_t rp_deck_parts_build_count(const rp_deck *deck); /* 0: no module */
const char *rp_deck_parts_module(const rp_deck *deck);   /* the path that it was loaded by */

typedef struct rp_deck_build_part {
    const rp_object *object;
    uint64_t tls_address;                /* 0: none */
    char path[RP_OS_MEMFILE_PATH_BYTES]; /* of the bytes that were loaded */
} rp_deck_build_part;
void rp_deck_parts_build(const rp_deck *deck, uint32_t number, rp_deck_build_part *part);

/* ---- state outside the region ---- */

/* Calls `each` for the program's own ranges (build 0), then for those of every build, until it
 * fails. */
typedef rp_status rp_deck_range_fn(void *context, uint32_t build, const rp_world_range *range);
rp_status rp_deck_parts_ranges(const rp_deck *deck, rp_deck_range_fn *each, void *context);

#endif
