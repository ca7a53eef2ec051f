/* What cannot be carried, and what nothing tells: refused with its name, never guessed; and what
 * becomes of it once somebody answered. */
#include "module/reload.h"

#include <reprise/slot.h>

typedef struct refusal_case {
    const char *name;
    const char *before, *after; /* all of both sources but make() and check() */
    const char *make;
    const char *words; /* in the record's text; null: nothing is refused */
    rp_refusal_kind kind;
    const char *what; /* rp_refusal.what; null: not looked at */
} refusal_case;

/* struct E grows, and is not on the heap by what stands here. */
#define GREW(shared) "struct E { int a; };@" shared, "struct E { int a; double b; };"

static const refusal_case cases[] = {
    /* fields that cannot become what they are now */
    {"a number that becomes a pointer", "struct E { int a; int b; } *e;",
     "struct E { int a; char *b; } *e;", "e = allocate(sizeof *e);",
     "member 'b' in game.c:1 is char *, was int: 1 block (16 bytes) that e leads to",
     RP_REFUSAL_FIELD, "e"},
    {"a pointer that leads to something else",
     "struct F { int f; }; struct G { int g; }; struct E { struct F *p; } *e;",
     "struct F { int f; }; struct G { int g; }; struct E { struct G *p; } *e;",
     "e = allocate(sizeof *e);", "member 'p' in game.c:1 is struct G *, was struct F *",
     RP_REFUSAL_FIELD, "e"},
    {"pointers to another number", "struct E { int *p; } *e;", "struct E { float *p; } *e;",
     "e = allocate(sizeof *e);", "is float *, was int *", RP_REFUSAL_FIELD, "e"},
    {"a struct that becomes a number", "struct V { int v; }; struct E { struct V a; } *e;",
     "struct V { int v; }; struct E { int a; } *e;", "e = allocate(sizeof *e);",
     "is int, was struct V", RP_REFUSAL_FIELD, "e"},
    {"a union whose member changes", "struct E { union { int i; float f; } u; } *e;",
     "struct E { union { int i; double f; } u; } *e;", "e = allocate(sizeof *e);",
     "nothing tells which member is in use", RP_REFUSAL_FIELD, "e"},
    {"a union that becomes smaller", "struct E { int a; union { int i; char t[20]; } u; } *e;",
     "struct E { int a; union { int i; } u; } *e;", "e = allocate(sizeof *e);", "union member 't'",
     RP_REFUSAL_FIELD, "e"},
    {"a union that becomes a struct", "struct E { union { int i; float f; } u; } *e;",
     "struct E { struct { int i; float f; } u; } *e;", "e = allocate(sizeof *e);", "member 'u'",
     RP_REFUSAL_FIELD, "e"},
    {"a field deep inside",
     "struct A { int p; }; struct B { struct A a[2]; }; struct E { struct B b; } *e;",
     "struct A { int *p; }; struct B { struct A a[2]; }; struct E { struct B b; } *e;",
     "e = allocate(sizeof *e);", "member 'b': member 'a': member 'p' in game.c:1 is int *, was int",
     RP_REFUSAL_FIELD, "e"},
    {"an array that is open at its end no more", "struct E { int n; int tail[]; } *e;",
     "struct E { int n; int tail[4]; } *e;", "e = allocate(40);", "member 'tail'", RP_REFUSAL_FIELD,
     "e"},
    {"all objects of a list are counted", "struct E { struct E *next; int a; } *e;",
     "struct E { struct E *next; char *a; } *e;",
     "for (int i = 0; i < 7; i++) { struct E *n = allocate(sizeof *n); n->next = e; e = n; }",
     "is char *, was int: 7 blocks", RP_REFUSAL_FIELD, NULL},
    {"a field of no live object", "struct E { int a; } *e;", "struct E { char *a; } *e;", "", NULL,
     RP_REFUSAL_NONE, NULL},
    /* variables */
    {"a variable of another kind", "int g = 5;", "char *g;", "",
     "variable 'g': it is char *, was int", RP_REFUSAL_VARIABLE, "'g'"},
    {"a static of a function", "int f(void) { static struct { int a; } s; return s.a++; }",
     "int f(void) { static struct { int *a; } s; return s.a++ != 0; }", "f();",
     "variable 's' of f() in game.c: member 'a' is int *, was int", RP_REFUSAL_VARIABLE,
     "'s' of f() in game.c"},
    /* what nothing tells */
    {"a void pointer", GREW("void *any; struct E *e;"), "any = allocate(sizeof(struct E));",
     "that any leads to may be of a changed type: only pointers without a type lead to it: say "
     "what "
     "it is: any =",
     RP_REFUSAL_DOUBT, "any"},
    {"a void pointer in a struct", GREW("struct W { int n; void *user; } w; struct E *e;"),
     "w.user = allocate(64);", "that W.user leads to", RP_REFUSAL_DOUBT, "W.user"},
    {"an address kept as a number", GREW("uintptr_t word; struct E *e;"),
     "word = (uintptr_t)allocate(64);", "that word leads to", RP_REFUSAL_DOUBT, "word"},
    {"a void pointer to what is known", GREW("void *any; struct E *e;"),
     "any = e = allocate(sizeof(struct E));", NULL, RP_REFUSAL_NONE, NULL},
    {"a void pointer to what is too small", "struct E { int a[40]; };",
     "struct E { int a[50]; };@void *any; struct E *e;", "any = allocate(40);", NULL,
     RP_REFUSAL_NONE, NULL},
    {"a text", GREW("char *text; struct E *e;"), "text = allocate(200);", NULL, RP_REFUSAL_NONE,
     NULL},
    {"a type that is only declared", GREW("struct Hidden *hidden; struct E *e;"),
     "hidden = allocate(64);", "that hidden leads to", RP_REFUSAL_DOUBT, "hidden"},
    {"a pointer in a union",
     GREW("struct W { int k; union { struct E *e; char *t; } u; } w; struct E *e;"),
     "w.u.e = allocate(64);", "that W.u leads to", RP_REFUSAL_DOUBT, "W.u"},
    {"another type begins with it",
     GREW("struct F { struct E e; int f; }; struct F *f; struct E *e;"), "e = allocate(64);",
     "it may be struct E, but another type begins with it and fits as well: say "
     "what it is: e =",
     RP_REFUSAL_DOUBT, "e"},
    {"only what begins with it changes", "struct B { int b; }; struct F { struct B b; int f; };",
     "struct B { int b; }; struct F { struct B b; double f; };@struct F *f; struct B *b;",
     "b = allocate(64);", "it may be struct B, but struct F begins with it and fits as well",
     RP_REFUSAL_DOUBT, "b"},
    {"another type begins with it, and a pointer says so",
     GREW("struct F { struct E e; int f; }; struct F *f; struct E *e;"),
     "f = allocate(sizeof *f); e = &f->e;", NULL, RP_REFUSAL_NONE, NULL},
    {"two pointers that disagree", GREW("struct G { long g; }; struct G *g; struct E *e;"),
     "g = allocate(64); e = (struct E *)g;", "another pointer says struct", RP_REFUSAL_DOUBT, NULL},
    {"a size that does not divide", "struct E { int a[300]; };",
     "struct E { int a[301]; };@struct E *e;", "e = allocate(2000);",
     "bytes are no multiple of its 1200", RP_REFUSAL_DOUBT, "e"},
    {"pointers into the middle alone",
     GREW("struct L { struct L *next; }; struct N { struct E e; struct L l; }; struct L *l; struct "
          "N *n;"),
     "struct N *n = allocate(sizeof *n); l = &n->l;", "only pointers into its middle lead to it",
     RP_REFUSAL_DOUBT, "l"},
    {"behind a block that is not known", GREW("void *any; struct E *e;"),
     "void **p = allocate(8); *p = allocate(64); any = p;", "may be of a changed type",
     RP_REFUSAL_DOUBT, "any"},
    {"a leaked block", GREW("struct E *e;"), "allocate(64);", NULL, RP_REFUSAL_NONE, NULL},
};

/* What stands behind an '@' in either is common to both. */
static void texts(const refusal_case *c, char *old_text, char *new_text, size_t capacity)
{
    const char *split = strchr(c->before, '@'), *late = strchr(c->after, '@');
    const char *shared = split ? split + 1 : late ? late + 1 : "";
    int old_length = split ? (int)(split - c->before) : (int)strlen(c->before);
    int new_length = late ? (int)(late - c->after) : (int)strlen(c->after);
    snprintf(old_text, capacity, "%.*s %s\nint make(void) { %s return 0; }\n", old_length,
             c->before, shared, c->make);
    snprintf(new_text, capacity, "%.*s %s\nint check(void) { return 0; }\n", new_length, c->after,
             shared);
}

static bool came_out_right(const reload *r, const refusal_case *c, rp_status status)
{
    if (!c->words) {
        return status == RP_OK;
    }
    return status == RP_E_CHANGED && strstr(rp_error_last()->text, c->words) &&
           r->refusal.kind == (uint32_t)c->kind &&
           (!c->what || strcmp(r->refusal.what, c->what) == 0);
}

static void check_cases(const char *compiler)
{
    static char old_text[4096], new_text[4096];
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reload r = reload_open();
        texts(&cases[i], old_text, new_text, sizeof old_text);
        reload_build(&r, compiler, old_text, new_text);
        reload_call(&r.old_build, "make");
        rp_status status = reload_carry(&r, NULL);
        if (!came_out_right(&r, &cases[i], status)) {
            wrong++;
            fprintf(stderr, "%s: %s: %d, kind %u of '%s': %s\n", compiler, cases[i].name, status,
                    r.refusal.kind, r.refusal.what, status ? rp_error_last()->text : "");
        }
        reload_drop(&r);
        reload_close(&r);
    }
    ck_assert_int_eq(wrong, 0);
}

TEST(what_cannot_be_carried_or_told_is_refused_by_name_with_gcc)
{
    check_cases("gcc -g");
}

TEST(what_cannot_be_carried_or_told_is_refused_by_name_with_clang)
{
    check_cases("clang -g");
}

/* What of C++ says where something lies in another way than by a number: was carried wrongly once.
 */
static void check_classes(const char *compiler)
{
    static const struct {
        const char *classes, *make, *words;
    } classes[] = {
        {"struct V { int v; FIELD virtual int f() { return v; } }; struct W : virtual V { int w; "
         "};\n"
         "W *object;",
         "object = new (allocate(sizeof(W))) W;", "virtual base 'V'"},
        {"struct V { int v; virtual int f() { return v; } }; struct L : virtual V { int l; };\n"
         "struct R : virtual V { int r; }; struct D : L, R { int d; FIELD }; D *object;",
         "object = new (allocate(sizeof(D))) D;", "virtual base 'V'"},
        {"struct T { int a; FIELD int b; }; T *object; int T::*member;",
         "object = new (allocate(sizeof(T))) T; member = &T::b;", "it holds an offset"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        char text[2][1024];
        for (int edited = 0; edited < 2; edited++) {
            snprintf(text[edited], sizeof text[edited],
                     "inline void *operator new(size_t, void *p) { return p; }\n"
                     "#define FIELD %s\n%s\nextern \"C\" int make() { %s return 0; }\n",
                     edited ? "double more;" : "", classes[i].classes, classes[i].make);
        }
        reload r = reload_open();
        r.cxx = true;
        reload_build(&r, compiler, text[0], text[1]);
        reload_call(&r.old_build, "make");
        rp_status status = reload_carry(&r, NULL);
        ck_assert_msg(status == RP_E_CHANGED && strstr(rp_error_last()->text, classes[i].words),
                      "%s: %s: %d: %s", compiler, classes[i].classes, status,
                      rp_error_last()->text);
        reload_drop(&r);
        reload_close(&r);
    }
}

TEST(what_lies_where_no_number_says_is_refused_in_cxx)
{
    check_classes("g++ -g");
    check_classes("clang++ -g");
}

/* ---- a refusal changes nothing ---- */

static uint64_t world_sum(void)
{
    uint64_t sum = 0;
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        const uint64_t *words = (const uint64_t *)(const void *)spans[i].start;
        for (size_t k = 0; k < spans[i].size_bytes / sizeof *words; k++) {
            sum = sum * 31 + words[k];
        }
    }
    return sum;
}

TEST(a_refusal_leaves_the_world_as_it_was)
{
    reload r = reload_open();
    reload_build(
        &r, "gcc -g",
        "struct E { struct E *next; int a; } *e; void *any;\n"
        "int make(void) { for (int i = 0; i < 99; i++) { struct E *n = allocate(sizeof *n);\n"
        "  n->next = e; n->a = i; e = n; } any = allocate(500); return 0; }",
        "struct E { struct E *next; int a; double b[9]; } *e; void *any;");
    reload_call(&r.old_build, "make");
    uint64_t before = world_sum();
    ck_assert_int_eq(reload_carry(&r, NULL), RP_E_CHANGED);
    ck_assert_uint_eq(world_sum(), before);
    ck_assert_uint_eq(r.refusal.count, 1);
    ck_assert_uint_ge(r.refusal.size_bytes, 500);
    reload_drop(&r);
    reload_close(&r);
}

/* ---- answers ---- */

typedef struct answer_case {
    const char *name, *what, *type;
    const char *text; /* with struct E; make() and check() in it */
    bool refused;
} answer_case;

#define OLD_E "struct E { int a; };\n"
#define NEW_E "struct E { double b; int a; };\n"

static const answer_case answers[] = {
    {"a void pointer of a struct", "W.user", "struct E",
     "struct W { void *user; } w; int make(void) { struct E *e = w.user = allocate(sizeof *e);\n"
     "e->a = 5; return 0; } int check(void) { struct E *e = w.user; CHECK(e->a == 5); return 0; }",
     false},
    {"a variable", "any", "E",
     "void *any; int make(void) { struct E *e = any = allocate(3 * sizeof *e); e[2].a = 5;\n"
     "return 0; } int check(void) { struct E *e = any; CHECK(e[2].a == 5); return 0; }",
     false},
    {"an array of void pointers", "any", "E",
     "void *any[3]; int make(void) { struct E *e = any[1] = allocate(sizeof *e); e->a = 5;\n"
     "return 0; } int check(void) { struct E *e = any[1]; CHECK(e->a == 5); return 0; }",
     false},
    {"bytes", "any", "bytes",
     "struct E *unused; void *any; int make(void) { int *n = any = allocate(64); n[9] = 7; return "
     "0; }\n"
     "int check(void) { int *n = any; CHECK(n[9] == 7); return 0; }",
     false},
    {"one that begins with another", "e", "struct F",
     "struct F { struct E e; int f; }; struct F *unused; struct E *e; int make(void) {\n"
     "struct F *f = allocate(sizeof *f); f->e.a = 5; f->f = 6; e = &f->e; return 0; }\n"
     "int check(void) { struct F *f = (struct F *)e; CHECK(f->e.a == 5 && f->f == 6); return 0; }",
     false},
    {"what holds the link of a list", "L.next", "struct N",
     "struct L { struct L *next; }; struct N { struct E e; struct L l; }; struct L list;\n"
     "struct N *unused; int make(void) { for (int i = 0; i < 5; i++) {\n"
     "struct N *n = allocate(sizeof *n); n->e.a = i; n->l.next = list.next; list.next = &n->l; }\n"
     "return 0; } int check(void) { int i = 4; for (struct L *l = list.next; l; l = l->next, i--) "
     "{\n"
     "struct N *n = (struct N *)((char *)l - offsetof(struct N, l)); CHECK(n->e.a == i); }\n"
     "CHECK(i == -1); return 0; }",
     false},
    {"a type that there is not", "any", "struct Nothing",
     "struct E *unused; void *any; int make(void) { any = allocate(64); return 0; }\n"
     "int check(void) { return 0; }",
     true},
};

TEST(an_answer_settles_what_nothing_tells)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        reload r = reload_open();
        char old_text[2048], new_text[2048];
        snprintf(old_text, sizeof old_text, OLD_E "%s", answers[i].text);
        snprintf(new_text, sizeof new_text, NEW_E "%s", answers[i].text);
        reload_build(&r, "gcc -g", old_text, new_text);
        reload_call(&r.old_build, "make");
        ck_assert_msg(reload_carry(&r, NULL) == RP_E_CHANGED, "%s", answers[i].name);
        rp_plan_free(r.plan);
        r.plan = NULL;
        const rp_type_answer answer = {answers[i].what, answers[i].type, NULL};
        rp_status status = reload_carry(&r, &(rp_plan_options){.answers = &answer});
        int line = status ? -1 : reload_call(&r.new_build, "check");
        if (answers[i].refused ? status != RP_E_CHANGED : status || line) {
            wrong++;
            fprintf(stderr, "%s: %d, line %d: %s\n", answers[i].name, status, line,
                    status ? rp_error_last()->text : "");
        }
        reload_drop(&r);
        reload_close(&r);
    }
    ck_assert_int_eq(wrong, 0);
}

/* ---- regardless ---- */

TEST(regardless_of_what_cannot_be_told_the_rest_is_carried)
{
    reload r = reload_open();
    reload_build(
        &r, "gcc -g",
        "struct E { int a; }; struct E *e; void *any; int number = 5; int kept = 6;\n"
        "int make(void) { e = allocate(sizeof *e); e->a = 7; int *n = any = allocate(64);\n"
        "n[0] = 8; number = 9; kept = 10; return 0; }",
        "struct E { double b; int a; }; struct E *e; void *any; char *number; int kept;\n"
        "int check(void) { CHECK(e->a == 7 && *(int *)any == 8 && !number && kept == 10);\n"
        "return 0; }");
    reload_call(&r.old_build, "make");
    ck_assert_int_eq(reload_carry(&r, NULL), RP_E_CHANGED);
    ck_ok(reload_carry(&r, &(rp_plan_options){.regardless = true}));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_ptr_nonnull(
        strstr(reload_report(&r), "'number': starts anew: it is char *, was int"));
    reload_drop(&r);
    reload_close(&r);
}

/* ---- what is only counted ---- */

TEST(values_that_do_not_fit_become_the_nearest_and_are_counted)
{
    reload r = reload_open();
    reload_build(
        &r, "gcc -g",
        "struct E { long a; double b; float c; unsigned d; int e; } e[2];\n"
        "int make(void) { e[0].a = 70000; e[0].b = 1e300; e[0].c = 2.5f; e[0].d = 4000000000u;\n"
        "e[0].e = -3; e[1].a = -5; e[1].b = 0.1; e[1].c = 7; e[1].d = 9; e[1].e = 3;\n"
        "return 0; }",
        "struct E { short a; float b; int c; int d; unsigned e; } e[2];\n"
        "int check(void) { CHECK(e[0].a == 32767 && e[0].b > 1e38f && e[0].c == 2);\n"
        "CHECK(e[0].d == 2147483647 && e[0].e == 0 && e[1].a == -5 && e[1].b == 0.1f);\n"
        "CHECK(e[1].c == 7 && e[1].d == 9 && e[1].e == 3); return 0; }");
    reload_call(&r.old_build, "make");
    ck_ok(reload_carry(&r, NULL));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_uint_eq(r.migration.values_lost, 5);
    ck_assert_str_eq(r.migration.lost_name, "E.a");
    reload_drop(&r);
    reload_close(&r);
}

TEST(pointers_to_fields_that_are_gone_stay_and_are_counted)
{
    reload r = reload_open();
    reload_build(
        &r, "gcc -g",
        "struct E { int a, gone, b; } *e; int *p, *q; struct E *end;\n"
        "int make(void) { e = allocate(4 * sizeof *e); e[2].b = 5; p = &e[1].gone; q = &e[2].b;\n"
        "end = e + 4; return 0; }",
        "struct E { int a, b; double c; } *e; int *p, *q; struct E *end;\n"
        "int check(void) { CHECK(q == &e[2].b && *q == 5 && end == e + 4); return 0; }");
    reload_call(&r.old_build, "make");
    ck_ok(reload_carry(&r, NULL));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_uint_eq(r.migration.pointers_left, 1);
    ck_assert_str_eq(r.migration.left_name, "struct E");
    reload_drop(&r);
    reload_close(&r);
}

TEST(objects_that_grow_in_slots_of_one_size_are_refused_by_the_allocators_name)
{
    reload r = reload_open();
    reload_build(&r, "gcc -g", "struct E { long a[2]; } *e; int make(void) { return 0; }",
                 "struct E { long a[9]; } *e;");
    rp_allocator *slots =
        rp_slots_allocator(rp_slots_create(&(rp_slots_desc){.name = "enemies", .slot_bytes = 16}));
    void **e = dlsym(r.old_build.handle, "e");
    *e = rp_alloc(slots, 16);
    ck_assert_int_eq(reload_carry(&r, NULL), RP_E_CHANGED);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "'enemies'"));
    ck_assert_uint_eq(r.refusal.kind, RP_REFUSAL_PLACE);
    reload_drop(&r);
    reload_close(&r);
}

/* ---- what is said by the program ---- */

TEST(an_edited_tweak_counts_at_once_and_one_that_was_not_edited_runs_on)
{
    reload r = reload_open();
    reload_build(
        &r, "gcc -g -I" RP_TEST_INCLUDE,
        "#include <reprise/types.h>\nRP_TWEAK(float, jump, 9.0f); RP_TWEAK(int, same, 3);\n"
        "int plain = 4; int make(void) { jump = 1; same = 2; plain = 1; return 0; }",
        "#include <reprise/types.h>\nRP_TWEAK(float, jump, 12.0f); RP_TWEAK(int, same, 3);\n"
        "int plain = 5; int check(void) { CHECK(jump == 12 && same == 2 && plain == 1);\n"
        "return 0; }");
    reload_call(&r.old_build, "make");
    ck_ok(reload_carry(&r, NULL));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_ptr_nonnull(strstr(reload_report(&r), "'jump' in game.c: has its new initial value"));
    ck_assert_ptr_nonnull(strstr(reload_report(&r), "'plain': runs on with its value"));
    reload_drop(&r);
    reload_close(&r);
}

TEST(typed_allocations_that_are_traced_tell_their_type)
{
    reload r = reload_open();
    reload_build(&r, "gcc -g",
                 "struct E { int a; }; struct E *unused; void *any; int make(void) { return 0; }",
                 "struct E { double b; int a; }; struct E *unused; void *any;\n"
                 "int check(void) { CHECK(((struct E *)any)->a == 5); return 0; }");
    ck_ok(rp_trace_open("*=trace"));
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "traced"});
    void **any = dlsym(r.old_build.handle, "any");
    *any = rp_new_at(heap, 1, 4, 4, "game.c:1 struct E");
    *(int *)*any = 5;
    ck_ok(reload_carry(&r, NULL));
    ck_assert_int_eq(reload_call(&r.new_build, "check"), 0);
    ck_assert_ptr_eq(rp_allocator_of(*(void **)dlsym(r.new_build.handle, "any")), heap);
    reload_drop(&r);
    reload_close(&r);
}
