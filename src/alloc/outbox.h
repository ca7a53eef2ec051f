/* What a thread freed of others' blocks and has not sent off yet. Layer: alloc, internal. */
#ifndef RP_ALLOC_OUTBOX_H
#define RP_ALLOC_OUTBOX_H

#include "alloc/generic.h"

enum {
    OUTBOX_ENTRIES = 16,
    SEND_BLOCKS = 32,
    SEND_BYTES = 65536 /* large blocks do not wait for 32 of them */
};

typedef struct outbox_entry {
    rp_cache *cache;     /* whose blocks; null: none */
    uint32_t generation; /* of the cache; another one: the heap is gone and its blocks with it */
    uint32_t count, bytes, unused;
    free_block *head, *tail;
} outbox_entry;

typedef struct outbox {
    uint64_t reserved[2]; /* the meta pool's while it is free */
    outbox_entry entries[OUTBOX_ENTRIES];
} outbox;

/* The calling thread's; null: it has no slot, or there is no memory. */
outbox *rp_outbox_mine(rp_zone zone);

#endif
