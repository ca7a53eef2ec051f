/* The variables of a build in an image of its memory: values of expressions, names of addresses,
 * what differs between two images.
 *
 *   rp_values_open ── debug information of a build, where it lay
 *       rp_expression_parse "enemies[3].hp" ── rp_value_get ──► a number in one image
 *       rp_value_map_make ── what each block of one image is made of, by the pointers that lead to
 * it rp_value_map_leaves ──► "head->next->hp", int, 80     for the bytes of a span rp_value_compare
 * ── two images, also of two builds: by names, along pointers
 *
 * Nothing of the build is loaded or run. The debug information, the image and the expression may be
 * hostile: sizes and counts bound all work, and each image is only read through its function.
 *
 * Layer: module (the host's side).  Threads: one.  Design: docs/internals/module.md
 * Tests: tests/module/test_value.c, tests/fuzz/fuzz_expression.c
 */
#ifndef RP_MODULE_VALUE_H
#define RP_MODULE_VALUE_H

#include "base/text.h"
#include "module/elf.h"
#include "trace/image.h"

typedef struct rp_values rp_values;

/* `base`: what was added to the file's addresses; `tls_address`: of its thread-local data, 0: none.
 * `elf` stays the caller's, open as long. RP_E_NOT_FOUND: it has no debug information about types;
 * the text says what to do. */
rp_status rp_values_open(const rp_elf *elf, uint64_t base, uint64_t tls_address, rp_values **out);
void rp_values_close(rp_values *values); /* null is nothing */

/* ---- expressions -------------------------------------------------------------------------------
 *
 *   expression  sum of products: + - * /
 *   part        number | name | 'file.c'::name | function::name | ( expression )
 *               part.member | part->member | part[expression] | *part | -part
 *
 * A name is a variable of the build. Where two have one name the error lists them. */

enum { RP_EXPRESSION_NODES = 64, RP_EXPRESSION_BYTES = 512 };

typedef struct rp_expression_node {
    uint8_t kind;
    uint8_t left, right;                           /* nodes; 0: none */
    uint16_t name, name_bytes, scope, scope_bytes; /* in `text` */
    double number;
} rp_expression_node;

typedef struct rp_expression {
    char text[RP_EXPRESSION_BYTES];
    rp_expression_node nodes[RP_EXPRESSION_NODES]; /* 0: none */
    uint8_t count, root;
} rp_expression;

/* RP_E_ARGUMENT with a text that says where it goes wrong. */
rp_status rp_expression_parse(const char *text, rp_expression *expression);

typedef struct rp_value {
    double number; /* NaN where it is none */
    char text[96];
    char type[96];
    uint64_t address; /* 0: it lies nowhere */
    uint64_t size_bytes;
} rp_value;

/* RP_E_NOT_FOUND: there is no such variable or member: the text names those that there are.
 * RP_E_ARGUMENT: the types do not fit, or the result is no number. RP_E_RANGE: it leads to what is
 * no memory of the image, through a null pointer or past an array's end. */
rp_status rp_value_get(rp_values *values, const rp_image *image, const rp_expression *expression,
                       rp_value *value);

/* ---- names of addresses ------------------------------------------------------------------------
 */

typedef struct rp_value_map rp_value_map;

/* Follows the typed pointers of one image from its variables on. Where claims disagree or another
 * type fits as well, no more is believed than what holds either way. RP_E_MEMORY. Cost: 0.3 us a
 * pointer or so. */
rp_status rp_value_map_make(rp_values *values, const rp_image *image, rp_value_map **out);
void rp_value_map_drop(rp_value_map *map); /* null is nothing */

typedef struct rp_value_leaf {
    const char *path; /* "enemies[3].hp" */
    const char *type; /* "int" */
    uint64_t address, size_bytes;
    const void *scalar; /* for rp_value_leaf_text */
} rp_value_leaf;

/* Calls `told` for each number, pointer or the like that lies in [address, address + size_bytes)
 * or reaches into it, by rising address. Returns the bytes from `address` on that are of objects
 * whose types are known, 0 where the first one is of none; then *unknown is how many are of none.
 */
uint64_t rp_value_map_leaves(rp_value_map *map, uint64_t address, uint64_t size_bytes,
                             void (*told)(void *context, const rp_value_leaf *leaf), void *context,
                             uint64_t *unknown);
/* The leaf's value in an image: "12.5", "WALKING", "&enemies[3]". False: it cannot be read. */
bool rp_value_leaf_text(const rp_value_map *map, const rp_image *image, const rp_value_leaf *leaf,
                        char *text, size_t capacity);
/* The same with pointers as numbers: where two that differ have the same name. */
bool rp_value_leaf_plain(const rp_value_map *map, const rp_image *image, const rp_value_leaf *leaf,
                         char *text, size_t capacity);
/* Whether it is another one in another image. */
bool rp_value_leaf_differs(const rp_value_map *map, const rp_image *a, const rp_image *b,
                           const rp_value_leaf *leaf);

/* ---- two images --------------------------------------------------------------------------------
 */

typedef struct rp_value_side {
    rp_values *values;
    const rp_image *image;
} rp_value_side;

typedef struct rp_value_difference {
    const char *path; /* as in `a` */
    const char *type;
    char a[96], b[96]; /* the values */
} rp_value_difference;

typedef struct rp_value_sum {
    uint64_t compared, differ; /* numbers, pointers and the like */
    uint64_t only_one;         /* variables of `a` that `b` has not, or the other way round */
    bool whole;                /* else the bound was hit: there is more than was compared */
} rp_value_sum;

/* Variables by name, members by name, blocks by the pointers that lead to them: where they lie does
 * not count. RP_E_MEMORY. */
rp_status rp_value_compare(const rp_value_side *a, const rp_value_side *b,
                           void (*told)(void *context, const rp_value_difference *difference),
                           void *context, rp_value_sum *sum);

#endif
