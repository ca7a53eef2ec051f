/* Virtual time, and generators that give what glibc gives. */
#include "deck/environment.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

static rp_environment environment;

/* ---- time ---- */

TEST(a_frame_begins_at_its_number_times_its_length)
{
    rp_environment_init(&environment, 1, 1000 * SECOND);
    for (uint64_t frame = 1; frame <= 600; frame++) {
        rp_environment_frame(&environment, frame, 60);
        ck_assert_uint_eq(environment.frame_ns, frame * SECOND / 60);
    }
    ck_assert_uint_eq(environment.dt_ns, SECOND / 60);
    ck_assert_uint_eq(rp_environment_wall_ns(&environment),
                      1010 * SECOND + RP_ENVIRONMENT_READING_NS);
}

TEST(each_reading_is_later_than_the_one_before)
{
    rp_environment_init(&environment, 1, 0);
    rp_environment_frame(&environment, 1, 1000);
    uint64_t before = rp_environment_monotonic_ns(&environment);
    for (int i = 0; i < 5000; i++) {
        uint64_t now = i % 2 ? rp_environment_monotonic_ns(&environment)
                             : rp_environment_wall_ns(&environment);
        ck_assert_uint_eq(now, before + RP_ENVIRONMENT_READING_NS);
        before = now;
    }
    ck_assert_uint_eq(environment.calls, 5001);
    rp_environment_frame(&environment, 2, 1000);
    ck_assert_uint_gt(rp_environment_monotonic_ns(&environment), before);
    ck_assert_uint_eq(environment.calls, 1);
    rp_environment_frame(&environment, 100, 1000);
    ck_assert_uint_eq(rp_environment_monotonic_ns(&environment),
                      SECOND / 10 + RP_ENVIRONMENT_READING_NS);
}

TEST(sleeping_moves_the_clock_on)
{
    rp_environment_init(&environment, 1, 0);
    rp_environment_frame(&environment, 1, 60);
    uint64_t before = rp_environment_monotonic_ns(&environment);
    rp_environment_sleep(&environment, 3 * SECOND);
    ck_assert_uint_eq(rp_environment_monotonic_ns(&environment),
                      before + 3 * SECOND + RP_ENVIRONMENT_READING_NS);
    rp_environment_sleep(&environment, UINT64_MAX);
    before = rp_environment_monotonic_ns(&environment);
    ck_assert_uint_gt(rp_environment_monotonic_ns(&environment), before);
}

TEST(another_rate_goes_on_from_where_time_is)
{
    rp_environment_init(&environment, 1, 0);
    for (uint64_t frame = 1; frame <= 60; frame++) {
        rp_environment_frame(&environment, frame, 60);
    }
    rp_environment_frame(&environment, 61, 10);
    ck_assert_uint_eq(environment.frame_ns, SECOND + SECOND / 10);
    rp_environment_frame(&environment, 62, 10);
    ck_assert_uint_eq(environment.frame_ns, SECOND + 2 * SECOND / 10);
}

TEST(time_holds_for_many_years_and_never_goes_back)
{
    rp_environment_init(&environment, 1, 0);
    uint64_t frame = UINT64_C(60) * 86400 * 365 * 100;
    rp_environment_frame(&environment, frame, 60);
    ck_assert_uint_eq(environment.frame_ns, SECOND * 86400 * 365 * 100);
    uint64_t before = rp_environment_monotonic_ns(&environment);
    rp_environment_frame(&environment, 3, 30);
    ck_assert_uint_gt(rp_environment_monotonic_ns(&environment), before);
}

/* ---- random bytes ---- */

TEST(bytes_follow_from_the_seed)
{
    uint8_t a[37], b[37], c[37];
    rp_environment_init(&environment, 5, 0);
    rp_environment_random(&environment, a, sizeof a);
    rp_environment_random(&environment, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    rp_environment_init(&environment, 5, 0);
    rp_environment_random(&environment, c, sizeof c);
    ck_assert_mem_eq(a, c, sizeof a);
    rp_environment_init(&environment, 6, 0);
    rp_environment_random(&environment, c, sizeof c);
    ck_assert_mem_ne(a, c, sizeof a);
}

TEST(no_more_bytes_are_written_than_asked_for)
{
    for (size_t size_bytes = 0; size_bytes < 20; size_bytes++) {
        uint8_t bytes[24];
        memset(bytes, 0, sizeof bytes);
        rp_environment_init(&environment, 7, 0);
        rp_environment_random(&environment, bytes, size_bytes);
        for (size_t i = size_bytes; i < sizeof bytes; i++) {
            ck_assert_uint_eq(bytes[i], 0);
        }
    }
}

/* With state 1, 2, 3, 4 the first outputs by hand: rotl(s1 * 5, 7) * 9. */
TEST(the_generator_is_xoshiro256_starstar)
{
    static const uint64_t state[4] = {1, 2, 3, 4}, expected[] = {11520, 0, 1509978240};
    memcpy(environment.generator, state, sizeof state);
    for (int i = 0; i < 3; i++) {
        uint64_t word;
        rp_environment_random(&environment, &word, sizeof word);
        ck_assert_uint_eq(word, expected[i]);
    }
}

TEST(bits_of_the_bytes_are_even)
{
    rp_environment_init(&environment, 0, 0);
    uint8_t bytes[1 << 16];
    unsigned ones = 0;
    rp_environment_random(&environment, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        ones += (unsigned)__builtin_popcount(bytes[i]);
    }
    ck_assert_uint_gt(ones, sizeof bytes * 4 - 4000); /* 11 standard deviations */
    ck_assert_uint_lt(ones, sizeof bytes * 4 + 4000);
}

/* ---- the C library's generators ---- */

TEST(rand_gives_what_glibc_gives_before_and_after_srand)
{
    rp_environment_init(&environment, 9, 0);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(rp_environment_rand(&environment), rand());
    }
    static const unsigned seeds[] = {0, 1, 42, 0xffffffffu};
    for (size_t s = 0; s < sizeof seeds / sizeof seeds[0]; s++) {
        srand(seeds[s]);
        rp_environment_srand(&environment, seeds[s]);
        for (int i = 0; i < 1000; i++) {
            ck_assert_int_eq(rp_environment_rand(&environment), rand());
            ck_assert_int_eq(rp_environment_random_long(&environment), random());
        }
    }
    srandom(77);
    rp_environment_srandom(&environment, 77);
    ck_assert_int_eq(rp_environment_random_long(&environment), random());
}

TEST(states_of_the_programs_own_are_switched_as_glibc_does)
{
    static char ours[2][256], theirs[2][256];
    static const size_t sizes[2] = {8, 256};
    rp_environment_init(&environment, 9, 0);
    char *our_first = rp_environment_initstate(&environment, 3, ours[0], sizes[0]);
    char *their_first = initstate(3, theirs[0], sizes[0]);
    ck_assert_ptr_eq(our_first, environment.random_state);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(rp_environment_random_long(&environment), random());
    }
    ck_assert_ptr_eq(rp_environment_initstate(&environment, 4, ours[1], sizes[1]), ours[0]);
    initstate(4, theirs[1], sizes[1]);
    for (int i = 0; i < 50; i++) {
        ck_assert_ptr_nonnull(rp_environment_setstate(&environment, ours[i % 2]));
        ck_assert_ptr_nonnull(setstate(theirs[i % 2]));
        ck_assert_int_eq(rp_environment_random_long(&environment), random());
    }
    rp_environment_setstate(&environment, our_first);
    setstate(their_first);
    ck_assert_int_eq(rp_environment_random_long(&environment), random());
}

TEST(wrong_states_are_refused_and_change_nothing)
{
    char small[4];
    rp_environment_init(&environment, 9, 0);
    errno = 0;
    ck_assert_ptr_null(rp_environment_initstate(&environment, 1, small, sizeof small));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(rp_environment_setstate(&environment, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(rp_environment_rand(&environment),
                     1804289383); /* the well-known first value */
}

TEST(drand48_and_its_family_give_what_glibc_gives)
{
    unsigned short a[3] = {1, 2, 3}, b[3] = {1, 2, 3}, parameters[7] = {1, 2, 3, 4, 5, 6, 7};
    rp_environment_init(&environment, 9, 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 100; i++) {
            ck_assert_double_eq(rp_environment_drand48(&environment), drand48());
            ck_assert_double_eq(rp_environment_erand48(&environment, a), erand48(b));
            ck_assert_int_eq(rp_environment_lrand48(&environment), lrand48());
            ck_assert_int_eq(rp_environment_nrand48(&environment, a), nrand48(b));
            ck_assert_int_eq(rp_environment_mrand48(&environment), mrand48());
            ck_assert_int_eq(rp_environment_jrand48(&environment, a), jrand48(b));
        }
        if (round == 0) {
            srand48(-5);
            rp_environment_srand48(&environment, -5);
        } else if (round == 1) {
            ck_assert_mem_eq(rp_environment_seed48(&environment, a), seed48(b), sizeof a);
        } else {
            lcong48(parameters);
            rp_environment_lcong48(&environment, parameters);
        }
    }
}

TEST(a_copy_of_the_bytes_brings_time_and_all_numbers_back)
{
    rp_environment saved;
    rp_environment_init(&environment, 9, 0);
    rp_environment_frame(&environment, 5, 60);
    rp_environment_rand(&environment);
    rp_environment_drand48(&environment);
    memcpy(&saved, &environment, sizeof saved);
    int number = rp_environment_rand(&environment);
    double fraction = rp_environment_drand48(&environment);
    uint64_t now = rp_environment_wall_ns(&environment), word, again;
    rp_environment_random(&environment, &word, sizeof word);
    memcpy(&environment, &saved, sizeof saved);
    ck_assert_int_eq(rp_environment_rand(&environment), number);
    ck_assert_double_eq(rp_environment_drand48(&environment), fraction);
    ck_assert_uint_eq(rp_environment_wall_ns(&environment), now);
    rp_environment_random(&environment, &again, sizeof again);
    ck_assert_uint_eq(again, word);
}
