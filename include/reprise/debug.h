/* Debug modes: catching overwrites, use after free, uninitialised use and untested error paths.
 *
 *     rp_debug_set("physics", RP_DEBUG_END_OF_PAGE | RP_DEBUG_QUARANTINE);   by name, while it runs
 *     REPRISE_DEBUG='physics=end-of-page,fill;*=canary' ./program            or at the start
 *     rp_allocator *a = rp_canary_create(&(rp_heap_desc){.name = "parser"}); or one for good
 *
 * A mode holds for the blocks that are made while it is set. Blocks of before keep what they were
 * made with, and one rp_free serves them all. An allocator without modes pays nothing.
 *
 *   trace           a record of each block: site, scope, moment; counts
 *   stacks          where it was made and freed, by frame pointers
 *   fill            0x66 over what is freed; a pattern over what is new, so that what is read
 *                   uninitialised differs from run to run of another seed, and in no other way
 *   canary          marks on both sides and in the slack, looked at by rp_free and rp_debug_check
 *   end-of-page     the block ends at a page that nobody may touch: an overrun faults at once
 *   start-of-page   it begins behind one: an underrun faults
 *   quarantine      freed blocks rest: filled, and looked at when they leave; guarded ones become
 *                   wholly inaccessible
 *   sampled[=N]     one block in N is guarded on both counts and rests after its free; the others
 *                   are as without debug
 *   failing[=…]     an allocation fails: the nth, those of one site
 *   leaks           what lives at the end is reported
 *
 * Layer: trace.  Threads: any thread may call any of these. Not from a signal handler, nor may a
 * handler allocate: the locks are those of the code that it interrupts.
 * Design: docs/internals/debug.md  Tests: tests/trace/
 */
#ifndef REPRISE_DEBUG_H
#define REPRISE_DEBUG_H

#include <reprise/memory.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_debug_mode {
    RP_DEBUG_TRACE = 1 << 0,
    RP_DEBUG_STACKS = 1 << 1,
    RP_DEBUG_FILL = 1 << 2,
    RP_DEBUG_CANARY = 1 << 3,
    RP_DEBUG_END_OF_PAGE = 1 << 4,
    RP_DEBUG_START_OF_PAGE = 1 << 5,
    RP_DEBUG_QUARANTINE = 1 << 6,
    RP_DEBUG_SAMPLED = 1 << 7,
    RP_DEBUG_FAILING = 1 << 8,
    RP_DEBUG_LEAKS = 1 << 9,
} rp_debug_mode;

enum {
    RP_DEBUG_FREED_BYTE = 0x66,
    RP_DEBUG_SAMPLE_DEFAULT = 1000,
    RP_DEBUG_SITE_BYTES = 64 /* of a site's text, cut */
};

/* What the modes need to know. All zero: the defaults. */
typedef struct rp_debug_options {
    uint64_t seed;          /* of fill's patterns and of which blocks are sampled */
    uint64_t fail_nth;      /* the nth allocation from now on fails, 1: the next; 0: none */
    const char *fail_site;  /* "file.c:12": all allocations whose site ends in that or goes on with
                               a type's name; copied. Null: any site */
    uint32_t sample_one_in; /* 0: RP_DEBUG_SAMPLE_DEFAULT */
    bool fill_chosen;       /* new blocks are filled with fill_byte, not with random bytes */
    uint8_t fill_byte;
} rp_debug_options;

/* ---- by name --------------------------------------------------------------------------------- */

/* A pattern matches an allocator by its name ("physics"), by the scope that it was made in
 * ("/level/physics", or the last part of it), or by both ("/level/physics/bodies"). It matches a
 * scope by its path or the last part; then what is allocated in the scope has the modes, from
 * whichever allocator, with the options of the last such choice. Of the patterns that match, the
 * one with the most letters holds, of equals the one that was set last.
 *
 * Arenas, temp allocators and the static heap give blocks back in bulk or never: of all modes only
 * `failing` holds for them. */

/* Sets the modes of all allocators and scopes that match `pattern` ('*' any run, '?' one
 * character), those of now and those made later; `modes` 0 switches back. The choice lies in the
 * keep zone: no restore undoes it. `options` may be null. RP_E_ARGUMENT: unknown bits, a pattern
 * that is empty or too long; RP_E_MEMORY: too many patterns (64). */
rp_status rp_debug_set(const char *pattern, uint32_t modes);
rp_status rp_debug_set_with(const char *pattern, uint32_t modes, const rp_debug_options *options);
/* Reads "physics=end-of-page,fill,pattern=aa,seed=7;*=canary" and sets it. `off` or `none`: no
 * modes. RP_E_ARGUMENT: a mode that is unknown (the text lists those that are), or a number that is
 * none; what stands before it holds. */
rp_status rp_debug_parse(const char *text);
/* Forgets all that was set by name. */
void rp_debug_reset(void);
/* The modes that hold for new blocks of the allocator. */
uint32_t rp_debug_modes_of(const rp_allocator *allocator);
/* "canary,fill" into `text`; "off" for 0. Returns `text`. */
char *rp_debug_modes_text(uint32_t modes, char *text, size_t capacity);

/* ---- allocators with a mode of their own ----------------------------------------------------- */

/* Heaps as rp_heap_create makes them, with debug modes that a restore of the world keeps and that
 * names can only add to, or switch off. Null as there. */
rp_allocator *rp_debug_create(const rp_heap_desc *desc, uint32_t modes,
                              const rp_debug_options *options);
rp_allocator *rp_trace_create(const rp_heap_desc *desc);
rp_allocator *rp_canary_create(const rp_heap_desc *desc);
rp_allocator *rp_end_of_page_create(const rp_heap_desc *desc);
rp_allocator *rp_fill_create(const rp_heap_desc *desc, uint64_t seed);
rp_allocator *rp_sampled_guard_create(const rp_heap_desc *desc, uint32_t one_in);
/* The nth allocation fails; see rp_failing_set. */
rp_allocator *rp_failing_create(const rp_heap_desc *desc, uint64_t nth);

/* Counts anew from here: the nth allocation from now on fails, once; 0: none does. For a sweep over
 * all error paths:
 *
 *     for (uint64_t n = 1;; n++) {
 *         rp_failing_set(a, n);
 *         run(a);
 *         if (rp_failing_count(a) < n) break;      that was a run in which nothing failed
 *     }
 *
 * For an allocator whose modes have RP_DEBUG_FAILING. RP_E_MEMORY: no room for its book. */
rp_status rp_failing_set(rp_allocator *allocator, uint64_t nth);
/* How many allocations were asked for since; the failed ones count. */
uint64_t rp_failing_count(const rp_allocator *allocator);

/* ---- errors ---------------------------------------------------------------------------------- */

typedef enum rp_debug_error_kind {
    RP_DEBUG_OVERRUN,           /* bytes behind the block were written */
    RP_DEBUG_UNDERRUN,          /* bytes before it */
    RP_DEBUG_WRITE_AFTER_FREE,  /* the block was written after it was freed */
    RP_DEBUG_ACCESS_AFTER_FREE, /* a fault in a block at rest */
    RP_DEBUG_GUARD_AFTER,       /* a fault at the page behind the block */
    RP_DEBUG_GUARD_BEFORE,      /* at the page before it */
    RP_DEBUG_DOUBLE_FREE,
    RP_DEBUG_BAD_FREE,   /* inside a block, of what is no block, into a wrong allocator */
    RP_DEBUG_WRONG_SIZE, /* rp_free_sized with another size than was asked for */
} rp_debug_error_kind;

typedef struct rp_debug_error {
    rp_debug_error_kind kind;
    const void *address;  /* the first damaged byte, or what was freed */
    int64_t offset_bytes; /* of it from the block's start; negative: before */
    const void *block;    /* null: none is known there */
    uint64_t size_bytes;
    uint64_t serial;
    const char *allocator_name; /* as `text`, for the time of the call */
    const char *text;           /* the whole report */
} rp_debug_error;

/* Called for each error, by the thread that found it, before the report is written to standard
 * error; no lock is held. True: the report was shown, do not write it. Null removes it. One a
 * process. */
void rp_debug_on_error(bool (*function)(const rp_debug_error *error, void *context), void *context);

typedef enum rp_debug_policy {
    RP_DEBUG_REPORT, /* once for each block, and go on; the default */
    RP_DEBUG_ABORT,  /* report and abort */
} rp_debug_policy;

/* For damage that is found; a free that cannot be done always aborts. */
void rp_debug_policy_set(rp_debug_policy policy);
/* Looks at the marks of every live block and at the blocks at rest, in both zones: at a frame's
 * end, or on demand. Returns how many blocks were found damaged that were not reported before.
 * Cost: every byte that is a mark. */
size_t rp_debug_check(void);
/* At the program's end: rp_debug_check, and where an allocator has the mode `leaks` the report of
 * what lives and nothing points to; nothing is said where nothing is wrong. Returns how many
 * damaged and how many leaked blocks there are. While no other thread allocates. */
size_t rp_debug_finish(void);
/* For the handler of a fault: says whether the address lies at a guard of ours or in a block at
 * rest, and all that is known of it. Safe in a signal handler: no lock, no allocation.
 * `is_write`: 1, 0, or -1: unknown. `pc` may be null. */
bool rp_debug_explain_fault(const void *address, int is_write, const void *pc, char *text,
                            size_t capacity);

/* ---- budgets --------------------------------------------------------------------------------- */

typedef struct rp_debug_stats {
    uint64_t block_count, block_bytes;      /* tracked blocks that live; bytes asked for */
    uint64_t guarded_count, guarded_budget; /* blocks with guards, at rest or not */
    uint64_t guarded_refused;               /* made with canaries, as the budget was spent */
    uint64_t resting_count, resting_bytes,
        resting_budget;       /* in quarantine; budget: each allocator */
    uint64_t resting_refused; /* larger than the whole budget */
    uint64_t failed_count;    /* allocations that failed because they were told to */
    uint64_t error_count;
} rp_debug_stats;

/* Of both zones. */
void rp_debug_stats_get(rp_debug_stats *stats);
/* 0: the default. Guarded blocks: 256 Ki where the kernel has light guards, else an eighth of
 * vm.max_map_count, as guards divide mappings. Quarantine: 16 MiB for each allocator. What was
 * over the budget is counted, and the first time said on standard error. */
void rp_debug_budget_set(uint64_t guarded_blocks, uint64_t resting_bytes);

#ifdef __cplusplus
}
#endif
#endif
