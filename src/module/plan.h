/* The plan that carries a world from one build to another.
 *
 * It is made where files can be read (rp_plan_make, the host) and applied where the world lives
 * (rp_carry, the runner), so it is one flat piece of memory without pointers.
 *
 *   header | copies: old global -> new global | moves: old symbol -> new symbol
 *          | types and conversions (plan_types.h) where a type changed | names
 *
 * Variables are matched by name, file and function. Kept: the value is copied, or converted where
 * its type changed. New: stays as the new build initialised it. Removed: reported. Where a value
 * cannot become what it is now, the plan is refused (RP_E_CHANGED) and the text names the variable
 * and the field. Constants are never copied, but pointers to them move. The world must be free of
 * the old build's addresses for other purposes: the new build must not be loaded over the range
 * where the old one lay.
 *
 * Layer: module.  Design: docs/internals/module.md  Tests: tests/module/test_plan.c, test_carry.c
 */
#ifndef RP_MODULE_PLAN_H
#define RP_MODULE_PLAN_H

#include "module/plan_types.h"
#include "module/refusal.h"

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_PLAN_MAGIC UINT32_C(0x4e4c5052) /* "RPLN" */
enum { RP_PLAN_VERSION = 4 };
#define RP_PLAN_NONE UINT64_MAX /* no counterpart in the new build */

typedef struct rp_plan_copy {
    uint64_t old_address; /* as the world knew it; thread-local: in the old range's copy */
    uint64_t new_offset;  /* from the new build's base; thread-local: from its TLS block's start */
    uint64_t size_bytes;
    uint32_t name;       /* offset in names */
    uint32_t thread;     /* 1: thread-local */
    uint32_t type;       /* what it is made of; 0: not known */
    uint32_t conversion; /* 0: its bytes as they are */
} rp_plan_copy;

typedef struct rp_plan_move {
    uint64_t old_address, size_bytes;
    uint64_t new_offset; /* or RP_PLAN_NONE */
    uint32_t name;
    uint32_t is_function; /* 1: only its exact start is a pointer to it; 0: any byte inside */
    uint32_t thread;      /* 1: thread-local: new_offset is from the TLS block's start */
    uint32_t conversion;  /* places inside it move as this says; 0: by the same distance */
} rp_plan_move;

typedef struct rp_plan {
    uint32_t magic, version;
    uint64_t total_bytes;
    uint64_t old_low, old_high; /* absolute: where the old build lay */
    uint64_t old_text_low,
        old_text_high; /* executable part: words into it that are no function's start */
    uint64_t old_data_low,
        old_data_high; /* writable part; the rest is read-only data, which stays */
    uint64_t new_low, new_high, new_tls_bytes; /* of the new build's file: where offsets may lead */
    uint32_t old_build, new_build;
    uint32_t copy_count, move_count; /* copies; moves sorted by old_address */
    uint64_t copies_offset, moves_offset, names_offset, names_bytes;
    uint32_t added, removed, ambiguous; /* variables */
    uint32_t report_count; /* lines of text in `names` at report_offset, '\n' between */
    uint64_t report_offset;
    /* types: 0 of each where no type changed */
    uint32_t type_count, slot_count, heir_count, conversion_count, op_count, constant_count;
    uint32_t table_count, site_count; /* tables sorted by address */
    uint64_t types_offset, slots_offset, heirs_offset, conversions_offset, ops_offset;
    uint64_t constants_offset, tables_offset, sites_offset;
    uint32_t changed;    /* named types that differ */
    uint32_t regardless; /* 1: what cannot be told or converted is left as it is, and counted */
} rp_plan;

struct rp_elf;

/* What somebody said in the project's file (docs/types.md): that what the pointer "World.user", the
 * variable "user", or blocks of the site "game.c:41" are made of is "struct Enemy", or "bytes". */
typedef struct rp_type_answer {
    const char *what, *type;
    const struct rp_type_answer *next;
} rp_type_answer;

typedef struct rp_plan_options {
    const rp_type_answer *answers;
    bool survey;     /* for rp_survey: the types are told though none changed, and all of them */
    bool regardless; /* what cannot be carried starts anew or is left, and is counted */
    rp_refusal *refusal; /* filled with RP_E_CHANGED; null: not wanted */
} rp_plan_options;

/* Makes the plan for `old_elf` loaded at `old_base` to `new_elf` (thread-local variables of the old
 * build at old_tls_address, 0: none). The result is fresh pages of the system's: rp_plan_free.
 * `options` may be null. RP_E_CHANGED: a variable whose value cannot become what it is now; the
 * record's text is "what: why: what to do". Where either build lacks debug information types are
 * not compared, and the report's first line says so. Cost of a build's first plan: a walk over its
 * debug information, 0.2 ms for 600 lines of C; it is kept with the rp_elf. Where a type differs,
 * another one over what the variables lead to. */
rp_status rp_plan_make(const struct rp_elf *old_elf, uint32_t old_build, uint64_t old_base,
                       uint64_t old_tls_address, const struct rp_elf *new_elf, uint32_t new_build,
                       const rp_plan_options *options, rp_plan **plan);
void rp_plan_free(rp_plan *plan);
/* Checks a plan that came from another process: RP_E_FORMAT. All offsets, counts and orders. */
rp_status rp_plan_check(const rp_plan *plan, size_t size_bytes);

static inline const rp_plan_copy *rp_plan_copies(const rp_plan *plan)
{
    return (const rp_plan_copy *)((const char *)plan + plan->copies_offset);
}
static inline const rp_plan_move *rp_plan_moves(const rp_plan *plan)
{
    return (const rp_plan_move *)((const char *)plan + plan->moves_offset);
}
/* Where a part would be. Whether it is there says its count: a plan that is being checked may have
 * any offset for a part that it lacks. */
static inline const void *rp_plan_part(const rp_plan *plan, uint64_t offset)
{
    return (const void *)((uintptr_t)plan + offset);
}
static inline const rp_plan_type *rp_plan_type_at(const rp_plan *plan, uint32_t type)
{
    return (const rp_plan_type *)rp_plan_part(plan, plan->types_offset) + type;
}
static inline const rp_plan_slot *rp_plan_slot_at(const rp_plan *plan, uint32_t slot)
{
    return (const rp_plan_slot *)rp_plan_part(plan, plan->slots_offset) + slot;
}
static inline const rp_plan_conversion *rp_plan_conversion_at(const rp_plan *plan,
                                                              uint32_t conversion)
{
    return (const rp_plan_conversion *)rp_plan_part(plan, plan->conversions_offset) + conversion;
}
static inline const rp_plan_op *rp_plan_op_at(const rp_plan *plan, uint32_t op)
{
    return (const rp_plan_op *)rp_plan_part(plan, plan->ops_offset) + op;
}
static inline const char *rp_plan_name(const rp_plan *plan, uint32_t name)
{
    return (const char *)plan + plan->names_offset + name;
}

#endif
