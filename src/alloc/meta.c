/* Where heaps and caches themselves lie: items of two sizes, cut from units and kept in
 * free lists. They never go back to the region, so an address that was a cache stays readable and
 * its generation tells whether it still is the one that was meant. Layer: alloc. */
#include "alloc/generic.h"

#include <string.h>

typedef struct meta_pool {
    rp_os_lock lock;
    uint32_t unused;
    uint8_t *next, *end; /* of the unit that is being cut */
    void *free[META_COUNT];
} meta_pool;

/* A number of lines that is odd, so that items at the same place of many pages do not fall into the
 * same sets of the cache. */
#define STRIDE(type) ((sizeof(type) + 63) / 64 * 64 | 64)

static const size_t strides[META_COUNT] = {
    [META_HEAP] = STRIDE(rp_heap),
    [META_CACHE] = STRIDE(rp_cache),
};

/* The link of a free item, behind the words that must stay. */
typedef struct free_item {
    uint64_t stays;
    void *next;
} free_item;

_Static_assert(offsetof(rp_cache, generation) < offsetof(free_item, next), "it must stay");

static meta_pool *pool_make(rp_zone zone)
{
    uint8_t *unit = rp_region_block_alloc(zone, RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0);
    if (!unit) {
        return NULL;
    }
    meta_pool *pool = (meta_pool *)unit;
    *pool = (meta_pool){.next = unit + rp_align_up(sizeof *pool, 64), .end = unit + RP_UNIT_BYTES};
    meta_pool *stands = rp_region_root_claim(zone, RP_ROOT_META, pool);
    if (stands != pool) {
        rp_region_block_free(unit); /* another thread was first */
    }
    return stands;
}

/* With the lock held. */
static void *cut(meta_pool *pool, rp_zone zone, rp_meta what)
{
    if ((size_t)(pool->end - pool->next) < strides[what]) {
        uint8_t *unit = rp_region_block_alloc(zone, RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0);
        if (!unit) {
            return NULL;
        }
        pool->next = unit;
        pool->end = unit + RP_UNIT_BYTES;
    }
    free_item *item = (free_item *)(void *)pool->next;
    pool->next += strides[what];
    item->stays = 0;
    return item;
}

void *rp_meta_take(rp_zone zone, rp_meta what)
{
    meta_pool *pool = rp_region_root(zone, RP_ROOT_META);
    pool = pool ? pool : pool_make(zone);
    if (!pool) {
        return NULL;
    }
    rp_os_lock_take(&pool->lock);
    free_item *item = pool->free[what];
    if (item) {
        pool->free[what] = item->next;
    } else {
        item = cut(pool, zone, what);
    }
    rp_os_lock_drop(&pool->lock);
    if (item) {
        /* By libc: a size that the compiler knew would become rep stos, slow to start. */
        memset(&item->next, 0, strides[what] - offsetof(free_item, next));
    }
    return item;
}

void rp_meta_give(rp_zone zone, rp_meta what, void *item)
{
    meta_pool *pool = rp_region_root(zone, RP_ROOT_META);
    rp_os_lock_take(&pool->lock);
    ((free_item *)item)->next = pool->free[what];
    pool->free[what] = item;
    rp_os_lock_drop(&pool->lock);
}

bool rp_meta_lock(rp_zone zone, bool take)
{
    meta_pool *pool = rp_region_root(zone, RP_ROOT_META);
    if (pool && take) {
        rp_os_lock_take(&pool->lock);
    } else if (pool) {
        rp_os_lock_drop(&pool->lock);
    }
    return pool != NULL;
}
