/* Curves as PNG: drawn at twice the size with the stage's own lines and font, then halved. */
#include "plot.h"

#include <base/bits.h>
#include <base/error.h>
#include <math.h>
#include <png.h>
#include <reprise/draw.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 2, LEFT = 72 * TIMES, RIGHT = 16 * TIMES, TOP = 32 * TIMES, BOTTOM = 32 * TIMES };
enum { PAPER = 0xffffff, INK = 0x555566, GRID = 0xe6e8ec, AXIS = 0x9999aa };

typedef struct drawing {
    rp_canvas canvas;
    float x, y, width, height;
    plot_scale frames, values;
} drawing;

static float x_of(const drawing *d, double frame)
{
    double part = (frame - d->frames.low) / (d->frames.high - d->frames.low);
    return d->x + (float)part * d->width;
}

static float y_of(const drawing *d, double value)
{
    double part = (value - d->values.low) / (d->values.high - d->values.low);
    return d->y + (1 - (float)part) * d->height;
}

static void draw_axes(drawing *d)
{
    char text[32];
    for (int i = 0; i < d->values.tick_count; i++) {
        float y = roundf(y_of(d, d->values.ticks[i]));
        plot_tick_text(&d->values, d->values.ticks[i], text, sizeof text);
        rp_fill(&d->canvas, d->x, y, d->width, TIMES, GRID);
        rp_text(&d->canvas, d->x - 12 - (float)rp_text_width(TIMES, text), y - 7, TIMES, INK, text);
    }
    for (int i = 0; i < d->frames.tick_count; i++) {
        float x = x_of(d, d->frames.ticks[i]);
        plot_tick_text(&d->frames, d->frames.ticks[i], text, sizeof text);
        rp_text(&d->canvas, x - (float)rp_text_width(TIMES, text) / 2, d->y + d->height + 12, TIMES,
                INK, text);
    }
    rp_fill(&d->canvas, d->x, d->y, TIMES, d->height, AXIS);
    rp_fill(&d->canvas, d->x, d->y + d->height, d->width, TIMES, AXIS);
}

/* A line of three pixels' width. */
static void thick_line(drawing *d, float x0, float y0, float x1, float y1, uint32_t colour)
{
    for (int i = 0; i < 9; i++) {
        float dx = (float)(i % 3 - 1), dy = (float)(i / 3) - 1;
        rp_line(&d->canvas, x0 + dx, y0 + dy, x1 + dx, y1 + dy, colour);
    }
}

static void draw_curve(drawing *d, const plot_data *data, int curve)
{
    int columns = (int)d->width / TIMES;
    bool many = data->count > (size_t)columns, joined = false;
    size_t count = many ? (size_t)columns : data->count;
    float before_x = 0, before_y = 0;
    for (size_t i = 0; i < count; i++) {
        double low = data->curves[curve].values[many ? 0 : i], high = low;
        bool known = many ? plot_column(data, curve, (int)i, columns, &low, &high) : isfinite(low);
        float x = many ? d->x + (float)i * TIMES : x_of(d, (double)data->frames[i]);
        if (known) {
            float top = y_of(d, high), bottom = y_of(d, low);
            thick_line(d, joined ? before_x : x, joined ? before_y : top, x, top,
                       plot_colour(curve));
            thick_line(d, x, top, x, bottom, plot_colour(curve));
            before_x = x;
            before_y = bottom;
        }
        joined = known;
    }
}

static void draw_names(drawing *d, const plot_data *data)
{
    float x = d->x;
    for (int i = 0; i < data->curve_count; i++) {
        rp_fill(&d->canvas, x, 28, 24, 8, plot_colour(i));
        x = rp_text(&d->canvas, x + 36, 24, TIMES, 0x222233, data->curves[i].name) + 36;
    }
    rp_text(&d->canvas, d->x + d->width - (float)rp_text_width(TIMES, data->title), 24, TIMES, INK,
            data->title);
}

/* Each pixel is the mean of four. */
static void halve(const drawing *d, uint8_t *to, int width_px, int height_px)
{
    for (int y = 0; y < height_px; y++) {
        const uint32_t *row = d->canvas.pixels + (size_t)y * TIMES * (size_t)d->canvas.stride_px;
        const uint32_t *next = row + d->canvas.stride_px;
        for (int x = 0; x < width_px; x++) {
            for (int shift = 16; shift >= 0; shift -= 8) {
                uint32_t sum = (row[2 * x] >> shift & 255) + (row[2 * x + 1] >> shift & 255) +
                               (next[2 * x] >> shift & 255) + (next[2 * x + 1] >> shift & 255);
                *to++ = (uint8_t)((sum + 2) / 4);
            }
        }
    }
}

static rp_status write_png(const uint8_t *bytes, int width_px, int height_px, FILE *to)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width_px,
                       .height = (png_uint_32)height_px,
                       .format = PNG_FORMAT_RGB};
    bool written = png_image_write_to_stdio(&image, to, 0, bytes, 0, NULL);
    return written ? RP_OK
                   : rp_fail(RP_E_SYSTEM, "plot: the picture was not written: %s", image.message);
}

rp_status plot_png(const plot_data *data, int width_px, int height_px, FILE *to)
{
    size_t pixels = (size_t)width_px * (size_t)height_px;
    drawing d = {.canvas = {.width_px = width_px * TIMES,
                            .height_px = height_px * TIMES,
                            .stride_px = width_px * TIMES},
                 .x = LEFT,
                 .y = TOP,
                 .width = (float)(width_px * TIMES - LEFT - RIGHT),
                 .height = (float)(height_px * TIMES - TOP - BOTTOM),
                 .frames = plot_scale_frames(data, 10),
                 .values = plot_scale_of(data, 8)};
    d.canvas.pixels = malloc(pixels * TIMES * TIMES * sizeof *d.canvas.pixels);
    uint8_t *bytes = malloc(pixels * 3);
    rp_status status = RP_E_MEMORY;
    if (!d.canvas.pixels || !bytes) {
        rp_fail(status, "plot: no memory is left for the picture");
    } else {
        rp_clear(&d.canvas, PAPER);
        draw_axes(&d);
        for (int i = 0; i < data->curve_count; i++) {
            draw_curve(&d, data, i);
        }
        draw_names(&d, data);
        halve(&d, bytes, width_px, height_px);
        status = write_png(bytes, width_px, height_px, to);
    }
    free(d.canvas.pixels);
    free(bytes);
    return status;
}
