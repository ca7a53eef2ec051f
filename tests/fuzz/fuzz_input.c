/* Packed inputs and scripts of inputs from hostile bytes. What is accepted must be what packing
 * makes, and a script's inputs must print to lines that parse to them again. Entry point for
 * libFuzzer and for plain drivers that call it with mutated files.
 */
#include "deck/input.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 64, LINES_BYTES = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void try_unpack(const uint8_t *data, size_t size)
{
    rp_input input;
    uint8_t again[RP_INPUT_PACKED_MAX];
    if (rp_input_unpack(data, size, &input) == RP_OK) {
        require(rp_input_pack(&input, again) == size && (!size || memcmp(again, data, size) == 0));
        require(memchr(input.text, 0, sizeof input.text) &&
                input.user_bytes <= RP_INPUT_USER_BYTES);
    }
}

static void try_print(const rp_input *before, const rp_input *now)
{
    static char text[LINES_BYTES];
    rp_input_script script;
    rp_input again = *before;
    size_t header = sizeof RP_INPUT_SCRIPT_HEADER;
    memcpy(text, RP_INPUT_SCRIPT_HEADER "\n", header);
    size_t wrote = rp_input_script_print(1, before, now, text + header, sizeof text - header);
    require(wrote < sizeof text - header);
    require(rp_input_script_init(&script, "printed", text, header + wrote) == RP_OK);
    script.held = *before;
    rp_input_script_get(&script, 1, &again);
    require(memcmp(&again, now, sizeof again) == 0);
}

static void try_script(const uint8_t *data, size_t size)
{
    rp_input_script script;
    rp_input before = {0}, now;
    if (rp_input_script_init(&script, "fuzz", (const char *)data, size) != RP_OK) {
        return;
    }
    for (uint64_t frame = 1; frame <= FRAMES_MAX; frame++) {
        rp_input_script_get(&script, frame, &now);
        try_print(&before, &now);
        before = now;
    }
    rp_input_script_get(&script, rp_input_script_last(&script) + FRAMES_MAX, &now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_unpack(data, size);
    try_script(data, size);
    return 0;
}
