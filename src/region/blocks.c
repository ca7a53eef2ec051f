/* Blocks: runs of units with an owner, flags and guards.
 *
 *   unit          unit          unit
 *   |G|payload .................|G|slack|     G: guard page, on request
 *
 * The payload is whole pages. Without a guard behind it, it reaches to the last unit's end.
 */
#include "base/error.h"
#include "region/zone.h"

typedef struct block_shape {
    uint32_t unit_count, slack_pages;
} block_shape;

/* False where no zone could hold it. */
static bool shape_of(size_t size_bytes, uint32_t flags, block_shape *shape)
{
    if (size_bytes > RP_REGION_RESERVE_BYTES) {
        return false;
    }
    size_t pages = rp_max_size(rp_align_up(size_bytes, RP_PAGE_BYTES) >> RP_PAGE_SHIFT, 1);
    pages += (flags & RP_BLOCK_GUARD_BEFORE) ? 1 : 0;
    pages += (flags & RP_BLOCK_GUARD_AFTER) ? 1 : 0;
    size_t whole = rp_align_up(pages, UNIT_PAGES);
    shape->unit_count = (uint32_t)(whole / UNIT_PAGES);
    shape->slack_pages = (flags & RP_BLOCK_GUARD_AFTER) ? (uint32_t)(whole - pages) : 0;
    return true;
}

static rp_region_block describe(const zone_header *header, const rp_unit *head)
{
    size_t before = (head->flags & RP_BLOCK_GUARD_BEFORE) ? 1 : 0;
    size_t after = (head->flags & RP_BLOCK_GUARD_AFTER) ? 1 + head->slack_pages : 0;
    size_t pages = (size_t)head->unit_count * UNIT_PAGES - before - after;
    return (rp_region_block){
        .start = unit_address(header, unit_index(header, head)) + before * RP_PAGE_BYTES,
        .size_bytes = pages << RP_PAGE_SHIFT,
        .owner = head->owner,
        .kind = (rp_block_kind)head->kind,
        .flags = head->flags,
    };
}

/* ---- from an address to its block ---- */

rp_unit *rp_region_unit(const void *address)
{
    int where = rp_region_contains(address);
    if (!where) {
        return NULL;
    }
    zone_header *header = zone_header_of(where == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP);
    uint64_t index = ((uintptr_t)address - (uintptr_t)header) >> RP_UNIT_SHIFT;
    bool used = index >= header->first_unit && index < zone_frontier(header);
    return used ? &zone_map(header)[index] : NULL;
}

static zone_header *zone_of_unit(const rp_unit *unit)
{
    return zone_header_of(rp_region_contains(unit) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP);
}

/* Units inside a free run keep the `head` of the block that they were last part of, so what it
 * leads to is asked whether it reaches this far. */
rp_unit *rp_region_unit_head(const void *address)
{
    rp_unit *unit = rp_region_unit(address);
    if (!unit) {
        return NULL;
    }
    const zone_header *header = zone_of_unit(unit);
    rp_unit *head = &zone_map(header)[unit->head];
    bool lives = head->kind != RP_BLOCK_FREE && unit < head + head->unit_count;
    return lives ? head : NULL;
}

void *rp_region_unit_start(const rp_unit *unit)
{
    const zone_header *header = zone_of_unit(unit);
    return unit_address(header, unit_index(header, unit));
}

rp_unit *rp_region_unit_at(rp_zone zone, uint32_t index)
{
    return &zone_map(zone_header_of(zone))[index];
}

bool rp_region_block_find(const void *address, rp_region_block *block)
{
    const rp_unit *head = rp_region_unit_head(address);
    if (!head) {
        return false;
    }
    *block = describe(zone_of_unit(head), head);
    return true;
}

static rp_unit *head_or_die(const void *start, const char *what)
{
    rp_unit *head = rp_region_unit_head(start);
    if (!head || describe(zone_of_unit(head), head).start != start) {
        rp_region_die("region: %s of %p: no live block starts there", what, start);
    }
    return head;
}

/* ---- guards of one block ---- */

enum { GUARDS = RP_BLOCK_GUARD_BEFORE | RP_BLOCK_GUARD_AFTER | RP_BLOCK_GUARD_ALL };

static rp_status guards_put_up(const zone_header *header, const rp_unit *head)
{
    uint8_t *pages[2];
    size_t count = rp_region_guards_wanted(header, head, pages);
    for (size_t i = 0; i < count; i++) {
        rp_status status = rp_region_guard_set(pages[i]);
        if (status != RP_OK) {
            return status;
        }
    }
    return RP_OK;
}

/* Those that the system does not take away stay in the flags. */
static void guards_take_down(const zone_header *header, rp_unit *head)
{
    static const uint8_t each[] = {RP_BLOCK_GUARD_BEFORE, RP_BLOCK_GUARD_AFTER};
    if (head->flags & RP_BLOCK_GUARD_ALL) {
        bool down = rp_region_guard_clear_all(header, head) == RP_OK;
        head->flags &= down ? (uint8_t)~GUARDS : UINT8_MAX;
        return;
    }
    for (size_t i = 0; i < RP_COUNT_OF(each); i++) {
        uint8_t *page = unit_guard_page(header, head, each[i]);
        if ((head->flags & each[i]) &&
            (!rp_region_is_guard(page) || rp_region_guard_clear(page) == RP_OK)) {
            head->flags &= (uint8_t)~each[i];
        }
    }
}

/* ---- making and freeing ---- */

static void tail_point_to(rp_unit *head, uint32_t index, uint32_t from)
{
    for (uint32_t i = from; i < head->unit_count; i++) {
        head[i].head = index;
    }
}

static void block_unmake(zone_header *header, rp_unit *head)
{
    uint32_t was_guarded = unit_guarded(head);
    guards_take_down(header, head);
    if (unit_guarded(head)) {
        head->kind = RP_BLOCK_RESERVED; /* nobody can use units with a guard among them */
        return;
    }
    header->guarded_block_count -= was_guarded;
    rp_region_run_give(header, unit_index(header, head), head->unit_count);
}

static void *block_make(zone_header *header, const block_shape *shape, rp_unit made)
{
    uint32_t first;
    bool zeroed;
    if (rp_region_run_take(header, shape->unit_count, &first, &zeroed) != RP_OK) {
        return NULL;
    }
    rp_unit *head = &zone_map(header)[first];
    *head = made;
    head->head = first;
    head->flags |= zeroed ? RP_BLOCK_ZEROED : 0;
    tail_point_to(head, first, 1);
    header->guarded_block_count += unit_guarded(head);
    if (guards_put_up(header, head) != RP_OK) {
        block_unmake(header, head);
        return NULL;
    }
    return describe(header, head).start;
}

void *rp_region_block_alloc(rp_zone zone, size_t size_bytes, rp_block_kind kind, uint32_t owner,
                            uint32_t flags)
{
    block_shape shape;
    RP_ASSERT(kind != RP_BLOCK_FREE && owner <= UINT16_MAX);
    if (!rp_region_is_open()) {
        rp_fail(RP_E_ARGUMENT, "region: no block: the region is not open: open a deck first");
        return NULL;
    }
    if (!shape_of(size_bytes, flags, &shape)) {
        rp_fail(RP_E_MEMORY,
                "region: no block of %zu bytes: the largest region is 256 GiB: ask for less",
                size_bytes);
        return NULL;
    }
    zone_header *header = zone_header_of(zone);
    rp_unit made = {
        .kind = (uint8_t)kind,
        .flags = (uint8_t)(flags & ~(uint32_t)RP_BLOCK_ZEROED),
        .slack_pages = (uint8_t)shape.slack_pages,
        .owner = (uint16_t)owner,
        .unit_count = shape.unit_count,
    };
    rp_os_lock_take(&header->lock);
    void *start = block_make(header, &shape, made);
    rp_os_lock_drop(&header->lock);
    return start;
}

void rp_region_block_free(void *start)
{
    rp_unit *head = head_or_die(start, "free");
    zone_header *header = zone_of_unit(head);
    rp_os_lock_take(&header->lock);
    block_unmake(header, head);
    rp_os_lock_drop(&header->lock);
}

rp_status rp_region_block_seal(void *start)
{
    rp_unit *head = head_or_die(start, "seal");
    zone_header *header = zone_of_unit(head);
    rp_os_lock_take(&header->lock);
    rp_status status = rp_region_guard_set_all(header, head);
    if (status == RP_OK) {
        header->guarded_block_count += unit_guarded(head) ? 0 : 1;
        head->flags |= RP_BLOCK_GUARD_ALL;
    }
    rp_os_lock_drop(&header->lock);
    return status;
}

/* ---- in place ---- */

static bool guard_move(uint8_t *from, uint8_t *to)
{
    if (from == to) {
        return true;
    }
    if (rp_region_guard_set(to) != RP_OK) {
        return false;
    }
    if (rp_region_guard_clear(from) == RP_OK) {
        return true;
    }
    rp_region_guard_clear(to);
    return false;
}

static bool block_reshape(zone_header *header, rp_unit *head, const block_shape *to)
{
    uint32_t first = unit_index(header, head), have = head->unit_count;
    uint32_t extra = to->unit_count > have ? to->unit_count - have : 0;
    bool zeroed;
    if (extra && !rp_region_run_take_at(header, first + have, extra, &zeroed)) {
        return false;
    }
    if ((head->flags & RP_BLOCK_GUARD_AFTER) &&
        !guard_move(unit_guard_after(header, first, have, head->slack_pages),
                    unit_guard_after(header, first, to->unit_count, to->slack_pages))) {
        if (extra) {
            rp_region_run_give(header, first + have, extra);
        }
        return false;
    }
    head->unit_count = to->unit_count;
    head->slack_pages = (uint8_t)to->slack_pages;
    if (extra) {
        head->flags &= (uint8_t)~RP_BLOCK_ZEROED;
        tail_point_to(head, first, have);
    } else if (to->unit_count < have) {
        rp_region_run_give(header, first + to->unit_count, have - to->unit_count);
    }
    return true;
}

bool rp_region_block_resize(void *start, size_t size_bytes)
{
    rp_unit *head = head_or_die(start, "resize");
    zone_header *header = zone_of_unit(head);
    block_shape shape;
    if (head->flags & RP_BLOCK_GUARD_ALL || !shape_of(size_bytes, head->flags, &shape)) {
        return false;
    }
    rp_os_lock_take(&header->lock);
    bool fitted = block_reshape(header, head, &shape);
    rp_os_lock_drop(&header->lock);
    return fitted;
}

int rp_region_walk(rp_zone zone, int (*visit)(const rp_region_block *block, void *context),
                   void *context)
{
    const zone_header *header = zone_header_of(zone);
    const rp_unit *map = zone_map(header);
    int result = 0;
    for (uint32_t i = header->first_unit; i < header->frontier && !result;) {
        rp_region_block block = describe(header, &map[i]);
        i += map[i].unit_count;
        result = visit(&block, context);
    }
    return result;
}
