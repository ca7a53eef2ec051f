/* Packing of page versions; see pack.h. */
#include "history/pack.h"

#include "base/error.h"

#include <lz4.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY /* contexts in our memory: nothing here may take from a heap */
#include <zstd.h>

enum {
    WORDS_IN_BLOCK = 8,
    BLOCKS = RP_PAGE_BYTES / (WORDS_IN_BLOCK * sizeof(uint64_t)),
    LIST_BOUND = 5 + sizeof(uint64_t) + BLOCKS, /* of one page */
    HEADER_BOUND = 16,
    VARINT_BOUND = 5,
    PLANES_BIT = 0x10,
    ZSTD_LEVEL = 1, /* level 3 takes twice the time for 3 % */
    SAMPLE_BYTES = 8192,
};
#define STREAM_BOUND ((size_t)RP_PACK_PAGES_MOST * RP_PACK_PAGE_BOUND)

static const uint8_t zeros[RP_PAGE_BYTES];

/* ---- the packer's memory ---- */

static size_t lz4_state_bytes(void)
{
    return rp_align_up((size_t)LZ4_sizeofState(), 64);
}

static size_t zstd_state_bytes(void)
{
    return rp_max_size(ZSTD_estimateCCtxSize(ZSTD_LEVEL), ZSTD_estimateDCtxSize());
}

rp_status rp_packer_init(rp_packer *packer)
{
    *packer = (rp_packer){0};
    rp_status status =
        rp_grow_init(&packer->lists, (size_t)RP_PACK_PAGES_MOST * LIST_BOUND + VARINT_BOUND);
    if (status == RP_OK) {
        status = rp_grow_init(&packer->words, STREAM_BOUND);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&packer->stream, STREAM_BOUND + HEADER_BOUND);
    }
    if (status == RP_OK) {
        status = rp_grow_init(&packer->state, lz4_state_bytes() + zstd_state_bytes());
    }
    if (status == RP_OK) {
        status = rp_grow_need(&packer->state, lz4_state_bytes() + zstd_state_bytes());
    }
    if (status != RP_OK) {
        rp_packer_finish(packer);
    }
    return status;
}

void rp_packer_finish(rp_packer *packer)
{
    rp_grow_finish(&packer->state);
    rp_grow_finish(&packer->stream);
    rp_grow_finish(&packer->words);
    rp_grow_finish(&packer->lists);
}

void rp_packer_trim(rp_packer *packer, size_t keep_bytes)
{
    rp_grow_trim(&packer->stream, keep_bytes);
    rp_grow_trim(&packer->words, keep_bytes);
    rp_grow_trim(&packer->lists, keep_bytes);
}

size_t rp_packer_held_bytes(const rp_packer *packer)
{
    return packer->stream.held_bytes + packer->words.held_bytes + packer->lists.held_bytes;
}

static void *lz4_state(rp_packer *packer)
{
    return packer->state.data;
}

static void *zstd_state(rp_packer *packer)
{
    return packer->state.data + lz4_state_bytes();
}

/* ---- numbers ---- */

static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}

/* Null: the number does not end before `end`, or is larger than 35 bits hold. */
static const uint8_t *take_varint(const uint8_t *from, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; from < end && shift < 7 * VARINT_BOUND; shift += 7) {
        uint8_t byte = *from++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return from;
        }
    }
    return NULL;
}

static uint64_t fold_sign(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t unfold_sign(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* ---- words ---- */

/* Puts the words of a XOR b that are not zero, and the masks that say which. */
static void put_words(const uint8_t *a, const uint8_t *b, uint8_t **list, uint64_t **words)
{
    uint64_t blocks = 0, *word = *words;
    uint8_t *mask = *list + sizeof blocks;
    for (unsigned block = 0; block < BLOCKS; block++) {
        uint64_t x[WORDS_IN_BLOCK], y[WORDS_IN_BLOCK], any = 0;
        memcpy(x, a + block * sizeof x, sizeof x);
        memcpy(y, b + block * sizeof y, sizeof y);
        for (unsigned i = 0; i < WORDS_IN_BLOCK; i++) {
            x[i] ^= y[i];
            any |= x[i];
        }
        if (any == 0) {
            continue;
        }
        unsigned bits = 0;
        for (unsigned i = 0; i < WORDS_IN_BLOCK; i++) {
            unsigned differs = x[i] != 0;
            *word = x[i];
            word += differs;
            bits |= differs << i;
        }
        blocks |= UINT64_C(1) << block;
        *mask++ = (uint8_t)bits;
    }
    memcpy(*list, &blocks, sizeof blocks);
    *list = mask;
    *words = word;
}

/* Returns where the words end; null: damaged. */
static const uint8_t *xor_words(const uint8_t **list, const uint8_t *list_end, const uint8_t *word,
                                const uint8_t *word_end, uint8_t *content)
{
    uint64_t blocks;
    const uint8_t *mask = *list + sizeof blocks;
    if (list_end - *list < (ptrdiff_t)sizeof blocks) {
        return NULL;
    }
    memcpy(&blocks, *list, sizeof blocks);
    if (list_end - mask < __builtin_popcountll(blocks)) {
        return NULL;
    }
    for (; blocks; blocks &= blocks - 1) {
        unsigned bits = *mask++;
        if (word_end - word < (ptrdiff_t)(__builtin_popcount(bits) * sizeof(uint64_t))) {
            return NULL;
        }
        size_t at = (size_t)__builtin_ctzll(blocks) * WORDS_IN_BLOCK * sizeof(uint64_t);
        for (; bits; bits &= bits - 1) {
            if (content) {
                uint8_t *place = content + at + (size_t)__builtin_ctz(bits) * sizeof(uint64_t);
                uint64_t x, y;
                memcpy(&x, place, sizeof x);
                memcpy(&y, word, sizeof y);
                x ^= y;
                memcpy(place, &x, sizeof x);
            }
            word += sizeof(uint64_t);
        }
    }
    *list = mask;
    return word;
}

void rp_page_xor(uint8_t *into, const uint8_t *from)
{
    for (size_t at = 0; at < RP_PAGE_BYTES; at += sizeof(uint64_t)) {
        uint64_t x, y;
        memcpy(&x, into + at, sizeof x);
        memcpy(&y, from + at, sizeof y);
        x ^= y;
        memcpy(into + at, &x, sizeof x);
    }
}

/* ---- planes ---- */

/* Exchanges the upper part of `a` with the lower part of `b`, in each piece of twice `shift` bits.
 */
static inline void exchange(uint64_t *a, uint64_t *b, unsigned shift, uint64_t low)
{
    uint64_t differs = ((*a >> shift) ^ *b) & low;
    *a ^= differs << shift;
    *b ^= differs;
}

/* Rows become columns in a square of 8 x 8 bytes: first in squares of 4, then of 2, then of 1. */
static inline void turn_square(uint64_t row[8])
{
    for (unsigned i = 0; i < 4; i++) {
        exchange(&row[i], &row[i + 4], 32, UINT64_C(0x00000000ffffffff));
    }
    for (unsigned i = 0; i < 8; i += 4) {
        exchange(&row[i], &row[i + 2], 16, UINT64_C(0x0000ffff0000ffff));
        exchange(&row[i + 1], &row[i + 3], 16, UINT64_C(0x0000ffff0000ffff));
    }
    for (unsigned i = 0; i < 8; i += 2) {
        exchange(&row[i], &row[i + 1], 8, UINT64_C(0x00ff00ff00ff00ff));
    }
}

static void words_to_planes(uint8_t *to, const uint8_t *words, size_t count)
{
    size_t whole = count & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t square[8];
        memcpy(square, words + i * 8, sizeof square);
        turn_square(square);
        for (size_t plane = 0; plane < 8; plane++) {
            memcpy(to + plane * count + i, &square[plane], 8);
        }
    }
    for (size_t i = whole; i < count; i++) {
        for (size_t plane = 0; plane < 8; plane++) {
            to[plane * count + i] = words[i * 8 + plane];
        }
    }
}

static void planes_to_words(uint8_t *to, const uint8_t *planes, size_t count)
{
    size_t whole = count & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t square[8];
        for (size_t plane = 0; plane < 8; plane++) {
            memcpy(&square[plane], planes + plane * count + i, 8);
        }
        turn_square(square);
        memcpy(to + i * 8, square, sizeof square);
    }
    for (size_t i = whole; i < count; i++) {
        for (size_t plane = 0; plane < 8; plane++) {
            to[i * 8 + plane] = planes[plane * count + i];
        }
    }
}

/* Whether turning makes a sample from the middle smaller by a tenth or more. */
static bool planes_pay(rp_packer *packer, const uint8_t *words, size_t size_bytes)
{
    uint8_t turned[SAMPLE_BYTES], packed[LZ4_COMPRESSBOUND(SAMPLE_BYTES)];
    if (size_bytes < SAMPLE_BYTES) {
        return false;
    }
    const uint8_t *sample =
        words + rp_align_down((size_bytes - SAMPLE_BYTES) / 2, sizeof(uint64_t));
    words_to_planes(turned, sample, SAMPLE_BYTES / sizeof(uint64_t));
    int plain = LZ4_compress_fast_extState(lz4_state(packer), (const char *)sample, (char *)packed,
                                           SAMPLE_BYTES, sizeof packed, 1);
    int planes = LZ4_compress_fast_extState(lz4_state(packer), (const char *)turned, (char *)packed,
                                            SAMPLE_BYTES, sizeof packed, 1);
    return planes * 10 < plain * 9;
}

/* ---- records ---- */

static rp_status put_lists(rp_packer *packer, const rp_pack_page *pages, size_t count,
                           size_t *list_bytes, size_t *word_bytes)
{
    rp_status status = rp_grow_need(&packer->lists, count * LIST_BOUND + VARINT_BOUND);
    uint8_t *list = packer->lists.data;
    uint64_t *words = (uint64_t *)(void *)packer->words.data;
    int64_t expected = 0;
    if (status == RP_OK) {
        list = put_varint(list, count);
    }
    for (size_t i = 0; i < count && status == RP_OK; i++) {
        size_t used = (size_t)((uint8_t *)words - packer->words.data);
        status = rp_grow_need(&packer->words, used + RP_PAGE_BYTES + sizeof *words);
        if (status != RP_OK) {
            break;
        }
        const rp_pack_page *page = &pages[i];
        list = put_varint(list, fold_sign(page->page - expected) << 1 | page->born);
        expected = (int64_t)page->page + 1;
        put_words(page->before ? page->before : zeros, page->after ? page->after : zeros, &list,
                  &words);
    }
    *list_bytes = (size_t)(list - packer->lists.data);
    *word_bytes = (size_t)((uint8_t *)words - packer->words.data);
    return status;
}

/* Lists and words in one piece; in *planes whether the words were turned. */
static rp_status join(rp_packer *packer, rp_codec codec, size_t list_bytes, size_t word_bytes,
                      bool *planes)
{
    rp_status status = rp_grow_need(&packer->stream, list_bytes + word_bytes);
    if (status != RP_OK) {
        return status;
    }
    uint8_t *stream = packer->stream.data;
    memcpy(stream, packer->lists.data, list_bytes);
    *planes = codec != RP_CODEC_NONE && planes_pay(packer, packer->words.data, word_bytes);
    if (*planes) {
        words_to_planes(stream + list_bytes, packer->words.data, word_bytes / sizeof(uint64_t));
    } else {
        memcpy(stream + list_bytes, packer->words.data, word_bytes);
    }
    return RP_OK;
}

/* Returns the bytes used, at most `capacity`; 0 where it does not fit. */
static size_t compress(rp_packer *packer, rp_codec codec, const uint8_t *from, size_t size_bytes,
                       uint8_t *to, size_t capacity)
{
    if (codec == RP_CODEC_LZ4) {
        int used = LZ4_compress_fast_extState(lz4_state(packer), (const char *)from, (char *)to,
                                              (int)size_bytes, (int)capacity, 1);
        return used > 0 ? (size_t)used : 0;
    }
    ZSTD_CCtx *context = ZSTD_initStaticCCtx(zstd_state(packer), zstd_state_bytes());
    size_t used =
        context ? ZSTD_compressCCtx(context, to, capacity, from, size_bytes, ZSTD_LEVEL) : 0;
    return ZSTD_isError(used) ? 0 : used;
}

rp_status rp_pack_record(rp_packer *packer, const rp_pack_page *pages, size_t count, rp_codec codec,
                         rp_grow *out, size_t at, size_t *size_bytes)
{
    size_t list_bytes, word_bytes;
    bool planes = false;
    if (count > RP_PACK_PAGES_MOST) {
        return rp_fail(RP_E_LIMIT, "history: a record of %zu pages is not packed", count);
    }
    rp_status status = put_lists(packer, pages, count, &list_bytes, &word_bytes);
    if (status == RP_OK) {
        status = join(packer, codec, list_bytes, word_bytes, &planes);
    }
    size_t stream_bytes = list_bytes + word_bytes;
    if (status == RP_OK) {
        status = rp_grow_need(out, at + HEADER_BOUND + stream_bytes);
    }
    if (status != RP_OK) {
        return status;
    }
    uint8_t *start = out->data + at, *to = start + 1;
    to = put_varint(put_varint(to, list_bytes), word_bytes);
    size_t used = 0, capacity = stream_bytes - stream_bytes / 16;
    if (codec != RP_CODEC_NONE && capacity) {
        used = compress(packer, codec, packer->stream.data, stream_bytes, to, capacity);
    }
    if (used == 0) { /* the words as they are, unless they were turned already */
        codec = RP_CODEC_NONE;
        used = stream_bytes;
        memcpy(to, packer->stream.data, stream_bytes);
    }
    *start = (uint8_t)((unsigned)codec | (planes ? PLANES_BIT : 0u));
    *size_bytes = (size_t)(to + used - start);
    return RP_OK;
}

static rp_status damaged(const char *what)
{
    return rp_fail(RP_E_FORMAT, "history: a packed record is damaged: %s", what);
}

static bool decompress(rp_packer *packer, unsigned codec, const uint8_t *from, size_t size_bytes,
                       size_t stream_bytes)
{
    uint8_t *to = packer->stream.data;
    if (codec == RP_CODEC_LZ4) {
        return LZ4_decompress_safe((const char *)from, (char *)to, (int)size_bytes,
                                   (int)stream_bytes) == (int)stream_bytes;
    }
    ZSTD_DCtx *context = ZSTD_initStaticDCtx(zstd_state(packer), zstd_state_bytes());
    return context &&
           ZSTD_decompressDCtx(context, to, stream_bytes, from, size_bytes) == stream_bytes;
}

typedef struct record_head {
    unsigned codec;
    bool planes;
    uint64_t list_bytes, word_bytes;
    const uint8_t *payload;
    size_t payload_bytes;
} record_head;

static bool read_head(const uint8_t *blob, size_t size_bytes, record_head *head)
{
    const uint8_t *end = blob + size_bytes;
    const uint8_t *from = size_bytes ? take_varint(blob + 1, end, &head->list_bytes) : NULL;
    from = from ? take_varint(from, end, &head->word_bytes) : NULL;
    if (!from || (*blob & ~(PLANES_BIT | 3u)) || (*blob & 3u) > RP_CODEC_ZSTD ||
        head->list_bytes + head->word_bytes > STREAM_BOUND || head->word_bytes % 8) {
        return false;
    }
    head->codec = *blob & 3u;
    head->planes = *blob & PLANES_BIT;
    head->payload = from;
    head->payload_bytes = (size_t)(end - from);
    return head->codec != RP_CODEC_NONE ||
           head->payload_bytes == head->list_bytes + head->word_bytes;
}

static rp_status turn_back(rp_packer *packer, const uint8_t **words, size_t word_bytes)
{
    rp_status status = rp_grow_need(&packer->words, word_bytes);
    if (status == RP_OK) {
        planes_to_words(packer->words.data, *words, word_bytes / sizeof(uint64_t));
        *words = packer->words.data;
    }
    return status;
}

rp_status rp_pack_again(rp_packer *packer, const uint8_t *blob, size_t size_bytes, rp_codec codec,
                        rp_grow *out, size_t at, size_t *again_bytes)
{
    record_head head;
    if (!read_head(blob, size_bytes, &head)) {
        return damaged("its head");
    }
    const uint8_t *stream = head.payload;
    size_t stream_bytes = head.list_bytes + head.word_bytes;
    rp_status status = rp_grow_need(&packer->stream, stream_bytes);
    if (status == RP_OK) {
        status = rp_grow_need(out, at + HEADER_BOUND + rp_max_size(stream_bytes, size_bytes));
    }
    if (status != RP_OK) {
        return status;
    }
    if (head.codec != RP_CODEC_NONE) {
        if (!decompress(packer, head.codec, head.payload, head.payload_bytes, stream_bytes)) {
            return damaged("it does not decompress");
        }
        stream = packer->stream.data;
    }
    uint8_t *start = out->data + at;
    size_t head_bytes = (size_t)(head.payload - blob);
    size_t used = head.payload_bytes <= 1 ? 0
                                          : compress(packer, codec, stream, stream_bytes,
                                                     start + head_bytes, head.payload_bytes - 1);
    memcpy(start, blob, used ? head_bytes : size_bytes);
    if (used) {
        *start = (uint8_t)((unsigned)codec | (head.planes ? PLANES_BIT : 0u));
    }
    *again_bytes = used ? head_bytes + used : size_bytes;
    return RP_OK;
}

rp_status rp_unpack_open(rp_packer *packer, const uint8_t *blob, size_t size_bytes,
                         rp_unpack *reader)
{
    record_head head;
    uint64_t count;
    *reader = (rp_unpack){0};
    if (!read_head(blob, size_bytes, &head)) {
        return damaged("its head");
    }
    const uint8_t *stream = head.payload;
    size_t stream_bytes = head.list_bytes + head.word_bytes;
    if (head.codec != RP_CODEC_NONE) {
        rp_status status = rp_grow_need(&packer->stream, stream_bytes);
        if (status != RP_OK) {
            return status;
        }
        if (!decompress(packer, head.codec, head.payload, head.payload_bytes, stream_bytes)) {
            return damaged("it does not decompress");
        }
        stream = packer->stream.data;
    }
    const uint8_t *list_end = stream + head.list_bytes, *words = list_end;
    const uint8_t *list = take_varint(stream, list_end, &count);
    if (!list || count > RP_PACK_PAGES_MOST) {
        return damaged("its count of pages");
    }
    rp_status status = head.planes ? turn_back(packer, &words, head.word_bytes) : RP_OK;
    *reader = (rp_unpack){.list = list,
                          .list_end = list_end,
                          .word = words,
                          .word_end = words + head.word_bytes,
                          .left = (uint32_t)count,
                          .page = UINT32_MAX};
    return status;
}

bool rp_unpack_next(rp_unpack *reader)
{
    uint64_t value;
    const uint8_t *list = reader->left ? take_varint(reader->list, reader->list_end, &value) : NULL;
    if (!list) {
        return false;
    }
    int64_t page = (int64_t)(uint32_t)(reader->page + 1) + unfold_sign(value >> 1);
    if (page < 0 || page >= UINT32_MAX) {
        return false;
    }
    reader->page = (uint32_t)page;
    reader->born = value & 1;
    reader->list = list;
    reader->left--;
    return true;
}

bool rp_unpack_xor(rp_unpack *reader, uint8_t *content)
{
    const uint8_t *word =
        xor_words(&reader->list, reader->list_end, reader->word, reader->word_end, content);
    if (!word) {
        reader->left++; /* so that the end of the walk is not taken for a good one */
        reader->list = reader->list_end;
        return false;
    }
    reader->word = word;
    return true;
}

/* ---- pages ---- */

typedef enum page_kind { PAGE_WORDS, PAGE_LZ4, PAGE_PLAIN } page_kind;

/* Fewer bytes than this are not worth a second look. */
enum { PAGE_SMALL_BYTES = 512 };

size_t rp_pack_version(rp_packer *packer, const uint8_t *before, const uint8_t *after, uint8_t *out)
{
    uint64_t words[RP_PAGE_BYTES / sizeof(uint64_t) + 1], *word = words;
    uint8_t lists[sizeof(uint64_t) + BLOCKS], *list = lists, mixed[RP_PAGE_BYTES];
    put_words(before ? before : zeros, after, &list, &word);
    size_t list_bytes = (size_t)(list - lists), word_bytes = (size_t)(word - words) * sizeof *word;
    size_t sparse = list_bytes + word_bytes;
    if (sparse > PAGE_SMALL_BYTES) {
        memcpy(mixed, after, sizeof mixed);
        if (before) {
            rp_page_xor(mixed, before);
        }
        int most = (int)rp_min_size(sparse - sparse / 8, RP_PAGE_BYTES - RP_PAGE_BYTES / 8);
        int used = LZ4_compress_fast_extState(lz4_state(packer), (const char *)mixed,
                                              (char *)out + 1, sizeof mixed, most, 1);
        if (used > 0) {
            out[0] = PAGE_LZ4;
            return 1 + (size_t)used;
        }
        if (sparse >= RP_PAGE_BYTES) {
            out[0] = PAGE_PLAIN;
            memcpy(out + 1, mixed, sizeof mixed);
            return 1 + sizeof mixed;
        }
    }
    out[0] = PAGE_WORDS;
    memcpy(out + 1, lists, list_bytes);
    memcpy(out + 1 + list_bytes, words, word_bytes);
    return 1 + sparse;
}

/* Where the words of a page by itself begin: behind its masks; null: damaged. */
static const uint8_t *page_words(const uint8_t *list, const uint8_t *end)
{
    uint64_t blocks;
    if (end - list < (ptrdiff_t)sizeof blocks) {
        return NULL;
    }
    memcpy(&blocks, list, sizeof blocks);
    list += sizeof blocks;
    int masks = __builtin_popcountll(blocks);
    return end - list < masks ? NULL : list + masks;
}

static bool unpack_words(const uint8_t *from, const uint8_t *end, uint8_t *content, bool fresh)
{
    const uint8_t *words = page_words(from, end);
    if (!words) {
        return false;
    }
    if (fresh) {
        memset(content, 0, RP_PAGE_BYTES);
    }
    return xor_words(&from, words, words, end, content) == end;
}

static bool unpack_lz4(const uint8_t *from, size_t size_bytes, uint8_t *content, bool fresh)
{
    uint8_t mixed[RP_PAGE_BYTES];
    uint8_t *to = fresh ? content : mixed;
    if (LZ4_decompress_safe((const char *)from, (char *)to, (int)size_bytes, RP_PAGE_BYTES) !=
        (int)RP_PAGE_BYTES) {
        return false;
    }
    if (!fresh) {
        rp_page_xor(content, mixed);
    }
    return true;
}

bool rp_unpack_version(const uint8_t *packed, size_t size_bytes, uint8_t *content, bool fresh)
{
    const uint8_t *from = packed + 1;
    if (size_bytes == 0) {
        return false;
    }
    if (*packed == PAGE_WORDS) {
        return unpack_words(from, packed + size_bytes, content, fresh);
    }
    if (*packed == PAGE_LZ4) {
        return unpack_lz4(from, size_bytes - 1, content, fresh);
    }
    if (*packed != PAGE_PLAIN || size_bytes != 1 + RP_PAGE_BYTES) {
        return false;
    }
    if (fresh) {
        memcpy(content, from, RP_PAGE_BYTES);
    } else {
        rp_page_xor(content, from);
    }
    return true;
}
