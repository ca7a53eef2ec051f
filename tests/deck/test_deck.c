/* The deck under a small simulation: objects on its heap, a list through them, and globals of this
 * program. Every claim is checked by the state's bytes or by the hash over them.
 */
#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"

#include <reprise/deck.h>
#include <string.h>

/* ---- the simulation ---- */

typedef struct body {
    struct body *next;
    double x, speed;
    uint32_t id, hits;
} body;

typedef struct simulation {
    body *bodies;
    uint64_t random;
    uint32_t made, body_count;
    uint8_t *large; /* grows and shrinks, so that blocks of the region come and go */
    size_t large_bytes;
} simulation;

typedef struct input {
    uint32_t keys;
    int32_t push;
} input;

/* Globals that are state: one inside a page, one over several. */
static uint64_t score = 7;
static uint32_t table[5000];

static simulation *make_simulation(rp_deck *deck, uint64_t seed)
{
    simulation *sim = rp_alloc_zeroed(rp_deck_heap(deck), 1, sizeof *sim);
    sim->random = seed;
    return sim;
}

static void spawn(rp_deck *deck, simulation *sim)
{
    body *b = rp_alloc_zeroed(rp_deck_heap(deck), 1, sizeof *b + test_random(&sim->random) % 600);
    b->id = ++sim->made;
    b->speed = (double)(test_random(&sim->random) % 100) / 10;
    b->next = sim->bodies;
    sim->bodies = b;
    sim->body_count++;
}

static void kill_first(simulation *sim)
{
    body *b = sim->bodies;
    if (b) {
        sim->bodies = b->next;
        sim->body_count--;
        rp_free(b);
    }
}

static void step(rp_deck *deck, simulation *sim, const input *in)
{
    uint64_t dice = test_random(&sim->random) % 16;
    for (body *b = sim->bodies; b; b = b->next) {
        b->x += b->speed + in->push;
        b->hits += in->keys & 1;
    }
    if (sim->body_count < 4 || dice < 8) {
        spawn(deck, sim);
    } else if (dice < 14) {
        kill_first(sim);
    } else {
        sim->large_bytes = 1000 + test_random(&sim->random) % 400000;
        sim->large = rp_resize(rp_deck_heap(deck), sim->large, sim->large_bytes);
        memset(sim->large, (int)dice + in->push, sim->large_bytes);
    }
    score += in->keys;
    table[(score * 31 + sim->made) % 5000]++;
}

/* ---- driving a deck ---- */

typedef struct player {
    rp_deck *deck;
    simulation *sim;
    uint64_t random;  /* of the inputs */
    uint64_t *hashes; /* by frame */
} player;

static uint64_t hashes[3000];

static rp_deck_desc desc_of(rp_tracking tracking)
{
    return (rp_deck_desc){
        .reserve_bytes = RP_GIB(4), .budget_bytes = RP_MIB(256), .tracking = tracking};
}

static player open_player(rp_deck_desc desc)
{
    player p = {.random = 99, .hashes = hashes};
    ck_ok(rp_deck_open(&desc, &p.deck));
    ck_ok(rp_range(p.deck, &score, sizeof score, RP_ZONE_WORLD, "score"));
    ck_ok(rp_range(p.deck, table, sizeof table, RP_ZONE_WORLD, "table"));
    p.sim = make_simulation(p.deck, 12345);
    return p;
}

static uint64_t hash_at(player *p, uint64_t frame)
{
    uint64_t hash;
    ck_ok(rp_state_hash(p->deck, frame, &hash));
    return hash;
}

/* One frame with this input; the moment it was. */
static rp_moment frame_with(player *p, input in, rp_frame_info *info)
{
    rp_moment moment = rp_frame_begin(p->deck, &in, sizeof in);
    step(p->deck, p->sim, &in);
    ck_ok(rp_frame_end(p->deck, info));
    return moment;
}

static input next_input(player *p)
{
    return (input){(uint32_t)test_random(&p->random) % 8,
                   (int32_t)(test_random(&p->random) % 5) - 2};
}

static void record(player *p, uint64_t last)
{
    rp_frame_info info = {0};
    while (info.frame < last) {
        frame_with(p, next_input(p), &info);
        p->hashes[info.frame] = hash_at(p, info.frame);
    }
}

static uint64_t frame_of(const player *p)
{
    rp_deck_status status;
    rp_deck_status_get(p->deck, &status);
    return status.frame;
}

/* What the world holds, told apart from what the log says: a walk over the objects. */
static uint64_t walk(const simulation *sim)
{
    uint64_t sum = sim->random ^ score ^ sim->large_bytes;
    for (const body *b = sim->bodies; b; b = b->next) {
        sum = sum * 31 + b->id + (uint64_t)(int64_t)(b->x * 10) + b->hits;
    }
    for (size_t i = 0; i < RP_COUNT_OF(table); i++) {
        sum = sum * 31 + table[i];
    }
    for (size_t i = 0; i < sim->large_bytes; i += 97) {
        sum = sum * 31 + sim->large[i];
    }
    return sum;
}

/* ---- seeking ---- */

static void seek_anywhere(rp_tracking tracking)
{
    enum { FRAMES = 300 };
    static uint64_t walks[FRAMES + 1];
    uint64_t random = test_seed();
    player p = open_player(desc_of(tracking));
    for (uint64_t frame = 1; frame <= FRAMES; frame++) {
        frame_with(&p, next_input(&p), NULL);
        walks[frame] = walk(p.sim);
        hashes[frame] = hash_at(&p, frame);
    }
    for (int i = 0; i < 300; i++) {
        uint64_t frame = 1 + test_random(&random) % FRAMES;
        ck_ok(rp_seek(p.deck, frame));
        ck_assert_uint_eq(walk(p.sim), walks[frame]);
        ck_assert_uint_eq(hash_at(&p, frame), hashes[frame]);
        ck_assert_uint_eq(frame_of(&p), frame);
        ck_assert(rp_region_check(RP_ZONE_WORLD));
    }
    rp_deck_close(p.deck);
}

TEST(any_kept_frame_comes_back_with_tracked_pages)
{
    seek_anywhere(RP_TRACKING_AUTO);
}

TEST(any_kept_frame_comes_back_with_compared_pages)
{
    seek_anywhere(RP_TRACKING_COMPARE);
}

static void again_from_a_frame(rp_tracking tracking)
{
    enum { FRAMES = 120, FROM = 40 };
    static input inputs[FRAMES + 1];
    player p = open_player(desc_of(tracking));
    for (uint64_t frame = 1; frame <= FRAMES; frame++) {
        inputs[frame] = next_input(&p);
        frame_with(&p, inputs[frame], NULL);
        hashes[frame] = hash_at(&p, frame);
    }
    for (int pass = 0; pass < 3; pass++) {
        ck_ok(rp_seek(p.deck, FROM));
        for (uint64_t frame = FROM + 1; frame <= FRAMES; frame++) {
            rp_moment moment = frame_with(&p, inputs[frame], NULL);
            ck_assert_int_eq(moment, frame == FROM + 1 ? RP_MOMENT_SOUGHT : RP_MOMENT_LIVE);
            ck_assert_uint_eq(hash_at(&p, frame), hashes[frame]);
        }
    }
    rp_deck_close(p.deck);
}

TEST(the_same_inputs_give_the_same_bytes_again)
{
    again_from_a_frame(RP_TRACKING_AUTO);
    score = 7;
    memset(table, 0, sizeof table);
    again_from_a_frame(RP_TRACKING_COMPARE);
}

TEST(another_input_gives_another_state_and_drops_the_frames_that_followed)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    record(&p, 50);
    ck_ok(rp_seek(p.deck, 20));
    ck_ok(rp_seek(p.deck, 50)); /* reachable until the next frame ends */
    ck_ok(rp_seek(p.deck, 20));
    frame_with(&p, (input){.push = 1000}, NULL);
    ck_assert_uint_ne(hash_at(&p, 21), hashes[21]);
    ck_assert_int_eq(rp_seek(p.deck, 22), RP_E_RANGE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "choose one of 0 to 21"));
    rp_deck_close(p.deck);
}

TEST(frame_0_is_what_was_there_before_the_first_frame)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    table[4999] = 42;
    uint64_t before = walk(p.sim);
    record(&p, 10);
    ck_ok(rp_seek(p.deck, 0));
    ck_assert_uint_eq(walk(p.sim), before);
    ck_assert_uint_eq(table[4999], 42);
    ck_assert_uint_eq(score, 7);
    rp_deck_close(p.deck);
}

TEST(what_is_written_between_frames_belongs_to_the_next_one)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    record(&p, 3);
    uint64_t kept = score;
    score = 1000000;
    ck_ok(rp_seek(p.deck, 3));
    ck_assert_uint_eq(score, kept);
    score = 1000000;
    frame_with(&p, (input){.keys = 1}, NULL);
    ck_ok(rp_seek(p.deck, 3));
    ck_ok(rp_seek(p.deck, 4));
    ck_assert_uint_eq(score, 1000001);
    rp_deck_close(p.deck);
}

/* Bytes beside a range lie in the same pages and are none of the deck's. */
TEST(bytes_beside_a_range_are_left_alone)
{
    static struct {
        uint64_t before[3], state, after[600];
    } around;
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    ck_ok(rp_range(p.deck, &around.state, sizeof around.state, RP_ZONE_WORLD, "state"));
    around.state = 1;
    record(&p, 1);
    around.state = around.before[2] = around.after[0] = 2;
    frame_with(&p, (input){0}, NULL);
    ck_ok(rp_seek(p.deck, 1));
    ck_assert_uint_eq(around.state, 1);
    ck_assert_uint_eq(around.before[2], 2);
    ck_assert_uint_eq(around.after[0], 2);
    rp_deck_close(p.deck);
}

/* ---- looping ---- */

static void loop_passes(rp_tracking tracking, int passes)
{
    enum { FROM = 20, TO = 32, LAST = 60 };
    player p = open_player(desc_of(tracking));
    record(&p, LAST);
    ck_ok(rp_loop(p.deck, FROM, TO));
    ck_assert_uint_eq(frame_of(&p), FROM);
    for (int pass = 1; pass <= passes; pass++) {
        for (uint64_t frame = FROM + 1; frame <= TO; frame++) {
            rp_frame_info info;
            ck_assert_int_eq(frame_with(&p, (input){77, 77}, &info), RP_MOMENT_REPLAY);
            ck_assert_uint_eq(info.frame, frame);
            ck_assert_uint_eq(info.diverged, 0);
            ck_assert_uint_eq(hash_at(&p, frame), hashes[frame]);
        }
        rp_deck_status status;
        rp_deck_status_get(p.deck, &status);
        ck_assert_uint_eq(status.loop_pass, (uint64_t)pass);
        ck_assert_uint_eq(status.newest_frame, TO);
    }
    rp_deck_close(p.deck);
}

TEST(a_loop_of_a_thousand_passes_never_differs)
{
    loop_passes(RP_TRACKING_AUTO, 1000);
}

TEST(a_loop_with_compared_pages_never_differs)
{
    loop_passes(RP_TRACKING_COMPARE, 20);
}

TEST(a_step_that_depends_on_more_than_the_state_diverges)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    uint32_t outside = 0; /* of no range: not brought back */
    record(&p, 10);
    ck_ok(rp_loop(p.deck, 4, 8));
    for (int i = 0; i < 40; i++) {
        int frame = 5 + i % 4;
        rp_frame_info info;
        input in = {0};
        ck_assert_int_eq(rp_frame_begin(p.deck, &in, sizeof in), RP_MOMENT_REPLAY);
        step(p.deck, p.sim, &in);
        outside += i == 17;
        score += frame == 6 ? outside : 0;
        ck_ok(rp_frame_end(p.deck, &info));
        ck_assert_uint_eq(info.frame, frame);
        ck_assert_uint_eq(info.diverged, i >= 17 && frame >= 6);
    }
    rp_deck_close(p.deck);
}

TEST(the_first_pass_is_compared_with_the_recording)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    record(&p, 10);
    ck_ok(rp_loop(p.deck, 4, 8));
    for (int pass = 0; pass < 3; pass++) {
        for (int frame = 5; frame <= 8; frame++) {
            rp_frame_info info;
            input in = {0};
            rp_frame_begin(p.deck, &in, sizeof in);
            step(p.deck, p.sim, &in);
            score += frame == 6; /* which the recorded step did not do */
            ck_ok(rp_frame_end(p.deck, &info));
            ck_assert_uint_eq(info.diverged, frame >= 6);
        }
    }
    rp_deck_close(p.deck);
}

TEST(a_loop_that_the_caller_ends_goes_on_live_from_there)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_deck_status status;
    record(&p, 30);
    ck_ok(rp_loop(p.deck, 10, 20));
    frame_with(&p, (input){0}, NULL);
    ck_ok(rp_loop(p.deck, 0, 0));
    ck_assert_int_eq(frame_with(&p, (input){0}, NULL), RP_MOMENT_LIVE);
    ck_assert_uint_eq(frame_of(&p), 12);
    rp_deck_status_get(p.deck, &status);
    ck_assert_uint_eq(status.loop_to, 0);
    ck_assert_uint_eq(status.loop_pass, 0);
    rp_deck_close(p.deck);
}

TEST(a_seek_inside_keeps_a_loop_and_one_outside_ends_it)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    record(&p, 30);
    ck_ok(rp_loop(p.deck, 10, 20));
    for (int i = 0; i < 5; i++) {
        frame_with(&p, (input){0}, NULL);
    }
    ck_ok(rp_seek(p.deck, 12));
    ck_assert_int_eq(frame_with(&p, (input){0}, NULL), RP_MOMENT_REPLAY);
    ck_assert_uint_eq(hash_at(&p, 13), hashes[13]);
    ck_assert_int_eq(rp_seek(p.deck, 25), RP_E_RANGE); /* dropped by the loop's first frame */
    ck_assert_int_eq(frame_with(&p, (input){0}, NULL), RP_MOMENT_REPLAY);
    ck_ok(rp_seek(p.deck, 9));
    ck_assert_int_eq(frame_with(&p, (input){0}, NULL), RP_MOMENT_SOUGHT);
    rp_deck_close(p.deck);
}

TEST(a_loop_that_cannot_be_leaves_everything_as_it_was)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_deck_status status;
    ck_assert_int_eq(rp_loop(p.deck, 0, 1), RP_E_RANGE);
    record(&p, 30);
    ck_ok(rp_loop(p.deck, 10, 20));
    frame_with(&p, (input){0}, NULL);
    ck_assert_int_eq(rp_loop(p.deck, 5, 5), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_loop(p.deck, 5, 12), RP_E_RANGE);
    rp_deck_status_get(p.deck, &status);
    ck_assert_uint_eq(status.frame, 11);
    ck_assert_uint_eq(status.loop_to, 20);
    rp_deck_close(p.deck);
}

TEST(logged_input_replaces_the_callers_whatever_its_size)
{
    rp_deck_desc desc = desc_of(RP_TRACKING_AUTO);
    desc.input_bytes = 65536;
    player p = open_player(desc);
    static uint8_t large[65536];
    memset(large, 3, sizeof large);
    rp_frame_begin(p.deck, "ab", 2);
    ck_ok(rp_frame_end(p.deck, NULL));
    rp_frame_begin(p.deck, NULL, 0);
    ck_ok(rp_frame_end(p.deck, NULL));
    rp_frame_begin(p.deck, large, sizeof large);
    memset(large, 9, sizeof large); /* what the frame was given counts */
    ck_ok(rp_frame_end(p.deck, NULL));
    ck_ok(rp_loop(p.deck, 0, 3));
    for (int pass = 0; pass < 2; pass++) {
        char small[4] = "xxx";
        rp_frame_begin(p.deck, small, sizeof small);
        ck_assert_mem_eq(small, "ab\0\0", 4);
        ck_ok(rp_frame_end(p.deck, NULL));
        memset(small, 'x', sizeof small);
        rp_frame_begin(p.deck, small, sizeof small);
        ck_assert_mem_eq(small, "\0\0\0\0", 4);
        ck_ok(rp_frame_end(p.deck, NULL));
        rp_frame_begin(p.deck, pass ? large : (uint8_t *)small, pass ? sizeof large : 4);
        ck_assert_int_eq(pass ? large[65535] : small[3], 3);
        ck_ok(rp_frame_end(p.deck, NULL));
    }
    rp_deck_close(p.deck);
}

/* ---- the budget ---- */

TEST(the_budget_holds_and_the_oldest_frames_go_first)
{
    rp_deck_desc desc = desc_of(RP_TRACKING_AUTO);
    desc.budget_bytes = RP_MIB(4);
    player p = open_player(desc);
    for (uint64_t frame = 1; frame < 3000; frame++) {
        rp_deck_status status;
        frame_with(&p, next_input(&p), NULL);
        hashes[frame] = hash_at(&p, frame);
        rp_deck_status_get(p.deck, &status);
        ck_assert_uint_le(status.history_bytes, status.budget_bytes);
        ck_assert_uint_eq(status.newest_frame, frame);
    }
    rp_deck_status status;
    rp_deck_status_get(p.deck, &status);
    ck_assert_uint_gt(status.oldest_frame, 100);
    ck_assert_uint_lt(status.oldest_frame, 2999);
    ck_assert_int_eq(rp_seek(p.deck, status.oldest_frame - 1), RP_E_RANGE);
    ck_ok(rp_seek(p.deck, status.oldest_frame));
    ck_assert_uint_eq(hash_at(&p, status.oldest_frame), hashes[status.oldest_frame]);
    rp_deck_close(p.deck);
}

/* The loop's frames write more than they did when they were recorded. */
TEST(a_loop_whose_start_is_evicted_ends_and_says_so)
{
    rp_deck_desc desc = desc_of(RP_TRACKING_AUTO);
    rp_deck_status status;
    desc.budget_bytes = RP_MIB(2);
    player p = open_player(desc);
    uint8_t *block = rp_alloc(rp_deck_heap(p.deck), RP_MIB(4));
    memset(block, 1, RP_MIB(4));
    record(&p, 8);
    ck_ok(rp_loop(p.deck, 5, 8));
    frame_with(&p, (input){0}, NULL);
    rp_frame_begin(p.deck, NULL, 0);
    memset(block, 2, RP_MIB(4));
    ck_assert_int_eq(rp_frame_end(p.deck, NULL), RP_E_BUDGET);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "frame 5"));
    rp_deck_status_get(p.deck, &status);
    ck_assert_uint_eq(status.frame, 7);
    ck_assert_uint_eq(status.loop_to, 0);
    ck_assert_int_eq(frame_with(&p, (input){0}, NULL), RP_MOMENT_LIVE);
    ck_assert_int_eq(block[RP_MIB(4) - 1], 2);
    rp_deck_close(p.deck);
}

/* ---- opening, closing, refusing ---- */

TEST(there_is_one_deck_a_process_and_a_closed_one_may_be_followed)
{
    for (int round = 0; round < 5; round++) {
        rp_deck *second = (rp_deck *)&second;
        score = 7;
        memset(table, 0, sizeof table);
        player p = open_player(desc_of(round % 2 ? RP_TRACKING_AUTO : RP_TRACKING_COMPARE));
        ck_assert_int_eq(rp_deck_open(NULL, &second), RP_E_BUSY);
        ck_assert_ptr_null(second);
        frame_with(&p, (input){1, 1}, NULL);
        frame_with(&p, (input){1, 2}, NULL);
        uint64_t hash = hash_at(&p, 2);
        ck_assert_uint_eq(hash, round ? hashes[0] : hash);
        hashes[0] = hash;
        rp_deck_close(p.deck);
    }
    rp_deck_close(NULL);
}

TEST(defaults_are_those_of_the_header)
{
    rp_deck *deck;
    rp_deck_status status;
    rp_region_stats stats;
    ck_ok(rp_deck_open(NULL, &deck));
    rp_deck_status_get(deck, &status);
    ck_assert_uint_eq(status.budget_bytes, RP_MIB(512));
    ck_assert_int_ne(status.tracking, RP_TRACKING_AUTO);
    ck_assert_uint_eq(status.frame, 0);
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_gt(stats.reserve_bytes, 0);
    uint8_t bytes[1024] = {0};
    ck_assert_int_eq(rp_frame_begin(deck, bytes, sizeof bytes), RP_MOMENT_LIVE);
    ck_ok(rp_frame_end(deck, NULL));
    rp_deck_close(deck);
}

TEST(a_wrong_description_is_refused_and_leaves_nothing_open)
{
    rp_deck *deck;
    ck_assert_int_eq(rp_deck_open(&(rp_deck_desc){.input_bytes = 65537}, &deck), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_deck_open(&(rp_deck_desc){.tracking = (rp_tracking)9}, &deck),
                     RP_E_ARGUMENT);
    ck_assert_int_eq(rp_deck_open(&(rp_deck_desc){.reserve_bytes = 1}, &deck), RP_E_ARGUMENT);
    ck_assert_ptr_null(deck);
    ck_assert(!rp_region_is_open());
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_deck_close(p.deck);
}

TEST(ranges_that_cannot_be_are_refused_by_name)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    uint64_t value;
    ck_assert_int_eq(rp_range(p.deck, NULL, 8, RP_ZONE_WORLD, "a"), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_range(p.deck, &value, 0, RP_ZONE_WORLD, "b"), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_range(p.deck, &value, 8, (rp_zone)5, "c"), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_range(p.deck, &table[7], 8, RP_ZONE_WORLD, "twice"), RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "twice"));
    ck_assert_int_eq(rp_range(p.deck, p.sim, 8, RP_ZONE_WORLD, "inside"), RP_E_ARGUMENT);
    record(&p, 1);
    ck_assert_int_eq(rp_range(p.deck, &value, 8, RP_ZONE_WORLD, "late"), RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "late"));
    rp_deck_close(p.deck);
}

TEST(before_the_first_frame_there_is_nothing_to_go_to)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    uint64_t hash;
    ck_assert_int_eq(rp_seek(p.deck, 0), RP_E_RANGE);
    ck_assert_int_eq(rp_state_hash(p.deck, 0, &hash), RP_E_RANGE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "no frame"));
    ck_ok(rp_loop(p.deck, 0, 0));
    rp_deck_close(p.deck);
}

TEST(the_report_of_a_frame_counts_what_it_wrote)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_frame_info info;
    uint8_t *block = rp_alloc_aligned(rp_deck_heap(p.deck), 4096, 64 * RP_PAGE_BYTES);
    memset(block, 1, 64 * RP_PAGE_BYTES);
    frame_with(&p, (input){0}, NULL);
    rp_frame_begin(p.deck, NULL, 0);
    for (int i = 0; i < 10; i++) {
        block[(size_t)i * 3 * RP_PAGE_BYTES] = 2;
    }
    ck_ok(rp_frame_end(p.deck, &info));
    ck_assert_uint_eq(info.page_count, 10);
    ck_assert_uint_eq(info.bytes, 10 * RP_PAGE_BYTES);
    rp_frame_begin(p.deck, NULL, 0);
    ck_ok(rp_frame_end(p.deck, &info));
    ck_assert_uint_eq(info.page_count, 0);
    ck_assert_uint_eq(info.frame, 3);
    rp_deck_close(p.deck);
}

/* ---- misuse ---- */

TEST_ABORTS(a_frame_within_a_frame_aborts)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_frame_begin(p.deck, NULL, 0);
    rp_frame_begin(p.deck, NULL, 0);
}

TEST_ABORTS(a_seek_within_a_frame_aborts)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    rp_frame_begin(p.deck, NULL, 0);
    rp_seek(p.deck, 0);
}

TEST_ABORTS(an_input_larger_than_declared_aborts)
{
    player p = open_player(desc_of(RP_TRACKING_AUTO));
    uint8_t bytes[1025] = {0};
    rp_frame_begin(p.deck, bytes, sizeof bytes);
}
