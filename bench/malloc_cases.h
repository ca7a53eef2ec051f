/* What bench_malloc runs under each allocator: our patterns, and real programs with their inputs.
 */
#ifndef BENCH_MALLOC_CASES_H
#define BENCH_MALLOC_CASES_H

#include "malloc_run.h"

typedef struct bench_case {
    const char *name;
    bool pattern;  /* false: a real program */
    double target; /* of CPU time over the fastest peer's; 0: none of its own */
    /* Runs it once in the work folder; the output must be equal under every allocator. */
    usage (*run)(const struct bench_case *c, const char *preload);
} bench_case;

extern const bench_case malloc_cases[]; /* the last one has no name */

/* Makes the work folder and goes there. Ends the program on an error, as the next does. */
void malloc_cases_open(void);
/* Makes the programs' inputs, the same in every run. */
void malloc_cases_prepare(void);
/* Removes it. */
void malloc_cases_close(void);

/* malloc_redis.c: the server's cost under redis-benchmark. */
usage run_redis(const bench_case *c, const char *preload);

#endif
