/* The terminal stage: its parts.
 *
 *     bytes ─► term_parse ─► term_input ─► term.c ─► stage_event
 *     stage_view ─► term_paint ─► term_screen ─► changed cells as bytes
 *     term_tty: raw mode, and the terminal as it was, whatever ends the process
 *
 * Layer: host.  Threads: the host's main thread.  Tests: tests/stage/test_term_*.c, tests/fuzz/
 */
#ifndef HOST_STAGE_TERM_H
#define HOST_STAGE_TERM_H

#include "stage/stage.h"

/* ---- parsing (term_parse.c, term_keys.c) ---- */

typedef enum term_input_kind {
    TERM_KEY,   /* key, action, modifiers; text where it types something */
    TERM_MOUSE, /* column, row, button bits */
    TERM_FOCUS_OUT,
    TERM_KITTY, /* the terminal has the kitty keyboard protocol */
} term_input_kind;

typedef enum term_action { TERM_PRESS = 1, TERM_REPEAT = 2, TERM_RELEASE = 3 } term_action;

typedef struct term_input {
    term_input_kind kind;
    int key; /* rp_key; RP_KEY_NONE: text alone */
    term_action action;
    bool exact; /* the terminal tells releases too */
    bool shift, ctrl, alt;
    char text[32];
    int column, row; /* from 0 */
    uint32_t button; /* RP_MOUSE_… that this is about; 0: motion or wheel */
    bool down;
    int wheel_x, wheel_y;
} term_input;

enum { TERM_SEQUENCE_MAX = 128, TERM_NUMBER_MAX = 4, TERM_PART_MAX = 8 };

typedef struct term_parser {
    int state;
    int length;
    char sequence[TERM_SEQUENCE_MAX];
} term_parser;

/* A control sequence's numbers: "1:3;2" is {1, 3}, {2}. Missing ones are 0. */
typedef struct term_numbers {
    uint32_t value[TERM_NUMBER_MAX][TERM_PART_MAX];
    int part_count[TERM_NUMBER_MAX];
} term_numbers;

/* All-zero is a fresh parser. Takes one byte; true: `*input` is one more thing that came in. Any
 * bytes whatever are safe. */
bool term_parse(term_parser *parser, uint8_t byte, term_input *input);
/* No byte has followed for a while: an escape that stands alone is the Escape key. */
bool term_parse_pause(term_parser *parser, term_input *input);
/* Whether term_parse_pause would have something to do. */
bool term_parse_pending(const term_parser *parser);

/* Meaning of what was parsed; false: none. `numbers` as in the sequence. */
bool term_key_byte(uint8_t byte, bool alt, term_input *input);
bool term_key_letter(char final, const term_numbers *numbers, term_input *input);
bool term_key_tilde(const term_numbers *numbers, term_input *input);
bool term_key_kitty(const term_numbers *numbers, term_input *input);

/* ---- screen (term_screen.c) ---- */

typedef enum term_colours { TERM_MONO, TERM_256, TERM_TRUE } term_colours;

typedef struct term_cell {
    uint32_t code_point;
    uint32_t fore, back; /* as the terminal gets them: 0xRRGGBB, an index of 256, or 0 */
} term_cell;

typedef struct term_bytes {
    char *data;
    size_t length, capacity;
} term_bytes;

typedef struct term_screen {
    int columns, rows;
    term_colours colours;
    term_cell *wanted, *shown; /* rows * columns */
    bool unknown;              /* what the terminal shows: everything is written again */
} term_screen;

/* What the environment says: NO_COLOR, COLORTERM, TERM. */
term_colours term_colours_of_environment(void);
/* RP_E_MEMORY leaves the screen as it was. */
rp_status term_screen_resize(term_screen *screen, int columns, int rows);
void term_screen_finish(term_screen *screen);
/* Colours are 0xRRGGBB. Outside the screen nothing happens. */
void term_screen_put(term_screen *screen, int column, int row, uint32_t code_point, uint32_t fore,
                     uint32_t back);
/* Returns the column after the text. */
int term_screen_text(term_screen *screen, int column, int row, uint32_t fore, uint32_t back,
                     const char *text);
/* Appends what turns `shown` into `wanted`, and takes it as shown. Without memory nothing is
 * appended and all is written next time. */
void term_screen_encode(term_screen *screen, term_bytes *bytes);
/* False: out of memory, nothing was appended. */
bool term_bytes_add(term_bytes *bytes, const char *data, size_t length);
/* The nearest of the 256 colours of xterm's palette: 16 … 255. */
int term_palette_index(uint32_t colour);

/* ---- painting (term_paint.c) ---- */

/* Where things are, for the mouse. The picture is in half cells: y counts two a row. */
typedef struct term_places {
    stage_rect picture;
    stage_rect track; /* in cells */
} term_places;

term_places term_paint(term_screen *screen, const stage_view *view);

/* ---- the terminal (term_tty.c) ---- */

/* Opens the process's terminal, enters raw mode and the alternate screen. One at a time a process.
 * RP_E_CLOSED: there is none. The descriptor does not block. */
rp_status term_tty_open(int *fd_out);
/* Puts everything back. Safe when the terminal is gone, and twice. */
void term_tty_close(void);
/* Turns the kitty keyboard protocol on, and off again at the end. */
void term_tty_use_kitty(void);
/* True once after the process was stopped and continued: the screen must be written anew. */
bool term_tty_resumed(void);
/* True once after the terminal changed its size, also where it is the old one again: what it did to
 * the screen meanwhile cannot be known. */
bool term_tty_resized(void);
/* The terminal hung up. */
bool term_tty_gone(void);

#endif
