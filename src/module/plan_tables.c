/* Which class each virtual table of the old build is of: the word that an object begins with tells
 * it. Layer: module.
 *
 * The debug information does not say where a class' table lies, and the symbol's name is encoded
 * (Itanium C++ ABI, 5.1). Of a plain class it is read. Of a class template it is compared with the
 * encoded names of the class' own functions, which begin in the same way:
 *
 *     _ZTV  St23_Sp_counted_ptr_inplaceI4Item…E
 *     _ZN   St23_Sp_counted_ptr_inplaceI4Item…E  10_M_dispose  Ev
 */
#include "module/plan_types_build.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 240, FUNCTIONS_MOST = 16 };

/* A table of a class template, whose class is looked for. */
typedef struct template_table {
    const char *class_name; /* as encoded, not ended */
    size_t length;
    const rp_symbol *symbol;
    uint32_t node;
    bool several; /* classes that differ have this name */
} template_table;

typedef struct template_list {
    template_table *items;
    size_t count;
} template_list;

/* "_ZTVN2ns5EnemyE" -> "ns::Enemy". Templates and local classes are left out. */
static bool class_of_table(const char *symbol, rp_text_buffer *name)
{
    static const char hidden[] = "_GLOBAL__N_1";
    const char *at = symbol + 4;
    bool nested = *at == 'N';
    at += nested;
    do {
        char *end;
        unsigned long length = strtoul(at, &end, 10);
        if (end == at || length == 0 || length > strlen(end)) {
            return false;
        }
        bool unnamed = length == sizeof hidden - 1 && strncmp(end, hidden, length) == 0;
        rp_text_add(name, "%s%.*s", name->length ? "::" : "",
                    unnamed ? (int)sizeof "(anonymous)" - 1 : (int)length,
                    unnamed ? "(anonymous)" : end);
        at = end + length;
    } while (nested && *at && *at != 'E');
    return strcmp(at, nested ? "E" : "") == 0;
}

static bool is_table(const rp_symbol *symbol)
{
    return symbol->kind == RP_SYMBOL_VARIABLE && symbol->size_bytes &&
           strncmp(symbol->name, "_ZTV", 4) == 0;
}

static void add_table(types_build *build, const rp_symbol *symbol, uint32_t node, uint64_t old_base)
{
    rp_types_fill_graphs(build);
    rp_plan_table *table = node ? rp_types_push(build, &build->tables, 1, sizeof *table) : NULL;
    if (table) {
        *table = (rp_plan_table){.old_address = old_base + symbol->address,
                                 .size_bytes = symbol->size_bytes,
                                 .type = rp_types_type(build, node)};
    }
}

/* ---- of class templates ---- */

static void add_template(template_list *list, const rp_symbol *symbol)
{
    template_table table = {.class_name = symbol->name + 4, .symbol = symbol};
    table.length = strlen(table.class_name);
    if (table.class_name[0] == 'N' && table.length > 2) {
        table.class_name++;
        table.length -= 2; /* and the E that ends what N began */
    }
    list->items[list->count++] = table;
}

static int compare_names(const void *a_pointer, const void *b_pointer)
{
    const template_table *a = a_pointer, *b = b_pointer;
    size_t shared = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->class_name, b->class_name, shared);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static template_table *named(const template_list *list, const char *name, size_t length)
{
    template_table wanted = {.class_name = name, .length = length};
    return bsearch(&wanted, list->items, list->count, sizeof wanted, compare_names);
}

static const char *encoded_name(Dwarf_Die *function)
{
    Dwarf_Attribute attribute;
    bool has = dwarf_attr(function, DW_AT_linkage_name, &attribute) ||
               dwarf_attr(function, DW_AT_MIPS_linkage_name, &attribute);
    return has ? dwarf_formstring(&attribute) : NULL;
}

/* The table whose class has a function of that encoded name; null: none. The function's own name
 * may stand in the class' as well, so each place is tried. */
static template_table *table_of_function(const template_list *list, Dwarf_Die *function)
{
    const char *name = dwarf_diename(function), *encoded = name ? encoded_name(function) : NULL;
    char own[NAME_BYTES];
    template_table *found = NULL;
    if (!encoded || strncmp(encoded, "_ZN", 3) != 0 || strlen(name) >= sizeof own - 8) {
        return NULL;
    }
    encoded += encoded[3] == 'K' ? 4 : 3;
    rp_text_buffer text = rp_text_buffer_over(own, sizeof own);
    if (name[0] == '~') {
        rp_text_add(&text, "D");
    } else {
        rp_text_add(&text, "%zu%sE", strlen(name), name);
    }
    for (const char *at = strstr(encoded, own); at && !found; at = strstr(at + 1, own)) {
        found = named(list, encoded, (size_t)(at - encoded));
    }
    return found;
}

static template_table *table_of_class(const template_list *list, const Dwarf_Die *type)
{
    Dwarf_Die die = *type, child;
    template_table *found = NULL;
    int result = dwarf_child(&die, &child);
    for (int tried = 0; result == 0 && !found && tried < FUNCTIONS_MOST;) {
        if (dwarf_tag(&child) == DW_TAG_subprogram) {
            found = table_of_function(list, &child);
            tried++;
        }
        result = dwarf_siblingof(&child, &child);
    }
    return found;
}

static void find_templates(types_build *build, const template_list *list)
{
    const type_table *types = build->old_graph.table;
    for (size_t i = 0; i < types->count && build->status == RP_OK; i++) {
        const type_layout *type = types->types[i];
        if (type->kind != TYPE_STRUCT || !type->complete || !strchr(type->name, '<')) {
            continue;
        }
        template_table *table = table_of_class(list, &type->die);
        uint32_t node = table ? rp_graph_of(&build->old_graph, &type->die) : GRAPH_NONE;
        if (node) {
            table->several |= table->node && table->node != node;
            table->node = node;
        }
    }
}

/* ---- all ---- */

static int compare_tables(const void *a_pointer, const void *b_pointer)
{
    const rp_plan_table *a = a_pointer, *b = b_pointer;
    return (a->old_address > b->old_address) - (a->old_address < b->old_address);
}

/* Sorted, and none within another. */
static void order_tables(types_build *build)
{
    rp_plan_table *tables = build->tables.items;
    uint32_t kept = 0;
    if (build->tables.count) {
        qsort(tables, build->tables.count, sizeof *tables, compare_tables);
    }
    for (uint32_t i = 0; i < build->tables.count; i++) {
        uint64_t free_from = kept ? tables[kept - 1].old_address + tables[kept - 1].size_bytes : 0;
        if (tables[i].old_address >= free_from) {
            tables[kept++] = tables[i];
        }
    }
    build->tables.count = kept;
}

void rp_types_tables(types_build *build, uint64_t old_base)
{
    const rp_elf *elf = build->old_graph.elf;
    size_t count = 0;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        count += is_table(&elf->symbols[i]);
    }
    template_list list = {.items = rp_arena_take(&build->arena, count + 1, sizeof *list.items)};
    if (!list.items) {
        build->status = build->arena.failure;
        return;
    }
    for (size_t i = 0; i < elf->symbol_count && build->status == RP_OK; i++) {
        const rp_symbol *symbol = &elf->symbols[i];
        char storage[NAME_BYTES];
        rp_text_buffer name = rp_text_buffer_over(storage, sizeof storage);
        if (is_table(symbol) && class_of_table(symbol->name, &name)) {
            add_table(build, symbol, rp_graph_named(&build->old_graph, storage), old_base);
        } else if (is_table(symbol)) {
            add_template(&list, symbol);
        }
    }
    if (list.count) {
        qsort(list.items, list.count, sizeof *list.items, compare_names);
        find_templates(build, &list);
    }
    for (size_t i = 0; i < list.count && build->status == RP_OK; i++) {
        if (!list.items[i].several) {
            add_table(build, list.items[i].symbol, list.items[i].node, old_base);
        }
    }
    order_tables(build);
}
