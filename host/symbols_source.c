/* Reading one line of a file that somebody else named. */
#include "symbols_source.h"

#include "base/bits.h"
#include "base/text.h"
#include "os/os.h"

#include <string.h>

#define SOURCE_MAX_BYTES RP_MIB(16)

static const char *find_line(const char *text, const char *end, int number)
{
    for (; number > 1 && text; number--) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        text = newline ? newline + 1 : NULL;
    }
    return text;
}

static bool is_blank(char c)
{
    return c >= 0 && c <= ' ';
}

static void copy_trimmed(const char *line, const char *end, char *text, size_t capacity)
{
    while (line < end && is_blank(*line)) {
        line++;
    }
    while (end > line && is_blank(end[-1])) {
        end--;
    }
    size_t length = rp_min_size((size_t)(end - line), capacity - 1);
    for (size_t i = 0; i < length; i++) {
        /* A terminal would obey them. */
        text[i] = is_blank(line[i]) || line[i] == 0x7f ? ' ' : line[i];
    }
    text[length] = 0;
}

void symbols_source_line(const char *path, int number, char *text, size_t capacity)
{
    rp_os_bytes bytes;
    text[0] = 0;
    if (number < 1 || rp_os_file_read(path, SOURCE_MAX_BYTES, &bytes) != RP_OK) {
        return;
    }
    const char *start = (const char *)bytes.data, *end = start + bytes.size_bytes;
    const char *line = find_line(start, end, number);
    if (line) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        copy_trimmed(line, newline ? newline : end, text, capacity);
    }
    rp_os_file_free(&bytes);
}
