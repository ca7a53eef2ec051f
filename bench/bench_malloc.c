/* The malloc replacement beside the others: S12 and S13.
 *
 *   S12  CPU time over that of the fastest peer: each allocation pattern of ours, and the geometric
 *        mean of real programs
 *   S13  peak memory over glibc's: each of them, and the geometric mean of each group
 *
 *     bench_malloc [--json] [--rounds=N] [--only=CASE] [S12] [S13]
 *
 * Each case runs as a process of its own under each allocator by LD_PRELOAD; in each round the
 * allocators take turns, and each round begins with another one. What a case prints must be equal
 * under all of them. REPRISE_BENCH_MALLOC names another library than the one of this build.
 */
#include "bench.h"
#include "malloc_cases.h"

#include <math.h>
#include <unistd.h>

enum { OURS, GLIBC, MIMALLOC, JEMALLOC, TCMALLOC, ALLOCATORS, ROUNDS_LEAST = 1, ROUNDS = 5 };

typedef struct peer {
    const char *name, *library, *package;
} peer;

/* libc is preloaded too: some programs, such as redis, are linked to an allocator of their own. */
static peer peers[ALLOCATORS] = {
    {"reprise", BENCH_MALLOC, "this build: build the target reprise_malloc"},
    {"glibc", "libc.so.6", "libc6"},
    {"mimalloc", "libmimalloc.so.2", "libmimalloc2.0"},
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
};

typedef struct measured {
    bench_samples cpu[ALLOCATORS], peak[ALLOCATORS]; /* the peaks in KiB, where samples say ns */
} measured;

typedef struct ratio {
    double value, spread;
} ratio;

typedef struct mean {
    double logarithms, widest; /* spread of one of them */
    int count;
} mean;

static void mean_add(mean *m, ratio r)
{
    m->logarithms += log(r.value);
    m->widest = fmax(m->widest, r.spread);
    m->count++;
}

static double mean_value(const mean *m)
{
    return m->count > 0 ? exp(m->logarithms / m->count) : 0;
}

static void complain(const char *name, const char *allocator, const char *why)
{
    fprintf(stderr, "bench_malloc: %s under %s: %s\n", name, allocator, why);
}

/* ---- measuring ---- */

/* A library that cannot be preloaded is no error to the loader: it warns and goes on without. */
static void check_peers(void)
{
    static const char *const argv[] = {BENCH_PATTERNS, "--who", NULL};
    for (int i = 0; i < ALLOCATORS; i++) {
        const char *file = strrchr(peers[i].library, '/');
        char path[512] = "";
        usage u =
            run_command(&(command){.argv = argv, .preload = peers[i].library, .output = "who"});
        FILE *who = fopen("who", "r");
        bool read = who && fgets(path, sizeof path, who);
        if (who) {
            fclose(who);
        }
        if (!u.good || !read || !strstr(path, file ? file + 1 : peers[i].library)) {
            char why[256];
            snprintf(why, sizeof why, "%s does not provide malloc: install %s", peers[i].library,
                     peers[i].package);
            complain("malloc", peers[i].name, why);
            malloc_cases_close();
            exit(EXIT_FAILURE);
        }
    }
}

/* False where it ended with an error somewhere, or printed different things. */
static bool measure(const bench_case *c, int rounds, measured *m)
{
    uint64_t hash = 0;
    memset(m, 0, sizeof *m);
    for (int round = 0; round < rounds; round++) {
        for (int turn = 0; turn < ALLOCATORS; turn++) {
            int which = (round + turn) % ALLOCATORS;
            usage u = c->run(c, peers[which].library);
            if (!u.good) {
                complain(c->name, peers[which].name, "ended with an error");
                return false;
            }
            if (hash != 0 && u.output_hash != hash) {
                complain(c->name, peers[which].name, "printed something else than before");
                return false;
            }
            hash = u.output_hash;
            bench_add(&m->cpu[which], u.cpu_ns);
            bench_add(&m->peak[which], u.peak_kib * 1000);
        }
    }
    return true;
}

/* ---- reporting ---- */

static int fastest_peer(measured *m)
{
    int best = GLIBC;
    for (int i = GLIBC; i < ALLOCATORS; i++) {
        if (bench_median(&m->cpu[i]) < bench_median(&m->cpu[best])) {
            best = i;
        }
    }
    return best;
}

/* "0.31 s; glibc 1.20, mimalloc 1.00 …": ours, and each peer over `base`. */
static void note_peers(bench_samples *samples, double base, bool cpu, char *note, size_t capacity)
{
    double ours = bench_median(&samples[OURS]);
    size_t length = (size_t)snprintf(note, capacity, cpu ? "%.3f s; " : "%.1f MiB; ",
                                     cpu ? ours / 1e6 : ours / 1024);
    for (int i = GLIBC; i < ALLOCATORS && length < capacity; i++) {
        length +=
            (size_t)snprintf(note + length, capacity - length, "%s%s %.2f", i == GLIBC ? "" : ", ",
                             peers[i].name, bench_median(&samples[i]) / base);
    }
}

static ratio report(const char *id, const char *what, bench_samples *samples, int peer_at,
                    double target)
{
    double ours = bench_median(&samples[OURS]), theirs = bench_median(&samples[peer_at]);
    double spread = fmax(bench_spread(&samples[OURS]), bench_spread(&samples[peer_at]));
    bool cpu = id[2] == '2';
    char note[160] = "";
    note_peers(samples, theirs, cpu, note, sizeof note);
    if (bench_wants(id)) {
        bench_print(&(bench_result){.id = id,
                                    .what = what,
                                    .unit = "ratio",
                                    .value = ours / theirs,
                                    .target = target,
                                    .median_us = cpu ? ours : 0,
                                    .peer_us = cpu ? theirs : 0,
                                    .spread = spread,
                                    .note = note});
    }
    return (ratio){ours / theirs, spread};
}

static void report_mean(const char *id, const char *what, const mean *m, double target)
{
    if (m->count > 1 && bench_wants(id)) {
        bench_print(&(bench_result){.id = id,
                                    .what = what,
                                    .unit = "ratio",
                                    .value = mean_value(m),
                                    .target = target,
                                    .spread = m->widest,
                                    .note = "the spread is the widest of one"});
    }
}

static int option(const char *name, int otherwise)
{
    size_t length = strlen(name);
    for (int i = 1; i < bench.argc; i++) {
        if (strncmp(bench.argv[i], name, length) == 0) {
            int value = atoi(bench.argv[i] + length);
            return value >= ROUNDS_LEAST ? value : otherwise;
        }
    }
    return otherwise;
}

static bool chosen(const bench_case *c)
{
    for (int i = 1; i < bench.argc; i++) {
        if (strncmp(bench.argv[i], "--only=", 7) == 0) {
            return strcmp(bench.argv[i] + 7, c->name) == 0;
        }
    }
    return true;
}

/* False where a case failed: the others are measured, and the means leave it out. */
static bool run_cases(int rounds)
{
    static measured m;
    bool good = true;
    mean cpu = {0}, peak[2] = {{0}};
    for (const bench_case *c = malloc_cases; c->name; c++) {
        if (!chosen(c)) {
            continue;
        }
        if (!measure(c, rounds, &m)) {
            good = false;
            continue;
        }
        ratio r = report("S12", c->name, m.cpu, fastest_peer(&m), c->target);
        if (!c->pattern) {
            mean_add(&cpu, r);
        }
        mean_add(&peak[c->pattern], report("S13", c->name, m.peak, GLIBC, 1.10));
    }
    report_mean("S12", "programs, mean", &cpu, 1.00);
    report_mean("S13", "programs, mean", &peak[false], 1.10);
    report_mean("S13", "patterns, mean", &peak[true], 1.10);
    return good;
}

int main(int argc, char **argv)
{
    bool good = true;
    bench_open(argc, argv);
    if (bench_wants("S12") || bench_wants("S13")) {
        const char *library = getenv("REPRISE_BENCH_MALLOC");
        peers[OURS].library = library ? library : peers[OURS].library;
        malloc_cases_open();
        check_peers();
        malloc_cases_prepare();
        good = run_cases(option("--rounds=", ROUNDS));
        malloc_cases_close();
    }
    return good ? bench_done() : EXIT_FAILURE;
}
