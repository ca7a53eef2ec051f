/* The allocator behind ours, usually the C library's: for blocks that it made, for alignments
 * beyond ours, and for everything where the region cannot be had.
 *
 * It is found by name, and that search may itself allocate. What is asked for meanwhile comes from
 * a small buffer, and is never given back.
 */
#include "alloc/allocator.h"
#include "os/os.h"
#include "preload/preload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* ---- the buffer for the first moments ---- */

enum { EARLY_BYTES = 64 << 10, EARLY_ALIGN = 16 };

typedef struct early_head { /* before each block */
    size_t size_bytes;
    size_t unused;
} early_head;

static struct {
    _Alignas(EARLY_ALIGN) uint8_t bytes[EARLY_BYTES];
    size_t used;
} early;

static bool early_contains(const void *block)
{
    return (uintptr_t)block - (uintptr_t)early.bytes < EARLY_BYTES;
}

static size_t early_usable(const void *block)
{
    return ((const early_head *)block)[-1].size_bytes;
}

/* Zeroed, as nothing is used twice. */
static void *early_alloc(size_t size_bytes)
{
    if (size_bytes > EARLY_BYTES) {
        return family_made(NULL);
    }
    size_t whole = sizeof(early_head) + rp_align_up(size_bytes, EARLY_ALIGN);
    size_t at = __atomic_fetch_add(&early.used, whole, __ATOMIC_RELAXED);
    if (at + whole > EARLY_BYTES) {
        return family_made(NULL);
    }
    early_head *head = (early_head *)(early.bytes + at);
    head->size_bytes = size_bytes;
    return head + 1;
}

static void *early_realloc(void *block, size_t size_bytes)
{
    void *moved = next_malloc(size_bytes);
    return moved ? memcpy(moved, block, rp_min_size(size_bytes, early_usable(block))) : NULL;
}

/* ---- finding it ---- */

typedef struct next_functions {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
    size_t (*usable_size)(void *);
} next_functions;

static next_functions found;
static bool found_all;
static _Thread_local int searching;

void *next_function(const char *name)
{
    searching++;
    void *function = dlsym(RTLD_NEXT, name);
    searching--;
    return function;
}

static void find(void)
{
    /* Two threads may do this at once: they find the same. */
    *(void **)&found.malloc = next_function("malloc");
    *(void **)&found.calloc = next_function("calloc");
    *(void **)&found.realloc = next_function("realloc");
    *(void **)&found.memalign = next_function("memalign");
    *(void **)&found.free = next_function("free");
    *(void **)&found.usable_size = next_function("malloc_usable_size");
    bool all = found.malloc && found.calloc && found.realloc && found.memalign && found.free &&
               found.usable_size;
    __atomic_store_n(&found_all, all, __ATOMIC_RELEASE);
}

/* Null while this thread is searching for it. */
static const next_functions *next(void)
{
    if (searching) {
        return NULL;
    }
    if (!__atomic_load_n(&found_all, __ATOMIC_ACQUIRE)) {
        find();
    }
    return found_all ? &found : NULL;
}

/* ---- allocating ---- */

void *next_malloc(size_t size_bytes)
{
    const next_functions *functions = next();
    return functions ? functions->malloc(size_bytes) : early_alloc(size_bytes);
}

void *next_calloc(size_t count, size_t size_bytes)
{
    size_t total;
    const next_functions *functions = next();
    if (functions) {
        return functions->calloc(count, size_bytes);
    }
    return rp_mul_size(count, size_bytes, &total) ? early_alloc(total) : family_made(NULL);
}

void *next_memalign(size_t align_bytes, size_t size_bytes)
{
    if (!rp_is_power_of_two(align_bytes)) {
        errno = EINVAL;
        return NULL;
    }
    const next_functions *functions = next();
    if (functions) {
        return functions->memalign(align_bytes, size_bytes);
    }
    return align_bytes <= EARLY_ALIGN ? early_alloc(size_bytes) : family_made(NULL);
}

/* ---- blocks that are not ours ---- */

/* The C library knows exactly; the mapping that a stack lies in may hold its blocks as well. Asking
 * it allocates, so it is asked only where the answer can be yes. */
static bool on_this_stack(const void *address)
{
    const uintptr_t farthest = RP_GIB(1);
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    pthread_attr_t attributes;
    if ((uintptr_t)address - frame >= farthest || pthread_getattr_np(pthread_self(), &attributes)) {
        return false;
    }
    void *lowest = NULL;
    size_t size_bytes = 0;
    pthread_attr_getstack(&attributes, &lowest, &size_bytes);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)address - (uintptr_t)lowest < size_bytes;
}

static bool in_a_module(const void *address)
{
    struct dl_find_object object;
    return _dl_find_object((void *)(uintptr_t)address, &object) == 0;
}

/* No allocator hands out such an address. Where the region cannot be had, the next one is to judge:
 * every block is its own. */
static void check(const void *block, const char *what, const void *caller)
{
    const size_t head_bytes = 16; /* of the C library's blocks, which it is about to read */
    if (preload_world &&
        ((uintptr_t)block % 16 != 0 || in_a_module(block) || on_this_stack(block) ||
         !rp_os_vm_readable((const uint8_t *)block - head_bytes, head_bytes))) {
        rp_misuse(RP_MISUSE_FOREIGN, NULL, block, what, caller);
    }
}

void next_free(void *block, const void *caller)
{
    const next_functions *functions = next();
    if (early_contains(block)) {
        return;
    }
    check(block, "free", caller);
    if (functions) {
        functions->free(block);
    }
}

void *next_realloc(void *block, size_t size_bytes, const void *caller)
{
    if (block && early_contains(block)) {
        return early_realloc(block, size_bytes);
    }
    check(block, "realloc", caller);
    const next_functions *functions = next();
    return functions ? functions->realloc(block, size_bytes) : family_made(NULL);
}

size_t next_usable_size(void *block)
{
    if (early_contains(block)) {
        return early_usable(block);
    }
    const next_functions *functions = next();
    return functions ? functions->usable_size(block) : 0;
}
