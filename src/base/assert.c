#include "base/assert.h"
#include "base/text.h"

#include <stdlib.h>
#include <unistd.h>

_Noreturn void rp_assert_failed(const char *expression, const char *file, int line)
{
    char text[320];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add(&buffer, "reprise: assertion failed: %s (%s:%d)\n", expression, file, line);
    if (write(STDERR_FILENO, text, buffer.length) < 0) {
        /* nowhere to say it */
    }
    abort();
}
