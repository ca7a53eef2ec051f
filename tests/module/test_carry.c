#include "base/error.h"
#include "module/carry.h"
#include "module/elf.h"
#include "module/fixture.h"
#include "module/object.h"

#include <dlfcn.h>
#include <link.h>
#include <time.h>

/* ---- a table of edits, with each compiler ---------------------------------------------------- */

static const char old_source[] =
    "int counter = 10; static int inner = 20; int made_static = 30; static int made_global = 40;\n"
    "int removed = 50; int to_bss = 60; int to_data; const int limit = 70; int became_const = 75;\n"
    "__attribute__((section(\"custom\"))) int sectioned = 80;\n"
    "_Thread_local int per_thread = 90; _Thread_local int *to_thread;\n"
    "int items[16]; int *middle = &items[5]; int *past = items + 16; static int *to_inner = "
    "&inner;\n"
    "const char *literal = \"kept\"; const int *to_limit = &limit; int *to_removed = &removed;\n"
    "__attribute__((noinline)) static int first(void) { return 1; }\n"
    "__attribute__((noinline)) int second(void) { return 2; }\n"
    "__attribute__((noinline)) static int lost(void) { return 3; }\n"
    "int (*table[3])(void) = {first, second, 0}; int (*to_lost)(void) = lost;\n"
    "const void *inside_code;\n"
    "static const int menu[4] = {1, 2, 3, 4}; const int *to_menu = &menu[2];\n"
    "__attribute__((noinline)) int f(void) { static int count = 100; return ++count; }\n"
    "__attribute__((noinline)) int g(void) { static int count = 200; return ++count; }\n"
    "int get_inner(void) { return inner; } int get_global(void) { return made_global; }\n"
    "void rp_module_step(void *s) { (void)s;\n"
    "  counter++; inner++; made_static++; made_global++; removed++; to_bss++; to_data++; "
    "sectioned++;\n"
    "  per_thread++; to_thread = &per_thread; items[5] = 55; f(); g(); g(); became_const++;\n"
    "  inside_code = (const char *)rp_module_step + 1; *to_inner += 0; }\n";

static const char new_source[] =
    "int added_before = 1; int removed_not = 2; static int made_static = 30; int made_global = "
    "40;\n"
    "const int limit = 71; int to_data = 5; int to_bss; const int became_const = 76;\n"
    "static int inner = 20; int counter = 10;\n"
    "__attribute__((section(\"custom\"))) int in_custom_before = 3;\n"
    "__attribute__((section(\"custom\"))) int sectioned = 80;\n"
    "_Thread_local int thread_added = 4; _Thread_local int per_thread = 90; _Thread_local int "
    "*to_thread;\n"
    "int (*to_lost)(void); const void *inside_code; int *to_removed;\n"
    "__attribute__((noinline)) int g(void) { static int count = 200; return ++count; }\n"
    "__attribute__((noinline)) int third(void) { return 33; }\n"
    "__attribute__((noinline)) int second(void) { return 22; }\n"
    "__attribute__((noinline)) static int first(void) { return 11; }\n"
    "int (*table[3])(void) = {first, second, third}; const int *to_limit = &limit; const char "
    "*literal;\n"
    "static const int menu[4] = {10, 20, 30, 40}; const int *to_menu = &menu[2];\n"
    "char pad[24]; int items[16]; int *middle = items; int *past; static int *to_inner = &inner;\n"
    "__attribute__((noinline)) int f(void) { static int count = 100; return ++count; }\n"
    "int get_inner(void) { return *to_inner; } int get_static(void) { return made_static; }\n"
    "const int *get_menu(void) { return menu; } int (*get_first(void))(void) { return first; }\n"
    "void rp_module_step(void *s) { (void)s; pad[0]++; to_inner = &inner; middle++; table[0] = "
    "third;\n"
    "  to_menu++; inner++; made_static++; thread_added += in_custom_before + added_before + "
    "removed_not; }\n";

typedef struct loaded {
    rp_elf *elf;
    void *handle;
    rp_object object;
} loaded;

static loaded load(const char *path)
{
    loaded l;
    ck_ok(rp_elf_open(path, NULL, &l.elf));
    l.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(l.handle != NULL, "%s", dlerror());
    static rp_object objects[RP_OBJECT_MAX];
    size_t count = rp_objects_scan(objects, RP_OBJECT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(objects[i].path, path) == 0) {
            l.object = objects[i];
            return l;
        }
    }
    ck_abort_msg("%s is not among the loaded objects", path);
}

static void unload(loaded *l)
{
    dlclose(l->handle);
    rp_elf_close(l->elf);
}

static bool read_live(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    (void)context;
    memcpy(to, (const void *)(uintptr_t)old_address, size_bytes);
    return true;
}

static int value(const loaded *l, const char *name)
{
    int *at = dlsym(l->handle, name);
    ck_assert_msg(at != NULL, "%s", name);
    return *at;
}

static void *pointer(const loaded *l, const char *name)
{
    void **at = dlsym(l->handle, name);
    ck_assert_msg(at != NULL, "%s", name);
    return *at;
}

static int call(const loaded *l, const char *name)
{
    int (*function)(void);
    *(void **)&function = dlsym(l->handle, name);
    ck_assert_msg(function != NULL, "%s", name);
    return function();
}

static void check_values(const loaded *n)
{
    ck_assert_int_eq(value(n, "counter"), 11);
    ck_assert_int_eq(call(n, "get_inner"), 21);
    ck_assert_int_eq(call(n, "get_static"), 31);
    ck_assert_int_eq(value(n, "made_global"), 41);
    ck_assert_int_eq(value(n, "to_bss"), 61);
    ck_assert_int_eq(value(n, "to_data"), 1);
    ck_assert_int_eq(value(n, "sectioned"), 81);
    ck_assert_int_eq(value(n, "per_thread"), 91);
    ck_assert_int_eq(value(n, "limit"), 71);
    ck_assert_int_eq(value(n, "became_const"), 76);
    ck_assert_int_eq(value(n, "added_before"), 1);
    ck_assert_int_eq(value(n, "in_custom_before"), 3);
    ck_assert_int_eq(value(n, "thread_added"), 4);
    ck_assert_int_eq(call(n, "f"), 102);
    ck_assert_int_eq(call(n, "g"), 203);
}

static void check_pointers(const loaded *o, const loaded *n, const void *literal)
{
    int *items = dlsym(n->handle, "items");
    ck_assert_ptr_eq(pointer(n, "middle"), items + 5);
    ck_assert_int_eq(items[5], 55);
    ck_assert_ptr_eq(pointer(n, "to_limit"), dlsym(n->handle, "limit"));
    ck_assert_ptr_eq(pointer(n, "to_thread"), dlsym(n->handle, "per_thread"));
    ck_assert_ptr_eq(pointer(n, "literal"), literal);
    ck_assert_ptr_eq(pointer(n, "to_removed"), dlsym(o->handle, "removed"));
    ck_assert_ptr_eq(pointer(n, "to_lost"), pointer(o, "to_lost"));
    ck_assert_ptr_eq(pointer(n, "inside_code"), pointer(o, "inside_code"));
    const int *(*get_menu)(void);
    *(void **)&get_menu = dlsym(n->handle, "get_menu");
    ck_assert_ptr_eq(pointer(n, "to_menu"), get_menu() + 2);
    void **table = dlsym(n->handle, "table");
    ck_assert_ptr_eq(table[1], dlsym(n->handle, "second"));
    ck_assert_ptr_null(table[2]); /* the running value wins over the new initialiser */
    int (*first)(void);
    *(void **)&first = table[0];
    ck_assert_int_eq(first(), 11);
}

static void *span_words(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

static void carry(const loaded *o, const loaded *n, rp_plan *plan, uint64_t *heap, size_t words,
                  rp_carry_report *report)
{
    rp_carry_span spans[RP_OBJECT_STATE_MAX + 2];
    size_t count = 0;
    for (uint32_t i = 0; i < n->object.state_count; i++) {
        spans[count++] =
            (rp_carry_span){span_words(n->object.state[i].start), n->object.state[i].size_bytes};
    }
    void *tls = rp_object_tls(&n->object);
    spans[count++] = (rp_carry_span){tls, n->object.tls_bytes};
    spans[count++] = (rp_carry_span){heap, words * sizeof *heap};
    ck_ok(rp_carry_copy(plan, n->object.base, tls, read_live, (void *)(uintptr_t)o, report));
    rp_carry_pointers(plan, n->object.base, tls, spans, count, report);
}

static void edit_with(const char *old_compiler, const char *new_compiler)
{
    fixture f = fixture_open();
    fixture_write(&f, "game.c", old_source);
    loaded o = load(fixture_build(&f, old_compiler, "game.c", "old.so"));
    fixture_write(&f, "game.c", new_source);
    loaded n = load(fixture_build(&f, new_compiler, "game.c", "new.so"));
    void (*step)(void *);
    *(void **)&step = dlsym(o.handle, "rp_module_step");
    step(NULL);
    rp_plan *plan;
    ck_ok(rp_plan_make(o.elf, 1, o.object.base, (uint64_t)(uintptr_t)rp_object_tls(&o.object),
                       n.elf, 2, NULL, &plan));
    uint64_t heap[] = {(uintptr_t)dlsym(o.handle, "items") + 12, 77,
                       (uintptr_t)dlsym(o.handle, "second"),
                       (uintptr_t)dlsym(o.handle, "second") + 1};
    void *literal = pointer(&o, "literal");
    rp_carry_report report = {0};
    carry(&o, &n, plan, heap, 4, &report);
    check_values(&n);
    check_pointers(&o, &n, literal);
    ck_assert_uint_eq(heap[0], (uintptr_t)dlsym(n.handle, "items") + 12);
    ck_assert_uint_eq(heap[1], 77);
    ck_assert_uint_eq(heap[2], (uintptr_t)dlsym(n.handle, "second"));
    ck_assert_uint_eq(heap[3], (uintptr_t)dlsym(o.handle, "second") + 1);
    ck_assert_uint_eq(report.pointers_kept, 1);
    ck_assert_uint_eq(report.pointers_left, 4);
    ck_assert_uint_eq(report.carried, plan->copy_count);
    ck_assert_uint_eq(plan->removed, 1);
    ck_assert_uint_eq(plan->ambiguous, 0);
    ck_assert_str_ne(report.left_name, "");
    rp_plan_free(plan);
    unload(&o);
    unload(&n);
    fixture_close(&f);
}

TEST(edits_are_carried_with_gcc_unoptimised)
{
    edit_with("gcc -O0 -g", "gcc -O0 -g");
}

TEST(edits_are_carried_with_gcc_optimised)
{
    edit_with("gcc -O2 -g", "gcc -O2 -g");
}

TEST(edits_are_carried_with_clang_unoptimised)
{
    edit_with("clang -O0 -g", "clang -O0 -g");
}

TEST(edits_are_carried_with_clang_optimised)
{
    edit_with("clang -O2 -g", "clang -O2 -g");
}

TEST(edits_are_carried_without_debug_information_by_clang)
{
    edit_with("clang -O2 -fuse-ld=lld", "clang -O2 -fuse-ld=lld");
}

TEST(edits_are_carried_from_one_compiler_to_the_other)
{
    edit_with("gcc -O2 -g", "clang -O0 -g -fuse-ld=lld");
    edit_with("clang -O1 -g", "gcc -O2 -g -fuse-ld=gold");
}

/* ---- words against a plan made by hand --------------------------------------------------------
 */

enum { OLD = 0x100000, NEW = 0x900000 };

typedef struct hand_plan {
    rp_plan header;
    rp_plan_move moves[6];
    char names[64];
} hand_plan;

static hand_plan plan_by_hand(void)
{
    hand_plan p = {.header = {.magic = RP_PLAN_MAGIC,
                              .version = RP_PLAN_VERSION,
                              .total_bytes = sizeof p,
                              .old_low = OLD,
                              .old_high = OLD + 0x4000,
                              .old_text_low = OLD + 0x1000,
                              .old_text_high = OLD + 0x2000,
                              .old_data_low = OLD + 0x3000,
                              .old_data_high = OLD + 0x4000,
                              .new_high = 0x4000,
                              .new_tls_bytes = 64,
                              .move_count = 6,
                              .names_bytes = 64}};
    p.header.moves_offset = offsetof(hand_plan, moves);
    p.header.copies_offset = offsetof(hand_plan, moves);
    p.header.names_offset = offsetof(hand_plan, names);
    memcpy(p.names, "\0step\0lost\0gone\0list", 21);
    rp_plan_move moves[6] = {
        {.old_address = 0x5000, .size_bytes = 8, .new_offset = 16, .thread = 1},
        {.old_address = OLD + 0x1000,
         .size_bytes = 32,
         .new_offset = 0x1100,
         .name = 1,
         .is_function = 1},
        {.old_address = OLD + 0x1020,
         .size_bytes = 32,
         .new_offset = RP_PLAN_NONE,
         .name = 6,
         .is_function = 1},
        {.old_address = OLD + 0x3000, .size_bytes = 8, .new_offset = RP_PLAN_NONE, .name = 11},
        {.old_address = OLD + 0x3008, .size_bytes = 24, .new_offset = 0x3100, .name = 16},
        {.old_address = OLD + 0x3020, .size_bytes = 8, .new_offset = 0x3200, .name = 16}};
    memcpy(p.moves, moves, sizeof moves);
    ck_ok(rp_plan_check(&p.header, sizeof p));
    return p;
}

typedef enum outcome { UNTOUCHED, MOVED, KEPT, LEFT } outcome;

static void check_word(uint64_t word, outcome expected, uint64_t moved_to, const char *left_name)
{
    hand_plan p = plan_by_hand();
    uint64_t words[3] = {1, word, 2};
    rp_carry_span span = {words, sizeof words};
    rp_carry_report report = {0};
    rp_carry_pointers(&p.header, NEW, (void *)(uintptr_t)0x7000, &span, 1, &report);
    ck_assert_msg(report.pointers_moved == (expected == MOVED), "%lx moved %u", word,
                  report.pointers_moved);
    ck_assert_msg(report.pointers_kept == (expected == KEPT), "%lx kept %u", word,
                  report.pointers_kept);
    ck_assert_msg(report.pointers_left == (expected == LEFT), "%lx left %u", word,
                  report.pointers_left);
    ck_assert_uint_eq(words[1], expected == MOVED ? moved_to : word);
    ck_assert_uint_eq(words[0] + words[2], 3);
    ck_assert_str_eq(report.left_name, left_name);
    ck_assert_uint_eq(report.left_at, expected == LEFT ? (uintptr_t)&words[1] : 0);
}

TEST(each_kind_of_word_goes_where_it_must)
{
    check_word(OLD - 1, UNTOUCHED, 0, "");
    check_word(OLD + 0x4000, UNTOUCHED, 0, "");
    check_word(OLD, KEPT, 0, "");
    check_word(OLD + 0x2000, KEPT, 0, "");
    check_word(OLD + 0x2fff, KEPT, 0, "");
    check_word(OLD + 0x1000, MOVED, NEW + 0x1100, "");
    check_word(OLD + 0x1001, LEFT, 0, "inside step");
    check_word(OLD + 0x1020, LEFT, 0, "lost");
    check_word(OLD + 0x1030, LEFT, 0, "inside lost");
    check_word(OLD + 0x1040, LEFT, 0, "code without a name");
    check_word(OLD + 0x3000, LEFT, 0, "gone");
    check_word(OLD + 0x3007, LEFT, 0, "gone");
    check_word(OLD + 0x3008, MOVED, NEW + 0x3100, "");
    check_word(OLD + 0x301f, MOVED, NEW + 0x3117, "");
    check_word(OLD + 0x3020, MOVED, NEW + 0x3200, "");
    check_word(OLD + 0x3028, MOVED, NEW + 0x3208, ""); /* just past it */
    check_word(OLD + 0x3029, LEFT, 0, "data without a name");
    check_word(0x4fff, UNTOUCHED, 0, "");
    check_word(0x5004, MOVED, 0x7014, "");
    check_word(0x5008, MOVED, 0x7018, "");
    check_word(0x5009, UNTOUCHED, 0, "");
}

TEST(words_at_odd_places_and_cut_words_are_left_alone)
{
    hand_plan p = plan_by_hand();
    _Alignas(8) uint8_t bytes[32] = {0};
    uint64_t word = OLD + 0x3008;
    memcpy(bytes + 4, &word, 8);
    memcpy(bytes + 24, &word, 8);
    rp_carry_span span = {bytes + 1, 30}; /* ends within the last word */
    rp_carry_report report = {0};
    rp_carry_pointers(&p.header, NEW, NULL, &span, 1, &report);
    ck_assert_uint_eq(report.pointers_moved, 0);
    span = (rp_carry_span){bytes + 1, 31};
    rp_carry_pointers(&p.header, NEW, NULL, &span, 1, &report);
    ck_assert_uint_eq(report.pointers_moved, 1);
    span = (rp_carry_span){bytes + 1, 3};
    rp_carry_pointers(&p.header, NEW, NULL, &span, 1, &report);
    ck_assert_uint_eq(report.pointers_moved, 1);
}

/* Against the plain rule, by a walk over all moves. */
static uint64_t expected_word(const hand_plan *p, uint64_t word)
{
    for (int i = 0; i < 6; i++) {
        const rp_plan_move *m = &p->moves[i];
        uint64_t offset = word - m->old_address;
        if (m->new_offset != RP_PLAN_NONE && offset < (m->is_function ? 1 : m->size_bytes)) {
            return (m->thread ? 0x7000 : NEW) + m->new_offset + offset;
        }
    }
    return word;
}

TEST(random_words_move_as_the_plain_rule_says)
{
    hand_plan p = plan_by_hand();
    uint64_t seed = test_seed(), words[512], expected[512];
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 512; i++) {
            uint64_t near = test_random(&seed) % 3;
            words[i] = near == 0   ? OLD + test_random(&seed) % 0x5000
                       : near == 1 ? OLD + 0x3000 + test_random(&seed) % 0x28
                                   : test_random(&seed);
            expected[i] = expected_word(&p, words[i]);
            if (words[i] == OLD + 0x3028) {
                expected[i] = NEW + 0x3208;
            }
        }
        rp_carry_span span = {words, sizeof words};
        rp_carry_report report = {0};
        rp_carry_pointers(&p.header, NEW, (void *)(uintptr_t)0x7000, &span, 1, &report);
        ck_assert_mem_eq(words, expected, sizeof words);
    }
}

TEST(the_same_build_elsewhere_moves_by_a_distance)
{
    uint64_t words[] = {OLD - 1, OLD, OLD + 0xfff, OLD + 0x1000, 0, UINT64_MAX};
    uint64_t expected[] = {OLD - 1, OLD - 0x800, OLD + 0x7ff, OLD + 0x1000, 0, UINT64_MAX};
    rp_carry_span span = {words, sizeof words};
    rp_carry_report report = {0};
    rp_carry_shift(OLD, OLD + 0x1000, -0x800, &span, 1, &report);
    ck_assert_mem_eq(words, expected, sizeof words);
    ck_assert_uint_eq(report.pointers_moved, 2);
}

static bool read_nothing(void *context, uint64_t old_address, void *to, size_t size_bytes)
{
    (void)context, (void)old_address, (void)to, (void)size_bytes;
    return false;
}

TEST(a_value_that_is_not_in_the_state_is_named)
{
    struct {
        rp_plan header;
        rp_plan_copy copy;
        char names[16];
    } p = {.header = {.old_build = 1, .new_build = 2, .copy_count = 1},
           .copy = {.size_bytes = 4, .name = 1},
           .names = "\0speed"};
    p.header.copies_offset = (uint64_t)((char *)&p.copy - (char *)&p);
    p.header.names_offset = (uint64_t)(p.names - (char *)&p);
    int target = 5;
    rp_carry_report report = {0};
    ck_assert_int_eq(
        rp_carry_copy(&p.header, (uintptr_t)&target, NULL, read_nothing, NULL, &report),
        RP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "'speed'"));
    p.copy.thread = 1;
    ck_assert_int_eq(
        rp_carry_copy(&p.header, (uintptr_t)&target, NULL, read_nothing, NULL, &report),
        RP_E_MODULE);
    ck_assert_uint_eq(report.carried, 0);
    ck_assert_int_eq(target, 5);
}

TEST(sixteen_mebibytes_are_searched_in_a_few_milliseconds)
{
    hand_plan p = plan_by_hand();
    size_t words = (16u << 20) / 8;
    uint64_t *heap = malloc(words * 8), seed = test_seed(), best = UINT64_MAX;
    for (size_t i = 0; i < words; i++) {
        heap[i] = i % 64 ? test_random(&seed) : OLD + 0x3008;
    }
    rp_carry_span span = {heap, words * 8};
    rp_carry_report report = {0};
    for (int round = 0; round < 5; round++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        rp_carry_pointers(&p.header, NEW, NULL, &span, 1, &report);
        clock_gettime(CLOCK_MONOTONIC, &to);
        uint64_t took =
            (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec);
        best = took < best ? took : best;
    }
    printf("16 MiB: %.2f ms\n", (double)best / 1e6);
    ck_assert_uint_eq(report.pointers_moved, words / 64);
    free(heap);
}
