/* Packing of inputs for the log: what is not zero, and how many zeros lie before it.
 *
 *   packed: | zeros (0 … 255) | count (0 … 255) | count bytes | zeros | count | …
 *
 * Zeros at the end are left out, so no input at all packs to nothing.
 */
#include "deck/input.h"

#include "base/error.h"

#include <string.h>

/* A pair of lengths costs two bytes: fewer zeros than this are kept as they are. */
enum { ZERO_RUN_MIN = 3, LENGTH_MAX = 255 };

_Static_assert(sizeof(rp_input) == 544, "rp_input has no padding, so that its bytes are its value");
_Static_assert(sizeof(rp_input) + 2 * (sizeof(rp_input) / LENGTH_MAX + 1) <= RP_INPUT_PACKED_MAX,
               "an input without zeros fits");

static size_t zero_run(const uint8_t *bytes, size_t size_bytes)
{
    size_t count = 0;
    while (count < size_bytes && bytes[count] == 0) {
        count++;
    }
    return count;
}

/* The bytes from here up to the next run of zeros that is worth leaving out. */
static size_t literal_run(const uint8_t *bytes, size_t size_bytes)
{
    size_t count = 0;
    while (count < size_bytes && count < LENGTH_MAX) {
        size_t zeros = zero_run(bytes + count, size_bytes - count);
        if (zeros >= ZERO_RUN_MIN || count + zeros == size_bytes) {
            break;
        }
        count += zeros + 1;
    }
    return count < LENGTH_MAX ? count : LENGTH_MAX;
}

size_t rp_input_pack(const rp_input *input, uint8_t *packed)
{
    const uint8_t *bytes = (const uint8_t *)input;
    size_t at = 0, written = 0;
    while (at < sizeof *input) {
        size_t zeros = zero_run(bytes + at, sizeof *input - at);
        if (at + zeros == sizeof *input) {
            break;
        }
        zeros = zeros < LENGTH_MAX ? zeros : LENGTH_MAX;
        at += zeros;
        size_t count = literal_run(bytes + at, sizeof *input - at);
        packed[written++] = (uint8_t)zeros;
        packed[written++] = (uint8_t)count;
        memcpy(packed + written, bytes + at, count);
        written += count;
        at += count;
    }
    return written;
}

static rp_status refuse(const char *why)
{
    return rp_fail(RP_E_FORMAT,
                   "packed input: %s: it is damaged, or of another version: record it again", why);
}

static rp_status unpack_runs(const uint8_t *packed, size_t size_bytes, uint8_t *bytes,
                             size_t capacity)
{
    size_t from = 0, to = 0;
    while (from < size_bytes) {
        if (size_bytes - from < 2) {
            return refuse("it ends within a length");
        }
        size_t zeros = packed[from], count = packed[from + 1];
        from += 2;
        if (count > size_bytes - from) {
            return refuse("it ends within its bytes");
        }
        if (zeros + count > capacity - to) {
            return refuse("it is longer than an input");
        }
        to += zeros;
        memcpy(bytes + to, packed + from, count);
        to += count;
        from += count;
    }
    return RP_OK;
}

rp_status rp_input_unpack(const uint8_t *packed, size_t size_bytes, rp_input *input)
{
    rp_input unpacked = {0};
    uint8_t again[RP_INPUT_PACKED_MAX];
    rp_status status = unpack_runs(packed, size_bytes, (uint8_t *)&unpacked, sizeof unpacked);
    if (status != RP_OK) {
        return status;
    }
    if (!memchr(unpacked.text, 0, sizeof unpacked.text)) {
        return refuse("its text does not end");
    }
    if (unpacked.user_bytes > RP_INPUT_USER_BYTES) {
        return refuse("it has more bytes of the program's than fit");
    }
    /* Only one packing of an input is right: equal inputs are equal bytes in the log. */
    size_t length = rp_input_pack(&unpacked, again);
    if (length != size_bytes || (length && memcmp(again, packed, length) != 0)) {
        return refuse("its runs are not cut as they should be");
    }
    *input = unpacked;
    return RP_OK;
}
