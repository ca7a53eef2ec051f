/* Which blocks are pointed to: from roots on, through blocks, any aligned word counts. */
#include "trace/reach.h"

#include "base/bits.h"
#include "base/error.h"
#include "region/region.h"

/* ---- roots that were named ---- */

enum { ROOTS_MOST = 4096 };

/* In the keep zone. */
typedef struct root_list {
    rp_os_lock lock;
    uint32_t count;
    rp_os_extent roots[ROOTS_MOST];
} root_list;

static rp_trace_tables *keep_tables(void)
{
    return rp_trace_tables_of(RP_ZONE_KEEP);
}

static root_list *list_of(rp_trace_tables *tables)
{
    if (!tables) {
        return NULL;
    }
    rp_os_lock_take(&tables->lock);
    if (!tables->leak_roots) {
        root_list *made = rp_region_block_alloc(RP_ZONE_KEEP, sizeof *made, RP_BLOCK_PAGES, 0, 0);
        if (made) {
            made->lock = 0;
            made->count = 0;
        }
        tables->leak_roots = made;
    }
    rp_os_lock_drop(&tables->lock);
    return tables->leak_roots;
}

rp_status rp_leak_root(const void *start, size_t size_bytes)
{
    root_list *list = list_of(keep_tables());
    rp_status status = RP_OK;
    if (!list) {
        return rp_fail(RP_E_MEMORY, "leaks: a root cannot be kept: the keep zone is full or the "
                                    "region is not open: open it first");
    }
    rp_os_lock_take(&list->lock);
    if (list->count < ROOTS_MOST) {
        list->roots[list->count++] = (rp_os_extent){(uint8_t *)(uintptr_t)start, size_bytes};
    } else {
        status = rp_fail(RP_E_MEMORY,
                         "leaks: a root cannot be kept: there are %d already: join neighbours, or "
                         "call rp_leak_roots_clear first",
                         ROOTS_MOST);
    }
    rp_os_lock_drop(&list->lock);
    return status;
}

void rp_leak_roots_clear(void)
{
    rp_trace_tables *tables = rp_trace_tables_if_any(RP_ZONE_KEEP);
    root_list *list = tables ? tables->leak_roots : NULL;
    if (list) {
        rp_os_lock_take(&list->lock);
        list->count = 0;
        rp_os_lock_drop(&list->lock);
    }
}

/* ---- the walk ---- */

typedef struct reach_walk {
    report_array *blocks; /* sorted by address */
    report_array todo;    /* indices of blocks whose content is to be looked at */
    uintptr_t low, high;
    uint8_t mark;
} reach_walk;

/* The block that holds the address; null: none. A block of size 0 holds its own address. */
static report_block *block_at(const reach_walk *walk, uintptr_t address)
{
    size_t low = 0, high = walk->blocks->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const report_block *at = report_array_at(walk->blocks, middle);
        low = at->start <= address ? middle + 1 : low;
        high = at->start <= address ? high : middle;
    }
    report_block *found = low ? report_array_at(walk->blocks, low - 1) : NULL;
    bool inside = found && address - found->start < rp_max_size(found->size_bytes, 1);
    return inside ? found : NULL;
}

static void reached(reach_walk *walk, uintptr_t address)
{
    report_block *block = block_at(walk, address);
    if (!block || block->state >= walk->mark || !block->live) {
        return;
    }
    block->state = walk->mark;
    size_t *index = report_array_add(&walk->todo, sizeof *index);
    if (index) {
        *index = (size_t)((uint8_t *)block - walk->blocks->items) / sizeof *block;
    }
}

/* Reads whatever lies there, also what other functions keep on the stack. */
__attribute__((no_sanitize("address", "thread"))) static void scan(reach_walk *walk,
                                                                   uintptr_t start, uintptr_t end)
{
    const uintptr_t step = sizeof(uintptr_t);
    for (uintptr_t at = rp_align_up(start, step); at < end && end - at >= step; at += step) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (word - walk->low < walk->high - walk->low) {
            reached(walk, word);
        }
    }
}

static void drain(reach_walk *walk)
{
    while (walk->todo.count) {
        size_t index = *(size_t *)report_array_at(&walk->todo, --walk->todo.count);
        const report_block *block = report_array_at(walk->blocks, index);
        scan(walk, block->start, block->start + block->size_bytes);
    }
}

/* What lies outside the heaps may have been unmapped since it was named. */
static void scan_outside(reach_walk *walk, const rp_os_extent *root)
{
    uintptr_t start = (uintptr_t)root->start, end;
    if (__builtin_add_overflow(start, root->size_bytes, &end)) {
        return;
    }
    for (uintptr_t next; start < end; start = next) {
        next = rp_align_down(start, RP_PAGE_BYTES) + RP_PAGE_BYTES;
        next = next < end ? next : end;
        if (rp_os_vm_readable((const void *)start, next - start)) {
            scan(walk, start, next);
        }
    }
    drain(walk);
}

/* From `here` to the end of the stack that it lies on. */
static void scan_stack(reach_walk *walk, uintptr_t here)
{
    rp_os_extent stacks[2];
    rp_os_stacks_of_thread(stacks);
    for (int i = 0; i < 2; i++) {
        size_t below = here - (uintptr_t)stacks[i].start;
        if (below < stacks[i].size_bytes) {
            scan_outside(walk, &(rp_os_extent){(uint8_t *)here, stacks[i].size_bytes - below});
            return;
        }
    }
    rp_region_block block;
    if (rp_region_contains((void *)here) && rp_region_block_find((void *)here, &block)) {
        size_t below = here - (uintptr_t)block.start;
        scan_outside(walk, &(rp_os_extent){(uint8_t *)here, block.size_bytes - below});
    }
}

static void bound(reach_walk *walk)
{
    walk->low = UINTPTR_MAX;
    for (size_t i = 0; i < walk->blocks->count; i++) {
        const report_block *block = report_array_at(walk->blocks, i);
        uintptr_t end = block->start + rp_max_size(block->size_bytes, 1);
        walk->low = block->start < walk->low ? block->start : walk->low;
        walk->high = end > walk->high ? end : walk->high;
    }
}

/* Unreachable blocks that another unreachable one points to. */
static void mark_indirect(reach_walk *walk)
{
    walk->mark = REACH_INDIRECT;
    for (size_t i = 0; i < walk->blocks->count; i++) {
        report_block *block = report_array_at(walk->blocks, i);
        if (block->state >= REACH_INDIRECT || !block->live) {
            continue;
        }
        uint8_t kept = block->state;
        block->state = REACH_YES; /* so that it does not reach itself */
        scan(walk, block->start, block->start + block->size_bytes);
        drain(walk);
        block->state = kept;
    }
}

bool rp_reach_mark(report_array *blocks, const void *stack_from)
{
    reach_walk walk = {.blocks = blocks, .mark = REACH_YES};
    report_array_sort(blocks, report_block_by_address);
    bound(&walk);
    scan_stack(&walk, (uintptr_t)stack_from);
    root_list *list = list_of(keep_tables());
    for (uint32_t i = 0; list && i < list->count; i++) {
        scan_outside(&walk, &list->roots[i]);
    }
    mark_indirect(&walk);
    bool whole = !walk.todo.full && !blocks->full;
    report_array_drop(&walk.todo);
    return whole;
}
