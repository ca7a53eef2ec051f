/* Shared by value*.c.
 *
 *   value.c          a build's variables; scalars and their texts
 *   value_parse.c    text ─► rp_expression            value_get.c   expression ─► value
 *   value_map.c      which object lies where          value_name.c  address ─► path and leaf
 *   value_compare.c  two images, by names
 *
 * Layer: module (internal).
 */
#ifndef RP_MODULE_VALUE_INTERNAL_H
#define RP_MODULE_VALUE_INTERNAL_H

#include "module/graph.h"
#include "module/value.h"

enum {
    VALUE_DEPTH_MOST = 24,  /* of types in types, by value */
    VALUE_PATH_BYTES = 192, /* longer ones begin with a cast of an address */
    VALUE_PATH_STEPS = 8,   /* pointers in one */
    VALUE_TEXT_MOST = 40,   /* characters of an array that are shown */
};

typedef struct value_variable {
    const rp_symbol *symbol;
    uint32_t node;
    uint64_t address;
} value_variable;

struct rp_values {
    const rp_elf *elf;
    uint64_t base, tls_address;
    module_arena arena;
    type_graph graph;
    value_variable *variables; /* whose types are known, by rising address */
    uint32_t variable_count;
    uint8_t *pointers; /* by node: 0 not asked, 1 holds pointers, 2 does not */
    uint8_t *begins;   /* by node: 0 not asked, 1 others begin with it, 2 none does */
};

/* A number, pointer, enum or the like in memory. */
typedef struct value_scalar {
    uint32_t node;
    uint32_t width_bits; /* of a bit-field; 0: none */
    uint64_t address;    /* of the byte that `bit` counts from */
    uint32_t bit;
    uint32_t count; /* of an array of characters that is shown as one; else 1 */
} value_scalar;

/* What a scalar holds. */
typedef struct value_content {
    number_form form;
    uint64_t bits; /* of whole numbers, extended by their sign */
    double number;
} value_content;

/* ---- value.c ---- */

static inline const graph_node *value_node(const rp_values *values, uint32_t node)
{
    return rp_graph_node(&values->graph, node);
}

/* Numbers, enums, pointers, and texts: what has one value. */
bool value_is_scalar(const rp_values *values, uint32_t node);
/* An array of characters, short enough to be one text. */
bool value_is_text(const rp_values *values, uint32_t node);
bool value_holds_pointers(rp_values *values, uint32_t node);
uint64_t value_scalar_bytes(const rp_values *values, const value_scalar *scalar);
/* False: it is in no memory, or of no form that is a number. */
bool value_load(const rp_values *values, const rp_image *image, const value_scalar *scalar,
                value_content *content);
/* `map` may be null: pointers are numbers then. False: it cannot be read. */
bool value_text(const rp_values *values, const rp_value_map *map, const rp_image *image,
                const value_scalar *scalar, char *text, size_t capacity);
/* "step::count", "'game.c'::count" where the name alone says too little. */
void value_variable_name(const rp_values *values, const rp_symbol *symbol, rp_text_buffer *text);
/* The variable that holds an address; null: none whose type is known. */
const value_variable *value_variable_at(const rp_values *values, uint64_t address);
void value_type_text(const rp_values *values, uint32_t node, char *text, size_t capacity);

/* ---- leaves ---- */

typedef struct value_leaf_walk {
    const rp_values *values;
    rp_text_buffer *path; /* grows and shrinks with the walk */
    uint64_t low, high;   /* addresses of interest */
    /* A scalar, or bytes that have no form: a union, something opaque. */
    void (*told)(void *context, const value_scalar *scalar);
    void *context;
    uint64_t *steps_left; /* damaged types can hold each other a great many times */
} value_leaf_walk;

/* All leaves of an object of that type that touch [low, high). */
void value_leaves(const value_leaf_walk *walk, uint32_t node, uint64_t address);
/* Takes what was added behind `length` away again. */
static inline void value_path_cut(rp_text_buffer *path, size_t length)
{
    path->length = length;
    path->text[length] = 0;
}

/* ---- value_map.c ---- */

typedef struct value_object {
    uint64_t start, size_bytes;
    uint32_t node, count;
    uint32_t parent; /* object number plus 1; 0: `from` is in a variable */
    uint32_t doubt;  /* 1: no more is known than the first one of them; 2: claims disagree */
    uint64_t from;   /* the address of the pointer that leads here */
    bool pending;    /* its pointers were not followed yet */
} value_object;

struct rp_value_map {
    rp_values *values;
    const rp_image *image;
    module_arena arena;
    value_object *objects; /* in the order in which they were met */
    uint32_t count, capacity;
    uint32_t *slots; /* object numbers plus 1 by start */
    uint32_t slot_count;
    uint32_t *sorted; /* by start */
    uint64_t steps_left;
    char path[VALUE_PATH_BYTES + 64], type[96]; /* of the leaf at hand */
    rp_status status;
};

/* The object that holds an address; null: none is known there. */
const value_object *value_object_at(const rp_value_map *map, uint64_t address);
/* Types that begin with one of `base`. */
bool value_begins_with(const rp_values *values, uint32_t heir, uint32_t base);

/* ---- value_name.c ---- */

/* "enemies[3].hp" for what lies at an address, or "enemies[3]" where that is of type `node` (0: the
 * innermost); false, with nothing added: it is of no known object.
 */
bool value_name_add(const rp_value_map *map, uint64_t address, uint32_t node, rp_text_buffer *text);

/* What stands before the members of an object's element: "head->next->", "enemies[3]". `steps`: how
 * many pointers the path has already. */
void value_element_add(const rp_value_map *map, const value_object *object, uint64_t index,
                       int steps, rp_text_buffer *text);
/* "[3].hp": where an address lies in its object. */
void value_rest_add(const rp_value_map *map, const value_object *object, uint64_t address,
                    uint32_t node, rp_text_buffer *text);
/* ".x" or "x" behind an arrow; nothing for a base class. */
void value_member_add(const graph_member *member, rp_text_buffer *text);

/* ---- value_get.c ---- */

/* The variable of that name: null with the record set where there is none, or several. */
const value_variable *value_find(const rp_values *values, const char *scope, size_t scope_bytes,
                                 const char *name, size_t name_bytes);

#endif
