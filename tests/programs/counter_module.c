/* Every kind of state that C has, each one countable from the picture (counter_module.h says
 * where). It prints nothing. Variants for edits:
 *
 *   EDIT_1  a changed constant: STRIDE is 10        EDIT_4  functions in another order
 *   EDIT_2  a new global in front of the others     EDIT_5  struct item grew
 *   EDIT_3  a global less                           EDIT_6  does not compile
 */
#include "counter_module.h"

#include <reprise/draw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#ifdef EDIT_6
#error "this edit does not compile"
#endif

#ifdef EDIT_1
#define STRIDE 10
#else
#define STRIDE 1
#endif

enum { ITEMS_MAX = 40, OPERATIONS = 3 };

struct item {
    struct item *next;
#ifdef EDIT_5
    double grown;
#endif
    char *label;
    uint32_t (*operation)(uint32_t);
    uint32_t weight;
};

#ifdef EDIT_2
uint32_t added_in_front = 77;
#endif
uint32_t counter;
#ifndef EDIT_3
uint32_t spare = 0x31;
#endif
static uint32_t hidden = 100;
static _Thread_local uint32_t of_thread = 7;
__attribute__((section("counter_section"))) uint32_t in_section = 5;
static struct item list; /* its next is the newest item; EDIT_5 makes this variable larger */
static const char *text = "first literal";
static uint32_t operated = 1, random_sum, getrandom_sum, reloads, presses;
static time_t began;

static uint32_t fold(uint32_t hash, const char *bytes)
{
    for (; *bytes; bytes++) {
        hash = (hash ^ (unsigned char)*bytes) * 16777619u;
    }
    return hash;
}

#ifdef EDIT_4
static uint32_t turn(uint32_t value)
{
    return value << 5 | value >> 27;
}

static uint32_t twist(uint32_t value)
{
    return value * 2654435761u + 1;
}

static uint32_t add(uint32_t value)
{
    return value + 12345;
}
#else
static uint32_t add(uint32_t value)
{
    return value + 12345;
}

static uint32_t twist(uint32_t value)
{
    return value * 2654435761u + 1;
}

static uint32_t turn(uint32_t value)
{
    return value << 5 | value >> 27;
}
#endif

static uint32_t (*const operations[OPERATIONS])(uint32_t) = {add, twist, turn};

static uint32_t count_inside(void)
{
    static uint32_t calls;
    return ++calls;
}

static void must(int good)
{
    if (!good) {
        abort();
    }
}

/* Goes through the C library's own allocations: a stream over memory, getline, strtok, strdup. */
static char *make_label(unsigned number)
{
    char *line = NULL, *label = NULL, *text_of_number = NULL;
    size_t capacity = 0;
    must(asprintf(&text_of_number, "item %u\nrest\n", number) > 0);
    FILE *stream = fmemopen(text_of_number, strlen(text_of_number), "r");
    must(stream && getline(&line, &capacity, stream) > 0);
    fclose(stream);
    const char *word = strtok(line, " \n");
    must(word != NULL);
    word = strtok(NULL, " \n");
    must(word && (label = strdup(word)));
    free(line);
    free(text_of_number);
    return label;
}

static void add_item(unsigned number)
{
    struct item *item = calloc(1, sizeof *item);
    must(item != NULL);
    item->label = make_label(number);
    item->weight = (uint32_t)rand();
    item->operation = operations[item->weight % OPERATIONS];
    item->next = list.next;
    list.next = item;
    random_sum += item->weight;
}

static uint32_t trim_items(void)
{
    uint32_t kept = 0;
    struct item **link = &list.next;
    while (*link) {
        if (kept == ITEMS_MAX) {
            struct item *gone = *link;
            *link = gone->next;
            free(gone->label);
            free(gone);
        } else {
            link = &(*link)->next;
            kept++;
        }
    }
    return kept;
}

static int by_weight(const void *a, const void *b)
{
    const struct item *const *x = a, *const *y = b;
    return ((*x)->weight > (*y)->weight) - ((*x)->weight < (*y)->weight);
}

static uint32_t sorted_hash(void)
{
    struct item **sorted = malloc(ITEMS_MAX * sizeof *sorted);
    size_t count = 0;
    uint32_t hash = 2166136261u;
    must(sorted != NULL);
    for (struct item *item = list.next; item; item = item->next) {
        sorted[count++] = item;
    }
    qsort(sorted, count, sizeof *sorted, by_weight);
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ sorted[i]->weight) * 16777619u;
    }
    free(sorted);
    return hash;
}

static uint32_t label_hash(void)
{
    uint32_t hash = 2166136261u;
    for (const struct item *item = list.next; item; item = item->next) {
        hash = fold(hash, item->label);
    }
    return hash;
}

static void read_clocks(uint32_t *blocks)
{
    struct timespec now;
    time_t wall = time(NULL);
    uint32_t fresh = 0;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    must(getrandom(&fresh, sizeof fresh, 0) == sizeof fresh);
    getrandom_sum += fresh;
    const struct tm *local = localtime(&wall);
    must(local != NULL);
    blocks[COUNTER_TIME] = (uint32_t)began;
    blocks[COUNTER_CLOCK] = (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
    blocks[COUNTER_HOUR] = (uint32_t)(local->tm_hour * 60 + local->tm_min);
}

static void count_all(const rp_stage *stage, uint32_t *blocks)
{
    counter += STRIDE;
    presses += (uint32_t)rp_pressed(stage, RP_KEY_SPACE);
    blocks[COUNTER_GLOBAL] = counter;
    blocks[COUNTER_STATIC] = ++hidden;
    blocks[COUNTER_INNER_STATIC] = count_inside();
    blocks[COUNTER_THREAD] = ++of_thread;
    blocks[COUNTER_SECTION] = ++in_section;
    blocks[COUNTER_PRESSED] = presses;
    blocks[COUNTER_RELOADS] = reloads;
    blocks[COUNTER_BUILD] = stage->build;
#ifdef EDIT_2
    blocks[COUNTER_ADDED] = added_in_front++;
#endif
#ifdef EDIT_3
    blocks[COUNTER_SPARE] = 0xedede3;
#else
    blocks[COUNTER_SPARE] = ++spare;
#endif
}

static void work_on_items(const rp_stage *stage, uint32_t *blocks)
{
    add_item((unsigned)stage->frame);
    blocks[COUNTER_LIST] = trim_items();
    for (const struct item *item = list.next; item; item = item->next) {
        operated = item->operation(operated);
    }
    if (stage->frame % 64 == 0) {
        text = stage->frame % 128 ? "another literal" : "first literal";
    }
    blocks[COUNTER_OPERATION] = operated;
    blocks[COUNTER_LITERAL] = fold(2166136261u, text);
    blocks[COUNTER_LIST_SUM] = label_hash();
    blocks[COUNTER_SORTED] = sorted_hash();
    blocks[COUNTER_RANDOM] = random_sum;
}

static uint32_t digest(const uint32_t *blocks)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < COUNTER_DIGEST; i++) {
        if (i != COUNTER_BUILD && i != COUNTER_RELOADS) {
            hash = (hash ^ blocks[i]) * 16777619u;
        }
    }
    return hash;
}

static void draw(rp_canvas *canvas, const uint32_t *blocks)
{
    rp_clear(canvas, 0);
    for (int i = 0; i < COUNTER_BLOCKS; i++) {
        rp_fill(canvas, (float)(i % COUNTER_ACROSS * COUNTER_BLOCK_WIDTH_PX),
                (float)(i / COUNTER_ACROSS * COUNTER_BLOCK_HEIGHT_PX), COUNTER_BLOCK_WIDTH_PX,
                COUNTER_BLOCK_HEIGHT_PX, blocks[i] & 0xffffff);
    }
}

void rp_module_start(rp_stage *stage)
{
    rp_stage_set_title(stage, "counter");
    srand(1);
    began = time(NULL);
}

void rp_module_step(rp_stage *stage)
{
    uint32_t blocks[COUNTER_BLOCKS] = {0};
    count_all(stage, blocks);
    work_on_items(stage, blocks);
    read_clocks(blocks);
    blocks[COUNTER_GETRANDOM] = getrandom_sum;
    blocks[COUNTER_DIGEST] = digest(blocks);
    draw(stage->canvas, blocks);
    printf("%s", "");
}

void rp_module_reloaded(rp_stage *stage, const rp_reload *reload)
{
    (void)stage;
    (void)reload;
    reloads++;
}
