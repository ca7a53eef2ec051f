/* rp_take_save: what a deck's history holds is in the file, frame by frame; nothing else changes;
 * what fails leaves no file. */
#include "deck/reload_module.h"
#include "support/fault.h"
#include "take/reader.h"
#include "take/state.h"

#include <errno.h>
#include <reprise/take.h>

enum { WORDS = 64 * 512, FRAMES = 200 };

/* State in a range of the program's own, and on the deck's heap. */
static uint64_t score;

typedef struct program {
    fixture files;
    rp_deck *deck;
    uint64_t *words;
    char path[128];
} program;

static program program_open(size_t budget_bytes)
{
    program p = {.files = fixture_open()};
    score = 0;
    ck_ok(rp_deck_open(&(rp_deck_desc){.reserve_bytes = RP_GIB(1), .budget_bytes = budget_bytes},
                       &p.deck));
    ck_ok(rp_range(p.deck, &score, sizeof score, RP_ZONE_WORLD, "score"));
    p.words = rp_alloc_zeroed(rp_deck_heap(p.deck), WORDS, sizeof *p.words);
    snprintf(p.path, sizeof p.path, "%s/bug.take", p.files.folder);
    return p;
}

static void program_close(program *p)
{
    rp_deck_close(p->deck);
    fixture_close(&p->files);
}

/* Frame f adds f to the score, and writes a few words that its number and the input name. */
static void play(program *p, int count)
{
    rp_deck_status status;
    rp_deck_status_get(p->deck, &status);
    for (uint64_t frame = status.frame + 1; count--; frame++) {
        uint64_t input = frame * 3;
        rp_frame_begin(p->deck, &input, sizeof input);
        score += frame;
        for (uint64_t i = 0; i < 8; i++) {
            p->words[(frame * 7919 + i * 5003) % WORDS] += frame + input;
        }
        ck_ok(rp_frame_end(p->deck, NULL));
    }
}

/* Until packing follows: frames come faster here than in a game, and what is not packed is not
 * thinned, but dropped. */
static void follow(const program *p)
{
    rp_deck_status status;
    for (int i = 0; i < 4000; i++) {
        rp_deck_idle(p->deck, 0);
        rp_deck_status_get(p->deck, &status);
        if (status.raw_bytes < status.budget_bytes * 3 / 16) {
            return;
        }
        usleep(50);
    }
}

/* ---- reading it ---- */

typedef struct reading {
    rp_take_file_source source;
    rp_take *take;
    rp_take_overview overview;
    rp_take_state *state;
    rp_take_array ranges;
    size_t range_count;
} reading;

static void reading_open(reading *r, const char *path)
{
    rp_take_open_desc desc = {0};
    *r = (reading){0};
    ck_ok(rp_take_file_open(&r->source, path, &desc.source));
    ck_ok(rp_take_open(&desc, &r->take));
    rp_take_overview_get(r->take, &r->overview);
    ck_assert_str_eq(r->overview.damage, "");
    ck_assert(r->overview.closed);
    ck_ok(rp_take_state_create(r->take, &r->state));
    ck_ok(rp_take_array_init(&r->ranges, sizeof(rp_take_range) * RP_TAKE_RANGE_MOST));
}

static void reading_close(reading *r)
{
    rp_take_array_finish(&r->ranges);
    rp_take_state_destroy(r->state);
    rp_take_close(r->take);
    rp_take_file_source_close(&r->source);
}

/* To a record's state; every frame's hash is compared on the way. */
static void reading_seek(reading *r, uint64_t index)
{
    r->ranges.used_bytes = 0;
    ck_ok(rp_take_state_seek(r->state, index));
    ck_ok(rp_take_list_read(r->take, RP_TAKE_RANGES, index, &r->ranges, &r->range_count));
}

static void reading_get(reading *r, const void *address, void *bytes, size_t size_bytes)
{
    ck_ok(rp_take_state_read(r->state, (const rp_take_range *)(const void *)r->ranges.data,
                             r->range_count, (uint64_t)(uintptr_t)address, bytes, size_bytes));
}

/* The records are the frames from `first` on, each with its input, and with the memory that the
 * deck has there. */
static void expect_frames(program *p, const char *path, uint64_t first, uint64_t count)
{
    static uint64_t words[WORDS];
    reading r;
    reading_open(&r, path);
    rp_deck_status was, after;
    rp_deck_status_get(p->deck, &was);
    ck_assert_uint_eq(r.overview.frame_count, count);
    for (uint64_t index = 0; index < count; index++) {
        uint64_t had, input, hash;
        uint8_t bytes[RP_TAKE_INPUT_MOST_BYTES];
        uint32_t input_bytes;
        const rp_take_index_frame *frame = rp_take_frame_at(r.take, index);
        ck_assert_uint_eq(frame->frame, first + index);
        ck_ok(rp_seek(p->deck, frame->frame));
        ck_ok(rp_state_hash(p->deck, frame->frame, &hash));
        ck_assert_uint_eq(frame->hash, hash);
        reading_seek(&r, index);
        reading_get(&r, &score, &had, sizeof had);
        ck_assert_uint_eq(had, score);
        ck_assert_uint_eq(had, frame->frame * (frame->frame + 1) / 2);
        reading_get(&r, p->words, words, sizeof words);
        ck_assert_mem_eq(words, p->words, sizeof words);
        ck_ok(rp_take_frame_input(r.take, index, bytes, &input_bytes));
        if (frame->frame) {
            memcpy(&input, bytes, sizeof input);
            ck_assert_uint_eq(input_bytes, sizeof input);
            ck_assert_uint_eq(input, frame->frame * 3);
        }
    }
    ck_ok(rp_seek(p->deck, was.frame));
    rp_deck_status_get(p->deck, &after);
    ck_assert_uint_eq(after.frame, was.frame);
    reading_close(&r);
}

/* ---- what is in it ---- */

TEST(every_frame_is_in_the_take_as_it_was)
{
    program p = program_open(RP_MIB(64));
    play(&p, FRAMES);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    expect_frames(&p, p.path, 0, FRAMES + 1);
    program_close(&p);
}

TEST(packed_frames_are_read_as_they_were)
{
    program p = program_open(RP_MIB(4));
    rp_deck_status status = {0};
    play(&p, FRAMES);
    for (int i = 0; i < 2000 && !status.packed_bytes; i++) {
        rp_deck_idle(p.deck, 1000000);
        rp_deck_status_get(p.deck, &status);
        usleep(500);
    }
    ck_assert_uint_gt(status.packed_bytes, 0);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    rp_deck_status_get(p.deck, &status);
    expect_frames(&p, p.path, status.oldest_frame, FRAMES + 1 - status.oldest_frame);
    program_close(&p);
}

TEST(a_part_can_be_saved_and_begins_with_the_whole_state)
{
    program p = program_open(RP_MIB(64));
    play(&p, FRAMES);
    ck_ok(rp_take_save(p.deck, p.path, 120, 150));
    expect_frames(&p, p.path, 120, 31);
    program_close(&p);
}

TEST(frames_that_were_thinned_out_have_their_input_and_hash)
{
    program p = program_open(RP_MIB(1));
    rp_deck_status status = {0};
    for (int i = 0; i < 400 && !status.thinned_count; i++) {
        play(&p, 20);
        follow(&p);
        rp_deck_status_get(p.deck, &status);
    }
    ck_assert_uint_gt(status.thinned_count, 0);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    reading r;
    reading_open(&r, p.path);
    uint64_t thin = 0;
    for (uint64_t index = 0; index < r.overview.frame_count; index++) {
        const rp_take_index_frame *frame = rp_take_frame_at(r.take, index);
        uint64_t hash;
        ck_ok(rp_state_hash(p.deck, frame->frame, &hash));
        ck_assert_uint_eq(frame->hash, hash);
        ck_assert(frame->flags & RP_TAKE_HASHED);
        if (frame->flags & RP_TAKE_THIN) {
            thin++;
        } else {
            uint64_t had;
            reading_seek(&r, index);
            reading_get(&r, &score, &had, sizeof had);
            ck_assert_uint_eq(had, frame->frame * (frame->frame + 1) / 2);
        }
    }
    ck_assert_uint_gt(thin, 0);
    ck_assert_uint_eq(r.overview.thin_count, thin);
    reading_close(&r);
    program_close(&p);
}

TEST(saving_leaves_state_history_and_the_frames_behind_as_they_are)
{
    program p = program_open(RP_MIB(64));
    rp_deck_status before, after;
    play(&p, FRAMES);
    ck_ok(rp_seek(p.deck, 50));
    rp_deck_status_get(p.deck, &before);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    rp_deck_status_get(p.deck, &after);
    ck_assert_uint_eq(score, 50 * 51 / 2);
    ck_assert_uint_eq(after.frame, 50);
    ck_assert_uint_eq(after.newest_frame, before.newest_frame);
    expect_frames(&p, p.path, 0, FRAMES + 1); /* the frames behind are saved, too */
    play(&p, 10);
    ck_assert_uint_eq(score, 60 * 61 / 2);
    program_close(&p);
}

static bool find_other(reading *r, rp_take_type type, void *record)
{
    const rp_take_index_other *other;
    for (uint64_t i = 0; (other = rp_take_other_at(r->take, i)); i++) {
        if (other->type == type) {
            ck_ok(rp_take_other_read(r->take, i, record, NULL, NULL));
            return true;
        }
    }
    return false;
}

TEST(the_loop_that_is_set_is_in_the_take)
{
    program p = program_open(RP_MIB(64));
    rp_take_loop loop;
    play(&p, FRAMES);
    ck_ok(rp_loop(p.deck, 100, 140));
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    reading r;
    reading_open(&r, p.path);
    ck_assert(find_other(&r, RP_TAKE_LOOP, &loop));
    ck_assert_uint_eq(loop.from, 100);
    ck_assert_uint_eq(loop.to, 140);
    reading_close(&r);
    remove(p.path);
    ck_ok(rp_take_save(p.deck, p.path, 110, 120)); /* where the loop's frames are not */
    reading_open(&r, p.path);
    ck_assert(!find_other(&r, RP_TAKE_LOOP, &loop));
    reading_close(&r);
    program_close(&p);
}

TEST(without_a_module_the_program_itself_is_the_build)
{
    program p = program_open(RP_MIB(64));
    rp_take_build build;
    rp_take_part part;
    struct stat self;
    play(&p, 3);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    reading r;
    reading_open(&r, p.path);
    ck_assert_uint_eq(r.overview.environment.flags, RP_TAKE_EMBEDDED);
    ck_assert(find_other(&r, RP_TAKE_BUILD, &build) && find_other(&r, RP_TAKE_FILE, &part));
    ck_assert_int_eq(stat("/proc/self/exe", &self), 0);
    ck_assert_uint_eq(part.size_bytes, self.st_size);
    ck_assert_uint_eq(build.number, 1);
    ck_assert(strstr(build.path, "take_save"));
    uint64_t here = (uint64_t)(uintptr_t)&score;
    ck_assert(here >= build.low && here < build.high);
    reading_close(&r);
    program_close(&p);
}

/* ---- a module ---- */

#define SCORE_OLD                                                                          \
    "int score = 10; int step(void) { score += 1; return score; } int *at(void) { return " \
    "&score; }\n"
#define SCORE_NEW                                                                              \
    "int pad[5000]; int score; int step(void) { score += 100; return pad[9]; } int *at(void) " \
    "{ return &score; }\n"

static const int *place_of_score(modules *m)
{
    int *(*at)(void);
    *(void **)&at = rp_deck_symbol(m->deck, "at");
    return at();
}

static void expect_score(reading *r, uint64_t index, uint32_t build, const int *place, int value)
{
    int had;
    ck_assert_uint_eq(rp_take_frame_at(r->take, index)->build, build);
    reading_seek(r, index);
    reading_get(r, place, &had, sizeof had);
    ck_assert_int_eq(had, value);
}

TEST(every_build_of_a_module_is_in_the_take_with_its_variables)
{
    char path[160];
    modules m = modules_open();
    modules_load(&m, SCORE_OLD);
    const int *old_place = place_of_score(&m);
    modules_frame(&m, "step");
    ck_ok(modules_reload(&m, SCORE_NEW, NULL));
    const int *new_place = place_of_score(&m);
    modules_frame(&m, "step");
    snprintf(path, sizeof path, "%s/bug.take", m.files.folder);
    ck_ok(rp_take_save(m.deck, path, 0, UINT64_MAX));
    reading r;
    reading_open(&r, path);
    ck_assert_uint_eq(r.overview.frame_count, 4); /* 0, 1, 1 carried, 2 */
    expect_score(&r, 0, 1, old_place, 10);
    expect_score(&r, 1, 1, old_place, 11);
    expect_score(&r, 2, 2, new_place, 11);
    expect_score(&r, 3, 2, new_place, 111);
    ck_assert_str_eq(r.overview.environment.module, m.path);

    rp_take_array bytes;
    rp_os_bytes file;
    ck_ok(rp_take_array_init(&bytes, RP_MIB(64)));
    const rp_take_index_other *other;
    rp_take_part part;
    uint32_t builds = 0;
    for (uint64_t i = 0; (other = rp_take_other_at(r.take, i)); i++) {
        builds += other->type == RP_TAKE_BUILD;
        if (other->type == RP_TAKE_FILE) {
            ck_ok(rp_take_other_read(r.take, i, &part, NULL, NULL));
            bytes.used_bytes = 0;
            ck_ok(rp_take_file_read(r.take, i, &bytes));
        }
    }
    ck_assert_uint_eq(builds, 2);
    ck_assert_uint_eq(part.build, 2); /* the last one, which is still there */
    ck_ok(rp_os_file_read(m.path, RP_MIB(64), &file));
    ck_assert_uint_eq(bytes.used_bytes, file.size_bytes);
    ck_assert_mem_eq(bytes.data, file.data, file.size_bytes);
    rp_os_file_free(&file);
    rp_take_array_finish(&bytes);
    reading_close(&r);
    modules_close(&m);
}

/* ---- what fails ---- */

TEST(nothing_that_is_there_is_replaced)
{
    program p = program_open(RP_MIB(64));
    play(&p, 3);
    fixture_write(&p.files, "bug.take", "mine");
    ck_assert_int_eq(rp_take_save(p.deck, p.path, 0, UINT64_MAX), RP_E_TAKEN);
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read(p.path, 100, &bytes));
    ck_assert_uint_eq(bytes.size_bytes, 4);
    rp_os_file_free(&bytes);
    remove(p.path);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    ck_assert_int_eq(rp_take_save(p.deck, p.path, 0, UINT64_MAX), RP_E_TAKEN); /* a take neither */
    program_close(&p);
}

TEST(frames_that_are_not_kept_are_refused_and_leave_no_file)
{
    program p = program_open(RP_MIB(64));
    ck_assert_int_eq(rp_take_save(p.deck, p.path, 0, UINT64_MAX), RP_E_RANGE); /* none yet */
    play(&p, 3);
    ck_assert_int_eq(rp_take_save(p.deck, p.path, 4, UINT64_MAX), RP_E_RANGE);
    ck_assert_int_eq(rp_take_save(p.deck, p.path, 3, 2), RP_E_RANGE);
    ck_assert(strstr(rp_error_last()->text, "from 3 to 2"));
    ck_assert_int_ne(access(p.path, F_OK), 0);
    ck_assert_int_lt(rp_take_save(p.deck, "/nowhere/at/all.take", 0, 3), 0);
    program_close(&p);
}

static rp_status attempt(void *context)
{
    program *p = context;
    rp_status status = rp_take_save(p->deck, p->path, 0, UINT64_MAX);
    ck_assert(status || access(p->path, F_OK) == 0);
    remove(p->path); /* there also where only its name could not be brought to the disk */
    return status;
}

TEST(each_call_to_the_system_may_fail_and_the_deck_goes_on)
{
    program p = program_open(RP_MIB(64));
    play(&p, 40);
    size_t failed = fault_each_call_or_recover(attempt, &p, ENOMEM);
    failed += fault_each_call_or_recover(attempt, &p, ENOSPC);
#ifdef RP_FAULTS
    ck_assert_uint_gt(failed, 20);
#endif
    play(&p, 10);
    ck_assert_uint_eq(score, 50 * 51 / 2);
    ck_ok(rp_take_save(p.deck, p.path, 0, UINT64_MAX));
    expect_frames(&p, p.path, 0, 51);
    program_close(&p);
}
