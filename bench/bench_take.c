/* What takes cost.
 *
 *   T1   opening a take of 36,000 frames by its index, in ms
 *   T2   seeking to a random frame of it, p99 in ms
 *   T3   its size over the bytes of the pages that were written; for ten seconds of it, over what
 *        xz -6 makes of those pages, one behind the other
 *   S11  handing a frame of 213 pages (50 MB/s at 60 Hz) to the recorder, p99 in us; the peer is
 *        memcpy of the same pages
 *
 * The world has 16 MiB. A frame changes some words in each of a few busy pages that move slowly,
 * and writes one or two anew. Files are made in the working directory and removed.
 */
#include "bench.h"

#include "base/bits.h"
#include "take/recorder.h"
#include "take/state.h"

#include <unistd.h>

enum {
    PAGES = 4096,
    BUSY = 24,
    FRAMES = 36000,
    OPENINGS = 15,
    SEEKS = 200,
    HANDED = 213,
    HANDED_FRAMES = 600,
    XZ_FRAMES = 600
};

static const char path[] = "bench_take.take";
static uint8_t (*world)[4096];
static uint64_t seed = 88172645463325252u;

static void must(rp_status status, const char *what)
{
    if (status) {
        fprintf(stderr, "bench_take: %s: %s\n", what, rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
}

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void write_page(uint32_t page, int words)
{
    for (int i = 0; i < words; i++) {
        uint64_t word = next_random() % 1000;
        memcpy(world[page] + next_random() % 512 * 8, &word, 8);
    }
}

static void make_world(void)
{
    world = calloc(PAGES, sizeof *world);
    for (uint32_t p = 0; world && p < PAGES; p++) {
        write_page(p, 300);
    }
}

static rp_take_writer *open_writer(rp_take_file *file, bool early)
{
    rp_take_environment environment = {.rate_hz = 60};
    rp_take_writer *writer;
    must(rp_take_file_create(file, path, true), "create");
    must(rp_take_writer_open(&(rp_take_writer_desc){.sink = rp_take_file_sink(file),
                                                    .environment = &environment,
                                                    .publish_early = early},
                             &writer),
         "open");
    return writer;
}

static size_t list_frame(rp_take_page *list, uint64_t frame, size_t busy, bool all)
{
    size_t count = 0;
    for (uint32_t p = 0; p < PAGES; p++) {
        uint32_t place = (uint32_t)(p + PAGES - frame / 100 % PAGES) % PAGES;
        if (place < busy && !all) {
            write_page(p, place < 2 ? 300 : 12);
        }
        if (place < busy || all) {
            list[count++] = (rp_take_page){.page = p, .content = world[p]};
        }
    }
    return count;
}

static uint64_t write_take(void)
{
    static rp_take_page list[PAGES];
    rp_take_file file;
    rp_take_writer *writer = open_writer(&file, false);
    rp_take_writer_stats stats;
    for (uint64_t f = 0; f < FRAMES; f++) {
        size_t count = list_frame(list, f, BUSY, f == 0);
        must(rp_take_writer_frame(writer, &(rp_take_frame_desc){.frame = f + 1, .build = 1}, list,
                                  count),
             "frame");
    }
    must(rp_take_writer_finish(writer), "finish");
    rp_take_writer_stats_get(writer, &stats);
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    bench_print(&(bench_result){.id = "T3",
                                .what = "size/written",
                                .unit = "ratio",
                                .value = (double)stats.written_bytes / (double)stats.fed_bytes,
                                .target = 0.125});
    return stats.fed_bytes;
}

static double number_from(const char *command)
{
    char line[64] = "";
    FILE *answer = popen(command, "r");
    if (!answer || !fgets(line, sizeof line, answer) || pclose(answer)) {
        fprintf(stderr, "bench_take: %s: failed\n", command);
        exit(EXIT_FAILURE);
    }
    return strtod(line, NULL);
}

/* What a take can do that xz cannot is to open at any frame; it also knows which page is which. */
static void beside_xz(void)
{
    static rp_take_page list[PAGES];
    rp_take_file file;
    rp_take_writer *writer = open_writer(&file, false);
    rp_take_writer_stats stats;
    FILE *raw = fopen("bench_take.raw", "wb");
    for (uint64_t f = 0; raw && f < XZ_FRAMES; f++) {
        size_t count = list_frame(list, f, BUSY, f == 0);
        must(rp_take_writer_frame(writer, &(rp_take_frame_desc){.frame = f + 1, .build = 1}, list,
                                  count),
             "frame");
        for (size_t i = 0; i < count; i++) {
            fwrite(list[i].content, RP_PAGE_BYTES, 1, raw);
        }
    }
    if (!raw || fclose(raw)) {
        fprintf(stderr, "bench_take: bench_take.raw cannot be written\n");
        exit(EXIT_FAILURE);
    }
    must(rp_take_writer_finish(writer), "finish");
    rp_take_writer_stats_get(writer, &stats);
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    double packed = number_from("xz -6 -c bench_take.raw | wc -c");
    unlink("bench_take.raw");
    bench_print(&(bench_result){.id = "T3",
                                .what = "size/xz -6 of the written pages",
                                .unit = "ratio",
                                .value = (double)stats.written_bytes / packed,
                                .target = 1});
}

static void seek(rp_take *take)
{
    static bench_samples samples;
    rp_take_state *state;
    must(rp_take_state_create(take, &state), "state");
    for (int i = 0; i < SEEKS; i++) {
        uint64_t start = bench_ns();
        must(rp_take_state_seek(state, next_random() % FRAMES), "seek");
        bench_add(&samples, bench_ns() - start);
    }
    double median = bench_median(&samples);
    bench_print(&(bench_result){.id = "T2",
                                .what = "seek p99",
                                .unit = "ms",
                                .value = bench_quantile(&samples, 0.99) / 1000,
                                .median_us = median,
                                .spread = bench_spread(&samples)});
    rp_take_state_destroy(state);
}

static void open_and_seek(void)
{
    static bench_samples samples;
    for (int i = 0; i < OPENINGS; i++) {
        rp_take_file_source source;
        rp_take_open_desc desc = {0};
        rp_take *take;
        uint64_t start = bench_ns();
        must(rp_take_file_open(&source, path, &desc.source), "file");
        must(rp_take_open(&desc, &take), "open");
        bench_add(&samples, bench_ns() - start);
        if (i == 0) {
            seek(take);
        }
        rp_take_close(take);
        rp_take_file_source_close(&source);
    }
    bench_print(&(bench_result){.id = "T1",
                                .what = "open 36000",
                                .unit = "ms",
                                .value = bench_median(&samples) / 1000,
                                .target = 200,
                                .spread = bench_spread(&samples)});
}

static const void *content(void *context, uint32_t page)
{
    (void)context;
    return world[page];
}

static void hand_over(void)
{
    static bench_samples handed, copied;
    static rp_take_page list[PAGES];
    static uint8_t copies[HANDED][4096];
    rp_take_file file;
    rp_take_writer *writer = open_writer(&file, true);
    rp_take_recorder *recorder;
    rp_take_recorder_stats stats;
    must(rp_take_recorder_create(&(rp_take_recorder_desc){.writer = writer, .content = content},
                                 &recorder),
         "recorder");
    for (uint64_t f = 0; f < HANDED_FRAMES; f++) {
        size_t count = list_frame(list, f, HANDED, f == 0);
        uint64_t start = bench_ns();
        must(rp_take_recorder_frame(recorder, &(rp_take_frame_desc){.frame = f + 1}, list, count,
                                    NULL),
             "hand over");
        uint64_t middle = bench_ns();
        for (size_t i = 0; i < count && i < HANDED; i++) {
            memcpy(copies[i], list[i].content, 4096);
        }
        if (f) {
            bench_add(&handed, middle - start);
            bench_add(&copied, bench_ns() - middle);
        }
        rp_os_sleep_until_ns(rp_os_monotonic_ns() + 16000000);
    }
    rp_take_recorder_stats_get(recorder, &stats);
    must(rp_take_recorder_destroy(recorder, true), "destroy");
    rp_take_writer_close(writer);
    rp_take_file_close(&file);
    bench_print(&(bench_result){.id = "S11",
                                .what = "memcpy alone, p99",
                                .unit = "us",
                                .value = bench_quantile(&copied, 0.99)});
    bench_print(&(bench_result){.id = "S11",
                                .what = "hand over, p99",
                                .unit = "us",
                                .value = bench_quantile(&handed, 0.99),
                                .target = 500,
                                .median_us = bench_median(&handed),
                                .peer_us = bench_median(&copied),
                                .spread = bench_spread(&handed),
                                .note = stats.thin ? "some frames are thin" : NULL});
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    make_world();
    if (bench_wants("T1") || bench_wants("T2") || bench_wants("T3")) {
        write_take();
        open_and_seek();
    }
    if (bench_wants("T3")) {
        beside_xz();
    }
    if (bench_wants("S11")) {
        hand_over();
    }
    unlink(path);
    free(world);
    return bench_done();
}
