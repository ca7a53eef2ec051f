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
