/* `reprise run`: what is shared by its parts.
 *
 *   run_options.c  the command line          cmd_run.c      start, the main loop, the end
 *   run_frame.c    actions of the transport  run_builds.c   builds that come
 *   run_view.c     what the stage shows      run_control.c  what `reprise ctl` asks
 *   run_memory.c   debug modes, reports on memory
 *   run_reload.c   what a new build brought over; what to do with one that was refused
 *   run_watch.c    ghosts, watched values, checks between builds
 *   run_take.c     takes of what runs     run_bookmark.c frames with names
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/host.md  Tests: tests/e2e/
 */
#ifndef HOST_RUN_H
#define HOST_RUN_H

#include "builds.h"
#include "control/control.h"
#include "copies.h"
#include "resume.h"
#include "saving.h"
#include "session.h"
#include "stage/stage.h"
#include "take_session.h"

#include <deck/input.h>
#include <deck/transport.h>
#include <os/os.h>
#include <reprise/trace.h>

enum {
    RUN_EXIT_DONE = 0,
    RUN_EXIT_FAILED = 1, /* it could not run: no module, no region, no display … */
    RUN_EXIT_USAGE = 2,
    RUN_EXIT_PROGRAM = 3, /* the program failed, on a stage without a person */
    RUN_EXIT_UNKNOWN = 5, /* a take's build did not run here yet, and --trust was not said */
    RUN_EXIT_PLACE = 6,   /* a take's memory or libraries cannot be where they were */
    RUN_EXIT_DIFFERS = 4, /* a frame of a synctest came out different, where nothing else failed */
    RUN_EXIT_LEAKS = RP_LEAKS_EXIT_CODE,
};

enum { OPEN_HISTORY_FRAMES = 3600, RUN_LIST_MAX = 32, RUN_MARK_MAX = 32, RUN_MARK_BYTES = 48 };

/* A mark that `reprise ctl memory mark` made. It lies in a runner, and ends with it. */
typedef struct run_growth_mark {
    char name[RUN_MARK_BYTES]; /* "": none */
    uint64_t number, frame;
    pid_t runner;
} run_growth_mark;

typedef struct run_options {
    const char *module; /* null: none, with `opens` alone */
    const char *opens;  /* a take; null: `reprise run` */
    const char *at;     /* its frame; null: the last */
    bool trust;         /* its builds are run though they are not known here */
    bool plays;         /* from there at once */
    uint64_t history;   /* frames of the take to each side of it */
    bool resumes;       /* goes on where the last run ended, and keeps what the next one needs */
    const char *stage;  /* null: choose */
    const char *build;
    const char *sources[RUN_LIST_MAX];
    int source_count;
    const char *input;
    const char *types; /* answers about types; null: beside the module */
    const char *name;  /* of the control socket; null: the module's file name */
    const char *keep[RUN_LIST_MAX];
    int keep_count;
    debug_choices_text debug;
    bool leaks;              /* report them at the end */
    const char *take;        /* everything is recorded into it; null: nothing is */
    const char *crash_takes; /* the folder for takes of failures; null: none are made */
    uint64_t frames;         /* 0: until the end */
    bool hashes, paced, fixed_time, synctest;
    bool check_threads; /* report those that write while a frame is committed */
    size_t budget_bytes;
    rp_tracking tracking;
    uint64_t seed, start_wall_ns;
    uint32_t watchdog_ms;
    uint32_t width_px, height_px, rate_hz;
    int scale;
} run_options;

typedef struct run {
    run_options options;
    char name[64];
    char types_path[RP_OBJECT_PATH_BYTES];
    copies copies;
    take_file take;           /* that was opened */
    take_session take_opened; /* how it stands in the session */
    resume resume;
    bool opened; /* the world is a take's, not a new one */
    session session;
    rp_transport transport;
    builds *builds;
    control *control;
    const stage_class *stage_class;
    stage *stage;
    stage_keys keys;
    stage_view view;
    rp_os_bytes script_text;
    rp_input_script script;
    bool scripted;
    uint64_t script_frame; /* that it was asked for last: it is read forwards */
    rp_input pending;      /* the input of a frame that failed, tried again later */
    bool has_pending;
    uint64_t killed_frame; /* a runner was ended from outside while it made this frame */
    int killed_count;
    run_growth_mark growth_marks[RUN_MARK_MAX];
    bool building;
    int notice_count; /* lines about a build that failed; 0: none */
    bool notice_alarm;
    bool thinned_said; /* that the frame that was sought is not kept, but one nearby */
    char notice[STAGE_LINE_MAX][STAGE_LINE_CHARS];
    char toast[STAGE_LINE_CHARS];
    uint64_t toast_until_ns;
    bool slow_told; /* that written pages are found in a slow way */
    bool shown;     /* the stage has the newest picture */
    bool quit;
    int exit_code;
    saving saving;
    char take_error[480]; /* why the recording ended early */
    uint64_t thin_told;   /* frames of the recording */
    char scrub_text[8];
    bool reload_untold;     /* a build was taken: said behind its first step */
    uint64_t tick_ns;       /* when the next tick is due */
    bool busy;              /* the runner is waited for: what would ask it has to wait */
    pid_t seen_by_debugger; /* the runner that it is attached to, or that it is not waited for at */
    uint64_t await_until_ns;
    bool hold_wanted; /* a debugger asked for what is being done, and wants to stop behind it */
} run;

/* run_options.c: RP_E_ARGUMENT with what to do; *help: the text was asked for. */
rp_status run_options_read(int argc, char **argv, run_options *options, bool *help);
/* The same for `reprise open`, whose last argument is a take. */
rp_status run_options_read_open(int argc, char **argv, run_options *options, bool *help);
void run_options_help(void);

/* run_frame.c */
void run_tick(run *r);
void run_command(run *r, rp_command command);
/* The script from its beginning. */
rp_status run_script_begin(run *r);
void run_at(run *r);
/* Whether a debugger is about to attach to a fresh runner: it is given the time to, so that it sees
 * the first step. */
bool run_debugger_awaited(run *r);
/* Stops in a debugger where one asked for it and what it asked for is done. */
void run_hold(run *r);
/* After a frame, or between frames: tells what the debug side found broken. */
void run_finding_take(run *r);
/* A step could not be made, and is shown as a failure. */
void run_step_failed(run *r, rp_status status);
/* In a stage without a person: nothing more is to be done. */
bool run_finished(const run *r);

/* cmd_run.c */
/* Start, main loop and end, with the options that were read. `begin` makes the first world, in the
 * session that it opens with run_session_desc; where it fails with an exit code set, that one
 * counts. */
int run_all(run *r, rp_status (*begin)(run *r));
session_desc run_session_desc(run *r);
bool run_asked_to_end(void); /* a signal asked the host to end */
void run_idle(run *r);       /* in the middle of something long: events, status, picture */

/* run_resume.c */
/* The world of the last run, where there is one; *resumed says so. What keeps it from that is told
 * and is no failure. */
rp_status run_resume(run *r, bool *resumed);
rp_status run_resume_record(run *r); /* from the position on, for the next run */
void run_resume_tend(run *r);

/* run_builds.c */
void run_builds_poll(run *r);
rp_status run_first_build(run *r);

/* run_view.c */
void run_toast(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* On the stage alone: what changes many times a second. */
void run_toast_quietly(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_notice(run *r, bool alarm, const char *text);
void run_show(run *r);
void run_mark(run *r, char kind, uint64_t frame);
/* The same for a line longer than a stage has: there it is cut. */
void run_warn(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_say(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* run_control.c */
json_t *run_answer(void *context, const json_t *request);
json_t *run_refused(void); /* with the error record's text */

/* run_reload.c */
typedef enum run_way {
    RUN_WAY_AGAIN,
    RUN_WAY_RESTART,
    RUN_WAY_KEEP,
    RUN_WAY_REGARDLESS,
    RUN_WAY_SINCE
} run_way;
/* With a refused build. Again and restart also without one, under the build that runs. */
rp_status run_reload_way(run *r, run_way way);
void run_reload_say(run *r);     /* once, of a build that was taken */
void run_reload_refused(run *r); /* why, and the ways on */
json_t *run_reload_answer(run *r, const json_t *request);
/* `reprise types`: what the world is made of. */
json_t *run_types_answer(run *r);
json_t *run_converted_json(const rp_migration *migration);
/* Of the build that was refused and waits, with the ways on; null: there is none. */
json_t *run_refused_build_json(const session *s);

/* run_take.c */
rp_status run_recording_begin(run *r);
void run_save_key(run *r);
void run_crash_take(run *r);
void run_takes_look_after(run *r); /* between frames */
void run_takes_end(run *r);        /* waits for what is being written */
json_t *run_save_answer(run *r, const json_t *request);
json_t *run_recording_json(const run *r);
json_t *run_saving_json(const run *r);

/* run_bookmark.c */
void run_bookmark_keys(run *r);
json_t *run_bookmark_answer(run *r, const json_t *request); /* and of "unbookmark", "bookmarks" */
json_t *run_bookmarks_json(const run *r);
void run_bookmarks_show(run *r); /* into the view, after they changed */

/* run_watch.c */
void run_ghosts(run *r); /* into the view */
void run_check_differs(run *r, const watched_difference *difference);
json_t *run_watch_answer(run *r, const json_t *request);
json_t *run_checks_answer(run *r, const json_t *request);

/* run_memory.c: what `reprise ctl debug` and `reprise ctl memory` ask */
json_t *run_debug_answer(run *r, const json_t *request);
json_t *run_memory_answer(run *r, const json_t *request);
/* At an orderly end with --leaks: prints them, and sets the exit code. */
void run_leaks(run *r);

#endif
