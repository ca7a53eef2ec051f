/* See delta.h. */
#include "take/delta.h"

#include <string.h>

enum { WORD_BYTES = 8, WORD_COUNT = RP_PAGE_BYTES / WORD_BYTES };

size_t rp_take_delta_make(const void *old_content, const void *new_content, uint8_t *delta)
{
    const uint8_t *before = old_content, *now = new_content;
    size_t used = RP_TAKE_DELTA_MAP_BYTES;
    memset(delta, 0, RP_TAKE_DELTA_MAP_BYTES);
    for (size_t w = 0; w < WORD_COUNT; w++) {
        uint64_t a, b;
        memcpy(&a, before + w * WORD_BYTES, sizeof a);
        memcpy(&b, now + w * WORD_BYTES, sizeof b);
        a ^= b;
        if (a) {
            if (used == RP_TAKE_DELTA_MOST_BYTES) {
                return 0;
            }
            delta[w / 8] |= (uint8_t)(1u << (w % 8));
            memcpy(delta + used, &a, sizeof a);
            used += sizeof a;
        }
    }
    return used;
}

static size_t size_of(const uint8_t *delta)
{
    size_t words = 0;
    for (size_t i = 0; i < RP_TAKE_DELTA_MAP_BYTES; i++) {
        for (unsigned left = delta[i]; left; left &= left - 1) {
            words++;
        }
    }
    return RP_TAKE_DELTA_MAP_BYTES + words * WORD_BYTES;
}

size_t rp_take_delta_apply(void *content, const uint8_t *delta, size_t size_bytes)
{
    if (size_bytes < RP_TAKE_DELTA_MAP_BYTES || size_of(delta) > size_bytes) {
        return 0;
    }
    uint8_t *now = content;
    size_t used = RP_TAKE_DELTA_MAP_BYTES;
    for (size_t w = 0; w < WORD_COUNT; w++) {
        if (delta[w / 8] >> (w % 8) & 1) {
            uint64_t a, b;
            memcpy(&a, now + w * WORD_BYTES, sizeof a);
            memcpy(&b, delta + used, sizeof b);
            a ^= b;
            memcpy(now + w * WORD_BYTES, &a, sizeof a);
            used += sizeof b;
        }
    }
    return used;
}
