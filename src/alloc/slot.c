/* Slots: pools of blocks of one size; the header has the shape and the inline calls.
 *
 *   block 0:      | pool, chunk table | links | slots |      the caller's memory, or the region's
 *   block 1 …:    | links | slots |                          words[0] of the unit: chunk number
 *
 * Slots are numbered through all chunks. A link is RP_SLOT_LIVE_, else the slot is free: in the
 * owner's list, in the list of those that other threads freed, or never handed out. The lists hold
 * numbers plus 1, so that fresh memory, which is zero, needs no preparation.
 */
#include <reprise/slot.h>

#include "alloc/simple.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

#include <string.h>

enum { CHUNK_BYTES = 1 << 20, CHUNKS_MOST = 4000, FRESH_AT_ONCE = 32, ALIGN_MOST = 4096 };

/* rp_slots.rest_ */
typedef struct slot_rest {
    uint32_t remote_first; /* number plus 1; written by other threads */
    uint32_t owner_place;  /* rp_alloc_thread.place of the owner; 0: it had none */
    uint32_t fresh;        /* slots from this number on were never handed out */
    uint32_t made;         /* slots that have memory */
    uint64_t cap_slots, taken_bytes;
    uint8_t *memory; /* the caller's; null: the region's */
    uint32_t chunk_count, chunks_most;
    uint32_t align_bytes;
} slot_rest;

_Static_assert(sizeof(rp_allocator) <= sizeof(((rp_slots *)0)->allocator_), "the head fits");
_Static_assert(sizeof(slot_rest) <= sizeof(((rp_slots *)0)->rest_), "the rest fits");

static slot_rest *rest_of(const rp_slots *slots)
{
    return (slot_rest *)(uintptr_t)slots->rest_;
}

static rp_allocator *base_of(const rp_slots *slots)
{
    return (rp_allocator *)(uintptr_t)slots->allocator_;
}

static rp_slots *slots_of(const rp_allocator *allocator)
{
    return (rp_slots *)(uintptr_t)allocator;
}

/* ---- shapes ---- */

typedef struct pool_shape {
    size_t slot_bytes, align_bytes, head_bytes, first_bytes; /* head and first chunk */
    uint64_t cap_slots;
    uint32_t chunk_shift, chunks_most;
} pool_shape;

static size_t links_bytes(const pool_shape *shape)
{
    return rp_align_up(sizeof(uint32_t) << shape->chunk_shift, shape->align_bytes);
}

static size_t chunk_bytes(const pool_shape *shape)
{
    return links_bytes(shape) + (shape->slot_bytes << shape->chunk_shift);
}

static size_t head_bytes(const pool_shape *shape)
{
    size_t table = (shape->chunks_most - 1) * sizeof(rp_slots_chunk_);
    return rp_align_up(sizeof(rp_slots) + table, shape->align_bytes);
}

static unsigned log2_up(uint64_t n)
{
    return n <= 1 ? 0 : rp_log2(n - 1) + 1;
}

/* In the region: chunks of some 1 MiB, or one smaller chunk where the cap allows it. */
static void shape_in_region(pool_shape *shape, uint64_t wanted)
{
    uint64_t each = rp_max_size(CHUNK_BYTES / (shape->slot_bytes + sizeof(uint32_t)), 1);
    shape->chunk_shift = rp_log2(each);
    uint64_t most = (uint64_t)CHUNKS_MOST << shape->chunk_shift;
    shape->cap_slots = wanted ? wanted : most;
    if (shape->cap_slots <= each) {
        shape->chunk_shift = log2_up(shape->cap_slots);
    }
    uint64_t count = ((shape->cap_slots - 1) >> shape->chunk_shift) + 1;
    shape->chunks_most = (uint32_t)rp_min_size(count, (size_t)CHUNKS_MOST + 1);
}

/* In the caller's memory: one chunk, of as many slots as fit. */
static void shape_in_memory(pool_shape *shape, const rp_slots_desc *desc)
{
    shape->chunks_most = 1;
    size_t aligned = rp_align_up((uintptr_t)desc->memory, shape->align_bytes);
    size_t lost = aligned - (uintptr_t)desc->memory + head_bytes(shape) + shape->align_bytes;
    size_t room = desc->memory_bytes > lost ? desc->memory_bytes - lost : 0;
    uint64_t fit = room / (shape->slot_bytes + sizeof(uint32_t));
    shape->cap_slots = desc->cap_slots ? rp_min_size(fit, desc->cap_slots) : fit;
    shape->chunk_shift = log2_up(shape->cap_slots);
}

static rp_status shape_of(const rp_slots_desc *desc, pool_shape *shape)
{
    size_t align = desc->align_bytes ? desc->align_bytes : 16;
    bool good = rp_is_power_of_two(align) && align <= ALIGN_MOST && desc->slot_bytes &&
                desc->slot_bytes <= RP_GIB(1);
    *shape = (pool_shape){.align_bytes = rp_max_size(align, 16)};
    if (good) {
        shape->slot_bytes = rp_align_up(desc->slot_bytes, shape->align_bytes);
        if (desc->memory) {
            shape_in_memory(shape, desc);
        } else {
            shape_in_region(shape, desc->cap_slots);
        }
        good = shape->cap_slots && shape->chunks_most <= CHUNKS_MOST &&
               shape->slot_bytes << shape->chunk_shift <= UINT32_MAX;
    }
    return good ? RP_OK
                : rp_fail(RP_E_ARGUMENT,
                          "slots %s: cannot be made: %zu bytes aligned to %zu, %llu of them in %zu "
                          "bytes: a slot is 1 byte to 1 GiB, its alignment a power of two up to "
                          "4096, and at most 4000 chunks of 1 MiB are possible: ask for less",
                          desc->name ? desc->name : "unnamed", desc->slot_bytes, align,
                          (unsigned long long)desc->cap_slots, desc->memory_bytes);
}

/* ---- making ---- */

/* Enters a chunk whose links begin at `at`. In the caller's memory the last slots have none. */
static void chunk_enter(rp_slots *slots, uint8_t *at, size_t links, uint64_t slot_count)
{
    slot_rest *rest = rest_of(slots);
    slots->chunks_[rest->chunk_count++] = (rp_slots_chunk_){at + links, (uint32_t *)(void *)at};
    rest->made += (uint32_t)slot_count;
}

static void *block_take(rp_zone zone, uint32_t owner, size_t size_bytes, size_t clear_bytes)
{
    void *block = rp_region_block_alloc(zone, size_bytes, RP_BLOCK_POOL, owner, 0);
    if (block && !(rp_region_unit_head(block)->flags & RP_BLOCK_ZEROED)) {
        memset(block, 0, clear_bytes);
    }
    return block;
}

static void pool_fill(rp_slots *slots, const pool_shape *shape, uint8_t *memory)
{
    size_t head = head_bytes(shape), links = links_bytes(shape);
    slots->owner_thread_ = rp_slot_thread_();
    slots->chunk_shift_ = shape->chunk_shift;
    slots->slot_bytes_ = shape->slot_bytes;
    slots->reciprocal_ = UINT64_MAX / shape->slot_bytes + 1;
    *rest_of(slots) = (slot_rest){.owner_place = rp_alloc_thread_attach(),
                                  .cap_slots = shape->cap_slots,
                                  .chunks_most = shape->chunks_most,
                                  .align_bytes = (uint32_t)shape->align_bytes,
                                  .memory = memory};
    uint64_t count = UINT64_C(1) << shape->chunk_shift;
    if (memory) {
        count = shape->cap_slots;
        links = rp_align_up(count * sizeof(uint32_t), shape->align_bytes);
    }
    slots->chunk_bytes_ = count * shape->slot_bytes;
    chunk_enter(slots, (uint8_t *)slots + head, links, count);
}

static rp_slots *make_in_region(const rp_slots_desc *desc, const pool_shape *shape)
{
    size_t bytes = head_bytes(shape) + chunk_bytes(shape);
    rp_slots *slots = block_take(desc->zone, 0, bytes, head_bytes(shape) + links_bytes(shape));
    if (!slots) {
        return NULL;
    }
    if (rp_allocator_register(base_of(slots), KIND_SLOT, desc->zone, desc->name) != RP_OK) {
        rp_region_block_free(slots);
        return NULL;
    }
    rp_unit *head = rp_region_unit_head(slots);
    pool_fill(slots, shape, NULL);
    rest_of(slots)->taken_bytes = (size_t)head->unit_count << RP_UNIT_SHIFT;
    head->owner = (uint16_t)base_of(slots)->id;
    head->words[0] = 0;
    return slots;
}

static rp_slots *make_in_memory(const rp_slots_desc *desc, const pool_shape *shape)
{
    if (rp_outside_claim(desc->zone, desc->memory, desc->memory_bytes) != RP_OK) {
        return NULL;
    }
    rp_slots *slots =
        (rp_slots *)(uintptr_t)rp_align_up((uintptr_t)desc->memory, shape->align_bytes);
    memset(slots, 0, head_bytes(shape) + shape->cap_slots * sizeof(uint32_t));
    if (rp_allocator_register(base_of(slots), KIND_SLOT, desc->zone, desc->name) != RP_OK) {
        rp_outside_release(desc->zone, desc->memory);
        return NULL;
    }
    pool_fill(slots, shape, desc->memory);
    rest_of(slots)->taken_bytes = desc->memory_bytes;
    rp_outside_name(base_of(slots), desc->memory);
    return slots;
}

rp_slots *rp_slots_create(const rp_slots_desc *desc)
{
    pool_shape shape;
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "slots: cannot be made: the region is not open: open a deck first");
        return NULL;
    }
    if (shape_of(desc, &shape) != RP_OK) {
        return NULL;
    }
    return desc->memory ? make_in_memory(desc, &shape) : make_in_region(desc, &shape);
}

rp_allocator *rp_slots_allocator(rp_slots *slots)
{
    return base_of(slots);
}

/* ---- owners ---- */

void rp_slots_own(rp_slots *slots)
{
    slots->owner_thread_ = rp_slot_thread_();
    rest_of(slots)->owner_place = rp_alloc_thread_attach();
}

/* A thread that a restore in another process stands for has the place, but another thread pointer.
 */
static bool is_owner(rp_slots *slots)
{
    if (slots->owner_thread_ == rp_slot_thread_()) {
        return true;
    }
    uint32_t place = rp_alloc_thread_attach();
    if (place && place == rest_of(slots)->owner_place) {
        slots->owner_thread_ = rp_slot_thread_();
        return true;
    }
    return false;
}

/* ---- taking ---- */

static bool chunk_add(rp_slots *slots)
{
    slot_rest *rest = rest_of(slots);
    const pool_shape shape = {.slot_bytes = slots->slot_bytes_,
                              .align_bytes = rest->align_bytes,
                              .chunk_shift = slots->chunk_shift_};
    rp_allocator *base = base_of(slots);
    uint8_t *block =
        block_take((rp_zone)base->zone, base->id, chunk_bytes(&shape), links_bytes(&shape));
    if (!block) {
        return false;
    }
    rp_unit *head = rp_region_unit_head(block);
    head->words[0] = rest->chunk_count;
    rest->taken_bytes += (uint64_t)head->unit_count << RP_UNIT_SHIFT;
    chunk_enter(slots, block, links_bytes(&shape), UINT64_C(1) << slots->chunk_shift_);
    return true;
}

static uint32_t *link_of(const rp_slots *slots, uint32_t number)
{
    const rp_slots_chunk_ *chunk = &slots->chunks_[number >> slots->chunk_shift_];
    return &chunk->links[number & ((1u << slots->chunk_shift_) - 1)];
}

/* Puts some slots that were never handed out on the list, the lowest in front. */
static bool refill_fresh(rp_slots *slots)
{
    slot_rest *rest = rest_of(slots);
    uint64_t limit = rp_min_size(rest->made, rest->cap_slots);
    if (rest->fresh >= limit) {
        bool more = rest->made < rest->cap_slots && rest->chunk_count < rest->chunks_most;
        if (!more || !chunk_add(slots)) {
            return false;
        }
        limit = rp_min_size(rest->made, rest->cap_slots);
    }
    uint32_t first = rest->fresh,
             end = (uint32_t)rp_min_size(limit, (uint64_t)first + FRESH_AT_ONCE);
    for (uint32_t number = first; number < end; number++) {
        *link_of(slots, number) = number + 1 < end ? number + 2 : 0;
    }
    __atomic_store_n(&rest->fresh, end, __ATOMIC_RELAXED); /* read by threads that free */
    slots->free_first_ = first + 1;
    return true;
}

/* Takes over what other threads freed. */
static bool refill_remote(rp_slots *slots)
{
    uint32_t *remote = &rest_of(slots)->remote_first;
    uint32_t first = __atomic_exchange_n(remote, 0, __ATOMIC_ACQUIRE);
    slots->free_first_ = first;
    for (uint32_t next = first; next; next = *link_of(slots, next - 1)) {
        slots->live_count_--;
    }
    return first;
}

static void fail_full(const rp_slots *slots)
{
    const slot_rest *rest = rest_of(slots);
    if (rest->fresh >= rest->cap_slots) {
        rp_fail(RP_E_MEMORY,
                "slots %s: no slot: all %llu are live, which is its cap: free some, or make the "
                "pool larger",
                base_of(slots)->name, (unsigned long long)rest->cap_slots);
    }
}

void *rp_slot_alloc_slow_(rp_slots *slots)
{
    rp_allocator_check(base_of(slots));
    if (!is_owner(slots)) {
        rp_fail(RP_E_ARGUMENT,
                "slots %s: no slot: another thread made the pool and takes its slots alone: make "
                "one for this thread, or call rp_slots_own",
                base_of(slots)->name);
        return NULL;
    }
    if (!slots->free_first_ && !refill_remote(slots) && !refill_fresh(slots)) {
        fail_full(slots); /* else the region has said why */
        return NULL;
    }
    return rp_slot_alloc(slots);
}

/* ---- giving ---- */

typedef struct slot_place {
    uint32_t number;
    uint32_t *link; /* null: no slot starts there, and `wrong` says why */
    rp_misuse_kind wrong;
} slot_place;

static const rp_slots_chunk_ *chunk_at(const rp_slots *slots, const void *address)
{
    const rp_allocator *base = base_of(slots);
    if (rest_of(slots)->memory) {
        return &slots->chunks_[0];
    }
    const rp_unit *head = rp_region_unit_head(address);
    int where = base->zone == RP_ZONE_WORLD ? 1 : 2;
    bool ours = head && head->kind == RP_BLOCK_POOL && head->owner == base->id &&
                rp_region_contains(address) == where;
    return ours ? &slots->chunks_[head->words[0]] : NULL;
}

static slot_place place_at(const rp_slots *slots, const void *address)
{
    const rp_slots_chunk_ *chunk = chunk_at(slots, address);
    if (!chunk) {
        return (slot_place){.wrong = RP_MISUSE_WRONG_ALLOCATOR};
    }
    uint64_t offset = (uintptr_t)address - (uintptr_t)chunk->slots;
    uint64_t index = offset / slots->slot_bytes_;
    uint64_t number = ((uint64_t)(chunk - slots->chunks_) << slots->chunk_shift_) + index;
    if (offset >= slots->chunk_bytes_ ||
        number >= __atomic_load_n(&rest_of(slots)->fresh, __ATOMIC_RELAXED)) {
        return (slot_place){.wrong = RP_MISUSE_NO_BLOCK};
    }
    if (index * slots->slot_bytes_ != offset) {
        return (slot_place){.wrong = RP_MISUSE_INSIDE};
    }
    return (slot_place){(uint32_t)number, &chunk->links[index], RP_MISUSE_DOUBLE_FREE};
}

/* With one exchange the slot is the caller's to give; with one compare-and-swap it is given. */
static bool free_remote(rp_slots *slots, const slot_place *place)
{
    if (__atomic_exchange_n(place->link, 0, __ATOMIC_ACQ_REL) != RP_SLOT_LIVE_) {
        return false;
    }
    uint32_t *remote = &rest_of(slots)->remote_first;
    uint32_t first = __atomic_load_n(remote, __ATOMIC_RELAXED);
    do {
        __atomic_store_n(place->link, first, __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(remote, &first, place->number + 1, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    return true;
}

void rp_slot_free_slow_(rp_slots *slots, void *slot)
{
    rp_allocator_check(base_of(slots));
    if (!slot) {
        return;
    }
    slot_place place = place_at(slots, slot);
    if (!place.link) {
        rp_misuse(place.wrong, base_of(slots), slot, "free", __builtin_return_address(0));
    }
    bool freed;
    if (is_owner(slots)) {
        freed = __atomic_load_n(place.link, __ATOMIC_RELAXED) == RP_SLOT_LIVE_;
        slots->home_ = place.number >> slots->chunk_shift_;
        if (freed) {
            rp_slot_free(slots, slot);
        }
    } else {
        freed = free_remote(slots, &place);
    }
    if (!freed) {
        rp_misuse(RP_MISUSE_DOUBLE_FREE, base_of(slots), slot, "free", __builtin_return_address(0));
    }
}

/* ---- as an allocator ---- */

static void *slot_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed)
{
    rp_slots *slots = slots_of(allocator);
    if (size_bytes > slots->slot_bytes_ || align_bytes > rest_of(slots)->align_bytes) {
        rp_fail(RP_E_ARGUMENT,
                "slots %s: no block of %zu bytes aligned to %zu: its slots have %llu bytes aligned "
                "to %u: ask for that, or take a heap",
                allocator->name, size_bytes, align_bytes, (unsigned long long)slots->slot_bytes_,
                (unsigned)rest_of(slots)->align_bytes);
        return NULL;
    }
    void *slot = rp_slot_alloc(slots);
    return slot && zeroed ? memset(slot, 0, size_bytes) : slot;
}

static void slot_free(rp_allocator *allocator, void *block)
{
    rp_slot_free(slots_of(allocator), block);
}

static bool is_live(const slot_place *place)
{
    return place->link && __atomic_load_n(place->link, __ATOMIC_RELAXED) == RP_SLOT_LIVE_;
}

static bool slot_resize(rp_allocator *allocator, void *block, size_t size_bytes)
{
    rp_slots *slots = slots_of(allocator);
    slot_place place = place_at(slots, block);
    if (!is_live(&place)) {
        rp_misuse(place.wrong, allocator, block, "resize", NULL);
    }
    return size_bytes <= slots->slot_bytes_;
}

static size_t slot_usable(const rp_allocator *allocator, const void *block)
{
    slot_place place = place_at(slots_of(allocator), block);
    return is_live(&place) ? slots_of(allocator)->slot_bytes_ : 0;
}

static int slot_walk(const rp_allocator *allocator,
                     int (*visit)(void *block, size_t size_bytes, void *context), void *context)
{
    const rp_slots *slots = slots_of(allocator);
    uint32_t mask = (1u << slots->chunk_shift_) - 1;
    int result = 0;
    for (uint32_t number = 0; number < rest_of(slots)->fresh && !result; number++) {
        if (__atomic_load_n(link_of(slots, number), __ATOMIC_RELAXED) == RP_SLOT_LIVE_) {
            uint8_t *first = slots->chunks_[number >> slots->chunk_shift_].slots;
            result =
                visit(first + (number & mask) * slots->slot_bytes_, slots->slot_bytes_, context);
        }
    }
    return result;
}

static void slot_stats(const rp_allocator *allocator, rp_alloc_stats *stats)
{
    const rp_slots *slots = slots_of(allocator);
    const slot_rest *rest = rest_of(slots);
    uint64_t live = slots->live_count_;
    for (uint32_t next = __atomic_load_n(&rest->remote_first, __ATOMIC_ACQUIRE); next;
         next = *link_of(slots, next - 1)) {
        live--;
    }
    *stats = (rp_alloc_stats){.live_count = live,
                              .live_bytes = live * slots->slot_bytes_,
                              .peak_bytes = slots->peak_count_ * slots->slot_bytes_,
                              .taken_bytes = rest->taken_bytes,
                              .cap_bytes = rest->cap_slots * slots->slot_bytes_};
}

static void slot_destroy(rp_allocator *allocator)
{
    rp_slots *slots = slots_of(allocator);
    slot_rest *rest = rest_of(slots);
    rp_allocator_unregister(allocator);
    if (rest->memory) {
        rp_outside_release((rp_zone)allocator->zone, rest->memory);
        return;
    }
    for (uint32_t i = rest->chunk_count; i-- > 1;) {
        rp_region_block_free(slots->chunks_[i].links);
    }
    rp_region_block_free(slots);
}

const rp_allocator_ops rp_slot_ops = {
    .name = "slot",
    .alloc = slot_alloc,
    .free = slot_free,
    .resize = slot_resize,
    .usable = slot_usable,
    .walk = slot_walk,
    .stats = slot_stats,
    .destroy = slot_destroy,
};
