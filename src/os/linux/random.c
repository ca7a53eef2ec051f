/* The system's randomness. */
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/os.h"

#include <errno.h>
#include <sys/random.h>

rp_status rp_os_random(void *bytes, size_t size_bytes)
{
    uint8_t *to = bytes;
    while (size_bytes) {
        ssize_t got = RP_OS_CALL(getrandom(to, size_bytes, 0));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rp_fail_system(RP_E_SYSTEM, errno, "random bytes: the system gave none");
        }
        to += got;
        size_bytes -= (size_t)got;
    }
    return RP_OK;
}
