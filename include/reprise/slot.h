/* Slots: blocks of one size from a pool, in constant time and without a lock.
 *
 *     rp_slots *bodies = rp_slots_create(&(rp_slots_desc){
 *         .name = "bodies", .slot_bytes = sizeof(Body), .cap_slots = 4096});
 *     Body *body = rp_slot_alloc(bodies);
 *     rp_slot_free(bodies, body);                  or rp_free(body), from any thread
 *
 *   rp_slots ── chunk table ──► | links | slot | slot | slot ... |
 *              free_first         '- one word a slot: live, or the number of the next free slot
 *
 * A slot's link stands apart from the slot, so a free writes nothing into freed memory, a write
 * after a free cannot damage the pool, and a walk is exact. Double frees, frees inside a slot and
 * foreign pointers are named and end the program, in every build.
 *
 * Take it for many objects of one type. For many sizes take a heap.
 *
 * Layer: alloc.  Threads: the thread that made the pool owns it and is the only one that takes
 * slots; any thread may free one: such a slot goes to a list with one compare-and-swap, from which
 * the owner takes it when its own list is empty. Another thread's rp_slot_alloc is null and a
 * reason; rp_slots_own hands the pool over.  Tests: tests/alloc/test_slot.c
 */
#ifndef REPRISE_SLOT_H
#define REPRISE_SLOT_H

#include <reprise/memory.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_slots_desc {
    const char *name;   /* copied */
    size_t slot_bytes;  /* 1 byte to 1 GiB; rounded up to a multiple of the alignment */
    size_t align_bytes; /* a power of two up to 4096; 0: 16 */
    uint64_t cap_slots; /* hard cap on live slots; 0: what 4000 chunks of some 1 MiB hold. The
                           memory of a small capped pool is taken at once. */
    rp_zone zone;
    void *memory; /* the caller's own, for the slots and their links, or null: the region's. It must
                     outlive the pool, and not be a small block of a generic heap. */
    size_t memory_bytes;
} rp_slots_desc;

typedef struct rp_slots_chunk_ {
    uint8_t *slots;
    uint32_t *links; /* of each slot: RP_SLOT_LIVE_, or the next free slot's number plus 1 */
} rp_slots_chunk_;

/* The fields are for the inline calls below. */
typedef struct rp_slots {
    uint64_t allocator_[16];
    uint64_t owner_thread_; /* thread pointer of the owner */
    uint32_t free_first_;   /* number of the first free slot plus 1; 0: none */
    uint32_t chunk_shift_;  /* slots of a chunk: 1 << chunk_shift_ */
    uint64_t slot_bytes_;
    uint64_t reciprocal_; /* of slot_bytes_, times 2^64, rounded up */
    uint64_t chunk_bytes_;
    uint64_t live_count_, peak_count_;
    uint32_t home_; /* the chunk in which a slot was freed last */
    uint32_t unused_;
    uint64_t rest_[8];
    rp_slots_chunk_ chunks_[1]; /* as many as there may be */
} rp_slots;

__extension__ typedef unsigned __int128 rp_slot_wide_;
#define RP_SLOT_LIVE_ UINT32_C(0xffffffff)

/* Null with the record set: out of region, or RP_E_ARGUMENT for a size, alignment or memory that
 * cannot be. */
rp_slots *rp_slots_create(const rp_slots_desc *desc);
/* For rp_alloc (a size over the slot's is null and RP_E_ARGUMENT), rp_walk, rp_stats_get,
 * rp_allocator_destroy. */
rp_allocator *rp_slots_allocator(rp_slots *slots);
/* The calling thread becomes the owner. The former one must not be at work in the pool. */
void rp_slots_own(rp_slots *slots);

void *rp_slot_alloc_slow_(rp_slots *slots);
void rp_slot_free_slow_(rp_slots *slots, void *slot);

/* What tells this thread from the others while it lives. */
static inline uint64_t rp_slot_thread_(void)
{
#ifdef __x86_64__
    uint64_t pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
#else
    return (uint64_t)(uintptr_t)__builtin_thread_pointer();
#endif
}

/* One slot; its content is undefined. Null with the record set at the cap, when the region is full,
 * or on a thread that is not the owner. */
static inline void *rp_slot_alloc(rp_slots *slots)
{
    uint32_t number = slots->free_first_ - 1;
    if (__builtin_expect(!slots->free_first_ || slots->owner_thread_ != rp_slot_thread_(), 0)) {
        return rp_slot_alloc_slow_(slots);
    }
    const rp_slots_chunk_ *chunk = &slots->chunks_[number >> slots->chunk_shift_];
    uint32_t index = number & ((1u << slots->chunk_shift_) - 1);
    slots->free_first_ = chunk->links[index];
    __atomic_store_n(&chunk->links[index], RP_SLOT_LIVE_, __ATOMIC_RELAXED);
    if (++slots->live_count_ > slots->peak_count_) {
        slots->peak_count_ = slots->live_count_;
    }
    return chunk->slots + index * slots->slot_bytes_;
}

/* Frees a slot of this pool, from any thread. Null is ignored. */
static inline void rp_slot_free(rp_slots *slots, void *slot)
{
    if (__builtin_expect(slots->owner_thread_ != rp_slot_thread_(), 0)) {
        rp_slot_free_slow_(slots, slot);
        return;
    }
    const rp_slots_chunk_ *chunk = &slots->chunks_[slots->home_];
    uint64_t offset = (uint64_t)((uintptr_t)slot - (uintptr_t)chunk->slots);
    /* For offset and size below 2^32 the high half of the product is the quotient. */
    uint64_t index = (uint64_t)(((rp_slot_wide_)offset * slots->reciprocal_) >> 64);
    if (__builtin_expect(offset >= slots->chunk_bytes_ || index * slots->slot_bytes_ != offset ||
                             __atomic_load_n(&chunk->links[index], __ATOMIC_RELAXED) !=
                                 RP_SLOT_LIVE_,
                         0)) {
        rp_slot_free_slow_(slots, slot);
        return;
    }
    __atomic_store_n(&chunk->links[index], slots->free_first_, __ATOMIC_RELAXED);
    slots->free_first_ = (slots->home_ << slots->chunk_shift_) + (uint32_t)index + 1;
    slots->live_count_--;
}

#ifdef __cplusplus
}
#endif
#endif
