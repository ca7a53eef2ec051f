/* What the files that read a build share.
 *
 * Layer: module, internal to elf*.c.
 */
#ifndef RP_MODULE_ELF_INTERNAL_H
#define RP_MODULE_ELF_INTERNAL_H

#include "module/arena.h"
#include "module/elf.h"
#include "os/os.h"

#include <elfutils/libdw.h>
#include <gelf.h>
#include <libelf.h>

typedef struct elf_file {
    rp_elf elf; /* what callers see */
    module_arena arena;
    rp_os_bytes bytes;
    Elf *handle;
    Dwarf *dwarf;     /* null: no debug information */
    bool any_library; /* it need not be a module of the host's */
    uint64_t relro_low, relro_high;
    Elf_Scn *symtab, *dynsym, *dynamic;
    Elf_Scn *was;                   /* of RP_WAS; null: none */
    uint64_t tweak_low, tweak_high; /* of RP_TWEAK */
    struct type_table *types;       /* null until they are asked for; in types_arena */
    module_arena types_arena;
} elf_file;

static inline elf_file *elf_file_of(const rp_elf *elf)
{
    return elf->impl;
}

/* elf_check.c: whether all of the file is there, from its headers alone. After RP_OK every header
 * and every section's and segment's bytes lie within the file. */
rp_status rp_elf_check_complete(const char *path, const uint8_t *data, size_t size_bytes);

/* elf_symbols.c: fills symbols, sorted. */
rp_status rp_elf_read_symbols(elf_file *file);
/* Whether [address, address + size) lies in data that is read-only once the loader is done. */
bool rp_elf_is_read_only(const elf_file *file, uint64_t address);

/* elf_names.c: the programmer's name, and the function where the name itself tells it. */
void rp_elf_split_name(elf_file *file, rp_symbol *symbol);

/* elf_scope.c: the functions of function statics, from the debug information where there is some.
 */
void rp_elf_read_scopes(elf_file *file);
/* The symbol at the place of a variable's entry; null: none, or not at a fixed place. */
rp_symbol *rp_elf_variable_of(rp_elf *elf, Dwarf_Die *die);

#endif
