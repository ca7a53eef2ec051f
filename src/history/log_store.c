/* Blobs in size classes; see log_store.h.
 *
 *   blob:  size, references, checksum | content …         handle: its offset / 16 + 1
 *   span:  1 or 4 pages of blobs of one class; the first page's note holds its state
 */
#include "history/log_store.h"

#include "base/assert.h"
#include "base/error.h"
#include "os/os.h"

#include <string.h>
#include <xxhash.h>

#define NO_PAGE UINT32_MAX

enum {
    UNIT_BYTES = 16,
    SMALL_SPAN_PAGES = 1,
    WIDE_SPAN_PAGES = 4,
    WIDE_FROM_CLASS = 19, /* blobs over 1 KiB */
    SEARCH_PAGES = 8192,  /* looked at for a run before the memory grows instead */
    INDEX_FIRST_CAPACITY = 1024,
};
#define SHARED_BIT UINT32_C(0x80000000)

/* Multiples of UNIT_BYTES; the last ones divide a wide span evenly. */
static const uint16_t class_bytes[RP_STORE_CLASSES] = {
    32,  48,  64,   80,   96,   112,  128,  160,  192,  224,  256,  320,  384,  448,  512,  640,
    768, 896, 1008, 1152, 1360, 1632, 1808, 2032, 2336, 2720, 3264, 4096, 4176, 5456, 8176, 8192};

typedef enum page_kind {
    PAGE_FREE = 0, /* holds no memory */
    PAGE_FREE_WARM,
    PAGE_SPAN, /* the first page of a span of small blobs */
    PAGE_RUN,  /* the first page of a large blob */
    PAGE_REST, /* of either */
} page_kind;

typedef struct page_note {
    uint8_t kind, class;
    uint16_t used, fresh;  /* blobs in use; blobs that were ever given out */
    uint16_t free_first;   /* number of the first free blob + 1 */
    uint32_t next, before; /* spans of the class with room, as page + 1 */
} page_note;

typedef struct blob_head {
    uint32_t size_bytes, references;
    uint64_t checksum;
} blob_head;

static page_note *note_of(const rp_store *store, uint32_t page)
{
    return (page_note *)(void *)store->pages.data + page;
}

static blob_head *head_of(const rp_store *store, rp_blob blob)
{
    return (blob_head *)(void *)(store->memory.data + (size_t)(blob - 1) * UNIT_BYTES);
}

/* Each blob is of 32 bytes at least, and the index at most half full, or just doubled. */
static size_t index_bytes(const rp_store *store)
{
    size_t blobs = ((size_t)store->page_limit << RP_PAGE_SHIFT) / 32;
    return rp_max_size(4 * blobs, INDEX_FIRST_CAPACITY) * sizeof(rp_blob);
}

rp_status rp_store_init(rp_store *store, size_t most_bytes, size_t keep_bytes)
{
    *store = (rp_store){.page_limit = (uint32_t)(most_bytes >> RP_PAGE_SHIFT),
                        .keep_pages = (uint32_t)(keep_bytes >> RP_PAGE_SHIFT)};
    rp_status status = rp_grow_init(&store->memory, most_bytes);
    if (status == RP_OK) {
        status = rp_grow_init(&store->pages, (size_t)store->page_limit * sizeof(page_note));
    }
    if (status == RP_OK) {
        status = rp_grow_init(&store->index, index_bytes(store));
    }
    if (status != RP_OK) {
        rp_store_finish(store);
        return status;
    }
    /* A seek reads blobs from all over: with small pages every one of them misses twice. */
    rp_os_vm_want_huge(store->memory.data, store->memory.reserved_bytes);
    return RP_OK;
}

void rp_store_finish(rp_store *store)
{
    rp_grow_finish(&store->index);
    rp_grow_finish(&store->pages);
    rp_grow_finish(&store->memory);
}

/* ---- pages ---- */

/* A run of free pages at or after the cursor within reach; NO_PAGE: none. */
static uint32_t find_run(rp_store *store, uint32_t count)
{
    uint32_t run = 0, looked = 0;
    if (store->free_pages < count) {
        return NO_PAGE;
    }
    for (uint32_t page = store->cursor; looked < SEARCH_PAGES && looked < store->page_end;
         page++, looked++) {
        if (page >= store->page_end) {
            page = 0;
            run = 0;
        }
        run = note_of(store, page)->kind <= PAGE_FREE_WARM ? run + 1 : 0;
        if (run == count) {
            return page + 1 - count;
        }
    }
    store->cursor = (store->cursor + looked) % store->page_end;
    return NO_PAGE;
}

static rp_status grow_pages(rp_store *store, uint32_t count, uint32_t *first)
{
    if (count > store->page_limit - store->page_end) {
        return rp_fail(RP_E_LIMIT,
                       "history: packed frames fill their %zu MiB: "
                       "use a smaller history budget",
                       (size_t)store->page_limit >> 8);
    }
    uint32_t end = store->page_end + count;
    rp_status status = rp_grow_need(&store->memory, (size_t)end << RP_PAGE_SHIFT);
    if (status == RP_OK) {
        status = rp_grow_need(&store->pages, (size_t)end * sizeof(page_note));
    }
    if (status == RP_OK) {
        *first = store->page_end;
        store->page_end = end;
        store->free_pages += count;
    }
    return status;
}

static rp_status take_pages(rp_store *store, uint32_t count, page_kind kind, uint32_t *first)
{
    *first = find_run(store, count);
    rp_status status = *first == NO_PAGE ? grow_pages(store, count, first) : RP_OK;
    if (status != RP_OK) {
        return status;
    }
    for (uint32_t page = *first; page < *first + count; page++) {
        store->warm_pages -= note_of(store, page)->kind == PAGE_FREE_WARM;
        *note_of(store, page) = (page_note){.kind = PAGE_REST};
    }
    note_of(store, *first)->kind = (uint8_t)kind;
    store->free_pages -= count;
    store->cursor = *first + count < store->page_end ? *first + count : 0;
    return RP_OK;
}

static void give_pages(rp_store *store, uint32_t first, uint32_t count)
{
    for (uint32_t page = first; page < first + count; page++) {
        *note_of(store, page) = (page_note){.kind = PAGE_FREE_WARM};
    }
    store->free_pages += count;
    store->warm_pages += count;
}

void rp_store_tidy(rp_store *store)
{
    if (store->warm_pages <= store->keep_pages) {
        return;
    }
    for (uint32_t page = 0; page < store->page_end;) {
        uint32_t end = page;
        while (end < store->page_end && note_of(store, end)->kind == PAGE_FREE_WARM) {
            note_of(store, end++)->kind = PAGE_FREE;
        }
        if (end > page) { /* of our own pages this cannot fail */
            (void)rp_os_vm_discard(store->memory.data + ((size_t)page << RP_PAGE_SHIFT),
                                   (size_t)(end - page) << RP_PAGE_SHIFT);
        }
        page = end > page ? end : page + 1;
    }
    store->warm_pages = 0;
}

/* ---- small blobs ---- */

static unsigned class_for(size_t room_bytes)
{
    unsigned class = 0;
    while (class < RP_STORE_CLASSES && class_bytes[class] < room_bytes) {
        class ++;
    }
    return class;
}

static uint32_t span_pages(unsigned class)
{
    return class < WIDE_FROM_CLASS ? SMALL_SPAN_PAGES : WIDE_SPAN_PAGES;
}

static unsigned span_blobs(unsigned class)
{
    return (unsigned)(span_pages(class) * RP_PAGE_BYTES / class_bytes[class]);
}

static void link_span(rp_store *store, uint32_t page)
{
    page_note *note = note_of(store, page);
    uint32_t first = store->partial[note->class];
    note->before = 0;
    note->next = first;
    if (first) {
        note_of(store, first - 1)->before = page + 1;
    }
    store->partial[note->class] = page + 1;
}

static void unlink_span(rp_store *store, uint32_t page)
{
    const page_note *note = note_of(store, page);
    if (note->before) {
        note_of(store, note->before - 1)->next = note->next;
    } else {
        store->partial[note->class] = note->next;
    }
    if (note->next) {
        note_of(store, note->next - 1)->before = note->before;
    }
}

static uint8_t *small_at(const rp_store *store, uint32_t page, unsigned number)
{
    return store->memory.data + ((size_t)page << RP_PAGE_SHIFT) +
           (size_t)number * class_bytes[note_of(store, page)->class];
}

static rp_status take_small(rp_store *store, unsigned class, uint8_t **room)
{
    uint32_t page = store->partial[class] - 1;
    if (store->partial[class] == 0) {
        rp_status status = take_pages(store, span_pages(class), PAGE_SPAN, &page);
        if (status != RP_OK) {
            return status;
        }
        note_of(store, page)->class = (uint8_t) class;
        link_span(store, page);
    }
    page_note *note = note_of(store, page);
    if (note->free_first) {
        *room = small_at(store, page, note->free_first - 1u);
        memcpy(&note->free_first, *room, sizeof note->free_first);
    } else {
        *room = small_at(store, page, note->fresh++);
    }
    if (++note->used == span_blobs(class)) {
        unlink_span(store, page);
    }
    return RP_OK;
}

static void give_small(rp_store *store, uint32_t page, uint8_t *room)
{
    page_note *note = note_of(store, page);
    unsigned blobs = span_blobs(note->class);
    uint16_t number =
        (uint16_t)((size_t)(room - small_at(store, page, 0)) / class_bytes[note->class]);
    memcpy(room, &note->free_first, sizeof note->free_first);
    note->free_first = (uint16_t)(number + 1);
    if (note->used-- == blobs) {
        link_span(store, page);
    }
    if (note->used == 0) {
        unlink_span(store, page);
        give_pages(store, page, span_pages(note->class));
    }
}

/* ---- blobs ---- */

static size_t room_for(size_t size_bytes)
{
    size_t room = size_bytes + sizeof(blob_head);
    unsigned class = class_for(room);
    return class < RP_STORE_CLASSES ? class_bytes[class] : rp_align_up(room, RP_PAGE_BYTES);
}

static rp_status put(rp_store *store, const void *data, uint32_t size_bytes, uint64_t checksum,
                     rp_blob *blob)
{
    size_t room = room_for(size_bytes);
    unsigned class = class_for(size_bytes + sizeof(blob_head));
    uint8_t *start = NULL;
    rp_status status;
    *blob = 0;
    if (class < RP_STORE_CLASSES) {
        status = take_small(store, class, &start);
    } else {
        uint32_t page;
        status = take_pages(store, (uint32_t)(room >> RP_PAGE_SHIFT), PAGE_RUN, &page);
        start = status == RP_OK ? store->memory.data + ((size_t)page << RP_PAGE_SHIFT) : NULL;
    }
    if (status != RP_OK) {
        return status;
    }
    *(blob_head *)(void *)start =
        (blob_head){.size_bytes = size_bytes, .references = 1, .checksum = checksum};
    memcpy(start + sizeof(blob_head), data, size_bytes);
    store->used_bytes += room;
    store->blob_count++;
    *blob = (rp_blob)((size_t)(start - store->memory.data) / UNIT_BYTES) + 1;
    return RP_OK;
}

rp_status rp_store_put(rp_store *store, const void *data, uint32_t size_bytes, rp_blob *blob)
{
    return put(store, data, size_bytes, XXH3_64bits(data, size_bytes), blob);
}

const uint8_t *rp_store_look(const rp_store *store, rp_blob blob, uint32_t *size_bytes)
{
    const blob_head *head = head_of(store, blob);
    *size_bytes = head->size_bytes;
    return (const uint8_t *)(head + 1);
}

bool rp_store_is_whole(const uint8_t *content)
{
    const blob_head *head = (const blob_head *)(const void *)(content - sizeof(blob_head));
    return XXH3_64bits(content, head->size_bytes) == head->checksum;
}

const uint8_t *rp_store_get(const rp_store *store, rp_blob blob, uint32_t *size_bytes)
{
    const uint8_t *content = rp_store_look(store, blob, size_bytes);
    return rp_store_is_whole(content) ? content : NULL;
}

uint32_t rp_store_room(const rp_store *store, rp_blob blob)
{
    return blob ? (uint32_t)room_for(head_of(store, blob)->size_bytes) : 0;
}

uint64_t rp_store_used_bytes(const rp_store *store)
{
    uint64_t pages = store->page_end - store->free_pages;
    return pages * (RP_PAGE_BYTES + sizeof(page_note)) +
           (uint64_t)store->index_count * 2 * sizeof(rp_blob);
}

uint64_t rp_store_warm_bytes(const rp_store *store)
{
    return (uint64_t)store->warm_pages * RP_PAGE_BYTES;
}

uint64_t rp_store_keep_bytes(const rp_store *store)
{
    return (uint64_t)store->keep_pages * RP_PAGE_BYTES;
}

/* ---- shared blobs ---- */

static rp_blob *index_slot(const rp_store *store, uint64_t at)
{
    return (rp_blob *)(void *)store->index.data + (at & (store->index_capacity - 1));
}

static void index_insert(rp_store *store, rp_blob blob)
{
    uint64_t at = head_of(store, blob)->checksum;
    while (*index_slot(store, at)) {
        at++;
    }
    *index_slot(store, at) = blob;
}

/* Doubles it: what stood in the first half goes to a place of its own once more. */
static rp_status index_grow(rp_store *store)
{
    rp_grow wider;
    uint32_t old = store->index_capacity;
    uint32_t capacity = old ? old * 2 : INDEX_FIRST_CAPACITY;
    rp_status status = rp_grow_init(&wider, index_bytes(store));
    if (status == RP_OK) {
        status = rp_grow_need(&wider, capacity * sizeof(rp_blob));
    }
    if (status != RP_OK) {
        rp_grow_finish(&wider);
        return status;
    }
    rp_grow narrow = store->index;
    store->index = wider;
    store->index_capacity = capacity;
    for (uint32_t i = 0; i < old; i++) {
        rp_blob blob = ((rp_blob *)(void *)narrow.data)[i];
        if (blob) {
            index_insert(store, blob);
        }
    }
    rp_grow_finish(&narrow);
    return RP_OK;
}

/* Takes it out; what follows in its cluster moves up, so that every search still ends rightly. */
static void index_remove(rp_store *store, rp_blob blob)
{
    uint64_t hole = head_of(store, blob)->checksum;
    while (*index_slot(store, hole) != blob) {
        hole++;
    }
    for (uint64_t at = hole + 1; *index_slot(store, at); at++) {
        uint64_t home = head_of(store, *index_slot(store, at))->checksum;
        uint64_t mask = store->index_capacity - 1;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            *index_slot(store, hole) = *index_slot(store, at);
            hole = at;
        }
    }
    *index_slot(store, hole) = 0;
    store->index_count--;
}

static rp_blob find_equal(const rp_store *store, const void *data, uint32_t size_bytes,
                          uint64_t checksum)
{
    if (store->index_capacity == 0) {
        return 0;
    }
    for (uint64_t at = checksum; *index_slot(store, at); at++) {
        rp_blob blob = *index_slot(store, at);
        const blob_head *head = head_of(store, blob);
        if (head->checksum == checksum && head->size_bytes == size_bytes &&
            (head->references & ~SHARED_BIT) < ~SHARED_BIT &&
            memcmp(head + 1, data, size_bytes) == 0) {
            return blob;
        }
    }
    return 0;
}

rp_status rp_store_put_shared(rp_store *store, const void *data, uint32_t size_bytes, rp_blob *blob)
{
    uint64_t checksum = XXH3_64bits(data, size_bytes);
    *blob = find_equal(store, data, size_bytes, checksum);
    if (*blob) {
        head_of(store, *blob)->references++;
        return RP_OK;
    }
    rp_status status = RP_OK;
    if (store->index_count * 2 >= store->index_capacity) {
        status = index_grow(store);
    }
    if (status == RP_OK) {
        status = put(store, data, size_bytes, checksum, blob);
    }
    if (status == RP_OK) {
        head_of(store, *blob)->references |= SHARED_BIT;
        index_insert(store, *blob);
        store->index_count++;
    }
    return status;
}

void rp_store_drop(rp_store *store, rp_blob blob)
{
    if (blob == 0) {
        return;
    }
    blob_head *head = head_of(store, blob);
    RP_ASSERT((head->references & ~SHARED_BIT) != 0);
    head->references--;
    if (head->references & ~SHARED_BIT) {
        return;
    }
    if (head->references & SHARED_BIT) {
        index_remove(store, blob);
    }
    size_t room = room_for(head->size_bytes);
    uint32_t page = (uint32_t)((size_t)(blob - 1) * UNIT_BYTES >> RP_PAGE_SHIFT);
    store->used_bytes -= room;
    store->blob_count--;
    if (note_of(store, page)->kind == PAGE_RUN) {
        give_pages(store, page, (uint32_t)(room >> RP_PAGE_SHIFT));
        return;
    }
    while (note_of(store, page)->kind == PAGE_REST) { /* within a wide span */
        page--;
    }
    give_small(store, page, (uint8_t *)head);
}

/* ---- check ---- */

static bool check_partial(const rp_store *store, uint32_t *listed)
{
    for (unsigned class = 0; class < RP_STORE_CLASSES; class ++) {
        uint32_t before = 0;
        for (uint32_t at = store->partial[class]; at; at = note_of(store, at - 1)->next) {
            const page_note *note = note_of(store, at - 1);
            if (at > store->page_end || note->kind != PAGE_SPAN || note->class != class ||
                note->before != before || note->used >= span_blobs(class) ||
                ++*listed > store->page_end) {
                return false;
            }
            before = at;
        }
    }
    return true;
}

bool rp_store_check(const rp_store *store)
{
    uint32_t free_pages = 0, warm = 0, with_room = 0, listed = 0;
    uint64_t blobs = 0;
    for (uint32_t page = 0; page < store->page_end; page++) {
        const page_note *note = note_of(store, page);
        free_pages += note->kind <= PAGE_FREE_WARM;
        warm += note->kind == PAGE_FREE_WARM;
        blobs += note->kind == PAGE_RUN ? 1u : note->kind == PAGE_SPAN ? note->used : 0u;
        with_room += note->kind == PAGE_SPAN && note->used < span_blobs(note->class);
    }
    return check_partial(store, &listed) && listed == with_room &&
           free_pages == store->free_pages && warm == store->warm_pages &&
           blobs == store->blob_count && store->index_count * 2 <= store->index_capacity + 1;
}
