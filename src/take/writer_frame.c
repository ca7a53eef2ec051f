/* Frames and bases. */
#include "take/writer_private.h"

#include "base/error.h"
#include "history/log.h"

#include <string.h>

/* ---- order ------------------------------------------------------------------------------------
 */

/* Heap sort, by page: no memory, no recursion. */
static void sift(rp_take_page *pages, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && pages[child].page < pages[child + 1].page;
        if (pages[at].page >= pages[child].page) {
            return;
        }
        rp_take_page swapped = pages[at];
        pages[at] = pages[child];
        pages[child] = swapped;
    }
}

static bool is_rising(const rp_take_page *pages, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (pages[i - 1].page >= pages[i].page) {
            return false;
        }
    }
    return true;
}

void writer_sort_pages(rp_take_page *pages, size_t count)
{
    if (is_rising(pages, count)) {
        return;
    }
    for (size_t i = count / 2; i-- > 0;) {
        sift(pages, i, count);
    }
    for (size_t end = count; end-- > 1;) {
        rp_take_page last = pages[end];
        pages[end] = pages[0];
        pages[0] = last;
        sift(pages, 0, end);
    }
}

/* *ordered: the pages by number, the caller's own where they are in order. */
static rp_status order_pages(rp_take_writer *w, const rp_take_page *pages, size_t count,
                             const rp_take_page **ordered)
{
    *ordered = pages;
    if (!is_rising(pages, count)) {
        w->sorted.used_bytes = 0;
        rp_status status = rp_take_array_add(&w->sorted, pages, count * sizeof *pages);
        if (status) {
            return status;
        }
        rp_take_page *copy = (rp_take_page *)(void *)w->sorted.data;
        writer_sort_pages(copy, count);
        *ordered = copy;
    }
    if (!is_rising(*ordered, count)) {
        return rp_fail(RP_E_ARGUMENT, "take: a frame names a page twice");
    }
    if (count && (*ordered)[count - 1].page >= RP_PAGE_LIMIT) {
        return rp_fail(RP_E_ARGUMENT, "take: page %#x is beyond the last one",
                       (*ordered)[count - 1].page);
    }
    return RP_OK;
}

/* ---- a frame ----------------------------------------------------------------------------------
 */

static rp_status join_columns(rp_take_writer *w)
{
    rp_take_array *columns[] = {&w->frame_pages, &w->ways, &w->contents, &w->deltas};
    rp_status status = RP_OK;
    rp_take_array_clear(&w->tail, RP_MIB(1));
    for (size_t i = 0; i < RP_COUNT_OF(columns) && !status; i++) {
        status = rp_take_array_add(&w->tail, columns[i]->data, columns[i]->used_bytes);
    }
    return status;
}

static rp_status add_frame(rp_take_writer *w, const rp_take_frame_desc *desc)
{
    rp_take_frame frame = {.frame = desc->frame,
                           .hash = desc->thin ? desc->hash : w->hash,
                           .step_ns = desc->step_ns,
                           .build = desc->build,
                           .kind = desc->kind,
                           .flags = (desc->thin ? RP_TAKE_THIN : 0) |
                                    (!desc->thin || desc->has_hash ? RP_TAKE_HASHED : 0),
                           .page_count = (uint32_t)w->ways.used_bytes,
                           .content_count = (uint32_t)(w->contents.used_bytes / sizeof(uint64_t)),
                           .delta_bytes = (uint32_t)w->deltas.used_bytes,
                           .input_bytes = desc->input_bytes};
    for (size_t i = 0; i < w->ways.used_bytes; i++) {
        frame.delta_count += w->ways.data[i] == RP_TAKE_IS_DELTA;
    }
    rp_take_index_frame entry = {.frame = frame.frame,
                                 .hash = frame.hash,
                                 .step_ns = frame.step_ns,
                                 .build = frame.build,
                                 .kind = frame.kind,
                                 .flags = frame.flags,
                                 .page_count = frame.page_count};
    rp_status status = join_columns(w);
    if (!status) {
        status =
            writer_add_record(w, RP_TAKE_FRAME, &frame, desc->input, desc->input_bytes,
                              w->tail.data, w->tail.used_bytes, &entry.offset, &entry.record_bytes);
    }
    uint8_t bytes[RP_TAKE_BYTES_index_frame];
    rp_take_encode(RP_TAKE_STRUCT_index_frame, &entry, bytes);
    return status ? status : rp_take_array_add(&w->index_frames, bytes, sizeof bytes);
}

static rp_status put_pages(rp_take_writer *w, const rp_take_page *pages, size_t count)
{
    rp_status status = RP_OK;
    w->frame_pages.used_bytes = w->ways.used_bytes = 0;
    w->contents.used_bytes = w->deltas.used_bytes = 0;
    for (size_t i = 0; i < count && !status; i++) {
        status = writer_put_page(w, &pages[i]);
    }
    return status ? status : writer_flush_block(w);
}

static bool base_is_due(const rp_take_writer *w)
{
    uint64_t pages = w->desc.base_pages > w->state_pages ? w->desc.base_pages : w->state_pages;
    return w->frames_since_base >= w->desc.base_frames || w->pages_since_base >= pages;
}

static rp_status check_frame(const rp_take_writer *w, const rp_take_frame_desc *desc, size_t count)
{
    rp_status status = writer_check(w);
    if (!status && desc->input_bytes > RP_TAKE_INPUT_MOST_BYTES) {
        status =
            rp_fail(RP_E_ARGUMENT, "take: an input of %u bytes is too long", desc->input_bytes);
    }
    if (!status && count && desc->thin) {
        status = rp_fail(RP_E_ARGUMENT, "take: a thin frame has no pages");
    }
    return status;
}

static rp_status write_frame(rp_take_writer *w, const rp_take_frame_desc *desc,
                             const rp_take_page *pages, size_t count)
{
    rp_status status = put_pages(w, pages, count);
    if (!status && desc->has_hash && !desc->thin && desc->hash != w->hash) {
        status = rp_fail(RP_E_CHANGED,
                         "take: frame %llu: the pages that were handed over make up another state "
                         "than the frame's",
                         (unsigned long long)desc->frame);
    }
    if (!status) {
        status = add_frame(w, desc);
    }
    w->stats.frame_count++;
    w->stats.thin_count += desc->thin;
    w->stats.fed_bytes += count * RP_PAGE_BYTES;
    w->frames_since_base++;
    w->pages_since_base += w->ways.used_bytes;
    if (!status && !desc->thin && base_is_due(w)) {
        status = writer_base(w);
    }
    return status ? status : writer_append(w);
}

rp_status rp_take_writer_frame(rp_take_writer *w, const rp_take_frame_desc *desc,
                               const rp_take_page *pages, size_t count)
{
    const rp_take_page *ordered;
    rp_status status = check_frame(w, desc, count);
    status = status ? status : order_pages(w, pages, count, &ordered);
    if (status) {
        return status;
    }
    uint64_t frames = w->stats.frame_count;
    status = write_frame(w, desc, ordered, count);
    if (status) {
        w->stats.frame_count = frames;
        return writer_fail(w, status);
    }
    if (w->desc.publish_early && !w->published) {
        w->published = true;
        status = w->desc.sink.publish(w->desc.sink.context);
        return status ? writer_fail(w, status) : RP_OK;
    }
    return RP_OK;
}

/* ---- a base -----------------------------------------------------------------------------------
 */

/* The indices of all pages, by page. They are rather in order already, as pages mostly come so. */
static rp_status order_state(rp_take_writer *w, const rp_take_page **ordered, size_t *count)
{
    size_t total = w->pages.used_bytes / sizeof(writer_page);
    w->order.used_bytes = 0;
    rp_status status = rp_take_array_need(&w->order, total * sizeof **ordered);
    if (status) {
        return status;
    }
    rp_take_page *list = (rp_take_page *)(void *)w->order.data;
    *count = 0;
    for (size_t i = 0; i < total; i++) {
        const writer_page *entry = writer_page_at(w, i);
        if (entry->hash) {
            list[(*count)++] = (rp_take_page){.page = entry->page, .content = entry};
        }
    }
    writer_sort_pages(list, *count);
    *ordered = list;
    return RP_OK;
}

static rp_status add_run(rp_take_writer *w, rp_take_run *run)
{
    uint8_t bytes[RP_TAKE_BYTES_run];
    rp_take_encode(RP_TAKE_STRUCT_run, run, bytes);
    return run->count ? rp_take_array_add(&w->tail, bytes, sizeof bytes) : RP_OK;
}

/* Every page's content gets a number; neighbours become runs in `tail`. */
static rp_status put_runs(rp_take_writer *w, const rp_take_page *ordered, size_t count)
{
    rp_take_run run = {0};
    rp_status status = RP_OK;
    rp_take_array_clear(&w->tail, RP_MIB(1));
    for (size_t i = 0; i < count && !status; i++) {
        writer_page *entry = (writer_page *)(uintptr_t)ordered[i].content;
        if (entry->content == WRITER_NO_CONTENT) {
            status = writer_content(w, writer_copy_at(w, entry->copy), &entry->content);
        }
        if (run.count && entry->page == run.page + run.count &&
            entry->content == run.content + run.count) {
            run.count++;
            continue;
        }
        status = status ? status : add_run(w, &run);
        run = (rp_take_run){.content = entry->content, .page = entry->page, .count = 1};
    }
    status = status ? status : add_run(w, &run);
    return status ? status : writer_flush_block(w);
}

/* Copies of pages that were not written since the base before serve nobody. */
static void release_copies(rp_take_writer *w)
{
    size_t total = w->pages.used_bytes / sizeof(writer_page);
    for (size_t i = 0; i < total; i++) {
        writer_page *entry = writer_page_at(w, i);
        if (entry->written < w->base_written) {
            writer_release_copy(w, entry);
        }
    }
}

rp_status writer_base(rp_take_writer *w)
{
    const rp_take_page *ordered;
    size_t count;
    rp_status status = order_state(w, &ordered, &count);
    status = status ? status : put_runs(w, ordered, count);
    if (status) {
        return status;
    }
    w->frames_since_base = w->pages_since_base = 0;
    if (w->tail.used_bytes > rp_take_kind_of(RP_TAKE_BASE)->unpacked_most_bytes) {
        return RP_OK; /* cut to pieces beyond all measure: the former base has to do */
    }
    rp_take_base base = {.frame_index = w->stats.frame_count - 1,
                         .hash = w->hash,
                         .page_count = count,
                         .run_count = (uint32_t)(w->tail.used_bytes / RP_TAKE_BYTES_run)};
    rp_take_index_base entry = {.frame_index = base.frame_index, .page_count = base.page_count};
    status = writer_add_record(w, RP_TAKE_BASE, &base, NULL, 0, w->tail.data, w->tail.used_bytes,
                               &entry.offset, &entry.record_bytes);
    uint8_t bytes[RP_TAKE_BYTES_index_base];
    rp_take_encode(RP_TAKE_STRUCT_index_base, &entry, bytes);
    release_copies(w);
    w->base_written = w->stats.frame_count - 1;
    w->stats.base_count++;
    return status ? status : rp_take_array_add(&w->index_bases, bytes, sizeof bytes);
}
