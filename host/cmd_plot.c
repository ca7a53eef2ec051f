#include "cmd_plot.h"

#include "plot/plot.h"
#include "take_view.h"

#include <base/bits.h>
#include <base/error.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char help[] =
    "usage: reprise plot [OPTIONS] FILE.take EXPRESSION…\n"
    "\n"
    "Draws variables over the frames of a take. An expression is the part of C that leads to a "
    "number:\n"
    "names, members, elements, pointers, + - * /. A static of a function is step::count, one of a "
    "file\n"
    "'game.c'::count. Nothing of the take is run; it must have been built with -g.\n"
    "\n"
    "  --frames A-B    from frame A to frame B; each a number, first or last\n"
    "  --csv           a table: a row a frame\n"
    "  --svg, --png    a picture\n"
    "  --size WxH      of the picture in pixels (960x360), or of the drawing in characters\n"
    "  --output FILE   where to; what is there already stays (standard output)\n"
    "  --help          this text\n"
    "\n"
    "exit codes\n"
    "  0 done   1 cannot be read, or has no value at any frame   2 wrong usage\n"
    "\n"
    "examples\n"
    "  reprise plot bug.take player.y\n"
    "  reprise plot --csv bug.take 'enemies[3].hp' 'head->next->key' > values.csv\n"
    "  reprise plot --png --output speed.png bug.take '*speeds - limit'\n";

typedef enum plot_form { FORM_TERM, FORM_CSV, FORM_SVG, FORM_PNG } plot_form;

typedef struct plotting {
    plot_form form;
    const char *frames_text, *size_text, *output;
    int width, height; /* 0: not said */
    take_file file;
    take_builds builds;
    take_view view;
    rp_expression expressions[PLOT_CURVES_MOST];
    plot_data data;
    uint64_t *frames;
    uint64_t gaps, first_gap; /* values that there are not, and the frame of the first */
    bool any;                 /* there is a value */
    rp_error first_error;     /* why there is none at `first_gap` */
} plotting;

/* ---- values ---- */

static void note_gap(plotting *p, uint64_t frame)
{
    if (!p->gaps++) {
        p->first_gap = frame;
        p->first_error = *rp_error_last();
    }
}

/* What a table holds is read by programs: 81, not 81 'Q', and a text without its quotes. */
static void keep_text(const rp_value *value, char *text)
{
    size_t length = strlen(value->text);
    if (isfinite(value->number) && strchr(value->text, '\'')) {
        snprintf(text, PLOT_TEXT_BYTES, "%.17g", value->number);
    } else if (value->text[0] == '"' && length > 1) {
        snprintf(text, PLOT_TEXT_BYTES, "%.*s", (int)length - 2, value->text + 1);
    } else {
        snprintf(text, PLOT_TEXT_BYTES, "%s", value->text);
    }
    take_file_plain(text);
}

static void take_value(plotting *p, rp_values *values, int curve, size_t at)
{
    plot_curve *c = &p->data.curves[curve];
    rp_value value;
    c->values[at] = NAN;
    if (rp_value_get(values, &p->view.image, &p->expressions[curve], &value) != RP_OK) {
        note_gap(p, p->frames[at]);
        return;
    }
    bool number = isfinite(value.number);
    if (!number && p->form != FORM_CSV) {
        rp_fail(RP_E_ARGUMENT, "%s: is %s: %s is no number to draw", c->name, value.type,
                value.text);
        note_gap(p, p->frames[at]);
        return;
    }
    p->any = true;
    c->values[at] = value.number;
    if (c->texts) {
        keep_text(&value, c->texts + at * PLOT_TEXT_BYTES);
    }
}

static rp_status take_frame(plotting *p, uint64_t index, size_t at)
{
    rp_values *values;
    p->frames[at] = rp_take_frame_at(p->file.take, index)->frame;
    rp_status status = take_view_seek(&p->view, index);
    if (!status) {
        status = take_builds_values(&p->builds, &p->file, p->view.build, &values);
    }
    for (int c = 0; c < p->data.curve_count; c++) {
        if (status) {
            p->data.curves[c].values[at] = NAN;
            note_gap(p, p->frames[at]);
        } else {
            take_value(p, values, c, at);
        }
    }
    bool gap = status == RP_E_NOT_FOUND; /* a thin frame, a build without types */
    return gap ? RP_OK : status;
}

static rp_status take_all(plotting *p, const uint8_t *marks, uint64_t first, uint64_t last)
{
    rp_status status = RP_OK;
    for (uint64_t i = first; i <= last && !status; i++) {
        if (marks[i]) {
            status = take_frame(p, i, p->data.count++);
        }
        if (i % 64 == 0) {
            take_file_progress((void *)(uintptr_t) "plot", i - first, last - first + 1);
        }
    }
    take_file_progress((void *)(uintptr_t) "plot", 0, 0);
    if (!status && !p->any) {
        status = rp_fail(p->gaps ? p->first_error.status : RP_E_RANGE, "%s",
                         p->gaps ? p->first_error.text : "there are no such frames");
    }
    return status;
}

static rp_status make_room(plotting *p, size_t count)
{
    p->frames = calloc(count, sizeof *p->frames);
    p->data.frames = p->frames;
    bool made = p->frames;
    for (int c = 0; c < p->data.curve_count && made; c++) {
        p->data.curves[c].values = calloc(count, sizeof *p->data.curves[c].values);
        made = p->data.curves[c].values;
        if (made && p->form == FORM_CSV) {
            p->data.curves[c].texts = calloc(count, PLOT_TEXT_BYTES);
            made = p->data.curves[c].texts;
        }
    }
    return made ? RP_OK : rp_fail(RP_E_MEMORY, "no memory is left for %zu frames", count);
}

static rp_status choose(plotting *p, uint64_t *first, uint64_t *last)
{
    *first = 0;
    *last = p->file.overview.frame_count - 1;
    if (!p->file.overview.frame_count) {
        return rp_fail(RP_E_RANGE, "%s: has no frames", p->file.path);
    }
    rp_status status =
        p->frames_text ? take_file_span(&p->file, p->frames_text, first, last) : RP_OK;
    return status;
}

static rp_status gather(plotting *p)
{
    rp_take_array marks = {0};
    uint64_t first = 0, last = 0;
    rp_status status = choose(p, &first, &last);
    status = status ? status : take_file_timeline(&p->file, &marks);
    status = status ? status : take_view_open(&p->view, &p->file);
    status = status ? status : make_room(p, (size_t)(last - first + 1));
    status = status ? status : take_all(p, marks.data, first, last);
    rp_take_array_finish(&marks);
    return status;
}

/* ---- pictures ---- */

static rp_status draw(plotting *p, FILE *to, bool terminal)
{
    struct winsize window = {0};
    const char *no_color = getenv("NO_COLOR");
    switch (p->form) {
    case FORM_CSV:
        return plot_csv(&p->data, to);
    case FORM_SVG:
        return plot_svg(&p->data, p->width, p->height, to);
    case FORM_PNG:
        return plot_png(&p->data, p->width, p->height, to);
    default:
        if (terminal) {
            ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
        }
        int columns = p->width ? p->width : window.ws_col ? window.ws_col : 80;
        int rows = p->height ? p->height : 18;
        return plot_term(&p->data, columns, rows, terminal && !(no_color && *no_color), to);
    }
}

static rp_status draw_to(plotting *p)
{
    char *bytes = NULL;
    size_t size_bytes = 0;
    bool terminal = !p->output && isatty(STDOUT_FILENO);
    FILE *memory = open_memstream(&bytes, &size_bytes);
    if (!memory) {
        return rp_fail_system(RP_E_MEMORY, errno, "no memory is left for the picture");
    }
    rp_status status = draw(p, memory, terminal);
    fclose(memory);
    status = status ? status : take_file_write(p->output ? p->output : "-", bytes, size_bytes);
    free(bytes);
    return status;
}

static void say_gaps(const plotting *p)
{
    if (p->gaps) {
        fprintf(stderr, "reprise: plot: %llu values are missing; the first at frame %llu: %s\n",
                (unsigned long long)p->gaps, (unsigned long long)p->first_gap, p->first_error.text);
    }
}

/* ---- options ---- */

static rp_status read_size(plotting *p)
{
    bool picture = p->form == FORM_SVG || p->form == FORM_PNG;
    p->width = picture ? 960 : 0;
    p->height = picture ? 360 : 0;
    if (!p->size_text) {
        return RP_OK;
    }
    char rest;
    if (sscanf(p->size_text, "%dx%d%c", &p->width, &p->height, &rest) != 2 ||
        p->width < (picture ? 160 : 24) || p->height < (picture ? 120 : 6) ||
        p->width > (picture ? 8192 : 500) || p->height > (picture ? 8192 : 200)) {
        return rp_fail(RP_E_ARGUMENT, "--size %s: it takes WIDTHxHEIGHT, as 960x360", p->size_text);
    }
    return RP_OK;
}

static rp_status read_expressions(plotting *p, char **words, int count)
{
    rp_status status = RP_OK;
    if (count > PLOT_CURVES_MOST) {
        return rp_fail(RP_E_ARGUMENT, "at most %d expressions at a time", PLOT_CURVES_MOST);
    }
    for (int i = 0; i < count && !status; i++) {
        status = rp_expression_parse(words[i], &p->expressions[i]);
        p->data.curves[i].name = words[i];
    }
    p->data.curve_count = count;
    return status;
}

static int read_options(plotting *p, int argc, char **argv)
{
    static const struct option table[] = {
        {"frames", required_argument, NULL, 'f'}, {"csv", no_argument, NULL, 'c'},
        {"svg", no_argument, NULL, 's'},          {"png", no_argument, NULL, 'p'},
        {"size", required_argument, NULL, 'z'},   {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},         {0}};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
        switch (option) {
        case 'f':
            p->frames_text = optarg;
            break;
        case 'c':
            p->form = FORM_CSV;
            break;
        case 's':
            p->form = FORM_SVG;
            break;
        case 'p':
            p->form = FORM_PNG;
            break;
        case 'z':
            p->size_text = optarg;
            break;
        case 'o':
            p->output = optarg;
            break;
        case 'h':
            return take_file_usage("plot", help, stdout);
        default:
            return take_file_usage("plot", help, stderr);
        }
    }
    return argc - optind >= 2 ? -1 : take_file_usage("plot", help, stderr);
}

static void finish(plotting *p)
{
    for (int c = 0; c < p->data.curve_count; c++) {
        free(p->data.curves[c].values);
        free(p->data.curves[c].texts);
    }
    free(p->frames);
    take_view_close(&p->view);
    take_builds_close(&p->builds);
    take_file_close(&p->file);
}

int cmd_plot(int argc, char **argv)
{
    plotting p = {0};
    int code = read_options(&p, argc, argv);
    if (code >= 0) {
        return code;
    }
    const char *path = argv[optind], *slash = strrchr(path, '/');
    p.data.title = slash ? slash + 1 : path;
    rp_status status = read_size(&p);
    status = status ? status : read_expressions(&p, argv + optind + 1, argc - optind - 1);
    status = status ? status : take_file_open(&p.file, path);
    status = status ? status : gather(&p);
    status = status ? status : draw_to(&p);
    if (status) {
        code = take_file_failed("plot");
    } else {
        say_gaps(&p);
        code = TAKE_EXIT_DONE;
    }
    finish(&p);
    return code;
}
