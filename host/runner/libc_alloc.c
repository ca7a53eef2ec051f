/* Functions of the C library that allocate for their caller.
 *
 * What the C library allocates for itself (fopen, opendir, locales) must survive a restore; what it
 * hands to the program is the program's state. Both come from the same malloc calls inside libc, so
 * the entry point tells them apart: these functions run with the heap of their own caller.
 */
/* With optimisation the header defines getline as inline, which clang does not let us replace. */
#define getline getline_of_the_header
#include <stdio.h>
#undef getline

#include "interpose.h"
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <regex.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static int zone_of(const void *caller)
{
    return runner_is_world(caller) ? RP_ZONE_WORLD : RP_ZONE_KEEP;
}

/* Runs `expression` with allocations in the caller's heap. `before` is only seen inside the macro.
 */
#define FOR_CALLER(expression)                               \
    do {                                                     \
        int before_ = runner_heap_override(zone_of(CALLER)); \
        expression;                                          \
        runner_heap_override(before_);                       \
    } while (0)

static char *copied(const void *caller, const char *text, size_t length)
{
    rp_allocator *heap = runner_heap_for(caller);
    char *copy = heap ? rp_alloc(heap, length + 1) : NULL;
    if (!copy) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

#undef strdup
#undef strndup
EXPORT char *strdup(const char *text)
{
    return copied(CALLER, text, strlen(text));
}

EXPORT char *__strdup(const char *text);
EXPORT char *__strdup(const char *text)
{
    return copied(CALLER, text, strlen(text));
}

EXPORT char *strndup(const char *text, size_t limit)
{
    return copied(CALLER, text, strnlen(text, limit));
}

EXPORT char *__strndup(const char *text, size_t limit);
EXPORT char *__strndup(const char *text, size_t limit)
{
    return copied(CALLER, text, strnlen(text, limit));
}

EXPORT wchar_t *wcsdup(const wchar_t *text)
{
    size_t bytes = (wcslen(text) + 1) * sizeof *text;
    rp_allocator *heap = runner_heap_for(CALLER);
    wchar_t *copy = heap ? rp_alloc(heap, bytes) : NULL;
    return copy ? memcpy(copy, text, bytes) : NULL;
}

EXPORT int vasprintf(char **text, const char *format, va_list arguments)
{
    int result;
    REAL(vasprintf);
    FOR_CALLER(result = real(text, format, arguments));
    return result;
}

static int printed(int zone, char **text, const char *format, va_list arguments)
{
    REAL(vasprintf);
    int before = runner_heap_override(zone);
    int result = real(text, format, arguments);
    runner_heap_override(before);
    return result;
}

EXPORT int asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = printed(zone_of(CALLER), text, format, arguments);
    va_end(arguments);
    return result;
}

/* What _FORTIFY_SOURCE turns the two into. */
EXPORT int __asprintf_chk(char **text, int flag, const char *format, ...);
EXPORT int __asprintf_chk(char **text, int flag, const char *format, ...)
{
    (void)flag;
    va_list arguments;
    va_start(arguments, format);
    int result = printed(zone_of(CALLER), text, format, arguments);
    va_end(arguments);
    return result;
}

EXPORT int __vasprintf_chk(char **text, int flag, const char *format, va_list arguments);
EXPORT int __vasprintf_chk(char **text, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return printed(zone_of(CALLER), text, format, arguments);
}

EXPORT ssize_t getdelim(char **line, size_t *capacity, int delimiter, FILE *file)
{
    ssize_t result;
    REAL(getdelim);
    FOR_CALLER(result = real(line, capacity, delimiter, file));
    return result;
}

EXPORT ssize_t __getdelim(char **line, size_t *capacity, int delimiter, FILE *file)
{
    ssize_t result;
    REAL(__getdelim);
    FOR_CALLER(result = real(line, capacity, delimiter, file));
    return result;
}

EXPORT ssize_t getline(char **line, size_t *capacity, FILE *file);
EXPORT ssize_t getline(char **line, size_t *capacity, FILE *file)
{
    ssize_t result;
    REAL(getline);
    FOR_CALLER(result = real(line, capacity, file));
    return result;
}

EXPORT char *realpath(const char *path, char *resolved)
{
    char *result;
    REAL(realpath);
    FOR_CALLER(result = real(path, resolved));
    return result;
}

EXPORT char *canonicalize_file_name(const char *path)
{
    char *result;
    REAL(canonicalize_file_name);
    FOR_CALLER(result = real(path));
    return result;
}

EXPORT char *getcwd(char *path, size_t capacity)
{
    char *result;
    REAL(getcwd);
    runner_will_write(path, path ? capacity : 0);
    FOR_CALLER(result = real(path, capacity));
    return result;
}

EXPORT char *get_current_dir_name(void)
{
    char *result;
    REAL(get_current_dir_name);
    FOR_CALLER(result = real());
    return result;
}

EXPORT FILE *open_memstream(char **text, size_t *size_bytes)
{
    FILE *result;
    REAL(open_memstream);
    FOR_CALLER(result = real(text, size_bytes));
    return result;
}

EXPORT int scandir(const char *path, struct dirent ***names, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **))
{
    int result;
    REAL(scandir);
    FOR_CALLER(result = real(path, names, filter, compare));
    return result;
}

EXPORT int glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *found)
{
    int result;
    REAL(glob);
    FOR_CALLER(result = real(pattern, flags, failed, found));
    return result;
}

EXPORT int regcomp(regex_t *compiled, const char *pattern, int flags)
{
    int result;
    REAL(regcomp);
    FOR_CALLER(result = real(compiled, pattern, flags));
    return result;
}

/* Matching builds further states of the automaton, which belong to the compiled expression. */
EXPORT int runner_regexec(const regex_t *compiled, const char *text, size_t count,
                          regmatch_t *matches, int flags) __asm__("regexec");
EXPORT int runner_regexec(const regex_t *compiled, const char *text, size_t count,
                          regmatch_t *matches, int flags)
{
    int result;
    REAL(regexec);
    FOR_CALLER(result = real(compiled, text, count, matches, flags));
    return result;
}

EXPORT void *tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
    void *result;
    REAL(tsearch);
    FOR_CALLER(result = real(key, root, compare));
    return result;
}

EXPORT int hcreate_r(size_t count, struct hsearch_data *table)
{
    int result;
    REAL(hcreate_r);
    FOR_CALLER(result = real(count, table));
    return result;
}
