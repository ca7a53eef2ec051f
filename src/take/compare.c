/* What differs between two states. */
#include "take/copy.h"

#include "base/bits.h"

#include <string.h>

/* Equal bytes that are told along, so that a number's changed bytes are one span. */
enum { GAP_BYTES = 8 };

static const uint8_t zeros[RP_PAGE_BYTES];

static const uint8_t *content_of(const rp_take_state *state, uint32_t page)
{
    const uint8_t *content = rp_take_state_page(state, page);
    return content ? content : zeros;
}

/* Pages of `from` that differ from `other`'s; with `absent` only those that the other has not. */
static rp_status gather(const rp_take_state *from, const rp_take_state *other, bool absent,
                        rp_take_array *numbers)
{
    size_t cursor = 0;
    uint32_t page;
    const uint8_t *content;
    rp_status status = RP_OK;
    while (!status && rp_take_state_next(from, &cursor, &page, &content)) {
        const uint8_t *there = rp_take_state_page(other, page);
        if (!there || (!absent && memcmp(content, there, RP_PAGE_BYTES) != 0)) {
            status = rp_take_array_add(numbers, &page, sizeof page);
        }
    }
    return status;
}

static void sift(uint32_t *numbers, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && numbers[child] < numbers[child + 1];
        if (numbers[at] >= numbers[child]) {
            return;
        }
        uint32_t swapped = numbers[at];
        numbers[at] = numbers[child];
        numbers[child] = swapped;
    }
}

static void sort(uint32_t *numbers, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(numbers, i, count);
    }
    for (size_t end = count; end-- > 1;) {
        uint32_t last = numbers[end];
        numbers[end] = numbers[0];
        numbers[0] = last;
        sift(numbers, 0, end);
    }
}

/* The next span of a page from `at` on; its end, or 0 where there is none. *start: where it begins.
 */
static size_t next_span(const uint8_t *a, const uint8_t *b, size_t at, size_t *start)
{
    while (at < RP_PAGE_BYTES && a[at] == b[at]) {
        at++;
    }
    *start = at;
    size_t end = 0;
    for (; at < RP_PAGE_BYTES && (!end || at < end + GAP_BYTES); at++) {
        if (a[at] != b[at]) {
            end = at + 1;
        }
    }
    return end;
}

static void compare_page(uint32_t page, const uint8_t *a, const uint8_t *b,
                         void (*each)(void *, const rp_take_difference *), void *context,
                         rp_take_difference_sum *sum)
{
    size_t start, end = 0;
    while ((end = next_span(a, b, end, &start))) {
        rp_take_difference difference = {.page = page,
                                         .offset_bytes = (uint32_t)start,
                                         .size_bytes = (uint32_t)(end - start),
                                         .a = a + start,
                                         .b = b + start};
        sum->span_count++;
        sum->byte_count += end - start;
        if (each) {
            each(context, &difference);
        }
    }
}

rp_status rp_take_compare(const rp_take_state *a, const rp_take_state *b,
                          void (*each)(void *, const rp_take_difference *), void *context,
                          rp_take_difference_sum *sum)
{
    rp_take_array numbers;
    *sum = (rp_take_difference_sum){0};
    rp_status status = rp_take_array_init(&numbers, RP_GIB(1));
    status = status ? status : gather(a, b, false, &numbers);
    status = status ? status : gather(b, a, true, &numbers);
    if (!status) {
        uint32_t *list = (uint32_t *)(void *)numbers.data;
        sum->page_count = numbers.used_bytes / sizeof *list;
        sort(list, (size_t)sum->page_count);
        for (size_t i = 0; i < sum->page_count; i++) {
            compare_page(list[i], content_of(a, list[i]), content_of(b, list[i]), each, context,
                         sum);
        }
    }
    rp_take_array_finish(&numbers);
    return status;
}
