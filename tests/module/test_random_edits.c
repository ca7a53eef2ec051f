/* Random structs, random edits of them, random graphs of objects: after a reload every value and
 * every pointer is where a formula says. A compiler runs for many edits at once.
 *
 *     RP_SEED=… repeats a run;  RP_LONG=1 makes 10,000 edits and not 50
 *
 * A type has fields; an edit drops some, widens some, adds some and puts all in another order.
 * Objects of a type lie in a block, in static memory, or in blocks of their own. The value of field
 * f of object o of type k is a hash of the three, so nothing has to be remembered. */
#include "module/reload.h"

enum { TYPES = 50, FIELDS_MOST = 12, OBJECTS_MOST = 7, LONG_ROUNDS = 200, TEXT_BYTES = 1 << 20 };

typedef enum field_kind {
    FIELD_NUMBER,
    FIELD_BITS,
    FIELD_ARRAY,
    FIELD_NESTED, /* a struct of two numbers, the second one after an edit first */
    FIELD_OBJECT, /* a pointer to an object of another type */
    FIELD_INSIDE, /* a pointer to a number inside one */
    FIELD_KINDS
} field_kind;

typedef struct field {
    field_kind kind;
    int old_number, new_number; /* in numbers[] */
    int old_count, new_count;   /* of an array; bits of a bit-field */
    int target, target_field;
    bool dropped, added;
} field;

typedef struct type {
    field fields[FIELDS_MOST * 2];
    int field_count;
    int order[FIELDS_MOST * 2]; /* of the new build */
    int objects, home;
} type;

/* Each may become any that stands behind it in its row: no value is lost on the way. */
static const char *const numbers[] = {"signed char", "short", "int", "long", "float", "double"};
enum { NUMBER_INT = 2, NUMBER_COUNT = 6 };

static type types[TYPES];
static uint64_t state;

static int pick(int below)
{
    return (int)(test_random(&state) % (uint64_t)below);
}

/* Values stay below 100, so a signed char and a float hold them. */
static int wider(int number)
{
    static const int up[NUMBER_COUNT][4] = {{1, 2, 4, 5}, {2, 3, 4, 5}, {3, 5, 3, 5},
                                            {3, 3, 3, 5}, {5, 5, 4, 2}, {5, 5, 3, 4}};
    return up[number][pick(4)];
}

static field random_field(void)
{
    field f = {.kind = (field_kind)pick(FIELD_KINDS), .old_number = pick(NUMBER_COUNT)};
    f.new_number = pick(3) ? f.old_number : wider(f.old_number);
    f.old_count = f.kind == FIELD_BITS ? 8 + pick(8) : 1 + pick(5);
    f.new_count = f.old_count + (pick(3) ? 0 : pick(4));
    f.target = pick(TYPES);
    return f;
}

static void random_type(type *t)
{
    *t = (type){.objects = 1 + pick(OBJECTS_MOST), .home = pick(3)};
    int count = 1 + pick(FIELDS_MOST), added = pick(3);
    for (int i = 0; i < count + added; i++) {
        field f = random_field();
        f.added = i >= count;
        f.dropped = !f.added && pick(5) == 0;
        t->fields[t->field_count++] = f;
    }
    for (int i = 0; i < t->field_count; i++) {
        int at = pick(i + 1);
        t->order[i] = t->order[at];
        t->order[at] = i;
    }
}

/* A pointer into an object needs a number there, of one type in both builds; else it is one to the
 * object. */
static void aim(field *f)
{
    const type *target = &types[f->target];
    for (int i = 0; f->kind == FIELD_INSIDE && i < target->field_count; i++) {
        const field *into = &target->fields[i];
        if (into->kind == FIELD_NUMBER && into->old_number == NUMBER_INT &&
            into->new_number == NUMBER_INT && !into->dropped && !into->added) {
            f->target_field = i;
            return;
        }
    }
    f->kind = f->kind == FIELD_INSIDE ? FIELD_OBJECT : f->kind;
}

typedef struct writer {
    char *text;
    rp_text_buffer out;
} writer;

static void declare_field(writer *w, const type *t, int k, int i, bool old)
{
    const field *f = &t->fields[i];
    const char *number = numbers[old ? f->old_number : f->new_number];
    int count = old ? f->old_count : f->new_count;
    switch (f->kind) {
    case FIELD_NUMBER:
        rp_text_add(&w->out, " %s f%d;", number, i);
        break;
    case FIELD_BITS:
        rp_text_add(&w->out, " unsigned f%d : %d;", i, count);
        break;
    case FIELD_ARRAY:
        rp_text_add(&w->out, " %s f%d[%d];", number, i, count);
        break;
    case FIELD_NESTED:
        rp_text_add(&w->out, " struct N%d_%d f%d;", k, i, i);
        break;
    case FIELD_OBJECT:
        rp_text_add(&w->out, " struct T%d *f%d;", f->target, i);
        break;
    default:
        rp_text_add(&w->out, " int *f%d;", i);
        break;
    }
}

static void declare_type(writer *w, int k, bool old)
{
    const type *t = &types[k];
    for (int i = 0; i < t->field_count; i++) {
        const field *f = &t->fields[i];
        if (f->kind == FIELD_NESTED && (old ? !f->added : !f->dropped)) {
            rp_text_add(&w->out,
                        old ? "struct N%d_%d { %s a; %s b; };\n"
                            : "struct N%d_%d { %s b; %s more; %s a; };\n",
                        k, i, numbers[old ? f->old_number : f->new_number],
                        numbers[old ? f->old_number : f->new_number], numbers[f->new_number]);
        }
    }
    rp_text_add(&w->out, "struct T%d { ", k);
    for (int n = 0; n < t->field_count; n++) {
        int i = old ? n : t->order[n];
        if (old ? !t->fields[i].added : !t->fields[i].dropped) {
            declare_field(w, t, k, i, old);
        }
    }
    static const char *const homes[] = {"struct T%d *o%d; ", "static struct T%d o%d[7]; ",
                                        "struct T%d **o%d; "};
    rp_text_add(&w->out, " long last; };\n");
    rp_text_add(&w->out, homes[t->home], k, k);
    rp_text_add(&w->out,
                t->home == 2 ? "static struct T%d *at%d(int i) { return o%d[i]; }\n"
                             : "static struct T%d *at%d(int i) { return &o%d[i]; }\n",
                k, k, k);
}

/* One line for each field: in the old build it sets, in the new one it checks. */
static void field_line(writer *w, int k, int i, bool old)
{
    const field *f = &types[k].fields[i];
    const char *set = old ? "=" : "==", *front = old ? "" : "CHECK(", *end = old ? ";" : ");";
    int parts = f->kind == FIELD_ARRAY ? f->old_count : 1;
    for (int part = 0; part < parts; part++) {
        char place[32] = "";
        if (f->kind == FIELD_ARRAY) {
            snprintf(place, sizeof place, "[%d]", part);
        }
        if (f->kind == FIELD_OBJECT || f->kind == FIELD_INSIDE) {
            rp_text_add(&w->out, "    %sp->f%d %s ", front, i, set);
            rp_text_add(&w->out,
                        f->kind == FIELD_INSIDE ? "&at%d(hash(%d, o, %d) %% %d)->f%d%s\n"
                                                : "at%d(hash(%d, o, %d) %% %d)%.0d%s\n",
                        f->target, k, i, types[f->target].objects, f->target_field, end);
        } else if (f->kind == FIELD_NESTED) {
            rp_text_add(&w->out, "    %sp->f%d.a %s hash(%d, o, %d)%s\n", front, i, set, k, i, end);
            rp_text_add(&w->out, "    %sp->f%d.b %s hash(%d, o, %d)%s\n", front, i, set, k, i + 50,
                        end);
        } else {
            rp_text_add(&w->out, "    %sp->f%d%s %s hash(%d, o, %d)%s\n", front, i, place, set, k,
                        i + part * 20, end);
        }
    }
}

static void added_line(writer *w, int k, int i)
{
    static const char *const zero[] = {"!p->f%d",   "!p->f%d", "!p->f%d[0]",
                                       "!p->f%d.a", "!p->f%d", "!p->f%d"};
    rp_text_add(&w->out, "    CHECK(");
    rp_text_add(&w->out, zero[types[k].fields[i].kind], i);
    rp_text_add(&w->out, ");\n");
}

static void write_allocation(writer *w, int k)
{
    const type *t = &types[k];
    if (t->home == 0) {
        rp_text_add(&w->out, "  o%d = allocate(%d * sizeof *o%d);\n", k, t->objects, k);
    } else if (t->home == 2) {
        rp_text_add(&w->out, "  o%d = allocate(%d * sizeof *o%d);\n", k, t->objects, k);
        rp_text_add(&w->out, "  for (int i = 0; i < %d; i++) o%d[i] = allocate(sizeof **o%d);\n",
                    t->objects, k, k);
    }
}

static void write_build(writer *w, bool old)
{
    w->out = rp_text_buffer_over(w->text, TEXT_BYTES);
    rp_text_add(&w->out, "static int hash(int k, int o, int f) {\n"
                         "  unsigned h = k * 7919u + o * 104729u + f * 1299709u; h ^= h >> 7;\n"
                         "  return h * 2654435761u >> 8 & 63; }\n");
    for (int k = 0; k < TYPES; k++) {
        rp_text_add(&w->out, "struct T%d;\n", k);
    }
    for (int k = 0; k < TYPES; k++) {
        declare_type(w, k, old);
    }
    rp_text_add(&w->out, old ? "int make(void) {\n" : "int check(void) {\n");
    for (int k = 0; k < TYPES && old; k++) {
        write_allocation(w, k);
    }
    for (int k = 0; k < TYPES; k++) {
        rp_text_add(&w->out, "  for (int o = 0; o < %d; o++) { struct T%d *p = at%d(o);\n",
                    types[k].objects, k, k);
        rp_text_add(&w->out,
                    old ? "    p->last = o + 1000;\n" : "    CHECK(p->last == o + 1000);\n");
        for (int i = 0; i < types[k].field_count; i++) {
            const field *f = &types[k].fields[i];
            if (!f->added && (old || !f->dropped)) {
                field_line(w, k, i, old);
            } else if (f->added && !old) {
                added_line(w, k, i);
            }
        }
        rp_text_add(&w->out, "  }\n");
    }
    rp_text_add(&w->out, "  return 0; }\n");
    ck_assert_uint_lt(w->out.length + 1, w->out.capacity);
}

static void round_of_edits(reload *r, const char *compiler)
{
    writer was = {.text = malloc(TEXT_BYTES)}, is = {.text = malloc(TEXT_BYTES)};
    ck_assert(was.text && is.text);
    for (int k = 0; k < TYPES; k++) {
        random_type(&types[k]);
    }
    for (int k = 0; k < TYPES; k++) {
        for (int i = 0; i < types[k].field_count; i++) {
            aim(&types[k].fields[i]);
        }
    }
    write_build(&was, true);
    write_build(&is, false);
    reload_build(r, compiler, was.text, is.text);
    reload_call(&r->old_build, "make");
    ck_ok(reload_carry(r, NULL));
    int line = reload_call(&r->new_build, "check");
    if (line) {
        fprintf(stderr, "%s\nis, after an edit,\n%s", was.text, is.text);
    }
    ck_assert_msg(line == 0, "%s: line %d of the new source", compiler, line);
    ck_assert_msg(r->migration.values_lost == 0, "%s", r->migration.lost_name);
    reload_drop(r);
    free(was.text);
    free(is.text);
}

TEST(random_edits_of_random_structs_keep_what_a_formula_says)
{
    bool all = getenv("RP_LONG") != NULL;
    state = test_seed();
    reload r = reload_open();
    for (int round = 0; round < (all ? LONG_ROUNDS : 1); round++) {
        round_of_edits(&r, round % 2 ? "clang -g" : "gcc -g");
        if (all && round % 20 == 19) {
            printf("%d edits\n", (round + 1) * TYPES);
            fflush(stdout);
        }
    }
    reload_close(&r);
}
