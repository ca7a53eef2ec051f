/* The window: its parts, shared by the files of the plug-in alone.
 *
 *     sdl.c        the window and its class       sdl_sound.c  the sound queue
 *     sdl_input.c  events                         sdl_x11.c    outliving the display
 *
 * Layer: host (plug-in).  Threads: the host's main thread; SDL's own audio thread never calls us.
 */
#ifndef HOST_STAGE_SDL_H
#define HOST_STAGE_SDL_H

#include "stage/queue.h"

#include <SDL.h>

typedef struct sdl_sound {
    SDL_AudioDeviceID device; /* 0: none */
    uint32_t channel_count, rate_hz;
    bool refused; /* no device: not asked again until one appears */
} sdl_sound;

typedef struct sdl_input {
    stage_queue queue;
    uint8_t key_of[SDL_NUM_SCANCODES]; /* rp_key that the held scancode went down as; 0: up */
    rp_mouse mouse;
    bool scrubbing;
    SDL_GameController *controllers[RP_INPUT_PAD_COUNT];
    /* where the last view was drawn, in window pixels */
    stage_rect picture, track;
    int canvas_width_px, canvas_height_px;
} sdl_input;

struct stage {
    SDL_Window *window;
    sdl_input input;
    sdl_sound sound;
    char title[128];
    uint32_t *converted; /* our picture where the window's pixels have another format */
    size_t converted_bytes;
    bool lost_told;
};

/* Puts what `event` means for a stage on the queue. */
void sdl_input_event(stage *s, const SDL_Event *event);
void sdl_input_close(stage *s);

void sdl_sound_queue(sdl_sound *sound, const float *samples, uint32_t frame_count,
                     uint32_t channel_count, uint32_t rate_hz);
void sdl_sound_close(sdl_sound *sound);

/* Xlib ends the process when its server goes away. This makes it return instead; from then on
 * sdl_display_lost is true and neither SDL nor Xlib may be called any more. */
void sdl_display_guard(SDL_Window *window);
bool sdl_display_lost(void);

#endif
