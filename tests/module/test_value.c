/* Values of expressions in an image, names of its addresses, and what differs between two. The
 * image is this process, read as a file, so that a wrong address is an error and no crash. */
#include "module/value.h"

#include "module/reload.h"

#include <fcntl.h>
#include <math.h>

static int memory_fd = -1;

static bool read_memory(void *context, uint64_t address, void *to, size_t size_bytes)
{
    (void)context;
    return pread(memory_fd, to, size_bytes, (off_t)address) == (ssize_t)size_bytes;
}

static const rp_image image = {.read = read_memory, .base = RP_REGION_BASE};

static rp_values *open_values(const reload_build_of *build)
{
    rp_values *values;
    void *thread = rp_object_tls(&build->object);
    memory_fd = memory_fd < 0 ? open("/proc/self/mem", O_RDONLY) : memory_fd;
    ck_ok(rp_values_open(build->elf, build->object.base, (uint64_t)(uintptr_t)thread, &values));
    return values;
}

/* ---- the program ---- */

static const char program[] =
    "enum mood { CALM, ANGRY = 7 };\n"
    "struct Enemy { float x, y; int hp; enum mood mood; struct Enemy *target; };\n"
    "struct Node { int key; struct Node *next; struct Enemy *enemy; };\n"
    "struct Flags { unsigned a : 3, b : 7; int c : 5; _Bool d : 1; };\n"
    "struct Any { int kind; union { int whole; float part; }; struct { short u, v; }; };\n"
    "int score = -5; unsigned char letter = 'Q'; double precise = 0.1; _Bool flag = 1;\n"
    "static long hidden = 1234567890123; __thread int own = 77; char title[16] = \"a title\";\n"
    "struct Enemy *enemies; struct Node *head; struct Enemy fixed[3]; int grid[2][3];\n"
    "struct Flags flags = {5, 99, -7, 1}; struct Any any = {1, {.part = 2.5f}, {3, -4}};\n"
    "enum mood mood = ANGRY; int *where; struct Enemy **lists; void (*act)(void); char *text;\n"
    "long double wide = 1.25L; int selected = 2; struct Enemy *nothing;\n"
    "static void jump(void) { static int count = 3; count++; }\n"
    "void walk(void) { static int count = 10; count++; hidden++; }\n"
    "int make(void) {\n"
    "  enemies = allocate(10 * sizeof *enemies); jump(); walk();\n"
    "  for (int i = 0; i < 10; i++) enemies[i] = (struct Enemy){i + .5f, i, 10 * i, i, &enemies[9 "
    "- i]};\n"
    "  for (int i = 0; i < 5; i++) { struct Node *n = allocate(sizeof *n);\n"
    "    *n = (struct Node){i, head, &enemies[i]}; head = n; }\n"
    "  for (int i = 0; i < 6; i++) grid[i / 3][i % 3] = i;\n"
    "  fixed[1].target = &enemies[4]; where = &enemies[3].hp;\n"
    "  lists = allocate(2 * sizeof *lists); lists[0] = &fixed[2]; lists[1] = enemies; act = jump;\n"
    "  text = allocate(8); strcpy(text, \"words\"); return 0; }\n";

typedef struct expected {
    const char *expression, *text;
} expected;

static const expected numbers[] = {
    {"score", "-5"},
    {"letter", "81 'Q'"},
    {"precise", "0.1"},
    {"flag", "true"},
    {"hidden", "1234567890124"},
    {"own", "77"},
    {"title", "\"a title\""},
    {"enemies[3].hp", "30"},
    {"enemies[ selected + 1 ].hp", "30"},
    {"enemies->x", "0.5"},
    {"(*enemies).x", "0.5"},
    {"enemies[3].mood", "3"},
    {"enemies[7].mood", "ANGRY"},
    {"mood", "ANGRY"},
    {"head->key", "4"},
    {"head->next->next->key", "2"},
    {"*where", "30"},
    {"where[0]", "30"},
    {"fixed[1].target->hp", "40"},
    {"grid[1][2]", "5"},
    {"flags.a", "5"},
    {"flags.b", "99"},
    {"flags.c", "-7"},
    {"flags.d", "true"},
    {"any.part", "2.5"},
    {"any.v", "-4"},
    {"lists[1]->target->hp", "90"},
    {"(*lists)->hp", "0"},
    {"act", "jump"},
    {"text", "\"words\""},
    {"text[1]", "111 'o'"},
    {"wide", "1.25"},
    {"nothing", "null"},
    {"walk::count", "11"},
    {"jump::count", "4"},
    {"'game.c'::hidden", "1234567890124"},
    {"-score * 2 + 1", "11"},
    {"(score - 1) / 4", "-1.5"},
    {"enemies[1].x - enemies[0].x", "1"},
    {"0x10 + 2.5", "18.5"},
};

static void check_numbers(const char *compiler)
{
    reload r = reload_open();
    reload_build(&r, compiler, program, program);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        rp_expression e;
        rp_value value;
        ck_ok(rp_expression_parse(numbers[i].expression, &e));
        ck_assert_msg(rp_value_get(values, &image, &e, &value) == RP_OK, "%s: %s", compiler,
                      rp_error_last()->text);
        ck_assert_msg(strcmp(value.text, numbers[i].text) == 0, "%s: %s is %s, not %s", compiler,
                      numbers[i].expression, value.text, numbers[i].text);
    }
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}

TEST(expressions_have_the_values_that_the_program_would_print)
{
    check_numbers("gcc -g");
    check_numbers("clang -g");
    check_numbers("gcc -gdwarf-4 -O2 -gz");
}

/* ---- errors ---- */

static const expected errors[] = {
    {"scor", "no such variable with a known type; it has"},
    {"enemies[1].hq", "struct Enemy has no member hq; it has x, y, hp, mood, target"},
    {"fixed[3].x", "there is no element 3: the array has 3"},
    {"fixed[-1].x", "there is no element -1"},
    {"nothing->hp", "a pointer in it is null"},
    {"fixed[0].target->hp", "a pointer in it is null"},
    {"count", "several variables have that name: say which: jump::count, walk::count"},
    {"fixed[0]", "is struct Enemy and no number: name a member: x, y, hp, mood, target"},
    {"grid", "is int[2][3] and no number"},
    {"score.x", "a struct is needed where there is int"},
    {"score->x", "a pointer or an array is needed where there is int"},
    {"enemies.x", "a struct is needed where there is struct Enemy *"},
    {"5[1]", "a pointer or an array is needed where there is a number"},
    {"title + 1", "a number is needed where there is char[16]"},
    {"enemies[1e300].x", "there is no such element"},
    {"enemies[2e10].x", "it leads to no memory that was recorded"},
};

static const expected syntax[] = {
    {"", "at character 1: here a variable is missing"},
    {"a.", "at character 3: here a member is missing"},
    {"a[1", "at character 4: here a ] is missing"},
    {"(a", "at character 3: here a ) is missing"},
    {"a b", "at character 3: this is more than an expression"},
    {"'a.c'b", "write 'file.c'::name"},
    {"'a.c", "the file's name has no end"},
    {"a = 1", "at character 3: this is more than an expression"},
    {"a()", "at character 2: this is more than an expression"},
    {"f::", "here a variable is missing"},
};

static void expect_error(rp_status status, const expected *e)
{
    ck_assert_msg(status != RP_OK, "%s", e->expression);
    ck_assert_msg(strstr(rp_error_last()->text, e->text), "%s: %s", e->expression,
                  rp_error_last()->text);
}

TEST(what_cannot_be_said_is_said_with_what_can)
{
    reload r = reload_open();
    rp_expression e;
    rp_value value;
    reload_build(&r, "gcc -g", program, program);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        ck_ok(rp_expression_parse(errors[i].expression, &e));
        expect_error(rp_value_get(values, &image, &e, &value), &errors[i]);
    }
    for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++) {
        expect_error(rp_expression_parse(syntax[i].expression, &e), &syntax[i]);
    }
    char deep[400];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    expect_error(rp_expression_parse(deep, &e), &(expected){"(((", "nested too deeply"});
    memset(deep, '*', sizeof deep - 1);
    expect_error(rp_expression_parse(deep, &e), &(expected){"***", "nested too deeply"});
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}

TEST(a_build_without_types_is_named_with_what_to_do)
{
    reload r = reload_open();
    rp_values *values;
    reload_build(&r, "gcc -g0", program, program);
    expect_error(rp_values_open(r.old_build.elf, 0, 0, &values),
                 &(expected){"", "build it with -g"});
    ck_assert_ptr_null(values);
    reload_drop(&r);
    reload_close(&r);
}

/* ---- names ---- */

static const expected names[] = {
    {"score", "score"},
    {"enemies[3].hp", "enemies[3].hp"},
    {"enemies->y", "enemies[0].y"},
    {"head->key", "head->key"},
    {"head->next->next->enemy", "head->next->next->enemy"},
    {"fixed[1].target", "fixed[1].target"},
    {"grid[1][2]", "grid[1][2]"},
    {"lists[1]", "lists[1]"},
    {"walk::count", "walk::count"},
    {"any.u", "any.u"},
    {"text[0]", "*text"},
};

typedef struct one_leaf {
    int count;
    char path[256], text[96];
    rp_value_map *map;
    rp_values *values;
} one_leaf;

static void keep_leaf(void *context, const rp_value_leaf *leaf)
{
    one_leaf *to = context;
    to->count++;
    snprintf(to->path, sizeof to->path, "%s", leaf->path);
    ck_assert(rp_value_leaf_text(to->map, &image, leaf, to->text, sizeof to->text));
}

static one_leaf leaf_of(rp_values *values, rp_value_map *map, const char *expression)
{
    rp_expression e;
    rp_value value;
    uint64_t unknown;
    one_leaf leaf = {.map = map, .values = values};
    ck_ok(rp_expression_parse(expression, &e));
    ck_ok(rp_value_get(values, &image, &e, &value));
    ck_assert_uint_eq(rp_value_map_leaves(map, value.address, 1, keep_leaf, &leaf, &unknown), 1);
    ck_assert_int_eq(leaf.count, 1);
    return leaf;
}

/* A path is an expression, so it must lead to where it was found. */
static void read_back(void *context, const rp_value_leaf *leaf)
{
    one_leaf *to = context;
    rp_expression e;
    rp_value value;
    ck_assert_msg(rp_expression_parse(leaf->path, &e) == RP_OK, "%s", rp_error_last()->text);
    ck_assert_msg(rp_value_get(to->values, &image, &e, &value) == RP_OK ||
                      strstr(leaf->path, "(union of"),
                  "%s", rp_error_last()->text);
    ck_assert_uint_eq(value.address, leaf->address);
    to->count++;
}

static int read_block(void *block, size_t size_bytes, void *context)
{
    one_leaf *to = context;
    uint64_t address = (uint64_t)(uintptr_t)block, unknown;
    rp_value_map_leaves(to->map, address, size_bytes, read_back, to, &unknown);
    return 0;
}

static void check_names(const char *compiler)
{
    reload r = reload_open();
    reload_build(&r, compiler, program, program);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    rp_value_map *map;
    ck_ok(rp_value_map_make(values, &image, &map));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_str_eq(leaf_of(values, map, names[i].expression).path, names[i].text);
    }
    ck_assert_str_eq(leaf_of(values, map, "fixed[1].target").text, "&enemies[4]");
    ck_assert_str_eq(leaf_of(values, map, "where").text, "&enemies[3].hp");
    ck_assert_str_eq(leaf_of(values, map, "head->next").text, "head->next");
    ck_assert_str_eq(leaf_of(values, map, "lists[0]").text, "&fixed[2]");
    one_leaf all = {.map = map, .values = values};
    rp_walk(rp_generic(RP_ZONE_WORLD), read_block, &all);
    ck_assert_int_ge(all.count, 10 * 5 + 5 * 3 + 2);
    rp_value_map_drop(map);
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}

TEST(addresses_have_names_that_are_expressions_for_them)
{
    check_names("gcc -g");
    check_names("clang -g -O1");
}

TEST(memory_of_which_nothing_is_known_has_no_name)
{
    reload r = reload_open();
    uint64_t unknown;
    rp_value_map *map;
    reload_build(&r, "gcc -g", program, program);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    void *lone = reload_allocate(64);
    ck_ok(rp_value_map_make(values, &image, &map));
    one_leaf leaf = {.map = map};
    uint64_t address = (uint64_t)(uintptr_t)lone;
    ck_assert_uint_eq(rp_value_map_leaves(map, address, 64, keep_leaf, &leaf, &unknown), 0);
    ck_assert_uint_eq(unknown, 64);
    ck_assert_int_eq(leaf.count, 0);
    rp_value_map_drop(map);
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}

/* A block that may as well be of a type that begins with the pointer's. */
TEST(no_more_of_a_block_in_doubt_is_believed_than_what_holds_either_way)
{
    static const char text[] =
        "struct Base { int kind; int more; }; struct Big { struct Base base; int extra[6]; };\n"
        "struct Base *thing; struct Big *other; int make(void) { thing = allocate(31);\n"
        "  memset(thing, 1, 31); return 0; }\n";
    reload r = reload_open();
    uint64_t unknown;
    rp_value_map *map;
    reload_build(&r, "gcc -g", text, text);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    ck_ok(rp_value_map_make(values, &image, &map));
    one_leaf leaf = leaf_of(values, map, "thing->more");
    ck_assert_str_eq(leaf.path, "thing->more");
    rp_expression e;
    rp_value value;
    ck_ok(rp_expression_parse("thing->more", &e));
    ck_ok(rp_value_get(values, &image, &e, &value));
    ck_assert_uint_eq(rp_value_map_leaves(map, value.address + 4, 8, keep_leaf, &leaf, &unknown),
                      0);
    ck_assert_uint_eq(unknown, 8);
    rp_value_map_drop(map);
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}

/* ---- two builds ---- */

typedef struct told {
    int count;
    char path[256], a[96], b[96];
} told;

static void keep_difference(void *context, const rp_value_difference *difference)
{
    told *to = context;
    to->count++;
    snprintf(to->path, sizeof to->path, "%s", difference->path);
    snprintf(to->a, sizeof to->a, "%s", difference->a);
    snprintf(to->b, sizeof to->b, "%s", difference->b);
}

/* The same names in another order, with more between them. */
static const char edited[] =
    "enum mood { CALM, ANGRY = 7 };\n"
    "struct Enemy { int team; double y; int hp; enum mood mood; struct Enemy *target; float x; };\n"
    "struct Node { struct Node *next; long key; struct Enemy *enemy; };\n"
    "struct Flags { int c : 6; unsigned b : 9, a : 4; _Bool d; };\n"
    "long score = -5; struct Node *head; int added = 3; struct Enemy fixed[3]; double precise = "
    ".1;\n"
    "struct Enemy *enemies; char title[32] = \"a title\"; struct Flags flags = {-7, 99, 5, 1};\n"
    "int *where; struct Enemy *end; int make(void) { head = 0;\n"
    "  for (int i = 0; i < 3; i++) allocate(48);\n"
    "  enemies = allocate(10 * sizeof *enemies);\n"
    "  for (int i = 0; i < 10; i++) enemies[i] = (struct Enemy){0, i, 10 * i, i, &enemies[9 - i], "
    "i + .5f};\n"
    "  for (int i = 0; i < 5; i++) { struct Node *n = allocate(sizeof *n);\n"
    "    *n = (struct Node){head, i, &enemies[i]}; head = n; }\n"
    "  fixed[1].target = &enemies[4]; where = &enemies[3].hp; %s return 0; }\n";

static told compare_with(const char *change, rp_value_sum *sum)
{
    reload r = reload_open();
    told to = {0};
    char text[4096];
    snprintf(text, sizeof text, edited, change);
    reload_build(&r, "gcc -g", program, text);
    reload_call(&r.old_build, "make");
    reload_call(&r.new_build, "make");
    rp_value_side a = {open_values(&r.old_build), &image}, b = {open_values(&r.new_build), &image};
    ck_ok(rp_value_compare(&a, &b, keep_difference, &to, sum));
    rp_values_close(a.values);
    rp_values_close(b.values);
    reload_drop(&r);
    reload_close(&r);
    return to;
}

TEST(worlds_of_two_builds_are_compared_by_names_wherever_things_lie)
{
    rp_value_sum sum;
    told to = compare_with("", &sum);
    ck_assert_msg(to.count == 0, "%s: %s and %s", to.path, to.a, to.b);
    ck_assert(sum.whole);
    ck_assert_uint_ge(sum.compared, 10 * 5 + 5 * 3 + 15 + 8);
    to = compare_with("head->next->next->key = 21;", &sum);
    ck_assert_int_eq(to.count, 1);
    ck_assert_str_eq(to.path, "head->next->next->key");
    ck_assert_str_eq(to.a, "2");
    ck_assert_str_eq(to.b, "21");
    to = compare_with("enemies[8].target = &enemies[3];", &sum);
    ck_assert_int_eq(to.count, 1);
    ck_assert_str_eq(to.path, "enemies[8].target");
    ck_assert_str_eq(to.a, "&enemies[1]");
    ck_assert_str_eq(to.b, "&enemies[3]");
    to = compare_with("flags.b = 98; ", &sum);
    ck_assert_str_eq(to.path, "flags.b");
    to = compare_with("title[2] = 'T';", &sum);
    ck_assert_str_eq(to.b, "\"a Title\"");
    to = compare_with("where = &enemies[3].hp - 1;", &sum);
    ck_assert_str_eq(to.path, "where");
}

/* ---- hostile ---- */

static uint64_t random_state;

static bool read_damaged(void *context, uint64_t address, void *to, size_t size_bytes)
{
    uint32_t one_in = *(const uint32_t *)context;
    if (!read_memory(NULL, address, to, size_bytes)) {
        return false;
    }
    for (size_t i = 0; i < size_bytes; i++) {
        uint64_t r = test_random(&random_state);
        ((uint8_t *)to)[i] ^= r % one_in == 0 ? (uint8_t)(r >> 40) : 0;
    }
    return true;
}

static void ignore_leaf(void *context, const rp_value_leaf *leaf)
{
    char text[96];
    rp_value_leaf_text(context, &image, leaf, text, sizeof text);
}

TEST(damaged_images_are_read_without_harm)
{
    reload r = reload_open();
    random_state = test_seed();
    reload_build(&r, "gcc -g", program, program);
    reload_call(&r.old_build, "make");
    rp_values *values = open_values(&r.old_build);
    for (uint32_t one_in = 4; one_in < 40000; one_in += one_in / 3 + 1) {
        rp_image damaged = {.context = &one_in, .read = read_damaged, .base = RP_REGION_BASE};
        rp_value_map *map;
        uint64_t unknown, start = (uint64_t)(uintptr_t)reload_allocate(16);
        ck_ok(rp_value_map_make(values, &damaged, &map));
        rp_value_map_leaves(map, start - 4096, 8192, ignore_leaf, map, &unknown);
        rp_value_map_drop(map);
        rp_value_side side = {values, &damaged};
        rp_value_sum sum;
        ck_ok(rp_value_compare(&side, &side, NULL, NULL, &sum));
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            rp_expression e;
            rp_value value;
            ck_ok(rp_expression_parse(numbers[i].expression, &e));
            (void)rp_value_get(values, &damaged, &e, &value);
        }
    }
    rp_values_close(values);
    reload_drop(&r);
    reload_close(&r);
}
