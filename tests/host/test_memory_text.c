/* Reports made readable: names for addresses, folded lines; from a runner that may write anything.
 */
#include "memory_text.h"
#include "support/test.h"

#include <base/text.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static link_object self;

static int find_self(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    self.base = info->dlpi_addr;
    return 1; /* the program is the first */
}

/* Ours are static functions and known to the debug information alone. */
static uintptr_t address_within(void)
{
    dl_iterate_phdr(find_self, NULL);
    ssize_t length = readlink("/proc/self/exe", self.path, sizeof self.path - 1);
    ck_assert_int_gt((int)length, 0);
    self.path[length] = 0;
    self.build = 1;
    return (uintptr_t)address_within + 2;
}

static void named(const char *text, int columns, const char *wanted)
{
    char *got = memory_text_named(text, &self, 1, columns);
    ck_assert_str_eq(got, wanted);
    free(got);
}

TEST(an_address_becomes_a_function_and_its_line)
{
    char text[200], *got;
    uintptr_t address = address_within();
    snprintf(text, sizeof text, "found\n    {@%zx}\n    0x%zx {@%zx}\n", (size_t)address,
             (size_t)address, (size_t)address);
    got = memory_text_named(text, &self, 1, 0);
    ck_assert_ptr_nonnull(strstr(got, "found\n    address_within (test_memory_text.c:"));
    ck_assert_ptr_null(strstr(got, "{@"));
    ck_assert_ptr_null(strstr(got, "0x"));
    free(got);
}

TEST(what_is_unknown_stays_a_number)
{
    address_within();
    named("at {@10} and {@ffffffffffffffff}\n", 0, "at 0x10 and 0xffffffffffffffff\n");
}

TEST(what_is_no_mark_stays_as_it_is)
{
    named("{@} {@12 {@zz} {@ffffffffffffffffff} {@\n{@", 0,
          "{@} {@12 {@zz} {@ffffffffffffffffff} {@\n{@\n");
    named("", 0, "");
    named("\n\n", 0, "\n\n");
}

TEST(long_lines_are_folded_at_spaces_and_indented)
{
    named("  one two three four\n", 14, "  one two\n      three\n      four\n");
    named("short\n", 12, "short\n");
    named("  onelongwordthatnobodycancut more\n", 12, "  onelongwordthatnobodycancut more\n");
}

TEST(no_line_is_wider_than_asked_for_where_it_has_spaces)
{
    char text[3000];
    rp_text_buffer buffer = rp_text_buffer_over(text, sizeof text);
    for (int i = 0; i < 400; i++) {
        rp_text_add(&buffer, "%*s%s", i % 3 + 1, "", "word");
    }
    char *got = memory_text_named(text, NULL, 0, MEMORY_TEXT_COLUMNS);
    int words = 0;
    for (const char *at = got; *at; at += strcspn(at, "\n") + 1) {
        ck_assert(strcspn(at, "\n") <= MEMORY_TEXT_COLUMNS);
        for (const char *w = at; (w = strstr(w, "word")) && w < at + strcspn(at, "\n"); w += 4) {
            words++;
        }
    }
    ck_assert_int_eq(words, 400);
    free(got);
}

TEST(json_keeps_its_shape_and_quotes_in_names_do_no_harm)
{
    char text[300];
    uintptr_t address = address_within();
    snprintf(text, sizeof text,
             "{\"rows\":[{\"n\":1,\"stack\":[\"0x%zx {@%zx}\",\"plain\"]}],\"name\":\"a\\\"b\"}",
             (size_t)address, (size_t)address);
    json_t *value = memory_json_named(text, &self, 1);
    ck_assert_ptr_nonnull(value);
    json_t *row = json_array_get(json_object_get(value, "rows"), 0);
    json_t *stack = json_object_get(row, "stack");
    ck_assert_int_eq((int)json_array_size(stack), 2);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_array_get(stack, 0)), "address_within ("));
    ck_assert_str_eq(json_string_value(json_object_get(value, "name")), "a\"b");
    json_decref(value);
}

TEST(what_is_no_json_is_refused)
{
    static const char *const bad[] = {"", "{", "[1,2", "nothing", "{} {}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_ptr_null(memory_json_named(bad[i], NULL, 0));
    }
    char deep[8192];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    ck_assert_ptr_null(memory_json_named(deep, NULL, 0));
}
