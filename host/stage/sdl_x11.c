/* Outliving the X server. When the connection breaks, Xlib calls the process's I/O error handler
 * and then the display's exit handler, whose default is exit(). Since libX11 1.7 the latter can be
 * set; if it returns, the failed call returns too and every later call on that display does
 * nothing.
 *
 * Both are looked up in the library that SDL has loaded, so that the plug-in does not need X11
 * itself. */
#include "stage/sdl.h"

#include <SDL_syswm.h>
#include <dlfcn.h>

/* The handler gets no pointer of ours, so this is one per process. */
static volatile bool display_lost;

#if defined(SDL_VIDEO_DRIVER_X11)

typedef int (*io_error_handler)(Display *);
typedef void (*io_exit_handler)(Display *, void *);

static int note_loss(Display *display)
{
    (void)display;
    display_lost = true;
    return 0;
}

static void stay(Display *display, void *unused)
{
    (void)display;
    (void)unused;
}

void sdl_display_guard(SDL_Window *window)
{
    SDL_SysWMinfo info;
    SDL_VERSION(&info.version);
    display_lost = false;
    if (!SDL_GetWindowWMInfo(window, &info) || info.subsystem != SDL_SYSWM_X11) {
        return;
    }
    void *xlib = dlopen("libX11.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!xlib) {
        return;
    }
    io_error_handler (*set_error)(io_error_handler) = NULL;
    void (*set_exit)(Display *, io_exit_handler, void *) = NULL;
    /* ISO C has no conversion from an object pointer to a function pointer. */
    *(void **)&set_error = dlsym(xlib, "XSetIOErrorHandler");
    *(void **)&set_exit = dlsym(xlib, "XSetIOErrorExitHandler");
    if (set_error && set_exit) {
        set_error(note_loss);
        set_exit(info.info.x11.display, stay, NULL);
    }
    dlclose(xlib);
}

#else

void sdl_display_guard(SDL_Window *window)
{
    (void)window;
}

#endif

bool sdl_display_lost(void)
{
    return display_lost;
}
