/* The world's side of history: finds the pages that were written, copies them out, copies them in.
 *
 * The world is the region's world zone and further byte ranges (a module's globals, thread-local
 * data). rp_world_collect runs at a frame's end: it asks the tracker (or compares) which pages were
 * written and writes them into slots of the log's memory file. rp_world_apply is the way back.
 *
 * The log's file is mapped read-only here. It is written with pwritev, or through a part of the
 * mapping that is writable only while a collect runs: a stray store of the program cannot reach it.
 *
 * Layer: history.  Threads: one, with the program's others at rest.
 * Design: docs/internals/history.md  Tests: tests/history/
 */
#ifndef RP_HISTORY_WORLD_H
#define RP_HISTORY_WORLD_H

#include "history/log.h"
#include "os/os.h"

#include <reprise/deck.h>

enum { RP_RANGE_NAME_BYTES = 64, RP_RANGE_MAX = 512, RP_EXCLUDED_MAX = 64 };

/* A byte range outside the region that is state. Its page numbers begin at `first_page`, the page
 * that holds `start` being the first; only bytes of [start, start + size) are ever touched, so two
 * ranges may share a page. Bytes of such a page outside the range count as zero in slots. */
typedef struct rp_world_range {
    uint8_t *start;
    size_t size_bytes;
    uint32_t first_page;
    char name[RP_RANGE_NAME_BYTES];
} rp_world_range;

typedef struct rp_world rp_world;

/* Gives the next slots; returns false when there are no more. */
typedef bool rp_world_slots_fn(void *context, uint32_t want, rp_slot_run *run);
/* Takes a batch of (page, slot); returns false to stop. */
typedef bool rp_world_entries_fn(void *context, const rp_page_slot *entries, size_t count);

/* How the pages of the region that were written are found. */
typedef enum rp_world_way {
    RP_WAY_AROUND,  /* by the tracking, a scan for each stretch between runs of hot pages */
    RP_WAY_BY_PAGE, /* by one scan of all; pages that are not hot are armed again by themselves: for
                       hot pages that lie scattered */
    RP_WAY_COMPARE, /* by comparing all of it: where much of it is written in every frame */
} rp_world_way;

typedef struct rp_world_stats {
    rp_world_way way;          /* of the next collect */
    uint64_t way_change_count; /* so far */
    uint64_t refused_count;    /* in the last collect: pages that would be hot, were there room */
    uint64_t page_count;       /* in the last collect: pages written to slots */
    uint64_t stored_count; /* of them, by stores through the window; the others by system calls */
    uint64_t clean_count;  /* reported as written, but equal or zero as before */
    uint64_t collect_ns, apply_ns;
    uint64_t compare_ns, gather_ns, copy_ns; /* in the last collect: of hot pages / finding what was
                                                written / into slots */
    uint64_t tend_ns;                        /* of all rp_world_tend so far */
    uint64_t hot_count;      /* pages that are collected in every frame, written or not */
    uint64_t hot_runs;       /* that they form */
    uint64_t cold_count;     /* in the last collect: pages of the region that are not among them */
    uint64_t fault_count;    /* in the last collect: first stores into protected pages, about */
    uint64_t log_huge_count; /* 2 MiB parts of the log's file that were made huge, to be written by
                                stores */
    uint64_t split_count;    /* 2 MiB parts of the region that are not one huge page any more */
    uint64_t collapse_count; /* that became one again, so far */
    uint64_t lost_count; /* times that tracking of an extent was lost and mended by comparing it */
} rp_world_stats;

/* One in a process, over the open region. `log_fd` is the log's memory file. AUTO takes the first
 * of WP_ASYNC, WP_SIGBUS, MPROTECT, COMPARE that there is; asking for one that is missing is
 * RP_E_UNSUPPORTED. The world counts as all zero: the first
 * collect finds everything. */
rp_status rp_world_open(int log_fd, rp_tracking tracking, rp_world **world);
void rp_world_close(rp_world *world);
rp_tracking rp_world_tracking(const rp_world *world);
/* Why AUTO did not take the better ways: a line for each, "" where it took the best. */
enum { RP_WORLD_WHY_BYTES = 480 };
const char *rp_world_tracking_why(const rp_world *world);
/* Whether system calls that write into the world fail unless rp_world_will_write came before. */
bool rp_world_refuses_system_calls(const rp_world *world);
/* Counts the pages that hold the bytes as written, and lets stores through until the next gather.
 * Before a system call that stores there; for writes that the system cannot see. Any address; any
 * thread; safe in a signal handler. */
void rp_world_will_write(rp_world *world, const void *start, size_t size_bytes);

/* From here on each collect holds the world: a thread that writes in it meanwhile is told of, by
 * itself in a signal handler, and waits; its write falls into the next frame, and the collected one
 * is whole. For debugging: two walks of the world's page tables a collect. Null: no more. */
void rp_world_check_threads(rp_world *world, rp_os_intruder_fn *tell, void *context);

/* Commits and touches the world zone's units up to `size_bytes` beyond what is committed, as huge
 * pages, ahead of a restore that will need them: in time that nobody waits for. Cost: clearing the
 * memory. */
rp_status rp_world_prepare(rp_world *world, size_t size_bytes);

/* Adds a range. Whole pages inside it are tracked, the rest is compared, and all of it where the
 * system cannot track it. Its content counts as not yet collected; a revert or apply leaves it
 * alone but for pages whose image is known from before (rp_world_apply, rp_world_learn).
 * RP_E_ARGUMENT on overlap in bytes or in page numbers, or with the region; RP_E_LIMIT:
 * RP_RANGE_MAX; RP_E_MEMORY. */
rp_status rp_world_range_add(rp_world *world, void *start, size_t size_bytes, uint32_t first_page,
                             const char *name);
/* Forgets ranges that were added since there were `keep_count` of them. */
void rp_world_range_cut(rp_world *world, size_t keep_count);
size_t rp_world_ranges(const rp_world *world, const rp_world_range **ranges);
/* How many page numbers a range of this place and size takes. */
uint32_t rp_world_range_pages(const void *start, size_t size_bytes);

/* A stretch of the region, whole pages, that is not state (the deck's stack): wiped by each
 * collect, revert and apply, never logged. Pages beyond `always_bytes` below its end are wiped only
 * where they were written. Before the first collect. RP_E_ARGUMENT: not in the world zone. */
rp_status rp_world_scratch_set(rp_world *world, void *start, size_t size_bytes,
                               size_t always_bytes);

/* A stretch of the region, whole pages, that is not state and stays as it is: neither collected nor
 * applied over, so its content is the same before and after a restore. Its pages stay armed: each
 * costs a fault in a frame that writes it. Before the first collect. RP_E_ARGUMENT: not whole pages
 * of the world zone; RP_E_LIMIT: RP_EXCLUDED_MAX. */
rp_status rp_world_exclude(rp_world *world, void *start, size_t size_bytes);

/* Writes every page that changed since the last collect or apply into slots, then hands out the
 * entries in batches. Bit-exact: pages of zeros and guarded pages become RP_SLOT_ZERO. On failure
 * nothing counts as collected: the next collect finds the same pages again. RP_E_BUDGET: `slots`
 * gave none; RP_E_CLOSED: `entries` returned false; RP_E_SYSTEM, RP_E_MEMORY. */
rp_status rp_world_collect(rp_world *world, rp_world_slots_fn *slots, rp_world_entries_fn *entries,
                           void *context);
/* The owner vouches that nothing was written to the world since the last collect, revert or apply
 * ended: the next of them looks for no written pages. For an owner that knows whether code of the
 * program ran, as a process that serves requests does. What it vouches for wrongly is lost. */
void rp_world_rested(rp_world *world);
/* Prepares what later collects and seeks will need: in time that nobody waits for, while the
 * program rests. Ends after `budget_ns` or a little later, or when nothing is left to do. Something
 * that takes longer is done once earlier calls left as much of their budgets: up to four of them at
 * a time. */
void rp_world_tend(rp_world *world, uint64_t budget_ns);
/* Takes back the last collect, whose entries the log did not commit after all: the next collect
 * finds the same pages again. Before any other call that gathers or applies. */
void rp_world_uncollect(rp_world *world);
/* Drops what was written since the last collect, in place of collecting it: every such page gets
 * back its last collected content. *page_count says how many there were. */
rp_status rp_world_revert(rp_world *world, size_t *page_count, uint32_t *first_page);
/* Copies slots into the world. Begin, any number of batches, end: reverts what was written since
 * the last collect, lifts guards, copies, sets guards and protections as the restored region wants
 * them. Pages of ranges that do not exist here are skipped and counted; their images are learned.
 * Where begin fails there is no end; where a batch fails, end all the same, and the world is whole
 * again only when everything (rp_log_full) was applied. RP_E_FORMAT: an impossible page or slot;
 * RP_E_RANGE: a page beyond the region's reserve. */
rp_status rp_world_apply_begin(rp_world *world);
rp_status rp_world_apply(rp_world *world, const rp_page_slot *entries, size_t count);
rp_status rp_world_apply_end(rp_world *world, size_t *skipped_count);

/* The address at which page `page` lies; null for a range that does not exist here. */
void *rp_world_page_address(const rp_world *world, uint32_t page);
/* The last collected or applied content of a page, from the log; null: all zero. */
const void *rp_world_page_image(const rp_world *world, uint32_t page);
/* Learns (page, slot) pairs without copying: pages of ranges that do not exist here keep their
 * image for rp_world_page_image. Used to carry globals of an earlier build. Pages that do exist
 * count as written since. */
void rp_world_learn(rp_world *world, const rp_page_slot *entries, size_t count);
void rp_world_stats_get(const rp_world *world, rp_world_stats *stats);

#endif
