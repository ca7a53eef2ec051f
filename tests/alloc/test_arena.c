/* Arenas: pushes, marks, growth, sub-arenas, caps, and blocks with heads. */
#include "alloc/model.h"
#include "support/fault.h"

#include <errno.h>
#include <reprise/arena.h>
#include <reprise/page.h>

static rp_arena *make(const rp_arena_desc *desc)
{
    rp_arena *arena = rp_arena_create(desc);
    ck_assert_msg(arena, "%s", rp_error_last()->text);
    return arena;
}

static rp_arena *open_arena(void)
{
    model_open_region();
    return make(&(rp_arena_desc){.name = "level"});
}

static rp_arena_stats stats_of(const rp_arena *arena)
{
    rp_arena_stats stats;
    rp_arena_stats_get(arena, &stats);
    return stats;
}

static void destroy(rp_arena *arena)
{
    rp_allocator_destroy(rp_arena_allocator(arena));
}

/* ---- against a model ---- */

enum { PUSHES = 4000, MARKS = 100 };

typedef struct pushed {
    uint8_t *start;
    size_t size_bytes;
    uint8_t fill;
} pushed;

typedef struct arena_model {
    rp_arena *arena;
    uint64_t random;
    pushed pushes[PUSHES];
    size_t count, mark_count;
    rp_arena_mark marks[MARKS];
    size_t mark_at[MARKS];
} arena_model;

static void model_push(arena_model *m)
{
    size_t align = (size_t)1 << test_random(&m->random) % 13;
    size_t size = test_random(&m->random) % (test_random(&m->random) % 50 ? 300 : RP_KIB(200));
    uint8_t *start = rp_arena_push(m->arena, size, align);
    ck_assert_ptr_nonnull(start);
    ck_assert_uint_eq((uintptr_t)start % align, 0);
    m->pushes[m->count] = (pushed){start, size, (uint8_t)test_random(&m->random)};
    memset(start, m->pushes[m->count++].fill, size);
}

/* ck_assert leaves a mark each time, which is too slow for each byte. */
static void check_pushes(const arena_model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const pushed *push = &m->pushes[i];
        bool same = true;
        for (size_t j = 0; j < push->size_bytes; j++) {
            same = same && push->start[j] == push->fill;
        }
        ck_assert(same);
    }
}

static void mark_or_release(arena_model *m)
{
    if (m->mark_count < MARKS && test_random(&m->random) % 3) {
        m->mark_at[m->mark_count] = m->count;
        m->marks[m->mark_count++] = rp_arena_mark_get(m->arena);
    } else if (m->mark_count) {
        size_t depth = test_random(&m->random) % 8;
        m->mark_count -= rp_min_size(depth + 1, m->mark_count);
        rp_arena_release(m->arena, m->marks[m->mark_count]);
        m->count = m->mark_at[m->mark_count];
    }
    ck_assert_uint_eq(stats_of(m->arena).mark_depth, m->mark_count);
}

TEST(random_pushes_and_marks_agree_with_a_model)
{
    static arena_model m;
    m.arena = open_arena();
    m.random = test_seed();
    for (int i = 0; i < 20000; i++) {
        if (m.count == PUSHES || test_random(&m.random) % 10 == 0) {
            mark_or_release(&m);
        } else {
            model_push(&m);
        }
        if (m.count == PUSHES && !m.mark_count) {
            rp_arena_reset(m.arena);
            m.count = 0;
        }
        if (i % 1000 == 0) {
            check_pushes(&m);
            rp_arena_trim(m.arena);
        }
    }
    check_pushes(&m);
    destroy(m.arena);
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    rp_region_destroy();
}

TEST(an_outer_mark_is_still_open_after_many_inner_ones_have_ended)
{
    rp_arena *arena = open_arena();
    static rp_arena_mark marks[MARKS];
    for (int i = 0; i < MARKS; i++) {
        marks[i] = rp_arena_mark_get(arena);
    }
    for (int i = MARKS - 1; i >= 0; i -= 3) {
        rp_arena_release(arena, marks[i]);
        ck_assert_uint_eq(stats_of(arena).mark_depth, (size_t)i);
    }
    destroy(arena);
    rp_region_destroy();
}

/* ---- pushes ---- */

TEST(texts_arrays_and_zeroed_memory)
{
    rp_arena *arena = open_arena();
    memset(rp_arena_push(arena, 1000, 1), 0xff, 1000);
    rp_arena_reset(arena);
    uint8_t *zeroed = rp_arena_push_zeroed(arena, 500, 8);
    for (int i = 0; i < 500; i++) {
        ck_assert_uint_eq(zeroed[i], 0);
    }
    double *array = rp_arena_push_array(arena, double, 10);
    ck_assert_uint_eq((uintptr_t)array % _Alignof(double), 0);
    ck_assert(array[9] == 0);
    ck_assert_str_eq(rp_arena_push_text(arena, "hello world", 5), "hello");
    ck_assert_str_eq(rp_arena_push_format(arena, "%d-%s", 42, "x"), "42-x");
    ck_assert_ptr_null(rp_arena_push_array_at(arena, SIZE_MAX / 2, 3, 8));
    ck_assert_ptr_null(rp_arena_push_text(arena, "", SIZE_MAX));
    rp_region_destroy();
}

TEST(sizes_and_alignments_that_cannot_be_are_refused)
{
    rp_arena *arena = open_arena();
    rp_arena_push(arena, 3, 1);
    uint8_t *at = rp_arena_push(arena, 0, 1);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2, RP_GIB(300), RP_GIB(1)};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        ck_assert_ptr_null(rp_arena_push(arena, sizes[i], 16));
        ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    }
    ck_assert_ptr_null(rp_arena_push(arena, RP_MIB(9), 24));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert_ptr_null(rp_arena_push(arena, RP_MIB(1), RP_MIB(2)));
    ck_assert_ptr_eq(rp_arena_push(arena, 0, 1), at);
    ck_assert_ptr_nonnull(rp_arena_push(arena, 10, RP_MIB(1)));
    rp_region_destroy();
}

TEST(it_grows_in_place_and_chains_where_it_cannot)
{
    open_arena();
    rp_arena *arena = make(&(rp_arena_desc){.name = "last in the zone"});
    uint8_t *first = rp_arena_push(arena, RP_MIB(3), 16);
    ck_assert_uint_eq(stats_of(arena).chunk_count, 1);
    ck_assert((uintptr_t)first - (uintptr_t)arena < 4096);
    while (rp_arena_push(arena, 100, 1) < (void *)(arena->end_ - 200)) {
    }
    void *wall = rp_pages_alloc(RP_ZONE_WORLD, 1, 0);
    rp_arena_mark mark = rp_arena_mark_get(arena);
    memset(rp_arena_push(arena, RP_KIB(100), 16), 1, RP_KIB(100));
    ck_assert_uint_eq(stats_of(arena).chunk_count, 2);
    uint64_t taken = stats_of(arena).taken_bytes;
    rp_arena_release(arena, mark);
    ck_assert_uint_eq(stats_of(arena).taken_bytes, taken); /* kept, and used again */
    rp_arena_push(arena, RP_KIB(100), 16);
    ck_assert_uint_eq(stats_of(arena).taken_bytes, taken);
    rp_arena_reset(arena);
    rp_arena_trim(arena);
    ck_assert_uint_eq(stats_of(arena).chunk_count, 1);
    ck_assert_uint_lt(stats_of(arena).taken_bytes, taken);
    rp_free(wall);
    rp_region_destroy();
}

TEST(the_cap_is_hard)
{
    model_open_region();
    rp_arena *arena = make(&(rp_arena_desc){.name = "level", .cap_bytes = RP_KIB(256)});
    size_t pushed_bytes = 0;
    while (rp_arena_push(arena, 1000, 8)) {
        pushed_bytes += 1000;
    }
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "over its cap of 262144"));
    ck_assert_uint_gt(pushed_bytes, RP_KIB(250));
    ck_assert_uint_le(stats_of(arena).taken_bytes, RP_KIB(256));
    ck_assert_ptr_nonnull(rp_arena_push(arena, 1, 1));
    ck_assert_ptr_null(rp_arena_create(&(rp_arena_desc){.cap_bytes = 1000}));
    rp_region_destroy();
}

TEST(memory_of_the_callers_is_never_exceeded)
{
    static uint8_t room[8192];
    model_open_region();
    for (size_t bytes = 1024; bytes < 8000; bytes += 999) {
        memset(room, 0x6b, sizeof room);
        rp_arena *arena =
            make(&(rp_arena_desc){.zone = RP_ZONE_KEEP, .memory = room + 9, .memory_bytes = bytes});
        rp_arena *child = rp_arena_create(&(rp_arena_desc){.parent = arena, .first_bytes = 1});
        ck_assert_int_eq(child != NULL, bytes > 2000);
        while (child && rp_arena_push_zeroed(child, 7, 1)) {
        }
        while (rp_arena_push_zeroed(arena, 7, 1)) {
        }
        ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
        for (size_t i = 0; i < sizeof room; i++) {
            ck_assert((i >= 9 && i < 9 + bytes) || room[i] == 0x6b);
        }
        destroy(arena);
    }
    ck_assert_ptr_null(rp_arena_create(&(rp_arena_desc){.memory = room, .memory_bytes = 1023}));
    rp_region_destroy();
}

/* ---- as an allocator ---- */

TEST(blocks_know_their_size_and_the_last_one_is_taken_back)
{
    rp_arena *arena = open_arena();
    rp_allocator *as_any = rp_arena_allocator(arena);
    uint8_t *first = rp_alloc(as_any, 100);
    uint64_t used = stats_of(arena).used_bytes;
    uint8_t *last = rp_alloc_aligned(as_any, 256, 50);
    ck_assert_uint_eq((uintptr_t)last % 256, 0);
    ck_assert_uint_eq(rp_usable_bytes(last), 50);
    ck_assert_ptr_eq(rp_allocator_of(last), as_any);
    ck_assert_ptr_eq(rp_resize(as_any, last, 5000), last);
    memset(last, 9, 5000);
    ck_assert_ptr_eq(rp_resize(as_any, first, 40), first);
    uint8_t *moved = rp_resize(as_any, first, 4000);
    ck_assert(moved != first && rp_usable_bytes(first) == 0);
    ck_assert_uint_eq(stats_of(arena).ignored_frees, 1);
    rp_free(moved);
    rp_free(last);
    ck_assert_uint_eq(stats_of(arena).used_bytes, used);
    ck_assert_uint_eq(stats_of(arena).ignored_frees, 1);
    model_dies(model_free_it, first, "double free");
    ck_assert_uint_eq(model_stats(as_any).live_bytes, stats_of(arena).used_bytes);
    ck_assert_uint_gt(model_stats(as_any).peak_bytes, 9000);
    rp_region_destroy();
}

TEST(a_block_of_a_child_is_freed_in_the_child)
{
    rp_arena *arena = open_arena();
    rp_arena *child = make(&(rp_arena_desc){.name = "child", .parent = arena});
    uint8_t *block = rp_alloc(rp_arena_allocator(child), 64);
    ck_assert_uint_eq(rp_usable_bytes(block), 64);
    uint64_t before = stats_of(child).used_bytes;
    rp_free(block);
    ck_assert_uint_lt(stats_of(child).used_bytes, before);
    rp_region_destroy();
}

static int free_pushed(void *arena)
{
    rp_free(rp_arena_push(arena, 100, 16));
    return 0;
}

TEST(a_free_of_what_was_only_pushed_is_named)
{
    rp_arena *arena = open_arena();
    uint8_t *block = rp_alloc(rp_arena_allocator(arena), 64);
    model_dies(free_pushed, arena, "free of");
    model_dies(model_free_it, block + 16, "free of");
    model_dies(model_free_it, block + 5, "free of");
    model_dies(model_free_it, arena, "free of");
    model_dies(model_free_it, block + 40000, "free of");
    rp_region_destroy();
}

/* ---- marks ---- */

static rp_arena_mark bad_mark;

static int release_bad(void *arena)
{
    rp_arena_release(arena, bad_mark);
    return 0;
}

TEST(marks_that_have_ended_and_those_of_others_are_named)
{
    rp_arena *arena = open_arena(), *other = make(&(rp_arena_desc){.name = "other"});
    rp_arena_mark outer = rp_arena_mark_get(arena), inner = rp_arena_mark_get(arena);
    bad_mark = rp_arena_mark_get(other);
    model_dies(release_bad, arena, "arena level: release of a mark of another arena");
    rp_arena_release(arena, outer);
    bad_mark = inner;
    model_dies(release_bad, arena, "has ended");
    bad_mark = outer;
    model_dies(release_bad, arena, "has ended");
    rp_arena_mark_get(arena); /* of the same depths */
    rp_arena_mark_get(arena);
    bad_mark = inner;
    model_dies(release_bad, arena, "has ended");
    bad_mark = rp_arena_mark_get(arena);
    rp_arena_reset(arena);
    model_dies(release_bad, arena, "has ended");
    rp_region_destroy();
}

/* ---- children ---- */

static int visit_name(rp_allocator *allocator, void *context)
{
    *(int *)context += strcmp(rp_allocator_name(allocator), "child") == 0;
    return 0;
}

static int children_alive(void)
{
    int count = 0;
    rp_allocator_walk(RP_ZONE_WORLD, visit_name, &count);
    return count;
}

TEST(children_end_with_what_their_parent_releases)
{
    rp_arena *arena = open_arena();
    const rp_arena_desc child = {.name = "child", .parent = arena};
    rp_arena *old = make(&child);
    rp_arena_mark mark = rp_arena_mark_get(arena);
    rp_arena *young = make(&child);
    make(&(rp_arena_desc){.name = "child", .parent = young});
    ck_assert_int_eq(children_alive(), 3);
    rp_arena_push(young, RP_MIB(1), 16);
    uint8_t *grown = rp_arena_push(old, RP_MIB(1), 16); /* after the mark, and yet it stays */
    memset(grown, 4, RP_MIB(1));
    rp_arena_release(arena, mark);
    ck_assert_int_eq(children_alive(), 1);
    memset(rp_arena_push(arena, RP_MIB(2), 1), 0xff, RP_MIB(2));
    ck_assert_uint_eq(grown[RP_MIB(1) - 1], 4);
    rp_arena_push(old, 100, 1);
    young = make(&child);
    destroy(old);
    ck_assert_int_eq(children_alive(), 1);
    rp_arena_reset(arena);
    ck_assert_int_eq(children_alive(), 0);
    destroy(arena);
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_eq(stats.used_bytes, 2 * RP_UNIT_BYTES); /* the registry's */
    rp_region_destroy();
}

TEST(a_childs_growth_counts_against_its_parents_cap)
{
    model_open_region();
    rp_arena *arena = make(&(rp_arena_desc){.cap_bytes = RP_KIB(512)});
    rp_arena *child = make(&(rp_arena_desc){.parent = arena});
    ck_assert_ptr_null(rp_arena_push(child, RP_KIB(600), 1));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(rp_arena_push(child, RP_KIB(200), 1));
    ck_assert_ptr_null(rp_arena_push(arena, RP_KIB(400), 1));
    destroy(child);
    ck_assert_ptr_nonnull(rp_arena_push(arena, RP_KIB(400), 1));
    rp_region_destroy();
}

TEST(a_restore_brings_an_arena_back)
{
    rp_arena *arena = open_arena();
    rp_arena_push(arena, RP_KIB(100), 16);
    uint8_t *kept = rp_arena_push(arena, 100, 16);
    memset(kept, 8, 100);
    rp_arena_mark mark = rp_arena_mark_get(arena);
    snapshot then = snapshot_take();
    void *next = rp_arena_push(arena, RP_MIB(2), 16);
    rp_arena_reset(arena);
    destroy(arena);
    snapshot_restore(&then);
    ck_assert_uint_eq(kept[99], 8);
    ck_assert_ptr_eq(rp_arena_push(arena, RP_MIB(2), 16), next);
    rp_arena_release(arena, mark);
    ck_assert_uint_eq(kept[99], 8);
    snapshot_drop(&then);
    rp_region_destroy();
}

static rp_status attempt(void *context)
{
    (void)context;
    rp_status status = rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(1)});
    if (status != RP_OK) {
        return status;
    }
    rp_arena *arena = rp_arena_create(&(rp_arena_desc){.name = "level"});
    status = arena ? RP_OK : rp_error_last()->status;
    for (int i = 0; i < 100 && status == RP_OK; i++) {
        status = rp_arena_push(arena, RP_KIB(100), 1) ? RP_OK : rp_error_last()->status;
    }
    rp_region_destroy();
    return status;
}

TEST(each_failing_system_call_is_told)
{
    fault_each_call_or_recover(attempt, NULL, ENOMEM);
}
