/* Checking a plan that came from another process, in its parts.
 *
 * Layer: module, internal to plan_check*.c.
 */
#ifndef RP_MODULE_PLAN_CHECK_H
#define RP_MODULE_PLAN_CHECK_H

#include "module/plan.h"

/* After the header was checked: every part lies inside the plan. RP_E_FORMAT. */
rp_status rp_plan_check_types(const rp_plan *plan);

#endif
