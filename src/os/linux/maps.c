/* Who uses a range of addresses: /proc/self/maps, read without a heap. */
#include "os/linux/maps.h"
#include "base/bits.h"
#include "base/text.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Refills when no whole line is left. False at the end of the file. */
static bool fill(rp_os_lines *reader)
{
    memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
    ssize_t got;
    do {
        got = read(reader->fd, reader->bytes + reader->end, sizeof reader->bytes - reader->end);
    } while (got < 0 && errno == EINTR);
    reader->end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

bool rp_os_lines_open(rp_os_lines *reader, const char *path)
{
    reader->start = 0;
    reader->end = 0;
    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    return reader->fd >= 0;
}

void rp_os_lines_close(rp_os_lines *reader)
{
    close(reader->fd);
}

char *rp_os_lines_next(rp_os_lines *reader)
{
    for (;;) {
        char *line = reader->bytes + reader->start;
        char *newline = memchr(line, '\n', reader->end - reader->start);
        if (newline) {
            *newline = 0;
            reader->start = (size_t)(newline - reader->bytes) + 1;
            return line;
        }
        if (!fill(reader)) {
            return NULL;
        }
    }
}

/* There in a process that runs under the sanitizer. Looking them up by dlsym would allocate, and
 * the process may be one whose malloc is not open yet. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));

/* Null where the process runs under none. */
static const char *sanitizer_of_process(void)
{
    return __asan_init   ? "shadow memory of AddressSanitizer"
           : __tsan_init ? "shadow memory of ThreadSanitizer"
           : __msan_init ? "shadow memory of MemorySanitizer"
                         : NULL;
}

const char *rp_os_mapping_owner(const char *name, uint64_t size_bytes, const char *sanitizer)
{
    if (strcmp(name, "[stack]") == 0) {
        return "the main thread's stack";
    }
    if (strcmp(name, "[heap]") == 0) {
        return "the brk heap";
    }
    if (strncmp(name, "/memfd:", 7) == 0 || strncmp(name, "/dev/zero", 9) == 0) {
        return "shared memory";
    }
    if (name[0] == '/') {
        return "a mapped program, library or file";
    }
    if (name[0] == '[' && strncmp(name, "[anon", 5) != 0) {
        return "the kernel";
    }
    return sanitizer && size_bytes >= RP_GIB(1) ? sanitizer : "anonymous memory";
}

static bool describe_line(const char *line, uint64_t from, uint64_t to, rp_text_buffer *text)
{
    unsigned long long start, end;
    char permissions[5];
    int name_at = 0;
    if (sscanf(line, "%llx-%llx %4s %*s %*s %*s %n", &start, &end, permissions, &name_at) < 3 ||
        end <= from || start >= to) {
        return false;
    }
    const char *name = line + name_at;
    rp_text_add(text, "%llx-%llx %s %s%s(%s)\n", start, end, permissions, name, *name ? " " : "",
                rp_os_mapping_owner(name, end - start, sanitizer_of_process()));
    return true;
}

size_t rp_os_vm_describe(const void *address, size_t size_bytes, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_os_lines reader;
    if (!rp_os_lines_open(&reader, "/proc/self/maps")) {
        return 0;
    }
    uint64_t from = (uintptr_t)address, to;
    if (__builtin_add_overflow(from, size_bytes, &to)) {
        to = UINT64_MAX;
    }
    size_t overlapping = 0;
    for (char *line; (line = rp_os_lines_next(&reader));) {
        overlapping += describe_line(line, from, to, &buffer);
    }
    rp_os_lines_close(&reader);
    return overlapping;
}

bool rp_os_maps_find(const void *address, rp_os_extent *mapping)
{
    rp_os_lines reader;
    if (!rp_os_lines_open(&reader, "/proc/self/maps")) {
        return false;
    }
    bool found = false;
    for (char *line; !found && (line = rp_os_lines_next(&reader));) {
        unsigned long long start, end;
        found = sscanf(line, "%llx-%llx", &start, &end) == 2 && (uintptr_t)address >= start &&
                (uintptr_t)address < end;
        if (found) {
            *mapping = (rp_os_extent){(uint8_t *)(uintptr_t)start, (size_t)(end - start)};
        }
    }
    rp_os_lines_close(&reader);
    return found;
}
