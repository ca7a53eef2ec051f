/* Where things stand, and text cut to fit. */
#include "stage/layout.h"

#include "deck/font.h"

#include <stdio.h>
#include <string.h>

int stage_columns(const char *text)
{
    int columns = 0;
    while (rp_utf8_next(&text)) {
        columns++;
    }
    return columns;
}

void stage_cut(char *text, int columns)
{
    static const char ellipsis[] = "\u2026";
    if (stage_columns(text) <= columns) {
        return;
    }
    const char *cursor = text;
    for (int i = 0; i + 1 < columns; i++) {
        rp_utf8_next(&cursor);
    }
    size_t kept = (size_t)(cursor - text), length = strlen(text);
    if (columns > 0 && kept + sizeof ellipsis <= length + 1) {
        memcpy(text + kept, ellipsis, sizeof ellipsis);
    } else {
        text[kept] = 0;
    }
}

const char *stage_wrap(const char *text, int columns, char *line, size_t capacity)
{
    const char *cursor = text, *space = NULL;
    bool in_word = false;
    for (int i = 0; *cursor && (i < columns || i == 0); i++) {
        const char *before = cursor;
        rp_utf8_next(&cursor);
        if (cursor > text + capacity - 1) {
            cursor = before > text ? before : text + 1;
            break;
        }
        /* Spaces that begin the line are its indentation: no place to break. */
        space = *before == ' ' && in_word ? before : space;
        in_word = in_word || *before != ' ';
    }
    const char *end = *cursor && *cursor != ' ' && space ? space : cursor;
    size_t length = (size_t)(end - text) < capacity ? (size_t)(end - text) : capacity - 1;
    memcpy(line, text, length);
    line[length] = 0;
    while (*end == ' ') {
        end++;
    }
    return *end ? end : NULL;
}

/* One line of the view as rows; the rows it took or would have taken. */
static int wrap_line(const char *text, int columns, char rows[][STAGE_LINE_CHARS], int room)
{
    enum { INDENT = 2 };
    char dropped[STAGE_LINE_CHARS];
    int count = 0;
    while (text) {
        char *row = count < room ? rows[count] : dropped;
        int indent = count > 0 && columns > 4 * INDENT ? INDENT : 0;
        memset(row, ' ', (size_t)indent);
        text = stage_wrap(text, columns - indent, row + indent, STAGE_LINE_CHARS - (size_t)indent);
        count++;
    }
    return count;
}

int stage_panel_rows(const stage_view *view, int columns, char rows[][STAGE_LINE_CHARS],
                     int capacity)
{
    int count = 0,
        line_count = view->line_count < STAGE_LINE_MAX ? view->line_count : STAGE_LINE_MAX;
    for (int i = 0; i < line_count; i++) {
        int room = count < capacity ? capacity - count : 0;
        count += wrap_line(view->lines[i], columns, rows + (count < capacity ? count : 0), room);
    }
    if (count <= capacity) {
        return count;
    }
    if (capacity > 0) {
        snprintf(rows[capacity - 1], STAGE_LINE_CHARS, "\u2026 %d more", count - capacity + 1);
        stage_cut(rows[capacity - 1], columns);
    }
    return capacity > 0 ? capacity : 0;
}

double stage_fraction(const stage_view *view, uint64_t frame)
{
    if (view->newest <= view->oldest || frame >= view->newest) {
        return 1;
    }
    return frame <= view->oldest
               ? 0
               : (double)(frame - view->oldest) / (double)(view->newest - view->oldest);
}

stage_rect stage_fit(stage_rect area, int width_px, int height_px)
{
    stage_rect fit = {area.x, area.y, 0, 0};
    if (width_px < 1 || height_px < 1 || area.width < 1 || area.height < 1) {
        return fit;
    }
    int across = area.width / width_px, down = area.height / height_px;
    int factor = across < down ? across : down;
    if (factor > 0) {
        fit.width = width_px * factor;
        fit.height = height_px * factor;
    } else if ((int64_t)area.width * height_px < (int64_t)area.height * width_px) {
        fit.width = area.width;
        fit.height = (int)((int64_t)height_px * area.width / width_px);
    } else {
        fit.height = area.height;
        fit.width = (int)((int64_t)width_px * area.height / height_px);
    }
    fit.width = fit.width ? fit.width : 1;
    fit.height = fit.height ? fit.height : 1;
    fit.x += (area.width - fit.width) / 2;
    fit.y += (area.height - fit.height) / 2;
    return fit;
}

int stage_overlay_unit(int width_px, int height_px)
{
    int across = (width_px + 240) / 640, down = height_px / 240;
    int unit = across < down ? across : down;
    return unit < 1 ? 1 : unit > 8 ? 8 : unit;
}

int stage_overlay_height(int unit)
{
    return 25 * unit;
}

stage_layout stage_layout_of(int width_px, int height_px)
{
    int unit = stage_overlay_unit(width_px, height_px);
    int wanted = stage_overlay_height(unit);
    int height = wanted <= height_px / 2 ? wanted : height_px / 4;
    int margin = width_px > 40 * unit ? 8 * unit : unit;
    stage_layout layout = {.unit = unit};
    layout.bar = (stage_rect){0, height_px - height, width_px, height};
    layout.area = (stage_rect){0, 0, width_px, height_px - height};
    layout.track = (stage_rect){margin, layout.bar.y + 5 * unit, width_px - 2 * margin, 4 * unit};
    if (height < wanted) {
        layout.track.y = layout.bar.y;
        layout.track.height = height;
    }
    return layout;
}
