/* Where objects of the old build have pointers: the slots of its types. Layer: module. */
#include "module/plan_types_build.h"

#include <string.h>

enum { WORD_BYTES = 8, NAME_BYTES = 200 };

static const graph_node *at(const types_build *build, uint32_t node)
{
    return rp_graph_node(&build->old_graph, node);
}

static uint32_t name_of(types_build *build, uint32_t node)
{
    char storage[NAME_BYTES];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    rp_graph_text(&build->old_graph, node, &text);
    return rp_types_name(build, storage);
}

static uint32_t place_of(types_build *build, uint32_t node)
{
    char storage[80];
    rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
    rp_graph_place(&build->old_graph, node, NULL, &text);
    return rp_types_name(build, storage);
}

static uint32_t flags_of(const graph_node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
        return RP_TYPE_SCALAR | (node->character ? RP_TYPE_CHARACTER : 0);
    case NODE_ENUM:
    case NODE_POINTER:
        return RP_TYPE_SCALAR;
    case NODE_VOID:
    case NODE_OPAQUE:
    case NODE_FUNCTION:
        return RP_TYPE_UNKNOWN;
    default:
        return 0;
    }
}

static uint32_t make_type(types_build *build, uint32_t node)
{
    uint32_t index = build->types.count;
    rp_plan_type *made = rp_types_push(build, &build->types, 1, sizeof *made);
    uint32_t *node_of = (uint32_t *)rp_types_push(build, &build->nodes_of, 1, sizeof *node_of);
    if (!made || !node_of) {
        return 0;
    }
    *node_of = node;
    *made = (rp_plan_type){.size_bytes = at(build, node)->size_bytes,
                           .tail_offset = RP_TYPE_NO_TAIL,
                           .cost = 1,
                           .flags = flags_of(at(build, node))};
    if (!made->size_bytes) {
        made->flags |= RP_TYPE_UNKNOWN;
    }
    uint32_t name = name_of(build, node), place = place_of(build, node);
    types_type(build, index)->name = name;
    types_type(build, index)->place = place;
    return index;
}

/* The memo is by node; the graph may have grown since it was made. */
static uint32_t *memo(types_build *build, uint32_t node)
{
    while (build->types_of.count <= node && build->status == RP_OK) {
        uint32_t more = node + 1 - build->types_of.count;
        rp_types_push(build, &build->types_of, more + 64, sizeof(uint32_t));
    }
    return build->status == RP_OK ? (uint32_t *)build->types_of.items + node : NULL;
}

static uint32_t node_of(const types_build *build, uint32_t type)
{
    return ((const uint32_t *)build->nodes_of.items)[type];
}

/* A type is wanted with its slots, and so with all that it holds by value, before its cost is
 * known; what pointers lead to is filled in later. */
uint32_t rp_types_type(types_build *build, uint32_t node)
{
    uint32_t *known = memo(build, node);
    if (!known || *known) {
        return known ? *known : 0;
    }
    uint32_t made = make_type(build, node);
    known = memo(build, node);
    if (known) {
        *known = made;
    }
    return made;
}

typedef struct slot_list {
    types_build *build;
    types_pool items;
    uint64_t size_bytes, cost;
    uint32_t owner; /* node */
    uint64_t tail_offset;
    uint32_t tail_node;
    int depth;
} slot_list;

static void add_slot(slot_list *list, rp_plan_slot slot, const char *member, uint64_t cost)
{
    bool fits = slot.offset <= list->size_bytes;
    uint64_t whole;
    fits &= !__builtin_mul_overflow(cost, slot.count, &whole) &&
            !__builtin_add_overflow(list->cost, whole + 1, &list->cost);
    rp_plan_slot *added = fits ? rp_types_push(list->build, &list->items, 1, sizeof *added) : NULL;
    if (added) {
        char storage[NAME_BYTES];
        rp_text_buffer text = rp_text_buffer_over(storage, sizeof storage);
        const char *owner = at(list->build, list->owner)->name;
        if (member) {
            rp_text_add(&text, "%.100s.%.80s", *owner ? owner : "(unnamed)", member);
            slot.name = rp_types_name(list->build, storage);
        }
        *added = slot;
    }
}

static bool is_word(const graph_node *node)
{
    return node->kind == NODE_NUMBER && node->size_bytes == WORD_BYTES &&
           (node->form == FORM_SIGNED || node->form == FORM_UNSIGNED);
}

/* A pointer to an array leads to its elements, one after the other. */
static uint32_t element_of(const types_build *build, uint32_t node)
{
    for (int depth = 0; at(build, node)->kind == NODE_ARRAY && depth < TYPE_DEPTH_MAX; depth++) {
        node = at(build, node)->target;
    }
    return node;
}

static void add_pointer(slot_list *list, uint64_t offset, uint64_t count, const graph_node *pointer,
                        const char *member)
{
    uint32_t target_node = element_of(list->build, pointer->target);
    const graph_node *target = at(list->build, target_node);
    rp_plan_slot slot = {.offset = offset, .count = count, .kind = RP_SLOT_POINTER};
    if (target->kind == NODE_FUNCTION) {
        return;
    }
    if (target->kind == NODE_VOID) {
        slot.kind = RP_SLOT_UNTYPED;
    } else {
        slot.type = rp_types_type(list->build, target_node);
    }
    char storage[NAME_BYTES];
    rp_text_buffer name = rp_text_buffer_over(storage, sizeof storage);
    rp_text_add(&name, "%.100s.%.80s", at(list->build, list->owner)->name, member ? member : "");
    const char *answer = member ? rp_types_answer(list->build, storage) : NULL;
    if (answer) {
        rp_types_apply_answer(list->build, &slot, answer);
    }
    add_slot(list, slot, member, 1);
}

static void fill(types_build *build, uint32_t type);

/* `count` objects of a node at an offset: its slots, or none. */
static void add_values(slot_list *list, uint64_t offset, uint64_t count, uint32_t node_index,
                       const char *member)
{
    graph_node node = *at(list->build, node_index);
    for (int depth = 0; node.kind == NODE_ARRAY && depth < TYPE_DEPTH_MAX; depth++) {
        if (__builtin_mul_overflow(count, node.count, &count)) {
            return;
        }
        node_index = node.target;
        node = *at(list->build, node_index);
    }
    if (!count) {
        return;
    }
    if (node.kind == NODE_POINTER) {
        add_pointer(list, offset, count, &node, member);
    } else if (is_word(&node)) {
        add_slot(list, (rp_plan_slot){.offset = offset, .count = count, .kind = RP_SLOT_UNTYPED},
                 member, 1);
    } else if (node.kind == NODE_UNION) {
        uint64_t bytes = count * node.size_bytes;
        add_slot(list, (rp_plan_slot){.offset = offset, .count = bytes, .kind = RP_SLOT_BYTES},
                 member, 1);
    } else if (node.kind == NODE_STRUCT) {
        uint32_t type = rp_types_type(list->build, node_index);
        fill(list->build, type);
        const rp_plan_type *inner = types_type(list->build, type);
        if (inner->slot_count) {
            add_slot(list,
                     (rp_plan_slot){
                         .offset = offset, .count = count, .kind = RP_SLOT_TYPE, .type = type},
                     member, inner->cost);
        }
    }
}

static void add_members(slot_list *list, const graph_node *node)
{
    for (uint32_t i = 0; i < node->member_count; i++) {
        const graph_member *member = &node->members[i];
        const graph_node *inside = at(list->build, member->node);
        if (member->width_bits || member->table) {
            continue;
        }
        if (member->apart) { /* it lies somewhere in the object */
            uint64_t bytes = node->size_bytes / WORD_BYTES * WORD_BYTES;
            add_slot(list, (rp_plan_slot){.count = bytes, .kind = RP_SLOT_BYTES}, member->name, 1);
        } else if (inside->kind == NODE_ARRAY && inside->count == 0) {
            list->tail_offset = member->offset_bits / 8;
            list->tail_node = inside->target;
        } else {
            add_values(list, member->offset_bits / 8, 1, member->node, member->name);
        }
    }
}

/* The pointer to the virtual table, own or of the base that it begins with. */
static bool begins_virtual(const types_build *build, uint32_t node_index)
{
    for (int depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
        const graph_node *node = at(build, node_index);
        const graph_member *first = NULL;
        for (uint32_t i = 0; node->kind == NODE_STRUCT && i < node->member_count; i++) {
            const graph_member *member = &node->members[i];
            if (member->offset_bits == 0 && member->table) {
                return true;
            }
            first = !first && member->base && member->offset_bits == 0 ? member : first;
        }
        if (!first) {
            return false;
        }
        node_index = first->node;
    }
    return false;
}

static void collect(slot_list *list, uint32_t node_index)
{
    graph_node node = *at(list->build, node_index);
    switch (node.kind) {
    case NODE_STRUCT:
        add_members(list, &node);
        break;
    case NODE_POINTER:
    case NODE_ARRAY:
    case NODE_UNION:
    case NODE_NUMBER:
        add_values(list, 0, 1, node_index, NULL);
        break;
    default:
        break;
    }
}

static void fill(types_build *build, uint32_t type)
{
    rp_plan_type *made = types_type(build, type);
    if (made->flags & TYPES_FILLED || build->status != RP_OK) {
        return;
    }
    made->flags |= TYPES_FILLED; /* also what ends a struct that holds itself */
    uint32_t node_index = node_of(build, type);
    slot_list list = {.build = build,
                      .size_bytes = made->size_bytes,
                      .cost = 1,
                      .owner = node_index,
                      .tail_offset = RP_TYPE_NO_TAIL};
    collect(&list, node_index);
    rp_plan_slot *slots = rp_types_push(build, &build->slots, list.items.count, sizeof *slots);
    made = types_type(build, type);
    if (list.cost > rp_plan_cost_limit(made->size_bytes) || !slots) {
        made->flags |= RP_TYPE_UNKNOWN;
        return;
    }
    if (list.items.count) {
        memcpy(slots, list.items.items, list.items.count * sizeof *slots);
    }
    made->first_slot = build->slots.count - list.items.count;
    made->slot_count = list.items.count;
    made->cost = list.cost;
    made->flags |= begins_virtual(build, node_index) ? RP_TYPE_VIRTUAL : 0;
    if (list.tail_offset != RP_TYPE_NO_TAIL && list.tail_offset <= made->size_bytes) {
        uint32_t tail = rp_types_type(build, list.tail_node);
        made = types_type(build, type);
        made->tail_offset = list.tail_offset;
        made->tail_type = tail;
    }
}

void rp_types_fill_type(types_build *build, uint32_t type)
{
    fill(build, type);
}

/* ---- answers ---- */

const char *rp_types_answer(const types_build *build, const char *what)
{
    for (const rp_type_answer *answer = build->answers; answer; answer = answer->next) {
        if (strcmp(answer->what, what) == 0) {
            return answer->type;
        }
    }
    return NULL;
}

/* "bytes": nothing in it is ours. A type that the build does not have leaves the question open. */
void rp_types_apply_answer(types_build *build, rp_plan_slot *slot, const char *type)
{
    uint32_t node = GRAPH_NONE;
    if (strcmp(type, "bytes") != 0) {
        node = rp_graph_named(&build->old_graph, type);
        rp_graph_fill(&build->old_graph);
        if (!node) {
            return;
        }
    }
    slot->kind = RP_SLOT_WITHIN;
    slot->type = node ? rp_types_type(build, node) : rp_types_bytes(build);
}

uint32_t rp_types_bytes(types_build *build)
{
    if (!build->bytes_type) {
        uint32_t index = build->types.count;
        rp_plan_type *made = rp_types_push(build, &build->types, 1, sizeof *made);
        uint32_t *node = rp_types_push(build, &build->nodes_of, 1, sizeof *node);
        if (made && node) {
            *made = (rp_plan_type){.size_bytes = 1,
                                   .tail_offset = RP_TYPE_NO_TAIL,
                                   .cost = 1,
                                   .flags = RP_TYPE_CHARACTER | RP_TYPE_SCALAR | TYPES_FILLED};
            *node = GRAPH_VOID;
            build->bytes_type = index;
            uint32_t name = rp_types_name(build, "bytes");
            types_type(build, index)->name = name;
        }
    }
    return build->bytes_type;
}

uint32_t rp_types_answered(types_build *build, uint32_t node, const char *answer)
{
    uint32_t type = make_type(build, node);
    fill(build, type);
    rp_plan_type *made = types_type(build, type);
    for (uint32_t i = 0; i < made->slot_count; i++) {
        rp_plan_slot slot = ((rp_plan_slot *)build->slots.items)[made->first_slot + i];
        rp_types_apply_answer(build, &slot, answer);
        ((rp_plan_slot *)build->slots.items)[types_type(build, type)->first_slot + i] = slot;
        made = types_type(build, type);
    }
    return type;
}
