/* A take that was cut, changed or made up: the frames before it, or an error that names the offset
 * and the reason. */
#include "reseal.h"
#include "tape.h"

#include <malloc.h>

enum { PAGES = 7, FRAMES = 9 };

typedef struct small {
    tape t;
    uint8_t models[FRAMES][PAGES][4096];
} small;

/* A take of some KB with all kinds of records, and what each frame was. */
static small *small_take(void)
{
    static uint8_t pages[PAGES][4096];
    mallopt(M_MMAP_THRESHOLD, 1 << 24); /* zstd's memory, thousands of times */
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    small *s = calloc(1, sizeof *s);
    rp_take_writer *writer;
    rp_take_environment environment = tape_environment();
    rp_take_writer_desc desc = {.sink = tape_sink(&s->t),
                                .take_id = 77,
                                .environment = &environment,
                                .region_base = 0x550000000000,
                                .base_frames = 3};
    rp_take_part part = {.build = 1, .role = RP_TAKE_ROLE_MODULE, .name = "game.so"};
    rp_take_range range = {
        .start = 0x2000, .size_bytes = 4096, .first_page = RP_PAGE_EXTRA, .name = ".data"};
    ck_ok(rp_take_writer_open(&desc, &writer));
    ck_ok(rp_take_writer_build(writer, &(rp_take_build){.number = 1, .path = "game.so"}));
    ck_ok(rp_take_writer_file(writer, &part, "bytes of a file", 15));
    ck_ok(rp_take_writer_ranges(writer, &range, 1));
    for (int f = 0; f < FRAMES; f++) {
        rp_take_page list[PAGES];
        for (int p = 0; p < PAGES; p++) {
            pages[p][f * 8] = (uint8_t)(f + p);
            memset(pages[p] + 1000, f % 4 == 3 ? f : 0, p == 2 ? 3000 : 0);
            list[p] = (rp_take_page){.page = p < 6 ? (uint32_t)p * 2 : RP_PAGE_EXTRA,
                                     .content = pages[p]};
        }
        memcpy(s->models[f], pages, sizeof pages);
        rp_take_frame_desc frame = {
            .frame = (uint64_t)f + 1, .build = 1, .input = "keys", .input_bytes = 4};
        ck_ok(rp_take_writer_frame(writer, &frame, list, PAGES));
    }
    ck_ok(tape_end(writer));
    rp_take_writer_close(writer);
    return s;
}

static void small_free(small *s)
{
    free(s->t.bytes);
    free(s);
}

/* Check tells a file about each of its assertions, which takes longer than reading the take. */
#define REQUIRE(x)                                          \
    do {                                                    \
        if (!(x)) {                                         \
            ck_abort_msg(#x ": %s", rp_error_last()->text); \
        }                                                   \
    } while (0)

static void expect_told(rp_status status)
{
    const char *text = rp_error_last()->text;
    REQUIRE(status == RP_E_FORMAT || status == RP_E_UNSUPPORTED || status == RP_E_LIMIT);
    REQUIRE(status != RP_E_FORMAT || strstr(text, ": at ") || strstr(text, "tape: ends"));
}

static void expect_nothing(const rp_take_state *state)
{
    size_t cursor = 0;
    uint32_t page;
    const uint8_t *content;
    REQUIRE(!rp_take_state_next(state, &cursor, &page, &content));
}

static void expect_model(const small *s, const rp_take_state *state, uint64_t frame)
{
    static const uint8_t zeros[4096];
    for (int p = 0; p < PAGES; p++) {
        const uint8_t *page = rp_take_state_page(state, p < 6 ? (uint32_t)p * 2 : RP_PAGE_EXTRA);
        REQUIRE(memcmp(page ? page : zeros, s->models[frame][p], 4096) == 0);
    }
}

static int read_frames(const small *s, rp_take *take, bool true_frames)
{
    rp_take_state *state;
    int good = 0;
    REQUIRE(rp_take_state_create(take, &state) == RP_OK);
    for (uint64_t i = 0; rp_take_frame_at(take, i) && i < 100; i++) {
        rp_status status = rp_take_state_seek(state, i);
        if (status && status != RP_E_NOT_FOUND) {
            expect_told(status);
            expect_nothing(state);
        } else if (!status) {
            good++;
        }
        if (!status && true_frames) {
            expect_model(s, state, i);
        }
    }
    rp_take_state_destroy(state);
    return good;
}

/* Reads all that there is. Frames that can be read are what they were, where `true_frames` says so.
 * Returns how many could be; *noticed: whether anything is wrong with the take. */
static int read_all(const small *s, tape *t, bool ignore_index, bool true_frames, bool *noticed)
{
    rp_take *take;
    rp_take_open_desc desc = {
        .source = tape_source(t), .ignore_index = ignore_index, .memory_limit_bytes = 1 << 26};
    rp_status status = rp_take_open(&desc, &take);
    *noticed = true;
    if (status) {
        expect_told(status);
        return -1;
    }
    int good = read_frames(s, take, true_frames);
    status = rp_take_check(take, NULL, NULL);
    *noticed = status != RP_OK;
    if (status) {
        expect_told(status);
    }
    rp_take_close(take);
    return good;
}

TEST(a_take_that_is_cut_anywhere_has_the_frames_before_the_cut)
{
    small *s = small_take();
    tape cut = s->t;
    int most = -1;
    bool noticed;
    ck_assert_int_eq(read_all(s, &cut, false, true, &noticed), FRAMES);
    for (size_t size = 0; size < s->t.size_bytes; size++) {
        cut.bytes = malloc(size + 1); /* of its own size, for the sanitizers */
        memcpy(cut.bytes, s->t.bytes, size);
        cut.size_bytes = size;
        int good = read_all(s, &cut, false, true, &noticed);
        if (good < most) {
            ck_abort_msg("cut at %zu: %d frames, and before %d", size, good, most);
        }
        most = good;
        free(cut.bytes);
    }
    ck_assert_int_eq(most, FRAMES);
    small_free(s);
}

TEST(a_byte_that_is_changed_anywhere_is_noticed_and_no_frame_is_ever_wrong)
{
    small *s = small_take();
    tape changed = {.bytes = malloc(s->t.size_bytes), .size_bytes = s->t.size_bytes};
    uint64_t random = test_seed();
    bool noticed;
    int rounds = getenv("RP_LONG") ? 8 : 1;
    for (size_t i = 0; i < s->t.size_bytes * rounds; i++) {
        size_t at = i / rounds;
        memcpy(changed.bytes, s->t.bytes, s->t.size_bytes);
        uint64_t flip = rounds == 1 ? 1 + test_random(&random) % 255 : UINT64_C(1) << i % 8;
        changed.bytes[at] ^= (uint8_t)flip;
        int indexed = read_all(s, &changed, false, true, &noticed);
        ck_assert_msg(noticed, "byte %zu was changed and nobody noticed", at);
        if (i % 4 == 0) {
            int scanned = read_all(s, &changed, true, true, &noticed);
            ck_assert_msg(indexed >= scanned, "byte %zu: %d frames by the index and %d without", at,
                          indexed, scanned);
        }
    }
    free(changed.bytes);
    small_free(s);
}

TEST(damage_behind_right_checksums_is_told_and_does_no_harm)
{
    static const uint64_t numbers[] = {
        0, 1, 17, 255, 4096, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 31, 1ull << 62};
    small *s = small_take();
    tape changed = {.bytes = malloc(s->t.size_bytes), .size_bytes = s->t.size_bytes};
    bool noticed;
    for (size_t at = 0; at < s->t.size_bytes; at++) {
        for (size_t n = at % 10; n < RP_COUNT_OF(numbers); n += getenv("RP_LONG") ? 1 : 10) {
            size_t width = 1 + (at + n) % 8;
            memcpy(changed.bytes, s->t.bytes, s->t.size_bytes);
            memcpy(changed.bytes + at, &numbers[n],
                   width < s->t.size_bytes - at ? width : s->t.size_bytes - at);
            reseal(changed.bytes, changed.size_bytes);
            read_all(s, &changed, at / 10 % 2, false, &noticed);
        }
    }
    free(changed.bytes);
    small_free(s);
}

TEST(random_damage_behind_right_checksums_does_no_harm)
{
    small *s = small_take();
    tape changed = {.bytes = malloc(s->t.size_bytes), .size_bytes = s->t.size_bytes};
    uint64_t random = test_seed();
    bool noticed;
    for (int i = 0; i < (getenv("RP_LONG") ? 100000 : 2000); i++) {
        memcpy(changed.bytes, s->t.bytes, s->t.size_bytes);
        for (uint64_t j = 0; j <= random % 4; j++) {
            uint64_t r = test_random(&random);
            changed.bytes[r % s->t.size_bytes] ^= (uint8_t)(1 << (r >> 40) % 8);
        }
        reseal(changed.bytes, changed.size_bytes);
        read_all(s, &changed, i % 2, false, &noticed);
    }
    free(changed.bytes);
    small_free(s);
}

/* ---- one by one -------------------------------------------------------------------------------
 */

static void expect_header(small *s, size_t at, uint32_t value, rp_status expected, const char *says)
{
    uint8_t kept[4];
    rp_take *take;
    memcpy(kept, s->t.bytes + at, 4);
    rp_take_put_u32(s->t.bytes + at, value);
    reseal_header(s->t.bytes);
    ck_assert_int_eq(tape_open(&s->t, &take), expected);
    ck_assert_msg(strstr(rp_error_last()->text, says), "%s", rp_error_last()->text);
    ck_assert_ptr_null(take);
    memcpy(s->t.bytes + at, kept, 4);
    reseal_header(s->t.bytes);
}

TEST(another_version_machine_page_size_or_base_is_named)
{
    small *s = small_take();
    rp_take *take;
    expect_header(s, offsetof(rp_take_header, version), 2, RP_E_UNSUPPORTED, "version 2");
    expect_header(s, offsetof(rp_take_header, architecture), 183, RP_E_UNSUPPORTED,
                  "architecture is 0xb7");
    expect_header(s, offsetof(rp_take_header, page_bytes), 16384, RP_E_UNSUPPORTED,
                  "page size is 0x4000");
    expect_header(s, offsetof(rp_take_header, flags), 1, RP_E_UNSUPPORTED, "flags");
    expect_header(s, 0, 0, RP_E_FORMAT, "at 0: this is no take");
    rp_take_open_desc desc = {.source = tape_source(&s->t), .region_base = 0x660000000000};
    ck_assert_int_eq(rp_take_open(&desc, &take), RP_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "0x550000000000"));
    small_free(s);
}

TEST(a_record_that_was_moved_or_comes_from_another_take_is_none)
{
    small *s = small_take();
    rp_take *take;
    ck_ok(tape_open(&s->t, &take));
    rp_take_index_frame frame = *rp_take_frame_at(take, FRAMES - 1);
    rp_take_close(take);
    tape doubled = {.bytes = malloc(s->t.size_bytes + frame.record_bytes)};
    size_t end = (size_t)(frame.offset + frame.record_bytes);
    memcpy(doubled.bytes, s->t.bytes, end);
    memcpy(doubled.bytes + end, s->t.bytes + frame.offset, frame.record_bytes);
    doubled.size_bytes = end + (size_t)frame.record_bytes;
    ck_ok(tape_open(&doubled, &take));
    rp_take_overview overview;
    rp_take_overview_get(take, &overview);
    ck_assert_uint_eq(overview.frame_count, FRAMES);
    ck_assert_uint_eq(overview.whole_bytes, end);
    ck_assert_ptr_nonnull(strstr(overview.damage, "checksum"));
    rp_take_close(take);
    free(doubled.bytes);
    small_free(s);
}

/* Writes records as they come, with right checksums. */
static void put_record(tape *t, rp_take_type type, const void *fixed, const void *tail,
                       size_t tail_bytes)
{
    const rp_take_kind *kind = rp_take_kind_of(type);
    uint32_t fixed_bytes = kind ? rp_take_layout_of(kind->layout)->size_bytes : 8;
    uint8_t bytes[8192], *body = bytes + RP_TAKE_BYTES_record;
    rp_take_codec codec = {0};
    size_t packed = 0;
    if (tail_bytes) {
        ck_ok(rp_take_pack(&codec, tail, tail_bytes, body + fixed_bytes, 6000, &packed));
    }
    rp_take_codec_finish(&codec);
    if (kind) {
        rp_take_encode(kind->layout, fixed, body);
    }
    rp_take_record head = {.type = type,
                           .plain_bytes = fixed_bytes,
                           .packed_bytes = packed,
                           .unpacked_bytes = tail_bytes};
    rp_take_encode(RP_TAKE_STRUCT_record, &head, bytes);
    head.checksum = rp_take_record_checksum(77, t->size_bytes, bytes, body, fixed_bytes + packed);
    rp_take_encode(RP_TAKE_STRUCT_record, &head, bytes);
    ck_ok(tape_append(t, bytes, RP_TAKE_BYTES_record + fixed_bytes + packed));
}

static void begin_by_hand(tape *t)
{
    small *s = small_take();
    *t = (tape){0};
    ck_ok(tape_append(t, s->t.bytes,
                      RP_TAKE_BYTES_header + RP_TAKE_BYTES_record + RP_TAKE_BYTES_environment));
    small_free(s);
}

TEST(a_base_of_more_memory_than_may_be_used_is_refused_before_it_is_taken)
{
    tape t;
    uint8_t zeros[4096] = {1}, run[RP_TAKE_BYTES_run];
    begin_by_hand(&t);
    put_record(&t, RP_TAKE_PAGES, &(rp_take_pages){.count = 1}, zeros, sizeof zeros);
    put_record(&t, RP_TAKE_FRAME, &(rp_take_frame){.frame = 1, .flags = RP_TAKE_HASHED}, NULL, 0);
    rp_take_encode(RP_TAKE_STRUCT_run, &(rp_take_run){.count = 1}, run);
    put_record(&t, RP_TAKE_BASE, &(rp_take_base){.page_count = 0x04000000, .run_count = 1}, run,
               sizeof run);
    rp_take *take;
    rp_take_state *state;
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_state_create(take, &state));
    ck_assert_int_eq(rp_take_state_seek(state, 0), RP_E_LIMIT);
    rp_take_state_destroy(state);
    rp_take_close(take);
    free(t.bytes);
}

TEST(what_newer_programs_add_is_passed_over_only_where_they_said_that_it_may_be)
{
    for (int optional = 0; optional < 2; optional++) {
        tape t;
        begin_by_hand(&t);
        put_record(&t, (rp_take_type)(optional ? RP_TAKE_OPTIONAL + 3 : 99), NULL, NULL, 0);
        put_record(&t, RP_TAKE_FRAME, &(rp_take_frame){.frame = 1, .flags = RP_TAKE_HASHED}, NULL,
                   0);
        rp_take *take;
        rp_take_overview overview;
        ck_ok(tape_open(&t, &take));
        rp_take_overview_get(take, &overview);
        ck_assert_uint_eq(overview.frame_count, optional);
        ck_assert_msg(optional ? !overview.damage[0] : strstr(overview.damage, "type 99") != NULL,
                      "%s", overview.damage);
        if (optional) {
            ck_ok(rp_take_check(take, NULL, NULL));
        }
        rp_take_close(take);
        free(t.bytes);
    }
}

TEST(a_second_part_that_unpacks_to_more_than_it_says_is_refused)
{
    tape t;
    static uint8_t much[65536];
    begin_by_hand(&t);
    size_t at = t.size_bytes;
    much[0] = 1;
    put_record(&t, RP_TAKE_PAGES, &(rp_take_pages){.count = 1}, much, sizeof much);
    rp_take_put_u64(t.bytes + at + 16, 4096); /* unpacked_bytes */
    put_record(
        &t, RP_TAKE_FRAME,
        &(rp_take_frame){.frame = 1, .flags = RP_TAKE_HASHED, .page_count = 1, .content_count = 1},
        (uint8_t[13]){0, 0, 0, 0, RP_TAKE_IS_CONTENT}, 13);
    uint8_t *padded = calloc(1, t.size_bytes + RP_TAKE_BYTES_trailer);
    memcpy(padded, t.bytes, t.size_bytes);
    reseal(padded, t.size_bytes + RP_TAKE_BYTES_trailer);
    tape sealed = {.bytes = padded, .size_bytes = t.size_bytes};
    rp_take *take;
    rp_take_state *state;
    ck_ok(tape_open(&sealed, &take));
    ck_ok(rp_take_state_create(take, &state));
    ck_assert_int_eq(rp_take_state_seek(state, 0), RP_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "does not unpack to 4096"));
    rp_take_state_destroy(state);
    rp_take_close(take);
    free(padded);
    free(t.bytes);
}

TEST(pages_with_another_hash_than_the_frames_are_not_its_memory)
{
    tape t;
    uint8_t page[4096] = {1}, columns[13] = {9, 0, 0, 0, RP_TAKE_IS_CONTENT};
    begin_by_hand(&t);
    put_record(&t, RP_TAKE_PAGES, &(rp_take_pages){.count = 1}, page, sizeof page);
    rp_take_frame frame = {.frame = 1,
                           .flags = RP_TAKE_HASHED,
                           .page_count = 1,
                           .content_count = 1,
                           .hash = rp_take_page_hash(9, page)};
    put_record(&t, RP_TAKE_FRAME, &frame, columns, sizeof columns);
    frame.frame = 2;
    frame.hash++;
    put_record(&t, RP_TAKE_FRAME, &frame, columns, sizeof columns);
    rp_take *take;
    rp_take_state *state;
    ck_ok(tape_open(&t, &take));
    ck_ok(rp_take_state_create(take, &state));
    ck_ok(rp_take_state_seek(state, 0));
    ck_assert_int_eq(rp_take_state_seek(state, 1), RP_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "frame 2 does not have the hash"));
    ck_assert_ptr_null(rp_take_state_page(state, 9));
    rp_take_state_destroy(state);
    rp_take_close(take);
    free(t.bytes);
}

/* ---- takes of all versions --------------------------------------------------------------------
 */

/* RP_MAKE_FIXTURE=FILE writes a take of this version, for a change of the format. */
TEST(the_take_of_version_1_that_is_kept_is_read)
{
    small *s = small_take();
    rp_take_file_source file;
    rp_take_open_desc desc = {0};
    rp_take *take;
    rp_take_overview overview;
    if (getenv("RP_MAKE_FIXTURE")) {
        ck_ok(rp_os_file_write(getenv("RP_MAKE_FIXTURE"), s->t.bytes, s->t.size_bytes));
    }
    ck_ok(rp_take_file_open(&file, RP_TEST_DATA "/version-1.take", &desc.source));
    ck_ok(rp_take_open(&desc, &take));
    rp_take_overview_get(take, &overview);
    ck_assert_str_eq(overview.environment.title, "Game");
    ck_assert_uint_eq(overview.frame_count, FRAMES);
    ck_assert_uint_eq(overview.header.version, 1);
    ck_ok(rp_take_check(take, NULL, NULL));
    ck_assert_int_eq(read_frames(s, take, true), FRAMES);
    rp_take_close(take);
    rp_take_file_source_close(&file);
    small_free(s);
}
