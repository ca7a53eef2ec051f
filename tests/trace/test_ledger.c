/* The ledger: its parts add up to what the system says, and known blocks are in them. */
#include "os/os.h"
#include "support/fault.h"
#include "trace/reports.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static json_t *ledger(void)
{
    report_clear();
    rp_report_ledger(RP_REPORT_JSON, report_keep, &kept_report);
    return report_json();
}

static uint64_t not_ours(const json_t *read)
{
    const json_t *others = json_object_get(read, "not_ours");
    return number_in(others, "files") + number_in(others, "brk_heap") +
           number_in(others, "first_stack") + number_in(others, "anonymous");
}

static void check_sums(const json_t *read)
{
    uint64_t system = number_in(read, "region_by_system_bytes");
    uint64_t ours = number_in(read, "region_by_ledger_bytes");
    uint64_t sum = 0;
    const char *const zones[] = {"world", "keep"};
    const char *const parts[] = {"live",   "slack",    "cached", "quarantine", "within",
                                 "tables", "retained", "ahead",  "map"};
    for (int zone = 0; zone < 2; zone++) {
        const json_t *of = json_object_get(read, zones[zone]);
        uint64_t zone_sum = 0;
        for (size_t i = 0; i < RP_COUNT_OF(parts); i++) {
            zone_sum += number_in(of, parts[i]);
        }
        ck_assert_uint_eq(zone_sum, number_in(of, "sum"));
        sum += zone_sum;
    }
    ck_assert_uint_eq(sum, ours);
    ck_assert_uint_eq(number_in(read, "resident_bytes"), system + not_ours(read));
    /* What the report itself touches between the two readings. */
    uint64_t difference = system > ours ? system - ours : ours - system;
    ck_assert_uint_le(difference, RP_KIB(256));
}

TEST(the_parts_add_up_to_the_resident_memory_of_the_process)
{
    open_traced();
    json_t *read = ledger();
    check_sums(read);
    json_decref(read);
}

static uint64_t part(const char *zone, const char *name)
{
    json_t *read = ledger();
    check_sums(read);
    uint64_t bytes = number_in(json_object_get(read, zone), name);
    json_decref(read);
    return bytes;
}

TEST(bytes_of_live_blocks_appear_as_live)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    uint64_t before = part("world", "live"), usable = 0;
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = rp_alloc(heap, 3000);
        memset(blocks[i], 1, 3000);
        usable += rp_usable_bytes(blocks[i]);
    }
    uint64_t grown = part("world", "live") - before;
    ck_assert_uint_ge(grown, 100 * 3000);
    ck_assert_uint_le(grown, usable);
    for (int i = 0; i < 100; i++) {
        rp_free(blocks[i]);
    }
    ck_assert_uint_eq(part("world", "live"), before);
}

TEST(a_large_block_that_nobody_wrote_to_is_not_resident)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    uint64_t before = part("world", "live_never_touched");
    uint8_t *block = rp_alloc(heap, RP_MIB(64));
    ck_assert_uint_ge(part("world", "live_never_touched"), before + RP_MIB(60));
    memset(block, 1, RP_MIB(64));
    ck_assert_uint_ge(part("world", "live"), RP_MIB(64));
    rp_free(block);
}

TEST(a_freed_large_block_is_retained_or_given_back_and_then_neither_live)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    uint8_t *block = rp_alloc(heap, RP_MIB(16));
    memset(block, 1, RP_MIB(16));
    uint64_t live = part("world", "live");
    rp_free(block);
    ck_assert_uint_le(part("world", "live"), live - RP_MIB(16));
    rp_allocator_destroy(heap);
    rp_region_purge(RP_ZONE_WORLD);
    ck_assert_uint_le(part("world", "retained"), RP_MIB(1));
}

TEST(what_classes_add_to_tracked_blocks_is_slack)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    ck_ok(rp_debug_set("test", RP_DEBUG_TRACE));
    void *blocks[60];
    for (int i = 0; i < 60; i++) {
        blocks[i] = rp_alloc(heap, 1025); /* of the class of 1280 */
        memset(blocks[i], 1, 1025);
    }
    ck_assert_uint_eq(part("world", "live"), 60 * 1025);
    ck_assert_uint_eq(part("world", "slack"), 60 * (1280 - 1025));
    for (int i = 0; i < 60; i++) {
        rp_free(blocks[i]);
    }
    ck_assert_uint_eq(part("world", "slack"), 0);
}

TEST(blocks_that_were_freed_rest_in_the_threads_cache)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    void *blocks[20];
    for (int i = 0; i < 20; i++) {
        blocks[i] = rp_alloc(heap, 1000);
        memset(blocks[i], 1, 1000);
    }
    uint64_t before = part("world", "cached");
    rp_free(blocks[3]);
    rp_free(blocks[4]);
    ck_assert_uint_eq(part("world", "cached"), before + 2 * 1024);
}

TEST(blocks_at_rest_are_a_line_of_their_own)
{
    open_traced();
    rp_allocator *heap = rp_heap_create(&(rp_heap_desc){.name = "test"});
    ck_ok(rp_debug_set("test", RP_DEBUG_TRACE | RP_DEBUG_FILL | RP_DEBUG_QUARANTINE));
    for (int i = 0; i < 10; i++) {
        rp_free(rp_alloc(heap, 2000));
    }
    ck_assert_uint_eq(part("world", "quarantine"), 10 * 2000);
}

TEST(memory_of_others_is_counted_outside)
{
    open_traced();
    json_t *read = ledger();
    uint64_t before = not_ours(read);
    json_decref(read);
    uint8_t *theirs = mmap(NULL, RP_MIB(8), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    memset(theirs, 1, RP_MIB(8));
    read = ledger();
    ck_assert_uint_ge(not_ours(read), before + RP_MIB(8) - RP_KIB(512));
    check_sums(read);
    json_decref(read);
    munmap(theirs, RP_MIB(8));
}

TEST(the_text_says_the_sum_and_explains_the_difference)
{
    open_traced();
    rp_report_ledger(RP_REPORT_TEXT, report_keep, &kept_report);
    ck_assert(report_has("resident memory of the process: "));
    ck_assert(report_has("blocks that live"));
    ck_assert(report_has("difference: "));
    ck_assert(report_has("page tables"));
}

TEST(without_a_region_all_is_of_others)
{
    json_t *read = ledger();
    ck_assert_uint_eq(number_in(read, "region_by_ledger_bytes"), 0);
    ck_assert_uint_eq(number_in(read, "resident_bytes"), not_ours(read));
    json_decref(read);
}

static rp_status read_memory(void *context)
{
    (void)context;
    rp_os_memory memory;
    return rp_os_memory_get(NULL, 0, &memory);
}

TEST(where_the_system_does_not_say_the_report_says_so)
{
    fault_each_call(read_memory, NULL, EMFILE);
    open_traced();
#ifdef RP_FAULTS
    const char *error = NULL;
    for (size_t k = 1; k < 50 && !error; k++) { /* the region makes calls of its own before */
        rp_os_fault_set(k, EMFILE);
        json_t *read = ledger();
        rp_os_fault_set(0, 0);
        error = json_string_value(json_object_get(read, "error"));
        ck_assert(!error || strstr(error, "/proc/self/") != NULL);
        json_decref(read);
    }
    ck_assert_ptr_nonnull(error);
#endif
}

TEST(resident_pages_are_counted_one_by_one)
{
    uint8_t *pages =
        mmap(NULL, RP_PAGE_BYTES * 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(pages, RP_PAGE_BYTES * 10, MADV_NOHUGEPAGE);
    ck_assert_uint_eq(rp_os_vm_resident(pages, RP_PAGE_BYTES * 10), 0);
    pages[0] = pages[RP_PAGE_BYTES * 9] = 1;
    ck_assert_uint_eq(rp_os_vm_resident(pages, RP_PAGE_BYTES * 10), RP_PAGE_BYTES * 2);
    munmap(pages, RP_PAGE_BYTES * 10);
    ck_assert_uint_eq(rp_os_vm_resident(pages, RP_PAGE_BYTES * 10), 0);
}
