/* Heaps in the caller's memory: everything inside, nothing outside, and bytes that come back. */
#include "alloc/model.h"
#include "alloc/simple.h"

#include <pthread.h>
#include <reprise/backed.h>
#include <reprise/page.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ROOM = 64 << 10 };

static uint8_t room[ROOM] __attribute__((aligned(64)));

static rp_allocator *heap_in(void *memory, size_t memory_bytes, rp_zone zone)
{
    return rp_heap_create(&(rp_heap_desc){
        .name = "script", .zone = zone, .memory = memory, .memory_bytes = memory_bytes});
}

static rp_allocator *open_heap(void)
{
    model_open_region();
    rp_allocator *heap = heap_in(room, ROOM, RP_ZONE_KEEP);
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    return heap;
}

static void check_intact(const rp_allocator *heap)
{
    ck_ok(rp_backed_check(heap));
}

TEST(random_operations_agree_with_a_model)
{
    model m = {
        .allocator = open_heap(), .random = test_seed(), .most_bytes = 1000, .align_most = 6};
    for (int i = 0; i < 8; i++) {
        model_run(&m, 8000);
        check_intact(m.allocator);
    }
    ck_assert_uint_gt(m.refused, 0);
    for (int i = 0; i < MODEL_BLOCKS; i++) {
        if (m.blocks[i].start) {
            ck_assert(m.blocks[i].start > room && m.blocks[i].start < room + ROOM);
        }
    }
    model_empty(&m);
    size_t largest = rp_backed_largest_bytes(m.allocator);
    ck_assert_uint_gt(largest, ROOM - 1024);
    ck_assert_ptr_nonnull(rp_alloc(m.allocator, largest));
    rp_allocator_destroy(m.allocator);
    rp_region_destroy();
}

TEST(no_byte_outside_the_memory_is_written)
{
    model_open_region();
    uint8_t around[4096 + 200];
    for (size_t shift = 0; shift < 32; shift++) {
        memset(around, 0xa5, sizeof around);
        rp_allocator *heap = heap_in(around + 64 + shift, 4096 - shift * 3, RP_ZONE_KEEP);
        ck_assert_ptr_nonnull(heap);
        void *block;
        while ((block = rp_alloc(heap, shift)) != NULL) {
            memset(block, 0, rp_usable_bytes(block));
        }
        rp_allocator_destroy(heap);
        for (size_t i = 0; i < sizeof around; i++) {
            bool inside = i >= 64 + shift && i < 64 + 4096 - shift * 2;
            ck_assert(inside || around[i] == 0xa5);
        }
    }
    rp_region_destroy();
}

TEST(memory_that_is_too_small_or_taken_is_refused_with_a_reason)
{
    ck_assert_ptr_null(heap_in(room, ROOM, RP_ZONE_KEEP)); /* the region is not open */
    rp_allocator *heap = open_heap();
    ck_assert_ptr_null(heap_in(room + 64, 1023, RP_ZONE_KEEP));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    ck_assert_ptr_null(heap_in(room, SIZE_MAX, RP_ZONE_KEEP));
    ck_assert_ptr_null(heap_in((void *)(UINTPTR_MAX - 5000), 8000, RP_ZONE_KEEP));
    ck_assert_ptr_null(heap_in(room + 512, 2048, RP_ZONE_KEEP));
    ck_assert_int_eq(rp_error_last()->status, RP_E_TAKEN);
    ck_assert_ptr_null(heap_in(room + ROOM - 1, 2048, RP_ZONE_WORLD));
    ck_assert_int_eq(rp_error_last()->status, RP_E_TAKEN);
    ck_assert_ptr_null(heap_in(rp_static_heap(RP_ZONE_WORLD), 4096, RP_ZONE_WORLD));
    rp_allocator *generic = rp_generic(RP_ZONE_WORLD);
    ck_assert_ptr_null(heap_in(rp_alloc(generic, 2048), 2048, RP_ZONE_WORLD));
    ck_assert_int_eq(rp_error_last()->status, RP_E_ARGUMENT);
    check_intact(heap);
    ck_assert_ptr_nonnull(rp_alloc(heap, 100));
    rp_allocator_destroy(heap);
    heap = heap_in(room, 1024, RP_ZONE_KEEP);
    ck_assert_ptr_nonnull(heap);
    ck_assert_ptr_nonnull(rp_alloc(heap, 300));
    rp_region_destroy();
}

TEST(the_memory_is_the_cap)
{
    rp_allocator *heap = open_heap();
    ck_assert_ptr_null(rp_alloc(heap, ROOM));
    ck_assert_int_eq(rp_error_last()->status, RP_E_MEMORY);
    ck_assert_ptr_nonnull(strstr(rp_error_last()->text, "heap script: no block of 65536 bytes"));
    ck_assert_ptr_null(rp_alloc(heap, SIZE_MAX));
    ck_assert_ptr_null(rp_alloc_aligned(heap, RP_MIB(1), SIZE_MAX - RP_MIB(1)));
    ck_assert_uint_eq(model_stats(heap).cap_bytes, ROOM);
    void *blocks[ROOM / 32];
    size_t count = 0;
    while ((blocks[count] = rp_alloc(heap, 16)) != NULL) {
        count++;
    }
    ck_assert_uint_gt(count, ROOM / 32 - 40);
    rp_free(blocks[count / 2]);
    ck_assert_ptr_eq(rp_alloc(heap, 1), blocks[count / 2]);
    rp_region_destroy();
}

static int walk_one(void *block, size_t size_bytes, void *context)
{
    (void)size_bytes;
    *(void **)context = block;
    return 7;
}

TEST(it_may_lie_in_a_block_of_the_region_and_is_found_there)
{
    model_open_region();
    uint8_t *pages = rp_pages_alloc(RP_ZONE_WORLD, RP_KIB(128), 0);
    uint8_t *large = rp_alloc(rp_generic(RP_ZONE_WORLD), RP_KIB(200));
    rp_allocator *one = heap_in(pages + 8192, 4096, RP_ZONE_WORLD);
    rp_allocator *two = heap_in(large + RP_KIB(100), RP_KIB(100), RP_ZONE_WORLD);
    ck_assert(one && two);
    void *in_one = rp_alloc(one, 50), *in_two = rp_alloc(two, 5000), *seen = NULL;
    ck_assert_ptr_eq(rp_allocator_of(in_one), one);
    ck_assert_ptr_eq(rp_allocator_of(in_two), two);
    ck_assert_ptr_eq(rp_allocator_of(pages), rp_page_allocator(RP_ZONE_WORLD));
    ck_assert_ptr_eq(rp_allocator_of(large), rp_generic(RP_ZONE_WORLD));
    ck_assert_int_eq(rp_walk(two, walk_one, &seen), 7);
    ck_assert_ptr_eq(seen, in_two);
    rp_free(in_one);
    rp_free(in_two);
    model_dies(model_free_it, in_two, "heap script: double free");
    ck_assert_ptr_null(heap_in(pages + RP_KIB(127), RP_KIB(2), RP_ZONE_WORLD)); /* past its end */
    rp_allocator_destroy(one);
    rp_allocator_destroy(two);
    rp_free(pages);
    rp_free(large);
    rp_region_destroy();
}

TEST(a_saved_copy_put_back_is_the_heap_of_that_moment)
{
    rp_allocator *heap = open_heap();
    uint8_t *copy = malloc(ROOM), *kept = rp_alloc(heap, 100);
    memset(kept, 3, 100);
    memcpy(copy, room, ROOM);
    rp_free(kept);
    void *next = rp_alloc(heap, 2000), *more = rp_alloc(heap, 3000);
    memset(more, 4, 3000);
    memcpy(room, copy, ROOM);
    check_intact(heap);
    ck_assert_uint_eq(model_stats(heap).live_count, 1);
    ck_assert_uint_eq(kept[99], 3);
    rp_free(kept);
    ck_assert_ptr_eq(rp_alloc(heap, 2000), next);
    free(copy);
    rp_region_destroy();
}

TEST(a_destroyed_heap_is_attached_again_from_its_bytes)
{
    rp_allocator *heap = open_heap();
    uint8_t *copy = malloc(ROOM), *kept = rp_alloc(heap, 100);
    memset(kept, 3, 100);
    memcpy(copy, room, ROOM);
    rp_allocator_destroy(heap);
    ck_assert_uint_eq(rp_usable_bytes(kept), 0);
    memset(room, 0xcc, ROOM);
    ck_assert_ptr_null(rp_backed_attach(room, ROOM, RP_ZONE_KEEP));
    ck_assert_int_eq(rp_error_last()->status, RP_E_FORMAT);
    rp_region_destroy(); /* as another process would be */
    model_open_region();
    memcpy(room, copy, ROOM);
    ck_assert_ptr_null(rp_backed_attach(room, ROOM - 16, RP_ZONE_KEEP));
    heap = rp_backed_attach(room, ROOM, RP_ZONE_KEEP);
    ck_assert_msg(heap, "%s", rp_error_last()->text);
    ck_assert_str_eq(rp_allocator_name(heap), "script");
    ck_assert_ptr_null(rp_backed_attach(room, ROOM, RP_ZONE_KEEP)); /* it is known already */
    ck_assert_ptr_eq(rp_allocator_of(kept), heap);
    rp_free(kept);
    ck_assert_uint_eq(model_stats(heap).live_count, 0);
    free(copy);
    rp_region_destroy();
}

TEST(bytes_that_were_damaged_are_not_attached)
{
    rp_allocator *heap = open_heap();
    uint8_t *first = rp_alloc(heap, 100), *second = rp_alloc(heap, 100);
    rp_free(first);
    rp_allocator_destroy(heap);
    uint8_t *copy = malloc(ROOM);
    memcpy(copy, room, ROOM);
    uint64_t random = test_seed();
    size_t from = (size_t)(first - 16 - room), refused = 0;
    for (int i = 0; i < 300; i++) {
        size_t at = i < 100 ? from + test_random(&random) % 32
                            : (size_t)(second - 16 - room) + test_random(&random) % 16;
        memcpy(room, copy, ROOM);
        room[at] ^= (uint8_t)(1u << test_random(&random) % 8);
        rp_allocator *again = rp_backed_attach(room, ROOM, RP_ZONE_KEEP);
        refused += again == NULL;
        rp_allocator_destroy(again);
    }
    ck_assert_uint_eq(refused, 300);
    free(copy);
    rp_region_destroy();
}

TEST(a_reset_frees_everything_and_names_pointers_from_before)
{
    rp_allocator *heap = open_heap();
    void *old[10];
    for (size_t i = 0; i < 10; i++) {
        old[i] = rp_alloc(heap, 100 * i);
    }
    ck_ok(rp_backed_reset(heap));
    ck_assert_uint_eq(model_stats(heap).live_count, 0);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_uint_eq(rp_usable_bytes(old[i]), 0);
        model_dies(model_free_it, old[i], "heap script");
    }
    ck_assert_ptr_eq(rp_alloc(heap, 0), old[0]);
    check_intact(heap);
    ck_assert_int_eq(rp_backed_reset(rp_generic(RP_ZONE_WORLD)), RP_E_ARGUMENT);
    rp_region_destroy();
}

TEST(a_heap_in_the_world_comes_back_with_it)
{
    model_open_region();
    void *memory = rp_pages_alloc(RP_ZONE_WORLD, RP_KIB(64), 0);
    snapshot before = snapshot_take();
    rp_allocator *heap = heap_in(memory, RP_KIB(64), RP_ZONE_WORLD);
    uint8_t *kept = rp_alloc(heap, 1000);
    memset(kept, 6, 1000);
    snapshot then = snapshot_take();
    rp_allocator_destroy(heap);
    rp_free(memory);
    snapshot_restore(&then);
    ck_assert_ptr_eq(rp_allocator_of(kept), heap);
    ck_assert_uint_eq(kept[999], 6);
    check_intact(heap);
    rp_free(kept);
    snapshot_restore(&before);
    ck_assert_ptr_eq(rp_allocator_of(kept), rp_page_allocator(RP_ZONE_WORLD));
    snapshot_drop(&before);
    snapshot_drop(&then);
    rp_region_destroy();
}

static int alloc_until_full(void *heap)
{
    while (rp_alloc(heap, 24)) {
    }
    return 0;
}

TEST(misuse_is_named)
{
    rp_allocator *heap = open_heap();
    uint8_t *before = rp_alloc(heap, 100), *block = rp_alloc(heap, 100), *after;
    after = rp_alloc(heap, 100);
    for (size_t i = 1; i < rp_usable_bytes(block); i++) {
        ck_assert_uint_eq(rp_usable_bytes(block + i), 0);
    }
    model_dies(model_free_it, block + 16, "inside a block");
    model_dies(model_free_it, block - 16, "inside a block");
    model_dies(model_free_it, after + 4096, "and never was");
    model_dies(model_free_it, room + 8, "heap script");
    model_dies(model_free_it, room + ROOM - 1, "heap script");
    rp_free(block);
    model_dies(model_free_it, block, "double free");
    rp_free(before); /* which swallows `block` */
    model_dies(model_free_it, block, "double free");
    rp_region_destroy();
}

TEST(bytes_written_over_are_named_before_they_do_harm)
{
    rp_allocator *heap = open_heap();
    uint8_t *block = rp_alloc(heap, 96), *after = rp_alloc(heap, 96), *end = rp_alloc(heap, 96);
    block[96] ^= 1;
    model_dies(model_free_it, block, "written over");
    model_dies(model_free_it, after, "written over");
    ck_assert_int_eq(rp_backed_check(heap), RP_E_FORMAT);
    block[96] ^= 1;
    check_intact(heap);
    rp_free(after);
    after[3] ^= 0x10;
    model_dies(model_free_it, end, "after it was freed");
    model_dies(alloc_until_full, heap, "after it was freed");
    ck_assert_int_eq(rp_backed_check(heap), RP_E_FORMAT);
    rp_region_destroy();
}

TEST(many_heaps_are_told_apart_and_come_and_go)
{
    enum { HEAPS = 3000, EACH = 1024 };
    model_open_region();
    static rp_allocator *heaps[HEAPS];
    static void *blocks[HEAPS];
    uint64_t random = test_seed();
    uint8_t *memory = mmap(NULL, (size_t)HEAPS * EACH, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 3 * HEAPS; i++) {
        size_t at = i < HEAPS ? (size_t)i * 7 % HEAPS : test_random(&random) % HEAPS;
        if (heaps[at]) {
            rp_allocator_destroy(heaps[at]);
            heaps[at] = NULL;
            ck_assert_ptr_null(rp_allocator_of(blocks[at]));
        } else {
            heaps[at] = heap_in(memory + at * EACH, EACH, (rp_zone)(at % 2));
            ck_assert_msg(heaps[at], "%s", rp_error_last()->text);
            blocks[at] = rp_alloc(heaps[at], 30);
        }
        size_t other = test_random(&random) % HEAPS;
        ck_assert(!heaps[other] || rp_allocator_of(blocks[other]) == heaps[other]);
    }
    munmap(memory, (size_t)HEAPS * EACH);
    rp_region_destroy();
}

static void *churn(void *heap)
{
    void *blocks[8] = {0};
    for (int i = 0; i < 20000; i++) {
        rp_free(blocks[i % 8]);
        blocks[i % 8] = rp_alloc(heap, (size_t)(i % 100));
    }
    for (int i = 0; i < 8; i++) {
        rp_free(blocks[i]);
    }
    return NULL;
}

static void *make_and_destroy(void *memory)
{
    for (int i = 0; i < 500; i++) {
        rp_allocator *heap = heap_in(memory, 2048, RP_ZONE_KEEP);
        rp_free(rp_alloc(heap, 10));
        rp_allocator_destroy(heap);
    }
    return NULL;
}

TEST(threads_share_a_heap_while_others_come_and_go)
{
    static uint8_t other[2][2048];
    rp_allocator *heap = open_heap();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, i < 2 ? churn : make_and_destroy,
                       i < 2 ? (void *)heap : other[i - 2]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    check_intact(heap);
    ck_assert_uint_eq(model_stats(heap).live_count, 0);
    rp_region_destroy();
}

/* ---- fork ---- */

static int use_all(void *context)
{
    (void)context;
    static uint8_t own[2048];
    rp_allocator *heap = heap_in(own, sizeof own, RP_ZONE_KEEP);
    bool good = heap && rp_alloc(heap, 10);
    rp_allocator_destroy(heap);
    void *block = rp_static_alloc(RP_ZONE_KEEP, 32);
    rp_static_free(RP_ZONE_KEEP, block);
    return good && block && rp_static_heap(RP_ZONE_KEEP) ? 0 : 1;
}

static int stop;

static void *make_and_destroy_until_stopped(void *memory)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        make_and_destroy(memory);
        rp_static_free(RP_ZONE_KEEP, rp_static_alloc(RP_ZONE_KEEP, 100));
    }
    return NULL;
}

TEST(a_child_forked_beside_busy_threads_can_use_everything)
{
    static uint8_t other[2][2048];
    pthread_t threads[2];
    model_open_region();
    ck_assert(rp_generic(RP_ZONE_WORLD) && rp_generic(RP_ZONE_KEEP)); /* the registries */
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, make_and_destroy_until_stopped, other[i]);
    }
    for (int i = 0; i < 60; i++) {
        rp_alloc_fork_prepare();
        pid_t child = fork();
        if (child == 0) {
            rp_alloc_fork_child();
            alarm(20); /* a lock that nobody drops */
            _exit(use_all(NULL));
        }
        rp_alloc_fork_parent();
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    rp_region_destroy();
}
