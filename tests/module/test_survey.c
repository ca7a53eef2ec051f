/* What is told of the blocks of a world, in one process. The command: tests/e2e/play_survey.sh. */
#include "module/reload.h"
#include "module/survey.h"

typedef struct told {
    char text[16384];
    size_t length;
} told;

static void take(void *context, const char *text, size_t length)
{
    told *t = context;
    ck_assert_uint_lt(t->length + length, sizeof t->text);
    memcpy(t->text + t->length, text, length);
    t->length += length;
    t->text[t->length] = 0;
}

/* Of the old build to itself; rp_type_answer and all. */
static void survey(reload *r, const rp_type_answer *answers, told *t)
{
    const rp_plan_options options = {.answers = answers, .survey = true};
    rp_plan *plan;
    t->length = 0;
    ck_ok(rp_plan_make(r->old_build.elf, 1, r->old_build.object.base, 0, r->old_build.elf, 1,
                       &options, &plan));
    ck_ok(rp_plan_check(plan, plan->total_bytes));
    ck_ok(rp_survey(plan, reload_read, NULL, NULL, 0, take, t));
    rp_plan_free(plan);
}

static void has(const told *t, const char *words)
{
    ck_assert_msg(strstr(t->text, words) != NULL, "%s is not in %s", words, t->text);
}

static const char source[] =
    "struct N { struct N *next; long a; }; struct B { long k; }; struct H { struct B b; long l; "
    "};\n"
    "struct L { long a, b, c; }; struct R { double d, e, f; }; struct H unused;\n"
    "static struct N *list, *ring; static struct B *base; static struct L *left;\n"
    "static struct R *right; static void *any, *nothing;\n"
    "int make(void) {\n"
    "  for (int i = 0; i < 50; i++) { struct N *n = allocate(sizeof *n); n->next = list; list = n; "
    "}\n"
    "  ring = allocate(sizeof *ring); ring->next = allocate(sizeof *ring); ring->next->next = "
    "ring;\n"
    "  base = allocate(sizeof(struct H)); left = allocate(sizeof *left); right = (void *)left;\n"
    "  any = allocate(3000); nothing = allocate(5000); nothing = 0; return 0; }\n";

TEST(every_block_is_told_with_its_way)
{
    static told t;
    reload r = reload_open();
    reload_build(&r, "gcc -g", source, source);
    reload_call(&r.old_build, "make");
    survey(&r, NULL, &t);
    has(&t, "{\"blocks\":56,");
    has(&t, "\"known\":{\"blocks\":0,\"bytes\":0},\"inferred\":{\"blocks\":52,");
    has(&t, "\"ambiguous\":{\"blocks\":3,");
    has(&t, "\"unknown\":{\"blocks\":1,");
    has(&t, "\"type\":\"struct N\",\"blocks\":50,");
    has(&t, "\"chain\":[\"list\",\"N.next\"]");
    has(&t, "\"also\":[\"struct R\"],\"also_by\":\"right\"");
    has(&t, "\"also\":[\"struct H\"]");
    has(&t, "\"answer\":\"any=TYPE\"");
    reload_drop(&r);
    reload_close(&r);
}

TEST(an_answer_makes_it_known)
{
    static told t;
    const rp_type_answer base = {"base", "struct H", NULL}, any = {"any", "bytes", &base};
    reload r = reload_open();
    reload_build(&r, "clang -g", source, source);
    reload_call(&r.old_build, "make");
    survey(&r, &any, &t);
    has(&t, "\"known\":{\"blocks\":2,");
    has(&t, "\"why\":\"answer\",\"type\":\"struct H\"");
    has(&t, "\"why\":\"answer\",\"type\":\"bytes\"");
    reload_drop(&r);
    reload_close(&r);
}

TEST(without_debug_information_nothing_is_told)
{
    static told t;
    reload r = reload_open();
    reload_build(&r, "gcc -g0", source, source);
    const rp_plan_options options = {.survey = true};
    rp_plan *plan;
    ck_ok(rp_plan_make(r.old_build.elf, 1, r.old_build.object.base, 0, r.old_build.elf, 1, &options,
                       &plan));
    ck_assert_int_eq(rp_survey(plan, reload_read, NULL, NULL, 0, take, &t), RP_E_UNSUPPORTED);
    ck_assert_uint_eq(t.length, 0);
    rp_plan_free(plan);
    reload_drop(&r);
    reload_close(&r);
}
