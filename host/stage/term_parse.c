/* The bytes that a terminal sends, cut into keys, text, mouse and answers. Follows ECMA-48: ESC [,
 * then parameters (0x30 … 0x3F), intermediates (0x20 … 0x2F) and a final byte (0x40 … 0x7E). */
#include "stage/term.h"

#include "deck/font.h"

#include <string.h>

enum { GROUND, ESCAPE, CSI, CSI_TOO_LONG, SS3, LINUX_CONSOLE, UTF8 };

enum { MOUSE_MOTION = 32, MOUSE_WHEEL = 64, NUMBER_LARGEST = 0x10FFFF };

static void parse_numbers(const char *text, term_numbers *numbers)
{
    int index = 0, part = 0;
    memset(numbers, 0, sizeof *numbers);
    numbers->part_count[0] = 1;
    for (; *text; text++) {
        if (*text >= '0' && *text <= '9') {
            uint32_t value = numbers->value[index][part] * 10 + (uint32_t)(*text - '0');
            numbers->value[index][part] = value > NUMBER_LARGEST ? NUMBER_LARGEST : value;
        } else if (*text == ':') {
            if (++part == TERM_PART_MAX) {
                return;
            }
            numbers->part_count[index] = part + 1;
        } else if (*text == ';') {
            part = 0;
            if (++index == TERM_NUMBER_MAX) {
                return;
            }
            numbers->part_count[index] = 1;
        }
    }
}

/* SGR mouse report: button, column, row; the final byte is M for a press or a motion, m for a
 * release. */
static bool take_mouse(char final, const term_numbers *numbers, term_input *input)
{
    static const uint32_t buttons[] = {RP_MOUSE_LEFT, RP_MOUSE_MIDDLE, RP_MOUSE_RIGHT, 0};
    uint32_t code = numbers->value[0][0], which = code & 3;
    if (code >= 128 || !numbers->value[1][0] || !numbers->value[2][0]) {
        return false;
    }
    input->kind = TERM_MOUSE;
    input->column = (int)numbers->value[1][0] - 1;
    input->row = (int)numbers->value[2][0] - 1;
    if (code & MOUSE_WHEEL) {
        input->wheel_y = which == 0 ? 1 : which == 1 ? -1 : 0;
        input->wheel_x = which == 2 ? -1 : which == 3 ? 1 : 0;
    } else if (!(code & MOUSE_MOTION)) {
        input->button = buttons[which];
        input->down = final == 'M';
    }
    return true;
}

static bool take_csi(const char *sequence, char final, term_input *input)
{
    term_numbers numbers;
    parse_numbers(sequence, &numbers);
    switch (sequence[0]) {
    case '?':
        input->kind = TERM_KITTY;
        return final == 'u';
    case '<':
        return (final == 'M' || final == 'm') && take_mouse(final, &numbers, input);
    case '>':
    case '=':
        return false;
    default:
        break;
    }
    if (final == 'O' || final == 'I') {
        input->kind = TERM_FOCUS_OUT;
        return final == 'O';
    }
    return final == 'u'   ? term_key_kitty(&numbers, input)
           : final == '~' ? term_key_tilde(&numbers, input)
                          : term_key_letter(final, &numbers, input);
}

static bool begin_escape(term_parser *parser)
{
    parser->state = ESCAPE;
    parser->length = 0;
    return false;
}

static bool in_csi(term_parser *parser, uint8_t byte, term_input *input)
{
    if (byte == 0x1B) {
        return begin_escape(parser);
    }
    if (byte == '[' && parser->length == 0 && parser->state == CSI) {
        parser->state = LINUX_CONSOLE;
        return false;
    }
    if (byte >= 0x40 && byte <= 0x7E) {
        bool whole = parser->state == CSI;
        parser->state = GROUND;
        parser->sequence[parser->length] = 0;
        return whole && take_csi(parser->sequence, (char)byte, input);
    }
    if (byte < 0x20 || byte > 0x7E) {
        parser->state = GROUND;
    } else if (parser->length + 1 < TERM_SEQUENCE_MAX) {
        parser->sequence[parser->length++] = (char)byte;
    } else {
        parser->state = CSI_TOO_LONG;
    }
    return false;
}

/* F1 … F5 of the Linux console: ESC [ [ A … E. */
static bool in_linux_console(term_parser *parser, uint8_t byte, term_input *input)
{
    parser->state = GROUND;
    if (byte < 'A' || byte > 'E') {
        return false;
    }
    input->key = RP_KEY_F1 + (byte - 'A');
    return true;
}

static bool in_ss3(term_parser *parser, uint8_t byte, term_input *input)
{
    static const term_numbers none;
    if (byte == 0x1B) {
        return begin_escape(parser);
    }
    parser->state = GROUND;
    return byte < 0x7F && term_key_letter((char)byte, &none, input);
}

static bool in_escape(term_parser *parser, uint8_t byte, term_input *input)
{
    parser->length = 0;
    if (byte == '[' || byte == 'O') {
        parser->state = byte == '[' ? CSI : SS3;
        return false;
    }
    if (byte == 0x1B) {
        input->key = RP_KEY_ESCAPE;
        return true;
    }
    parser->state = GROUND;
    return term_key_byte(byte, true, input);
}

static bool begin_utf8(term_parser *parser, uint8_t byte)
{
    parser->state = byte >= 0xC2 && byte < 0xF5 ? UTF8 : GROUND;
    parser->sequence[0] = (char)byte;
    parser->length = 1;
    return false;
}

static bool in_utf8(term_parser *parser, uint8_t byte, term_input *input)
{
    uint8_t first = (uint8_t)parser->sequence[0];
    int wanted = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((byte & 0xC0) != 0x80) {
        parser->state = GROUND;
        return term_parse(parser, byte, input);
    }
    parser->sequence[parser->length++] = (char)byte;
    if (parser->length < wanted) {
        return false;
    }
    parser->state = GROUND;
    parser->sequence[parser->length] = 0;
    const char *cursor = parser->sequence;
    bool valid = rp_utf8_next(&cursor) != 0xFFFD && !*cursor;
    memcpy(input->text, parser->sequence, (size_t)parser->length + 1);
    return valid;
}

bool term_parse(term_parser *parser, uint8_t byte, term_input *input)
{
    *input = (term_input){.kind = TERM_KEY, .action = TERM_PRESS};
    switch (parser->state) {
    case ESCAPE:
        return in_escape(parser, byte, input);
    case CSI:
    case CSI_TOO_LONG:
        return in_csi(parser, byte, input);
    case SS3:
        return in_ss3(parser, byte, input);
    case LINUX_CONSOLE:
        return in_linux_console(parser, byte, input);
    case UTF8:
        return in_utf8(parser, byte, input);
    default:
        break;
    }
    if (byte == 0x1B) {
        return begin_escape(parser);
    }
    return byte >= 0x80 ? begin_utf8(parser, byte) : term_key_byte(byte, false, input);
}

bool term_parse_pending(const term_parser *parser)
{
    return parser->state != GROUND;
}

bool term_parse_pause(term_parser *parser, term_input *input)
{
    int state = parser->state;
    bool bare = parser->length == 0;
    *input = (term_input){.kind = TERM_KEY, .action = TERM_PRESS};
    parser->state = GROUND;
    if (state == ESCAPE) {
        input->key = RP_KEY_ESCAPE;
        return true;
    }
    /* Alt-[ and Alt-O begin like sequences. */
    return bare && (state == CSI || state == SS3) &&
           term_key_byte(state == CSI ? '[' : 'O', true, input);
}
