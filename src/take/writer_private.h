/* Shared by the writer's files.
 *
 *   writer.c         open, finish, lists, builds     writer_frame.c   frames, bases
 *   writer_record.c  records, the index              writer_pages.c   what a page is stored as
 *
 * Layer: take (internal).
 */
#ifndef RP_TAKE_WRITER_PRIVATE_H
#define RP_TAKE_WRITER_PRIVATE_H

#include "base/bits.h"
#include "take/codec.h"
#include "take/delta.h"
#include "take/memory.h"
#include "take/writer.h"

/* A page of the state, as the take has it. */
typedef struct writer_page {
    uint64_t hash; /* rp_take_page_hash; 0: zeros */
    uint64_t
        content; /* where that content is stored whole; WRITER_NO_CONTENT: in differences only */
    uint32_t page;
    uint32_t copy;    /* 1 + index of the copy of its content; 0: none */
    uint64_t written; /* frame record that wrote it last */
} writer_page;

#define WRITER_NO_CONTENT UINT64_MAX

/* Contents met lately, by their XXH3-128. */
typedef struct writer_met {
    uint64_t low, high, content_plus_1;
} writer_met;

enum {
    WRITER_MET_COUNT = 1 << 19,
    WRITER_BASE_FRAMES = 300,
    WRITER_BASE_PAGES = 65536,
    WRITER_COPY_BYTES = 32 << 20,
    WRITER_OUT_BYTES = 8 << 20, /* gathered for one append */
    /* Of one frame; what is beyond is stored as contents. */
    WRITER_DELTA_BYTES = 128 << 20
};

struct rp_take_writer {
    rp_take_writer_desc desc;
    rp_status failed; /* of the append that ended it */
    bool published, finished;
    uint64_t take_id, size_bytes;
    rp_take_codec codec;
    rp_take_array out;  /* records that one append will write */
    rp_take_array tail; /* second part of the record at hand, not packed yet */
    rp_take_array frame_pages, ways, contents, deltas; /* columns of the frame at hand */
    rp_take_array sorted;                              /* its pages in order, where they were not */
    uint8_t block[RP_TAKE_BLOCK_PAGES * 4096];         /* contents of the next PAGES record */
    uint32_t block_count;
    rp_take_map index_of;      /* from page to index in `pages` */
    rp_take_array pages;       /* writer_page */
    rp_take_array order;       /* of a base: indices by page */
    rp_take_array copies;      /* 4096 bytes each */
    rp_take_array free_copies; /* uint32_t */
    uint32_t copy_limit;
    rp_take_array met; /* writer_met[WRITER_MET_COUNT] */
    uint64_t hash;     /* of the state as the take has it */
    uint64_t state_pages;
    uint64_t frames_since_base, pages_since_base, base_written; /* base_written: frame_count then */
    rp_take_array index_frames, index_blocks, index_bases, index_others; /* encoded */
    rp_take_writer_stats stats;
};

/* ---- writer_record.c ---- */

/* Adds a record to `out`: its struct, what follows plainly, `tail` packed. Where it will stand in
 * the file is *offset. */
rp_status writer_add_record(rp_take_writer *w, rp_take_type type, const void *fixed,
                            const void *plain, size_t plain_bytes, const void *tail,
                            size_t tail_bytes, uint64_t *offset, uint64_t *record_bytes);
/* The same for records that the index lists as others. */
rp_status writer_add_other(rp_take_writer *w, rp_take_type type, const void *fixed,
                           const void *plain, size_t plain_bytes, const void *tail,
                           size_t tail_bytes);
/* Writes `out` and empties it. */
rp_status writer_append(rp_take_writer *w);
/* The status that every call begins with. */
rp_status writer_check(const rp_take_writer *w);
/* Ends the writer. */
rp_status writer_fail(rp_take_writer *w, rp_status status);
rp_status writer_index(rp_take_writer *w);

/* ---- writer_pages.c ---- */

static inline writer_page *writer_page_at(const rp_take_writer *w, size_t index)
{
    return (writer_page *)(void *)w->pages.data + index;
}

static inline uint8_t *writer_copy_at(const rp_take_writer *w, uint32_t copy)
{
    return w->copies.data + (size_t)(copy - 1) * RP_PAGE_BYTES;
}

/* The page's entry; a fresh one is zeros. */
rp_status writer_page_of(rp_take_writer *w, uint32_t page, writer_page **entry);
/* Puts one page of a frame into the frame's columns. */
rp_status writer_put_page(rp_take_writer *w, const rp_take_page *page);
/* The number of a content: met before, or put into the block, which is written when full. */
rp_status writer_content(rp_take_writer *w, const void *content, uint64_t *number);
rp_status writer_flush_block(rp_take_writer *w);
void writer_release_copy(rp_take_writer *w, writer_page *entry);

/* ---- writer_frame.c ---- */

/* By number, in place; at once where they are so already. */
void writer_sort_pages(rp_take_page *pages, size_t count);
/* Writes the whole state. */
rp_status writer_base(rp_take_writer *w);

#endif
