/* rp_deck_idle: what it gets done, and that no frame comes out different for it. */
#include "base/bits.h"
#include "base/error.h"
#include "support/test.h"

#include <reprise/deck.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, HUGE_BYTES = 2 << 20, CHUNKS = 4, REST_FRAMES = 40, TRIES_MOST = 20000 };
#define LONG_NS UINT64_C(2000000000)

static rp_deck *open_deck(size_t budget_bytes)
{
    rp_deck *deck;
    ck_ok(rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1), .budget_bytes = budget_bytes},
                       &deck));
    return deck;
}

static rp_deck_status status_of(const rp_deck *deck)
{
    rp_deck_status status;
    rp_deck_status_get(deck, &status);
    return status;
}

static void end_frame(rp_deck *deck)
{
    rp_frame_begin(deck, NULL, 0);
    ck_ok(rp_frame_end(deck, NULL));
}

static uint64_t hash_of(rp_deck *deck, uint64_t frame)
{
    uint64_t hash;
    ck_ok(rp_state_hash(deck, frame, &hash));
    return hash;
}

/* ---- huge pages ---- */

TEST(split_huge_pages_of_the_state_become_whole_again_and_writes_are_still_found)
{
    rp_deck *deck = open_deck(RP_MIB(64));
    uint8_t *block = rp_alloc_aligned(rp_deck_heap(deck), PAGE, (CHUNKS + 2) * HUGE_BYTES);
    ck_assert_ptr_nonnull(block);
    block = (uint8_t *)(uintptr_t)rp_align_up((uintptr_t)block, HUGE_BYTES);
    memset(block, 1, (CHUNKS + 1) * HUGE_BYTES);
    end_frame(deck);
    for (int i = 0; i < CHUNKS; i++) {
        block[i * HUGE_BYTES + 5 * PAGE] = 2;
    }
    end_frame(deck); /* frame 2 */
    uint64_t split = status_of(deck).split_chunks, hash = hash_of(deck, 2);
    for (int i = 0; i < REST_FRAMES; i++) {
        end_frame(deck);
    }
    ck_assert_uint_eq(status_of(deck).collapsed_chunks, 0); /* by itself it is not done */
    for (int i = 0; i < 20; i++) {
        rp_deck_idle(deck, LONG_NS);
        end_frame(deck);
    }
    if (split < CHUNKS || status_of(deck).collapsed_chunks == 0) {
        printf("skipped: this system makes no huge pages, or tracks otherwise\n");
    } else {
        ck_assert_uint_lt(status_of(deck).split_chunks, split);
        ck_assert_uint_gt(status_of(deck).idle_ns, 0);
    }
    uint64_t last = status_of(deck).frame;
    ck_assert_uint_eq(hash_of(deck, last), hash);
    block[7 * PAGE] = 9;
    block[3 * HUGE_BYTES] = 9;
    end_frame(deck);
    ck_ok(rp_seek(deck, last));
    ck_assert_int_eq(block[7 * PAGE] + block[3 * HUGE_BYTES], 2);
    ck_ok(rp_seek(deck, last + 1));
    ck_assert_int_eq(block[7 * PAGE] + block[3 * HUGE_BYTES], 18);
    ck_ok(rp_seek(deck, 1));
    ck_assert_int_eq(block[5 * PAGE], 1);
    rp_deck_close(deck);
}

/* ---- packing ---- */

/* Packing goes on while no frame is made, as where a person looks at a paused game. */
TEST(frames_are_packed_while_none_is_made_and_come_back)
{
    enum { FRAMES = 600, WRITTEN = 30 };
    static uint64_t hashes[FRAMES + 1];
    rp_deck *deck = open_deck(RP_MIB(32));
    uint64_t seed = test_seed();
    uint8_t *block = rp_alloc_zeroed(rp_deck_heap(deck), 400, PAGE);
    for (int frame = 1; frame <= FRAMES; frame++) {
        for (int i = 0; i < WRITTEN; i++) {
            block[test_random(&seed) % (400 * PAGE)] = (uint8_t)frame;
        }
        end_frame(deck);
        hashes[frame] = hash_of(deck, (uint64_t)frame);
    }
    uint64_t packed = status_of(deck).packed_bytes, raw = status_of(deck).raw_bytes;
    int quiet = 0;
    for (int i = 0; i < TRIES_MOST && quiet < 100; i++) {
        uint64_t before = status_of(deck).packed_bytes;
        rp_deck_idle(deck, 0);
        quiet = status_of(deck).packed_bytes == before ? quiet + 1 : 0;
        usleep(1000);
    }
    printf("packed %llu KiB, then %llu; raw %llu, then %llu\n", (unsigned long long)packed >> 10,
           (unsigned long long)status_of(deck).packed_bytes >> 10, (unsigned long long)raw >> 10,
           (unsigned long long)status_of(deck).raw_bytes >> 10);
    ck_assert_uint_gt(status_of(deck).packed_bytes, 0);
    ck_assert_uint_lt(status_of(deck).raw_bytes, RP_MIB(32) / 4);
    ck_assert_uint_eq(status_of(deck).frame, FRAMES);
    for (uint64_t frame = FRAMES; frame >= 1; frame -= 37) {
        if (rp_seek(deck, frame) == RP_OK) {
            rp_deck_idle(deck, 100000);
            ck_assert_uint_eq(hash_of(deck, frame), hashes[frame]);
        }
        if (frame < 37) {
            break;
        }
    }
    rp_deck_close(deck);
}

/* ---- any moment ---- */

TEST(before_the_first_frame_and_after_seeks_and_in_loops_it_changes_nothing)
{
    rp_deck *deck = open_deck(RP_MIB(32));
    uint32_t *counter = rp_alloc_zeroed(rp_deck_heap(deck), 1, sizeof *counter);
    *counter = 5;
    rp_deck_idle(deck, LONG_NS);
    for (int i = 0; i < 20; i++) {
        rp_frame_begin(deck, NULL, 0);
        ++*counter;
        ck_ok(rp_frame_end(deck, NULL));
        rp_deck_idle(deck, i % 2 ? UINT64_MAX : 0);
    }
    ck_ok(rp_seek(deck, 7));
    rp_deck_idle(deck, LONG_NS);
    ck_assert_uint_eq(*counter, 12);
    ck_ok(rp_loop(deck, 3, 9));
    for (int i = 0; i < 30; i++) {
        rp_frame_info info;
        rp_deck_idle(deck, LONG_NS);
        rp_frame_begin(deck, NULL, 0);
        ++*counter;
        ck_ok(rp_frame_end(deck, &info));
        ck_assert_uint_eq(info.diverged, 0);
        ck_assert_uint_eq(*counter, 5 + info.frame);
    }
    *counter = 99; /* not yet a part of any frame */
    rp_deck_idle(deck, LONG_NS);
    ck_assert_uint_eq(*counter, 99);
    ck_ok(rp_seek(deck, 5));
    ck_assert_uint_eq(*counter, 10);
    rp_deck_close(deck);
}

TEST_ABORTS(within_a_frame_it_may_not_be_called)
{
    rp_deck *deck = open_deck(RP_MIB(32));
    rp_frame_begin(deck, NULL, 0);
    rp_deck_idle(deck, 0);
}
