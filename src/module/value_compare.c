/* Two images by names: what a person would call the same is compared, wherever it lies.
 *
 *   variable a ── by name ──► variable b
 *     member a ── by name ──► member b
 *       pointer a, pointer b ──► objects a and b become a pair, whose members are compared next
 *
 * Layer: module. */
#include "module/value_internal.h"

#include "base/bits.h"
#include "base/error.h"

#include <string.h>

#define COMPARE_STEPS_MOST UINT64_C(200000000)
#define COMPARE_MOST_BYTES RP_GIB(2)

typedef struct comparing {
    const rp_value_side *a, *b;
    rp_value_map *map_a, *map_b;
    module_arena arena;
    uint32_t *pairs; /* by object of a: that of b, plus 1 */
    uint32_t *queue; /* objects of a whose pair is not compared yet */
    uint32_t queued;
    uint64_t steps_left;
    rp_text_buffer path;
    char storage[VALUE_PATH_BYTES + 64];
    void (*told)(void *, const rp_value_difference *);
    void *context;
    rp_value_sum *sum;
} comparing;

static void compare(comparing *c, const value_scalar *a, const value_scalar *b, int depth);

/* ---- telling ---- */

static void tell(comparing *c, const value_scalar *a, const value_scalar *b)
{
    rp_value_difference difference = {.path = c->storage};
    char type[96];
    c->sum->differ++;
    if (!c->told) {
        return;
    }
    value_type_text(c->a->values, a->node, type, sizeof type);
    difference.type = type;
    if (value_text(c->a->values, c->map_a, c->a->image, a, difference.a, sizeof difference.a) &&
        value_text(c->b->values, c->map_b, c->b->image, b, difference.b, sizeof difference.b)) {
        c->told(c->context, &difference);
    }
}

/* ---- pointers ---- */

/* What a pointer leads to. */
typedef struct target {
    const value_variable *variable;
    const value_object *object;
    char rest[128]; /* of the path in it: "[3].x" */
} target;

/* `node`: what the pointer leads to by its type, so that the path ends there. */
static target target_of(const rp_value_map *map, uint64_t address, uint32_t node)
{
    target t = {.variable = value_variable_at(map->values, address)};
    rp_text_buffer text = rp_text_buffer_over(t.rest, sizeof t.rest);
    t.object = t.variable ? NULL : value_object_at(map, address);
    if (t.variable) {
        value_name_add(map, address, node, &text);
    } else if (t.object) {
        value_rest_add(map, t.object, address, node, &text);
    }
    return t;
}

static uint32_t number_of(const rp_value_map *map, const value_object *object)
{
    return (uint32_t)(object - map->objects);
}

/* Whether two objects are each other's; they become it where neither has one yet. */
static bool pair(comparing *c, const value_object *a, const value_object *b)
{
    uint32_t number = number_of(c->map_a, a), other = number_of(c->map_b, b) + 1;
    if (!c->pairs[number]) {
        c->pairs[number] = other;
        c->queue[c->queued++] = number;
    }
    return c->pairs[number] == other;
}

static bool same_function(const comparing *c, uint64_t a, uint64_t b)
{
    const rp_symbol *in_a = rp_elf_symbol_at(c->a->values->elf, a - c->a->values->base);
    const rp_symbol *in_b = rp_elf_symbol_at(c->b->values->elf, b - c->b->values->base);
    return !in_a || !in_b || strcmp(in_a->name, in_b->name) == 0;
}

static bool same_place(comparing *c, const target *a, const target *b)
{
    bool objects = a->object && b->object && pair(c, a->object, b->object);
    return (objects || (a->variable && b->variable)) && strcmp(a->rest, b->rest) == 0;
}

/* Whether a pointer there may as well be one behind the end of what lies before. */
static bool may_be_end(const target *t, uint64_t address)
{
    return t->object     ? address == t->object->start
           : t->variable ? address == t->variable->address
                         : true;
}

/* Pointers to what nothing is known of count as the same. One behind the end of an array leads to
 * whatever lies there, so what lies before it is looked at as well. */
static bool same_target(comparing *c, const graph_node *pointer_a, uint64_t a,
                        const graph_node *pointer_b, uint64_t b)
{
    if (!a || !b) {
        return !a && !b;
    }
    uint32_t node_a = pointer_a->target, node_b = pointer_b->target;
    target in_a = target_of(c->map_a, a, node_a), in_b = target_of(c->map_b, b, node_b);
    bool known = in_a.object || in_b.object || in_a.variable || in_b.variable;
    if (!known) {
        return same_function(c, a, b);
    }
    uint64_t each_a = value_node(c->a->values, node_a)->size_bytes;
    uint64_t each_b = value_node(c->b->values, node_b)->size_bytes;
    target before_a = target_of(c->map_a, a - each_a, node_a);
    target before_b = target_of(c->map_b, b - each_b, node_b);
    return same_place(c, &in_a, &in_b) ||
           (may_be_end(&in_a, a) && may_be_end(&in_b, b) && same_place(c, &before_a, &before_b));
}

/* ---- values ---- */

static bool same_text(const comparing *c, const value_scalar *a, const value_scalar *b)
{
    char in_a[4096], in_b[4096];
    size_t bytes_a = rp_min_size(value_scalar_bytes(c->a->values, a), sizeof in_a - 1);
    size_t bytes_b = rp_min_size(value_scalar_bytes(c->b->values, b), sizeof in_b - 1);
    memset(in_a, 0, sizeof in_a);
    memset(in_b, 0, sizeof in_b);
    return c->a->image->read(c->a->image->context, a->address, in_a, bytes_a) ==
               c->b->image->read(c->b->image->context, b->address, in_b, bytes_b) &&
           memcmp(in_a, in_b, sizeof in_a) == 0;
}

static bool same_number(comparing *c, const value_scalar *a, const value_scalar *b)
{
    value_content in_a, in_b;
    bool loads_a = value_load(c->a->values, c->a->image, a, &in_a);
    bool loads_b = value_load(c->b->values, c->b->image, b, &in_b);
    if (!loads_a || !loads_b) {
        return loads_a == loads_b;
    }
    const graph_node *of_a = value_node(c->a->values, a->node);
    const graph_node *of_b = value_node(c->b->values, b->node);
    if (of_a->kind == NODE_POINTER && of_b->kind == NODE_POINTER) {
        return same_target(c, of_a, in_a.bits, of_b, in_b.bits);
    }
    bool nan = in_a.number != in_a.number && in_b.number != in_b.number;
    return nan || in_a.number == in_b.number;
}

static void compare_values(comparing *c, const value_scalar *a, const value_scalar *b)
{
    bool text_a = value_is_text(c->a->values, a->node),
         text_b = value_is_text(c->b->values, b->node);
    c->sum->compared++;
    if (!(text_a && text_b ? same_text(c, a, b) : text_a == text_b && same_number(c, a, b))) {
        tell(c, a, b);
    }
}

/* ---- what is made of others ---- */

static bool same_member(const graph_member *a, const graph_member *b)
{
    return strcmp(a->name, b->name) == 0 && a->base == b->base;
}

/* The member of the same name; at the same place in the list before any other. */
static const graph_member *named(const graph_node *of, const graph_member *as, uint32_t place)
{
    if (place < of->member_count && same_member(&of->members[place], as)) {
        return &of->members[place];
    }
    for (uint32_t i = 0; i < of->member_count; i++) {
        if (same_member(&of->members[i], as)) {
            return &of->members[i];
        }
    }
    return NULL;
}

static value_scalar place_of(const value_scalar *object, const graph_member *member)
{
    return (value_scalar){.node = member->node,
                          .width_bits = member->width_bits,
                          .address = object->address + member->offset_bits / 8,
                          .bit = member->width_bits ? (uint32_t)(member->offset_bits % 8) : 0,
                          .count = 1};
}

static void compare_members(comparing *c, const value_scalar *a, const value_scalar *b, int depth)
{
    const graph_node *of_a = value_node(c->a->values, a->node);
    const graph_node *of_b = value_node(c->b->values, b->node);
    for (uint32_t i = 0; i < of_a->member_count && c->steps_left; i++) {
        const graph_member *member = &of_a->members[i], *other = named(of_b, member, i);
        size_t length = c->path.length;
        if (other && !member->table) {
            value_scalar in_a = place_of(a, member), in_b = place_of(b, other);
            value_member_add(member, &c->path);
            compare(c, &in_a, &in_b, depth + 1);
            value_path_cut(&c->path, length);
        }
    }
}

static void compare_elements(comparing *c, const value_scalar *a, const value_scalar *b, int depth)
{
    const graph_node *of_a = value_node(c->a->values, a->node);
    const graph_node *of_b = value_node(c->b->values, b->node);
    uint64_t each_a = value_node(c->a->values, of_a->target)->size_bytes;
    uint64_t each_b = value_node(c->b->values, of_b->target)->size_bytes;
    uint64_t count = of_a->count < of_b->count ? of_a->count : of_b->count;
    for (uint64_t i = 0; i < count && each_a && each_b && c->steps_left; i++) {
        size_t length = c->path.length;
        value_scalar in_a = {.node = of_a->target, .address = a->address + i * each_a, .count = 1};
        value_scalar in_b = {.node = of_b->target, .address = b->address + i * each_b, .count = 1};
        rp_text_add(&c->path, "[%llu]", (unsigned long long)i);
        compare(c, &in_a, &in_b, depth + 1);
        value_path_cut(&c->path, length);
    }
}

/* Unions and what has no form are left out: what their bytes mean is not known. */
static void compare(comparing *c, const value_scalar *a, const value_scalar *b, int depth)
{
    node_kind kind_a = value_node(c->a->values, a->node)->kind;
    node_kind kind_b = value_node(c->b->values, b->node)->kind;
    if (!c->steps_left || depth > VALUE_DEPTH_MOST) {
        return;
    }
    c->steps_left--;
    if (value_is_scalar(c->a->values, a->node) && value_is_scalar(c->b->values, b->node)) {
        compare_values(c, a, b);
    } else if (kind_a == NODE_STRUCT && kind_b == NODE_STRUCT) {
        compare_members(c, a, b, depth);
    } else if (kind_a == NODE_ARRAY && kind_b == NODE_ARRAY) {
        compare_elements(c, a, b, depth);
    }
}

/* ---- all ---- */

static bool same_name(const rp_symbol *a, const rp_symbol *b)
{
    return a->base_length == b->base_length && a->kind == b->kind &&
           memcmp(a->base, b->base, a->base_length) == 0 && strcmp(a->scope, b->scope) == 0 &&
           strcmp(a->file, b->file) == 0;
}

/* Of several with one name the nth is paired with the nth. */
static const value_variable *variable_like(const rp_values *from, uint32_t number,
                                           const rp_values *values)
{
    const rp_symbol *symbol = from->variables[number].symbol;
    uint32_t nth = 0;
    for (uint32_t i = 0; i < number; i++) {
        nth += same_name(from->variables[i].symbol, symbol);
    }
    for (uint32_t i = 0; i < values->variable_count; i++) {
        if (same_name(values->variables[i].symbol, symbol) && nth-- == 0) {
            return &values->variables[i];
        }
    }
    return NULL;
}

static void compare_variables(comparing *c)
{
    const rp_values *values = c->a->values;
    uint32_t both = 0;
    for (uint32_t i = 0; i < values->variable_count; i++) {
        const value_variable *variable = &values->variables[i];
        const value_variable *other = variable_like(values, i, c->b->values);
        if (!other) {
            c->sum->only_one++;
            continue;
        }
        both++;
        value_scalar a = {.node = variable->node, .address = variable->address, .count = 1};
        value_scalar b = {.node = other->node, .address = other->address, .count = 1};
        c->path = rp_text_buffer_over(c->storage, sizeof c->storage);
        value_variable_name(values, variable->symbol, &c->path);
        compare(c, &a, &b, 0);
    }
    c->sum->only_one +=
        c->b->values->variable_count - rp_min_size(both, c->b->values->variable_count);
}

static void compare_objects(comparing *c)
{
    for (uint32_t i = 0; i < c->queued && c->steps_left; i++) {
        const value_object *a = &c->map_a->objects[c->queue[i]];
        const value_object *b = &c->map_b->objects[c->pairs[c->queue[i]] - 1];
        uint64_t each_a = value_node(c->a->values, a->node)->size_bytes;
        uint64_t each_b = value_node(c->b->values, b->node)->size_bytes;
        for (uint32_t k = 0; k < a->count && k < b->count && c->steps_left; k++) {
            value_scalar in_a = {.node = a->node, .address = a->start + k * each_a, .count = 1};
            value_scalar in_b = {.node = b->node, .address = b->start + k * each_b, .count = 1};
            c->path = rp_text_buffer_over(c->storage, sizeof c->storage);
            value_element_add(c->map_a, a, k, 0, &c->path);
            compare(c, &in_a, &in_b, 0);
        }
    }
}

static rp_status prepare(comparing *c)
{
    rp_status status = rp_arena_init(&c->arena, COMPARE_MOST_BYTES);
    status = status ? status : rp_value_map_make(c->a->values, c->a->image, &c->map_a);
    status = status ? status : rp_value_map_make(c->b->values, c->b->image, &c->map_b);
    if (!status) {
        c->pairs = rp_arena_take(&c->arena, (size_t)c->map_a->count + 1, sizeof *c->pairs);
        c->queue = rp_arena_take(&c->arena, (size_t)c->map_a->count + 1, sizeof *c->queue);
        status = c->arena.failure;
    }
    return status;
}

rp_status rp_value_compare(const rp_value_side *a, const rp_value_side *b,
                           void (*told)(void *, const rp_value_difference *), void *context,
                           rp_value_sum *sum)
{
    comparing c = {.a = a,
                   .b = b,
                   .steps_left = COMPARE_STEPS_MOST,
                   .told = told,
                   .context = context,
                   .sum = sum};
    *sum = (rp_value_sum){0};
    rp_status status = prepare(&c);
    if (!status) {
        compare_variables(&c);
        compare_objects(&c);
        sum->whole = c.steps_left > 0;
    }
    rp_value_map_drop(c.map_a);
    rp_value_map_drop(c.map_b);
    rp_arena_finish(&c.arena);
    return status;
}
