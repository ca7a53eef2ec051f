/* How the cost of a frame and of a seek grows: with the world, and with what a frame writes. For
 * the plots of the documentation, `./dev bench --plot`; not among the targets.
 *
 * Through the public deck, as an embedded program has it: rp_deck_idle between frames. Written are
 * runs of 8 pages anywhere in the world, so nearly all of them are first writes into protected
 * pages, the dear kind. `commit` is the program's slow-down by its faults and rp_frame_end, `seek`
 * is rp_seek by one frame back; the limit is memcpy of the same pages, one by one, in the same run.
 */
#include "bench.h"

#include "base/bits.h"

#include <reprise/deck.h>

enum { RUN_PAGES = 8, PAGE = 4096, FRAMES = 48, WARM = 8, PAGES_MOST = 16384 };
#define IDLE_NS 2000000

typedef struct setup {
    rp_deck *deck;
    uint8_t *block;
    size_t block_pages;
    uint32_t pages[PAGES_MOST];
    size_t count;
    uint8_t *sink;
} setup;

static bench_samples commits, seeks, copies;

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench_scale: %s: %s\n", what, rp_error_last()->text);
        exit(1);
    }
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static setup *setup_open(size_t world_bytes)
{
    setup *s = calloc(1, sizeof *s);
    must(s && (s->sink = malloc((size_t)PAGES_MOST * PAGE)) != NULL, "memory");
    memset(s->sink, 1, (size_t)PAGES_MOST * PAGE);
    must(rp_deck_open(&(rp_deck_desc){.budget_bytes = RP_GIB(2)}, &s->deck) == RP_OK, "deck");
    s->block_pages = world_bytes / PAGE;
    s->block = rp_alloc_aligned(rp_deck_heap(s->deck), PAGE, world_bytes);
    must(s->block != NULL, "world");
    memset(s->block, 1, world_bytes);
    return s;
}

static void setup_close(setup *s)
{
    rp_deck_close(s->deck);
    free(s->sink);
    free(s);
}

static void choose(setup *s, size_t count)
{
    size_t run = count < RUN_PAGES ? count : RUN_PAGES;
    s->count = 0;
    while (s->count < count) {
        uint32_t first = (uint32_t)(next_random() % (s->block_pages - run));
        for (uint32_t i = 0; i < run; i++) {
            s->pages[s->count++] = first + i;
        }
    }
}

static uint64_t copy_pages(setup *s)
{
    uint64_t begin = bench_ns();
    for (size_t i = 0; i < s->count; i++) {
        memcpy(s->sink + i * PAGE, s->block + (size_t)s->pages[i] * PAGE, PAGE);
        __asm__ volatile("" : : "r"(s->sink) : "memory");
    }
    return bench_ns() - begin;
}

static uint64_t write_and_commit(setup *s)
{
    rp_frame_begin(s->deck, NULL, 0);
    uint64_t begin = bench_ns();
    for (size_t i = 0; i < s->count; i++) {
        s->block[(size_t)s->pages[i] * PAGE + 8 * (i % 500)]++;
    }
    must(rp_frame_end(s->deck, NULL) == RP_OK, "frame");
    return bench_ns() - begin;
}

static void measure_frames(setup *s, size_t count)
{
    commits.count = copies.count = 0;
    for (int i = 0; i < FRAMES + WARM; i++) {
        choose(s, count);
        uint64_t copied = copy_pages(s);
        choose(s, count); /* others, or the copying would have warmed them */
        uint64_t took = write_and_commit(s);
        rp_deck_idle(s->deck, IDLE_NS);
        if (i >= WARM) {
            bench_add(&copies, copied);
            bench_add(&commits, took);
        }
    }
}

static void measure_seeks(setup *s)
{
    rp_deck_status status;
    rp_deck_status_get(s->deck, &status);
    seeks.count = 0;
    for (uint64_t i = 1; i <= FRAMES / 2 && status.frame - i >= status.oldest_frame; i++) {
        uint64_t begin = bench_ns();
        if (rp_seek(s->deck, status.frame - i) == RP_OK) {
            bench_add(&seeks, bench_ns() - begin);
        }
    }
    must(rp_seek(s->deck, status.frame) == RP_OK, "seek");
}

static void print(const char *what, bench_samples *of)
{
    bench_print(&(bench_result){.id = "plot",
                                .what = what,
                                .unit = "us",
                                .value = bench_median(of),
                                .median_us = bench_median(of),
                                .peer_us = bench_median(&copies),
                                .spread = bench_spread(of)});
}

static void measure(setup *s, const char *axis, size_t at, size_t count)
{
    char what[48];
    measure_frames(s, count);
    snprintf(what, sizeof what, "commit %s %zu", axis, at);
    print(what, &commits);
    measure_seeks(s);
    snprintf(what, sizeof what, "seek %s %zu", axis, at);
    print(what, &seeks);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const size_t worlds_mib[] = {4, 16, 64, 256, 1024};
    static const size_t counts[] = {1, 4, 16, 64, 256, 1024, 4096, 16384};
    bench_open(argc, argv);
    bool named = false;
    for (int i = 1; i < argc; i++) {
        named = named || strcmp(argv[i], "plot") == 0;
    }
    if (!named) {
        return bench_done();
    }
    for (size_t i = 0; i < RP_COUNT_OF(worlds_mib); i++) {
        setup *s = setup_open(worlds_mib[i] << 20);
        measure(s, "world", worlds_mib[i], 256);
        setup_close(s);
    }
    setup *s = setup_open(RP_MIB(256));
    for (size_t i = 0; i < RP_COUNT_OF(counts); i++) {
        measure(s, "pages", counts[i], counts[i]);
    }
    setup_close(s);
    return bench_done();
}
