/* What is packed, thinned and put into slots again is, byte for byte, what was committed. */
#include "base/bits.h"
#include "history/log.h"
#include "history/log_private.h"
#include "os/os.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

enum { PAGES = 96, STATES_MOST = 6000, RUNS = 64, WRITES_MOST = 24 };

typedef uint64_t page_words[RP_PAGE_BYTES / sizeof(uint64_t)];

typedef struct snapshot {
    uint64_t frame, hash;
    uint64_t pages[PAGES]; /* XXH3 of the content; 0: zero */
} snapshot;

/* The world beside the log: its live pages, and of each record the hashes of its pages. */
typedef struct model {
    rp_log *log;
    uint64_t seed;
    page_words live[PAGES];
    snapshot *states; /* by record index */
    uint64_t frame;
    int style;
    bool late; /* commits are taken for ones before which the owner packed */
} model;

static uint32_t page_number(size_t i)
{
    return i < PAGES - 16 ? (uint32_t)(i < 40 ? i : i * 97) : RP_PAGE_EXTRA + (uint32_t)i;
}

static uint64_t page_hash(const uint64_t *words)
{
    for (size_t i = 0; i < RP_PAGE_BYTES / 8; i++) {
        if (words[i]) {
            return XXH3_64bits(words, RP_PAGE_BYTES);
        }
    }
    return 0;
}

static uint64_t state_hash(const model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PAGES; i++) {
        sum += page_hash(m->live[i]) == 0
                   ? 0
                   : XXH3_64bits_withSeed(m->live[i], RP_PAGE_BYTES, page_number(i));
    }
    return sum;
}

static void model_open(model *m, const rp_log_desc *desc, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->seed = seed;
    m->states = calloc(STATES_MOST, sizeof *m->states);
    ck_assert_ptr_nonnull(m->states);
    ck_ok(rp_log_create_with(desc, &m->log));
}

static void model_close(model *m)
{
    rp_log_destroy(m->log);
    free(m->states);
}

static void write_page(model *m, size_t page)
{
    uint64_t *words = m->live[page], r = test_random(&m->seed);
    switch (r >> 32 & 15) {
    case 0:
        memset(words, 0, RP_PAGE_BYTES);
        break;
    case 1: /* one of few contents, so that equal pages meet */
        for (size_t i = 0; i < RP_PAGE_BYTES / 8; i++) {
            words[i] = r % 3 + 1;
        }
        break;
    case 2:
    case 3: /* noise */
        for (size_t i = 0; i < RP_PAGE_BYTES / 8; i++) {
            words[i] = test_random(&m->seed);
        }
        break;
    case 4:
    case 5: /* everything moves a little */
        for (size_t i = 0; i < RP_PAGE_BYTES / 8; i++) {
            words[i] += test_random(&m->seed) & UINT64_C(0x000003ff000003ff);
        }
        break;
    case 6: /* written with what it held */
        break;
    default: /* a few words, now and then there and back */
        words[r % 512] ^= r % 7 == 0 ? 1 : r;
    }
}

static void put_slots(const model *m, const size_t *which, rp_page_slot *entries, size_t count)
{
    uint32_t slots[WRITES_MOST + PAGES];
    size_t got = 0;
    while (got < count) {
        rp_slot_run runs[RUNS];
        size_t run_count;
        ck_ok(rp_log_slots_offer(m->log, (uint32_t)(count - got), runs, RUNS, &run_count));
        for (size_t r = 0; r < run_count; r++) {
            for (uint32_t i = 0; i < runs[r].count && got < count; i++) {
                slots[got++] = runs[r].first + i;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        const void *source = m->live[which[i]];
        entries[i].page = page_number(which[i]);
        entries[i].slot = page_hash(source) ? slots[i] : RP_SLOT_ZERO;
        if (entries[i].slot) {
            ck_ok(rp_os_memfile_write_pages(rp_log_fd(m->log),
                                            (size_t)entries[i].slot * RP_PAGE_BYTES, &source, 1));
        }
    }
}

static void commit(model *m, size_t count)
{
    size_t which[WRITES_MOST + PAGES];
    rp_page_slot entries[WRITES_MOST + PAGES];
    size_t at = test_random(&m->seed) % PAGES;
    for (size_t i = 0; i < count; i++) {
        /* hot pages first, as programs have them; 5 and 96 share no divisor */
        which[i] = m->style % 2 && i < count / 2 ? i : (at + i * 5) % PAGES;
        for (size_t k = 0; k < i; k++) {
            if (which[k] == which[i]) {
                which[i] = (which[i] + 1) % PAGES;
                k = (size_t)-1;
            }
        }
        write_page(m, which[i]);
    }
    put_slots(m, which, entries, count);
    uint64_t input = m->frame * 3;
    rp_record_desc desc = {.frame = ++m->frame, .input = &input, .input_bytes = sizeof input};
    m->log->tended = m->late;
    ck_ok(rp_log_commit(m->log, &desc, entries, count));
    uint64_t index = rp_log_last(m->log);
    ck_assert_uint_lt(index, STATES_MOST);
    m->states[index].frame = m->frame;
    m->states[index].hash = state_hash(m);
    for (size_t i = 0; i < PAGES; i++) {
        m->states[index].pages[i] = page_hash(m->live[i]);
    }
}

static size_t find_page(uint32_t number)
{
    size_t page = 0;
    while (page_number(page) != number) {
        page++;
        ck_assert_uint_lt(page, PAGES);
    }
    return page;
}

static const void *content_of(const model *m, uint32_t slot)
{
    static const page_words zeros;
    return slot == RP_SLOT_ZERO ? (const void *)zeros : rp_log_slot(m->log, slot);
}

static void expect_live(const model *m, uint64_t index)
{
    for (size_t i = 0; i < PAGES; i++) {
        ck_assert_msg(page_hash(m->live[i]) == m->states[index].pages[i],
                      "record %llu: page %zu differs", (unsigned long long)index, i);
        const void *held = content_of(m, rp_log_slot_of(m->log, page_number(i)));
        ck_assert_mem_eq(held, m->live[i], RP_PAGE_BYTES);
    }
}

/* As a world does: only what is named is copied. */
static rp_status seek(model *m, uint64_t index)
{
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_seek(m->log, index, &entries, &count);
    if (status != RP_OK) {
        return status;
    }
    uint8_t met[PAGES] = {0};
    for (size_t e = 0; e < count; e++) {
        size_t page = find_page(entries[e].page);
        ck_assert_int_eq(met[page]++, 0);
        memcpy(m->live[page], content_of(m, entries[e].slot), RP_PAGE_BYTES);
    }
    ck_assert_uint_eq(rp_log_position(m->log), index);
    m->frame = m->states[index].frame;
    expect_live(m, index);
    return RP_OK;
}

static bool is_kept(const model *m, uint64_t index)
{
    rp_record record;
    return rp_log_record(m->log, index, &record) && record.kept;
}

static uint64_t any_record(model *m)
{
    uint64_t first = rp_log_first(m->log);
    return first + test_random(&m->seed) % (rp_log_last(m->log) - first + 1);
}

static uint64_t kept_record(model *m)
{
    uint64_t index = any_record(m);
    while (!is_kept(m, index)) {
        index--;
    }
    return index;
}

static void expect_record(model *m, uint64_t index)
{
    rp_record record;
    uint32_t bytes;
    uint64_t found, hash;
    ck_assert(rp_log_record(m->log, index, &record));
    ck_assert_uint_eq(record.frame, m->states[index].frame);
    const uint64_t *input = rp_log_input(m->log, index, &bytes);
    ck_assert_uint_eq(bytes, sizeof *input);
    ck_assert_uint_eq(*input, (record.frame - 1) * 3);
    ck_assert(rp_log_find_frame(m->log, record.frame, &found) && found == index);
    ck_assert(rp_log_find_kept(m->log, record.frame, &found) && found <= index);
    ck_assert(is_kept(m, found) && (found == index) == record.kept);
    if (!record.kept) {
        const rp_page_slot *entries;
        size_t count;
        uint64_t position = rp_log_position(m->log);
        ck_assert_int_eq(rp_log_seek(m->log, index, &entries, &count), RP_E_RANGE);
        ck_assert_uint_eq(rp_log_position(m->log), position);
    }
    ck_ok(rp_log_hash(m->log, index, &hash));
    ck_assert_uint_eq(hash, m->states[index].hash);
}

static void expect_read(model *m, uint64_t index)
{
    static page_words contents[PAGES];
    uint32_t pages[PAGES];
    size_t count = test_random(&m->seed) % PAGES;
    for (size_t i = 0; i < count; i++) {
        pages[i] = page_number(PAGES - 1 - i);
    }
    ck_ok(rp_log_read(m->log, index, pages, count, contents));
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(page_hash(contents[i]), m->states[index].pages[PAGES - 1 - i]);
    }
}

static void expect_difference(model *m, uint64_t a, uint64_t b)
{
    uint32_t lowest = UINT32_MAX, page = UINT32_MAX;
    for (size_t i = 0; i < PAGES; i++) {
        bool differs = m->states[a].pages[i] != m->states[b].pages[i];
        lowest = differs && page_number(i) < lowest ? page_number(i) : lowest;
    }
    ck_assert(rp_log_first_difference(m->log, a, b, &page) == (lowest != UINT32_MAX));
    ck_assert_uint_eq(page, lowest);
}

static void expect_whole(const model *m)
{
    rp_log_stats stats;
    rp_log_stats_get(m->log, &stats);
    ck_assert_msg(rp_log_check(m->log), "%s", rp_error_last()->text);
    /* free room goes back between frames (test_log_room.c) */
    uint64_t kept_bytes = log_history_bytes(m->log);
    ck_assert_msg(kept_bytes <= stats.budget_bytes, "%llu of %llu", (unsigned long long)kept_bytes,
                  (unsigned long long)stats.budget_bytes);
}

static void look(model *m)
{
    switch (test_random(&m->seed) % 6) {
    case 0:
        expect_record(m, any_record(m));
        break;
    case 1:
        expect_read(m, kept_record(m));
        break;
    case 2:
        expect_difference(m, kept_record(m), kept_record(m));
        break;
    case 3:
        rp_log_tend(m->log);
        break;
    default:
        ck_ok(seek(m, kept_record(m)));
    }
}

/* Long stretches of frames, then some looking round, and now and then going on from the past. */
static void run_random(uint64_t seed, rp_log_desc desc, int rounds)
{
    static model m;
    model_open(&m, &desc, seed);
    m.style = (int)(seed % 4);
    commit(&m, PAGES / 2);
    for (int round = 0; round < rounds; round++) {
        size_t frames = test_random(&m.seed) % 60;
        m.late = test_random(&m.seed) % 3 == 0; /* so that packing is behind at times */
        for (size_t i = 0; i < frames; i++) {
            commit(&m, test_random(&m.seed) % (m.style < 2 ? WRITES_MOST : 6));
        }
        for (int i = 0; i < 6; i++) {
            look(&m);
        }
        expect_whole(&m);
        if (test_random(&m.seed) % 3) {
            ck_ok(seek(&m, rp_log_last(m.log)));
        }
    }
    for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
        expect_record(&m, index);
        if (is_kept(&m, index)) {
            ck_ok(seek(&m, index));
        }
    }
    expect_whole(&m);
    model_close(&m);
}

static void run_budget(size_t budget_bytes)
{
    uint64_t seed = test_seed();
    int rounds = getenv("RP_LONG") ? 150 : 25;
    for (unsigned way = 0; way < 4; way++) {
        rp_log_desc desc = {
            .budget_bytes = budget_bytes, .writable = way & 1, .pack_inline = (way & 2) != 0};
        run_random(seed + way, desc, rounds);
    }
}

TEST(every_seek_is_byte_for_byte_what_was_committed_with_room_for_all)
{
    run_budget(RP_MIB(48)); /* the first 6 MiB are raw */
}

TEST(the_same_with_room_for_some_hundred_frames)
{
    run_budget(RP_MIB(3));
}

TEST(the_same_with_room_for_little)
{
    run_budget(RP_KIB(700));
}

TEST(the_same_with_room_for_hardly_anything)
{
    run_budget(RP_KIB(120));
}

/* What the worker has in hand comes to its end. */
static void wait_for_job(const model *m)
{
    for (int i = 0; i < 50000 && m->log->job_posted && !log_job_is_done(m->log->job); i++) {
        usleep(200);
    }
}

static void settle_some(const model *m)
{
    wait_for_job(m);
    rp_log_tend(m->log);
}

/* Waits until nothing is left to do: what the worker makes of it does not depend on when. */
static void settle(const model *m)
{
    do {
        settle_some(m);
    } while (m->log->job_posted);
}

static uint64_t age_of(const model *m, uint64_t index)
{
    return rp_log_last(m->log) - index;
}

TEST(old_frames_are_thinned_in_proportion_to_their_age_and_keep_inputs_and_hashes)
{
    static model m;
    rp_log_stats stats;
    uint64_t gap = 0, last_kept = 0;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(1), .pack_inline = true}, test_seed());
    commit(&m, PAGES);
    for (int i = 0; i < 5000; i++) {
        size_t page = (size_t)i % 20;
        m.live[page][i % 512] += 1;
        m.live[20][i % 100] = test_random(&m.seed);
        size_t which[] = {page, 20};
        rp_page_slot entries[2];
        put_slots(&m, which, entries, 2);
        uint64_t input = m.frame * 3;
        rp_record_desc desc = {.frame = ++m.frame, .input = &input, .input_bytes = sizeof input};
        ck_ok(rp_log_commit(m.log, &desc, entries, 2));
        snapshot *now = &m.states[rp_log_last(m.log)];
        *now = (snapshot){.frame = m.frame, .hash = state_hash(&m)};
        for (size_t k = 0; k < PAGES; k++) {
            now->pages[k] = page_hash(m.live[k]);
        }
        if (i % 100 == 0) {
            expect_whole(&m);
        }
    }
    rp_log_stats_get(m.log, &stats);
    ck_assert_uint_gt(stats.thinned_count, 500);
    ck_assert_uint_gt(stats.record_count, 2000);
    ck_assert_uint_gt(stats.every_frame_from, stats.oldest_frame);
    ck_assert_uint_lt(stats.every_frame_from, stats.newest_frame - 64);
    for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
        expect_record(&m, index);
        if (is_kept(&m, index)) {
            gap = last_kept ? index - last_kept : 0;
            ck_assert_uint_le(gap, 64 + age_of(&m, index) / 4);
            last_kept = index;
            ck_ok(seek(&m, index));
        }
    }
    ck_assert_uint_eq(gap, 1);
    model_close(&m);
}

TEST(a_pinned_frame_is_not_thinned_out)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_KIB(700), .pack_inline = true}, 5);
    commit(&m, PAGES / 2);
    for (int i = 0; i < 40; i++) {
        commit(&m, 3);
    }
    uint64_t pinned = rp_log_last(m.log) - 7;
    rp_log_pin(m.log, pinned);
    for (int i = 0; i < 1500 && rp_log_first(m.log) <= pinned; i++) {
        commit(&m, 2);
        ck_assert(rp_log_first(m.log) > pinned || is_kept(&m, pinned));
    }
    expect_whole(&m);
    model_close(&m);
}

/* ---- packing that is behind ---- */

/* Raw frames of `pages` pages each until they take that much, as nothing is packed meanwhile. */
static void fall_behind(model *m, size_t pages, uint64_t raw_bytes)
{
    rp_log_stats stats = {0};
    for (m->late = true; stats.raw_bytes < raw_bytes; rp_log_stats_get(m->log, &stats)) {
        commit(m, pages);
    }
    m->late = false;
    ck_assert_uint_eq(m->log->job_posted, 0);
}

TEST(packing_that_is_behind_takes_larger_jobs)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(64)}, test_seed()); /* 8 of it raw */
    commit(&m, PAGES);
    fall_behind(&m, PAGES, RP_MIB(9));
    rp_log_tend(m.log);
    ck_assert(m.log->job_posted);
    ck_assert_uint_le(m.log->job->page_count, 1024);
    settle(&m);
    fall_behind(&m, PAGES, RP_MIB(15));
    rp_log_tend(m.log);
    ck_assert(m.log->job_posted);
    ck_assert_uint_gt(m.log->job->page_count, 1024);
    ck_assert_uint_eq(m.log->job->merge, 1);
    model_close(&m);
}

/* Else raw frames fill the budget, which is a short time of them. */
TEST(packing_that_is_far_behind_leaves_frames_out_and_the_others_are_as_they_were)
{
    static const struct {
        size_t raw_bytes;
        uint32_t stride;
    } steps[] = {{RP_KIB(5000), 2}, {RP_KIB(5500), 4}, {RP_KIB(6300), 8}, {RP_KIB(7200), 16}};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < RP_COUNT_OF(steps); i++) {
        static model m;
        rp_log_stats stats;
        model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(10)}, seed + i);
        m.style = (int)i;
        commit(&m, PAGES);
        fall_behind(&m, 40, steps[i].raw_bytes);
        uint64_t pinned = rp_log_first(m.log) + 5;
        rp_log_pin(m.log, i % 2 ? pinned : 0);
        rp_log_tend(m.log);
        ck_assert_uint_eq(m.log->job->merge, steps[i].stride);
        settle(&m);
        rp_log_stats_get(m.log, &stats);
        ck_assert_uint_gt(stats.thinned_count, 8);
        ck_assert_uint_le(stats.raw_bytes, RP_MIB(10) / 8 + 40 * (RP_PAGE_BYTES + 16));
        ck_assert_uint_eq(stats.evicted_count, 0);
        ck_assert(i % 2 == 0 || is_kept(&m, pinned));
        for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
            expect_record(&m, index);
            if (is_kept(&m, index)) {
                ck_ok(seek(&m, index));
            }
        }
        expect_whole(&m);
        model_close(&m);
    }
}

TEST(a_frame_that_was_pinned_while_a_job_left_it_out_stays)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(10)}, test_seed());
    commit(&m, PAGES);
    fall_behind(&m, 40, RP_MIB(6));
    rp_log_tend(m.log);
    ck_assert(m.log->job_posted && m.log->job->merge > 1);
    uint64_t pinned = m.log->base + 1;
    rp_log_pin(m.log, pinned);
    settle(&m);
    ck_assert_uint_gt(m.log->base, pinned);
    ck_assert(is_kept(&m, pinned));
    ck_ok(seek(&m, pinned));
    expect_whole(&m);
    model_close(&m);
}

/* Commits until the thread closes a group. */
static void begin_to_close(model *m)
{
    while (!m->log->job_posted || m->log->job->kind != LOG_JOB_CLOSE) {
        if (m->log->job_posted) {
            wait_for_job(m);
        }
        commit(m, 20);
    }
}

TEST(what_the_budget_drops_does_not_stop_the_closing_of_another_group)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(8)}, test_seed());
    commit(&m, PAGES);
    for (int i = 0; i < 600; i++) {
        commit(&m, 20);
        settle_some(&m);
    }
    begin_to_close(&m);
    ck_assert_uint_gt(m.log->groups.tail - m.log->groups.head, 3);
    uint64_t closing = m.log->job->group, stops = m.log->job_stop_count;
    log_fit_budget(m.log, RP_MIB(8) - log_history_bytes(m.log) + RP_KIB(64));
    ck_assert(m.log->job_posted);
    ck_assert_uint_eq(m.log->job_stop_count, stops);
    expect_whole(&m);
    settle(&m);
    ck_assert_uint_gt(m.log->groups.tail, closing + 1);
    for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
        expect_record(&m, index);
        if (is_kept(&m, index)) {
            ck_ok(seek(&m, index));
        }
    }
    model_close(&m);
}

/* A drop may stop a job, and each job needs some frames' time. */
TEST(over_the_budget_room_is_made_for_some_frames_at_once)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(2), .pack_inline = true}, test_seed());
    commit(&m, PAGES);
    int drops = 0;
    for (int i = 0; i < 20; i++) {
        m.late = false; /* until there are groups: then frames come without any packing */
        for (int n = 0; n < 100; n++) {
            commit(&m, 6);
        }
        m.late = true;
        uint64_t gone = m.log->evicted_count + m.log->thinned_count;
        while (m.log->evicted_count + m.log->thinned_count == gone) {
            commit(&m, 2);
        }
        if (log_has_groups(m.log)) {
            uint64_t budget_bytes = m.log->budget_bytes;
            ck_assert_uint_le(log_counted_bytes(m.log, 0), budget_bytes - budget_bytes / 16);
            drops++;
        }
    }
    ck_assert_int_gt(drops, 10);
    model_close(&m);
}

/* A raw frame that goes stops the job that packs it, so the next one gets time. */
TEST(a_job_that_was_stopped_for_the_budget_has_time_to_come_again)
{
    static model m;
    rp_log_stats stats;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(8)}, test_seed());
    commit(&m, PAGES);
    fall_behind(&m, PAGES, RP_MIB(6));
    rp_log_tend(m.log);
    ck_assert(m.log->job_posted);
    uint64_t stops = m.log->job_stop_count;
    for (m.late = true; m.log->job_stop_count == stops;) {
        commit(&m, PAGES);
    }
    ck_assert_uint_le(log_counted_bytes(m.log, 0), RP_MIB(8) - RP_MIB(8) / 4);
    m.late = false;
    settle(&m);
    expect_whole(&m);
    rp_log_stats_get(m.log, &stats);
    ck_assert_uint_gt(stats.packed_count, 0);
    model_close(&m);
}

/* ---- damage ---- */

static void make_packed(model *m, rp_log_desc desc, uint64_t seed)
{
    desc.budget_bytes = RP_MIB(2); /* 256 KiB of it raw */
    model_open(m, &desc, seed);
    m->style = 1;
    commit(m, PAGES / 2);
    for (int i = 0; i < 300; i++) {
        commit(m, 4);
    }
    settle(m);
}

/* Every kept frame either comes as it was, or is refused and the position stays. */
static void expect_right_or_refused(model *m, size_t *right, size_t *refused)
{
    *right = *refused = 0;
    for (uint64_t index = rp_log_last(m->log); index >= rp_log_first(m->log); index--) {
        uint64_t position = rp_log_position(m->log);
        if (!is_kept(m, index)) {
            continue;
        }
        rp_status status = seek(m, index);
        *right += status == RP_OK;
        *refused += status != RP_OK;
        if (status != RP_OK) {
            ck_assert_int_eq(status, RP_E_FORMAT);
            ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "not restored"));
            ck_assert_uint_eq(rp_log_position(m->log), position);
            expect_live(m, position);
        }
    }
}

static void maybe_flip(const model *m, uint64_t *seed, rp_blob blob, uint64_t one_in)
{
    uint32_t size_bytes;
    if (blob && test_random(seed) % one_in == 0) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)rp_store_look(&m->log->store, blob, &size_bytes);
        bytes[test_random(seed) % size_bytes] ^= (uint8_t)(1u << test_random(seed) % 8);
    }
}

TEST(a_frame_whose_packed_bytes_were_damaged_is_never_restored_and_others_are)
{
    static model m;
    uint64_t seed = test_seed();
    size_t refused_ever = 0;
    for (int round = 0; round < 12; round++) {
        make_packed(&m, (rp_log_desc){.pack_inline = true, .writable = round & 1},
                    seed + (uint64_t)round);
        size_t right, refused;
        for (uint64_t index = m.log->records.head; index <= m.log->base; index++) {
            maybe_flip(&m, &seed, log_record_at(m.log, index)->blob, 16);
        }
        for (uint64_t at = m.log->versions.head; at < m.log->versions.tail; at++) {
            maybe_flip(&m, &seed, log_version_at(m.log, at)->blob, 32);
        }
        expect_right_or_refused(&m, &right, &refused);
        ck_assert_uint_gt(right, 10);
        refused_ever += refused;
        model_close(&m);
    }
    ck_assert_uint_gt(refused_ever, 10);
}

TEST(a_slot_that_was_overwritten_is_noticed_where_its_hash_is_known)
{
    static model m;
    uint64_t seed = test_seed(), hash;
    make_packed(&m, (rp_log_desc){.pack_inline = true}, seed);
    uint64_t last = rp_log_last(m.log);
    for (uint64_t index = m.log->base; index <= last; index++) {
        ck_ok(rp_log_hash(m.log, index, &hash));
    }
    const log_record *record = log_record_at(m.log, last);
    const log_entry *entry = NULL;
    for (uint32_t i = 0; i < record->entry_count; i++) {
        const log_entry *at = log_entry_at(m.log, record, i);
        entry = log_slot_holds(at->was) && log_slot_holds(at->slot) ? at : entry;
    }
    if (entry) {
        page_words noise = {7};
        const void *source = noise;
        const rp_page_slot *entries;
        size_t count;
        ck_ok(rp_os_memfile_write_pages(rp_log_fd(m.log), (size_t)entry->was * RP_PAGE_BYTES,
                                        &source, 1));
        ck_assert_int_eq(rp_log_seek(m.log, last - 1, &entries, &count), RP_E_FORMAT);
        ck_assert_uint_eq(rp_log_position(m.log), last);
    }
    model_close(&m);
}

/* ---- failures of the system, and processes ---- */

typedef struct attempt_context {
    bool writable;
} attempt_context;

static rp_status commit_plainly(rp_log *log, uint64_t frame)
{
    page_words content = {frame, frame * frame};
    rp_slot_run run;
    size_t count;
    const void *source = content;
    rp_status status = rp_log_slots_offer(log, 1, &run, 1, &count);
    if (status == RP_OK) {
        status = rp_os_memfile_write_pages(rp_log_fd(log), (size_t)run.first * RP_PAGE_BYTES,
                                           &source, 1);
    }
    if (status == RP_OK) {
        rp_page_slot entry = {(uint32_t)(frame % 40 * 70000), run.first};
        status = rp_log_commit(log, &(rp_record_desc){.frame = frame}, &entry, 1);
    }
    return status;
}

static rp_status pack_and_seek(void *context)
{
    const attempt_context *c = context;
    const rp_log_desc desc = {
        .budget_bytes = RP_KIB(300), .pack_inline = true, .writable = c->writable};
    rp_log *log;
    const rp_page_slot *entries;
    size_t count;
    rp_status status = rp_log_create_with(&desc, &log);
    for (uint64_t frame = 1; frame < 90 && status == RP_OK; frame++) {
        status = commit_plainly(log, frame);
    }
    for (uint64_t step = 0; step < 5 && status == RP_OK; step++) {
        uint64_t first = rp_log_first(log), index = first + (rp_log_last(log) - first) * step / 7;
        rp_log_find_kept(log, index, &index);
        status = rp_log_seek(log, index, &entries, &count);
    }
    if (log) {
        rp_os_fault_pause();
        ck_assert_msg(rp_log_check(log), "%s", rp_error_last()->text);
    }
    rp_log_destroy(log);
    return status;
}

TEST(memory_that_runs_out_while_packing_or_seeking_leaves_the_log_whole)
{
    fault_each_call_or_recover(pack_and_seek, &(attempt_context){false}, ENOMEM);
    fault_each_call_or_recover(pack_and_seek, &(attempt_context){true}, ENOMEM);
}

TEST(a_forked_child_may_destroy_its_copy_while_the_worker_packs)
{
    static model m;
    model_open(&m, &(rp_log_desc){.budget_bytes = RP_MIB(2)}, test_seed());
    m.style = 1;
    commit(&m, PAGES / 2);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 20; i++) {
            commit(&m, 6);
        }
        pid_t child = fork();
        if (child == 0) {
            rp_log_destroy(m.log);
            _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        expect_whole(&m);
    }
    ck_ok(seek(&m, kept_record(&m)));
    model_close(&m);
}
