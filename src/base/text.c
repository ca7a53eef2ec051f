#include "base/text.h"

#include <stdio.h>
#include <string.h>

void rp_text_add_v(rp_text_buffer *buffer, const char *format, va_list arguments)
{
    if (buffer->length + 1 >= buffer->capacity) {
        return;
    }
    size_t room = buffer->capacity - buffer->length;
    int wrote = vsnprintf(buffer->text + buffer->length, room, format, arguments);
    if (wrote > 0) {
        buffer->length += (size_t)wrote < room ? (size_t)wrote : room - 1;
    }
}

void rp_text_add(rp_text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rp_text_add_v(buffer, format, arguments);
    va_end(arguments);
}

void rp_text_add_bytes(rp_text_buffer *buffer, uint64_t size_bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (size_bytes < 1024) {
        rp_text_add(buffer, "%llu B", (unsigned long long)size_bytes);
        return;
    }
    double value = (double)size_bytes / 1024.0;
    size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024.0;
        unit++;
    }
    rp_text_add(buffer, value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

int rp_text_copy(char *to, size_t capacity, const char *from)
{
    size_t length = strlen(from);
    if (!capacity) {
        return 0;
    }
    size_t kept = length < capacity ? length : capacity - 1;
    memcpy(to, from, kept);
    to[kept] = 0;
    return kept == length;
}

int rp_text_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return 0;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}
