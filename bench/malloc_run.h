/* Runs a program under an allocator, and says what it cost: for bench_malloc.
 *
 * The driver that calls this stays small: what a process held when it started another one counts
 * as that one's peak too.
 */
#ifndef BENCH_MALLOC_RUN_H
#define BENCH_MALLOC_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct usage {
    uint64_t cpu_ns;   /* user and system, of the program and all of its threads */
    uint64_t peak_kib; /* resident */
    uint64_t output_hash;
    bool good; /* it ended with 0 */
} usage;

typedef struct command {
    const char *const *argv; /* a null behind the last; argv[0] is looked for in PATH */
    const char *preload;     /* null: none */
    const char *setting;     /* NAME=value in its environment, or null */
    const char *input;       /* file of its standard input; null: /dev/null */
    const char *output;      /* file that gets its standard output */
} command;

/* -1 where no process could be started. */
pid_t run_start(const command *c);
/* Waits for its end; `output` is read for the hash. */
usage run_finish(pid_t process, const char *output);
usage run_command(const command *c);

#endif
