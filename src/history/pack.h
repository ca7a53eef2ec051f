/* How versions of pages are packed: as the exclusive or of two versions, without its zero words.
 *
 * XOR is symmetric, so one packed record leads from the state before it to the one after and back.
 * A packed record ("blob"):
 *
 *   codec and layout (1 byte) · bytes of lists · bytes of words (varints) · both, compressed
 *   lists:  count, then for each page: distance from the page before and whether the page is born
 *           with this record, which blocks of 64 bytes hold a word that is not zero, which words
 *   words:  those 8-byte words, one after another, or turned into 8 planes of bytes
 *
 * Planes put the bytes of equal rank together: where floats move, signs and exponents stay and the
 * rest is noise, and only so a byte compressor sees it.
 *
 * A packed page is one version by itself. Both are read from memory that may be damaged: every
 * reader checks every bound and says "damaged" instead of believing.
 *
 * Layer: history (internal).  Threads: a packer belongs to one thread; all else is pure.
 * Tests: tests/history/test_pack.c, tests/fuzz/fuzz_pack.c
 */
#ifndef RP_HISTORY_PACK_H
#define RP_HISTORY_PACK_H

#include "base/bits.h"
#include "history/storage.h"

#include <reprise/status.h>

typedef enum rp_codec {
    RP_CODEC_NONE = 0, /* zero words left out, no more */
    RP_CODEC_LZ4 = 1,
    RP_CODEC_ZSTD = 2, /* half the size of LZ4 at best, a third of its speed */
} rp_codec;

/* A record of more pages is not packed. */
#define RP_PACK_PAGES_MOST UINT32_C(65536)
/* A page by itself: all its words, their masks, the kind. */
#define RP_PACK_PAGE_BOUND ((size_t)4176)

/* The memory of one thread that packs and unpacks. */
typedef struct rp_packer {
    rp_grow lists, words, stream; /* of the record at hand */
    rp_grow state;                /* the compressors' own memory */
} rp_packer;

rp_status rp_packer_init(rp_packer *packer);
void rp_packer_finish(rp_packer *packer);
/* Gives back what an unusually large record took; `keep_bytes` of each part stay. */
void rp_packer_trim(rp_packer *packer, size_t keep_bytes);
/* What records took since. */
size_t rp_packer_held_bytes(const rp_packer *packer);

typedef struct rp_pack_page {
    uint32_t page;
    bool born;                     /* it had no version before */
    const uint8_t *before, *after; /* RP_PAGE_BYTES each; null: zeros */
} rp_pack_page;

/* Packs a record into `out` from `at` on, where *size_bytes are used then. RP_E_MEMORY. Where the
 * codec does not make it smaller, it is left out. */
rp_status rp_pack_record(rp_packer *packer, const rp_pack_page *pages, size_t count, rp_codec codec,
                         rp_grow *out, size_t at, size_t *size_bytes);

/* Packs a packed record by another codec; it stays as it is where that does not make it smaller.
 * RP_E_FORMAT, RP_E_MEMORY. */
rp_status rp_pack_again(rp_packer *packer, const uint8_t *blob, size_t size_bytes, rp_codec codec,
                        rp_grow *out, size_t at, size_t *again_bytes);

/* Reads a packed record page by page. */
typedef struct rp_unpack {
    const uint8_t *list, *list_end, *word, *word_end;
    uint32_t left; /* pages not yet begun */
    uint32_t page; /* of the page at hand */
    bool born;
} rp_unpack;

/* The reader looks into the packer's memory until the next call with that packer. RP_E_FORMAT:
 * damaged; RP_E_MEMORY. */
rp_status rp_unpack_open(rp_packer *packer, const uint8_t *blob, size_t size_bytes,
                         rp_unpack *reader);
/* The next page: then reader->page and reader->born are set, and one rp_unpack_xor must follow.
 * False at the end and where the record is damaged, when reader->left is not 0. */
bool rp_unpack_next(rp_unpack *reader);
/* Changes `content` from one side of the record to the other; null: only goes on behind the page.
 * False: damaged, and the content may be half changed. */
bool rp_unpack_xor(rp_unpack *reader, uint8_t *content);

/* Packs after XOR before (before null: after itself) into `out`, which has RP_PACK_PAGE_BOUND
 * bytes; the smallest way of: words that are not zero, LZ4, as it is. Returns how many are used. */
size_t rp_pack_version(rp_packer *packer, const uint8_t *before, const uint8_t *after,
                       uint8_t *out);
/* content ^= what was packed; `fresh`: content = what was packed. False: damaged, as above. */
bool rp_unpack_version(const uint8_t *packed, size_t size_bytes, uint8_t *content, bool fresh);

/* into ^= from, a page. */
void rp_page_xor(uint8_t *into, const uint8_t *from);

#endif
