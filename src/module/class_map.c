/* From a code address to its class, for every call of malloc. Layer: module.
 *
 * The process has one set of loaded objects, so there is one table for it, kept here. Two copies of
 * the table take turns: a writer fills the one that is not in use and then turns `turn` on. A
 * reader that finds `turn` moved on by two or more while it searched may have seen a copy being
 * written, and searches again. Nobody waits for a writer, and nothing is allocated: the caller may
 * be malloc, called by the loader. */
#include "module/class_map.h"

#include "base/bits.h"
#include "os/os.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#pragma weak _dl_find_object /* glibc 2.35 */

enum { MAP_MAX = 1024 };

typedef struct map_entry {
    _Atomic uint64_t low, high; /* high's lowest bit is the class: both are of whole pages */
} map_entry;

typedef struct map_table {
    map_entry entries[MAP_MAX]; /* sorted by low, without overlap */
    _Atomic uint32_t count;
} map_table;

static map_table tables[2];
static _Atomic uint32_t turn;
static volatile rp_os_lock writers;

/* Acquire and release, which cost nothing on x86-64: a reader that sees a word of a later turn must
 * also see that the turn has changed. */
static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static uint32_t count_of(const map_table *table)
{
    return atomic_load_explicit(&table->count, memory_order_acquire);
}

static void set_count(map_table *table, uint32_t count)
{
    atomic_store_explicit(&table->count, count, memory_order_release);
}

static void copy_entry(map_entry *to, const map_entry *from)
{
    store(&to->low, load(&from->low));
    store(&to->high, load(&from->high));
}

/* The number of entries that begin at or before the address. */
static uint32_t upper_bound(const map_table *table, uint64_t address)
{
    uint32_t low = 0, high = count_of(table);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (load(&table->entries[middle].low) <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The packed end of the entry that holds the address, its start in *low; 0: none does. */
static uint64_t find_once(const map_table *table, uint64_t address, uint64_t *low)
{
    uint32_t index = upper_bound(table, address);
    if (index == 0) {
        return 0;
    }
    uint64_t packed = load(&table->entries[index - 1].high);
    *low = load(&table->entries[index - 1].low);
    return address < (packed & ~UINT64_C(1)) ? packed : 0;
}

/* Most calls of malloc in a thread come from the object that called last. In the thread's first
 * block (initial-exec), as the loader would call malloc to make it otherwise. */
static _Thread_local struct {
    uint64_t low, packed;
    uint32_t turn;
} last __attribute__((tls_model("initial-exec")));

static uint64_t find(uint64_t address, uint64_t *low)
{
    for (;;) {
        uint32_t before = atomic_load_explicit(&turn, memory_order_acquire);
        if (last.turn == before && address >= last.low && address < (last.packed & ~UINT64_C(1))) {
            *low = last.low;
            return last.packed;
        }
        uint64_t packed = find_once(&tables[before & 1], address, low);
        if (atomic_load_explicit(&turn, memory_order_relaxed) != before) {
            continue;
        }
        if (packed) {
            last.low = *low;
            last.packed = packed;
            last.turn = before;
        }
        return packed;
    }
}

/* With the writers' lock held. Entries that overlap the new one are of objects that were unloaded.
 */
static void insert(map_table *table, uint64_t low, uint64_t high, rp_zone zone)
{
    uint32_t kept = 0, count = count_of(table), at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry_low = load(&table->entries[i].low),
                 entry_high = load(&table->entries[i].high);
        if (entry_low < high && (entry_high & ~UINT64_C(1)) > low) {
            continue;
        }
        copy_entry(&table->entries[kept++], &table->entries[i]);
        at += entry_low < low;
    }
    if (kept == MAP_MAX) {
        set_count(table, kept);
        return; /* full: its addresses are looked up each time */
    }
    for (uint32_t i = kept; i > at; i--) {
        copy_entry(&table->entries[i], &table->entries[i - 1]);
    }
    store(&table->entries[at].low, low);
    store(&table->entries[at].high, high | (uint64_t)(zone == RP_ZONE_KEEP));
    set_count(table, kept + 1);
}

static map_table *begin_write(void)
{
    return &tables[(turn + 1) & 1];
}

static void end_write(void)
{
    atomic_fetch_add_explicit(&turn, 1, memory_order_release);
}

static void copy_table(map_table *to, const map_table *from)
{
    uint32_t count = count_of(from);
    for (uint32_t i = 0; i < count; i++) {
        copy_entry(&to->entries[i], &from->entries[i]);
    }
    set_count(to, count);
}

/* The table is left as it is where another thread, or this one further up, is writing it. */
static void remember(uint64_t low, uint64_t high, rp_zone zone)
{
    if (!rp_os_lock_try(&writers)) {
        return;
    }
    map_table *table = begin_write();
    copy_table(table, &tables[turn & 1]);
    insert(table, low, high, zone);
    end_write();
    rp_os_lock_drop(&writers);
}

static rp_zone look_up(const void *address)
{
    if (!_dl_find_object) {
        Dl_info info;
        return dladdr(address, &info) && info.dli_fname ? rp_class_of(info.dli_fname)
                                                        : RP_ZONE_WORLD;
    }
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0) {
        return RP_ZONE_WORLD; /* code that was made at run time */
    }
    const char *path = found.dlfo_link_map ? found.dlfo_link_map->l_name : "";
    rp_zone zone = rp_class_of(path ? path : "");
    remember((uintptr_t)found.dlfo_map_start,
             rp_align_up((uintptr_t)found.dlfo_map_end, RP_PAGE_BYTES), zone);
    return zone;
}

rp_zone rp_class_of_code(const void *address)
{
    uint64_t low, packed = find((uintptr_t)address, &low);
    if (packed) {
        return packed & 1 ? RP_ZONE_KEEP : RP_ZONE_WORLD;
    }
    return look_up(address);
}

bool rp_class_map_knows(uint64_t low, uint64_t high, rp_zone *zone)
{
    uint64_t entry_low = 0, packed = find(low, &entry_low);
    if (!packed || entry_low != low || (packed & ~UINT64_C(1)) != high) {
        return false;
    }
    *zone = packed & 1 ? RP_ZONE_KEEP : RP_ZONE_WORLD;
    return true;
}

void rp_class_map_update(const rp_object *objects, size_t count)
{
    rp_os_lock_take(&writers);
    map_table *table = begin_write();
    set_count(table, 0);
    for (size_t i = 0; i < count; i++) {
        if (objects[i].low < objects[i].high) {
            insert(table, objects[i].low, objects[i].high, objects[i].zone);
        }
    }
    end_write();
    rp_os_lock_drop(&writers);
}
