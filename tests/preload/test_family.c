/* The malloc family by what the standards say of it, from a program that knows nothing of us. */
#include "preload/under.h"
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Not in the headers of this C library. */
extern void cfree(void *block) __attribute__((weak));
extern void free_sized(void *block, size_t size_bytes) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t align_bytes, size_t size_bytes)
    __attribute__((weak));
extern void *__libc_malloc(size_t size_bytes);
extern void __libc_free(void *block);
extern void *__libc_memalign(size_t align_bytes, size_t size_bytes);

TEST(every_call_of_the_family_hands_out_memory_of_the_region)
{
    void *aligned = NULL;
    ck_assert_int_eq(posix_memalign(&aligned, 64, 100), 0);
    void *blocks[] = {malloc(1),
                      calloc(3, 5),
                      realloc(NULL, 9),
                      aligned,
                      aligned_alloc(32, 1),
                      memalign(256, 3),
                      valloc(1),
                      pvalloc(1),
                      reallocarray(NULL, 3, 3),
                      __libc_malloc(100),
                      strdup("text"),
                      __libc_memalign(64, 1)};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        ck_assert_msg(is_ours(blocks[i]), "%zu: %p", i, blocks[i]);
        ck_assert_uint_gt(malloc_usable_size(blocks[i]), 0);
        __libc_free(blocks[i]);
    }
}

TEST(sizes_of_zero_are_distinct_blocks_and_resizing_to_zero_frees)
{
    void *first = malloc(0), *second = calloc(0, 8), *third = malloc(40);
    ck_assert(first && second && first != second);
    ck_assert_ptr_null(realloc(opaque(third), opaque_size(0)));
    ck_assert_ptr_null(reallocarray(opaque(second), opaque_size(0), 8));
    first = realloc(first, 100);
    ck_assert_uint_ge(malloc_usable_size(first), 100);
    free(first);
    free(NULL);
    ck_assert_uint_eq(malloc_usable_size(NULL), 0);
}

TEST(what_is_too_large_is_enomem_and_leaves_the_block_as_it_was)
{
    const size_t sizes[] = {SIZE_MAX,        SIZE_MAX - 15,       SIZE_MAX - 65536,
                            (size_t)1 << 63, (size_t)PTRDIFF_MAX, (size_t)1 << 48};
    char *block = strcpy(malloc(100), "still here");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = opaque_size(sizes[i]);
        void *aligned = block;
        errno = 0;
        ck_assert_ptr_null(malloc(size));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(calloc(size, 1));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(realloc(block, size));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 7;
        ck_assert_int_eq(posix_memalign(&aligned, 64, size), ENOMEM);
        ck_assert_int_eq(errno, 7);
        ck_assert_ptr_eq(aligned, block);
        errno = 0;
        ck_assert_ptr_null(aligned_alloc(4096, size));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(pvalloc(size));
        ck_assert_int_eq(errno, ENOMEM);
    }
    ck_assert_str_eq(block, "still here");
    free(block);
}

TEST(a_product_that_does_not_fit_is_enomem)
{
    const size_t half = opaque_size((size_t)1 << 33), many = opaque_size((size_t)1 << 32);
    char *block = strcpy(malloc(100), "still here");
    errno = 0;
    ck_assert_ptr_null(calloc(half, many));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(reallocarray(block, half, many));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_str_eq(block, "still here");
    free(block);
}

TEST(alignments_that_are_no_power_of_two_are_einval)
{
    void *block = &block;
    const size_t bad[] = {0, 3, 24, 100, SIZE_MAX, ((size_t)1 << 63) + 1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 7;
        ck_assert_int_eq(posix_memalign(&block, opaque_size(bad[i]), 10), EINVAL);
        ck_assert_int_eq(errno, 7);
        ck_assert_ptr_eq(block, &block);
        errno = 0;
        ck_assert_ptr_null(aligned_alloc(opaque_size(bad[i]), 10));
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_int_eq(posix_memalign(&block, opaque_size(4), 10), EINVAL); /* less than a pointer */
}

TEST(every_alignment_is_kept_at_every_size)
{
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        for (size_t size = 0; size < 300000; size = size * 3 + 1) {
            uint8_t *block = memalign(align, size);
            ck_assert_msg(block && (uintptr_t)block % align == 0, "%zu at %zu: %p", size, align,
                          (void *)block);
            ck_assert_uint_ge(malloc_usable_size(block), size);
            memset(block, 1, size);
            block = realloc(block, size + 1000);
            ck_assert(block && (!size || (block[0] == 1 && block[size - 1] == 1)));
            free(block);
        }
    }
}

TEST(free_keeps_errno)
{
    const size_t sizes[] = {10, 5000, 200000, (size_t)40 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *block = malloc(sizes[i]);
        memset(block, 1, sizes[i]);
        errno = 4711;
        free(opaque(block));
        ck_assert_int_eq(errno, 4711);
    }
    errno = 4711;
    free(opaque(memalign((size_t)4 << 20, 100)));
    ck_assert_int_eq(errno, 4711);
}

/* ---- a random walk against a model ---- */

typedef struct held {
    uint8_t *bytes;
    size_t size_bytes;
    uint64_t seed;
} held;

static size_t size_by_chance(uint64_t *state)
{
    uint64_t r = test_random(state);
    size_t most = r % 100 < 80 ? 600 : r % 100 < 95 ? 20000 : r % 100 < 99 ? 400000 : 3000000;
    return test_random(state) % most;
}

static bool is_zero(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static void *made_by_chance(uint64_t *state, size_t size_bytes)
{
    size_t align = (size_t)16 << test_random(state) % 9;
    void *block = NULL;
    switch (test_random(state) % 5) {
    case 0:
        block = calloc(size_bytes, 1);
        ck_assert(is_zero(block, size_bytes));
        return block;
    case 1:
        ck_assert_int_eq(posix_memalign(&block, align, size_bytes), 0);
        ck_assert_uint_eq((uintptr_t)block % align, 0);
        return block;
    case 2:
        return realloc(NULL, size_bytes);
    default:
        return malloc(size_bytes);
    }
}

static void hold(held *h, void *block, size_t size_bytes, uint64_t seed)
{
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq((uintptr_t)block % 16, 0);
    ck_assert_uint_ge(malloc_usable_size(block), size_bytes);
    *h = (held){block, size_bytes, seed};
    pattern_write(block, size_bytes, seed);
}

static void let_go(held *h)
{
    ck_assert(pattern_stands(h->bytes, h->size_bytes, h->seed));
    free(h->bytes);
    *h = (held){0};
}

static void resize(held *h, uint64_t *state)
{
    size_t size = size_by_chance(state), kept = size < h->size_bytes ? size : h->size_bytes;
    uint8_t *moved = realloc(h->bytes, size ? size : 1);
    ck_assert_ptr_nonnull(moved);
    ck_assert(pattern_stands(moved, kept, h->seed));
    hold(h, moved, size, h->seed + 1);
}

TEST(a_random_walk_finds_every_block_as_it_left_it)
{
    enum { PLACES = 2000, STEPS = 60000 };
    static held places[PLACES];
    uint64_t state = test_seed();
    for (int step = 0; step < STEPS; step++) {
        held *h = &places[test_random(&state) % PLACES];
        if (!h->bytes) {
            size_t size = size_by_chance(&state);
            hold(h, made_by_chance(&state, size), size, test_random(&state));
        } else if (test_random(&state) % 3 == 0) {
            resize(h, &state);
        } else {
            let_go(h);
        }
    }
    for (int i = 0; i < PLACES; i++) {
        if (places[i].bytes) {
            let_go(&places[i]);
        }
    }
}

/* ---- memory that ends ---- */

/* What may be written is limited; the reservation itself is not. */
TEST(when_the_system_has_no_more_malloc_says_so_and_goes_on)
{
    enum { MOST = 4096 };
    static void *blocks[MOST];
    const size_t each = (size_t)1 << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &(struct rlimit){100 << 20, 100 << 20}), 0);
    int count = 0;
    errno = 0;
    while (count < MOST && (blocks[count] = malloc(each))) {
        memset(blocks[count++], 1, each);
    }
    ck_assert_int_lt(count, 100);
    ck_assert_int_gt(count, 50);
    ck_assert_int_eq(errno, ENOMEM);
    free(blocks[--count]);
    if (!under_mode("quarantine")) { /* there it rests, and takes up memory still */
        void *again = malloc(each);
        ck_assert_ptr_nonnull(again);
        free(again);
    }
    while (count) {
        free(blocks[--count]);
    }
    ck_assert_ptr_nonnull(opaque(malloc(100)));
}

/* ---- figures ---- */

TEST(the_figures_follow_what_is_held)
{
    enum { COUNT = 100, EACH = 100000 };
    static void *blocks[COUNT];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(EACH);
    }
    struct mallinfo2 during = mallinfo2();
    ck_assert_uint_ge(during.uordblks, before.uordblks + (size_t)COUNT * EACH);
    ck_assert_uint_ge(during.arena, during.uordblks);
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
    ck_assert_uint_lt(mallinfo2().uordblks, during.uordblks - (size_t)COUNT * EACH / 2);
}

static size_t resident_of(void *start, size_t size_bytes)
{
    static unsigned char pages[65536];
    size_t count = 0, page_count = size_bytes / 4096;
    ck_assert_uint_le(page_count, sizeof pages);
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)4095;
    ck_assert_int_eq(mincore((void *)first, page_count * 4096, pages), 0);
    for (size_t i = 0; i < page_count; i++) {
        count += pages[i] & 1;
    }
    return count;
}

TEST(trimming_gives_free_memory_back_to_the_system)
{
    const size_t size = (size_t)64 << 20;
    void *block = malloc(size);
    memset(block, 1, size);
    ck_assert_uint_eq(resident_of(block, size), size / 4096);
    free(opaque(block));
    malloc_trim(0);
    ck_assert_uint_lt(resident_of(block, size), size / 4096 / 8);
}

TEST(malloc_info_is_written_and_refuses_options)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    ck_assert_int_eq(malloc_info(0, file), 0);
    ck_assert_int_eq(malloc_info(1, file), -1);
    ck_assert_int_eq(errno, EINVAL);
    fclose(file);
    ck_assert(strstr(text, "<malloc version=") && strstr(text, "</malloc>"));
    free(text);
    ck_assert_int_eq(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
}

TEST(the_names_that_only_some_libraries_have_are_there)
{
    ck_assert(cfree && free_sized && free_aligned_sized);
    cfree(opaque(malloc(10)));
    free_sized(opaque(malloc(10)), 10);
    free_aligned_sized(opaque(aligned_alloc(64, 128)), 64, 128);
}
