/* What is known of the blocks of a world, before a type changes: known, inferred, in doubt,
 * unknown.
 *
 *   plan of a build to itself ─► the walk that a reload makes ─► groups of blocks alike ─► JSON
 *
 * A group is blocks of one state and type that the same pointer led to and one place allocated.
 * The walk is the reload's own (infer.h), so what is told here is what a reload will find.
 * Nothing of the world is written.
 *
 *   {"blocks":3,"bytes":160,"variables":5,"variables_typed":5,
 *    "totals":{"known":{"blocks":1,"bytes":48}, "inferred":…, "ambiguous":…, "unknown":…},
 *    "groups":[{"state":"ambiguous","why":"disagree","type":"struct A","also":["struct
 * B"],"also_by":"user", "blocks":1,"bytes":64,"objects":2,"site":"game.c:12","by":"World.user",
 *               "chain":["world","World.user"],"answer":"World.user=struct A","address":…}, …],
 *    "left_out":0}
 *
 * Layer: module (the runner's side).  Threads: one.  Tests: tests/module/test_survey.c
 */
#ifndef RP_MODULE_SURVEY_H
#define RP_MODULE_SURVEY_H

#include "module/carry.h"

#include <reprise/trace.h>

/* `plan` was made with rp_plan_options.survey, and has passed rp_plan_check. `read` gives the value
 * of a variable; `foreign` is as rp_carry_migrate has it. RP_E_UNSUPPORTED: the plan knows of no
 * types; RP_E_MEMORY; RP_E_NOT_FOUND: `read` does not know a variable. Nothing is written then. */
rp_status rp_survey(const rp_plan *plan, rp_carry_read_fn *read, void *read_context,
                    const rp_carry_span *foreign, size_t foreign_count, rp_report_writer *writer,
                    void *context);

#endif
