/* The view as cells: the picture in half blocks, two pixels a cell, the panel and the toast over
 * it, the timeline and the status line in the last two rows. Without colours the picture is shades
 * of ASCII. */
#include "stage/layout.h"
#include "stage/term.h"

#include "base/text.h"

#include <string.h>

enum {
    UPPER_HALF = 0x2580,
    BLACK = 0x000000,
    BACK = 0x0B0D11,
    BAR = 0x161A21,
    TRACK = 0x48505F,
    PAST = 0x8A94A6,
    LOOP = 0x4AA0E6,
    BUILD = 0x56B4E9,
    CRASH = 0xF0643C,
    DIFFERS = 0xD98CBF,
    MARK = 0xF0D442,
    TEXT = 0xE4E8EF,
    FAINT = 0x8A94A6,
    WHITE = 0xFFFFFF,
    PANEL = 0x1A1F29,
    ALARM = 0xE0452F,
    NOTICE = 0x7A869C,
    BAR_ROWS = 2,
    PANEL_ROWS = 64,
    SAMPLES = 8 /* at most this many each way are averaged for one half cell */
};

/* ---- picture ---- */

/* The mean over the source pixels of one half cell. A large picture is sampled. */
static uint32_t average(const stage_view *view, int x0, int x1, int y0, int y1)
{
    uint32_t red = 0, green = 0, blue = 0, count = 0;
    int step_x = (x1 - x0 + SAMPLES - 1) / SAMPLES, step_y = (y1 - y0 + SAMPLES - 1) / SAMPLES;
    for (int y = y0; y < y1; y += step_y) {
        const uint32_t *row = view->pixels + (ptrdiff_t)y * view->stride_px;
        for (int x = x0; x < x1; x += step_x, count++) {
            red += row[x] >> 16 & 0xFF;
            green += row[x] >> 8 & 0xFF;
            blue += row[x] & 0xFF;
        }
    }
    return (red / count) << 16 | (green / count) << 8 | blue / count;
}

static uint32_t dim(uint32_t colour)
{
    return (colour >> 2 & 0x3F3F3F) + (colour >> 3 & 0x1F1F1F);
}

/* Half cell (x, y) of the picture, y counting two a row; the background outside. */
static uint32_t half_cell(const stage_view *view, stage_rect at, int x, int y)
{
    int inner_x = x - at.x, inner_y = y - at.y;
    if (inner_x < 0 || inner_y < 0 || inner_x >= at.width || inner_y >= at.height) {
        return BACK;
    }
    int x0 = (int)((int64_t)inner_x * view->width_px / at.width);
    int y0 = (int)((int64_t)inner_y * view->height_px / at.height);
    int x1 = (int)((int64_t)(inner_x + 1) * view->width_px / at.width);
    int y1 = (int)((int64_t)(inner_y + 1) * view->height_px / at.height);
    uint32_t colour = average(view, x0, x1 > x0 ? x1 : x0 + 1, y0, y1 > y0 ? y1 : y0 + 1);
    return view->dimmed ? dim(colour) : colour;
}

static uint32_t shade(uint32_t upper, uint32_t lower)
{
    static const char ramp[] = " .:-=+*#%@";
    uint32_t light = 0;
    uint32_t halves[] = {upper, lower};
    for (int i = 0; i < 2; i++) {
        light += 3 * (halves[i] >> 16 & 0xFF) + 6 * (halves[i] >> 8 & 0xFF) + (halves[i] & 0xFF);
    }
    return (uint32_t)ramp[light * (sizeof ramp - 2) / (2 * 10 * 255)];
}

/* As large as it fits: cells are too coarse to insist on whole factors. */
static stage_rect fit(int columns, int half_rows, int width_px, int height_px)
{
    stage_rect at = {0, 0, columns, (int)((int64_t)columns * height_px / width_px)};
    if (at.height > half_rows) {
        at.height = half_rows;
        at.width = (int)((int64_t)half_rows * width_px / height_px);
    }
    at.width = at.width ? at.width : 1;
    at.height = at.height ? at.height : 1;
    at.x = (columns - at.width) / 2;
    at.y = (half_rows - at.height) / 2;
    return at;
}

static stage_rect paint_picture(term_screen *screen, const stage_view *view, int rows)
{
    stage_rect at = {0};
    if (view->pixels && view->width_px > 0 && view->height_px > 0 && rows > 0) {
        at = fit(screen->columns, rows * 2, view->width_px, view->height_px);
    }
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < screen->columns; column++) {
            uint32_t upper = half_cell(view, at, column, row * 2),
                     lower = half_cell(view, at, column, row * 2 + 1);
            uint32_t code_point = screen->colours == TERM_MONO ? shade(upper, lower) : UPPER_HALF;
            term_screen_put(screen, column, row, code_point, upper, lower);
        }
    }
    return at;
}

/* ---- ghosts ---- */

/* A cell that a ghost passes: its half takes the ghost's colour, the other one keeps the picture's.
 */
static void paint_ghost_point(term_screen *screen, const stage_view *view, stage_rect at,
                              const stage_ghost *ghost, int i)
{
    int x = at.x + (int)((ghost->x[i] + 0.5f) * (float)at.width / (float)view->width_px);
    int y = at.y + (int)((ghost->y[i] + 0.5f) * (float)at.height / (float)view->height_px);
    uint32_t colour = stage_ghost_colour(ghost);
    if (!(ghost->x[i] >= 0) || !(ghost->y[i] >= 0) || x >= at.x + at.width ||
        y >= at.y + at.height) {
        return;
    }
    if (screen->colours == TERM_MONO) {
        term_screen_put(screen, x, y / 2, ghost->earlier ? '.' : '*', 0, 0);
        return;
    }
    uint32_t upper = y % 2 ? half_cell(view, at, x, y - 1) : colour;
    uint32_t lower = y % 2 ? colour : half_cell(view, at, x, y + 1);
    term_screen_put(screen, x, y / 2, UPPER_HALF, upper, lower);
}

static void paint_ghosts(term_screen *screen, const stage_view *view, stage_rect at)
{
    for (int g = 0; g < view->ghost_count && g < STAGE_GHOST_MAX && at.width; g++) {
        const stage_ghost *ghost = &view->ghosts[g];
        for (int i = 0; i < ghost->count; i += ghost->earlier ? 2 : 1) {
            paint_ghost_point(screen, view, at, ghost, i);
        }
    }
}

/* ---- panel and toast ---- */

static void paint_edge_row(term_screen *screen, stage_rect box, int row, const char *left,
                           const char *right, uint32_t colour)
{
    term_screen_text(screen, box.x, row, colour, PANEL, left);
    for (int x = 1; x + 1 < box.width; x++) {
        term_screen_text(screen, box.x + x, row, colour, PANEL, "\u2500");
    }
    term_screen_text(screen, box.x + box.width - 1, row, colour, PANEL, right);
}

static void paint_row(term_screen *screen, stage_rect box, int row, const char *edge,
                      uint32_t colour, uint32_t text_colour, const char *text)
{
    for (int x = 0; x < box.width; x++) {
        term_screen_put(screen, box.x + x, row, ' ', TEXT, PANEL);
    }
    term_screen_text(screen, box.x, row, colour, PANEL, edge);
    term_screen_text(screen, box.x + 2, row, text_colour, PANEL, text);
    term_screen_text(screen, box.x + box.width - 1, row, colour, PANEL, edge);
}

static void paint_panel(term_screen *screen, const stage_view *view, int rows_free)
{
    char rows[PANEL_ROWS][STAGE_LINE_CHARS];
    int columns = screen->columns - 6, widest = 0, room = rows_free - 2;
    int count = columns < 1
                    ? 0
                    : stage_panel_rows(view, columns, rows, room < PANEL_ROWS ? room : PANEL_ROWS);
    for (int i = 0; i < count; i++) {
        int width = stage_columns(rows[i]);
        widest = width > widest ? width : widest;
    }
    if (!count) {
        return;
    }
    stage_rect box = {(screen->columns - widest - 4) / 2, (rows_free - count - 2) / 2, widest + 4,
                      count + 2};
    uint32_t edge = view->alarm ? ALARM : NOTICE;
    paint_edge_row(screen, box, box.y, "\u250c", "\u2510", edge);
    for (int i = 0; i < count; i++) {
        paint_row(screen, box, box.y + 1 + i, view->alarm ? "\u2503" : "\u2502", edge,
                  i ? TEXT : WHITE, rows[i]);
    }
    paint_edge_row(screen, box, box.y + count + 1, "\u2514", "\u2518", edge);
}

static void paint_toast(term_screen *screen, const stage_view *view, int rows)
{
    char text[STAGE_LINE_CHARS];
    if (rows < 1 || screen->columns < 8) {
        return;
    }
    rp_text_copy(text, sizeof text, view->toast);
    stage_cut(text, screen->columns - 5);
    int column = term_screen_text(screen, 1, rows - 1, BUILD, PANEL, "\u2503 ");
    column = term_screen_text(screen, column, rows - 1, WHITE, PANEL, text);
    term_screen_put(screen, column, rows - 1, ' ', WHITE, PANEL);
}

/* ---- timeline and status ---- */

static int track_column(stage_rect track, const stage_view *view, uint64_t frame)
{
    return track.x + (int)(stage_fraction(view, frame) * (track.width - 1) + 0.5);
}

static void paint_span(term_screen *screen, int row, int from, int to, const char *symbol,
                       uint32_t colour)
{
    for (int column = from; column < to; column++) {
        term_screen_text(screen, column, row, colour, BAR, symbol);
    }
}

static void paint_mark(term_screen *screen, stage_rect track, const stage_view *view,
                       stage_mark mark)
{
    if (mark.frame < view->oldest || mark.frame > view->newest) {
        return;
    }
    const char *symbol = mark.kind == 'b'   ? "\u25b2"
                         : mark.kind == 'c' ? "\u2715"
                         : mark.kind == 'd' ? "\u2260"
                                            : "[";
    uint32_t colour = mark.kind == 'b'   ? BUILD
                      : mark.kind == 'c' ? CRASH
                      : mark.kind == 'd' ? DIFFERS
                                         : MARK;
    term_screen_text(screen, track_column(track, view, mark.frame), track.y, colour, BAR, symbol);
}

static stage_rect paint_timeline(term_screen *screen, const stage_view *view, int row)
{
    stage_rect track = {1, row, screen->columns - 2, 1};
    int mark_count = view->mark_count < STAGE_MARK_MAX ? view->mark_count : STAGE_MARK_MAX;
    if (track.width < 1) {
        return (stage_rect){0};
    }
    int head = track_column(track, view, view->position);
    paint_span(screen, row, 0, screen->columns, " ", BAR);
    paint_span(screen, row, track.x, track.x + track.width, "\u2500", TRACK);
    paint_span(screen, row, track.x, head, "\u2501", PAST);
    if (view->looping) {
        int from = track_column(track, view, view->loop_from),
            to = track_column(track, view, view->loop_to);
        paint_span(screen, row, from, to + 1, "\u25ac", LOOP);
    }
    for (int i = 0; i < mark_count; i++) {
        paint_mark(screen, track, view, view->marks[i]);
    }
    if (view->has_mark && !view->looping) {
        paint_mark(screen, track, view, (stage_mark){view->mark, 'i'});
    }
    term_screen_text(screen, head, row, WHITE, BAR, "\u25cf");
    return track;
}

static void paint_status(term_screen *screen, const stage_view *view, int row)
{
    char text[256], hint[64];
    int columns = screen->columns - 2;
    paint_span(screen, row, 0, screen->columns, " ", BAR);
    stage_status_text(view, text, sizeof text, columns);
    int end = term_screen_text(screen, 1, row, TEXT, BAR, text);
    stage_hint_text(view, hint, sizeof hint, screen->columns - end - 3);
    term_screen_text(screen, screen->columns - 1 - stage_columns(hint), row, FAINT, BAR, hint);
}

term_places term_paint(term_screen *screen, const stage_view *view)
{
    int bar_rows = screen->rows > BAR_ROWS ? BAR_ROWS : screen->rows > 1 ? 1 : 0;
    int rows = screen->rows - bar_rows;
    term_places places = {.picture = paint_picture(screen, view, rows)};
    paint_ghosts(screen, view, places.picture);
    if (view->toast[0]) {
        paint_toast(screen, view, rows);
    }
    if (view->line_count > 0) {
        paint_panel(screen, view, rows);
    }
    if (bar_rows == BAR_ROWS) {
        places.track = paint_timeline(screen, view, rows);
    }
    if (bar_rows > 0) {
        paint_status(screen, view, screen->rows - 1);
    }
    return places;
}
