/* History of a status in words: the numbers that it says are those of the answer. */
#include "history_text.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(const json_t *status)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    history_text_print(status, out);
    fclose(out);
    return text;
}

static json_t *status_of_a_long_run(void)
{
    return json_pack("{s:i,s:i,s:i,s:I,s:I,s:I,s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:I}",
                     "oldest", 600, "newest", 36600, "rate_hz", 60, "world_bytes",
                     (json_int_t)67108864, "history_bytes", (json_int_t)268435456, "budget_bytes",
                     (json_int_t)536870912, "evicted", 11, "every_frame_from", 35000, "records",
                     36001, "thinned", 9000, "raw_bytes", (json_int_t)67108864, "packed_bytes",
                     (json_int_t)199229440, "table_bytes", (json_int_t)9542, "record_bytes",
                     (json_int_t)312, "sought_bytes", (json_int_t)0, "written_bytes",
                     (json_int_t)2147483648, "raw_records", 1000, "packing_ns",
                     (json_int_t)5242880000);
}

static void expect(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part), "\"%s\" is not in\n%s", part, text);
}

TEST(it_says_how_far_back_one_can_go_and_what_it_costs)
{
    json_t *status = status_of_a_long_run();
    char *text = text_of(status);
    expect(text, "frames 600 to 36600, 600.0 s back at 60 Hz");
    expect(text, "every frame from 35000 on, before it some");
    expect(text, "256 MiB of a budget of 512 MiB, beside the state of 64.0 MiB");
    expect(text, "raw      64.0 MiB in 1000 frames");
    expect(text, "packed   190 MiB in 26000 frames, and 9.32 KiB of tables");
    expect(text, "thinned  9000 frames, of which input and hash are left; 11 dropped");
    expect(text, "inputs   312 bytes");
    expect(text, "room     0 bytes for frames to come");
    expect(text,
           "of       2.00 GiB that these frames wrote: 0.12 of it; packing took 10.0 us a page");
    ck_assert_ptr_null(strstr(text, "sought"));
    free(text);
    json_object_set_new(status, "sought_bytes", json_integer(4096 * 300));
    json_object_set_new(status, "room_bytes", json_integer(3 << 20));
    json_object_set_new(status, "working_bytes", json_integer(1 << 20));
    text = text_of(status);
    expect(text, "sought   1.17 MiB beside the budget");
    expect(text, "room     4.00 MiB for frames to come");
    free(text);
    json_decref(status);
}

TEST(a_run_that_just_began_has_every_frame_and_divides_by_nothing)
{
    json_t *status =
        json_pack("{s:i,s:i,s:i,s:i}", "oldest", 0, "newest", 0, "history_bytes", 0, "records", 1);
    char *text = text_of(status);
    expect(text, "frames 0 to 0; every frame\n");
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_null(strstr(text, "inf"));
    ck_assert_ptr_null(strstr(text, "-"));
    free(text);
    json_decref(status);
}

TEST(another_answer_is_left_alone)
{
    json_t *status = json_pack("{s:i}", "frame", 3);
    char *text = text_of(status);
    ck_assert_str_eq(text, "");
    free(text);
    json_decref(status);
}

TEST(each_number_that_it_covers_is_in_words_or_stays_a_number)
{
    json_t *status = status_of_a_long_run(), *value;
    const char *key;
    json_object_foreach(status, key, value)
    {
        ck_assert_msg(history_text_covers(key), "%s", key);
    }
    ck_assert(!history_text_covers("frame"));
    ck_assert(!history_text_covers("mode"));
    json_decref(status);
}
