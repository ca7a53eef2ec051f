/* Scripts of inputs: what each line means, what is refused and where, and that printing and parsing
 * are each other's reverse. */
#include "deck/input.h"
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER RP_INPUT_SCRIPT_HEADER "\n"

static rp_input_script parse(const char *text)
{
    rp_input_script script;
    ck_ok(rp_input_script_init(&script, "play.input", text, strlen(text)));
    return script;
}

static rp_input get(rp_input_script *script, uint64_t frame)
{
    rp_input input;
    rp_input_script_get(script, frame, &input);
    return input;
}

static int is_down(const rp_input *input, int key)
{
    return input->keys_down[key >> 3] >> (key & 7) & 1;
}

static int is_pressed(const rp_input *input, int key)
{
    return input->keys_pressed[key >> 3] >> (key & 7) & 1;
}

/* ---- meaning ---- */

TEST(a_key_goes_down_stays_down_and_goes_up)
{
    rp_input_script script = parse(HEADER "2 +right\n4 -right\n");
    static const int down[] = {0, 0, 1, 1, 0}, pressed[] = {0, 0, 1, 0, 0};
    for (uint64_t frame = 1; frame <= 4; frame++) {
        rp_input input = get(&script, frame);
        ck_assert_int_eq(is_down(&input, RP_KEY_RIGHT), down[frame]);
        ck_assert_int_eq(is_pressed(&input, RP_KEY_RIGHT), pressed[frame]);
    }
    ck_assert_uint_eq(rp_input_script_last(&script), 4);
}

TEST(a_key_alone_is_down_for_one_frame)
{
    rp_input_script script = parse(HEADER "3 space # jump\n");
    rp_input input = get(&script, 3);
    ck_assert(is_down(&input, RP_KEY_SPACE) && is_pressed(&input, RP_KEY_SPACE));
    input = get(&script, 4);
    ck_assert(!is_down(&input, RP_KEY_SPACE) && !is_pressed(&input, RP_KEY_SPACE));
}

TEST(a_key_that_is_held_stays_held_through_a_tap)
{
    rp_input_script script = parse(HEADER "1 +a\n2 a\n");
    get(&script, 1);
    rp_input input = get(&script, 2);
    ck_assert(is_pressed(&input, RP_KEY_A));
    input = get(&script, 3);
    ck_assert(is_down(&input, RP_KEY_A) && !is_pressed(&input, RP_KEY_A));
}

TEST(signs_are_keys_too)
{
    rp_input_script script = parse(HEADER "1 +\n1 +-\n1 !!\n1 ~~\n1 +#\n2 --\n");
    rp_input input = get(&script, 1);
    ck_assert(is_down(&input, '+') && is_down(&input, '-') && is_down(&input, '~'));
    ck_assert(is_pressed(&input, '!') && !is_down(&input, '!') && !is_pressed(&input, '~'));
    ck_assert(is_down(&input, '#'));
    input = get(&script, 2);
    ck_assert(!is_down(&input, '-') && !is_down(&input, '+') && is_down(&input, '#'));
}

TEST(text_wheel_and_user_are_of_one_frame)
{
    rp_input_script script = parse(HEADER "1 text \"a\\\"b\\\\\\n\\x7e \xc3\xa9\"\n1 text \"!\"\n"
                                          "1 wheel 0 -1.5\n1 user 0aFf\n");
    rp_input input = get(&script, 1);
    ck_assert_str_eq(input.text, "a\"b\\\n~ \xc3\xa9!");
    ck_assert_float_eq(input.mouse.wheel_y, -1.5f);
    ck_assert_uint_eq(input.user_bytes, 2);
    ck_assert_uint_eq(input.user[1], 0xff);
    rp_input none = {0};
    input = get(&script, 2);
    ck_assert_mem_eq(&input, &none, sizeof none);
}

TEST(mouse_and_pads_stay_until_told_otherwise)
{
    rp_input_script script = parse(HEADER "1 mouse 31.5 -20 left,right\n"
                                          "1 pad 3 south,left-stick 0.5 0 0 -1 0 1\n"
                                          "3 mouse 1 2\n3 pad 3 off\n");
    get(&script, 1);
    rp_input input = get(&script, 2);
    ck_assert_float_eq(input.mouse.x, 31.5f);
    ck_assert_uint_eq(input.mouse.buttons, RP_MOUSE_LEFT | RP_MOUSE_RIGHT);
    ck_assert_uint_eq(input.pads[3].connected, 1);
    ck_assert_uint_eq(input.pads[3].buttons, RP_PAD_SOUTH | RP_PAD_LEFT_STICK);
    ck_assert_float_eq(input.pads[3].right_y, -1);
    ck_assert_float_eq(input.pads[3].right_trigger, 1);
    input = get(&script, 3);
    ck_assert_uint_eq(input.mouse.buttons, 0);
    ck_assert_uint_eq(input.pads[3].connected, 0);
}

TEST(frames_that_nobody_asked_for_leave_what_is_held)
{
    rp_input_script script = parse(HEADER "2 +a\n3 b\n3 text \"x\"\n9 -a\n");
    rp_input input = get(&script, 5);
    ck_assert(is_down(&input, RP_KEY_A) && !is_pressed(&input, RP_KEY_A));
    ck_assert(!is_down(&input, RP_KEY_B) && !input.text[0]);
}

TEST(a_script_may_be_empty_and_have_comments_and_other_line_ends)
{
    rp_input_script script = parse(RP_INPUT_SCRIPT_HEADER);
    ck_assert_uint_eq(rp_input_script_last(&script), 0);
    script = parse("reprise-input 1  \r\n\r\n  # nothing\r\n\t7\t+up \r\n# end");
    rp_input input = get(&script, 7);
    ck_assert(is_down(&input, RP_KEY_UP));
}

/* ---- refusals ---- */

static void ck_refused(const char *text, const char *where, const char *what)
{
    rp_input_script script;
    rp_status status = rp_input_script_init(&script, "f", text, strlen(text));
    ck_assert_msg(status == RP_E_FORMAT, "accepted: %s", text);
    ck_assert_msg(strncmp(rp_error_last()->text, where, strlen(where)) == 0 &&
                      strstr(rp_error_last()->text, what),
                  "%s gives: %s", text, rp_error_last()->text);
}

TEST(what_is_garbled_is_refused_with_its_line)
{
    ck_refused("", "f:1:", "first line");
    ck_refused("reprise-input 10\n", "f:1:", "first line");
    ck_refused("reprise-input", "f:1:", "first line");
    ck_refused(HEADER "x +a\n", "f:2:", "'x' is no frame");
    ck_refused(HEADER "0 +a\n", "f:2:", "'0' is no frame");
    ck_refused(HEADER "18446744073709551615 a\n", "f:2:", "is no frame");
    ck_refused(HEADER "18446744073709551616 a\n", "f:2:", "is no frame");
    ck_refused(HEADER "5 a\n\n# c\n4 b\n", "f:5:", "frame 4 comes after frame 5");
    ck_refused(HEADER "1 jumpp\n", "f:2:", "'jumpp' is no key");
    ck_refused(HEADER "1\n", "f:2:", "'' is no key");
    ck_refused(HEADER "1 +\x01zz\n", "f:2:", "'+?zz'");
    ck_refused(HEADER "1 a b\n", "f:2:", "'b' is more");
}

TEST(wrong_values_are_refused)
{
    ck_refused(HEADER "1 text hello\n", "f:2:", "quotes");
    ck_refused(HEADER "1 text \"hello\n", "f:2:", "closing quote");
    ck_refused(HEADER "1 text \"a\\x00\"\n", "f:2:", "cannot hold");
    ck_refused(HEADER "1 text \"a\\q\"\n", "f:2:", "cannot hold");
    ck_refused(HEADER "1 text \"\\", "f:2:", "cannot hold");
    ck_refused(HEADER "1 mouse 1\n", "f:2:", "too early");
    ck_refused(HEADER "1 mouse 1 2x\n", "f:2:", "'2x' is no number");
    ck_refused(HEADER "1 mouse 1 nan\n", "f:2:", "'nan' is no number");
    ck_refused(HEADER "1 mouse 1 1e99\n", "f:2:", "no number");
    ck_refused(HEADER "1 mouse 1 2 left,\n", "f:2:", "'' is no button");
    ck_refused(HEADER "1 mouse 1 2 south\n", "f:2:", "'south' is no button");
    ck_refused(HEADER "1 pad 4 off\n", "f:2:", "'4' is no pad");
    ck_refused(HEADER "1 pad 0 none 1 2 3 4 5\n", "f:2:", "too early");
    ck_refused(HEADER "1 user 0a0\n", "f:2:", "hexadecimal");
    ck_refused(HEADER "1 user 0g\n", "f:2:", "hexadecimal");
}

static void ck_too_long(const char *event, char fill, size_t count, const char *end,
                        const char *what)
{
    char text[1024] = HEADER "1 ";
    strcat(text, event);
    memset(text + strlen(text), fill, count);
    strcat(text, end);
    ck_refused(text, "f:2:", what);
}

TEST(text_and_user_bytes_that_do_not_fit_are_refused)
{
    ck_too_long("text \"", 'x', RP_INPUT_TEXT_BYTES, "\"", "longer than 63");
    ck_too_long("user ", '0', 2 * RP_INPUT_USER_BYTES + 2, "", "more than 256");
    ck_too_long("mouse 0 ", '1', 100, "", "is no number");
}

TEST(a_text_without_a_terminator_is_not_read_beyond_its_size)
{
    static const char text[] = HEADER "1 mouse 1 2 left\n2 text \"\\x41\"\n3 user 0a\n4 wheel 1 1";
    for (size_t size_bytes = 0; size_bytes < sizeof text; size_bytes++) {
        rp_input_script script;
        char *exact = malloc(size_bytes ? size_bytes : 1);
        memcpy(exact, text, size_bytes);
        if (rp_input_script_init(&script, "f", exact, size_bytes) == RP_OK) {
            get(&script, 4);
        }
        free(exact);
    }
}

/* ---- printing ---- */

static void random_keys(uint64_t *random, rp_input *input)
{
    memset(input->keys_pressed, 0, sizeof input->keys_pressed);
    for (int i = (int)(test_random(random) % 6); i > 0; i--) {
        int key = (int)(test_random(random) % RP_KEY_COUNT);
        uint8_t bit = (uint8_t)(1u << (key & 7));
        if (rp_key_name(key)) {
            input->keys_down[key >> 3] ^= test_random(random) % 2 ? bit : 0;
            input->keys_pressed[key >> 3] |= test_random(random) % 2 ? bit : 0;
        }
    }
}

static float random_float(uint64_t *random)
{
    for (;;) {
        uint32_t bits = (uint32_t)(test_random(random) >> 16);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            return value;
        }
    }
}

static void random_pad(uint64_t *random, rp_pad *pad)
{
    *pad = (rp_pad){0};
    if (test_random(random) % 3) {
        pad->connected = 1;
        pad->buttons = (uint32_t)test_random(random) & 0x7fff;
        pad->left_x = random_float(random);
        pad->right_trigger = random_float(random);
    }
}

/* The next input as a stage could make it. */
static void random_next(uint64_t *random, rp_input *input)
{
    random_keys(random, input);
    memset(input->text, 0, sizeof input->text);
    memset(input->user, 0, sizeof input->user);
    input->user_bytes = test_random(random) % 4 ? 0 : (uint32_t)(test_random(random) % 257);
    for (uint32_t i = 0; i < input->user_bytes; i++) {
        input->user[i] = (uint8_t)(test_random(random) >> 9);
    }
    for (uint64_t i = test_random(random) % 4 ? 0 : test_random(random) % 64; i > 0; i--) {
        input->text[i - 1] = (char)(1 + test_random(random) % 255);
    }
    if (test_random(random) % 2) {
        input->mouse.x = random_float(random);
        input->mouse.y = test_random(random) % 2 ? 0.0f : -0.0f;
        input->mouse.buttons = (uint32_t)test_random(random) % 8;
    }
    input->mouse.wheel_x = test_random(random) % 3 ? 0 : random_float(random);
    input->mouse.wheel_y = 0;
    if (test_random(random) % 3 == 0) {
        random_pad(random, &input->pads[test_random(random) % RP_INPUT_PAD_COUNT]);
    }
}

enum { FRAME_COUNT = 200, LINES_MAX = 8192 };

static void print_and_parse(uint64_t *random)
{
    static rp_input inputs[FRAME_COUNT + 1];
    static char text[FRAME_COUNT * LINES_MAX];
    size_t length = (size_t)sprintf(text, "%s", HEADER);
    memset(inputs, 0, sizeof inputs);
    for (uint64_t frame = 1; frame <= FRAME_COUNT; frame++) {
        inputs[frame] = inputs[frame - 1];
        random_next(random, &inputs[frame]);
        size_t wrote = rp_input_script_print(frame, &inputs[frame - 1], &inputs[frame],
                                             text + length, sizeof text - length);
        ck_assert_uint_lt(wrote, LINES_MAX);
        length += wrote;
    }
    rp_input_script script = parse(text);
    for (uint64_t frame = 1; frame <= FRAME_COUNT; frame++) {
        rp_input input = get(&script, frame);
        ck_assert_mem_eq(&input, &inputs[frame], sizeof input);
    }
}

TEST(what_was_printed_parses_to_the_same_inputs)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 20; i++) {
        print_and_parse(&random);
    }
}

TEST(printing_counts_what_does_not_fit_and_writes_no_further)
{
    rp_input before = {0}, now = {.text = "hello", .mouse = {.x = 1}};
    char whole[256], cut[256];
    size_t length = rp_input_script_print(1, &before, &now, whole, sizeof whole);
    ck_assert_uint_eq(length, strlen(whole));
    for (size_t capacity = 0; capacity <= length; capacity++) {
        memset(cut, '#', sizeof cut);
        ck_assert_uint_eq(rp_input_script_print(1, &before, &now, cut, capacity), length);
        ck_assert_int_eq(cut[capacity], '#');
        ck_assert(capacity == 0 || strncmp(cut, whole, capacity - 1) == 0);
        ck_assert(capacity == 0 || cut[capacity - 1] == 0);
    }
}

TEST(an_input_that_did_not_change_prints_nothing)
{
    rp_input held = {.mouse = {.x = 3, .buttons = 1}, .pads = {{.connected = 1, .left_x = 0.5f}}};
    held.keys_down[4] = 2;
    ck_assert_uint_eq(rp_input_script_print(7, &held, &held, NULL, 0), 0);
}

/* ---- hostile text ---- */

TEST(random_bytes_never_break_the_parser)
{
    static const char *const bits[] = {
        "1 ",    "2 ", "+",    "-",     "\n",    "text ", "\"", "\\x4", "mouse ", "pad ",
        "user ", "0a", "0.5 ", "left,", "none ", "#",     " ",  "\r",   "wheel "};
    uint64_t random = test_seed();
    for (int i = 0; i < 20000; i++) {
        char text[400] = HEADER;
        for (int k = (int)(test_random(&random) % 30); k > 0; k--) {
            size_t pick = test_random(&random) % (sizeof bits / sizeof bits[0] + 1);
            char any[2] = {(char)(test_random(&random) >> 30), 0};
            strcat(text, pick < sizeof bits / sizeof bits[0] ? bits[pick] : any);
        }
        rp_input_script script;
        size_t length = strlen(text);
        char *exact = memcpy(malloc(length), text, length);
        if (rp_input_script_init(&script, "f", exact, length) == RP_OK) {
            rp_input input = get(&script, 1 + test_random(&random) % 3);
            ck_assert_uint_le(input.user_bytes, RP_INPUT_USER_BYTES);
            ck_assert_ptr_nonnull(memchr(input.text, 0, sizeof input.text));
        }
        free(exact);
    }
}
