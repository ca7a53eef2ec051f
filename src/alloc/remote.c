/* Blocks that are freed by another thread than their slab's owner.
 *
 *   free ──► outbox of the freeing thread, by owner ── 32 blocks ──► the owner's remote list
 *
 * One compare-and-swap sends a whole batch. A thread that ended has closed its list: then the
 * blocks go straight into their slabs, which the heap's lock guards from then on.
 */
#include "alloc/cache.h"
#include "alloc/outbox.h"

/* ---- outboxes ---- */

/* By slot; of RP_ALLOC_THREADS_MOST + 1 pointers. */
static outbox **table_of(rp_zone zone)
{
    return rp_region_root(zone, RP_ROOT_OUTBOXES);
}

static outbox **table_make(rp_zone zone)
{
    size_t bytes = (RP_ALLOC_THREADS_MOST + 1) * sizeof(outbox *);
    outbox **table = rp_region_block_alloc(zone, bytes, RP_BLOCK_PAGES, 0, 0);
    if (!table) {
        return NULL;
    }
    __builtin_memset(table, 0, bytes);
    outbox **stands = rp_region_root_claim(zone, RP_ROOT_OUTBOXES, table);
    if (stands != table) {
        rp_region_block_free(table); /* another thread was first */
    }
    return stands;
}

static outbox *outbox_of(rp_zone zone, uint32_t slot)
{
    outbox **table = table_of(zone);
    return table ? __atomic_load_n(&table[slot], __ATOMIC_ACQUIRE) : NULL;
}

outbox *rp_outbox_mine(rp_zone zone)
{
    uint32_t slot = rp_alloc_thread_attach();
    outbox *mine = slot ? outbox_of(zone, slot) : NULL;
    if (mine || !slot) {
        return mine;
    }
    outbox **table = table_of(zone);
    table = table ? table : table_make(zone);
    mine = table ? rp_meta_take(zone, META_OUTBOX) : NULL;
    if (mine) {
        __atomic_store_n(&table[slot], mine, __ATOMIC_RELEASE);
    }
    return mine;
}

/* ---- into slabs of nobody ---- */

/* False where the slab has an owner (again). */
static bool put_shared(rp_unit *unit, free_block *block)
{
    rp_cache *cache = slab_cache(unit);
    if (cache->thread != THREAD_NONE) {
        return false;
    }
    rp_heap *heap = cache->heap;
    rp_os_lock_take(&heap->base.lock);
    bool still = slab_cache(unit) == cache;
    if (still) {
        uint64_t before = cache->out_bytes;
        rp_slab_put(cache, unit, block);
        rp_heap_count(heap, (int64_t)(cache->out_bytes - before));
    }
    rp_os_lock_drop(&heap->base.lock);
    return still;
}

/* ---- sending ---- */

/* False where the owner has ended. */
static bool publish(rp_cache *cache, free_block *head, free_block *tail)
{
    free_block *old = __atomic_load_n(&cache->remote, __ATOMIC_RELAXED);
    do {
        if (old == REMOTE_CLOSED) {
            return false;
        }
        block_link(tail, old);
    } while (!__atomic_compare_exchange_n(&cache->remote, &old, head, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    return true;
}

/* The owner closes its list and hands its slabs over under the heap's lock: who has waited for that
 * finds them handed over. */
static void return_each(rp_cache *closed, free_block *block)
{
    rp_os_lock_take(&closed->heap->base.lock);
    rp_os_lock_drop(&closed->heap->base.lock);
    rp_remote_free_chain(block);
}

static void send(outbox_entry *entry)
{
    const outbox_entry batch = *entry;
    *entry = (outbox_entry){0};
    rp_cache *cache = batch.cache;
    if (!cache || __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE) != batch.generation) {
        return; /* the heap was destroyed, and with it these blocks */
    }
    __atomic_fetch_add(&cache->remote_blocks, batch.count, __ATOMIC_RELAXED);
    __atomic_fetch_add(&cache->remote_bytes, batch.bytes, __ATOMIC_RELAXED);
    if (!publish(cache, batch.head, batch.tail)) {
        __atomic_fetch_sub(&cache->remote_blocks, batch.count, __ATOMIC_RELAXED);
        __atomic_fetch_sub(&cache->remote_bytes, batch.bytes, __ATOMIC_RELAXED);
        return_each(cache, batch.head);
    }
}

void rp_remote_send(rp_zone zone, uint32_t slot)
{
    outbox *box = outbox_of(zone, slot);
    for (uint32_t i = 0; box && i < OUTBOX_ENTRIES; i++) {
        if (box->entries[i].cache) {
            send(&box->entries[i]);
        }
    }
}

static outbox_entry *entry_for(outbox *box, rp_cache *cache)
{
    outbox_entry *entry = &box->entries[cache_code(cache) * 0x9e3779b1u >> 28];
    uint32_t generation = __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE);
    if (entry->cache != cache || entry->generation != generation) {
        send(entry);
        *entry = (outbox_entry){.cache = cache, .generation = generation};
    }
    return entry;
}

static void collect(outbox *box, rp_cache *cache, const rp_unit *unit, free_block *block)
{
    outbox_entry *entry = entry_for(box, cache);
    block_link(block, entry->head);
    entry->head = block;
    entry->tail = entry->tail ? entry->tail : block;
    entry->count++;
    entry->bytes += rp_size_classes[unit->size_class].block_bytes;
    if (entry->count >= SEND_BLOCKS || entry->bytes >= SEND_BYTES) {
        send(entry);
    }
}

/* Without an outbox each block is sent by itself. */
static void send_one(rp_cache *cache, const rp_unit *unit, free_block *block)
{
    outbox_entry alone = {.cache = cache,
                          .generation = __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE),
                          .count = 1,
                          .bytes = rp_size_classes[unit->size_class].block_bytes,
                          .head = block,
                          .tail = block};
    block_link(block, NULL);
    send(&alone);
}

void rp_remote_free(rp_unit *unit, free_block *block)
{
    for (;;) {
        if (put_shared(unit, block)) {
            return;
        }
        rp_cache *cache = slab_cache(unit);
        if (cache->thread == THREAD_NONE) {
            continue;
        }
        outbox *box = rp_outbox_mine((rp_zone)cache->heap->base.zone);
        if (box) {
            collect(box, cache, unit, block);
        } else {
            send_one(cache, unit, block);
        }
        return;
    }
}

void rp_remote_free_chain(free_block *block)
{
    while (block) {
        free_block *next = block->next;
        rp_remote_free(unit_of(block), block);
        block = next;
    }
}

void rp_remote_pending(const rp_heap *heap, uint64_t *blocks, uint64_t *bytes)
{
    *blocks = *bytes = 0;
    rp_zone zone = (rp_zone)heap->base.zone;
    for (uint32_t slot = 1; table_of(zone) && slot <= RP_ALLOC_THREADS_MOST; slot++) {
        const outbox *box = outbox_of(zone, slot);
        for (uint32_t i = 0; box && i < OUTBOX_ENTRIES; i++) {
            const outbox_entry *entry = &box->entries[i];
            bool ours = entry->cache && entry->cache->generation == entry->generation &&
                        entry->cache->heap == heap;
            *blocks += ours ? entry->count : 0;
            *bytes += ours ? entry->bytes : 0;
        }
    }
}
