/* From addresses of an image to paths that lead there. Layer: module. */
#include "module/value_internal.h"

#include "base/bits.h"

#include <string.h>

#define LEAF_STEPS_MOST UINT64_C(1000000)

/* ---- one path ---- */

void value_member_add(const graph_member *member, rp_text_buffer *text)
{
    bool behind_arrow = text->length && text->text[text->length - 1] == '>';
    if (!member->base) {
        rp_text_add(text, "%s%.64s", behind_arrow ? "" : ".", member->name);
    }
}

/* The member that holds an offset; null: none, it is padding. */
static const graph_member *member_at(const rp_values *values, const graph_node *of, uint64_t offset)
{
    const graph_member *found = NULL;
    for (uint32_t i = 0; i < of->member_count; i++) {
        const graph_member *member = &of->members[i];
        uint64_t start = member->offset_bits / 8;
        uint64_t size_bytes = member->width_bits
                                  ? (member->offset_bits % 8 + member->width_bits + 7) / 8
                                  : value_node(values, member->node)->size_bytes;
        if (offset >= start && offset - start < size_bytes) {
            found = member;
        }
    }
    return found;
}

/* From an object of a type down to what lies at an offset in it. */
static void descend(const rp_values *values, uint32_t node, uint64_t offset, uint32_t wanted,
                    rp_text_buffer *text)
{
    for (int depth = 0; depth < VALUE_DEPTH_MOST && (node != wanted || offset); depth++) {
        const graph_node *of = value_node(values, node);
        uint64_t each = of->kind == NODE_ARRAY ? value_node(values, of->target)->size_bytes : 0;
        const graph_member *member = of->kind == NODE_STRUCT ? member_at(values, of, offset) : NULL;
        if (each) {
            rp_text_add(text, "[%llu]", (unsigned long long)(offset / each));
            node = of->target;
            offset %= each;
        } else if (member) {
            value_member_add(member, text);
            node = member->node;
            offset -= member->offset_bits / 8;
        } else {
            break;
        }
    }
}

static bool name_add(const rp_value_map *map, uint64_t address, uint32_t node, int steps,
                     rp_text_buffer *text);

static void cast_add(const rp_value_map *map, const value_object *object, rp_text_buffer *text)
{
    rp_text_add(text, "((");
    rp_graph_text(&map->values->graph, object->node, text);
    rp_text_add(text, " *)%#llx)", (unsigned long long)object->start);
}

void value_element_add(const rp_value_map *map, const value_object *object, uint64_t index,
                       int steps, rp_text_buffer *text)
{
    char storage[VALUE_PATH_BYTES];
    rp_text_buffer pointer = rp_text_buffer_over(storage, sizeof storage);
    const graph_node *of = value_node(map->values, object->node);
    bool member = of->kind == NODE_STRUCT && of->member_count;
    if (steps >= VALUE_PATH_STEPS || !name_add(map, object->from, 0, steps + 1, &pointer) ||
        pointer.length + 32 > sizeof storage) {
        pointer = rp_text_buffer_over(storage, sizeof storage);
        cast_add(map, object, &pointer);
    }
    if (object->count > 1) {
        rp_text_add(text, storage[0] == '*' ? "(%s)[%llu]" : "%s[%llu]", storage,
                    (unsigned long long)index);
    } else if (member) {
        rp_text_add(text, storage[0] == '*' ? "(%s)->" : "%s->", storage);
    } else {
        rp_text_add(text, of->kind == NODE_ARRAY ? "(*%s)" : "*%s", storage);
    }
}

static bool name_add(const rp_value_map *map, uint64_t address, uint32_t node, int steps,
                     rp_text_buffer *text)
{
    const value_variable *variable = value_variable_at(map->values, address);
    if (variable) {
        value_variable_name(map->values, variable->symbol, text);
        descend(map->values, variable->node, address - variable->address, node, text);
        return true;
    }
    const value_object *object = value_object_at(map, address);
    uint64_t each = object ? value_node(map->values, object->node)->size_bytes : 0;
    uint64_t index = each ? (address - object->start) / each : 0;
    if (!object || !each || index >= object->count) {
        return false;
    }
    size_t length = text->length;
    value_element_add(map, object, index, steps, text);
    descend(map->values, object->node, (address - object->start) % each, node, text);
    if (text->length > length + 2 && text->text[text->length - 1] == '>') { /* the whole object */
        text->length -= 2;
        text->text[text->length] = 0;
        memmove(text->text + length + 1, text->text + length, text->length - length + 1);
        text->text[length] = '*';
        text->length++;
    }
    return true;
}

void value_rest_add(const rp_value_map *map, const value_object *object, uint64_t address,
                    uint32_t node, rp_text_buffer *text)
{
    uint64_t each = value_node(map->values, object->node)->size_bytes;
    if (each) {
        rp_text_add(text, "[%llu]", (unsigned long long)((address - object->start) / each));
        descend(map->values, object->node, (address - object->start) % each, node, text);
    }
}

bool value_name_add(const rp_value_map *map, uint64_t address, uint32_t node, rp_text_buffer *text)
{
    return name_add(map, address, node, 0, text);
}

/* ---- leaves of a span ---- */

typedef struct telling {
    rp_value_map *map;
    void (*told)(void *, const rp_value_leaf *);
    void *context;
} telling;

static void tell(void *context, const value_scalar *scalar)
{
    const telling *t = context;
    value_type_text(t->map->values, scalar->node, t->map->type, sizeof t->map->type);
    if (scalar->count > 1) {
        size_t length = strlen(t->map->type);
        rp_text_buffer type = {t->map->type, sizeof t->map->type, length};
        rp_text_add(&type, "[%u]", scalar->count);
    }
    t->told(t->context, &(rp_value_leaf){.path = t->map->path,
                                         .type = t->map->type,
                                         .address = scalar->address,
                                         .size_bytes = value_scalar_bytes(t->map->values, scalar),
                                         .scalar = scalar});
}

static uint64_t span_of_variable(value_leaf_walk *walk, const rp_value_map *map,
                                 const value_variable *variable)
{
    uint64_t size_bytes = value_node(map->values, variable->node)->size_bytes;
    value_variable_name(map->values, variable->symbol, walk->path);
    value_leaves(walk, variable->node, variable->address);
    return size_bytes ? variable->address + size_bytes : walk->high;
}

/* What a pointer to characters leads to is one text. */
static uint64_t span_of_text(const value_leaf_walk *walk, const rp_value_map *map,
                             const value_object *object)
{
    value_object whole = *object;
    whole.count = 1; /* so that its path is "*name" */
    value_element_add(map, &whole, 0, 0, walk->path);
    walk->told(
        walk->context,
        &(value_scalar){.node = object->node, .address = object->start, .count = object->count});
    return object->start + object->count;
}

/* Returns where the known part of it ends. */
static uint64_t span_of_object(value_leaf_walk *walk, rp_value_map *map, const value_object *object)
{
    uint64_t each = value_node(map->values, object->node)->size_bytes;
    uint64_t index = each ? (walk->low - object->start) / each : 0;
    if (value_node(map->values, object->node)->character && object->count > 1) {
        return span_of_text(walk, map, object);
    }
    for (; each && index < object->count && object->start + index * each < walk->high; index++) {
        *walk->path = rp_text_buffer_over(map->path, sizeof map->path);
        value_element_add(map, object, index, 0, walk->path);
        value_leaves(walk, object->node, object->start + index * each);
    }
    return object->start + object->count * each;
}

/* How far it is to the next object or variable. */
static uint64_t unknown_from(const rp_value_map *map, uint64_t address, uint64_t size_bytes)
{
    const value_object *object = value_object_at(map, address);
    if (object) { /* its rest */
        return rp_min_size(size_bytes, object->start + object->size_bytes - address);
    }
    for (uint64_t at = 1; at < size_bytes; at++) {
        if (value_object_at(map, address + at) || value_variable_at(map->values, address + at)) {
            return at;
        }
    }
    return size_bytes;
}

uint64_t rp_value_map_leaves(rp_value_map *map, uint64_t address, uint64_t size_bytes,
                             void (*told)(void *, const rp_value_leaf *), void *context,
                             uint64_t *unknown)
{
    uint64_t steps = LEAF_STEPS_MOST, end = 0;
    telling t = {map, told, context};
    rp_text_buffer path = rp_text_buffer_over(map->path, sizeof map->path);
    value_leaf_walk walk = {.values = map->values,
                            .path = &path,
                            .low = address,
                            .high = address + size_bytes,
                            .told = tell,
                            .context = &t,
                            .steps_left = &steps};
    const value_variable *variable = value_variable_at(map->values, address);
    const value_object *object = variable ? NULL : value_object_at(map, address);
    *unknown = 0;
    if (variable) {
        end = span_of_variable(&walk, map, variable);
    } else if (object) {
        end = span_of_object(&walk, map, object);
    }
    if (end <= address) {
        *unknown = unknown_from(map, address, size_bytes);
        return 0;
    }
    return rp_min_size(end - address, size_bytes);
}

bool rp_value_leaf_text(const rp_value_map *map, const rp_image *image, const rp_value_leaf *leaf,
                        char *text, size_t capacity)
{
    return value_text(map->values, map, image, leaf->scalar, text, capacity);
}

bool rp_value_leaf_plain(const rp_value_map *map, const rp_image *image, const rp_value_leaf *leaf,
                         char *text, size_t capacity)
{
    return value_text(map->values, NULL, image, leaf->scalar, text, capacity);
}

bool rp_value_leaf_differs(const rp_value_map *map, const rp_image *a, const rp_image *b,
                           const rp_value_leaf *leaf)
{
    const value_scalar *scalar = leaf->scalar;
    value_content in_a, in_b;
    if (scalar->width_bits) {
        return value_load(map->values, a, scalar, &in_a) !=
                   value_load(map->values, b, scalar, &in_b) ||
               in_a.bits != in_b.bits;
    }
    for (uint64_t at = 0; at < leaf->size_bytes; at += 256) {
        uint8_t here[256], there[256];
        size_t length = rp_min_size(leaf->size_bytes - at, sizeof here);
        bool read_a = a->read(a->context, leaf->address + at, here, length);
        bool read_b = b->read(b->context, leaf->address + at, there, length);
        if (read_a != read_b || (read_a && memcmp(here, there, length) != 0)) {
            return true;
        }
    }
    return false;
}
