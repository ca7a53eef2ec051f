/* Applying a plan in the process that holds the world. No libelf here.
 *
 * Layer: module.  Tests: tests/module/test_carry.c
 */
#ifndef RP_MODULE_CARRY_H
#define RP_MODULE_CARRY_H

#include "module/plan.h"

typedef struct rp_carry_span {
    void *start;
    size_t size_bytes;
} rp_carry_span;

/* Zero it before the first call; the calls add to it. */
typedef struct rp_carry_report {
    uint32_t carried;        /* variables whose value was copied */
    uint32_t pointers_moved; /* words that now point into the new build */
    uint32_t pointers_kept;  /* words that point to the old build's read-only data, which stays */
    uint32_t
        pointers_left;  /* words that could not be moved: removed variables and functions, code */
    char left_name[64]; /* the first of those that were left: what it pointed to */
    uint64_t left_at;   /* and where the word lies */
} rp_carry_report;

/* What was done to objects whose type changed. Zero it before. */
typedef struct rp_migration {
    uint64_t objects;        /* of changed types, on the heap and in variables */
    uint64_t blocks_changed; /* heap blocks that hold such */
    uint64_t blocks_moved;   /* of these, to a larger place */
    uint64_t blocks_seen;    /* live blocks of the world */
    uint64_t blocks_typed;   /* whose type is known or inferred */
    uint64_t blocks_foreign; /* that only memory of unknown meaning leads to: left as they are */
    uint64_t pointers_moved; /* words that lead to another place on the heap now */
    uint64_t pointers_left;  /* that led to a field that is no more */
    uint64_t left_at;
    uint64_t values_lost; /* numbers that do not fit their new type: the nearest was taken */
    char left_name[96];   /* the type of the first such object */
    char lost_name[96];   /* the first such field */
} rp_migration;

/* Reads `size_bytes` of the old world at an old address (a global of the old build); false:
 * unknown. */
typedef bool rp_carry_read_fn(void *context, uint64_t old_address, void *to, size_t size_bytes);

/* Copies the variables: old values come from `read`, new places are new_base + new_offset
 * (thread-local: tls_block + new_offset). RP_E_NOT_FOUND: `read` does not know a variable; what was
 * copied before it stays copied, so the process is to be given up. RP_E_MODULE: thread-local
 * variables, but no `tls_block`. The plan has passed rp_plan_check and has no types: what they
 * change is converted by rp_migrate. */
rp_status rp_carry_copy(const rp_plan *plan, uint64_t new_base, void *tls_block,
                        rp_carry_read_fn *read, void *context, rp_carry_report *report);
/* The same for a plan with types (plan->type_count): the types of heap blocks are found from the
 * variables on, then every object of a changed type is made anew. `foreign`: memory outside the
 * heaps that may point into them and whose types are not known: the data of libraries. First all is
 * looked at, and nothing changed: RP_E_CHANGED where objects of changed types live that cannot be
 * converted, or blocks of which nothing tells whether they are such; `refusal` then says which.
 * Any later failure leaves the process to be given up. Cost: some 150 ns an object. */
rp_status rp_carry_migrate(const rp_plan *plan, uint64_t new_base, void *tls_block,
                           rp_carry_read_fn *read, void *context, const rp_carry_span *foreign,
                           size_t foreign_count, rp_carry_report *report, rp_migration *migration,
                           rp_refusal *refusal);
/* Re-points every aligned word in `spans` that leads into the old build. Words are read and
 * compared only; pages without such a word are not written. A word that holds the address just past
 * a writable variable, where no other begins, moves with that variable. Cost: about 1 ms for 16
 * MiB. */
void rp_carry_pointers(const rp_plan *plan, uint64_t new_base, void *tls_block,
                       const rp_carry_span *spans, size_t span_count, rp_carry_report *report);
/* The same of the whole world: every block of its zone, and the ranges beside it. */
void rp_carry_world_pointers(const rp_plan *plan, uint64_t new_base, void *tls_block,
                             const rp_carry_span *ranges, size_t range_count,
                             rp_carry_report *report);
/* The same build at another place: every word in [old_low, old_high) moves by a distance. */
void rp_carry_shift(uint64_t old_low, uint64_t old_high, int64_t distance,
                    const rp_carry_span *spans, size_t span_count, rp_carry_report *report);

/* A word that may lie unaligned and leads into the old build, where it is known what it is a
 * pointer to (0: not): what rp_carry_pointers does for each. */
void rp_carry_typed(const rp_plan *plan, uint64_t new_base, uint64_t new_tls, uint8_t *word,
                    uint32_t type, rp_carry_report *report);

#endif
