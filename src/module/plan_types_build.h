/* The types of a plan while it is being made: what of the old build becomes what of the new one.
 *
 * Layer: module, internal to plan*.c (the host's side).
 */
#ifndef RP_MODULE_PLAN_TYPES_BUILD_H
#define RP_MODULE_PLAN_TYPES_BUILD_H

#include "module/graph.h"
#include "module/plan.h"

/* A growing array in an arena. */
typedef struct types_pool {
    void *items;
    uint32_t count, capacity;
} types_pool;

typedef struct types_pair {
    uint64_t key; /* both nodes; 0: free */
    uint32_t conversion;
    uint32_t state;
} types_pair;

typedef struct types_build {
    type_graph old_graph, new_graph;
    module_arena arena;
    types_pool types, slots, heirs, conversions, ops, constants, tables, sites;
    types_pool names; /* bytes; 0 is "" */
    types_pool found; /* types_link: pairs of types that pointers lead to, still to be looked at */
    types_pool partners; /* by old node: the new node; 0: none yet */
    types_pool types_of; /* by old node: its plan type */
    types_pool nodes_of; /* by plan type: its old node */
    uint32_t bytes_type; /* of answers that say "bytes" */
    types_pair *pairs;
    uint32_t pair_count, pair_slots;
    const rp_type_answer *answers;
    types_pool bases; /* types_link: a struct, and one that begins with it */
    bool regardless;
    bool all; /* types that did not change, too */
    rp_status status;
} types_build;

/* In a type's flags while the plan is being made: it has its slots. */
#define TYPES_FILLED (UINT32_C(1) << 31)

typedef struct types_link {
    uint32_t old_node, new_node;
} types_link;

/* plan_types.c */
rp_status rp_types_build_init(types_build *build, const rp_elf *old_elf, const rp_elf *new_elf,
                              const rp_type_answer *answers);
void rp_types_build_finish(types_build *build);
/* Zeroed, at the end; null with build->status set. The pool's items may move. */
void *rp_types_push(types_build *build, types_pool *pool, uint32_t count, size_t size_bytes);
uint32_t rp_types_name(types_build *build, const char *text); /* an offset in names */
const char *rp_types_name_at(const types_build *build, uint32_t name);
/* The types of a matched pair of variables, named for messages: *type of the old one (0: not
 * known), *conversion (0: none). */
void rp_types_variable(types_build *build, const rp_symbol *old_symbol, const rp_symbol *new_symbol,
                       uint32_t *type, uint32_t *conversion);
/* A variable without a counterpart, for what it leads to. */
uint32_t rp_types_root(types_build *build, const rp_symbol *old_symbol);
/* Gives all nodes of both graphs their members. */
void rp_types_fill_graphs(types_build *build);
/* plan_tables.c: which class each virtual table of the old build is of, sorted by address. */
void rp_types_tables(types_build *build, uint64_t old_base);
/* All that pointers lead to, heirs, tables, answers. */
rp_status rp_types_complete(types_build *build, uint64_t old_base);

/* The new node that an old struct, union or enum became; 0: none yet. Null: no memory. */
uint32_t *rp_types_partner_of(types_build *build, uint32_t old_node);

/* plan_pair.c: conversions. 0: the bytes as they are. */
uint32_t rp_types_convert(types_build *build, uint32_t old_node, uint32_t new_node,
                          const char *name);

/* plan_walk.c: the plan type of an old node, with its slots once rp_types_complete was called. */
uint32_t rp_types_type(types_build *build, uint32_t node);
/* One of its own for a pointer, or an array of them, that an answer speaks of. */
uint32_t rp_types_answered(types_build *build, uint32_t node, const char *type);
void rp_types_fill_type(types_build *build, uint32_t type);
/* What an answer says of a pointer; null: nothing. */
const char *rp_types_answer(const types_build *build, const char *what);
void rp_types_apply_answer(types_build *build, rp_plan_slot *slot, const char *type);
uint32_t rp_types_bytes(types_build *build); /* the type of what somebody said is only bytes */

static inline rp_plan_conversion *types_conversion(const types_build *build, uint32_t conversion)
{
    return (rp_plan_conversion *)build->conversions.items + conversion;
}
static inline rp_plan_type *types_type(const types_build *build, uint32_t type)
{
    return (rp_plan_type *)build->types.items + type;
}

#endif
