/* Opens a stage with a made-up picture and writes what comes in, a line an event: for scripts that
 * type at a real window or terminal, and for looking at the stages.
 *
 *     show_stage STAGE [--events FILE] [--view plain|loop|crash|notice|toast] [--size 320x180]
 *                [--frames N] [--crash N: fault at frame N]
 *
 * Ends with 0 by Ctrl-Q, Ctrl-C or after N frames; 3 when the stage was lost; 1 when it cannot be
 * opened.
 */
#include "stage/stage.h"

#include <reprise/draw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_LOST = 3 };

typedef struct show_options {
    const char *stage, *view;
    FILE *events;
    int width, height;
    long frames, crash;
} show_options;

static void paint(rp_canvas *canvas, long frame)
{
    int horizon = canvas->height_px * 2 / 3;
    for (int y = 0; y < canvas->height_px; y++) {
        uint32_t shade = (uint32_t)(y * 90 / canvas->height_px);
        rp_fill(canvas, 0, (float)y, (float)canvas->width_px, 1,
                0x24406A + (shade << 16) + (shade / 2 << 8));
    }
    for (int i = 0; i < 9; i++) {
        float x =
            (float)((i * 67 + canvas->width_px * 4 - frame / 2) % (canvas->width_px + 80)) - 40;
        rp_disc(canvas, x, (float)horizon + 22, 38, i & 1 ? 0x2F6B4F : 0x357A58);
    }
    rp_fill(canvas, 0, (float)horizon, (float)canvas->width_px, (float)canvas->height_px, 0x4A3B2E);
    rp_fill(canvas, 0, (float)horizon, (float)canvas->width_px, 5, 0x6FAE4E);
    float x = (float)(frame % (canvas->width_px + 16)) - 8;
    rp_fill(canvas, x, (float)horizon - 16, 10, 16, 0xF2B84B);
    rp_fill(canvas, x + 6, (float)horizon - 13, 2, 3, 0x20242C);
    rp_text(canvas, 8, 8, 1, 0xFFFFFF, "score 0420");
    rp_line(canvas, 0, 0, (float)canvas->width_px, 40, 0x8FB7E0);
}

static void set_lines(stage_view *view, const char *const *lines, int count)
{
    view->line_count = count;
    for (int i = 0; i < count; i++) {
        snprintf(view->lines[i], STAGE_LINE_CHARS, "%s", lines[i]);
    }
}

static void add_mark(stage_view *view, uint64_t frame, char kind)
{
    view->marks[view->mark_count++] = (stage_mark){frame, kind};
}

static void set_crash(stage_view *view)
{
    static const char *const lines[] = {
        "SIGSEGV: e->target is null at game.c:141 in enemy_chase, frame 1204, build 3",
        "",
        "  game.c:141   enemy_chase    float dx = e->target->x - e->x;",
        "  game.c:212   enemies_step",
        "  game.c:388   rp_module_step",
        "",
        "The world stands at frame 1203. Mend it and save: the same input is tried again.",
        "F4 tries again now. Shift F4 goes on without this input.",
    };
    set_lines(view, lines, 8);
    view->alarm = view->dimmed = true;
    view->mode = "failed";
    add_mark(view, 1204, 'c');
}

static void set_view(stage_view *view, const show_options *options, const stage_keys *keys,
                     uint64_t frame)
{
    static const char *const notice[] = {"What Reprise does with your keys",
                                         "Everything else is the program's."};
    uint64_t first = 1000;
    *view = (stage_view){.title = "show_stage",
                         .build = 3,
                         .build_time = "14:02:11",
                         .mode = "play",
                         .position = first + frame,
                         .oldest = 1,
                         .newest = first + frame,
                         .rate_hz = 60,
                         .speed_divisor = keys->speed_divisor,
                         .step_ms = 0.42};
    add_mark(view, 1, 'b');
    add_mark(view, 400, 'b');
    add_mark(view, 910, 'b');
    add_mark(view, 640, 'c');
    add_mark(view, 760, 'd');
    if (!strcmp(options->view, "loop")) {
        view->mode = "loop";
        view->looping = true;
        view->loop_from = 780, view->loop_to = 900, view->loop_pass = 4;
        view->position = 780 + frame % 120;
    } else if (!strcmp(options->view, "crash")) {
        view->position = 1203, view->newest = 1204;
        set_crash(view);
    } else if (!strcmp(options->view, "notice")) {
        set_lines(view, notice, 2);
    } else if (!strcmp(options->view, "toast")) {
        snprintf(view->toast, sizeof view->toast,
                 "build 2 \u00b7 180 ms \u00b7 212 objects carried over");
        view->has_mark = true;
        view->mark = 960;
    }
    if (keys->want_help) {
        view->line_count = stage_keys_help(view->lines, STAGE_LINE_MAX);
        view->alarm = view->dimmed = false;
    }
}

static void print_event(FILE *file, const stage_event *event)
{
    switch (event->kind) {
    case STAGE_KEY:
        fprintf(file, "key %d %s%s%s%s%s\n", event->key, event->down ? "down" : "up",
                event->repeat ? " repeat" : "", event->shift ? " shift" : "",
                event->ctrl ? " ctrl" : "", event->alt ? " alt" : "");
        break;
    case STAGE_TEXT:
        fprintf(file, "text %s\n", event->text);
        break;
    case STAGE_MOUSE:
        fprintf(file, "mouse %.1f %.1f buttons %u wheel %.1f\n", (double)event->mouse.x,
                (double)event->mouse.y, event->mouse.buttons, (double)event->mouse.wheel_y);
        break;
    case STAGE_PAD:
        fprintf(file, "pad %d connected %u buttons %u\n", event->index, event->pad.connected,
                event->pad.buttons);
        break;
    case STAGE_SCRUB:
        fprintf(file, "scrub %.2f %s\n", event->fraction, event->down ? "down" : "up");
        break;
    case STAGE_RESIZE:
        fprintf(file, "resize\n");
        break;
    case STAGE_QUIT:
        fprintf(file, "quit\n");
        break;
    case STAGE_LOST:
        fprintf(file, "lost\n");
        break;
    }
}

static void print_commands(FILE *file, stage_keys *keys)
{
    for (int i = 0; i < keys->command_count; i++) {
        fprintf(file, "command %d %llu\n", (int)keys->commands[i].kind,
                (unsigned long long)keys->commands[i].a);
    }
    keys->command_count = 0;
}

static int run(const show_options *options, const stage_class *class, stage *s)
{
    static stage_view view;
    static float silence[800 * 2];
    stage_keys keys;
    uint32_t *pixels = calloc((size_t)options->width * (size_t)options->height, sizeof *pixels);
    rp_canvas canvas = {pixels, options->width, options->height, options->width, 0};
    stage_keys_init(&keys);
    for (long frame = 0;
         !keys.want_quit && !keys.lost && (!options->frames || frame < options->frames); frame++) {
        stage_event event;
        while (class->poll(s, &event)) {
            print_event(options->events, &event);
            stage_keys_event(&keys, &event);
        }
        print_commands(options->events, &keys);
        fflush(options->events);
        stage_keys_frame_done(&keys);
        paint(&canvas, frame);
        set_view(&view, options, &keys, (uint64_t)frame);
        view.pixels = pixels;
        view.width_px = view.stride_px = options->width;
        view.height_px = options->height;
        class->show(s, &view);
        class->sound(s, silence, frame % 64 ? 800 : 0, 2, 48000);
        if (options->crash && frame == options->crash) {
            raise(SIGSEGV);
        }
        nanosleep(&(struct timespec){.tv_nsec = 16000000}, NULL);
    }
    free(pixels);
    return keys.lost ? EXIT_LOST : 0;
}

static void parse(show_options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--events")) {
            options->events = fopen(value, "w");
        } else if (!strcmp(argv[i], "--view")) {
            options->view = value;
        } else if (!strcmp(argv[i], "--size")) {
            sscanf(value, "%dx%d", &options->width, &options->height);
        } else if (!strcmp(argv[i], "--frames")) {
            options->frames = atol(value);
        } else if (!strcmp(argv[i], "--crash")) {
            options->crash = atol(value);
        } else {
            options->stage = argv[i];
            continue;
        }
        i++;
    }
}

int main(int argc, char **argv)
{
    show_options options = {.view = "plain", .events = stderr, .width = 320, .height = 180};
    parse(&options, argc, argv);
    stage_desc desc = {
        .title = "show_stage", .width_px = options.width, .height_px = options.height};
    const stage_class *class;
    stage *s;
    if (!options.events || stage_open(options.stage, &desc, &class, &s) != RP_OK) {
        fprintf(stderr, "show_stage: %s\n", rp_error_last()->text);
        return EXIT_FAILURE;
    }
    fprintf(options.events, "opened %s\n", class->name);
    int code = run(&options, class, s);
    class->close(s);
    fprintf(options.events, "closed\n");
    return code;
}
