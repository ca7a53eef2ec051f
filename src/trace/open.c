/* The debug side's way into the layer below, and what it does around a restore and a fork. */
#include "trace/tracked.h"

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
    };
    rp_debug_ops_set(&ops);
    return settings && *settings ? rp_debug_parse(settings) : RP_OK;
}

void rp_trace_reconcile(void)
{
    rp_debug_apply_all(); /* who finds no room for a book goes without modes */
}
