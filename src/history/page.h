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

/* Most pages that are not zero say so in their first bytes. */
static inline bool rp_page_is_zero(const void *page)
{
    const uint8_t *bytes = page;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, RP_PAGE_BYTES - 1) == 0;
}

#endif
