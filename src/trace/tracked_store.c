/* The tracked store of a zone: a pool for each allocator that has tracked blocks, and the records.
 */
#include "alloc/generic.h"
#include "trace/tracked.h"

#include <string.h>

enum { RECORDS_A_UNIT = (int)(RP_UNIT_BYTES / sizeof(tracked_record)) };

/* ---- the store ---- */

static void *zeroed_unit(rp_zone zone, size_t size_bytes)
{
    void *start = rp_region_block_alloc(zone, size_bytes, RP_BLOCK_PAGES, 0, 0);
    if (start && !(rp_region_unit(start)->flags & RP_BLOCK_ZEROED)) {
        memset(start, 0, size_bytes);
    }
    return start;
}

tracked_store *rp_tracked_store_make(rp_zone zone)
{
    tracked_store *stands = rp_tracked_store(zone);
    if (stands) {
        return stands;
    }
    tracked_store *made = zeroed_unit(zone, sizeof *made);
    if (!made) {
        return NULL;
    }
    stands = rp_region_root_claim(zone, RP_ROOT_DEBUG, made);
    if (stands != made) {
        rp_region_block_free(made); /* another thread was first */
    }
    return stands;
}

/* ---- pools by the id of their allocator ---- */

/* Of a heap without its other figures, which threads that use it change meanwhile. */
static uint64_t cap_of(const rp_allocator *allocator)
{
    rp_alloc_stats stats = {0};
    if (allocator->kind == KIND_GENERIC) {
        return heap_of(allocator)->cap_bytes;
    }
    rp_allocator_ops_of(allocator)->stats(allocator, &stats);
    return stats.cap_bytes ? stats.cap_bytes : UINT64_MAX;
}

static void pool_init(tracked_pool *pool, const rp_allocator *allocator)
{
    *pool = (tracked_pool){
        .cap_bytes = cap_of(allocator),
        .record_used = RECORDS_A_UNIT,
        .active.sample_one_in = RP_DEBUG_SAMPLE_DEFAULT,
    };
    __atomic_store_n(&pool->id, allocator->id, __ATOMIC_RELEASE);
}

/* With the store's lock. */
static tracked_pool *pool_make(tracked_store *store, const rp_allocator *allocator)
{
    uint8_t **page = &store->pages[allocator->id / POOLS_A_PAGE];
    if (!*page) {
        uint8_t *made = zeroed_unit(allocator->zone, RP_UNIT_BYTES);
        if (!made) {
            return NULL;
        }
        __atomic_store_n(page, made, __ATOMIC_RELEASE);
    }
    tracked_pool *pool = rp_tracked_pool_in(*page, allocator->id);
    if (!pool->id) {
        pool_init(pool, allocator);
    }
    return pool;
}

tracked_pool *rp_tracked_pool(rp_allocator *allocator)
{
    tracked_pool *pool = rp_tracked_pool_find(allocator->zone, allocator->id);
    if (pool) {
        return pool;
    }
    tracked_store *store = rp_tracked_store_make(allocator->zone);
    if (!store) {
        return NULL;
    }
    rp_os_lock_take(&store->lock);
    pool = pool_make(store, allocator);
    rp_os_lock_drop(&store->lock);
    return pool;
}

int rp_tracked_pools(rp_zone zone, int (*visit)(tracked_pool *pool, void *context), void *context)
{
    const tracked_store *store = rp_tracked_store(zone);
    int result = 0;
    for (uint32_t i = 0; store && i < POOL_PAGES && !result; i++) {
        uint8_t *page = rp_tracked_page(store, i * POOLS_A_PAGE);
        for (uint32_t k = 0; page && k < POOLS_A_PAGE && !result; k++) {
            tracked_pool *pool = rp_tracked_pool_in(page, k);
            bool used = __atomic_load_n(&pool->id, __ATOMIC_ACQUIRE) != 0;
            result = used ? visit(pool, context) : 0;
        }
    }
    return result;
}

rp_allocator *rp_tracked_owner(const tracked_pool *pool)
{
    return rp_allocator_by_id(zone_of(pool), pool->id);
}

/* ---- figures of a pool ---- */

static void figure_set(uint64_t *figure, uint64_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

bool rp_tracked_admit(tracked_pool *pool, size_t size_bytes)
{
    rp_alloc_stats *stats = &pool->stats;
    if (size_bytes > pool->cap_bytes || stats->live_bytes > pool->cap_bytes - size_bytes) {
        return false;
    }
    figure_set(&stats->live_count, stats->live_count + 1);
    figure_set(&stats->live_bytes, stats->live_bytes + size_bytes);
    if (stats->live_bytes > stats->peak_bytes) {
        figure_set(&stats->peak_bytes, stats->live_bytes);
    }
    return true;
}

void rp_tracked_dismiss(tracked_pool *pool, size_t size_bytes)
{
    figure_set(&pool->stats.live_count, pool->stats.live_count - 1);
    figure_set(&pool->stats.live_bytes, pool->stats.live_bytes - size_bytes);
}

/* ---- around a fork ---- */

static int pool_lock(tracked_pool *pool, void *context)
{
    const bool *take = context;
    if (*take) {
        rp_os_lock_take(&pool->lock);
    } else {
        rp_os_lock_drop(&pool->lock);
    }
    return 0;
}

/* With the store's lock no pool is made meanwhile, and a dropped one stays as it is. */
void rp_tracked_fork(bool take)
{
    debug_choices *choices = rp_debug_choices_if_any();
    if (choices && take) {
        rp_os_lock_take(&choices->lock);
    }
    for (int zone = RP_ZONE_WORLD; rp_region_is_open() && zone <= RP_ZONE_KEEP; zone++) {
        tracked_store *store = rp_tracked_store((rp_zone)zone);
        if (store && take) {
            rp_os_lock_take(&store->lock);
        }
        rp_tracked_pools((rp_zone)zone, pool_lock, &take);
        if (store && !take) {
            rp_os_lock_drop(&store->lock);
        }
    }
    if (choices && !take) {
        rp_os_lock_drop(&choices->lock);
    }
}

/* ---- records ---- */

void *rp_tracked_records_take(tracked_pool *pool, uint32_t count)
{
    rp_zone zone = zone_of(pool);
    RP_ASSERT_DEBUG(count <= RECORDS_A_UNIT);
    if (count > RECORDS_A_UNIT - pool->record_used) {
        void *start = zeroed_unit(zone, RP_UNIT_BYTES);
        if (!start) {
            return NULL;
        }
        rp_unit *unit = rp_region_unit(start);
        words_of(unit)->next = pool->record_unit;
        pool->record_unit = unit->head;
        pool->record_used = 0;
        __atomic_add_fetch(&pool->stats.taken_bytes, RP_UNIT_BYTES, __ATOMIC_RELAXED);
    }
    uint8_t *start = rp_region_unit_start(rp_region_unit_at(zone, pool->record_unit));
    void *taken = start + pool->record_used * sizeof(tracked_record);
    pool->record_used += count;
    return taken;
}

void rp_tracked_pool_drop(rp_zone zone, tracked_pool *pool)
{
    while (pool->record_unit) {
        rp_unit *unit = rp_region_unit_at(zone, pool->record_unit);
        pool->record_unit = words_of(unit)->next;
        rp_region_block_free(rp_region_unit_start(unit));
    }
    tracked_store *store = rp_tracked_store(zone);
    rp_os_lock_take(&store->lock);
    __atomic_store_n(&pool->id, 0, __ATOMIC_RELEASE);
    rp_os_lock_drop(&store->lock);
}

/* ---- lists of units ---- */

void rp_tracked_list_push(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    unit_words *words = words_of(unit);
    words->next = *list;
    words->previous = 0;
    if (*list) {
        words_of(rp_region_unit_at(zone, *list))->previous = unit->head;
    }
    *list = unit->head;
}

void rp_tracked_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    const unit_words *words = words_of(unit);
    if (words->next) {
        words_of(rp_region_unit_at(zone, words->next))->previous = words->previous;
    }
    if (words->previous) {
        words_of(rp_region_unit_at(zone, words->previous))->next = words->next;
    } else {
        RP_ASSERT(*list == unit->head);
        *list = words->next;
    }
}
