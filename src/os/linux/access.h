/* The contract's protections as mmap's.
 *
 * Layer: os.
 */
#ifndef RP_OS_LINUX_ACCESS_H
#define RP_OS_LINUX_ACCESS_H

#include "os/os.h"

#include <sys/mman.h>

static inline int rp_os_access_bits(rp_os_protection protection)
{
    static const int bits[] = {
        [RP_OS_NONE] = PROT_NONE,
        [RP_OS_READ] = PROT_READ,
        [RP_OS_READ_WRITE] = PROT_READ | PROT_WRITE,
    };
    return bits[protection];
}

#endif
