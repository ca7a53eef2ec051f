/* Sets of cells, what randomisation reaches, what sanitizers forbid, which windows are left. */
#include "base/bits.h"
#include "region/region.h"
#include "region/survey.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define GIB(n) ((uint64_t)(n) << 30)
#define END (UINT64_C(1) << RP_SURVEY_ADDRESS_BITS)
#define NEED (RP_MODULE_LIMIT - RP_REGION_BASE)
#define GROWTH GIB(64)

static rp_survey_cells cells, reach;
static rp_survey_window windows[16];

TEST(a_mapping_marks_every_cell_that_it_touches)
{
    rp_survey_add(&cells, GIB(5) + 4096, GIB(7) + 4096);
    ck_assert(rp_survey_is_free(&cells, 0, GIB(5)));
    ck_assert(!rp_survey_is_free(&cells, GIB(5), GIB(5) + 1));
    ck_assert(!rp_survey_is_free(&cells, GIB(7), GIB(8)));
    ck_assert(rp_survey_is_free(&cells, GIB(8), END));
    ck_assert(!rp_survey_is_free(&cells, 0, END));
}

TEST(what_lies_beyond_47_bits_is_cut_and_never_free)
{
    rp_survey_add(&cells, UINT64_C(0xffffffffff600000), UINT64_C(0xffffffffff601000));
    rp_survey_add(&cells, GIB(9), GIB(9));
    rp_survey_add(&cells, GIB(9), GIB(8));
    ck_assert(rp_survey_is_free(&cells, 0, END));
    ck_assert(!rp_survey_is_free(&cells, END - 1, END + 1));
    rp_survey_add(&cells, END - 1, UINT64_MAX);
    ck_assert(!rp_survey_is_free(&cells, END - 1, END));
    ck_assert(rp_survey_is_free(&cells, 0, END - GIB(1)));
}

/* The same by one byte a cell. */
TEST(random_sets_are_what_a_plain_model_says)
{
    uint64_t state = test_seed();
    uint8_t *model = calloc(1, RP_SURVEY_CELLS);
    for (int i = 0; i < 300; i++) {
        uint64_t from = test_random(&state) % (END + GIB(3)), size = test_random(&state) % GIB(600);
        rp_survey_add(&cells, from, from + size);
        for (uint64_t cell = from >> 30; size && cell <= (from + size - 1) >> 30; cell++) {
            if (cell < RP_SURVEY_CELLS) {
                model[cell] = 1;
            }
        }
        uint64_t at = test_random(&state) % END, length = test_random(&state) % GIB(900);
        bool is_free = at + length <= END;
        for (uint64_t cell = at >> 30; length && is_free && cell <= (at + length - 1) >> 30;
             cell++) {
            is_free = !model[cell];
        }
        ck_assert_int_eq(rp_survey_is_free(&cells, at, at + length), is_free || !length);
    }
    uint32_t first = 0, count, free_cells = 0;
    for (; rp_survey_free_run(&cells, &first, &count); first += count) {
        ck_assert(first == 0 || model[first - 1]);
        ck_assert(first + count == RP_SURVEY_CELLS || model[first + count]);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert(!model[first + i]);
        }
        free_cells += count;
    }
    for (size_t i = 0; i < RP_SURVEY_CELLS; i++) {
        free_cells += model[i];
    }
    ck_assert_uint_eq(free_cells, RP_SURVEY_CELLS);
    free(model);
}

TEST(uniting_keeps_what_either_has)
{
    rp_survey_add(&cells, GIB(1), GIB(2));
    rp_survey_add(&reach, GIB(70), GIB(90));
    rp_survey_unite(&cells, &reach);
    ck_assert(!rp_survey_is_free(&cells, GIB(1), GIB(2)));
    ck_assert(!rp_survey_is_free(&cells, GIB(89), GIB(90)));
    ck_assert(rp_survey_is_free(&cells, GIB(2), GIB(70)));
}

/* Addresses as they are seen on Linux with 28 bits: a program, its heap, a library, the stack. */
TEST(what_a_kernel_chooses_with_28_bits_is_within_reach)
{
    static const uint64_t seen[] = {
        0x400000,       0x1c3a2000,     0x555555554000,        0x5581d6a3f000,
        0x564f3c9d1000, 0x7ffff7fff000, 0x7f0123456000,        0x7ffd5a1c2000,
        0x2aaaaaaab000, 0x2b5e12345000, 0x155555555000 - 4096, 0x14a8f0123000,
    };
    rp_survey_reach(&reach, 28, GROWTH);
    for (size_t i = 0; i < RP_COUNT_OF(seen); i++) {
        ck_assert_msg(!rp_survey_is_free(&reach, seen[i], seen[i] + 1), "%#llx",
                      (unsigned long long)seen[i]);
    }
}

TEST(more_bits_reach_further_and_never_the_window)
{
    for (unsigned bits = 8; bits <= 32; bits++) {
        rp_survey_cells fewer = {{0}};
        rp_survey_cells more = {{0}};
        rp_survey_reach(&fewer, bits - 1, GROWTH);
        rp_survey_reach(&more, bits, GROWTH);
        ck_assert(rp_survey_is_free(&more, RP_REGION_BASE, RP_MODULE_LIMIT));
        rp_survey_unite(&fewer, &more);
        ck_assert_int_eq(memcmp(&fewer, &more, sizeof more), 0);
    }
    rp_survey_reach(&reach, 32, GROWTH);
    ck_assert(!rp_survey_is_free(&reach, UINT64_C(0x065000000000), UINT64_C(0x065000000001)));
    ck_assert(!rp_survey_is_free(&reach, RP_MODULE_LIMIT, RP_MODULE_LIMIT + 1));
}

TEST(sanitizers_allow_the_window_and_forbid_the_classic_base)
{
    for (int i = 0; i < RP_SURVEY_SANITIZERS; i++) {
        rp_survey_cells forbidden = {{0}};
        rp_survey_forbid(&forbidden, (rp_survey_sanitizer)i);
        ck_assert(rp_survey_is_free(&forbidden, RP_REGION_BASE, RP_MODULE_LIMIT));
        ck_assert(
            !rp_survey_is_free(&forbidden, UINT64_C(0x020000000000), UINT64_C(0x020040000000)));
    }
}

TEST(where_nothing_was_seen_only_the_default_suits_all)
{
    size_t count = rp_survey_windows(&cells, GROWTH, NEED, windows, RP_COUNT_OF(windows));
    ck_assert_uint_gt(count, 1);
    ck_assert(windows[0].is_default);
    ck_assert_uint_eq(windows[0].start, RP_REGION_BASE);
    ck_assert_uint_eq(windows[0].end, RP_MODULE_LIMIT);
    ck_assert_uint_eq(windows[0].base, RP_REGION_BASE);
    ck_assert_uint_eq(windows[0].grade.reach_bits, 32);
    for (size_t i = 1; i < count; i++) {
        const bool *allow = windows[i].grade.sanitizers;
        ck_assert(!windows[i].is_default);
        ck_assert(!(windows[i].grade.reach_bits == 32 && allow[0] && allow[1] && allow[2]));
    }
}

TEST(a_program_at_the_base_leaves_other_windows)
{
    rp_survey_grade grade;
    rp_survey_add(&cells, RP_REGION_BASE, RP_REGION_BASE + 4096);
    ck_assert(!rp_survey_grade_of(&cells, GROWTH, RP_REGION_BASE, RP_MODULE_LIMIT, &grade));
    ck_assert_uint_eq(grade.reach_bits, 32);
    size_t count = rp_survey_windows(&cells, GROWTH, NEED, windows, RP_COUNT_OF(windows));
    ck_assert_uint_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        ck_assert(!windows[i].is_default);
        ck_assert(rp_survey_is_free(&cells, windows[i].start, windows[i].end));
    }
}

TEST(the_tables_hold_no_more_than_they_are_given)
{
    ck_assert_uint_eq(rp_survey_windows(&cells, GROWTH, NEED, windows, 0), 0);
    ck_assert_uint_eq(rp_survey_windows(&cells, GROWTH, NEED, windows, 1), 1);
    ck_assert(windows[0].is_default);
    ck_assert_uint_eq(windows[1].end, 0);
    rp_survey_add(&cells, 0, END);
    ck_assert_uint_eq(rp_survey_windows(&cells, GROWTH, NEED, windows, 16), 0);
}

static int grade_value(const rp_survey_grade *grade)
{
    return (int)grade->reach_bits * 2 +
           (grade->sanitizers[0] && grade->sanitizers[1] && grade->sanitizers[2]);
}

static void check_window(const rp_survey_window *w, uint64_t need)
{
    rp_survey_grade grade;
    ck_assert_uint_ge(w->end - w->start, need);
    ck_assert(rp_survey_is_free(&cells, w->start, w->end));
    ck_assert(w->base >= w->start && w->base + need <= w->end);
    ck_assert(rp_survey_grade_of(&cells, GROWTH, w->base, w->base + need, &grade));
    ck_assert_int_eq(memcmp(&grade, &w->grade, sizeof grade), 0);
    ck_assert(rp_survey_is_free(&cells, w->base - w->distance, w->base + need + w->distance));
}

TEST(random_surveys_give_free_windows_best_first)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 60; round++) {
        memset(&cells, 0, sizeof cells);
        for (uint64_t i = test_random(&state) % 60; i > 0; i--) {
            uint64_t from = test_random(&state) % END;
            rp_survey_add(&cells, from, from + test_random(&state) % GIB(2000));
        }
        uint64_t need = GIB(1 + test_random(&state) % 400);
        need = need < NEED ? NEED : need;
        size_t count = rp_survey_windows(&cells, GROWTH, need, windows, RP_COUNT_OF(windows));
        for (size_t i = 0; i < count; i++) {
            check_window(&windows[i], need);
            ck_assert(i == 0 ||
                      grade_value(&windows[i - 1].grade) >= grade_value(&windows[i].grade));
            for (size_t j = 0; j < i; j++) {
                ck_assert(windows[i].end <= windows[j].start || windows[j].end <= windows[i].start);
            }
        }
        bool is_free = rp_survey_is_free(&cells, RP_REGION_BASE, RP_REGION_BASE + need);
        ck_assert(!is_free || need > NEED || (count && windows[0].is_default));
    }
}
