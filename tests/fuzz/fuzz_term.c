/* Hostile bytes as a terminal's input: sound inputs or none, never a crash. Entry point for
 * libFuzzer and for plain drivers that call it with mutated files.
 */
#include "stage/term.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const term_input *input)
{
    bool sound = input->key >= 0 && input->key < RP_KEY_COUNT &&
                 memchr(input->text, 0, sizeof input->text) && input->action >= TERM_PRESS &&
                 input->action <= TERM_RELEASE && input->column >= 0 && input->row >= 0;
    if (!sound) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    term_parser parser = {0};
    term_input input;
    for (size_t i = 0; i < size; i++) {
        if (term_parse(&parser, data[i], &input)) {
            check(&input);
        }
    }
    if (term_parse_pause(&parser, &input)) {
        check(&input);
    }
    return 0;
}
