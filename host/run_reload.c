/* What a change of builds brought over, and what can be done where it could not. See run.h. */
#include "foreign_text.h"
#include "run.h"
#include "type_answers.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *key, *help;
} ways[] = {
    [RUN_WAY_AGAIN] = {"again", "F4", "runs the recorded input again under it, from the start"},
    [RUN_WAY_RESTART] = {"restart", "Shift F4", "begins a new world under it"},
    [RUN_WAY_KEEP] = {"keep", "F12", "keeps the old build"},
    [RUN_WAY_REGARDLESS] = {"regardless", "Shift F12",
                            "loads it; what cannot be told or converted stays as it is"},
    [RUN_WAY_SINCE] = {"since", "",
                       "runs the input again from the last kept frame that it can take"},
};

/* ---- telling ---- */

/* What was converted, where a type changed. */
static void conversion_say(run *r)
{
    const rp_migration *m = &r->session.migration;
    uint32_t build = r->session.newest;
    if (m->values_lost) {
        run_warn(r,
                 "build %u: %llu values did not fit their new type, the first in %s: the nearest "
                 "was taken",
                 build, (unsigned long long)m->values_lost, m->lost_name);
    }
    if (m->pointers_left) {
        run_warn(r, "build %u: %llu pointers lead to fields that are gone, the first into %s",
                 build, (unsigned long long)m->pointers_left, m->left_name);
    }
    if (m->objects && m->blocks_foreign) {
        run_say(r, "build %u: %llu blocks that only libraries know were left as they are", build,
                (unsigned long long)m->blocks_foreign);
    }
}

/* "build 2 · 180 ms · 212 objects carried over"; said once its first step is done. */
void run_reload_say(run *r)
{
    session *s = &r->session;
    if (!r->reload_untold) {
        return;
    }
    r->reload_untold = false;
    char time[32] = "", objects[64] = "";
    if (!s->waiting_since_ns && s->build_ms > 0) {
        snprintf(time, sizeof time, " \u00b7 %.0f ms", s->build_ms);
    }
    if (s->migration.objects) {
        snprintf(objects, sizeof objects, "%llu objects converted, ",
                 (unsigned long long)s->migration.objects);
    }
    run_toast(r, "build %u%s \u00b7 %u variables carried over, %s%llu pointers moved%s%s",
              s->newest, time, s->reload.carried, objects,
              (unsigned long long)(s->reload.pointers_moved + s->migration.pointers_moved),
              s->reload_report[0] ? " \u00b7 " : "", s->reload_report);
    if (s->reload.pointers_left) {
        run_say(r, "build %u: %u pointers could not be moved, the first to %s", s->newest,
                s->reload.pointers_left, s->live.link->left_name);
    }
    conversion_say(r);
}

void run_reload_refused(run *r)
{
    char text[2048];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add(&buffer, "%s\n\nthe old build runs on", r->session.refused.why);
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        rp_text_add(&buffer, "\n%-9s  %s (reprise ctl reload --%s)", ways[i].key, ways[i].help,
                    ways[i].name);
    }
    run_notice(r, true, text);
}

/* ---- doing ---- */

static bool progress(void *context, uint64_t frame, uint64_t to)
{
    run *r = context;
    run_toast_quietly(r, "running the input again: frame %llu of %llu", (unsigned long long)frame,
                      (unsigned long long)to);
    run_at(r);
    run_idle(r);
    return !r->quit;
}

/* The transport stands where the session does; a loop starts its pass again. */
static void settle(run *r, bool new_world)
{
    if (new_world && r->transport.looping) {
        rp_transport_command(&r->transport, (rp_command){.kind = RP_COMMAND_UNLOOP});
    }
    r->view.mark_count = new_world ? 0 : r->view.mark_count;
    r->notice_count = 0;
    r->has_pending = false;
    r->shown = false;
    run_at(r);
    rp_transport_rebuilt(&r->transport);
    run_mark(r, 'b', session_frame(&r->session));
}

typedef rp_status again_fn(session *s, session_progress *progress, void *context);

static rp_status again_from(run *r, again_fn *from)
{
    uint64_t steps = r->session.steps, begin_ns = rp_os_monotonic_ns();
    uint32_t newest = r->session.newest;
    const rp_log *log = r->session.log;
    rp_status status = from(&r->session, progress, r);
    if (r->session.log == log && r->session.newest == newest) {
        return status; /* nothing was begun */
    }
    settle(r, false);
    if (status) {
        rp_error why = *rp_error_last();
        run_step_failed(r, status);
        rp_fail(why.status, "%s", why.text);
        return status;
    }
    run_toast(r, "build %u \u00b7 the input was run again: %llu frames in %.0f ms",
              r->session.newest, (unsigned long long)(r->session.steps - steps),
              (double)(rp_os_monotonic_ns() - begin_ns) / 1e6);
    return RP_OK;
}

static rp_status restart(run *r)
{
    rp_status status = session_world_restart(&r->session);
    if (!status) {
        settle(r, true);
        run_toast(r, "build %u \u00b7 a new world", r->session.newest);
    }
    return status;
}

/* The refused build once more. */
static rp_status build_again(run *r, bool regardless)
{
    rp_status status = session_build_again(&r->session, regardless);
    if (!status) {
        settle(r, false);
        r->reload_untold = true;
    }
    return status;
}

static rp_status keep(run *r)
{
    if (!r->session.refused.elf) {
        return rp_fail(RP_E_RANGE, "reload: no build was refused: there is nothing to keep out");
    }
    session_refused_drop(&r->session);
    r->notice_count = 0;
    r->shown = false;
    run_toast(r, "build %u runs on", r->session.loaded);
    return RP_OK;
}

rp_status run_reload_way(run *r, run_way way)
{
    switch (way) {
    case RUN_WAY_AGAIN:
        return again_from(r, session_world_again);
    case RUN_WAY_SINCE:
        return again_from(r, session_world_since);
    case RUN_WAY_RESTART:
        return restart(r);
    case RUN_WAY_KEEP:
        return keep(r);
    default:
        return build_again(r, true);
    }
}

/* ---- asked ---- */

static json_t *lines_json(const char *text)
{
    json_t *lines = json_array();
    while (*text) {
        char line[256];
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)rp_min_size(length, sizeof line - 1), text);
        json_array_append_new(lines, foreign_json(line));
        text += length + (text[length] == '\n');
    }
    return lines;
}

static json_t *report_json(const session *s)
{
    const rp_reload *reload = &s->reload;
    if (!reload->new_build) {
        return json_null();
    }
    json_t *report = json_pack(
        "{s:i, s:i, s:{s:i, s:i, s:i}, s:{s:i, s:i}, s:{s:f, s:f, s:f}, s:o}", "old_build",
        (int)reload->old_build, "new_build", (int)reload->new_build, "variables", "carried",
        (int)reload->carried, "added", (int)reload->added, "removed", (int)reload->removed,
        "pointers", "moved", (int)reload->pointers_moved, "left", (int)reload->pointers_left, "ms",
        "plan", s->times.plan_ms, "carry", s->times.carry_ms, "to_first_step", s->build_ms, "lines",
        lines_json(s->reload_report));
    if (report) {
        json_object_set_new(report, "converted", run_converted_json(&s->migration));
    }
    if (report && reload->pointers_left && s->live.link) {
        char name[sizeof s->live.link->left_name];
        rp_text_copy(name, sizeof name, s->live.link->left_name);
        json_object_set_new(json_object_get(report, "pointers"), "first_left", foreign_json(name));
    }
    return report;
}

json_t *run_converted_json(const rp_migration *m)
{
    json_t *converted = json_object();
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"objects", m->objects},
        {"blocks", m->blocks_changed},
        {"blocks_moved", m->blocks_moved},
        {"blocks_seen", m->blocks_seen},
        {"blocks_typed", m->blocks_typed},
        {"blocks_foreign", m->blocks_foreign},
        {"pointers_moved", m->pointers_moved},
        {"pointers_left", m->pointers_left},
        {"values_lost", m->values_lost},
    };
    for (size_t i = 0; i < RP_COUNT_OF(counts); i++) {
        json_object_set_new(converted, counts[i].name, json_integer((json_int_t)counts[i].count));
    }
    json_object_set_new(converted, "first_lost", foreign_json(m->lost_name));
    json_object_set_new(converted, "first_left", foreign_json(m->left_name));
    return converted;
}

static void refusal_set(json_t *json, const rp_refusal *refusal)
{
    static const char *const kinds[] = {"none", "variable", "field", "doubt", "place"};
    const char *kind = refusal->kind < RP_COUNT_OF(kinds) ? kinds[refusal->kind] : "unknown";
    json_object_set_new(json, "kind", json_string(kind));
    json_object_set_new(json, "count", json_integer((json_int_t)refusal->count));
    json_object_set_new(json, "block", json_integer((json_int_t)refusal->address));
    json_object_set_new(json, "size_bytes", json_integer((json_int_t)refusal->size_bytes));
    json_object_set_new(json, "what", foreign_json(refusal->what));
    json_object_set_new(json, "type", foreign_json(refusal->type));
    json_object_set_new(json, "place", foreign_json(refusal->place));
    json_object_set_new(json, "site", foreign_json(refusal->site));
    json_object_set_new(json, "reason", foreign_json(refusal->why));
}

json_t *run_refused_build_json(const session *s)
{
    if (!s->refused.elf) {
        return json_null();
    }
    json_t *list = json_array();
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        json_array_append_new(list, json_string(ways[i].name));
    }
    json_t *json = json_pack("{s:o, s:o}", "why", foreign_json(s->refused.why), "ways", list);
    if (json && s->refusal.kind) {
        refusal_set(json, &s->refusal);
    }
    return json;
}

static char *report_text(const session *s)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    const rp_reload *reload = &s->reload;
    if (!to) {
        return NULL;
    }
    if (reload->new_build) {
        fprintf(to, "build %u to %u in %.1f ms (plan %.1f, carry %.1f)\n", reload->old_build,
                reload->new_build, s->build_ms, s->times.plan_ms, s->times.carry_ms);
        fprintf(to, "variables  %u carried, %u new, %u removed\n", reload->carried, reload->added,
                reload->removed);
        fprintf(to, "pointers   %u moved, %u left\n", reload->pointers_moved,
                reload->pointers_left);
        if (s->migration.objects) {
            const rp_migration *m = &s->migration;
            fprintf(to,
                    "converted  %llu objects in %llu blocks, %llu of them moved; %llu pointers "
                    "moved, %llu left\n",
                    (unsigned long long)m->objects, (unsigned long long)m->blocks_changed,
                    (unsigned long long)m->blocks_moved, (unsigned long long)m->pointers_moved,
                    (unsigned long long)m->pointers_left);
        }
        fprintf(to, "%s%s", s->reload_report, s->reload_report[0] ? "\n" : "");
    } else {
        fputs("no build has taken over from another yet\n", to);
    }
    if (s->refused.elf) {
        fprintf(to, "refused: %s\n", s->refused.why);
        for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
            fprintf(to, "  --%-11s %s\n", ways[i].name, ways[i].help);
        }
    }
    fclose(to);
    return text;
}

json_t *run_types_answer(run *r)
{
    session_report report;
    if (session_survey(&r->session, &report)) {
        return run_refused();
    }
    json_t *value = json_loadb(report.text, report.length, 0, NULL);
    free(report.text);
    if (!value) {
        rp_fail(RP_E_FORMAT, "types: the report cannot be read, or there is no memory for it");
        return run_refused();
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "ok", json_true());
    json_object_set_new(answer, "name", foreign_json(r->name));
    json_object_set_new(answer, "build", json_integer(r->session.loaded));
    json_object_set_new(answer, "frame", json_integer((json_int_t)session_frame(&r->session)));
    json_object_set_new(answer, "types", value);
    return answer;
}

/* {"World.user": "struct Enemy"}: kept in the project's file; then a refused build once more. */
static rp_status answers_take(run *r, json_t *answers)
{
    const char *what;
    json_t *type;
    json_object_foreach(answers, what, type)
    {
        const char *text = json_string_value(type);
        rp_status status = type_answers_add(r->types_path, what, text ? text : "");
        if (status) {
            return status;
        }
    }
    return r->session.refused.elf ? build_again(r, false) : RP_OK;
}

json_t *run_reload_answer(run *r, const json_t *request)
{
    const char *way = json_string_value(json_object_get(request, "way"));
    size_t index = 0;
    while (way && index < RP_COUNT_OF(ways) && strcmp(ways[index].name, way) != 0) {
        index++;
    }
    if (index == RP_COUNT_OF(ways)) {
        rp_fail(RP_E_ARGUMENT,
                "ctl: reload --%.40s: there are --again, --since, --keep, --restart and "
                "--regardless",
                way);
        return run_refused();
    }
    if (way && run_reload_way(r, (run_way)index)) {
        return run_refused();
    }
    if (json_object_size(json_object_get(request, "answers")) &&
        answers_take(r, json_object_get(request, "answers"))) {
        return run_refused();
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "ok", json_true());
    json_object_set_new(answer, "build", json_integer(r->session.loaded));
    json_object_set_new(answer, "frame", json_integer((json_int_t)session_frame(&r->session)));
    json_object_set_new(answer, "reload", report_json(&r->session));
    json_object_set_new(answer, "refused", run_refused_build_json(&r->session));
    if (!json_is_true(json_object_get(request, "json"))) {
        char *text = report_text(&r->session);
        json_object_set_new(answer, "text", foreign_json(text ? text : ""));
        free(text);
    }
    return answer;
}
