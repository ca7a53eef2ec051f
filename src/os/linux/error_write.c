/* Standard error, without stdio. */
#include "os/os.h"

#include <errno.h>
#include <unistd.h>

void rp_os_error_write(const char *text, size_t length)
{
    int saved = errno;
    while (length) {
        ssize_t wrote = write(STDERR_FILENO, text, length);
        if (wrote < 0 && errno != EINTR) {
            break;
        }
        text += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
    errno = saved;
}
