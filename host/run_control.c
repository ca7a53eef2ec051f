/* What `reprise ctl` asks, and the status that it is told. See run.h, control/control.h. */
#include "foreign_text.h"
#include "run.h"
#include "tracking_text.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    rp_command_kind kind;
} commands[] = {
    {"play", RP_COMMAND_PLAY},   {"pause", RP_COMMAND_PAUSE},   {"toggle", RP_COMMAND_TOGGLE},
    {"step", RP_COMMAND_STEP},   {"back", RP_COMMAND_BACK},     {"rewind", RP_COMMAND_REWIND},
    {"speed", RP_COMMAND_SPEED}, {"seek", RP_COMMAND_SEEK},     {"mark", RP_COMMAND_MARK},
    {"loop", RP_COMMAND_LOOP},   {"unloop", RP_COMMAND_UNLOOP}, {"take-over", RP_COMMAND_TAKE_OVER},
    {"retry", RP_COMMAND_RETRY}, {"skip", RP_COMMAND_SKIP},
};

static void set_number(json_t *to, const char *key, uint64_t value)
{
    json_object_set_new(to, key, json_integer((json_int_t)value));
}

/* In the order of rp_debug_error_kind. */
static const char *const finding_kinds[] = {"overrun",           "underrun",    "write-after-free",
                                            "access-after-free", "guard-after", "guard-before",
                                            "double-free",       "bad-free",    "wrong-size"};

static json_t *finding_json(const session_failure *failure)
{
    const link_finding *finding = &failure->finding;
    json_t *report = json_object();
    bool known = finding->kind < RP_COUNT_OF(finding_kinds);
    const char *kind = known                                        ? finding_kinds[finding->kind]
                       : finding->kind == LINK_FINDING_TEMP_USED    ? "use-after-scope"
                       : finding->kind == LINK_FINDING_TEMP_KEPT    ? "temp-kept"
                       : finding->kind == LINK_FINDING_THREAD_WRITE ? "write-during-commit"
                                                                    : "unknown";
    json_object_set_new(report, "kind", json_string(kind));
    json_object_set_new(report, "offset_bytes", json_integer(finding->offset_bytes));
    set_number(report, "block", finding->block);
    set_number(report, "size_bytes", finding->size_bytes);
    set_number(report, "serial", finding->serial);
    set_number(report, "count", finding->count);
    json_object_set_new(report, "allocator", foreign_json(finding->allocator));
    json_object_set_new(report, "text", foreign_json(finding->text));
    return report;
}

static json_t *failure_json(const session_failure *failure)
{
    json_t *report = json_object(), *lines = json_array();
    set_number(report, "frame", failure->frame);
    set_number(report, "build", failure->build);
    for (int i = 0; i < failure->line_count; i++) {
        json_array_append_new(lines, foreign_json(failure->lines[i]));
    }
    json_object_set_new(report, "lines", lines);
    json_object_set_new(report, "goes_on", json_boolean(failure->stands));
    if (failure->found) {
        json_object_set_new(report, "memory", finding_json(failure));
    }
    return report;
}

static json_t *loop_json(const run *r)
{
    json_t *loop = json_object();
    set_number(loop, "from", r->transport.loop_from);
    set_number(loop, "to", r->transport.loop_to);
    set_number(loop, "pass", r->transport.loop_pass);
    set_number(loop, "diverged", r->session.diverged_frame);
    if (r->session.diverged_frame) {
        json_object_set_new(loop, "difference", foreign_json(r->session.diverged_text));
    }
    return loop;
}

static json_t *synctest_json(const session *s)
{
    json_t *test = json_object();
    set_number(test, "frames", s->twice_count);
    set_number(test, "differed", s->twice_differed);
    set_number(test, "last", s->twice_frame);
    if (s->twice_frame) {
        json_object_set_new(test, "difference", foreign_json(s->twice_text));
    }
    return test;
}

static json_t *notice_json(const run *r)
{
    json_t *lines = json_array();
    for (int i = 0; i < r->notice_count; i++) {
        json_array_append_new(lines, foreign_json(r->notice[i]));
    }
    return lines;
}

static void history_set(run *r, json_t *answer)
{
    rp_log_stats stats;
    rp_log_stats_get(r->session.log, &stats);
    set_number(answer, "frame", session_frame(&r->session));
    set_number(answer, "oldest", session_oldest(&r->session));
    set_number(answer, "newest", session_newest(&r->session));
    set_number(answer, "rate_hz", r->session.rate_hz);
    set_number(answer, "world_bytes", stats.world_bytes);
    set_number(answer, "history_bytes", stats.history_bytes);
    set_number(answer, "budget_bytes", stats.budget_bytes);
    set_number(answer, "evicted", stats.evicted_count);
    set_number(answer, "every_frame_from", stats.every_frame_from);
    set_number(answer, "records", stats.record_count);
    set_number(answer, "thinned", stats.thinned_count);
    set_number(answer, "raw_bytes", stats.raw_bytes);
    set_number(answer, "packed_bytes", stats.packed_bytes);
    set_number(answer, "table_bytes", stats.table_bytes);
    set_number(answer, "record_bytes", stats.record_bytes);
    set_number(answer, "room_bytes", stats.room_bytes);
    set_number(answer, "working_bytes", stats.working_bytes);
    set_number(answer, "sought_bytes", stats.sought_bytes);
    set_number(answer, "written_bytes", stats.kept_bytes);
    set_number(answer, "raw_records", stats.raw_count);
    set_number(answer, "packing_ns", stats.packing_ns);
}

/* The runner writes it, so it may hold anything. */
static const char *way_name(rp_world_way way)
{
    static const char *const names[] = {"around hot pages", "page by page", "by comparing"};
    return (unsigned)way < RP_COUNT_OF(names) ? names[way] : "?";
}

/* What the world's side of history decided, and what the last commit cost. Times in ns, sizes in
 * pages of 4 KiB, chunks of 2 MiB. */
static void world_set(const session *s, json_t *answer)
{
    rp_world_stats stats = s->live.link ? s->live.link->world : (rp_world_stats){0};
    json_t *world = json_object();
    set_number(world, "pages", stats.page_count);
    set_number(world, "stored_pages", stats.stored_count);
    set_number(world, "clean_pages", stats.clean_count);
    set_number(world, "hot_pages", stats.hot_count);
    set_number(world, "hot_runs", stats.hot_runs);
    set_number(world, "hot_refused_pages", stats.refused_count);
    json_object_set_new(world, "found", json_string(way_name(stats.way)));
    set_number(world, "found_changes", stats.way_change_count);
    set_number(world, "cold_faults", stats.fault_count);
    set_number(world, "split_chunks", stats.split_count);
    set_number(world, "collapsed_chunks", stats.collapse_count);
    set_number(world, "log_huge_chunks", stats.log_huge_count);
    set_number(world, "compare_ns", stats.compare_ns);
    set_number(world, "gather_ns", stats.gather_ns);
    set_number(world, "copy_ns", stats.copy_ns);
    set_number(world, "collect_ns", stats.collect_ns);
    set_number(world, "apply_ns", stats.apply_ns);
    set_number(world, "tend_ns", stats.tend_ns);
    json_object_set_new(answer, "world", world);
}

/* How written pages are found, what makes that slow, and why it is so. */
static void tracking_set(const session *s, json_t *answer)
{
    const link_memory *link = s->live.link;
    uint32_t tracking = link ? link->tracking : RP_TRACKING_AUTO;
    const char *slow = tracking_slow(tracking);
    json_object_set_new(answer, "tracking", json_string(tracking_name(tracking)));
    json_object_set_new(answer, "slow", slow ? json_string(slow) : json_null());
    char why[sizeof link->tracking_why] = "";
    rp_text_copy(why, sizeof why, link ? link->tracking_why : "");
    json_object_set_new(answer, "tracking_why", foreign_json(why));
    set_number(answer, "tracking_lost", link ? link->lost_count : 0);
}

/* What the runner was asked for and has not answered, and for how long: a step that does not end,
 * or one that a debugger holds. */
static void runner_set(const session *s, json_t *answer)
{
    uint32_t asked = s->live.asked;
    const char *doing = asked == LINK_NONE   ? "nothing"
                        : asked == LINK_STEP ? "step"
                        : asked == LINK_HOLD ? "hold"
                                             : "other";
    uint64_t waited_ns = asked == LINK_NONE ? 0 : rp_os_monotonic_ns() - s->live.asked_ns;
    json_object_set_new(answer, "runner_does", json_string(doing));
    set_number(answer, "runner_ms", waited_ns / 1000000);
    set_number(answer, "hold_at", s->live.hold_at);
    set_number(answer, "fail_at", s->live.fail_at);
    set_number(answer, "frame_end_at", s->live.frame_end_at);
    json_object_set_new(answer, "traced", json_boolean(process_traced(&s->live)));
}

static json_t *status_json(run *r)
{
    session *s = &r->session;
    json_t *answer = json_object();
    json_object_set_new(answer, "ok", json_true());
    json_object_set_new(answer, "name", json_string(r->name));
    set_number(answer, "build", s->loaded);
    set_number(answer, "newest_build", s->newest);
    json_object_set_new(answer, "build_time",
                        json_string(s->loaded ? s->builds[s->loaded - 1].time : ""));
    json_object_set_new(answer, "build_file",
                        foreign_json(s->loaded ? s->builds[s->loaded - 1].path : ""));
    json_object_set_new(answer, "build_ms", json_real(s->build_ms));
    json_object_set_new(answer, "building", json_boolean(r->building));
    json_object_set_new(answer, "mode", json_string(rp_transport_text(&r->transport)));
    tracking_set(s, answer);
    history_set(r, answer);
    world_set(s, answer);
    set_number(answer, "steps", s->steps);
    set_number(answer, "restarts", s->restarts);
    set_number(answer, "pages", s->page_count);
    set_number(answer, "step_ns", s->step_ns);
    set_number(answer, "commit_ns", s->commit_ns);
    set_number(answer, "runner_pid", (uint64_t)s->live.pid);
    runner_set(s, answer);
    set_number(answer, "carried", s->reload.carried);
    set_number(answer, "pointers_moved", s->reload.pointers_moved);
    set_number(answer, "pointers_left", s->reload.pointers_left);
    json_object_set_new(answer, "converted", run_converted_json(&s->migration));
    json_object_set_new(answer, "recording", run_recording_json(r));
    json_object_set_new(answer, "saving", run_saving_json(r));
    json_object_set_new(answer, "bookmarks", run_bookmarks_json(r));
    json_object_set_new(answer, "loop", r->transport.looping ? loop_json(r) : json_null());
    json_object_set_new(answer, "synctest", r->options.synctest ? synctest_json(s) : json_null());
    json_object_set_new(answer, "failure",
                        s->failure.active && !s->restarting ? failure_json(&s->failure)
                                                            : json_null());
    json_object_set_new(answer, "refused", run_refused_build_json(s));
    json_object_set_new(answer, "notice", notice_json(r));
    return answer;
}

json_t *run_refused(void)
{
    json_t *answer = json_object();
    json_object_set_new(answer, "ok", json_false());
    json_object_set_new(answer, "error", foreign_json(rp_error_last()->text));
    return answer;
}

/* A count or frame of a request; what is missing is 0, what is no such number is refused. */
static rp_status argument(const json_t *request, const char *key, uint64_t *value)
{
    const json_t *given = json_object_get(request, key);
    *value = 0;
    if (!given || json_is_null(given)) {
        return RP_OK;
    }
    if (!json_is_integer(given) || json_integer_value(given) < 0) {
        return rp_fail(RP_E_ARGUMENT, "ctl: \"%s\" must be a number that is not negative", key);
    }
    *value = (uint64_t)json_integer_value(given);
    return RP_OK;
}

/* The same, or a bookmark's name for it. */
static rp_status frame_argument(const run *r, const json_t *request, uint64_t *frame)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    return name ? bookmarks_find(&r->session.bookmarks, name, frame)
                : argument(request, "a", frame);
}

/* A command that asks for another frame is done before it is answered, so that the answer and the
 * next question see it. */
static bool is_done_at_once(rp_command_kind kind)
{
    return kind == RP_COMMAND_SEEK || kind == RP_COMMAND_BACK;
}

static json_t *command_answer(run *r, rp_command_kind kind, const json_t *request)
{
    rp_command command = {.kind = kind};
    if (!session_has_world(&r->session)) {
        rp_fail(RP_E_INCOMPLETE, "ctl: no build runs yet: wait for the first, or mend it");
        return run_refused();
    }
    if (frame_argument(r, request, &command.a) || argument(request, "b", &command.b)) {
        return run_refused();
    }
    rp_transport before = r->transport;
    if (rp_transport_command(&before, command)) { /* tried on a copy: refusals change nothing */
        return run_refused();
    }
    run_command(r, command);
    if (is_done_at_once(kind)) {
        run_tick(r);
    }
    r->hold_wanted = json_is_true(json_object_get(request, "debugger"));
    return status_json(r);
}

/* While the runner is waited for. A debugger that holds it in the middle of a step and asks to be
 * at another frame gives that step up: it would have to let the program run to have it finished. */
static json_t *answer_later(run *r, const char *name, const json_t *request)
{
    bool seek = strcmp(name, "seek") == 0;
    rp_command command = {.kind = seek ? RP_COMMAND_SEEK : RP_COMMAND_BACK};
    rp_transport tried = r->transport;
    if ((!seek && strcmp(name, "back") != 0) ||
        !json_is_true(json_object_get(request, "debugger"))) {
        return control_later();
    }
    if (frame_argument(r, request, &command.a) || rp_transport_command(&tried, command)) {
        return run_refused(); /* nothing is given up for it */
    }
    session_abandon(&r->session);
    return control_later();
}

/* A debugger says which process it is; null a: none any more. */
static json_t *debugger_answer(run *r, const json_t *request)
{
    uint64_t pid;
    if (argument(request, "a", &pid)) {
        return run_refused();
    }
    session_tracer_set(&r->session, pid < INT32_MAX ? (pid_t)pid : 0);
    return status_json(r);
}

static json_t *revert_answer(run *r, const json_t *request)
{
    uint64_t build;
    session *s = &r->session;
    if (argument(request, "a", &build)) {
        return run_refused();
    }
    if (!build && s->newest > 1) {
        build = s->newest - 1;
    }
    if (session_build_revert(s, (uint32_t)(build > UINT32_MAX ? 0 : build))) {
        return run_refused();
    }
    run_at(r);
    rp_transport_rebuilt(&r->transport);
    run_mark(r, 'b', session_frame(s));
    run_toast(r, "build %u is build %llu again", s->newest, (unsigned long long)build);
    return status_json(r);
}

static json_t *reset_answer(run *r, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    if (!session_has_world(&r->session) || session_reset(&r->session, name ? name : "")) {
        return run_refused();
    }
    run_at(r);
    r->shown = false;
    run_toast(r, "%s has its initial value", name);
    return status_json(r);
}

json_t *run_answer(void *context, const json_t *request)
{
    run *r = context;
    const char *name = json_string_value(json_object_get(request, "cmd"));
    if (!name) {
        rp_fail(RP_E_ARGUMENT, "ctl: a request is {\"cmd\":\"…\"}: see `reprise ctl --help`");
        return run_refused();
    }
    if (strcmp(name, "status") == 0) {
        return status_json(r);
    }
    if (strcmp(name, "quit") == 0) {
        r->quit = true;
        return status_json(r);
    }
    if (strcmp(name, "debugger") == 0) {
        return debugger_answer(r, request);
    }
    if (r->busy) {
        return answer_later(r, name, request);
    }
    for (size_t i = 0; i < RP_COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return command_answer(r, commands[i].kind, request);
        }
    }
    if (strcmp(name, "revert") == 0) {
        return revert_answer(r, request);
    }
    if (strcmp(name, "reset") == 0) {
        return reset_answer(r, request);
    }
    if (strcmp(name, "debug") == 0) {
        return run_debug_answer(r, request);
    }
    if (strcmp(name, "reload") == 0) {
        return run_reload_answer(r, request);
    }
    if (strcmp(name, "bookmark") == 0 || strcmp(name, "unbookmark") == 0 ||
        strcmp(name, "bookmarks") == 0) {
        return run_bookmark_answer(r, request);
    }
    if (strcmp(name, "save") == 0) {
        return run_save_answer(r, request);
    }
    if (strcmp(name, "types") == 0) {
        return run_types_answer(r);
    }
    if (strcmp(name, "watch") == 0) {
        return run_watch_answer(r, request);
    }
    if (strcmp(name, "checks") == 0) {
        return run_checks_answer(r, request);
    }
    if (strcmp(name, "memory") == 0) {
        return run_memory_answer(r, request);
    }
    rp_fail(RP_E_ARGUMENT, "ctl: no command \"%.40s\": see `reprise ctl --help`", name);
    return run_refused();
}
