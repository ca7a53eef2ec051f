/* What a module sees: the functions that it defines and the stage it is given.
 *
 * A module is a shared library with one function, rp_module_step. It is called once a frame with an
 * rp_stage: time, input, a picture to fill and sound to make. Everything the module keeps in its
 * globals and on its heap is state: saved each frame, restored by a seek, carried over a rebuild.
 *
 *   rp_module_start   once, in a new world                      part of the state
 *   rp_module_step    every frame; run again by seek and loop   part of the state
 *   rp_module_render  after a step that will be shown           what it writes to memory is dropped
 *   rp_module_reloaded  after the world was carried to this build
 *   rp_module_stop    at an orderly end
 *
 * Layer: public, no code but inline accessors.  Design: docs/internals/deck.md
 */
#ifndef REPRISE_STAGE_H
#define REPRISE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */

/* Keys. Letters and digits are their upper-case ASCII code, so RP_KEY_A == 'A'. */
typedef enum rp_key {
    RP_KEY_NONE = 0,
    RP_KEY_ENTER = 10,
    RP_KEY_TAB = 9,
    RP_KEY_BACKSPACE = 8,
    RP_KEY_ESCAPE = 27,
    RP_KEY_SPACE = 32,
    RP_KEY_0 = '0', RP_KEY_1, RP_KEY_2, RP_KEY_3, RP_KEY_4,
    RP_KEY_5, RP_KEY_6, RP_KEY_7, RP_KEY_8, RP_KEY_9,
    RP_KEY_A = 'A', RP_KEY_B, RP_KEY_C, RP_KEY_D, RP_KEY_E, RP_KEY_F, RP_KEY_G,
    RP_KEY_H, RP_KEY_I, RP_KEY_J, RP_KEY_K, RP_KEY_L, RP_KEY_M, RP_KEY_N,
    RP_KEY_O, RP_KEY_P, RP_KEY_Q, RP_KEY_R, RP_KEY_S, RP_KEY_T, RP_KEY_U,
    RP_KEY_V, RP_KEY_W, RP_KEY_X, RP_KEY_Y, RP_KEY_Z,
    RP_KEY_DELETE = 127,
    RP_KEY_LEFT = 128, RP_KEY_RIGHT, RP_KEY_UP, RP_KEY_DOWN,
    RP_KEY_HOME, RP_KEY_END, RP_KEY_PAGE_UP, RP_KEY_PAGE_DOWN, RP_KEY_INSERT,
    RP_KEY_SHIFT, RP_KEY_CTRL, RP_KEY_ALT,
    RP_KEY_F1 = 144, RP_KEY_F2, RP_KEY_F3, RP_KEY_F4, RP_KEY_F5, RP_KEY_F6,
    RP_KEY_F7, RP_KEY_F8, RP_KEY_F9, RP_KEY_F10, RP_KEY_F11, RP_KEY_F12,
    RP_KEY_COUNT = 256 /* punctuation keys are their ASCII code: RP_KEY_MINUS is '-' */
} rp_key;

/* Mouse buttons, bits of rp_mouse.buttons. */
enum { RP_MOUSE_LEFT = 1, RP_MOUSE_MIDDLE = 2, RP_MOUSE_RIGHT = 4 };

typedef struct rp_mouse {
    float x, y;            /* in canvas pixels; may lie outside the canvas */
    float wheel_x, wheel_y; /* notches since the last frame; up and right are positive */
    uint32_t buttons;      /* RP_MOUSE_… that are down */
    uint32_t reserved;
} rp_mouse;

/* Gamepad buttons, bits of rp_pad.buttons, named by position. */
enum {
    RP_PAD_SOUTH = 1 << 0, RP_PAD_EAST = 1 << 1, RP_PAD_WEST = 1 << 2, RP_PAD_NORTH = 1 << 3,
    RP_PAD_BACK = 1 << 4, RP_PAD_GUIDE = 1 << 5, RP_PAD_START = 1 << 6,
    RP_PAD_LEFT_STICK = 1 << 7, RP_PAD_RIGHT_STICK = 1 << 8,
    RP_PAD_LEFT_SHOULDER = 1 << 9, RP_PAD_RIGHT_SHOULDER = 1 << 10,
    RP_PAD_UP = 1 << 11, RP_PAD_DOWN = 1 << 12, RP_PAD_LEFT = 1 << 13, RP_PAD_RIGHT = 1 << 14
};

/* clang-format on */

typedef struct rp_pad {
    uint32_t connected;
    uint32_t buttons;
    float left_x, left_y, right_x, right_y; /* -1 … 1, y grows downwards */
    float left_trigger, right_trigger;      /* 0 … 1 */
} rp_pad;

enum { RP_INPUT_TEXT_BYTES = 64, RP_INPUT_PAD_COUNT = 4, RP_INPUT_USER_BYTES = 256 };

/* Everything that enters a frame. It is logged, and a replay gets the same bytes. All-zero is "no
 * input". Plain data: no pointers, no padding. */
typedef struct rp_input {
    uint8_t keys_down[RP_KEY_COUNT / 8];    /* bit k: key k is down in this frame */
    uint8_t keys_pressed[RP_KEY_COUNT / 8]; /* bit k: key k went down since the last frame */
    char text[RP_INPUT_TEXT_BYTES];         /* UTF-8 typed since the last frame, terminated */
    rp_mouse mouse;
    rp_pad pads[RP_INPUT_PAD_COUNT];
    uint32_t user_bytes; /* how much of `user` is used */
    uint32_t reserved;
    uint8_t user[RP_INPUT_USER_BYTES]; /* the program's own: network packets, sensors, … */
} rp_input;

/* The picture: 32-bit 0xXXRRGGBB pixels, row y begins at pixels + y * stride_px. Its content is
 * undefined when a frame begins. */
typedef struct rp_canvas {
    uint32_t *pixels;
    int32_t width_px, height_px, stride_px;
    int32_t reserved;
} rp_canvas;

/* The sound of this frame: `frame_count` times `channel_count` interleaved floats in -1 … 1, silent
 * when the step begins. */
typedef struct rp_audio {
    float *samples;
    uint32_t rate_hz, frame_count, channel_count, reserved;
} rp_audio;

typedef struct rp_stage {
    uint32_t size_bytes; /* of this struct in the library that made it */
    uint32_t build;      /* number of the running build, from 1 */
    uint64_t frame;      /* the frame that this step makes; 1 for the first step */
    uint64_t time_ns;    /* virtual time since the world began: frame * dt */
    double time_s;
    float dt_s;         /* length of a frame in seconds */
    uint32_t replaying; /* 1 while logged frames are run again */
    const rp_input *input;
    rp_canvas canvas_px;
    rp_canvas *canvas; /* = &canvas_px */
    rp_audio audio_px;
    rp_audio *audio; /* = &audio_px */
} rp_stage;

/* What a module may ask for in rp_module_start; also as options of `reprise run`. */
void rp_stage_set_size(rp_stage *stage, int width_px, int height_px); /* 1…4096 each; 320×180 */
void rp_stage_set_rate(rp_stage *stage, int frames_per_second);       /* 1…1000; 60 */
void rp_stage_set_title(rp_stage *stage, const char *title);          /* copied */

typedef struct rp_reload {
    uint32_t size_bytes;
    uint32_t old_build, new_build;
    uint32_t carried, added, removed;       /* variables */
    uint32_t pointers_moved, pointers_left; /* words that led into the old build */
    /* Objects whose type changed, on the heap and in variables. */
    uint64_t objects_converted;
    uint64_t blocks_moved; /* heap blocks that had to grow: they lie elsewhere now */
    uint64_t values_lost;  /* numbers that did not fit their new type */
    uint64_t fields_left;  /* pointers to fields that are no more */
} rp_reload;

/* Defined by the module. Declared here so that a wrong signature does not compile. */
#if defined(__GNUC__)
#define RP_MODULE_EXPORT __attribute__((visibility("default")))
#else
#define RP_MODULE_EXPORT
#endif
RP_MODULE_EXPORT void rp_module_step(rp_stage *stage);
RP_MODULE_EXPORT void rp_module_start(rp_stage *stage);
RP_MODULE_EXPORT void rp_module_render(rp_stage *stage);
RP_MODULE_EXPORT void rp_module_reloaded(rp_stage *stage, const rp_reload *reload);
RP_MODULE_EXPORT void rp_module_stop(rp_stage *stage);

/* 1 while `key` is down; 1 in the one frame in which it went down. */
static inline int rp_down(const rp_stage *stage, int key)
{
    return stage->input->keys_down[(unsigned)key / 8u % (RP_KEY_COUNT / 8)] >>
               ((unsigned)key % 8u) &
           1;
}

static inline int rp_pressed(const rp_stage *stage, int key)
{
    return stage->input->keys_pressed[(unsigned)key / 8u % (RP_KEY_COUNT / 8)] >>
               ((unsigned)key % 8u) &
           1;
}

#ifdef __cplusplus
}
#endif
#endif
