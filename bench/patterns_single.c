/* Allocation patterns of one thread. */
#include "patterns.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHURN_SLOTS = 4096, /* 256 KiB: what is measured are not the misses of a larger set */
    CHURN_OPS = 24 * 1000 * 1000,
    MIXED_SLOTS = 10000,
    MIXED_OPS = 10 * 1000 * 1000,
    LARGE_SLOTS = 20,
    LARGE_OPS = 120,
    GROW_ROUNDS = 150,
    GROW_STRINGS = 1000,
    STRING_MOST = 1000,
    TREE_DEPTH = 14,
    TREES = 900,
    ZEROED_SLOTS = 1000,
    ZEROED_OPS = 800 * 1000,
    PHASES = 40,
    PHASE_BLOCKS = 60000,
    PHASE_KEPT = 50,
};

/* Replaces random ones of `count` blocks; the sizes come from `size`. */
static uint64_t churn(size_t count, size_t ops, size_t (*size)(uint64_t *seed))
{
    block *blocks = pattern_malloc(count * sizeof *blocks);
    uint64_t seed = 0x9e3779b97f4a7c15, sum = 0;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = pattern_block(size(&seed));
    }
    for (size_t i = 0; i < ops; i++) {
        size_t at = pattern_between(&seed, 0, count - 1);
        sum += pattern_free(blocks[at]) * (i & 0xff);
        blocks[at] = pattern_block(size(&seed));
    }
    for (size_t i = 0; i < count; i++) {
        sum += pattern_free(blocks[i]);
    }
    free(blocks);
    return sum;
}

static size_t size_64(uint64_t *seed)
{
    (void)seed;
    return 64;
}

static size_t size_mixed(uint64_t *seed)
{
    return pattern_log_size(seed, 8, 32768);
}

static uint64_t churn_64(void)
{
    return churn(CHURN_SLOTS, CHURN_OPS, size_64);
}

static uint64_t churn_mixed(void)
{
    return churn(MIXED_SLOTS, MIXED_OPS, size_mixed);
}

/* 5 to 25 MB, each written as `new char[n]()` does. */
static uint64_t large(void)
{
    block blocks[LARGE_SLOTS] = {{0}};
    uint64_t seed = 0x2545f4914f6cdd1d, sum = 0;
    for (size_t i = 0; i < LARGE_OPS; i++) {
        block *b = &blocks[pattern_between(&seed, 0, LARGE_SLOTS - 1)];
        sum += b->start ? pattern_free(*b) : 0;
        size_t size_bytes = pattern_between(&seed, 5000000, 25000000);
        unsigned char *start = pattern_malloc(size_bytes);
        memset(start, 0, size_bytes);
        *b = pattern_mark(start, size_bytes);
    }
    for (size_t i = 0; i < LARGE_SLOTS; i++) {
        sum += blocks[i].start ? pattern_free(blocks[i]) : 0;
    }
    return sum;
}

static block grown(block b, size_t size_bytes)
{
    unsigned char *start = realloc(b.start, size_bytes);
    if (!start) {
        pattern_fail("out of memory");
    }
    if (b.start) {
        pattern_check((block){start, b.size_bytes, b.mark});
    }
    return pattern_mark(start, size_bytes);
}

/* Vectors that grow by half to some MiB, among strings that grow by a few bytes. */
static uint64_t growth(void)
{
    block *strings = calloc(GROW_STRINGS, sizeof *strings);
    if (!strings) {
        pattern_fail("out of memory");
    }
    uint64_t seed = 0xd1342543de82ef95, sum = 0;
    for (size_t round = 0; round < GROW_ROUNDS; round++) {
        block vectors[4] = {{0}};
        size_t most = pattern_log_size(&seed, 1 << 20, 8 << 20);
        for (size_t size_bytes = 32; size_bytes < most; size_bytes += size_bytes / 2) {
            for (size_t i = 0; i < 4; i++) {
                vectors[i] = grown(vectors[i], size_bytes);
            }
            for (size_t i = 0; i < GROW_STRINGS; i++) {
                block *s = &strings[i];
                if (s->size_bytes > STRING_MOST) {
                    sum += pattern_free(*s);
                    *s = (block){0};
                }
                *s = grown(*s, s->size_bytes + pattern_between(&seed, 1, 40));
            }
        }
        for (size_t i = 0; i < 4; i++) {
            sum += pattern_free(vectors[i]) * (round + 1);
        }
    }
    for (size_t i = 0; i < GROW_STRINGS; i++) {
        sum += pattern_free(strings[i]);
    }
    free(strings);
    return sum;
}

typedef struct node {
    struct node *left, *right;
} node;

static node *tree_make(int depth)
{
    node *n = pattern_malloc(sizeof *n);
    n->left = depth > 0 ? tree_make(depth - 1) : NULL;
    n->right = depth > 0 ? tree_make(depth - 1) : NULL;
    return n;
}

static uint64_t tree_free(node *n)
{
    uint64_t count = 1 + (n->left ? tree_free(n->left) : 0) + (n->right ? tree_free(n->right) : 0);
    free(n);
    return count;
}

/* Short-lived small trees beside a long-lived one. */
static uint64_t trees(void)
{
    node *kept = tree_make(TREE_DEPTH + 2);
    uint64_t seed = 0xaef17502108ef2d9, sum = 0;
    for (int i = 0; i < TREES; i++) {
        node *n = tree_make((int)pattern_between(&seed, TREE_DEPTH - 2, TREE_DEPTH + 1));
        sum += tree_free(n) * (uint64_t)(i + 1);
    }
    return sum + tree_free(kept);
}

static void check_zero(const unsigned char *start, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i += 512) {
        if (start[i]) {
            pattern_fail("calloc gave memory that is not zero");
        }
    }
    if (start[size_bytes - 1]) {
        pattern_fail("calloc gave memory that is not zero");
    }
}

static uint64_t zeroed(void)
{
    block *blocks = pattern_malloc(ZEROED_SLOTS * sizeof *blocks);
    memset(blocks, 0, ZEROED_SLOTS * sizeof *blocks);
    uint64_t seed = 0x14057b7ef767814f, sum = 0;
    for (size_t i = 0; i < ZEROED_OPS; i++) {
        block *b = &blocks[pattern_between(&seed, 0, ZEROED_SLOTS - 1)];
        sum += b->start ? pattern_free(*b) * (i & 0xff) : 0;
        size_t size_bytes = pattern_log_size(&seed, 16, 65536);
        unsigned char *start = calloc(1, size_bytes);
        if (!start) {
            pattern_fail("out of memory");
        }
        check_zero(start, size_bytes);
        memset(start, 1, size_bytes);
        *b = pattern_mark(start, size_bytes);
    }
    for (size_t i = 0; i < ZEROED_SLOTS; i++) {
        sum += blocks[i].start ? pattern_free(blocks[i]) : 0;
    }
    free(blocks);
    return sum;
}

/* Each phase fills memory with blocks of other sizes and leaves one in PHASE_KEPT of them. */
static uint64_t phases(void)
{
    block *blocks = pattern_malloc(PHASE_BLOCKS * sizeof *blocks);
    block *kept = pattern_malloc(PHASES * PHASE_BLOCKS / PHASE_KEPT * sizeof *kept);
    size_t kept_count = 0;
    uint64_t seed = 0x6c8e9cf570932bd5, sum = 0;
    for (size_t phase = 0; phase < PHASES; phase++) {
        size_t least = 16 + 12 * phase;
        for (size_t i = 0; i < PHASE_BLOCKS; i++) {
            blocks[i] = pattern_block(pattern_between(&seed, least, least * 2));
            memset(blocks[i].start, blocks[i].mark, blocks[i].size_bytes);
        }
        for (size_t i = 0; i < PHASE_BLOCKS; i++) {
            if (i % PHASE_KEPT == 0) {
                kept[kept_count++] = blocks[i];
            } else {
                sum += pattern_free(blocks[i]);
            }
        }
    }
    for (size_t i = 0; i < kept_count; i++) {
        sum += pattern_free(kept[i]);
    }
    free(kept);
    free(blocks);
    return sum;
}

const pattern patterns_single[] = {
    {"churn-64", churn_64}, {"churn-mixed", churn_mixed}, {"large", large},   {"growth", growth},
    {"trees", trees},       {"calloc", zeroed},           {"phases", phases}, {NULL, NULL},
};
