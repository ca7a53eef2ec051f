/* Packing of records' second parts: zstd, one frame each, without its own checksum or dictionary.
 * The one place that knows the library.
 *
 * Layer: take (internal).  Threads: one a codec.  zstd allocates for itself, with malloc.
 */
#ifndef RP_TAKE_CODEC_H
#define RP_TAKE_CODEC_H

#include <reprise/status.h>
#include <stddef.h>

typedef struct rp_take_codec {
    void *packer, *unpacker; /* made when they are first needed */
} rp_take_codec;

void rp_take_codec_finish(rp_take_codec *codec); /* all zero is nothing */
/* Room that packing may need. */
size_t rp_take_pack_bound(size_t size_bytes);
/* RP_E_MEMORY. */
rp_status rp_take_pack(rp_take_codec *codec, const void *from, size_t size_bytes, void *to,
                       size_t capacity, size_t *packed_bytes);
/* Exactly `size_bytes`, or RP_E_FORMAT without a text of its own; never writes beyond. */
rp_status rp_take_unpack(rp_take_codec *codec, const void *packed, size_t packed_bytes, void *to,
                         size_t size_bytes);

#endif
