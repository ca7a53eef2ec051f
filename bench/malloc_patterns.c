/* The allocation patterns that bench_malloc runs under each allocator: plain C, plain malloc.
 *
 *     malloc_patterns NAME     runs one; prints its name and checksum
 *     malloc_patterns          lists them
 *     malloc_patterns --who    prints the file that malloc comes from
 */
#include "patterns.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pattern_fail(const char *what)
{
    fprintf(stderr, "malloc_patterns: %s\n", what);
    exit(EXIT_FAILURE);
}

/* xorshift64 */
uint64_t pattern_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

size_t pattern_between(uint64_t *seed, size_t least, size_t most)
{
    return least + (size_t)((pattern_random(seed) >> 32) * (most - least + 1) >> 32);
}

size_t pattern_log_size(uint64_t *seed, size_t least, size_t most)
{
    size_t doublings = (size_t)(__builtin_ctzll(most) - __builtin_ctzll(least));
    size_t size_bytes = least << pattern_between(seed, 0, doublings - 1);
    return pattern_between(seed, size_bytes, size_bytes * 2);
}

void *pattern_malloc(size_t size_bytes)
{
    void *start = malloc(size_bytes);
    if (!start) {
        pattern_fail("out of memory");
    }
    return start;
}

block pattern_mark(void *start, size_t size_bytes)
{
    static _Thread_local unsigned char last;
    block b = {start, (uint32_t)size_bytes, ++last};
    b.start[0] = b.start[size_bytes - 1] = b.mark;
    return b;
}

block pattern_block(size_t size_bytes)
{
    return pattern_mark(pattern_malloc(size_bytes), size_bytes);
}

void pattern_check(block b)
{
    if (b.start[0] != b.mark || b.start[b.size_bytes - 1] != b.mark) {
        pattern_fail("a block has another's content");
    }
}

uint64_t pattern_free(block b)
{
    pattern_check(b);
    free(b.start);
    return b.size_bytes;
}

void pattern_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    if (pthread_create(thread, NULL, run, argument)) {
        pattern_fail("a thread could not be started");
    }
}

void pattern_join(pthread_t thread)
{
    if (pthread_join(thread, NULL)) {
        pattern_fail("a thread could not be joined");
    }
}

void pattern_pin(size_t number)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    size_t skip = number % (size_t)CPU_COUNT(&allowed), at = 0;
    while (!CPU_ISSET(at, &allowed) || skip-- > 0) {
        at++;
    }
    CPU_ZERO(&one);
    CPU_SET(at, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

/* ---- queue ---- */

void queue_open(queue *q, int most, int producers)
{
    *q = (queue){.most = most, .open = producers};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    pthread_cond_init(&q->emptied, NULL);
}

void queue_close(queue *q)
{
    pthread_cond_destroy(&q->filled);
    pthread_cond_destroy(&q->emptied);
    pthread_mutex_destroy(&q->lock);
}

void queue_put(queue *q, batch *b)
{
    b->next = NULL;
    pthread_mutex_lock(&q->lock);
    while (q->length == q->most) {
        pthread_cond_wait(&q->emptied, &q->lock);
    }
    if (q->last) {
        q->last->next = b;
    } else {
        q->first = b;
    }
    q->last = b;
    q->length++;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

void queue_end(queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->open--;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

batch *queue_take(queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (!q->first && q->open > 0) {
        pthread_cond_wait(&q->filled, &q->lock);
    }
    batch *b = q->first;
    if (b) {
        q->first = b->next;
        q->last = q->first ? q->last : NULL;
        q->length--;
        pthread_cond_signal(&q->emptied);
    }
    pthread_mutex_unlock(&q->lock);
    return b;
}

batch *batch_make(uint64_t *seed, size_t count, size_t least, size_t most)
{
    batch *b = pattern_malloc(sizeof *b + count * sizeof b->blocks[0]);
    b->count = count;
    for (size_t i = 0; i < count; i++) {
        b->blocks[i] = pattern_block(pattern_between(seed, least, most));
    }
    return b;
}

uint64_t batch_free(batch *b)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < b->count; i++) {
        sum += pattern_free(b->blocks[i]);
    }
    free(b);
    return sum;
}

/* ---- main ---- */

static const pattern *find(const pattern *list, const char *name)
{
    for (; list->name; list++) {
        if (strcmp(list->name, name) == 0) {
            return list;
        }
    }
    return NULL;
}

static void print_names(const pattern *list)
{
    for (; list->name; list++) {
        puts(list->name);
    }
}

static int print_malloc(void)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (!address || !dladdr(address, &info)) {
        pattern_fail("malloc: lies in no file");
    }
    puts(info.dli_fname);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_names(patterns_single);
        print_names(patterns_threads);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--who") == 0) {
        return print_malloc();
    }
    const pattern *p = find(patterns_single, argv[1]);
    p = p ? p : find(patterns_threads, argv[1]);
    if (!p) {
        pattern_fail("no such pattern: without an argument they are listed");
    }
    printf("%s %016llx\n", p->name, (unsigned long long)p->run());
    return EXIT_SUCCESS;
}
