/* What the allocation patterns of malloc_patterns share: random numbers, marked blocks, queues.
 *
 * A pattern is a function that allocates by plain malloc and returns a checksum, which depends on
 * what it did and never on addresses or on the order of threads: it is equal under every allocator.
 * Each block is marked at its start when it is made, and looked at when it is freed, so that a
 * block that is handed out twice ends the program. One line of a block is touched and no more: what
 * the patterns measure is the allocator.
 */
#ifndef BENCH_PATTERNS_H
#define BENCH_PATTERNS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct pattern {
    const char *name;
    uint64_t (*run)(void);
} pattern;

extern const pattern patterns_single[], patterns_threads[]; /* the last one has no name */

typedef struct block {
    unsigned char *start;
    uint32_t size_bytes;
    unsigned char mark;
} block;

/* Ends the program with a message and a failure. */
_Noreturn void pattern_fail(const char *what);

/* ---- inline: the pattern should cost little beside the allocator ---- */

/* xorshift64 */
static inline uint64_t pattern_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline size_t pattern_between(uint64_t *seed, size_t least, size_t most)
{
    return least + (size_t)((pattern_random(seed) >> 32) * (most - least + 1) >> 32);
}

/* Between `least` and `most` (powers of two), each doubling as likely as any other. */
static inline size_t pattern_log_size(uint64_t *seed, size_t least, size_t most)
{
    size_t doublings = (size_t)(__builtin_ctzll(most) - __builtin_ctzll(least));
    size_t size_bytes = least << pattern_between(seed, 0, doublings - 1);
    return pattern_between(seed, size_bytes, size_bytes * 2);
}

static inline void *pattern_malloc(size_t size_bytes)
{
    void *start = malloc(size_bytes);
    if (!start) {
        pattern_fail("out of memory");
    }
    return start;
}

/* Marks the start with a number of its own. */
static inline block pattern_mark(void *start, size_t size_bytes)
{
    static _Thread_local unsigned char last;
    block b = {start, (uint32_t)size_bytes, ++last};
    b.start[0] = b.mark;
    return b;
}

static inline block pattern_block(size_t size_bytes)
{
    return pattern_mark(pattern_malloc(size_bytes), size_bytes);
}

static inline void pattern_check(block b)
{
    if (b.start[0] != b.mark) {
        pattern_fail("a block has another's content");
    }
}

/* Checks, frees, returns the size. */
static inline uint64_t pattern_free(block b)
{
    pattern_check(b);
    free(b.start);
    return b.size_bytes;
}

/* ---- threads ---- */

void pattern_start(pthread_t *thread, void *(*run)(void *), void *argument);
void pattern_join(pthread_t thread);
/* Keeps the calling thread on one of the processors, by number. Without it the same run costs twice
 * as much or half, after who happens to share a cache with whom. */
void pattern_pin(size_t number);

/* ---- queue: batches of blocks from some threads to others ---- */

typedef struct batch {
    struct batch *next;
    size_t count;
    block blocks[];
} batch;

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    batch *first, *last;
    int length, most, open; /* `open`: threads that still put */
} queue;

void queue_open(queue *q, int most, int producers);
void queue_close(queue *q);
void queue_put(queue *q, batch *b);
void queue_end(queue *q);    /* a producer's last call */
batch *queue_take(queue *q); /* null: all producers have ended, and it is empty */

batch *batch_make(uint64_t *seed, size_t count, size_t least, size_t most);
uint64_t batch_free(batch *b);

#endif
