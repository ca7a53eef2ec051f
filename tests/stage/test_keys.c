#include "stage/stage.h"
#include "support/test.h"

#include <string.h>

static stage_event key(int which, bool down)
{
    return (stage_event){.kind = STAGE_KEY, .key = which, .down = down};
}

static void send(stage_keys *keys, stage_event event)
{
    stage_keys_event(keys, &event);
}

static bool bit(const uint8_t *bits, int which)
{
    return bits[which / 8] >> (which % 8) & 1;
}

TEST(a_key_is_pressed_once_and_down_until_it_is_released)
{
    stage_keys keys;
    stage_keys_init(&keys);
    send(&keys, key('A', true));
    ck_assert(bit(keys.input.keys_down, 'A') && bit(keys.input.keys_pressed, 'A'));
    stage_keys_frame_done(&keys);
    stage_event repeat = key('A', true);
    repeat.repeat = true;
    send(&keys, repeat);
    ck_assert(bit(keys.input.keys_down, 'A') && !bit(keys.input.keys_pressed, 'A'));
    send(&keys, key('A', false));
    stage_keys_frame_done(&keys);
    ck_assert(!bit(keys.input.keys_down, 'A'));
}

TEST(a_tap_between_two_frames_is_down_in_one_of_them)
{
    stage_keys keys;
    stage_keys_init(&keys);
    send(&keys, key(RP_KEY_SPACE, true));
    send(&keys, key(RP_KEY_SPACE, false));
    send(&keys, (stage_event){.kind = STAGE_MOUSE, .mouse = {.buttons = RP_MOUSE_LEFT}});
    send(&keys, (stage_event){.kind = STAGE_MOUSE});
    send(&keys, (stage_event){.kind = STAGE_PAD,
                              .index = 2,
                              .pad = {.connected = 1, .buttons = RP_PAD_SOUTH}});
    send(&keys, (stage_event){.kind = STAGE_PAD, .index = 2, .pad = {.connected = 1}});
    ck_assert(bit(keys.input.keys_down, RP_KEY_SPACE));
    ck_assert_uint_eq(keys.input.mouse.buttons, RP_MOUSE_LEFT);
    ck_assert_uint_eq(keys.input.pads[2].buttons, RP_PAD_SOUTH);
    stage_keys_frame_done(&keys);
    rp_input expected = {0};
    expected.pads[2].connected = 1;
    ck_assert_mem_eq(&keys.input, &expected, sizeof expected);
}

TEST(keys_that_steer_reprise_never_enter_the_programs_input)
{
    static const rp_input none;
    stage_keys keys;
    stage_keys_init(&keys);
    static const int bound[] = {RP_KEY_F1, RP_KEY_F2, RP_KEY_F3, RP_KEY_F4, RP_KEY_F5,
                                RP_KEY_F6, RP_KEY_F7, RP_KEY_F9, RP_KEY_F10};
    for (size_t i = 0; i < sizeof bound / sizeof bound[0]; i++) {
        send(&keys, key(bound[i], true));
        send(&keys, key(bound[i], false));
    }
    ck_assert_mem_eq(&keys.input, &none, sizeof none);
    static const rp_command_kind expected[] = {
        RP_COMMAND_SPEED,  RP_COMMAND_TAKE_OVER, RP_COMMAND_RETRY,
        RP_COMMAND_TOGGLE, RP_COMMAND_REWIND,    RP_COMMAND_REWIND_END,
        RP_COMMAND_MARK,   RP_COMMAND_BACK,      RP_COMMAND_STEP};
    ck_assert_int_eq(keys.command_count, sizeof expected / sizeof expected[0]);
    for (int i = 0; i < keys.command_count; i++) {
        ck_assert_int_eq(keys.commands[i].kind, expected[i]);
    }
    ck_assert(keys.want_help && !keys.want_quit);
}

TEST(shift_and_ctrl_choose_the_binding)
{
    stage_keys keys;
    stage_keys_init(&keys);
    stage_event event = key(RP_KEY_F4, true);
    event.shift = true;
    send(&keys, event);
    ck_assert_int_eq(keys.commands[0].kind, RP_COMMAND_SKIP);
    event = key(RP_KEY_F5, true);
    event.ctrl = true;
    send(&keys, event);
    ck_assert_int_eq(keys.commands[1].kind, RP_COMMAND_TOGGLE);
    send(&keys, key('Q', true));
    ck_assert(bit(keys.input.keys_down, 'Q') && !keys.want_quit);
    event = key('Q', true);
    event.ctrl = true;
    send(&keys, event);
    ck_assert(keys.want_quit);
}

TEST(rewind_goes_on_while_the_key_repeats_and_ends_with_it)
{
    stage_keys keys;
    stage_keys_init(&keys);
    send(&keys, key(RP_KEY_F6, true));
    stage_event repeat = key(RP_KEY_F6, true);
    repeat.repeat = true;
    send(&keys, repeat);
    ck_assert_int_eq(keys.command_count, 1);
    ck_assert(keys.rewinding);
    send(&keys, key(RP_KEY_F6, false));
    send(&keys, key(RP_KEY_F6, false));
    ck_assert_int_eq(keys.command_count, 2);
    ck_assert_int_eq(keys.commands[1].kind, RP_COMMAND_REWIND_END);
}

TEST(the_end_of_a_rewind_survives_a_full_list)
{
    stage_keys keys;
    stage_keys_init(&keys);
    send(&keys, key(RP_KEY_F6, true));
    for (int i = 0; i < 100; i++) {
        send(&keys, key(RP_KEY_F10, true));
    }
    send(&keys, key(RP_KEY_F6, false));
    ck_assert_int_eq(keys.command_count, STAGE_COMMAND_MAX);
    ck_assert_int_eq(keys.commands[STAGE_COMMAND_MAX - 1].kind, RP_COMMAND_REWIND_END);
}

TEST(speed_halves_and_comes_back_to_full)
{
    stage_keys keys;
    stage_keys_init(&keys);
    static const uint32_t expected[] = {2, 4, 8, 16, 1, 2};
    for (int i = 0; i < 6; i++) {
        send(&keys, key(RP_KEY_F2, true));
        ck_assert_uint_eq(keys.speed_divisor, expected[i]);
        ck_assert_uint_eq(keys.commands[i].a, expected[i]);
    }
}

TEST(text_is_taken_whole_or_not_at_all)
{
    stage_keys keys;
    stage_keys_init(&keys);
    stage_event event = {.kind = STAGE_TEXT,
                         .text = "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"};
    for (int i = 0; i < 10; i++) {
        send(&keys, event);
    }
    ck_assert_uint_eq(strlen(keys.input.text), 60);
    memset(event.text, 'x', sizeof event.text);
    stage_keys_frame_done(&keys);
    send(&keys, event);
    ck_assert_uint_eq(strlen(keys.input.text), sizeof event.text);
}

TEST(any_event_leaves_the_collector_sound)
{
    uint64_t state = test_seed();
    stage_keys keys;
    stage_keys_init(&keys);
    for (int round = 0; round < 20000; round++) {
        stage_event event;
        uint8_t *bytes = (uint8_t *)&event;
        for (size_t i = 0; i < sizeof event; i++) {
            bytes[i] = (uint8_t)test_random(&state);
        }
        event.kind = (stage_event_kind)(test_random(&state) % (STAGE_LOST + 1));
        event.key = (int)(test_random(&state) % 600) - 100;
        event.index = (int)(test_random(&state) % 10) - 3;
        event.down = test_random(&state) & 1, event.repeat = test_random(&state) & 1;
        event.shift = test_random(&state) & 1, event.ctrl = test_random(&state) & 1,
        event.alt = false;
        stage_keys_event(&keys, &event);
        ck_assert(keys.command_count >= 0 && keys.command_count <= STAGE_COMMAND_MAX);
        ck_assert(memchr(keys.input.text, 0, sizeof keys.input.text));
    }
}

TEST(with_shift_the_keys_for_frames_are_about_bookmarks)
{
    stage_keys keys;
    stage_keys_init(&keys);
    stage_event event = key(RP_KEY_F7, true);
    event.shift = true;
    send(&keys, event);
    ck_assert(keys.want_bookmark && !keys.command_count);
    event.key = RP_KEY_F9;
    send(&keys, event);
    ck_assert_int_eq(keys.want_bookmark_by, -1);
    event.key = RP_KEY_F10;
    send(&keys, event);
    ck_assert_int_eq(keys.want_bookmark_by, 1);
    ck_assert(!keys.command_count);
}

TEST(the_help_names_every_bound_key)
{
    char lines[STAGE_LINE_MAX][STAGE_LINE_CHARS];
    int count = stage_keys_help(lines, STAGE_LINE_MAX);
    ck_assert_int_ge(count, 12);
    ck_assert_int_lt(count, STAGE_LINE_MAX);
    ck_assert(strstr(lines[0], "F1") == lines[0]);
    ck_assert_int_eq(stage_keys_help(lines, 2), 2);
}
