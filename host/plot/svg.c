/* Curves as SVG: light and dark by what the reader prefers, no script, no link. */
#include "plot.h"

#include "foreign_text.h"

#include <math.h>
#include <string.h>

enum { LEFT = 64, RIGHT = 16, TOP = 40, BOTTOM = 40 };

typedef struct area {
    double x, y, width, height;
    plot_scale frames, values;
} area;

static double x_of(const area *a, double frame)
{
    return a->x + (frame - a->frames.low) / (a->frames.high - a->frames.low) * a->width;
}

static double y_of(const area *a, double value)
{
    return a->y + (1 - (value - a->values.low) / (a->values.high - a->values.low)) * a->height;
}

static void put_axes(const area *a, FILE *to)
{
    char text[32];
    for (int i = 0; i < a->values.tick_count; i++) {
        double y = y_of(a, a->values.ticks[i]);
        plot_tick_text(&a->values, a->values.ticks[i], text, sizeof text);
        fprintf(to, "<line class=\"g\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", a->x,
                a->x + a->width, y, y);
        fprintf(to, "<text class=\"t\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                a->x - 8, y + 4, text);
    }
    for (int i = 0; i < a->frames.tick_count; i++) {
        double x = x_of(a, a->frames.ticks[i]);
        plot_tick_text(&a->frames, a->frames.ticks[i], text, sizeof text);
        fprintf(to, "<text class=\"t\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x,
                a->y + a->height + 20, text);
    }
    fprintf(to, "<path class=\"a\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", a->x, a->y, a->y + a->height,
            a->x + a->width);
}

/* One point a frame, or two a pixel where there are more frames than that. */
static void put_curve(const area *a, const plot_data *data, int curve, FILE *to)
{
    int columns = (int)a->width;
    bool many = data->count > (size_t)columns * 2, joined = false;
    size_t count = many ? (size_t)columns : data->count;
    fprintf(to, "<path class=\"c\" stroke=\"#%06x\" d=\"", plot_colour(curve));
    for (size_t i = 0; i < count; i++) {
        double low = data->curves[curve].values[many ? 0 : i], high = low, x;
        bool known = many ? plot_column(data, curve, (int)i, columns, &low, &high) : isfinite(low);
        x = many ? a->x + (double)i + 0.5 : x_of(a, (double)data->frames[i]);
        if (known) {
            fprintf(to, "%c%.1f %.1f", joined ? 'L' : 'M', x, y_of(a, high));
            if (high > low || !joined) {
                fprintf(to, "L%.1f %.1f", x, y_of(a, low));
            }
        }
        joined = known;
    }
    fputs("\"/>\n", to);
}

static void put_names(const area *a, const plot_data *data, FILE *to)
{
    double x = a->x;
    for (int i = 0; i < data->curve_count; i++) {
        fprintf(to,
                "<rect x=\"%.1f\" y=\"16\" width=\"12\" height=\"4\" rx=\"2\" fill=\"#%06x\"/>\n"
                "<text class=\"n\" x=\"%.1f\" y=\"22\">",
                x, plot_colour(i), x + 18);
        foreign_put_xml(data->curves[i].name, to);
        fputs("</text>\n", to);
        x += 34 + 7.5 * (double)strlen(data->curves[i].name);
    }
    fprintf(to, "<text class=\"t\" x=\"%.1f\" y=\"22\" text-anchor=\"end\">", a->x + a->width);
    foreign_put_xml(data->title, to);
    fputs("</text>\n", to);
}

rp_status plot_svg(const plot_data *data, int width_px, int height_px, FILE *to)
{
    area a = {.x = LEFT,
              .y = TOP,
              .width = width_px - LEFT - RIGHT,
              .height = height_px - TOP - BOTTOM,
              .frames = plot_scale_frames(data, 10),
              .values = plot_scale_of(data, 8)};
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\n"
            "<style>.b{fill:#fff}.t{fill:#667}.n{fill:#223}.g{stroke:#e6e8ec}"
            ".a{fill:none;stroke:#99a}.c{fill:none;stroke-width:1.6;stroke-linejoin:round}"
            "@media(prefers-color-scheme:dark){.b{fill:#14171c}.t{fill:#98a}.n{fill:#dde}"
            ".g{stroke:#2a2f38}.a{stroke:#667}}</style>\n"
            "<rect class=\"b\" width=\"%d\" height=\"%d\"/>\n",
            width_px, height_px, width_px, height_px, width_px, height_px);
    put_axes(&a, to);
    for (int i = 0; i < data->curve_count; i++) {
        put_curve(&a, data, i, to);
    }
    put_names(&a, data, to);
    fputs("</svg>\n", to);
    return RP_OK;
}
