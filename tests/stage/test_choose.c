#include "stage/stage.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(a_stage_is_chosen_by_its_name)
{
    ck_assert_ptr_eq(stage_choose("term"), &stage_term_class);
    ck_assert_ptr_eq(stage_choose("none"), &stage_none_class);
    ck_assert_ptr_null(stage_choose("curses"));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert(strstr(rp_error_last()->text, "use sdl, term or none"));
}

TEST(without_display_and_terminal_there_is_no_stage)
{
    unsetenv("DISPLAY"), unsetenv("WAYLAND_DISPLAY"), unsetenv("REPRISE_SDL_ANY"),
        setenv("TERM", "dumb", 1);
    ck_assert_ptr_eq(stage_choose(NULL), &stage_none_class);
    stage_desc desc = {.width_px = 4, .height_px = 4};
    const stage_class *class;
    stage *s;
    ck_ok(stage_open(NULL, &desc, &class, &s));
    stage_event event;
    stage_view view = {0};
    ck_assert_ptr_eq(class, &stage_none_class);
    ck_assert(!class->poll(s, &event));
    ck_assert_int_eq(class->wait_fd(s), -1);
    class->show(s, &view);
    class->sound(s, NULL, 0, 2, 48000);
    class->close(s);
}

TEST(a_window_that_nobody_could_see_is_refused_with_its_reason)
{
    const stage_class *window = stage_sdl_class();
    if (!window) {
        ck_assert_int_eq(rp_error_last()->status, RP_E_NOT_FOUND);
        return;
    }
    ck_assert_str_eq(window->name, "sdl");
    ck_assert_ptr_eq(stage_sdl_class(), window);
    setenv("SDL_VIDEODRIVER", "dummy", 1);
    unsetenv("REPRISE_SDL_ANY");
    stage_desc desc = {.width_px = 4, .height_px = 4};
    const stage_class *class;
    stage *s;
    ck_assert_int_eq(stage_open("sdl", &desc, &class, &s), RP_E_CLOSED);
    ck_assert(strstr(rp_error_last()->text, "--stage term"));
}
