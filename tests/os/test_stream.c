/* Files that grow, and files that are read here and there. */
#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void enter_directory(void)
{
    strcpy(directory, "/tmp/reprise-stream-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(const char *name)
{
    if (name) {
        unlink(name);
    }
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_msg(rmdir(directory) == 0, "something was left in %s", directory);
}

static void expect(const char *path, const char *content)
{
    char read[64] = "";
    int fd;
    uint64_t size_bytes;
    ck_ok(rp_os_file_open(path, &fd, &size_bytes));
    ck_assert_uint_eq(size_bytes, strlen(content));
    ck_ok(rp_os_file_read_at(fd, 0, read, size_bytes));
    ck_assert_str_eq(read, content);
    rp_os_file_close(fd);
}

TEST(what_was_appended_stands_at_the_path_once_it_is_published)
{
    enter_directory();
    rp_os_stream stream;
    ck_ok(rp_os_stream_create(&stream, "file"));
    ck_ok(rp_os_stream_append(&stream, "one ", 4));
    ck_assert_int_ne(access("file", F_OK), 0);
    ck_ok(rp_os_stream_publish(&stream, false));
    expect("file", "one ");
    ck_ok(rp_os_stream_append(&stream, "two", 3));
    ck_ok(rp_os_stream_sync(&stream));
    expect("file", "one two");
    rp_os_stream_close(&stream);
    expect("file", "one two");
    leave_directory("file");
}

TEST(a_stream_that_was_never_published_leaves_nothing)
{
    enter_directory();
    rp_os_stream stream;
    ck_ok(rp_os_stream_create(&stream, "file"));
    ck_ok(rp_os_stream_append(&stream, "one", 3));
    rp_os_stream_close(&stream);
    leave_directory(NULL);
}

TEST(publishing_replaces_what_is_there_only_when_told_to)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "old", 3));
    rp_os_stream stream;
    ck_ok(rp_os_stream_create(&stream, "file"));
    ck_ok(rp_os_stream_append(&stream, "new", 3));
    ck_assert_int_eq(rp_os_stream_publish(&stream, false), RP_E_TAKEN);
    expect("file", "old");
    ck_ok(rp_os_stream_publish(&stream, true));
    expect("file", "new");
    rp_os_stream_close(&stream);
    leave_directory("file");
}

TEST(only_the_owner_may_read_a_stream)
{
    enter_directory();
    rp_os_stream stream;
    umask(0);
    ck_ok(rp_os_stream_create(&stream, "file"));
    ck_ok(rp_os_stream_publish(&stream, false));
    rp_os_stream_close(&stream);
    struct stat info;
    ck_assert_int_eq(stat("file", &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    leave_directory("file");
}

TEST(a_write_that_the_system_cuts_short_is_gone_on_with_and_its_failure_is_undone)
{
    enter_directory();
    signal(SIGXFSZ, SIG_IGN);
    rp_os_stream stream;
    ck_ok(rp_os_stream_create(&stream, "file"));
    ck_ok(rp_os_stream_append(&stream, "whole", 5));
    ck_ok(rp_os_stream_publish(&stream, false));
    struct rlimit limit = {.rlim_cur = 9, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(rp_os_stream_append(&stream, "0123456789", 10), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, EFBIG);
    expect("file", "whole");
    ck_ok(rp_os_stream_append(&stream, "+end", 4));
    expect("file", "whole+end");
    rp_os_stream_close(&stream);
    leave_directory("file");
}

#ifdef RP_FAULTS
TEST(writes_that_take_a_byte_at_a_time_write_all)
{
    enter_directory();
    rp_os_stream stream;
    ck_ok(rp_os_stream_create(&stream, "file"));
    rp_os_fault_shorten_to(1);
    ck_ok(rp_os_stream_append(&stream, "0123456789", 10));
    rp_os_fault_shorten_to(0);
    ck_ok(rp_os_stream_publish(&stream, false));
    rp_os_stream_close(&stream);
    expect("file", "0123456789");
    leave_directory("file");
}
#endif

TEST(reading_beyond_the_end_says_where_it_ends)
{
    enter_directory();
    ck_ok(rp_os_file_write("file", "0123456789", 10));
    int fd;
    uint64_t size_bytes;
    char bytes[8];
    ck_ok(rp_os_file_open("file", &fd, &size_bytes));
    ck_assert_int_eq(rp_os_file_read_at(fd, 6, bytes, 5), RP_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "ends at 10"));
    rp_os_file_close(fd);
    leave_directory("file");
}

TEST(what_is_no_file_is_refused_and_leaves_no_descriptor)
{
    enter_directory();
    int fd, before = fault_open_descriptors();
    uint64_t size_bytes;
    ck_assert_int_eq(rp_os_file_open("nothing", &fd, &size_bytes), RP_E_NOT_FOUND);
    ck_assert_int_eq(rp_os_file_open(".", &fd, &size_bytes), RP_E_ARGUMENT);
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    ck_assert_int_eq(rp_os_file_open("fifo", &fd, &size_bytes), RP_E_ARGUMENT);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(fault_open_descriptors(), before);
    leave_directory("fifo");
}

static rp_status write_and_read(void *context)
{
    (void)context;
    rp_os_stream stream;
    char bytes[3];
    int fd = -1;
    uint64_t size_bytes;
    rp_status status = rp_os_stream_create(&stream, "file");
    status = status ? status : rp_os_stream_append(&stream, "one", 3);
    status = status ? status : rp_os_stream_publish(&stream, false);
    status = status ? status : rp_os_stream_append(&stream, "two", 3);
    status = status ? status : rp_os_stream_sync(&stream);
    rp_os_stream_close(&stream);
    status = status ? status : rp_os_file_open("file", &fd, &size_bytes);
    status = status ? status : rp_os_file_read_at(fd, 3, bytes, 3);
    rp_os_file_close(fd);
    unlink("file");
    return status;
}

TEST(each_call_to_the_system_that_fails_is_told_and_leaves_nothing_half_made)
{
    enter_directory();
    fault_each_call(write_and_read, NULL, EIO);
    leave_directory(NULL);
}
