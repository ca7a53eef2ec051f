/* Pictures of values over frames: for a terminal, as CSV, SVG and PNG.
 *
 *   cmd_plot.c ── values of each frame ──► plot_data ──► plot_term | plot_csv | plot_svg | plot_png
 *
 * Where there are more frames than columns, each column shows the lowest and the highest value.
 *
 * Layer: host.  Tests: tests/host/test_diff.c
 */
#ifndef HOST_PLOT_H
#define HOST_PLOT_H

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PLOT_CURVES_MOST = 6, PLOT_TICKS_MOST = 12 };

typedef struct plot_curve {
    const char *name; /* the expression */
    double *values;   /* one a frame; NaN: none */
    char *texts;      /* PLOT_TEXT_BYTES a frame, as the value is written; null: not asked for */
} plot_curve;

enum { PLOT_TEXT_BYTES = 96 };

typedef struct plot_data {
    const char *title;
    const uint64_t *frames; /* rising numbers */
    size_t count;
    plot_curve curves[PLOT_CURVES_MOST];
    int curve_count;
} plot_data;

/* ---- scale.c ---- */

typedef struct plot_scale {
    double low, high; /* high above low */
    double ticks[PLOT_TICKS_MOST];
    int tick_count, decimals;
    bool exponents; /* else `decimals` count */
} plot_scale;

/* Round numbers around all values; at most `ticks` of them. Without any value 0 to 1. */
plot_scale plot_scale_of(const plot_data *data, int ticks);
/* For frame numbers. */
plot_scale plot_scale_frames(const plot_data *data, int ticks);
void plot_tick_text(const plot_scale *scale, double tick, char *text, size_t capacity);

/* The lowest and highest value of the frames that column `column` of `columns` shows; false: there
 * is none. */
bool plot_column(const plot_data *data, int curve, int column, int columns, double *low,
                 double *high);

/* ---- each form ---- */

/* `columns`, `rows`: of characters, all of it. `colours`: with escape sequences. */
rp_status plot_term(const plot_data *data, int columns, int rows, bool colours, FILE *to);
rp_status plot_csv(const plot_data *data, FILE *to);
rp_status plot_svg(const plot_data *data, int width_px, int height_px, FILE *to);
rp_status plot_png(const plot_data *data, int width_px, int height_px, FILE *to);

/* 0xRRGGBB; the same in all forms. */
uint32_t plot_colour(int curve);

#endif
