/* Runs of units: the free ones in bins by length, and the frontier behind which nothing was used
 * yet.
 *
 * The search depends on nothing but the calls made so far, all of which is in the header and the
 * map: the same calls give the same addresses in every process and again after a restore.
 */
#include "base/error.h"
#include "region/zone.h"

/* ---- bins ---- */

uint32_t rp_region_run_bin(uint32_t count)
{
    if (count <= EXACT_BINS) {
        return count - 1;
    }
    unsigned log2 = rp_log2(count); /* at least 5 */
    uint32_t quarter = (count >> (log2 - 2)) & 3;
    return EXACT_BINS + (log2 - 5) * 4 + quarter;
}

/* words[0] of a run's first unit is the next run of its bin and, in the upper half, the tick in
 * which it became free; words[1] is the run before; 0: none. */
static void bin_push(zone_header *header, uint32_t first, uint32_t count, uint32_t flags,
                     uint32_t tick)
{
    rp_unit *map = zone_map(header);
    uint32_t bin = rp_region_run_bin(count), next = header->bins[bin];
    map[first] = (rp_unit){
        .kind = RP_BLOCK_FREE,
        .flags = (uint8_t)flags,
        .head = first,
        .unit_count = count,
        .words = {next | (uint64_t)tick << 32, 0},
    };
    map[first + count - 1].head = first;
    if (next) {
        map[next].words[1] = first;
    }
    header->bins[bin] = first;
    header->bin_mask[bin / 64] |= UINT64_C(1) << (bin % 64);
    header->free_units += count;
}

/* The deck's thread counts on while another may end and free. */
static uint32_t now_tick(void)
{
    return __atomic_load_n(&rp_region_extent.tick, __ATOMIC_RELAXED);
}

static uint32_t run_tick(const rp_unit *run)
{
    return (uint32_t)(run->words[0] >> 32);
}

static void bin_remove(zone_header *header, uint32_t first)
{
    rp_unit *map = zone_map(header), *run = &map[first];
    uint32_t bin = rp_region_run_bin(run->unit_count);
    uint32_t next = (uint32_t)run->words[0], previous = (uint32_t)run->words[1];
    if (next) {
        map[next].words[1] = previous;
    }
    if (previous) {
        uint64_t *link = &map[previous].words[0];
        *link = (*link & ~(uint64_t)UINT32_MAX) | next;
    } else {
        RP_ASSERT(header->bins[bin] == first);
        header->bins[bin] = next;
        if (!next) {
            header->bin_mask[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
        }
    }
    header->free_units -= run->unit_count;
}

/* The first bin from `bin` on that holds a run; BIN_COUNT: none. */
static uint32_t bin_next(const zone_header *header, uint32_t bin)
{
    for (uint32_t word = bin / 64; word < BIN_COUNT / 64; word++) {
        uint64_t mask = header->bin_mask[word];
        if (word == bin / 64) {
            mask &= ~UINT64_C(0) << (bin % 64);
        }
        if (mask) {
            return word * 64 + (uint32_t)__builtin_ctzll(mask);
        }
    }
    return BIN_COUNT;
}

/* The shortest run of a bin that holds `count` units, the latest of equals; 0: none. */
static uint32_t bin_best(const zone_header *header, uint32_t bin, uint32_t count)
{
    const rp_unit *map = zone_map(header);
    uint32_t best = 0;
    for (uint32_t first = header->bins[bin]; first; first = (uint32_t)map[first].words[0]) {
        uint32_t have = map[first].unit_count;
        if (have >= count && (!best || have < map[best].unit_count)) {
            best = first;
        }
    }
    return best;
}

static uint32_t best_fit(const zone_header *header, uint32_t count)
{
    for (uint32_t bin = bin_next(header, rp_region_run_bin(count)); bin < BIN_COUNT;
         bin = bin_next(header, bin + 1)) {
        uint32_t first = bin_best(header, bin, count);
        if (first) {
            return first;
        }
    }
    return 0;
}

/* ---- taking and giving ---- */

static rp_status frontier_advance(zone_header *header, uint32_t count)
{
    uint32_t frontier = header->frontier;
    if (count > UINT32_MAX - frontier) {
        return rp_region_commit_units(header, UINT32_MAX);
    }
    rp_status status = rp_region_commit_units(header, frontier + count);
    if (status == RP_OK) {
        __atomic_store_n(&header->frontier, frontier + count, __ATOMIC_RELEASE);
        zone_frontier_publish(header);
    }
    return status;
}

/* The first of the free units that end at the frontier; the frontier itself where there are none.
 */
static uint32_t last_run(const zone_header *header)
{
    const rp_unit *map = zone_map(header);
    if (header->frontier == header->first_unit) {
        return header->frontier;
    }
    uint32_t first = map[header->frontier - 1].head;
    return map[first].kind == RP_BLOCK_FREE ? first : header->frontier;
}

static rp_status take_at(zone_header *header, uint32_t first, uint32_t count, bool *zeroed)
{
    const rp_unit *run = &zone_map(header)[first];
    uint32_t have = 0, flags = RP_BLOCK_ZEROED, tick = 0;
    if (first < header->frontier) {
        have = run->unit_count;
        flags = run->flags;
        tick = run_tick(run);
    }
    if (have < count) {
        rp_status status = frontier_advance(header, count - have);
        if (status != RP_OK) {
            return status;
        }
    }
    if (have) {
        bin_remove(header, first);
    }
    if (have > count) {
        bin_push(header, first + count, have - count, flags, tick);
    }
    header->used_units += count;
    *zeroed = flags & RP_BLOCK_ZEROED;
    return RP_OK;
}

rp_status rp_region_run_take(zone_header *header, uint32_t count, uint32_t *first, bool *zeroed)
{
    uint32_t fit = best_fit(header, count);
    *first = fit ? fit : last_run(header);
    return take_at(header, *first, count, zeroed);
}

bool rp_region_run_take_at(zone_header *header, uint32_t first, uint32_t count, bool *zeroed)
{
    if (first < header->frontier) {
        const rp_unit *run = &zone_map(header)[first];
        bool reaches_frontier = first + run->unit_count == header->frontier;
        if (run->kind != RP_BLOCK_FREE || (run->unit_count < count && !reaches_frontier)) {
            return false;
        }
    }
    return take_at(header, first, count, zeroed) == RP_OK;
}

static void count_given(zone_header *header, uint32_t count);

void rp_region_run_give(zone_header *header, uint32_t first, uint32_t count)
{
    rp_unit *map = zone_map(header);
    count_given(header, count);
    header->used_units -= count;
    map[first].kind = RP_BLOCK_FREE;
    uint32_t after = first + count;
    if (after < header->frontier && map[after].kind == RP_BLOCK_FREE) {
        bin_remove(header, after);
        count += map[after].unit_count;
    }
    if (first > header->first_unit) {
        uint32_t before = map[first - 1].head;
        if (map[before].kind == RP_BLOCK_FREE) {
            bin_remove(header, before);
            count += map[before].unit_count;
            first = before;
        }
    }
    bin_push(header, first, count, 0, now_tick());
}

/* ---- giving memory back to the system ---- */

enum { PURGE_LEAST_UNITS = 16 }; /* 1 MiB: below it a call costs more than the memory is worth */

/* With the lock held: the runs that became free `age` ticks ago or before. */
static void purge(zone_header *header, uint32_t age)
{
    rp_unit *map = zone_map(header);
    for (uint32_t bin = bin_next(header, rp_region_run_bin(PURGE_LEAST_UNITS)); bin < BIN_COUNT;
         bin = bin_next(header, bin + 1)) {
        for (uint32_t first = header->bins[bin]; first; first = (uint32_t)map[first].words[0]) {
            size_t size_bytes = (size_t)map[first].unit_count << RP_UNIT_SHIFT;
            bool due =
                !(map[first].flags & RP_BLOCK_ZEROED) && now_tick() - run_tick(&map[first]) >= age;
            if (due && rp_os_vm_discard(unit_address(header, first), size_bytes) == RP_OK) {
                map[first].flags |= RP_BLOCK_ZEROED;
            }
        }
    }
}

void rp_region_purge(rp_zone zone)
{
    zone_header *header = zone_header_of(zone);
    rp_os_lock_take(&header->lock);
    purge(header, 0);
    rp_os_lock_drop(&header->lock);
}

void rp_region_tick(uint32_t tick)
{
    __atomic_store_n(&rp_region_extent.tick, tick, __ATOMIC_RELAXED);
    if (tick % RP_REGION_PURGE_TICKS != 0 || !rp_region_is_open()) {
        return;
    }
    for (int zone = RP_ZONE_WORLD; zone <= RP_ZONE_KEEP; zone++) {
        zone_header *header = zone_header_of((rp_zone)zone);
        rp_os_lock_take(&header->lock);
        purge(header, RP_REGION_PURGE_TICKS);
        rp_os_lock_drop(&header->lock);
    }
}

/* With the lock held, where ticks are counted by use. */
static void count_given(zone_header *header, uint32_t count)
{
    keep_header *keep = keep_header_get();
    if (keep->tick_units == 0) {
        return;
    }
    keep->given_units += count;
    if (keep->given_units >= keep->tick_units) {
        keep->given_units = 0;
        __atomic_fetch_add(&rp_region_extent.tick, 1, __ATOMIC_RELAXED);
        purge(header, 2);
    }
}
