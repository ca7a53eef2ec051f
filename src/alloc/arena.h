/* Inside arenas: what temp memory needs of them besides the public calls.
 *
 * Layer: alloc, internal.
 */
#ifndef RP_ALLOC_ARENA_H
#define RP_ALLOC_ARENA_H

#include "alloc/allocator.h"

#include <reprise/arena.h>

/* rp_arena_create with a kind: KIND_ARENA or KIND_TEMP. */
rp_arena *rp_arena_make(const rp_arena_desc *desc, allocator_kind kind);
/* Ends an arena without parent or memory of its own: unregisters it and hands each of its region
 * blocks to `give`, the one with the arena itself last. */
void rp_arena_dissolve(rp_arena *arena, void (*give)(void *block, void *context), void *context);

static inline rp_arena *arena_of(const rp_allocator *allocator)
{
    return (rp_arena *)(uintptr_t)allocator;
}

static inline rp_allocator *arena_base(const rp_arena *arena)
{
    return (rp_allocator *)(uintptr_t)arena->allocator_;
}

/* ---- arena_block.c: the functions of an allocator, for both kinds ---- */

void *rp_arena_op_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes,
                        bool zeroed);
void rp_arena_op_free(rp_allocator *allocator, void *block);
bool rp_arena_op_resize(rp_allocator *allocator, void *block, size_t size_bytes);
size_t rp_arena_op_usable(const rp_allocator *allocator, const void *block);
int rp_arena_op_walk(const rp_allocator *allocator,
                     int (*visit)(void *block, size_t size_bytes, void *context), void *context);
void rp_arena_op_stats(const rp_allocator *allocator, rp_alloc_stats *stats);
void rp_arena_op_destroy(rp_allocator *allocator);

/* ---- shared by arena.c and arena_block.c ---- */

typedef struct arena_chunk {
    struct arena_chunk *next;
    uint8_t *start, *end; /* payload */
    uint8_t *left;        /* up to here it is used; of the chunk in use: rp_arena.at_ */
} arena_chunk;

enum { SERIALS_KEPT = 32 };

/* rp_arena.rest_ */
typedef struct arena_rest {
    arena_chunk *first, *current;
    uint64_t marks[SERIALS_KEPT]; /* of the open marks, by depth: see mark_key in arena.c */
    uint64_t serial;              /* of the last mark */
    uint32_t depth;
    uint32_t fixed; /* it never takes a chunk from the region */
    uint64_t cap_bytes, taken_bytes, peak_bytes, ignored_frees;
    rp_arena *parent, *children, *sibling; /* children: the youngest first */
    uint64_t born;                         /* the parent's last mark when it was made */
    uint8_t *memory;                       /* the caller's, or null */
} arena_rest;

_Static_assert(sizeof(arena_rest) <= sizeof(((rp_arena *)0)->rest_), "the rest fits");
_Static_assert(sizeof(rp_allocator) <= sizeof(((rp_arena *)0)->allocator_), "the head fits");

static inline arena_rest *arena_rest_of(const rp_arena *arena)
{
    return (arena_rest *)(uintptr_t)arena->rest_;
}

static inline size_t chunk_used(const rp_arena *arena, const arena_chunk *chunk)
{
    const uint8_t *top = chunk == arena_rest_of(arena)->current ? arena->at_ : chunk->left;
    return (size_t)(top - chunk->start);
}

/* Before the pointer moves back. */
void rp_arena_note_peak(rp_arena *arena);
uint64_t rp_arena_used_bytes(const rp_arena *arena);

#endif
