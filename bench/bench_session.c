/* A whole session, as a person has it: `reprise run` with its runner and its spare, in a terminal
 * that nobody looks at, driven over the control socket as `reprise ctl` does.
 *
 *   S5   scrubbing through a minute of a program that writes 256 pages a frame, all of a world of
 *        64 MiB in turn: 60 requests a second go to another frame each and wait for the answer,
 * which comes when the state is there and its picture is drawn. The 99th percentile of that, in ms,
 * and how many of the 60 a second came too late for their turn S17  memory of host, runner and
 * spare together beyond the budget of history, over the world
 *
 * `load` alone (not among all): BENCH_FRAME_PAGES written pages a frame at 60 Hz for BENCH_SECONDS
 * (2000 and 60): frames missed, and what history holds.
 */
#include "bench.h"
#include "control/control.h"

#include "base/bits.h"
#include "base/error.h"

#include <dirent.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEKS = 600, MINUTE_FRAMES = 3600, RATE_HZ = 60, MIB = 1 << 20, PROCESSES_MOST = 16 };
#define TURN_NS (UINT64_C(1000000000) / RATE_HZ)

typedef struct running {
    pid_t host;
    int terminal;
    pthread_t reader;
    char socket[64];
} running;

static char folder[] = "/tmp/reprise-bench-XXXXXX";
static bench_samples samples;

static void give_up(const char *what)
{
    fprintf(stderr, "bench_session: %s: %s\n", what, rp_error_last()->text);
    exit(1);
}

/* ---- the session ---- */

static void *drain(void *context)
{
    char bytes[65536];
    while (read(*(int *)context, bytes, sizeof bytes) > 0) {
    }
    return NULL;
}

/* a and b: numbers of the command; below 0: it has none. */
static json_t *ask_with(const running *r, const char *command, int64_t a, int64_t b)
{
    json_t *request = json_pack("{s:s}", "cmd", command);
    if (a >= 0) {
        json_object_set_new(request, "a", json_integer(a));
    }
    if (b >= 0) {
        json_object_set_new(request, "b", json_integer(b));
    }
    json_t *answer = NULL;
    rp_status status = control_ask(r->socket, request, 20000, &answer);
    json_decref(request);
    return status == RP_OK ? answer : NULL;
}

static json_t *ask(const running *r, const char *command, int64_t a)
{
    return ask_with(r, command, a, -1);
}

static double number_of(const running *r, const char *key)
{
    json_t *answer = ask(r, "status", -1);
    double number = answer ? json_number_value(json_object_get(answer, key)) : -1;
    json_decref(answer);
    return number;
}

static void wait_for_frame(const running *r, double frame)
{
    uint64_t limit_ns = bench_ns() + UINT64_C(120000000000);
    while (number_of(r, "newest") < frame) {
        if (bench_ns() > limit_ns || waitpid(r->host, NULL, WNOHANG)) {
            give_up("the session makes no frames");
        }
        usleep(20000);
    }
}

static void set_size(const char *name, size_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", value);
    setenv(name, text, 1);
}

static void session_start(running *r, size_t world_mib, size_t frame_pages, size_t budget_mib)
{
    char program[512], module[512], budget[32];
    snprintf(program, sizeof program, "%s/reprise", BENCH_HOST);
    snprintf(module, sizeof module, "%s/world_module_0.so", BENCH_MODULES);
    snprintf(budget, sizeof budget, "%zuM", budget_mib);
    snprintf(r->socket, sizeof r->socket, "%s/reprise/scrub.sock", folder);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("TERM", "xterm-256color", 1);
    set_size("BENCH_WORLD_MIB", world_mib);
    set_size("BENCH_FRAME_PAGES", frame_pages);
    r->host = forkpty(&r->terminal, NULL, NULL, &(struct winsize){.ws_row = 50, .ws_col = 160});
    if (r->host == 0) {
        execl(program, program, "run", "--stage", "term", "--name", "scrub", "--budget", budget,
              module, (char *)NULL);
        _exit(127);
    }
    if (r->host < 0 || pthread_create(&r->reader, NULL, drain, &r->terminal)) {
        give_up("reprise run");
    }
    wait_for_frame(r, 10);
}

static void session_end(running *r)
{
    json_decref(ask(r, "quit", -1));
    waitpid(r->host, NULL, 0);
    pthread_join(r->reader, NULL);
    close(r->terminal);
}

/* ---- S5 ---- */

typedef uint64_t next_frame(uint64_t frame, uint64_t oldest, uint64_t newest);

static uint64_t one_back(uint64_t frame, uint64_t oldest, uint64_t newest)
{
    (void)newest;
    return frame > oldest ? frame - 1 : oldest;
}

/* Through all of history in the time of the measurement: there, and back again. */
static uint64_t drag(uint64_t frame, uint64_t oldest, uint64_t newest)
{
    static int way = -1;
    uint64_t step = (newest - oldest) / (SEEKS / 2) + 1;
    way = frame < oldest + step ? 1 : frame + step > newest ? -1 : way;
    return way > 0 ? frame + step : frame - step;
}

static uint64_t leap(uint64_t frame, uint64_t oldest, uint64_t newest)
{
    static uint64_t state = 88172645463325252u;
    (void)frame;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return oldest + state % (newest - oldest + 1);
}

static void wait_until(uint64_t ns)
{
    uint64_t now = bench_ns();
    if (now < ns) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(ns - now)}, NULL);
    }
}

static void measure_scrub(const running *r, const char *what, next_frame *next)
{
    uint64_t oldest = (uint64_t)number_of(r, "oldest"), newest = (uint64_t)number_of(r, "newest");
    uint64_t frame = newest, turn_ns = bench_ns();
    int missed = 0;
    char note[160];
    samples.count = 0;
    json_decref(ask(r, "seek", (int64_t)frame));
    for (int i = 0; i < SEEKS; i++) {
        frame = next(frame, oldest, newest);
        turn_ns += TURN_NS;
        wait_until(turn_ns);
        uint64_t begin = bench_ns();
        json_t *answer = ask(r, "seek", (int64_t)frame);
        if (!answer || !json_is_true(json_object_get(answer, "ok"))) {
            give_up("seek");
        }
        json_decref(answer);
        uint64_t took = bench_ns() - begin;
        bench_add(&samples, took);
        missed += (int)(took / TURN_NS); /* turns that had no new picture */
        turn_ns += took / TURN_NS * TURN_NS;
    }
    snprintf(note, sizeof note,
             "worst %.1f ms; %d of %d turns missed at 60 Hz; frames %llu to %llu, %.0f thinned",
             bench_quantile(&samples, 1) / 1000, missed, SEEKS, (unsigned long long)oldest,
             (unsigned long long)newest, number_of(r, "thinned"));
    bench_print(&(bench_result){.id = "S5",
                                .what = what,
                                .unit = "ms",
                                .value = bench_quantile(&samples, 0.99) / 1000,
                                .target = 16,
                                .median_us = bench_median(&samples),
                                .spread = bench_spread(&samples),
                                .note = note});
}

static void measure_host(void)
{
    running r;
    session_start(&r, 64, 256, 512);
    json_decref(ask_with(&r, "speed", 1, 4));
    wait_for_frame(&r, MINUTE_FRAMES);
    json_decref(ask_with(&r, "speed", 1, 1));
    json_decref(ask(&r, "pause", -1));
    sleep(1); /* what is left to pack is packed */
    measure_scrub(&r, "scrub by host, back", one_back);
    measure_scrub(&r, "scrub by host, drag", drag);
    measure_scrub(&r, "scrub by host, leap", leap);
    session_end(&r);
}

/* ---- 60 Hz ---- */

static void measure_load(void)
{
    running r;
    char note[200];
    const char *pages = getenv("BENCH_FRAME_PAGES"), *seconds = getenv("BENCH_SECONDS");
    int length = seconds ? atoi(seconds) : 60;
    session_start(&r, 64, pages ? (size_t)atoi(pages) : 2000, 512);
    double first = number_of(&r, "frame"), most = 0;
    uint64_t begin = bench_ns();
    for (int i = 0; i < length * 10; i++) {
        wait_until(begin + (uint64_t)(i + 1) * 100000000);
        double part = number_of(&r, "history_bytes") / number_of(&r, "budget_bytes");
        most = part > most ? part : most;
    }
    double due = (double)(bench_ns() - begin) / TURN_NS;
    double missed = due - (number_of(&r, "frame") - first);
    snprintf(note, sizeof note,
             "history at most %.2f of its budget; frames %.0f to %.0f, every one from %.0f, raw "
             "%.0f MiB, packed %.0f; packing %.0f %% of a processor; last commit %.2f ms",
             most, number_of(&r, "oldest"), number_of(&r, "newest"),
             number_of(&r, "every_frame_from"), number_of(&r, "raw_bytes") / MIB,
             number_of(&r, "packed_bytes") / MIB,
             number_of(&r, "packing_ns") / (double)(bench_ns() - begin) * 100,
             number_of(&r, "commit_ns") / 1e6);
    bench_print(&(bench_result){.id = "load",
                                .what = "frames missed",
                                .unit = "part",
                                .value = missed > 1 ? missed / due : 0,
                                .note = note});
    session_end(&r);
}

/* ---- S17 ---- */

static pid_t parent_of(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    int parent = 0;
    if (file && fgets(line, sizeof line, file)) {
        char *behind = strrchr(line, ')');
        (void)(behind && sscanf(behind + 1, " %*c %d", &parent));
    }
    if (file) {
        fclose(file);
    }
    return parent;
}

static int processes_of(pid_t host, pid_t *list)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    list[count++] = host;
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = atoi(entry->d_name);
        if (pid > 0 && count < PROCESSES_MOST && parent_of(pid) == host) {
            list[count++] = pid;
        }
    }
    if (proc) {
        closedir(proc);
    }
    return count;
}

/* Of its own, and its part of what files it shares. What lies in memory files is counted by them.
 */
static double process_bytes(pid_t pid)
{
    char path[64], line[256];
    double sum_kib = 0, kib;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Pss_Anon: %lf", &kib) == 1 || sscanf(line, "Pss_File: %lf", &kib) == 1) {
            sum_kib += kib;
        }
    }
    if (file) {
        fclose(file);
    }
    return sum_kib * 1024;
}

/* Each once, though several processes hold it. */
static double memory_file_bytes(const pid_t *list, int count)
{
    ino_t seen[256];
    size_t seen_count = 0;
    double sum = 0;
    for (int p = 0; p < count; p++) {
        for (int fd = 0; fd < 256; fd++) {
            char path[64], target[64] = "";
            struct stat file;
            snprintf(path, sizeof path, "/proc/%d/fd/%d", list[p], fd);
            if (readlink(path, target, sizeof target - 1) < 0 ||
                strncmp(target, "/memfd:", 7) != 0 || stat(path, &file) != 0) {
                continue;
            }
            bool known = false;
            for (size_t i = 0; i < seen_count; i++) {
                known = known || seen[i] == file.st_ino;
            }
            if (!known && seen_count < RP_COUNT_OF(seen)) {
                seen[seen_count++] = file.st_ino;
                sum += (double)file.st_blocks * 512;
            }
        }
    }
    return sum;
}

static void measure_memory(size_t world_mib, const char *what)
{
    running r;
    pid_t list[PROCESSES_MOST];
    char note[240];
    const size_t budget_mib = 64;
    session_start(&r, world_mib, 256, budget_mib);
    wait_for_frame(&r, 900); /* the budget is full; a spare is there */
    json_decref(ask(&r, "pause", -1));
    sleep(1);
    int count = processes_of(r.host, list);
    double own = 0, files = memory_file_bytes(list, count), world = (double)world_mib * MIB;
    for (int i = 0; i < count; i++) {
        own += process_bytes(list[i]);
    }
    double history = number_of(&r, "history_bytes"), used = own + files - (double)budget_mib * MIB;
    snprintf(note, sizeof note,
             "%d processes: %.0f MiB of their own, %.0f in memory files; history %.0f of its %zu "
             "MiB; 40 MB are allowed beside 2.2 worlds",
             count, own / MIB, files / MIB, history / MIB, budget_mib);
    bench_print(&(bench_result){.id = "S17",
                                .what = what,
                                .unit = "ratio",
                                .value = (used - 40e6) / world,
                                .target = 2.2,
                                .note = note});
    session_end(&r);
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (!mkdtemp(folder)) {
        give_up(folder);
    }
    bool load = false;
    for (int i = 1; i < argc; i++) {
        load = load || strcmp(argv[i], "load") == 0;
    }
    if (load) {
        measure_load();
    }
    if (bench_wants("S5") || bench_wants("S5-host")) {
        measure_host();
    }
    if (bench_wants("S17")) {
        measure_memory(64, "64MiB");
        measure_memory(256, "256MiB");
    }
    char remove_all[64];
    snprintf(remove_all, sizeof remove_all, "rm -rf %s", folder);
    return system(remove_all) ? 1 : bench_done();
}
