/* A module inside your own program, reloaded while it runs.
 *
 *     rp_deck_load(deck, &(rp_module_desc){ .path = "game.so" });
 *     for (;;) {
 *         void (*step)(const input *) = (void (*)(const input *))rp_deck_symbol(deck, "game_step");
 *         rp_frame_begin(deck, &in, sizeof in);
 *         step(&in);
 *         rp_frame_end(deck, NULL);
 *         if (the file changed)
 *             rp_deck_reload(deck, &(rp_module_desc){ .path = "game.so" }, NULL);
 *     }
 *
 * rp_deck_close unloads all builds: none of their functions may be on a stack then, or be called
 * later.
 *
 * A module is any shared library. Its writable data and thread-local data are state, like the
 * deck's heap. A reload carries the state to the new build, variables by name and objects by type;
 * the plan is made by another process, reprise-plan. All or nothing: a build that is refused leaves
 * the one before running, with the state as it was.
 *
 *   build      code           data, between frames
 *   current    runs           state
 *   others     stays mapped   unreadable: a stale access is named on standard error, then SIGSEGV
 *                             takes its way
 *
 * Layer: deck.  Threads: the deck's; workers rest (worker.h).
 * Design: docs/internals/deck.md  Guide: docs/embedding.md  Tests: tests/deck/test_reload.c
 */
#ifndef REPRISE_RELOAD_H
#define REPRISE_RELOAD_H

#include <reprise/deck.h>
#include <reprise/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_module_desc {
    const char *path;
    /* The project's answers about types, docs/types.md; null: none. For rp_deck_reload. */
    const char *types;
    bool regardless; /* what cannot be carried starts anew or is left, and is counted */
} rp_module_desc;

/* Loads the first build, before the first frame; one module a deck. A private copy is loaded, so
 * the file may be written again at once. RP_E_ARGUMENT: too late, or there is one; RP_E_NOT_FOUND:
 * the file, or reprise-plan; RP_E_INCOMPLETE: a linker still writes it; RP_E_FORMAT,
 * RP_E_UNSUPPORTED: no such library; RP_E_MODULE: the loader refuses it, or variables in it that
 * all builds would share (-fno-gnu-unique). */
rp_status rp_deck_load(rp_deck *deck, const rp_module_desc *desc);

/* Carries the state between two frames to the build that is in the file now, and keeps it as
 * another state of the same frame; frames behind it are dropped, as by any new frame. In a loop its
 * start is carried, and the passes begin again. The next rp_frame_begin returns RP_MOMENT_RELOADED
 * (in a loop: REPLAY). Function pointers and rp_deck_symbol's results that the program keeps
 * outside the state are those of the old build: ask again. `reload` may be null;
 * `reload->new_build` equal to `old_build`: the file holds the build that runs, nothing was done.
 *
 * Errors as above, and nothing changed; RP_E_CHANGED: a value or an object cannot become what it is
 * now, or nothing tells what an object is: the text says which, and what to do. RP_E_LIMIT,
 * RP_E_MEMORY, RP_E_SYSTEM, RP_E_TIMEOUT, RP_E_DIED (of reprise-plan). Where the state was already
 * being carried it goes back to that of the last frame's end.
 * Cost: another process that reads both builds' debug information, some 10 ms for small ones; then
 * what the state needs. Each build that was loaded keeps, until the deck is closed: a descriptor,
 * its file and its mapping, a copy of its initial data, its symbols' names. */
rp_status rp_deck_reload(rp_deck *deck, const rp_module_desc *desc, rp_reload *reload);

/* A symbol that the current build exports; null: none, or no module. Cheap: call it each frame, or
 * when rp_deck_build says another number. */
void *rp_deck_symbol(const rp_deck *deck, const char *name);
/* The build that the state is of, from 1; 0: no module. rp_seek to a frame that an earlier build
 * made brings that build back: rp_deck_reload carries the state on to the newest. */
uint32_t rp_deck_build(const rp_deck *deck);
/* What the last reload said of variables that are new, gone or reset: lines; "": nothing. The
 * deck's, until the next one. */
const char *rp_deck_reload_report(const rp_deck *deck);

#ifdef __cplusplus
}
#endif
#endif
