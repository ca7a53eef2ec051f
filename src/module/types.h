/* The layouts of a build's types, from its debug information, and what differs between two builds.
 *
 * Where no named type differs, the bytes of all objects stay as they are and nothing else has to be
 * asked; else the types become part of the plan (plan_types_build.h).
 *
 * Layer: module, for plan*.c, elf.c, and who reads a build ahead.  Threads: one at a time for each
 * rp_elf. Design: docs/internals/module.md  Tests: tests/module/test_types.c, tests/fuzz/fuzz_elf.c
 */
#ifndef RP_MODULE_TYPES_H
#define RP_MODULE_TYPES_H

#include "base/text.h"
#include "module/elf.h"

typedef enum types_state {
    TYPES_KNOWN,
    TYPES_NONE,   /* no debug information, or none about types (-g1) */
    TYPES_APART,  /* in .dwo files (-gsplit-dwarf) that could not be had: rp_elf_apart */
    TYPES_DAMAGED /* it contradicts itself */
} types_state;

typedef struct type_table type_table;

/* The table of a build, which reads it once and keeps it; valid until rp_elf_close. RP_E_MEMORY,
 * RP_E_SYSTEM: no memory. Cost of the first call: a walk over the debug information, about 0.2 ms
 * for 600 lines of C. */
rp_status rp_types_of(const rp_elf *elf, const type_table **types);
types_state rp_types_state(const type_table *types);

/* Told of each named type that differs: "struct Enemy in game.c:1: member 'x' (int, at 4) is new".
 */
typedef void rp_types_told_fn(void *context, const char *text);

/* Compares each named type that is complete in both; returns how many differ. */
size_t rp_types_compare(const type_table *old_types, const type_table *new_types,
                        rp_types_told_fn *told, void *context);

/* Whether the type of a variable differs; false as well where either is not known. How it differs
 * is added to `text`, which may be null: " is float, was int". */
bool rp_types_variable_differs(const rp_elf *old_elf, const rp_symbol *old_symbol,
                               const rp_elf *new_elf, const rp_symbol *new_symbol,
                               rp_text_buffer *text);

#endif
