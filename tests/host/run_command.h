/* Runs a command of the host as its own process, in a folder of the test's own. */
#ifndef TESTS_HOST_RUN_COMMAND_H
#define TESTS_HOST_RUN_COMMAND_H

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[262144], errors[8192];
static char directory[64];

static inline void read_file(const char *path, char *text, size_t capacity)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, capacity - 1, file)] = 0;
    fclose(file);
}

static inline void enter_folder(void)
{
    strcpy(directory, "/tmp/reprise-takes-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static inline void leave(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

/* Words are separated by spaces. Its output is in `output` and `errors` afterwards; returns its
 * exit code. */
static inline int run(int (*command)(int, char **), const char *line)
{
    char words[512], *argv[16] = {0};
    int argc = 0, ended;
    strcpy(words, line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    pid_t child = fork();
    if (child == 0) {
        ck_assert_int_ge(dup2(open("out", O_CREAT | O_TRUNC | O_WRONLY, 0600), 1), 0);
        ck_assert_int_ge(dup2(open("err", O_CREAT | O_TRUNC | O_WRONLY, 0600), 2), 0);
        int code = command(argc, argv);
        fflush(stdout);
        _exit(code);
    }
    ck_assert_int_eq(waitpid(child, &ended, 0), child);
    ck_assert(WIFEXITED(ended));
    read_file("out", output, sizeof output);
    read_file("err", errors, sizeof errors);
    return WEXITSTATUS(ended);
}

static inline void expect_in(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

#endif
