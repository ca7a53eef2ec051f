/* Tests that register themselves, over Check: each runs in a process of its own.
 *
 *     TEST(a_block_that_was_freed_comes_back_with_a_restore)
 *     {
 *         ck_assert_int_eq(…);
 *     }
 *
 * TEST_ABORTS(name) must end by abort(). A test file needs nothing else: main is in test.c, which
 * takes names (or parts of them) as arguments, and CK_FORK=no for a debugger. RP_SEED gives random
 * tests their seed; test_seed() prints it.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <check.h>
#include <reprise/status.h>
#include <stdint.h>

typedef struct test_entry {
    const TTest *test;
    const char *name;
    int signal; /* that it must end by; 0: returns */
    struct test_entry *next;
} test_entry;

void test_register(test_entry *entry);

#define TEST_WITH(title, expected_signal)                                      \
    START_TEST(title);                                                         \
    __attribute__((constructor)) static void register_##title(void)            \
    {                                                                          \
        static test_entry entry = {.name = #title, .signal = expected_signal}; \
        entry.test = title;                                                    \
        test_register(&entry);                                                 \
    }                                                                          \
    static void title##_fn(int _i __attribute__((unused)))
#define TEST(title) TEST_WITH(title, 0)
#define TEST_ABORTS(title) TEST_WITH(title, 6)

/* Asserts RP_OK and shows the record's text otherwise. */
#define ck_ok(call)                                                             \
    do {                                                                        \
        rp_status ck_ok_status = (call);                                        \
        ck_assert_msg(ck_ok_status == RP_OK, "%s: %d: %s", #call, ck_ok_status, \
                      rp_error_last()->text);                                   \
    } while (0)

/* A seed for this run: RP_SEED, else random; printed. */
uint64_t test_seed(void);
/* xorshift; state not 0. */
uint64_t test_random(uint64_t *state);

#endif
