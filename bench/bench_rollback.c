/* What rollback costs: S7.
 *
 *   S7  rp_rollback by 8 frames: the state of 8 frames ago, then 8 frames made again and committed;
 *       64 MiB world, 500 pages a frame, in milliseconds
 *
 * Clusters: 20 runs of 25 pages that are the same from frame to frame, but for one that moves.
 * Random: 500 pages anywhere, others in each frame. The program's own stores do not count: they are
 * made once more, into pages that were written already, and that time is taken off; what is slower
 * the first time is tracking, and counts. The peer copies the same bytes by memcpy, page by page:
 * the pages of the 8 frames out of the world, and each that they wrote back into it.
 */
#include "bench.h"

#include "base/bits.h"

#include <reprise/deck.h>

enum {
    PAGE_BYTES = 4096,
    BACK = 8,
    PAGES = 500,
    CLUSTER = 25,
    SETS = 64, /* frames take turns at them */
    TICKS = 120,
    WARM_TICKS = 20,
};

typedef struct setup {
    rp_deck *deck;
    uint8_t *start;
    size_t page_count;
    uint32_t (*sets)[PAGES];
    uint32_t marks[RP_MIB(64) / PAGE_BYTES], mark;
    uint8_t *copies;
    uint64_t frame, seed;
    uint64_t stores_ns;
} setup;

static void must(rp_status status, const char *what)
{
    if (status != RP_OK) {
        fprintf(stderr, "bench_rollback: %s: %s\n", what, rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
}

static uint32_t random_page(setup *s, uint32_t room)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return (uint32_t)(s->seed % (s->page_count - room));
}

static void choose_random(setup *s)
{
    for (int set = 0; set < SETS; set++) {
        for (int i = 0; i < PAGES; i++) {
            s->sets[set][i] = random_page(s, 1);
        }
    }
}

static void choose_clusters(setup *s)
{
    uint32_t first[PAGES / CLUSTER];
    for (int c = 0; c < PAGES / CLUSTER; c++) {
        first[c] = random_page(s, CLUSTER);
    }
    for (int set = 0; set < SETS; set++) {
        first[set % (PAGES / CLUSTER)] = random_page(s, CLUSTER);
        for (int i = 0; i < PAGES; i++) {
            s->sets[set][i] = first[i / CLUSTER] + (uint32_t)(i % CLUSTER);
        }
    }
}

static void store(setup *s)
{
    const uint32_t *set = s->sets[s->frame % SETS];
    for (int i = 0; i < PAGES; i++) {
        uint64_t *word = (uint64_t *)(void *)(s->start + (size_t)set[i] * PAGE_BYTES);
        word[set[i] % 500] += s->frame;
    }
}

/* The stores, and again to know what they cost by themselves. */
static void step(void *context, rp_moment moment, const void *input, size_t input_bytes)
{
    setup *s = context;
    (void)moment, (void)input, (void)input_bytes;
    s->frame++;
    store(s);
    uint64_t start = bench_ns();
    store(s);
    s->stores_ns += 2 * (bench_ns() - start);
}

static uint64_t roll(setup *s)
{
    uint64_t start = bench_ns(), frame = s->frame;
    s->stores_ns = 0;
    s->frame -= BACK;
    must(rp_rollback(s->deck,
                     &(rp_rollback_desc){
                         .frame = frame - BACK, .frame_count = BACK, .step = step, .context = s}),
         "rollback");
    uint64_t took = bench_ns() - start;
    return took > s->stores_ns ? took - s->stores_ns : 0;
}

static void live(setup *s)
{
    rp_frame_begin(s->deck, NULL, 0);
    step(s, RP_MOMENT_LIVE, NULL, 0);
    must(rp_frame_end(s->deck, NULL), "frame");
}

static uint64_t copy(setup *s)
{
    uint8_t *to = s->copies;
    uint64_t start = bench_ns();
    s->mark++;
    for (uint64_t frame = s->frame - BACK + 1; frame <= s->frame; frame++) {
        const uint32_t *set = s->sets[frame % SETS];
        for (int i = 0; i < PAGES; i++, to += PAGE_BYTES) {
            uint8_t *page = s->start + (size_t)set[i] * PAGE_BYTES;
            memcpy(to, page, PAGE_BYTES);
            if (s->marks[set[i]] != s->mark) { /* each comes back once */
                s->marks[set[i]] = s->mark;
                memcpy(s->copies + RP_MIB(32), page, PAGE_BYTES);
            }
        }
    }
    return bench_ns() - start;
}

static setup *open_setup(void)
{
    setup *s = calloc(1, sizeof *s);
    if (!s) {
        exit(EXIT_FAILURE);
    }
    s->seed = 88172645463325252u;
    s->page_count = RP_MIB(64) / PAGE_BYTES;
    s->sets = calloc(SETS, sizeof *s->sets);
    s->copies = malloc(RP_MIB(32) + PAGE_BYTES);
    if (!s->sets || !s->copies) {
        exit(EXIT_FAILURE);
    }
    memset(s->copies, 1, RP_MIB(32) + PAGE_BYTES);
    must(rp_deck_open(&(rp_deck_desc){.budget_bytes = RP_MIB(256)}, &s->deck), "deck");
    s->start = rp_alloc_aligned(rp_deck_heap(s->deck), PAGE_BYTES, s->page_count * PAGE_BYTES);
    must(s->start ? RP_OK : RP_E_MEMORY, "block");
    for (size_t i = 0; i < s->page_count; i++) {
        memset(s->start + i * PAGE_BYTES, (int)(i % 250) + 1, PAGE_BYTES);
    }
    return s;
}

static void close_setup(setup *s)
{
    rp_deck_close(s->deck);
    free(s->sets);
    free(s->copies);
    free(s);
}

static void measure(const char *name, void (*choose)(setup *s))
{
    static bench_samples taken, peer;
    setup *s = open_setup();
    choose(s);
    taken.count = peer.count = 0;
    for (int i = 0; i < BACK + 1; i++) {
        live(s);
    }
    for (int i = 0; i < TICKS; i++) {
        live(s);
        uint64_t copied = copy(s), rolled = roll(s);
        if (i >= WARM_TICKS) {
            bench_add(&peer, copied);
            bench_add(&taken, rolled);
        }
    }
    double median_us = bench_median(&taken), peer_us = bench_median(&peer);
    char note[40];
    snprintf(note, sizeof note, "%.1f times memcpy", median_us / peer_us);
    bench_print(&(bench_result){.id = "S7",
                                .what = name,
                                .unit = "ms",
                                .value = median_us / 1000,
                                .target = 2,
                                .median_us = median_us,
                                .peer_us = peer_us,
                                .spread = bench_spread(&taken),
                                .note = note});
    close_setup(s);
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (bench_wants("S7")) {
        measure("clusters", choose_clusters);
        measure("random", choose_random);
    }
    return bench_done();
}
