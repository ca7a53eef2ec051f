/* A build's variables, and what scalars hold. Layer: module. */
#include "module/value_internal.h"

#include "base/bits.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MOST_BYTES RP_GIB(2)

/* ---- opening ---- */

static int compare_variables(const void *a_pointer, const void *b_pointer)
{
    const value_variable *a = a_pointer, *b = b_pointer;
    return (a->address > b->address) - (a->address < b->address);
}

static bool is_wanted(const rp_values *values, const rp_symbol *symbol)
{
    bool thread = symbol->kind == RP_SYMBOL_THREAD && values->tls_address;
    return (thread || symbol->kind == RP_SYMBOL_VARIABLE) && !symbol->read_only;
}

static rp_status read_variables(rp_values *values)
{
    const rp_elf *elf = values->elf;
    values->variables =
        rp_arena_take(&values->arena, elf->symbol_count + 1, sizeof *values->variables);
    for (size_t i = 0; values->variables && i < elf->symbol_count; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        uint32_t node = is_wanted(values, symbol) ? rp_graph_variable(&values->graph, symbol) : 0;
        if (node) {
            uint64_t base = symbol->kind == RP_SYMBOL_THREAD ? values->tls_address : values->base;
            values->variables[values->variable_count++] =
                (value_variable){symbol, node, base + symbol->address};
        }
    }
    return values->arena.failure;
}

/* Types that nothing leads to may still begin with one that something does. */
static void read_types(rp_values *values)
{
    const type_table *table = values->graph.table;
    for (size_t i = 0; i < table->count; i++) {
        rp_graph_of(&values->graph, &table->types[i]->die);
    }
}

static rp_status no_types(const rp_elf *elf, types_state state)
{
    static const char *const why[] = {
        [TYPES_KNOWN] = "",
        [TYPES_NONE] = "it has no debug information about types: build it with -g",
        [TYPES_APART] =
            "a .dwo file of its debug information could not be had: build it without -gsplit-dwarf",
        [TYPES_DAMAGED] = "its debug information contradicts itself"};
    return rp_fail(RP_E_NOT_FOUND, "%s: %s", elf->path, why[state]);
}

static rp_status read_all(rp_values *values)
{
    rp_status status = rp_graph_init(&values->graph, values->elf, &values->arena);
    if (status) {
        return status;
    }
    if (rp_types_state(values->graph.table) != TYPES_KNOWN) {
        return no_types(values->elf, rp_types_state(values->graph.table));
    }
    status = read_variables(values);
    if (!status) {
        read_types(values);
        status = rp_graph_fill(&values->graph);
    }
    if (!status) {
        qsort(values->variables, values->variable_count, sizeof *values->variables,
              compare_variables);
        values->pointers = rp_arena_take(&values->arena, values->graph.count, 1);
        values->begins = rp_arena_take(&values->arena, values->graph.count, 1);
        status = values->arena.failure;
    }
    return status;
}

rp_status rp_values_open(const rp_elf *elf, uint64_t base, uint64_t tls_address, rp_values **out)
{
    module_arena arena;
    rp_status status = rp_arena_init(&arena, VALUES_MOST_BYTES);
    *out = NULL;
    if (status) {
        return status;
    }
    rp_values *values = rp_arena_take(&arena, 1, sizeof *values);
    if (!values) {
        status = arena.failure;
        rp_arena_finish(&arena);
        return status;
    }
    *values = (rp_values){.elf = elf, .base = base, .tls_address = tls_address, .arena = arena};
    status = read_all(values);
    if (status) {
        rp_values_close(values);
        return status;
    }
    *out = values;
    return RP_OK;
}

void rp_values_close(rp_values *values)
{
    if (values) {
        module_arena arena = values->arena; /* it holds `values` itself */
        rp_arena_finish(&arena);
    }
}

/* ---- variables ---- */

const value_variable *value_variable_at(const rp_values *values, uint64_t address)
{
    uint32_t low = 0, high = values->variable_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (values->variables[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (!low) {
        return NULL;
    }
    const value_variable *found = &values->variables[low - 1];
    uint64_t size_bytes = value_node(values, found->node)->size_bytes;
    size_bytes = size_bytes ? size_bytes : found->symbol->size_bytes;
    return address - found->address < size_bytes ? found : NULL;
}

static bool same_base(const rp_symbol *a, const rp_symbol *b)
{
    return a->base_length == b->base_length && memcmp(a->base, b->base, a->base_length) == 0;
}

void value_variable_name(const rp_values *values, const rp_symbol *symbol, rp_text_buffer *text)
{
    bool alone = true;
    for (uint32_t i = 0; i < values->variable_count && !symbol->scope[0]; i++) {
        const rp_symbol *other = values->variables[i].symbol;
        alone &= other == symbol || other->scope[0] || !same_base(other, symbol);
    }
    if (symbol->scope[0]) {
        rp_text_add(text, "%.64s::", symbol->scope);
    } else if (!alone && symbol->file[0]) {
        rp_text_add(text, "'%.64s'::", symbol->file);
    }
    rp_text_add(text, "%.*s", (int)rp_min_size(symbol->base_length, 96), symbol->base);
}

void value_type_text(const rp_values *values, uint32_t node, char *text, size_t capacity)
{
    rp_text_buffer buffer = rp_text_buffer_over(text, capacity);
    rp_graph_text(&values->graph, node, &buffer);
}

/* ---- what nodes are ---- */

bool value_is_text(const rp_values *values, uint32_t node)
{
    const graph_node *of = value_node(values, node);
    return of->kind == NODE_ARRAY && of->count && of->count <= 4096 &&
           value_node(values, of->target)->character;
}

bool value_is_scalar(const rp_values *values, uint32_t node)
{
    node_kind kind = value_node(values, node)->kind;
    return kind == NODE_NUMBER || kind == NODE_ENUM || kind == NODE_POINTER ||
           value_is_text(values, node);
}

static bool holds(rp_values *values, uint32_t node, int depth)
{
    const graph_node *of = value_node(values, node);
    if (of->kind == NODE_POINTER) {
        return true;
    }
    if (depth > VALUE_DEPTH_MOST || (of->kind != NODE_ARRAY && of->kind != NODE_STRUCT)) {
        return false;
    }
    if (values->pointers[node]) {
        return values->pointers[node] == 1;
    }
    values->pointers[node] = 2; /* also where a damaged type holds itself */
    bool found = of->kind == NODE_ARRAY && holds(values, of->target, depth + 1);
    for (uint32_t i = 0; of->kind == NODE_STRUCT && i < of->member_count && !found; i++) {
        found = holds(values, of->members[i].node, depth + 1);
    }
    values->pointers[node] = found ? 1 : 2;
    return found;
}

bool value_holds_pointers(rp_values *values, uint32_t node)
{
    return holds(values, node, 0);
}

/* ---- leaves ---- */

static void leaves(const value_leaf_walk *walk, uint32_t node, uint64_t address, int depth);

static bool touches(const value_leaf_walk *walk, uint64_t address, uint64_t size_bytes)
{
    return address < walk->high && address + size_bytes > walk->low;
}

static void member_leaves(const value_leaf_walk *walk, const graph_member *member, uint64_t address,
                          int depth)
{
    size_t length = walk->path->length;
    uint64_t at = address + member->offset_bits / 8;
    value_member_add(member, walk->path);
    if (member->width_bits) {
        value_scalar scalar = {.node = member->node,
                               .width_bits = member->width_bits,
                               .address = at,
                               .bit = (uint32_t)(member->offset_bits % 8),
                               .count = 1};
        if (touches(walk, at, value_scalar_bytes(walk->values, &scalar))) {
            walk->told(walk->context, &scalar);
        }
    } else if (touches(walk, at, value_node(walk->values, member->node)->size_bytes)) {
        leaves(walk, member->node, at, depth + 1);
    }
    value_path_cut(walk->path, length);
}

static void element_leaves(const value_leaf_walk *walk, const graph_node *array, uint64_t address,
                           int depth)
{
    uint64_t each = value_node(walk->values, array->target)->size_bytes;
    uint64_t low = walk->low > address ? (walk->low - address) / each : 0;
    uint64_t high = walk->high - address;
    high = high / each + (high % each != 0);
    high = high < array->count ? high : array->count;
    for (uint64_t i = low; i < high; i++) {
        size_t length = walk->path->length;
        rp_text_add(walk->path, "[%llu]", (unsigned long long)i);
        leaves(walk, array->target, address + i * each, depth + 1);
        value_path_cut(walk->path, length);
    }
}

static void leaves(const value_leaf_walk *walk, uint32_t node, uint64_t address, int depth)
{
    const graph_node *of = value_node(walk->values, node);
    bool array = of->kind == NODE_ARRAY && value_node(walk->values, of->target)->size_bytes;
    if (!of->size_bytes || !touches(walk, address, of->size_bytes) || !*walk->steps_left) {
        return;
    }
    --*walk->steps_left;
    if (depth < VALUE_DEPTH_MOST && of->kind == NODE_STRUCT && of->member_count) {
        for (uint32_t i = 0; i < of->member_count; i++) {
            member_leaves(walk, &of->members[i], address, depth);
        }
    } else if (depth < VALUE_DEPTH_MOST && array && !value_is_text(walk->values, node)) {
        element_leaves(walk, of, address, depth);
    } else {
        walk->told(walk->context, &(value_scalar){.node = node, .address = address, .count = 1});
    }
}

void value_leaves(const value_leaf_walk *walk, uint32_t node, uint64_t address)
{
    leaves(walk, node, address, 0);
}
