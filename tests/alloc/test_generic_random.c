/* Every operation of the public interface at random over heaps of both zones, threads that come and
 * go, and restores, against a model. RP_LONG=1 runs it twenty times as long.
 *
 * The threads take turns, so that each run of a seed is the same.
 */
#include "alloc/generic_fixture.h"

enum { HEAPS = 5, WORLD_HEAPS = 3, HELD = 600, PLAYERS = 4, ROUNDS = 60, TURN_STEPS = 200 };

typedef struct held {
    uint8_t *start;
    size_t size_bytes;
    uint8_t heap, fill;
} held;

typedef struct state {
    rp_allocator *heaps[HEAPS]; /* the last ones in the keep zone */
    held blocks[HELD];
} state;

typedef struct game {
    state now;
    uint64_t random;
} game;

static uint64_t choose(game *g, uint64_t count)
{
    return test_random(&g->random) % count;
}

static rp_zone zone_of_heap(size_t heap)
{
    return heap < WORLD_HEAPS ? RP_ZONE_WORLD : RP_ZONE_KEEP;
}

static size_t choose_size(game *g)
{
    const size_t most[] = {16, 64, 300, 2000, 9000, 33000, 70000, 400000};
    return choose(g, most[choose(g, 16) % RP_COUNT_OF(most)] + 1);
}

/* ---- one block ---- */

static void check_fill(const held *block, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (block->start[i] != block->fill) {
            ck_abort_msg("byte %zu of %p is %02x, not %02x", i, (void *)block->start,
                         block->start[i], block->fill);
        }
    }
}

static void fill(game *g, held *block)
{
    block->fill = (uint8_t)choose(g, 256);
    memset(block->start, block->fill, block->size_bytes);
}

static uint8_t *make_one_way(game *g, rp_allocator *heap, size_t size_bytes, held *block)
{
    size_t align = (size_t)1 << choose(g, 21);
    uint8_t *zeroed;
    switch (choose(g, 5)) {
    case 0:
        block->start = rp_alloc_aligned(heap, align, size_bytes);
        ck_assert_uint_eq((uintptr_t)block->start % align, 0);
        return block->start;
    case 1:
        zeroed = rp_alloc_zeroed(heap, size_bytes, 1);
        break;
    case 2:
        zeroed = (uint8_t *)rp_new(heap, uint64_t, size_bytes / 8 + 1);
        break;
    case 3:
        return rp_resize(heap, NULL, size_bytes);
    default:
        return rp_alloc(heap, size_bytes);
    }
    *block = (held){zeroed, size_bytes, block->heap, 0};
    check_fill(block, size_bytes);
    return zeroed;
}

static void make(game *g, held *block)
{
    block->heap = (uint8_t)choose(g, HEAPS);
    block->size_bytes = choose_size(g);
    rp_allocator *heap = g->now.heaps[block->heap];
    block->start = make_one_way(g, heap, block->size_bytes, block);
    ck_assert_msg(block->start, "%s", rp_error_last()->text);
    ck_assert_uint_ge(rp_usable_bytes(block->start), block->size_bytes);
    ck_assert_ptr_eq(rp_allocator_of(block->start), heap);
    fill(g, block);
}

static void resize(game *g, held *block)
{
    size_t size_bytes = choose_size(g);
    block->start = rp_resize(g->now.heaps[choose(g, HEAPS)], block->start, size_bytes);
    ck_assert_msg(block->start, "%s", rp_error_last()->text);
    check_fill(block, rp_min_size(block->size_bytes, size_bytes));
    block->size_bytes = size_bytes;
    ck_assert_ptr_eq(rp_allocator_of(block->start), g->now.heaps[block->heap]);
    fill(g, block);
}

static void drop(game *g, held *block)
{
    check_fill(block, block->size_bytes);
    if (choose(g, 2)) {
        rp_free(block->start);
    } else {
        rp_free_sized(block->start, block->size_bytes);
    }
    block->start = NULL;
}

/* ---- a heap ---- */

static void heap_renew(game *g, size_t heap)
{
    for (int i = 0; i < HELD; i++) {
        if (g->now.blocks[i].heap == heap) {
            g->now.blocks[i].start = NULL;
        }
    }
    rp_allocator_destroy(g->now.heaps[heap]);
    g->now.heaps[heap] = heap_make("renewed", zone_of_heap(heap), 0);
}

static void *turn(void *context)
{
    game *g = context;
    for (int i = 0; i < TURN_STEPS; i++) {
        held *block = &g->now.blocks[choose(g, HELD)];
        if (!block->start) {
            make(g, block);
        } else if (choose(g, 4) == 0) {
            resize(g, block);
        } else {
            drop(g, block);
        }
        if (choose(g, 400) == 0) {
            rp_alloc_thread_flush();
        }
        if (choose(g, 2000) == 0) {
            heap_renew(g, choose(g, HEAPS));
        }
    }
    return NULL;
}

static void check(const game *g)
{
    uint64_t count[HEAPS] = {0}, bytes[HEAPS] = {0};
    for (int i = 0; i < HELD; i++) {
        const held *block = &g->now.blocks[i];
        if (block->start) {
            check_fill(block, block->size_bytes);
            count[block->heap]++;
            bytes[block->heap] += rp_usable_bytes(block->start);
        }
    }
    for (int i = 0; i < HEAPS; i++) {
        heap_holds(g->now.heaps[i], count[i], bytes[i]);
    }
    ck_assert_msg(rp_region_check(RP_ZONE_WORLD), "%s", rp_error_last()->text);
    ck_assert_msg(rp_region_check(RP_ZONE_KEEP), "%s", rp_error_last()->text);
}

/* The world's part of the model goes back with the world; the keep zone's stays. */
static void restore(game *g, const snapshot *saved, const state *then)
{
    snapshot_restore(saved);
    for (int i = 0; i < WORLD_HEAPS; i++) {
        g->now.heaps[i] = then->heaps[i];
    }
    for (int i = 0; i < HELD; i++) {
        held *block = &g->now.blocks[i];
        const held *before = &then->blocks[i];
        int kept = block->start && block->heap >= WORLD_HEAPS;
        int came_back = before->start && before->heap < WORLD_HEAPS;
        if (kept && came_back) {
            rp_free(block->start); /* one place in the model for the two */
        }
        if (came_back) {
            *block = *before;
        } else if (!kept) {
            block->start = NULL;
        }
    }
}

static void open_game(game *g, helper *players)
{
    model_open_region();
    for (size_t i = 0; i < HEAPS; i++) {
        g->now.heaps[i] = heap_make("random", zone_of_heap(i), 0);
    }
    for (int i = 0; i < PLAYERS; i++) {
        helper_start(&players[i]);
    }
}

static void close_game(game *g, helper *players)
{
    for (int i = 0; i < PLAYERS; i++) {
        helper_end(&players[i]);
    }
    for (int i = 0; i < HELD; i++) {
        rp_free(g->now.blocks[i].start);
    }
    for (int i = 0; i < HEAPS; i++) {
        heap_holds(g->now.heaps[i], 0, 0);
        rp_allocator_destroy(g->now.heaps[i]);
    }
    heap_close();
}

/* Between turns a thread may end and another begin, or the world be saved or restored. */
static void between_turns(game *g, helper *players, snapshot *saved, state *then)
{
    uint64_t chance = choose(g, 12);
    if (chance == 0) {
        size_t who = choose(g, PLAYERS);
        helper_end(&players[who]);
        helper_start(&players[who]);
    } else if (chance == 1) {
        snapshot_drop(saved);
        *saved = snapshot_take();
        *then = g->now;
    } else if (chance < 4) {
        restore(g, saved, then);
    }
}

static void play(uint64_t seed)
{
    static game g;
    static state then;
    helper players[PLAYERS];
    g = (game){.random = seed | 1};
    open_game(&g, players);
    snapshot saved = snapshot_take();
    then = g.now;
    for (int round = 0; round < ROUNDS; round++) {
        helper_do(&players[choose(&g, PLAYERS)], turn, &g);
        turn(&g);
        between_turns(&g, players, &saved, &then);
        check(&g);
    }
    close_game(&g, players);
    snapshot_drop(&saved);
}

TEST(everything_at_random)
{
    uint64_t seed = test_seed();
    int games = getenv("RP_LONG") ? 60 : 3;
    for (int i = 0; i < games; i++) {
        play(seed + (uint64_t)i * 2);
    }
}
