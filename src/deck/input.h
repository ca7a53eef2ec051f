/* Input of frames: packing it for the log, and the text form of `--input FILE`.
 *
 * The text form has one event a line, so that a person can write it and a diff can show it:
 *
 *     reprise-input 1
 *     # frame event
 *     30  +right           key goes down before frame 30 and stays down
 *     90  -right           key goes up
 *     95  space            down for this one frame
 *     100 text "hello"
 *     120 mouse 31.5 20 left
 *     130 wheel 0 -1
 *     140 pad 0 south,left  0.5 0 0 0  0 1     buttons, left x y, right x y, triggers
 *     150 user 0a0b0c       the program's own bytes, in hex
 *     160 pad 0 off         unplugged
 *     170 !a                pressed and let go again between two frames (or the reverse)
 *     180 ~a                goes down unseen, as when the program starts with the key held
 *
 * Frames are those that the input makes (rp_stage.frame), so 1 is the first. Lines are in order; a
 * frame may have several. Mouse position, mouse buttons and pads stay as they are until the next
 * line about them; text, wheel and user are of one frame. Texts know \" \\ \n \t and \xHH. Buttons
 * are separated by commas, "none" is none. Mouse: left middle right. Pad: south east west north
 * back guide start left-stick right-stick left-shoulder right-shoulder up down left right. Numbers
 * are read and written with strtof and printf: a process that sets LC_NUMERIC changes their form.
 *
 * Layer: deck.  Threads: none.  Tests: tests/deck/test_input.c, test_input_script.c
 */
#ifndef RP_DECK_INPUT_H
#define RP_DECK_INPUT_H

#include <reprise/stage.h>
#include <reprise/status.h>

enum { RP_INPUT_PACKED_MAX = 1024 };

/* Packs `input` for the log: runs of zero are left out. Returns the bytes used, at most
 * RP_INPUT_PACKED_MAX; 0 for no input at all. Equal inputs pack to equal bytes. */
size_t rp_input_pack(const rp_input *input, uint8_t *packed);
/* RP_E_FORMAT on anything that rp_input_pack did not make of an input whose text ends and whose
 * user_bytes fit; `input` is then as it was. `packed` may be null with 0 bytes. */
rp_status rp_input_unpack(const uint8_t *packed, size_t size_bytes, rp_input *input);

/* A parsed script; reads from the text as it goes, owns nothing. */
typedef struct rp_input_script {
    const char *cursor, *end;
    const char *name;
    uint32_t line;
    uint64_t next_frame; /* of the line at the cursor; UINT64_MAX: there are no more */
    uint64_t last_frame;
    rp_input held;                  /* the input of the frame that was asked for last */
    uint8_t taps[RP_KEY_COUNT / 8]; /* keys that are down for that frame alone */
} rp_input_script;

/* The first line of a script. */
#define RP_INPUT_SCRIPT_HEADER "reprise-input 1"

/* Checks the whole text (`text` stays the caller's and must live as long as the script), so that a
 * garbled file is refused before anything runs: RP_E_FORMAT with "name:line: what: what to do". */
rp_status rp_input_script_init(rp_input_script *script, const char *name, const char *text,
                               size_t size_bytes);
/* The input of `frame`; frames in rising order. Beyond the last event what is held stays held. */
void rp_input_script_get(rp_input_script *script, uint64_t frame, rp_input *input);
/* The last frame with an event; 0: none. */
uint64_t rp_input_script_last(const rp_input_script *script);
/* Writes the lines for one frame, given the frame before (all zero before the first): for saving
 * what was played. A script of these lines gives the same inputs again, for inputs as a stage makes
 * them: bits of codes that are no keys, what an unplugged pad says, numbers that are not finite and
 * bytes behind the end of `text` and `user` are left out. Returns the characters that it wrote or
 * would have written, as snprintf. */
size_t rp_input_script_print(uint64_t frame, const rp_input *before, const rp_input *now,
                             char *text, size_t capacity);

/* "space", "left", "f7", "a", "-" … ; 0 / null for what is no key. Upper and lower case are the
 * same. */
int rp_key_from_name(const char *name, size_t length);
const char *rp_key_name(int key);

#endif
