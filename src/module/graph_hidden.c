/* What class templates hide from the types of their members. Layer: module.
 *
 *   a buffer    char[sizeof(T)], in which a T lives
 *   nodes       pointers to a base that all nodes share, where a container's are node<T>
 *
 *   _Rb_tree_impl: allocator<node<T>>  ─► of this container, each pointer to the base of node<T>
 *     header: base * ─┐                   leads to a copy of the base, `alone` of which is node<T>
 *                     └► base: base *     (the header itself is a base alone, inside the container)
 *
 * What the nodes are is told by the allocator that such a class inherits. This is how libstdc++'s
 * containers are made (bits/stl_tree.h, bits/stl_list.h, bits/forward_list.h, bits/hashtable.h). A
 * class of the program's own that looks like it may mean something else, and is left alone.
 */
#include "module/graph.h"

#include <dwarf.h>
#include <string.h>

enum { BASES_DEPTH_MOST = 6, STEPS_MOST = 1024 };

/* What a template was made for: its first parameter; where gcc leaves the parameters out, as it
 * does for most classes, what the function of that name returns a pointer to. */
static uint32_t made_for(type_graph *graph, uint32_t index, const char *function)
{
    Dwarf_Die die = graph->nodes[index].die, child, type;
    bool found = false;
    for (int result = die.addr ? dwarf_child(&die, &child) : 1; result == 0 && !found;
         result = found ? 0 : dwarf_siblingof(&child, &child)) {
        const char *name = dwarf_tag(&child) == DW_TAG_subprogram ? dwarf_diename(&child) : NULL;
        if (dwarf_tag(&child) == DW_TAG_template_type_parameter) {
            found = rp_type_of(&child, &type);
        } else if (name && strcmp(name, function) == 0 && rp_type_of(&child, &type)) {
            found = rp_type_peel(&type) == DW_TAG_pointer_type && rp_type_of(&type, &type);
        }
    }
    return found ? rp_graph_of(graph, &type) : GRAPH_NONE;
}

/* ---- buffers ---- */

static bool is_buffer(const char *name)
{
    static const char *const templates[] = {"__gnu_cxx::__aligned_membuf<",
                                            "__gnu_cxx::__aligned_buffer<"};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        if (strncmp(name, templates[i], strlen(templates[i])) == 0) {
            return true;
        }
    }
    return false;
}

void rp_graph_reveal_buffer(type_graph *graph, uint32_t index)
{
    uint32_t held = is_buffer(graph->nodes[index].name) ? made_for(graph, index, "_M_ptr") : 0;
    graph_node *buffer = &graph->nodes[index];
    bool fits = held && graph->nodes[held].size_bytes &&
                graph->nodes[held].size_bytes <= buffer->size_bytes;
    for (uint32_t i = 0; i < buffer->member_count && fits; i++) {
        if (!buffer->members[i].base && buffer->members[i].offset_bits == 0) {
            buffer->members[i].node = held;
            buffer->buffer = true;
        }
    }
}

/* ---- nodes ---- */

bool rp_graph_is_allocator(const graph_node *node)
{
    static const char ending[] = "allocator";
    const char *name = node->name;
    size_t length = strcspn(name, "<");
    return name[length] && length >= sizeof ending - 1 &&
           strncmp(name + length - (sizeof ending - 1), ending, sizeof ending - 1) == 0;
}

/* What the allocator among a class' bases is for. The function that tells may be of its own base.
 */
static uint32_t allocated_by(type_graph *graph, uint32_t index, bool within, int depth)
{
    uint32_t found = GRAPH_NONE;
    if (depth > BASES_DEPTH_MOST || graph->nodes[index].kind != NODE_STRUCT) {
        return GRAPH_NONE;
    }
    if (within || rp_graph_is_allocator(&graph->nodes[index])) {
        within = true;
        found = made_for(graph, index, "allocate");
    }
    for (uint32_t i = 0; i < graph->nodes[index].member_count && !found; i++) {
        const graph_member *member = &graph->nodes[index].members[i];
        found = member->base && !member->apart
                    ? allocated_by(graph, member->node, within, depth + 1)
                    : GRAPH_NONE;
    }
    return found;
}

static bool is_standard(const graph_node *node)
{
    return node->kind == NODE_STRUCT && strncmp(node->name, "std::", 5) == 0;
}

uint32_t rp_graph_nodes_of(type_graph *graph, uint32_t container)
{
    const graph_node *node = &graph->nodes[container];
    bool may = is_standard(node) && node->member_count > 1 && !node->alias_of;
    uint32_t nodes = may ? allocated_by(graph, container, false, 0) : GRAPH_NONE;
    return nodes && is_standard(&graph->nodes[nodes]) ? nodes : GRAPH_NONE;
}

/* The base that an object begins with; null: it has none. */
static graph_member *base_of(const type_graph *graph, uint32_t nodes)
{
    const graph_node *node = &graph->nodes[nodes];
    for (uint32_t i = 0; i < node->member_count; i++) {
        graph_member *member = &node->members[i];
        if (member->base && !member->apart && member->offset_bits == 0 &&
            graph->nodes[member->node].kind == NODE_STRUCT &&
            graph->nodes[member->node].size_bytes >= sizeof(void *)) {
            return member;
        }
    }
    return NULL;
}

typedef struct revealing {
    type_graph *graph;
    uint32_t base, becomes; /* each pointer to `base` leads to `becomes` */
    uint32_t steps;         /* what is left of them: a damaged file may hold itself many times */
} revealing;

static bool leads_to_base(revealing *r, uint32_t index)
{
    const graph_node *node = &r->graph->nodes[index];
    bool found = false;
    if (!r->steps) {
        return false;
    }
    r->steps--;
    if (node->kind == NODE_POINTER) {
        return node->target == r->base || (r->graph->nodes[node->target].kind == NODE_POINTER &&
                                           leads_to_base(r, node->target));
    }
    if (node->kind == NODE_ARRAY) {
        return leads_to_base(r, node->target);
    }
    for (uint32_t i = 0; i < node->member_count && node->kind == NODE_STRUCT && !found; i++) {
        found = !node->members[i].apart && leads_to_base(r, node->members[i].node);
    }
    return found;
}

static uint32_t revealed(revealing *r, uint32_t index);

/* A copy of a node that leads elsewhere. */
static uint32_t copy_to(type_graph *graph, uint32_t index, uint32_t target)
{
    graph_node copy = graph->nodes[index];
    copy.target = target;
    return rp_graph_add(graph, copy);
}

static uint32_t revealed_pointer(revealing *r, uint32_t index)
{
    uint32_t target = r->graph->nodes[index].target, becomes = target;
    if (target == r->base) {
        becomes = r->becomes;
    } else if (r->graph->nodes[target].kind == NODE_POINTER) {
        becomes = revealed(r, target);
    }
    return becomes == target ? index : copy_to(r->graph, index, becomes);
}

/* The members of a struct as they become; null: as they are. */
static graph_member *revealed_members(revealing *r, uint32_t index)
{
    uint32_t count = r->graph->nodes[index].member_count;
    graph_member *members = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const graph_member *was = &r->graph->nodes[index].members[i];
        uint32_t becomes = was->apart ? was->node : revealed(r, was->node);
        if (becomes != was->node && !members) {
            members = rp_arena_take(r->graph->arena, count, sizeof *members);
            if (!members) {
                return NULL;
            }
            memcpy(members, was - i, count * sizeof *members);
        }
        if (members) {
            members[i].node = becomes;
        }
    }
    return members;
}

static uint32_t revealed_struct(revealing *r, uint32_t index)
{
    graph_member *members = revealed_members(r, index);
    if (!members) {
        return index;
    }
    graph_node copy = r->graph->nodes[index];
    copy.members = members;
    copy.alias_of = index;
    return rp_graph_add(r->graph, copy);
}

/* Of what lies in the container by value, and the pointers in it. */
static uint32_t revealed(revealing *r, uint32_t index)
{
    uint32_t target;
    if (index == r->base) {
        return r->becomes;
    }
    if (!r->steps) {
        return index;
    }
    r->steps--;
    switch (r->graph->nodes[index].kind) {
    case NODE_POINTER:
        return revealed_pointer(r, index);
    case NODE_ARRAY:
        target = revealed(r, r->graph->nodes[index].target);
        return target == r->graph->nodes[index].target ? index : copy_to(r->graph, index, target);
    case NODE_STRUCT:
        return revealed_struct(r, index);
    default:
        return index;
    }
}

/* The base as this container's nodes begin with it: made once for all containers of such nodes. */
static uint32_t base_of_nodes(type_graph *graph, uint32_t nodes, graph_member *member)
{
    revealing r = {graph, member->node, graph->count, STEPS_MOST};
    graph_node copy = graph->nodes[member->node];
    if (copy.alone) {
        return member->node;
    }
    copy.alias_of = member->node;
    copy.alone = nodes;
    if (rp_graph_add(graph, copy) != r.becomes) {
        return GRAPH_NONE;
    }
    graph_member *members = revealed_members(&r, r.becomes);
    if (members) {
        graph->nodes[r.becomes].members = members;
    }
    member->node = r.becomes;
    return r.becomes;
}

void rp_graph_reveal_nodes(type_graph *graph, uint32_t container, uint32_t nodes)
{
    graph_member *member = base_of(graph, nodes);
    uint32_t base = member ? graph->nodes[member->node].alias_of : GRAPH_NONE;
    revealing r = {graph, base ? base : member ? member->node : GRAPH_NONE, 0, STEPS_MOST};
    if (!member || !leads_to_base(&r, container)) {
        return;
    }
    r.becomes = base_of_nodes(graph, nodes, member);
    r.steps = STEPS_MOST;
    graph_member *members = r.becomes ? revealed_members(&r, container) : NULL;
    if (members) {
        graph->nodes[container].members = members;
    }
    graph->filled = graph->count; /* copies of what was filled */
}
