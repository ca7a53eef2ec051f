/* What the reports share: output as text or JSON, scratch memory, sorting, all blocks of a zone.
 *
 *   gather (scratch of the keep zone) ──► sort, group ──► report_out ──► rp_report_writer
 *
 * A report is written piece by piece and takes no memory of the heaps that it is about: what it
 * must remember lies in pages of the keep zone, and is given back at its end.
 *
 * Layer: trace, internal.  Tests: tests/trace/test_report*.c
 */
#ifndef RP_TRACE_REPORT_H
#define RP_TRACE_REPORT_H

#include "base/text.h"
#include "trace/tables.h"

#include <reprise/trace.h>

/* ---- report.c: output ---- */

enum { REPORT_NESTING_MOST = 80 };

typedef struct report_out {
    rp_report_writer *writer;
    void *context;
    bool json;
    int depth;
    bool comma[REPORT_NESTING_MOST]; /* the next member at that depth needs one before it */
} report_out;

report_out report_begin(rp_report_format format, rp_report_writer *writer, void *context);

/* Text: as it is. For JSON reports too where the caller builds the pieces. */
__attribute__((format(printf, 2, 3))) void report_text(report_out *out, const char *format, ...);
/* "1.5 MiB" right-aligned in `width` columns. */
void report_bytes(report_out *out, int width, uint64_t bytes);

/* JSON: members of the innermost object, or with a null key elements of the innermost array. */
void report_open(report_out *out, const char *key, char bracket); /* '{' or '[' */
void report_close(report_out *out, char bracket);
void report_number(report_out *out, const char *key, uint64_t value);
void report_ratio(report_out *out, const char *key, double value);
void report_string(report_out *out, const char *key, const char *value);
/* After the outermost close. */
void report_end(report_out *out);

/* rp_report_leaks on standard error, but nothing is said where nothing leaked. */
size_t rp_report_leaks_if_any(void);

/* One line on standard error: a scope's budget is spent. */
void rp_report_over_budget(rp_zone zone, uint32_t scope, uint64_t live_bytes,
                           uint64_t budget_bytes);

/* ---- report_scratch.c ---- */

/* An array that grows in pages of the keep zone. All zero: empty. */
typedef struct report_array {
    uint8_t *items;
    size_t count, capacity, item_bytes;
    bool full; /* something found no room: the report says so */
} report_array;

/* Room for one more; null where the keep zone is full. Items move. */
void *report_array_add(report_array *array, size_t item_bytes);
/* Room for so many in all; false, and the array as it was, where there is none. */
bool report_array_reserve(report_array *array, size_t item_bytes, size_t capacity);
static inline void *report_array_at(const report_array *array, size_t index)
{
    return array->items + index * array->item_bytes;
}
void report_array_drop(report_array *array);
/* In place, without memory of its own; not stable. */
void report_array_sort(report_array *array, int (*compare)(const void *a, const void *b));

static inline int report_order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* ---- report_blocks.c ---- */

typedef struct report_block {
    uintptr_t start;
    uint64_t size_bytes; /* asked for where it is tracked, else usable */
    const rp_allocator *allocator;
    const rp_trace_record *record; /* null: untracked */
    uint32_t scope, site, stack;
    uint8_t zone;
    uint8_t live;  /* 0: in quarantine */
    uint8_t state; /* the report's own */
} report_block;

/* A tracked block of the zone as the reports see it. */
report_block report_block_of(rp_zone zone, const rp_trace_block *block);
/* Adds every block of the zone, tracked or not. While nobody allocates. */
void report_blocks_gather(report_array *blocks, rp_zone zone);
int report_block_by_address(const void *a, const void *b);

/* "/level/physics" and "solver.c:12 Body", or what is said where it is not known. */
void report_scope_member(report_out *out, rp_zone zone, uint32_t scope);
void report_site_member(report_out *out, rp_zone zone, uint32_t site);

/* ---- report_stacks.c ---- */

/* The code addresses of a report, each symbolised once. All zero: none. */
typedef struct report_symbols {
    report_array lines;
} report_symbols;

void report_symbols_add(report_symbols *symbols, rp_zone zone, uint32_t stack);
/* Once, after the last was added. */
void report_symbols_resolve(report_symbols *symbols);
void report_symbols_drop(report_symbols *symbols);
/* Text: a line for each frame, indented. JSON: an array "stack". */
void report_stack(report_out *out, const report_symbols *symbols, rp_zone zone, uint32_t stack);

#endif
