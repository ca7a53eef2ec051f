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
 *
 * Frames are those that the input makes (rp_stage.frame), so 1 is the first. Lines are in order.
 *
 * Layer: deck.  Threads: none.  Tests: tests/deck/test_input.c
 */
#ifndef RP_DECK_INPUT_H
#define RP_DECK_INPUT_H

#include <reprise/stage.h>
#include <reprise/status.h>

enum { RP_INPUT_PACKED_MAX = 1024 };

/* Packs `input` for the log: runs of zero are left out. Returns the bytes used, at most
 * RP_INPUT_PACKED_MAX. Equal inputs pack to equal bytes. */
size_t rp_input_pack(const rp_input *input, uint8_t *packed);
/* RP_E_FORMAT on anything that rp_input_pack did not make. */
rp_status rp_input_unpack(const uint8_t *packed, size_t size_bytes, rp_input *input);

/* A parsed script; reads from the text as it goes, owns nothing. */
typedef struct rp_input_script {
    const char *cursor, *end;
    const char *name;
    uint32_t line;
    uint64_t next_frame;
    rp_input held; /* what is down at this point */
} rp_input_script;

/* Checks the whole text (`text` stays the caller's and must live as long as the script), so that a
 * garbled file is refused before anything runs: RP_E_FORMAT with "name:line: what: what to do". */
rp_status rp_input_script_init(rp_input_script *script, const char *name, const char *text, size_t size_bytes);
/* The input of `frame`; frames in rising order. Beyond the last event what is held stays held. */
void rp_input_script_get(rp_input_script *script, uint64_t frame, rp_input *input);
/* The last frame with an event; 0: none. */
uint64_t rp_input_script_last(const rp_input_script *script);
/* Writes the lines for one frame, given the frame before: for saving what was played. Returns the
 * characters that it wrote or would have written, as snprintf. */
size_t rp_input_script_print(uint64_t frame, const rp_input *before, const rp_input *now, char *text,
                             size_t capacity);

/* "space", "left", "f7", "a" … ; 0 / null for what is no key. */
int rp_key_from_name(const char *name, size_t length);
const char *rp_key_name(int key);

#endif
