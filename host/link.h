/* What host and runner share: one piece of memory for each runner, and a socket pair.
 *
 * The socket carries small messages (link_message) in turn: the host asks, the runner answers.
 * Lists, plans, the picture and the sound lie in the memory. In the runner it is mapped at
 * RP_LINK_BASE, so that addresses of the canvas are the same in every process. Each side treats
 * what the other wrote as hostile: counts and offsets are checked before use.
 *
 * Layer: host (both processes).  Design: docs/internals/host.md
 */
#ifndef HOST_LINK_H
#define HOST_LINK_H

#include <history/world.h>
#include <module/carry.h>
#include <module/object.h>
#include <reprise/stage.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_MAGIC UINT32_C(0x4b4e4c52)
enum {
    LINK_VERSION = 5,
    LINK_CANVAS_MAX_PX = 4096,
    LINK_AUDIO_MAX_FRAMES = 65536,
    LINK_STACK_COPY_BYTES = 256 << 10,
    LINK_REGISTER_COUNT =
        17, /* x86-64 in DWARF order: rax rdx rcx rbx rsi rdi rbp rsp r8…r15, rip */
    LINK_BULK_BYTES = 16 << 20,
    LINK_OBJECT_MAX = RP_OBJECT_MAX,
    LINK_RANGE_MAX = 512,
    LINK_SLOT_RUN_MAX = 4096,
    LINK_DEBUG_BYTES = 8192,
    LINK_FINDING_BYTES = 16384,
    LINK_PIECE_BYTES = 256 << 10, /* of a report */
    LINK_PLAN_BYTES = 1 << 30,    /* the longest plan */
    LINK_WATCHDOG_SIGNAL = 40     /* a real-time signal that no library uses */
};

typedef enum link_op {
    LINK_NONE,
    /* host to runner */
    LINK_RANGES,     /* bulk: link_known: declares the state of the libraries that are loaded;
                        a: bytes of the world that are to be ready before they are needed */
    LINK_WORLD_NEW,  /* makes the world's roots: environment, random state */
    LINK_APPLY,      /* bulk: a: count of rp_page_slot; b: LINK_APPLY_… bits */
    LINK_OLD,        /* bulk: a: count of link_old_build: keeps their places, ahead of LINK_LOAD */
    LINK_LOAD,       /* bulk: link_load, then link_known: loads a build, declares its ranges */
    LINK_DESCRIBE,   /* a: an address: what lies there, as text in link->error */
    LINK_START,      /* rp_module_start, in a new world; answer as LINK_STEP */
    LINK_STEP,       /* input in the link; a: LINK_STEP_… flags */
    LINK_PLAN,       /* bulk: b bytes of an rp_plan of c bytes in all, from its byte a on */
    LINK_CARRY,      /* bulk: a link_known with the old build's ranges: by the plan that came before
                        copies, converts, re-points, calls reloaded, commits */
    LINK_WRITE,      /* bulk: b bytes for the module's variable at address a; commits */
    LINK_RENDER,     /* rp_module_render, then drops what it wrote */
    LINK_TEND,       /* a: ns: the runner prepares what later commits need: rp_world_tend */
    LINK_DEBUG,      /* sets the debug modes in link->debug, beside those that are set */
    LINK_REPORT,     /* a: link_report, b: 1: as JSON, c, d: marks; the text comes as LINK_PIECE */
    LINK_MORE_SLOTS, /* answer to LINK_NEED_SLOTS, runs in the link; to LINK_PIECE: go on */
    LINK_STOP,       /* rp_module_stop, then ends; a: 1: stays, for the leaks that are left */
    LINK_HOLD,       /* calls runner_hold, where a debugger stops between two frames */
    LINK_TRACER,     /* allows link->tracer to attach */
    /* runner to host */
    LINK_READY,   /* after the start; a: 1: addresses are not random; b, c, d: those of runner_hold,
                     runner_failing and runner_frame_end, for a debugger */
    LINK_DONE,    /* status, counts; entries in bulk */
    LINK_ENTRIES, /* a batch of entries in bulk: a: count; goes on after LINK_MORE_SLOTS */
    LINK_NEED_SLOTS, /* a: how many */
    LINK_PIECE,      /* a: bytes of a report in bulk; goes on after LINK_MORE_SLOTS */
    LINK_CRASHED,    /* the crash record is complete; the runner waits to be ended */
} link_op;

enum {
    LINK_STEP_RENDER = 1, /* the picture will be shown: call render */
    LINK_STEP_AGAIN = 2,  /* a logged frame is run again */
    LINK_STEP_SHOW =
        4, /* run for its picture only: nothing is committed, what was written is dropped */
};

/* QUIET: no debugger is attached. */
enum { LINK_APPLY_BEGIN = 1, LINK_APPLY_END = 2, LINK_APPLY_QUIET = 4 };

typedef enum link_report {
    LINK_REPORT_TREE,
    LINK_REPORT_LEAKS, /* answer: a: how many blocks nothing points to */
    LINK_REPORT_FRAGMENTATION,
    LINK_REPORT_LEDGER,
    LINK_REPORT_MARK,   /* no text; answer: a: the mark's number */
    LINK_REPORT_GROWTH, /* between the marks c and d */
    LINK_REPORT_MODES,  /* which debug modes hold for which allocator */
    LINK_REPORT_TYPES,  /* what blocks are made of, by the plan that came before; JSON alone */
    LINK_REPORT_COUNT
} link_report;

typedef struct link_message {
    uint32_t op;
    int32_t status; /* rp_status of an answer; its text is link->error */
    uint64_t a, b, c, d;
} link_message;

typedef enum link_crash_kind {
    LINK_CRASH_NONE,
    LINK_CRASH_SIGNAL,   /* number in `signal` */
    LINK_CRASH_OVERFLOW, /* of the deck's stack */
    LINK_CRASH_ASSERT,   /* text holds the assertion */
    LINK_CRASH_EXIT,     /* the module called exit; code in `signal` */
    LINK_CRASH_HANG,     /* the watchdog asked for a record */
    LINK_CRASH_HEAP,     /* a bad free and the like; text says what */
} link_crash_kind;

typedef struct link_crash {
    uint32_t kind; /* link_crash_kind; written last */
    int32_t signal, code;
    uint32_t in_step; /* 1: while the module ran; 0: in the runner itself */
    uint64_t address; /* that was touched, where the signal has one */
    uint64_t frame;
    uint32_t build;
    char text[240]; /* what `address` belongs to, or what the program said */
    uint64_t registers[LINK_REGISTER_COUNT];
    uint64_t stack_start; /* address of stack[0] */
    uint32_t stack_bytes;
    uint8_t stack[LINK_STACK_COPY_BYTES];
} link_crash;

/* Kinds of findings beside rp_debug_error_kind. */
enum {
    LINK_FINDING_TEMP_USED = 100,
    LINK_FINDING_TEMP_KEPT = 101,
    LINK_FINDING_THREAD_WRITE = 102
};

/* What the debug side found broken while a frame was made. The frame stands, unless a record of a
 * crash follows. Addresses in the text are {@7f12…}: the host names them. */
typedef struct link_finding {
    uint32_t count; /* written last; 0: nothing. The members are of the first, the text of all. */
    uint32_t kind;  /* rp_debug_error_kind, or one of those above */
    int64_t offset_bytes;
    uint64_t block, size_bytes, serial;
    char allocator[32];
    char text[LINK_FINDING_BYTES];
} link_finding;

/* ---- reprise/watch.h ---- */

enum {
    LINK_WATCH_MAX = 64,
    LINK_CHECK_MAX = 64,
    LINK_WATCH_NAME_BYTES = 32,
    LINK_CHECK_START = 24
};

typedef struct link_watch {
    char name[LINK_WATCH_NAME_BYTES];
    uint32_t is_point, reserved;
    double x, y; /* a number is x */
} link_watch;

typedef enum link_check_kind {
    LINK_CHECK_INT,
    LINK_CHECK_UINT,
    LINK_CHECK_FLOAT,
    LINK_CHECK_TEXT,
    LINK_CHECK_BYTES,
    LINK_CHECK_KINDS
} link_check_kind;

typedef struct link_check {
    char name[LINK_WATCH_NAME_BYTES];
    uint32_t kind, reserved; /* link_check_kind */
    uint64_t value;          /* its bits, or a hash of the text or bytes */
    uint64_t size_bytes;
    char start[LINK_CHECK_START]; /* of a text or of bytes, to show */
} link_check;

/* Of the frame that was made last. */
typedef struct link_watched {
    uint32_t open; /* a step runs */
    uint32_t watch_count, check_count, left_out;
    double origin_x, origin_y;
    link_watch watches[LINK_WATCH_MAX];
    link_check checks[LINK_CHECK_MAX];
} link_watched;

typedef struct link_object {
    char path[RP_OBJECT_PATH_BYTES];
    uint64_t base, low, high;
    uint32_t build; /* of the user's module; 0: a library */
    uint32_t zone;
    uint64_t tls_address; /* of its state in the stepping thread; 0: none */
    uint8_t build_id[32];
    uint32_t build_id_bytes; /* that count; 0: it has none */
    uint32_t reserved;
} link_object;

typedef struct link_range {
    char name[64];
    uint64_t start, size_bytes;
    uint32_t first_page;
    uint32_t build; /* 0: a library, the same in all builds */
} link_range;

/* The page numbers that ranges have in the log, so that each process uses the same. Followed by
 * `range_count` link_range. New ranges get numbers from `next_page` on. */
typedef struct link_known {
    uint32_t range_count, next_page;
} link_known;

/* What an earlier build left: its place stays reserved, its read-only data stays readable there. */
typedef struct link_old_build {
    char path[RP_OBJECT_PATH_BYTES]; /* its private copy; "" : reserve only */
    uint64_t base, low, high;
    uint32_t build, reserved;
} link_old_build;

/* Followed by a link_known. */
typedef struct link_load {
    char path[RP_OBJECT_PATH_BYTES];
    uint64_t low, high; /* where it lay before, a place that LINK_OLD kept; 0: a new build */
    uint32_t build, reserved;
} link_load;

typedef struct link_memory {
    uint32_t magic, version;
    /* what the runner opens before it is ready: file names, each terminated, at the start of
     * `bulk`; then the patterns of --keep-lib */
    uint32_t preload_count, keep_count;
    /* set by the host before the runner starts */
    uint64_t log_bytes; /* size of the log's view */
    uint64_t seed, start_wall_ns;
    uint64_t canary, pointer_guard;
    int32_t tracer;         /* process that may attach to the runner; 0: as the system has it */
    uint32_t tracking;      /* rp_tracking asked for; the runner writes back which one it has */
    uint32_t check_threads; /* report threads that write during a commit */
    char tracking_why[480]; /* of the runner: why AUTO did not take a better one */
    uint64_t lost_count;    /* times that tracking was lost, and mended by comparing */
    char debug[LINK_DEBUG_BYTES]; /* debug modes by name, as REPRISE_DEBUG has them */
    /* the stage */
    uint32_t width_px, height_px;
    uint32_t rate_hz;
    uint32_t audio_rate_hz, audio_channels, audio_frames; /* frames: made by the last step */
    char title[96];
    rp_input input; /* of the frame to step */
    uint64_t frame; /* the frame to step makes */
    uint32_t build, replaying;
    /* commit */
    uint32_t slot_run_count;
    struct {
        uint32_t first, count;
    } slot_runs[LINK_SLOT_RUN_MAX];
    uint64_t step_ns, collect_ns;
    rp_world_stats world;  /* after the last commit or LINK_TEND */
    uint64_t render_wrote; /* pages that rp_module_render wrote, and that were put back */
    rp_reload reload;      /* of the last LINK_CARRY */
    rp_migration migration;
    rp_refusal refusal; /* of a LINK_CARRY that was answered with RP_E_CHANGED */
    uint64_t left_at;   /* where the first word lies that could not be moved */
    char left_name[64];
    /* objects and ranges of this runner */
    uint32_t object_count, range_count;
    link_object objects[LINK_OBJECT_MAX];
    link_range ranges[LINK_RANGE_MAX];
    char error[480];
    link_crash crash;
    link_finding finding;
    link_watched watched;
    uint8_t bulk[LINK_BULK_BYTES];
    float audio[LINK_AUDIO_MAX_FRAMES * 2];
    uint32_t canvas[LINK_CANVAS_MAX_PX * (size_t)LINK_CANVAS_MAX_PX];
} link_memory;

#endif
