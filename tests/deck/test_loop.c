/* The store of a loop over a log without a world. */
#include "deck/input.h"
#include "deck/loop.h"
#include "support/test.h"

#include <string.h>

enum { BUDGET_BYTES = 1 << 20 };

static void commit(rp_log *log, uint64_t frame, uint32_t kind, const void *input, size_t bytes)
{
    rp_record_desc desc = {
        .frame = frame, .build = 1, .kind = kind, .input = input, .input_bytes = (uint32_t)bytes};
    ck_ok(rp_log_commit(log, &desc, NULL, 0));
}

/* Frames 0 to `last`; frame n has n % 5 bytes of input, each n. */
static rp_log *log_of(uint64_t last)
{
    rp_log *log;
    ck_ok(rp_log_create(BUDGET_BYTES, &log));
    for (uint64_t frame = 0; frame <= last; frame++) {
        uint8_t input[5];
        memset(input, (int)frame, sizeof input);
        commit(log, frame, RP_RECORD_FRAME, input, frame % 5);
    }
    return log;
}

static void ck_holds(const rp_loop_store *loop, uint64_t frame)
{
    uint32_t bytes;
    const uint8_t *input = rp_loop_input_bytes(loop, frame, &bytes);
    ck_assert_uint_eq(bytes, frame % 5);
    ck_assert_int_eq(input == NULL, bytes == 0);
    for (uint32_t i = 0; i < bytes; i++) {
        ck_assert_uint_eq(input[i], frame & 0xff);
    }
}

TEST(a_loop_keeps_its_inputs_when_the_log_has_dropped_them)
{
    rp_log *log = log_of(100);
    rp_loop_store loop = {0};
    const rp_page_slot *entries;
    size_t count;
    uint64_t index;
    ck_ok(rp_loop_set(&loop, log, 20, 90));
    ck_assert(rp_log_find_frame(log, 20, &index));
    ck_ok(rp_log_seek(log, index, &entries, &count));
    commit(log, 21, RP_RECORD_FRAME, "other", 5);
    ck_assert(!rp_log_find_frame(log, 22, &index));
    rp_log_destroy(log);
    for (uint64_t frame = 21; frame <= 90; frame++) {
        ck_holds(&loop, frame);
    }
    rp_loop_clear(&loop);
    ck_assert(!rp_loop_is_set(&loop));
}

TEST(the_input_of_a_frame_that_was_carried_to_another_build_is_found)
{
    rp_log *log = log_of(10);
    rp_loop_store loop = {0};
    commit(log, 10, RP_RECORD_CARRIED, NULL, 0);
    commit(log, 10, RP_RECORD_CARRIED, NULL, 0);
    commit(log, 11, RP_RECORD_FRAME, "\x0b", 1);
    ck_ok(rp_loop_set(&loop, log, 8, 11));
    ck_holds(&loop, 9);
    uint32_t bytes;
    ck_assert_ptr_null(rp_loop_input_bytes(&loop, 10, &bytes));
    ck_holds(&loop, 11);
    rp_loop_clear(&loop);
    ck_ok(rp_loop_set(&loop, log, 10, 11)); /* begins at a carried frame */
    rp_loop_clear(&loop);
    rp_log_destroy(log);
}

TEST(what_cannot_loop_is_refused_and_leaves_the_old_loop)
{
    rp_log *log = log_of(10);
    rp_loop_store loop = {0};
    ck_ok(rp_loop_set(&loop, log, 2, 6));
    ck_assert_int_eq(rp_loop_set(&loop, log, 6, 6), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_loop_set(&loop, log, 7, 6), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_loop_set(&loop, log, 0, UINT64_MAX), RP_E_ARGUMENT);
    ck_assert_int_eq(rp_loop_set(&loop, log, 5, 11), RP_E_RANGE);
    ck_assert_int_eq(rp_loop_set(&loop, log, 11, 12), RP_E_RANGE);
    ck_assert_uint_eq(loop.from, 2);
    ck_holds(&loop, 6);
    rp_loop_clear(&loop);
    rp_log_destroy(log);
}

TEST(setting_a_loop_again_replaces_it)
{
    rp_log *log = log_of(300);
    rp_loop_store loop = {0};
    for (uint64_t from = 0; from < 290; from++) {
        ck_ok(rp_loop_set(&loop, log, from, from + 10));
        ck_holds(&loop, from + 1);
        ck_holds(&loop, from + 10);
    }
    rp_loop_clear(&loop);
    rp_loop_clear(&loop);
    rp_log_destroy(log);
}

TEST(packed_inputs_come_back_unpacked)
{
    rp_log *log = log_of(0);
    rp_loop_store loop = {0};
    rp_input input = {.text = "hi"}, out;
    uint8_t packed[RP_INPUT_PACKED_MAX];
    commit(log, 1, RP_RECORD_FRAME, packed, rp_input_pack(&input, packed));
    commit(log, 2, RP_RECORD_FRAME, NULL, 0);
    commit(log, 3, RP_RECORD_FRAME, "\xff", 1);
    ck_ok(rp_loop_set(&loop, log, 0, 3));
    ck_ok(rp_loop_input(&loop, 1, &out));
    ck_assert_mem_eq(&out, &input, sizeof out);
    ck_ok(rp_loop_input(&loop, 2, &out));
    ck_assert_str_eq(out.text, "");
    ck_assert_int_eq(rp_loop_input(&loop, 3, &out), RP_E_FORMAT);
    ck_assert_int_eq(rp_loop_input(&loop, 0, &out), RP_E_RANGE);
    ck_assert_int_eq(rp_loop_input(&loop, 4, &out), RP_E_RANGE);
    rp_loop_clear(&loop);
    ck_assert_int_eq(rp_loop_input(&loop, 1, &out), RP_E_RANGE);
    rp_log_destroy(log);
}

TEST(the_first_pass_under_a_build_is_the_measure_of_the_later_ones)
{
    rp_log *log = log_of(10);
    rp_loop_store loop = {0};
    ck_ok(rp_loop_set(&loop, log, 2, 6));
    ck_assert(!rp_loop_hash_note(&loop, 3, 1, 111).diverged);
    ck_assert(!rp_loop_hash_note(&loop, 4, 1, 222).diverged);
    ck_assert(!rp_loop_hash_note(&loop, 3, 1, 111).diverged);
    rp_loop_check check = rp_loop_hash_note(&loop, 3, 1, 112);
    ck_assert(check.diverged);
    ck_assert_uint_eq(check.first_hash, 111);
    ck_assert_uint_eq(check.hash, 112);
    ck_assert(!rp_loop_hash_note(&loop, 3, 1, 111).diverged);
    ck_assert(!rp_loop_hash_note(&loop, 3, 2, 333).diverged);
    ck_assert(rp_loop_hash_note(&loop, 3, 2, 111).diverged);
    ck_assert(
        !rp_loop_hash_note(&loop, 3, 1, 444).diverged); /* back to build 1: a first pass again */
    ck_assert(!rp_loop_hash_note(&loop, 2, 1, 1).diverged);
    ck_assert(!rp_loop_hash_note(&loop, 2, 1, 2).diverged);
    rp_loop_clear(&loop);
    rp_log_destroy(log);
}

TEST_ABORTS(asking_for_bytes_outside_the_loop_aborts)
{
    rp_loop_store loop = {0};
    uint32_t bytes;
    rp_loop_input_bytes(&loop, 1, &bytes);
}
