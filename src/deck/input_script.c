/* Reading a script of inputs. Every line is parsed twice by the same code: once to check the whole
 * text, once when its frame comes.
 */
#include "deck/input_script.h"

#include "base/error.h"
#include "deck/input.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const rp_button_name rp_mouse_names[RP_MOUSE_NAME_COUNT] = {
    {"left", RP_MOUSE_LEFT}, {"middle", RP_MOUSE_MIDDLE}, {"right", RP_MOUSE_RIGHT}};

const rp_button_name rp_pad_names[RP_PAD_NAME_COUNT] = {{"south", RP_PAD_SOUTH},
                                                        {"east", RP_PAD_EAST},
                                                        {"west", RP_PAD_WEST},
                                                        {"north", RP_PAD_NORTH},
                                                        {"back", RP_PAD_BACK},
                                                        {"guide", RP_PAD_GUIDE},
                                                        {"start", RP_PAD_START},
                                                        {"left-stick", RP_PAD_LEFT_STICK},
                                                        {"right-stick", RP_PAD_RIGHT_STICK},
                                                        {"left-shoulder", RP_PAD_LEFT_SHOULDER},
                                                        {"right-shoulder", RP_PAD_RIGHT_SHOULDER},
                                                        {"up", RP_PAD_UP},
                                                        {"down", RP_PAD_DOWN},
                                                        {"left", RP_PAD_LEFT},
                                                        {"right", RP_PAD_RIGHT}};

typedef struct token {
    const char *text;
    size_t length;
} token;

/* ---- characters and tokens ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(rp_input_script *script)
{
    while (script->cursor < script->end && is_blank(*script->cursor)) {
        script->cursor++;
    }
}

static bool at_line_end(const rp_input_script *script)
{
    return script->cursor == script->end || *script->cursor == '\n';
}

/* The next run of characters that are not blank; empty at the end of the line. */
static token next_token(rp_input_script *script)
{
    skip_blanks(script);
    token t = {script->cursor, 0};
    while (!at_line_end(script) && !is_blank(*script->cursor)) {
        script->cursor++;
        t.length++;
    }
    return t;
}

static bool token_is(token t, const char *word)
{
    return strlen(word) == t.length && memcmp(word, t.text, t.length) == 0;
}

/* A token as a message may show it. */
typedef struct shown {
    char text[40];
} shown;

static shown show(token t)
{
    shown s = {{0}};
    size_t length = t.length < sizeof s.text - 1 ? t.length : sizeof s.text - 1;
    for (size_t i = 0; i < length; i++) {
        s.text[i] = t.text[i] >= ' ' && t.text[i] <= '~' ? t.text[i] : '?';
    }
    return s;
}

#define FAIL(script, format, ...) \
    rp_fail(RP_E_FORMAT, "%s:%u: " format, (script)->name, (script)->line, __VA_ARGS__)

/* ---- values ---- */

static bool parse_count(token t, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < t.length; i++) {
        if (t.text[i] < '0' || t.text[i] > '9' || __builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(t.text[i] - '0'), value)) {
            return false;
        }
    }
    return t.length != 0;
}

static rp_status parse_float(rp_input_script *script, float *value)
{
    token t = next_token(script);
    char text[48] = {0};
    if (t.length == 0) {
        return FAIL(script, "%s: write %s", "the line ends too early", "all the event's numbers");
    }
    if (t.length < sizeof text) {
        char *end;
        memcpy(text, t.text, t.length);
        *value = strtof(text, &end);
        if (end == text + t.length && isfinite(*value)) {
            return RP_OK;
        }
    }
    return FAIL(script, "'%s' is no number: write one such as 12 or -0.5", show(t).text);
}

static rp_status parse_floats(rp_input_script *script, float *const *values, int count)
{
    rp_status status = RP_OK;
    for (int i = 0; i < count && status == RP_OK; i++) {
        status = parse_float(script, values[i]);
    }
    return status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits at `text`; -1 where they are none. */
static int hex_byte(const char *text, size_t length)
{
    int high = length > 0 ? hex_digit(text[0]) : -1, low = length > 1 ? hex_digit(text[1]) : -1;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static uint32_t button_bit(token t, const rp_button_name *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (token_is(t, names[i].name)) {
            return names[i].bit;
        }
    }
    return 0;
}

static rp_status parse_buttons(rp_input_script *script, token list, const rp_button_name *names,
                               int count, uint32_t *buttons)
{
    *buttons = 0;
    if (token_is(list, "none")) {
        return RP_OK;
    }
    while (true) {
        const char *comma = memchr(list.text, ',', list.length);
        token one = {list.text, comma ? (size_t)(comma - list.text) : list.length};
        uint32_t bit = button_bit(one, names, count);
        if (!bit) {
            return FAIL(script, "'%s' is no button here: write %s, … with commas between, or none",
                        show(one).text, names[0].name);
        }
        *buttons |= bit;
        if (!comma) {
            return RP_OK;
        }
        list.length -= one.length + 1;
        list.text = comma + 1;
    }
}

/* ---- events ---- */

/* The character at the cursor, which may be escaped; -1 where it is none that a text may hold. */
static int text_character(rp_input_script *script)
{
    unsigned char c = (unsigned char)*script->cursor++;
    if (c != '\\') {
        return c >= ' ' ? c : -1;
    }
    if (at_line_end(script)) {
        return -1;
    }
    char escape = *script->cursor++;
    int byte;
    switch (escape) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
        return escape;
    case 'x':
        byte = hex_byte(script->cursor, (size_t)(script->end - script->cursor));
        script->cursor += byte > 0 ? 2 : 0;
        return byte > 0 ? byte : -1; /* a zero would end the text */
    default:
        return -1;
    }
}

static rp_status event_text(rp_input_script *script)
{
    char *text = script->held.text;
    size_t length = strlen(text);
    skip_blanks(script);
    if (at_line_end(script) || *script->cursor != '"') {
        return FAIL(script, "%s: write %s", "text without quotes", "text \"hello\"");
    }
    script->cursor++;
    while (!at_line_end(script) && *script->cursor != '"') {
        int c = text_character(script);
        if (c < 0) {
            return FAIL(script, "%s: write %s", "a character that a text cannot hold",
                        "\\n, \\t, \\\", \\\\ or \\xHH for it");
        }
        if (length + 1 >= RP_INPUT_TEXT_BYTES) {
            return FAIL(script, "the frame's text is longer than %d bytes: spread it over frames",
                        RP_INPUT_TEXT_BYTES - 1);
        }
        text[length++] = (char)c;
    }
    if (at_line_end(script)) {
        return FAIL(script, "%s: %s", "the text's closing quote is missing", "end it with \"");
    }
    script->cursor++;
    return RP_OK;
}

static rp_status event_mouse(rp_input_script *script)
{
    rp_mouse *mouse = &script->held.mouse;
    rp_status status = parse_floats(script, (float *const[]){&mouse->x, &mouse->y}, 2);
    skip_blanks(script);
    mouse->buttons = 0;
    if (status != RP_OK || at_line_end(script) || *script->cursor == '#') {
        return status;
    }
    return parse_buttons(script, next_token(script), rp_mouse_names, RP_MOUSE_NAME_COUNT,
                         &mouse->buttons);
}

static rp_status event_wheel(rp_input_script *script)
{
    rp_mouse *mouse = &script->held.mouse;
    return parse_floats(script, (float *const[]){&mouse->wheel_x, &mouse->wheel_y}, 2);
}

static rp_status event_pad(rp_input_script *script)
{
    token number = next_token(script);
    uint64_t index;
    if (!parse_count(number, &index) || index >= RP_INPUT_PAD_COUNT) {
        return FAIL(script, "'%s' is no pad: write a number from 0 to %d", show(number).text,
                    RP_INPUT_PAD_COUNT - 1);
    }
    rp_pad *pad = &script->held.pads[index];
    token buttons = next_token(script);
    if (token_is(buttons, "off")) {
        *pad = (rp_pad){0};
        return RP_OK;
    }
    pad->connected = 1;
    rp_status status =
        parse_buttons(script, buttons, rp_pad_names, RP_PAD_NAME_COUNT, &pad->buttons);
    float *const axes[] = {&pad->left_x,  &pad->left_y,       &pad->right_x,
                           &pad->right_y, &pad->left_trigger, &pad->right_trigger};
    return status == RP_OK ? parse_floats(script, axes, 6) : status;
}

static rp_status event_user(rp_input_script *script)
{
    rp_input *input = &script->held;
    token hex = next_token(script);
    if (hex.length > 2 * RP_INPUT_USER_BYTES) {
        return FAIL(script, "more than %d bytes of user: spread them over frames",
                    RP_INPUT_USER_BYTES);
    }
    memset(input->user, 0, sizeof input->user);
    input->user_bytes = 0;
    for (size_t i = 0; i < hex.length; i += 2) {
        int byte = hex_byte(hex.text + i, hex.length - i);
        if (byte < 0) {
            return FAIL(script, "'%s' is not hexadecimal: write two digits for each byte",
                        show(hex).text);
        }
        input->user[input->user_bytes++] = (uint8_t)byte;
    }
    return RP_OK;
}

static void set_bit(uint8_t *bits, int key, bool value)
{
    uint8_t bit = (uint8_t)(1u << (key & 7));
    bits[key >> 3] = (uint8_t)(value ? bits[key >> 3] | bit : bits[key >> 3] & ~bit);
}

static bool has_bit(const uint8_t *bits, int key)
{
    return bits[key >> 3] >> (key & 7) & 1;
}

static rp_status event_key(rp_input_script *script, token t)
{
    rp_input *input = &script->held;
    bool has_sign = t.length > 1 && memchr("+-!~", t.text[0], 4);
    char sign = has_sign ? t.text[0] : 0;
    int key = rp_key_from_name(t.text + has_sign, t.length - has_sign);
    if (key == RP_KEY_NONE) {
        return FAIL(script,
                    "'%s' is no key and no event: write a key's name, or text, mouse, wheel, "
                    "pad or user",
                    show(t).text);
    }
    if (sign == 0 && !has_bit(input->keys_down, key)) {
        set_bit(script->taps, key, true);
    } else if (sign == '+' || sign == '-' || sign == '~') {
        set_bit(script->taps, key, false);
    }
    if (sign != '!') {
        set_bit(input->keys_down, key, sign != '-');
    }
    if (sign == 0 || sign == '+' || sign == '!') {
        set_bit(input->keys_pressed, key, true);
    }
    return RP_OK;
}

/* ---- lines ---- */

static rp_status parse_event(rp_input_script *script)
{
    static const struct {
        const char *name;
        rp_status (*parse)(rp_input_script *script);
    } events[] = {{"text", event_text},
                  {"mouse", event_mouse},
                  {"wheel", event_wheel},
                  {"pad", event_pad},
                  {"user", event_user}};
    token t = next_token(script);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (token_is(t, events[i].name)) {
            return events[i].parse(script);
        }
    }
    return event_key(script, t);
}

/* To the next line. */
static void skip_line(rp_input_script *script)
{
    const char *newline =
        script->cursor == script->end
            ? NULL
            : memchr(script->cursor, '\n', (size_t)(script->end - script->cursor));
    script->cursor = newline ? newline + 1 : script->end;
    script->line++;
}

/* The rest of the line is blank or a comment. */
static rp_status end_line(rp_input_script *script)
{
    skip_blanks(script);
    if (!at_line_end(script) && *script->cursor != '#') {
        return FAIL(script, "'%s' is more than the event takes: one event a line",
                    show(next_token(script)).text);
    }
    skip_line(script);
    return RP_OK;
}

/* Moves the cursor behind the frame number of the next event. */
static rp_status find_event(rp_input_script *script)
{
    skip_blanks(script);
    while (script->cursor < script->end && (*script->cursor == '\n' || *script->cursor == '#')) {
        skip_line(script);
        skip_blanks(script);
    }
    script->next_frame = UINT64_MAX;
    if (script->cursor == script->end) {
        return RP_OK;
    }
    token t = next_token(script);
    uint64_t frame;
    if (!parse_count(t, &frame) || frame == 0 || frame == UINT64_MAX) {
        return FAIL(script, "'%s' is no frame: begin the line with a number from 1 on",
                    show(t).text);
    }
    script->next_frame = frame;
    return RP_OK;
}

static rp_status take_event(rp_input_script *script)
{
    rp_status status = parse_event(script);
    status = status == RP_OK ? end_line(script) : status;
    return status == RP_OK ? find_event(script) : status;
}

/* Forgets what the last frame had for itself alone. */
static void begin_frame(rp_input_script *script)
{
    rp_input *held = &script->held;
    for (size_t i = 0; i < sizeof script->taps; i++) {
        held->keys_down[i] &= (uint8_t)~script->taps[i];
    }
    memset(script->taps, 0, sizeof script->taps);
    memset(held->keys_pressed, 0, sizeof held->keys_pressed);
    memset(held->text, 0, sizeof held->text);
    memset(held->user, 0, sizeof held->user);
    held->user_bytes = 0;
    held->mouse.wheel_x = held->mouse.wheel_y = 0;
}

/* ---- the script ---- */

static rp_status check_events(rp_input_script *script)
{
    while (script->next_frame != UINT64_MAX) {
        if (script->next_frame < script->last_frame) {
            return FAIL(script, "frame %llu comes after frame %llu: put the lines in order",
                        (unsigned long long)script->next_frame,
                        (unsigned long long)script->last_frame);
        }
        if (script->next_frame > script->last_frame) {
            begin_frame(script);
        }
        script->last_frame = script->next_frame;
        rp_status status = take_event(script);
        if (status != RP_OK) {
            return status;
        }
    }
    return RP_OK;
}

static rp_status check_header(rp_input_script *script)
{
    const size_t length = sizeof RP_INPUT_SCRIPT_HEADER - 1;
    bool is_one = (size_t)(script->end - script->cursor) >= length &&
                  memcmp(script->cursor, RP_INPUT_SCRIPT_HEADER, length) == 0;
    script->cursor += is_one ? length : 0;
    skip_blanks(script);
    if (!is_one || !at_line_end(script)) {
        return FAIL(script, "no script of inputs: its first line is not %s: write that line",
                    RP_INPUT_SCRIPT_HEADER);
    }
    skip_line(script);
    return RP_OK;
}

rp_status rp_input_script_init(rp_input_script *script, const char *name, const char *text,
                               size_t size_bytes)
{
    text = text ? text : "";
    *script = (rp_input_script){.cursor = text, .end = text + size_bytes, .name = name, .line = 1};
    rp_status status = check_header(script);
    rp_input_script start = *script;
    status = status == RP_OK ? find_event(script) : status;
    status = status == RP_OK ? check_events(script) : status;
    if (status != RP_OK) {
        return status;
    }
    start.last_frame = script->last_frame;
    *script = start;
    return find_event(script);
}

void rp_input_script_get(rp_input_script *script, uint64_t frame, rp_input *input)
{
    begin_frame(script);
    while (script->next_frame <= frame) {
        uint64_t of = script->next_frame;
        if (take_event(script) != RP_OK) {
            script->next_frame = UINT64_MAX; /* the text was changed since it was checked */
        }
        if (of < frame && script->next_frame != of) {
            begin_frame(script);
        }
    }
    *input = script->held;
}

uint64_t rp_input_script_last(const rp_input_script *script)
{
    return script->last_frame;
}
