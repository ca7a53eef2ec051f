/* Writes a take, record behind record.
 *
 *   rp_take_writer_open    header, environment
 *   _build _objects …      whenever they change, ahead of the frames they hold for
 *   _frame                 pages that differ from the frame fed before → contents, differences
 *   _finish                index, trailer, sync, name
 *
 * The first frame is fed with all pages that are not zero. Each later one with those that differ
 * from the last frame that was not thin, whatever the way from there: a step, a seek, a new build.
 * More pages than that cost time and no room.
 *
 *   what a page has     stored as                                  where its content is known from
 *   zeros               a byte                                     nowhere
 *   a content met before its number                                a cache of hashes
 *   few words changed   a difference                               a copy, kept here for busy pages
 *   anything else       a content, packed with up to 15 others     the take
 *
 * Every so often the whole state is written down as a base: numbers of contents, and contents of
 * the pages that had only differences since the last one. A page that does not change is stored
 * once.
 *
 * A frame's record goes out last, with what it needs before it, mostly by one append. After a
 * failed append the writer refuses everything: the take is whole up to the frame before, and
 * another writer may go on elsewhere.
 *
 * Memory: 24 bytes a page of the state, copies of busy pages up to `copy_bytes`, 12 MiB of hashes,
 * the frame at hand. Time: some 4 us a page; rp_take_recorder does it in the background.
 *
 * Layer: take.  Threads: one a writer.  Design: docs/internals/take.md  Tests:
 * tests/take/test_take.c
 */
#ifndef RP_TAKE_WRITER_H
#define RP_TAKE_WRITER_H

#include "take/format.h"
#include "take/io.h"

typedef struct rp_take_writer rp_take_writer;

typedef struct rp_take_writer_desc {
    rp_take_sink sink;
    uint64_t take_id; /* 0: random */
    uint64_t region_base;
    uint64_t created_wall_ns;
    const rp_take_environment *environment;
    bool publish_early;   /* the sink gets its name with the first frame, not when all is written */
    uint32_t base_frames; /* a base after so many frames; 0: 300 */
    uint32_t
        base_pages; /* … or after so many pages of frames and as many as the state has; 0: 65536 */
    size_t copy_bytes; /* 0: 32 MiB */
} rp_take_writer_desc;

typedef struct rp_take_page {
    uint32_t page;
    const void *content; /* RP_PAGE_BYTES; null: zeros */
    const void *
        previous; /* that it had in the frame fed before; null: not at hand. Checked by its hash. */
} rp_take_page;

typedef struct rp_take_frame_desc {
    uint64_t frame;
    uint32_t build, kind;
    uint64_t step_ns;
    const void *input;
    uint32_t input_bytes;
    bool thin;     /* no pages: the state is not recorded */
    bool has_hash; /* `hash` is the state's, by whoever fed it; compared with what was fed */
    uint64_t hash;
} rp_take_frame_desc;

typedef struct rp_take_writer_stats {
    uint64_t written_bytes; /* of the take so far */
    uint64_t fed_bytes;     /* of pages that frames were fed with */
    uint64_t frame_count, thin_count, content_count, delta_count, base_count, state_pages;
} rp_take_writer_stats;

/* Fills in by what ("reprise", "librereprise") and on which machine the take is written. */
void rp_take_environment_here(const char *program, rp_take_environment *environment);
/* RP_E_MEMORY, or what the sink says; nothing is left then but the sink, which stays the caller's.
 */
rp_status rp_take_writer_open(const rp_take_writer_desc *desc, rp_take_writer **out);
/* Without rp_take_writer_finish the take has no index, and the sink perhaps no name. */
void rp_take_writer_close(rp_take_writer *writer); /* null is nothing */

/* A version of the module; then its files, each whole. */
rp_status rp_take_writer_build(rp_take_writer *writer, const rp_take_build *build);
/* `part`: build, role and name count. */
rp_status rp_take_writer_file(rp_take_writer *writer, const rp_take_part *part, const void *data,
                              size_t size_bytes);
/* The same, read from `path`, which may have 4 GiB. */
rp_status rp_take_writer_file_at(rp_take_writer *writer, const rp_take_part *part,
                                 const char *path);
/* Lists hold from the next frame on. RP_E_LIMIT: more than RP_TAKE_OBJECT_MOST, RP_TAKE_RANGE_MOST.
 */
rp_status rp_take_writer_objects(rp_take_writer *writer, const rp_take_object *objects,
                                 size_t count);
rp_status rp_take_writer_ranges(rp_take_writer *writer, const rp_take_range *ranges, size_t count);
rp_status rp_take_writer_bookmark(rp_take_writer *writer, const rp_take_bookmark *bookmark);
rp_status rp_take_writer_loop(rp_take_writer *writer, const rp_take_loop *loop);
/* `crash`: its counts are set from the arguments. */
rp_status rp_take_writer_crash(rp_take_writer *writer, const rp_take_crash *crash,
                               const void *input, uint32_t input_bytes, const char *report,
                               size_t report_bytes);

/* Any of these as it was read from another take: the struct, what follows plainly, what follows
 * packed, unpacked; of sizes that its type allows. */
rp_status rp_take_writer_record(rp_take_writer *writer, rp_take_type type, const void *fixed,
                                const void *plain, size_t plain_bytes, const void *tail,
                                size_t tail_bytes);

/* Pages in any order, each once. RP_E_ARGUMENT: a page twice or beyond RP_PAGE_LIMIT, too long an
 * input; nothing was changed then. RP_E_CHANGED: what was fed does not make up the state that
 * `hash` names; the frame is not in the take. Any other error ends the writer. */
rp_status rp_take_writer_frame(rp_take_writer *writer, const rp_take_frame_desc *desc,
                               const rp_take_page *pages, size_t count);

rp_status rp_take_writer_sync(rp_take_writer *writer);
/* Nothing can be written after it. */
rp_status rp_take_writer_finish(rp_take_writer *writer);
void rp_take_writer_stats_get(const rp_take_writer *writer, rp_take_writer_stats *stats);

#endif
