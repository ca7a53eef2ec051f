/* Runs a module without the host: no history, no reload, one process. For looking at a module's
 * picture, and for running it under a sanitizer.
 *
 *     harness MODULE.so [--frames N] [--input FILE] [--shot FRAME FILE.ppm]… [--hash]
 *
 * --hash prints "frame hash" of each picture and the sound, so that two runs can be compared.
 * Exit codes: 0 done, 1 could not be done, 2 wrong usage.
 */
#include "base/error.h"
#include "deck/input.h"

#include <dlfcn.h>
#include <reprise/watch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOT_MAX = 64, WIDTH_PX_MAX = 4096, AUDIO_RATE_HZ = 48000, AUDIO_CHANNELS = 2 };

typedef struct shot {
    uint64_t frame;
    const char *path;
} shot;

typedef struct options {
    const char *module, *input;
    uint64_t frames;
    shot shots[SHOT_MAX];
    int shot_count;
    bool hash;
} options;

typedef struct module {
    void (*step)(rp_stage *);
    void (*start)(rp_stage *);
    void (*render)(rp_stage *);
    void (*stop)(rp_stage *);
} module;

static int frames_per_second = 60;

void rp_stage_set_size(rp_stage *stage, int width_px, int height_px)
{
    stage->canvas_px.width_px = stage->canvas_px.stride_px = width_px;
    stage->canvas_px.height_px = height_px;
}

/* Nobody looks at what is watched or checked here. */
void rp_watch(const char *name, double value)
{
    (void)name, (void)value;
}

void rp_watch_point(const char *name, double x_px, double y_px)
{
    (void)name, (void)x_px, (void)y_px;
}

void rp_watch_origin(double x_px, double y_px)
{
    (void)x_px, (void)y_px;
}

void rp_check_int(const char *name, int64_t value)
{
    (void)name, (void)value;
}

void rp_check_uint(const char *name, uint64_t value)
{
    (void)name, (void)value;
}

void rp_check_float(const char *name, double value)
{
    (void)name, (void)value;
}

void rp_check_text(const char *name, const char *text)
{
    (void)name, (void)text;
}

void rp_check_bytes(const char *name, const void *bytes, size_t size_bytes)
{
    (void)name, (void)bytes, (void)size_bytes;
}

void rp_stage_set_rate(rp_stage *stage, int rate)
{
    (void)stage;
    frames_per_second = rate;
}

void rp_stage_set_title(rp_stage *stage, const char *title)
{
    (void)stage;
    (void)title;
}

static void *must(void *thing, const char *what, const char *why)
{
    if (!thing) {
        fprintf(stderr, "harness: %s: %s\n", what, why ? why : "failed");
        exit(1);
    }
    return thing;
}

static char *read_text(const char *path, size_t *size_bytes)
{
    FILE *file = must(fopen(path, "rb"), path, "cannot be opened");
    char *text = must(calloc(1, 1 << 20), path, "out of memory");
    *size_bytes = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static void write_ppm(const rp_canvas *canvas, const char *path)
{
    FILE *file = must(fopen(path, "wb"), path, "cannot be written");
    fprintf(file, "P6\n%d %d\n255\n", canvas->width_px, canvas->height_px);
    for (int y = 0; y < canvas->height_px; y++) {
        for (int x = 0; x < canvas->width_px; x++) {
            uint32_t pixel = canvas->pixels[y * canvas->stride_px + x];
            unsigned char rgb[] = {(unsigned char)(pixel >> 16), (unsigned char)(pixel >> 8),
                                   (unsigned char)pixel};
            fwrite(rgb, 1, sizeof rgb, file);
        }
    }
    fclose(file);
}

static uint64_t fnv1a(uint64_t hash, const void *data, size_t size_bytes)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--frames") && i + 1 < argc) {
            o->frames = strtoull(argv[++i], NULL, 10);
        } else if (!strcmp(argv[i], "--input") && i + 1 < argc) {
            o->input = argv[++i];
        } else if (!strcmp(argv[i], "--hash")) {
            o->hash = true;
        } else if (!strcmp(argv[i], "--shot") && i + 2 < argc && o->shot_count < SHOT_MAX) {
            o->shots[o->shot_count].frame = strtoull(argv[++i], NULL, 10);
            o->shots[o->shot_count++].path = argv[++i];
        } else if (argv[i][0] != '-' && !o->module) {
            o->module = argv[i];
        } else {
            return false;
        }
    }
    return o->module != NULL;
}

static module load(const char *path)
{
    void *handle = must(dlopen(path, RTLD_NOW | RTLD_GLOBAL), path, dlerror());
    module m;
    *(void **)&m.step = must(dlsym(handle, "rp_module_step"), path, "has no rp_module_step");
    *(void **)&m.start = dlsym(handle, "rp_module_start");
    *(void **)&m.render = dlsym(handle, "rp_module_render");
    *(void **)&m.stop = dlsym(handle, "rp_module_stop");
    return m;
}

static void step(const module *m, rp_stage *stage, const options *o)
{
    memset(stage->audio_px.samples, 0, sizeof(float) * AUDIO_CHANNELS * AUDIO_RATE_HZ);
    stage->audio_px.frame_count = (uint32_t)(AUDIO_RATE_HZ / frames_per_second);
    m->step(stage);
    if (m->render) {
        m->render(stage);
    }
    for (int i = 0; i < o->shot_count; i++) {
        if (o->shots[i].frame == stage->frame) {
            write_ppm(stage->canvas, o->shots[i].path);
        }
    }
    if (o->hash) {
        const rp_canvas *c = stage->canvas;
        uint64_t hash = fnv1a(UINT64_C(0xcbf29ce484222325), c->pixels,
                              sizeof(uint32_t) * (size_t)c->stride_px * (size_t)c->height_px);
        hash = fnv1a(hash, stage->audio->samples,
                     sizeof(float) * AUDIO_CHANNELS * stage->audio->frame_count);
        printf("%llu %016llx\n", (unsigned long long)stage->frame, (unsigned long long)hash);
    }
}

static void run(const module *m, rp_input_script *script, const options *o)
{
    rp_input input = {0};
    rp_stage stage = {.size_bytes = sizeof stage, .build = 1, .input = &input};
    stage.canvas = &stage.canvas_px;
    stage.audio = &stage.audio_px;
    stage.canvas_px.pixels =
        must(calloc(sizeof(uint32_t), (size_t)WIDTH_PX_MAX * WIDTH_PX_MAX), "canvas", NULL);
    stage.audio_px = (rp_audio){.rate_hz = AUDIO_RATE_HZ, .channel_count = AUDIO_CHANNELS};
    stage.audio_px.samples =
        must(calloc(sizeof(float) * AUDIO_CHANNELS, AUDIO_RATE_HZ), "sound", NULL);
    rp_stage_set_size(&stage, 320, 180);
    if (m->start) {
        m->start(&stage);
    }
    stage.dt_s = 1.0f / (float)frames_per_second;
    for (stage.frame = 1; stage.frame <= o->frames; stage.frame++) {
        stage.time_ns = stage.frame * UINT64_C(1000000000) / (uint64_t)frames_per_second;
        stage.time_s = (double)stage.time_ns * 1e-9;
        rp_input_script_get(script, stage.frame, &input);
        step(m, &stage, o);
    }
    if (m->stop) {
        m->stop(&stage);
    }
    free(stage.canvas_px.pixels);
    free(stage.audio_px.samples);
}

int main(int argc, char **argv)
{
    static const char no_input[] = "reprise-input 1\n";
    options o = {.frames = 600};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: harness MODULE.so [--frames N] [--input FILE] "
                        "[--shot FRAME FILE.ppm]... [--hash]\n");
        return 2;
    }
    size_t size_bytes = sizeof no_input - 1;
    char *owned = o.input ? read_text(o.input, &size_bytes) : NULL;
    rp_input_script script;
    if (rp_input_script_init(&script, o.input ? o.input : "no input", owned ? owned : no_input,
                             size_bytes) != RP_OK) {
        fprintf(stderr, "harness: %s\n", rp_error_last()->text);
        return 1;
    }
    module m = load(o.module);
    run(&m, &script, &o);
    free(owned);
    return 0;
}
