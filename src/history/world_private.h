/* The inside of the world's side of history, shared by its files.
 *
 *   gather     finds the pages that may differ from their image and marks them pending
 *   collect    writes the pending pages into slots; the slots become their images
 *   revert     copies the images of the pending pages back
 *   apply      copies slots into the world; they become the images
 *
 * The image of a page is its last collected or applied content, a slot of the log's file. A page
 * that is not pending and was not written since equals its image: that is what each of the four
 * keeps true. All bookkeeping lies in reserved pages of its own, so history never writes to the
 * world zone by itself.
 *
 * Layer: history (internal).  Files: world.c, world_ranges.c, gather.c, hot.c, ways.c, compare.c,
 * collect.c, freeze.c, window.c, chunks.c, apply.c
 */
#ifndef RP_HISTORY_WORLD_PRIVATE_H
#define RP_HISTORY_WORLD_PRIVATE_H

#include "base/bits.h"
#include "history/storage.h"
#include "history/world.h"
#include "os/os.h"
#include "region/region.h"

enum {
    WORLD_SCAN_EXTENTS = 2048,
    WORLD_BATCH_PAGES = 256,
    WORLD_HOT_RUNS = 4096,
    WORLD_HELD_PIECES = 4096,
};

/* Words of `images`: slot + 1, so that 0 says "never collected". */
#define WORLD_IMAGE_NONE UINT32_C(0)

typedef struct world_run {
    uint32_t page, count;
} world_run;

/* What the world needs to know of a range besides what its users do. */
typedef struct world_range_state {
    bool compared; /* its whole pages are compared too, since they cannot be tracked */
    bool open;     /* disarmed while an apply goes on */
} world_range_state;

/* Memory that is tracked as one: a committed extent of the region or the whole pages of a range. */
typedef struct world_area {
    uint8_t *start;
    size_t size_bytes;
    uint32_t page; /* number of its first page */
} world_area;

/* When one way of finding written pages gives way to another; tests force each. See ways.c. */
typedef struct world_tuning {
    uint32_t hot_runs;        /* the scan goes around so many at most */
    uint32_t scattered_pages; /* that would be hot but for the room: then by page */
    uint32_t dense_percent;   /* of the region's pages, written while not hot: then all compared */
    uint32_t thin_percent;    /* fewer than this written: no longer */
    uint32_t dense_frames, thin_frames; /* in a row */
} world_tuning;

typedef struct world_ways {
    world_tuning tuning;
    rp_world_way way;
    uint32_t dense_streak, thin_streak, scattered_streak; /* collects in a row */
    uint64_t change_count;
} world_ways;

/* Pages of the region that are collected in every frame, unasked and unprotected. */
typedef struct world_hot {
    world_run runs[WORLD_HOT_RUNS]; /* by page, apart from each other */
    size_t run_count;
    rp_sparse heat; /* what was seen of each page */
    uint32_t collect_number;
    uint32_t refused_count; /* pages of the last collect that would be hot, were there room */
} world_hot;

enum {
    WORLD_CHUNK_PAGES = RP_OS_HUGE_BYTES / RP_PAGE_BYTES,
    WORLD_FILE_CHUNKS = RP_LOG_FILE_BYTES / RP_OS_HUGE_BYTES,
};

/* What is known of the log's file, and which part of the view can be written now. See window.c. */
typedef struct world_window {
    uint8_t chunks[WORLD_FILE_CHUNKS]; /* world_chunk_state */
    uint32_t open_first, open_end;     /* chunks; equal: none, as always outside a collect */
    uint32_t next_chunk;               /* where the next slots probably lie */
    uint64_t collapse_ns;              /* what the last took */
    uint64_t turn_ns;                  /* what it takes to open and close it, about */
    bool refused;                      /* the system makes no huge pages, or closes no window */
} world_window;

/* Which 2 MiB of the region are split into small pages, and when they were written. chunks.c */
typedef struct world_chunks {
    rp_sparse words; /* by page / WORLD_CHUNK_PAGES */
    uint32_t next;   /* where the next look begins */
    uint64_t collapse_ns;
} world_chunks;

struct rp_world {
    int log_fd;
    const uint8_t *view; /* the log's file, read-only */
    world_window window;
    world_chunks chunks;
    rp_tracking tracking;
    rp_os_tracker tracker;
    char tracking_why[RP_WORLD_WHY_BYTES];
    uint64_t tend_saved_ns; /* of the budgets of rp_world_tend */
    bool rested;  /* the owner vouches that nothing was written since the last operation */
    bool unknown; /* what was written is not known: the next gather compares everything */

    rp_world_range ranges[RP_RANGE_MAX];
    world_range_state range_states[RP_RANGE_MAX];
    uint16_t range_order[RP_RANGE_MAX]; /* by first_page */
    size_t range_count;

    world_run excluded[RP_EXCLUDED_MAX];
    size_t excluded_count;
    uint8_t *scratch_start, *scratch_always, *scratch_end;

    rp_sparse images,
        pending;  /* pending: 1 where the page is in `runs` and still to be dealt with */
    rp_grow runs; /* world_run */
    size_t run_count;
    rp_grow list; /* rp_page_slot: what a collect found; after it, with the images (words) before */
    size_t list_count;
    rp_grow stage; /* copies of pages that are only partly of the world */

    rp_grow open_list; /* world_run: pages that are disarmed while an apply goes on */
    size_t open_count;
    uint64_t apply_start_ns;
    size_t skipped_count;
    bool applying;

    world_hot hot;
    world_ways ways;

    rp_os_intruder_fn *tell_intruder; /* null: threads are not checked */
    void *intruder_context;
    rp_os_extent held_areas[2 * (RP_REGION_SPANS + RP_RANGE_MAX)];
    rp_os_extent held_pieces[WORLD_HELD_PIECES];

    rp_os_extent scan[WORLD_SCAN_EXTENTS];
    rp_world_stats stats;
};

/* The bytes of a page that belong to the world. */
typedef struct world_bytes {
    uint8_t *address;          /* of the first such byte */
    size_t offset, size_bytes; /* in the page */
} world_bytes;

static inline uint8_t *world_page_start(uint32_t page)
{
    return (uint8_t *)(uintptr_t)(RP_REGION_BASE + ((uint64_t)page << RP_PAGE_SHIFT));
}

static inline uint32_t world_page_of(const void *address)
{
    return (uint32_t)(((uintptr_t)address - RP_REGION_BASE) >> RP_PAGE_SHIFT);
}

static inline bool world_tracks(const rp_world *world)
{
    return world->tracking != RP_TRACKING_COMPARE;
}

/* A page of the region that was never collected is zero, one of a range is unknown. */
static inline bool world_is_new(const rp_world *world, uint32_t page)
{
    return page >= RP_PAGE_EXTRA && rp_sparse_get(&world->images, page) == WORLD_IMAGE_NONE;
}

/* One call of rp_world_tend. What takes longer than a budget waits until calls that had nothing to
 * do have left as much: else it would never be done. */
typedef struct world_tending {
    uint64_t end_ns, longest_ns; /* of one thing that begins before the end */
} world_tending;

/* world.c */
/* Whether there is time for something that takes about `need_ns`. */
bool world_tend_may(const world_tending *tending, uint64_t need_ns);
const void *world_slot(const rp_world *world, uint32_t slot);

/* world_ranges.c */
/* The range that has a page; UINT32_MAX for none. */
uint32_t world_range_of(const rp_world *world, uint32_t page);
/* Its whole pages; size 0 where it has none. */
world_area world_range_middle(const rp_world_range *range);
/* What of a page is in the world; false for a page of a range that does not exist here. */
bool world_page_bytes(const rp_world *world, uint32_t page, world_bytes *bytes);

/* gather.c */
rp_status world_gather(rp_world *world);
/* Gathers, and forgets what turned out to be as it was: so the next gather has little to look at.
 */
rp_status world_settle(rp_world *world);
rp_status world_add_pending(rp_world *world, uint32_t page, uint32_t count);
/* Keeps in the runs what is still pending, and nothing else: a page that is not may be added again.
 */
void world_pending_compact(rp_world *world);

/* hot.c */
/* After a collect: makes those of its pages hot that were in the collects before it too. */
void world_hot_learn(rp_world *world, const rp_page_slot *entries, size_t count);
/* Before a gather: arms hot pages that no longer change. */
void world_hot_cool(rp_world *world);
/* Forgets the hot pages of an area that was or will be armed as a whole, and compared. */
void world_hot_drop(rp_world *world, world_area area);
/* How many pages there are in it. */
size_t world_hot_count(const rp_world *world);
/* How many pages of a run, from its first on, are in the set like the first, or are not. */
uint32_t world_hot_alike(const rp_world *world, world_run run, bool *hot);
/* Forgets the set without arming it. */
void world_hot_forget(rp_world *world);
/* Arms all hot pages. Each is pending or equals its image. */
void world_hot_empty(rp_world *world);

/* ways.c */
void world_ways_init(rp_world *world);
/* After a collect: whether the next one finds the written pages another way. */
void world_ways_choose(rp_world *world);
/* For tests and benchmarks: other thresholds from the next collect on. */
void world_ways_tune(rp_world *world, const world_tuning *tuning);
/* Whether the region's pages are compared, so that there is no point in arming them. */
bool world_compares(const rp_world *world);
/* Runs of hot pages that there is room for. */
size_t world_hot_room(const rp_world *world);

/* window.c */
/* How many of the slots of `run`, from its first on, can be written by stores into the view until
 * world_window_close; 0: none, and *by_call says how many to write by a system call instead.
 * `pages_left` are still to come. */
uint32_t world_window_open(rp_world *world, rp_slot_run run, size_t pages_left, uint32_t *by_call);
/* The view is read-only again. RP_E_SYSTEM: it is not, and nothing of the program may run. */
rp_status world_window_close(rp_world *world);
uint8_t *world_window_slot(const rp_world *world, uint32_t slot);
/* Makes the part of the file huge that the next collects will write. */
void world_window_tend(rp_world *world, const world_tending *tending);

/* freeze.c: around a collect, where threads are checked */
rp_status world_freeze(rp_world *world);
void world_thaw(const rp_world *world);

/* chunks.c */
/* Pages of the region were found written, or are disarmed: their huge pages are split by now. */
void world_chunks_touched(rp_world *world, uint32_t page, uint32_t count);
/* Makes chunks huge again that were not written for long. */
void world_chunks_tend(rp_world *world, const world_tending *tending);

/* compare.c */
/* Marks the pages of an area pending that differ from their images. */
rp_status world_compare_area(rp_world *world, world_area area);
/* The same for the pages of a range that lie in it only partly. */
rp_status world_compare_edges(rp_world *world, const rp_world_range *range);
/* Whether the page's bytes in the world equal its image. A guarded page counts as zero. */
bool world_page_is_clean(const rp_world *world, uint32_t page);

#endif
