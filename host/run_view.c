/* What the stage shows: one view, filled from the session and the transport. See run.h. */
#include "run.h"
#include "stage/layout.h"

#include <base/bits.h>
#include <base/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOAST_SECONDS = 4, NOTICE_COLUMNS = 150 };

/* A terminal stage owns the terminal: what would be printed becomes a toast there. */
static bool can_print(const run *r)
{
    return !r->stage || r->stage_class != &stage_term_class;
}

void run_toast(run *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->toast, sizeof r->toast, format, arguments);
    va_end(arguments);
    r->toast_until_ns = rp_os_monotonic_ns() + TOAST_SECONDS * UINT64_C(1000000000);
    if (can_print(r)) {
        fprintf(stderr, "reprise: %s\n", r->toast);
    }
}

void run_toast_quietly(run *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->toast, sizeof r->toast, format, arguments);
    va_end(arguments);
    r->toast_until_ns = rp_os_monotonic_ns() + TOAST_SECONDS * UINT64_C(1000000000);
}

void run_say(run *r, const char *format, ...)
{
    char text[STAGE_LINE_CHARS];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (can_print(r)) {
        fprintf(stderr, "reprise: %s\n", text);
    } else {
        run_toast(r, "%s", text);
    }
}

void run_warn(run *r, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (can_print(r)) {
        fprintf(stderr, "reprise: %s\n", text);
    } else {
        run_toast(r, "%s", text);
    }
}

void run_notice(run *r, bool alarm, const char *text)
{
    r->notice_count = 0;
    r->notice_alarm = alarm;
    r->shown = false;
    for (const char *line = text; *line && r->notice_count < STAGE_LINE_MAX;) {
        char whole[1024];
        size_t length = strcspn(line, "\n");
        snprintf(whole, sizeof whole, "%.*s", (int)rp_min_size(length, sizeof whole - 1), line);
        const char *rest = whole;
        do { /* longer than what a view's line holds: in parts, at spaces */
            rest = stage_wrap(rest, NOTICE_COLUMNS, r->notice[r->notice_count++], STAGE_LINE_CHARS);
        } while (rest && r->notice_count < STAGE_LINE_MAX);
        line += length + (line[length] == '\n');
    }
    if (can_print(r)) {
        fprintf(stderr, "reprise: %s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
    }
}

void run_mark(run *r, char kind, uint64_t frame)
{
    stage_view *view = &r->view;
    if (view->mark_count == STAGE_MARK_MAX) {
        memmove(view->marks, view->marks + 1, (STAGE_MARK_MAX - 1) * sizeof view->marks[0]);
        view->mark_count--;
    }
    view->marks[view->mark_count++] = (stage_mark){.frame = frame, .kind = kind};
}

static void line_add(stage_view *view, const char *text)
{
    if (view->line_count < STAGE_LINE_MAX) {
        rp_text_copy(view->lines[view->line_count++], STAGE_LINE_CHARS, text);
    }
}

static void failure_lines(stage_view *view, const session_failure *failure)
{
    enum { HINT_LINES = 3 };
    for (int i = 0; i < failure->line_count && i < STAGE_LINE_MAX - HINT_LINES; i++) {
        line_add(view, failure->lines[i]);
    }
    line_add(view, "");
    if (failure->stands) {
        line_add(view, "the frame stands: F5 goes on · F6 back");
        return;
    }
    line_add(view, "mend it and save: the same input is tried again");
    line_add(view, "F4 retry · Shift F4 skip this input · F6 back");
}

static void panel_fill(run *r)
{
    stage_view *view = &r->view;
    const session_failure *failure = &r->session.failure;
    view->line_count = 0;
    view->dimmed = failure->active && (r->transport.failed || failure->stands);
    view->alarm = true;
    if (r->keys.want_help) {
        view->alarm = false;
        view->line_count = stage_keys_help(view->lines, STAGE_LINE_MAX);
    } else if (r->notice_count) {
        view->alarm = r->notice_alarm;
        for (int i = 0; i < r->notice_count; i++) {
            line_add(view, r->notice[i]);
        }
    } else if (view->dimmed) {
        failure_lines(view, failure);
    }
}

static void build_fill(run *r)
{
    session *s = &r->session;
    stage_view *view = &r->view;
    view->build = s->loaded;
    view->build_ms = s->loaded == s->newest && s->newest > 1 ? s->build_ms : 0;
    rp_text_copy(view->build_time, sizeof view->build_time,
                 s->loaded ? s->builds[s->loaded - 1].time : "");
}

static void transport_fill(run *r)
{
    const rp_transport *t = &r->transport;
    stage_view *view = &r->view;
    view->mode = rp_transport_text(t);
    view->position = t->position;
    view->oldest = t->oldest;
    view->newest = t->looping && t->loop_to > t->newest ? t->loop_to : t->newest;
    view->speed_divisor = t->ticks_a_frame ? t->ticks_a_frame : 1;
    view->looping = t->looping;
    view->loop_from = t->loop_from;
    view->loop_to = t->loop_to;
    view->loop_pass = t->loop_pass;
    view->has_mark = t->has_mark;
    view->mark = t->mark;
}

void run_show(run *r)
{
    session *s = &r->session;
    stage_view *view = &r->view;
    view->pixels = s->picture;
    view->width_px = (int)s->picture_width_px;
    view->height_px = (int)s->picture_height_px;
    view->stride_px = view->width_px;
    view->title = s->title[0] ? s->title : r->name;
    view->rate_hz = s->rate_hz;
    view->step_ms = (double)s->step_ns / 1e6;
    build_fill(r);
    transport_fill(r);
    panel_fill(r);
    run_ghosts(r);
    if (rp_os_monotonic_ns() > r->toast_until_ns) {
        r->toast[0] = 0;
    }
    rp_text_copy(view->toast, sizeof view->toast, r->toast);
    r->stage_class->show(r->stage, view);
    r->shown = true;
}
