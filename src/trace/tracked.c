/* Making tracked blocks: from modes to a shape, from a shape to a slot, and its record. */
#include "trace/tracked.h"

#include "base/error.h"

#include <string.h>

typedef struct request {
    rp_allocator *allocator;
    tracked_pool *pool;
    size_t size_bytes, align_bytes;
    bool zeroed;
    const char *site;
    const void *caller;
    uint32_t modes;
    uint32_t scope;
    debug_book book; /* where a mode has options */
} request;

/* ---- what becomes of a request ---- */

static void *plain(const request *asked)
{
    return rp_allocator_ops_of(asked->allocator)
        ->alloc(asked->allocator, asked->size_bytes, asked->align_bytes, asked->zeroed);
}

/* "dir/file.c:12 Type" is of the site "file.c:12". */
static bool site_is(const char *site, const char *wanted)
{
    const char *at = site ? strstr(site, wanted) : NULL;
    while (at) {
        char after = at[strlen(wanted)];
        if ((at == site || at[-1] == '/') && (after == 0 || after == ' ')) {
            return true;
        }
        at = strstr(at + 1, wanted);
    }
    return false;
}

static bool told_to_fail(const request *asked)
{
    tracked_pool *pool = asked->pool;
    const debug_book *book = &asked->book;
    uint64_t nth = __atomic_add_fetch(&pool->asked, 1, __ATOMIC_RELAXED);
    bool by_site = book->fail_site[0] != 0;
    if (by_site ? !site_is(asked->site, book->fail_site) : nth != book->fail_nth) {
        return false;
    }
    __atomic_add_fetch(&pool->failed, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&rp_tracked_store(asked->allocator->zone)->failed_count, 1,
                       __ATOMIC_RELAXED);
    rp_fail(RP_E_MEMORY,
            "heap %s: no block of %zu bytes: allocation %llu at %s is made to fail: handle it, or "
            "switch the mode `failing` off",
            asked->allocator->name, asked->size_bytes, (unsigned long long)nth,
            asked->site ? asked->site : "an unknown site");
    return true;
}

/* One in `sample_one_in` on average, equal for equal seeds and histories. */
static bool sampled(const request *asked)
{
    uint64_t count = __atomic_add_fetch(&asked->pool->sampled, 1, __ATOMIC_RELAXED);
    uint64_t mixed =
        (count + asked->book.seed * UINT64_C(0xbf58476d1ce4e5b9)) * UINT64_C(0x9e3779b97f4a7c15);
    return (mixed ^ mixed >> 32) % asked->book.sample_one_in == 0;
}

/* ---- shapes ---- */

typedef struct block_shape {
    size_t room_bytes;    /* of the slot or payload */
    size_t front_bytes;   /* before the block, at least */
    uint32_t class_index; /* SLOT_CLASS_COUNT: units of its own */
    uint32_t guards;      /* rp_block_flags */
} block_shape;

static bool guards_left(const request *asked)
{
    const tracked_store *store = rp_tracked_store((rp_zone)asked->allocator->zone);
    return __atomic_load_n(&store->guarded_count, __ATOMIC_RELAXED) < rp_debug_guarded_budget();
}

static block_shape shape_guarded(const request *asked)
{
    uint32_t guards = (asked->modes & RP_DEBUG_END_OF_PAGE ? RP_BLOCK_GUARD_AFTER : 0u) |
                      (asked->modes & RP_DEBUG_START_OF_PAGE ? RP_BLOCK_GUARD_BEFORE : 0u);
    size_t extra = asked->align_bytes > RP_PAGE_BYTES ? asked->align_bytes : 0;
    return (block_shape){
        .room_bytes = asked->size_bytes + extra, .class_index = SLOT_CLASS_COUNT, .guards = guards};
}

static block_shape shape_of(const request *asked)
{
    enum { MARK_LEAST_BYTES = 16 };
    bool marked = asked->modes & MODES_MARK;
    size_t front = marked ? rp_max_size(asked->align_bytes, MARK_LEAST_BYTES) : 0;
    size_t room = front + asked->size_bytes + (marked ? MARK_LEAST_BYTES : 0);
    block_shape shape = {room, front, rp_tracked_class(room, asked->align_bytes), 0};
    if (shape.class_index == SLOT_CLASS_COUNT && asked->align_bytes > RP_PAGE_BYTES) {
        shape.room_bytes += asked->align_bytes;
    }
    return shape;
}

static uint8_t *start_in(const tracked_slot *slot, const block_shape *shape, const request *asked)
{
    uintptr_t start = (uintptr_t)slot->start;
    if (shape->guards & RP_BLOCK_GUARD_AFTER) {
        return (uint8_t *)rp_align_down(start + slot->size_bytes - asked->size_bytes,
                                        asked->align_bytes);
    }
    return (uint8_t *)rp_align_up(start + shape->front_bytes, asked->align_bytes);
}

/* ---- taking the memory ---- */

static bool fail_at_cap(const request *asked)
{
    const tracked_pool *pool = asked->pool;
    rp_fail(RP_E_MEMORY,
            "heap %s: full: %llu bytes live, %zu more are over its cap of %llu: raise the cap or "
            "free something",
            asked->allocator->name,
            (unsigned long long)__atomic_load_n(&pool->stats.live_bytes, __ATOMIC_RELAXED),
            asked->size_bytes, (unsigned long long)pool->cap_bytes);
    return false;
}

static bool single_for(const request *asked, const block_shape *shape, tracked_slot *slot)
{
    tracked_pool *pool = asked->pool;
    rp_os_lock_take(&pool->lock);
    bool admitted = rp_tracked_admit(pool, asked->size_bytes);
    rp_os_lock_drop(&pool->lock);
    if (!admitted) {
        return fail_at_cap(asked);
    }
    if (rp_tracked_single_make(pool, shape->room_bytes, shape->guards, slot)) {
        return true;
    }
    rp_os_lock_take(&pool->lock);
    rp_tracked_dismiss(pool, asked->size_bytes);
    rp_os_lock_drop(&pool->lock);
    return false;
}

static bool slot_for(const request *asked, const block_shape *shape, tracked_slot *slot)
{
    tracked_pool *pool = asked->pool;
    if (shape->class_index == SLOT_CLASS_COUNT) {
        return single_for(asked, shape, slot);
    }
    rp_os_lock_take(&pool->lock);
    bool admitted = rp_tracked_admit(pool, asked->size_bytes);
    bool taken = admitted && rp_tracked_slot_take(pool, shape->class_index, slot);
    if (admitted && !taken) {
        rp_tracked_dismiss(pool, asked->size_bytes);
    }
    rp_os_lock_drop(&pool->lock);
    return admitted ? taken : fail_at_cap(asked);
}

/* What was freed here lay under a fill since; who wrote to it did so after the free. */
static void dead_check(const tracked_slot *slot, const request *asked)
{
    debug_damage damage;
    bool was_filled =
        state_of(slot->record) == TRACKED_DEAD && slot->record->said.modes & MODES_FILL;
    if (was_filled && !rp_fill_intact(slot, &damage)) {
        rp_debug_damaged(slot, &damage, asked->caller);
    }
}

/* Where no guard can be had the block gets canaries, and that is said. */
static bool place_guarded(request *asked, tracked_slot *slot, block_shape *shape)
{
    tracked_store *store = rp_tracked_store((rp_zone)asked->allocator->zone);
    *shape = shape_guarded(asked);
    if (guards_left(asked) && slot_for(asked, shape, slot)) {
        __atomic_add_fetch(&store->guarded_count, 1, __ATOMIC_RELAXED);
        return true;
    }
    __atomic_add_fetch(&store->guarded_refused, 1, __ATOMIC_RELAXED);
    rp_debug_budget_spent(BUDGET_GUARDED);
    asked->modes = (asked->modes & ~(uint32_t)MODES_GUARD) | RP_DEBUG_CANARY;
    return false;
}

static bool place(request *asked, tracked_slot *slot, block_shape *shape)
{
    if (asked->modes & MODES_GUARD && place_guarded(asked, slot, shape)) {
        return true;
    }
    *shape = shape_of(asked);
    return slot_for(asked, shape, slot);
}

/* ---- the record ---- */

static void record_write(const request *asked, tracked_record *record, uint8_t *start)
{
    rp_zone zone = (rp_zone)asked->allocator->zone;
    bool with_stack = asked->modes & ~(uint32_t)(RP_DEBUG_TRACE | RP_DEBUG_FAILING | RP_DEBUG_FILL);
    record->start = start;
    record->reported = 0;
    record->next = 0;
    record->said = (rp_trace_record){
        .size_bytes = asked->size_bytes,
        .serial = __atomic_add_fetch(&rp_tracked_store(zone)->serial, 1, __ATOMIC_RELAXED),
        .scope = asked->scope,
        .site = asked->site ? rp_trace_site(zone, asked->site)
                            : rp_trace_code_site(zone, asked->caller),
        .made_stack = with_stack ? rp_trace_stack(zone, asked->caller) : 0,
        .frame = (uint32_t)rp_trace_frame(),
        .modes = asked->modes,
    };
}

static void content_write(const request *asked, const tracked_slot *slot)
{
    if (asked->modes & MODES_MARK) {
        rp_marks_paint(slot);
    }
    if (asked->zeroed) {
        memset(slot->record->start, 0, asked->size_bytes);
    } else if (asked->modes & RP_DEBUG_FILL) {
        rp_fill_new(slot, &asked->book);
    }
}

static void *tracked(request *asked)
{
    tracked_slot slot;
    block_shape shape;
    if (asked->size_bytes > RP_REGION_RESERVE_BYTES) {
        rp_fail(RP_E_MEMORY,
                "heap %s: no block of %zu bytes: the largest region is 256 GiB: ask for less",
                asked->allocator->name, asked->size_bytes);
        return NULL;
    }
    if (!place(asked, &slot, &shape)) {
        return NULL;
    }
    dead_check(&slot, asked);
    rp_trace_record *said = &slot.record->said;
    state_set(slot.record, TRACKED_TRANSIT);
    record_write(asked, slot.record, start_in(&slot, &shape, asked));
    content_write(asked, &slot);
    said->counter = rp_trace_count_alloc((rp_zone)asked->allocator->zone, said->scope, said->site,
                                         asked->size_bytes);
    state_set(slot.record, TRACKED_LIVE);
    return slot.record->start;
}

/* ---- rp_debug_ops.alloc ---- */

/* The options of its modes, as they are at this moment; most modes have none. */
static void book_read(request *asked)
{
    enum { MODES_WITH_OPTIONS = RP_DEBUG_FILL | RP_DEBUG_SAMPLED | RP_DEBUG_FAILING };
    tracked_pool *pool = asked->pool;
    if (!(asked->modes & MODES_WITH_OPTIONS)) {
        return;
    }
    rp_os_lock_take(&pool->lock);
    asked->book = pool->active;
    rp_os_lock_drop(&pool->lock);
    if (!asked->book.modes) {
        rp_debug_scope_book(&asked->book);
    }
}

void *rp_tracked_alloc(rp_allocator *allocator, size_t size_bytes, size_t align_bytes, bool zeroed,
                       const char *site, const void *caller)
{
    rp_zone zone = (rp_zone)allocator->zone;
    request asked;
    asked.allocator = allocator;
    asked.pool = rp_tracked_pool(allocator);
    asked.size_bytes = size_bytes;
    asked.align_bytes = align_bytes;
    asked.zeroed = zeroed;
    asked.site = site;
    asked.caller = caller;
    asked.modes = __atomic_load_n(&allocator->debug, __ATOMIC_RELAXED);
    asked.scope = rp_trace_scope_here(zone);
    if (!asked.pool) {
        return NULL;
    }
    if (rp_alloc_thread_get()->traced) {
        asked.modes |= RP_DEBUG_TRACE | rp_trace_scope_modes(zone, asked.scope);
    }
    asked.modes &= rp_debug_modes_possible(allocator);
    if (allocator->kind == KIND_PAGE) {
        asked.size_bytes = rp_align_up(size_bytes, RP_PAGE_BYTES);
        asked.align_bytes = rp_max_size(align_bytes, RP_PAGE_BYTES);
    }
    book_read(&asked);
    if (asked.modes & RP_DEBUG_FAILING && told_to_fail(&asked)) {
        return NULL;
    }
    if (asked.modes & RP_DEBUG_SAMPLED && sampled(&asked)) {
        asked.modes |= RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE;
    }
    return asked.modes & MODES_TRACKED ? tracked(&asked) : plain(&asked);
}
