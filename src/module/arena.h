/* Memory that grows to a bound and is given back at once: the system's pages, no heap.
 *
 * Layer: module, internal.  Threads: one.
 */
#ifndef RP_MODULE_ARENA_H
#define RP_MODULE_ARENA_H

#include <reprise/status.h>
#include <stddef.h>
#include <stdint.h>

typedef struct module_arena {
    uint8_t *base;
    size_t used, committed, reserved;
    rp_status failure; /* of the last take that gave nothing; RP_OK: none */
} module_arena;

/* `limit_bytes` is all that it will ever give; only what is taken costs memory. */
rp_status rp_arena_init(module_arena *arena, size_t limit_bytes);
void rp_arena_finish(module_arena *arena);
/* Zeroed, aligned to 16. Null with `failure` and the record set when the system has no more or
 * the limit is hit. */
void *rp_arena_take(module_arena *arena, size_t count, size_t size_bytes);

#endif
