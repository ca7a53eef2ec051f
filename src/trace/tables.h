/* What the trace layer keeps in a zone: four tables of interned things, and the root of the scopes.
 *
 *     root RP_ROOT_TRACE ──► rp_trace_tables ──► sites      "file.c:12 Type"
 *                                            ──► stacks     return addresses
 *                                            ──► scopes     (parent, name)    payload: scope_node
 *                                            ──► counters   (scope, site)     payload: rp_tally
 *
 * The tables of a zone describe the blocks of that zone, so that a restore of its bytes restores
 * both. Scope ids are of one zone; rp_trace_scope_here translates.
 *
 * Layer: trace, internal.  Threads: counters are atomic words.  Design: docs/internals/trace.md
 */
#ifndef RP_TRACE_TABLES_H
#define RP_TRACE_TABLES_H

#include "trace/intern.h"
#include "trace/trace.h"

/* Of one site in one scope. Written with relaxed atomics, as few of them as tell all: what lives is
 * what was made less what was freed. */
typedef struct rp_tally {
    uint64_t made_count, made_bytes, freed_count, freed_bytes;
    uint64_t peak_bytes;
    uint64_t frame;       /* the last one in which a block was made */
    uint64_t frame_start; /* made_count as that frame began */
    uint64_t last_count;  /* made in the frame before it */
} rp_tally;

/* What a tally says at one moment; also of several together, but for the peak. */
typedef struct rp_tally_figures {
    uint64_t live_count, live_bytes, peak_bytes;
    uint64_t total_count, total_bytes;
    uint64_t last_frame_count; /* made in the frame before the present one */
} rp_tally_figures;

enum { SCOPE_NAME_BYTES = 48, SCOPE_DEPTH_MOST = 64 };

typedef struct scope_key {
    uint32_t parent;
    char name[SCOPE_NAME_BYTES]; /* cut; behind its end all zero */
} scope_key;

typedef struct scope_node {
    uint64_t live_bytes, peak_bytes; /* of this scope and of those below it */
    uint64_t budget_bytes;
    uint32_t budget_told; /* 1: it was said that the budget is spent */
    uint32_t modes;       /* rp_debug_mode bits by name, its own and those of the scopes above */
    uint32_t traced;      /* 1: what is allocated in it goes to the tracked store */
    uint32_t depth;
    uint32_t entered;   /* how often it was begun */
    uint32_t left_open; /* how often it was left without its end */
    uint32_t released;  /* how often its end found blocks that should have been released */
    uint32_t first_child, last_child, next; /* in the order of their making */
    uint32_t unused[2];
} scope_node;

typedef struct rp_trace_tables {
    rp_intern *sites, *stacks, *scopes, *counters;
    rp_os_lock lock;
    uint32_t lost_counts;             /* blocks that found no counter of their own */
    struct root_list *leak_roots;     /* reach.c; of the keep zone */
    struct growth_list *growth_marks; /* growth.c; of the keep zone */
    scope_node root;
    uint32_t near[]; /* sites.c: ids by a hash of the text's address */
} rp_trace_tables;

enum { NEAR_COUNT = 4096 };

/* Made at first use; null where the zone is full or the region closed. */
rp_trace_tables *rp_trace_tables_make(rp_zone zone);
/* Makes a table where it is null yet; null where there is no room. */
rp_intern *rp_trace_table_make(rp_trace_tables *tables, rp_zone zone, rp_intern **table,
                               const rp_intern_shape *shape);

/* Null where nothing was ever kept. */
static inline rp_trace_tables *rp_trace_tables_if_any(rp_zone zone)
{
    return rp_region_is_open() ? (rp_trace_tables *)rp_region_root(zone, RP_ROOT_TRACE) : NULL;
}

static inline rp_trace_tables *rp_trace_tables_of(rp_zone zone)
{
    rp_trace_tables *tables = rp_trace_tables_if_any(zone);
    return tables ? tables : rp_trace_tables_make(zone);
}

static inline rp_intern *rp_trace_table(rp_trace_tables *tables, rp_zone zone, rp_intern **table,
                                        const rp_intern_shape *shape)
{
    rp_intern *stands = __atomic_load_n(table, __ATOMIC_ACQUIRE);
    return stands ? stands : rp_trace_table_make(tables, zone, table, shape);
}

/* ---- scopes.c ---- */

/* The node of a scope; that of the root for 0 and for ids that are none. */
scope_node *rp_trace_scope_node(rp_trace_tables *tables, uint32_t scope);
uint32_t rp_trace_scope_parent(const rp_trace_tables *tables, uint32_t scope);
const char *rp_trace_scope_name(const rp_trace_tables *tables, uint32_t scope);
/* In the order of their making; 0: no more. */
uint32_t rp_trace_scope_first_child(rp_trace_tables *tables, uint32_t scope);
uint32_t rp_trace_scope_next(rp_trace_tables *tables, uint32_t scope);
/* Whether `scope` is `top` or lies below it. */
bool rp_trace_scope_within(const rp_trace_tables *tables, uint32_t scope, uint32_t top);

/* ---- tally.c ---- */

void rp_tally_alloc(rp_tally *tally, uint64_t frame, size_t size_bytes);
void rp_tally_free(rp_tally *tally, size_t size_bytes);
/* While others count. `frame`: the present one. */
rp_tally_figures rp_tally_get(const rp_tally *tally, uint64_t frame);
void rp_tally_figures_add(rp_tally_figures *sum, const rp_tally_figures *more);
/* Raises a peak to `value` where that is higher. */
void rp_tally_raise(uint64_t *peak, uint64_t value);

#endif
