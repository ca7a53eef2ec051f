/* What write tracking promises, against the running kernel: nothing written is missed, nothing else
 * is told, however the write came about. The kernel's odder facts are in test_track_facts.c. */
#include "base/bits.h"
#include "os/os.h"
#include "os/tracked.h"
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

TEST(nothing_is_written_in_a_range_just_added)
{
    tracked t = tracked_pages(8, TRACKED_POPULATED);
    check_written(&t, "........");
}

TEST(stores_are_told_once)
{
    tracked t = tracked_pages(8, TRACKED_POPULATED);
    t.start[0] = 1;
    t.start[3 * PAGE - 1] = 1;
    t.start[7 * PAGE] = 1;
    check_written(&t, "x.x....x");
    check_written(&t, "........");
    t.start[7 * PAGE + 5] = 1;
    check_written(&t, ".......x");
}

TEST(storing_the_same_value_is_a_write_and_reading_is_none)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    volatile uint8_t *bytes = t.start;
    bytes[0] = bytes[0];
    (void)bytes[PAGE];
    check_written(&t, "x...");
}

TEST(pages_first_touched_after_arming_are_told)
{
    tracked t = tracked_pages(6, TRACKED_UNTOUCHED);
    volatile uint8_t *bytes = t.start;
    check_written(&t, "......");
    bytes[PAGE] = 1;
    (void)bytes[3 * PAGE];
    check_written(&t, ".x....");
    bytes[3 * PAGE] = 1;
    bytes[4 * PAGE] = 1;
    check_written(&t, "...xx.");
}

TEST(neighbouring_pages_come_as_one_extent)
{
    tracked t = tracked_pages(16, TRACKED_POPULATED);
    memset(t.start + 2 * PAGE, 1, 9 * PAGE);
    rp_os_extent extents[16];
    size_t count;
    void *next;
    ck_ok(rp_os_track_collect(&t.tracker, t.start, 16 * PAGE, extents, 16, &count, &next));
    ck_assert_uint_eq(count, 1);
    if (!rp_os_track_takes_signals(&t.tracker)) {
        ck_assert_ptr_eq(extents[0].start, t.start + 2 * PAGE);
        ck_assert_uint_eq(extents[0].size_bytes, 9 * PAGE);
    }
    ck_assert_ptr_eq(next, t.start + 16 * PAGE);
}

TEST(read_into_the_range_is_told)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "two pages", 9), 9);
    if (rp_os_track_takes_signals(&t.tracker)) {
        ck_assert_int_eq(read(ends[0], t.start + 2 * PAGE - 4, 9), -1);
        ck_assert_int_eq(errno, EFAULT);
        rp_os_track_touch(&t.tracker, t.start + 2 * PAGE - 4, 9);
    }
    ck_assert_int_eq(read(ends[0], t.start + 2 * PAGE - 4, 9), 9);
    ck_assert_int_eq(memcmp(t.start + 2 * PAGE - 4, "two pages", 9), 0);
    check_written(&t, ".xx.");
}

TEST(process_vm_writev_into_the_range_is_told)
{
    tracked t = tracked_pages(4, TRACKED_UNTOUCHED);
    char text[] = "from elsewhere";
    struct iovec from = {text, sizeof text}, to = {t.start + 2 * PAGE, sizeof text};
    if (rp_os_track_takes_signals(&t.tracker)) {
        rp_os_track_touch(&t.tracker, to.iov_base, to.iov_len);
    }
    ssize_t wrote = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
    if (wrote < 0 && errno != EFAULT) { /* a sandbox's doing */
        printf("skipped: process_vm_writev is not allowed here\n");
        return;
    }
    ck_assert_int_eq(wrote, sizeof text);
    check_written(&t, "..x.");
}

TEST(a_store_through_a_pointer_of_another_thread_is_told)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, tracked_store_byte, t.start + PAGE), 0);
    pthread_join(thread, NULL);
    check_written(&t, ".x");
}

TEST(a_part_of_a_range_is_collected_alone)
{
    tracked t = tracked_pages(8, TRACKED_POPULATED);
    memset(t.start, 1, 8 * PAGE);
    tracked part = t;
    part.start += 2 * PAGE;
    part.page_count = 3;
    check_written(&part, "xxx");
    check_written(&t, "xx...xxx");
}

TEST(several_ranges_are_tracked_by_one_tracker)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    tracked other = tracked_more(&t, 4, TRACKED_POPULATED);
    t.start[0] = 1;
    other.start[3 * PAGE] = 1;
    check_written(&t, "x...");
    check_written(&other, "...x");
}

TEST(a_small_vector_goes_on_where_it_was_full)
{
    for (size_t capacity = 1; capacity <= 5; capacity++) {
        tracked t = tracked_pages(9, TRACKED_POPULATED);
        for (size_t page = 0; page < 9; page += 2) {
            t.start[page * PAGE] = 1;
        }
        check_written_by(&t, "x.x.x.x.x", capacity);
        check_written(&t, ".........");
    }
}

TEST(no_room_at_all_collects_nothing_and_loses_nothing)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    t.start[0] = 1;
    size_t count = 9;
    void *next = NULL;
    ck_ok(rp_os_track_collect(&t.tracker, t.start, 2 * PAGE, NULL, 0, &count, &next));
    ck_assert_uint_eq(count, 0);
    ck_assert_ptr_eq(next, t.start);
    check_written(&t, "x.");
}

/* Every other page of `page_count` is written; collected in vectors of `capacity`. */
static void check_scattered(size_t page_count, size_t capacity)
{
    tracked t = tracked_pages(page_count, TRACKED_POPULATED);
    for (size_t page = 1; page < page_count; page += 2) {
        t.start[page * PAGE] = 1;
    }
    uint8_t *written = calloc(page_count, 1);
    collect_into(&t, written, capacity);
    bool exact = !rp_os_track_takes_signals(&t.tracker);
    for (size_t page = 0; page < page_count; page++) {
        ck_assert_msg(written[page] == page % 2 || (!exact && written[page] == 1),
                      "page %zu of %zu by %zu", page, page_count, capacity);
    }
    collect_into(&t, written, capacity);
    for (size_t page = 0; page < page_count; page++) {
        ck_assert_msg(written[page] == page % 2 || (!exact && written[page] == 1),
                      "page %zu was told twice", page);
    }
    free(written);
    tracked_end(&t);
}

TEST(hundreds_and_thousands_of_scattered_pages_are_all_told)
{
    static const size_t counts[] = {1022, 1024, 1026, 2048, 2050, 9000};
    for (size_t i = 0; i < RP_COUNT_OF(counts); i++) {
        check_scattered(counts[i], 16384);
        check_scattered(counts[i], 512);
        check_scattered(counts[i], 513);
        check_scattered(counts[i], 100);
    }
}

TEST(disarmed_pages_do_not_fault_and_arming_forgets_what_was_written)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, 4 * PAGE));
    t.start[PAGE] = 1;
    ck_ok(rp_os_track_arm(&t.tracker, t.start, 4 * PAGE));
    check_written(&t, "....");
    t.start[2 * PAGE] = 1;
    check_written(&t, "..x.");
}

TEST(disarmed_pages_count_as_written_until_they_are_armed)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    ck_ok(rp_os_track_disarm(&t.tracker, t.start + PAGE, 2 * PAGE));
    check_written(&t, ".xx.");
    check_written(&t, "....");
}

TEST(a_removed_range_is_lost_and_can_be_added_again)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    ck_ok(rp_os_track_remove(&t.tracker, t.start, 4 * PAGE));
    check_lost(&t);
    ck_assert_int_eq(rp_os_track_arm(&t.tracker, t.start, 4 * PAGE), RP_E_CHANGED);
    ck_ok(rp_os_track_add(&t.tracker, t.start, 4 * PAGE));
    t.start[0] = 1;
    check_written(&t, "x...");
}

TEST(adding_a_range_again_forgets_what_was_written)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    t.start[0] = 1;
    ck_ok(rp_os_track_add(&t.tracker, t.start, 4 * PAGE));
    check_written(&t, "....");
}

TEST(a_range_of_another_tracker_is_refused)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    rp_os_tracker second;
    ck_ok(rp_os_track_open(&second, (rp_os_rung)test_rung()));
    ck_assert_int_eq(rp_os_track_add(&second, t.start, 2 * PAGE), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, EBUSY);
    t.start[0] = 1;
    check_written(&t, "x.");
    rp_os_track_close(&second);
}

TEST(a_range_that_is_not_mapped_is_refused)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    rp_os_unmap(t.start, 2 * PAGE);
    ck_assert_int_eq(rp_os_track_add(&t.tracker, t.start, 2 * PAGE), RP_E_SYSTEM);
    ck_assert(rp_error_last()->text[0]);
}

typedef struct writer {
    uint64_t *words;
    uint64_t seed;
} writer;

enum { WRITER_PAGES = 64, WRITER_STORES = 60000 };
#define PAGE_WORDS (PAGE / sizeof(uint64_t))

static void *write_at_random(void *context)
{
    writer *w = context;
    for (uint64_t i = 1; i <= WRITER_STORES; i++) {
        size_t at = test_random(&w->seed) % (WRITER_PAGES * PAGE_WORDS);
        __atomic_store_n(&w->words[at], i, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void copy_extents(const tracked *t, uint8_t *shadow, const rp_os_extent *extents,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t offset = (size_t)(extents[i].start - t->start);
        for (size_t byte = 0; byte < extents[i].size_bytes; byte += sizeof(uint64_t)) {
            const uint64_t *from = (const uint64_t *)(extents[i].start + byte);
            uint64_t word = __atomic_load_n(from, __ATOMIC_RELAXED);
            memcpy(shadow + offset + byte, &word, sizeof word);
        }
    }
}

/* Armed and told in one step: a write is in the copy that follows, or told the next time. */
TEST(no_write_is_lost_while_another_thread_keeps_writing)
{
    tracked t = tracked_pages(WRITER_PAGES, TRACKED_UNTOUCHED);
    writer w = {(uint64_t *)t.start, test_seed()};
    uint8_t *shadow = calloc(WRITER_PAGES, PAGE);
    rp_os_extent extents[WRITER_PAGES];
    size_t count;
    void *next;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_at_random, &w), 0);
    do {
        ck_ok(rp_os_track_collect(&t.tracker, t.start, WRITER_PAGES * PAGE, extents, WRITER_PAGES,
                                  &count, &next));
        copy_extents(&t, shadow, extents, count);
    } while (pthread_tryjoin_np(thread, NULL) == EBUSY);
    ck_ok(rp_os_track_collect(&t.tracker, t.start, WRITER_PAGES * PAGE, extents, WRITER_PAGES,
                              &count, &next));
    copy_extents(&t, shadow, extents, count);
    ck_assert_int_eq(memcmp(shadow, t.start, WRITER_PAGES * PAGE), 0);
    free(shadow);
}

static rp_status whole_life(void *pages)
{
    rp_os_tracker tracker;
    rp_os_extent extents[4];
    size_t count;
    void *next;
    rp_status status = rp_os_track_open(&tracker, (rp_os_rung)test_rung());
    if (status) {
        return status;
    }
    status = rp_os_track_add(&tracker, pages, 4 * PAGE);
    status =
        status ? status : rp_os_track_collect(&tracker, pages, 4 * PAGE, extents, 4, &count, &next);
    status = status ? status : rp_os_track_disarm(&tracker, pages, 4 * PAGE);
    status = status ? status : rp_os_track_arm(&tracker, pages, 4 * PAGE);
    status = status ? status : rp_os_track_remove(&tracker, pages, 4 * PAGE);
    rp_os_track_close(&tracker);
    return status;
}

TEST(every_failing_call_is_told_and_nothing_leaks)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    ck_ok(rp_os_track_remove(&t.tracker, t.start, 4 * PAGE));
    fault_each_call(whole_life, t.start, ENOMEM);
    fault_each_call(whole_life, t.start, EPERM);
}

#ifdef RP_FAULTS
/* False: there was no k-th call. A kernel before 5.11 or 6.4 refuses what the second rung can do
 * without. */
static bool refused_at(size_t k, int system_code)
{
    rp_os_tracker tracker;
    rp_os_fault_set(k, system_code);
    rp_status status = rp_os_track_open(&tracker, (rp_os_rung)test_rung());
    bool reached = rp_os_fault_count() >= k;
    rp_os_fault_set(0, 0);
    if (status == RP_OK) {
        ck_assert(!reached || tracker.rung == RP_OS_RUNG_SIGBUS);
        rp_os_track_close(&tracker);
    } else {
        ck_assert_int_eq(status, RP_E_UNSUPPORTED);
    }
    ck_assert_int_eq(tracker.uffd, -1);
    ck_assert_int_eq(tracker.pagemap, -1);
    ck_assert_int_eq(tracker.owner, 0);
    return reached;
}
#endif

TEST(a_kernel_without_a_part_of_it_is_told_as_not_supported)
{
#ifdef RP_FAULTS
    static const int refusals[] = {ENOSYS, EPERM, EINVAL, ENOTTY};
    rp_os_tracker tracker = tracked_open(); /* or there is nothing to refuse */
    rp_os_track_close(&tracker);
    for (size_t i = 0; i < RP_COUNT_OF(refusals); i++) {
        for (size_t k = 1; refused_at(k, refusals[i]); k++) {
            ck_assert_uint_le(k, 6);
        }
    }
#else
    printf("skipped: built without RP_FAULTS\n");
#endif
}

TEST(a_range_added_as_written_tells_all_of_its_pages_once)
{
    tracked t = {tracked_open(), rp_os_vm_reserve(8 * PAGE), 8};
    ck_assert_ptr_nonnull(t.start);
    ck_ok(rp_os_vm_commit(t.start, 8 * PAGE));
    t.start[2 * PAGE] = 1;
    t.start[3 * PAGE] = 1;
    ck_ok(rp_os_track_add_written(&t.tracker, t.start, 8 * PAGE));
    check_written(&t, "xxxxxxxx");
    check_written(&t, "........");
    t.start[6 * PAGE] = 1;
    t.start[3 * PAGE] = 2;
    check_written(&t, "...x..x.");
    check_written(&t, "........");
    tracked_end(&t);
}
