/* Software drawing. A pixel belongs to a shape when its centre lies inside; every shape is clipped
 * before its pixels are walked, so the cost is bounded by the canvas whatever the coordinates. */
#include <reprise/draw.h>

#include "deck/font.h"

typedef struct pixel_box {
    int x0, y0, x1, y1; /* x1 and y1 are outside */
} pixel_box;

/* The first pixel whose centre is at or beyond `edge`, within 0 … limit. A NaN gives 0. */
static int first_centre(double edge, int limit)
{
    double shifted = edge - 0.5;
    if (!(shifted > 0)) {
        return 0;
    }
    if (shifted >= limit) {
        return limit;
    }
    int whole = (int)shifted;
    return whole < shifted ? whole + 1 : whole;
}

/* An empty or unordered rectangle gives an empty box. */
static pixel_box clip(const rp_canvas *canvas, double x, double y, double width, double height)
{
    pixel_box box = {0};
    if (width > 0 && height > 0) {
        box.x0 = first_centre(x, canvas->width_px);
        box.y0 = first_centre(y, canvas->height_px);
        box.x1 = first_centre(x + width, canvas->width_px);
        box.y1 = first_centre(y + height, canvas->height_px);
    }
    return box;
}

static uint32_t *row_of(rp_canvas *canvas, int y)
{
    return canvas->pixels + (ptrdiff_t)y * canvas->stride_px;
}

static void fill_box(rp_canvas *canvas, pixel_box box, uint32_t colour)
{
    for (int y = box.y0; y < box.y1; y++) {
        uint32_t *row = row_of(canvas, y);
        for (int x = box.x0; x < box.x1; x++) {
            row[x] = colour;
        }
    }
}

void rp_clear(rp_canvas *canvas, uint32_t colour)
{
    fill_box(canvas, (pixel_box){0, 0, canvas->width_px, canvas->height_px}, colour);
}

void rp_fill(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour)
{
    fill_box(canvas, clip(canvas, x, y, width, height), colour);
}

void rp_frame_rect(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour)
{
    rp_fill(canvas, x, y, width, 1, colour);
    rp_fill(canvas, x, y + height - 1, width, 1, colour);
    rp_fill(canvas, x, y, 1, height, colour);
    rp_fill(canvas, x + width - 1, y, 1, height, colour);
}

/* The pixel that holds coordinate `at`; far outside is moved to just outside. */
static int pixel_of(double at, int limit)
{
    if (!(at >= 0)) {
        return -1;
    }
    return at >= limit ? limit : (int)at;
}

static double within(double value, double a, double b)
{
    double low = a < b ? a : b, high = a < b ? b : a;
    return value < low ? low : value > high ? high : value;
}

/* Rounded to a millionth of a pixel: a line that passes exactly between two pixels must choose the
 * same one however its other end is clipped or shifted, and the last bit of a product must not
 * decide that. */
static double settled(double at, int limit)
{
    const double grain = 1 << 20;
    bool near = at > -1 && at < limit + 1.0;
    return near ? (double)(int64_t)(at * grain + 0.5) / grain : at;
}

static void swap(double *a, double *b)
{
    double kept = *a;
    *a = *b;
    *b = kept;
}

static bool is_finite(double value)
{
    return value - value == 0;
}

void rp_line(rp_canvas *canvas, float x0, float y0, float x1, float y1, uint32_t colour)
{
    double a = x0, b = y0, c = x1, d = y1;
    if (!is_finite(a) || !is_finite(b) || !is_finite(c) || !is_finite(d)) {
        return;
    }
    bool steep = (d > b ? d - b : b - d) > (c > a ? c - a : a - c);
    if (steep) {
        swap(&a, &b);
        swap(&c, &d);
    }
    if (a > c) {
        swap(&a, &c);
        swap(&b, &d);
    }
    int major_limit = steep ? canvas->height_px : canvas->width_px;
    int minor_limit = steep ? canvas->width_px : canvas->height_px;
    double slope = c > a ? (d - b) / (c - a) : 0;
    int last = pixel_of(c, major_limit);
    int first = pixel_of(a, major_limit);
    for (int i = first < 0 ? 0 : first; i <= last && i < major_limit; i++) {
        double at = within(b + (i + 0.5 - a) * slope, b, d);
        int j = pixel_of(settled(at, minor_limit), minor_limit);
        if (j >= 0 && j < minor_limit) {
            row_of(canvas, steep ? i : j)[steep ? j : i] = colour;
        }
    }
}

void rp_disc(rp_canvas *canvas, float x, float y, float radius, uint32_t colour)
{
    double r = radius;
    pixel_box box = clip(canvas, x - r, y - r, 2 * r, 2 * r);
    for (int row = box.y0; row < box.y1; row++) {
        uint32_t *pixels = row_of(canvas, row);
        double dy = row + 0.5 - y;
        for (int column = box.x0; column < box.x1; column++) {
            double dx = column + 0.5 - x;
            if (dx * dx + dy * dy <= r * r) {
                pixels[column] = colour;
            }
        }
    }
}

static uint32_t mix(uint32_t under, uint32_t over, uint32_t alpha)
{
    uint32_t mixed = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        uint32_t below = under >> shift & 0xFF, above = over >> shift & 0xFF;
        mixed |= (below * (255 - alpha) + above * alpha + 127) / 255 << shift;
    }
    return mixed;
}

void rp_fill_blend(rp_canvas *canvas, float x, float y, float width, float height, uint32_t colour,
                   int alpha)
{
    uint32_t weight = alpha < 0 ? 0 : alpha > 255 ? 255 : (uint32_t)alpha;
    pixel_box box = clip(canvas, x, y, width, height);
    for (int row = box.y0; row < box.y1; row++) {
        uint32_t *pixels = row_of(canvas, row);
        for (int column = box.x0; column < box.x1; column++) {
            pixels[column] = mix(pixels[column], colour, weight);
        }
    }
}

static void draw_glyph(rp_canvas *canvas, double x, double y, int scale, uint32_t colour, int glyph)
{
    for (int row = 0; row < RP_FONT_CELL_HEIGHT; row++) {
        for (int column = 0; column < RP_FONT_GLYPH_WIDTH; column++) {
            if (rp_font_pixel(glyph, column, row)) {
                double left = x + (double)column * scale, top = y + (double)row * scale;
                fill_box(canvas, clip(canvas, left, top, scale, scale), colour);
            }
        }
    }
}

float rp_text(rp_canvas *canvas, float x, float y, int scale, uint32_t colour, const char *text)
{
    double at = x, line = y;
    for (const char *cursor = text; *cursor;) {
        uint32_t code_point = rp_utf8_next(&cursor);
        if (code_point == '\n') {
            at = x;
            line += (double)RP_FONT_CELL_HEIGHT * scale;
            continue;
        }
        draw_glyph(canvas, at, line, scale, colour, rp_font_glyph(code_point));
        at += (double)RP_FONT_CELL_WIDTH * scale;
    }
    return (float)at;
}

int rp_text_width(int scale, const char *text)
{
    int widest = 0, width = 0;
    for (const char *cursor = text; *cursor;) {
        width = rp_utf8_next(&cursor) == '\n' ? 0 : width + RP_FONT_CELL_WIDTH * scale;
        widest = width > widest ? width : widest;
    }
    return widest;
}
