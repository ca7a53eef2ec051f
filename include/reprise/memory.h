/* Explicit memory: every allocator behind one small interface.
 *
 *     rp_allocator *physics = rp_heap_create(&(rp_heap_desc){.name = "physics"});
 *     Body *bodies = rp_new(physics, Body, 100);    zeroed, typed, its place in the source known
 *     void *bytes = rp_alloc(physics, 512);
 *     rp_free(bytes);                               one free for the blocks of every allocator
 *     rp_allocator_destroy(physics);                and all of its blocks
 *
 * Every block and all bookkeeping of an allocator lie in the region, so a copy of the region's
 * pages is a copy of the allocator. An allocator belongs to the world zone (restored by a seek) or
 * to the keep zone. A null allocator is the caller's error; out of memory is null and a reason in
 * the error record (rp_error_last).
 *
 * Which one: docs/memory/README.md.  More of them: arena.h, slot.h, page.h, temp.h; debug ones and
 * reports: debug.h, trace.h.
 *
 * Layer: alloc.  Threads: any thread may call any of these, unless the allocator's page says other-
 * wise.  Design: docs/internals/alloc.md  Tests: tests/alloc/
 */
#ifndef REPRISE_MEMORY_H
#define REPRISE_MEMORY_H

#include <reprise/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_zone { RP_ZONE_WORLD = 0, RP_ZONE_KEEP = 1 } rp_zone;

typedef struct rp_allocator rp_allocator;

/* ---- places in the source -------------------------------------------------------------------- */

/* Where a call stands, as one text: "file.c:12", or "file.c:12 Type". Allocators that keep it copy
 * the text; the others do not look at it. */
#define RP_TEXT_OF_(x) #x
#define RP_TEXT_OF(x) RP_TEXT_OF_(x)
#define RP_HERE __FILE__ ":" RP_TEXT_OF(__LINE__)
#define RP_HERE_OF(Type) RP_HERE " " #Type

#ifdef __cplusplus
#define RP_ALIGN_OF(Type) alignof(Type)
#else
#define RP_ALIGN_OF(Type) _Alignof(Type)
#endif

/* ---- allocating ------------------------------------------------------------------------------ */

/* `size_bytes` may be 0 (a distinct pointer is returned). Aligned to 16. Null when over the cap or
 * out of region. The content is undefined. `site`: RP_HERE, or null: unknown. */
void *rp_alloc_at(rp_allocator *allocator, size_t size_bytes, const char *site);
/* `count` times `size_bytes`, all zero; null also where the product does not fit. */
void *rp_alloc_zeroed_at(rp_allocator *allocator, size_t count, size_t size_bytes,
                         const char *site);
/* `align_bytes`: a power of two up to 1 MiB; another one is RP_E_ARGUMENT and null. */
void *rp_alloc_aligned_at(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                          const char *site);
/* An array of `count` zeroed objects. */
void *rp_new_at(rp_allocator *allocator, size_t count, size_t size_bytes, size_t align_bytes,
                const char *site);
/* Moves a block if it must; on failure returns null and the old block stays. Making it smaller
 * never fails. The block stays in the allocator that it came from; `allocator` is used where
 * `block` is null. A block that moved is aligned to 16. */
void *rp_resize_at(rp_allocator *allocator, void *block, size_t size_bytes, const char *site);

#define rp_alloc(allocator, size_bytes) rp_alloc_at((allocator), (size_bytes), RP_HERE)
#define rp_alloc_zeroed(allocator, count, size_bytes) \
    rp_alloc_zeroed_at((allocator), (count), (size_bytes), RP_HERE)
#define rp_alloc_aligned(allocator, align_bytes, size_bytes) \
    rp_alloc_aligned_at((allocator), (align_bytes), (size_bytes), RP_HERE)
#define rp_resize(allocator, block, size_bytes) \
    rp_resize_at((allocator), (block), (size_bytes), RP_HERE)
#define rp_new(allocator, Type, count) \
    ((Type *)rp_new_at((allocator), (count), sizeof(Type), RP_ALIGN_OF(Type), RP_HERE_OF(Type)))

/* One free for the blocks of every allocator. Null is ignored. Aborts with a report on a pointer
 * that is no live block: the caller's error. */
void rp_free(void *block);
/* The same where the caller knows the size that it asked for: a debug allocator checks it. */
void rp_free_sized(void *block, size_t size_bytes);
/* Bytes that may be used of a live block; 0 for a pointer that is none of ours. */
size_t rp_usable_bytes(const void *block);
/* The allocator that a live block came from; null for a pointer that is none of ours. */
rp_allocator *rp_allocator_of(const void *block);

/* ---- any allocator --------------------------------------------------------------------------- */

typedef struct rp_alloc_stats {
    uint64_t live_count, live_bytes; /* blocks that the program holds, by their usable sizes */
    uint64_t peak_bytes;             /* the most that live_bytes was, to within what caches hold */
    uint64_t taken_bytes;            /* taken from the region, or from the parent, for blocks */
    uint64_t cap_bytes;              /* hard cap on taken_bytes; 0: none */
} rp_alloc_stats;

/* Exact while no other thread uses the allocator. */
void rp_stats_get(const rp_allocator *allocator, rp_alloc_stats *stats);
const char *rp_allocator_name(const rp_allocator *allocator);
/* "generic", "heap", "slot", "arena", … Static storage. */
const char *rp_allocator_kind_name(const rp_allocator *allocator);
rp_zone rp_allocator_zone(const rp_allocator *allocator);
/* Calls `visit` for every live block; stops when it returns non-zero and returns that. While no
 * other thread uses the allocator; `visit` must not call it. The order is equal for equal
 * histories. */
int rp_walk(const rp_allocator *allocator,
            int (*visit)(void *block, size_t size_bytes, void *context), void *context);
/* Calls `visit` for every allocator of a zone, by id. */
int rp_allocator_walk(rp_zone zone, int (*visit)(rp_allocator *allocator, void *context),
                      void *context);
/* Gives back every block of the allocator and the allocator itself. Null is ignored. */
void rp_allocator_destroy(rp_allocator *allocator);

/* ---- opening -------------------------------------------------------------------------------- */

typedef struct rp_memory_desc {
    size_t reserve_bytes; /* of the region; 0: 256 GiB, or what the limits allow */
    const char *debug;    /* debug modes by name as of debug.h: getenv("REPRISE_DEBUG"); or null */
} rp_memory_desc;

/* Opens the region for a program that wants the allocators alone: a deck opens it itself, and so do
 * `reprise run` and the preload library. Once in a process, before it has other threads. `desc` may
 * be null: all defaults. RP_E_TAKEN: the address range is used; RP_E_LIMIT; RP_E_BUSY: it is open;
 * RP_E_ARGUMENT: `debug` has an error; the region stays closed. */
rp_status rp_memory_open(const rp_memory_desc *desc);
/* Gives everything back; no pointer into the region holds afterwards. */
void rp_memory_close(void);

/* ---- heaps: any size, scalable over threads -------------------------------------------------- */

typedef struct rp_heap_desc {
    const char *name; /* copied; shown in reports; debug allocators are chosen by it */
    size_t cap_bytes; /* hard cap on what the heap takes from the region for its blocks, in steps of
                         64 KiB; 0: none. With `memory`, that is the cap. */
    rp_zone zone;
    void *memory; /* the caller's own memory, or null: the region's. With it, the heap and all of
                     its blocks lie inside; it must outlive the heap. */
    size_t memory_bytes; /* at least 1 KiB */
} rp_heap_desc;

/* Makes a heap. Null when the region is full or not open; the error record says why. Its caches are
 * made at first use; made, used once and destroyed it costs some 180 ns. */
rp_allocator *rp_heap_create(const rp_heap_desc *desc);

/* The generic allocator: the one to use where no other is better. In `reprise run` and under the
 * preload library, the same that malloc uses. Made at the first call; null where the region is not
 * open. */
rp_allocator *rp_generic(rp_zone zone);

#ifdef __cplusplus
}
#endif
#endif
