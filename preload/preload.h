/* libreprise-malloc.so: the generic allocator as the malloc of a program that knows nothing of it.
 *
 *   malloc.c, operators.c ── preload_allocator() ──► rp_generic(world)      the region is ours
 *                          └─ null ─────────────────► next.c                it cannot be had
 *   free of a block outside the region ─────────────► next.c: who else made it
 *
 *   open.c    opens the region at the first call or in the first constructor; settings; fork
 *   report.c  malloc_stats and its kin
 *   exit.c    leaks and reports at the end
 *   fault.c   misuse and faults explained
 *
 * The library is linked so that its constructor is the first of the process (initfirst), and with
 * thread-local storage of the initial-exec model: another model would make the loader call malloc
 * from within malloc.
 *
 * Threads: any.  Docs: docs/memory/malloc.md  Tests: tests/preload/
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include "alloc/cache.h"
#include "preload/family.h"

#include <region/region.h>
#include <stdio.h>

/* ---- open.c ---- */

/* The allocator of the whole process. Null: not opened yet, or it never will be. */
extern rp_allocator *preload_world;

/* Opens it if nobody did. Null where the region cannot be had, and while this thread is opening it.
 */
rp_allocator *preload_open(void);

static inline rp_allocator *preload_allocator(void)
{
    return FAMILY_LIKELY(preload_world) ? preload_world : preload_open();
}

/* The value of an environment variable as the process was started; null: not set. Usable before the
 * C library knows its environment. */
const char *preload_setting(const char *name);

/* "reprise: …" on standard error, in one write; nothing under REPRISE_QUIET=1. */
__attribute__((format(printf, 1, 2))) void preload_say(const char *format, ...);

/* A block of the next allocator for one that ours had no room for, where a limit of the address
 * space made the region small; else null and ENOMEM. */
void *preload_spill(size_t align_bytes, size_t size_bytes);

/* ---- malloc.c ---- */

void *preload_malloc_slow(size_t size_bytes, const void *caller);
void preload_free_slow(void *block, size_t size_bytes, const void *caller);
void *preload_memalign(size_t align_bytes, size_t size_bytes, const void *caller);

static inline void *preload_malloc(size_t size_bytes, const void *caller)
{
    void *block = rp_generic_alloc_quick(rp_alloc_self.generic, size_bytes);
    return FAMILY_LIKELY(block) ? block : preload_malloc_slow(size_bytes, caller);
}

/* `size_bytes` SIZE_MAX: not said. */
static inline void preload_free(void *block, size_t size_bytes, const void *caller)
{
    if (!FAMILY_LIKELY(rp_generic_free_here(block))) {
        preload_free_slow(block, size_bytes, caller);
    }
}

/* ---- next.c: the allocator behind ours, and memory for the time before either can be used ---- */

void *next_malloc(size_t size_bytes);
void *next_calloc(size_t count, size_t size_bytes);
void *next_realloc(void *block, size_t size_bytes, const void *caller);
void *next_memalign(size_t align_bytes, size_t size_bytes);
size_t next_usable_size(void *block);
/* Aborts with a report on an address that no allocator can have made: of a program's data, of this
 * thread's stack, or of nothing readable. */
void next_free(void *block, const void *caller);
/* A function behind ours by its name; null where there is none. */
void *next_function(const char *name);

/* ---- exit.c: what the settings ask to be said at exit ---- */

/* Registers it, so that it runs after every other exit handler and destructor. */
void preload_watch_exit(void);

/* ---- fault.c ---- */

/* The stack of the call in the reports of misuse. After rp_trace_open. */
void preload_watch_misuse(void);
/* Faults at guards are explained. */
void preload_watch_faults(void);

#endif
