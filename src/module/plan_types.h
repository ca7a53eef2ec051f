/* The part of a plan that speaks of types: how to walk objects of the old build, and how to make
 * those of the new one from them. Flat, as the plan is; all indices and offsets are checked by
 * rp_plan_check before anything is believed.
 *
 *   rp_plan_type ─► rp_plan_slot …       where an old object has pointers, and to what
 *        └► rp_plan_conversion ─► rp_plan_op …   how its values get to their new places
 *
 * Types and conversions are known by index; index 0 is none. `cost` bounds the steps that a walk
 * over one object takes, and is above the sum of the costs of what it holds by value: so no circle
 * passes the check, and no small plan asks for endless work.
 *
 * Layer: module.  Design: docs/internals/module.md
 */
#ifndef RP_MODULE_PLAN_TYPES_H
#define RP_MODULE_PLAN_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef enum rp_slot_kind {
    RP_SLOT_POINTER, /* `count` pointers one after the other to objects of `type` */
    RP_SLOT_WITHIN,  /* the same by somebody's answer: what they lead into is made of `type` */
    RP_SLOT_UNTYPED, /* `count` words that may be pointers to anything: void *, long */
    RP_SLOT_TYPE,    /* `count` objects of `type` by value */
    RP_SLOT_BYTES,   /* `count` bytes whose meaning is not told: a union */
    RP_SLOT_KINDS
} rp_slot_kind;

typedef struct rp_plan_slot {
    uint64_t offset, count;
    uint32_t kind, type;
    uint32_t name; /* "Enemy.next"; "" where the variable's name says it */
    uint32_t reserved;
} rp_plan_slot;

enum {
    RP_TYPE_UNKNOWN = 1,   /* void, a function, only declared: a pointer to it says nothing */
    RP_TYPE_CHARACTER = 2, /* may stand for any bytes */
    RP_TYPE_SCALAR = 4,    /* a number or pointer: heirs are not asked for */
    RP_TYPE_VIRTUAL = 8,   /* begins with a pointer to its virtual table */
    RP_TYPE_FLAGS = 15
};

#define RP_TYPE_NO_TAIL UINT64_MAX

typedef struct rp_plan_type {
    uint64_t size_bytes;  /* 0 only with RP_TYPE_UNKNOWN */
    uint64_t tail_offset; /* of an array that is open at the end; RP_TYPE_NO_TAIL: none */
    uint64_t cost;
    uint32_t tail_type;
    uint32_t name, place;
    uint32_t first_slot, slot_count;
    uint32_t conversion; /* of an object on the heap; 0: the new build has it as it is */
    uint32_t flags;
    uint32_t first_heir, heir_count; /* types that begin with an object of this one */
    uint32_t alone; /* what a block is that nothing but pointers to this lead to; 0: this */
} rp_plan_type;

/* What an object of that size may cost at most. */
static inline uint64_t rp_plan_cost_limit(uint64_t size_bytes)
{
    return size_bytes < UINT64_MAX / 32 ? 16 * size_bytes + 1024 : UINT64_MAX;
}

typedef enum rp_op_kind {
    RP_OP_COPY,   /* `count` bytes; of `type` not 0: `count` objects, whose pointers are followed */
    RP_OP_NUMBER, /* a number of one form to another */
    RP_OP_ENUM,   /* the same, through `constant_count` constants from `first_constant` on */
    RP_OP_CONVERT, /* `count` objects by `conversion` */
    RP_OP_KINDS
} rp_op_kind;

enum { RP_FORM_SIGNED, RP_FORM_UNSIGNED, RP_FORM_FLOAT, RP_FORM_BOOL, RP_FORM_COUNT };

typedef struct rp_plan_number {
    uint8_t form;  /* RP_FORM_… */
    uint8_t bit;   /* of a bit-field: the first bit, from the offset on */
    uint16_t bits; /* width: 1 … 64, of a float 32, 64 or 128 */
} rp_plan_number;

typedef struct rp_plan_op {
    uint64_t old_offset, new_offset;
    uint64_t count;
    uint32_t kind, type, conversion;
    uint32_t name; /* "Enemy.speed" */
    rp_plan_number old_number, new_number;
    uint32_t first_constant, constant_count;
} rp_plan_op;

typedef struct rp_plan_conversion {
    uint64_t old_bytes, new_bytes;
    uint64_t new_tail_offset; /* RP_TYPE_NO_TAIL: none */
    uint32_t tail_conversion; /* 0: bytes as they are, with tail_type's pointers followed */
    uint32_t tail_type;
    uint64_t old_tail_offset;
    uint64_t cost;
    uint32_t first_op, op_count;
    uint32_t name;    /* "struct Enemy" */
    uint32_t place;   /* "game.c:41" */
    uint32_t refusal; /* why it cannot be done; 0: it can */
    uint32_t reserved;
} rp_plan_conversion;

typedef struct rp_plan_constant {
    int64_t old_value, new_value;
} rp_plan_constant;

/* Where the old build's virtual tables lie: the word that an object begins with tells its class. */
typedef struct rp_plan_table {
    uint64_t old_address, size_bytes;
    uint32_t type, reserved;
} rp_plan_table;

/* What a site's blocks are, by somebody's answer. */
typedef struct rp_plan_site {
    uint32_t name, type;
} rp_plan_site;

#endif
