#include "stage/term.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

/* What `bytes` mean, as text: one item for each input. */
static const char *meaning(const char *bytes)
{
    static char text[512];
    static const char *const actions[] = {"?", "", "repeat ", "release "};
    term_parser parser = {0};
    term_input input;
    text[0] = 0;
    for (const char *p = bytes; *p; p++) {
        if (!term_parse(&parser, (uint8_t)*p, &input)) {
            continue;
        }
        size_t used = strlen(text);
        char *to = text + used;
        size_t room = sizeof text - used;
        if (input.kind == TERM_MOUSE) {
            snprintf(to, room, "mouse %d,%d %u%s wheel %d;", input.column, input.row, input.button,
                     input.down ? " down" : "", input.wheel_y);
        } else if (input.kind != TERM_KEY) {
            snprintf(to, room, "%s;", input.kind == TERM_KITTY ? "kitty" : "blur");
        } else {
            snprintf(to, room, "%s%s%s%s%s%d%s%s;", input.exact ? "exact " : "",
                     actions[input.action], input.shift ? "shift " : "", input.ctrl ? "ctrl " : "",
                     input.alt ? "alt " : "", input.key, input.text[0] ? " " : "", input.text);
        }
    }
    return text;
}

TEST(plain_bytes_are_keys_with_their_text)
{
    ck_assert_str_eq(meaning("a"), "65 a;");
    ck_assert_str_eq(meaning("A-"), "shift 65 A;45 -;");
    ck_assert_str_eq(meaning(" \r\t\x7f"), "32  ;10;9;8;");
    ck_assert_str_eq(meaning("\x03\x11"), "ctrl 67;ctrl 81;");
    ck_assert_str_eq(meaning("\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80"),
                     "0 \xc3\xa9;0 \xe6\x97\xa5;0 \xf0\x9f\x98\x80;");
    ck_assert_str_eq(meaning("\xc3z\xffq\xed\xa0\x80w"), "90 z;81 q;87 w;");
}

TEST(function_keys_are_known_in_the_forms_of_xterm_tmux_and_the_console)
{
    ck_assert_str_eq(meaning("\033OP\033OS\033[15~\033[17~\033[24~"), "144;147;148;149;155;");
    ck_assert_str_eq(meaning("\033[[A\033[[E"), "144;148;");
    ck_assert_str_eq(meaning("\033[11~\033[14~\033[29~"), "144;147;shift 147;");
    ck_assert_str_eq(meaning("\033[1;2S\033[17;5~\033[1;3P"), "shift 147;ctrl 149;alt 144;");
}

TEST(arrows_and_editing_keys_are_known)
{
    ck_assert_str_eq(meaning("\033[A\033[B\033[C\033[D\033OA"), "130;131;129;128;130;");
    ck_assert_str_eq(meaning("\033[H\033[F\033[1~\033[4~\033[7~\033[8~"),
                     "132;133;132;133;132;133;");
    ck_assert_str_eq(meaning("\033[2~\033[3~\033[5~\033[6~"), "136;127;134;135;");
    ck_assert_str_eq(meaning("\033[1;5D\033[Z"), "ctrl 128;shift 9;");
}

TEST(alt_is_an_escape_before_the_key)
{
    ck_assert_str_eq(meaning("\033x"), "alt 88;");
    ck_assert_str_eq(meaning("\033\033[A"), "27;130;");
}

TEST(an_escape_that_stands_alone_is_the_escape_key_after_a_pause)
{
    term_parser parser = {0};
    term_input input;
    ck_assert(!term_parse_pending(&parser));
    ck_assert(!term_parse(&parser, 0x1B, &input));
    ck_assert(term_parse_pending(&parser));
    ck_assert(term_parse_pause(&parser, &input));
    ck_assert_int_eq(input.key, RP_KEY_ESCAPE);
    ck_assert(!term_parse_pending(&parser));
    term_parse(&parser, 0x1B, &input);
    term_parse(&parser, '[', &input);
    ck_assert(term_parse_pause(&parser, &input));
    ck_assert(input.key == '[' && input.alt);
}

TEST(the_kitty_protocol_tells_releases_and_text)
{
    ck_assert_str_eq(meaning("\033[?27u"), "kitty;");
    ck_assert_str_eq(meaning("\033[97;;97u\033[97;1:2;97u\033[97;1:3u"),
                     "exact 65 a;exact repeat 65 a;exact release 65;");
    ck_assert_str_eq(meaning("\033[97:65;2;65u"), "exact shift 65 A;");
    ck_assert_str_eq(meaning("\033[1;1:3A\033[17;1:3~\033[1;1:1P"),
                     "exact release 130;exact release 149;exact 144;");
    ck_assert_str_eq(meaning("\033[57441;2u\033[57441;1:3u"), "exact shift 137;exact release 137;");
    ck_assert_str_eq(meaning("\033[99;5u\033[113;5u"), "exact ctrl 67;exact ctrl 81;");
    ck_assert_str_eq(meaning("\033[1092::97;;1092u"), "exact 65 \xd1\x84;");
}

TEST(the_mouse_reports_cells_buttons_and_wheel)
{
    ck_assert_str_eq(meaning("\033[<0;10;5M\033[<0;11;5m"),
                     "mouse 9,4 1 down wheel 0;mouse 10,4 1 wheel 0;");
    ck_assert_str_eq(meaning("\033[<35;3;4M\033[<64;1;1M\033[<65;1;1M"),
                     "mouse 2,3 0 wheel 0;mouse 0,0 0 wheel 1;mouse 0,0 0 wheel -1;");
    ck_assert_str_eq(meaning("\033[<2;1;1M\033[<0;0;0M\033[O\033[I"),
                     "mouse 0,0 4 down wheel 0;blur;");
}

TEST(answers_and_unknown_sequences_are_swallowed_whole)
{
    ck_assert_str_eq(meaning("\033[?62;22c\033[>1;2;3c\033[99~\033[1;2y\033[200~a"), "65 a;");
    char longer[400] = "\033[";
    memset(longer + 2, '1', 380);
    strcpy(longer + 382, "~b");
    ck_assert_str_eq(meaning(longer), "66 b;");
    ck_assert_str_eq(meaning("\033[1;\033[A"), "130;");
}

static bool is_sound(const term_input *input)
{
    return input->key >= 0 && input->key < RP_KEY_COUNT &&
           memchr(input->text, 0, sizeof input->text) && input->action >= TERM_PRESS &&
           input->action <= TERM_RELEASE && input->column >= 0 && input->row >= 0;
}

TEST(any_bytes_give_only_sound_inputs)
{
    static const char alphabet[] = "\033\033\033[[[O<?;:0123456789ABCDMPRSZmu~ac\xc3\xa9\xf0\x80";
    uint64_t state = test_seed();
    term_parser parser = {0};
    term_input input;
    int unsound = 0;
    for (int i = 0; i < 2000000; i++) {
        uint64_t random = test_random(&state);
        uint8_t byte = random & 0x100 ? (uint8_t)alphabet[(random >> 16) % (sizeof alphabet - 1)]
                                      : (uint8_t)random;
        unsound += term_parse(&parser, byte, &input) && !is_sound(&input);
        unsound += random >> 60 == 0 && term_parse_pause(&parser, &input) && !is_sound(&input);
    }
    ck_assert_int_eq(unsound, 0);
}
