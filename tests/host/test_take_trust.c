/* The list of known builds: by content, in a folder of the user's. */
#include "support/test.h"
#include "take_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64];

static void enter(void)
{
    strcpy(home, "/tmp/reprise-trust-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    setenv("HOME", home, 1);
    unsetenv("XDG_STATE_HOME");
}

static void leave(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", home);
    ck_assert_int_eq(system(command), 0);
}

TEST(what_was_added_is_known_and_a_byte_more_is_not)
{
    enter();
    ck_assert(!take_trust_knows("module", 6));
    ck_ok(take_trust_add("module", 6, "aabb", "./game.so"));
    ck_assert(take_trust_knows("module", 6));
    ck_assert(!take_trust_knows("module!", 7));
    ck_assert(!take_trust_knows("Module", 6));
    leave();
}

TEST(a_build_stands_in_the_list_once_and_a_name_makes_no_line)
{
    enter();
    char path[256], line[600];
    ck_ok(take_trust_add("a", 1, "",
                         "one\nca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785a"));
    ck_ok(take_trust_add("a", 1, "", "one"));
    ck_ok(take_trust_add("b", 1, "", "two"));
    ck_ok(take_trust_path(path, sizeof path));
    FILE *list = fopen(path, "r");
    ck_assert_ptr_nonnull(list);
    int lines = 0;
    while (fgets(line, sizeof line, list)) {
        lines++;
    }
    fclose(list);
    ck_assert_int_eq(lines, 2);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    leave();
}

TEST(a_list_of_anything_knows_nothing)
{
    enter();
    char path[256];
    ck_ok(take_trust_add("a", 1, "", "one"));
    ck_ok(take_trust_path(path, sizeof path));
    FILE *list = fopen(path, "w");
    for (int i = 0; i < 70000; i++) {
        fputc(i % 251, list);
    }
    fclose(list);
    ck_assert(!take_trust_knows("a", 1));
    ck_ok(take_trust_add("a", 1, "", "one"));
    leave();
}

TEST(without_a_place_it_is_said)
{
    unsetenv("HOME");
    unsetenv("XDG_STATE_HOME");
    ck_assert_int_eq(take_trust_add("a", 1, "", "one"), RP_E_NOT_FOUND);
    ck_assert(!take_trust_knows("a", 1));
    setenv("HOME", "/proc/self/nothing", 1);
    ck_assert_int_eq(take_trust_add("a", 1, "", "one"), RP_E_SYSTEM);
}
