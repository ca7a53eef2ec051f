/* A copy of the world zone aside, and its way back: what history does, without history.
 *
 * Layer: for tests from region upward.
 */
#ifndef TESTS_SUPPORT_SNAPSHOT_H
#define TESTS_SUPPORT_SNAPSHOT_H

#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

typedef struct snapshot {
    rp_region_span spans[RP_REGION_SPANS];
    uint8_t *bytes[RP_REGION_SPANS];
} snapshot;

/* Guarded pages count as zero. */
static inline snapshot snapshot_take(void)
{
    snapshot taken;
    rp_region_committed(RP_ZONE_WORLD, taken.spans);
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        taken.bytes[i] = calloc(1, taken.spans[i].size_bytes + 1);
        for (size_t at = 0; at < taken.spans[i].size_bytes; at += RP_PAGE_BYTES) {
            if (!rp_region_is_guard(taken.spans[i].start + at)) {
                memcpy(taken.bytes[i] + at, taken.spans[i].start + at, RP_PAGE_BYTES);
            }
        }
    }
    return taken;
}

/* Also into a region that was opened since: what the snapshot had is committed first. */
static inline void snapshot_restore(const snapshot *taken)
{
    static const uint8_t zeros[RP_PAGE_BYTES];
    rp_region_span now[RP_REGION_SPANS];
    ck_ok(rp_region_guards_lift());
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        const rp_region_span *then = &taken->spans[i];
        if (then->size_bytes) {
            ck_ok(rp_region_commit_to(RP_ZONE_WORLD, then->start + then->size_bytes));
        }
        rp_region_committed(RP_ZONE_WORLD, now);
        for (size_t at = 0; at < now[i].size_bytes; at += RP_PAGE_BYTES) {
            const uint8_t *from = at < then->size_bytes ? taken->bytes[i] + at : zeros;
            memcpy(now[i].start + at, from, RP_PAGE_BYTES);
        }
    }
    ck_ok(rp_region_reconcile());
}

/* Whether the world is what it was; pages committed since must be zero. */
static inline int snapshot_equals(const snapshot *taken)
{
    snapshot now = snapshot_take();
    int equal = 1;
    for (int i = 0; i < RP_REGION_SPANS && equal; i++) {
        size_t common = taken->spans[i].size_bytes;
        equal = now.spans[i].size_bytes >= common && !memcmp(now.bytes[i], taken->bytes[i], common);
        for (size_t at = common; equal && at < now.spans[i].size_bytes; at++) {
            equal = now.bytes[i][at] == 0;
        }
    }
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        free(now.bytes[i]);
    }
    return equal;
}

static inline void snapshot_drop(snapshot *taken)
{
    for (int i = 0; i < RP_REGION_SPANS; i++) {
        free(taken->bytes[i]);
    }
}

#endif
