/* Whose memory an address is, in an image of a world that is not the one of this process: in a
 * take, in a core file.
 *
 *   address ── map of units ──► slab, large block, tracked block, run of an allocator
 *                                  └─► allocator, scope, site
 *
 * What a live world says of itself (rp_region_block_find, rp_alloc_find, rp_trace_find), said of
 * bytes that somebody hands over. Every one of them is taken for hostile: what is read is copied
 * and checked before use, nothing is followed twice, and nothing is looked up in this process.
 *
 * Layer: trace.  Threads: those of `read`.  Tests: tests/trace/test_image.c
 */
#ifndef RP_TRACE_IMAGE_H
#define RP_TRACE_IMAGE_H

#include "alloc/allocator.h"

typedef struct rp_image {
    void *context;
    /* Copies; false: not all of it is in the image. */
    bool (*read)(void *context, uint64_t address, void *to, size_t size_bytes);
    uint64_t base; /* of the region */
} rp_image;

typedef enum rp_image_place {
    RP_IMAGE_OUTSIDE, /* of the world zone, or the image holds no world of this version */
    RP_IMAGE_BOOKS,   /* what the region and the allocators keep for themselves */
    RP_IMAGE_FREE,
    RP_IMAGE_BLOCK, /* one block: live, or its last user is known */
    RP_IMAGE_RUN,   /* of an allocator that looks into it itself: an arena, a pool of slots */
} rp_image_place;

typedef struct rp_image_block {
    rp_image_place place;
    bool live;    /* of a block */
    bool tracked; /* `size_bytes` is what was asked for, and site and scope are the block's own */
    uint64_t start, size_bytes; /* of BLOCK and RUN */
    uint32_t allocator;         /* its id; 0: none */
    uint32_t scope;             /* else that in which the allocator was made */
    uint32_t site;
    char name[ALLOCATOR_NAME_BYTES]; /* of the allocator */
} rp_image_block;

/* Cost: three reads or so. */
void rp_image_find(const rp_image *image, uint64_t address, rp_image_block *block);

/* The text that a block was made with: "game.c:12 Enemy"; "" where it has none, or is a call
 * without a text. */
void rp_image_site(const rp_image *image, uint32_t site, char *text, size_t capacity);
/* "/level/physics"; "/" for the root. False: the image names no such scope. */
bool rp_image_scope_path(const rp_image *image, uint32_t scope, char *text, size_t capacity);

#endif
