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

/* Reads `size_bytes` of the old world at an old address (a global of the old build); false:
 * unknown. */
typedef bool rp_carry_read_fn(void *context, uint64_t old_address, void *to, size_t size_bytes);

/* Copies the variables: old values come from `read`, new places are new_base + new_offset
 * (thread-local: tls_block + new_offset). RP_E_NOT_FOUND: `read` does not know a variable; what was
 * copied before it stays copied, so the process is to be given up. RP_E_MODULE: thread-local
 * variables, but no `tls_block`. The plan has passed rp_plan_check. */
rp_status rp_carry_copy(const rp_plan *plan, uint64_t new_base, void *tls_block,
                        rp_carry_read_fn *read, void *context, rp_carry_report *report);
/* Re-points every aligned word in `spans` that leads into the old build. Words are read and
 * compared only; pages without such a word are not written. A word that holds the address just past
 * a writable variable, where no other begins, moves with that variable. Cost: about 1 ms for 16
 * MiB. */
void rp_carry_pointers(const rp_plan *plan, uint64_t new_base, void *tls_block,
                       const rp_carry_span *spans, size_t span_count, rp_carry_report *report);
/* The same build at another place: every word in [old_low, old_high) moves by a distance. */
void rp_carry_shift(uint64_t old_low, uint64_t old_high, int64_t distance,
                    const rp_carry_span *spans, size_t span_count, rp_carry_report *report);

#endif
