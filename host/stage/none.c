/* The stage without a face: for tests, servers and `--input FILE`. */
#include "stage/stage.h"

#include <stddef.h>

struct stage {
    int unused;
};

static rp_status none_open(const stage_desc *desc, stage **out)
{
    static stage only; /* holds nothing */
    (void)desc;
    *out = &only;
    return RP_OK;
}

static void none_close(stage *s)
{
    (void)s;
}

static bool none_poll(stage *s, stage_event *event)
{
    (void)s;
    (void)event;
    return false;
}

static int none_wait_fd(stage *s)
{
    (void)s;
    return -1;
}

static void none_show(stage *s, const stage_view *view)
{
    (void)s;
    (void)view;
}

static void none_sound(stage *s, const float *samples, uint32_t frame_count, uint32_t channel_count,
                       uint32_t rate_hz)
{
    (void)s;
    (void)samples;
    (void)frame_count;
    (void)channel_count;
    (void)rate_hz;
}

const stage_class stage_none_class = {"none",       none_open, none_close, none_poll,
                                      none_wait_fd, none_show, none_sound, NULL};
