/* A part of a take as a take of its own, and what differs between two states.
 *
 * Layer: take.  Threads: that of the take.  Tests: tests/take/test_copy.c
 */
#ifndef RP_TAKE_COPY_H
#define RP_TAKE_COPY_H

#include "take/state.h"
#include "take/writer.h"

typedef struct rp_take_copy_desc {
    uint64_t first, last; /* frame records, both included */
    bool inputs_alone;    /* all frames but the first whole one become thin; none is kept where the
                             first is frame 0, the state of a new world */
    /* Not null: what is written in place of a page's content; `content` itself, or `room`, a page,
     * that it has filled. The frames' hashes are those of what is written. */
    const uint8_t *(*edit)(void *context, uint32_t page, const uint8_t *content, uint8_t *room);
    void *edit_context;
    void (*progress)(void *context, uint64_t done, uint64_t all); /* null: none */
    void *context;
} rp_take_copy_desc;

/* Builds with their files, the lists that hold, the frames, and loops, bookmarks and crashes of
 * them. The environment is the writer's. RP_E_RANGE: no such records. RP_E_FORMAT: what is needed
 * is damaged. */
rp_status rp_take_copy(rp_take *take, const rp_take_copy_desc *desc, rp_take_writer *writer);

/* Bytes that differ, in one page. */
typedef struct rp_take_difference {
    uint32_t page, offset_bytes, size_bytes;
    const uint8_t *a, *b; /* the bytes in each state */
} rp_take_difference;

typedef struct rp_take_difference_sum {
    uint64_t page_count, span_count, byte_count;
} rp_take_difference_sum;

/* Calls `each` for every span of bytes that differ, by page and place; spans with fewer than eight
 * equal bytes between them are one. `each` may be null. RP_E_MEMORY. */
rp_status rp_take_compare(const rp_take_state *a, const rp_take_state *b,
                          void (*each)(void *context, const rp_take_difference *difference),
                          void *context, rp_take_difference_sum *sum);

#endif
