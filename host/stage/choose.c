/* Which stage, and loading the window's plug-in. */
#include "stage/stage.h"

#include "base/error.h"
#include "plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plugin_name[] = "reprise-stage-sdl.so";

const stage_class *stage_sdl_class(void)
{
    static const stage_class *loaded; /* a library is loaded once a process */
    char why[256] = "it is not installed";
    if (loaded) {
        return loaded;
    }
    loaded = plugin_symbol(plugin_name, "reprise_stage_class", why, sizeof why);
    if (!loaded) {
        rp_fail(RP_E_NOT_FOUND,
                "window: cannot load %s: %s: install libsdl2-2.0-0, set REPRISE_LIB to its folder, "
                "or use "
                "--stage term",
                plugin_name, why);
    }
    return loaded;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0];
}

static bool has_display(void)
{
    return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") || is_set("REPRISE_SDL_ANY");
}

static bool has_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

static const stage_class *named_class(const char *name)
{
    if (!strcmp(name, "sdl")) {
        return stage_sdl_class();
    }
    if (!strcmp(name, "term")) {
        return &stage_term_class;
    }
    if (!strcmp(name, "none")) {
        return &stage_none_class;
    }
    rp_fail(RP_E_ARGUMENT, "stage: \"%s\" is none: use sdl, term or none", name);
    return NULL;
}

const stage_class *stage_choose(const char *name)
{
    if (name) {
        return named_class(name);
    }
    const stage_class *window = has_display() ? stage_sdl_class() : NULL;
    return window ? window : has_terminal() ? &stage_term_class : &stage_none_class;
}

static rp_status open_class(const stage_class *class, const stage_desc *desc,
                            const stage_class **class_out, stage **out)
{
    rp_status status = class->open(desc, out);
    if (status != RP_OK) {
        return class->error ? rp_fail(status, "%s", class->error()->text) : status;
    }
    *class_out = class;
    return RP_OK;
}

rp_status stage_open(const char *name, const stage_desc *desc, const stage_class **class_out,
                     stage **out)
{
    const stage_class *class = stage_choose(name);
    if (!class) {
        return rp_error_last()->status;
    }
    rp_status status = open_class(class, desc, class_out, out);
    if (status == RP_OK || name) {
        return status;
    }
    if (class != &stage_term_class && has_terminal() &&
        open_class(&stage_term_class, desc, class_out, out) == RP_OK) {
        return RP_OK;
    }
    return open_class(&stage_none_class, desc, class_out, out);
}
