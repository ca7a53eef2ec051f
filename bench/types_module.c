/* A module with a million objects, before (VARIANT 0) and after (VARIANT 1) an edit of their
 * struct. bench_migrate.c loads both. */
#include <stddef.h>
#include <stdint.h>

enum { COUNT = 1000000 };

struct Body {
    struct Body *next, *other;
    float x, y, vx, vy;
#if VARIANT
    double coyote_s;
#endif
    int hp, team;
};

void *(*allocate)(size_t size_bytes);
struct Body *array, *first, **table;

void rp_module_step(void *stage)
{
    (void)stage;
}

static void fill(struct Body *body, struct Body *next, struct Body *other, int number)
{
    *body = (struct Body){.next = next, .other = other, .x = (float)number, .hp = number};
}

void make_array(void)
{
    array = allocate(COUNT * sizeof *array);
    for (int i = 0; i < COUNT; i++) {
        fill(&array[i], &array[(i + 1) % COUNT], &array[(i * 7919ll) % COUNT], i);
    }
}

/* Each leads to the one before it and to one anywhere. */
void make_singles(void)
{
    table = allocate(COUNT * sizeof *table);
    for (int i = 0; i < COUNT; i++) {
        table[i] = allocate(sizeof **table);
    }
    for (int i = 0; i < COUNT; i++) {
        fill(table[i], i ? table[i - 1] : NULL, table[(i * 7919ll) % COUNT], i);
    }
    first = table[COUNT - 1];
}

/* The same without a table: all are found by following the list, one after the other in an order
 * that memory does not have. */
void make_list(void)
{
    make_singles();
    for (int i = 0; i < COUNT; i++) {
        table[(i * 7919ll) % COUNT]->next = table[((i + 1) * 7919ll) % COUNT];
    }
    table[((COUNT - 1) * 7919ll) % COUNT]->next = NULL;
    first = table[0];
    table = NULL;
}

static int is_right(const struct Body *body, int number)
{
    return body->hp == number && body->x == (float)number;
}

int check_array(void)
{
    for (int i = 0; i < COUNT; i++) {
        if (!is_right(&array[i], i) || array[i].next != &array[(i + 1) % COUNT] ||
            array[i].other != &array[(i * 7919ll) % COUNT]) {
            return i + 1;
        }
    }
    return 0;
}

int check_singles(void)
{
    for (int i = 0; i < COUNT; i++) {
        if (!is_right(table[i], i) || table[i]->next != (i ? table[i - 1] : NULL) ||
            table[i]->other != table[(i * 7919ll) % COUNT]) {
            return i + 1;
        }
    }
    return 0;
}

int check_list(void)
{
    long long i = 0;
    for (const struct Body *body = first; body; body = body->next, i++) {
        if (!is_right(body, (int)(i * 7919 % COUNT))) {
            return (int)i + 1;
        }
    }
    return i == COUNT ? 0 : COUNT;
}
