/* A frame once more from the same state with the same input, and where it came out different. */
#include "session.h"
#include "session_internal.h"

#include <base/bits.h>
#include <base/error.h>
#include <history/world.h>
#include <region/region.h>
#include <stdio.h>

/* 0 where no place of the running build has the page. */
static uint64_t address_of(const session *s, const divergence_place *place)
{
    if (place->page < RP_PAGE_EXTRA) {
        return RP_REGION_BASE + (uint64_t)place->page * RP_PAGE_BYTES + place->offset;
    }
    for (uint32_t i = 0; i < s->known_count; i++) {
        uint32_t first = s->known[i].first_page;
        uint32_t pages =
            rp_world_range_pages((void *)(uintptr_t)s->known[i].start, s->known[i].size_bytes);
        if (place->page >= first && place->page - first < pages) {
            return rp_align_down(s->known[i].start, RP_PAGE_BYTES) +
                   (uint64_t)(place->page - first) * RP_PAGE_BYTES + place->offset;
        }
    }
    return 0;
}

/* A variable of the running build, by its symbol table; thread-local ones are not looked for. */
static bool variable_describe(session *s, uint64_t address, char *text, size_t capacity)
{
    const session_build *build = s->loaded ? session_build_at(s, s->loaded) : NULL;
    if (!build || address < build->low || address >= build->high) {
        return false;
    }
    for (size_t i = 0; i < build->elf->symbol_count; i++) {
        const rp_symbol *symbol = &build->elf->symbols[i];
        uint64_t offset = address - build->base - symbol->address;
        if (symbol->kind == RP_SYMBOL_VARIABLE && offset < symbol->size_bytes) {
            snprintf(text, capacity, "%llu bytes into variable '%.*s' of %llu bytes%s%s",
                     (unsigned long long)offset, (int)symbol->base_length, symbol->base,
                     (unsigned long long)symbol->size_bytes, symbol->file[0] ? " of " : "",
                     symbol->file);
            return true;
        }
    }
    return false;
}

uint64_t session_place_describe(session *s, const divergence_place *place, char *text,
                                size_t capacity)
{
    uint64_t address = address_of(s, place);
    if (variable_describe(s, address, text, capacity)) {
        return address;
    }
    link_message answer, request = {.op = LINK_DESCRIBE, .a = address};
    process_wait wait = session_wait(s);
    bool told = process_ask(&s->live, &request, &answer, &wait) == RP_OK;
    snprintf(text, capacity, "%s", told ? s->live.link->error : "");
    return address;
}

static int add_bytes(char *text, size_t capacity, const uint8_t *bytes, uint32_t count)
{
    int length = 0;
    for (uint32_t i = 0; i < count && (size_t)length + 4 < capacity; i++) {
        length +=
            snprintf(text + length, capacity - (size_t)length, "%s%02x", i ? " " : "", bytes[i]);
    }
    return length;
}

static void tell(session *s, uint64_t frame, const divergence_place *place)
{
    char what[300], first[32] = "", now[32] = "";
    uint64_t address = session_place_describe(s, place, what, sizeof what);
    add_bytes(first, sizeof first, place->first, place->byte_count);
    add_bytes(now, sizeof now, place->now, place->byte_count);
    snprintf(
        s->twice_text, sizeof s->twice_text,
        "synctest: frame %llu came out different when it was run again: at 0x%llx, %s%s%s%s%s%s",
        (unsigned long long)frame, (unsigned long long)address, what, place->exact ? ": " : "",
        first, place->exact ? " the first time, " : "", now, place->exact ? " the second" : "");
}

static rp_status compare(session *s, const divergence *first, uint64_t first_hash, bool *differs)
{
    uint64_t hash, index = rp_log_position(s->log);
    divergence_place place = {0};
    rp_status status = rp_log_hash(s->log, index, &hash);
    *differs = !status && hash != first_hash;
    if (*differs) {
        s->twice_differed++;
        s->twice_frame = session_frame(s);
        snprintf(s->twice_text, sizeof s->twice_text,
                 "synctest: frame %llu came out different when it was run again",
                 (unsigned long long)s->twice_frame);
        if (divergence_find(first, s->log, index, &place)) {
            tell(s, s->twice_frame, &place);
        }
    }
    return status;
}

rp_status session_again(session *s, const rp_input *input, bool shown, bool *differs)
{
    uint64_t index = rp_log_position(s->log), frame = session_frame(s), hash;
    *differs = false;
    if (index == rp_log_first(s->log)) {
        return rp_fail(RP_E_BUDGET,
                       "synctest: the frame before %llu is not kept: give a larger --budget",
                       (unsigned long long)frame);
    }
    rp_status status = rp_log_hash(s->log, index, &hash);
    divergence *first = divergence_create(frame - 1, frame);
    divergence_note(first, s->log, index);
    if (!status) {
        status = session_position(s, index - 1);
    }
    if (!status) {
        status = session_step(s, input, true, shown);
    }
    if (!status) {
        s->twice_count++;
        status = compare(s, first, hash, differs);
    }
    divergence_destroy(first);
    return status;
}
