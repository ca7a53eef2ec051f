/* What nodes are made of: targets, members, constants; and nodes in words. Layer: module.
 *
 * Filling makes new nodes, so the array of nodes may move: nodes are named by index here. */
#include "module/graph.h"

#include <dwarf.h>
#include <string.h>

enum { MEMBERS_MOST = 1 << 16, NEST_MOST = 32 };

typedef struct member_list {
    graph_member *items;
    uint32_t count, capacity;
} member_list;

static graph_member *append(type_graph *graph, member_list *list)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        graph_member *grown =
            capacity > MEMBERS_MOST ? NULL : rp_arena_take(graph->arena, capacity, sizeof *grown);
        if (!grown) {
            return NULL;
        }
        if (list->count) {
            memcpy(grown, list->items, list->count * sizeof *grown);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    return &list->items[list->count++];
}

static int line_of(Dwarf_Die *die)
{
    int line = 0;
    return dwarf_decl_line(die, &line) == 0 ? line : 0;
}

/* An unnamed union is known by its first member, since both builds have to find it. */
static const char *union_name(type_graph *graph, Dwarf_Die *die)
{
    Dwarf_Die child;
    const char *first = NULL;
    int result = dwarf_child(die, &child);
    while (result == 0 && !first) {
        first = dwarf_tag(&child) == DW_TAG_member ? dwarf_diename(&child) : NULL;
        result = dwarf_siblingof(&child, &child);
    }
    size_t length = first ? strlen(first) : 0;
    char *name = rp_arena_take(graph->arena, 1, length + sizeof "(union of )");
    if (name) {
        memcpy(name, "(union of ", 10);
        memcpy(name + 10, first ? first : "", length);
        name[10 + length] = ')';
    }
    return name;
}

static void fill_members(type_graph *graph, member_list *list, Dwarf_Die *aggregate,
                         uint64_t base_bits, int depth);

static void add_member(type_graph *graph, member_list *list, Dwarf_Die *die, uint64_t base_bits,
                       int depth)
{
    if (dwarf_hasattr(die, DW_AT_declaration) || dwarf_hasattr(die, DW_AT_external)) {
        return; /* a static member */
    }
    uint64_t width = rp_type_number(die, DW_AT_bit_size, 0);
    Dwarf_Die type;
    rp_type_of(die, &type);
    uint64_t offset_bits = base_bits + rp_type_offset_bits(die, &type, width);
    const char *name = dwarf_diename(die);
    Dwarf_Die peeled = type;
    int tag = rp_type_peel(&peeled);
    if (!name && (tag == DW_TAG_structure_type || tag == DW_TAG_class_type)) {
        fill_members(graph, list, &peeled, offset_bits, depth + 1);
        return;
    }
    if (!name && tag != DW_TAG_union_type) {
        return; /* padding */
    }
    bool table = name && strncmp(name, "_vptr", 5) == 0 && dwarf_hasattr(die, DW_AT_artificial);
    uint32_t node = table ? GRAPH_VOID : rp_graph_of(graph, &type);
    name = name ? name : union_name(graph, &peeled);
    graph_member *member = name ? append(graph, list) : NULL;
    if (member) {
        *member = (graph_member){.name = table ? "(virtual table)" : name,
                                 .offset_bits = offset_bits,
                                 .width_bits = width > 128 ? 0 : (uint32_t)width,
                                 .node = node,
                                 .line = line_of(die),
                                 .table = table};
    }
}

static void add_base(type_graph *graph, member_list *list, Dwarf_Die *die, uint64_t base_bits)
{
    Dwarf_Die type;
    if (!rp_type_of(die, &type)) {
        return;
    }
    uint32_t node = rp_graph_of(graph, &type);
    graph_member *member = append(graph, list);
    if (member) {
        *member = (graph_member){
            .name = rp_graph_node(graph, node)->name,
            .offset_bits = base_bits + rp_type_place_of(die, DW_AT_data_member_location) * 8,
            .node = node,
            .line = line_of(die),
            .base = true,
            .apart = rp_type_number(die, DW_AT_virtuality, 0) != 0};
    }
}

static void fill_members(type_graph *graph, member_list *list, Dwarf_Die *aggregate,
                         uint64_t base_bits, int depth)
{
    Dwarf_Die die;
    int result = dwarf_child(aggregate, &die);
    while (result == 0 && depth < NEST_MOST && list->count < MEMBERS_MOST) {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_member) {
            add_member(graph, list, &die, base_bits, depth);
        } else if (tag == DW_TAG_inheritance) {
            add_base(graph, list, &die, base_bits);
        }
        result = dwarf_siblingof(&die, &die);
    }
}

/* ---- enums ---- */

static int64_t constant_value(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Sword value = 0;
    if (dwarf_attr(die, DW_AT_const_value, &attribute)) {
        dwarf_formsdata(&attribute, &value);
    }
    return value;
}

static uint32_t count_constants(Dwarf_Die *die)
{
    Dwarf_Die child;
    uint32_t count = 0;
    int result = dwarf_child(die, &child);
    while (result == 0 && count < MEMBERS_MOST) {
        count += dwarf_tag(&child) == DW_TAG_enumerator;
        result = dwarf_siblingof(&child, &child);
    }
    return count;
}

static void fill_constants(type_graph *graph, uint32_t index)
{
    Dwarf_Die die = graph->nodes[index].die, child;
    uint32_t most = count_constants(&die), count = 0;
    graph_constant *constants = rp_arena_take(graph->arena, most + 1, sizeof *constants);
    int result = constants ? dwarf_child(&die, &child) : 1;
    while (result == 0 && count < most) {
        const char *name = dwarf_diename(&child);
        if (dwarf_tag(&child) == DW_TAG_enumerator && name) {
            constants[count++] = (graph_constant){name, constant_value(&child)};
        }
        result = dwarf_siblingof(&child, &child);
    }
    graph->nodes[index].constants = constants;
    graph->nodes[index].member_count = count;
}

/* ---- all ---- */

/* A pointer to a data member is its offset in the class. */
static void fill_member_pointer(type_graph *graph, uint32_t index)
{
    Dwarf_Die die = graph->nodes[index].die, type, owner;
    Dwarf_Attribute attribute;
    bool data = dwarf_tag(&die) == DW_TAG_ptr_to_member_type && rp_type_of(&die, &type) &&
                rp_type_peel(&type) != DW_TAG_subroutine_type;
    if (data && dwarf_attr(&die, DW_AT_containing_type, &attribute) &&
        dwarf_formref_die(&attribute, &owner)) {
        uint32_t target = rp_graph_of(graph, &owner);
        graph->nodes[index].target = target;
    }
}

static void fill(type_graph *graph, uint32_t index)
{
    graph_node node = graph->nodes[index];
    member_list list = {0};
    Dwarf_Die target;
    switch (node.kind) {
    case NODE_POINTER:
        rp_type_of(&node.die, &target);
        node.target = rp_graph_of(graph, &target);
        graph->nodes[index].target = node.target;
        break;
    case NODE_STRUCT:
    case NODE_UNION:
        fill_members(graph, &list, &node.die, 0, 0);
        graph->nodes[index].members = list.items;
        graph->nodes[index].member_count = list.count;
        rp_graph_apply_hints(graph, &graph->nodes[index]);
        rp_graph_reveal_buffer(graph, index);
        break;
    case NODE_NUMBER:
        fill_member_pointer(graph, index);
        break;
    case NODE_ENUM:
        fill_constants(graph, index);
        break;
    default:
        break;
    }
    graph->nodes[index].filled = true;
}

static void fill_all(type_graph *graph)
{
    while (graph->filled < graph->count && graph->status == RP_OK) {
        fill(graph, graph->filled++);
    }
}

rp_status rp_graph_fill(type_graph *graph)
{
    fill_all(graph);
    while (graph->revealed < graph->count && graph->status == RP_OK) {
        uint32_t container = graph->revealed++;
        uint32_t nodes = rp_graph_nodes_of(graph, container);
        fill_all(graph);
        if (nodes && graph->status == RP_OK) {
            rp_graph_reveal_nodes(graph, container, nodes);
        }
    }
    if (graph->status == RP_OK && graph->arena->failure != RP_OK) {
        graph->status = graph->arena->failure;
    }
    return graph->status;
}

/* ---- in words ---- */

void rp_graph_text(const type_graph *graph, uint32_t node, rp_text_buffer *text)
{
    Dwarf_Die die = graph->nodes[node].die;
    if (node == GRAPH_VOID || !die.addr) {
        rp_text_add(text, "%s", node == GRAPH_VOID ? "void" : "unknown type");
    } else {
        rp_type_text(graph->table, &die, text);
    }
}

void rp_graph_place(const type_graph *graph, uint32_t node, const graph_member *member,
                    rp_text_buffer *text)
{
    const graph_node *at = &graph->nodes[node];
    if (at->layout) {
        rp_type_place_text(at->layout, member ? member->line : 0, text);
    }
}
