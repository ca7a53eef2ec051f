/* Guard pages: the wanted ones stand in the map's flags, the actual ones in a bitmap of the keep
 * zone.
 *
 * A restore brings back the map of another moment. It cannot bring back what the system was told,
 * so rp_region_reconcile compares the two and tells it again.
 */
#include "base/error.h"
#include "region/zone.h"

/* ---- the bitmap ---- */

static uint64_t *bitmap(void)
{
    return (uint64_t *)(uintptr_t)(rp_region_extent.keep_start + KEEP_MAP_END_BYTES);
}

static uint64_t bit_of(const void *page)
{
    return ((uintptr_t)page - RP_REGION_BASE) >> RP_PAGE_SHIFT;
}

static void bit_write(const uint8_t *page, bool set)
{
    uint64_t bit = bit_of(page), mask = UINT64_C(1) << (bit % 64);
    uint64_t *word = &bitmap()[bit / 64];
    /* Atomic for those who ask without the lock; each zone has words of its own. */
    __atomic_store_n(word, set ? *word | mask : *word & ~mask, __ATOMIC_RELAXED);
    zone_actual *actual =
        zone_actual_of(rp_region_contains(page) == 1 ? RP_ZONE_WORLD : RP_ZONE_KEEP);
    actual->guard_count += set ? 1 : UINT64_MAX;
}

bool rp_region_is_guard(const void *page)
{
    if (!rp_region_contains(page)) {
        return false;
    }
    uint64_t bit = bit_of(page);
    return __atomic_load_n(&bitmap()[bit / 64], __ATOMIC_RELAXED) >> (bit % 64) & 1;
}

bool rp_region_has_guards(void)
{
    return rp_region_is_open() && zone_actual_of(RP_ZONE_WORLD)->guard_count != 0;
}

/* The first guarded page in [from, end); null: none. */
static uint8_t *guard_next(uint8_t *from, const uint8_t *end)
{
    uint64_t bit = bit_of(from), limit = bit_of(end);
    while (bit < limit) {
        uint64_t word = bitmap()[bit / 64] >> (bit % 64);
        if (word) {
            bit += (uint64_t)__builtin_ctzll(word);
            return bit < limit ? (uint8_t *)(uintptr_t)RP_REGION_BASE + (bit << RP_PAGE_SHIFT)
                               : NULL;
        }
        bit = rp_align_down(bit, 64) + 64;
    }
    return NULL;
}

/* ---- one guard ---- */

rp_status rp_region_guard_set(uint8_t *page)
{
    rp_status status = rp_os_vm_guard(page, RP_PAGE_BYTES);
    if (status != RP_OK) {
        rp_os_vm_unguard(page, RP_PAGE_BYTES); /* it may have been done by half */
        return status;
    }
    bit_write(page, true);
    return RP_OK;
}

rp_status rp_region_guard_clear(uint8_t *page)
{
    rp_status status = rp_os_vm_unguard(page, RP_PAGE_BYTES);
    if (status == RP_OK) {
        bit_write(page, false);
    }
    return status;
}

size_t rp_region_guards_wanted(const zone_header *header, const rp_unit *head, uint8_t *pages[2])
{
    static const uint32_t each[] = {RP_BLOCK_GUARD_BEFORE, RP_BLOCK_GUARD_AFTER};
    size_t count = 0;
    for (size_t i = 0; i < RP_COUNT_OF(each); i++) {
        if (head->flags & each[i]) {
            pages[count++] = unit_guard_page(header, head, each[i]);
        }
    }
    return count;
}

/* ---- all pages of a block ---- */

typedef struct page_run {
    uint8_t *start;
    size_t page_count;
} page_run;

static page_run pages_of(const zone_header *header, const rp_unit *head)
{
    return (page_run){unit_address(header, unit_index(header, head)),
                      (size_t)head->unit_count * UNIT_PAGES};
}

rp_status rp_region_guard_set_all(const zone_header *header, const rp_unit *head)
{
    page_run run = pages_of(header, head);
    rp_status status = rp_os_vm_guard(run.start, run.page_count * RP_PAGE_BYTES);
    for (size_t i = 0; i < run.page_count; i++) {
        uint8_t *page = run.start + i * RP_PAGE_BYTES;
        if (rp_region_is_guard(page)) {
            continue;
        }
        if (status == RP_OK) {
            bit_write(page, true);
        } else {
            rp_os_vm_unguard(page, RP_PAGE_BYTES); /* it may have been done in part */
        }
    }
    return status;
}

rp_status rp_region_guard_clear_all(const zone_header *header, const rp_unit *head)
{
    page_run run = pages_of(header, head);
    rp_status status = rp_os_vm_unguard(run.start, run.page_count * RP_PAGE_BYTES);
    for (size_t i = 0; status == RP_OK && i < run.page_count; i++) {
        uint8_t *page = run.start + i * RP_PAGE_BYTES;
        if (rp_region_is_guard(page)) {
            bit_write(page, false);
        }
    }
    return status;
}

/* ---- around a restore ---- */

static bool is_wanted(const zone_header *header, const uint8_t *page)
{
    const rp_unit *head = rp_region_unit_head(page);
    uint8_t *pages[2];
    if (head && head->flags & RP_BLOCK_GUARD_ALL) {
        return true;
    }
    size_t count = head ? rp_region_guards_wanted(header, head, pages) : 0;
    for (size_t i = 0; i < count; i++) {
        if (pages[i] == page) {
            return true;
        }
    }
    return false;
}

/* Clears the guards of the world zone that are not wanted; all of them where `all`. */
static rp_status guards_clear(bool all)
{
    const zone_header *header = zone_header_of(RP_ZONE_WORLD);
    zone_actual *actual = zone_actual_of(RP_ZONE_WORLD);
    uint8_t *page = unit_address(header, header->first_unit);
    const uint8_t *end = (const uint8_t *)(uintptr_t)actual->units_end;
    while (actual->guard_count && (page = guard_next(page, end)) != NULL) {
        if (all || !is_wanted(header, page)) {
            rp_status status = rp_region_guard_clear(page);
            if (status != RP_OK) {
                return status;
            }
        }
        page += RP_PAGE_BYTES;
    }
    return RP_OK;
}

static rp_status block_guards_set(const zone_header *header, const rp_unit *head)
{
    if (head->flags & RP_BLOCK_GUARD_ALL) {
        return rp_region_guard_set_all(header, head);
    }
    uint8_t *pages[2];
    size_t count = rp_region_guards_wanted(header, head, pages);
    for (size_t i = 0; i < count; i++) {
        rp_status status = rp_region_is_guard(pages[i]) ? RP_OK : rp_region_guard_set(pages[i]);
        if (status != RP_OK) {
            return status;
        }
    }
    return RP_OK;
}

static rp_status guards_set(void)
{
    const zone_header *header = zone_header_of(RP_ZONE_WORLD);
    const rp_unit *map = zone_map(header);
    uint32_t left = header->guarded_block_count;
    for (uint32_t i = header->first_unit; left && i < header->frontier; i += map[i].unit_count) {
        if (map[i].kind != RP_BLOCK_FREE && unit_guarded(&map[i])) {
            rp_status status = block_guards_set(header, &map[i]);
            if (status != RP_OK) {
                return status;
            }
            left--;
        }
    }
    return RP_OK;
}

rp_status rp_region_guards_lift(void)
{
    return guards_clear(true);
}

static rp_status header_check(const zone_header *header)
{
    uint32_t first_unit = (uint32_t)(WORLD_TABLES_BYTES >> RP_UNIT_SHIFT);
    if (header->magic != ZONE_MAGIC || header->version != ZONE_VERSION ||
        header->page_bytes != RP_PAGE_BYTES || header->base != RP_REGION_BASE ||
        header->first_unit != first_unit || header->frontier < first_unit) {
        return rp_fail(RP_E_FORMAT,
                       "region: the restored world is unusable: its header is damaged or "
                       "of another version: start a new world");
    }
    if (header->frontier > zone_unit_limit(header)) {
        return rp_fail(RP_E_RANGE,
                       "region: the restored world does not fit: it was made in a larger reserve: "
                       "open the region with that reserve, or raise the limit (RLIMIT_AS)");
    }
    return RP_OK;
}

rp_status rp_region_reconcile(void)
{
    zone_header *header = zone_header_of(RP_ZONE_WORLD);
    rp_status status = header_check(header);
    if (status == RP_OK) {
        status = rp_region_commit_units(header, header->frontier);
    }
    if (status == RP_OK) {
        zone_frontier_publish(header);
    }
    if (status == RP_OK) {
        status = guards_clear(false);
    }
    return status == RP_OK ? guards_set() : status;
}
