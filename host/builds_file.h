/* Questions about the files of a build. A part of builds.c.
 *
 * Layer: host.
 */
#ifndef HOST_BUILDS_FILE_H
#define HOST_BUILDS_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether somebody has the file open for writing. False where the system cannot tell. */
bool builds_file_has_writer(const char *path);
/* XXH3-64 of the content; 0: cannot be read. */
uint64_t builds_file_hash(const char *path);
/* Whether a file of this name is a source that starts the build command. */
bool builds_file_is_source(const char *name);

#endif
