/* From code addresses to "function (file.c:12)", for the leak report and the reports of errors.
 *
 *     this process ── objects and offsets ──► reprise-symbols (libdwfl) ── lines ──► this process
 *
 * The debug information is read by a process of its own, so that a report takes nothing from the
 * heap that it is about. It is found by $REPRISE_SYMBOLS, beside this library, or where it is
 * installed; where it cannot be started, or gives no answer in time, the line is
 * "object+0xoffset".
 *
 * Layer: preload.  Threads: any, one at a time.  Tests: tests/host/test_symbolise.c
 */
#ifndef PRELOAD_SYMBOLISE_H
#define PRELOAD_SYMBOLISE_H

#include <stddef.h>
#include <stdint.h>

enum { SYMBOLISE_LINE_BYTES = 320, SYMBOLISE_MOST = 4096 };

typedef void symbolise_line(void *context, size_t index, const char *text);

/* Calls `line` for each address in order, with a text that lives for the call. The addresses are
 * return addresses, as stacks have them: the place named is that of the call. At most
 * SYMBOLISE_MOST of them; the rest get no call. Takes nothing from the heap and never fails. Blocks
 * for as long as the other process reads debug information, at most 20 seconds. Not for signal
 * handlers of a process whose threads still run. */
void malloc_symbolise(const uintptr_t *addresses, size_t count, symbolise_line *line,
                      void *context);

#endif
