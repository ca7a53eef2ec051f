#include "base/error.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

TEST(a_failure_keeps_its_text_and_the_systems_code)
{
    ck_assert_int_eq(rp_fail_system(RP_E_SYSTEM, ENOSPC, "log: cannot grow to %d pages", 7),
                     RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, ENOSPC);
    ck_assert_str_eq(rp_error_last()->text, "log: cannot grow to 7 pages: No space left on device");
    rp_error_clear();
    ck_assert_int_eq(rp_error_last()->status, RP_OK);
}

TEST(a_text_may_quote_the_record_it_replaces)
{
    rp_fail(RP_E_FORMAT, "inner");
    rp_fail(RP_E_MODULE, "outer: %s", rp_error_last()->text);
    ck_assert_str_eq(rp_error_last()->text, "outer: inner");
}

TEST(a_long_text_is_cut_and_terminated)
{
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    rp_fail(RP_E_ARGUMENT, "%s", longer);
    ck_assert_uint_eq(strlen(rp_error_last()->text), sizeof rp_error_last()->text - 1);
}

TEST(every_code_has_a_text_of_its_own)
{
    for (int a = RP_E_CLOSED; a <= RP_OK; a++) {
        ck_assert_str_ne(rp_status_text((rp_status)a), "unknown status");
        for (int b = RP_E_CLOSED; b < a; b++) {
            ck_assert_str_ne(rp_status_text((rp_status)a), rp_status_text((rp_status)b));
        }
    }
}
