/* What was written is what is read: against a model, and record by record. */
#include "tape.h"

#include <xxhash.h>

static void expect_all_frames(const world *w, rp_take *take, uint64_t *random)
{
    rp_take_state *state;
    ck_ok(rp_take_state_create(take, &state));
    for (uint64_t i = 0; i < w->frames; i++) {
        if (w->copies[i]) {
            ck_ok(rp_take_state_seek(state, i));
            world_expect(w, state, i);
        } else {
            ck_assert_int_eq(rp_take_state_seek(state, i), RP_E_NOT_FOUND);
        }
    }
    for (int i = 0; i < 50; i++) {
        uint64_t at = test_random(random) % w->frames;
        if (w->copies[at]) {
            ck_ok(rp_take_state_seek(state, at));
            world_expect(w, state, at);
        }
    }
    rp_take_state_destroy(state);
}

static void expect_inputs(const world *w, rp_take *take)
{
    uint8_t input[RP_TAKE_INPUT_MOST_BYTES];
    uint32_t input_bytes;
    for (uint64_t i = 0; i < w->frames; i++) {
        ck_ok(rp_take_frame_input(take, i, input, &input_bytes));
        ck_assert_uint_eq(input_bytes, i % 32);
        for (uint32_t j = 0; j < input_bytes; j++) {
            ck_assert_uint_eq(input[j], (uint8_t)i);
        }
    }
}

/* A random life: steps, thin frames, jumps back to earlier states, few or many copies. */
static void live(world *w, tape *t, uint64_t frames, size_t copy_bytes, uint32_t base_frames)
{
    rp_take_environment environment = tape_environment();
    rp_take_writer_desc desc = {.sink = tape_sink(t),
                                .environment = &environment,
                                .base_frames = base_frames,
                                .copy_bytes = copy_bytes};
    rp_take_writer *writer;
    ck_ok(rp_take_writer_open(&desc, &writer));
    for (uint64_t i = 0; i < frames; i++) {
        uint64_t r = test_random(&w->random), back = i ? (r >> 20) % i : 0;
        for (uint64_t j = 0; j < r % 12; j++) {
            world_write(w, (int)(test_random(&w->random) % WORLD_PAGES));
        }
        if (r % 31 == 7 && w->copies[back]) { /* sought */
            memcpy(w->pages, w->copies[back], sizeof w->pages);
            memset(w->owed, 1, sizeof w->owed);
        }
        ck_ok(world_frame(w, writer, i + 1, i && r % 13 == 5));
    }
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
}

TEST(every_frame_of_a_random_life_is_read_back_as_it_was)
{
    static const size_t copies[] = {1 << 20, 16 << 12, 4096};
    uint64_t random = test_seed();
    for (int i = 0; i < 6; i++) {
        world *w = world_new(test_random(&random));
        tape t = {0};
        live(w, &t, getenv("RP_LONG") ? 3000 : 300, copies[i % 3], i < 3 ? 17 : 1000000);
        for (int scanned = 0; scanned < 2; scanned++) {
            rp_take *take;
            ck_ok(rp_take_open(
                &(rp_take_open_desc){.source = tape_source(&t), .ignore_index = scanned}, &take));
            rp_take_overview overview;
            rp_take_overview_get(take, &overview);
            ck_assert_str_eq(overview.damage, "");
            ck_assert_int_eq(overview.from_index, !scanned);
            ck_assert_uint_eq(overview.frame_count, w->frames);
            ck_assert(i >= 3 || overview.base_count > 5);
            expect_all_frames(w, take, &random);
            expect_inputs(w, take);
            ck_ok(rp_take_check(take, NULL, NULL));
            rp_take_close(take);
        }
        free(t.bytes);
        world_free(w);
    }
}

TEST(the_index_and_all_records_say_the_same)
{
    world *w = world_new(5);
    tape t = {0};
    ck_ok(tape_whole(&t, w, 40));
    rp_take *a, *b;
    ck_ok(tape_open(&t, &a));
    ck_ok(rp_take_open(&(rp_take_open_desc){.source = tape_source(&t), .ignore_index = true}, &b));
    rp_take_overview first, second;
    rp_take_overview_get(a, &first);
    rp_take_overview_get(b, &second);
    ck_assert_uint_eq(first.frame_count, 40);
    ck_assert_uint_eq(first.content_count, second.content_count);
    ck_assert_uint_eq(first.base_count, second.base_count);
    ck_assert_uint_eq(first.thin_count, second.thin_count);
    ck_assert_uint_eq(first.whole_bytes, second.whole_bytes);
    for (uint64_t i = 0; i < 40; i++) {
        ck_assert_int_eq(
            memcmp(rp_take_frame_at(a, i), rp_take_frame_at(b, i), sizeof(rp_take_index_frame)), 0);
    }
    ck_assert_uint_eq(first.other_count, second.other_count);
    for (uint64_t i = 0; i < first.other_count; i++) {
        ck_assert_int_eq(
            memcmp(rp_take_other_at(a, i), rp_take_other_at(b, i), sizeof(rp_take_index_other)), 0);
    }
    rp_take_close(a);
    rp_take_close(b);
    free(t.bytes);
    world_free(w);
}

static uint64_t find_other(rp_take *take, rp_take_type type)
{
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(take, i)); i++) {
        if (other->type == type) {
            return i;
        }
    }
    ck_abort_msg("no record of type %d", type);
}

TEST(builds_lists_loops_bookmarks_and_crashes_come_back)
{
    world *w = world_new(6);
    tape t = {0};
    ck_ok(tape_whole(&t, w, 12));
    ck_assert_int_eq(t.published, 1);
    rp_take *take;
    ck_ok(tape_open(&t, &take));
    rp_take_overview overview;
    rp_take_overview_get(take, &overview);
    ck_assert_str_eq(overview.environment.module, "./game.so");
    ck_assert_uint_eq(overview.environment.canary, 9);
    rp_take_build build;
    rp_take_loop loop;
    rp_take_bookmark bookmark;
    rp_take_crash crash;
    ck_ok(rp_take_other_read(take, find_other(take, RP_TAKE_BUILD), &build, NULL, NULL));
    ck_assert_uint_eq(build.high, 0x9000);
    ck_assert_uint_eq(build.id[1], 0xcd);
    ck_ok(rp_take_other_read(take, find_other(take, RP_TAKE_LOOP), &loop, NULL, NULL));
    ck_assert_str_eq(loop.name, "jump");
    ck_ok(rp_take_other_read(take, find_other(take, RP_TAKE_BOOKMARK), &bookmark, NULL, NULL));
    ck_assert_str_eq(bookmark.name, "before the gap");
    rp_take_array input, report;
    ck_ok(rp_take_array_init(&input, 4096));
    ck_ok(rp_take_array_init(&report, 4096));
    ck_ok(rp_take_other_read(take, find_other(take, RP_TAKE_CRASH), &crash, &input, &report));
    ck_assert_int_eq(crash.signal, 11);
    ck_assert_uint_eq(input.used_bytes, 2);
    ck_assert_int_eq(memcmp(report.data, "game.c:141 step\n", 16), 0);
    rp_take_array_finish(&input);
    rp_take_array_finish(&report);
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

TEST(a_file_of_many_parts_comes_back_whole)
{
    tape t = {0};
    rp_take_writer *writer;
    size_t size = 3 * RP_TAKE_FILE_PART_BYTES + 17;
    uint8_t *data = malloc(size);
    uint64_t random = 3;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(test_random(&random) & 15);
    }
    ck_ok(tape_begin(&t, &writer));
    ck_ok(rp_take_writer_file(writer, &(rp_take_part){.build = 1, .name = "big"}, data, size));
    ck_ok(rp_take_writer_file(writer, &(rp_take_part){.build = 1, .name = "empty"}, data, 0));
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    rp_take *take;
    rp_take_array bytes;
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_array_init(&bytes, size));
    ck_ok(rp_take_file_read(take, find_other(take, RP_TAKE_FILE), &bytes));
    ck_assert_uint_eq(bytes.used_bytes, size);
    ck_assert_int_eq(memcmp(bytes.data, data, size), 0);
    bytes.used_bytes = 0;
    ck_ok(rp_take_file_read(take, find_other(take, RP_TAKE_FILE) + 4, &bytes));
    ck_assert_uint_eq(bytes.used_bytes, 0);
    ck_assert_int_eq(rp_take_file_read(take, 0, &bytes), RP_E_RANGE);
    rp_take_array_finish(&bytes);
    rp_take_close(take);
    free(t.bytes);
    free(data);
}

TEST(memory_is_read_at_the_addresses_where_it_lay)
{
    world *w = world_new(8);
    tape t = {0};
    ck_ok(tape_whole(&t, w, 12));
    rp_take *take;
    rp_take_state *state;
    rp_take_array list;
    size_t count;
    uint8_t bytes[8192];
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_state_create(take, &state));
    ck_ok(rp_take_state_seek(state, 10));
    ck_ok(rp_take_array_init(&list, 4096));
    ck_ok(rp_take_list_read(take, RP_TAKE_RANGES, 10, &list, &count));
    ck_assert_uint_eq(count, 1);
    const rp_take_range *ranges = (const rp_take_range *)(const void *)list.data;
    const uint8_t *model = w->copies[10];
    ck_ok(rp_take_state_read(state, ranges, count, 0x550000000000 + 4 * 4096 + 5, bytes, 4091));
    ck_assert_int_eq(memcmp(bytes, model + 4096 + 5, 4091), 0); /* page 4 is the second */
    ck_ok(rp_take_state_read(state, ranges, count, 0x2ff0, bytes, 32));
    ck_assert_int_eq(memcmp(bytes, model + (WORLD_PAGES - WORLD_EXTRA) * 4096 + 0xff0, 32), 0);
    ck_assert_int_eq(rp_take_state_read(state, ranges, count, 0x2000, bytes, 16), RP_E_RANGE);
    ck_assert_int_eq(
        rp_take_state_read(state, ranges, count, 0x2000 + WORLD_EXTRA * 4096 - 0x20, bytes, 17),
        RP_E_RANGE);
    uint64_t address;
    const rp_take_range *range;
    ck_assert(
        rp_take_page_address(take, ranges, count, ranges[0].first_page + 1, &address, &range));
    ck_assert_uint_eq(address, 0x3000);
    ck_assert_str_eq(range->name, "game.so .data");
    ck_assert(
        !rp_take_page_address(take, ranges, count, ranges[0].first_page - 1, &address, &range));
    rp_take_array_finish(&list);
    rp_take_state_destroy(state);
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

TEST(a_frame_that_was_made_again_counts_in_its_newest_form)
{
    world *w = world_new(9);
    tape t = {0};
    rp_take_writer *writer;
    ck_ok(tape_begin(&t, &writer));
    static const struct {
        uint64_t frame;
        bool thin;
    } frames[] = {{1, 0}, {2, 0}, {3, 0}, {2, 0}, {3, 1}, {4, 1}};
    for (size_t i = 0; i < RP_COUNT_OF(frames); i++) {
        world_write(w, (int)i);
        ck_ok(world_frame(w, writer, frames[i].frame, frames[i].thin));
    }
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    rp_take *take;
    uint64_t index;
    ck_ok(tape_open(&t, &take));
    ck_assert(rp_take_find_frame(take, 2, &index));
    ck_assert_uint_eq(index, 3);
    ck_assert(rp_take_find_frame(take, 3, &index));
    ck_assert_uint_eq(index, 2); /* the newer one is thin */
    ck_assert(rp_take_find_frame(take, 4, &index));
    ck_assert_uint_eq(index, 5);
    ck_assert(!rp_take_find_frame(take, 5, &index));
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

/* ---- what is stored how -----------------------------------------------------------------------
 */

static size_t size_of_frame(rp_take_writer *writer, uint64_t frame, const rp_take_page *pages,
                            size_t count)
{
    rp_take_writer_stats before, after;
    rp_take_writer_stats_get(writer, &before);
    ck_ok(rp_take_writer_frame(writer, &(rp_take_frame_desc){.frame = frame}, pages, count));
    rp_take_writer_stats_get(writer, &after);
    return (size_t)(after.written_bytes - before.written_bytes);
}

static void fill_random(uint8_t *page, uint64_t *random)
{
    for (size_t i = 0; i < 4096; i += 8) {
        uint64_t word = test_random(random);
        memcpy(page + i, &word, 8);
    }
}

TEST(a_content_is_stored_once_and_a_small_change_is_small)
{
    static uint8_t a[4096], b[4096];
    uint64_t random = 11;
    tape t = {0};
    rp_take_writer *writer;
    fill_random(a, &random);
    fill_random(b, &random);
    ck_ok(tape_begin(&t, &writer));
    rp_take_page first[] = {{.page = 1, .content = a}, {.page = 2, .content = b}};
    ck_assert_uint_gt(size_of_frame(writer, 1, first, 2), 8192);
    rp_take_page swapped[] = {{.page = 1, .content = b}, {.page = 2, .content = a}};
    ck_assert_uint_lt(size_of_frame(writer, 2, swapped, 2), 250);
    rp_take_page same[] = {{.page = 1, .content = b}, {.page = 3, .content = a}, {.page = 4}};
    ck_assert_uint_lt(size_of_frame(writer, 3, same, 3), 250);
    a[100] ^= 1;
    rp_take_page changed = {.page = 2, .content = a};
    ck_assert_uint_lt(size_of_frame(writer, 4, &changed, 1), 250);
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    rp_take *take;
    ck_ok(tape_open(&t, &take));
    ck_assert_uint_eq(rp_take_frame_at(take, 2)->page_count,
                      1); /* page 1 was as before, 4 is zeros */
    ck_ok(rp_take_check(take, NULL, NULL));
    rp_take_close(take);
    free(t.bytes);
}

TEST(what_the_caller_says_a_page_was_is_believed_only_when_it_was_that)
{
    static uint8_t old[4096], now[4096], other[4096];
    uint64_t random = 12;
    for (int lies = 0; lies < 2; lies++) {
        tape t = {0};
        rp_take_environment environment = tape_environment();
        rp_take_writer_desc desc = {
            .sink = tape_sink(&t), .environment = &environment, .copy_bytes = 4096};
        rp_take_writer *writer;
        fill_random(old, &random);
        fill_random(other, &random);
        memcpy(now, old, sizeof now);
        now[8] ^= 1;
        ck_ok(rp_take_writer_open(&desc, &writer));
        rp_take_page pages[] = {{.page = 1, .content = other}, {.page = 2, .content = old}};
        size_of_frame(writer, 1, pages, 2); /* page 1 has the only copy */
        pages[0].content = NULL;            /* and gives it back */
        pages[1] = (rp_take_page){.page = 2, .content = now, .previous = lies ? other : old};
        size_t size = size_of_frame(writer, 2, pages, 2);
        ck_assert_msg(lies ? size > 4096 : size < 300, "%zu bytes", size);
        ck_ok(rp_take_writer_finish(writer));
        rp_take_writer_close(writer);
        rp_take *take;
        ck_ok(tape_open(&t, &take));
        ck_ok(rp_take_check(take, NULL, NULL));
        rp_take_close(take);
        free(t.bytes);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

TEST(frames_that_cannot_be_are_refused_and_change_nothing)
{
    world *w = world_new(13);
    tape t = {0};
    rp_take_writer *writer;
    ck_ok(tape_begin(&t, &writer));
    ck_ok(world_frame(w, writer, 1, false));
    size_t size = t.size_bytes;
    rp_take_page twice[] = {{.page = 5}, {.page = 6}, {.page = 5}};
    rp_take_page beyond = {.page = RP_PAGE_LIMIT};
    rp_take_frame_desc desc = {.frame = 2};
    ck_assert_int_eq(rp_take_writer_frame(writer, &desc, twice, 3), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_take_writer_frame(writer, &desc, &beyond, 1), RP_E_ARGUMENT);
    desc.input_bytes = RP_TAKE_INPUT_MOST_BYTES + 1;
    ck_assert_int_eq(rp_take_writer_frame(writer, &desc, NULL, 0), RP_E_ARGUMENT);
    desc = (rp_take_frame_desc){.frame = 2, .thin = true};
    ck_assert_int_eq(rp_take_writer_frame(writer, &desc, twice, 1), RP_E_ARGUMENT);
    ck_assert_uint_eq(t.size_bytes, size);
    world_write(w, 3);
    ck_ok(world_frame(w, writer, 2, false));
    ck_ok(rp_take_writer_finish(writer));
    ck_assert_int_eq(rp_take_writer_frame(writer, &(rp_take_frame_desc){.frame = 3}, NULL, 0),
                     RP_E_CLOSED);
    rp_take_writer_close(writer);
    free(t.bytes);
    world_free(w);
}

TEST(pages_that_do_not_make_up_the_frames_hash_are_no_frame)
{
    world *w = world_new(14);
    tape t = {0};
    rp_take_writer *writer;
    ck_ok(tape_begin(&t, &writer));
    ck_ok(world_frame(w, writer, 1, false));
    w->pages[7][5] ^= 1; /* and nobody says that it was written */
    ck_assert_int_eq(world_frame(w, writer, 2, false), RP_E_CHANGED);
    ck_assert_int_eq(world_frame(w, writer, 2, false), RP_E_CLOSED);
    rp_take_writer_close(writer);
    rp_take *take;
    ck_ok(tape_open(&t, &take));
    ck_assert_ptr_nonnull(rp_take_frame_at(take, 0));
    ck_assert_ptr_null(rp_take_frame_at(take, 1));
    rp_take_close(take);
    free(t.bytes);
    world_free(w);
}

/* Numbers of pages reach further than the region does, and modules lie close behind it. */
TEST(memory_behind_the_region_is_that_of_its_range)
{
    tape t = {0};
    rp_take_writer *writer;
    rp_take *take;
    rp_take_state *state;
    uint8_t page[4096], read[2];
    rp_take_range range = {.start = UINT64_C(0x554800000010),
                           .size_bytes = 4000,
                           .first_page = RP_PAGE_EXTRA + 7,
                           .name = "data"};
    memset(page, 9, sizeof page);
    ck_ok(tape_begin(&t, &writer));
    ck_ok(rp_take_writer_ranges(writer, &range, 1));
    rp_take_page fed = {.page = RP_PAGE_EXTRA + 7, .content = page};
    ck_ok(rp_take_writer_frame(writer, &(rp_take_frame_desc){.frame = 1}, &fed, 1));
    ck_ok(rp_take_writer_finish(writer));
    rp_take_writer_close(writer);
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_state_create(take, &state));
    ck_ok(rp_take_state_seek(state, 0));
    ck_ok(rp_take_state_read(state, &range, 1, range.start + 5, read, sizeof read));
    ck_assert_int_eq(read[1], 9);
    ck_assert_int_eq(rp_take_state_read(state, &range, 1, range.start - 1, read, 1), RP_E_RANGE);
    rp_take_state_destroy(state);
    rp_take_close(take);
    free(t.bytes);
}
