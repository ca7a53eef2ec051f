/* A loaded object as the runner sees it: where it lies, which of its bytes are state, and to which
 * class it belongs. Works on the loaded image alone (program headers and dynamic section).
 *
 * One class for each object, world or keep, governs both its data and its allocations. Keep: the C
 * library, the loader, ours, and what talks to devices (the list in classes.c); --keep-lib adds.
 *
 * Layer: module.  Threads: rp_class_of_code from any thread; the others from one at a time.
 * Design: docs/internals/module.md  Tests: tests/module/test_object.c, test_classes.c
 */
#ifndef RP_MODULE_OBJECT_H
#define RP_MODULE_OBJECT_H

#include <reprise/memory.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RP_OBJECT_MAX = 256, RP_OBJECT_STATE_MAX = 12, RP_OBJECT_PATH_BYTES = 256 };

typedef struct rp_object_span {
    uint64_t start, size_bytes;
} rp_object_span;

typedef struct rp_object {
    char path[RP_OBJECT_PATH_BYTES]; /* "" : the program itself */
    uint64_t base;                   /* what is added to virtual addresses of the file */
    uint64_t low, high;              /* its loaded range, page-rounded */
    uint8_t build_id[32];
    uint32_t build_id_bytes;
    rp_zone zone; /* its class */
    uint32_t state_count;
    uint32_t state_lost; /* pieces of state that found no room below; 0 in practice */
    rp_object_span state[RP_OBJECT_STATE_MAX]; /* writable bytes less relro, .got.plt, .dynamic,
                                                  init and fini arrays */
    rp_object_span code[4];
    uint32_t code_count;
    uint64_t tls_module, tls_bytes; /* 0: no thread-local data */
} rp_object;

/* Describes every object that is loaded now, in load order; keeps the classes of those known
 * before. Returns the count. Not in signal handlers. */
size_t rp_objects_scan(rp_object *objects, size_t capacity);
/* The calling thread's TLS block of an object, allocated if need be; null: none. */
void *rp_object_tls(const rp_object *object);

/* The class by file name; the shipped list, then what rp_class_keep added. */
rp_zone rp_class_of(const char *path);
/* "libfoo" (matches libfoo.so, libfoo.so.3, libfoo-1.2.so) or "libfoo.so.3", or a pattern with '*'.
 * Copied; at most 64 of up to 63 bytes. RP_E_ARGUMENT: empty, too long, or has a '/'. RP_E_RANGE:
 * too many. Code that was looked up already keeps its class until rp_class_map_update. */
rp_status rp_class_keep(const char *pattern);

/* The class of the code at `address`, for every call of malloc: a search in a sorted table that
 * rp_class_map_update makes; code that is in no object (made at run time) counts as world.
 * Addresses that the table does not know are looked up once. Allocates nothing and waits for
 * nobody, so it may be called inside malloc while the loader runs. */
rp_zone rp_class_of_code(const void *address);
void rp_class_map_update(const rp_object *objects, size_t count);

#endif
