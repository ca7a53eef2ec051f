/* Rollback as netcode uses it: frames are made with inputs that were guessed, and made again once
 * the right ones are known. The measure is a run that knew them from the start.
 */
#include "base/bits.h"
#include "base/error.h"
#include "region/region.h"
#include "support/fault.h"

#include <errno.h>
#include <reprise/deck.h>
#include <string.h>

typedef struct input {
    int32_t push, jump;
} input;

typedef struct thing {
    int64_t place, speed;
    struct thing *next;
} thing;

typedef struct game {
    thing *first;
    uint32_t steps, count;
} game;

enum { FRAMES = 200 };

static uint64_t total;
static input right[FRAMES + 1];     /* by frame */
static uint64_t hashes[FRAMES + 1]; /* of the run that knew them */

typedef struct match {
    rp_deck *deck;
    game *game;
    uint32_t steps_run; /* not of the state */
    rp_moment last;
} match;

static void step(match *m, const input *in)
{
    game *g = m->game;
    if (in->jump || !g->first) {
        thing *made = rp_new(rp_deck_heap(m->deck), thing, 1);
        made->next = g->first;
        made->speed = in->jump;
        g->first = made;
        g->count++;
    }
    if (g->count > 6) {
        thing *gone = g->first->next;
        g->first->next = gone->next;
        g->count--;
        rp_free(gone);
    }
    for (thing *t = g->first; t; t = t->next) {
        t->place += t->speed + in->push;
    }
    total = total * 31 + (uint64_t)g->first->place;
    g->steps++;
    m->steps_run++;
}

static void step_again(void *context, rp_moment moment, const void *bytes, size_t input_bytes)
{
    match *m = context;
    input in;
    ck_assert_uint_eq(input_bytes, sizeof in);
    memcpy(&in, bytes, sizeof in);
    m->last = moment;
    step(m, &in);
}

static match open_match(rp_deck_desc desc)
{
    match m = {0};
    desc.reserve_bytes = RP_GIB(1);
    total = 1;
    ck_ok(rp_deck_open(&desc, &m.deck));
    ck_ok(rp_range(m.deck, &total, sizeof total, RP_ZONE_WORLD, "total"));
    m.game = rp_new(rp_deck_heap(m.deck), game, 1);
    return m;
}

static rp_status frame(match *m, input in, rp_frame_info *info)
{
    m->last = rp_frame_begin(m->deck, &in, sizeof in);
    step(m, &in);
    return rp_frame_end(m->deck, info);
}

static uint64_t frame_of(const match *m)
{
    rp_deck_status status;
    rp_deck_status_get(m->deck, &status);
    return status.frame;
}

static uint64_t hash_at(const match *m, uint64_t frame_number)
{
    uint64_t hash;
    ck_ok(rp_state_hash(m->deck, frame_number, &hash));
    return hash;
}

static void play_right(uint64_t *random)
{
    match m = open_match((rp_deck_desc){0});
    for (int i = 1; i <= FRAMES; i++) {
        uint64_t dice = test_random(random);
        right[i] = dice % 4 ? right[i - 1] : (input){(int32_t)(dice >> 8) % 5, dice >> 20 & 1};
        ck_ok(frame(&m, right[i], NULL));
        hashes[i] = hash_at(&m, (uint64_t)i);
    }
    hashes[0] = hash_at(&m, 0);
    rp_deck_close(m.deck);
}

static rp_rollback_desc back_to(match *m, uint64_t last, uint32_t count)
{
    return (rp_rollback_desc){.frame = last,
                              .frame_count = count,
                              .inputs = &right[last + 1],
                              .input_bytes = sizeof(input),
                              .step = step_again,
                              .context = m};
}

/* Guesses that an input stays as it was; is told `delay` frames late, as a network would. */
static void guess_and_mend(rp_tracking tracking, uint64_t *random)
{
    match m = open_match((rp_deck_desc){.tracking = tracking});
    uint64_t known = 0;
    int rollbacks = 0;
    for (uint64_t at = 1; at <= FRAMES; at++) {
        ck_ok(frame(&m, right[known], NULL));
        uint64_t heard = at - rp_min_size(at, test_random(random) % 9);
        if (at == FRAMES || heard > known) {
            heard = at == FRAMES ? FRAMES : heard;
            input with[16];
            uint32_t count = (uint32_t)(at - known);
            for (uint32_t i = 0; i < count; i++) {
                with[i] = right[rp_min_size(known + 1 + i, heard)];
            }
            rp_rollback_desc desc = back_to(&m, known, count);
            rp_frame_info infos[16];
            desc.inputs = with;
            desc.infos = infos;
            ck_ok(rp_rollback(m.deck, &desc));
            ck_assert_uint_eq(frame_of(&m), at);
            ck_assert_uint_eq(infos[0].frame, known + 1);
            ck_assert_uint_eq(infos[count - 1].frame, at);
            ck_assert_uint_gt(infos[0].page_count, 0);
            known = heard;
            rollbacks++;
        }
        ck_assert_uint_eq(hash_at(&m, known), hashes[known]);
        ck_assert_uint_eq(m.game->steps, at);
    }
    ck_assert_int_gt(rollbacks, 20);
    ck_assert_uint_gt(m.steps_run, FRAMES + 100);
    for (uint64_t at = 1; at <= FRAMES; at++) {
        ck_assert_uint_eq(hash_at(&m, at), hashes[at]);
    }
    rp_deck_close(m.deck);
}

TEST(guessed_frames_made_again_with_the_right_input_end_as_if_it_had_been_known)
{
    uint64_t random = test_seed();
    play_right(&random);
    guess_and_mend(RP_TRACKING_AUTO, &random);
    guess_and_mend(RP_TRACKING_COMPARE, &random);
}

TEST(the_corrected_inputs_are_what_is_logged)
{
    match m = open_match((rp_deck_desc){0});
    for (int i = 1; i <= 20; i++) {
        ck_ok(frame(&m, (input){i, 0}, NULL));
        right[i] = (input){100 + i, 1};
    }
    rp_rollback_desc desc = back_to(&m, 10, 5);
    ck_ok(rp_rollback(m.deck, &desc));
    ck_assert_int_eq(m.last, RP_MOMENT_AGAIN);
    ck_assert_uint_eq(frame_of(&m), 15); /* what followed is gone */
    for (uint64_t i = 1; i <= 15; i++) {
        input in;
        size_t bytes;
        ck_ok(rp_frame_input(m.deck, i, &in, sizeof in, &bytes));
        ck_assert_uint_eq(bytes, sizeof in);
        ck_assert_int_eq(in.push, (int)i + (i > 10 ? 100 : 0));
    }
    ck_assert_int_eq(rp_frame_input(m.deck, 16, NULL, 0, NULL), RP_E_RANGE);
    ck_ok(frame(&m, (input){0}, NULL));
    ck_assert_int_eq(m.last, RP_MOMENT_LIVE);
    /* A loop repeats what is logged. */
    uint64_t before = hash_at(&m, 14);
    rp_frame_info info = {0};
    ck_ok(rp_loop(m.deck, 10, 14));
    for (int i = 0; i < 8; i++) {
        ck_ok(frame(&m, (input){7, 7}, &info));
        ck_assert_uint_eq(info.diverged, 0);
    }
    ck_assert_uint_eq(hash_at(&m, 14), before);
    rp_deck_close(m.deck);
}

TEST(a_rollback_to_what_is_not_kept_changes_nothing)
{
    match m = open_match((rp_deck_desc){0});
    rp_rollback_desc desc = back_to(&m, 3, 2);
    ck_assert_int_eq(rp_rollback(m.deck, &desc), RP_E_RANGE);
    for (int i = 1; i <= 5; i++) {
        ck_ok(frame(&m, (input){i, 0}, NULL));
    }
    uint64_t before = total;
    total = 99; /* written between frames: a seek would drop it */
    desc = back_to(&m, 6, 2);
    ck_assert_int_eq(rp_rollback(m.deck, &desc), RP_E_RANGE);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "rollback: frame 6 is not kept"));
    ck_assert_uint_eq(total, 99);
    ck_assert_uint_eq(m.steps_run, 5);
    desc = back_to(&m, 5, 0); /* no frames: a seek */
    ck_ok(rp_rollback(m.deck, &desc));
    ck_assert_uint_eq(total, before);
    rp_deck_close(m.deck);
}

TEST(a_rollback_ends_a_loop)
{
    match m = open_match((rp_deck_desc){0});
    for (int i = 1; i <= 10; i++) {
        ck_ok(frame(&m, (input){i, 0}, NULL));
        right[i] = (input){-i, 0};
    }
    ck_ok(rp_loop(m.deck, 2, 8));
    rp_rollback_desc desc = back_to(&m, 2, 3);
    ck_ok(rp_rollback(m.deck, &desc));
    ck_assert_int_eq(m.last, RP_MOMENT_AGAIN);
    input in;
    ck_ok(rp_frame_input(m.deck, 3, &in, sizeof in, NULL));
    ck_assert_int_eq(in.push, -3);
    ck_ok(frame(&m, (input){1, 0}, NULL));
    ck_assert_int_eq(m.last, RP_MOMENT_LIVE);
    ck_assert_uint_eq(frame_of(&m), 6);
    rp_deck_close(m.deck);
}

/* ---- failures ---- */

static uint64_t hash_9;

/* Either the rest may still be made, or the deck says that the state is lost. */
static void finish(match *m)
{
    uint64_t at = frame_of(m);
    rp_rollback_desc desc = back_to(m, at, (uint32_t)(9 - at));
    rp_status status = rp_rollback(m->deck, &desc);
    if (status != RP_OK) {
        ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "state was lost"));
        return;
    }
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    ck_assert_uint_eq(m->game->steps, 9); /* world and log say the same */
    ck_assert_uint_eq(hash_at(m, 9), hash_9);
}

static rp_status live_and_roll(void *context)
{
    match m = {0};
    rp_deck_desc desc = {.reserve_bytes = RP_GIB(1), .tracking = *(rp_tracking *)context};
    total = 1;
    rp_status status = rp_deck_open(&desc, &m.deck);
    if (status == RP_OK) {
        status = rp_range(m.deck, &total, sizeof total, RP_ZONE_WORLD, "total");
        m.game = rp_new(rp_deck_heap(m.deck), game, 1);
        status = status == RP_OK && !m.game ? rp_error_last()->status : status;
    }
    for (int i = 1; i <= 9 && status == RP_OK; i++) {
        status = frame(&m, right[i], NULL);
    }
    if (status == RP_OK) {
        rp_rollback_desc back = back_to(&m, 4, 5);
        status = rp_rollback(m.deck, &back);
        rp_os_fault_pause();
        rp_error why = *rp_error_last();
        finish(&m);
        if (status != RP_OK) {
            rp_fail(why.status, "%s", why.text);
        }
    }
    rp_os_fault_pause();
    rp_error why = *rp_error_last();
    rp_deck_close(m.deck);
    if (status != RP_OK) {
        rp_fail(why.status, "%s", why.text);
    }
    return status;
}

TEST(a_rollback_in_which_a_call_to_the_system_fails_can_be_taken_up_again)
{
    rp_tracking tracking = RP_TRACKING_COMPARE;
    for (int i = 1; i <= 9; i++) {
        right[i] = (input){i, i % 2};
    }
    match m = open_match((rp_deck_desc){0});
    for (int i = 1; i <= 9; i++) {
        ck_ok(frame(&m, right[i], NULL));
    }
    hash_9 = hash_at(&m, 9);
    rp_deck_close(m.deck);
    fault_each_call_or_recover(live_and_roll, &tracking, ENOMEM);
    tracking = RP_TRACKING_AUTO;
    fault_each_call_or_recover(live_and_roll, &tracking, ENOMEM);
}
