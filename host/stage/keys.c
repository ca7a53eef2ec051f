/* Events to a frame's input and to commands. One table holds the keys that steer Reprise itself:
 * what they do, and what the help says. */
#include "stage/stage.h"

#include "base/bits.h"

#include <stdio.h>
#include <string.h>

typedef struct key_binding {
    int key;
    bool shift, ctrl;
    bool repeats; /* while held it acts again */
    void (*press)(stage_keys *keys);
    void (*release)(stage_keys *keys);
    const char *name, *help;
} key_binding;

/* With the list full the oldest goes: a release (of rewind) must never be lost. */
static void add_command(stage_keys *keys, rp_command_kind kind, uint64_t a)
{
    if (keys->command_count == STAGE_COMMAND_MAX) {
        memmove(keys->commands, keys->commands + 1,
                (STAGE_COMMAND_MAX - 1) * sizeof keys->commands[0]);
        keys->command_count--;
    }
    keys->commands[keys->command_count++] = (rp_command){.kind = kind, .a = a};
}

static void set_speed(stage_keys *keys, uint32_t divisor)
{
    keys->speed_divisor = divisor;
    add_command(keys, RP_COMMAND_SPEED, divisor);
}

static void press_help(stage_keys *keys)
{
    keys->want_help = !keys->want_help;
}

static void press_slower(stage_keys *keys)
{
    set_speed(keys, keys->speed_divisor >= 16 ? 1 : keys->speed_divisor * 2);
}

static void press_full_speed(stage_keys *keys)
{
    set_speed(keys, 1);
}

static void press_take_over(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_TAKE_OVER, 0);
}

static void press_retry(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_RETRY, 0);
}

static void press_skip(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_SKIP, 0);
}

static void press_pause(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_TOGGLE, 0);
}

static void press_rewind(stage_keys *keys)
{
    keys->rewinding = true;
    add_command(keys, RP_COMMAND_REWIND, 0);
}

static void release_rewind(stage_keys *keys)
{
    if (keys->rewinding) {
        keys->rewinding = false;
        add_command(keys, RP_COMMAND_REWIND_END, 0);
    }
}

static void press_mark(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_MARK, 0);
}

static void press_back(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_BACK, 1);
}

static void press_step(stage_keys *keys)
{
    add_command(keys, RP_COMMAND_STEP, 1);
}

static void press_bookmark(stage_keys *keys)
{
    keys->want_bookmark = true;
}

static void press_bookmark_before(stage_keys *keys)
{
    keys->want_bookmark_by = -1;
}

static void press_bookmark_behind(stage_keys *keys)
{
    keys->want_bookmark_by = 1;
}

static void press_save(stage_keys *keys)
{
    keys->want_save = true;
}

static void press_keep(stage_keys *keys)
{
    keys->want_keep = true;
}

static void press_regardless(stage_keys *keys)
{
    keys->want_regardless = true;
}

static void press_quit(stage_keys *keys)
{
    keys->want_quit = true;
}

static const key_binding bindings[] = {
    {.key = RP_KEY_F1, .press = press_help, .name = "F1", .help = "shows and hides these keys"},
    {.key = RP_KEY_F2,
     .press = press_slower,
     .name = "F2",
     .help = "slower: 1/2, 1/4, 1/8, 1/16, full speed"},
    {.key = RP_KEY_F2,
     .shift = true,
     .press = press_full_speed,
     .name = "Shift F2",
     .help = "full speed"},
    {.key = RP_KEY_F3,
     .press = press_take_over,
     .name = "F3",
     .help = "takes over in a loop: you play on from here"},
    {.key = RP_KEY_F4,
     .press = press_retry,
     .name = "F4",
     .help = "after a failure: the same input again; build refused: all input again"},
    {.key = RP_KEY_F4,
     .shift = true,
     .press = press_skip,
     .name = "Shift F4",
     .help = "after a failure: go on without that input; build refused: restart"},
    {.key = RP_KEY_F5, .press = press_pause, .name = "F5", .help = "pauses and plays"},
    {.key = RP_KEY_F6,
     .press = press_rewind,
     .release = release_rewind,
     .name = "F6",
     .help = "runs backwards while it is held"},
    {.key = RP_KEY_F7,
     .press = press_mark,
     .name = "F7",
     .help = "marks a loop: in, out, and ends it"},
    {.key = RP_KEY_F7,
     .shift = true,
     .press = press_bookmark,
     .name = "Shift F7",
     .help = "sets a bookmark at this frame, or takes it away"},
    {.key = RP_KEY_F8,
     .press = press_save,
     .name = "F8",
     .help = "saves all that is kept as a take"},
    {.key = RP_KEY_F9,
     .press = press_back,
     .repeats = true,
     .name = "F9",
     .help = "one frame back"},
    {.key = RP_KEY_F10,
     .press = press_step,
     .repeats = true,
     .name = "F10",
     .help = "one frame on"},
    {.key = RP_KEY_F9,
     .shift = true,
     .press = press_bookmark_before,
     .repeats = true,
     .name = "Shift F9",
     .help = "to the bookmark before"},
    {.key = RP_KEY_F10,
     .shift = true,
     .press = press_bookmark_behind,
     .repeats = true,
     .name = "Shift F10",
     .help = "to the next bookmark"},
    {.key = RP_KEY_F12,
     .press = press_keep,
     .name = "F12",
     .help = "a build was refused: keeps the old one"},
    {.key = RP_KEY_F12,
     .shift = true,
     .press = press_regardless,
     .name = "Shift F12",
     .help = "a build was refused: loads it regardless"},
    {.key = RP_KEY_Q, .ctrl = true, .press = press_quit, .name = "Ctrl Q", .help = "quits"},
};

/* A binding without shift or ctrl of its own also takes the key with them, unless another wants
 * them. */
static const key_binding *find_binding(const stage_event *event)
{
    const key_binding *plain = NULL;
    for (size_t i = 0; i < RP_COUNT_OF(bindings); i++) {
        const key_binding *binding = &bindings[i];
        if (binding->key != event->key) {
            continue;
        }
        if (binding->shift == event->shift && binding->ctrl == event->ctrl) {
            return binding;
        }
        if (!binding->shift && !binding->ctrl) {
            plain = binding;
        }
    }
    return plain;
}

static void set_bit(uint8_t *bits, int key, bool on)
{
    uint8_t bit = (uint8_t)(1u << (key % 8));
    bits[key / 8] = (uint8_t)(on ? bits[key / 8] | bit : bits[key / 8] & ~bit);
}

static void take_key(stage_keys *keys, const stage_event *event)
{
    if (event->key <= RP_KEY_NONE || event->key >= RP_KEY_COUNT) {
        return;
    }
    const key_binding *binding = find_binding(event);
    if (!event->down) {
        if (binding && binding->release) {
            binding->release(keys);
        }
        set_bit(keys->held, event->key, false);
    } else if (binding) {
        if (!event->repeat || binding->repeats) {
            binding->press(keys);
        }
    } else {
        set_bit(keys->held, event->key, true);
        set_bit(keys->input.keys_down, event->key, true);
        if (!event->repeat) {
            set_bit(keys->input.keys_pressed, event->key, true);
        }
    }
}

/* All of a piece of text or nothing of it, so that no character is cut. */
static void take_text(stage_keys *keys, const stage_event *event)
{
    size_t have = strlen(keys->input.text), more = strnlen(event->text, sizeof event->text);
    if (have + more < sizeof keys->input.text) {
        memcpy(keys->input.text + have, event->text, more);
        keys->input.text[have + more] = 0;
    }
}

static void take_mouse(stage_keys *keys, const rp_mouse *mouse)
{
    rp_mouse *kept = &keys->input.mouse;
    kept->x = mouse->x;
    kept->y = mouse->y;
    kept->wheel_x += mouse->wheel_x;
    kept->wheel_y += mouse->wheel_y;
    kept->buttons |= mouse->buttons;
    keys->mouse_held = mouse->buttons;
}

static void take_pad(stage_keys *keys, const stage_event *event)
{
    if (event->index < 0 || event->index >= RP_INPUT_PAD_COUNT) {
        return;
    }
    rp_pad *pad = &keys->input.pads[event->index];
    uint32_t before = event->pad.connected ? pad->buttons : 0;
    *pad = event->pad;
    pad->buttons |= before;
    keys->pad_held[event->index] = event->pad.buttons;
}

void stage_keys_init(stage_keys *keys)
{
    memset(keys, 0, sizeof *keys);
    keys->speed_divisor = 1;
}

void stage_keys_event(stage_keys *keys, const stage_event *event)
{
    switch (event->kind) {
    case STAGE_KEY:
        take_key(keys, event);
        break;
    case STAGE_TEXT:
        take_text(keys, event);
        break;
    case STAGE_MOUSE:
        take_mouse(keys, &event->mouse);
        break;
    case STAGE_PAD:
        take_pad(keys, event);
        break;
    case STAGE_SCRUB:
        keys->scrubbing = event->down;
        keys->scrub_fraction = event->fraction;
        break;
    case STAGE_RESIZE:
        break;
    case STAGE_QUIT:
        keys->want_quit = true;
        break;
    case STAGE_LOST:
        keys->lost = true;
        break;
    }
}

void stage_keys_frame_done(stage_keys *keys)
{
    rp_input *input = &keys->input;
    memcpy(input->keys_down, keys->held, sizeof input->keys_down);
    memset(input->keys_pressed, 0, sizeof input->keys_pressed);
    memset(input->text, 0, sizeof input->text);
    input->mouse.wheel_x = input->mouse.wheel_y = 0;
    input->mouse.buttons = keys->mouse_held;
    for (int i = 0; i < RP_INPUT_PAD_COUNT; i++) {
        input->pads[i].buttons = keys->pad_held[i];
    }
}

int stage_keys_help(char lines[][STAGE_LINE_CHARS], int capacity)
{
    int count = 0;
    for (size_t i = 0; i < RP_COUNT_OF(bindings) && count < capacity; i++, count++) {
        snprintf(lines[count], STAGE_LINE_CHARS, "%-8s  %s", bindings[i].name, bindings[i].help);
    }
    return count;
}
