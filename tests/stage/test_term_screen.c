#include "deck/font.h"
#include "stage/term.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A terminal that understands just what the encoder may send; anything else fails the test. */
typedef struct model {
    int columns, rows, row, column;
    uint32_t fore, back;
    term_cell cells[40 * 120];
} model;

static void model_sgr(model *m, const char *text)
{
    unsigned v[5] = {0};
    int count = sscanf(text, "%u;%u;%u;%u;%u", &v[0], &v[1], &v[2], &v[3], &v[4]);
    uint32_t colour = count == 5 ? v[2] << 16 | v[3] << 8 | v[4] : v[2];
    if (v[0] == 0) {
        return;
    }
    ck_assert((v[0] == 38 || v[0] == 48) &&
              ((count == 5 && v[1] == 2) || (count == 3 && v[1] == 5)));
    *(v[0] == 38 ? &m->fore : &m->back) = colour;
}

static const char *model_control(model *m, const char *text)
{
    ck_assert(text[1] == '[');
    const char *final = text + 2 + strspn(text + 2, "?0123456789;");
    if (*final == 'H') {
        ck_assert_int_eq(sscanf(text + 2, "%d;%d", &m->row, &m->column), 2);
        m->row--, m->column--;
    } else if (*final == 'm') {
        model_sgr(m, text + 2);
    } else if (*final == 'J') {
        memset(m->cells, 0, sizeof m->cells);
    } else {
        ck_assert_msg(*final == 'h' || *final == 'l', "unknown %c", *final);
    }
    return final + 1;
}

static void model_feed(model *m, const term_bytes *bytes)
{
    char *text = malloc(bytes->length + 1);
    memcpy(text, bytes->data, bytes->length);
    text[bytes->length] = 0;
    for (const char *p = text; *p;) {
        if (*p == '\033') {
            p = model_control(m, p);
            continue;
        }
        uint32_t code_point = rp_utf8_next(&p);
        if (m->row < 0 || m->row >= m->rows || m->column < 0 || m->column >= m->columns) {
            ck_abort_msg("wrote at %d, %d", m->row, m->column);
        }
        m->cells[m->row * m->columns + m->column++] = (term_cell){code_point, m->fore, m->back};
    }
    free(text);
}

static void check_same(const model *m, const term_screen *screen)
{
    int different = 0;
    for (int i = 0; i < m->columns * m->rows; i++) {
        const term_cell *have = &m->cells[i], *want = &screen->wanted[i];
        different += have->code_point != (want->code_point ? want->code_point : ' ') ||
                     have->fore != want->fore || have->back != want->back;
    }
    ck_assert_int_eq(different, 0);
}

static void check_random_changes(term_colours colours, uint64_t *state)
{
    term_screen screen = {.colours = colours};
    term_bytes bytes = {0};
    static model m;
    m = (model){.columns = 37, .rows = 11};
    ck_ok(term_screen_resize(&screen, m.columns, m.rows));
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 30; i++) {
            term_screen_put(
                &screen, (int)(test_random(state) % 45) - 4, (int)(test_random(state) % 15) - 2,
                test_random(state) & 1 ? 0x2580 : 'a' + (uint32_t)(test_random(state) % 26),
                (uint32_t)test_random(state) & 0xC0C0C0, (uint32_t)test_random(state) & 0xC0C0C0);
        }
        bytes.length = 0;
        term_screen_encode(&screen, &bytes);
        model_feed(&m, &bytes);
        check_same(&m, &screen);
    }
    term_screen_finish(&screen);
    free(bytes.data);
}

TEST(the_bytes_turn_what_is_shown_into_what_is_wanted)
{
    uint64_t state = test_seed();
    check_random_changes(TERM_TRUE, &state);
    check_random_changes(TERM_256, &state);
    check_random_changes(TERM_MONO, &state);
}

TEST(nothing_is_sent_for_nothing_and_little_for_one_cell)
{
    term_screen screen = {.colours = TERM_TRUE};
    term_bytes bytes = {0};
    ck_ok(term_screen_resize(&screen, 80, 24));
    term_screen_encode(&screen, &bytes);
    ck_assert_uint_ge(bytes.length, 80 * 24);
    bytes.length = 0;
    term_screen_encode(&screen, &bytes);
    ck_assert_uint_eq(bytes.length, 0);
    term_screen_put(&screen, 40, 12, 'x', 0xFFFFFF, 0x123456);
    term_screen_encode(&screen, &bytes);
    ck_assert_uint_le(bytes.length, 70);
    term_screen_finish(&screen);
    free(bytes.data);
}

TEST(control_characters_never_reach_the_terminal)
{
    term_screen screen = {.colours = TERM_MONO};
    term_bytes bytes = {0};
    ck_ok(term_screen_resize(&screen, 20, 2));
    term_screen_text(&screen, 0, 0, 0, 0, "a\033[31mb\a\x7f\xc2\x9b");
    term_screen_encode(&screen, &bytes);
    int escapes = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        escapes += bytes.data[i] == '\033';
        ck_assert(bytes.data[i] != '\a' && bytes.data[i] != 0x7F);
    }
    /* begin, reset, clear, two rows placed, end */
    ck_assert_int_eq(escapes, 6);
    term_screen_finish(&screen);
    free(bytes.data);
}

static int palette_distance(uint32_t colour, int index)
{
    static const int levels[] = {0, 95, 135, 175, 215, 255};
    int cube = index - 16, grey = 8 + 10 * (index - 232);
    int rgb[3] = {grey, grey, grey};
    if (index < 232) {
        rgb[0] = levels[cube / 36], rgb[1] = levels[cube / 6 % 6], rgb[2] = levels[cube % 6];
    }
    int sum = 0;
    for (int i = 0; i < 3; i++) {
        int off = rgb[i] - (int)(colour >> (16 - 8 * i) & 0xFF);
        sum += off * off;
    }
    return sum;
}

TEST(the_palette_colour_is_the_nearest_there_is)
{
    uint64_t state = test_seed();
    for (int round = 0; round < 20000; round++) {
        uint32_t random = (uint32_t)test_random(&state) & 0xFFFFFF;
        uint32_t colour = round & 1 ? random : (random & 0xFF) * 0x010101;
        int best = 1 << 30, index = term_palette_index(colour);
        for (int i = 16; i < 256; i++) {
            int away = palette_distance(colour, i);
            best = away < best ? away : best;
        }
        ck_assert(index >= 16 && index < 256);
        ck_assert_int_eq(palette_distance(colour, index), best);
    }
}

TEST(any_view_can_be_painted_at_any_size)
{
    uint64_t state = test_seed();
    static stage_view view;
    static uint32_t pixels[64 * 40];
    for (int round = 0; round < 400; round++) {
        term_screen screen = {.colours = (term_colours)(round % 3)};
        term_bytes bytes = {0};
        static model m;
        m = (model){.columns = 1 + (int)(test_random(&state) % 120),
                    .rows = 1 + (int)(test_random(&state) % 40)};
        view = (stage_view){.pixels = round % 7 ? pixels : NULL,
                            .width_px = 1 + (int)(test_random(&state) % 64),
                            .height_px = 1 + (int)(test_random(&state) % 40),
                            .stride_px = 64,
                            .oldest = 5,
                            .newest = 900,
                            .position = test_random(&state) % 1000,
                            .looping = round & 1,
                            .loop_from = 100,
                            .loop_to = test_random(&state) % 1000,
                            .has_mark = true,
                            .mark = 50,
                            .dimmed = round & 2,
                            .alarm = round & 4,
                            .toast = "build 2",
                            .mark_count = 2,
                            .marks = {{7, 'b'}, {890, 'c'}}};
        view.line_count = (int)(test_random(&state) % (STAGE_LINE_MAX + 1));
        for (int i = 0; i < view.line_count; i++) {
            memset(view.lines[i], 'x', test_random(&state) % STAGE_LINE_CHARS);
            view.lines[i][STAGE_LINE_CHARS - 1] = 0;
        }
        ck_ok(term_screen_resize(&screen, m.columns, m.rows));
        term_places places = term_paint(&screen, &view);
        ck_assert(places.picture.width <= m.columns && places.picture.height <= 2 * m.rows);
        term_screen_encode(&screen, &bytes);
        model_feed(&m, &bytes);
        check_same(&m, &screen);
        term_screen_finish(&screen);
        free(bytes.data);
    }
}

TEST(each_half_cell_shows_the_mean_of_its_pixels)
{
    static uint32_t pixels[8 * 8];
    stage_view view = {.pixels = pixels, .width_px = 8, .height_px = 8, .stride_px = 8};
    for (int i = 0; i < 64; i++) {
        pixels[i] = i / 8 < 4 ? (i % 2 ? 0x204060 : 0x406080) : 0xFF0000;
    }
    term_screen screen = {.colours = TERM_TRUE};
    ck_ok(term_screen_resize(&screen, 4, 4));
    term_paint(&screen, &view);
    ck_assert_uint_eq(screen.wanted[0].code_point, 0x2580);
    ck_assert_uint_eq(screen.wanted[0].fore, 0x305070);
    ck_assert_uint_eq(screen.wanted[4].back, 0xFF0000);
    term_screen_finish(&screen);
}

TEST(the_environment_chooses_the_colours)
{
    unsetenv("NO_COLOR"), unsetenv("COLORTERM"), setenv("TERM", "xterm-256color", 1);
    ck_assert_int_eq(term_colours_of_environment(), TERM_256);
    setenv("COLORTERM", "truecolor", 1);
    ck_assert_int_eq(term_colours_of_environment(), TERM_TRUE);
    setenv("NO_COLOR", "1", 1);
    ck_assert_int_eq(term_colours_of_environment(), TERM_MONO);
}
