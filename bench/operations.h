/* Operations of some nanoseconds, ours and the peer's in turn: for bench_alloc and bench_tracing.
 *
 * A loop is written once, as an always inlined function over an `api`; with a constant api the
 * compiler makes direct calls of ours, and of the peer's such calls as any program makes into a
 * shared library. Figures are CPU time of the thread, in ns for one operation.
 */
#ifndef BENCH_OPERATIONS_H
#define BENCH_OPERATIONS_H

#include "bench.h"

#include <dlfcn.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

enum { OPERATION_SAMPLES = 21 };

typedef double operation_fn(void); /* ns for one */

typedef struct operation {
    const char *id, *name;
    operation_fn *ours, *peer; /* peer null: none */
    double target_ns;          /* 0: none */
    double target_ratio;       /* ours over the peer's; 0: none */
} operation;

typedef struct mimalloc_api {
    void *(*malloc)(size_t size_bytes);
    void (*free)(void *block);
    void *(*heap_new)(void);
    void *(*heap_malloc)(void *heap, size_t size_bytes);
    void (*heap_destroy)(void *heap);
} mimalloc_api;

static mimalloc_api mi;

static inline void *mimalloc_symbol(void *library, const char *name)
{
    void *address = library ? dlsym(library, name) : NULL;
    if (!address) {
        fprintf(stderr, "bench: %s: mimalloc is missing: install the package libmimalloc2.0\n",
                name);
        exit(EXIT_FAILURE);
    }
    return address;
}

/* Beside our allocator and libc's, which stays malloc. */
static inline void mimalloc_open(void)
{
    void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    *(void **)&mi.malloc = mimalloc_symbol(library, "mi_malloc");
    *(void **)&mi.free = mimalloc_symbol(library, "mi_free");
    *(void **)&mi.heap_new = mimalloc_symbol(library, "mi_heap_new");
    *(void **)&mi.heap_malloc = mimalloc_symbol(library, "mi_heap_malloc");
    *(void **)&mi.heap_destroy = mimalloc_symbol(library, "mi_heap_destroy");
}

/* Samples hold ns here, not us. */
static inline void operation_add(bench_samples *samples, double ns)
{
    if (samples->count < BENCH_SAMPLES_MOST) {
        samples->us[samples->count++] = ns;
    }
}

static inline void operation_print(const operation *o, bench_samples *ours, bench_samples *peer)
{
    double ns = bench_median(ours), peer_ns = bench_median(peer);
    char note[80] = "";
    if (peer_ns > 0) {
        snprintf(note, sizeof note, "mimalloc %.2f ns, spread %.0f %%", peer_ns,
                 bench_spread(peer) * 100);
    }
    bench_result r = {.id = o->id,
                      .what = o->name,
                      .unit = "ns",
                      .value = ns,
                      .target = o->target_ns,
                      .median_us = ns / 1000,
                      .peer_us = peer_ns / 1000,
                      .spread = bench_spread(ours),
                      .note = note};
    if (o->target_ratio > 0) {
        snprintf(note, sizeof note, "%.2f ns, mimalloc %.2f ns", ns, peer_ns);
        r.unit = "ratio";
        r.value = ns / peer_ns;
        r.target = o->target_ratio;
    }
    bench_print(&r);
}

static inline void operation_run(const operation *o)
{
    static bench_samples ours, peer;
    if (!bench_wants(o->id)) {
        return;
    }
    ours.count = peer.count = 0;
    for (int i = 0; i < OPERATION_SAMPLES; i++) {
        bool first = i % 2 == 0;
        if (first) {
            operation_add(&ours, o->ours());
        }
        if (o->peer) {
            operation_add(&peer, o->peer());
        }
        if (!first) {
            operation_add(&ours, o->ours());
        }
    }
    operation_print(o, &ours, &peer);
}

#endif
