/* Which function a static variable belongs to, from the debug information. Layer: module.
 *
 * Only what can hold a function's static is entered, and no more entries are visited than the file
 * has bytes: links between entries may form circles in a damaged file. What cannot be read is
 * skipped; a scope that stays unknown is handled by the plan. */
#include "module/elf_internal.h"

#include <dwarf.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

typedef struct scope_walk {
    elf_file *file;
    uint64_t visits_left;
} scope_walk;

static rp_symbol *variable_at(rp_elf *elf, rp_symbol_kind kind, uint64_t address)
{
    size_t low = 0, high = elf->symbol_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const rp_symbol *symbol = &elf->symbols[middle];
        if (symbol->kind < kind || (symbol->kind == kind && symbol->address < address)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    rp_symbol *found = low < elf->symbol_count ? &elf->symbols[low] : NULL;
    return found && found->kind == kind && found->address == address ? found : NULL;
}

static bool operand(const rp_elf *elf, Dwarf_Die *die, Dwarf_Attribute *location,
                    const Dwarf_Op *op, uint64_t *value)
{
    Dwarf_Attribute indexed;
    switch (op->atom) {
    case DW_OP_addr:
    case DW_OP_const4u:
    case DW_OP_const8u:
        *value = op->number;
        return true;
    case DW_OP_addrx:
    case DW_OP_constx:
    case DW_OP_GNU_addr_index:
    case DW_OP_GNU_const_index:
        return rp_elf_split_address(elf_file_of(elf), die, op->number, value) ||
               (dwarf_getlocation_attr(location, op, &indexed) == 0 &&
                dwarf_formaddr(&indexed, value) == 0);
    default:
        return false;
    }
}

static bool is_called(const rp_symbol *symbol, Dwarf_Die *die)
{
    const char *name = dwarf_diename(die);
    return symbol && name && strlen(name) == symbol->base_length &&
           memcmp(name, symbol->base, symbol->base_length) == 0;
}

/* An offset in the thread's block. In the table of addresses the linker adds the block's own place
 * (GNU ld 2.40, for R_X86_64_DTPOFF64 outside of .debug_info), so the name decides between both. */
static rp_symbol *thread_at(rp_elf *elf, Dwarf_Die *die, uint64_t offset)
{
    rp_symbol *symbol = variable_at(elf, RP_SYMBOL_THREAD, offset);
    if (!is_called(symbol, die) && offset >= elf->tls_address) {
        rp_symbol *other = variable_at(elf, RP_SYMBOL_THREAD, offset - elf->tls_address);
        symbol = is_called(other, die) ? other : symbol;
    }
    return symbol;
}

/* A fixed address is one operation; a thread-local offset is followed by "in the thread's block".
 */
rp_symbol *rp_elf_variable_of(rp_elf *elf, Dwarf_Die *die)
{
    Dwarf_Attribute location;
    Dwarf_Op *ops;
    size_t count;
    uint64_t address;
    if (!dwarf_attr(die, DW_AT_location, &location) ||
        dwarf_getlocation(&location, &ops, &count) != 0 || count == 0 || count > 2 ||
        !operand(elf, die, &location, &ops[0], &address)) {
        return NULL;
    }
    if (count == 1) {
        return variable_at(elf, RP_SYMBOL_VARIABLE, address);
    }
    bool thread =
        ops[1].atom == DW_OP_form_tls_address || ops[1].atom == DW_OP_GNU_push_tls_address;
    return thread ? thread_at(elf, die, address) : NULL;
}

static void note_variable(scope_walk *walk, Dwarf_Die *die, const char *function)
{
    rp_symbol *symbol = function ? rp_elf_variable_of(&walk->file->elf, die) : NULL;
    size_t length = function ? strlen(function) + 1 : 0;
    if (!symbol || !symbol->local || *symbol->scope || length > 240) {
        return;
    }
    char *scope = rp_arena_take(&walk->file->arena, 1, length);
    if (scope) {
        memcpy(scope, function, length);
        symbol->scope = scope;
    }
}

static bool is_entered(int tag)
{
    switch (tag) {
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
        return true;
    default:
        return false;
    }
}

static void walk_children(scope_walk *walk, Dwarf_Die *parent, const char *function, int depth)
{
    Dwarf_Die die;
    if (depth == DEPTH_MAX || dwarf_child(parent, &die) != 0) {
        return;
    }
    do {
        if (walk->visits_left == 0) {
            return;
        }
        walk->visits_left--;
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_variable) {
            note_variable(walk, &die, function);
        } else if (is_entered(tag)) {
            bool names = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
            walk_children(walk, &die, names ? dwarf_diename(&die) : function, depth + 1);
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static void walk_units(scope_walk *walk, Dwarf *dwarf)
{
    Dwarf_Off offset = 0, next = 0;
    size_t header_bytes;
    while (dwarf && walk->visits_left &&
           dwarf_nextcu(dwarf, offset, &next, &header_bytes, NULL, NULL, NULL) == 0 &&
           next > offset) {
        Dwarf_Die unit;
        if (dwarf_offdie(dwarf, offset + header_bytes, &unit)) {
            walk_children(walk, &unit, NULL, 0);
        }
        walk->visits_left--;
        offset = next;
    }
}

void rp_elf_read_scopes(elf_file *file)
{
    scope_walk walk = {file, file->elf.file_bytes};
    walk_units(&walk, file->dwarf);
    for (size_t i = 0; i < file->split_count; i++) {
        walk.visits_left += file->splits[i].bytes.size_bytes;
        walk_units(&walk, file->splits[i].dwarf);
    }
}
