/* S8: a build's file is complete → the first step of its code. S9: the runner is killed → the next
 * frame. S10: `reprise run` → the first frame,
 * and `reprise open` → the next one.
 *
 * Absolute times, since nothing does the same work beside us; what the machine can do at best is
 * given by `peer_us`: for S8 loading the same file with dlopen in a fresh process, for S9 copying
 * the world, for S10 starting and ending a process that does nothing.
 *
 * Arguments: --json, ids; the modules come from the folder BENCH_MODULES (set by CMake).
 */
#include "bench.h"
#include "builds.h"
#include "recording.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <os/os.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { VARIANTS = 8 };

static char folder[] = "/tmp/reprise-bench-XXXXXX";
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void give_up(const char *what)
{
    fprintf(stderr, "bench_host: %s: %s\n", what, rp_error_last()->text);
    exit(1);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0) {
        if (write(out, bytes, (size_t)got) != got) {
            give_up(to);
        }
    }
    close(in);
    close(out);
}

static void variant_path(int variant, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/world_module_%d.so", BENCH_MODULES, variant);
}

static void world_open(session *s, const char *mib)
{
    setenv("BENCH_WORLD_MIB", mib, 1);
    session_desc desc = {.budget_bytes = 64 << 20,
                         .seed = 1,
                         .start_wall_ns = 1,
                         .width_px = 64,
                         .height_px = 64,
                         .rate_hz = 60,
                         .watchdog_ms = 10000};
    if (session_open(&desc, s)) {
        give_up("session");
    }
}

static void first_build(session *s)
{
    char from[512], copy[512];
    rp_elf *elf;
    variant_path(0, from, sizeof from);
    snprintf(copy, sizeof copy, "%s/first.so", folder);
    if (rp_elf_open(from, copy, &elf) || session_build_new(s, elf, copy, rp_os_monotonic_ns())) {
        give_up("first build");
    }
}

static void steps(session *s, int count)
{
    rp_input input = {0};
    for (int i = 0; i < count; i++) {
        if (session_step(s, &input, false, false)) {
            give_up("step");
        }
        session_tend(s);
    }
}

/* ---- S8 ---- */

typedef struct pick_up {
    int picked, torn;
    bench_samples times;
    bench_samples held; /* how long a frame had to wait at most while a build was taken */
} pick_up;

static void events_wait(builds *b)
{
    int fds[8];
    struct pollfd polled[8];
    int count = builds_fds(b, fds, 8), timeout = builds_timeout_ms(b);
    for (int i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    poll(polled, (nfds_t)count, timeout < 0 || timeout > 50 ? 50 : timeout);
}

static void take_event(session *s, const builds_event *event)
{
    rp_input input = {0};
    if (session_build_new(s, event->elf, event->copy_path, event->complete_ns)) {
        give_up("build");
    }
    if (session_step(s, &input, false, false)) {
        give_up("first step");
    }
}

/* Waits until a build was taken and its first step done; false: none came within five seconds. */
static bool wait_for_build(session *s, builds *b, uint64_t written_ns, pick_up *result)
{
    uint64_t limit = bench_ns() + UINT64_C(5000000000), held_ns = 0;
    builds_event event;
    while (bench_ns() < limit) {
        uint64_t begin_ns = bench_ns();
        while (builds_poll(b, &event)) {
            if (event.kind == BUILDS_BAD) {
                result->torn++;
            } else if (event.kind == BUILDS_NEW) {
                take_event(s, &event);
                uint64_t now = bench_ns();
                bench_add(&result->times, now - written_ns);
                bench_add(&result->held, now - begin_ns > held_ns ? now - begin_ns : held_ns);
                session_tend(s);
                return true;
            }
        }
        uint64_t took_ns = bench_ns() - begin_ns;
        held_ns = took_ns > held_ns ? took_ns : held_ns;
        events_wait(b);
    }
    return false;
}

/* Every other build is written in place, the rest are moved there, as linkers and build tools do.
 */
static uint64_t build_write(int number, const char *module)
{
    char from[512], beside[512];
    variant_path(number % VARIANTS, from, sizeof from);
    if (number % 2) {
        copy_file(from, module);
        return bench_ns();
    }
    snprintf(beside, sizeof beside, "%s/.beside", folder);
    copy_file(from, beside);
    uint64_t now = bench_ns();
    rename(beside, module);
    return now;
}

static void pick_up_run(int count, pick_up *result)
{
    static session s;
    builds *b;
    char module[512], copies[512];
    snprintf(module, sizeof module, "%s/game.so", folder);
    snprintf(copies, sizeof copies, "%s/copies", folder);
    mkdir(copies, 0700);
    world_open(&s, "4");
    build_write(0, module);
    builds_desc desc = {.module_path = module, .copy_directory = copies};
    pick_up ignored = {0};
    if (builds_open(&desc, &b) || !wait_for_build(&s, b, bench_ns(), &ignored)) {
        give_up("first build");
    }
    for (int i = 1; i <= count; i++) {
        uint64_t until = bench_ns() + (next_random() % 45 + 5) * 1000000u;
        while (bench_ns() < until) {
            steps(&s, 1);
            usleep(2000);
        }
        result->picked += wait_for_build(&s, b, build_write(i, module), result);
    }
    builds_close(b);
    session_close(&s);
}

static void s8(void)
{
    static pick_up result;
    enum { BUILDS = 1000 };
    pick_up_run(BUILDS, &result);
    double median = bench_median(&result.times);
    bench_print(&(bench_result){.id = "S8",
                                .what = "small build",
                                .unit = "ms",
                                .value = median / 1000,
                                .target = 5,
                                .median_us = median,
                                .spread = bench_spread(&result.times)});
    bench_print(&(bench_result){.id = "S8",
                                .what = "builds of 1000 missed",
                                .unit = "count",
                                .value = BUILDS - result.picked,
                                .target = 0});
    bench_print(&(bench_result){
        .id = "S8", .what = "torn builds", .unit = "count", .value = result.torn, .target = 0});
}

/* ---- S8, a build of 40 MB ---- */

enum { LARGE_BUILDS = 12, LARGE_LINKS = 3 };

static void large_make(void)
{
    char line[1024];
    snprintf(line, sizeof line, "sh %s/large_build.sh %s %s", BENCH_SOURCE, folder, BENCH_INCLUDE);
    if (system(line) != 0) {
        fprintf(stderr, "bench_host: the large module does not build\n");
        exit(1);
    }
}

/* Moved into place, as build tools do; the copy is made before the clock runs. */
static uint64_t large_write(int link, const char *module)
{
    char from[512], beside[512];
    snprintf(from, sizeof from, "%s/large_%d.so", folder, link);
    snprintf(beside, sizeof beside, "%s/.beside", folder);
    copy_file(from, beside);
    uint64_t now = bench_ns();
    rename(beside, module);
    return now;
}

typedef struct large_times {
    bench_samples whole, held, plan, carry;
} large_times;

/* `edited`: every other build has one more field in a struct of which objects live. */
static void large_run(bool edited, large_times *times)
{
    static session s;
    builds *b;
    char module[512], copies[512];
    snprintf(module, sizeof module, "%s/large.so", folder);
    snprintf(copies, sizeof copies, "%s/copies%d", folder, edited);
    mkdir(copies, 0700);
    world_open(&s, "4");
    large_write(0, module);
    builds_desc desc = {.module_path = module, .copy_directory = copies};
    pick_up ignored = {0}, picked = {0};
    if (builds_open(&desc, &b) || !wait_for_build(&s, b, bench_ns(), &ignored)) {
        give_up("first large build");
    }
    for (int i = 1; i <= LARGE_BUILDS; i++) {
        steps(&s, 20);
        usleep(100000); /* a spare gets ready */
        session_tend(&s);
        if (!wait_for_build(&s, b, large_write(i % 2 * (edited ? 2 : 1), module), &picked)) {
            give_up("large build");
        }
        bench_add(&times->plan, (uint64_t)(s.times.plan_ms * 1e6));
        bench_add(&times->carry, (uint64_t)(s.times.carry_ms * 1e6));
    }
    times->whole = picked.times;
    times->held = picked.held;
    builds_close(b);
    session_close(&s);
}

static void s8_large(bool edited)
{
    static large_times times;
    static char note[96];
    times = (large_times){0};
    large_run(edited, &times);
    double median = bench_median(&times.whole), held = bench_median(&times.held);
    snprintf(note, sizeof note, "of it the plan %.1f ms, the carrying %.1f ms",
             bench_median(&times.plan) / 1000, bench_median(&times.carry) / 1000);
    bench_print(&(bench_result){.id = "S8L",
                                .what = edited ? "40 MB, a struct edited" : "40 MB",
                                .unit = "ms",
                                .value = median / 1000,
                                .target = 50,
                                .median_us = median,
                                .spread = bench_spread(&times.whole),
                                .note = note});
    bench_print(
        &(bench_result){.id = "S8L",
                        .what = edited ? "no frame meanwhile, edited" : "no frame meanwhile",
                        .unit = "ms",
                        .value = held / 1000,
                        .median_us = held,
                        .spread = bench_spread(&times.held)});
}

/* ---- S9 ---- */

static double copy_us(size_t bytes)
{
    unsigned char *from = malloc(bytes), *to = malloc(bytes);
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    uint64_t begin = bench_ns();
    memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory"); /* or the copy that nobody reads is left out */
    double us = (double)(bench_ns() - begin) / 1000;
    free(from);
    free(to);
    return us;
}

static void s9_at(const char *mib, const char *what, double target_ms, int rounds)
{
    static session s;
    static bench_samples times, copies;
    rp_input input = {0};
    times.count = copies.count = 0;
    world_open(&s, mib);
    first_build(&s);
    steps(&s, 3);
    for (int i = 0; i < rounds; i++) {
        steps(&s, 2);
        usleep(150000); /* a spare gets ready */
        session_tend(&s);
        bench_add(&copies, (uint64_t)(copy_us((size_t)atoi(mib) << 20) * 1000));
        uint64_t begin = bench_ns();
        kill(s.live.pid, SIGKILL);
        while (session_step(&s, &input, false, false)) {
            if (bench_ns() - begin > UINT64_C(10000000000)) {
                give_up("restart");
            }
        }
        bench_add(&times, bench_ns() - begin);
    }
    session_close(&s);
    bench_print(&(bench_result){.id = "S9",
                                .what = what,
                                .unit = "ms",
                                .value = bench_median(&times) / 1000,
                                .target = target_ms,
                                .median_us = bench_median(&times),
                                .peer_us = bench_median(&copies),
                                .spread = bench_spread(&times)});
}

/* ---- S10 ---- */

static uint64_t process_ns(char **arguments)
{
    pid_t pid;
    int status;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    uint64_t begin = bench_ns();
    if (posix_spawnp(&pid, arguments[0], &quiet, NULL, arguments, environ)) {
        give_up(arguments[0]);
    }
    waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&quiet);
    if (status) {
        fprintf(stderr, "bench_host: %s failed\n", arguments[0]);
        exit(1);
    }
    return bench_ns() - begin;
}

static void s10(void)
{
    static bench_samples times, nothing;
    char module[512], program[512];
    variant_path(0, module, sizeof module);
    snprintf(program, sizeof program, "%s/reprise", BENCH_HOST);
    setenv("BENCH_WORLD_MIB", "4", 1);
    char *run[] = {program, "run", "--stage", "none", "--frames", "1", module, NULL};
    char *idle[] = {"/bin/true", NULL};
    for (int i = 0; i < 30; i++) {
        bench_add(&times, process_ns(run));
        bench_add(&nothing, process_ns(idle));
    }
    bench_print(&(bench_result){.id = "S10",
                                .what = "start to the end of frame 1",
                                .unit = "ms",
                                .value = bench_median(&times) / 1000,
                                .target = 100,
                                .median_us = bench_median(&times),
                                .peer_us = bench_median(&nothing),
                                .spread = bench_spread(&times)});
}

/* A take of so many frames is opened at its last one, by the command, and the next frame made. */
typedef struct opening {
    const char *mib, *module, *what; /* module: null: world_module */
    uint64_t frames;
    double target_ms;
} opening;

static void take_make(const opening *o, const char *take)
{
    static session s;
    char module[512], copy[512];
    rp_input input = {0};
    rp_elf *elf;
    variant_path(0, module, sizeof module);
    snprintf(copy, sizeof copy, "%s/taken.so", folder);
    world_open(&s, o->mib);
    if (rp_elf_open(o->module ? o->module : module, copy, &elf) ||
        session_build_new(&s, elf, copy, bench_ns()) ||
        recording_open(&s, SESSION_RECORDING_TAKE,
                       &(recording_desc){.path = take, .replace = true})) {
        give_up("take");
    }
    for (uint64_t i = 0; i < o->frames; i++) {
        if (session_step(&s, &input, false, false)) {
            give_up("step");
        }
    }
    if (recording_close(&s, SESSION_RECORDING_TAKE, true)) {
        give_up("take");
    }
    session_close(&s);
}

static void s10_take(const opening *o)
{
    static bench_samples times, copies;
    char program[512], take[512], to[32];
    times.count = copies.count = 0;
    snprintf(program, sizeof program, "%s/reprise", BENCH_HOST);
    snprintf(take, sizeof take, "%s/opened.take", folder);
    snprintf(to, sizeof to, "%llu", (unsigned long long)o->frames + 1);
    setenv("XDG_STATE_HOME", folder, 1); /* where --trust writes */
    take_make(o, take);
    char *open[] = {program, "open", "--trust", "--stage", "none", "--frames", to, take, NULL};
    for (int i = 0; i < 9; i++) {
        bench_add(&copies, (uint64_t)(copy_us((size_t)atoi(o->mib) << 20) * 1000));
        bench_add(&times, process_ns(open));
    }
    bench_print(&(bench_result){.id = "S10",
                                .what = o->what,
                                .unit = "ms",
                                .value = bench_median(&times) / 1000,
                                .target = o->target_ms,
                                .median_us = bench_median(&times),
                                .peer_us = bench_median(&copies),
                                .spread = bench_spread(&times)});
}

static void s10_takes(void)
{
    static const opening rows[] = {
        {"4", NULL, "opening a take of 4MiB, 60 frames", 60, 100},
        {"256", NULL, "of 256MiB, 10 frames", 10, 1000},
        {"1", BENCH_DEMO, "of the demo, 36000 frames", 36000, 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        s10_take(&rows[i]);
    }
}

/* ---- S11 ---- */

enum { RECORD_PAGES = 213, RECORD_STRETCH = 60, RECORD_STRETCHES = 10 }; /* 50 MB/s at 60 Hz */

/* One stretch of a second at 60 Hz: how long the host is at each frame. */
static void stretch_measure(session *s, bench_samples *times)
{
    const rp_input input = {0};
    uint64_t due_ns = bench_ns();
    for (int i = 0; i < RECORD_STRETCH; i++) {
        uint64_t start_ns = bench_ns();
        if (session_step(s, &input, false, false)) {
            give_up("step");
        }
        bench_add(times, bench_ns() - start_ns);
        session_tend(s);
        due_ns += 1000000000 / 60;
        rp_os_sleep_until_ns(due_ns);
    }
}

static void s11_print(const char *what, bench_samples *recorded, bench_samples *alone,
                      double target_ms)
{
    bench_print(&(bench_result){
        .id = "S11",
        .what = what,
        .unit = "ms",
        .value = (bench_quantile(recorded, 0.99) - bench_quantile(alone, 0.99)) / 1000,
        .target = target_ms,
        .median_us = bench_median(recorded),
        .peer_us = bench_median(alone),
        .spread = bench_spread(recorded)});
}

/* By how much a frame's 99th percentile grows while it is recorded; the two take turns. In the
 * first second of a recording its queue gets its memory. */
static void s11(void)
{
    static session s;
    static bench_samples alone, begun, recorded;
    char pages[16], take[512];
    snprintf(pages, sizeof pages, "%d", RECORD_PAGES);
    setenv("BENCH_FRAME_PAGES", pages, 1);
    world_open(&s, "64");
    first_build(&s);
    steps(&s, 300);
    for (int i = 0; i < RECORD_STRETCHES; i++) {
        stretch_measure(&s, &alone);
        snprintf(take, sizeof take, "%s/recorded-%d.take", folder, i);
        if (recording_open(&s, SESSION_RECORDING_TAKE, &(recording_desc){.path = take})) {
            give_up("recording");
        }
        stretch_measure(&s, &begun);
        stretch_measure(&s, &recorded);
        if (recording_close(&s, SESSION_RECORDING_TAKE, true)) {
            give_up("recording");
        }
        unlink(take);
    }
    unsetenv("BENCH_FRAME_PAGES");
    session_close(&s);
    s11_print("a frame recorded, its p99 over one that is not", &recorded, &alone, 0.5);
    s11_print("the same in a recording's first second", &begun, &alone, 0);
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (!mkdtemp(folder)) {
        give_up(folder);
    }
    if (bench_wants("S8")) {
        s8();
    }
    if (bench_wants("S8L")) {
        large_make();
        s8_large(false);
        s8_large(true);
    }
    if (bench_wants("S9")) {
        s9_at("16", "16MiB", 10, 15);
        s9_at("256", "256MiB", 60, 7);
    }
    if (bench_wants("S10")) {
        s10();
        s10_takes();
    }
    if (bench_wants("S11")) {
        s11();
    }
    char remove_all[64];
    snprintf(remove_all, sizeof remove_all, "rm -rf %s", folder);
    return system(remove_all) ? 1 : bench_done();
}
