/* Frames of your own program as a file, to send to somebody.
 *
 *     if (rp_take_save(deck, "bug.take", 0, UINT64_MAX) != RP_OK)
 *         show(rp_error_last()->text);
 *
 * A take has the frames with their memory and inputs, the module's builds with what debug
 * information they have, and what is loaded. `reprise info`, `diff`, `plot`, `export` and `trim`
 * read it, on any machine, and run nothing of it. It holds memory of your program, so think before
 * you send one: `reprise strip` takes scopes out.
 *
 * Its frames are made by your own main loop, which is not in the take: `reprise open` and `verify`,
 * which run frames, refuse it by name.
 *
 * Layer: take.  Threads: the deck's.  Guide: docs/embedding.md  Tests: tests/take/test_save.c
 */
#ifndef REPRISE_TAKE_H
#define REPRISE_TAKE_H

#include <reprise/deck.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the frames from … to that history keeps to a new file; those that were thinned out with
 * their inputs and hashes alone, and with the loop that is set. Between frames only; the state, the
 * history and a loop stay as they are. Without a module the program's own file takes a build's
 * place, so that its variables have names.
 *
 * The file gets its name once it is whole and on the disk. After a failure there is none, but where
 * the very last step failed, which brings the name to the disk. RP_E_TAKEN: something is at `path`,
 * which is never replaced; RP_E_RANGE: no frame of these is kept; RP_E_SYSTEM: the disk is full, or
 * the folder is not there; RP_E_MEMORY; RP_E_FORMAT: what was kept of a frame is damaged;
 * RP_E_LIMIT.
 *
 * Cost: a comparison and a packing of each page that the frames wrote, and the disk's time: it
 * blocks. The memory that it takes grows with the state, and is given back. */
rp_status rp_take_save(rp_deck *deck, const char *path, uint64_t from, uint64_t to);

#ifdef __cplusplus
}
#endif
#endif
