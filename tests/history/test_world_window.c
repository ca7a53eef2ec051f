/* The log as the world's process sees it: written by stores while a collect runs, read-only else.
 */
#include "history/play.h"

#include "os/os.h"
#include "support/child.h"
#include "support/fault.h"

#include <errno.h>
#include <stdio.h>

enum { BLOCK_PAGES = 600 };
#define LONG_NS UINT64_C(2000000000)

static uint8_t *block(void)
{
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, BLOCK_PAGES * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(start);
    memset(start, 1, BLOCK_PAGES * RP_PAGE_BYTES);
    return start;
}

static rp_world_stats stats_of(const play *p)
{
    rp_world_stats stats;
    rp_world_stats_get(p->world, &stats);
    return stats;
}

static bool has_huge(play *p)
{
    rp_world_tend(p->world, LONG_NS);
    if (stats_of(p).log_huge_count == 0) {
        printf("skipped: this system makes no huge pages of memory files\n");
        return false;
    }
    return true;
}

static void write_pages(uint8_t *start, size_t count, uint8_t value)
{
    for (size_t i = 0; i < count; i++) {
        start[i * RP_PAGE_BYTES + i] = value;
    }
}

/* How many mappings of the log's file this process could write to. */
static int writable_views(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, "memfd:reprise-log") && strstr(line, " rw");
    }
    fclose(maps);
    return count;
}

static int store_into(void *slot)
{
    *(volatile uint8_t *)slot = 99;
    return 0;
}

TEST(pages_are_written_by_stores_where_the_log_is_huge_and_come_back)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start = block();
    play_commit_snapped(p);
    if (has_huge(p)) {
        for (int frame = 0; frame < 20; frame++) {
            write_pages(start, 30 * (size_t)(frame + 1), (uint8_t)(frame + 2));
            play_commit_snapped(p);
            ck_assert_uint_gt(stats_of(p).stored_count, 0);
            ck_assert_uint_le(stats_of(p).stored_count, stats_of(p).page_count);
            ck_assert_int_eq(writable_views(), 0);
            rp_world_tend(p->world, LONG_NS);
        }
        for (uint64_t index = rp_log_first(p->log); index <= rp_log_last(p->log); index++) {
            play_seek(p, index);
            play_expect_at(p, index);
        }
    }
    ck_assert_msg(rp_log_check(p->log), "%s", rp_error_last()->text);
    play_close(p);
}

TEST(a_stray_store_into_the_log_faults_after_a_collect_that_wrote_it_by_stores)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start = block();
    play_commit(p);
    if (has_huge(p)) {
        write_pages(start, 100, 7);
        play_commit(p);
        ck_assert_uint_gt(stats_of(p).stored_count, 0);
        uint32_t page = (uint32_t)(((uintptr_t)start - RP_REGION_BASE) >> RP_PAGE_SHIFT);
        const void *slot = rp_world_page_image(p->world, page + 5);
        ck_assert_ptr_nonnull(slot);
        child_end end = child_run(store_into, (void *)(uintptr_t)slot);
        ck_assert_int_eq(end.signal, SIGSEGV);
    }
    play_close(p);
}

TEST(a_few_pages_are_written_by_a_call)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    uint8_t *start = block();
    play_commit_snapped(p);
    if (has_huge(p)) {
        write_pages(start, 3, 9);
        play_commit_snapped(p);
        ck_assert_uint_eq(stats_of(p).stored_count, 0);
        play_seek(p, 1);
        play_expect_at(p, 1);
        play_seek(p, 2);
        play_expect_at(p, 2);
    }
    play_close(p);
}

/* A small budget takes the slots round the file again and again. */
TEST(slots_that_are_used_again_hold_what_was_stored_last)
{
    play *p = play_open(RP_MIB(4), RP_TRACKING_WP_ASYNC);
    uint64_t seed = test_seed();
    uint8_t *start = block();
    play_commit_snapped(p);
    for (int frame = 0; frame < 60; frame++) {
        for (int i = 0; i < 8; i++) {
            size_t first = test_random(&seed) % (BLOCK_PAGES - 40);
            memset(start + first * RP_PAGE_BYTES, (int)test_random(&seed),
                   (1 + test_random(&seed) % 40) * RP_PAGE_BYTES);
        }
        play_commit_snapped(p);
        rp_world_tend(p->world, LONG_NS);
        ck_assert_int_eq(writable_views(), 0);
    }
    rp_record record;
    for (uint64_t index = rp_log_first(p->log); rp_log_record(p->log, index, &record); index++) {
        if (record.kept) {
            play_seek(p, index);
            play_expect_at(p, index);
        }
    }
    play_close(p);
}

typedef struct tended {
    play *p;
    uint8_t *start;
    uint8_t value;
} tended;

static rp_status tend_and_commit(void *context)
{
    tended *t = context;
    t->value++;
    write_pages(t->start, 80, t->value);
    rp_world_tend(t->p->world, LONG_NS);
    rp_status status = play_collect(t->p);
    if (status == RP_OK) {
        status = rp_log_commit(t->p->log, &(rp_record_desc){.frame = ++t->p->frame}, t->p->entries,
                               t->p->entry_count);
    }
    if (status != RP_OK) {
        rp_log_slots_reset(t->p->log);
    }
    return status;
}

TEST(no_failing_call_leaves_the_log_writable_or_loses_a_page)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    tended t = {p, block(), 1};
    play_commit(p);
    fault_each_call_or_recover(tend_and_commit, &t, ENOMEM);
    ck_assert_int_eq(writable_views(), 0);
    ck_ok(tend_and_commit(&t));
    uint64_t last = rp_log_last(p->log);
    p->snapshots[last] = play_snap(p);
    play_seek(p, rp_log_first(p->log));
    play_seek(p, last);
    play_expect_at(p, last);
    play_close(p);
}

#ifdef RP_FAULTS
/* Every call from the k-th of a commit on fails, and those of what is tried then. Returns whether
 * the log was left open; *any: whether there was a k-th call. */
static bool all_fail_from(size_t k, bool *any)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    tended t = {p, block(), 1};
    size_t page_count;
    uint32_t first_page;
    play_commit(p);
    rp_world_tend(p->world, LONG_NS);
    play_commit_snapped(p);
    write_pages(t.start, 80, 9);
    rp_os_fault_set_run(k, SIZE_MAX / 2, ENOMEM);
    rp_status status = play_collect(p);
    *any = rp_os_fault_count() >= k;
    ck_assert_int_eq(status != RP_OK, *any);
    rp_os_fault_pause();
    bool open = writable_views() != 0;
    rp_log_slots_reset(p->log);
    if (open) {
        rp_os_fault_set_run(1, SIZE_MAX / 2, ENOMEM);
        ck_assert_int_eq(play_collect(p), RP_E_SYSTEM);
        ck_assert_int_eq(rp_world_revert(p->world, &page_count, &first_page), RP_E_SYSTEM);
        ck_assert_int_eq(rp_world_apply_begin(p->world), RP_E_SYSTEM);
        ck_assert_msg(strstr(rp_error_last()->text, "stray"), "%s", rp_error_last()->text);
    }
    rp_os_fault_set(0, 0);
    if (status != RP_OK) {
        ck_ok(rp_world_revert(p->world, &page_count, &first_page));
        play_expect_at(p, rp_log_last(p->log));
    }
    ck_assert_int_eq(writable_views(), 0);
    rp_log_slots_reset(p->log);
    write_pages(t.start, 90, 10);
    play_commit_snapped(p);
    play_seek(p, rp_log_first(p->log));
    play_seek(p, rp_log_last(p->log));
    play_expect_at(p, rp_log_last(p->log));
    play_close(p);
    rp_region_destroy();
    return open;
}

TEST(a_log_that_cannot_be_closed_takes_and_gives_no_frame)
{
    play *p = play_open(RP_MIB(64), RP_TRACKING_WP_ASYNC);
    play_commit(p);
    bool huge = has_huge(p), any = true;
    play_close(p);
    rp_region_destroy();
    size_t open_count = 0;
    for (size_t k = 1; any; k++) {
        open_count += all_fail_from(k, &any);
    }
    ck_assert(!huge || open_count);
}
#endif
