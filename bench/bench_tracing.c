/* What the debug side costs: S15.
 *
 *   S15  an operation, half of a block allocated and freed, with records and stacks at a call depth
 *        of 12; the same in a scope, with records alone; and with nothing chosen: a pair in a
 *        process that opened the debug side over one in a process that did not
 */
#include "operations.h"

#include "region/region.h"

#include <reprise/debug.h>
#include <reprise/trace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPS = 100000, LIVE = 64, DEPTH = 12, PAIRS = 4000000, PROCESSES = 15 };

static rp_allocator *heap;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_tracing: %s: %s\n", what, rp_error_last()->text);
    exit(EXIT_FAILURE);
}

/* ---- tracing ---- */

static double traced_loop(void)
{
    static void *blocks[LIVE];
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < OPS; i++) {
        void **at = &blocks[i % LIVE];
        rp_free(*at);
        *at = rp_alloc(heap, 64);
        if (!*at) {
            fail("alloc");
        }
    }
    uint64_t took = bench_cpu_ns() - start;
    for (size_t i = 0; i < LIVE; i++) {
        rp_free(blocks[i]);
        blocks[i] = NULL;
    }
    return (double)took / (2.0 * OPS);
}

/* Frames that a stack shows: not inlined, and no tail call. */
static __attribute__((noinline)) double at_depth(int depth)
{
    double ns = depth > 1 ? at_depth(depth - 1) : traced_loop();
    __asm__ volatile("" ::: "memory");
    return ns;
}

static double with_stacks(void)
{
    if (rp_debug_set("bench", RP_DEBUG_TRACE | RP_DEBUG_STACKS) != RP_OK) {
        fail("debug_set");
    }
    double ns = at_depth(DEPTH);
    rp_debug_reset();
    return ns;
}

static double in_scope(void)
{
    double ns = 0;
    RP_SCOPE("bench")
    {
        ns = traced_loop();
    }
    return ns;
}

static const operation operations[] = {
    {"S15", "with stacks", with_stacks, NULL, 120, 0},
    {"S15", "in a scope", in_scope, NULL, 0, 0},
};

static void measure_tracing(void)
{
    if (rp_memory_open(NULL) != RP_OK) {
        fail("open");
    }
    heap = rp_heap_create(&(rp_heap_desc){.name = "bench"});
    if (!heap) {
        fail("heap");
    }
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        operation_run(&operations[i]);
    }
    rp_allocator_destroy(heap);
    rp_memory_close();
}

/* ---- off ---- */

static double pairs(void)
{
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < PAIRS; i++) {
        char *block = rp_alloc(heap, 64);
        *(volatile char *)block = 1;
        rp_free(block);
    }
    return (double)(bench_cpu_ns() - start) / PAIRS;
}

static _Noreturn void run_child(bool with_trace, int to)
{
    if ((with_trace ? rp_memory_open(NULL) : rp_region_create(NULL)) != RP_OK) {
        fail("open");
    }
    heap = rp_generic(RP_ZONE_WORLD);
    pairs();
    double ns = pairs();
    bool written = write(to, &ns, sizeof ns) == sizeof ns;
    with_trace ? rp_memory_close() : rp_region_destroy();
    _exit(written ? EXIT_SUCCESS : EXIT_FAILURE);
}

static double in_child(bool with_trace)
{
    int ends[2], status = 0;
    double ns = 0;
    if (pipe(ends) != 0) {
        fail("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        run_child(with_trace, ends[1]);
    }
    close(ends[1]);
    bool good = child > 0 && read(ends[0], &ns, sizeof ns) == sizeof ns;
    close(ends[0]);
    if (!good || waitpid(child, &status, 0) != child || status != 0) {
        fail("child");
    }
    return ns;
}

static void measure_off(void)
{
    static bench_samples with, without;
    char note[80];
    for (int i = 0; i < PROCESSES; i++) {
        bool first = i % 2 == 0;
        operation_add(first ? &with : &without, in_child(first));
        operation_add(first ? &without : &with, in_child(!first));
    }
    double on = bench_median(&with), off = bench_median(&without);
    double spread = bench_spread(&without);
    snprintf(note, sizeof note, "pair %.2f ns, without the debug side %.2f ns", on, off);
    /* Not measurable: within what two runs of the same differ by. */
    bench_print(&(bench_result){.id = "S15",
                                .what = "off, a pair",
                                .unit = "ratio",
                                .value = on / off,
                                .target = 1.02,
                                .median_us = on / 1000,
                                .peer_us = off / 1000,
                                .spread = spread,
                                .note = note});
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    if (bench_wants("S15")) {
        measure_off(); /* first: its children must not inherit an open region */
        measure_tracing();
    }
    return bench_done();
}
