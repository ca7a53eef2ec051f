/* What all allocators share: the head of each, the table of kinds, the registry.
 *
 *   rp_alloc_at(a, …) ── a->kind ──► rp_allocator_ops        functions by id: an allocator in the
 *   rp_free(p) ── unit of p ── owner ──► registry ──► a      region holds no pointer into code
 *
 * Each allocator begins with an rp_allocator and is registered in its zone under an id, which its
 * units carry as their owner. The debug side (scopes, canaries, guards, …) is of the trace layer
 * above; it hands its functions down as rp_debug_ops.
 *
 * Layer: alloc, for this layer and for trace.  Threads: see each call.
 */
#ifndef RP_ALLOC_ALLOCATOR_H
#define RP_ALLOC_ALLOCATOR_H

#include "os/os.h"
#include "region/region.h"

#include <reprise/memory.h>

#define ALLOCATOR_MAGIC UINT32_C(0x6f6c6172)
enum { ALLOCATOR_NAME_BYTES = 32 };

/* Never renumber: the numbers stand in saved worlds. */
typedef enum allocator_kind {
    KIND_NONE,
    KIND_STATIC,
    KIND_GENERIC,
    KIND_HEAP, /* in the caller's memory */
    KIND_PAGE,
    KIND_SLOT,
    KIND_ARENA,
    KIND_TEMP,
    KIND_COUNT
} allocator_kind;

struct rp_allocator {
    uint32_t magic;
    uint8_t kind; /* allocator_kind */
    uint8_t zone; /* rp_zone */
    uint16_t unused;
    uint32_t id;    /* in the zone's registry, from 1 on */
    uint32_t scope; /* the scope that was open when it was made; 0: the root */
    uint32_t debug; /* rp_debug_mode bits that hold for new blocks; 0: the fast path */
    rp_os_lock lock;
    char name[ALLOCATOR_NAME_BYTES]; /* cut */
};

/* The functions of a kind. `align_bytes` is a power of two, 16 or more; sizes are not checked for
 * anything. Null entries: the kind cannot do it (resize: move; free: the caller's error). */
typedef struct rp_allocator_ops {
    const char *name;
    void *(*alloc)(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed);
    /* `block` lies in one of the allocator's units; everything else is for this call to check, with
     * rp_misuse for what is no live block. */
    void (*free)(rp_allocator *allocator, void *block);
    bool (*resize)(rp_allocator *allocator, void *block, size_t size_bytes); /* in place */
    size_t (*usable)(const rp_allocator *allocator, const void *block);      /* 0: no live block */
    int (*walk)(const rp_allocator *allocator,
                int (*visit)(void *block, size_t size_bytes, void *context), void *context);
    void (*stats)(const rp_allocator *allocator, rp_alloc_stats *stats);
    void (*destroy)(rp_allocator *allocator); /* blocks and itself; unregisters first */
} rp_allocator_ops;

extern const rp_allocator_ops rp_static_ops, rp_generic_ops, rp_backed_ops, rp_page_ops,
    rp_slot_ops, rp_arena_ops, rp_temp_ops;

const rp_allocator_ops *rp_allocator_ops_of(const rp_allocator *allocator);

/* ---- the public calls, for who stands between them and the program: a malloc, an operator new
 * ----
 *
 * As the calls of <reprise/memory.h> in all but this: stacks and reports begin at `caller`, the
 * code address that the program called from, and there is no site. */

void *rp_alloc_from(rp_allocator *allocator, size_t size_bytes, const void *caller);
void *rp_alloc_zeroed_from(rp_allocator *allocator, size_t count, size_t size_bytes,
                           const void *caller);
void *rp_alloc_aligned_from(rp_allocator *allocator, size_t align_bytes, size_t size_bytes,
                            const void *caller);
void *rp_resize_from(rp_allocator *allocator, void *block, size_t size_bytes, const void *caller);
/* `size_bytes` SIZE_MAX: not said. */
void rp_free_from(void *block, size_t size_bytes, const void *caller);

/* Sets the debug modes that hold for new blocks. */
void rp_allocator_debug_set(rp_allocator *allocator, uint32_t modes);

/* ---- registry.c ---- */

/* Fills the head and gives it an id. RP_E_MEMORY with the record set where the zone has
 * RP_ALLOCATOR_LIMIT of them. Cost: some 10 ns. */
rp_status rp_allocator_register(rp_allocator *allocator, allocator_kind kind, rp_zone zone,
                                const char *name);
void rp_allocator_unregister(rp_allocator *allocator);
/* Null where there is none. Without a lock. */
rp_allocator *rp_allocator_by_id(rp_zone zone, uint32_t id);
enum { RP_ALLOCATOR_LIMIT = 65535 };

/* Aborts unless it is an allocator: a null allocator is the caller's error. */
void rp_allocator_check(const rp_allocator *allocator);

/* Clears a fresh block of the region; memory that never was used is left untouched. */
static inline void rp_block_clear(void *start, size_t size_bytes)
{
    if (!(rp_region_unit(start)->flags & RP_BLOCK_ZEROED)) {
        __builtin_memset(start, 0, size_bytes);
    }
}

/* ---- misuse.c: the caller's errors, named ---- */

typedef enum rp_misuse_kind {
    RP_MISUSE_DOUBLE_FREE,
    RP_MISUSE_FOREIGN,  /* never ours */
    RP_MISUSE_INSIDE,   /* not the start of a block */
    RP_MISUSE_NO_BLOCK, /* memory of ours that was never handed out */
    RP_MISUSE_WRITTEN_AFTER_FREE,
    RP_MISUSE_WRONG_SIZE,
    RP_MISUSE_WRONG_ALLOCATOR,
    RP_MISUSE_OVERWRITTEN, /* bookkeeping, or a canary */
} rp_misuse_kind;

/* Prints a report (through the debug side where there is one) and aborts. `allocator` may be null:
 * unknown. `what`: "free", "resize", …; `caller`: a code address, or null. */
_Noreturn void rp_misuse(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
                         const char *what, const void *caller);

/* ---- what the trace layer provides ---- */

/* Units of kind RP_BLOCK_TRACKED are the debug side's, with the allocator's id as owner. */
typedef struct rp_debug_ops {
    /* A block for `allocator`, which has debug modes or whose thread is in a traced scope. */
    void *(*alloc)(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed,
                   const char *site, const void *caller);
    /* `size_bytes` SIZE_MAX: not said. */
    void (*free)(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                 const void *caller);
    /* The bytes asked for of a live block; 0: none starts there. */
    size_t (*usable)(rp_unit *head, const void *block);
    /* Whether the block could be resized in place. */
    bool (*resize)(rp_allocator *allocator, rp_unit *head, void *block, size_t size_bytes,
                   const void *caller);
    int (*walk)(const rp_allocator *allocator,
                int (*visit)(void *block, size_t size_bytes, void *context), void *context);
    void (*stats_add)(const rp_allocator *allocator, rp_alloc_stats *stats);
    /* Frees all tracked blocks of the allocator, which is being destroyed. */
    void (*destroyed)(rp_allocator *allocator);
    /* A new allocator: sets its debug modes by name. */
    void (*created)(rp_allocator *allocator);
    /* Takes or drops the debug side's locks, around a fork; may be null. */
    void (*fork)(bool take);
    /* Says all that is known of the address; returns, and the caller aborts. */
    void (*explain)(rp_misuse_kind kind, const rp_allocator *allocator, const void *address,
                    const void *caller);
} rp_debug_ops;

/* Once in a process, before there are other threads. */
void rp_debug_ops_set(const rp_debug_ops *ops);
const rp_debug_ops *rp_debug_ops_get(void); /* null: there is no debug side */

/* ---- thread.c: what a thread knows of itself ---- */

typedef struct rp_alloc_thread {
    uint32_t slot;   /* the thread's place in every heap's caches; 0: none, or it is in a traced
                        scope: the slow path looks closer */
    uint32_t place;  /* the slot that it has, also while `slot` is 0 */
    uint32_t scope;  /* the innermost open scope; 0: the root */
    uint32_t traced; /* depth of open scopes that trace */
    uint32_t heap;   /* the id of the heap of `generic`; 0: none */
    void *generic;   /* its cache in the world's generic allocator, for processes without restores:
                        rp_generic_malloc; one that serves nothing: not looked for yet, or in
                        a traced scope */
    uint32_t ended;  /* its caches were given back: it gets no others */
    uint32_t inside; /* the debug side is at work: what it allocates is not tracked */
} rp_alloc_thread;

rp_alloc_thread *rp_alloc_thread_get(void);
/* Diverts this thread's allocations to rp_debug_ops.alloc while the count is above 0. */
void rp_alloc_thread_trace(int change);

/* Slots are given out lowest first, so that a program that makes the same threads in the same order
 * finds the same caches again. A thread beyond them works without a cache of its own. */
enum { RP_ALLOC_THREADS_MOST = 4095 };

/* The slot of the calling thread, taken at its first call; 0: none is free, or the thread has ended
 * its work with memory. */
uint32_t rp_alloc_thread_attach(void);
/* Gives the thread's caches back in all heaps, and its slot. Runs by itself at a thread's end. */
void rp_alloc_thread_detach(void);
/* Gives back all that the calling thread keeps free for later, in every heap: for a thread that
 * will not allocate for long. */
void rp_alloc_thread_flush(void);

/* Around fork(), where other threads may run: prepare takes every lock of the region and of the
 * allocators, the other two drop them. In the child the slots of the threads that are not there any
 * more are free again. The debug side's locks come first: rp_debug_ops.fork. */
void rp_alloc_fork_prepare(void);
void rp_alloc_fork_parent(void);
void rp_alloc_fork_child(void);

/* ---- find.c ---- */

typedef struct rp_alloc_found {
    rp_allocator *allocator;
    const uint8_t *start; /* of the block, by its usable size; null: which block is not known */
    size_t size_bytes;
    bool live; /* false: free, or free in a cache */
} rp_alloc_found;

/* Whose memory `address`, any address, lies in; false: no allocator's. Tracked blocks are the debug
 * side's to find. While nobody allocates. */
bool rp_alloc_find(const void *address, rp_alloc_found *found);

/* ---- registry.c, for threads' ends and forks; false: there is no registry yet ---- */
bool rp_allocators_lock(rp_zone zone, bool take);

#endif
