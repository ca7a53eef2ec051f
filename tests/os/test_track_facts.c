/* Facts about the kernel's write tracking that the history rests on: huge pages, dropped pages,
 * guards, changed protections, private file mappings, and how tracking is lost. A kernel that
 * differs is to be found here, not in a damaged frame. */
#include "os/linux/kernel.h"
#include "os/os.h"
#include "os/tracked.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE RP_MIB(2)
enum { HUGE_PAGES = 512 };

static bool needs_light_guards(void)
{
    if (!rp_os_vm_has_light_guards()) {
        printf("skipped: this kernel has no MADV_GUARD_INSTALL (Linux 6.13)\n");
    }
    return rp_os_vm_has_light_guards();
}

/* ---- dropped pages --------------------------------------------------------------------------- */

TEST(a_discarded_page_is_told_as_written)
{
    tracked t = tracked_pages(6, TRACKED_POPULATED);
    ck_ok(rp_os_vm_discard(t.start + 2 * PAGE, 2 * PAGE));
    check_written(&t, "..xx..");
    check_written(&t, "......");
}

TEST(a_page_that_was_discarded_and_read_is_told_as_written)
{
    tracked t = tracked_pages(3, TRACKED_POPULATED);
    ck_ok(rp_os_vm_discard(t.start + PAGE, PAGE));
    ck_assert_int_eq(*(volatile uint8_t *)(t.start + PAGE), 0);
    check_written(&t, ".x.");
}

TEST(a_store_after_a_discard_that_was_collected_is_told)
{
    tracked t = tracked_pages(3, TRACKED_POPULATED);
    ck_ok(rp_os_vm_discard(t.start + PAGE, PAGE));
    check_written(&t, ".x.");
    t.start[PAGE] = 1;
    check_written(&t, ".x.");
}

/* ---- guards inside a tracked range ----------------------------------------------------------- */

TEST(a_page_that_becomes_a_guard_is_told_once)
{
    if (!needs_light_guards()) {
        return;
    }
    tracked t = tracked_pages(5, TRACKED_POPULATED);
    ck_ok(rp_os_vm_guard(t.start + PAGE, PAGE));
    check_written(&t, ".x...");
    check_written(&t, ".....");
}

TEST(a_page_that_stops_being_a_guard_is_told_and_so_are_its_stores)
{
    if (!needs_light_guards()) {
        return;
    }
    tracked t = tracked_pages(5, TRACKED_UNTOUCHED);
    ck_ok(rp_os_vm_guard(t.start + PAGE, 2 * PAGE));
    check_written(&t, ".xx..");
    ck_ok(rp_os_vm_unguard(t.start + PAGE, PAGE));
    check_written(&t, ".x...");
    check_written(&t, ".....");
    t.start[PAGE] = 1;
    check_written(&t, ".x...");
    ck_ok(rp_os_vm_unguard(t.start + 2 * PAGE, PAGE));
    t.start[2 * PAGE] = 1;
    check_written(&t, "..x..");
}

TEST(a_guard_outlives_collecting_disarming_and_arming)
{
    if (!needs_light_guards()) {
        return;
    }
    tracked t = tracked_pages(5, TRACKED_POPULATED);
    ck_ok(rp_os_vm_guard(t.start + PAGE, PAGE));
    check_written(&t, ".x...");
    ck_assert(!rp_os_vm_readable(t.start + PAGE, 1));
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, 5 * PAGE));
    ck_assert(!rp_os_vm_readable(t.start + PAGE, 1));
    ck_ok(rp_os_track_arm(&t.tracker, t.start, 5 * PAGE));
    ck_assert(!rp_os_vm_readable(t.start + PAGE, 1));
    check_written(&t, ".....");
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, 5 * PAGE));
    check_written(&t, "x.xxx");
}

/* The kernel leaves a guard out of arming; only collecting marks it as told. Our own account does
 * not. */
TEST(arming_does_not_forget_a_fresh_guard_but_collecting_does)
{
    if (!needs_light_guards() || test_rung()) {
        return;
    }
    tracked t = tracked_pages(5, TRACKED_POPULATED);
    ck_ok(rp_os_vm_guard(t.start + PAGE, PAGE));
    ck_ok(rp_os_track_arm(&t.tracker, t.start, 5 * PAGE));
    check_written(&t, ".x...");
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, 5 * PAGE));
    ck_ok(rp_os_track_arm(&t.tracker, t.start, 5 * PAGE));
    check_written(&t, ".....");
}

/* ---- protection ------------------------------------------------------------------------------ */

TEST(a_cycle_of_protections_keeps_tracking)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    t.start[0] = 1;
    ck_ok(rp_os_vm_protect(t.start, 2 * PAGE, RP_OS_NONE));
    check_written(&t, "x...");
    ck_ok(rp_os_vm_protect(t.start, 2 * PAGE, RP_OS_READ));
    ck_ok(rp_os_vm_protect(t.start, 2 * PAGE, RP_OS_READ_WRITE));
    check_written(&t, "....");
    t.start[PAGE] = 1;
    t.start[3 * PAGE] = 1;
    check_written(&t, ".x.x");
}

TEST(pages_without_access_are_tracked_from_before_their_commit)
{
    tracked t = {tracked_open(), rp_os_vm_reserve(8 * PAGE), 8};
    ck_ok(rp_os_vm_commit(t.start, 4 * PAGE));
    ck_ok(rp_os_track_add(&t.tracker, t.start, 8 * PAGE));
    check_written(&t, "........");
    ck_ok(rp_os_vm_commit(t.start + 4 * PAGE, 4 * PAGE));
    check_written(&t, "........");
    t.start[3 * PAGE] = 1;
    t.start[4 * PAGE] = 1;
    check_written(&t, "...xx...");
}

TEST(pages_discarded_while_without_access_are_told)
{
    tracked t = tracked_pages(3, TRACKED_POPULATED);
    ck_ok(rp_os_vm_protect(t.start + PAGE, PAGE, RP_OS_NONE));
    ck_ok(rp_os_vm_discard(t.start + PAGE, PAGE));
    check_written(&t, ".x.");
    ck_ok(rp_os_vm_commit(t.start + PAGE, PAGE));
    t.start[PAGE] = 1;
    check_written(&t, ".x.");
}

/* ---- huge pages ------------------------------------------------------------------------------ */

/* Whether the chunk at `start` is one huge page; asks without protecting anything. */
static bool is_huge(const tracked *t, uint8_t *start)
{
    struct page_region region;
    struct pm_scan_arg scan = {
        .size = sizeof scan,
        .start = (uintptr_t)start,
        .end = (uintptr_t)start + HUGE,
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_mask = PAGE_IS_HUGE,
        .return_mask = PAGE_IS_HUGE,
    };
    return ioctl(t->tracker.pagemap, PAGEMAP_SCAN, &scan) == 1 && region.end - region.start == HUGE;
}

/* Two chunks of huge pages under tracking; page_count 0 where the system gives none. */
static tracked huge_pages(void)
{
    tracked t = {tracked_open(), NULL, 2 * HUGE_PAGES};
    if (t.tracker.pagemap < 0) {
        printf("skipped: this rung does not look at huge pages\n");
        t.page_count = 0;
        return t;
    }
    uint8_t *anywhere = rp_os_vm_reserve(3 * HUGE);
    t.start = (uint8_t *)rp_align_up((uintptr_t)anywhere, HUGE);
    ck_ok(rp_os_vm_commit(t.start, 2 * HUGE));
    rp_os_vm_want_huge(t.start, 2 * HUGE);
    memset(t.start, 0x22, 2 * HUGE);
    ck_ok(rp_os_track_add(&t.tracker, t.start, 2 * HUGE));
    if (!is_huge(&t, t.start) || !is_huge(&t, t.start + HUGE)) {
        printf("skipped: the system gave no huge pages\n");
        t.page_count = 0;
    }
    return t;
}

static void check_only(tracked *t, size_t first, size_t count)
{
    rp_os_extent extents[4];
    size_t found;
    void *next;
    ck_ok(rp_os_track_collect(&t->tracker, t->start, t->page_count * PAGE, extents, 4, &found,
                              &next));
    ck_assert_uint_eq(found, count ? 1 : 0);
    if (count) {
        ck_assert_ptr_eq(extents[0].start, t->start + first * PAGE);
        ck_assert_uint_eq(extents[0].size_bytes, count * PAGE);
    }
}

TEST(a_store_into_an_armed_huge_page_is_told_as_one_small_page)
{
    tracked t = huge_pages();
    if (!t.page_count) {
        return;
    }
    check_only(&t, 0, 0);
    t.start[HUGE + 77 * PAGE] = 1;
    check_only(&t, HUGE_PAGES + 77, 1);
    check_only(&t, 0, 0);
    ck_assert(is_huge(&t, t.start));
    ck_assert(!is_huge(&t, t.start + HUGE));
}

TEST(a_huge_page_written_while_disarmed_stays_whole_and_is_told_whole)
{
    tracked t = huge_pages();
    if (!t.page_count) {
        return;
    }
    ck_ok(rp_os_track_disarm(&t.tracker, t.start + HUGE, HUGE));
    t.start[HUGE] = 1;
    check_only(&t, HUGE_PAGES, HUGE_PAGES);
    ck_assert(is_huge(&t, t.start + HUGE));
    check_only(&t, 0, 0);
}

TEST(a_huge_page_is_told_in_full_even_where_the_vector_is_small)
{
    tracked t = huge_pages();
    if (!t.page_count) {
        return;
    }
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, 2 * HUGE));
    t.start[5 * PAGE] = 1;
    uint8_t *written = calloc(t.page_count, 1);
    collect_into(&t, written, 1);
    for (size_t page = 0; page < t.page_count; page++) {
        ck_assert_int_eq(written[page], 1);
    }
    free(written);
}

TEST(a_part_of_a_huge_page_can_be_collected)
{
    tracked t = huge_pages();
    if (!t.page_count) {
        return;
    }
    ck_ok(rp_os_track_disarm(&t.tracker, t.start, HUGE));
    tracked part = {t.tracker, t.start + 100 * PAGE, 10};
    check_written(&part, "xxxxxxxxxx");
    part.start = t.start + 98 * PAGE;
    check_written(&part, "xx........");
}

TEST(a_split_chunk_collapses_again_and_keeps_its_content)
{
    tracked t = huge_pages();
    if (!t.page_count) {
        return;
    }
    t.start[HUGE + PAGE] = 99;
    check_only(&t, HUGE_PAGES + 1, 1);
    ck_ok(rp_os_track_disarm(&t.tracker, t.start + HUGE, HUGE));
    if (madvise(t.start + HUGE, HUGE, MADV_COLLAPSE)) {
        printf("skipped: MADV_COLLAPSE: %s\n", strerror(errno));
        return;
    }
    ck_ok(rp_os_track_arm(&t.tracker, t.start + HUGE, HUGE));
    ck_assert(is_huge(&t, t.start + HUGE));
    ck_assert_int_eq(t.start[HUGE + PAGE], 99);
    check_only(&t, 0, 0);
    t.start[HUGE + 3 * PAGE] = 1;
    check_only(&t, HUGE_PAGES + 3, 1);
}

/* ---- private file mappings ------------------------------------------------------------------- */

static int temporary_file(size_t size_bytes)
{
    char name[] = "/tmp/reprise-track-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    uint8_t content[PAGE];
    memset(content, 0x33, sizeof content);
    for (size_t done = 0; done < size_bytes; done += PAGE) {
        ck_assert_int_eq(write(fd, content, PAGE), (ssize_t)PAGE);
    }
    return fd;
}

/* Whether the rung tracks private file pages. */
static bool tracks_files(void)
{
    bool tracks = test_rung() != RP_OS_RUNG_SIGBUS;
    if (!tracks) {
        printf("skipped: userfaultfd without WP_ASYNC takes anonymous memory alone\n");
    }
    return tracks;
}

/* As the loader maps a library: .data privately from the file, .bss anonymous behind it. */
static tracked data_and_bss(size_t data_pages, size_t bss_pages)
{
    tracked t = {tracked_open(), rp_os_vm_reserve((data_pages + bss_pages) * PAGE),
                 data_pages + bss_pages};
    int fd = temporary_file(data_pages * PAGE);
    const int rights = PROT_READ | PROT_WRITE;
    ck_assert_ptr_eq(mmap(t.start, data_pages * PAGE, rights, MAP_PRIVATE | MAP_FIXED, fd, 0),
                     t.start);
    close(fd);
    ck_ok(rp_os_vm_commit(t.start + data_pages * PAGE, bss_pages * PAGE));
    return t;
}

TEST(private_file_pages_and_the_anonymous_ones_behind_are_tracked_in_one_range)
{
    if (!tracks_files()) {
        return;
    }
    tracked t = data_and_bss(4, 4);
    t.start[PAGE] = 1; /* copied before tracking begins; the others are still the file's */
    ck_ok(rp_os_track_add(&t.tracker, t.start, 8 * PAGE));
    check_written(&t, "........");
    ck_assert_int_eq(*(volatile uint8_t *)t.start, 0x33);
    check_written(&t, "........");
    t.start[PAGE] = 2;
    t.start[3 * PAGE] = 2;
    t.start[4 * PAGE] = 2;
    t.start[7 * PAGE] = 2;
    check_written(&t, ".x.xx..x");
    check_written(&t, "........");
}

TEST(a_file_page_discarded_reverts_and_nothing_tells_of_it)
{
    if (test_rung() != RP_OS_RUNG_ASYNC) {
        return; /* our own account knows of it */
    }
    tracked t = data_and_bss(2, 1);
    ck_ok(rp_os_track_add(&t.tracker, t.start, 3 * PAGE));
    t.start[0] = 2;
    check_written(&t, "x..");
    ck_ok(rp_os_vm_discard(t.start, PAGE));
    check_written(&t, "...");
    ck_assert_int_eq(t.start[0], 0x33);
}

static uint8_t own_data[4 * PAGE] __attribute__((aligned(4096))) = {1};
static uint8_t own_bss[4 * PAGE] __attribute__((aligned(4096)));

TEST(the_data_and_bss_of_a_loaded_program_are_tracked_in_place)
{
    if (!tracks_files()) {
        return;
    }
    tracked data = {tracked_open(), own_data, 4}, bss = {data.tracker, own_bss, 4};
    ck_ok(rp_os_track_add(&data.tracker, own_data, sizeof own_data));
    ck_ok(rp_os_track_add(&data.tracker, own_bss, sizeof own_bss));
    own_data[2 * PAGE] = 1;
    own_bss[PAGE] = 1;
    check_written(&data, "..x.");
    check_written(&bss, ".x..");
    ck_ok(rp_os_track_remove(&data.tracker, own_data, sizeof own_data));
    ck_ok(rp_os_track_remove(&data.tracker, own_bss, sizeof own_bss));
}

/* ---- how tracking is lost -------------------------------------------------------------------- */

static void remap(uint8_t *page)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    ck_assert_ptr_eq(mmap(page, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0), page);
}

TEST(a_page_mapped_anew_is_told_as_lost_wherever_it_lies)
{
    for (size_t page = 0; page < 8; page++) {
        tracked t = tracked_pages(8, TRACKED_POPULATED);
        remap(t.start + page * PAGE);
        check_lost(&t);
        check_lost(&t);
        ck_ok(rp_os_track_add(&t.tracker, t.start, 8 * PAGE));
        t.start[page * PAGE] = 1;
        uint8_t written[8] = {0};
        collect_into(&t, written, 8);
        for (size_t i = 0; i < 8; i++) {
            ck_assert_int_le(written[i], 1);
            ck_assert(written[i] == (i == page) || (test_rung() && i != page));
        }
        tracked_end(&t);
    }
}

/* Nobody can write where nothing is mapped; a later mapping there is told as lost. */
TEST(a_hole_is_silent_until_something_is_mapped_into_it)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    t.start[0] = 1;
    rp_os_unmap(t.start + 2 * PAGE, PAGE);
    check_written(&t, "x...");
    remap(t.start + 2 * PAGE);
    check_lost(&t);
}

TEST(a_range_that_was_moved_is_lost_at_its_new_place)
{
    tracked t = tracked_pages(4, TRACKED_POPULATED);
    uint8_t *target = rp_os_vm_reserve(4 * PAGE);
    void *moved = mremap(t.start, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    ck_assert_ptr_eq(moved, target);
    t.start = target;
    if (test_rung() != RP_OS_RUNG_MPROTECT) { /* whose protection moves with the pages */
        t.start[0] = 1;
    }
    check_lost(&t);
}

TEST(a_forked_child_is_not_tracked_and_can_tell)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    pid_t child = fork();
    if (child == 0) {
        rp_os_tracker own;
        rp_os_extent extent;
        size_t count;
        void *next;
        t.start[0] = 1;
        _exit(rp_os_track_open(&own, (rp_os_rung)test_rung()) != RP_OK ||
              rp_os_track_collect(&own, t.start, 2 * PAGE, &extent, 1, &count, &next) !=
                  RP_E_CHANGED);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    check_written(&t, "..");
    t.start[PAGE] = 1;
    check_written(&t, ".x");
}

TEST(closing_the_tracker_ends_tracking)
{
    tracked t = tracked_pages(2, TRACKED_POPULATED);
    rp_os_track_close(&t.tracker);
    ck_assert_int_eq(t.tracker.uffd, -1);
    t.tracker = tracked_open();
    check_lost(&t);
}

/* ---- other writers --------------------------------------------------------------------------- */

/* It goes past the protection of a mapping, and is refused by userfaultfd's. */
TEST(a_write_through_proc_self_mem_is_told)
{
    if (test_rung() != RP_OS_RUNG_ASYNC) {
        return;
    }
    tracked t = tracked_pages(4, TRACKED_UNTOUCHED);
    int fd = open("/proc/self/mem", O_RDWR);
    if (fd < 0) {
        printf("skipped: /proc/self/mem: %s\n", strerror(errno));
        return;
    }
    ck_assert_int_eq(pwrite(fd, "abc", 3, (off_t)(uintptr_t)(t.start + 2 * PAGE)), 3);
    check_written(&t, "..x.");
    close(fd);
}

TEST(populating_for_writing_is_told_as_writing)
{
    tracked t = tracked_pages(4, TRACKED_UNTOUCHED);
    if (madvise(t.start + PAGE, PAGE, MADV_POPULATE_WRITE)) { /* EFAULT where signals are taken */
        printf("skipped: MADV_POPULATE_WRITE: %s\n", strerror(errno));
        return;
    }
    check_written(&t, ".x..");
}

/* ---- all of it at random against a model ------------------------------------------------------
 */

enum { MODEL_PAGES = 96, MODEL_STEPS = 4000 };

typedef struct model {
    tracked t;
    char expected[MODEL_PAGES + 1];
    bool guarded[MODEL_PAGES];
    bool guard_is_fresh[MODEL_PAGES]; /* not collected since it was made */
    uint64_t seed;
} model;

static void model_change(model *m, size_t page)
{
    uint8_t *start = m->t.start + page * PAGE;
    switch (test_random(&m->seed) % 8) {
    case 0:
        if (!m->guarded[page]) {
            ck_ok(rp_os_vm_discard(start, PAGE));
            m->expected[page] = 'x';
        }
        break;
    case 1:
        if (rp_os_vm_has_light_guards()) {
            ck_ok(m->guarded[page] ? rp_os_vm_unguard(start, PAGE) : rp_os_vm_guard(start, PAGE));
            m->guarded[page] = !m->guarded[page];
            m->guard_is_fresh[page] = m->guarded[page];
            m->expected[page] = 'x';
        }
        break;
    case 2:
        ck_ok(rp_os_vm_protect(start, PAGE, RP_OS_NONE));
        ck_ok(rp_os_vm_protect(start, PAGE, RP_OS_READ_WRITE));
        break;
    case 3: {
        int zero = open("/dev/zero", O_RDONLY);
        if (rp_os_track_takes_signals(&m->t.tracker)) {
            rp_os_track_touch(&m->t.tracker, start, 1);
            m->expected[page] = 'x';
        }
        bool wrote = read(zero, start, 1) == 1;
        ck_assert_int_eq(wrote, !m->guarded[page]);
        m->expected[page] = wrote ? 'x' : m->expected[page];
        close(zero);
        break;
    }
    default:
        if (!m->guarded[page]) {
            start[test_random(&m->seed) % PAGE]++;
            m->expected[page] = 'x';
        }
    }
}

static void model_collect(model *m)
{
    check_written_by(&m->t, m->expected, 1 + test_random(&m->seed) % MODEL_PAGES);
    memset(m->expected, '.', MODEL_PAGES);
    memset(m->guard_is_fresh, 0, sizeof m->guard_is_fresh);
}

static void model_forget(model *m)
{
    ck_ok(rp_os_track_disarm(&m->t.tracker, m->t.start, MODEL_PAGES * PAGE));
    ck_ok(rp_os_track_arm(&m->t.tracker, m->t.start, MODEL_PAGES * PAGE));
    for (size_t page = 0; page < MODEL_PAGES; page++) {
        m->expected[page] = m->guard_is_fresh[page] && !test_rung() ? 'x' : '.';
    }
}

TEST(any_mixture_of_writes_drops_guards_and_protections_is_told_exactly)
{
    model m = {.t = tracked_pages(MODEL_PAGES, TRACKED_UNTOUCHED), .seed = test_seed()};
    memset(m.expected, '.', MODEL_PAGES);
    for (int step = 0; step < MODEL_STEPS; step++) {
        uint64_t dice = test_random(&m.seed) % 40;
        if (dice == 0) {
            model_collect(&m);
        } else if (dice == 1) {
            model_forget(&m);
        } else {
            model_change(&m, test_random(&m.seed) % MODEL_PAGES);
        }
    }
    model_collect(&m);
}
