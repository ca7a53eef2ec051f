/* What the tests of the generic allocator share. */
#ifndef TESTS_ALLOC_GENERIC_FIXTURE_H
#define TESTS_ALLOC_GENERIC_FIXTURE_H

#include "alloc/generic.h"
#include "alloc/model.h"

#include <pthread.h>
#include <stdlib.h>

static inline rp_allocator *heap_make(const char *name, rp_zone zone, size_t cap_bytes)
{
    rp_allocator *heap =
        rp_heap_create(&(rp_heap_desc){.name = name, .zone = zone, .cap_bytes = cap_bytes});
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    return heap;
}

static inline rp_allocator *heap_open(void)
{
    model_open_region();
    return heap_make("test", RP_ZONE_WORLD, 0);
}

/* Both zones stand as they should; then the region goes. */
static inline void heap_close(void)
{
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
    rp_region_destroy();
}

static inline int heap_count_block(void *block, size_t size_bytes, void *context)
{
    uint64_t *sums = context;
    (void)block;
    sums[0]++;
    sums[1] += size_bytes;
    return 0;
}

/* The statistics and the walk say the same, and that. */
static inline void heap_holds(const rp_allocator *heap, uint64_t count, uint64_t bytes)
{
    uint64_t walked[2] = {0, 0};
    rp_walk(heap, heap_count_block, walked);
    rp_alloc_stats stats = model_stats(heap);
    ck_assert_uint_eq(stats.live_count, count);
    ck_assert_uint_eq(stats.live_bytes, bytes);
    ck_assert_uint_eq(walked[0], count);
    ck_assert_uint_eq(walked[1], bytes);
    ck_assert_uint_ge(stats.peak_bytes, bytes);
    ck_assert_uint_ge(stats.taken_bytes, bytes);
}

/* Nothing lives, and after a flush nothing is held either. */
static inline void heap_is_empty(const rp_allocator *heap)
{
    heap_holds(heap, 0, 0);
    rp_alloc_thread_flush();
    heap_holds(heap, 0, 0);
    ck_assert_uint_eq(model_stats(heap).taken_bytes, 0);
}

/* Runs a function on a thread of its own and waits for its end. */
static inline void *on_thread(void *(*body)(void *), void *context)
{
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, body, context), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    return result;
}

/* A thread that does one thing after the other when it is told to, and lives on between. */
typedef struct helper {
    pthread_t thread;
    pthread_barrier_t begin, done;
    void *(*body)(void *);
    void *context, *result;
} helper;

static inline void *helper_main(void *context)
{
    helper *self = context;
    for (;;) {
        pthread_barrier_wait(&self->begin);
        if (!self->body) {
            return NULL;
        }
        self->result = self->body(self->context);
        pthread_barrier_wait(&self->done);
    }
}

static inline void helper_start(helper *h)
{
    pthread_barrier_init(&h->begin, NULL, 2);
    pthread_barrier_init(&h->done, NULL, 2);
    ck_assert_int_eq(pthread_create(&h->thread, NULL, helper_main, h), 0);
}

static inline void *helper_do(helper *h, void *(*body)(void *), void *context)
{
    h->body = body;
    h->context = context;
    pthread_barrier_wait(&h->begin);
    pthread_barrier_wait(&h->done);
    return h->result;
}

static inline void helper_end(helper *h)
{
    h->body = NULL;
    pthread_barrier_wait(&h->begin);
    pthread_join(h->thread, NULL);
    pthread_barrier_destroy(&h->begin);
    pthread_barrier_destroy(&h->done);
}

/* ---- bodies ---- */

typedef struct blocks {
    rp_allocator *heap;
    size_t size_bytes, count;
    void **at;
} blocks;

static inline blocks blocks_of(rp_allocator *heap, size_t size_bytes, size_t count)
{
    return (blocks){heap, size_bytes, count, calloc(count, sizeof(void *))};
}

static inline void *blocks_make(void *context)
{
    blocks *b = context;
    for (size_t i = 0; i < b->count; i++) {
        b->at[i] = rp_alloc(b->heap, b->size_bytes);
        ck_assert_msg(b->at[i], "%s", rp_error_last()->text);
        memset(b->at[i], (int)i, b->size_bytes);
    }
    return NULL;
}

static inline void *blocks_free(void *context)
{
    blocks *b = context;
    for (size_t i = 0; i < b->count; i++) {
        const uint8_t *bytes = b->at[i];
        if (b->size_bytes && (bytes[0] != (uint8_t)i || bytes[b->size_bytes - 1] != (uint8_t)i)) {
            ck_abort_msg("block %zu of %zu bytes changed", i, b->size_bytes);
        }
        rp_free(b->at[i]);
    }
    return NULL;
}

static inline void *flush(void *context)
{
    rp_alloc_thread_flush();
    return context;
}

static inline void *free_one(void *block)
{
    rp_free(block);
    return NULL;
}

#endif
