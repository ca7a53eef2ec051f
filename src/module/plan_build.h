/* A plan while it is being made, and the words it is reported in.
 *
 * Layer: module, internal to plan*.c.
 */
#ifndef RP_MODULE_PLAN_BUILD_H
#define RP_MODULE_PLAN_BUILD_H

#include "base/text.h"
#include "module/plan.h"
#include "module/plan_match.h"
#include "module/plan_types_build.h"

enum { PLAN_REPORT_BYTES = 16 << 10, PLAN_REPORT_LINES = 100 };

typedef struct plan_build {
    rp_plan plan; /* the header in the making; offsets are set last */
    const rp_elf *old_elf, *new_elf;
    uint64_t old_base, old_tls_address;
    module_arena arena;
    match_side old_side, new_side;
    rp_plan_copy *copies;
    rp_plan_move *moves;
    char *names;
    size_t names_used;
    rp_text_buffer report;
    uint32_t report_left_out;
    const rp_plan_options *options;
    bool types_known; /* of both builds */
    bool with_types;  /* a type changed: `types` is in use */
    types_build types;
} plan_build;

/* plan_report.c */
/* "count of step() in game.c" */
void rp_plan_describe(const rp_symbol *symbol, char *text, size_t capacity);
/* Counts and reports what is added, removed, ambiguous, or runs on with its value. RP_E_CHANGED
 * with the record set where a variable that is to be carried has another size. */
rp_status rp_plan_judge(plan_build *build);
/* Whether the value of a matched variable is carried: not that of a constant. */
bool rp_plan_is_copied(const plan_build *build, const match_entry *entry);

#endif
