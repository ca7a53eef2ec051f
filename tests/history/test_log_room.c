/* What the log says that it takes is what it takes: the memory of its file, asked from the system,
 * against its statistics; and all of it together stays within the budget, whatever a program does.
 */
#include "base/bits.h"
#include "history/log.h"
#include "history/log_private.h"
#include "os/os.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 24000, RUNS = 512, TENDS = 4000 };

/* The world beside the log: a word of each page, 0 for one of zeros. */
typedef struct program {
    rp_log *log;
    uint64_t seed, frame;
    uint64_t words[PAGES];
    rp_page_slot entries[PAGES];
    rp_slot_run runs[RUNS];
} program;

static program *program_open(const rp_log_desc *desc, uint64_t seed)
{
    program *p = calloc(1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    p->seed = seed;
    ck_ok(rp_log_create_with(desc, &p->log));
    return p;
}

static void program_close(program *p)
{
    rp_log_destroy(p->log);
    free(p);
}

static void write_slot(const program *p, uint32_t slot, uint64_t word)
{
    uint64_t content[RP_PAGE_BYTES / sizeof word];
    const void *source = content;
    for (size_t i = 0; i < RP_PAGE_BYTES / sizeof word; i++) {
        content[i] = word * (i + 1); /* packs well, and not to nothing */
    }
    ck_ok(rp_os_memfile_write_pages(rp_log_fd(p->log), (size_t)slot * RP_PAGE_BYTES, &source, 1));
}

/* Gives slots to the first `count` entries, of which all are zero or none. */
static void put_slots(program *p, size_t count)
{
    size_t at = 0, got;
    for (uint32_t left = (uint32_t)count; left;) {
        ck_ok(rp_log_slots_offer(p->log, left, p->runs, RUNS, &got));
        for (size_t r = 0; r < got; r++) {
            for (uint32_t i = 0; i < p->runs[r].count; i++, left--, at++) {
                p->entries[at].slot = p->runs[r].first + i;
                write_slot(p, p->entries[at].slot, p->words[p->entries[at].page]);
            }
        }
    }
}

/* Writes `count` pages, every `step`th from `from` on; with zeros or anything. */
static void commit(program *p, uint32_t from, uint32_t step, size_t count, bool zeros)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t page = (uint32_t)((from + i * step) % PAGES);
        p->words[page] = zeros ? 0 : test_random(&p->seed) | 1;
        p->entries[i] = (rp_page_slot){page, RP_SLOT_ZERO};
    }
    if (!zeros) {
        put_slots(p, count);
    }
    ck_ok(rp_log_commit(p->log, &(rp_record_desc){.frame = ++p->frame}, p->entries, count));
}

/* As between frames, until nothing is left to do. */
static void tend(const program *p)
{
    uint32_t bare;
    size_t calm = 0;
    for (int i = 0; i < TENDS && calm < 3; i++) {
        bare = p->log->bare_count;
        rp_log_tend(p->log);
        while (p->log->job_posted && !log_job_is_done(p->log->job)) {
            rp_os_sleep_until_ns(rp_os_monotonic_ns() + 100000);
        }
        calm = bare == p->log->bare_count && !p->log->job_posted ? calm + 1 : 0;
    }
    ck_assert_uint_eq(calm, 3);
}

/* Slots that were taken for pages which came out as zero hold no memory yet, though the log counts
 * on them: that is all by which its own account may differ. */
static void expect_told(const program *p, uint64_t unwritten_bytes)
{
    rp_log_stats stats;
    rp_log_stats_get(p->log, &stats);
    ck_assert_msg(rp_log_check(p->log), "%s", rp_error_last()->text);
    const rp_log *log = p->log;
    uint64_t slots = (uint64_t)log->used_count * RP_PAGE_BYTES;
    uint64_t held = rp_os_memfile_held_bytes(rp_log_fd(log));
    uint64_t own = slots + ((uint64_t)log->free_count + log->offered_count + log->held_count +
                            log->warm_end - log->slot_end) *
                               RP_PAGE_BYTES;
    ck_assert_uint_eq(slots + stats.room_bytes + stats.held_bytes, held);
    ck_assert_msg(held <= own && own <= held + unwritten_bytes, "%llu counted, %llu held",
                  (unsigned long long)own, (unsigned long long)held);
    ck_assert_uint_eq(stats.history_bytes, stats.raw_bytes + stats.packed_bytes +
                                               stats.table_bytes + stats.record_bytes +
                                               stats.room_bytes + stats.working_bytes);
    ck_assert_uint_ge(stats.raw_bytes + stats.world_bytes + stats.sought_bytes, slots);
}

/* At the end of history, where something can be dropped: it fits, all of it. One frame alone, and
 * room for one like it, may be larger than the budget. */
static void expect_fits(const program *p)
{
    rp_log_stats stats;
    rp_log_stats_get(p->log, &stats);
    uint64_t most = stats.budget_bytes;
    if (stats.record_count == 1 && p->log->coming_bytes + p->log->coming_bytes / 4 > most) {
        most = p->log->coming_bytes + p->log->coming_bytes / 4;
    }
    ck_assert_msg(stats.history_bytes <= most,
                  "%llu of %llu: raw %llu, packed %llu, tables %llu, records %llu (%llu of them), "
                  "room %llu, working %llu",
                  (unsigned long long)stats.history_bytes, (unsigned long long)stats.budget_bytes,
                  (unsigned long long)stats.raw_bytes, (unsigned long long)stats.packed_bytes,
                  (unsigned long long)stats.table_bytes, (unsigned long long)stats.record_bytes,
                  (unsigned long long)stats.record_count, (unsigned long long)stats.room_bytes,
                  (unsigned long long)stats.working_bytes);
}

static void seek(program *p, uint64_t index)
{
    const rp_page_slot *entries;
    size_t count;
    uint64_t kept = index;
    rp_record record;
    while (rp_log_record(p->log, kept, &record) && !record.kept) {
        kept--;
    }
    ck_ok(rp_log_seek(p->log, kept, &entries, &count));
    p->frame = record.frame;
}

static void go_on_from_the_past(program *p)
{
    uint64_t first = rp_log_first(p->log), last = rp_log_last(p->log);
    seek(p, first + test_random(&p->seed) % (last - first + 1));
}

static void act(program *p)
{
    uint64_t dice = test_random(&p->seed);
    uint32_t from = (uint32_t)(dice % PAGES), step = dice >> 20 & 1 ? 1 : 7;
    switch (dice >> 32 & 15) {
    case 0: /* much of the world at once */
        commit(p, from, step, PAGES / (2 + (dice >> 40) % 8), false);
        break;
    case 1: /* freed, here and there */
        commit(p, from, 1 + (uint32_t)(dice % 13), PAGES / 13, true);
        break;
    case 2:
        go_on_from_the_past(p);
        break;
    case 3:
        seek(p, rp_log_first(p->log));
        seek(p, rp_log_last(p->log));
        break;
    default:
        for (int i = 0; i < 6; i++) {
            commit(p, (uint32_t)(dice % 100), step, 20 + (dice >> 40) % 200, false);
        }
    }
}

static void run(rp_log_desc desc, uint64_t seed, int rounds)
{
    program *p = program_open(&desc, seed);
    commit(p, 0, 1, PAGES / 4, false);
    for (int round = 0; round < rounds; round++) {
        act(p);
        rp_log_tend(p->log);
        if (test_random(&p->seed) % 4 == 0) {
            rp_log_prepare(p->log, (uint32_t)(test_random(&p->seed) % 3000));
        }
        expect_told(p, RP_MIB(24));
        if (test_random(&p->seed) % 8 == 0) {
            seek(p, rp_log_last(p->log));
            commit(p, 0, 1, 3, false);
            tend(p);
            expect_told(p, RP_MIB(24));
            expect_fits(p);
        }
    }
    program_close(p);
}

TEST(the_memory_of_the_file_is_what_the_statistics_say_whatever_a_program_does)
{
    uint64_t seed = test_seed();
    int rounds = getenv("RP_LONG") ? 1000 : 60;
    static const size_t budgets[] = {RP_MIB(1), RP_MIB(12), RP_MIB(48), RP_MIB(200)};
    for (size_t i = 0; i < RP_COUNT_OF(budgets); i++) {
        run((rp_log_desc){.budget_bytes = budgets[i], .pack_inline = i % 2}, seed + i, rounds);
    }
}

TEST(the_room_of_a_large_first_frame_is_given_back)
{
    program *p = program_open(&(rp_log_desc){.budget_bytes = RP_MIB(32)}, 3);
    commit(p, 0, 1, PAGES, false);
    commit(p, 0, 1, PAGES, false); /* history cannot hold the first */
    uint64_t before = rp_os_memfile_held_bytes(rp_log_fd(p->log));
    ck_assert_uint_ge(before, (uint64_t)2 * PAGES * RP_PAGE_BYTES);
    commit(p, 0, 1, 10, false);
    tend(p);
    uint64_t after = rp_os_memfile_held_bytes(rp_log_fd(p->log));
    ck_assert_uint_le(after, (uint64_t)PAGES * RP_PAGE_BYTES + RP_MIB(2));
    expect_told(p, RP_KIB(64));
    expect_fits(p);
    program_close(p);
}

/* Nine of ten pages go, the tenth of each chunk stays: nothing is left but crumbs, and they go. */
TEST(memory_between_the_pages_that_are_left_is_given_back)
{
    program *p = program_open(&(rp_log_desc){.budget_bytes = RP_MIB(16)}, 4);
    commit(p, 0, 1, PAGES, false);
    for (uint32_t k = 1; k < 10; k++) {
        commit(p, k, 10, PAGES / 10, true);
    }
    for (int i = 0; i < 40; i++) {
        commit(p, 0, 10, 4, false);
        tend(p);
    }
    uint64_t held = rp_os_memfile_held_bytes(rp_log_fd(p->log));
    ck_assert_uint_le(held, (uint64_t)PAGES / 10 * RP_PAGE_BYTES + RP_MIB(16));
    expect_told(p, RP_KIB(64));
    expect_fits(p);
    program_close(p);
}

TEST(what_was_given_back_is_used_again_before_the_file_grows)
{
    program *p = program_open(&(rp_log_desc){.budget_bytes = RP_MIB(32)}, 5);
    commit(p, 0, 1, PAGES / 2, false);
    commit(p, 0, 1, PAGES / 2, false);
    commit(p, 0, 1, 10, false);
    tend(p);
    ck_assert_uint_gt(p->log->bare_count, PAGES / 4);
    uint32_t end = p->log->slot_end, bare = p->log->bare_count;
    rp_log_prepare(p->log, 200);
    commit(p, 0, 1, PAGES / 4, false);
    ck_assert_uint_eq(p->log->slot_end, end);
    ck_assert_uint_lt(p->log->bare_count, bare);
    expect_told(p, RP_KIB(64));
    program_close(p);
}

TEST(room_touched_ahead_is_no_more_than_is_kept)
{
    program *p = program_open(&(rp_log_desc){.budget_bytes = RP_MIB(32)}, 6);
    commit(p, 0, 1, 1000, false);
    commit(p, 0, 1, 10, false);
    rp_log_prepare(p->log, 100000);
    tend(p);
    rp_log_stats stats;
    rp_log_stats_get(p->log, &stats);
    ck_assert_uint_le(stats.room_bytes, RP_MIB(32) / 4);
    ck_assert_uint_ge(stats.room_bytes, RP_MIB(32) / 64);
    uint64_t held = rp_os_memfile_held_bytes(rp_log_fd(p->log));
    commit(p, 0, 1, 200, false); /* finds it */
    ck_assert_uint_le(rp_os_memfile_held_bytes(rp_log_fd(p->log)), held + RP_KIB(64));
    program_close(p);
}

static rp_status fill_and_give_back(void *context)
{
    rp_log *log;
    const rp_log_desc desc = {.budget_bytes = RP_MIB(1), .pack_inline = true};
    (void)context;
    rp_status status = rp_log_create_with(&desc, &log);
    for (uint64_t frame = 1; frame < 5 && status == RP_OK; frame++) {
        rp_slot_run run;
        size_t count;
        uint32_t want = frame < 3 ? 700 : 3;
        rp_page_slot entries[700];
        status = rp_log_slots_offer(log, want, &run, 1, &count);
        if (status != RP_OK) {
            break;
        }
        for (uint32_t i = 0; i < run.count; i++) {
            entries[i] = (rp_page_slot){i, run.first + i};
        }
        status = rp_log_commit(log, &(rp_record_desc){.frame = frame}, entries, run.count);
        rp_log_tend(log);
    }
    if (log) {
        rp_os_fault_pause();
        ck_assert_msg(rp_log_check(log), "%s", rp_error_last()->text);
    }
    rp_log_destroy(log);
    return status;
}

TEST(a_system_that_takes_no_memory_back_leaves_the_log_whole)
{
    fault_each_call_or_recover(fill_and_give_back, NULL, EPERM);
}
