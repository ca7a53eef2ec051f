/* Where a later pass of a loop differs from the first: told to the byte, or to the page. */
#include "divergence.h"
#include "support/test.h"

#include <base/bits.h>
#include <os/os.h>
#include <string.h>

enum { FROM = 10, TO = 14 };

static rp_log *history;
static uint8_t pages[8][RP_PAGE_BYTES];

static void commit(uint64_t frame, const uint32_t *written, uint32_t count)
{
    rp_slot_run runs[8];
    rp_page_slot entries[8];
    size_t run_count;
    uint32_t used = 0;
    ck_ok(rp_log_slots_offer(history, count ? count : 1, runs, 8, &run_count));
    for (size_t r = 0; r < run_count; r++) {
        for (uint32_t i = 0; i < runs[r].count && used < count; i++, used++) {
            uint32_t slot = runs[r].first + i;
            const void *page = pages[written[used]];
            ck_ok(rp_os_memfile_write_pages(rp_log_fd(history), (size_t)slot * RP_PAGE_BYTES, &page,
                                            1));
            entries[used] = (rp_page_slot){written[used], slot};
        }
    }
    rp_record_desc desc = {.frame = frame, .build = 1};
    ck_ok(rp_log_commit(history, &desc, entries, count));
}

/* One pass: each frame writes its number into pages 1 and 2. */
static void frames(uint64_t from, uint64_t to, uint8_t salt_at, uint8_t salt)
{
    for (uint64_t frame = from; frame <= to; frame++) {
        pages[1][100] = (uint8_t)frame;
        pages[2][200] = (uint8_t)(frame * 3 + (frame == salt_at ? salt : 0));
        commit(frame, (const uint32_t[]){1, 2}, 2);
    }
}

static void back_to(uint64_t frame)
{
    uint64_t index;
    const rp_page_slot *entries;
    size_t count;
    ck_assert(rp_log_find_frame(history, frame, &index));
    ck_ok(rp_log_seek(history, index, &entries, &count));
}

static divergence *noted(void)
{
    ck_ok(rp_log_create(RP_MIB(16), &history));
    commit(0, (const uint32_t[]){1}, 1);
    frames(1, TO, 0, 0);
    divergence *d = divergence_create(FROM, TO);
    for (uint64_t frame = FROM + 1; frame <= TO; frame++) {
        uint64_t index;
        ck_assert(rp_log_find_frame(history, frame, &index));
        divergence_note(d, history, index);
    }
    return d;
}

TEST(a_pass_that_writes_the_same_does_not_differ)
{
    divergence *d = noted();
    divergence_place place;
    back_to(FROM);
    for (uint64_t frame = FROM + 1; frame <= TO; frame++) {
        frames(frame, frame, 0, 0);
        ck_assert(!divergence_find(d, history, rp_log_position(history), &place));
    }
    divergence_destroy(d);
    rp_log_destroy(history);
}

TEST(a_byte_that_differs_is_named_with_both_values)
{
    divergence *d = noted();
    divergence_place place;
    back_to(FROM);
    frames(FROM + 1, FROM + 2, FROM + 2, 5);
    ck_assert(!divergence_find(d, history, rp_log_position(history) - 1, &place));
    ck_assert(divergence_find(d, history, rp_log_position(history), &place));
    ck_assert_uint_eq(place.page, 2);
    ck_assert_uint_eq(place.offset, 200);
    ck_assert(place.exact);
    ck_assert_uint_eq(place.first[0], (uint8_t)((FROM + 2) * 3));
    ck_assert_uint_eq(place.now[0], (uint8_t)((FROM + 2) * 3 + 5));
    divergence_destroy(d);
    rp_log_destroy(history);
}

TEST(a_page_that_only_one_pass_wrote_differs)
{
    divergence *d = noted();
    divergence_place place;
    back_to(FROM);
    pages[1][100] = FROM + 1;
    pages[2][200] = (uint8_t)((FROM + 1) * 3);
    pages[5][7] = 9;
    commit(FROM + 1, (const uint32_t[]){1, 2, 5}, 3);
    ck_assert(divergence_find(d, history, rp_log_position(history), &place));
    ck_assert_uint_eq(place.page, 5);
    ck_assert_uint_eq(place.offset, 7);
    divergence_destroy(d);
    rp_log_destroy(history);
}

TEST(a_page_that_was_not_written_any_more_differs)
{
    divergence *d = noted();
    divergence_place place;
    back_to(FROM);
    pages[2][200] = (uint8_t)((FROM + 1) * 3);
    commit(FROM + 1, (const uint32_t[]){2}, 1);
    ck_assert(divergence_find(d, history, rp_log_position(history), &place));
    ck_assert_uint_eq(place.page, 1);
    ck_assert_uint_eq(place.offset, 100);
    divergence_destroy(d);
    rp_log_destroy(history);
}

TEST(after_a_reset_nothing_is_compared)
{
    divergence *d = noted();
    divergence_place place;
    back_to(FROM);
    divergence_reset(d);
    frames(FROM + 1, FROM + 1, FROM + 1, 5);
    ck_assert(!divergence_find(d, history, rp_log_position(history), &place));
    divergence_destroy(d);
    rp_log_destroy(history);
}
