/* The debug side's way into the layer below, and what it does around a restore and a fork. */
#include "trace/report.h"
#include "trace/tables.h"
#include "trace/tracked.h"

#include <reprise/trace.h>

static void lock_one(rp_os_lock *lock, bool take)
{
    if (take) {
        rp_os_lock_take(lock);
    } else {
        rp_os_lock_drop(lock);
    }
}

/* Interning takes a table's lock with none of the store's held, and the other way round. */
static void lock_tables(rp_zone zone, bool take)
{
    rp_trace_tables *tables = rp_region_is_open() ? rp_trace_tables_if_any(zone) : NULL;
    if (!tables) {
        return;
    }
    rp_intern *const each[] = {tables->sites, tables->stacks, tables->scopes, tables->counters};
    lock_one(&tables->lock, take);
    for (size_t i = 0; i < RP_COUNT_OF(each); i++) {
        if (each[i]) {
            lock_one(&each[i]->lock, take);
        }
    }
}

static void lock_all(bool take)
{
    rp_tracked_fork(take);
    lock_tables(RP_ZONE_WORLD, take);
    lock_tables(RP_ZONE_KEEP, take);
}

rp_status rp_trace_open(const char *settings)
{
    static const rp_debug_ops ops = {
        .alloc = rp_tracked_alloc,
        .free = rp_tracked_free,
        .usable = rp_tracked_usable,
        .resize = rp_tracked_resize,
        .walk = rp_tracked_walk,
        .stats_add = rp_tracked_stats_add,
        .destroyed = rp_tracked_destroyed,
        .created = rp_debug_created,
        .explain = rp_debug_explain,
        .fork = lock_all,
    };
    rp_debug_ops_set(&ops);
    return settings && *settings ? rp_debug_parse(settings) : RP_OK;
}

static int visit_leaks(rp_allocator *allocator, void *context)
{
    (void)context;
    return (allocator->debug & RP_DEBUG_LEAKS) != 0;
}

size_t rp_debug_finish(void)
{
    if (!rp_region_is_open()) {
        return 0;
    }
    size_t found = rp_debug_check();
    debug_book scopes;
    rp_debug_scope_book(&scopes);
    bool leaks = scopes.modes & RP_DEBUG_LEAKS ||
                 rp_allocator_walk(RP_ZONE_WORLD, visit_leaks, NULL) ||
                 rp_allocator_walk(RP_ZONE_KEEP, visit_leaks, NULL);
    return found + (leaks ? rp_report_leaks_if_any() : 0);
}

void rp_trace_reconcile(void)
{
    rp_debug_apply_all(); /* who finds no room for a book goes without modes */
}
