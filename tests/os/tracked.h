/* A range of pages under write tracking, for the tests of it. A pattern has one character a page:
 * 'x' written, '.' not. Where the kernel cannot track, the test is left with the reason printed.
 *
 * On the rungs that take signals a page may be told besides that lies in the 16 around one that was
 * written; what must be told is the same, and so is what must not be told twice. */
#ifndef TESTS_OS_TRACKED_H
#define TESTS_OS_TRACKED_H

#include "base/bits.h"
#include "os/os.h"
#include "support/rung.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE RP_PAGE_BYTES

typedef struct tracked {
    rp_os_tracker tracker;
    uint8_t *start;
    size_t page_count;
} tracked;

typedef enum tracked_kind { TRACKED_UNTOUCHED, TRACKED_POPULATED } tracked_kind;

static inline rp_os_tracker tracked_open(void)
{
    rp_os_tracker tracker;
    rp_status status = rp_os_track_open(&tracker, (rp_os_rung)test_rung());
    if (status == RP_E_UNSUPPORTED) {
        printf("skipped: %s\n", rp_error_last()->text);
        fflush(stdout);
        exit(EXIT_SUCCESS);
    }
    ck_ok(status);
    return tracker;
}

static inline tracked tracked_more(const tracked *first, size_t page_count, tracked_kind kind)
{
    tracked t = {first->tracker, rp_os_vm_reserve(page_count * PAGE), page_count};
    ck_assert_ptr_nonnull(t.start);
    ck_ok(rp_os_vm_commit(t.start, page_count * PAGE));
    if (kind == TRACKED_POPULATED) {
        memset(t.start, 0x11, page_count * PAGE);
    }
    ck_ok(rp_os_track_add(&t.tracker, t.start, page_count * PAGE));
    return t;
}

static inline tracked tracked_pages(size_t page_count, tracked_kind kind)
{
    tracked none = {tracked_open(), NULL, 0};
    return tracked_more(&none, page_count, kind);
}

static inline void tracked_end(tracked *t)
{
    rp_os_vm_release(t->start, t->page_count * PAGE);
    rp_os_track_close(&t->tracker);
}

static inline void *tracked_store_byte(void *byte)
{
    *(volatile uint8_t *)byte = 1;
    return NULL;
}

/* Adds 1 to written[page] for each page that is told, in vectors of `capacity`. */
static inline void collect_into(tracked *t, uint8_t *written, size_t capacity)
{
    uint8_t *end = t->start + t->page_count * PAGE, *told = t->start;
    rp_os_extent *extents = calloc(capacity, sizeof *extents);
    for (void *from = t->start; from != end;) {
        size_t count, size_bytes = (size_t)(end - (uint8_t *)from);
        ck_ok(rp_os_track_collect(&t->tracker, from, size_bytes, extents, capacity, &count, &from));
        ck_assert_uint_le(count, capacity);
        for (size_t i = 0; i < count; i++) {
            ck_assert_msg(extents[i].start >= told, "extents out of order");
            told = extents[i].start + extents[i].size_bytes;
            for (uint8_t *page = extents[i].start; page < told; page += PAGE) {
                written[(page - t->start) / (ptrdiff_t)PAGE]++;
            }
        }
    }
    free(extents);
}

/* Whether it is a neighbour, for a rung that counts by 16 pages, of one that was written. */
static inline bool may_be_told(const tracked *t, size_t page, const char *expected)
{
    const uintptr_t cluster = 16 * PAGE;
    if (!rp_os_track_takes_signals(&t->tracker)) {
        return false;
    }
    for (size_t other = 0; other < t->page_count; other++) {
        if (expected[other] == 'x' && (uintptr_t)(t->start + other * PAGE) / cluster ==
                                          (uintptr_t)(t->start + page * PAGE) / cluster) {
            return true;
        }
    }
    return false;
}

static inline void check_written_by(tracked *t, const char *expected, size_t capacity)
{
    uint8_t *written = calloc(t->page_count, 1);
    char *found = calloc(t->page_count + 1, 1);
    collect_into(t, written, capacity);
    for (size_t page = 0; page < t->page_count; page++) {
        found[page] = written[page] == 0 ? '.' : written[page] == 1 ? 'x' : '!';
        if (found[page] == 'x' && expected[page] == '.' && may_be_told(t, page, expected)) {
            found[page] = '.';
        }
    }
    ck_assert_str_eq(found, expected);
    free(found);
    free(written);
}

static inline void check_written(tracked *t, const char *expected)
{
    check_written_by(t, expected, t->page_count);
}

static inline void check_lost(tracked *t)
{
    rp_os_extent extents[8];
    size_t count;
    void *next;
    rp_status status =
        rp_os_track_collect(&t->tracker, t->start, t->page_count * PAGE, extents, 8, &count, &next);
    ck_assert_int_eq(status ? status : rp_os_track_check(&t->tracker), RP_E_CHANGED);
}

#endif
