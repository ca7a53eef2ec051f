/* Finding all types and variables of a build in its debug information. Layer: module.
 *
 * DWARF has no links from an entry to the one around it, so scopes are collected on the way down,
 * and every struct is entered before the first layout is made. */
#include "module/types_internal.h"

#include <dwarf.h>
#include <string.h>

const char *rp_type_join(type_reader *reader, const char *prefix, const char *name)
{
    if (!*prefix) {
        return name;
    }
    size_t head = strlen(prefix), tail = strlen(name);
    char *joined = rp_arena_take(reader->arena, 1, head + tail + 1);
    if (joined) {
        memcpy(joined, prefix, head);
        memcpy(joined + head, name, tail + 1);
    }
    return joined;
}

static type_layout *add(type_reader *reader, Dwarf_Die *die, const char *name, type_kind kind)
{
    type_layout *layout = name ? rp_arena_take(reader->arena, 1, sizeof *layout) : NULL;
    if (layout) {
        *layout = (type_layout){.name = name,
                                .unit = reader->unit,
                                .kind = kind,
                                .complete = !dwarf_hasattr(die, DW_AT_declaration),
                                .die = *die,
                                .place = *die,
                                .next = reader->found};
        reader->found = layout;
        reader->found_count++;
    }
    return layout;
}

static bool is_struct(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static type_kind kind_of(int tag)
{
    return tag == DW_TAG_union_type ? TYPE_UNION : TYPE_STRUCT;
}

static bool is_qualifier(int tag)
{
    return tag == DW_TAG_const_type || tag == DW_TAG_volatile_type || tag == DW_TAG_atomic_type;
}

/* typedef struct { … } Enemy; gives the struct its name. In C++ others are left out: an alias
 * template has one name for all that it makes. */
static void add_typedef(type_reader *reader, Dwarf_Die *die, const char *scope)
{
    const char *own = dwarf_diename(die), *name = own ? rp_type_join(reader, scope, own) : NULL;
    Dwarf_Die target;
    bool known = rp_type_of(die, &target);
    for (int depth = 0; known && is_qualifier(dwarf_tag(&target)) && depth < TYPE_DEPTH_MAX;
         depth++) {
        known = rp_type_of(&target, &target);
    }
    int tag = known ? dwarf_tag(&target) : 0;
    if (is_struct(tag) && !dwarf_diename(&target)) {
        type_layout *layout = add(reader, &target, name, kind_of(tag));
        if (layout) {
            layout->place = *die;
        }
    } else if (!reader->cxx) {
        add(reader, die, name, TYPE_ALIAS);
    }
}

static void add_variable(type_reader *reader, Dwarf_Die *die)
{
    rp_elf *elf = &reader->file->elf;
    rp_symbol *symbol = rp_elf_variable_of(elf, die);
    if (symbol && !reader->table->variables[symbol - elf->symbols]) {
        reader->table->variables[symbol - elf->symbols] = add(reader, die, "", TYPE_VARIABLE);
    }
}

/* The scope of what an entry holds. */
static const char *scope_in(type_reader *reader, Dwarf_Die *die, const char *scope)
{
    int tag = dwarf_tag(die);
    if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) {
        return scope;
    }
    const char *own = dwarf_diename(die);
    if (!own) {
        return tag == DW_TAG_namespace ? rp_type_join(reader, scope, "(anonymous)::") : scope;
    }
    const char *name = rp_type_join(reader, scope, own);
    const char *end = tag == DW_TAG_subprogram ? "()::" : "::";
    return name ? rp_type_join(reader, name, end) : NULL;
}

static void walk_children(type_reader *reader, Dwarf_Die *parent, const char *scope, int depth);

static void walk_into(type_reader *reader, Dwarf_Die *die, const char *scope, int depth)
{
    Dwarf_Die first;
    const char *inner = dwarf_child(die, &first) == 0 ? scope_in(reader, die, scope) : NULL;
    if (inner) {
        walk_children(reader, die, inner, depth + 1);
    }
}

static void visit(type_reader *reader, Dwarf_Die *die, const char *scope, int depth)
{
    int tag = dwarf_tag(die);
    const char *name;
    switch (tag) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        name = dwarf_diename(die);
        add(reader, die, name ? rp_type_join(reader, scope, name) : NULL, kind_of(tag));
        walk_into(reader, die, scope, depth);
        break;
    case DW_TAG_enumeration_type:
        name = dwarf_diename(die);
        add(reader, die, name ? rp_type_join(reader, scope, name) : NULL, TYPE_ENUM);
        break;
    case DW_TAG_typedef:
        add_typedef(reader, die, scope);
        break;
    case DW_TAG_variable:
        add_variable(reader, die);
        break;
    case DW_TAG_subprogram:
        if (dwarf_hasattr(die, DW_AT_declaration)) {
            break; /* a method inside its class */
        }
        walk_into(reader, die, scope, depth);
        break;
    case DW_TAG_namespace:
    case DW_TAG_lexical_block:
    case DW_TAG_inlined_subroutine:
        walk_into(reader, die, scope, depth);
        break;
    default:
        break;
    }
    reader->has_types |= is_struct(tag) || tag == DW_TAG_base_type || tag == DW_TAG_pointer_type;
}

static void walk_children(type_reader *reader, Dwarf_Die *parent, const char *scope, int depth)
{
    Dwarf_Die die;
    int result = dwarf_child(parent, &die);
    while (result == 0 && depth < TYPE_DEPTH_MAX && reader->steps_left) {
        reader->steps_left--;
        visit(reader, &die, scope, depth);
        result = dwarf_siblingof(&die, &die);
    }
    reader->damaged |= result < 0 || reader->steps_left == 0;
}

static bool is_cxx(Dwarf_Die *unit)
{
    switch (dwarf_srclang(unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
        return true;
    default:
        return false;
    }
}

static void walk_units(type_reader *reader, Dwarf *dwarf);

/* What stands in a file of its own. */
static void walk_split(type_reader *reader, Dwarf_Die *skeleton)
{
    const elf_split *split = rp_elf_split_of(reader->file, skeleton);
    if (split) {
        walk_units(reader, split->dwarf);
    } else {
        reader->apart = true;
    }
}

static void walk_units(type_reader *reader, Dwarf *dwarf)
{
    Dwarf_CU *at = NULL;
    Dwarf_Die unit;
    int result;
    while ((result = dwarf_get_units(dwarf, at, &at, NULL, NULL, &unit, NULL)) == 0) {
        const char *name = dwarf_diename(&unit);
        reader->unit = name ? name : "";
        reader->cxx = is_cxx(&unit);
        if (dwarf == reader->file->dwarf && rp_elf_is_skeleton(&unit)) {
            walk_split(reader, &unit);
        }
        walk_children(reader, &unit, "", 0);
    }
    reader->damaged |= result < 0;
}

void rp_types_walk(type_reader *reader)
{
    walk_units(reader, reader->file->dwarf);
}
