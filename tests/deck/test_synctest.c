/* Every frame twice, compared. What a step must not do is done here, and must be told by name. */
#include "support/test.h"
#include "base/bits.h"
#include "region/region.h"
#include "trace/trace.h"

#include <reprise/deck.h>
#include <string.h>

static uint32_t score[3000];
static uint32_t outside; /* of no range */

typedef struct play {
    rp_deck *deck;
    uint32_t *block;
    rp_allocator *heap;
} play;

static play open_play(rp_deck_desc desc)
{
    play p = {0};
    desc.reserve_bytes = RP_GIB(1);
    desc.synctest = true;
    memset(score, 0, sizeof score);
    ck_ok(rp_deck_open(&desc, &p.deck));
    ck_ok(rp_range(p.deck, score, sizeof score, RP_ZONE_WORLD, "score"));
    p.heap = rp_heap_create(&(rp_heap_desc){.name = "bodies"});
    p.block = rp_alloc_zeroed(p.heap, 16, sizeof *p.block);
    return p;
}

typedef void cheat_fn(play *p);

/* Runs `count` frames, each twice; returns in how many of them the runs differed. */
static int run(play *p, int count, cheat_fn *cheat, int from)
{
    int differed = 0;
    for (int i = 0; i < 2 * count; i++) {
        uint32_t input = 100 + (uint32_t)i;
        rp_frame_info info;
        rp_moment moment = rp_frame_begin(p->deck, &input, sizeof input);
        ck_assert_int_eq(moment, i % 2 ? RP_MOMENT_AGAIN : RP_MOMENT_LIVE);
        ck_assert_uint_eq(input, 100 + (uint32_t)i / 2 * 2); /* that of the first run */
        score[input % 3000]++;
        p->block[input % 3]++;
        void *gone = rp_alloc(p->heap, 40);
        if (cheat && i / 2 >= from) {
            cheat(p);
        }
        rp_free(gone);
        ck_ok(rp_frame_end(p->deck, &info));
        ck_assert_uint_eq(info.frame, (uint64_t)i / 2 + 1);
        ck_assert(!info.diverged || i % 2);
        differed += (int)info.diverged;
    }
    return differed;
}

static bool tells(const play *p, const char *text)
{
    rp_difference found;
    ck_assert(rp_difference_get(p->deck, &found));
    ck_assert_msg(strstr(found.text, text) != NULL, "'%s' is not in: %s", text, found.text);
    return true;
}

TEST(a_step_that_reads_only_state_and_input_never_differs)
{
    play p = open_play((rp_deck_desc){0});
    rp_difference found;
    ck_assert_int_eq(run(&p, 300, NULL, 0), 0);
    ck_assert(!rp_difference_get(p.deck, &found));
    ck_ok(rp_seek(p.deck, 100));
    ck_assert_uint_eq(score[298], 1);
    ck_assert_uint_eq(score[300], 0);
    rp_deck_close(p.deck);
}

static void cheat_range(play *p)
{
    (void)p;
    score[1700] = ++outside;
}

TEST(a_difference_in_a_range_is_told_by_its_name_and_offset)
{
    play p = open_play((rp_deck_desc){.tracking = RP_TRACKING_COMPARE});
    rp_difference found;
    outside = 40;
    ck_assert_int_eq(run(&p, 5, cheat_range, 3), 2);
    ck_assert(rp_difference_get(p.deck, &found));
    ck_assert_uint_eq(found.frame, 5);
    ck_assert_ptr_eq(found.address, &score[1700]);
    ck_assert_uint_eq(found.page_count, 1);
    ck_assert_uint_eq(found.byte_count, 8);
    ck_assert_uint_eq(found.first[0], 43);
    ck_assert_uint_eq(found.again[0], 44);
    ck_assert_uint_ne(found.first_hash, found.again_hash);
    tells(&p, "frame 5 came out different");
    tells(&p, "6800 bytes into range 'score' of 12000 bytes: 2b 00");
    rp_deck_close(p.deck);
}

static void cheat_block(play *p)
{
    p->block[5] = ++outside;
}

TEST(a_difference_in_a_block_is_told_by_its_heap)
{
    play p = open_play((rp_deck_desc){0});
    ck_assert_int_eq(run(&p, 2, cheat_block, 0), 2);
    tells(&p, "20 bytes into a block of 64 of heap 'bodies'");
    rp_deck_close(p.deck);
}

/* Allocators' own bytes differ first by address; the block that was made is what helps. */
static void cheat_alloc(play *p)
{
    if (outside++ % 2) {
        uint32_t *made = rp_alloc_zeroed(p->heap, 1, 300000);
        made[3] = 7;
    }
}

TEST(a_block_that_only_one_run_makes_is_told)
{
    play p = open_play((rp_deck_desc){0});
    outside = 0;
    ck_assert_int_eq(run(&p, 4, cheat_alloc, 2), 2);
    tells(&p, "12 bytes into a block of");
    tells(&p, "of heap 'bodies'");
    rp_deck_close(p.deck);
}

static void cheat_page(play *p)
{
    (void)p;
    if (outside++ % 2 == 0) {
        score[1700] = 1; /* a page that the second run does not write */
    }
}

TEST(a_page_that_only_one_run_writes_differs)
{
    play p = open_play((rp_deck_desc){0});
    outside = 0;
    ck_assert_int_eq(run(&p, 1, cheat_page, 0), 1);
    tells(&p, "01 00 00 00 00 00 00 00 the first time, 00");
    rp_deck_close(p.deck);
    p = open_play((rp_deck_desc){0});
    outside = 1;
    ck_assert_int_eq(run(&p, 1, cheat_page, 0), 1);
    tells(&p, "00 00 00 00 00 00 00 00 the first time, 01");
    rp_deck_close(p.deck);
}

TEST(a_tracked_block_is_told_with_its_scope_and_site)
{
    play p = open_play((rp_deck_desc){0});
    ck_ok(rp_trace_open("bodies=trace"));
    RP_SCOPE("level")
    {
        p.block = rp_alloc_zeroed(p.heap, 16, sizeof *p.block);
    }
    ck_assert_int_eq(run(&p, 2, cheat_block, 0), 2);
    tells(&p, "20 bytes into a block of 64 of heap 'bodies', scope /level, made at ");
    tells(&p, "test_synctest.c:");
    rp_deck_close(p.deck);
}

TEST(a_seek_and_a_loop_end_the_second_run_that_is_due)
{
    play p = open_play((rp_deck_desc){0});
    uint32_t input = 1;
    run(&p, 10, NULL, 0);
    ck_assert_int_eq(rp_frame_begin(p.deck, &input, sizeof input), RP_MOMENT_LIVE);
    ck_ok(rp_frame_end(p.deck, NULL));
    ck_ok(rp_seek(p.deck, 5));
    ck_assert_int_eq(rp_frame_begin(p.deck, &input, sizeof input), RP_MOMENT_SOUGHT);
    ck_ok(rp_frame_end(p.deck, NULL));
    ck_assert_int_eq(rp_frame_begin(p.deck, &input, sizeof input), RP_MOMENT_AGAIN);
    ck_ok(rp_frame_end(p.deck, NULL));
    ck_ok(rp_loop(p.deck, 2, 6));
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(rp_frame_begin(p.deck, &input, sizeof input), RP_MOMENT_REPLAY);
        score[input % 3000]++;
        ck_ok(rp_frame_end(p.deck, NULL));
    }
    rp_deck_close(p.deck);
}

typedef struct again {
    play *p;
    uint32_t runs;
    bool cheat;
} again;

static void step_again(void *context, rp_moment moment, const void *input, size_t input_bytes)
{
    again *a = context;
    uint32_t in;
    ck_assert_int_eq(moment, RP_MOMENT_AGAIN);
    ck_assert_uint_eq(input_bytes, sizeof in);
    memcpy(&in, input, sizeof in);
    score[in]++;
    a->runs++;
    if (a->cheat) {
        cheat_range(a->p);
    }
}

TEST(the_frames_of_a_rollback_are_made_twice_too)
{
    play p = open_play((rp_deck_desc){0});
    again a = {.p = &p};
    uint32_t inputs[] = {1, 2, 3};
    rp_frame_info infos[3];
    rp_rollback_desc desc = {.frame = 4,
                             .frame_count = 3,
                             .inputs = inputs,
                             .input_bytes = sizeof *inputs,
                             .step = step_again,
                             .context = &a,
                             .infos = infos};
    run(&p, 8, NULL, 0);
    ck_ok(rp_rollback(p.deck, &desc));
    ck_assert_uint_eq(a.runs, 6);
    ck_assert_uint_eq(score[3], 1);
    ck_assert_uint_eq(infos[0].diverged + infos[1].diverged + infos[2].diverged, 0);
    a.cheat = true;
    ck_ok(rp_rollback(p.deck, &desc));
    ck_assert_uint_eq(infos[0].diverged + infos[1].diverged + infos[2].diverged, 3);
    tells(&p, "range 'score'");
    rp_deck_close(p.deck);
}
