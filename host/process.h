/* A runner process as the host holds it: start, ask, watch, end.
 *
 * Layer: host.  Threads: the main thread.  Tests: tests/e2e/
 */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include "link.h"

#include <reprise/deck.h>
#include <sys/types.h>

typedef struct process_desc {
    int log_fd;
    uint64_t log_bytes, seed, start_wall_ns, canary, pointer_guard;
    rp_tracking tracking;
    bool check_threads;
    uint32_t width_px, height_px, rate_hz, audio_rate_hz, audio_channels;
    const char *const *preload; /* libraries that the module needs, in its order */
    int preload_count;
    const char *const *keep; /* patterns of --keep-lib */
    int keep_count;
    const char *debug; /* debug modes by name; null: none */
    pid_t tracer;      /* a debugger that may attach; 0: none */
} process_desc;

enum { PROCESS_OUTPUT_BYTES = 4096 };

typedef struct process {
    pid_t pid;          /* 0: none */
    int socket, output; /* output: what the program printed */
    link_memory *link;
    bool ready;
    bool randomised; /* address randomisation could not be turned off for it */
    uint64_t hold_at, fail_at, frame_end_at; /* where a debugger has breakpoints */
    bool crashed;                            /* link->crash tells how */
    uint32_t asked;    /* link_op that it has not answered yet; LINK_NONE: it waits for one */
    uint64_t asked_ns; /* since when */
    bool abandon;      /* process_abandon was called; set still when it has ended for that */
    int wait_status;   /* of waitpid, once it ended without a record */
    bool drop_output;  /* frames that are run again printed before */
    void (*print)(void *context, const char *text, size_t length);
    void *print_context;
    char tail[PROCESS_OUTPUT_BYTES]; /* the last that it printed, terminated */
    size_t tail_length;
} process;

/* How to wait for an answer. All may be null. */
typedef struct process_wait {
    uint32_t watchdog_ms;        /* 0: none */
    bool even_traced;            /* a debugger does not stop the watchdog */
    void (*idle)(void *context); /* called while waiting, about 50 times a second */
    /* LINK_NEED_SLOTS and LINK_ENTRIES of a commit: answers by filling the link's slot runs.
     * LINK_PIECE of a report: takes it out of the bulk. */
    rp_status (*part)(void *context, process *p, const link_message *message);
    void *context;
} process_wait;

/* Starts a runner; it gets ready on its own. RP_E_SYSTEM, RP_E_MEMORY, RP_E_NOT_FOUND: no runner
 * executable beside this program. */
rp_status process_start(const process_desc *desc, process *p);
/* Waits until it is ready. Its own error, RP_E_DIED or RP_E_TIMEOUT otherwise. */
rp_status process_ready(process *p);
/* One request, one answer. RP_E_DIED: it ended (see crashed and wait_status). RP_E_TIMEOUT: the
 * watchdog ended it; the record says where it was, if it could say so. Otherwise the runner's own
 * status, with its text in the error record. */
rp_status process_ask(process *p, const link_message *request, link_message *answer,
                      const process_wait *wait);
/* Ends it at once and frees what belongs to it. Safe on one that ended. Does not wait until the
 * system has taken its memory apart, which takes milliseconds: process_reap collects it later. */
void process_end(process *p);
/* Collects runners that were ended: those that are gone by now, or, with `wait`, all of them. */
void process_reap(bool wait);
/* To be called while it is waited for (process_wait.idle): what was asked is given up, the runner
 * is ended, and process_ask returns RP_E_DIED. Without a request nothing happens. */
void process_abandon(process *p);
/* Prints what the program wrote so far. */
void process_drain(process *p);
/* Whether it ended by itself (between requests). */
bool process_ended(process *p);
/* Whether a debugger is attached. */
bool process_traced(const process *p);

#endif
