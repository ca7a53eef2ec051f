/* Whole files. */
#include "os/os.h"
#include "support/fault.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static const char *enter_directory(void)
{
    strcpy(directory, "/tmp/reprise-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    return directory;
}

static int entries(void)
{
    int count = 0;
    DIR *opened = opendir(".");
    for (struct dirent *entry; (entry = readdir(opened));) {
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    }
    closedir(opened);
    return count;
}

static void leave_directory(const char *name)
{
    if (name) {
        unlink(name);
    }
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_msg(rmdir(directory) == 0, "something was left in %s", directory);
}

static void check_content(const char *path, const char *expected)
{
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read(path, 1 << 20, &bytes));
    ck_assert_uint_eq(bytes.size_bytes, strlen(expected));
    ck_assert_str_eq((char *)bytes.data, expected);
    rp_os_file_free(&bytes);
    ck_assert_ptr_null(bytes.data);
}

TEST(what_was_written_is_read_back_with_a_zero_behind)
{
    enter_directory();
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 300000};
    char *data = malloc(300000);
    memset(data, 'q', 300000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rp_os_bytes bytes;
        ck_ok(rp_os_file_write("file", data, sizes[i]));
        ck_ok(rp_os_file_read("file", sizes[i], &bytes));
        ck_assert_uint_eq(bytes.size_bytes, sizes[i]);
        ck_assert_int_eq(memcmp(bytes.data, data, sizes[i]), 0);
        ck_assert_int_eq(bytes.data[sizes[i]], 0);
        rp_os_file_free(&bytes);
    }
    free(data);
    leave_directory("file");
}

TEST(a_written_file_has_its_mode_whatever_the_mask)
{
    enter_directory();
    umask(077);
    ck_ok(rp_os_file_write("file", "x", 1));
    struct stat info;
    ck_assert_int_eq(stat("file", &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0644);
    leave_directory("file");
}

TEST(an_existing_file_is_replaced_and_an_open_one_keeps_the_old_content)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "the old content", 15));
    int old = open("file", O_RDONLY);
    ck_ok(rp_os_file_write("file", "new", 3));
    check_content("file", "new");
    char text[16] = "";
    ck_assert_int_eq(read(old, text, 15), 15);
    ck_assert_str_eq(text, "the old content");
    ck_assert_int_eq(entries(), 1);
    close(old);
    leave_directory("file");
}

TEST(paths_with_and_without_a_directory_are_written)
{
    enter_directory();
    char path[PATH_MAX];
    ck_ok(rp_os_file_write("./file", "a", 1));
    check_content("file", "a");
    snprintf(path, sizeof path, "%s/file", directory);
    ck_ok(rp_os_file_write(path, "b", 1));
    check_content("file", "b");
    ck_assert_int_eq(mkdir("sub", 0755), 0);
    ck_ok(rp_os_file_write("sub/file", "c", 1));
    check_content("sub/file", "c");
    unlink("sub/file");
    rmdir("sub");
    leave_directory("file");
}

TEST(the_longest_name_can_be_written)
{
    enter_directory();
    char name[NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = 0;
    ck_ok(rp_os_file_write(name, "long", 4));
    check_content(name, "long");
    leave_directory(name);
}

TEST(a_path_that_is_too_long_is_refused)
{
    char path[PATH_MAX + 10];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 3] = '/';
    path[sizeof path - 1] = 0;
    ck_assert_int_eq(rp_os_file_write(path, "x", 1), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, ENAMETOOLONG);
}

static void check_refused(const char *path, size_t limit_bytes, rp_status expected)
{
    rp_os_bytes bytes = {(uint8_t *)path, 1, 1};
    ck_assert_int_eq(rp_os_file_read(path, limit_bytes, &bytes), expected);
    ck_assert_ptr_null(bytes.data);
    ck_assert_msg(strstr(rp_error_last()->text, path), "%s", rp_error_last()->text);
}

TEST(what_is_no_regular_file_is_refused_without_waiting)
{
    enter_directory();
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    check_refused("fifo", 100, RP_E_ARGUMENT);
    check_refused(".", 100, RP_E_ARGUMENT);
    check_refused("/dev/zero", 100, RP_E_ARGUMENT);
    leave_directory("fifo");
}

TEST(a_missing_file_is_not_found)
{
    check_refused("/nonexistent/file", 100, RP_E_NOT_FOUND);
    check_refused("/dev/null/file", 100, RP_E_NOT_FOUND);
    ck_assert_int_eq(rp_os_file_write("/nonexistent/file", "x", 1), RP_E_NOT_FOUND);
}

TEST(a_file_over_the_limit_is_refused_and_one_at_the_limit_is_not)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "12345", 5));
    check_refused("file", 4, RP_E_LIMIT);
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read("file", 5, &bytes));
    rp_os_file_free(&bytes);
    rp_os_file_free(&bytes);
    leave_directory("file");
}

TEST(a_directory_is_never_replaced_by_a_file)
{
    enter_directory();
    ck_assert_int_eq(mkdir("sub", 0755), 0);
    ck_assert_int_eq(rp_os_file_write("sub", "x", 1), RP_E_SYSTEM);
    ck_assert_int_eq(entries(), 1);
    rmdir("sub");
    leave_directory(NULL);
}

static rp_status replace(void *unused)
{
    (void)unused;
    rp_status status = rp_os_file_write("file", "new", 3);
    rp_os_fault_pause();
    ck_assert_int_eq(entries(), 1);
    rp_os_bytes bytes;
    ck_ok(rp_os_file_read("file", 100, &bytes));
    bool old = strcmp((char *)bytes.data, "old") == 0, new = strcmp((char *)bytes.data, "new") == 0;
    ck_assert(status ? old || new : new);
    rp_os_file_free(&bytes);
    ck_ok(rp_os_file_write("file", "old", 3));
    return status;
}

TEST(a_failed_write_leaves_the_old_file_or_the_new_one_and_no_other)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "old", 3));
    fault_each_call(replace, NULL, EIO);
    fault_each_call(replace, NULL, ENOSPC);
    leave_directory("file");
}

static rp_status read_once(void *path)
{
    rp_os_bytes bytes;
    rp_status status = rp_os_file_read(path, 100, &bytes);
    ck_assert(!status == !!bytes.data);
    rp_os_file_free(&bytes);
    return status;
}

TEST(a_failed_read_gives_nothing)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "content", 7));
    fault_each_call(read_once, "file", EIO);
    leave_directory("file");
}
