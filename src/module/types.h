/* The layouts of a build's types, from its debug information, and what differs between two builds.
 *
 * A heap block says nothing of its type. So where any named type differs between two builds, blocks
 * of it may be live, new code would misread them, and the plan is refused.
 *
 * Layer: module, internal to plan*.c and elf.c.  Threads: one at a time for each rp_elf.
 * Design: docs/internals/module.md  Tests: tests/module/test_types.c, tests/fuzz/fuzz_elf.c
 */
#ifndef RP_MODULE_TYPES_H
#define RP_MODULE_TYPES_H

#include "module/elf.h"

typedef enum types_state {
    TYPES_KNOWN,
    TYPES_NONE,   /* no debug information, or none about types (-g1) */
    TYPES_APART,  /* in .dwo files (-gsplit-dwarf), of which nothing says that they are this build's
                   */
    TYPES_DAMAGED /* it contradicts itself */
} types_state;

typedef struct type_table type_table;

/* The table of a build, which reads it once and keeps it; valid until rp_elf_close. RP_E_MEMORY,
 * RP_E_SYSTEM: no memory. Cost of the first call: a walk over the debug information, about 0.2 ms
 * for 600 lines of C. */
rp_status rp_types_of(const rp_elf *elf, const type_table **types);
types_state rp_types_state(const type_table *types);

/* Compares each named type that is complete in both. RP_E_CHANGED: one differs; the record names
 * it, its place in the new build, and the member. */
rp_status rp_types_compare(const type_table *old_types, const type_table *new_types);

/* Compares the types of a variable; RP_E_CHANGED as above. RP_OK as well where either is not known.
 * `name` stands in the record's text. */
rp_status rp_types_compare_variable(const rp_elf *old_elf, const rp_symbol *old_symbol,
                                    const rp_elf *new_elf, const rp_symbol *new_symbol,
                                    const char *name);

#endif
