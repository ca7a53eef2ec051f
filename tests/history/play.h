/* A log and a world put together as an owner does it, for the tests of history.
 *
 * A snapshot is a full copy of what the world holds, taken by reading all of it: what the tracking
 * missed shows as a difference.
 */
#ifndef TESTS_HISTORY_PLAY_H
#define TESTS_HISTORY_PLAY_H

#include "base/bits.h"
#include "history/log.h"
#include "history/world.h"
#include "region/region.h"
#include "support/rung.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

enum { PLAY_RECORDS_MOST = 4096, PLAY_ENTRIES_MOST = 1 << 20 };

typedef struct play_page {
    uint32_t page;
    uint8_t is_guard;
    uint8_t content[4096];
} play_page;

typedef struct play_snapshot {
    play_page *pages; /* those that are not zero or carry a guard, by number */
    size_t count, capacity;
} play_snapshot;

typedef struct play {
    rp_log *log;
    rp_world *world;
    rp_page_slot *entries;
    size_t entry_count, entry_limit; /* the callback refuses what is beyond */
    uint32_t slots_left;             /* the callback gives no more than that */
    uint64_t frame;
    play_snapshot snapshots[PLAY_RECORDS_MOST]; /* by record */
} play;

static inline bool play_give_slots(void *context, uint32_t want, rp_slot_run *run)
{
    play *p = context;
    size_t count;
    want = want < p->slots_left ? want : p->slots_left;
    if (!want || rp_log_slots_offer(p->log, want, run, 1, &count) != RP_OK) {
        return false;
    }
    p->slots_left -= run->count;
    return count == 1;
}

static inline bool play_take_entries(void *context, const rp_page_slot *entries, size_t count)
{
    play *p = context;
    if (p->entry_count + count > p->entry_limit) {
        return false;
    }
    memcpy(p->entries + p->entry_count, entries, count * sizeof *entries);
    p->entry_count += count;
    return true;
}

/* The tracking under test (support/rung.h), as opposed to comparing. */
static inline rp_tracking play_tracked(void)
{
    static const rp_tracking rungs[] = {RP_TRACKING_WP_ASYNC, RP_TRACKING_WP_SIGBUS,
                                        RP_TRACKING_MPROTECT};
    return rungs[test_rung()];
}

static inline play *play_open(size_t budget_bytes, rp_tracking tracking)
{
    play *p = calloc(1, sizeof *p);
    p->entries = malloc(PLAY_ENTRIES_MOST * sizeof *p->entries);
    p->entry_limit = PLAY_ENTRIES_MOST;
    p->slots_left = UINT32_MAX;
    if (!rp_region_is_open()) {
        ck_ok(rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(2)}));
    }
    ck_ok(rp_log_create(budget_bytes, &p->log));
    ck_ok(rp_world_open(rp_log_fd(p->log), tracking, &p->world));
    return p;
}

static inline void play_close(play *p)
{
    rp_world_close(p->world);
    rp_log_destroy(p->log);
    for (size_t i = 0; i < PLAY_RECORDS_MOST; i++) {
        free(p->snapshots[i].pages);
    }
    free(p->entries);
    free(p);
}

static inline rp_status play_collect(play *p)
{
    p->entry_count = 0;
    return rp_world_collect(p->world, play_give_slots, play_take_entries, p);
}

static inline void play_commit(play *p)
{
    ck_ok(play_collect(p));
    ck_ok(
        rp_log_commit(p->log, &(rp_record_desc){.frame = ++p->frame}, p->entries, p->entry_count));
}

static inline void play_apply(play *p, const rp_page_slot *entries, size_t count)
{
    size_t skipped, half = count / 2;
    ck_ok(rp_world_apply_begin(p->world));
    ck_ok(rp_world_apply(p->world, entries, half));
    ck_ok(rp_world_apply(p->world, entries + half, count - half));
    ck_ok(rp_world_apply_end(p->world, &skipped));
    ck_assert_uint_eq(skipped, 0);
}

static inline void play_seek(play *p, uint64_t index)
{
    const rp_page_slot *entries;
    size_t count;
    ck_ok(rp_log_seek(p->log, index, &entries, &count));
    play_apply(p, entries, count);
    rp_record record;
    ck_assert(rp_log_record(p->log, index, &record));
    p->frame = record.frame;
}

/* ---- snapshots ---------------------------------------------------------------------------------
 */

static inline void play_add_page(play_snapshot *s, uint32_t page, const uint8_t *content)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 64;
        s->pages = realloc(s->pages, s->capacity * sizeof *s->pages);
    }
    play_page *added = &s->pages[s->count++];
    *added = (play_page){.page = page, .is_guard = content == NULL};
    if (content) {
        memcpy(added->content, content, sizeof added->content);
    }
}

static inline void play_add_bytes(play_snapshot *s, uint32_t page, const uint8_t *start,
                                  const uint8_t *end, const uint8_t *base)
{
    uint8_t content[4096] = {0};
    const uint8_t *from = start > base ? start : base;
    const uint8_t *to = end < base + 4096 ? end : base + 4096;
    memcpy(content + (from - base), from, (size_t)(to - from));
    for (size_t i = 0; i < sizeof content; i++) {
        if (content[i]) {
            play_add_page(s, page, content);
            return;
        }
    }
}

static inline play_snapshot play_snap(const play *p)
{
    play_snapshot s = {0};
    rp_region_span spans[RP_REGION_SPANS];
    rp_region_committed(RP_ZONE_WORLD, spans);
    for (size_t i = 0; i < RP_REGION_SPANS; i++) {
        for (uint8_t *at = spans[i].start; at < spans[i].start + spans[i].size_bytes; at += 4096) {
            uint32_t page = (uint32_t)(((uintptr_t)at - RP_REGION_BASE) >> RP_PAGE_SHIFT);
            if (rp_region_is_guard(at)) {
                play_add_page(&s, page, NULL);
            } else {
                play_add_bytes(&s, page, at, at + 4096, at);
            }
        }
    }
    const rp_world_range *ranges;
    size_t count = rp_world_ranges(p->world, &ranges);
    for (size_t r = 0; r < count; r++) {
        uint8_t *base = ranges[r].start - (uintptr_t)ranges[r].start % 4096;
        uint32_t pages = rp_world_range_pages(ranges[r].start, ranges[r].size_bytes);
        for (uint32_t i = 0; i < pages; i++) {
            play_add_bytes(&s, ranges[r].first_page + i, ranges[r].start,
                           ranges[r].start + ranges[r].size_bytes, base + (size_t)i * 4096);
        }
    }
    return s;
}

static inline void play_expect_same(const play_snapshot *now, const play_snapshot *then)
{
    for (size_t i = 0; i < now->count && i < then->count; i++) {
        ck_assert_msg(now->pages[i].page == then->pages[i].page,
                      "page %#x is not zero, or page %#x is", now->pages[i].page,
                      then->pages[i].page);
        ck_assert_int_eq(now->pages[i].is_guard, then->pages[i].is_guard);
        ck_assert_msg(memcmp(now->pages[i].content, then->pages[i].content, 4096) == 0,
                      "page %#x differs", now->pages[i].page);
    }
    ck_assert_uint_eq(now->count, then->count);
}

/* Commits and keeps a full copy beside. */
/* It reads all of the world: some systems give memory to what is only read. */
static inline void play_snap_last(play *p)
{
    uint64_t index = rp_log_last(p->log);
    ck_assert_uint_lt(index, PLAY_RECORDS_MOST);
    free(p->snapshots[index].pages);
    p->snapshots[index] = play_snap(p);
}

static inline void play_commit_snapped(play *p)
{
    play_commit(p);
    play_snap_last(p);
}

static inline void play_expect_at(play *p, uint64_t index)
{
    play_snapshot now = play_snap(p);
    play_expect_same(&now, &p->snapshots[index]);
    free(now.pages);
}

#endif
