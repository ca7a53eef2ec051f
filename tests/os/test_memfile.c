/* Memory files: shared between mappings, grown, written page by page. */
#include "base/bits.h"
#include "os/os.h"
#include "support/fault.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE RP_PAGE_BYTES
enum { MANY = 3000 };

static uint8_t *map(int fd, size_t size_bytes)
{
    void *address;
    ck_ok(rp_os_memfile_map(fd, 0, NULL, size_bytes, RP_OS_READ_WRITE, &address));
    return address;
}

static uint8_t *fresh_pages(size_t count)
{
    uint8_t *pages = rp_os_vm_reserve(count * PAGE);
    ck_assert_ptr_nonnull(pages);
    ck_ok(rp_os_vm_commit(pages, count * PAGE));
    return pages;
}

TEST(two_mappings_of_a_file_are_the_same_memory)
{
    int fd;
    ck_ok(rp_os_memfile_create("test", 4 * PAGE, &fd));
    uint8_t *one = map(fd, 4 * PAGE), *other = map(fd, 4 * PAGE);
    ck_assert_ptr_ne(one, other);
    one[3 * PAGE] = 77;
    ck_assert_int_eq(other[3 * PAGE], 77);
    rp_os_unmap(one, 4 * PAGE);
    ck_assert_int_eq(other[3 * PAGE], 77);
}

TEST(the_descriptor_closes_on_exec)
{
    int fd;
    ck_ok(rp_os_memfile_create("test", PAGE, &fd));
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(a_grown_file_keeps_its_content_and_adds_zeros)
{
    int fd;
    ck_ok(rp_os_memfile_create("test", PAGE, &fd));
    map(fd, PAGE)[0] = 5;
    ck_ok(rp_os_memfile_resize(fd, 3 * PAGE));
    uint8_t *grown = map(fd, 3 * PAGE);
    ck_assert_int_eq(grown[0], 5);
    ck_assert_int_eq(grown[3 * PAGE - 1], 0);
}

TEST(a_file_is_mapped_over_a_reservation_and_from_an_offset)
{
    int fd;
    void *address;
    ck_ok(rp_os_memfile_create("test", 4 * PAGE, &fd));
    map(fd, 4 * PAGE)[2 * PAGE] = 9;
    uint8_t *place = rp_os_vm_reserve(4 * PAGE);
    ck_ok(rp_os_memfile_map(fd, 2 * PAGE, place + PAGE, PAGE, RP_OS_READ, &address));
    ck_assert_ptr_eq(address, place + PAGE);
    ck_assert_int_eq(place[PAGE], 9);
    ck_assert(!rp_os_vm_readable(place, 1));
    ck_assert(!rp_os_vm_readable(place + 2 * PAGE, 1));
}

TEST(pages_from_anywhere_are_gathered_in_order)
{
    int fd;
    uint64_t state = test_seed();
    uint8_t *source = fresh_pages(MANY);
    const void *pages[MANY];
    ck_ok(rp_os_memfile_create("test", (MANY + 1) * PAGE, &fd));
    for (size_t i = 0; i < MANY; i++) {
        memset(source + i * PAGE, (int)(i % 251), PAGE);
        pages[i] = source + test_random(&state) % MANY * PAGE;
    }
    ck_ok(rp_os_memfile_write_pages(fd, PAGE, pages, MANY));
    uint8_t *content = map(fd, (MANY + 1) * PAGE);
    ck_assert_int_eq(content[0], 0);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(memcmp(content + (i + 1) * PAGE, pages[i], PAGE), 0);
    }
}

TEST(writing_past_the_end_grows_the_file)
{
    int fd;
    uint8_t *source = fresh_pages(1);
    const void *pages[] = {source};
    ck_ok(rp_os_memfile_create("test", 0, &fd));
    ck_ok(rp_os_memfile_write_pages(fd, 7 * PAGE, pages, 1));
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 8 * PAGE);
    ck_ok(rp_os_memfile_write_pages(fd, 0, NULL, 0));
}

static void check_unreadable_page_is_told(size_t bad)
{
    int fd;
    uint8_t *source = fresh_pages(600);
    const void *pages[600];
    for (size_t i = 0; i < 600; i++) {
        pages[i] = source + i * PAGE;
    }
    ck_ok(rp_os_vm_guard(source + bad * PAGE, PAGE));
    ck_ok(rp_os_memfile_create("test", 0, &fd));
    ck_assert_int_eq(rp_os_memfile_write_pages(fd, 0, pages, 600), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, EFAULT);
    char expected[40];
    snprintf(expected, sizeof expected, "page %zu of 600", bad);
    ck_assert_msg(strstr(rp_error_last()->text, expected), "%s", rp_error_last()->text);
}

TEST(a_source_page_that_cannot_be_read_is_named)
{
    check_unreadable_page_is_told(0);
    check_unreadable_page_is_told(300);
    check_unreadable_page_is_told(599);
}

TEST(a_page_that_fails_half_way_is_an_error_too)
{
    int fd;
    uint8_t *source = fresh_pages(2);
    const void *pages[] = {source + 100}; /* ends inside the guard */
    ck_ok(rp_os_vm_guard(source + PAGE, PAGE));
    ck_ok(rp_os_memfile_create("test", 0, &fd));
    ck_assert_int_eq(rp_os_memfile_write_pages(fd, 0, pages, 1), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, EFAULT);
}

TEST(a_bad_descriptor_is_an_error_of_every_call)
{
    void *address;
    const void *pages[] = {fresh_pages(1)};
    ck_assert_int_eq(rp_os_memfile_resize(-1, PAGE), RP_E_SYSTEM);
    ck_assert_int_eq(rp_os_memfile_write_pages(-1, 0, pages, 1), RP_E_SYSTEM);
    ck_assert_int_eq(rp_error_last()->system_code, EBADF);
    ck_assert_int_eq(rp_os_memfile_map(-1, 0, NULL, PAGE, RP_OS_READ, &address), RP_E_SYSTEM);
    ck_assert_ptr_null(address);
}

static rp_status whole_life(void *context)
{
    int fd;
    void *address = NULL;
    const void *pages[] = {context, context};
    rp_status status = rp_os_memfile_create("test", PAGE, &fd);
    if (status) {
        ck_assert_int_eq(fd, -1);
        return status;
    }
    status = rp_os_memfile_resize(fd, 4 * PAGE);
    status = status ? status : rp_os_memfile_write_pages(fd, 0, pages, 2);
    status = status ? status : rp_os_memfile_map(fd, 0, NULL, 4 * PAGE, RP_OS_READ_WRITE, &address);
    if (!status) {
        rp_os_unmap(address, 4 * PAGE);
    }
    close(fd);
    return status;
}

TEST(every_failing_call_is_told_and_nothing_leaks)
{
    uint8_t *page = fresh_pages(1);
    fault_each_call(whole_life, page, ENOMEM);
    fault_each_call_or_recover(whole_life, page, EINTR);
}

TEST(a_closed_file_stays_mapped)
{
    int fd;
    ck_ok(rp_os_memfile_create("test", PAGE, &fd));
    uint8_t *mapped = map(fd, PAGE);
    rp_os_memfile_close(fd);
    rp_os_memfile_close(-1);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    mapped[5] = 1;
    rp_os_unmap(mapped, PAGE);
}
