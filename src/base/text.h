/* Building text in the caller's memory, always terminated, cut at its capacity.
 *
 * Layer: base.
 */
#ifndef RP_BASE_TEXT_H
#define RP_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rp_text_buffer {
    char *text;
    size_t capacity, length;
} rp_text_buffer;

static inline rp_text_buffer rp_text_buffer_over(char *text, size_t capacity)
{
    if (capacity) {
        text[0] = 0;
    }
    return (rp_text_buffer){text, capacity, 0};
}

__attribute__((format(printf, 2, 3))) void rp_text_add(rp_text_buffer *buffer, const char *format,
                                                       ...);
void rp_text_add_v(rp_text_buffer *buffer, const char *format, va_list arguments);
/* "1.5 MiB", "312 B" */
void rp_text_add_bytes(rp_text_buffer *buffer, uint64_t size_bytes);
/* Copies `from` whole or cut, terminated. Returns whether it fitted. */
int rp_text_copy(char *to, size_t capacity, const char *from);
/* '*' matches any run, '?' one character. */
int rp_text_matches(const char *pattern, const char *text);

#endif
