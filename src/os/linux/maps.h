/* /proc/self/maps and other small texts of the kernel's, read line by line without a heap; for this
 * folder.
 *
 * Layer: os.  Threads: any.
 */
#ifndef RP_OS_LINUX_MAPS_H
#define RP_OS_LINUX_MAPS_H

#include "os/os.h"

/* A path is at most 4096 bytes; the fields before it take less than 80. */
enum { RP_OS_LINE_BYTES = 4096 + 256 };

typedef struct rp_os_lines {
    int fd;
    size_t start, end;
    char bytes[RP_OS_LINE_BYTES];
} rp_os_lines;

bool rp_os_lines_open(rp_os_lines *reader, const char *path);
void rp_os_lines_close(rp_os_lines *reader);
/* The next line, terminated, without its newline; null at the end. */
char *rp_os_lines_next(rp_os_lines *reader);

/* The mapping that holds the address. False: none does, or the file cannot be read. */
bool rp_os_maps_find(const void *address, rp_os_extent *mapping);

#endif
