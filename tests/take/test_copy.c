/* Parts of takes, and what differs between two states. */
#include "tape.h"

#include "take/copy.h"

static rp_status copy(rp_take *take, tape *to, uint64_t first, uint64_t last, bool inputs_alone)
{
    rp_take_writer *writer;
    rp_status status = tape_begin(to, &writer);
    rp_take_copy_desc desc = {.first = first, .last = last, .inputs_alone = inputs_alone};
    status = status ? status : rp_take_copy(take, &desc, writer);
    status = status ? status : rp_take_writer_finish(writer);
    rp_take_writer_close(writer);
    return status;
}

TEST(any_part_of_a_take_is_a_take_with_the_same_frames_inputs_and_builds)
{
    uint64_t random = test_seed();
    world *w = world_new(21);
    tape t = {0};
    rp_take *take, *part;
    rp_take_state *state;
    ck_ok(tape_whole(&t, w, 60));
    ck_ok(tape_open(&t, &take));
    for (int i = 0; i < 8; i++) {
        uint64_t first = test_random(&random) % 60,
                 last = first + test_random(&random) % (60 - first);
        tape p = {0};
        ck_ok(copy(take, &p, first, last, false));
        ck_ok(tape_open(&p, &part));
        ck_ok(rp_take_check(part, NULL, NULL));
        ck_ok(rp_take_state_create(part, &state));
        for (uint64_t at = first; at <= last; at++) {
            uint8_t input[RP_TAKE_INPUT_MOST_BYTES];
            uint32_t input_bytes;
            const rp_take_index_frame *frame = rp_take_frame_at(part, at - first);
            ck_assert_ptr_nonnull(frame);
            ck_assert_uint_eq(frame->frame, at + 1);
            ck_assert_uint_eq(frame->step_ns, 1000 + at);
            ck_assert_int_eq(!(frame->flags & RP_TAKE_THIN), w->copies[at] != NULL);
            ck_ok(rp_take_frame_input(part, at - first, input, &input_bytes));
            ck_assert_uint_eq(input_bytes, at % 32);
            if (w->copies[at]) {
                ck_ok(rp_take_state_seek(state, at - first));
                world_expect(w, state, at);
            }
        }
        ck_assert_ptr_null(rp_take_frame_at(part, last - first + 1));
        rp_take_array bytes;
        size_t count;
        ck_ok(rp_take_array_init(&bytes, 1 << 20));
        ck_ok(rp_take_list_read(part, RP_TAKE_RANGES, 0, &bytes, &count));
        ck_assert_uint_eq(count, 1);
        rp_take_array_finish(&bytes);
        rp_take_state_destroy(state);
        rp_take_close(part);
        free(p.bytes);
    }
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

static int count_of(rp_take *take, rp_take_type type)
{
    const rp_take_index_other *other;
    int count = 0;
    for (uint64_t i = 0; (other = rp_take_other_at(take, i)); i++) {
        count += other->type == type;
    }
    return count;
}

TEST(loops_bookmarks_and_crashes_go_with_their_frames)
{
    world *w = world_new(22);
    tape t = {0};
    rp_take *take, *part;
    ck_ok(tape_whole(&t, w, 8)); /* a loop from 2 to 5, a bookmark at 3, a crash of frame 9 */
    ck_ok(tape_open(&t, &take));
    static const struct {
        uint64_t first, last;
        int loops, bookmarks, crashes;
    } cases[] = {
        {0, 7, 1, 1, 1}, {2, 7, 0, 1, 1}, {3, 7, 0, 0, 1}, {0, 6, 1, 1, 0}, {0, 2, 0, 1, 0}};
    for (size_t i = 0; i < RP_COUNT_OF(cases); i++) {
        tape p = {0};
        ck_ok(copy(take, &p, cases[i].first, cases[i].last, false));
        ck_ok(tape_open(&p, &part));
        ck_assert_int_eq(count_of(part, RP_TAKE_LOOP), cases[i].loops);
        ck_assert_int_eq(count_of(part, RP_TAKE_BOOKMARK), cases[i].bookmarks);
        ck_assert_int_eq(count_of(part, RP_TAKE_CRASH), cases[i].crashes);
        ck_assert_int_eq(count_of(part, RP_TAKE_BUILD), 1);
        ck_assert_int_eq(count_of(part, RP_TAKE_FILE), 1);
        rp_take_close(part);
        free(p.bytes);
    }
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

TEST(a_take_of_inputs_alone_has_one_state_and_all_inputs_and_hashes)
{
    world *w = world_new(23);
    tape t = {0}, p = {0};
    rp_take *take, *part;
    rp_take_overview overview;
    ck_ok(tape_whole(&t, w, 60));
    ck_ok(tape_open(&t, &take));
    ck_ok(copy(take, &p, 1, 59, true));
    ck_ok(tape_open(&p, &part));
    ck_ok(rp_take_check(part, NULL, NULL));
    rp_take_overview_get(part, &overview);
    ck_assert_uint_eq(overview.frame_count, 59);
    ck_assert_uint_eq(overview.thin_count, 58);
    for (uint64_t i = 0; i < 59; i++) {
        ck_assert_uint_eq(rp_take_frame_at(part, i)->hash, rp_take_frame_at(take, i + 1)->hash);
    }
    ck_assert_uint_lt(p.size_bytes, t.size_bytes * 3 / 4);
    rp_take_close(part);
    rp_take_close(take);
    free(t.bytes), free(p.bytes);
    world_free(w);
}

TEST(a_part_that_is_not_there_is_refused)
{
    world *w = world_new(24);
    tape t = {0}, p = {0};
    rp_take *take;
    ck_ok(tape_whole(&t, w, 6));
    ck_ok(tape_open(&t, &take));
    ck_assert_int_eq(copy(take, &p, 2, 6, false), RP_E_RANGE);
    free(p.bytes);
    p = (tape){0};
    ck_assert_int_eq(copy(take, &p, 3, 2, false), RP_E_RANGE);
    free(p.bytes);
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

/* ---- differences ------------------------------------------------------------------------------
 */

typedef struct marks {
    uint8_t changed[WORLD_PAGES][4096];
    uint64_t last;
} marks;

static void mark(void *context, const rp_take_difference *d)
{
    marks *m = context;
    uint64_t at = (uint64_t)d->page * 4096 + d->offset_bytes;
    ck_assert_uint_ge(at, m->last);
    m->last = at + d->size_bytes;
    ck_assert(d->a[0] != d->b[0] && d->a[d->size_bytes - 1] != d->b[d->size_bytes - 1]);
    for (int i = 0; i < WORLD_PAGES; i++) {
        if (world_page(i) == d->page) {
            memset(m->changed[i] + d->offset_bytes, 1, d->size_bytes);
        }
    }
}

TEST(differences_are_all_bytes_that_differ_and_few_others)
{
    world *w = world_new(25);
    tape t = {0};
    rp_take *take;
    rp_take_state *a, *b;
    rp_take_difference_sum sum;
    marks *m = calloc(1, sizeof *m);
    uint64_t bytes = 0;
    ck_ok(tape_whole(&t, w, 40));
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_state_create(take, &a));
    ck_ok(rp_take_state_create(take, &b));
    ck_ok(rp_take_state_seek(a, 3));
    ck_ok(rp_take_state_seek(b, 35));
    ck_ok(rp_take_compare(a, b, mark, m, &sum));
    for (int i = 0; i < WORLD_PAGES; i++) {
        for (int j = 0; j < 4096; j++) {
            int differ = w->copies[3][i * 4096 + j] != w->copies[35][i * 4096 + j];
            if (differ && !m->changed[i][j]) {
                ck_abort_msg("page %d byte %d differs and was not told", i, j);
            }
            bytes += m->changed[i][j];
        }
    }
    ck_assert_uint_eq(bytes, sum.byte_count);
    ck_assert_uint_gt(sum.page_count, 10);
    ck_ok(rp_take_compare(a, a, mark, m, &sum));
    ck_assert_uint_eq(sum.page_count + sum.span_count + sum.byte_count, 0);
    rp_take_state_destroy(a);
    rp_take_state_destroy(b);
    rp_take_close(take);
    free(m);
    free(t.bytes);
    world_free(w);
}
