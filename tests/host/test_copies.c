/* The folder of copies: its own host's while that lives, anybody's to clear away after. */
#include "copies.h"

#include "support/fault.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char place[64];

static void begin(void)
{
    strcpy(place, "/tmp/rp-copies-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    setenv("XDG_RUNTIME_DIR", place, 1);
}

static void end(void)
{
    ck_assert_msg(rmdir(place) == 0, "something is left in %s", place);
}

static const char *in(const char *folder, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void touch(const char *folder, const char *name)
{
    int fd = open(in(folder, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static int exists(const char *folder, const char *name)
{
    return access(in(folder, name), F_OK) == 0;
}

/* A host that is killed: `path` is its folder, with `file` in it. */
static void killed_host(char path[COPIES_PATH_BYTES], const char *file)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        copies dead;
        _exit(copies_open(&dead) || write(ends[1], dead.path, sizeof dead.path) < 0);
    }
    ck_assert_int_eq(read(ends[0], path, COPIES_PATH_BYTES), COPIES_PATH_BYTES);
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    touch(path, file);
}

TEST(a_folder_goes_with_its_copies)
{
    begin();
    int descriptors = fault_open_descriptors();
    copies c;
    ck_ok(copies_open(&c));
    ck_assert_int_eq(strncmp(c.path, place, strlen(place)), 0);
    touch(c.path, "build-000001.so");
    copies_close(&c);
    copies_close(&c);
    ck_assert_int_eq(fault_open_descriptors(), descriptors);
    end();
}

TEST(what_a_killed_host_left_is_cleared_by_the_next)
{
    char dead[3][COPIES_PATH_BYTES];
    const char *files[] = {"build-000012.so", "build-000001-again-0002.so", ".reprise-a1B2c3"};
    begin();
    for (int i = 0; i < 3; i++) {
        killed_host(dead[i], files[i]);
        ck_assert(exists(dead[i], files[i]));
        copies next;
        ck_ok(copies_open(&next));
        ck_assert_msg(!exists(dead[i], ""), "%s is left", files[i]);
        copies_close(&next);
    }
    end();
}

TEST(a_folder_whose_host_lives_stays)
{
    begin();
    copies living, next;
    ck_ok(copies_open(&living));
    touch(living.path, "build-000001.so");
    ck_ok(copies_open(&next));
    ck_assert(exists(living.path, "build-000001.so"));
    copies_close(&next);
    copies_close(&living);
    end();
}

TEST(what_is_not_ours_stays)
{
    char dead[COPIES_PATH_BYTES], folder[128];
    const char *others[] = {"reprise-abcde", "reprise-abcdefg", "reprise-ab-def", "another-abcdef"};
    begin();
    killed_host(dead, "precious.txt");
    touch(dead, "build-000001.so");
    for (int i = 0; i < 4; i++) {
        snprintf(folder, sizeof folder, "%s/%s", place, others[i]);
        ck_assert_int_eq(mkdir(folder, 0700), 0);
    }
    snprintf(folder, sizeof folder, "%s/reprise-open00", place);
    ck_assert_int_eq(mkdir(folder, 0755), 0); /* mkdtemp's are 0700 */
    ck_assert_int_eq(symlink(dead, in(place, "reprise-link00")), 0);
    touch(place, "reprise-file00");
    copies next;
    ck_ok(copies_open(&next));
    copies_close(&next);
    ck_assert(exists(dead, "precious.txt"));
    ck_assert(!exists(dead, "build-000001.so"));
    ck_assert_int_eq(unlink(in(dead, "precious.txt")), 0);
    ck_assert_int_eq(rmdir(dead), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(rmdir(in(place, others[i])), 0);
    }
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(unlink(in(place, "reprise-link00")), 0);
    ck_assert_int_eq(unlink(in(place, "reprise-file00")), 0);
    end();
}

TEST(a_place_that_does_not_take_it_gives_way_to_the_next)
{
    copies c;
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    ck_ok(copies_open(&c));
    ck_assert(strncmp(c.path, "/nowhere", 8) != 0);
    char path[COPIES_PATH_BYTES];
    strcpy(path, c.path);
    copies_close(&c);
    ck_assert_int_ne(access(path, F_OK), 0);
}
