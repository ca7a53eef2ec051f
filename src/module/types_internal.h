/* What the files that read and compare types share.
 *
 * Layer: module, internal to types*.c.
 */
#ifndef RP_MODULE_TYPES_INTERNAL_H
#define RP_MODULE_TYPES_INTERNAL_H

#include "base/text.h"
#include "module/elf_internal.h"
#include "module/types.h"

enum { TYPE_DEPTH_MAX = 64 };

typedef enum type_kind {
    TYPE_STRUCT, /* class, too: the keyword makes no layout */
    TYPE_UNION,
    TYPE_ENUM,
    TYPE_ALIAS,   /* a typedef of anything but an unnamed struct, which it gives its name to */
    TYPE_VARIABLE /* of a symbol; has no name here */
} type_kind;

enum {
    USE_POINTER = 1,      /* to data */
    USE_VOID_POINTER = 2, /* which fits every other */
    USE_INTEGER = 4,
    USE_ENUM = 8, /* an integer of its size: its sign depends on its constants */
    USE_BASE_CLASS = 16,
    USE_VIRTUAL = 32, /* a virtual function; its offset is its slot in the table */
    USE_CONSTANT = 64 /* of an enum; its offset is its value */
};

/* A member, flat: those of unnamed structs stand as "place.x", "slots[].x", "list->x". */
typedef struct type_member {
    const char *name;
    uint64_t offset_bits;
    uint64_t width_bits; /* of a bit-field; 0: none */
    uint64_t type;       /* canonical hash */
    uint64_t type_bytes; /* with USE_INTEGER and USE_ENUM */
    uint32_t flags;
    Dwarf_Die die; /* of the type, for its text; without an address: void */
} type_member;

typedef struct type_layout {
    const char *name; /* with its scope: "world::Enemy", "step()::node" */
    const char *unit; /* the source file that was compiled; "" in a type unit */
    type_kind kind;
    bool complete;
    uint64_t size_bytes;
    uint64_t hash;
    Dwarf_Die die;        /* of a typedef of an unnamed struct: that struct */
    Dwarf_Die place;      /* what has the line where it is declared */
    type_member *members; /* sorted by name, then offset */
    size_t member_count;
    struct type_layout *next; /* while reading */
} type_layout;

struct type_table {
    types_state state;
    type_layout **types; /* complete ones, sorted: rp_type_compare_keys, unit, hash; each once */
    size_t count;
    type_layout **by_address; /* all structs and unions, by the address of their entry */
    size_t by_address_count;
    type_layout **variables; /* of elf.symbols, by index; null: not known */
};

typedef struct type_reader {
    elf_file *file;
    module_arena *arena;
    type_table *table;
    const char *unit;
    type_layout *found; /* list, newest first */
    size_t found_count;
    uint64_t steps_left; /* links between entries may form circles in a damaged file */
    bool damaged, apart, has_types;
    bool cxx; /* the unit's language */
} type_reader;

/* types_walk.c: enters all types and variables of the build in the list, without their members. */
void rp_types_walk(type_reader *reader);

/* types_layout.c: the members and the hash of one. */
void rp_types_lay_out(type_reader *reader, type_layout *layout);
/* Follows typedefs and qualifiers in place. The tag; 0: void. */
int rp_type_peel(Dwarf_Die *die);
/* The type that an entry refers to; false: void, and `type` has no address. */
bool rp_type_of(Dwarf_Die *die, Dwarf_Die *type);
/* An array's counts, one in each call with *child zeroed first; false: no more. 0: open. */
bool rp_type_next_count(Dwarf_Die *array, Dwarf_Die *child, uint64_t *count);
/* The name with its scope; null: unnamed. */
const char *rp_type_name(const type_table *table, Dwarf_Die *die);
/* The layout of a struct's or union's entry; null: none. */
const type_layout *rp_type_layout_at(const type_table *table, Dwarf_Die *die);
/* An attribute's number. */
uint64_t rp_type_number(Dwarf_Die *die, unsigned name, uint64_t otherwise);
/* Where a member or base class lies in its struct; 0: not said. */
uint64_t rp_type_place_of(Dwarf_Die *die, unsigned name);
/* The same of a member, in bits. `type`: its own; `width_bits` of a bit-field, else 0. */
uint64_t rp_type_offset_bits(Dwarf_Die *die, Dwarf_Die *type, uint64_t width_bits);
/* "prefix" + "name" in the arena; null: no memory. */
const char *rp_type_join(type_reader *reader, const char *prefix, const char *name);

/* types_text.c: "struct Enemy *", "float[4]". */
void rp_type_text(const type_table *table, const Dwarf_Die *die, rp_text_buffer *text);
/* "game.c:41": where it is declared; `line` instead of its own, where not 0. False: not known. */
bool rp_type_place_text(const type_layout *layout, int line, rp_text_buffer *text);
/* "struct Enemy in game.c:41". */
void rp_type_layout_text(const type_layout *layout, rp_text_buffer *text);

/* types_difference.c */
typedef enum difference_kind {
    DIFFERENCE_NONE,
    DIFFERENCE_SIZE,  /* of the whole alone */
    DIFFERENCE_PLACE, /* the same members, elsewhere: often because a member's own type changed */
    DIFFERENCE_MEMBERS,
    DIFFERENCE_WHOLE /* another kind; a typedef of something else */
} difference_kind;

typedef struct type_difference {
    difference_kind kind;
    const type_layout *old_type, *new_type;
    const type_member *old_member, *new_member; /* null: it is new; it is gone */
} type_difference;

/* What tells two layouts apart first. Linear in their members. */
type_difference rp_type_difference(const type_layout *old_type, const type_layout *new_type);

/* types.c */
int rp_type_compare_keys(const type_layout *a, const type_layout *b);

#endif
