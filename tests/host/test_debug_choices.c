/* What was chosen by name, kept as text: replaced by pattern, in the order of the choosing. */
#include "debug_choices.h"
#include "support/test.h"

#include <base/error.h>
#include <stdio.h>
#include <string.h>

static debug_choices_text chosen;

static void set(const char *settings, const char *wanted)
{
    ck_ok(debug_choices_add(&chosen, settings));
    ck_assert_str_eq(chosen.text, wanted);
}

static void refused(const char *settings, rp_status status, const char *text)
{
    debug_choices_text before = chosen;
    ck_assert_int_eq(debug_choices_add(&chosen, settings), status);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, text));
    ck_assert_str_eq(chosen.text, before.text);
}

TEST(settings_add_up)
{
    set("", "");
    set("physics=canary", "physics=canary");
    set("*=fill,seed=7;level=off", "physics=canary;*=fill,seed=7;level=off");
    set(";;sound=trace;", "physics=canary;*=fill,seed=7;level=off;sound=trace");
}

TEST(the_same_pattern_is_replaced_and_becomes_the_last)
{
    set("a=canary;b=fill;c=trace", "a=canary;b=fill;c=trace");
    set("b=off", "a=canary;c=trace;b=off");
    set("c=fill;a=fill", "b=off;c=fill;a=fill");
    /* One that begins with the other is another one. */
    set("ab=fill", "b=off;c=fill;a=fill;ab=fill");
}

TEST(what_cannot_be_read_changes_nothing)
{
    set("a=canary", "a=canary");
    refused("b=foo", RP_E_ARGUMENT, "unknown mode \"foo\": the modes are trace");
    refused("b=fill;c", RP_E_ARGUMENT, "no setting");
    refused("=fill", RP_E_ARGUMENT, "no setting");
    refused("b=", RP_E_ARGUMENT, "unknown mode");
    refused("b=sampled=0", RP_E_ARGUMENT, "no number");
    refused("b=sampled=99999999999999999999", RP_E_ARGUMENT, "no number");
    refused("b=pattern=xy", RP_E_ARGUMENT, "no number");
}

TEST(more_than_fits_is_refused_whole)
{
    char name[64];
    int count = 0;
    rp_status status = RP_OK;
    for (; status == RP_OK && count < 10000; count++) {
        snprintf(name, sizeof name, "%040d=canary", count);
        debug_choices_text before = chosen;
        status = debug_choices_add(&chosen, name);
        if (status) {
            ck_assert_str_eq(chosen.text, before.text);
        }
    }
    ck_assert_int_eq(status, RP_E_LIMIT);
    ck_assert_int_gt(count, 100);
    ck_assert(strlen(chosen.text) < sizeof chosen.text);
    ck_assert_int_eq(rp_error_last()->status, RP_E_LIMIT);
    /* One that is there can still be set. */
    ck_ok(debug_choices_add(&chosen, "0000000000000000000000000000000000000007=fill"));
    ck_assert_ptr_nonnull(strstr(chosen.text, "7=fill"));
}
