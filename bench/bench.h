/* What every benchmark does: take samples, print the median beside its target.
 *
 *     bench_open(argc, argv);
 *     if (bench_wants("S1")) { … bench_add(&samples, ns) … bench_print(&result); }
 *     return bench_done();
 *
 * Arguments: --json for one object a line, and the ids to run; none: all. The peer or the limit is
 * measured in the same run, interleaved with what is measured, and the result is the ratio of
 * medians. The spread is the distance between the quartiles over the median.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BENCH_SAMPLES_MOST = 4096 };
#define BENCH_SPREAD_WIDE 0.10 /* above it, the result says so */

typedef struct bench_samples {
    double us[BENCH_SAMPLES_MOST];
    size_t count;
} bench_samples;

typedef struct bench_result {
    const char *id, *what;
    const char *unit;          /* "ratio", "us", "ns" */
    double value, target;      /* target 0: none, for information */
    double median_us, peer_us; /* 0: none */
    double spread;
    const char *note; /* null: none */
} bench_result;

static struct {
    int argc;
    char **argv;
    bool json;
    int missed;
} bench;

static inline void bench_open(int argc, char **argv)
{
    bench.argc = argc;
    bench.argv = argv;
    for (int i = 1; i < argc; i++) {
        bench.json = bench.json || strcmp(argv[i], "--json") == 0;
    }
}

static inline bool bench_wants(const char *id)
{
    bool any = false, named = false;
    for (int i = 1; i < bench.argc; i++) {
        if (bench.argv[i][0] != '-') {
            any = true;
            named = named || strcmp(bench.argv[i], id) == 0;
        }
    }
    return named || !any;
}

static inline uint64_t bench_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of this thread: what other programs do on the machine does not count. */
static inline uint64_t bench_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void bench_add(bench_samples *samples, uint64_t ns)
{
    if (samples->count < BENCH_SAMPLES_MOST) {
        samples->us[samples->count++] = (double)ns / 1000.0;
    }
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples; `part` 0.5 is the median. */
static inline double bench_quantile(bench_samples *samples, double part)
{
    if (samples->count == 0) {
        return 0;
    }
    qsort(samples->us, samples->count, sizeof samples->us[0], bench_compare);
    return samples->us[(size_t)(part * (double)(samples->count - 1))];
}

static inline double bench_median(bench_samples *samples)
{
    return bench_quantile(samples, 0.5);
}

static inline double bench_spread(bench_samples *samples)
{
    double median = bench_median(samples);
    return median > 0 ? (bench_quantile(samples, 0.75) - bench_quantile(samples, 0.25)) / median
                      : 0;
}

static inline void bench_print(const bench_result *r)
{
    bool good = r->target <= 0 || r->value <= r->target;
    const char *note = r->note ? r->note : "";
    bench.missed += !good;
    if (bench.json) {
        printf("{\"id\":\"%s\",\"case\":\"%s\",\"value\":%.3g,\"target\":%.3g,\"unit\":\"%s\","
               "\"ok\":%s,\"median_us\":%.2f,\"peer_us\":%.2f,\"spread\":%.2f,\"note\":\"%s\"}\n",
               r->id, r->what, r->value, r->target, r->unit, good ? "true" : "false", r->median_us,
               r->peer_us, r->spread, note);
    } else {
        printf("%-4s %-18s %8.2f %-5s  target %6.2f  %-6s", r->id, r->what, r->value, r->unit,
               r->target,
               r->target <= 0 ? "-"
               : good         ? "ok"
                              : "MISSED");
        if (r->median_us > 0) {
            printf(" (%.1f us, peer %.1f us)", r->median_us, r->peer_us);
        }
        printf(" spread %.0f %%%s  %s\n", r->spread * 100,
               r->spread > BENCH_SPREAD_WIDE ? ", wide" : "", note);
    }
    fflush(stdout);
}

/* The exit code: targets that were missed do not fail the program, errors do. */
static inline int bench_done(void)
{
    return EXIT_SUCCESS;
}

#endif
