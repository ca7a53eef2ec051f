/* A correct program of random steps under every mode and combination: none of them says a word, and
 * the content is what was written.
 */
#include "support/snapshot.h"
#include "trace/debug_fixture.h"

enum { LIVE = 64, STEPS = 800 };

typedef struct model {
    rp_allocator *allocator;
    uint64_t random;
    struct {
        uint8_t *start;
        size_t size;
        uint8_t value;
    } blocks[LIVE];
} model;

static size_t any_size(model *m)
{
    static const size_t limits[] = {1, 40, 40, 300, 300, 5000, 100000};
    return test_random(&m->random) % limits[test_random(&m->random) % RP_COUNT_OF(limits)];
}

/* Counted here and asserted once: an assertion a byte would take minutes. */
static void all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++) {
        wrong += bytes[i] != value;
    }
    ck_assert_uint_eq(wrong, 0);
}

static void check_block(const model *m, size_t at)
{
    all_are(m->blocks[at].start, m->blocks[at].size, m->blocks[at].value);
    ck_assert_ptr_eq(rp_allocator_of(m->blocks[at].start), m->allocator);
}

static void set_block(model *m, size_t at, uint8_t *start, size_t size)
{
    ck_assert_msg(start, "%s", rp_error_last()->text);
    m->blocks[at].start = start;
    m->blocks[at].size = size;
    m->blocks[at].value = (uint8_t)test_random(&m->random);
    memset(start, m->blocks[at].value, size);
}

static void make(model *m, size_t at)
{
    size_t size = any_size(m), align = (size_t)16 << test_random(&m->random) % 9;
    switch (test_random(&m->random) % 3) {
    case 0:
        set_block(m, at, rp_alloc(m->allocator, size), size);
        break;
    case 1: {
        uint8_t *start = rp_alloc_zeroed(m->allocator, 1, size);
        all_are(start, size, 0);
        set_block(m, at, start, size);
        break;
    }
    default:
        set_block(m, at, rp_alloc_aligned(m->allocator, align, size), size);
        ck_assert_uint_eq((uintptr_t)m->blocks[at].start % align, 0);
    }
}

static void step(model *m)
{
    size_t at = test_random(&m->random) % LIVE;
    if (!m->blocks[at].start) {
        make(m, at);
        return;
    }
    check_block(m, at);
    if (test_random(&m->random) % 3 == 0) {
        size_t size = any_size(m), common = rp_min_size(size, m->blocks[at].size);
        uint8_t *moved = rp_resize(m->allocator, m->blocks[at].start, size);
        all_are(moved, common, m->blocks[at].value);
        set_block(m, at, moved, size);
    } else {
        rp_free(m->blocks[at].start);
        m->blocks[at].start = NULL;
        m->blocks[at].size = 0;
    }
}

static void finish(model *m)
{
    for (size_t i = 0; i < LIVE; i++) {
        check_block(m, m->blocks[i].start ? i : 0);
    }
    ck_assert_uint_eq(rp_debug_check(), 0);
    rp_allocator_destroy(m->allocator);
    no_errors();
    check_zones();
}

static void run(uint32_t modes, uint64_t seed)
{
    debug_open(NULL);
    rp_debug_budget_set(40, RP_KIB(300));
    const rp_debug_options options = {.sample_one_in = 3, .seed = seed};
    model m = {.random = seed};
    m.allocator = rp_debug_create(&(rp_heap_desc){.name = "model"}, modes, &options);
    make(&m, 0);
    for (int i = 0; i < STEPS; i++) {
        step(&m);
    }
    if (!m.blocks[0].start) {
        make(&m, 0);
    }
    finish(&m);
    rp_region_destroy();
}

TEST(every_combination_of_modes_is_silent_on_a_correct_program)
{
    static const uint32_t bits[] = {RP_DEBUG_STACKS,        RP_DEBUG_FILL,
                                    RP_DEBUG_CANARY,        RP_DEBUG_END_OF_PAGE,
                                    RP_DEBUG_START_OF_PAGE, RP_DEBUG_QUARANTINE};
    uint64_t seed = test_seed();
    for (uint32_t chosen = 0; chosen < 1u << RP_COUNT_OF(bits); chosen++) {
        uint32_t modes = RP_DEBUG_TRACE;
        for (size_t i = 0; i < RP_COUNT_OF(bits); i++) {
            modes |= chosen >> i & 1 ? bits[i] : 0;
        }
        run(modes, seed + chosen);
    }
    run(RP_DEBUG_SAMPLED, seed);
    run(RP_DEBUG_SAMPLED | RP_DEBUG_FILL | RP_DEBUG_CANARY, seed);
}

TEST(moments_of_a_random_program_are_restored_in_any_order)
{
    enum { MOMENTS = 6 };
    snapshot taken[MOMENTS];
    model models[MOMENTS];
    debug_open(NULL);
    rp_debug_budget_set(200, RP_KIB(200));
    model m = {.random = test_seed()};
    m.allocator =
        rp_debug_create(&(rp_heap_desc){.name = "model"},
                        RP_DEBUG_SAMPLED | RP_DEBUG_CANARY | RP_DEBUG_QUARANTINE | RP_DEBUG_FILL,
                        &(rp_debug_options){.sample_one_in = 4});
    make(&m, 0);
    for (int moment = 0; moment < MOMENTS; moment++) {
        for (int i = 0; i < 300; i++) {
            step(&m);
        }
        taken[moment] = snapshot_take();
        models[moment] = m;
    }
    uint64_t random = m.random;
    for (int round = 0; round < 12; round++) {
        size_t moment = test_random(&random) % MOMENTS;
        snapshot_restore(&taken[moment]);
        rp_trace_reconcile();
        check_zones();
        m = models[moment];
        m.random = test_random(&random);
        for (int i = 0; i < 300; i++) {
            step(&m);
        }
        ck_assert_uint_eq(rp_debug_check(), 0);
    }
    no_errors();
    for (int moment = 0; moment < MOMENTS; moment++) {
        snapshot_drop(&taken[moment]);
    }
    rp_region_destroy();
}
