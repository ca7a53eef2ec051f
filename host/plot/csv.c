/* Values as a table of which each row is a frame (RFC 4180). */
#include "plot.h"

#include <math.h>
#include <string.h>

/* A spreadsheet would take a text that begins with one of these for a formula. */
static bool is_formula(const char *text)
{
    return strchr("=+-@", text[0]) && text[0];
}

static void put_text(const char *text, FILE *to)
{
    bool number = strspn(text, "0123456789+-.eE") == strlen(text);
    if (!number && (is_formula(text) || strpbrk(text, ",\"\r\n"))) {
        fputs(is_formula(text) ? "\"'" : "\"", to);
        for (; *text; text++) {
            fprintf(to, *text == '"' ? "\"\"" : "%c", *text);
        }
        fputc('"', to);
    } else {
        fputs(text, to);
    }
}

rp_status plot_csv(const plot_data *data, FILE *to)
{
    fputs("frame", to);
    for (int c = 0; c < data->curve_count; c++) {
        fputc(',', to);
        put_text(data->curves[c].name, to);
    }
    fputs("\r\n", to);
    for (size_t i = 0; i < data->count; i++) {
        fprintf(to, "%llu", (unsigned long long)data->frames[i]);
        for (int c = 0; c < data->curve_count; c++) {
            const char *text =
                data->curves[c].texts ? data->curves[c].texts + i * PLOT_TEXT_BYTES : "";
            fputc(',', to);
            put_text(text, to);
        }
        fputs("\r\n", to);
    }
    return RP_OK;
}
