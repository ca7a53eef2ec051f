#include "diff_fields.h"

#include <base/bits.h>
#include <base/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 16, PATH_BYTES = 300 };

typedef struct diffing {
    const diff_sides *sides;
    diff_sum *sum;
    rp_value_map *maps[2]; /* null: there are no types */
    rp_value_map *map;     /* the one that leaves come from */
    bool extra;            /* pages outside the region; else those within */
    char last[PATH_BYTES]; /* path that was told last: a field may hold several spans */
    rp_status status;
} diffing;

static void tell(diffing *d, const diff_field *field)
{
    if (d->sides->told) {
        d->sides->told(d->sides->context, field);
    }
}

/* ---- bytes ---- */

static void hex_of(const uint8_t *bytes, uint64_t size_bytes, char *text)
{
    uint64_t shown = rp_min_size(size_bytes, SHOWN_BYTES);
    for (uint64_t i = 0; i < shown; i++) {
        text += sprintf(text, "%s%02x", i ? " " : "", bytes[i]);
    }
    strcpy(text, shown < size_bytes ? " …" : "");
}

static bool is_book(const diffing *d, uint64_t address)
{
    rp_image_block block;
    rp_image_find(&d->sides->views[0]->image, address, &block);
    return block.place == RP_IMAGE_BOOKS || block.place == RP_IMAGE_FREE ||
           (block.place == RP_IMAGE_BLOCK && !block.live);
}

/* A block that is new is known to the second image alone. */
static int side_of(const diffing *d, uint64_t address)
{
    rp_image_block block;
    rp_image_find(&d->sides->views[1]->image, address, &block);
    return is_book(d, address) && block.place == RP_IMAGE_BLOCK && block.live ? 1 : 0;
}

static void tell_bytes(diffing *d, uint64_t address, const uint8_t *a, const uint8_t *b,
                       uint64_t size_bytes)
{
    char old_text[64], new_text[64], place[300];
    int side = side_of(d, address);
    if (!d->sides->bytes_alone && !side && is_book(d, address)) {
        d->sum->book_bytes += size_bytes;
        return;
    }
    d->sum->others++;
    if (!d->sides->told) {
        return;
    }
    take_view_describe(d->sides->views[side], address, place, sizeof place);
    hex_of(a, size_bytes, old_text);
    hex_of(b, size_bytes, new_text);
    tell(d, &(diff_field){.path = "",
                          .type = "",
                          .place = place,
                          .address = address,
                          .size_bytes = (uint32_t)size_bytes,
                          .old_text = old_text,
                          .new_text = new_text,
                          .is_new = side == 1});
}

/* ---- fields of one build ---- */

static void tell_leaf(void *context, const rp_value_leaf *leaf)
{
    diffing *d = context;
    const rp_image *a = &d->sides->views[0]->image, *b = &d->sides->views[1]->image;
    char old_text[96] = "", new_text[96] = "", path[PATH_BYTES], type[96];
    snprintf(path, sizeof path, "%s", leaf->path); /* the texts below use the map, too */
    snprintf(type, sizeof type, "%s", leaf->type);
    if (strcmp(path, d->last) == 0 || !rp_value_leaf_differs(d->map, a, b, leaf)) {
        return;
    }
    memcpy(d->last, path, sizeof path);
    d->sum->fields++;
    if (d->sides->told) {
        rp_value_leaf_text(d->maps[0], a, leaf, old_text, sizeof old_text);
        rp_value_leaf_text(d->maps[1], b, leaf, new_text, sizeof new_text);
        if (strcmp(old_text, new_text) == 0) {
            rp_value_leaf_plain(d->maps[0], a, leaf, old_text, sizeof old_text);
            rp_value_leaf_plain(d->maps[1], b, leaf, new_text, sizeof new_text);
        }
        take_file_plain(path), take_file_plain(type);
        tell(d, &(diff_field){.path = path,
                              .type = type,
                              .place = "",
                              .address = leaf->address,
                              .size_bytes = (uint32_t)leaf->size_bytes,
                              .old_text = old_text,
                              .new_text = new_text,
                              .is_new = d->map == d->maps[1]});
    }
}

/* Tells what begins at `address`; returns how many bytes that is. */
static uint64_t tell_next(diffing *d, uint64_t address, const uint8_t *a, const uint8_t *b,
                          uint64_t size_bytes)
{
    uint64_t unknown = size_bytes;
    for (int side = 0; side < 2 && d->maps[0]; side++) {
        d->map = d->maps[side];
        uint64_t known = rp_value_map_leaves(d->map, address, size_bytes, tell_leaf, d, &unknown);
        if (known) {
            return known;
        }
    }
    tell_bytes(d, address, a, b, unknown);
    return unknown;
}

static void tell_span(void *context, const rp_take_difference *span)
{
    diffing *d = context;
    const rp_take_range *range;
    const take_view *view = d->sides->views[0];
    uint64_t address = 0;
    bool known = rp_take_page_address(view->file->take, take_view_ranges(view), view->range_count,
                                      span->page, &address, &range);
    if (known && (range != NULL) != d->extra) {
        return;
    }
    if (!known && !d->extra) {
        return;
    }
    address += span->offset_bytes;
    for (uint32_t at = 0; at < span->size_bytes;) {
        at +=
            (uint32_t)tell_next(d, address + at, span->a + at, span->b + at, span->size_bytes - at);
    }
}

/* Variables first, then what they lead to. */
static rp_status by_addresses(diffing *d)
{
    rp_status status = RP_OK;
    for (int pass = 0; pass < 2 && !status; pass++) {
        d->extra = pass == 0;
        status = rp_take_compare(d->sides->views[0]->state, d->sides->views[1]->state, tell_span, d,
                                 &d->sum->bytes);
    }
    return status;
}

/* ---- two builds ---- */

static void tell_difference(void *context, const rp_value_difference *difference)
{
    diffing *d = context;
    char path[PATH_BYTES], type[96];
    snprintf(path, sizeof path, "%s", difference->path);
    snprintf(type, sizeof type, "%s", difference->type);
    take_file_plain(path), take_file_plain(type);
    tell(d, &(diff_field){.path = path,
                          .type = type,
                          .place = "",
                          .old_text = difference->a,
                          .new_text = difference->b});
}

static rp_status by_names(diffing *d, rp_values *a, rp_values *b)
{
    rp_value_side side_a = {a, &d->sides->views[0]->image};
    rp_value_side side_b = {b, &d->sides->views[1]->image};
    rp_value_sum sum;
    rp_status status = rp_value_compare(&side_a, &side_b, tell_difference, d, &sum);
    d->sum->by_names = true;
    d->sum->fields = sum.differ;
    return status;
}

/* ---- all ---- */

/* The same file at the same place. */
static bool same_build(const diff_sides *sides)
{
    const rp_elf *elf[2];
    const rp_take_build *place[2];
    for (int i = 0; i < 2; i++) {
        const take_view *view = sides->views[i];
        if (take_builds_elf(sides->builds[i], view->file, view->build, &elf[i], &place[i]) !=
            RP_OK) {
            return true; /* nothing is known of them */
        }
    }
    return elf[0]->content_hash == elf[1]->content_hash && place[0]->base == place[1]->base &&
           place[0]->tls_address == place[1]->tls_address;
}

rp_status diff_fields(const diff_sides *sides, diff_sum *sum)
{
    diffing d = {.sides = sides, .sum = sum};
    rp_values *values[2] = {NULL, NULL};
    rp_status status = RP_OK;
    *sum = (diff_sum){0};
    for (int i = 0; i < 2 && !sides->bytes_alone && !sum->no_types[0]; i++) {
        if (take_builds_values(sides->builds[i], sides->views[i]->file, sides->views[i]->build,
                               &values[i]) != RP_OK) {
            snprintf(sum->no_types, sizeof sum->no_types, "%s", rp_error_last()->text);
        }
    }
    bool types = values[0] && values[1], same = same_build(sides);
    if (types && !same) {
        return by_names(&d, values[0], values[1]);
    }
    for (int i = 0; i < 2 && types && !status; i++) {
        status = rp_value_map_make(values[0], &sides->views[i]->image, &d.maps[i]);
    }
    status = status ? status : by_addresses(&d);
    rp_value_map_drop(d.maps[0]);
    rp_value_map_drop(d.maps[1]);
    return status;
}
