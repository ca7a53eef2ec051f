/* For programs that are linked as any other and run under libreprise-malloc.so. */
#ifndef TESTS_PRELOAD_UNDER_H
#define TESTS_PRELOAD_UNDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The region's static address: without this question a test would pass under any malloc. */
static inline bool is_ours(const void *block)
{
    return (uintptr_t)block >> 40 == 0x55 && (uintptr_t)block < 0x554000000000;
}

/* Whether the debug modes of this run include it. */
static inline bool under_mode(const char *mode)
{
    const char *modes = getenv("REPRISE_DEBUG");
    return modes && strstr(modes, mode);
}

/* A pattern of bytes that depends on the seed and the place. */
static inline void pattern_write(void *block, size_t size_bytes, uint64_t seed)
{
    uint8_t *bytes = block;
    for (size_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)((seed + i) * 0x9e3779b97f4a7c15u >> 56);
    }
}

static inline bool pattern_stands(const void *block, size_t size_bytes, uint64_t seed)
{
    const uint8_t *bytes = block;
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] != (uint8_t)((seed + i) * 0x9e3779b97f4a7c15u >> 56)) {
            return false;
        }
    }
    return true;
}

/* Keeps the compiler from seeing that a block is freed twice, too large, or never used. */
static inline void *opaque(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}
static inline size_t opaque_size(size_t size_bytes)
{
    __asm__ volatile("" : "+r"(size_bytes));
    return size_bytes;
}

#endif
