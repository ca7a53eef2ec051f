#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LONG_TIMEOUT_S = 6 * 3600 };

static test_entry *entries;

void test_register(test_entry *entry)
{
    entry->next = entries;
    entries = entry;
}

uint64_t test_seed(void)
{
    const char *given = getenv("RP_SEED");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t seed = given ? strtoull(given, NULL, 0)
                          : (uint64_t)now.tv_nsec * 2654435761u + (uint64_t)now.tv_sec;
    seed = seed ? seed : 1;
    printf("RP_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static int wanted(const char *name, int argc, char **argv)
{
    if (argc < 2) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i])) {
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create(strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0]);
    TCase *returning = tcase_create("tests");
    tcase_set_timeout(returning, getenv("RP_LONG") ? LONG_TIMEOUT_S : 400);
    int chosen = 0;
    for (test_entry *entry = entries; entry; entry = entry->next) {
        if (wanted(entry->name, argc, argv)) {
            chosen++;
            if (entry->signal) {
                tcase_add_test_raise_signal(returning, entry->test, entry->signal);
            } else {
                tcase_add_test(returning, entry->test);
            }
        }
    }
    suite_add_tcase(suite, returning);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed || !chosen ? EXIT_FAILURE : EXIT_SUCCESS;
}
