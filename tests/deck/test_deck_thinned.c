/* Frames that were thinned out: a seek names the nearest one that is kept, and a loop over frames
 * of which only input and hash are left gives the frames that were recorded.
 */
#include "base/bits.h"
#include "base/error.h"
#include "support/test.h"

#include <reprise/deck.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 2400, PAGES = 200, WORDS = PAGES * 512, WRITTEN = 24, BUDGET_MIB = 4 };

typedef struct fixture {
    rp_deck *deck;
    uint64_t *words;
    uint64_t hashes[FRAMES + 1];
    bool kept[FRAMES + 1];
    uint64_t oldest;
} fixture;

/* What a frame writes follows from state and input alone, and is everywhere. */
static rp_moment make_frame(fixture *f, uint64_t input, rp_frame_info *info)
{
    rp_moment moment = rp_frame_begin(f->deck, &input, sizeof input);
    uint64_t dice = f->words[0] * 2862933555777941757u + input * 2 + 1;
    f->words[0] = dice;
    for (int i = 0; i < WRITTEN; i++) {
        f->words[1 + test_random(&dice) % (WORDS - 1)] += dice;
    }
    ck_ok(rp_frame_end(f->deck, info));
    return moment;
}

static uint64_t hash_of(const fixture *f, uint64_t frame)
{
    uint64_t hash;
    ck_ok(rp_state_hash(f->deck, frame, &hash));
    return hash;
}

/* Until packing follows: frames come faster here than in a game. */
static void follow(fixture *f)
{
    rp_deck_status status;
    for (int i = 0; i < 4000; i++) {
        rp_deck_idle(f->deck, 0);
        rp_deck_status_get(f->deck, &status);
        if (status.raw_bytes < RP_MIB(BUDGET_MIB) * 3 / 16) {
            return;
        }
        usleep(50);
    }
}

static fixture *open_and_play(void)
{
    fixture *f = calloc(1, sizeof *f);
    rp_deck_desc desc = {.reserve_bytes = RP_GIB(1), .budget_bytes = RP_MIB(BUDGET_MIB)};
    uint64_t seed = test_seed();
    ck_ok(rp_deck_open(&desc, &f->deck));
    f->words = rp_alloc_zeroed(rp_deck_heap(f->deck), WORDS, sizeof *f->words);
    for (uint64_t frame = 1; frame <= FRAMES; frame++) {
        make_frame(f, test_random(&seed), NULL);
        f->hashes[frame] = hash_of(f, frame);
        follow(f);
    }
    rp_deck_status status;
    rp_deck_status_get(f->deck, &status);
    f->oldest = status.oldest_frame;
    ck_assert_uint_gt(status.thinned_count, FRAMES / 8);
    return f;
}

static void close_fixture(fixture *f)
{
    rp_deck_close(f->deck);
    free(f);
}

/* Whether it is kept; where not, *nearest is what the refusal names. */
static bool try_seek(fixture *f, uint64_t frame, uint64_t *nearest)
{
    rp_status status = rp_seek(f->deck, frame);
    if (status == RP_OK) {
        ck_assert_uint_eq(hash_of(f, frame), frame ? f->hashes[frame] : hash_of(f, 0));
        return true;
    }
    ck_assert_int_eq(status, RP_E_RANGE);
    const char *text = rp_error_last()->text, *named = strstr(text, "thinned");
    ck_assert_msg(named != NULL, "%s", text);
    while (*named && (*named < '0' || *named > '9')) {
        named++;
    }
    ck_assert_msg(*named, "no frame is named: %s", text);
    *nearest = strtoull(named, NULL, 10);
    return false;
}

static void find_kept(fixture *f)
{
    uint64_t last_kept = f->oldest, nearest = 0;
    for (uint64_t frame = f->oldest; frame <= FRAMES; frame++) {
        f->kept[frame] = try_seek(f, frame, &nearest);
        last_kept = f->kept[frame] ? frame : last_kept;
        ck_assert_msg(f->kept[frame] || nearest == last_kept,
                      "frame %llu: %llu is named, and %llu is kept", (unsigned long long)frame,
                      (unsigned long long)nearest, (unsigned long long)last_kept);
    }
}

TEST(a_seek_to_a_thinned_frame_names_the_nearest_before_it_and_changes_nothing)
{
    fixture *f = open_and_play();
    find_kept(f);
    ck_ok(rp_seek(f->deck, FRAMES));
    uint64_t nearest, tried = 0;
    for (uint64_t frame = f->oldest; frame <= FRAMES && tried < 20; frame++) {
        if (!f->kept[frame]) {
            ck_assert(!try_seek(f, frame, &nearest));
            ck_assert_uint_eq(f->words[0] != 0, 1);
            ck_assert_uint_eq(hash_of(f, FRAMES), f->hashes[FRAMES]);
            tried++;
        }
    }
    ck_assert_uint_eq(tried, 20);
    close_fixture(f);
}

/* The longest stretch of thinned frames behind a kept one. */
static uint64_t widest_gap(const fixture *f, uint64_t *length)
{
    uint64_t from = 0, start = f->oldest;
    *length = 0;
    for (uint64_t frame = f->oldest + 1; frame <= FRAMES; frame++) {
        if (f->kept[frame]) {
            if (frame - start - 1 > *length) {
                *length = frame - start - 1;
                from = start;
            }
            start = frame;
        }
    }
    return from;
}

TEST(a_loop_wholly_on_thinned_frames_gives_what_was_recorded)
{
    fixture *f = open_and_play();
    find_kept(f);
    uint64_t length, from = widest_gap(f, &length), to = from + length;
    ck_assert_uint_gt(length, 2);
    ck_assert(f->kept[from] && !f->kept[from + 1] && !f->kept[to]);
    ck_assert_int_eq(rp_loop(f->deck, from + 1, to), RP_E_RANGE); /* nothing to begin it at */
    ck_assert_msg(strstr(rp_error_last()->text, "thinned out"), "%s", rp_error_last()->text);
    ck_ok(rp_loop(f->deck, from, to));
    for (uint64_t i = 0; i < 3 * length; i++) {
        rp_frame_info info;
        ck_assert_int_eq(make_frame(f, 12345, &info), RP_MOMENT_REPLAY);
        ck_assert_uint_eq(info.frame, from + 1 + i % length);
        ck_assert_uint_eq(info.diverged, 0);
        ck_assert_uint_eq(hash_of(f, info.frame), f->hashes[info.frame]);
        follow(
            f); /* all of a pass unpacked is more than the budget, and the loop's start would go */
    }
    close_fixture(f);
}

/* Inputs and hashes of thinned frames stay: made again from the nearest kept one, each comes out.
 */
TEST(thinned_frames_can_be_made_again_from_the_nearest_with_their_inputs)
{
    fixture *f = open_and_play();
    find_kept(f);
    uint64_t length, from = widest_gap(f, &length), inputs[FRAMES];
    for (uint64_t i = 0; i < length; i++) {
        ck_ok(rp_frame_input(f->deck, from + 1 + i, &inputs[i], sizeof inputs[i], NULL));
        ck_assert_uint_eq(hash_of(f, from + 1 + i), f->hashes[from + 1 + i]);
    }
    ck_ok(rp_seek(f->deck, from));
    for (uint64_t i = 0; i < length; i++) {
        make_frame(f, inputs[i], NULL);
        ck_assert_uint_eq(hash_of(f, from + 1 + i), f->hashes[from + 1 + i]);
    }
    close_fixture(f);
}
