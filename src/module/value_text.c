/* What scalars hold, as numbers and as text. Layer: module. */
#include "module/value_internal.h"

#include "base/bits.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 16 };

uint64_t value_scalar_bytes(const rp_values *values, const value_scalar *scalar)
{
    uint64_t size_bytes = value_node(values, scalar->node)->size_bytes;
    return scalar->width_bits ? (scalar->bit + scalar->width_bits + 7) / 8
                              : size_bytes * (scalar->count > 1 ? scalar->count : 1);
}

/* ---- loading ---- */

static bool read(const rp_image *image, uint64_t address, void *to, size_t size_bytes)
{
    return image->read(image->context, address, to, size_bytes);
}

static bool load_float(const uint8_t *bytes, uint64_t size_bytes, double *number)
{
    float single;
    long double extended;
    switch (size_bytes) {
    case sizeof single:
        memcpy(&single, bytes, sizeof single);
        *number = (double)single;
        return true;
    case sizeof *number:
        memcpy(number, bytes, sizeof *number);
        return true;
    case sizeof extended:
        memcpy(&extended, bytes, sizeof extended);
        *number = (double)extended;
        return true;
    default:
        return false;
    }
}

static number_form form_of(const rp_values *values, uint32_t node)
{
    const graph_node *of = value_node(values, node);
    return of->kind == NODE_POINTER                           ? FORM_UNSIGNED
           : of->kind == NODE_NUMBER || of->kind == NODE_ENUM ? of->form
                                                              : FORM_OTHER;
}

bool value_load(const rp_values *values, const rp_image *image, const value_scalar *scalar,
                value_content *content)
{
    uint8_t bytes[16] = {0};
    uint64_t size_bytes = value_scalar_bytes(values, scalar);
    uint32_t width = scalar->width_bits ? scalar->width_bits : (uint32_t)size_bytes * 8;
    *content = (value_content){.form = form_of(values, scalar->node)};
    if (content->form == FORM_OTHER || !size_bytes || size_bytes > sizeof bytes ||
        !read(image, scalar->address, bytes, (size_t)size_bytes)) {
        return false;
    }
    if (content->form == FORM_FLOAT) {
        return load_float(bytes, size_bytes, &content->number);
    }
    if (width > 64) {
        return false;
    }
    uint64_t low, high;
    memcpy(&low, bytes, sizeof low);
    memcpy(&high, bytes + sizeof low, sizeof high);
    uint64_t bits = scalar->bit ? low >> scalar->bit | high << (64 - scalar->bit) : low;
    bits = width < 64 ? bits & ((UINT64_C(1) << width) - 1) : bits;
    bool negative = content->form == FORM_SIGNED && bits >> (width - 1) & 1;
    content->bits = negative && width < 64 ? bits | ~UINT64_C(0) << width : bits;
    content->number =
        content->form == FORM_SIGNED ? (double)(int64_t)content->bits : (double)content->bits;
    return true;
}

/* ---- texts ---- */

/* The shortest digits that are read as the same number. */
static void add_float(rp_text_buffer *text, double number, bool single)
{
    char digits[40];
    for (int precision = single ? 6 : 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        double again = strtod(digits, NULL);
        if (isnan(number) || (single ? (float)again == (float)number : again == number)) {
            break;
        }
    }
    rp_text_add(text, "%s", digits);
}

static void add_characters(rp_text_buffer *text, const uint8_t *bytes, size_t count, bool cut)
{
    rp_text_add(text, "\"");
    for (size_t i = 0; i < count && bytes[i]; i++) {
        bool plain = bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '"' && bytes[i] != '\\';
        rp_text_add(text, plain ? "%c" : "\\x%02x", bytes[i]);
    }
    rp_text_add(text, cut ? "…\"" : "\"");
}

static bool add_text(const rp_values *values, const rp_image *image, const value_scalar *scalar,
                     rp_text_buffer *text)
{
    uint8_t bytes[VALUE_TEXT_MOST];
    uint64_t size_bytes = value_scalar_bytes(values, scalar);
    size_t shown = rp_min_size(size_bytes, sizeof bytes);
    if (!read(image, scalar->address, bytes, shown)) {
        return false;
    }
    add_characters(text, bytes, shown, size_bytes > shown && !memchr(bytes, 0, shown));
    return true;
}

static bool add_bytes(const rp_values *values, const rp_image *image, const value_scalar *scalar,
                      rp_text_buffer *text)
{
    uint8_t bytes[SHOWN_BYTES];
    uint64_t size_bytes = value_scalar_bytes(values, scalar);
    size_t shown = rp_min_size(size_bytes, sizeof bytes);
    if (!read(image, scalar->address, bytes, shown)) {
        return false;
    }
    for (size_t i = 0; i < shown; i++) {
        rp_text_add(text, "%s%02x", i ? " " : "", bytes[i]);
    }
    rp_text_add(text, "%s", shown < size_bytes ? " …" : "");
    return true;
}

static bool add_constant(const graph_node *of, int64_t value, rp_text_buffer *text)
{
    for (uint32_t i = 0; i < of->member_count; i++) {
        if (of->constants[i].value == value) {
            rp_text_add(text, "%.64s", of->constants[i].name);
            return true;
        }
    }
    return false;
}

static bool add_function(const rp_values *values, uint64_t address, rp_text_buffer *text)
{
    const rp_symbol *symbol = rp_elf_symbol_at(values->elf, address - values->base);
    bool known = symbol && symbol->kind == RP_SYMBOL_FUNCTION;
    if (known) {
        rp_text_add(text, "%.64s", symbol->name);
    }
    return known;
}

static void add_pointer(const rp_values *values, const rp_value_map *map, const rp_image *image,
                        const graph_node *of, uint64_t address, rp_text_buffer *text)
{
    uint8_t bytes[VALUE_TEXT_MOST];
    size_t before = text->length;
    const graph_node *target = value_node(values, of->target);
    if (!address) {
        rp_text_add(text, "null");
        return;
    }
    if (target->character && read(image, address, bytes, sizeof bytes)) {
        add_characters(text, bytes, sizeof bytes, !memchr(bytes, 0, sizeof bytes));
        return;
    }
    if (add_function(values, address, text)) {
        return;
    }
    rp_text_add(text, "&");
    if (!map || !value_name_add(map, address, of->target, text)) {
        text->length = before;
        rp_text_add(text, "%#llx", (unsigned long long)address);
    } else if (text->text[before + 1] == '*') { /* &*head is head */
        text->length -= 2;
        memmove(text->text + before, text->text + before + 2, text->length - before + 1);
    }
}

static void add_number(const graph_node *of, const value_content *content, rp_text_buffer *text)
{
    if (of->kind == NODE_ENUM && add_constant(of, (int64_t)content->bits, text)) {
        return;
    }
    if (content->form == FORM_FLOAT) {
        add_float(text, content->number, of->size_bytes == sizeof(float));
    } else if (content->form == FORM_BOOL && content->bits <= 1) {
        rp_text_add(text, "%s", content->bits ? "true" : "false");
    } else if (content->form == FORM_SIGNED) {
        rp_text_add(text, "%lld", (long long)content->bits);
    } else {
        rp_text_add(text, "%llu", (unsigned long long)content->bits);
    }
    if (of->character && content->bits > ' ' && content->bits < 127) {
        rp_text_add(text, " '%c'", (char)content->bits);
    }
}

bool value_text(const rp_values *values, const rp_value_map *map, const rp_image *image,
                const value_scalar *scalar, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    const graph_node *of = value_node(values, scalar->node);
    value_content content;
    if (scalar->count > 1 || value_is_text(values, scalar->node)) {
        return add_text(values, image, scalar, &buffer);
    }
    if (!value_load(values, image, scalar, &content)) {
        return add_bytes(values, image, scalar, &buffer);
    }
    if (of->kind == NODE_POINTER) {
        add_pointer(values, map, image, of, content.bits, &buffer);
    } else {
        add_number(of, &content, &buffer);
    }
    return true;
}
