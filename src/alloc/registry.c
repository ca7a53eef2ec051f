/* The allocators of a zone by id. Layer: alloc.
 *
 * A page of the table is a unit and never moves, so that an id is looked up without a lock.
 */
#include "alloc/registry.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"

static registry *registry_of(rp_zone zone)
{
    return rp_region_root(zone, RP_ROOT_HEAPS);
}

static registry *registry_make(rp_zone zone)
{
    registry *made = rp_region_block_alloc(zone, sizeof *made, RP_BLOCK_PAGES, 0, 0);
    if (!made) {
        return NULL;
    }
    *made = (registry){.used = 1};
    registry *stands = rp_region_root_claim(zone, RP_ROOT_HEAPS, made);
    if (stands != made) {
        rp_region_block_free(made); /* another thread was first */
    }
    return stands;
}

static uintptr_t *entry_of(const registry *table, uint32_t id)
{
    return &table->pages[id / PAGE_IDS][id % PAGE_IDS];
}

/* With the lock held. */
static uint32_t id_take(registry *table, rp_zone zone)
{
    if (table->free_first) {
        uint32_t id = table->free_first;
        table->free_first = (uint32_t)(*entry_of(table, id) >> 1);
        return id;
    }
    if (table->used > RP_ALLOCATOR_LIMIT) {
        rp_fail(RP_E_MEMORY,
                "allocator: cannot be made: the zone has %u of them, no more are possible: destroy "
                "some",
                (unsigned)RP_ALLOCATOR_LIMIT);
        return 0;
    }
    uintptr_t **page = &table->pages[table->used / PAGE_IDS];
    if (!*page) {
        uintptr_t *made = rp_region_block_alloc(zone, RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0);
        if (!made) {
            return 0;
        }
        rp_block_clear(made, RP_UNIT_BYTES);
        __atomic_store_n(page, made, __ATOMIC_RELEASE);
    }
    uint32_t id = table->used;
    __atomic_store_n(&table->used, id + 1, __ATOMIC_RELAXED);
    return id;
}

rp_status rp_allocator_register(rp_allocator *allocator, allocator_kind kind, rp_zone zone,
                                const char *name)
{
    registry *table = registry_of(zone);
    table = table ? table : registry_make(zone);
    if (!table) {
        return rp_error_last()->status;
    }
    rp_os_lock_take(&table->lock);
    uint32_t id = id_take(table, zone);
    if (id) {
        *allocator = (rp_allocator){
            .magic = ALLOCATOR_MAGIC,
            .kind = (uint8_t)kind,
            .zone = (uint8_t)zone,
            .id = id,
            .scope = rp_alloc_thread_get()->scope,
        };
        rp_text_copy(allocator->name, sizeof allocator->name, name ? name : "unnamed");
        __atomic_store_n(entry_of(table, id), (uintptr_t)allocator, __ATOMIC_RELEASE);
    }
    rp_os_lock_drop(&table->lock);
    if (!id) {
        return rp_error_last()->status;
    }
    const rp_debug_ops *debug = rp_debug_ops_get();
    if (debug && debug->created) {
        debug->created(allocator);
    }
    return RP_OK;
}

void rp_allocator_unregister(rp_allocator *allocator)
{
    registry *table = registry_of((rp_zone)allocator->zone);
    rp_os_lock_take(&table->lock);
    uintptr_t *entry = entry_of(table, allocator->id);
    RP_ASSERT(*entry == (uintptr_t)allocator);
    __atomic_store_n(entry, (uintptr_t)table->free_first << 1 | 1, __ATOMIC_RELEASE);
    table->free_first = allocator->id;
    allocator->magic = 0;
    allocator->kind = KIND_NONE; /* the fast path looks at it alone */
    rp_os_lock_drop(&table->lock);
}

rp_allocator *rp_allocator_by_id(rp_zone zone, uint32_t id)
{
    const registry *table = registry_of(zone);
    if (!table || id == 0 || id > RP_ALLOCATOR_LIMIT) {
        return NULL;
    }
    const uintptr_t *page = __atomic_load_n(&table->pages[id / PAGE_IDS], __ATOMIC_ACQUIRE);
    uintptr_t entry = page ? __atomic_load_n(&page[id % PAGE_IDS], __ATOMIC_ACQUIRE) : 0;
    return entry & 1 ? NULL : (rp_allocator *)entry;
}

int rp_allocator_walk(rp_zone zone, int (*visit)(rp_allocator *allocator, void *context),
                      void *context)
{
    const registry *table = registry_of(zone);
    uint32_t used = table ? __atomic_load_n(&table->used, __ATOMIC_RELAXED) : 0;
    int result = 0;
    for (uint32_t id = 1; id < used && !result; id++) {
        rp_allocator *allocator = rp_allocator_by_id(zone, id);
        result = allocator ? visit(allocator, context) : 0;
    }
    return result;
}

bool rp_allocators_lock(rp_zone zone, bool take)
{
    registry *table = registry_of(zone);
    if (table && take) {
        rp_os_lock_take(&table->lock);
    } else if (table) {
        rp_os_lock_drop(&table->lock);
    }
    return table != NULL;
}
