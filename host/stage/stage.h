/* A stage: where a person sees and steers the program. A window (SDL2, a plug-in that is loaded
 * when it is needed), a terminal, or none. All give the same events and show the same view.
 *
 * Layer: host.  Threads: the host's main thread alone.  Tests: tests/stage/, tests/e2e/
 */
#ifndef HOST_STAGE_STAGE_H
#define HOST_STAGE_STAGE_H

#include <deck/transport.h>
#include <reprise/stage.h>
#include <reprise/status.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- what comes in ---- */

typedef enum stage_event_kind {
    STAGE_KEY,   /* key, down, repeat */
    STAGE_TEXT,  /* text */
    STAGE_MOUSE, /* x, y in canvas pixels, buttons, wheel */
    STAGE_PAD,   /* index, pad */
    STAGE_SCRUB, /* the person drags the timeline: fraction 0 … 1; down false: let go */
    STAGE_RESIZE,
    STAGE_QUIT, /* the window was closed, or Ctrl-C in a terminal */
    STAGE_LOST, /* the display or terminal went away: nothing more can be shown */
} stage_event_kind;

typedef struct stage_event {
    stage_event_kind kind;
    int key; /* rp_key */
    bool down, repeat;
    bool shift, ctrl, alt;
    char text[32];
    rp_mouse mouse; /* wheel: since the last event */
    int index;
    rp_pad pad;
    double fraction;
} stage_event;

/* ---- what is shown ---- */

enum { STAGE_LINE_MAX = 24, STAGE_LINE_CHARS = 160, STAGE_MARK_MAX = 64 };

typedef struct stage_mark {
    uint64_t frame;
    char kind; /* 'b' build, 'c' crash, 'i' mark in, 'd' divergence */
} stage_mark;

/* The path of a watched point over a loop, in canvas pixels; a point that is not known is not a
 * number. */
enum { STAGE_GHOST_MAX = 8, STAGE_GHOST_POINTS = 600 };
typedef struct stage_ghost {
    bool earlier;    /* of the build before */
    int count, here; /* here: where the program is now; -1: outside */
    float x[STAGE_GHOST_POINTS], y[STAGE_GHOST_POINTS];
} stage_ghost;

/* One model for all stages; the window draws it, the terminal prints it. */
typedef struct stage_view {
    const uint32_t *pixels; /* the program's picture, 0xXXRRGGBB; null before the first frame */
    int width_px, height_px, stride_px;
    const char *title;
    uint32_t build;
    char build_time[16]; /* "14:02:11" */
    double build_ms;     /* from the complete file to its first step; 0: first build */
    const char *mode;    /* rp_transport_text */
    uint64_t position, oldest, newest;
    uint32_t rate_hz;       /* frames a second, to show times */
    uint32_t speed_divisor; /* 1 full speed */
    bool looping, has_mark;
    uint64_t loop_from, loop_to, loop_pass, mark;
    bool dimmed;    /* a failure is shown over the picture */
    bool alarm;     /* lines are an error (failure, compile errors), not a notice */
    int line_count; /* panel over the picture: a failure report, compile errors, help */
    char lines[STAGE_LINE_MAX][STAGE_LINE_CHARS];
    char toast[STAGE_LINE_CHARS]; /* "build 2 · 180 ms"; empty: none */
    int mark_count;
    stage_mark marks[STAGE_MARK_MAX];
    double step_ms;
    int ghost_count;
    stage_ghost ghosts[STAGE_GHOST_MAX];
} stage_view;

/* ---- a stage ---- */

typedef struct stage stage;

typedef struct stage_desc {
    const char *title;
    int width_px, height_px; /* of the canvas */
    int scale;               /* window pixels a canvas pixel; 0: what fits */
} stage_desc;

typedef struct stage_class {
    const char *name;
    /* RP_E_CLOSED: no display / no terminal here, with what to do. */
    rp_status (*open)(const stage_desc *desc, stage **out);
    void (*close)(stage *s); /* restores the terminal; safe after STAGE_LOST */
    /* The next event; false: none now. Never blocks. */
    bool (*poll)(stage *s, stage_event *event);
    /* A descriptor that becomes readable when events may be there; -1: poll each tick. */
    int (*wait_fd)(stage *s);
    void (*show)(stage *s, const stage_view *view);
    /* Queues sound; `frame_count` 0 drops what is queued (after a seek). */
    void (*sound)(stage *s, const float *samples, uint32_t frame_count, uint32_t channel_count,
                  uint32_t rate_hz);
    /* The error record of a plug-in, which has a copy of the base layer; null: rp_error_last. */
    const rp_error *(*error)(void);
} stage_class;

extern const stage_class stage_none_class, stage_term_class;
/* Opens the stage of that name; without a name (null) the first that can be opened in the order of
 * stage_choose. RP_E_ARGUMENT: no such stage. `*class_out` is set where it returns RP_OK. */
rp_status stage_open(const char *name, const stage_desc *desc, const stage_class **class_out,
                     stage **out);
/* Loads the window plug-in; null with the record set where it is not installed. The plug-in exports
 * one symbol, `reprise_stage_class`. */
const stage_class *stage_sdl_class(void);
/* "sdl", "term", "none", or null: SDL where a display is, the terminal where there is one, else
 * none. */
const stage_class *stage_choose(const char *name);

/* ---- shared by the stages ---- */

/* The panel, status line and timeline drawn over and under the picture, into a picture of the
 * window's size. Returns where the timeline is, for scrubbing. (overlay.c) */
typedef struct stage_rect {
    int x, y, width, height;
} stage_rect;
stage_rect stage_overlay_draw(rp_canvas *window, const stage_view *view, stage_rect *picture);
/* Ghosts, over a picture that is shown there. (ghosts.c) */
void stage_ghosts_draw(rp_canvas *canvas, const stage_view *view, stage_rect shown);
uint32_t stage_ghost_colour(const stage_ghost *ghost);
/* Whether the path goes from point i - 1 to point i. */
bool stage_ghost_joined(const stage_ghost *ghost, int i);
/* How much the overlay is enlarged in a window of this size: window pixels for a pixel of its font;
 * and the height that the bar under the picture then takes. (layout.c) */
int stage_overlay_unit(int width_px, int height_px);
int stage_overlay_height(int unit);
/* The status line as text, at most `columns` wide: for the terminal and the log. */
void stage_status_text(const stage_view *view, char *text, size_t capacity, int columns);

/* Collects events into the frame's input and into commands. (keys.c)
 *   F1 help · F2 slower, with shift full speed · F3 take over · F4 retry, with shift skip · F5
 * pause · F6 rewind while held · F7 mark in, out, end, with shift a bookmark · F8 save · F9 back,
 * F10 step, with shift by bookmarks · F12 keep the old build, with shift load regardless · Ctrl-Q
 * quit. A key or button that went down and up between
 * two frames is down in the frame that takes it. */
enum { STAGE_COMMAND_MAX = 16 };
typedef struct stage_keys {
    rp_input input;                         /* of the frame being collected */
    rp_command commands[STAGE_COMMAND_MAX]; /* the host obeys them, then sets command_count to 0 */
    int command_count;
    bool want_help; /* each press of F1 turns it */
    bool want_quit, lost;
    bool want_save;       /* history into a take; the host sets it to false */
    bool want_bookmark;   /* at this frame, or none any more; the same */
    int want_bookmark_by; /* -1, 1: to the bookmark before, to the next; the host sets it to 0 */
    bool want_keep, want_regardless; /* of a build that was refused; the host sets them to false */
    uint32_t speed_divisor;
    bool rewinding;
    bool scrubbing;
    double scrub_fraction;
    uint8_t held[RP_KEY_COUNT / 8]; /* what is down now: the next frame begins with it */
    uint32_t mouse_held, pad_held[RP_INPUT_PAD_COUNT];
} stage_keys;
void stage_keys_init(stage_keys *keys);
void stage_keys_event(stage_keys *keys, const stage_event *event);
/* A frame took its input, or the host drops it (paused): forgets what counts for one frame only. */
void stage_keys_frame_done(stage_keys *keys);
/* A line for each key, for the help panel. */
int stage_keys_help(char lines[][STAGE_LINE_CHARS], int capacity);

#endif
