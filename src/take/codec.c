/* See codec.h. */
#include "take/codec.h"

#include "base/error.h"

#include <zstd.h>

/* Level 1 packs pages at some 500 MB/s; level 3 takes twice as long for a tenth less. */
enum { LEVEL = 1 };

void rp_take_codec_finish(rp_take_codec *codec)
{
    ZSTD_freeCCtx(codec->packer);
    ZSTD_freeDCtx(codec->unpacker);
    *codec = (rp_take_codec){0};
}

size_t rp_take_pack_bound(size_t size_bytes)
{
    return ZSTD_compressBound(size_bytes);
}

rp_status rp_take_pack(rp_take_codec *codec, const void *from, size_t size_bytes, void *to,
                       size_t capacity, size_t *packed_bytes)
{
    codec->packer = codec->packer ? codec->packer : ZSTD_createCCtx();
    size_t result = codec->packer
                        ? ZSTD_compressCCtx(codec->packer, to, capacity, from, size_bytes, LEVEL)
                        : (size_t)-1;
    if (!codec->packer || ZSTD_isError(result)) {
        return rp_fail(RP_E_MEMORY, "take: %zu bytes cannot be packed: free memory", size_bytes);
    }
    *packed_bytes = result;
    return RP_OK;
}

rp_status rp_take_unpack(rp_take_codec *codec, const void *packed, size_t packed_bytes, void *to,
                         size_t size_bytes)
{
    codec->unpacker = codec->unpacker ? codec->unpacker : ZSTD_createDCtx();
    if (!codec->unpacker) {
        return rp_fail(RP_E_MEMORY, "take: no memory to unpack: free some");
    }
    /* One frame only: what follows it would have to be a frame as well, and is no part of ours. */
    if (ZSTD_findFrameCompressedSize(packed, packed_bytes) != packed_bytes) {
        return RP_E_FORMAT;
    }
    size_t result = ZSTD_decompressDCtx(codec->unpacker, to, size_bytes, packed, packed_bytes);
    return ZSTD_isError(result) || result != size_bytes ? RP_E_FORMAT : RP_OK;
}
