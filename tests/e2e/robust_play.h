/* A program that is played through a session: straight on, keeping the hash of each frame, and then
 * again in every disturbed way, each frame against that hash.
 *
 *     play p;
 *     play_open(&p, "lua_module");
 *     play_on(&p, 2000);          // steps; the first time a frame is made its hash is noted
 *     play_seek(&p, 700);         // the hash there must be the one that was noted
 *     play_check_memory(&p);      // and so must the runner's memory itself
 *     play_close(&p);             // and nothing is left behind
 */
#ifndef TESTS_E2E_ROBUST_PLAY_H
#define TESTS_E2E_ROBUST_PLAY_H

#include "session.h"

enum { PLAY_FRAMES_MAX = 20000 };

typedef struct play {
    session session;
    char directory[64]; /* of the builds' copies */
    unsigned copies;
    uint64_t hashes[PLAY_FRAMES_MAX]; /* by frame */
    bool noted[PLAY_FRAMES_MAX];
} play;

/* Whether RP_LONG asks for the long form. */
bool play_is_long(void);

/* Opens a session on a program of tests/programs/, or on the demo ("demo"), at frame 0. */
void play_open(play *p, const char *program);
/* The same without a build; the status is the session's. */
rp_status play_open_empty(play *p);
/* A new build, from a program as above or from a path with '/'. */
rp_status play_build(play *p, const char *program);
/* Ends everything; no process, copy or descriptor may be left. */
void play_close(play *p);

/* The input of a frame, which depends on its number alone. */
void play_input(uint64_t frame, rp_input *input);
/* Makes the next frame and notes or compares its hash. The status is the session's. */
rp_status play_step(play *p);
/* Steps to a frame. Each step must succeed. */
void play_on(play *p, uint64_t frame);
/* Goes to a kept frame and compares its hash. */
void play_seek(play *p, uint64_t frame);
/* Notes or compares the hash at the position. */
void play_check(play *p);
/* Compares each page of the world in the runner's memory with the log. */
void play_check_memory(play *p);

#endif
