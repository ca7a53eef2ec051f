/* support/test.h for C++: the same TEST, and what the tests here share. */
#ifndef TESTS_CXX_TEST_HPP
#define TESTS_CXX_TEST_HPP

#include "cxx/world.h"

#include <check.h>
#undef fail /* a name of the standard library's streams */

#include <cstdint>
#include <reprise/reprise.hpp>

extern "C" {
#include "support/test.h"
}

/* Without the designated initialisers of C. */
#undef TEST_WITH
#define TEST_WITH(title, expected_signal)                                        \
    START_TEST(title);                                                           \
    __attribute__((constructor)) static void register_##title()                  \
    {                                                                            \
        static test_entry entry = {nullptr, #title, (expected_signal), nullptr}; \
        entry.test = title;                                                      \
        test_register(&entry);                                                   \
    }                                                                            \
    static void title##_fn(int)

/* A heap in a region that this test opened. */
inline rp_allocator *open_heap(size_t cap_bytes = 0)
{
    world_open();
    return world_heap("cxx", cap_bytes);
}

inline rp_alloc_stats stats_of(const rp_allocator *allocator)
{
    rp_alloc_stats stats;
    rp_stats_get(allocator, &stats);
    return stats;
}

inline uint64_t live_count(const rp_allocator *allocator)
{
    return stats_of(allocator).live_count;
}

#endif
