/* The project's answers about types: each call of reading and adding them fails in turn. */
#include "type_answers.h"

#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[96], link_path[96];

static void begin(void)
{
    strcpy(directory, "/tmp/rp-answers-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/reprise.types", directory);
    snprintf(link_path, sizeof link_path, "%s/link.types", directory);
}

/* Nothing but the file may be there: what a failed call leaves behind keeps the directory. */
static void finish(void)
{
    unlink(link_path);
    unlink(path);
    ck_assert_msg(rmdir(directory) == 0, "something is left in %s", directory);
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

/* The file's text, "" where there is none. */
static const char *text_now(void)
{
    static char text[512];
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[got] = 0;
    if (file) {
        fclose(file);
    }
    return text;
}

static const char *before, *after;

/* A failure leaves the old text, or the new one where only the directory could not be synced. */
static rp_status add(void *context)
{
    (void)context;
    if (before[0]) {
        put(before);
    } else {
        unlink(path);
    }
    rp_status status = type_answers_add(path, "World.user", "struct Enemy");
    const char *now = text_now();
    ck_assert_msg(strcmp(now, after) == 0 || (status && strcmp(now, before) == 0),
                  "status %d, and the file holds \"%s\"", status, now);
    return status;
}

static void each_call_of_adding_fails(int system_code)
{
    size_t failed = fault_each_call(add, NULL, system_code);
    printf("%zu calls failed\n", failed);
#ifdef RP_FAULTS
    ck_assert_uint_ge(failed, 5); /* open, write, sync, rename, sync of the directory */
#endif
}

TEST(each_call_of_adding_the_first_answer_fails_and_no_half_is_left)
{
    begin();
    before = "";
    after = "# reprise.types\nWorld.user = struct Enemy\n";
    each_call_of_adding_fails(ENOSPC);
    finish();
}

TEST(each_call_of_adding_to_answers_fails_and_none_is_lost)
{
    begin();
    before = "# reprise.types\nscratch = bytes"; /* the last line is open */
    after = "# reprise.types\nscratch = bytes\nWorld.user = struct Enemy\n";
    each_call_of_adding_fails(EIO);
    finish();
}

static rp_status read_both(void *context)
{
    (void)context;
    type_answers answers;
    rp_status status = type_answers_read(path, &answers);
    ck_assert((answers.first == NULL) == (status != RP_OK));
    ck_assert(!status || !answers.text);
    if (!status) {
        ck_assert_str_eq(answers.first->type, "struct Enemy");
    }
    type_answers_drop(&answers);
    return status;
}

TEST(each_call_of_reading_answers_fails_and_is_told)
{
    begin();
    put("# reprise.types\nscratch = bytes\nWorld.user = struct Enemy\n");
    fault_each_call(read_both, NULL, EIO);
    finish();
}

TEST(a_file_that_is_not_ours_is_left_as_it_is)
{
    begin();
    put("words of somebody\n");
    ck_assert_int_eq(type_answers_add(path, "a", "b"), RP_E_BUSY);
    ck_assert_str_eq(text_now(), "words of somebody\n");
    finish();
}

TEST(a_link_to_the_file_stays_a_link)
{
    struct stat found;
    begin();
    put("# reprise.types\n");
    ck_assert_int_eq(symlink(path, link_path), 0);
    ck_ok(type_answers_add(link_path, "a", "b"));
    ck_assert_int_eq(lstat(link_path, &found), 0);
    ck_assert(S_ISLNK(found.st_mode));
    ck_assert_str_eq(text_now(), "# reprise.types\na = b\n");
    finish();
}
