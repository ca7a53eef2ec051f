/* Shared by take_session.c, take_session_objects.c and take_session_load.c. */
#ifndef HOST_TAKE_SESSION_INTERNAL_H
#define HOST_TAKE_SESSION_INTERNAL_H

#include "take_session.h"

/* Compares what this process loads with what the take's did, and finds out what has to be moved;
 * `index` is a frame record with its memory. */
rp_status take_objects_settle(take_session *t, uint64_t index);
/* Whether the live runner has everything where the settling found it. */
rp_status take_objects_check(const take_session *t);
/* Moves what a page's words point to; `content` and `moved` have RP_PAGE_BYTES. Returns how many
 * words were moved; `moved` is written only then. */
size_t take_words_move(const take_session *t, const uint8_t *content, uint8_t *moved);

#endif
