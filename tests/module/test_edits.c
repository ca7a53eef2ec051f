/* Each kind of edit, in each place where an object may live, built by gcc and by clang.
 *
 * All edits are in one pair of sources, each with struct types of its own, so a compiler runs four
 * times and not some hundreds. */
#include "module/edit_cases.h"
#include "module/reload.h"

/* Where objects live, and what the new build must find there. */
static const struct home {
    const char *name, *check;
} homes[] = {
    {"a global variable", "OK(&g#, 1)"},
    {"an array of statics", "OK(&s#[0], 10) && OK(&s#[3], 13)"},
    {"thread-local data", "OK(&t#, 2)"},
    {"a static of a function", "OK(local#(), 3)"},
    {"a block of its own", "OK(one#, 4)"},
    {"an array on the heap", "OK(&many#[0], 20) && OK(&many#[4], 24)"},
    {"inside another struct",
     "OK(&held#->in, 5) && OK(&held#->row[2], 32) && held#->before == 71 && "
     "held#->after == 72"},
    {"a table of pointers", "OK(table#[0], 40) && OK(table#[3], 43)"},
    {"pointed into", "into# == &s#[2] && mid# == &many#[3] && inner# == &held#->row[1] && "
                     "end# == many# + 5"},
};

enum { HOME_COUNT = sizeof homes / sizeof *homes };

static const char declarations[] =
    "struct H# { int before; struct E# in; struct E# row[3]; int after; };\n"
    "struct E# g#; static struct E# s#[4]; _Thread_local struct E# t#; struct E# *one#, *many#;\n"
    "struct H# *held#; struct E# *into#, *mid#, *inner#, *end#, **table#;\n"
    "struct E# *local#(void) { static struct E# object; return &object; }\n"
    "struct E# *keep#(void) { return s#; }\n";

static const char make_text[] =
    "static void set#(struct E# *e, int i) { $ }\n"
    "void make#(void) { set#(&g#, 1); for (int i = 0; i < 4; i++) set#(&s#[i], 10 + i);\n"
    "  set#(&t#, 2); set#(local#(), 3); one# = allocate(sizeof *one#); set#(one#, 4);\n"
    "  many# = allocate(5 * sizeof *many#); for (int i = 0; i < 5; i++) set#(&many#[i], 20 + i);\n"
    "  held# = allocate(sizeof *held#); held#->before = 71; held#->after = 72; set#(&held#->in, "
    "5);\n"
    "  for (int i = 0; i < 3; i++) set#(&held#->row[i], 30 + i);\n"
    "  table# = allocate(4 * sizeof *table#); for (int i = 0; i < 4; i++) {\n"
    "    table#[i] = allocate(sizeof **table#); set#(table#[i], 40 + i); }\n"
    "  into# = &s#[2]; mid# = &many#[3]; inner# = &held#->row[1]; end# = many# + 5; }\n";

typedef struct source {
    char *text;
    size_t length, capacity;
} source;

/* Adds text in which '#' stands for the edit's number and '$' for `inset`. */
static void add(source *s, const char *text, int number, const char *inset)
{
    for (const char *at = text; *at; at++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", number);
        const char *part = *at == '#' && number >= 0 ? digits : *at == '$' ? inset : NULL;
        size_t length = part ? strlen(part) : 1;
        ck_assert_uint_lt(s->length + length, s->capacity);
        memcpy(s->text + s->length, part ? part : at, length);
        s->length += length;
    }
    s->text[s->length] = 0;
}

/* Names of an edit's own types get its number: "V" is "V12". */
static void add_own(source *s, const char *text, size_t length, int number)
{
    static const char *const own[] = {"E",    "V",   "A",    "B",   "M",
                                      "IDLE", "RUN", "JUMP", "FLY", "number"};
    for (size_t i = 0; i < length;) {
        size_t end = i;
        while (end < length && (text[end] == '_' || (text[end] >= '0' && text[end] <= '9') ||
                                ((text[end] | 32) >= 'a' && (text[end] | 32) <= 'z'))) {
            end++;
        }
        bool numbered = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) {
            numbered |= strlen(own[k]) == end - i && memcmp(own[k], text + i, end - i) == 0;
        }
        size_t step = end > i ? end - i : 1;
        ck_assert_uint_lt(s->length + step + 16, s->capacity);
        memcpy(s->text + s->length, text + i, step);
        s->length += step;
        s->text[s->length] = 0;
        if (numbered) {
            add(s, "#", number, "");
        }
        i += step;
    }
}

/* "outside|members@after": the struct, with what stands before it and behind it. */
static void add_struct(source *s, const char *text, int number)
{
    const char *bar = strchr(text, '|'), *behind = strchr(text, '@');
    const char *end = behind ? behind : text + strlen(text);
    bool remark = behind && strncmp(behind + 1, "RP_WAS", 6) == 0;
    add_own(s, text, (size_t)(bar - text), number);
    add(s, "\nstruct E# { ", number, "");
    add_own(s, bar + 1, (size_t)(end - bar - 1), number);
    add(s, " } ", number, "");
    if (behind && !remark) {
        add(s, behind + 1, -1, "");
    }
    add(s, ";\n", number, "");
    if (remark) {
        add_own(s, behind + 1, strlen(behind + 1), number);
        add(s, "\n", number, "");
    }
}

static source begin(void)
{
    source s = {.text = malloc(1 << 20), .capacity = 1 << 20};
    ck_assert_ptr_nonnull(s.text);
    s.text[0] = 0;
    add(&s,
        "#include <reprise/types.h>\nint shared; int twice(int v) { return v * 2; }\n"
        "int (*kept)(int) = twice; int *kept_too = &shared;\n",
        -1, "");
    return s;
}

static void add_edit(source *old_source, source *new_source, int number)
{
    const edit_case *edit = &edit_cases[number];
    source own = {.text = malloc(8192), .capacity = 8192};
    add_struct(old_source, edit->before, number);
    add(old_source, declarations, number, "");
    add_own(&own, edit->set, strlen(edit->set), number);
    add(old_source, make_text, number, own.text);
    add_struct(new_source, edit->after, number);
    add(new_source, declarations, number, "");
    add(new_source, "static int ok#(struct E# *e, int i) { return ", number, "");
    add_own(new_source, edit->check, strlen(edit->check), number);
    add(new_source, "; }\n#undef OK\n#define OK ok@\n", -1, "");
    new_source->text[new_source->length - 2] = 0;
    new_source->length -= 2;
    add(new_source, "#\n", number, "");
    for (int home = 0; home < HOME_COUNT; home++) {
        char head[64];
        snprintf(head, sizeof head, "int check#_%d(void) { return ", home);
        add(new_source, head, number, "");
        add(new_source, homes[home].check, number, "");
        add(new_source, "; }\n", number, "");
    }
    free(own.text);
}

static void call_makes(const reload *r)
{
    for (size_t i = 0; i < sizeof edit_cases / sizeof *edit_cases; i++) {
        char name[32];
        void (*make)(void);
        snprintf(name, sizeof name, "make%zu", i);
        *(void **)&make = dlsym(r->old_build.handle, name);
        ck_assert_msg(make != NULL, "%s", name);
        make();
    }
}

static int check_homes(const reload *r, const char *compiler)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof edit_cases / sizeof *edit_cases; i++) {
        for (int home = 0; home < HOME_COUNT; home++) {
            char name[32];
            snprintf(name, sizeof name, "check%zu_%d", i, home);
            if (!reload_call(&r->new_build, name)) {
                wrong++;
                fprintf(stderr, "%s: %s, %s\n", compiler, edit_cases[i].name, homes[home].name);
            }
        }
    }
    return wrong;
}

static void check_all(const char *compiler)
{
    source old_source = begin(), new_source = begin();
    char line[256];
    for (size_t i = 0; i < sizeof edit_cases / sizeof *edit_cases; i++) {
        add_edit(&old_source, &new_source, (int)i);
    }
    reload r = reload_open();
    snprintf(line, sizeof line, "%s -I" RP_TEST_INCLUDE, compiler);
    reload_build(&r, line, old_source.text, new_source.text);
    call_makes(&r);
    ck_assert_msg(reload_carry(&r, NULL) == RP_OK, "%s: %s: %s", compiler, rp_error_last()->text,
                  r.plan ? rp_plan_name(r.plan, (uint32_t)r.plan->report_offset) : "");
    ck_assert_int_eq(check_homes(&r, compiler), 0);
    ck_assert_uint_eq(r.migration.pointers_left, 0);
    ck_assert_msg(r.migration.values_lost == 0, "%s", r.migration.lost_name);
    reload_drop(&r);
    reload_close(&r);
    free(old_source.text);
    free(new_source.text);
}

TEST(each_edit_keeps_values_and_pointers_wherever_the_object_lives_with_gcc)
{
    check_all("gcc -g");
}

TEST(each_edit_keeps_values_and_pointers_wherever_the_object_lives_with_clang)
{
    check_all("clang -g");
}

TEST(each_edit_keeps_values_and_pointers_with_older_debug_information_and_optimisation)
{
    check_all("gcc -gdwarf-4 -O2 -gz");
    check_all("clang -gdwarf-4 -O1");
}

TEST(each_edit_keeps_values_and_pointers_with_debug_information_in_files_of_its_own)
{
    check_all("gcc -g -gsplit-dwarf");
    check_all("gcc -gdwarf-4 -gsplit-dwarf -O1");
    check_all("clang -g -gsplit-dwarf");
    check_all("clang -gdwarf-4 -gsplit-dwarf -O1");
}

TEST(each_edit_keeps_values_and_pointers_with_link_time_optimisation_and_packed_sections)
{
    check_all("gcc -g -O2 -flto");
    check_all("clang -g -gz=zlib -fuse-ld=lld -Wl,--compress-debug-sections=zlib");
}
