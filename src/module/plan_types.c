/* The types of a plan: memory, variables, and all that is reached from them. Layer: module. */
#include "module/plan_types_build.h"

#include "base/bits.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES RP_GIB(1) /* reserved only */
enum { CHAIN_MOST = 32, NAME_BYTES = 240 };

/* ---- memory ---- */

void *rp_types_push(types_build *build, types_pool *pool, uint32_t count, size_t size_bytes)
{
    if (pool->count > UINT32_MAX / 2 - count) {
        build->status = rp_fail(RP_E_LIMIT, "build: it has too many types");
        return NULL;
    }
    if (!pool->items || pool->count + count > pool->capacity) {
        uint32_t capacity = pool->capacity ? pool->capacity * 2 : 16;
        while (capacity < pool->count + count) {
            capacity *= 2;
        }
        void *items = rp_arena_take(&build->arena, capacity, size_bytes);
        if (!items) {
            build->status = build->arena.failure;
            return NULL;
        }
        if (pool->count) {
            memcpy(items, pool->items, pool->count * size_bytes);
        }
        pool->items = items;
        pool->capacity = capacity;
    }
    void *pushed = (char *)pool->items + pool->count * size_bytes;
    pool->count += count;
    return pushed;
}

uint32_t rp_types_name(types_build *build, const char *text)
{
    size_t length = strlen(text);
    if (!length || length >= UINT32_MAX / 4) {
        return 0;
    }
    char *to = rp_types_push(build, &build->names, (uint32_t)length + 1, 1);
    if (!to) {
        return 0;
    }
    memcpy(to, text, length + 1);
    return (uint32_t)(to - (char *)build->names.items);
}

const char *rp_types_name_at(const types_build *build, uint32_t name)
{
    return (const char *)build->names.items + name;
}

uint32_t *rp_types_partner_of(types_build *build, uint32_t old_node)
{
    while (build->partners.count <= old_node && build->status == RP_OK) {
        rp_types_push(build, &build->partners, old_node + 64 - build->partners.count,
                      sizeof(uint32_t));
    }
    return build->status == RP_OK ? (uint32_t *)build->partners.items + old_node : NULL;
}

/* Index 0 of everything that is known by index is none. */
rp_status rp_types_build_init(types_build *build, const rp_elf *old_elf, const rp_elf *new_elf,
                              const rp_type_answer *answers)
{
    *build = (types_build){.answers = answers};
    build->status = rp_arena_init(&build->arena, ARENA_BYTES);
    if (build->status == RP_OK) {
        build->status = rp_graph_init(&build->old_graph, old_elf, &build->arena);
    }
    if (build->status == RP_OK) {
        build->status = rp_graph_init(&build->new_graph, new_elf, &build->arena);
    }
    if (build->status == RP_OK) {
        rp_types_push(build, &build->names, 1, 1);
        rp_types_push(build, &build->types, 1, sizeof(rp_plan_type));
        rp_types_push(build, &build->nodes_of, 1, sizeof(uint32_t));
        rp_types_push(build, &build->conversions, 1, sizeof(rp_plan_conversion));
    }
    return build->status;
}

void rp_types_build_finish(types_build *build)
{
    rp_arena_finish(&build->arena);
}

void rp_types_fill_graphs(types_build *build)
{
    rp_status status = rp_graph_fill(&build->old_graph);
    status = status == RP_OK ? rp_graph_fill(&build->new_graph) : status;
    build->status = build->status == RP_OK ? status : build->status;
}

/* ---- variables ---- */

static void variable_name(const rp_symbol *symbol, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_text_add(&buffer, "%.*s", (int)symbol->base_length, symbol->base);
}

uint32_t rp_types_root(types_build *build, const rp_symbol *old_symbol)
{
    uint32_t node = rp_graph_variable(&build->old_graph, old_symbol);
    rp_types_fill_graphs(build);
    if (!node || build->status != RP_OK) {
        return 0;
    }
    char name[NAME_BYTES];
    variable_name(old_symbol, name, sizeof name);
    const char *answer = rp_types_answer(build, name);
    uint32_t type = answer ? rp_types_answered(build, node, answer) : rp_types_type(build, node);
    rp_types_fill_type(build, type);
    return type;
}

void rp_types_variable(types_build *build, const rp_symbol *old_symbol, const rp_symbol *new_symbol,
                       uint32_t *type, uint32_t *conversion)
{
    *type = rp_types_root(build, old_symbol);
    uint32_t old_node = rp_graph_variable(&build->old_graph, old_symbol);
    uint32_t new_node = rp_graph_variable(&build->new_graph, new_symbol);
    rp_types_fill_graphs(build);
    *conversion = 0;
    if (old_node && new_node && build->status == RP_OK) {
        char name[NAME_BYTES];
        variable_name(old_symbol, name, sizeof name);
        *conversion = rp_types_convert(build, old_node, new_node, name);
    }
}

/* ---- partners by name ---- */

/* The new type of that name; where several files have one of their own, that of the same file. */
static uint32_t partner_by_name(types_build *build, const graph_node *old_node)
{
    const type_table *table = build->new_graph.table;
    const type_layout *found = NULL;
    bool several = false;
    size_t first = 0;
    size_t count = old_node->layout ? rp_graph_run(table, old_node->layout, &first) : 0;
    for (size_t i = first; i < first + count; i++) {
        const type_layout *candidate = table->types[i];
        bool own = strcmp(candidate->unit, old_node->layout->unit) == 0;
        if (own) {
            return rp_graph_of(&build->new_graph, &candidate->die);
        }
        several |= found && found->hash != candidate->hash;
        found = found ? found : candidate;
    }
    return found && !several ? rp_graph_of(&build->new_graph, &found->die) : GRAPH_NONE;
}

static void convert_type(types_build *build, uint32_t type)
{
    uint32_t node_index = ((uint32_t *)build->nodes_of.items)[type];
    graph_node node = *rp_graph_node(&build->old_graph, node_index);
    if (node.kind != NODE_STRUCT && node.kind != NODE_UNION && node.kind != NODE_ENUM) {
        return;
    }
    uint32_t *partner = rp_types_partner_of(build, node_index);
    uint32_t becomes = partner ? *partner : 0;
    if (!becomes && (becomes = partner_by_name(build, &node))) {
        rp_types_fill_graphs(build);
    }
    if (becomes && build->status == RP_OK) {
        uint32_t conversion = rp_types_convert(build, node_index, becomes, node.name);
        types_type(build, type)->conversion = conversion;
    }
}

/* ---- heirs ---- */

/* The struct that another begins with; GRAPH_NONE: it begins with something else. An allocator has
 * no value, and a container begins with what follows it. */
static uint32_t first_struct(const type_graph *graph, uint32_t node_index)
{
    const graph_node *node = rp_graph_node(graph, node_index);
    for (uint32_t i = 0; i < node->member_count && node->kind == NODE_STRUCT; i++) {
        const graph_member *member = &node->members[i];
        const graph_node *inside = rp_graph_node(graph, member->node);
        uint32_t first = member->node;
        if (inside->kind == NODE_ARRAY) {
            first = inside->target;
            inside = rp_graph_node(graph, first);
        }
        if (member->offset_bits == 0 && inside->kind == NODE_STRUCT && inside->size_bytes &&
            !(member->base && rp_graph_is_allocator(inside))) {
            return first;
        }
    }
    return GRAPH_NONE;
}

static int compare_links(const void *a_pointer, const void *b_pointer)
{
    const types_link *a = a_pointer, *b = b_pointer;
    if (a->old_node != b->old_node) {
        return a->old_node < b->old_node ? -1 : 1;
    }
    return (a->new_node > b->new_node) - (a->new_node < b->new_node);
}

static void add_base(types_build *build, uint32_t base, uint32_t heir)
{
    types_link *link = base ? rp_types_push(build, &build->bases, 1, sizeof *link) : NULL;
    if (link) {
        *link = (types_link){base, heir};
    }
}

/* Every struct of the old build with each that it begins with. */
static void find_bases(types_build *build)
{
    type_graph *graph = &build->old_graph;
    for (size_t i = 0; i < graph->table->count; i++) {
        if (graph->table->types[i]->kind == TYPE_STRUCT) {
            rp_graph_of(graph, &graph->table->types[i]->die);
        }
    }
    rp_types_fill_graphs(build);
    for (uint32_t heir = 2; heir < graph->count && build->status == RP_OK; heir++) {
        add_base(build, rp_graph_node(graph, heir)->alias_of, heir);
        uint32_t base = rp_graph_node(graph, heir)->buffer ? GRAPH_NONE : first_struct(graph, heir);
        for (int chain = 0; base && chain < CHAIN_MOST; chain++) {
            add_base(build, base, heir);
            add_base(build, rp_graph_node(graph, base)->alias_of, heir);
            base = first_struct(graph, base);
        }
    }
    if (build->bases.count) {
        qsort(build->bases.items, build->bases.count, sizeof(types_link), compare_links);
    }
}

static uint32_t first_heir(const types_build *build, uint32_t node)
{
    const types_link *links = build->bases.items;
    uint32_t low = 0, high = build->bases.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (links[middle].old_node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_heirs(types_build *build, uint32_t type)
{
    uint32_t node = ((uint32_t *)build->nodes_of.items)[type];
    uint32_t at = first_heir(build, node), first = build->heirs.count, last = 0;
    for (; at < build->bases.count && build->status == RP_OK; at++) {
        types_link link = ((types_link *)build->bases.items)[at];
        if (link.old_node != node) {
            break;
        }
        uint32_t heir = rp_types_type(build, link.new_node);
        uint32_t *added =
            heir != last ? rp_types_push(build, &build->heirs, 1, sizeof *added) : NULL;
        if (added) {
            *added = last = heir;
        }
    }
    types_type(build, type)->first_heir = first;
    types_type(build, type)->heir_count = build->heirs.count - first;
}

static void add_alone(types_build *build, uint32_t type)
{
    uint32_t node = ((uint32_t *)build->nodes_of.items)[type];
    uint32_t alone = rp_graph_node(&build->old_graph, node)->alone;
    if (alone) {
        alone = rp_types_type(build, alone);
        types_type(build, type)->alone = alone;
    }
}

/* ---- all ---- */

static void take_links(types_build *build)
{
    for (uint32_t i = 0; i < build->found.count && build->status == RP_OK; i++) {
        types_link link = ((types_link *)build->found.items)[i];
        const graph_node *node = rp_graph_node(&build->old_graph, link.old_node);
        rp_types_convert(build, link.old_node, link.new_node, node->name);
    }
    build->found.count = 0;
}

static void add_sites(types_build *build)
{
    for (const rp_type_answer *answer = build->answers; answer; answer = answer->next) {
        if (!strchr(answer->what, ':') || build->status != RP_OK) {
            continue;
        }
        rp_plan_slot slot = {0};
        rp_types_apply_answer(build, &slot, answer->type);
        uint32_t name = rp_types_name(build, answer->what);
        rp_plan_site *site =
            slot.type ? rp_types_push(build, &build->sites, 1, sizeof *site) : NULL;
        if (site) {
            *site = (rp_plan_site){name, slot.type};
        }
    }
}

/* Types that changed count wherever they are used: a block that only void pointers lead to may be
 * of one. */
static void add_changed(types_build *build)
{
    const type_table *old_types = build->old_graph.table, *new_types = build->new_graph.table;
    for (size_t i = 0; i < old_types->count && build->status == RP_OK; i++) {
        const type_layout *type = old_types->types[i];
        if (type->kind != TYPE_STRUCT && type->kind != TYPE_UNION) {
            continue;
        }
        size_t first, count = rp_graph_run(new_types, type, &first);
        bool same = count == 0 && !build->all;
        for (size_t k = first; k < first + count; k++) {
            same |= new_types->types[k]->hash == type->hash && !build->all;
        }
        if (!same) {
            uint32_t node = rp_graph_of(&build->old_graph, &type->die);
            rp_types_fill_graphs(build);
            rp_types_type(build, node);
        }
    }
}

rp_status rp_types_complete(types_build *build, uint64_t old_base)
{
    find_bases(build);
    add_changed(build);
    add_sites(build);
    if (build->status == RP_OK) {
        rp_types_tables(build, old_base);
    }
    take_links(build);
    for (uint32_t done = 1; done < build->types.count && build->status == RP_OK; done++) {
        rp_types_fill_type(build, done);
        if (((uint32_t *)build->nodes_of.items)[done] != GRAPH_VOID) {
            add_heirs(build, done);
            add_alone(build, done);
            convert_type(build, done);
        }
        take_links(build);
    }
    for (uint32_t i = 0; i < build->types.count; i++) {
        types_type(build, i)->flags &= ~TYPES_FILLED;
    }
    return build->status;
}
