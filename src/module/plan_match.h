/* Which symbol of the old build is which of the new one.
 *
 * Layer: module, internal to plan*.c.  Design: docs/internals/module.md  Tests:
 * tests/module/test_plan.c
 */
#ifndef RP_MODULE_PLAN_MATCH_H
#define RP_MODULE_PLAN_MATCH_H

#include "module/arena.h"
#include "module/elf.h"

typedef enum match_state { MATCH_NONE, MATCH_FOUND, MATCH_AMBIGUOUS } match_state;

typedef struct text_view {
    const char *text;
    size_t length;
} text_view;

typedef struct match_entry {
    const rp_symbol *symbol;
    text_view name;           /* that counts; kept, since a large build sorts 100,000 of them */
    const rp_symbol *partner; /* of MATCH_FOUND */
    match_state state;
    bool by_order; /* several of this name: told apart by the compiler's numbers alone */
    bool closure;  /* the name has a lambda's number in it */
    bool anew;     /* has its new initial value although it is matched */
    uint32_t type, conversion; /* of the plan, where a type changed */
} match_entry;

typedef struct match_side {
    match_entry *entries; /* sorted by kind and name */
    size_t count;
} match_side;

/* Fills both sides from the builds' symbols and pairs them. */
rp_status rp_match(const rp_elf *old_elf, const rp_elf *new_elf, module_arena *arena,
                   match_side *old_side, match_side *new_side);

#endif
