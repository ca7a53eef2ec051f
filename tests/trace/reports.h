/* Reports into memory, as text or read as JSON.
 *
 * Layer: for tests of trace.
 */
#ifndef TESTS_TRACE_REPORTS_H
#define TESTS_TRACE_REPORTS_H

#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"
#include "trace/trace.h"

#include <jansson.h>
#include <reprise/debug.h>
#include <reprise/trace.h>
#include <string.h>

typedef struct report_text_kept {
    char text[1 << 20];
    size_t length;
} report_text_kept;

static report_text_kept kept_report;

static inline void report_keep(void *context, const char *text, size_t length)
{
    report_text_kept *kept = context;
    ck_assert_uint_lt(kept->length + length, sizeof kept->text);
    memcpy(kept->text + kept->length, text, length);
    kept->length += length;
    kept->text[kept->length] = 0;
}

static inline void report_clear(void)
{
    kept_report.length = 0;
    kept_report.text[0] = 0;
}

/* To be released with json_decref. */
static inline json_t *report_json(void)
{
    json_error_t error;
    json_t *read = json_loadb(kept_report.text, kept_report.length, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(read != NULL, "no JSON: %s at %d: %.200s", error.text, error.position,
                  kept_report.text + (error.position > 40 ? error.position - 40 : 0));
    return read;
}

static inline int report_has(const char *text)
{
    return strstr(kept_report.text, text) != NULL;
}

static inline uint64_t number_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_integer(value), "no number %s", key);
    return (uint64_t)json_integer_value(value);
}

/* The element of an array of objects whose `key` is `value`; null: there is none. */
static inline json_t *element_with(const json_t *array, const char *key, const char *value)
{
    size_t index;
    json_t *element;
    json_array_foreach(array, index, element)
    {
        const char *text = json_string_value(json_object_get(element, key));
        if (text && strcmp(text, value) == 0) {
            return element;
        }
    }
    return NULL;
}

static inline void open_traced(void)
{
    ck_ok(rp_region_create(&(rp_region_desc){0}));
    ck_ok(rp_trace_open(NULL));
}

#endif
