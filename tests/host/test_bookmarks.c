/* Frames with names. */
#include "bookmarks.h"

#include "support/test.h"

#include <base/error.h>
#include <stdio.h>
#include <string.h>

static bookmarks list;

static const char *put(const char *name, uint64_t frame)
{
    const bookmark *made = NULL;
    return bookmarks_put(&list, name, frame, &made) ? NULL : made->name;
}

TEST(they_are_found_by_name_and_in_the_order_of_their_frames)
{
    uint64_t frame;
    list = (bookmarks){0};
    ck_assert_str_eq(put("boss", 300), "boss");
    ck_assert_str_eq(put("door", 100), "door");
    ck_assert_str_eq(put(NULL, 200), "mark-1");
    ck_assert_int_eq(bookmarks_find(&list, "boss", &frame), RP_OK);
    ck_assert_uint_eq(frame, 300);
    ck_assert_str_eq(bookmarks_before(&list, 300)->name, "mark-1");
    ck_assert_str_eq(bookmarks_behind(&list, 100)->name, "mark-1");
    ck_assert_str_eq(bookmarks_at(&list, 100)->name, "door");
    ck_assert_ptr_null(bookmarks_at(&list, 101));
    ck_assert_ptr_null(bookmarks_before(&list, 100));
    ck_assert_ptr_null(bookmarks_behind(&list, 300));
}

TEST(a_name_that_there_is_goes_to_the_new_frame)
{
    uint64_t frame;
    list = (bookmarks){0};
    put("a", 1), put("b", 2), put("a", 3);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_int_eq(bookmarks_find(&list, "a", &frame), RP_OK);
    ck_assert_uint_eq(frame, 3);
    ck_assert_str_eq(bookmarks_before(&list, 3)->name, "b");
}

TEST(one_that_is_taken_away_frees_its_name)
{
    list = (bookmarks){0};
    put(NULL, 1), put(NULL, 2);
    ck_assert_int_eq(bookmarks_remove(&list, "mark-1"), RP_OK);
    ck_assert_str_eq(put(NULL, 9), "mark-1");
    ck_assert_int_eq(bookmarks_remove(&list, "nobody"), RP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "mark-2, mark-1"));
}

TEST(names_that_mean_a_frame_or_cannot_be_shown_are_refused)
{
    static const char *const bad[] = {"",           "120",     "first", "last",
                                      "two\nlines", "\x1b[2J", "--list"};
    char longer[BOOKMARK_NAME_BYTES + 1];
    list = (bookmarks){0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!put(bad[i], 1), "%s", bad[i]);
        ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    }
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    ck_assert_ptr_null(put(longer, 1));
    longer[sizeof longer - 2] = 0;
    ck_assert_str_eq(put(longer, 1), longer);
}

TEST(there_is_a_most_of_them_and_moving_one_still_works)
{
    list = (bookmarks){0};
    for (int i = 0; i < BOOKMARKS_MOST; i++) {
        ck_assert_ptr_nonnull(put(NULL, (uint64_t)i));
    }
    ck_assert_ptr_null(put("more", 1));
    ck_assert_int_eq(rp_error_last()->status, RP_E_LIMIT);
    ck_assert_str_eq(put("mark-7", 1000), "mark-7");
    ck_assert_uint_eq(list.count, BOOKMARKS_MOST);
}
