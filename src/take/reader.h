/* Reads a take. Every byte of it is taken for hostile, and nothing in it is ever run.
 *
 *   rp_take_open    header, then the index; where there is none, or one that does not hold, all
 *                   records are read, up to the first that is not whole: `damage` says where and
 * why rp_take_frame…  what one frame has, its input rp_take_state…  the memory after a frame, in
 * memory of the reader's own (state.h)
 *
 * Errors name the file, the offset and the reason: RP_E_FORMAT for damage, RP_E_UNSUPPORTED for a
 * version or machine that this reader does not know, RP_E_LIMIT for what needs more memory than it
 * may take. A record is read whole and its checksum compared before anything in it counts; what it
 * names (contents, pages, sizes, other records) is checked before use.
 *
 * Layer: take.  Threads: one a take.  Design: docs/internals/take.md  Tests:
 * tests/take/test_take.c, test_hostile.c, tests/fuzz/fuzz_take.c
 */
#ifndef RP_TAKE_READER_H
#define RP_TAKE_READER_H

#include "take/format.h"
#include "take/io.h"
#include "take/memory.h"

typedef struct rp_take rp_take;

typedef struct rp_take_open_desc {
    rp_take_source source;       /* stays the caller's; open as long as the take */
    uint64_t memory_limit_bytes; /* of one state or one file; 0: 8 GiB */
    uint64_t region_base;        /* RP_E_UNSUPPORTED where the take has another; 0: any */
    bool ignore_index;           /* reads all records: for checks */
} rp_take_open_desc;

/* On success also where the end is damaged or missing; see rp_take_damage. *out is null when it
 * fails: no take, or nothing of it can be used. With an index 40 ns a frame; else the whole file.
 */
rp_status rp_take_open(const rp_take_open_desc *desc, rp_take **out);
void rp_take_close(rp_take *take); /* null is nothing */

typedef struct rp_take_overview {
    rp_take_header header;
    rp_take_environment environment;
    uint64_t size_bytes;
    uint64_t
        whole_bytes; /* up to here all records could be read; size_bytes where nothing is wrong */
    uint64_t frame_count, thin_count, base_count, block_count, other_count, content_count;
    bool from_index;    /* the records themselves were not looked at yet */
    bool closed;        /* it ends with a trailer; else it was cut off, or is still being written */
    const char *damage; /* why it ends at whole_bytes, or why the index was not used; "": nothing */
} rp_take_overview;
void rp_take_overview_get(const rp_take *take, rp_take_overview *overview);

/* Frame records in the order of the file, from 0. Null: there is no such. */
const rp_take_index_frame *rp_take_frame_at(const rp_take *take, uint64_t index);
/* The newest record of a frame that is not thin, else the newest thin one; false: there is none. */
bool rp_take_find_frame(const rp_take *take, uint64_t frame, uint64_t *index);
/* The frame's input as it was logged, copied; at most RP_TAKE_INPUT_MOST_BYTES. */
rp_status rp_take_frame_input(rp_take *take, uint64_t index, uint8_t *input, uint32_t *input_bytes);
/* Numbers of the pages that a frame record changes, appended to `pages` as uint32_t. */
rp_status rp_take_frame_pages(rp_take *take, uint64_t index, rp_take_array *pages);

/* All records but frames, contents, bases and index, in the order of the file. */
const rp_take_index_other *rp_take_other_at(const rp_take *take, uint64_t index);
/* Its struct. `which` must be the type's. The second part is appended to `tail` where that is not
 * null (it was unpacked then, and is of the length that the head promises). */
rp_status rp_take_other_read(rp_take *take, uint64_t index, void *fixed, rp_take_array *plain,
                             rp_take_array *tail);
/* The objects or ranges that hold for a frame record: structs appended to `list`. Empty where the
 * take has no list. */
rp_status rp_take_list_read(rp_take *take, rp_take_type type, uint64_t frame_index,
                            rp_take_array *list, size_t *count);
/* A file of a build: `index` is its first FILE record (offset_bytes 0); its bytes are appended.
 * Size and hash are those that the record says. */
rp_status rp_take_file_read(rp_take *take, uint64_t index, rp_take_array *bytes);

/* Reads every record, unpacks all contents and compares each frame's hash: what `info --check`
 * does. RP_OK: the take is sound from end to end. */
rp_status rp_take_check(rp_take *take, void (*progress)(void *context, uint64_t done, uint64_t all),
                        void *context);

#endif
