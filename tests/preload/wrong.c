/* One error of memory each, by name; without an error for "none". */
#include "preload/under.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *volatile kept;
static char global[64];

__attribute__((noinline)) static char *make(size_t size_bytes)
{
    char *block = malloc(size_bytes);
    return opaque(block);
}

__attribute__((noinline)) static void leak(void)
{
    char **holder = opaque(calloc(4, sizeof *holder));
    kept = make(50);
    holder[0] = make(60);
    holder = opaque(NULL);
    make(70);
}

/* One function for each call of the family that takes a size: the first frame of its stack. */
#define MADE_BY(name, call)                                     \
    __attribute__((noinline)) static void made_by_##name(void)  \
    {                                                           \
        char *block = opaque(call);                             \
        block[0] = 1; /* else the call above would be a jump */ \
    }
static char *posix_aligned(void)
{
    void *block = NULL;
    return posix_memalign(&block, 64, 50) ? NULL : block;
}
MADE_BY(malloc, malloc(opaque_size(50)))
MADE_BY(calloc, calloc(1, opaque_size(50)))
MADE_BY(realloc, realloc(opaque(NULL), 50))
MADE_BY(moving, realloc(make(20), opaque_size(5000)))
MADE_BY(reallocarray, reallocarray(opaque(NULL), 5, 10))
MADE_BY(memalign, memalign(256, opaque_size(50)))
MADE_BY(aligned_alloc, aligned_alloc(64, opaque_size(64)))
MADE_BY(posix_memalign, posix_aligned())
MADE_BY(valloc, valloc(opaque_size(50)))
MADE_BY(pvalloc, pvalloc(opaque_size(50)))

static void made_by_each(void)
{
    made_by_malloc();
    made_by_calloc();
    made_by_realloc();
    made_by_moving();
    made_by_reallocarray();
    made_by_memalign();
    made_by_aligned_alloc();
    made_by_posix_memalign();
    made_by_valloc();
    made_by_pvalloc();
}

/* What is left of ended functions on the stack would count as pointers. */
__attribute__((noinline)) static void scrub(void)
{
    volatile char bytes[8192];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0;
    }
}

static void handler(int number)
{
    (void)number;
    static const char text[] = "the program's own handler\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        _exit(2);
    }
    _exit(5);
}

__attribute__((noinline)) static void do_wrong(const char *what)
{
    char *block = make(100);
    if (strcmp(what, "double") == 0) {
        free(opaque(block));
        free(opaque(block));
    } else if (strcmp(what, "inside") == 0) {
        free(opaque(block + 16));
    } else if (strcmp(what, "foreign") == 0) {
        free(opaque(global));
    } else if (strcmp(what, "overrun") == 0) {
        *(volatile char *)(block + 101) = 1;
        free(block);
    } else if (strcmp(what, "underrun") == 0) {
        *(volatile char *)(block - 1) = 1;
        free(block);
    } else if (strcmp(what, "far") == 0) {
        *(volatile char *)(block + 112) = 1;
        free(block);
    } else if (strcmp(what, "after") == 0) {
        free(opaque(block));
        *(volatile char *)(block + 3) = 1;
        free(make(100));
    } else if (strcmp(what, "resize") == 0) {
        free(opaque(block));
        kept = opaque(realloc(opaque(block), opaque_size(200)));
    } else if (strcmp(what, "each") == 0) {
        made_by_each();
        free(block);
    } else if (strcmp(what, "leak") == 0) {
        leak();
        free(block);
    } else {
        free(block);
    }
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[2], "handled") == 0) {
        signal(SIGSEGV, handler);
    }
    printf("at work\n");
    do_wrong(argv[1]);
    scrub();
    return argc > 2 ? atoi(argv[2]) : 0;
}
