/* The heaps' public calls: finding the owner of a block, caps, lists, figures. */
#include "alloc/heap.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

/* The heaps of a zone by id. Takes one unit; id 0 is nobody. */
typedef struct heap_table {
    rp_os_lock lock;
    uint32_t unused;
    rp_heap *heaps[];
} heap_table;

enum { HEAP_LIMIT = (RP_UNIT_BYTES - sizeof(heap_table)) / sizeof(rp_heap *) };

/* ---- the table ---- */

static heap_table *table_of(rp_zone zone)
{
    return rp_region_root(zone, RP_ROOT_HEAPS);
}

static heap_table *table_make(rp_zone zone)
{
    heap_table *table = rp_region_block_alloc(zone, RP_UNIT_BYTES, RP_BLOCK_PAGES, 0, 0);
    if (!table) {
        return NULL;
    }
    memset(table, 0, RP_UNIT_BYTES);
    heap_table *stands = rp_region_root_claim(zone, RP_ROOT_HEAPS, table);
    if (stands != table) {
        rp_region_block_free(table); /* another thread was first */
    }
    return stands;
}

static uint32_t free_id(const heap_table *table)
{
    for (uint32_t id = 1; id < HEAP_LIMIT; id++) {
        if (!table->heaps[id]) {
            return id;
        }
    }
    rp_fail(RP_E_MEMORY,
            "heap: cannot be made: the zone has %u heaps, no more are possible: destroy "
            "some",
            (unsigned)HEAP_LIMIT - 1);
    return 0;
}

static void check(const rp_heap *heap)
{
    RP_ASSERT(heap && heap->magic == HEAP_MAGIC);
}

/* With the table's lock held. */
static rp_heap *heap_make(heap_table *table, const rp_heap_desc *desc)
{
    uint32_t id = free_id(table);
    rp_heap *heap =
        id ? rp_region_block_alloc(desc->zone, sizeof *heap, RP_BLOCK_PAGES, id, 0) : NULL;
    if (heap) {
        *heap = (rp_heap){
            .magic = HEAP_MAGIC,
            .id = id,
            .zone = desc->zone,
            .cap_bytes = desc->cap_bytes ? desc->cap_bytes : UINT64_MAX,
        };
        rp_text_copy(heap->name, sizeof heap->name, desc->name ? desc->name : "unnamed");
        table->heaps[id] = heap;
    }
    return heap;
}

rp_heap *rp_heap_create(const rp_heap_desc *desc)
{
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "heap: cannot be made: the region is not open: open a deck first");
        return NULL;
    }
    heap_table *table = table_of(desc->zone);
    table = table ? table : table_make(desc->zone);
    if (!table) {
        return NULL;
    }
    rp_os_lock_take(&table->lock);
    rp_heap *heap = heap_make(table, desc);
    rp_os_lock_drop(&table->lock);
    return heap;
}

static void list_free(rp_zone zone, uint32_t list)
{
    while (list) {
        rp_unit *unit = rp_region_unit_at(zone, list);
        list = slab_of(unit)->link.next;
        rp_region_block_free(rp_region_unit_start(unit));
    }
}

void rp_heap_destroy(rp_heap *heap)
{
    if (!heap) {
        return;
    }
    check(heap);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        list_free(heap->zone, heap->partial[i]);
    }
    list_free(heap->zone, heap->full);
    list_free(heap->zone, heap->spare);
    list_free(heap->zone, heap->large);
    heap_table *table = table_of(heap->zone);
    rp_os_lock_take(&table->lock);
    table->heaps[heap->id] = NULL;
    heap->magic = 0;
    rp_region_block_free(heap);
    rp_os_lock_drop(&table->lock);
}

/* ---- lists and the region ---- */

void rp_heap_list_push(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    unit_link *link = &slab_of(unit)->link;
    *link = (unit_link){.next = *list};
    if (*list) {
        slab_of(rp_region_unit_at(zone, *list))->link.previous = unit->head;
    }
    *list = unit->head;
}

void rp_heap_list_remove(rp_zone zone, uint32_t *list, rp_unit *unit)
{
    const unit_link *link = &slab_of(unit)->link;
    if (link->next) {
        slab_of(rp_region_unit_at(zone, link->next))->link.previous = link->previous;
    }
    if (link->previous) {
        slab_of(rp_region_unit_at(zone, link->previous))->link.next = link->next;
    } else {
        RP_ASSERT(*list == unit->head);
        *list = link->next;
    }
}

static bool within_cap(const rp_heap *heap, size_t size_bytes)
{
    return size_bytes <= heap->cap_bytes - heap->stats.taken_bytes;
}

bool rp_heap_may_take(rp_heap *heap, size_t size_bytes)
{
    if (!within_cap(heap, size_bytes)) {
        rp_heap_spare_release(heap);
    }
    if (within_cap(heap, size_bytes)) {
        return true;
    }
    rp_fail(RP_E_MEMORY,
            "heap %s: full: %llu bytes taken, %zu more are over its cap of %llu: raise "
            "the cap or free something",
            heap->name, (unsigned long long)heap->stats.taken_bytes, size_bytes,
            (unsigned long long)heap->cap_bytes);
    return false;
}

void *rp_heap_take(rp_heap *heap, size_t size_bytes, rp_block_kind kind)
{
    if (!rp_heap_may_take(heap, size_bytes)) {
        return NULL;
    }
    void *start = rp_region_block_alloc(heap->zone, size_bytes, kind, heap->id, 0);
    heap->stats.taken_bytes += start ? size_bytes : 0;
    return start;
}

void rp_heap_give(rp_heap *heap, void *start, size_t size_bytes)
{
    heap->stats.taken_bytes -= size_bytes;
    rp_region_block_free(start);
}

/* ---- figures ---- */

void rp_heap_count_live(rp_heap *heap, size_t size_bytes)
{
    rp_heap_stats *stats = &heap->stats;
    stats->live_count++;
    stats->live_bytes += size_bytes;
    if (stats->live_bytes > stats->peak_bytes) {
        stats->peak_bytes = stats->live_bytes;
    }
}

void rp_heap_count_dead(rp_heap *heap, size_t size_bytes)
{
    heap->stats.live_count--;
    heap->stats.live_bytes -= size_bytes;
}

void rp_heap_stats_get(const rp_heap *heap, rp_heap_stats *stats)
{
    check(heap);
    rp_os_lock *lock = &((rp_heap *)heap)->lock;
    rp_os_lock_take(lock);
    *stats = heap->stats;
    rp_os_lock_drop(lock);
}

/* ---- making blocks ---- */

static void *alloc(rp_heap *heap, uint32_t class_index, size_t size_bytes, size_t align_bytes)
{
    check(heap);
    rp_os_lock_take(&heap->lock);
    void *block = class_index != CLASS_NONE ? rp_heap_small_alloc(heap, class_index)
                                            : rp_heap_large_alloc(heap, size_bytes, align_bytes);
    rp_os_lock_drop(&heap->lock);
    return block;
}

static uint32_t class_or_none(size_t size_bytes)
{
    return size_bytes <= CLASS_LARGEST_BYTES ? class_of(size_bytes) : CLASS_NONE;
}

void *rp_heap_alloc(rp_heap *heap, size_t size_bytes)
{
    return alloc(heap, class_or_none(size_bytes), size_bytes, 16);
}

void *rp_heap_alloc_aligned(rp_heap *heap, size_t align_bytes, size_t size_bytes)
{
    RP_ASSERT(rp_is_power_of_two(align_bytes) && align_bytes <= RP_MIB(1));
    return alloc(heap, rp_heap_class_aligned(size_bytes, rp_max_size(align_bytes, 16)), size_bytes,
                 align_bytes);
}

void *rp_heap_alloc_zeroed(rp_heap *heap, size_t count, size_t size_bytes)
{
    size_t total;
    if (!rp_mul_size(count, size_bytes, &total)) {
        rp_fail(RP_E_MEMORY,
                "heap: no block for %zu times %zu bytes: the product does not fit: ask for "
                "less",
                count, size_bytes);
        return NULL;
    }
    void *block = rp_heap_alloc(heap, total);
    if (!block) {
        return NULL;
    }
    const rp_unit *unit = rp_region_unit(block);
    bool reads_zero = unit->kind == RP_BLOCK_LARGE && (unit->flags & RP_BLOCK_ZEROED);
    return reads_zero ? block : memset(block, 0, total);
}

/* ---- from a block to its heap ---- */

typedef struct block_place {
    rp_heap *heap;
    rp_unit *head;
} block_place;

/* False where no heap has the block that `address` lies in. Without a lock: the entries of a live
 * block do not change. */
static bool place_of(const void *address, block_place *place)
{
    rp_unit *head = rp_region_unit_head(address);
    if (!head || (head->kind != RP_BLOCK_SLAB && head->kind != RP_BLOCK_LARGE)) {
        return false;
    }
    rp_zone zone = rp_region_contains(address) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP;
    const heap_table *table = table_of(zone);
    rp_heap *heap = table && head->owner < HEAP_LIMIT ? table->heaps[head->owner] : NULL;
    place->heap = heap;
    place->head = head;
    return heap != NULL;
}

static block_state look(const block_place *place, const void *address)
{
    if (place->head->kind == RP_BLOCK_SLAB) {
        return rp_heap_slab_look(place->head, address);
    }
    return rp_heap_large_start(place->head) == address ? BLOCK_LIVE : BLOCK_INSIDE;
}

static size_t usable_bytes(const block_place *place)
{
    bool small = place->head->kind == RP_BLOCK_SLAB;
    return small ? slab_class(place->head)->block_bytes : rp_heap_large_bytes(place->head);
}

static _Noreturn void die_homeless(const void *block, const char *what)
{
    if (!rp_region_unit(block)) {
        rp_region_die("heap: %s of foreign memory %p: it lies in no heap of the region", what,
                      block);
    }
    if (rp_region_unit_head(block)) {
        rp_region_die("heap: %s of %p: it lies in a block that is no heap's", what, block);
    }
    rp_region_die("heap: double %s of %p: nothing lives there any more", what, block);
}

/* Finds the heap of a live block and takes its lock, or names the error and aborts. */
static block_place place_lock(const void *block, const char *what)
{
    block_place place;
    if (!place_of(block, &place)) {
        die_homeless(block, what);
    }
    rp_os_lock_take(&place.heap->lock);
    block_state state = look(&place, block);
    if (state == BLOCK_DEAD) {
        rp_region_die("heap %s: double %s of %p", place.heap->name, what, block);
    }
    if (state == BLOCK_INSIDE) {
        rp_region_die("heap %s: %s inside a block: %p is no block's start", place.heap->name, what,
                      block);
    }
    return place;
}

/* ---- freeing and resizing ---- */

void rp_heap_free(void *block)
{
    if (!block) {
        return;
    }
    block_place place = place_lock(block, "free");
    if (place.head->kind == RP_BLOCK_SLAB) {
        rp_heap_small_free(place.heap, place.head, block);
    } else {
        rp_heap_large_free(place.heap, place.head);
    }
    rp_os_lock_drop(&place.heap->lock);
}

size_t rp_heap_usable_bytes(const void *block)
{
    block_place place;
    if (!place_of(block, &place)) {
        return 0;
    }
    rp_os_lock_take(&place.heap->lock);
    size_t size_bytes = look(&place, block) == BLOCK_LIVE ? usable_bytes(&place) : 0;
    rp_os_lock_drop(&place.heap->lock);
    return size_bytes;
}

/* Whether the block can stay for `size_bytes`; large ones are grown and cut to fit. A small block
 * stays while at least half of it is used. */
static bool resize_in_place(const block_place *place, size_t size_bytes)
{
    if (place->head->kind == RP_BLOCK_SLAB) {
        uint32_t now = place->head->size_class, wanted = class_or_none(size_bytes);
        return wanted == now ||
               (wanted < now && size_bytes >= rp_heap_classes[now].block_bytes / 2);
    }
    return size_bytes > CLASS_LARGEST_BYTES &&
           rp_heap_large_resize(place->heap, place->head, size_bytes);
}

void *rp_heap_resize(rp_heap *heap, void *block, size_t size_bytes)
{
    if (!block) {
        return rp_heap_alloc(heap, size_bytes);
    }
    block_place place = place_lock(block, "resize");
    size_t old_bytes = usable_bytes(&place);
    bool stays = resize_in_place(&place, size_bytes);
    rp_os_lock_drop(&place.heap->lock);
    if (stays) {
        return block;
    }
    void *moved = rp_heap_alloc(place.heap, size_bytes);
    if (!moved) {
        return size_bytes <= old_bytes ? block : NULL; /* there is no room to become smaller */
    }
    memcpy(moved, block, rp_min_size(old_bytes, size_bytes));
    rp_heap_free(block);
    return moved;
}
