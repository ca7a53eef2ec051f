/* What history costs: S1 to S4.
 *
 *   S1  commit of 2000 hot and 50 cold pages, in clusters, over memcpy of the same pages one by one
 *   S2  the same with 4096 random pages, all cold
 *   S3  commit of a frame that wrote 16 pages, in microseconds
 *   S4  seek by one frame of 256 pages, over memcpy: in clusters, and one by one at random; among
 *       frames that are kept as they are, and among those that were packed
 *
 * A commit is all that a frame pays: the faults of the program's first stores (its time over the
 * time of the same stores once more), finding and copying the pages, and the record in the log.
 * What comes first in a frame finds cold caches, so commit and memcpy take turns at that and only
 * the first counts.
 *
 * Commits are measured twice: at 60 Hz, where the process sleeps for the rest of each frame and the
 * packing of earlier frames goes on meanwhile, and one after the other without a pause, where it
 * cannot keep up with large frames and the budget drops them. Between frames the owner looks after
 * log and world either way, and that is not part of a commit.
 */
#include "bench.h"

#include "base/bits.h"
#include "history/log.h"
#include "history/world.h"
#include "region/region.h"

enum {
    FRAMES = 80,
    WARM_FRAMES = 12,
    RUN_IN_FRAMES = 70, /* the log has gone once round its file */
    WRITTEN_MOST = 8192,
    HOT_PAGES = 2000,
    HOT_CLUSTER = 100,
    IDLE_PLACES = 4,
    IDLE_CLUSTER = 4,
    COLD_PAGES = 50,
    COLD_CLUSTER = 5,
    RUNS_MOST = 4096,
    TEND_NS = 4000000, /* between frames: a quarter of one at 60 Hz */
    RUN_IN_TEND_NS = 60000000,
    FRAME_NS = 16666667,
    SETTLE_MS = 40,
    LATE_NS = 2000000, /* before the next frame the owner looks after the log once more */
    BATCH_MOST = 1 << 21,
};

typedef struct setup {
    rp_log *log;
    rp_world *world;
    uint8_t *start; /* the program's memory */
    size_t page_count;
    uint8_t *copies; /* where the peer copies to, in turn */
    size_t copy_pages, copy_next;
    uint32_t written[WRITTEN_MOST]; /* pages of this frame */
    size_t written_count;
    uint32_t hot[HOT_PAGES / HOT_CLUSTER];
    uint32_t idle[IDLE_PLACES];
    rp_page_slot *entries;
    size_t entry_count;
    rp_slot_run runs[RUNS_MOST];
    size_t run_count, run_next;
    uint64_t seed, frame;
    uint64_t tend_ns, tend_spent_ns, tend_count; /* between frames: allowed, spent by the thread */
    bool paced;                                  /* frames come at 60 Hz */
    uint64_t next_ns;
} setup;

static void must(rp_status status, const char *what)
{
    if (status != RP_OK) {
        fprintf(stderr, "bench_history: %s: %s\n", what, rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
}

static uint64_t next_random(setup *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed;
}

static bool give_slots(void *context, uint32_t want, rp_slot_run *run)
{
    setup *s = context;
    if (s->run_next == s->run_count) {
        s->run_next = s->run_count = 0;
        if (rp_log_slots_offer(s->log, want, s->runs, RUNS_MOST, &s->run_count) != RP_OK) {
            return false;
        }
    }
    *run = s->runs[s->run_next++];
    return true;
}

static bool take_entries(void *context, const rp_page_slot *entries, size_t count)
{
    setup *s = context;
    memcpy(s->entries + s->entry_count, entries, count * sizeof *entries);
    s->entry_count += count;
    return true;
}

/* ---- between frames, as the owner of a log and of a world passes the time
 * ------------------------------------------------------------------------------------------------
 */

static void sleep_until(uint64_t ns)
{
    uint64_t now = bench_ns();
    if (now < ns) {
        struct timespec left = {(time_t)((ns - now) / 1000000000), (long)((ns - now) % 1000000000)};
        nanosleep(&left, NULL);
    }
}

static void rest(setup *s)
{
    uint64_t start = bench_cpu_ns();
    rp_log_prepare(s->log, WRITTEN_MOST);
    rp_log_tend(s->log);
    rp_world_tend(s->world, s->tend_ns);
    s->tend_spent_ns += bench_cpu_ns() - start;
    s->tend_count++;
    if (s->paced) {
        sleep_until(s->next_ns - LATE_NS);
        rp_log_tend(s->log);
        sleep_until(s->next_ns);
        s->next_ns = bench_ns() + FRAME_NS;
    }
}

static uint64_t commit(setup *s)
{
    uint64_t start = bench_ns();
    s->entry_count = 0;
    s->run_next = s->run_count = 0;
    must(rp_world_collect(s->world, give_slots, take_entries, s), "collect");
    must(rp_log_commit(s->log, &(rp_record_desc){.frame = ++s->frame}, s->entries, s->entry_count),
         "commit");
    uint64_t took = bench_ns() - start;
    rest(s);
    return took;
}

/* ---- the program
 * ----------------------------------------------------------------------------------- */

static uint64_t *word_of(setup *s, uint32_t page)
{
    return (uint64_t *)(void *)(s->start + (size_t)page * RP_PAGE_BYTES + page % 500 * 8);
}

static uint64_t write_pages(setup *s)
{
    uint64_t start = bench_ns();
    for (size_t i = 0; i < s->written_count; i++) {
        *word_of(s, s->written[i]) += s->frame + 1;
    }
    return bench_ns() - start;
}

/* How much longer the first stores took than the same stores again, both with warm caches. */
static uint64_t write_with_faults(setup *s)
{
    for (size_t i = 0; i < s->written_count; i++) {
        (void)*(volatile uint64_t *)word_of(s, s->written[i]);
    }
    uint64_t first = write_pages(s), again = write_pages(s);
    return first > again ? first - again : 0;
}

static uint64_t copy_pages(setup *s)
{
    uint64_t start = bench_ns();
    for (size_t i = 0; i < s->written_count; i++) {
        memcpy(s->copies + s->copy_next * RP_PAGE_BYTES,
               s->start + (size_t)s->written[i] * RP_PAGE_BYTES, RP_PAGE_BYTES);
        s->copy_next = s->copy_next + 1 == s->copy_pages ? 0 : s->copy_next + 1;
    }
    return bench_ns() - start;
}

static void choose_cluster(setup *s, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        s->written[s->written_count++] = first + i;
    }
}

static uint32_t random_place(setup *s, uint32_t room)
{
    return (uint32_t)(next_random(s) % (s->page_count - room));
}

/* The hot set drifts: one of its clusters moves every eighth frame. */
static void choose_hot_and_cold(setup *s)
{
    size_t clusters = HOT_PAGES / HOT_CLUSTER;
    if (s->frame % 8 == 0) {
        s->hot[next_random(s) % clusters] = random_place(s, HOT_CLUSTER);
    }
    s->written_count = 0;
    for (size_t i = 0; i < clusters; i++) {
        choose_cluster(s, s->hot[i], HOT_CLUSTER);
    }
    for (uint32_t i = 0; i < COLD_PAGES / COLD_CLUSTER; i++) {
        choose_cluster(s, random_place(s, COLD_CLUSTER), COLD_CLUSTER);
    }
}

static void choose_clusters(setup *s, uint32_t pages, uint32_t cluster)
{
    s->written_count = 0;
    for (uint32_t done = 0; done < pages; done += cluster) {
        choose_cluster(s, random_place(s, cluster), cluster);
    }
}

static void choose_cold(setup *s)
{
    choose_clusters(s, 4096, 1);
}

/* What an idle program does: the same few places each frame, of which one moves now and then. */
static void choose_idle(setup *s)
{
    if (s->frame % 8 == 0 || !s->idle[0]) {
        for (size_t i = 0; i < IDLE_PLACES; i++) {
            if (!s->idle[i] || i == s->frame / 8 % IDLE_PLACES) {
                s->idle[i] = random_place(s, IDLE_CLUSTER);
            }
        }
    }
    s->written_count = 0;
    for (size_t i = 0; i < IDLE_PLACES; i++) {
        choose_cluster(s, s->idle[i], IDLE_CLUSTER);
    }
}

static void choose_idle_random(setup *s)
{
    choose_clusters(s, 16, 1);
}

static void choose_seek(setup *s)
{
    choose_clusters(s, 256, 16);
}

static void choose_seek_random(setup *s)
{
    choose_clusters(s, 256, 1);
}

/* ---- measuring
 * ------------------------------------------------------------------------------------- */

static setup *open_setup(size_t world_bytes, rp_tracking tracking)
{
    setup *s = calloc(1, sizeof *s);
    if (!s) {
        exit(EXIT_FAILURE);
    }
    s->seed = 88172645463325252u;
    s->page_count = world_bytes / RP_PAGE_BYTES;
    s->copy_pages = RP_MIB(64) / RP_PAGE_BYTES;
    s->copies = malloc(s->copy_pages * RP_PAGE_BYTES);
    s->entries = malloc(BATCH_MOST * sizeof *s->entries);
    if (!s->copies || !s->entries) {
        exit(EXIT_FAILURE);
    }
    memset(s->copies, 1, s->copy_pages * RP_PAGE_BYTES);
    must(rp_region_create(NULL), "region");
    must(rp_log_create(RP_MIB(256), &s->log), "log");
    must(rp_world_open(rp_log_fd(s->log), tracking, &s->world), "world");
    s->start = rp_region_block_alloc(RP_ZONE_WORLD, world_bytes, RP_BLOCK_PAGES, 1, 0);
    must(s->start ? RP_OK : RP_E_MEMORY, "block");
    for (size_t i = 0; i < s->page_count; i++) {
        memset(s->start + i * RP_PAGE_BYTES, (int)(i % 250) + 1, RP_PAGE_BYTES);
    }
    for (size_t i = 0; i < HOT_PAGES / HOT_CLUSTER; i++) {
        s->hot[i] = random_place(s, HOT_CLUSTER);
    }
    s->tend_ns = RUN_IN_TEND_NS;
    commit(s);
    for (int i = 0; i < RUN_IN_FRAMES; i++) {
        choose_hot_and_cold(s);
        write_pages(s);
        commit(s);
    }
    s->tend_ns = TEND_NS;
    s->next_ns = bench_ns();
    return s;
}

static void close_setup(setup *s)
{
    rp_world_close(s->world);
    rp_log_destroy(s->log);
    rp_region_destroy();
    free(s->entries);
    free(s->copies);
    free(s);
}

typedef void choose_fn(setup *s);

typedef struct measured {
    bench_samples commit, peer;
} measured;

static measured measured_now, seeks_raw, seeks_packed; /* too large for the stack */
static struct parts {
    bench_samples faults, compare, gather, copy; /* of a commit */
} parts_now;

static void add_parts(const setup *s, uint64_t faults_ns)
{
    rp_world_stats stats;
    rp_world_stats_get(s->world, &stats);
    bench_add(&parts_now.faults, faults_ns);
    bench_add(&parts_now.compare, stats.compare_ns);
    bench_add(&parts_now.gather, stats.gather_ns);
    bench_add(&parts_now.copy, stats.copy_ns);
}

/* RP_BENCH_TRACE=1: a line for each commit that counts. */
static void trace(const setup *s, uint64_t faults_ns, uint64_t commit_ns)
{
    rp_world_stats world;
    rp_log_stats log;
    if (!getenv("RP_BENCH_TRACE")) {
        return;
    }
    rp_world_stats_get(s->world, &world);
    rp_log_stats_get(s->log, &log);
    const uint64_t times[] = {faults_ns,     commit_ns,        world.compare_ns, world.gather_ns,
                              world.copy_ns, world.collect_ns, s->tend_spent_ns};
    const char *const names[] = {"faults", "commit",  "compare", "gather",
                                 "copy",   "collect", "rest"};
    fprintf(stderr, "  frame %llu:", (unsigned long long)s->frame);
    for (size_t i = 0; i < RP_COUNT_OF(times); i++) {
        fprintf(stderr, " %s %.0f", names[i], (double)times[i] / 1e3);
    }
    fprintf(stderr, " us; pages %llu, stored %llu, raw MiB %llu, packed %llu, records %llu\n",
            (unsigned long long)world.page_count, (unsigned long long)world.stored_count,
            (unsigned long long)log.raw_bytes >> 20, (unsigned long long)log.packed_count,
            (unsigned long long)log.record_count);
}

static int frames(void)
{
    const char *text = getenv("RP_BENCH_FRAMES");
    return text ? atoi(text) : FRAMES;
}

static void measure_commits(setup *s, choose_fn *choose)
{
    measured *m = &measured_now;
    m->commit.count = m->peer.count = 0;
    parts_now.faults.count = parts_now.compare.count = 0;
    parts_now.gather.count = parts_now.copy.count = 0;
    s->tend_spent_ns = s->tend_count = 0;
    for (int i = 0; i < frames() + WARM_FRAMES; i++) {
        choose(s);
        uint64_t faults = write_with_faults(s);
        if (i % 2 == 0) {
            uint64_t took = copy_pages(s);
            commit(s);
            if (i >= WARM_FRAMES) {
                bench_add(&m->peer, took);
            }
        } else {
            uint64_t took = commit(s);
            copy_pages(s);
            if (i >= WARM_FRAMES) {
                add_parts(s, faults);
                bench_add(&m->commit, faults + took);
                trace(s, faults, took);
            }
        }
    }
}

static uint64_t seek(setup *s, uint64_t index, bool rested)
{
    const rp_page_slot *entries;
    size_t count, skipped;
    uint64_t start = bench_ns();
    must(rp_log_seek(s->log, index, &entries, &count), "seek");
    if (rested) {
        rp_world_rested(s->world);
    }
    must(rp_world_apply_begin(s->world), "apply");
    must(rp_world_apply(s->world, entries, count), "apply");
    must(rp_world_apply_end(s->world, &skipped), "apply");
    return bench_ns() - start;
}

/* Until nothing is left to be packed. */
static void settle(const setup *s)
{
    rp_log_stats before, after;
    rp_log_stats_get(s->log, &after);
    do {
        before = after;
        for (int i = 0; i < SETTLE_MS; i++) {
            rp_log_tend(s->log);
            sleep_until(bench_ns() + 1000000);
        }
        rp_log_stats_get(s->log, &after);
    } while (after.packed_count != before.packed_count);
}

static void measure_seeks(setup *s, choose_fn *choose, bool rested)
{
    rp_log_stats stats;
    for (int i = 0; i < FRAMES; i++) {
        choose(s);
        write_pages(s);
        commit(s);
    }
    settle(s);
    rp_log_stats_get(s->log, &stats);
    uint64_t first_raw = rp_log_last(s->log) - stats.raw_count;
    seeks_raw.commit.count = seeks_raw.peer.count = 0;
    seeks_packed.commit.count = seeks_packed.peer.count = 0;
    /* A seek brings in pages that were used long ago; so must the copying that it is held against.
     */
    for (int i = 0; i < FRAMES - 1; i++) {
        uint64_t index = rp_log_position(s->log) - 1;
        measured *m = index >= first_raw ? &seeks_raw : &seeks_packed;
        choose(s);
        bench_add(&m->peer, copy_pages(s));
        bench_add(&m->commit, seek(s, index, rested));
    }
}

typedef struct row {
    const char *id, *what, *note;
    measured *of;
    double target;
    bool in_us;
} row;

static void print(const row *r)
{
    double median = bench_median(&r->of->commit), peer = bench_median(&r->of->peer);
    bench_print(&(bench_result){
        .id = r->id,
        .what = r->what,
        .unit = r->in_us ? "us" : "ratio",
        .value = r->in_us ? median : median / peer,
        .target = r->target,
        .median_us = median,
        .peer_us = peer,
        .spread = bench_spread(&r->of->commit),
        .note = r->note,
    });
}

static void print_commits(const setup *s, const char *id, const char *what, double target,
                          bool in_us)
{
    char note[200];
    struct parts *p = &parts_now;
    rp_world_stats stats;
    rp_world_stats_get(s->world, &stats);
    snprintf(note, sizeof note,
             "faults %.0f, compare %.0f, gather %.0f, copy %.0f; between frames %.0f us; "
             "%llu hot; split %llu, collapsed %llu",
             bench_median(&p->faults), bench_median(&p->compare), bench_median(&p->gather),
             bench_median(&p->copy),
             s->tend_count ? (double)s->tend_spent_ns / 1e3 / (double)s->tend_count : 0.0,
             (unsigned long long)stats.hot_count, (unsigned long long)stats.split_count,
             (unsigned long long)stats.collapse_count);
    print(&(row){id, what, note, &measured_now, target, in_us});
}

typedef struct size_case {
    const char *name;
    size_t bytes;
    double commit, idle_us, seek;
} size_case;

static const size_case sizes[] = {
    {"16MiB", RP_MIB(16), 1.25, 30, 2},
    {"256MiB", RP_MIB(256), 1.35, 60, 2},
    {"1GiB", RP_GIB(1), 1.5, 100, 3},
    {"4GiB", RP_GIB(4), 2.0, 300, 3},
};

static const char *named(const size_case *c, const char *kind)
{
    static char name[48];
    snprintf(name, sizeof name, "%s%s%s", c->name, *kind ? " " : "", kind);
    return name;
}

typedef struct pattern {
    const char *id, *kind;
    choose_fn *choose;
    double target;
    bool in_us;
} pattern;

/* At 60 Hz, and without a pause. */
static void run_commits(setup *s, const size_case *c, const pattern *p)
{
    char kind[24];
    settle(s);
    s->paced = true;
    s->next_ns = bench_ns();
    measure_commits(s, p->choose);
    print_commits(s, p->id, named(c, p->kind), p->target, p->in_us);
    s->paced = false;
    measure_commits(s, p->choose);
    snprintf(kind, sizeof kind, "%s%sno pause", p->kind, *p->kind ? ", " : "");
    print_commits(s, p->id, named(c, kind), p->target, p->in_us);
}

static const char *packed_name(const size_case *c, const char *kind)
{
    static char name[64];
    snprintf(name, sizeof name, "%s, packed", named(c, kind));
    return name;
}

/* Among the frames that are kept as they are, and among those that were packed. */
static void run_seeks(setup *s, const size_case *c, const char *kind, choose_fn *choose,
                      bool rested)
{
    char note[64];
    measure_seeks(s, choose, rested);
    snprintf(note, sizeof note, "%zu seeks", seeks_raw.commit.count);
    print(&(row){"S4", named(c, kind), note, &seeks_raw, c->seek, false});
    snprintf(note, sizeof note, "%zu seeks", seeks_packed.commit.count);
    print(&(row){"S4", packed_name(c, kind), note, &seeks_packed, c->seek, false});
}

static void run_case(const size_case *c)
{
    setup *s = open_setup(c->bytes, RP_TRACKING_AUTO);
    if (bench_wants("S1")) {
        run_commits(s, c, &(pattern){"S1", "", choose_hot_and_cold, c->commit, false});
    }
    if (bench_wants("S3")) {
        run_commits(s, c, &(pattern){"S3", "", choose_idle, c->idle_us, true});
        run_commits(s, c, &(pattern){"S3", "random", choose_idle_random, c->idle_us, true});
    }
    if (bench_wants("S4") && c->bytes <= RP_GIB(1)) {
        run_seeks(s, c, "", choose_seek, false);
        run_seeks(s, c, "random", choose_seek_random, false);
        run_seeks(s, c, "rested", choose_seek, true);
        run_seeks(s, c, "rested, random", choose_seek_random, true);
    }
    if (bench_wants("S2")) {
        run_commits(s, c, &(pattern){"S2", "", choose_cold, 4.5, false});
    }
    close_setup(s);
}

/* S1's pattern on each rung of the ladder, without a target: what stepping down costs. */
static void run_rungs(const size_case *c)
{
    static const struct {
        rp_tracking tracking;
        const char *name;
    } rungs[] = {{RP_TRACKING_WP_ASYNC, "wp-async"},
                 {RP_TRACKING_WP_SIGBUS, "wp-sigbus"},
                 {RP_TRACKING_MPROTECT, "mprotect"},
                 {RP_TRACKING_COMPARE, "compare"}};
    for (size_t i = 0; i < RP_COUNT_OF(rungs) && bench_wants("rungs"); i++) {
        char name[40];
        setup *s = open_setup(c->bytes, rungs[i].tracking);
        snprintf(name, sizeof name, "%s %s", c->name, rungs[i].name);
        measure_commits(s, choose_hot_and_cold);
        print_commits(s, "rungs", name, 0, false);
        close_setup(s);
    }
}

/* World, log and what the machine needs besides. */
static bool fits(size_t world_bytes)
{
    unsigned long long available_kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %llu kB", &available_kib) == 1) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return available_kib >> 10 > (world_bytes >> 20) * 5 / 2 + 1024;
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    const char *only = getenv("RP_BENCH_SIZES"); /* such as "16MiB,1GiB" */
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        if (only && !strstr(only, sizes[i].name)) {
            continue;
        }
        if (fits(sizes[i].bytes)) {
            run_case(&sizes[i]);
            if (sizes[i].bytes <= RP_MIB(256)) {
                run_rungs(&sizes[i]);
            }
        } else {
            fprintf(stderr, "bench_history: %s left out: too little memory is free\n",
                    sizes[i].name);
        }
    }
    return bench_done();
}
