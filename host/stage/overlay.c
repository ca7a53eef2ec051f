/* The window's picture: the program's canvas scaled up, panels over it, the timeline under it.
 *
 *     ┌──────────────────────────────┐
 *     │ toast                        │  area: the picture, centred, by a whole factor
 *     │        ┌ panel ┐             │
 *     ├──────────────────────────────┤
 *     │ ▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬|       │  bar: timeline and status line
 *     │ ▶ build 3 · frame 1204       │
 *     └──────────────────────────────┘
 *
 * Meaning is never in a colour alone: each mark has its own shape, an alarm its own edge and sign.
 * The colours are ones that stay apart in every common kind of colour blindness.
 */
#include "stage/layout.h"

#include "base/text.h"
#include "deck/font.h"

#include <reprise/draw.h>
#include <string.h>

enum {
    COLOUR_BACK = 0x0B0D11,
    COLOUR_BAR = 0x161A21,
    COLOUR_EDGE = 0x2B313C,
    COLOUR_TRACK = 0x303744,
    COLOUR_PAST = 0x667084,
    COLOUR_LOOP = 0x2F7FC1,
    COLOUR_HEAD = 0xFFFFFF,
    COLOUR_BUILD = 0x56B4E9,
    COLOUR_CRASH = 0xF0643C,
    COLOUR_MARK = 0xF0D442,
    COLOUR_DIFFERS = 0xD98CBF,
    COLOUR_TEXT = 0xE4E8EF,
    COLOUR_FAINT = 0x8A94A6,
    COLOUR_PANEL = 0x1A1F29,
    COLOUR_ALARM = 0xE0452F,
    COLOUR_NOTICE = 0x566179,
    LINE_UNITS = 11, /* of a panel's row */
    TOAST_UNITS = 17,
    PANEL_ROWS = 64,
    PANEL_COLUMNS = 110 /* longer lines are hard to read */
};

static void fill(rp_canvas *canvas, int x, int y, int width, int height, uint32_t colour)
{
    rp_fill(canvas, (float)x, (float)y, (float)width, (float)height, colour);
}

static void fill_rect(rp_canvas *canvas, stage_rect rect, uint32_t colour)
{
    fill(canvas, rect.x, rect.y, rect.width, rect.height, colour);
}

static void text_at(rp_canvas *canvas, int x, int y, int scale, uint32_t colour, const char *text)
{
    rp_text(canvas, (float)x, (float)y, scale, colour, text);
}

/* ---- picture ---- */

static void fill_around(rp_canvas *window, stage_rect area, stage_rect inner)
{
    int below = inner.y + inner.height, right = inner.x + inner.width;
    fill(window, area.x, area.y, area.width, inner.y - area.y, COLOUR_BACK);
    fill(window, area.x, below, area.width, area.y + area.height - below, COLOUR_BACK);
    fill(window, area.x, inner.y, inner.x - area.x, inner.height, COLOUR_BACK);
    fill(window, right, inner.y, area.x + area.width - right, inner.height, COLOUR_BACK);
}

static void scale_row(uint32_t *to, int width, const uint32_t *from, int from_width)
{
    int factor = width / from_width;
    if (factor * from_width != width) {
        for (int x = 0; x < width; x++) {
            to[x] = from[(int64_t)x * from_width / width];
        }
        return;
    }
    for (int x = 0; x < from_width; x++) {
        for (int i = 0; i < factor; i++) {
            *to++ = from[x];
        }
    }
}

static void draw_picture(rp_canvas *window, const stage_view *view, stage_rect to)
{
    int last = -1;
    uint32_t *row = window->pixels + (ptrdiff_t)to.y * window->stride_px + to.x;
    for (int y = 0; y < to.height; y++, row += window->stride_px) {
        int from = (int)((int64_t)y * view->height_px / to.height);
        if (from == last) {
            memcpy(row, row - window->stride_px, (size_t)to.width * sizeof *row);
        } else {
            scale_row(row, to.width, view->pixels + (ptrdiff_t)from * view->stride_px,
                      view->width_px);
        }
        last = from;
    }
}

/* ---- timeline ---- */

static int track_x(stage_rect track, double fraction)
{
    return track.x + (int)(fraction * (track.width > 1 ? track.width - 1 : 0));
}

/* A shape of stacked rows around x, widest at the top (`down`) or at the bottom. */
static void draw_triangle(rp_canvas *canvas, int x, int y, int unit, bool down, uint32_t colour)
{
    for (int row = 0; row < 3 * unit; row++) {
        int half = (down ? 3 * unit - 1 - row : row) * 2 / 3;
        fill(canvas, x - half, y + row, 2 * half + 1, 1, colour);
    }
}

static void draw_glyph(rp_canvas *canvas, int x, int y, int unit, uint32_t colour,
                       const char *symbol)
{
    text_at(canvas, x - RP_FONT_GLYPH_WIDTH * unit / 2, y, unit, colour, symbol);
}

static void draw_mark(rp_canvas *canvas, const stage_layout *layout, const stage_view *view,
                      stage_mark mark)
{
    stage_rect track = layout->track;
    int unit = layout->unit, x = track_x(track, stage_fraction(view, mark.frame));
    int middle = track.y + track.height / 2;
    if (mark.frame < view->oldest || mark.frame > view->newest) {
        return;
    }
    switch (mark.kind) {
    case 'b':
        fill(canvas, x - unit / 2, track.y - unit, unit, track.height + unit, COLOUR_BUILD);
        draw_triangle(canvas, x, track.y + track.height, unit, false, COLOUR_BUILD);
        break;
    case 'c':
        draw_glyph(canvas, x, middle - 7 * unit / 2, unit, COLOUR_CRASH, "\u2715");
        break;
    case 'd':
        draw_glyph(canvas, x, middle - 7 * unit / 2, unit, COLOUR_DIFFERS, "\u2260");
        break;
    default:
        fill(canvas, x - unit / 2, track.y - 3 * unit, unit, track.height + 5 * unit, COLOUR_MARK);
        fill(canvas, x - unit / 2, track.y - 3 * unit, 4 * unit, 2 * unit, COLOUR_MARK);
    }
}

static void draw_loop(rp_canvas *canvas, const stage_layout *layout, const stage_view *view)
{
    stage_rect track = layout->track;
    int unit = layout->unit;
    int from = track_x(track, stage_fraction(view, view->loop_from));
    int to = track_x(track, stage_fraction(view, view->loop_to));
    int width = to - from > unit ? to - from : unit;
    fill(canvas, from, track.y - unit, width, track.height + 2 * unit, COLOUR_LOOP);
    fill(canvas, from - unit, track.y - 2 * unit, unit, track.height + 4 * unit, COLOUR_BUILD);
    fill(canvas, from + width, track.y - 2 * unit, unit, track.height + 4 * unit, COLOUR_BUILD);
}

static void draw_timeline(rp_canvas *canvas, const stage_layout *layout, const stage_view *view)
{
    stage_rect track = layout->track;
    int unit = layout->unit, head = track_x(track, stage_fraction(view, view->position));
    int mark_count = view->mark_count < STAGE_MARK_MAX ? view->mark_count : STAGE_MARK_MAX;
    fill_rect(canvas, track, COLOUR_TRACK);
    fill(canvas, track.x, track.y, head - track.x, track.height, COLOUR_PAST);
    if (view->looping) {
        draw_loop(canvas, layout, view);
    }
    for (int i = 0; i < mark_count; i++) {
        draw_mark(canvas, layout, view, view->marks[i]);
    }
    if (view->has_mark && !view->looping) {
        draw_mark(canvas, layout, view, (stage_mark){view->mark, 'i'});
    }
    /* A dark rim keeps the head readable on any colour under it. */
    fill(canvas, head - unit, track.y - unit, 3 * unit, track.height + 2 * unit, COLOUR_BAR);
    fill(canvas, head, track.y - 2 * unit, unit, track.height + 4 * unit, COLOUR_HEAD);
    draw_triangle(canvas, head + unit / 2, track.y - 4 * unit, unit, true, COLOUR_HEAD);
}

static void draw_status(rp_canvas *canvas, const stage_layout *layout, const stage_view *view)
{
    char text[256], hint[64];
    int unit = layout->unit, y = layout->bar.y + 14 * unit, cell = RP_FONT_CELL_WIDTH * unit;
    int columns = layout->track.width / cell;
    stage_status_text(view, text, sizeof text, columns);
    text_at(canvas, layout->track.x, y, unit, COLOUR_TEXT, text);
    stage_hint_text(view, hint, sizeof hint, columns - stage_columns(text) - 2);
    int right = layout->track.x + layout->track.width + unit;
    text_at(canvas, right - rp_text_width(unit, hint), y, unit, COLOUR_FAINT, hint);
}

static void draw_bar(rp_canvas *window, const stage_layout *layout, const stage_view *view)
{
    stage_rect bar = layout->bar;
    /* A canvas of the bar alone: nothing of it can reach the picture. */
    rp_canvas canvas = {window->pixels + (ptrdiff_t)bar.y * window->stride_px, bar.width,
                        bar.height, window->stride_px, 0};
    stage_layout inner = *layout;
    inner.bar.y = 0;
    inner.track.y -= bar.y;
    rp_clear(&canvas, COLOUR_BAR);
    fill(&canvas, 0, 0, bar.width, 1, COLOUR_EDGE);
    draw_timeline(&canvas, &inner, view);
    if (bar.height >= stage_overlay_height(layout->unit)) {
        draw_status(&canvas, &inner, view);
    }
}

/* ---- panel and toast ---- */

static void draw_edge(rp_canvas *canvas, stage_rect box, int thickness, uint32_t colour)
{
    for (int i = 0; i < thickness; i++) {
        rp_frame_rect(canvas, (float)(box.x + i), (float)(box.y + i), (float)(box.width - 2 * i),
                      (float)(box.height - 2 * i), colour);
    }
}

static stage_rect draw_panel_box(rp_canvas *canvas, const stage_layout *layout, bool alarm,
                                 int columns, int rows)
{
    int unit = layout->unit, padding = 8 * unit;
    stage_rect box = {.width = columns * RP_FONT_CELL_WIDTH * unit + 2 * padding,
                      .height = rows * LINE_UNITS * unit + 2 * padding - 2 * unit};
    box.x = layout->area.x + (layout->area.width - box.width) / 2;
    box.y = layout->area.y + (layout->area.height - box.height) / 2;
    rp_fill_blend(canvas, (float)(box.x + 2 * unit), (float)(box.y + 2 * unit), (float)box.width,
                  (float)box.height, 0x000000, 110);
    rp_fill_blend(canvas, (float)box.x, (float)box.y, (float)box.width, (float)box.height,
                  COLOUR_PANEL, 244);
    draw_edge(canvas, box, alarm ? 2 * unit : unit, alarm ? COLOUR_ALARM : COLOUR_NOTICE);
    if (alarm) {
        fill(canvas, box.x, box.y, 5 * unit, box.height, COLOUR_ALARM);
    }
    return (stage_rect){box.x + padding + (alarm ? 2 * unit : 0), box.y + padding, box.width,
                        box.height};
}

static void draw_panel(rp_canvas *canvas, const stage_layout *layout, const stage_view *view)
{
    char rows[PANEL_ROWS][STAGE_LINE_CHARS];
    int unit = layout->unit, cell = RP_FONT_CELL_WIDTH * unit, widest = 0;
    int columns = (layout->area.width - 32 * unit) / cell;
    int room = (layout->area.height - 22 * unit) / (LINE_UNITS * unit);
    columns = columns < 1 ? 1 : columns > PANEL_COLUMNS ? PANEL_COLUMNS : columns;
    int count = stage_panel_rows(view, columns, rows, room < PANEL_ROWS ? room : PANEL_ROWS);
    for (int i = 0; i < count; i++) {
        int width = stage_columns(rows[i]);
        widest = width > widest ? width : widest;
    }
    if (!count) {
        return;
    }
    stage_rect at = draw_panel_box(canvas, layout, view->alarm, widest, count);
    for (int i = 0; i < count; i++) {
        uint32_t colour = i == 0 ? COLOUR_HEAD : COLOUR_TEXT;
        text_at(canvas, at.x, at.y + i * LINE_UNITS * unit, unit, colour, rows[i]);
    }
}

/* At the bottom left: programs write at the top. */
static void draw_toast(rp_canvas *canvas, const stage_layout *layout, const stage_view *view)
{
    char text[STAGE_LINE_CHARS];
    int unit = layout->unit, cell = RP_FONT_CELL_WIDTH * unit, margin = 6 * unit;
    int top = layout->area.height - margin - TOAST_UNITS * unit;
    rp_text_copy(text, sizeof text, view->toast);
    stage_cut(text, (layout->area.width - 2 * margin - 12 * unit) / cell);
    int width = rp_text_width(unit, text) + 12 * unit, height = TOAST_UNITS * unit;
    rp_fill_blend(canvas, (float)margin, (float)top, (float)width, (float)height, COLOUR_PANEL,
                  232);
    fill(canvas, margin, top, 2 * unit, height, COLOUR_BUILD);
    text_at(canvas, margin + 7 * unit, top + 5 * unit, unit, COLOUR_HEAD, text);
}

stage_rect stage_overlay_draw(rp_canvas *window, const stage_view *view, stage_rect *picture)
{
    stage_layout layout = stage_layout_of(window->width_px, window->height_px);
    stage_rect shown = stage_fit(layout.area, view->pixels ? view->width_px : 0, view->height_px);
    rp_canvas area = {window->pixels, layout.area.width, layout.area.height, window->stride_px, 0};
    fill_around(&area, layout.area, shown);
    if (shown.width && shown.height) {
        draw_picture(&area, view, shown);
        stage_ghosts_draw(&area, view, shown);
    }
    if (view->dimmed) {
        rp_fill_blend(&area, (float)shown.x, (float)shown.y, (float)shown.width,
                      (float)shown.height, COLOUR_BACK, 150);
    }
    if (view->line_count > 0) {
        draw_panel(&area, &layout, view);
    }
    if (view->toast[0]) {
        draw_toast(&area, &layout, view);
    }
    draw_bar(window, &layout, view);
    if (picture) {
        *picture = shown;
    }
    return layout.track;
}
