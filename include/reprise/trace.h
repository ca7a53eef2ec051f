/* Who owns memory: scopes, leaks, fragmentation, the ledger, growth.
 *
 *     RP_SCOPE("physics") {                        what is allocated here belongs to /physics,
 *         solve(bodies);                           whichever allocator it is asked of
 *     }                                            ends on return, break and goto as well
 *     RP_SCOPE_ALL_RELEASED("load") { … }          and aborts with a report if something is left
 *     rp_report_tree(RP_REPORT_TEXT, NULL, NULL);  to standard error
 *
 * A scope belongs to the thread that begins it; the same name under the same parent is the same
 * scope, in every thread and every time. While one is open, the thread's allocations go to the
 * tracked store (debug.h), which keeps a record of each block: some 100 ns an operation instead of
 * a few. Outside of scopes, and for allocators without debug modes, nothing is paid and nothing is
 * known of single blocks; reports then show what allocators know of themselves. Where no debug side
 * was opened (a program that links the allocators alone) scopes cost 20 ns and count nothing.
 *
 * Scopes and counts of the world zone are part of the world: a seek brings those of its moment.
 *
 * Layer: trace.  Threads: any thread may begin and end scopes; a report shows figures that are
 * right one by one while others allocate.  Design: docs/internals/trace.md  Tests: tests/trace/
 */
#ifndef REPRISE_TRACE_H
#define REPRISE_TRACE_H

#include <reprise/memory.h>
#include <reprise/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- scopes ---------------------------------------------------------------------------------- */

/* An open scope. Kept by value; the members are not for the caller. */
typedef struct rp_scope {
    uint32_t id, outer;
    uint64_t since;
} rp_scope;

/* Opens the scope `name` in the one that is open now. The name is copied and cut at 47 bytes; '/'
 * separates scopes in paths, so leave it out. Some 20 ns. Where no more scopes fit (16 Ki, 64 in
 * each other) the outer one stays open instead. */
rp_scope rp_scope_begin(const char *name);
/* Closes it, and whatever was opened in it and left open, which is counted and reported. */
void rp_scope_end(rp_scope scope);
/* The same, and reports blocks that were made in the scope or below it since its begin and live
 * still: sites, stacks, scopes, to standard error. Returns how many. Blocks that other threads make
 * in the same scope count as well. */
size_t rp_scope_end_released(rp_scope scope);
/* A report, once, when what lives in the scope and below it is more than this. `path`:
 * "/level/physics"; scopes that there are not yet are made. 0: no budget. RP_E_MEMORY. */
rp_status rp_scope_budget(const char *path, uint64_t bytes);

typedef struct rp_scope_stats {
    uint64_t live_count, live_bytes, peak_bytes; /* bytes asked for */
    uint64_t total_count, total_bytes;           /* made at any time */
    uint64_t last_frame_count;                   /* made in the frame before this one */
    uint64_t budget_bytes;
} rp_scope_stats;

/* Of the scope and all below it in a zone. RP_E_NOT_FOUND: there is no such scope. "/": all that is
 * tracked. */
rp_status rp_scope_stats_get(rp_zone zone, const char *path, rp_scope_stats *stats);

/* The cleanups of the macros. */
void rp_scope_leave_(rp_scope *scope);
void rp_scope_leave_released_(rp_scope *scope); /* aborts where something is left */

#define RP_SCOPE_PASTE_(a, b) a##b
#define RP_SCOPE_NAME_(line) RP_SCOPE_PASTE_(rp_scope_open_, line)
#define RP_SCOPE_ONCE_(line) RP_SCOPE_PASTE_(rp_scope_once_, line)
#define RP_SCOPE_WITH_(name, leave)                                                                \
    for (rp_scope RP_SCOPE_NAME_(__LINE__) __attribute__((cleanup(leave))) = rp_scope_begin(name), \
                                           *RP_SCOPE_ONCE_(__LINE__) = &RP_SCOPE_NAME_(__LINE__);  \
         RP_SCOPE_ONCE_(__LINE__); RP_SCOPE_ONCE_(__LINE__) = 0)
/* Before a statement or a block. `break` leaves the block. A longjmp out of it leaves it open until
 * an outer one ends, or the frame does. */
#define RP_SCOPE(name) RP_SCOPE_WITH_(name, rp_scope_leave_)
#define RP_SCOPE_ALL_RELEASED(name) RP_SCOPE_WITH_(name, rp_scope_leave_released_)

#ifdef __cplusplus
}
#endif
#endif
