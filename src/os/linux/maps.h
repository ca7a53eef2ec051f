/* Lines of /proc/self/maps, for this folder.
 *
 * Layer: os.  Threads: any.
 */
#ifndef RP_OS_LINUX_MAPS_H
#define RP_OS_LINUX_MAPS_H

#include "os/os.h"

/* The mapping that holds the address. False: none does, or the file cannot be read. */
bool rp_os_maps_find(const void *address, rp_os_extent *mapping);

#endif
