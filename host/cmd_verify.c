/* Each file is replayed by a process of its own, which hands its result through a pipe: a take that
 * ends its host ends nobody else's. */
#include "cmd_verify.h"

#include "verify/verify.h"

#include <base/bits.h>
#include <base/error.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
    "usage: reprise verify [OPTIONS] FILE.take…\n"
    "\n"
    "Replays takes from the inputs in them, under the build that made them, and compares the hash "
    "of\n"
    "every frame. With --module under another build: values of rp_check must be the same, and it "
    "is "
    "said\n"
    "from which frame on which fields of the state differ. Where the take has these values the "
    "build "
    "in it\n"
    "is not replayed, unless something differs.\n"
    "\n"
    "  --module FILE.so   another build; also --build\n"
    "  --replay           replays the build in the take, too, where the take has what it checked\n"
    "  --trust            run builds that this machine does not know (docs/takes.md)\n"
    "  --shard I/N        the Ith of N parts of the files, for several machines\n"
    "  --jobs N           files at a time (as many as there are cores)\n"
    "  --junit FILE       a report for CI as well; what is there is replaced\n"
    "  --json             one JSON object instead of lines\n"
    "  --keep-lib P, --watchdog S   as for `reprise run`\n"
    "  --help             this text\n"
    "\n"
    "exit codes\n"
    "  0 all as recorded   1 some could not be replayed   2 wrong usage   3 some differ\n"
    "  5 some builds are not known here, and --trust was not said (and nothing else was wrong)\n"
    "\n"
    "examples\n"
    "  reprise verify bug.take\n"
    "  reprise verify --module ./game.so --junit report.xml takes/*.take\n"
    "  reprise verify --shard 2/4 --json takes/*.take\n";

enum {
    EXIT_SAME = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_DIFFERS = 3,
    EXIT_UNKNOWN = 5,
    JOBS_MOST = 64,
    KEEP_MOST = 32
};

typedef struct job {
    pid_t pid; /* 0: none */
    int fd;    /* its result */
    size_t file;
    size_t got_bytes;
} job;

typedef struct verification {
    verify_options options;
    const char *keep[KEEP_MOST];
    const char *junit;
    bool json;
    size_t shard, shards;
    int jobs;
    const char **paths;
    verify_result *results;
    size_t count, started, done;
    job running[JOBS_MOST];
} verification;

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
    asked_to_end = number;
}

/* ---- processes ---- */

/* Ends with its parent, whatever ends that: by the signal's handler, so that it clears up. */
static _Noreturn void child_run(const verification *v, size_t file, int fd, pid_t parent)
{
    static verify_result result;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(1);
    }
    verify_file(v->paths[file], &v->options, &result);
    const char *bytes = (const char *)&result;
    for (size_t at = 0; at < sizeof result;) {
        ssize_t wrote = write(fd, bytes + at, sizeof result - at);
        if (wrote < 0 && errno != EINTR) {
            _exit(1);
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    _exit(0);
}

static void fail_result(verify_result *result, const char *text)
{
    *result = (verify_result){.outcome = VERIFY_FAILED};
    snprintf(result->text, sizeof result->text, "%s", text);
}

static void job_start(verification *v, job *j)
{
    int ends[2];
    size_t file = v->started++;
    pid_t parent = getpid();
    fflush(stdout);
    if (pipe(ends) != 0 || (j->pid = fork()) < 0) {
        j->pid = 0;
        fail_result(&v->results[file], "no process could be started for it");
        v->done++;
        return;
    }
    if (j->pid == 0) {
        close(ends[0]);
        child_run(v, file, ends[1], parent);
    }
    close(ends[1]);
    j->fd = ends[0];
    j->file = file;
    j->got_bytes = 0;
}

static void show_done(verification *v, size_t file)
{
    v->done++;
    if (!v->json) {
        verify_print(v->paths[file], &v->results[file], stdout);
        fflush(stdout);
    }
    if (v->count > 1 && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\rverify: %zu of %zu files\033[K%s", v->done, v->count,
                v->done == v->count ? "\r\033[K" : "");
    }
}

static void job_end(verification *v, job *j)
{
    int ended = 0;
    verify_result *result = &v->results[j->file];
    close(j->fd);
    while (waitpid(j->pid, &ended, 0) < 0 && errno == EINTR) {
    }
    if (j->got_bytes != sizeof *result || result->outcome > VERIFY_UNKNOWN) {
        char text[96];
        snprintf(text, sizeof text, "the process that replayed it ended with %s %d",
                 WIFSIGNALED(ended) ? "signal" : "code",
                 WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
        fail_result(result, text);
    }
    j->pid = 0;
    show_done(v, j->file);
}

static void job_read(verification *v, job *j)
{
    verify_result *result = &v->results[j->file];
    ssize_t got = read(j->fd, (char *)result + j->got_bytes, sizeof *result - j->got_bytes);
    if (got > 0) {
        j->got_bytes += (size_t)got;
    }
    if (got == 0 || (got < 0 && errno != EINTR) || j->got_bytes == sizeof *result) {
        job_end(v, j);
    }
}

static void jobs_wait(verification *v)
{
    struct pollfd fds[JOBS_MOST];
    job *of[JOBS_MOST];
    nfds_t count = 0;
    for (int i = 0; i < v->jobs; i++) {
        if (v->running[i].pid) {
            of[count] = &v->running[i];
            fds[count++] = (struct pollfd){.fd = v->running[i].fd, .events = POLLIN};
        }
    }
    if (count && poll(fds, count, -1) > 0) {
        for (nfds_t i = 0; i < count; i++) {
            if (fds[i].revents) {
                job_read(v, of[i]);
            }
        }
    }
}

static void jobs_stop(verification *v)
{
    for (int i = 0; i < v->jobs; i++) {
        if (v->running[i].pid) {
            kill(v->running[i].pid, SIGTERM);
            while (waitpid(v->running[i].pid, NULL, 0) < 0 && errno == EINTR) {
            }
            close(v->running[i].fd);
        }
    }
}

static bool run_all(verification *v)
{
    while (v->done < v->count && !asked_to_end) {
        for (int i = 0; i < v->jobs && v->started < v->count; i++) {
            if (!v->running[i].pid) {
                job_start(v, &v->running[i]);
            }
        }
        jobs_wait(v);
    }
    jobs_stop(v);
    return !asked_to_end;
}

/* ---- options ---- */

static bool read_shard(verification *v, const char *text)
{
    char rest;
    return sscanf(text, "%zu/%zu%c", &v->shard, &v->shards, &rest) == 2 && v->shard >= 1 &&
           v->shard <= v->shards && v->shards <= 1000000;
}

static bool read_number(const char *text, double most, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && *number >= 0 && *number <= most;
}

/* False: wrong usage. */
static bool option_take(verification *v, int option)
{
    double number;
    switch (option) {
    case 'm':
        v->options.module = optarg;
        return true;
    case 't':
        v->options.trust = true;
        return true;
    case 'r':
        v->options.replays = true;
        return true;
    case 's':
        return read_shard(v, optarg);
    case 'j':
        if (!read_number(optarg, JOBS_MOST, &number) || number < 1) {
            return false;
        }
        v->jobs = (int)number;
        return true;
    case 'u':
        v->junit = optarg;
        return true;
    case 'J':
        v->json = true;
        return true;
    case 'k':
        v->keep[v->options.keep_count] = optarg;
        return ++v->options.keep_count <= KEEP_MOST - 1;
    case 'w':
        if (!read_number(optarg, 86400, &number)) {
            return false;
        }
        v->options.watchdog_ms = (uint32_t)(number * 1000);
        return true;
    default:
        return false;
    }
}

static int read_options(verification *v, int argc, char **argv)
{
    static const struct option table[] = {
        {"module", required_argument, NULL, 'm'},   {"build", required_argument, NULL, 'm'},
        {"trust", no_argument, NULL, 't'},          {"replay", no_argument, NULL, 'r'},
        {"shard", required_argument, NULL, 's'},    {"jobs", required_argument, NULL, 'j'},
        {"junit", required_argument, NULL, 'u'},    {"json", no_argument, NULL, 'J'},
        {"keep-lib", required_argument, NULL, 'k'}, {"watchdog", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},           {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        if (option == 'h') {
            return take_file_usage("verify", help, stdout);
        }
        if (!option_take(v, option)) {
            return take_file_usage("verify", help, stderr);
        }
    }
    return optind < argc ? -1 : take_file_usage("verify", help, stderr);
}

static bool choose_files(verification *v, char **words, size_t count)
{
    v->paths = calloc(count + 1, sizeof *v->paths);
    v->results = calloc(count + 1, sizeof *v->results);
    for (size_t i = 0; v->paths && i < count; i++) {
        if (i % v->shards == v->shard - 1) {
            v->paths[v->count++] = words[i];
        }
    }
    v->options.shows_progress = v->count == 1;
    return v->paths && v->results;
}

/* ---- the end ---- */

static bool write_junit(const verification *v, const verify_report *report)
{
    FILE *file = fopen(v->junit, "w");
    if (!file) {
        fprintf(stderr, "reprise: verify: %s: cannot be written: %s\n", v->junit, strerror(errno));
        return false;
    }
    verify_junit(report, file);
    bool written = !ferror(file);
    if (fclose(file) != 0 || !written) {
        fprintf(stderr, "reprise: verify: %s: was not written whole: %s\n", v->junit,
                strerror(errno));
        return false;
    }
    return true;
}

static int exit_code(const verification *v)
{
    bool failed = false, unknown = false;
    for (size_t i = 0; i < v->count; i++) {
        if (v->results[i].outcome == VERIFY_DIFFERS) {
            return EXIT_DIFFERS;
        }
        failed |= v->results[i].outcome == VERIFY_FAILED;
        unknown |= v->results[i].outcome == VERIFY_UNKNOWN;
    }
    return failed ? EXIT_FAILED : unknown ? EXIT_UNKNOWN : EXIT_SAME;
}

static int report(const verification *v, double seconds)
{
    verify_report report = {v->paths, v->results, v->count, seconds};
    int code = exit_code(v);
    if (v->json) {
        json_t *object = verify_json(&report);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else if (v->count != 1) {
        size_t same = 0;
        for (size_t i = 0; i < v->count; i++) {
            same += v->results[i].outcome == VERIFY_SAME;
        }
        printf("%zu of %zu as recorded (%.1f s)\n", same, v->count, seconds);
    }
    if (v->junit && !write_junit(v, &report) && code == EXIT_SAME) {
        code = EXIT_FAILED;
    }
    return code;
}

int cmd_verify(int argc, char **argv)
{
    static verification v;
    v = (verification){.shard = 1, .shards = 1, .options.watchdog_ms = 2000};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    v.jobs = cores < 1 ? 1 : cores > JOBS_MOST ? JOBS_MOST : (int)cores;
    v.options.keep = v.keep;
    v.options.ends = &asked_to_end;
    int code = read_options(&v, argc, argv);
    if (code >= 0) {
        return code;
    }
    struct sigaction action = {.sa_handler = on_signal};
    uint64_t begun_ns = rp_os_monotonic_ns();
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!choose_files(&v, argv + optind, (size_t)(argc - optind))) {
        fputs("reprise: verify: no memory is left\n", stderr);
        code = EXIT_FAILED;
    } else if (!run_all(&v)) {
        fputs("reprise: verify: it was given up\n", stderr);
        code = EXIT_FAILED;
    } else {
        code = report(&v, (double)(rp_os_monotonic_ns() - begun_ns) / 1e9);
    }
    free(v.paths);
    free(v.results);
    return code;
}
