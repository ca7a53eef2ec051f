/* A session that goes on with a take: its builds in a fresh runner, its frames in the session's
 * history, the world at any of them.
 *
 *   take ── builds ──► files in the host's own folder ──► known here? ──► session_build list
 *        ── ranges ──► page numbers that the session knows
 *        ── frames ──► the session's log ──► session_seek, session_step … as in any session
 *
 * Reading a take runs nothing of it; here something is run. So it stands first whether each build
 * is known on this machine (take_trust.h) or the caller vouches for the take, before any byte of a
 * build reaches a file that a runner could load.
 *
 * Objects that lie elsewhere in this process have every word of the state that points into them
 * moved by the distance. A library that is another one than then is refused with its name where the
 * state points into it or holds its variables, and is of no matter elsewhere.
 *
 * Layer: host.  Threads: the main thread.  Users: cmd_open.c, resume.c and whatever replays takes
 * Design: docs/internals/host.md  Tests: tests/e2e/test_robust_take.c, tests/e2e/robust_open.sh,
 * play_open.sh
 */
#ifndef HOST_TAKE_SESSION_H
#define HOST_TAKE_SESSION_H

#include "session.h"
#include "take_file.h"

typedef struct take_session_desc {
    take_file *file;    /* open for as long as this */
    const char *copies; /* a folder of this host alone, for the builds */
    bool own;           /* of this user's host a moment ago: nothing in it is foreign */
    bool trust;         /* runs builds that are not known here */
    const char *known;  /* a file of the user's: a build with the same bytes is known; null: none */
    session_desc session; /* origin, seed, start_wall_ns and the canvas are the take's */
} take_session_desc;

enum { TAKE_SESSION_MOVES_MOST = 512 };

/* Words in [low, high) of the take's process are `distance` further here. */
typedef struct take_move {
    uint64_t low, high, distance;
    char name[64];
} take_move;

typedef struct take_session {
    session *session; /* the caller's */
    take_file *file;
    uint32_t *build_numbers; /* in the take, of the session's builds 1 … */
    uint32_t build_count;
    rp_take_array objects; /* rp_take_object, at the frame that was opened for */
    size_t object_count;
    take_move *moves; /* TAKE_SESSION_MOVES_MOST */
    size_t move_count;
    uint64_t moved_words; /* in all frames that were loaded */
    bool forgot;          /* variables of a library that nothing used: they are here as they are */
    struct rp_take_state *state;
    char notes[1024]; /* what differs here and is of no matter, a line each */
} take_session;

/* Prepares a session for frame record `index` and those around it; nothing is loaded and no world
 * is there yet. RP_E_ARGUMENT: a build is not known here and `trust` is not set (the text names
 * it). RP_E_UNSUPPORTED: another static base. RP_E_NOT_FOUND: the take lacks a build's file, or is
 * of a program that embeds the deck. RP_E_CHANGED: a library is missing or another one. Others as
 * of session_open. On failure both are closed. */
rp_status take_session_open(const take_session_desc *desc, uint64_t index, take_session *t,
                            session *s);
void take_session_close(take_session *t); /* not the session */

/* Into the history: the states after those of the frame records `first` … `last` that led to
 * `last`: where somebody went back and on from there, what was dropped then is left out, and so are
 * thin ones. The log must be empty. `progress` may be null; false ends it early, RP_E_CLOSED.
 * RP_E_NOT_FOUND: all of them are thin. */
typedef bool take_session_progress(void *context, uint64_t done, uint64_t all);
rp_status take_session_load(take_session *t, uint64_t first, uint64_t last,
                            take_session_progress *progress, void *context);
/* The last record of the course of things that record `index` is on: the take's last one, or where
 * what follows `index` was dropped. */
uint64_t take_session_course_end(const take_file *file, uint64_t index);
/* A fresh runner stands at a frame that was loaded, and all that is loaded in it was compared with
 * the take's. RP_E_CHANGED, RP_E_TAKEN: a build or library cannot be brought to where it was. */
rp_status take_session_stand(take_session *t, uint64_t frame);
/* Whether states have the hashes that the take says: nothing had to be moved or left out. */
static inline bool take_session_hashes_hold(const take_session *t)
{
    return t->move_count == 0 && !t->forgot;
}
/* The session's number of a build of the take; 0: it has none. */
uint32_t take_session_build(const take_session *t, uint32_t take_number);

#endif
