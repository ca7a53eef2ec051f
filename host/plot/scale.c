/* Axes: round numbers, and columns of many frames. */
#include "plot.h"

#include <base/bits.h>
#include <math.h>

uint32_t plot_colour(int curve)
{
    static const uint32_t colours[PLOT_CURVES_MOST] = {0x3b82f6, 0xf97316, 0x22a06b,
                                                       0xd946a6, 0x8b5cf6, 0x9a7b2d};
    return colours[curve % PLOT_CURVES_MOST];
}

/* 1, 2 or 5 times a power of ten, so that no more than `ticks` of them reach over the span. */
static double step_of(double span, int ticks)
{
    double step = pow(10, floor(log10(span / ticks)));
    static const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < RP_COUNT_OF(factors); i++) {
        if (span / (step * factors[i]) <= ticks) {
            return step * factors[i];
        }
    }
    return step * 20;
}

static plot_scale scale_between(double low, double high, int ticks, bool whole)
{
    plot_scale scale = {.low = low, .high = high};
    double size = fmax(fabs(low), fabs(high)), span = high - low;
    if (!(span > size * 1e-12)) { /* one value alone stands in the middle */
        span = size > 0 ? size * 0.2 : 1;
        scale.low -= span / 2;
        scale.high += span / 2;
    }
    if (!isfinite(scale.high - scale.low)) { /* wider than a number can say */
        return (plot_scale){.low = low / 2, .high = high / 2, .exponents = true};
    }
    ticks = ticks < PLOT_TICKS_MOST - 1 ? ticks : PLOT_TICKS_MOST - 1;
    double step = step_of(scale.high - scale.low, ticks > 1 ? ticks : 1);
    step = whole ? fmax(step, 1) : step;
    double first = ceil(scale.low / step - 1e-9) * step;
    for (int i = 0; i < PLOT_TICKS_MOST && first + i * step <= scale.high + step * 1e-9; i++) {
        scale.ticks[scale.tick_count++] = first + i * step;
    }
    scale.decimals = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    scale.exponents = scale.decimals > 6 || size >= 1e9;
    return scale;
}

plot_scale plot_scale_of(const plot_data *data, int ticks)
{
    double low = INFINITY, high = -INFINITY;
    for (int c = 0; c < data->curve_count; c++) {
        for (size_t i = 0; i < data->count; i++) {
            double value = data->curves[c].values[i];
            if (isfinite(value)) {
                low = fmin(low, value);
                high = fmax(high, value);
            }
        }
    }
    return low <= high ? scale_between(low, high, ticks, false) : scale_between(0, 1, ticks, false);
}

plot_scale plot_scale_frames(const plot_data *data, int ticks)
{
    double low = data->count ? (double)data->frames[0] : 0;
    double high = data->count ? (double)data->frames[data->count - 1] : 1;
    plot_scale scale = scale_between(low, high, ticks, true);
    scale.exponents = false;
    return scale;
}

void plot_tick_text(const plot_scale *scale, double tick, char *text, size_t capacity)
{
    snprintf(text, capacity, scale->exponents ? "%.*g" : "%.*f",
             scale->exponents ? 6 : scale->decimals, tick == 0 ? 0.0 : tick);
}

bool plot_column(const plot_data *data, int curve, int column, int columns, double *low,
                 double *high)
{
    const double *values = data->curves[curve].values;
    size_t from = data->count * (size_t)column / (size_t)columns;
    size_t to = data->count * ((size_t)column + 1) / (size_t)columns;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = from; i < (to > from ? to : from + 1) && i < data->count; i++) {
        if (isfinite(values[i])) {
            *low = fmin(*low, values[i]);
            *high = fmax(*high, values[i]);
        }
    }
    return *low <= *high;
}
