/* `reprise new`: what it writes builds; what is not its own stays. */
#include "cmd_new.h"
#include "embed.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/reprise-new-XXXXXX";

static void enter(void)
{
    ck_assert_ptr_nonnull(mkdtemp(base));
    ck_assert_int_eq(chdir(base), 0);
}

static void leave(void)
{
    char command[64];
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

static int new_project(char *path)
{
    char *argv[] = {"new", path, NULL};
    return cmd_new(2, argv);
}

static size_t read_file(const char *directory, const char *name, char *bytes, size_t capacity)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    size_t got = fread(bytes, 1, capacity, file);
    fclose(file);
    return got;
}

TEST(a_project_holds_the_templates_byte_for_byte)
{
    char written[16384], template[16384];
    enter();
    ck_assert_int_eq(new_project("hello"), 0);
    ck_assert_int_eq(new_files_count, 5);
    for (int i = 0; i < new_files_count; i++) {
        const char *name = new_files[i].name;
        size_t got = read_file("hello", name, written, sizeof written);
        size_t wanted = read_file(RP_SOURCE "/host/new", *name == '.' ? "dot-gitignore" : name,
                                  template, sizeof template);
        ck_assert_uint_eq(got, wanted);
        ck_assert_uint_gt(got, 0);
        ck_assert_mem_eq(written, template, wanted);
    }
    leave();
}

TEST(a_project_builds_with_the_commands_that_it_names)
{
    enter();
    ck_assert_int_eq(new_project("hello"), 0);
    ck_assert_int_eq(mkdir("bin", 0755), 0);
    FILE *fake = fopen("bin/reprise", "w");
    ck_assert_ptr_nonnull(fake);
    fprintf(
        fake,
        "#!/bin/sh\n[ \"$1\" = cflags ] && echo -I%s/include\n"
        "[ \"$1\" = ldflags ] && echo -Wl,-Ttext-segment=0x200000000000 && echo >> links\ntrue\n",
        RP_SOURCE);
    fclose(fake);
    ck_assert_int_eq(chmod("bin/reprise", 0755), 0);
    ck_assert_int_eq(
        system("cd hello && PATH=../bin:$PATH make -s CFLAGS='-g -O1 -Wall -Wextra -Werror' &&"
               " readelf -lW game.so | grep -q 0x0000200000000000 && test -s links"),
        0);
    leave();
}

TEST(an_empty_directory_is_used_and_a_full_one_refused)
{
    char text[8];
    enter();
    ck_assert_int_eq(mkdir("empty", 0755), 0);
    ck_assert_int_eq(new_project("empty"), 0);
    ck_assert_int_eq(new_project("empty"), 1);
    ck_assert_int_eq(mkdir("full", 0755), 0);
    int fd = open("full/.hidden", O_CREAT | O_WRONLY, 0644);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    close(fd);
    ck_assert_int_eq(new_project("full"), 1);
    ck_assert_str_eq(rp_error_last()->text,
                     "new: full: is not empty, it holds .hidden: name a new directory");
    ck_assert_uint_eq(read_file("full", ".hidden", text, sizeof text), 4);
    ck_assert_int_ne(access("full/game.c", F_OK), 0);
    leave();
}

TEST(a_file_in_the_place_is_refused_and_stays)
{
    char text[8];
    enter();
    int fd = open("file", O_CREAT | O_WRONLY, 0644);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    close(fd);
    ck_assert_int_eq(new_project("file"), 1);
    ck_assert_uint_eq(read_file(".", "file", text, sizeof text), 4);
    ck_assert_int_eq(new_project("missing/inner"), 1);
    ck_assert_int_ne(access("missing", F_OK), 0);
    leave();
}

/* A full disk, in effect: no file may grow beyond some bytes. */
TEST(a_project_that_cannot_be_written_leaves_nothing)
{
    struct rlimit limit;
    enter();
    ck_assert_int_eq(mkdir("empty", 0755), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, limit.rlim_max}), 0);
    int into_new = new_project("fresh"), into_empty = new_project("empty");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(into_new, 1);
    ck_assert_int_eq(rp_error_last()->system_code, EFBIG);
    ck_assert_int_ne(access("fresh", F_OK), 0);
    ck_assert_int_eq(into_empty, 1);
    ck_assert_int_eq(rmdir("empty"), 0);
    leave();
}

TEST(wrong_usage_is_told_apart_from_failure)
{
    char *none[] = {"new", NULL};
    char *two[] = {"new", "a", "b", NULL};
    char *unknown[] = {"new", "--frobnicate", NULL};
    char *empty[] = {"new", "", NULL};
    char *help[] = {"new", "--help", NULL};
    enter();
    ck_assert_int_eq(cmd_new(1, none), 2);
    ck_assert_int_eq(cmd_new(3, two), 2);
    ck_assert_int_eq(cmd_new(2, unknown), 2);
    ck_assert_int_eq(cmd_new(2, empty), 2);
    ck_assert_int_eq(cmd_new(2, help), 0);
    ck_assert_int_ne(access("a", F_OK), 0);
    leave();
}
