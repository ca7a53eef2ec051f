/* The reader of takes: opened by the index and without it, each frame sought back and forth,
 * inputs, lists, files, the check of everything. In one of two runs the checksums are made right
 * again after the mutation, so that what lies behind them is reached. Entry point for libFuzzer and
 * for plain drivers that call it with mutated files.
 */
#include "../take/reseal.h"
#include "base/bits.h"
#include "take/reader.h"
#include "take/state.h"

#include <reprise/status.h>
#include <stdlib.h>

enum { FRAMES_MOST = 40, OTHERS_MOST = 40, MEMORY_BYTES = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct bytes {
    const uint8_t *data;
    size_t size;
} bytes;

static rp_status read_bytes(void *context, uint64_t offset, void *to, size_t size)
{
    const bytes *from = context;
    if (offset > from->size || size > from->size - offset) {
        return RP_E_FORMAT;
    }
    if (size) {
        memcpy(to, from->data + offset, size);
    }
    return RP_OK;
}

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void read_frames(rp_take *take)
{
    static uint8_t input[RP_TAKE_INPUT_MOST_BYTES];
    uint32_t input_bytes;
    rp_take_state *state;
    require(rp_take_state_create(take, &state) == RP_OK);
    for (uint64_t i = 0; i < FRAMES_MOST && rp_take_frame_at(take, i); i++) {
        (void)rp_take_frame_input(take, i, input, &input_bytes);
        require(input_bytes <= sizeof input);
        if (rp_take_state_seek(state, i) == RP_OK) {
            require(rp_take_state_hash(state) == rp_take_frame_at(take, i)->hash);
        }
        if (i % 3 == 2) {
            (void)rp_take_state_seek(state, i / 2);
        }
    }
    rp_take_state_destroy(state);
}

static void read_others(rp_take *take, rp_take_array *array)
{
    union {
        rp_take_environment environment;
        rp_take_build build;
        rp_take_part part;
        rp_take_crash crash;
    } fixed;
    const rp_take_index_other *other;
    for (uint64_t i = 0; i < OTHERS_MOST && (other = rp_take_other_at(take, i)); i++) {
        rp_take_array_clear(array, 0);
        if (rp_take_other_read(take, i, &fixed, array, array) == RP_OK &&
            other->type == RP_TAKE_FILE) {
            rp_take_array_clear(array, 0);
            (void)rp_take_file_read(take, i, array);
        }
    }
}

static void read_memory(rp_take *take, rp_take_array *array)
{
    uint8_t read[64];
    size_t count;
    rp_take_state *state;
    rp_take_array_clear(array, 0);
    if (rp_take_list_read(take, RP_TAKE_RANGES, 3, array, &count) != RP_OK ||
        rp_take_state_create(take, &state) != RP_OK) {
        return;
    }
    const rp_take_range *ranges = (const rp_take_range *)(const void *)array->data;
    (void)rp_take_state_seek(state, 3);
    for (size_t i = 0; i < count && i < 16; i++) {
        uint64_t address;
        const rp_take_range *found;
        (void)rp_take_state_read(state, ranges, count, ranges[i].start + ranges[i].size_bytes - 32,
                                 read, sizeof read);
        (void)rp_take_page_address(take, ranges, count, ranges[i].first_page + 1, &address, &found);
    }
    rp_take_state_destroy(state);
}

static void read_take(const uint8_t *data, size_t size, bool ignore_index)
{
    bytes from = {data, size};
    rp_take_open_desc desc = {.source = {&from, "fuzz", size, read_bytes},
                              .memory_limit_bytes = MEMORY_BYTES,
                              .ignore_index = ignore_index};
    rp_take *take;
    rp_take_array array;
    if (rp_take_open(&desc, &take) != RP_OK) {
        return;
    }
    require(rp_take_array_init(&array, 2 * (size_t)MEMORY_BYTES) == RP_OK);
    read_frames(take);
    read_others(take, &array);
    read_memory(take, &array);
    (void)rp_take_check(take, NULL, NULL);
    rp_take_array_finish(&array);
    rp_take_close(take);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_take(data, size, size % 4 == 1);
    uint8_t *sealed = malloc(size ? size : 1);
    require(sealed != NULL);
    if (size) {
        memcpy(sealed, data, size);
    }
    reseal(sealed, size);
    read_take(sealed, size, false);
    read_take(sealed, size, true);
    free(sealed);
    return 0;
}
