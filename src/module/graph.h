/* The types of a build as a graph: what each is made of, by value and through pointers.
 *
 *   node: number | enum | pointer ─► node | array of node | struct, union: members ─► node | …
 *
 * Made on demand from entries of the debug information; a named struct that several files were
 * compiled with is one node where all agree on it. Typedefs and qualifiers are followed; members of
 * unnamed structs stand in what holds them.
 *
 * Layer: module, internal to graph*.c and plan*.c (the host's side).  Threads: one.
 * Design: docs/internals/module.md  Tests: tests/module/test_migrate.c
 */
#ifndef RP_MODULE_GRAPH_H
#define RP_MODULE_GRAPH_H

#include "module/types_internal.h"

typedef enum node_kind {
    NODE_VOID,
    NODE_OPAQUE, /* only declared, or of a kind that has no inside */
    NODE_NUMBER,
    NODE_ENUM,
    NODE_POINTER, /* and reference */
    NODE_FUNCTION,
    NODE_ARRAY,
    NODE_STRUCT,
    NODE_UNION
} node_kind;

typedef enum number_form {
    FORM_SIGNED,
    FORM_UNSIGNED,
    FORM_FLOAT,
    FORM_BOOL,
    FORM_OTHER /* complex, decimal, … : the same bytes or nothing */
} number_form;

enum { GRAPH_NONE = 0, GRAPH_VOID = 1 }; /* nodes with a fixed index */

enum { GRAPH_WAS_MOST = 4 }; /* former names of one member */

typedef struct graph_member {
    const char *name; /* of a base class its name; of an unnamed union "(union of x)" */
    const char *was[GRAPH_WAS_MOST]; /* RP_WAS; null: no more */
    uint64_t offset_bits;
    uint32_t width_bits; /* of a bit-field; 0: none */
    uint32_t node;
    int line;
    bool base, table; /* a base class; the pointer to the virtual table */
    bool apart;       /* a virtual base: the object's virtual table tells where it lies */
} graph_member;

typedef struct graph_constant {
    const char *name;
    int64_t value;
} graph_constant;

typedef struct graph_node {
    node_kind kind;
    number_form form; /* of NODE_NUMBER, NODE_ENUM */
    bool character;   /* a number that may stand for any byte */
    bool filled;
    bool buffer;      /* bytes in which an object lies, and nothing that stands alone */
    const char *name; /* "" : none */
    uint64_t size_bytes;
    uint64_t count;  /* of an array; 0: open */
    uint32_t target; /* of a pointer or array; of a pointer to a data member, the class */
    uint32_t member_count;
    graph_member *members;     /* as declared */
    graph_constant *constants; /* of NODE_ENUM, member_count of them */
    const type_layout *layout; /* null: none */
    uint32_t alias_of;         /* of a node of a container: the type as it is declared */
    uint32_t alone; /* what a block is to which nothing but pointers to this node lead; 0: this */
    Dwarf_Die die;
} graph_node;

typedef struct graph_slot {
    uint64_t key;
    uint32_t node;
} graph_slot;

/* A remark of RP_WAS. */
typedef struct graph_hint {
    const char *type, *member, *was;
} graph_hint;

typedef struct type_graph {
    const rp_elf *elf;
    const type_table *table;
    module_arena *arena;
    graph_node *nodes;
    uint32_t count, capacity;
    uint32_t filled;   /* nodes before it have their members */
    uint32_t revealed; /* nodes before it say what their class template hides */
    graph_slot *slots; /* by entry, and by name and layout; a power of two */
    uint32_t slot_count, slots_used;
    graph_hint *hints;
    uint32_t hint_count;
    uint32_t nesting; /* arrays that are being added, each the element of the one before */
    rp_status status; /* the first failure: no memory */
} type_graph;

/* Everything it makes lies in `arena`, which outlives it. */
rp_status rp_graph_init(type_graph *graph, const rp_elf *elf, module_arena *arena);
/* The node of a type's entry. An entry without an address is void. */
uint32_t rp_graph_of(type_graph *graph, const Dwarf_Die *type);
/* Gives all nodes made so far, and those that they lead to, their targets and members. */
rp_status rp_graph_fill(type_graph *graph);
/* Of a variable; GRAPH_NONE: the debug information does not tell. */
uint32_t rp_graph_variable(type_graph *graph, const rp_symbol *symbol);
/* Of a complete struct, union or enum by name ("struct Enemy", "Enemy"); GRAPH_NONE: none, or
 * several that differ. */
uint32_t rp_graph_named(type_graph *graph, const char *name);
/* The complete types of a layout's kind and name, a run of the sorted table: how many. */
size_t rp_graph_run(const type_table *table, const type_layout *layout, size_t *first);
/* "struct Enemy *[4]" */
void rp_graph_text(const type_graph *graph, uint32_t node, rp_text_buffer *text);
/* "game.c:41": where it is declared, with the line of the member where one is given. */
void rp_graph_place(const type_graph *graph, uint32_t node, const graph_member *member,
                    rp_text_buffer *text);

/* "Enemy" of "struct Enemy". */
const char *rp_graph_bare_name(const char *name);
/* graph_hints.c: reads the remarks of RP_WAS. */
void rp_graph_read_hints(type_graph *graph);
/* Gives the members of a filled node their former names. */
void rp_graph_apply_hints(type_graph *graph, graph_node *node);
/* graph.c: the copy's index; GRAPH_VOID: no memory. The array of nodes may move. */
uint32_t rp_graph_add(type_graph *graph, graph_node node);

/* graph_hidden.c: what class templates hide from the types of their members. */
/* Of a buffer of bytes that is made for a T, its T; its members have just been read. */
void rp_graph_reveal_buffer(type_graph *graph, uint32_t index);
/* Whether a class is an allocator, by its name: std::allocator and its like. */
bool rp_graph_is_allocator(const graph_node *node);
/* The type of the nodes that a container allocates; GRAPH_NONE: it is none. May make a node that is
 * still to be filled. */
uint32_t rp_graph_nodes_of(type_graph *graph, uint32_t container);
/* Lets the container's pointers lead to such nodes. All nodes are filled, before and after. */
void rp_graph_reveal_nodes(type_graph *graph, uint32_t container, uint32_t nodes);

static inline graph_node *rp_graph_node(const type_graph *graph, uint32_t node)
{
    return &graph->nodes[node];
}

#endif
