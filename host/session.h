/* A session: the log, the builds and the runners of one program that is being worked on.
 *
 * It knows how to make the next frame, how to be at any kept frame, and how to go on in a fresh
 * runner: after a failure, with a new build, or at a frame that an older build made. These are one
 * path:
 *
 *   a spare runner  →  restore the frame  →  load a build  →  where it is another build: carry  →
 * live
 *
 * Only when all of it worked is the former runner ended, so a build that cannot be used changes
 * nothing.
 *
 * Layer: host.  Threads: the main thread.  Design: docs/internals/host.md  Tests: tests/e2e/
 */
#ifndef HOST_SESSION_H
#define HOST_SESSION_H

#include "bookmarks.h"
#include "debug_choices.h"
#include "divergence.h"
#include "inputs.h"
#include "process.h"
#include "watched.h"

#include <deck/loop.h>
#include <history/log.h>
#include <module/elf.h>
#include <os/os.h>

typedef struct session_build {
    rp_elf *elf;                     /* owned */
    char path[RP_OBJECT_PATH_BYTES]; /* of the private copy */
    char time[16];                   /* when it was picked up, "14:02:11" */
    uint64_t complete_ns;            /* when its complete file was noticed */
    uint64_t base, low, high;        /* where it lay when it was first loaded; 0: never */
    uint64_t tls_address;
    bool regardless; /* of types: states are brought to it as they are */
} session_build;

enum { SESSION_FAILURE_LINES = 64 };

typedef struct session_failure {
    bool active;
    uint32_t kind;    /* link_crash_kind; LINK_CRASH_NONE: ended without a record */
    uint64_t frame;   /* that could not be made */
    uint64_t address; /* that was touched; 0: none */
    int32_t signal;   /* or exit code */
    uint32_t build;
    int line_count;
    char lines[SESSION_FAILURE_LINES][160]; /* what happened, cut to what a panel shows */
    bool found;                             /* the debug side found it: what follows is set */
    bool stands;                            /* the frame was made nevertheless: one may go on */
    int report_line;                        /* lines from here on are the report's */
    link_finding finding; /* its text with the names of functions; more than lines can hold */
} session_failure;

/* A build to which the state cannot be brought: it waits for what is to be done. */
typedef struct session_refused {
    rp_elf *elf; /* owned; null: none */
    char path[RP_OBJECT_PATH_BYTES];
    uint64_t complete_ns;
    char why[480];
} session_refused;

/* What the last change of builds brought over, for people and programs. */
typedef struct session_times {
    double plan_ms;  /* both builds' symbols and types compared */
    double carry_ms; /* a runner restored, the build loaded, the state carried */
} session_times;

typedef struct session_desc {
    const rp_os_secrets *origin; /* of a world that began elsewhere; null: they follow from the
                                    seed. Read by session_open alone. */
    size_t budget_bytes;
    rp_tracking tracking;
    bool check_threads;
    uint64_t seed, start_wall_ns;
    uint32_t width_px, height_px, rate_hz;
    uint32_t watchdog_ms; /* 0: none */
    const char *const *keep;
    int keep_count;
    const char *module; /* its path as it was given, for takes; null: "" */
    const char *types;  /* the file with answers about types; null: none; need not exist */
    const char *debug;  /* debug modes by name, checked; null: none */
    void (*print)(void *context, const char *text, size_t length); /* what the program prints */
    void (*idle)(void *context);                                   /* while a step takes long */
    void *context;
} session_desc;

typedef enum session_recording {
    SESSION_RECORDING_TAKE,   /* that was asked for */
    SESSION_RECORDING_RESUME, /* for the next run */
    SESSION_RECORDINGS
} session_recording;

typedef struct session {
    session_desc desc;
    process_desc start;
    rp_log *log;
    process live, spare;
    uint32_t spare_told;   /* builds whose places the spare keeps */
    session_build *builds; /* build n is builds[n - 1] */
    uint32_t build_count;
    uint32_t newest; /* the build that is to run; 0: none yet */
    uint32_t loaded; /* the build in the live runner; 0: none */
    link_range *known;
    uint32_t known_count, known_capacity, next_page;
    rp_page_slot *entries; /* of a commit that comes in parts */
    size_t entry_count, entry_capacity;
    uint32_t width_px, height_px, rate_hz;
    char title[96];
    uint32_t *picture; /* of the last shown frame, width × height; null: none yet */
    uint32_t picture_width_px, picture_height_px;
    session_failure failure;
    bool restarting; /* a fresh runner is on its way: whether there is a failure is not settled */
    rp_loop_store loop;
    bookmarks bookmarks;     /* changed by session_bookmark, session_unbookmark alone */
    divergence *divergence;  /* pages of the loop's first pass */
    uint64_t diverged_frame; /* 0: no pass differed */
    char diverged_text[160];
    uint64_t twice_count, twice_differed;             /* frames of a synctest */
    uint64_t twice_frame;                             /* the last that differed; 0: none */
    char twice_text[640];                             /* and where */
    watched watched;                                  /* what steps watched and checked */
    const watched_difference *check_difference;       /* that the last step found; null: none */
    inputs inputs;                                    /* of all frames of this world */
    struct recording *recordings[SESSION_RECORDINGS]; /* the caller's; null: none */
    session_refused refused;
    bool regardless;           /* of types that differ, while a build is taken */
    session_times times;       /* of the last carry */
    rp_reload reload;          /* of the last carry */
    rp_migration migration;    /* of the same */
    rp_refusal refusal;        /* why the last build was refused; kind 0: it was not */
    char reload_report[600];   /* lines about variables that are worth a word */
    double build_ms;           /* complete file to its first step; of the newest build */
    uint64_t waiting_since_ns; /* complete_ns of a build whose first step is still to come */
    uint64_t step_ns, commit_ns, page_count, steps, restarts;
    uint64_t tended_steps; /* `steps` when the world was last tended */
    debug_choices_text debug;
    uint64_t debug_index; /* the log's newest record when they were changed last: what begins up to
                             there has other hashes when it is made again */
    uint64_t accepted_serial, accepted_frame; /* of the last finding that was told: a loop that
                                                 makes its frame again does not tell it again */
    bool randomised; /* the system forbids to turn address randomisation off */
} session;

rp_status session_open(const session_desc *desc, session *s);
void session_close(session *s);
/* Says goodbye to the module (rp_module_stop) before session_close. */
void session_stop(session *s);

/* A complete build was found; `elf` passes to the session. The first one starts a world (frame 0);
 * later ones are carried to from the log's position. On failure the former build goes on, and the
 * record says why. */
rp_status session_build_new(session *s, rp_elf *elf, const char *path, uint64_t complete_ns);
/* ---- where the state cannot be carried (RP_E_CHANGED; `refused` is set): session_anew.c ---- */

/* Keeps the old build. */
void session_refused_drop(session *s);
/* Tries the refused build once more: after an answer was given, or `regardless` of what cannot be
 * told or converted, which then starts anew or keeps its bytes. RP_E_RANGE: none was refused. */
rp_status session_build_again(session *s, bool regardless);
/* A new world, at frame 0, under the refused build, or the newest one. On failure nothing changed.
 */
rp_status session_world_restart(session *s);
/* False: no further. */
typedef bool session_progress(void *context, uint64_t frame, uint64_t to);
/* The same, and then all input since the world began, to the newest frame or the loop's end; the
 * loop stays. RP_E_RANGE: not all of it is kept. RP_E_DIED, RP_E_TIMEOUT: as session_step, at the
 * frame before. */
rp_status session_world_again(session *s, session_progress *progress, void *context);
/* From the last kept frame, or one at most twice as far back, whose state the refused build takes:
 * before blocks of the changed type were there. The input since then runs again under it, and the
 * frames before stay. RP_E_CHANGED: it takes none, and nothing changed; else as
 * session_world_again.
 */
rp_status session_world_since(session *s, session_progress *progress, void *context);

/* Goes back to an earlier build's file, as a new build. */
rp_status session_build_revert(session *s, uint32_t build);

/* Gives a variable ("count", "step.count") the initial value that the newest build has for it, at
 * the position, whose later frames are dropped. RP_E_NOT_FOUND, RP_E_ARGUMENT: none or several of
 * this name; RP_E_UNSUPPORTED: it holds addresses; RP_E_BUSY: an older build made the frame. */
rp_status session_reset(session *s, const char *name);

/* Makes the frame behind the position. `again`: a logged frame, whose printing is dropped. On
 * RP_E_DIED and RP_E_TIMEOUT the failure is filled in and a fresh runner stands at the position
 * again. RP_E_CLOSED: session_abandon. */
rp_status session_step(session *s, const rp_input *input, bool again, bool shown);
/* Makes the frame at the position, which was just made with `input`, once more and compares; where
 * the two differ `twice_text` says where. The second stands. RP_E_BUDGET: the frame before is not
 * kept; else as session_step. */
rp_status session_again(session *s, const rp_input *input, bool shown, bool *differs);
/* Restores a kept frame, in a fresh runner where an older build made it. */
rp_status session_seek(session *s, uint64_t frame);
/* Brings the picture of the position into `picture`. */
rp_status session_show(session *s);
/* ---- a debugger at the live runner ---- */

/* Lets that process attach to this runner and to those to come, where the system asks for it. */
void session_tracer_set(session *s, pid_t tracer);
/* Between frames: returns when the debugger's breakpoint at runner_hold was left. */
rp_status session_hold(session *s);
/* While a step is waited for: its runner is ended, and the step returns RP_E_CLOSED with a fresh
 * runner at the frame before. False: nothing of the program's runs. */
bool session_abandon(session *s);

/* Between frames: notices a runner that ended, makes the spare ready. RP_E_DIED: there was a
 * restart. */
rp_status session_tend(session *s);
/* In time that is left until the next frame: the runner prepares what later commits need, for about
 * `budget_ns`. Once for each frame. */
void session_world_tend(session *s, uint64_t budget_ns);

uint64_t session_frame(const session *s); /* at the position; 0 before the first */
uint64_t session_oldest(const session *s);
uint64_t session_newest(const session *s);
bool session_has_world(const session *s);
/* The sound of the last step. */
const float *session_sound(const session *s, uint32_t *frames, uint32_t *channels,
                           uint32_t *rate_hz);

/* A line more of the failure: `front` and `text`. */
void session_failure_add(session *s, const char *front, const char *text);

/* ---- memory: session_memory.c ---- */

/* Sets debug modes by name, for now and for all runners to come. RP_E_ARGUMENT: nothing changed. */
rp_status session_debug_set(session *s, const char *settings);
/* Whether the last frame left a finding of the debug side that was not told yet; fills `failure`.
 */
bool session_finding_take(session *s);

enum { SESSION_REPORT_MOST_BYTES = 64 << 20 };

/* A report of the runner's on the state at the position. */
typedef struct session_report {
    char *text; /* terminated; the caller frees it */
    size_t length;
    uint64_t count; /* leaks, or a mark's number */
} session_report;

/* RP_E_MEMORY, RP_E_DIED …: with a text. `a`, `b`: marks, for LINK_REPORT_GROWTH. */
rp_status session_report_make(session *s, link_report kind, bool json, uint64_t a, uint64_t b,
                              session_report *report);
/* What the blocks of the world are made of: src/module/survey.h. RP_E_UNSUPPORTED: no debug
 * information. Reads that of the whole build: up to seconds for a large one. */
rp_status session_survey(session *s, session_report *report);
/* At an orderly end: says goodbye to the module, and then what is left. */
rp_status session_leaks(session *s, session_report *report);

rp_status session_loop(session *s, uint64_t from, uint64_t to);
void session_unloop(session *s);

/* See bookmarks.h for their errors. They are in what is recorded and saved. */
rp_status session_bookmark(session *s, const char *name, uint64_t frame, const bookmark **put);
rp_status session_unbookmark(session *s, const char *name);

#endif
