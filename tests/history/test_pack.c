/* Packed records and pages come back as they were, and damage never goes further than "damaged". */
#include "base/bits.h"
#include "history/pack.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 40 };

typedef struct pair {
    uint8_t before[PAGES][RP_PAGE_BYTES], after[PAGES][RP_PAGE_BYTES];
    rp_pack_page pages[PAGES];
    size_t count;
} pair;

static void change(uint64_t *seed, uint8_t *page, unsigned how)
{
    uint64_t words[RP_PAGE_BYTES / 8];
    memcpy(words, page, sizeof words);
    for (size_t i = 0; i < RP_COUNT_OF(words); i++) {
        uint64_t r = test_random(seed);
        switch (how) {
        case 0: /* nothing */
            break;
        case 1: /* a few words */
            words[i] += r % 64 == 0 ? r : 0;
            break;
        case 2: /* small numbers everywhere, as floats that move */
            words[i] ^= r & UINT64_C(0x0007ffff0007ffff);
            break;
        default: /* noise */
            words[i] = r;
        }
    }
    memcpy(page, words, sizeof words);
}

static void pair_make(pair *p, uint64_t *seed)
{
    uint32_t page = (uint32_t)(test_random(seed) % 1000);
    p->count = test_random(seed) % (PAGES + 1);
    unsigned way = (unsigned)(test_random(seed) % 5);
    for (size_t i = 0; i < p->count; i++) {
        bool from_zero = test_random(seed) % 4 == 0, to_zero = test_random(seed) % 8 == 0;
        memset(p->before[i], 0, RP_PAGE_BYTES);
        if (!from_zero) {
            change(seed, p->before[i], 3);
        }
        memcpy(p->after[i], p->before[i], RP_PAGE_BYTES);
        change(seed, p->after[i], way < 4 ? way : (unsigned)(test_random(seed) % 4));
        if (to_zero) {
            memset(p->after[i], 0, RP_PAGE_BYTES);
        }
        /* rising, falling, near and far */
        uint64_t far = test_random(seed) % 16;
        page = far ? page + (uint32_t)(far == 1 ? 100 : 1)
                   : (uint32_t)(test_random(seed) % 0x0c000000);
        p->pages[i] = (rp_pack_page){.page = page,
                                     .born = from_zero && test_random(seed) % 2,
                                     .before = from_zero ? NULL : p->before[i],
                                     .after = to_zero ? NULL : p->after[i]};
    }
}

static void expect_record(rp_packer *packer, const pair *p, const uint8_t *blob, size_t size,
                          bool back)
{
    rp_unpack reader;
    uint8_t content[RP_PAGE_BYTES];
    ck_ok(rp_unpack_open(packer, blob, size, &reader));
    for (size_t i = 0; i < p->count; i++) {
        ck_assert(rp_unpack_next(&reader));
        ck_assert_uint_eq(reader.page, p->pages[i].page);
        ck_assert(reader.born == p->pages[i].born);
        memcpy(content, back ? p->after[i] : p->before[i], RP_PAGE_BYTES);
        ck_assert(rp_unpack_xor(&reader, i % 7 == 6 ? NULL : content));
        if (i % 7 != 6) {
            ck_assert_mem_eq(content, back ? p->before[i] : p->after[i], RP_PAGE_BYTES);
        }
    }
    ck_assert(!rp_unpack_next(&reader));
    ck_assert_uint_eq(reader.left, 0);
}

TEST(a_record_leads_from_before_to_after_and_back_by_every_codec)
{
    static pair p;
    rp_packer packer;
    rp_grow out;
    uint64_t seed = test_seed();
    ck_ok(rp_packer_init(&packer));
    ck_ok(rp_grow_init(&out, RP_MIB(4)));
    for (int round = 0; round < 150; round++) {
        pair_make(&p, &seed);
        for (rp_codec codec = RP_CODEC_NONE; codec <= RP_CODEC_ZSTD; codec++) {
            size_t size, at = test_random(&seed) % 5000;
            ck_ok(rp_pack_record(&packer, p.pages, p.count, codec, &out, at, &size));
            expect_record(&packer, &p, out.data + at, size, false);
            expect_record(&packer, &p, out.data + at, size, true);
        }
    }
    rp_grow_finish(&out);
    rp_packer_finish(&packer);
}

TEST(a_record_that_is_packed_again_is_the_same_record_and_never_larger)
{
    static pair p;
    rp_packer packer;
    rp_grow out;
    uint64_t seed = test_seed();
    ck_ok(rp_packer_init(&packer));
    ck_ok(rp_grow_init(&out, RP_MIB(4)));
    for (int round = 0; round < 100; round++) {
        size_t first, again;
        pair_make(&p, &seed);
        rp_codec from = (rp_codec)(round % 2);
        ck_ok(rp_pack_record(&packer, p.pages, p.count, from, &out, 0, &first));
        size_t at = rp_align_up(first, 16);
        ck_ok(rp_grow_need(&out, at));
        ck_ok(rp_pack_again(&packer, out.data, first, RP_CODEC_ZSTD, &out, at, &again));
        ck_assert_uint_le(again, first);
        expect_record(&packer, &p, out.data + at, again, false);
    }
    rp_grow_finish(&out);
    rp_packer_finish(&packer);
}

TEST(what_is_packed_is_small_where_little_changed)
{
    static pair p;
    rp_packer packer;
    rp_grow out;
    size_t size[3];
    ck_ok(rp_packer_init(&packer));
    ck_ok(rp_grow_init(&out, RP_MIB(4)));
    uint64_t seed = 5;
    p.count = PAGES;
    for (size_t i = 0; i < PAGES; i++) {
        change(&seed, p.before[i], 3);
        memcpy(p.after[i], p.before[i], RP_PAGE_BYTES);
        change(&seed, p.after[i], 2);
        p.pages[i] =
            (rp_pack_page){.page = (uint32_t)i, .before = p.before[i], .after = p.after[i]};
    }
    for (rp_codec codec = RP_CODEC_NONE; codec <= RP_CODEC_ZSTD; codec++) {
        ck_ok(rp_pack_record(&packer, p.pages, PAGES, codec, &out, 0, &size[codec]));
    }
    /* of 8 bytes 2 x 19 bits differ: noise but for the planes */
    ck_assert_uint_gt(size[RP_CODEC_NONE], PAGES * RP_PAGE_BYTES);
    ck_assert_uint_lt(size[RP_CODEC_LZ4], PAGES * RP_PAGE_BYTES * 4 / 5);
    ck_assert_uint_lt(size[RP_CODEC_ZSTD], PAGES * RP_PAGE_BYTES * 2 / 3);
    for (size_t i = 0; i < PAGES; i++) {
        memcpy(p.after[i], p.before[i], RP_PAGE_BYTES);
        p.after[i][8 * i]++;
    }
    ck_ok(rp_pack_record(&packer, p.pages, PAGES, RP_CODEC_NONE, &out, 0, &size[0]));
    ck_assert_uint_lt(size[0], PAGES * 20);
    rp_grow_finish(&out);
    rp_packer_finish(&packer);
}

TEST(a_page_by_itself_comes_back_alone_or_over_another)
{
    rp_packer packer;
    uint64_t seed = test_seed();
    uint8_t before[RP_PAGE_BYTES], after[RP_PAGE_BYTES], content[RP_PAGE_BYTES];
    uint8_t packed[RP_PACK_PAGE_BOUND];
    ck_ok(rp_packer_init(&packer));
    for (int round = 0; round < 2000; round++) {
        memset(before, 0, sizeof before);
        change(&seed, before, (unsigned)(test_random(&seed) % 4));
        memcpy(after, before, sizeof after);
        change(&seed, after, (unsigned)(test_random(&seed) % 4));
        if (round % 5 == 0) {
            memset(after, round & 255, sizeof after);
        }
        bool over = test_random(&seed) % 2;
        size_t size = rp_pack_version(&packer, over ? before : NULL, after, packed);
        ck_assert_uint_le(size, RP_PAGE_BYTES + 1);
        memset(content, 0, sizeof content);
        if (over) {
            memcpy(content, before, sizeof content);
        }
        ck_assert(rp_unpack_version(packed, size, content, false));
        ck_assert_mem_eq(content, after, sizeof content);
        if (!over) {
            memset(content, 0x5a, sizeof content);
            ck_assert(rp_unpack_version(packed, size, content, true));
            ck_assert_mem_eq(content, after, sizeof content);
        }
    }
    rp_packer_finish(&packer);
}

/* Reads all of it into a page; what counts is that it ends and stays inside. */
static void read_any(rp_packer *packer, const uint8_t *bytes, size_t size)
{
    uint8_t content[RP_PAGE_BYTES] = {0};
    rp_unpack reader;
    if (rp_unpack_open(packer, bytes, size, &reader) == RP_OK) {
        while (rp_unpack_next(&reader) && rp_unpack_xor(&reader, content)) {
        }
    }
    rp_unpack_version(bytes, size, content, false);
    rp_unpack_version(bytes, size, content, true);
}

TEST(damaged_bytes_are_refused_or_read_as_something_but_never_beyond_their_end)
{
    static pair p;
    rp_packer packer;
    rp_grow out;
    uint64_t seed = test_seed();
    ck_ok(rp_packer_init(&packer));
    ck_ok(rp_grow_init(&out, RP_MIB(4)));
    for (int round = 0; round < 300; round++) {
        size_t size;
        pair_make(&p, &seed);
        ck_ok(rp_pack_record(&packer, p.pages, p.count % 5, (rp_codec)(round % 3), &out, 0, &size));
        uint8_t *copy = malloc(size); /* of this very size: a sanitizer sees a byte too far */
        ck_assert_ptr_nonnull(copy);
        for (int damage = 0; damage < 20; damage++) {
            memcpy(copy, out.data, size);
            copy[test_random(&seed) % size] ^= (uint8_t)(1u << test_random(&seed) % 8);
            read_any(&packer, copy, size);
            memcpy(copy, out.data, size);
            size_t part = test_random(&seed) % size;
            memmove(copy + size - part, copy, part);
            read_any(&packer, copy + size - part, part);
        }
        free(copy);
    }
    rp_grow_finish(&out);
    rp_packer_finish(&packer);
}

static rp_status make_and_pack(void *context)
{
    const pair *p = context;
    rp_packer packer;
    rp_grow out;
    size_t size;
    rp_status status = rp_packer_init(&packer);
    if (status != RP_OK) {
        return status;
    }
    status = rp_grow_init(&out, RP_MIB(4));
    if (status == RP_OK) {
        status = rp_pack_record(&packer, p->pages, p->count, RP_CODEC_ZSTD, &out, 0, &size);
    }
    rp_unpack reader;
    if (status == RP_OK) {
        status = rp_unpack_open(&packer, out.data, size, &reader);
    }
    rp_grow_finish(&out);
    rp_packer_finish(&packer);
    return status;
}

TEST(a_failing_system_call_is_told_by_the_packer)
{
    static pair p;
    uint64_t seed = 9;
    do {
        pair_make(&p, &seed);
    } while (p.count < 20);
    fault_each_call(make_and_pack, &p, ENOMEM);
}
