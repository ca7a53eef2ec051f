/* The engine inside your own program: frames, seek, loop.
 *
 *     rp_deck *deck;
 *     rp_deck_open(&(rp_deck_desc){ .budget_bytes = 256 << 20 }, &deck);
 *     Game *game = rp_alloc_zeroed(rp_deck_heap(deck), 1, sizeof *game);
 *     for (;;) {
 *         rp_frame_begin(deck, &input, sizeof input);   // may replace input by the logged one
 *         game_step(game, &input);
 *         rp_frame_end(deck, NULL);                     // commits what was written
 *     }
 *
 * A frame is committed by rp_frame_end at the cost of the pages it wrote; rp_seek restores any kept
 * frame bit for bit. State is what lies in the region's world zone and in the ranges declared by
 * rp_range.
 *
 * Layer: deck.  Threads: one thread calls the deck; others rest at a frame's end (worker.h).
 * Design: docs/internals/deck.md  Tests: tests/deck/
 */
#ifndef REPRISE_DECK_H
#define REPRISE_DECK_H

#include <reprise/memory.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_deck rp_deck;

typedef enum rp_tracking {
    RP_TRACKING_AUTO = 0, /* the best that the probe finds */
    RP_TRACKING_WP_ASYNC, /* userfaultfd WP_ASYNC + PAGEMAP_SCAN, Linux 6.7 */
    RP_TRACKING_COMPARE,  /* compare every page; works everywhere, slow on large worlds */
    /* Slower than WP_ASYNC by 4 to 5 us for each 16 pages around a first write, and system calls
     * that write into the world fail with EFAULT unless rp_will_write came before. They take a
     * signal of the process, in front of a handler of the program's own; see docs/limits.md. */
    RP_TRACKING_WP_SIGBUS, /* userfaultfd write protection and SIGBUS, Linux 5.7 */
    RP_TRACKING_MPROTECT   /* page protection and SIGSEGV; works nearly everywhere */
} rp_tracking;

typedef struct rp_deck_desc {
    size_t reserve_bytes; /* of the region; 0: 256 GiB */
    size_t budget_bytes;  /* of history beyond the newest state; 0: 512 MiB */
    rp_tracking tracking;
    size_t input_bytes; /* largest input of a frame; 0: 1024; at most 65536 */
    uint32_t park_ms;   /* how long a frame's end waits for workers to rest; 0: 2000 */
    bool synctest;      /* every frame twice, compared: see rp_difference_get */
    /* For debugging: other threads that write to the state during rp_frame_end are named on
     * standard error, with thread, address and place in the code, and wait until it has ended:
     * what they wrote belongs to the next frame. Takes SIGSEGV, in front of the program's own. */
    bool check_threads;
} rp_deck_desc;

/* What kind of frame rp_frame_begin starts. */
typedef enum rp_moment {
    RP_MOMENT_LIVE,    /* the caller's input counts and is logged */
    RP_MOMENT_REPLAY,  /* in a loop: the input buffer was overwritten by the logged input */
    RP_MOMENT_SOUGHT,  /* live, and the first frame after a seek: caches may be stale */
    RP_MOMENT_AGAIN,   /* a frame that was made before is made again, by rp_rollback or a synctest:
                          a person has heard its sound already */
    RP_MOMENT_RELOADED /* live, and the first frame after rp_deck_reload: addresses of functions
                          that the program keeps are stale */
} rp_moment;

typedef struct rp_frame_info {
    uint64_t frame;
    uint64_t page_count, bytes; /* written by this frame */
    uint64_t commit_ns;
    uint64_t diverged; /* in a loop: 1 if the state differs from when it was recorded; with a
                          synctest: 1 if it differs from the first time */
} rp_frame_info;

typedef struct rp_deck_status {
    uint64_t frame, oldest_frame, newest_frame;
    uint64_t history_bytes, budget_bytes, world_bytes;
    uint64_t loop_from, loop_to, loop_pass; /* loop_to 0: no loop; passes count from 1 */
    rp_tracking tracking;
    uint64_t
        every_frame_from; /* older frames may be thinned out: every 2nd, 4th, 8th ... is kept */
    uint64_t raw_bytes, packed_bytes; /* of history_bytes: frames as they are, and packed ones */
    uint64_t sought_bytes;  /* beside history_bytes while the state is an old, packed one */
    uint64_t thinned_count; /* frames of which only input and hash are left */
    uint64_t hot_pages;     /* of 4 KiB: copied in every frame, written or not */
    uint64_t split_chunks;  /* of 2 MiB, of the state: not one huge page any more */
    uint64_t collapsed_chunks, idle_ns; /* by all of rp_deck_idle so far: made huge again, time */
    bool lost; /* memory ran out in the middle of a restore: the state is not that of `frame` */
} rp_deck_status;

/* Reserves the region at its static address and starts an empty history. One deck a process. The
 * state that the ranges and the heap hold at the first rp_frame_begin becomes frame 0.
 * `desc` may be null: all defaults. RP_E_TAKEN: the address range is used; RP_E_LIMIT, RP_E_MEMORY,
 * RP_E_UNSUPPORTED: the tracking asked for; RP_E_ARGUMENT; RP_E_BUSY: a deck is open. */
rp_status rp_deck_open(const rp_deck_desc *desc, rp_deck **deck);
/* Aborts while workers are registered. */
void rp_deck_close(rp_deck *deck);

/* The deck's world heap, for the program's state. */
rp_allocator *rp_deck_heap(rp_deck *deck);

/* ---- ranges ------------------------------------------------------------------------------------
 *
 *   world     state outside the region: logged, restored          rp_range(…, RP_ZONE_WORLD, …)
 *   keep      declared not to be state: never touched             rp_range(…, RP_ZONE_KEEP, …)
 *   derived   made from the state: not logged, but built anew     rp_range_derived
 *             after each restore by its owner
 *
 * All before the first frame, none overlapping another. Names are copied, and cut at 63 bytes. */

/* Declares memory outside the region's world zone: globals, a stack of coroutines, … What is kept
 * need not be declared; declared, it is known by name to rp_range_find, and cannot become state by
 * mistake. RP_E_ARGUMENT: too late, empty, inside the world zone, overlapping; RP_E_LIMIT: more
 * than 512 world ranges, or 128 others. */
rp_status rp_range(rp_deck *deck, void *start, size_t size_bytes, rp_zone zone, const char *name);

/* Builds the range anew from the restored state: reads the state and does not write to it. */
typedef void rp_rebuild_fn(void *context, void *start, size_t size_bytes);

typedef struct rp_derived_desc {
    void *start;
    size_t size_bytes;
    const char *name;
    rp_rebuild_fn *rebuild;
    void *context; /* handed to `rebuild` */
    bool poison;   /* fill with 0xdd before each call, so that what is not built anew shows */
} rp_derived_desc;

/* Declares a cache: a spatial index, a mesh, decoded pictures. `rebuild` is called once after each
 * restore (rp_seek, the wrap of a loop, the load of rp_rollback, the second run of a synctest, a
 * frame that was taken back), in the order of declaration, before the call that restored returns;
 * not at the first frame, before which the program builds it itself. The range may lie outside the
 * world zone, or be whole pages of one large block in it, as rp_alloc_aligned(heap, 4096, n * 4096)
 * makes where that is more than 32 KiB; the block must stay for as long as the deck is open: a
 * frame that frees it is taken back with RP_E_ARGUMENT. RP_E_ARGUMENT, RP_E_LIMIT: as above, or
 * more than 64 in the region. */
rp_status rp_range_derived(rp_deck *deck, const rp_derived_desc *desc);

typedef enum rp_range_kind { RP_RANGE_WORLD, RP_RANGE_KEEP, RP_RANGE_DERIVED } rp_range_kind;

typedef struct rp_range_info {
    void *start;
    size_t size_bytes;
    const char *name; /* the deck's */
    rp_range_kind kind;
} rp_range_info;

/* The declared range that `address` lies in; false: none. */
bool rp_range_find(const rp_deck *deck, const void *address, rp_range_info *info);

/* Says that [start, start + size_bytes) is about to be written by something that the tracking
 * cannot see or that it would refuse: a system call such as read(2) where the tracking is WP_SIGBUS
 * or MPROTECT (it returns EFAULT otherwise), io_uring's registered buffers with any tracking,
 * /proc. Holds until the next rp_frame_end, rp_seek or rp_frame_begin. The pages count as written.
 * Any address and size; any thread; safe in a signal handler. Cost: a system call, or nothing where
 * all pages are compared. */
void rp_will_write(rp_deck *deck, const void *start, size_t size_bytes);

/* ---- frames ---------------------------------------------------------------------------------- */

/* `input` may be null with 0 bytes; it holds at most the bytes that the deck was opened with. In a
 * loop, and where a synctest makes the frame again, it is overwritten with the logged input, and
 * what it has beyond that becomes zero. What goes wrong here is reported by rp_frame_end. Aborts
 * within a frame. */
rp_moment rp_frame_begin(rp_deck *deck, void *input, size_t input_bytes);
/* Commits everything that was written since the last frame's end. `info` may be null.
 * RP_E_MEMORY, RP_E_SYSTEM, RP_E_LIMIT: the frame cannot be kept and was taken back: the state is
 * that of the frame before, and the next frame may be tried. Where even that fails the state is
 * lost until there is memory again: rp_frame_begin and rp_seek try to bring back that of
 * rp_deck_status.frame (the moment is RP_MOMENT_SOUGHT then), and until they could
 * rp_deck_status.lost is set, and every frame's end and every seek fails. RP_E_TIMEOUT: a worker,
 * which is named, does not rest; the frame is still open and nothing was done: end it again.
 * RP_E_BUDGET: the frame is kept, but in return the first one of the loop is not: the loop is over.
 * Cost: the pages written, a scan of what may have been, and in a loop their hash. */
rp_status rp_frame_end(rp_deck *deck, rp_frame_info *info);

/* Does what is put off to a time that nobody waits for: takes what was packed in the background and
 * hands out what comes next, thins and drops what is over the budget, makes room for the next
 * frames, and makes huge pages of the state and of the log whole again, one at a time. Without it
 * the first two are done by frames' ends, which then take up to some milliseconds more, and the
 * last not at all, so that frames' ends and seeks become dearer the more of the state was ever
 * written. Call it once a frame between rp_frame_end and the next rp_frame_begin, with the time
 * that is left until then, as before the wait for the picture's turn. Returns when nothing is left
 * to do or `budget_ns` is over; what is under way is ended first, usually within 0.3 ms. 0: packing
 * alone. Changes no state and no frame; it cannot fail, what could not be done is done later. Not
 * within a frame. */
void rp_deck_idle(rp_deck *deck, uint64_t budget_ns);

/* Restores the state after `frame`; what was written since the last frame's end is dropped. Between
 * frames only. The frames behind it stay reachable until the next rp_frame_end. A loop goes on when
 * the frame lies in it, else it ends. Cost: the pages that differ, and for older frames, which are
 * packed, at most some milliseconds more. On failure nothing changed: RP_E_RANGE: the frame is not
 * kept, or was thinned out to keep the budget: then the text names the nearest one before it that
 * is; RP_E_FORMAT: what was kept of it is damaged. */
rp_status rp_seek(rp_deck *deck, uint64_t frame);
/* Repeats the frames (from, to] with their logged input: the state goes to `from`, and again in the
 * rp_frame_begin that follows each time `to` was reached, so that `to` can be shown. Between frames
 * only. to == 0 ends the loop where it stands. RP_E_ARGUMENT, RP_E_RANGE: a frame is not kept, and
 * nothing changed. Cost: a seek, and the hashes of the loop's frames. */
rp_status rp_loop(rp_deck *deck, uint64_t from, uint64_t to);

/* ---- rollback -------------------------------------------------------------------------------- */

/* Makes one frame: what the program does between rp_frame_begin and rp_frame_end, which are called
 * around it. `moment` is RP_MOMENT_AGAIN. `input` is the deck's, valid until the function returns.
 */
typedef void rp_step_fn(void *context, rp_moment moment, const void *input, size_t input_bytes);

typedef struct rp_rollback_desc {
    uint64_t frame;       /* the last one that stays as it is */
    uint32_t frame_count; /* how many to make from there: frame + 1, frame + 2, …; 0: none */
    const void *inputs;   /* theirs, one after the other, input_bytes each; null where that is 0 */
    size_t input_bytes;
    rp_step_fn *step;
    void *context;        /* handed to `step` */
    rp_frame_info *infos; /* frame_count of them, filled in order; may be null */
} rp_rollback_desc;

/* Restores the state after a kept frame and makes the frames behind it again with these inputs,
 * each committed as any frame: their records and logged inputs take the place of what was there.
 * Between frames only; a loop ends. RP_E_RANGE: `frame` is not kept, or was made by another build
 * of the module (reload.h), and nothing changed. Every
 * other failure is that of a seek or a frame's end, with the world at the last frame that could be
 * made (rp_deck_status.frame); those behind it are gone, and may be made by rp_frame_begin. Cost: a
 * seek and frame_count commits. docs/rollback.md: how it is used, and other libraries' names. */
rp_status rp_rollback(rp_deck *deck, const rp_rollback_desc *desc);

/* Copies the logged input of a kept frame, at most `capacity_bytes` of it; *input_bytes (may be
 * null) becomes all that it has. RP_E_RANGE: the frame is not kept. */
rp_status rp_frame_input(rp_deck *deck, uint64_t frame, void *input, size_t capacity_bytes,
                         size_t *input_bytes);

/* ---- synctest -----------------------------------------------------------------------------------
 *
 * A deck that was opened with `synctest` makes every frame twice: after a live frame, the next
 * rp_frame_begin goes back by one, gives the same input once more (what the caller passed is
 * dropped) and returns RP_MOMENT_AGAIN; the rp_frame_end behind it compares. A step that reads
 * anything but state and input comes out different. Frames of a loop are compared by the loop. */

/* Where a frame came out different. */
typedef struct rp_difference {
    uint64_t frame;
    uint64_t first_hash, again_hash; /* of the state after it */
    uint64_t page_count;             /* pages that differ */
    const void *address;             /* the first byte that differs: of blocks and ranges if any
                                        does, else of allocators' own memory */
    uint32_t byte_count; /* from there on: how many of the next two are known, 0 … 8 */
    uint8_t first[8], again[8];
    char text[400]; /* all of it for a person: whose block, how far into it, the bytes */
} rp_difference;

/* The last difference that a synctest found; false: there was none. */
bool rp_difference_get(const rp_deck *deck, rp_difference *difference);

/* ---- what is known --------------------------------------------------------------------------- */

/* The hash of the state after `frame`: of its bytes alone, the same in every process. RP_E_RANGE:
 * the frame is not kept. */
rp_status rp_state_hash(rp_deck *deck, uint64_t frame, uint64_t *hash);
void rp_deck_status_get(const rp_deck *deck, rp_deck_status *status);

#ifdef __cplusplus
}
#endif
#endif
