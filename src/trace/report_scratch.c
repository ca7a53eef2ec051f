/* Scratch memory of reports: arrays in pages of the keep zone, and their order. */
#include "base/bits.h"
#include "region/region.h"
#include "trace/report.h"

#include <string.h>

static bool grow(report_array *array, size_t least_bytes)
{
    size_t bytes = rp_max_size(least_bytes, RP_UNIT_BYTES);
    if (array->items && rp_region_block_resize(array->items, bytes)) {
        array->capacity = bytes / array->item_bytes;
        return true;
    }
    uint8_t *larger = rp_region_block_alloc(RP_ZONE_KEEP, bytes, RP_BLOCK_PAGES, 0, 0);
    if (!larger) {
        array->full = true;
        return false;
    }
    if (array->items) {
        memcpy(larger, array->items, array->count * array->item_bytes);
        rp_region_block_free(array->items);
    }
    array->items = larger;
    array->capacity = bytes / array->item_bytes;
    return true;
}

bool report_array_reserve(report_array *array, size_t item_bytes, size_t capacity)
{
    array->item_bytes = item_bytes;
    return array->capacity >= capacity || grow(array, capacity * item_bytes);
}

void *report_array_add(report_array *array, size_t item_bytes)
{
    array->item_bytes = item_bytes;
    if (array->count == array->capacity && !grow(array, array->capacity * item_bytes * 2)) {
        return NULL;
    }
    return memset(report_array_at(array, array->count++), 0, item_bytes);
}

void report_array_drop(report_array *array)
{
    if (array->items) {
        rp_region_block_free(array->items);
    }
    *array = (report_array){0};
}

/* ---- heapsort: qsort may call malloc ---- */

static void swap(uint8_t *a, uint8_t *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void sift(report_array *array, size_t at, size_t count,
                 int (*compare)(const void *a, const void *b))
{
    for (size_t child; (child = at * 2 + 1) < count; at = child) {
        if (child + 1 < count &&
            compare(report_array_at(array, child), report_array_at(array, child + 1)) < 0) {
            child++;
        }
        uint8_t *above = report_array_at(array, at), *below = report_array_at(array, child);
        if (compare(above, below) >= 0) {
            return;
        }
        swap(above, below, array->item_bytes);
    }
}

void report_array_sort(report_array *array, int (*compare)(const void *a, const void *b))
{
    for (size_t i = array->count / 2; i-- > 0;) {
        sift(array, i, array->count, compare);
    }
    for (size_t last = array->count; last-- > 1;) {
        swap(array->items, report_array_at(array, last), array->item_bytes);
        sift(array, 0, last, compare);
    }
}
