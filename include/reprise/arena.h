/* Arenas: take memory by moving a pointer, give it back by moving it to a mark.
 *
 *     rp_arena *arena = rp_arena_create(&(rp_arena_desc){.name = "level"});
 *     Node *node = rp_arena_push_array(arena, Node, 100);
 *     rp_arena_mark mark = rp_arena_mark_get(arena);
 *     ... more pushes ...
 *     rp_arena_release(arena, mark);               what was pushed since is gone
 *     rp_arena_reset(arena);                       all of it
 *
 *   chunk | head | pushed ......... at -> | free ... end |     -> next chunk, where one was not
 * enough
 *
 * An arena takes one chunk and lets it grow in place; where the next units are not free it goes on
 * in another chunk. Chunks that a release leaves behind are kept and used again (rp_arena_trim
 * gives them back). For memory that dies together; for blocks with lives of their own take a heap.
 *
 * Layer: alloc.  Threads: one at a time; no call locks.  Tests: tests/alloc/test_arena.c
 */
#ifndef REPRISE_ARENA_H
#define REPRISE_ARENA_H

#include <reprise/memory.h>
#include <stdbool.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_arena_desc {
    const char *name;   /* copied */
    size_t first_bytes; /* of the first chunk; 0: 64 KiB. Memory costs only once it is touched */
    size_t cap_bytes;   /* hard cap on what is taken; 0: none */
    rp_zone zone;       /* of an arena with a parent: the parent's */
    struct rp_arena *parent; /* take the arena and its chunks from this one: it ends with what the
                                parent releases or resets */
    void *memory;        /* the caller's own, or null; it must outlive the arena, which never takes
                            more, and not be a small block of a generic heap */
    size_t memory_bytes; /* at least 1 KiB */
} rp_arena_desc;

/* The fields are for the inline calls below. */
typedef struct rp_arena {
    uint64_t allocator_[16];
    uint8_t *at_, *end_; /* free bytes of the chunk that is in use */
    uint64_t rest_[56];
} rp_arena;

/* A place in an arena. A mark ends when it, or one from before it, is released. */
typedef struct rp_arena_mark {
    uint8_t *at;
    void *chunk;
    uint64_t serial;
    uint32_t depth, arena;
} rp_arena_mark;

/* Null with the record set: out of region, over the parent's cap, or RP_E_ARGUMENT. Destroy with
 * rp_allocator_destroy(rp_arena_allocator(arena)). Cost: a region block, some 100 ns. */
rp_arena *rp_arena_create(const rp_arena_desc *desc);
/* The arena for rp_alloc, which costs 16 bytes a block: rp_free of the last block takes it back, of
 * another one is counted and has no effect; the last one is resized in place. A walk visits the
 * used part of each chunk as one block, and the statistics count these. */
rp_allocator *rp_arena_allocator(rp_arena *arena);

void *rp_arena_push_slow_(rp_arena *arena, size_t size_bytes, size_t align_bytes);

/* `size_bytes` at a multiple of `align_bytes`, a power of two up to 1 MiB; the content is
 * undefined. Null with the record set at the cap or when the region is full. */
static inline void *rp_arena_push(rp_arena *arena, size_t size_bytes, size_t align_bytes)
{
    uintptr_t start = ((uintptr_t)arena->at_ + (align_bytes - 1)) & ~(uintptr_t)(align_bytes - 1);
    uintptr_t top;
    if (__builtin_expect(
            __builtin_add_overflow(start, size_bytes, &top) || top > (uintptr_t)arena->end_, 0)) {
        return rp_arena_push_slow_(arena, size_bytes, align_bytes);
    }
    arena->at_ = (uint8_t *)top;
    return (void *)start;
}

static inline void *rp_arena_push_zeroed(rp_arena *arena, size_t size_bytes, size_t align_bytes)
{
    void *start = rp_arena_push(arena, size_bytes, align_bytes);
    return start ? memset(start, 0, size_bytes) : start;
}

/* `count` objects of `size_bytes`, zeroed; null also where the product does not fit. */
void *rp_arena_push_array_at(rp_arena *arena, size_t count, size_t size_bytes, size_t align_bytes);
#define rp_arena_push_array(arena, Type, count) \
    ((Type *)rp_arena_push_array_at((arena), (count), sizeof(Type), RP_ALIGN_OF(Type)))

/* A copy of `length` bytes with a zero behind them. */
char *rp_arena_push_text(rp_arena *arena, const char *text, size_t length);
/* As printf; null also where the format fails. */
__attribute__((format(printf, 2, 3))) char *rp_arena_push_format(rp_arena *arena,
                                                                 const char *format, ...);

rp_arena_mark rp_arena_mark_get(rp_arena *arena);
/* Gives back what was pushed since the mark. A mark of another arena, or one that has ended, is the
 * caller's error: named, then the program ends. Arenas made in this one since the mark end. */
void rp_arena_release(rp_arena *arena, rp_arena_mark mark);
/* Gives back everything; all marks end. */
void rp_arena_reset(rp_arena *arena);
/* Gives chunks that are not in use back to the region. */
void rp_arena_trim(rp_arena *arena);

typedef struct rp_arena_stats {
    uint64_t used_bytes;  /* pushed, padding included */
    uint64_t taken_bytes; /* of all chunks */
    uint64_t chunk_count;
    uint64_t mark_depth;    /* marks that have not ended */
    uint64_t ignored_frees; /* frees of blocks that were not the last */
} rp_arena_stats;
void rp_arena_stats_get(const rp_arena *arena, rp_arena_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
