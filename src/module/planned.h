/* What the program reprise-plan answers: a build's symbols, and the plan that leads to it. One flat
 * piece in a memory file, so that the process with the world needs nothing that reads files.
 *
 *   header | symbols, by address | names | plan, on a page of its own
 *
 * Layer: module.  Made in host/planner/main.c.  Tests: tests/deck/test_reload.c,
 * tests/fuzz/fuzz_planned.c
 */
#ifndef RP_MODULE_PLANNED_H
#define RP_MODULE_PLANNED_H

#include "module/plan.h"

#define RP_PLANNED_MAGIC UINT32_C(0x44504c52)
enum { RP_PLANNED_VERSION = 1, RP_PLANNED_MOST_BYTES = 1 << 30 };

typedef struct rp_planned_symbol {
    uint64_t address, size_bytes; /* in the file */
    uint32_t name, is_function;   /* offset in names */
} rp_planned_symbol;

typedef struct rp_planned {
    uint32_t magic, version; /* magic: written last */
    int32_t status;          /* rp_status; not RP_OK: `text` and `refusal` alone count */
    uint32_t symbol_count;
    uint64_t total_bytes, content_hash;
    uint64_t symbols_offset, names_offset, names_bytes;
    uint64_t plan_offset, plan_bytes; /* 0 bytes: none was asked for */
    rp_refusal refusal;
    char text[480]; /* of the error record */
} rp_planned;

/* Checks an answer of `size_bytes`, its plan included. RP_E_FORMAT; where it holds an error: that
 * status, with its text in the record. */
rp_status rp_planned_check(const rp_planned *planned, size_t size_bytes);
/* The symbol that holds the address, null: none. Safe in a signal handler. */
const rp_planned_symbol *rp_planned_find(const rp_planned *planned, uint64_t address);
static inline const char *rp_planned_name(const rp_planned *planned,
                                          const rp_planned_symbol *symbol)
{
    return (const char *)planned + planned->names_offset + symbol->name;
}
static inline const rp_plan *rp_planned_plan(const rp_planned *planned)
{
    return planned->plan_bytes
               ? (const rp_plan *)(const void *)((const char *)planned + planned->plan_offset)
               : NULL;
}

#endif
