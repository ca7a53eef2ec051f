/* The report of a failure: what happened, where, and what one can do now. See session.h. */
#include "memory_text.h"
#include "session_internal.h"
#include "symbols.h"

#include <base/bits.h>
#include <base/text.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

__attribute__((format(printf, 2, 3))) static void line_add(session_failure *f, const char *format,
                                                           ...)
{
    if (f->line_count < (int)RP_COUNT_OF(f->lines)) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(f->lines[f->line_count++], sizeof f->lines[0], format, arguments);
        va_end(arguments);
    }
}

static const char *signal_name(int number)
{
    switch (number) {
    case SIGSEGV:
        return "SIGSEGV (bad memory access)";
    case SIGBUS:
        return "SIGBUS (bad memory access)";
    case SIGFPE:
        return "SIGFPE (division by zero, or an arithmetic fault)";
    case SIGILL:
        return "SIGILL (illegal instruction)";
    case SIGABRT:
        return "SIGABRT (abort)";
    case SIGTRAP:
        return "SIGTRAP (trap)";
    case SIGSYS:
        return "SIGSYS (forbidden system call)";
    case SIGKILL:
        return "SIGKILL (killed from outside, or out of memory)";
    case SIGTERM:
        return "SIGTERM (asked to end)";
    default:
        return NULL;
    }
}

/* What happened, in a few words. */
static void what_text(const link_crash *crash, char *text, size_t capacity)
{
    const char *name = signal_name(crash->signal);
    switch ((link_crash_kind)crash->kind) {
    case LINK_CRASH_OVERFLOW:
        snprintf(text, capacity, "stack overflow");
        break;
    case LINK_CRASH_ASSERT:
    case LINK_CRASH_HEAP:
        snprintf(text, capacity, "%s", crash->text);
        break;
    case LINK_CRASH_EXIT:
        snprintf(text, capacity, "the program called %s", crash->text);
        break;
    case LINK_CRASH_HANG:
        snprintf(text, capacity, "the step did not end (endless loop?)");
        break;
    default:
        if (crash->signal == SIGSEGV || crash->signal == SIGBUS) {
            snprintf(text, capacity, "%s at 0x%llx: %s", name, (unsigned long long)crash->address,
                     crash->text);
        } else if (name) {
            snprintf(text, capacity, "%s", name);
        } else {
            snprintf(text, capacity, "signal %d", crash->signal);
        }
    }
}

static const char *short_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void stack_lines(session_failure *f, const symbols_report *report)
{
    int first = 0; /* our own functions that noticed it, and what they called, say nothing of it */
    for (int i = 0; i < report->blame; i++) {
        first = strcmp(report->frames[i].object, "reprise-runner") == 0 ? i + 1 : first;
    }
    for (int i = first; i < report->frame_count && i < first + 10; i++) {
        const symbols_frame *frame = &report->frames[i];
        const char *name = frame->function[0] ? frame->function : "?";
        if (frame->file[0]) {
            line_add(f, "  %s %s  %s:%d", i == report->blame ? "\x3e" : " ", name,
                     short_file(frame->file), frame->line);
        } else {
            line_add(f, "  %s %s  %s", i == report->blame ? "\x3e" : " ", name, frame->object);
        }
    }
}

/* The last lines that the program printed, which often say more than the signal. */
static void printed_lines(session_failure *f, const process *p)
{
    const char *end = p->tail + p->tail_length;
    while (end > p->tail && end[-1] == '\n') {
        end--;
    }
    const char *start = end;
    for (int lines = 0; start > p->tail && lines < 3; start--) {
        lines += start[-1] == '\n';
        if (lines == 3) {
            break;
        }
    }
    if (start == end) {
        return;
    }
    line_add(f, "it printed:");
    while (start < end) {
        const char *newline = memchr(start, '\n', (size_t)(end - start));
        const char *stop = newline ? newline : end;
        line_add(f, "    %.*s", (int)(stop - start), start);
        start = newline ? newline + 1 : end;
    }
}

/* ---- what the debug side found ---- */

static int objects_of(const process *p)
{
    return (int)rp_min_size(p->link->object_count, LINK_OBJECT_MAX);
}

/* Takes it over, with names for its addresses. */
static void finding_take(session_failure *f, const process *p)
{
    f->finding = p->link->finding;
    f->finding.text[sizeof f->finding.text - 1] = 0;
    f->finding.allocator[sizeof f->finding.allocator - 1] = 0;
    char *named = memory_text_named(f->finding.text, p->link->objects, objects_of(p), 0);
    if (named) {
        rp_text_copy(f->finding.text, sizeof f->finding.text, named);
        free(named);
    }
    f->found = true;
}

/* "reprise: overrun: …" without the name in front. */
static const char *finding_headline(const session_failure *f, int *length)
{
    static const char front[] = "reprise: ";
    bool fronted = strncmp(f->finding.text, front, sizeof front - 1) == 0;
    const char *text = f->finding.text + (fronted ? sizeof front - 1 : 0);
    *length = (int)strcspn(text, "\n");
    return text;
}

static void finding_lines(session_failure *f)
{
    const char *text = f->finding.text + strcspn(f->finding.text, "\n");
    f->report_line = f->line_count;
    while (*text && *++text) {
        int length = (int)strcspn(text, "\n");
        line_add(f, "%.*s", length, text);
        text += length;
    }
}

void session_failure_found(session *s, process *p)
{
    session_failure *f = &s->failure;
    *f = (session_failure){.active = true,
                           .kind = LINK_CRASH_HEAP,
                           .frame = session_frame(s),
                           .build = s->loaded,
                           .stands = true};
    finding_take(f, p);
    int length;
    const char *headline = finding_headline(f, &length);
    line_add(f, "%.*s", length, headline);
    line_add(f, "frame %llu, build %u", (unsigned long long)f->frame, f->build);
    if (f->finding.kind == LINK_FINDING_TEMP_KEPT) {
        printed_lines(f, p); /* each is named there */
    }
    finding_lines(f);
}

/* ---- a crash ---- */

static void recorded_failure(session_failure *f, const process *p)
{
    symbols_report report = {.blame = -1};
    char what[300];
    if (p->link->crash.kind == LINK_CRASH_HEAP && p->link->finding.count) {
        finding_take(f, p);
    }
    link_crash *crash = &p->link->crash;
    if (crash->stack_bytes > LINK_STACK_COPY_BYTES) {
        crash->stack_bytes = 0;
    }
    symbols_resolve(crash, p->link->objects, objects_of(p), &report);
    if (f->found) {
        int length;
        const char *headline = finding_headline(f, &length);
        snprintf(what, sizeof what, "%.*s", length, headline);
    } else {
        what_text(crash, what, sizeof what);
    }
    if (report.blame >= 0 && report.frames[report.blame].file[0]) {
        const symbols_frame *blamed = &report.frames[report.blame];
        line_add(f, "%s:%d  %s", short_file(blamed->file), blamed->line, what);
        if (report.source[0]) {
            line_add(f, "    %s", report.source);
        }
    } else {
        line_add(f, "%s", what);
    }
    line_add(f, "frame %llu, build %u", (unsigned long long)f->frame, f->build);
    stack_lines(f, &report);
    if (f->found) {
        finding_lines(f);
    }
}

static void unrecorded_failure(session_failure *f, const process *p)
{
    int status = p->wait_status;
    if (WIFSIGNALED(status)) {
        const char *name = signal_name(WTERMSIG(status));
        line_add(f, "the runner was ended by signal %d%s%s", WTERMSIG(status), name ? ": " : "",
                 name ? name : "");
    } else {
        line_add(f, "the runner ended with exit code %d", WEXITSTATUS(status));
    }
    line_add(f, "frame %llu, build %u", (unsigned long long)f->frame, f->build);
}

void session_failure_fill(session *s, process *p, uint64_t frame)
{
    session_failure *f = &s->failure;
    process_drain(p);
    *f = (session_failure){.active = true, .frame = frame, .build = s->loaded};
    if (p->link && p->link->build) {
        f->build = p->link->build;
    }
    if (p->crashed) {
        const link_crash *crash = &p->link->crash;
        f->kind = crash->kind;
        f->address = crash->address;
        f->signal = crash->signal;
        recorded_failure(f, p);
    } else {
        f->signal =
            WIFSIGNALED(p->wait_status) ? WTERMSIG(p->wait_status) : WEXITSTATUS(p->wait_status);
        unrecorded_failure(f, p);
    }
    if (!f->found) {
        printed_lines(f, p);
    }
    process_end(p);
}

void session_failure_add(session *s, const char *front, const char *text)
{
    session_failure *f = &s->failure;
    line_add(f, "%s%s", front, text);
}

void session_failure_clear(session *s)
{
    s->failure = (session_failure){0};
}
