/* Types as a graph, from the entries of the debug information. Layer: module. */
#include "module/graph.h"

#include "base/error.h"

#include <dwarf.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_NODES = 256, FIRST_SLOTS = 1024, MEMBERS_MOST = 1 << 16 };

static void *take(type_graph *graph, size_t count, size_t size_bytes)
{
    void *taken = graph->status == RP_OK ? rp_arena_take(graph->arena, count, size_bytes) : NULL;
    if (!taken && graph->status == RP_OK) {
        graph->status = graph->arena->failure;
    }
    return taken;
}

/* ---- nodes by key ---- */

static graph_slot *slot_for(graph_slot *slots, uint32_t count, uint64_t key)
{
    uint32_t at = (uint32_t)key & (count - 1);
    while (slots[at].key && slots[at].key != key) {
        at = (at + 1) & (count - 1);
    }
    return &slots[at];
}

static bool grow_slots(type_graph *graph)
{
    if (graph->slots_used * 2 < graph->slot_count) {
        return true;
    }
    uint32_t count = graph->slot_count ? graph->slot_count * 2 : FIRST_SLOTS;
    graph_slot *slots = take(graph, count, sizeof *slots);
    for (uint32_t i = 0; slots && i < graph->slot_count; i++) {
        if (graph->slots[i].key) {
            *slot_for(slots, count, graph->slots[i].key) = graph->slots[i];
        }
    }
    if (slots) {
        graph->slots = slots;
        graph->slot_count = count;
    }
    return slots;
}

static uint32_t find(const type_graph *graph, uint64_t key)
{
    return slot_for(graph->slots, graph->slot_count, key)->node;
}

static void remember(type_graph *graph, uint64_t key, uint32_t node)
{
    if (grow_slots(graph)) {
        graph_slot *slot = slot_for(graph->slots, graph->slot_count, key);
        graph->slots_used += slot->key == 0;
        *slot = (graph_slot){key, node};
    }
}

static uint64_t key_of(const void *bytes, size_t size_bytes, uint64_t seed)
{
    uint64_t key = XXH3_64bits_withSeed(bytes, size_bytes, seed);
    return key ? key : 1;
}

static uint64_t entry_key(const Dwarf_Die *die)
{
    uintptr_t address = (uintptr_t)die->addr;
    return key_of(&address, sizeof address, 1);
}

/* ---- making nodes ---- */

uint32_t rp_graph_add(type_graph *graph, graph_node node)
{
    if (graph->count == graph->capacity) {
        uint32_t capacity = graph->capacity ? graph->capacity * 2 : FIRST_NODES;
        graph_node *nodes = take(graph, capacity, sizeof *nodes);
        if (!nodes) {
            return GRAPH_VOID;
        }
        if (graph->count) {
            memcpy(nodes, graph->nodes, graph->count * sizeof *nodes);
        }
        graph->nodes = nodes;
        graph->capacity = capacity;
    }
    node.name = node.name ? node.name : "";
    graph->nodes[graph->count] = node;
    return graph->count++;
}

static bool same_name(const type_layout *a, const type_layout *b)
{
    return rp_type_compare_keys(a, b) == 0;
}

size_t rp_graph_run(const type_table *table, const type_layout *layout, size_t *first)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rp_type_compare_keys(table->types[middle], layout) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *first = low;
    size_t end = low;
    while (end < table->count && same_name(table->types[end], layout)) {
        end++;
    }
    return end - low;
}

/* The layout that stands for an entry: of a declaration, the complete type of that name, in its own
 * file where the files differ. Null: there is none, or it cannot be told. */
static const type_layout *complete_layout(const type_table *table, const type_layout *layout,
                                          bool *uniform)
{
    size_t first, count = rp_graph_run(table, layout, &first);
    const type_layout *found = layout->complete ? layout : NULL;
    *uniform = true;
    for (size_t i = first + 1; i < first + count; i++) {
        *uniform &= table->types[i]->hash == table->types[first]->hash;
    }
    for (size_t i = first; i < first + count && !found; i++) {
        if (*uniform || strcmp(table->types[i]->unit, layout->unit) == 0) {
            found = table->types[i];
        }
    }
    return found;
}

static uint64_t layout_key(const type_layout *layout, bool uniform)
{
    uint64_t key = key_of(layout->name, strlen(layout->name), layout->hash);
    return uniform ? key : key_of(layout->unit, strlen(layout->unit), key);
}

static uint32_t add_struct(type_graph *graph, Dwarf_Die *die, int tag)
{
    node_kind kind = tag == DW_TAG_union_type ? NODE_UNION : NODE_STRUCT;
    const type_layout *layout = rp_type_layout_at(graph->table, die);
    if (!layout) {
        bool declared = dwarf_hasattr(die, DW_AT_declaration);
        return rp_graph_add(graph,
                            (graph_node){.kind = declared ? NODE_OPAQUE : kind,
                                         .name = dwarf_diename(die),
                                         .size_bytes = rp_type_number(die, DW_AT_byte_size, 0),
                                         .die = *die});
    }
    bool uniform;
    const type_layout *whole = complete_layout(graph->table, layout, &uniform);
    if (!whole) {
        return rp_graph_add(graph,
                            (graph_node){.kind = NODE_OPAQUE, .name = layout->name, .die = *die});
    }
    uint64_t key = layout_key(whole, uniform);
    uint32_t known = find(graph, key);
    if (known) {
        return known;
    }
    uint32_t node = rp_graph_add(graph, (graph_node){.kind = kind,
                                                     .name = whole->name,
                                                     .size_bytes = whole->size_bytes,
                                                     .layout = whole,
                                                     .die = whole->die});
    remember(graph, key, node);
    return node;
}

static number_form form_of(Dwarf_Die *die, bool *character)
{
    uint64_t size_bytes = rp_type_number(die, DW_AT_byte_size, 0);
    *character = false;
    switch (rp_type_number(die, DW_AT_encoding, 0)) {
    case DW_ATE_signed:
        return FORM_SIGNED;
    case DW_ATE_signed_char:
        *character = size_bytes == 1;
        return FORM_SIGNED;
    case DW_ATE_unsigned_char:
        *character = size_bytes == 1;
        return FORM_UNSIGNED;
    case DW_ATE_unsigned:
    case DW_ATE_UTF:
        return FORM_UNSIGNED;
    case DW_ATE_boolean:
        return FORM_BOOL;
    case DW_ATE_float:
        return size_bytes <= 8 ||
                       strcmp(dwarf_diename(die) ? dwarf_diename(die) : "", "long double") == 0
                   ? FORM_FLOAT
                   : FORM_OTHER;
    default:
        return FORM_OTHER;
    }
}

static uint32_t add_number(type_graph *graph, Dwarf_Die *die)
{
    graph_node node = {.kind = NODE_NUMBER, .name = dwarf_diename(die), .die = *die};
    node.size_bytes = rp_type_number(die, DW_AT_byte_size, 0);
    node.form = form_of(die, &node.character);
    return rp_graph_add(graph, node);
}

/* gcc and clang both give an enum its underlying type; older ones tell by the constants. */
static number_form enum_form(Dwarf_Die *die)
{
    Dwarf_Die under;
    bool character;
    return rp_type_of(die, &under) && rp_type_peel(&under) == DW_TAG_base_type
               ? form_of(&under, &character)
               : FORM_UNSIGNED;
}

/* The one kind whose entry needs another's first. Damaged debug information has arrays of
 * themselves, so an element deeper than a program has is void. */
static uint32_t element_of(type_graph *graph, Dwarf_Die *array)
{
    enum { NESTING_MOST = 64 };
    Dwarf_Die element;
    if (!rp_type_of(array, &element) || graph->nesting == NESTING_MOST) {
        return GRAPH_VOID;
    }
    graph->nesting++;
    uint32_t node = rp_graph_of(graph, &element);
    graph->nesting--;
    return node;
}

/* An array of several dimensions is an array of arrays, the last bound innermost. */
static uint32_t add_array(type_graph *graph, Dwarf_Die *die)
{
    enum { DIMENSIONS_MOST = 8 };
    uint64_t counts[DIMENSIONS_MOST];
    Dwarf_Die child = {0};
    int dimensions = 0;
    while (dimensions < DIMENSIONS_MOST && rp_type_next_count(die, &child, &counts[dimensions])) {
        dimensions++;
    }
    uint32_t inner = element_of(graph, die);
    for (int i = dimensions - 1; i >= 0; i--) {
        uint64_t size = 0;
        bool fits = !__builtin_mul_overflow(graph->nodes[inner].size_bytes, counts[i], &size);
        inner = rp_graph_add(graph, (graph_node){.kind = fits ? NODE_ARRAY : NODE_OPAQUE,
                                                 .size_bytes = size,
                                                 .count = counts[i],
                                                 .target = inner,
                                                 .die = *die});
    }
    return inner;
}

static uint32_t add_entry(type_graph *graph, Dwarf_Die *die, int tag)
{
    uint64_t size_bytes = rp_type_number(die, DW_AT_byte_size, 0);
    switch (tag) {
    case DW_TAG_base_type:
        return add_number(graph, die);
    case DW_TAG_enumeration_type:
        return rp_graph_add(graph, (graph_node){.kind = NODE_ENUM,
                                                .form = enum_form(die),
                                                .name = rp_type_name(graph->table, die),
                                                .size_bytes = size_bytes,
                                                .die = *die});
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        return rp_graph_add(graph,
                            (graph_node){.kind = NODE_POINTER, .size_bytes = 8, .die = *die});
    case DW_TAG_subroutine_type:
        return rp_graph_add(graph, (graph_node){.kind = NODE_FUNCTION, .die = *die});
    case DW_TAG_array_type:
        return add_array(graph, die);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return add_struct(graph, die, tag);
    case DW_TAG_ptr_to_member_type:
        return rp_graph_add(graph, (graph_node){.kind = NODE_NUMBER,
                                                .form = FORM_OTHER,
                                                .name = "pointer to a member",
                                                .size_bytes = size_bytes ? size_bytes : 8,
                                                .die = *die});
    default:
        return rp_graph_add(graph, (graph_node){.kind = NODE_OPAQUE,
                                                .name = dwarf_diename(die),
                                                .size_bytes = size_bytes,
                                                .die = *die});
    }
}

uint32_t rp_graph_of(type_graph *graph, const Dwarf_Die *type)
{
    Dwarf_Die die = *type;
    int tag = die.addr ? rp_type_peel(&die) : 0;
    if (tag == 0 || graph->status != RP_OK) {
        return GRAPH_VOID;
    }
    uint64_t key = entry_key(&die);
    uint32_t known = find(graph, key);
    if (!known) {
        known = add_entry(graph, &die, tag);
        remember(graph, key, known);
    }
    return known;
}

/* ---- what is known by name ---- */

uint32_t rp_graph_variable(type_graph *graph, const rp_symbol *symbol)
{
    const type_table *table = graph->table;
    const type_layout *layout =
        table->state == TYPES_KNOWN ? table->variables[symbol - graph->elf->symbols] : NULL;
    Dwarf_Die type;
    if (!layout) {
        return GRAPH_NONE;
    }
    Dwarf_Die die = layout->die;
    return rp_type_of(&die, &type) ? rp_graph_of(graph, &type) : GRAPH_NONE;
}

const char *rp_graph_bare_name(const char *name)
{
    static const char *const words[] = {"struct ", "class ", "union ", "enum "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (strncmp(name, words[i], length) == 0) {
            return name + length;
        }
    }
    return name;
}

uint32_t rp_graph_named(type_graph *graph, const char *name)
{
    name = rp_graph_bare_name(name);
    uint32_t found = GRAPH_NONE;
    for (type_kind kind = TYPE_STRUCT; kind <= TYPE_ALIAS; kind++) {
        type_layout wanted = {.name = name, .kind = kind};
        size_t first, count = kind == TYPE_UNION ? 0 : rp_graph_run(graph->table, &wanted, &first);
        for (size_t i = 0; i < count; i++) {
            uint32_t node = rp_graph_of(graph, &graph->table->types[first + i]->die);
            if (found && found != node && kind != TYPE_ALIAS) {
                return GRAPH_NONE;
            }
            found = found ? found : node;
        }
    }
    return found;
}

rp_status rp_graph_init(type_graph *graph, const rp_elf *elf, module_arena *arena)
{
    *graph = (type_graph){.elf = elf, .arena = arena};
    rp_status status = rp_types_of(elf, &graph->table);
    if (status != RP_OK) {
        return status;
    }
    grow_slots(graph);
    rp_graph_read_hints(graph);
    rp_graph_add(graph, (graph_node){.kind = NODE_OPAQUE});
    rp_graph_add(graph, (graph_node){.kind = NODE_VOID});
    graph->filled = graph->revealed = 2;
    return graph->status;
}
