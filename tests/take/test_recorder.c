/* Recording in the background: nothing is lost that the disk can follow; what it cannot is thin and
 * made up for; a failing disk ends the take at a whole frame. */
#include "tape.h"

#include "take/recorder.h"

/* A disk that stands still until it is told to go on. */
typedef struct slow {
    tape t;
    uint32_t open;
} slow;

static rp_status slow_append(void *context, const void *data, size_t size_bytes)
{
    slow *s = context;
    while (!__atomic_load_n(&s->open, __ATOMIC_ACQUIRE)) {
        rp_os_word_wait(&s->open, 0, rp_os_monotonic_ns() + 1000000);
    }
    return tape_append(&s->t, data, size_bytes);
}

static rp_status slow_other(void *context)
{
    (void)context;
    return RP_OK;
}

static const void *content_of(void *context, uint32_t page)
{
    world *w = context;
    for (int i = 0; i < WORLD_PAGES; i++) {
        if (world_page(i) == page) {
            return w->pages[i];
        }
    }
    ck_abort_msg("page %#x is none of the world", page);
}

static rp_take_writer *writer_of(slow *s)
{
    rp_take_writer *writer;
    rp_take_environment environment = tape_environment();
    rp_take_writer_desc desc = {
        .sink = tape_sink(&s->t), .environment = &environment, .base_frames = 30};
    desc.sink = (rp_take_sink){s, slow_append, slow_other, slow_other};
    s->open = 1;
    ck_ok(rp_take_writer_open(&desc, &writer));
    return writer;
}

/* As world_frame; what was written in this frame alone is handed over. */
static rp_status hand_over(world *w, rp_take_recorder *r, bool *thin)
{
    rp_take_page list[WORLD_PAGES];
    size_t count = world_list(w, list);
    uint8_t input[4] = {(uint8_t)w->frames};
    rp_take_frame_desc desc = {.frame = w->frames + 1,
                               .build = 1,
                               .input = input,
                               .input_bytes = sizeof input,
                               .has_hash = true,
                               .hash = world_hash(w)};
    memset(w->owed, 0, sizeof w->owed);
    rp_status status = rp_take_recorder_frame(r, &desc, list, count, thin);
    w->copies[w->frames] = NULL;
    if (!status && !*thin) {
        w->copies[w->frames] = malloc(sizeof w->pages);
        memcpy(w->copies[w->frames], w->pages, sizeof w->pages);
    }
    w->frames++;
    return status;
}

static void write_some(world *w)
{
    for (int j = 0; j < 6; j++) {
        world_write(w, (int)(test_random(&w->random) % WORLD_PAGES));
    }
}

static void expect_take(const world *w, tape *t, uint64_t frames)
{
    rp_take *take;
    rp_take_state *state;
    ck_ok(tape_open(t, &take));
    ck_ok(rp_take_state_create(take, &state));
    for (uint64_t i = 0; i < frames; i++) {
        const rp_take_index_frame *frame = rp_take_frame_at(take, i);
        ck_assert_ptr_nonnull(frame);
        ck_assert_uint_eq(frame->frame, i + 1);
        ck_assert_int_eq(!(frame->flags & RP_TAKE_THIN), w->copies[i] != NULL);
        if (w->copies[i]) {
            ck_ok(rp_take_state_seek(state, i));
            world_expect(w, state, i);
        }
    }
    ck_assert_ptr_null(rp_take_frame_at(take, frames));
    rp_take_state_destroy(state);
    rp_take_close(take);
}

static void wait_until_written(rp_take_recorder *r)
{
    rp_take_recorder_stats stats;
    do {
        rp_os_sleep_until_ns(rp_os_monotonic_ns() + 50000);
        rp_take_recorder_stats_get(r, &stats);
    } while (stats.queued_bytes);
}

/* Wherever in it the writing stands, and whether the thread has looked meanwhile. */
TEST(an_empty_queue_holds_a_quarter_of_it_before_a_frame_is_thin)
{
    enum { QUEUE = 1 << 20 };
    slow s = {0};
    world *w = world_new(33);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    bool thin;
    ck_ok(rp_take_recorder_create(
        &(rp_take_recorder_desc){
            .writer = writer, .queue_bytes = QUEUE, .content = content_of, .context = w},
        &r));
    for (int round = 0; round < 40; round++) {
        ck_ok(hand_over(w, r, &thin)); /* what is owed goes with it */
        wait_until_written(r);
        for (int i = 0; i < round % 7; i++) {
            write_some(w);
            ck_ok(hand_over(w, r, &thin));
            ck_assert(!thin);
            wait_until_written(r);
        }
        __atomic_store_n(&s.open, 0, __ATOMIC_RELEASE);
        uint64_t held = 0;
        for (thin = false; !thin; held += 6 * RP_PAGE_BYTES) {
            for (int j = 0; j < 6; j++) {
                world_write(w, (round + j) % WORLD_PAGES);
            }
            ck_ok(hand_over(w, r, &thin));
        }
        ck_assert_uint_ge(held, QUEUE / 4);
        __atomic_store_n(&s.open, 1, __ATOMIC_RELEASE);
        wait_until_written(r);
    }
    ck_ok(rp_take_recorder_destroy(r, true));
    rp_take_writer_close(writer);
    free(s.t.bytes);
    world_free(w);
}

TEST(all_frames_that_the_disk_can_follow_are_in_the_take)
{
    slow s = {0};
    world *w = world_new(31);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    rp_take_recorder_stats stats;
    bool thin;
    ck_ok(rp_take_recorder_create(
        &(rp_take_recorder_desc){.writer = writer, .content = content_of, .context = w}, &r));
    rp_take_bookmark bookmark = {.frame = 2, .name = "here"};
    ck_ok(rp_take_recorder_record(r, RP_TAKE_BOOKMARK, &bookmark, NULL, 0, NULL, 0));
    ck_ok(rp_take_recorder_file(r, &(rp_take_part){.build = 1, .role = 1, .name = "cmdline"},
                                "/etc/passwd"));
    for (int i = 0; i < 500; i++) {
        write_some(w);
        ck_ok(hand_over(w, r, &thin));
        ck_assert(!thin);
    }
    rp_take_recorder_stats_get(r, &stats);
    ck_assert_uint_eq(stats.frames, 500);
    ck_assert_uint_eq(stats.thin + stats.lost, 0);
    ck_ok(rp_take_recorder_destroy(r, true));
    rp_take_writer_close(writer);
    expect_take(w, &s.t, 500);
    free(s.t.bytes);
    world_free(w);
}

TEST(frames_that_the_disk_cannot_follow_are_thin_and_those_after_them_whole)
{
    uint64_t random = test_seed();
    slow s = {0};
    world *w = world_new(32);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    rp_take_recorder_stats stats;
    bool thin;
    int thin_count = 0;
    rp_take_recorder_desc desc = {
        .writer = writer, .queue_bytes = 1 << 20, .content = content_of, .context = w};
    ck_ok(rp_take_recorder_create(&desc, &r));
    for (int i = 0; i < 1500; i++) {
        uint32_t open = i % 300 < 150 + (int)(test_random(&random) % 10);
        __atomic_store_n(&s.open, open, __ATOMIC_RELEASE);
        write_some(w);
        ck_ok(hand_over(w, r, &thin));
        thin_count += thin;
        if (open && i % 8 == 0) {
            rp_os_sleep_until_ns(rp_os_monotonic_ns() + 500000);
        }
    }
    rp_take_recorder_stats_get(r, &stats);
    ck_assert_uint_eq(stats.thin, (uint64_t)thin_count);
    ck_assert_uint_eq(stats.lost, 0);
    ck_assert_int_gt(thin_count, 100);
    ck_assert_int_lt(thin_count, 1200);
    __atomic_store_n(&s.open, 1, __ATOMIC_RELEASE);
    ck_ok(rp_take_recorder_destroy(r, true));
    rp_take_writer_close(writer);
    expect_take(w, &s.t, 1500);
    free(s.t.bytes);
    world_free(w);
}

TEST(when_not_even_inputs_find_room_frames_are_lost_and_counted)
{
    slow s = {0};
    world *w = world_new(33);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    rp_take_recorder_stats stats;
    bool thin;
    rp_take_recorder_desc desc = {
        .writer = writer, .queue_bytes = 1 << 16, .content = content_of, .context = w};
    ck_ok(rp_take_recorder_create(&desc, &r));
    __atomic_store_n(&s.open, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < 2000; i++) {
        write_some(w);
        ck_ok(hand_over(w, r, &thin));
    }
    rp_take_recorder_stats_get(r, &stats);
    ck_assert_uint_gt(stats.lost, 100);
    ck_assert_int_eq(rp_take_recorder_record(r, RP_TAKE_BOOKMARK, &(rp_take_bookmark){.frame = 1},
                                             NULL, 0, NULL, 0),
                     RP_E_BUSY);
    __atomic_store_n(&s.open, 1, __ATOMIC_RELEASE);
    ck_ok(rp_take_recorder_destroy(r, true));
    rp_take_writer_close(writer);
    rp_take *take;
    ck_ok(tape_open(&s.t, &take));
    ck_ok(rp_take_check(take, NULL, NULL));
    rp_take_overview overview;
    rp_take_overview_get(take, &overview);
    ck_assert_uint_eq(overview.frame_count, stats.frames - stats.lost);
    rp_take_close(take);
    free(s.t.bytes);
    world_free(w);
}

TEST(a_disk_that_fails_is_told_and_the_take_is_whole_up_to_there)
{
    slow s = {.t.room_bytes = 400000};
    world *w = world_new(34);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    bool thin;
    rp_status status = RP_OK;
    ck_ok(rp_take_recorder_create(
        &(rp_take_recorder_desc){.writer = writer, .content = content_of, .context = w}, &r));
    for (int i = 0; i < 3000 && !status; i++) {
        write_some(w);
        status = hand_over(w, r, &thin);
    }
    rp_status at_end = rp_take_recorder_destroy(r, true);
    ck_assert_int_eq(at_end, RP_E_SYSTEM);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "tape: cannot be written"));
    ck_assert(status == RP_E_SYSTEM || status == RP_OK);
    rp_take_writer_stats written;
    rp_take_writer_stats_get(writer, &written);
    rp_take_writer_close(writer);
    ck_assert_uint_gt(written.frame_count, 10);
    expect_take(w, &s.t, written.frame_count);
    free(s.t.bytes);
    world_free(w);
}

TEST(a_recorder_that_is_not_finished_leaves_a_take_without_an_index)
{
    slow s = {0};
    world *w = world_new(35);
    rp_take_writer *writer = writer_of(&s);
    rp_take_recorder *r;
    rp_take *take;
    rp_take_overview overview;
    bool thin;
    ck_ok(rp_take_recorder_create(
        &(rp_take_recorder_desc){.writer = writer, .content = content_of, .context = w}, &r));
    ck_ok(hand_over(w, r, &thin));
    ck_ok(rp_take_recorder_destroy(r, false));
    rp_take_writer_close(writer);
    ck_ok(tape_open(&s.t, &take));
    rp_take_overview_get(take, &overview);
    ck_assert(!overview.closed && !overview.from_index && overview.frame_count == 1);
    rp_take_close(take);
    free(s.t.bytes);
    world_free(w);
}
