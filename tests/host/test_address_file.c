/* The project file: reading, writing, checking; whose it is. */
#include "doctor/address_file.h"

#include "base/bits.h"
#include "region/region.h"
#include "support/fault.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[64];
static char text[ADDRESS_FILE_BYTES_MAX];

static address_file good_file(void)
{
    rp_os_machine machine;
    rp_os_machine_get(&machine);
    address_file file = {.base = RP_REGION_BASE,
                         .end = RP_MODULE_LIMIT,
                         .reserve_bytes = RP_REGION_RESERVE_BYTES,
                         .page_bytes = machine.page_bytes,
                         .address_bits = 47,
                         .randomisation_bits = 28,
                         .kernel = "6.1.0-18-amd64",
                         .kind = "pie",
                         .build_id = "00ff",
                         .date = "2026-01-31",
                         .version = "0.1.0",
                         .program = "/home/a b/game",
                         .modes = {{200, 200, 199}, {1, 2, 3}, {0, 0, 0}, {7, 7, 7}}};
    strcpy(file.architecture, machine.architecture);
    return file;
}

static rp_status parse(const char *bytes, address_file *file)
{
    return address_file_parse("here", bytes, strlen(bytes), file);
}

static void begin(void)
{
    strcpy(place, "/tmp/rp-address-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    ck_assert_int_eq(chdir(place), 0);
}

static void end(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_msg(rmdir(place) == 0, "something is left in %s", place);
}

static void put(const char *path, const char *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    close(fd);
}

static bool holds(const char *path, const char *bytes)
{
    char got[512] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, got, sizeof got - 1);
    close(fd);
    return length >= 0 && strcmp(got, bytes) == 0;
}

TEST(what_is_printed_is_read_again)
{
    address_file file = good_file(), again;
    size_t length = address_file_print(&file, text, sizeof text);
    ck_assert_uint_eq(length, strlen(text));
    ck_ok(parse(text, &again));
    ck_assert_int_eq(memcmp(&file, &again, sizeof file), 0);
}

TEST(a_buffer_that_is_too_small_is_told)
{
    address_file file = good_file();
    size_t length = address_file_print(&file, text, sizeof text);
    for (size_t capacity = 1; capacity <= length; capacity++) {
        ck_assert_uint_eq(address_file_print(&file, text, capacity), 0);
    }
    ck_assert_uint_eq(address_file_print(&file, text, length + 2), length);
}

TEST(a_file_that_is_not_ours_is_refused)
{
    static const char *const others[] = {
        "",
        "\n",
        "reprise-address",
        "reprise-address\n",
        "reprise-address x\n",
        "reprise-addresses 1\n",
        " reprise-address 1\n",
        "#!/bin/sh\n",
        "reprise-address 1",
    };
    address_file file;
    for (size_t i = 0; i < RP_COUNT_OF(others); i++) {
        ck_assert_int_eq(parse(others[i], &file), RP_E_FORMAT);
        ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "not ours"));
    }
    ck_assert_int_eq(parse("reprise-address 2\n", &file), RP_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "version 2"));
}

TEST(a_damaged_line_is_named)
{
    static const char *const lines[] = {
        "base -1",         "base 0x",        "base 0x10000000000000000",
        "page 4294967296", "page",           " page 1",
        "mode as-is",      "mode as-is 1 2", "mode as-is 1 2 3 4",
        "mode a 1 2 x",    "mode a 1 2 -3",  "mode a  1 2 3",
        "kernel a\tb",     "base 12 ",
    };
    address_file file;
    for (size_t i = 0; i < RP_COUNT_OF(lines); i++) {
        snprintf(text, sizeof text, "reprise-address 1\n# fine\n\n%s\npage 4096\n", lines[i]);
        ck_assert_msg(parse(text, &file) == RP_E_FORMAT, "%s", lines[i]);
        ck_assert_msg(strstr(rp_error_last()->text, "here:4:") != NULL, "%s: %s", lines[i],
                      rp_error_last()->text);
    }
    ck_assert_int_eq(address_file_parse("here", "reprise-address 1\nbase 1\0\n", 26, &file),
                     RP_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "here:2:"));
}

TEST(a_cut_anywhere_is_an_error_or_a_whole_file)
{
    address_file file = good_file(), again;
    size_t length = address_file_print(&file, text, sizeof text);
    for (size_t cut = 0; cut < length; cut++) {
        rp_status status = address_file_parse("here", text, cut, &again);
        bool whole_line = cut && text[cut - 1] == '\n';
        ck_assert_msg(status == RP_E_FORMAT || (whole_line && status == RP_OK), "cut at %zu", cut);
    }
}

TEST(names_of_later_versions_are_skipped)
{
    address_file file = good_file(), again;
    size_t length = address_file_print(&file, text, sizeof text);
    snprintf(text + length, sizeof text - length, "colour blue green\nmode sideways 1 2 3\n");
    ck_ok(parse(text, &again));
    ck_assert_int_eq(memcmp(&file, &again, sizeof file), 0);
}

TEST(numbers_that_cannot_be_are_refused)
{
    address_file file = good_file(), again;
    file.reserve_bytes = file.end - file.base + 1;
    address_file_print(&file, text, sizeof text);
    ck_assert_int_eq(parse(text, &again), RP_E_FORMAT);
    file = good_file();
    file.end = file.base;
    address_file_print(&file, text, sizeof text);
    ck_assert_int_eq(parse(text, &again), RP_E_FORMAT);
    file = good_file();
    file.architecture[0] = 0;
    address_file_print(&file, text, sizeof text);
    ck_assert_int_eq(parse(text, &again), RP_E_FORMAT);
}

TEST(ours_is_replaced_and_nothing_else_is)
{
    address_file file = good_file(), again;
    begin();
    ck_ok(address_file_write("a", &file));
    file.modes[0].run_count = 5;
    ck_ok(address_file_write("a", &file));
    ck_ok(address_file_read("a", &again));
    ck_assert_uint_eq(again.modes[0].run_count, 5);
    put("a", "reprise-address 1\nbase damaged\n");
    ck_ok(address_file_write("a", &file));
    static const char *const others[] = {"precious\n", "reprise-address 2\nnew\n", "", "x"};
    for (size_t i = 0; i < RP_COUNT_OF(others); i++) {
        put("b", others[i]);
        ck_assert_int_eq(address_file_write("b", &file), RP_E_TAKEN);
        ck_assert(holds("b", others[i]));
    }
    ck_assert_int_eq(mkdir("c", 0700), 0);
    ck_assert_int_eq(address_file_write("c", &file), RP_E_TAKEN);
    unlink("a");
    unlink("b");
    rmdir("c");
    end();
}

static rp_status attempt(void *context)
{
    address_file again;
    rp_status status = address_file_write("f", context);
    return status ? status : address_file_read("f", &again);
}

TEST(every_failing_call_is_told)
{
    address_file file = good_file();
    begin();
    fault_each_call(attempt, &file, EIO);
    unlink("f");
    end();
}

static void check_says(const address_file *file, const rp_os_machine *machine, const char *words)
{
    ck_assert_int_eq(address_file_check("here", file, machine), RP_E_CHANGED);
    ck_assert_msg(strstr(rp_error_last()->text, words) != NULL, "%s", rp_error_last()->text);
}

TEST(what_no_longer_fits_is_named)
{
    rp_os_machine machine, other;
    address_file good = good_file(), file;
    rp_os_machine_get(&machine);
    machine.address_space_limit_bytes = RP_OS_NO_LIMIT;
    ck_ok(address_file_check("here", &good, &machine));
    file = good, file.base += RP_GIB(1);
    check_says(&file, &machine, "0x550040000000");
    file = good, file.end -= RP_GIB(1);
    check_says(&file, &machine, "0x555500000000");
    file = good, strcpy(file.architecture, "aarch64");
    check_says(&file, &machine, "aarch64");
    file = good, file.page_bytes = 16384;
    check_says(&file, &machine, "16384");
    other = machine, other.address_bits = 46;
    check_says(&good, &other, "46 address bits");
    other = machine, other.randomisation_bits = 33;
    check_says(&good, &other, "33");
    other = machine, other.address_space_limit_bytes = RP_GIB(255);
    check_says(&good, &other, "RLIMIT_AS");
    other = machine, strcpy(other.kernel, "7.0");
    ck_ok(address_file_check("here", &good, &other));
}

TEST(the_project_file_is_looked_for_here_and_beside_the_module)
{
    address_file file = good_file();
    begin();
    ck_ok(address_file_check_project("game.so"));
    ck_assert_int_eq(mkdir("build", 0700), 0);
    ck_ok(address_file_check_project("build/game.so"));
    file.page_bytes = 16384;
    ck_ok(address_file_write("build/" ADDRESS_FILE_NAME, &file));
    ck_ok(address_file_check_project("game.so"));
    ck_assert_int_eq(address_file_check_project("build/game.so"), RP_E_CHANGED);
    file = good_file();
    ck_ok(address_file_write(ADDRESS_FILE_NAME, &file));
    ck_ok(address_file_check_project("build/game.so"));
    put(ADDRESS_FILE_NAME, "else\n");
    ck_assert_int_eq(address_file_check_project("game.so"), RP_E_FORMAT);
    unlink(ADDRESS_FILE_NAME);
    unlink("build/" ADDRESS_FILE_NAME);
    rmdir("build");
    end();
}
