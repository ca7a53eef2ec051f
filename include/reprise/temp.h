/* Temp memory: an arena that lives as long as a scope of the calling thread.
 *
 *     RP_TEMP(temp) {                                    ends at the brace, on break and on return
 *         char *line = rp_arena_push(temp, 200, 1);
 *     }
 *     rp_arena *temp = rp_temp_begin(); ... rp_temp_end(temp);
 *
 * Scopes nest, and each has memory of its own: pushing to an outer one while an inner one is open
 * is allowed. Beginning and ending cost some 40 ns; the memory of a depth is kept for the next
 * scope.
 *
 * Debug scopes (in code compiled without NDEBUG, or by rp_temp_debug_set) catch and name:
 *   - a pointer that is used after its scope: at the end the scope's pages become guards and their
 *     addresses rest for a while, so the access faults, and rp_temp_explain says whose they were;
 *   - a pointer that is kept: at a scope's end the thread's outer scopes, watched ranges and, on
 *     request, all blocks of the world are searched for words that point into it; each is told on
 *     standard error with where it is held. Words that only look like such pointers are told too;
 *   - a scope that another thread ends, and blocks of it that another thread frees or resizes
 *     (these three in every build), or asks the size of.
 * What is not caught: reads and writes by another thread while the scope is open. No page
 * protection knows threads; the memory protection keys of some CPUs would, and are not used. A
 * debug scope costs system calls and 64 KiB of address space for a while.
 *
 * Temp memory lies in the world zone; a scope that is open when the world is saved is open again
 * after a restore. A thread's end gives its temp memory back.
 *
 * Layer: alloc.  Threads: a scope belongs to the thread that began it.  Tests:
 * tests/alloc/test_temp.c
 */
#ifndef REPRISE_TEMP_H
#define REPRISE_TEMP_H

#include <reprise/arena.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef NDEBUG
#define RP_TEMP_DEBUG_ 0
#else
#define RP_TEMP_DEBUG_ 1
#endif

enum { RP_TEMP_DEPTH_MOST = 64 };

/* Null with the record set: the region is not open or full, the 65th scope in a row, or more than
 * 4095 threads. */
rp_arena *rp_temp_begin_at(bool debug, const char *site);
/* Ends the thread's innermost scope, which must be `temp`; anything else is the caller's error:
 * named, then the program ends. Null is ignored. */
void rp_temp_end_at(rp_arena *temp, const char *site);
#define rp_temp_begin() rp_temp_begin_at(RP_TEMP_DEBUG_, RP_HERE)
#define rp_temp_end(temp) rp_temp_end_at((temp), RP_HERE)

static inline void rp_temp_cleanup_(rp_arena **temp)
{
    rp_temp_end_at(*temp, "the end of its block");
}

/* The block runs once, with the arena or null in `name`. */
#define RP_TEMP(name)                                                                  \
    for (rp_arena * name __attribute__((cleanup(rp_temp_cleanup_))) = rp_temp_begin(), \
                         *name##_once_ = (rp_arena *)1;                                \
         name##_once_; name##_once_ = (rp_arena *)0)

/* From here on new scopes of the process are debug scopes, or are not, however their code was
 * compiled. */
void rp_temp_debug_set(bool debug);
/* Whether the end of a debug scope also searches all live blocks of the world. Only while no other
 * thread allocates; takes as long as reading them all. Off at first. */
void rp_temp_search_all_set(bool search);
/* Ranges that the end of a debug scope searches; up to 16. False: there are 16. */
bool rp_temp_watch(const void *start, size_t size_bytes);
void rp_temp_unwatch(const void *start);
/* Kept pointers found so far. */
uint64_t rp_temp_escape_count(void);

/* Says of an address whether it is temp memory, of which scope, and where that ended. False: it is
 * none, or was too long ago. Allocates nothing and takes no lock: for a signal handler. */
bool rp_temp_explain(const void *address, char *text, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
