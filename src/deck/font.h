/* The built-in pixel font: 5×7 glyphs with two rows for descenders, in cells of 6×9 pixels.
 *
 * Glyphs are numbered: printable ASCII has its own code, symbols lie below 32, RP_GLYPH_BOX stands
 * for everything that the font lacks.
 *
 * Layer: deck.  Threads: none.  Tests: tests/stage/test_draw.c
 */
#ifndef RP_DECK_FONT_H
#define RP_DECK_FONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RP_FONT_GLYPH_WIDTH = 5, RP_FONT_CELL_WIDTH = 6, RP_FONT_CELL_HEIGHT = 9 };

enum {
    RP_GLYPH_PLAY = 1,
    RP_GLYPH_PAUSE,
    RP_GLYPH_REWIND,
    RP_GLYPH_LOOP,
    RP_GLYPH_RECORD,
    RP_GLYPH_CROSS,
    RP_GLYPH_DOT,
    RP_GLYPH_HALF,
    RP_GLYPH_QUARTER,
    RP_GLYPH_ELLIPSIS = 11,
    RP_GLYPH_DASH,
    RP_GLYPH_RIGHT,
    RP_GLYPH_LEFT,
    RP_GLYPH_UP,
    RP_GLYPH_DOWN,
    RP_GLYPH_TIMES,
    RP_GLYPH_BULLET,
    RP_GLYPH_CHECK,
    RP_GLYPH_MICRO,
    RP_GLYPH_DIFFERS,
    RP_GLYPH_WARNING,
    RP_GLYPH_DEGREE,
    RP_GLYPH_BOX = 127,
    RP_GLYPH_COUNT = 128
};

/* Whether the pixel in column x (0 … 4) and row y (0 … 8) of `glyph` is set. False outside. */
bool rp_font_pixel(int glyph, int x, int y);

/* The glyph for a Unicode code point; RP_GLYPH_BOX where there is none. */
int rp_font_glyph(uint32_t code_point);

/* Reads one code point of UTF-8 and moves `*cursor` past it; a damaged sequence gives U+FFFD and is
 * left behind byte by byte. Returns 0, without moving, at the terminator. */
uint32_t rp_utf8_next(const char **cursor);
/* Writes `code_point` (to 0x10FFFF) as UTF-8 into up to four bytes, without a terminator; returns
 * how many. */
size_t rp_utf8_put(uint32_t code_point, char *bytes);

#endif
