/* The inside of the deck, shared by its files.
 *
 *   deck.c        opening, frames, what is known
 *   deck_ranges.c what is declared: state, what is kept, what is derived
 *   deck_state.c  commit and restore: the world on one side, the log on the other
 *   deck_loop.c   repeating frames with their logged input
 *   deck_rollback.c  frames again with other inputs
 *   deck_worker.c threads that rest at a frame's end
 *   deck_twice.c  synctest: frames again with the same input, compared
 *
 * A frame that cannot be committed is taken back, so that log and world always say the same; where
 * even that fails the deck is broken and says so until the whole state could be restored.
 *
 * The deck lies in pages of its own, outside the region: what it knows must not change with a
 * restore.
 *
 * Layer: deck (internal).  Design: docs/internals/deck.md
 */
#ifndef RP_DECK_DECK_PRIVATE_H
#define RP_DECK_DECK_PRIVATE_H

#include "deck/loop.h"
#include "history/storage.h"
#include "history/world.h"

#include "os/os.h"

#include <reprise/deck.h>
#include <reprise/worker.h>

enum {
    DECK_INPUT_BYTES_DEFAULT = 1024,
    DECK_INPUT_BYTES_MAX = 65536, /* of a record of the log */
    DECK_SLOT_RUNS = 256,
    DECK_BUILD = 1,        /* an embedded program has one */
    DECK_RANGES_MAX = 128, /* that are no state; those that are the world has */
};

/* A range that is no state. */
typedef struct deck_range {
    rp_range_info info;
    rp_rebuild_fn *rebuild; /* null: kept */
    void *context;
    const void *block; /* of the region, that it lies in; null: elsewhere */
    bool poison;
    char name[RP_RANGE_NAME_BYTES];
} deck_range;

enum { WORKERS_MAX = 256, WORKER_NAME_BYTES = 48 };

typedef enum deck_worker_state {
    WORKER_NONE,
    WORKER_RESTING,
    WORKER_RUNNING, /* may use the world */
} deck_worker_state;

struct rp_worker {
    rp_deck *deck;
    uint32_t state; /* atomic */
    char name[WORKER_NAME_BYTES];
};

/* A worker says that it runs and then looks at `go`; the deck takes `go` back and then looks at the
 * workers: so one of them sees the other. */
typedef struct deck_workers {
    uint32_t go;     /* atomic: a frame is under way */
    uint32_t rested; /* atomic: counts workers that came to rest while `go` was 0 */
    uint32_t dismissed, park_ms;
    uint32_t count;        /* atomic: entries up to here were used at some time */
    rp_os_lock entering;   /* of entries that change between WORKER_NONE and others */
    rp_os_lock world_lock; /* held while the world's bytes are read or written as a whole */
    struct rp_worker workers[WORKERS_MAX];
} deck_workers;

/* A frame's first run, while it may be run again. */
typedef struct deck_twice {
    bool wanted;  /* the deck was opened for it */
    bool pending; /* the frame that the world holds was run once */
    bool second;  /* the frame under way is a second run */
    uint64_t hash;
    rp_grow pages; /* twice_page: what the first run wrote */
    size_t page_count;
    rp_grow contents; /* of the first of them, as far as there is room */
    rp_difference found;
    bool any;
} deck_twice;

struct rp_deck {
    rp_log *log;
    rp_world *world;
    rp_allocator *heap;
    rp_loop_store loop;
    uint64_t loop_pass;
    uint64_t frame; /* the state that the world holds, between frames */
    uint64_t frame_start_ns;
    uint64_t idle_ns;      /* of all rp_deck_idle */
    rp_status broken;      /* the world is not what the log says; RP_OK: all is well */
    char broken_text[256]; /* why */
    bool started, in_frame, sought;
    uint32_t next_range_page;
    deck_range ranges[DECK_RANGES_MAX];
    size_t range_count;
    rp_grow entries; /* rp_page_slot: what the commit under way wrote */
    size_t entry_count;
    rp_slot_run slot_runs[DECK_SLOT_RUNS]; /* offered for it */
    size_t slot_run_count, slot_run_next;
    deck_workers workers;
    deck_twice twice;
    bool rolling; /* rp_rollback makes the frame */
    uint32_t input_capacity, input_bytes;
    uint8_t input[DECK_INPUT_BYTES_MAX]; /* of the frame under way */
};

/* deck_state.c */
/* RP_OK, or the failure that broke the deck, with its text behind `what`. */
rp_status deck_check_whole(const rp_deck *deck, const char *what);
/* The same, after it tried to bring the state back. */
rp_status deck_make_whole(rp_deck *deck, const char *what);
/* Breaks the deck; the error record says why. Returns `status`. */
rp_status deck_break(rp_deck *deck, rp_status status);
/* Publishes what was written as a record. On failure the world is as it was after the last record.
 */
rp_status deck_commit(rp_deck *deck, const rp_record_desc *desc);
rp_status deck_find_frame(const rp_deck *deck, const char *what, uint64_t frame, uint64_t *index);
/* Brings the world to the state after a kept frame. */
rp_status deck_restore(rp_deck *deck, const char *what, uint64_t frame);

/* deck.c */
/* A frame begins: its input, the caller's or another, stands in deck->input. */
rp_moment deck_frame_begin(rp_deck *deck, const void *input, size_t input_bytes);

/* deck_ranges.c */
/* After the world's bytes came from elsewhere: calls the owners of what is derived from them. */
void deck_ranges_rebuild(rp_deck *deck);
/* RP_E_ARGUMENT: the block that a derived range lies in is gone. */
rp_status deck_ranges_check(const rp_deck *deck);

/* deck_loop.c */
/* Before a frame of a loop: goes back to its start where its end was reached. */
rp_status deck_loop_begin(rp_deck *deck);
/* The logged input of the coming frame becomes that of the frame. */
void deck_loop_input(rp_deck *deck);
/* After the commit of a frame of a loop: whether it went as it was recorded, and whether the loop
 * can go on, since a commit may evict the frame that it begins with (RP_E_BUDGET, and the loop is
 * over). */
rp_status deck_loop_check(rp_deck *deck, uint64_t *diverged);

/* deck_worker.c */
/* A frame is under way: workers may go on. */
void deck_workers_go(rp_deck *deck);
/* Waits until all rest. RP_E_TIMEOUT: one does not, and all may go on. */
rp_status deck_workers_stop(rp_deck *deck);
bool deck_workers_any(const rp_deck *deck);

/* deck_twice.c */
rp_status deck_twice_open(rp_deck *deck);
void deck_twice_close(rp_deck *deck);
/* Before a frame: goes back where the last one is to be run again. */
rp_status deck_twice_begin(rp_deck *deck);
/* After the commit of a live frame: keeps what it wrote, or compares it with what was kept.
 * RP_E_BUDGET: the frame is kept, but the one before it is not, so it cannot be run again. */
rp_status deck_twice_check(rp_deck *deck, uint64_t *diverged);

#endif
