/* Synctest: a frame is run again from the same state with the same input, and compared.
 *
 * The second commit drops the record of the first run, so what that wrote is copied beside. Equal
 * hashes end it; only where they differ is the place looked for, page by page.
 */
#include "deck/deck_private.h"

#include "base/bits.h"
#include "base/error.h"
#include "base/text.h"
#include "region/region.h"
#include "trace/trace.h"

#include <string.h>
#include <xxhash.h>

enum {
    TWICE_CONTENTS = 1 << 16, /* of pages; of those beyond only the hash is known */
};

typedef struct twice_page {
    uint32_t page;
    uint64_t hash;
} twice_page;

static const uint8_t zeros[RP_PAGE_BYTES];

rp_status deck_twice_open(rp_deck *deck)
{
    rp_status status = rp_grow_init(&deck->twice.pages, (size_t)RP_PAGE_LIMIT * sizeof(twice_page));
    return status == RP_OK
               ? rp_grow_init(&deck->twice.contents, (size_t)TWICE_CONTENTS * RP_PAGE_BYTES)
               : status;
}

void deck_twice_close(rp_deck *deck)
{
    rp_grow_finish(&deck->twice.pages);
    rp_grow_finish(&deck->twice.contents);
}

rp_status deck_twice_begin(rp_deck *deck)
{
    rp_status status = deck_restore(deck, "synctest", deck->frame - 1);
    deck->twice.second = status == RP_OK;
    return status == RP_OK || deck->broken != RP_OK ? status : deck_break(deck, status);
}

/* ---- the first run ---- */

static const uint8_t *content_of(const rp_deck *deck, uint32_t slot)
{
    return slot == RP_SLOT_ZERO ? zeros : rp_log_slot(deck->log, slot);
}

static twice_page *noted_pages(const rp_deck *deck)
{
    return (twice_page *)(void *)deck->twice.pages.data;
}

static rp_status note_pages(rp_deck *deck)
{
    deck_twice *twice = &deck->twice;
    const rp_page_slot *entries = (const rp_page_slot *)(const void *)deck->entries.data;
    size_t contents = rp_min_size(deck->entry_count, TWICE_CONTENTS);
    rp_status status = rp_grow_need(&twice->pages, deck->entry_count * sizeof(twice_page));
    if (status == RP_OK) {
        status = rp_grow_need(&twice->contents, contents * RP_PAGE_BYTES);
    }
    for (size_t i = 0; i < deck->entry_count && status == RP_OK; i++) {
        const uint8_t *content = content_of(deck, entries[i].slot);
        noted_pages(deck)[i] = (twice_page){entries[i].page, XXH3_64bits(content, RP_PAGE_BYTES)};
        if (i < contents) {
            memcpy(twice->contents.data + i * RP_PAGE_BYTES, content, RP_PAGE_BYTES);
        }
    }
    twice->page_count = deck->entry_count;
    return status;
}

static rp_status note_first(rp_deck *deck)
{
    uint64_t index;
    rp_status status = rp_log_hash(deck->log, rp_log_position(deck->log), &deck->twice.hash);
    if (status == RP_OK && !rp_log_find_frame(deck->log, deck->frame - 1, &index)) {
        status = rp_fail(RP_E_BUDGET,
                         "synctest: frame %llu is kept, but the one before it is not, so it cannot "
                         "be run again: open the deck with a larger budget",
                         (unsigned long long)deck->frame);
    }
    if (status == RP_OK) {
        status = note_pages(deck);
    }
    deck->twice.pending = status == RP_OK;
    return status;
}

/* ---- the place of a difference ---- */

/* What a person can do something about comes before what allocators note of it. */
static bool is_programs(const rp_deck *deck, uint32_t page)
{
    rp_region_block block;
    return page >= RP_PAGE_EXTRA ||
           (rp_region_block_find(rp_world_page_address(deck->world, page), &block) &&
            block.kind != RP_BLOCK_PAGES);
}

static void take_page(rp_deck *deck, uint32_t page, const uint8_t *first, const uint8_t *again)
{
    rp_difference *found = &deck->twice.found;
    const uint8_t *start = rp_world_page_address(deck->world, page);
    uint32_t at = 0;
    while (first && at < RP_PAGE_BYTES - 1 && first[at] == again[at]) {
        at++;
    }
    found->address = start + at;
    found->byte_count = first ? (uint32_t)rp_min_size(RP_PAGE_BYTES - at, sizeof found->first) : 0;
    if (first) {
        memcpy(found->first, first + at, found->byte_count);
        memcpy(found->again, again + at, found->byte_count);
    }
}

typedef struct twice_search {
    uint32_t page;
    bool programs;
} twice_search;

/* The lowest page, of the program's own before others. `first` is null where only the hash is
 * known. */
static void meet(rp_deck *deck, twice_search *best, uint32_t page, const uint8_t *first,
                 const uint8_t *again)
{
    rp_difference *found = &deck->twice.found;
    bool programs = is_programs(deck, page);
    bool better = found->page_count == 0 || programs > best->programs ||
                  (programs == best->programs && page < best->page);
    found->page_count++;
    if (better) {
        *best = (twice_search){page, programs};
        take_page(deck, page, first, again);
    }
}

static bool was_noted(const rp_deck *deck, uint32_t page)
{
    for (size_t i = 0; i < deck->twice.page_count; i++) {
        if (noted_pages(deck)[i].page == page) {
            return true;
        }
    }
    return false;
}

static void compare_noted(rp_deck *deck, twice_search *best)
{
    for (size_t i = 0; i < deck->twice.page_count; i++) {
        twice_page noted = noted_pages(deck)[i];
        const uint8_t *again = content_of(deck, rp_log_slot_of(deck->log, noted.page));
        if (XXH3_64bits(again, RP_PAGE_BYTES) != noted.hash) {
            bool kept = i < TWICE_CONTENTS;
            meet(deck, best, noted.page,
                 kept ? deck->twice.contents.data + i * RP_PAGE_BYTES : NULL, again);
        }
    }
}

/* Pages that only the second run wrote: the first left them as they were. */
static void compare_others(rp_deck *deck, twice_search *best)
{
    const rp_page_slot *entries = (const rp_page_slot *)(const void *)deck->entries.data;
    uint64_t before = rp_log_position(deck->log) - 1;
    for (size_t i = 0; i < deck->entry_count; i++) {
        uint8_t first[RP_PAGE_BYTES];
        if (was_noted(deck, entries[i].page) ||
            rp_log_read(deck->log, before, &entries[i].page, 1, first) != RP_OK) {
            continue;
        }
        const uint8_t *again = content_of(deck, entries[i].slot);
        if (memcmp(first, again, RP_PAGE_BYTES) != 0) {
            meet(deck, best, entries[i].page, first, again);
        }
    }
}

static void add_bytes(rp_text_buffer *text, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rp_text_add(text, "%s%02x", i ? " " : "", bytes[i]);
    }
}

static void add_place(const rp_deck *deck, rp_text_buffer *text)
{
    const uint8_t *address = deck->twice.found.address;
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(deck->world, &ranges);
    for (size_t i = 0; i < count; i++) {
        size_t offset = (uintptr_t)address - (uintptr_t)ranges[i].start;
        if (offset < ranges[i].size_bytes) {
            rp_text_add(text, "%zu bytes into range '%s' of %zu bytes", offset, ranges[i].name,
                        ranges[i].size_bytes);
            return;
        }
    }
    rp_trace_describe(text, address);
}

static void tell(rp_deck *deck)
{
    rp_difference *found = &deck->twice.found;
    rp_text_buffer text = rp_text_buffer_over(found->text, sizeof found->text);
    rp_text_add(&text, "frame %llu came out different when it was run again: at %p, ",
                (unsigned long long)found->frame, found->address);
    add_place(deck, &text);
    if (found->byte_count) {
        rp_text_add(&text, ": ");
        add_bytes(&text, found->first, found->byte_count);
        rp_text_add(&text, " the first time, ");
        add_bytes(&text, found->again, found->byte_count);
        rp_text_add(&text, " the second");
    }
    rp_text_add(&text, "; pages that differ: %llu", (unsigned long long)found->page_count);
}

/* ---- comparing ---- */

static void find_place(rp_deck *deck, uint64_t again_hash)
{
    twice_search best = {0};
    deck->twice.any = true;
    deck->twice.found = (rp_difference){
        .frame = deck->frame, .first_hash = deck->twice.hash, .again_hash = again_hash};
    compare_noted(deck, &best);
    compare_others(deck, &best);
    tell(deck);
}

rp_status deck_twice_check(rp_deck *deck, uint64_t *diverged)
{
    uint64_t hash;
    if (!deck->twice.second) {
        return note_first(deck);
    }
    deck->twice.second = false;
    rp_status status = rp_log_hash(deck->log, rp_log_position(deck->log), &hash);
    *diverged = status == RP_OK && hash != deck->twice.hash;
    if (*diverged) {
        find_place(deck, hash);
    }
    return status;
}

bool rp_difference_get(const rp_deck *deck, rp_difference *difference)
{
    if (deck->twice.any) {
        *difference = deck->twice.found;
    }
    return deck->twice.any;
}
