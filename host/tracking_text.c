#include "tracking_text.h"

#include <base/bits.h>
#include <string.h>

static const struct {
    rp_tracking tracking;
    const char *name, *slow;
} ways[] = {
    {RP_TRACKING_AUTO, "auto", NULL},
    {RP_TRACKING_WP_ASYNC, "wp-async", NULL},
    {RP_TRACKING_WP_SIGBUS, "wp-sigbus", "a signal for the first write to each 16 pages, 4 us"},
    {RP_TRACKING_MPROTECT, "mprotect", "a signal for the first write to each 16 pages, 5 us"},
    {RP_TRACKING_COMPARE, "compare", "all of the world is read in each frame, 0.25 ms a MiB"},
};

const char *tracking_name(uint32_t tracking)
{
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        if ((uint32_t)ways[i].tracking == tracking && tracking != RP_TRACKING_AUTO) {
            return ways[i].name;
        }
    }
    return "none";
}

bool tracking_read(const char *text, rp_tracking *tracking)
{
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        if (strcmp(text, ways[i].name) == 0) {
            *tracking = ways[i].tracking;
            return true;
        }
    }
    return false;
}

const char *tracking_slow(uint32_t tracking)
{
    for (size_t i = 0; i < RP_COUNT_OF(ways); i++) {
        if ((uint32_t)ways[i].tracking == tracking) {
            return ways[i].slow;
        }
    }
    return NULL;
}
