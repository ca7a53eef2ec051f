/* Files that the command carries inside itself; the tables are made by tools/embed.sh.
 *
 * Layer: host.
 */
#ifndef HOST_EMBED_H
#define HOST_EMBED_H

#include <stddef.h>

typedef struct embed_file {
    const char *name;
    const unsigned char *bytes; /* a zero follows the last one */
    size_t size_bytes;
} embed_file;

/* What `reprise new` writes: host/new/. */
extern const embed_file new_files[];
extern const int new_files_count;

/* What `reprise gdb` runs inside gdb: host/gdb/. */
extern const embed_file gdb_files[];
extern const int gdb_files_count;

#endif
