/* Runs a piece of a test in a child process and says how it ended and what it wrote to standard
 * error.
 *
 *     child_end end = child_run(touch, page);
 *     ck_assert_int_eq(end.signal, SIGSEGV);
 */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include "support/test.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct child_end {
    int signal; /* that it ended by; 0: it exited */
    int exit_code;
    char error_text[4096];
} child_end;

/* Sanitizers catch the signals that a child is to end by. */
static inline void child_default_signals(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], SIG_DFL);
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/* The child exits with what `body` returns. */
static inline child_end child_run(int (*body)(void *context), void *context)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        child_default_signals();
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(body(context));
    }
    close(ends[1]);
    child_end end = {0};
    size_t length = 0;
    ssize_t got;
    while (length + 1 < sizeof end.error_text &&
           (got = read(ends[0], end.error_text + length, sizeof end.error_text - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return end;
}

#endif
