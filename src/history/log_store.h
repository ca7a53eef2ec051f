/* Where packed history lies: blobs in memory of the log's own.
 *
 * Small blobs share spans of pages by size class, large ones have a run of pages. A blob never
 * moves and never changes until its last reference goes, so another thread may read it meanwhile.
 * Blobs that were put as shared and have equal bytes are stored once.
 *
 * Layer: history (internal).  Threads: one; see above.  Tests: tests/history/test_log_store.c
 */
#ifndef RP_HISTORY_LOG_STORE_H
#define RP_HISTORY_LOG_STORE_H

#include "base/bits.h"
#include "history/storage.h"

/* 0: none. */
typedef uint32_t rp_blob;

enum { RP_STORE_CLASSES = 32 };

typedef struct rp_store {
    rp_grow memory;
    rp_grow pages;                      /* what each page of it is */
    uint32_t page_end;                  /* pages from here on were never used */
    uint32_t cursor;                    /* where the search for free pages goes on */
    uint32_t free_pages;                /* below page_end */
    uint32_t warm_pages;                /* of those, which still hold memory */
    uint32_t partial[RP_STORE_CLASSES]; /* first span with room, as page + 1 */
    rp_grow index;                      /* shared blobs by their checksum: open addressing */
    uint32_t index_capacity, index_count, page_limit;
    uint64_t used_bytes, blob_count;
    uint32_t keep_pages; /* free ones that may hold memory */
} rp_store;

/* `most_bytes` is what it may ever hold; address space, not memory. Free memory is given back where
 * it is more than `keep_bytes`. RP_E_MEMORY, RP_E_LIMIT. */
rp_status rp_store_init(rp_store *store, size_t most_bytes, size_t keep_bytes);
void rp_store_finish(rp_store *store);

/* Copies the bytes. RP_E_MEMORY, RP_E_LIMIT. */
rp_status rp_store_put(rp_store *store, const void *data, uint32_t size_bytes, rp_blob *blob);
/* The same, or one more reference to a shared blob of equal bytes. */
rp_status rp_store_put_shared(rp_store *store, const void *data, uint32_t size_bytes,
                              rp_blob *blob);
/* The content, where its checksum still holds; else null. */
const uint8_t *rp_store_get(const rp_store *store, rp_blob blob, uint32_t *size_bytes);
/* The content unchecked, for a reader that checks by rp_store_is_whole. */
const uint8_t *rp_store_look(const rp_store *store, rp_blob blob, uint32_t *size_bytes);
/* Begins to bring a blob's first bytes near; 0 is allowed. */
static inline void rp_store_prefetch(const rp_store *store, rp_blob blob)
{
    const uint8_t *start = store->memory.data + (size_t)(blob - (blob != 0)) * 16;
    __builtin_prefetch(start);
    __builtin_prefetch(start + 64);
    __builtin_prefetch(start + 128);
}
/* Whether content that rp_store_look gave has the checksum that stands before it. Any thread. */
bool rp_store_is_whole(const uint8_t *content);
/* Drops a reference; 0 is allowed. */
void rp_store_drop(rp_store *store, rp_blob blob);
/* What a blob takes, its head and the rounding to its class included. */
uint32_t rp_store_room(const rp_store *store, rp_blob blob);
/* Memory that blobs are in, with what is free between them, and all that belongs to them. */
uint64_t rp_store_used_bytes(const rp_store *store);
/* Free memory beside that, now, and as much of it as is ever kept. */
uint64_t rp_store_warm_bytes(const rp_store *store);
uint64_t rp_store_keep_bytes(const rp_store *store);
/* Gives memory back where much of it is free. Off the frame's path. */
void rp_store_tidy(rp_store *store);
/* Walks all of it; false where a count or a list is wrong. */
bool rp_store_check(const rp_store *store);

#endif
