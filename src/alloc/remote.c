/* Blocks on their way back to the owners of their slabs.
 *
 *   a bin over its limit ── sorted by owner into parcels ──► the owner's remote list
 *
 * One compare-and-swap sends a whole parcel. A thread that ended has closed its list: its slabs are
 * the shared cache's, and the blocks go straight into them under the heap's lock.
 */
#include "alloc/cache.h"

typedef struct parcel {
    rp_cache *owner; /* null: empty */
    free_block *head, *tail;
    uint32_t count, bytes;
    free_block *latest[AHEAD]; /* ring */
} parcel;

enum { PARCELS = 8 }; /* 2^3, by a hash of the owner: most threads get blocks from few others */

/* ---- to slabs of no thread ---- */

/* Returns the chain of those that were adopted meanwhile. */
static free_block *put_shared(rp_cache *shared, free_block *chain)
{
    rp_os_lock_take(&shared->heap->base.lock);
    free_block *adopted = rp_slab_put(shared, chain);
    rp_os_lock_drop(&shared->heap->base.lock);
    return adopted;
}

/* ---- to a thread ---- */

/* False where the owner has ended. */
static bool publish(rp_cache *owner, free_block *head, free_block *tail)
{
    free_block *old = __atomic_load_n(&owner->remote, __ATOMIC_RELAXED);
    do {
        if (old == REMOTE_CLOSED) {
            block_link(tail, NULL); /* a try before may have linked it to what the owner took */
            return false;
        }
        block_link(tail, old);
    } while (!__atomic_compare_exchange_n(&owner->remote, &old, head, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    return true;
}

/* Counted before they arrive, so that the owner never counts more in than was sent. */
static bool publish_counted(const parcel *p)
{
    __atomic_fetch_add(&p->owner->remote_blocks, p->count, __ATOMIC_RELAXED);
    __atomic_fetch_add(&p->owner->remote_bytes, p->bytes, __ATOMIC_RELAXED);
    if (publish(p->owner, p->head, p->tail)) {
        return true;
    }
    __atomic_fetch_sub(&p->owner->remote_blocks, p->count, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&p->owner->remote_bytes, p->bytes, __ATOMIC_RELAXED);
    return false;
}

/* The owner closes its list and hands its slabs over under the heap's lock: who has waited for that
 * finds them handed over. */
static void wait_for_close(rp_cache *owner)
{
    rp_os_lock_take(&owner->heap->base.lock);
    rp_os_lock_drop(&owner->heap->base.lock);
}

/* Empties the parcel; returns the chain of blocks that have another owner now. */
static free_block *send(parcel *p)
{
    const parcel full = *p;
    *p = (parcel){0};
    if (full.owner->thread == THREAD_NONE) {
        return put_shared(full.owner, full.head);
    }
    if (publish_counted(&full)) {
        return NULL;
    }
    wait_for_close(full.owner);
    return full.head;
}

/* ---- sorting ---- */

static void add(parcel *p, rp_cache *owner, const rp_unit *unit, free_block *block)
{
    p->owner = owner;
    block_link(block, p->head);
    if (unit->size_class > 1) {
        ((sent_block *)block)->ahead = p->latest[p->count % AHEAD];
    }
    p->latest[p->count % AHEAD] = block;
    p->head = block;
    p->tail = p->tail ? p->tail : block;
    p->count++;
    p->bytes += rp_size_classes[unit->size_class].block_bytes;
}

free_block *rp_chain_join(free_block *chain, free_block *rest)
{
    while (chain) {
        free_block *next = chain->next;
        block_link(chain, rest);
        rest = chain;
        chain = next;
    }
    return rest;
}

/* Puts the first block into its owner's parcel; returns the chain of what is to be sorted next. */
static free_block *sort_first(parcel *parcels, free_block *chain)
{
    free_block *rest = chain->next, *again = NULL;
    const rp_unit *unit = unit_of(chain);
    rp_cache *owner = slab_cache(unit);
    parcel *p = &parcels[cache_code(owner) * UINT32_C(0x9e3779b1) >> 29];
    if (p->owner && p->owner != owner) {
        again = send(p);
    }
    add(p, owner, unit, chain);
    return rp_chain_join(again, rest);
}

void rp_remote_return(free_block *chain)
{
    parcel parcels[PARCELS] = {{0}};
    for (int next = 0; chain || next < PARCELS;) {
        if (chain) {
            chain = sort_first(parcels, chain);
            next = 0; /* it may have filled any of them */
        } else {
            chain = parcels[next].owner ? send(&parcels[next]) : NULL;
            next++;
        }
    }
}
