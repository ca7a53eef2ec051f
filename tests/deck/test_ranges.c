/* What is state, what is kept, what is derived. */
#include "base/bits.h"
#include "region/region.h"
#include "support/test.h"

#include <reprise/deck.h>
#include <string.h>

enum { CELLS = 4096, INDEX_BYTES = 64 * 4096 };

static uint32_t cells[CELLS];              /* state */
static uint8_t index_outside[INDEX_BYTES]; /* derived from them */
static uint32_t kept[64];

typedef struct cache {
    uint32_t calls, last_first; /* how often; what was there when the last one began */
    uint8_t *start;
    const uint8_t *built_before; /* another cache that must be there by then; may be null */
} cache;

/* Byte i of the index is that of cell i, twice over. */
static void build(void *context, void *start, size_t size_bytes)
{
    cache *c = context;
    uint8_t *bytes = start;
    ck_assert_uint_eq(size_bytes, INDEX_BYTES);
    ck_assert_ptr_eq(start, c->start);
    c->calls++;
    c->last_first = bytes[0];
    for (size_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)(2 * cells[i % CELLS]);
        ck_assert(!c->built_before || c->built_before[i] == bytes[i]);
    }
}

static bool is_right(const uint8_t *bytes)
{
    for (size_t i = 0; i < INDEX_BYTES; i++) {
        if (bytes[i] != (uint8_t)(2 * cells[i % CELLS])) {
            return false;
        }
    }
    return true;
}

typedef struct play {
    rp_deck *deck;
    cache outside, inside;
} play;

static rp_status declare(play *p, cache *c, const char *name, bool poison)
{
    return rp_range_derived(p->deck, &(rp_derived_desc){.start = c->start,
                                                        .size_bytes = INDEX_BYTES,
                                                        .name = name,
                                                        .rebuild = build,
                                                        .context = c,
                                                        .poison = poison});
}

/* One cache outside the region, one in a block of the deck's heap. */
static void open_play(play *p, rp_deck_desc desc)
{
    *p = (play){0};
    desc.reserve_bytes = RP_GIB(1);
    memset(cells, 0, sizeof cells);
    ck_ok(rp_deck_open(&desc, &p->deck));
    p->outside.start = index_outside;
    p->inside.start = rp_alloc_aligned(rp_deck_heap(p->deck), 4096, INDEX_BYTES);
    p->inside.built_before = index_outside;
    memset(p->inside.start, 0, INDEX_BYTES);
    memset(index_outside, 0, INDEX_BYTES);
    ck_ok(rp_range(p->deck, cells, sizeof cells, RP_ZONE_WORLD, "cells"));
    ck_ok(rp_range(p->deck, kept, sizeof kept, RP_ZONE_KEEP, "kept"));
    ck_ok(declare(p, &p->outside, "outside", false));
    ck_ok(declare(p, &p->inside, "inside", true));
}

static rp_status frame(play *p, uint32_t add, rp_frame_info *info)
{
    rp_frame_begin(p->deck, &add, sizeof add);
    for (uint32_t i = 0; i < CELLS; i += 7) {
        cells[i] += add + i;
        for (size_t k = i; k < INDEX_BYTES; k += CELLS) {
            p->outside.start[k] = p->inside.start[k] = (uint8_t)(2 * cells[i]);
        }
    }
    kept[0]++;
    return rp_frame_end(p->deck, info);
}

static void ck_caches(const play *p, uint32_t calls)
{
    ck_assert_uint_eq(p->outside.calls, calls);
    ck_assert_uint_eq(p->inside.calls, calls);
    ck_assert(is_right(p->outside.start));
    ck_assert(is_right(p->inside.start));
}

/* ---- derived ---- */

static void derive(rp_tracking tracking)
{
    play p;
    rp_frame_info info;
    open_play(&p, (rp_deck_desc){.tracking = tracking});
    for (uint32_t i = 1; i <= 20; i++) {
        ck_ok(frame(&p, i, &info));
        ck_assert_uint_lt(info.page_count, 20); /* 4 of cells; none of the index */
    }
    ck_caches(&p, 0);
    uint32_t count = kept[0];
    ck_ok(rp_seek(p.deck, 7));
    ck_assert_uint_eq(cells[7], 28 + 7 * 7);
    ck_caches(&p, 1);
    ck_assert_uint_eq(p.inside.last_first, 0xdd);
    ck_assert_uint_ne(p.outside.last_first, 0xdd);
    ck_assert_uint_eq(kept[0], count);
    ck_ok(rp_seek(p.deck, 20));
    ck_caches(&p, 2);
    ck_ok(rp_loop(p.deck, 15, 18));
    ck_caches(&p, 3);
    for (int i = 0; i < 7; i++) { /* wraps twice */
        ck_ok(frame(&p, 0, &info));
        ck_assert_uint_eq(info.diverged, 0);
    }
    ck_caches(&p, 5);
    rp_deck_close(p.deck);
}

TEST(a_derived_range_is_not_logged_and_is_built_anew_after_each_restore)
{
    derive(RP_TRACKING_AUTO);
    derive(RP_TRACKING_COMPARE);
}

static void nothing(void *context, rp_moment moment, const void *input, size_t input_bytes)
{
    (void)context, (void)moment, (void)input, (void)input_bytes;
}

TEST(a_rollback_builds_anew_once)
{
    play p;
    open_play(&p, (rp_deck_desc){0});
    for (uint32_t i = 1; i <= 8; i++) {
        ck_ok(frame(&p, i, NULL));
    }
    ck_ok(rp_rollback(p.deck, &(rp_rollback_desc){.frame = 3, .frame_count = 4, .step = nothing}));
    ck_caches(&p, 1);
    rp_deck_close(p.deck);
}

TEST(what_is_derived_is_no_part_of_the_hash)
{
    uint64_t hashes[2];
    for (int i = 0; i < 2; i++) {
        play p;
        open_play(&p, (rp_deck_desc){0});
        ck_ok(frame(&p, 1, NULL));
        p.inside.start[4096] = (uint8_t)(100 + i);
        ck_ok(frame(&p, 2, NULL));
        ck_ok(rp_state_hash(p.deck, 2, &hashes[i]));
        rp_deck_close(p.deck);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
}

TEST(a_frame_that_frees_the_block_of_a_derived_range_is_taken_back)
{
    play p;
    open_play(&p, (rp_deck_desc){0});
    ck_ok(frame(&p, 1, NULL));
    uint32_t before = cells[7];
    uint32_t input = 0;
    rp_frame_begin(p.deck, &input, sizeof input);
    cells[7] = 99;
    rp_free(p.inside.start);
    ck_assert_int_eq(rp_frame_end(p.deck, NULL), RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "'inside': its block was freed"));
    ck_assert_uint_eq(cells[7], before);
    ck_caches(&p, 1);
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    ck_ok(frame(&p, 2, NULL));
    ck_ok(frame(&p, 3, NULL));
    ck_ok(rp_seek(p.deck, 2));
    ck_caches(&p, 2);
    rp_deck_close(p.deck);
}

/* ---- declaring ---- */

TEST(a_range_is_known_by_its_name)
{
    play p;
    rp_range_info info;
    open_play(&p, (rp_deck_desc){0});
    ck_assert(rp_range_find(p.deck, &cells[5], &info));
    ck_assert_str_eq(info.name, "cells");
    ck_assert_int_eq(info.kind, RP_RANGE_WORLD);
    ck_assert(rp_range_find(p.deck, &kept[63], &info));
    ck_assert_str_eq(info.name, "kept");
    ck_assert_int_eq(info.kind, RP_RANGE_KEEP);
    ck_assert_ptr_eq(info.start, kept);
    ck_assert_uint_eq(info.size_bytes, sizeof kept);
    ck_assert(rp_range_find(p.deck, p.inside.start + INDEX_BYTES - 1, &info));
    ck_assert_str_eq(info.name, "inside");
    ck_assert_int_eq(info.kind, RP_RANGE_DERIVED);
    ck_assert(!rp_range_find(p.deck, p.inside.start + INDEX_BYTES, &info));
    ck_assert(!rp_range_find(p.deck, &p, &info));
    rp_deck_close(p.deck);
}

static void ck_refused(rp_status status, const char *text)
{
    ck_assert_int_eq(status, RP_E_ARGUMENT);
    ck_assert_msg(strstr(rp_error_last()->text, text) != NULL, "%s", rp_error_last()->text);
}

TEST(ranges_that_cannot_be_are_refused_with_a_reason)
{
    play p;
    open_play(&p, (rp_deck_desc){0});
    rp_allocator *heap = rp_deck_heap(p.deck);
    uint8_t *small = rp_alloc_aligned(heap, 4096, 4096), *block = rp_alloc(heap, 1 << 20);
    static uint8_t other[64];
    cache c = {.start = small};
    ck_refused(rp_range(p.deck, &cells[1], 4, RP_ZONE_WORLD, "a"), "overlaps range 'cells'");
    ck_refused(rp_range(p.deck, &cells[1], 4, RP_ZONE_KEEP, "a"), "overlaps range 'cells'");
    ck_refused(rp_range(p.deck, kept, 4, RP_ZONE_WORLD, "a"), "overlaps range 'kept'");
    ck_refused(rp_range(p.deck, &index_outside[9], 4, RP_ZONE_WORLD, "a"), "range 'outside'");
    ck_refused(rp_range(p.deck, block, 4096, RP_ZONE_KEEP, "a"), "lies in the world zone");
    ck_refused(rp_range(p.deck, block, 4096, RP_ZONE_WORLD, "a"), "outside the world zone");
    ck_refused(rp_range(p.deck, other, 0, RP_ZONE_KEEP, "a"), "no bytes");
    ck_refused(rp_range(p.deck, other, SIZE_MAX, RP_ZONE_KEEP, "a"), "beyond the address space");
    ck_refused(rp_range(p.deck, other, 8, (rp_zone)7, "a"), "see rp_zone");
    ck_refused(declare(&p, &c, "a", false), "whole pages of one large block");
    c.start = block + 16;
    ck_refused(declare(&p, &c, "a", false), "whole pages of one large block");
    c.start = rp_alloc_aligned(heap, 4096, INDEX_BYTES / 2);
    ck_refused(declare(&p, &c, "a", false), "whole pages of one large block");
    c.start = p.inside.start;
    ck_refused(declare(&p, &c, "a", false), "overlaps range 'inside'");
    ck_ok(frame(&p, 1, NULL));
    ck_refused(rp_range(p.deck, other, 8, RP_ZONE_KEEP, "a"), "the first frame has begun");
    rp_deck_close(p.deck);
}

TEST(there_is_an_end_to_how_many_ranges_are_kept)
{
    static uint8_t many[200];
    play p;
    rp_status status = RP_OK;
    int count = 0;
    open_play(&p, (rp_deck_desc){0});
    while (count < 200 && status == RP_OK) {
        status = rp_range(p.deck, &many[count++], 1, RP_ZONE_KEEP, "many");
    }
    ck_assert_int_eq(status, RP_E_LIMIT);
    ck_assert_int_eq(count, 126);
    rp_deck_close(p.deck);
}
