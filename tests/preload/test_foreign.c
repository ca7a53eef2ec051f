/* Blocks of another allocator are handed on to it; what is no block at all is named. */
#include "preload/under.h"
#include "support/child.h"
#include "support/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *(*theirs)(size_t);
static void *(*theirs_aligned)(size_t, size_t);

/* The C library's own, whoever stands in front of it. */
static void find_theirs(void)
{
    void *library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    ck_assert_ptr_nonnull(library);
    *(void **)&theirs = dlsym(library, "malloc");
    *(void **)&theirs_aligned = dlsym(library, "memalign");
    ck_assert(theirs && theirs_aligned);
}

TEST(a_block_of_the_c_library_is_freed_resized_and_measured_by_it)
{
    find_theirs();
    for (size_t size = 0; size < (size_t)10 << 20; size = size * 3 + 7) {
        uint8_t *block = theirs(size);
        ck_assert(block && !is_ours(block));
        ck_assert_uint_ge(malloc_usable_size(block), size);
        pattern_write(block, size, size);
        block = realloc(block, size * 2 + 1);
        ck_assert(block && pattern_stands(block, size, size));
        errno = 4711;
        free(opaque(block));
        ck_assert_int_eq(errno, 4711);
        free(opaque(theirs_aligned(4096, size)));
    }
    void *block = theirs(100);
    ck_assert_ptr_null(realloc(opaque(block), opaque_size(0)));
}

/* Beside the thread's own data, in the same mapping, the way the system lays them out. */
TEST(large_blocks_of_the_c_library_are_known_wherever_they_lie)
{
    enum { COUNT = 40 };
    static void *blocks[COUNT];
    find_theirs();
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = theirs((size_t)(i + 1) << 20);
        ck_assert_ptr_nonnull(blocks[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

static void *free_there(void *block)
{
    free(block);
    return NULL;
}

TEST(a_block_of_the_c_library_may_be_freed_by_any_thread)
{
    find_theirs();
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, free_there, theirs(500)), 0);
        pthread_join(thread, NULL);
    }
}

/* ---- what must end ---- */

static int free_it(void *address)
{
    free(opaque(address));
    return 0;
}

static int resize_it(void *address)
{
    return opaque(realloc(opaque(address), 100)) == NULL;
}

static int free_twice(void *unused)
{
    (void)unused;
    void *block = malloc(100), *neighbour = malloc(100);
    free(opaque(block));
    free(opaque(block));
    return neighbour == NULL;
}

static int free_twice_large(void *unused)
{
    (void)unused;
    void *block = malloc((size_t)5 << 20);
    free(opaque(block));
    free(opaque(block));
    return 0;
}

static int free_local(void *unused)
{
    _Alignas(16) char local[64];
    (void)unused;
    free(opaque(local));
    return 0;
}

static void *free_local_there(void *unused)
{
    free_local(unused);
    return NULL;
}

static int free_local_of_a_thread(void *unused)
{
    pthread_t thread;
    (void)unused;
    pthread_create(&thread, NULL, free_local_there, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void dies_of(int (*body)(void *), void *context, const char *kind)
{
    child_end end = child_run(body, context);
    ck_assert_msg(end.signal == SIGABRT, "signal %d, exit %d: %s", end.signal, end.exit_code,
                  end.error_text);
    ck_assert_msg(strncmp(end.error_text, "reprise: ", 9) == 0, "%s", end.error_text);
    ck_assert_msg(strstr(end.error_text, kind), "no \"%s\" in: %s", kind, end.error_text);
}

TEST(a_double_free_is_named_and_ends_the_program)
{
    dies_of(free_twice, NULL, "double free");
    dies_of(free_twice_large, NULL, "double free");
}

TEST(a_free_inside_a_block_is_named_and_ends_the_program)
{
    const size_t sizes[] = {100, 5000, 300000, (size_t)5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = malloc(sizes[i]);
        dies_of(free_it, block + 16, "inside");
        dies_of(free_it, block + 1, "inside");
        dies_of(resize_it, block + 16, "inside");
        free(block);
    }
}

static _Alignas(16) char global[64];

TEST(a_free_of_what_no_allocator_made_is_named_and_ends_the_program)
{
    void *mapped = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *whole = malloc(100);
    dies_of(free_it, global, "foreign");
    dies_of(free_it, (void *)"a literal that is long enough", "foreign");
    dies_of(free_local, NULL, "foreign");
    dies_of(free_local_of_a_thread, NULL, "foreign");
    dies_of(free_it, (void *)0x123450, "foreign");
    dies_of(free_it, (char *)mapped + 4096, "foreign");
    dies_of(free_it, (void *)(uintptr_t)0xdeadbeefdeadbeef, "foreign");
    dies_of(resize_it, global, "foreign");
    dies_of(free_it, (void *)((uintptr_t)whole + ((uintptr_t)1 << 34)), "foreign");
    free(whole);
}
