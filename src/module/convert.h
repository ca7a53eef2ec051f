/* Values of the old build's types made into those of the new one, by a plan's conversions.
 *
 * Layer: module, internal (the runner's side).  Threads: one.
 */
#ifndef RP_MODULE_CONVERT_H
#define RP_MODULE_CONVERT_H

#include "module/blocks.h"
#include "module/carry.h"

enum { CONVERT_AHEAD = 16 };

/* A pointer whose block is on its way from memory. */
typedef struct convert_pending {
    uint8_t *word;
    uint64_t value, start;
    uint32_t block, type;
} convert_pending;

typedef struct rp_convert {
    const rp_plan *plan;
    const block_index *blocks;
    uint64_t new_base, new_tls;
    rp_migration *report;
    rp_carry_report *carried;
    convert_pending pending[CONVERT_AHEAD]; /* a ring */
    uint32_t pending_first, pending_count;
} rp_convert;

/* Makes one object at `to` from that at `from`. Only what the old object had is written. */
void rp_convert_object(rp_convert *convert, uint32_t conversion, const uint8_t *from, uint8_t *to);
/* `count` of them, and of a block that is open at the end what follows: `from_bytes` in all. */
void rp_convert_block(rp_convert *convert, uint32_t conversion, const uint8_t *from, uint8_t *to,
                      uint64_t from_bytes);
/* How many bytes a block of `bytes` needs then. 0: more than can be counted. */
uint64_t rp_convert_bytes(const rp_plan *plan, uint32_t conversion, uint64_t bytes);
/* Where a place inside old objects lies in the new ones; false: it is no more. `type`: what the
 * pointer is to; 0: not known. `offset` may be the end. */
bool rp_convert_place(const rp_plan *plan, uint32_t conversion, uint64_t offset, uint32_t type,
                      uint64_t *place);

/* Points the pointers in `count` objects of `type` at where what they lead to is now. Each object
 * once. */
void rp_relocate_objects(rp_convert *convert, uint32_t type, uint8_t *at, uint64_t count);
/* Some of these wait until here for their turn. */
void rp_relocate_finish(rp_convert *convert);
/* The same for words that nothing is known of. */
void rp_relocate_words(rp_convert *convert, uint8_t *at, uint64_t bytes);

#endif
