/* Symbols for a process that must not read debug information itself: through reprise-symbols, and
 * without it. */
#include "preload/symbolise.h"

#include "base/bits.h"
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MOST = 8 };

static char lines[LINES_MOST][SYMBOLISE_LINE_BYTES];
static size_t line_count;
static char directory[64];

static void keep_line(void *context, size_t index, const char *text)
{
    ck_assert_ptr_eq(context, lines);
    ck_assert_uint_eq(index, line_count);
    ck_assert_uint_lt(index, LINES_MOST);
    snprintf(lines[line_count++], sizeof lines[0], "%s", text);
}

static const char *symbolised(uintptr_t address)
{
    line_count = 0;
    malloc_symbolise(&address, 1, keep_line, lines);
    ck_assert_uint_eq(line_count, 1);
    return lines[0];
}

__attribute__((noinline)) static int known_function(volatile int *x)
{
    *x += 1;
    return *x + 2;
}

static uintptr_t inside(int (*function)(volatile int *))
{
    return (uintptr_t)function + 8;
}

/* A resolver that is a shell script of ours. */
static void use_script(const char *body)
{
    char path[96];
    snprintf(directory, sizeof directory, "/tmp/reprise-symbolise-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/resolver", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\n%s\n", body);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    setenv("REPRISE_SYMBOLS", path, 1);
}

static void drop_script(void)
{
    ck_assert_int_eq(unlink(getenv("REPRISE_SYMBOLS")), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

static int no_children_left(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

TEST(a_function_has_its_name_file_and_line)
{
    setenv("REPRISE_SYMBOLS", RESOLVER, 1);
    const char *text = symbolised(inside(known_function));
    ck_assert_msg(strncmp(text, "known_function (test_symbolise.c:", 33) == 0, "%s", text);
    ck_assert(no_children_left());
}

TEST(many_addresses_come_back_in_order)
{
    setenv("REPRISE_SYMBOLS", RESOLVER, 1);
    uintptr_t addresses[] = {inside(known_function), 0x10, (uintptr_t)&line_count,
                             inside(known_function)};
    malloc_symbolise(addresses, RP_COUNT_OF(addresses), keep_line, lines);
    ck_assert_uint_eq(line_count, RP_COUNT_OF(addresses));
    ck_assert_str_eq(lines[0], lines[3]);
    ck_assert_str_eq(lines[1], "0x10");
    ck_assert_uint_gt(strlen(lines[2]), 0); /* no code: whatever stands there */
}

static void check_plain(void)
{
    const char *text = symbolised(inside(known_function));
    ck_assert_msg(strncmp(text, "host_symbolise+0x", 17) == 0, "%s", text);
    ck_assert(no_children_left());
}

TEST(without_a_resolver_the_object_and_the_offset_are_named)
{
    setenv("REPRISE_SYMBOLS", "/nonexistent/resolver", 1);
    check_plain();
}

TEST(a_resolver_that_ends_at_once_is_done_without)
{
    setenv("REPRISE_SYMBOLS", "/bin/false", 1);
    check_plain();
}

TEST(a_resolver_that_says_nothing_and_ends_is_done_without)
{
    use_script("exec sleep 0.3");
    check_plain();
    drop_script();
}

TEST(a_resolver_that_is_no_program_is_done_without)
{
    use_script("");
    ck_assert_int_eq(truncate(getenv("REPRISE_SYMBOLS"), 1), 0);
    check_plain();
    drop_script();
}

TEST(an_answer_that_is_too_long_is_cut)
{
    use_script("read line; head -c 100000 /dev/zero | tr '\\0' x; echo; read line");
    ck_assert_uint_eq(strlen(symbolised(inside(known_function))), SYMBOLISE_LINE_BYTES - 1);
    drop_script();
}

TEST(the_other_process_is_not_preloaded)
{
    use_script("while read line; do echo \"with [$LD_PRELOAD] [$REPRISE_DEBUG] [$KEPT]\"; done");
    setenv("LD_PRELOAD", "/nonexistent.so", 1);
    setenv("REPRISE_DEBUG", "*=canary", 1);
    setenv("KEPT", "yes", 1);
    ck_assert_str_eq(symbolised(inside(known_function)), "with [] [] [yes]");
    unsetenv("LD_PRELOAD");
    drop_script();
}

TEST(nothing_is_taken_from_the_heap_and_errno_stays)
{
    setenv("REPRISE_SYMBOLS", RESOLVER, 1);
    symbolised(inside(known_function));
    struct mallinfo2 before = mallinfo2();
    errno = 71;
    symbolised(inside(known_function));
    ck_assert_int_eq(errno, 71);
    ck_assert_uint_eq(mallinfo2().uordblks, before.uordblks);
}

static void note_signal(int number)
{
    (void)number;
    abort();
}

TEST(a_closed_pipe_raises_no_signal)
{
    signal(SIGPIPE, note_signal);
    setenv("REPRISE_SYMBOLS", "/bin/true", 1);
    check_plain();
}
