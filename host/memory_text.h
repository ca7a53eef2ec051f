/* Reports as the runner writes them, made readable: the addresses {@7f12…} become functions and
 * lines, what is of the runner itself is left out of stacks, long lines are folded.
 *
 * The text comes from the runner and may hold anything.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/host/test_memory_text.c
 */
#ifndef HOST_MEMORY_TEXT_H
#define HOST_MEMORY_TEXT_H

#include "link.h"

#include <jansson.h>

enum { MEMORY_TEXT_COLUMNS = 100 };

/* A new text, terminated, of the caller's; null: no memory. Reads debug information where there is
 * an address: tens of milliseconds. `columns`: lines are folded there; 0: they are not. */
char *memory_text_named(const char *text, const link_object *objects, int object_count,
                        int columns);
/* The same for a report as JSON: a new value of the caller's; null: it is no JSON. */
json_t *memory_json_named(const char *text, const link_object *objects, int object_count);

#endif
