/* Which bytes of a loaded object are state.
 *
 * Layer: module, internal to object*.c.
 */
#ifndef RP_MODULE_OBJECT_STATE_H
#define RP_MODULE_OBJECT_STATE_H

#include "module/object.h"

#include <link.h>

/* Fills state, state_count and state_lost; base, low and high are set. */
void rp_object_read_state(rp_object *object, const struct dl_phdr_info *info);

#endif
