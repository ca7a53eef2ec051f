/* Allocation patterns of several threads. */
#include "patterns.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    LANES = 2,
    LARSON_BLOCKS = 1000,
    LARSON_OPS = 240000,
    LARSON_GENERATIONS = 40,
    REMOTE_BATCHES = 4000,
    REMOTE_BLOCKS = 512,
    REMOTE_QUEUE = 16,
    PAIR_ROUNDS = 12000,
    PAIR_BLOCKS = 200,
    PAIR_QUEUE = 32,
    STRESS_OPS = 500000,
    STRESS_KEPT = 2000,
    STRESS_SHARED = 1000,
    STRESS_NODES = 8,
    STARTED = 2000,
    STARTED_BLOCKS = 1000,
};

/* ---- larson: a server whose threads replace blocks, then leave all of them to a new thread ----
 */

typedef struct lane {
    size_t number;
    pthread_t threads[LARSON_GENERATIONS];
    size_t generation;
    uint64_t seed, sum;
    block blocks[LARSON_BLOCKS];
} lane;

static void *larson_serve(void *argument)
{
    lane *l = argument;
    pattern_pin(l->number);
    for (int i = 0; i < LARSON_OPS; i++) {
        block *b = &l->blocks[pattern_between(&l->seed, 0, LARSON_BLOCKS - 1)];
        l->sum += pattern_free(*b) * (uint64_t)(i & 0xff);
        *b = pattern_block(pattern_between(&l->seed, 10, 500));
    }
    if (++l->generation < LARSON_GENERATIONS) {
        pattern_start(&l->threads[l->generation], larson_serve, l);
    }
    return NULL;
}

static lane *larson_open(size_t number)
{
    lane *l = pattern_malloc(sizeof *l);
    l->generation = 0;
    l->number = number;
    l->seed = 0x853c49e6748fea9b + number;
    l->sum = 0;
    for (size_t i = 0; i < LARSON_BLOCKS; i++) {
        l->blocks[i] = pattern_block(pattern_between(&l->seed, 10, 500));
    }
    pattern_start(&l->threads[0], larson_serve, l);
    return l;
}

static uint64_t larson_close(lane *l)
{
    for (size_t i = 0; i < LARSON_GENERATIONS; i++) {
        pattern_join(l->threads[i]);
    }
    uint64_t sum = l->sum;
    for (size_t i = 0; i < LARSON_BLOCKS; i++) {
        sum += pattern_free(l->blocks[i]);
    }
    free(l);
    return sum;
}

static uint64_t larson(void)
{
    lane *lanes[LANES];
    uint64_t sum = 0;
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = larson_open(i);
    }
    for (size_t i = 0; i < LANES; i++) {
        sum += larson_close(lanes[i]);
    }
    return sum;
}

/* ---- remote: some threads only allocate, the others only free ---- */

typedef struct worker {
    pthread_t thread;
    size_t processor;
    queue *in, *out;
    uint64_t seed, sum;
} worker;

static void *remote_produce(void *argument)
{
    worker *w = argument;
    pattern_pin(w->processor);
    for (int i = 0; i < REMOTE_BATCHES; i++) {
        queue_put(w->out, batch_make(&w->seed, REMOTE_BLOCKS, 8, 512));
    }
    queue_end(w->out);
    return NULL;
}

static void *remote_consume(void *argument)
{
    worker *w = argument;
    pattern_pin(w->processor);
    for (batch *b = queue_take(w->in); b; b = queue_take(w->in)) {
        w->sum += batch_free(b);
    }
    return NULL;
}

static uint64_t remote(void)
{
    queue q;
    worker producers[LANES], consumers[LANES];
    uint64_t sum = 0;
    queue_open(&q, REMOTE_QUEUE, LANES);
    for (size_t i = 0; i < LANES; i++) {
        producers[i] = (worker){.out = &q, .seed = 0xda3e39cb94b95bdb + i, .processor = 0};
        consumers[i] = (worker){.in = &q, .processor = 1};
        pattern_start(&producers[i].thread, remote_produce, &producers[i]);
        pattern_start(&consumers[i].thread, remote_consume, &consumers[i]);
    }
    for (size_t i = 0; i < LANES; i++) {
        pattern_join(producers[i].thread);
        pattern_join(consumers[i].thread);
        sum += consumers[i].sum;
    }
    queue_close(&q);
    return sum;
}

/* ---- pairs: two threads send each other messages, which the receiver frees ---- */

static void *pair_talk(void *argument)
{
    worker *w = argument;
    pattern_pin(w->processor);
    for (int i = 0; i < PAIR_ROUNDS; i++) {
        queue_put(w->out, batch_make(&w->seed, PAIR_BLOCKS, 24, 200));
        batch *b = queue_take(w->in);
        w->sum += b ? batch_free(b) : 0;
    }
    queue_end(w->out);
    return NULL;
}

static uint64_t pairs(void)
{
    queue there, back;
    queue_open(&there, PAIR_QUEUE, 1);
    queue_open(&back, PAIR_QUEUE, 1);
    worker workers[2] = {{.in = &back, .out = &there, .seed = 0x5851f42d4c957f2d},
                         {.in = &there, .out = &back, .seed = 0x14057b7ef767814f, .processor = 1}};
    pattern_start(&workers[0].thread, pair_talk, &workers[0]);
    pattern_start(&workers[1].thread, pair_talk, &workers[1]);
    pattern_join(workers[0].thread);
    pattern_join(workers[1].thread);
    queue_close(&there);
    queue_close(&back);
    return workers[0].sum + workers[1].sum;
}

/* ---- stress: threads keep lists of blocks and swap them with each other ---- */

typedef struct list_node {
    struct list_node *next;
    block content;
} list_node;

typedef _Atomic(list_node *) shared_list;

typedef struct stresser {
    pthread_t thread;
    size_t number;
    shared_list *shared;
    list_node *kept[STRESS_KEPT];
    uint64_t seed, sum;
} stresser;

static list_node *list_make(uint64_t *seed)
{
    list_node *first = NULL;
    for (size_t count = pattern_between(seed, 1, STRESS_NODES); count > 0; count--) {
        list_node *n = pattern_malloc(sizeof *n);
        *n = (list_node){first, pattern_block(pattern_log_size(seed, 16, 4096))};
        first = n;
    }
    return first;
}

static uint64_t list_free(list_node *n)
{
    uint64_t sum = 0;
    while (n) {
        list_node *next = n->next;
        sum += pattern_free(n->content);
        free(n);
        n = next;
    }
    return sum;
}

static void *stress_run(void *argument)
{
    stresser *s = argument;
    pattern_pin(s->number);
    for (int i = 0; i < STRESS_OPS; i++) {
        list_node **kept = &s->kept[pattern_between(&s->seed, 0, STRESS_KEPT - 1)];
        if (i % 2 == 0) {
            s->sum += list_free(*kept);
            *kept = list_make(&s->seed);
        } else {
            size_t at = pattern_between(&s->seed, 0, STRESS_SHARED - 1);
            *kept = atomic_exchange(&s->shared[at], *kept);
        }
    }
    for (size_t i = 0; i < STRESS_KEPT; i++) {
        s->sum += list_free(s->kept[i]);
    }
    return NULL;
}

static uint64_t stress(void)
{
    shared_list *shared = calloc(STRESS_SHARED, sizeof *shared);
    stresser *stressers = calloc(LANES, sizeof *stressers);
    if (!shared || !stressers) {
        pattern_fail("out of memory");
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < LANES; i++) {
        stressers[i].number = i;
        stressers[i].shared = shared;
        stressers[i].seed = 0xbf58476d1ce4e5b9 + i;
        pattern_start(&stressers[i].thread, stress_run, &stressers[i]);
    }
    for (size_t i = 0; i < LANES; i++) {
        pattern_join(stressers[i].thread);
        sum += stressers[i].sum;
    }
    for (size_t i = 0; i < STRESS_SHARED; i++) {
        sum += list_free(shared[i]);
    }
    free(stressers);
    free(shared);
    return sum;
}

/* ---- threads: they start, allocate, leave half of it to another, and end ---- */

typedef struct started {
    pthread_t thread;
    uint64_t seed, sum;
    batch *left;
} started;

static void *started_run(void *argument)
{
    started *s = argument;
    batch *own = batch_make(&s->seed, STARTED_BLOCKS / 2, 16, 1024);
    s->left = batch_make(&s->seed, STARTED_BLOCKS / 2, 16, 1024);
    s->sum = batch_free(own);
    return NULL;
}

static uint64_t threads(void)
{
    started group[LANES];
    uint64_t sum = 0;
    for (size_t i = 0; i < STARTED / LANES; i++) {
        for (size_t k = 0; k < LANES; k++) {
            group[k].seed = 0x94d049bb133111eb + i * LANES + k;
            pattern_start(&group[k].thread, started_run, &group[k]);
        }
        for (size_t k = 0; k < LANES; k++) {
            pattern_join(group[k].thread);
            sum += group[k].sum + batch_free(group[k].left);
        }
    }
    return sum;
}

const pattern patterns_threads[] = {
    {"larson", larson}, {"remote-free", remote}, {"pairs", pairs},
    {"stress", stress}, {"threads", threads},    {NULL, NULL},
};
