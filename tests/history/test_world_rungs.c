/* Which rung of the ladder a world takes, and what is the same on each: marking by hand, the check
 * of threads. */
#include "history/play.h"
#include "os/linux/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static const rp_tracking all_ways[] = {RP_TRACKING_WP_ASYNC, RP_TRACKING_WP_SIGBUS,
                                       RP_TRACKING_MPROTECT, RP_TRACKING_COMPARE};

static uint8_t *block(size_t pages)
{
    uint8_t *start =
        rp_region_block_alloc(RP_ZONE_WORLD, pages * RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, 0);
    ck_assert_ptr_nonnull(start);
    return start;
}

/* ---- the ladder ------------------------------------------------------------------------------ */

#ifdef RP_FAULTS
static rp_tracking taken_without(unsigned hidden, rp_tracking wanted, char *why, size_t capacity)
{
    rp_os_fault_hide_rungs(hidden);
    play *p = play_open(RP_MIB(16), wanted);
    rp_tracking taken = rp_world_tracking(p->world);
    snprintf(why, capacity, "%s", rp_world_tracking_why(p->world));
    play_close(p);
    rp_os_fault_hide_rungs(0);
    return taken;
}
#endif

TEST(what_is_missing_steps_down_rung_by_rung_and_each_is_named)
{
#ifdef RP_FAULTS
    char why[600];
    ck_assert_int_eq(taken_without(1, RP_TRACKING_AUTO, why, sizeof why), RP_TRACKING_WP_SIGBUS);
    ck_assert_ptr_nonnull(strstr(why, "wp-async: "));
    ck_assert_ptr_null(strstr(why, "wp-sigbus: "));
    ck_assert_int_eq(taken_without(3, RP_TRACKING_AUTO, why, sizeof why), RP_TRACKING_MPROTECT);
    ck_assert_ptr_nonnull(strstr(why, "\nwp-sigbus: "));
    ck_assert_int_eq(taken_without(7, RP_TRACKING_AUTO, why, sizeof why), RP_TRACKING_COMPARE);
    ck_assert_ptr_nonnull(strstr(why, "\nmprotect: "));
    ck_assert_int_eq(taken_without(3, RP_TRACKING_MPROTECT, why, sizeof why), RP_TRACKING_MPROTECT);
    ck_assert_str_eq(why, "");
#else
    printf("skipped: built without RP_FAULTS\n");
#endif
}

TEST(a_rung_that_is_asked_for_and_missing_is_refused)
{
#ifdef RP_FAULTS
    rp_log *log;
    rp_world *world;
    ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(2)}));
    ck_ok(rp_log_create(RP_MIB(16), &log));
    rp_os_fault_hide_rungs(7);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(rp_world_open(rp_log_fd(log), all_ways[i], &world), RP_E_UNSUPPORTED);
        ck_assert_ptr_null(world);
    }
    rp_os_fault_hide_rungs(0);
    rp_log_destroy(log);
#endif
}

/* ---- marking by hand ------------------------------------------------------------------------- */

static bool has(rp_tracking tracking)
{
    rp_os_tracker tracker;
    rp_os_rung rung = tracking == RP_TRACKING_WP_ASYNC    ? RP_OS_RUNG_ASYNC
                      : tracking == RP_TRACKING_WP_SIGBUS ? RP_OS_RUNG_SIGBUS
                                                          : RP_OS_RUNG_MPROTECT;
    bool opens = rp_os_track_open(&tracker, rung) == RP_OK;
    if (opens) {
        rp_os_track_close(&tracker);
    }
    return tracking == RP_TRACKING_COMPARE || opens;
}

TEST(a_system_call_into_marked_memory_is_kept_on_each_rung)
{
    int zero = open("/dev/zero", O_RDONLY);
    for (size_t i = 0; i < RP_COUNT_OF(all_ways); i++) {
        if (!has(all_ways[i])) {
            continue;
        }
        play *p = play_open(RP_MIB(16), all_ways[i]);
        uint8_t *start = block(100);
        memset(start, 1, 100 * RP_PAGE_BYTES);
        play_commit(p);
        if (rp_world_refuses_system_calls(p->world)) {
            ck_assert_int_eq(read(zero, start + 50 * RP_PAGE_BYTES, 10), -1);
            ck_assert_int_eq(errno, EFAULT);
        }
        rp_world_will_write(p->world, start + 50 * RP_PAGE_BYTES, 10);
        ck_assert_int_eq(read(zero, start + 50 * RP_PAGE_BYTES, 10), 10);
        play_commit_snapped(p);
        ck_assert_uint_eq(p->entry_count, 1);
        play_seek(p, 1);
        ck_assert_int_eq(start[50 * RP_PAGE_BYTES], 1);
        play_seek(p, 2);
        play_expect_at(p, 2);
        play_close(p);
        rp_region_destroy();
    }
    close(zero);
}

/* ---- the check of threads -------------------------------------------------------------------- */

enum { PAIRS = 400 };

typedef struct restless {
    volatile uint64_t *words; /* PAIRS pages */
    bool stop;
    int reports;
    const void *where;
    char name[16];
} restless;

/* Counts up, page by page: of two pages the first is never behind the second. */
static void *count_up(void *context)
{
    restless *r = context;
    pthread_setname_np(pthread_self(), "restless");
    for (uint64_t n = 1; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); n++) {
        for (size_t page = 0; page < PAIRS; page++) {
            r->words[page * RP_PAGE_BYTES / 8] = n;
        }
    }
    return NULL;
}

static void tell(void *context, const rp_os_intruder *who)
{
    restless *r = context;
    memcpy(r->name, who->name, sizeof r->name);
    r->where = who->address;
    __atomic_fetch_add(&r->reports, 1, __ATOMIC_SEQ_CST);
}

/* Each committed frame must be one moment: the numbers go down once at most, and by one. */
static void check_is_one_moment(play *p, const uint8_t *start)
{
    uint64_t before = 0, first = 0;
    int steps = 0;
    for (size_t page = 0; page < PAIRS; page++) {
        const uint64_t *image = rp_world_page_image(
            p->world, (uint32_t)(((uintptr_t)start + page * RP_PAGE_BYTES - RP_REGION_BASE) >>
                                 RP_PAGE_SHIFT));
        uint64_t now = image ? image[0] : 0;
        first = page ? first : now;
        steps += page && now != before;
        ck_assert_msg(now == first || now + 1 == first, "page %zu: %llu after %llu", page,
                      (unsigned long long)now, (unsigned long long)first);
        before = now;
    }
    ck_assert_int_le(steps, 1);
}

static void frames_are_whole(rp_tracking tracking)
{
    play *p = play_open(RP_MIB(64), tracking);
    uint8_t *start = block(PAIRS);
    restless r = {.words = (volatile uint64_t *)(void *)start};
    pthread_t thread;
    memset(start, 0, PAIRS * RP_PAGE_BYTES);
    rp_world_check_threads(p->world, tell, &r);
    play_commit(p);
    ck_assert_int_eq(pthread_create(&thread, NULL, count_up, &r), 0);
    for (int frame = 0; frame < 2000 && (frame < 20 || !r.reports); frame++) {
        play_commit(p);
        check_is_one_moment(p, start);
        usleep(200);
    }
    __atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    ck_assert_int_gt(r.reports, 0);
    ck_assert_str_eq(r.name, "restless");
    ck_assert((const uint8_t *)r.where >= start &&
              (const uint8_t *)r.where < start + PAIRS * RP_PAGE_BYTES);
    play_commit_snapped(p);
    play_expect_at(p, rp_log_last(p->log));
    play_close(p);
    rp_region_destroy();
}

TEST(a_thread_that_writes_during_a_commit_is_named_and_the_frame_is_one_moment)
{
    for (size_t i = 0; i < RP_COUNT_OF(all_ways); i++) {
        if (has(all_ways[i])) {
            frames_are_whole(all_ways[i]);
        }
    }
}

TEST(nobody_is_named_where_threads_rest)
{
    play *p = play_open(RP_MIB(16), RP_TRACKING_AUTO);
    restless r = {0};
    rp_world_check_threads(p->world, tell, &r);
    uint8_t *start = block(40);
    rp_region_block_alloc(RP_ZONE_WORLD, RP_PAGE_BYTES, RP_BLOCK_PAGES, 1, RP_BLOCK_GUARD_BEFORE);
    for (int frame = 0; frame < 10; frame++) {
        memset(start, frame + 1, 40 * RP_PAGE_BYTES);
        play_commit_snapped(p);
    }
    play_seek(p, 4);
    play_expect_at(p, 4);
    ck_assert_int_eq(r.reports, 0);
    play_close(p);
}
