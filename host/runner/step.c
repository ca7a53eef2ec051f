/* Running the module: on the deck's stack, with a stage made anew for each call. See runner.h. */
#include "runner.h"

#include <os/os.h>
#include <string.h>

/* What `enter` is to call. Static, so that no address of the main stack, which depends on the size
 * of the environment, comes near the program. */
static struct {
    void (*function)(rp_stage *);
    void (*reloaded)(rp_stage *, const rp_reload *);
    const rp_reload *reload;
} what;

/* How many sample frames the sound of frame `n` takes: the rounding adds up to the rate. */
static uint32_t audio_frames(const link_memory *link, uint64_t n)
{
    uint64_t rate = link->audio_rate_hz, hz = link->rate_hz ? link->rate_hz : 60;
    uint64_t frames = n ? n * rate / hz - (n - 1) * rate / hz : 0;
    return frames < LINK_AUDIO_MAX_FRAMES ? (uint32_t)frames : LINK_AUDIO_MAX_FRAMES;
}

static void canvas_begin(rp_stage *stage, link_memory *link)
{
    stage->canvas = &stage->canvas_px;
    stage->canvas_px = (rp_canvas){.pixels = link->canvas,
                                   .width_px = (int32_t)link->width_px,
                                   .height_px = (int32_t)link->height_px,
                                   .stride_px = (int32_t)link->width_px};
}

static void audio_begin(rp_stage *stage, link_memory *link, bool silent)
{
    uint32_t channels = link->audio_channels == 1 ? 1 : 2;
    link->audio_frames = audio_frames(link, link->frame);
    stage->audio = &stage->audio_px;
    stage->audio_px = (rp_audio){.samples = link->audio,
                                 .rate_hz = link->audio_rate_hz,
                                 .frame_count = link->audio_frames,
                                 .channel_count = channels};
    if (!silent) {
        memset(link->audio, 0, (size_t)link->audio_frames * channels * sizeof link->audio[0]);
    }
}

void runner_stage_begin(uint32_t flags)
{
    link_memory *link = the_runner.link;
    rp_stage *stage = the_runner.stage;
    uint64_t hz = link->rate_hz ? link->rate_hz : 60;
    memset(stage, 0, sizeof *stage);
    stage->size_bytes = sizeof *stage;
    stage->build = link->build;
    stage->frame = link->frame;
    stage->time_ns = link->frame * UINT64_C(1000000000) / hz;
    stage->time_s = (double)link->frame / (double)hz;
    stage->dt_s = 1.0f / (float)hz;
    stage->replaying = flags & LINK_STEP_AGAIN ? 1 : 0;
    stage->input = &link->input;
    canvas_begin(stage, link);
    audio_begin(stage, link, flags & LINK_STEP_RENDER && flags & LINK_STEP_AGAIN);
    rp_environment *environment = runner_environment();
    if (environment) {
        rp_environment_frame(environment, link->frame, (uint32_t)hz);
    }
}

static void enter(void *argument)
{
    (void)argument;
    the_runner.in_step = 1;
    if (what.function) {
        what.function(the_runner.stage);
    } else {
        what.reloaded(the_runner.stage, what.reload);
    }
    the_runner.in_step = 0;
}

void runner_call(void (*function)(rp_stage *))
{
    what.function = function;
    rp_os_call_on_stack(the_runner.stack_top, enter, NULL);
}

void runner_call_reloaded(const rp_reload *reload)
{
    what.function = NULL;
    what.reloaded = the_runner.module.reloaded;
    what.reload = reload;
    rp_os_call_on_stack(the_runner.stack_top, enter, NULL);
}

void runner_constructors(void (*function)(void *), void *argument)
{
    the_runner.in_step = 1;
    rp_os_call_on_stack(the_runner.stack_top, function, argument);
    the_runner.in_step = 0;
}

/* ---- what a module asks of its stage ---- */

void rp_stage_set_size(rp_stage *stage, int width_px, int height_px)
{
    if (width_px < 1 || height_px < 1 || width_px > LINK_CANVAS_MAX_PX ||
        height_px > LINK_CANVAS_MAX_PX) {
        return;
    }
    the_runner.link->width_px = (uint32_t)width_px;
    the_runner.link->height_px = (uint32_t)height_px;
    canvas_begin(stage, the_runner.link);
}

void rp_stage_set_rate(rp_stage *stage, int frames_per_second)
{
    if (frames_per_second < 1 || frames_per_second > 1000) {
        return;
    }
    the_runner.link->rate_hz = (uint32_t)frames_per_second;
    stage->dt_s = 1.0f / (float)frames_per_second;
}

void rp_stage_set_title(rp_stage *stage, const char *title)
{
    (void)stage;
    size_t length = strnlen(title, sizeof the_runner.link->title - 1);
    memcpy(the_runner.link->title, title, length);
    the_runner.link->title[length] = 0;
}
