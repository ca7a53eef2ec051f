/* What to say when the region cannot be had, was misused, or does not add up. */
#include "base/error.h"
#include "base/text.h"
#include "region/zone.h"

#include <stdlib.h>

_Noreturn void rp_region_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rp_os_error_line(format, arguments);
    va_end(arguments);
    abort();
}

rp_status rp_region_fail_taken(void *start, size_t size_bytes)
{
    char who[256];
    size_t count = rp_os_vm_describe(start, size_bytes, who, sizeof who);
    if (!count) {
        return rp_fail(RP_E_TAKEN,
                       "region: cannot have its address %p: the system put it elsewhere and "
                       "names nobody who is there: run without valgrind, qemu or MSan",
                       start);
    }
    return rp_fail(RP_E_TAKEN,
                   "region: cannot have its address %p: %zu mappings are in the way: open the "
                   "region earlier, or run under `setarch -R`: %s",
                   start, count, who);
}

/* ---- checking a zone ---- */

typedef struct zone_tally {
    uint64_t used_units, free_units, run_count, guarded_count, guard_count;
} zone_tally;

static bool fail_at(const zone_header *header, uint32_t index, const char *what)
{
    rp_fail(RP_E_FORMAT,
            "region: the map of the %s zone is damaged: unit %u: %s: something wrote into "
            "the region's tables",
            zone_id(header) == RP_ZONE_WORLD ? "world" : "keep", index, what);
    return false;
}

static bool run_check(const zone_header *header, uint32_t first, zone_tally *tally)
{
    const rp_unit *map = zone_map(header), *run = &map[first];
    uint32_t last = first + run->unit_count - 1;
    if (map[last].head != first) {
        return fail_at(header, first, "the free run's ends do not know each other");
    }
    if (last + 1 < header->frontier && map[last + 1].kind == RP_BLOCK_FREE) {
        return fail_at(header, first, "two free runs in a row");
    }
    tally->free_units += run->unit_count;
    tally->run_count++;
    return true;
}

/* How many guards the block wants; false where one of them does not stand. */
static bool guards_check(const zone_header *header, const rp_unit *head, size_t *count)
{
    uint8_t *pages[2], *start = unit_address(header, unit_index(header, head));
    bool all = head->flags & RP_BLOCK_GUARD_ALL, stand = true;
    *count =
        all ? (size_t)head->unit_count * UNIT_PAGES : rp_region_guards_wanted(header, head, pages);
    for (size_t i = 0; i < *count; i++) {
        stand = stand && rp_region_is_guard(all ? start + i * RP_PAGE_BYTES : pages[i]);
    }
    return stand;
}

static bool block_check(const zone_header *header, uint32_t first, zone_tally *tally)
{
    const rp_unit *map = zone_map(header);
    for (uint32_t i = first; i < first + map[first].unit_count; i++) {
        if (map[i].head != first || (i > first && map[i].kind != RP_BLOCK_FREE)) {
            return fail_at(header, i, "does not belong to the block around it");
        }
    }
    size_t guards;
    if (!guards_check(header, &map[first], &guards)) {
        return fail_at(header, first, "a guard that the block wants does not stand");
    }
    tally->used_units += map[first].unit_count;
    tally->guarded_count += guards != 0;
    tally->guard_count += guards;
    return true;
}

static bool map_check(const zone_header *header, zone_tally *tally)
{
    const rp_unit *map = zone_map(header);
    for (uint32_t i = header->first_unit; i < header->frontier; i += map[i].unit_count) {
        uint32_t count = map[i].unit_count;
        if (map[i].head != i || !count || count > header->frontier - i) {
            return fail_at(header, i, "is no block's first unit");
        }
        bool good = map[i].kind == RP_BLOCK_FREE ? run_check(header, i, tally)
                                                 : block_check(header, i, tally);
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool bins_check(const zone_header *header, const zone_tally *tally)
{
    const rp_unit *map = zone_map(header);
    uint64_t run_count = 0;
    for (uint32_t bin = 0; bin < BIN_COUNT; bin++) {
        bool marked = header->bin_mask[bin / 64] >> (bin % 64) & 1;
        if (marked != (header->bins[bin] != 0)) {
            return fail_at(header, header->bins[bin], "the bins' mask is wrong");
        }
        uint32_t previous = 0;
        for (uint32_t i = header->bins[bin]; i; i = (uint32_t)map[i].words[0]) {
            if (map[i].kind != RP_BLOCK_FREE || map[i].words[1] != previous ||
                rp_region_run_bin(map[i].unit_count) != bin || ++run_count > tally->run_count) {
                return fail_at(header, i, "stands in a wrong bin");
            }
            previous = i;
        }
    }
    return run_count == tally->run_count || fail_at(header, 0, "a free run is in no bin");
}

bool rp_region_check(rp_zone zone)
{
    const zone_header *header = zone_header_of(zone);
    const zone_actual *actual = zone_actual_of(zone);
    zone_tally tally = {0};
    if (header->frontier > zone_unit_limit(header) ||
        (uintptr_t)unit_address(header, header->frontier) > actual->units_end ||
        (uintptr_t)(zone_map(header) + header->frontier) > actual->tables_end) {
        return fail_at(header, header->frontier, "the frontier is beyond what is committed");
    }
    if (!map_check(header, &tally) || !bins_check(header, &tally)) {
        return false;
    }
    if (tally.used_units != header->used_units || tally.free_units != header->free_units ||
        tally.guarded_count != header->guarded_block_count ||
        tally.guard_count != actual->guard_count) {
        return fail_at(header, 0, "the header's sums are wrong");
    }
    return true;
}
