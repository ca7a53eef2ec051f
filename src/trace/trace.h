/* The debug side of allocation: who owns memory, and who broke it.
 *
 *   rp_alloc_at ── debug modes, or a traced scope ──► tracked store (tracked*.c)
 *                                                       │ one record a block: scope, site, stacks
 *            sites.c, stacks.c, scopes.c: interned ids ─┘
 *            report*.c: tree, leaks, fragmentation, ledger, growth
 *
 * All of its state lies in the region, in the zone of the allocators that it describes, and holds
 * no pointer into a module but code addresses, which are numbers to it. What was *chosen* (debug
 * modes by name) lies in the keep zone, so that a seek does not undo it.
 *
 * Layer: trace.  Threads: each call takes the locks it needs.  Design: docs/internals/trace.md
 * Tests: tests/trace/
 */
#ifndef RP_TRACE_TRACE_H
#define RP_TRACE_TRACE_H

#include "alloc/allocator.h"
#include "base/text.h"

#include <reprise/trace.h>

/* Hands rp_debug_ops to the layer below and reads REPRISE_DEBUG's text, if any (`settings` may be
 * null). Once in a process, after the region is open. RP_E_ARGUMENT: the text has an error; what
 * could be read of it holds. */
rp_status rp_trace_open(const char *settings);
/* Whether rp_debug_parse would read the text; the region may be closed. RP_E_ARGUMENT as there. */
rp_status rp_trace_settings_check(const char *settings);
/* Whether blocks are made now that rp_debug_check would look at. */
bool rp_trace_is_marking(void);
/* After a restore: what was chosen by name holds for the allocators and scopes that are there now.
 */
void rp_trace_reconcile(void);
/* The number that records carry as the moment of an allocation; set by the deck at each frame. */
void rp_trace_frame_set(uint64_t frame);
uint64_t rp_trace_frame(void);

/* ---- sites.c: texts "file.c:12 Type", interned ---- */

/* The id of a text; 0: null, or no room. The text is copied; calls with the same pointer are found
 * by its address and then compared. Some 15 ns. */
uint32_t rp_trace_site(rp_zone zone, const char *text);
const char *rp_trace_site_text(rp_zone zone, uint32_t id); /* "" for 0 */
/* The id of a call without a text: the code address that it returns to; 0: null. */
uint32_t rp_trace_code_site(rp_zone zone, const void *caller);
enum { RP_TRACE_SITE_BYTES = 256 };
/* The text, or the name of the code in `text`; "" for 0. Not in a signal handler. */
const char *rp_trace_site_name(rp_zone zone, uint32_t id, char *text, size_t capacity);

/* ---- stacks.c: return addresses by frame pointers, interned ---- */

enum { RP_TRACE_STACK_MOST = 32 };

/* The id of the stack above the call that `caller` is the return address of, which is its first
 * address; 0: none. Never reads outside the stack of the thread. Some 30 ns at depth 12. */
uint32_t rp_trace_stack(rp_zone zone, const void *caller);
/* The same without keeping it: at most `capacity` addresses; returns how many. */
size_t rp_trace_stack_walk(const void *caller, uintptr_t *addresses, size_t capacity);
/* Copies at most `capacity` addresses, the innermost first; returns how many there are. */
size_t rp_trace_stack_get(rp_zone zone, uint32_t id, const void **addresses, size_t capacity);

/* ---- report_stacks.c ---- */

/* What rp_symboliser_set gave; null: none. */
rp_symboliser *rp_symboliser_get(void);

/* ---- scopes.c: the tree ---- */

/* Counts one block in the scope and at the site, and in the scopes around it. Returns the id of the
 * counter of the two, with which the block is counted when it is freed; 0: there is no room. */
uint32_t rp_trace_count_alloc(rp_zone zone, uint32_t scope, uint32_t site, size_t size_bytes);
void rp_trace_count_free(rp_zone zone, uint32_t scope, uint32_t counter, size_t size_bytes);
/* "/level/physics" into `text`; "/" for the root and for what is no scope. */
void rp_trace_scope_path(rp_zone zone, uint32_t scope, char *text, size_t capacity);
/* The calling thread's innermost scope as an id of that zone, for records and new allocators.
 * rp_alloc_thread.scope is the world zone's id of it. Free for the world, some 20 ns a level for
 * the keep zone. */
uint32_t rp_trace_scope_here(rp_zone zone);
/* The debug modes chosen by name for the scope and those around it (rp_trace_modes_for). */
uint32_t rp_trace_scope_modes(rp_zone zone, uint32_t scope);
/* Asks rp_trace_modes_for again for every scope: after a choice, and after a restore. */
void rp_trace_scopes_reconcile(void);
/* No scope is open in this thread from here on: at each frame's start, and after a longjmp or a
 * crash. Returns the scope that had been left open, which is counted as such; 0: none. */
uint32_t rp_trace_scope_reset(void);

/* ---- tracked.c: blocks with records ---- */

/* The modes that were chosen for scopes with this path. */
uint32_t rp_trace_modes_for(const char *scope_path);
/* The serial of the youngest block of the zone; 0: there was none. */
uint64_t rp_trace_serial(rp_zone zone);

typedef struct rp_trace_record {
    uint64_t size_bytes;  /* asked for */
    uint64_t serial;      /* rises with each block of the zone */
    uint32_t scope, site; /* ids */
    uint32_t made_stack, freed_stack;
    uint32_t frame;       /* when it was made */
    uint32_t freed_frame; /* when it was freed; 0 while it lives */
    uint32_t modes;       /* rp_debug_mode bits that it was made with */
    uint32_t counter;     /* rp_trace_count_alloc */
} rp_trace_record;

typedef struct rp_trace_block {
    void *start;
    const rp_trace_record *record;
    rp_allocator *allocator;
    bool live; /* false: in quarantine */
} rp_trace_block;

/* Visits every tracked block of a zone, of one allocator, or of all (null). While nobody allocates.
 */
int rp_trace_walk(rp_zone zone, const rp_allocator *allocator,
                  int (*visit)(const rp_trace_block *block, void *context), void *context);
/* The tracked block that `address` lies in, or nearest before or after it within its unit. */
bool rp_trace_find(const void *address, rp_trace_block *block);

/* ---- describe.c ---- */

/* Adds whose memory `address` is: "16 bytes into a block of 48 of heap 'deck', scope /level, made
 * at game.c:12 Body". The scope and the site are known of tracked blocks alone. While nobody
 * allocates; not in a signal handler. */
void rp_trace_describe(rp_text_buffer *text, const void *address);

/* ---- symbol.c: code addresses as text ---- */

/* Writes "function+0x12 (object)" as the loader's tables have it, else "object+0x1234", else the
 * number. `in_signal`: from the map of objects alone, which takes no lock. */
void rp_trace_symbolise(const void *address, bool in_signal, char *text, size_t capacity);
/* While set, an address becomes "{@7f12…}", in hexadecimal digits, for a reader of the report that
 * has the debug information. One a process. */
void rp_trace_symbols_defer(bool defer);

#endif
