/* One line of a source file. A part of symbols.c.
 *
 * Layer: host.
 */
#ifndef HOST_SYMBOLS_SOURCE_H
#define HOST_SYMBOLS_SOURCE_H

#include <stddef.h>

/* Line `number` (from 1) without the space around it; control characters become spaces. "" when the
 * file is none, is not a regular one, or has no such line within its first 16 MiB. */
void symbols_source_line(const char *path, int number, char *text, size_t capacity);

#endif
