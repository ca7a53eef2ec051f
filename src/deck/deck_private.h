/* The inside of the deck, shared by its files.
 *
 *   deck.c        opening, frames, what is known
 *   deck_ranges.c what is declared: state, what is kept, what is derived
 *   deck_state.c  commit and restore: the world on one side, the log on the other
 *   deck_loop.c   repeating frames with their logged input
 *   deck_rollback.c  frames again with other inputs
 *   deck_worker.c threads that rest at a frame's end
 *   deck_module.c  the module's builds: loaded, chosen, which bytes of them are state
 *   deck_reload.c  the state carried from one to another
 *   deck_stale.c   accesses to the data of a build that is not the current one
 *   deck_parts.c  what a take needs to know of all this
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
#include "module/object.h"
#include "module/planned.h"

#include "os/os.h"

#include <reprise/deck.h>
#include <reprise/reload.h>
#include <reprise/worker.h>

enum {
    DECK_INPUT_BYTES_DEFAULT = 1024,
    DECK_INPUT_BYTES_MAX = 65536, /* of a record of the log */
    DECK_SLOT_RUNS = 256,
    DECK_BUILDS_MAX = 4096,
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

/* A build of the module: loaded once, and mapped until the deck is closed. */
typedef struct deck_build {
    int file; /* a memory file: the bytes that were loaded; also for reprise-plan and debuggers */
    void *handle;
    rp_object object;
    uint64_t data_low;         /* its data below is not made unreadable */
    void *tls;                 /* of the deck's thread; null: none */
    const rp_planned *planned; /* its symbols; for a moment the plan */
    size_t planned_bytes;      /* mapped */
    uint8_t *initial;          /* its state as it was loaded: the spans, then the thread's */
    size_t initial_bytes;
    uint32_t first_pages[RP_OBJECT_STATE_MAX + 1]; /* of its spans, then of the thread's */
} deck_build;

typedef struct deck_module {
    rp_grow builds;    /* deck_build: build n is the n-th; they do not move */
    uint32_t count;    /* atomic for the handler: those that are whole */
    uint32_t current;  /* the build that the state is of; 0: no module */
    size_t own_ranges; /* the world's ranges before those of the current build */
    bool reloaded;     /* and no frame was made since */
    bool watched;      /* stale accesses are told of */
    char name[128];    /* of the file, for texts */
    char report[600];
} deck_module;

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
    deck_module module;
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
/* The state before the first frame becomes frame 0. */
rp_status deck_start(rp_deck *deck);
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

/* deck_module.c */
/* That records are made under. */
static inline uint32_t deck_build_number(const rp_deck *deck)
{
    return deck->module.current ? deck->module.current : 1;
}
static inline deck_build *deck_build_at(const rp_deck *deck, uint32_t number)
{
    return (deck_build *)(void *)deck->module.builds.data + (number - 1);
}
/* Asks reprise-plan about the file: *made gets the copy of its bytes and the answer, with a plan
 * from the current build on where there is one. On failure *made holds nothing. */
rp_status deck_build_ask(const rp_deck *deck, const rp_module_desc *desc, deck_build *made);
/* Loads what was asked about, and copies its initial state. On failure *made still is to be
 * dropped. */
rp_status deck_build_load(rp_deck *deck, deck_build *made);
/* Unloads it, and gives back what it holds. */
void deck_build_drop(deck_build *build);
/* It becomes the newest; its number. RP_E_LIMIT, RP_E_MEMORY: 0. */
uint32_t deck_build_add(rp_deck *deck, const deck_build *made);
/* The ranges of the current build are those of the world, or none of any build. */
rp_status deck_module_ranges_in(rp_deck *deck);
void deck_module_ranges_out(rp_deck *deck);
/* The i-th piece of its state; false: it has not as many. */
bool deck_build_range(const deck_build *build, uint32_t i, rp_world_range *range);
/* Whether its data can be read and written. What lies in the thread's block is overwritten. */
rp_status deck_build_deny(const deck_build *build);
rp_status deck_build_allow(const deck_build *build);
/* Its state becomes what it was when it was loaded. */
void deck_build_reset(const deck_build *build);
/* Another build becomes the current one; the state in it is what it was there. Where the deck is
 * broken the current one, too, gets its ranges and data back. */
rp_status deck_module_switch(rp_deck *deck, uint32_t number);
/* Builds that are not current get back the data that they were loaded with, for their destructors:
 * the objects that were carried on are the current build's. */
void deck_builds_calm(rp_deck *deck);
void deck_module_close(rp_deck *deck);

/* deck_stale.c */
rp_status deck_stale_watch(rp_deck *deck);
void deck_stale_end(void);

/* deck_twice.c */
rp_status deck_twice_open(rp_deck *deck);
void deck_twice_close(rp_deck *deck);
/* Before a frame: goes back where the last one is to be run again. */
rp_status deck_twice_begin(rp_deck *deck);
/* After the commit of a live frame: keeps what it wrote, or compares it with what was kept.
 * RP_E_BUDGET: the frame is kept, but the one before it is not, so it cannot be run again. */
rp_status deck_twice_check(rp_deck *deck, uint64_t *diverged);

#endif
