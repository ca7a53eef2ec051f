/* `reprise run`: start, the main loop, the end. See run.h. */
#include "cmd_run.h"
#include "doctor/address_file.h"
#include "run.h"
#include "tracking_text.h"

#include <base/bits.h>
#include <base/error.h>
#include <base/text.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SCRIPT_LIMIT_BYTES = 64 << 20,
    DEFAULT_START_S = 946684800,
    FAST_POLL_FRAMES = 16,
    STILL_TICKS = 8
};

static volatile sig_atomic_t asked_to_end;

static void on_end_signal(int number)
{
    (void)number;
    asked_to_end = 1;
}

bool run_asked_to_end(void)
{
    return asked_to_end;
}

/* ---- callbacks of the session ---- */

static void print_output(void *context, const char *text, size_t length)
{
    const run *r = context;
    if (r->stage_class != &stage_term_class || !r->stage) {
        fwrite(text, 1, length, stderr);
    }
}

static void events_take(run *r)
{
    stage_event event;
    while (r->stage && r->stage_class->poll(r->stage, &event)) {
        stage_keys_event(&r->keys, &event);
        r->shown = false;
    }
    if (r->keys.want_quit || r->keys.lost || asked_to_end) {
        r->quit = true;
    }
}

/* While a step takes long the window still answers and shows, and `reprise ctl status` is answered.
 * A step that a debugger holds may never end: who wants to quit does not wait for it. */
void run_idle(run *r)
{
    if (r->busy) {
        return;
    }
    r->busy = true;
    events_take(r);
    if (r->control) {
        control_poll(r->control);
    }
    if (r->stage) {
        run_show(r);
    }
    if (r->quit && (!r->options.watchdog_ms || process_traced(&r->session.live))) {
        session_abandon(&r->session);
    }
    r->busy = false;
}

static void idle(void *context)
{
    run_idle(context);
}

/* ---- start ---- */

static void name_set(run *r)
{
    const char *file = r->options.opens ? r->options.opens : r->options.module;
    const char *path = r->options.name ? r->options.name : file;
    const char *slash = r->options.name ? NULL : strrchr(path, '/');
    rp_text_copy(r->name, sizeof r->name, slash ? slash + 1 : path);
    char *dot = r->options.name ? NULL : strrchr(r->name, '.');
    if (dot && dot != r->name) {
        *dot = 0;
    }
}

/* Beside the module, where the project's other files are. */
static void types_path_set(run *r)
{
    const char *module = r->options.module ? r->options.module : r->options.opens;
    const char *slash = strrchr(module, '/');
    rp_text_buffer text = rp_text_buffer_over(r->types_path, sizeof r->types_path);
    if (r->options.types) {
        rp_text_add(&text, "%s", r->options.types);
    } else {
        rp_text_add(&text, "%.*sreprise.types", slash ? (int)(slash + 1 - module) : 0, module);
    }
}

static rp_status script_open(run *r)
{
    if (!r->options.input) {
        return RP_OK;
    }
    rp_status status = rp_os_file_read(r->options.input, SCRIPT_LIMIT_BYTES, &r->script_text);
    if (!status) {
        status = run_script_begin(r);
    }
    r->scripted = status == RP_OK;
    return status;
}

/* A build command may call `reprise cflags`: the one that runs must be found first. */
static void path_lead(void)
{
    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *path = getenv("PATH");
    if (length <= 0 || !path) {
        return;
    }
    self[length] = 0;
    *strrchr(self, '/') = 0;
    size_t bytes = strlen(self) + strlen(path) + 2;
    char *longer = malloc(bytes);
    if (longer) {
        snprintf(longer, bytes, "%s:%s", self, path);
        setenv("PATH", longer, 1);
        free(longer);
    }
}

static rp_status watch_open(run *r)
{
    if (!r->options.module) {
        return RP_OK; /* a take alone */
    }
    path_lead();
    builds_desc desc = {.module_path = r->options.module,
                        .build_command = r->options.build,
                        .source_paths = r->options.sources,
                        .source_count = r->options.source_count,
                        .copy_directory = r->copies.path};
    return builds_open(&desc, &r->builds);
}

session_desc run_session_desc(run *r)
{
    const run_options *o = &r->options;
    bool fixed = o->fixed_time || r->stage_class == &stage_none_class;
    return (session_desc){.module = o->module,
                          .budget_bytes = o->budget_bytes,
                          .tracking = o->tracking,
                          .check_threads = o->check_threads,
                          .seed = o->seed,
                          .start_wall_ns = o->fixed_time ? o->start_wall_ns
                                           : fixed       ? DEFAULT_START_S * UINT64_C(1000000000)
                                                         : rp_os_wall_ns(),
                          .width_px = o->width_px,
                          .height_px = o->height_px,
                          .rate_hz = o->rate_hz,
                          .watchdog_ms = o->watchdog_ms,
                          .keep = o->keep,
                          .keep_count = o->keep_count,
                          .types = r->types_path,
                          .debug = o->debug.text,
                          .print = print_output,
                          .idle = idle,
                          .context = r};
}

static rp_status world_begin(run *r)
{
    bool resumed = false;
    rp_status status = r->options.resumes ? run_resume(r, &resumed) : RP_OK;
    if (!status && !resumed) {
        const session_desc desc = run_session_desc(r);
        status = session_open(&desc, &r->session);
    }
    status = status ? status : run_recording_begin(r);
    if (!status && !resumed) {
        status = run_first_build(r);
    }
    return status || !r->options.resumes ? status : run_resume_record(r);
}

static rp_status control_start(run *r)
{
    char path[256];
    rp_status status = control_path(r->name, path, sizeof path);
    return status ? status : control_open(path, run_answer, r, &r->control);
}

static rp_status stage_start(run *r)
{
    session *s = &r->session;
    stage_desc desc = {.title = s->title[0] ? s->title : r->name,
                       .width_px = (int)s->width_px,
                       .height_px = (int)s->height_px,
                       .scale = r->options.scale};
    return stage_open(r->options.stage, &desc, &r->stage_class, &r->stage);
}

static void signals_set(void)
{
    struct sigaction action = {.sa_handler = on_end_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` is then an error that is told */
}

/* It goes on where the file does not fit: whether the region can be had is found out at once. */
static void project_file_check(const run *r)
{
    if (r->options.module && address_file_check_project(r->options.module)) {
        fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    }
}

static rp_status start(run *r, rp_status (*begin)(run *r))
{
    name_set(r);
    types_path_set(r);
    project_file_check(r);
    r->stage_class = stage_choose(r->options.stage);
    if (!r->stage_class) {
        return rp_error_last()->status;
    }
    signals_set();
    stage_keys_init(&r->keys);
    rp_transport_init(&r->transport);
    rp_status status = script_open(r);
    if (!status) {
        status = control_start(r);
    }
    if (!status) {
        status = copies_open(&r->copies);
    }
    if (!status) {
        status = watch_open(r);
    }
    if (!status) {
        status = begin(r);
    }
    if (!status) {
        run_bookmarks_show(r); /* those of a take */
    }
    return status ? status : stage_start(r);
}

/* ---- the loop ---- */

static bool is_fast(const run *r)
{
    return r->options.frames && !r->options.paced && r->stage_class == &stage_none_class;
}

static void tick_schedule(run *r)
{
    uint64_t length_ns = UINT64_C(1000000000) / (r->session.rate_hz ? r->session.rate_hz : 60);
    uint64_t now_ns = rp_os_monotonic_ns();
    r->tick_ns += length_ns;
    if (r->tick_ns + 4 * length_ns < now_ns) { /* far behind: do not race to catch up */
        r->tick_ns = now_ns;
    }
}

static int fds_of(run *r, struct pollfd *fds, int capacity)
{
    int list[32], count = 0;
    count += r->builds ? builds_fds(r->builds, list, 16) : 0;
    count += control_fds(r->control, list + count, 8);
    int stage_fd = r->stage_class->wait_fd(r->stage);
    if (stage_fd >= 0) {
        list[count++] = stage_fd;
    }
    if (r->session.live.pid && r->session.live.output >= 0) {
        list[count++] = r->session.live.output;
    }
    count = count < capacity ? count : capacity;
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = list[i], .events = POLLIN};
    }
    return count;
}

static void wait_for_tick(run *r)
{
    struct pollfd fds[40];
    int count = fds_of(r, fds, 40);
    uint64_t now_ns = rp_os_monotonic_ns();
    uint64_t left_ns = r->tick_ns > now_ns ? r->tick_ns - now_ns : 0;
    int builds_ms = r->builds ? builds_timeout_ms(r->builds) : -1;
    if (builds_ms >= 0 && (uint64_t)builds_ms * 1000000u < left_ns) {
        left_ns = (uint64_t)builds_ms * 1000000u;
    }
    struct timespec timeout = {.tv_nsec = (long)(left_ns % 1000000000u),
                               .tv_sec = (time_t)(left_ns / 1000000000u)};
    ppoll(fds, (nfds_t)count, &timeout, NULL);
}

static void way_take(run *r, run_way way)
{
    if (run_reload_way(r, way) && !r->transport.failed) {
        run_toast(r, "%s", rp_error_last()->text);
    }
}

/* While a build waits that was refused, the keys for a failure are about it. */
static void key_obey(run *r, rp_command command)
{
    bool again = command.kind == RP_COMMAND_RETRY, restart = command.kind == RP_COMMAND_SKIP;
    if (r->session.refused.elf && (again || restart)) {
        way_take(r, again ? RUN_WAY_AGAIN : RUN_WAY_RESTART);
    } else {
        run_command(r, command);
    }
}

static void commands_obey(run *r)
{
    for (int i = 0; i < r->keys.command_count; i++) {
        key_obey(r, r->keys.commands[i]);
    }
    r->keys.command_count = 0;
    if (r->keys.want_keep || r->keys.want_regardless) {
        way_take(r, r->keys.want_keep ? RUN_WAY_KEEP : RUN_WAY_REGARDLESS);
    }
    r->keys.want_keep = r->keys.want_regardless = false;
    if (r->keys.want_save) {
        run_save_key(r);
    }
    r->keys.want_save = false;
    run_bookmark_keys(r);
    if (r->keys.scrubbing) {
        const rp_transport *t = &r->transport;
        double span = (double)(t->newest - t->oldest);
        uint64_t frame = t->oldest + (uint64_t)(span * r->keys.scrub_fraction + 0.5);
        if (frame != t->position) {
            run_command(r, (rp_command){.kind = RP_COMMAND_SEEK, .a = frame});
        }
    }
}

/* Once, where the probe stepped down; who asks for a slow way knows. */
static void slow_tell(run *r)
{
    const link_memory *link = r->session.live.link;
    const char *slow = link ? tracking_slow(link->tracking) : NULL;
    if (r->slow_told || !slow || r->options.tracking != RP_TRACKING_AUTO) {
        return;
    }
    char why[sizeof link->tracking_why];
    rp_text_copy(why, sizeof why, link->tracking_why);
    r->slow_told = true;
    for (char *c = why; *c; c++) {
        *c = *c == '\n' ? ';' : *c;
    }
    run_warn(r,
             "history: written pages are found in a slow way, %s (%s): %s: run on Linux 6.7 or "
             "later and allow userfaultfd, or say --tracking %s",
             tracking_name(link->tracking), slow, why, tracking_name(link->tracking));
}

static void others_serve(run *r)
{
    slow_tell(r);
    run_resume_tend(r);
    control_poll(r->control);
    run_builds_poll(r);
    run_finding_take(r);
    run_takes_look_after(r);
    run_hold(r);
    if (session_tend(&r->session) == RP_E_DIED) {
        run_toast(r, "the runner was ended: frame %llu is restored",
                  (unsigned long long)session_frame(&r->session));
        r->session.failure.active = false;
        run_at(r);
    }
}

static void run_fast(run *r)
{
    for (uint64_t n = 0; !r->quit && !run_finished(r); n++) {
        if (n % FAST_POLL_FRAMES == 0 || r->transport.mode == RP_MODE_PAUSE ||
            r->session.start.tracer) {
            others_serve(r);
            r->quit = r->quit || asked_to_end;
        }
        bool awaited = run_debugger_awaited(r);
        if (!awaited) {
            run_tick(r);
        }
        if (awaited || r->transport.mode == RP_MODE_PAUSE || r->transport.failed) {
            r->tick_ns = rp_os_monotonic_ns() + 5000000;
            wait_for_tick(r);
        }
    }
}

/* A quarter of what is left of the frame, so that one piece of work that takes longer than it
 * should still makes no frame late. */
static void world_tend(run *r)
{
    const uint64_t least_ns = 4000000;
    uint64_t now_ns = rp_os_monotonic_ns();
    if (r->tick_ns > now_ns + least_ns) {
        session_world_tend(&r->session, (r->tick_ns - now_ns) / 4);
    }
}

static void run_paced(run *r)
{
    unsigned still = 0;
    r->tick_ns = rp_os_monotonic_ns();
    while (!r->quit && !run_finished(r)) {
        world_tend(r);
        wait_for_tick(r);
        events_take(r);
        others_serve(r);
        if (rp_os_monotonic_ns() < r->tick_ns) {
            continue;
        }
        commands_obey(r);
        if (!run_debugger_awaited(r)) {
            run_tick(r);
        }
        /* What stands still is drawn now and then: a toast fades, a terminal changes its size. */
        if (!r->shown || r->toast[0] || ++still % STILL_TICKS == 0) {
            run_show(r);
        }
        tick_schedule(r);
    }
}

/* ---- the end ---- */

static void finish(run *r)
{
    session_stop(&r->session);
    if (r->stage) {
        r->stage_class->close(r->stage);
        r->stage = NULL;
    }
    if (r->builds) {
        builds_close(r->builds);
    }
    control_close(r->control);
    run_takes_end(r);
    resume_close(&r->resume, &r->session);
    if (r->session.log) {
        session_close(&r->session);
    }
    take_session_close(&r->take_opened);
    take_file_close(&r->take);
    copies_close(&r->copies);
    if (r->script_text.data) {
        rp_os_file_free(&r->script_text);
    }
}

static int usage_failed(void)
{
    fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
    return RUN_EXIT_USAGE;
}

int run_all(run *r, rp_status (*begin)(run *r))
{
    rp_status status = start(r, begin);
    if (status) {
        if (!r->notice_count || strcmp(r->notice[0], rp_error_last()->text) != 0) {
            fprintf(stderr, "reprise: %s\n", rp_error_last()->text);
        }
        finish(r);
        return r->exit_code ? r->exit_code : RUN_EXIT_FAILED;
    }
    if (is_fast(r)) {
        run_fast(r);
    } else {
        run_paced(r);
    }
    if (r->keys.lost) {
        fprintf(stderr, "reprise: the stage went away: the display or the terminal was closed\n");
        r->exit_code = r->exit_code ? r->exit_code : RUN_EXIT_FAILED;
    }
    run_leaks(r);
    finish(r);
    fflush(stdout);
    return r->exit_code;
}

int cmd_run(int argc, char **argv)
{
    static run r; /* large, and one in a process */
    bool help;
    if (run_options_read(argc, argv, &r.options, &help)) {
        return usage_failed();
    }
    if (help) {
        run_options_help();
        return RUN_EXIT_DONE;
    }
    return run_all(&r, world_begin);
}
