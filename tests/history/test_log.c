/* The log against a full model: every kept state is held beside it, byte for byte. */
#include "base/bits.h"
#include "history/log.h"
#include "os/os.h"
#include "support/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

enum { PAGES = 48, RECORDS_MOST = 4096, EXTRA_PAGES = 8, RUNS = 64 };

/* A page's content in the model is a word: 0 is a page of zeros, else every word of it is that. */
typedef struct model_state {
    uint64_t frame, words[PAGES];
    uint32_t input_bytes;
} model_state;

typedef struct model {
    rp_log *log;
    uint64_t seed;
    model_state *states; /* by record index */
    uint64_t live[PAGES];
} model;

static uint32_t page_number(size_t i)
{
    return i < PAGES - EXTRA_PAGES ? (uint32_t)(i * 3) : RP_PAGE_EXTRA + (uint32_t)i;
}

static void fill(uint64_t *page, uint64_t word)
{
    for (size_t i = 0; i < RP_PAGE_BYTES / sizeof word; i++) {
        page[i] = word;
    }
}

static rp_status write_slot(rp_log *log, uint32_t slot, uint64_t word)
{
    uint64_t page[RP_PAGE_BYTES / sizeof(uint64_t)];
    fill(page, word);
    const void *source = page;
    return rp_os_memfile_write_pages(rp_log_fd(log), (size_t)slot * RP_PAGE_BYTES, &source, 1);
}

static void put_slot(rp_log *log, uint32_t slot, uint64_t word)
{
    ck_ok(write_slot(log, slot, word));
}

static uint64_t slot_word(const rp_log *log, uint32_t slot)
{
    if (slot == RP_SLOT_ZERO) {
        return 0;
    }
    const uint64_t *page = rp_log_slot(log, slot);
    ck_assert_int_eq(memcmp(page, page + 1, RP_PAGE_BYTES - sizeof *page), 0);
    return *page;
}

static void model_open_with(model *m, const rp_log_desc *desc, uint64_t seed)
{
    *m = (model){.seed = seed};
    m->states = calloc(RECORDS_MOST, sizeof *m->states);
    ck_ok(rp_log_create_with(desc, &m->log));
}

static void model_open(model *m, size_t budget_bytes, uint64_t seed)
{
    model_open_with(m, &(rp_log_desc){.budget_bytes = budget_bytes}, seed);
}

static void model_close(model *m)
{
    rp_log_destroy(m->log);
    free(m->states);
}

/* Slots for `count` pages, asked for in two halves as a batching world does. */
static void take_slots(rp_log *log, uint32_t *slots, uint32_t count)
{
    uint32_t got = 0;
    while (got < count) {
        rp_slot_run runs[RUNS];
        size_t run_count;
        uint32_t want = count - got > 1 ? (count - got) / 2 : 1;
        ck_ok(rp_log_slots_offer(log, want, runs, RUNS, &run_count));
        for (size_t r = 0; r < run_count; r++) {
            for (uint32_t i = 0; i < runs[r].count && got < count; i++) {
                slots[got++] = runs[r].first + i;
            }
        }
    }
}

static uint8_t input_byte(uint64_t frame, uint32_t i)
{
    return (uint8_t)(frame * 31 + i);
}

static void commit(model *m, uint32_t count)
{
    rp_page_slot entries[PAGES];
    uint32_t slots[PAGES], used = 0;
    size_t at = test_random(&m->seed) % PAGES;
    take_slots(m->log, slots, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t page = (at + i * 7) % PAGES; /* 7 and 48 share no divisor: each page once */
        bool zero = test_random(&m->seed) % 5 == 0;
        m->live[page] = zero ? 0 : test_random(&m->seed);
        entries[i].page = page_number(page);
        entries[i].slot = zero ? RP_SLOT_ZERO : slots[used++];
        if (!zero) {
            put_slot(m->log, entries[i].slot, m->live[page]);
        }
    }
    rp_record before = {0};
    rp_log_record(m->log, rp_log_position(m->log), &before);
    uint64_t frame = before.frame + test_random(&m->seed) % 2;
    uint8_t input[300];
    uint32_t input_bytes = (uint32_t)(test_random(&m->seed) % sizeof input);
    for (uint32_t i = 0; i < input_bytes; i++) {
        input[i] = input_byte(frame, i);
    }
    rp_record_desc desc = {
        .frame = frame, .build = 7, .step_ns = 5, .input = input, .input_bytes = input_bytes};
    ck_ok(rp_log_commit(m->log, &desc, entries, count));
    uint64_t index = rp_log_last(m->log);
    ck_assert_uint_eq(rp_log_position(m->log), index);
    ck_assert_uint_lt(index, RECORDS_MOST);
    m->states[index] = (model_state){.frame = frame, .input_bytes = input_bytes};
    memcpy(m->states[index].words, m->live, sizeof m->live);
}

static void expect_record(const model *m, uint64_t index)
{
    rp_record record;
    ck_assert(rp_log_record(m->log, index, &record));
    ck_assert_uint_eq(record.frame, m->states[index].frame);
    ck_assert_uint_eq(record.build, 7);
    ck_assert_uint_eq(record.step_ns, 5);
    uint32_t bytes;
    const uint8_t *input = rp_log_input(m->log, index, &bytes);
    ck_assert_uint_eq(bytes, m->states[index].input_bytes);
    ck_assert((input != NULL) == (bytes != 0));
    for (uint32_t i = 0; i < bytes; i++) {
        ck_assert_uint_eq(input[i], input_byte(record.frame, i));
    }
    uint64_t found;
    ck_assert(rp_log_find_frame(m->log, record.frame, &found));
    ck_assert_uint_ge(found, index);
    ck_assert_uint_eq(m->states[found].frame, record.frame);
    ck_assert(found == rp_log_last(m->log) || m->states[found + 1].frame > record.frame);
}

/* Goes to a record as a world would: only what the seek names is copied. */
static void seek(model *m, uint64_t index)
{
    const rp_page_slot *entries;
    size_t count;
    ck_ok(rp_log_seek(m->log, index, &entries, &count));
    ck_assert_uint_eq(rp_log_position(m->log), index);
    uint8_t met[PAGES] = {0};
    for (size_t e = 0; e < count; e++) {
        size_t page = 0;
        while (page_number(page) != entries[e].page) {
            page++;
            ck_assert_uint_lt(page, PAGES);
        }
        ck_assert_int_eq(met[page]++, 0);
        m->live[page] = slot_word(m->log, entries[e].slot);
    }
    ck_assert_mem_eq(m->live, m->states[index].words, sizeof m->live);
    expect_record(m, index);
}

static bool is_kept(const model *m, uint64_t index)
{
    rp_record record;
    return rp_log_record(m->log, index, &record) && record.kept;
}

static void expect_content_at(const model *m, uint64_t index)
{
    uint32_t pages[PAGES];
    static uint64_t contents[PAGES][RP_PAGE_BYTES / sizeof(uint64_t)];
    for (size_t page = 0; page < PAGES; page++) {
        pages[page] = page_number(page);
    }
    ck_ok(rp_log_read(m->log, index, pages, PAGES, contents));
    for (size_t page = 0; page < PAGES; page++) {
        ck_assert_uint_eq(contents[page][0], m->states[index].words[page]);
        ck_assert_int_eq(memcmp(contents[page], &contents[page][1], RP_PAGE_BYTES - 8), 0);
    }
}

static uint64_t hash_from_scratch(const uint64_t *words)
{
    uint64_t sum = 0, content[RP_PAGE_BYTES / sizeof(uint64_t)];
    for (size_t page = 0; page < PAGES; page++) {
        fill(content, words[page]);
        sum += words[page] ? XXH3_64bits_withSeed(content, sizeof content, page_number(page)) : 0;
    }
    return sum;
}

static void expect_hash(model *m, uint64_t index)
{
    uint64_t hash;
    ck_ok(rp_log_hash(m->log, index, &hash));
    ck_assert_uint_eq(hash, hash_from_scratch(m->states[index].words));
}

static void expect_difference(model *m, uint64_t a, uint64_t b)
{
    uint32_t expected = UINT32_MAX, page = UINT32_MAX;
    for (size_t i = 0; i < PAGES; i++) {
        bool differs = m->states[a].words[i] != m->states[b].words[i];
        expected = differs && page_number(i) < expected ? page_number(i) : expected;
    }
    uint64_t position = rp_log_position(m->log);
    ck_assert(rp_log_first_difference(m->log, a, b, &page) == (expected != UINT32_MAX));
    ck_assert_uint_eq(page, expected);
    ck_assert_uint_eq(rp_log_position(m->log), position);
}

static void expect_whole(model *m)
{
    rp_log_stats stats;
    rp_log_stats_get(m->log, &stats);
    ck_assert_msg(rp_log_check(m->log), "%s", rp_error_last()->text);
    /* free room goes back between frames (test_log_room.c) */
    ck_assert_uint_le(stats.history_bytes - stats.room_bytes, stats.budget_bytes);
    ck_assert_uint_eq(stats.record_count, rp_log_last(m->log) - rp_log_first(m->log) + 1);
    uint32_t held = 0;
    for (size_t page = 0; page < PAGES; page++) {
        held += m->states[rp_log_last(m->log)].words[page] != 0;
    }
    ck_assert_uint_eq(stats.world_bytes, held * RP_PAGE_BYTES);
}

static uint64_t random_record(model *m)
{
    uint64_t first = rp_log_first(m->log), index;
    do {
        index = first + test_random(&m->seed) % (rp_log_last(m->log) - first + 1);
    } while (!is_kept(m, index));
    return index;
}

static void random_act(model *m)
{
    switch (test_random(&m->seed) % 8) {
    case 0:
    case 1:
        seek(m, random_record(m));
        break;
    case 2:
        expect_hash(m, random_record(m));
        break;
    case 3:
        expect_content_at(m, random_record(m));
        break;
    case 4:
        expect_difference(m, random_record(m), random_record(m));
        break;
    default:
        commit(m, (uint32_t)(test_random(&m->seed) % 12));
    }
    expect_whole(m);
}

static void run_random(uint64_t seed, rp_log_desc desc, int acts)
{
    model m;
    model_open_with(&m, &desc, seed);
    commit(&m, PAGES);
    for (int i = 0; i < acts; i++) {
        random_act(&m);
    }
    model_close(&m);
}

TEST(random_commits_seeks_hashes_and_truncations_agree_with_a_full_model)
{
    uint64_t seed = test_seed();
    run_random(seed, (rp_log_desc){.budget_bytes = RP_MIB(64)}, 1500);
}

TEST(the_same_holds_when_the_budget_evicts_records_all_the_time)
{
    uint64_t seed = test_seed();
    static const size_t budgets[] = {0, 1, 4096, 40000, 200000, 600000, 2000000};
    for (size_t i = 0; i < RP_COUNT_OF(budgets); i++) {
        for (int way = 0; way < 4; way++) {
            rp_log_desc desc = {
                .budget_bytes = budgets[i], .pack_inline = way & 1, .writable = way & 2};
            run_random(seed + i + (uint64_t)way * 16, desc, 300);
        }
    }
}

TEST(every_record_is_reached_going_back_and_going_on)
{
    model m;
    model_open(&m, RP_MIB(64), 12345);
    for (int i = 0; i < 200; i++) {
        commit(&m, 1 + i % 12);
    }
    for (uint64_t index = rp_log_last(m.log); index >= rp_log_first(m.log); index--) {
        seek(&m, index);
    }
    for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
        seek(&m, index);
    }
    const rp_page_slot *entries;
    size_t count;
    ck_assert_int_eq(rp_log_seek(m.log, rp_log_last(m.log) + 1, &entries, &count), RP_E_RANGE);
    ck_assert_int_eq(rp_log_seek(m.log, 0, &entries, &count), RP_E_RANGE);
    ck_assert_uint_eq(rp_log_position(m.log), rp_log_last(m.log));
    model_close(&m);
}

TEST(a_hash_does_not_depend_on_the_way_by_which_the_state_came)
{
    model a, b;
    model_open(&a, RP_MIB(64), 99);
    model_open(&b, RP_MIB(64), 99);
    for (int i = 0; i < 60; i++) {
        commit(&a, 5);
        commit(&b, 5);
        expect_hash(&a, rp_log_last(a.log)); /* b is hashed once, from its end */
    }
    for (uint64_t index = rp_log_last(b.log); index >= rp_log_first(b.log); index--) {
        uint64_t from_start, from_end;
        ck_ok(rp_log_hash(a.log, index, &from_start));
        ck_ok(rp_log_hash(b.log, index, &from_end));
        ck_assert_uint_eq(from_start, from_end);
        expect_hash(&b, index);
    }
    model_close(&a);
    model_close(&b);
}

TEST(a_zero_page_in_a_slot_hashes_as_a_page_without_a_slot)
{
    rp_log *log;
    rp_slot_run run;
    size_t count;
    uint64_t with_slot, without;
    ck_ok(rp_log_create(RP_MIB(1), &log));
    ck_ok(rp_log_slots_offer(log, 1, &run, 1, &count));
    put_slot(log, run.first, 0);
    ck_ok(rp_log_commit(log, &(rp_record_desc){.frame = 1}, &(rp_page_slot){5, run.first}, 1));
    ck_ok(rp_log_commit(log, &(rp_record_desc){.frame = 2}, &(rp_page_slot){5, RP_SLOT_ZERO}, 1));
    ck_ok(rp_log_hash(log, 1, &with_slot));
    ck_ok(rp_log_hash(log, 2, &without));
    ck_assert_uint_eq(with_slot, 0);
    ck_assert_uint_eq(without, 0);
    rp_log_destroy(log);
}

TEST(full_names_all_that_is_not_zero_and_all_pages_outside_the_world_zone)
{
    model m;
    model_open(&m, RP_MIB(64), 4);
    for (int i = 0; i < 50; i++) {
        commit(&m, 8);
    }
    seek(&m, 20);
    const rp_page_slot *entries;
    size_t count, expected = EXTRA_PAGES;
    for (size_t i = 0; i < PAGES - EXTRA_PAGES; i++) {
        expected += m.live[i] != 0;
    }
    ck_ok(rp_log_full(m.log, &entries, &count));
    ck_assert_uint_eq(count, expected);
    for (size_t e = 0; e < count; e++) {
        ck_assert_uint_eq(entries[e].slot, rp_log_slot_of(m.log, entries[e].page));
    }
    model_close(&m);
}

TEST(a_commit_that_is_not_well_formed_changes_nothing)
{
    model m;
    model_open(&m, RP_MIB(64), 8);
    commit(&m, 20);
    rp_slot_run run;
    size_t count;
    ck_ok(rp_log_slots_offer(m.log, 2, &run, 1, &count));
    uint32_t slot = run.first, held = RP_SLOT_ZERO;
    for (size_t page = 0; held == RP_SLOT_ZERO; page++) {
        held = rp_log_slot_of(m.log, page_number(page));
    }
    const struct {
        rp_page_slot entries[2];
        rp_status status;
    } cases[] = {
        {{{1, slot}, {1, RP_SLOT_ZERO}}, RP_E_FORMAT},
        {{{1, slot}, {2, slot}}, RP_E_FORMAT},
        {{{1, slot}, {2, held}}, RP_E_FORMAT},
        {{{1, slot}, {2, slot + 1000}}, RP_E_FORMAT},
        {{{1, slot}, {2, UINT32_MAX}}, RP_E_FORMAT},
        {{{1, slot}, {RP_PAGE_LIMIT, RP_SLOT_ZERO}}, RP_E_FORMAT},
        {{{1, slot}, {UINT32_MAX, RP_SLOT_ZERO}}, RP_E_FORMAT},
    };
    rp_record_desc desc = {.frame = 1000};
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        ck_assert_int_eq(rp_log_commit(m.log, &desc, cases[i].entries, 2), cases[i].status);
        ck_assert_uint_eq(rp_log_last(m.log), 1);
        expect_whole(&m);
    }
    desc.input_bytes = 65537;
    desc.input = &m;
    ck_assert_int_eq(rp_log_commit(m.log, &desc, NULL, 0), RP_E_ARGUMENT);
    /* the offer still stands */
    put_slot(m.log, slot, 3);
    ck_ok(rp_log_commit(m.log, &(rp_record_desc){.frame = 1000}, &(rp_page_slot){0, slot}, 1));
    ck_assert_int_eq(rp_log_commit(m.log, &(rp_record_desc){.frame = 999}, NULL, 0), RP_E_ARGUMENT);
    model_close(&m);
}

TEST(slots_that_are_freed_are_used_again_so_the_file_stays_small)
{
    model m;
    model_open(&m, 100000, 77);
    uint32_t highest = 0;
    for (int i = 0; i < 3000; i++) {
        commit(&m, 8);
        for (size_t page = 0; page < PAGES; page++) {
            uint32_t slot = rp_log_slot_of(m.log, page_number(page));
            highest = slot > highest ? slot : highest;
        }
    }
    /* the world, the budget and one frame under way */
    ck_assert_uint_le(highest, PAGES + 100000 / RP_PAGE_BYTES + 12);
    model_close(&m);
}

TEST(a_reset_gives_back_what_was_offered)
{
    rp_log *log;
    rp_slot_run first, again;
    size_t count;
    ck_ok(rp_log_create(RP_MIB(1), &log));
    ck_ok(rp_log_slots_offer(log, 10, &first, 1, &count));
    ck_ok(rp_log_slots_offer(log, 10, &again, 1, &count));
    ck_assert(again.first >= first.first + first.count);
    rp_log_slots_reset(log);
    ck_ok(rp_log_slots_offer(log, 20, &again, 1, &count));
    ck_assert_uint_eq(again.first, first.first);
    ck_assert_uint_eq(again.count, 20);
    ck_assert(rp_log_check(log));
    rp_log_destroy(log);
}

TEST(slots_prepared_ahead_do_not_change_what_is_kept)
{
    model m;
    model_open(&m, RP_MIB(64), 21);
    commit(&m, PAGES);
    rp_log_prepare(m.log, 700);
    for (int i = 0; i < 100; i++) {
        commit(&m, 12);
        rp_log_prepare(m.log, 300);
    }
    seek(&m, 1);
    seek(&m, rp_log_last(m.log));
    expect_whole(&m);
    model_close(&m);
}

TEST(a_child_killed_while_it_fills_slots_leaves_every_kept_state_intact)
{
    model m;
    model_open(&m, RP_MIB(4), test_seed());
    for (int round = 0; round < 20; round++) {
        commit(&m, 12);
        rp_slot_run runs[RUNS];
        size_t count;
        ck_ok(rp_log_slots_offer(m.log, 64, runs, RUNS, &count));
        int pipe_ends[2];
        ck_assert_int_eq(pipe(pipe_ends), 0);
        pid_t child = fork();
        if (child == 0) {
            /* Nothing is asserted here: the test library tells its runner of each assertion, and
             * a child that is killed meanwhile would leave half a message. */
            for (uint64_t word = 1;; word++) {
                (void)write_slot(m.log, runs[0].first + (uint32_t)(word % runs[0].count), word);
                if (word == 1 && write(pipe_ends[1], "x", 1) != 1) {
                    _exit(1);
                }
            }
        }
        char byte;
        ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 1);
        usleep((useconds_t)(test_random(&m.seed) % 500));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        rp_log_slots_reset(m.log);
        expect_whole(&m);
        for (uint64_t index = rp_log_first(m.log); index <= rp_log_last(m.log); index++) {
            expect_hash(&m, index);
            seek(&m, index);
        }
    }
    model_close(&m);
}
