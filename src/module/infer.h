/* What every live block is made of: from what is said of it, and from the typed pointers that lead
 * to it.
 *
 *   variables ─ typed pointers ─► block of T ─ its pointers ─► block of U ─► …
 *
 * Each pointer to the start of a block claims it. Nothing is guessed: where another type begins
 * with T and fits as well, where two claims disagree, where the size does not divide, and behind
 * void pointers and unions, the block is in doubt, and no more of it is believed than what holds
 * either way.
 *
 * Layer: module, internal (the runner's side).  Threads: one.  Design: docs/internals/module.md
 */
#ifndef RP_MODULE_INFER_H
#define RP_MODULE_INFER_H

#include "module/blocks.h"
#include "module/carry.h"

enum { INFER_CONFLICTS_MOST = 64, INFER_AHEAD = 16 };
#define INFER_FROM_ROOT (UINT32_C(1) << 31)

/* A pointer that was read and whose block is on its way from memory. */
typedef struct infer_pending {
    uint32_t block, type, claim, origin;
    bool start, within; /* it leads to the block's start; it is an answer */
} infer_pending;

typedef struct infer_conflict {
    uint32_t block, type, claim;
} infer_conflict;

typedef struct infer {
    const rp_plan *plan;
    block_index *index;
    uint32_t *queue; /* blocks to be looked into, a ring; each at most once at a time */
    uint32_t queue_first, queue_count;
    infer_pending pending[INFER_AHEAD]; /* a ring */
    uint32_t pending_first, pending_count;
    uint32_t *doubts; /* blocks that were in doubt when they were looked into */
    uint32_t doubt_count, doubt_capacity;
    bool alone; /* a block is in doubt that may be settled by nothing else leading to it */
    uint32_t alone_count; /* blocks that were settled so */
    infer_conflict conflicts[INFER_CONFLICTS_MOST];
    uint32_t conflict_count; /* may be more than were kept */
    uint32_t root;           /* the variable that is being walked; 0: none */
    uint32_t holder;         /* 1 + the block that is being walked; 0: none */
    uint32_t from;           /* where the pointer that is being settled lies, as in `origins` */
    uint32_t *origins; /* by block, where the pointer that claims it lies: a holder, or a root with
                          INFER_FROM_ROOT; 0: not known. Null: not wanted */
    bool foreign;
    rp_status status;
} infer;

/* Collects nothing itself: `index` is filled. RP_E_MEMORY. */
rp_status rp_infer_begin(infer *in, const rp_plan *plan, block_index *index);
/* Copies the value of every variable of the plan into the index' memory: values[copy].
 * RP_E_NOT_FOUND: `read` does not know one. */
rp_status rp_infer_values(const rp_plan *plan, block_index *index, rp_carry_read_fn *read,
                          void *context, const uint8_t ***values);
/* All of it: what is said, the variables, what they lead to, then `foreign`. */
rp_status rp_infer_all(infer *in, const uint8_t *const *values, const rp_carry_span *foreign,
                       size_t foreign_count);
/* The value of variable `number` (of the plan's copies), as the old build had it. */
void rp_infer_variable(infer *in, uint32_t number, const uint8_t *value);
/* Memory that nothing is known of and that is none of the module's: after all variables. */
void rp_infer_foreign(infer *in, const void *start, size_t size_bytes);
/* Follows what was begun to its end. */
void rp_infer_run(infer *in);
/* Looks behind what is in doubt, after rp_infer_run. */
void rp_infer_run_doubts(infer *in);

/* "World.user", "'entities'": what claimed or touched a block. */
void rp_infer_claim_text(const infer *in, uint32_t claim, char *text, size_t capacity);
/* "game.c:12 Enemy" where the allocation of the block that begins there is traced; "" else. */
const char *rp_infer_site(uint64_t start);
/* Of the types that begin with the block's own: how many fit as well, and the last of them. */
uint32_t rp_infer_rivals(const infer *in, uint32_t block, uint32_t *other);
/* Whether a site's text, "game.c:12 Enemy", gives that type itself. */
bool rp_infer_names_type(const char *site, const char *name);
/* Whether blocks of that size may be made of the type alone. */
bool rp_infer_fits(const rp_plan_type *type, uint64_t size_bytes);

#endif
