/* What the debug modes write into and around blocks, and whether it is still there.
 *
 *   slot start        block            its end            slot end
 *   | canary ........ | the user's bytes | canary ........ |
 *
 * A canary's bytes follow from their addresses, so that marks copied from elsewhere do not pass,
 * and none is zero: the byte that ends a string one byte too long is seen. Of a block with units of
 * its own a page on each side is marked.
 */
#include "trace/tracked.h"

#include <string.h>

enum { MARKS_MOST_BYTES = RP_PAGE_BYTES };

typedef struct byte_span {
    uint8_t *start, *end;
} byte_span;

static byte_span span_before(const tracked_slot *slot)
{
    uint8_t *end = slot->record->start;
    size_t have = (size_t)(end - slot->start);
    return (byte_span){end - rp_min_size(have, MARKS_MOST_BYTES), end};
}

static byte_span span_after(const tracked_slot *slot)
{
    uint8_t *start = slot->record->start + slot->record->said.size_bytes;
    size_t have = (size_t)(slot->start + slot->size_bytes - start);
    return (byte_span){start, start + rp_min_size(have, MARKS_MOST_BYTES)};
}

/* ---- canaries ---- */

static uint64_t canary_word(uintptr_t address)
{
    return (address >> 3) * UINT64_C(0x9e3779b97f4a7c15) | UINT64_C(0x0101010101010101);
}

static uint8_t canary_byte(const uint8_t *at)
{
    return (uint8_t)(canary_word((uintptr_t)at) >> ((uintptr_t)at % 8 * 8));
}

static void paint(byte_span span)
{
    uint8_t *at = span.start;
    for (; at < span.end && (uintptr_t)at % 8; at++) {
        *at = canary_byte(at);
    }
    for (; span.end - at >= 8; at += 8) {
        uint64_t word = canary_word((uintptr_t)at);
        memcpy(at, &word, sizeof word);
    }
    for (; at < span.end; at++) {
        *at = canary_byte(at);
    }
}

static bool byte_intact(const uint8_t *at)
{
    return *at == canary_byte(at);
}

static const uint8_t *first_damaged(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t word;
        if ((uintptr_t)at % 8 == 0 && end - at >= 8 &&
            (memcpy(&word, at, sizeof word), word == canary_word((uintptr_t)at))) {
            at += 8;
        } else if (byte_intact(at)) {
            at++;
        } else {
            return at;
        }
    }
    return NULL;
}

static bool span_intact(byte_span span, rp_debug_error_kind kind, debug_damage *damage)
{
    const uint8_t *first = first_damaged(span.start, span.end);
    if (!first) {
        return true;
    }
    const uint8_t *last = span.end - 1;
    while (byte_intact(last)) {
        last--;
    }
    *damage = (debug_damage){first, (size_t)(last - first) + 1, kind};
    return false;
}

bool rp_marks_byte_damaged(const uint8_t *at, rp_debug_error_kind kind)
{
    return kind == RP_DEBUG_WRITE_AFTER_FREE ? *at != RP_DEBUG_FREED_BYTE : !byte_intact(at);
}

void rp_marks_paint(const tracked_slot *slot)
{
    paint(span_before(slot));
    paint(span_after(slot));
}

bool rp_marks_intact(const tracked_slot *slot, debug_damage *damage)
{
    return span_intact(span_after(slot), RP_DEBUG_OVERRUN, damage) &&
           span_intact(span_before(slot), RP_DEBUG_UNDERRUN, damage);
}

/* ---- fills ---- */

/* Sebastiano Vigna's splitmix64: a bijection of the state, so that no two words of a run agree. */
static uint64_t mixed(uint64_t state)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    state = (state ^ state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    state = (state ^ state >> 27) * UINT64_C(0x94d049bb133111eb);
    return state ^ state >> 31;
}

void rp_fill_new(const tracked_slot *slot, const debug_book *book)
{
    const rp_trace_record *said = &slot->record->said;
    uint8_t *start = slot->record->start;
    if (book->fill_chosen) {
        memset(start, book->fill_byte, said->size_bytes);
        return;
    }
    uint64_t state = mixed(book->seed) ^ said->serial << 32;
    for (size_t at = 0; at < said->size_bytes; at += sizeof state) {
        uint64_t word = mixed(state++);
        memcpy(start + at, &word, rp_min_size(sizeof word, said->size_bytes - at));
    }
}

void rp_fill_freed(const tracked_slot *slot)
{
    memset(slot->record->start, RP_DEBUG_FREED_BYTE, slot->record->said.size_bytes);
}

bool rp_fill_intact(const tracked_slot *slot, debug_damage *damage)
{
    const uint8_t *start = slot->record->start, *end = start + slot->record->said.size_bytes;
    const uint8_t *first = start, *last = end;
    if (start == end || (*start == RP_DEBUG_FREED_BYTE &&
                         memcmp(start, start + 1, (size_t)(end - start) - 1) == 0)) {
        return true;
    }
    while (*first == RP_DEBUG_FREED_BYTE) {
        first++;
    }
    while (last[-1] == RP_DEBUG_FREED_BYTE) {
        last--;
    }
    *damage = (debug_damage){first, (size_t)(last - first), RP_DEBUG_WRITE_AFTER_FREE};
    return false;
}
