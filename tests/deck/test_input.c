/* Packing of inputs, and the names of keys. */
#include "deck/input.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static void ck_round_trip(const rp_input *input)
{
    uint8_t packed[RP_INPUT_PACKED_MAX];
    rp_input back;
    size_t size_bytes = rp_input_pack(input, packed);
    ck_assert_uint_le(size_bytes, sizeof packed);
    memset(&back, 0xa5, sizeof back);
    ck_ok(rp_input_unpack(packed, size_bytes, &back));
    ck_assert_mem_eq(&back, input, sizeof back);
}

/* Bytes of a density: from nearly none to all of them set. */
static rp_input random_input(uint64_t *random)
{
    rp_input input;
    uint8_t *bytes = (uint8_t *)&input;
    uint64_t rarity = 1 + test_random(random) % 40;
    for (size_t i = 0; i < sizeof input; i++) {
        bytes[i] = test_random(random) % rarity ? 0 : (uint8_t)(test_random(random) >> 20);
    }
    input.text[sizeof input.text - 1] = 0;
    input.user_bytes %= RP_INPUT_USER_BYTES + 1;
    return input;
}

TEST(no_input_packs_to_nothing)
{
    rp_input input = {0};
    uint8_t packed[RP_INPUT_PACKED_MAX];
    ck_assert_uint_eq(rp_input_pack(&input, packed), 0);
    ck_ok(rp_input_unpack(NULL, 0, &input));
}

TEST(a_key_packs_to_a_few_bytes)
{
    rp_input input = {0};
    uint8_t packed[RP_INPUT_PACKED_MAX];
    input.keys_down[RP_KEY_RIGHT >> 3] = 1 << (RP_KEY_RIGHT & 7);
    ck_assert_uint_eq(rp_input_pack(&input, packed), 3);
    ck_round_trip(&input);
}

TEST(an_input_without_zeros_fits)
{
    rp_input input;
    memset(&input, 0xff, sizeof input);
    input.text[sizeof input.text - 1] = 0;
    input.user_bytes = RP_INPUT_USER_BYTES;
    ck_round_trip(&input);
}

TEST(random_inputs_come_back_as_they_were)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 20000; i++) {
        rp_input input = random_input(&random);
        ck_round_trip(&input);
    }
}

TEST(the_last_byte_alone_comes_back)
{
    rp_input input = {0};
    input.user[RP_INPUT_USER_BYTES - 1] = 1;
    ck_round_trip(&input);
}

/* What unpacks must be what packs to these bytes; nothing else may be accepted. */
static void offer(const uint8_t *bytes, size_t size_bytes)
{
    rp_input input, untouched;
    uint8_t again[RP_INPUT_PACKED_MAX];
    memset(&input, 0x5a, sizeof input);
    untouched = input;
    /* An exact copy, so that a sanitizer sees a read behind it. */
    uint8_t *exact = malloc(size_bytes ? size_bytes : 1);
    memcpy(exact, bytes, size_bytes);
    if (rp_input_unpack(exact, size_bytes, &input) == RP_OK) {
        ck_assert_uint_eq(rp_input_pack(&input, again), size_bytes);
        ck_assert_mem_eq(again, bytes, size_bytes);
        ck_assert_uint_le(input.user_bytes, RP_INPUT_USER_BYTES);
        ck_assert_ptr_nonnull(memchr(input.text, 0, sizeof input.text));
    } else {
        ck_assert_int_eq(rp_error_last()->status, RP_E_FORMAT);
        ck_assert_mem_eq(&input, &untouched, sizeof input);
    }
    free(exact);
}

TEST(damaged_bytes_are_refused_or_mean_what_they_say)
{
    uint64_t random = test_seed();
    uint8_t packed[RP_INPUT_PACKED_MAX];
    for (int i = 0; i < 20000; i++) {
        rp_input input = random_input(&random);
        size_t size_bytes = rp_input_pack(&input, packed);
        if (size_bytes) {
            packed[test_random(&random) % size_bytes] ^= (uint8_t)(1u << test_random(&random) % 8);
            offer(packed,
                  test_random(&random) % 4 ? size_bytes : test_random(&random) % size_bytes);
        }
    }
}

TEST(other_packings_of_the_same_input_are_refused)
{
    static const uint8_t empty_run[] = {0, 0}, zero_literal[] = {3, 1, 0},
                         split[] = {0, 1, 7, 0, 1, 7};
    static const uint8_t kept_zeros[] = {0, 5, 7, 0, 0, 0, 7}, half[] = {0}, beyond[] = {0, 9, 1};
    const struct {
        const uint8_t *bytes;
        size_t size_bytes;
    } cases[] = {{empty_run, 2},  {zero_literal, 3}, {split, 6},
                 {kept_zeros, 7}, {half, 1},         {beyond, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rp_input input;
        ck_assert_int_eq(rp_input_unpack(cases[i].bytes, cases[i].size_bytes, &input), RP_E_FORMAT);
    }
}

TEST(an_input_that_a_program_could_trip_over_is_refused)
{
    uint8_t packed[RP_INPUT_PACKED_MAX];
    rp_input input = {.user_bytes = RP_INPUT_USER_BYTES + 1}, out;
    ck_assert_int_eq(rp_input_unpack(packed, rp_input_pack(&input, packed), &out), RP_E_FORMAT);
    input.user_bytes = 0;
    memset(input.text, 'x', sizeof input.text);
    ck_assert_int_eq(rp_input_unpack(packed, rp_input_pack(&input, packed), &out), RP_E_FORMAT);
}

/* ---- keys ---- */

TEST(every_key_that_has_a_name_is_found_by_it)
{
    int named = 0;
    for (int key = -1; key <= RP_KEY_COUNT; key++) {
        const char *name = rp_key_name(key);
        if (name) {
            named++;
            ck_assert_int_eq(rp_key_from_name(name, strlen(name)), key);
        }
    }
    ck_assert_int_eq(named,
                     6 + 68 + 24); /* words below 128, characters but small letters, the rest */
}

TEST(names_are_those_of_the_header)
{
    ck_assert_str_eq(rp_key_name(RP_KEY_A), "a");
    ck_assert_str_eq(rp_key_name(RP_KEY_9), "9");
    ck_assert_str_eq(rp_key_name('-'), "-");
    ck_assert_str_eq(rp_key_name('\\'), "\\");
    ck_assert_str_eq(rp_key_name('~'), "~");
    ck_assert_str_eq(rp_key_name(RP_KEY_F12), "f12");
    ck_assert_int_eq(rp_key_from_name("PageUp", 6), RP_KEY_PAGE_UP);
    ck_assert_int_eq(rp_key_from_name("Z", 1), RP_KEY_Z);
    ck_assert_int_eq(rp_key_from_name("left!", 4), RP_KEY_LEFT);
}

TEST(what_is_no_key_has_no_name)
{
    ck_assert_ptr_null(rp_key_name('q'));
    ck_assert_ptr_null(rp_key_name(RP_KEY_NONE));
    ck_assert_ptr_null(rp_key_name(200));
    ck_assert_int_eq(rp_key_from_name("", 0), RP_KEY_NONE);
    ck_assert_int_eq(rp_key_from_name(" ", 1), RP_KEY_NONE);
    ck_assert_int_eq(rp_key_from_name("\xe9", 1), RP_KEY_NONE);
    ck_assert_int_eq(rp_key_from_name("f13", 3), RP_KEY_NONE);
    ck_assert_int_eq(rp_key_from_name("spac", 4), RP_KEY_NONE);
}
