/* Packed records and pages from anywhere: read to their end or refused, never beyond it, and a
 * record that can be read comes out the same when it is packed again. Entry point for libFuzzer and
 * for plain drivers that call it with mutated files.
 */
#include "history/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct sum {
    uint64_t pages, words;
    bool whole;
} sum;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static sum read_all(rp_packer *packer, const uint8_t *blob, size_t size)
{
    static uint8_t content[RP_PAGE_BYTES];
    rp_unpack reader;
    sum found = {0};
    if (rp_unpack_open(packer, blob, size, &reader) != RP_OK) {
        return found;
    }
    while (rp_unpack_next(&reader)) {
        memset(content, 0, sizeof content);
        if (!rp_unpack_xor(&reader, content)) {
            break;
        }
        found.pages = found.pages * 31 + reader.page * 2 + reader.born;
        for (size_t i = 0; i < sizeof content; i += 8) {
            uint64_t word;
            memcpy(&word, content + i, sizeof word);
            found.words = found.words * 1099511628211u + word;
        }
    }
    found.whole = reader.left == 0;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rp_packer packer;
    static rp_grow out;
    uint8_t content[RP_PAGE_BYTES] = {0};
    size_t again_size;
    if (!out.data) {
        require(rp_packer_init(&packer) == RP_OK && rp_grow_init(&out, RP_MIB(300)) == RP_OK);
    }
    if (size == 0) {
        return 0;
    }
    uint8_t *copy = malloc(size); /* of this very size: a sanitizer sees a byte too far */
    require(copy);
    memcpy(copy, data, size);
    rp_unpack_version(copy, size, content, false);
    rp_unpack_version(copy, size, content, true);
    sum first = read_all(&packer, copy, size);
    for (rp_codec codec = RP_CODEC_LZ4; codec <= RP_CODEC_ZSTD; codec++) {
        if (rp_pack_again(&packer, copy, size, codec, &out, 0, &again_size) == RP_OK) {
            sum again = read_all(&packer, out.data, again_size);
            require(again_size <= size);
            require(!first.whole ||
                    (again.whole && again.pages == first.pages && again.words == first.words));
        }
    }
    free(copy);
    return 0;
}
