/* `reprise diff` and `reprise plot` on takes of a compiled module: fields, blocks, names, pictures.
 */
#include "cmd_diff.h"
#include "cmd_plot.h"

#include "host/live_take.h"
#include "host/run_command.h"

#include <jansson.h>
#include <math.h>

static const char game[] =
    "struct Enemy { float x; int hp; struct Enemy *target; };\n"
    "struct Node { int key; struct Node *next; };\n"
    "int score = 5; static double speed = 1.5; struct Enemy *enemies; struct Node *head;\n"
    "char *note; struct Enemy *late; void *raw; __thread int own;\n"
    "void step(int frame) {\n"
    "  static int count = 10; count++;\n"
    "  if (frame == 1) { enemies = allocate(4 * sizeof *enemies); raw = allocate(40);\n"
    "    for (int i = 0; i < 4; i++) { enemies[i].hp = 100 + i; struct Node *n = allocate(sizeof "
    "*n);\n"
    "      n->key = i; n->next = head; head = n; } }\n"
    "  if (frame == 2) { enemies[3].hp = 73; enemies[1].target = &enemies[2]; speed = 2.25; own = "
    "9; }\n"
    "  if (frame == 3) { head->next->key = 42; ((char *)raw)[33] = 7; }\n"
    "  if (frame == 4) { late = allocate(sizeof *late); late->hp = 8; }\n"
    "  if (frame > 4) { score = frame * frame % 31; enemies[0].x = frame * .5f; }\n"
    "  if (frame == 8) late = 0;\n"
    "}\n";

static void make_take(const char *path, const char *compiler, const char *text, int frames)
{
    live_take t;
    live_take_begin(&t, path, compiler, text);
    for (int i = 1; i <= frames; i++) {
        live_take_frame(&t, i);
    }
    live_take_end(&t);
}

TEST(fields_that_differ_are_named_with_their_values)
{
    enter_folder();
    make_take("a.take", "gcc -g", game, 4);
    ck_assert_int_eq(run(cmd_diff, "diff a.take 1 2"), 3);
    expect_in(output, "enemies[3].hp (int): 103 → 73\n");
    expect_in(output, "enemies[1].target (struct Enemy *): null → &enemies[2]\n");
    expect_in(output, "speed (double): 1.5 → 2.25\n");
    expect_in(output, "own (int): 0 → 9\n");
    expect_in(output, "step::count (int): 11 → 12\n");
    ck_assert_ptr_null(strstr(output, "0x55"));
    ck_assert_int_eq(run(cmd_diff, "diff a.take 2 3"), 3);
    expect_in(output, "head->next->key (int): 2 → 42\n");
    expect_in(output, "33 bytes into a block of 48 of heap 'program', 1 byte: 00 → 07\n");
    ck_assert_int_eq(run(cmd_diff, "diff a.take 3 4"), 3);
    expect_in(output, "late (struct Enemy *): null → late\n");
    expect_in(output, "late->hp (int): new: 8\n");
    expect_in(output, "bytes of allocators' books and free memory: --bytes shows them\n");
    ck_assert_int_eq(run(cmd_diff, "diff --bytes a.take 3 4"), 3);
    expect_in(output, "the allocators' books, ");
    ck_assert_int_eq(run(cmd_diff, "diff a.take 3 a.take 3"), 0);
    leave();
}

TEST(fields_are_told_as_json)
{
    enter_folder();
    make_take("a.take", "clang -g", game, 3);
    ck_assert_int_eq(run(cmd_diff, "diff --json a.take 1 2"), 3);
    json_t *object = json_loads(output, 0, NULL), *item, *list;
    size_t i;
    int found = 0;
    ck_assert_ptr_nonnull(object);
    ck_assert_str_eq(json_string_value(json_object_get(object, "by")), "addresses");
    list = json_object_get(object, "list");
    json_array_foreach(list, i, item)
    {
        const char *field = json_string_value(json_object_get(item, "field"));
        if (field && strcmp(field, "enemies[3].hp") == 0) {
            found++;
            ck_assert_str_eq(json_string_value(json_object_get(item, "type")), "int");
            ck_assert_str_eq(json_string_value(json_object_get(item, "old")), "103");
            ck_assert_str_eq(json_string_value(json_object_get(item, "new")), "73");
            ck_assert_int_eq(json_integer_value(json_object_get(item, "size_bytes")), 4);
        }
    }
    ck_assert_int_eq(found, 1);
    json_decref(object);
    leave();
}

TEST(without_debug_information_blocks_and_bytes_are_told_and_why)
{
    enter_folder();
    make_take("a.take", "gcc -g0", game, 3);
    ck_assert_int_eq(run(cmd_diff, "diff a.take 1 2"), 3);
    expect_in(output, " of heap 'program', ");
    expect_in(output, "game.so data, ");
    expect_in(errors, "no debug information about types: build it with -g");
    leave();
}

TEST(takes_of_two_builds_are_compared_by_names)
{
    static const char edited[] =
        "struct Enemy { int team; int hp; float x; struct Enemy *target; };\n"
        "struct Node { struct Node *next; long key; };\n"
        "long added = 3; struct Node *head; struct Enemy *enemies; char *note; struct Enemy "
        "*late;\n"
        "void *raw; static double speed = 1.5; int score = 5; __thread int own;\n"
        "void step(int frame) {\n"
        "  static int count = 10; count++;\n"
        "  if (frame == 1) { allocate(500); enemies = allocate(4 * sizeof *enemies); raw = "
        "allocate(40);\n"
        "    for (int i = 0; i < 4; i++) { enemies[i].hp = 100 + i; struct Node *n = "
        "allocate(sizeof *n);\n"
        "      n->key = i; n->next = head; head = n; } }\n"
        "  if (frame == 2) { enemies[3].hp = 74; enemies[1].target = &enemies[2]; speed = 2.25; "
        "own = 9; }\n"
        "}\n";
    enter_folder();
    make_take("a.take", "gcc -g", game, 2);
    make_take("b.take", "gcc -g", edited, 2);
    ck_assert_int_eq(run(cmd_diff, "diff a.take 1 b.take 1"), 0);
    expect_in(output, "0 values differ; the builds do");
    ck_assert_int_eq(run(cmd_diff, "diff a.take 2 b.take 2"), 3);
    expect_in(output, "enemies[3].hp (int): 73 → 74\n1 values differ");
    leave();
}

/* ---- plot ---- */

TEST(a_table_has_a_row_for_each_frame_and_nothing_where_there_is_no_value)
{
    enter_folder();
    make_take("a.take", "gcc -g", game, 9);
    ck_assert_int_eq(
        run(cmd_plot, "plot --csv a.take score enemies[3].hp late->hp enemies[1].target"), 0);
    expect_in(output, "frame,score,enemies[3].hp,late->hp,enemies[1].target\r\n1,5,103,,null\r\n");
    expect_in(output, "\r\n4,5,73,8,0x55");
    expect_in(output, "\r\n9,19,73,,0x55");
    expect_in(errors,
              "5 values are missing; the first at frame 1: late->hp: a pointer in it is null");
    ck_assert_int_eq(run(cmd_plot, "plot --csv --frames 3-5 a.take score*2"), 0);
    ck_assert_str_eq(output, "frame,score*2\r\n3,10\r\n4,10\r\n5,50\r\n");
    leave();
}

TEST(a_drawing_for_a_terminal_has_its_axes_and_fits)
{
    enter_folder();
    make_take("a.take", "gcc -g", game, 40);
    ck_assert_int_eq(run(cmd_plot, "plot --size 60x14 a.take score enemies[0].x"), 0);
    expect_in(output, "a.take:  score  enemies[0].x\n");
    expect_in(output, "        20 ┤");
    expect_in(output, "\n           └──");
    expect_in(output, "frame");
    ck_assert_ptr_null(strchr(output, '\033'));
    int lines = 0, widest = 0;
    for (const char *line = output; *line; line = strchr(line, '\n') + 1) {
        int columns = 0;
        for (const char *c = line; *c != '\n'; c++) {
            columns += (*c & 0xc0) != 0x80;
        }
        widest = columns > widest ? columns : widest;
        lines++;
    }
    ck_assert_int_eq(lines, 14);
    ck_assert_int_le(widest, 60);
    leave();
}

TEST(pictures_are_well_formed)
{
    enter_folder();
    make_take("a.take", "gcc -g", game, 40);
    ck_assert_int_eq(run(cmd_plot, "plot --svg --output p.svg a.take score enemies[0].x<1"), 2);
    ck_assert_int_eq(run(cmd_plot, "plot --svg --output p.svg a.take score late->hp"), 0);
    read_file("p.svg", output, sizeof output);
    expect_in(output, "<svg xmlns=");
    expect_in(output, "late-&gt;hp");
    ck_assert_int_eq(system("python3 -c 'import xml.dom.minidom as m; m.parse(\"p.svg\")'"), 0);
    ck_assert_int_eq(run(cmd_plot, "plot --svg --output p.svg a.take score"), 1);
    expect_in(errors, "is there already");
    ck_assert_int_eq(run(cmd_plot, "plot --png --size 320x200 --output p.png a.take score"), 0);
    FILE *file = fopen("p.png", "rb");
    unsigned char head[24];
    ck_assert_uint_eq(fread(head, 1, sizeof head, file), sizeof head);
    fclose(file);
    ck_assert_int_eq(memcmp(head, "\x89PNG\r\n\x1a\n", 8), 0);
    ck_assert_int_eq(head[18] << 8 | head[19], 320);
    ck_assert_int_eq(head[22] << 8 | head[23], 200);
    leave();
}

TEST(what_cannot_be_plotted_is_said)
{
    enter_folder();
    make_take("a.take", "gcc -g", game, 3);
    ck_assert_int_eq(run(cmd_plot, "plot a.take scor"), 1);
    expect_in(errors, "scor: the build has no such variable");
    ck_assert_int_eq(run(cmd_plot, "plot a.take enemies[1].hq"), 1);
    expect_in(errors, "struct Enemy has no member hq; it has x, hp, target");
    ck_assert_int_eq(run(cmd_plot, "plot a.take enemies[1"), 2);
    expect_in(errors, "at character 10: here a ] is missing");
    ck_assert_int_eq(run(cmd_plot, "plot a.take"), 2);
    ck_assert_int_eq(run(cmd_plot, "plot --size 3x3 a.take score"), 2);
    ck_assert_int_eq(run(cmd_plot, "plot --frames 2-77 a.take score"), 1);
    expect_in(errors, "it has 1 to 3");
    leave();
}
