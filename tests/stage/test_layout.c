#include "stage/layout.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static stage_view full_view(void)
{
    stage_view view = {.build = 3,
                       .build_time = "14:02:11",
                       .mode = "loop",
                       .position = 1204,
                       .oldest = 1,
                       .newest = 1204,
                       .rate_hz = 60,
                       .speed_divisor = 2,
                       .looping = true,
                       .loop_from = 1080,
                       .loop_to = 1200,
                       .loop_pass = 4};
    return view;
}

TEST(the_status_line_says_everything_where_there_is_room)
{
    char text[256];
    stage_view view = full_view();
    stage_status_text(&view, text, sizeof text, 100);
    ck_assert_str_eq(text, "\u21bb build 3 \u00b7 14:02:11 \u00b7 frame 1204 \u00b7 20.1 s \u00b7 "
                           "loop 1080\u20131200 pass 4 \u00b7 \u00bd speed");
    view.looping = false;
    view.mode = "play";
    view.position = 600;
    view.speed_divisor = 8;
    stage_status_text(&view, text, sizeof text, 100);
    ck_assert_str_eq(
        text,
        "\u25b6 build 3 \u00b7 14:02:11 \u00b7 frame 600/1204 \u00b7 10.0 s \u00b7 1/8 speed");
}

TEST(the_status_line_never_exceeds_its_columns_and_keeps_the_build_longest)
{
    char text[256];
    stage_view view = full_view();
    for (int columns = 0; columns < 90; columns++) {
        stage_status_text(&view, text, sizeof text, columns);
        ck_assert_int_le(stage_columns(text), columns);
        ck_assert(columns < 9 || strstr(text, "build 3"));
    }
}

TEST(wrapped_text_loses_nothing_but_spaces_and_keeps_to_its_width)
{
    uint64_t state = test_seed();
    static const char *const pieces[] = {"a",   "word",       "\u00e9t\u00e9", " ",     " ",
                                         "   ", "game.c:141", "\xff",          "\u65e5"};
    for (int round = 0; round < 5000; round++) {
        char text[STAGE_LINE_CHARS] = "", back[STAGE_LINE_CHARS * 2] = "", line[STAGE_LINE_CHARS],
             want[STAGE_LINE_CHARS] = "";
        for (int i = 0; i < 12; i++) {
            strcat(text, pieces[test_random(&state) % 9]);
        }
        int columns = 1 + (int)(test_random(&state) % 40), lines = 0;
        for (const char *rest = text; rest; lines++) {
            rest = stage_wrap(rest, columns, line, sizeof line);
            ck_assert_int_le(stage_columns(line), columns);
            strcat(back, line);
            ck_assert_int_lt(lines, STAGE_LINE_CHARS);
        }
        char *to = want;
        for (const char *from = text; *from; from++) {
            if (*from != ' ') {
                *to++ = *from;
            }
        }
        *to = 0;
        to = back;
        for (const char *from = back; *from; from++) {
            if (*from != ' ') {
                *to++ = *from;
            }
        }
        *to = 0;
        ck_assert_str_eq(back, want);
    }
}

TEST(a_line_breaks_between_words_and_goes_on_indented)
{
    stage_view view = {.line_count = 2, .lines = {"the quick brown fox jumps", "    indented"}};
    char rows[8][STAGE_LINE_CHARS];
    ck_assert_int_eq(stage_panel_rows(&view, 12, rows, 8), 4);
    ck_assert_str_eq(rows[0], "the quick");
    ck_assert_str_eq(rows[1], "  brown fox");
    ck_assert_str_eq(rows[2], "  jumps");
    ck_assert_str_eq(rows[3], "    indented");
    ck_assert_int_eq(stage_panel_rows(&view, 12, rows, 2), 2);
    ck_assert_str_eq(rows[1], "\u2026 3 more");
    ck_assert_int_eq(stage_panel_rows(&view, 12, rows, 0), 0);
}

TEST(a_picture_is_scaled_by_a_whole_factor_and_centred)
{
    stage_rect fit = stage_fit((stage_rect){0, 0, 1300, 730}, 320, 180);
    ck_assert(fit.x == 10 && fit.y == 5 && fit.width == 1280 && fit.height == 720);
    fit = stage_fit((stage_rect){0, 0, 160, 200}, 320, 180);
    ck_assert(fit.x == 0 && fit.width == 160 && fit.height == 90 && fit.y == 55);
}

/* The window is cut from the end of an allocation with canaries around each row. */
static void draw_checked(const stage_view *view, int width, int height)
{
    enum { CANARY = 0x5AC35AC3, PAD = 3 };
    int stride = width + 2 * PAD;
    size_t count = (size_t)stride * (size_t)(height + 2 * PAD);
    uint32_t *sheet = malloc(count * sizeof *sheet);
    for (size_t i = 0; i < count; i++) {
        sheet[i] = CANARY;
    }
    rp_canvas window = {sheet + PAD * stride + PAD, width, height, stride, 0};
    stage_rect picture, track = stage_overlay_draw(&window, view, &picture);
    int wrong = 0;
    for (int i = 0; i < (int)count; i++) {
        int x = i % stride, y = i / stride;
        bool inside = x >= PAD && x < PAD + width && y >= PAD && y < PAD + height;
        wrong += (sheet[i] == CANARY) == inside;
    }
    ck_assert_msg(!wrong, "%d pixels wrong at %dx%d", wrong, width, height);
    ck_assert(track.y >= picture.y + picture.height && track.y + track.height <= height);
    ck_assert(picture.x >= 0 && picture.y >= 0 && picture.x + picture.width <= width);
    free(sheet);
}

TEST(the_overlay_paints_the_whole_window_and_nothing_else_at_any_size)
{
    uint64_t state = test_seed();
    static const int sizes[][2] = {{40, 20},   {1, 1},       {2, 3},      {1280, 770},
                                   {320, 240}, {1920, 1080}, {200, 1000}, {900, 60}};
    uint32_t *pixels = calloc(320 * 180, sizeof *pixels);
    for (int round = 0; round < 120; round++) {
        stage_view view = full_view();
        view.pixels = round % 5 == 4 ? NULL : pixels;
        view.width_px = view.stride_px = round % 3 ? 320 : 7;
        view.height_px = round % 3 ? 180 : 3;
        view.dimmed = view.alarm = round & 1;
        view.line_count = round % 4 ? (int)(test_random(&state) % (STAGE_LINE_MAX + 1)) : 0;
        view.looping = round & 2;
        view.has_mark = true;
        view.mark = 700;
        strcpy(view.toast,
               "build 2 \u00b7 180 ms, and a good deal more than can be shown in a small window");
        for (int i = 0; i < view.line_count; i++) {
            memset(view.lines[i], 'w', test_random(&state) % STAGE_LINE_CHARS);
        }
        view.mark_count = STAGE_MARK_MAX;
        for (int i = 0; i < STAGE_MARK_MAX; i++) {
            view.marks[i] = (stage_mark){test_random(&state) % 1400, "bcid"[i % 4]};
        }
        bool random = round >= 40;
        int width = random ? 1 + (int)(test_random(&state) % 500) : sizes[round % 8][0];
        int height = random ? 1 + (int)(test_random(&state) % 400) : sizes[round % 8][1];
        draw_checked(&view, width, height);
    }
    free(pixels);
}

TEST(the_picture_in_the_window_is_the_programs)
{
    uint32_t source[4] = {0x111111, 0x222222, 0x333333, 0x444444};
    static uint32_t pixels[300 * 200];
    rp_canvas window = {pixels, 300, 200, 300, 0};
    stage_view view = full_view();
    view.pixels = source;
    view.width_px = view.height_px = view.stride_px = 2;
    stage_rect picture;
    stage_overlay_draw(&window, &view, &picture);
    ck_assert_int_eq(picture.width, picture.height);
    for (int i = 0; i < 4; i++) {
        int x = picture.x + picture.width * (1 + 2 * (i % 2)) / 4,
            y = picture.y + picture.height * (1 + 2 * (i / 2)) / 4;
        ck_assert_uint_eq(pixels[y * 300 + x], source[i]);
    }
}

TEST(text_in_a_common_window_is_at_least_twelve_pixels_high)
{
    ck_assert_int_ge(7 * stage_overlay_unit(1280, 720), 12);
    ck_assert_int_ge(7 * stage_overlay_unit(1280, 770), 12);
}
