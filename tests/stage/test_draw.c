#include "deck/font.h"
#include "support/test.h"

#include <math.h>
#include <reprise/draw.h>
#include <stdlib.h>
#include <string.h>

/* A canvas inside a larger sheet of canaries. */
enum {
    WIDTH = 23,
    HEIGHT = 17,
    BORDER = 5,
    SHEET_WIDTH = WIDTH + 2 * BORDER,
    SHEET_HEIGHT = HEIGHT + 2 * BORDER
};
enum { CANARY = 0x5AC35AC3, GROUND = 0x102030 };

typedef struct sheet {
    uint32_t pixels[SHEET_WIDTH * SHEET_HEIGHT];
    rp_canvas canvas;
} sheet;

static void sheet_init(sheet *s)
{
    for (int i = 0; i < SHEET_WIDTH * SHEET_HEIGHT; i++) {
        s->pixels[i] = CANARY;
    }
    s->canvas =
        (rp_canvas){s->pixels + BORDER * SHEET_WIDTH + BORDER, WIDTH, HEIGHT, SHEET_WIDTH, 0};
    rp_clear(&s->canvas, GROUND);
}

/* One assertion for the whole sheet: each writes to the test's pipe. */
static void check_canaries(const sheet *s)
{
    int outside = 0;
    for (int y = 0; y < SHEET_HEIGHT; y++) {
        for (int x = 0; x < SHEET_WIDTH; x++) {
            bool inside = x >= BORDER && x < BORDER + WIDTH && y >= BORDER && y < BORDER + HEIGHT;
            outside += !inside && s->pixels[y * SHEET_WIDTH + x] != CANARY;
        }
    }
    ck_assert_int_eq(outside, 0);
}

static uint32_t at(const sheet *s, int x, int y)
{
    return s->canvas.pixels[y * SHEET_WIDTH + x];
}

static float random_between(uint64_t *state, float low, float high)
{
    return low + (float)(test_random(state) % 100000) / 100000.0f * (high - low);
}

static float random_coordinate(uint64_t *state)
{
    static const float odd[] = {0,    -0.0f, 0.5f,     1e30f,     -1e30f,
                                1e9f, -3e9f, INFINITY, -INFINITY, NAN};
    return test_random(state) % 8 ? random_between(state, -40, 60) : odd[test_random(state) % 10];
}

static bool centre_within(int pixel, float start, float length)
{
    return pixel + 0.5 >= (double)start && pixel + 0.5 < (double)start + (double)length;
}

TEST(a_rectangle_fills_exactly_the_pixels_whose_centres_it_holds)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 4000; round++) {
        sheet s;
        sheet_init(&s);
        float x = random_coordinate(&state), y = random_coordinate(&state);
        float w = random_coordinate(&state), h = random_coordinate(&state);
        rp_fill(&s.canvas, x, y, w, h, 0xFFFFFF);
        check_canaries(&s);
        int wrong = 0;
        for (int i = 0; i < WIDTH * HEIGHT && isfinite(x) && isfinite(y); i++) {
            bool in =
                w > 0 && h > 0 && centre_within(i % WIDTH, x, w) && centre_within(i / WIDTH, y, h);
            wrong += at(&s, i % WIDTH, i / WIDTH) != (in ? 0xFFFFFFu : GROUND);
        }
        ck_assert_msg(!wrong, "%g %g %g %g: %d pixels", (double)x, (double)y, (double)w, (double)h,
                      wrong);
    }
}

TEST(nothing_is_drawn_outside_whatever_the_coordinates)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 4000; round++) {
        sheet s;
        sheet_init(&s);
        float v[6];
        for (int i = 0; i < 6; i++) {
            v[i] = random_coordinate(&state);
        }
        rp_line(&s.canvas, v[0], v[1], v[2], v[3], 1);
        rp_disc(&s.canvas, v[0], v[1], v[2], 2);
        rp_frame_rect(&s.canvas, v[0], v[1], v[2], v[3], 3);
        rp_fill_blend(&s.canvas, v[0], v[1], v[2], v[3], 4, (int)(test_random(&state) % 600) - 200);
        rp_text(&s.canvas, v[4], v[5], (int)(test_random(&state) % 5), 5, "A\xc3\xa9\n\xff y");
        check_canaries(&s);
    }
}

TEST(a_clipped_line_has_the_pixels_of_the_whole_one)
{
    enum { BIG = 200 };
    static uint32_t pixels[BIG * BIG];
    uint64_t state = test_seed();
    for (int round = 0; round < 1000; round++) {
        sheet s;
        sheet_init(&s);
        memset(pixels, 0, sizeof pixels);
        rp_canvas big = {pixels, BIG, BIG, BIG, 0};
        /* Quarters are exact in a float, also after the shift by a hundred. */
        float v[4];
        for (int i = 0; i < 4; i++) {
            v[i] = (float)(test_random(&state) % 600) / 4 - 70;
        }
        rp_line(&s.canvas, v[0], v[1], v[2], v[3], 7);
        rp_line(&big, v[0] + 100, v[1] + 100, v[2] + 100, v[3] + 100, 7);
        int different = 0;
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                different += (at(&s, x, y) == 7) != (pixels[(y + 100) * BIG + x + 100] == 7);
            }
        }
        ck_assert_int_eq(different, 0);
    }
}

TEST(a_line_is_connected_and_reaches_both_ends)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 1000; round++) {
        sheet s;
        sheet_init(&s);
        int x0 = (int)(test_random(&state) % WIDTH), y0 = (int)(test_random(&state) % HEIGHT);
        int x1 = (int)(test_random(&state) % WIDTH), y1 = (int)(test_random(&state) % HEIGHT);
        rp_line(&s.canvas, (float)x0 + 0.5f, (float)y0 + 0.5f, (float)x1 + 0.5f, (float)y1 + 0.5f,
                9);
        int count = 0, longer = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            count += at(&s, i % WIDTH, i / WIDTH) == 9;
        }
        ck_assert_uint_eq(at(&s, x0, y0), 9);
        ck_assert_uint_eq(at(&s, x1, y1), 9);
        ck_assert_int_eq(count, longer + 1);
    }
}

TEST(a_disc_holds_what_is_nearer_than_its_radius)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 1000; round++) {
        sheet s;
        sheet_init(&s);
        float x = random_between(&state, -5, 30), y = random_between(&state, -5, 30);
        float r = random_between(&state, 0, 20);
        rp_disc(&s.canvas, x, y, r, 9);
        int wrong = 0;
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            double away =
                hypot(i % WIDTH + 0.5 - (double)x, i / WIDTH + 0.5 - (double)y) - (double)r;
            wrong += fabs(away) > 1e-6 && (at(&s, i % WIDTH, i / WIDTH) == 9) != (away < 0);
        }
        ck_assert_int_eq(wrong, 0);
    }
}

TEST(blending_goes_from_nothing_to_all_of_the_colour)
{
    sheet s;
    sheet_init(&s);
    rp_fill_blend(&s.canvas, 0, 0, 1, 1, 0xFF8000, 0);
    rp_fill_blend(&s.canvas, 1, 0, 1, 1, 0xFF8000, 255);
    rp_fill_blend(&s.canvas, 2, 0, 1, 1, 0x304050, 128);
    ck_assert_uint_eq(at(&s, 0, 0), GROUND);
    ck_assert_uint_eq(at(&s, 1, 0), 0xFF8000);
    ck_assert_uint_eq(at(&s, 2, 0), 0x203040);
}

TEST(each_printable_character_has_a_glyph_of_its_own)
{
    uint64_t seen[128] = {0};
    for (int glyph = 0; glyph < RP_GLYPH_COUNT; glyph++) {
        for (int i = 0; i < 45; i++) {
            seen[glyph] |= (uint64_t)rp_font_pixel(glyph, i % 5, i / 5) << i;
        }
    }
    for (int a = 33; a < RP_GLYPH_COUNT; a++) {
        ck_assert_msg(seen[a] != 0, "glyph %d is empty", a);
        for (int b = 0; b < a; b++) {
            ck_assert_msg(seen[a] != seen[b], "glyphs %d and %d are the same", a, b);
        }
    }
    ck_assert_uint_eq(seen[' '], 0);
    for (int symbol = RP_GLYPH_PLAY; symbol <= RP_GLYPH_DEGREE; symbol++) {
        ck_assert(symbol == 10 || seen[symbol] != 0);
    }
}

TEST(text_is_read_as_utf8_and_measured_as_it_is_drawn)
{
    sheet s;
    sheet_init(&s);
    ck_assert_int_eq(rp_text_width(2, "ab\ncde\n"), 36);
    ck_assert_int_eq(rp_text_width(1, "\u00b7\u2013\u65e5"), 18);
    ck_assert_float_eq(rp_text(&s.canvas, 1, 1, 1, 9, "ab\ncde"), 19);
    ck_assert_int_eq(rp_font_glyph(0x65E5), RP_GLYPH_BOX);
    ck_assert_int_eq(rp_font_glyph(0x2019), '\'');
    ck_assert_int_eq(rp_font_glyph(0x25B6), RP_GLYPH_PLAY);
}

TEST(any_bytes_can_be_read_as_utf8_and_a_code_point_comes_back_as_it_was_put)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 20000; round++) {
        char text[8] = {0};
        uint64_t bytes = test_random(&state);
        memcpy(text, &bytes, 7);
        const char *cursor = text, *end = text + strlen(text);
        while (rp_utf8_next(&cursor)) {
        }
        ck_assert(cursor == end);
        uint32_t code_point = 1 + (uint32_t)(test_random(&state) % 0x10FFFF);
        char put[8] = {0};
        size_t length = rp_utf8_put(code_point, put);
        cursor = put;
        bool surrogate = code_point >> 11 == 0x1B;
        ck_assert_uint_eq(rp_utf8_next(&cursor), surrogate ? 0xFFFD : code_point);
        ck_assert(surrogate || cursor == put + length);
    }
}
