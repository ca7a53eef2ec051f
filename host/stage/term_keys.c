/* What a terminal's sequences mean: the forms of xterm, the Linux console, tmux, and the kitty
 * keyboard protocol (https://sw.kovidgoyal.net/kitty/keyboard-protocol/), which also tells
 * releases. */
#include "stage/term.h"

#include "base/bits.h"
#include "deck/font.h"

typedef struct key_code {
    uint32_t code;
    int key;
} key_code;

static int find_key(const key_code *codes, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (codes[i].code == code) {
            return codes[i].key;
        }
    }
    return RP_KEY_NONE;
}

/* One more than the bits: 1 shift, 2 alt, 4 ctrl. The second part is press, repeat or release. */
static void take_modifiers(const uint32_t *parts, int part_count, term_input *input)
{
    uint32_t bits = parts[0] ? parts[0] - 1 : 0;
    input->shift = bits & 1;
    input->alt = bits & 2;
    input->ctrl = bits & 4;
    input->exact = part_count > 1;
    input->action = part_count > 1 && parts[1] >= TERM_PRESS && parts[1] <= TERM_RELEASE
                        ? (term_action)parts[1]
                        : TERM_PRESS;
}

static bool take_printable(uint8_t byte, bool alt, term_input *input)
{
    bool lower = byte >= 'a' && byte <= 'z';
    input->key = lower ? byte - 'a' + 'A' : byte;
    input->shift = byte >= 'A' && byte <= 'Z';
    input->alt = alt;
    if (!alt) {
        input->text[0] = (char)byte;
    }
    return true;
}

bool term_key_byte(uint8_t byte, bool alt, term_input *input)
{
    static const key_code plain[] = {
        {0x08, RP_KEY_BACKSPACE}, {0x7F, RP_KEY_BACKSPACE}, {0x09, RP_KEY_TAB},
        {0x0D, RP_KEY_ENTER},     {0x0A, RP_KEY_ENTER},
    };
    if (byte >= 0x20 && byte < 0x7F) {
        return take_printable(byte, alt, input);
    }
    input->alt = alt;
    input->key = find_key(plain, RP_COUNT_OF(plain), byte);
    if (!input->key && byte < 0x20) {
        /* Ctrl takes the upper bits of the character away. */
        input->key = byte ? byte + 0x40 : RP_KEY_SPACE;
        input->ctrl = true;
    }
    return input->key != RP_KEY_NONE;
}

bool term_key_letter(char final, const term_numbers *numbers, term_input *input)
{
    static const key_code letters[] = {
        {'A', RP_KEY_UP},  {'B', RP_KEY_DOWN}, {'C', RP_KEY_RIGHT}, {'D', RP_KEY_LEFT},
        {'F', RP_KEY_END}, {'H', RP_KEY_HOME}, {'P', RP_KEY_F1},    {'Q', RP_KEY_F2},
        {'R', RP_KEY_F3},  {'S', RP_KEY_F4},   {'M', RP_KEY_ENTER}, {'Z', RP_KEY_TAB},
    };
    take_modifiers(numbers->value[1], numbers->part_count[1], input);
    input->key = find_key(letters, RP_COUNT_OF(letters), (uint8_t) final);
    input->shift = input->shift || final == 'Z';
    return input->key != RP_KEY_NONE;
}

bool term_key_tilde(const term_numbers *numbers, term_input *input)
{
    static const key_code codes[] = {
        {1, RP_KEY_HOME},    {2, RP_KEY_INSERT},    {3, RP_KEY_DELETE}, {4, RP_KEY_END},
        {5, RP_KEY_PAGE_UP}, {6, RP_KEY_PAGE_DOWN}, {7, RP_KEY_HOME},   {8, RP_KEY_END},
        {11, RP_KEY_F1},     {12, RP_KEY_F2},       {13, RP_KEY_F3},    {14, RP_KEY_F4},
        {15, RP_KEY_F5},     {17, RP_KEY_F6},       {18, RP_KEY_F7},    {19, RP_KEY_F8},
        {20, RP_KEY_F9},     {21, RP_KEY_F10},      {23, RP_KEY_F11},   {24, RP_KEY_F12},
    };
    /* The Linux console has numbers of its own for these with shift. */
    static const key_code shifted[] = {
        {25, RP_KEY_F1}, {26, RP_KEY_F2}, {28, RP_KEY_F3}, {29, RP_KEY_F4},
        {31, RP_KEY_F5}, {32, RP_KEY_F6}, {33, RP_KEY_F7}, {34, RP_KEY_F8},
    };
    uint32_t code = numbers->value[0][0];
    take_modifiers(numbers->value[1], numbers->part_count[1], input);
    input->key = find_key(codes, RP_COUNT_OF(codes), code);
    if (!input->key) {
        input->key = find_key(shifted, RP_COUNT_OF(shifted), code);
        input->shift = true;
    }
    return input->key != RP_KEY_NONE;
}

static void take_text(const uint32_t *code_points, int count, term_input *input)
{
    size_t length = 0;
    for (int i = 0; i < count && length + 5 <= sizeof input->text; i++) {
        uint32_t code_point = code_points[i];
        bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
        if (!control && code_point >> 11 != 0x1B) {
            length += rp_utf8_put(code_point, input->text + length);
        }
    }
    input->text[length] = 0;
}

static int kitty_key(uint32_t code)
{
    static const key_code codes[] = {
        {57399, RP_KEY_0},
        {57400, RP_KEY_1},
        {57401, RP_KEY_2},
        {57402, RP_KEY_3},
        {57403, RP_KEY_4},
        {57404, RP_KEY_5},
        {57405, RP_KEY_6},
        {57406, RP_KEY_7},
        {57407, RP_KEY_8},
        {57408, RP_KEY_9},
        {57409, '.'},
        {57410, '/'},
        {57411, '*'},
        {57412, '-'},
        {57413, '+'},
        {57414, RP_KEY_ENTER},
        {57415, '='},
        {57417, RP_KEY_LEFT},
        {57418, RP_KEY_RIGHT},
        {57419, RP_KEY_UP},
        {57420, RP_KEY_DOWN},
        {57421, RP_KEY_PAGE_UP},
        {57422, RP_KEY_PAGE_DOWN},
        {57423, RP_KEY_HOME},
        {57424, RP_KEY_END},
        {57425, RP_KEY_INSERT},
        {57426, RP_KEY_DELETE},
        {57441, RP_KEY_SHIFT},
        {57442, RP_KEY_CTRL},
        {57443, RP_KEY_ALT},
        {57447, RP_KEY_SHIFT},
        {57448, RP_KEY_CTRL},
        {57449, RP_KEY_ALT},
        {13, RP_KEY_ENTER},
        {9, RP_KEY_TAB},
        {27, RP_KEY_ESCAPE},
        {127, RP_KEY_BACKSPACE},
    };
    if (code >= 'a' && code <= 'z') {
        return (int)code - 'a' + 'A';
    }
    return code >= 0x20 && code < 0x7F ? (int)code : find_key(codes, RP_COUNT_OF(codes), code);
}

/* ESC [ code : shifted : on a US keyboard ; modifiers : action ; text u */
bool term_key_kitty(const term_numbers *numbers, term_input *input)
{
    take_modifiers(numbers->value[1], numbers->part_count[1], input);
    input->exact = true;
    input->key = kitty_key(numbers->value[0][0]);
    if (!input->key) {
        input->key = kitty_key(numbers->value[0][2]);
    }
    if (input->action != TERM_RELEASE) {
        take_text(numbers->value[2], numbers->part_count[2], input);
    }
    return input->key != RP_KEY_NONE || input->text[0];
}
