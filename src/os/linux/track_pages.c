/* The state of each page that is tracked by faults: one byte, found by address alone, so that a
 * signal handler needs no lock and no search.
 *
 * A leaf holds the bytes of 128 MiB. Leaves are made when a range is added and stay: a handler may
 * be looking at one.
 */
#include "base/bits.h"
#include "base/error.h"
#include "os/linux/fault.h"
#include "os/linux/track_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { LEAF_PAGES = 32768 };
#define LEAF_BYTES (LEAF_PAGES * RP_PAGE_BYTES)
/* User space of x86-64 without five-level paging, which has to be asked for. */
#define SPACE_BYTES (UINT64_C(1) << 47)
#define LEAF_COUNT (SPACE_BYTES / LEAF_BYTES)

/* Where the account lies, so that where the system puts other things does not depend on how pages
 * are tracked: 8 MiB of pointers, then each leaf in its place. Below RP_REGION_BASE. */
#define ACCOUNT_BASE UINT64_C(0x54e000000000)
#define TABLE_BYTES (LEAF_COUNT * sizeof(leaf_pointer))

typedef _Atomic(uint8_t *) leaf_pointer;

static _Atomic(leaf_pointer *) leaves;

static void *map(uint64_t wanted, size_t size_bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, rights = PROT_READ | PROT_WRITE;
    void *place = (void *)(uintptr_t)wanted;
    void *got = RP_OS_MAP(mmap(place, size_bytes, rights, flags | MAP_FIXED_NOREPLACE, -1, 0));
    if (got == MAP_FAILED && errno == EEXIST) { /* any place serves */
        got = RP_OS_MAP(mmap(NULL, size_bytes, rights, flags, -1, 0));
    }
    return got;
}

static rp_status fail_no_memory(void)
{
    return rp_fail_system(RP_E_MEMORY, errno,
                          "write tracking: no memory for its account of pages: use less memory");
}

static leaf_pointer *leaves_need(void)
{
    leaf_pointer *found = atomic_load(&leaves);
    if (found) {
        return found;
    }
    leaf_pointer *made = map(ACCOUNT_BASE, TABLE_BYTES), *none = NULL;
    if (made == MAP_FAILED) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&leaves, &none, made)) {
        munmap(made, TABLE_BYTES);
        return none;
    }
    return made;
}

static bool leaf_need(leaf_pointer *place, uint64_t leaf)
{
    uint8_t *none = NULL;
    if (atomic_load(place)) {
        return true;
    }
    uint8_t *made = map(ACCOUNT_BASE + TABLE_BYTES + leaf * LEAF_PAGES, LEAF_PAGES);
    if (made == MAP_FAILED) {
        return false;
    }
    if (!atomic_compare_exchange_strong(place, &none, made)) {
        munmap(made, LEAF_PAGES);
    }
    return true;
}

rp_status rp_os_pages_need(void *start, size_t size_bytes)
{
    uint64_t from = (uintptr_t)start, end = from + size_bytes;
    if (end < from || end > SPACE_BYTES) {
        return rp_fail(RP_E_RANGE, "write tracking: %p lies beyond the addresses that it knows",
                       start);
    }
    leaf_pointer *table = leaves_need();
    if (!table) {
        return fail_no_memory();
    }
    for (uint64_t leaf = from / LEAF_BYTES; leaf * LEAF_BYTES < end; leaf++) {
        if (!leaf_need(&table[leaf], leaf)) {
            return fail_no_memory();
        }
    }
    return RP_OK;
}

bool rp_os_pages_any(void)
{
    return atomic_load_explicit(&leaves, memory_order_relaxed) != NULL;
}

/* The bytes from `address` to the leaf's end or `end`. Null: nothing there is tracked. */
static uint8_t *bytes_from(uintptr_t address, uintptr_t end, size_t *count)
{
    uintptr_t leaf_end = rp_align_down(address, LEAF_BYTES) + LEAF_BYTES;
    *count = ((leaf_end < end ? leaf_end : end) - address) >> RP_PAGE_SHIFT;
    leaf_pointer *table = atomic_load_explicit(&leaves, memory_order_acquire);
    uint8_t *leaf = table && address < SPACE_BYTES
                        ? atomic_load_explicit(&table[address / LEAF_BYTES], memory_order_acquire)
                        : NULL;
    return leaf ? leaf + (address % LEAF_BYTES >> RP_PAGE_SHIFT) : NULL;
}

uint8_t rp_os_pages_get(const void *page)
{
    size_t count;
    uintptr_t address = rp_align_down((uintptr_t)page, RP_PAGE_BYTES);
    const uint8_t *byte = bytes_from(address, address + RP_PAGE_BYTES, &count);
    return byte ? __atomic_load_n(byte, __ATOMIC_SEQ_CST) : 0;
}

static void update(uint8_t *byte, uint8_t clear, uint8_t set)
{
    uint8_t before = __atomic_load_n(byte, __ATOMIC_SEQ_CST), after;
    do {
        after = (uint8_t)((before & ~clear) | set);
    } while (before && before != after &&
             !__atomic_compare_exchange_n(byte, &before, after, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
}

void rp_os_pages_update(void *start, const void *end, uint8_t clear, uint8_t set)
{
    uintptr_t at = (uintptr_t)start, limit = (uintptr_t)end;
    for (size_t count; at < limit; at += count << RP_PAGE_SHIFT) {
        uint8_t *bytes = bytes_from(at, limit, &count);
        for (size_t i = 0; bytes && i < count; i++) {
            update(&bytes[i], clear, set);
        }
    }
}

void rp_os_pages_set(void *start, const void *end, uint8_t state)
{
    uintptr_t at = (uintptr_t)start, limit = (uintptr_t)end;
    for (size_t count; at < limit; at += count << RP_PAGE_SHIFT) {
        uint8_t *bytes = bytes_from(at, limit, &count);
        for (size_t i = 0; bytes && i < count; i++) {
            __atomic_store_n(&bytes[i], state, __ATOMIC_SEQ_CST);
        }
    }
}

/* How many bytes from the first on have (byte & mask) == value, or where `same` is false do not.
 * Eight at a time where all eight go on. */
static size_t run(const uint8_t *bytes, size_t count, uint8_t mask, uint8_t value, bool same)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    size_t i = 0;
    while (i < count) {
        bool whole = ((uintptr_t)(bytes + i) & 7) == 0 && count - i >= 8;
        if (whole && same) {
            const uint64_t *word = (const uint64_t *)(const void *)(bytes + i);
            if ((__atomic_load_n(word, __ATOMIC_RELAXED) & each * mask) == each * value) {
                i += 8;
                continue;
            }
        }
        uint8_t byte = __atomic_load_n(&bytes[i], __ATOMIC_SEQ_CST);
        if (((byte & mask) == value) != same) {
            break;
        }
        i++;
    }
    return i;
}

static uint8_t *run_end(void *from, void *end, uint8_t mask, uint8_t value, bool same)
{
    uintptr_t at = (uintptr_t)from, limit = (uintptr_t)end;
    while (at < limit) {
        size_t count, length;
        const uint8_t *bytes = bytes_from(at, limit, &count);
        if (bytes) {
            length = run(bytes, count, mask, value, same);
        } else {
            length = (value == 0) == same ? count : 0;
        }
        at += length << RP_PAGE_SHIFT;
        if (length < count) {
            break;
        }
    }
    return (uint8_t *)at;
}

uint8_t *rp_os_pages_other(void *from, void *end, uint8_t mask, uint8_t value)
{
    return run_end(from, end, mask, value, true);
}

uint8_t *rp_os_pages_same(void *from, void *end, uint8_t mask, uint8_t value)
{
    return run_end(from, end, mask, value, false);
}
