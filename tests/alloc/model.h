/* Random operations on any allocator, checked against a list of what it should hold.
 *
 *     model model = {.allocator = heap, .random = test_seed(), .most_bytes = 600};
 *     for (…) model_step(&model);
 *     model_check(&model);
 *     model_empty(&model);
 *
 * Where the allocator says that it is full, the model goes on without the block.
 */
#ifndef TESTS_ALLOC_MODEL_H
#define TESTS_ALLOC_MODEL_H

#include "base/bits.h"
#include "region/region.h"
#include "support/child.h"
#include "support/snapshot.h"

#include <reprise/memory.h>
#include <string.h>

enum { MODEL_BLOCKS = 200 };

typedef struct model_block {
    uint8_t *start;
    size_t size_bytes;
    uint8_t fill;
} model_block;

typedef struct model {
    rp_allocator *allocator;
    uint64_t random;
    size_t most_bytes;   /* of a block */
    unsigned align_most; /* the largest alignment is 16 << align_most */
    uint64_t refused;
    model_block blocks[MODEL_BLOCKS];
} model;

static inline void model_open_region(void)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(1)};
    ck_ok(rp_region_create(&desc));
}

static inline rp_alloc_stats model_stats(const rp_allocator *allocator)
{
    rp_alloc_stats stats;
    rp_stats_get(allocator, &stats);
    return stats;
}

static inline void model_fill_check(const model_block *block, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (block->start[i] != block->fill) {
            ck_abort_msg("byte %zu of %p is %02x, not %02x", i, (void *)block->start,
                         block->start[i], block->fill);
        }
    }
}

static inline void model_fill(model *m, model_block *block)
{
    block->fill = (uint8_t)test_random(&m->random);
    memset(block->start, block->fill, block->size_bytes);
}

static inline void model_make(model *m, model_block *block)
{
    size_t align = (size_t)16 << test_random(&m->random) % (m->align_most + 1);
    block->size_bytes = test_random(&m->random) % (m->most_bytes + 1);
    bool zeroed = test_random(&m->random) % 2;
    block->start = zeroed ? rp_alloc_zeroed(m->allocator, 1, block->size_bytes)
                          : rp_alloc_aligned(m->allocator, align, block->size_bytes);
    if (!block->start) {
        ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
        m->refused++;
        return;
    }
    ck_assert_uint_eq((uintptr_t)block->start % (zeroed ? 16 : align), 0);
    ck_assert_uint_ge(rp_usable_bytes(block->start), block->size_bytes);
    ck_assert_ptr_eq(rp_allocator_of(block->start), m->allocator);
    if (zeroed) {
        block->fill = 0;
        model_fill_check(block, block->size_bytes);
    }
    model_fill(m, block);
}

static inline void model_resize(model *m, model_block *block)
{
    size_t size_bytes = test_random(&m->random) % (m->most_bytes + 1), before = block->size_bytes;
    uint8_t *moved = rp_resize(m->allocator, block->start, size_bytes);
    model_fill_check(block, moved && moved != block->start ? 0 : rp_min_size(before, size_bytes));
    if (!moved) {
        ck_assert_uint_gt(size_bytes, before);
        m->refused++;
        return;
    }
    *block = (model_block){moved, size_bytes, block->fill};
    model_fill_check(block, rp_min_size(before, size_bytes));
    model_fill(m, block);
}

static inline void model_step(model *m)
{
    model_block *block = &m->blocks[test_random(&m->random) % MODEL_BLOCKS];
    if (!block->start) {
        model_make(m, block);
    } else if (test_random(&m->random) % 4 == 0) {
        model_resize(m, block);
    } else {
        model_fill_check(block, block->size_bytes);
        rp_free(block->start);
        block->start = NULL;
    }
}

typedef struct model_walk {
    const model *m;
    uint64_t count, bytes;
} model_walk;

static inline int model_visit(void *start, size_t size_bytes, void *context)
{
    model_walk *walk = context;
    walk->count++;
    walk->bytes += size_bytes;
    ck_assert_uint_eq(rp_usable_bytes(start), size_bytes);
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (walk->m->blocks[i].start == start) {
            return 0;
        }
    }
    ck_abort_msg("the walk shows %p, which nobody has", start);
    return 1;
}

/* The walk and the statistics show exactly the model's blocks, and no byte of one has changed. */
static inline void model_check(const model *m)
{
    model_walk walk = {.m = m};
    uint64_t count = 0, bytes = 0;
    ck_assert_int_eq(rp_walk(m->allocator, model_visit, &walk), 0);
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (m->blocks[i].start) {
            count++;
            bytes += rp_usable_bytes(m->blocks[i].start);
            model_fill_check(&m->blocks[i], m->blocks[i].size_bytes);
        }
    }
    rp_alloc_stats stats = model_stats(m->allocator);
    ck_assert_uint_eq(walk.count, count);
    ck_assert_uint_eq(walk.bytes, bytes);
    ck_assert_uint_eq(stats.live_count, count);
    ck_assert_uint_eq(stats.live_bytes, bytes);
    ck_assert_uint_ge(stats.peak_bytes, bytes);
    ck_assert_uint_ge(stats.taken_bytes, bytes);
}

static inline void model_run(model *m, int steps)
{
    for (int i = 0; i < steps; i++) {
        model_step(m);
        if (i % (steps / 8) == 0) {
            model_check(m);
        }
    }
    model_check(m);
}

static inline void model_empty(model *m)
{
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        rp_free(m->blocks[i].start);
        m->blocks[i].start = NULL;
    }
    model_check(m);
}

static inline int model_free_it(void *block)
{
    rp_free(block);
    return 0;
}

/* `body(block)` ends by abort() and says `text`. */
static inline void model_dies(int (*body)(void *), void *block, const char *text)
{
    child_end end = child_run(body, block);
    ck_assert_msg(end.signal == SIGABRT, "signal %d, exit %d: %s", end.signal, end.exit_code,
                  end.error_text);
    ck_assert_msg(strstr(end.error_text, text), "'%s' is not in: %s", text, end.error_text);
}

#endif
