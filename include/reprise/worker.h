/* Threads beside the one that calls the deck: they rest while a frame is committed or sought.
 *
 *     void *work(void *context)                        // a worker of a job system
 *     {
 *         rp_worker *worker;
 *         rp_worker_enter(deck, "physics 1", &worker);
 *         while (job *j = next_job()) {                // resting: waits without the world
 *             if (!rp_worker_resume(worker)) break;    // from here on it may use the world
 *             j->run(j);                               // a long one calls rp_worker_poll
 *             rp_worker_rest(worker);                  // from here on it may not
 *         }
 *         rp_worker_leave(worker);
 *     }
 *
 * Between frames every worker rests: rp_frame_end waits until they do, and rp_frame_begin lets them
 * go on. So rp_seek, rp_loop and rp_rollback find them at rest. A job that lasts over several
 * frames polls; between two polls the world is that of one frame, and after a seek it is another's.
 *
 * A worker that waits for another's result rests meanwhile, or the two may wait for each other.
 * Replay is exact for jobs that write to places of their own, whichever worker runs them and in
 * whatever order. Where blocks lie that several workers allocate at once depends on their order, so
 * such frames come back bit for bit by a seek but may come out different when they are run again.
 *
 * Layer: deck.  Threads: a worker's calls are its own thread's.  Design: docs/internals/deck.md
 * Tests: tests/deck/test_worker.c
 */
#ifndef REPRISE_WORKER_H
#define REPRISE_WORKER_H

#include <reprise/deck.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_worker rp_worker;

/* Registers the calling thread, which rests then; it keeps the same place in allocators' caches
 * until it leaves. Places are given in the order of these calls: a program whose workers enter one
 * after the other finds the same caches in each run. `name`, for errors, is copied and cut at 47
 * bytes. RP_E_LIMIT: 256 are registered. */
rp_status rp_worker_enter(rp_deck *deck, const char *name, rp_worker **worker);
/* Waits until a frame is under way, and keeps it from ending until the worker rests. False: the
 * workers are dismissed, and this one still rests: leave. */
bool rp_worker_resume(rp_worker *worker);
/* Rests. Any number of times. Its writes are seen by the frame's end. */
void rp_worker_rest(rp_worker *worker);
/* Rests and resumes where the frame is about to end, else returns true at once: a load and a
 * branch. Called often, a few times in a millisecond. False as above. */
bool rp_worker_poll(rp_worker *worker);
/* Gives the thread's caches back and ends the registration; resting or not. The last thing that the
 * thread does with the world: after it, it allocates without caches. Waits while a frame is
 * committed or restored. */
void rp_worker_leave(rp_worker *worker);

/* Before the program ends its workers: makes rp_worker_resume and rp_worker_poll return false, in
 * those that wait too. Then join the threads, then rp_deck_close. Between frames. */
void rp_workers_dismiss(rp_deck *deck);

#ifdef __cplusplus
}
#endif
#endif
