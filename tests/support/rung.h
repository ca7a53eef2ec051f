/* Which rung of write tracking a test runs on: RP_RUNG is wp-async (default), wp-sigbus or
 * mprotect. The same programs are run once for each; see tests/CMakeLists.txt. */
#ifndef TESTS_SUPPORT_RUNG_H
#define TESTS_SUPPORT_RUNG_H

#include <stdlib.h>
#include <string.h>

/* 0, 1, 2: from the best on. */
static inline int test_rung(void)
{
    const char *name = getenv("RP_RUNG");
    return !name || strcmp(name, "wp-async") == 0 ? 0 : strcmp(name, "wp-sigbus") == 0 ? 1 : 2;
}

#endif
