/* Expressions over the variables of a build, in an image whose every byte comes from the input:
 * first line the expression, then the seed of the memory. The build is the one of the seeds. Names,
 * values and the comparison with itself as well. Entry point for libFuzzer and for plain drivers.
 */
#include "base/error.h"
#include "module/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASE = 0x10000000, WORLD_BYTES = 1 << 22 };
#define REGION_BASE UINT64_C(0x550000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct memory {
    const uint8_t *data;
    size_t size;
} memory;

/* Words of the input, again and again; half of the aligned ones become pointers that lead
 * somewhere. */
static uint8_t byte_at(const memory *m, uint64_t address)
{
    uint64_t word, at = address / 8;
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = m->size ? m->data[(at * 8 + i + at / 97) % m->size] : 0;
    }
    memcpy(&word, bytes, sizeof word);
    if (word & 1) {
        word = (word & 2 ? REGION_BASE : BASE) + word % WORLD_BYTES / 8 * 8;
        memcpy(bytes, &word, sizeof bytes);
    }
    return bytes[address % 8];
}

static bool read_memory(void *context, uint64_t address, void *to, size_t size_bytes)
{
    bool world = address >= REGION_BASE && address - REGION_BASE < (UINT64_C(1) << 38);
    bool module = address >= BASE && address - BASE < (1 << 24);
    for (size_t i = 0; (world || module) && i < size_bytes; i++) {
        ((uint8_t *)to)[i] = byte_at(context, address + i);
    }
    return world || module;
}

static rp_elf *elf;
static rp_values *values;

__attribute__((destructor)) static void close_values(void)
{
    rp_values_close(values);
    rp_elf_close(elf);
}

static rp_values *open_values(void)
{
    if (!values && (rp_elf_open(FUZZ_BUILD, NULL, &elf) ||
                    rp_values_open(elf, BASE, BASE + (1 << 20), &values))) {
        fprintf(stderr, "fuzz_expression: %s\n", rp_error_last()->text);
        abort();
    }
    return values;
}

static void ignore_leaf(void *context, const rp_value_leaf *leaf)
{
    char text[96];
    const rp_image *image = ((void **)context)[1];
    rp_value_leaf_text(((void **)context)[0], image, leaf, text, sizeof text);
    if (rp_value_leaf_differs(((void **)context)[0], image, image, leaf)) {
        abort(); /* from itself */
    }
}

static void look(rp_values *of, const rp_image *image, const rp_value *value)
{
    rp_value_map *map;
    uint64_t unknown;
    if (rp_value_map_make(of, image, &map) != RP_OK) {
        return;
    }
    void *context[] = {map, (void *)(uintptr_t)image};
    rp_value_map_leaves(map, BASE, 1 << 16, ignore_leaf, context, &unknown);
    rp_value_map_leaves(map, value->address, 64, ignore_leaf, context, &unknown);
    rp_value_map_drop(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rp_values *of = open_values();
    char text[256];
    const uint8_t *end = memchr(data, '\n', size < sizeof text ? size : sizeof text - 1);
    size_t length = end ? (size_t)(end - data) : 0;
    memory m = {data + length, size - length};
    rp_image image = {.context = &m, .read = read_memory, .base = REGION_BASE};
    rp_expression e;
    rp_value value = {0};
    memcpy(text, data, length);
    text[length] = 0;
    if (rp_expression_parse(text, &e) == RP_OK) {
        (void)rp_value_get(of, &image, &e, &value);
    }
    look(of, &image, &value);
    return 0;
}
