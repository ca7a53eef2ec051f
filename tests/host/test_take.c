/* `reprise info`, `diff`, `export`, `trim`: what they print and write, their exit codes, damage. */
#include "cmd_diff.h"
#include "cmd_export.h"
#include "cmd_info.h"
#include "cmd_trim.h"
#include "host/run_command.h"

#include <base/bits.h>
#include <jansson.h>
#include <os/os.h>

static void enter(void)
{
    enter_folder();
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read(RP_TEST_DATA "/version-1.take", 1 << 20, &bytes));
    ck_ok(rp_os_file_write("a.take", bytes.data, bytes.size_bytes));
    bytes.data[bytes.size_bytes / 2] ^= 1;
    ck_ok(rp_os_file_write("damaged.take", bytes.data, bytes.size_bytes * 3 / 4));
    rp_os_file_free(&bytes);
}

TEST(info_says_what_is_in_a_take)
{
    enter();
    ck_assert_int_eq(run(cmd_info, "info a.take"), 0);
    expect_in(output, "9 frames, 1 to 9");
    expect_in(output, "crash     frame 9, build 1: e->target is null");
    expect_in(output, "loop      2 to 5 jump");
    ck_assert_int_eq(run(cmd_info, "info --check --frames a.take"), 0);
    expect_in(output, "every frame has its hash");
    expect_in(output, "\n9 build 1 7 pages");
    ck_assert_int_eq(run(cmd_info, "info --records a.take"), 0);
    expect_in(output, "name before the gap");
    leave();
}

TEST(info_says_it_as_json)
{
    enter();
    ck_assert_int_eq(run(cmd_info, "info --check --json --frames a.take"), 0);
    json_t *object = json_loads(output, 0, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "frames")), 9);
    ck_assert(json_is_true(json_object_get(object, "sound")));
    ck_assert_uint_eq(json_array_size(json_object_get(object, "frame_list")), 9);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_array_get(json_object_get(object, "crashes"), 0), "report")),
                     "game.c:141 step\n");
    json_decref(object);
    leave();
}

TEST(a_damaged_take_is_read_up_to_the_damage_and_says_where_it_is)
{
    enter();
    ck_assert_int_eq(run(cmd_info, "info damaged.take"), 3);
    expect_in(errors, "damaged.take: at ");
    ck_assert_int_eq(run(cmd_info, "info --json --check damaged.take"), 3);
    json_t *object = json_loads(output, 0, NULL);
    ck_assert(json_is_false(json_object_get(object, "sound")));
    json_decref(object);
    ck_assert_int_eq(run(cmd_trim, "trim damaged.take mended.take"), 0);
    ck_assert_int_eq(run(cmd_info, "info --check mended.take"), 0);
    expect_in(output, "frames, 1 to ");
    leave();
}

TEST(what_is_no_take_is_refused)
{
    enter();
    ck_assert_int_eq(run(cmd_info, "info err"), 1);
    expect_in(errors, "this is no take");
    ck_assert_int_eq(run(cmd_info, "info nothing.take"), 1);
    ck_assert_int_eq(run(cmd_info, "info"), 2);
    ck_assert_int_eq(run(cmd_info, "info --wings a.take"), 2);
    ck_assert_int_eq(run(cmd_diff, "diff a.take 1"), 2);
    ck_assert_int_eq(run(cmd_export, "export a.take"), 2);
    ck_assert_int_eq(run(cmd_trim, "trim a.take"), 2);
    leave();
}

TEST(diff_names_addresses_and_bytes)
{
    enter();
    ck_assert_int_eq(run(cmd_diff, "diff a.take 3 4"), 3);
    expect_in(output, "0x550000000018 world, 1 byte: 00 → 03");
    expect_in(output, "0x2018 .data, 1 byte: 00 → 09");
    ck_assert_int_eq(run(cmd_diff, "diff a.take 3 a.take 3"), 0);
    ck_assert_int_eq(run(cmd_diff, "diff --json --limit 2 a.take first last"), 3);
    json_t *object = json_loads(output, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(object, "list")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "pages")), 7);
    json_decref(object);
    ck_assert_int_eq(run(cmd_diff, "diff a.take 3 77"), 1);
    expect_in(errors, "it has 1 to 9");
    leave();
}

TEST(export_writes_memory_and_builds_and_replaces_nothing)
{
    enter();
    ck_assert_int_eq(run(cmd_export, "export --build 1 a.take"), 0);
    ck_assert_str_eq(output, "bytes of a file");
    ck_assert_int_eq(run(cmd_export, "export --build 2 a.take"), 1);
    ck_assert_int_eq(
        run(cmd_export, "export --memory 0x550000000018:1 --frame 4 --output m a.take"), 0);
    read_file("m", output, sizeof output);
    ck_assert_int_eq(output[0], 3);
    ck_assert_int_eq(run(cmd_export, "export --memory 0x550000000018:1 --output m a.take"), 1);
    expect_in(errors, "is there already");
    ck_assert_int_eq(run(cmd_export, "export --memory 0x10:1 a.take"), 1);
    expect_in(errors, "in no memory that was recorded");
    ck_assert_int_eq(run(cmd_export, "export --memory 0x10 a.take"), 2);
    leave();
}

TEST(trim_writes_a_take_and_replaces_only_takes)
{
    enter();
    ck_assert_int_eq(run(cmd_trim, "trim --frames 3-5 a.take b.take"), 0);
    ck_assert_int_eq(run(cmd_info, "info --check b.take"), 0);
    expect_in(output, "3 frames, 3 to 5");
    ck_assert_int_eq(run(cmd_trim, "trim --last 2 a.take b.take"), 1);
    expect_in(errors, "is there already");
    ck_assert_int_eq(run(cmd_trim, "trim --last 0.05s --replace a.take b.take"), 0);
    ck_assert_int_eq(run(cmd_info, "info --check b.take"), 0);
    expect_in(output, "3 frames, 7 to 9");
    ck_assert_int_eq(run(cmd_trim, "trim --inputs --replace a.take err"), 1);
    expect_in(errors, "is no take");
    ck_assert_int_eq(run(cmd_trim, "trim --inputs a.take c.take"), 0);
    ck_assert_int_eq(run(cmd_info, "info --check c.take"), 0);
    expect_in(output, "8 frames have their input and no memory: a take of inputs alone");
    leave();
}
