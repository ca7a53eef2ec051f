/* Writing the lines of a script: what changed from one frame's input to the next. */
#include "deck/input.h"
#include "deck/input_script.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Counts on where the text is cut, as snprintf does. */
typedef struct output {
    char *text;
    size_t capacity, length;
    uint64_t frame;
} output;

__attribute__((format(printf, 2, 3))) static void add(output *out, const char *format, ...)
{
    size_t room = out->length < out->capacity ? out->capacity - out->length : 0;
    va_list arguments;
    va_start(arguments, format);
    int wrote = vsnprintf(room ? out->text + out->length : NULL, room, format, arguments);
    va_end(arguments);
    out->length += wrote > 0 ? (size_t)wrote : 0;
}

static void begin_line(output *out)
{
    add(out, "%llu ", (unsigned long long)out->frame);
}

/* Nine digits bring back every float as it was. */
static void add_float(output *out, float value)
{
    add(out, " %.9g", isfinite(value) ? (double)value : 0.0);
}

static void add_buttons(output *out, const rp_button_name *names, int count, uint32_t buttons)
{
    char before = ' ';
    for (int i = 0; i < count; i++) {
        if (buttons & names[i].bit) {
            add(out, "%c%s", before, names[i].name);
            before = ',';
        }
    }
    if (before == ' ') {
        add(out, " none");
    }
}

static bool has_bit(const uint8_t *bits, int key)
{
    return bits[key >> 3] >> (key & 7) & 1;
}

static void add_key(output *out, char sign, const char *name)
{
    begin_line(out);
    add(out, "%c%s\n", sign, name);
}

static void print_keys(output *out, const rp_input *before, const rp_input *now)
{
    for (int key = 0; key < RP_KEY_COUNT; key++) {
        const char *name = rp_key_name(key);
        bool was = has_bit(before->keys_down, key), is = has_bit(now->keys_down, key);
        bool pressed = has_bit(now->keys_pressed, key);
        if (!name) {
            continue;
        }
        if (is && !was) {
            add_key(out, pressed ? '+' : '~', name);
            continue;
        }
        if (was && !is) {
            add_key(out, '-', name);
        }
        if (pressed) {
            add_key(out, '!', name);
        }
    }
}

static void print_text(output *out, const rp_input *now)
{
    if (!now->text[0]) {
        return;
    }
    begin_line(out);
    add(out, "text \"");
    for (size_t i = 0; i < sizeof now->text - 1 && now->text[i]; i++) {
        unsigned char c = (unsigned char)now->text[i];
        if (c == '"' || c == '\\') {
            add(out, "\\%c", c);
        } else if (c < ' ' || c == 127) {
            add(out, "\\x%02x", c);
        } else {
            add(out, "%c", c);
        }
    }
    add(out, "\"\n");
}

static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void print_mouse(output *out, const rp_mouse *before, const rp_mouse *now)
{
    if (!same_float(now->x, before->x) || !same_float(now->y, before->y) ||
        now->buttons != before->buttons) {
        begin_line(out);
        add(out, "mouse");
        add_float(out, now->x);
        add_float(out, now->y);
        if (now->buttons) {
            add_buttons(out, rp_mouse_names, RP_MOUSE_NAME_COUNT, now->buttons);
        }
        add(out, "\n");
    }
    if (!same_float(now->wheel_x, 0) || !same_float(now->wheel_y, 0)) {
        begin_line(out);
        add(out, "wheel");
        add_float(out, now->wheel_x);
        add_float(out, now->wheel_y);
        add(out, "\n");
    }
}

static void print_pad(output *out, int index, const rp_pad *before, const rp_pad *now)
{
    if (memcmp(before, now, sizeof *now) == 0 || (!before->connected && !now->connected)) {
        return;
    }
    begin_line(out);
    add(out, "pad %d", index);
    if (now->connected) {
        const float axes[] = {now->left_x,  now->left_y,       now->right_x,
                              now->right_y, now->left_trigger, now->right_trigger};
        add_buttons(out, rp_pad_names, RP_PAD_NAME_COUNT, now->buttons);
        for (int i = 0; i < 6; i++) {
            add_float(out, axes[i]);
        }
    } else {
        add(out, " off");
    }
    add(out, "\n");
}

static void print_user(output *out, const rp_input *now)
{
    if (!now->user_bytes) {
        return;
    }
    begin_line(out);
    add(out, "user ");
    for (uint32_t i = 0; i < now->user_bytes && i < RP_INPUT_USER_BYTES; i++) {
        add(out, "%02x", now->user[i]);
    }
    add(out, "\n");
}

size_t rp_input_script_print(uint64_t frame, const rp_input *before, const rp_input *now,
                             char *text, size_t capacity)
{
    output out = {.text = text, .capacity = capacity, .frame = frame};
    if (capacity) {
        text[0] = 0;
    }
    print_keys(&out, before, now);
    print_text(&out, now);
    print_mouse(&out, &before->mouse, &now->mouse);
    for (int i = 0; i < RP_INPUT_PAD_COUNT; i++) {
        print_pad(&out, i, &before->pads[i], &now->pads[i]);
    }
    print_user(&out, now);
    return out.length;
}
