/* Heaps with debug modes of their own, and the sweep over error paths. */
#include "base/error.h"
#include "trace/tracked.h"

rp_allocator *rp_debug_create(const rp_heap_desc *desc, uint32_t modes,
                              const rp_debug_options *options)
{
    rp_allocator *made = rp_heap_create(desc);
    tracked_pool *pool = made ? rp_tracked_pool(made) : NULL;
    if (!pool) {
        rp_allocator_destroy(made);
        return NULL;
    }
    pool->own = rp_debug_book(modes, options);
    rp_debug_apply(made); /* its book is there: it cannot fail */
    return made;
}

rp_allocator *rp_trace_create(const rp_heap_desc *desc)
{
    return rp_debug_create(desc, RP_DEBUG_TRACE | RP_DEBUG_STACKS, NULL);
}

rp_allocator *rp_canary_create(const rp_heap_desc *desc)
{
    return rp_debug_create(desc, RP_DEBUG_CANARY, NULL);
}

rp_allocator *rp_end_of_page_create(const rp_heap_desc *desc)
{
    return rp_debug_create(desc, RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE, NULL);
}

rp_allocator *rp_fill_create(const rp_heap_desc *desc, uint64_t seed)
{
    return rp_debug_create(desc, RP_DEBUG_FILL, &(rp_debug_options){.seed = seed});
}

rp_allocator *rp_sampled_guard_create(const rp_heap_desc *desc, uint32_t one_in)
{
    return rp_debug_create(desc, RP_DEBUG_SAMPLED, &(rp_debug_options){.sample_one_in = one_in});
}

rp_allocator *rp_failing_create(const rp_heap_desc *desc, uint64_t nth)
{
    return rp_debug_create(desc, RP_DEBUG_FAILING, &(rp_debug_options){.fail_nth = nth});
}

rp_status rp_failing_set(rp_allocator *allocator, uint64_t nth)
{
    rp_allocator_check(allocator);
    tracked_pool *pool = rp_tracked_pool(allocator);
    if (!pool) {
        return rp_error_last()->status;
    }
    rp_os_lock_take(&pool->lock);
    pool->own.fail_nth = nth;
    pool->active.fail_nth = nth;
    __atomic_store_n(&pool->asked, 0, __ATOMIC_RELAXED);
    rp_os_lock_drop(&pool->lock);
    return RP_OK;
}

uint64_t rp_failing_count(const rp_allocator *allocator)
{
    rp_allocator_check(allocator);
    const tracked_pool *pool = rp_tracked_pool_find((rp_zone)allocator->zone, allocator->id);
    return pool ? __atomic_load_n(&pool->asked, __ATOMIC_RELAXED) : 0;
}
