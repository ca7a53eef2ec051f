/* Why a world was not carried to another build, for people and for programs.
 *
 * Layer: module.  Design: docs/internals/module.md
 */
#ifndef RP_MODULE_REFUSAL_H
#define RP_MODULE_REFUSAL_H

#include <stdint.h>

typedef enum rp_refusal_kind {
    RP_REFUSAL_NONE,
    RP_REFUSAL_VARIABLE, /* a variable's value cannot become what it is now */
    RP_REFUSAL_FIELD,    /* a field of live objects cannot */
    RP_REFUSAL_DOUBT,    /* blocks may be of a changed type, and nothing tells: a question */
    RP_REFUSAL_PLACE     /* objects of a changed type lie where they cannot be replaced */
} rp_refusal_kind;

typedef struct rp_refusal {
    uint32_t kind;       /* rp_refusal_kind */
    uint32_t count;      /* blocks that it is about */
    uint64_t address;    /* the first one; 0: none */
    uint64_t size_bytes; /* its size */
    char what[128];      /* the variable; the pointer that led there: "World.user" */
    char type[96];       /* "struct Enemy" */
    char place[96];      /* where that is declared: "game.c:41" */
    char site[128];      /* where the first block was allocated; "" where it is not known */
    char why[320];
} rp_refusal;

#endif
