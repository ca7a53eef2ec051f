/* Slots: one size, constant time, freed from any thread, exact in every build. */
#include "alloc/model.h"
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <reprise/page.h>
#include <reprise/slot.h>
#include <stdlib.h>

static rp_slots *make(size_t slot_bytes, uint64_t cap)
{
    rp_slots *slots = rp_slots_create(
        &(rp_slots_desc){.name = "bodies", .slot_bytes = slot_bytes, .cap_slots = cap});
    ck_assert_msg(slots, "%s", rp_error_last()->text);
    return slots;
}

static rp_slots *open_slots(size_t slot_bytes, uint64_t cap)
{
    model_open_region();
    return make(slot_bytes, cap);
}

static uint64_t live(rp_slots *slots)
{
    return model_stats(rp_slots_allocator(slots)).live_count;
}

TEST(random_operations_agree_with_a_model)
{
    model_open_region();
    uint64_t random = test_seed();
    const size_t sizes[] = {1, 24, 100, 4000, 70000};
    for (size_t i = 0; i < RP_COUNT_OF(sizes); i++) {
        rp_slots *slots = make(sizes[i], i % 2 ? 0 : MODEL_BLOCKS / 2);
        model m = {
            .allocator = rp_slots_allocator(slots), .random = random, .most_bytes = sizes[i]};
        model_run(&m, 4000);
        ck_assert_int_eq(m.refused > 0, i % 2 == 0);
        model_empty(&m);
        rp_allocator_destroy(m.allocator);
    }
    rp_region_stats stats;
    rp_region_stats_get(RP_ZONE_WORLD, &stats);
    ck_assert_uint_eq(stats.used_bytes, 2 * RP_UNIT_BYTES); /* the registry's */
    rp_region_destroy();
}

TEST(every_size_divides_its_offsets_exactly)
{
    model_open_region();
    uint64_t random = test_seed();
    for (int i = 0; i < 60; i++) {
        size_t size = 2 + test_random(&random) % (i < 50 ? 3000 : 2000000);
        rp_slots *slots = make(size, i < 50 ? 2000 : 30);
        uint8_t *slot[2001];
        size_t count = 0;
        while ((slot[count] = rp_slot_alloc(slots)) != NULL) {
            ck_assert(count == 0 || slot[count] >= slot[count - 1] + size);
            ck_assert_uint_eq(rp_usable_bytes(slot[count] + size / 2), size / 2 ? 0 : size);
            count++;
        }
        ck_assert_uint_eq(count, i < 50 ? 2000 : 30);
        for (size_t j = 0; j < count; j++) {
            rp_slot_free(slots, slot[j]);
        }
        ck_assert_uint_eq(live(slots), 0);
        rp_allocator_destroy(rp_slots_allocator(slots));
    }
    rp_region_destroy();
}

TEST(the_cap_is_hard_and_a_freed_slot_comes_first)
{
    rp_slots *slots = open_slots(48, 1000);
    void *slot[1000];
    for (int i = 0; i < 1000; i++) {
        slot[i] = rp_slot_alloc(slots);
        ck_assert_ptr_nonnull(slot[i]);
    }
    ck_assert_ptr_null(rp_slot_alloc(slots));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(
        strstr(rp_error_last()->text, "slots bodies: no slot: all 1000 are live"));
    rp_slot_free(slots, slot[500]);
    ck_assert_ptr_eq(rp_slot_alloc(slots), slot[500]);
    ck_assert_uint_eq(model_stats(rp_slots_allocator(slots)).peak_bytes, 48000);
    rp_region_destroy();
}

TEST(a_free_writes_nothing_into_the_slot)
{
    rp_slots *slots = open_slots(32, 10);
    uint8_t *slot = rp_slot_alloc(slots);
    memset(slot, 0x77, 32);
    rp_slot_free(slots, slot);
    for (int i = 0; i < 32; i++) {
        ck_assert_uint_eq(slot[i], 0x77);
    }
    memset(slot, 0xff, 32); /* which cannot harm the pool */
    ck_assert_ptr_eq(rp_slot_alloc(slots), slot);
    ck_assert_ptr_eq(rp_slot_alloc(slots), slot + 32);
    rp_region_destroy();
}

TEST(many_chunks_are_one_pool)
{
    rp_slots *slots = open_slots(1000, 0);
    static uint8_t *slot[20000];
    for (size_t i = 0; i < RP_COUNT_OF(slot); i++) {
        slot[i] = rp_slot_alloc(slots);
        ck_assert_ptr_nonnull(slot[i]);
        memset(slot[i], (int)i, 1000);
    }
    uint64_t random = test_seed();
    for (size_t i = 0; i < RP_COUNT_OF(slot); i++) {
        size_t other = test_random(&random) % RP_COUNT_OF(slot);
        ck_assert_uint_eq(slot[other][999], slot[other][0]);
        rp_slot_free(slots, slot[other]);
        slot[other] = rp_slot_alloc(slots);
        memset(slot[other], (int)other, 1000);
    }
    ck_assert_uint_eq(live(slots), RP_COUNT_OF(slot));
    ck_assert_uint_ge(model_stats(rp_slots_allocator(slots)).taken_bytes, 20000u * 1000);
    rp_allocator_destroy(rp_slots_allocator(slots));
    ck_assert(rp_region_check(RP_ZONE_WORLD));
    rp_region_destroy();
}

TEST(what_cannot_be_is_refused_with_a_reason)
{
    const rp_slots_desc bad[] = {
        {.slot_bytes = 0},
        {.slot_bytes = RP_GIB(1) + 1},
        {.slot_bytes = 8, .align_bytes = 24},
        {.slot_bytes = 8, .align_bytes = 8192},
        {.slot_bytes = 64, .cap_slots = UINT64_MAX},
        {.slot_bytes = 64, .cap_slots = UINT64_C(1) << 40},
        {.slot_bytes = 64, .memory = (void *)(uintptr_t)bad, .memory_bytes = 100},
    };
    ck_assert_ptr_null(rp_slots_create(&(rp_slots_desc){.slot_bytes = 8}));
    model_open_region();
    for (size_t i = 0; i < RP_COUNT_OF(bad); i++) {
        ck_assert_ptr_null(rp_slots_create(&bad[i]));
        ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    }
    ck_assert_ptr_null(rp_slots_create(&(rp_slots_desc){.slot_bytes = RP_GIB(1), .cap_slots = 3}));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    rp_slots *slots = make(40, 10);
    rp_allocator *as_any = rp_slots_allocator(slots);
    ck_assert_ptr_null(rp_alloc(as_any, 49)); /* 40 are rounded up to 48 */
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert_ptr_null(rp_alloc_aligned(as_any, 64, 8));
    void *block = rp_alloc(as_any, 48);
    ck_assert_ptr_null(rp_resize(as_any, block, 100));
    ck_assert_ptr_eq(rp_resize(as_any, block, 1), block);
    rp_region_destroy();
}

TEST(slots_in_the_callers_memory_stay_inside_it)
{
    static uint8_t room[8192];
    model_open_region();
    for (size_t bytes = 3000; bytes < 5000; bytes += 111) {
        memset(room, 0x3c, sizeof room);
        rp_slots *slots = rp_slots_create(&(rp_slots_desc){.name = "own",
                                                           .slot_bytes = 40,
                                                           .align_bytes = 64,
                                                           .zone = RP_ZONE_KEEP,
                                                           .memory = room + 17,
                                                           .memory_bytes = bytes});
        ck_assert_msg(slots, "%s", rp_error_last()->text);
        void *slot, *last = NULL;
        size_t count = 0;
        while ((slot = rp_slot_alloc(slots)) != NULL) {
            ck_assert_uint_eq((uintptr_t)slot % 64, 0);
            memset(slot, 0, 64);
            last = slot;
            count++;
        }
        ck_assert_uint_gt(count, (bytes - 700) / 68);
        for (size_t i = 0; i < sizeof room; i++) {
            ck_assert((i >= 17 && i < 17 + bytes) || room[i] == 0x3c);
        }
        rp_free(last);
        model_dies(model_free_it, last, "double free");
        rp_allocator_destroy(rp_slots_allocator(slots));
    }
    rp_region_destroy();
}

TEST(a_restore_brings_the_pool_back)
{
    rp_slots *slots = open_slots(100, 0);
    uint8_t *kept = rp_slot_alloc(slots);
    memset(kept, 5, 100);
    snapshot then = snapshot_take();
    rp_slot_free(slots, kept);
    void *next[5];
    for (int i = 0; i < 5; i++) {
        next[i] = rp_slot_alloc(slots);
    }
    rp_allocator_destroy(rp_slots_allocator(slots));
    snapshot_restore(&then);
    ck_assert_uint_eq(live(slots), 1);
    ck_assert_uint_eq(kept[99], 5);
    rp_slot_free(slots, kept);
    for (int i = 0; i < 5; i++) {
        ck_assert_ptr_eq(rp_slot_alloc(slots), next[i]);
    }
    snapshot_drop(&then);
    rp_region_destroy();
}

/* ---- misuse ---- */

typedef struct two {
    rp_slots *slots;
    void *slot;
} two;

static int free_quick(void *context)
{
    const two *it = context;
    rp_slot_free(it->slots, it->slot);
    return 0;
}

static void quick_dies(rp_slots *slots, void *slot, const char *text)
{
    two it = {slots, slot};
    model_dies(free_quick, &it, text);
}

TEST(misuse_is_named_also_on_the_quick_path)
{
    int on_stack;
    rp_slots *slots = open_slots(100, 50), *others = make(100, 50);
    uint8_t *slot = rp_slot_alloc(slots), *other = rp_slot_alloc(others);
    for (int i = 1; i < 100; i += 9) {
        quick_dies(slots, slot + i, "inside a block");
        model_dies(model_free_it, slot + i, "inside a block");
    }
    quick_dies(slots, other, "another allocator");
    quick_dies(slots, &on_stack, "heap bodies");
    quick_dies(slots, slot + 112 * 49, "and never was");
    quick_dies(slots, slot - 16, "and never was");
    model_dies(model_free_it, slots, "and never was");
    rp_slot_free(slots, slot);
    rp_slot_free(slots, NULL);
    quick_dies(slots, slot, "heap bodies: double free");
    model_dies(model_free_it, slot, "heap bodies: double free");
    rp_region_destroy();
}

static void *alloc_elsewhere(void *slots)
{
    ck_assert_ptr_null(rp_slot_alloc(slots));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "another thread"));
    ck_assert_ptr_null(rp_alloc(rp_slots_allocator(slots), 8));
    return NULL;
}

static void *own_and_alloc(void *slots)
{
    rp_slots_own(slots);
    return rp_slot_alloc(slots);
}

TEST(only_the_owner_takes_slots_and_the_pool_can_be_handed_over)
{
    rp_slots *slots = open_slots(64, 1000);
    pthread_t thread;
    void *theirs;
    pthread_create(&thread, NULL, alloc_elsewhere, slots);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, own_and_alloc, slots);
    pthread_join(thread, &theirs);
    ck_assert_ptr_nonnull(theirs);
    ck_assert_uint_eq(live(slots), 1);
    rp_region_destroy();
}

/* ---- frees by other threads ---- */

enum { RING = 256, PASSED = 60000 };

typedef struct ring {
    rp_slots *slots;
    void *cell[RING];
    uint32_t written, read[2];
} ring;

typedef struct reader {
    ring *ring;
    uint32_t which;
} reader;

static void *free_passed(void *context)
{
    const reader *me = context;
    ring *r = me->ring;
    for (uint32_t i = me->which; i < PASSED; i += 2) {
        while (__atomic_load_n(&r->written, __ATOMIC_ACQUIRE) <= i) {
            sched_yield();
        }
        uint32_t *slot = r->cell[i % RING];
        ck_assert_uint_eq(slot[0], i);
        slot[0] = 0;
        if (i % 4 < 2) {
            rp_free(slot);
        } else {
            rp_slot_free(r->slots, slot);
        }
        __atomic_store_n(&r->read[me->which], i + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

TEST(other_threads_free_while_the_owner_allocates)
{
    static ring r;
    r.slots = open_slots(24, 2 * RING);
    reader readers[2] = {{&r, 0}, {&r, 1}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, free_passed, &readers[i]);
    }
    for (uint32_t i = 0; i < PASSED; i++) {
        while (i >= RING - 2 && __atomic_load_n(&r.read[i % 2], __ATOMIC_ACQUIRE) + RING < i + 3) {
            sched_yield();
        }
        uint32_t *slot = rp_slot_alloc(r.slots);
        ck_assert_msg(slot, "%s", rp_error_last()->text); /* the cap holds for all that circulate */
        slot[0] = i;
        r.cell[i % RING] = slot;
        __atomic_store_n(&r.written, i + 1, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(live(r.slots), 0);
    rp_region_destroy();
}

static void *free_one(void *slot)
{
    rp_free(slot);
    return NULL;
}

static int double_free_elsewhere(void *slot)
{
    pthread_t thread;
    pthread_create(&thread, NULL, free_one, slot);
    pthread_join(thread, NULL);
    return 0;
}

TEST(a_double_free_across_threads_is_named)
{
    rp_slots *slots = open_slots(64, 10);
    void *slot = rp_slot_alloc(slots);
    double_free_elsewhere(slot);
    ck_assert_uint_eq(live(slots), 0);
    model_dies(double_free_elsewhere, slot, "double free");
    quick_dies(slots, slot, "double free");
    rp_region_destroy();
}

static rp_status attempt(void *context)
{
    (void)context;
    rp_status status = rp_region_create(&(rp_region_desc){.reserve_bytes = RP_GIB(1)});
    if (status != RP_OK) {
        return status;
    }
    rp_slots *slots = rp_slots_create(&(rp_slots_desc){.slot_bytes = 4000});
    status = slots ? RP_OK : rp_error_last()->status;
    for (int i = 0; i < 3000 && status == RP_OK; i++) {
        status = rp_slot_alloc(slots) ? RP_OK : rp_error_last()->status;
    }
    rp_region_destroy();
    return status;
}

TEST(each_failing_system_call_is_told)
{
    ck_assert_uint_gt(fault_each_call(attempt, NULL, ENOMEM), 3);
}
