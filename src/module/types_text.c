/* Types in words. Layer: module. */
#include "module/types_internal.h"

#include <dwarf.h>
#include <string.h>

enum { TEXT_DEPTH_MAX = 8 };

static void add_counts(Dwarf_Die *array, rp_text_buffer *text)
{
    Dwarf_Die child = {0};
    uint64_t count;
    for (int i = 0; i < TEXT_DEPTH_MAX && rp_type_next_count(array, &child, &count); i++) {
        if (count) {
            rp_text_add(text, "[%llu]", (unsigned long long)count);
        } else {
            rp_text_add(text, "[]");
        }
    }
}

static void add_named(const type_table *table, Dwarf_Die *die, const char *word,
                      rp_text_buffer *text)
{
    const char *name = rp_type_name(table, die);
    rp_text_add(text, "%s%.80s", word, name ? name : "{…}");
}

/* "int *" and "int **". A damaged build may give its types empty names. */
static void add_star(rp_text_buffer *text)
{
    bool after_star = text->length && text->text[text->length - 1] == '*';
    rp_text_add(text, "%s", after_star ? "*" : " *");
}

static void add_type(const type_table *table, Dwarf_Die *type, rp_text_buffer *text, int depth)
{
    Dwarf_Die die = *type, target;
    const char *name;
    int tag = depth < TEXT_DEPTH_MAX ? rp_type_peel(&die) : 0;
    switch (tag) {
    case 0:
        rp_text_add(text, "%s", depth < TEXT_DEPTH_MAX ? "void" : "…");
        break;
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        rp_type_of(&die, &target);
        add_type(table, &target, text, depth + 1);
        add_star(text);
        break;
    case DW_TAG_array_type:
        rp_type_of(&die, &target);
        add_type(table, &target, text, depth + 1);
        add_counts(&die, text);
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        add_named(table, &die, "struct ", text);
        break;
    case DW_TAG_union_type:
        add_named(table, &die, "union ", text);
        break;
    case DW_TAG_enumeration_type:
        name = dwarf_diename(&die);
        rp_text_add(text, "enum%s%.80s", name ? " " : "", name ? name : "");
        break;
    case DW_TAG_subroutine_type:
        rp_text_add(text, "function");
        break;
    case DW_TAG_ptr_to_member_type:
        rp_text_add(text, "pointer to a member");
        break;
    default:
        name = dwarf_diename(&die);
        rp_text_add(text, "%.80s", name ? name : "unknown type");
        break;
    }
}

void rp_type_text(const type_table *table, const Dwarf_Die *die, rp_text_buffer *text)
{
    Dwarf_Die type = *die;
    add_type(table, &type, text, 0);
}

/* From DWARF 5 on file 0 is the one that was compiled, which libdw does not tell. */
static const char *file_of(const type_layout *layout, Dwarf_Die *place)
{
    Dwarf_Attribute attribute;
    Dwarf_Word index;
    const char *file = dwarf_decl_file(place);
    if (!file && dwarf_attr(place, DW_AT_decl_file, &attribute) &&
        dwarf_formudata(&attribute, &index) == 0 && index == 0) {
        file = layout->unit;
    }
    const char *slash = file ? strrchr(file, '/') : NULL;
    return slash ? slash + 1 : file;
}

bool rp_type_place_text(const type_layout *layout, int line, rp_text_buffer *text)
{
    Dwarf_Die place = layout->place;
    const char *file = file_of(layout, &place);
    bool known = file && *file && (line || dwarf_decl_line(&place, &line) == 0);
    if (known) {
        rp_text_add(text, "%.60s:%d", file, line);
    }
    return known;
}

void rp_type_layout_text(const type_layout *layout, rp_text_buffer *text)
{
    static const char *const words[] = {"struct", "union", "enum", "type", "variable"};
    char storage[80];
    rp_text_buffer place = rp_text_buffer_over(storage, sizeof storage);
    rp_text_add(text, "%s %.100s", words[layout->kind], layout->name);
    if (rp_type_place_text(layout, 0, &place)) {
        rp_text_add(text, " in %s", storage);
    }
}
