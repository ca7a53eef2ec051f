/* Watched and checked values: two builds beside each other, and a link that is not believed. */
#include "support/test.h"
#include "watched.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static watched w;
static link_watched from;

static void clear(void)
{
    watched_clear(&w);
    from = (link_watched){0};
}

static void check_int(const char *name, int64_t value)
{
    link_check *check = &from.checks[from.check_count++];
    *check = (link_check){.kind = LINK_CHECK_INT, .value = (uint64_t)value};
    snprintf(check->name, sizeof check->name, "%s", name);
}

static void point(const char *name, double x, double y)
{
    link_watch *watch = &from.watches[from.watch_count++];
    *watch = (link_watch){.is_point = 1, .x = x, .y = y};
    snprintf(watch->name, sizeof watch->name, "%s", name);
}

static const watched_difference *note(uint64_t frame, uint32_t build, bool same_input)
{
    const watched_difference *difference = watched_note(&w, &from, frame, build, same_input);
    from = (link_watched){0};
    return difference;
}

TEST(the_first_difference_of_a_name_is_told_once)
{
    clear();
    for (uint64_t frame = 1; frame <= 5; frame++) {
        check_int("score", (int64_t)frame);
        check_int("lives", 3);
        ck_assert_ptr_null(note(frame, 1, false));
    }
    for (uint64_t frame = 1; frame <= 5; frame++) {
        check_int("score", (int64_t)frame + (frame >= 3));
        check_int("lives", 3);
        const watched_difference *d = note(frame, 2, true);
        ck_assert_int_eq(d != NULL, frame == 3);
    }
    ck_assert_int_eq(w.difference_count, 1);
    ck_assert_str_eq(w.differences[0].name, "score");
    ck_assert_str_eq(w.differences[0].old_text, "3");
    ck_assert_str_eq(w.differences[0].new_text, "4");
    ck_assert_uint_eq(w.differences[0].frame, 3);
    ck_assert_uint_eq(w.compared, 10);
    check_int("score", 1);
    note(1, 3, true);
    ck_assert_int_eq(w.difference_count, 0); /* they are of the newest build */
}

static void recall(uint64_t frame, uint32_t build)
{
    watched_recall(&w, &from, frame, build);
    from = (link_watched){0};
}

TEST(frames_that_are_recalled_one_by_one_are_compared_with_what_is_made_then)
{
    const uint64_t many = WATCHED_FRAMES + 100;
    clear();
    for (uint64_t frame = 1; frame <= many; frame++) {
        check_int("score", (int64_t)frame);
        recall(frame, 1);
        check_int("score", (int64_t)frame + (frame == many));
        ck_assert_int_eq(note(frame, 2, true) != NULL, frame == many);
    }
    ck_assert_uint_eq(w.compared, many);
    ck_assert_int_eq(w.difference_count, 1);
    ck_assert_uint_eq(w.differences[0].frame, many);
    ck_assert_uint_eq(w.differences[0].old_build, 1);
    clear();
}

TEST(other_input_is_compared_with_nothing)
{
    clear();
    check_int("score", 1);
    note(7, 1, false);
    check_int("score", 2);
    ck_assert_ptr_null(note(7, 2, false));
    ck_assert_uint_eq(watched_at(&w, 7)->before.build, 0);
}

TEST(a_check_that_one_build_lacks_says_nothing_and_one_more_of_a_name_does)
{
    clear();
    check_int("old", 1);
    check_int("each", 1);
    note(1, 1, false);
    check_int("new", 1);
    check_int("each", 1);
    ck_assert_ptr_null(note(1, 2, true));
    check_int("each", 1);
    check_int("each", 2);
    const watched_difference *d = note(1, 3, true);
    ck_assert_ptr_nonnull(d);
    ck_assert_str_eq(d->old_text, "nothing");
    ck_assert_str_eq(d->new_text, "2");
}

TEST(paths_of_both_builds_are_kept)
{
    clear();
    char names[4][LINK_WATCH_NAME_BYTES];
    for (uint64_t frame = 1; frame <= 3; frame++) {
        point("fox", 1, 2);
        note(frame, 1, false);
    }
    for (uint64_t frame = 1; frame <= 2; frame++) {
        point("fox", 1, 3);
        point("owl", 1, 3);
        note(frame, 2, true);
    }
    ck_assert_int_eq(watched_points(&w, 0, 3, names, 4), 2);
    ck_assert_double_eq(watched_point(&watched_at(&w, 1)->now, "fox")->y, 3);
    ck_assert_double_eq(watched_point(&watched_at(&w, 1)->before, "fox")->y, 2);
    ck_assert_uint_eq(watched_at(&w, 3)->now.build, 1);
    ck_assert_ptr_null(watched_point(&watched_at(&w, 3)->now, "owl"));
    ck_assert_int_eq(watched_points(&w, 0, 3, names, 1), 1);
}

TEST(a_frame_that_lies_far_back_is_forgotten)
{
    clear();
    point("fox", 1, 2);
    note(5, 1, false);
    point("fox", 1, 2);
    note(5 + WATCHED_FRAMES, 1, false);
    ck_assert_ptr_null(watched_at(&w, 5));
    ck_assert_ptr_nonnull(watched_at(&w, 5 + WATCHED_FRAMES));
}

TEST(what_a_program_scribbled_there_is_not_believed)
{
    clear();
    memset(&from, 0xff, sizeof from);
    ck_assert_ptr_null(watched_note(&w, &from, 1, 1, false));
    const watched_frame *kept = watched_at(&w, 1);
    ck_assert_uint_eq(kept->now.check_count, 0); /* no such kind */
    ck_assert_uint_eq(kept->now.watch_count, 0); /* no such numbers */
    ck_assert_double_eq(kept->now.origin_x, 0);
    from = (link_watched){.watch_count = UINT32_MAX, .check_count = UINT32_MAX};
    memset(from.watches[3].name, 'a', sizeof from.watches[3].name);
    memcpy(from.watches[4].name, "a\nb\x1b[2J", 8);
    from.watches[5].x = (double)INFINITY;
    ck_assert_ptr_null(watched_note(&w, &from, 2, 1, false));
    kept = watched_at(&w, 2);
    ck_assert_uint_eq(kept->now.watch_count, LINK_WATCH_MAX - 1);
    ck_assert_uint_eq(kept->now.check_count, LINK_CHECK_MAX);
    ck_assert_uint_eq(strlen(kept->now.watches[3].name), LINK_WATCH_NAME_BYTES - 1);
    ck_assert_str_eq(kept->now.watches[4].name, "a?b?[2J");
}

TEST(values_are_shown_as_what_they_are)
{
    clear();
    char text[WATCHED_TEXT];
    double half = 0.5;
    link_check check = {.kind = LINK_CHECK_FLOAT};
    memcpy(&check.value, &half, sizeof half);
    watched_check_text(&check, text, sizeof text);
    ck_assert_str_eq(text, "0.5");
    check = (link_check){.kind = LINK_CHECK_UINT, .value = UINT64_MAX};
    watched_check_text(&check, text, sizeof text);
    ck_assert_str_eq(text, "18446744073709551615");
    check = (link_check){.kind = LINK_CHECK_TEXT, .size_bytes = 3, .start = "foxes"};
    watched_check_text(&check, text, sizeof text);
    ck_assert_str_eq(text, "\"fox\"");
    check = (link_check){.kind = LINK_CHECK_BYTES, .size_bytes = 9, .value = 1};
    watched_check_text(&check, text, sizeof text);
    ck_assert_str_eq(text, "9 bytes, hash 0000000000000001");
}
