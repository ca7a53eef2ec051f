/* The deck while the k-th call to the system fails, k = 1, 2, … */
#include "base/bits.h"
#include "base/error.h"
#include "region/region.h"
#include "support/fault.h"

#include <errno.h>
#include <reprise/deck.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 20, STEP_BYTES = 40 * 4096 };

static uint32_t counter;

typedef struct way {
    rp_tracking tracking;
    bool check_threads;
} way;

typedef struct fixture {
    rp_deck *deck;
    uint8_t *block;
} fixture;

static rp_status open_fixture(fixture *f, way how)
{
    rp_deck_desc desc = {.reserve_bytes = RP_GIB(1),
                         .budget_bytes = RP_MIB(8),
                         .tracking = how.tracking,
                         .check_threads = how.check_threads};
    counter = 0;
    rp_status status = rp_deck_open(&desc, &f->deck);
    if (status != RP_OK) {
        return status;
    }
    status = rp_range(f->deck, &counter, sizeof counter, RP_ZONE_WORLD, "counter");
    f->block = rp_alloc_zeroed(rp_deck_heap(f->deck), 1, BLOCK_BYTES);
    return status != RP_OK || f->block ? status : rp_error_last()->status;
}

static rp_status make_frame(fixture *f)
{
    rp_frame_begin(f->deck, &counter, sizeof counter);
    counter++;
    memset(f->block + counter * 8192, (int)counter, STEP_BYTES);
    return rp_frame_end(f->deck, NULL);
}

static rp_status make_frames(fixture *f, uint32_t count)
{
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < count && status == RP_OK; i++) {
        status = make_frame(f);
    }
    return status;
}

#ifdef RP_FAULTS
static uint64_t frame_of(const fixture *f)
{
    rp_deck_status status;
    rp_deck_status_get(f->deck, &status);
    return status.frame;
}

/* The state that frame `counter` has when all goes well. */
static void ck_state(const fixture *f, uint32_t frame)
{
    ck_assert_uint_eq(counter, frame);
    ck_assert_uint_eq(frame_of(f), frame);
    ck_assert_uint_eq(f->block[frame * 8192 + STEP_BYTES - 1], frame);
    ck_assert_uint_eq(f->block[frame * 8192 + STEP_BYTES], 0);
    ck_assert(rp_region_check(RP_ZONE_WORLD));
}

/* ---- one frame ---- */

static rp_status one_frame(void *context)
{
    fixture *f = context;
    rp_status status = make_frame(f);
    rp_os_fault_pause();
    if (status == RP_OK) {
        ck_state(f, 6);
        ck_ok(rp_seek(f->deck, 5));
    }
    ck_state(f, 5); /* a frame that failed was taken back */
    return status;
}

static void frame_by_frame(way how)
{
    fixture f;
    uint64_t before, after;
    rp_status status = open_fixture(&f, how);
    if (status == RP_E_UNSUPPORTED) {
        printf("skipped: tracking %d: %s\n", how.tracking, rp_error_last()->text);
        return;
    }
    ck_ok(status);
    ck_ok(make_frames(&f, 5));
    ck_ok(rp_state_hash(f.deck, 5, &before));
    ck_assert_uint_gt(fault_each_call_or_recover(one_frame, &f, ENOMEM), 0);
    ck_assert_uint_gt(fault_each_call_or_recover(one_frame, &f, EIO), 0);
    ck_ok(rp_state_hash(f.deck, 5, &after));
    ck_assert_uint_eq(after, before);
    ck_ok(make_frames(&f, 20));
    ck_state(&f, 25);
    for (uint32_t frame = 0; frame <= 25; frame++) {
        ck_ok(rp_seek(f.deck, frame));
        ck_assert_uint_eq(counter, frame);
    }
    rp_deck_close(f.deck);
}

TEST(a_frame_that_cannot_be_kept_is_taken_back)
{
    frame_by_frame((way){RP_TRACKING_AUTO, false});
}

TEST(a_frame_that_cannot_be_kept_is_taken_back_with_compared_pages)
{
    frame_by_frame((way){RP_TRACKING_COMPARE, false});
}

TEST(a_frame_that_cannot_be_kept_is_taken_back_where_signals_tell)
{
    frame_by_frame((way){RP_TRACKING_WP_SIGBUS, false});
    frame_by_frame((way){RP_TRACKING_MPROTECT, false});
}

/* Where holding the state fails half-way, no thread waits and no page stays protected. */
TEST(a_frame_during_which_the_state_cannot_be_held_is_taken_back)
{
    frame_by_frame((way){RP_TRACKING_WP_ASYNC, true});
    frame_by_frame((way){RP_TRACKING_WP_SIGBUS, true});
    frame_by_frame((way){RP_TRACKING_MPROTECT, true});
    frame_by_frame((way){RP_TRACKING_COMPARE, true});
}
#endif

/* ---- a whole life ---- */

static rp_status live(fixture *f)
{
    rp_status status = make_frames(f, 6);
    if (status == RP_OK) {
        status = rp_seek(f->deck, 3);
    }
    if (status == RP_OK) {
        status = rp_loop(f->deck, 1, 3);
    }
    return status == RP_OK ? make_frames(f, 5) : status;
}

static rp_status open_live_close(void *context)
{
    fixture f = {0};
    rp_status status = open_fixture(&f, *(way *)context);
    if (status == RP_OK) {
        status = live(&f);
        rp_os_fault_pause();
        /* Either all goes on, or the deck says that the state is lost. */
        rp_error failure = *rp_error_last();
        rp_status next = make_frame(&f);
        ck_assert(next == RP_OK || strstr(rp_error_last()->text, "state was lost"));
        if (status != RP_OK) {
            rp_fail(failure.status, "%s", failure.text);
        }
    }
    rp_os_fault_pause();
    if (f.deck) {
        rp_deck_close(f.deck);
    }
    ck_assert(!rp_region_is_open());
    return status;
}

TEST(every_call_may_fail_in_a_life_with_tracked_pages)
{
    way how = {RP_TRACKING_AUTO, false};
    fault_each_call_or_recover(open_live_close, &how, ENOMEM);
}

TEST(every_call_may_fail_in_a_life_with_compared_pages)
{
    way how = {RP_TRACKING_COMPARE, false};
    fault_each_call_or_recover(open_live_close, &how, ENOMEM);
}

TEST(every_call_may_fail_in_a_life_where_the_state_is_held_for_each_commit)
{
    way how = {RP_TRACKING_AUTO, true};
    fault_each_call_or_recover(open_live_close, &how, ENOMEM);
}
