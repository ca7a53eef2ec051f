/* Reloading in place: what is kept, what is refused, what is named, and what comes back. */
#include "deck/reload_module.h"
#include "support/fault.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

static uint64_t frame_of(const modules *m)
{
    rp_deck_status status;
    rp_deck_status_get(m->deck, &status);
    return status.frame;
}

static int value(modules *m)
{
    return modules_call(m, "get");
}

#define COUNTER                                                                          \
    "static int n = 10; static int hits; int step(void) { n += 1; hits++; return n; }\n" \
    "int get(void) { return n; }\n"

/* ---- what is kept ---- */

TEST(globals_keep_their_values_and_new_code_runs)
{
    modules m = modules_open();
    rp_reload reload;
    modules_load(&m, COUNTER);
    ck_assert_uint_eq(rp_deck_build(m.deck), 1);
    modules_frame(&m, "step");
    modules_frame(&m, "step");
    ck_assert_int_eq(value(&m), 12);
    ck_ok(modules_reload(&m,
                         "static int extra = 7; static int hits; static int n = 10;\n"
                         "int step(void) { n += 100; return hits; }\n"
                         "int get(void) { return n; } int more(void) { return extra + hits; }",
                         &reload));
    ck_assert_uint_eq(rp_deck_build(m.deck), 2);
    ck_assert_uint_eq(reload.old_build, 1);
    ck_assert_uint_eq(reload.new_build, 2);
    ck_assert_uint_eq(reload.added, 1);
    ck_assert_int_eq(value(&m), 12);
    ck_assert_int_eq(modules_call(&m, "more"), 7 + 2);
    ck_assert_uint_eq(frame_of(&m), 2);
    ck_assert_int_eq(modules_frame(&m, "step"), RP_MOMENT_RELOADED);
    ck_assert_int_eq(modules_frame(&m, "step"), RP_MOMENT_LIVE);
    ck_assert_int_eq(value(&m), 212);
    modules_close(&m);
}

#define LIST_OLD                                                                            \
    "typedef struct node { int id; struct node *next; } node; static node *first, *last;\n" \
    "int step(void) { for (int i = 0; i < 50; i++) { node *n = allocate(sizeof *n);\n"      \
    "  n->id = i; n->next = first; first = n; if (!last) last = n; } return 0; }\n"
#define LIST_NEW                                                                                \
    "typedef struct node { double weight; long id; char text[40]; struct node *next; } node;\n" \
    "static node *first, *last;\n"                                                              \
    "int step(void) { return 0; }\n"                                                            \
    "int check(void) { int i = 49; for (node *n = first; n; n = n->next, i--) {\n"              \
    "  CHECK(n->id == i); CHECK(n->weight == 0 && n->text[0] == 0); CHECK(n->next || n == "     \
    "last);\n"                                                                                  \
    "  n->text[39] = 1; } CHECK(i == -1); return 0; }\n"

TEST(structs_on_the_heap_grow_and_move_with_every_pointer)
{
    modules m = modules_open();
    rp_reload reload;
    modules_load(&m, LIST_OLD);
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m, LIST_NEW, &reload));
    ck_assert_uint_eq(reload.objects_converted, 50);
    ck_assert_uint_eq(reload.blocks_moved, 50);
    ck_assert_int_eq(modules_call(&m, "check"), 0);
    modules_frame(&m, "step");
    modules_close(&m);
}

TEST(pointers_to_functions_and_variables_lead_into_the_new_build)
{
    modules m = modules_open();
    rp_reload reload;
    modules_load(&m, "static int a(void) { return 1; } static int target = 5; int *p = &target;\n"
                     "struct s { int (*f)(void); int *q; } *box; static const char *text;\n"
                     "int step(void) { box = allocate(sizeof *box); box->f = a; box->q = &target;\n"
                     "  text = \"old literal\"; return 0; }");
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m,
                         "static int pad[100]; static int target = 9; int *p = &target;\n"
                         "static int a(void) { return 2 + pad[3]; }\n"
                         "struct s { int (*f)(void); int *q; } *box; static const char *text;\n"
                         "int step(void) { return 0; }\n"
                         "int check(void) { CHECK(box->f == a); CHECK(box->f() == 2);\n"
                         "CHECK(box->q == &target && p == &target); CHECK(target == 5);\n"
                         "CHECK(text[0] == 'o' && text[4] == 'l'); return 0; }",
                         &reload));
    ck_assert_int_eq(modules_call(&m, "check"), 0);
    ck_assert_uint_ge(reload.pointers_moved, 3);
    modules_close(&m);
}

static void *pointer_from(modules *m, const char *name)
{
    void *(*function)(void);
    *(void **)&function = rp_deck_symbol(m->deck, name);
    return function();
}

/* A range of the program's own: its pointers are moved, too. */
static void *kept_by_program[2];

TEST(pointers_in_the_programs_own_ranges_follow)
{
    modules m = modules_open();
    ck_ok(rp_range(m.deck, kept_by_program, sizeof kept_by_program, RP_ZONE_WORLD, "program"));
    modules_load(&m, LIST_OLD "void *where(void) { return first; } int base;\n");
    modules_frame(&m, "step");
    kept_by_program[0] = rp_deck_symbol(m.deck, "base");
    kept_by_program[1] = pointer_from(&m, "where");
    ck_ok(modules_reload(
        &m, "int pad[9]; int base;\n" LIST_NEW "void *where(void) { return first; }", NULL));
    ck_assert_ptr_eq(kept_by_program[0], rp_deck_symbol(m.deck, "base"));
    ck_assert_ptr_eq(kept_by_program[1], pointer_from(&m, "where"));
    modules_close(&m);
}

TEST(a_range_declared_after_the_load_is_state_beside_the_module)
{
    modules m = modules_open();
    modules_load(&m, COUNTER);
    ck_ok(rp_range(m.deck, kept_by_program, sizeof kept_by_program, RP_ZONE_WORLD, "program"));
    modules_frame(&m, "step");
    kept_by_program[0] = &m;
    modules_frame(&m, "step");
    ck_ok(rp_seek(m.deck, 1));
    ck_assert_ptr_null(kept_by_program[0]);
    ck_assert_int_eq(value(&m), 11);
    modules_close(&m);
}

TEST(thread_local_variables_are_state_and_are_carried)
{
    modules m = modules_open();
    modules_load(&m, "static _Thread_local int n = 3; int step(void) { return n += 2; }\n"
                     "int get(void) { return n; }");
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m,
                         "static _Thread_local int pad[7], n = 3;\n"
                         "int step(void) { return n += 20 + pad[1]; } int get(void) { return n; }",
                         NULL));
    ck_assert_int_eq(value(&m), 5);
    modules_frame(&m, "step");
    ck_assert_int_eq(value(&m), 25);
    ck_ok(rp_seek(m.deck, 0));
    ck_assert_int_eq(value(&m), 3);
    ck_ok(rp_seek(m.deck, 2));
    ck_assert_int_eq(value(&m), 25);
    modules_close(&m);
}

TEST(a_file_that_holds_the_running_build_changes_nothing)
{
    modules m = modules_open();
    rp_reload reload;
    modules_load(&m, COUNTER);
    modules_frame(&m, "step");
    ck_ok(rp_deck_reload(m.deck, &m.desc, &reload));
    ck_assert_uint_eq(reload.new_build, 1);
    ck_assert_uint_eq(reload.old_build, 1);
    ck_assert_int_eq(modules_frame(&m, "step"), RP_MOMENT_LIVE);
    ck_assert_int_eq(value(&m), 12);
    modules_close(&m);
}

TEST(a_reload_before_the_first_frame_carries_what_was_set_up)
{
    modules m = modules_open();
    modules_load(&m, COUNTER);
    modules_call(&m, "step");
    ck_ok(modules_reload(&m, "int pad;" COUNTER, NULL));
    ck_assert_int_eq(value(&m), 11);
    modules_frame(&m, "step");
    ck_assert_int_eq(value(&m), 12);
    modules_close(&m);
}

/* ---- history ---- */

#define COUNTER_BY(step)                                                               \
    "int pad" step ";static int n = 10; int step(void) { n += " step "; return n; }\n" \
    "int get(void) { return n; }\n"

TEST(seeks_over_a_reload_bring_each_build_back)
{
    modules m = modules_open();
    uint64_t hashes[7], hash;
    modules_load(&m, COUNTER_BY("1"));
    for (int i = 0; i < 3; i++) {
        modules_frame(&m, "step"); /* 11 12 13 */
    }
    ck_ok(modules_reload(&m, COUNTER_BY("100"), NULL));
    for (int i = 0; i < 3; i++) {
        modules_frame(&m, "step"); /* 113 213 313 */
    }
    const int values[] = {10, 11, 12, 13, 113, 213, 313};
    for (uint64_t frame = 0; frame <= 6; frame++) {
        ck_ok(rp_state_hash(m.deck, frame, &hashes[frame]));
    }
    for (int round = 0; round < 40; round++) {
        uint64_t frame = (uint64_t)round * 5 % 7;
        ck_ok(rp_seek(m.deck, frame));
        ck_assert_uint_eq(rp_deck_build(m.deck), frame < 3 ? 1 : 2);
        ck_assert_int_eq(value(&m), values[frame]);
        ck_ok(rp_state_hash(m.deck, frame, &hash));
        ck_assert_uint_eq(hash, hashes[frame]);
    }
    ck_ok(rp_seek(m.deck, 1));
    ck_assert_int_eq(modules_frame(&m, "step"), RP_MOMENT_SOUGHT); /* the first build runs on */
    ck_assert_int_eq(value(&m), 12);
    modules_close(&m);
}

TEST(a_state_of_an_earlier_build_is_carried_to_the_newest_again)
{
    modules m = modules_open();
    rp_reload reload;
    modules_load(&m, LIST_OLD "static int n; int get(void) { return n++; }");
    modules_frame(&m, "step");
    modules_frame(&m, "get");
    ck_ok(modules_reload(&m, LIST_NEW "static int n; int get(void) { return n++; }", NULL));
    modules_frame(&m, "check");
    ck_ok(rp_seek(m.deck, 1));
    ck_assert_uint_eq(rp_deck_build(m.deck), 1);
    ck_ok(rp_deck_reload(m.deck, &m.desc, &reload));
    ck_assert_uint_eq(rp_deck_build(m.deck), 2);
    ck_assert_uint_eq(reload.new_build, 2);
    ck_assert_uint_eq(reload.objects_converted, 50);
    ck_assert_int_eq(modules_frame(&m, "check"), RP_MOMENT_RELOADED);
    ck_assert_int_eq(value(&m), 0);
    rp_deck_status status;
    rp_deck_status_get(m.deck, &status);
    ck_assert_uint_eq(status.newest_frame, 2);
    modules_close(&m);
}

TEST(a_loop_goes_on_under_the_new_build_from_its_carried_start)
{
    modules m = modules_open();
    rp_frame_info info = {0};
    modules_load(&m, COUNTER_BY("1"));
    for (int i = 0; i < 6; i++) {
        modules_frame(&m, "step");
    }
    ck_ok(rp_loop(m.deck, 2, 5));
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m, COUNTER_BY("100"), NULL));
    ck_assert_uint_eq(frame_of(&m), 2);
    ck_assert_int_eq(value(&m), 12);
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 1; i <= 3; i++) {
            ck_assert_int_eq(rp_frame_begin(m.deck, NULL, 0), RP_MOMENT_REPLAY);
            modules_call(&m, "step");
            ck_ok(rp_frame_end(m.deck, &info));
            ck_assert_uint_eq(info.diverged, 0);
            ck_assert_int_eq(value(&m), 12 + 100 * i);
        }
    }
    ck_assert_uint_eq(rp_deck_build(m.deck), 2);
    modules_close(&m);
}

TEST(a_refusal_within_a_loop_leaves_the_loop_where_it_was)
{
    modules m = modules_open();
    rp_frame_info info = {0};
    modules_load(&m, COUNTER_BY("1"));
    for (int i = 0; i < 6; i++) {
        modules_frame(&m, "step");
    }
    ck_ok(rp_loop(m.deck, 2, 5));
    modules_frame(&m, "step");
    ck_assert_int_eq(
        modules_reload(&m, "static struct { char c; } n; int step(void) { return n.c; }", NULL),
        RP_E_CHANGED);
    ck_assert_uint_eq(frame_of(&m), 3);
    ck_assert_int_eq(value(&m), 13);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(rp_frame_begin(m.deck, NULL, 0), RP_MOMENT_REPLAY);
        modules_call(&m, "step");
        ck_ok(rp_frame_end(m.deck, &info));
        ck_assert_uint_eq(info.diverged, 0);
    }
    modules_close(&m);
}

static void no_step(void *context, rp_moment moment, const void *input, size_t input_bytes)
{
    (void)context, (void)moment, (void)input, (void)input_bytes;
}

TEST(a_rollback_over_a_reload_is_refused)
{
    modules m = modules_open();
    modules_load(&m, COUNTER_BY("1"));
    modules_frame(&m, "step");
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m, COUNTER_BY("2"), NULL));
    modules_frame(&m, "step");
    ck_assert_int_eq(rp_rollback(m.deck, &(rp_rollback_desc){.frame = 1, .step = no_step}),
                     RP_E_RANGE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "build 1"));
    ck_assert_int_eq(value(&m), 14);
    ck_ok(rp_rollback(m.deck, &(rp_rollback_desc){.frame = 2, .step = no_step}));
    ck_assert_int_eq(value(&m), 12);
    modules_close(&m);
}

static void every_rung(rp_tracking tracking)
{
    modules m = modules_open_with(&(rp_deck_desc){.tracking = tracking});
    modules_load(&m, "static int big[40000]; int step(void) { return big[20000]++; }\n"
                     "int get(void) { return big[20000]; }");
    for (int build = 0; build < 3; build++) {
        for (int i = 0; i < 3; i++) {
            modules_frame(&m, "step");
        }
        char text[256];
        snprintf(text, sizeof text,
                 "static int big[%d]; int step(void) { return big[20000]++; }\n"
                 "int get(void) { return big[20000]; }",
                 40000 + build * 2048 + 1);
        ck_ok(modules_reload(&m, text, NULL));
    }
    for (int frame = 9; frame >= 0; frame--) {
        ck_ok(rp_seek(m.deck, (uint64_t)frame));
        ck_assert_int_eq(value(&m), frame);
    }
    modules_close(&m);
}

TEST(reloads_work_with_tracking_by_protection)
{
    every_rung(RP_TRACKING_MPROTECT);
}

TEST(reloads_work_with_compared_pages)
{
    every_rung(RP_TRACKING_COMPARE);
}

TEST(reloads_work_with_the_best_tracking)
{
    every_rung(RP_TRACKING_AUTO);
}

#ifdef RP_FAULTS

/* A seek that cannot be finished leaves a deck that mends itself, whichever build it was about. */
TEST(a_seek_over_a_reload_that_fails_is_mended_by_the_next)
{
    modules m = modules_open();
    modules_load(&m, COUNTER_BY("1"));
    modules_frame(&m, "step");
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m, COUNTER_BY("100"), NULL));
    modules_frame(&m, "step");
    size_t k = 0, failures = 0;
    for (size_t calls = 1; calls >= k;) {
        ck_ok(rp_seek(m.deck, 3));
        rp_os_fault_set(++k, ENOMEM);
        rp_status status = rp_seek(m.deck, 1);
        calls = rp_os_fault_count();
        rp_os_fault_set(0, 0);
        failures += status != RP_OK;
        ck_ok(rp_seek(m.deck, k % 2 ? 1 : 3));
        ck_assert_uint_eq(rp_deck_build(m.deck), k % 2 ? 1 : 2);
        ck_assert_int_eq(value(&m), k % 2 ? 11 : 112);
        ck_assert_uint_lt(k, 500);
    }
    ck_assert_uint_gt(failures, 1);
    modules_close(&m);
}

#endif

/* ---- refused ---- */

static void ck_runs_on(modules *m, uint32_t build, int expected)
{
    ck_assert_uint_eq(rp_deck_build(m->deck), build);
    ck_assert_int_eq(value(m), expected);
    ck_assert_int_eq(modules_frame(m, "step"), RP_MOMENT_LIVE);
    ck_assert_int_eq(value(m), expected + 1);
}

TEST(what_cannot_be_carried_leaves_the_old_build_running)
{
    static const struct {
        const char *text, *says;
        rp_status status;
    } cases[] = {
        {"static struct { char a; } n; int step(void) { return n.a; } int get(void) { return 0; }",
         "n", RP_E_CHANGED},
        {"static int n = 10; extern int nowhere(void); int step(void) { return nowhere() + n; }",
         "nowhere", RP_E_MODULE},
    };
    modules m = modules_open();
    modules_load(&m, COUNTER);
    modules_frame(&m, "step");
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        rp_status status = modules_reload(&m, cases[i].text, NULL);
        ck_assert_msg(status == cases[i].status, "%zu: %d: %s", i, status, rp_error_last()->text);
        ck_assert_msg(strstr(rp_error_last()->text, cases[i].says) != NULL, "%s",
                      rp_error_last()->text);
        ck_runs_on(&m, 1, 11 + (int)i);
    }
    ck_ok(modules_reload(&m, "int pad;" COUNTER, NULL));
    ck_assert_uint_eq(rp_deck_build(m.deck), 2);
    modules_close(&m);
}

TEST(an_object_in_doubt_refuses_the_build_until_it_is_answered)
{
    static const char old[] =
        "struct e { int id; }; struct holder { void *user; }; struct e *keep;\n"
        "static struct holder h; static int n = 10; int step(void) { return ++n; }\n"
        "int get(void) { return n; } int make(void) { struct e *e = allocate(sizeof *e);\n"
        "  e->id = 7; h.user = e; return 0; }";
    static const char new[] =
        "struct e { double more; int id; }; struct holder { void *user; };\n"
        "struct e *keep; static struct holder h; static int n = 10; int step(void) { return ++n; "
        "}\n"
        "int get(void) { return n; } int check(void) { struct e *e = h.user; CHECK(e->id == 7);\n"
        "  CHECK(e->more == 0); return 0; }";
    modules m = modules_open();
    modules_load(&m, old);
    modules_call(&m, "make");
    modules_frame(&m, "step");
    void *written = rp_alloc_zeroed(rp_deck_heap(m.deck), 1, 100); /* between two frames */
    memset(written, 1, 100);
    ck_assert_int_eq(modules_reload(&m, new, NULL), RP_E_CHANGED);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "holder.user"));
    ck_assert_int_eq(((char *)written)[99], 1);
    ck_runs_on(&m, 1, 11);
    fixture_write(&m.files, "answers", "# reprise.types\nholder.user = struct e\n");
    m.desc.types = fixture_path(&m.files, "answers");
    ck_ok(rp_deck_reload(m.deck, &m.desc, NULL));
    ck_assert_int_eq(modules_call(&m, "check"), 0);
    modules_close(&m);
}

TEST(a_file_that_is_no_build_leaves_the_old_one_running)
{
    modules m = modules_open();
    modules_load(&m, COUNTER);
    modules_frame(&m, "step");
    uint8_t *bytes;
    size_t size = fixture_read(m.path, &bytes);
    fixture_write_bytes(m.path, bytes, size / 2);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_INCOMPLETE);
    fixture_write_bytes(m.path, "no library at all, but some text", 32);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_FORMAT);
    unlink(m.path);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_NOT_FOUND);
    setenv("REPRISE_PLAN", "/nowhere/reprise-plan", 1);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "REPRISE_PLAN"));
    setenv("REPRISE_PLAN", "/bin/false", 1);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_DIED);
    setenv("REPRISE_PLAN", "/bin/true", 1);
    ck_assert_int_eq(rp_deck_reload(m.deck, &m.desc, NULL), RP_E_FORMAT);
    ck_runs_on(&m, 1, 11);
    free(bytes);
    modules_close(&m);
}

TEST(variables_that_all_builds_would_share_are_refused)
{
    modules m = modules_open();
    fixture_write(&m.files, "game.cc",
                  "inline int &counter() { static int n; return n; }\n"
                  "extern \"C\" int step() { return ++counter(); }\n");
    fixture_build(&m.files, "g++ -g", "game.cc", "game.so");
    ck_assert_int_eq(rp_deck_load(m.deck, &(rp_module_desc){.path = m.path}), RP_E_MODULE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "-fno-gnu-unique"));
    fixture_build(&m.files, "g++ -g -fno-gnu-unique", "game.cc", "game.so");
    ck_ok(rp_deck_load(m.deck, &(rp_module_desc){.path = m.path}));
    modules_close(&m);
}

TEST(calls_at_the_wrong_time_are_refused)
{
    modules m = modules_open();
    ck_assert_int_eq(rp_deck_reload(m.deck, &(rp_module_desc){.path = "x"}, NULL), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_deck_load(m.deck, &(rp_module_desc){0}), RP_E_ARGUMENT);
    ck_assert_ptr_null(rp_deck_symbol(m.deck, "step"));
    ck_assert_uint_eq(rp_deck_build(m.deck), 0);
    modules_load(&m, COUNTER);
    ck_assert_int_eq(rp_deck_load(m.deck, &m.desc), RP_E_ARGUMENT);
    modules_close(&m);
}

/* ---- stale accesses ---- */

#define STALE(step)                                                                          \
    "int pad" step "; int score = 4; static int twin[3];\n"                                  \
    "int *where(void) { return &score; } int touch(void) { return twin[2] = score; }\n"      \
    "int pure(int a) { return a + 2; } int step(void) { return 0; } int get(void) { return " \
    "score; }\n"

typedef struct stale {
    modules m;
    int *score;
    int (*touch)(void);
    int (*pure)(int);
} stale;

static stale stale_make(void)
{
    stale s = {.m = modules_open()};
    modules_load(&s.m, STALE("1"));
    s.score = rp_deck_symbol(s.m.deck, "score");
    *(void **)&s.touch = rp_deck_symbol(s.m.deck, "touch");
    *(void **)&s.pure = rp_deck_symbol(s.m.deck, "pure");
    modules_frame(&s.m, "step");
    ck_ok(modules_reload(&s.m, STALE("22"), NULL));
    return s;
}

/* How a child ended, with the handlers that are in place, and what it said. */
typedef struct ending {
    int signal, code;
    char text[8192];
} ending;

static ending run_child(void (*body)(void *context), void *context)
{
    static ending end;
    int ends[2], status;
    size_t length = 0;
    ssize_t got;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        body(context);
        _exit(0);
    }
    close(ends[1]);
    memset(&end, 0, sizeof end);
    while ((got = read(ends[0], end.text + length, sizeof end.text - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return end;
}

static void read_stale(void *context)
{
    const stale *s = context;
    _exit(((volatile char *)s->score)[2] == 77);
}

static void write_stale(void *context)
{
    const stale *s = context;
    *(volatile int *)s->score = 1;
}

static void call_stale(void *context)
{
    const stale *s = context;
    s->touch();
}

static void null_access(void *context)
{
    (void)context;
    volatile uintptr_t address = 8; /* that an optimiser does not know to be none */
    *(volatile int *)address = 1;
}

static void ck_named(ending end, const char *const *says)
{
    ck_assert(end.signal || end.code);
    for (; *says; says++) {
        ck_assert_msg(strstr(end.text, *says) != NULL, "no \"%s\" in: %s", *says, end.text);
    }
}

TEST(a_stale_access_is_named_with_build_symbol_and_function)
{
    stale s = stale_make();
    ck_named(run_child(read_stale, &s),
             (const char *[]){"stale access: read of score+2 of build 1", "outside the module",
                              "build 2 runs", NULL});
    ck_named(run_child(write_stale, &s),
             (const char *[]){"stale access: write to score+0 of build 1", NULL});
    ck_named(run_child(call_stale, &s),
             (const char *[]){"stale access: read of score+0 of build 1, by touch+",
                              "of build 1: build 2", NULL});
    modules_close(&s.m);
}

TEST(other_faults_are_not_called_stale)
{
    stale s = stale_make();
    ending end = run_child(null_access, &s);
    ck_assert(end.signal || end.code);
    ck_assert_msg(!strstr(end.text, "stale access"), "%s", end.text);
    modules_close(&s.m);
}

TEST(old_code_without_data_still_runs)
{
    stale s = stale_make();
    ck_assert_int_eq(s.pure(40), 42);
    ck_ok(rp_seek(s.m.deck, 0)); /* and its data is there again under its own build */
    ck_assert_int_eq(*s.score, 4);
    ck_assert_int_eq(s.touch(), 4);
    modules_close(&s.m);
}

static void exit_with_old_builds(void *context)
{
    (void)context;
    exit(3);
}

TEST(a_program_that_exits_without_closing_its_deck_ends_in_order)
{
    stale s = stale_make();
    ending end = run_child(exit_with_old_builds, &s);
    ck_assert_msg(end.signal == 0 && end.code == 3, "signal %d code %d: %s", end.signal, end.code,
                  end.text);
    modules_close(&s.m);
}

/* ---- many ---- */

static uint64_t mapped_bytes(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * 4096;
}

enum { MANY_BUILDS = 100, KEPT_BYTES_A_BUILD = 192 << 10 };

/* Other bytes each time, and the same build for the linker: what follows an ELF file is not read.
 */
static void write_again(modules *m, const uint8_t *bytes, size_t size, size_t serial)
{
    uint8_t *longer = calloc(1, size + serial + 1);
    memcpy(longer, bytes, size);
    fixture_write_bytes(m->path, longer, size + serial + 1);
    free(longer);
}

TEST(a_hundred_reloads_keep_what_is_stated_and_no_more)
{
    modules m = modules_open();
    uint8_t *builds[2];
    size_t sizes[2];
    uint64_t before = 0;
    modules_load(&m, COUNTER);
    sizes[0] = fixture_read(m.path, &builds[0]);
    modules_write(&m, "int pad[600];" COUNTER);
    sizes[1] = fixture_read(m.path, &builds[1]);
    for (size_t build = 2; build <= MANY_BUILDS + 1; build++) {
        modules_frame(&m, "step");
        write_again(&m, builds[build % 2], sizes[build % 2], build);
        ck_ok(rp_deck_reload(m.deck, &m.desc, NULL));
        ck_assert_uint_eq(rp_deck_build(m.deck), build);
        before = build == 11 ? mapped_bytes() : before;
    }
    uint64_t grown = (mapped_bytes() - before) / (MANY_BUILDS - 10);
    printf("%llu KiB of address space a build\n", (unsigned long long)grown >> 10);
    ck_assert_uint_le(grown, KEPT_BYTES_A_BUILD);
    ck_assert_int_eq(value(&m), 10 + MANY_BUILDS);
    for (int frame = MANY_BUILDS - 1; frame >= 0; frame -= 9) {
        ck_ok(rp_seek(m.deck, (uint64_t)frame));
        ck_assert_int_eq(value(&m), 10 + frame);
    }
    free(builds[0]);
    free(builds[1]);
    modules_close(&m);
}

/* ---- when calls to the system fail ---- */

#ifdef RP_FAULTS

/* What must hold after a reload that failed. */
static void ck_untouched(modules *m, size_t k, int descriptors)
{
    ck_assert_msg(rp_error_last()->text[0], "call %zu failed: no text says so", k);
    ck_assert_msg(fault_open_descriptors() == descriptors, "call %zu: descriptors leaked: %s", k,
                  rp_error_last()->text);
    ck_assert_msg(rp_deck_build(m->deck) == 1, "call %zu", k);
    ck_assert_msg(modules_call(m, "check_old") == 0, "call %zu: line %d", k,
                  modules_call(m, "check_old"));
    ck_assert_int_eq(frame_of(m), 3);
}

static void every_call_fails(int system_code)
{
    static const char old[] = LIST_OLD
        "static _Thread_local int t = 6;\n"
        "int tick(void) { return ++t; } int check_old(void) { int i = 0; for (node *n = first; n;\n"
        "n = n->next) i++; CHECK(i == 50); CHECK(t == 8); return 0; }";
    modules m = modules_open();
    modules_load(&m, old);
    modules_frame(&m, "step");
    modules_frame(&m, "tick");
    modules_frame(&m, "tick");
    modules_write(&m,
                  LIST_NEW "static _Thread_local int pad, t = 6; int tick(void) { return ++t; }\n"
                           "int get(void) { return t; }");
    uint8_t *bytes;
    size_t size = fixture_read(m.path, &bytes), k = 0, calls = 1, failures = 0;
    for (rp_status status = RP_E_SYSTEM; status != RP_OK || calls >= k;) {
        write_again(&m, bytes, size, k);
        int descriptors = fault_open_descriptors();
        rp_os_fault_set(++k, system_code);
        status = rp_deck_reload(m.deck, &m.desc, NULL);
        calls = rp_os_fault_count();
        rp_os_fault_set(0, 0);
        failures += status != RP_OK;
        if (status == RP_OK && calls >= k) { /* one that may fail: back to the first build */
            ck_ok(rp_seek(m.deck, 2));
            modules_frame(&m, "tick");
            descriptors++; /* the other build stays loaded */
        }
        if (status != RP_OK || calls >= k) {
            ck_untouched(&m, k, descriptors);
        }
        ck_assert_uint_lt(k, 1000);
    }
    printf("%zu failures in %zu calls\n", failures, k);
    ck_assert_uint_gt(failures, 15);
    ck_assert_int_eq(modules_call(&m, "check"), 0);
    ck_assert_int_eq(value(&m), 8);
    free(bytes);
    modules_close(&m);
}

TEST(whatever_call_fails_the_old_build_runs_on)
{
    every_call_fails(ENOMEM);
    every_call_fails(EIO);
}

#endif
