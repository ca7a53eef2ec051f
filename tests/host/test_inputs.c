/* The inputs of a world: kept from its first frame on, forgotten where the course of things
 * changes. */
#include "inputs.h"
#include "support/test.h"

#include <deck/input.h>
#include <string.h>

static inputs kept;

static void note(uint64_t frame, uint32_t wheel)
{
    uint8_t packed[RP_INPUT_PACKED_MAX];
    rp_input input = {.mouse.buttons = wheel};
    inputs_note(&kept, frame, packed, rp_input_pack(&input, packed));
}

static uint32_t got(uint64_t frame)
{
    rp_input input;
    ck_ok(inputs_get(&kept, frame, &input));
    return input.mouse.buttons;
}

static void forget(void)
{
    inputs_clear(&kept);
}

TEST(what_was_noted_comes_back)
{
    forget();
    rp_input input;
    ck_assert_int_eq(inputs_get(&kept, 1, &input), RP_E_RANGE);
    for (uint32_t frame = 1; frame <= 5000; frame++) {
        note(frame, frame % 7);
    }
    for (uint32_t frame = 1; frame <= 5000; frame++) {
        ck_assert_uint_eq(got(frame), frame % 7);
    }
    ck_assert_int_eq(inputs_get(&kept, 0, &input), RP_E_RANGE);
    ck_assert_int_eq(inputs_get(&kept, 5001, &input), RP_E_RANGE);
}

TEST(the_same_input_again_forgets_nothing)
{
    forget();
    for (uint32_t frame = 1; frame <= 10; frame++) {
        note(frame, frame);
    }
    note(4, 4);
    ck_assert_uint_eq(kept.count, 10);
    ck_assert_uint_eq(got(10), 10);
}

TEST(another_input_forgets_what_followed)
{
    forget();
    for (uint32_t frame = 1; frame <= 10; frame++) {
        note(frame, frame);
    }
    note(4, 0);
    ck_assert_uint_eq(kept.count, 4);
    ck_assert_uint_eq(got(3), 3);
    ck_assert_uint_eq(got(4), 0);
    note(5, 77);
    ck_assert_uint_eq(got(5), 77);
}

TEST(a_gap_is_not_filled)
{
    forget();
    note(1, 1);
    note(3, 3);
    ck_assert_uint_eq(kept.count, 1);
    ck_assert(kept.full);
}
