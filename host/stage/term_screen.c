/* The terminal's cells: what is wanted, what is shown, and the bytes between the two. */
#include "stage/term.h"

#include "base/error.h"
#include "deck/font.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_COLOUR = -1 };

term_colours term_colours_of_environment(void)
{
    const char *none = getenv("NO_COLOR"), *kind = getenv("COLORTERM"), *term = getenv("TERM");
    if (none && none[0]) {
        return TERM_MONO;
    }
    bool direct = term && strstr(term, "direct");
    return direct || (kind && (!strcmp(kind, "truecolor") || !strcmp(kind, "24bit"))) ? TERM_TRUE
                                                                                      : TERM_256;
}

rp_status term_screen_resize(term_screen *screen, int columns, int rows)
{
    size_t count = (size_t)columns * (size_t)rows;
    term_cell *wanted = calloc(count, sizeof *wanted), *shown = calloc(count, sizeof *shown);
    if (!wanted || !shown) {
        free(wanted);
        free(shown);
        return rp_fail(RP_E_MEMORY, "terminal: no memory for %d x %d cells: make it smaller",
                       columns, rows);
    }
    term_screen_finish(screen);
    screen->wanted = wanted;
    screen->shown = shown;
    screen->columns = columns;
    screen->rows = rows;
    screen->unknown = true;
    return RP_OK;
}

void term_screen_finish(term_screen *screen)
{
    free(screen->wanted);
    free(screen->shown);
    screen->wanted = screen->shown = NULL;
    screen->columns = screen->rows = 0;
}

/* ---- colours ---- */

static int distance(int red, int green, int blue, int level_red, int level_green, int level_blue)
{
    int r = red - level_red, g = green - level_green, b = blue - level_blue;
    return r * r + g * g + b * b;
}

/* The cube's levels are 0, 95, 135, 175, 215, 255. */
static int cube_step(int value)
{
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

static int cube_level(int step)
{
    return step ? 55 + 40 * step : 0;
}

int term_palette_index(uint32_t colour)
{
    int red = (int)(colour >> 16 & 0xFF), green = (int)(colour >> 8 & 0xFF),
        blue = (int)(colour & 0xFF);
    int r = cube_step(red), g = cube_step(green), b = cube_step(blue);
    int mean = (red + green + blue) / 3;
    int grey = mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3) / 10;
    int level = 8 + 10 * grey;
    int to_cube = distance(red, green, blue, cube_level(r), cube_level(g), cube_level(b));
    return distance(red, green, blue, level, level, level) < to_cube ? 232 + grey
                                                                     : 16 + 36 * r + 6 * g + b;
}

static uint32_t colour_for(term_colours colours, uint32_t colour)
{
    return colours == TERM_TRUE  ? colour & 0xFFFFFF
           : colours == TERM_256 ? (uint32_t)term_palette_index(colour)
                                 : 0;
}

/* ---- cells ---- */

void term_screen_put(term_screen *screen, int column, int row, uint32_t code_point, uint32_t fore,
                     uint32_t back)
{
    if (column < 0 || row < 0 || column >= screen->columns || row >= screen->rows) {
        return;
    }
    /* A control character would move the cursor; a damaged one would show as something else. */
    bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
    screen->wanted[row * screen->columns + column] =
        (term_cell){control ? '?' : code_point, colour_for(screen->colours, fore),
                    colour_for(screen->colours, back)};
}

int term_screen_text(term_screen *screen, int column, int row, uint32_t fore, uint32_t back,
                     const char *text)
{
    for (const char *cursor = text; *cursor; column++) {
        term_screen_put(screen, column, row, rp_utf8_next(&cursor), fore, back);
    }
    return column;
}

/* ---- bytes ---- */

bool term_bytes_add(term_bytes *bytes, const char *data, size_t length)
{
    if (bytes->capacity - bytes->length < length) {
        size_t capacity = (bytes->length + length) * 2;
        char *larger = realloc(bytes->data, capacity);
        if (!larger) {
            return false;
        }
        bytes->data = larger;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return true;
}

typedef struct pen {
    int row, column; /* of the cursor; -1: unknown */
    int64_t fore, back;
} pen;

static int print_colour(char *text, size_t capacity, term_colours colours, int base,
                        uint32_t colour)
{
    if (colours == TERM_256) {
        return snprintf(text, capacity, "\033[%d;5;%um", base, colour);
    }
    return snprintf(text, capacity, "\033[%d;2;%u;%u;%um", base, colour >> 16 & 0xFF,
                    colour >> 8 & 0xFF, colour & 0xFF);
}

static bool encode_cell(const term_screen *screen, int row, int column, pen *at, term_bytes *bytes)
{
    char text[96];
    int length = 0;
    const term_cell *cell = &screen->wanted[row * screen->columns + column];
    if (at->row != row || at->column != column) {
        length += snprintf(text, sizeof text, "\033[%d;%dH", row + 1, column + 1);
    }
    if (screen->colours != TERM_MONO && at->fore != cell->fore) {
        length += print_colour(text + length, sizeof text - (size_t)length, screen->colours, 38,
                               cell->fore);
    }
    if (screen->colours != TERM_MONO && at->back != cell->back) {
        length += print_colour(text + length, sizeof text - (size_t)length, screen->colours, 48,
                               cell->back);
    }
    length += (int)rp_utf8_put(cell->code_point ? cell->code_point : ' ', text + length);
    *at = (pen){row, column + 1, cell->fore, cell->back};
    return term_bytes_add(bytes, text, (size_t)length);
}

static bool same_cell(const term_cell *a, const term_cell *b)
{
    return a->code_point == b->code_point && a->fore == b->fore && a->back == b->back;
}

static bool encode_changes(term_screen *screen, term_bytes *bytes)
{
    pen at = {-1, -1, NO_COLOUR, NO_COLOUR};
    for (int row = 0; row < screen->rows; row++) {
        for (int column = 0; column < screen->columns; column++) {
            int i = row * screen->columns + column;
            if (!screen->unknown && same_cell(&screen->wanted[i], &screen->shown[i])) {
                continue;
            }
            if (!encode_cell(screen, row, column, &at, bytes)) {
                return false;
            }
        }
    }
    return true;
}

/* Mode 2026 lets a terminal that knows it show the frame at once; others ignore it. */
void term_screen_encode(term_screen *screen, term_bytes *bytes)
{
    static const char begin[] = "\033[?2026h", clear[] = "\033[0m\033[2J", end[] = "\033[?2026l";
    size_t before = bytes->length,
           size_bytes = (size_t)screen->rows * (size_t)screen->columns * sizeof(term_cell);
    if (!screen->unknown && !memcmp(screen->wanted, screen->shown, size_bytes)) {
        return;
    }
    bool whole = term_bytes_add(bytes, begin, sizeof begin - 1) &&
                 (!screen->unknown || term_bytes_add(bytes, clear, sizeof clear - 1)) &&
                 encode_changes(screen, bytes) && term_bytes_add(bytes, end, sizeof end - 1);
    if (!whole) {
        bytes->length = before;
        screen->unknown = true;
        return;
    }
    memcpy(screen->shown, screen->wanted, size_bytes);
    screen->unknown = false;
}
