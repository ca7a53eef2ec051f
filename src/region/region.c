/* Opening and closing the region, committing memory, roots, figures. */
#include "base/error.h"
#include "base/text.h"
#include "region/zone.h"

#include <string.h>

struct rp_region_extent rp_region_extent;

/* ---- committing ---- */

/* Moves the end of one committed extent on. */
static rp_status extent_grow(rp_zone zone, uint64_t *end, uint64_t wanted)
{
    if (wanted <= *end) {
        return RP_OK;
    }
    keep_header *keep = keep_header_get();
    void *start = (void *)(uintptr_t)*end;
    size_t size_bytes = rp_align_up(wanted, ZONE_CHUNK_BYTES) - *end;
    rp_status status = rp_os_vm_commit(start, size_bytes);
    if (status != RP_OK) {
        return status;
    }
    uint64_t zone_start = (uintptr_t)zone_header_of(zone);
    uint64_t tables = zone == RP_ZONE_WORLD ? WORLD_TABLES_BYTES : KEEP_TABLES_BYTES;
    if ((uintptr_t)start - zone_start >= tables + keep->small_bytes) {
        rp_os_vm_want_huge(start, size_bytes);
    }
    *end += size_bytes;
    if (zone == RP_ZONE_WORLD && keep->observer) {
        keep->observer(keep->observer_context, start, size_bytes);
    }
    return RP_OK;
}

static rp_status fail_full(const zone_header *header)
{
    char text[32];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add_bytes(&buffer, zone_end(header) - (uintptr_t)header);
    return rp_fail(RP_E_MEMORY,
                   "region: the %s zone is full: its part of the reserve is %s: open the region "
                   "with a larger reserve, or use less memory",
                   zone_id(header) == RP_ZONE_WORLD ? "world" : "keep", text);
}

rp_status rp_region_commit_units(zone_header *header, uint32_t end_unit)
{
    if (end_unit > zone_unit_limit(header)) {
        return fail_full(header);
    }
    zone_actual *actual = zone_actual_of(zone_id(header));
    rp_unit *map_end = zone_map(header) + end_unit;
    rp_status status = extent_grow(zone_id(header), &actual->tables_end, (uintptr_t)map_end);
    if (status != RP_OK) {
        return status;
    }
    return extent_grow(zone_id(header), &actual->units_end,
                       (uintptr_t)unit_address(header, end_unit));
}

rp_status rp_region_commit_to(rp_zone zone, void *end)
{
    zone_header *header = zone_header_of(zone);
    zone_actual *actual = zone_actual_of(zone);
    uint64_t wanted = (uintptr_t)end;
    if (wanted <= (uintptr_t)header || wanted > zone_end(header)) {
        return rp_fail(RP_E_RANGE,
                       "region: cannot commit up to %p: it lies outside the zone: open the region "
                       "with the reserve that the world was made in",
                       end);
    }
    if (wanted <= (uintptr_t)unit_address(header, header->first_unit)) {
        return extent_grow(zone, &actual->tables_end, wanted);
    }
    uint64_t offset = rp_align_up(wanted - (uintptr_t)header, RP_UNIT_BYTES);
    return rp_region_commit_units(header, (uint32_t)(offset >> RP_UNIT_SHIFT));
}

void rp_region_committed(rp_zone zone, rp_region_span spans[RP_REGION_SPANS])
{
    const zone_header *header = zone_header_of(zone);
    const zone_actual *actual = zone_actual_of(zone);
    uint8_t *tables = unit_address(header, 0), *units = unit_address(header, header->first_unit);
    spans[0] = (rp_region_span){tables, actual->tables_end - (uintptr_t)tables};
    spans[1] = (rp_region_span){units, actual->units_end - (uintptr_t)units};
}

void rp_region_on_commit(rp_region_committed_fn *function, void *context)
{
    keep_header *keep = keep_header_get();
    keep->observer = function;
    keep->observer_context = context;
}

/* ---- opening ---- */

static rp_status size_check(const rp_region_desc *desc, uint64_t *reserve, uint64_t *minimum)
{
    uint64_t wanted = desc->reserve_bytes ? desc->reserve_bytes : RP_REGION_RESERVE_BYTES;
    uint64_t least = desc->minimum_bytes ? desc->minimum_bytes : RP_GIB(1);
    if (wanted < RP_REGION_LEAST_BYTES || wanted > RP_REGION_RESERVE_BYTES ||
        desc->minimum_bytes > wanted) {
        return rp_fail(RP_E_ARGUMENT,
                       "region: cannot reserve %llu bytes, at least %llu: both must lie "
                       "between 256 MiB and 256 GiB: give other sizes",
                       (unsigned long long)wanted, (unsigned long long)least);
    }
    *reserve =
        rp_align_up(wanted, 4 * ZONE_CHUNK_BYTES); /* so that three quarters are whole chunks */
    *minimum = rp_align_up(rp_max_size(rp_min_size(least, wanted), RP_REGION_LEAST_BYTES),
                           4 * ZONE_CHUNK_BYTES);
    return RP_OK;
}

/* Reserves *reserve bytes or, where a limit forbids it, ever less down to `minimum`. */
static rp_status reserve_shrinking(uint64_t *reserve, uint64_t minimum)
{
    void *base = (void *)(uintptr_t)RP_REGION_BASE;
    for (;;) {
        rp_status status = rp_os_vm_reserve_at(base, *reserve);
        if (status != RP_E_LIMIT || *reserve <= minimum) {
            return status;
        }
        uint64_t less = rp_align_down(*reserve / 4, 4 * ZONE_CHUNK_BYTES);
        *reserve = rp_max_size(less, minimum);
    }
}

static rp_status fail_limit(uint64_t minimum)
{
    char text[32];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    rp_text_add_bytes(&buffer, minimum);
    return rp_fail(RP_E_LIMIT,
                   "region: cannot reserve even %s of address space: the limit on it "
                   "(RLIMIT_AS) is too low: raise it with `ulimit -v unlimited`",
                   text);
}

static rp_status reserve(const rp_region_desc *desc, uint64_t *size_bytes)
{
    void *base = (void *)(uintptr_t)RP_REGION_BASE;
    uint64_t minimum = 0;
    rp_status status = size_check(desc, size_bytes, &minimum);
    if (status != RP_OK) {
        return status;
    }
    status = reserve_shrinking(size_bytes, minimum);
    if (status == RP_E_LIMIT) {
        return fail_limit(minimum);
    }
    if (status == RP_E_TAKEN) {
        if (desc->argv && !rp_os_randomisation_off()) {
            rp_os_reexec_without_randomisation(desc->argv);
        }
        return rp_region_fail_taken(base, *size_bytes);
    }
    return status;
}

static void header_init(zone_header *header, size_t tables_bytes)
{
    *header = (zone_header){
        .magic = ZONE_MAGIC,
        .version = ZONE_VERSION,
        .page_bytes = (uint32_t)RP_PAGE_BYTES,
        .base = RP_REGION_BASE,
        .first_unit = (uint32_t)(tables_bytes >> RP_UNIT_SHIFT),
        .frontier = (uint32_t)(tables_bytes >> RP_UNIT_SHIFT),
    };
}

/* The keep zone comes first, since it holds the actual state of both. */
static rp_status zones_init(const rp_region_desc *desc)
{
    keep_header *keep = keep_header_get();
    uint8_t *world = (uint8_t *)(uintptr_t)rp_region_extent.world_start;
    rp_status status = rp_os_vm_commit(keep, ZONE_CHUNK_BYTES);
    if (status == RP_OK) {
        status = rp_os_vm_commit((uint8_t *)keep + KEEP_MAP_END_BYTES, GUARD_BITS_BYTES);
    }
    if (status == RP_OK) {
        status = rp_os_vm_commit(world, ZONE_CHUNK_BYTES);
    }
    if (status != RP_OK) {
        return status;
    }
    keep->small_bytes = desc->small_bytes;
    keep->tick_units = desc->tick_bytes >> RP_UNIT_SHIFT;
    header_init(&keep->zone, KEEP_TABLES_BYTES);
    header_init(zone_header_of(RP_ZONE_WORLD), WORLD_TABLES_BYTES);
    zone_frontier_publish(zone_header_of(RP_ZONE_WORLD));
    keep->actual[RP_ZONE_KEEP] = (zone_actual){.tables_end = (uintptr_t)keep + ZONE_CHUNK_BYTES,
                                               .units_end = (uintptr_t)keep + KEEP_TABLES_BYTES};
    keep->actual[RP_ZONE_WORLD] = (zone_actual){.tables_end = (uintptr_t)world + ZONE_CHUNK_BYTES,
                                                .units_end = (uintptr_t)world + WORLD_TABLES_BYTES};
    return RP_OK;
}

rp_status rp_region_create(const rp_region_desc *desc)
{
    static const rp_region_desc defaults;
    if (rp_region_is_open()) {
        return rp_fail(RP_E_BUSY,
                       "region: cannot be opened: it is open: a process has one region, use "
                       "it or destroy it first");
    }
    uint64_t size_bytes = 0;
    rp_status status = reserve(desc ? desc : &defaults, &size_bytes);
    if (status != RP_OK) {
        return status;
    }
    rp_region_extent.world_start = RP_REGION_BASE;
    rp_region_extent.keep_start = RP_REGION_BASE + size_bytes / 4 * 3;
    rp_region_extent.end = RP_REGION_BASE + size_bytes;
    status = zones_init(desc ? desc : &defaults);
    if (status != RP_OK) {
        rp_region_destroy();
    }
    return status;
}

void rp_region_destroy(void)
{
    if (rp_region_is_open()) {
        void *base = (void *)(uintptr_t)RP_REGION_BASE;
        rp_os_vm_release(base, rp_region_extent.end - RP_REGION_BASE);
        rp_region_extent = (struct rp_region_extent){0};
    }
}

/* ---- roots and figures ---- */

rp_region_span rp_region_header_rest(rp_zone zone)
{
    return (rp_region_span){(uint8_t *)zone_header_of(zone) + RP_PAGE_BYTES,
                            RP_REGION_MAP_OFFSET - RP_PAGE_BYTES};
}

void rp_region_root_set(rp_zone zone, int root, void *value)
{
    RP_ASSERT(root >= 0 && root < RP_ROOT_COUNT);
    __atomic_store_n(&zone_header_of(zone)->roots[root], value, __ATOMIC_RELEASE);
}

void *rp_region_root_claim(rp_zone zone, int root, void *value)
{
    RP_ASSERT(root >= 0 && root < RP_ROOT_COUNT);
    void *found = NULL;
    void **place = &zone_header_of(zone)->roots[root];
    bool claimed = __atomic_compare_exchange_n(place, &found, value, false, __ATOMIC_ACQ_REL,
                                               __ATOMIC_ACQUIRE);
    return claimed ? value : found;
}

void rp_region_lock(rp_zone zone, bool take)
{
    zone_header *header = zone_header_of(zone);
    if (take) {
        rp_os_lock_take(&header->lock);
    } else {
        rp_os_lock_drop(&header->lock);
    }
}

void rp_region_stats_get(rp_zone zone, rp_region_stats *stats)
{
    zone_header *header = zone_header_of(zone);
    rp_os_lock_take(&header->lock);
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(zone, spans);
    *stats = (rp_region_stats){
        .reserve_bytes = zone_end(header) - (uintptr_t)header,
        .committed_bytes = spans[0].size_bytes + spans[1].size_bytes,
        .used_bytes = header->used_units << RP_UNIT_SHIFT,
        .free_bytes = header->free_units << RP_UNIT_SHIFT,
        .guard_count = zone_actual_of(zone)->guard_count,
    };
    rp_os_lock_drop(&header->lock);
}
