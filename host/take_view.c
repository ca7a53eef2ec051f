/* Frames of takes as images. See take_view.h. */
#include "take_view.h"

#include <base/bits.h>
#include <base/error.h>
#include <stdlib.h>
#include <string.h>

#define BUILD_MOST_BYTES RP_GIB(1)

/* ---- builds ---- */

typedef struct take_build {
    uint32_t number;
    rp_status elf_status, values_status;
    char why[sizeof((rp_error *)0)->text]; /* of the first of them that failed */
    bool has_place, asked_values;
    rp_take_build place;
    rp_elf *elf;
    rp_values *values;
    struct take_build *next;
} take_build;

static void read_place(take_file *file, take_build *build)
{
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(file->take, i)) && !build->has_place; i++) {
        rp_take_build place;
        if (other->type == RP_TAKE_BUILD &&
            rp_take_other_read(file->take, i, &place, NULL, NULL) == RP_OK &&
            place.number == build->number) {
            build->place = place;
            build->has_place = true;
        }
    }
}

/* The first record of the module's file. */
static bool find_module(take_file *file, uint32_t number, uint64_t *index)
{
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(file->take, i)); i++) {
        rp_take_part part;
        if (other->type == RP_TAKE_FILE &&
            rp_take_other_read(file->take, i, &part, NULL, NULL) == RP_OK && part.build == number &&
            part.role == RP_TAKE_ROLE_MODULE && part.offset_bytes == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static rp_status open_elf(take_file *file, take_build *build)
{
    rp_take_array bytes;
    uint64_t index;
    char name[300];
    if (!build->has_place || !find_module(file, build->number, &index)) {
        return rp_fail(RP_E_NOT_FOUND, "%s: the file of build %u is not in it", file->path,
                       build->number);
    }
    rp_status status = rp_take_array_init(&bytes, BUILD_MOST_BYTES);
    status = status ? status : rp_take_file_read(file->take, index, &bytes);
    snprintf(name, sizeof name, "build %u in %s", build->number, file->path);
    if (!status) {
        status = rp_elf_open_to_read(bytes.data, bytes.used_bytes, name, &build->elf);
    }
    rp_take_array_finish(&bytes);
    return status;
}

static void keep_why(take_build *build, rp_status status)
{
    if (status && !build->why[0]) {
        memcpy(build->why, rp_error_last()->text, sizeof build->why);
        take_file_plain(build->why);
    }
}

static take_build *build_of(take_builds *builds, take_file *file, uint32_t number)
{
    take_build *build = builds->first;
    while (build && build->number != number) {
        build = build->next;
    }
    if (build || !(build = calloc(1, sizeof *build))) {
        return build;
    }
    build->number = number;
    build->next = builds->first;
    builds->first = build;
    read_place(file, build);
    build->elf_status = open_elf(file, build);
    keep_why(build, build->elf_status);
    return build;
}

static rp_status say_why(const take_build *build, rp_status status)
{
    return status ? rp_fail(status, "%s", build->why) : RP_OK;
}

rp_status take_builds_elf(take_builds *builds, take_file *file, uint32_t number, const rp_elf **elf,
                          const rp_take_build **place)
{
    take_build *build = build_of(builds, file, number);
    *elf = build ? build->elf : NULL;
    *place = build ? &build->place : NULL;
    return build ? say_why(build, build->elf_status) : rp_fail(RP_E_MEMORY, "no memory is left");
}

rp_status take_builds_values(take_builds *builds, take_file *file, uint32_t number,
                             rp_values **values)
{
    take_build *build = build_of(builds, file, number);
    *values = NULL;
    if (!build) {
        return rp_fail(RP_E_MEMORY, "no memory is left");
    }
    if (build->elf && !build->asked_values) {
        build->asked_values = true;
        build->values_status =
            rp_values_open(build->elf, build->place.base, build->place.tls_address, &build->values);
        keep_why(build, build->values_status);
    }
    *values = build->values;
    return say_why(build, build->elf_status ? build->elf_status : build->values_status);
}

void take_builds_close(take_builds *builds)
{
    while (builds->first) {
        take_build *build = builds->first;
        builds->first = build->next;
        rp_values_close(build->values);
        rp_elf_close(build->elf);
        free(build);
    }
}

/* ---- views ---- */

static bool read_image(void *context, uint64_t address, void *to, size_t size_bytes)
{
    const take_view *view = context;
    return rp_take_state_read(view->state, take_view_ranges(view), view->range_count, address, to,
                              size_bytes) == RP_OK;
}

rp_status take_view_open(take_view *view, take_file *file)
{
    *view = (take_view){
        .file = file,
        .image = {.context = view, .read = read_image, .base = file->overview.header.region_base}};
    rp_status status =
        rp_take_array_init(&view->ranges, (size_t)RP_TAKE_RANGE_MOST * sizeof(rp_take_range));
    return status ? status : rp_take_state_create(file->take, &view->state);
}

rp_status take_view_seek(take_view *view, uint64_t index)
{
    rp_take *take = view->file->take;
    view->ranges.used_bytes = 0;
    view->range_count = 0;
    rp_status status = rp_take_state_seek(view->state, index);
    status =
        status ? status
               : rp_take_list_read(take, RP_TAKE_RANGES, index, &view->ranges, &view->range_count);
    if (!status) {
        view->index = index;
        view->build = rp_take_frame_at(take, index)->build;
    }
    return status;
}

void take_view_close(take_view *view)
{
    rp_take_state_destroy(view->state);
    rp_take_array_finish(&view->ranges);
    *view = (take_view){0};
}

/* ---- whose memory ---- */

static void add_owner(const take_view *view, const rp_image_block *block, rp_text_buffer *text)
{
    char storage[300];
    rp_text_add(text, "%s '%s'", block->place == RP_IMAGE_BLOCK ? "heap" : "allocator",
                block->name);
    if (block->scope && rp_image_scope_path(&view->image, block->scope, storage, sizeof storage)) {
        rp_text_add(text, ", scope %s", storage);
    }
    rp_image_site(&view->image, block->site, storage, sizeof storage);
    if (storage[0]) {
        rp_text_add(text, ", made at %s", storage);
    }
}

static void describe_world(const take_view *view, uint64_t address, rp_text_buffer *text)
{
    rp_image_block block;
    rp_image_find(&view->image, address, &block);
    switch (block.place) {
    case RP_IMAGE_OUTSIDE:
        rp_text_add(text, address < view->image.base ? "unknown" : "world");
        break;
    case RP_IMAGE_BOOKS:
        rp_text_add(text, "the allocators' books");
        break;
    case RP_IMAGE_FREE:
        rp_text_add(text, "free memory");
        break;
    case RP_IMAGE_BLOCK:
        rp_text_add(text, "%llu bytes into a %sblock of %llu of ",
                    (unsigned long long)(address - block.start), block.live ? "" : "freed ",
                    (unsigned long long)block.size_bytes);
        add_owner(view, &block, text);
        break;
    case RP_IMAGE_RUN:
        add_owner(view, &block, text);
        break;
    }
}

void take_view_describe(const take_view *view, uint64_t address, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    const rp_take_range *ranges = take_view_ranges(view);
    for (size_t i = 0; i < view->range_count && !buffer.length; i++) {
        if (address - ranges[i].start < ranges[i].size_bytes) {
            rp_text_add(&buffer, "%.60s", ranges[i].name);
        }
    }
    if (!buffer.length) {
        describe_world(view, address, &buffer);
    }
    take_file_plain(text);
}
