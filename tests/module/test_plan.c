#include "base/error.h"
#include "module/elf.h"
#include "module/fixture.h"
#include "module/plan.h"
#include "support/fault.h"

#include <errno.h>

#define OLD_BASE UINT64_C(0x700000000000)
#define OLD_TLS UINT64_C(0x600000000000)

typedef struct builds {
    fixture f;
    rp_elf *old_elf, *new_elf;
    rp_plan *plan;
    rp_status status;
} builds;

/* Compiles both texts as game.c and makes the plan. */
static builds plan_for(const char *compiler, const char *old_text, const char *new_text)
{
    builds b = {.f = fixture_open()};
    fixture_write(&b.f, "game.c", old_text);
    ck_ok(rp_elf_open(fixture_build(&b.f, compiler, "game.c", "old.so"), NULL, &b.old_elf));
    fixture_write(&b.f, "game.c", new_text);
    ck_ok(rp_elf_open(fixture_build(&b.f, compiler, "game.c", "new.so"), NULL, &b.new_elf));
    b.status = rp_plan_make(b.old_elf, 1, OLD_BASE, OLD_TLS, b.new_elf, 2, NULL, &b.plan);
    if (b.status == RP_OK) {
        ck_ok(rp_plan_check(b.plan, b.plan->total_bytes));
    }
    return b;
}

static void drop(builds *b)
{
    rp_plan_free(b->plan);
    rp_elf_close(b->old_elf);
    rp_elf_close(b->new_elf);
    fixture_close(&b->f);
}

static const char *report_of(const builds *b)
{
    return rp_plan_name(b->plan, (uint32_t)b->plan->report_offset);
}

/* Whether old_name of the old build is copied to new_name of the new one (names as the compiler
 * wrote). */
static bool copies(const builds *b, const char *old_name, const char *new_name)
{
    const rp_symbol *from = rp_elf_symbol_named(b->old_elf, old_name);
    const rp_symbol *to = rp_elf_symbol_named(b->new_elf, new_name);
    ck_assert_msg(from && to, "%s, %s: no such symbols", old_name, new_name);
    uint64_t base = from->kind == RP_SYMBOL_THREAD ? OLD_TLS : OLD_BASE;
    for (uint32_t i = 0; i < b->plan->copy_count; i++) {
        const rp_plan_copy *copy = &rp_plan_copies(b->plan)[i];
        if (copy->old_address == base + from->address && copy->new_offset == to->address &&
            copy->size_bytes == from->size_bytes &&
            copy->thread == (from->kind == RP_SYMBOL_THREAD)) {
            return true;
        }
    }
    return false;
}

static const rp_plan_move *move_of(const builds *b, const char *old_name)
{
    const rp_symbol *from = rp_elf_symbol_named(b->old_elf, old_name);
    for (uint32_t i = 0; i < b->plan->move_count; i++) {
        const rp_plan_move *move = &rp_plan_moves(b->plan)[i];
        if (move->old_address == OLD_BASE + from->address) {
            return move;
        }
    }
    return NULL;
}

TEST(variables_are_matched_by_name_wherever_they_moved)
{
    builds b =
        plan_for("gcc -O2", "int a = 1, b = 2; int z; _Thread_local int t = 3;\n" FIXTURE_STEP,
                 "int first; int b = 2; int new_one = 5; int a = 1; _Thread_local int u, t = 3;"
                 "int z = 7;\n" FIXTURE_STEP);
    ck_assert(copies(&b, "a", "a") && copies(&b, "b", "b") && copies(&b, "z", "z"));
    ck_assert(copies(&b, "t", "t"));
    ck_assert_uint_eq(b.plan->copy_count, 4);
    ck_assert_uint_eq(b.plan->added, 3);
    ck_assert_uint_eq(b.plan->removed, 0);
    ck_assert_uint_eq(b.plan->ambiguous, 0);
    drop(&b);
}

TEST(a_removed_variable_is_counted_and_named)
{
    builds b =
        plan_for("gcc -O2", "int gone = 1, stays; static int sg[2]; void *v = sg;\n" FIXTURE_STEP,
                 "int stays; void *v;\n" FIXTURE_STEP);
    ck_assert_uint_eq(b.plan->removed, 2);
    ck_assert_ptr_nonnull(strstr(report_of(&b), "'gone': removed"));
    ck_assert_ptr_nonnull(strstr(report_of(&b), "'sg' in game.c: removed"));
    ck_assert_uint_eq(move_of(&b, "gone")->new_offset, RP_PLAN_NONE);
    drop(&b);
}

TEST(another_size_refuses_the_plan_and_says_what_to_do)
{
    builds b = plan_for("gcc -O2", "static int enemies[40]; int *p = enemies;\n" FIXTURE_STEP,
                        "static int enemies[48]; int *p = enemies;\n" FIXTURE_STEP);
    ck_assert_int_eq(b.status, RP_E_CHANGED);
    ck_assert_ptr_null(b.plan);
    const char *text = rp_error_last()->text;
    ck_assert_ptr_nonnull(
        strstr(text, "variable 'enemies' in game.c: 160 bytes in build 1, 192 bytes in build 2"));
    ck_assert_ptr_nonnull(strstr(text, "restart the program"));
    drop(&b);
}

TEST(a_static_made_global_and_a_global_made_static_are_carried)
{
    const char *compilers[] = {"gcc -O0", "clang -O0 -fuse-ld=lld", "gcc -O0 -g"};
    for (size_t i = 0; i < 3; i++) {
        builds b = plan_for(
            compilers[i],
            "static int s = 1; int g = 2; int *p = &s, *q = &g;\n"
            "static int helper(void) { return 1; } int (*f)(void) = helper;\n" FIXTURE_STEP,
            "int s = 1; static int g = 2; int *p = &s, *q = &g;\n"
            "int helper(void) { return 1; } int (*f)(void) = helper;\n" FIXTURE_STEP);
        ck_assert(copies(&b, "s", "s") && copies(&b, "g", "g"));
        ck_assert_uint_eq(move_of(&b, "helper")->new_offset,
                          rp_elf_symbol_named(b.new_elf, "helper")->address);
        ck_assert_uint_eq(b.plan->added + b.plan->removed, 0);
        drop(&b);
    }
}

static const char two_counts[] =
    "int f(void) { static int count = 1; return count++; }\n"
    "int g(void) { static int count = 2; return count++; }\n" FIXTURE_STEP;
static const char two_counts_swapped[] =
    "int g(void) { static int count = 2; return count++; }\n"
    "int f(void) { static int count = 1; return count++; }\n" FIXTURE_STEP;
static const char three_counts[] =
    "int e(void) { static int count = 3; return count++; }\n"
    "int f(void) { static int count = 1; return count++; }\n"
    "int g(void) { static int count = 2; return count++; }\n" FIXTURE_STEP;

/* By its initial value, which tells them apart without any name. */
static uint64_t place_of_count(const rp_elf *elf, unsigned value)
{
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        size_t count;
        const uint8_t *bytes = rp_elf_initial(elf, symbol, &count);
        if (symbol->kind == RP_SYMBOL_VARIABLE && symbol->size_bytes == 4 && count == 4 &&
            symbol->base_length == 5 && memcmp(symbol->base, "count", 5) == 0 &&
            bytes[0] == value) {
            return symbol->address;
        }
    }
    return 0;
}

static bool carries_count(const builds *b, unsigned value)
{
    uint64_t from = place_of_count(b->old_elf, value), to = place_of_count(b->new_elf, value);
    ck_assert(from && to);
    for (uint32_t i = 0; i < b->plan->copy_count; i++) {
        const rp_plan_copy *copy = &rp_plan_copies(b->plan)[i];
        if (copy->old_address == OLD_BASE + from) {
            return copy->new_offset == to;
        }
    }
    return false;
}

TEST(statics_of_one_name_follow_their_functions)
{
    const char *compilers[] = {"gcc -O0 -g", "gcc -O2 -g", "clang -O0",
                               "clang -O2 -g -fuse-ld=lld"};
    const char *edits[] = {two_counts_swapped, three_counts};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 2; k++) {
            builds b = plan_for(compilers[i], two_counts, edits[k]);
            ck_assert_msg(carries_count(&b, 1) && carries_count(&b, 2), "%s", compilers[i]);
            ck_assert_uint_eq(b.plan->ambiguous, 0);
            ck_assert_uint_eq(b.plan->added, k);
            drop(&b);
        }
    }
}

TEST(statics_of_one_name_without_debug_information_are_never_guessed)
{
    builds b = plan_for("gcc -O0", two_counts, three_counts);
    ck_assert_uint_eq(b.plan->copy_count, 0);
    ck_assert_uint_eq(b.plan->ambiguous, 2);
    ck_assert_ptr_nonnull(strstr(report_of(&b), "'count' in game.c: starts anew"));
    ck_assert_ptr_nonnull(strstr(report_of(&b), "-g"));
    drop(&b);
    b = plan_for("gcc -O0", two_counts, two_counts); /* as many, in the same order */
    ck_assert(carries_count(&b, 1) && carries_count(&b, 2));
    ck_assert_ptr_nonnull(strstr(report_of(&b), "told apart by the compiler's order"));
    drop(&b);
}

TEST(lambdas_are_matched_only_where_none_came_or_went)
{
    const char *one = "extern \"C\" { int (*p)(int); void rp_module_step(void *) {\n"
                      "  p = [](int x) { return x + 1; }; } }\n";
    const char *two = "extern \"C\" { int (*p)(int), (*q)(int); void rp_module_step(void *) {\n"
                      "  q = [](int x) { return x + 2; }; p = [](int x) { return x + 1; }; } }\n";
    const char *texts[][2] = {{one, one}, {two, two}, {one, two}, {two, one}};
    for (size_t i = 0; i < 4; i++) {
        builds b = plan_for("g++ -O0 -x c++", texts[i][0], texts[i][1]);
        uint32_t found = 0, lost = 0;
        for (uint32_t k = 0; k < b.plan->move_count; k++) {
            const rp_plan_move *move = &rp_plan_moves(b.plan)[k];
            if (strstr(rp_plan_name(b.plan, move->name), "_FUN")) {
                found += move->new_offset != RP_PLAN_NONE;
                lost += move->new_offset == RP_PLAN_NONE;
            }
        }
        ck_assert_uint_eq(found, i == 0 ? 1 : i == 1 ? 2 : 0);
        ck_assert_uint_eq(lost, i == 2 ? 1 : i == 3 ? 2 : 0);
        drop(&b);
    }
}

TEST(a_single_static_is_known_without_debug_information)
{
    builds b = plan_for(
        "gcc -O0", "int f(void) { static int only = 1; return only++; }\n" FIXTURE_STEP,
        "int f(void) { static int before, only = 1; return only++ + before++; }\n" FIXTURE_STEP);
    ck_assert_uint_eq(b.plan->copy_count, 1);
    ck_assert_uint_eq(b.plan->added, 1);
    drop(&b);
}

TEST(a_static_of_a_function_is_not_a_global_of_the_same_name)
{
    const char *compilers[] = {"gcc -O0 -g", "gcc -O0", "clang -O0"};
    for (size_t i = 0; i < 3; i++) {
        builds b = plan_for(compilers[i],
                            "int f(void) { static int count = 1; return count++; }\n" FIXTURE_STEP,
                            "int count = 1; int f(void) { return count++; }\n" FIXTURE_STEP);
        ck_assert_uint_eq(b.plan->copy_count, 0);
        ck_assert_uint_eq(b.plan->removed, 1);
        ck_assert_uint_eq(b.plan->added, 1);
        drop(&b);
    }
}

TEST(statics_of_different_files_stay_two_things)
{
    builds b = {.f = fixture_open()};
    const char *state = "static int state = 4; int *%s = &state;\n";
    char one[128], two[128];
    snprintf(one, sizeof one, state, "p");
    snprintf(two, sizeof two, state, "q");
    fixture_write(&b.f, "a.c", one);
    fixture_write(&b.f, "b.c", two);
    fixture_write(&b.f, "step.c", FIXTURE_STEP);
    ck_ok(rp_elf_open(fixture_build(&b.f, "gcc", "step.c a.c b.c", "old.so"), NULL, &b.old_elf));
    ck_ok(rp_elf_open(fixture_build(&b.f, "gcc", "b.c a.c step.c", "new.so"), NULL, &b.new_elf));
    ck_ok(rp_plan_make(b.old_elf, 1, OLD_BASE, 0, b.new_elf, 2, NULL, &b.plan));
    uint32_t states = 0;
    for (uint32_t i = 0; i < b.plan->copy_count; i++) {
        const rp_plan_copy *copy = &rp_plan_copies(b.plan)[i];
        const rp_symbol *from = rp_elf_symbol_at(b.old_elf, copy->old_address - OLD_BASE);
        const rp_symbol *to = rp_elf_symbol_at(b.new_elf, copy->new_offset);
        ck_assert_str_eq(from->file, to->file);
        states += strcmp(from->name, "state") == 0;
    }
    ck_assert_uint_eq(states, 2);
    drop(&b);
}

TEST(constants_are_not_copied_but_pointers_to_them_move)
{
    builds b = plan_for("gcc -O0",
                        "const int limit = 3; const char *const names[] = {\"a\", \"b\", \"c\"};\n"
                        "const int gone = 1; int was = 1;\n" FIXTURE_STEP,
                        "const int limit = 4; const char *const names[] = {\"x\", \"y\"};\n"
                        "const int was = 2;\n" FIXTURE_STEP);
    ck_assert_uint_eq(b.plan->copy_count, 0);
    ck_assert_uint_eq(b.plan->removed, 0);
    ck_assert_uint_eq(move_of(&b, "limit")->new_offset,
                      rp_elf_symbol_named(b.new_elf, "limit")->address);
    ck_assert_uint_eq(move_of(&b, "names")->size_bytes, 16); /* the third is no more */
    ck_assert_ptr_null(move_of(&b, "gone"));                 /* it stays readable where it was */
    ck_assert_ptr_nonnull(strstr(report_of(&b), "'was': is a constant now"));
    drop(&b);
}

TEST(an_edited_initial_value_is_reported_and_an_unedited_one_is_not)
{
    builds b =
        plan_for("gcc -O0",
                 "int speed = 3, same = 5; int other; int *p = &other; double big[99];"
                 "char odd[3] = \"ab\";\n" FIXTURE_STEP,
                 "int more = 1, speed = 4, same = 5; int other; int *p = &other; double big[99];"
                 "char odd[3] = \"ac\";\n" FIXTURE_STEP);
    const char *text = report_of(&b);
    ck_assert_ptr_nonnull(strstr(text, "'speed': runs on with its value"));
    ck_assert_ptr_nonnull(strstr(text, "'odd': runs on with its value"));
    ck_assert_msg(!strstr(text, "'same'") && !strstr(text, "'p'") && !strstr(text, "'big'"), "%s",
                  text);
    ck_assert(copies(&b, "speed", "speed"));
    drop(&b);
}

TEST(the_same_build_twice_has_nothing_to_report)
{
    const char *compilers[] = {"gcc -O0 -g", "clang -O2 -g",
                               "clang -g -fuse-ld=lld -Wl,--pack-dyn-relocs=relr"};
    for (size_t i = 0; i < 3; i++) {
        builds b =
            plan_for(compilers[i],
                     "int a; static int b = 2; int *c = &b; void *table[] = {&a, &b, &c, 0};\n"
                     "int f(void) { static int d; return d++; }\n" FIXTURE_STEP,
                     "int a; static int b = 2; int *c = &b; void *table[] = {&a, &b, &c, 0};\n"
                     "int f(void) { static int d; return d++; }\n" FIXTURE_STEP);
        ck_assert_str_eq(report_of(&b), "");
        ck_assert_uint_eq(b.plan->copy_count, 5);
        drop(&b);
    }
}

TEST(thread_local_variables_need_the_old_block)
{
    builds b = plan_for("gcc", "_Thread_local int t = 1;\n" FIXTURE_STEP,
                        "_Thread_local int t = 1;\n" FIXTURE_STEP);
    ck_assert_uint_eq(b.plan->copy_count, 1);
    rp_plan_free(b.plan);
    ck_ok(rp_plan_make(b.old_elf, 1, OLD_BASE, 0, b.new_elf, 2, NULL, &b.plan));
    ck_assert_uint_eq(b.plan->copy_count, 0);
    ck_assert_ptr_nonnull(strstr(report_of(&b), "'t': starts anew"));
    drop(&b);
}

TEST(a_stripped_build_is_said_to_lose_its_statics)
{
    const char *text = "int known = 1; static int lost = 2; int *p = &lost;\n" FIXTURE_STEP;
    builds b = plan_for("gcc -s", text, text);
    ck_assert_ptr_nonnull(strstr(report_of(&b), "build 1 is stripped"));
    ck_assert_ptr_nonnull(strstr(report_of(&b), "build 2 is stripped"));
    ck_assert_uint_eq(b.plan->copy_count, 2);
    drop(&b);
}

TEST(many_lines_of_report_are_cut_and_counted)
{
    char text[8192] = "";
    for (int i = 0; i < 300; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "int v%d;", i);
    }
    strcat(text, FIXTURE_STEP);
    builds b = plan_for("gcc -g", text, FIXTURE_STEP);
    ck_assert_uint_eq(b.plan->removed, 300);
    ck_assert_uint_eq(b.plan->report_count, 101);
    ck_assert_ptr_nonnull(strstr(report_of(&b), "200 more"));
    uint32_t lines = 1;
    for (const char *at = report_of(&b); (at = strchr(at, '\n')); at++) {
        lines++;
    }
    ck_assert_uint_eq(lines, b.plan->report_count);
    drop(&b);
}

static rp_status make_again(void *context)
{
    builds *b = context;
    rp_plan *plan = NULL;
    rp_status status = rp_plan_make(b->old_elf, 1, OLD_BASE, OLD_TLS, b->new_elf, 2, NULL, &plan);
    ck_assert((status == RP_OK) == (plan != NULL));
    rp_plan_free(plan);
    return status;
}

TEST(each_failing_call_to_the_system_is_told)
{
    builds b = plan_for("gcc -g", two_counts, three_counts);
    fault_each_call(make_again, &b, ENOMEM);
    drop(&b);
}

TEST(a_damaged_plan_is_refused_or_harmless)
{
    builds b = plan_for("gcc -g", two_counts, three_counts);
    uint64_t seed = test_seed();
    size_t size = b.plan->total_bytes;
    rp_plan *damaged = malloc(size);
    int refused = 0;
    for (int round = 0; round < 5000; round++) {
        memcpy(damaged, b.plan, size);
        uint64_t value = test_random(&seed) >> test_random(&seed) % 64;
        size_t at = test_random(&seed) % (size - sizeof value);
        memcpy((char *)damaged + at, &value, 1 + test_random(&seed) % 8);
        if (rp_plan_check(damaged, size) != RP_OK) {
            refused++;
            continue;
        }
        for (uint32_t i = 0; i < damaged->move_count; i++) {
            const rp_plan_move *move = &rp_plan_moves(damaged)[i];
            ck_assert_uint_lt(strlen(rp_plan_name(damaged, move->name)), size);
        }
        for (uint32_t i = 0; i < damaged->copy_count; i++) {
            const rp_plan_copy *copy = &rp_plan_copies(damaged)[i];
            ck_assert_uint_le(copy->new_offset + copy->size_bytes, damaged->new_high);
        }
    }
    ck_assert_int_gt(refused, 1000);
    for (size_t cut = 0; cut < size; cut++) {
        ck_assert_int_eq(rp_plan_check(b.plan, cut), RP_E_FORMAT);
    }
    free(damaged);
    drop(&b);
}
