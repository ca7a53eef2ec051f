/* The table of a build's types: read at the first question, kept with the build. Layer: module. */
#include "module/types.h"

#include "base/bits.h"
#include "module/types_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

/* Names with scopes and flat members may take many times what they take in the file, and more where
 * that is compressed. It is reserved only. */
#define ARENA_LEAST_BYTES RP_MIB(64)
enum { ARENA_BYTES_PER_FILE_BYTE = 32, STEPS_PER_FILE_BYTE = 4, STEPS_LEAST = 4096 };

/* Structs and unions share one namespace, which C++ shares with typedefs; an unnamed struct with a
 * typedef is a struct here. */
static int class_of(const type_layout *layout)
{
    return layout->kind == TYPE_ALIAS ? 2 : layout->kind == TYPE_ENUM;
}

int rp_type_compare_keys(const type_layout *a, const type_layout *b)
{
    int order = class_of(a) - class_of(b);
    return order ? order : strcmp(a->name, b->name);
}

static int compare_layouts(const void *a_pointer, const void *b_pointer)
{
    const type_layout *a = *(type_layout *const *)a_pointer;
    const type_layout *b = *(type_layout *const *)b_pointer;
    int order = rp_type_compare_keys(a, b);
    order = order ? order : strcmp(a->unit, b->unit);
    return order ? order : (a->hash > b->hash) - (a->hash < b->hash);
}

static int compare_addresses(const void *a_pointer, const void *b_pointer)
{
    const type_layout *a = *(type_layout *const *)a_pointer;
    const type_layout *b = *(type_layout *const *)b_pointer;
    if (a->die.addr != b->die.addr) {
        return a->die.addr < b->die.addr ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* One struct of two typedefs is entered twice; its first name is what members are known by. */
static void index_addresses(type_reader *reader)
{
    type_table *table = reader->table;
    type_layout **entries = rp_arena_take(reader->arena, reader->found_count, sizeof *entries);
    size_t count = 0, kept = 0;
    for (type_layout *at = entries ? reader->found : NULL; at; at = at->next) {
        if (at->kind == TYPE_STRUCT || at->kind == TYPE_UNION) {
            entries[count++] = at;
        }
    }
    if (count) {
        qsort(entries, count, sizeof *entries, compare_addresses);
    }
    for (size_t i = 0; i < count; i++) {
        if (!kept || entries[kept - 1]->die.addr != entries[i]->die.addr) {
            entries[kept++] = entries[i];
        }
    }
    table->by_address = entries;
    table->by_address_count = kept;
}

/* A struct that is defined outside of its scope stands in that through its declaration: in type
 * units, and for struct Enemy::Part { … }. */
static void take_scopes(type_reader *reader)
{
    for (type_layout *at = reader->found; at; at = at->next) {
        Dwarf_Attribute attribute;
        Dwarf_Die declaration;
        if ((at->kind == TYPE_STRUCT || at->kind == TYPE_UNION) &&
            dwarf_attr(&at->die, DW_AT_specification, &attribute) &&
            dwarf_formref_die(&attribute, &declaration)) {
            const char *name = rp_type_name(reader->table, &declaration);
            at->name = name ? name : at->name;
        }
    }
}

/* Headers give each file that was compiled the same types. */
static void sort_types(type_reader *reader)
{
    type_table *table = reader->table;
    type_layout **types = rp_arena_take(reader->arena, reader->found_count, sizeof *types);
    size_t count = 0, kept = 0;
    for (type_layout *at = types ? reader->found : NULL; at; at = at->next) {
        if (at->complete && at->kind != TYPE_VARIABLE) {
            types[count++] = at;
        }
    }
    if (count) {
        qsort(types, count, sizeof *types, compare_layouts);
    }
    for (size_t i = 0; i < count; i++) {
        if (!kept || compare_layouts(&types[kept - 1], &types[i]) != 0) {
            types[kept++] = types[i];
        }
    }
    table->types = types;
    table->count = kept;
}

/* Of the build and of the files beside it. */
static uint64_t all_bytes(const elf_file *file)
{
    uint64_t bytes = file->elf.file_bytes;
    for (size_t i = 0; i < file->split_count; i++) {
        bytes += file->splits[i].bytes.size_bytes;
    }
    return bytes;
}

static type_table *start_table(elf_file *file, module_arena *arena)
{
    type_table *table = rp_arena_take(arena, 1, sizeof *table);
    if (table) {
        table->variables =
            rp_arena_take(arena, file->elf.symbol_count + 1, sizeof *table->variables);
    }
    return table;
}

static type_table *read_table(elf_file *file, module_arena *arena)
{
    type_table *table = start_table(file, arena);
    if (!table || !table->variables || !file->dwarf) {
        if (table) {
            table->state = TYPES_NONE;
        }
        return table;
    }
    type_reader reader = {.file = file,
                          .arena = arena,
                          .table = table,
                          .unit = "",
                          .steps_left = all_bytes(file) * STEPS_PER_FILE_BYTE + STEPS_LEAST};
    rp_types_walk(&reader);
    index_addresses(&reader);
    take_scopes(&reader);
    for (type_layout *at = reader.found; at && table->by_address; at = at->next) {
        if (at->complete) {
            rp_types_lay_out(&reader, at);
        }
    }
    sort_types(&reader);
    table->state = reader.damaged     ? TYPES_DAMAGED
                   : reader.apart     ? TYPES_APART
                   : reader.has_types ? TYPES_KNOWN
                                      : TYPES_NONE;
    return table;
}

rp_status rp_types_of(const rp_elf *elf, const type_table **types)
{
    elf_file *file = elf_file_of(elf);
    if (!file->types) {
        module_arena arena;
        rp_status status =
            rp_arena_init(&arena, ARENA_LEAST_BYTES + all_bytes(file) * ARENA_BYTES_PER_FILE_BYTE);
        if (status != RP_OK) {
            return status;
        }
        type_table *table = read_table(file, &arena);
        if (arena.failure != RP_OK) {
            status = arena.failure;
            rp_arena_finish(&arena);
            return status;
        }
        file->types = table;
        file->types_arena = arena;
    }
    *types = file->types;
    return RP_OK;
}

types_state rp_types_state(const type_table *types)
{
    return types->state;
}
