/* What file.c and stream.c share: names beside a file, its directory, and telling of failures.
 *
 * Layer: os (internal).
 */
#ifndef RP_OS_LINUX_FILE_NAMES_H
#define RP_OS_LINUX_FILE_NAMES_H

#include <reprise/status.h>
#include <stdbool.h>

/* "path: what: the system's text"; RP_E_NOT_FOUND for what is not there, else RP_E_SYSTEM. */
rp_status rp_os_fail_on_file(int system_code, const char *what, const char *path);
/* A template for mkstemp in the same directory, in PATH_MAX bytes; false: too long. */
bool rp_os_name_beside(const char *path, char *beside);
/* A rename is lasting only once the directory that holds the name is on the disk. */
rp_status rp_os_sync_directory_of(const char *path);

#endif
