/* `reprise ctl debug` and `reprise ctl memory`: choosing modes, reports, marks. See run.h. */
#include "foreign_text.h"
#include "memory_text.h"
#include "run.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    link_report kind;
} reports[] = {
    {"tree", LINK_REPORT_TREE},
    {"leaks", LINK_REPORT_LEAKS},
    {"fragmentation", LINK_REPORT_FRAGMENTATION},
    {"ledger", LINK_REPORT_LEDGER},
};

static const char *string_of(const json_t *request, const char *key)
{
    const char *text = json_string_value(json_object_get(request, key));
    return text ? text : "";
}

static json_t *done(void)
{
    json_t *answer = json_object();
    json_object_set_new(answer, "ok", json_true());
    return answer;
}

/* ---- reports ---- */

/* "text": folded lines; or "report": the value. */
static json_t *report_answer(run *r, link_report kind, const json_t *request, uint64_t a,
                             uint64_t b)
{
    bool json = json_is_true(json_object_get(request, "json"));
    session_report report;
    if (session_report_make(&r->session, kind, json, a, b, &report)) {
        return run_refused();
    }
    const link_memory *link = r->session.live.link;
    int objects = (int)rp_min_size(link->object_count, LINK_OBJECT_MAX);
    json_t *value = NULL;
    if (json) {
        value = memory_json_named(report.text, link->objects, objects);
    } else {
        char *text = memory_text_named(report.text, link->objects, objects, MEMORY_TEXT_COLUMNS);
        value = text ? foreign_json(text) : NULL;
        free(text);
    }
    free(report.text);
    if (!value) {
        rp_fail(RP_E_FORMAT, "memory: the report cannot be read, or there is no memory for it");
        return run_refused();
    }
    json_t *answer = done();
    json_object_set_new(answer, "frame", json_integer((json_int_t)session_frame(&r->session)));
    json_object_set_new(answer, json ? "report" : "text", value);
    return answer;
}

/* ---- marks ---- */

static run_growth_mark *mark_named(run *r, const char *name)
{
    for (size_t i = 0; i < RUN_MARK_MAX; i++) {
        if (strcmp(r->growth_marks[i].name, name) == 0) {
            return &r->growth_marks[i];
        }
    }
    return NULL;
}

/* Null with the record set. */
static const run_growth_mark *mark_alive(run *r, const char *name)
{
    const run_growth_mark *mark = *name ? mark_named(r, name) : NULL;
    if (!mark) {
        rp_fail(RP_E_NOT_FOUND,
                "memory: there is no mark \"%.47s\": make it with `reprise ctl memory mark %.47s`",
                name, name);
        return NULL;
    }
    if (mark->runner != r->session.live.pid) {
        rp_fail(RP_E_NOT_FOUND,
                "memory: the mark \"%s\" of frame %llu went with the runner that it was made in: a "
                "new build or a restart came between: make it again",
                name, (unsigned long long)mark->frame);
        return NULL;
    }
    return mark;
}

static json_t *mark_answer(run *r, const json_t *request)
{
    const char *name = string_of(request, "name");
    run_growth_mark *mark = *name ? mark_named(r, name) : NULL;
    mark = mark ? mark : mark_named(r, "");
    if (!*name || strlen(name) >= RUN_MARK_BYTES || !mark) {
        rp_fail(RP_E_ARGUMENT,
                "memory: mark \"%.60s\": a mark's name has 1 to %d bytes, and there are at most "
                "%d: use a name again",
                name, RUN_MARK_BYTES - 1, RUN_MARK_MAX);
        return run_refused();
    }
    session_report report;
    if (session_report_make(&r->session, LINK_REPORT_MARK, false, 0, 0, &report)) {
        return run_refused();
    }
    free(report.text);
    *mark = (run_growth_mark){
        .number = report.count, .frame = session_frame(&r->session), .runner = r->session.live.pid};
    rp_text_copy(mark->name, sizeof mark->name, name);
    json_t *answer = done();
    json_object_set_new(answer, "mark", json_string(name));
    json_object_set_new(answer, "frame", json_integer((json_int_t)mark->frame));
    return answer;
}

static json_t *growth_answer(run *r, const json_t *request)
{
    const run_growth_mark *from = mark_alive(r, string_of(request, "from"));
    const run_growth_mark *to = from ? mark_alive(r, string_of(request, "to")) : NULL;
    return to ? report_answer(r, LINK_REPORT_GROWTH, request, from->number, to->number)
              : run_refused();
}

json_t *run_memory_answer(run *r, const json_t *request)
{
    const char *what = string_of(request, "what");
    for (size_t i = 0; i < RP_COUNT_OF(reports); i++) {
        if (strcmp(what, reports[i].name) == 0) {
            return report_answer(r, reports[i].kind, request, 0, 0);
        }
    }
    if (strcmp(what, "mark") == 0) {
        return mark_answer(r, request);
    }
    if (strcmp(what, "growth") == 0) {
        return growth_answer(r, request);
    }
    rp_fail(
        RP_E_ARGUMENT,
        "memory: no report \"%.40s\": there are tree, leaks, fragmentation, ledger, growth, and "
        "mark",
        what);
    return run_refused();
}

/* ---- debug modes ---- */

json_t *run_debug_answer(run *r, const json_t *request)
{
    const char *settings = string_of(request, "settings");
    if (*settings && session_debug_set(&r->session, settings)) {
        return run_refused();
    }
    json_t *answer = json_is_true(json_object_get(request, "list"))
                         ? report_answer(r, LINK_REPORT_MODES, request, 0, 0)
                         : done();
    json_object_set_new(answer, "chosen", foreign_json(r->session.debug.text));
    return answer;
}

/* ---- the end ---- */

void run_leaks(run *r)
{
    session_report report;
    if (!r->options.leaks) {
        return;
    }
    if (session_leaks(&r->session, &report)) {
        fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
        r->exit_code = r->exit_code ? r->exit_code : RUN_EXIT_FAILED;
        return;
    }
    const link_memory *link = r->session.live.link;
    int objects = (int)rp_min_size(link->object_count, LINK_OBJECT_MAX);
    char *text = memory_text_named(report.text, link->objects, objects, MEMORY_TEXT_COLUMNS);
    fputs(text ? text : report.text, stderr);
    free(text);
    free(report.text);
    if (report.count && !r->exit_code) {
        r->exit_code = RUN_EXIT_LEAKS;
    }
}
