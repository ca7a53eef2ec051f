/* Debug modes and reports on memory, as the session asks the live runner for them. See session.h.
 */
#include "session.h"
#include "session_internal.h"

#include <base/error.h>
#include <base/text.h>
#include <os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_TIMEOUT_MS = 60000 };

/* ---- debug modes ---- */

/* The hashes of a loop's first pass are of frames made without the new modes. */
static void loop_measure_anew(session *s)
{
    s->debug_index = rp_log_last(s->log);
    if (rp_loop_is_set(&s->loop)) {
        for (uint64_t i = 0; i < s->loop.to - s->loop.from; i++) {
            s->loop.frames[i].build = 0;
        }
        divergence_reset(s->divergence);
        s->diverged_frame = 0;
    }
}

rp_status session_debug_set(session *s, const char *settings)
{
    rp_status status = debug_choices_add(&s->debug, settings);
    if (status) {
        return status;
    }
    process_end(&s->spare); /* it knows of what was chosen before; session_tend starts another */
    loop_measure_anew(s);
    if (!s->live.pid || !s->live.link) {
        return RP_OK;
    }
    rp_text_copy(s->live.link->debug, sizeof s->live.link->debug, settings);
    link_message answer;
    process_wait wait = session_wait(s);
    return process_ask(&s->live, &(link_message){.op = LINK_DEBUG}, &answer, &wait);
}

/* ---- what was found ---- */

/* A frame that is made again finds the same again. */
static bool was_told(const session *s, const link_finding *finding)
{
    return finding->serial && finding->serial == s->accepted_serial &&
           session_frame(s) == s->accepted_frame;
}

bool session_finding_take(session *s)
{
    link_finding *finding = s->live.link ? &s->live.link->finding : NULL;
    if (!finding || !finding->count) {
        return false;
    }
    bool told = was_told(s, finding);
    if (!told) {
        session_failure_found(s, &s->live);
        s->accepted_serial = finding->serial;
        s->accepted_frame = session_frame(s);
    }
    finding->count = 0;
    return !told;
}

/* ---- reports ---- */

typedef struct taking {
    FILE *file;
    uint64_t taken_bytes;
    rp_error why; /* status RP_OK: nothing failed */
} taking;

static rp_status on_piece(void *context, process *p, const link_message *message)
{
    taking *t = context;
    if (message->op != LINK_PIECE || message->a > LINK_PIECE_BYTES) {
        return rp_fail(RP_E_FORMAT, "runner: it answered what was not asked");
    }
    t->taken_bytes += message->a;
    if (t->taken_bytes > SESSION_REPORT_MOST_BYTES ||
        fwrite(p->link->bulk, 1, message->a, t->file) != message->a) {
        rp_fail(RP_E_MEMORY,
                "report: there is no memory for all of it, or it is longer than %d MiB",
                SESSION_REPORT_MOST_BYTES >> 20);
        t->why = *rp_error_last();
    }
    return t->why.status;
}

static rp_status ask_for(session *s, const link_message *request, session_report *report)
{
    taking t = {.file = open_memstream(&report->text, &report->length)};
    if (!t.file) {
        return rp_fail(RP_E_MEMORY, "report: no memory for its text");
    }
    process_wait wait = {.watchdog_ms = REPORT_TIMEOUT_MS, .part = on_piece, .context = &t};
    link_message answer;
    rp_status status = process_ask(&s->live, request, &answer, &wait);
    report->count = answer.a;
    if (fclose(t.file) && !status) {
        status = rp_fail(RP_E_MEMORY, "report: no memory for its text");
    }
    return status || !t.why.status ? status : rp_fail(t.why.status, "%s", t.why.text);
}

rp_status session_report_make(session *s, link_report kind, bool json, uint64_t a, uint64_t b,
                              session_report *report)
{
    *report = (session_report){0};
    if (!session_has_world(s)) {
        return rp_fail(RP_E_INCOMPLETE,
                       "memory: no build runs yet: wait for the first, or mend it");
    }
    link_message request = {.op = LINK_REPORT, .a = kind, .b = json, .c = a, .d = b};
    s->live.link->frame = session_frame(s);
    rp_status status = ask_for(s, &request, report);
    if (status) {
        free(report->text);
        *report = (session_report){0};
    }
    return status;
}

rp_status session_leaks(session *s, session_report *report)
{
    *report = (session_report){0};
    link_message answer;
    process_wait wait = {.watchdog_ms = 1000};
    if (!s->live.pid || !s->loaded || process_ended(&s->live)) {
        return rp_fail(RP_E_DIED, "leaks: the program does not run any more: nothing can be told");
    }
    rp_status status =
        process_ask(&s->live, &(link_message){.op = LINK_STOP, .a = 1}, &answer, &wait);
    return status ? status : session_report_make(s, LINK_REPORT_LEAKS, false, 0, 0, report);
}
