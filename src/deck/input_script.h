/* Names that reading and writing a script share. Internal to the deck's input.
 *
 * Layer: deck.  Users: input_script.c, input_print.c
 */
#ifndef RP_DECK_INPUT_SCRIPT_H
#define RP_DECK_INPUT_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

typedef struct rp_button_name {
    const char *name;
    uint32_t bit;
} rp_button_name;

enum { RP_MOUSE_NAME_COUNT = 3, RP_PAD_NAME_COUNT = 15 };
extern const rp_button_name rp_mouse_names[RP_MOUSE_NAME_COUNT];
extern const rp_button_name rp_pad_names[RP_PAD_NAME_COUNT];

#endif
