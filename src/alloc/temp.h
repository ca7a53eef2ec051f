/* Inside temp memory: threads, their scopes, what rests, what was chosen.
 *
 *   world, STATIC_WORD_TEMP ──► temp_table ── threads[place] ──► temp_thread ── scopes[depth]
 *                                          '─ resting: ended debug scopes, sealed, oldest first out
 *   keep,  STATIC_WORD_TEMP ──► temp_choice
 *
 * Layer: alloc, internal.
 */
#ifndef RP_ALLOC_TEMP_H
#define RP_ALLOC_TEMP_H

#include "alloc/arena.h"

#include <reprise/temp.h>

enum {
    TEMP_SITE_BYTES = 64,
    TEMP_RESTING_MOST = 128, /* blocks */
    TEMP_WATCHES_MOST = 16,
};
#define TEMP_RESTING_BYTES (UINT64_C(32) << 20)

typedef struct temp_scope {
    rp_arena *arena;
    uint64_t number; /* rises with each debug scope; 0: it is none */
    char began[TEMP_SITE_BYTES];
} temp_scope;

typedef struct temp_thread {
    uint32_t place, depth;
    rp_arena *home;                        /* holds this */
    rp_arena *kept[RP_TEMP_DEPTH_MOST];    /* for scopes that are no debug ones, by depth */
    temp_scope scopes[RP_TEMP_DEPTH_MOST]; /* the open ones: below `depth` */
} temp_thread;

typedef struct temp_rest {
    uint8_t *start;
    uint64_t size_bytes; /* 0: the entry is empty */
    uint64_t number;
    uint32_t place, unused;
    char began[TEMP_SITE_BYTES], ended[TEMP_SITE_BYTES];
} temp_rest;

typedef struct temp_watch {
    const uint8_t *start;
    uint64_t size_bytes;
} temp_watch;

typedef struct temp_table {
    /* With the lock of the word: all but threads[]. */
    uint32_t rest_next; /* the entry of resting[] that is used next, the oldest */
    uint32_t unused;
    uint64_t number, resting_bytes, escape_count;
    temp_watch watches[TEMP_WATCHES_MOST];
    temp_rest resting[TEMP_RESTING_MOST];
    temp_thread *threads[RP_ALLOC_THREADS_MOST + 1]; /* each is its thread's own */
} temp_table;

typedef struct temp_choice {
    uint32_t chosen, debug; /* `debug` holds where `chosen` */
    uint32_t search_all;
} temp_choice;

/* Null where there is none yet. */
temp_table *rp_temp_table(void);
/* Null with the record set. */
temp_table *rp_temp_table_make(void);
void rp_temp_lock(void);
void rp_temp_unlock(void);
const temp_choice *rp_temp_choice(void);

/* The end of a debug scope: search, then seal and let rest what it had (temp_debug.c). */
void rp_temp_scope_rest(temp_table *table, const temp_thread *thread, temp_scope *scope,
                        const char *site);
/* Tells each word that points into the scope (temp_search.c). */
void rp_temp_search(temp_table *table, const temp_thread *thread, const temp_scope *scope,
                    const char *site);

#endif
