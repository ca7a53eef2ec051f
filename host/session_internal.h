/* Shared by session.c and session_build.c. */
#ifndef HOST_SESSION_INTERNAL_H
#define HOST_SESSION_INTERNAL_H

#include "session.h"

/* What waits for a runner's answer on behalf of the session. */
process_wait session_wait(session *s);
/* Puts the pages of a finished commit into the log. */
rp_status session_commit(session *s, process *p, const link_message *answer,
                         const rp_record_desc *desc);
rp_status session_offer_slots(session *s, process *p);
/* Copies (page, slot) pairs into a runner's world. */
/* Takes the position back to a record after what was tried from another one failed; the live runner
 * holds its state. Keeps the error record. */
void session_seek_back(session *s, uint64_t index);
/* rp_log_seek, noted for what is recorded. */
rp_status session_log_seek(session *s, uint64_t index, const rp_page_slot **entries, size_t *count);
rp_status session_apply(session *s, process *p, const rp_page_slot *entries, size_t count);
/* The record at the log's position; false: there is none. */
bool session_record(const session *s, rp_record *record);
/* Brings the live runner to a record that its build made; the log's position follows. */
rp_status session_position(session *s, uint64_t index);
void session_take_picture(session *s);
void session_take_stage(session *s);

/* session_build.c */
rp_status session_spare_start(session *s);
rp_status session_spare_prepare(session *s);
/* The spare becomes the live runner; the former one ends. */
void session_spare_promote(session *s, uint32_t build);
/* Makes the live runner anew, at the log's position, with the build that made it. */
rp_status session_restart(session *s);
/* Carries the state at the log's position to the newest build. */
rp_status session_carry_forward(session *s);

/* Libraries that a build needs join the list that runners open ahead; `changed`: runners that were
 * started before lack one. */
rp_status session_preload_learn(session *s, const rp_elf *elf, bool *changed);
/* A range's page numbers, which were given in another process. RP_E_FORMAT. */
rp_status session_range_learn(session *s, const link_range *range);
/* Loads a build into the spare and notes where it comes to lie, wherever that was before; the spare
 * then holds it, without a state. */
rp_status session_build_place(session *s, uint32_t number);

/* Carries the state at the log's position to that build. */
rp_status session_carry_to(session *s, uint32_t build);
/* The build becomes the last of the list. On failure it is closed and its file removed. */
rp_status session_build_add(session *s, rp_elf *elf, const char *path, uint64_t complete_ns);
/* A new world under a build, in the spare, which becomes the live runner. */
rp_status session_first_world(session *s, uint32_t build);

/* session_anew.c: the last build of the list is taken off it and waits. */
void session_refused_keep(session *s);

/* session_twice.c */
/* What lies at a place that differs, as text; returns its address. */
uint64_t session_place_describe(session *s, const divergence_place *place, char *text,
                                size_t capacity);

/* failure.c */
/* Fills in the report of why `p` ended, and ends it. */
void session_failure_fill(session *s, process *p, uint64_t frame);
void session_failure_clear(session *s);
/* Fills it in from what the debug side found, of a runner that goes on. */
void session_failure_found(session *s, process *p);

static inline session_build *session_build_at(session *s, uint32_t build)
{
    return &s->builds[build - 1];
}

#endif
