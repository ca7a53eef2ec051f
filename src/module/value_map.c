/* What lies where in an image, from the typed pointers that lead to it. Layer: module.
 *
 * The rules are those of infer.c, which works on the memory of its own process: each pointer to the
 * start of a block claims it, and nothing is guessed. Here every byte may lie, so the work is
 * bounded by steps and by the room that the list of objects may take. */
#include "module/value_internal.h"

#include "base/bits.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define MAP_MOST_BYTES RP_GIB(4)
enum { FIRST_OBJECTS = 4096, FIRST_SLOTS = 16384 };
#define STEPS_MOST UINT64_C(200000000)

/* ---- types that begin with others ---- */

static uint32_t first_part(const rp_values *values, uint32_t node)
{
    const graph_node *of = value_node(values, node);
    for (uint32_t i = 0; of->kind == NODE_STRUCT && i < of->member_count; i++) {
        const graph_member *member = &of->members[i];
        if (member->offset_bits == 0 && !member->width_bits && !member->table) {
            return member->node;
        }
    }
    return GRAPH_NONE;
}

bool value_begins_with(const rp_values *values, uint32_t heir, uint32_t base)
{
    for (int depth = 0; depth < VALUE_DEPTH_MOST && heir; depth++) {
        heir = first_part(values, heir);
        if (heir && heir == base) {
            return true;
        }
    }
    return false;
}

static bool fits(const rp_values *values, uint32_t node, uint64_t size_bytes, bool exact)
{
    uint64_t each = value_node(values, node)->size_bytes;
    uint64_t slack = exact                 ? 1
                     : size_bytes <= 128   ? 16
                     : size_bytes <= 32768 ? size_bytes / 5 + 16
                                           : 65536;
    return each && each <= size_bytes && size_bytes % each <= slack;
}

/* Whether a struct that begins with such a one would fit as well. Most types begin no other, which
 * is remembered. */
static bool has_rival(const rp_values *values, uint32_t node, uint64_t size_bytes, bool exact)
{
    uint8_t *begins = &values->begins[node];
    bool any = false, fitting = false;
    for (uint32_t i = GRAPH_VOID + 1; *begins != 2 && i < values->graph.count; i++) {
        if (value_node(values, i)->kind == NODE_STRUCT && value_begins_with(values, i, node)) {
            any = true;
            fitting |= fits(values, i, size_bytes, exact);
        }
    }
    *begins = any ? 1 : 2;
    return fitting;
}

/* ---- objects by start ---- */

static uint32_t *slot_of(const rp_value_map *map, uint64_t start)
{
    uint32_t at = (uint32_t)(start * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (map->slot_count - 1);
    while (map->slots[at] && map->objects[map->slots[at] - 1].start != start) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return &map->slots[at];
}

static void *take(rp_value_map *map, size_t count, size_t size_bytes)
{
    void *taken = rp_arena_take(&map->arena, count, size_bytes);
    map->status = taken ? map->status : map->arena.failure;
    return taken;
}

static bool grow(rp_value_map *map)
{
    if (map->count < map->capacity) {
        return true;
    }
    uint32_t capacity = map->capacity ? map->capacity * 2 : FIRST_OBJECTS;
    value_object *objects = take(map, capacity, sizeof *objects);
    uint32_t slot_count = map->slot_count ? map->slot_count * 2 : FIRST_SLOTS;
    uint32_t *slots = objects ? take(map, slot_count, sizeof *slots) : NULL;
    if (!slots || capacity > UINT32_MAX / 4) {
        return false;
    }
    if (map->count) {
        memcpy(objects, map->objects, map->count * sizeof *objects);
    }
    map->objects = objects;
    map->capacity = capacity;
    map->slots = slots;
    map->slot_count = slot_count;
    for (uint32_t i = 0; i < map->count; i++) {
        *slot_of(map, objects[i].start) = i + 1;
    }
    return true;
}

static int compare_starts(const void *a_pointer, const void *b_pointer)
{
    const uint64_t *a = a_pointer, *b = b_pointer;
    return (*a > *b) - (*a < *b);
}

static void sort_objects(rp_value_map *map)
{
    uint64_t(*pairs)[2] = take(map, (size_t)map->count + 1, sizeof *pairs);
    map->sorted = pairs ? take(map, (size_t)map->count + 1, sizeof *map->sorted) : NULL;
    if (!map->sorted) {
        return;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        pairs[i][0] = map->objects[i].start;
        pairs[i][1] = i;
    }
    qsort(pairs, map->count, sizeof *pairs, compare_starts);
    for (uint32_t i = 0; i < map->count; i++) {
        map->sorted[i] = (uint32_t)pairs[i][1];
    }
}

const value_object *value_object_at(const rp_value_map *map, uint64_t address)
{
    uint32_t low = 0, high = map->sorted ? map->count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (map->objects[map->sorted[middle]].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const value_object *found = low ? &map->objects[map->sorted[low - 1]] : NULL;
    return found && address - found->start < found->size_bytes ? found : NULL;
}

/* ---- claims ---- */

/* A pointer that was met: where it lies and whose it is. */
typedef struct claim {
    uint64_t from;
    uint32_t parent;
} claim;

static void measure(const rp_value_map *map, value_object *object, bool exact)
{
    const graph_node *of = value_node(map->values, object->node);
    bool sound = fits(map->values, object->node, object->size_bytes, exact) &&
                 !has_rival(map->values, object->node, object->size_bytes, exact);
    object->doubt = object->doubt == 2 ? 2 : !sound;
    object->count = !of->size_bytes || of->size_bytes > object->size_bytes ? 0
                    : sound ? (uint32_t)rp_min_size(object->size_bytes / of->size_bytes, UINT32_MAX)
                            : 1;
}

static void settle(rp_value_map *map, value_object *object, uint32_t node, const claim *by,
                   bool exact)
{
    const rp_values *values = map->values;
    const graph_node *was = value_node(values, object->node), *is = value_node(values, node);
    if (object->node == node || is->character || value_begins_with(values, object->node, node)) {
        return; /* what is known already says as much */
    }
    if (was->character || value_begins_with(values, node, object->node)) {
        object->node = node;
        object->from = by->from;
        object->parent = by->parent;
        object->pending = true;
        measure(map, object, exact);
    } else {
        object->doubt = 2;
    }
}

static void add(rp_value_map *map, const value_object *object)
{
    if (grow(map)) {
        *slot_of(map, object->start) = map->count + 1;
        map->objects[map->count++] = *object;
    }
}

/* What a pointer of that type leads to becomes known. */
static void claim_target(rp_value_map *map, uint64_t address, uint32_t node, const claim *by)
{
    rp_image_block block;
    const graph_node *of = value_node(map->values, node);
    if (!of->size_bytes || of->kind == NODE_OPAQUE || of->kind == NODE_UNION) {
        return;
    }
    if (map->count && *slot_of(map, address)) { /* most pointers lead to what is known */
        value_object *known = &map->objects[*slot_of(map, address) - 1];
        if (known->node == node) {
            return;
        }
    }
    rp_image_find(map->image, address, &block);
    bool whole = block.place == RP_IMAGE_BLOCK && block.live && block.start == address;
    if (!whole && block.place != RP_IMAGE_RUN) {
        return;
    }
    uint64_t size_bytes =
        whole ? block.size_bytes
              : rp_min_size(of->size_bytes, block.start + block.size_bytes - address);
    bool exact = block.tracked || !whole;
    uint32_t known = map->count ? *slot_of(map, address) : 0;
    if (known) {
        settle(map, &map->objects[known - 1], node, by, exact);
        return;
    }
    value_object object = {.start = address,
                           .size_bytes = size_bytes,
                           .node = node,
                           .parent = by->parent,
                           .from = by->from,
                           .pending = true};
    measure(map, &object, exact);
    add(map, &object);
}

/* ---- following ---- */

typedef struct following {
    rp_value_map *map;
    uint32_t parent;
} following;

static void follow(following *f, uint32_t node, uint64_t address, int depth);

static void follow_pointer(following *f, const graph_node *pointer, uint64_t address)
{
    uint64_t value;
    const rp_image *image = f->map->image;
    if (image->read(image->context, address, &value, sizeof value) && value >= image->base) {
        claim_target(f->map, value, pointer->target, &(claim){address, f->parent});
    }
}

static void follow_elements(following *f, uint32_t node, uint64_t address, uint64_t count,
                            int depth)
{
    uint64_t each = value_node(f->map->values, node)->size_bytes;
    if (!each || !value_holds_pointers(f->map->values, node)) {
        return;
    }
    for (uint64_t i = 0; i < count && f->map->steps_left && !f->map->status; i++) {
        follow(f, node, address + i * each, depth + 1);
    }
}

static void follow(following *f, uint32_t node, uint64_t address, int depth)
{
    const graph_node *of = value_node(f->map->values, node);
    if (!f->map->steps_left || depth > VALUE_DEPTH_MOST) {
        return;
    }
    f->map->steps_left--;
    if (of->kind == NODE_POINTER) {
        follow_pointer(f, of, address);
    } else if (of->kind == NODE_ARRAY) {
        follow_elements(f, of->target, address, of->count, depth);
    } else if (of->kind == NODE_STRUCT) {
        for (uint32_t i = 0; i < of->member_count; i++) {
            const graph_member *member = &of->members[i];
            if (!member->width_bits && value_holds_pointers(f->map->values, member->node)) {
                follow(f, member->node, address + member->offset_bits / 8, depth + 1);
            }
        }
    }
}

/* The list grows while it is walked. What turns out to be of a larger type is followed again. */
static bool follow_pending(following *f)
{
    rp_value_map *map = f->map;
    bool any = false;
    for (uint32_t i = 0; i < map->count && !map->status; i++) {
        if (map->objects[i].pending) {
            map->objects[i].pending = false;
            const value_object object = map->objects[i];
            f->parent = i + 1;
            follow_elements(f, object.node, object.start, object.count, 0);
            any = true;
        }
    }
    return any;
}

static void follow_all(rp_value_map *map)
{
    following f = {.map = map};
    const rp_values *values = map->values;
    for (uint32_t i = 0; i < values->variable_count; i++) {
        follow_elements(&f, values->variables[i].node, values->variables[i].address, 1, 0);
    }
    while (map->steps_left && follow_pending(&f)) {
    }
}

rp_status rp_value_map_make(rp_values *values, const rp_image *image, rp_value_map **out)
{
    module_arena arena;
    rp_status status = rp_arena_init(&arena, MAP_MOST_BYTES);
    *out = NULL;
    if (status) {
        return status;
    }
    rp_value_map *map = rp_arena_take(&arena, 1, sizeof *map);
    if (!map) {
        status = arena.failure;
        rp_arena_finish(&arena);
        return status;
    }
    *map =
        (rp_value_map){.values = values, .image = image, .arena = arena, .steps_left = STEPS_MOST};
    follow_all(map);
    sort_objects(map);
    if (map->status) {
        status = map->status;
        rp_value_map_drop(map);
        return status;
    }
    *out = map;
    return RP_OK;
}

void rp_value_map_drop(rp_value_map *map)
{
    if (map) {
        module_arena arena = map->arena; /* it holds `map` itself */
        rp_arena_finish(&arena);
    }
}
