/* Text from elsewhere: what comes out is fit for JSON and XML, whatever went in. */
#include "foreign_text.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static void expect_xml(const char *text, const char *wanted)
{
    char *written = NULL;
    size_t size;
    FILE *to = open_memstream(&written, &size);
    ck_assert_ptr_nonnull(to);
    foreign_put_xml(text, to);
    fclose(to);
    ck_assert_str_eq(written, wanted);
    free(written);
}

TEST(what_ends_an_element_or_attribute_is_a_reference)
{
    expect_xml("a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;");
    expect_xml("one\ttwo\nthree\r", "one&#9;two&#10;three&#13;");
    expect_xml("", "");
}

TEST(what_xml_has_no_character_for_is_a_question_mark)
{
    expect_xml("\x01\x1b[2J", "??[2J");
    expect_xml("\xef\xbf\xbe\xef\xbf\xbf", "??"); /* U+FFFE, U+FFFF */
    expect_xml("\xed\xa0\x80", "???");            /* a surrogate */
}

TEST(what_is_no_utf8_is_a_question_mark_for_each_byte)
{
    expect_xml("gr\xfc\xdf", "gr??");
    expect_xml("cut \xe2\x82", "cut ??");
    expect_xml("\xc0\xbc", "??"); /* '<' in two bytes */
    expect_xml("Grüße \xf0\x9f\x90\x8e", "Grüße \xf0\x9f\x90\x8e");
}

TEST(a_string_of_json_is_always_there)
{
    static const char *const texts[][2] = {{"Grüße", "Grüße"},
                                           {"gr\xfc\xdf"
                                            "e",
                                            "gr??e"},
                                           {"", ""},
                                           {"a\nb", "a\nb"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *string = foreign_json(texts[i][0]);
        ck_assert_ptr_nonnull(string);
        ck_assert_str_eq(json_string_value(string), texts[i][1]);
        json_decref(string);
    }
}
