/* Small software drawing for a module's canvas. Everything is clipped; colours are 0xRRGGBB. A
 * pixel belongs to a shape when its centre lies inside it.
 *
 * Layer: deck.  Implementation: src/deck/draw.c, font in src/deck/font.c.  Tests:
 * tests/stage/test_draw.c
 */
#ifndef REPRISE_DRAW_H
#define REPRISE_DRAW_H

#include <reprise/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

void rp_clear(rp_canvas *canvas, uint32_t colour);
void rp_fill(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour);
void rp_frame_rect(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour);
void rp_line(rp_canvas *canvas, float x0, float y0, float x1, float y1, uint32_t colour);
void rp_disc(rp_canvas *canvas, float x, float y, float radius, uint32_t colour);
/* Blends `colour` over what is there; alpha 0 … 255. */
void rp_fill_blend(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour,
                   int alpha);
/* Text in the built-in 5×7 font (cells of 6×9 pixels times `scale`). UTF-8: ASCII and a few symbols
 * (· – … → ← ↑ ↓ × • ✓ µ ½ ¼ ▶ ◀ ● ↻ ✕ ≠ °); others show as a box.
 * '\n' starts a new line. Returns the x after the last glyph of the last line. */
float rp_text(rp_canvas *canvas, float x, float y, int scale, uint32_t colour, const char *text);
/* Width in pixels of the widest line of `text`. */
int rp_text_width(int scale, const char *text);

#ifdef __cplusplus
}
#endif
#endif
