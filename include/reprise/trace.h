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
 * was opened (a program that links the allocators alone) scopes count nothing.
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
 * separates scopes in paths, so leave it out. Begin and end: some 50 ns. Where no more scopes fit
 * (16 Ki, 64 in each other) the outer one stays open instead. */
rp_scope rp_scope_begin(const char *name);
/* Closes it, and whatever was opened in it and left open, which is counted and reported. */
void rp_scope_end(rp_scope scope);
/* The same, and reports blocks that were made in the scope or below it since its begin and live
 * still: sites, stacks, scopes, to standard error. Returns how many. Blocks that other threads make
 * in the same scope count as well. */
size_t rp_scope_end_released(rp_scope scope);
/* A report, once, when what lives in the scope and below it is more than this. `path`:
 * "/level/physics"; scopes that there are not yet are made. 0: no budget. Kept
 * through seeks, as is whether it was reported. RP_E_MEMORY. */
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

/* ---- reports --------------------------------------------------------------------------------- */

typedef enum rp_report_format { RP_REPORT_TEXT, RP_REPORT_JSON } rp_report_format;
/* Takes the pieces of a report in order. Must not allocate from what is reported on. */
typedef void rp_report_writer(void *context, const char *text, size_t length);

/* Each report: `writer` null means standard error. While no other thread allocates, where it is to
 * be exact. They take memory of the keep zone for their time; where there is none left they say
 * that they are cut. */

/* The tree of scopes of both zones: live, peak, made, per frame, budgets, the sites in each, and
 * the allocators that were made in them. */
void rp_report_tree(rp_report_format format, rp_report_writer *writer, void *context);

/* Tracked blocks that live, told apart by what points to them, from roots on through all live
 * blocks: any aligned word that holds an address within a block counts. Roots: the stack of the
 * calling thread, and what rp_leak_root names. Returns how many blocks nothing points to: leaks.
 * Blocks that only leaked blocks point to are counted with them. */
size_t rp_report_leaks(rp_report_format format, rp_report_writer *writer, void *context);
/* Memory outside the heaps that may hold pointers: globals, stacks of threads and coroutines. Kept
 * until rp_leak_roots_clear; what cannot be read at the report's time is left out. RP_E_MEMORY:
 * more than 4096 of them. */
rp_status rp_leak_root(const void *start, size_t size_bytes);
void rp_leak_roots_clear(void);
/* The exit code of a program that ends with leaks, where it has no other. */
enum { RP_LEAKS_EXIT_CODE = 23 };

/* How full each size class and each unit of 64 KiB is; who keeps nearly empty units alive: the
 * scopes and sites of the blocks in units that are at most an eighth full; a figure, a histogram,
 * and a map with a character for each unit:
 *
 *   .  free            0 … 9  so many tenths are in use       =  one large block
 *   t  tables          r      set aside, or of others
 */
void rp_report_fragmentation(rp_report_format format, rp_report_writer *writer, void *context);
/* The part of the units that allocators hold in which nothing lives: 0 … 1. */
double rp_fragmentation_get(rp_zone zone);

/* The resident memory of the process, by what it is used for; the parts add up to what the system
 * says, and what they do not is shown and explained. Some 10 ms a GiB. */
void rp_report_ledger(rp_report_format format, rp_report_writer *writer, void *context);

/* Keeps what every scope and site has live now, and returns a number for it; 0: no room. Marks lie
 * in the keep zone: a seek does not undo them. */
uint32_t rp_growth_mark(void);
void rp_growth_drop(uint32_t mark);
/* What grew between two marks and is there still: by scope and site, and by allocator.
 * RP_E_NOT_FOUND: no such mark. */
rp_status rp_growth_report(uint32_t from, uint32_t to, rp_report_format format,
                           rp_report_writer *writer, void *context);

/* Calls `line` for each of `count` code addresses (of calls: return addresses) in order, with a
 * text such as "function (file.c:12)". Must not allocate from what is reported on. */
typedef void rp_symbol_line(void *context, size_t index, const char *text);
typedef void rp_symboliser(const uintptr_t *addresses, size_t count, rp_symbol_line *line,
                           void *context);
/* For the stacks of all reports; null: addresses are shown as they are. One a process. */
void rp_symboliser_set(rp_symboliser *symboliser);

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
