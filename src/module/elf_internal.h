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

typedef enum elf_wanted {
    ELF_MODULE,   /* of the host's */
    ELF_LIBRARY,  /* any shared library */
    ELF_ANYTHING, /* and programs, which nothing can load */
} elf_wanted;

/* A file of debug information beside the build. */
typedef struct elf_split {
    uint64_t id, addresses;
    rp_os_bytes bytes;
    Elf *handle;
    Dwarf *dwarf;
} elf_split;

typedef struct elf_file {
    rp_elf elf; /* what callers see */
    module_arena arena;
    rp_os_bytes bytes;
    Elf *handle;
    Dwarf *dwarf; /* null: no debug information */
    elf_wanted wanted;
    bool from_memory;  /* what lies beside its path is none of its own */
    elf_split *splits; /* in splits_arena */
    size_t split_count;
    module_arena splits_arena;
    Elf_Data *addresses; /* .debug_addr */
    char apart[128];     /* the first file of debug information that could not be had; "" : none */
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
/* The same of an object file, of which nothing is loaded. */
rp_status rp_elf_check_object(const char *path, const uint8_t *data, size_t size_bytes);

/* elf_symbols.c: fills symbols, sorted. */
rp_status rp_elf_read_symbols(elf_file *file);
/* Whether [address, address + size) lies in data that is read-only once the loader is done. */
bool rp_elf_is_read_only(const elf_file *file, uint64_t address);

/* elf_names.c: the programmer's name, and the function where the name itself tells it. */
void rp_elf_split_name(elf_file *file, rp_symbol *symbol);

/* elf_split.c: the files that the units of the debug information name. What cannot be had is noted
 * in `apart`. */
void rp_elf_splits_read(elf_file *file);
void rp_elf_splits_close(elf_file *file);
bool rp_elf_is_skeleton(Dwarf_Die *unit);
/* The file of a skeleton; null: it could not be had. */
const elf_split *rp_elf_split_of(const elf_file *file, Dwarf_Die *skeleton);
/* The address with a number, as entries of such a file name it. */
bool rp_elf_split_address(const elf_file *file, Dwarf_Die *die, uint64_t number, uint64_t *address);

/* elf_scope.c: the functions of function statics, from the debug information where there is some.
 */
void rp_elf_read_scopes(elf_file *file);
/* The symbol at the place of a variable's entry; null: none, or not at a fixed place. */
rp_symbol *rp_elf_variable_of(rp_elf *elf, Dwarf_Die *die);

#endif
