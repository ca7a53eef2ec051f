/* What the tests of the debug modes share: an open region, and the errors that were told. */
#ifndef TESTS_TRACE_DEBUG_FIXTURE_H
#define TESTS_TRACE_DEBUG_FIXTURE_H

#include "base/bits.h"
#include "support/child.h"
#include "support/test.h"
#include "trace/trace.h"

#include <reprise/debug.h>
#include <string.h>

enum { TOLD_MOST = 64 };

static struct told {
    size_t count;
    rp_debug_error errors[TOLD_MOST];
    char text[4096]; /* of the last */
} told;

static inline bool told_add(const rp_debug_error *error, void *context)
{
    (void)context;
    if (told.count < TOLD_MOST) {
        told.errors[told.count] = *error;
    }
    told.count++;
    strncpy(told.text, error->text, sizeof told.text - 1);
    return true;
}

static inline void debug_open(const char *settings)
{
    rp_region_desc desc = {.reserve_bytes = RP_GIB(4)};
    ck_ok(rp_region_create(&desc));
    ck_ok(rp_trace_open(settings));
    rp_debug_on_error(told_add, NULL);
    told.count = 0;
}

/* Errors go to standard error, as a child's are read there. */
static inline void debug_open_loud(const char *settings)
{
    debug_open(settings);
    rp_debug_on_error(NULL, NULL);
}

static inline rp_allocator *heap(const char *name)
{
    rp_allocator *made = rp_heap_create(&(rp_heap_desc){.name = name});
    ck_assert_msg(made, "%s", rp_error_last()->text);
    return made;
}

static inline rp_debug_stats debug_stats(void)
{
    rp_debug_stats stats;
    rp_debug_stats_get(&stats);
    return stats;
}

/* Writes that no compiler sees through. */
static inline void poke(void *address, int value)
{
    *(volatile uint8_t *)address = (uint8_t)value;
}

static inline int peek(const void *address)
{
    return *(const volatile uint8_t *)address;
}

static inline void no_errors(void)
{
    ck_assert_msg(told.count == 0, "told of %zu errors, the last: %s", told.count, told.text);
}

static inline void check_zones(void)
{
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
}

#endif
