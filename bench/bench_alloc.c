/* What single operations of the allocators cost: S14, and the many heaps of S12.
 *
 *   S14  pair: one 64-byte block allocated and freed; churn: the same for random ones of 20,000; a
 *        push on an arena; a heap made, one allocation, destroyed; a whole heap freed, by the
 * block; all beside mimalloc's in the same process S12  64 heaps in turn, ours over mimalloc's lock
 * two threads on one heap over the same behind one mutex: "too much locking", in figures
 */
#include "operations.h"

#include "os/os.h"

#include <pthread.h>
#include <reprise/arena.h>
#include <reprise/memory.h>

enum {
    PAIRS = 2000000,
    CHURN_BLOCKS = 20000,
    CHURN_OPS = 1000000,
    PUSHES = 1000, /* between a mark and its release */
    PUSH_ROUNDS = 2000,
    HEAPS = 64,
    HEAP_BLOCKS = 200,
    HEAP_OPS = 500000,
    MADE = 10000,
    FREED_HEAPS = 4,
    FREED_BLOCKS = 50000,
    LOCK_THREADS = 2,
    LOCK_BLOCKS = 1000,
    LOCK_OPS = 500000,
    LOCK_ROUNDS = 11,
};

typedef struct api {
    void *(*open)(void);
    void (*close)(void *heap);
    void *(*alloc)(void *heap, size_t size_bytes);
    void (*free)(void *block);
} api;

static void *must(void *result)
{
    if (!result) {
        fprintf(stderr, "bench_alloc: out of memory: %s\n", rp_error_last()->text);
        exit(EXIT_FAILURE);
    }
    return result;
}

static void *ours_open(void)
{
    return must(rp_heap_create(&(rp_heap_desc){.name = "bench"}));
}

static void ours_close(void *heap)
{
    rp_allocator_destroy(heap);
}

BENCH_INLINE void *ours_alloc(void *heap, size_t size_bytes)
{
    return rp_alloc(heap, size_bytes);
}

static void *peer_open(void)
{
    return must(mi.heap_new());
}

static void peer_close(void *heap)
{
    mi.heap_destroy(heap);
}

/* Without a heap: its general one, as malloc is. */
BENCH_INLINE void *peer_alloc(void *heap, size_t size_bytes)
{
    return heap ? mi.heap_malloc(heap, size_bytes) : mi.malloc(size_bytes);
}

BENCH_INLINE void peer_free(void *block)
{
    mi.free(block);
}

static const api ours = {ours_open, ours_close, ours_alloc, rp_free};
static const api peer = {peer_open, peer_close, peer_alloc, peer_free};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static double each(uint64_t since, size_t count)
{
    return (double)(bench_cpu_ns() - since) / (double)count;
}

/* ---- loops ---- */

BENCH_INLINE double pair(const api *a, void *heap)
{
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < PAIRS; i++) {
        char *block = a->alloc(heap, 64);
        *(volatile char *)block = 1;
        a->free(block);
    }
    return each(start, PAIRS);
}

BENCH_INLINE double churn(const api *a, void *heap)
{
    static void *blocks[CHURN_BLOCKS];
    uint32_t seed = 2463534242;
    for (size_t i = 0; i < CHURN_BLOCKS; i++) {
        blocks[i] = a->alloc(heap, 64);
    }
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < CHURN_OPS; i++) {
        void **at = &blocks[(uint64_t)next_random(&seed) * CHURN_BLOCKS >> 32];
        a->free(*at);
        *at = a->alloc(heap, 64);
        *(volatile char *)*at = 1;
    }
    double ns = each(start, CHURN_OPS);
    for (size_t i = 0; i < CHURN_BLOCKS; i++) {
        a->free(blocks[i]);
    }
    return ns;
}

BENCH_INLINE double make_heaps(const api *a)
{
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < MADE; i++) {
        void *heap = a->open();
        *(volatile char *)a->alloc(heap, 64) = 1;
        a->close(heap);
    }
    return each(start, MADE);
}

BENCH_INLINE double free_heaps(const api *a)
{
    uint64_t took = 0;
    for (size_t k = 0; k < FREED_HEAPS; k++) {
        void *heap = a->open();
        for (size_t i = 0; i < FREED_BLOCKS; i++) {
            *(volatile char *)a->alloc(heap, 64) = 1;
        }
        uint64_t start = bench_cpu_ns();
        a->close(heap);
        took += bench_cpu_ns() - start;
    }
    return (double)took / (FREED_HEAPS * FREED_BLOCKS);
}

BENCH_INLINE double many_heaps(const api *a)
{
    static void *heaps[HEAPS], *blocks[HEAPS][HEAP_BLOCKS];
    uint32_t seed = 2463534242;
    for (size_t h = 0; h < HEAPS; h++) {
        heaps[h] = a->open();
        for (size_t i = 0; i < HEAP_BLOCKS; i++) {
            blocks[h][i] = a->alloc(heaps[h], 16 + i);
        }
    }
    uint64_t start = bench_cpu_ns();
    for (size_t i = 0; i < HEAP_OPS; i++) {
        uint32_t random = next_random(&seed);
        void **at = &blocks[i % HEAPS][random % HEAP_BLOCKS];
        a->free(*at);
        *at = a->alloc(heaps[i % HEAPS], 16 + (random >> 24));
        *(volatile char *)*at = 1;
    }
    double ns = each(start, HEAP_OPS);
    for (size_t h = 0; h < HEAPS; h++) {
        a->close(heaps[h]);
    }
    return ns;
}

/* ---- operations ---- */

static double ours_pair(void)
{
    return pair(&ours, rp_generic(RP_ZONE_WORLD));
}

static double peer_pair(void)
{
    return pair(&peer, NULL);
}

static double ours_churn(void)
{
    return churn(&ours, rp_generic(RP_ZONE_WORLD));
}

static double peer_churn(void)
{
    return churn(&peer, NULL);
}

static double ours_make(void)
{
    return make_heaps(&ours);
}

static double peer_make(void)
{
    return make_heaps(&peer);
}

static double ours_free(void)
{
    return free_heaps(&ours);
}

static double peer_free_heaps(void)
{
    return free_heaps(&peer);
}

static double ours_heaps(void)
{
    return many_heaps(&ours);
}

static double peer_heaps(void)
{
    return many_heaps(&peer);
}

static double arena_push(void)
{
    rp_arena *arena = must(rp_arena_create(&(rp_arena_desc){.name = "bench"}));
    uint64_t start = bench_cpu_ns();
    for (size_t round = 0; round < PUSH_ROUNDS; round++) {
        rp_arena_mark mark = rp_arena_mark_get(arena);
        for (size_t i = 0; i < PUSHES; i++) {
            *(volatile char *)rp_arena_push(arena, 64, 16) = 1;
        }
        rp_arena_release(arena, mark);
    }
    double ns = each(start, (size_t)PUSHES * PUSH_ROUNDS);
    rp_allocator_destroy(rp_arena_allocator(arena));
    return ns;
}

static const operation operations[] = {
    {"S14", "pair 64 B", ours_pair, peer_pair, 2.6, 0},
    {"S14", "churn 64 B", ours_churn, peer_churn, 4.5, 0},
    {"S14", "arena push", arena_push, NULL, 0.8, 0},
    {"S14", "heap made, gone", ours_make, peer_make, 100, 0},
    {"S14", "heap freed, a block", ours_free, peer_free_heaps, 2.0, 0},
    {"S12", "many heaps", ours_heaps, peer_heaps, 0, 0.90},
};

/* ---- one lock ---- */

typedef struct contender {
    pthread_t thread;
    rp_allocator *heap;
    pthread_mutex_t *lock; /* null: none */
    uint32_t seed;
} contender;

static void lock_if(pthread_mutex_t *lock)
{
    if (lock) {
        pthread_mutex_lock(lock);
    }
}

static void unlock_if(pthread_mutex_t *lock)
{
    if (lock) {
        pthread_mutex_unlock(lock);
    }
}

static void *contend(void *argument)
{
    contender *c = argument;
    void *blocks[LOCK_BLOCKS] = {0};
    for (size_t i = 0; i < LOCK_OPS + LOCK_BLOCKS; i++) {
        uint32_t random = next_random(&c->seed);
        void **at = &blocks[i < LOCK_OPS ? random % LOCK_BLOCKS : i - LOCK_OPS];
        lock_if(c->lock);
        rp_free(*at);
        unlock_if(c->lock);
        if (i < LOCK_OPS) {
            lock_if(c->lock);
            *at = rp_alloc(c->heap, 16 + (random >> 24));
            unlock_if(c->lock);
            *(volatile char *)must(*at) = 1;
        }
    }
    return NULL;
}

static void contend_all(pthread_mutex_t *lock, bench_samples *took)
{
    contender contenders[LOCK_THREADS];
    rp_allocator *heap = ours_open();
    uint64_t start = bench_ns();
    for (size_t i = 0; i < LOCK_THREADS; i++) {
        contenders[i] = (contender){.heap = heap, .lock = lock, .seed = 77 + (uint32_t)i};
        if (pthread_create(&contenders[i].thread, NULL, contend, &contenders[i])) {
            fprintf(stderr, "bench_alloc: a thread could not be started\n");
            exit(EXIT_FAILURE);
        }
    }
    for (size_t i = 0; i < LOCK_THREADS; i++) {
        pthread_join(contenders[i].thread, NULL);
    }
    bench_add(took, bench_ns() - start);
    rp_allocator_destroy(heap);
}

static void measure_one_lock(void)
{
    static bench_samples free_ones, locked;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < LOCK_ROUNDS; i++) {
        contend_all(i % 2 ? &lock : NULL, i % 2 ? &locked : &free_ones);
        contend_all(i % 2 ? NULL : &lock, i % 2 ? &free_ones : &locked);
    }
    double ours_us = bench_median(&free_ones), locked_us = bench_median(&locked);
    bench_print(&(bench_result){
        .id = "S12",
        .what = "over one lock",
        .unit = "ratio",
        .value = ours_us / locked_us,
        .median_us = ours_us,
        .peer_us = locked_us,
        .spread = bench_spread(&free_ones) > bench_spread(&locked) ? bench_spread(&free_ones)
                                                                   : bench_spread(&locked),
        .note = "time that passed; the peer is the same heap behind one mutex"});
}

int main(int argc, char **argv)
{
    bench_open(argc, argv);
    mimalloc_open();
    if (rp_memory_open(NULL) != RP_OK) {
        fprintf(stderr, "bench_alloc: %s\n", rp_error_last()->text);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        operation_run(&operations[i]);
    }
    if (bench_wants("S12")) {
        measure_one_lock();
    }
    rp_memory_close();
    return bench_done();
}
