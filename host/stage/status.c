/* The status line as text: parts joined by dots, the less important ones left out where it is
 * narrow. */
#include "stage/layout.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PART_CHARS = 64, PART_MAX = 8 };

typedef struct status_part {
    char text[PART_CHARS];
    int rank; /* 0 stays longest */
} status_part;

typedef struct status_line {
    status_part parts[PART_MAX];
    int count;
} status_line;

__attribute__((format(printf, 3, 4))) static void add(status_line *line, int rank,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    status_part *part = &line->parts[line->count++];
    part->rank = rank;
    vsnprintf(part->text, sizeof part->text, format, arguments);
    va_end(arguments);
}

static const char *mode_symbol(const char *mode)
{
    static const struct {
        const char *mode, *symbol;
    } symbols[] = {
        {"pause", "\u2016"}, {"rewind", "\u25c0"}, {"loop", "\u21bb"}, {"failed", "\u2715"}};
    for (size_t i = 0; mode && i < sizeof symbols / sizeof symbols[0]; i++) {
        if (!strcmp(symbols[i].mode, mode)) {
            return symbols[i].symbol;
        }
    }
    return "\u25b6";
}

static void add_speed(status_line *line, uint32_t divisor)
{
    if (divisor == 2 || divisor == 4) {
        add(line, 1, "%s speed", divisor == 2 ? "\u00bd" : "\u00bc");
    } else if (divisor > 1) {
        add(line, 1, "1/%" PRIu32 " speed", divisor);
    }
}

static void collect(status_line *line, const stage_view *view)
{
    add(line, 0, "%s build %" PRIu32, mode_symbol(view->mode), view->build);
    if (view->build_time[0]) {
        add(line, 4, "%.*s", (int)sizeof view->build_time, view->build_time);
    }
    if (view->position < view->newest && !view->looping) {
        add(line, 1, "frame %" PRIu64 "/%" PRIu64, view->position, view->newest);
    } else {
        add(line, 1, "frame %" PRIu64, view->position);
    }
    if (view->rate_hz) {
        add(line, 3, "%.1f s", (double)view->position / view->rate_hz);
    }
    if (view->looping) {
        add(line, 2, "loop %" PRIu64 "\u2013%" PRIu64 " pass %" PRIu64, view->loop_from,
            view->loop_to, view->loop_pass);
    } else if (view->has_mark) {
        add(line, 2, "marked in at %" PRIu64, view->mark);
    }
    add_speed(line, view->speed_divisor);
}

static void join(const status_line *line, int highest_rank, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    for (int i = 0; i < line->count; i++) {
        if (line->parts[i].rank <= highest_rank) {
            rp_text_add(&buffer, "%s%s", buffer.length ? " \u00b7 " : "", line->parts[i].text);
        }
    }
}

void stage_status_text(const stage_view *view, char *text, size_t capacity, int columns)
{
    status_line line = {.count = 0};
    collect(&line, view);
    for (int rank = 4; rank >= 0; rank--) {
        join(&line, rank, text, capacity);
        if (stage_columns(text) <= columns) {
            return;
        }
    }
    stage_cut(text, columns);
}

void stage_hint_text(const stage_view *view, char *text, size_t capacity, int columns)
{
    snprintf(text, capacity, "%.2f ms \u00b7 F1 help", view->step_ms);
    if (view->step_ms <= 0 || stage_columns(text) > columns) {
        snprintf(text, capacity, "F1 help");
    }
    if (stage_columns(text) > columns) {
        text[0] = 0;
    }
}
