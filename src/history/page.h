/* What both sides of history do with the bytes of one page.
 *
 * Layer: history (internal).
 */
#ifndef RP_HISTORY_PAGE_H
#define RP_HISTORY_PAGE_H

#include "base/bits.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Copies a page past the caches: the destination is not read first, and what the program uses stays
 * cached. Twice as fast as memcpy where neither page is cached. Both are aligned. Before anyone
 * else may read the copy: rp_page_streamed. */
static inline void rp_page_stream(void *to, const void *from)
{
#if defined(__SSE2__)
    __m128i *out = to;
    const __m128i *in = from;
    for (size_t i = 0; i < RP_PAGE_BYTES / sizeof *in; i += 4) {
        __m128i a = _mm_load_si128(in + i), b = _mm_load_si128(in + i + 1);
        __m128i c = _mm_load_si128(in + i + 2), d = _mm_load_si128(in + i + 3);
        _mm_stream_si128(out + i, a);
        _mm_stream_si128(out + i + 1, b);
        _mm_stream_si128(out + i + 2, c);
        _mm_stream_si128(out + i + 3, d);
    }
#else
    memcpy(to, from, RP_PAGE_BYTES);
#endif
}

static inline void rp_page_streamed(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* Most pages that are not zero say so in their first bytes. */
static inline bool rp_page_is_zero(const void *page)
{
    const uint8_t *bytes = page;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, RP_PAGE_BYTES - 1) == 0;
}

#endif
