/* Standard error, without stdio. */
#include "base/text.h"
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

void rp_os_error_line(const char *format, va_list arguments)
{
    char text[512];
    rp_text_buffer line = rp_text_buffer_over(text, sizeof text - 1);
    rp_text_add(&line, "reprise: ");
    rp_text_add_v(&line, format, arguments);
    text[line.length++] = '\n';
    rp_os_error_write(text, line.length);
}
