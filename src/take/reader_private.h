/* Shared by the reader's files.
 *
 *   reader.c         open, lists, files      reader_record.c  one record, one content
 *   reader_index.c   from the index          reader_scan.c    from all records
 *
 * Layer: take (internal).
 */
#ifndef RP_TAKE_READER_PRIVATE_H
#define RP_TAKE_READER_PRIVATE_H

#include "base/bits.h"
#include "history/log.h"
#include "take/codec.h"
#include "take/reader.h"
#include "take/state.h"

enum { READER_CACHE_BLOCKS = 8 };

typedef struct reader_block {
    uint64_t block_plus_1; /* 0: none */
    uint8_t contents[RP_TAKE_BLOCK_PAGES * 4096];
} reader_block;

struct rp_take {
    rp_take_open_desc desc;
    rp_take_header header;
    rp_take_environment environment;
    uint64_t whole_bytes, content_count, thin_count;
    bool from_index, closed; /* closed: there is a trailer */
    char damage[480];
    rp_take_codec codec;
    rp_take_array frames, blocks, bases, others; /* structs of the index */
    rp_take_array body, tail;                    /* of the record at hand */
    reader_block cache[READER_CACHE_BLOCKS];
};

/* A record in `body`; valid until the next one is read. */
typedef struct reader_record {
    uint64_t offset, record_bytes;
    rp_take_record head;
    const rp_take_kind *kind; /* null: optional, and unknown */
    const uint8_t *plain;     /* what follows the struct */
    uint32_t plain_bytes;
    const uint8_t *packed;
} reader_record;

#define READER_COUNT(take, array, type) ((take)->array.used_bytes / sizeof(type))

static inline const rp_take_index_frame *reader_frames(const rp_take *take)
{
    return (const rp_take_index_frame *)(const void *)take->frames.data;
}

static inline const rp_take_index_block *reader_blocks(const rp_take *take)
{
    return (const rp_take_index_block *)(const void *)take->blocks.data;
}

static inline const rp_take_index_base *reader_bases(const rp_take *take)
{
    return (const rp_take_index_base *)(const void *)take->bases.data;
}

static inline const rp_take_index_other *reader_others(const rp_take *take)
{
    return (const rp_take_index_other *)(const void *)take->others.data;
}

static inline uint64_t reader_frame_count(const rp_take *take)
{
    return READER_COUNT(take, frames, rp_take_index_frame);
}

/* RP_E_FORMAT: "FILE: at OFFSET: why". */
__attribute__((format(printf, 3, 4))) rp_status reader_damaged(const rp_take *take, uint64_t offset,
                                                               const char *format, ...);

/* Reads and checks the record at `offset`, which must end at or before `end`. */
rp_status reader_read(rp_take *take, uint64_t offset, uint64_t end, reader_record *record);
/* The same for one that the index promises. */
rp_status reader_read_as(rp_take *take, uint64_t offset, uint64_t record_bytes, rp_take_type type,
                         reader_record *record);
/* The record's struct. */
void reader_fixed(const rp_take *take, const reader_record *record, void *fixed);
/* Unpacks the second part to where `array` ends, as used bytes. */
rp_status reader_tail(rp_take *take, const reader_record *record, rp_take_array *array);

/* Copies a content. */
rp_status reader_content(rp_take *take, uint64_t content, uint8_t *to);
/* Reads a FRAME record, and checks its counts and that it is the one that the index names. */
rp_status reader_frame(rp_take *take, uint64_t index, rp_take_frame *frame, reader_record *record);
rp_status reader_check_frame(const rp_take *take, const reader_record *record,
                             const rp_take_frame *frame);

/* Whether a base makes up the state that it says; the state is empty afterwards. */
rp_status state_check_base(rp_take_state *state, uint64_t number);

/* Fills frames, blocks, bases and others. RP_E_FORMAT with a text: it cannot be used. */
rp_status reader_load_index(rp_take *take);
/* The same from all records; sets whole_bytes and damage. */
rp_status reader_scan(rp_take *take);

#endif
