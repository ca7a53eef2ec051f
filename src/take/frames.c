/* See frames.h. */
#include "take/frames.h"

#include "base/bits.h"
#include "base/error.h"
#include "take/memory.h"
#include "take/writer_private.h"

typedef struct frames {
    const rp_take_frames_desc *desc;
    rp_take_frames_result *result;
    rp_take_array pages;    /* rp_take_page, of the record at hand: by number, each once */
    rp_take_array numbers;  /* uint32_t: theirs */
    rp_take_array contents; /* theirs */
    uint32_t build;         /* that made the frame before; 0: none yet */
    bool whole;             /* a state is in the take */
} frames;

/* ---- which records ---- */

bool rp_take_frames_find(const rp_log *log, uint64_t from, uint64_t to, uint64_t *first,
                         uint64_t *last)
{
    rp_record record;
    uint64_t index = rp_log_first(log), end = rp_log_last(log);
    while (index <= end && rp_log_record(log, index, &record) && record.frame < from) {
        index++;
    }
    *first = index;
    while (index <= end && rp_log_record(log, index, &record) && record.frame <= to) {
        index++;
    }
    *last = index - 1;
    return index > *first;
}

rp_status rp_take_frames_builds(const rp_log *log, uint64_t first, uint64_t last,
                                rp_take_frames_build_fn *each, void *context)
{
    uint64_t met[1024] = {0}; /* a bit each */
    rp_record record;
    rp_status status = RP_OK;
    for (uint64_t index = first; !status && index <= last; index++) {
        if (!rp_log_record(log, index, &record)) {
            continue;
        }
        uint64_t bit = UINT64_C(1) << record.build % 64;
        if (record.build / 64 >= RP_COUNT_OF(met)) {
            status = rp_fail(RP_E_LIMIT, "take: frames of build %u, and a take has 65535 at most",
                             record.build);
        } else if (!(met[record.build / 64] & bit)) {
            met[record.build / 64] |= bit;
            status = each(context, record.build);
        }
    }
    return status;
}

/* ---- pages ---- */

static uint32_t *numbers_of(const frames *f)
{
    return (uint32_t *)(void *)f->numbers.data;
}

/* Adds the pages that a record changed. */
static rp_status add_changed(frames *f, uint64_t index)
{
    rp_log *log = f->desc->log;
    size_t before = f->numbers.used_bytes / sizeof(uint32_t);
    size_t count = rp_log_record_pages(log, index, NULL, 0);
    rp_status status = rp_take_array_need(&f->numbers, count * sizeof(uint32_t));
    if (!status) {
        rp_log_record_pages(log, index, numbers_of(f) + before, count);
        f->numbers.used_bytes += count * sizeof(uint32_t);
    }
    return status;
}

/* All pages that a record's state can have: those of the position's state, and where that lies
 * before the record, those written in between. */
static rp_status add_all(frames *f, uint64_t index)
{
    rp_log *log = f->desc->log;
    size_t count = rp_log_pages(log, NULL, 0);
    rp_status status = rp_take_array_need(&f->numbers, count * sizeof(uint32_t));
    if (status) {
        return status;
    }
    rp_log_pages(log, numbers_of(f), count);
    f->numbers.used_bytes = count * sizeof(uint32_t);
    for (uint64_t at = rp_log_position(log) + 1; !status && at <= index; at++) {
        status = add_changed(f, at);
    }
    return status;
}

/* `pages` by number, each once, from `numbers`, which become the same. */
static rp_status settle(frames *f)
{
    uint32_t *numbers = numbers_of(f);
    size_t count = f->numbers.used_bytes / sizeof *numbers, kept = 0;
    f->pages.used_bytes = 0;
    rp_status status = rp_take_array_need(&f->pages, count * sizeof(rp_take_page));
    if (status) {
        return status;
    }
    rp_take_page *pages = (rp_take_page *)(void *)f->pages.data;
    for (size_t i = 0; i < count; i++) {
        pages[i] = (rp_take_page){.page = numbers[i]};
    }
    writer_sort_pages(pages, count);
    for (size_t i = 0; i < count; i++) {
        if (!kept || pages[kept - 1].page != pages[i].page) {
            numbers[kept] = pages[i].page;
            pages[kept++] = pages[i];
        }
    }
    f->numbers.used_bytes = kept * sizeof *numbers;
    f->pages.used_bytes = kept * sizeof *pages;
    return RP_OK;
}

/* The pages by which a record differs from the kept one before it; all where that is not known. */
static rp_status list_pages(frames *f, uint64_t index, const rp_record *record)
{
    f->numbers.used_bytes = 0;
    rp_status status = f->whole ? add_changed(f, index) : RP_OK;
    if (!status && !f->numbers.used_bytes && (!f->whole || record->page_count)) {
        status = add_all(f, index);
    }
    return status ? status : settle(f);
}

static rp_status read_pages(frames *f, uint64_t index)
{
    size_t count = f->numbers.used_bytes / sizeof(uint32_t);
    f->contents.used_bytes = 0;
    rp_status status = rp_take_array_need(&f->contents, count * RP_PAGE_BYTES);
    if (!status && count) {
        status = rp_log_read(f->desc->log, index, numbers_of(f), count, f->contents.data);
    }
    rp_take_page *pages = (rp_take_page *)(void *)f->pages.data;
    for (size_t i = 0; !status && i < count; i++) {
        pages[i].content = f->contents.data + i * RP_PAGE_BYTES;
    }
    return status;
}

/* ---- frames ---- */

static rp_status write_frame(frames *f, uint64_t index, const rp_record *record)
{
    rp_log *log = f->desc->log;
    rp_take_frame_desc desc = {.frame = record->frame,
                               .build = record->build,
                               .kind = record->kind,
                               .step_ns = record->step_ns,
                               .thin = !record->kept,
                               .has_hash = true};
    rp_status status = rp_log_hash(log, index, &desc.hash);
    f->pages.used_bytes = 0;
    if (!status && record->kept) {
        status = list_pages(f, index, record);
        status = status ? status : read_pages(f, index);
    }
    desc.input = rp_log_input(log, index, &desc.input_bytes);
    return status ? status
                  : rp_take_writer_frame(f->desc->writer, &desc,
                                         (const rp_take_page *)(const void *)f->pages.data,
                                         f->pages.used_bytes / sizeof(rp_take_page));
}

static rp_status write_record(frames *f, uint64_t index)
{
    rp_record record;
    if (!rp_log_record(f->desc->log, index, &record) || (!record.kept && !f->whole)) {
        return RP_OK; /* nothing to run on from */
    }
    bool other_build = record.build != f->build && f->desc->build;
    rp_status status = other_build ? f->desc->build(f->desc->context, record.build) : RP_OK;
    f->build = record.build;
    status = status ? status : write_frame(f, index, &record);
    if (status) {
        return status;
    }
    f->result->first_frame = f->whole ? f->result->first_frame : record.frame;
    f->result->last_frame = record.frame;
    f->result->thin += !record.kept;
    f->result->frames++;
    f->whole = true;
    return f->desc->after ? f->desc->after(f->desc->context, &record) : RP_OK;
}

rp_status rp_take_frames_write(const rp_take_frames_desc *desc, rp_take_frames_result *result)
{
    frames f = {.desc = desc, .result = result};
    *result = (rp_take_frames_result){0};
    rp_status status = rp_take_array_init(&f.numbers, RP_GIB(1));
    status = status ? status : rp_take_array_init(&f.pages, RP_GIB(4));
    status = status ? status : rp_take_array_init(&f.contents, RP_LOG_FILE_BYTES);
    for (uint64_t index = desc->first; !status && index <= desc->last; index++) {
        status = write_record(&f, index);
        result->done_records++;
    }
    rp_take_array_finish(&f.numbers);
    rp_take_array_finish(&f.pages);
    rp_take_array_finish(&f.contents);
    return status;
}
