/* Threads: their slots, their ends, and forks. Layer: alloc.
 *
 * Which thread has which slot is a matter of the process and not of the world, so it is kept here.
 */
#include "alloc/cache.h"
#include "alloc/simple.h"

const rp_cache rp_cache_none;
_Thread_local rp_alloc_thread rp_alloc_self = {.generic = (void *)&rp_cache_none};

static struct {
    volatile rp_os_lock lock;
    uint64_t taken[(RP_ALLOC_THREADS_MOST + 1) / 64]; /* bit: slot; bit 0 stays unused */
} slots;

rp_alloc_thread *rp_alloc_thread_get(void)
{
    return &rp_alloc_self;
}

void rp_alloc_thread_trace(int change)
{
    rp_alloc_self.traced += (uint32_t)change;
    rp_alloc_self.slot = rp_alloc_self.traced ? 0 : rp_alloc_self.place;
    rp_alloc_self.generic =
        (void *)&rp_cache_none; /* found again on the slow path, where there is one */
    rp_alloc_self.heap = 0;
}

/* ---- slots ---- */

static uint32_t slot_take(void)
{
    uint32_t slot = 0;
    rp_os_lock_take(&slots.lock);
    slots.taken[0] |= 1;
    for (uint32_t i = 0; i < RP_COUNT_OF(slots.taken) && !slot; i++) {
        if (~slots.taken[i]) {
            uint32_t bit = (uint32_t)__builtin_ctzll(~slots.taken[i]);
            slots.taken[i] |= UINT64_C(1) << bit;
            slot = i * 64 + bit;
        }
    }
    rp_os_lock_drop(&slots.lock);
    return slot;
}

static void slot_give(uint32_t slot)
{
    rp_os_lock_take(&slots.lock);
    slots.taken[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    rp_os_lock_drop(&slots.lock);
}

uint32_t rp_alloc_thread_attach(void)
{
    rp_alloc_thread *self = &rp_alloc_self;
    if (self->place || self->ended) {
        return self->place;
    }
    self->place = slot_take();
    self->slot = self->traced ? 0 : self->place;
    if (self->place) {
        rp_os_thread_on_exit(rp_alloc_thread_detach); /* may allocate, which finds the slot taken */
    }
    return self->place;
}

/* ---- a thread's end ---- */

static int close_in(rp_allocator *allocator, void *context)
{
    uint32_t slot = *(const uint32_t *)context;
    rp_heap *heap = heap_of(allocator);
    rp_cache *cache = NULL;
    if (allocator->kind == KIND_GENERIC && slot <= heap->table_count) {
        cache = heap->table[slot - 1];
    }
    if (cache) {
        rp_cache_close(cache);
    }
    return 0;
}

/* A later free of another destructor of this thread goes without a cache. */
void rp_alloc_thread_detach(void)
{
    rp_alloc_thread *self = &rp_alloc_self;
    uint32_t slot = self->place;
    self->slot = self->place = self->heap = 0;
    self->generic = (void *)&rp_cache_none;
    self->ended = 1;
    if (!slot || !rp_region_is_open()) {
        return;
    }
    for (int zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        rp_allocators_lock((rp_zone)zone, true); /* no heap goes away meanwhile */
        rp_allocator_walk((rp_zone)zone, close_in, &slot);
        rp_allocators_lock((rp_zone)zone, false);
    }
    rp_temp_thread_end(slot);
    slot_give(slot);
}

static int flush_in(rp_allocator *allocator, void *context)
{
    (void)context;
    rp_cache *cache = allocator->kind == KIND_GENERIC ? rp_cache_quick(heap_of(allocator)) : NULL;
    if (cache) {
        rp_cache_scavenge(cache);
    }
    return 0;
}

void rp_alloc_thread_flush(void)
{
    for (int zone = RP_ZONE_WORLD; rp_region_is_open() && zone <= RP_ZONE_KEEP; zone++) {
        rp_allocators_lock((rp_zone)zone, true);
        rp_allocator_walk((rp_zone)zone, flush_in, NULL);
        rp_allocators_lock((rp_zone)zone, false);
    }
}

/* ---- fork ---- */

static int lock_heap(rp_allocator *allocator, void *context)
{
    if (*(const bool *)context) {
        rp_os_lock_take(&allocator->lock);
    } else {
        rp_os_lock_drop(&allocator->lock);
    }
    return 0;
}

/* What was there to be locked: another thread may make it while the locks are held. */
static struct {
    bool open, registry[2], meta[2];
} forking;

static void lock_zones(void)
{
    forking.open = rp_region_is_open();
    for (int zone = RP_ZONE_WORLD; forking.open && zone <= RP_ZONE_KEEP; zone++) {
        bool take = true;
        rp_simple_lock((rp_zone)zone, take);
        forking.registry[zone] = rp_allocators_lock((rp_zone)zone, take);
        rp_allocator_walk((rp_zone)zone, lock_heap, &take);
        forking.meta[zone] = rp_meta_lock((rp_zone)zone, take);
        rp_region_lock((rp_zone)zone, take);
    }
}

static void unlock_zones(void)
{
    for (int zone = RP_ZONE_KEEP; forking.open && zone >= RP_ZONE_WORLD; zone--) {
        bool take = false;
        rp_region_lock((rp_zone)zone, take);
        if (forking.meta[zone]) {
            rp_meta_lock((rp_zone)zone, take);
        }
        if (forking.registry[zone]) {
            rp_allocator_walk((rp_zone)zone, lock_heap, &take);
            rp_allocators_lock((rp_zone)zone, take);
        }
        rp_simple_lock((rp_zone)zone, take);
    }
}

static void lock_all(bool take)
{
    const rp_debug_ops *debug = rp_debug_ops_get();
    bool debug_locks = debug && debug->fork;
    if (debug_locks && take) {
        debug->fork(take);
    }
    if (take) {
        lock_zones();
    } else {
        unlock_zones();
    }
    if (debug_locks && !take) {
        debug->fork(take);
    }
}

void rp_alloc_fork_prepare(void)
{
    lock_all(true);
    rp_os_lock_take(&slots.lock);
}

void rp_alloc_fork_parent(void)
{
    rp_os_lock_drop(&slots.lock);
    lock_all(false);
}

/* All but the calling thread's slot. */
static int abandon_in(rp_allocator *allocator, void *context)
{
    (void)context;
    uint32_t count = allocator->kind == KIND_GENERIC ? heap_of(allocator)->table_count : 0;
    for (uint32_t slot = 1; slot <= count && slot <= RP_ALLOC_THREADS_MOST; slot++) {
        bool lost = slots.taken[slot / 64] >> (slot % 64) & 1 && slot != rp_alloc_self.place;
        if (lost) {
            rp_cache_abandon(heap_of(allocator), slot);
        }
    }
    return 0;
}

/* The other threads stopped wherever they were, perhaps in the middle of a list. */
void rp_alloc_fork_child(void)
{
    uint32_t mine = rp_alloc_self.place;
    for (int zone = RP_ZONE_WORLD; rp_region_is_open() && zone <= RP_ZONE_KEEP; zone++) {
        rp_allocator_walk((rp_zone)zone, abandon_in, NULL);
    }
    for (uint32_t i = 0; i < RP_COUNT_OF(slots.taken); i++) {
        slots.taken[i] = mine / 64 == i ? UINT64_C(1) << (mine % 64) : 0;
    }
    rp_os_lock_drop(&slots.lock);
    lock_all(false);
}
