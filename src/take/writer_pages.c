/* What each page of a frame is stored as. */
#include "take/writer_private.h"

#include "history/page.h"

#include <string.h>
#include <xxhash.h>

rp_status writer_page_of(rp_take_writer *w, uint32_t page, writer_page **entry)
{
    uint32_t index = (uint32_t)(w->pages.used_bytes / sizeof **entry);
    uint32_t known;
    if (rp_take_map_get(&w->index_of, page, &known)) {
        *entry = writer_page_at(w, known);
        return RP_OK;
    }
    writer_page fresh = {.page = page, .content = WRITER_NO_CONTENT};
    rp_status status = rp_take_array_need(&w->pages, sizeof fresh);
    if (!status) {
        status = rp_take_map_set(&w->index_of, page, index);
    }
    if (!status) {
        status = rp_take_array_add(&w->pages, &fresh, sizeof fresh);
        *entry = writer_page_at(w, index);
    }
    return status;
}

/* ---- contents ---------------------------------------------------------------------------------
 */

rp_status writer_flush_block(rp_take_writer *w)
{
    if (!w->block_count) {
        return RP_OK;
    }
    rp_take_pages pages = {.first_content = w->stats.content_count - w->block_count,
                           .count = w->block_count};
    rp_take_index_block entry = {.first_content = pages.first_content, .count = pages.count};
    rp_status status =
        writer_add_record(w, RP_TAKE_PAGES, &pages, NULL, 0, w->block,
                          w->block_count * RP_PAGE_BYTES, &entry.offset, &entry.record_bytes);
    uint8_t bytes[RP_TAKE_BYTES_index_block];
    rp_take_encode(RP_TAKE_STRUCT_index_block, &entry, bytes);
    w->block_count = 0;
    status = status ? status : rp_take_array_add(&w->index_blocks, bytes, sizeof bytes);
    if (status || w->out.used_bytes < WRITER_OUT_BYTES) {
        return status;
    }
    return writer_append(w); /* contents that no frame names yet do no harm */
}

static writer_met *met_at(rp_take_writer *w, XXH128_hash_t hash)
{
    return (writer_met *)(void *)w->met.data + (hash.low64 & (WRITER_MET_COUNT - 1));
}

static bool find_met(rp_take_writer *w, XXH128_hash_t hash, uint64_t *number)
{
    const writer_met *met = met_at(w, hash);
    *number = met->content_plus_1 - 1;
    return met->content_plus_1 && met->low == hash.low64 && met->high == hash.high64;
}

static rp_status store(rp_take_writer *w, const void *content, XXH128_hash_t hash, uint64_t *number)
{
    *number = w->stats.content_count++;
    memcpy(w->block + w->block_count++ * RP_PAGE_BYTES, content, RP_PAGE_BYTES);
    *met_at(w, hash) = (writer_met){hash.low64, hash.high64, *number + 1};
    return w->block_count == RP_TAKE_BLOCK_PAGES ? writer_flush_block(w) : RP_OK;
}

rp_status writer_content(rp_take_writer *w, const void *content, uint64_t *number)
{
    XXH128_hash_t hash = XXH3_128bits(content, RP_PAGE_BYTES);
    return find_met(w, hash, number) ? RP_OK : store(w, content, hash, number);
}

/* ---- copies -----------------------------------------------------------------------------------
 */

void writer_release_copy(rp_take_writer *w, writer_page *entry)
{
    if (entry->copy) {
        /* There is room: it was needed when the copy was made. */
        memcpy(w->free_copies.data + w->free_copies.used_bytes, &entry->copy, sizeof entry->copy);
        w->free_copies.used_bytes += sizeof entry->copy;
        entry->copy = 0;
    }
}

static rp_status fresh_copy(rp_take_writer *w, writer_page *entry)
{
    uint32_t count = (uint32_t)(w->copies.used_bytes / RP_PAGE_BYTES);
    if (w->free_copies.used_bytes) {
        w->free_copies.used_bytes -= sizeof entry->copy;
        memcpy(&entry->copy, w->free_copies.data + w->free_copies.used_bytes, sizeof entry->copy);
        return RP_OK;
    }
    if (count == w->copy_limit) {
        return RP_OK;
    }
    rp_status status = rp_take_array_need(&w->copies, RP_PAGE_BYTES);
    if (!status) {
        w->copies.used_bytes += RP_PAGE_BYTES;
        entry->copy = count + 1;
    }
    return status;
}

/* A copy of the content where there is room for one. */
static rp_status keep_copy(rp_take_writer *w, writer_page *entry, const void *content)
{
    rp_status status = entry->copy ? RP_OK : fresh_copy(w, entry);
    if (!status && entry->copy) {
        memcpy(writer_copy_at(w, entry->copy), content, RP_PAGE_BYTES);
    }
    return status;
}

/* ---- a page of a frame ------------------------------------------------------------------------
 */

static rp_status put_column(rp_take_writer *w, const writer_page *entry, uint8_t way)
{
    uint8_t number[sizeof entry->page];
    rp_take_put_u32(number, entry->page);
    rp_status status = rp_take_array_add(&w->frame_pages, number, sizeof number);
    return status ? status : rp_take_array_add(&w->ways, &way, 1);
}

static rp_status put_content(rp_take_writer *w, writer_page *entry, uint64_t number)
{
    uint8_t bytes[sizeof number];
    rp_take_put_u64(bytes, number);
    entry->content = number;
    rp_status status = put_column(w, entry, RP_TAKE_IS_CONTENT);
    return status ? status : rp_take_array_add(&w->contents, bytes, sizeof bytes);
}

/* What a difference can be taken from: a copy of our own, or what the caller says it was. */
static const void *previous_of(const rp_take_writer *w, const writer_page *entry, const void *given)
{
    if (entry->copy) {
        return writer_copy_at(w, entry->copy);
    }
    return given && entry->hash && rp_take_page_hash(entry->page, given) == entry->hash ? given
                                                                                        : NULL;
}

/* A page that has only differences must have a copy, from which a base takes its content. */
static rp_status try_delta(rp_take_writer *w, writer_page *entry, const rp_take_page *page,
                           bool *done)
{
    const void *previous = previous_of(w, entry, page->previous);
    *done = false;
    if (!previous || w->deltas.used_bytes + RP_TAKE_DELTA_MOST_BYTES > WRITER_DELTA_BYTES) {
        return RP_OK;
    }
    rp_status status = rp_take_array_need(&w->deltas, RP_TAKE_DELTA_MOST_BYTES);
    if (status) {
        return status;
    }
    size_t size =
        rp_take_delta_make(previous, page->content, w->deltas.data + w->deltas.used_bytes);
    status = keep_copy(w, entry, page->content);
    if (status || !size || !entry->copy) {
        return status;
    }
    w->deltas.used_bytes += size;
    w->stats.delta_count++;
    entry->content = WRITER_NO_CONTENT;
    *done = true;
    return put_column(w, entry, RP_TAKE_IS_DELTA);
}

static rp_status put_filled(rp_take_writer *w, writer_page *entry, const rp_take_page *page)
{
    XXH128_hash_t hash = XXH3_128bits(page->content, RP_PAGE_BYTES);
    uint64_t number;
    bool done = false;
    if (find_met(w, hash, &number)) {
        rp_status status = keep_copy(w, entry, page->content);
        return status ? status : put_content(w, entry, number);
    }
    rp_status status = try_delta(w, entry, page, &done);
    if (status || done) {
        return status;
    }
    status = store(w, page->content, hash, &number);
    status = status ? status : keep_copy(w, entry, page->content);
    return status ? status : put_content(w, entry, number);
}

static rp_status put_zeros(rp_take_writer *w, writer_page *entry)
{
    writer_release_copy(w, entry);
    entry->content = WRITER_NO_CONTENT;
    return put_column(w, entry, RP_TAKE_IS_ZERO);
}

rp_status writer_put_page(rp_take_writer *w, const rp_take_page *page)
{
    writer_page *entry;
    rp_status status = writer_page_of(w, page->page, &entry);
    uint64_t hash = page->content ? rp_take_page_hash(page->page, page->content) : 0;
    if (status || hash == entry->hash) {
        return status; /* as it was */
    }
    status = hash ? put_filled(w, entry, page) : put_zeros(w, entry);
    w->state_pages += (hash != 0) - (uint64_t)(entry->hash != 0);
    w->hash += hash - entry->hash;
    entry->hash = hash;
    entry->written = w->stats.frame_count;
    return status;
}
