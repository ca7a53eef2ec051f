#include "malloc_cases.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COMPILED_FUNCTIONS = 120,
    SORTED_LINES = 500000,
    COMMITS = 1500,
    COMMITTED_LINES = 400,
    LINE_BYTES = 27
};

static char work[] = "/tmp/reprise-bench-XXXXXX";
static char compiler[256]; /* gcc's own, which the driver gcc starts: cc1 */

static _Noreturn void fail(const char *what, const char *do_what)
{
    fprintf(stderr, "bench_malloc: %s: %s\n", what, do_what);
    malloc_cases_close();
    exit(EXIT_FAILURE);
}

/* ---- running ---- */

static usage run_pattern(const bench_case *c, const char *preload)
{
    const char *argv[] = {BENCH_PATTERNS, c->name, NULL};
    return run_command(&(command){.argv = argv, .preload = preload, .output = "out"});
}

static usage run_python(const bench_case *c, const char *preload)
{
    static const char *const argv[] = {"/usr/bin/python3", BENCH_PROGRAMS "/work.py", NULL};
    const char *setting =
        strcmp(c->name, "python-malloc") == 0 ? "PYTHONMALLOC=malloc" : "PYTHONMALLOC=default";
    return run_command(
        &(command){.argv = argv, .preload = preload, .setting = setting, .output = "out"});
}

static usage run_lua(const bench_case *c, const char *preload)
{
    static const char *const argv[] = {"lua5.4", BENCH_PROGRAMS "/work.lua", NULL};
    (void)c;
    return run_command(&(command){.argv = argv, .preload = preload, .output = "out"});
}

static usage run_sqlite(const bench_case *c, const char *preload)
{
    static const char *const argv[] = {"sqlite3", "-init", "/dev/null", "-batch", ":memory:", NULL};
    (void)c;
    return run_command(&(command){
        .argv = argv, .preload = preload, .input = BENCH_PROGRAMS "/work.sql", .output = "out"});
}

static usage run_compiler(const bench_case *c, const char *preload)
{
    const char *argv[] = {compiler, "-quiet", "-O2", "compiled.c", "-o", "-", NULL};
    (void)c;
    return run_command(&(command){.argv = argv, .preload = preload, .output = "out"});
}

static usage run_git(const bench_case *c, const char *preload)
{
    static const char *const argv[] = {"git", "--git-dir=repository", "--no-pager", "log",
                                       "-p",  "--no-color",           "--stat",     NULL};
    (void)c;
    return run_command(&(command){.argv = argv,
                                  .preload = preload,
                                  .setting = "GIT_CONFIG_GLOBAL=/dev/null",
                                  .output = "out"});
}

static usage run_sort(const bench_case *c, const char *preload)
{
    static const char *const argv[] = {"sort", "--parallel=2", "lines", NULL};
    (void)c;
    return run_command(
        &(command){.argv = argv, .preload = preload, .setting = "LC_ALL=C.UTF-8", .output = "out"});
}

/* Patterns that the system, copying or clearing bounds cannot be far ahead: 1. */
const bench_case malloc_cases[] = {
    {"larson", true, 0.90, run_pattern},
    {"remote-free", true, 0.90, run_pattern},
    {"pairs", true, 0.90, run_pattern},
    {"stress", true, 0.90, run_pattern},
    {"churn-64", true, 0.90, run_pattern},
    {"churn-mixed", true, 0.90, run_pattern},
    {"trees", true, 0.90, run_pattern},
    {"large", true, 0.90, run_pattern},
    {"threads", true, 1.00, run_pattern},
    {"growth", true, 1.00, run_pattern},
    {"calloc", true, 1.00, run_pattern},
    {"phases", true, 1.00, run_pattern},
    {"python", false, 0, run_python},
    {"python-malloc", false, 0, run_python},
    {"lua", false, 0, run_lua},
    {"sqlite", false, 0, run_sqlite},
    {"gcc", false, 0, run_compiler},
    {"git", false, 0, run_git},
    {"sort", false, 0, run_sort},
    {"redis", false, 0, run_redis},
    {NULL, false, 0, NULL},
};

/* ---- inputs: made here, the same in every run ---- */

static uint32_t next_random(void)
{
    static uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static FILE *make_file(const char *name)
{
    FILE *file = fopen(name, "w");
    if (!file) {
        fail(name, "the file cannot be written: look at the room in /tmp");
    }
    return file;
}

static void make_compiled(void)
{
    FILE *f = make_file("compiled.c");
    fprintf(f, "typedef struct item { struct item *next; int kind; double at[4]; } item;\n");
    for (int i = 0; i < COMPILED_FUNCTIONS; i++) {
        fprintf(f,
                "int f%d(item *list, int n)\n{\n    int sum = %d;\n"
                "    for (item *i = list; i; i = i->next) {\n        switch (i->kind %% %d) {\n"
                "        case 0: sum += n * %d; break;\n        case 1: i->at[%d] *= 1.5; break;\n"
                "        case 2: sum ^= (int)i->at[n & 3]; break;\n"
                "        default: for (int k = 0; k < n; k++) i->at[k & 3] += k * sum; }\n    }\n",
                i, i * 3, i % 7 + 3, i, i % 4);
        fprintf(f,
                i > 0 ? "    return n > %d ? f%d(list, n - 1) : sum;\n}\n" : "    return sum;\n}\n",
                i % 50, i - 1);
    }
    fclose(f);
}

static void make_lines(void)
{
    FILE *f = make_file("lines");
    for (int i = 0; i < SORTED_LINES; i++) {
        fprintf(f, "%08x %.*s\n", next_random(), (int)(next_random() % 40),
                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    }
    fclose(f);
}

/* A stream for git fast-import: each commit changes some lines of one file. */
static void make_history(void)
{
    static int lines[COMMITTED_LINES];
    FILE *f = make_file("history");
    for (int i = 0; i < COMMITS; i++) {
        for (int k = 0; k < COMMITTED_LINES / 20; k++) {
            lines[next_random() % COMMITTED_LINES] = i;
        }
        fprintf(f, "commit refs/heads/master\ncommitter bench <bench> %d +0000\ndata 8\nchange\n\n",
                1000000000 + i);
        fprintf(f, "M 644 inline file%d.c\ndata %d\n", i % 9, COMMITTED_LINES * LINE_BYTES);
        for (int k = 0; k < COMMITTED_LINES; k++) {
            fprintf(f, "line %6d of %6d ....\n", k, lines[k]);
        }
    }
    fclose(f);
}

static void shell(const char *text, const char *do_what)
{
    if (system(text) != 0) {
        fail(text, do_what);
    }
}

static void find_compiler(void)
{
    shell("gcc -print-prog-name=cc1 > compiler", "gcc is missing: install the package gcc");
    FILE *f = fopen("compiler", "r");
    if (!f || !fgets(compiler, sizeof compiler, f)) {
        fail("cc1", "gcc does not know it: install the package gcc");
    }
    fclose(f);
    compiler[strcspn(compiler, "\n")] = '\0';
}

/* Only calls that a handler may make. */
static void remove_and_end(int signal_number)
{
    if (fork() == 0) {
        execlp("rm", "rm", "-rf", work, (char *)NULL);
    }
    _exit(128 + signal_number);
}

void malloc_cases_open(void)
{
    if (!mkdtemp(work) || chdir(work) != 0) {
        fprintf(stderr, "bench_malloc: %s: the folder cannot be made\n", work);
        exit(EXIT_FAILURE);
    }
    signal(SIGINT, remove_and_end);
    signal(SIGTERM, remove_and_end);
    signal(SIGHUP, remove_and_end);
}

void malloc_cases_prepare(void)
{
    make_compiled();
    make_lines();
    make_history();
    find_compiler();
    shell("git init -q --bare repository && git --git-dir=repository symbolic-ref HEAD "
          "refs/heads/master && git --git-dir=repository fast-import --quiet < history",
          "the repository cannot be made: install the package git");
}

void malloc_cases_close(void)
{
    char remove[64];
    snprintf(remove, sizeof remove, "rm -rf %s", work);
    if (chdir("/") != 0 || system(remove) != 0) {
        fprintf(stderr, "bench_malloc: %s: could not be removed\n", work);
    }
}
