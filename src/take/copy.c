/* A part of a take as a take of its own. */
#include "take/copy.h"

#include "base/bits.h"
#include "base/error.h"

#include <string.h>

typedef struct copying {
    rp_take *take;
    const rp_take_copy_desc *desc;
    rp_take_writer *writer;
    rp_take_state *state;
    rp_take_array plain, tail; /* of a record */
    rp_take_array numbers;     /* of a frame's pages */
    rp_take_array pages;       /* rp_take_page */
    rp_take_array edited;      /* contents of some of them */
    uint64_t next_other;       /* others before it stand before the frame at hand */
    bool whole;                /* a frame with its memory was written */
} copying;

/* ---- records that are not frames --------------------------------------------------------------
 */

static rp_status copy_record(copying *c, uint64_t index)
{
    union {
        rp_take_build build;
        rp_take_part part;
        rp_take_crash crash;
        rp_take_checks checks;
    } fixed; /* the largest */
    const rp_take_index_other *other = rp_take_other_at(c->take, index);
    c->plain.used_bytes = c->tail.used_bytes = 0;
    rp_status status = rp_take_other_read(c->take, index, &fixed, &c->plain, &c->tail);
    return status
               ? status
               : rp_take_writer_record(c->writer, (rp_take_type)other->type, &fixed, c->plain.data,
                                       c->plain.used_bytes, c->tail.data, c->tail.used_bytes);
}

static bool is_list(uint32_t type)
{
    return type == RP_TAKE_OBJECTS || type == RP_TAKE_RANGES;
}

static bool is_build(uint32_t type)
{
    return type == RP_TAKE_BUILD || type == RP_TAKE_FILE;
}

/* Where memory is edited, checked values would tell what it was. */
static bool are_copied_checks(const copying *c, uint32_t type)
{
    return type == RP_TAKE_CHECKS && !c->desc->edit;
}

/* Records of builds, and lists, that stand before the frame record `index` and behind the one
 * before it; before the first frame all builds, and the last list of each kind. */
static rp_status copy_before(copying *c, uint64_t index)
{
    const rp_take_index_other *other;
    uint64_t last[2] = {UINT64_MAX, UINT64_MAX}, i = c->next_other;
    bool first = index == c->desc->first;
    rp_status status = RP_OK;
    for (; !status && (other = rp_take_other_at(c->take, i)) && other->frame_index <= index; i++) {
        if (first && is_list(other->type)) {
            last[other->type == RP_TAKE_RANGES] = i;
        } else if (is_list(other->type) || is_build(other->type) ||
                   (!first && are_copied_checks(c, other->type))) {
            status = copy_record(c, i);
        }
    }
    c->next_other = i;
    for (int k = 0; k < 2 && !status; k++) {
        status = last[k] == UINT64_MAX ? RP_OK : copy_record(c, last[k]);
    }
    return status;
}

/* What the last frame checked. */
static rp_status copy_behind_last(copying *c)
{
    const rp_take_index_other *other;
    rp_status status = RP_OK;
    for (uint64_t i = c->next_other; !status && (other = rp_take_other_at(c->take, i)) &&
                                     other->frame_index == c->desc->last + 1;
         i++) {
        status = are_copied_checks(c, other->type) ? copy_record(c, i) : RP_OK;
    }
    return status;
}

/* Loops, bookmarks and crashes whose frame is in the part. */
static rp_status copy_after(copying *c)
{
    const rp_take_index_other *other;
    uint64_t from = rp_take_frame_at(c->take, c->desc->first)->frame;
    uint64_t to = rp_take_frame_at(c->take, c->desc->last)->frame;
    rp_status status = RP_OK;
    for (uint64_t i = 0; !status && (other = rp_take_other_at(c->take, i)); i++) {
        union {
            rp_take_loop loop;
            rp_take_bookmark bookmark;
            rp_take_crash crash;
        } fixed;
        if (other->type != RP_TAKE_LOOP && other->type != RP_TAKE_BOOKMARK &&
            other->type != RP_TAKE_CRASH) {
            continue;
        }
        status = rp_take_other_read(c->take, i, &fixed, NULL, NULL);
        /* A crash is of the frame that could not be made. */
        bool within = other->type == RP_TAKE_LOOP ? fixed.loop.from >= from && fixed.loop.to <= to
                      : other->type == RP_TAKE_BOOKMARK
                          ? (fixed.bookmark.frame >= from && fixed.bookmark.frame <= to) ||
                                fixed.bookmark.frame == RP_TAKE_FRAME_NONE
                          : fixed.crash.frame > from && fixed.crash.frame <= to + 1;
        status = status || !within ? status : copy_record(c, i);
    }
    return status;
}

/* ---- frames -----------------------------------------------------------------------------------
 */

static rp_status add_page(copying *c, uint32_t page, const uint8_t *content)
{
    rp_take_page added = {.page = page, .content = content};
    if (content && c->desc->edit) {
        rp_status status = rp_take_array_need(&c->edited, RP_PAGE_BYTES);
        if (status) {
            return status;
        }
        uint8_t *room = c->edited.data + c->edited.used_bytes; /* it stays where it is */
        added.content = c->desc->edit(c->desc->edit_context, page, content, room);
        c->edited.used_bytes += added.content == room ? RP_PAGE_BYTES : 0;
    }
    return rp_take_array_add(&c->pages, &added, sizeof added);
}

/* What the writer is fed with for a frame: all pages the first time, then those that it changed. */
static rp_status list_pages(copying *c, uint64_t index)
{
    rp_status status = RP_OK;
    c->pages.used_bytes = c->numbers.used_bytes = c->edited.used_bytes = 0;
    if (!c->whole) {
        size_t cursor = 0;
        uint32_t page;
        const uint8_t *content;
        while (!status && rp_take_state_next(c->state, &cursor, &page, &content)) {
            status = add_page(c, page, content);
        }
        return status;
    }
    status = rp_take_frame_pages(c->take, index, &c->numbers);
    for (size_t at = 0; !status && at < c->numbers.used_bytes; at += sizeof(uint32_t)) {
        uint32_t page;
        memcpy(&page, c->numbers.data + at, sizeof page);
        status = add_page(c, page, rp_take_state_page(c->state, page));
    }
    return status;
}

static bool becomes_thin(const copying *c, const rp_take_index_frame *frame)
{
    return frame->flags & RP_TAKE_THIN ||
           (c->desc->inputs_alone && (c->whole || frame->frame == 0));
}

static rp_status copy_frame(copying *c, uint64_t index)
{
    uint8_t input[RP_TAKE_INPUT_MOST_BYTES];
    const rp_take_index_frame *frame = rp_take_frame_at(c->take, index);
    rp_take_frame_desc desc = {.frame = frame->frame,
                               .build = frame->build,
                               .kind = frame->kind,
                               .step_ns = frame->step_ns,
                               .input = input,
                               .thin = becomes_thin(c, frame),
                               .has_hash = frame->flags & RP_TAKE_HASHED && !c->desc->edit,
                               .hash = frame->hash};
    rp_status status = copy_before(c, index);
    status = status ? status : rp_take_frame_input(c->take, index, input, &desc.input_bytes);
    if (!status && !desc.thin) {
        status = rp_take_state_seek(c->state, index);
        status = status ? status : list_pages(c, index);
    }
    if (status) {
        return status;
    }
    c->whole |= !desc.thin;
    return rp_take_writer_frame(c->writer, &desc, (const rp_take_page *)(const void *)c->pages.data,
                                desc.thin ? 0 : c->pages.used_bytes / sizeof(rp_take_page));
}

static rp_status copy_all(copying *c)
{
    const rp_take_copy_desc *desc = c->desc;
    rp_status status = RP_OK;
    for (uint64_t i = desc->first; i <= desc->last && !status; i++) {
        status = copy_frame(c, i);
        if (desc->progress && i % 64 == 0) {
            desc->progress(desc->context, i - desc->first, desc->last - desc->first + 1);
        }
    }
    status = status ? status : copy_behind_last(c);
    return status ? status : copy_after(c);
}

rp_status rp_take_copy(rp_take *take, const rp_take_copy_desc *desc, rp_take_writer *writer)
{
    copying c = {.take = take, .desc = desc, .writer = writer};
    if (desc->first > desc->last || !rp_take_frame_at(take, desc->last)) {
        return rp_fail(RP_E_RANGE, "take: there are no frame records %llu to %llu",
                       (unsigned long long)desc->first, (unsigned long long)desc->last);
    }
    rp_status status = rp_take_state_create(take, &c.state);
    status = status ? status : rp_take_array_init(&c.plain, RP_MIB(1));
    status = status ? status : rp_take_array_init(&c.tail, RP_MIB(16));
    status = status ? status : rp_take_array_init(&c.numbers, RP_GIB(1));
    status = status ? status : rp_take_array_init(&c.pages, RP_GIB(8));
    status = status ? status : rp_take_array_init(&c.edited, RP_GIB(16));
    status = status ? status : copy_all(&c);
    rp_take_array_finish(&c.plain);
    rp_take_array_finish(&c.tail);
    rp_take_array_finish(&c.numbers);
    rp_take_array_finish(&c.pages);
    rp_take_array_finish(&c.edited);
    rp_take_state_destroy(c.state);
    return status;
}
