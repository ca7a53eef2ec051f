/* Every live block of the world, by address: while a world is brought to another build.
 *
 *   unit of 64 KiB ─► its first block, and how to get from an offset to a block:
 *      blocks of one size     a division
 *      others                 a search
 *
 * Made in one walk over all allocators and thrown away afterwards; nothing may be allocated or
 * freed in the world while it is being made.
 *
 * Layer: module, internal.  Threads: one.  Tests: tests/module/test_migrate.c
 */
#ifndef RP_MODULE_BLOCKS_H
#define RP_MODULE_BLOCKS_H

#include "module/arena.h"
#include "region/region.h"

#include <reprise/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK_CLAIM_BITS = 24,
    BLOCK_SURE = 1,     /* its type is said, not inferred */
    BLOCK_DOUBT = 2,    /* it may be of another type, too */
    BLOCK_DISAGREE = 4, /* two pointers say different things */
    BLOCK_TOUCHED = 8,  /* something that is no typed pointer leads to it */
    BLOCK_FOREIGN = 16, /* what touches it is memory that the module's types say nothing of */
    BLOCK_INSIDE = 32,  /* a typed pointer leads into it, not to its start */
    BLOCK_QUEUED = 64,
    BLOCK_CHANGED = 128 /* will be converted */
};

typedef struct block_place {
    uint64_t start, size_bytes;
} block_place;

/* Apart from the places, since pointers lead to blocks in no order: what they need is small. */
typedef struct block_mark {
    uint32_t type;                     /* of the plan; 0: not known */
    uint32_t claim : BLOCK_CLAIM_BITS; /* what said so: see infer.c */
    uint32_t flags : 8;
} block_mark;

typedef struct block_unit {
    uint64_t low, high; /* where its first block begins; behind the place of its last one */
    uint32_t first;     /* block */
    uint32_t count;
    uint64_t inverse; /* 2^32 / stride, rounded up: exact for offsets in a unit */
    uint32_t stride;  /* all blocks have this size and lie at multiples of it; 0: no */
    uint32_t before;  /* 1 + the block that reaches into this unit from one before; 0: none */
    uint16_t *places; /* by multiple of the stride: 1 + its number in the unit; null: no gaps */
} block_unit;

/* Blocks are numbers here, by rising address. */
typedef struct block_index {
    module_arena arena;
    block_place *places;
    block_mark *marks;
    uint64_t *moved; /* where its objects are to be; 0: they stay */
    uint32_t count, capacity;
    block_unit *units;
    uint32_t unit_count;
    uint64_t low, high; /* of all blocks */
} block_index;

#define BLOCK_NONE UINT32_MAX

/* RP_E_MEMORY with the record set. Cost: some 15 ns a block. */
rp_status rp_blocks_collect(block_index *index);
void rp_blocks_drop(block_index *index);
uint32_t rp_blocks_search(const block_index *index, uint64_t address, uint64_t *start);

/* The live block that holds an address, and where it begins; one that ends there, where none holds
 * it; BLOCK_NONE: neither. */
static inline uint32_t rp_blocks_find(const block_index *index, uint64_t address, uint64_t *start)
{
    if (address - index->low > index->high - index->low) {
        return BLOCK_NONE;
    }
    uint64_t number = (address - RP_REGION_BASE) >> RP_UNIT_SHIFT;
    const block_unit *unit = &index->units[number];
    bool plain = number < index->unit_count && unit->stride && !unit->places &&
                 address >= unit->low && address < unit->high;
    if (plain) { /* for nearly all pointers, so without a call */
        uint32_t place = (uint32_t)(((address - unit->low) * unit->inverse) >> 32);
        *start = unit->low + (uint64_t)place * unit->stride;
        return unit->first + place;
    }
    return rp_blocks_search(index, address, start);
}

/* How much of a block of that size the allocator may have added to what was asked for. */
static inline uint64_t rp_blocks_slack(uint64_t size_bytes)
{
    return size_bytes <= 128 ? 16 : size_bytes <= 32768 ? size_bytes / 5 + 16 : 65536;
}

#endif
