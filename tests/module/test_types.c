#include "base/error.h"
#include "module/elf.h"
#include "module/fixture.h"
#include "module/plan.h"
#include "support/fault.h"

#include <elf.h>
#include <errno.h>
#include <time.h>

#define OLD_BASE UINT64_C(0x700000000000)
#define C_STEP "\n" FIXTURE_STEP
#define CXX_STEP "\nextern \"C\" " FIXTURE_STEP

/* An edit: what stands before the step function, in the old and in the new source. */
typedef struct edit {
    const char *before, *after;
    const char *words; /* of the report, or of the refusal; null: nothing differs */
} edit;

/* The pair of builds and what came of them. */
typedef struct pair {
    rp_elf *old_elf, *new_elf;
    rp_plan *plan;
    rp_status status;
} pair;

static rp_elf *open_built(fixture *f, const char *compiler, const char *sources, const char *name)
{
    rp_elf *elf;
    ck_ok(rp_elf_open(fixture_build(f, compiler, sources, name), NULL, &elf));
    return elf;
}

static void plan_pair(pair *p)
{
    p->status = rp_plan_make(p->old_elf, 1, OLD_BASE, 0, p->new_elf, 2, NULL, &p->plan);
    ck_assert_int_eq(p->status != RP_OK, p->plan == NULL);
}

static void drop_pair(pair *p)
{
    rp_plan_free(p->plan);
    rp_elf_close(p->old_elf);
    rp_elf_close(p->new_elf);
}

static const char *report_of(const pair *p)
{
    return rp_plan_name(p->plan, (uint32_t)p->plan->report_offset);
}

static void write_source(fixture *f, const char *name, const char *text, bool cxx)
{
    char source[4096];
    rp_text_buffer buffer = rp_text_buffer_over(source, sizeof source);
    rp_text_add(&buffer, "%s%s", text, cxx ? CXX_STEP : C_STEP);
    fixture_write(f, name, source);
}

/* The edits of this test that did not come out as their table says. */
static int wrong;

static void check_words(const pair *p, const edit *e, const char *compiler,
                        const char *old_compiler)
{
    const char *text = p->status == RP_OK ? report_of(p) : rp_error_last()->text;
    bool right = e->words ? strstr(text, e->words) != NULL
                          : p->status == RP_OK && !p->plan->changed &&
                                !strstr(text, "types are not compared");
    if (!right) {
        wrong++;
        fprintf(stderr, "%s, then %s:\n  %s\n  %s\n  wanted: %s\n  got: %s\n", old_compiler,
                compiler, e->before, e->after, e->words ? e->words : "a plan", text);
    }
}

static void check_edit(const char *old_compiler, const char *compiler, bool cxx, const edit *e)
{
    fixture f = fixture_open();
    const char *name = cxx ? "game.cc" : "game.c";
    pair p = {0};
    write_source(&f, name, e->before, cxx);
    p.old_elf = open_built(&f, old_compiler, name, "old.so");
    write_source(&f, name, e->after, cxx);
    p.new_elf = open_built(&f, compiler, name, "new.so");
    plan_pair(&p);
    check_words(&p, e, compiler, old_compiler);
    drop_pair(&p);
    fixture_close(&f);
}

static void check_edits(const char *compiler, bool cxx, const edit *edits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_edit(compiler, compiler, cxx, &edits[i]);
    }
    ck_assert_int_eq(wrong, 0);
}

#define E "struct Enemy *first;"
#define COUNT(edits) (sizeof(edits) / sizeof *(edits))

static const edit c_edits[] = {
    /* members of a struct that only the heap holds */
    {"struct Enemy { float x, y; };" E, "struct Enemy { float x, y; float coyote_s; };" E,
     "struct Enemy in game.c:1: member 'coyote_s' (float, at 8) is new, 8 bytes became 12"},
    {"struct Enemy { float x, y; };" E, "struct Enemy { float x; };" E,
     "struct Enemy in game.c:1: member 'y' (float, at 4) is gone, 8 bytes became 4"},
    {"struct Enemy { float x; char pad; };" E, "struct Enemy { float x; char pad, more; };" E,
     "member 'more' (char, at 5) is new"},
    {"struct Enemy { float x, y; };" E, "struct Enemy { float y, x; };" E,
     "member 'y' moved from 4 to 0"},
    {"struct Enemy { float x, y; };" E, "struct Enemy { float x, z; };" E,
     "member 'y' (float, at 4) is called 'z' now"},
    {"struct Enemy { float x; };" E, "struct Enemy { int x; };" E, "member 'x' is int, was float"},
    {"struct Enemy { int x; };" E, "struct Enemy { unsigned x; };" E,
     "member 'x' is unsigned int, was int"},
    {"struct Enemy { float x; };" E, "struct Enemy { double x; };" E,
     "member 'x' is double, was float, 4 bytes became 8"},
    {"struct Enemy { long double x; };" E, "struct Enemy { __float128 x; };" E, "was long double"},
    {"struct Enemy { char name[16]; };" E, "struct Enemy { char name[32]; };" E,
     "member 'name' is char[32], was char[16], 16 bytes became 32"},
    {"struct Enemy { int m[2][3]; };" E, "struct Enemy { int m[3][2]; };" E,
     "member 'm' is int[3][2], was int[2][3]"},
    {"struct Enemy { int n, tail[]; };" E, "struct Enemy { int n, tail[]; };" E, NULL},
    {"struct Enemy { int n; int tail[]; };" E, "struct Enemy { int n; float tail[]; };" E,
     "member 'tail' is float[], was int[]"},
    /* pointers */
    {"struct Enemy { struct Enemy *next; };" E, "struct Enemy { struct Enemy *next; };" E, NULL},
    {"struct Enemy { int *p; };" E, "struct Enemy { float *p; };" E,
     "member 'p' is float *, was int *"},
    {"struct Enemy { int *p; };" E, "struct Enemy { int **p; };" E,
     "member 'p' is int **, was int *"},
    {"struct Enemy { long p; };" E, "struct Enemy { int *p; };" E, "member 'p' is int *, was long"},
    {"struct Enemy { void *p; };" E, "struct Enemy { struct Enemy *p; };" E, NULL},
    {"struct Enemy { char *p; };" E, "struct Enemy { const char *restrict p; };" E, NULL},
    {"struct Enemy { void (*f)(int); };" E, "struct Enemy { int (*f)(int, float); };" E, NULL},
    {"struct Enemy { void (*f)(int); };" E, "struct Enemy { void *f; };" E,
     "member 'f' is void *, was function *"},
    {"struct A { int a; }; struct B { int a; }; struct Enemy { struct A *p; struct B *q; };" E,
     "struct A { int a; }; struct B { int a; }; struct Enemy { struct B *p; struct A *q; };" E,
     "member 'p' is struct B *, was struct A *"},
    {"struct Late; struct Enemy { struct Late *p; };" E,
     "struct Late { int a; }; struct Enemy { struct Late *p; };" E, NULL},
    /* what makes no layout */
    {"typedef float real; struct Enemy { real x; };" E, "struct Enemy { float x; };" E, NULL},
    {"struct Enemy { long long x; };" E, "struct Enemy { long x; };" E, NULL},
    {"struct Enemy { int x; };" E, "struct Enemy { volatile int x; };" E, NULL},
    {"union Enemy { int x; float y; }; union Enemy *first;",
     "union Enemy { float y; int x; }; union Enemy *first;", NULL},
    {"struct Enemy { int x; };" E,
     "struct Enemy { int x; }; struct Coin { int a; } *coins; int other;" E, NULL},
    {"struct Enemy { int x; }; struct Coin { int a; } *coins;" E, "struct Enemy { int x; };" E,
     NULL},
    /* structs in structs: the one that changed is named, not what it moved */
    {"struct Vec { float x, y; }; struct Enemy { struct Vec at; int hp; };" E,
     "struct Vec { float x, y, z; }; struct Enemy { struct Vec at; int hp; };" E,
     "struct Vec in game.c:1: member 'z' (float, at 8) is new, 8 bytes became 12"},
    {"struct Vec { float x, y; }; struct Enemy { struct Vec at[4]; int hp; };" E,
     "struct Vec { float y, x; }; struct Enemy { struct Vec at[4]; int hp; };" E,
     "struct Vec in game.c:1: member 'y' moved from 4 to 0"},
    {"struct Enemy { struct { float x, y; } at; int hp; };" E,
     "struct Enemy { struct { float x; int y; } at; int hp; };" E,
     "struct Enemy in game.c:1: member 'at.y' is int, was float"},
    {"struct Enemy { union { int i; float f; }; };" E,
     "struct Enemy { union { int i; float f; short s; }; };" E, "member 's' (short"},
    {"struct Enemy { union { int i; float f; }; };" E,
     "struct Enemy { struct { int i; float f; }; };" E, "member 'f' moved from 0 to 4"},
    {"struct Enemy { struct { int a; } slots[3]; };" E,
     "struct Enemy { struct { float a; } slots[3]; };" E, "member 'slots[].a' is float, was int"},
    {"struct Enemy { struct { int a; } *list; };" E,
     "struct Enemy { struct { float a; } *list; };" E, "member 'list->a' is float, was int"},
    {"struct Enemy { struct { struct { int a; } in; } out; };" E,
     "struct Enemy { struct { struct { float a; } in; } out; };" E,
     "member 'out.in.a' is float, was int"},
    /* typedefs */
    {"typedef struct { float x; } Enemy; Enemy *first;",
     "typedef struct { float x; int hp; } Enemy; Enemy *first;",
     "struct Enemy in game.c:1: member 'hp' (int, at 4) is new"},
    {"typedef struct { float x; } Enemy; Enemy *first;",
     "typedef struct Enemy { int x; } Enemy; Enemy *first;", "member 'x' is int, was float"},
    {"typedef struct { float x; } Enemy; Enemy *first;",
     "typedef struct Enemy { float x; } Enemy; Enemy *first;", NULL},
    {"typedef float real; real *heights;", "typedef double real; real *heights;",
     "variable 'heights': it is double *, was float *"},
    {"typedef int (*callback)(int); callback *list;",
     "typedef void (*callback)(void); callback *list;", NULL},
    {"typedef struct { float x; } Enemy; Enemy *first;",
     "typedef union { float x; } Enemy; Enemy *first;",
     "variable 'first': it is union Enemy *, was struct Enemy *"},
    /* enums */
    {"enum state { IDLE, RUN }; struct Enemy { enum state s; };" E,
     "enum state { IDLE, JUMP, RUN }; struct Enemy { enum state s; };" E,
     "constant 'JUMP' (1) is new"},
    {"enum state { IDLE, RUN }; struct Enemy { enum state s; };" E,
     "enum state { IDLE = -1, RUN }; struct Enemy { enum state s; };" E,
     "constant 'RUN' was renumbered from 1 to 0"},
    {"enum state { IDLE, RUN }; struct Enemy { enum state s; };" E, "struct Enemy { int s; };" E,
     NULL},
    {"enum state { IDLE, RUN }; enum state *states;",
     "enum __attribute__((packed)) state { IDLE, RUN }; enum state *states;",
     "enum state in game.c:1, 4 bytes became 1"},
    /* bit-fields */
    {"struct Enemy { unsigned a : 3, b : 5; };" E, "struct Enemy { unsigned a : 4, b : 4; };" E,
     "member 'a' is unsigned int of 4 bits, was unsigned int of 3 bits"},
    {"struct Enemy { unsigned a : 3, b : 3; };" E, "struct Enemy { unsigned b : 3, a : 3; };" E,
     "member 'b' moved from 0 bit 3 to 0 bit 0"},
    {"struct Enemy { unsigned a : 3, b : 3; };" E,
     "struct Enemy { unsigned a : 3, b : 3, c : 1; };" E,
     "member 'c' (unsigned int, at 0 bit 6) is new"},
    {"struct Enemy { unsigned a : 3, b : 5; };" E, "struct Enemy { unsigned a : 3, b : 5; };" E,
     NULL},
    /* packing and alignment */
    {"struct Enemy { char a; int b; };" E,
     "struct __attribute__((packed)) Enemy { char a; int b; };" E,
     "member 'b' moved from 4 to 1, 8 bytes became 5"},
    {"struct Enemy { int a; };" E, "struct Enemy { int a; } __attribute__((aligned(16)));" E,
     "struct Enemy in game.c:1, 4 bytes became 16"},
    /* inside functions */
    {"void *f(void) { struct node { int a; } *n = __builtin_malloc(sizeof *n); n->a = 1; return n; "
     "}",
     "void *f(void) { struct node { float a; } *n = __builtin_malloc(sizeof *n); n->a = 1; return "
     "n; }",
     "struct f()::node in game.c:1: member 'a' is float, was int"},
    {"int f(void) { struct node { int a; } n = {1}; return n.a; } int g(void) { struct node { "
     "float a; "
     "} n = {1}; return (int)n.a; }",
     "int g(void) { struct node { float a; } n = {1}; return (int)n.a; } int f(void) { struct node "
     "{ "
     "int a; } n = {1}; return n.a; }",
     NULL},
    /* variables */
    {"static int *p; int **q = &p;", "static float *p; float **q = &p;", "is float *"},
    {"static int a[4]; int *q = a;", "static float a[4]; float *q = a;", "is float"},
    {"struct { int a, b; } state;", "struct { int a; float b; } state;",
     "'state': converted: member 'b' is float, was int"},
    {"int f(void) { static float n; return (int)n++; }",
     "int f(void) { static int n; return n++; }", "converted: is int, was float"},
    {"const float k = 1;", "const int k = 1;", NULL},
};

TEST(each_edit_of_a_type_is_accepted_or_refused_with_gcc)
{
    check_edits("gcc -g -O0", false, c_edits, COUNT(c_edits));
}

TEST(each_edit_of_a_type_is_accepted_or_refused_with_clang)
{
    check_edits("clang -g -O0", false, c_edits, COUNT(c_edits));
}

/* Every third edit for each way to write debug information: all of them would take a minute. */
TEST(debug_information_of_every_form_is_read)
{
    const char *compilers[] = {"gcc -g -gdwarf-4",
                               "clang -g -gdwarf-4",
                               "gcc -g -gdwarf-3 -gstrict-dwarf",
                               "gcc -g -gdwarf-2",
                               "gcc -g -gz",
                               "clang -g -gz=zlib -fuse-ld=lld -Wl,--compress-debug-sections=zlib",
                               "gcc -g -gz=zlib-gnu",
                               "gcc -g -fdebug-types-section",
                               "gcc -g -gdwarf-4 -fdebug-types-section",
                               "clang -g -fdebug-types-section",
                               "gcc -g -O2 -flto",
                               "gcc -g3 -O2"};
    for (size_t k = 0; k < COUNT(compilers); k++) {
        for (size_t i = k % 3; i < COUNT(c_edits); i += 3) {
            check_edit(compilers[k], compilers[k], false, &c_edits[i]);
        }
    }
    ck_assert_int_eq(wrong, 0);
}

#define NEW_ENEMY "Enemy *first() { return new Enemy; }"

static const edit cxx_edits[] = {
    {"class Enemy { public: float x; private: int hp; }; " NEW_ENEMY,
     "struct Enemy { float x; int hp; }; " NEW_ENEMY, NULL},
    {"struct Enemy { float x; }; " NEW_ENEMY, "struct Enemy { float x; int hp; }; " NEW_ENEMY,
     "struct Enemy in game.cc:1: member 'hp' (int, at 4) is new"},
    {"struct Enemy { float x; static int count; }; int Enemy::count; " NEW_ENEMY,
     "struct Enemy { float x; static int count, more; }; int Enemy::count, Enemy::more; " NEW_ENEMY,
     NULL},
    {"struct Enemy { float x; void f() { x = 1; } }; " NEW_ENEMY,
     "struct Enemy { float x; void g(int) { x = 2; } void f() { x = 1; } }; " NEW_ENEMY, NULL},
    {"namespace a { struct V { int x; }; } namespace b { struct V { float x; }; } a::V *p; b::V "
     "*q;",
     "namespace b { struct V { float x; }; } namespace a { struct V { int x; }; } a::V *p; b::V "
     "*q;",
     NULL},
    {"namespace a { struct V { int x; }; } a::V *p = new a::V;",
     "namespace a { struct V { float x; }; } a::V *p = new a::V;",
     "struct a::V in game.cc:1: member 'x' is float, was int"},
    {"namespace { struct V { int x; }; } void *p() { V *v = new V; v->x = 1; return v; }",
     "namespace { struct V { float x; }; } void *p() { V *v = new V; v->x = 1; return v; }",
     "struct (anonymous)::V"},
    {"namespace a { struct V { int x; }; } namespace b { struct V { int x; }; }"
     "struct Enemy { a::V *v; b::V *w; }; " NEW_ENEMY,
     "namespace a { struct V { int x; }; } namespace b { struct V { int x; }; }"
     "struct Enemy { b::V *v; a::V *w; }; " NEW_ENEMY,
     "member 'v' is struct b::V *, was struct a::V *"},
    {"struct Enemy { struct Part; Part *part; }; struct Enemy::Part { int a; }; void *p = new "
     "Enemy::Part; " NEW_ENEMY,
     "struct Enemy { struct Part; Part *part; }; struct Enemy::Part { float a; }; void *p = new "
     "Enemy::Part; " NEW_ENEMY,
     "struct Enemy::Part in game.cc:1: member 'a' is float, was int"},
    {"struct B { int b; }; struct Enemy { int x; }; " NEW_ENEMY,
     "struct B { int b; }; struct Enemy : B { int x; }; " NEW_ENEMY,
     "base class 'B' (at 0) is new"},
    {"struct A { int a; }; struct B { int b; }; struct Enemy : A, B { }; " NEW_ENEMY,
     "struct A { int a; }; struct B { int b; }; struct Enemy : B, A { }; " NEW_ENEMY,
     "base class 'B' moved from 4 to 0"},
    {"struct Enemy { virtual void a() { } virtual void b() { } }; " NEW_ENEMY,
     "struct Enemy { virtual void b() { } virtual void a() { } }; " NEW_ENEMY,
     "virtual function 'b' moved from 1 to 0"},
    {"struct Enemy { virtual void a() { } }; " NEW_ENEMY,
     "struct Enemy { virtual void a() { } virtual void b() { } }; " NEW_ENEMY,
     "virtual function 'b' (at 1) is new"},
    {"struct Enemy { virtual void a() { } void b() { } }; " NEW_ENEMY,
     "struct Enemy { virtual void a() { } void b() { } void c() { } }; " NEW_ENEMY, NULL},
    {"struct Enemy { void a() { } int x; }; " NEW_ENEMY,
     "struct Enemy { virtual void a() { } int x; }; " NEW_ENEMY, "4 bytes became 16"},
    {"struct Enemy { int *r; }; " NEW_ENEMY,
     "struct Enemy { int &r; }; Enemy *first() { static int i; "
     "return new Enemy{i}; }",
     NULL},
    {"struct Enemy; struct Enemy { int Enemy::*m; }; " NEW_ENEMY,
     "struct Enemy; struct Enemy { void (Enemy::*m)(); }; " NEW_ENEMY, "8 bytes became 16"},
    {"template <class T> struct Box { T t; int n; }; Box<int> *p() { return new Box<int>; }",
     "template <class T> struct Box { int n; T t; }; Box<int> *p() { return new Box<int>; }",
     "struct Box<int> in game.cc:1: member 'n' moved from 4 to 0"},
    {"struct Enemy { struct Part { int a; } *part; }; " NEW_ENEMY " Enemy::Part *p() { return new "
     "Enemy::Part; }",
     "struct Enemy { struct Part { float a; } *part; }; " NEW_ENEMY
     " Enemy::Part *p() { return new "
     "Enemy::Part; }",
     "struct Enemy::Part in game.cc:1: member 'a' is float, was int"},
    {"int rp_call(int a) { auto f = [a] { return a; }; return f(); }",
     "int rp_call(int a) { auto f = [a] { return a; }; auto g = [] { return 2; }; return f() + "
     "g(); }",
     NULL},
    {"enum class state { IDLE }; state *s;", "enum class state : char { IDLE }; state *s;",
     "enum state in game.cc:1, 4 bytes became 1"},
    {"#include <string>\n#include <vector>\nstruct Enemy { std::string n; std::vector<int> v; "
     "}; " NEW_ENEMY,
     "#include <string>\n#include <vector>\nstruct Enemy { std::string n; std::vector<int> v; };"
     "int more(std::vector<int> &v) { v.push_back(1); return v[0]; } " NEW_ENEMY,
     NULL},
    {"#include <string>\n#include <vector>\nstruct Enemy { std::string n; std::vector<int> v; "
     "}; " NEW_ENEMY,
     "#include <string>\n#include <vector>\nstruct Enemy { std::string n; std::vector<float> v; "
     "}; " NEW_ENEMY,
     "member 'v' is struct"},
};

TEST(each_edit_of_a_class_is_accepted_or_refused)
{
    const char *compilers[] = {"g++ -g", "clang++ -g", "g++ -g -fdebug-types-section",
                               "clang++ -g -gdwarf-4"};
    for (size_t i = 0; i < COUNT(compilers); i++) {
        check_edits(compilers[i], true, cxx_edits, COUNT(cxx_edits));
    }
}

/* The compilers name and place things differently in the debug information: none of it may look
 * like an edit. */
TEST(another_compiler_or_another_form_is_no_edit)
{
    const edit same = {
        "struct V { int a : 3, b : 7; long l; unsigned char c; _Bool f; struct V *next; void *p; };"
        "union U { int i; double d; char tail[7]; }; struct { int x; } state; struct V *v;"
        "typedef struct { union U u; struct { short s; } in; enum { ON, OFF } e; } T; T t; long "
        "double d;",
        NULL, NULL};
    const char *compilers[] = {
        "gcc -g -fno-common",           "clang -g",        "gcc -g -gdwarf-4", "clang -g -gdwarf-4",
        "gcc -g -fdebug-types-section", "gcc -g -gdwarf-2"};
    edit e = same;
    e.after = e.before;
    for (size_t i = 0; i < COUNT(compilers); i++) {
        check_edit(compilers[i], compilers[(i + 1) % COUNT(compilers)], false, &e);
        check_edit(compilers[(i + 1) % COUNT(compilers)], compilers[i], false, &e);
    }
    edit class = {
        "struct Enemy { virtual void a() { } virtual ~Enemy() { } int x; bool b; }; " NEW_ENEMY,
        NULL, NULL};
    class.after = class.before;
    check_edit("g++ -g", "clang++ -g", true, &class);
    ck_assert_int_eq(wrong, 0);
}

/* Builds a pair of modules of two files. */
static pair two_files(fixture *f, const char *old_a, const char *old_b, const char *new_a,
                      const char *new_b)
{
    pair p = {0};
    write_source(f, "a.c", old_a, false);
    fixture_write(f, "b.c", old_b);
    p.old_elf = open_built(f, "gcc -g", "a.c b.c", "old.so");
    write_source(f, "a.c", new_a, false);
    fixture_write(f, "b.c", new_b);
    p.new_elf = open_built(f, "gcc -g", "a.c b.c", "new.so");
    plan_pair(&p);
    return p;
}

TEST(structs_of_one_name_are_told_apart_by_their_files)
{
    const struct {
        const char *old_a, *old_b, *new_a, *new_b, *words;
    } cases[] = {
        {"struct node { int a; } *a;", "struct node { float b; } *b;", "struct node { int a; } *a;",
         "struct node { float b; } *b; int more;", NULL},
        {"struct node { int a; } *a;", "struct node { float b; } *b;", "struct node { int a; } *a;",
         "struct node { int b; } *b;", "struct node in b.c:1: member 'b' is int, was float"},
        {"struct node { int a; } *a;", "struct node { float b; } *b;",
         "struct node { float b; } *a;", "struct node { float b; } *b;", "struct node in a.c:1"},
        {"struct node { int a; } *a;", "int other;", "struct node { int a; } *a;",
         "struct node { float b; } *b;", NULL},
        {"struct node { int a; } *a;", "int b;", "int other;", "struct node { float a; } *b;",
         "variable 'b': it is struct node *, was int"},
        {"struct node { int a; } *a;", "struct node { float b; } *b;", "int other;",
         "struct node { float b; } *b;", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = fixture_open();
        pair p = two_files(&f, cases[i].old_a, cases[i].old_b, cases[i].new_a, cases[i].new_b);
        const edit e = {cases[i].old_b, cases[i].new_b, cases[i].words};
        check_words(&p, &e, "gcc -g", "two files, gcc -g");
        drop_pair(&p);
        fixture_close(&f);
    }
    ck_assert_int_eq(wrong, 0);
}

static void check_line(const char *old_compiler, const char *new_compiler, const char *line)
{
    fixture f = fixture_open();
    pair p = {0};
    write_source(&f, "game.c", "struct Enemy { int a; } *first; int n;", false);
    p.old_elf = open_built(&f, old_compiler, "game.c", "old.so");
    write_source(&f, "game.c", "struct Enemy { float a; } *first; int n;", false);
    p.new_elf = open_built(&f, new_compiler, "game.c", "new.so");
    plan_pair(&p);
    ck_assert_msg(p.status == RP_OK, "%s", rp_error_last()->text);
    ck_assert_msg(strncmp(report_of(&p), line, strlen(line)) == 0, "%s", report_of(&p));
    ck_assert_ptr_null(strstr(report_of(&p) + 1, "types are not compared"));
    drop_pair(&p);
    fixture_close(&f);
}

TEST(what_cannot_be_compared_is_said_once)
{
    const char *old_line =
        "types are not compared: build 1 has no debug information: compile with -g";
    const char *new_line =
        "types are not compared: build 2 has no debug information: compile with -g";
    check_line("gcc", "gcc", old_line);
    check_line("gcc", "gcc -g", old_line);
    check_line("gcc -g", "gcc", new_line);
    check_line("gcc -g", "gcc -g1", new_line);
    check_line("clang -g", "clang -gline-tables-only", new_line);
    check_line("gcc -g", "gcc -g -s", new_line);
}

static const char *report_without(const char *compiler, const char *then, pair *p, fixture *f)
{
    write_source(f, "game.c", "struct Enemy { int x; } enemy;", false);
    p->old_elf = open_built(f, "gcc -g", "game.c", "old.so");
    const char *path = fixture_build(f, compiler, "game.c", "new.so");
    ck_assert(fixture_run(f, then));
    ck_ok(rp_elf_open(path, NULL, &p->new_elf));
    plan_pair(p);
    ck_ok(p->status);
    return report_of(p);
}

static void check_apart(const char *compiler, const char *then, const char *words)
{
    fixture f = fixture_open();
    pair p = {0};
    const char *report = report_without(compiler, then, &p, &f);
    ck_assert_msg(words ? strstr(report, words) != NULL : !strstr(report, "not compared"), "%s",
                  report);
    drop_pair(&p);
    fixture_close(&f);
}

/* Its id tells whether a file of debug information is still the build's. */
TEST(files_of_debug_information_are_found_and_known_to_be_the_builds)
{
    static const char *const compilers[] = {"gcc -g -gsplit-dwarf", "gcc -gdwarf-4 -gsplit-dwarf",
                                            "clang -g -gsplit-dwarf",
                                            "clang -gdwarf-4 -gsplit-dwarf"};
    for (size_t i = 0; i < COUNT(compilers); i++) {
        check_apart(compilers[i], "true", NULL);
        check_apart(compilers[i], "rm -f *.dwo", ".dwo is not there: build it anew");
        check_apart(compilers[i], "for f in *.dwo; do head -c 300 $f > cut && mv cut $f; done",
                    "of another compilation");
        check_apart(compilers[i], "rm -f *.dwo && mkfifo $(strings new.so | grep -m1 'dwo$')",
                    "is not there");
    }
    check_apart(
        "gcc -g -gsplit-dwarf",
        "sed -i 's/int x/long x/' game.c && gcc -w -g -gsplit-dwarf -fPIC -shared game.c -o "
        "other.so && mv other.so-game.dwo new.so-game.dwo",
        "new.so-game.dwo is of another compilation");
}

/* What the next compiler run writes over was read before. */
TEST(the_old_build_keeps_its_debug_information_when_its_files_are_gone)
{
    fixture f = fixture_open();
    pair p = {0};
    write_source(&f, "game.c", "struct Enemy { int x; } enemy;", false);
    p.old_elf = open_built(&f, "clang -g -gsplit-dwarf", "game.c", "old.so");
    write_source(&f, "game.c", "struct Enemy { int x, y; } enemy;", false);
    p.new_elf = open_built(&f, "clang -g -gsplit-dwarf", "game.c", "new.so");
    ck_assert(fixture_run(&f, "rm -f *.dwo"));
    plan_pair(&p);
    ck_ok(p.status);
    ck_assert_msg(strstr(report_of(&p), "member 'y' (int, at 4) is new"), "%s", report_of(&p));
    drop_pair(&p);
    fixture_close(&f);
}

/* A module's source of this repository with one text in it replaced; false: the text is not there.
 */
static void check_source(const char *of, const char *from, const char *to, const char *words)
{
    fixture f = fixture_open();
    char path[512];
    uint8_t *bytes;
    snprintf(path, sizeof path, "%.*s%s", (int)(strlen(RP_TEST_DATA) - strlen("tests/data")),
             RP_TEST_DATA, of);
    size_t size_bytes = fixture_read(path, &bytes);
    bytes[size_bytes] = 0;
    char *at = strstr((char *)bytes, from), *edited = malloc(size_bytes + strlen(to) + 1);
    ck_assert_msg(at != NULL && edited, "%s: no '%s'", path, from);
    int head = (int)(at - (char *)bytes);
    sprintf(edited, "%.*s%s%s", head, (char *)bytes, to, at + strlen(from));
    char line[1024];
    snprintf(line, sizeof line, "gcc -g -O1 -D_GNU_SOURCE -I%.*sinclude -I%.*s",
             (int)(strlen(path) - strlen(of)), path, (int)(strrchr(path, '/') - path), path);
    pair p = {0};
    fixture_write(&f, "game.c", (char *)bytes);
    p.old_elf = open_built(&f, line, "game.c -lm", "old.so");
    fixture_write(&f, "game.c", edited);
    p.new_elf = open_built(&f, line, "game.c -lm", "new.so");
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    plan_pair(&p);
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("%s: types of both builds and the plan: %.2f ms\n", from,
           (double)(after.tv_sec - before.tv_sec) * 1e3 +
               (double)(after.tv_nsec - before.tv_nsec) / 1e6);
    const edit e = {from, to, words};
    check_words(&p, &e, path, "gcc");
    ck_assert_int_eq(wrong, 0);
    drop_pair(&p);
    free(edited);
    free(bytes);
    fixture_close(&f);
}

TEST(a_new_field_of_the_demos_enemies_is_refused)
{
    const char *game = "examples/demo/game.c";
    check_source(game, "JUMP_SPEED 9.0f", "JUMP_SPEED 11.5f", NULL);
    check_source(game, "struct Enemy {\n", "struct Enemy {\n    float coyote_s;\n",
                 "member 'coyote_s' (float, at 0) is new");
    check_source(game, "    unsigned colour;\n};", "    float drag;\n    unsigned colour;\n};",
                 "struct Particle in game.c:");
}

TEST(edits_of_the_counter_module_are_judged)
{
    const char *counter = "tests/programs/counter_module.c";
    check_source(counter, "#include \"counter", "#define EDIT_1\n#include \"counter", NULL);
    check_source(counter, "#include \"counter", "#define EDIT_3\n#include \"counter", NULL);
    check_source(counter, "#include \"counter", "#define EDIT_4\n#include \"counter", NULL);
    check_source(
        counter, "#include \"counter", "#define EDIT_5\n#include \"counter",
        "struct item in game.c:30: member 'grown' (double, at 8) is new, 32 bytes became 40");
    check_source(counter, "    uint32_t weight;", "    int32_t weight;",
                 "member 'weight' is int, was unsigned int");
}

static const char *const rich =
    "#include <stdio.h>\nstruct V { int a : 3, b : 7; struct V *next; void (*f)(int); FILE *out; };"
    "typedef struct { union { int i; double d; }; struct { short s[3][2]; } in[4]; } T; T t;"
    "enum state { ON, OFF }; struct V *v; typedef float real; real *r; enum state *s;";

/* The bytes of the sections with debug information: they lie together. */
static void debug_range(const uint8_t *bytes, size_t *from, size_t *to)
{
    Elf64_Ehdr header;
    memcpy(&header, bytes, sizeof header);
    const Elf64_Shdr *sections = (const void *)(bytes + header.e_shoff);
    const char *names = (const char *)bytes + sections[header.e_shstrndx].sh_offset;
    *from = SIZE_MAX;
    *to = 0;
    for (int i = 0; i < header.e_shnum; i++) {
        const Elf64_Shdr *section = &sections[i];
        if (strncmp(names + section->sh_name, ".debug_", 7) == 0) {
            size_t end = section->sh_offset + section->sh_size;
            *from = section->sh_offset < *from ? section->sh_offset : *from;
            *to = end > *to ? end : *to;
        }
    }
}

static int plan_and_drop(rp_elf *old_elf, rp_elf *new_elf)
{
    pair p = {.old_elf = old_elf, .new_elf = new_elf};
    plan_pair(&p);
    ck_assert(p.status == RP_OK || p.status == RP_E_CHANGED || p.status == RP_E_MEMORY ||
              p.status == RP_E_FORMAT);
    bool compared = p.status == RP_OK && !strstr(report_of(&p), "types are not compared");
    rp_plan_free(p.plan);
    return compared ? 0 : p.status == RP_OK ? 1 : 2;
}

TEST(damaged_debug_information_is_compared_refused_or_said)
{
    const char *compilers[] = {"gcc -g", "clang -g", "gcc -g -fdebug-types-section -gdwarf-4"};
    uint64_t state = test_seed();
    int outcomes[3] = {0};
    for (size_t i = 0; i < COUNT(compilers); i++) {
        fixture f = fixture_open();
        uint8_t *whole, *bytes;
        size_t from, to;
        write_source(&f, "game.c", rich, false);
        rp_elf *good = open_built(&f, compilers[i], "game.c", "whole.so"), *damaged;
        size_t size = fixture_read(fixture_path(&f, "whole.so"), &whole);
        bytes = malloc(size);
        debug_range(whole, &from, &to);
        ck_assert_uint_lt(from, to);
        for (int round = 0; round < 400; round++) {
            memcpy(bytes, whole, size);
            for (uint64_t flips = 1 + test_random(&state) % 8; flips; flips--) {
                bytes[from + test_random(&state) % (to - from)] = (uint8_t)test_random(&state);
            }
            ck_ok(rp_elf_open_memory(bytes, size, "damaged.so", &damaged));
            outcomes[plan_and_drop(good, damaged)]++;
            outcomes[plan_and_drop(damaged, good)]++;
            rp_elf_close(damaged);
        }
        rp_elf_close(good);
        free(bytes);
        free(whole);
        fixture_close(&f);
    }
    ck_assert(outcomes[0] && outcomes[1] && outcomes[2]);
}

static rp_status plan_of_fresh_builds(void *context)
{
    const char *path = context;
    pair p = {0};
    rp_status status = rp_elf_open(path, NULL, &p.old_elf);
    if (status != RP_OK) {
        return status;
    }
    p.new_elf = p.old_elf;
    plan_pair(&p);
    rp_plan_free(p.plan);
    rp_elf_close(p.old_elf);
    return p.status;
}

TEST(each_failing_call_while_types_are_read_is_told)
{
    fixture f = fixture_open();
    write_source(&f, "game.c", rich, false);
    rp_elf_close(open_built(&f, "gcc -g", "game.c", "game.so"));
    char path[256];
    rp_text_copy(path, sizeof path, fixture_path(&f, "game.so"));
    fault_each_call(plan_of_fresh_builds, path, ENOMEM);
    fixture_close(&f);
}
