/* Gives a damaged take right checksums again, as far as its lengths lead, so that what lies behind
 * the checksums meets damage too. In place.
 */
#ifndef TESTS_TAKE_RESEAL_H
#define TESTS_TAKE_RESEAL_H

#include "take/format.h"

#include <string.h>

static inline void reseal_header(uint8_t *bytes)
{
    rp_take_put_u64(bytes + RP_TAKE_BYTES_header - 8, rp_take_header_checksum(bytes));
}

static inline void reseal_trailer(uint8_t *bytes, size_t size, uint64_t take_id)
{
    uint8_t *trailer = bytes + size - RP_TAKE_BYTES_trailer;
    if (memcmp(trailer, rp_take_end_magic, sizeof rp_take_end_magic) == 0) {
        rp_take_put_u64(trailer + RP_TAKE_BYTES_trailer - 8,
                        rp_take_trailer_checksum(trailer, take_id));
    }
}

static inline void reseal(uint8_t *bytes, size_t size)
{
    if (size < RP_TAKE_BYTES_header + RP_TAKE_BYTES_trailer) {
        return;
    }
    uint64_t take_id = rp_take_get_u64(bytes + 8);
    reseal_header(bytes);
    reseal_trailer(bytes, size, take_id);
    for (size_t at = RP_TAKE_BYTES_header; size - at >= RP_TAKE_BYTES_record;) {
        uint64_t plain = rp_take_get_u32(bytes + at + 4), packed = rp_take_get_u64(bytes + at + 8);
        uint64_t left = size - at - RP_TAKE_BYTES_record;
        if (packed > left || plain > left - packed) {
            return;
        }
        uint64_t checksum = rp_take_record_checksum(
            take_id, at, bytes + at, bytes + at + RP_TAKE_BYTES_record, (size_t)(plain + packed));
        rp_take_put_u64(bytes + at + RP_TAKE_BYTES_record - 8, checksum);
        at += (size_t)(RP_TAKE_BYTES_record + plain + packed);
    }
}

#endif
