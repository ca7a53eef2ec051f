/* The layout of one type: its members with their places, and a hash over all of it. Layer: module.
 *
 * Other structs count by name here, so that a struct that holds itself needs no special case: each
 * has a layout of its own. Only unnamed ones are entered, as parts of what holds them. */
#include "module/types_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { LONG_DOUBLE_BYTES = 16 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return XXH3_64bits_withSeed(&value, sizeof value, hash);
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text), hash);
}

bool rp_type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Attribute attribute;
    Dwarf_Die target;
    bool found =
        dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &target);
    *type = found ? target : (Dwarf_Die){0};
    return found;
}

int rp_type_peel(Dwarf_Die *die)
{
    for (int depth = 0; die->addr && depth < TYPE_DEPTH_MAX; depth++) {
        int tag = dwarf_tag(die);
        switch (tag) {
        case DW_TAG_typedef:
        case DW_TAG_const_type:
        case DW_TAG_volatile_type:
        case DW_TAG_restrict_type:
        case DW_TAG_atomic_type:
            rp_type_of(die, die);
            break;
        default:
            return tag;
        }
    }
    return 0;
}

uint64_t rp_type_number(Dwarf_Die *die, unsigned name, uint64_t otherwise)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_attr(die, name, &attribute) && dwarf_formudata(&attribute, &value) == 0
               ? value
               : otherwise;
}

bool rp_type_next_count(Dwarf_Die *array, Dwarf_Die *child, uint64_t *count)
{
    int result = child->addr ? dwarf_siblingof(child, child) : dwarf_child(array, child);
    if (result != 0 || dwarf_tag(child) != DW_TAG_subrange_type) {
        return false;
    }
    /* Without a bound, and with a bound of -1, the array is open at its end. */
    *count = rp_type_number(child, DW_AT_count,
                            rp_type_number(child, DW_AT_upper_bound, UINT64_MAX) + 1);
    return true;
}

static int compare_address(const void *key, const void *entry)
{
    const void *address = (*(type_layout *const *)entry)->die.addr;
    return (key > address) - (key < address);
}

const type_layout *rp_type_layout_at(const type_table *table, Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Die whole;
    if (dwarf_attr(die, DW_AT_signature, &attribute) && dwarf_formref_die(&attribute, &whole)) {
        *die = whole; /* it lies in a type unit */
    }
    type_layout **found = bsearch(die->addr, table->by_address, table->by_address_count,
                                  sizeof(type_layout *), compare_address);
    return found ? *found : NULL;
}

const char *rp_type_name(const type_table *table, Dwarf_Die *die)
{
    const type_layout *found = rp_type_layout_at(table, die);
    return found ? found->name : dwarf_diename(die);
}

/* Of 16 bytes there are long double and __float128; else encoding and size say all, and compilers
 * differ in the names ("long", "long int"). */
static uint64_t hash_base(uint64_t hash, Dwarf_Die *die, uint64_t size_bytes)
{
    uint64_t encoding = rp_type_number(die, DW_AT_encoding, 0);
    hash = mix(mix(hash, encoding), size_bytes);
    bool quad = encoding == DW_ATE_float && size_bytes == LONG_DOUBLE_BYTES;
    const char *name = quad ? dwarf_diename(die) : NULL;
    return name ? mix_text(hash, name) : hash;
}

static bool is_integer(Dwarf_Die *die)
{
    uint64_t encoding = rp_type_number(die, DW_AT_encoding, 0);
    return encoding == DW_ATE_signed || encoding == DW_ATE_unsigned ||
           encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char;
}

static uint64_t hash_array(type_reader *reader, uint64_t hash, Dwarf_Die *die)
{
    Dwarf_Die child = {0};
    uint64_t count;
    while (reader->steps_left && rp_type_next_count(die, &child, &count)) {
        reader->steps_left--;
        hash = mix(hash, count);
    }
    return hash;
}

/* The end of a chain of pointers and arrays. */
static uint64_t hash_target(type_reader *reader, uint64_t hash, Dwarf_Die *die, int tag)
{
    uint64_t size_bytes = tag ? rp_type_number(die, DW_AT_byte_size, 0) : 0;
    const char *name;
    switch (tag) {
    case DW_TAG_base_type:
        return hash_base(hash, die, size_bytes);
    case DW_TAG_enumeration_type:
        return mix(hash, size_bytes);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        name = rp_type_name(reader->table, die);
        return name ? mix_text(hash, name) : mix(hash, size_bytes);
    case DW_TAG_ptr_to_member_type:
        return mix(hash, rp_type_of(die, die) && rp_type_peel(die) == DW_TAG_subroutine_type);
    case DW_TAG_unspecified_type:
        name = dwarf_diename(die);
        return name ? mix_text(hash, name) : hash;
    default:
        return mix(hash, size_bytes);
    }
}

static int same_tag(int tag)
{
    switch (tag) {
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        return DW_TAG_pointer_type;
    case DW_TAG_class_type:
        return DW_TAG_structure_type;
    default:
        return tag;
    }
}

static uint32_t flags_of(Dwarf_Die *die, int tag)
{
    if (tag == DW_TAG_enumeration_type) {
        return USE_ENUM;
    }
    if (tag == DW_TAG_base_type) {
        return is_integer(die) ? USE_INTEGER : 0;
    }
    Dwarf_Die target;
    if (same_tag(tag) != DW_TAG_pointer_type) {
        return 0;
    }
    int target_tag = rp_type_of(die, &target) ? rp_type_peel(&target) : 0;
    return target_tag == 0                        ? USE_POINTER | USE_VOID_POINTER
           : target_tag == DW_TAG_subroutine_type ? 0
                                                  : USE_POINTER;
}

/* Sets type, type_bytes and flags of the member. */
static void hash_use(type_reader *reader, type_member *member)
{
    Dwarf_Die die = member->die;
    int tag = rp_type_peel(&die);
    uint64_t hash = 0;
    member->flags |= flags_of(&die, tag);
    member->type_bytes = tag ? rp_type_number(&die, DW_AT_byte_size, 0) : 0;
    for (int depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
        hash = mix(hash, (uint64_t)same_tag(tag));
        if (tag == DW_TAG_array_type) {
            hash = hash_array(reader, hash, &die);
        } else if (same_tag(tag) != DW_TAG_pointer_type) {
            break;
        }
        rp_type_of(&die, &die);
        tag = rp_type_peel(&die);
    }
    member->type = hash_target(reader, hash, &die, tag);
}

typedef struct member_list {
    type_member *items;
    size_t count, capacity;
} member_list;

static type_member *append(type_reader *reader, member_list *list, const char *name)
{
    if (!name) {
        return NULL;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        type_member *grown = rp_arena_take(reader->arena, capacity, sizeof *grown);
        if (!grown) {
            return NULL;
        }
        if (list->count) {
            memcpy(grown, list->items, list->count * sizeof *grown);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count] = (type_member){.name = name};
    return &list->items[list->count++];
}

static void flatten(type_reader *reader, member_list *list, Dwarf_Die *aggregate,
                    const char *prefix, uint64_t base_bits, int depth);

/* Adds a use of a type, and the members of an unnamed struct that it leads to. */
static void add_use(type_reader *reader, member_list *list, const type_member *use, int depth)
{
    type_member *member = append(reader, list, use->name);
    if (!member) {
        return;
    }
    *member = *use;
    hash_use(reader, member);
    Dwarf_Die die = use->die;
    const char *joint = ".", *name = use->name;
    uint64_t offset_bits = use->offset_bits;
    int tag = rp_type_peel(&die);
    for (int links = 0; links < TYPE_DEPTH_MAX && name; links++) {
        if (tag == DW_TAG_array_type) {
            name = rp_type_join(reader, name, "[]");
        } else if (same_tag(tag) == DW_TAG_pointer_type && *joint == '.') {
            joint = "->";
            offset_bits = 0;
        } else {
            break;
        }
        rp_type_of(&die, &die);
        tag = rp_type_peel(&die);
    }
    bool is_struct = same_tag(tag) == DW_TAG_structure_type || tag == DW_TAG_union_type;
    if (name && is_struct && !rp_type_name(reader->table, &die)) {
        const char *prefix = *name ? rp_type_join(reader, name, joint) : "";
        if (prefix) {
            flatten(reader, list, &die, prefix, offset_bits, depth + 1);
        }
    }
}

/* The only number in what DWARF 2 and 3, vtable slots and virtual bases use for a place. */
static uint64_t number_in_location(Dwarf_Attribute *attribute)
{
    Dwarf_Op *ops;
    size_t count;
    uint64_t sum = 0;
    if (dwarf_getlocation(attribute, &ops, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            sum += ops[i].number;
        }
    }
    return sum;
}

uint64_t rp_type_place_of(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (!dwarf_attr(die, name, &attribute)) {
        return 0;
    }
    return dwarf_formudata(&attribute, &value) == 0 ? value : number_in_location(&attribute);
}

/* DWARF 4 and older count a bit-field's offset from the most significant bit of its unit. */
uint64_t rp_type_offset_bits(Dwarf_Die *die, Dwarf_Die *type, uint64_t width_bits)
{
    uint64_t offset_bits = rp_type_place_of(die, DW_AT_data_member_location) * 8;
    if (dwarf_hasattr(die, DW_AT_data_bit_offset)) {
        return rp_type_place_of(die, DW_AT_data_bit_offset);
    }
    if (dwarf_hasattr(die, DW_AT_bit_offset)) {
        Dwarf_Die unit = *type;
        uint64_t unit_bytes = rp_type_peel(&unit) ? rp_type_number(&unit, DW_AT_byte_size, 0) : 0;
        unit_bytes = rp_type_number(die, DW_AT_byte_size, unit_bytes);
        offset_bits += unit_bytes * 8 - rp_type_place_of(die, DW_AT_bit_offset) - width_bits;
    }
    return offset_bits;
}

static void add_member(type_reader *reader, member_list *list, Dwarf_Die *die, const char *prefix,
                       uint64_t base_bits, int depth)
{
    if (dwarf_hasattr(die, DW_AT_declaration) || dwarf_hasattr(die, DW_AT_external)) {
        return; /* a static member */
    }
    type_member use = {.width_bits = rp_type_number(die, DW_AT_bit_size, 0)};
    rp_type_of(die, &use.die);
    use.offset_bits = base_bits + rp_type_offset_bits(die, &use.die, use.width_bits);
    const char *name = dwarf_diename(die);
    if (name && strncmp(name, "_vptr", 5) == 0 && dwarf_hasattr(die, DW_AT_artificial)) {
        name = "(virtual table)";
        use.die = (Dwarf_Die){0};
    }
    if (name) {
        use.name = rp_type_join(reader, prefix, name);
        add_use(reader, list, &use, depth);
    } else if (rp_type_peel(&use.die)) {
        flatten(reader, list, &use.die, prefix, use.offset_bits, depth + 1);
    }
}

static void add_base_class(type_reader *reader, member_list *list, Dwarf_Die *die,
                           uint64_t base_bits)
{
    Dwarf_Die base;
    rp_type_of(die, &base);
    int tag = rp_type_peel(&base);
    const char *name = tag ? rp_type_name(reader->table, &base) : NULL;
    type_member *member = append(reader, list, name);
    if (member) {
        member->offset_bits = base_bits + rp_type_place_of(die, DW_AT_data_member_location) * 8;
        member->flags = USE_BASE_CLASS;
        member->type = rp_type_number(die, DW_AT_virtuality, 0);
        member->die = base;
    }
}

/* Of destructors gcc does not tell the slots. */
static void add_virtual(type_reader *reader, member_list *list, Dwarf_Die *die)
{
    const char *name = dwarf_diename(die);
    if (name && *name != '~' && dwarf_hasattr(die, DW_AT_vtable_elem_location)) {
        type_member *member = append(reader, list, name);
        if (member) {
            member->flags = USE_VIRTUAL;
            member->offset_bits = rp_type_place_of(die, DW_AT_vtable_elem_location);
        }
    }
}

static void flatten(type_reader *reader, member_list *list, Dwarf_Die *aggregate,
                    const char *prefix, uint64_t base_bits, int depth)
{
    Dwarf_Die die;
    int result = dwarf_child(aggregate, &die);
    while (result == 0 && depth < TYPE_DEPTH_MAX && reader->steps_left) {
        reader->steps_left--;
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_member) {
            add_member(reader, list, &die, prefix, base_bits, depth);
        } else if (tag == DW_TAG_inheritance) {
            add_base_class(reader, list, &die, base_bits);
        } else if (tag == DW_TAG_subprogram) {
            add_virtual(reader, list, &die);
        }
        result = dwarf_siblingof(&die, &die);
    }
    reader->damaged |= result < 0 || reader->steps_left == 0;
}

/* A value that is written as another one is another one: objects are converted by name. */
static void add_constants(type_reader *reader, member_list *list, Dwarf_Die *die)
{
    Dwarf_Die child;
    int result = dwarf_child(die, &child);
    while (result == 0 && reader->steps_left) {
        reader->steps_left--;
        type_member *member = dwarf_tag(&child) == DW_TAG_enumerator
                                  ? append(reader, list, dwarf_diename(&child))
                                  : NULL;
        if (member) {
            Dwarf_Attribute attribute;
            Dwarf_Sword value = 0;
            if (dwarf_attr(&child, DW_AT_const_value, &attribute)) {
                dwarf_formsdata(&attribute, &value);
            }
            member->flags = USE_CONSTANT;
            member->offset_bits = (uint64_t)value;
        }
        result = dwarf_siblingof(&child, &child);
    }
    reader->damaged |= result < 0 || reader->steps_left == 0;
}

static int compare_members(const void *a_pointer, const void *b_pointer)
{
    const type_member *a = a_pointer, *b = b_pointer;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->offset_bits > b->offset_bits) - (a->offset_bits < b->offset_bits);
}

static uint64_t hash_layout(const type_layout *layout)
{
    uint64_t hash = mix(layout->kind, layout->size_bytes);
    for (size_t i = 0; i < layout->member_count; i++) {
        const type_member *member = &layout->members[i];
        hash = mix_text(hash, member->name);
        hash = mix(mix(hash, member->offset_bits), member->width_bits);
        hash = mix(mix(hash, member->type), member->flags);
    }
    return hash;
}

void rp_types_lay_out(type_reader *reader, type_layout *layout)
{
    member_list list = {0};
    if (layout->kind == TYPE_STRUCT || layout->kind == TYPE_UNION) {
        flatten(reader, &list, &layout->die, "", 0, 0);
    } else if (layout->kind == TYPE_ENUM) {
        add_constants(reader, &list, &layout->die);
    } else {
        type_member use = {.name = ""};
        rp_type_of(&layout->die, &use.die);
        add_use(reader, &list, &use, 0);
    }
    layout->size_bytes = rp_type_number(&layout->die, DW_AT_byte_size, 0);
    layout->members = list.items;
    layout->member_count = list.count;
    if (list.count > 1) {
        qsort(list.items, list.count, sizeof *list.items, compare_members);
    }
    layout->hash = hash_layout(layout);
}
