/* Builds that come while the program runs. See run.h. */
#include "run.h"

#include <base/error.h>
#include <base/text.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUILD_TIMEOUT_MS = 3000 };

/* With a take its module may be named, to be edited: as long as it is the take's, it is no news. */
static bool is_the_takes(run *r, const builds_event *event)
{
    const session *s = &r->session;
    if (!r->opened || !s->newest) {
        return false;
    }
    const rp_elf *newest = s->builds[s->newest - 1].elf;
    return newest->content_hash == event->elf->content_hash &&
           newest->file_bytes == event->elf->file_bytes;
}

static void build_new(run *r, const builds_event *event)
{
    session *s = &r->session;
    if (is_the_takes(r, event)) {
        rp_elf_close(event->elf);
        remove(event->copy_path);
        return;
    }
    bool first = !session_has_world(s);
    rp_status status = session_build_new(s, event->elf, event->copy_path, event->complete_ns);
    if (status) {
        if (s->refused.elf) {
            run_reload_refused(r);
        } else {
            run_notice(r, true, rp_error_last()->text);
        }
        return;
    }
    r->notice_count = 0;
    r->has_pending = r->has_pending && r->transport.failed;
    run_at(r);
    rp_transport_rebuilt(&r->transport);
    run_mark(r, 'b', session_frame(s));
    r->shown = false;
    r->reload_untold = !first;
    if (r->transport.mode == RP_MODE_PAUSE) {
        run_reload_say(r); /* no step follows by itself */
    }
}

static void failed_text(const run *r, const builds_event *event, char *text, size_t capacity)
{
    snprintf(text, capacity, "the build failed (exit code %d): %s\n%s", event->exit_code,
             session_has_world(&r->session) ? "the old build runs on" : "mend it and save",
             event->text);
}

/* The toast says no longer that something is built. */
static void building_ended(run *r)
{
    if (r->building) {
        r->building = false;
        r->toast[0] = 0;
    }
}

static void event_take(run *r, const builds_event *event)
{
    char text[4096];
    switch (event->kind) {
    case BUILDS_NEW:
        building_ended(r);
        build_new(r, event);
        break;
    case BUILDS_BAD:
        run_notice(r, true, event->text);
        break;
    case BUILDS_RUNNING:
        r->building = true;
        run_toast(r, "building …");
        break;
    case BUILDS_FAILED:
        building_ended(r);
        failed_text(r, event, text, sizeof text);
        run_notice(r, true, text);
        break;
    case BUILDS_BACK:
        r->notice_count = 0;
        r->shown = false;
        break;
    case BUILDS_DONE:
        building_ended(r);
        break;
    case BUILDS_NONE:
        break;
    }
}

void run_builds_poll(run *r)
{
    builds_event event;
    while (!r->quit && r->builds && builds_poll(r->builds, &event)) {
        event_take(r, &event);
    }
}

/* Waits for what builds_poll would tell. */
static void builds_wait(run *r, int most_ms)
{
    struct pollfd fds[16];
    int list[16];
    int count = builds_fds(r->builds, list, 16);
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = list[i], .events = POLLIN};
    }
    int timeout_ms = builds_timeout_ms(r->builds);
    poll(fds, (nfds_t)count, timeout_ms < 0 || timeout_ms > most_ms ? most_ms : timeout_ms);
}

static void randomised_say(run *r)
{
    if (r->session.randomised) {
        run_say(r, "address randomisation cannot be turned off here (personality(2) is forbidden): "
                   "after a crash a module or library may lie elsewhere, and the state is then "
                   "refused; allow personality in the container's seccomp profile");
    }
}

rp_status run_first_build(run *r)
{
    uint64_t limit_ns = rp_os_monotonic_ns() + FIRST_BUILD_TIMEOUT_MS * UINT64_C(1000000);
    r->notice_count = 0;
    while (!r->quit) {
        control_poll(r->control);
        run_builds_poll(r);
        if (session_has_world(&r->session)) {
            randomised_say(r);
            return RP_OK;
        }
        if (r->notice_count) {
            const char *what = r->notice[0];
            bool wait = r->options.build && strcmp(r->stage_class->name, "none") != 0;
            if (!wait) {
                return rp_fail(RP_E_MODULE, "%s", what);
            }
        }
        if (!r->options.build && rp_os_monotonic_ns() > limit_ns) {
            return rp_fail(RP_E_INCOMPLETE,
                           "%s: it is not complete: the linker still writes it, or "
                           "it was cut off: build it again",
                           r->options.module);
        }
        builds_wait(r, 50);
        r->quit = r->quit || run_asked_to_end();
    }
    return rp_fail(RP_E_CLOSED, "run: it was ended before the first build came");
}
