/* Making the tables of a zone. */
#include "trace/tables.h"

#include "region/region.h"

#include <string.h>

rp_trace_tables *rp_trace_tables_make(rp_zone zone)
{
    if (!rp_region_is_open()) {
        return NULL;
    }
    size_t bytes = sizeof(rp_trace_tables) + NEAR_COUNT * sizeof(uint32_t);
    rp_trace_tables *made = rp_region_block_alloc(zone, bytes, RP_BLOCK_PAGES, 0, 0);
    if (!made) {
        return NULL;
    }
    memset(made, 0, bytes);
    rp_trace_tables *stands = rp_region_root_claim(zone, RP_ROOT_TRACE, made);
    if (stands != made) {
        rp_region_block_free(made); /* another thread was first */
    }
    return stands;
}

rp_intern *rp_trace_table_make(rp_trace_tables *tables, rp_zone zone, rp_intern **table,
                               const rp_intern_shape *shape)
{
    rp_os_lock_take(&tables->lock);
    if (!*table) {
        __atomic_store_n(table, rp_intern_create(zone, shape), __ATOMIC_RELEASE);
    }
    rp_intern *stands = *table;
    rp_os_lock_drop(&tables->lock);
    return stands;
}
