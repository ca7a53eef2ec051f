/* The reader of takes: opened by the index and without it, each frame sought back and forth,
 * inputs, lists, files, the check of everything, a part as a take of its own; then what is said of
 * its memory: differences, owners, the variables of the build in it, an expression. In one of two
 * runs the checksums are made right again after the mutation, so that what lies behind them is
 * reached; the mutator changes what is packed as well. Entry point for libFuzzer and for plain
 * drivers that call it with mutated files.
 */
#include "../take/reseal.h"
#include "base/bits.h"
#include "module/value.h"
#include "take/codec.h"
#include "take/copy.h"
#include "take/reader.h"
#include "take/state.h"

#include <reprise/status.h>
#include <stdlib.h>

enum { FRAMES_MOST = 40, OTHERS_MOST = 40, MEMORY_BYTES = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

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

/* ---- what memory means ---- */

typedef struct view {
    rp_take_state *state;
    rp_take_array ranges;
    size_t range_count;
} view;

static bool read_image(void *context, uint64_t address, void *to, size_t size_bytes)
{
    const view *v = context;
    return rp_take_state_read(v->state, (const rp_take_range *)(const void *)v->ranges.data,
                              v->range_count, address, to, size_bytes) == RP_OK;
}

static void view_open(rp_take *take, uint64_t index, view *v)
{
    *v = (view){0};
    require(rp_take_array_init(&v->ranges, MEMORY_BYTES) == RP_OK);
    require(rp_take_state_create(take, &v->state) == RP_OK);
    (void)rp_take_state_seek(v->state, index);
    (void)rp_take_list_read(take, RP_TAKE_RANGES, index, &v->ranges, &v->range_count);
}

static void view_close(view *v)
{
    rp_take_state_destroy(v->state);
    rp_take_array_finish(&v->ranges);
}

static void ignore_leaf(void *context, const rp_value_leaf *leaf)
{
    char text[96];
    (void)rp_value_leaf_text(((void **)context)[0], ((void **)context)[1], leaf, text, sizeof text);
}

static void look_at(rp_values *values, const rp_image *a, const rp_image *b, uint64_t address)
{
    rp_value_map *map;
    rp_value_sum sum;
    rp_image_block block;
    uint64_t unknown;
    rp_value_side sides[2] = {{values, a}, {values, b}};
    static const char *const expressions[] = {"enemies[1].target->hp", "head->next->key * 2",
                                              "grid[1][score]", "text[1]"};
    rp_image_find(a, address, &block);
    (void)rp_value_compare(&sides[0], &sides[1], NULL, NULL, &sum);
    if (rp_value_map_make(values, a, &map) == RP_OK) {
        void *context[] = {map, (void *)(uintptr_t)a};
        (void)rp_value_map_leaves(map, address, 256, ignore_leaf, context, &unknown);
        rp_value_map_drop(map);
    }
    for (size_t i = 0; i < RP_COUNT_OF(expressions); i++) {
        rp_expression e;
        rp_value value;
        require(rp_expression_parse(expressions[i], &e) == RP_OK);
        (void)rp_value_get(values, a, &e, &value);
    }
}

static void look_by(const rp_elf *elf, const rp_take_build *build, rp_take *take)
{
    rp_values *values;
    view first, last;
    uint64_t count = 0;
    while (count < FRAMES_MOST && rp_take_frame_at(take, count)) {
        count++;
    }
    if (!count || rp_values_open(elf, build->base, build->tls_address, &values) != RP_OK) {
        return;
    }
    rp_take_overview overview;
    rp_take_overview_get(take, &overview);
    view_open(take, 0, &first);
    view_open(take, count - 1, &last);
    rp_image a = {&first, read_image, overview.header.region_base};
    rp_image b = {&last, read_image, overview.header.region_base};
    look_at(values, &a, &b, build->base + 0x4000);
    look_at(values, &b, &a, overview.header.region_base + 0x6230000);
    rp_values_close(values);
    view_close(&first);
    view_close(&last);
}

/* The first build, where it has its file. */
static void look_at_build(rp_take *take, rp_take_array *array)
{
    const rp_take_index_other *other;
    rp_take_build build = {0};
    rp_elf *elf;
    for (uint64_t i = 0; i < OTHERS_MOST && (other = rp_take_other_at(take, i)); i++) {
        if (other->type == RP_TAKE_BUILD) {
            (void)rp_take_other_read(take, i, &build, NULL, NULL);
        } else if (other->type == RP_TAKE_FILE) {
            rp_take_array_clear(array, 0);
            if (rp_take_file_read(take, i, array) == RP_OK &&
                rp_elf_open_to_read(array->data, array->used_bytes, "fuzz.so", &elf) == RP_OK) {
                look_by(elf, &build, take);
                rp_elf_close(elf);
            }
            return;
        }
    }
}

static void compare_frames(rp_take *take)
{
    rp_take_state *a, *b;
    rp_take_difference_sum sum;
    require(rp_take_state_create(take, &a) == RP_OK);
    require(rp_take_state_create(take, &b) == RP_OK);
    (void)rp_take_state_seek(a, 0);
    (void)rp_take_state_seek(b, 2);
    require(rp_take_compare(a, b, NULL, NULL, &sum) == RP_OK);
    rp_take_state_destroy(a);
    rp_take_state_destroy(b);
}

/* ---- a part of it, written ---- */

static rp_status count_bytes(void *context, const void *data, size_t size_bytes)
{
    (void)data;
    *(size_t *)context += size_bytes;
    return RP_OK;
}

static rp_status do_nothing(void *context)
{
    (void)context;
    return RP_OK;
}

static void copy_part(rp_take *take, bool inputs_alone)
{
    size_t written = 0;
    rp_take_writer *writer;
    rp_take_environment environment = {0};
    rp_take_writer_desc desc = {.sink = {&written, count_bytes, do_nothing, do_nothing},
                                .take_id = 1,
                                .region_base = 0x550000000000,
                                .environment = &environment};
    rp_take_copy_desc part = {.first = 1, .last = 3, .inputs_alone = inputs_alone};
    if (rp_take_writer_open(&desc, &writer) == RP_OK) {
        (void)rp_take_copy(take, &part, writer);
        rp_take_writer_close(writer);
    }
}

/* `deep`: as far as its meaning, which takes most of the time. */
static void read_take(const uint8_t *data, size_t size, bool ignore_index, bool deep)
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
    if (deep) {
        compare_frames(take);
        copy_part(take, size % 2);
        look_at_build(take, &array);
    }
    (void)rp_take_check(take, NULL, NULL);
    rp_take_array_finish(&array);
    rp_take_close(take);
}

/* ---- mutations of what is packed ---- */

/* A record of the file, by chance; 0: there is none. */
static size_t record_choose(const uint8_t *data, size_t size, unsigned seed)
{
    size_t chosen = 0, count = 0;
    for (size_t at = RP_TAKE_BYTES_header; size >= at && size - at >= RP_TAKE_BYTES_record;) {
        uint64_t plain = rp_take_get_u32(data + at + 4), packed = rp_take_get_u64(data + at + 8);
        uint64_t left = size - at - RP_TAKE_BYTES_record;
        if (packed > left || plain > left - packed) {
            break;
        }
        seed = seed * 1103515245u + 12345u;
        chosen = packed && (seed >> 8) % ++count == 0 ? at : chosen;
        at += (size_t)(RP_TAKE_BYTES_record + plain + packed);
    }
    return chosen;
}

/* Unpacks the second part of a record, changes that, packs it again. Damaged bytes of zstd end at
 * the first of its checks, so little of what lies behind it would be reached otherwise. */
static size_t repack(uint8_t *data, size_t size, size_t max_size, size_t at)
{
    static uint8_t room[1 << 18], packed[1 << 18];
    static rp_take_codec codec;
    size_t plain = rp_take_get_u32(data + at + 4), before = (size_t)rp_take_get_u64(data + at + 8);
    size_t unpacked = (size_t)rp_take_get_u64(data + at + 16);
    uint8_t *second = data + at + RP_TAKE_BYTES_record + plain;
    if (unpacked > sizeof room / 2 ||
        rp_take_unpack(&codec, second, before, room, unpacked) != RP_OK) {
        return 0;
    }
    unpacked = LLVMFuzzerMutate(room, unpacked, unpacked ? unpacked : 1);
    size_t after = 0;
    if (rp_take_pack(&codec, room, unpacked, packed, sizeof packed, &after) != RP_OK ||
        size - before + after > max_size) {
        return 0;
    }
    memmove(second + after, second + before, size - (size_t)(second - data) - before);
    memcpy(second, packed, after);
    rp_take_put_u64(data + at + 8, after);
    rp_take_put_u64(data + at + 16, unpacked);
    return size - before + after;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t at = seed % 3 ? record_choose(data, size, seed) : 0;
    size_t changed = at ? repack(data, size, max_size, at) : 0;
    if (changed) {
        reseal(data, changed);
    }
    return changed ? changed : LLVMFuzzerMutate(data, size, max_size);
}

/* ---- the target ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_take(data, size, size % 4 == 1, false);
    uint8_t *sealed = malloc(size ? size : 1);
    require(sealed != NULL);
    if (size) {
        memcpy(sealed, data, size);
    }
    reseal(sealed, size);
    read_take(sealed, size, false, true);
    read_take(sealed, size, true, false);
    free(sealed);
    return 0;
}
