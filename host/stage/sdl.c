/* The window stage: a software picture in an SDL window, so that it needs no graphics driver. */
#include "stage/sdl.h"
#include "stage/layout.h"

#include "base/error.h"
#include "base/text.h"

#include <reprise/draw.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_WIDTH = 1280, WINDOW_HEIGHT = 960, WINDOW_SMALLEST = 120 };

/* ---- opening ---- */

/* DISPLAY may be set and its server gone: so the names are told with what they hold. */
static rp_status no_display(const char *why)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return rp_fail(
        RP_E_CLOSED,
        "window: cannot open: %s (DISPLAY is \"%s\", WAYLAND_DISPLAY is \"%s\"): set one "
        "to a display that runs, or use --stage term",
        why, x11 ? x11 : "", wayland ? wayland : "");
}

/* These drivers show nothing to anybody; a test may ask for them. */
static bool is_blind(const char *driver)
{
    return !driver || !strcmp(driver, "dummy") || !strcmp(driver, "offscreen") ||
           !strcmp(driver, "evdev");
}

static rp_status start_video(void)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); /* signals are the host's */
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0) {
        return no_display(SDL_GetError());
    }
    const char *driver = SDL_GetCurrentVideoDriver();
    if (is_blind(driver) && !getenv("REPRISE_SDL_ANY")) {
        SDL_QuitSubSystem(SDL_INIT_VIDEO);
        return no_display("no display answers");
    }
    if (driver && !strcmp(driver, "x11")) {
        /* The plain way to an X11 window; a texture behind the surface would want OpenGL. */
        SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    }
    /* Without gamepads one can still play. */
    SDL_InitSubSystem(SDL_INIT_GAMECONTROLLER);
    return RP_OK;
}

static int default_scale(const stage_desc *desc, SDL_Rect usable)
{
    int width = usable.w < WINDOW_WIDTH ? usable.w : WINDOW_WIDTH;
    int height = usable.h < WINDOW_HEIGHT ? usable.h : WINDOW_HEIGHT;
    stage_rect fit = stage_fit((stage_rect){0, 0, width, height}, desc->width_px, desc->height_px);
    int scale = fit.width / desc->width_px;
    return scale > 0 ? scale : 1;
}

/* The bar's height depends on the window's and the other way round. */
static int bar_height(int width, int height)
{
    int unit = 1;
    while (unit < stage_overlay_unit(width, height + stage_overlay_height(unit))) {
        unit++;
    }
    return stage_overlay_height(unit);
}

static SDL_Window *make_window(const stage_desc *desc)
{
    SDL_Rect usable = {.w = WINDOW_WIDTH, .h = WINDOW_HEIGHT};
    SDL_GetDisplayUsableBounds(0, &usable);
    int scale = desc->scale > 0 ? desc->scale : default_scale(desc, usable);
    int width = desc->width_px * scale, height = desc->height_px * scale;
    height += bar_height(width, height);
    SDL_Window *window = SDL_CreateWindow(
        desc->title ? desc->title : "reprise", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED,
        width < usable.w ? width : usable.w, height < usable.h ? height : usable.h,
        SDL_WINDOW_RESIZABLE | SDL_WINDOW_SHOWN);
    if (window) {
        SDL_SetWindowMinimumSize(window, WINDOW_SMALLEST, WINDOW_SMALLEST);
    }
    return window;
}

static rp_status sdl_open(const stage_desc *desc, stage **out)
{
    if (desc->width_px < 1 || desc->height_px < 1 || desc->width_px > 4096 ||
        desc->height_px > 4096) {
        return rp_fail(RP_E_ARGUMENT, "window: a canvas of %d x %d: each side must be 1 to 4096",
                       desc->width_px, desc->height_px);
    }
    rp_status status = start_video();
    if (status != RP_OK) {
        return status;
    }
    stage *s = calloc(1, sizeof *s);
    if (!s) {
        SDL_Quit();
        return rp_fail(RP_E_MEMORY, "window: no memory: close other programs");
    }
    s->window = make_window(desc);
    if (!s->window) {
        status = no_display(SDL_GetError());
        free(s);
        SDL_Quit();
        return status;
    }
    sdl_display_guard(s->window);
    SDL_StartTextInput();
    *out = s;
    return RP_OK;
}

/* After the display is lost SDL must not be touched: it would talk to a dead connection. The
 * process's end frees what it holds. */
static void sdl_close(stage *s)
{
    if (!sdl_display_lost()) {
        sdl_sound_close(&s->sound);
        sdl_input_close(s);
        SDL_DestroyWindow(s->window);
        SDL_Quit();
    }
    free(s->converted);
    free(s);
}

/* ---- events ---- */

static bool tell_loss(stage *s, stage_event *event)
{
    if (s->lost_told) {
        return false;
    }
    s->lost_told = true;
    *event = (stage_event){.kind = STAGE_LOST};
    return true;
}

static bool sdl_poll(stage *s, stage_event *event)
{
    SDL_Event from;
    while (!stage_queue_pop(&s->input.queue, event)) {
        if (sdl_display_lost() || !SDL_PollEvent(&from)) {
            return sdl_display_lost() && tell_loss(s, event);
        }
        sdl_input_event(s, &from);
    }
    return true;
}

/* SDL reads ahead into queues of its own, so no descriptor tells. */
static int sdl_wait_fd(stage *s)
{
    (void)s;
    return -1;
}

/* ---- showing ---- */

static void draw(stage *s, rp_canvas *canvas, const stage_view *view)
{
    sdl_input *input = &s->input;
    input->track = stage_overlay_draw(canvas, view, &input->picture);
    input->canvas_width_px = view->width_px;
    input->canvas_height_px = view->height_px;
}

static void draw_converted(stage *s, SDL_Surface *surface, const stage_view *view)
{
    size_t wanted = (size_t)surface->w * (size_t)surface->h * sizeof(uint32_t);
    if (wanted > s->converted_bytes) {
        uint32_t *larger = realloc(s->converted, wanted);
        if (!larger) {
            return;
        }
        s->converted = larger;
        s->converted_bytes = wanted;
    }
    rp_canvas canvas = {s->converted, surface->w, surface->h, surface->w, 0};
    draw(s, &canvas, view);
    SDL_ConvertPixels(surface->w, surface->h, SDL_PIXELFORMAT_RGB888, s->converted, surface->w * 4,
                      surface->format->format, surface->pixels, surface->pitch);
}

static void set_title(stage *s, const char *title)
{
    if (title && strncmp(s->title, title, sizeof s->title - 1) != 0) {
        rp_text_copy(s->title, sizeof s->title, title);
        SDL_SetWindowTitle(s->window, s->title);
    }
}

static void sdl_show(stage *s, const stage_view *view)
{
    SDL_Surface *surface = sdl_display_lost() ? NULL : SDL_GetWindowSurface(s->window);
    if (!surface || sdl_display_lost() || SDL_LockSurface(surface) != 0) {
        return;
    }
    uint32_t format = surface->format->format;
    if (format == SDL_PIXELFORMAT_RGB888 || format == SDL_PIXELFORMAT_ARGB8888) {
        rp_canvas canvas = {surface->pixels, surface->w, surface->h, surface->pitch / 4, 0};
        draw(s, &canvas, view);
    } else {
        draw_converted(s, surface, view);
    }
    SDL_UnlockSurface(surface);
    set_title(s, view->title);
    SDL_UpdateWindowSurface(s->window);
}

static void sdl_sound_show(stage *s, const float *samples, uint32_t frame_count,
                           uint32_t channel_count, uint32_t rate_hz)
{
    if (!sdl_display_lost()) {
        sdl_sound_queue(&s->sound, samples, frame_count, channel_count, rate_hz);
    }
}

extern const stage_class reprise_stage_class;
__attribute__((visibility("default"))) const stage_class reprise_stage_class = {
    "sdl", sdl_open, sdl_close, sdl_poll, sdl_wait_fd, sdl_show, sdl_sound_show, rp_error_last,
};
