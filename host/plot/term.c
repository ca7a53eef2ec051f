/* Curves as braille patterns: each character has two columns and four rows of dots. */
#include "plot.h"

#include <base/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 10, LEAST_COLUMNS = 24, LEAST_ROWS = 6 };

typedef struct dots {
    int columns, rows; /* of characters */
    uint8_t *bits;     /* a pattern each */
    uint8_t *curve;    /* plus 1; the last one that drew there */
} dots;

static void dot(dots *d, int x, int y, int curve)
{
    static const uint8_t bit_of[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x >= 0 && y >= 0 && x < d->columns * 2 && y < d->rows * 4) {
        int at = y / 4 * d->columns + x / 2;
        d->bits[at] |= bit_of[y % 4][x % 2];
        d->curve[at] = (uint8_t)(curve + 1);
    }
}

static int row_of(const dots *d, const plot_scale *scale, double value)
{
    double part = (value - scale->low) / (scale->high - scale->low);
    return (int)lround((1 - part) * (d->rows * 4 - 1));
}

static void draw_curve(dots *d, const plot_data *data, const plot_scale *scale, int curve)
{
    int before_low = 0, before_high = 0;
    bool joined = false;
    for (int x = 0; x < d->columns * 2; x++) {
        double low, high;
        if (!plot_column(data, curve, x, d->columns * 2, &low, &high)) {
            joined = false;
            continue;
        }
        int top = row_of(d, scale, high), bottom = row_of(d, scale, low);
        int from = joined && before_low < top - 1 ? before_low + 1 : top;
        int to = joined && before_high > bottom + 1 ? before_high - 1 : bottom;
        for (int y = from; y <= to; y++) {
            dot(d, x, y, curve);
        }
        before_low = bottom;
        before_high = top;
        joined = true;
    }
}

static void print_colour(bool colours, int curve, FILE *to)
{
    static const char *const codes[PLOT_CURVES_MOST] = {"34", "33", "32", "35", "36", "31"};
    if (colours) {
        fprintf(to, curve < 0 ? "\033[0m" : "\033[%sm", codes[curve < 0 ? 0 : curve]);
    }
}

static void print_row(const dots *d, int row, bool colours, FILE *to)
{
    int shown = -1;
    for (int x = 0; x < d->columns; x++) {
        int at = row * d->columns + x, curve = d->curve[at] - 1;
        if (curve >= 0 && curve != shown) {
            print_colour(colours, curve, to);
            shown = curve;
        }
        if (d->bits[at]) { /* U+2800 and the pattern */
            fprintf(to, "\xe2%c%c", 0xa0 + (d->bits[at] >> 6), 0x80 + (d->bits[at] & 63));
        } else {
            fputc(' ', to);
        }
    }
    if (shown >= 0) {
        print_colour(colours, -1, to);
    }
}

/* The tick whose row this is; null: none. */
static const double *tick_at(const dots *d, const plot_scale *scale, int row)
{
    for (int i = 0; i < scale->tick_count; i++) {
        if (row_of(d, scale, scale->ticks[i]) / 4 == row) {
            return &scale->ticks[i];
        }
    }
    return NULL;
}

static void print_frames(const dots *d, const plot_data *data, FILE *to)
{
    plot_scale scale = plot_scale_frames(data, d->columns / 16);
    char line[512], text[32];
    int columns = d->columns < 480 ? d->columns : 480, end = 0;
    memset(line, ' ', sizeof line);
    for (int i = 0; i < scale.tick_count; i++) {
        plot_tick_text(&scale, scale.ticks[i], text, sizeof text);
        int at =
            (int)lround((scale.ticks[i] - scale.low) / (scale.high - scale.low) * (columns - 1)) -
            (int)strlen(text) / 2;
        at = at < 0 ? 0 : at;
        if (at >= end && at + (int)strlen(text) <= columns + 8) {
            memcpy(line + at, text, strlen(text));
            end = at + (int)strlen(text) + 1;
        }
    }
    fprintf(to, "%*s  %.*s\n", LABEL_COLUMNS, "frame", end ? end - 1 : 0, line);
}

static void print_names(const plot_data *data, bool colours, FILE *to)
{
    fprintf(to, "%s:", data->title);
    for (int i = 0; i < data->curve_count; i++) {
        fputs("  ", to);
        print_colour(colours, i, to);
        fputs(colours ? "● " : "", to);
        print_colour(colours, -1, to);
        fputs(data->curves[i].name, to);
    }
    fputc('\n', to);
}

static void print_all(const dots *d, const plot_data *data, const plot_scale *scale, bool colours,
                      FILE *to)
{
    print_names(data, colours, to);
    for (int row = 0; row < d->rows; row++) {
        char text[32] = "";
        const double *tick = tick_at(d, scale, row);
        if (tick) {
            plot_tick_text(scale, *tick, text, sizeof text);
        }
        fprintf(to, "%*s %s", LABEL_COLUMNS, text, tick ? "┤" : "│");
        print_row(d, row, colours, to);
        fputc('\n', to);
    }
    fprintf(to, "%*s └", LABEL_COLUMNS, "");
    for (int x = 0; x < d->columns; x++) {
        fputs("─", to);
    }
    fputc('\n', to);
    print_frames(d, data, to);
}

rp_status plot_term(const plot_data *data, int columns, int rows, bool colours, FILE *to)
{
    dots d = {.columns = (columns > LEAST_COLUMNS ? columns : LEAST_COLUMNS) - LABEL_COLUMNS - 3,
              .rows = (rows > LEAST_ROWS ? rows : LEAST_ROWS) - 3};
    size_t count = (size_t)d.columns * (size_t)d.rows;
    d.bits = calloc(count, 2);
    if (!d.bits) {
        return rp_fail(RP_E_MEMORY, "plot: no memory is left");
    }
    d.curve = d.bits + count;
    plot_scale scale = plot_scale_of(data, d.rows / 3);
    for (int i = 0; i < data->curve_count; i++) {
        draw_curve(&d, data, &scale, i);
    }
    print_all(&d, data, &scale, colours, to);
    free(d.bits);
    return RP_OK;
}
